package sketch

import (
	"math"
	"math/bits"
)

const (
	precision   = 10 // 1,024 registers: standard error 1.04/sqrt(1024) = 3.3 %
	numRegister = 1 << precision
	maxRank     = 64 - precision + 1
	sparseMax   = 32 // keys kept one by one before registers pay
)

// Distinct counts different keys, or sums the weights of different keys, in bounded memory: exactly for up to 32 keys
// (at most 1 KiB), then as a HyperLogLog of 1,024 registers (1 KiB, standard error 3.3 %; Flajolet and others 2007,
// estimated after Ertl, New cardinality estimation algorithms for HyperLogLog sketches, 2017, algorithm 6: no bias at
// small counts and no thresholds). A weight counts as that many virtual keys made from the key's hash; a key must always
// come with the same weight. The zero value is empty.
type Distinct struct {
	sparse []weighted
	dense  *[numRegister]uint8
}

type weighted struct {
	hash   uint64
	weight uint32
}

// Add enters a key and says whether that may have changed the estimate.
func (d *Distinct) Add(hash uint64) bool { return d.AddWeighted(hash, 1) }

// AddWeighted enters a key of a weight; it costs about 2 ns per unit of weight once there are more than 32 keys.
func (d *Distinct) AddWeighted(hash uint64, weight uint32) bool {
	if weight == 0 {
		return false
	}
	if d.dense != nil {
		return d.spread(hash, weight)
	}
	for _, w := range d.sparse {
		if w.hash == hash {
			return false
		}
	}
	if len(d.sparse) < sparseMax {
		d.sparse = append(d.sparse, weighted{hash, weight})
		return true
	}
	d.dense = new([numRegister]uint8)
	for _, w := range d.sparse {
		d.spread(w.hash, w.weight)
	}
	d.sparse = nil
	d.spread(hash, weight)
	return true
}

func (d *Distinct) spread(hash uint64, weight uint32) (changed bool) {
	for range weight {
		hash += golden
		h := Mix(hash)
		r := &d.dense[h>>(64-precision)]
		if rank := uint8(bits.LeadingZeros64(h<<precision|1<<(precision-1)) + 1); rank > *r {
			*r, changed = rank, true
		}
	}
	return changed
}

// Exact says whether Estimate is exact.
func (d *Distinct) Exact() bool { return d.dense == nil }

// Estimate returns the number of different keys, or the sum of their weights.
func (d *Distinct) Estimate() float64 {
	if d.dense == nil {
		var sum float64
		for _, w := range d.sparse {
			sum += float64(w.weight)
		}
		return sum
	}
	var count [maxRank + 1]float64
	for _, r := range d.dense {
		count[r]++
	}
	const m = float64(numRegister)
	z := m * tau(1-count[maxRank]/m)
	for k := maxRank - 1; k >= 1; k-- {
		z = 0.5 * (z + count[k])
	}
	z += m * sigma(count[0]/m)
	return m * m / (2 * math.Ln2 * z)
}

// Reset empties d and releases its memory.
func (d *Distinct) Reset() { *d = Distinct{} }

// sigma and tau are the corrections for registers that are empty and full (Ertl 2017, section 2.4).
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for before := math.NaN(); z != before; {
		before = z
		x *= x
		z += x * y
		y += y
	}
	return z
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for before := math.NaN(); z != before; {
		before = z
		x = math.Sqrt(x)
		y *= 0.5
		z -= (1 - x) * (1 - x) * y
	}
	return z / 3
}
