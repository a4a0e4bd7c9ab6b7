// Package dns turns DNS messages (RFC 1035) over UDP and TCP into transactions: a query with its answer, a query that
// stayed unanswered, an answer whose query was not seen. mDNS (RFC 6762), LLMNR (RFC 4795) and the NetBIOS name service
// (RFC 1002) share the format and the code.
//
// The walk over the wire is our own: names stay wire labels, lower-cased, since escaped text falsifies length and
// entropy. Compression pointers must lead strictly backwards. miekg/dns renders the rarer kinds of RDATA and is the
// tests' second opinion; no other package imports it.
//
// Limits: 64 answers of a message, 1,024 bytes of text of an answer, one question of a message, a bounded table of open
// queries per shard. What they cut is counted.
package dns

import (
	"time"
)

// Timeout is how long a query waits for its answer in packet time. Resolvers give up earlier: 5 s is the usual limit of
// stub resolvers, twice that leaves room for the retry.
const Timeout = 10 * time.Second

const (
	headerLen  = 12   // RFC 1035, 4.1.1
	maxName    = 255  // bytes of wire labels, RFC 1035, 2.3.4
	maxHops    = 126  // compression pointers of one name: one before each of the 127 labels that fit
	maxAnswers = 64   // of one message; chosen by us: ten times what resolvers send
	maxData    = 1024 // bytes of an answer's text; chosen by us: Len holds the true size
)

// Stats counts what was read and what was strange.
type Stats struct {
	Messages       uint64 // messages read, whole or in part
	Malformed      uint64 // messages that break the format; what precedes the break is kept
	BadRdata       uint64 // answers whose RDATA contradicts their type; rendered as RFC 3597 has it
	Truncated      uint64 // messages that the capture cut
	NoQuestion     uint64 // queries without a question
	MoreQuestions  uint64 // questions beyond the first of a message
	Unanswered     uint64 // queries without an answer in time
	Unasked        uint64 // answers whose query was not seen
	Retransmits    uint64 // queries that repeat an open one
	Evicted        uint64 // open queries given up because the table was full
	CutAnswers     uint64 // answers beyond a message's cap
	CutData        uint64 // answers whose text was cut
	Resynchronised uint64 // TCP: streams whose next message boundary was found again
	GivenUp        uint64 // TCP: streams in which no message boundary was found
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Messages += o.Messages
	s.Malformed += o.Malformed
	s.BadRdata += o.BadRdata
	s.Truncated += o.Truncated
	s.NoQuestion += o.NoQuestion
	s.MoreQuestions += o.MoreQuestions
	s.Unanswered += o.Unanswered
	s.Unasked += o.Unasked
	s.Retransmits += o.Retransmits
	s.Evicted += o.Evicted
	s.CutAnswers += o.CutAnswers
	s.CutData += o.CutData
	s.Resynchronised += o.Resynchronised
	s.GivenUp += o.GivenUp
}
