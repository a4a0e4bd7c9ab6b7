package rpcseq

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Bounds and factors of the package comment, chosen by us.
const (
	maxSteps  = 48
	maxHabits = 1 << 15
	maxTrades = 1 << 13
	maxWaves  = 256
	maxNats   = 9.0
	uncertain = 0.75 // denied, or the interface is guessed
	sayAfter  = time.Minute
	keepSteps = time.Hour
)

// Detector is rules rpc.seq.*.
type Detector struct {
	cfg         Config
	controllers *windows.Controllers
	printers    *windows.PrintClients
	habits      *windows.Habits
	trades      *windows.Trades
	waves       *windows.Waves
	stories     *lru.Table[pair, story]
	tries       *lru.Table[pair, try]
	coerced     *lru.Table[detectors.HostKey, coerced]
	sessions    *lru.Table[pair, session]
	pending     map[uint64]episodeKey
	token       uint64
}

// pair is a client and a server.
type pair struct{ client, server detectors.HostKey }

func pairOf(c *flows.Conn) pair {
	return pair{detectors.HostKey{Segment: c.Segment, Addr: c.Orig}, detectors.HostKey{Segment: c.Segment, Addr: c.Resp}}
}

func (p pair) turned() pair { return pair{p.server, p.client} }

// episodeKey names a sequence between two hosts.
type episodeKey struct {
	pair
	seq index
}

// story is what a client did on a server lately.
type story struct {
	steps    []step
	episodes [numSequences]episode
	users    []string
	dropped  uint32 // steps that the bound pushed out
}

// step is something that was done.
type step struct {
	kind   kind
	text   string
	at     packet.Time // first
	last   packet.Time
	known  packet.Time // when it was last told of: it belongs to what happens within the window after
	count  uint32
	bytes  uint64
	total  bool // a file's second fact, at its close: it brings the size, not another act
	factor float64
	note   string // denied, guessed, sealed
	conn   flows.Conn
	ref    flows.Ref
}

// episode is one run of a sequence: a finding.
type episode struct {
	start   packet.Time // of its first step
	last    packet.Time // of its latest
	said    float64
	steps   int
	days    int  // earlier ones with this server
	trade   int  // with any, where they make it the client's trade; -1: by its role
	content bool // the trade is with this very program
	open    bool
	waiting bool
	dirty   bool
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	dcs, _ := windows.ParseControllers(cfg.DomainControllers)
	return &Detector{
		cfg: cfg, controllers: windows.NewControllers(dcs), habits: windows.NewHabits(maxHabits), trades: windows.NewTrades(maxTrades), waves: windows.NewWaves(maxWaves), printers: windows.NewPrintClients(),
		stories:  lru.New[pair, story](cfg.MaxPairs, nil),
		tries:    lru.New[pair, try](2*cfg.MaxPairs, nil),
		coerced:  lru.New[detectors.HostKey, coerced](1024, nil),
		sessions: lru.New[pair, session](2*cfg.MaxPairs, nil),
		pending:  map[uint64]episodeKey{},
	}
}

// Rules returns one rule for each sequence.
func (d *Detector) Rules() []*detectors.Rule {
	out := make([]*detectors.Rule, numSequences)
	for i := range sequences {
		out[i] = &sequences[i].rule
	}
	return out
}

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.stories.Evicted() + d.tries.Evicted() + d.coerced.Evicted() + d.sessions.Evicted() + d.habits.Evicted() + d.trades.Evicted() + d.waves.Evicted()
}

// RPC takes a call.
func (d *Detector) RPC(env detectors.Env, r *flows.RPC) {
	defer d.controllers.RPC(r) // a caller does not become a controller by this call
	d.cameToRogue(env, r)
	if r.Bind || r.Source == flows.FromNowhere || windows.NotThere(r) {
		return
	}
	if r.Interface == windows.Netlogon {
		d.secureChannel(env, r)
		return
	}
	if r.Interface == windows.CertPassage && r.Opnum == 0 && r.Outcome != flows.Failed {
		d.askedCertificate(env, r)
		return
	}
	d.printers.Learn(r, env.Batch())
	controller := d.controllers.Is(r.Segment, r.Orig) || r.Interface == windows.DRSUAPI && d.controllers.Invited(r)
	steps := call(r, env.Batch(), controller)
	if len(steps) == 0 {
		return
	}
	p := pairOf(&r.Conn)
	s := d.story(env.Now(), p)
	for _, st := range steps {
		st.factor = 1
		switch {
		case st.kind == coerce && r.Interface == windows.Spoolss && d.printers.Has(&r.Conn) && !d.controllers.Is(r.Segment, r.Resp):
			continue // a print client registers at its print server
		case st.kind != coerce && windows.Denied(r) || r.Outcome == flows.Failed:
			st.factor, st.note = uncertain, "refused: attempted only"
		case r.Source == flows.FromPipe:
			st.factor, st.note = uncertain, "interface known by the name of the pipe only"
		case r.Source == flows.FromMapper:
			st.factor, st.note = uncertain, "interface known by the endpoint mapper's answer only"
		case r.Encrypted:
			st.note = "contents sealed"
		case r.Outcome == flows.Unseen:
			st.note = "unanswered"
		}
		st.conn, st.ref = r.Conn, r.RequestRef
		if st.ref.Frame == 0 {
			st.ref = r.Ref
		}
		if st.kind == serviceCreate && s.find(serviceCreate, env.Now().Add(-sequences[service].window)) {
			d.enter(env.Now(), s, step{kind: again, text: "another service", factor: st.factor, conn: st.conn, ref: st.ref})
		}
		if st.kind == coerce {
			d.noteCoerced(max(r.RequestAt, 0), p)
		}
		began := env.Now()
		if r.RequestAt != 0 {
			began = r.RequestAt
		}
		d.enter(began, s, st)
	}
	s.user(windows.Printable(env.Batch().String(r.User)))
	d.judge(env, p, s, steps)
}

// SMB takes an operation on a share, a file or a pipe.
func (d *Detector) SMB(env detectors.Env, m *flows.SMB) {
	p := pairOf(&m.Conn)
	switch m.Op {
	case flows.SMBNegotiate, flows.SMBEncrypted:
		d.noteSession(env.Now(), p, m)
		return
	}
	st, ok := file(m, env.Batch())
	if !ok {
		return
	}
	st.factor, st.conn, st.ref = 1, m.Conn, m.Ref
	s := d.story(env.Now(), p)
	d.enter(env.Now(), s, st)
	s.user(windows.Printable(env.Batch().String(m.User)))
	d.judge(env, p, s, []step{st})
}

// story returns what is known of a pair, without what is too old to matter.
func (d *Detector) story(now packet.Time, p pair) *story {
	s, _ := d.stories.Use(p)
	s.steps = slices.DeleteFunc(s.steps, func(st step) bool { return now.Sub(st.known) > keepSteps })
	return s
}

// enter adds a step; one that says the same is counted.
func (d *Detector) enter(at packet.Time, s *story, st step) {
	st.at, st.last, st.known, st.count = at, at, at, 1
	for i := range s.steps {
		o := &s.steps[i]
		if o.kind == st.kind && o.text == st.text && at.Sub(o.last) <= usual {
			o.last, o.known, o.factor = at, max(o.known, at), max(o.factor, st.factor)
			o.bytes = max(o.bytes, st.bytes)
			if !st.total {
				o.count++
			}
			return
		}
	}
	if len(s.steps) >= maxSteps {
		s.steps = slices.Delete(s.steps, 0, 1)
		s.dropped++
	}
	s.steps = append(s.steps, st)
	slices.SortStableFunc(s.steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
}

func (s *story) find(k kind, since packet.Time) bool {
	return slices.ContainsFunc(s.steps, func(st step) bool { return st.kind == k && st.last >= since })
}

func (s *story) user(u string) {
	if u != "" && len(s.users) < 4 && !slices.Contains(s.users, u) {
		s.users = append(s.users, u)
	}
}

// judge looks at the sequences that new steps are parts of.
func (d *Detector) judge(env detectors.Env, p pair, s *story, fresh []step) {
	for i := range sequences {
		q := &sequences[i]
		concerned := slices.ContainsFunc(fresh, func(st step) bool {
			return slices.ContainsFunc(q.parts, func(x part) bool { return x.kind == st.kind })
		})
		if concerned && index(i) != zerologon {
			d.weigh(env, p, s, index(i))
		}
	}
}

// chosen is a step and what it contributes.
type chosen struct {
	step
	nats float64
}

// choose returns the steps of a sequence within its window before now, in their order, and their sum.
func (s *story) choose(q *sequence, now packet.Time) (steps []chosen, sum float64, present has) {
	var best [numKinds]float64
	for _, st := range s.steps {
		if now.Sub(st.known) <= q.window {
			present[st.kind] = true
		}
	}
	for _, st := range s.steps {
		if now.Sub(st.known) > q.window {
			continue
		}
		for _, x := range q.parts {
			if x.kind != st.kind {
				continue
			}
			c := chosen{step: st}
			if w := x.nats * st.factor; w > best[st.kind] { // a kind counts once, by its surest step
				c.nats = min(w-best[st.kind], maxNats-sum)
				best[st.kind] = w
			}
			sum += c.nats
			steps = append(steps, c)
		}
	}
	return steps, sum, present
}

// weigh decides whether a sequence is to be told.
func (d *Detector) weigh(env detectors.Env, p pair, s *story, i index) {
	q := &sequences[i]
	now := env.Now()
	steps, sum, present := s.choose(q, now)
	e := &s.episodes[i]
	if e.open && now.Sub(e.last) > max(q.window, usual) {
		*e = episode{waiting: e.waiting}
	}
	if !q.needs(present) {
		return
	}
	if !e.open {
		e.start = steps[0].at
		if q.habit {
			e.days = d.habits.Note(now, &steps[0].conn, uint64(i))
		}
	}
	if q.trade {
		d.trade(env, p, s, i, steps)
	}
	sum *= e.factor()
	if sum < d.cfg.MinNats {
		return
	}
	e.open, e.last, e.dirty = true, now, true
	if sum > e.said || len(steps) > e.steps {
		d.say(env, p, s, i)
		return
	}
	d.sayLater(env, episodeKey{p, i}, e)
}

// trade looks whether a sequence is the client's trade: gone through by the same user on other servers on three earlier
// days, or its role's. With the same program by the same path it is the same deployment: a habit.
func (d *Detector) trade(env detectors.Env, p pair, s *story, i index, steps []chosen) {
	e, user := &s.episodes[i], ""
	if len(s.users) > 0 {
		user = s.users[len(s.users)-1]
	}
	c := steps[0].conn
	what := sketch.Join(uint64(i), sketch.HashString(user))
	usual := d.trades.Account(env.Now(), &c, []byte(user))
	days := d.trades.Note(env.Now(), &c, what)
	e.trade, e.content = 0, false
	seen, programs := 0, 0
	for _, st := range steps {
		if st.kind != programWrite {
			continue
		}
		programs++
		if same := d.trades.Note(env.Now(), &c, sketch.Join(what, sketch.HashString(st.text))); windows.Familiar(same) {
			e.trade = same
			seen++
		}
	}
	switch {
	case programs > 0 && seen == programs: // one that is new is enough
		e.content = true
	case windows.Familiar(days):
		e.trade = days
	default:
		e.trade = 0
	}
	if e.trade == 0 && usual && windows.Administers(env, p.client) {
		e.trade = -1
	}
}

// factor is what habit or trade leave of the weight.
func (e *episode) factor() float64 {
	switch {
	case windows.Familiar(e.days), e.content:
		return windows.Discount
	case e.trade != 0:
		return windows.TradeDiscount
	}
	return 1
}

// sayLater asks for a word in a minute.
func (d *Detector) sayLater(env detectors.Env, k episodeKey, e *episode) {
	if !e.waiting {
		e.waiting = true
		d.token++
		d.pending[d.token] = k
		env.WakeAt(env.Now().Add(sayAfter), d.token)
	}
}

// Wake says what was not said for a minute.
func (d *Detector) Wake(env detectors.Env, token uint64) {
	k, ok := d.pending[token]
	if !ok {
		return
	}
	delete(d.pending, token)
	s := d.stories.Get(k.pair)
	if s == nil {
		return
	}
	e := &s.episodes[k.seq]
	e.waiting = false
	if !e.open || !e.dirty {
		return
	}
	if k.seq == zerologon {
		d.sayTries(env, k.pair, s)
		return
	}
	d.say(env, k.pair, s, k.seq)
}

// End says what was not said yet, in the order in which it came up.
func (d *Detector) End(env detectors.Env) {
	for _, token := range slices.Sorted(maps.Keys(d.pending)) {
		d.Wake(env, token)
	}
}

// say tells a sequence.
func (d *Detector) say(env detectors.Env, p pair, s *story, i index) {
	e := &s.episodes[i]
	steps, sum, _ := s.choose(&sequences[i], e.last)
	factor := e.factor()
	sum *= factor
	if len(steps) == 0 {
		return
	}
	e.said, e.steps, e.dirty = max(e.said, sum), max(e.steps, len(steps)), false
	f := finding(p, s, i, steps, sum, factor)
	if !sequences[i].trade {
		env.Emit(f)
		return
	}
	d.waves.Emit(env, f, false)
}
