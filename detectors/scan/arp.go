package scan

import (
	"math"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// neighbours stands for ARP as the protocol of a service; a number that is kept free for experiments (RFC 3692).
const neighbours packet.Proto = 254

// A sweep asks for this many addresses within the time that nobody has; a host that comes home asks for a handful. Chosen by us.
const (
	arpAsked  = 20
	arpWithin = 30 * time.Second
	arpWait   = 5 * time.Second // what an answer has time for: systems ask again after a second (RFC 4861 says so of IPv6)
	maxAsked  = 4096            // requests that wait for that, 250 bytes each
	arpToken  = 0               // of the Wake that judges them; walks count from 1
)

// maxFronts bounds the hardware addresses of which it is known for whom they speak, 48 bytes each; a power of two. Two that
// share a place push each other out.
const maxFronts = 1 << 13

// routerAddrs is how many addresses a hardware address speaks for before it is a router's. One from outside is enough.
const routerAddrs = 3

// popular is how many hosts ask for one that serves them; at most what clients holds.
const popular = deadClients + 3

// maxInfra bounds the routers and DHCP servers that DHCP names.
const maxInfra = 1024

// arp is what is known of the neighbourhood.
type arp struct {
	queue  []request // by time, from head on
	head   int
	wakes  bool
	fronts []front
	asking []clients // who asks for an address, each at the place of its hash
	infra  *lru.Table[detectors.HostKey, struct{}]
}

type request struct {
	contact
	mac uint64
}

// front is a hardware address and for whom it speaks.
type front struct {
	mac    uint64
	addrs  [routerAddrs]uint64
	n      uint8
	router bool
}

func newARP() arp {
	return arp{
		fronts: make([]front, maxFronts), asking: make([]clients, maxFronts),
		infra: lru.New[detectors.HostKey, struct{}](maxInfra, nil),
	}
}

func macKey(s packet.Segment, m packet.MAC) uint64 {
	bits := uint64(m[0])<<40 | uint64(m[1])<<32 | uint64(m[2])<<24 | uint64(m[3])<<16 | uint64(m[4])<<8 | uint64(m[5])
	if bits == 0 {
		return 0
	}
	return sketch.Join(bits, uint64(s))
}

// speaks notes that frames of a hardware address come from an address.
func (n *arp) speaks(mac uint64, addr packet.Addr, outside bool) {
	if mac == 0 || !addr.Is4() || !unicast(addr) {
		return
	}
	f := &n.fronts[mac%maxFronts]
	if f.mac != mac {
		*f = front{mac: mac}
	}
	if f.router {
		return
	}
	if h := sketch.HashAddr(addr); !slices.Contains(f.addrs[:f.n], h) {
		f.addrs[f.n] = h
		f.n++
	}
	f.router = outside || f.n == routerAddrs
}

// excused says that a host asks for others' sake: a router for what comes through it, a DHCP server for the addresses that it
// gives, a host that many others ask for because of those that it serves.
func (n *arp) excused(host detectors.HostKey, mac uint64) bool {
	if f := &n.fronts[mac%maxFronts]; f.mac == mac && f.router {
		return true
	}
	of := hashOf(host)
	if v := &n.asking[of%maxFronts]; v.target == of && v.n >= popular {
		return true
	}
	return n.infra.Get(host) != nil
}

// DHCP names routers and DHCP servers: what they ask for is no sweep.
func (d *Detector) DHCP(_ detectors.Env, f *flows.DHCP) {
	if f.Kind != flows.DHCPAck && f.Kind != flows.DHCPOffer {
		return
	}
	for _, a := range [...]packet.Addr{f.Router, f.Server} {
		if a != (packet.Addr{}) {
			d.arp.infra.Use(detectors.HostKey{Segment: f.Segment, Addr: a})
		}
	}
}

// ARP takes who is there and who asks for whom. Only requests to everybody are looked for: a host that asks a neighbour
// whether it is still there sends them to it alone.
func (d *Detector) ARP(env detectors.Env, a *flows.ARP) {
	now := env.Now()
	d.answerARP(env, now.Add(-arpWait))
	if a.Sender == (packet.Addr{}) {
		return
	}
	sender := detectors.HostKey{Segment: a.Segment, Addr: a.Sender}
	target := detectors.HostKey{Segment: a.Segment, Addr: a.Target}
	if d.began == 0 {
		d.began = now
	}
	d.awake.Add(now, hashOf(sender))
	mac := macKey(a.Segment, a.SenderMAC)
	d.arp.speaks(mac, a.Sender, false)
	if a.Reply || a.Gratuitous() || a.To[0]&1 == 0 || !unicast(a.Target) || !env.Internal(a.Sender) || !env.Internal(a.Target) {
		return
	}
	actor, host := sketch.HashAddr(a.Sender), hashOf(target)
	place(d.arp.asking, host, actor)
	if !d.seen.Add(now, sketch.Join(sketch.Join(actor, host), uint64(neighbours)<<32)) {
		return
	}
	if len(d.arp.queue)-d.arp.head >= maxAsked {
		d.judgeARP(env, &d.arp.queue[d.arp.head])
		d.arp.head++
	}
	if d.arp.head > len(d.arp.queue)/2 { // each is moved once at most, all in all
		d.arp.queue = append(d.arp.queue[:0], d.arp.queue[d.arp.head:]...)
		d.arp.head = 0
	}
	d.arp.queue = append(d.arp.queue, request{contact{
		actor: sender, target: target, service: service{proto: neighbours}, outcome: silent, ref: a.Ref, at: now,
		conn: flows.Conn{Start: now, Orig: a.Sender, Resp: a.Target, Segment: a.Segment, Proto: neighbours},
	}, mac})
	if !d.arp.wakes {
		d.arp.wakes = true
		env.WakeAt(now.Add(arpWait), arpToken)
	}
}

// answerARP judges the requests up to a time.
func (d *Detector) answerARP(env detectors.Env, to packet.Time) {
	for d.arp.head < len(d.arp.queue) && d.arp.queue[d.arp.head].at <= to {
		d.judgeARP(env, &d.arp.queue[d.arp.head])
		d.arp.head++
	}
}

// wakeARP judges what is due.
func (d *Detector) wakeARP(env detectors.Env) {
	d.arp.wakes = false
	d.answerARP(env, env.Now().Add(-arpWait))
	if d.arp.head < len(d.arp.queue) {
		d.arp.wakes = true
		env.WakeAt(d.arp.queue[d.arp.head].at.Add(arpWait), arpToken)
	}
}

// judgeARP decides whether a request was for an address that nobody has, and whether they are a sweep: twenty within half a
// minute, and at least a quarter of what the host asked for.
func (d *Detector) judgeARP(env detectors.Env, r *request) {
	if d.arp.excused(r.actor, r.mac) {
		return
	}
	now, c := env.Now(), &r.contact
	failed := !d.awake.Has(now, hashOf(r.target))
	s := d.internal.Get(r.actor)
	if s == nil && !failed {
		return
	}
	s, _ = d.internal.Use(r.actor)
	d.turn(env, r.actor, s)
	if w := s.walk(now, overNeighbours, c, failed); w != nil {
		d.stepARP(env, s, w, c, failed)
	}
	if failed {
		d.fanOut(env, s, c, false) // for slow sweeps
	}
}

// stepARP enters a judged request in the host's walk.
func (d *Detector) stepARP(env detectors.Env, s *source, w *walk, c *contact, failed bool) {
	if w.last != 0 && c.at.Sub(w.last) > detectors.Quiet {
		w.begin(progress{kind: overNeighbours, actor: c.actor, start: c.at})
	} else if w.start == 0 {
		w.start = c.at
	}
	if !failed {
		w.answer(c)
		return
	}
	if w.asked == nil {
		w.asked = new([arpAsked]packet.Time)
	}
	w.asked[w.failures()%arpAsked] = c.at
	w.level = 1
	w.fail(c)
	n := w.failures()
	if w.alarmed {
		d.grow(env, s, w)
		return
	}
	if n < arpAsked || slices.Max(w.asked[:]).Sub(slices.Min(w.asked[:])) > arpWithin || 4*n < w.contacts() {
		return
	}
	w.alarmed, w.window, w.rule, w.fan = true, w.start, burstRule, nil
	d.grow(env, s, w)
}

// arpLLR is the weight of an ARP sweep: 3 nats at the bound, 5.5 where a network of 254 is dark throughout.
func (w *walk) arpLLR() float64 {
	return min(maxFanNats, 3+math.Log(max(1, float64(w.failures())/arpAsked)))
}

// place notes a client of a service or an asker of an address in a table, and returns how many there are.
func place(table []clients, of, actor uint64) uint8 {
	v := &table[of%uint64(len(table))]
	if v.target != of {
		*v = clients{target: of}
	}
	if int(v.n) < len(v.hashes) && !slices.Contains(v.hashes[:v.n], actor) {
		v.hashes[v.n] = actor
		v.n++
	}
	return v.n
}

// hashOf is the fixed hash of a host.
func hashOf(k detectors.HostKey) uint64 {
	return sketch.Join(sketch.HashAddr(k.Addr), uint64(k.Segment))
}
