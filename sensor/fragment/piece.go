package fragment

// The ways in which a fragment meets those before it.
type meeting uint8

const (
	fresh meeting = iota
	repeated
	overlapping
)

// put compares a fragment of the bytes from up to to with what is there. Its bytes are copied by copyNew.
func (w *packetInWork) put(from, to int, data []byte) meeting {
	for _, p := range w.pieces {
		if from >= p.to || to <= p.from {
			continue
		}
		if from >= p.from && to <= p.to && to <= w.sound && len(data) == to-from && string(w.buf[from:to]) == string(data) {
			return repeated
		}
		return overlapping
	}
	return fresh
}

// grow makes room for bytes up to to and returns by how much memory grew.
func (j *Joiner) grow(w *packetInWork, to int) (more int64) {
	if len(w.buf) >= to {
		return 0
	}
	if to > cap(w.buf) {
		b := make([]byte, to, min(max(2*to, 4096), maxLen))
		copy(b, w.buf)
		more = int64(cap(b) - cap(w.buf))
		w.buf = b
		return more
	}
	old := len(w.buf)
	w.buf = w.buf[:to]
	clear(w.buf[old:])
	return 0
}

// copyNew copies those bytes of a fragment that no fragment before it gave, and enters its place.
func copyNew(w *packetInWork, from int, data []byte) {
	at, to := from, from+int(w.last.Frag.Len)
	for _, p := range w.pieces {
		if p.to <= at || p.from >= to {
			continue
		}
		if p.from > at {
			w.copy(from, data, at, p.from)
		}
		at = max(at, p.to)
	}
	w.copy(from, data, at, to)
	i := 0
	for i < len(w.pieces) && w.pieces[i].from < from {
		i++
	}
	w.pieces = append(w.pieces, piece{})
	copy(w.pieces[i+1:], w.pieces[i:])
	w.pieces[i] = piece{from, to}
}

// copy writes the part [at, to) of a fragment that begins at from, as far as the capture holds it.
func (w *packetInWork) copy(from int, data []byte, at, to int) {
	if to = min(to, from+len(data)); at < to {
		copy(w.buf[at:to], data[at-from:to-from])
	}
}

// merge joins pieces that touch or overlap; they are ordered by their beginning.
func merge(pieces []piece) []piece {
	out := pieces[:1]
	for _, p := range pieces[1:] {
		if last := &out[len(out)-1]; p.from <= last.to {
			last.to = max(last.to, p.to)
		} else {
			out = append(out, p)
		}
	}
	return out
}
