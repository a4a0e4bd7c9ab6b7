package tickets

import (
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Bounds and weights of the package comment.
const (
	window        = packet.Time(time.Hour)
	maxServices   = 64
	maxAccounts   = 16
	maxRealms     = 256
	maxKnown      = 8192
	maxHabits     = 1 << 16
	oldFrom       = 3 // other clients
	oldService    = 0.3
	noProofAsked  = 0.3
	maxPrincipals = 1 << 15
	maxCentres    = 256
	maxFallen     = 16
	fallenEach    = 1.5
	fallenMost    = 6.0
	fallenWithin  = packet.Time(24 * time.Hour)
	rc4Alone      = 1.5
	shown         = 2.0 // nats from which roasted accounts are shown to people
)

// Ciphers (RFC 3961, 8; RFC 4757).
const (
	aes128 = 17
	aes256 = 18
	rc4    = 23
)

const preauthRequired = 25 // RFC 4120, 7.5.9

// client is what is known of a host that asks for tickets.
type client struct {
	aes      bool // offered it once
	services []ask
	accounts []ask
	roast    episode
	weak     episode
	orphans  episode
	skew     episode
}

// ask is a ticket or an answer that can be guessed offline.
type ask struct {
	hash   uint64
	text   string
	at     packet.Time
	weight float64 // in the count
	alone  bool    // RC4 alone was offered
	days   int     // earlier ones
	free   bool    // the realm never asked for proof
	conn   flows.Conn
	ref    flows.Ref
}

// episode is a finding under way.
type episode struct {
	start, last packet.Time
	count       int
}

// centre is a key distribution centre that told of RC4 keys alone for accounts that had AES ones.
type centre struct {
	fallen []ask
	said   episode
}

// realm is what is known of a realm.
type realm struct{ asksProof, aes bool }

// known is which clients got RC4 tickets for a service, by hash.
type known struct{ clients [oldFrom + 1]uint64 }

// Detector is rules auth.roast and auth.downgrade.
type Detector struct {
	cfg      Config
	begun    packet.Time // first exchange
	logins   *lru.Table[uint64, login]
	seen     *lru.Table[flows.HostNumber, packet.Time] // hosts, and when they last used a key
	judged   [2]int                                    // users at hosts with tickets: all, and those without a log-in
	clients  *lru.Table[detectors.HostKey, client]
	realms   *lru.Table[uint64, realm]
	services *lru.Table[uint64, known]
	strong   *lru.Table[uint64, packet.Time] // accounts, and when they last had AES keys
	centres  *lru.Table[detectors.HostKey, centre]
	habits   *windows.Habits
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{
		cfg: cfg, clients: lru.New[detectors.HostKey, client](cfg.MaxClients, nil), realms: lru.New[uint64, realm](maxRealms, nil),
		logins: lru.New[uint64, login](maxLogins, nil), seen: lru.New[flows.HostNumber, packet.Time](maxSeen, nil),
		services: lru.New[uint64, known](maxKnown, nil), strong: lru.New[uint64, packet.Time](maxPrincipals, nil),
		centres: lru.New[detectors.HostKey, centre](maxCentres, nil), habits: windows.NewHabits(maxHabits),
	}
}

// Rules returns the rules.
func (d *Detector) Rules() []*detectors.Rule {
	return []*detectors.Rule{&rules[roast], &rules[downgrade], &rules[orphan]}
}

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.clients.Evicted() + d.realms.Evicted() + d.services.Evicted() + d.habits.Evicted() +
		d.logins.Evicted() + d.seen.Evicted() + d.strong.Evicted() + d.centres.Evicted()
}

// Kerberos takes an exchange.
func (d *Detector) Kerberos(env detectors.Env, k *flows.Kerberos) {
	b := env.Batch()
	name := strings.ToLower(windows.Printable(b.String(k.Realm)))
	r, _ := d.realms.Use(sketch.HashString(name))
	offered := k.Offered[:k.NumOffered]
	aes := slices.Contains(offered, aes128) || slices.Contains(offered, aes256)
	alone := slices.Contains(offered, rc4) && !aes
	ticketAES := k.Ticket == aes128 || k.Ticket == aes256
	if k.Outcome == flows.Failed && k.Code == preauthRequired {
		r.asksProof = true
	}
	r.aes = r.aes || ticketAES
	if !k.Asked {
		return
	}
	key := detectors.HostKey{Segment: k.Segment, Addr: k.Orig}
	c, _ := d.clients.Use(key)
	d.ticket(env, key, c, k, name)
	could := c.aes
	c.aes = c.aes || aes
	if aes && !k.TGS && k.Client.Len > 0 {
		d.keys(env, k, name)
	}
	if k.Outcome != flows.Succeeded {
		return
	}
	user, service := windows.Printable(b.String(k.Client)), windows.Printable(b.String(k.Service))
	a := ask{at: env.Now(), weight: 1, alone: alone, conn: k.Conn, ref: k.Ref}
	switch {
	case k.TGS:
		if k.Ticket != rc4 || !(c.aes || r.aes) || strings.HasSuffix(service, "$") || own(service) {
			return
		}
		a.hash, a.text = sketch.HashString(strings.ToLower(service)+"@"+name), service
		if d.old(key, a.hash) {
			a.weight = oldService
		}
		a.days = d.habits.Note(env.Now(), &k.Conn, a.hash)
		c.services = enter(c.services, a, maxServices)
		d.sayRoast(env, key, c, user)
	case strings.HasSuffix(user, "$") || !own(service):
	case !k.Proof:
		a.hash, a.text, a.free = sketch.HashString(strings.ToLower(user)+"@"+name), user, !r.asksProof
		a.days = d.habits.Note(env.Now(), &k.Conn, sketch.Join(a.hash, 1))
		c.accounts = enter(c.accounts, a, maxAccounts)
		d.sayRoast(env, key, c, user)
	case alone && r.aes:
		a.text = user
		a.days = d.habits.Note(env.Now(), &k.Conn, sketch.Join(sketch.HashString(strings.ToLower(user)+"@"+name), 2))
		d.sayWeak(env, key, c, &a, could)
	}
}

// keys looks at which keys an account has, as its key distribution centre tells a client that offered AES: by the list of an
// error, or by the cipher of what it seals with the account's key.
func (d *Detector) keys(env detectors.Env, k *flows.Kerberos, realm string) {
	list := k.Keys[:k.NumKeys]
	if k.Outcome == flows.Succeeded {
		list = []int8{k.Part}
	}
	user, now := windows.Printable(env.Batch().String(k.Client)), env.Now()
	hash := sketch.HashString(strings.ToLower(user) + "@" + realm)
	if slices.Contains(list, aes128) || slices.Contains(list, aes256) {
		at, _ := d.strong.Use(hash)
		*at = now
		return
	}
	if !slices.Contains(list, rc4) || d.strong.Get(hash) == nil {
		return
	}
	key := detectors.HostKey{Segment: k.Segment, Addr: k.Resp}
	c, _ := d.centres.Use(key)
	a := ask{hash: hash, text: user, at: now, conn: k.Conn, ref: k.Ref}
	a.days = d.habits.Note(now, &flows.Conn{Orig: k.Resp, Resp: k.Resp, Segment: k.Segment}, sketch.Join(hash, 3))
	c.fallen = enter(c.fallen, a, maxFallen)
	for len(c.fallen) > 0 && now-c.fallen[0].at > fallenWithin {
		c.fallen = c.fallen[1:]
	}
	e := &c.said
	if e.start == 0 || now-e.last > fallenWithin {
		*e = episode{start: now}
	}
	e.last = now
	llr := 0.0
	for _, a := range c.fallen {
		w := fallenEach
		if windows.Familiar(a.days) {
			w *= windows.Discount
		}
		llr += w
	}
	if llr = min(llr, fallenMost); llr < d.cfg.MinNats || len(c.fallen) == e.count {
		return
	}
	f := fallenFinding(key, c.fallen, llr, e.start, now)
	f.Grew = len(c.fallen) >= 2*e.count
	e.count = len(c.fallen)
	env.Emit(f)
}

// own says that a service is the ticket-granting one of a realm, or the one that changes passwords.
func own(service string) bool {
	first, _, _ := strings.Cut(strings.ToLower(service), "/")
	return first == "krbtgt" || first == "kadmin"
}

// old enters that a client got an RC4 ticket for a service, and says whether enough others did.
func (d *Detector) old(key detectors.HostKey, service uint64) bool {
	s, _ := d.services.Use(service)
	h := sketch.Join(uint64(key.Segment), sketch.HashAddr(key.Addr)) | 1
	others := 0
	for i := range s.clients {
		switch s.clients[i] {
		case h:
			continue
		case 0:
			s.clients[i] = h
			return others >= oldFrom
		}
		others++
	}
	return others >= oldFrom
}

// enter puts an ask in place of an earlier one for the same, or of the oldest.
func enter(list []ask, a ask, most int) []ask {
	i := slices.IndexFunc(list, func(o ask) bool { return o.hash == a.hash })
	if i >= 0 {
		list = slices.Delete(list, i, i+1)
	} else if len(list) >= most {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, a)
}

// recent returns the asks of the last hour.
func recent(list []ask, now packet.Time) []ask {
	for i := range list {
		if now-list[i].at <= window {
			return list[i:]
		}
	}
	return nil
}

// roastWeight is that of the package comment, by its parts.
func roastWeight(services, accounts []ask) (byServices, byAccounts, alone float64) {
	n := 0.0
	for _, a := range services {
		w := a.weight
		if windows.Familiar(a.days) {
			w *= windows.Discount
		}
		n += w
		if a.alone {
			alone = rc4Alone
		}
	}
	byServices = n
	if n > 3 {
		byServices = min(3+0.5*(n-3), 6)
	}
	for _, a := range accounts {
		w := 4.0
		if len(accounts) >= 3 {
			w = 6
		}
		if a.alone {
			w++
		}
		if a.free {
			w *= noProofAsked
		}
		if windows.Familiar(a.days) {
			w *= windows.Discount
		}
		byAccounts = max(byAccounts, w)
	}
	return byServices, byAccounts, alone
}

// sayRoast emits what is heavy enough.
func (d *Detector) sayRoast(env detectors.Env, key detectors.HostKey, c *client, user string) {
	now := env.Now()
	services, accounts := recent(c.services, now), recent(c.accounts, now)
	s, a, alone := roastWeight(services, accounts)
	e := &c.roast
	if e.start == 0 || now-e.last > window {
		*e = episode{start: now}
	}
	e.last = now
	if s+alone < d.cfg.MinNats && a < d.cfg.MinNats {
		return
	}
	f := roastFinding(key, services, accounts, s, a, alone, user, e.start, now)
	if n := len(services) + len(accounts); n >= 2*e.count {
		e.count, f.Grew = n, true
	}
	if s+alone < d.cfg.MinNats && a < shown {
		env.Signal(f) // one account of a realm that was seen to ask nobody for a proof
		return
	}
	env.Emit(f)
}

// sayWeak emits a log-in with RC4 alone.
func (d *Detector) sayWeak(env detectors.Env, key detectors.HostKey, c *client, a *ask, could bool) {
	llr := 1.5
	if could {
		llr += 2
	}
	if windows.Familiar(a.days) {
		llr *= windows.Discount
	}
	e := &c.weak
	if now := env.Now(); e.start == 0 || now-e.last > window {
		*e = episode{start: now}
	}
	e.last = env.Now()
	if llr < d.cfg.MinNats {
		return
	}
	env.Emit(weakFinding(key, a, llr, could, e.start))
}
