package scan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/sensor/packet"
)

var (
	ports    = detectors.Technique{ID: "T1046", Name: "Network Service Discovery", Tactic: "TA0007"}
	hosts    = detectors.Technique{ID: "T1018", Name: "Remote System Discovery", Tactic: "TA0007"}
	fromAfar = detectors.Technique{ID: "T1595", Name: "Active Scanning", Tactic: "TA0043"}
	rule     = &detectors.Rule{
		ID: "scan.trw", Name: "Scan: a host tries many addresses or ports that don't answer", Stage: detectors.StageDiscovery,
		Techniques: []detectors.Technique{ports, hosts, fromAfar}, Sides: detectors.OriginatorAlone,
	}
)

const (
	maxWeight        = 8.0 // nats; a scan alone is not an intrusion
	maxOutsideWeight = 3.5 // the internet scans everybody all day
	maxRelated       = 32
)

// finding tells what a walk has come to.
func (d *Detector) finding(env detectors.Env, w *walk) *detectors.Finding {
	f := &detectors.Finding{
		Rule: rule, Actor: w.actor, Target: w.target, Start: w.start, End: w.last, WindowStart: w.window,
		LLR: min(maxWeight, w.peak-d.cfg.Threshold+3),
	}
	fromOutside := !env.Internal(w.actor.Addr)
	f.Techniques = w.techniques()
	if fromOutside {
		f.LLR = min(f.LLR, maxOutsideWeight)
		f.Techniques = append(f.Techniques, fromAfar)
	}
	f.Message = w.message()
	f.Filter = w.filter()
	d.evidence(f, w)
	for _, p := range w.sampled() {
		f.Conns = append(f.Conns, p.conn)
		f.Refs = append(f.Refs, p.ref)
		if p.target != w.target.Addr && !slices.Contains(f.Related, p.target) && len(f.Related) < maxRelated {
			f.Related = append(f.Related, p.target)
		}
	}
	for _, a := range w.hosts {
		if !slices.Contains(f.Related, a) && len(f.Related) < maxRelated {
			f.Related = append(f.Related, a)
		}
	}
	fewer := int(math.Floor((w.most-d.cfg.Threshold)/max(w.failStep, 0.01))) + 1
	f.Counterfactual = fmt.Sprintf("With %s fewer L would have stayed below %s and nothing been said.",
		phrase.Plural(fewer, "failure"), phrase.Number(d.cfg.Threshold))
	if w.lifted && w.peak <= d.cfg.Threshold {
		f.Counterfactual = fmt.Sprintf("With fewer than %d unanswered echo requests to different hosts within a minute nothing would have been said.", echoBurst)
	}
	f.LookAlikes = w.lookAlikes(fromOutside)
	f.NextSteps = w.nextSteps(fromOutside)
	return f
}

func (w *walk) techniques() []detectors.Technique {
	switch {
	case w.kind == overPorts || w.kind == overPortsOf:
		return []detectors.Technique{ports}
	case w.top().service.port == 0:
		return []detectors.Technique{hosts}
	}
	return []detectors.Technique{ports, hosts}
}

// sampled returns the first failures and then the last, each once.
func (w *walk) sampled() []probe {
	out := slices.Clone(w.first)
	n := int(w.failures())
	if w.kind == overPortsOf {
		return out
	}
	for i := max(len(out), n-lastProbes); i < n; i++ {
		out = append(out, w.latest[i%lastProbes])
	}
	return out
}

func (w *walk) message() string {
	lasted := phrase.Duration(w.last.Sub(w.start))
	tail := fmt.Sprintf("in %s; %s", lasted, w.outcomes())
	if w.stealth > 0 {
		tail += fmt.Sprintf("; %s of a kind that no stack sends (no SYN, no ACK)", phrase.Plural(int(w.stealth), "probe"))
	}
	switch w.kind {
	case overPorts:
		return fmt.Sprintf("%s tried %s of %s %s.", w.actor.Addr, phrase.Plural(int(w.contacts()), w.protocol()+"port"), w.target.Addr, tail)
	case overPortsOf:
		return fmt.Sprintf("%s tried %s of %s more %s.", w.actor.Addr, phrase.Plural(int(w.contacts()), w.protocol()+"port"), phrase.Plural(len(w.hosts), "host"), tail)
	case overOutside:
		return fmt.Sprintf("%s tried %s on %s %s.", w.actor.Addr, phrase.Plural(int(w.contacts()), "external host"), w.top().service, tail)
	}
	return fmt.Sprintf("%s tried %s on %s %s.", w.actor.Addr, phrase.Plural(int(w.contacts()), "internal host"), w.serviceList(), tail)
}

// protocol is "TCP " where all that was tried is TCP.
func (w *walk) protocol() string {
	p := w.services[0].service.proto
	for _, t := range w.services {
		if t.service.proto != p {
			return ""
		}
	}
	if p == packet.ProtoUDP {
		return "UDP "
	}
	return "TCP "
}

func (w *walk) outcomes() string {
	var parts []string
	for _, o := range []struct {
		n    uint32
		what string
	}{{w.silent, "stayed silent"}, {w.refused, "refused"}, {w.answered, "answered"}} {
		if o.n > 0 {
			parts = append(parts, phrase.Count(int(o.n))+" "+o.what)
		}
	}
	return strings.Join(parts, ", ")
}

// serviceList names the services tried most, most first.
func (w *walk) serviceList() string {
	list := slices.Clone(w.services)
	slices.SortStableFunc(list, func(a, b tally) int { return int(b.n) - int(a.n) })
	var names []string
	for _, t := range list[:min(4, len(list))] {
		names = append(names, t.service.String())
	}
	if len(list) > 4 || w.others > 0 {
		return strings.Join(names, ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

// names of the services that scans look for most.
var serviceNames = map[uint16]string{
	21: "ftp", 22: "ssh", 23: "telnet", 80: "http", 88: "kerberos", 135: "rpc", 139: "netbios", 389: "ldap", 443: "https", 445: "smb",
	1433: "mssql", 3306: "mysql", 3389: "rdp", 5432: "postgresql", 5900: "vnc", 5985: "winrm", 6379: "redis", 8080: "http",
}

func (s service) String() string {
	if s.port == 0 {
		return "ICMP echo"
	}
	text := "TCP port "
	if s.proto == packet.ProtoUDP {
		text = "UDP port "
	}
	text += strconv.Itoa(int(s.port))
	if name := serviceNames[s.port]; name != "" && s.proto == packet.ProtoTCP {
		text += " (" + name + ")"
	}
	return text
}

func (d *Detector) evidence(f *detectors.Finding, w *walk) {
	theta0, measured := d.site.theta0(d.cfg.Theta0)
	usual := fmt.Sprintf("%s %% answered, assumed", phrase.Number(100*theta0))
	if measured {
		usual = fmt.Sprintf("%s %% answered, the median here", phrase.Number(100*theta0))
	}
	add := func(e detectors.Evidence) { f.Evidence = append(f.Evidence, e) }
	switch {
	case w.lifted && w.peak <= d.cfg.Threshold:
		add(detectors.Evidence{
			Measure: "hosts that left an echo request unanswered within a minute", Value: echoBurst, Unit: "hosts",
			Baseline: "0.1 a minute, assumed", Threshold: fmt.Sprintf("%d (chance alone: 7.7e-8)", echoBurst), Nats: f.LLR,
		})
	default:
		add(detectors.Evidence{
			Measure: "sequential test L of first contacts that fail", Value: phrase.Round(w.peak), Unit: "nats",
			Baseline: usual, Threshold: "h = " + phrase.Number(d.cfg.Threshold) + " nats", Nats: f.LLR,
		})
	}
	what := "hosts"
	if w.kind == overPorts || w.kind == overPortsOf {
		what = "ports"
	}
	add(detectors.Evidence{Measure: "first contacts that failed", Value: float64(w.failures()), Unit: what, Baseline: usual})
	add(detectors.Evidence{Measure: "first contacts that were answered", Value: float64(w.answered), Unit: what, Baseline: usual})
	if s := w.last.Sub(w.start).Seconds(); s > 0 {
		add(detectors.Evidence{
			Measure: "rate of first contacts", Value: math.Round(60 * float64(w.contacts()) / s), Unit: what + " a minute", Baseline: "none",
		})
	}
	add(detectors.Evidence{Measure: "different services tried, at most", Value: float64(len(w.services)) + float64(w.others), Unit: "services", Baseline: "none"})
	if w.sequential() {
		add(detectors.Evidence{
			Measure: "targets tried in rising order", Value: phrase.Round(100 * float64(w.ascending) / float64(w.steps)), Unit: "%",
			Baseline: "50 % where the order is chance", Threshold: "90 %",
		})
	}
	if w.stealth > 0 {
		add(detectors.Evidence{Measure: "TCP probes without SYN, ACK and RST", Value: float64(w.stealth), Unit: "probes", Baseline: "none: no stack sends them"})
	}
	if n := d.alive + d.twoWay; d.alive > 0 && d.blind() {
		add(detectors.Evidence{
			Measure: "flows seen in one direction though both must exist: silence was judged by what the originator did",
			Value:   phrase.Round(100 * float64(d.alive) / float64(n)), Unit: "%", Baseline: "0 %",
		})
	}
	if len(w.open) > 0 {
		add(detectors.Evidence{Measure: "answered: " + w.openList(), Value: float64(w.answered), Unit: what, Baseline: "none"})
	}
}

// openList names what answered.
func (w *walk) openList() string {
	var list []string
	for _, p := range w.open {
		switch {
		case w.kind == overPorts:
			list = append(list, p.service.String())
		case p.service.port == 0:
			list = append(list, p.target.String())
		default:
			list = append(list, p.service.String()+" of "+p.target.String())
		}
	}
	if int(w.answered) > len(list) {
		list = append(list, "…")
	}
	return strings.Join(list, ", ")
}

// filter selects the probes in Wireshark.
func (w *walk) filter() string {
	ip := "ip"
	if !w.actor.Addr.Is4() {
		ip = "ipv6"
	}
	text := ip + ".src == " + w.actor.Addr.String()
	if w.kind == overPorts {
		text += " && " + ip + ".dst == " + w.target.Addr.String()
	}
	var kinds []string
	has := func(p packet.Proto) bool {
		return slices.ContainsFunc(w.services, func(t tally) bool { return t.service.proto == p })
	}
	if has(packet.ProtoTCP) {
		probe := "tcp.flags.ack == 0"
		if w.kind != overPorts && len(w.services) <= 4 && w.others == 0 {
			probe += " && " + w.portFilter()
		}
		kinds = append(kinds, probe)
	}
	if has(packet.ProtoUDP) {
		kinds = append(kinds, "udp")
	}
	if has(packet.ProtoICMP) {
		kinds = append(kinds, "icmp.type == 8")
	}
	if has(packet.ProtoICMPv6) {
		kinds = append(kinds, "icmpv6.type == 128")
	}
	if len(kinds) == 1 {
		return text + " && " + kinds[0]
	}
	for i, k := range kinds {
		kinds[i] = "(" + k + ")"
	}
	return text + " && (" + strings.Join(kinds, " || ") + ")"
}

func (w *walk) portFilter() string {
	var list []string
	for _, t := range w.services {
		if t.service.proto == packet.ProtoTCP {
			list = append(list, strconv.Itoa(int(t.service.port)))
		}
	}
	if len(list) == 1 {
		return "tcp.dstport == " + list[0]
	}
	return "tcp.dstport in {" + strings.Join(list, ", ") + "}"
}

func (w *walk) lookAlikes(fromOutside bool) []string {
	switch {
	case fromOutside:
		return []string{"Research scanners sweep the whole internet daily; they name themselves in reverse DNS and do nothing with what they find."}
	case w.kind == overOutside:
		return []string{"A peer-to-peer program or a list of dead mirrors fails at many hosts too: at many ports, and it talks with those that answer."}
	case w.kind == overHosts || w.kind == overEchoes:
		return []string{
			"A vulnerability scanner, an inventory or a monitoring server does the same: from one known address, on a schedule, and nothing follows.",
			"Servers that are down fail for everybody; what five clients failed at was discounted here.",
		}
	}
	return []string{"A vulnerability scanner does the same, from a known address and on a schedule; a program that looks for its server tries a handful of ports."}
}

func (w *walk) nextSteps(fromOutside bool) []string {
	if fromOutside {
		return []string{
			"See whether what answered is meant to be reachable from outside, and whether this address came back to it.",
			"Block the address at the border if it did.",
		}
	}
	steps := []string{fmt.Sprintf("Find the program on %s that sent these and who started it.", w.actor.Addr)}
	if len(w.open) > 0 {
		steps = append(steps, fmt.Sprintf("See what %s did next with what answered: %s.", w.actor.Addr, w.openList()))
	} else {
		steps = append(steps, fmt.Sprintf("See what %s did next, on other ports and hosts.", w.actor.Addr))
	}
	return append(steps, "If it is your own scanner, name it as an asset so that people know it.")
}
