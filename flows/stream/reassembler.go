package stream

import "slices"

// MaxPending bounds the bytes of one direction that wait behind a hole; chosen by us: twice a usual receive window's
// part of one loss.
const MaxPending = 256 << 10

// Reassembler puts the segments of one direction in order. Where segments overlap, the bytes that came first are given;
// bytes already given are ignored. A hole is given up, and said, when the other side acknowledged beyond it, when more
// than MaxPending bytes wait behind it, or at the end.
type Reassembler struct {
	next    uint32 // sequence number of the next byte to give
	started bool
	pending []segment // sorted by seq, not overlapping bytes before next
	bytes   int
	Lost    uint64 // bytes given up because of MaxPending
}

type segment struct {
	seq  uint32
	data []byte
}

// Reset forgets everything and keeps memory.
func (r *Reassembler) Reset() {
	clear(r.pending)
	*r = Reassembler{pending: r.pending[:0]}
}

// Start says which byte comes first; without it the first segment does.
func (r *Reassembler) Start(seq uint32) {
	if !r.started {
		r.started, r.next = true, seq
	}
}

// Add takes a segment. data and gap are called in order for what can be given now; missing is how many bytes of the
// segment the capture cut off its end.
func (r *Reassembler) Add(seq uint32, b []byte, missing int, data func([]byte) bool, gap func(int)) {
	r.Start(seq)
	ahead := int32(seq - r.next)
	if ahead < 0 { // repeats bytes already given
		if int(-ahead) >= len(b) {
			return
		}
		b, ahead = b[-ahead:], 0
	}
	if ahead == 0 {
		for len(r.pending) > 0 && int(int32(r.pending[0].seq-r.next)) < len(b) { // what waits came first
			part := b[:r.pending[0].seq-r.next]
			before := r.next
			r.next += uint32(len(part))
			if len(part) > 0 && !data(part) {
				return
			}
			r.drain(data)
			given := r.next - before
			if int(given) >= len(b) {
				return
			}
			b = b[given:]
		}
		r.next += uint32(len(b))
		if !data(b) {
			return
		}
		if missing > 0 {
			r.next += uint32(missing)
			gap(missing)
		}
		r.drain(data)
		return
	}
	r.keep(seq, b)
	for r.bytes > MaxPending {
		r.Lost += uint64(r.pending[0].seq - r.next)
		r.skip(r.pending[0].seq, data, gap)
	}
}

// keep copies a segment that lies behind a hole, without the bytes that wait already.
func (r *Reassembler) keep(seq uint32, b []byte) {
	i, _ := slices.BinarySearchFunc(r.pending, seq, func(s segment, seq uint32) int { return int(int32(s.seq - seq)) })
	if i > 0 {
		p := &r.pending[i-1]
		if over := int32(p.seq + uint32(len(p.data)) - seq); over > 0 {
			if int(over) >= len(b) {
				return
			}
			b, seq = b[over:], seq+uint32(over)
		}
	}
	for len(b) > 0 {
		part := b
		if i < len(r.pending) {
			if room := int32(r.pending[i].seq - seq); int(room) < len(b) {
				part = b[:max(room, 0)]
			}
		}
		if len(part) > 0 {
			r.pending = slices.Insert(r.pending, i, segment{seq, slices.Clone(part)})
			r.bytes += len(part)
			i++
		}
		if len(part) == len(b) || i >= len(r.pending) {
			return
		}
		done := r.pending[i].seq + uint32(len(r.pending[i].data)) - seq // bytes of b up to the end of the next one
		if int(done) >= len(b) {
			return
		}
		b, seq = b[done:], seq+done
		i++
	}
}

// Waiting says that bytes wait behind a hole: without them Acked has nothing to do.
func (r *Reassembler) Waiting() bool { return len(r.pending) > 0 }

// Acked says that the other side received all before ack: holes before it will not be filled.
func (r *Reassembler) Acked(ack uint32, data func([]byte) bool, gap func(int)) {
	for r.started && len(r.pending) > 0 && int32(ack-r.pending[0].seq) >= 0 {
		r.skip(r.pending[0].seq, data, gap)
	}
}

// End gives up every hole.
func (r *Reassembler) End(data func([]byte) bool, gap func(int)) {
	for len(r.pending) > 0 {
		r.skip(r.pending[0].seq, data, gap)
	}
}

// skip says a hole up to seq and goes on behind it.
func (r *Reassembler) skip(seq uint32, data func([]byte) bool, gap func(int)) {
	gap(int(seq - r.next))
	r.next = seq
	r.drain(data)
}

// drain gives the pending segments that follow without a hole.
func (r *Reassembler) drain(data func([]byte) bool) {
	n := 0
	for ; n < len(r.pending); n++ {
		s := &r.pending[n]
		ahead := int32(s.seq - r.next)
		if ahead > 0 {
			break
		}
		r.bytes -= len(s.data)
		if b := s.data; int(-ahead) < len(b) {
			b = b[-ahead:]
			r.next += uint32(len(b))
			if !data(b) {
				n++
				break
			}
		}
	}
	r.pending = slices.Delete(r.pending, 0, n)
}
