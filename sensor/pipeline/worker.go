package pipeline

import (
	"context"
	"sync"

	"neuromast/flows"
	"neuromast/flows/proto"
	"neuromast/flows/table"
)

// worker owns the shards whose number is its own modulo the number of workers; nobody else touches them.
type worker struct {
	id     int
	in     chan *lot
	out    chan *flows.Batch
	free   chan *flows.Batch
	done   chan<- *lot
	stride int
	shards []*table.Shard // by shard number / stride
	protos []*proto.Set
	batch  *flows.Batch
	shed   table.Shed

	mu    sync.Mutex
	shown workerStats // what addTo shows while the worker runs
}

// workerStats is what a worker counts.
type workerStats struct {
	table table.Stats
	proto proto.Stats
}

func newWorker(id int, cfg Config, done chan<- *lot) *worker {
	w := &worker{
		id: id, stride: cfg.Workers, done: done,
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
		w.shards = append(w.shards, table.New(uint8(s), cfg.Table, cfg.Seed, set))
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

// add enters packets into their shards.
func (w *worker) add(l *lot, index []uint32) {
	for _, x := range index {
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
}

func (w *worker) shard(k *table.Keyed) *table.Shard {
	return w.shards[int(table.ShardOf(k))/w.stride]
}

// mark closes what packet time has ended and hands the batch on.
func (w *worker) mark(ctx context.Context, m mark) error {
	for _, s := range w.shards {
		if m.final {
			s.Finish(m.at)
		} else {
			s.Advance(m.at)
		}
	}
	w.show()
	b := w.batch
	b.Worker, b.Watermark, b.Final = w.id, m.at, m.final
	b.Sort()
	if err := send(ctx, w.out, b); err != nil {
		return err
	}
	if m.final {
		return nil
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
