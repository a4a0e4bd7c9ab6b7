package dcerpc

import (
	"encoding/binary"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// call is a request that waits for its answer.
type call struct {
	stub     []byte // first bytes, at most maxStub
	reply    []byte // first bytes, at most room
	room     int
	when     packet.Time
	ref      flows.Ref
	iface    flows.UUID
	source   flows.Source
	id       uint32
	seq      uint32
	stubLen  uint32
	replyLen uint32
	opnum    uint16
	context  uint16
	version  uint16
	authType uint8
	level    uint8
	used     bool
	aged     bool // waited at the last flush
	complete bool // the last fragment of the request came
	cut      bool // bytes of the stub's beginning are missing: what follows is not kept
	cutReply bool
}

// free empties the slot and keeps its buffers.
func (k *call) free() { *k = call{stub: k.stub[:0], reply: k.reply[:0]} }

// open returns a slot for a new call; the oldest open call makes room where there are too many.
func (a *Association) open(out *flows.Out, c *flows.Conn) int {
	for i := range a.calls {
		if !a.calls[i].used {
			return i
		}
	}
	if len(a.calls) < maxCalls {
		a.calls = append(a.calls, call{})
		return len(a.calls) - 1
	}
	i := a.oldest(func(*call) bool { return true })
	a.stats.Evicted++
	a.finish(out, c, i, flows.Unseen, 0, a.calls[i].ref)
	return i
}

// request begins a fragment of a request; b is its fixed part.
func (a *Association) request(out *flows.Out, c *flows.Conn, s *side, b []byte, ref flows.Ref) {
	i := a.find(s.pdu.call)
	if first := s.pdu.flags&flagFirst != 0; first || i < 0 {
		if !a.sides[a.client.Other()].seen { // one-sided: no answer will come
			a.Flush(out, c, false)
		} else if i >= 0 { // the number is used again, so no answer came
			a.finish(out, c, i, flows.Unseen, 0, a.calls[i].ref)
		}
		i = a.open(out, c)
		k := &a.calls[i]
		a.seq++
		o := s.pdu.order()
		k.used, k.id, k.seq, k.cut = true, s.pdu.call, a.seq, !first
		k.when, k.ref = out.Now, ref
		k.context, k.opnum = o.Uint16(b[4:]), o.Uint16(b[6:])
		k.iface, k.version, k.source = a.lookup(k.context)
		k.level, k.room = levelNone, maxReply
		if a.auth.level > 0 && (a.auth.level < 4 || s.pdu.auth > 0) { // at the lower levels not each PDU has a trailer
			k.authType, k.level = a.auth.kind, a.auth.level
		}
		if k.iface == mapper && k.opnum == opMap {
			k.room = maxMapReply
		}
	}
	s.call = i
}

// stub takes the next bytes of a stub.
func (a *Association) stub(s *side, b []byte) {
	s.keepTail(b)
	if s.call < 0 || len(b) == 0 {
		return
	}
	k := &a.calls[s.call]
	if s.pdu.kind == pduRequest {
		if !k.cut {
			k.stub = append(k.stub, b[:min(len(b), maxStub-len(k.stub))]...)
		}
	} else if !k.cutReply {
		k.reply = append(k.reply, b[:min(len(b), k.room-len(k.reply))]...)
	}
}

// spoil says that bytes of the stub that s reads are missing: what follows them can't be put behind what came before.
func (a *Association) spoil(s *side) {
	if s.call < 0 {
		return
	}
	if s.pdu.kind == pduRequest {
		a.calls[s.call].cut = true
	} else {
		a.calls[s.call].cutReply = true
	}
}

// abandon ends the fragment that s reads without its end.
func (a *Association) abandon(out *flows.Out, c *flows.Conn, s *side) {
	i := s.call
	s.call = -1
	if i < 0 {
		return
	}
	k := &a.calls[i]
	if s.pdu.kind == pduRequest {
		k.cut = true
		k.stubLen += uint32(s.whole)
		return
	}
	k.cutReply = true
	k.replyLen += uint32(s.whole)
	if s.pdu.flags&flagLast != 0 {
		a.finish(out, c, i, flows.Succeeded, 0, k.ref)
	}
}

// fragment ends a request's or response's PDU: its protection and padding are known.
func (a *Association) fragment(out *flows.Out, c *flows.Conn, dir flows.Dir, authType, level byte, pad int, ref flows.Ref) {
	s := &a.sides[dir]
	if s.call < 0 {
		return
	}
	k := &a.calls[s.call]
	if pad > s.whole {
		a.stats.Malformed++
		pad = 0
	}
	n := uint32(s.whole - pad)
	last := s.pdu.flags&flagLast != 0
	if s.pdu.kind == pduRequest {
		if authType != 0 {
			k.authType, k.level = authType, level
		}
		k.stubLen += n
		k.stub = k.stub[:min(len(k.stub), int(k.stubLen))]
		k.complete = last
		k.when, k.ref = out.Now, ref
		s.call = -1
		return
	}
	k.replyLen += n
	k.reply = k.reply[:min(len(k.reply), int(k.replyLen))]
	if !last {
		return
	}
	r, i := returned{}, s.call
	if end := s.tailN - pad; end >= 4 && k.level != levelPrivacy {
		r = returned{s.pdu.order().Uint32(s.tail[end-4:]), true}
	}
	s.call = -1
	a.authDone(out, c, flows.Succeeded, 0, ref)
	a.finishReturned(out, c, i, flows.Succeeded, 0, r, s.pdu.order(), ref)
}

// fault ends a call, or a bind that was answered by a fault.
func (a *Association) fault(out *flows.Out, c *flows.Conn, s *side, status uint32, ref flows.Ref) {
	if a.auth.open && status == accessDenied {
		a.authDone(out, c, flows.Failed, status, ref)
	}
	if i := a.find(s.pdu.call); i >= 0 {
		a.finish(out, c, i, flows.Failed, status, ref)
	} else if a.bind.open && a.bind.call == s.pdu.call {
		a.bindRefused(out, c, status, ref)
	} else {
		a.stats.Unasked++
	}
}

// accessDenied is ERROR_ACCESS_DENIED as a fault's status (MS-RPCE 2.2.2.9, MS-ERREF 2.2).
const accessDenied = 5

// returned is the operation's own status, where the response shows it.
type returned struct {
	value uint32
	ok    bool
}

func (a *Association) finish(out *flows.Out, c *flows.Conn, i int, o flows.Outcome, fault uint32, ref flows.Ref) {
	a.finishReturned(out, c, i, o, fault, returned{}, binary.LittleEndian, ref)
}

// finishReturned writes a call and frees its slot.
func (a *Association) finishReturned(out *flows.Out, c *flows.Conn, i int, o flows.Outcome, fault uint32, r returned, order binary.ByteOrder, ref flows.Ref) {
	k := &a.calls[i]
	f := flows.RPC{
		Meta: flows.Meta{Ref: ref}, Conn: a.conn(c), Pipe: out.Put(a.pipe), User: out.Put(a.user),
		RequestAt: k.when, RequestRef: k.ref, Interface: k.iface, Version: k.version, Source: k.source,
		Stub: out.Put(k.stub), StubLen: k.stubLen, ReplyLen: k.replyLen,
		CallID: k.id, Opnum: k.opnum, AuthType: k.authType, AuthLevel: k.level, Encrypted: k.level == levelPrivacy,
		Outcome: o, Fault: fault, Return: r.value, HasReturn: r.ok, Midstream: a.over.Midstream,
	}
	if o == flows.Succeeded {
		f.Reply = out.Put(k.reply[:min(len(k.reply), maxReply)])
		if k.room == maxMapReply && !f.Encrypted {
			f.Binding = a.bindings(out, k, order)
		}
	} else if o == flows.Unseen {
		a.stats.Unanswered++
	}
	a.stats.Calls++
	out.RPC(&f)
	for d := range a.sides {
		if a.sides[d].call == i {
			a.sides[d].call = -1
		}
	}
	k.free()
}
