package stat

import (
	"math"
	"testing"
	"time"

	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

func near(a, b, eps float64) bool { return math.Abs(a-b) <= eps }

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
		if !s.Add(0, sketch.Mix(i)) {
			wrong++
		}
	}
	if s.Early() != 0 || wrong > 60 { // 1 % when full, about 0.2 % on the way there
		t.Errorf("%d of 10,000 new keys pass for seen; %d early rotations", wrong, s.Early())
	}
	wrong = 0
	for i := range uint64(10000) {
		if s.Add(0, sketch.Mix(i)) {
			wrong++
		}
	}
	if wrong != 0 {
		t.Errorf("%d keys were forgotten within the span", wrong)
	}
	for i := range uint64(100000) {
		s.Add(0, sketch.Mix(1<<40+i))
	}
	if s.Early() == 0 {
		t.Error("an overfull memory did not rotate")
	}
}

// TestLeastJoin: a union has what both had; beyond 32 a hash that would not be kept counts as added.
func TestLeastJoin(t *testing.T) {
	var a, b Least
	for i := range uint64(20) {
		a.Add(sketch.Mix(i))
		b.Add(sketch.Mix(i + 10))
	}
	a.Join(&b)
	if a.Len() != 30 || !a.Has(sketch.Mix(29)) || a.Has(sketch.Mix(30)) {
		t.Errorf("%d of 30 kept, has(29) %v, has(30) %v", a.Len(), a.Has(sketch.Mix(29)), a.Has(sketch.Mix(30)))
	}
	for i := range uint64(1000) {
		a.Add(sketch.Mix(i))
	}
	if a.Len() != 32 || !a.Has(^uint64(0)) {
		t.Errorf("%d kept, the greatest hash told apart: %v", a.Len(), !a.Has(^uint64(0)))
	}
}
