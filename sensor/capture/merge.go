package capture

import (
	"io"

	"neuromast/sensor/packet"
)

// ReadBatch hands on a whole batch of one input where nothing of the others falls between; else it copies frames.
func (s *files) ReadBatch(b *Batch) error {
	if s.err != nil {
		return s.err
	}
	if !s.ready() {
		return s.err
	}
	in := s.heap[0].in
	if s.precedes(head{in, in.latest}) {
		rest := in.batch.Frames[in.pos:]
		in.batch.Frames = in.batch.Frames[:copy(in.batch.Frames, rest)]
		*b, in.batch = in.batch, *b
		in.batch.Frames = in.batch.Frames[:0]
		in.pos = 0
		for i := range b.Frames {
			in.delivered(&b.Frames[i])
		}
		return nil
	}
	s.merge(b)
	if len(b.Frames) == 0 {
		return s.err
	}
	return nil
}

// ready makes the first of the heap one that is open and has frames read ahead. Without one, err says why.
func (s *files) ready() bool {
	for len(s.heap) > 0 {
		in := s.heap[0].in
		switch {
		case in.pos < len(in.batch.Frames):
			return true
		case !in.open && !in.over:
			if s.err = in.unpark(); s.err == nil && !in.over {
				s.open++
				s.err = s.shut()
			}
		default:
			if s.err = in.load(); in.over && !in.live {
				s.open--
			}
		}
		if s.err != nil {
			return false
		}
		if in.over {
			n := len(s.heap) - 1
			s.heap[0] = s.heap[n]
			s.heap = s.heap[:n]
		} else {
			s.heap[0].at = in.batch.Frames[in.pos].At
		}
		s.down()
	}
	s.err = io.EOF
	return false
}

// merge copies frames of several inputs into b in their order.
func (s *files) merge(b *Batch) {
	b.Frames = b.Frames[:0]
	if cap(b.Frames) < BatchFrames {
		b.Frames = make([]packet.Frame, 0, BatchFrames)
	}
	b.Buf = grow(b.Buf[:cap(b.Buf)], BatchBytes)
	used := 0
	for len(b.Frames) < BatchFrames && s.ready() {
		in := s.heap[0].in
		f := in.batch.Frames[in.pos]
		if n := len(f.Data); n > len(b.Buf)-used {
			if len(b.Frames) > 0 {
				return // what is there aliases Buf
			}
			b.Buf = make([]byte, n)
		}
		n := copy(b.Buf[used:], f.Data)
		f.Data = b.Buf[used : used+n : used+n]
		used += n
		b.Frames = append(b.Frames, f)
		in.delivered(&f)
		if in.pos++; in.pos < len(in.batch.Frames) {
			s.heap[0].at = in.batch.Frames[in.pos].At
			s.down()
		}
	}
}

// delivered counts a frame.
func (in *input) delivered(f *packet.Frame) {
	in.Frames++
	in.Bytes += uint64(len(f.Data))
	in.last = f.Number
}

// precedes says whether h stands before every head but the first.
func (s *files) precedes(h head) bool {
	for i := 1; i < min(3, len(s.heap)); i++ { // one of the first's two children is the next
		if s.heap[i].before(h) {
			return false
		}
	}
	return true
}

// down sinks the first of the heap to its place.
func (s *files) down() {
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(s.heap); c++ {
			if s.heap[c].before(s.heap[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		s.heap[i], s.heap[least] = s.heap[least], s.heap[i]
		i = least
	}
}

// up lifts the i-th of the heap to its place.
func (s *files) up(i int) {
	for i > 0 && s.heap[i].before(s.heap[(i-1)/2]) {
		s.heap[i], s.heap[(i-1)/2] = s.heap[(i-1)/2], s.heap[i]
		i = (i - 1) / 2
	}
}
