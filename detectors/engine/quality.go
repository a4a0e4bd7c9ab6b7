package engine

import (
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// qualityMinutes is how far back the sensor remembers minute by minute what it missed; a longer finding is judged by
// this much.
const qualityMinutes = 64

// quality counts, per minute of packet time, what was missed.
type quality struct {
	minutes [qualityMinutes]minute
}

type minute struct {
	number   int64 // of the minute since the epoch
	lost     uint64
	evicted  uint64
	cut      uint64 // packets that the capture cut short
	dropped  uint64
	copied   uint64
	shed     uint64
	sampled  uint64
	flows    uint64 // TCP and UDP flows that ended
	oneSided uint64 // of them, those of which one direction was seen only
}

func (q *quality) at(t packet.Time) *minute {
	n := int64(t) / int64(time.Minute)
	m := &q.minutes[uint64(n)%qualityMinutes]
	if m.number != n {
		*m = minute{number: n}
	}
	return m
}

// lost notes what a batch could not keep, at the watermark it was handed on with: workers count per batch, not per item.
func (q *quality) lost(at packet.Time, b *flows.Batch) {
	if b.Lost == ([flows.NumLossKinds]uint64{}) {
		return
	}
	m := q.at(at)
	m.lost += b.Lost[flows.LostStreamBytes]
	m.evicted += b.Lost[flows.LostEvictedFlow]
	m.cut += b.Lost[flows.LostCutPacket]
	m.dropped += b.Lost[flows.LostCapture]
	m.copied += b.Lost[flows.LostCopy]
	m.shed += b.Lost[flows.LostShed]
	m.sampled += b.Lost[flows.LostSampled]
}

func (q *quality) record(now packet.Time, r *flows.Record) {
	if !r.Final || r.Proto != packet.ProtoTCP && r.Proto != packet.ProtoUDP {
		return
	}
	m := q.at(now)
	m.flows++
	if r.HalfSeen() {
		m.oneSided++
	}
}

// window sums the minutes of the given length up to now.
func (q *quality) window(now packet.Time, length time.Duration) detectors.Quality {
	last := int64(now) / int64(time.Minute)
	first := last - min(int64(length/time.Minute)+1, qualityMinutes-1)
	var out detectors.Quality
	var flows, oneSided uint64
	for i := range q.minutes {
		if m := &q.minutes[i]; m.number >= first && m.number <= last {
			out.LostBytes += m.lost
			out.Evicted += m.evicted
			out.Truncated += m.cut
			out.KernelDrops += m.dropped
			out.Duplicates += m.copied
			out.ShedBytes += m.shed
			out.Sampled += m.sampled
			flows += m.flows
			oneSided += m.oneSided
		}
	}
	if flows > 0 {
		out.OneSidedShare = float64(oneSided) / float64(flows)
	}
	return out
}

// judge fills a finding's quality.
func (e *Engine) judge(f *detectors.Finding) {
	f.Quality = e.quality.window(e.env.now, span(f, e.env.now))
	f.Quality.BaselineDays = e.baselineDays()
}
