package session

import (
	"fmt"
	"math"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
)

// rule is an index of rules.
type rule uint8

const (
	interactive rule = iota
	restricted
	scripted
	tunnel
	transfer
	numRules
)

var (
	overRDP    = detectors.Technique{ID: "T1021.001", Name: "Remote Desktop Protocol", Tactic: "TA0008"}
	overSSH    = detectors.Technique{ID: "T1021.004", Name: "SSH", Tactic: "TA0008"}
	remote     = detectors.Technique{ID: "T1021", Name: "Remote Services", Tactic: "TA0008"}
	passHash   = detectors.Technique{ID: "T1550.002", Name: "Pass the Hash", Tactic: "TA0008"}
	tunnelling = detectors.Technique{ID: "T1572", Name: "Protocol Tunneling", Tactic: "TA0011"}
)

var rules = [numRules]detectors.Rule{
	interactive: {
		ID: "sess.interactive", Name: "Somebody works on another internal host", Stage: detectors.StageLateral,
		Techniques: []detectors.Technique{overRDP, overSSH, remote},
	},
	restricted: {
		ID: "sess.restricted", Name: "Remote desktop that takes a hash for a password", Stage: detectors.StageLateral,
		Techniques: []detectors.Technique{overRDP, passHash},
	},
	scripted: {
		ID: "sess.scripted", Name: "A program struck the keys on a remote desktop", Stage: detectors.StageLateral,
		Techniques: []detectors.Technique{overRDP},
	},
	tunnel: {
		ID: "sess.tunnel", Name: "Somebody types through an SSH connection against its direction", Stage: detectors.StageC2,
		Techniques: []detectors.Technique{tunnelling, overSSH},
	},
	transfer: {
		ID: "sess.transfer", Name: "A large file within a session between internal hosts", Stage: detectors.StageLateral,
		Techniques: []detectors.Technique{windows.ToolTransfer, overSSH, overRDP},
	},
}

// finding begins what a rule says of a session.
func (d *Detector) finding(env detectors.Env, r rule, s *flows.Session, e *episode) *detectors.Finding {
	f := &detectors.Finding{
		Rule: &rules[r], Actor: detectors.HostKey{Segment: s.Segment, Addr: s.Orig}, Target: detectors.HostKey{Segment: s.Segment, Addr: s.Resp},
		Start: e.first, End: max(s.Last, e.first), WindowStart: e.first, Conns: slices.Clone(e.conns), Refs: slices.Clone(e.refs),
		Filter: fmt.Sprintf("ip.addr == %s && ip.addr == %s && tcp.port == %d", s.Orig, s.Resp, s.RespPort),
	}
	switch r {
	case restricted:
		f.Message = fmt.Sprintf("%s opened a remote desktop on %s:%d with restricted administration, for which a password's hash is enough", s.Orig, s.Resp, s.RespPort)
		f.Techniques = rules[r].Techniques
		f.Counterfactual = "A remote desktop with the credentials themselves, or with Remote Credential Guard, would not be said."
		f.LookAlikes = []string{
			"Administrators use mstsc /restrictedAdmin so that a server never sees their password: from known hosts, as a habit.",
		}
		f.NextSteps = []string{
			fmt.Sprintf("On %s read the log-ons of type 10 (event 4624) with restricted admin mode, and as whom.", s.Resp),
			fmt.Sprintf("Ask who used %s then; look for credentials dumped on a host that this user worked on before.", s.Orig),
		}
	}
	if windows.Familiar(e.days) {
		f.Message += fmt.Sprintf("; it did so on %d earlier days", e.days)
	}
	f.Message += "."
	return f
}

// over is the technique of a session's protocol.
func over(s *flows.Session) detectors.Technique {
	switch s.App {
	case flows.AppRDP:
		return overRDP
	case flows.AppSSH:
		return overSSH
	}
	return remote
}

// tell sets the sentence before what finding said of habits.
func tell(f *detectors.Finding, format string, args ...any) {
	f.Message = fmt.Sprintf(format, args...) + f.Message
}

func length(s *flows.Session) string { return phrase.Duration(s.Last.Sub(s.First)) }

func ms(n uint32) string { return phrase.Duration(time.Duration(n) * time.Millisecond) }

// interactive tells that somebody types or works.
func (d *Detector) interactive(env detectors.Env, s *flows.Session) {
	amount := float64(s.Typed[flows.Orig])
	if s.App == flows.AppRDP {
		amount = float64(s.Active)
	}
	e := d.note(env, interactive, s, amount)
	f := d.finding(env, interactive, s, e)
	f.Techniques = []detectors.Technique{over(s)}
	if s.App == flows.AppRDP {
		tell(f, "Somebody on %s works on the desktop of %s:%d: active in %d of %s of ten seconds", s.Orig, s.Resp, s.RespPort, s.Active, phrase.Plural(int(s.Spans), "span"))
		add(f, e, detectors.Evidence{Measure: "spans of ten seconds with twenty messages of the client and more", Value: amount, Unit: "spans", Baseline: "none", Threshold: "6", Nats: byHand})
	} else {
		tell(f, "Somebody on %s types on %s:%d (%s): %s within %s, %s apart", s.Orig, s.Resp, s.RespPort, s.App, phrase.Plural(int(amount), "key"), length(s), ms(s.Pace[flows.Orig]))
		add(f, e, detectors.Evidence{Measure: "keys typed by the client, each echoed", Value: amount, Unit: "keys", Baseline: "none", Threshold: "10", Nats: byHand})
	}
	f.Counterfactual = "Fewer than ten keys, or a minute of work on a desktop, would not be said; nor the same on three earlier days."
	f.LookAlikes = []string{"Administrators work so, as a habit: alone it is no reason to act."}
	f.NextSteps = []string{fmt.Sprintf("See what else %s and %s did then; alone it is no reason to act.", s.Orig, s.Resp)}
	d.say(env, f, e, amount)
}

// scripted tells that a program struck keys.
func (d *Detector) scripted(env detectors.Env, s *flows.Session) {
	amount := float64(s.Struck)
	e := d.note(env, scripted, s, amount)
	f := d.finding(env, scripted, s, e)
	f.Techniques = []detectors.Technique{overRDP}
	tell(f, "A program on %s struck %s on the desktop of %s:%d, press and release at once, in a session of %s with %s of the client",
		s.Orig, phrase.Plural(int(s.Struck), "key"), s.Resp, s.RespPort, length(s), phrase.Plural(int(s.Messages[flows.Orig]), "message"))
	add(f, e, detectors.Evidence{Measure: "keys pressed and released within 2 ms, one after the other within 40 ms", Value: amount, Unit: "keys", Baseline: "none: fingers hold a key for 50 ms and more", Threshold: "16", Nats: struck})
	share := amount / float64(max(s.Messages[flows.Orig], 1))
	if s.Final && s.Last-s.First <= struckWithin && share >= struckShare {
		add(f, e, detectors.Evidence{Measure: "share of such keys in all that the client did, in a session of at most two minutes", Value: phrase.Round(share), Baseline: "a password among much else", Threshold: "0.3", Nats: nothingElse})
	}
	f.Counterfactual = "Fewer than 16 such keys would not be said; a session of more than two minutes, or with a mouse, would be a notice."
	f.LookAlikes = []string{"Password managers strike keys so, once, among what people do in the session.", "Tests of programs that drive desktops: from known hosts, as a habit."}
	f.NextSteps = []string{
		fmt.Sprintf("On %s see which processes began within this session (event 4688, or Sysmon 1): Run, cmd or powershell by explorer.", s.Resp),
		fmt.Sprintf("On %s find the program that spoke RDP and was not mstsc.", s.Orig),
	}
	d.say(env, f, e, amount)
}

// tunnel tells that somebody types backwards.
func (d *Detector) tunnel(env detectors.Env, s *flows.Session, inside bool) {
	amount := float64(s.Typed[flows.Resp])
	e := d.note(env, tunnel, s, amount)
	f := d.finding(env, tunnel, s, e)
	f.Techniques = []detectors.Technique{tunnelling, overSSH}
	weight, where := backOutside, " outside"
	if inside {
		weight, where = backInside, ""
	}
	tell(f, "Somebody at %s:%d%s types through the SSH connection that %s opened, and is answered there: %s within %s, %s apart, against %d the other way",
		s.Resp, s.RespPort, where, s.Orig, phrase.Plural(int(amount), "key"), length(s), ms(s.Pace[flows.Resp]), s.Typed[flows.Orig])
	add(f, e, detectors.Evidence{Measure: "keys typed by the server's side, each echoed by the client's", Value: amount, Unit: "keys", Baseline: "at most 3 in people's sessions", Threshold: "16", Nats: weight})
	add(f, e, detectors.Evidence{Measure: "deviation of the waits between them, of their mean", Value: phrase.Round(varies(s, flows.Resp)), Baseline: "below 0.1 for programs", Threshold: "0.25"})
	add(f, e, detectors.Evidence{Measure: "keys of the size of the one before", Value: phrase.Round(float64(s.Alike[flows.Resp]) / amount), Baseline: "below 0.7 for messages", Threshold: "0.7"})
	f.Counterfactual = "Fewer than 16 keys, fewer than the client typed itself, even gaps or many sizes would not be said."
	f.LookAlikes = []string{
		"Support that works on a machine through its own reverse tunnel: to a known address, and as a habit.",
		"Programs drawn over X11 forwarding ask and wait too, but at even gaps.",
		"News through a forwarded port, each of which a program confirms, have many sizes.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("On %s find the ssh process with -R (or the program that speaks SSH) and its parent; end it if nobody opened it on purpose.", s.Orig),
		fmt.Sprintf("See what %s reached while it was open: the person behind %s worked from there.", s.Orig, s.Resp),
	}
	d.say(env, f, e, amount)
}

// transfer tells of a file.
func (d *Detector) transfer(env detectors.Env, s *flows.Session, dir flows.Dir) {
	amount := float64(s.Bulk[dir])
	e := d.note(env, transfer, s, amount)
	f := d.finding(env, transfer, s, e)
	f.Techniques = []detectors.Technique{windows.ToolTransfer, over(s)}
	verb, side := "sent", "to"
	if dir == flows.Resp {
		verb, side = "took", "from"
	}
	tell(f, "%s %s %s %s %s:%d within a session (%s) of %s", s.Orig, verb, phrase.Bytes(amount), side, s.Resp, s.RespPort, s.App, length(s))
	weight := min(maxFile, file+doubled*max(math.Log2(amount/1e6), 0))
	add(f, e, detectors.Evidence{Measure: "bytes in full segments " + side + " the server", Value: amount, Unit: "bytes", Baseline: "none", Threshold: fmt.Sprint(d.cfg.MinBytes), Nats: weight})
	f.Counterfactual = fmt.Sprintf("Less than %s, or as much in the other direction, would not be said; nor the same on three earlier days.", phrase.Bytes(float64(d.cfg.MinBytes)))
	f.LookAlikes = []string{"Copies, backups and deployments over SSH: as a habit, at the same times."}
	f.NextSteps = []string{fmt.Sprintf("On %s see which files were written or read by the session; alone it is no reason to act.", s.Resp)}
	d.say(env, f, e, amount)
}
