package table

import (
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Touch reads the place of the index where the flow of k will be looked for, and Approach the flow that lies there: a
// caller that does so for a handful of packets before it adds the first lets the processor fetch all of them from memory
// at once. What they return has to be used for something.
func (s *Shard) Touch(k *Keyed) (entry uint64) {
	k.tag = s.tag(&k.Key)
	return s.index[int(k.tag)&(len(s.index)-1)]
}

// Approach reads the flow of an index entry that Touch returned.
func (s *Shard) Approach(entry uint64) uint64 {
	if entry == 0 {
		return 0
	}
	f := s.at(uint32(entry))
	return uint64(f.key.Lo[0]) + uint64(f.last) + f.n[flows.Resp].Packets + uint64(f.prev) + uint64(f.history[0])
}

// Add takes one packet of the shard; k is its KeyOf.
func (s *Shard) Add(p *packet.Packet, k *Keyed) {
	if p.At > s.now {
		s.now = p.At
	} else if p.At <= s.mark {
		s.out.Batch.Lost[flows.LostLateItem]++
	}
	s.out.Now = s.now
	if p.Net == packet.NetARP {
		s.arp(p, k)
		return
	}
	if s.repeated(p, k) {
		s.stats.Duplicates++
		s.out.Batch.Lost[flows.LostCopy]++
		return
	}
	if p.Anomalies.Has(packet.SnapLenCut) {
		s.out.Batch.Lost[flows.LostCutPacket]++
	}
	if k.tag == 0 {
		k.tag = s.tag(&k.Key)
	}
	tag := k.tag
	n, _ := s.find(&k.Key, tag)
	if n != 0 && s.over(n, p, k) {
		n = 0
	}
	var f *flow
	if n == 0 {
		n, f = s.insert(&k.Key, tag)
		s.begin(n, f, p, k)
	} else if f = s.at(n); s.now >= f.reported.Add(s.cfg.ReportEvery) {
		s.reports(n, f, s.now+1) // what the report tells ends with its time
	}
	d := flows.Orig
	if k.Swapped != f.origIsHi {
		d = flows.Resp
	}
	f.last, f.lastFrame, f.lastInput = s.now, p.Number, p.Input
	c := &f.n[d]
	c.Packets += uint64(p.Frames)
	c.IPBytes += uint64(p.IPLen)
	if f.mac[d] == (packet.MAC{}) {
		f.mac[d] = p.SrcMAC
	}
	switch {
	case p.Proto == packet.ProtoTCP && p.Fragment != packet.LaterFragment:
		s.tcp(n, f, d, p)
	default:
		if p.PayloadLen > 0 && f.once[d]&onceData == 0 && f.n[d].Packets == uint64(p.Frames) {
			f.note(d, 'd', onceData)
		}
		c.PayloadBytes += uint64(p.PayloadLen)
		if p.Proto == packet.ProtoUDP && p.Fragment == packet.Whole {
			s.datagram(f, d, p)
		}
	}
	if p.PayloadLen > 0 {
		s.trace(f, d, p)
	}
}

// begin fills a new flow from its first packet.
func (s *Shard) begin(n uint32, f *flow, p *packet.Packet, k *Keyed) {
	f.first, f.last, f.reported = s.now, s.now, s.now
	f.firstFrame, f.firstInput = p.Number, p.Input
	f.vlan = p.VLAN
	if p.Tunnels > 0 {
		f.outer = s.outers.enter(p)
	}
	f.origIsHi = k.Swapped
	attempt := false
	if p.Proto == packet.ProtoTCP {
		switch p.Flags & (packet.SYN | packet.ACK | packet.RST | packet.FIN) {
		case packet.SYN:
			attempt = true
		case packet.SYN | packet.ACK:
			f.origIsHi = !k.Swapped // the responder speaks first: its SYN was not seen
		default:
			if p.SrcPort < 1024 && p.DstPort >= 1024 && p.SrcPort != p.DstPort { // midstream, from a server's port
				f.origIsHi = !k.Swapped
				f.note(flows.Orig, '^', 0)
				f.history[0] = '^'
			}
		}
	} else {
		attempt = true
	}
	s.enqueue(n, f, attempt)
	s.link(n, f, s.deadline(f))
}

// over says whether the flow that the index holds ended before this packet: its time ran out, or a new connection reuses
// its ports. It is then finished.
func (s *Shard) over(n uint32, p *packet.Packet, k *Keyed) bool {
	f := s.at(n)
	if s.now >= f.last.Add(s.timeout(f)) {
		at := f.last.Add(s.timeout(f))
		s.reports(n, f, at)
		s.finish(n, at, false)
		return true
	}
	if f.closed && p.Proto == packet.ProtoTCP && p.Flags&(packet.SYN|packet.ACK|packet.RST) == packet.SYN {
		s.finish(n, s.now, false)
		return true
	}
	return false
}

// timeout is how long after its last packet a flow ends.
func (s *Shard) timeout(f *flow) time.Duration {
	switch {
	case f.key.Proto == packet.ProtoTCP && f.closed:
		return s.cfg.CloseTimeout
	case f.key.Proto == packet.ProtoTCP && f.attempt:
		return s.cfg.AttemptTimeout
	case f.key.Proto == packet.ProtoTCP:
		return s.cfg.TCPTimeout
	case f.key.Proto == packet.ProtoUDP:
		return s.cfg.UDPTimeout
	}
	return s.cfg.OtherTimeout
}

// deadline is when something is due next: the end or a report.
func (s *Shard) deadline(f *flow) packet.Time {
	return min(f.last.Add(s.timeout(f)), f.reported.Add(s.cfg.ReportEvery))
}
