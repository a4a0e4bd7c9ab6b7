package session

import (
	"math"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// Bounds and weights of the package comment.
const (
	episodeGap    = packet.Time(time.Hour)
	maxConns      = 4 // of a pair
	maxRefs       = 8 // of a pair
	maxHabits     = 1 << 16
	typedFrom     = 10  // keys of the client
	typedVary     = 0.1 // of their mean
	activeFrom    = 6   // spans of a desktop
	smallShare    = 0.7
	byHand        = 0.7
	demanded      = 2.0
	granted       = 1.0
	struckFrom    = 16
	struckShare   = 0.3
	struckWithin  = packet.Time(2 * time.Minute)
	struck        = 1.5
	nothingElse   = 2.5
	backFrom      = 16
	backVary      = 0.25
	backAlike     = 0.7
	backOutside   = 4.0
	backInside    = 3.0
	fileShare     = 0.9
	file          = 0.7
	doubled       = 0.15
	maxFile       = 2.0
	restrictAdmin = 1 // flag of the request
	adminPossible = 8 // flag of the answer
)

// key is a pair of hosts and a rule.
type key struct {
	client detectors.HostKey
	server packet.Addr
	rule   rule
	app    flows.App
}

// episode is what a pair did without an hour between.
type episode struct {
	first, last packet.Time
	days        int     // before, on which it did so too
	said        float64 // the most that it came to
	amount      float64 // keys or bytes, when it grew last
	conns       []flows.Conn
	refs        []flows.Ref
}

// Detector is the rules sess.*.
type Detector struct {
	cfg    Config
	pairs  *lru.Table[key, episode]
	habits *windows.Habits
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{cfg: cfg, pairs: lru.New[key, episode](cfg.MaxPairs, nil), habits: windows.NewHabits(maxHabits)}
}

// Rules returns the rules.
func (d *Detector) Rules() []*detectors.Rule {
	var list []*detectors.Rule
	for i := range rules {
		list = append(list, &rules[i])
	}
	return list
}

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 { return d.pairs.Evicted() + d.habits.Evicted() }

// RDP takes the opening of a remote desktop connection.
func (d *Detector) RDP(env detectors.Env, r *flows.RDP) {
	if r.Flags&restrictAdmin == 0 || r.Outcome != flows.Succeeded {
		return
	}
	weight := demanded
	if r.Granted&adminPossible != 0 {
		weight += granted
	}
	s := flows.Session{Meta: r.Meta, Conn: r.Conn, FirstRef: r.RequestRef, First: r.Start, Last: r.At, App: flows.AppRDP}
	e := d.note(env, restricted, &s, 1)
	f := d.finding(env, restricted, &s, e)
	add(f, e, detectors.Evidence{Measure: "restricted administration demanded by the client", Value: 1, Baseline: "none", Nats: demanded})
	if weight > demanded {
		add(f, e, detectors.Evidence{Measure: "the server says that it can", Value: 1, Baseline: "none", Nats: granted})
	}
	if name := windows.Printable(env.Batch().String(r.Cookie)); name != "" {
		f.Users = []string{name}
	}
	d.say(env, f, e, 1)
}

// Session takes the shape of a session so far.
func (d *Detector) Session(env detectors.Env, s *flows.Session) {
	if s.LoggedIn == flows.Failed {
		return
	}
	inside := env.Internal(s.Orig) && env.Internal(s.Resp)
	if inside && (s.App == flows.AppRDP && desktop(s) || s.App != flows.AppRDP && terminal(s)) {
		d.interactive(env, s)
	}
	if s.App == flows.AppRDP && s.Struck >= struckFrom {
		d.scripted(env, s)
	}
	if s.App == flows.AppSSH && backwards(s) {
		d.tunnel(env, s, env.Internal(s.Resp))
	}
	if dir, ok := d.transfers(s); ok && inside {
		d.transfer(env, s, dir)
	}
}

// varies is the coefficient of variation of the waits before a side's keys.
func varies(s *flows.Session, d flows.Dir) float64 {
	if s.Pace[d] == 0 {
		return 0
	}
	return math.Sqrt(float64(s.Spread[d])) / float64(s.Pace[d])
}

// terminal says that somebody types on the client's side.
func terminal(s *flows.Session) bool {
	return s.Typed[flows.Orig] >= typedFrom && varies(s, flows.Orig) >= typedVary && s.Typed[flows.Orig] > s.Typed[flows.Resp]
}

// backwards says that somebody types on the server's side.
func backwards(s *flows.Session) bool {
	n := s.Typed[flows.Resp]
	return n >= backFrom && n >= s.Typed[flows.Orig] && float64(s.Alike[flows.Resp]) >= backAlike*float64(n) && varies(s, flows.Resp) >= backVary
}

// desktop says that somebody works on it.
func desktop(s *flows.Session) bool {
	return s.Active >= activeFrom && float64(s.Small[flows.Orig]) >= smallShare*float64(s.Messages[flows.Orig])
}

// transfers says in which direction a file went.
func (d *Detector) transfers(s *flows.Session) (dir flows.Dir, ok bool) {
	all := float64(s.Bytes[flows.Orig] + s.Bytes[flows.Resp])
	for dir := range flows.Dir(2) {
		switch {
		case s.Bulk[dir] < d.cfg.MinBytes:
		case s.App == flows.AppRDP && dir == flows.Orig, s.App == flows.AppSSH && float64(s.Bulk[dir]) >= fileShare*all:
			return dir, true
		}
	}
	return 0, false
}

// note enters that a rule holds of a session.
func (d *Detector) note(env detectors.Env, r rule, s *flows.Session, amount float64) *episode {
	now := env.Now()
	e, isNew := d.pairs.Use(key{detectors.HostKey{Segment: s.Segment, Addr: s.Orig}, s.Resp, r, s.App})
	if isNew || now-e.last > episodeGap {
		*e = episode{first: s.Start, conns: e.conns[:0], refs: e.refs[:0]}
	}
	e.last = now
	e.days = d.habits.Note(now, &s.Conn, uint64(r)<<8|uint64(s.App)|0x73657373<<16)
	if !slices.ContainsFunc(e.conns, func(o flows.Conn) bool { return o.ID == s.ID }) && len(e.conns) < maxConns {
		e.conns = append(e.conns, s.Conn)
	}
	for _, ref := range []flows.Ref{s.FirstRef, s.Ref} {
		if len(e.refs) < maxRefs && !slices.Contains(e.refs, ref) {
			e.refs = append(e.refs, ref)
		}
	}
	return e
}

// say publishes a finding, or tells it to the correlation alone where it is light; once, and again when its amount doubled.
func (d *Detector) say(env detectors.Env, f *detectors.Finding, e *episode, amount float64) {
	grew := amount >= 2*e.amount
	if !grew && f.LLR <= e.said {
		return
	}
	if grew {
		e.amount = amount
	}
	f.Grew = grew && e.said > 0
	e.said = max(e.said, f.LLR)
	if f.LLR < d.cfg.MinNats {
		env.Signal(f)
		return
	}
	env.Emit(f)
}

// add enters evidence, lighter where it is a habit.
func add(f *detectors.Finding, e *episode, v detectors.Evidence) {
	if windows.Familiar(e.days) {
		v.Nats *= windows.Discount
	}
	f.LLR += v.Nats
	v.Nats = math.Round(v.Nats*100) / 100
	f.Evidence = append(f.Evidence, v)
}
