package dcerpc

import (
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Association is one client's binding to one server: a TCP connection or an open named pipe. It keeps bounded memory and
// is reused by Reset.
type Association struct {
	stats     *Stats
	sides     [2]side
	pipe      []byte
	user      []byte
	contexts  []context
	proposals []context // of the open bind, in order
	bind      bind
	calls     []call
	seq       uint32 // of the call opened last
	auth      auth
	ref       flows.Ref // the latest
	client    flows.Dir // which side calls
	known     bool      // client is certain
	over      Carrier
	pdus      bool // at least one PDU was read
}

// Carrier is what an association rides on. Its bytes are copied.
type Carrier struct {
	Pipe      []byte // name of the pipe; empty over TCP and where the pipe's opening was not seen
	User      []byte // DOMAIN\user of the session
	Named     bool   // a pipe: the client is flows.Orig; over TCP the PDUs tell
	Opened    bool   // the beginning of the bytes is the beginning of the association
	Midstream bool   // the connection's start was not seen
}

// NewAssociation returns an association that counts into stats; Reset comes before use.
func NewAssociation(stats *Stats) *Association { return &Association{stats: stats} }

// Reset readies a for its next use.
func (a *Association) Reset(over Carrier) {
	for i := range a.sides {
		s := &a.sides[i]
		if cap(s.part) > 256 {
			s.part = nil
		}
		*s = side{part: s.part[:0], call: -1, lost: !over.Opened}
	}
	for i := range a.calls {
		a.calls[i].free()
	}
	if len(a.calls) > keepCalls {
		clear(a.calls[keepCalls:]) // their buffers go with them
		a.calls = append([]call(nil), a.calls[:keepCalls]...)
	}
	a.pipe = append(a.pipe[:0], over.Pipe...)
	a.user = append(a.user[:0], over.User...)
	a.contexts, a.proposals = a.contexts[:0], a.proposals[:0]
	a.over = Carrier{Named: over.Named, Opened: over.Opened, Midstream: over.Midstream}
	a.bind, a.seq, a.client, a.known, a.pdus = bind{}, 0, flows.Orig, over.Named, false
	a.auth.reset()
}

// Data reads the next bytes of one direction. It returns false when they are not DCE/RPC.
func (a *Association) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	s := &a.sides[dir]
	a.ref = ref
	s.seen = s.seen || len(b) > 0
	for {
		if s.lost {
			rest, ok := s.resync(b)
			if !ok {
				if s.search > maxSearch {
					a.stats.GivenUp++
					return false
				}
				return true
			}
			a.stats.Resynchronised++
			b, s.lost, s.search, s.phase = rest, false, 0, inHeader
		}
		switch s.phase {
		case inHeader:
			got, rest, ok := s.gather(b, headerLen)
			if !ok {
				return true
			}
			b = rest
			if h := readHeader(got); h.plausible() {
				s.start(h)
				a.pdus = true
				a.stats.PDUs++
				break
			}
			a.stats.Malformed++
			if !a.pdus && a.over.Named {
				return false
			}
			s.lost = true
			s.part = append(s.part[:0], got[1:headerLen]...)
		case inBody:
			want := s.pdu.body()
			if !s.pdu.streams() {
				want = min(s.left, maxBind)
			}
			got, rest, ok := s.gather(b, want)
			if !ok {
				return true
			}
			b = rest
			s.left -= want
			a.body(out, c, dir, got, ref)
		case inStub:
			n := min(s.stub, len(b))
			a.stub(s, b[:n])
			b = b[n:]
			if s.stub -= n; s.stub > 0 {
				return true
			}
			s.left -= s.whole
			if s.phase = inTrailer; s.pdu.auth == 0 {
				a.fragment(out, c, dir, 0, 0, 0, ref)
				s.phase = inSkip
			}
		case inTrailer:
			got, rest, ok := s.gather(b, trailerLen)
			if !ok {
				return true
			}
			b = rest
			s.left -= trailerLen
			a.fragment(out, c, dir, got[0], got[1], int(got[2]), ref)
			s.phase = inSkip
		case inSkip:
			n := min(s.left, len(b))
			b = b[n:]
			if s.left -= n; s.left > 0 {
				return true
			}
			s.phase = inHeader
		}
	}
}

// start begins a PDU whose header was read.
func (s *side) start(h header) {
	s.pdu, s.left, s.phase, s.call, s.tailN = h, h.size-headerLen, inBody, -1, 0
}

// streams says that the PDU has a stub, which is not kept whole.
func (h *header) streams() bool { return h.kind == pduRequest || h.kind == pduResponse }

// body handles the fixed part of a PDU, or the whole of one without stub.
func (a *Association) body(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) {
	s := &a.sides[dir]
	s.phase = inSkip
	client := dir
	if !s.pdu.fromClient() {
		client = dir.Other()
	}
	if !a.known {
		a.client, a.known = client, true
	}
	if a.client != client {
		a.stats.WrongSide++
		return
	}
	switch s.pdu.kind {
	case pduRequest:
		a.request(out, c, s, b, ref)
	case pduResponse:
		s.call = a.find(s.pdu.call)
		if s.call < 0 {
			a.stats.Unasked++
		}
	case pduFault:
		a.fault(out, c, s, s.pdu.order().Uint32(b[8:]), ref)
	case pduBind, pduAlter:
		a.bindRequest(out, c, s, b, ref)
	case pduBindAck, pduAlterResp:
		a.bindAnswer(out, c, s, b, ref)
	case pduBindNak:
		a.bindRefused(out, c, 0, ref)
		a.authDone(out, c, flows.Failed, 0, ref)
	case pduAuth3:
		a.token(s, b, ref)
	}
	if s.pdu.streams() {
		s.whole = s.left - s.pdu.trailer()
		s.stub = s.whole
		s.phase = inStub
	}
}

// Gap says that n bytes of a direction are missing, 0 where their number is not known.
func (a *Association) Gap(out *flows.Out, c *flows.Conn, dir flows.Dir, n int) {
	s := &a.sides[dir]
	if n > 0 && !s.lost {
		switch s.phase {
		case inStub:
			if n <= s.stub {
				s.stub -= n
				s.tailN = 0
				a.spoil(s)
				a.Data(out, c, dir, nil, a.ref) // the stub may be at its end
				return
			}
			if rest := s.stub + s.left - s.whole; n <= rest { // the trailer is gone, or a part of it
				s.left, s.phase = rest-n, inSkip
				a.spoil(s)
				a.abandon(out, c, s)
				return
			}
		case inSkip:
			if n <= s.left {
				s.left -= n
				return
			}
		case inBody, inTrailer:
			if rest := s.left - len(s.part); n <= rest {
				s.left, s.phase, s.part = rest-n, inSkip, s.part[:0]
				a.abandon(out, c, s)
				return
			}
		}
	}
	a.abandon(out, c, s)
	s.part, s.phase, s.lost, s.search = s.part[:0], inHeader, true, 0
}

// Flush writes what waits for an answer: everything at the end, else what waited since the last flush or waits for a
// side that was never seen.
func (a *Association) Flush(out *flows.Out, c *flows.Conn, end bool) {
	all := end || !a.sides[a.client.Other()].seen
	if a.bind.open {
		if all || a.bind.aged {
			a.bindUnseen(out, c)
		}
		a.bind.aged = true
	}
	for {
		i := a.oldest(func(k *call) bool { return all || k.aged })
		if i < 0 {
			break
		}
		a.finish(out, c, i, flows.Unseen, 0, a.calls[i].ref)
	}
	for i := range a.calls {
		a.calls[i].aged = true
	}
	if a.auth.open && (all || a.auth.aged) {
		a.authDone(out, c, flows.Unseen, 0, a.auth.ref)
	}
	a.auth.aged = true
}

// conn is the connection as facts name it: the client is the originator.
func (a *Association) conn(c *flows.Conn) flows.Conn {
	f := *c
	if a.client == flows.Resp {
		f.Orig, f.Resp, f.OrigPort, f.RespPort = c.Resp, c.Orig, c.RespPort, c.OrigPort
	}
	return f
}

// oldest returns the slot of the open call that was opened first among those that fit, -1 where none does.
func (a *Association) oldest(fits func(*call) bool) int {
	best := -1
	for i := range a.calls {
		k := &a.calls[i]
		if k.used && fits(k) && (best < 0 || k.seq-a.calls[best].seq > 1<<31) {
			best = i
		}
	}
	return best
}

// find returns the slot of an open call, -1 where there is none.
func (a *Association) find(id uint32) int {
	for i := range a.calls {
		if a.calls[i].used && a.calls[i].id == id {
			return i
		}
	}
	return -1
}

// at is when something was seen.
type at struct {
	time packet.Time
	ref  flows.Ref
}
