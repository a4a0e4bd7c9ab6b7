package smb

import "math"

// entropy is that of b's first 64 bytes in hundredths of bits per byte (Shannon, 1948): sum of n/N log2(N/n) over the
// values that occur n times among N.
func entropy(b []byte) uint16 {
	b = b[:min(len(b), sampleBytes)]
	if len(b) == 0 {
		return 0
	}
	var counts [256]uint8
	for _, c := range b {
		counts[c]++
	}
	var sum float64
	for _, c := range b { // each value comes up as often as it counts: log2(n) for each of its n places
		sum += log2[counts[c]]
	}
	return uint16(math.Round(100 * (log2[len(b)] - sum/float64(len(b)))))
}

// log2 holds logarithms of whole numbers; of 0 and 1 it is 0.
var log2 = func() (t [sampleBytes + 1]float64) {
	for i := 2; i < len(t); i++ {
		t[i] = math.Log2(float64(i))
	}
	return t
}()
