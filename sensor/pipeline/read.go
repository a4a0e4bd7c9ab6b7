package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"neuromast/flows/table"
	"neuromast/sensor/capture"
	"neuromast/sensor/packet"
)

// frames is a batch of frames of one source, decoded, on its way to the workers.
type frames struct {
	capture.Batch
	source  int
	packets []packet.Packet
	keys    []table.Keyed
	keyed   []bool
	newest  packet.Time // of its frames
	final   bool        // the source is over
	home    chan *frames
	users   atomic.Int32 // the sequencer, and every lot that points into it

	left int    // packets that the sequencer has not yet handed on; this and the following are its own
	lot  uint64 // the lot that it was entered in last, as number slot
	slot int
}

// recycle gives up one use of the batch; the last one sends it back to its reader.
func (f *frames) recycle() {
	if f.users.Add(-1) == 0 {
		f.Release()
		f.home <- f // never blocks: home holds every batch of its source
	}
}

// reader turns the frames of one source into packets. A live source's reader keeps a thread to itself, so that the ring
// is emptied even while other goroutines are busy.
type reader struct {
	source  capture.Source
	number  int
	decoder packet.Decoder
	free    chan *frames
	out     chan<- *frames
	live    bool
}

func newReader(n int, src capture.Source, live bool, d packet.Decoder, out chan<- *frames) *reader {
	r := &reader{source: src, number: n, decoder: d, live: live, free: make(chan *frames, frameBatches), out: out}
	for range frameBatches {
		r.free <- &frames{source: n, home: r.free}
	}
	return r
}

// run reads to the end of the source.
func (r *reader) run(ctx context.Context) error {
	if r.live {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	for {
		f, err := receive(ctx, r.free)
		if err != nil {
			return err
		}
		err = r.source.ReadBatch(&f.Batch)
		if f.final = errors.Is(err, io.EOF); f.final {
			f.Frames = f.Frames[:0]
		} else if err != nil {
			return fmt.Errorf("reading packets: %w", err)
		}
		r.decode(f)
		f.users.Store(1)
		f.left, f.lot = len(f.Frames), 0
		if err := send(ctx, r.out, f); err != nil || f.final {
			return err
		}
	}
}

func (r *reader) decode(f *frames) {
	if n := len(f.Frames); n > len(f.packets) {
		f.packets, f.keys, f.keyed = make([]packet.Packet, n), make([]table.Keyed, n), make([]bool, n)
	}
	for i := range f.Frames {
		p := &f.packets[i]
		r.decoder.Decode(p, &f.Frames[i])
		f.keyed[i] = table.KeyOf(p, &f.keys[i])
		if i == 0 || p.At > f.newest {
			f.newest = p.At
		}
	}
}
