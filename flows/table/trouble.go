package table

import "neuromast/flows"

// troubleOf returns a flow's counters of trouble, made where they are missing; where their bound is reached, a place that
// nobody reads.
func (s *Shard) troubleOf(f *flow) *trouble {
	if f.trouble == 0 {
		switch {
		case len(s.calm) > 0:
			f.trouble, s.calm = s.calm[len(s.calm)-1], s.calm[:len(s.calm)-1]
			s.troubles[f.trouble] = trouble{}
		case len(s.troubles) <= s.max/shapeShare+16:
			f.trouble = uint32(len(s.troubles))
			s.troubles = append(s.troubles, trouble{})
		default:
			s.out.Batch.Lost[flows.LostShape]++
		}
	}
	return &s.troubles[f.trouble]
}

// total returns all that a flow counted.
func (s *Shard) total(f *flow) (all [2]flows.Counters) {
	for d := range all {
		n := &f.n[d]
		all[d] = flows.Counters{Packets: n.Packets, IPBytes: n.IPBytes, PayloadBytes: n.PayloadBytes, Flags: f.flags[d]}
		if f.trouble != 0 {
			t := &s.troubles[f.trouble][d]
			all[d].Retransmits, all[d].Gaps, all[d].GapBytes, all[d].ZeroWindows = t.Retransmits, t.Gaps, t.GapBytes, t.ZeroWindows
		}
	}
	return all
}
