package l2

import (
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/sensor/packet"
)

// weigh says what a machine's claim amounts to, where that is enough, and once its teller is known or no longer waited for. It
// changes no table, so that it may be called while one is read.
func (d *Detector) weigh(env detectors.Env, c card, m *machine, l *lie) {
	if l.victim == (packet.Addr{}) && slices.ContainsFunc(m.lies, func(o lie) bool { return o.address == l.address && o.replies > 0 }) {
		return // said to whom it was told
	}
	f := &detectors.Finding{
		Rule: ruleARP, Start: l.first, End: l.last, WindowStart: l.first, Techniques: []detectors.Technique{arpCache}, Refs: slices.Clone(l.refs),
		Target: detectors.HostKey{Segment: c.segment, Addr: l.victim},
	}
	add := adder(f)
	victim := l.victim.String()
	if l.victim == (packet.Addr{}) {
		victim = "the network"
		f.Target.Addr = l.address
	}
	if l.replies > 0 {
		add(detectors.Evidence{Measure: fmt.Sprintf("replies to %s, unasked: %s is at %s", victim, l.address, c.mac), Value: float64(l.replies), Unit: "messages",
			Baseline: "one for each request", Threshold: "1", Nats: unasked})
		if l.most >= often {
			add(detectors.Evidence{Measure: "of them within a minute", Value: float64(l.most), Unit: "messages", Baseline: "none", Threshold: "5", Nats: manyOf})
		}
	}
	self := m.self()
	known := self != (packet.Addr{}) && self != l.address
	reasons := 0
	if known {
		reasons++
		add(detectors.Evidence{Measure: "addresses that the machine claims, its own " + self.String() + " among them", Value: 2, Unit: "addresses", Baseline: "1", Threshold: "2", Nats: another})
		f.Related = append(f.Related, l.address)
	}
	x := d.addresses.Get(detectors.HostKey{Segment: c.segment, Addr: l.address})
	var other *claim
	if x != nil {
		for i := range x.claims {
			o := &x.claims[i]
			if o.mac != c.mac && !alike(o.mac, c.mac) && l.first-o.last <= episode && (other == nil || o.last > other.last) {
				other = o
			}
		}
		if k := x.of(c.mac); other != nil && k != nil {
			live := l.victim == (packet.Addr{}) || other.last >= l.first && (l.replies > 1 || k.taken >= 2)
			switch e := (detectors.Evidence{Measure: fmt.Sprintf("machines that claim %s in turn: %s too", l.address, other.mac), Value: 2, Unit: "machines", Baseline: "1", Threshold: "2"}); {
			case live && (l.replies > 0 || known):
				e.Nats = turns
				reasons++
				add(e)
			case live:
				e.Nats = double
				reasons++
				add(e)
			default:
				e.Measure = fmt.Sprintf("another machine held %s before: %s, silent since", l.address, other.mac)
				e.Nats = replaced
				add(e)
			}
		}
	}
	before, after := d.switched(c, l)
	if before != nil {
		reasons++
		add(detectors.Evidence{Measure: fmt.Sprintf("traffic of %s with the outside that goes through %s since, before through %s", l.victim, c.mac, before.mac), Value: 1, Unit: "machines",
			Baseline: "none", Nats: moved})
		f.Conns = append(f.Conns, before.conn, after.conn)
	}
	if slices.ContainsFunc(m.lies, func(o lie) bool {
		return o.address == l.victim && o.victim == l.address && o.replies > 0 && l.replies > 0 && l.last-o.last <= episode
	}) {
		reasons++
		add(detectors.Evidence{Measure: fmt.Sprintf("and to %s, unasked: %s is at %s", l.address, l.victim, c.mac), Value: 1, Unit: "messages", Baseline: "none", Nats: bothWays})
	}
	if n := d.networks.Get(c.segment); reasons > 0 && n != nil && slices.ContainsFunc(n.servers, func(s server) bool { return s.router == l.address }) {
		add(detectors.Evidence{Measure: "the address is the router that DHCP names", Value: 1, Nats: wayOut})
	}
	now := env.Now()
	if reasons == 0 || f.LLR < d.cfg.MinNats || f.LLR <= l.said && now-l.saidAt < again {
		return
	}
	if l.actor == (packet.Addr{}) {
		switch {
		case known:
			l.actor = self
		case l.overdue:
			l.actor = l.address
		default:
			d.await(env, c, l)
			return
		}
	}
	f.Grew = l.said > 0 && f.LLR >= l.said+1
	l.said, l.saidAt = max(l.said, f.LLR), now
	f.Actor = detectors.HostKey{Segment: c.segment, Addr: l.actor}
	name := l.actor.String() + " (" + c.mac.String() + ")"
	if l.actor == l.address {
		name = "The machine with " + c.mac.String() + ", whose own address is not known,"
	}
	f.Message = fmt.Sprintf("%s told %s that %s is at its own hardware address", name, victim, l.address)
	if l.replies > 0 {
		f.Message += fmt.Sprintf(", in %s that nobody asked for", phrase.Plural(l.replies, "ARP reply"))
		f.Message = strings.Replace(f.Message, "replys", "replies", 1)
	}
	if before != nil {
		f.Message += fmt.Sprintf("; since then %s reaches the outside through it", l.victim)
	}
	if other != nil {
		f.Message += fmt.Sprintf("; %s held that address too", other.mac)
	}
	f.Message += "."
	f.Counterfactual = fmt.Sprintf("A request of %s for %s within 90 s before each reply, or the only claim of %s being this machine's, would have silenced it.", victim, l.address, l.address)
	f.LookAlikes = []string{
		"A router or cluster that takes over an address: the machine before it is silent then, and it tells everybody at once instead of single hosts.",
		"Two machines with the same address by mistake: neither has another address, and nobody is told unasked.",
	}
	f.Filter = fmt.Sprintf("arp.src.hw_mac == %s && arp.src.proto_ipv4 == %s", strings.ToLower(strings.ReplaceAll(c.mac.String(), "-", ":")), l.address)
	f.NextSteps = []string{
		fmt.Sprintf("Compare `arp -a` on %s with the real hardware address of %s, and find the switch port of %s.", victim, l.address, c.mac),
		fmt.Sprintf("Treat what %s sent in clear since then, passwords first, as read by others.", victim),
		"Turn on dynamic ARP inspection where the switches have it.",
	}
	env.Emit(f)
}

// await asks to be woken when a lie's teller is no longer waited for.
func (d *Detector) await(env detectors.Env, c card, l *lie) {
	if l.saidAt != 0 || len(d.waiting) >= d.cfg.MaxHosts {
		return
	}
	l.saidAt = env.Now() // once; what is said takes its place
	d.token++
	d.waiting[d.token] = c
	env.WakeAt(l.first+ownerWait, d.token)
}

// adder adds evidence and its weight to a finding.
func adder(f *detectors.Finding) func(detectors.Evidence) {
	return func(e detectors.Evidence) {
		f.LLR += e.Nats
		f.Evidence = append(f.Evidence, e)
	}
}
