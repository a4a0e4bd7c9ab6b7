package stat

import "slices"

// least is how many hashes a Least keeps.
const least = 32

// Least keeps the 32 smallest hashes of a set, from which the likeness of two sets follows (Broder, On the resemblance and
// containment of documents, 1997): exact for sets of up to 32, standard error below 0.09 beyond. The zero value is empty.
type Least struct {
	h []uint64 // ascending
}

// Add enters a key's hash. It must be evenly spread, as sketch.Mix and sketch.Join make it.
func (l *Least) Add(hash uint64) {
	i, found := slices.BinarySearch(l.h, hash)
	if found || i == least {
		return
	}
	if len(l.h) == least {
		l.h = l.h[:least-1]
	}
	l.h = slices.Insert(l.h, i, hash)
}

// Len returns how many hashes are kept: the size of the set up to 32.
func (l *Least) Len() int { return len(l.h) }

// Has says whether a hash was added; of sets beyond 32 only those hashes can be told that would be kept, others count as added.
func (l *Least) Has(hash uint64) bool {
	_, found := slices.BinarySearch(l.h, hash)
	return found || len(l.h) == least && hash > l.h[least-1]
}

// Join adds the set o to l.
func (l *Least) Join(o *Least) {
	for _, h := range o.h {
		l.Add(h)
	}
}

// Reset empties l.
func (l *Least) Reset() { l.h = l.h[:0] }

// Jaccard returns the share of the union of both sets that lies in both; 1 where both are empty.
func (l *Least) Jaccard(o *Least) float64 {
	union, both := 0, 0
	for i, j := 0, 0; union < least && (i < len(l.h) || j < len(o.h)); union++ {
		switch {
		case j == len(o.h) || i < len(l.h) && l.h[i] < o.h[j]:
			i++
		case i == len(l.h) || o.h[j] < l.h[i]:
			j++
		default:
			i, j, both = i+1, j+1, both+1
		}
	}
	if union == 0 {
		return 1
	}
	return float64(both) / float64(union)
}

// Within returns the share of l that lies in o; 1 where l is empty. Of sets beyond 32, the part is looked at that both keep.
func (l *Least) Within(o *Least) float64 {
	n, both := 0, 0
	for _, h := range l.h {
		if len(o.h) == least && h > o.h[least-1] {
			break
		}
		n++
		if _, found := slices.BinarySearch(o.h, h); found {
			both++
		}
	}
	if n == 0 {
		return 1
	}
	return float64(both) / float64(n)
}
