package winrm

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

// TestCases holds what is said, with nats worked out by hand from the package comment.
func TestCases(t *testing.T) {
	const shell = " posts 10.0.0.9 /wsman?PSVersion=5.1 by Microsoft_WinRM_Client length 1900 status 200"
	at := func(server string) string { return strings.Replace(shell, "10.0.0.9", server, 1) }
	for _, c := range []struct{ name, text, want string }{
		{"a PowerShell session", "0s every 1s times 5 10.0.0.5" + shell, "3.00"},
		{"two requests", "0s every 1s times 2 10.0.0.5" + shell, ""},
		{"refused", "0s every 1s times 5 10.0.0.5" + strings.Replace(shell, "200", "401", 1), ""},
		{"no body: the negotiation of the log-in", "0s every 1s times 5 10.0.0.5" + strings.Replace(shell, "1900", "0", 1), ""},
		{"events forwarded", "0s every 1s times 50 10.0.0.5" + strings.Replace(shell, "/wsman?", "/wsman/SubscriptionManager/WEC?", 1), ""},
		{"an inventory", "0s every 1s times 5 10.0.0.5" + strings.Replace(shell, "?PSVersion=5.1", "", 1), "2.00"},
		{"a tool of Ruby", "0s every 1s times 5 10.0.0.5" + strings.Replace(strings.Replace(shell, "?PSVersion=5.1", "", 1), "Microsoft_WinRM_Client", "Ruby", 1), "4.00"},
		{"three servers", "0s every 1s times 3 10.0.0.5" + at("10.0.0.7") + "\n10s every 1s times 3 10.0.0.5" + at("10.0.0.8") + "\n20s every 1s times 3 10.0.0.5" + at("10.0.0.9"),
			"3.00, 3.00, 4.50"},
		{"an administrator's habit: 0.2 × 3 from the fourth day on", strings.Join([]string{
			"0s every 1s times 3 10.0.0.5" + shell, "24h every 1s times 3 10.0.0.5" + shell, "48h every 1s times 3 10.0.0.5" + shell,
			"72h every 1s times 3 10.0.0.5" + shell, "96h every 1s times 3 10.0.0.5" + shell}, "\n"), "3.00, 3.00, 3.00"},
		{"an administrator's trade: 0.4 × 3 on a server that is new, once others were reached on three days", strings.Join([]string{
			"0s every 1s times 3 10.0.0.5" + at("10.0.0.6"), "24h every 1s times 3 10.0.0.5" + at("10.0.0.7"), "48h every 1s times 3 10.0.0.5" + at("10.0.0.6"),
			"72h every 1s times 3 10.0.0.5" + shell}, "\n"), "3.00, 3.00, 3.00, 1.20"},
		{"one server of every day is no trade", strings.Join([]string{
			"0s every 1s times 3 10.0.0.5" + at("10.0.0.6"), "24h every 1s times 3 10.0.0.5" + at("10.0.0.6"), "48h every 1s times 3 10.0.0.5" + at("10.0.0.6"),
			"72h every 1s times 3 10.0.0.5" + shell}, "\n"), "3.00, 3.00, 3.00, 3.00"},
		{"an intruder with five servers: three alone, a wave of two", strings.Join([]string{
			"0s every 1s times 3 10.0.0.5" + at("10.0.0.6"), "10s every 1s times 3 10.0.0.5" + at("10.0.0.7"), "20s every 1s times 3 10.0.0.5" + at("10.0.0.8"),
			"30s every 1s times 3 10.0.0.5" + at("10.0.0.9"), "40s every 1s times 3 10.0.0.5" + at("10.0.0.10")}, "\n"), "3.00, 3.00, 4.50, 4.50"},
		{"another page", "0s every 1s times 5 10.0.0.5" + strings.Replace(shell, "/wsman", "/wsmanual", 1), ""},
	} {
		all, err := scenario.Play(c.text, New(Default()))
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, f := range scenario.Latest(all) {
			said = append(said, fmt.Sprintf("%.2f", f.LLR))
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
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestBounds holds that a flood of clients and servers keeps to the bounds.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxClients = 16
	d := New(cfg)
	const post = " /wsman by Ruby length 5 status 200"
	if _, err := scenario.Play("0s every 1ms times 200 10.0.0.5 posts 10.1.0.#"+post+"\n1s every 1ms times 200 10.2.0.# posts 10.0.0.9"+post, d); err != nil {
		t.Fatal(err)
	}
	if d.clients.Len() > 16 || d.clients.Evicted() < 180 {
		t.Errorf("%d clients, %d evicted", d.clients.Len(), d.clients.Evicted())
	}
	for _, c := range d.clients.All() {
		if len(c.servers) > maxServers {
			t.Errorf("%d servers", len(c.servers))
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{}.Validate()
	if err == nil || !strings.Contains(err.Error(), "min_nats: 0") || !strings.Contains(err.Error(), "max_clients: 0") {
		t.Errorf("%v", err)
	}
}
