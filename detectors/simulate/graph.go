package simulate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/sensor/packet"
)

// said is a signal to the correlation, as it was last said.
type said struct {
	id, rule    string
	stage       detectors.Stage
	actor, peer packet.Addr
	llr         float64
	start, at   packet.Time
	evidence    bool // no finding shows it
	causes      []detectors.Cause
}

// signal takes a signal.
func (m *meter) signal(s *detectors.Signal) {
	x := m.signals[s.ID]
	if x == nil {
		x = &said{id: s.ID, rule: s.Rule, stage: s.Stage, actor: s.Actor.Addr, peer: s.Peer.Addr, start: cmp.Or(s.Start, s.At), evidence: true}
		m.signals[s.ID] = x
		m.order = append(m.order, x)
	}
	x.llr, x.at, x.start, x.causes = max(x.llr, s.LLR), s.At, min(x.start, cmp.Or(s.Start, s.At)), slices.Clone(s.Causes)
	x.evidence = x.evidence && !s.Finding
}

// edge is a pair of hosts in an hour.
type edge struct {
	actor, target packet.Addr
	hour          int64
}

func hourOf(t packet.Time) int64 { return int64(t) / int64(time.Hour) }

// EvidenceResult is what a rule told the correlation without a finding.
type EvidenceResult struct {
	ID     string
	False  []int // by day after Learn
	True   int   // about steps of intrusions
	Nats   float64
	Causes map[string]int
}

// GraphResult is what was measured of edges between hosts and of chains of them.
type GraphResult struct {
	Evidence []*EvidenceResult
	// Scores of edges: all that was said of a pair of hosts in an hour, the heaviest of each rule, in nats; [1] by graph rules alone.
	Honest  [2][]float64 // those above 0
	Lateral [2][]float64 // of each step from host to host, 0 too
	// Chains.
	Hops      Tally // steps that follow another: told with the right cause
	Timely    Tally // of them, those that follow within four hours of it
	Causes    Tally // causes named for steps from hosts in intruders' hands: the right ones
	Chained   Tally // intrusions of two hops or more that follow one another: told by a notice or alarm of graph.path
	Alarmed   Tally // by an alarm
	Hosts     Tally // hosts of these chains: named in a finding
	Switches  Tally // such intrusions in which an account that shows changed on the way: told as such
	Jumps     Tally // honest steps from a jump host that were told with a cause: the administrator who was it
	JumpHops  Tally // intruders' steps from a jump host: told with the right cause
	Worms     Tally // told as such
	Relays    Tally
	HonestHop []int // honest steps told with a cause, by day after Learn
}

// leads is the step that brought an intruder to the host from which it makes another; nil: the foothold.
func (i *Intrusion) leads(s *Step) (by *Step) {
	for k := range i.Steps {
		p := &i.Steps[k]
		if p != s && p.Stage == detectors.StageLateral && len(p.To) > 0 && p.To[0] == s.From && p.Start < s.Start && (by == nil || p.Start > by.Start) {
			by = p
		}
	}
	return by
}

// jumped is an honest session through a jump host.
type jumped struct {
	admin, jump, server packet.Addr
	at                  packet.Time
}

// graph holds signals against the truth.
func (m *meter) graph(s *site) *GraphResult {
	r := &GraphResult{HonestHop: make([]int, m.cfg.Days-m.cfg.Learn)}
	learnt := Start.Add(time.Duration(m.cfg.Learn) * 24 * time.Hour)
	day := func(t packet.Time) int { return min(int(t.Sub(learnt)/(24*time.Hour)), len(r.HonestHop)-1) }
	var steps []*Step
	for _, i := range s.plan {
		for k := range i.Steps {
			if i.Steps[k].Start < s.end {
				steps = append(steps, &i.Steps[k])
			}
		}
	}
	near := func(h *heard) bool {
		return slices.ContainsFunc(s.plan, func(i *Intrusion) bool { return len(i.Steps) > 0 && h.near(i) })
	}
	scores := [2]map[edge]map[string]float64{{}, {}}
	evidence := map[string]*EvidenceResult{}
	for _, x := range m.order {
		h := &heard{rule: x.rule, stage: x.stage, actor: x.actor, target: x.peer, start: x.start, end: x.at}
		if internal(x.peer) && x.llr > 0 {
			for i := range scores {
				if i == 1 && !strings.HasPrefix(x.rule, "graph.") {
					continue
				}
				for _, e := range []edge{{x.actor, x.peer, hourOf(x.start)}, {x.actor, x.peer, hourOf(x.at)}} {
					if scores[i][e] == nil {
						scores[i][e] = map[string]float64{}
					}
					scores[i][e][x.rule] = max(scores[i][e][x.rule], x.llr)
				}
			}
		}
		if !x.evidence {
			continue
		}
		e := evidence[x.rule]
		if e == nil {
			e = &EvidenceResult{ID: x.rule, False: make([]int, len(r.HonestHop)), Causes: map[string]int{}}
			evidence[x.rule] = e
		}
		switch {
		case slices.ContainsFunc(steps, h.belongs):
			e.True++
		case near(h) || x.start < learnt:
		default:
			e.False[day(x.start)]++
			e.Nats += x.llr
			e.Causes[s.why(x.actor, x.start)]++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(evidence)) {
		r.Evidence = append(r.Evidence, evidence[id])
	}
	m.score(s, r, scores, near)
	m.chains(s, r, day)
	return r
}

// score enters what edges weigh.
func (m *meter) score(s *site, r *GraphResult, scores [2]map[edge]map[string]float64, near func(*heard) bool) {
	total := func(i int, e edge) (sum float64) {
		for _, rule := range slices.Sorted(maps.Keys(scores[i][e])) {
			sum += scores[i][e][rule]
		}
		return sum
	}
	made := map[edge]bool{}
	for _, i := range s.plan {
		for _, st := range i.Steps {
			for _, to := range st.To {
				for h := hourOf(st.Start); h <= hourOf(st.End.Add(slack)); h++ {
					made[edge{st.From, to, h}] = true
				}
			}
			if st.Stage != detectors.StageLateral || st.Start >= s.end || len(st.To) == 0 {
				continue
			}
			for n := range r.Lateral {
				best := 0.0
				for h := hourOf(st.Start); h <= hourOf(st.End.Add(slack)); h++ {
					best = max(best, total(n, edge{st.From, st.To[0], h}))
				}
				r.Lateral[n] = append(r.Lateral[n], best)
			}
		}
	}
	for n := range r.Honest {
		for e := range m.seen {
			if made[e] || len(scores[n][e]) == 0 {
				continue
			}
			at := packet.Time(e.hour * int64(time.Hour))
			if near(&heard{actor: e.actor, start: at, end: at.Add(time.Hour)}) {
				continue
			}
			if x := total(n, e); x > 0 {
				r.Honest[n] = append(r.Honest[n], x)
			}
		}
		slices.Sort(r.Honest[n])
	}
}

// chains holds what was said of causes against what led to what.
func (m *meter) chains(s *site, r *GraphResult, day func(packet.Time) int) {
	type hop struct {
		in   *Intrusion
		at   *Step
		by   *Step
		told bool
	}
	var hops []*hop
	for _, i := range s.plan {
		for k := range i.Steps {
			if st := &i.Steps[k]; st.Stage == detectors.StageLateral && st.Start < s.end {
				hops = append(hops, &hop{in: i, at: st, by: i.leads(st)})
			}
		}
	}
	for _, x := range m.order {
		if x.rule != "graph.path" || !x.evidence || len(x.causes) == 0 {
			continue
		}
		cause := m.signals[x.causes[0].ID]
		if cause == nil {
			continue
		}
		h := &heard{rule: x.rule, stage: x.stage, actor: x.actor, target: x.peer, start: x.start, end: x.start}
		placed := false
		for _, p := range hops {
			if !h.belongs(p.at) {
				continue
			}
			placed = true
			right := p.by != nil && cause.actor == p.by.From && cause.peer == p.at.From
			r.Causes.add(right)
			p.told = p.told || right
			break
		}
		if placed || slices.ContainsFunc(s.plan, func(i *Intrusion) bool { return len(i.Steps) > 0 && h.near(i) }) {
			continue
		}
		if x.start.Sub(Start) >= time.Duration(m.cfg.Learn)*24*time.Hour {
			r.HonestHop[day(x.start)]++
		}
		for _, j := range s.jumps {
			if j.jump == x.actor && j.server == x.peer && x.start.Sub(j.at).Abs() < time.Minute {
				r.Jumps.add(cause.actor == j.admin)
				break
			}
		}
	}
	for _, p := range hops {
		if p.by == nil {
			continue
		}
		r.Hops.add(p.told)
		if p.at.Start.Sub(p.by.End) < 4*time.Hour {
			r.Timely.add(p.told)
		}
		if h := s.byAddr[p.at.From]; h != nil && h.role == jump {
			r.JumpHops.add(p.told)
		}
	}
	for _, i := range s.plan {
		var chain []packet.Addr
		follows, changed := 0, false
		worm := false
		for _, p := range hops {
			if p.in != i {
				continue
			}
			worm = worm || p.at.Technique == wormSpreads
			if p.by == nil {
				continue
			}
			follows++
			changed = changed || p.by.User != "" && p.at.User != "" && p.at.User != p.by.User
			for _, a := range []packet.Addr{p.by.From, p.at.From, p.at.To[0]} {
				if !slices.Contains(chain, a) {
					chain = append(chain, a)
				}
			}
		}
		if follows == 0 {
			continue
		}
		notice, alarm, switched, wormed := false, false, false, false
		named := map[packet.Addr]bool{}
		for _, h := range m.found {
			if h.rule != "graph.path" || h.noticeAt == 0 || h.start > i.End().Add(slack) || h.end < i.Start() {
				continue
			}
			about := slices.ContainsFunc(hops, func(p *hop) bool {
				return p.in == i && p.by != nil && slices.Contains(h.related, p.by.From) && slices.Contains(h.related, p.at.From) && slices.Contains(h.related, p.at.To[0])
			})
			if !about {
				continue
			}
			notice, alarm, switched, wormed = true, alarm || h.alarmAt != 0, switched || h.switched, wormed || h.worm
			for _, a := range h.related {
				named[a] = true
			}
		}
		r.Chained.add(notice)
		r.Alarmed.add(alarm)
		for _, a := range chain {
			r.Hosts.add(named[a])
		}
		if changed {
			r.Switches.add(switched)
		}
		if worm {
			r.Worms.add(wormed)
		}
	}
	for _, i := range s.plan {
		for _, st := range i.Steps {
			if st.Technique == internalProxy && st.Start < s.end {
				r.Relays.add(slices.ContainsFunc(m.found, func(h *heard) bool {
					return h.rule == "graph.relay" && h.noticeAt != 0 && h.target == st.From && h.belongs(&st)
				}))
			}
		}
	}
}

// add puts another play's result to this one.
func (r *GraphResult) add(o *GraphResult, days, otherDays int) {
	for _, x := range o.Evidence {
		i := slices.IndexFunc(r.Evidence, func(y *EvidenceResult) bool { return y.ID == x.ID })
		if i < 0 {
			r.Evidence = append(r.Evidence, &EvidenceResult{ID: x.ID, Causes: map[string]int{}})
			i = len(r.Evidence) - 1
		}
		y := r.Evidence[i]
		y.False = append(pad(y.False, days), pad(x.False, otherDays)...)
		y.True += x.True
		y.Nats += x.Nats
		for k, n := range x.Causes {
			y.Causes[k] += n
		}
	}
	slices.SortFunc(r.Evidence, func(a, b *EvidenceResult) int { return cmp.Compare(a.ID, b.ID) })
	for n := range r.Honest {
		r.Honest[n] = append(r.Honest[n], o.Honest[n]...)
		slices.Sort(r.Honest[n])
		r.Lateral[n] = append(r.Lateral[n], o.Lateral[n]...)
	}
	r.HonestHop = append(r.HonestHop, o.HonestHop...)
	for _, p := range [][2]*Tally{
		{&r.Hops, &o.Hops}, {&r.Timely, &o.Timely}, {&r.Causes, &o.Causes}, {&r.Chained, &o.Chained}, {&r.Alarmed, &o.Alarmed}, {&r.Hosts, &o.Hosts},
		{&r.Switches, &o.Switches}, {&r.Jumps, &o.Jumps}, {&r.JumpHops, &o.JumpHops}, {&r.Worms, &o.Worms}, {&r.Relays, &o.Relays},
	} {
		p[0].Hits += p[1].Hits
		p[0].Of += p[1].Of
	}
}

// EdgesAt is the share of steps from host to host that weigh more than all but a share of honest edges do, that weight, and
// which share of honest edges weighs as much in truth.
func (r *GraphResult) EdgesAt(share float64, edges uint64, n int) (found Tally, from, honest float64) {
	list := r.Honest[n]
	if allowed := int(share * float64(edges)); allowed < len(list) {
		from = list[len(list)-1-allowed]
	}
	above, _ := slices.BinarySearchFunc(list, from, func(x, from float64) int { return cmp.Or(cmp.Compare(x, from), -1) })
	honest = float64(len(list)-above) / float64(edges)
	for _, x := range r.Lateral[n] {
		found.add(x > from)
	}
	return found, from, honest
}

// lanlFalse is the share of honest edges that EULER names on LANL 2015.
const lanlFalse = 0.00572

// write writes what was measured of edges and chains.
func (r *GraphResult) write(b *strings.Builder, all *Result) {
	fmt.Fprintf(b, "An edge is a pair of hosts with a log-on or session in an hour. It weighs what all rules say of it, the heaviest of each. The bar is the\nlowest that keeps to the share of honest edges, chosen on the same plays. Rules graph.* were tuned on seeds 11, 21, 31 and 41.\n\n")
	fmt.Fprintf(b, "| measure | value |\n|---|---|\n")
	for n, by := range []string{"all rules", "the graph's rules alone"} {
		for _, at := range []float64{lanlFalse, 0.001} {
			found, from, honest := r.EdgesAt(at, max(all.Edges, 1), n)
			fmt.Fprintf(b, "| steps from host to host found where at most %.3g %% of honest edges are, by %s | %s, above %.1f nats: %.3f %% |\n", 100*at, by, share(found), from, 100*honest)
		}
	}
	path := all.rule("graph.path")
	fmt.Fprintf(b, "| intrusions of two hops or more that graph.path tells, by a notice; by an alarm | %s; %s |\n", share(r.Chained), share(r.Alarmed))
	rate, low, high := all.Rate(path.FalseAlarms)
	fmt.Fprintf(b, "| its false alarms a day and thousand hosts; notices | %.2f [%.2f, %.2f]; %s |\n", rate, low, high, all.interval(path.FalseNotices))
	fmt.Fprintf(b, "| hosts of these chains that a finding of it names | %s |\n", share(r.Hosts))
	fmt.Fprintf(b, "| steps that follow another, told with the step that led to them | %s |\n| of them, those made within four hours | %s |\n", share(r.Hops), share(r.Timely))
	fmt.Fprintf(b, "| causes named for intruders' steps that are right | %s |\n", share(r.Causes))
	fmt.Fprintf(b, "| intruders' steps from a jump host with the right cause | %s |\n", share(r.JumpHops))
	fmt.Fprintf(b, "| honest steps from a jump host that are told: with the right administrator | %s |\n", share(r.Jumps))
	fmt.Fprintf(b, "| honest steps told with a cause, a day and thousand hosts | %s |\n", all.interval(r.HonestHop))
	fmt.Fprintf(b, "| intrusions in which an account that shows changed on the way: told so | %s |\n", share(r.Switches))
	fmt.Fprintf(b, "| worms told as such | %s |\n| internal proxies told | %s |\n", share(r.Worms), share(r.Relays))
	fmt.Fprintf(b, "\n## Evidence for the correlation\n\nSignals without a finding, a day and thousand hosts of honest work after the days of learning, and what it was.\n\n")
	fmt.Fprintf(b, "| rule | honest | mean nats | of intrusions | honest work |\n|---|---|---|---|---|\n")
	for _, x := range r.Evidence {
		mean := 0.0
		if n := sum(x.False); n > 0 {
			mean = x.Nats / float64(n)
		}
		fmt.Fprintf(b, "| %s | %s | %.2f | %d | %s |\n", x.ID, all.interval(x.False), mean, x.True, strings.Trim(who(most(x.Causes, 6)), " ()"))
	}
}

// most keeps the most frequent.
func most(causes map[string]int, n int) map[string]int {
	keys := slices.SortedFunc(maps.Keys(causes), func(a, b string) int { return cmp.Or(-cmp.Compare(causes[a], causes[b]), cmp.Compare(a, b)) })
	out := map[string]int{}
	for _, k := range keys[:min(n, len(keys))] {
		out[k] = causes[k]
	}
	return out
}
