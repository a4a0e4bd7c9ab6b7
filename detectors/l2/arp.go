package l2

import (
	"slices"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Bounds and weights of rule l2.arp.
const (
	maxClaims = 4 // of an address
	maxLies   = 8 // of a machine
	maxRefs   = 8 // of a lie
	maxWays   = 4 // out, of a host
	often     = 5 // unsolicited replies within a minute
	recent    = packet.Time(60 * 1e9)

	unasked  = 0.5
	manyOf   = 1.0
	another  = 0.75
	turns    = 3.0
	replaced = 0.5
	double   = 1.0 // two machines with one address, neither known to have another
	moved    = 1.5
	bothWays = 2.0
	wayOut   = 1.0
)

// address is which machines claim an address by ARP, or got it by DHCP.
type address struct {
	claims  []claim
	current packet.MAC // who claimed it last
}

// claim is one machine's.
type claim struct {
	mac         packet.MAC
	first, last packet.Time
	taken       int         // how often it took the address from another within turnGap
	takenAt     packet.Time // first of these
	ref         flows.Ref
}

// lie is one machine's claim of an address, told to one host, or to all where victim is zero.
type lie struct {
	address, victim packet.Addr
	victimMAC       packet.MAC
	first, last     packet.Time
	replies         int // unsolicited
	minute          packet.Time
	inMinute        int
	most            int // in a minute
	refs            []flows.Ref
	overdue         bool // it is no longer waited for the teller's own address
	actor           packet.Addr
	said            float64
	saidAt          packet.Time
}

// ways is through which machines a host's traffic with the outside came, and when conversations through each began.
type ways struct {
	via  []way
	used packet.Time
}

type way struct {
	mac         packet.MAC
	first, last packet.Time
	conn        flows.Conn // the latest
}

// lied says that the machine is seen to claim an address that may be another's.
func (m *machine) lied(a packet.Addr) bool {
	return slices.ContainsFunc(m.lies, func(l lie) bool { return l.address == a })
}

// shared says that a hardware address moves between machines on purpose: VRRP and CARP (RFC 9568, 7.3), HSRP and GLBP (Cisco),
// and clusters of Microsoft's network load balancing.
func shared(m packet.MAC) bool {
	switch {
	case m[0] == 0 && m[1] == 0 && m[2] == 0x5e && m[3] == 0 && (m[4] == 1 || m[4] == 2),
		m[0] == 0 && m[1] == 0 && m[2] == 0x0c && (m[3] == 0x07 && m[4] == 0xac || m[3] == 0x9f && m[4]>>4 == 0xf),
		m[0] == 0 && m[1] == 0x07 && m[2] == 0xb4 && m[3] == 0,
		(m[0] == 2 || m[0] == 3) && m[1] == 0xbf:
		return true
	}
	return m[0]&1 != 0 // a group's
}

// alike says that two hardware addresses are of one machine: the ports of one card, four at most, are numbered in a row.
func alike(a, b packet.MAC) bool {
	d := int(a[5]) - int(b[5])
	return [5]byte(a[:5]) == [5]byte(b[:5]) && d < 4 && d > -4
}

// ARP takes a message.
func (d *Detector) ARP(env detectors.Env, a *flows.ARP) {
	now := env.Now()
	d.begin(now)
	zero := packet.AddrFrom4([]byte{0, 0, 0, 0})
	if !a.Reply {
		at, _ := d.asked.Use(pair{a.Segment, a.Sender, a.Target})
		*at = now
	}
	if a.Sender == zero || a.SenderMAC == (packet.MAC{}) || shared(a.SenderMAC) {
		return // a probe (RFC 5227, 1.1), or an address that is meant to move
	}
	c := card{a.Segment, a.SenderMAC}
	m, _ := d.machines.Use(c)
	d.claim(env, a, c, m)
	broadcast := a.To[0]&1 != 0
	switch {
	case !a.Reply && broadcast && !a.Gratuitous() && !m.lied(a.Sender):
		d.own(env, a.Segment, a.SenderMAC, a.Sender, false)
	case a.Reply && !broadcast && !a.Gratuitous() && a.Target != zero && now-d.start >= settle:
		if at := d.asked.Get(pair{a.Segment, a.Target, a.Sender}); at != nil && now-*at <= askedFor {
			return
		}
		l := m.lie(now, a.Sender, a.Target)
		l.victimMAC = a.To
		l.told(now, int(a.Count), a.Ref)
		d.weigh(env, c, m, l)
		d.weighOpposite(env, c, m, l)
	}
}

// claim enters who holds the sender's address.
func (d *Detector) claim(env detectors.Env, a *flows.ARP, c card, m *machine) {
	now := env.Now()
	key := detectors.HostKey{Segment: a.Segment, Addr: a.Sender}
	x, _ := d.addresses.Use(key)
	k := x.of(a.SenderMAC)
	if k == nil {
		if len(x.claims) == maxClaims {
			oldest := 0
			for i := range x.claims {
				if x.claims[i].last < x.claims[oldest].last {
					oldest = i
				}
			}
			x.claims = slices.Delete(x.claims, oldest, oldest+1)
		}
		x.claims = append(x.claims, claim{mac: a.SenderMAC, first: now})
		k = &x.claims[len(x.claims)-1]
	}
	k.last, k.ref = now, a.Ref
	before := x.current
	if x.current = a.SenderMAC; before == a.SenderMAC || before == (packet.MAC{}) || alike(before, a.SenderMAC) {
		return
	}
	if k.taken == 0 || now-k.takenAt > turnGap {
		k.taken, k.takenAt = 0, now
	}
	k.taken++
	o := x.of(before)
	if k.taken < 2 || o == nil || o.taken < 1 || now-o.takenAt > turnGap {
		return
	}
	// They take turns. Who came later is the one to explain itself.
	if o.first > k.first {
		c, k = card{a.Segment, before}, o
		m = d.machines.Get(c)
	}
	if m == nil {
		return
	}
	l := m.lie(now, a.Sender, packet.Addr{})
	l.told(now, 0, k.ref)
	if len(l.refs) < maxRefs && k.ref != a.Ref {
		l.refs = append(l.refs, a.Ref)
	}
	d.weigh(env, c, m, l)
}

// of returns a machine's claim.
func (x *address) of(m packet.MAC) *claim {
	for i := range x.claims {
		if x.claims[i].mac == m {
			return &x.claims[i]
		}
	}
	return nil
}

// lie returns the machine's lie about an address to a host, begun now where there is none or the last was long ago.
func (m *machine) lie(now packet.Time, about, to packet.Addr) *lie {
	i := slices.IndexFunc(m.lies, func(l lie) bool { return l.address == about && l.victim == to })
	if i >= 0 {
		if now-m.lies[i].last > episode {
			m.lies[i] = lie{address: about, victim: to, first: now}
		}
		return &m.lies[i]
	}
	if len(m.lies) == maxLies {
		oldest := 0
		for i := range m.lies {
			if m.lies[i].last < m.lies[oldest].last {
				oldest = i
			}
		}
		m.lies = slices.Delete(m.lies, oldest, oldest+1)
	}
	m.lies = append(m.lies, lie{address: about, victim: to, first: now, last: now})
	return &m.lies[len(m.lies)-1]
}

// told enters more replies.
func (l *lie) told(now packet.Time, n int, ref flows.Ref) {
	l.last = now
	l.replies += n
	if len(l.refs) < maxRefs {
		l.refs = append(l.refs, ref)
	}
	const minute = packet.Time(60_000_000_000)
	if now/minute != l.minute {
		l.minute, l.inMinute = now/minute, 0
	}
	l.inMinute += n
	l.most = max(l.most, l.inMinute)
}

// weighOpposite weighs what the machine told the holder of the address about the victim: together they lead both ways through it.
func (d *Detector) weighOpposite(env detectors.Env, c card, m *machine, l *lie) {
	for i := range m.lies {
		if o := &m.lies[i]; o.address == l.victim && o.victim == l.address {
			d.weigh(env, c, m, o)
		}
	}
}

// passed enters through which machine a host's traffic with the outside came.
func (d *Detector) passed(env detectors.Env, r *flows.Record, host packet.Addr, via packet.MAC) {
	if via == (packet.MAC{}) {
		return
	}
	now := env.Now()
	c, k := card{r.Segment, via}, detectors.HostKey{Segment: r.Segment, Addr: host}
	// Most records tell what the one before told: entries used within a minute keep their place.
	m := d.machines.Get(c)
	if m == nil || now-m.forwards > recent {
		m, _ = d.machines.Use(c)
	}
	m.forwards = max(m.forwards, r.Last)
	w := d.ways.Get(k)
	if w == nil || now-w.used > recent {
		w, _ = d.ways.Use(k)
		w.used = now
	}
	i := slices.IndexFunc(w.via, func(w way) bool { return w.mac == via })
	if i < 0 {
		if len(w.via) == maxWays {
			w.via = slices.Delete(w.via, 0, 1)
		}
		w.via = append(w.via, way{mac: via, first: r.Start})
		i = len(w.via) - 1
	}
	w.via[i].first, w.via[i].last, w.via[i].conn = min(w.via[i].first, r.Start), max(w.via[i].last, r.Start), r.Conn
	for i := range m.lies {
		if l := &m.lies[i]; l.victim == host && now-l.last <= episode {
			d.weigh(env, c, m, l)
		}
	}
}

// switched returns the victim's way out before a lie, where conversations that began after it go through the liar, and did not
// before.
func (d *Detector) switched(c card, l *lie) (before *way, after *way) {
	w := d.ways.Get(detectors.HostKey{Segment: c.segment, Addr: l.victim})
	if w == nil {
		return nil, nil
	}
	for i := range w.via {
		switch v := &w.via[i]; {
		case v.mac == c.mac && v.first >= l.first:
			after = v
		case v.mac != c.mac && v.first < l.first && l.first-v.last <= episode:
			before = v
		}
	}
	if before == nil || after == nil {
		return nil, nil
	}
	return before, after
}
