package paths

import (
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/stat"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Terms of the package comment.
const (
	qSession  = 0.02
	qRun      = 0.3
	tau       = 30.0 // minutes
	floor     = 1e-5 // sessions a minute
	workday   = 600  // minutes a day in which routine happens
	joinFrom  = 0.3  // P from which a hop is followed
	sureFrom  = 0.5
	perHop    = 1.5
	some      = 0.5 // of what a step means, where its edge is of fewer than three days
	little    = 0.2 // where it is older, or the origin reaches the target anyway
	byJump    = 0.5 // of perHop over a jump host: that is what it is for
	switched  = 3.0
	routine   = 1.0
	byTrade   = 0.2
	perHost   = 0.5
	worm      = 2.0
	wormHosts = 5
	mostNats  = 9.0
	noRun     = 5.9
	coldNats  = 2.9
	stepsFrom = 3.0 // weight from which a chain joins what its hosts do
	coldBoth  = 5.9
	usual     = 4.0 // nats of surprise that new edges have anyway
	mostNew   = 6.0
	warmDays  = 7

	cookieLen = 9 // of names that remote desktop clients tell

	maxEdges  = 16 // remembered of a host, each way
	maxDepth  = 12
	maxTrees  = 1024
	maxHops   = 64 // of a tree
	maxUsers  = 8192
	merge     = 10 * time.Minute // sessions of one pair within it are one step
	afterRun  = 4 * time.Hour
	afterUse  = 2 * time.Hour
	treeLives = 72 * time.Hour
	treeGrows = 24 * time.Hour // sessions of the origin that make one tree
)

// session is one step: somebody administers a host from another.
type session struct {
	from, to     flows.HostNumber
	fromKey      detectors.HostKey
	toKey        detectors.HostKey
	start, last  packet.Time
	service      hostgraph.Service
	op           kind
	isNew        bool
	fresh        float64 // weight of its novelty
	unusual      float64 // 0 to 1: how much of what it does is news
	gains        float64 // the same of who reaches whom by it; 1 where nothing led to it
	jump         bool    // it goes over a jump host
	user         string
	switchedUser bool // differs from the cause's, and was never seen from here before
	daily        bool // the same account on five days
	parent       *session
	p            float64 // that parent is the cause
	conn         flows.Conn
	ref          flows.Ref
	tree         *tree            // of which it is a root
	reached      flows.HostNumber // the origin for which gains was weighed
	told         bool             // the correlation was told of it
}

// kind is what a session means, the heaviest last.
type kind uint8

const (
	use kind = iota
	interactive
	file
	run
)

var kindNats = [...]float64{use: 0, interactive: 1, file: 1.5, run: 2}

// host is what is remembered of one: who came, and where it went; oldest first.
type host struct {
	in, out []*session
}

// tree is all that follows from the sessions of one host within a day.
type tree struct {
	roots []*session // from one host
	hops  []*session // what follows, in the order in which it was found
	said  float64    // weight when last said, before it was held back
	num   int        // hops then
}

// Detector follows chains.
type Detector struct {
	cfg   Config
	hosts *lru.Table[flows.HostNumber, host]
	users *lru.Table[uint64, string] // by connection
	pairs *stat.Seen                 // origin, target and service over jump hosts
	trees []*tree                    // oldest first
	Trees uint64                     // begun
}

// New returns a detector. The configuration must be valid.
func New(cfg Config) *Detector {
	return &Detector{
		cfg: cfg, hosts: lru.New[flows.HostNumber, host](cfg.MaxHosts, nil), users: lru.New[uint64, string](maxUsers, nil),
		pairs: stat.NewSeen(1<<20, 30*24*time.Hour),
	}
}

// Rules implements detectors.Detector.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{&rule} }

// Doc implements detectors.Detector.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 { return d.hosts.Evicted() + d.users.Evicted() }

// Auth notes who opened a connection.
func (d *Detector) Auth(env detectors.Env, a *flows.Auth) {
	if a.Outcome != flows.Succeeded || a.Anonymous || a.User.Len == 0 {
		return
	}
	b := env.Batch()
	name := b.String(a.User)
	if a.Domain.Len > 0 {
		name = b.String(a.Domain) + `\` + name
	}
	d.note(a.ID, name)
}

// RDP notes the account that a client names.
func (d *Detector) RDP(env detectors.Env, r *flows.RDP) {
	if r.Cookie.Len > 0 {
		d.note(r.ID, env.Batch().String(r.Cookie))
	}
}

func (d *Detector) note(conn uint64, user string) {
	if len(user) > 256 {
		return
	}
	if u, isNew := d.users.Use(conn); isNew {
		*u = strings.ToLower(user)
	}
}

// Flow takes a session from the first record that shows it answered.
func (d *Detector) Flow(env detectors.Env, r *flows.Record) {
	g := env.Graph()
	from, to, service, ok := g.ServiceOf(r)
	if !ok || !service.Admin() || service == hostgraph.RPC { // domain members call remote procedures all day; RemoteExec is what counts
		return
	}
	s := d.enter(env, r, from, to, service)
	if s == nil {
		return
	}
	d.explain(env, s)
	if s.parent != nil {
		d.say(env, s)
	}
	// A session that is told late (RDP ends after what was done from it) may explain what its target did meanwhile.
	if h := d.hosts.Get(to); h != nil {
		for _, o := range slices.Clone(h.out) {
			if d.explain(env, o); o.parent == s {
				d.say(env, o)
			}
		}
	}
}

// enter remembers a session; nil where it belongs to one that is known already and says nothing new.
func (d *Detector) enter(env detectors.Env, r *flows.Record, from, to flows.HostNumber, service hostgraph.Service) *session {
	op := kindOf(service)
	fromKey, toKey := detectors.HostKey{Segment: r.Segment, Addr: r.Orig}, detectors.HostKey{Segment: r.Segment, Addr: r.Resp}
	if r.Hosts[flows.Orig] != from {
		fromKey, toKey = toKey, fromKey
	}
	user := ""
	if u := d.users.Get(r.ID); u != nil {
		user = *u
	}
	out, _ := d.hosts.Use(from)
	for _, o := range out.out {
		if o.to != to || o.last.Add(merge) < r.Start {
			continue
		}
		o.last = max(o.last, r.Last)
		if o.user == "" {
			o.user = user
		}
		if op <= o.op {
			return nil
		}
		o.op, o.service = op, service
		return o
	}
	s := &session{
		from: from, to: to, fromKey: fromKey, toKey: toKey, start: r.Start, last: r.Last, service: service, op: op, user: user, conn: r.Conn, ref: r.FirstRef,
	}
	g := env.Graph()
	edge, known := g.Find(from, to, service)
	s.isNew = !known || s.start.Sub(edge.First) < 24*time.Hour
	switch {
	case s.isNew && g.Watched() >= warmDays:
		s.unusual = 1
		s.fresh = service.Weight() * min(max(g.Rarity(from, to, service).Surprise-usual, 0), mostNew)
	case s.isNew:
		s.unusual = 1
		s.fresh = 0.5 * service.Weight()
	case edge.ActiveDays() < 3:
		s.unusual = some
		s.fresh = 0.25 * service.Weight()
	default:
		s.unusual = little
	}
	s.gains = 1
	s.daily = known && user != "" && edge.ActiveDays() >= 5 && slices.ContainsFunc(edge.Users, func(u hostgraph.User) bool { return u.Name == user })
	out.out = push(out.out, s)
	in, _ := d.hosts.Use(to)
	in.in = push(in.in, s)
	return s
}

func push(list []*session, s *session) []*session {
	if len(list) >= maxEdges {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, s)
}

// kindOf is what a session by a service means.
func kindOf(s hostgraph.Service) kind {
	switch s {
	case hostgraph.RemoteExec, hostgraph.WinRM, hostgraph.RemoteShell:
		return run
	case hostgraph.AdminShare:
		return file
	case hostgraph.RDP, hostgraph.SSH, hostgraph.VNC, hostgraph.Telnet:
		return interactive
	}
	return use
}

// explain looks for the session that s comes from.
func (d *Detector) explain(env detectors.Env, s *session) {
	g := env.Graph()
	h := d.hosts.Get(s.from)
	if h == nil {
		return
	}
	jump := g.Role(s.from) == hostgraph.JumpHost
	var open []*session
	for _, e := range h.in {
		if e.from != s.to && e.from != s.from && mayLead(e, s) && !e.follows(s) && e.depth() < maxDepth {
			open = append(open, e)
		}
	}
	var best *session
	p := 0.0
	lambda := d.rate(g, s)
	for _, e := range open {
		q := cause(e, s, lambda)
		if jump {
			q = max(q, 1/float64(len(open)))
			if s.user != "" && e.user == s.user {
				q = 0.95
			}
		}
		if g.Role(e.from).WideByTrade() && g.Role(e.from) != hostgraph.JumpHost && g.Role(e.from) != hostgraph.Administrator {
			q *= byTrade
		}
		if q > p || q == p && best != nil && e.start > best.start {
			best, p = e, q
		}
	}
	if best == nil || p <= joinFrom || p <= s.p {
		return
	}
	s.parent, s.p, s.jump = best, p, jump
	s.switchedUser = s.user != "" && best.user != "" && !sameName(s.user, best.user) && !g.UserSeen(s.from, s.user)
	d.gain(env, s)
}

// gain weighs who reaches whom by a step that follows another. What an origin administers directly, or reached over others before,
// is no news. Over a jump host nothing else is: the edge from there is everybody's.
func (d *Detector) gain(env detectors.Env, s *session) {
	g, origin := env.Graph(), s.root().from
	if s.reached != origin {
		s.reached = origin
		hash := sketch.Join(sketch.Join(uint64(origin), uint64(s.to)), uint64(s.service))
		s.gains = 1
		if !d.pairs.Add(env.Now(), hash) || administers(g, origin, s.to, s.start) {
			s.gains = little
		}
	}
	if s.jump {
		s.unusual, s.fresh = s.gains, 0
		if s.gains == 1 {
			s.fresh = 0.5 * s.service.Weight()
		}
	}
}

// administers says that a host used to administer another on a day before.
func administers(g *hostgraph.Graph, from, to flows.HostNumber, at packet.Time) (yes bool) {
	g.Out(from, func(e hostgraph.Edge) bool {
		yes = e.Server == to && e.Service.Admin() && at.Sub(e.First) >= 24*time.Hour
		return !yes
	})
	return yes
}

// mayLead says that e may have led to s: it began before, and did not end long before.
func mayLead(e, s *session) bool {
	after := afterUse
	if e.op >= file {
		after = afterRun
	}
	return e.start < s.start && s.start <= e.last.Add(after)
}

// follows says that s is among what e comes from.
func (e *session) follows(s *session) bool {
	for n := 0; e != nil && n < maxDepth; n++ {
		if e == s {
			return true
		}
		e = e.parent
	}
	return false
}

// depth is how many sessions the chain that ends with e has; no longer ones are made, so that the ones of long ago are let go.
func (e *session) depth() (n int) {
	for ; e != nil && n < maxDepth; n++ {
		e = e.parent
	}
	return n
}

// root is the first session of the chain that ends with e.
func (e *session) root() *session {
	for n := 0; e.parent != nil && n < maxDepth; n++ {
		e = e.parent
	}
	return e
}

// rate is how often a host opens such a session by itself, a minute.
func (d *Detector) rate(g *hostgraph.Graph, s *session) float64 {
	if edge, ok := g.Find(s.from, s.to, s.service); ok && s.start.Sub(edge.First) >= 24*time.Hour {
		return max(floor, float64(edge.Connections)/float64(max(edge.ActiveDays(), 1)*workday))
	}
	profile, ok := g.Profile(s.from)
	if !ok {
		return floor
	}
	for _, u := range profile.Services {
		if u.Service == s.service && profile.ActiveDays > 1 {
			return max(floor, float64(u.Opened)/float64(profile.ActiveDays*workday))
		}
	}
	return floor
}

// cause is the probability that e led to s.
func cause(e, s *session, lambda float64) float64 {
	since := e.start
	if e.last < s.start {
		since = e.last
	}
	q := qSession
	if e.op >= file {
		q = qRun
	}
	d := s.start.Sub(since).Minutes()
	f := q * tau / ((d + tau) * (d + tau))
	return f / (f + lambda)
}

// sameName compares accounts, with or without their domain, and as remote desktop clients cut them: to nine characters.
func sameName(a, b string) bool {
	a, b = a[strings.LastIndexByte(a, '\\')+1:], b[strings.LastIndexByte(b, '\\')+1:]
	if len(a) > len(b) {
		a, b = b, a
	}
	return a == b || len(a) == cookieLen && b[:cookieLen] == a
}

// chain lists the sessions that lead to s, the first one first.
func chain(s *session) []*session {
	var list []*session
	for n := 0; s != nil && n <= maxDepth; n++ {
		list = append(list, s)
		s = s.parent
	}
	slices.Reverse(list)
	return list
}

// own is what a step weighs by itself.
func (s *session) own() float64 { return s.gains * (s.fresh + s.unusual*kindNats[s.op]) }

// hop is what it weighs that a step follows another.
func (s *session) hop() float64 {
	if s.p <= sureFrom {
		return 0
	}
	n := perHop * s.gains * max(s.unusual, s.parent.unusual)
	if s.jump {
		n *= byJump
	}
	return n
}

// weigh is the weight of the chain that ends with s.
func weigh(list []*session) (llr float64) {
	for i, s := range list {
		if i == 0 {
			llr += s.own()
			continue
		}
		llr += s.p*s.own() + s.hop()
		if s.switchedUser {
			llr += switched
		}
	}
	if list[len(list)-1].daily {
		llr -= routine
	}
	return llr
}
