package l2

import (
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Bounds and weights of rule l2.poison.
const (
	within     = packet.Time(10 * 60 * 1e9)
	answeredIn = packet.Time(3 * 1e9)   // an answer later than so after a question to a group belongs to another
	comesIn    = packet.Time(300 * 1e9) // a victim that connects later does so for other reasons
	maxNames   = 16
	maxVictims = 16
	maxOwn     = 8
	maxConns   = 4 // of a victim
	fromNames  = 3
	typeA      = 1  // RFC 1035, 3.2.2
	typeNB     = 32 // RFC 1002, 4.2.1.2

	names     = 6.0
	byMDNS    = 2.0
	proxyName = 2.0
	sharing   = 3.0
	web       = 1.0
)

// asking is a name that a group was asked for.
type asking struct {
	segment packet.Segment
	name    string
}

// question is who asked last.
type question struct {
	asker packet.Addr
	at    packet.Time
}

// responder is who answers questions to groups.
type responder struct {
	own     []string // names that it registered or announced unasked
	names   []answered
	victims []victim
}

// answered is a name of others that a responder answered with its own address.
type answered struct {
	name string
	at   packet.Time
	mdns bool // over mDNS alone
}

// victim is whom it answered.
type victim struct {
	addr        packet.Addr
	names       []string
	first, last packet.Time
	refs        []flows.Ref
	conns       []flows.Conn
	proxy       string // the name by which proxies are found
	port        uint16 // that the victim then opened
	said        float64
	saidNames   int
}

// DNS takes a transaction.
func (d *Detector) DNS(env detectors.Env, q *flows.DNS) {
	d.begin(env.Now())
	if q.App != flows.AppLLMNR && q.App != flows.AppNBNS && q.App != flows.AppMDNS {
		return
	}
	b := env.Batch()
	now := env.Now()
	if !q.Answered() {
		name := label(b.Bytes(q.Name))
		if name == "" {
			return
		}
		switch q.Opcode() {
		case 0:
			u, _ := d.questions.Use(asking{q.Segment, name})
			*u = question{q.Asker(), now}
		case 5, 8, 9: // a host registers its own name
			d.owns(q, q.Asker(), name)
		}
		return
	}
	if q.QueryAt != 0 || q.Rcode != 0 || q.Opcode() != 0 {
		return // a server was asked: it answers for others
	}
	from := q.Responder()
	answers := b.Answers[q.Answers.Off : q.Answers.Off+q.Answers.Len]
	i := slices.IndexFunc(answers, func(a flows.Answer) bool {
		return (a.Type == typeA || a.Type == typeNB) && b.String(a.Data) == from.String()
	})
	if i < 0 {
		return
	}
	name := label(b.Bytes(answers[i].Name))
	if name == "" {
		return
	}
	u := d.questions.Get(asking{q.Segment, name})
	if u != nil && now-u.at > answeredIn {
		u = nil
	}
	to := q.Asker()
	if q.App == flows.AppMDNS && to.Netip().IsMulticast() {
		if u == nil || u.asker == from {
			d.owns(q, from, name) // announced unasked
			return
		}
		to = u.asker
	}
	if u == nil || to == from {
		return // the question was not to a group, or not seen
	}
	r, _ := d.responders.Use(detectors.HostKey{Segment: q.Segment, Addr: from})
	if slices.Contains(r.own, name) {
		return
	}
	r.answer(now, name, q.App == flows.AppMDNS)
	v := r.victim(now, to)
	v.last = now
	if !slices.Contains(v.names, name) && len(v.names) < maxNames {
		v.names = append(v.names, name)
	}
	if name == "wpad" || name == "isatap" {
		v.proxy = name
	}
	if len(v.refs) < maxRefs {
		v.refs = append(v.refs, q.Ref)
	}
	if len(v.conns) < maxConns {
		v.conns = append(v.conns, q.Conn)
	}
	d.accuse(env, q.Segment, from, r, v)
	if len(r.names) == fromNames { // those that were told before hear of it too
		for i := range r.victims {
			if o := &r.victims[i]; o.addr != to && now-o.last <= within {
				d.accuse(env, q.Segment, from, r, o)
			}
		}
	}
}

// label is the first label of a name, as far as NetBIOS tells it: the same in all three protocols.
func label(wire []byte) string {
	if len(wire) < 2 || int(wire[0]) >= len(wire) {
		return ""
	}
	return string(wire[1 : 1+min(int(wire[0]), 15)])
}

// owns enters a name that a host calls its own.
func (d *Detector) owns(q *flows.DNS, who packet.Addr, name string) {
	r, _ := d.responders.Use(detectors.HostKey{Segment: q.Segment, Addr: who})
	if len(r.own) < maxOwn && !slices.Contains(r.own, name) {
		r.own = append(r.own, name)
	}
}

// answer enters a name and forgets those of long ago.
func (r *responder) answer(now packet.Time, name string, mdns bool) {
	r.names = slices.DeleteFunc(r.names, func(a answered) bool { return now-a.at > within })
	if i := slices.IndexFunc(r.names, func(a answered) bool { return a.name == name }); i >= 0 {
		r.names[i].at, r.names[i].mdns = now, r.names[i].mdns && mdns
		return
	}
	if len(r.names) < maxNames {
		r.names = append(r.names, answered{name, now, mdns})
	}
}

// victim returns whom it answered, the one of longest ago giving way.
func (r *responder) victim(now packet.Time, a packet.Addr) *victim {
	for i := range r.victims {
		if v := &r.victims[i]; v.addr == a {
			if now-v.last > episode {
				*v = victim{addr: a, first: now}
			}
			return v
		}
	}
	if len(r.victims) == maxVictims {
		oldest := 0
		for i := range r.victims {
			if r.victims[i].last < r.victims[oldest].last {
				oldest = i
			}
		}
		r.victims = slices.Delete(r.victims, oldest, oldest+1)
	}
	r.victims = append(r.victims, victim{addr: a, first: now})
	return &r.victims[len(r.victims)-1]
}

// followed enters that a victim connected to who answered it.
func (d *Detector) followed(env detectors.Env, f *flows.Record) {
	r := d.responders.Get(detectors.HostKey{Segment: f.Segment, Addr: f.Resp})
	if r == nil || f.Total[flows.Resp].PayloadBytes == 0 {
		return
	}
	for i := range r.victims {
		v := &r.victims[i]
		if v.addr != f.Orig || f.Start < v.first || f.Start-v.last > comesIn || v.port != 0 && (v.port != 80 || f.RespPort == 80) {
			continue
		}
		if v.port = f.RespPort; len(v.conns) == maxConns {
			v.conns = v.conns[1:]
		}
		v.conns = append(v.conns, f.Conn)
		d.accuse(env, f.Segment, f.Resp, r, v)
	}
}

// accuse says what a responder's answers to a victim amount to, where that is enough.
func (d *Detector) accuse(env detectors.Env, segment packet.Segment, from packet.Addr, r *responder, v *victim) {
	f := &detectors.Finding{
		Rule: rulePoison, Actor: detectors.HostKey{Segment: segment, Addr: from}, Target: detectors.HostKey{Segment: segment, Addr: v.addr},
		Start: v.first, End: v.last, WindowStart: v.first, Techniques: []detectors.Technique{poisoning}, Refs: slices.Clone(v.refs), Conns: slices.Clone(v.conns),
	}
	add := adder(f)
	all, mdns := len(r.names), true
	var list []string
	for _, a := range r.names {
		mdns = mdns && a.mdns
		list = append(list, windows.Printable(a.name))
	}
	if all >= fromNames {
		e := detectors.Evidence{Measure: "different names of others answered with its own address within 10 min", Value: float64(all), Unit: "names",
			Baseline: "1: a host's own", Threshold: "3", Nats: names}
		if mdns {
			e.Measure += ", over mDNS alone"
			e.Nats = byMDNS
		}
		add(e)
	}
	if v.proxy != "" {
		add(detectors.Evidence{Measure: "an answer for " + v.proxy + ", by which hosts look for their proxy or tunnel", Value: 1, Unit: "answers", Baseline: "none", Nats: proxyName})
	}
	if f.LLR == 0 {
		return
	}
	switch v.port {
	case 445, 139:
		add(detectors.Evidence{Measure: fmt.Sprintf("then the victim connected to the responder's port %d, where Windows logs in unasked", v.port), Value: 1, Nats: sharing})
	case 80:
		add(detectors.Evidence{Measure: "then the victim connected to the responder's port 80", Value: 1, Nats: web})
	}
	if f.LLR < d.cfg.MinNats || f.LLR <= v.said && len(v.names) < 2*v.saidNames {
		return
	}
	f.Grew = v.said > 0 && f.LLR >= v.said+1
	v.said, v.saidNames = f.LLR, len(v.names)
	for i := range r.victims {
		if o := r.victims[i].addr; o != v.addr {
			f.Related = append(f.Related, o)
		}
	}
	told := make([]string, len(v.names))
	for i, n := range v.names {
		told[i] = windows.Printable(n)
	}
	f.Message = fmt.Sprintf("%s answered %s, asked of everybody by %s, with its own address; within 10 min it answered %s to %s: %s.", from, strings.Join(told, ", "), v.addr,
		phrase.Plural(all, "different name"), phrase.Plural(len(r.victims), "host"), strings.Join(list, ", "))
	if v.port != 0 {
		f.Message = strings.TrimSuffix(f.Message, ".") + fmt.Sprintf("; %s then connected to its port %d.", v.addr, v.port)
	}
	f.Counterfactual = "Fewer than three different names, or names that the responder registered or announced before, would not be said."
	if all < fromNames {
		f.Counterfactual = "Another name than " + v.proxy + " would not be said: one answer is what a host's own name gets."
	}
	f.LookAlikes = []string{
		"A server with several names of its own registers or announces them; these were only ever answered.",
		"A server for NetBIOS names answers what it is asked itself, not what everybody is asked.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("Ask whose %s is, and whether the names exist.", from),
		fmt.Sprintf("Take the passwords of users of %s that connected to it as known: look for log-ins with them (NTLM) elsewhere, and change them.", v.addr),
		"Turn LLMNR and NetBIOS name resolution off by policy, and require SMB signing.",
	}
	f.Filter = fmt.Sprintf("(llmnr || nbns || mdns) && (ip.src == %s || ip.src == %s)", from, v.addr)
	env.Emit(f)
}
