package sqlexec

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// Bounds and weights of the package comment.
const (
	window     = packet.Time(time.Hour)
	share      = 0.3 // of what is not the heaviest
	refused    = 0.5
	maxNats    = 9.0
	maxHabits  = 1 << 16
	maxExample = 160
	habit      = 0x73716c // names the doings among a client's
)

var rule = &detectors.Rule{
	ID: "sql.exec", Name: "A database server made to run programs or to log on elsewhere", Stage: detectors.StageLateral,
	Techniques: []detectors.Technique{procedures, commandShell, interpreter, windows.ForcedAuth, windows.ModifyRegistry, windows.AccountChange},
	Sides:      detectors.OriginatorAlone,
}

// pair is a client and a server.
type pair struct{ client, server detectors.HostKey }

// done is what a client did of one kind.
type done struct {
	count   int
	days    int
	granted bool // the server did not refuse it, as far as was seen
	example string
	ref     flows.Ref
}

// record is what a client did to a server within the window.
type record struct {
	kinds       [numKinds]done
	start, last packet.Time
	port        uint16
	users       []string
	program     string
	conns       []flows.Conn
	llr         float64 // when it was last said
}

// Detector is rule sql.exec.
type Detector struct {
	cfg    Config
	pairs  *lru.Table[pair, record]
	habits *windows.Habits
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{cfg: cfg, pairs: lru.New[pair, record](cfg.MaxPairs, nil), habits: windows.NewHabits(maxHabits)}
}

// Rules returns the rule.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{rule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 { return d.pairs.Evicted() + d.habits.Evicted() }

// SQL takes a statement.
func (d *Detector) SQL(env detectors.Env, s *flows.SQL) {
	b := env.Batch()
	if !interesting(b.Bytes(s.Statement)) {
		return
	}
	text := b.String(s.Statement)
	is := classify(text, s.Call)
	if is == 0 {
		return
	}
	now := env.Now()
	p := pair{detectors.HostKey{Segment: s.Segment, Addr: s.Orig}, detectors.HostKey{Segment: s.Segment, Addr: s.Resp}}
	r, _ := d.pairs.Use(p)
	if r.start == 0 || now-r.start > window {
		*r = record{start: now}
	}
	r.last, r.port = now, s.RespPort
	if user := windows.Printable(b.String(s.User)); user != "" && !slices.Contains(r.users, user) && len(r.users) < 8 {
		r.users = append(r.users, user)
	}
	if s.Program.Len > 0 {
		r.program = windows.Printable(b.String(s.Program))
	}
	if !slices.ContainsFunc(r.conns, func(o flows.Conn) bool { return o.ID == s.ID }) && len(r.conns) < 8 {
		r.conns = append(r.conns, s.Conn)
	}
	for k := range numKinds {
		if !is.has(k) {
			continue
		}
		w := &r.kinds[k]
		if w.count == 0 {
			*w = done{days: d.habits.Note(now, &s.Conn, habit<<8|uint64(k)), ref: s.RequestRef}
		}
		if granted := s.Outcome != flows.Failed; w.count == 0 || granted && !w.granted {
			w.granted, w.example, w.ref = granted, example(text), s.RequestRef
		}
		w.count++
	}
	f := d.finding(p, r)
	if f.LLR < d.cfg.MinNats || f.LLR <= r.llr {
		return
	}
	f.Grew = r.llr > 0
	r.llr = f.LLR
	env.Emit(f)
}

// example cuts a statement for a sentence, in one line.
func example(s string) string {
	s = windows.Printable(strings.Join(strings.Fields(s), " "))
	if len(s) <= maxExample {
		return s
	}
	return strings.ToValidUTF8(s[:maxExample], "") + "…"
}

// finding tells of a window.
func (d *Detector) finding(p pair, r *record) *detectors.Finding {
	f := &detectors.Finding{
		Rule: rule, Actor: p.client, Target: p.server, Start: r.start, End: r.last, WindowStart: r.start, Users: slices.Clone(r.users), Conns: slices.Clone(r.conns),
	}
	type weighed struct {
		k    kind
		nats float64
	}
	var list []weighed
	for k := range numKinds {
		w := &r.kinds[k]
		if w.count == 0 {
			continue
		}
		nats := kinds[k].nats
		if !w.granted {
			nats *= refused
		}
		if windows.Familiar(w.days) {
			nats *= windows.Discount
		}
		list = append(list, weighed{k, nats})
	}
	slices.SortStableFunc(list, func(a, b weighed) int {
		switch {
		case a.nats > b.nats:
			return -1
		case a.nats < b.nats:
			return 1
		}
		return 0
	})
	var did []string
	for i, x := range list {
		w, nats := &r.kinds[x.k], x.nats
		if i > 0 {
			nats *= share
		}
		nats = min(nats, maxNats-f.LLR)
		f.LLR += nats
		e := detectors.Evidence{Measure: kinds[x.k].name + ": " + w.example, Value: float64(w.count), Unit: "statements", Baseline: "none", Nats: phrase.Round(nats)}
		if windows.Familiar(w.days) {
			e.Baseline = fmt.Sprintf("on %d earlier days", w.days)
		}
		if !w.granted {
			e.Measure += " (refused)"
		}
		f.Evidence = append(f.Evidence, e)
		did = append(did, kinds[x.k].name)
		if t := kinds[x.k].technique; len(f.Techniques) < detectors.MaxTechniques && !slices.Contains(f.Techniques, t) {
			f.Techniques = append(f.Techniques, t)
		}
		f.Refs = append(f.Refs, w.ref)
	}
	if len(f.Techniques) < detectors.MaxTechniques && !slices.Contains(f.Techniques, procedures) && f.Techniques[0] != windows.ForcedAuth {
		f.Techniques = append(f.Techniques, procedures)
	}
	as := ""
	if len(r.users) > 0 {
		as = " as " + r.users[len(r.users)-1]
	}
	if r.program != "" {
		as += fmt.Sprintf(" (by its own word %q)", r.program)
	}
	top := &r.kinds[list[0].k]
	f.Message = fmt.Sprintf("%s%s %s at the database server %s:%d: %s.", p.client.Addr, as, strings.Join(did, ", "), p.server.Addr, r.port, strings.TrimSuffix(top.example, "."))
	if !top.granted {
		f.Message = strings.TrimSuffix(f.Message, ".") + "; the server refused it."
	}
	f.Counterfactual = "The same on three earlier days, or statements of configuration alone, would not be said as an alarm."
	f.LookAlikes = []string{
		"Administrators switch options on and deploy jobs and assemblies, rarely and from few hosts; this client had no such history.",
		"A table or a report that holds these words is none: they were found as code, not as data.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("On %s look for children of sqlservr.exe and for what was switched on (sys.configurations, sys.assemblies, msdb's jobs); switch it off.", p.server.Addr),
		fmt.Sprintf("Find out who used the log-in at %s then; if it is a web server, look for SQL injection in its requests.", p.client.Addr),
	}
	if r.kinds[coercion].count > 0 {
		f.NextSteps = append(f.NextSteps, "See which host the path names and what came of the server's log-on there (auth.relay); block SMB outward.")
	}
	f.Filter = fmt.Sprintf("ip.addr == %s && ip.addr == %s && tcp.port == %d && tds", p.client.Addr, p.server.Addr, r.port)
	return f
}
