package passhash

import (
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
)

var passTheHash = detectors.Technique{ID: "T1550.002", Name: "Pass the Hash", Tactic: "TA0008"}

var rule = detectors.Rule{
	ID: "auth.pth", Name: "NTLM log-in where Kerberos is the habit", Stage: detectors.StageLateral, Techniques: []detectors.Technique{passTheHash},
}

// filter shows an NTLM log-in of a user.
const filter = "ip.addr == %s && ip.addr == %s && ntlmssp.auth.username"

// finding tells of a log-in.
func (x *login) finding(u *under, llr float64) *detectors.Finding {
	c := &x.conn
	f := &detectors.Finding{
		Rule: &rule, Actor: detectors.HostKey{Segment: c.Segment, Addr: c.Orig}, Target: detectors.HostKey{Segment: c.Segment, Addr: c.Resp},
		Start: u.start, End: u.last, WindowStart: u.start, LLR: llr, Techniques: rule.Techniques,
		Conns: slices.Clone(u.conns), Refs: slices.Clone(u.refs), Filter: fmt.Sprintf(filter, c.Orig, c.Resp),
	}
	user := x.user
	if user == "" {
		user = "a user without a name"
	} else {
		f.Users = []string{x.user}
	}
	var usual []string
	if x.pairDays > 0 {
		usual = append(usual, fmt.Sprintf("the two hosts used Kerberos on %s", phrase.Plural(x.pairDays, "earlier day")))
	}
	if x.userDays > 0 {
		usual = append(usual, fmt.Sprintf("the user got tickets on %s", phrase.Plural(x.userDays, "earlier day")))
	}
	f.Message = fmt.Sprintf("%s logged in to %s:%d over %s as %s by NTLM, though %s", c.Orig, c.Resp, c.RespPort, x.over, user, strings.Join(usual, " and "))
	nats := each * x.factor()
	left := llr - nats
	f.Evidence = []detectors.Evidence{{
		Measure: "earlier days of Kerberos, of the pair or the user, without a habit of NTLM", Value: float64(max(x.pairDays, x.userDays)), Unit: "days",
		Baseline: "Kerberos", Threshold: "5", Nats: phrase.Round(nats),
	}}
	if x.foreign {
		claimed := "no workstation"
		if x.workstation != "" {
			claimed = "workstation " + x.workstation
		}
		f.Message += "; it claimed " + claimed
		baseline := "none"
		if x.client != "" {
			baseline = x.client
			f.Message += ", but is " + x.client
		}
		f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "log-ins that claim " + claimed, Value: float64(u.count), Unit: "log-ins", Baseline: baseline, Nats: phrase.Round(min(left, nats))})
		left -= min(left, nats)
	}
	if x.v1 {
		f.Message += "; by NTLMv1"
		f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "NTLMv1", Value: float64(u.count), Unit: "log-ins", Baseline: "NTLMv2 or Kerberos", Nats: phrase.Round(left)})
	}
	f.Message += "."
	f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "other clients that took to NTLM at this server within a day", Value: float64(x.others), Unit: "clients", Baseline: "none", Threshold: "3 make it the server's trouble: times 0.3"})
	f.Counterfactual = "A log-in by Kerberos, or NTLM on three earlier days, would not be said; with the client's own name as workstation it would be evidence only."
	f.LookAlikes = []string{
		"Whoever types a server's address instead of its name logs in by NTLM: then the workstation is the client's own name.",
		"Where the server lost its name in the directory, or no key distribution centre answers, many clients take to NTLM at once.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("Ask %s whether they logged in to %s; tools that use a stolen hash claim no workstation, or another's.", user, c.Resp),
		fmt.Sprintf("See on %s what came right after the log-in (services, tasks, shares), and on %s which program made it.", c.Resp, c.Orig),
	}
	return f
}
