package dcerpc

import "neuromast/flows"

// context is a presentation context: the interface that a number in requests stands for.
type context struct {
	id      uint16
	version uint16
	iface   flows.UUID
	wide    bool // stubs are NDR64 (MS-RPCE 2.2.5)
	result  result
}

// result is what a server says of a proposed context (C706 12.6.3.1, p_cont_def_result_t).
type result uint8

const (
	accepted      result = 0
	userRejected  result = 1
	rejected      result = 2
	negotiated    result = 3 // answers a bind-time feature negotiation, which is no interface of its own (MS-RPCE 2.2.2.4)
	resultMissing result = 255
)

// ndr64 is the transfer syntax of 64-bit stubs (MS-RPCE 2.2.5).
var ndr64 = flows.UUID{0x71, 0x71, 0x05, 0x33, 0xbe, 0xba, 0x49, 0x37, 0x83, 0x19, 0xb5, 0xdb, 0xef, 0x9c, 0xcc, 0x36}

// bind is a bind or alter_context that waits for its answer.
type bind struct {
	at
	call       uint32
	kind       uint8
	level      uint8
	open, aged bool
}

// syntaxLen is a syntax identifier: UUID and version (C706 12.6.3.1, p_syntax_id_t).
const syntaxLen = 16 + 4

// bindRequest reads a bind or alter_context (C706 12.6.4.3, 12.6.4.1) behind the header.
func (a *Association) bindRequest(out *flows.Out, c *flows.Conn, s *side, b []byte, ref flows.Ref) {
	if a.bind.open {
		a.bindUnseen(out, c)
	}
	a.token(s, b, ref)
	o := s.pdu.order()
	n, p := int(b[8]), b[12:]
	a.proposals = a.proposals[:0]
	for ; n > 0 && len(p) >= 4+syntaxLen && len(a.proposals) < maxContexts; n-- {
		x := context{id: o.Uint16(p), iface: uuid(p[4:], o), version: o.Uint16(p[20:]), result: resultMissing}
		skip := 4 + syntaxLen + int(p[2])*syntaxLen
		x.wide = p[2] == 1 && len(p) >= skip && uuid(p[24:], o) == ndr64
		a.proposals = append(a.proposals, x)
		a.setContext(x)
		p = p[min(skip, len(p)):]
	}
	if n > 0 {
		a.stats.Malformed++
	}
	if len(a.proposals) > 0 {
		a.bind = bind{at: at{out.Now, ref}, call: s.pdu.call, kind: a.auth.kind, level: max(a.auth.level, levelNone), open: true}
	}
}

// setContext enters a context; a number that is used again stands for the newer interface.
func (a *Association) setContext(x context) {
	for i := range a.contexts {
		if a.contexts[i].id == x.id {
			a.contexts[i] = x
			return
		}
	}
	if len(a.contexts) == maxContexts {
		a.contexts = a.contexts[:copy(a.contexts, a.contexts[1:])]
	}
	a.contexts = append(a.contexts, x)
}

// lookup says which interface a request's context number stands for, and how that is known.
func (a *Association) lookup(id uint16) (flows.UUID, uint16, flows.Source) {
	for i := range a.contexts {
		if x := &a.contexts[i]; x.id == id {
			return x.iface, x.version, flows.FromBind
		}
	}
	if iface, version, ok := pipeInterface(a.pipe); ok {
		return iface, version, flows.FromPipe
	}
	return flows.UUID{}, 0, flows.FromNowhere
}

// bindAnswer reads a bind_ack or alter_context_resp (C706 12.6.4.4) behind the header.
func (a *Association) bindAnswer(out *flows.Out, c *flows.Conn, s *side, b []byte, ref flows.Ref) {
	a.token(s, b, ref)
	if s.pdu.kind == pduAlterResp {
		a.authDone(out, c, flows.Succeeded, 0, ref)
	}
	if !a.bind.open {
		a.stats.Unasked++
		return
	}
	o := s.pdu.order()
	off := 10 + int(o.Uint16(b[8:])) // behind the secondary address
	off += (4 - (headerLen+off)%4) % 4
	if off+4 > len(b) {
		a.stats.Malformed++
		a.bindUnseen(out, c)
		return
	}
	n, p := int(b[off]), b[off+4:]
	for i := 0; i < min(n, len(a.proposals)) && len(p) >= 4+syntaxLen; i++ {
		x := &a.proposals[i]
		x.result = result(min(o.Uint16(p), 254))
		if x.result == accepted {
			x.wide = uuid(p[4:], o) == ndr64
		}
		a.setContext(*x)
		p = p[4+syntaxLen:]
	}
	a.bindDone(out, c, 0, ref)
}

// bindRefused ends the open bind: nothing of it was accepted.
func (a *Association) bindRefused(out *flows.Out, c *flows.Conn, fault uint32, ref flows.Ref) {
	if !a.bind.open {
		a.stats.Unasked++
		return
	}
	for i := range a.proposals {
		a.proposals[i].result = rejected
	}
	a.bindDone(out, c, fault, ref)
}

// bindUnseen ends the open bind without its answer.
func (a *Association) bindUnseen(out *flows.Out, c *flows.Conn) {
	a.stats.Unanswered++
	a.bindDone(out, c, 0, a.bind.ref)
}

// bindDone writes the open bind: one fact of each interface, since a client proposes the same one with several transfer
// syntaxes and one that is accepted does.
func (a *Association) bindDone(out *flows.Out, c *flows.Conn, fault uint32, ref flows.Ref) {
	a.bind.open = false
	for i := range a.proposals {
		x := &a.proposals[i]
		if seenBefore(a.proposals[:i], x) {
			continue
		}
		out.RPC(&flows.RPC{
			Meta: flows.Meta{Ref: ref}, Conn: a.conn(c), Pipe: out.Put(a.pipe), User: out.Put(a.user),
			RequestAt: a.bind.time, RequestRef: a.bind.ref, Interface: x.iface, Version: x.version, Source: flows.FromBind,
			CallID: a.bind.call, AuthType: a.bind.kind, AuthLevel: a.bind.level, Encrypted: a.bind.level == levelPrivacy,
			Outcome: outcomeOf(a.proposals[i:], x), Fault: fault, Bind: true, Midstream: a.over.Midstream,
		})
	}
	a.proposals = a.proposals[:0]
}

func seenBefore(before []context, x *context) bool {
	for i := range before {
		if before[i].iface == x.iface && before[i].version == x.version {
			return true
		}
	}
	return false
}

// outcomeOf says what became of x's interface over all contexts that propose it.
func outcomeOf(all []context, x *context) flows.Outcome {
	o := flows.Unseen
	for i := range all {
		if all[i].iface != x.iface || all[i].version != x.version {
			continue
		}
		switch all[i].result {
		case accepted:
			return flows.Succeeded
		case userRejected, rejected:
			o = flows.Failed
		}
	}
	return o
}

// trailerOf cuts the authentication trailer of a whole PDU; b is what follows the header, as far as it was kept.
func trailerOf(h *header, b []byte) (kind, level byte, token []byte, ok bool) {
	if h.auth == 0 || len(b) != h.size-headerLen {
		return 0, 0, nil, false
	}
	t := b[len(b)-h.trailer():]
	return t[0], t[1], t[trailerLen:], true
}

// wideOf says whether a context's stubs are NDR64.
func (a *Association) wideOf(id uint16) bool {
	for i := range a.contexts {
		if a.contexts[i].id == id {
			return a.contexts[i].wide
		}
	}
	return false
}
