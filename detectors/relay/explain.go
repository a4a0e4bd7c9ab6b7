package relay

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// rule is an index of rules.
type rule uint8

const (
	relayed rule = iota
	capture
	numRules
)

var poisoning = detectors.Technique{ID: "T1557.001", Name: "Name Resolution Poisoning and SMB Relay", Tactic: "TA0006"}

var rules = [numRules]detectors.Rule{
	relayed: {
		ID: "auth.relay", Name: "NTLM log-in passed on to another server", Stage: detectors.StageLateral,
		Techniques: []detectors.Technique{poisoning},
	},
	capture: {
		ID: "auth.capture", Name: "Server that collects NTLM answers", Stage: detectors.StageCredential,
		Techniques: []detectors.Technique{poisoning},
	},
}

func host(c *flows.Conn, a packet.Addr) detectors.HostKey {
	return detectors.HostKey{Segment: c.Segment, Addr: a}
}

// relayFinding tells of a relay.
func relayFinding(victim, target *leg, linked bool, days int) *detectors.Finding {
	c := &target.conn
	f := &detectors.Finding{
		Rule: &rules[relayed], Actor: host(c, c.Orig), Target: host(c, c.Resp), Start: min(victim.conn.Start, target.conn.Start), End: max(victim.at, target.at),
		WindowStart: min(victim.conn.Start, target.conn.Start), Techniques: []detectors.Technique{poisoning},
		Related: []packet.Addr{victim.conn.Orig}, Users: []string{target.user},
		Conns: []flows.Conn{victim.conn, target.conn}, Refs: []flows.Ref{victim.ref, target.ref},
	}
	if !linked {
		f.Related = append(f.Related, victim.conn.Resp)
	}
	shared := "challenge and answer"
	switch {
	case victim.challenge == 0 || target.challenge == 0:
		shared = "answer"
	case victim.proof == 0 || target.proof == 0:
		shared = "challenge"
	}
	weight := certain
	if !linked {
		weight = unlinked
	}
	proxy := victim.over == flows.AppHTTP && target.over == flows.AppHTTP && victim.host != "" && victim.host == target.host
	factor := 1.0
	if proxy {
		factor *= passing
	}
	if windows.Familiar(days) {
		factor *= windows.Discount
	}
	f.LLR = weight * factor
	f.Evidence = []detectors.Evidence{
		{Measure: "log-ins at different servers that share NTLM " + shared, Value: 2, Unit: "log-ins", Baseline: "1: a challenge is 8 random bytes", Threshold: "2", Nats: phrase.Round(f.LLR)},
		{Measure: "time between the two connections' beginnings", Value: phrase.Round(math.Abs(target.conn.Start.Sub(victim.conn.Start).Seconds())), Unit: "seconds", Baseline: "none"},
		{Measure: "earlier days on which the two hosts did so", Value: float64(days), Unit: "days", Baseline: "none", Threshold: "3 make it a load balancer: times 0.2"},
	}
	came := map[flows.Outcome]string{flows.Succeeded: "and got in", flows.Failed: "and was refused", flows.Unseen: "with an outcome that was not seen"}[target.outcome]
	by := c.Orig.String()
	if !linked {
		by = fmt.Sprintf("%s (or %s, to which the victim talked)", c.Orig, victim.conn.Resp)
	}
	f.Message = fmt.Sprintf("%s passed the NTLM log-in of %s as %s (over %s to %s) on to %s:%d over %s %s: both connections show the same %s.",
		by, victim.conn.Orig, name(target.user, victim.user), victim.over, victim.conn.Resp, c.Resp, c.RespPort, target.over, came, shared)
	if proxy {
		f.Message = strings.TrimSuffix(f.Message, ".") + fmt.Sprintf("; both name the host %s, as behind a proxy.", target.host)
	}
	if target.server != "" {
		f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "servers that called themselves " + target.server, Value: 2, Unit: "addresses", Baseline: "1"})
	}
	f.Counterfactual = "Another challenge on either connection, or the same server, would not be said."
	f.LookAlikes = []string{
		"Proxies and load balancers that pass log-ins through from their own address: they do so every day; name them in detectors.auth.relay.proxies.",
		"A connection seen twice by two taps has the same client or the same server on both: that is left out.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("Isolate %s; it acts on %s with the rights of %s.", c.Orig, c.Resp, name(target.user, victim.user)),
		fmt.Sprintf("See what %s did on %s after that log-in, and why %s talked to %s (poisoned names, coercion).", c.Orig, c.Resp, victim.conn.Orig, victim.conn.Resp),
		"Require signing on SMB and LDAP and channel binding on HTTPS and LDAPS: a relay then fails.",
	}
	f.Filter = fmt.Sprintf("ntlmssp && (ip.addr == %s && ip.addr == %s || ip.addr == %s && ip.addr == %s)", victim.conn.Orig, victim.conn.Resp, c.Orig, c.Resp)
	return f
}

// name returns the first name that there is.
func name(list ...string) string {
	for _, n := range list {
		if n != "" && n != `\` {
			return n
		}
	}
	return "somebody"
}

// captureFinding tells of a server with one challenge for all.
func captureFinding(key detectors.HostKey, s *server, tool string) *detectors.Finding {
	f := &detectors.Finding{
		Rule: &rules[capture], Actor: key, Start: s.first, End: s.last, WindowStart: s.first, Techniques: []detectors.Technique{poisoning},
		Related: slices.Clone(s.clients), Users: slices.DeleteFunc(slices.Clone(s.users), func(u string) bool { return u == "" }),
		Conns: slices.Clone(s.conns), Refs: slices.Clone(s.refs), LLR: constant,
	}
	if len(s.clients) == 1 {
		f.Target = detectors.HostKey{Segment: key.Segment, Addr: s.clients[0]}
		f.Related = nil
	}
	if tool != "" && s.connections >= constFrom {
		f.LLR = ofTool
	}
	if windows.Familiar(s.days) {
		f.LLR *= windows.Discount
	}
	f.Evidence = []detectors.Evidence{
		{Measure: fmt.Sprintf("connections with the challenge %016x", s.challenge), Value: float64(s.connections), Unit: "connections", Baseline: "1: a challenge is 8 random bytes",
			Threshold: "3, of a tool's default 1", Nats: phrase.Round(f.LLR)},
		{Measure: "earlier days on which the server did so", Value: float64(s.days), Unit: "days", Baseline: "none", Threshold: "3 make it a device without randomness: times 0.2"},
	}
	f.Message = fmt.Sprintf("%s gave the same NTLM challenge %016x in %s over %s to %s: answers to a chosen challenge are collected to guess passwords from.",
		key.Addr, s.challenge, phrase.Plural(s.connections, "connection"), s.over, phrase.Plural(len(s.clients), "client"))
	if tool != "" {
		f.Message = strings.TrimSuffix(f.Message, ".") + fmt.Sprintf("; this challenge is %s default.", tool)
	}
	f.Counterfactual = "A challenge that changes from connection to connection would not be said."
	f.LookAlikes = []string{"Devices without randomness (old storage, printers) give one challenge to all, every day."}
	f.NextSteps = []string{
		fmt.Sprintf("Find out what %s is; isolate it if nobody put a file server there.", key.Addr),
		"Change the passwords of the accounts that logged in there: their answers can be guessed offline.",
		fmt.Sprintf("See how the clients came to %s: answers to LLMNR, NBNS or mDNS, a link in a file, coercion.", key.Addr),
	}
	f.Filter = fmt.Sprintf("ntlmssp.ntlmserverchallenge && ip.addr == %s", key.Addr)
	return f
}
