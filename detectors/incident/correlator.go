package incident

import (
	"math"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/flows/identity"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// Bounds and times of the package comment.
const (
	maxSignals  = 64 // of a host
	maxReaches  = 16 // kept of a host: who reached it
	maxUnder    = 8  // hosts with one destination that are joined where the evidence is strong,
	fewUnder    = 3  // and where it is weak: what more use is a service
	strong      = 6  // nats
	maxHabits   = 32 // rules of a host whose days are counted
	habitDays   = 3
	habit       = 0.2 // of the weight of what a host did on so many earlier days
	maxPlaces   = 8192
	maxOpen     = 1024
	quietFor    = packet.Time(14 * 24 * time.Hour)
	lookEvery   = packet.Time(time.Hour) // how often an open incident is judged anew
	fadesTo     = 0.5                    // of the score that opens one: faded below, it closes
	coalesce    = packet.Time(time.Minute)
	tellStep    = 1.0 // nats by which a score must rise for an update
	skew        = packet.Time(2 * time.Second)
	observedMin = 24 * 60     // minutes that a host's own rate is taken over, at least,
	siteMin     = 7 * 24 * 60 // and the mean of all,
	siteHosts   = 50          // over so many hosts: lest an intruder's first acts make the mean
)

// Stats counts what the correlation did.
type Stats struct {
	Signals  uint64
	Hosts    int
	Evicted  uint64 // hosts forgotten because of the bound
	Dropped  uint64 // signals of a host beyond the bound: the lightest
	Full     uint64 // hosts that an incident had no room for
	Opened   uint64 // records by state
	Updated  uint64
	Closed   uint64
	Open     int
	Overflow uint64 // incidents closed because too many were open
}

// Correlator joins signals. One goroutine uses it.
type Correlator struct {
	cfg     Config
	inside  func(packet.Addr) bool
	publish func(*Incident)

	nodes  *lru.Table[string, *node] // by host id
	owner  map[string]*node          // of each signal that is kept
	places *lru.Table[place, []*node]
	open   []*kase // in the order of opening
	born   uint64  // orders cases
	drawn  uint64  // new signals of all hosts, without what is usual
	now    packet.Time
	first  packet.Time
	stats  Stats
}

// node is a host.
type node struct {
	id      string
	key     detectors.HostKey // the address it had first
	first   packet.Time
	signals []*detectors.Signal // it acts
	reaches []reach             // of others on it, latest last
	habits  []ruleDays
	drawn   int // signals ever

	busy   float64 // see trade; faded to busyAt
	busyAt packet.Time
	of     *kase
}

// ruleDays counts the days (UTC) on which a host drew signals of a rule.
type ruleDays struct {
	rule string
	day  int64 // the last
	days int   // before it
}

// earlierDays notes the day of a signal and returns on how many days before the host drew one of its rule. The rule drawn
// least recently makes room.
func (n *node) earlierDays(s *detectors.Signal) int {
	day := int64(s.Start) / int64(24*time.Hour)
	old := 0
	for i := range n.habits {
		if h := &n.habits[i]; h.rule == s.Rule {
			if day > h.day {
				h.day, h.days = day, h.days+1
			}
			return h.days
		}
		if n.habits[i].day < n.habits[old].day {
			old = i
		}
	}
	if len(n.habits) < maxHabits {
		n.habits = append(n.habits, ruleDays{rule: s.Rule, day: day})
	} else {
		n.habits[old] = ruleDays{rule: s.Rule, day: day}
	}
	return 0
}

// toldOf says that another signal of the host tells of the same peer on that day: one act draws several.
func (n *node) toldOf(s *detectors.Signal) bool {
	return slices.ContainsFunc(n.signals, func(o *detectors.Signal) bool {
		return o.ID != s.ID && o.Peer == s.Peer && o.Start > s.Start-dependent && o.Start < s.Start+dependent
	})
}

// trade is how much the host does to others all the time: peers and days of which signals told of late, each half after a week.
func (n *node) trade(now packet.Time) float64 {
	return n.busy * math.Exp2(-float64(now-n.busyAt)/float64(7*24*time.Hour))
}

// reach is somebody's act that lets them act through the host.
type reach struct {
	by     *node
	signal string
	at     packet.Time
	drawn  int // signals that the host had drawn by itself before
}

// place is a destination that hosts of one intrusion share.
type place struct {
	domain string
	addr   packet.Addr
}

// kase is what hosts joined so far did (case is a word of Go's).
type kase struct {
	id       string // of its first signal
	number   uint64
	hosts    []*node
	moves    []Move
	last     packet.Time // end of the latest signal
	told     *Incident   // the last record; nil: never an incident
	isOpen   bool
	looked   packet.Time // when it was last judged for what is left of it
	toldAt   packet.Time
	revision int
	changed  bool
}

// New returns a correlator. Inside says whether an address is ours; publish takes each record over, in order.
func New(cfg Config, inside func(packet.Addr) bool, publish func(*Incident)) *Correlator {
	c := &Correlator{cfg: cfg, inside: inside, publish: publish, owner: map[string]*node{}}
	c.nodes = lru.New(cfg.MaxHosts, func(_ string, n **node) { c.forget(*n) })
	c.places = lru.New[place, []*node](maxPlaces, nil)
	return c
}

// Stats returns what was done so far.
func (c *Correlator) Stats() Stats {
	s := c.stats
	s.Hosts, s.Evicted, s.Open = c.nodes.Len(), c.nodes.Evicted(), len(c.open)
	return s
}

// hostID names a host in the tables.
func hostID(k detectors.HostKey, known *detectors.Known) string {
	if known.ID == "" || known.By == identity.ByAddress {
		return addressID(k)
	}
	return known.ID
}

func addressID(k detectors.HostKey) string { return k.Segment.String() + " " + k.Addr.String() }

// forget lets go of a host that the bound pushed out; an open incident keeps what it knows of it.
func (c *Correlator) forget(n *node) {
	for _, s := range n.signals {
		delete(c.owner, s.ID)
	}
	if k := n.of; k != nil && !k.isOpen {
		k.hosts = slices.DeleteFunc(k.hosts, func(o *node) bool { return o == n })
		n.of = nil
	}
}

// node returns the host that has an address. Tables go by host ids, since leases move; what was said of an address before
// its host was known is that host's, where it was there by then.
func (c *Correlator) node(k detectors.HostKey, known *detectors.Known) *node {
	address, id := addressID(k), hostID(k, known)
	p, isNew := c.nodes.Use(id)
	if !isNew {
		return *p
	}
	if id != address {
		if old := c.nodes.Get(address); old != nil && (*old).first >= known.Since {
			*p = *old
			(*p).id = id
			c.nodes.Delete(address)
			return *p
		}
	}
	*p = &node{id: id, key: k, first: c.now}
	return *p
}

// Take takes a signal over. Signals come in the order of packet time.
func (c *Correlator) Take(s *detectors.Signal) {
	if c.first == 0 {
		c.first = s.At
	}
	c.stats.Signals++
	c.Advance(s.At)
	if s.LLR <= 0 && !s.Reaches {
		return
	}
	n := c.node(s.Actor, &s.ActorHost)
	usual := n.earlierDays(s) >= habitDays
	if usual {
		less := *s
		less.LLR *= habit
		s = &less
	}
	isNew := c.keep(n, s)
	if isNew && s.Peer.Addr != (packet.Addr{}) && !n.toldOf(s) {
		n.busy, n.busyAt = n.trade(s.At)+1, s.At
	}
	k := n.of
	if k == nil {
		c.born++
		k = &kase{id: s.ID, number: c.born, hosts: []*node{n}}
		n.of = k
	}
	k.last, k.changed = max(k.last, s.End), true
	for _, cause := range s.Causes {
		by := c.owner[cause.ID]
		if by == nil || by == n {
			continue
		}
		if p := cause.P * aside(by.trade(s.At)); p > joinFrom {
			c.join(by, n, Move{From: by.key, To: n.key, At: s.Start, P: p, Signal: cause.ID})
		}
	}
	if isNew && !usual {
		c.drawn++
		c.comesFrom(n, s)
		c.shares(n, s)
	}
	if s.Reaches && !usual && s.Peer.Addr != (packet.Addr{}) && s.Peer != s.Actor {
		c.reached(n, s)
	}
	c.tell(n.of)
}

// keep puts a signal in its place; it says whether it is a new one.
func (c *Correlator) keep(n *node, s *detectors.Signal) (isNew bool) {
	if i := slices.IndexFunc(n.signals, func(o *detectors.Signal) bool { return o.ID == s.ID }); i >= 0 {
		n.signals[i] = s
		return false
	}
	n.drawn++
	if len(n.signals) >= maxSignals {
		c.stats.Dropped++
		light := 0
		for i, o := range n.signals {
			if o.LLR < n.signals[light].LLR {
				light = i
			}
		}
		delete(c.owner, n.signals[light].ID)
		n.signals = slices.Delete(n.signals, light, light+1)
	}
	n.signals = append(n.signals, s)
	c.owner[s.ID] = n
	return true
}

// comesFrom joins the host to the one that most likely acts through it.
func (c *Correlator) comesFrom(n *node, s *detectors.Signal) {
	var best reach
	p := joinFrom
	for _, r := range n.reaches {
		if q := c.cause(r, s); q > p && r.by != n {
			best, p = r, q
		}
	}
	if best.by != nil {
		c.join(best.by, n, Move{From: best.by.key, To: n.key, At: best.at, P: p, Signal: best.signal})
	}
}

// cause is the probability that the host's signal comes from a reach of it.
func (c *Correlator) cause(r reach, s *detectors.Signal) float64 {
	if s.Start+skew < r.at {
		return 0
	}
	watched := max(r.at.Sub(c.first).Minutes(), observedMin)
	drawn := float64(r.drawn) / watched
	site := float64(c.drawn) / (max(watched, siteMin) * float64(max(c.nodes.Len(), siteHosts))) // what any host draws by itself
	return cause(max(s.Start.Sub(r.at), 0), max(drawn, site)*rarer(s.LLR), r.by.trade(r.at))
}

// reached notes that n may act through the peer, and joins the peer's acts since then.
func (c *Correlator) reached(n *node, s *detectors.Signal) {
	p := c.node(s.Peer, &s.PeerHost)
	if p == n {
		return
	}
	i := slices.IndexFunc(p.reaches, func(r reach) bool { return r.signal == s.ID })
	if i < 0 {
		before := 0
		for _, o := range p.signals {
			if o.Start < s.Start {
				before++
			}
		}
		if len(p.reaches) >= maxReaches {
			p.reaches = slices.Delete(p.reaches, 0, 1)
		}
		p.reaches = append(p.reaches, reach{by: n, signal: s.ID, at: s.Start, drawn: before + p.drawn - len(p.signals)})
		i = len(p.reaches) - 1
	}
	for _, o := range slices.Clone(p.signals) {
		if o.Start < s.Start-skew {
			continue
		}
		if q := c.cause(p.reaches[i], o); q > joinFrom {
			c.join(n, p, Move{From: n.key, To: p.key, At: s.Start, P: q, Signal: s.ID})
		}
	}
}

// shares joins hosts that talk to the same place outside.
func (c *Correlator) shares(n *node, s *detectors.Signal) {
	if s.Stage != detectors.StageC2 && s.Stage != detectors.StageExfiltration {
		return
	}
	at := place{domain: s.Domain}
	if s.Domain == "" {
		if s.Peer.Addr == (packet.Addr{}) || c.inside(s.Peer.Addr) {
			return
		}
		at.addr = s.Peer.Addr
	}
	list, _ := c.places.Use(at)
	if slices.Contains(*list, n) {
		return
	}
	if len(*list) < maxUnder {
		*list = append(*list, n)
	}
	if under := len(*list); under > 1 && (under <= fewUnder || under < maxUnder && s.LLR >= strong) {
		c.join((*list)[0], n, Move{})
	}
}

// join makes one case of two; a move is noted where one host reached the other.
func (c *Correlator) join(a, b *node, m Move) {
	if a.of == nil || b.of == nil { // forgotten since
		return
	}
	if a.of != b.of && m.P > 0 && c.branch(a.of, b, m) {
		return
	}
	keep, gone := a.of, b.of
	if keep != gone {
		if len(keep.hosts)+len(gone.hosts) > MaxHosts {
			c.stats.Full++
			return
		}
		if keep.isOpen != gone.isOpen && gone.isOpen || keep.isOpen == gone.isOpen && gone.number < keep.number {
			keep, gone = gone, keep // an incident stays before a case that is none, else the older one
		}
		for _, n := range gone.hosts {
			n.of = keep
		}
		keep.hosts = append(keep.hosts, gone.hosts...)
		keep.moves = append(keep.moves, gone.moves...)
		keep.last, keep.changed = max(keep.last, gone.last), true
		if gone.isOpen {
			c.supersede(gone, keep)
		}
	}
	if m.P > 0 {
		keep.note(m)
	}
}

// branch takes a host that was reached out of a case of other things that it is part of, with those whom it reached since:
// what it does from then on is who reached it. It says false where that is the whole case: then the two are one.
func (c *Correlator) branch(to *kase, n *node, m Move) bool {
	from := n.of
	with := []*node{n}
	for i := 0; i < len(with); i++ {
		for _, next := range from.moves {
			if next.From != with[i].key || next.At < m.At-skew {
				continue
			}
			for _, o := range from.hosts {
				if o.key == next.To && !slices.Contains(with, o) {
					with = append(with, o)
				}
			}
		}
	}
	acting := 0
	for _, o := range from.hosts {
		if !slices.Contains(with, o) && len(o.signals) > 0 {
			acting++
		}
	}
	if acting == 0 || len(to.hosts)+len(with) > MaxHosts {
		return false
	}
	for _, o := range with {
		o.of = to
	}
	from.hosts = slices.DeleteFunc(from.hosts, func(o *node) bool { return slices.Contains(with, o) })
	keyed := func(k detectors.HostKey) bool {
		return slices.ContainsFunc(with, func(o *node) bool { return o.key == k })
	}
	for _, old := range from.moves {
		if keyed(old.From) && keyed(old.To) {
			to.note(old)
		}
	}
	from.moves = slices.DeleteFunc(from.moves, func(old Move) bool { return keyed(old.From) || keyed(old.To) })
	from.changed, to.changed, to.last = true, true, max(to.last, n.signals[len(n.signals)-1].End)
	to.note(m)
	return true
}

// note enters a move, once for each pair of hosts.
func (k *kase) note(m Move) {
	for i := range k.moves {
		if o := &k.moves[i]; o.From == m.From && o.To == m.To {
			o.P = max(o.P, m.P)
			return
		}
	}
	if len(k.moves) < 2*MaxHosts {
		k.moves = append(k.moves, m)
	}
}

// signals lists all signals of a case.
func (k *kase) signals() []*detectors.Signal {
	var all []*detectors.Signal
	for _, n := range k.hosts {
		all = append(all, n.signals...)
	}
	return all
}

// tell makes the record that is due after a case changed. A closed incident opens again under its id.
func (c *Correlator) tell(k *kase) {
	i := &Incident{}
	k.score(i, k.last)
	if !k.isOpen {
		if k.changed = false; i.Score < c.cfg.OpenNats && !i.Single {
			return
		}
		if len(c.open) >= maxOpen {
			c.stats.Overflow++
			c.close(c.quietest())
		}
		k.isOpen = true
		c.open = append(c.open, k)
		k.story(i, c.inside)
		c.say(k, i, detectors.StateOpen)
		return
	}
	if i.Severity() > k.told.Severity() || c.now-k.toldAt >= coalesce {
		c.update(k)
	}
}

// update says what is new.
func (c *Correlator) update(k *kase) {
	k.changed = false
	i := &Incident{}
	k.score(i, k.last)
	if k.story(i, c.inside); k.news(i) {
		c.say(k, i, detectors.StateUpdate)
	}
}

// news says whether a record would tell more than the last one.
func (k *kase) news(i *Incident) bool {
	t := k.told
	return i.Score >= t.Score+tellStep || i.Severity() > t.Severity() || len(i.Stages) > len(t.Stages) || len(i.Hosts) > len(t.Hosts) ||
		len(i.Moves) > len(t.Moves) || len(i.Domains) > len(t.Domains)
}

// Advance moves packet time: it makes the updates that waited, and closes what was quiet for long.
func (c *Correlator) Advance(now packet.Time) {
	if now <= c.now {
		return
	}
	c.now = now
	for n := 0; n < len(c.open); n++ {
		k := c.open[n]
		if now-k.last >= quietFor || k.fades(now, c.cfg.OpenNats) {
			c.close(k)
			n--
			continue
		}
		if k.changed && now-k.toldAt >= coalesce {
			c.update(k)
		}
	}
}

// fades says that an incident's evidence has lost so much of its weight by now that it is over.
func (k *kase) fades(now packet.Time, open float64) bool {
	if now-k.looked < lookEvery {
		return false
	}
	k.looked = now
	i := &Incident{}
	k.score(i, now)
	return i.Score < fadesTo*open
}

// Finish closes what is open.
func (c *Correlator) Finish() {
	for len(c.open) > 0 {
		c.close(c.open[0])
	}
}

// quietest is the open incident whose last signal is the oldest.
func (c *Correlator) quietest() *kase {
	best := c.open[0]
	for _, k := range c.open {
		if k.last < best.last {
			best = k
		}
	}
	return best
}

// close says an incident's last record.
func (c *Correlator) close(k *kase) {
	i := &Incident{}
	k.score(i, k.last)
	k.story(i, c.inside)
	c.leave(k)
	c.say(k, i, detectors.StateClose)
}

// supersede closes an incident that became part of another.
func (c *Correlator) supersede(gone, keep *kase) {
	i := *gone.told
	i.SupersededBy = keep.id
	c.leave(gone)
	c.say(gone, &i, detectors.StateClose)
	gone.hosts, gone.moves = nil, nil
}

// leave takes a case from those that are open.
func (c *Correlator) leave(k *kase) {
	k.isOpen = false
	c.open = slices.DeleteFunc(c.open, func(o *kase) bool { return o == k })
}

// say publishes a record.
func (c *Correlator) say(k *kase, i *Incident, s detectors.State) {
	k.revision++
	i.Revision, i.State, i.At = k.revision, s, c.now
	switch s {
	case detectors.StateOpen:
		c.stats.Opened++
	case detectors.StateUpdate:
		c.stats.Updated++
	case detectors.StateClose:
		c.stats.Closed++
	}
	k.told, k.toldAt, k.changed = i, c.now, false
	if c.publish != nil {
		c.publish(i)
	}
}
