package smbexec

import (
	"math"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Bounds of what is learnt of the site, chosen by us.
const (
	maxPipes    = 4096
	maxSpeakers = 1 << 14
	maxPorts    = 1 << 15
	maxVictims  = 1024
	maxListers  = 4096
	maxWritten  = 16
	sysvolFrom  = 10 // directories of SYSVOL listed within an hour
	listFrom    = 100
	listServers = 3
	warmClients = 20 // who must have opened pipes, and for how long, before a new name is odd
	warmFor     = 7 * 24 * time.Hour
)

// site is what is usual here.
type site struct {
	pipes    *lru.Table[uint64, struct{}] // names that were opened
	speakers *lru.Table[detectors.HostKey, struct{}]
	ports    *lru.Table[uint64, struct{}]                     // of servers: answered there before
	victims  *lru.Table[detectors.HostKey, detectors.HostKey] // of violations, with the latest attacker
	clients  sketch.Distinct                                  // that opened pipes
	since    packet.Time
}

func newSite() site {
	return site{
		pipes: lru.New[uint64, struct{}](maxPipes, nil), speakers: lru.New[detectors.HostKey, struct{}](maxSpeakers, nil),
		ports: lru.New[uint64, struct{}](maxPorts, nil), victims: lru.New[detectors.HostKey, detectors.HostKey](maxVictims, nil),
	}
}

func (x *site) evicted() uint64 {
	return x.pipes.Evicted() + x.speakers.Evicted() + x.ports.Evicted() + x.victims.Evicted()
}

// pipe notes that a pipe was opened, and says whether its name is new here although much was learnt.
func (x *site) pipe(now packet.Time, s *flows.SMB, name string) bool {
	if !s.OK() {
		return false
	}
	if x.since == 0 {
		x.since = now
	}
	x.clients.Add(sketch.Join(sketch.HashAddr(s.Orig), uint64(s.Segment)))
	_, isNew := x.pipes.Use(sketch.HashString(strings.ToLower(name)))
	return isNew && now.Sub(x.since) >= warmFor && x.clients.Estimate() >= warmClients &&
		!slices.Contains(rpcPipes, strings.ToLower(name)) && !slices.Contains(rarePipes, strings.ToLower(name))
}

// rarePipes are further pipes of Windows' own, which few clients open.
var rarePipes = []string{"w32time_alt", "fssagentrpc", "lsm_api_service", "termsrv_api_service", "msftewds", "initshutdown", "router", "sql\\query", "mssearch"}

// downgraded learns who speaks SMB2, and says whether two that do agreed on SMB1.
func (x *site) downgraded(s *flows.SMB) bool {
	if !s.OK() {
		return false
	}
	a, b := detectors.HostKey{Segment: s.Segment, Addr: s.Orig}, detectors.HostKey{Segment: s.Segment, Addr: s.Resp}
	if s.Dialect == 1 {
		return x.speakers.Get(a) != nil && x.speakers.Get(b) != nil
	}
	if s.Dialect >= 0x0202 {
		x.speakers.Use(a)
		x.speakers.Use(b)
	}
	return false
}

// ordinary says that servers have this port for what everybody uses.
func ordinary(port uint16) bool {
	switch port {
	case 22, 25, 53, 80, 88, 135, 139, 389, 443, 445, 464, 593, 636, 3268, 3269, 3389, 5985, 5986, 8080, 8443, 9389:
		return true
	}
	return false
}

// outcomes looks at a connection for what may have come of a violation.
func (d *Detector) outcomes(env detectors.Env, r *flows.Record) {
	if r.Total[flows.Orig].PayloadBytes+r.Total[flows.Resp].PayloadBytes == 0 || ordinary(r.RespPort) || r.App == flows.AppDCERPC || r.App == flows.AppSMB {
		return
	}
	_, isNew := d.site.ports.Use(sketch.Join(sketch.Join(sketch.HashAddr(r.Resp), uint64(r.Segment)), uint64(r.RespPort)))
	from, to := detectors.HostKey{Segment: r.Segment, Addr: r.Orig}, detectors.HostKey{Segment: r.Segment, Addr: r.Resp}
	if !isNew {
		return
	}
	if k := (hourKey{from, to, exploit}); d.violated(k, r.Start) {
		d.outcome(env, k, r, term{kind: newPort, what: "a port of the victim that it did not have before answers the attacker within five minutes", weight: reverseNats, count: 1})
		return
	}
	if r.App != flows.AppUnknown {
		return
	}
	by := d.site.victims.Get(from)
	if by == nil || *by == to {
		return
	}
	if k := (hourKey{*by, from, exploit}); d.violated(k, r.Start) {
		d.outcome(env, k, r, term{kind: cameAway, what: "connections of the victim to a port new here, in no known protocol, within five minutes", weight: awayNats, count: 1})
	}
}

func (d *Detector) violated(k hourKey, at packet.Time) bool {
	h := d.hours.Get(k)
	return h != nil && h.violated(at)
}

// violated says that a violation lies within the time before.
func (h *hour) violated(at packet.Time) bool {
	return at >= h.first && at <= h.last.Add(reverse) && slices.ContainsFunc(h.terms, func(t term) bool { return t.kind == violation })
}

func (d *Detector) outcome(env detectors.Env, k hourKey, r *flows.Record, t term) {
	h := d.hours.Get(k)
	h.add(t)
	h.prove(r.Conn, r.FirstRef)
	d.decide(env, k, h)
}

// lister is whose directories a client listed within the hour.
type lister struct {
	start       packet.Time
	first, last packet.Time
	dirs        sketch.Distinct
	servers     []packet.Addr
	shares      []string
	users       []string
	conns       []flows.Conn
	refs        []flows.Ref
	days        int
	said        float64
}

// list counts a directory that was listed.
func (d *Detector) list(env detectors.Env, s *flows.SMB) {
	if s.Answered && s.Status&0xc0000000 == 0xc0000000 {
		return
	}
	b, now := env.Batch(), env.Now()
	share, path := b.String(s.Share), strings.ToLower(b.String(s.Path))
	if name := shareName(share); strings.EqualFold(name, "SYSVOL") {
		d.sysvol(env, s, path)
	}
	client := detectors.HostKey{Segment: s.Segment, Addr: s.Orig}
	l, _ := d.listers.Use(client)
	if start := now - now%packet.Time(time.Hour); l.start != start {
		*l = lister{start: start, first: now}
	}
	if !l.dirs.Add(sketch.Join(sketch.Join(sketch.HashAddr(s.Resp), sketch.HashString(share)), sketch.HashString(path))) {
		return
	}
	l.last = now
	if !slices.Contains(l.servers, s.Resp) && len(l.servers) < maxSwept {
		l.servers = append(l.servers, s.Resp)
		if len(l.conns) < detectors.MaxFlows {
			l.conns, l.refs = append(l.conns, s.Conn), append(l.refs, s.Ref)
		}
	}
	if name := windows.Printable(share); len(l.shares) < maxExamples && !slices.Contains(l.shares, name) {
		l.shares = append(l.shares, name)
	}
	if u := windows.Printable(b.String(s.User)); u != "" && len(l.users) < 4 && !slices.Contains(l.users, u) {
		l.users = append(l.users, u)
	}
	n := len(l.servers)
	if n < listServers || l.dirs.Estimate() < listFrom {
		return
	}
	if l.said == 0 {
		whole := s.Conn
		whole.Resp = packet.Addr{} // a habit of the client's, wherever
		l.days = d.habits.Note(now, &whole, uint64(numKinds))
	}
	nats := min(2.5, 1+0.5*math.Log(float64(n)/listServers))
	if windows.Familiar(l.days) {
		nats *= windows.Discount
	}
	if nats >= d.cfg.MinNats && nats > l.said {
		l.said = nats
		env.Emit(l.finding(client, nats))
	}
}

// sysvol counts directories of SYSVOL: a client that applies policy opens what it knows and lists little; who sweeps
// lists all.
func (d *Detector) sysvol(env detectors.Env, s *flows.SMB, path string) {
	h := d.hour(env, key(s.Conn, secrets))
	id := sketch.HashString(path)
	if slices.Contains(h.listed, id) || len(h.listed) >= maxSwept {
		return
	}
	if h.listed = append(h.listed, id); len(h.listed) >= sysvolFrom {
		d.note(env, s, dirSweep, "directories of SYSVOL listed, where policies with passwords may lie", 2, example{path: path, share: "SYSVOL"})
	}
}

func (l *lister) finding(client detectors.HostKey, nats float64) *detectors.Finding {
	w := &rules[listing]
	ip := "ip"
	if !client.Addr.Is4() {
		ip = "ipv6"
	}
	dirs := l.dirs.Estimate()
	f := &detectors.Finding{
		Rule: &w.rule, Actor: client, Start: l.first, End: l.last, WindowStart: l.start, LLR: nats, Techniques: w.rule.Techniques[:1:1],
		Related: slices.Clone(l.servers[:min(len(l.servers), 32)]), Users: slices.Clone(l.users), Conns: slices.Clone(l.conns), Refs: slices.Clone(l.refs),
		Filter: ip + ".src == " + client.Addr.String() + " && (smb2.cmd == 14 || smb.trans2.cmd == 1)",
	}
	f.Message = client.Addr.String() + " listed " + phrase.Number(math.Round(dirs)) + " directories on " + phrase.Plural(len(l.servers), "server") + " within " +
		phrase.Duration(l.last.Sub(l.first)) + ", for instance of " + strings.Join(l.shares, ", ")
	base := "never before by this client"
	if l.days > 0 {
		base = "seen on " + phrase.Plural(l.days, "earlier day")
	}
	if windows.Familiar(l.days) {
		f.Message += "; it did so on " + phrase.Plural(l.days, "earlier day") + "."
		base += ": a habit, counted a fifth"
	} else {
		f.Message += "; no habit of this client."
	}
	f.Evidence = []detectors.Evidence{
		{Measure: "directories listed within the hour", Value: math.Round(dirs), Unit: "directories", Baseline: base, Threshold: phrase.Number(listFrom) + " directories on 3 servers", Nats: phrase.Round(nats)},
		{Measure: "servers on which directories were listed", Value: float64(len(l.servers)), Unit: "servers", Baseline: base, Threshold: "3 servers; more weigh more"},
	}
	f.Counterfactual = "On two servers, or with fewer than " + phrase.Number(listFrom) + " directories in all, nothing would have been said; nor had it done so on 3 earlier days."
	fill := strings.NewReplacer("%[1]s", client.Addr.String())
	for _, t := range w.lookAlikes {
		f.LookAlikes = append(f.LookAlikes, fill.Replace(t))
	}
	for _, t := range w.next {
		f.NextSteps = append(f.NextSteps, fill.Replace(t))
	}
	return f
}
