package simulate

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/engine"
	"neuromast/detectors/incident"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// The levels of a finding, by its risk: what a person is called for, and what is only written down.
const (
	NoticeRisk = 21.0
	AlarmRisk  = 47.0
)

// heard is a finding over all its revisions.
type heard struct {
	rule     string
	stage    detectors.Stage
	message  string
	actor    packet.Addr
	target   packet.Addr
	related  []packet.Addr
	start    packet.Time // of what it tells
	end      packet.Time // when it was last said
	noticeAt packet.Time // when its risk first reached a notice's, 0: never
	alarmAt  packet.Time
	switched bool // it tells that the account changed
	worm     bool
}

// told is an incident over all its records.
type told struct {
	*incident.Incident               // as it was last said
	first              packet.Time   // when it was first said
	began              []packet.Addr // the hosts that acted then
	risk               float64       // the highest
}

// acting lists the hosts that act in an incident.
func acting(i *incident.Incident) (out []packet.Addr) {
	for _, h := range i.Hosts {
		if h.Role == incident.FirstSeen || h.Role == incident.Pivot || h.Role == incident.Actor {
			out = append(out, h.Key.Addr)
		}
	}
	return out
}

// meter listens to what comes out of the engine and counts what goes in.
type meter struct {
	cfg       Config
	byID      map[string]*heard
	found     []*heard
	incidents map[string]*told
	kinds     [flows.KindSQL + 1]uint64
	items     uint64
	seen      map[edge]struct{} // pairs of hosts with a log-on or a session between them, each hour anew
	signals   map[string]*said
	order     []*said
}

func newMeter(cfg Config) *meter {
	return &meter{cfg: cfg, byID: map[string]*heard{}, incidents: map[string]*told{}, seen: map[edge]struct{}{}, signals: map[string]*said{}}
}

// finding takes a record of a finding.
func (m *meter) finding(f *detectors.Finding) {
	id := f.ID()
	h := m.byID[id]
	if h == nil {
		h = &heard{rule: f.Rule.ID, stage: f.Rule.Stage, actor: f.Actor.Addr, target: f.Target.Addr, start: cmp.Or(f.Start, f.At)}
		m.byID[id] = h
		m.found = append(m.found, h)
	}
	for _, t := range f.Techniques {
		h.switched, h.worm = h.switched || t.ID == "T1078", h.worm || t.ID == "T1210"
	}
	h.start, h.related = min(h.start, cmp.Or(f.Start, f.At)), f.Related
	if f.State != detectors.StateClose || h.end == 0 { // a close says nothing new
		h.end = f.At
	}
	risk := detectors.Risk(f.LLR)
	if risk >= NoticeRisk && h.noticeAt == 0 {
		h.noticeAt = f.At
		h.message = f.Message
	}
	if risk >= AlarmRisk && h.alarmAt == 0 {
		h.alarmAt = f.At
		h.message = f.Message
	}
}

// incident takes a record of an incident. One that became a part of another is no more.
func (m *meter) incident(i *incident.Incident) {
	if i.SupersededBy != "" {
		delete(m.incidents, i.ID)
		return
	}
	t := m.incidents[i.ID]
	if t == nil {
		t = &told{first: i.At, began: acting(i)}
		m.incidents[i.ID] = t
	}
	t.Incident, t.risk = i, max(t.risk, i.Risk())
}

// count looks at what goes in.
func (m *meter) count(b *flows.Batch) {
	for i := range b.Order {
		it := &b.Order[i]
		m.items++
		m.kinds[it.Kind]++
		var c *flows.Conn
		switch it.Kind {
		case flows.KindAuth:
			c = &b.Auth[it.Index].Conn
		case flows.KindRDP:
			c = &b.RDP[it.Index].Conn
		case flows.KindSSH:
			c = &b.SSH[it.Index].Conn
		case flows.KindSQL:
			c = &b.SQL[it.Index].Conn
		default:
			continue
		}
		if it.At.Sub(Start) < time.Duration(m.cfg.Learn)*24*time.Hour {
			continue // rates are of the days after
		}
		m.seen[edge{c.Orig, c.Resp, hourOf(it.At)}] = struct{}{}
	}
}

// slack is how long after a step what is said of its actor still belongs to it: windows of an hour close then.
const slack = time.Hour

// belongs says whether a finding is about a step: its actor acted then, and the hosts that it names are those that were reached.
func (h *heard) belongs(s *Step) bool {
	if h.start > s.End.Add(slack) || h.end < s.Start.Add(-time.Minute) {
		return false
	}
	reached := func(a packet.Addr) bool { return slices.Contains(s.To, a) }
	if h.rule == "graph.path" && len(h.related) > 0 { // a tree: it names both ends of each of its steps
		return slices.Contains(h.related, s.From) && slices.ContainsFunc(h.related, reached)
	}
	if h.rule == "graph.relay" { // of the host that passes on, whoever uses it
		return h.target == s.From && h.start <= s.End.Add(5*time.Minute)
	}
	if h.actor == s.From {
		if h.target != (packet.Addr{}) && internal(h.target) {
			return reached(h.target)
		}
		if len(h.related) > 0 {
			return slices.ContainsFunc(h.related, reached)
		}
		return h.start <= s.End.Add(5*time.Minute)
	}
	return h.target == s.From && reached(h.actor) // the victim, made to act
}

// tells says whether a finding that belongs to a step is what finds it: it began with the step, and it speaks of the same kind
// of doing.
func (h *heard) tells(s *Step) bool {
	return h.belongs(s) && h.start <= s.End.Add(5*time.Minute) && kindOf(h.stage) == kindOf(s.Stage)
}

// kindOf tells apart looking around, talking to outside, and acting on other hosts and accounts: rules differ on which stage an act
// of one kind serves, not on the kind.
func kindOf(s detectors.Stage) int {
	switch s {
	case detectors.StageDiscovery:
		return 0
	case detectors.StageC2, detectors.StageCollection, detectors.StageExfiltration:
		return 1
	}
	return 2
}

// near says whether a finding's actor was in an intruder's hands then, or in the day before that windows of a day still
// hold, even if no step tells of it.
func (h *heard) near(i *Intrusion) bool {
	return h.start <= i.End().Add(24*time.Hour) && h.end >= i.Start() && slices.ContainsFunc(i.Steps, func(s Step) bool { return s.From == h.actor })
}

// Tally is successes of trials.
type Tally struct{ Hits, Of int }

// add enters one trial.
func (t *Tally) add(hit bool) {
	t.Of++
	if hit {
		t.Hits++
	}
}

// Rate is the share and its 95 % interval (Wilson 1927).
func (t Tally) Rate() (rate, low, high float64) {
	if t.Of == 0 {
		return math.NaN(), 0, 1
	}
	const z = 1.96
	n, p := float64(t.Of), float64(t.Hits)/float64(t.Of)
	mid := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return p, max(0, mid-half), min(1, mid+half)
}

// RuleResult is what a rule said of honest work, by day, and of intrusions.
type RuleResult struct {
	ID                        string
	FalseAlarms, FalseNotices []int // by day of play after Learn
	EarlyAlarms, EarlyNotices int   // in the days before
	TrueAlarms, TrueNotices   int
	Example                   string            // a message of a false alarm after Learn, else of a false notice
	Causes                    [2]map[string]int // what honest work set it off: false notices, false alarms
}

// TechniqueResult is how often a technique was found.
type TechniqueResult struct {
	Name, ATTACK  string
	Stage         detectors.Stage
	Alarm, Notice Tally         // Notice: noticed or better
	Edge          Tally         // found with actor and target named
	Delay         time.Duration // median from the step's start to the alarm, of those alarmed
	delays        []time.Duration
	Rules         map[string]int // that raised the alarm or notice
}

// IntrusionResult is what was found of one intrusion.
type IntrusionResult struct {
	Steps, Alarmed, Noticed int
	Hops                    int
	Stages                  int           // different ones that an alarm told of
	Found                   bool          // by an alarm at least
	Delay                   time.Duration // from the first step to the first alarm
	Incidents               int           // that tell of it
	Swallowed               bool          // an older incident has hosts of it
	Risk                    float64       // of the highest of them
	IncidentDelay           time.Duration // from the first step to the first of them
	Hosts                   Tally         // hosts that acted: of all, those in the incident that has most of them
}

// Result is what one or more plays measured.
type Result struct {
	Plays          []Config
	Rules          []*RuleResult
	Techniques     []*TechniqueResult
	Intrusions     []IntrusionResult
	Items          uint64
	Days           int     // after Learn
	HostDays       float64 // of them
	EarlyDays      float64 // host days before
	Edges          uint64  // pairs of hosts and hour with a log-on or session between them, all honest but a few
	FalseEdges     [2]uint64
	Unplaced       int   // findings about an intruder's host that no step explains: neither false nor true
	FalseIncidents []int // by day after Learn
	FalseHigh      []int // of them, those of risk 73 and more
	EarlyIncidents int   // in the days of learning
	TrueIncidents  int
	Strangers      Tally  // of the acting hosts in true incidents, those that no intruder held
	Moves          Tally  // of the moves from host to host in true incidents, those that an intruder made
	Example        string // a false incident's message
	Graph          *GraphResult
	Engine         engine.Stats
}

// rule returns the result of a rule.
func (r *Result) rule(id string) *RuleResult {
	for _, x := range r.Rules {
		if x.ID == id {
			return x
		}
	}
	r.Rules = append(r.Rules, &RuleResult{ID: id})
	return r.Rules[len(r.Rules)-1]
}

func (r *Result) technique(s *Step) *TechniqueResult {
	for _, x := range r.Techniques {
		if x.Name == s.Technique {
			return x
		}
	}
	r.Techniques = append(r.Techniques, &TechniqueResult{Name: s.Technique, ATTACK: s.ATTACK, Stage: s.Stage, Rules: map[string]int{}})
	return r.Techniques[len(r.Techniques)-1]
}

// result holds what was heard against the truth.
func (m *meter) result(s *site, stats engine.Stats) *Result {
	r := &Result{
		Plays: []Config{m.cfg}, Items: m.items, Days: m.cfg.Days - m.cfg.Learn, HostDays: float64(m.cfg.Hosts * (m.cfg.Days - m.cfg.Learn)),
		EarlyDays: float64(m.cfg.Hosts * m.cfg.Learn), Edges: uint64(len(m.seen)), Engine: stats,
	}
	type step struct {
		in    int
		at    *Step
		found []*heard
	}
	var steps []*step
	for n, i := range s.plan {
		for k := range i.Steps {
			if i.Steps[k].Start < s.end {
				steps = append(steps, &step{in: n, at: &i.Steps[k]})
			}
		}
	}
	wrong := [2]map[edge]bool{{}, {}}
	for _, h := range m.found {
		if h.noticeAt == 0 {
			continue
		}
		x := r.rule(h.rule)
		placed := false
		for _, st := range steps {
			placed = placed || h.belongs(st.at)
			if h.tells(st.at) {
				st.found = append(st.found, h)
			}
		}
		if placed {
			if h.alarmAt != 0 {
				x.TrueAlarms++
			} else {
				x.TrueNotices++
			}
			continue
		}
		if slices.ContainsFunc(s.plan, func(i *Intrusion) bool { return len(i.Steps) > 0 && h.near(i) }) {
			r.Unplaced++
			continue
		}
		day := min(int(h.noticeAt.Sub(Start)/(24*time.Hour)), m.cfg.Days-1) - m.cfg.Learn
		switch {
		case day < 0 && h.alarmAt != 0:
			x.EarlyAlarms++
			continue
		case day < 0:
			x.EarlyNotices++
			continue
		case x.FalseAlarms == nil:
			x.FalseAlarms, x.FalseNotices, x.Causes = make([]int, r.Days), make([]int, r.Days), [2]map[string]int{{}, {}}
		}
		list := x.FalseNotices
		if h.alarmAt != 0 {
			list = x.FalseAlarms
			if sum(x.FalseAlarms) == 0 {
				x.Example = h.message
			}
			x.Causes[1][s.why(h.actor, h.alarmAt)]++
		} else if x.Example == "" {
			x.Example = h.message
		}
		list[day]++
		if h.alarmAt == 0 {
			x.Causes[0][s.why(h.actor, h.noticeAt)]++
		}
		if internal(h.target) {
			e := edge{h.actor, h.target, hourOf(h.noticeAt)}
			wrong[0][e] = true
			if h.alarmAt != 0 {
				wrong[1][e] = true
			}
		}
	}
	var stories []*told
	for _, id := range slices.Sorted(maps.Keys(m.incidents)) {
		stories = append(stories, m.incidents[id])
	}
	r.FalseEdges = [2]uint64{uint64(len(wrong[0])), uint64(len(wrong[1]))}
	for n, i := range s.plan {
		if len(i.Steps) == 0 {
			continue
		}
		out := IntrusionResult{Hops: i.Hops}
		first := packet.Time(0)
		stages := map[detectors.Stage]bool{}
		for _, st := range steps {
			if st.in != n {
				continue
			}
			out.Steps++
			t := r.technique(st.at)
			alarm, named := packet.Time(0), false
			for _, h := range st.found {
				t.Rules[h.rule]++
				named = named || (h.actor == st.at.From || h.rule == "graph.path") && (slices.Contains(st.at.To, h.target) || slices.ContainsFunc(h.related, func(a packet.Addr) bool { return slices.Contains(st.at.To, a) }))
				if h.alarmAt != 0 && (alarm == 0 || h.alarmAt < alarm) {
					alarm = h.alarmAt
				}
			}
			t.Alarm.add(alarm != 0)
			t.Notice.add(len(st.found) > 0)
			t.Edge.add(named)
			if alarm != 0 {
				out.Alarmed++
				stages[st.at.Stage] = true
				t.delays = append(t.delays, max(0, alarm.Sub(st.at.Start)))
				if first == 0 || alarm < first {
					first = alarm
				}
			}
			if len(st.found) > 0 {
				out.Noticed++
			}
		}
		if out.Steps == 0 {
			continue
		}
		out.Stages = len(stages)
		if first != 0 {
			out.Found, out.Delay = true, max(0, first.Sub(i.Start()))
		}
		held := i.held()
		out.Hosts.Of = len(held)
		for _, x := range stories {
			n := 0
			for _, a := range acting(x.Incident) {
				if held[a] {
					n++
				}
			}
			if n == 0 || x.End < i.Start() {
				continue
			}
			if !x.about(i) {
				out.Swallowed = out.Swallowed || x.first < i.Start()
				continue
			}
			if delay := max(0, x.first.Sub(i.Start())); out.Incidents == 0 || delay < out.IncidentDelay {
				out.IncidentDelay = delay
			}
			out.Incidents++
			out.Risk = max(out.Risk, x.risk)
			out.Hosts.Hits = max(out.Hosts.Hits, n)
		}
		r.Intrusions = append(r.Intrusions, out)
	}
	r.judge(s, stories)
	r.Graph = m.graph(s)
	r.finish()
	return r
}

// held lists the hosts that an intruder acted from.
func (i *Intrusion) held() map[packet.Addr]bool {
	out := map[packet.Addr]bool{}
	for _, s := range i.Steps {
		out[s.From] = true
	}
	return out
}

// about says whether an incident was opened in an intrusion's time, or the day after. One that was there before may have
// swallowed the intrusion: that helps nobody.
func (t *told) about(i *Intrusion) bool {
	return len(i.Steps) > 0 && t.first <= i.End().Add(24*time.Hour) && t.first >= i.Start()
}

// judge tells true incidents from false ones: true is one in which, when it was opened, a host acted that an intruder held then.
func (r *Result) judge(s *site, stories []*told) {
	r.FalseIncidents, r.FalseHigh = make([]int, r.Days), make([]int, r.Days)
	for _, x := range stories {
		hosts := map[packet.Addr]bool{}
		made := map[[2]packet.Addr]bool{}
		for _, i := range s.plan {
			if !x.about(i) {
				continue
			}
			for a := range i.held() {
				hosts[a] = true
			}
			for _, st := range i.Steps {
				for _, to := range st.To {
					made[[2]packet.Addr{st.From, to}] = true
				}
			}
		}
		if slices.ContainsFunc(x.began, func(a packet.Addr) bool { return hosts[a] }) {
			r.TrueIncidents++
			for _, a := range acting(x.Incident) {
				r.Strangers.add(!hosts[a])
			}
			for _, m := range x.Moves {
				r.Moves.add(made[[2]packet.Addr{m.From.Addr, m.To.Addr}])
			}
			continue
		}
		day := int(x.first.Sub(Start)/(24*time.Hour)) - r.Plays[0].Learn
		if day < 0 {
			r.EarlyIncidents++
			continue
		}
		day = min(day, r.Days-1)
		r.FalseIncidents[day]++
		if x.risk >= 73 {
			r.FalseHigh[day]++
		}
		r.Example = cmp.Or(r.Example, x.Message)
	}
}

// finish sorts and takes medians.
func (r *Result) finish() {
	slices.SortFunc(r.Rules, func(a, b *RuleResult) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(r.Techniques, func(a, b *TechniqueResult) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Name, b.Name))
	})
	for _, t := range r.Techniques {
		slices.Sort(t.delays)
		if n := len(t.delays); n > 0 {
			t.Delay = t.delays[n/2]
		}
	}
}

// Add puts another play's result to this one.
func (r *Result) Add(o *Result) {
	for _, x := range o.Rules {
		y := r.rule(x.ID)
		y.FalseAlarms = append(pad(y.FalseAlarms, r.Days), pad(x.FalseAlarms, o.Days)...)
		y.FalseNotices = append(pad(y.FalseNotices, r.Days), pad(x.FalseNotices, o.Days)...)
		y.EarlyAlarms += x.EarlyAlarms
		y.EarlyNotices += x.EarlyNotices
		y.TrueAlarms += x.TrueAlarms
		y.TrueNotices += x.TrueNotices
		y.Example = cmp.Or(y.Example, x.Example)
		for i, who := range x.Causes {
			for k, n := range who {
				if y.Causes[i] == nil {
					y.Causes[i] = map[string]int{}
				}
				y.Causes[i][k] += n
			}
		}
	}
	for _, x := range o.Techniques {
		y := r.technique(&Step{Technique: x.Name, ATTACK: x.ATTACK, Stage: x.Stage})
		for _, p := range [][2]*Tally{{&y.Alarm, &x.Alarm}, {&y.Notice, &x.Notice}, {&y.Edge, &x.Edge}} {
			p[0].Hits += p[1].Hits
			p[0].Of += p[1].Of
		}
		y.delays = append(y.delays, x.delays...)
		for k, n := range x.Rules {
			y.Rules[k] += n
		}
	}
	r.Graph.add(o.Graph, r.Days, o.Days)
	r.Plays = append(r.Plays, o.Plays...)
	r.Intrusions = append(r.Intrusions, o.Intrusions...)
	r.Items += o.Items
	r.Days += o.Days
	r.HostDays += o.HostDays
	r.EarlyDays += o.EarlyDays
	r.Edges += o.Edges
	r.FalseEdges[0] += o.FalseEdges[0]
	r.FalseEdges[1] += o.FalseEdges[1]
	r.Unplaced += o.Unplaced
	r.FalseIncidents = append(r.FalseIncidents, o.FalseIncidents...)
	r.FalseHigh = append(r.FalseHigh, o.FalseHigh...)
	r.TrueIncidents += o.TrueIncidents
	r.EarlyIncidents += o.EarlyIncidents
	for _, p := range [][2]*Tally{{&r.Strangers, &o.Strangers}, {&r.Moves, &o.Moves}} {
		p[0].Hits += p[1].Hits
		p[0].Of += p[1].Of
	}
	r.Example = cmp.Or(r.Example, o.Example)
	r.finish()
}

// pad fills days without a finding.
func pad(list []int, days int) []int {
	return append(list, make([]int, max(0, days-len(list)))...)
}

func sum(list []int) (n int) {
	for _, x := range list {
		n += x
	}
	return n
}

// Rate is events per day and thousand hosts with a 95 % interval: the wider of Garwood's for Poisson counts (1936, by
// Wilson and Hilferty's cube root) and a bootstrap over days, since what is noisy is noisy for a day.
func (r *Result) Rate(byDay []int) (rate, low, high float64) {
	n := float64(sum(byDay))
	exposure := r.HostDays / 1000
	if n > 0 {
		low = n * math.Pow(1-1/(9*n)-1.96/(3*math.Sqrt(n)), 3)
	}
	high = (n + 1) * math.Pow(1-1/(9*(n+1))+1.96/(3*math.Sqrt(n+1)), 3)
	if days := pad(slices.Clone(byDay), r.Days); n > 0 {
		rng := rand.New(rand.NewPCG(1, 2))
		sums := make([]float64, 1000)
		for i := range sums {
			for range days {
				sums[i] += float64(days[rng.IntN(len(days))])
			}
		}
		slices.Sort(sums)
		low, high = min(low, sums[25]), max(high, sums[975])
	}
	return n / exposure, low / exposure, high / exposure
}
