package table

import (
	"unsafe"

	"neuromast/sensor/packet"
)

// maxOuters bounds the different tunnels that a shard remembers. Chosen by us: overlay networks have thousands of pairs
// of endpoints; flows beyond don't say through which tunnel they came.
const maxOuters = 4096

// outers keeps the tunnels around flows, each set once. Number 0 is none.
type outers struct {
	sets   []outer
	number map[[packet.MaxOuter]packet.Tunnel]uint32
	free   []uint32
}

type outer struct {
	tunnels [packet.MaxOuter]packet.Tunnel
	flows   uint32
}

// enter returns the number of p's tunnels for a new flow.
func (o *outers) enter(p *packet.Packet) uint32 {
	n, ok := o.number[p.Outer]
	switch {
	case ok:
	case len(o.free) > 0:
		n, o.free = o.free[len(o.free)-1], o.free[:len(o.free)-1]
	case len(o.sets) > maxOuters:
		return 0
	default:
		if o.number == nil {
			o.number, o.sets = map[[packet.MaxOuter]packet.Tunnel]uint32{}, make([]outer, 1)
		}
		n = uint32(len(o.sets))
		o.sets = append(o.sets, outer{})
	}
	if !ok {
		o.number[p.Outer] = n
		o.sets[n].tunnels = p.Outer
	}
	o.sets[n].flows++
	return n
}

// leave says that a flow of the number ended.
func (o *outers) leave(n uint32) {
	if n == 0 {
		return
	}
	s := &o.sets[n]
	if s.flows--; s.flows == 0 {
		delete(o.number, s.tunnels)
		o.free = append(o.free, n)
	}
}

// of returns the tunnels of a number, outermost first.
func (o *outers) of(n uint32) []packet.Tunnel {
	if n == 0 {
		return nil
	}
	t := o.sets[n].tunnels[:]
	for len(t) > 0 && t[len(t)-1].Kind == packet.TunnelNone {
		t = t[:len(t)-1]
	}
	return t
}

func (o *outers) bytes() uint64 { return uint64(len(o.sets)) * uint64(2*unsafe.Sizeof(outer{})) }
