package scan

import (
	"math"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/stat"
	"neuromast/flows/hostgraph"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// The spans over which failures are counted: the first three for bursts, the others for slow scans.
var (
	burstSpans = [...]time.Duration{time.Minute, 10 * time.Minute, time.Hour}
	slowSpans  = [...]time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour}
)

// What is usual until it is measured, and the bounds of what may be measured: a site of broken hosts must not silence the
// tests, and failures come in clumps, as of a laptop that comes home, so that they are never sharper than the least.
// Chosen by us.
var (
	burstLeast = [...]float64{1, 2, 4}   // mean failures a host and span: 10, 13 and 18 are then too many
	burstMost  = [...]float64{5, 10, 20} // 20, 29 and 46

	slowUsual = [...]float64{3, 9, 20}  // mean failures, with r = 1: 49, 133 and 287 are then too many
	slowLeast = [...]int{24, 60, 120}   // counts that are always borne
	slowMost  = [...]int{133, 150, 600} // and such as never are: a probe in 10 minutes makes 144 a day, one an hour 168 a week
)

// Chances of an honest host to be taken for a scanner in a span: 1e-6, and e^-14 = 8.3e-7, were its failures as supposed.
const (
	burstChance = 1e-6
	slowNats    = 14.0
)

const (
	maxRecent   = 64   // failures of a host whose times are kept: above every critical count of a burst
	maxADay     = 4096 // failures of a host a day that enter the memory of the site; a flood must not empty it
	darkWeight  = 3    // what a failure at an address counts for that never sent anything
	darkAfter   = 7 * 24 * time.Hour
	fanLapse    = time.Hour // without failures: the sample begins anew
	minDays     = 100       // host-days that a fit needs, and
	minHours    = 1000      // host-hours that a 99th percentile needs
	maxFanNats  = 6.0
	maxSlowNats = 5.0
)

// fan counts what a host tried in vain inside: rules scan.burst and scan.slow.
type fan struct {
	recent  [maxRecent]packet.Time // of the latest attempts that failed
	n       uint64
	most    [len(burstSpans)]uint8 // greatest counts of this hour
	hours   [24]uint16             // new failures, by hour and by day; those of dark addresses weigh three
	days    [30]uint16
	hour    int64 // of the latest entries
	day     int64
	dark    uint32
	active  uint32 // days with failures
	owner   *source
	walk    walk // what the finding tells
	burst   verdict
	slow    verdict
	absorbs float64 // L - h of a walk whose alarm this one tells
}

// verdict is the span in which most was too much.
type verdict struct {
	span     time.Duration
	count    int
	critical int
	mean     float64
	r        float64 // of slow
	measured bool
	role     hostgraph.Role // of the hosts that it was measured at; Unknown: all
}

func (v *verdict) given() bool { return v.critical > 0 }

// worse returns the verdict that is further beyond its bound.
func (v verdict) worse(o verdict) verdict {
	if !v.given() || o.count*v.critical >= v.count*o.critical {
		return o
	}
	return v
}

// chance is the probability of as many failures of an honest host.
func (v *verdict) chance() float64 {
	if v.r > 0 {
		return stat.NegBinomialTail(v.mean, v.r, v.count)
	}
	return stat.PoissonTail(v.mean, v.count)
}

// slot moves a ring of counts to a slot and returns its place.
func slot(ring []uint16, last *int64, now int64) int {
	n := int64(len(ring))
	for s := max(*last+1, now-n+1); s <= now; s++ {
		ring[s%n] = 0
	}
	*last = max(*last, now)
	return int(*last % n)
}

func sum(ring []uint16, last int64, spans int) (total int) {
	i := int(last % int64(len(ring)))
	for range min(int64(spans), last+1) {
		total += int(ring[i])
		if i--; i < 0 { // a remainder for each would cost more than all else about a failure
			i = len(ring) - 1
		}
	}
	return total
}

// note enters a failure; weight 0 says that it failed before within thirty days.
func (f *fan) note(at packet.Time, weight int) {
	hour := int64(at) / int64(time.Hour)
	h, before := slot(f.hours[:], &f.hour, hour), f.day
	d := slot(f.days[:], &f.day, hour/24)
	if weight == 0 {
		return
	}
	if f.day != before || f.active == 0 {
		f.active++
	}
	if weight > 1 {
		f.dark++
	}
	f.hours[h] = uint16(min(int(f.hours[h])+weight, math.MaxUint16))
	f.days[d] = uint16(min(int(f.days[d])+weight, math.MaxUint16))
}

// burstCounts returns the counts of burstSpans, which end with the latest attempt.
func (f *fan) burstCounts(end packet.Time) (counts [len(burstSpans)]int) {
	for _, at := range f.recent[:min(f.n, maxRecent)] {
		d := end.Sub(at)
		if d < 0 || d >= burstSpans[2] {
			continue
		}
		counts[2]++
		if d < burstSpans[1] {
			counts[1]++
		}
		if d < burstSpans[0] {
			counts[0]++
		}
	}
	return counts
}

// slowCounts returns the counts of slowSpans.
func (f *fan) slowCounts() [len(slowSpans)]int {
	return [...]int{sum(f.hours[:], f.hour, 24), sum(f.days[:], f.day, 7), sum(f.days[:], f.day, 30)}
}

// usuals is what is usual at all hosts of the site, and at those of each role, which count where they have told enough.
type usuals struct {
	all   usual
	roles [hostgraph.NumRoles]usual
}

// of returns what is too much for a host of a role now.
func (u *usuals) of(role hostgraph.Role, now packet.Time) (burst *[len(burstSpans)]verdict, slow *[len(slowSpans)]verdict) {
	u.all.fit(now)
	burst, slow = &u.all.burst, &u.all.slow
	if r := &u.roles[role]; role != hostgraph.Unknown && (r.hours >= minHours || r.sums[0].n >= minDays) {
		if r.fit(now) {
			for i := range r.burst {
				r.burst[i] = r.burst[i].at(role, u.all.burst[i])
			}
			for i := range r.slow {
				r.slow[i] = r.slow[i].at(role, u.all.slow[i])
			}
		}
		burst, slow = &r.burst, &r.slow
	}
	return burst, slow
}

// at is what was measured at hosts of a role, else what is so at all.
func (v verdict) at(role hostgraph.Role, all verdict) verdict {
	if !v.measured {
		return all
	}
	v.role = role
	return v
}

// usual is what hosts do: how many failures in each span, over host-hours and host-days.
type usual struct {
	fanouts [len(burstSpans)][maxRecent + 1]uint32 // greatest counts of a host's hour
	hours   uint32
	sums    [len(slowSpans)]moments
	burst   [len(burstSpans)]verdict // what is too much now
	slow    [len(slowSpans)]verdict
	fitted  packet.Time
	isOpen  bool
}

type moments struct{ n, sum, squares float64 }

// fit works out anew what is too much, once an hour.
func (u *usual) fit(now packet.Time) (anew bool) {
	if u.isOpen && now.Sub(u.fitted) < time.Hour {
		return false
	}
	u.isOpen, u.fitted = true, now
	for i, span := range burstSpans {
		v := verdict{span: span, mean: burstLeast[i]}
		if u.hours >= minHours {
			v.measured = true
			v.mean = min(max(float64(percentile99(&u.fanouts[i], u.hours))/3, burstLeast[i]), burstMost[i])
		}
		v.critical = stat.Critical(func(x int) float64 { return stat.PoissonTail(v.mean, x) }, burstChance, maxRecent)
		u.burst[i] = v
	}
	for i, span := range slowSpans {
		v := verdict{span: span, mean: slowUsual[i], r: 1}
		if m := &u.sums[i]; m.n >= minDays {
			v.measured = true
			v.mean, v.r = stat.FitNegBinomial(m.n, m.sum, m.squares)
			v.mean, v.r = max(v.mean, 0.1), min(max(v.r, 0.1), 1e3)
		}
		v.critical = stat.Critical(func(x int) float64 { return stat.NegBinomialTail(v.mean, v.r, x) }, math.Exp(-slowNats), slowMost[i])
		v.critical = max(v.critical, slowLeast[i])
		u.slow[i] = v
	}
	return true
}

func percentile99(bins *[maxRecent + 1]uint32, n uint32) int {
	var above uint32
	for x := len(bins) - 1; x > 0; x-- {
		if above += bins[x]; above*100 > n {
			return x
		}
	}
	return 0
}

// sampleHour notes the greatest counts of a host's hour.
func (u *usual) sampleHour(most [len(burstSpans)]uint8) {
	for i, n := range most {
		u.fanouts[i][min(n, maxRecent)]++
	}
	if u.hours++; u.hours >= 1<<16 { // the past fades
		u.hours /= 2
		for i := range u.fanouts {
			for k := range u.fanouts[i] {
				u.fanouts[i][k] /= 2
			}
		}
	}
}

// sampleDay notes a host's counts at the end of a day; only over spans that it was known for. Counts beyond what is never
// borne are cut: one scanner must not make room for the next.
func (u *usual) sampleDay(counts [len(slowSpans)]int, known time.Duration) {
	for i, n := range counts {
		if i > 0 && known < slowSpans[i] {
			continue
		}
		m, x := &u.sums[i], float64(min(n, slowMost[i]))
		m.n, m.sum, m.squares = m.n+1, m.sum+x, m.squares+x*x
		if m.n >= 1<<15 {
			m.n, m.sum, m.squares = m.n/2, m.sum/2, m.squares/2
		}
	}
}

// roleOf is what the host graph takes a host for.
func roleOf(env detectors.Env, k detectors.HostKey) hostgraph.Role {
	return env.Graph().Role(env.Host(k).Number)
}

// turn samples what an internal host did in its last hour and day, when it is seen in a new one.
func (d *Detector) turn(env detectors.Env, k detectors.HostKey, s *source) {
	now := env.Now()
	hour := int64(now) / int64(time.Hour)
	if hour == s.hour {
		return
	}
	suspect := s.fan != nil && s.fan.walk.alarmed
	for _, w := range s.walks {
		suspect = suspect || w.alarmed
	}
	if s.hour == 0 {
		s.born = now
	} else if !suspect {
		var most [len(burstSpans)]uint8
		var counts [len(slowSpans)]int
		if s.fan != nil && s.fan.hour == s.hour {
			most = s.fan.most
		}
		d.usual.all.sampleHour(most)
		if s.role != hostgraph.Unknown {
			d.usual.roles[s.role].sampleHour(most)
		}
		if hour/24 != s.hour/24 {
			if s.fan != nil {
				slot(s.fan.hours[:], &s.fan.hour, s.hour)
				slot(s.fan.days[:], &s.fan.day, s.hour/24)
				counts = s.fan.slowCounts()
				counts[0] = int(s.fan.days[s.fan.day%int64(len(s.fan.days))])
			}
			d.usual.all.sampleDay(counts, now.Sub(s.born))
			if s.role != hostgraph.Unknown {
				d.usual.roles[s.role].sampleDay(counts, now.Sub(s.born))
			}
		}
	}
	if s.fan != nil {
		s.fan.most = [len(burstSpans)]uint8{}
	}
	if hour != s.hour+1 {
		s.talks[0] = 0
	}
	s.talks[1], s.talks[0] = s.talks[0], 0
	s.hour, s.role = hour, roleOf(env, k)
}

// fanOut takes a first contact of an internal host with another and judges the host's failures. What five clients fail at
// is dead and no failure of theirs.
func (d *Detector) fanOut(env detectors.Env, s *source, c *contact, dead bool) {
	if !c.outcome.failed() {
		if c.talked {
			s.talks[0] = min(s.talks[0]+1, math.MaxUint16-1)
		}
		if s.fan != nil && s.fan.walk.level > 0 {
			s.fan.walk.answer(c)
		}
		return
	}
	if dead || c.mild {
		return
	}
	if s.fan == nil {
		s.fan = &fan{owner: s, walk: walk{progress: progress{kind: overAll, actor: c.actor}}}
	}
	f := s.fan
	now := env.Now()
	if w := &f.walk; now.Sub(w.last) > fanLapse && (!w.alarmed && sum(f.hours[:], f.hour, 24) < slowLeast[0]/3 || now.Sub(w.last) > slowSpans[0]) {
		w.begin(progress{kind: overAll, actor: c.actor, start: c.at})
		f.absorbs, f.burst, f.slow = 0, verdict{}, verdict{}
	}
	f.walk.fan = f
	f.walk.level = 1
	f.walk.fail(c)
	if c.service.proto != neighbours { // these have a test of their own
		f.recent[f.n%maxRecent] = c.at
		f.n++
	}
	f.note(c.at, d.novelty(now, f, c))
	d.judgeFan(env, s)
}

// novelty is what a failure counts for in the days: nothing where it failed before within thirty days, thrice where the
// address never sent anything in as long, once that can be known.
func (d *Detector) novelty(now packet.Time, f *fan, c *contact) int {
	if f.days[f.day%int64(len(f.days))] >= maxADay {
		return 1
	}
	actor := sketch.Join(sketch.HashAddr(c.actor.Addr), uint64(c.actor.Segment))
	if !d.failed.Add(now, sketch.Join(actor, c.hash())) {
		return 0
	}
	if now.Sub(d.began) >= darkAfter && !d.awake.Has(now, hashOf(c.target)) {
		return darkWeight
	}
	return 1
}

// judgeFan holds a host's counts against what is too much. Where a sequential test tells of the host already, that finding
// has the counts as evidence.
func (d *Detector) judgeFan(env detectors.Env, s *source) {
	f := s.fan
	w := &f.walk
	burst, slow := d.usual.of(s.role, env.Now())
	talks := int(s.talks[0]) + int(s.talks[1])
	for i, n := range f.burstCounts(w.last) {
		v := burst[i]
		v.count = n
		f.most[i] = max(f.most[i], uint8(n))
		if !d.cfg.Burst || v.count < v.critical || v.count < talks {
			continue
		}
		f.burst = f.burst.worse(v)
	}
	if d.cfg.Slow {
		for i, n := range f.slowCounts() {
			v := slow[i]
			if v.count = n; n < v.critical {
				continue
			}
			f.slow = f.slow.worse(v)
		}
	}
	if !f.burst.given() && !f.slow.given() {
		return
	}
	if w.alarmed {
		d.grow(env, s, w)
		return
	}
	if !w.waiting { // a sequential test that is about to alarm tells more
		d.later(env, w, sayAfter)
	}
}

// sayFan lets the counts speak, unless a sequential test tells of the host already.
func (d *Detector) sayFan(env detectors.Env, s *source) {
	w := &s.fan.walk
	if s.told(env.Now()) {
		return
	}
	w.alarmed, w.window, w.rule = true, w.start, slowRule
	if s.fan.burst.given() {
		w.rule = burstRule
	}
	d.grow(env, s, w)
}

// told says that a sequential test tells of what the host tries inside.
func (s *source) told(now packet.Time) bool {
	for _, w := range s.walks {
		if w.alarmed && w.kind != overOutside && now.Sub(w.last) <= staleAfter {
			return true
		}
	}
	return false
}

// tells says that the counts of failures alarmed first and tell of what the host does now.
func (f *fan) tells(now packet.Time) bool {
	return f != nil && f.walk.alarmed && now.Sub(f.walk.last) <= staleAfter
}

// llr is the weight of a finding over counts: 3 nats at the bound, more with the logarithm of how far beyond it is.
func (f *fan) llr() float64 {
	weight := f.absorbs
	if v := &f.burst; v.given() {
		weight = max(weight, min(maxFanNats, 3+math.Log(max(1, float64(f.walk.failures())/float64(v.critical)))))
	}
	if v := &f.slow; v.given() {
		weight = max(weight, min(maxSlowNats, 3+math.Log(max(1, float64(v.count)/float64(v.critical)))))
	}
	return weight
}
