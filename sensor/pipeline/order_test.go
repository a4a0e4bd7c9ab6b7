package pipeline

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"neuromast/sensor/packet"
)

// ordered feeds times in seconds in batches of the given size, and returns them as they are handed on, with what was
// counted.
func ordered(times []float64, size int) (out []float64, o *order) {
	o = &order{}
	var b *frames
	take := func(all bool) {
		ready := o.ready(all)
		for _, r := range ready {
			out = append(out, float64(r.packet().At)/1e9)
		}
		o.took(len(ready))
	}
	for i, t := range times {
		if i%size == 0 {
			take(false)
			b = &frames{packets: make([]packet.Packet, size)}
		}
		p := &b.packets[i%size]
		p.At = packet.Time(t * 1e9)
		o.add(ref{p.At, b, uint32(i % size)})
	}
	take(false)
	o.end()
	take(true)
	return out, o
}

func TestOrder(t *testing.T) {
	const hour = 3600
	for _, tt := range []struct {
		name         string
		in, want     []float64
		sorted, late uint64
	}{
		{"in order", []float64{1, 2, 3}, []float64{1, 2, 3}, 0, 0},
		{"one late", []float64{1, 2, 1.5, 3}, []float64{1, 1.5, 2, 3}, 1, 0},
		{"later than is sorted", []float64{10, 20, 11, 21}, []float64{10, 11, 20, 21}, 0, 1},
		{"a lone packet of the future", []float64{1, 2, 9 * hour, 3}, []float64{1, 2, 2, 3}, 0, 0},
		{"a lone first packet of the future", []float64{9 * hour, 1, 2}, []float64{1, 1, 2}, 0, 0},
		{"a pause", []float64{1, 2, hour, hour + 1}, []float64{1, 2, hour, hour + 1}, 0, 0},
		{"a pause, then disorder", []float64{1, 2, hour + 3, hour}, []float64{1, 2, hour, hour + 3}, 0, 1},
		{"pauses only", []float64{1, hour, 2 * hour, 3 * hour}, []float64{1, hour, 2 * hour, 3 * hour}, 0, 0},
		{"the last after a pause", []float64{1, 2, hour}, []float64{1, 2, hour}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, o := ordered(tt.in, 2)
			if !slices.Equal(got, tt.want) || o.sorted != tt.sorted || o.late != tt.late {
				t.Errorf("got %v, %d sorted, %d late", got, o.sorted, o.late)
			}
		})
	}
}

// TestOrderDoesNotDependOnBatches holds that the result is the sequence's alone.
func TestOrderDoesNotDependOnBatches(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		times := make([]float64, 3000)
		at := 0.0
		for i := range times {
			switch r.IntN(300) {
			case 0:
				at += 700
			case 1:
				at += 2
			default:
				at += 0.001
			}
			times[i] = at - max(0, r.NormFloat64())*0.5*float64(r.IntN(2))
		}
		want, o := ordered(times, len(times))
		for _, size := range []int{1, 7, 100, 1024} {
			if got, p := ordered(times, size); !slices.Equal(got, want) || p.sorted != o.sorted || p.late != o.late {
				t.Fatalf("batches of %d: %d sorted, %d late; in one: %d, %d", size, p.sorted, p.late, o.sorted, o.late)
			}
		}
		sorted := slices.Sorted(slices.Values(times))
		if o.late == 0 && !slices.Equal(want, sorted) {
			t.Fatal("out of order, and nothing counted")
		}
	}
}

// TestTickLetsTimePass holds that a quiet source's clock closes what waits, and that nothing is held for ever.
func TestTickLetsTimePass(t *testing.T) {
	o := &order{}
	b := &frames{packets: make([]packet.Packet, 3)}
	for i := range b.packets {
		b.packets[i].At = packet.Time(i) * packet.Time(time.Hour) // every one leaps
		o.add(ref{b.packets[i].At, b, uint32(i)})
	}
	if n := len(o.ready(false)); n != 1 {
		t.Errorf("%d ready before the clock", n)
	}
	o.tick(packet.Time(2*time.Hour + 2*time.Second))
	if n := len(o.ready(false)); n != 3 {
		t.Errorf("%d ready after it", n)
	}
}
