package dnsinfo

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

func play(t *testing.T, text string) []*detectors.Finding {
	t.Helper()
	said, err := scenario.Play(text, New(Default()))
	if err != nil {
		t.Fatal(err)
	}
	return scenario.Latest(said)
}

func messages(fs []*detectors.Finding) (out []string) {
	for _, f := range fs {
		out = append(out, f.Message)
	}
	return out
}

// TestByHand: 32 different names of 100 bytes (t, and 99 of hexadecimal) are 3,200 bytes exactly. Against 2,000 in ten
// minutes: size 1.2 ln 1.6 = 0.564; all different +1; all but two of a hundred bytes in encoded labels +1.5; TXT +1;
// nobody connects +1; one client +1: 6.064 nats.
func TestByHand(t *testing.T) {
	got := play(t, "0s every 2s times 32 10.0.0.5 asks 10.0.0.53 TXT {hex49}.{hex50}.t.example.co.uk = x")
	if len(got) != 1 {
		t.Fatalf("%d findings, want 1", len(got))
	}
	f := got[0]
	if want := 1.2*math.Log(1.6) + 5.5; math.Abs(f.LLR-want) > 1e-9 {
		t.Errorf("weight %v, want %v", f.LLR, want)
	}
	if f.Domain != "example.co.uk" || f.Actor.Addr.String() != "10.0.0.5" || f.WindowStart != scenario.Start {
		t.Errorf("%v -> %s, window %v", f.Actor, f.Domain, f.WindowStart)
	}
	if e := f.Evidence[0]; e.Value != 3200 || e.Threshold != "2 kB" || e.Nats != 0.56 {
		t.Errorf("first evidence %+v", e)
	}
	// 6.064 - 3 = 3.064 is more than the size gives: only the bound silences it.
	if want := "Below 2 kB in 10 minutes nothing would have been said; the other reasons weigh enough at any size above."; f.Counterfactual != want {
		t.Errorf("counterfactual %q", f.Counterfactual)
	}
	if want := `ip.addr == 10.0.0.5 && dns.qry.name contains "example.co.uk"`; f.Filter != want {
		t.Errorf("filter %q", f.Filter)
	}
	if !strings.HasPrefix(f.Message, "10.0.0.5 sent 3.2 kB of names to example.co.uk in 62 s by 32 questions (32 TXT): 32 different names, ") {
		t.Errorf("message %q", f.Message)
	}
}

func TestPositive(t *testing.T) {
	for _, tt := range []struct{ name, text, actor, domain, techniques string }{
		{
			"tunnel under no public suffix", "0s every 100ms times 200 10.0.0.5 asks 192.0.2.1 NULL {b32-60}.pirate.sea = {b32-200}",
			"10.0.0.5", "pirate.sea", "T1071.004 T1572 T1048.003",
		},
		{
			"exfiltration by questions that are never answered", "0s every 10s times 100 10.0.0.5 asks 10.0.0.53 A {hex40}.t.example.com",
			"10.0.0.5", "example.com", "T1071.004 T1048.003",
		},
		{
			"short names, slowly", "0s every 10m times 140 10.0.0.5 asks 10.0.0.53 KEY {b32-50}.t.example.com",
			"10.0.0.5", "example.com", "T1071.004 T1048.003",
		},
		{
			"payload in answers to plain names", "0s every 500ms times 14 10.0.0.5 asks 10.0.0.53 TXT l.#.ns.example.pl = {b32-250}",
			"10.0.0.5", "example.pl", "T1071.004",
		},
		{
			"resolver and client both seen", `0s every 1s times 100 10.0.0.5 asks 10.0.0.53 TXT {hex50}.t.example.com = x
			0s every 1s times 100 10.0.0.53 asks 192.0.2.1 TXT {hex50}.t.example.com = x iterative`,
			"10.0.0.5", "example.com", "T1071.004 T1048.003",
		},
		{
			"a tunnel's server that does not copy RD", "0s every 1s times 100 10.0.0.5 asks 192.0.2.1 TXT {hex50}.t.example.com = x iterative",
			"10.0.0.5", "example.com", "T1071.004 T1048.003",
		},
		{
			"behind a resolver", `0s every 1s times 4 10.0.0.53 asks 198.51.100.# A www.example.org = 192.0.2.7 iterative
			9s every 1s times 200 10.0.0.53 asks 192.0.2.1 TXT {hex50}.t.example.com = x iterative`,
			"10.0.0.53", "example.com", "T1071.004 T1048.003",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := play(t, tt.text)
			if len(got) != 1 {
				t.Fatalf("%d findings, want 1: %v", len(got), messages(got))
			}
			f := got[0]
			if f.Actor.Addr.String() != tt.actor || f.Domain != tt.domain {
				t.Errorf("%v -> %s", f.Actor.Addr, f.Domain)
			}
			var ids []string
			for _, q := range f.Techniques {
				ids = append(ids, q.ID)
			}
			if strings.Join(ids, " ") != tt.techniques {
				t.Errorf("techniques %v, want %s", ids, tt.techniques)
			}
			if detectors.Risk(f.LLR) < 47 {
				t.Errorf("risk %v", detectors.Risk(f.LLR))
			}
			if f.Counterfactual == "" || f.Filter == "" || len(f.LookAlikes) == 0 || len(f.NextSteps) == 0 || len(f.Conns) == 0 || len(f.Refs) == 0 {
				t.Errorf("the finding does not explain itself: %+v", f)
			}
		})
	}
}

func TestQuiet(t *testing.T) {
	for name, text := range map[string]string{
		"a crawl of thousands of domains":    "0s every 1s times 4000 10.0.0.5 asks 10.0.0.53 A www.{b32-10}#.com = 198.51.100.7",
		"one name over and over":             "0s every 2h times 40 10.0.0.5 asks 10.0.0.53 TXT 2.securedns.vendor.example = {b32-60}",
		"sessions of a content network":      "0s every 2s times 250 10.0.0.5 asks 10.0.0.53 A r#.sn-{b32-12}.cdn.example.net = 198.51.100.#\n1s every 2s times 250 10.0.0.5 -> 198.51.100.#:443 open",
		"a mail server's DNSBL":              "0s every 1s times 250 10.0.0.25 asks 10.0.0.53 A #.113.0.203.zen.example.org nx\n0s every 3s times 250 10.0.0.25 asks 10.0.0.53 TXT #.100.51.198.bl.example.net nx",
		"a reputation service by hash":       "0s every 1s times 250 10.0.0.5 asks 10.0.0.53 A {hex32}.avqs.example.com = 127.0.0.4",
		"a search list":                      "0s every 1s times 900 10.0.0.5 asks 10.0.0.53 A www.{word}-{word}-#.com.corp.example.net nx",
		"an inventory of internal hosts":     "0s every 1s times 900 10.0.0.5 asks 10.0.0.53 A ws-#.emea.corp.example.net = 10.1.2.3",
		"reverse look-ups":                   "0s every 1s times 250 10.0.0.5 asks 10.0.0.53 PTR #.1.0.10.in-addr.arpa = ws-#.corp.example.net",
		"keys of a signed zone":              "0s every 1s times 500 10.0.0.53 asks 192.0.2.1 DNSKEY z#.example.com = {b32-250} iterative",
		"a secure update's negotiation":      "0s every 1s times 3 10.0.0.5 asks 10.0.0.53 TKEY #-ms-7.1-1d2e.{hex32}.corp.example.net = {b32-3000}",
		"just below the bound":               "0s every 1s times 19 10.0.0.5 asks 10.0.0.53 TXT {hex50}.{hex50}.t.example.com nx",
		"names of words, answered elsewhere": "0s every 20s times 60 10.0.0.5 asks 10.0.0.53 A {word}.{word}.example.com = 198.51.100.#",
	} {
		t.Run(name, func(t *testing.T) {
			if got := play(t, text); len(got) != 0 {
				t.Errorf("said: %v", messages(got))
			}
		})
	}
}

func TestGrowth(t *testing.T) {
	said, err := scenario.Play("0s every 2s times 5000 10.0.0.5 asks 10.0.0.53 TXT {hex60}.t.example.com = x", New(Default()))
	if err != nil {
		t.Fatal(err)
	}
	if len(said) > 8 {
		t.Errorf("%d records: %v", len(said), messages(said))
	}
	last := said[len(said)-1]
	if v := last.Evidence[0].Value; math.Abs(v-5000*61) > 0.1*5000*61 {
		t.Errorf("%v bytes in the last record, want about 305,000", v)
	}
}

func TestWorkersDontMatter(t *testing.T) {
	const text = `0s every 70ms times 300 10.0.0.5 asks 10.0.0.53 TXT {hex60}.t.example.com = {hex20}
		0s every 90ms times 300 10.0.0.6 asks 10.0.0.53 CNAME {b32-60}.t.example.net = {hex20}.example.net
		0s every 130ms times 250 10.0.0.7 asks 10.0.0.53 A {b32-60}.cdn.example.org = 198.51.100.#`
	var want []*detectors.Finding
	for _, workers := range []int{1, 3, 8} {
		got, err := scenario.PlayOn(workers, text, New(Default()))
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if len(got) < 4 || !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers: %d records, want %d", workers, len(got), len(want))
		}
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		wire, domain, below string
		labels              int
		ok                  bool
	}{
		{"\x03www\x07example\x03com\x00", "example.com", "\x03www", 1, true},
		{"\x07example\x03com\x00", "example.com", "", 0, true},
		{"\x01a\x01b\x07example\x02co\x02uk\x00", "example.co.uk", "\x01a\x01b", 2, true},
		{"\x01a\x06pirate\x03sea\x00", "pirate.sea", "\x01a", 1, true},
		{"\x01a\x04corp\x09localhome\x00", "corp.localhome", "\x01a", 1, true},
		{"\x01a\x06github\x02io\x00", "a.github.io", "", 0, true}, // a private suffix
		{"\x03WWW\x07Example\x03COM\x00", "example.com", "\x03WWW", 1, true},
		{"\x03a.b\x07example\x03com\x00", "example.com", "\x03a.b", 1, true}, // a dot inside a label is no cut
		{"\x07exa.com\x03com\x00", "exa?com.com", "", 0, true},
		{"\x03com\x00", "", "", 0, false},
		{"\x02co\x02uk\x00", "", "", 0, false}, // a public suffix itself
		{"\x00", "", "", 0, false},
		{"", "", "", 0, false},
		{"\x05ab", "", "", 0, false}, // runs past the end
		{"\x011\x0210\x07in-addr\x04arpa\x00", "", "", 0, false},
		{"\x04host\x05local\x00", "", "", 0, false},
	} {
		n, _, ok := split([]byte(tt.wire), nil)
		if ok != tt.ok || n.domain != tt.domain || string(n.below) != tt.below || n.labels != tt.labels {
			t.Errorf("split(%q) = %q below %q, %d labels, %v", tt.wire, n.domain, n.below, n.labels, ok)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("\x03www\x07example\x03com\x00"))
	f.Add([]byte("\x05ab"))
	f.Add([]byte("\x01\x00\x01.\x02co\x02uk\x00"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		n, _, ok := split(wire, nil)
		if !ok {
			return
		}
		if len(n.below) > len(wire) || n.size() < 0 || n.domain == "" || strings.Trim(n.domain, ".") != n.domain {
			t.Fatalf("split(%q) = %+v", wire, n)
		}
		labels := 0
		each(n.below, func([]byte) { labels++ })
		if labels != n.labels {
			t.Fatalf("%d labels below, said %d", labels, n.labels)
		}
		n.isLookup()
		n.isExpansion()
		var l letters
		l.add(&n, &bigrams{})
		if s := l.share(); s < 0 || s > 1 {
			t.Fatalf("share %v", s)
		}
	})
}

func TestLooksEncoded(t *testing.T) {
	for label, want := range map[string]bool{
		"762b01fdf52532417d": true, "jhr4gkq2mzxw6ytb": true, "05e100a621c36200": true, "\xaa\xbb\xcc\xdd\xee\xff\x00\x01\x02\x03\x04\x05": true,
		"kqxwzbtrplmnhgfd": true,
		"autodiscover":     false, "enterpriseregistration": false, "static-cdn": false, "ec2-198-51-100-7": false,
		"internationalization": false, "deadbeef": false, "ws-000001": false, "clientconfiguration2024": false,
	} {
		if got := looksEncoded([]byte(label)); got != want {
			t.Errorf("looksEncoded(%q) = %v", label, got)
		}
	}
}

func TestIsLookup(t *testing.T) {
	for text, want := range map[string]bool{
		"\x014\x013\x012\x011": true, "\x03255\x03168\x011\x0210": true, "\x03256\x011\x011\x011": false, "\x011\x012\x013": false,
		strings.Repeat("\x01a", 32): true, "\x011\x012\x013\x014\x03zen": true, "\x0211\x03www": false, strings.Repeat("\x01a", 31): false,
	} {
		n := name{below: []byte(text)}
		if got := n.isLookup(); got != want {
			t.Errorf("isLookup(%q) = %v", text, got)
		}
	}
}

// TestBigrams teaches the model plain names: random ones cost more, and it does not judge before it knows enough.
func TestBigrams(t *testing.T) {
	var m bigrams
	var words letters
	for i := range learnNames {
		l := []byte(strings.Repeat([]string{"static", "images", "mail", "login", "store", "media"}[i%6], 1+i%3))
		n := name{below: append([]byte{byte(len(l))}, l...), labels: 1}
		if m.ready() {
			t.Fatal("ready too early")
		}
		m.learn(&n)
		words.add(&n, &m)
	}
	random := letters{}
	n := name{below: []byte("\x14qzkxvbwjqpzxkvqwjxzb"), labels: 1}
	random.add(&n, &m)
	high, ok := random.excess(&m)
	low, _ := words.excess(&m)
	if !ok || high < 1 || math.Abs(low) > 1 || high < low+2 {
		t.Errorf("random names cost %.2f bits more, words %.2f; %v", high, low, ok)
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default is not valid: %v", err)
	}
	err := Config{}.Validate()
	for _, field := range []string{"minutes", "day", "month", "min_llr", "max_pairs"} {
		if err == nil || !strings.Contains(err.Error(), field+":") {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
}

// TestPairsAreBounded floods with domains: the tunnel among them is still found.
func TestPairsAreBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxPairs = 64
	d := New(cfg)
	said, err := scenario.Play(`0s every 10ms times 3000 10.0.0.5 asks 10.0.0.53 TXT x.{b32-12}#.com nx
		1s every 100ms times 29 10.0.0.6 asks 10.0.0.53 TXT {hex50}.{hex50}.t.example.com nx`, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(said) == 0 || said[0].Actor.Addr.String() != "10.0.0.6" {
		t.Errorf("the tunnel was pushed out: %v", messages(said))
	}
	if d.pairs.Len() > 64 || d.pairs.Evicted() < 2900 {
		t.Errorf("%d pairs, %d evicted", d.pairs.Len(), d.pairs.Evicted())
	}
}

// BenchmarkTunnel measures a question of a tunnel at work: the dearest there is. Feeding and parsing of the text are part
// of it. Run: go test -run=- -bench=Tunnel ./detectors/dnsinfo
func BenchmarkTunnel(b *testing.B) {
	for b.Loop() {
		if _, err := scenario.Play("0s every 10ms times 10000 10.0.0.5 asks 10.0.0.53 TXT {hex60}.t.example.com = {hex100}", New(Default())); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10000, "ns/question")
}
