// Package export carries finished records to where people and machines read them. Every record is accounted for:
// produced, acknowledged, spooled, expired, lost.
package export

import "context"

// Topic says what kind of record it is; sinks map it to a Kafka topic or a file.
type Topic uint8

// The topics.
const (
	Findings Topic = iota
	Incidents
	Health
	Flows
	DNS
	Signals
	NumTopics
)

var topicNames = [NumTopics]string{"findings", "incidents", "health", "flows", "dns", "signals"}

func (t Topic) String() string { return topicNames[t] }

// Record is one encoded record on its way out. Sinks take it over: the caller does not touch Key and Value again.
type Record struct {
	Topic    Topic
	Key      []byte // findings: the acting host's id
	Value    []byte // one JSON document without newline
	EventID  string
	Revision int
	Schema   string // "neuromast.finding"
	Version  string // of the schema
	Time     string // RFC 3339, packet time: the CloudEvents time attribute
}

// Sink takes records in order. Put may block where the sink is full and its rule is to block; it fails only when the
// record can not be kept, and then says what to mend.
type Sink interface {
	Put(context.Context, Record) error
	// Close delivers what waits, as far as ctx allows, and says what is left.
	Close(context.Context) error
}

// Account says what became of every record of a topic: Produced + Recovered = Acknowledged + Waiting + Expired + Lost.
type Account struct {
	Produced        uint64 `json:"produced"`         // given to Put
	Recovered       uint64 `json:"recovered"`        // found in the spool at the start
	Acknowledged    uint64 `json:"acknowledged"`     // stored by all in-sync replicas
	Waiting         uint64 `json:"spooled"`          // on the disk, not acknowledged yet
	Expired         uint64 `json:"expired"`          // given up after the spool's greatest age
	Lost            uint64 `json:"lost"`             // refused for ever by the broker
	PossiblyDoubled uint64 `json:"possibly_doubled"` // sent again under a new id because the broker had forgotten the old one
	Retries         uint64 `json:"retries"`          // sends that were repeated
}
