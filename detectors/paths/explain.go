package paths

import (
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/sensor/packet"
)

var (
	services = detectors.Technique{ID: "T1021", Name: "Remote Services", Tactic: "TA0008"}
	accounts = detectors.Technique{ID: "T1078", Name: "Valid Accounts", Tactic: "TA0001"}
	exploit  = detectors.Technique{ID: "T1210", Name: "Exploitation of Remote Services", Tactic: "TA0008"}
)

var rule = detectors.Rule{
	ID: "graph.path", Name: "Chain of sessions from host to host", Stage: detectors.StageLateral,
	Techniques: []detectors.Technique{services, accounts, exploit},
}

// say adds a hop to its tree and publishes the tree where it has become heavier.
func (d *Detector) say(env detectors.Env, s *session) {
	root := s.root()
	if root.tree == nil {
		d.plant(env, root)
	}
	t := root.tree
	if !slices.Contains(t.hops, s) && len(t.hops) < maxHops {
		t.hops = append(t.hops, s)
	}
	w := t.weigh(env.Graph())
	if w.nats < d.cfg.MinNats || w.raw < t.said+0.3 && len(t.hops) == t.num {
		return
	}
	// The steps themselves tell the correlation who reached whom, where the chain is no mere notice.
	for _, hop := range t.hops {
		if w.nats < stepsFrom {
			break
		}
		for _, s := range chain(hop) {
			if !s.told {
				s.told = true
				env.Signal(step(s))
			}
		}
	}
	f := t.finding(env, w)
	f.Grew = t.num > 0 && len(t.hops) > t.num
	t.said, t.num = w.raw, len(t.hops)
	env.Emit(f)
}

// plant gives a root its tree: that of the sessions which its host began within a day, else a new one. Trees of long ago
// end.
func (d *Detector) plant(env detectors.Env, root *session) {
	for len(d.trees) > 0 && (len(d.trees) >= maxTrees || env.Now().Sub(d.trees[0].roots[0].start) > treeLives) {
		for _, r := range d.trees[0].roots {
			r.tree = nil
		}
		d.trees = slices.Delete(d.trees, 0, 1)
	}
	for _, t := range d.trees {
		if first := t.roots[0]; first.from == root.from && root.start.Sub(first.start).Abs() < treeGrows && len(t.roots) < maxHops {
			t.roots, root.tree = append(t.roots, root), t
			return
		}
	}
	d.Trees++
	root.tree = &tree{roots: []*session{root}}
	d.trees = append(d.trees, root.tree)
}

// weight is what a tree amounts to, with its terms.
type weight struct {
	nats, raw float64
	best      []*session // the heaviest chain
	further   int        // hosts reached beside it
	worm      bool
	ran       bool
	cold      bool
}

func (t *tree) weigh(g *hostgraph.Graph) (w weight) {
	w.cold = g.Watched() < warmDays
	switches := false
	onward := map[hostgraph.Service]map[flows.HostNumber]bool{} // hosts that were reached and went on
	for _, s := range t.hops {
		if s.root().tree != t { // a likelier cause was found since
			continue
		}
		list := chain(s)
		if n := weigh(list); n > w.raw {
			w.raw, w.best = n, list
		}
		if s.p > sureFrom {
			if onward[s.service] == nil {
				onward[s.service] = map[flows.HostNumber]bool{}
			}
			onward[s.service][s.from] = true
			w.worm = w.worm || len(onward[s.service]) >= wormHosts
		}
		switches = switches || s.switchedUser
		w.ran = w.ran || s.op >= file
	}
	seen := map[flows.HostNumber]bool{}
	for _, r := range t.roots {
		w.ran = w.ran || r.op >= file
		seen[r.to] = true
	}
	for _, s := range w.best {
		seen[s.to] = true
	}
	for _, s := range t.hops {
		if s.p > sureFrom && s.gains == 1 && !seen[s.to] {
			seen[s.to] = true
			w.further++
		}
	}
	w.raw += perHost * float64(w.further)
	if w.worm {
		w.raw += worm
	}
	w.nats = min(w.raw, mostNats)
	if !w.ran {
		w.nats = min(w.nats, noRun)
	}
	switch {
	case w.cold && w.ran && switches || w.cold && w.worm:
		w.nats = min(w.nats, coldBoth)
	case w.cold:
		w.nats = min(w.nats, coldNats)
	}
	return w
}

// step is what a hop tells the correlation: who may act through whom, and because of what.
func step(s *session) *detectors.Finding {
	f := &detectors.Finding{
		Rule: &rule, Actor: s.fromKey, Target: s.toKey, Start: s.start, End: s.last, WindowStart: s.start,
		Message: fmt.Sprintf("%s used %s on %s%s.", s.fromKey.Addr, s.service, s.toKey.Addr, as(s.user)),
		Conns:   []flows.Conn{s.conn}, Refs: []flows.Ref{s.ref}, Techniques: []detectors.Technique{services},
	}
	if s.user != "" {
		f.Users = []string{s.user}
	}
	if parent := s.parent; parent != nil {
		before := detectors.Finding{Rule: &rule, Actor: parent.fromKey, Target: parent.toKey, WindowStart: parent.start}
		f.Causes = []detectors.Cause{{ID: before.ID(), P: s.p}}
	}
	return f
}

func as(user string) string {
	if user == "" {
		return ""
	}
	return " as " + user
}

// finding tells the tree.
func (t *tree) finding(env detectors.Env, w weight) *detectors.Finding {
	g, first := env.Graph(), t.hops[0]
	root := first.root()
	f := &detectors.Finding{
		Rule: &rule, Actor: root.fromKey, Target: first.toKey, Start: root.start, End: first.last, WindowStart: root.start, LLR: w.nats,
		Techniques: []detectors.Technique{services}, Indirect: true,
	}
	var users []string
	addUser := func(u string) {
		if u != "" && !slices.Contains(users, u) {
			users = append(users, u)
		}
	}
	for _, s := range slices.Concat([]*session{first.root()}, t.hops) {
		f.Start, f.End = min(f.Start, s.start), max(f.End, s.last)
		f.Conns, f.Refs = append(f.Conns, s.conn), append(f.Refs, s.ref)
		addUser(s.user)
		for _, k := range []packet.Addr{s.fromKey.Addr, s.toKey.Addr} {
			if !slices.Contains(f.Related, k) && len(f.Related) < 32 {
				f.Related = append(f.Related, k)
			}
		}
	}
	f.Users = users[:min(len(users), 16)]
	text := []string{root.fromKey.Addr.String()}
	for _, s := range w.best {
		text = append(text, fmt.Sprintf("to %s by %s%s at %s", s.toKey.Addr, s.service, as(s.user), clock(s.start)))
	}
	last := w.best[len(w.best)-1]
	f.Message = fmt.Sprintf("%s. The last step comes from the one before with P %s.", strings.Join(text, ", "), phrase.Number(last.p))
	if w.further > 0 {
		f.Message += fmt.Sprintf(" %s more reached on the way.", phrase.Plural(w.further, "host"))
	}
	if w.worm {
		f.Message += " Hosts that were reached go on by themselves: it spreads like a worm."
		f.Techniques = append(f.Techniques, exploit)
	}
	base := fmt.Sprintf("%d days watched", g.Watched())
	for i, s := range w.best {
		e := detectors.Evidence{
			Measure: fmt.Sprintf("step %d, %s to %s by %s", i+1, s.fromKey.Addr, s.toKey.Addr, s.service), Value: phrase.Round(max(s.p, 0)), Unit: "probability that it follows from the step before",
			Baseline: fmt.Sprintf("%s does so %s by itself; %s", s.fromKey.Addr, rateText(s), base), Threshold: "0.3", Nats: phrase.Round(s.p*s.own() + s.hop()),
		}
		if i == 0 {
			e.Value, e.Unit, e.Threshold, e.Nats = kindNats[s.op], "nats for what it does, where it is new", "", phrase.Round(s.own())
		}
		f.Evidence = append(f.Evidence, e)
		if s.switchedUser {
			f.Evidence = append(f.Evidence, detectors.Evidence{
				Measure: fmt.Sprintf("account changed on %s from %s to %s", s.fromKey.Addr, s.parent.user, s.user), Value: 1, Unit: "changes", Baseline: "never seen from there", Nats: switched,
			})
			if !slices.Contains(f.Techniques, accounts) {
				f.Techniques = append(f.Techniques, accounts)
			}
		}
	}
	if w.raw > w.nats {
		why := "nothing was seen to be run on the way"
		if w.cold {
			why = "the site is known for less than seven days"
		}
		f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "held back, since " + why, Value: phrase.Round(w.raw - w.nats), Unit: "nats", Baseline: base, Nats: phrase.Round(w.nats - w.raw)})
	}
	f.Counterfactual = fmt.Sprintf("Had %s opened its session to %s four hours after the other had ended, or on three days before, no chain would be told.", last.fromKey.Addr, last.toKey.Addr)
	f.LookAlikes = []string{
		"An administrator who goes on from one server to the next: ask one person; after some days it is routine.",
		fmt.Sprintf("Software on %s that connects by itself: then it does so without anybody's session, too. Its role: %s (%s).", last.fromKey.Addr, g.Role(last.from), g.Why(last.from)),
	}
	f.NextSteps = []string{
		fmt.Sprintf("Ask who worked at %s at %s; if nobody did, contain it and look at %s for what was run.", root.fromKey.Addr, clock(root.start), root.toKey.Addr),
		fmt.Sprintf("On %s look for the process that opened the connection to %s, and for the log-in that started it.", last.fromKey.Addr, last.toKey.Addr),
	}
	var filter []string
	for _, s := range w.best {
		filter = append(filter, fmt.Sprintf("(ip.addr == %s && ip.addr == %s)", s.fromKey.Addr, s.toKey.Addr))
	}
	f.Filter = strings.Join(filter, " || ")
	return f
}

func clock(t packet.Time) string { return t.Std().Format("15:04:05") }

// rateText says how often the step happens anyway.
func rateText(s *session) string {
	if s.isNew {
		return "not"
	}
	return "on other days"
}
