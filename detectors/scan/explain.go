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
	burstRule = &detectors.Rule{
		ID: "scan.burst", Name: "Scan: too many failures of a host at once", Stage: detectors.StageDiscovery,
		Techniques: []detectors.Technique{ports, hosts}, Sides: detectors.OriginatorAlone,
	}
	slowRule = &detectors.Rule{
		ID: "scan.slow", Name: "Scan: too many failures of a host in a day, a week or a month", Stage: detectors.StageDiscovery,
		Techniques: []detectors.Technique{ports, hosts}, Sides: detectors.OriginatorAlone,
	}
)

const (
	maxWeight        = 8.0 // nats; a scan alone is not an intrusion
	maxOutsideWeight = 3.5 // the internet scans everybody all day
	maxRelated       = 32
	devicesWeight    = 2.0 // of fewer than manyDevices failures where devices are looked for: a notice
)

// finding tells what a walk has come to.
func (d *Detector) finding(env detectors.Env, w *walk) *detectors.Finding {
	f := &detectors.Finding{
		Rule: rule, Actor: w.actor, Target: w.target, Start: w.start, End: w.last, WindowStart: w.window,
		LLR: min(maxWeight, w.peak-d.bound(w)+3),
	}
	switch w.kind {
	case overAll:
		f.Rule, f.LLR = w.rule, w.fan.llr()
		if a, ok := w.oneTarget(); ok && (w.said == 0 || w.target.Addr == a) {
			f.Target = detectors.HostKey{Segment: w.actor.Segment, Addr: a}
		}
		if w.said == 0 {
			w.target = f.Target
		} else {
			f.Target = w.target // part of the finding's identity
		}
	case overNeighbours:
		f.Rule, f.LLR = w.rule, w.arpLLR()
	}
	fromOutside := !env.Internal(w.actor.Addr)
	devices := !fromOutside && w.forDevices()
	if devices {
		f.LLR = min(f.LLR, devicesWeight)
	}
	f.Techniques = w.techniques()
	if fromOutside {
		f.LLR = min(f.LLR, maxOutsideWeight)
		f.Techniques = append(f.Techniques, fromAfar)
	}
	f.Message = w.message()
	f.Filter = w.filter()
	d.evidence(f, w)
	for _, p := range append(w.sampled(), w.uses...) {
		if p.service.proto != neighbours {
			f.Conns = append(f.Conns, p.conn)
		}
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
	fewer := int(math.Floor((w.most-d.bound(w))/max(w.failStep, 0.01))) + 1
	f.Counterfactual = fmt.Sprintf("With %s fewer L would have stayed below %s and nothing been said.",
		phrase.Plural(fewer, "failure"), phrase.Number(d.bound(w)))
	if w.lifted && w.peak <= d.bound(w) {
		f.Counterfactual = fmt.Sprintf("With fewer than %d unanswered echo requests to different hosts within a minute nothing would have been said.", echoBurst)
	}
	switch w.kind {
	case overAll:
		f.Counterfactual = w.fan.counterfactual()
	case overNeighbours:
		f.Counterfactual = fmt.Sprintf("With fewer than %d unanswered addresses within %s nothing would have been said.", arpAsked, phrase.Duration(arpWithin))
	}
	f.LookAlikes = w.lookAlikes(fromOutside)
	if devices {
		f.LookAlikes = append([]string{fmt.Sprintf("Programs that are new on a host look for printers, screens and the like among its neighbours: below %d hosts this is a notice.", manyDevices)}, f.LookAlikes...)
	}
	f.NextSteps = w.nextSteps(fromOutside)
	return f
}

func (w *walk) techniques() []detectors.Technique {
	switch {
	case w.kind == overPorts || w.kind == overPortsOf:
		return []detectors.Technique{ports}
	case w.kind == overAll:
		if h, _ := w.across(); h <= 1 {
			return []detectors.Technique{ports}
		}
		return []detectors.Technique{ports, hosts}
	case w.top().service.port == 0:
		return []detectors.Technique{hosts}
	}
	return []detectors.Technique{ports, hosts}
}

// sampled returns the first failures and then the last, each once.
func (w *walk) sampled() []probe {
	out := slices.Clone(w.first)
	n := int(w.misses())
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
	case overNeighbours:
		return fmt.Sprintf("%s asked the neighbourhood by ARP for %s in %s; %s stayed unanswered.", w.actor.Addr,
			phrase.Count(int(w.contacts()))+" addresses", lasted, phrase.Count(int(w.failures())))
	case overAll:
		return w.fan.message(w)
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
	if s.proto == neighbours {
		return "ARP"
	}
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
		usual = fmt.Sprintf("%s %% answered here but at the worse quarter of hosts", phrase.Number(100*theta0))
	}
	add := func(e detectors.Evidence) { f.Evidence = append(f.Evidence, e) }
	switch {
	case w.kind == overNeighbours:
		add(detectors.Evidence{
			Measure: "addresses asked for by ARP that nobody has", Value: float64(w.failures()), Unit: "addresses",
			Baseline: "a handful an hour", Threshold: fmt.Sprintf("%d within %s", arpAsked, phrase.Duration(arpWithin)), Nats: f.LLR,
		})
	case w.kind == overAll:
		w.fan.evidence(f, true)
	case w.lifted && w.peak <= d.bound(w):
		add(detectors.Evidence{
			Measure: "hosts that left an echo request unanswered within a minute", Value: echoBurst, Unit: "hosts",
			Baseline: "0.1 a minute, assumed", Threshold: fmt.Sprintf("%d (chance alone: 7.7e-8)", echoBurst), Nats: f.LLR,
		})
	default:
		add(detectors.Evidence{
			Measure: "sequential test L of first contacts that fail", Value: phrase.Round(w.peak), Unit: "nats",
			Baseline: usual, Threshold: "h = " + phrase.Number(d.bound(w)) + " nats", Nats: f.LLR,
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
	if words, h, p := w.shape(); words != "" {
		add(detectors.Evidence{Measure: "shape, of a sample: " + words, Value: float64(max(h, p)), Unit: map[bool]string{true: "hosts", false: "ports"}[h >= p], Baseline: "none"})
	}
	if rho, ok := w.order(); ok {
		add(detectors.Evidence{
			Measure: orderWords(rho), Value: phrase.Round(rho), Unit: "rank correlation", Baseline: "0 where the order is chance", Threshold: "0.9 either way",
		})
	}
	if w.kind != overAll && w.fan != nil {
		w.fan.evidence(f, false)
	}
	if w.used > 0 {
		add(detectors.Evidence{Measure: "later connections with data to what was found: " + usesList(w.uses), Value: float64(w.used), Unit: "services", Baseline: "none"})
	}
	if w.looked > 0 {
		add(detectors.Evidence{Measure: "VNC handshakes that the client left by a reset once it knew the kinds of security", Value: float64(w.looked), Unit: "handshakes", Baseline: "none: people stay or close"})
	}
	if w.knocked > 0 {
		add(detectors.Evidence{
			Measure: "ways in that answered and were left by a reset without a word, half a failure each", Value: float64(w.knocked), Unit: what,
			Baseline: "none: people log in or close",
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
	if has(neighbours) {
		if len(w.services) == 1 {
			return "arp.opcode == 1 && arp.src.proto_ipv4 == " + w.actor.Addr.String()
		}
		kinds = append(kinds, "arp.opcode == 1")
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
	case w.kind == overNeighbours:
		return []string{
			"A router asks for what comes through it, a DHCP server for what it gives: both are excused once their traffic or DHCP names them.",
			"An inventory or a monitoring server does the same: from one known address, on a schedule, and nothing follows.",
		}
	case w.kind == overHosts || w.kind == overEchoes || w.kind == overAll:
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
	if len(w.uses) > 0 {
		return []string{
			fmt.Sprintf("%s found %s and then used it: see what went over these connections.", w.actor.Addr, usesList(w.uses)),
			fmt.Sprintf("Find the program on %s that sent these and who started it.", w.actor.Addr),
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

// usesList names services that were used after they were found.
func usesList(list []probe) string {
	var names []string
	for _, p := range list {
		names = append(names, p.service.String()+" of "+p.target.String())
	}
	return strings.Join(names, ", ")
}

// message tells the greatest surprise.
func (f *fan) message(w *walk) string {
	v, what := &f.burst, "addresses and ports"
	if w.rule == slowRule {
		v = &f.slow
	}
	count := v.count
	if v.span == burstSpans[2] || w.failures() > maxRecent && v.span < slowSpans[0] {
		count = max(count, int(w.failures()))
	}
	if count > v.count {
		return fmt.Sprintf("%s tried %s %s inside in vain in %s, %s of them within %s; %s.", w.actor.Addr, phrase.Count(count), what,
			phrase.Duration(w.last.Sub(w.start)), phrase.Count(v.count), v.spanWords(), w.outcomes())
	}
	return fmt.Sprintf("%s tried %s %s inside in vain within %s; up to %s are usual here.", w.actor.Addr, phrase.Count(v.count), what, v.spanWords(), phrase.Count(v.critical-1))
}

// evidence adds the counts that were too much; weighs says that they are the finding's own.
func (f *fan) evidence(to *detectors.Finding, weighs bool) {
	add := func(v *verdict, chance string) {
		e := detectors.Evidence{
			Measure: "failed first contacts inside within " + v.spanWords() + ", " + chance, Value: float64(v.count), Unit: "contacts",
			Baseline: v.usualWords(), Threshold: strconv.Itoa(v.critical),
		}
		if weighs && len(to.Evidence) == 0 {
			e.Nats = to.LLR
		}
		to.Evidence = append(to.Evidence, e)
	}
	for _, v := range []*verdict{&f.burst, &f.slow} {
		if v.given() {
			add(v, fmt.Sprintf("by chance %.0e", max(v.chance(), 1e-300)))
		}
	}
	if f.dark > 0 {
		to.Evidence = append(to.Evidence, detectors.Evidence{
			Measure: "of them at addresses that sent nothing in thirty days, which weigh three", Value: float64(f.dark), Unit: "contacts", Baseline: "none",
		})
	}
	if f.slow.given() {
		to.Evidence = append(to.Evidence, detectors.Evidence{Measure: "days with failures", Value: float64(f.active), Unit: "days", Baseline: "none"})
	}
	if weighs && f.absorbs > 0 {
		to.Evidence = append(to.Evidence, detectors.Evidence{Measure: "sequential test of first contacts that fail alarmed too (scan.trw)", Value: phrase.Round(f.absorbs), Unit: "nats", Baseline: "none"})
	}
}

func (f *fan) counterfactual() string {
	v := &f.burst
	if f.walk.rule == slowRule {
		v = &f.slow
	}
	return fmt.Sprintf("With %s within %s nothing would have been said.", phrase.Plural(v.critical-1, "failure"), v.spanWords())
}

// knownScanner makes a finding of a scanner of the house information.
func (d *Detector) knownScanner(env detectors.Env, f *detectors.Finding, w *walk) {
	h := w.habit
	if !h.known(roleOf(env, w.actor)) {
		return
	}
	f.LLR = min(f.LLR, habitWeight)
	by := " and logged in nowhere"
	if h.users.Len() > 0 {
		by = fmt.Sprintf(", logged in by %s and ran nothing", phrase.Plural(h.users.Len(), "account"))
	}
	f.Evidence = append(f.Evidence, detectors.Evidence{
		Measure: "days before on which this host scanned the same ports of the same networks" + by, Value: float64(h.days), Unit: "days",
		Baseline: "none", Threshold: strconv.Itoa(habitDays),
	})
	f.Message += fmt.Sprintf(" It did the same on %s before: a scanner of the house.", phrase.Plural(h.days, "day"))
}
