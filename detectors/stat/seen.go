package stat

import (
	"math/bits"
	"time"

	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

const (
	generations = 3  // a key is forgotten after two to three thirds of the span
	bitsPerKey  = 10 // with 7 hashes: 1 % of new keys pass for seen (Bloom 1970)
	numHashes   = 7
)

// Seen remembers keys for about a span of packet time in fixed memory: three Bloom filters, of which the oldest is
// emptied when the newest is a third of the span old. A key that comes again is remembered anew. A filter that has taken
// its share of keys is succeeded early, so that errors stay at 1 % each while memory of the past gets shorter: counted.
type Seen struct {
	filters [generations][]uint64
	newest  int
	keys    int // in the newest filter
	perGen  int
	step    time.Duration
	started packet.Time // of the newest filter
	isOpen  bool        // started is set
	early   uint64
	era     uint64 // filters begun
}

// NewSeen returns a memory for capacity keys within span: 10 bits a key.
func NewSeen(capacity int, span time.Duration) *Seen {
	s := &Seen{perGen: max(64, (capacity+generations-1)/generations), step: max(1, span/generations)}
	words := (s.perGen*bitsPerKey + 63) / 64
	for i := range s.filters {
		s.filters[i] = make([]uint64, words)
	}
	return s
}

// Add enters a key and says whether it is new: not met within the span.
func (s *Seen) Add(now packet.Time, hash uint64) (isNew bool) {
	s.advance(now)
	n := uint64(len(s.filters[0]) * 64)
	// Kirsch and Mitzenmacher 2006: two hashes serve for all.
	h1, h2 := hash, sketch.Mix(hash)|1
	if s.has(s.newest, h1, h2, n) {
		return false
	}
	isNew = true
	for g := range generations {
		if g != s.newest && s.has(g, h1, h2, n) {
			isNew = false
			break
		}
	}
	if s.keys >= s.perGen {
		s.rotate()
		s.started = now
		s.early++
	}
	f := s.filters[s.newest]
	for range numHashes {
		bit, _ := bits.Mul64(h1, n) // h1 * n / 2^64: as even as a remainder, without a division (Lemire 2019)
		f[bit/64] |= 1 << (bit % 64)
		h1 += h2
	}
	s.keys++
	return isNew
}

// Has says whether a key was met within the span, without entering it.
func (s *Seen) Has(now packet.Time, hash uint64) bool {
	s.advance(now)
	n, h2 := uint64(len(s.filters[0])*64), sketch.Mix(hash)|1
	for g := range generations {
		if s.has(g, hash, h2, n) {
			return true
		}
	}
	return false
}

// Era numbers the newest filter. While it stays, a key that was added need not be added again: nothing would change.
func (s *Seen) Era(now packet.Time) uint64 {
	s.advance(now)
	return s.era
}

// Early returns how often memory was cut short because more keys came than it was made for.
func (s *Seen) Early() uint64 { return s.early }

func (s *Seen) has(g int, h1, h2, n uint64) bool {
	f := s.filters[g]
	for range numHashes {
		bit, _ := bits.Mul64(h1, n)
		if f[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
		h1 += h2
	}
	return true
}

func (s *Seen) advance(now packet.Time) {
	if !s.isOpen {
		s.started, s.isOpen = now, true
		return
	}
	for range generations {
		if now.Sub(s.started) < s.step {
			return
		}
		s.rotate()
		s.started = s.started.Add(s.step)
	}
	if now.Sub(s.started) >= s.step { // a long silence emptied all
		s.started = now
	}
}

func (s *Seen) rotate() {
	s.newest = (s.newest + 1) % generations
	clear(s.filters[s.newest])
	s.keys = 0
	s.era++
}
