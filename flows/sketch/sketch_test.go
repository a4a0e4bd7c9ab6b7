package sketch

import (
	"math"
	"testing"
)

func near(a, b, eps float64) bool { return math.Abs(a-b) <= eps }

func TestMix(t *testing.T) {
	// The first outputs of splitmix64 seeded with 1234567, as its authors publish them.
	x := uint64(1234567)
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423} {
		x += golden
		if got := Mix(x); got != want {
			t.Errorf("output %d: %d, want %d", i, got, want)
		}
	}
}

func TestJoinDependsOnOrder(t *testing.T) {
	if Join(1, 2) == Join(2, 1) || Join(0, 0) == 0 {
		t.Error("Join is symmetric or maps zeros to zero")
	}
	seen := map[uint64]bool{}
	for a := range uint64(300) {
		for b := range uint64(300) {
			seen[Join(a, b)] = true
		}
	}
	if len(seen) != 90000 {
		t.Errorf("%d collisions among 90,000 small pairs", 90000-len(seen))
	}
}

func TestDistinctIsExactWhileSmall(t *testing.T) {
	var d Distinct
	if d.Estimate() != 0 {
		t.Error("empty is not 0")
	}
	for i := range uint64(32) {
		if !d.AddWeighted(Mix(i), uint32(i)+1) || d.AddWeighted(Mix(i), uint32(i)+1) {
			t.Fatalf("key %d: the first changes the estimate, the second does not", i)
		}
	}
	if got := d.Estimate(); got != 528 || !d.Exact() { // 1 + 2 + … + 32
		t.Errorf("sum %v, want 528", got)
	}
	d.AddWeighted(Mix(99), 0)
	d.AddWeighted(Mix(32), 33)
	if d.Exact() {
		t.Error("33 keys are kept one by one")
	}
	if got := d.Estimate(); !near(got, 561, 561*0.1) {
		t.Errorf("sum %v, want about 561", got)
	}
	d.Reset()
	if d.Estimate() != 0 {
		t.Error("not empty after Reset")
	}
}

// TestDistinctError holds the standard error over many sizes: 40 sketches each, deviation below 2 standard errors of
// the mean's, spread below 4.5 %.
func TestDistinctError(t *testing.T) {
	for _, n := range []int{40, 300, 2000, 3000, 5000, 40000} {
		var mean, square float64
		const trials = 40
		for trial := range uint64(trials) {
			var d Distinct
			for i := range n {
				d.Add(Join(trial, uint64(i)))
			}
			e := d.Estimate()/float64(n) - 1
			mean += e / trials
			square += e * e / trials
		}
		if sd := math.Sqrt(square); math.Abs(mean) > 0.0125 || sd > 0.045 {
			t.Errorf("n = %d: mean error %.4f, root mean square %.4f", n, mean, sd)
		}
	}
}

// TestDistinctWeighted holds that a sum of weights is as good as a count, and that repetition adds nothing.
func TestDistinctWeighted(t *testing.T) {
	for _, n := range []int{50, 500, 4000} {
		var mean, square, truth float64
		const trials = 20
		for trial := range uint64(trials) {
			var d Distinct
			truth = 0
			for i := range n {
				w := uint32(10 + i%90)
				truth += float64(w)
				d.AddWeighted(Join(trial, uint64(i)), w)
			}
			before := d.Estimate()
			for i := range n {
				if d.AddWeighted(Join(trial, uint64(i)), uint32(10+i%90)) {
					t.Fatalf("a repeated key changed the sketch")
				}
			}
			e := before/truth - 1
			mean += e / trials
			square += e * e / trials
		}
		if sd := math.Sqrt(square); math.Abs(mean) > 0.02 || sd > 0.05 {
			t.Errorf("n = %d: mean error %.4f, root mean square %.4f", n, mean, sd)
		}
	}
}

func BenchmarkDistinctWeighted(b *testing.B) {
	var d Distinct
	for i := 0; b.Loop(); i++ {
		d.AddWeighted(Mix(uint64(i)), 100)
	}
}
