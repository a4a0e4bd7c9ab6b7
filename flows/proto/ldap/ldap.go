// Package ldap reads directory operations (RFC 4511): binds and searches with what came of them. Log-ins by NTLM (SASL
// GSS-SPNEGO, or Microsoft's own package, MS-ADTS 5.1.1.1.3) and by a password in clear are told besides; passwords are not
// kept.
//
// What a bind protects travels in SASL buffers of four bytes of length (RFC 4422, 3.7). Where the tokens in them carry
// integrity alone (Kerberos: RFC 4121, 4.2.6.2 and RFC 4757, 7.3; NTLM: MS-NLMP 3.4.4) the messages are read as if they were
// bare. Sealed ones are counted by their size.
//
// Limits: the first 16 KiB of a message are looked at, the rest is passed over by its length; 32 operations of a connection
// wait for their result, beyond it the oldest is written without one; filters nested deeper than 32 are cut there. A
// connection that goes over to TLS (RFC 4511, 4.14) is left. Modifications are not told; LDAP over UDP is named, not read.
package ldap

import (
	"encoding/binary"
	"slices"

	"neuromast/flows"
	"neuromast/flows/proto/ber"
)

// Stats counts what was read and what was strange.
type Stats struct {
	Messages  uint64 // whole ones, bare or signed
	Sealed    uint64 // buffers that can't be read
	Malformed uint64 // messages and buffers that contradict themselves
	Displaced uint64 // operations given up because too many waited
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Messages += o.Messages
	s.Sealed += o.Sealed
	s.Malformed += o.Malformed
	s.Displaced += o.Displaced
}

const (
	maxHead    = 16 << 10 // of a message that are looked at
	maxKept    = 2 << 10  // buffer that a pooled parser keeps
	maxMessage = 1 << 24
	maxPending = 32
	keptSlots  = 4 // operations whose buffers a pooled parser keeps
	maxBroken  = 8 // malformed messages after which a connection is left
	maxToken   = 64
	maxName    = 256
	maxFilter  = 1024
	maxAsked   = 512
	maxJava    = 256
)

// Tags of operations (RFC 4511, 4.2 to 4.14) and of authentication choices (4.2; MS-ADTS 5.1.1.1.3).
const (
	tagBind       = 0x60
	tagBindAnswer = 0x61
	tagUnbind     = 0x42
	tagSearch     = 0x63
	tagEntry      = 0x64
	tagDone       = 0x65
	tagReference  = 0x73
	tagExtended   = 0x77
	tagExtAnswer  = 0x78
	tagControls   = 0xa0
	tagSimple     = 0x80
	tagSASL       = 0xa3
)

// Parser reads one connection.
type Parser struct {
	stats         *Stats
	dirs          [2]half
	pending       []operation // those that wait, oldest first, in pending[:waiting]
	waiting       int
	logon         logon
	client        flows.Dir // the side that asks
	known         bool      // client is known
	startTLS, tls bool
	broken        int
	sealed        struct {
		bytes   uint64
		answers uint32
		ref     flows.Ref
	}
	scratch []byte
	facing  flows.Conn
}

// half is one direction: the SASL buffer it is in, and the message.
type half struct {
	token    []byte // begun head of a SASL buffer: its length and the token's first bytes
	left     int    // bytes of the buffer that are still to come; 0: outside of one
	pos      int    // bytes of the buffer that have come
	from, to int    // where the plain message lies in the buffer
	decided  bool   // from and to are known

	msg  []byte // first bytes of the message
	need int    // bytes of the whole message; 0: not known yet
	got  int
	hole bool // bytes are missing: msg does not grow any more
	lost bool // where the next message begins is not known
}

func (h *half) reset(lost bool) {
	if cap(h.msg) > maxKept {
		h.msg = nil
	}
	*h = half{token: h.token[:0], msg: h.msg[:0], lost: lost}
}

// New returns a parser that counts in stats.
func New(stats *Stats) *Parser { return &Parser{stats: stats} }

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) {
	for i := range p.dirs {
		p.dirs[i].reset(midstream)
	}
	if len(p.pending) > keptSlots {
		p.pending = slices.Clip(p.pending[:keptSlots:keptSlots])
	}
	p.waiting, p.client, p.known, p.startTLS, p.tls, p.broken = 0, flows.Orig, false, false, false, 0
	p.sealed.bytes, p.sealed.answers = 0, 0
	p.logon.reset()
}

// Gap implements stream.Parser.
func (p *Parser) Gap(_ *flows.Out, _ *flows.Conn, dir flows.Dir, n int) {
	h := &p.dirs[dir]
	inBuffer := h.left > 0 && h.decided && n <= h.left
	if n > 0 && (inBuffer || h.left == 0 && len(h.token) == 0) && h.need > 0 && h.got+n < h.need {
		h.hole = true
		h.got += n
		if inBuffer {
			h.pass(n)
		}
		return
	}
	if n > 0 && inBuffer && h.from == h.to { // sealed: nothing is lost but bytes
		h.pass(n)
		return
	}
	h.reset(true)
}

// pass leaves bytes of a SASL buffer behind.
func (h *half) pass(n int) {
	h.pos += n
	if h.left -= n; h.left <= 0 {
		h.left, h.decided = 0, false
	}
}

// Flush implements stream.Parser.
func (p *Parser) Flush(out *flows.Out, c *flows.Conn, end bool) {
	p.face(c)
	p.tellSealed(out)
	if end {
		for i := range p.waiting {
			p.write(out, &p.pending[i], p.pending[i].ref)
		}
		p.waiting = 0
		p.logonDone(out, flows.Unseen, 0, p.logon.ref)
	}
}

// face makes the facts' connection: its originator is the side that asks.
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
	for len(b) > 0 && !h.lost {
		switch {
		case h.left > 0:
			b = p.buffer(out, dir, b, ref)
		case h.need > 0 || len(h.msg) > 0 || len(h.token) == 0 && b[0] == 0x30:
			b = p.feed(out, dir, b, ref)
		default:
			b = p.length(dir, b)
		}
		if p.tls || p.broken > maxBroken {
			return false
		}
	}
	return true
}

// begins says that a message or a SASL buffer begins here, where one was lost.
func begins(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	if b[0] == 0x30 {
		_, start, size, ok := ber.Element(b)
		return ok && size < maxMessage && start+2 < len(b) && b[start] == 2 && b[start+1] >= 1 && b[start+1] <= 4
	}
	n := binary.BigEndian.Uint32(b)
	return n >= 16 && n < maxMessage && (b[4] == 5 && b[5] == 4 || b[4] == 1 && b[5] == 0 && b[6] == 0 && b[7] == 0 || b[4] == 0x60)
}

// fail counts what contradicts itself; the next message is then looked for.
func (p *Parser) fail(h *half) {
	p.stats.Malformed++
	p.broken++
	h.reset(true)
}

// length reads the length of a SASL buffer.
func (p *Parser) length(dir flows.Dir, b []byte) []byte {
	h := &p.dirs[dir]
	n := min(4-len(h.token), len(b))
	h.token = append(h.token, b[:n]...)
	if len(h.token) == 4 {
		size := binary.BigEndian.Uint32(h.token)
		if size == 0 || size > maxMessage {
			p.fail(h)
			return nil
		}
		h.left, h.pos, h.decided, h.token = int(size), 0, false, h.token[:0]
	}
	return b[n:]
}

// buffer takes bytes of a SASL buffer and returns what lies behind it.
func (p *Parser) buffer(out *flows.Out, dir flows.Dir, b []byte, ref flows.Ref) []byte {
	h := &p.dirs[dir]
	if !h.decided {
		size := h.left
		n := min(min(maxToken, size)-len(h.token), len(b))
		h.token = append(h.token, b[:n]...)
		b = b[n:]
		if len(h.token) < min(maxToken, size) {
			return b
		}
		h.decided = true
		if h.from, h.to = signed(h.token, size); h.from == h.to {
			p.stats.Sealed++
			p.sealed.ref = ref
			if !p.known { // Windows' servers listen on ports that clients don't have
				p.known, p.client = true, flows.Orig
				if o := p.facing.OrigPort; o == 389 || o == 3268 {
					p.client = flows.Resp
				}
			}
			if dir != p.client {
				p.sealed.answers++
				p.sealed.bytes += uint64(size)
			}
		}
		var head [maxToken]byte
		n = copy(head[:], h.token)
		h.token = h.token[:0]
		p.inside(out, dir, head[:n], ref)
		return b
	}
	n := min(h.left, len(b))
	p.inside(out, dir, b[:n], ref)
	return b[n:]
}

// inside takes bytes of a SASL buffer whose token is known and gives the plain ones on.
func (p *Parser) inside(out *flows.Out, dir flows.Dir, b []byte, ref flows.Ref) {
	h := &p.dirs[dir]
	from, to := max(h.from-h.pos, 0), min(h.to-h.pos, len(b))
	h.pass(len(b))
	for from < to && !h.lost && !p.tls {
		rest := p.feed(out, dir, b[from:to], ref)
		from = to - len(rest)
	}
}

// kerberosOID is the mechanism that a token of RFC 1964 names.
var kerberosOID = []byte("\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x02\x01")

// signed returns where in a SASL buffer of so many bytes the plain message lies; nowhere (0, 0) where it is sealed. The
// buffer's first bytes are given.
func signed(b []byte, size int) (from, to int) {
	be := binary.BigEndian
	switch {
	case len(b) >= 16 && b[0] == 5 && b[1] == 4 && b[2]&2 == 0: // RFC 4121, 4.2.6.2: not sealed, turned right by RRC
		extra, turned := int(be.Uint16(b[4:])), int(be.Uint16(b[6:]))
		if body := size - 16; extra <= body && turned <= extra {
			return 16 + turned, size - extra + turned
		}
	case len(b) > 16 && b[0] == 1 && b[1] == 0 && b[2] == 0 && b[3] == 0: // MS-NLMP 2.2.2.9: a signature, then the message
		if _, at, n, ok := ber.Element(b[16:]); ok && b[16] == 0x30 && 16+at+n <= size && 16+at < len(b) && b[16+at] == 2 {
			return 16, size
		}
	case len(b) > 48 && b[0] == 0x60: // RFC 1964, 1.2.2 with RC4 (RFC 4757, 7.3): no sealing algorithm
		_, at, _, ok := ber.Element(b)
		if at += len(kerberosOID); ok && at+30 < len(b) && string(b[at-len(kerberosOID):at]) == string(kerberosOID) && be.Uint16(b[at+2:]) == 0xffff {
			return at + 30, max(size-1, at+30)
		}
	}
	return 0, 0
}

// feed takes bytes of a message and returns what lies behind it.
func (p *Parser) feed(out *flows.Out, dir flows.Dir, b []byte, ref flows.Ref) []byte {
	h := &p.dirs[dir]
	for h.need == 0 {
		if len(b) == 0 {
			return nil
		}
		h.msg = append(h.msg, b[0])
		h.got++
		b = b[1:]
		if h.msg[0] != 0x30 || len(h.msg) > 6 {
			p.fail(h)
			return nil
		}
		if _, start, size, ok := ber.Element(h.msg); ok {
			if size > maxMessage || size < 5 {
				p.fail(h)
				return nil
			}
			h.need = start + size
		} else if len(h.msg) >= 2 && (h.msg[1] == 0x80 || h.msg[1] > 0x84) {
			p.fail(h)
			return nil
		}
	}
	n := min(h.need-h.got, len(b))
	if !h.hole {
		h.msg = append(h.msg, b[:min(n, maxHead-len(h.msg))]...)
	}
	h.got += n
	if h.got == h.need {
		ok, hole := p.message(out, dir, h.msg, h.need, ref), h.hole
		h.msg, h.need, h.got, h.hole = h.msg[:0], 0, 0, false
		switch {
		case ok:
			p.stats.Messages++
		case !hole:
			p.stats.Malformed++
			p.broken++
		}
	}
	return b[n:]
}

// tellSealed writes how much was sealed since the last time.
func (p *Parser) tellSealed(out *flows.Out) {
	if p.sealed.bytes == 0 {
		return
	}
	out.LDAP(&flows.LDAP{Meta: flows.Meta{Ref: p.sealed.ref}, Conn: p.facing, Op: flows.LDAPSealed, Bytes: p.sealed.bytes, Entries: p.sealed.answers})
	p.sealed.bytes, p.sealed.answers = 0, 0
}
