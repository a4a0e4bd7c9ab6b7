package dns

import (
	"encoding/binary"

	"neuromast/flows"
)

// maxSearch is how many segments a parser looks at for a message boundary before it gives up; chosen by us.
const maxSearch = 16

// maxKept is the buffer that a pooled parser keeps, in bytes; what a long message needed beyond it is given back.
const maxKept = 8 << 10

// Parser reads DNS over TCP: messages with a length of two bytes before each (RFC 1035, 4.2.2; RFC 7766). A message has
// at most 64 KiB, which bounds the buffer of each direction. Open queries live in the shard's Transactions, where they
// time out as those over UDP do.
//
// After a gap, or where the start of the connection was not seen, a segment that begins with a length and a
// recognisable message is a boundary: senders put one into one write.
type Parser struct {
	t    *Transactions
	app  flows.App
	dirs [2]half
}

// half is one direction: the begun message with its length prefix, and whether the place of boundaries is known.
type half struct {
	buf      []byte
	searches int
	lost     bool
}

// Parser returns a parser for one connection that speaks app (AppDNS or AppLLMNR).
func (t *Transactions) Parser(app flows.App) *Parser { return &Parser{t: t, app: app} }

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) {
	for i := range p.dirs {
		h := &p.dirs[i]
		if cap(h.buf) > maxKept {
			h.buf = nil
		}
		*h = half{buf: h.buf[:0], lost: midstream}
	}
}

// Gap implements stream.Parser: a begun message is lost.
func (p *Parser) Gap(_ *flows.Out, _ *flows.Conn, dir flows.Dir, _ int) {
	h := &p.dirs[dir]
	h.buf, h.lost = h.buf[:0], true
}

// Flush implements stream.Parser. Nothing waits here.
func (p *Parser) Flush(*flows.Out, *flows.Conn, bool) {}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	h := &p.dirs[dir]
	if h.lost {
		if !RecogniseStream(b) {
			if h.searches++; h.searches < maxSearch {
				return true
			}
			p.t.stats.GivenUp++
			return false
		}
		h.lost = false
		p.t.stats.Resynchronised++
	}
	for len(b) > 0 {
		if len(h.buf) == 0 && len(b) >= 2+headerLen { // the usual case: whole messages in one segment
			n := 2 + int(binary.BigEndian.Uint16(b))
			if !prefixed(b) {
				return p.stray(h)
			}
			if n <= len(b) {
				p.t.message(out, c, dir, p.app, b[2:n], n-2, ref)
				b = b[n:]
				continue
			}
		}
		want := 2 + headerLen
		if len(h.buf) >= want {
			if !prefixed(h.buf) {
				return p.stray(h)
			}
			want = 2 + int(binary.BigEndian.Uint16(h.buf))
		}
		take := min(want-len(h.buf), len(b))
		h.buf = append(h.buf, b[:take]...)
		b = b[take:]
		if len(h.buf) == want && want > 2+headerLen {
			p.t.message(out, c, dir, p.app, h.buf[2:], want-2, ref)
			h.buf = h.buf[:0]
		}
	}
	return true
}

// stray handles bytes at a boundary that no message begins with: the boundary was wrong, so the next segment is asked.
func (p *Parser) stray(h *half) bool {
	p.t.stats.Malformed++
	h.buf, h.lost = h.buf[:0], true
	if h.searches++; h.searches < maxSearch {
		return true
	}
	p.t.stats.GivenUp++
	return false
}

// prefixed says that b, of at least 2 + headerLen bytes, begins with the length of a message that can be one.
func prefixed(b []byte) bool {
	h := readHeader(b[2:])
	return int(binary.BigEndian.Uint16(b)) > headerLen && h.plausible()
}

// RecogniseStream says that b begins with a length and a DNS message that it can hold.
func RecogniseStream(b []byte) bool {
	return len(b) >= 2+headerLen && int(binary.BigEndian.Uint16(b)) > headerLen && Recognise(b[2:]) == flows.AppDNS
}
