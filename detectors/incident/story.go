package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/sensor/packet"
)

// story fills in all but the score: who, what, when, and what to do.
func (k *kase) story(i *Incident, inside func(packet.Addr) bool) {
	all := k.signals()
	slices.SortStableFunc(all, func(a, b *detectors.Signal) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID))
	})
	i.ID, i.Start, i.End = k.id, all[0].Start, all[0].End
	i.Stages = stagesOf(all)
	i.Moves = slices.Clone(k.moves)
	slices.SortStableFunc(i.Moves, func(a, b Move) int { return cmp.Compare(a.At, b.At) })
	for _, s := range all {
		i.Start, i.End = min(i.Start, s.Start), max(i.End, s.End)
		for _, u := range s.Users {
			if len(i.Users) < 16 && !slices.Contains(i.Users, u) {
				i.Users = append(i.Users, u)
			}
		}
		if s.Domain != "" && len(i.Domains) < 16 && !slices.Contains(i.Domains, s.Domain) {
			i.Domains = append(i.Domains, s.Domain)
		}
	}
	i.Timeline = all
	if len(all) > MaxTimeline { // the lightest go
		keep := slices.Clone(all)
		slices.SortStableFunc(keep, func(a, b *detectors.Signal) int { return cmp.Compare(b.LLR, a.LLR) })
		least := keep[MaxTimeline-1].LLR
		i.Timeline = slices.DeleteFunc(slices.Clone(all), func(s *detectors.Signal) bool { return s.LLR < least })
		i.Timeline = i.Timeline[:min(len(i.Timeline), MaxTimeline)]
		i.Left = len(all) - len(i.Timeline)
	}
	i.Hosts = k.roles(all, inside)
	i.Techniques = top(all)
	i.Quality, i.Limits = weak(all)
	i.Message = i.sentence()
	i.Responses = respond(i, inside)
}

// roles lists the hosts and what they are in the attack.
func (k *kase) roles(all []*detectors.Signal, inside func(packet.Addr) bool) []Host {
	var hosts []Host
	var ids []string // of hosts, in the tables
	add := func(key detectors.HostKey, known *detectors.Known, role Role, at packet.Time) {
		id := hostID(key, known)
		if slices.Contains(ids, id) || len(hosts) >= MaxHosts {
			return
		}
		ids = append(ids, id)
		hosts = append(hosts, Host{Key: key, ID: known.ID, Name: known.Name, Role: role, First: at})
	}
	for _, n := range k.hosts { // by the number of a case's host, so that one machine is one line whatever its address
		if len(n.signals) == 0 {
			continue
		}
		first := n.signals[0]
		for _, s := range n.signals {
			if s.Start < first.Start {
				first = s
			}
		}
		role := Actor
		if slices.ContainsFunc(k.moves, func(m Move) bool { return m.To == n.key }) {
			role = Pivot
		}
		last := n.signals[len(n.signals)-1] // it knows best who the host is
		hosts = append(hosts, Host{
			Key: first.Actor, ID: last.ActorHost.ID, Name: last.ActorHost.Name, Role: role, First: first.Start, Nats: phrase.Round(hostScore(n.signals, k.last)),
		})
		ids = append(ids, n.id)
	}
	slices.SortStableFunc(hosts, func(a, b Host) int {
		return cmp.Or(cmp.Compare(a.First, b.First), a.Key.Addr.Netip().Compare(b.Key.Addr.Netip()))
	})
	hosts[0].Role = FirstSeen
	for _, s := range all {
		if s.Peer.Addr == (packet.Addr{}) {
			continue
		}
		role := Target
		if !inside(s.Peer.Addr) && s.Stage >= detectors.StageC2 {
			role = Destination
		}
		add(s.Peer, &s.PeerHost, role, s.Start)
	}
	return hosts
}

// top lists the techniques with the most weight behind them.
func top(all []*detectors.Signal) []detectors.Technique {
	heavy := slices.Clone(all)
	slices.SortStableFunc(heavy, func(a, b *detectors.Signal) int { return cmp.Compare(b.LLR, a.LLR) })
	var out []detectors.Technique
	for _, s := range heavy {
		for _, t := range s.Techniques {
			if len(out) < detectors.MaxTechniques && !slices.ContainsFunc(out, func(o detectors.Technique) bool { return o.ID == t.ID }) {
				out = append(out, t)
			}
		}
	}
	return out
}

// weak gathers what the sensors could not see: of each kind the most that any signal says.
func weak(all []*detectors.Signal) (q detectors.Quality, limits []string) {
	q.BaselineDays = all[0].Quality.BaselineDays
	for _, s := range all {
		o := &s.Quality
		q.LostBytes, q.Truncated, q.Evicted = max(q.LostBytes, o.LostBytes), max(q.Truncated, o.Truncated), max(q.Evicted, o.Evicted)
		q.KernelDrops, q.Duplicates = max(q.KernelDrops, o.KernelDrops), max(q.Duplicates, o.Duplicates)
		q.ShedBytes, q.Sampled = max(q.ShedBytes, o.ShedBytes), max(q.Sampled, o.Sampled)
		q.OneSidedShare, q.BaselineDays = max(q.OneSidedShare, o.OneSidedShare), min(q.BaselineDays, o.BaselineDays)
	}
	if q.KernelDrops > 0 || q.LostBytes > 0 || q.Sampled > 0 || q.ShedBytes > 0 {
		limits = append(limits, "Packets were missed: steps may be missing from the timeline.")
	}
	if q.OneSidedShare >= 0.1 {
		limits = append(limits, fmt.Sprintf("Of %.0f %% of flows only one direction was seen: what came of requests is not always known.", 100*q.OneSidedShare))
	}
	if q.BaselineDays < 7 {
		limits = append(limits, fmt.Sprintf("The sensor has watched for %.1f days: what is usual here is not known yet (7 days are enough).", q.BaselineDays))
	}
	return q, limits
}

// called is a host's address, with its name where one is known.
func (i *Incident) called(k detectors.HostKey) string {
	for _, h := range i.Hosts {
		if h.Key == k && h.Name != "" {
			return k.Addr.String() + " (" + h.Name + ")"
		}
	}
	return k.Addr.String()
}

// sentence says in one line what happened.
func (i *Incident) sentence() string {
	var stages []string
	for _, s := range i.Stages {
		stages = append(stages, s.Stage.String())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", i.called(i.First()), strings.Join(stages, ", then "))
	if n := len(i.Moves); n > 0 {
		var to []string
		for _, m := range i.Moves[:min(n, 3)] {
			to = append(to, i.called(m.To))
		}
		fmt.Fprintf(&b, "; moved on to %s", strings.Join(to, ", "))
		if n > 3 {
			fmt.Fprintf(&b, " and %d more", n-3)
		}
	}
	if len(i.Domains) > 0 {
		fmt.Fprintf(&b, "; outward to %s", strings.Join(i.Domains[:min(len(i.Domains), 2)], ", "))
	}
	if d := i.End.Sub(i.Start); d >= time.Second {
		fmt.Fprintf(&b, "; within %s", phrase.Duration(d))
	}
	fmt.Fprintf(&b, ". %s of evidence, %s, score %s nats.", phrase.Plural(len(i.Timeline)+i.Left, "piece"), phrase.Plural(len(i.Hosts), "host"), phrase.Number(i.Score))
	return b.String()
}

// respond proposes what people may do, most useful first.
func respond(i *Incident, inside func(packet.Addr) bool) []Response {
	confidence := "low"
	switch {
	case i.Severity() >= detectors.Critical:
		confidence = "high"
	case i.Severity() >= detectors.High:
		confidence = "medium"
	}
	var out []Response
	for _, h := range i.Hosts {
		if h.Role == Target || h.Role == Destination || !inside(h.Key.Addr) || len(out) >= 8 {
			continue
		}
		reason := "it acts in this incident"
		if h.Role == Pivot {
			reason = "it was reached and acted afterwards"
		}
		out = append(out, Response{
			Action: "contain", Target: h.Key.Addr.String(), Reason: reason, Confidence: confidence, Reversible: true,
			Approval: "the owner of the host, and whoever leads the response", BlastRadius: "everything that people and services do over this host",
		})
	}
	for _, h := range i.Hosts {
		if h.Role == Destination && len(out) < 12 {
			out = append(out, Response{
				Action: "deny", Target: h.Key.Addr.String(), Reason: "commands came from there or data went there", Confidence: confidence, Reversible: true,
				Approval: "network operations", BlastRadius: "every host's traffic with this address",
			})
		}
	}
	for _, d := range i.Domains {
		if len(out) < 14 {
			out = append(out, Response{
				Action: "deny", Target: d, Reason: "names under it carried data or commands", Confidence: confidence, Reversible: true,
				Approval: "network operations", BlastRadius: "every host's look-ups under this domain",
			})
		}
	}
	for _, u := range i.Users {
		if len(out) < 16 {
			out = append(out, Response{
				Action: "set", Target: u, Reason: "the account was used or tried in this incident: new password, end its sessions", Confidence: confidence,
				Reversible: false, Approval: "the owner of the account; for service accounts the owner of the service", BlastRadius: "whatever runs under this account until it has the new password",
			})
		}
	}
	if len(out) == 0 {
		out = append(out, Response{
			Action: "investigate", Target: i.First().Addr.String(), Reason: "it acts in this incident from outside the internal ranges", Confidence: confidence,
			Reversible: true, Approval: "none", BlastRadius: "none",
		})
	}
	return out
}
