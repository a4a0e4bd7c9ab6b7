package scan

import (
	"math"
	"testing"

	"neuromast/detectors/stat"
	"neuromast/sensor/packet"
)

// lattice is the width in nats of the levels that betweenAlarms reckons with; steps of equal size need none.
const lattice = 0.02

// betweenAlarms returns the mean number of first contacts from level 0 to h of a host that fails so often: exact where both
// steps are equal, else a lower bound, since failures are rounded up and answers down to the lattice. The means m of the levels
// solve m(i) = 1 + p m(i+up) + (1-p) m(max(0, i-down)), with m = 0 from h on.
func betweenAlarms(theta0, theta1, h, p float64) float64 {
	failure, success := stat.Steps(theta0, theta1)
	width := lattice
	if math.Abs(failure+success) < 1e-9 {
		width = failure
	}
	up, down := int(math.Ceil(failure/width-1e-9)), int(math.Floor(-success/width+1e-9))
	n := int(math.Ceil(h/width - 1e-9))
	// Gauss elimination from the top level down: each row keeps the down levels below it.
	a := make([][]float64, n)
	b := make([]float64, n)
	for i := range a {
		a[i] = make([]float64, n)
		a[i][i], b[i] = 1, 1
		if i+up < n {
			a[i][i+up] -= p
		}
		a[i][max(0, i-down)] -= 1 - p
	}
	for i := n - 1; i > 0; i-- {
		for k := max(0, i-up); k < i; k++ {
			f := a[k][i] / a[i][i]
			if f == 0 {
				continue
			}
			for j := 0; j <= i; j++ {
				a[k][j] -= f * a[i][j]
			}
			b[k] -= f * b[i]
		}
	}
	return b[0] / a[0][0]
}

// TestBetweenAlarms holds the mean numbers of first contacts between false alarms that the package comment tells: theta1 = 0.2,
// h = 11.5, of hosts that fail at 2, 5, 10, 15 and 20 of 100 contacts. At theta0 = 0.8 they are exact, and those of the design.
func TestBetweenAlarms(t *testing.T) {
	failures := [...]float64{0.02, 0.05, 0.1, 0.15, 0.2}
	for _, tt := range []struct {
		theta0 float64
		want   [len(failures)]float64
	}{
		{0.8, [...]float64{1.7e15, 3.78e11, 5.45e8, 1.05e7, 582525}},
		{0.85, [...]float64{7.21e11, 1.05e9, 6.63e6, 3.06e5, 31800}},
		{0.9, [...]float64{1.1e10, 3.21e7, 3.54e5, 2.48e4, 3790}},
		{0.95, [...]float64{5.79e7, 5.37e5, 1.51e4, 1910, 464}}, // the median of a good site: what was before
	} {
		for i, p := range failures {
			got := betweenAlarms(tt.theta0, 0.2, 11.5, p)
			t.Logf("theta0 %v, %v fail: %.4g", tt.theta0, p, got)
			if math.Abs(got/tt.want[i]-1) > 0.02 {
				t.Errorf("theta0 %v, %v fail: %.4g contacts between alarms, want %.4g", tt.theta0, p, got, tt.want[i])
			}
		}
	}
	// At the theta0 that hosts of one kind have, Lorden's bound holds.
	for _, theta0 := range []float64{0.7, 0.75, 0.8, 0.85, 0.9} {
		for _, h := range []float64{11.5, 14} {
			if got := betweenAlarms(theta0, 0.2, h, 1-theta0); got < math.Exp(h) {
				t.Errorf("theta0 %v, h %v: %.4g", theta0, h, got)
			} else {
				t.Logf("theta0 %v, h %v: %.4g contacts, e^h is %.4g", theta0, h, got, math.Exp(h))
			}
		}
	}
}

// TestBudget: a site of 20,000 first contacts a day that bears 0.1 false alarms a day has h = ln 200,000 = 12.2 once two whole days are
// over; a day of a thousand times as many raises it by ln(11/8) only.
func TestBudget(t *testing.T) {
	var s site
	for day, contacts := range []int{5000, 20000, 20000, 20_000_000, 1} {
		if day == 3 && math.Abs(s.h(0.1)-math.Log(200_000)) > 1e-9 || day < 2 && s.h(0.1) > math.Log(10)+1e-9 {
			t.Errorf("day %d: h = %v", day, s.h(0.1))
		}
		for range contacts {
			s.count(packet.Time(int64(day+1) * aDay))
		}
	}
	if got, want := s.h(0.1), math.Log(200_000*11.0/8); math.Abs(got-want) > 1e-9 {
		t.Errorf("after the flood h = %v, want %v", got, want)
	}
}
