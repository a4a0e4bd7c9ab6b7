package relay

import (
	"encoding/binary"
	"net/netip"
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
	within     = packet.Time(10 * time.Minute)
	apart      = packet.Time(time.Second)
	maxServers = 4096
	maxHabits  = 8192
	maxClients = 8  // of a server
	maxText    = 64 // bytes of a name that are kept
	certain    = 9.0
	unlinked   = 6.0
	passing    = 0.2
	constant   = 3.0
	ofTool     = 6.0
	constFrom  = 3
	relaying   = 0x72656c6179 // names the doings among a pair's
	capturing  = 0x63617074
)

// leg is a log-in.
type leg struct {
	conn             flows.Conn
	ref              flows.Ref
	at               packet.Time
	user             string
	server           string // as it names itself
	host             string // HTTP: for whom the request is
	challenge, proof uint64
	over             flows.App
	outcome          flows.Outcome
}

// server is who gave one challenge, and to whom.
type server struct {
	challenge   uint64
	first, last packet.Time
	connections int
	over        flows.App
	clients     []packet.Addr
	users       []string
	conns       []flows.Conn
	refs        []flows.Ref
	days        int
	said        int
}

// Detector is rules auth.relay and auth.capture.
type Detector struct {
	cfg     Config
	proxies []netip.Prefix
	legs    *lru.Table[uint64, *leg]
	servers *lru.Table[detectors.HostKey, server]
	habits  *windows.Habits
	same    uint64 // pairs of log-ins that were alike without a relay between them
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	d := &Detector{
		cfg: cfg, legs: lru.New[uint64, *leg](cfg.MaxLegs, nil), servers: lru.New[detectors.HostKey, server](maxServers, nil),
		habits: windows.NewHabits(maxHabits),
	}
	for _, text := range cfg.Proxies {
		if p, ok := prefix(text); ok {
			d.proxies = append(d.proxies, p)
		}
	}
	return d
}

// Rules returns the rules.
func (d *Detector) Rules() []*detectors.Rule {
	return []*detectors.Rule{&rules[relayed], &rules[capture]}
}

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.legs.Evicted() + d.servers.Evicted() + d.habits.Evicted()
}

// Auth takes a log-in.
func (d *Detector) Auth(env detectors.Env, f *flows.Auth) {
	if f.Method != flows.AuthNTLM || f.Anonymous {
		return
	}
	b := env.Batch()
	l := &leg{
		conn: f.Conn, ref: f.Ref, at: env.Now(), over: f.Over, outcome: f.Outcome,
		challenge: binary.BigEndian.Uint64(f.Challenge[:]), proof: binary.BigEndian.Uint64(f.Proof[:]),
	}
	if l.challenge == 0 && l.proof == 0 {
		return
	}
	l.user, l.server, l.host = text(b, f.User), text(b, f.Server), strings.ToLower(text(b, f.Host))
	if domain := text(b, f.Domain); domain != "" {
		l.user = domain + `\` + l.user
	}
	told := false
	for i, v := range [...]uint64{l.challenge, l.proof} {
		if v == 0 {
			continue
		}
		p, isNew := d.legs.Use(sketch.Join(uint64(i), v))
		if o := *p; !isNew && o.conn.ID != l.conn.ID && l.at-o.at <= within && !told {
			told = d.judge(env, o, l)
		}
		*p = l
	}
	d.collect(env, l)
}

// text returns a name, cut.
func text(b *flows.Batch, t flows.Text) string {
	t.Len = min(t.Len, maxText)
	return windows.Printable(b.String(t))
}

// judge decides on two log-ins that share a challenge or an answer, and says whether they make a relay.
func (d *Detector) judge(env detectors.Env, a, b *leg) bool {
	differs := func(x, y uint64) bool { return x != 0 && y != 0 && x != y }
	if differs(a.challenge, b.challenge) || differs(a.proof, b.proof) {
		return false
	}
	if a.conn.Resp == b.conn.Resp || a.conn.Orig == b.conn.Orig {
		d.same++
		return false
	}
	if b.conn.Start < a.conn.Start {
		a, b = b, a
	}
	victim, target, linked := a, b, true // the victim's connection came first
	if a.conn.Resp != b.conn.Orig {
		if linked = b.conn.Resp == a.conn.Orig; linked {
			victim, target = b, a
		}
	}
	for _, p := range d.proxies {
		if p.Contains(target.conn.Orig.Netip()) || p.Contains(victim.conn.Resp.Netip()) {
			d.same++
			return false
		}
	}
	days := d.habits.Note(env.Now(), &target.conn, relaying)
	if f := relayFinding(victim, target, linked, days); f.LLR >= d.cfg.MinNats {
		env.Emit(f)
	}
	return true
}

// toolOf names whose default a challenge is.
func toolOf(challenge uint64) string {
	switch challenge {
	case 0x1122334455667788:
		return "Responder's and Metasploit's"
	case 0x4141414141414141:
		return "Impacket's"
	}
	return ""
}

// collect decides on servers that give the same challenge again and again.
func (d *Detector) collect(env detectors.Env, l *leg) {
	if l.challenge == 0 {
		return
	}
	key := detectors.HostKey{Segment: l.conn.Segment, Addr: l.conn.Resp}
	s, isNew := d.servers.Use(key)
	switch {
	case isNew || s.challenge != l.challenge:
		*s = server{challenge: l.challenge, first: l.at, last: l.at, over: l.over}
	case l.at-s.last < apart || len(s.conns) > 0 && s.conns[len(s.conns)-1].ID == l.conn.ID:
		return
	}
	s.last = l.at
	s.connections++
	if len(s.conns) < maxClients {
		s.conns, s.refs = append(s.conns, l.conn), append(s.refs, l.ref)
	} else {
		s.conns[maxClients-1] = l.conn // so that the next one is held against it
	}
	s.clients = enter(s.clients, l.conn.Orig)
	s.users = enter(s.users, l.user)
	tool := toolOf(l.challenge)
	if s.connections < constFrom && tool == "" {
		return
	}
	if s.said == 0 {
		s.days = d.habits.Note(env.Now(), &flows.Conn{Orig: key.Addr, Resp: key.Addr, Segment: key.Segment}, capturing)
	}
	f := captureFinding(key, s, tool)
	if f.LLR < d.cfg.MinNats {
		return
	}
	if s.connections >= 2*s.said {
		s.said, f.Grew = s.connections, true
	}
	env.Emit(f)
}

// enter adds v to a bounded set.
func enter[T comparable](list []T, v T) []T {
	for _, o := range list {
		if o == v {
			return list
		}
	}
	if len(list) < maxClients {
		list = append(list, v)
	}
	return list
}
