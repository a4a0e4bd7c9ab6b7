package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"

	"neuromast/detectors"
	"neuromast/detectors/incident"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

var update = flag.Bool("update", false, "rewrite golden files")

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

func host(s string) detectors.HostKey { return detectors.HostKey{Addr: addr(s)} }

var t0 = packet.TimeOf(time.Date(2024, 5, 14, 9, 12, 1, 0, time.UTC))

var (
	scan = &detectors.Rule{ID: "scan.trw", Name: "Scan of internal hosts", Stage: detectors.StageDiscovery}
	exec = &detectors.Rule{ID: "smb.exec", Name: "Service created and started on another host", Stage: detectors.StageLateral}
	exfl = &detectors.Rule{ID: "exfil.slow", Name: "Slow upload to a rare destination", Stage: detectors.StageExfiltration}
)

// intrusion is three steps of one attack and a note about somebody else.
func intrusion() []*detectors.Finding {
	steps := []string{
		"Ask who used CORP\\alice on ws-042 at that time; reset the account if nobody did.",
		"Isolate 10.0.0.5 and keep its memory.",
		"Look for the service's file on dc01.",
	}
	list := []*detectors.Finding{
		{
			Rule: scan, Actor: host("10.0.0.5"), Start: t0.Add(time.Minute), End: t0.Add(2 * time.Minute), LLR: 4.2,
			Message:    "10.0.0.5 tried 84 internal hosts on port 445 in 41 s; 79 did not answer or refused.",
			Techniques: []detectors.Technique{{ID: "T1046", Name: "Network Service Discovery", Tactic: "TA0007"}},
			Evidence: []detectors.Evidence{
				{Measure: "hosts that did not answer or refused", Value: 79, Unit: "hosts", Baseline: "none", Threshold: "6", Nats: 4.2},
			},
			LookAlikes: []string{"A vulnerability scanner does the same from a known host, on a schedule."},
			Filter:     "ip.src == 10.0.0.5 && tcp.dstport == 445 && tcp.flags.syn == 1", NextSteps: []string{"See what 10.0.0.5 did next."},
		},
		{
			Rule: exec, Actor: host("10.0.0.5"), Target: host("10.0.0.9"), Start: t0.Add(3 * time.Minute), End: t0.Add(3*time.Minute + 4*time.Second),
			LLR: 9.3, Users: []string{`CORP\alice`},
			Message: "10.0.0.5 created and started service PSEXESVC on 10.0.0.9 (dc01) as CORP\\alice, 2 s after it wrote " +
				"PSEXESVC.exe (187 kB) to ADMIN$; no host here was seen to do so before.",
			Techniques: []detectors.Technique{
				{ID: "T1569.002", Name: "Service Execution", Tactic: "TA0002"}, {ID: "T1021.002", Name: "SMB/Windows Admin Shares", Tactic: "TA0008"},
			},
			Evidence: []detectors.Evidence{
				{Measure: "bytes of executables written to ADMIN$", Value: 187392, Unit: "bytes", Baseline: "none in 12 days", Threshold: "1", Nats: 2.3},
				{Measure: "services created and started", Value: 1, Unit: "service", Baseline: "none in 12 days", Threshold: "1", Nats: 7},
			},
			Counterfactual: "Had 10.0.0.5 created services on dc01 before, the weight were 3.1 and the risk 48.",
			LookAlikes: []string{
				"Software deployment creates services too: from a server that does so daily, under names that recur.",
				"An administrator with PsExec: from an administrator's machine.",
			},
			Filter: "ip.addr == 10.0.0.5 && ip.addr == 10.0.0.9 && (svcctl || smb2.filename contains \"PSEXESVC\")", NextSteps: steps,
			Conns: []flows.Conn{{Orig: addr("10.0.0.5"), Resp: addr("10.0.0.9"), OrigPort: 50123, RespPort: 445, Proto: packet.ProtoTCP}},
			Over:  true, State: detectors.StateClose, Quality: detectors.Quality{BaselineDays: 12, LostBytes: 1460},
		},
		{
			Rule: exec, Actor: host("10.0.0.5"), Target: host("10.0.0.10"), Start: t0.Add(5 * time.Minute), End: t0.Add(5 * time.Minute), LLR: 8,
			Message: "10.0.0.5 created and started service PSEXESVC on 10.0.0.10.",
		},
		{
			Rule: exfl, Actor: host("10.0.0.9"), Target: host("203.0.113.77"), Domain: "files.example", Start: t0.Add(10 * time.Minute),
			End: t0.Add(150 * time.Minute), LLR: 6.5,
			Message:    "10.0.0.9 sent 212 MB to files.example (203.0.113.77) in 140 min at 25 kB/s, 31 times what it received; no other host talks to it.",
			Techniques: []detectors.Technique{{ID: "T1048", Name: "Exfiltration Over Alternative Protocol", Tactic: "TA0010"}},
			Evidence: []detectors.Evidence{
				{Measure: "bytes sent", Value: 212e6, Unit: "bytes", Baseline: "8.1 MB a day", Threshold: "40 MB", Nats: 4},
				{Measure: "share of hosts that use the destination", Value: 0.00125, Baseline: "", Threshold: "below 0.01", Nats: 2.5},
			},
			LookAlikes: []string{"A new backup destination."}, NextSteps: []string{"Ask the owner of dc01 whether files.example is known."},
			Filter: "ip.addr == 10.0.0.9 && ip.addr == 203.0.113.77",
		},
		{
			Rule: scan, Actor: host("10.0.7.7"), Start: t0.Add(20 * time.Minute), End: t0.Add(21 * time.Minute), LLR: 0.7,
			Related: []packet.Addr{addr("10.0.0.1"), addr("10.0.0.2")}, Message: "10.0.7.7 tried 2 internal hosts in vain.",
		},
	}
	for _, f := range list {
		f.At, f.WindowStart = f.End, f.Start
	}
	older := *list[1]
	older.LLR, older.Message, older.State = 5, "an older revision that must not show", detectors.StateOpen
	list[1].Revision = 1
	return append([]*detectors.Finding{&older}, list...)
}

func summary() Summary {
	return Summary{
		Packets: Packets{Read: 12345, Decoded: 12340, Anomalies: map[string]uint64{"snaplen_cut": 12, "bad_udp_len": 1}, Duplicates: 3},
		Bytes:   8_123_456, Flows: 240, OneSidedFlows: 12, DNS: 32, Rules: 21, First: t0, Last: t0.Add(155 * time.Minute),
		Findings: map[string]int{"smb.exec": 2, "scan.trw": 2, "exfil.slow": 1}, Elapsed: 400 * time.Millisecond, Truncated: true,
		Losses: map[string]uint64{"stream_bytes": 1460},
		Inputs: []Input{{Name: "intrusion.pcap", Size: 8_400_000, Digest: "ab12", Frames: 12345, Truncated: true, Damage: "ends inside frame 12346"}},
		Sensor: "Neuromast 0.1.0", Files: []string{"out/findings.jsonl", "out/flows.jsonl", "out/report.html"},
		Label: func(k detectors.HostKey) string {
			return map[packet.Addr]string{addr("10.0.0.9"): "dc01", addr("10.0.0.5"): "ws-042"}[k.Addr]
		},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run with -update and read the diff. Got:\n%s", path, got)
	}
}

func table100(t *testing.T, fs []*detectors.Finding, sum Summary, width int, color bool) string {
	t.Helper()
	var b bytes.Buffer
	if err := Findings(&b, fs, sum, width, color); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTableGolden(t *testing.T) {
	for _, width := range []int{80, 100, 120} {
		golden(t, fmt.Sprintf("table-%d.txt", width), []byte(table100(t, intrusion(), summary(), width, false)))
	}
	golden(t, "nothing.txt", []byte(table100(t, nil, summary(), 100, false)))
}

// TestColourSaysNothingNew: without its sequences the coloured table is the plain one.
func TestColourSaysNothingNew(t *testing.T) {
	plain, coloured := table100(t, intrusion(), summary(), 100, false), table100(t, intrusion(), summary(), 100, true)
	if strings.Contains(plain, "\x1b") || !strings.Contains(coloured, "\x1b[") {
		t.Fatal("colour is not where it belongs")
	}
	for _, code := range append(severityColour[:], reset, bold, dim) {
		coloured = strings.ReplaceAll(coloured, code, "")
	}
	if coloured != plain {
		t.Error("the coloured table has another text than the plain one")
	}
}

func TestOrderOfFindingsDoesNotMatter(t *testing.T) {
	fs := intrusion()
	want := table100(t, fs, summary(), 100, false)
	page := htmlOf(t, fs, summary())
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		r.Shuffle(len(fs), func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
		if table100(t, fs, summary(), 100, false) != want {
			t.Fatal("the table depends on the order of its input")
		}
		if htmlOf(t, fs, summary()) != page {
			t.Fatal("the page depends on the order of its input")
		}
	}
}

// TestOneScreen holds the table's bounds for any number of findings with any text, and that the worst one keeps its details.
func TestOneScreen(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	words := []string{"short", "漢字漢字漢字", strings.Repeat("x", 300), "\x1b[31mred\x1b[0m", "a\nb", "\xff\xfe", "🐟", "e\u0301\u0302", "\u202eevil", ""}
	text := func() string {
		var b strings.Builder
		for range r.IntN(60) {
			b.WriteString(words[r.IntN(len(words))] + " ")
		}
		return b.String()
	}
	for n := range 40 {
		var fs []*detectors.Finding
		for i := range n * n / 4 {
			fs = append(fs, &detectors.Finding{
				Rule: &detectors.Rule{ID: fmt.Sprint(i % 7), Name: text()}, Actor: host(fmt.Sprintf("10.0.%d.%d", i%5, i%(n+1))), Target: host("10.9.9.9"),
				WindowStart: packet.Time(i), LLR: r.Float64() * 12, Message: text(), Filter: text(), Domain: text(),
				Evidence: []detectors.Evidence{{Measure: text(), Baseline: text(), Value: r.Float64()}, {Measure: text()}}, LookAlikes: []string{text()},
				NextSteps: []string{text(), text(), text()},
			})
		}
		sum := summary()
		sum.Warnings = []string{text(), text(), text(), text()}
		sum.Inputs[0].Name, sum.Inputs[0].Damage = text(), text()
		for _, width := range []int{0, 1, 80, 300} {
			out := table100(t, fs, sum, width, false)
			limit := max(min(width, maxWidth), minWidth)
			if width == 0 {
				limit = defaultWidth
			}
			lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
			if len(lines) > maxLines {
				t.Fatalf("%d findings at width %d: %d lines", len(fs), width, len(lines))
			}
			for _, l := range lines {
				if columns(l) > limit {
					t.Fatalf("width %d: %d columns: %q", width, columns(l), l)
				}
				if !utf8.ValidString(l) || strings.ContainsFunc(l, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
					t.Fatalf("steers the terminal: %q", l)
				}
			}
			if len(fs) > 0 && !strings.Contains(out, " next ") && strings.TrimSpace(tell(fs).actors[0].rows[0].lead().NextSteps[0]) != "" {
				t.Fatalf("%d findings at width %d: not even the worst one says what to do next:\n%s", len(fs), width, out)
			}
		}
	}
}

func TestNothingSaysWhy(t *testing.T) {
	out := table100(t, nil, Summary{}, 100, false)
	if !strings.Contains(out, "no packets") {
		t.Errorf("an empty capture: %s", out)
	}
	out = table100(t, nil, summary(), 100, false)
	for _, want := range []string{"Nothing found", "12,345 packets", "240 flows", "21 rules", "ends inside frame 12346", "snap length"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text string
		w    int
		want []string
	}{
		{"one two three", 8, []string{"one two", "three"}},
		{"", 8, nil},
		{"   ", 8, nil},
		{"abcdefghijkl mn", 8, []string{"abcdefgh", "ijkl mn"}},
		{"漢字漢字漢字", 8, []string{"漢字漢字", "漢字"}},
		{"e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301 x", 8, []string{"e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", "x"}},
	} {
		if got := wrap(c.text, c.w); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
	if got := wrapAtMost("one two three four five", 9, 2); !slices.Equal(got, []string{"one two", "three …"}) {
		t.Errorf("got %q", got)
	}
	if got := shorten("漢字漢字", 5); got != "漢字…" {
		t.Errorf("got %q", got)
	}
}

func TestFigures(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 187392: "187,392", 0.00125: "0.00125", -2.5: "-2.5", 3.14159: "3.14", 1e18: "1e+18", math.Inf(1): "+Inf",
	} {
		if got := figure(v); got != want {
			t.Errorf("%g: got %s, want %s", v, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 8_123_456: "8.1 MB", 212e6: "212 MB", 5e15: "5000 TB"} {
		if got := size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	for llr, want := range map[float64]string{
		-1: "about as likely in an attack as without one", 1: "2.7 times as likely in an attack as without one",
		6.5: "665 times as likely in an attack as without one", 20: "over a million times as likely in an attack as without one",
	} {
		if got := odds(llr); got != want {
			t.Errorf("%g: got %s, want %s", llr, got, want)
		}
	}
}

func htmlOf(t *testing.T, fs []*detectors.Finding, sum Summary) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, fs, sum); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHTMLGolden(t *testing.T) {
	golden(t, "report.html", []byte(htmlOf(t, intrusion(), summary())))
}

// TestPageLoadsNothing walks the page of hostile findings: well nested, no script, no handler, nothing from elsewhere.
func TestPageLoadsNothing(t *testing.T) {
	fs := intrusion()
	for _, f := range fs {
		f.Message = `</p><script>alert(1)</script><img src=x onerror=alert(1)>` + "\x1b[31m\u202e"
		f.Filter, f.Domain, f.NextSteps, f.Users = f.Message, f.Message, []string{f.Message}, []string{f.Message}
		f.Rule = &detectors.Rule{ID: `"><script>`, Name: f.Message}
		f.Techniques = []detectors.Technique{{ID: `javascript:alert(1)`, Name: f.Message}}
	}
	sum := summary()
	sum.Inputs[0].Name, sum.Warnings, sum.Sensor = `<script src="//evil">`, []string{"<iframe>"}, "</footer>"
	sum.Label = func(detectors.HostKey) string { return `" onload="alert(1)` }
	page := htmlOf(t, fs, sum)

	var open []string
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			if z.Err() != io.EOF {
				t.Fatal(z.Err())
			}
			break
		}
		token := z.Token()
		switch kind {
		case html.StartTagToken:
			if slices.Contains([]string{"script", "img", "iframe", "link", "object", "embed", "form", "base"}, token.Data) {
				t.Errorf("<%s> in the page", token.Data)
			}
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "style" {
					t.Errorf("attribute %s=%q of <%s>", a.Key, a.Val, token.Data)
				}
				if a.Key == "href" && !strings.HasPrefix(a.Val, "https://attack.mitre.org/") {
					t.Errorf("link to %q", a.Val)
				}
			}
			if !slices.Contains([]string{"meta"}, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> closes %v", token.Data, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("left open: %v", open)
	}
	if strings.ContainsAny(page, "\x1b\u202e") {
		t.Error("control or bidirectional characters got through")
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)") {
		t.Error("the hostile text is not shown as text")
	}
}

func TestPageIsBounded(t *testing.T) {
	var fs []*detectors.Finding
	for i := range maxListed + 500 {
		fs = append(fs, &detectors.Finding{Rule: exec, Actor: host("10.0.0.5"), Target: host("10.0.0.9"), WindowStart: packet.Time(i), LLR: 5, Message: strings.Repeat("m", 200)})
	}
	page := htmlOf(t, fs, summary())
	if n := strings.Count(page, `<details class="finding"`); n != maxListed {
		t.Errorf("%d findings listed, want %d", n, maxListed)
	}
	if !strings.Contains(page, "500 further findings") {
		t.Error("what is left out is not said")
	}
}

func TestSummaryJSON(t *testing.T) {
	var b bytes.Buffer
	sum := summary()
	if err := sum.Encode(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "summary.json", b.Bytes())

	b.Reset()
	if err := (&Summary{}).Encode(&b); err != nil {
		t.Fatal(err)
	}
	var empty map[string]any
	if err := json.Unmarshal(b.Bytes(), &empty); err != nil {
		t.Fatal(err)
	}
	if empty["first"] != nil || empty["findings"] == nil || empty["losses"] == nil || empty["inputs"] == nil {
		t.Errorf("an empty run: %s", b.Bytes())
	}
}

func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFiles(dir, intrusion(), summary()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != "report.html" || entries[1].Name() != "summary.json" {
		t.Errorf("got %v, %v", entries, err)
	}
	if err := WriteFiles(filepath.Join(dir, "missing"), nil, Summary{}); err == nil || !strings.Contains(err.Error(), "summary.json") || !strings.Contains(err.Error(), "report.html") {
		t.Errorf("a missing directory: got %v", err)
	}
}

func TestProposals(t *testing.T) {
	all := []incident.Response{{Action: "contain", Target: "10.0.0.5"}, {Action: "contain", Target: "10.0.0.6"}, {Action: "deny", Target: "evil.example"}}
	for _, u := range []string{"a", "b", "c", "d", "e"} {
		all = append(all, incident.Response{Action: "set", Target: u})
	}
	if got, want := proposals(all), "isolate 10.0.0.5, 10.0.0.6; block evil.example; renew the password of a, b, c, 2 more"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestIncidents: the story stands before the findings, on the screen and on the page; what became part of another does not.
func TestIncidents(t *testing.T) {
	var said []*incident.Incident
	c := incident.New(incident.Default(), func(packet.Addr) bool { return true }, func(i *incident.Incident) { said = append(said, i) })
	for _, f := range intrusion() {
		s := f.Signal("s")
		s.LLR = max(s.LLR, 5)
		s.Message = "\x1b[31m<b>" + s.Message
		c.Take(s)
	}
	c.Finish()
	if len(said) == 0 {
		t.Fatal("no incident")
	}
	sum := Summary{Stories: []*incident.Incident{said[len(said)-1], {ID: strings.Repeat("7", 32), Score: 99, SupersededBy: said[0].ID, Message: "gone"}}}
	text := table100(t, intrusion(), sum, 100, false)
	if !strings.Contains(text, "INCIDENT ") || strings.Contains(text, "gone") || strings.Contains(text, "\x1b[31m") || strings.Index(text, "INCIDENT") > strings.Index(text, "findings") {
		t.Errorf("%s", text)
	}
	page := htmlOf(t, intrusion(), sum)
	for _, want := range []string{"What happened, in order", "Proposed responses: a person decides", "isolate ", "&lt;b&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "gone") || strings.Contains(page, "<b>10.") {
		t.Error("the page shows what it must not")
	}
}
