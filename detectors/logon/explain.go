package logon

import (
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// rule is an index of rules.
type rule uint8

const (
	enum rule = iota
	spray
	guess
	numRules
)

var (
	accounts  = detectors.Technique{ID: "T1087.002", Name: "Domain Account", Tactic: "TA0007"}
	spraying  = detectors.Technique{ID: "T1110.003", Name: "Password Spraying", Tactic: "TA0006"}
	guessing  = detectors.Technique{ID: "T1110.001", Name: "Password Guessing", Tactic: "TA0006"}
	overSSH   = detectors.Technique{ID: "T1021.004", Name: "SSH", Tactic: "TA0008"}
	overRDP   = detectors.Technique{ID: "T1021.001", Name: "Remote Desktop Protocol", Tactic: "TA0008"}
	overVNC   = detectors.Technique{ID: "T1021.005", Name: "VNC", Tactic: "TA0008"}
	validUser = detectors.Technique{ID: "T1078", Name: "Valid Accounts", Tactic: "TA0001"}
)

var rules = [numRules]detectors.Rule{
	enum: {
		ID: "auth.enum", Name: "Account names tried that do not exist", Stage: detectors.StageDiscovery,
		Techniques: []detectors.Technique{accounts},
	},
	spray: {
		ID: "auth.spray", Name: "Few passwords tried on many accounts", Stage: detectors.StageCredential,
		Techniques: []detectors.Technique{spraying, validUser},
	},
	guess: {
		ID: "auth.guess", Name: "Many passwords tried on one server", Stage: detectors.StageCredential,
		Techniques: []detectors.Technique{guessing, overSSH, overRDP, overVNC, validUser},
	},
}

// sample is how many names a sentence lists.
const sample = 5

// nameFinding tells of enumeration or spraying.
func nameFinding(key detectors.HostKey, c *client, r rule, llr float64, e *episode, now packet.Time, quick, day tally) *detectors.Finding {
	f := &detectors.Finding{
		Rule: &rules[r], Actor: key, Start: e.start, End: now, WindowStart: e.start, LLR: llr,
		Techniques: rules[r].Techniques[:1],
	}
	var names, in []string
	var servers []packet.Addr
	for i := range c.names {
		n := &c.names[i]
		at := n.wrongAt
		if r == enum {
			at = n.unknownAt
		}
		broken := r == spray && n.inAfterFailures && now-n.inAt <= slow
		if (at == 0 || now-at > slow) && !broken {
			continue
		}
		if broken {
			in = append(in, n.text)
		} else {
			names = append(names, n.text)
		}
		if !slices.Contains(servers, n.server) {
			servers = append(servers, n.server)
		}
		if len(f.Conns) < detectors.MaxFlows && !slices.ContainsFunc(f.Conns, func(o flows.Conn) bool { return o.ID == n.conn.ID }) {
			f.Conns = append(f.Conns, n.conn)
		}
		if len(f.Refs) < detectors.MaxRefs {
			f.Refs = append(f.Refs, n.ref)
		}
	}
	if !e.said { // the target is part of the finding's identity: a spray that goes on to other servers stays the same
		e.said = true
		if len(servers) == 1 {
			e.target = servers[0]
		}
	}
	if e.target != (packet.Addr{}) {
		f.Target = detectors.HostKey{Segment: key.Segment, Addr: e.target}
	}
	if len(servers) > 1 {
		others := slices.DeleteFunc(slices.Clone(servers), func(a packet.Addr) bool { return a == e.target })
		f.Related = others[:min(len(others), 32)]
	}
	f.Users = append(slices.Clone(in), names...)
	f.Users = f.Users[:min(len(f.Users), 16)]
	where := phrase.Plural(len(servers), "server")
	if len(servers) == 1 {
		where = servers[0].String()
	}
	list := strings.Join(names[:min(len(names), sample)], ", ")
	if len(names) > sample {
		list += ", …"
	}
	n, within := quick.unknown, "10 minutes"
	if r == spray {
		n = quick.wrong
	}
	m := day.unknown
	if r == spray {
		m = day.wrong
	}
	if m > n {
		n, within = m, "24 hours"
	}
	if r == enum {
		f.Message = fmt.Sprintf("%s asked %s for %s that do not exist within %s: %s.", key.Addr, where, phrase.Plural(n, "account"), within, list)
		f.Evidence = []detectors.Evidence{
			{Measure: "different names in 10 minutes that do not exist", Value: float64(quick.unknown), Unit: "names", Baseline: "one, mistyped", Threshold: "3", Nats: phrase.Round(llr)},
			{Measure: "different names in 24 hours that do not exist", Value: float64(day.unknown), Unit: "names", Baseline: "none", Threshold: "13"},
			{Measure: "names that got in within 24 hours", Value: float64(day.in), Unit: "names", Baseline: "none", Threshold: "twice as many as failed, or the host's role, make it a gateway"},
		}
		f.Counterfactual = "Two unknown names or fewer in ten minutes, and twelve in a day, would not be said."
		f.LookAlikes = []string{
			"A gateway at which many people log in sees mistyped names too, but more that get in.",
			"An inventory that asks for leavers' accounts: from a known address, and on many days.",
		}
		f.NextSteps = []string{
			fmt.Sprintf("Find the program on %s that sent these names; a list of names is a tool's.", key.Addr),
			"See which names were answered otherwise: those exist, and are tried next. Look for auth.spray from the same host.",
		}
		f.Filter = fmt.Sprintf("ip.addr == %s && (kerberos.error_code == 6 || ntlmssp.auth.username)", key.Addr)
	} else {
		f.Message = fmt.Sprintf("%s failed at %s with the passwords of %s within %s, at most %d tries each: %s.", key.Addr, where, phrase.Plural(n, "account"), within, maxTries, list)
		f.Evidence = []detectors.Evidence{
			{Measure: "different accounts in 10 minutes whose password was wrong", Value: float64(quick.wrong), Unit: "accounts", Baseline: "one", Threshold: "4", Nats: phrase.Round(llr)},
			{Measure: "different accounts in 24 hours whose password was wrong", Value: float64(day.wrong), Unit: "accounts", Baseline: "none", Threshold: "14"},
			{Measure: "names that got in within 24 hours", Value: float64(day.in), Unit: "names", Baseline: "none", Threshold: "twice as many as failed, or the host's role, make it a gateway"},
		}
		if len(in) > 0 {
			f.Message += fmt.Sprintf(" Then %s got in.", strings.Join(in[:min(len(in), sample)], ", "))
			after := inAfter
			if c.gateway {
				after *= gateway
			}
			f.Evidence[0].Nats = phrase.Round(llr - after)
			f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "accounts that got in after others had failed, and not before", Value: float64(len(in)), Unit: "accounts", Baseline: "none", Nats: phrase.Round(after)})
			f.Techniques = []detectors.Technique{spraying, validUser}
		}
		f.Counterfactual = "Three accounts or fewer in ten minutes, and thirteen in a day, would not be said."
		f.LookAlikes = []string{
			"A gateway at which many people log in sees wrong passwords of many accounts, but more that get in.",
			"A changed password on a device is one account, not many.",
		}
		f.NextSteps = []string{
			"Reset the passwords of accounts that got in, and end their sessions.",
			fmt.Sprintf("Find the program on %s that tried these accounts; isolate the host if nobody did it on purpose.", key.Addr),
		}
		f.Filter = fmt.Sprintf("ip.addr == %s && (kerberos.error_code == 24 || ntlmssp.auth.username)", key.Addr)
	}
	return f
}

// guessFinding tells of guessing at one service.
func guessFinding(key detectors.HostKey, s *service, llr float64, quick, day int, now packet.Time) *detectors.Finding {
	f := &detectors.Finding{
		Rule: &rules[guess], Actor: key, Target: detectors.HostKey{Segment: key.Segment, Addr: s.server}, Start: s.episode.start, End: now,
		WindowStart: s.episode.start, LLR: llr, Conns: slices.Clone(s.conns), Refs: slices.Clone(s.refs),
		Techniques: []detectors.Technique{guessing},
	}
	switch s.over {
	case flows.AppSSH:
		f.Techniques = append(f.Techniques, overSSH)
	case flows.AppRDP:
		f.Techniques = append(f.Techniques, overRDP)
	case flows.AppVNC:
		f.Techniques = append(f.Techniques, overVNC)
	}
	n, within := quick, "10 minutes"
	if day > quick {
		n, within = day, "24 hours"
	}
	as := ""
	if s.only != "" && !s.several {
		f.Users = []string{s.only}
		as = " as " + s.only
	}
	f.Message = fmt.Sprintf("%s failed to log in to %s:%d (%s)%s %s within %s.", key.Addr, s.server, s.port, s.over, as, phrase.Plural(n, "time"), within)
	main := detectors.Evidence{Measure: "failures in 10 minutes", Value: float64(quick), Unit: "log-ins", Baseline: "3 in a bad ten minutes", Threshold: "8", Nats: phrase.Round(llr)}
	if s.broken {
		main.Nats = phrase.Round(llr - inAfter)
	}
	f.Evidence = []detectors.Evidence{main, {Measure: "failures in 24 hours", Value: float64(day), Unit: "log-ins", Baseline: "none", Threshold: "40"}}
	if s.gaps >= evenGaps {
		f.Evidence = append(f.Evidence, detectors.Evidence{
			Measure: "mean gap between failures", Value: phrase.Round(s.mean), Unit: "seconds", Baseline: "none",
			Threshold: "of one name and with a coefficient of variation below 0.1 it is a program with an old password",
		})
	}
	if s.even() {
		f.Message = strings.TrimSuffix(f.Message, ".") + fmt.Sprintf(", every %s: more likely a program with an old password than a guesser.", phrase.Number(s.mean)+" s")
	}
	if s.broken {
		who := s.as
		if who == "" {
			who = "somebody"
		}
		f.Message += fmt.Sprintf(" Then %s got in.", who)
		f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "a log-in that succeeded after ten failures", Value: 1, Unit: "log-ins", Baseline: "none", Nats: inAfter})
		f.Techniques = append(f.Techniques, validUser)
		if s.as != "" && !slices.Contains(f.Users, s.as) {
			f.Users = append(f.Users, s.as)
		}
	}
	f.Counterfactual = "Seven failures or fewer in ten minutes, and 39 in a day, would not be said."
	f.LookAlikes = []string{
		"A program with an old password fails at equal gaps with one name.",
		"An agent that offers several SSH keys fails and then gets in within the same connection: such failures are taken back.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("Look into the log of %s for the names that were tried and for one that got in.", s.server),
		fmt.Sprintf("Ask who used %s then; block it from %s:%d if nobody did it on purpose.", key.Addr, s.server, s.port),
	}
	f.Filter = fmt.Sprintf("ip.addr == %s && ip.addr == %s && tcp.port == %d", key.Addr, s.server, s.port)
	return f
}
