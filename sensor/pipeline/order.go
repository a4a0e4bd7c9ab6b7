package pipeline

import (
	"time"

	"neuromast/sensor/packet"
)

// Packets may come out of order: several interfaces, several queues, clocks that differ. The sequencer sorts within
// window of packet time, as far as the last depth packets; what comes later is counted and taken as it comes. Both are
// chosen by us: skews between the queues of a card and the legs of a tap are below a millisecond, and a depth keeps the
// packets in the cache.
const (
	window = packet.Time(time.Second)
	depth  = 256
)

// leap is how far a lone packet must lie ahead of all others to be an anomaly. Captures have pauses, but then more than
// one packet follows.
const leap = packet.Time(10 * time.Minute)

// ref is a packet in one of the sequencer's batches.
type ref struct {
	at    packet.Time
	batch *frames
	index uint32
}

func (r ref) packet() *packet.Packet { return &r.batch.packets[r.index] }

// order sorts a stream of packets by time within bounds. What it gives depends on the sequence of packets alone, not on
// how they were batched.
type order struct {
	pending []ref // sorted by time; the first done of them are handed on already
	done    int
	last    packet.Time // of the packet handed on last
	newest  packet.Time
	held    ref // a packet far ahead of newest: the next one says whether time leaps
	holding bool
	started bool

	sorted uint64 // packets that came late and were put in their place
	late   uint64 // packets that came too late for that
}

// add takes the next packet of the stream.
func (o *order) add(r ref) {
	switch {
	case o.holding:
		held := o.held
		o.holding = false
		switch {
		case r.at > held.at+leap: // time leaps from packet to packet
			o.place(held)
			o.held, o.holding = r, true
			return
		case o.started && held.at-r.at < r.at-o.newest || !o.started && r.at >= held.at-leap: // r is with held
			o.place(held)
		default: // time goes on where it was: the held packet is alone out there
			if !o.started {
				o.newest, o.started = r.at, true
			}
			p := held.packet()
			p.Anomalies.Add(packet.TimeLeap)
			p.At, held.at = o.newest, o.newest
			o.place(held)
			if r.at > o.newest+leap {
				o.held, o.holding = r, true
				return
			}
		}
		o.place(r)
	case !o.started || r.at > o.newest+leap:
		o.held, o.holding = r, true
	default:
		o.place(r)
	}
}

// place enters a packet where its time belongs, but not before those that were handed on or would have been.
func (o *order) place(r ref) {
	if !o.started || r.at >= o.newest {
		o.newest, o.started = r.at, true
		o.pending = append(o.pending, r)
		return
	}
	o.pending = append(o.pending, ref{})
	first := max(len(o.pending)-1-depth, o.done)
	i := len(o.pending) - 1
	for i > first && o.pending[i-1].at > r.at && o.pending[i-1].at >= o.newest-window {
		o.pending[i] = o.pending[i-1]
		i--
	}
	o.pending[i] = r
	before := o.last
	if i > o.done {
		before = o.pending[i-1].at
	}
	if before > r.at || r.at < o.newest-window {
		o.late++
		r.packet().Anomalies.Add(packet.TimeBackwards)
		return
	}
	o.sorted++
}

// tick says that the source's clock shows at: packets that follow are not earlier.
func (o *order) tick(at packet.Time) {
	if o.holding && at >= o.held.at-window {
		o.holding = false
		o.place(o.held)
	}
	switch {
	case o.holding:
	case !o.started, at > o.newest:
		o.newest, o.started = at, true
	}
}

// end lets go of the packet that was held.
func (o *order) end() {
	if o.holding {
		o.holding = false
		o.place(o.held)
	}
}

// ready returns how many of pending are in their final place; all says that nothing follows.
func (o *order) ready(all bool) []ref {
	if all {
		return o.pending[o.done:]
	}
	n := max(len(o.pending)-depth, o.done)
	for n < len(o.pending) && o.pending[n].at < o.newest-window {
		n++
	}
	return o.pending[o.done:n]
}

// took says that the first n of ready were handed on.
func (o *order) took(n int) {
	if n == 0 {
		return
	}
	o.last = o.pending[o.done+n-1].at
	if o.done += n; o.done > 4*depth { // move what is left to the front now and then
		o.pending = o.pending[:copy(o.pending, o.pending[o.done:])]
		o.done = 0
	}
}
