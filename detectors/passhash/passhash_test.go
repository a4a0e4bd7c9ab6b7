package passhash

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

// week is a client that logs in to a server by Kerberos on six days, and a lease that tells its name.
const week = `
	0s 10.0.0.5 leases 02:00:00:00:00:05 pc5
	1s every 24h times 6 10.0.0.5 -> 10.0.0.9:445 open
	2s every 24h times 6 10.0.0.5 proves 10.0.0.9 smb - kerberos in
	140h 10.0.0.5 leases 02:00:00:00:00:05 pc5
`

// TestCases holds what is said, with nats worked out by hand from the package comment.
func TestCases(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no workstation: 1 + 1", week + `146h 10.0.0.5 proves 10.0.0.9 smb alice ntlm in`, "auth.pth 2.00"},
		{"another's workstation", week + `146h 10.0.0.5 proves 10.0.0.9 smb alice ntlm in from KALI`, "auth.pth 2.00"},
		{"by NTLMv1 too: at most 2.9", week + `146h 10.0.0.5 proves 10.0.0.9 smb alice ntlm in v1`, "auth.pth 2.90"},
		{"NTLMv1 with the right workstation", week + `146h 10.0.0.5 proves 10.0.0.9 smb alice ntlm in from PC5 v1`, "auth.pth 2.00"},
		{"a person who types the address: evidence only", week + `146h 10.0.0.5 proves 10.0.0.9 smb alice ntlm in from PC5`, "unsaid: auth.pth 1.00"},
		{"wrong passwords are another rule's", week + `146h 10.0.0.5 proves 10.0.0.9 smb alice ntlm wrong`, ""},
		{"four days are no habit", `
			1s every 24h times 4 10.0.0.5 -> 10.0.0.9:445 open
			2s every 24h times 4 10.0.0.5 proves 10.0.0.9 smb - kerberos in
			120h 10.0.0.5 proves 10.0.0.9 smb alice ntlm in`, ""},
		{"NTLM is as old as Kerberos there", week + `3s every 24h times 6 10.0.0.5 proves 10.0.0.9 smb alice ntlm in`, ""},
		{"the user had tickets for six days, elsewhere", week + `
			3s every 24h times 6 10.0.0.6 gets 10.0.0.10 krbtgt as alice offers 18,17 ticket 18
			145h 10.0.0.7 -> 10.0.0.8:445 open
			145h 10.0.0.5 -> 10.0.0.8:445 open
			146h 10.0.0.5 proves 10.0.0.8 smb alice ntlm in`, "auth.pth 2.00"},
		{"the server lost its name: the fourth and fifth client 0.3 × 1", `
			` + eachDay(`10.0.0.1# -> 10.0.0.9:445 open`) + eachDay(`10.0.0.1# proves 10.0.0.9 smb - kerberos in`) + `
			146h every 1m times 5 10.0.0.1# proves 10.0.0.9 smb user# ntlm in from PC`, "unsaid: auth.pth 1.00, auth.pth 1.00, auth.pth 1.00, auth.pth 0.30, auth.pth 0.30"},
	} {
		all, err := scenario.Play(c.text, New(Default()))
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, f := range scenario.Latest(all) {
			said = append(said, fmt.Sprintf("%s %.2f", f.Rule.ID, f.LLR))
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
		unsaid, err := scenario.Unsaid(c.text, New(Default()))
		if err != nil {
			t.Fatal(err)
		}
		if len(unsaid) > 0 {
			said = append(said, "unsaid: "+strings.Join(unsaid, ", "))
		}
		if got := strings.Join(said, ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// eachDay tells an event of five hosts on six days.
func eachDay(event string) string {
	var b strings.Builder
	for day := range 6 {
		fmt.Fprintf(&b, "%dh every 1m times 5 %s\n", 24*day, event)
	}
	return b.String()
}

// TestBounds holds that a flood of names keeps to the bounds.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxHabits = 1024
	d := New(cfg)
	if _, err := scenario.Play(`0s every 1ms times 5000 10.0.0.5 gets 10.0.0.10 krbtgt as user# offers 18,17 ticket 18`, d); err != nil {
		t.Fatal(err)
	}
	if n := d.Evicted(); n < 3900 {
		t.Errorf("%d evicted", n)
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{}.Validate()
	if err == nil || !strings.Contains(err.Error(), "days: 0") || !strings.Contains(err.Error(), "max_habits: 0") {
		t.Errorf("%v", err)
	}
}
