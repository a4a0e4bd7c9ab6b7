// Package pipeline is the data path: it starts every goroutine between the source of frames and the sinks of records,
// and hands values from one to the next in batches.
//
//	reader  -> workers -> analysis -> recorder
//	decode     flows,     merge,      flows.jsonl,
//	shard      streams,   enrich,     dns.jsonl
//	           parsers    detectors
//
// The reader decodes and gives each packet to the worker that owns its shard. Every second of packet time it sends a
// mark down every worker's queue; at the mark a worker closes what packet time has ended and hands on one flows.Batch.
// Analysis waits for the batch of every worker, merges them into one order that does not depend on their number, and
// feeds the detectors. Queues are bounded; a full one blocks the stage before it, back to the source.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"neuromast/flows"
	"neuromast/flows/proto"
	"neuromast/flows/table"
	"neuromast/sensor/capture"
	"neuromast/sensor/packet"
)

// period is the packet time between two watermarks: chosen by us, because timeouts are given in seconds.
const period = packet.Time(time.Second)

// Frame batches in flight bound the memory between reader and workers: each worker's queue holds at most queueLen.
const (
	queueLen     = 4
	frameBatches = 6
	batchesPer   = 4 // flows.Batch values per worker
	mergedSets   = 3
)

// Config says how the data path is cut.
type Config struct {
	Workers int    // goroutines that own shards; 1 to flows.NumShards
	Seed    uint64 // of the flow tables' hash; no output depends on it
	Table   table.Config
	Proto   proto.Config
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
	Anomalies   [packet.NumAnomalies]uint64
	First, Last packet.Time // earliest and latest packet time
	Backwards   uint64      // packets whose time lies before one read earlier
	Table       table.Stats
	Proto       proto.Stats
	Lost        [flows.NumLossKinds]uint64
}

// Pipeline runs one source through the data path.
type Pipeline struct {
	cfg      Config
	src      capture.Source
	analyst  Analyst
	recorder Recorder

	live   atomic.Uint64 // packets read, for progress
	at     atomic.Int64  // packet time reached, for progress
	totals Totals
}

// New makes a pipeline; Run may be called once.
func New(cfg Config, src capture.Source, analyst Analyst, recorder Recorder) (*Pipeline, error) {
	if cfg.Workers < 1 || cfg.Workers > flows.NumShards {
		return nil, fmt.Errorf("workers: %d is not between 1 and %d", cfg.Workers, flows.NumShards)
	}
	return &Pipeline{cfg: cfg, src: src, analyst: analyst, recorder: recorder}, nil
}

// Progress returns how far the reader is; it may be called at any time.
func (p *Pipeline) Progress() (packets uint64, at packet.Time) {
	return p.live.Load(), packet.Time(p.at.Load())
}

// frames is a batch of frames on its way to the workers; the last worker to be done with it recycles it.
type frames struct {
	capture.Batch
	packets []packet.Packet
	keys    []table.Keyed
	quotes  []table.Keyed // conversations that ICMP errors of this batch quote
	parts   []part        // by worker
	pending atomic.Int32
}

// quote marks an index that points into frames.quotes.
const quote = 1 << 15

// Indices must leave room for the mark.
var _ [quote - capture.BatchFrames]struct{}

// give enters an index into the part of the worker that owns a key.
func (f *frames) give(k *table.Keyed, index uint16) {
	w := &f.parts[int(table.ShardOf(k))%len(f.parts)]
	w.index = append(w.index, index)
}

// part is one worker's share of a batch: which packets, and which marks stand before them.
type part struct {
	index []uint16 // packets, or quotes where the mark is set
	marks []mark
}

// mark says that before packet pos of a part, packet time reached at.
type mark struct {
	pos   int
	at    packet.Time
	final bool
}

// Run reads the source to its end and returns the totals. It returns the first error of any stage; a cancelled ctx ends
// it after the batch at hand, with ctx's error.
func (p *Pipeline) Run(ctx context.Context) (*Totals, error) {
	g, ctx := errgroup.WithContext(ctx)
	n := p.cfg.Workers

	free := make(chan *frames, frameBatches)
	for range frameBatches {
		free <- &frames{parts: make([]part, n)}
	}
	workers := make([]*worker, n)
	for i := range workers {
		workers[i] = newWorker(i, p.cfg, free)
	}
	sets := make(chan *flows.Merged, mergedSets)
	for range mergedSets {
		sets <- &flows.Merged{}
	}
	recorded := make(chan *flows.Merged, mergedSets)

	g.Go(func() error { return p.read(ctx, free, workers) })
	for _, w := range workers {
		g.Go(func() error { return w.run(ctx) })
	}
	g.Go(func() error { return p.analyse(ctx, workers, sets, recorded) })
	g.Go(func() error { return p.record(ctx, workers, sets, recorded) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, w := range workers {
		w.addTo(&p.totals)
	}
	p.totals.Lost[flows.LostParser] = p.totals.Proto.Refused
	return &p.totals, nil
}

// read is the reader: decode, shard, mark, hand on.
func (p *Pipeline) read(ctx context.Context, free chan *frames, workers []*worker) error {
	defer func() {
		for _, w := range workers {
			close(w.in)
		}
	}()
	t := &p.totals
	var now, tick packet.Time
	for {
		f, err := receive(ctx, free)
		if err != nil {
			return err
		}
		f.quotes = f.quotes[:0]
		for i := range f.parts {
			f.parts[i].index, f.parts[i].marks = f.parts[i].index[:0], f.parts[i].marks[:0]
		}
		err = p.src.ReadBatch(&f.Batch)
		final := errors.Is(err, io.EOF)
		if err != nil && !final {
			return fmt.Errorf("reading packets: %w", err)
		}
		if final {
			f.Frames = f.Frames[:0]
		}
		if n := len(f.Frames); n > len(f.packets) {
			f.packets, f.keys = make([]packet.Packet, n), make([]table.Keyed, n)
		}
		for i := range f.Frames {
			fr, pk := &f.Frames[i], &f.packets[i]
			pk.Decode(fr)
			t.Packets++
			t.Bytes += uint64(len(fr.Data))
			if pk.Net != packet.NetNone {
				t.Decoded++
			}
			if pk.Anomalies != 0 {
				pk.Anomalies.Each(func(a packet.Anomaly) { t.Anomalies[a]++ })
			}
			switch {
			case t.Packets == 1:
				t.First, t.Last, now = pk.At, pk.At, pk.At
				tick = now - now%period - 1
			case pk.At < now:
				t.Backwards++
				t.First = min(t.First, pk.At)
			default:
				now = pk.At
				t.Last = now
			}
			if now >= tick+1+period {
				tick = now - now%period - 1
				for w := range f.parts {
					f.parts[w].marks = append(f.parts[w].marks, mark{pos: len(f.parts[w].index), at: tick})
				}
			}
			key, ok := table.KeyOf(pk)
			if !ok {
				continue
			}
			f.keys[i] = key
			f.give(&key, uint16(i))
			if quoted, ok := table.QuotedBy(pk); ok {
				f.quotes = append(f.quotes, quoted)
				f.give(&quoted, quote|uint16(len(f.quotes)-1))
			}
		}
		if final {
			for w := range f.parts {
				f.parts[w].marks = append(f.parts[w].marks, mark{at: now, final: true})
			}
		}
		p.live.Store(t.Packets)
		p.at.Store(int64(now))
		f.pending.Store(int32(len(workers)))
		for _, w := range workers {
			if err := send(ctx, w.in, f); err != nil {
				return err
			}
		}
		if final {
			return nil
		}
	}
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
			for k, n := range batches[i].Lost {
				p.totals.Lost[k] += n
			}
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
