package session

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

// TestCases holds what is said, with nats worked out by hand from the package comment.
func TestCases(t *testing.T) {
	const shell = " 10.0.0.5 works 10.0.0.9 ssh keys 40 for 60s"
	days := func(act string, n int) string {
		var lines []string
		for i := range n {
			lines = append(lines, fmt.Sprintf("%dh%s", 24*i, act))
		}
		return strings.Join(lines, "\n")
	}
	for _, c := range []struct{ name, text, want string }{
		{"a shell", "0s" + shell, "sess.interactive 0.70"},
		{"nine keys", "0s 10.0.0.5 works 10.0.0.9 ssh keys 9 for 60s", ""},
		{"a program that types at even gaps", "0s 10.0.0.5 works 10.0.0.9 ssh keys 40 vary 5% for 60s", ""},
		{"a shell outside", "0s 10.0.0.5 works 198.51.100.9 ssh keys 40 for 60s", ""},
		{"a log-in that failed", "0s 10.0.0.5 works 10.0.0.9 ssh keys 40 for 60s refused", ""},
		{"twice within the hour is one", "0s" + shell + "\n20m" + shell, "sess.interactive 0.70"},
		{"in the evening again", "0s" + shell + "\n5h" + shell, "sess.interactive 0.70, sess.interactive 0.70"},
		{"a habit: 0.14, not published", days(shell, 6), "sess.interactive 0.70, sess.interactive 0.70, sess.interactive 0.70"},
		{"a desktop", "0s 10.0.0.5 works 10.0.0.9 rdp active 30 messages 3000 for 10m", "sess.interactive 0.70"},
		{"a desktop that was only opened", "0s 10.0.0.5 works 10.0.0.9 rdp active 3 messages 90 for 30s", ""},
		{"typed backwards to outside", "0s 10.0.0.5 works 198.51.100.9 ssh back 60 keys 4 for 5m", "sess.tunnel 4.00"},
		{"typed backwards within", "0s 10.0.0.5 works 10.0.0.9 ssh back 60 for 5m", "sess.tunnel 3.00"},
		{"from outside", "0s 198.51.100.9 works 10.0.0.9 ssh back 60 for 5m", "sess.tunnel 3.00"},
		{"a tunnel of every day: 0.8 from the fourth on", days(" 10.0.0.5 works 198.51.100.9 ssh back 60 for 5m", 5), "sess.tunnel 4.00, sess.tunnel 4.00, sess.tunnel 4.00, sess.tunnel 0.80, sess.tunnel 0.80"},
		{"a few backwards among many", "0s 10.0.0.5 works 198.51.100.9 ssh back 16 keys 90 for 5m", ""},
		{"15 backwards", "0s 10.0.0.5 works 198.51.100.9 ssh back 15 for 5m", ""},
		{"news that a program confirms", "0s 10.0.0.5 works 198.51.100.9 ssh back 60 alike 40% for 5m", ""},
		{"a picture drawn at even gaps", "0s 10.0.0.5 works 198.51.100.9 ssh back 60 vary 20% for 5m", ""},
		{"8 MB sent: 0.7 + 3 × 0.15", "0s 10.0.0.5 works 10.0.0.9 ssh sends 8000000 messages 12 for 5s", "sess.transfer 1.15"},
		{"8 MB taken", "0s 10.0.0.5 works 10.0.0.9 ssh takes 8000000 messages 12 for 5s", "sess.transfer 1.15"},
		{"1 GB: capped", "0s 10.0.0.5 works 10.0.0.9 ssh sends 1000000000 messages 12 for 5s", "sess.transfer 2.00"},
		{"below a megabyte", "0s 10.0.0.5 works 10.0.0.9 ssh sends 999999 messages 12 for 5s", ""},
		{"as much the other way", "0s 10.0.0.5 works 10.0.0.9 ssh sends 8000000 takes 2000000 messages 12 for 5s", ""},
		{"sent outside: another rule's", "0s 10.0.0.5 works 198.51.100.9 ssh sends 8000000 messages 12 for 5s", ""},
		{"a file into a desktop", "0s 10.0.0.5 works 10.0.0.9 rdp sends 2000000 takes 9000000 messages 90 for 50s", "sess.transfer 0.85"},
		{"a screen", "0s 10.0.0.5 works 10.0.0.9 rdp takes 90000000 messages 90 for 50s", ""},
		{"scripted: 1.5 + 2.5", "0s 10.0.0.5 works 10.0.0.9 rdp struck 40 messages 77 active 1 for 14s", "sess.scripted 4.00"},
		{"a password manager in a day's work", "0s 10.0.0.5 works 10.0.0.9 rdp struck 20 messages 9000 active 3 for 20m", "sess.scripted 1.50"},
		{"15 keys", "0s 10.0.0.5 works 10.0.0.9 rdp struck 15 messages 30 active 1 for 14s", ""},
		{"restricted administration", "0s 10.0.0.5 opens 10.0.0.9 as anna restricted granted", "sess.restricted 3.00"},
		{"a server that can't", "0s 10.0.0.5 opens 10.0.0.9 as anna restricted", "sess.restricted 2.00"},
		{"a plain desktop", "0s 10.0.0.5 opens 10.0.0.9 as anna granted", ""},
		{"refused", "0s 10.0.0.5 opens 10.0.0.9 as anna restricted granted fails 5", ""},
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
			if strings.Contains(f.Message, "%!") || !strings.HasSuffix(f.Message, ".") {
				t.Errorf("%s: %q", c.name, f.Message)
			}
		}
		if got := strings.Join(said, ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestWorkers holds that findings don't depend on how many workers read.
func TestWorkers(t *testing.T) {
	const text = "0s every 7s times 40 10.0.1.# works 10.0.0.9 ssh keys 40 for 60s\n3s every 11s times 30 10.0.2.# works 198.51.100.# ssh back 30 for 60s"
	var first string
	for _, n := range []int{1, 2, 8} {
		all, err := scenario.PlayOn(n, text, New(Default()))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, f := range all {
			fmt.Fprintln(&b, f.ID(), f.Message, f.Revision)
		}
		if n == 1 {
			first = b.String()
		}
		if b.String() != first || b.Len() == 0 {
			t.Errorf("%d workers find something else", n)
		}
	}
}

// TestBounds holds that a flood of pairs keeps to the bound.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxPairs = 64
	d := New(cfg)
	if _, err := scenario.Play("0s every 1ms times 250 10.0.1.# works 10.0.0.9 ssh keys 40 for 60s", d); err != nil {
		t.Fatal(err)
	}
	if d.pairs.Len() > 64 || d.pairs.Evicted() < 180 {
		t.Errorf("%d pairs, %d evicted", d.pairs.Len(), d.pairs.Evicted())
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{}.Validate()
	if err == nil || !strings.Contains(err.Error(), "min_nats: 0") || !strings.Contains(err.Error(), "max_pairs: 0") || !strings.Contains(err.Error(), "min_bytes: 0") {
		t.Errorf("%v", err)
	}
}
