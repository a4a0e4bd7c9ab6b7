package scan

import (
	"math"
	"slices"
	"time"

	"neuromast/sensor/packet"
)

// Bounds of theta0 and of what is needed to measure it; chosen by us so that a site of broken hosts does not silence the
// test, nor a perfect one make it jump at five failures: who fails at one in ten has 15,100 contacts between false alarms at
// 0.95, 354,000 at 0.9 (TestBetweenAlarms).
const (
	minTheta0 = 0.7
	maxTheta0 = 0.9
	minHosts  = 20
	quartile  = 4 // theta0 is what all but a fourth of the hosts have: false alarms come from the worse ones
)

// maxRaise is how many nats the contacts of a site raise h at most: three failures more.
const maxRaise = 5

// Each host says its share of answered contacts twice, so that a busy one weighs no more than others.
const (
	firstSample  = 16
	secondSample = 64
)

// site measures the honest host: a histogram of shares over internal hosts, and how many contacts they make.
type site struct {
	bins   [41]uint32 // of width 1/40
	n      uint32
	day    int64
	today  uint32  // first contacts inside
	usual  float64 // of a day; 0 until the second is over, since the first may have been a part
	sawDay bool
}

// count notes a first contact inside and says that a day is over.
func (s *site) count(now packet.Time) (turned bool) {
	if day := int64(now) / aDay; day != s.day {
		if s.day != 0 {
			switch {
			case !s.sawDay:
				s.sawDay = true
			case s.usual == 0:
				s.usual = float64(s.today)
			default: // a week or so; nobody raises h much in a day
				s.usual += (min(float64(s.today), 4*s.usual) - s.usual) / 8
			}
			turned = true
		}
		s.day, s.today = day, 0
	}
	s.today++
	return turned
}

// h is the level that so many false alarms a day allow: at h their mean distance is e^h contacts at least (Lorden 1971).
func (s *site) h(allowed float64) float64 { return math.Log(max(s.usual, 1) / allowed) }

// sample notes a host's share when it has made enough first contacts.
func (s *site) sample(answered, contacts uint32) {
	if contacts != firstSample && contacts != secondSample {
		return
	}
	s.bins[answered*40/contacts]++
	if s.n++; s.n >= 1<<14 { // the past fades
		s.n = 0
		for i := range s.bins {
			s.bins[i] /= 2
			s.n += s.bins[i]
		}
	}
}

// theta0 returns the clamped lower quartile, or what is configured until enough hosts spoke.
func (s *site) theta0(configured float64) (value float64, measured bool) {
	if s.n < minHosts {
		return configured, false
	}
	var sum uint32
	for i, n := range s.bins {
		if sum += n; sum*quartile >= s.n {
			return min(max(float64(i)/40, minTheta0), maxTheta0), true
		}
	}
	return configured, false
}

// Bounds of the outage test: when most of what others lately tried outside failed too, the way out is down, not the targets.
const (
	lately       = 64 // first contacts outside that are remembered
	outageMin    = 16 // of other hosts
	outageHosts  = 5
	outageWithin = 5 * time.Minute
)

// outside remembers the latest first contacts with external hosts.
type outside struct {
	ring [lately]struct {
		at     packet.Time
		actor  uint64
		failed bool
	}
	n uint64
}

func (o *outside) add(at packet.Time, actor uint64, failed bool) {
	e := &o.ring[o.n%lately]
	e.at, e.actor, e.failed = at, actor, failed
	o.n++
}

// sharers counts the hosts that fail outside just now, the actor included, where that looks like an outage; else 1.
func (o *outside) sharers(now packet.Time, actor uint64) float64 {
	var hosts [lately]uint64
	var contacts, failures, n int
	for i := range min(o.n, lately) {
		e := &o.ring[i]
		if e.actor == actor || now.Sub(e.at) > outageWithin {
			continue
		}
		contacts++
		if !e.failed {
			continue
		}
		failures++
		if !slices.Contains(hosts[:n], e.actor) {
			hosts[n] = e.actor
			n++
		}
	}
	if contacts < outageMin || 2*failures <= contacts || n+1 < outageHosts {
		return 1
	}
	return float64(n + 1)
}
