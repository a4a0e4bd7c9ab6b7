package dnsinfo

import (
	"maps"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/stat"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Bounds of the tables beside the pairs, chosen by us for a site of 10,000 clients.
const (
	maxSmall   = 1 << 16 // pairs of few names, 160 bytes each
	maxDomains = 1 << 15 // up to 700 bytes each
	maxServers = 1 << 12
	maxExpect  = 1 << 15 // connections that answers let expect, 150 bytes each
	maxSeen    = 1 << 19 // names learnt from, 10 bits each
)

const (
	followWithin = time.Minute     // from the answer to the connection
	flowsWithin  = 6 * time.Minute // until the record of that connection is here: flows report every 5 minutes
	sayAfter     = time.Minute     // until a growing finding's numbers are said anew
	maxRData     = 4096            // bytes that one answer counts for at most
	learnClients = 3               // whose domain teaches the model
	manyClients  = 32              // of a domain are not counted further
)

// DNS types that are judged by name (IANA).
const (
	typeA     = 1
	typeCNAME = 5
	typeAAAA  = 28
	typeSRV   = 33
)

// carriers are the types whose data is free text, so that a channel can use them; DNSSEC's, TKEY and TSIG are left out,
// large as they are.
var carriers = map[uint16]bool{
	typeCNAME: true, 10: true /* NULL */, 13: true /* HINFO */, 15: true /* MX */, 16: true, /* TXT */
	17: true /* RP */, 25: true /* KEY */, typeSRV: true, 35: true /* NAPTR */, 99: true /* SPF */, 255: true, /* ANY */
}

// carries says that a question of a type can bring data back. A look-up of a service (RFC 2782) is no channel.
func carries(kind uint16, name []byte) bool {
	if kind == typeSRV && len(name) > 1 && name[1] == '_' {
		return false
	}
	return carriers[kind] || kind >= 65280 // private use (RFC 6895)
}

const (
	dnsPort = 53
	flagRD  = 0x0100 // RFC 1035, 4.1.1
)

// longName is from where a single name is worth full state.
const longName = 100

// Detector is rule dns.info.
type Detector struct {
	cfg     Config
	small   *lru.Table[pairKey, small]
	pairs   *lru.Table[pairKey, *pair]
	domains *lru.Table[string, domain]
	servers *lru.Table[detectors.HostKey, struct{}] // who answers
	askers  *lru.Table[detectors.HostKey, asker]    // who asks without recursion
	expect  *lru.Table[expectation, expected]
	learnt  *stat.Seen
	model   bigrams
	pending map[uint64]*pair
	token   uint64
	buf     []byte
}

// asker is the first servers that a host asked without recursion.
type asker struct {
	servers [4]packet.Addr
	n       uint8
}

// expectation is a client and an address that an answer named.
type expectation struct {
	client detectors.HostKey
	server packet.Addr
}

type expected struct {
	pair        *pair
	first, last packet.Time
}

// New returns the detector.
func New(cfg Config) *Detector {
	d := &Detector{
		cfg:     cfg,
		small:   lru.New[pairKey, small](maxSmall, nil),
		domains: lru.New[string, domain](maxDomains, nil),
		servers: lru.New[detectors.HostKey, struct{}](maxServers, nil),
		askers:  lru.New[detectors.HostKey, asker](maxServers, nil),
		expect:  lru.New[expectation, expected](maxExpect, nil),
		learnt:  stat.NewSeen(maxSeen, 30*24*time.Hour),
		pending: map[uint64]*pair{},
	}
	d.pairs = lru.New(cfg.MaxPairs, func(k pairKey, p **pair) {
		if dom := d.domains.Get(k.domain); dom != nil {
			dom.bytes = max(0, dom.bytes-(*p).window[day].bytes[up])
		}
	})
	return d
}

// Rules returns the rule.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{rule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.pairs.Evicted() + d.small.Evicted() + d.domains.Evicted() + d.servers.Evicted() + d.askers.Evicted() + d.expect.Evicted()
}

// DNS takes a transaction.
func (d *Detector) DNS(env detectors.Env, q *flows.DNS) {
	if q.App != flows.AppDNS || q.QueryAt == 0 {
		return // without its question an answer may be forged or the capture's edge
	}
	b := env.Batch()
	from, server := ends(&q.Conn)
	client := detectors.HostKey{Segment: q.Segment, Addr: from}
	d.role(q, client, server)
	var n name
	var ok bool
	if n, d.buf, ok = split(b.Bytes(q.Name), d.buf); !ok {
		return
	}
	dom := d.domain(n.domain)
	if dom.clients.Estimate() < manyClients {
		dom.clients.Add(sketch.HashAddr(from))
	}
	d.learn(env, q, &n, dom)

	hash := sketch.Hash(n.below)
	p := d.pair(env.Now(), pairKey{client, n.domain}, q, &n, hash, dom)
	if p == nil {
		return
	}
	p.roll(env.Now(), dom)
	p.last, p.server = env.Now(), server
	p.questions++
	p.types[q.Type]++
	p.letters.add(&n, &d.model)
	if n.isLookup() {
		p.lookups++
	}
	if q.Rcode == 3 && n.isExpansion() {
		p.expansions++
	}
	if carries(q.Type, n.below) {
		p.carriers++
	}
	p.ask(hash, n.size(), dom)
	d.answers(env, q, p, &n)
	p.keep(q, b.Bytes(q.Name))
	p.dirty = true
	d.decide(env, p, dom)
}

// ends tells client from server. Where a capture begins with an answer, the connection's originator is the server: its
// port says so.
func ends(c *flows.Conn) (client, server packet.Addr) {
	if c.OrigPort == dnsPort && c.RespPort != dnsPort {
		return c.Resp, c.Orig
	}
	return c.Orig, c.Resp
}

// role learns who resolves for others: who answers, and who asks several servers without asking for recursion. One server
// alone proves nothing, since those of tunnels don't copy RD into their answers, against RFC 1035, 4.1.1.
func (d *Detector) role(q *flows.DNS, client detectors.HostKey, server packet.Addr) {
	if q.Answered() && client.Addr != server {
		d.servers.Use(detectors.HostKey{Segment: q.Segment, Addr: server})
	}
	if q.Flags&flagRD == 0 {
		a, _ := d.askers.Use(client)
		if int(a.n) < len(a.servers) && !slices.Contains(a.servers[:a.n], server) {
			a.servers[a.n] = server
			a.n++
		}
	}
}

// domain returns the state of a domain, whose text is copied when it is kept.
func (d *Detector) domain(text string) *domain {
	dom := d.domains.Touch(text)
	if dom == nil {
		dom, _ = d.domains.Use(strings.Clone(text))
	}
	return dom
}

// pair returns the full state of a pair, nil while it is small.
func (d *Detector) pair(now packet.Time, k pairKey, q *flows.DNS, n *name, hash uint64, dom *domain) *pair {
	if p := d.pairs.Touch(k); p != nil {
		return *p
	}
	s := d.small.Touch(k)
	if s == nil {
		k.domain = strings.Clone(k.domain)
		s, _ = d.small.Use(k)
	}
	isNew := !slices.Contains(s.hashes[:s.n], hash)
	if isNew {
		s.hashes[s.n], s.lengths[s.n] = hash, uint8(min(255, n.size()))
		s.n++
	}
	if s.n < fullFrom && n.size() < longName && !carries(q.Type, n.below) {
		return nil
	}
	k.domain = strings.Clone(k.domain)
	p := &pair{key: k, first: now, types: map[uint16]uint32{}}
	p.roll(now, dom)
	for i := range s.n {
		if s.hashes[i] != hash {
			p.ask(s.hashes[i], int(s.lengths[i]), dom)
			p.questions++
		}
	}
	d.small.Delete(k)
	v, _ := d.pairs.Use(k)
	*v = p
	return p
}

// answers notes what came back.
func (d *Detector) answers(env detectors.Env, q *flows.DNS, p *pair, n *name) {
	if !q.Answered() || q.Rcode != 0 || q.Answers.Len == 0 {
		return
	}
	b := env.Batch()
	p.answers++
	isCarrier := carries(q.Type, n.below)
	loopback, internal := false, false
	for i := range b.Answers[q.Answers.Off : q.Answers.Off+q.Answers.Len] {
		a := &b.Answers[int(q.Answers.Off)+i]
		data := b.Bytes(a.Data)
		if a.Type == typeA || a.Type == typeAAAA {
			addr, ok := parseAddr(data)
			if !ok {
				continue
			}
			loopback = loopback || addr.Is4() && addr[12] == 127
			internal = internal || env.Internal(addr)
			d.await(env.Now(), p, addr)
			continue
		}
		if isCarrier && carries(a.Type, n.below) {
			hash := sketch.Hash(data)
			for s := range numSpans {
				p.window[s].add(down, hash, min(maxRData, int(a.Len)))
			}
		}
	}
	if loopback {
		p.loopback++
	}
	if internal {
		p.internal++
	}
}

// await expects a connection of the client to an address.
func (d *Detector) await(now packet.Time, p *pair, addr packet.Addr) {
	x, isNew := d.expect.Use(expectation{p.key.client, addr})
	if isNew || x.pair != p {
		*x = expected{pair: p, first: now}
		p.named++
	}
	x.last = now
}

// arrived notes a connection that began at a time.
func (d *Detector) arrived(c *flows.Conn) {
	k := expectation{detectors.HostKey{Segment: c.Segment, Addr: c.Orig}, c.Resp}
	x := d.expect.Get(k)
	if x == nil || c.Start < x.first.Add(-time.Second) || c.Start > x.last.Add(followWithin) {
		return
	}
	x.pair.followed++
	d.expect.Delete(k)
}

// Flow looks whether a connection follows an answer.
func (d *Detector) Flow(_ detectors.Env, r *flows.Record) {
	if r.Report <= 1 {
		d.arrived(&r.Conn)
	}
}

// TLS does the same earlier.
func (d *Detector) TLS(_ detectors.Env, t *flows.TLS) { d.arrived(&t.Conn) }

// learn teaches the model names that exist, of domains that several clients use.
func (d *Detector) learn(env detectors.Env, q *flows.DNS, n *name, dom *domain) {
	if q.Answered() && q.Rcode == 0 && len(n.below) > 0 && dom.clients.Estimate() >= learnClients &&
		d.learnt.Add(env.Now(), sketch.Join(sketch.HashString(n.domain), sketch.Hash(n.below))) {
		d.model.learn(n)
	}
}

// isResolver says that a client asks for others.
func (d *Detector) isResolver(p *pair) bool {
	a := d.askers.Get(p.key.client)
	return d.servers.Get(p.key.client) != nil || a != nil && int(a.n) == len(a.servers)
}

// decide says what a pair has come to, at once or when the flows that could excuse it are known.
func (d *Detector) decide(env detectors.Env, p *pair, dom *domain) {
	v := d.weigh(p, dom)
	if v.nats < d.cfg.MinLLR || v.excuse != "" {
		return
	}
	if p.episode == 0 && p.named*2 > p.answers && env.Now().Sub(p.first) < flowsWithin {
		d.wake(env, p, p.first.Add(flowsWithin))
		return
	}
	if total := v.bytes; p.episode == 0 || total >= 2*p.said {
		d.say(env, p, dom, &v)
		return
	}
	d.wake(env, p, env.Now().Add(sayAfter))
}

func (d *Detector) wake(env detectors.Env, p *pair, at packet.Time) {
	if p.waiting {
		return
	}
	p.waiting = true
	d.token++
	d.pending[d.token] = p
	env.WakeAt(at, d.token)
}

// Wake says what was not said yet.
func (d *Detector) Wake(env detectors.Env, token uint64) {
	p := d.pending[token]
	if p == nil {
		return
	}
	delete(d.pending, token)
	p.waiting = false
	dom := d.domains.Get(p.key.domain)
	if !p.dirty || dom == nil {
		return
	}
	if v := d.weigh(p, dom); v.nats >= d.cfg.MinLLR && v.excuse == "" {
		d.say(env, p, dom, &v)
	}
}

// End says what was not said yet, in the order in which it came up.
func (d *Detector) End(env detectors.Env) {
	for _, token := range slices.Sorted(maps.Keys(d.pending)) {
		d.Wake(env, token)
	}
}

// say emits a pair's finding. A resolver is named only where no client of the domain was.
func (d *Detector) say(env detectors.Env, p *pair, dom *domain, v *verdict) {
	if v.resolver && dom.isTold && dom.told != p.key.client {
		return
	}
	if !v.resolver {
		dom.told, dom.isTold = p.key.client, true
	}
	if p.episode == 0 {
		p.episode, p.grew = p.window[v.span].start, v.bytes
	}
	f := d.finding(env, p, v)
	if v.bytes >= 10*p.grew {
		p.grew, f.Grew = v.bytes, true
	}
	p.dirty, p.said = false, v.bytes
	env.Emit(f)
}
