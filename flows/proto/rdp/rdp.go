// Package rdp reads how remote desktop connections open (MS-RDPBCGR 2.2.1.1, 2.2.1.2), whether network level authentication
// fails, and the shape of the session.
//
// The first exchange is in the clear: a cookie that names the user, the protocols that the client can, restricted
// administration, and what the server chose or why it refused. Then the connection goes over to TLS, whose records are
// counted by their headers (RFC 5246, 6.2.1), or stays with RDP's own security, whose messages are TPKTs (RFC 1006) and
// fast-path units (MS-RDPBCGR 2.2.8.1.2, 2.2.9.1.2).
//
// With CredSSP (MS-CSSP 3.1.5) the sealed messages come in a fixed order: the client's negotiation, the server's challenge,
// the client's proof together with the server's key, the server's own proof of it, the client's credentials. A server that
// refuses the proof closes, or says so in a message that holds a version and a code: 15 bytes, at most 64 in a record of any
// cipher of Windows but those with CBC and SHA-384. Its own proof takes 59 bytes and more. So a connection that ends within
// half a minute after the client's proof, without the server's, failed; one in which the client goes on after its credentials
// were taken succeeded. One that ends in between says nothing: clients break off to ask people about certificates.
//
// Limits: 512 bytes of request or confirm; a cookie of 64 bytes. A connection whose start was not seen is not read, and one
// with a gap no further than its first exchange.
//
// In TLS 1.3 the end of the handshake and alerts look like data (RFC 8446, 5.1): the client's first record after its change of
// cipher is the former, records of at most 19 bytes are the latter. Measured so with FreeRDP 2.10: three wrong passwords failed,
// three right ones got in. With TLS 1.2 the order of messages is held by two captures of Windows; its refusals by MS-CSSP alone.
package rdp

import (
	"bytes"
	"encoding/binary"
	"time"

	"neuromast/flows"
	"neuromast/flows/proto/shape"
	"neuromast/sensor/packet"
)

// Stats counts what was read and what was strange.
type Stats struct {
	Confirmed uint64 // connections whose protocol was agreed
	Refused   uint64
	Failures  uint64 // log-ins
	Successes uint64
	Malformed uint64 // connections that contradict the protocol
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Confirmed += o.Confirmed
	s.Refused += o.Refused
	s.Failures += o.Failures
	s.Successes += o.Successes
	s.Malformed += o.Malformed
}

const (
	maxOpening = 512
	maxCookie  = 64
	maxRecord  = 1<<14 + 2048                  // RFC 5246, 6.2.3
	maxAlert   = 19                            // level, description, kind, 16 bytes of tag
	maxRefusal = 72                            // payload of a record that says no, and no proof
	maxFailed  = 12 << 10                      // bytes of a connection whose log-in failed: most of them are certificates
	closesIn   = packet.Time(30 * time.Second) // the flow table waits some of it for late packets
)

// Protocols of the negotiation (MS-RDPBCGR 2.2.1.1.1).
const (
	hybrid   = 2
	hybridEx = 8
)

// phase of the connection.
type phase uint8

const (
	opening phase = iota
	sealed        // TLS
	plain         // RDP's own security, or none
)

// Parser reads one connection.
type Parser struct {
	stats  *Stats
	dirs   [2]half
	open   flows.RDP
	cookie [maxCookie]byte
	cut    int // bytes of the cookie
	shape  shape.Shape
	phase  phase
	midway bool
	asked  bool // the request was seen
	told   bool // the opening was written
	new    bool // TLS 1.3
	turns  int  // of sealed data, the client's first
	turn   int  // bytes of the server's second turn
	proof  packet.Time
	last   flows.Ref // of the last whole unit
	bytes  int
	in     flows.Outcome
}

// half is one direction.
type half struct {
	head  []byte // of the unit under way, or the whole opening
	left  int    // bytes of the unit's body to come
	size  int    // of the body
	kind  byte   // of a TLS record
	after byte   // kind of the record before
	done  bool   // the opening of this direction was read
}

// New returns a parser that counts in stats.
func New(stats *Stats) *Parser { return &Parser{stats: stats} }

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) {
	a, b := p.dirs[0].head[:0], p.dirs[1].head[:0]
	*p = Parser{stats: p.stats, midway: midstream}
	p.dirs[0].head, p.dirs[1].head = a, b
}

// Gap implements stream.Parser: units are lost with it.
func (p *Parser) Gap(*flows.Out, *flows.Conn, flows.Dir, int) { p.midway = true }

// Flush implements stream.Parser.
func (p *Parser) Flush(out *flows.Out, c *flows.Conn, end bool) {
	if end {
		p.tell(out, c, flows.Unseen, p.open.RequestRef)
		if p.turns >= 3 && p.turns <= 4 && p.turn <= maxRefusal && p.bytes <= maxFailed && !p.midway && out.Now-p.proof <= closesIn {
			p.logIn(out, c, flows.Failed)
		}
	}
	p.shape.Tell(out, c, flows.AppRDP, p.in, end)
}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	if p.midway {
		p.shape.Tell(out, c, flows.AppRDP, p.in, true)
		return false
	}
	p.bytes += len(b)
	h := &p.dirs[dir]
	for len(b) > 0 {
		if h.left > 0 {
			n := min(h.left, len(b))
			b = b[n:]
			if h.left -= n; h.left == 0 {
				p.unit(out, c, dir, ref)
			}
			continue
		}
		n, more := 0, true
		switch {
		case !h.done:
			n, more = p.first(out, c, dir, b, ref)
		case p.phase == sealed:
			n, more = p.record(out, c, dir, b, ref)
		case p.phase == plain:
			n, more = p.message(out, c, dir, b, ref)
		default:
			return true // the client does not wait for the confirm: it is not an RDP client that we know
		}
		if !more {
			return false
		}
		b = b[n:]
	}
	return true
}

// malformed counts a connection that is given up.
func (p *Parser) malformed(out *flows.Out, c *flows.Conn) (int, bool) {
	p.stats.Malformed++
	p.shape.Tell(out, c, flows.AppRDP, p.in, true)
	return 0, false
}

// first takes bytes of a direction's part of the opening.
func (p *Parser) first(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) (n int, more bool) {
	h := &p.dirs[dir]
	want := 4
	if len(h.head) >= want {
		want = int(binary.BigEndian.Uint16(h.head[2:]))
	}
	n = min(want-len(h.head), len(b))
	h.head = append(h.head, b[:n]...)
	if len(h.head) < want {
		return n, true
	}
	if want == 4 {
		if size := int(binary.BigEndian.Uint16(h.head[2:])); h.head[0] != 3 || size < 11 || size > maxOpening {
			return p.malformed(out, c)
		}
		return n, true
	}
	h.done = true
	body := h.head[4:]
	if int(body[0]) != len(body)-1 {
		return p.malformed(out, c)
	}
	if dir == flows.Orig && body[1] == 0xe0 {
		p.request(body[7:], ref)
	} else if dir == flows.Resp && body[1] == 0xd0 {
		p.confirm(out, c, body[7:], ref)
		if p.open.Outcome == flows.Failed {
			return n, false
		}
	} else {
		return p.malformed(out, c)
	}
	h.head = h.head[:0]
	return n, true
}

// request reads what follows the X.224 header of a connection request (MS-RDPBCGR 2.2.1.1).
func (p *Parser) request(b []byte, ref flows.Ref) {
	p.asked, p.open.RequestRef = true, ref
	if end := bytes.Index(b, []byte("\r\n")); end >= 0 {
		if name, ok := bytes.CutPrefix(b[:end], []byte("Cookie: mstshash=")); ok {
			p.cut = copy(p.cookie[:], name)
		}
		b = b[end+2:]
	}
	if len(b) >= 8 && b[0] == 1 && binary.LittleEndian.Uint16(b[2:]) == 8 {
		p.open.Flags, p.open.Requested = b[1], binary.LittleEndian.Uint32(b[4:])
	}
}

// confirm reads what follows the X.224 header of a connection confirm (MS-RDPBCGR 2.2.1.2).
func (p *Parser) confirm(out *flows.Out, c *flows.Conn, b []byte, ref flows.Ref) {
	p.phase = plain
	outcome := flows.Succeeded
	if len(b) >= 8 && binary.LittleEndian.Uint16(b[2:]) == 8 {
		value := binary.LittleEndian.Uint32(b[4:])
		switch b[0] {
		case 2:
			p.open.Granted, p.open.Selected = b[1], value
			if value != 0 {
				p.phase = sealed
			}
		case 3:
			outcome, p.open.Failure = flows.Failed, value
			p.stats.Refused++
		}
	}
	if outcome == flows.Succeeded {
		p.stats.Confirmed++
	}
	p.tell(out, c, outcome, ref)
}

// tell writes the opening, once, where a request was seen.
func (p *Parser) tell(out *flows.Out, c *flows.Conn, outcome flows.Outcome, ref flows.Ref) {
	if p.told || !p.asked {
		p.open.Outcome = outcome
		return
	}
	p.told = true
	p.open.Meta, p.open.Conn, p.open.Outcome = flows.Meta{Ref: ref}, *c, outcome
	p.open.Cookie = out.Put(p.cookie[:p.cut])
	out.RDP(&p.open)
}

// record takes bytes of a TLS record's header.
func (p *Parser) record(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) (n int, more bool) {
	h := &p.dirs[dir]
	n = min(5-len(h.head), len(b))
	if h.head = append(h.head, b[:n]...); len(h.head) < 5 {
		return n, true
	}
	size := int(binary.BigEndian.Uint16(h.head[3:]))
	if h.head[0] < 20 || h.head[0] > 24 || h.head[1] != 3 || size > maxRecord {
		return p.malformed(out, c)
	}
	h.kind, h.size, h.left, h.head = h.head[0], size, size, h.head[:0]
	if size == 0 {
		p.unit(out, c, dir, ref)
	}
	return n, true
}

// message takes bytes of the header of a TPKT or a fast-path unit.
func (p *Parser) message(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) (n int, more bool) {
	h := &p.dirs[dir]
	want := 2
	if len(h.head) > 0 {
		want = headerLen(h.head)
	}
	n = min(want-len(h.head), len(b))
	if h.head = append(h.head, b[:n]...); len(h.head) < headerLen(h.head) {
		return n, true
	}
	var size int
	switch len(h.head) {
	case 4:
		size = int(binary.BigEndian.Uint16(h.head[2:]))
	case 3:
		size = int(h.head[1]&0x7f)<<8 | int(h.head[2])
	default:
		size = int(h.head[1])
	}
	if size -= len(h.head); size < 0 || h.head[0]&3 != 0 && h.head[0] != 3 {
		return p.malformed(out, c)
	}
	h.kind, h.size, h.left, h.head = data, size, size, h.head[:0]
	if size == 0 {
		p.unit(out, c, dir, ref)
	}
	return n, true
}

// headerLen is the length of the header that begins so: 4 of a TPKT, 2 or 3 of a fast-path unit.
func headerLen(b []byte) int {
	switch {
	case b[0] == 3:
		return 4
	case len(b) > 1 && b[1]&0x80 != 0:
		return 3
	}
	return 2
}

// Kinds of TLS records.
const (
	cipher = 20
	data   = 23
)

// unit takes a whole record or message.
func (p *Parser) unit(out *flows.Out, c *flows.Conn, dir flows.Dir, ref flows.Ref) {
	h := &p.dirs[dir]
	before := h.after
	h.after, p.last = h.kind, ref
	if h.kind != data {
		return
	}
	if dir == flows.Orig && before == cipher { // up to TLS 1.2 the end of the handshake follows, as such
		p.new = true
		return
	}
	if p.new && h.size <= maxAlert {
		return
	}
	if p.phase == sealed && p.open.Selected&(hybrid|hybridEx) != 0 && p.in == flows.Unseen {
		if d := flows.Dir(p.turns&1) ^ flows.Resp; p.turns == 0 && dir == flows.Orig || p.turns > 0 && dir != d {
			if p.turns++; p.turns == 3 {
				p.proof = out.Now
			}
		}
		switch p.turns {
		case 4:
			p.turn += h.size
		case 7:
			p.logIn(out, c, flows.Succeeded)
			p.shape.Reset()
		}
	}
	p.shape.Take(out.Now, dir, h.size, ref)
}

// logIn writes what came of the log-in.
func (p *Parser) logIn(out *flows.Out, c *flows.Conn, outcome flows.Outcome) {
	p.in = outcome
	if outcome == flows.Succeeded {
		p.stats.Successes++
	} else {
		p.stats.Failures++
	}
	a := flows.Auth{Meta: flows.Meta{Ref: p.last}, Conn: *c, Method: flows.AuthPassword, Over: flows.AppRDP, Outcome: outcome}
	a.User = out.Put(p.cookie[:p.cut])
	out.Auth(&a)
}
