// Package dcerpc turns connection-oriented DCE/RPC (C706 chapter 12, MS-RPCE) into calls: which operation of which
// interface was called, with the first bytes of request and response, and what became of it.
//
// The bytes come from a TCP connection (Parser) or from a named pipe (Association, lent to package smb). PDUs are read
// as they stream by: of a call no more than 512 bytes of request and 128 of response are kept, never a whole PDU but
// binds. Interface and operation stay readable where the stub is sealed.
//
// Whoever sends requests is the client: where a connection's start was not seen, facts name that side as originator.
//
// Limits, of one association: 64 open calls, 32 presentation contexts, 8 KiB of a bind. What they cut is counted.
package dcerpc

import "neuromast/flows"

// The PDU types (C706 12.6.4, MS-RPCE 2.2.2.1 for auth3).
const (
	pduRequest   = 0
	pduResponse  = 2
	pduFault     = 3
	pduBind      = 11
	pduBindAck   = 12
	pduBindNak   = 13
	pduAlter     = 14
	pduAlterResp = 15
	pduAuth3     = 16
	pduShutdown  = 17
	pduCancel    = 18
	pduOrphaned  = 19
)

// PDU flags (C706 12.6.3.1).
const (
	flagFirst  = 0x01
	flagLast   = 0x02
	flagObject = 0x80
)

// Authentication levels (MS-RPCE 2.2.1.1.8).
const (
	levelNone    = 1
	levelPrivacy = 6
)

const (
	headerLen   = 16      // common header, C706 12.6.3.1
	trailerLen  = 8       // sec_trailer before the token, MS-RPCE 2.2.2.11
	maxBind     = 8 << 10 // bytes kept of a bind or its answer; chosen by us: twice what Windows sends
	maxCalls    = 64
	maxContexts = 32
	maxStub     = 512
	maxReply    = 128
	maxMapReply = 1024    // of an endpoint mapper's answer: ten towers
	maxPad      = 16      // padding before the trailer that the last bytes of a stub are sought behind
	maxName     = 512     // bytes of a user's name; chosen by us
	maxSearch   = 1 << 20 // bytes searched for a PDU before giving up: sixteen of the largest
	keepCalls   = 2       // slots that a pooled association keeps
)

// Stats counts what was read and what was strange.
type Stats struct {
	PDUs           uint64 // whole or in part
	Calls          uint64 // calls written
	Malformed      uint64 // PDUs that contradict themselves, and places where no PDU begins
	WrongSide      uint64 // PDUs that the other side sends
	Unanswered     uint64 // calls and binds without an answer
	Unasked        uint64 // answers whose request was not seen
	Evicted        uint64 // open calls given up because there were too many
	Resynchronised uint64 // PDU boundaries found again
	GivenUp        uint64 // connections in which none was found
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.PDUs += o.PDUs
	s.Calls += o.Calls
	s.Malformed += o.Malformed
	s.WrongSide += o.WrongSide
	s.Unanswered += o.Unanswered
	s.Unasked += o.Unasked
	s.Evicted += o.Evicted
	s.Resynchronised += o.Resynchronised
	s.GivenUp += o.GivenUp
}

// Recognise says that b begins with the header of a connection-oriented PDU. It wants 16 bytes; some forty of their bits
// are fixed, so chance does not fool it.
func Recognise(b []byte) bool {
	if len(b) < headerLen {
		return false
	}
	h := readHeader(b)
	return h.plausible()
}

// Parser reads DCE/RPC over TCP.
type Parser struct {
	assoc Association
	stats Stats
}

// New returns a parser for one connection.
func New() *Parser {
	p := &Parser{}
	p.assoc.stats = &p.stats
	p.Reset(false)
	return p
}

// Stats returns what was counted since New.
func (p *Parser) Stats() Stats { return p.stats }

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) {
	p.assoc.Reset(Carrier{Opened: !midstream, Midstream: midstream})
}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	return p.assoc.Data(out, c, dir, b, ref)
}

// Gap implements stream.Parser.
func (p *Parser) Gap(out *flows.Out, c *flows.Conn, dir flows.Dir, n int) {
	p.assoc.Gap(out, c, dir, n)
}

// Flush implements stream.Parser.
func (p *Parser) Flush(out *flows.Out, c *flows.Conn, end bool) { p.assoc.Flush(out, c, end) }
