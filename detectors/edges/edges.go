package edges

import (
	"math"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// Terms of the package comment.
const (
	warmDays   = 7
	warmHosts  = 20
	warmEdges  = 200
	hoursDays  = 14 // days from which the hours of a week are known
	atLeast    = 0.5
	mostNew    = 6.0
	mostPeer   = 3.0
	peersFrom  = 20
	peersShare = 0.3
	offHours   = 1.0
	coldInv    = 2.0
	ownDays    = 14
	roleDays   = 100
	fanFrom    = 3
	mostFan    = 5.0
	mostS      = 9.0
	fleetShare = 0.02
	day        = packet.Time(24 * time.Hour)
	hour       = packet.Time(time.Hour)
)

// Detector weighs edges.
type Detector struct {
	cfg      Config
	surprise surprises
	hosts    *lru.Table[flows.HostNumber, reach]
	byRole   [hostgraph.NumRoles]roleReach
	fleets   *lru.Table[fleetKey, packet.Time] // when it was last noted
}

type fleetKey struct {
	server  flows.HostNumber
	service hostgraph.Service
}

// New returns a detector. The configuration must be valid.
func New(cfg Config) *Detector {
	return &Detector{cfg: cfg, hosts: lru.New[flows.HostNumber, reach](cfg.MaxHosts, nil), fleets: lru.New[fleetKey, packet.Time](1024, nil)}
}

// Rules implements detectors.Detector.
func (d *Detector) Rules() []*detectors.Rule {
	list := make([]*detectors.Rule, len(rules))
	for i := range rules {
		list[i] = &rules[i]
	}
	return list
}

// Doc implements detectors.Detector.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 { return d.hosts.Evicted() + d.fleets.Evicted() }

// Flow weighs the first record of a contact.
func (d *Detector) Flow(env detectors.Env, r *flows.Record) {
	if r.Report != 1 {
		return
	}
	g := env.Graph()
	client, server, service, ok := g.ServiceOf(r)
	if !ok || service == hostgraph.RPC {
		return
	}
	c := contact{r: r, client: client, server: server, service: service, actor: r.Orig, target: r.Resp}
	if r.Hosts[flows.Orig] != client {
		c.actor, c.target = c.target, c.actor
	}
	if !g.Has(client, server, service) {
		d.first(env, &c)
	}
	if service.Admin() {
		d.widen(env, &c)
	}
}

// contact is one use of a service.
type contact struct {
	r              *flows.Record
	client, server flows.HostNumber
	service        hostgraph.Service
	actor, target  packet.Addr
}

// first weighs an edge that is new.
func (d *Detector) first(env detectors.Env, c *contact) {
	g, a := env.Graph(), c.service.Weight()
	e := novelty{Rarity: g.Rarity(c.client, c.server, c.service), weight: a}
	if !d.noted(env, c) && d.isFleet(env, c, e.Clients) {
		d.fleet(env, c)
	}
	warm := g.Watched() >= warmDays && g.Len() >= warmHosts && d.surprise.count() >= warmEdges
	if warm {
		e.usual = d.surprise.quantile(0.99)
	}
	d.surprise.add(env.Now(), e.Surprise)
	if warm {
		e.llr = a * min(max(e.Surprise-e.usual, 0), mostNew)
		if g.Watched() >= hoursDays && e.llr > 0 && quiet(g, c.client, c.r.Start) {
			e.off = offHours * a
			e.llr = min(e.llr+e.off, mostNew)
		}
		if e.llr >= atLeast {
			e.users, e.peers = g.Peers(c.client, c.server, c.service)
			if f := e.share(); e.peers >= peersFrom && f > peersShare {
				e.llr--
			}
		}
		if e.llr > 0 && d.isFleet(env, c, e.Clients) {
			e.llr /= math.Log(1 + float64(newcomers(env, c, math.MaxInt)))
		}
		if e.llr >= atLeast {
			env.Signal(d.firstEdge(env, c, &e))
			if e.peers >= peersFrom && e.share() <= peersShare {
				env.Signal(d.peer(env, c, &e))
			}
		}
	}
	d.inverts(env, c, &e)
}

// newcomers is how many clients came to a contact's service within a day, this one among them, counted up to atMost.
func newcomers(env detectors.Env, c *contact, atMost int) int {
	return env.Graph().Newcomers(c.server, c.service, env.Now()-day, atMost-1) + 1
}

// isFleet says that many came to a contact's service within a day; it has so many clients in all, without this one.
func (d *Detector) isFleet(env detectors.Env, c *contact, clients int) bool {
	n := max(d.cfg.Fleet, int(math.Ceil(fleetShare*float64(env.Graph().Len()))))
	return clients+1 >= n && newcomers(env, c, n) >= n
}

// novelty is what a new edge weighs.
type novelty struct {
	hostgraph.Rarity
	weight, usual, off, llr float64
	users, peers            int
}

func (e *novelty) share() float64 { return float64(e.users) / float64(max(e.peers, 1)) }

// peerNats is the weight of few peers doing the same.
func (e *novelty) peerNats() float64 {
	return min(mostPeer, e.weight*math.Log(1/(e.share()+1/float64(e.peers+1))))
}

// quiet says that a client never used anything in this hour of the week, nor in those beside it.
func quiet(g *hostgraph.Graph, client flows.HostNumber, at packet.Time) bool {
	used := false
	g.Out(client, func(e hostgraph.Edge) bool {
		used = e.In(at) || e.In(at-hour) || e.In(at+hour)
		return !used
	})
	return !used
}

// inversion is a contact against what roles are for.
func inversion(client, server hostgraph.Role, runs bool) (nats float64, what string) {
	pick := func(use, run float64) float64 {
		if runs {
			return run
		}
		return use
	}
	switch {
	case client == hostgraph.PrintServer:
		return 4, "a print server administers another host"
	case client == hostgraph.DomainController && server != hostgraph.DomainController && server != hostgraph.Unknown:
		return pick(2, 4), "a domain controller administers another host"
	case client == hostgraph.Workstation && server == hostgraph.Workstation:
		return pick(2, 5), "a workstation administers another"
	case client.IsServer() && client != hostgraph.Backup && client != hostgraph.Deployment && server == hostgraph.Workstation:
		return pick(2, 3), "a server administers a workstation"
	case client.IsServer() && client != hostgraph.Backup && client != hostgraph.Deployment && server.IsServer() && server != client:
		return pick(2, 3), "a server administers one of another kind"
	}
	return 0, ""
}

// runs says that a service runs something on its server.
func runs(s hostgraph.Service) bool {
	return s == hostgraph.RemoteExec || s == hostgraph.AdminShare || s == hostgraph.WinRM || s == hostgraph.RemoteShell
}

// inverts says a new edge that stands against the roles of its ends.
func (d *Detector) inverts(env detectors.Env, c *contact, e *novelty) {
	if !c.service.Admin() {
		return
	}
	nats, what := inversion(e.ClientRole, e.ServerRole, runs(c.service))
	if nats == 0 {
		return
	}
	nats /= 1 + math.Log1p(float64(e.Pair))
	cold := env.Graph().Watched() < warmDays
	if cold {
		nats = min(nats, coldInv)
	}
	if nats < atLeast {
		return
	}
	f := d.roleInv(env, c, e, nats, what)
	if cold || nats < d.cfg.MinNats {
		env.Signal(f)
		return
	}
	env.Emit(f)
}

// noted says that a fleet was noted for a contact's service within a day.
func (d *Detector) noted(env detectors.Env, c *contact) bool {
	last := d.fleets.Touch(fleetKey{c.server, c.service})
	return last != nil && env.Now()-*last < day
}

// fleet notes once a day that many came to one service.
func (d *Detector) fleet(env detectors.Env, c *contact) {
	last, _ := d.fleets.Use(fleetKey{c.server, c.service})
	*last = env.Now()
	if env.Graph().Watched() >= warmDays { // before, everything is new
		env.Emit(d.fleetNote(env, c, newcomers(env, c, math.MaxInt)))
	}
}

// reach is what a host administers.
type reach struct {
	servers [64]visit // of the last day, in a ring
	next    int
	days    [32]counts // of earlier days, in a ring
	numDays int
	today   int64
	most    counts // of today
	said    float64
	from    packet.Time // of the episode that was said
}

type visit struct {
	server flows.HostNumber
	at     packet.Time
	conn   flows.Conn
}

// counts are distinct servers in an hour, at most, and in the day.
type counts struct{ hour, day uint8 }

// widen counts a server that a host administers, and weighs how many they are.
func (d *Detector) widen(env detectors.Env, c *contact) {
	now := c.r.Start
	h, _ := d.hosts.Use(c.client)
	role := env.Graph().Role(c.client)
	if role == hostgraph.Unknown { // a client of which little is seen
		role = hostgraph.Workstation
	}
	if today := int64(now) / int64(day); today != h.today {
		if h.today != 0 {
			h.days[h.numDays%len(h.days)] = h.most
			h.numDays++
			d.byRole[role].add(h.most)
		}
		h.today, h.most, h.said = today, counts{}, 0
	}
	h.visit(c, now)
	n := h.count(now)
	h.most.hour, h.most.day = max(h.most.hour, n.hour), max(h.most.day, n.day)
	w := d.weigh(h, n, role)
	if w.nats < 1 || w.nats < h.said+0.5 {
		return
	}
	if h.said == 0 {
		h.from = now
	}
	f := d.fanout(env, c, h, &w, role)
	f.Grew = h.said > 0
	h.said = w.nats
	if env.Graph().Watched() < warmDays || min(h.numDays, len(h.days)) < ownDays || d.byRole[role].n < roleDays || w.nats < d.cfg.MinNats {
		env.Signal(f)
		return
	}
	env.Emit(f)
}

func (h *reach) visit(c *contact, now packet.Time) {
	for i := range h.servers {
		if v := &h.servers[i]; v.server == c.server && v.at != 0 {
			v.at = max(v.at, now)
			return
		}
	}
	h.servers[h.next%len(h.servers)] = visit{c.server, now, c.r.Conn}
	h.next++
}

func (h *reach) count(now packet.Time) (n counts) {
	for i := range h.servers {
		if v := &h.servers[i]; v.at != 0 {
			if now-v.at < hour {
				n.hour++
			}
			if now-v.at < day {
				n.day++
			}
		}
	}
	return n
}

// width is what a host's reach weighs.
type width struct {
	counts
	byHour         bool // the hour is the heavier
	own, role      float64
	ownN, roleN    int
	usual, usually int // the most of its own days, and of 99 % of its role's
	nats           float64
}

// weigh compares today with a host's own days and those of its role.
func (d *Detector) weigh(h *reach, n counts, role hostgraph.Role) (w width) {
	kept := h.days[:min(h.numDays, len(h.days))]
	r := &d.byRole[role]
	best := width{counts: n, ownN: len(kept), roleN: r.n}
	for _, byHour := range []bool{true, false} {
		x := n.day
		if byHour {
			x = n.hour
		}
		if x < fanFrom {
			continue
		}
		as, most := 0, 0
		for _, k := range kept {
			v := k.day
			if byHour {
				v = k.hour
			}
			most = max(most, int(v))
			if v >= x {
				as++
			}
		}
		w := best
		w.byHour, w.usual = byHour, most
		w.own = surprise(as, len(kept))
		w.role = surprise(r.atLeast(x, byHour), r.n)
		w.usually = r.quantile(0.99, byHour)
		w.nats = min(mostFan, 0.5*(w.own+w.role))
		if role.WideByTrade() {
			w.nats /= 2
		}
		if w.nats > best.nats {
			best = w
		}
	}
	return best
}

// surprise is -ln of the share of n that were as many, with one more that was not; at most 9.
func surprise(as, n int) float64 {
	if n == 0 {
		return 0
	}
	return min(mostS, max(0, -math.Log(float64(as)/float64(n)+1/float64(n+1))))
}

// roleReach is how widely hosts of a role administer others in a day: host-days by count, halved when they are many.
type roleReach struct {
	hours, days [65]uint32
	n           int
}

// enough is how many host-days are kept before the older ones count half: chosen by us, a thousand hosts' month.
const enough = 30000

func (r *roleReach) add(c counts) {
	r.hours[min(int(c.hour), 64)]++
	r.days[min(int(c.day), 64)]++
	if r.n++; r.n > enough {
		r.n = 0
		for i := range r.hours {
			r.hours[i] /= 2
			r.days[i] /= 2
			r.n += int(r.days[i])
		}
	}
}

func (r *roleReach) of(byHour bool) *[65]uint32 {
	if byHour {
		return &r.hours
	}
	return &r.days
}

func (r *roleReach) atLeast(x uint8, byHour bool) (n int) {
	for _, k := range r.of(byHour)[min(int(x), 64):] {
		n += int(k)
	}
	return n
}

func (r *roleReach) quantile(q float64, byHour bool) int {
	left := q * float64(r.n)
	for x, k := range r.of(byHour) {
		if left -= float64(k); left <= 0 {
			return x
		}
	}
	return 64
}

// surprises holds those of new edges in tenths of a nat: this week's and last week's.
type surprises struct {
	weeks [2][400]uint32
	n     [2]int
	week  int64
}

func (s *surprises) add(now packet.Time, x float64) {
	if w := int64(now) / int64(7*day); w != s.week {
		if w == s.week+1 {
			s.weeks[1], s.n[1] = s.weeks[0], s.n[0]
		} else {
			s.weeks[1], s.n[1] = [400]uint32{}, 0
		}
		s.weeks[0], s.n[0], s.week = [400]uint32{}, 0, w
	}
	s.weeks[0][min(max(int(x*10), 0), 399)]++
	s.n[0]++
}

func (s *surprises) count() int { return s.n[0] + s.n[1] }

// quantile returns the surprise below which a share of the new edges lies.
func (s *surprises) quantile(q float64) float64 {
	left := q * float64(s.count())
	for i := range s.weeks[0] {
		if left -= float64(s.weeks[0][i] + s.weeks[1][i]); left <= 0 {
			return float64(i+1) / 10
		}
	}
	return 40
}

// conns lists the connections of a host's latest visits, newest first.
func (h *reach) conns(now packet.Time) (list []visit) {
	for _, v := range h.servers {
		if v.at != 0 && now-v.at < day {
			list = append(list, v)
		}
	}
	slices.SortStableFunc(list, func(a, b visit) int { return int(min(max(b.at-a.at, -1), 1)) })
	return list
}
