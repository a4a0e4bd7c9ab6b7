package table

import (
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// A host that knows its neighbours asks for each once or twice a minute, and a poisoner repeats its lie every second or
// ten, so a minute halves the facts of a quiet network and says a lie's rate. All chosen by us.
const (
	arpFold  = packet.Time(time.Minute)
	arpSpan  = packet.Time(time.Second)
	arpKept  = 256 // different messages of a shard that are folded at once; a power of 2. All shards together take 1.7 MB
	arpFacts = 128 // facts of a shard in arpSpan: 8,192/s over all shards, a sweep of 16 bits of addresses in 8 s
)

// arps folds the ARP messages of a shard. The first of its kind in a minute of packet time is told at once; how often it
// came again is told when the minute is over, or when another kind needs its place. A change of any address is another
// kind. Where more than arpFacts kinds come in a second, a storm of ever new addresses, those beyond wait for the end of
// the minute too, and what has to make room before is counted as lost.
type arps struct {
	kept   []arpMessage // by hash; nil until the first message
	used   int          // entries of kept
	end    packet.Time  // of the minute
	second packet.Time  // end of the span that told counts in
	told   int          // facts
}

// arpMessage is one kind of message of this minute.
type arpMessage struct {
	at                packet.Time // latest
	ref               flows.Ref
	sender, target    packet.Addr
	segment           packet.Segment
	senderMAC, forMAC packet.MAC
	from, to          packet.MAC
	more              uint32 // messages that no fact told yet
	reply             bool
	used              bool
}

// arpOf names the kind of message that p is.
func arpOf(p *packet.Packet) arpMessage {
	return arpMessage{
		sender: p.Src, target: p.Dst, segment: p.Segment, senderMAC: p.ARP.SenderMAC, forMAC: p.ARP.TargetMAC,
		from: p.SrcMAC, to: p.DstMAC, reply: p.ARP.Op == packet.ARPReply,
	}
}

// same says whether two messages differ in nothing but their time.
func (m *arpMessage) same(o *arpMessage) bool {
	return m.sender == o.sender && m.target == o.target && m.reply == o.reply && m.senderMAC == o.senderMAC && m.forMAC == o.forMAC &&
		m.from == o.from && m.to == o.to && m.segment == o.segment
}

// arp takes an ARP message; k is its KeyOf. A mirror's copy is told apart by its time alone, as bare packets are.
func (s *Shard) arp(p *packet.Packet, k *Keyed) {
	a := &s.arps
	if s.now >= a.end {
		s.tellRepeated(a.end - 1)
		a.end = s.now - s.now%arpFold + arpFold
	}
	if a.kept == nil {
		a.kept = make([]arpMessage, arpKept)
	}
	m := arpOf(p)
	e := &a.kept[m.hash(k)%arpKept]
	ref := flows.Ref{Input: p.Input, Frame: p.Number}
	if e.used && e.same(&m) {
		if d := p.At - e.at; d <= bareWindow && d >= -bareWindow {
			s.stats.Duplicates++
			s.out.Batch.Lost[flows.LostCopy]++
			return
		}
		e.more++
		e.at, e.ref = p.At, ref
		return
	}
	if s.now >= a.second {
		a.second, a.told = s.now-s.now%arpSpan+arpSpan, 0
	}
	room := a.told < arpFacts
	if e.more > 0 {
		if room {
			a.told++
			s.tellARP(e, e.more)
		} else {
			s.out.Batch.Lost[flows.LostARP] += uint64(e.more)
		}
	}
	if !e.used {
		a.used++
	}
	*e = m
	e.at, e.ref, e.used = p.At, ref, true
	if room {
		a.told++
		s.tellARP(e, 1)
	} else {
		e.more = 1
	}
}

// hash is fixed, so that what makes room for what does not depend on the run.
func (m *arpMessage) hash(k *Keyed) uint64 {
	h := mix(k.Hash^macBits(m.senderMAC), macBits(m.from)^macBits(m.forMAC)<<1^macBits(m.to)<<2^0xd6e8feb86659fd93)
	if k.Swapped {
		h++
	}
	if m.reply {
		h += 2
	}
	return h
}

// tellARP writes a fact for count messages of a kind.
func (s *Shard) tellARP(m *arpMessage, count uint32) {
	s.out.ARP(&flows.ARP{
		Meta: flows.Meta{Ref: m.ref}, Segment: m.segment, Sender: m.sender, Target: m.target, SenderMAC: m.senderMAC, TargetMAC: m.forMAC,
		From: m.from, To: m.to, Count: count, Reply: m.reply,
	})
}

// tellRepeated tells at a time what was repeated and not yet told, and forgets all messages.
func (s *Shard) tellRepeated(at packet.Time) {
	a := &s.arps
	if a.used == 0 {
		return
	}
	keep := s.out.Now
	s.out.Now = at
	for i := range a.kept {
		if e := &a.kept[i]; e.more > 0 {
			s.tellARP(e, e.more)
		}
	}
	clear(a.kept)
	a.used = 0
	s.out.Now = keep
}

// macBits is a hardware address as a number.
func macBits(m packet.MAC) uint64 {
	return uint64(m[0])<<40 | uint64(m[1])<<32 | uint64(m[2])<<24 | uint64(m[3])<<16 | uint64(m[4])<<8 | uint64(m[5])
}
