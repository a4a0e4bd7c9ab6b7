// Package simulate plays weeks of an enterprise's work, with intrusions among it, into the detectors: what they say of
// honest work is a false rate, what they say of the intrusions a detection rate. `make evaluate` prints both and writes
// detectors/EVALUATION.md.
//
// # What is played
//
// A site of any number of hosts: workstations with a person each, servers of kinds (files, printing, databases,
// applications, mail, Linux, jump hosts), domain controllers, a software deployment, monitoring, backup, a vulnerability
// scanner, printers, cameras and the like, a VPN gateway behind which many sit. People come and go in working hours, log
// on, look names up (Zipf's law), read and save files, print, browse, call; machines renew leases and policies, replicate,
// poll and copy at night; administrators have habits and do things for the first time too. Things go wrong honestly: wrong
// and expired passwords, servers that are down or gone, new servers, new administrators, software that looks around,
// rollouts, agents with many keys. Everything is facts (package flows) by way of package acts, in packet time.
//
// Intrusions are chains of three to six hops from a random workstation at a random hour, with discovery, theft of
// credentials, lateral movement by every technique that acts knows, and an end: directory, files, or data carried out.
// Their truth (who, whom, when, how) is kept apart and never shown to a detector.
//
// # What it is not
//
// Not a model of one real site: rates are rough means chosen by us, and what is honest here is what we thought of. A false
// rate of nought here says that a rule is quiet on what is played, no more. Volume that no detector looks at (a page's
// hundred objects, a session's packets) is one fact; Volume scales the rest of the daily bulk (web, files, tickets) down
// for large sites, never what is rare: the report says by how much.
//
// # Bounds and order
//
// Same configuration, same facts, bit for bit: random numbers come from the seed, no clock and no map's order is asked.
// Hosts are processes that each hold one next event, so memory grows with hosts, not with days.
package simulate

import (
	"fmt"
	"math/rand/v2"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/acts"
	"neuromast/detectors/engine"
	"neuromast/detectors/incident"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Start is the packet time of the first day: a Monday, 00:00 UTC.
const Start = packet.Time(1_767_571_200_000_000_000) // 2026-01-05

// Config says what to play.
type Config struct {
	Hosts      int     // at least 50
	Days       int     // of packet time
	Seed       uint64  // of everything random
	Intrusions int     // placed at random after Learn
	Learn      int     // days before the first intrusion
	Volume     float64 // share of the daily bulk that is played; 1: all
}

// Play runs the site through the detectors and returns what was measured. Their signals are joined into incidents by
// the correlation's defaults.
func Play(cfg Config, dets []detectors.Detector) (*Result, error) {
	if cfg.Hosts < 50 || cfg.Days < 1 || cfg.Volume <= 0 || cfg.Intrusions > 0 && cfg.Learn >= cfg.Days {
		return nil, fmt.Errorf("simulate: %+v can't be played", cfg)
	}
	s := newSite(cfg)
	m := newMeter(cfg)
	joined := incident.New(incident.Default(), internal, m.incident)
	e := engine.New(dets, engine.Config{Internal: internal, Publish: m.finding, Signal: func(x *detectors.Signal) { m.signal(x); joined.Take(x) }})
	s.begin()
	s.intrude()
	s.run(func(b *flows.Batch) {
		m.count(b)
		var merged flows.Merged
		merged.Merge([]*flows.Batch{b})
		e.Feed(&merged)
		joined.Advance(merged.Watermark)
	})
	e.Finish()
	joined.Finish()
	return m.result(s, e.Stats()), nil
}

// internal says that an address is the site's.
func internal(a packet.Addr) bool { return a[12] == 10 && a.Is4() }

// clock is the queue of what happens next. Events of one time happen in the order in which they were asked for.
type clock struct {
	now   packet.Time
	end   packet.Time
	queue []event
	asked uint64
}

// event is something that happens, or an item that becomes known.
type event struct {
	at    packet.Time
	order uint64
	do    func()
	write func(*flows.Out)
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.order < o.order }

func (c *clock) push(e event) {
	if e.at > c.end {
		return
	}
	c.asked++
	e.order = c.asked
	c.queue = append(c.queue, e)
	q := c.queue
	for i := len(q) - 1; i > 0; {
		up := (i - 1) / 2
		if !q[i].before(&q[up]) {
			break
		}
		q[i], q[up] = q[up], q[i]
		i = up
	}
}

func (c *clock) pop() event {
	q := c.queue
	top := q[0]
	last := len(q) - 1
	q[0], q[last] = q[last], event{}
	q = q[:last]
	c.queue = q
	for i := 0; ; {
		low := 2*i + 1
		if low >= len(q) {
			break
		}
		if r := low + 1; r < len(q) && q[r].before(&q[low]) {
			low = r
		}
		if !q[low].before(&q[i]) {
			break
		}
		q[i], q[low] = q[low], q[i]
		i = low
	}
	return top
}

// at has something happen at a time; what would lie in the past happens now.
func (c *clock) at(t packet.Time, do func()) { c.push(event{at: max(t, c.now), do: do}) }

// take takes an act's items.
func (c *clock) take(t packet.Time, write func(*flows.Out)) {
	c.push(event{at: max(t, c.now), write: write})
}

// batchItems is how many items are handed on together; what is known at one time is never split.
const batchItems = 4096

// run plays until the end and hands the items on in batches.
func (c *clock) run(feed func(*flows.Batch)) {
	b := &flows.Batch{}
	out := flows.Out{Batch: b}
	hand := func(mark packet.Time) {
		b.Watermark = mark
		feed(b)
		b.Reset()
	}
	for len(c.queue) > 0 {
		e := c.pop()
		if len(b.Order) >= batchItems && e.at > c.now {
			hand(c.now)
		}
		c.now = e.at
		if e.write != nil {
			out.Now = e.at
			e.write(&out)
		} else {
			e.do()
		}
	}
	hand(c.end)
}

// scene returns a scene of acts of its own random numbers and connection numbers.
func (s *site) scene(part uint64) *acts.Scene {
	return &acts.Scene{
		Take: s.take, Rand: rand.New(rand.NewPCG(s.cfg.Seed, part)), Name: s.name, Answer: s.answer, Realm: realm, Conns: part << 40,
	}
}

// day is the time of day and the day of the week, 0 for Monday.
func clockOf(t packet.Time) (day int, of time.Duration) {
	d := t.Sub(Start)
	return int(d / (24 * time.Hour) % 7), d % (24 * time.Hour)
}

// weekend says whether a time lies on one.
func weekend(t packet.Time) bool { d, _ := clockOf(t); return d >= 5 }

// morning is the start of a time's day.
func morning(t packet.Time) packet.Time { return t - packet.Time(t.Sub(Start)%(24*time.Hour)) }
