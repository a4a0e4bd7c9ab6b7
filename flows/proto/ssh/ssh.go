// Package ssh tells from the sizes of sealed packets whether log-ins over SSH fail or succeed.
//
// Up to the new keys the transport speaks in the clear (RFC 4253, 4.2 and 6 to 7.3). What follows is known by its order: the
// client asks for the authentication service and the server accepts it (10), then every request gets an answer (RFC 4252,
// 5.1). Padding hides little: the acceptance carries 17 bytes, a success one byte, so a success is the only answer that is
// shorter than the acceptance, by a block of 8 or 16 bytes with any cipher. A failure carries the list of methods that can
// go on, the same each time, so all failures of a connection have one size. The first answer after the acceptance is the
// failure of the method "none", by which clients learn that list; it is no log-in that failed. Answers of other sizes ask
// for more (a key that would do, a prompt) and say nothing.
//
// An answer is measured by the first segment after the client spoke: servers write each packet at once.
//
// Limits: 64 answers; banners and packets in the clear of 35,000 bytes (RFC 4253, 6.1). Connections whose start was not seen
// are not read, and those with a gap no further.
package ssh

import (
	"bytes"
	"encoding/binary"

	"neuromast/flows"
)

// Stats counts what was read and what was strange.
type Stats struct {
	Sealed    uint64 // connections that came to new keys on both sides
	Failures  uint64
	Successes uint64
	Malformed uint64 // connections whose packets in the clear contradict the protocol
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Sealed += o.Sealed
	s.Failures += o.Failures
	s.Successes += o.Successes
	s.Malformed += o.Malformed
}

const (
	maxAnswers = 64
	maxPacket  = 35000
	msgNewKeys = 21
)

// phase of one direction.
type phase uint8

const (
	banner phase = iota
	clear
	sealed
)

// Parser reads one connection.
type Parser struct {
	stats   *Stats
	dirs    [2]half
	asked   bool // the client spoke since the server did
	answers int
	accept  int // bytes of the acceptance
	fail    int // bytes of a failure
	midway  bool
}

// half is one direction.
type half struct {
	phase phase
	head  [6]byte // of a packet: length, padding, type
	have  int
	skip  int
	line  int    // bytes of banner lines so far
	begin []byte // first bytes of the line
	last  bool   // the packet ends what is in the clear
}

// New returns a parser that counts in stats.
func New(stats *Stats) *Parser { return &Parser{stats: stats} }

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) { *p = Parser{stats: p.stats, midway: midstream} }

// Gap implements stream.Parser: order and sizes are lost with it.
func (p *Parser) Gap(*flows.Out, *flows.Conn, flows.Dir, int) { p.midway = true }

// Flush implements stream.Parser. Nothing waits here.
func (p *Parser) Flush(*flows.Out, *flows.Conn, bool) {}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	if p.midway {
		return false
	}
	h := &p.dirs[dir]
	for len(b) > 0 && h.phase != sealed {
		n, ok := h.take(b)
		if !ok {
			p.stats.Malformed++
			return false
		}
		b = b[n:]
		if h.phase == sealed && p.dirs[dir.Other()].phase == sealed {
			p.stats.Sealed++
		}
	}
	if len(b) == 0 {
		return true
	}
	if dir == flows.Orig {
		p.asked = true
		return true
	}
	if !p.asked || p.dirs[flows.Orig].phase != sealed {
		return true // extensions that nobody asked for (RFC 8308), and what follows the first segment of an answer
	}
	p.asked = false
	return p.answer(out, c, len(b), ref)
}

// answer takes the size of what the server said to a request.
func (p *Parser) answer(out *flows.Out, c *flows.Conn, size int, ref flows.Ref) bool {
	p.answers++
	a := flows.Auth{Meta: flows.Meta{Ref: ref}, Conn: *c, Method: flows.AuthPassword, Over: flows.AppSSH}
	switch {
	case p.answers == 1:
		p.accept = size
		return true
	case size < p.accept:
		a.Outcome = flows.Succeeded
		p.stats.Successes++
		out.Auth(&a)
		return false
	case p.answers == 2:
		p.fail = size
		return true
	case size == p.fail:
		a.Outcome = flows.Failed
		p.stats.Failures++
		out.Auth(&a)
	}
	return p.answers < maxAnswers
}

// take reads a part of b in the clear and returns its length.
func (h *half) take(b []byte) (n int, ok bool) {
	if h.phase == banner { // lines before the version are allowed to the server (RFC 4253, 4.2)
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			h.line += len(b)
			h.begin = append(h.begin, b[:min(len(b), 4-min(4, len(h.begin)))]...)
			return len(b), h.line < maxPacket
		}
		h.begin = append(h.begin, b[:min(end, 4-min(4, len(h.begin)))]...)
		if string(h.begin) == "SSH-" {
			h.phase = clear
		}
		h.begin = h.begin[:0]
		h.line += end + 1
		return end + 1, h.line < maxPacket
	}
	if h.skip > 0 {
		n = min(h.skip, len(b))
		if h.skip -= n; h.skip == 0 && h.last {
			h.phase = sealed
		}
		return n, true
	}
	n = copy(h.head[h.have:], b)
	if h.have += n; h.have < len(h.head) {
		return n, true
	}
	size := int(binary.BigEndian.Uint32(h.head[:]))
	if size < 2 || size > maxPacket {
		return n, false
	}
	h.skip, h.have = size-2, 0
	h.last = h.head[5] == msgNewKeys
	if h.last && h.skip == 0 {
		h.phase = sealed
	}
	return n, true
}
