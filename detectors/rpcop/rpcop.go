package rpcop

import (
	"maps"
	"math"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// The factors of the package comment, chosen by us.
const (
	rest          = 0.3 // of the weight of operations beside the heaviest
	denied        = 0.75
	guessed       = 0.75 // interface by pipe name or mapper
	invited       = 0.2  // a pull that looks like a partner's
	printClient   = 0.1
	maxNats       = 9.0
	maxDiscovery  = 2.0
	fanOut        = 0.5
	maxFanOut     = 1.5
	fanOutFrom    = 3
	accessCheck   = 1.0 // the service manager opened and closed, nothing else asked
	sayAfter      = time.Minute
	maxOps        = 16 // rows kept of an hour
	maxSpread     = 64 // servers counted of a client's discovery
	longRequest   = 1024
	longNames     = 4096 // four names of 256 characters, and as much again
	longPrinter   = 8192 // a printer's name and a device's settings
	bigAnswer     = 4096
	windowsOpen   = 4096 // clients whose spread is counted
	maxWaves      = 512
	tradeFrom     = 0.5 // nats of an operation: what every workstation looks up needs no memory
	opCloseHandle = 0   // RCloseServiceHandle, MS-SCMR 3.1.4.1
)

// Detector is rules rpc.op.*.
type Detector struct {
	cfg         Config
	rows        map[rowKey]row
	habits      *windows.Habits
	trades      *windows.Trades
	waves       *windows.Waves
	controllers *windows.Controllers
	printers    *windows.PrintClients
	hours       *lru.Table[hourKey, hour]
	spread      *lru.Table[detectors.HostKey, spread]
	pending     map[uint64]hourKey
	token       uint64
}

// hourKey names what a finding is about.
type hourKey struct {
	client, server detectors.HostKey
	family         family
}

// hour is what one client did to one server within one hour of packet time.
type hour struct {
	start       packet.Time
	first, last packet.Time
	ops         []done
	conns       []flows.Conn
	refs        []flows.Ref
	users       []string
	details     []string // names from stubs in clear
	others      uint32   // calls of rows beyond maxOps
	servers     int      // of the client's discovery, when last looked
	said        float64  // weight last said
	saidOps     int
	checked     bool // the service manager was opened and closed only
	same, other bool // services created: of a name that the client made elsewhere on three earlier days; of another
	waiting     bool
	dirty       bool
}

// done is one row of the table as it was called.
type done struct {
	row     row
	weight  float64 // after all factors: of the heaviest call
	factor  float64
	calls   uint32
	denied  uint32
	failed  uint32
	unseen  uint32 // without an answer
	sealed  uint32
	days    int  // earlier days with this server
	trade   int  // with any, where those are enough to be the client's trade; -1: by its role
	same    bool // a deployment that others got on three earlier days
	source  flows.Source
	pipe    string
	ret     uint32
	hasRet  bool
	invited bool
	printer bool // the caller opened a printer by name before
}

// spread is on which servers a client does discovery in the current hour.
type spread struct {
	start   packet.Time
	servers []packet.Addr
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	dcs, _ := windows.ParseControllers(cfg.DomainControllers)
	return &Detector{
		cfg: cfg, rows: index(), habits: windows.NewHabits(cfg.MaxHabits), trades: windows.NewTrades(cfg.MaxHabits), waves: windows.NewWaves(maxWaves), controllers: windows.NewControllers(dcs),
		printers: windows.NewPrintClients(),
		hours:    lru.New[hourKey, hour](cfg.MaxHours, nil),
		spread:   lru.New[detectors.HostKey, spread](windowsOpen, nil),
		pending:  map[uint64]hourKey{},
	}
}

// Rules returns one rule for each family.
func (d *Detector) Rules() []*detectors.Rule {
	out := make([]*detectors.Rule, 0, numFamilies)
	for i := range families {
		out = append(out, &families[i].rule)
	}
	return out
}

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.habits.Evicted() + d.trades.Evicted() + d.waves.Evicted() + d.hours.Evicted() + d.spread.Evicted()
}

// Flow learns who is a domain controller.
func (d *Detector) Flow(_ detectors.Env, r *flows.Record) { d.controllers.Flow(r) }

// RPC weighs a call.
func (d *Detector) RPC(env detectors.Env, r *flows.RPC) {
	defer d.controllers.RPC(r) // a caller does not become a controller by this call
	if r.Bind || r.Source == flows.FromNowhere || windows.NotThere(r) {
		return
	}
	if r.Interface == windows.Svcctl && r.Opnum == opCloseHandle {
		d.closed(env, r)
		return
	}
	d.printers.Learn(r, env.Batch())
	w, ok := d.rows[rowKey{r.Interface, r.Opnum}]
	if !ok {
		return
	}
	b := env.Batch()
	c := done{row: w, factor: 1, source: r.Source, pipe: windows.Printable(b.String(r.Pipe)), ret: r.Return, hasRet: r.HasReturn}
	if !d.holds(&c, r, b) {
		return
	}
	c.days = d.habits.Note(env.Now(), &r.Conn, w.index)
	client := detectors.HostKey{Segment: r.Segment, Addr: r.Orig}
	if byTrade(w.op.family) && w.op.weight >= tradeFrom {
		c.trade = d.trade(env, r, b, client, w)
	}
	switch {
	case windows.Familiar(c.days):
		c.factor *= windows.Discount
	case c.trade != 0:
		c.factor *= windows.TradeDiscount
	}
	refused := windows.Denied(r)
	if w.op.family == coercion {
		refused = refused && r.Outcome == flows.Failed
	}
	if refused {
		c.factor *= denied
		c.denied = 1
	} else if r.Outcome == flows.Failed {
		c.failed = 1
	}
	if r.Outcome == flows.Unseen {
		c.unseen = 1
	}
	if r.Encrypted {
		c.sealed = 1
	}
	if r.Source != flows.FromBind {
		c.factor *= guessed
	}
	c.weight, c.calls = w.op.weight*c.factor, 1

	key := hourKey{
		client, detectors.HostKey{Segment: r.Segment, Addr: r.Resp}, w.op.family,
	}
	h := d.hour(env, key)
	if r.Interface == windows.Svcctl && createsService(r.Opnum) {
		d.sameService(env, r, b, h)
	}
	h.add(c)
	h.prove(r, b)
	if t := detail(r, b); t != "" && !slices.Contains(h.details, t) && len(h.details) < 8 {
		h.details = append(h.details, t)
	}
	if w.op.family == discovery && w.op.weight >= 0.5 && !windows.Familiar(c.days) && c.trade == 0 {
		h.servers = d.spreads(env.Now(), key)
	}
	d.decide(env, key, h)
}

// holds says whether a row's further condition is met; it may lower the factor.
func (d *Detector) holds(c *done, r *flows.RPC, b *flows.Batch) bool {
	switch c.row.op.only {
	case notDC:
		if d.controllers.Is(r.Segment, r.Orig) {
			return false
		}
		if d.controllers.Invited(r) {
			c.invited = true
			c.factor = invited
		}
	case stopCode:
		if code, ok := windows.ReadControl(b.Bytes(r.Stub)); ok && !r.Encrypted {
			return code == 1 // SERVICE_CONTROL_STOP, MS-SCMR 3.1.4.2
		}
		c.factor = 0.5 // sealed: to stop is one thing among a dozen
	case allEntries:
		stub := b.Bytes(r.Stub)
		everything := !r.Encrypted && len(stub) >= 4 && stub[0] == 0 && stub[1] == 0 && stub[2] == 0 && stub[3] == 0
		return everything || r.ReplyLen > bigAnswer
	case noPrinter:
		if d.printers.Has(&r.Conn) && !d.controllers.Is(r.Segment, r.Resp) {
			c.printer = true
			c.factor = printClient
		}
	case longStub:
		return r.StubLen > longRequest
	case longUnproved: // the security of the call, and the user of the session that carries it
		return r.AuthLevel <= 1 && anonymous(b.Bytes(r.User)) && r.StubLen > longest(c.row.iface.id)
	}
	return true
}

// longest is what requests of an interface take at most.
func longest(id flows.UUID) uint32 {
	switch id {
	case windows.Netlogon:
		return longNames
	case windows.Spoolss:
		return longPrinter
	}
	return longRequest
}

// anonymous says that a user's name, DOMAIN\user, is empty.
func anonymous(user []byte) bool { return len(user) == 0 || len(user) == 1 && user[0] == '\\' }

// hour returns the current hour of a key, begun anew where the last one is over: what it came to is said first.
func (d *Detector) hour(env detectors.Env, k hourKey) *hour {
	now := env.Now()
	start := now - now%packet.Time(time.Hour)
	h, isNew := d.hours.Use(k)
	if !isNew && h.start != start && h.dirty {
		d.say(env, k, h)
	}
	if isNew || h.start != start {
		*h = hour{start: start, first: now, waiting: h.waiting}
	}
	h.last = now
	return h
}

// add enters a call.
func (h *hour) add(c done) {
	for i := range h.ops {
		o := &h.ops[i]
		if o.row.index != c.row.index {
			continue
		}
		o.calls++
		o.denied += c.denied
		o.failed += c.failed
		o.unseen += c.unseen
		o.sealed += c.sealed
		if c.weight > o.weight {
			o.weight, o.factor, o.source, o.pipe, o.invited, o.printer = c.weight, c.factor, c.source, c.pipe, c.invited, c.printer
			o.days, o.trade = c.days, c.trade
		}
		if c.hasRet {
			o.ret, o.hasRet = c.ret, true
		}
		return
	}
	if len(h.ops) >= maxOps {
		h.others++
		return
	}
	h.ops = append(h.ops, c)
}

// prove keeps connection, frames and user.
func (h *hour) prove(r *flows.RPC, b *flows.Batch) {
	if !slices.ContainsFunc(h.conns, func(c flows.Conn) bool { return c.ID == r.Conn.ID }) && len(h.conns) < detectors.MaxFlows {
		h.conns = append(h.conns, r.Conn)
	}
	ref := r.RequestRef
	if ref.Frame == 0 {
		ref = r.Ref
	}
	if len(h.refs) < detectors.MaxRefs {
		h.refs = append(h.refs, ref)
	}
	if r.User.Len > 0 && len(h.users) < 4 {
		if u := windows.Printable(b.String(r.User)); !slices.Contains(h.users, u) {
			h.users = append(h.users, u)
		}
	}
}

// byTrade says that calls of a family are some people's trade, which takes them to ever new servers. What reads secrets,
// runs programs through objects or breaks in is nobody's.
func byTrade(f family) bool {
	return f == service || f == task || f == accounts || f == discovery || f == shutdown
}

// trade returns on how many earlier days the client called the operation of other servers as the same user, if those make
// it the client's trade; -1 where its role does, for an account that it works with.
func (d *Detector) trade(env detectors.Env, r *flows.RPC, b *flows.Batch, client detectors.HostKey, w row) int {
	user := b.Bytes(r.User)
	days := d.trades.Note(env.Now(), &r.Conn, sketch.Join(uint64(w.index), sketch.Hash(user)))
	usual := d.trades.Account(env.Now(), &r.Conn, user)
	switch {
	case windows.Familiar(days):
		return days
	case usual && windows.Administers(env, client):
		return -1
	}
	return 0
}

// sameService looks at the name of a service that is created, where it can be read: one that the client made on other servers, as
// the same user, on three earlier days is the same deployment.
func (d *Detector) sameService(env detectors.Env, r *flows.RPC, b *flows.Batch, h *hour) {
	s, ok := windows.Service{}, false
	if !r.Encrypted {
		s, ok = windows.ReadService(b.Bytes(r.Stub), r.Opnum != 24 && r.Opnum != 44)
	}
	if ok && windows.Familiar(d.trades.Note(env.Now(), &r.Conn, sketch.Join(sketch.Hash(b.Bytes(r.User)), sketch.HashString(s.Name+"\x00"+s.Image)))) {
		h.same = true
	} else {
		h.other = true
	}
}

// createsService says that a svcctl operation makes a service.
func createsService(num uint16) bool {
	return num == 12 || num == 24 || num == 44 || num == 45 || num == 60
}

// spreads counts the servers, new to the client, on which it does discovery in this hour, this one included.
func (d *Detector) spreads(now packet.Time, k hourKey) int {
	start := now - now%packet.Time(time.Hour)
	s, isNew := d.spread.Use(k.client)
	if isNew || s.start != start {
		*s = spread{start: start}
	}
	if !slices.Contains(s.servers, k.server.Addr) && len(s.servers) < maxSpread {
		s.servers = append(s.servers, k.server.Addr)
	}
	return len(s.servers)
}

// closed looks at a service manager's handle that is closed: where it was opened and nothing else was asked, the caller
// tested whether it is an administrator there.
func (d *Detector) closed(env detectors.Env, r *flows.RPC) {
	client, server := detectors.HostKey{Segment: r.Segment, Addr: r.Orig}, detectors.HostKey{Segment: r.Segment, Addr: r.Resp}
	key := hourKey{client, server, discovery}
	h := d.hours.Get(key)
	if h == nil || h.checked || env.Now().Sub(h.last) > time.Minute {
		return
	}
	if s := d.hours.Get(hourKey{client, server, service}); s != nil && s.start == h.start {
		return
	}
	opened := false
	for _, o := range h.ops {
		switch {
		case o.row.iface.id != windows.Svcctl:
		case opensManager(o.row.op.num):
			opened = true
		default:
			return
		}
	}
	if opened {
		h.checked = true
		d.decide(env, key, h)
	}
}

// opensManager says that a svcctl operation opens the service manager.
func opensManager(num uint16) bool { return num == 15 || num == 27 || num == 64 }

// weights returns the sum and the rows, heaviest first, with what each contributes.
func (h *hour) weights(f family) (sum float64, rows []done, shares []float64) {
	rows = slices.Clone(h.ops)
	if h.checked {
		for i := range rows {
			if rows[i].row.iface.id == windows.Svcctl && opensManager(rows[i].row.op.num) {
				rows[i].weight = accessCheck * rows[i].factor
			}
		}
	}
	if h.same && !h.other {
		for i := range rows {
			if rows[i].trade != 0 && !windows.Familiar(rows[i].days) {
				rows[i].weight *= windows.Discount / windows.TradeDiscount
				rows[i].same = true
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b done) int {
		switch {
		case a.weight > b.weight:
			return -1
		case a.weight < b.weight:
			return 1
		}
		return 0
	})
	for i, o := range rows {
		share := o.weight
		if i > 0 {
			share *= rest
		}
		limit := maxNats
		if f == discovery {
			limit = maxDiscovery
		}
		share = max(0, min(share, limit-sum))
		sum += share
		shares = append(shares, share)
	}
	return sum, rows, shares
}

// wide is what the number of servers adds.
func (h *hour) wide() float64 {
	if h.servers < fanOutFrom {
		return 0
	}
	return min(maxFanOut, fanOut*math.Log(float64(h.servers)))
}

// decide says what an hour has come to.
func (d *Detector) decide(env detectors.Env, k hourKey, h *hour) {
	sum, _, _ := h.weights(k.family)
	sum += h.wide()
	if sum < d.cfg.MinNats || k.family == discovery && d.toldAsService(k, h) {
		return
	}
	h.dirty = true
	if sum > h.said || len(h.ops) > h.saidOps {
		d.say(env, k, h)
		return
	}
	if !h.waiting {
		h.waiting = true
		d.token++
		d.pending[d.token] = k
		env.WakeAt(env.Now().Add(sayAfter), d.token)
	}
}

// toldAsService says that a discovery is but the asking that goes with service control, which is told already.
func (d *Detector) toldAsService(k hourKey, h *hour) bool {
	s := d.hours.Get(hourKey{k.client, k.server, service})
	if s == nil || s.start != h.start || s.said == 0 {
		return false
	}
	return !slices.ContainsFunc(h.ops, func(o done) bool { return o.row.iface.id != windows.Svcctl })
}

// Wake says what was not said for a minute.
func (d *Detector) Wake(env detectors.Env, token uint64) {
	k, ok := d.pending[token]
	if !ok {
		return
	}
	delete(d.pending, token)
	h := d.hours.Get(k)
	if h == nil {
		return
	}
	h.waiting = false
	if h.dirty {
		d.say(env, k, h)
	}
}

// End says what was not said yet, in the order in which it came up.
func (d *Detector) End(env detectors.Env) {
	for _, token := range slices.Sorted(maps.Keys(d.pending)) {
		d.Wake(env, token)
	}
}

func (d *Detector) say(env detectors.Env, k hourKey, h *hour) {
	f := d.finding(k, h)
	h.dirty, h.said, h.saidOps = false, f.LLR, len(h.ops)
	d.waves.Emit(env, f, false)
}
