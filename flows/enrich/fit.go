package enrich

import (
	"fmt"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Fit counts how well the internal ranges fit the traffic: a flow between two external addresses does not belong on a
// site's wire. It is used by one goroutine.
type Fit struct {
	Flows   uint64 // flows counted
	Outside uint64 // of Flows: those that touch no internal address

	// The originators' networks that Outside flows come from most often, by the counters of Misra and Gries (Finding
	// repeated elements, 1982): whatever makes up more than 1/9 of them is among the eight.
	nets   [8]packet.Addr
	counts [8]uint64
}

// Add counts a flow; it is called with one record of each.
func (f *Fit) Add(s *Site, r *flows.Record) {
	f.Flows++
	if s.Internal(r.Orig) || s.Internal(r.Resp) {
		return
	}
	f.Outside++
	net := network(r.Orig)
	free := -1
	for i := range f.nets {
		if f.counts[i] > 0 && f.nets[i] == net {
			f.counts[i]++
			return
		}
		if f.counts[i] == 0 && free < 0 {
			free = i
		}
	}
	if free >= 0 {
		f.nets[free], f.counts[free] = net, 1
		return
	}
	for i := range f.counts {
		f.counts[i]--
	}
}

// network cuts an address to its /24, or its /48 for IPv6: what a site usually owns at least.
func network(a packet.Addr) packet.Addr {
	if a.Is4() {
		a[15] = 0
		return a
	}
	clear(a[6:])
	return a
}

// Warning returns a sentence for people, empty while the ranges fit: from half of all flows on, or from a tenth of at
// least a hundred (chosen by us: a stray scan of the outside on a border link stays below).
func (f *Fit) Warning() string {
	if f.Outside*10 < f.Flows || f.Outside == 0 || f.Flows < 100 && f.Outside*2 < f.Flows {
		return ""
	}
	best := 0
	for i := range f.counts {
		if f.counts[i] > f.counts[best] {
			best = i
		}
	}
	hint := ""
	if f.counts[best] > 0 {
		bits := 24
		if !f.nets[best].Is4() {
			bits = 48
		}
		hint = fmt.Sprintf(" (most often from %s/%d)", f.nets[best], bits)
	}
	return fmt.Sprintf("%d %% of flows touch no internal address%s: set networks.internal", f.Outside*100/f.Flows, hint)
}
