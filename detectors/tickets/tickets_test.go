package tickets

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

// TestCases holds what is said, with nats worked out by hand from the package comment.
func TestCases(t *testing.T) {
	const asks = "0s 10.0.0.4 gets 10.0.0.10 krbtgt as carol offers 18,17,23 ticket 0 noproof\n"
	const had = `0s every 1m times 3 10.0.0.5 gets 10.0.0.10 krbtgt as user# offers 18,17,23 ticket 0 key 18
`
	for _, c := range []struct{ name, text, want, techniques string }{
		{"one RC4 ticket", `0s 10.0.0.5 gets 10.0.0.10 http/web as alice offers 18,17,23 ticket 23`, "auth.roast 1.00", "T1558.003"},
		{"the same one again and again", `0s every 1m times 50 10.0.0.5 gets 10.0.0.10 http/web as alice offers 18,17,23 ticket 23`, "auth.roast 1.00", "T1558.003"},
		{"five services: 3 + 0.5 (5-3)", `0s every 1s times 5 10.0.0.5 gets 10.0.0.10 mssql/db# as alice offers 18,17,23 ticket 23`, "auth.roast 4.00", "T1558.003"},
		{"five services, RC4 alone by a client of AES: 1.5 more", `
			0s 10.0.0.5 gets 10.0.0.10 krbtgt as alice offers 18,17,23 ticket 18
			10s every 1s times 5 10.0.0.5 gets 10.0.0.10 mssql/db# as alice offers 23 ticket 23`, "auth.roast 5.50", "T1558.003"},
		{"five services in five hours: one at a time", `0s every 61m times 5 10.0.0.5 gets 10.0.0.10 mssql/db# as alice offers 18,17,23 ticket 23`,
			"auth.roast 1.00, auth.roast 1.00, auth.roast 1.00, auth.roast 1.00, auth.roast 1.00", ""},
		{"many AES tickets", `0s every 1s times 50 10.0.0.5 gets 10.0.0.10 cifs/server# as alice offers 18,17,23 ticket 18`, "", ""},
		{"an old client in an old realm", `
			0s 10.0.0.5 gets 10.0.0.10 krbtgt as alice offers 23,3 ticket 23
			1s every 1s times 10 10.0.0.5 gets 10.0.0.10 cifs/server# as alice offers 23,3 ticket 23`, "", ""},
		{"machine accounts", `0s every 1s times 10 10.0.0.5 gets 10.0.0.10 server#$ as alice offers 18,23 ticket 23`, "", ""},
		{"an old service that everybody gets: the fourth client and on 0.3", `0s every 1m times 10 10.0.0.1# gets 10.0.0.10 http/copier as alice offers 18,23 ticket 23`,
			"auth.roast 1.00, auth.roast 1.00, auth.roast 1.00", ""},
		{"an account without pre-authentication", asks + `1m 10.0.0.5 gets 10.0.0.10 krbtgt as bob offers 18,23 ticket 18 noproof`, "auth.roast 4.00", "T1558.004"},
		{"three of them, RC4 alone", asks + `1m every 1s times 3 10.0.0.5 gets 10.0.0.10 krbtgt as bob# offers 23 ticket 18 noproof`, "auth.roast 7.00", "T1558.004"},
		{"a realm that never asks: 0.3 × 4", `1m 10.0.0.5 gets 10.0.0.10 krbtgt as bob offers 18,23 ticket 18 noproof`, "unsaid: auth.roast 1.20", ""},
		{"the same old program every day: 0.2 × 4 from the fourth on", asks + `1m every 24h times 6 10.0.0.5 gets 10.0.0.10 krbtgt as bob offers 18,23 ticket 18 noproof`,
			"auth.roast 4.00, auth.roast 4.00, auth.roast 4.00", ""},
		{"log-in with RC4 alone in a realm of AES", `0s 10.0.0.5 gets 10.0.0.10 krbtgt as alice offers 23 ticket 18`, "auth.downgrade 1.50", "T1550.002"},
		{"by a host that offered AES", `
			0s 10.0.0.5 gets 10.0.0.10 krbtgt as alice offers 18,17,23 ticket 18
			1m 10.0.0.5 gets 10.0.0.10 krbtgt as admin offers 23 ticket 18`, "auth.downgrade 3.50", "T1550.002"},
		{"log-in with RC4 alone where there is no AES", `0s 10.0.0.5 gets 10.0.0.10 krbtgt as alice offers 23 ticket 23`, "", ""},
		{"a key distribution centre gives AES up for three accounts: 3 × 1.5", had + `
			1h 10.0.0.5 gets 10.0.0.10 krbtgt as user0 offers 18,17,23 ticket 0 key 23
			2h 10.0.0.5 gets 10.0.0.10 krbtgt as user1 offers 18,17,23 ticket 0 key 23
			2h 10.0.0.5 gets 10.0.0.10 krbtgt as user1 offers 18,17,23 ticket 18 key 23
			3h 10.0.0.6 gets 10.0.0.10 krbtgt as user2 offers 18,17,23 ticket 18 key 23`, "auth.downgrade 4.50", "T1556.001"},
		{"one account whose password a tool set", had + `1h every 24h times 2 10.0.0.5 gets 10.0.0.10 krbtgt as user0 offers 18,17,23 ticket 0 key 23`, "auth.downgrade 1.50", "T1556.001"},
		{"accounts that never had AES", had + `1h every 1m times 9 10.0.0.5 gets 10.0.0.10 krbtgt as old# offers 18,17,23 ticket 0 key 23`, "", ""},
		{"a client that offers RC4 alone is told of RC4 alone", had + `1h every 1m times 3 10.0.0.5 gets 10.0.0.10 krbtgt as user# offers 23 ticket 0 key 23`, "", ""},
		{"a machine", `0s 10.0.0.5 gets 10.0.0.10 krbtgt as oldbox$ offers 23 ticket 18`, "", ""},
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
			if c.techniques != "" && f.Techniques[0].ID != c.techniques {
				t.Errorf("%s: %v", c.name, f.Techniques)
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

// TestOrphans holds what is told the correlation of tickets without a log-in.
func TestOrphans(t *testing.T) {
	// sixty people log in each morning and get a ticket
	days := func(n int) string {
		text := "0s every 1s times 60 10.0.1.# -> 10.0.0.10:88 open\n"
		for day := range n {
			text += fmt.Sprintf("%dh every 1s times 60 10.0.1.# gets 10.0.0.10 krbtgt as user# offers 18,17 ticket 18\n", 24*day)
			text += fmt.Sprintf("%dh every 1s times 60 10.0.1.# gets 10.0.0.10 cifs/files as user# offers 18,17 ticket 18\n", 24*day+1)
		}
		return text
	}
	for _, c := range []struct{ name, text, want string }{
		{"a ticket of somebody else", days(3) + `50h 10.0.1.5 gets 10.0.0.10 cifs/files as admin offers 18,17 ticket 18`, "auth.ticket 1.50"},
		{"by a host from which nobody logs in", days(3) + "49h 10.0.2.9 -> 10.0.0.10:88 open\n" + `50h 10.0.2.9 gets 10.0.0.10 cifs/files as admin offers 18,17 ticket 18`, "auth.ticket 0.70"},
		{"everybody as each day", days(4), ""},
		{"renewed in time", days(3) + `
			56h 10.0.1.5 gets 10.0.0.10 krbtgt/EXAMPLE.NET as user5 offers 18,17 ticket 18
			64h 10.0.1.5 gets 10.0.0.10 cifs/files as user5 offers 18,17 ticket 18`, ""},
		{"where log-ins are not all seen", days(3) + `50h every 1s times 20 10.0.1.# gets 10.0.0.10 cifs/files as other# offers 18,17 ticket 18`,
			"auth.ticket 1.50, auth.ticket 1.50, auth.ticket 1.50, auth.ticket 1.50"}, // four of 120 + 4, then silence
		{"in the first day", `1h 10.0.1.5 gets 10.0.0.10 cifs/files as admin offers 18,17 ticket 18`, ""},
	} {
		unsaid, err := scenario.Unsaid(c.text, New(Default()))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(unsaid, ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestBounds holds that a flood of clients and services keeps to the bounds.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxClients = 16
	d := New(cfg)
	if _, err := scenario.Play(`
		0s every 1ms times 500 10.0.0.5 gets 10.0.0.10 http/web# as alice offers 18,23 ticket 23
		3s every 1ms times 200 10.1.0.# gets 10.0.0.10 http/web as alice offers 18,23 ticket 23`, d); err != nil {
		t.Fatal(err)
	}
	if d.clients.Len() > 16 || d.clients.Evicted() < 180 {
		t.Errorf("%d clients, %d evicted", d.clients.Len(), d.Evicted())
	}
	for _, c := range d.clients.All() {
		if len(c.services) > maxServices {
			t.Errorf("%d services", len(c.services))
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{MinNats: 10}.Validate()
	if err == nil || !strings.Contains(err.Error(), "min_nats: 10") || !strings.Contains(err.Error(), "max_clients: 0") {
		t.Errorf("%v", err)
	}
}
