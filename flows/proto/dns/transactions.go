package dns

import (
	"bytes"
	"math"

	"neuromast/flows"
	"neuromast/flows/stream"
	"neuromast/sensor/packet"
)

// Transactions matches the DNS messages of one shard, over UDP and TCP, and writes what they tell. Its memory is bounded
// by the number of open queries.
type Transactions struct {
	open     pending
	question question
	owners   [2]name // of the record being read and of the one before
	target   name
	text     []byte // of the answer being read
	stats    Stats
}

// New returns a matcher for one shard that keeps at most limit open queries (about 400 bytes each, taken when needed).
func New(limit int) *Transactions {
	return &Transactions{open: newPending(limit), text: make([]byte, 0, 2*maxData)}
}

// Stats returns the counters so far.
func (t *Transactions) Stats() Stats { return t.stats }

// Datagrams returns the reader of one of AppDNS, AppMDNS, AppLLMNR and AppNBNS over UDP.
func (t *Transactions) Datagrams(app flows.App) stream.Datagrams { return &datagrams{t, app} }

type datagrams struct {
	t   *Transactions
	app flows.App
}

func (d *datagrams) Datagram(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, wire int, ref flows.Ref) {
	d.t.message(out, c, dir, d.app, b, wire, ref)
}

func (d *datagrams) Advance(out *flows.Out, to packet.Time) { d.t.Advance(out, to) }

// Advance writes the queries whose deadline is at or before to, each at its deadline. At the end of input the caller
// passes a time after everything that it wants said.
func (t *Transactions) Advance(out *flows.Out, to packet.Time) {
	now := out.Now
	for t.open.oldest != 0 {
		p := t.open.entry(t.open.oldest)
		if p.deadline > to {
			break
		}
		out.Now = p.deadline
		t.unanswered(out, t.open.oldest)
	}
	out.Now = now
}

// unanswered writes the open query i at out.Now and forgets it.
func (t *Transactions) unanswered(out *flows.Out, i int32) {
	p := t.open.entry(i)
	if !p.told {
		t.tellUnanswered(out, p)
	}
	t.open.remove(i)
}

// tellUnanswered writes an open query at out.Now.
func (t *Transactions) tellUnanswered(out *flows.Out, p *open) {
	t.stats.Unanswered++
	d := flows.DNS{
		Meta: flows.Meta{Ref: p.ref}, Conn: p.conn, QueryAt: p.at, QueryRef: p.ref, QueryBytes: p.size, ID: p.id,
		Type: p.typ, Class: p.class, Flags: p.flags, MixedCase: p.mixed, App: p.app, Turned: p.turned, Name: out.Put(p.question()),
	}
	out.DNS(&d)
}

// message reads one message of wire bytes, of which the capture holds msg.
func (t *Transactions) message(out *flows.Out, c *flows.Conn, dir flows.Dir, app flows.App, msg []byte, wire int, ref flows.Ref) {
	if i := t.open.oldest; i != 0 && t.open.entry(i).deadline <= out.Now {
		t.Advance(out, out.Now)
	}
	t.stats.Messages++
	cut := wire > len(msg)
	if cut {
		t.stats.Truncated++
	}
	if len(msg) < headerLen {
		t.malformed(cut)
		return
	}
	h := readHeader(msg)
	q, next := &t.question, headerLen
	if h.counts[0] > 0 {
		if next = q.name.read(msg, headerLen); next < 0 || next+4 > len(msg) {
			t.malformed(cut)
			return
		}
		q.typ = uint16(msg[next])<<8 | uint16(msg[next+1])
		q.class = uint16(msg[next+2])<<8 | uint16(msg[next+3])
		next += 4
		switch app {
		case flows.AppNBNS:
			q.name.decodeNetBIOS()
		case flows.AppMDNS:
			q.class &= 0x7fff // the top bit wishes for a unicast answer (RFC 6762, 5.4)
		}
		for range h.counts[0] - 1 {
			t.stats.MoreQuestions++
			if next = skipName(msg, next); next < 0 || next+4 > len(msg) {
				t.malformed(cut)
				next = -1 // keep the first question
				break
			}
			next += 4
		}
	} else {
		q = nil
	}
	size := uint16(min(wire, math.MaxUint16))
	if h.response() {
		t.answer(out, c, dir, app, &h, q, msg, next, cut, size, ref)
	} else {
		t.query(out, c, dir, app, &h, q, size, ref)
	}
}

// malformed counts a message that ended early, unless the capture ended it.
func (t *Transactions) malformed(cut bool) {
	if !cut {
		t.stats.Malformed++
	}
}

func (t *Transactions) query(out *flows.Out, c *flows.Conn, dir flows.Dir, app flows.App, h *header, q *question, size uint16, ref flows.Ref) {
	if q == nil {
		t.stats.NoQuestion++
		return
	}
	if t.open.find(c.ID, h.id, q) != 0 {
		t.stats.Retransmits++
		return
	}
	if t.open.full() {
		t.stats.Evicted++
		t.unanswered(out, t.open.oldest)
	}
	p := t.open.add(c.ID, h.id, out.Now)
	p.conn, p.ref, p.at = *c, ref, out.Now
	p.typ, p.class, p.flags, p.size = q.typ, q.class, h.flags, size
	p.mixed, p.app = q.name.mixed(), app
	p.nameLen = uint8(copy(p.name[:], q.name.bytes()))
	p.turned, p.told = dir == flows.Resp, false
	if p.told = group(c, dir, app, h); p.told { // nobody answers in this conversation
		t.tellUnanswered(out, p)
	}
}

// group says that a query goes to several hosts: by multicast, or by a broadcast of the NetBIOS name service, which has flag B
// (RFC 1002, 4.2.1.1). A subnet's broadcast address that does not end in 255 is not known as one.
func group(c *flows.Conn, dir flows.Dir, app flows.App, h *header) bool {
	const flagBroadcast = 0x0010
	to := c.Resp
	if dir == flows.Resp {
		to = c.Orig
	}
	if to.Is4() {
		return to[12]&0xf0 == 0xe0 || app == flows.AppNBNS && h.flags&flagBroadcast != 0 && to[15] == 255
	}
	return to[0] == 0xff
}

// answer writes the transaction that a response completes. Records begin at next, -1 where the message broke before.
func (t *Transactions) answer(out *flows.Out, c *flows.Conn, dir flows.Dir, app flows.App, h *header, q *question, msg []byte, next int, cut bool, size uint16, ref flows.Ref) {
	d := flows.DNS{
		Meta: flows.Meta{Ref: ref}, Conn: *c, AnswerAt: out.Now, AnswerRef: ref, AnswerBytes: size, ID: h.id,
		Flags: h.flags, Rcode: uint8(h.flags & maskRcode), App: app, Turned: dir == flows.Orig,
	}
	if q != nil {
		d.Type, d.Class, d.MixedCase = q.typ, q.class, q.name.mixed()
		d.Name = out.Put(q.name.bytes())
	}
	if i := t.open.find(c.ID, h.id, q); i != 0 && !t.open.entry(i).told {
		p := t.open.entry(i)
		d.Turned = p.turned
		d.QueryAt, d.QueryRef, d.QueryBytes = p.at, p.ref, p.size
		d.MixedCase = d.MixedCase || p.mixed
		if q == nil {
			d.Type, d.Class = p.typ, p.class
			d.Name = out.Put(p.question())
		}
		t.open.remove(i)
	} else {
		t.stats.Unasked++
	}
	if next >= 0 && !t.records(out, &d, h, msg, next, q != nil) {
		t.malformed(cut)
	}
	out.DNS(&d)
}

// records reads the answers into the batch and looks for EDNS behind them. It says false where the message breaks off.
func (t *Transactions) records(out *flows.Out, d *flows.DNS, h *header, msg []byte, next int, asked bool) bool {
	b := out.Batch
	keep := len(b.Order) < flows.MaxItems // else the transaction will be refused, and its answers would belong to nobody
	d.Answers.Off = uint32(len(b.Answers))
	owner := d.Name // the owner of the record before, or the question
	before := []byte(nil)
	if asked {
		before = t.question.name.bytes()
	}
	read := &t.owners[0]
	var r record
	for i := range h.counts[1] {
		if i >= maxAnswers || !keep {
			t.stats.CutAnswers++
			if r, next = readRecord(msg, skipName(msg, next)); next < 0 {
				return false
			}
			continue
		}
		at := next
		if asked && next+2 <= len(msg) && msg[next] == 0xc0 && msg[next+1] == headerLen && d.App != flows.AppNBNS {
			next += 2 // points at the question: nearly every first answer does
			if owner != d.Name {
				owner, before = d.Name, t.question.name.bytes()
			}
		} else {
			if next = read.read(msg, next); next < 0 {
				return false
			}
			if d.App == flows.AppNBNS {
				read.decodeNetBIOS()
			}
			if before == nil || !bytes.Equal(before, read.bytes()) {
				owner, before = out.Put(read.bytes()), read.bytes()
				if read = &t.owners[0]; &before[0] == &read.wire[0] {
					read = &t.owners[1] // keeps the name of the record before
				}
			}
		}
		if r, next = readRecord(msg, next); next < 0 {
			return false
		}
		if d.Name.Len == 0 && i == 0 && !asked { // an answer to nobody's question: what it answers is its first record
			d.Name, d.Type, d.Class = owner, r.typ, r.class&0x7fff
		}
		b.Answers = append(b.Answers, flows.Answer{
			Name: owner, Data: t.data(out, d.App, msg, at, &r), TTL: r.ttl, Type: r.typ, Len: uint16(len(r.data)),
		})
		d.Answers.Len++
	}
	for range int(h.counts[2]) + int(h.counts[3]) {
		if r, next = readRecord(msg, skipName(msg, next)); next < 0 {
			return false
		}
		if r.typ == typeOPT { // upper eight bits of the response code (RFC 6891, 6.1.3)
			d.Rcode = uint8(min(r.ttl>>24<<4|uint32(d.Flags&maskRcode), math.MaxUint8))
		}
	}
	return true
}
