package pipeline

import (
	"context"
	"sync"

	"neuromast/flows"
	"neuromast/flows/proto"
	"neuromast/flows/table"
	"neuromast/sensor/packet"
)

// worker owns the shards whose number is its own modulo the number of workers; nobody else touches them.
type worker struct {
	id      int
	in      chan *lot
	out     chan *flows.Batch
	free    chan *flows.Batch
	done    chan<- *lot
	stride  int
	shards  []*table.Shard // by shard number / stride
	protos  []*proto.Set
	batch   *flows.Batch
	shed    table.Shed
	live    bool
	marks   uint64
	touched uint64 // the sum of what was read ahead, so that it is read

	mu    sync.Mutex
	shown workerStats // what addTo shows while the worker runs
}

// workerStats is what a worker counts.
type workerStats struct {
	table table.Stats
	proto proto.Stats
}

func newWorker(id int, cfg Config, memory *table.Memory, done chan<- *lot) *worker {
	w := &worker{
		id: id, stride: cfg.Workers, live: cfg.Live, done: done,
		in:   make(chan *lot, queueLen),
		out:  make(chan *flows.Batch, batchesPer),
		free: make(chan *flows.Batch, batchesPer),
	}
	for range batchesPer {
		w.free <- &flows.Batch{}
	}
	for s := id; s < flows.NumShards; s += w.stride {
		set := proto.New(cfg.Proto)
		w.protos = append(w.protos, set)
		w.shards = append(w.shards, table.New(uint8(s), cfg.Table, cfg.Seed, memory, set))
	}
	return w
}

// run takes the worker's part of each lot until the input ends.
func (w *worker) run(ctx context.Context) error {
	defer close(w.out)
	if err := w.nextBatch(ctx); err != nil {
		return err
	}
	for l := range w.in {
		if w.id == 0 {
			w.batch.Lost[flows.LostCapture] += l.dropped
			w.batch.Lost[flows.LostSampled] += l.sampled
		}
		if l.shed != w.shed {
			w.shed = l.shed
			for _, s := range w.shards {
				s.SetShed(w.shed)
			}
		}
		part := &l.parts[w.id]
		from := 0
		for _, m := range part.marks {
			w.add(l, part.index[from:m.pos])
			from = m.pos
			if err := w.mark(ctx, m); err != nil {
				return err
			}
		}
		w.add(l, part.index[from:])
		if l.pending.Add(-1) == 0 {
			l.done(w.done)
		}
	}
	return nil
}

// ahead is how many packets are looked for in memory before the first of them is added. Chosen by us: 16 hide the way to
// memory where the table is large, and cost little where it is not.
const ahead = 16

// add enters packets into their shards.
func (w *worker) add(l *lot, index []uint32) {
	var entries [ahead]uint64
	for len(index) > 0 {
		n := min(ahead, len(index))
		for i, x := range index[:n] {
			if x < inQuote {
				k := &l.batches[x>>16].keys[x&0xffff]
				entries[i] = w.shard(k).Touch(k)
			}
		}
		for i, x := range index[:n] {
			if x < inQuote {
				w.touched += w.shard(&l.batches[x>>16].keys[x&0xffff]).Approach(entries[i])
			}
		}
		for _, x := range index[:n] {
			w.one(l, x)
		}
		index = index[n:]
	}
}

// one enters one packet.
func (w *worker) one(l *lot, x uint32) {
	i := x & 0xffff
	switch x &^ 0xffff {
	case inExtra:
		k := &l.keys[i]
		w.shard(k).Add(&l.extra[i], k)
	case inQuote:
		k := &l.quotes[i]
		w.shard(k).Unreachable(k)
	default:
		b := l.batches[x>>16]
		k := &b.keys[i]
		w.shard(k).Add(&b.packets[i], k)
	}
}

func (w *worker) shard(k *table.Keyed) *table.Shard {
	return w.shards[int(table.ShardOf(k))/w.stride]
}

// mark closes what packet time has ended and hands the batch on.
func (w *worker) mark(ctx context.Context, m mark) error {
	for _, s := range w.shards {
		s.Advance(m.at)
	}
	if w.marks++; w.live || w.marks%16 == 0 || m.final {
		w.show()
	}
	if !m.final {
		return w.hand(ctx, m.at, false)
	}
	if err := w.hand(ctx, m.at-1, false); err != nil {
		return err
	}
	// The end of the input: all flows end at once. They go on in one batch for each shard, so that memory need not hold
	// the records of all; every worker hands on as many batches.
	for n := range flows.NumShards {
		if n%w.stride == w.id {
			w.shards[n/w.stride].FinishFlows(m.at)
		}
		if err := w.hand(ctx, m.at-1, false); err != nil {
			return err
		}
	}
	for _, s := range w.shards {
		s.FinishParsers(m.at)
	}
	w.show()
	return w.hand(ctx, m.at, true)
}

// hand sorts the batch, sends it to analysis and takes another.
func (w *worker) hand(ctx context.Context, at packet.Time, final bool) error {
	b := w.batch
	b.Worker, b.Watermark, b.Final = w.id, at, final
	b.Sort()
	if err := send(ctx, w.out, b); err != nil || final {
		return err
	}
	return w.nextBatch(ctx)
}

func (w *worker) nextBatch(ctx context.Context) (err error) {
	if w.batch, err = receive(ctx, w.free); err != nil {
		return err
	}
	for _, s := range w.shards {
		s.Out().Batch = w.batch
	}
	return nil
}

// show makes the worker's counters visible to others.
func (w *worker) show() {
	var now workerStats
	for i, s := range w.shards {
		now.table.Add(s.Stats())
		now.proto.Add(w.protos[i].Stats())
	}
	w.mu.Lock()
	w.shown = now
	w.mu.Unlock()
}

// addTo adds the worker's counters, as of the last mark, to t.
func (w *worker) addTo(t *Totals) {
	w.mu.Lock()
	t.Table.Add(w.shown.table)
	t.Proto.Add(w.shown.proto)
	w.mu.Unlock()
}
