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
	NumTopics
)

var topicNames = [NumTopics]string{"findings", "incidents", "health", "flows", "dns"}

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
