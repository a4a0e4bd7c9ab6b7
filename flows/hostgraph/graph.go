package hostgraph

import (
	"errors"
	"time"

	"neuromast/flows"
	"neuromast/flows/identity"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Config bounds the graph.
type Config struct {
	MaxEdges int           `yaml:"edges"`     // edges that are kept; 200 bytes each
	MaxHosts int           `yaml:"hosts"`     // hosts that have a profile; 1 KiB each at most, without their edges
	OutEdges int           `yaml:"out_edges"` // edges of one client; one with more is a hub, whose further contacts are only counted
	TTL      time.Duration `yaml:"ttl"`       // an edge that was not used for so long is forgotten
}

// Default returns what holds where nothing is configured: room for a site of some thousand hosts (chosen by us).
func Default() Config {
	return Config{MaxEdges: 1 << 18, MaxHosts: 1 << 16, OutEdges: 4096, TTL: 45 * 24 * time.Hour}
}

// Validate names every wrong value.
func (c Config) Validate() error {
	var errs []error
	if c.MaxEdges < 64 || c.MaxEdges > 1<<26 {
		errs = append(errs, errors.New("edges: must lie between 64 and 67108864"))
	}
	if c.MaxHosts < 16 || c.MaxHosts > 1<<24 {
		errs = append(errs, errors.New("hosts: must lie between 16 and 16777216"))
	}
	if c.OutEdges < 16 || c.OutEdges > 1<<20 {
		errs = append(errs, errors.New("out_edges: must lie between 16 and 1048576"))
	}
	if c.TTL < 24*time.Hour || c.TTL > 64*24*time.Hour {
		errs = append(errs, errors.New("ttl: must lie between 24h and 1536h, as far as the days of an edge reach back"))
	}
	return errors.Join(errs...)
}

// Bounds of what stands beside the edges.
const (
	maxUsers    = 1 << 16 // names of users
	maxOpen     = 1 << 16 // connections whose facts wait for their record
	maxDests    = 1 << 15 // destinations outside
	maxServices = 64      // services in one host's profile
)

// Stats counts what the graph did.
type Stats struct {
	Edges, Hosts int
	Evicted      uint64 // edges that the bound pushed out
	Expired      uint64 // edges that were not used for TTL
	Hub          uint64 // contacts of hubs that got no edge
	Merged       uint64 // hosts that turned out to be another
	HostsEvicted uint64
}

// Graph is who talks to whom. It is used by one goroutine.
type Graph struct {
	cfg      Config
	hosts    *identity.Table
	declared func(packet.Addr) string // role that the configuration gives, empty for none

	edges     slab
	index     map[edgeKey]uint32
	nodes     *lru.Table[flows.HostNumber, *node]
	pairs     map[pair]uint32      // edges by role of client, role of server, service
	from      map[origin]uint32    // edges by server, service, role of client: so that nobody walks a server's clients
	byService map[Service]*service // what is known of a service over all hosts
	rates     map[roleService]*opened
	roleDays  [NumRoles]uint64 // active days of the hosts of a role
	open      *lru.Table[uint64, opening]
	users     *lru.Table[string, uint32]
	userNames map[uint32]string
	lastUser  uint32
	dests     *lru.Table[dest, *visits]
	domains   map[string]dest // of names seen lately
	now       packet.Time
	begun     packet.Time
	stats     Stats
}

// edgeKey names an edge.
type edgeKey struct {
	client, server flows.HostNumber
	service        Service
}

// pair is a kind of edge.
type pair struct {
	client, server Role
	service        Service
}

type roleService struct {
	role    Role
	service Service
}

// origin is where the clients of a server's service come from.
type origin struct {
	server  flows.HostNumber
	service Service
	role    Role
}

// opened counts first contacts ever, and the edges that there are.
type opened struct{ n, edges uint32 }

// service is what is known of a service over all hosts.
type service struct {
	edges   uint32
	servers uint32
}

// edge is one line of the graph: 168 bytes without pointers.
type edge struct {
	edgeKey
	op          Op
	more        bool // more users than there is room for
	counted     pair0
	hours       [21]byte // hours of the week with a connection
	n, failed   uint32
	first, last packet.Time
	entered     packet.Time // when it got its place in the lists, which are in that order; first is not later
	days        uint64      // bit i: a connection i days before last
	up, down    uint64
	opAt        packet.Time
	users       [4]uint32
	userAt      [4]uint32 // s since 1970
	nextOut     uint32    // edges of the same client, of the same server; by use
	prevOut     uint32
	nextIn      uint32
	prevIn      uint32
	newer       uint32
	older       uint32
}

// pair0 is the roles under which an edge is counted.
type pair0 struct{ client, server Role }

// slab holds edges without moving them; number 0 is none.
type slab struct {
	chunks         [][]edge
	free           []uint32
	used           uint32
	oldest, newest uint32
}

const chunk = 1 << 10

func (s *slab) at(i uint32) *edge { return &s.chunks[i/chunk][i%chunk] }

func (s *slab) take() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	s.used++
	if int(s.used/chunk) >= len(s.chunks) {
		s.chunks = append(s.chunks, make([]edge, chunk))
	}
	return s.used
}

// node is a host's profile.
type node struct {
	number      flows.HostNumber
	id, name    string // as the table of hosts said last; it may forget a host before the graph does
	first, last packet.Time
	days        uint64 // bit i: seen i days before last
	numDays     uint32 // active days ever
	outs, ins   uint32 // numbers of first edges
	numOut      uint32
	numIn       uint32
	initiated   uint64 // connections
	answered    uint64
	outside     uint64 // of initiated: to addresses outside
	failed      uint64 // attempts that came to nothing
	services    []used
	agents      *sketch.Distinct // kinds of TLS clients
	beyond      *sketch.Distinct // servers and services of a hub without an edge
	tried       *sketch.Distinct // hosts tried in vain today
	sweeps      uint64           // bit i: tried many hosts in vain i days before last
	role        Role
	why         reason
	asset       string
	looked      packet.Time // when the role was last inferred in full
	swept       bool        // today is in sweeps
	resolves    bool        // asks name servers outside
	shared      bool        // several machines stand behind it
	lease       bool
	outNow      uint32 // edges out and in when the role was inferred last
	inNow       uint32
}

// used is a service that a host serves or uses.
type used struct {
	service         Service
	clients         uint32 // edges in
	servers         uint32 // edges out
	opened          uint32 // first contacts made, ever
	inDays, outDays uint64 // bit i: used i days before day
	day             int32
}

// opening is what facts told of a connection before its record came.
type opening struct {
	users [4]uint32
	more  bool
	admin bool
	op    Op
	opAt  packet.Time
}

// New returns an empty graph over the hosts of a table. Declared, which may be nil, is the role that the configuration gives an address.
func New(cfg Config, hosts *identity.Table, declared func(packet.Addr) string) *Graph {
	if declared == nil {
		declared = func(packet.Addr) string { return "" }
	}
	g := &Graph{
		cfg: cfg, hosts: hosts, declared: declared, index: map[edgeKey]uint32{}, pairs: map[pair]uint32{}, from: map[origin]uint32{}, byService: map[Service]*service{},
		rates: map[roleService]*opened{}, domains: map[string]dest{}, userNames: map[uint32]string{},
		open: lru.New[uint64, opening](maxOpen, nil), dests: lru.New[dest, *visits](maxDests, nil),
	}
	g.nodes = lru.New(cfg.MaxHosts, func(n flows.HostNumber, v **node) { g.dropNode(*v) })
	g.users = lru.New(maxUsers, func(_ string, n *uint32) { delete(g.userNames, *n) })
	return g
}

// Stats returns the counters.
func (g *Graph) Stats() Stats {
	s := g.stats
	s.Edges, s.Hosts, s.HostsEvicted = len(g.index), g.nodes.Len(), g.nodes.Evicted()
	return s
}

// day is the number of a packet time's day since 1970, in UTC.
func day(t packet.Time) int32 { return int32(int64(t) / int64(24*time.Hour)) }

// hourOfWeek is 0 for Monday's first hour, in UTC; 1970 began on a Thursday.
func hourOfWeek(t packet.Time) int { return int((int64(t)/int64(time.Hour) + 3*24) % 168) }

// mark sets a bit of days seen, of which bit 0 is the day of last, for a time t that may be later or earlier.
func mark(days uint64, last, t packet.Time) uint64 { return markDay(days, day(last), day(t)) }

func markDay(days uint64, last, d int32) uint64 {
	switch n := d - last; {
	case n >= 64:
		return 1
	case n > 0:
		return days<<n | 1
	case n > -64:
		return days | 1<<-n
	}
	return days
}

// node returns a host's profile, a new one where there is none.
func (g *Graph) node(n flows.HostNumber, a packet.Addr, at packet.Time) *node {
	if n == 0 {
		return nil
	}
	p, isNew := g.nodes.Use(n)
	if isNew {
		*p = &node{number: n, first: at, last: at, days: 1, numDays: 1, asset: g.declared(a)}
		g.roleDays[(*p).role]++
		g.infer(*p)
		return *p
	}
	v := *p
	if at > v.last {
		if day(at) != day(v.last) {
			v.numDays++
			g.roleDays[v.role]++
			v.asset = g.declared(a)
			v.sweeps <<= min(day(at)-day(v.last), 63)
			v.tried, v.swept = nil, false
		}
		v.days = mark(v.days, v.last, at)
		v.last = at
	}
	return v
}

// of returns what a host's profile knows of a service.
func (v *node) of(s Service) *used {
	for i := range v.services {
		if v.services[i].service == s {
			return &v.services[i]
		}
	}
	if len(v.services) >= maxServices {
		s = NoService // all others are one
		for i := range v.services {
			if v.services[i].service == s {
				return &v.services[i]
			}
		}
	}
	v.services = append(v.services, used{service: s})
	return &v.services[len(v.services)-1]
}

// find is of without making one.
func (v *node) find(s Service) *used {
	for i := range v.services {
		if v.services[i].service == s {
			return &v.services[i]
		}
	}
	return nil
}

// connect returns the edge of a key, made now where there was none; nil where its client is a hub.
func (g *Graph) connect(k edgeKey, c, s *node, at packet.Time) *edge {
	if i, ok := g.index[k]; ok {
		g.recent(i)
		return g.edges.at(i)
	}
	if int(c.numOut) >= g.cfg.OutEdges {
		g.stats.Hub++
		if c.beyond == nil {
			c.beyond = &sketch.Distinct{}
		}
		c.beyond.Add(sketch.Join(uint64(s.number), uint64(k.service)))
		return nil
	}
	if len(g.index) >= g.cfg.MaxEdges {
		g.stats.Evicted++
		g.cut(g.edges.oldest)
	}
	i := g.edges.take()
	e := g.edges.at(i)
	*e = edge{edgeKey: k, first: at, last: at, entered: g.now, counted: pair0{c.role, s.role}}
	g.index[k] = i
	g.link(i)
	if e.nextOut = c.outs; c.outs != 0 {
		g.edges.at(c.outs).prevOut = i
	}
	if e.nextIn = s.ins; s.ins != 0 {
		g.edges.at(s.ins).prevIn = i
	}
	c.outs, s.ins = i, i
	c.numOut++
	s.numIn++
	cu := c.of(k.service)
	cu.servers++
	cu.opened++
	g.rate(c.role, cu.service).n++
	su := s.of(k.service)
	if su.clients++; su.clients == 1 && su.service == k.service {
		g.service(k.service).servers++
	}
	g.service(k.service).edges++
	g.count(e)
	return e
}

func (g *Graph) service(s Service) *service {
	v := g.byService[s]
	if v == nil {
		v = &service{}
		g.byService[s] = v
	}
	return v
}

func (g *Graph) rate(r Role, s Service) *opened {
	k := roleService{r, s}
	v := g.rates[k]
	if v == nil {
		v = &opened{}
		g.rates[k] = v
	}
	return v
}

// cut takes an edge out.
func (g *Graph) cut(i uint32) {
	e := g.edges.at(i)
	g.unlink(i)
	delete(g.index, e.edgeKey)
	if c := g.nodes.Get(e.client); c != nil {
		c := *c
		if c.outs == i {
			c.outs = e.nextOut
		}
		c.numOut--
		if u := c.used(e.service); u != nil {
			u.servers--
		}
	}
	if s := g.nodes.Get(e.server); s != nil {
		s := *s
		if s.ins == i {
			s.ins = e.nextIn
		}
		s.numIn--
		if u := s.used(e.service); u != nil {
			if u.clients--; u.clients == 0 && u.service == e.service {
				g.service(e.service).servers--
			}
		}
	}
	if e.prevOut != 0 {
		g.edges.at(e.prevOut).nextOut = e.nextOut
	}
	if e.nextOut != 0 {
		g.edges.at(e.nextOut).prevOut = e.prevOut
	}
	if e.prevIn != 0 {
		g.edges.at(e.prevIn).nextIn = e.nextIn
	}
	if e.nextIn != 0 {
		g.edges.at(e.nextIn).prevIn = e.prevIn
	}
	g.uncount(e)
	g.service(e.service).edges--
	*e = edge{}
	g.edges.free = append(g.edges.free, i)
}

// used is find, with the entry that stands for all services beyond the bound where there is none of its own.
func (v *node) used(s Service) *used {
	if u := v.find(s); u != nil {
		return u
	}
	return v.find(NoService)
}

// count enters an edge into the sums by role, uncount takes it out.
func (g *Graph) count(e *edge) {
	g.pairs[pair{e.counted.client, e.counted.server, e.service}]++
	g.from[origin{e.server, e.service, e.counted.client}]++
	g.rate(e.counted.client, e.service).edges++
}

func (g *Graph) uncount(e *edge) {
	k := pair{e.counted.client, e.counted.server, e.service}
	if g.pairs[k]--; g.pairs[k] == 0 {
		delete(g.pairs, k)
	}
	o := origin{e.server, e.service, e.counted.client}
	if g.from[o]--; g.from[o] == 0 {
		delete(g.from, o)
	}
	g.rate(e.counted.client, e.service).edges--
}

// link and unlink keep the edges in the order of use.
func (g *Graph) link(i uint32) {
	e := g.edges.at(i)
	e.older, e.newer = g.edges.newest, 0
	if g.edges.newest != 0 {
		g.edges.at(g.edges.newest).newer = i
	} else {
		g.edges.oldest = i
	}
	g.edges.newest = i
}

func (g *Graph) unlink(i uint32) {
	e := g.edges.at(i)
	if e.newer != 0 {
		g.edges.at(e.newer).older = e.older
	} else {
		g.edges.newest = e.older
	}
	if e.older != 0 {
		g.edges.at(e.older).newer = e.newer
	} else {
		g.edges.oldest = e.newer
	}
	e.newer, e.older = 0, 0
}

func (g *Graph) recent(i uint32) {
	if g.edges.newest != i {
		g.unlink(i)
		g.link(i)
	}
}

// expire forgets edges that were not used for TTL.
func (g *Graph) expire() {
	for i := g.edges.oldest; i != 0 && g.now.Sub(g.edges.at(i).last) > g.cfg.TTL; i = g.edges.oldest {
		g.stats.Expired++
		g.cut(i)
	}
}

// dropNode takes out a host that the bound pushed out, with its edges.
func (g *Graph) dropNode(v *node) {
	for i := range v.services {
		if u := &v.services[i]; u.clients > 0 && u.service != NoService {
			g.service(u.service).servers--
		}
	}
	for i := v.outs; i != 0; {
		next := g.edges.at(i).nextOut
		g.cut(i)
		i = next
	}
	for i := v.ins; i != 0; {
		next := g.edges.at(i).nextIn
		g.cut(i)
		i = next
	}
	g.unrate(v)
}

// unrate takes a host's part out of its role's sums.
func (g *Graph) unrate(v *node) {
	g.roleDays[v.role] -= uint64(v.numDays)
	for i := range v.services {
		if u := &v.services[i]; u.opened > 0 {
			g.rate(v.role, u.service).n -= u.opened
		}
	}
}

// Merge makes one host of two that turned out to be the same: what is known of old becomes kept's.
func (g *Graph) Merge(old, kept flows.HostNumber) {
	p := g.nodes.Get(old)
	if p == nil || old == kept || kept == 0 {
		return
	}
	from := *p
	g.stats.Merged++
	to := g.node(kept, packet.Addr{}, from.last)
	move := func(i uint32, k edgeKey) {
		e := *g.edges.at(i)
		g.cut(i)
		if k.client == k.server {
			return
		}
		c, s := g.nodes.Get(k.client), g.nodes.Get(k.server)
		if c == nil || s == nil {
			return
		}
		_, had := g.index[k]
		n := g.connect(k, *c, *s, e.first)
		if n == nil {
			return
		}
		n.add(&e)
		if u := (*c).used(k.service); u != nil && u.opened > 0 && !had { // it was opened before, by the same host
			u.opened--
			g.rate((*c).role, u.service).n--
		}
	}
	for from.outs != 0 {
		k := g.edges.at(from.outs).edgeKey
		k.client = kept
		move(from.outs, k)
	}
	for from.ins != 0 {
		k := g.edges.at(from.ins).edgeKey
		k.server = kept
		move(from.ins, k)
	}
	for i := range from.services {
		u := &from.services[i]
		t := to.of(u.service)
		t.opened += u.opened
		g.rate(to.role, t.service).n += u.opened
	}
	to.first = min(to.first, from.first)
	to.initiated += from.initiated
	to.answered += from.answered
	to.outside += from.outside
	to.failed += from.failed
	to.lease = to.lease || from.lease
	to.shared = to.shared || from.shared
	g.unrate(from)
	g.nodes.Delete(old)
	g.infer(to)
}

// add puts what another edge of the same key holds into e.
func (e *edge) add(o *edge) {
	e.first = min(e.first, o.first)
	if o.last > e.last {
		e.days = markAll(o.days, o.last, e.days, e.last)
		e.last = o.last
	} else {
		e.days = markAll(e.days, e.last, o.days, o.last)
	}
	for i := range e.hours {
		e.hours[i] |= o.hours[i]
	}
	e.n += o.n
	e.failed += o.failed
	e.up += o.up
	e.down += o.down
	for i, u := range o.users {
		if u != 0 {
			e.user(u, o.userAt[i])
		}
	}
	e.more = e.more || o.more
	if o.opAt > e.opAt {
		e.op, e.opAt = o.op, o.opAt
	}
}

// markAll joins two sets of days; a's last day is not before b's.
func markAll(a uint64, aLast packet.Time, b uint64, bLast packet.Time) uint64 {
	if n := day(aLast) - day(bLast); n < 64 {
		return a | b<<n
	}
	return a
}

// user notes a user of an edge; the one that was not seen longest makes room.
func (e *edge) user(u, at uint32) {
	oldest := 0
	for i := range e.users {
		if e.users[i] == u {
			e.userAt[i] = max(e.userAt[i], at)
			return
		}
		if e.users[i] == 0 {
			e.users[i], e.userAt[i] = u, at
			return
		}
		if e.userAt[i] < e.userAt[oldest] {
			oldest = i
		}
	}
	e.users[oldest], e.userAt[oldest], e.more = u, at, true
}
