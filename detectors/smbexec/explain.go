package smbexec

import (
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
)

// words is a rule and what does not change from finding to finding.
type words struct {
	rule       detectors.Rule
	lookAlikes []string
	next       []string // %[1]s the client, %[2]s the server
}

// rules is indexed by ruleIndex.
var rules = [numRules]words{
	exec: {
		detectors.Rule{
			ID: "smb.exec", Name: "Programs and tool output over SMB shares", Stage: detectors.StageLateral,
			Techniques: []detectors.Technique{windows.AdminShares, windows.ToolTransfer, windows.ServiceExecution, windows.WMI, windows.ScheduledTask}, Sides: detectors.OriginatorAlone,
		},
		[]string{
			"Software deployment writes programs to ADMIN$ from one server to many hosts and on many days; this client had no such history.",
			"An administrator copies a tool by hand: from an administration host, and knows of it.",
		},
		[]string{
			"Fetch the files named here from %[2]s and look at them; see whether they were run (Security 4688, Sysmon 1).",
			"Ask who used %[1]s then; if nobody did it on purpose, isolate both hosts.",
		},
	},
	secrets: {
		detectors.Rule{
			ID: "smb.secrets", Name: "Files that hold credentials touched over SMB", Stage: detectors.StageCredential,
			Techniques: []detectors.Technique{windows.NTDSDump, windows.SAMDump, windows.LSASSMemory, windows.CredentialDump, windows.PolicyPasswords}, Sides: detectors.OriginatorAlone,
		},
		[]string{"Backup software reads whole disks, from one server and on many days; it does not read these files alone."},
		[]string{
			"Take the secrets in these files for known: change the passwords that they hold.",
			"Find the process on %[1]s that read them and who started it; on %[2]s who made the copy.",
		},
	},
	pipes: {
		detectors.Rule{
			ID: "smb.pipe", Name: "Named pipes of remote execution and command-and-control tools", Stage: detectors.StageLateral,
			Techniques: []detectors.Technique{windows.AdminShares, windows.ServiceExecution, windows.FileProtocolC2}, Sides: detectors.OriginatorAlone,
		},
		[]string{
			"Administrators use PsExec and its kin too: from an administration host, and on many days; this client had no such history.",
			"A product of your own may name its pipes like so: it does from many hosts.",
		},
		[]string{
			"On %[2]s find the process that made the pipe (Sysmon 17) and what it started.",
			"Ask who used %[1]s then; if nobody did it on purpose, isolate both hosts.",
		},
	},
	listing: {
		detectors.Rule{
			ID: "smb.list", Name: "Directories listed on several servers", Stage: detectors.StageDiscovery,
			Techniques: []detectors.Technique{windows.FileDiscovery, windows.ShareDiscovery}, Sides: detectors.OriginatorAlone,
		},
		[]string{
			"Backup, indexing, virus scanners and inventory list everything, from one host and on many days; this client had no such history.",
			"Somebody searches all shares for a document.",
		},
		[]string{
			"See which files %[1]s read after: what was sought is seen there.",
			"Ask the user of %[1]s; if nobody did it on purpose, look for the process that did.",
		},
	},
	exploit: {
		detectors.Rule{
			ID: "smb.exploit", Name: "SMB messages that no client sends: exploitation or its preparation", Stage: detectors.StageLateral,
			Techniques: []detectors.Technique{windows.RemoteExploit}, Sides: detectors.OriginatorAlone,
		},
		[]string{"A vulnerability scanner sends some of these on purpose: from a known address, and nothing comes back to it."},
		[]string{
			"See whether %[2]s opened connections or a new port in the minutes after; if so it is taken over: isolate it.",
			"Patch %[2]s (MS17-010 and later) and switch SMB1 off.",
			"Find what sent this on %[1]s: it is likely taken over itself.",
		},
	},
}

func finding(k hourKey, h *hour) *detectors.Finding {
	sum, terms, shares := h.weights()
	w := &rules[k.rule]
	f := &detectors.Finding{
		Rule: &w.rule, Actor: k.client, Target: k.server, Start: h.first, End: h.last, WindowStart: h.start, LLR: sum,
		Users: slices.Clone(h.users), Conns: slices.Clone(h.conns), Refs: slices.Clone(h.refs),
		Techniques: techniques(terms), Message: message(k, h, terms),
	}
	for i, t := range terms {
		f.Evidence = append(f.Evidence, t.evidence(shares[i]))
	}
	f.Counterfactual = counterfactual(k, terms, sum)
	fill := strings.NewReplacer("%[1]s", k.client.Addr.String(), "%[2]s", k.server.Addr.String())
	for _, t := range w.lookAlikes {
		f.LookAlikes = append(f.LookAlikes, fill.Replace(t))
	}
	for _, t := range w.next {
		f.NextSteps = append(f.NextSteps, fill.Replace(t))
	}
	f.Filter = filter(k, terms)
	return f
}

// techniques returns those of the terms, heaviest first, each once.
func techniques(terms []term) []detectors.Technique {
	var out []detectors.Technique
	add := func(list ...detectors.Technique) {
		for _, t := range list {
			if len(out) < detectors.MaxTechniques && !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	for _, t := range terms {
		switch t.kind {
		case adminTree:
			add(windows.AdminShares)
		case adminWrite:
			add(windows.AdminShares, windows.ToolTransfer)
		case shareWrite:
			add(windows.ToolTransfer)
		case outputFile:
			switch {
			case strings.Contains(t.what, "WMI"):
				add(windows.WMI)
			case strings.Contains(t.what, "task"):
				add(windows.ScheduledTask)
			case strings.Contains(t.what, "services"):
				add(windows.ServiceExecution)
			}
			add(windows.AdminShares)
		case secretFile:
			switch {
			case strings.Contains(t.what, "NTDS"):
				add(windows.NTDSDump)
			case strings.Contains(t.what, "LSASS"):
				add(windows.LSASSMemory)
			case strings.Contains(t.what, "hive"):
				add(windows.SAMDump)
			default:
				add(windows.CredentialDump)
			}
		case policySweep, dirSweep:
			add(windows.PolicyPasswords)
		case toolPipe:
			add(windows.AdminShares, windows.ServiceExecution)
		case frameworkPipe, suffixedPipe:
			add(windows.AdminShares, windows.FileProtocolC2)
		case oddPipe:
			add(windows.AdminShares)
		case violation, oldDialect:
			add(windows.RemoteExploit)
		}
	}
	return out
}

// message is the finding in one sentence.
func message(k hourKey, h *hour, terms []term) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s: ", k.client.Addr, k.server.Addr)
	for i, t := range terms {
		if i == 4 {
			fmt.Fprintf(&b, "; and %s", phrase.Plural(len(terms)-4, "more kind"))
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		if t.refused+t.missing == t.count {
			b.WriteString("attempted: ")
		}
		b.WriteString(t.what)
		if list := t.list(); list != "" {
			b.WriteString(" (" + list + ")")
		}
		if t.count > 1 {
			fmt.Fprintf(&b, ", %s", phrase.Plural(int(t.count), "time"))
		}
	}
	if n := h.last.Sub(h.first); n > 0 {
		b.WriteString("; within " + phrase.Duration(n))
	}
	if len(h.users) > 0 {
		b.WriteString(", as " + strings.Join(h.users, ", "))
	}
	if k.rule == exploit {
		b.WriteString(".")
	} else if windows.Familiar(terms[0].days) {
		fmt.Fprintf(&b, "; it did so on %d earlier days.", terms[0].days)
	} else if t := terms[0]; t.content {
		fmt.Fprintf(&b, "; new for it on this host, but it brought the same file to others on %d earlier days.", t.trade)
	} else if t.trade > 0 {
		fmt.Fprintf(&b, "; new for it on this host, but it did so to others on %d earlier days.", t.trade)
	} else if t.trade < 0 {
		b.WriteString("; new for it on this host, but administering others is its role.")
	} else {
		b.WriteString("; no habit of this client.")
	}
	return b.String()
}

// list names the examples.
func (t *term) list() string {
	switch t.kind {
	case violation, cameBack, newPort, cameAway, oldDialect:
		return ""
	}
	var out []string
	for _, e := range t.examples {
		text := e.path
		if e.share != "" {
			text = e.share + `\` + text
		}
		if e.is != "" {
			text += ", " + e.is
		}
		if e.bytes > 0 {
			text += ", " + phrase.Bytes(float64(e.bytes))
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func (t *term) evidence(share float64) detectors.Evidence {
	measure := t.what
	if list := t.list(); list != "" {
		measure += ": " + list
	}
	if t.refused > 0 {
		measure += fmt.Sprintf(" [%d refused]", t.refused)
	}
	if t.missing > 0 {
		measure += fmt.Sprintf(" [%d not there]", t.missing)
	}
	base := "never before by this client on this server"
	switch {
	case t.kind == violation:
		base = "none: no client sends it"
	case t.kind == cameBack, t.kind == cameAway:
		base = "none"
	case t.kind == newPort:
		base = "never before on this host"
	case t.days > 0:
		base = "seen on " + phrase.Plural(t.days, "earlier day")
	}
	if windows.Familiar(t.days) {
		base += ": a habit, counted a fifth"
	} else if t.content {
		base += ", but the same file went to others on " + phrase.Plural(t.trade, "earlier day") + ": counted a fifth"
	} else if t.trade != 0 {
		why, share := ", but administering others is its role", "two fifths"
		if t.trade > 0 {
			why = ", but to others on " + phrase.Plural(t.trade, "earlier day") + ", which makes it its trade"
		}
		if t.kind == adminTree {
			share = "a fifth"
		}
		base += why + ": counted " + share
	}
	threshold := "once"
	if t.kind == dirSweep {
		threshold = fmt.Sprintf("%d directories of SYSVOL", sysvolFrom)
	}
	if t.kind == policySweep {
		threshold = fmt.Sprintf("%d files, one of them not there", sweepFrom)
	}
	return detectors.Evidence{Measure: measure, Value: float64(t.count), Unit: "times", Baseline: base, Threshold: threshold, Nats: phrase.Round(share)}
}

func counterfactual(k hourKey, terms []term, sum float64) string {
	top := terms[0]
	without := sum - top.weight
	if len(terms) > 1 {
		without += (1 - rest) * terms[1].weight
	}
	without = max(0, min(without, sum))
	if k.rule == exploit || windows.Familiar(top.days) || top.trade != 0 {
		return fmt.Sprintf("Without the heaviest term (%s) %s nats (risk %.0f) would be left.", top.what, phrase.Number(without), detectors.Risk(without))
	}
	return fmt.Sprintf("Had %s done this to %s on 3 earlier days, the heaviest term would count %s nats in place of %s; without it %s nats (risk %.0f) would be left.",
		k.client.Addr, k.server.Addr, phrase.Number(top.weight*windows.Discount), phrase.Number(top.weight), phrase.Number(without), detectors.Risk(without))
}

// filter selects the messages in Wireshark.
func filter(k hourKey, terms []term) string {
	ip := "ip"
	if !k.client.Addr.Is4() {
		ip = "ipv6"
	}
	fields := "smb2.filename || smb2.tree || smb.file || smb.path"
	if k.rule == exploit {
		var list []string
		for _, t := range terms {
			for _, e := range t.examples {
				for _, test := range strings.Split(violations[e.path].fields, " || ") {
					if test != "" && !slices.Contains(list, test) {
						list = append(list, test)
					}
				}
			}
		}
		if fields = strings.Join(list, " || "); fields == "" {
			fields = "smb || smb2"
		}
	}
	return fmt.Sprintf("%s.addr == %s && %s.addr == %s && (%s)", ip, k.client.Addr, ip, k.server.Addr, fields)
}
