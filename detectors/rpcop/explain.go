package rpcop

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
)

// finding tells what an hour has come to.
func (d *Detector) finding(k hourKey, h *hour) *detectors.Finding {
	sum, rows, shares := h.weights(k.family)
	w := &families[k.family]
	f := &detectors.Finding{
		Rule: &w.rule, Actor: k.client, Target: k.server, Start: h.first, End: h.last, WindowStart: h.start,
		LLR: sum + h.wide(), Users: slices.Clone(h.users), Conns: slices.Clone(h.conns), Refs: slices.Clone(h.refs),
	}
	f.Techniques = techniques(rows, h.checked)
	f.Message = message(k, h, rows)
	for i, o := range rows {
		f.Evidence = append(f.Evidence, o.evidence(shares[i]))
	}
	if x := h.wide(); x > 0 {
		f.Evidence = append(f.Evidence, detectors.Evidence{
			Measure: "servers, new to this client, on which it did discovery within the hour", Value: float64(h.servers), Unit: "servers",
			Baseline: "none", Threshold: strconv.Itoa(fanOutFrom), Nats: x,
		})
	}
	f.Counterfactual = counterfactual(k, rows, shares, f.LLR)
	for _, t := range w.lookAlikes {
		f.LookAlikes = append(f.LookAlikes, fill(t, k))
	}
	for _, t := range w.next {
		f.NextSteps = append(f.NextSteps, fill(t, k))
	}
	f.Filter = filter(k, rows)
	return f
}

func fill(t string, k hourKey) string {
	return strings.NewReplacer("%[1]s", k.client.Addr.String(), "%[2]s", k.server.Addr.String()).Replace(t)
}

// techniques returns those of the heaviest operations, each once.
func techniques(rows []done, checked bool) []detectors.Technique {
	var out []detectors.Technique
	add := func(t detectors.Technique) {
		if len(out) < detectors.MaxTechniques && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	for _, o := range rows {
		if checked && o.row.iface.id == windows.Svcctl && opensManager(o.row.op.num) {
			add(windows.LocalGroups) // who is in the administrators' group there is what was tested
			continue
		}
		if o.row.op.only == stopCode && slices.ContainsFunc(rows, done.creates) {
			continue // a service of one's own is stopped before it is deleted
		}
		if crashed(o) {
			add(windows.DisableEventLog)
		}
		add(o.row.op.techniques[0])
	}
	for _, o := range rows {
		for _, t := range o.row.op.techniques[1:] {
			add(t)
		}
	}
	return out
}

// crashed says that an event log's clearing was never answered: a malformed handle ends the log service, so that
// nothing is logged from then on.
func crashed(o done) bool { return o.row.op.family == logs && o.unseen > 0 }

// creates says that a row makes a service.
func (o done) creates() bool {
	return o.row.op.family == service && slices.Contains(o.row.op.techniques, windows.WindowsService)
}

// message is the finding in one sentence: who did what to whom, by which calls, how it went.
func message(k hourKey, h *hour, rows []done) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s ", k.client.Addr)
	tried := true
	for _, o := range rows {
		tried = tried && o.denied+o.failed == o.calls
	}
	if tried {
		b.WriteString("attempted to ")
	} else {
		b.WriteString("called ")
	}
	if tried {
		fmt.Fprintf(&b, "%s on %s: ", rows[0].row.op.what, k.server.Addr)
	} else {
		fmt.Fprintf(&b, "%s to %s: ", k.server.Addr, whats(rows))
	}
	for i, o := range rows {
		if i == 4 {
			fmt.Fprintf(&b, " and %d more operations", len(rows)-4)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s (op %d)", o.row.iface.name, o.row.op.name, o.row.op.num)
		if o.calls > 1 {
			fmt.Fprintf(&b, " %d times", o.calls)
		}
		if how := o.how(); how != "" {
			b.WriteString(" " + how)
		}
	}
	if len(h.details) > 0 {
		b.WriteString("; " + strings.Join(h.details[:min(3, len(h.details))], "; "))
	}
	if h.checked && k.family == discovery {
		b.WriteString("; the service manager was opened and closed again, as a test for administrator's rights does")
	}
	if h.servers >= fanOutFrom {
		fmt.Fprintf(&b, "; the same on %d servers this hour", h.servers)
	}
	if n := h.last.Sub(h.first); n > 0 {
		b.WriteString("; within " + phrase.Duration(n))
	}
	if len(h.users) > 0 {
		b.WriteString(", as " + strings.Join(h.users, ", "))
	}
	if days := rows[0].days; windows.Familiar(days) {
		fmt.Fprintf(&b, "; it did so on %d earlier days.", days)
	} else if t := rows[0].trade; t > 0 {
		fmt.Fprintf(&b, "; new for it on this server, but it did so to others on %d earlier days.", t)
	} else if t < 0 {
		b.WriteString("; new for it on this server, but administering others is its role.")
	} else {
		fmt.Fprintf(&b, "; no habit of this client.")
	}
	return b.String()
}

// whats joins what the operations are for, each once, heaviest first.
func whats(rows []done) string {
	var list []string
	for _, o := range rows {
		if !slices.Contains(list, o.row.op.what) {
			list = append(list, o.row.op.what)
		}
	}
	if len(list) > 3 {
		list = append(list[:3], "more")
	}
	if n := len(list); n > 1 {
		return strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	}
	return list[0]
}

// how says how the calls of a row went and how they are known.
func (o *done) how() string {
	var list []string
	switch {
	case o.denied == o.calls:
		list = append(list, "denied")
	case o.denied > 0:
		list = append(list, fmt.Sprintf("%d denied", o.denied))
	case o.failed > 0:
		list = append(list, fmt.Sprintf("%d failed", o.failed))
	}
	if crashed(*o) {
		list = append(list, "never answered: such a call can end the log service")
	} else if o.unseen == o.calls {
		list = append(list, "unanswered")
	}
	if o.hasRet && o.ret != 0 && o.denied == 0 {
		list = append(list, fmt.Sprintf("status 0x%08x", o.ret))
	}
	if o.sealed == o.calls {
		list = append(list, "contents sealed")
	}
	switch o.source {
	case flows.FromPipe:
		list = append(list, "interface known by the name of pipe "+o.pipe+" only")
	case flows.FromMapper:
		list = append(list, "interface known by the endpoint mapper's answer only")
	}
	if o.printer {
		list = append(list, "a printer was opened by name before, as print clients do")
	}
	if o.invited {
		list = append(list, "perhaps a partner's replication: it was called just before as controllers notify each other")
	}
	if len(list) == 0 {
		return ""
	}
	return "[" + strings.Join(list, ", ") + "]"
}

func (o *done) evidence(share float64) detectors.Evidence {
	measure := fmt.Sprintf("calls of %s %s (op %d): to %s", o.row.iface.name, o.row.op.name, o.row.op.num, o.row.op.what)
	if how := o.how(); how != "" {
		measure += " " + how
	}
	base := "never before by this client on this server"
	if o.days > 0 {
		base = fmt.Sprintf("seen on %s", phrase.Plural(o.days, "earlier day"))
	}
	if windows.Familiar(o.days) {
		base += ": a habit, counted a fifth"
	} else if o.same {
		base += ", but the same service was made on others on three earlier days and more: counted a fifth"
	} else if o.trade > 0 {
		base += fmt.Sprintf(", but on others on %s: its trade, counted two fifths", phrase.Plural(o.trade, "earlier day"))
	} else if o.trade < 0 {
		base += ", but administering others is its role: counted two fifths"
	}
	return detectors.Evidence{
		Measure: measure, Value: float64(o.calls), Unit: "calls", Baseline: base, Threshold: "one call", Nats: phrase.Round(share),
	}
}

// counterfactual is the smallest change that would have made less of it.
func counterfactual(k hourKey, rows []done, shares []float64, llr float64) string {
	top := rows[0]
	without := llr - shares[0]
	if len(rows) > 1 {
		without = max(0, without+(1-rest)*min(rows[1].weight, top.weight))
	}
	if k.family == replication && !top.invited {
		return fmt.Sprintf("Had %s been seen to answer as a domain controller, or been listed in domain_controllers, nothing would have been said.", k.client.Addr)
	}
	if !windows.Familiar(top.days) && top.trade == 0 {
		return fmt.Sprintf("Had %s called %s of %s on %d earlier days, it would count %s nats in place of %s; without it %s nats (risk %.0f) would be left.",
			k.client.Addr, top.row.op.name, k.server.Addr, 3, phrase.Number(top.weight*windows.Discount), phrase.Number(top.weight), phrase.Number(without), detectors.Risk(without))
	}
	return fmt.Sprintf("Without %s %s nats (risk %.0f) would be left.", top.row.op.name, phrase.Number(without), detectors.Risk(without))
}

// filter selects the requests in Wireshark.
func filter(k hourKey, rows []done) string {
	ip := "ip"
	if !k.client.Addr.Is4() {
		ip = "ipv6"
	}
	var nums []string
	for _, o := range rows {
		if n := strconv.Itoa(int(o.row.op.num)); !slices.Contains(nums, n) {
			nums = append(nums, n)
		}
	}
	test := "dcerpc.opnum == " + nums[0]
	if len(nums) > 1 {
		test = "dcerpc.opnum in {" + strings.Join(nums, ", ") + "}"
	}
	return fmt.Sprintf("%s.src == %s && %s.dst == %s && dcerpc.pkt_type == 0 && %s", ip, k.client.Addr, ip, k.server.Addr, test)
}

// detail reads a name out of a stub in clear.
func detail(r *flows.RPC, b *flows.Batch) string {
	if r.Encrypted || r.Stub.Len == 0 {
		return ""
	}
	stub := b.Bytes(r.Stub)
	quoted := func(what, text string) string {
		if text == "" {
			return ""
		}
		return what + " " + strconv.Quote(text)
	}
	switch r.Interface {
	case windows.Svcctl:
		switch r.Opnum {
		case 12, 24, 44, 45, 60:
			if s, ok := windows.ReadService(stub, r.Opnum != 24 && r.Opnum != 44); ok {
				return quoted("service", s.Name) + ", " + quoted("image", s.Image)
			}
		case 16, 28:
			return quoted("service", windows.ReadServiceName(stub, r.Opnum == 16))
		}
	case windows.AtSvc:
		if r.Opnum == 0 {
			return quoted("command", windows.ReadJob(stub))
		}
	case windows.TaskScheduler:
		switch r.Opnum {
		case 1:
			path, _ := windows.ReadTask(stub)
			return quoted("task", path)
		case 12, 13:
			return quoted("task", windows.ReadTaskPath(stub))
		}
	case windows.Winreg:
		switch r.Opnum {
		case 20, 31:
			return quoted("file", windows.ReadRegistryName(stub))
		case 6:
			return quoted("key", windows.ReadRegistryName(stub))
		case 22:
			return quoted("value", windows.ReadRegistryName(stub))
		}
	case windows.EFSRPC, windows.EFSLSA, windows.NetDFS:
		return quoted("path", windows.ReadPath(stub))
	case windows.Spoolss:
		if r.Opnum == 62 || r.Opnum == 65 {
			return quoted("listener", windows.ReadPrinterListener(stub))
		}
	case windows.Activation, windows.SCMActivator:
		if c := windows.ActivatedClass(stub); c != "" {
			return "class " + c
		}
	}
	return ""
}
