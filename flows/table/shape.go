package table

import (
	"time"
	"unsafe"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// shapeAfter is the packets after which a flow gets a side record; maxShapes bounds them, as a share of the flows.
const (
	shapeAfter   = 16
	shapeShare   = 8
	burstGap     = time.Second
	flowBytes    = uint64(unsafe.Sizeof(flow{}))
	shapeBytes   = uint64(unsafe.Sizeof(shape{}))
	troubleBytes = uint64(unsafe.Sizeof(trouble{}))
	arpBytes     = uint64(unsafe.Sizeof(arpMessage{}))
	endOfInput   = 365 * 24 * time.Hour // later than any deadline of a parser
	minuteSlots  = 6
)

// shape is the bounded record of how a longer flow ran, and what its last report said.
type shape struct {
	side        flows.Side
	reported    [2]flows.Counters
	lastPayload packet.Time
	lastOf      [2]packet.Time
}

// shapeOf returns a flow's side record, made where it is missing; nil where the bound is reached.
func (s *Shard) shapeOf(f *flow) *shape {
	if f.shape == 0 {
		switch {
		case len(s.spare) > 0:
			f.shape = s.spare[len(s.spare)-1]
			s.spare = s.spare[:len(s.spare)-1]
			s.shapes[f.shape] = shape{}
		case len(s.shapes) <= s.max/shapeShare+16:
			f.shape = uint32(len(s.shapes))
			s.shapes = append(s.shapes, shape{})
		default:
			s.out.Batch.Lost[flows.LostShape]++
			return nil
		}
		s.shapes[f.shape].side.From = minuteOf(f.reported)
	}
	return &s.shapes[f.shape]
}

// shapeFor returns the side record that a report needs to say what is new since the last one: a flow reported once, and
// then closed, needs none.
func (s *Shard) shapeFor(f *flow, final bool) *shape {
	if f.shape == 0 && final {
		return nil
	}
	return s.shapeOf(f)
}

// minuteOf is the whole minute of a time, so that minutes of different flows are the same.
func minuteOf(t packet.Time) packet.Time { return t - t%packet.Time(time.Minute) }

// trace adds a packet with payload to the shape of a flow past its first packets.
func (s *Shard) trace(f *flow, d flows.Dir, p *packet.Packet) {
	if f.n[0].Packets+f.n[1].Packets <= shapeAfter {
		return
	}
	sh := s.shapeOf(f)
	if sh == nil {
		return
	}
	side, size := &sh.side, int64(p.PayloadLen)
	if int(side.Num) < len(side.Sizes) {
		signed := int16(min(size, 32767))
		if d == flows.Resp {
			signed = -signed
		}
		side.Sizes[side.Num] = signed
		if sh.lastPayload != 0 {
			side.Gaps[side.Num] = uint32(min((s.now-sh.lastPayload)/1000, 1<<32-1))
		}
		side.Num++
	}
	minute := min(int(s.now.Sub(side.From)/time.Minute), minuteSlots-1)
	side.Minutes[max(minute, 0)][d] += uint64(size)
	if sh.lastOf[d] == 0 || s.now.Sub(sh.lastOf[d]) > burstGap {
		side.Bursts[d]++
		side.BurstBytes[d] = 0
	}
	side.BurstBytes[d] += uint64(size)
	sh.lastPayload, sh.lastOf[d] = s.now, s.now
}
