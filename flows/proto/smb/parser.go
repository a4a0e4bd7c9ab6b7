package smb

import (
	"bytes"

	"neuromast/flows"
	"neuromast/flows/proto/dcerpc"
)

// Parser reads one connection. It implements stream.Parser.
type Parser struct {
	sides     [2]side
	sessions  []session
	trees     []tree
	files     []file
	pending   []pending
	idle      []*dcerpc.Association
	text      []byte // scratch
	stats     Stats
	rpc       dcerpc.Stats
	seal      seal
	ref       flows.Ref  // the latest
	facing    flows.Conn // the connection as facts name it: the client is the originator
	challenge [8]byte    // SMB1's, of a server without extended security
	seq       uint32
	lastFile  int // slot that was found last
	facts     int // written since the last flush
	client    flows.Dir
	known     bool // client is certain
	midstream bool
	encrypted bool // SMBEncrypted is written
	answers   bool // the server was seen to answer
}

// New returns a parser for one connection.
func New() *Parser {
	p := &Parser{}
	p.Reset(false)
	return p
}

// Stats returns what was counted since New.
func (p *Parser) Stats() Stats {
	s := p.stats
	s.RPC = p.rpc
	return s
}

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) {
	for i := range p.sides {
		s := &p.sides[i]
		if cap(s.part) > 256 {
			s.part = nil
		}
		*s = side{part: s.part[:0], sink: noFile, lost: midstream}
		s.last = noFile
	}
	for i := range p.files {
		p.release(&p.files[i])
	}
	p.files = shrink(p.files, 2)
	for i := range p.files {
		f := &p.files[i]
		f.name = spare(f.name)
		f.free()
	}
	p.pending = shrink(p.pending, 2)
	for i := range p.pending {
		q := &p.pending[i]
		q.name, q.second, q.third = spare(q.name), spare(q.second), spare(q.third)
		q.free()
	}
	p.trees = shrink(p.trees, 1)
	for i := range p.trees {
		p.trees[i].free()
	}
	p.sessions = shrink(p.sessions, 1)
	for i := range p.sessions {
		p.sessions[i].free()
	}
	p.idle = shrink(p.idle, 1)
	p.seq, p.lastFile, p.facts = 0, 0, 0
	p.seal = seal{}
	p.client, p.known, p.midstream, p.encrypted, p.answers = flows.Orig, !midstream, midstream, false, false
	p.challenge = [8]byte{}
}

// spare empties a buffer that a pooled parser keeps, unless it has grown beyond what names usually need.
func spare(b []byte) []byte {
	if cap(b) > 128 {
		return nil
	}
	return b[:0]
}

// shrink gives back what a busy connection needed beyond n slots.
func shrink[T any](s []T, n int) []T {
	if cap(s) <= n {
		return s
	}
	return append(make([]T, 0, n), s[:min(n, len(s))]...)
}

// turn is one call of Data, Gap or Flush: where facts go and which frame they come from.
type turn struct {
	out *flows.Out
	c   *flows.Conn
	ref flows.Ref
}

// phase is what a side expects next.
type phase uint8

const (
	inLength phase = iota // the length before a message
	inFields              // a message's header and fields
	inRest                // its payload, or what else is not kept
)

// side is one direction of the connection.
type side struct {
	part   []byte // what is gathered across segments: at most maxFields bytes
	frame  int    // bytes of the frame, behind what was read
	elem   int    // bytes of the message (of a compound) behind what was read
	want   int    // bytes of the message to gather
	lead   int    // bytes before the payload
	load   int    // bytes of the payload that goes to sink
	search int    // bytes searched since a boundary was lost
	sink   slot   // pipe whose payload this is
	last   slot   // file of the message before in the compound
	lastID uint64 // session of the message before
	lastT  uint32 // tree of the message before
	phase  phase
	sized  bool // elem and want are final
	lost   bool // the place of boundaries is not known
}

// gather takes want bytes from what came before and from b, without taking them out of b where b alone holds them
// (direct).
func (s *side) gather(b []byte, want int) (got, rest []byte, direct, ok bool) {
	if len(s.part) == 0 && len(b) >= want {
		return b[:want], b, true, true
	}
	n := min(max(want-len(s.part), 0), len(b))
	s.part = append(s.part, b[:n]...)
	return s.part[:min(want, len(s.part))], b[n:], false, len(s.part) >= want
}

// taken ends gather: got is used up, and overwritten.
func (s *side) taken(got, b []byte, direct bool) []byte {
	if direct {
		return b[len(got):]
	}
	s.part = s.part[:copy(s.part, s.part[len(got):])]
	return b
}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	p.ref = ref
	if s := &p.sides[dir]; s.phase == inRest && s.load == 0 && !s.lost && len(b) < s.elem { // in the midst of a file's contents
		s.frame, s.elem = s.frame-len(b), s.elem-len(b)
		return true
	}
	t := turn{out, c, ref}
	p.face(c)
	return p.read(&t, dir, b)
}

// read takes the next bytes of one direction.
func (p *Parser) read(t *turn, dir flows.Dir, b []byte) bool {
	s := &p.sides[dir]
	for {
		if s.lost {
			rest, ok := s.resync(b)
			if !ok {
				if s.search > maxSearch {
					p.stats.GivenUp++
					return false
				}
				return true
			}
			p.stats.Resynchronised++
			b, s.lost, s.search, s.phase = rest, false, 0, inLength
			if len(s.part) > 0 { // it begins in what was gathered, which comes before b
				var before [2 * header2Len]byte
				n := copy(before[:], s.part)
				s.part = s.part[:0]
				if !p.read(t, dir, before[:n]) {
					return false
				}
				continue
			}
		}
		switch s.phase {
		case inLength:
			got, rest, direct, ok := s.gather(b, prefixLen)
			if !ok {
				return true
			}
			n := int(got[1])<<16 | int(got[2])<<8 | int(got[3])
			kind := got[0]
			b = s.taken(got, rest, direct)
			p.begin(s, kind, n)
		case inFields:
			got, rest, direct, ok := s.gather(b, s.want)
			if !ok {
				return true
			}
			if !s.sized {
				p.size(s, got)
				b = rest
				if s.phase == inRest && !direct { // nothing of the frame is wanted
					s.frame, s.elem, s.part = s.frame-len(got), s.elem-len(got), s.part[:0]
				}
				break
			}
			n := len(got)
			load := p.message(t, dir, got, s.elem)
			p.carry(t, dir, got, load, s.elem)
			s.frame, s.elem, s.phase = s.frame-n, s.elem-n, inRest
			b = s.taken(got, rest, direct)
		case inRest:
			n, more := p.rest(t, dir, b)
			b = b[n:]
			if more {
				return true
			}
		}
	}
}

// begin starts a frame of n bytes (RFC 1002, 4.3.1: 0 is a message, 0x81 to 0x85 are the session service's own).
func (p *Parser) begin(s *side, kind byte, n int) {
	s.frame, s.elem, s.lead, s.load, s.sink, s.last = n, 0, 0, 0, noFile, noFile
	switch {
	case kind == 0 && n >= 16:
		s.next()
	case kind == 0, kind >= 0x81 && kind <= 0x85 && n < 256:
		s.elem, s.phase = n, inRest
	default:
		p.stats.Malformed++
		s.lost = true
	}
}

// next starts a message within the frame.
func (s *side) next() {
	s.elem, s.want, s.phase, s.sized = s.frame, min(s.frame, header2Len), inFields, false
	s.lead, s.load, s.sink = 0, 0, noFile
}

// size finds out from a message's first bytes how long it is and how much of it is wanted.
func (p *Parser) size(s *side, b []byte) {
	s.sized = true
	if len(b) < 16 { // of a compound: what a message's length left over is none
		p.stats.Malformed++
		s.skip()
		return
	}
	if b[1] != 'S' || b[2] != 'M' || b[3] != 'B' || b[0] < idCompressed {
		p.stats.Malformed++
		s.lost = true
		return
	}
	switch b[0] {
	case idSMB1:
		s.want = min(s.elem, fields1(b))
	case idSMB2:
		if len(b) < header2Len || le.Uint16(b[4:]) != header2Len {
			p.stats.Malformed++
			s.skip()
			return
		}
		if n := uint64(le.Uint32(b[20:])); n != 0 { // NextCommand, MS-SMB2 2.2.1
			if n < header2Len || n >= uint64(s.frame) {
				p.stats.Malformed++
				s.skip()
				return
			}
			s.elem = int(n)
		}
		s.want = min(s.elem, fields2(le.Uint16(b[12:]), b[16]&flagAnswer != 0))
	}
	s.want = max(s.want, len(b)) // what is gathered is not given back
}

// skip ignores the rest of the frame, of which nothing was read yet.
func (s *side) skip() { s.elem, s.phase, s.lead, s.load, s.sink = s.frame, inRest, 0, 0, noFile }

// payload says where in a message the bytes lie that go to a pipe.
type payload struct {
	file   slot
	off, n int
}

// carry hands the payload in the gathered fields on and notes where the rest of it lies.
func (p *Parser) carry(t *turn, dir flows.Dir, fields []byte, l payload, elem int) {
	s := &p.sides[dir]
	if l.file == noFile || l.n <= 0 || l.off >= elem {
		return
	}
	if o := p.at(l.file); o == nil || o.rpc == nil { // a file's contents go to nobody: they are skipped by count
		return
	}
	l.n = min(l.n, elem-l.off)
	if l.off < len(fields) {
		here := fields[l.off:min(len(fields), l.off+l.n)]
		p.deliver(t, dir, l.file, here)
		l.n -= len(here)
		l.off = len(fields)
	}
	s.sink, s.lead, s.load = l.file, l.off-len(fields), l.n
}

// rest reads what is not kept; more says that the message is not at its end.
func (p *Parser) rest(t *turn, dir flows.Dir, b []byte) (n int, more bool) {
	s := &p.sides[dir]
	if s.load > 0 {
		n = min(s.lead, len(b))
		s.lead -= n
		if m := min(s.load, len(b)-n); s.lead == 0 && m > 0 {
			p.deliver(t, dir, s.sink, b[n:n+m])
			s.load -= m
			n += m
		}
	} else {
		n = min(s.elem, len(b))
	}
	s.frame -= n
	if s.elem -= n; s.elem > 0 {
		return n, n == len(b)
	}
	if s.frame > 0 {
		s.next()
	} else {
		s.phase = inLength
	}
	return n, false
}

// resync looks for the first place at which a message begins, and returns what comes from there on: b from there, or what
// part then holds and all of b. Where there is none, up to 7 bytes wait in part.
func (s *side) resync(b []byte) (rest []byte, ok bool) {
	const need = prefixLen + 4
	s.search += len(b)
	if n := len(s.part); n > 0 {
		s.part = append(s.part, b[:min(need-1, len(b))]...)
		for i := 0; i < n && i+need <= len(s.part); i++ {
			if Recognise(s.part[i:]) {
				s.part = s.part[:copy(s.part, s.part[i:n])]
				return b, true
			}
		}
		if len(b) < need-1 {
			s.part = s.part[:copy(s.part, s.part[max(0, len(s.part)-(need-1)):])]
			return nil, false
		}
		s.part = s.part[:0]
	}
	for i := 0; ; {
		j := bytes.Index(b[i:], smbLetters)
		if j < 0 {
			break
		}
		i += j
		if i >= 5 && Recognise(b[i-5:]) {
			return b[i-5:], true
		}
		i++
	}
	s.part = append(s.part, b[max(0, len(b)-(need-1)):]...)
	return nil, false
}

var smbLetters = []byte("SMB")

// Gap implements stream.Parser. A gap within what would have been skipped costs nothing; of a message cut by one, the
// fields that came are read.
func (p *Parser) Gap(out *flows.Out, c *flows.Conn, dir flows.Dir, n int) {
	t := turn{out, c, p.ref}
	p.face(c)
	s := &p.sides[dir]
	if n > 0 && !s.lost && s.phase != inLength {
		if s.phase == inFields && n <= s.frame-len(s.part) {
			got := len(s.part)
			if s.sized {
				load := p.message(&t, dir, s.part, s.elem)
				p.carry(&t, dir, s.part, load, s.elem)
			} else {
				s.elem = s.frame
			}
			s.part, s.phase = s.part[:0], inRest
			s.frame, s.elem = s.frame-got, s.elem-got
		}
		if s.phase == inRest && n <= s.frame {
			p.pass(&t, dir, n)
			return
		}
	}
	if s.load > 0 {
		p.hole(&t, dir, s.sink, 0)
	}
	s.part, s.phase, s.lost, s.search, s.load = s.part[:0], inLength, true, 0, 0
}

// pass skips n missing bytes within the frame.
func (p *Parser) pass(t *turn, dir flows.Dir, n int) {
	s := &p.sides[dir]
	if n > s.elem { // the next message of the compound is hurt: its length is not known
		if s.load > 0 {
			p.hole(t, dir, s.sink, 0)
		}
		s.elem, s.load, s.lead = s.frame, 0, 0
	}
	s.frame -= n
	s.elem -= n
	if s.load > 0 {
		d := min(n, s.lead)
		s.lead -= d
		if d = min(n-d, s.load); d > 0 {
			s.load -= d
			p.hole(t, dir, s.sink, d)
		}
	}
}

// Flush implements stream.Parser.
func (p *Parser) Flush(out *flows.Out, c *flows.Conn, end bool) {
	t := turn{out, c, p.ref}
	p.face(c)
	for {
		i := p.oldestPending(func(q *pending) bool { return end || q.aged || !p.answers })
		if i < 0 {
			break
		}
		p.unanswered(&t, i)
	}
	for i := range p.pending {
		p.pending[i].aged = true
	}
	for i := range p.files {
		f := &p.files[i]
		if !f.used {
			continue
		}
		if f.rpc != nil {
			f.rpc.Flush(out, &p.facing, end)
		}
		if end {
			p.closed(&t, f, 0, false)
		}
	}
	p.sumUp(&t)
	p.facts = 0
}

// face prepares the connection as facts name it.
func (p *Parser) face(c *flows.Conn) {
	p.facing = *c
	if p.client == flows.Resp {
		p.facing.Orig, p.facing.Resp, p.facing.OrigPort, p.facing.RespPort = c.Resp, c.Orig, c.RespPort, c.OrigPort
	}
}
