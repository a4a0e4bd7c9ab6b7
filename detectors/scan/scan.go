package scan

import (
	"maps"
	"math"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/lru"
	"neuromast/detectors/stat"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Bounds of one source, chosen by us: a scanner fills one walk, an honest host none.
const (
	maxOutside   = 4 // services outside
	maxTargets   = 6 // hosts whose ports are tried
	maxVerticals = 3 // findings over the ports of one host before the rest become a block
)

// deadClients is how many clients of a failing service make it a dead server (detectors: the shared-failure test).
const deadClients = 5

// maxDead bounds the failing services whose clients are counted, 80 bytes each; a power of two. Two that share a place
// push each other out.
const maxDead = 1 << 14

// stealthStep is what a probe adds that no stack sends: ln 30, chosen by us because broken middle boxes exist.
var stealthStep = math.Log(30)

// headroom is how far above h a walk may climb, so that a scanner that turned honest comes down again.
const headroom = 20

// sayAfter is how long a growing finding waits before its numbers are said anew.
const sayAfter = time.Minute

// Detector is rule scan.trw.
type Detector struct {
	cfg      Config
	seen     *stat.Seen
	internal *lru.Table[detectors.HostKey, source]
	external *lru.Table[detectors.HostKey, source]
	dead     []clients // of failing services, each at the place of its hash
	site     site
	outside  outside
	alive    uint64 // flows of which one direction was seen though both must have been there
	twoWay   uint64
	pending  map[uint64]*walk
	token    uint64
	evicted  uint64 // walks lost with their source
}

// source is what is known of a host that contacts others.
type source struct {
	contacts, answered uint32
	failedOutside      uint32
	verticals          uint8 // alarms over the ports of one host in this episode
	lastVertical       packet.Time
	walks              []*walk
	met                *[metBefore]met // latest answered contacts
	numMet             uint32
}

// metBefore is how many answered contacts a source remembers, 112 bytes each.
const metBefore = 4

// met is an answered contact.
type met struct {
	probe
	newHost bool
	talked  bool
}

// clients are the first few that failed at a service.
type clients struct {
	target uint64
	hashes [deadClients + 3]uint64
	n      uint8
}

// Stats counts what the detector's bounds pushed out.
type Stats struct {
	Sources        int
	EvictedSources uint64
	EvictedWalks   uint64 // of those, tests that were under way
	EarlyForgotten uint64 // times that the memory of first contacts was cut short
}

// New returns the detector.
func New(cfg Config) *Detector {
	d := &Detector{cfg: cfg, seen: stat.NewSeen(cfg.MaxPairs, 24*time.Hour), pending: map[uint64]*walk{}}
	lost := func(_ detectors.HostKey, s *source) { d.evicted += uint64(len(s.walks)) }
	d.internal = lru.New(cfg.MaxSources, lost)
	d.external = lru.New(cfg.MaxSources, lost)
	d.dead = make([]clients, maxDead)
	return d
}

// Rules returns the rule.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{rule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Stats returns what the bounds cost so far.
func (d *Detector) Stats() Stats {
	return Stats{
		Sources:        d.internal.Len() + d.external.Len(),
		EvictedSources: d.internal.Evicted() + d.external.Evicted(),
		EvictedWalks:   d.evicted, EarlyForgotten: d.seen.Early(),
	}
}

// Flow takes the first record of a flow: by then, five minutes on at the latest, its outcome is known.
func (d *Detector) Flow(env detectors.Env, r *flows.Record) {
	if r.Report > 1 {
		return
	}
	switch {
	case !r.OneSided():
		d.twoWay++
	case wentOn(r):
		d.alive++
	}
	c, ok := contactOf(r)
	if !ok || c.outcome == silent && r.Proto != packet.ProtoTCP && d.blind() {
		return
	}
	d.first(env, &c)
}

// TLS, SMB and RPC take a connection that already talks for answered: long before its record comes, so that failures,
// which are known sooner, don't run ahead of successes.
func (d *Detector) TLS(env detectors.Env, t *flows.TLS) { d.met(env, &t.Conn, t.Ref) }

// SMB does the same.
func (d *Detector) SMB(env detectors.Env, s *flows.SMB) { d.met(env, &s.Conn, s.Ref) }

// RPC does the same.
func (d *Detector) RPC(env detectors.Env, r *flows.RPC) { d.met(env, &r.Conn, r.Ref) }

func (d *Detector) met(env detectors.Env, conn *flows.Conn, ref flows.Ref) {
	if conn.Proto != packet.ProtoTCP || conn.Orig == conn.Resp {
		return
	}
	d.first(env, &contact{
		actor:   detectors.HostKey{Segment: conn.Segment, Addr: conn.Orig},
		target:  detectors.HostKey{Segment: conn.Segment, Addr: conn.Resp},
		service: service{conn.Proto, conn.RespPort}, outcome: answered, talked: true, conn: *conn, ref: ref, at: conn.Start,
	})
}

// first looks whether a contact is the first of its pair and of its service.
func (d *Detector) first(env detectors.Env, c *contact) {
	actor, host := stat.HashAddr(c.actor.Addr), stat.HashAddr(c.target.Addr)
	pair := stat.Join(stat.Join(actor, host), uint64(c.actor.Segment))
	if !d.seen.Add(env.Now(), stat.Join(pair, uint64(c.service.proto)<<16|uint64(c.service.port))) {
		return
	}
	newHost := d.seen.Add(env.Now(), pair)
	d.contact(env, c, newHost, actor)
}

// blind says that most connections show one direction only: silence then proves nothing.
func (d *Detector) blind() bool { return d.alive >= 8 && d.alive > d.twoWay }

// contact steps the source's walks.
func (d *Detector) contact(env detectors.Env, c *contact, newHost bool, actor uint64) {
	inside := env.Internal(c.actor.Addr)
	table := d.external
	if inside {
		table = d.internal
	}
	failed := c.outcome.failed()
	if !inside && !failed && table.Get(c.actor) == nil {
		return // an external host that is welcome needs no state
	}
	s, _ := table.Use(c.actor)
	if newHost {
		s.contacts++
		if !failed {
			s.answered++
		}
		if inside {
			d.site.sample(s.answered, s.contacts)
		}
	}
	toInside := env.Internal(c.target.Addr)
	step := d.weight(env.Now(), c, toInside, actor)
	if !toInside {
		d.outside.add(env.Now(), actor, failed)
		if failed {
			s.failedOutside++
		}
	}
	for k := range overPortsOf {
		if !k.concerns(c, toInside, newHost) {
			continue
		}
		w := s.walk(env.Now(), k, c, failed)
		if w == nil {
			continue
		}
		if begun := w.add(c, step, d.cfg.Threshold+headroom); begun && failed {
			d.recall(env, s, w)
		}
		if k == overEchoes && failed && w.burst(c.at) && w.peak < d.cfg.Threshold {
			w.level, w.peak, w.lifted = d.cfg.Threshold, d.cfg.Threshold, true
		}
		d.decide(env, s, w)
	}
	if !failed {
		s.remember(c, newHost)
	}
}

// concerns says whether a contact is a step of a walk of the kind.
func (k kind) concerns(c *contact, toInside, newHost bool) bool {
	isEcho := c.service.port == 0
	switch k {
	case overHosts:
		return toInside && newHost && !isEcho
	case overEchoes:
		return toInside && isEcho
	case overOutside:
		return !toInside
	}
	return !isEcho
}

// remember keeps an answered contact. Silence is known a timeout later than an answer: the answers to what was tried after
// the first failure of a walk came before the walk.
func (s *source) remember(c *contact, newHost bool) {
	if s.met == nil {
		s.met = new([metBefore]met)
	}
	s.met[s.numMet%metBefore] = met{probe{c.target.Addr, c.service, c.conn, c.ref}, newHost, c.talked}
	s.numMet++
}

// recall counts the answers that are part of a walk that begins. They don't step it: one failure and an answer would
// have the walk begin anew.
func (d *Detector) recall(env detectors.Env, s *source, w *walk) {
	from := w.start
	for i := range min(s.numMet, metBefore) {
		m := &s.met[(max(s.numMet, metBefore)+i)%metBefore]
		c := contact{
			actor: w.actor, target: detectors.HostKey{Segment: m.conn.Segment, Addr: m.target}, service: m.service, outcome: answered,
			talked: m.talked, conn: m.conn, ref: m.ref, at: m.conn.Start,
		}
		toInside := env.Internal(m.target)
		if c.at < from || !w.kind.concerns(&c, toInside, m.newHost) || w.kind == overOutside && w.service != c.service ||
			w.kind == overPorts && w.target != c.target {
			continue
		}
		w.answer(&c)
	}
}

// weight is the step of a contact. Outside, where pages refer to what is gone and failures come in company, the test is
// never sharper than its authors made it.
func (d *Detector) weight(now packet.Time, c *contact, toInside bool, actor uint64) float64 {
	theta0, _ := d.site.theta0(d.cfg.Theta0)
	if !toInside {
		theta0 = min(theta0, d.cfg.Theta0)
	}
	failure, success := stat.Steps(theta0, d.cfg.Theta1)
	switch {
	case !c.outcome.failed():
		return success
	case c.stealth:
		failure = stealthStep
	}
	failure /= d.sharers(c, actor)
	if !toInside {
		failure /= d.outside.sharers(now, actor)
	}
	return failure
}

// sharers counts the clients that failed at the target, this one included, where they make it a dead server; else 1.
func (d *Detector) sharers(c *contact, actor uint64) float64 {
	of := stat.Join(stat.Join(stat.HashAddr(c.target.Addr), uint64(c.target.Segment)), uint64(c.service.proto)<<16|uint64(c.service.port))
	v := &d.dead[of%maxDead]
	if v.target != of {
		*v = clients{target: of}
	}
	known := false
	for _, h := range v.hashes[:v.n] {
		known = known || h == actor
	}
	if !known && int(v.n) < len(v.hashes) {
		v.hashes[v.n] = actor
		v.n++
	}
	if v.n < deadClients {
		return 1
	}
	return float64(v.n)
}

// walk returns the walk of a kind that a contact belongs to; one is begun by a failure only, since answers at zero
// leave it there.
func (s *source) walk(now packet.Time, k kind, c *contact, begin bool) *walk {
	room := 1
	switch k {
	case overOutside:
		room = maxOutside
	case overPorts:
		room = maxTargets
	}
	var victim *walk
	n := 0
	for _, w := range s.walks {
		if w.kind != k {
			continue
		}
		n++
		if k == overHosts || k == overEchoes || k == overOutside && w.service == c.service || k == overPorts && w.target == c.target {
			if now.Sub(w.last) > staleAfter {
				w.begin(progress{kind: k, actor: c.actor, target: w.target, service: w.service})
			}
			return w
		}
		if victim == nil || w.level < victim.level || w.level == victim.level && w.last < victim.last {
			victim = w
		}
	}
	if !begin {
		return nil
	}
	p := progress{kind: k, actor: c.actor}
	switch k {
	case overOutside:
		p.service = c.service
	case overPorts:
		p.target = c.target
	}
	if n >= room && !victim.waiting { // the calmest makes room, and nobody waits for its last word
		victim.begin(p)
		return victim
	}
	w := &walk{progress: p}
	if n < room {
		s.walks = append(s.walks, w)
		return w
	}
	for i := range s.walks { // the calmest makes room; its last word is still said by its Wake
		if s.walks[i] == victim {
			s.walks[i] = w
		}
	}
	return w
}

// decide says what a walk that was moved has come to.
func (d *Detector) decide(env detectors.Env, s *source, w *walk) {
	if w.alarmed {
		if w.level == 0 { // it came down: the episode is over
			d.say(env, w)
			w.begin(progress{kind: w.kind, actor: w.actor, target: w.target, service: w.service})
			return
		}
		if w.contacts() >= 2*w.said {
			d.say(env, w)
		} else if !w.waiting {
			w.waiting = true
			d.token++
			d.pending[d.token] = w
			env.WakeAt(env.Now().Add(sayAfter), d.token)
		}
		return
	}
	if w.level < d.cfg.Threshold || w.kind == overOutside && !alone(s, w) {
		return
	}
	if w.kind == overPorts {
		if w = d.fold(env, s, w); w == nil {
			return
		}
	}
	if !w.alarmed {
		w.alarmed, w.window = true, w.start
	}
	d.say(env, w)
}

// alone tells a sweep outside from a peer-to-peer program: one service holds half of the failures, and hardly any contact
// became a conversation.
func alone(s *source, w *walk) bool {
	return 2*w.failures() >= s.failedOutside && 5*w.talked < w.contacts()
}

// fold decides what an alarm over the ports of one host belongs to: a finding of its own, the block of the source, or
// nothing, where a finding over hosts tells it already.
func (d *Detector) fold(env detectors.Env, s *source, w *walk) *walk {
	now := env.Now()
	if now.Sub(s.lastVertical) > staleAfter {
		s.verticals = 0
	}
	s.lastVertical = now
	var block *walk
	for _, v := range s.walks {
		switch {
		case v.kind == overHosts && v.alarmed && env.Internal(w.target.Addr):
			v.adopt(w)
			w.level = 0 // told there; begin anew
			return nil
		case v.kind == overPortsOf:
			block = v
		}
	}
	if s.verticals < maxVerticals {
		s.verticals++
		return w
	}
	if block == nil {
		block = &walk{progress: progress{kind: overPortsOf, actor: w.actor}}
		s.walks = append(s.walks, block)
	} else if now.Sub(block.last) > staleAfter {
		block.begin(progress{kind: overPortsOf, actor: w.actor})
	}
	block.absorb(w)
	w.level = 0
	return block
}

// Wake says what was not said for a minute.
func (d *Detector) Wake(env detectors.Env, token uint64) {
	w := d.pending[token]
	if w == nil {
		return
	}
	delete(d.pending, token)
	w.waiting = false
	if w.alarmed && w.dirty {
		d.say(env, w)
	}
}

// End says what was not said yet, in the order in which it came up.
func (d *Detector) End(env detectors.Env) {
	for _, token := range slices.Sorted(maps.Keys(d.pending)) {
		d.Wake(env, token)
	}
}

// say emits the walk's finding.
func (d *Detector) say(env detectors.Env, w *walk) {
	if w.grew == 0 {
		w.grew = w.failures()
	}
	f := d.finding(env, w)
	if w.failures() >= 10*w.grew {
		w.grew, f.Grew = w.failures(), true
	}
	w.dirty, w.said = false, w.contacts()
	env.Emit(f)
}
