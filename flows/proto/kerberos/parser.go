package kerberos

import (
	"encoding/binary"

	"neuromast/flows"
)

// Parser reads Kerberos over TCP: messages behind a length of four bytes (RFC 4120, 7.2.2).
type Parser struct {
	stats *Stats
	req   request
	ans   answer
	dirs  [2]half
}

// half is one direction: the begun message with its length.
type half struct {
	buf  []byte
	skip int // bytes of a message that is not read
	lost bool
}

// New returns a parser that counts in stats.
func New(stats *Stats) *Parser { return &Parser{stats: stats} }

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) {
	p.req.open = false
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
	h.buf, h.skip, h.lost = h.buf[:0], 0, true
}

// Flush implements stream.Parser: at the end an open request has no answer.
func (p *Parser) Flush(out *flows.Out, c *flows.Conn, end bool) {
	if end && p.req.open {
		write(out, c, &p.req, nil, p.req.ref, p.stats)
		p.req.open = false
	}
}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	h := &p.dirs[dir]
	if h.lost { // a message begins a write
		if len(b) < 6 || !known(b[4]) {
			return true
		}
		h.lost = false
	}
	for len(b) > 0 {
		if h.skip > 0 {
			n := min(h.skip, len(b))
			h.skip -= n
			b = b[n:]
			continue
		}
		want := 4
		if len(h.buf) >= 4 {
			want = 4 + int(binary.BigEndian.Uint32(h.buf))
		}
		n := min(want-len(h.buf), len(b))
		h.buf = append(h.buf, b[:n]...)
		b = b[n:]
		switch {
		case len(h.buf) == 4:
			if size := binary.BigEndian.Uint32(h.buf); size == 0 || size > 1<<24 {
				p.stats.Malformed++
				return false
			} else if size > maxMessage {
				p.stats.TooLong++
				h.skip, h.buf = int(size), h.buf[:0]
			}
		case len(h.buf) == want:
			p.message(out, c, h.buf[4:], ref)
			h.buf = h.buf[:0]
		}
	}
	return true
}

// known says that a message begins so.
func known(tag byte) bool { return isRequest(tag) || isAnswer(tag) }

func isRequest(tag byte) bool { return tag == tagASReq || tag == tagTGSReq }
func isAnswer(tag byte) bool  { return tag == tagASRep || tag == tagTGSRep || tag == tagError }

// message takes a whole message; others than those with a key distribution centre are not looked at.
func (p *Parser) message(out *flows.Out, c *flows.Conn, b []byte, ref flows.Ref) {
	if len(b) < 2 || !known(b[0]) {
		return
	}
	if isRequest(b[0]) {
		if p.req.open {
			write(out, c, &p.req, nil, p.req.ref, p.stats)
		}
		if p.req.open = p.req.read(b); p.req.open {
			p.req.ref = ref
		} else {
			p.stats.Malformed++
		}
		return
	}
	if !p.ans.read(b) {
		p.stats.Malformed++
		return
	}
	if !p.req.open {
		p.req = request{}
	}
	write(out, c, &p.req, &p.ans, ref, p.stats)
	p.req.open = false
}
