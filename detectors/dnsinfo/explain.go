package dnsinfo

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

var (
	overDNS = detectors.Technique{ID: "T1071.004", Name: "DNS", Tactic: "TA0011"}
	tunnel  = detectors.Technique{ID: "T1572", Name: "Protocol Tunneling", Tactic: "TA0011"}
	exfil   = detectors.Technique{ID: "T1048.003", Name: "Exfiltration Over Unencrypted Non-C2 Protocol", Tactic: "TA0010"}
	rule    = &detectors.Rule{
		ID: "dns.info", Name: "Data in DNS names or answers", Stage: detectors.StageC2,
		Techniques: []detectors.Technique{overDNS, tunnel, exfil}, Sides: detectors.OriginatorAlone,
	}
)

func parseAddr(text []byte) (packet.Addr, bool) {
	a, err := netip.ParseAddr(string(text))
	return packet.AddrFrom(a), err == nil
}

// finding tells what a pair has come to.
func (d *Detector) finding(env detectors.Env, p *pair, v *verdict) *detectors.Finding {
	f := &detectors.Finding{
		Rule: rule, Actor: p.key.client, Domain: p.key.domain, Start: p.episode, End: p.last, WindowStart: p.episode,
		LLR: v.nats, Related: []packet.Addr{p.server}, Conns: slices.Clone(p.conns), Refs: slices.Clone(p.refs),
	}
	w := &p.window[v.span]
	f.Techniques = techniques(w, v.bound)
	f.Message = p.message(v)
	f.Filter = p.filter()
	for _, t := range v.terms[1:] {
		f.Evidence = append(f.Evidence, detectors.Evidence{
			Measure: t.measure, Value: phrase.Round(t.value), Unit: t.unit, Baseline: "none", Threshold: t.threshold, Nats: phrase.Round(t.nats),
		})
	}
	baseline := "none"
	if _, ok := p.letters.excess(&d.model); ok {
		baseline = "names of this site"
	}
	f.Evidence = append([]detectors.Evidence{{
		Measure: directionNames[v.dir] + " in " + spanNames[v.span], Value: math.Round(v.bytes), Unit: "bytes", Baseline: baseline,
		Threshold: phrase.Bytes(v.bound), Nats: phrase.Round(v.terms[0].nats),
	}}, f.Evidence...)
	f.Evidence = append(f.Evidence, detectors.Evidence{
		Measure: "questions below " + p.key.domain + ", by type: " + p.typeList() + "; for instance " + strings.Join(p.examples(), ", "),
		Value:   float64(p.questions), Unit: "questions", Baseline: "none",
	})
	f.Counterfactual = d.counterfactual(v)
	f.LookAlikes = []string{
		"A content network gives each session a name: connections follow its answers, and many clients ask for it.",
		"Reputation services (DNSBL, antivirus) ask with hashes or addresses: their answers lie in 127.0.0.0/8, and every client asks.",
	}
	who := p.key.client.Addr.String()
	if v.resolver {
		f.LookAlikes = append(f.LookAlikes, "The actor resolves for others; which of them asked is not visible here.")
		f.NextSteps = []string{fmt.Sprintf("Find in the log of resolver %s which client asks for %s.", who, p.key.domain)}
	} else {
		f.NextSteps = []string{fmt.Sprintf("Find the program on %s that asks for %s, and who started it.", who, p.key.domain)}
	}
	f.NextSteps = append(f.NextSteps,
		fmt.Sprintf("Look up when %s was registered and by whom; block it at the resolver if nobody here knows it.", p.key.domain),
		"Decode a few names: tunnels carry text, hashes or whole packets.")
	return f
}

var directionNames = [2]string{up: "bytes of different names asked", down: "bytes of different answers"}

// techniques follows from what flowed where.
func techniques(w *window, bound float64) []detectors.Technique {
	switch u, d := w.bytes[up], w.bytes[down]; {
	case u < bound:
		return []detectors.Technique{overDNS}
	case d < u/4:
		return []detectors.Technique{overDNS, exfil}
	case d < bound:
		return []detectors.Technique{overDNS, exfil, tunnel}
	}
	return []detectors.Technique{overDNS, tunnel, exfil}
}

func (p *pair) message(v *verdict) string {
	w := &p.window[v.span]
	who := p.key.client.Addr.String()
	if v.resolver {
		who = "A client of resolver " + who
	}
	what := fmt.Sprintf("%s of names to", phrase.Bytes(w.bytes[up]))
	if d := w.bytes[down]; d >= 0.1*w.bytes[up] {
		what = fmt.Sprintf("%s of names to, and %s of answers from,", phrase.Bytes(w.bytes[up]), phrase.Bytes(d))
	}
	return fmt.Sprintf("%s sent %s %s in %s by %s questions (%s): %s different names, %s.",
		who, what, p.key.domain, phrase.Duration(p.last.Sub(w.start)), phrase.Count(int(p.questions)), p.typeList(),
		phrase.Count(int(p.different())), v.because())
}

// because names the strongest reasons in words.
func (v *verdict) because() string {
	terms := slices.Clone(v.terms[1:])
	slices.SortStableFunc(terms, func(a, b term) int { return cmp.Compare(b.nats, a.nats) })
	var list []string
	for _, t := range terms[:min(3, len(terms))] {
		list = append(list, t.words)
	}
	if len(list) == 0 {
		return "much more than names need"
	}
	return strings.Join(list, ", ")
}

// counterfactual names the smallest change: less information, or one term fewer.
func (d *Detector) counterfactual(v *verdict) string {
	spare := v.nats - d.cfg.MinLLR
	if size := v.terms[0].nats; size > spare {
		less := v.bytes * (1 - math.Exp(-(spare+0.005)/1.2))
		return fmt.Sprintf("With %s less in %s nothing would have been said.", phrase.Bytes(max(1, less)), spanNames[v.span])
	}
	return fmt.Sprintf("Below %s in %s nothing would have been said; the other reasons weigh enough at any size above.",
		phrase.Bytes(v.bound), spanNames[v.span])
}

// filter selects the questions in Wireshark. A domain with bytes that no host name holds can not be written there.
func (p *pair) filter() string {
	ip := "ip"
	if !p.key.client.Addr.Is4() {
		ip = "ipv6"
	}
	text := ip + ".addr == " + p.key.client.Addr.String() + " && dns"
	if !strings.Contains(p.key.domain, "?") {
		text += `.qry.name contains "` + p.key.domain + `"`
	}
	return text
}

// typeList names the types asked for, most first.
func (p *pair) typeList() string {
	kinds := slices.Sorted(maps.Keys(p.types))
	slices.SortStableFunc(kinds, func(a, b uint16) int { return cmp.Compare(p.types[b], p.types[a]) })
	var list []string
	for _, k := range kinds[:min(4, len(kinds))] {
		list = append(list, fmt.Sprintf("%s %s", phrase.Count(int(p.types[k])), flows.TypeName(k)))
	}
	return strings.Join(list, ", ")
}

// examples returns sampled names, the long ones cut.
func (p *pair) examples() []string {
	var out []string
	for _, s := range p.sample {
		if len(s) > 60 {
			s = s[:57] + "…"
		}
		out = append(out, s)
	}
	return out
}
