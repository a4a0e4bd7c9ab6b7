package jndi

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// Bounds and weights of the package comment.
const (
	window      = packet.Time(10 * time.Minute)
	late        = packet.Time(15 * time.Minute) // a connection is told when it ends, or after five minutes
	maxAttempts = 8                             // at one named host
	maxHabits   = 1 << 16
	inside      = 1.5
	outside     = 0.5
	resolves    = 2.5
	connects    = 6.0
	loads       = 9.0
	codeBase    = 6.0
	serialized  = 4.0
	factory     = 2.0
	oddPort     = 2.0
	farAway     = 1.0
	habit       = 0x6a6e6469 // names the doings among a client's
)

var (
	exploit     = detectors.Technique{ID: "T1190", Name: "Exploit Public-Facing Application", Tactic: "TA0001"}
	interpreter = detectors.Technique{ID: "T1059", Name: "Command and Scripting Interpreter", Tactic: "TA0002"}
)

var rule = &detectors.Rule{
	ID: "jndi.lookup", Name: "A server made to load a program by a look-up in what it logs", Stage: detectors.StageLateral,
	Techniques: []detectors.Technique{exploit, interpreter},
	Sides:      detectors.OriginatorAlone,
}

// stage is how far an attempt went.
type stage uint8

const (
	asked stage = iota
	resolved
	connected
	loaded
)

// attempt is one that asks, one server and one named host.
type attempt struct {
	actor, server detectors.HostKey
	host          string // as named, lower case
	port          uint16
	text          string
	at, last      packet.Time
	count         int
	internal      bool
	reached       stage
	by            packet.Addr // who connected
	java          string
	conns         []flows.Conn
	refs          []flows.Ref
	said          float64
}

// named is a host that look-ups name.
type named struct{ attempts []*attempt }

// Detector is rule jndi.lookup.
type Detector struct {
	cfg    Config
	hosts  *lru.Table[detectors.HostKey, named] // by the address
	names  *lru.Table[string, named]            // by the name
	habits *windows.Habits
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{
		cfg: cfg, hosts: lru.New[detectors.HostKey, named](cfg.MaxNamed, nil), names: lru.New[string, named](cfg.MaxNamed, nil), habits: windows.NewHabits(maxHabits),
	}
}

// Rules returns the rule.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{rule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.hosts.Evicted() + d.names.Evicted() + d.habits.Evicted()
}

// ports are those of the ways to look something up, where none is named.
var ports = map[string]uint16{"ldap": 389, "ldaps": 636, "rmi": 1099, "dns": 53, "iiop": 900, "corba": 900, "http": 80, "https": 443, "nis": 111}

// target reads host and port from what is looked up.
func target(text string) (host string, port uint16) {
	scheme, rest, ok := strings.Cut(strings.ToLower(text), ":")
	if !ok {
		return "", 0
	}
	rest = strings.TrimLeft(rest, "/")
	if i := strings.IndexAny(rest, "/?#}"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	host, port = rest, ports[scheme]
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		if n, err := strconv.ParseUint(rest[i+1:], 10, 16); err == nil {
			host, port = rest[:i], uint16(n)
		}
	}
	return strings.Trim(host, "[]."), port
}

// HTTP takes a request.
func (d *Detector) HTTP(env detectors.Env, h *flows.HTTP) {
	if h.Lookup.Len == 0 {
		return
	}
	text := windows.Printable(env.Batch().String(h.Lookup))
	host, port := target(text)
	now := env.Now()
	a := attempt{
		actor:  detectors.HostKey{Segment: h.Segment, Addr: h.Orig},
		server: detectors.HostKey{Segment: h.Segment, Addr: h.Resp},
		host:   host, port: port, text: text, at: now, internal: env.Internal(h.Orig),
	}
	var n *named
	if ip, err := netip.ParseAddr(host); err == nil {
		n, _ = d.hosts.Use(detectors.HostKey{Segment: h.Segment, Addr: packet.AddrFrom(ip)})
	} else {
		n, _ = d.names.Use(host)
	}
	at := n.enter(&a, now)
	at.last = now
	at.count++
	at.see(&h.Conn, h.RequestRef)
	if at.count == 1 || at.count&(at.count-1) == 0 {
		d.say(env, at)
	}
}

// enter returns the attempt that a continues, or enters it.
func (n *named) enter(a *attempt, now packet.Time) *attempt {
	n.attempts = slices.DeleteFunc(n.attempts, func(o *attempt) bool { return now-o.last > late })
	for _, o := range n.attempts {
		if o.actor == a.actor && o.server == a.server && o.host == a.host && o.port == a.port {
			return o
		}
	}
	if len(n.attempts) >= maxAttempts {
		n.attempts = slices.Delete(n.attempts, 0, 1)
	}
	n.attempts = append(n.attempts, a)
	return a
}

// see keeps what proves an attempt.
func (a *attempt) see(c *flows.Conn, ref flows.Ref) {
	if len(a.conns) < 8 && !slices.ContainsFunc(a.conns, func(o flows.Conn) bool { return o.ID == c.ID }) {
		a.conns = append(a.conns, *c)
	}
	if len(a.refs) < 16 && ref.Frame != 0 {
		a.refs = append(a.refs, ref)
	}
}

// DNS takes a transaction: who asks for a named host, and where it is.
func (d *Detector) DNS(env detectors.Env, q *flows.DNS) {
	if d.names.Len() == 0 {
		return
	}
	b := env.Batch()
	var buf [256]byte
	n := d.names.Get(string(flows.AppendName(buf[:0], b.Bytes(q.Name))))
	if n == nil {
		return
	}
	now := env.Now()
	for _, a := range n.attempts {
		if now-a.last > window {
			continue
		}
		if q.Orig == a.server.Addr && a.reached < resolved {
			a.reached, a.last = resolved, now
			a.see(&q.Conn, q.QueryRef)
			d.say(env, a)
		}
		for _, answer := range b.Answers[q.Answers.Off : q.Answers.Off+q.Answers.Len] {
			if answer.Type != 1 && answer.Type != 28 {
				continue
			}
			if ip, err := netip.ParseAddr(b.String(answer.Data)); err == nil {
				at, _ := d.hosts.Use(detectors.HostKey{Segment: q.Segment, Addr: packet.AddrFrom(ip)})
				if !slices.Contains(at.attempts, a) {
					if len(at.attempts) >= maxAttempts {
						at.attempts = slices.Delete(at.attempts, 0, 1)
					}
					at.attempts = append(at.attempts, a)
				}
			}
		}
	}
}

// Flow takes a record: a connection to a named host.
func (d *Detector) Flow(env detectors.Env, r *flows.Record) {
	if d.hosts.Len() == 0 || r.Proto != packet.ProtoTCP {
		return
	}
	if n := d.hosts.Get(detectors.HostKey{Segment: r.Segment, Addr: r.Resp}); n != nil {
		d.reach(env, n, &r.Conn, connected, "", r.FirstRef)
	}
}

// LDAP takes an operation on a directory.
func (d *Detector) LDAP(env detectors.Env, l *flows.LDAP) {
	days := 0
	if l.Op != flows.LDAPSealed {
		days = d.habits.Note(env.Now(), &l.Conn, habit)
	}
	java := windows.Printable(env.Batch().String(l.Java))
	if n := d.hosts.Get(detectors.HostKey{Segment: l.Segment, Addr: l.Resp}); n != nil {
		to := connected
		if loads := weight(java); loads > 0 {
			to = loaded
		}
		if d.reach(env, n, &l.Conn, to, java, l.Ref) {
			return
		}
	}
	if w := weight(java); w > 0 && env.Internal(l.Orig) {
		d.unasked(env, l, java, w, days)
	}
}

// reach enters that an internal host came to a named one, and says whether an attempt had asked for it.
func (d *Detector) reach(env detectors.Env, n *named, c *flows.Conn, to stage, java string, ref flows.Ref) (any bool) {
	if !env.Internal(c.Orig) {
		return false
	}
	for _, a := range n.attempts {
		if c.RespPort != a.port || c.Start < a.at-packet.Time(time.Second) || c.Start-a.last > window || c.Orig == a.actor.Addr && c.Orig != a.server.Addr {
			continue
		}
		any = true
		if to <= a.reached {
			continue
		}
		a.reached, a.by, a.last = to, c.Orig, max(a.last, env.Now())
		if java != "" {
			a.java = java
		}
		a.see(c, ref)
		d.say(env, a)
	}
	return any
}

// weight is what attributes of Java objects weigh that nobody had asked for.
func weight(java string) (w float64) {
	for _, name := range strings.Fields(strings.ToLower(java)) {
		switch name {
		case "javacodebase":
			w = max(w, codeBase)
		case "javaserializeddata":
			w = max(w, serialized)
		case "javafactory":
			w = max(w, factory)
		}
	}
	return w
}

// say tells of an attempt when it weighs more than before.
func (d *Detector) say(env detectors.Env, a *attempt) {
	f := &detectors.Finding{
		Rule: rule, Actor: a.actor, Target: a.server, Start: a.at, End: a.last, WindowStart: a.at, Techniques: []detectors.Technique{exploit},
		Conns: slices.Clone(a.conns), Refs: slices.Clone(a.refs),
	}
	add := func(to float64, e detectors.Evidence) {
		e.Nats = to - f.LLR
		f.LLR = to
		f.Evidence = append(f.Evidence, e)
	}
	who, base := "an internal host", inside
	if !a.internal {
		who, base = "a host outside", outside
	}
	add(base, detectors.Evidence{Measure: "requests with a look-up from " + who + ": " + a.text, Value: float64(a.count), Unit: "requests", Baseline: "none"})
	f.Message = fmt.Sprintf("%s sent %s to %s that %s its log look up %s", a.actor.Addr, phrase.Plural(a.count, "request"), a.server.Addr, verb(a.count), a.text)
	if a.reached >= resolved && (a.reached == resolved || slices.ContainsFunc(a.conns, func(c flows.Conn) bool { return c.RespPort == 53 && c.Orig == a.server.Addr })) {
		add(f.LLR+resolves, detectors.Evidence{Measure: "the server asked DNS for " + a.host, Value: 1, Baseline: "never"})
		f.Message += "; the server asked for that name"
	}
	if a.reached >= connected {
		add(connects, detectors.Evidence{Measure: fmt.Sprintf("connections to the named host and port %d after it, by %s", a.port, a.by), Value: 1, Unit: "connections", Baseline: "none"})
		f.Message += fmt.Sprintf("; then %s connected to it", a.by)
		if a.by != a.server.Addr {
			f.Related = append(f.Related, a.by)
		}
		f.Techniques = append(f.Techniques, interpreter)
	}
	if a.reached == loaded {
		add(loads, detectors.Evidence{Measure: "Java objects that came back: " + a.java, Value: 1, Unit: "entries", Baseline: "none"})
		f.Message += " and got a Java object (" + a.java + ")"
	}
	f.Message += "."
	for i := range f.Evidence {
		f.Evidence[i].Nats = phrase.Round(f.Evidence[i].Nats)
	}
	if f.LLR < d.cfg.MinNats || f.LLR < a.said {
		return
	}
	f.Grew = a.said > 0 && f.LLR > a.said
	a.said = f.LLR
	f.Counterfactual = "A request without the look-up, or a server that does not come to the named host, would not be said as an alarm."
	f.LookAlikes = []string{
		"A vulnerability scanner sends such requests to every server, and its canary hosts hand out no objects; a server that comes to it is vulnerable all the same.",
		"Documentation and tickets about the flaw hold the text in bodies, which are not looked at.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("On %s look for children of the Java process and for connections outward since then; isolate it if an object was loaded.", a.server.Addr),
		fmt.Sprintf("Update Log4j there; block LDAP and RMI outward; look for requests from %s to other servers.", a.actor.Addr),
	}
	f.Filter = fmt.Sprintf("(ip.addr == %s && http) || (ip.addr == %s && tcp.port == %d)", a.actor.Addr, a.server.Addr, a.port)
	env.Emit(f)
}

func verb(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// unasked tells of Java objects that no request was seen to ask for.
func (d *Detector) unasked(env detectors.Env, l *flows.LDAP, java string, w float64, days int) {
	now := env.Now()
	f := &detectors.Finding{
		Rule: rule, Actor: detectors.HostKey{Segment: l.Segment, Addr: l.Resp}, Target: detectors.HostKey{Segment: l.Segment, Addr: l.Orig},
		Start: l.Start, End: now, WindowStart: l.Start, Techniques: []detectors.Technique{exploit, interpreter}, Conns: []flows.Conn{l.Conn}, Refs: []flows.Ref{l.Ref}, Over: true,
	}
	factor := 1.0
	if windows.Familiar(days) {
		factor = windows.Discount
	}
	add := func(nats float64, e detectors.Evidence) {
		f.LLR += nats * factor
		e.Nats = phrase.Round(nats * factor)
		f.Evidence = append(f.Evidence, e)
	}
	add(w, detectors.Evidence{Measure: "Java objects in a directory's answer: " + java, Value: float64(l.Entries), Unit: "entries", Baseline: "none"})
	switch l.RespPort {
	case 389, 636, 3268, 3269:
	default:
		add(oddPort, detectors.Evidence{Measure: "the directory's port", Value: float64(l.RespPort), Baseline: "389, 636, 3268 or 3269"})
	}
	if !env.Internal(l.Resp) {
		add(farAway, detectors.Evidence{Measure: "the directory is outside", Value: 1, Baseline: "inside"})
	}
	if f.LLR < d.cfg.MinNats {
		return
	}
	f.Message = fmt.Sprintf("%s got a Java object (%s) from the directory at %s:%d, which it asked on %s before; no request that had it ask was seen.",
		l.Orig, java, l.Resp, l.RespPort, phrase.Plural(days, "day"))
	f.Counterfactual = "Entries without a code base, serialized data or a factory, or the same directory asked on three earlier days, would not be said as an alarm."
	f.LookAlikes = []string{
		"Middleware keeps connection factories in its directory: on port 389, on many days.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("On %s find the Java process that asked, and its children since then; isolate it if nobody put these objects there on purpose.", l.Orig),
		fmt.Sprintf("Look for a request with ${jndi: in the logs of %s and of what stands before it.", l.Orig),
	}
	f.Filter = fmt.Sprintf("ip.addr == %s && ip.addr == %s && tcp.port == %d", l.Orig, l.Resp, l.RespPort)
	env.Emit(f)
}
