package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"neuromast/flows"
)

// greetings collects the server names and first protocols of QUIC's ClientHellos.
type greetings struct{ said []string }

// Feed implements pipeline.Analyst.
func (g *greetings) Feed(m *flows.Merged) {
	for i := range m.Order {
		if it := &m.Order[i]; it.Kind == flows.KindTLS {
			b := m.Batches[it.Batch]
			if h := &b.TLS[it.Index]; h.QUIC {
				g.said = append(g.said, b.String(h.ServerName)+" "+b.String(h.ALPN))
			}
		}
	}
}

// Finish implements pipeline.Analyst, Record pipeline.Recorder.
func (g *greetings) Finish()                    {}
func (g *greetings) Record(*flows.Merged) error { return nil }

// TestTsharkQUIC holds the ClientHellos of QUIC against tshark's reading: server name and first protocol of each conversation.
func TestTsharkQUIC(t *testing.T) {
	compared, captures := 0, 0
	for _, path := range tsharkCaptures(t, "quic") {
		theirs := tsharkGreetings(t, path)
		if len(theirs) == 0 {
			continue
		}
		captures++
		var ours greetings
		readCapture(t, path, &ours)
		slices.Sort(ours.said)
		compared += len(theirs)
		if !slices.Equal(ours.said, theirs) {
			t.Errorf("%s:\n%q, tshark says\n%q", filepath.Base(path), ours.said, theirs)
		}
	}
	t.Logf("%d ClientHellos of %d captures compared", compared, captures)
}

// tsharkGreetings reads what tshark says, once for each conversation.
func tsharkGreetings(t *testing.T, path string) (said []string) {
	t.Helper()
	out, err := exec.Command("tshark", "-r", path, "-Y", "quic && tls.handshake.type == 1", "-T", "fields", "-E", "separator=|", "-E", "aggregator=,",
		"-e", "udp.stream", "-e", "tls.handshake.extensions_server_name", "-e", "tls.handshake.extensions_alpn_str").Output()
	if err != nil && len(out) == 0 {
		return nil // cut files end with an error
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		if len(f) != 3 {
			t.Fatalf("%s: %q", path, line)
		}
		if seen[f[0]] {
			continue
		}
		seen[f[0]] = true
		first, _, _ := strings.Cut(f[2], ",")
		said = append(said, f[1]+" "+first)
	}
	slices.Sort(said)
	return said
}
