package edges

import (
	"fmt"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/sensor/packet"
)

const (
	firstEdge = iota
	peer
	roleInv
	fanout
	fleet
	numRules
)

var (
	services = detectors.Technique{ID: "T1021", Name: "Remote Services", Tactic: "TA0008"}
	byRDP    = detectors.Technique{ID: "T1021.001", Name: "Remote Desktop Protocol", Tactic: "TA0008"}
	bySMB    = detectors.Technique{ID: "T1021.002", Name: "SMB/Windows Admin Shares", Tactic: "TA0008"}
	byDCOM   = detectors.Technique{ID: "T1021.003", Name: "Distributed Component Object Model", Tactic: "TA0008"}
	bySSH    = detectors.Technique{ID: "T1021.004", Name: "SSH", Tactic: "TA0008"}
	byVNC    = detectors.Technique{ID: "T1021.005", Name: "VNC", Tactic: "TA0008"}
	byWinRM  = detectors.Technique{ID: "T1021.006", Name: "Windows Remote Management", Tactic: "TA0008"}
)

var all = []detectors.Technique{services, byRDP, bySMB, byDCOM, bySSH, byVNC, byWinRM}

var rules = [numRules]detectors.Rule{
	firstEdge: {ID: "graph.first_edge", Name: "Contact that was never there before", Stage: detectors.StageLateral, Techniques: all},
	peer:      {ID: "graph.peer", Name: "Contact that no peer has", Stage: detectors.StageLateral, Techniques: all},
	roleInv:   {ID: "graph.role_inv", Name: "Administration against what the hosts are for", Stage: detectors.StageLateral, Techniques: all},
	fanout:    {ID: "graph.fanout", Name: "More hosts administered than usual", Stage: detectors.StageLateral, Techniques: all},
	fleet:     {ID: "graph.fleet", Name: "Many hosts come to one new service", Stage: detectors.StageLateral, Techniques: []detectors.Technique{services}},
}

// technique is how a service is used to move.
func technique(s hostgraph.Service) detectors.Technique {
	switch s {
	case hostgraph.RDP:
		return byRDP
	case hostgraph.SMB, hostgraph.AdminShare:
		return bySMB
	case hostgraph.RemoteExec:
		return byDCOM
	case hostgraph.SSH:
		return bySSH
	case hostgraph.VNC:
		return byVNC
	case hostgraph.WinRM:
		return byWinRM
	}
	return services
}

// tell begins what is told of a contact.
func (d *Detector) tell(env detectors.Env, c *contact, rule int, nats float64) *detectors.Finding {
	r := c.r
	return &detectors.Finding{
		Rule: &rules[rule], Actor: detectors.HostKey{Segment: r.Segment, Addr: c.actor}, Target: detectors.HostKey{Segment: r.Segment, Addr: c.target},
		Start: r.Start, End: r.Last, WindowStart: r.Start - r.Start%day, LLR: nats, Conns: []flows.Conn{r.Conn}, Refs: []flows.Ref{r.FirstRef},
		Techniques: []detectors.Technique{technique(c.service)},
		Filter:     fmt.Sprintf("ip.addr == %s && ip.addr == %s && tcp.port == %d", c.actor, c.target, r.RespPort),
	}
}

// watched is the baseline of everything here, in words.
func watched(env detectors.Env) string {
	return phrase.Plural(env.Graph().Watched(), "day") + " watched"
}

func (d *Detector) firstEdge(env detectors.Env, c *contact, e *novelty) *detectors.Finding {
	f := d.tell(env, c, firstEdge, e.llr)
	f.Message = fmt.Sprintf("%s (%s) used %s on %s (%s) for the first time: surprise %s nats, of this site's new contacts 99 %% are below %s.",
		c.actor, e.ClientRole, c.service, c.target, e.ServerRole, phrase.Number(e.Surprise), phrase.Number(e.usual))
	f.Evidence = []detectors.Evidence{
		{Measure: "surprise of the new contact", Value: phrase.Round(e.Surprise), Unit: "nats", Baseline: fmt.Sprintf("99 %% below %s; %s", phrase.Number(e.usual), watched(env)), Threshold: phrase.Number(e.usual), Nats: phrase.Round(e.llr - e.off)},
		{Measure: fmt.Sprintf("contacts of a %s with a %s by %s", e.ClientRole, e.ServerRole, c.service), Value: float64(e.Pair), Unit: "edges", Baseline: fmt.Sprintf("of %d edges", e.All)},
		{Measure: fmt.Sprintf("clients of %s on %s", c.service, c.target), Value: float64(e.Clients), Unit: "hosts", Baseline: fmt.Sprintf("%d of its role", e.FromRole)},
	}
	if e.off > 0 {
		f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "hour of the week in which the client was never active", Value: 1, Unit: "hours", Baseline: watched(env), Nats: phrase.Round(e.off)})
	}
	return f
}

func (d *Detector) peer(env detectors.Env, c *contact, e *novelty) *detectors.Finding {
	f := d.tell(env, c, peer, e.peerNats())
	f.Message = fmt.Sprintf("Of %s of its role %d use %s on %s as %s does now.", phrase.Plural(e.peers, "other host"), e.users, c.service, c.target, c.actor)
	f.Evidence = []detectors.Evidence{{Measure: "other hosts of the role that use the service there", Value: float64(e.users), Unit: "hosts", Baseline: fmt.Sprintf("of %d", e.peers), Threshold: "30 %", Nats: phrase.Round(f.LLR)}}
	return f
}

func (d *Detector) roleInv(env detectors.Env, c *contact, e *novelty, nats float64, what string) *detectors.Finding {
	g := env.Graph()
	f := d.tell(env, c, roleInv, nats)
	f.Message = fmt.Sprintf("%s used %s on %s for the first time: %s. %s is taken for a %s (%s), %s for a %s (%s).", c.actor, c.service, c.target, what,
		c.actor, e.ClientRole, g.Why(c.client), c.target, e.ServerRole, g.Why(c.server))
	f.Evidence = []detectors.Evidence{
		{Measure: fmt.Sprintf("edges of a %s to a %s by %s before", e.ClientRole, e.ServerRole, c.service), Value: float64(e.Pair), Unit: "edges", Baseline: watched(env), Threshold: "each makes the next count less", Nats: phrase.Round(nats)},
	}
	f.Counterfactual = "Had such an edge been there before between these two, or several between hosts of these roles, it would not be told; nor if the roles were others (assets.role)."
	f.LookAlikes = []string{
		"Support that looks over a user's shoulder: from an administrator's host, which gets that role after some days.",
		"A server whose role was not seen yet: set it under assets.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("Ask the owner of %s whether somebody worked from there at that time.", c.actor),
		fmt.Sprintf("See what came to %s shortly before: rule graph.path tells it where it was seen.", c.actor),
	}
	return f
}

func (d *Detector) fanout(env detectors.Env, c *contact, h *reach, w *width, role hostgraph.Role) *detectors.Finding {
	f := d.tell(env, c, fanout, w.nats)
	f.Target, f.Start, f.WindowStart, f.Conns, f.Refs = detectors.HostKey{}, h.from, h.from, nil, nil
	for _, v := range h.conns(c.r.Start) {
		f.Conns = append(f.Conns, v.conn)
		other := v.conn.Resp
		if other == c.actor {
			other = v.conn.Orig
		}
		if len(f.Related) < 32 {
			f.Related = append(f.Related, other)
		}
	}
	n, within := int(w.day), "24 hours"
	if w.byHour {
		n, within = int(w.hour), "an hour"
	}
	f.Message = fmt.Sprintf("%s (%s) administered %s within %s; on its own days at most %d, 99 %% of days of its role at most %d.", c.actor, role, phrase.Plural(n, "host"), within, w.usual, w.usually)
	f.Evidence = []detectors.Evidence{
		{Measure: "hosts administered within " + within, Value: float64(n), Unit: "hosts", Baseline: fmt.Sprintf("own most %d in %s", w.usual, phrase.Plural(w.ownN, "day")), Threshold: "3", Nats: phrase.Round(min(0.5*w.own, w.nats))},
		{Measure: "the same beside hosts of its role", Value: float64(n), Unit: "hosts", Baseline: fmt.Sprintf("99 %% at most %d in %s host-days", w.usually, phrase.Count(w.roleN)), Nats: phrase.Round(max(w.nats-0.5*w.own, 0))},
	}
	f.Filter = fmt.Sprintf("ip.addr == %s && tcp.flags.syn == 1", c.actor)
	f.Counterfactual = fmt.Sprintf("%d hosts within %s would not be told.", max(w.usual, 2), within)
	f.LookAlikes = []string{"An administrator's busy day, a rollout from a new host: both become usual for the host after some days."}
	f.NextSteps = []string{
		fmt.Sprintf("Ask who works at %s; look at the account and whether it is the usual one.", c.actor),
		"Look for findings about the hosts that it reached.",
	}
	return f
}

func (d *Detector) fleetNote(env detectors.Env, c *contact, n int) *detectors.Finding {
	f := d.tell(env, c, fleet, 0.5)
	f.Actor, f.Target, f.Over = f.Target, detectors.HostKey{}, true
	f.Start = packet.Time(max(int64(env.Now()-day), 0))
	f.Message = fmt.Sprintf("%s came to %s on %s for the first time within a day: a rollout or a new server.", phrase.Plural(n, "host"), c.service, c.target)
	f.Evidence = []detectors.Evidence{{Measure: "hosts that came for the first time within 24 hours", Value: float64(n), Unit: "hosts", Baseline: watched(env), Threshold: phrase.Count(d.cfg.Fleet) + " and 2 % of the hosts", Nats: 0.5}}
	f.Counterfactual = "Fewer hosts would be told one by one, as evidence."
	f.LookAlikes = []string{"A worm: then its hosts reach one another, and rule graph.path says so."}
	f.NextSteps = []string{fmt.Sprintf("Know what runs on %s; if nobody does, look at it.", c.target)}
	f.Filter = fmt.Sprintf("ip.addr == %s && tcp.port == %d && tcp.flags.syn == 1", c.target, c.r.RespPort)
	return f
}
