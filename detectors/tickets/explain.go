package tickets

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
	roast rule = iota
	downgrade
	orphan
	numRules
)

var (
	kerberoasting = detectors.Technique{ID: "T1558.003", Name: "Kerberoasting", Tactic: "TA0006"}
	asRepRoasting = detectors.Technique{ID: "T1558.004", Name: "AS-REP Roasting", Tactic: "TA0006"}
	skeletonKey   = detectors.Technique{ID: "T1556.001", Name: "Domain Controller Authentication", Tactic: "TA0006"}
	passTheTicket = detectors.Technique{ID: "T1550.003", Name: "Pass the Ticket", Tactic: "TA0008"}
	forged        = detectors.Technique{ID: "T1558", Name: "Steal or Forge Kerberos Tickets", Tactic: "TA0006"}
	passTheHash   = detectors.Technique{ID: "T1550.002", Name: "Pass the Hash", Tactic: "TA0008"}
)

var rules = [numRules]detectors.Rule{
	roast: {
		ID: "auth.roast", Name: "Kerberos tickets and answers that can be guessed offline", Stage: detectors.StageCredential,
		Techniques: []detectors.Technique{kerberoasting, asRepRoasting},
	},
	downgrade: {
		ID: "auth.downgrade", Name: "Kerberos log-in with the weak cipher alone", Stage: detectors.StageLateral,
		Techniques: []detectors.Technique{passTheHash, skeletonKey},
	},
	orphan: {
		ID: "auth.ticket", Name: "Kerberos tickets without a log-in", Stage: detectors.StageLateral,
		Techniques: []detectors.Technique{passTheTicket, forged},
	},
}

// sample is how many names a sentence lists.
const sample = 5

func list(asks []ask) string {
	var out []string
	for _, a := range asks[:min(len(asks), sample)] {
		out = append(out, a.text)
	}
	if len(asks) > sample {
		out = append(out, "…")
	}
	return strings.Join(out, ", ")
}

// roastFinding tells of tickets and answers that can be guessed offline. The heavier of the two kinds counts.
func roastFinding(key detectors.HostKey, services, accounts []ask, byServices, byAccounts, alone float64, user string, start, now packet.Time) *detectors.Finding {
	f := &detectors.Finding{Rule: &rules[roast], Actor: key, Start: start, End: now, WindowStart: start, LLR: max(byServices+alone, byAccounts)}
	if user != "" {
		f.Users = []string{user}
	}
	var parts []string
	all := slices.Concat(services, accounts)
	if len(services) > 0 {
		f.Techniques = append(f.Techniques, kerberoasting)
		parts = append(parts, fmt.Sprintf("got tickets sealed with RC4 for %s within an hour, though AES was possible: %s", phrase.Plural(len(services), "service"), list(services)))
		e := detectors.Evidence{Measure: "services with RC4 tickets in an hour, old ones counted 0.3", Unit: "services", Baseline: "none", Threshold: "1", Nats: phrase.Round(byServices)}
		for _, a := range services {
			e.Value += a.weight
		}
		e.Value = phrase.Round(e.Value)
		f.Evidence = append(f.Evidence, e)
		if alone > 0 {
			f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "requests that offered RC4 alone", Value: float64(count(services)), Unit: "requests", Baseline: "AES and RC4", Nats: alone})
		}
	}
	if len(accounts) > 0 {
		f.Techniques = append(f.Techniques, asRepRoasting)
		parts = append(parts, fmt.Sprintf("got answers for %s without proving a key: %s", phrase.Plural(len(accounts), "account"), list(accounts)))
		f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "accounts answered without proof", Value: float64(len(accounts)), Unit: "accounts", Baseline: "none", Nats: phrase.Round(byAccounts)})
		for _, a := range accounts {
			if !slices.Contains(f.Users, a.text) && len(f.Users) < 16 {
				f.Users = append(f.Users, a.text)
			}
		}
	}
	if len(f.Evidence) > 1 && byAccounts > 0 { // the lighter kind adds nothing
		lighter := 0
		if byServices+alone > byAccounts {
			lighter = len(f.Evidence) - 1
		}
		f.Evidence[lighter].Nats = 0
		if lighter == 0 && alone > 0 {
			f.Evidence[1].Nats = 0
		}
	}
	for _, a := range all {
		f.Target = detectors.HostKey{Segment: key.Segment, Addr: a.conn.Resp}
		if len(f.Conns) < detectors.MaxFlows {
			f.Conns = append(f.Conns, a.conn)
		}
		if len(f.Refs) < detectors.MaxRefs {
			f.Refs = append(f.Refs, a.ref)
		}
	}
	f.Message = fmt.Sprintf("%s %s.", key.Addr, strings.Join(parts, "; "))
	f.Counterfactual = "Tickets sealed with AES, or requests with pre-authentication, would not be said."
	f.LookAlikes = []string{
		"A service whose account has no AES key gives RC4 tickets to everybody: one service, many clients.",
		"Accounts set to need no pre-authentication are answered so each time; better to change the setting.",
	}
	f.NextSteps = []string{
		"Give the accounts of these services long random passwords (better: managed service accounts) and AES keys; change them now if they could be guessed.",
		fmt.Sprintf("Find the program on %s that asked for these tickets; programs ask for what they use next, tools for many at once.", key.Addr),
	}
	f.Filter = fmt.Sprintf("ip.addr == %s && kerberos.msg_type in {11, 13}", key.Addr)
	return f
}

func count(asks []ask) (n int) {
	for _, a := range asks {
		if a.alone {
			n++
		}
	}
	return n
}

// weakFinding tells of a log-in with RC4 alone.
func weakFinding(key detectors.HostKey, a *ask, llr float64, could bool, start packet.Time) *detectors.Finding {
	f := &detectors.Finding{
		Rule: &rules[downgrade], Actor: key, Target: detectors.HostKey{Segment: key.Segment, Addr: a.conn.Resp}, Start: start, End: a.at, WindowStart: start,
		LLR: llr, Techniques: []detectors.Technique{passTheHash}, Users: []string{a.text},
		Message:        fmt.Sprintf("%s logged in as %s offering RC4 alone, while the realm's tickets are AES: so does who has the NTLM hash and not the password.", key.Addr, a.text),
		Counterfactual: "An offer with AES among the ciphers would not be said.",
		LookAlikes:     []string{"Systems that only know RC4 (before Windows Vista, some appliances) log in so every day."},
		NextSteps: []string{
			fmt.Sprintf("Ask %s whether that log-in was theirs; if not, reset the password and look on %s for who had the hash.", a.text, key.Addr),
		},
		Conns: []flows.Conn{a.conn}, Refs: []flows.Ref{a.ref},
		Filter: fmt.Sprintf("ip.addr == %s && kerberos.msg_type == 10", key.Addr),
	}
	f.Evidence = []detectors.Evidence{{Measure: "log-in that offered RC4 alone", Value: 1, Unit: "log-ins", Baseline: "none", Nats: phrase.Round(llr)}}
	if could {
		f.Message = strings.TrimSuffix(f.Message, ".") + "; the host offered AES before."
		f.Evidence[0].Nats = phrase.Round(llr * 1.5 / 3.5)
		f.Evidence = append(f.Evidence, detectors.Evidence{Measure: "the host offered AES before", Value: 1, Unit: "", Baseline: "AES", Nats: phrase.Round(llr * 2 / 3.5)})
	}
	return f
}

// fallenFinding tells of a key distribution centre that gave AES up for accounts.
func fallenFinding(key detectors.HostKey, fallen []ask, llr float64, start, now packet.Time) *detectors.Finding {
	f := &detectors.Finding{
		Rule: &rules[downgrade], Actor: key, Start: start, End: now, WindowStart: start, LLR: llr, Techniques: []detectors.Technique{skeletonKey},
		Message: fmt.Sprintf("%s, a key distribution centre, offered RC4 alone for %s that had AES keys and whose clients offered AES: %s. So does one whose program was patched to take a second password for everybody.",
			key.Addr, phrase.Plural(len(fallen), "account"), list(fallen)),
		Evidence: []detectors.Evidence{{
			Measure: "accounts in a day whose AES keys are no longer used, at this key distribution centre", Value: float64(len(fallen)), Unit: "accounts", Baseline: "AES", Threshold: "1",
			Nats: phrase.Round(llr),
		}},
		Counterfactual: "AES among the ciphers that the answer lists, or an account that never had AES, would not be said.",
		LookAlikes: []string{
			"An administrator takes AES from one account, or sets its password by a tool that makes an RC4 key only: one account, and at every key distribution centre.",
			"A domain whose policy goes back to RC4: all accounts, at every key distribution centre, announced.",
		},
		NextSteps: []string{
			fmt.Sprintf("See whether other key distribution centres still offer AES for the same accounts; if so, take a memory image of %s before it is restarted: a skeleton key lives in lsass and not on disk.", key.Addr),
			"Ask who changed msDS-SupportedEncryptionTypes of these accounts (event 4738, 5136).",
		},
		Filter: fmt.Sprintf("ip.addr == %s && (kerberos.error_code == 25 || kerberos.msg_type == 11)", key.Addr),
	}
	for _, a := range fallen {
		f.Users = append(f.Users, a.text)
		f.Conns, f.Refs = append(f.Conns, a.conn), append(f.Refs, a.ref)
	}
	return f
}
