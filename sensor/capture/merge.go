package capture

import (
	"container/heap"
	"errors"
	"io"
)

// merge joins several inputs into one timeline by packet time, equal times by input.
type merge struct {
	files []*file
	heads heads
	began bool
}

func newMerge(files []*file) *merge { return &merge{files: files} }

// head is an input's next frame.
type head struct {
	f     *file
	batch Batch
	pos   int
}

type heads []*head

func (h heads) Len() int      { return len(h) }
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h heads) Less(i, j int) bool {
	a, b := &h[i].batch.Frames[h[i].pos], &h[j].batch.Frames[h[j].pos]
	if a.At != b.At {
		return a.At < b.At
	}
	return a.Input < b.Input
}
func (h *heads) Push(x any) { *h = append(*h, x.(*head)) }
func (h *heads) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

// ReadBatch copies the next frames of all inputs into b.
func (m *merge) ReadBatch(b *Batch) error {
	if !m.began {
		m.began = true
		for _, f := range m.files {
			h := &head{f: f}
			if err := f.ReadBatch(&h.batch); err == nil {
				m.heads = append(m.heads, h)
			} else if !errors.Is(err, io.EOF) {
				return err
			}
		}
		heap.Init(&m.heads)
	}
	b.Buf, b.Frames = b.Buf[:0], b.Frames[:0]
	for len(m.heads) > 0 && len(b.Frames) < BatchFrames {
		h := m.heads[0]
		fr := h.batch.Frames[h.pos]
		if len(b.Frames) > 0 && len(b.Buf)+len(fr.Data) > cap(b.Buf) {
			break // frames of this batch alias Buf: it must not move
		}
		if cap(b.Buf) < max(BatchBytes, len(fr.Data)) {
			b.Buf = make([]byte, 0, max(BatchBytes, len(fr.Data)))
		}
		off := len(b.Buf)
		b.Buf = append(b.Buf, fr.Data...)
		fr.Data = b.Buf[off:len(b.Buf):len(b.Buf)]
		b.Frames = append(b.Frames, fr)
		if h.pos++; h.pos < len(h.batch.Frames) {
			heap.Fix(&m.heads, 0)
			continue
		}
		h.pos = 0
		if err := h.f.ReadBatch(&h.batch); errors.Is(err, io.EOF) {
			heap.Pop(&m.heads)
		} else if err != nil {
			return err
		} else {
			heap.Fix(&m.heads, 0)
		}
	}
	if len(b.Frames) == 0 {
		return io.EOF
	}
	return nil
}

// Inputs describes what was read so far.
func (m *merge) Inputs() []Input {
	var in []Input
	for _, f := range m.files {
		in = append(in, f.Inputs()...)
	}
	return in
}

// Progress returns stored bytes read and in total.
func (m *merge) Progress() (read, total int64) {
	for _, f := range m.files {
		r, t := f.Progress()
		read += r
		if t < 0 || total < 0 {
			total = -1
		} else {
			total += t
		}
	}
	return read, total
}

// Close closes every input.
func (m *merge) Close() error {
	var errs []error
	for _, f := range m.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
