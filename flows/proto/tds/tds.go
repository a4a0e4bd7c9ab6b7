// Package tds reads what clients ask of Microsoft SQL Server over TDS (MS-TDS 2.2): log-ins with what came of them (LOGIN7,
// SSPI), batches and remote procedure calls with whether they failed. Passwords are not kept.
//
// Where only the log-in is encrypted (MS-TDS 2.2.6.5, ENCRYPT_OFF: what clients do unless told otherwise) its packet is passed
// over and the rest is read; where everything is, the connection is left. TDS 8 begins with TLS and is named so.
//
// Limits: the first 12 KiB of a request and 8 KiB of the answer to a log-in are looked at; statements are cut at 4,096 bytes
// of UTF-8. Of requests of several sessions in one connection (MC-SMP) those that come in several packets may be mixed up.
package tds

import (
	"encoding/binary"

	"neuromast/flows"
)

// Stats counts what was read and what was strange.
type Stats struct {
	Logins    uint64
	Requests  uint64
	Sealed    uint64 // connections left because everything is encrypted
	Malformed uint64 // packets that contradict themselves
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Logins += o.Logins
	s.Requests += o.Requests
	s.Sealed += o.Sealed
	s.Malformed += o.Malformed
}

// Types of packets (MS-TDS 2.2.3.1.1).
const (
	typeBatch    = 0x01
	typeCall     = 0x03
	typeAnswer   = 0x04
	typeLogin7   = 0x10
	typeSSPI     = 0x11
	typePrelogin = 0x12
)

const (
	header       = 8
	smpHeader    = 16 // MC-SMP 2.2.1
	smp          = 0x53
	tlsHeader    = 5
	tlsData      = 23
	maxPacket    = 32767
	maxRequest   = 12 << 10
	maxAnswer    = 8 << 10
	maxStatement = 4096
	maxName      = 128
	maxKept      = 2 << 10 // buffer that a pooled parser keeps
	maxBroken    = 8       // malformed packets after which a connection is left
	doneSize     = 13      // MS-TDS 2.2.7.6
)

// half is one direction.
type half struct {
	head [smpHeader]byte
	n    int // bytes of head
	left int // bytes of the packet that are still to come
	skip int // bytes of a record of TLS that are still to come
	kind byte
	last bool // the packet ends its message
	msg  []byte
	size int  // bytes of the message so far
	hole bool // bytes are missing: msg does not grow any more
	tail [doneSize]byte
	lost bool
}

func (h *half) reset(lost bool) {
	if cap(h.msg) > maxKept {
		h.msg = nil
	}
	*h = half{msg: h.msg[:0], lost: lost}
}

// Parser reads one connection.
type Parser struct {
	stats  *Stats
	dirs   [2]half
	client flows.Dir
	known  bool
	broken int
	logon  logon
	asked  struct {
		statement []byte
		ref       flows.Ref
		size      int
		open      bool
		call      bool
	}
	facing flows.Conn
}

// New returns a parser that counts in stats.
func New(stats *Stats) *Parser { return &Parser{stats: stats} }

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) {
	for i := range p.dirs {
		p.dirs[i].reset(midstream)
	}
	if cap(p.asked.statement) > maxKept {
		p.asked.statement = nil
	}
	p.client, p.known, p.broken, p.asked.open, p.asked.statement = flows.Orig, false, 0, false, p.asked.statement[:0]
	p.logon.reset()
}

// Gap implements stream.Parser.
func (p *Parser) Gap(_ *flows.Out, _ *flows.Conn, dir flows.Dir, n int) {
	h := &p.dirs[dir]
	switch {
	case n > 0 && n <= h.skip:
		h.skip -= n
	case n > 0 && n < h.left:
		h.left -= n
		h.size += n
		h.hole = true
	default:
		h.reset(true)
	}
}

// Flush implements stream.Parser.
func (p *Parser) Flush(out *flows.Out, c *flows.Conn, end bool) {
	p.face(c)
	if end {
		p.write(out, flows.Unseen, p.asked.ref)
		p.logonDone(out, flows.Unseen, 0, p.logon.ref)
	}
}

// face makes the facts' connection: its originator is the client.
func (p *Parser) face(c *flows.Conn) {
	p.facing = *c
	if p.client == flows.Resp {
		p.facing.Orig, p.facing.Resp, p.facing.OrigPort, p.facing.RespPort = c.Resp, c.Orig, c.RespPort, c.OrigPort
	}
}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	p.face(c)
	h := &p.dirs[dir]
	if h.lost {
		if !begins(b) {
			return true
		}
		h.lost = false
	}
	for len(b) > 0 {
		switch {
		case h.skip > 0:
			n := min(h.skip, len(b))
			h.skip -= n
			b = b[n:]
		case h.left > 0:
			n := min(h.left, len(b))
			h.take(b[:n], p.keep(dir, h.kind))
			b = b[n:]
			if h.left == 0 && h.last {
				p.message(out, dir, ref)
				h.msg, h.size, h.hole = h.msg[:0], 0, false
			}
		default:
			want := header
			switch first := b[0]; {
			case h.n > 0:
				want = wanted(h.head[0])
			default:
				want = wanted(first)
			}
			n := min(want-h.n, len(b))
			copy(h.head[h.n:], b[:n])
			h.n += n
			b = b[n:]
			if h.n == want {
				h.n = 0
				if !p.begin(out, c, dir, ref) {
					return false
				}
				if h.lost {
					return p.broken <= maxBroken
				}
			}
		}
	}
	return true
}

// wanted returns how long the header is that begins so.
func wanted(first byte) int {
	switch {
	case first == smp:
		return smpHeader
	case first >= 20 && first <= tlsData:
		return tlsHeader
	}
	return header
}

// begins says that a packet begins here, where one was lost.
func begins(b []byte) bool {
	if len(b) < header || !fits(b) {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	return n == len(b) || n < len(b) && wanted(b[n]) == header && b[n] <= typePrelogin || n > len(b) && len(b) > 500
}

// fits says that a header is one of a known type (MS-TDS 2.2.3.1).
func fits(b []byte) bool {
	switch b[0] {
	case 1, 2, 3, 4, 6, 7, 8, 14, typeLogin7, typeSSPI, typePrelogin:
	default:
		return false
	}
	n := binary.BigEndian.Uint16(b[2:])
	return b[1] <= 0x1f && n >= header && n <= maxPacket && b[7] == 0
}

// begin reads the header of a packet or record. It returns false where the connection is to be left.
func (p *Parser) begin(out *flows.Out, c *flows.Conn, dir flows.Dir, ref flows.Ref) bool {
	h := &p.dirs[dir]
	switch b := h.head[:]; {
	case b[0] == smp:
		return true
	case wanted(b[0]) == tlsHeader:
		if h.skip = int(binary.BigEndian.Uint16(b[3:])); b[1] != 3 || h.skip == 0 {
			p.fail(h)
			return true
		}
		if b[0] == tlsData && p.known {
			if dir != p.client {
				p.stats.Sealed++
				return false
			}
			if !p.logon.open { // the packet of the log-in, encrypted
				p.logon.reset()
				p.logon.open, p.logon.ref, p.logon.method = true, ref, flows.AuthPassword
			}
		}
	case !fits(b):
		p.fail(h)
	default:
		h.kind, h.last, h.left = b[0], b[1]&1 != 0, int(binary.BigEndian.Uint16(b[2:]))-header
		if !p.known && h.kind != typePrelogin {
			p.known = true
			if p.client = dir; h.kind == typeAnswer {
				p.client = dir.Other()
			}
			p.face(c)
		} else if !p.known && dir == flows.Orig {
			p.known = true
		}
		if h.left == 0 && h.last { // an attention, or an empty message
			h.msg, h.size, h.hole = h.msg[:0], 0, false
		}
	}
	return true
}

// fail counts a packet that contradicts itself; the next one is then looked for.
func (p *Parser) fail(h *half) {
	p.stats.Malformed++
	p.broken++
	h.reset(true)
}

// keep says how much of a message is looked at.
func (p *Parser) keep(dir flows.Dir, kind byte) int {
	switch {
	case dir != p.client && (p.logon.open || p.logon.begun):
		return maxAnswer
	case dir != p.client:
		return 1
	case kind == typeBatch || kind == typeCall || kind == typeLogin7 || kind == typeSSPI:
		return maxRequest
	}
	return 0
}

// take takes bytes of a packet, of which a message's first ones are kept, and its last.
func (h *half) take(b []byte, bound int) {
	h.left -= len(b)
	h.size += len(b)
	if !h.hole && len(h.msg) < bound {
		h.msg = append(h.msg, b[:min(len(b), bound-len(h.msg))]...)
	}
	if len(b) >= doneSize {
		copy(h.tail[:], b[len(b)-doneSize:])
	} else {
		copy(h.tail[:], h.tail[len(b):])
		copy(h.tail[doneSize-len(b):], b)
	}
}

// message takes a whole message, of which the first bytes are kept.
func (p *Parser) message(out *flows.Out, dir flows.Dir, ref flows.Ref) {
	h := &p.dirs[dir]
	if dir != p.client {
		if h.kind != typeAnswer {
			return
		}
		if p.logon.open || p.logon.begun {
			p.welcome(out, h.msg, ref)
		}
		p.answer(out, h, ref)
		return
	}
	switch h.kind {
	case typeLogin7:
		p.login(out, h.msg, ref)
		clear(h.msg) // it holds a password
	case typeSSPI:
		p.proof(out, h.msg, ref)
	case typeBatch, typeCall:
		p.write(out, flows.Unseen, p.asked.ref)
		q := &p.asked
		q.open, q.ref, q.size, q.call = true, ref, h.size, h.kind == typeCall
		if body := behindHeaders(h.msg); q.call {
			q.statement = appendCall(q.statement[:0], body)
		} else {
			q.statement = clip(appendWide(q.statement[:0], body))
		}
	}
}

// answer ends the request that is open: its last token says whether anything failed (MS-TDS 2.2.7.6).
func (p *Parser) answer(out *flows.Out, h *half, ref flows.Ref) {
	const done, doneInProc, failed = 0xfd, 0xff, 2
	o := flows.Succeeded
	if h.size >= doneSize && h.tail[0] >= done && h.tail[0] <= doneInProc && binary.LittleEndian.Uint16(h.tail[1:])&failed != 0 ||
		len(h.msg) > 0 && h.msg[0] == tokenError {
		o = flows.Failed
	}
	p.write(out, o, ref)
}

// write tells of the open request, if any.
func (p *Parser) write(out *flows.Out, o flows.Outcome, ref flows.Ref) {
	q := &p.asked
	if !q.open {
		return
	}
	q.open = false
	p.stats.Requests++
	out.SQL(&flows.SQL{
		Meta: flows.Meta{Ref: ref}, Conn: p.facing, RequestRef: q.ref, Statement: out.Put(q.statement), User: out.Put(p.logon.account), Client: out.Put(p.logon.host),
		Program: out.Put(p.logon.program), Length: uint32(min(q.size, 1<<32-1)), Outcome: o, Call: q.call,
	})
}

// behindHeaders returns what lies behind the headers of a request (MS-TDS 2.2.5.3), which older clients don't send.
func behindHeaders(b []byte) []byte {
	le := binary.LittleEndian
	if len(b) < 10 {
		return b
	}
	total, first, kind := le.Uint32(b), le.Uint32(b[4:]), le.Uint16(b[8:])
	if total < 10 || total > 512 || first < 6 || first > total-4 || kind < 1 || kind > 3 || int(total) > len(b) {
		return b
	}
	return b[total:]
}

// Recognise says that a request on the port of SQL Server begins here, where the start was not seen.
func Recognise(b []byte) bool {
	return len(b) >= header && (b[0] == typeBatch || b[0] == typeCall) && fits(b) && len(behindHeaders(b[header:])) < len(b)-header
}
