package sealed

import (
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
)

var callsRule = detectors.Rule{
	ID: "rpc.sealed", Name: "Remote discovery through an encrypted SMB3 session, by the sizes of its messages", Stage: detectors.StageDiscovery,
	Techniques: []detectors.Technique{windows.DomainUsers, windows.LocalGroups},
}

var execRule = detectors.Rule{
	ID: "smb.sealed", Name: "A file written and remote procedures called through an encrypted SMB3 session, as remote execution does", Stage: detectors.StageLateral,
	Techniques: []detectors.Technique{windows.AdminShares, windows.ToolTransfer},
}

// callsFinding tells of bindings.
func (d *Detector) callsFinding(p pair, h *hour) *detectors.Finding {
	t := &h.calls
	sum, shares := t.weights()
	f := t.finding(&callsRule, p, h, sum)
	if t.domains > 0 || t.builtin == 0 {
		f.Techniques = append(f.Techniques, windows.DomainUsers)
	}
	if t.builtin > 0 {
		f.Techniques = append(f.Techniques, windows.LocalGroups)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s made %s to %s through pipes of an encrypted SMB3 session (%s, answers of %s at most), told by the sizes of the messages",
		p.client.Addr, phrase.Plural(int(t.all), "remote procedure call"), p.server.Addr, phrase.Plural(int(t.binds), "binding"), phrase.Bytes(float64(t.largest)))
	if t.domains > 0 {
		b.WriteString("; an account domain was looked up and opened, as to list its users or groups")
	}
	if t.builtin > 0 {
		b.WriteString("; the built-in domain was opened, as to list local groups")
	}
	b.WriteString(d.ending(p, t))
	f.Message = b.String()
	measures := [3]detectors.Evidence{
		{Measure: "calls behind one binding (sizes in clear, request/answer: " + t.sizes + ")", Value: float64(t.most), Unit: "calls", Threshold: fmt.Sprintf("%d calls", d.cfg.MinCalls)},
		{Measure: "account domains looked up by name and opened by SID, by the lengths of the calls", Value: float64(t.domains), Unit: "times", Threshold: "once"},
		{Measure: "the built-in domain looked up and opened, by the lengths of the calls", Value: float64(t.builtin), Unit: "times", Threshold: "once"},
	}
	for i, e := range measures {
		if shares[i] > 0 {
			e.Baseline, e.Nats = t.baseline(), phrase.Round(shares[i])
			f.Evidence = append(f.Evidence, e)
		}
	}
	f.Counterfactual = fmt.Sprintf("With fewer than %d calls behind each binding and no account domain opened nothing would have been said; nor had %s done so to %s on 3 earlier days.",
		d.cfg.MinCalls, p.client.Addr, p.server.Addr)
	f.LookAlikes = []string{
		"An administrator's console for users, groups or services, on its first day; file browsers ask one or two things and look-ups of SIDs three.",
		"What was called stays hidden: the lengths fit lists of users and groups, and could fit another interface.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("On %s read Security 4661 and 4799 (account database opened, group listed) at this time; a domain controller also logs 4662.", p.server.Addr),
		fmt.Sprintf("See what %s did before and after, and ask its user: discovery alone is no intrusion.", p.client.Addr),
	}
	return f
}

// execFinding tells of a file and calls after it.
func (d *Detector) execFinding(p pair, h *hour) *detectors.Finding {
	t := &h.exec
	sum := t.execWeight()
	f := t.finding(&execRule, p, h, sum)
	f.Techniques = []detectors.Technique{windows.AdminShares, windows.ToolTransfer}
	f.Message = fmt.Sprintf("%s wrote %s to files of %s and %s later made %s behind one binding, all through an encrypted SMB3 session: the order of remote execution; what was written and called is hidden%s",
		p.client.Addr, phrase.Bytes(float64(t.bytes)), p.server.Addr, phrase.Duration(t.delay), phrase.Plural(int(t.most), "remote procedure call"), d.ending(p, t))
	f.Evidence = []detectors.Evidence{{
		Measure: "bytes written to files before calls (sizes in clear, request/answer: " + t.sizes + ")", Value: float64(t.bytes), Unit: "bytes", Baseline: t.baseline(),
		Threshold: fmt.Sprintf("%d bytes, then %d calls within %s", d.cfg.MinUpload, execCalls, phrase.Duration(execWithin)), Nats: phrase.Round(sum),
	}}
	f.Counterfactual = fmt.Sprintf("Had the calls come more than %s after the last write, or fewer than %d of them, nothing would have been said; nor had %s done so to %s on 3 earlier days.",
		phrase.Duration(execWithin), execCalls, p.client.Addr, p.server.Addr)
	f.LookAlikes = []string{
		"Software deployment and administrators copy a file and manage services: from a known host and on many days.",
		"A document saved and the server's services looked at within the minute.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("On %s look for new services (System 7045), tasks (Security 4698) and files below Windows and ProgramData at this time.", p.server.Addr),
		fmt.Sprintf("Ask who used %s then; if nobody did it on purpose, isolate both hosts.", p.client.Addr),
	}
	return f
}

func (t *talk) finding(rule *detectors.Rule, p pair, h *hour, sum float64) *detectors.Finding {
	ip := "ip"
	if !p.client.Addr.Is4() {
		ip = "ipv6"
	}
	return &detectors.Finding{
		Rule: rule, Actor: p.client, Target: p.server, Start: t.first, End: t.last, WindowStart: h.start, LLR: sum,
		Users: slices.Clone(t.users), Conns: slices.Clone(t.conns), Refs: slices.Clone(t.refs),
		Filter: fmt.Sprintf("%s.addr == %s && %s.addr == %s && smb2.header.transform.msg_size", ip, p.client.Addr, ip, p.server.Addr),
	}
}

func (t *talk) baseline() string {
	switch {
	case windows.Familiar(t.days):
		return fmt.Sprintf("seen on %s: a habit, counted a fifth", phrase.Plural(t.days, "earlier day"))
	case t.days > 0:
		return "seen on " + phrase.Plural(t.days, "earlier day")
	}
	return "never before by this client on this server"
}

// ending says as whom, with which tickets, and whether it is a habit.
func (d *Detector) ending(p pair, t *talk) string {
	var b strings.Builder
	if len(t.users) > 0 {
		b.WriteString(", as " + strings.Join(t.users, ", "))
	}
	if s := d.told(p.client, t.last); s != "" {
		b.WriteString("; it has tickets for " + s)
	}
	if windows.Familiar(t.days) {
		fmt.Fprintf(&b, "; it did so on %d earlier days.", t.days)
	} else {
		b.WriteString("; no habit of this client.")
	}
	return b.String()
}
