package pipeline

import (
	"context"
	"math"
	"sync/atomic"

	"neuromast/flows/table"
	"neuromast/sensor/fragment"
	"neuromast/sensor/packet"
)

// lot is a run of packets in order, cut into the parts of the workers. The last worker to be done with it sends it back.
type lot struct {
	batches []*frames // that the parts point into
	parts   []part    // by worker
	extra   []packet.Packet
	keys    []table.Keyed // of extra
	quotes  []table.Keyed // conversations that ICMP errors quote
	joined  [][]byte      // memory of packets put together from fragments
	dropped uint64        // frames lost before the sensor
	sampled uint64        // packets left out because of overload
	shed    table.Shed    // what the workers leave undone
	pending atomic.Int32
}

// part is one worker's share of a lot: which packets, and which marks stand before them.
type part struct {
	index []uint32
	marks []mark
}

// An index says in its upper half which batch of the lot a packet lies in, or that it is one of the lot's own.
const (
	inExtra = 0xffff << 16
	inQuote = 0xfffe << 16
)

// mark says that before packet pos of a part, packet time reached at.
type mark struct {
	pos   int
	at    packet.Time
	final bool
}

// sequencer brings the packets of all sources into one order of time, joins fragments, marks the passing of time and
// gives each packet to the worker that owns its shard.
type sequencer struct {
	decoder packet.Decoder
	joiner  *fragment.Joiner
	order   order
	sources []origin
	free    chan *lot
	workers []*worker

	lot   *lot
	lots  uint64 // how many were begun
	now   packet.Time
	tick  packet.Time
	begun bool
	given int // packets since the last mark
	drops uint64
	load  overload
	t     *Totals
	told  func() // after every lot
}

// origin is what the sequencer knows of one source.
type origin struct {
	queue   []*frames
	out     int         // batches not yet handed on whole
	pos     int         // next packet of the first of queue
	reached packet.Time // frames that follow are not expected earlier
	down    bool
	over    bool
}

// run takes batches until every source is over.
func (s *sequencer) run(ctx context.Context, in <-chan *frames) error {
	defer func() {
		for _, w := range s.workers {
			close(w.in)
		}
	}()
	if err := s.next(ctx); err != nil {
		return err
	}
	for left := len(s.sources); left > 0; {
		f, err := receive(ctx, in)
		if err != nil {
			return err
		}
		o := &s.sources[f.source]
		s.drops += f.Drops
		o.down = f.Down
		s.load.see(f.source, f.Fill, s.now)
		if f.final {
			o.over = true
			left--
		}
		if len(f.Frames) > 0 {
			o.reached = max(o.reached, f.newest)
			o.queue = append(o.queue, f)
			o.out++
		}
		if f.Clock != 0 {
			o.reached = max(o.reached, f.Clock)
		}
		s.merge(left == 0)
		if f.Clock != 0 {
			s.order.tick(s.safe())
		}
		if len(f.Frames) == 0 {
			f.recycle()
		}
		if err := s.deal(ctx, left == 0); err != nil {
			return err
		}
	}
	return s.flush(ctx, false)
}

// safe is the time up to which every source that is up has delivered.
func (s *sequencer) safe() packet.Time {
	safe := packet.Time(math.MaxInt64)
	for i := range s.sources {
		if o := &s.sources[i]; !o.down && !o.over {
			safe = min(safe, o.reached)
		}
	}
	if safe == math.MaxInt64 { // none is up: what is there is all
		safe = 0
		for i := range s.sources {
			safe = max(safe, s.sources[i].reached)
		}
	}
	return safe
}

// merge moves packets of the sources into the order, by time, as far as no source can have an earlier one. A source that is
// ahead waits in its own ring: the one that is behind tells its clock ten times a second, or is down.
func (s *sequencer) merge(all bool) {
	safe, wait := s.safe(), !all && len(s.sources) > 1
	for {
		var first *origin
		var at, second packet.Time = 0, math.MaxInt64
		for i := range s.sources {
			o := &s.sources[i]
			if len(o.queue) == 0 {
				continue
			}
			switch t := o.queue[0].packets[o.pos].At; {
			case first == nil:
				first, at = o, t
			case t < at:
				first, at, second = o, t, at
			default:
				second = min(second, t)
			}
		}
		if first == nil || wait && at > safe {
			return
		}
		f := first.queue[0]
		n := len(f.Frames)
		limit := packet.Time(math.MaxInt64)
		if wait {
			limit = safe
		}
		limit = min(limit, second) // a run up to where another source goes on
		i := first.pos
		for i < n && (i == first.pos || f.packets[i].At <= limit) {
			s.order.add(ref{f.packets[i].At, f, uint32(i)})
			i++
		}
		if first.pos = i; i == n {
			first.queue, first.pos = append(first.queue[:0], first.queue[1:]...), 0
		}
	}
}

// deal hands on what is in order.
func (s *sequencer) deal(ctx context.Context, all bool) error {
	if all {
		s.order.end()
	}
	ready := s.order.ready(all || s.scarce())
	for i := range ready {
		if len(s.lot.batches) == maxSlots {
			if err := s.flush(ctx, true); err != nil {
				return err
			}
		}
		s.take(ready[i])
	}
	if s.order.took(len(ready)); s.begun || s.order.started {
		s.advance(s.order.newest - window)
	}
	if all {
		s.joiner.Finish(s.now, s.incomplete)
		for w := range s.lot.parts {
			p := &s.lot.parts[w]
			p.marks = append(p.marks, mark{pos: len(p.index), at: s.now, final: true})
		}
	}
	return s.flush(ctx, true)
}

// scarce says that a source has few batches left to go on with, as where each holds few frames: then none are held back.
func (s *sequencer) scarce() bool {
	for i := range s.sources {
		if s.sources[i].out > frameBatches/2 {
			return true
		}
	}
	return false
}

// maxSlots bounds the batches that one lot points into.
const maxSlots = 0xfff0

// take gives one packet to its worker.
func (s *sequencer) take(r ref) {
	f, i := r.batch, r.index
	p := &f.packets[i]
	t := s.t
	t.Packets++
	t.Bytes += uint64(len(f.Frames[i].Data))
	if p.Net != packet.NetNone {
		t.Decoded++
		if p.Net == packet.NetARP {
			t.ARP++
		}
	}
	if t.Packets == 1 {
		t.First, t.Last = p.At, p.At
	} else {
		t.First, t.Last = min(t.First, p.At), max(t.Last, p.At)
	}
	s.advance(p.At)
	keyed := f.keyed[i]
	if p.Fragment != packet.Whole {
		keyed = s.join(p, &f.keys[i])
	}
	if p.Anomalies != 0 {
		p.Anomalies.Each(func(a packet.Anomaly) { t.Anomalies[a]++ })
	}
	if keyed && !s.load.keeps(f.keys[i].Hash) {
		s.lot.sampled++
		keyed = false
	}
	if keyed {
		if f.lot != s.lots {
			f.lot, f.slot = s.lots, len(s.lot.batches)
			f.users.Add(1)
			s.lot.batches = append(s.lot.batches, f)
		}
		s.give(&f.keys[i], uint32(f.slot)<<16|i)
		if q, ok := table.QuotedBy(p); ok {
			s.lot.quotes = append(s.lot.quotes, q)
			s.give(&q, inQuote|uint32(len(s.lot.quotes)-1))
		}
	}
	if f.left--; f.left == 0 {
		s.sources[f.source].out--
		f.recycle()
	}
}

// join hands a fragment to those before it and says whether there is a packet to go on with.
func (s *sequencer) join(p *packet.Packet, k *table.Keyed) bool {
	r, buf := s.joiner.Add(p)
	switch r {
	case fragment.Whole:
		s.lot.joined = append(s.lot.joined, buf)
		return table.KeyOf(p, k)
	case fragment.Alone:
		return table.KeyOf(p, k)
	}
	return false
}

// incomplete takes a packet whose fragments were given up.
func (s *sequencer) incomplete(p *packet.Packet, buf []byte) {
	p.Anomalies.Each(func(a packet.Anomaly) { s.t.Anomalies[a]++ })
	s.lot.joined = append(s.lot.joined, buf)
	var k table.Keyed
	if !table.KeyOf(p, &k) {
		return
	}
	s.lot.extra, s.lot.keys = append(s.lot.extra, *p), append(s.lot.keys, k)
	s.give(&k, inExtra|uint32(len(s.lot.extra)-1))
}

// give enters an index into the part of the worker that owns a key.
func (s *sequencer) give(k *table.Keyed, index uint32) {
	s.given++
	w := &s.lot.parts[int(table.ShardOf(k))%len(s.lot.parts)]
	w.index = append(w.index, index)
}

// advance lets packet time pass: whole periods become marks.
func (s *sequencer) advance(at packet.Time) {
	switch {
	case !s.begun:
		s.begun, s.now = true, at
		s.tick = at - at%period - 1
	case at > s.now:
		s.now = at
	}
	switch {
	case s.now >= s.tick+1+period:
		s.tick = s.now - s.now%period - 1
	case s.given >= markEvery && s.now > s.tick+1:
		s.tick = s.now - 1
	default:
		return
	}
	s.given = 0
	s.joiner.Due(s.tick, s.incomplete)
	for w := range s.lot.parts {
		p := &s.lot.parts[w]
		p.marks = append(p.marks, mark{pos: len(p.index), at: s.tick})
	}
}

// flush sends the lot to the workers, if there is anything in it, and takes an empty one where another follows.
func (s *sequencer) flush(ctx context.Context, another bool) error {
	empty := len(s.lot.batches) == 0 && len(s.lot.extra) == 0
	for i := range s.lot.parts {
		empty = empty && len(s.lot.parts[i].marks) == 0 && len(s.lot.parts[i].index) == 0
	}
	if empty {
		return nil
	}
	l := s.lot
	l.dropped, s.drops = s.drops, 0
	l.shed = s.load.shed()
	s.t.Dropped += l.dropped
	s.t.Load, s.t.LoadChanges = s.load.step, s.load.changes
	l.pending.Store(int32(len(s.workers)))
	for _, w := range s.workers {
		if err := send(ctx, w.in, l); err != nil {
			return err
		}
	}
	s.told()
	if !another {
		return nil
	}
	return s.next(ctx)
}

// next takes an empty lot.
func (s *sequencer) next(ctx context.Context) error {
	l, err := receive(ctx, s.free)
	if err != nil {
		return err
	}
	for _, b := range l.joined {
		s.joiner.Recycle(b)
	}
	l.sampled = 0
	l.batches, l.extra, l.keys, l.quotes, l.joined = l.batches[:0], l.extra[:0], l.keys[:0], l.quotes[:0], l.joined[:0]
	for i := range l.parts {
		l.parts[i].index, l.parts[i].marks = l.parts[i].index[:0], l.parts[i].marks[:0]
	}
	s.lot = l
	s.lots++
	return nil
}

// done is called by the last worker that used a lot.
func (l *lot) done(free chan<- *lot) {
	for i, b := range l.batches {
		b.recycle()
		l.batches[i] = nil
	}
	free <- l // never blocks: free holds every lot there is
}
