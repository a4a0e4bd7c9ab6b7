package edges

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/engine"
	"neuromast/detectors/scenario"
	"neuromast/flows/hostgraph"
)

// office is thirty workstations that use eight servers' services on each of so many days, and an administrator's host.
func office(days int) string {
	var b strings.Builder
	for i := range 30 {
		for k, port := range []int{445, 443, 88, 389, 80, 631, 25, 3128} {
			fmt.Fprintf(&b, "%dm every 24h times %d 10.0.1.%d -> 10.0.0.%d:%d open\n", i+10*k, days, i+1, 20+k, port)
		}
	}
	fmt.Fprintf(&b, "3h every 24h times %d 10.0.1.200 -> 10.0.0.20:3389 open\n", days)
	return b.String()
}

// told is what the detector says: findings, and evidence that only the correlation hears.
func told(t testing.TB, workers int, text string) (said, evidence []string, all []*detectors.Finding) {
	t.Helper()
	d := New(Default())
	e := engine.New([]detectors.Detector{d}, engine.Config{
		Internal: scenario.Internal,
		Publish:  func(f *detectors.Finding) { all = append(all, f) },
		Signal: func(s *detectors.Signal) {
			if !s.Finding {
				evidence = append(evidence, fmt.Sprintf("%s %s > %s", s.Rule, s.Actor.Addr, s.Peer.Addr))
			}
		},
	})
	if err := scenario.Feed(workers, text, e.Feed); err != nil {
		t.Fatal(err)
	}
	e.Finish()
	for _, f := range scenario.Latest(all) {
		said = append(said, fmt.Sprintf("%s %s > %s", f.Rule.ID, f.Actor.Addr, f.Target.Addr))
	}
	return said, evidence, all
}

func has(list []string, part string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, part) })
}

// TestWorkstationRunsOnWorkstation: the inversion is a finding, its novelty is evidence.
func TestWorkstationRunsOnWorkstation(t *testing.T) {
	said, evidence, all := told(t, 1, office(9)+`9d+03:00 10.0.1.5 -> 10.0.1.9 smb psexec user CORP\adm`)
	if !slices.Equal(said, []string{"graph.role_inv 10.0.1.5 > 10.0.1.9"}) || all[0].LLR != 5 {
		t.Errorf("said %v", said)
	}
	if !has(evidence, "graph.first_edge 10.0.1.5 > 10.0.1.9") || !has(evidence, "graph.peer 10.0.1.5 > 10.0.1.9") {
		t.Errorf("evidence %v", evidence)
	}
	for _, f := range all {
		if f.Counterfactual == "" || len(f.LookAlikes) == 0 || len(f.NextSteps) == 0 || len(f.Conns) == 0 || !strings.Contains(f.Message, "workstation") {
			t.Errorf("%+v", f)
		}
	}
}

// TestTwins: what an honest site does.
func TestTwins(t *testing.T) {
	for _, tt := range []struct{ what, text string }{
		{"the first days", office(3) + `2d+03:00 10.0.1.5 -> 10.0.1.9:3389 open`},
		{"an ordinary day", office(9) + `9d+10:00 10.0.1.7 -> 10.0.0.22:443 open`},
		{"what is there already", office(9) + `
			0s every 24h times 9 10.0.1.6 -> 10.0.1.8:3389 open
			9d+10:00 10.0.1.6 -> 10.0.1.8:3389 open`},
		{"attempts that fail", office(9) + `9d+10:00 every 1s times 20 10.0.1.5 -> 10.0.1.# smb wrong user adm`},
	} {
		if said, _, _ := told(t, 1, tt.text); len(said) != 0 {
			t.Errorf("%s: %v", tt.what, said)
		}
	}
}

// TestFleet: a new server that everybody comes to is one note.
func TestFleet(t *testing.T) {
	said, evidence, all := told(t, 1, office(9)+`9d+09:00 every 1m times 25 10.0.1.#+1 -> 10.0.0.99:8530 open`)
	if !slices.Equal(said, []string{"graph.fleet 10.0.0.99 > ::"}) || all[0].LLR != 0.5 {
		t.Errorf("said %v", said)
	}
	if len(evidence) > 12 {
		t.Errorf("%d pieces of evidence: %v", len(evidence), evidence)
	}
}

// TestFanout: a host that administered one server a day for three weeks comes to twelve at once.
func TestFanout(t *testing.T) {
	var b strings.Builder
	for i := range 12 { // other administrators, so that days of the role are known
		fmt.Fprintf(&b, "%dm every 24h times 21 10.0.2.%d -> 10.0.0.%d:22 open\n", i, i+1, 40+i%3)
	}
	text := office(21) + b.String() + "21d+10:00 every 1m times 12 10.0.2.3 -> 10.0.0.#+20:22 open\n"
	said, _, all := told(t, 1, text)
	if !has(said, "graph.fanout 10.0.2.3") {
		t.Fatalf("said %v", said)
	}
	for _, f := range all {
		if f.Rule.ID == "graph.fanout" && f.LLR > 0 && len(f.Related) < 3 {
			t.Errorf("%+v", f)
		}
	}
	for _, s := range said {
		if strings.HasPrefix(s, "graph.fanout") && !strings.HasPrefix(s, "graph.fanout 10.0.2.3") {
			t.Errorf("also %s", s)
		}
	}
}

// TestHandWorked: 21 days of at most one server, a role of 250 host-days of at most one: three servers are
// 0.5 (ln 22 + ln 251) = 0.5 (3.091 + 5.525) = 4.308.
func TestHandWorked(t *testing.T) {
	d := New(Default())
	h := reach{numDays: 21}
	for i := range 21 {
		h.days[i] = counts{1, 1}
	}
	for range 250 {
		d.byRole[hostgraph.Workstation].add(counts{1, 1})
		d.byRole[hostgraph.JumpHost].add(counts{1, 1})
	}
	if w := d.weigh(&h, counts{3, 3}, hostgraph.Workstation); math.Abs(w.nats-4.308) > 0.002 || w.usual != 1 || w.usually != 1 {
		t.Errorf("%+v", w)
	}
	if w := d.weigh(&h, counts{3, 3}, hostgraph.JumpHost); math.Abs(w.nats-2.154) > 0.002 {
		t.Errorf("by trade: %+v", w)
	}
	if w := d.weigh(&h, counts{2, 2}, hostgraph.Workstation); w.nats != 0 {
		t.Errorf("two servers: %+v", w)
	}
	h.days[5] = counts{3, 3} // one such day: ln(1/(1/21 + 1/22)) = 2.375
	if w := d.weigh(&h, counts{3, 3}, hostgraph.Workstation); math.Abs(w.own-2.375) > 0.002 {
		t.Errorf("with such a day: %+v", w)
	}
}

func TestSurprises(t *testing.T) {
	var s surprises
	for i := range 1000 {
		s.add(scenario.Start, float64(i)/100) // 0 to 9.99
	}
	if q := s.quantile(0.99); math.Abs(q-9.9) > 0.11 {
		t.Errorf("99 %%: %v", q)
	}
	s.add(scenario.Start+7*day, 39.95)
	if s.count() != 1001 {
		t.Error("last week is forgotten")
	}
	s.add(scenario.Start+30*day, 1)
	if s.count() != 1 {
		t.Errorf("%d kept after weeks", s.count())
	}
}

func TestInversion(t *testing.T) {
	for _, tt := range []struct {
		client, server hostgraph.Role
		runs           bool
		want           float64
	}{
		{hostgraph.Workstation, hostgraph.Workstation, true, 5}, {hostgraph.Workstation, hostgraph.Workstation, false, 2},
		{hostgraph.Workstation, hostgraph.FileServer, true, 0}, {hostgraph.Administrator, hostgraph.Workstation, true, 0},
		{hostgraph.WebServer, hostgraph.Workstation, true, 3}, {hostgraph.WebServer, hostgraph.DatabaseServer, false, 2},
		{hostgraph.WebServer, hostgraph.WebServer, true, 0}, {hostgraph.DomainController, hostgraph.FileServer, true, 4},
		{hostgraph.DomainController, hostgraph.DomainController, true, 0}, {hostgraph.PrintServer, hostgraph.Workstation, false, 4},
		{hostgraph.Backup, hostgraph.FileServer, true, 0}, {hostgraph.Deployment, hostgraph.Workstation, true, 0},
	} {
		if got, _ := inversion(tt.client, tt.server, tt.runs); got != tt.want {
			t.Errorf("%v to %v, runs %v: %v, want %v", tt.client, tt.server, tt.runs, got, tt.want)
		}
	}
}

func TestWorkersDontMatter(t *testing.T) {
	text := office(9) + `9d+03:00 10.0.1.5 -> 10.0.1.9 smb psexec user CORP\adm`
	want, wantE, _ := told(t, 1, text)
	for _, n := range []int{2, 8} {
		if got, gotE, _ := told(t, n, text); !slices.Equal(got, want) || !slices.Equal(gotE, wantE) {
			t.Errorf("%d workers: %v %v, want %v %v", n, got, gotE, want, wantE)
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := (Config{}).Validate()
	for _, key := range []string{"min_nats", "fleet", "max_hosts"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
