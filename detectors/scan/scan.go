package scan

import (
	"maps"
	"math"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/stat"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
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

// Detector is rules scan.trw, scan.burst and scan.slow.
type Detector struct {
	cfg      Config
	seen     *stat.Seen
	internal *lru.Table[detectors.HostKey, source]
	external *lru.Table[detectors.HostKey, source]
	dead     []clients // of failing services, each at the place of its hash
	arp      arp
	failed   *stat.Seen // who failed where, for thirty days
	awake    *stat.Seen // internal addresses that sent something in thirty days
	usual    usuals
	began    packet.Time      // of the first flow
	found    map[uint64]*walk // services that alarmed walks were answered by, until somebody uses them
	swept    uint64           // token when found was last rid of what is over
	site     site
	h        float64 // what is configured, or more where the site has many contacts
	outside  outside
	alive    uint64 // flows of which one direction was seen though both must have been there
	twoWay   uint64
	heard    [256]heard // each at the place of its connection
	steps    [2]steps   // inside and outside, as last used
	pending  map[uint64]*walk
	token    uint64
}

// source is what is known of a host that contacts others.
type source struct {
	contacts, answered uint32 // inside, over hosts
	failedOutside      uint32
	verticals          uint8 // alarms over the ports of one host in this episode
	lastVertical       packet.Time
	walks              []*walk
	fan                *fan
	habit              *habit
	hour               int64 // of its latest first contact, since 1970
	role               hostgraph.Role
	born               packet.Time
	talks              [2]uint16       // first contacts inside that became conversations, in this hour and the last
	met                *[metBefore]met // latest answered contacts
	numMet             uint32
}

// metBefore is how many answered contacts a source remembers, 112 bytes each.
const metBefore = 4

// heard is a connection whose facts were taken for an answer, and in which era of the memory of contacts.
type heard struct {
	conn, era uint64
	port      uint16
}

// steps is how far a failure and a success move a test.
type steps struct{ theta0, failure, success float64 }

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

// New returns the detector.
func New(cfg Config) *Detector {
	d := &Detector{cfg: cfg, h: cfg.Threshold, seen: stat.NewSeen(cfg.MaxPairs, 24*time.Hour), pending: map[uint64]*walk{}, found: map[uint64]*walk{}, arp: newARP()}
	d.failed, d.awake = stat.NewSeen(cfg.MaxFailed, 30*24*time.Hour), stat.NewSeen(cfg.MaxAlive, 30*24*time.Hour)
	d.internal = lru.New[detectors.HostKey, source](cfg.MaxSources, nil)
	d.external = lru.New[detectors.HostKey, source](cfg.MaxSources, nil)
	d.dead = make([]clients, maxDead)
	return d
}

// Rules returns the rules.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{rule, burstRule, slowRule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many sources the bounds pushed out.
func (d *Detector) Evicted() uint64 { return d.internal.Evicted() + d.external.Evicted() }

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
	if d.first(env, &c) {
		d.arp.speaks(macKey(r.Segment, r.OrigMAC), r.Orig, !env.Internal(r.Orig))
		if r.Total[flows.Resp].Packets > 0 {
			d.arp.speaks(macKey(r.Segment, r.RespMAC), r.Resp, !env.Internal(r.Resp))
		}
	}
}

// Auth takes who lets whom in: a scanner of the house may log in by its own accounts, as those do that look for what is not
// patched; one that does so by new accounts is no mere scanner.
func (d *Detector) Auth(env detectors.Env, a *flows.Auth) {
	if a.Outcome != flows.Succeeded || a.Anonymous {
		return
	}
	if s := d.internal.Get(detectors.HostKey{Segment: a.Segment, Addr: a.Orig}); s != nil && s.habit != nil {
		s.habit.login(env.Now(), hashOf(detectors.HostKey{Segment: a.Segment, Addr: a.Resp}), sketch.Hash(env.Batch().Bytes(a.User)))
	}
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
	now := heard{conn.ID, d.seen.Era(env.Now()), conn.RespPort}
	last := &d.heard[conn.ID%uint64(len(d.heard))]
	if *last == now && now.conn != 0 && len(d.found) == 0 {
		return // a connection tells many facts, and the first said all
	}
	d.first(env, &contact{
		actor:   detectors.HostKey{Segment: conn.Segment, Addr: conn.Orig},
		target:  detectors.HostKey{Segment: conn.Segment, Addr: conn.Resp},
		service: service{conn.Proto, conn.RespPort}, outcome: answered, talked: true, conn: *conn, ref: ref, at: conn.Start,
	})
	if d.seen.Era(env.Now()) == now.era { // else the contact may stand in an older filter
		*last = now
	}
}

// first looks whether a contact is the first of its pair and of its service, and says the former.
func (d *Detector) first(env detectors.Env, c *contact) bool {
	actor, host := sketch.HashAddr(c.actor.Addr), sketch.HashAddr(c.target.Addr)
	pair := sketch.Join(sketch.Join(actor, host), uint64(c.actor.Segment))
	asked := sketch.Join(pair, uint64(c.service.proto)<<16|uint64(c.service.port))
	if !d.seen.Add(env.Now(), asked) {
		if c.talked && len(d.found) > 0 {
			d.use(env, c, asked)
		}
		return false
	}
	if c.mild { // another question to the same host, which may be answered yet
		pair = sketch.Mix(pair)
	}
	newHost := d.seen.Add(env.Now(), pair)
	if newHost {
		if d.began == 0 {
			d.began = env.Now()
		}
		if c.outcome == answered && env.Internal(c.target.Addr) {
			d.awake.Add(env.Now(), sketch.Join(host, uint64(c.target.Segment)))
		}
		if env.Internal(c.actor.Addr) {
			d.awake.Add(env.Now(), sketch.Join(actor, uint64(c.actor.Segment)))
		}
	}
	d.contact(env, c, newHost, actor, asked)
	return newHost
}

// blind says that most connections show one direction only: silence then proves nothing.
func (d *Detector) blind() bool { return d.alive >= 8 && d.alive > d.twoWay }

// contact steps the source's walks.
func (d *Detector) contact(env detectors.Env, c *contact, newHost bool, actor, asked uint64) {
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
	if inside {
		d.turn(env, c.actor, s)
	}
	toInside := env.Internal(c.target.Addr)
	if inside && toInside && newHost && !c.mild {
		s.contacts++
		if !failed {
			s.answered++
		}
		d.site.sample(s.answered, s.contacts)
		if d.site.count(env.Now()) {
			d.h = max(d.cfg.Threshold, min(d.site.h(d.cfg.FalseADay), d.cfg.Threshold+maxRaise))
		}
	}
	if c.knocked && (!inside || !toInside || !d.failed.Add(env.Now(), sketch.Join(sketch.Join(actor, uint64(c.actor.Segment)), c.hash()))) {
		c.knocked = false // what it does to the same host within thirty days is its custom
	}
	step, dead := d.weight(env.Now(), c, toInside, actor)
	if s.habit != nil && toInside {
		s.habit.note(env.Now(), c.service, c.target.Addr)
	}
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
		w := s.walk(env.Now(), k, c, c.missed())
		if w == nil {
			continue
		}
		if begun := w.add(c, step, d.h+headroom); begun && failed {
			d.recall(env, s, w)
		}
		if k == overEchoes && failed && w.burst(c.at) && w.peak < d.h {
			w.level, w.peak, w.lifted = d.h, d.h, true
		}
		d.decide(env, s, w)
		if w.alarmed && !failed {
			d.find(asked, w)
		}
	}
	if inside && toInside {
		d.fanOut(env, s, c, dead)
	}
	if !failed {
		s.remember(c, newHost)
	}
}

// concerns says whether a contact is a step of a walk of the kind.
func (k kind) concerns(c *contact, toInside, newHost bool) bool {
	isEcho := c.service.port == 0
	if c.mild {
		return k == overHosts && toInside && newHost
	}
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
func (d *Detector) weight(now packet.Time, c *contact, toInside bool, actor uint64) (step float64, dead bool) {
	theta0, _ := d.site.theta0(d.cfg.Theta0)
	known := &d.steps[0]
	if !toInside {
		theta0, known = min(theta0, d.cfg.Theta0), &d.steps[1]
	}
	if known.theta0 != theta0 { // its logarithms are worth keeping
		known.theta0 = theta0
		known.failure, known.success = stat.Steps(theta0, d.cfg.Theta1)
	}
	failure, success := known.failure, known.success
	switch {
	case c.looked:
		return failure, false
	case c.knocked:
		return failure * knockShare, false
	case !c.outcome.failed():
		return success, false
	case c.stealth:
		failure = stealthStep
	case c.mild:
		failure *= mildShare
	}
	sharers := d.sharers(c, actor)
	failure /= sharers
	if !toInside {
		failure /= d.outside.sharers(now, actor)
	}
	return failure, sharers > 1
}

// bound is the h that a walk met, or would have to meet.
func (d *Detector) bound(w *walk) float64 {
	if w.h > 0 {
		return w.h
	}
	return d.h
}

// sharers counts the clients that failed at the target, this one included, where they make it a dead server; else 1.
func (d *Detector) sharers(c *contact, actor uint64) float64 {
	n := place(d.dead, c.hash(), actor)
	if n < deadClients {
		return 1
	}
	return float64(n)
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
		if k == overHosts || k == overEchoes || k == overNeighbours || k == overOutside && w.service == c.service || k == overPorts && w.target == c.target {
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
			d.say(env, s, w)
			w.begin(progress{kind: w.kind, actor: w.actor, target: w.target, service: w.service})
			return
		}
		d.grow(env, s, w)
		return
	}
	if w.level < d.h || w.kind == overOutside && !alone(s, w) {
		return
	}
	if s.fan.tells(env.Now()) && (w.kind == overHosts || w.kind == overEchoes || w.kind == overPorts && env.Internal(w.target.Addr)) {
		s.fan.absorbs = max(s.fan.absorbs, min(maxWeight, w.peak-d.h+3)) // one scan, one finding
		w.level = 0
		s.fan.walk.dirty = true
		d.grow(env, s, &s.fan.walk)
		return
	}
	if w.kind == overHosts && w.failures() == 0 { // knocks alone: those of a block are told there
		if i := slices.IndexFunc(s.walks, func(v *walk) bool { return v.kind == overPortsOf && v.alarmed }); i >= 0 {
			s.walks[i].adopt(w)
			w.level = 0
			return
		}
	}
	if w.kind == overPorts {
		if w = d.fold(env, s, w); w == nil {
			return
		}
	}
	if !w.alarmed {
		w.alarmed, w.window, w.fan, w.h = true, w.start, nil, d.h
		if w.kind != overOutside && env.Internal(w.actor.Addr) {
			w.fan = s.fan
		}
	}
	d.grow(env, s, w)
}

// grow says what an alarmed walk tells: at once the first time and when it has doubled, else within a minute; where the
// finding is closed by then, within a day, so that a slow scan is not a record for each probe.
func (d *Detector) grow(env detectors.Env, s *source, w *walk) {
	now := env.Now()
	if w.said == 0 || w.contacts() >= 2*w.said {
		d.say(env, s, w)
		return
	}
	if w.waiting {
		return
	}
	after := sayAfter
	if now.Add(sayAfter).Sub(w.spoke) >= detectors.Quiet {
		after = staleAfter
	}
	d.later(env, w, after)
}

// later asks for a Wake of a walk.
func (d *Detector) later(env detectors.Env, w *walk, after time.Duration) {
	w.waiting = true
	d.token++
	d.pending[d.token] = w
	env.WakeAt(env.Now().Add(after), d.token)
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

// Wake says what was not said for a minute, or a day.
func (d *Detector) Wake(env detectors.Env, token uint64) {
	if token == arpToken {
		d.wakeARP(env)
		return
	}
	w := d.pending[token]
	if w == nil {
		return
	}
	delete(d.pending, token)
	w.waiting = false
	switch {
	case w.alarmed && w.dirty:
		d.say(env, nil, w)
	case w.kind == overAll && !w.alarmed && (w.fan.burst.given() || w.fan.slow.given()):
		d.sayFan(env, w.fan.owner)
	}
}

// End says what was not said yet, in the order in which it came up.
func (d *Detector) End(env detectors.Env) {
	d.answerARP(env, env.Now())
	for _, token := range slices.Sorted(maps.Keys(d.pending)) {
		d.Wake(env, token)
	}
}

// say emits the walk's finding. A source is given where it may be the first time.
func (d *Detector) say(env detectors.Env, s *source, w *walk) {
	if w.grew == 0 {
		w.grew = max(1, w.failures())
	}
	if s != nil && w.habit == nil && env.Internal(w.actor.Addr) && w.kind != overOutside {
		if s.habit == nil {
			s.habit = new(habit)
			for _, t := range w.services {
				s.habit.note(env.Now(), t.service, w.actor.Addr)
			}
			s.habit.todayNets.Reset()
			for _, t := range w.tried {
				s.habit.note(env.Now(), t.service, t.target)
			}
		}
		w.habit = s.habit
	}
	if s != nil && w.said == 0 {
		for _, p := range w.open {
			pair := sketch.Join(sketch.Join(sketch.HashAddr(w.actor.Addr), sketch.HashAddr(p.target)), uint64(w.actor.Segment))
			d.find(sketch.Join(pair, uint64(p.service.proto)<<16|uint64(p.service.port)), w)
		}
	}
	f := d.finding(env, w)
	if w.habit != nil {
		w.habit.turn(env.Now())
		w.habit.isPositive = true
		d.knownScanner(env, f, w)
	}
	if w.failures() >= 10*w.grew {
		w.grew, f.Grew = w.failures(), true
	}
	w.dirty, w.said, w.spoke = false, max(1, w.contacts()), env.Now()
	env.Emit(f)
}

// maxFound bounds the services found that are watched for use.
const maxFound = 4096

// find remembers a service that answered an alarmed walk.
func (d *Detector) find(asked uint64, w *walk) {
	if len(d.found) >= maxFound && d.token != d.swept { // at most once for each thing that was to be said later
		d.swept = d.token
		maps.DeleteFunc(d.found, func(_ uint64, w *walk) bool { return !w.alarmed })
	}
	if len(d.found) < maxFound {
		d.found[asked] = w
	}
}

// use takes a later connection with data to a service that a scan found: discovery became use.
func (d *Detector) use(env detectors.Env, c *contact, asked uint64) {
	w := d.found[asked]
	if w == nil || !w.alarmed || c.at <= w.start {
		return
	}
	for _, p := range w.open {
		if p.conn.ID == c.conn.ID && c.conn.ID != 0 {
			return // the scan's own connection, told again
		}
	}
	delete(d.found, asked)
	w.used++
	if len(w.uses) < maxOpen {
		w.uses = append(w.uses, probe{c.target.Addr, c.service, c.conn, c.ref})
	}
	w.dirty = true
	d.say(env, nil, w)
}
