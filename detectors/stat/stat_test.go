package stat

import (
	"math"
	"testing"
	"time"

	"neuromast/sensor/packet"
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

func TestSteps(t *testing.T) {
	// theta0 = 0.8, theta1 = 0.2: ln 4 up, ln 1/4 down. theta0 = 0.95: ln(0.8/0.05) = ln 16, ln(0.2/0.95).
	for _, tt := range []struct{ theta0, fail, ok float64 }{
		{0.8, 1.3862944, -1.3862944}, {0.95, 2.7725887, -1.5581446}, {0.7, 0.9808293, -1.2527630},
	} {
		if f, s := Steps(tt.theta0, 0.2); !near(f, tt.fail, 1e-6) || !near(s, tt.ok, 1e-6) {
			t.Errorf("Steps(%v, 0.2) = %v, %v, want %v, %v", tt.theta0, f, s, tt.fail, tt.ok)
		}
	}
}

func TestReflect(t *testing.T) {
	level := 0.0
	for i, tt := range []struct{ step, want float64 }{{-1, 0}, {1.5, 1.5}, {1.5, 3}, {-1, 2}, {-5, 0}, {2, 2}} {
		if level = Reflect(level, tt.step); level != tt.want {
			t.Errorf("step %d: %v, want %v", i, level, tt.want)
		}
	}
}

func TestPoissonTail(t *testing.T) {
	for _, tt := range []struct {
		lambda float64
		x      int
		want   float64
	}{
		{1, 0, 1},
		{1, 1, 0.63212056}, // 1 - 1/e
		{1, 3, 0.08030140}, // 1 - 5/(2e)
		{0.1, 5, 7.6678e-8},
		{0.1, 4, 3.8468e-6},
		{1, 10, 1.1143e-7},
		{700, 1, 1},
		{0, 3, 0},
		{1, 1000, 0}, // below what a number holds
	} {
		if got := PoissonTail(tt.lambda, tt.x); !near(got, tt.want, tt.want*1e-4) {
			t.Errorf("PoissonTail(%v, %d) = %v, want %v", tt.lambda, tt.x, got, tt.want)
		}
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

func TestSeenForgetsByPacketTime(t *testing.T) {
	const day = 24 * time.Hour
	s := NewSeen(1000, day)
	t0 := packet.Time(1e18)
	s.Add(t0, 2)
	if !s.Add(t0, 1) || s.Add(t0, 1) || s.Add(t0.Add(15*time.Hour), 1) {
		t.Error("a key is new once within the span")
	}
	// Met again at 15 h, it lives on; one that was not is forgotten a day later.
	if s.Add(t0.Add(30*time.Hour), 1) {
		t.Error("a key that came again 15 h ago was forgotten")
	}
	if !s.Add(t0.Add(30*time.Hour), 2) {
		t.Error("a key of 30 h ago is remembered")
	}
	if !s.Add(t0.Add(1000*day), 1) || s.Add(t0.Add(1000*day), 1) {
		t.Error("a long silence should empty the memory")
	}
	if s.Add(t0, 1) { // time runs back: nothing is forgotten
		t.Error("time that runs back forgot a key")
	}
}

func TestSeenErrorRate(t *testing.T) {
	s := NewSeen(30000, time.Hour)
	var wrong int
	for i := range uint64(10000) { // one filter's share
		if !s.Add(0, Mix(i)) {
			wrong++
		}
	}
	if s.Early() != 0 || wrong > 60 { // 1 % when full, about 0.2 % on the way there
		t.Errorf("%d of 10,000 new keys pass for seen; %d early rotations", wrong, s.Early())
	}
	wrong = 0
	for i := range uint64(10000) {
		if s.Add(0, Mix(i)) {
			wrong++
		}
	}
	if wrong != 0 {
		t.Errorf("%d keys were forgotten within the span", wrong)
	}
	for i := range uint64(100000) {
		s.Add(0, Mix(1<<40+i))
	}
	if s.Early() == 0 {
		t.Error("an overfull memory did not rotate")
	}
}

func BenchmarkDistinctWeighted(b *testing.B) {
	var d Distinct
	for i := 0; b.Loop(); i++ {
		d.AddWeighted(Mix(uint64(i)), 100)
	}
}
