package pipeline

import (
	"testing"
	"time"

	"neuromast/flows/table"
	"neuromast/sensor/packet"
)

// TestOverloadRisesAndRecovers walks through all steps up and down.
func TestOverloadRisesAndRecovers(t *testing.T) {
	o := newOverload(2)
	now := packet.Time(1e18)
	var steps []Load
	for range 2000 { // 2 s with one ring full
		now += packet.Time(time.Millisecond)
		before := o.step
		o.see(0, 0, now)
		if o.see(1, 0.9, now); o.step != before {
			steps = append(steps, o.step)
		}
	}
	if len(steps) != int(maxLoad) || o.shed() != table.ShedParsers {
		t.Fatalf("steps %v", steps)
	}
	kept := 0
	for h := range uint64(8000) {
		if o.keeps(h * 0x9e3779b97f4a7c15) {
			kept++
		}
	}
	if kept < 900 || kept > 1100 {
		t.Errorf("%d of 8000 conversations are kept", kept)
	}
	o.see(1, 0.3, now) // neither full nor easy: nothing changes
	for range 10_000 {
		now += packet.Time(time.Millisecond)
		o.see(1, 0.3, now)
	}
	if o.step != maxLoad {
		t.Errorf("step %v while the ring is not easy", o.step)
	}
	for range 60_000 {
		now += packet.Time(time.Millisecond)
		o.see(1, 0, now)
	}
	if o.step != 0 || o.changes != 2*uint64(maxLoad) || !o.keeps(1<<20) {
		t.Errorf("after a minute of calm: %v, %d changes", o.step, o.changes)
	}
}
