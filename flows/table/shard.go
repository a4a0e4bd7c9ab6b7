// Package table turns packets into biflow records: connection state, counters, timeouts in packet time, bounded memory.
//
// State is cut into shards by a fixed hash of the key; one Shard is used by one goroutine. A shard keeps its flows in
// chunks without pointers, found by an open-addressing index, and their deadlines on a timing wheel of packet time. A
// flood of new flows evicts the oldest attempts first, so that conversations survive it.
package table

import (
	"time"

	"neuromast/flows"
	"neuromast/flows/stream"
	"neuromast/sensor/packet"
)

// Stats counts what a shard did.
type Stats struct {
	Flows      uint64 // begun
	Evicted    uint64 // ended by the budget
	Duplicates uint64 // packets that a mirror copied twice: not counted in any flow
	Live       uint64
	Bytes      uint64 // memory of the table
}

// Add adds s to t.
func (t *Stats) Add(s Stats) {
	t.Flows += s.Flows
	t.Evicted += s.Evicted
	t.Duplicates += s.Duplicates
	t.Live += s.Live
	t.Bytes += s.Bytes
}

// Shard is one shard of the table.
type Shard struct {
	cfg    Config
	seed   uint64
	max    int
	out    flows.Out
	protos stream.Protocols

	index    []uint64 // tag << 32 | number of flow + 1; 0 is free
	used     int
	memory   *Memory
	chunks   [][]flow
	free     uint32 // head of the list of free flows, by flow.next; none is 0
	wheel    [wheelSlots]uint32
	now      packet.Time // reached by packets or Advance
	mark     packet.Time // reached by Advance
	young    queue       // attempts in order of their beginning, for eviction
	old      queue       // all flows in order of their beginning
	shapes   []shape     // side records; number 0 is none
	spare    []uint32    // free numbers of shapes
	conns    []connection
	idle     []uint32
	outers   outers
	troubles []trouble // number 0 is for those beyond the bound
	calm     []uint32  // free numbers of troubles
	arps     arps
	shed     Shed
	seen     []seen // packets of the last moments, to tell copies
	stats    Stats
}

// queue is a list of flows through flow.born, oldest first.
type queue struct{ head, tail uint32 }

const (
	chunkFlows = 128
	wheelSlots = 2048
	wheelStep  = packet.Time(time.Second / 8)
)

// New makes an empty shard.
func New(shard uint8, cfg Config, seed uint64, memory *Memory, protos stream.Protocols) *Shard {
	return &Shard{
		cfg: cfg, memory: memory, seed: seed, max: max(cfg.MaxFlows/flows.NumShards, 1), out: flows.Out{Shard: shard}, protos: protos,
		index: make([]uint64, 64), shapes: make([]shape, 1), conns: make([]connection, 1),
		seen: make([]seen, seenPackets), troubles: make([]trouble, 1),
	}
}

// Out is where the shard writes; the worker sets its Batch.
func (s *Shard) Out() *flows.Out { return &s.out }

// Stats returns the shard's counters.
func (s *Shard) Stats() Stats {
	st := s.stats
	st.Live = uint64(s.used)
	st.Bytes = uint64(len(s.chunks))*chunkFlows*flowBytes + uint64(len(s.index))*8 + uint64(len(s.shapes))*shapeBytes + s.outers.bytes() +
		uint64(len(s.troubles))*troubleBytes + uint64(len(s.arps.kept))*arpBytes
	return st
}

// at returns flow number n; numbers begin at 1.
func (s *Shard) at(n uint32) *flow { return &s.chunks[(n-1)/chunkFlows][(n-1)%chunkFlows] }

// find returns the number of a key's flow, 0 where there is none, and its place in the index.
func (s *Shard) find(k *flows.Key, tag uint32) (n uint32, place int) {
	mask := len(s.index) - 1
	for i := int(tag) & mask; ; i = (i + 1) & mask {
		e := s.index[i]
		if e == 0 {
			return 0, i
		}
		if uint32(e>>32) == tag {
			if n := uint32(e); s.at(n).key == *k {
				return n, i
			}
		}
	}
}

// insert makes a flow for a key that the index doesn't hold.
func (s *Shard) insert(k *flows.Key, tag uint32) (uint32, *flow) {
	for s.used >= s.max {
		s.evict()
	}
	if (s.used+1)*4 > len(s.index)*3 {
		s.grow()
	}
	if s.free == 0 {
		base := uint32(len(s.chunks)) * chunkFlows
		c := s.memory.chunk()
		for i := range c {
			c[i].next = base + uint32(i) + 2
		}
		c[chunkFlows-1].next = 0
		s.chunks = append(s.chunks, c)
		s.free = base + 1
	}
	n := s.free
	f := s.at(n)
	s.free = f.next
	*f = flow{key: *k}
	_, place := s.find(k, tag)
	s.index[place] = uint64(tag)<<32 | uint64(n)
	s.used++
	s.stats.Flows++
	return n, f
}

// grow doubles the index; tags say where entries go, so that the flows are not touched.
func (s *Shard) grow() {
	old := s.index
	s.index = make([]uint64, 2*len(old))
	mask := len(s.index) - 1
	for _, e := range old {
		if e == 0 {
			continue
		}
		i := int(e>>32) & mask
		for s.index[i] != 0 {
			i = (i + 1) & mask
		}
		s.index[i] = e
	}
}

// remove takes a flow out of index, wheel and queue and gives its memory back.
func (s *Shard) remove(n uint32) {
	f := s.at(n)
	_, i := s.find(&f.key, s.tag(&f.key))
	mask := len(s.index) - 1
	s.index[i] = 0
	for j := (i + 1) & mask; s.index[j] != 0; j = (j + 1) & mask { // close the gap (Knuth 6.4, algorithm R)
		home := int(s.index[j]>>32) & mask
		if (j-home)&mask >= (j-i)&mask {
			s.index[i], s.index[j] = s.index[j], 0
			i = j
		}
	}
	s.unlink(n, f)
	s.dequeue(n, f)
	if f.shape != 0 {
		s.spare = append(s.spare, f.shape)
	}
	if f.trouble != 0 {
		s.calm = append(s.calm, f.trouble)
	}
	s.outers.leave(f.outer)
	*f = flow{next: s.free}
	s.free = n
	s.used--
}

func (s *Shard) tag(k *flows.Key) uint32 { return uint32(hash(k, s.seed)) }

// enqueue puts a flow at the end of its queue.
func (s *Shard) enqueue(n uint32, f *flow, attempt bool) {
	f.attempt = attempt
	q := s.queueOf(f)
	f.born = [2]uint32{q.tail, 0}
	if q.tail != 0 {
		s.at(q.tail).born[1] = n
	} else {
		q.head = n
	}
	q.tail = n
}

func (s *Shard) dequeue(n uint32, f *flow) {
	q := s.queueOf(f)
	if p := f.born[0]; p != 0 {
		s.at(p).born[1] = f.born[1]
	} else {
		q.head = f.born[1]
	}
	if x := f.born[1]; x != 0 {
		s.at(x).born[0] = f.born[0]
	} else {
		q.tail = f.born[0]
	}
}

func (s *Shard) queueOf(f *flow) *queue {
	if f.attempt {
		return &s.young
	}
	return &s.old
}

// evict ends the oldest attempt, else the oldest flow.
func (s *Shard) evict() {
	n := s.young.head
	if n == 0 {
		n = s.old.head
	}
	s.stats.Evicted++
	s.out.Batch.Lost[flows.LostEvictedFlow]++
	s.finish(n, s.now, true)
}

// link puts a flow on the wheel at a deadline.
func (s *Shard) link(n uint32, f *flow, deadline packet.Time) {
	base := s.now / wheelStep
	f.slot = uint16(uint64(min(max(deadline/wheelStep, base), base+wheelSlots-1)) % wheelSlots)
	head := &s.wheel[f.slot]
	f.prev, f.next = 0, *head
	if *head != 0 {
		s.at(*head).prev = n
	}
	*head = n
}

func (s *Shard) unlink(n uint32, f *flow) {
	if f.prev != 0 {
		s.at(f.prev).next = f.next
	} else {
		s.wheel[f.slot] = f.next
	}
	if f.next != 0 {
		s.at(f.next).prev = f.prev
	}
}
