package sealed

import (
	"math"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows/script"
	"neuromast/flows"
)

const (
	client = "10.0.0.5"
	server = "10.0.1.7"
)

func ids(f *detectors.Finding) string {
	var out []string
	for _, t := range f.Techniques {
		out = append(out, t.ID)
	}
	return strings.Join(out, " ")
}

func told(s *script.Script, at time.Duration, x flows.Sealed) {
	s.SMB(at, client, server, flows.SMBSealed, script.File{SMB: flows.SMB{Sealed: x}, Path: "184/80 113/148", User: `LAB\eve`})
}

// TestWeights holds weights against those worked out by hand.
func TestWeights(t *testing.T) {
	sec := func(n int) time.Duration { return time.Duration(n) * time.Second }
	for _, tt := range []struct {
		name  string
		facts func(*script.Script)
		rule  string
		nats  float64
		ids   string
		says  string
	}{
		{"five calls", func(s *script.Script) { told(s, 0, flows.Sealed{Calls: 5}) }, "rpc.sealed", 1, "T1087.002", "5 remote procedure calls"},
		{"a domain walked into in four calls", func(s *script.Script) { told(s, 0, flows.Sealed{Calls: 4, Domains: 1}) }, "rpc.sealed", 1, "T1087.002", "an account domain was looked up"},
		{"nine calls, the domain and the built-in one: 1 + 0.3 + 0.3", func(s *script.Script) {
			told(s, 0, flows.Sealed{Calls: 9, Domains: 1})
			told(s, sec(1), flows.Sealed{Calls: 8, Builtin: 1})
		}, "rpc.sealed", 1.6, "T1087.002 T1069.001", "17 remote procedure calls"},
		{"local groups alone", func(s *script.Script) { told(s, 0, flows.Sealed{Calls: 6, Builtin: 1}) }, "rpc.sealed", 1.3, "T1069.001", "list local groups"},
		{"a file, then three calls", func(s *script.Script) {
			told(s, 0, flows.Sealed{Wrote: 20000})
			told(s, sec(8), flows.Sealed{Wrote: 20000, Calls: 3})
		}, "smb.sealed", 2, "T1021.002 T1570", "wrote 20 kB to files"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s script.Script
			tt.facts(&s)
			got := s.Play(New(Default()))
			if len(got) != 1 {
				t.Fatalf("%d findings, want 1", len(got))
			}
			f := got[0]
			if f.Rule.ID != tt.rule || math.Abs(f.LLR-tt.nats) > 1e-9 || ids(f) != tt.ids || !strings.Contains(f.Message, tt.says) {
				t.Errorf("%s weighs %v, %s: %s", f.Rule.ID, f.LLR, ids(f), f.Message)
			}
			if f.Actor.Addr != script.Addr(client) || f.Target.Addr != script.Addr(server) || len(f.Conns) == 0 || len(f.Refs) == 0 || f.Filter == "" || f.Counterfactual == "" {
				t.Errorf("it does not explain itself: %+v", f)
			}
			var sum float64
			for _, e := range f.Evidence {
				sum += e.Nats
			}
			if math.Abs(sum-f.LLR) > 0.02 || detectors.Risk(f.LLR) >= 47 {
				t.Errorf("evidence sums to %v of %v, risk %v", sum, f.LLR, detectors.Risk(f.LLR))
			}
		})
	}
}

// TestQuiet: file browsers, log-ons, copies, and what a client does every day.
func TestQuiet(t *testing.T) {
	sec, day := func(n int) time.Duration { return time.Duration(n) * time.Second }, 24*time.Hour
	for name, facts := range map[string]func(*script.Script){
		"shares are listed": func(s *script.Script) {
			for i := range 20 {
				told(s, sec(i), flows.Sealed{Calls: 1 + uint32(i%2)})
			}
		},
		"SIDs are looked up": func(s *script.Script) { told(s, 0, flows.Sealed{Calls: 3}); told(s, sec(5), flows.Sealed{Calls: 4}) },
		"a file, and the shares are listed after": func(s *script.Script) {
			told(s, 0, flows.Sealed{Wrote: 5 << 20})
			told(s, sec(2), flows.Sealed{Wrote: 5 << 20, Calls: 2})
		},
		"a file, and calls two minutes later": func(s *script.Script) {
			told(s, 0, flows.Sealed{Wrote: 5 << 20})
			told(s, sec(120), flows.Sealed{Wrote: 5 << 20, Calls: 4})
		},
		"a small file before calls": func(s *script.Script) {
			told(s, 0, flows.Sealed{Wrote: 4096})
			told(s, sec(1), flows.Sealed{Wrote: 4096, Calls: 4})
		},
		"files are read and summed up": func(s *script.Script) { told(s, 0, flows.Sealed{Read: 1 << 30, Exchanges: 9000}) },
	} {
		var s script.Script
		facts(&s)
		for _, f := range s.Play(New(Default())) {
			t.Errorf("%s: %s %v %s", name, f.Rule.ID, f.LLR, f.Message)
		}
	}
	var s script.Script
	for i := range 10 {
		told(&s, time.Duration(i)*day, flows.Sealed{Calls: 9, Domains: 1})
	}
	if n := len(s.Play(New(Default()))); n != 3 {
		t.Errorf("a daily habit is said %d times, want on its first 3 days", n)
	}
}

// TestBound: more pairs than there is room for push the oldest out, counted.
func TestBound(t *testing.T) {
	cfg := Default()
	cfg.MaxPairs = 16
	d := New(cfg)
	var s script.Script
	for i := range 200 {
		s.SMB(time.Duration(i), "10.0.0.5", "10.0."+string(rune('1'+i%9))+"."+string(rune('1'+i/9%9)), flows.SMBSealed, script.File{SMB: flows.SMB{Sealed: flows.Sealed{Calls: 5}}})
	}
	s.Play(d)
	if d.pairs.Evicted() == 0 || d.pairs.Len() > 16 {
		t.Errorf("%d pairs, %d evicted", d.pairs.Len(), d.pairs.Evicted())
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("four wrong fields: %v", err)
	}
}
