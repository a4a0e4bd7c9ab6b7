package relay

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

const (
	same  = " challenge a1a2a3a4a5a6a7a8 proof b1b2b3b4b5b6b7b8"
	other = " challenge a1a2a3a4a5a6a7a8 proof c1c2c3c4c5c6c7c8"
)

// TestCases holds what is said, with nats worked out by hand from the package comment.
func TestCases(t *testing.T) {
	attack := "10s 10.0.0.5 proves 10.0.0.66 http alice ntlm unseen host files" + same + "\n11s 10.0.0.66 proves 10.0.0.9 smb alice ntlm in" + same
	daily := func(days int, what string) string {
		var out []string
		for i := range days {
			for n, line := range strings.Split(strings.ReplaceAll(what, "a1a2", fmt.Sprintf("a1%02d", i)), "\n") {
				_, rest, _ := strings.Cut(line, " ")
				out = append(out, fmt.Sprintf("%dh0m%ds %s", 24*i, n, rest))
			}
		}
		return strings.Join(out, "\n")
	}
	for _, c := range []struct{ name, text, want string }{
		{"HTTP to SMB", attack, "auth.relay 10.0.0.66 -> 10.0.0.9 9.00"},
		{"the target's leg is known first", "10s 10.0.0.66 proves 10.0.0.9 smb alice ntlm in" + same + "\n80s 10.0.0.5 proves 10.0.0.66 http alice ntlm wrong" + same,
			"auth.relay 10.0.0.66 -> 10.0.0.9 9.00"},
		{"the victim's challenge was not seen", strings.Replace(attack, "challenge a1a2a3a4a5a6a7a8 ", "", 1), "auth.relay 10.0.0.66 -> 10.0.0.9 9.00"},
		{"reflected", "10s 10.0.0.5 proves 10.0.0.66 http alice ntlm unseen" + same + "\n11s 10.0.0.66 proves 10.0.0.5 smb alice ntlm in" + same, "auth.relay 10.0.0.66 -> 10.0.0.5 9.00"},
		{"through two addresses", "10s 10.0.0.5 proves 10.0.0.66 smb alice ntlm unseen" + same + "\n11s 10.0.0.67 proves 10.0.0.9 ldap alice ntlm in" + same, "auth.relay 10.0.0.67 -> 10.0.0.9 6.00"},
		{"a proxy: 0.2 × 9", "10s 10.0.0.5 proves 10.0.0.66 http alice ntlm unseen host intranet" + same + "\n11s 10.0.0.66 proves 10.0.0.9 http alice ntlm in host intranet" + same,
			"auth.relay 10.0.0.66 -> 10.0.0.9 1.80"},
		{"a load balancer's habit: 1.8 from the fourth day on", daily(5, attack),
			"auth.relay 10.0.0.66 -> 10.0.0.9 9.00, auth.relay 10.0.0.66 -> 10.0.0.9 9.00, auth.relay 10.0.0.66 -> 10.0.0.9 9.00, auth.relay 10.0.0.66 -> 10.0.0.9 1.80, auth.relay 10.0.0.66 -> 10.0.0.9 1.80"},
		{"seen twice", "10s 10.0.0.5 proves 10.0.0.9 smb alice ntlm in over 1" + same + "\n10s 10.0.0.5 proves 10.0.0.9 smb alice ntlm in over 2" + same, ""},
		{"a client behind translated addresses", "10s 10.0.0.5 proves 10.0.0.9 smb alice ntlm in" + same + "\n10s 10.0.0.1 proves 10.0.0.9 smb alice ntlm in" + same, ""},
		{"a server behind them", "10s 10.0.0.5 proves 10.0.0.9 smb alice ntlm in" + same + "\n10s 10.0.0.5 proves 10.1.0.9 smb alice ntlm in" + same, ""},
		{"half an hour apart", strings.Replace(attack, "11s", "30m11s", 1), ""},
		{"two log-ins", strings.Replace(attack, "11s 10.0.0.66 proves 10.0.0.9 smb alice ntlm in"+same, "11s 10.0.0.66 proves 10.0.0.9 smb alice ntlm in challenge 0102030405060708 proof 0203040506070809", 1), ""},
		{"two collectors with one challenge are no relay", "10s 10.0.0.5 proves 10.0.0.66 smb alice ntlm wrong" + same + "\n11s 10.0.0.66 proves 10.0.0.9 smb alice ntlm wrong" + other, ""},
		{"tickets", "10s 10.0.0.5 proves 10.0.0.66 smb alice kerberos in" + same + "\n11s 10.0.0.66 proves 10.0.0.9 smb alice kerberos in" + same, ""},
		{"a collector with a challenge of its own", "10s every 2s times 3 10.0.0.# proves 10.0.0.66 smb user# ntlm wrong challenge a1a2a3a4a5a6a7a8 proof b1b2b3b4b5b6b7b#", "auth.capture 10.0.0.66 -> . 3.00"},
		{"twice only", "10s every 2s times 2 10.0.0.# proves 10.0.0.66 smb user# ntlm wrong challenge a1a2a3a4a5a6a7a8 proof b1b2b3b4b5b6b7b#", ""},
		{"one seen by three taps", "10s every 1ms times 3 10.0.0.5 proves 10.0.0.66 smb user ntlm wrong" + same, ""},
		{"Responder's default", "10s 10.0.0.5 proves 10.0.0.66 smb alice ntlm wrong challenge 1122334455667788 proof b1b2b3b4b5b6b7b8", "auth.capture 10.0.0.66 -> 10.0.0.5 3.00"},
		{"again and again", "10s every 5s times 4 10.0.0.5 proves 10.0.0.66 smb alice ntlm wrong challenge 1122334455667788 proof b1b2b3b4b5b6b7b#", "auth.capture 10.0.0.66 -> 10.0.0.5 6.00"},
		{"a busy file server", "10s every 1s times 9 10.0.0.5 proves 10.0.0.9 smb alice ntlm in challenge a1a2a3a4a5a6a7a# proof b1b2b3b4b5b6b7b#", ""},
	} {
		all, err := scenario.Play(c.text, New(Default()))
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, f := range scenario.Latest(all) {
			target := "."
			if f.Target.Addr != (detectors.HostKey{}).Addr {
				target = f.Target.Addr.String()
			}
			said = append(said, fmt.Sprintf("%s %s -> %s %.2f", f.Rule.ID, f.Actor.Addr, target, f.LLR))
			var sum float64
			for _, e := range f.Evidence {
				sum += e.Nats
			}
			if diff := sum - f.LLR; diff > 0.02 || diff < -0.02 {
				t.Errorf("%s: evidence adds up to %v of %v nats", c.name, sum, f.LLR)
			}
			if f.State != detectors.StateClose || f.Message == "" || f.Counterfactual == "" || len(f.LookAlikes) == 0 || len(f.NextSteps) == 0 || f.Filter == "" || len(f.Refs) == 0 || len(f.Conns) == 0 {
				t.Errorf("%s: something is missing: %+v", c.name, f)
			}
		}
		if got := strings.Join(said, ", "); got != c.want {
			t.Errorf("%s: %q, want\n%q", c.name, got, c.want)
		}
	}
}

// TestTells holds what a reader gets.
func TestTells(t *testing.T) {
	all, err := scenario.Play("10s 10.0.0.5 proves 10.0.0.66 http alice ntlm unseen"+same+"\n11s 10.0.0.66 proves 10.0.0.9 smb alice ntlm in named fs1"+same, New(Default()))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	if want := "10.0.0.66 passed the NTLM log-in of 10.0.0.5 as alice (over http to 10.0.0.66) on to 10.0.0.9:445 over smb and got in: both connections show the same challenge and answer."; all[0].Message != want {
		t.Errorf("%q, want\n%q", all[0].Message, want)
	}
	if f := all[0]; len(f.Conns) != 2 || len(f.Refs) != 2 || f.Related[0].String() != "10.0.0.5" {
		t.Errorf("%+v", f)
	}
}

// TestProxies holds that a configured proxy is never a relay.
func TestProxies(t *testing.T) {
	cfg := Default()
	cfg.Proxies = []string{"10.0.0.64/29"}
	d := New(cfg)
	all, err := scenario.Play("10s 10.0.0.5 proves 10.0.0.66 http alice ntlm unseen"+same+"\n11s 10.0.0.66 proves 10.0.0.9 smb alice ntlm in"+same, d)
	if err != nil || len(all) != 0 || d.same == 0 {
		t.Errorf("%v %v %d alike", all, err, d.same)
	}
}

// TestBounds holds that a flood of log-ins keeps to the bounds.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxLegs = 16
	d := New(cfg)
	if _, err := scenario.Play("0s every 1ms times 200 10.1.0.# proves 10.2.0.# smb alice ntlm in challenge {hex16} proof {hex16}", d); err != nil {
		t.Fatal(err)
	}
	if d.legs.Len() > 16 || d.legs.Evicted() < 380 {
		t.Errorf("%d legs, %d evicted", d.legs.Len(), d.legs.Evicted())
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{Proxies: []string{"10.0.0.1", "10.0.0/8"}}.Validate()
	if err == nil || !strings.Contains(err.Error(), "min_nats: 0") || !strings.Contains(err.Error(), "max_legs: 0") || !strings.Contains(err.Error(), "proxies[1]") {
		t.Errorf("%v", err)
	}
}
