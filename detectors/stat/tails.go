package stat

import (
	"math"
	"slices"
)

// NegBinomialTail returns P(X >= x) of a negative binomial variable: counts whose rate differs from one host to the next,
// a Poisson variable of gamma distributed mean. Its mean is mean, its variance mean + mean^2/r; r = 1 is the geometric
// distribution, r without bound the Poisson distribution.
func NegBinomialTail(mean, r float64, x int) float64 {
	if x <= 0 {
		return 1
	}
	if mean <= 0 || r <= 0 {
		return 0
	}
	// Summed upward from x, so that small tails keep their digits.
	q := mean / (mean + r)
	lx, _ := math.Lgamma(float64(x) + r)
	lr, _ := math.Lgamma(r)
	lf, _ := math.Lgamma(float64(x) + 1)
	term := math.Exp(lx - lr - lf + r*math.Log1p(-q) + float64(x)*math.Log(q))
	sum := 0.0
	for k := float64(x); ; k++ {
		sum += term
		step := q * (k + r) / (k + 1)
		term *= step
		if step < 1 && (term <= sum*1e-12*(1-step) || term < 1e-300) { // below, products of small numbers round up for ever
			return min(1, sum)
		}
	}
}

// FitNegBinomial returns mean and r of n counts by their moments, from their sum and the sum of their squares. Counts that
// vary less than Poisson's have no such r: it is then infinite.
func FitNegBinomial(n, sum, squares float64) (mean, r float64) {
	if n < 2 {
		return 0, math.Inf(1)
	}
	mean = sum / n
	variance := (squares - sum*mean) / (n - 1)
	if variance <= mean {
		return mean, math.Inf(1)
	}
	return mean, mean * mean / (variance - mean)
}

// Critical returns the smallest x at which a tail that falls with x is below p; limit where none up to it is.
func Critical(tail func(x int) float64, p float64, limit int) int {
	lo, hi := 0, limit
	for lo < hi {
		mid := (lo + hi) / 2
		if tail(mid) < p {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// Spearman returns the rank correlation of pairs, -1 to 1 (Spearman 1904): 1 where y rises with x throughout. Equal values
// share their mean rank. It is 0 where all x or all y are equal. The slices are of one length.
func Spearman(x, y []float64) float64 {
	a, b := ranks(x), ranks(y)
	mean := float64(len(x)+1) / 2
	var ab, aa, bb float64
	for i := range a {
		ab += (a[i] - mean) * (b[i] - mean)
		aa += (a[i] - mean) * (a[i] - mean)
		bb += (b[i] - mean) * (b[i] - mean)
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

func ranks(v []float64) []float64 {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case v[i] < v[j]:
			return -1
		case v[i] > v[j]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(v))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && v[order[to]] == v[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			out[i] = float64(from+to+1) / 2
		}
		from = to
	}
	return out
}
