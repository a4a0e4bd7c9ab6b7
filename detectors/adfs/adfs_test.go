package adfs

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

// TestCases holds what is said, with nats worked out by hand from the package comment.
func TestCases(t *testing.T) {
	const read = " 10.0.0.5 posts 10.0.0.9 /adfs/services/policystoretransfer by PowerShell length 1900 status 200"
	daily := func(days int) string {
		var out []string
		for i := range days {
			out = append(out, fmt.Sprintf("%dh every 5m times 24%s", 24*i, read))
		}
		return strings.Join(out, "\n")
	}
	for _, c := range []struct{ name, text, want string }{
		{"a workstation reads it", "0s every 300ms times 3" + read, "5.00"},
		{"refused", "0s every 300ms times 3" + strings.Replace(read, "status 200", "status 403", 1), "3.00"},
		{"only the log-in", "0s" + strings.Replace(read, "status 200", "status 401", 1), ""},
		{"another service", "0s" + strings.Replace(read, "policystoretransfer", "trust/mex", 1), ""},
		{"a server of the farm, every five minutes", "0s every 5m times 100" + read, "1.50"},
		{"and on the fourth day it is silent", daily(6), "1.50, 1.50, 1.50"},
		{"in other letters, with a question", "0s" + strings.Replace(read, "policystoretransfer", "PolicyStoreTransfer?a", 1), "5.00"},
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

// TestBounds holds that a flood of clients keeps to the bounds.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxPairs = 16
	d := New(cfg)
	if _, err := scenario.Play("0s every 1ms times 200 10.1.0.# posts 10.0.0.9 /adfs/services/policystoretransfer by A length 1 status 200", d); err != nil {
		t.Fatal(err)
	}
	if d.readers.Len() > 16 || d.readers.Evicted() < 180 {
		t.Errorf("%d pairs, %d evicted", d.readers.Len(), d.readers.Evicted())
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{}).Validate(); err == nil || !strings.Contains(err.Error(), "min_nats: 0") || !strings.Contains(err.Error(), "max_pairs: 0") {
		t.Errorf("%v", err)
	}
}
