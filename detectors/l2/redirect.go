package l2

import (
	"fmt"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// typeRedirect is the type of ICMP that tells another way (RFC 792), and the weights of rule l2.redirect.
const (
	typeRedirect = 5
	forged       = 3.0
	noRouter     = 1.5
)

// redirect weighs the redirects of one sender to one host. By the time of a flow's record the routers are known.
func (d *Detector) redirect(env detectors.Env, r *flows.Record) {
	if r.Report != 1 || !env.Internal(r.Resp) || r.OrigMAC == (packet.MAC{}) {
		return
	}
	c := card{r.Segment, r.OrigMAC}
	m := d.machines.Get(c)
	f := &detectors.Finding{
		Rule: ruleRedirect, Actor: detectors.HostKey{Segment: r.Segment, Addr: r.Orig}, Target: detectors.HostKey{Segment: r.Segment, Addr: r.Resp},
		Start: r.Start, End: r.Last, WindowStart: r.Start, Techniques: []detectors.Technique{inBetween}, Conns: []flows.Conn{r.Conn}, Refs: []flows.Ref{r.FirstRef},
	}
	add := adder(f)
	who := r.Orig.String()
	other := m != nil && m.self() != (packet.Addr{}) && m.self() != r.Orig
	holder := d.holder(&c, r.Orig)
	switch {
	case holder != (packet.MAC{}) && (other || m == nil || m.forwards == 0):
		if other {
			f.Actor.Addr = m.self()
			f.Related = append(f.Related, r.Orig)
		}
		who = fmt.Sprintf("%s (%s), in the name of %s,", f.Actor.Addr, r.OrigMAC, r.Orig)
		add(detectors.Evidence{Measure: fmt.Sprintf("the sender %s has another hardware address here", r.Orig), Value: 1, Baseline: holder.String(), Nats: forged})
	case m == nil || m.forwards == 0:
		add(detectors.Evidence{Measure: "redirects by a machine through which nobody's traffic with the outside goes", Value: float64(r.Total[flows.Orig].Packets), Unit: "messages",
			Baseline: "routers send them", Threshold: "1", Nats: noRouter})
	default:
		return
	}
	if f.LLR < d.cfg.MinNats {
		return
	}
	f.Message = fmt.Sprintf("%s told %s by ICMP redirect to send through another router, %s; it is none itself as far as traffic shows.", who, r.Resp, phrase.Plural(int(r.Total[flows.Orig].Packets), "message"))
	f.Counterfactual = "Traffic with the outside through the sender's hardware address would have silenced it: routers send redirects."
	f.LookAlikes = []string{"A router between inside networks whose traffic with the outside was not seen."}
	f.NextSteps = []string{
		fmt.Sprintf("Read which router the redirects name (filter below) and whether %s took it: `route print` or `ip route get`.", r.Resp),
		"Hosts need no redirects: turn their acceptance off.",
	}
	f.Filter = fmt.Sprintf("icmp.type == 5 && ip.src == %s && ip.dst == %s", r.Orig, r.Resp)
	env.Emit(f)
}

// holder returns the machine that claims an address by ARP, where it is another than a card and that did not claim it but by lies.
func (d *Detector) holder(c *card, a packet.Addr) (holder packet.MAC) {
	x, m := d.addresses.Get(detectors.HostKey{Segment: c.segment, Addr: a}), d.machines.Get(*c)
	if x == nil {
		return holder
	}
	for i := range x.claims {
		switch o := x.claims[i].mac; {
		case !alike(o, c.mac):
			holder = o
		case m == nil || !m.lied(a):
			return packet.MAC{}
		}
	}
	return holder
}
