// Package pipeline is the data path: it starts every goroutine between the source of frames and the sinks of records,
// and hands values from one to the next in batches.
//
//	readers -> sequencer -> workers -> analysis -> recorder
//	decode,    order,       flows,     merge,      flows.jsonl,
//	key        fragments,   streams,   enrich,     dns.jsonl
//	           shard        parsers    detectors
//
// There is one reader for each source: one for files, one for each ring of a live interface. The sequencer brings their
// packets into one order of time and gives each to the worker that owns its shard. Every second of packet time it sends
// a mark down every worker's queue; at the mark a worker closes what packet time has ended and hands on one flows.Batch.
// Analysis waits for the batch of every worker, merges them into one order that does not depend on their number, and
// feeds the detectors. Queues are bounded; a full one blocks the stage before it, back to the source.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"neuromast/flows"
	"neuromast/flows/proto"
	"neuromast/flows/table"
	"neuromast/sensor/capture"
	"neuromast/sensor/fragment"
	"neuromast/sensor/packet"
)

// period is the packet time between two watermarks: chosen by us, because timeouts are given in seconds.
const period = packet.Time(time.Second)

// markEvery is how many packets a watermark is sent after at the latest, so that a batch of records stays small where
// packet time has room for many.
const markEvery = 1 << 15

// Batches in flight bound the memory between the stages: a source has frameBatches, of which the sequencer holds back at
// most two or three for their order; each worker's queue holds at most queueLen of numLots.
const (
	queueLen     = 4
	frameBatches = 8
	numLots      = 6
	batchesPer   = 4 // flows.Batch values per worker
	mergedSets   = 3
)

// Config says how the data path is cut.
type Config struct {
	Workers   int    // goroutines that own shards; 1 to flows.NumShards
	Seed      uint64 // of the flow tables' hash; no output depends on it
	Live      bool   // sources are live: their readers keep threads of their own
	Decoder   packet.Decoder
	Fragments fragment.Config
	Table     table.Config
	Proto     proto.Config
}

// Analyst is the stage behind the workers: enrichment and detectors. It is called by one goroutine.
type Analyst interface {
	Feed(*flows.Merged)
	Finish()
}

// Recorder writes flow and DNS records. It is called by one goroutine of its own, with every Merged in order; batches
// are borrowed for the call.
type Recorder interface {
	Record(*flows.Merged) error
}

// Totals is what passed through the data path.
type Totals struct {
	Packets     uint64 // frames read
	Bytes       uint64 // their captured bytes
	Decoded     uint64 // of Packets: down to a network protocol that the sensor reads
	ARP         uint64 // of Decoded: they belong to no flow
	Anomalies   [packet.NumAnomalies]uint64
	First, Last packet.Time // earliest and latest packet time
	Reordered   uint64      // packets that came late and were put where their time belongs
	Duplicates  uint64      // packets and fragments that a mirror copied twice; counted in no flow
	Dropped     uint64      // frames that the kernel or the network card dropped
	Fragments   fragment.Stats
	Load        Load   // what is left undone now because the sensor can't keep up
	LoadChanges uint64 // how often that changed
	Table       table.Stats
	Proto       proto.Stats
	Lost        [flows.NumLossKinds]uint64
}

// Pipeline runs its sources through the data path.
type Pipeline struct {
	cfg      Config
	sources  []capture.Source
	analyst  Analyst
	recorder Recorder

	workers []*worker
	totals  Totals // the sequencer's
	mu      sync.Mutex
	shown   Totals                     // a copy of totals, as of the last lot
	lost    [flows.NumLossKinds]uint64 // by the watermark analysed last
}

// New makes a pipeline; Run may be called once.
func New(cfg Config, sources []capture.Source, analyst Analyst, recorder Recorder) (*Pipeline, error) {
	if cfg.Workers < 1 || cfg.Workers > flows.NumShards {
		return nil, fmt.Errorf("workers: %d is not between 1 and %d", cfg.Workers, flows.NumShards)
	}
	return &Pipeline{cfg: cfg, sources: sources, analyst: analyst, recorder: recorder}, nil
}

// Progress returns how far the reader is; it may be called at any time.
func (p *Pipeline) Progress() (packets uint64, at packet.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown.Packets, p.shown.Last
}

// Snapshot returns the totals so far; it may be called at any time once Run was.
func (p *Pipeline) Snapshot() Totals {
	p.mu.Lock()
	t := p.shown
	t.Lost = p.lost
	workers := p.workers
	p.mu.Unlock()
	for _, w := range workers {
		w.addTo(&t)
	}
	t.Lost[flows.LostParser] = t.Proto.Refused
	t.Duplicates = t.Table.Duplicates + t.Fragments.Duplicates
	return t
}

// Run reads the sources to their end and returns the totals. It returns the first error of any stage; a cancelled ctx
// ends it after the batch at hand, with ctx's error.
func (p *Pipeline) Run(ctx context.Context) (*Totals, error) {
	g, ctx := errgroup.WithContext(ctx)
	n := p.cfg.Workers

	lots := make(chan *lot, numLots)
	for range numLots {
		lots <- &lot{parts: make([]part, n)}
	}
	memory := table.NewMemory()
	workers := make([]*worker, n)
	for i := range workers {
		workers[i] = newWorker(i, p.cfg, memory, lots)
	}
	p.mu.Lock()
	p.workers = workers
	p.mu.Unlock()
	decoded := make(chan *frames, len(p.sources))
	for i, src := range p.sources {
		r := newReader(i, src, p.cfg.Live, p.cfg.Decoder, decoded)
		g.Go(func() error { return r.run(ctx) })
	}
	sets := make(chan *flows.Merged, mergedSets)
	for range mergedSets {
		sets <- &flows.Merged{}
	}
	recorded := make(chan *flows.Merged, mergedSets)

	s := &sequencer{
		joiner: fragment.New(p.cfg.Fragments, p.cfg.Decoder), sources: make([]origin, len(p.sources)),
		free: lots, workers: workers, t: &p.totals, load: newOverload(len(p.sources)),
	}
	s.told = func() {
		t := &p.totals
		t.Reordered, t.Fragments = s.order.sorted, s.joiner.Stats()
		p.mu.Lock()
		p.shown = *t
		p.mu.Unlock()
	}
	g.Go(func() error { return s.run(ctx, decoded) })
	for _, w := range workers {
		g.Go(func() error { return w.run(ctx) })
	}
	g.Go(func() error { return p.analyse(ctx, workers, sets, recorded) })
	g.Go(func() error { return p.record(ctx, workers, sets, recorded) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	t := p.Snapshot()
	return &t, nil
}

// analyse merges what the workers hand on and feeds the detectors.
func (p *Pipeline) analyse(ctx context.Context, workers []*worker, sets, recorded chan *flows.Merged) error {
	defer close(recorded)
	batches := make([]*flows.Batch, len(workers))
	for final := false; !final; {
		for i, w := range workers {
			var err error
			if batches[i], err = receive(ctx, w.out); err != nil {
				return err
			}
			p.mu.Lock()
			for k, n := range batches[i].Lost {
				p.lost[k] += n
			}
			p.mu.Unlock()
		}
		m, err := receive(ctx, sets)
		if err != nil {
			return err
		}
		m.Merge(batches)
		p.analyst.Feed(m)
		if final = m.Final; final {
			p.analyst.Finish()
		}
		if err := send(ctx, recorded, m); err != nil {
			return err
		}
	}
	return nil
}

// record writes the records of each merged set and returns its batches to their workers.
func (p *Pipeline) record(ctx context.Context, workers []*worker, sets, recorded chan *flows.Merged) error {
	for m := range recorded {
		if err := p.recorder.Record(m); err != nil {
			return err
		}
		for i, b := range m.Batches {
			b.Reset()
			if err := send(ctx, workers[i].free, b); err != nil {
				return err
			}
		}
		if err := send(ctx, sets, m); err != nil {
			return err
		}
	}
	return nil
}

var errClosed = errors.New("pipeline: a stage ended before its input did")

func receive[T any](ctx context.Context, c <-chan T) (v T, err error) {
	select {
	case v, ok := <-c:
		if !ok {
			return v, errClosed
		}
		return v, nil
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
}

func send[T any](ctx context.Context, c chan<- T, v T) error {
	select {
	case c <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
