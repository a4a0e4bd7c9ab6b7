package table

import (
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Advance closes and reports all that is due up to and including to, each item at its own deadline.
func (s *Shard) Advance(to packet.Time) {
	from := s.now / wheelStep
	if s.mark != 0 {
		from = s.mark / wheelStep
	}
	last := to / wheelStep
	if s.used > 0 && last >= from {
		steps := min(last-from, wheelSlots-1)
		if s.now < to {
			s.now = to
		}
		for i := packet.Time(0); i <= steps; i++ {
			s.turn(uint16(uint64(from+i)%wheelSlots), to)
		}
	}
	s.now, s.mark = max(s.now, to), max(s.mark, to)
	if s.arps.used > 0 && to >= s.arps.end-1 {
		s.tellRepeated(s.arps.end - 1)
	}
	if s.protos != nil {
		s.protos.Advance(&s.out, to)
	}
}

// turn looks at every flow of one place of the wheel.
func (s *Shard) turn(slot uint16, to packet.Time) {
	n := s.wheel[slot]
	for n != 0 {
		f := s.at(n)
		next := f.next
		if end := f.last.Add(s.timeout(f)); end <= to {
			s.reports(n, f, end)
			s.finish(n, end, false)
		} else {
			s.reports(n, f, to+1)
			s.unlink(n, f)
			s.link(n, f, s.deadline(f))
		}
		n = next
	}
}

// Finish ends every flow at the end of the input.
func (s *Shard) Finish(at packet.Time) {
	s.Advance(at)
	s.FinishFlows(at)
	s.FinishParsers(at)
}

// FinishFlows ends every flow at the end of the input, up to which Advance was called.
func (s *Shard) FinishFlows(at packet.Time) {
	s.tellRepeated(at)
	for _, q := range []*queue{&s.young, &s.old} {
		for q.head != 0 {
			s.finish(q.head, at, false)
		}
	}
}

// FinishParsers lets the parsers write what waits for an answer that will not come.
func (s *Shard) FinishParsers(at packet.Time) {
	if s.protos != nil {
		s.protos.Advance(&s.out, at.Add(endOfInput))
	}
}

// reports writes the reports of an open flow that are due before end.
func (s *Shard) reports(n uint32, f *flow, end packet.Time) {
	for f.reported.Add(s.cfg.ReportEvery) < end {
		at := f.reported.Add(s.cfg.ReportEvery)
		s.flush(f, at, false)
		s.record(f, at, false, false)
		f.reported = at
	}
}

// finish writes a flow's last record and forgets it.
func (s *Shard) finish(n uint32, at packet.Time, evicted bool) {
	f := s.at(n)
	s.flush(f, at, true)
	s.record(f, at, true, evicted)
	s.remove(n)
}

// record writes a flow's state at a time.
func (s *Shard) record(f *flow, at packet.Time, final, evicted bool) {
	f.report++
	total := s.total(f)
	r := flows.Record{
		Conn: s.conn(f), Last: f.last,
		FirstRef: flows.Ref{Input: f.firstInput, Frame: f.firstFrame}, LastRef: flows.Ref{Input: f.lastInput, Frame: f.lastFrame},
		Total: total, Delta: total, RTT: max(f.rtt, 0), Side: -1, History: f.history, HistoryLen: f.historyLen, State: f.state(), App: f.app,
		Final: final, Unreachable: f.unreachable, Evicted: evicted, Report: f.report, VLAN: f.vlan, NumVLAN: f.vlans(),
		OrigMAC: f.mac[flows.Orig], RespMAC: f.mac[flows.Resp],
	}
	r.Ref = r.LastRef
	r.Outer = s.out.PutTunnels(s.outers.of(f.outer))
	if sh := s.shapeFor(f, final); sh != nil {
		for d := range r.Delta {
			r.Delta[d] = since(&total[d], &sh.reported[d])
		}
		sh.reported = total
		if sh.side.Num > 0 {
			r.Side = s.out.PutSide(&sh.side)
		}
		sh.side.Minutes = [minuteSlots][2]uint64{}
		sh.side.From = minuteOf(at)
	}
	keep := s.out.Now
	s.out.Now = at
	s.out.Record(&r)
	s.out.Now = keep
}

// since returns what a holds beyond b.
func since(a, b *flows.Counters) flows.Counters {
	return flows.Counters{
		Packets: a.Packets - b.Packets, IPBytes: a.IPBytes - b.IPBytes, PayloadBytes: a.PayloadBytes - b.PayloadBytes,
		Retransmits: a.Retransmits - b.Retransmits, Gaps: a.Gaps - b.Gaps, GapBytes: a.GapBytes - b.GapBytes,
		ZeroWindows: a.ZeroWindows - b.ZeroWindows, Flags: a.Flags,
	}
}

// conn names a flow.
func (s *Shard) conn(f *flow) flows.Conn {
	c := flows.Conn{
		Start: f.first, Segment: f.key.Segment, Proto: f.key.Proto,
		Orig: f.key.Lo, OrigPort: f.key.LoPort, Resp: f.key.Hi, RespPort: f.key.HiPort,
	}
	if f.origIsHi {
		c.Orig, c.OrigPort, c.Resp, c.RespPort = c.Resp, c.RespPort, c.Orig, c.OrigPort
	}
	c.ID = mix(hash(&f.key, 0)^uint64(f.first), f.firstFrame^uint64(f.firstInput)<<40^0x2545f4914f6cdd1d)
	return c
}
