package rpcseq

import (
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// maxTold bounds the steps that a message names.
const maxTold = 6

// finding tells a sequence by its steps.
func finding(p pair, s *story, i index, steps []chosen, sum, factor float64) *detectors.Finding {
	q := &sequences[i]
	e := &s.episodes[i]
	first, last := steps[0].at, steps[0].last
	for _, c := range steps {
		first, last = min(first, c.at), max(last, c.last)
	}
	f := &detectors.Finding{
		Rule: &q.rule, Actor: p.client, Target: p.server, Start: first, End: last, WindowStart: e.start, LLR: sum,
		Users: slices.Clone(s.users), Techniques: techniques(i, steps),
	}
	var parts []string
	for n, c := range steps {
		if n < maxTold && c.kind != ansi && c.kind != again {
			parts = append(parts, c.words())
		}
		f.Evidence = append(f.Evidence, detectors.Evidence{
			Measure: fmt.Sprintf("step %d, %s after the first: %s", n+1, phrase.Duration(max(0, c.at.Sub(first))), c.words()),
			Value:   float64(c.count), Unit: "times", Baseline: e.baseline(), Threshold: "once", Nats: phrase.Round(c.nats * factor),
		})
		if !slices.ContainsFunc(f.Conns, func(o flows.Conn) bool { return o.ID == c.conn.ID }) && len(f.Conns) < detectors.MaxFlows {
			f.Conns = append(f.Conns, c.conn)
		}
		if len(f.Refs) < detectors.MaxRefs {
			f.Refs = append(f.Refs, c.ref)
		}
		for _, a := range []packet.Addr{c.conn.Orig, c.conn.Resp} {
			if a != p.client.Addr && a != p.server.Addr && !slices.Contains(f.Related, a) && len(f.Related) < 16 {
				f.Related = append(f.Related, a)
			}
		}
	}
	if n := len(steps) - maxTold; n > 0 {
		parts = append(parts, "and "+phrase.Plural(n, "more step"))
	}
	f.Message = fmt.Sprintf("%s on %s: %s: %s; %s in %s", p.client.Addr, p.server.Addr, q.tells, strings.Join(parts, ", "),
		phrase.Plural(len(steps), "step"), phrase.Duration(last.Sub(first)))
	if len(s.users) > 0 {
		f.Message += ", as " + strings.Join(s.users, ", ")
	}
	if windows.Familiar(e.days) {
		f.Message += fmt.Sprintf("; it did so on %d earlier days", e.days)
	} else if e.content {
		f.Message += fmt.Sprintf("; new for it on this host, but it did the same with this program to others on %d earlier days", e.trade)
	} else if e.trade > 0 {
		f.Message += fmt.Sprintf("; new for it on this host, but it did so to others on %d earlier days", e.trade)
	} else if e.trade < 0 {
		f.Message += "; new for it on this host, but administering others is its role"
	}
	f.Message += "."
	f.Counterfactual = counterfactual(q, steps, sum)
	fill := strings.NewReplacer("%[1]s", p.client.Addr.String(), "%[2]s", p.server.Addr.String())
	for _, t := range q.lookAlikes {
		f.LookAlikes = append(f.LookAlikes, fill.Replace(t))
	}
	for _, t := range q.next {
		f.NextSteps = append(f.NextSteps, fill.Replace(t))
	}
	f.Filter = filter(p, i)
	return f
}

// words says a step.
func (c *chosen) words() string {
	t := c.text
	if c.bytes > 0 {
		t += " (" + phrase.Bytes(float64(c.bytes)) + ")"
	}
	if c.count > 1 {
		t += ", " + phrase.Plural(int(c.count), "time")
	}
	if c.note != "" {
		t += " [" + c.note + "]"
	}
	return t
}

func (e *episode) baseline() string {
	days := e.days
	switch {
	case windows.Familiar(days):
		return fmt.Sprintf("the whole sequence was seen on %s: a habit, counted a fifth", phrase.Plural(days, "earlier day"))
	case e.content:
		return fmt.Sprintf("new on this host, but seen with this program on others on %s: counted a fifth", phrase.Plural(e.trade, "earlier day"))
	case e.trade > 0:
		return fmt.Sprintf("new on this host, but seen on others on %s: its trade, counted two fifths", phrase.Plural(e.trade, "earlier day"))
	case e.trade < 0:
		return "new on this host, but administering others is this client's role: counted two fifths"
	case days > 0:
		return "the whole sequence was seen on " + phrase.Plural(days, "earlier day")
	}
	return "this sequence was never seen before from this client on this server"
}

// techniques names what the steps show.
func techniques(i index, steps []chosen) []detectors.Technique {
	var present has
	for _, c := range steps {
		present[c.kind] = true
	}
	switch i {
	case task:
		t := []detectors.Technique{windows.ScheduledTask}
		if !present[taskRegister] {
			t = []detectors.Technique{windows.At}
		}
		if present.any(programWrite, outputRead, adminTree) {
			t = append(t, windows.AdminShares)
		}
		return t
	case object:
		var t []detectors.Technique
		if present.any(wmiExec, wmiPut, wmiLogin) {
			t = append(t, windows.WMI)
		} else {
			t = append(t, windows.DCOM)
		}
		if present[wmiPut] {
			t = append(t, windows.WMISubscription)
		}
		if present.any(programWrite, outputRead, adminTree) {
			t = append(t, windows.AdminShares)
		}
		return t
	case service:
		t := []detectors.Technique{windows.ServiceExecution, windows.WindowsService}
		if present[outputRead] {
			t = append(t, windows.AdminShares)
		}
		return t
	case registry:
		if !present[serviceStart] {
			return []detectors.Technique{windows.ModifyRegistry}
		}
	}
	return sequences[i].techniques
}

// counterfactual names the step without which the sequence would not have been told, or told more quietly.
func counterfactual(q *sequence, steps []chosen, sum float64) string {
	best := -1
	for i, c := range steps {
		if best < 0 || c.nats > steps[best].nats {
			best = i
		}
	}
	var present has
	for i, c := range steps {
		if i != best && c.kind != steps[best].kind {
			present[c.kind] = true
		}
	}
	if !q.needs(present) {
		return fmt.Sprintf("Without %s there would be no such sequence, and this rule would have said nothing.", steps[best].text)
	}
	left := max(0, sum-steps[best].nats)
	return fmt.Sprintf("Without %s %s nats (risk %.0f) would be left.", steps[best].text, phrase.Number(left), detectors.Risk(left))
}

// filter selects the packets in Wireshark.
func filter(p pair, i index) string {
	ip := "ip"
	if !p.client.Addr.Is4() {
		ip = "ipv6"
	}
	fields := map[index]string{
		psexec:    "svcctl || smb2.filename || smb2.tree || smb.file || dcerpc.pkt_type == 0",
		service:   "svcctl || smb2.filename || dcerpc.pkt_type == 0",
		task:      "atsvc || taskschedulerservice || smb2.filename || dcerpc.pkt_type == 0",
		object:    "isystemactivator || dcerpc.pkt_type == 0 || smb2.filename",
		dcsync:    "drsuapi",
		dcshadow:  "drsuapi || epm",
		zerologon: "rpc_netlogon",
		coercion:  "efs || spoolss || netdfs || fsrvp || dcerpc.pkt_type == 0 || ntlmssp",
		hive:      "winreg || smb2.filename",
		cleanup:   "eventlog || dcerpc.pkt_type == 0",
		registry:  "winreg || dcerpc.pkt_type == 0",
	}[i]
	return fmt.Sprintf("%s.addr == %s && %s.addr == %s && (%s)", ip, p.client.Addr, ip, p.server.Addr, fields)
}
