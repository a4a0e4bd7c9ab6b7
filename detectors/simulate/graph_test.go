package simulate

import (
	"math"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/sensor/packet"
)

// TestEdgesAt: of 1,000 honest edges five weigh anything; two of them may weigh more than the bar.
func TestEdgesAt(t *testing.T) {
	r := GraphResult{Honest: [2][]float64{{1, 2, 3, 4, 5}}, Lateral: [2][]float64{{0, 3, 3.5, 9}}}
	for _, tt := range []struct {
		share, from, honest float64
		found               Tally
	}{{0.002, 3, 0.002, Tally{2, 4}}, {0.1, 0, 0.005, Tally{3, 4}}, {0, 5, 0, Tally{1, 4}}} {
		if found, from, honest := r.EdgesAt(tt.share, 1000, 0); found != tt.found || from != tt.from || math.Abs(honest-tt.honest) > 1e-9 {
			t.Errorf("%v: %v above %v at %v", tt.share, found, from, honest)
		}
	}
}

// TestChains walks through what counts as the right cause: the step that brought the intruder to where the next one begins.
func TestChains(t *testing.T) {
	c := Config{Hosts: 1000, Days: 3, Learn: 1, Volume: 1}
	m, s := newMeter(c), newSite(c)
	a, b, d, other := addr4(10, 1, 0, 20), addr4(10, 1, 0, 21), addr4(10, 1, 0, 22), addr4(10, 1, 0, 23)
	at := func(minutes int) packet.Time { return Start.Add(30*time.Hour + time.Duration(minutes)*time.Minute) }
	hop := func(from, to packet.Addr, minutes int) Step {
		return Step{Stage: detectors.StageLateral, From: from, To: []packet.Addr{to}, Start: at(minutes), End: at(minutes + 1)}
	}
	s.plan = []*Intrusion{{Steps: []Step{hop(a, b, 0), hop(b, d, 20), hop(d, other, 40)}}}
	say := func(id string, from, to packet.Addr, minutes int, cause string) {
		x := &detectors.Signal{ID: id, Rule: "graph.path", Stage: detectors.StageLateral, Actor: detectors.HostKey{Addr: from}, Peer: detectors.HostKey{Addr: to}, Start: at(minutes), At: at(minutes)}
		if cause != "" {
			x.Causes = []detectors.Cause{{ID: cause, P: 0.9}}
		}
		m.signal(x)
	}
	say("1", a, b, 0, "")
	say("2", b, d, 20, "1")
	say("3", d, other, 40, "1") // not what led there
	say("honest", addr4(10, 1, 0, 90), addr4(10, 1, 0, 91), 50, "1")
	r := m.graph(s)
	if r.Hops != (Tally{1, 2}) || r.Timely != (Tally{1, 2}) || r.Causes != (Tally{1, 2}) || sum(r.HonestHop) != 1 || r.Chained != (Tally{0, 1}) {
		t.Errorf("%+v", r)
	}
	if len(r.Evidence) != 1 || r.Evidence[0].True != 3 || sum(r.Evidence[0].False) != 1 {
		t.Errorf("%+v", r.Evidence[0])
	}
	h := &heard{rule: "graph.path", stage: detectors.StageLateral, actor: a, target: d, related: []packet.Addr{a, b, d}, start: at(0), end: at(20), noticeAt: at(20), alarmAt: at(20)}
	m.found = append(m.found, h)
	if r := m.graph(s); r.Chained != (Tally{1, 1}) || r.Alarmed != (Tally{1, 1}) || r.Hosts != (Tally{3, 4}) {
		t.Errorf("%+v", r)
	}
}
