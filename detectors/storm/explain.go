package storm

import (
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
)

var rule = detectors.Rule{
	ID: "smb.storm", Name: "Files of a share rewritten or renamed in bulk, as ransomware does", Stage: detectors.StageImpact,
	Techniques: []detectors.Technique{windows.Encrypted},
}

func (d *Detector) finding(k key, sh *share) *detectors.Finding {
	v := &sh.best
	ip := "ip"
	if !k.client.Addr.Is4() {
		ip = "ipv6"
	}
	f := &detectors.Finding{
		Rule: &rule, Actor: k.client, Target: k.server, Start: sh.start, End: sh.last, WindowStart: sh.start, LLR: v.sum,
		Users: slices.Clone(sh.users), Conns: slices.Clone(sh.conns), Refs: slices.Clone(sh.refs), Techniques: rule.Techniques,
		Filter: fmt.Sprintf("%s.addr == %s && %s.addr == %s && (smb2.cmd in {5, 8, 9, 17} || smb.cmd in {7, 46, 47, 50, 162})", ip, k.client.Addr, ip, k.server.Addr),
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s changes files of share %s on %s in bulk: ", k.client.Addr, sh.name, k.server.Addr)
	var parts []string
	base := "nobody here used this extension before"
	top := max(v.terms[0], v.terms[1], v.terms[2])
	nats := func(i int) float64 {
		if v.terms[i] == top {
			top = -1
			return phrase.Round(v.terms[i])
		}
		return phrase.Round(rest * v.terms[i])
	}
	if v.terms[0] > 0 {
		how := "give"
		if v.appended {
			how = "append"
		}
		parts = append(parts, fmt.Sprintf("%d renames or copies with deletion in 60 s, of which %d %s extension %q, new here", v.renames, v.same, how, sh.ext))
		f.Evidence = append(f.Evidence, detectors.Evidence{
			Measure: fmt.Sprintf("renames within 60 s that give the extension %q (of %d)", sh.ext, v.renames), Value: float64(v.same), Unit: "files", Baseline: base,
			Threshold: fmt.Sprintf("%d renames, 80 %% of them with one new extension", d.cfg.MinRenames), Nats: nats(0),
		})
	}
	if v.terms[1] > 0 {
		parts = append(parts, fmt.Sprintf("%d files in 60 s read and then written at the same size, %.1f bits per byte after %.1f", v.rewrites, v.wrote, v.read))
		f.Evidence = append(f.Evidence, detectors.Evidence{
			Measure: fmt.Sprintf("files within 60 s read, then written at 0.9 to 1.2 of their size, at a mean entropy of %.2f bits per byte after %.2f", v.wrote, v.read), Value: float64(v.rewrites),
			Unit: "files", Baseline: "none", Threshold: fmt.Sprintf("%d files, %v bits and %v more than before", d.cfg.MinRewrites, minEntropy, minRise), Nats: nats(1),
		})
	}
	if v.terms[2] > 0 {
		parts = append(parts, fmt.Sprintf("the same text %s created in %d directories", sh.note, v.notes))
		f.Evidence = append(f.Evidence, detectors.Evidence{
			Measure: "directories in which the same small text " + sh.note + " was created within 60 s", Value: float64(v.notes), Unit: "directories", Baseline: "none",
			Threshold: fmt.Sprintf("%d directories", aFew), Nats: nats(2),
		})
	}
	b.WriteString(strings.Join(parts, "; "))
	if n := sh.renames + sh.rewrote; n > 0 {
		fmt.Fprintf(&b, "; %s so far, directories: %.0f", phrase.Plural(n, "file"), sh.dirs.Estimate())
	}
	if len(sh.samples) > 0 {
		fmt.Fprintf(&b, ", for instance %s", strings.Join(sh.samples[:min(2, len(sh.samples))], ", "))
	}
	if len(sh.users) > 0 {
		b.WriteString(", as " + strings.Join(sh.users, ", "))
	}
	f.Message = b.String() + "."
	switch {
	case v.terms[0] >= v.terms[1] && v.terms[0] > 0:
		f.Counterfactual = fmt.Sprintf("With %d renames in 60 s, or had anybody here used extension %q more than 15 minutes before, %s nats would be left.",
			d.cfg.MinRenames-1, sh.ext, phrase.Number(max(0, v.sum-0.7*v.terms[0]-rest*v.terms[0])))
	case v.terms[1] > 0:
		f.Counterfactual = fmt.Sprintf("With %d files in 60 s, or written bytes of less than %v bits, nothing would have been said of them.", d.cfg.MinRewrites-1, minEntropy)
	default:
		f.Counterfactual = fmt.Sprintf("In %d directories nothing would have been said.", aFew-1)
	}
	f.LookAlikes = []string{
		"Somebody encrypts or converts a share on purpose: they know of it, and the extension has a name people know.",
		"Backup, archivers and imports create and read files, but don't write over what they read; photo tools keep the extension.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("Cut %s off the network now; every minute costs more files.", k.client.Addr),
		fmt.Sprintf("Make share %s of %s read-only, keep its snapshots, and see which account was used: disable it.", sh.name, k.server.Addr),
		fmt.Sprintf("Look for the same on other servers, and for how %s was reached.", k.client.Addr),
	}
	return f
}
