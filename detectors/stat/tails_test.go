package stat

import (
	"math"
	"testing"
	"time"

	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// TestNegBinomialTail: with r = 1 it is the geometric distribution, P(X >= x) = (m/(m+1))^x; r = 2, m = 2: q = 1/2,
// P(X >= x) = 1 - sum over k < x of (k+1)/4 2^-k; a large r is Poisson's.
func TestNegBinomialTail(t *testing.T) {
	for _, tt := range []struct {
		mean, r float64
		x       int
		want    float64
	}{
		{3, 1, 0, 1},
		{3, 1, 1, 0.75},
		{3, 1, 10, 0.0563135},   // 0.75^10
		{3, 1, 49, 7.5510e-7},   // 0.75^49
		{9, 1, 133, 8.2083e-7},  // 0.9^133
		{20, 1, 287, 8.2922e-7}, // (20/21)^287
		{2, 2, 1, 0.75},         // 1 - 1/4
		{2, 2, 3, 0.3125},       // 1 - 1/4 - 1/4 - 3/16
		{1, 0.5, 2, 0.2301996},  // 1 - sqrt(1/3) (1 + 1/3)
		{1, 1e7, 3, 0.0803014},  // Poisson: 1 - 5/(2e)
		{0, 1, 1, 0}, {1, 0, 1, 0},
	} {
		if got := NegBinomialTail(tt.mean, tt.r, tt.x); !near(got, tt.want, tt.want*1e-4) {
			t.Errorf("NegBinomialTail(%v, %v, %d) = %v, want %v", tt.mean, tt.r, tt.x, got, tt.want)
		}
	}
}

// TestFitNegBinomial: 0, 0, 2, 6 have mean 2 and variance (4+4+0+16)/3 = 8, so r = 4/(8-2); 1, 1, 2, 2 vary less than Poisson.
func TestFitNegBinomial(t *testing.T) {
	if m, r := FitNegBinomial(4, 8, 40); m != 2 || !near(r, 4.0/6, 1e-12) {
		t.Errorf("mean %v, r %v", m, r)
	}
	if m, r := FitNegBinomial(4, 6, 10); m != 1.5 || !math.IsInf(r, 1) {
		t.Errorf("mean %v, r %v", m, r)
	}
	if _, r := FitNegBinomial(1, 6, 36); !math.IsInf(r, 1) {
		t.Errorf("one count: r %v", r)
	}
}

// TestCritical holds the bounds that detectors/scan states: the smallest counts less likely than 1 in a million.
func TestCritical(t *testing.T) {
	for _, tt := range []struct {
		lambda float64
		want   int
	}{{0.1, 5}, {1, 10}, {5, 20}, {10, 29}, {20, 46}} {
		if got := Critical(func(x int) float64 { return PoissonTail(tt.lambda, x) }, 1e-6, 1000); got != tt.want {
			t.Errorf("Poisson of mean %v: %d, want %d", tt.lambda, got, tt.want)
		}
	}
	p := math.Exp(-14) // 14 / ln(4/3) = 48.7, 14 / ln(10/9) = 132.9, 14 / ln(21/20) = 286.9
	for _, tt := range []struct {
		mean float64
		want int
	}{{3, 49}, {9, 133}, {20, 287}} {
		if got := Critical(func(x int) float64 { return NegBinomialTail(tt.mean, 1, x) }, p, 1000); got != tt.want {
			t.Errorf("geometric of mean %v: %d, want %d", tt.mean, got, tt.want)
		}
	}
	if got := Critical(func(int) float64 { return 1 }, p, 77); got != 77 {
		t.Errorf("a tail that stays: %d", got)
	}
}

// TestSpearman: without ties rho = 1 - 6 sum d^2 / (n (n^2-1)); 1 3 2 5 4 has d^2 = 0+1+1+1+1: 1 - 24/120.
func TestSpearman(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5}
	for _, tt := range []struct {
		y    []float64
		want float64
	}{
		{[]float64{10, 20, 30, 40, 500}, 1},
		{[]float64{9, 8, 7, 6, 5}, -1},
		{[]float64{1, 3, 2, 5, 4}, 0.8},
		{[]float64{7, 7, 7, 7, 7}, 0},
		{[]float64{1, 1, 2, 3, 4}, 0.9746794}, // ranks 1.5 1.5 3 4 5: 9.5 / sqrt(10 * 9.5)
	} {
		if got := Spearman(x, tt.y); !near(got, tt.want, 1e-6) {
			t.Errorf("Spearman(%v) = %v, want %v", tt.y, got, tt.want)
		}
	}
}

func TestLeast(t *testing.T) {
	set := func(from, to uint64) *Least {
		var l Least
		for i := from; i < to; i++ {
			l.Add(sketch.Mix(i))
			l.Add(sketch.Mix(i))
		}
		return &l
	}
	for _, tt := range []struct {
		a, b              *Least
		jaccard, contains float64
		eps               float64
	}{
		{set(0, 0), set(0, 0), 1, 1, 0},
		{set(1, 11), set(1, 11), 1, 1, 0},
		{set(1, 11), set(3, 11), 0.8, 0.8, 0}, // 8 of 10
		{set(1, 6), set(1, 11), 0.5, 1, 0},
		{set(1, 5), set(6, 11), 0, 0, 0},
		{set(1, 1001), set(1, 1001), 1, 1, 0},
		{set(1, 1001), set(501, 1501), 1.0 / 3, 0.5, 0.25},
	} {
		if j, w := tt.a.Jaccard(tt.b), tt.a.Within(tt.b); !near(j, tt.jaccard, tt.eps) || !near(w, tt.contains, tt.eps) {
			t.Errorf("%d and %d: likeness %v, want %v; share %v, want %v", tt.a.Len(), tt.b.Len(), j, tt.jaccard, w, tt.contains)
		}
	}
	if l := set(1, 100); l.Len() != 32 {
		t.Errorf("%d kept", l.Len())
	}
}

func TestSeenHas(t *testing.T) {
	s := NewSeen(100, time.Hour)
	if s.Has(0, 7) || !s.Add(0, 7) || !s.Has(1, 7) || s.Has(1, 8) {
		t.Error("Has does not say what Add entered")
	}
	if s.Has(packet.Time(3*time.Hour), 7) {
		t.Error("a key of three spans ago is remembered")
	}
}
