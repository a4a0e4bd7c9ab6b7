package pipeline

import (
	"time"

	"neuromast/flows/table"
	"neuromast/sensor/packet"
)

// Load is how far the sensor is behind the wire: the steps of table.Shed, then sampling by halves.
type Load uint8

// sampling is the first step at which conversations are left out; maxLoad keeps one of eight.
const (
	sampling = Load(table.ShedParsers) + 1
	maxLoad  = sampling + 2
)

func (l Load) String() string {
	switch {
	case l < sampling:
		return table.Shed(l).String()
	case l == sampling:
		return "half_of_conversations"
	case l == sampling+1:
		return "three_of_four_conversations"
	}
	return "seven_of_eight_conversations"
}

// When the fullest ring is above tooFull, one more step of work is left undone every riseEvery; when it was below easy for
// calmFor, one step less. Chosen by us: a ring of 64 MiB takes a second of 0.5 Mpps, so that all steps fit into half a
// ring's time, and recovery is slow enough not to swing.
const (
	tooFull   = 0.5
	easy      = 0.1
	riseEvery = packet.Time(100 * time.Millisecond)
	calmFor   = packet.Time(5 * time.Second)
)

// overload decides what is left undone, from how full the sources' buffers are.
type overload struct {
	fill    []float64
	step    Load
	changes uint64
	changed packet.Time // when step changed, or when a ring was last not easy
}

func newOverload(sources int) overload { return overload{fill: make([]float64, sources)} }

// see takes how full a source's buffer is at a packet time.
func (o *overload) see(source int, fill float64, now packet.Time) {
	o.fill[source] = fill
	var fullest float64
	for _, f := range o.fill {
		fullest = max(fullest, f)
	}
	switch {
	case fullest > tooFull:
		if o.step < maxLoad && now-o.changed >= riseEvery {
			o.step++
			o.changes++
			o.changed = now
		}
	case fullest > easy:
		if o.step > 0 {
			o.changed = max(o.changed, now)
		}
	case o.step > 0 && now-o.changed >= calmFor:
		o.step--
		o.changes++
		o.changed = now
	}
}

// shed is what the workers leave undone.
func (o *overload) shed() table.Shed { return table.Shed(min(o.step, sampling-1)) }

// keeps says whether a conversation is looked at; a conversation left out stays so while the step holds.
func (o *overload) keeps(hash uint64) bool {
	if o.step < sampling {
		return true
	}
	bits := uint(o.step-sampling) + 1
	return hash>>20&(1<<bits-1) == 0
}
