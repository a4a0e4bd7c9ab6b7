package l2

import (
	"fmt"
	"slices"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Bounds and weights of rule l2.dhcp.
const (
	maxServers  = 8
	servesFor   = packet.Time(24 * 60 * 60 * 1e9) // how long a server counts that says nothing
	otherWay    = 3.0
	otherNames  = 1.0
	itself      = 1.0
	otherNet    = 1.5
	maxClients  = 32
	firstMoment = packet.Time(10e9) // servers first seen so close to each other have no order
)

// network is what DHCP says on a segment.
type network struct{ servers []server }

// server is one that gives addresses.
type server struct {
	id, sender       packet.Addr
	mac              packet.MAC
	pool             [3]byte // of the addresses it gives
	router, resolver packet.Addr
	relayed          bool // or not seen to hand out anything: a lease is renewed without the relay that led to it (RFC 2131, 4.3.2)
	first, last      packet.Time
	clients          []packet.Addr
	conns            []flows.Conn
	refs             []flows.Ref
	said             float64
}

// DHCP takes a message.
func (d *Detector) DHCP(env detectors.Env, m *flows.DHCP) {
	now := env.Now()
	d.begin(now)
	if m.Kind == flows.DHCPAck {
		given := m.Yours
		if given == (packet.Addr{}) {
			given = m.Client
		}
		d.own(env, m.Segment, m.Hardware, given, true)
		if x := d.addresses.Get(detectors.HostKey{Segment: m.Segment, Addr: given}); x != nil && x.current != m.Hardware {
			*x = address{} // leased to another machine: the one before has no claim
		}
	}
	if m.Kind != flows.DHCPOffer && m.Kind != flows.DHCPAck || m.Yours == (packet.Addr{}) || !m.Yours.Is4() {
		return
	}
	n, _ := d.networks.Use(m.Segment)
	sender := m.Orig
	if m.RespPort == 67 && m.OrigPort == 68 && m.Orig != m.Server {
		sender = m.Resp
	}
	pool := [3]byte(m.Yours[12:15])
	i := slices.IndexFunc(n.servers, func(s server) bool { return s.id == m.Server && s.pool == pool })
	if i < 0 {
		if len(n.servers) == maxServers {
			oldest := 0
			for i := range n.servers {
				if n.servers[i].last < n.servers[oldest].last {
					oldest = i
				}
			}
			n.servers = slices.Delete(n.servers, oldest, oldest+1)
		}
		n.servers = append(n.servers, server{id: m.Server, sender: sender, pool: pool, first: now, relayed: true})
		i = len(n.servers) - 1
	}
	s := &n.servers[i]
	s.last, s.mac = now, m.From
	if m.Client != m.Yours {
		s.relayed = m.Relay != (packet.Addr{})
	}
	if m.Router != (packet.Addr{}) {
		s.router = m.Router
	}
	if m.Resolver != (packet.Addr{}) {
		s.resolver = m.Resolver
	}
	if len(s.clients) < maxClients && !slices.Contains(s.clients, m.Yours) {
		s.clients = append(s.clients, m.Yours)
	}
	if len(s.refs) < maxRefs {
		s.refs = append(s.refs, m.Ref)
		s.conns = append(s.conns, m.Conn)
	}
	for j := range n.servers {
		if o := &n.servers[j]; j != i && o.id != s.id && now-o.last <= servesFor {
			a, b := o, s // a was first
			if a.first > b.first || b.first-a.first < firstMoment && a.serves() && !b.serves() {
				a, b = b, a
			}
			d.second(env, m.Segment, a, b)
		}
	}
}

// serves says that a server names itself as the way out or for names.
func (s *server) serves() bool {
	return s.router != (packet.Addr{}) && s.router == s.id || s.resolver != (packet.Addr{}) && s.resolver == s.id
}

// second weighs a server that came after another.
func (d *Detector) second(env detectors.Env, segment packet.Segment, a, b *server) {
	differs := func(x, y packet.Addr) bool { return x != (packet.Addr{}) && y != (packet.Addr{}) && x != y }
	f := &detectors.Finding{
		Rule: ruleDHCP, Actor: detectors.HostKey{Segment: segment, Addr: b.id}, Target: detectors.HostKey{Segment: segment, Addr: b.clients[0]},
		Start: b.first, End: b.last, WindowStart: b.first, Techniques: []detectors.Technique{dhcpSpoof}, Refs: slices.Clone(b.refs), Conns: slices.Clone(b.conns),
		Related: slices.Clone(b.clients[1:]),
	}
	add := adder(f)
	tells := ""
	switch {
	case a.pool == b.pool && differs(a.router, b.router):
		tells = fmt.Sprintf("router %s", b.router)
		add(detectors.Evidence{Measure: "another router for the same network: " + b.router.String(), Value: 1, Baseline: a.router.String() + " of server " + a.id.String(), Nats: otherWay})
	case a.pool == b.pool && differs(a.resolver, b.resolver):
		tells = fmt.Sprintf("resolver %s", b.resolver)
		add(detectors.Evidence{Measure: "another resolver for the same network: " + b.resolver.String(), Value: 1, Baseline: a.resolver.String() + " of server " + a.id.String(), Nats: otherNames})
	case a.pool != b.pool && !a.relayed && !b.relayed && a.last >= b.first-servesFor:
		tells = "addresses of another network"
		add(detectors.Evidence{Measure: "addresses of another network: " + b.clients[0].String(), Value: 1, Baseline: a.clients[0].String() + " by server " + a.id.String(), Nats: otherNet})
	default:
		return
	}
	if a.pool == b.pool && b.serves() && !a.serves() {
		add(detectors.Evidence{Measure: "the server names itself, which the other does not", Value: 1, Nats: itself})
	}
	if f.LLR < d.cfg.MinNats || f.LLR <= b.said && len(b.clients) < 2 {
		return
	}
	f.Grew = b.said > 0 && f.LLR >= b.said+1
	b.said = max(b.said, f.LLR)
	f.Message = fmt.Sprintf("%s (%s) gives addresses by DHCP to %s with %s, while %s served this network before.", b.id, b.mac, phrase.Plural(len(b.clients), "client"), tells, a.id)
	f.Counterfactual = "The same router and resolver as the other server's, or no other server on this network within a day, would have silenced it."
	f.LookAlikes = []string{
		"Two servers of a fail-over pair tell the same router and resolver.",
		"A home router plugged in by mistake: it gives addresses of another network.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("Find the switch port of %s and ask whose server it is.", b.mac),
		"Renew the leases of its clients, and treat what they sent since then as read by others.",
		"Turn on DHCP snooping where the switches have it.",
	}
	f.Filter = fmt.Sprintf("dhcp.option.dhcp_server_id == %s || (dhcp && ip.src == %s)", b.id, b.sender)
	env.Emit(f)
}
