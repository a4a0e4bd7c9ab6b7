package passhash

import (
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/identity"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Bounds and weights of the package comment.
const (
	each       = 1.0 // nats of each of the three
	most       = 2.9
	shown      = 1.9
	trouble    = 0.3 // the server's
	gateway    = 0.3
	othersFrom = 3
	within     = packet.Time(24 * time.Hour)
	quiet      = packet.Time(time.Hour) // without a further such log-in the next one is a finding of its own
	maxServers = 4096
	maxUnder   = 4096
	maxConns   = 8
)

// What a habit's key stands for.
const (
	pairKerberos uint64 = iota + 1
	userKerberos
	pairNTLM
	userNTLM
	clientV1
)

// server is which clients last took to NTLM at it.
type server struct {
	clients [othersFrom + 1]uint64
	at      [othersFrom + 1]packet.Time
}

// login is one log-in by NTLM with what is known of it.
type login struct {
	conn                flows.Conn
	ref                 flows.Ref
	user, account       string // account is lower case, without its domain
	workstation, client string // as claimed, and as known; both without domain
	over                flows.App
	pairDays, userDays  int // earlier days of Kerberos; 0 where NTLM is a habit too
	foreign             bool
	v1                  bool
	others              int // clients that took to NTLM at the server
	gateway             bool
}

// under is a finding under way.
type under struct {
	start, last packet.Time
	count       int
	conns       []flows.Conn
	refs        []flows.Ref
}

// Detector is rule auth.pth.
type Detector struct {
	cfg     Config
	habits  *windows.Habits
	servers *lru.Table[flows.HostNumber, server]
	under   *lru.Table[uint64, under]
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{
		cfg: cfg, habits: windows.NewHabits(cfg.MaxHabits), servers: lru.New[flows.HostNumber, server](maxServers, nil),
		under: lru.New[uint64, under](maxUnder, nil),
	}
}

// Rules returns the rule.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{&rule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.habits.Evicted() + d.servers.Evicted() + d.under.Evicted()
}

// key names something that a host did to another, or that a user did.
func key(what, a, b uint64) uint64 { return sketch.Join(what, sketch.Join(a, b)) }

// Kerberos takes a ticket: the user has keys.
func (d *Detector) Kerberos(env detectors.Env, k *flows.Kerberos) {
	if k.Outcome != flows.Succeeded || k.Client.Len == 0 {
		return
	}
	d.habits.Enter(env.Now(), key(userKerberos, sketch.HashString(account(env.Batch().String(k.Client))), 0))
}

// account is a user's name without its realm or domain, in lower case.
func account(s string) string {
	s = strings.ToLower(windows.Printable(s))
	if i := strings.LastIndexByte(s, '\\'); i >= 0 {
		s = s[i+1:]
	}
	s, _, _ = strings.Cut(s, "@")
	return s
}

// machine is a computer's name without its domain, in lower case and cut as NetBIOS does.
func machine(s string) string {
	s, _, _ = strings.Cut(strings.ToLower(strings.TrimLeft(windows.Printable(s), `\`)), ".")
	s, _, _ = strings.Cut(s, "$")
	return s[:min(len(s), 15)]
}

// Auth takes a log-in.
func (d *Detector) Auth(env detectors.Env, f *flows.Auth) {
	if f.Outcome != flows.Succeeded || f.Anonymous {
		return
	}
	clientKey, serverKey := detectors.HostKey{Segment: f.Segment, Addr: f.Orig}, detectors.HostKey{Segment: f.Segment, Addr: f.Resp}
	client, to := env.Host(clientKey), env.Host(serverKey)
	if client.Number == 0 || to.Number == 0 {
		return
	}
	a, b := uint64(client.Number), uint64(to.Number)
	now := env.Now()
	switch f.Method {
	case flows.AuthKerberos:
		d.habits.Enter(now, key(pairKerberos, a, b))
	case flows.AuthNTLM:
		d.ntlm(env, f, client, to, a, b)
	}
}

// ntlm decides on a log-in by NTLM.
func (d *Detector) ntlm(env detectors.Env, f *flows.Auth, client, to *identity.Host, a, b uint64) {
	now, batch := env.Now(), env.Batch()
	x := login{conn: f.Conn, ref: f.Ref, over: f.Over, user: windows.Printable(batch.String(f.User)), v1: f.NTLMv1}
	x.account, x.workstation = account(x.user), machine(batch.String(f.Workstation))
	user := sketch.HashString(x.account)
	x.pairDays, x.userDays = d.habits.Look(now, key(pairKerberos, a, b)), d.habits.Look(now, key(userKerberos, user, 0))
	if windows.Familiar(d.habits.Enter(now, key(pairNTLM, a, b))) {
		x.pairDays = 0
	}
	if windows.Familiar(d.habits.Enter(now, key(userNTLM, user, 0))) {
		x.userDays = 0
	}
	if x.v1 && windows.Familiar(d.habits.Enter(now, key(clientV1, a, 0))) {
		x.v1 = false
	}
	if max(x.pairDays, x.userDays) < d.cfg.Days {
		return
	}
	x.gateway = client.Shared || env.Graph().Role(client.Number) == hostgraph.Gateway
	if client.NameBy > identity.ByWorkstation && client.Name != "" {
		x.client = machine(client.Name)
	}
	x.foreign = !x.gateway && (x.workstation == "" || x.client != "" && x.workstation != x.client)
	x.others = d.took(to.Number, a, now)
	llr := x.weight()
	u, _ := d.under.Use(sketch.Join(key(0, a, b), user))
	if u.start == 0 || now-u.last > quiet {
		*u = under{start: now}
	}
	u.last = now
	u.count++
	if len(u.conns) < maxConns {
		u.conns, u.refs = append(u.conns, x.conn), append(u.refs, x.ref)
	}
	if u.count > 8 && u.count&(u.count-1) != 0 {
		return // the numbers of a long series are given now and then
	}
	finding := x.finding(u, llr)
	if llr < shown {
		env.Signal(finding)
		return
	}
	env.Emit(finding)
}

// weight is that of the package comment.
func (x *login) weight() float64 {
	llr := each
	if x.foreign {
		llr += each
	}
	if x.v1 {
		llr += each
	}
	return min(llr, most) * x.factor()
}

func (x *login) factor() float64 {
	f := 1.0
	if x.others >= othersFrom {
		f *= trouble
	}
	if x.gateway {
		f *= gateway
	}
	return f
}

// took enters that a client took to NTLM at a server, and returns how many others did within a day.
func (d *Detector) took(to flows.HostNumber, client uint64, now packet.Time) (others int) {
	s, _ := d.servers.Use(to)
	slot := 0
	for i := range s.clients {
		switch {
		case s.clients[i] == client:
			slot = i
		case s.clients[slot] == client:
		case s.at[i] < s.at[slot]:
			slot = i
		}
		if s.clients[i] != 0 && s.clients[i] != client && now-s.at[i] <= within {
			others++
		}
	}
	s.clients[slot], s.at[slot] = client, now
	return others
}
