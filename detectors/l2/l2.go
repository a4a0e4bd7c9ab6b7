package l2

import (
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// Times of the package comment, in packet time.
const (
	askedFor  = packet.Time(90 * time.Second) // a reply may answer a request so old: requests are folded by the minute
	settle    = packet.Time(2 * time.Second)  // after the first item seen: a request may have come before it
	ownerWait = packet.Time(5 * time.Minute)  // for the liar's own address, before the finding goes out without
	turnGap   = packet.Time(10 * time.Minute) // two holders of an address that take turns do so within
	episode   = packet.Time(time.Hour)        // without a lie for so long, the next one begins a new finding
	again     = packet.Time(5 * time.Minute)  // a lie that goes on is said again so often
)

var (
	poisoning = detectors.Technique{ID: "T1557.001", Name: "Name Resolution Poisoning and SMB Relay", Tactic: "TA0006"}
	arpCache  = detectors.Technique{ID: "T1557.002", Name: "ARP Cache Poisoning", Tactic: "TA0006"}
	dhcpSpoof = detectors.Technique{ID: "T1557.003", Name: "DHCP Spoofing", Tactic: "TA0006"}
	inBetween = detectors.Technique{ID: "T1557", Name: "Adversary-in-the-Middle", Tactic: "TA0006"}
)

var (
	rulePoison = &detectors.Rule{
		ID: "l2.poison", Name: "Names of others answered on the LAN (LLMNR, NetBIOS, mDNS)", Stage: detectors.StageCredential,
		Techniques: []detectors.Technique{poisoning}, Sides: detectors.OriginatorAlone,
	}
	ruleARP = &detectors.Rule{
		ID: "l2.arp", Name: "Another host's address claimed by ARP", Stage: detectors.StageCredential,
		Techniques: []detectors.Technique{arpCache}, Sides: detectors.OriginatorAlone,
	}
	ruleDHCP = &detectors.Rule{
		ID: "l2.dhcp", Name: "A second DHCP server that tells another way out", Stage: detectors.StageCredential,
		Techniques: []detectors.Technique{dhcpSpoof}, Sides: detectors.OriginatorAlone,
	}
	ruleRedirect = &detectors.Rule{
		ID: "l2.redirect", Name: "ICMP redirect by a host that is no router", Stage: detectors.StageCredential,
		Techniques: []detectors.Technique{inBetween}, Sides: detectors.OriginatorAlone,
	}
)

// card names a hardware address on its network.
type card struct {
	segment packet.Segment
	mac     packet.MAC
}

// machine is what is known of a hardware address.
type machine struct {
	owner    packet.Addr // whose own traffic carries it; zero: not known
	sure     bool        // by a lease, or by traffic that no router passes on
	forwards packet.Time // when it last brought traffic of outside addresses; 0: never
	lone     packet.Addr // the inside address whose conversations it began; zero: none yet
	several  bool        // more than one: a router
	lies     []lie
}

// Detector is the rules of this package.
type Detector struct {
	cfg        Config
	start      packet.Time // of the first item
	machines   *lru.Table[card, machine]
	addresses  *lru.Table[detectors.HostKey, address]
	asked      *lru.Table[pair, packet.Time]
	ways       *lru.Table[detectors.HostKey, ways]
	networks   *lru.Table[packet.Segment, network]
	responders *lru.Table[detectors.HostKey, responder]
	questions  *lru.Table[asking, question]
	waiting    map[uint64]card // machines whose lies wait for an owner, by token
	token      uint64
}

// pair is who asks for whom.
type pair struct {
	segment      packet.Segment
	asker, asked packet.Addr
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{
		cfg:        cfg,
		machines:   lru.New[card, machine](cfg.MaxHosts, nil),
		addresses:  lru.New[detectors.HostKey, address](cfg.MaxHosts, nil),
		asked:      lru.New[pair, packet.Time](cfg.MaxHosts, nil),
		ways:       lru.New[detectors.HostKey, ways](cfg.MaxHosts, nil),
		networks:   lru.New[packet.Segment, network](256, nil),
		responders: lru.New[detectors.HostKey, responder](max(cfg.MaxHosts/16, 16), nil),
		questions:  lru.New[asking, question](max(cfg.MaxHosts/4, 16), nil),
		waiting:    map[uint64]card{},
	}
}

// Rules returns the rules.
func (d *Detector) Rules() []*detectors.Rule {
	return []*detectors.Rule{rulePoison, ruleARP, ruleDHCP, ruleRedirect}
}

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.machines.Evicted() + d.addresses.Evicted() + d.asked.Evicted() + d.ways.Evicted() + d.networks.Evicted() + d.responders.Evicted() + d.questions.Evicted()
}

// begin remembers when the watch began.
func (d *Detector) begin(now packet.Time) {
	if d.start == 0 {
		d.start = now
	}
}

// own enters whose hardware address it is; what is sure goes before what is not, and what is known before what is new.
func (d *Detector) own(env detectors.Env, segment packet.Segment, mac packet.MAC, a packet.Addr, sure bool) {
	if mac == (packet.MAC{}) || a == (packet.Addr{}) || !a.Is4() {
		return
	}
	c := card{segment, mac}
	m, _ := d.machines.Use(c)
	if m.owner == a && m.sure || m.owner != (packet.Addr{}) && !sure || sure && m.lied(a) {
		return
	}
	m.owner, m.sure = a, m.sure || sure
	for i := range m.lies {
		d.weigh(env, c, m, &m.lies[i])
	}
}

// Flow takes a record: it learns ways out and owners, sees what a lie came to, and tells redirects.
func (d *Detector) Flow(env detectors.Env, r *flows.Record) {
	d.begin(env.Now())
	inside, outside := env.Internal(r.Orig), env.Internal(r.Resp)
	if inside && r.Report == 1 && r.OrigMAC != (packet.MAC{}) {
		d.began(r)
	}
	switch {
	case r.Proto == packet.ProtoICMP && r.OrigPort == typeRedirect:
		d.redirect(env, r)
	case nearby(r.Resp):
		if inside && r.Report == 1 {
			d.own(env, r.Segment, r.OrigMAC, r.Orig, true)
		}
	case inside && !outside:
		d.passed(env, r, r.Orig, r.RespMAC)
	case outside && !inside && r.Total[flows.Resp].Packets > 0:
		d.passed(env, r, r.Resp, r.OrigMAC)
	}
	if r.Proto == packet.ProtoTCP && (r.RespPort == 445 || r.RespPort == 139 || r.RespPort == 80) {
		d.followed(env, r)
	}
}

// began enters whose conversation a machine began. Who lies passes on what others began: only what came before counts.
func (d *Detector) began(r *flows.Record) {
	c := card{r.Segment, r.OrigMAC}
	m := d.machines.Get(c)
	if m == nil {
		m, _ = d.machines.Use(c)
	}
	switch {
	case m.several || m.lone == r.Orig || len(m.lies) > 0 && r.Start >= m.lies[0].first:
	case m.lone == (packet.Addr{}):
		m.lone = r.Orig
	default:
		m.several = true
	}
}

// self is the address of a machine's own, zero where none is known.
func (m *machine) self() packet.Addr {
	if m.owner == (packet.Addr{}) && !m.several && m.forwards == 0 {
		return m.lone
	}
	return m.owner
}

// nearby says that routers don't pass on what goes to an address: the local groups (RFC 5771, 4) and all hosts.
func nearby(a packet.Addr) bool {
	return a.Is4() && (a[12] == 224 && a[13] == 0 && a[14] == 0 || a[12]&a[13]&a[14]&a[15] == 255)
}

// Wake lets lies go out whose teller's address did not become known.
func (d *Detector) Wake(env detectors.Env, token uint64) {
	c, ok := d.waiting[token]
	if !ok {
		return
	}
	delete(d.waiting, token)
	if m := d.machines.Get(c); m != nil {
		for i := range m.lies {
			if l := &m.lies[i]; env.Now()-l.first >= ownerWait {
				l.overdue = true
				d.weigh(env, c, m, l)
			}
		}
	}
}

// End does so at the end of the input.
func (d *Detector) End(env detectors.Env) {
	for c, m := range d.machines.All() {
		for i := range m.lies {
			m.lies[i].overdue = true
			d.weigh(env, c, m, &m.lies[i])
		}
	}
}
