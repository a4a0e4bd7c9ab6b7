package table

import (
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// The letters of a history that stand once for each direction.
const (
	onceData uint16 = 1 << iota
	onceACK
	onceInconsistent
	onceMulti
	onceSYN
	onceSYNACK
	onceFIN
	onceRST
	onceGap
	onceRetransmit
	onceZero
)

// tcp counts one segment: state, history, sequence space (RFC 9293), and hands its payload to the parsers.
func (s *Shard) tcp(n uint32, f *flow, d flows.Dir, p *packet.Packet) {
	me, peer := &f.tcp[d], &f.tcp[d.Other()]
	flags := p.Flags
	f.flags[d] |= flags
	syn, ack, rst, fin := flags&packet.SYN != 0, flags&packet.ACK != 0, flags&packet.RST != 0, flags&packet.FIN != 0
	switch {
	case syn && (fin || rst):
		f.note(d, 'q', onceMulti)
	case fin && rst:
		f.note(d, 'i', onceInconsistent)
	}
	seq, size := p.Seq, p.PayloadLen
	switch {
	case syn && !ack:
		f.note(d, 's', onceSYN)
		if d == flows.Orig {
			f.events |= origSYN
			f.rtt = -int64(s.now)
		} else {
			f.events |= respOther
		}
	case syn:
		f.note(d, 'h', onceSYNACK)
		if d == flows.Resp {
			f.events |= respSYNACK
		}
	case !rst:
		if d == flows.Resp {
			f.events |= respOther
		} else if f.events&(origSYN|respSYNACK|handshake) == origSYN|respSYNACK && ack {
			f.events |= handshake
			if f.rtt < 0 {
				f.rtt += int64(s.now)
			}
		}
	}
	if syn {
		seq++ // SYN takes a number; payload may follow it (RFC 7413)
	}
	if !f.started[d] {
		f.started[d], me.next = true, seq
	}
	if size > 0 {
		f.note(d, 'd', onceData)
		s.sequence(f, d, seq, size)
	} else if ack && !syn && !fin && !rst {
		f.note(d, 'a', onceACK)
	}
	if ack && f.started[d.Other()] && (!f.acked[d] || int32(p.Ack-me.ack) > 0) {
		me.ack, f.acked[d] = p.Ack, true
		if peer.hole > 0 && int32(p.Ack-peer.holeAt) > 0 { // the peer's bytes that we never saw were received
			t := &s.troubleOf(f)[d.Other()]
			t.Gaps++
			t.GapBytes += uint64(peer.hole)
			f.note(d.Other(), 'g', onceGap)
			peer.hole = 0
		}
	}
	if p.Window == 0 && ack && !rst && !syn {
		s.troubleOf(f)[d].ZeroWindows++
		f.note(d, 'w', onceZero)
	}
	ended := f.closed
	if fin {
		f.note(d, 'f', onceFIN)
		f.events |= [2]events{origFIN, respFIN}[d]
	}
	if rst {
		f.note(d, 'r', onceRST)
		f.events |= [2]events{origRST, respRST}[d]
	}
	if f.events&(origRST|respRST) != 0 || f.events&(origFIN|respFIN) == origFIN|respFIN {
		f.closed = true
	}
	if f.attempt && (d == flows.Resp || !syn) {
		s.dequeue(n, f)
		s.enqueue(n, f, false)
	}
	if size > 0 {
		s.payload(f, d, p, seq)
	}
	if ack {
		s.acknowledged(f, d, p)
	}
	if f.closed && !ended { // its deadline comes earlier now
		s.unlink(n, f)
		s.link(n, f, s.deadline(f))
	}
}

// sequence accounts size bytes from seq on: new, repeated, or behind a hole.
func (s *Shard) sequence(f *flow, d flows.Dir, seq, size uint32) {
	c, me := &f.n[d], &f.tcp[d]
	end := seq + size
	switch ahead := int32(seq - me.next); {
	case ahead == 0:
		c.PayloadBytes += uint64(size)
		me.next = end
	case ahead > 0:
		if ahead < 1<<26 { // farther ahead is not a hole but another numbering: take it up there
			if me.hole == 0 {
				me.holeAt = me.next
			}
			me.hole += uint32(ahead)
		}
		c.PayloadBytes += uint64(size)
		me.next = end
	case int32(end-me.next) > 0: // partly new
		c.PayloadBytes += uint64(end - me.next)
		me.next = end
	case me.hole > 0 && int32(seq-me.holeAt) >= 0: // fills a hole: it came late
		fill := min(size, me.hole)
		me.hole -= fill
		c.PayloadBytes += uint64(fill)
	default:
		s.troubleOf(f)[d].Retransmits++
		f.note(d, 't', onceRetransmit)
	}
}
