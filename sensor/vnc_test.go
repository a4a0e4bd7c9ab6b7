package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"neuromast/flows"
)

// screens collects the results of log-ins over VNC, by the frame that completed them.
type screens map[uint64]string

// Feed implements pipeline.Analyst.
func (s screens) Feed(m *flows.Merged) {
	for i := range m.Order {
		if it := &m.Order[i]; it.Kind == flows.KindAuth {
			if a := &m.Batches[it.Batch].Auth[it.Index]; a.Over == flows.AppVNC && a.Outcome != flows.Unseen {
				s[a.Ref.Frame] = fmt.Sprintf("in %v", a.Outcome == flows.Succeeded)
			}
		}
	}
}

// Finish implements pipeline.Analyst, Record pipeline.Recorder.
func (s screens) Finish()                    {}
func (s screens) Record(*flows.Merged) error { return nil }

// cutResults are captures whose messages are cut between segments in places where tshark does not put them together: it
// takes the list of kinds of security, which came a byte after its length, for the challenge, and then the reason of the
// failure for its result. Read by hand: the result, 1, is complete with frame 13.
var cutResults = map[string]screens{"vnc_auth_scanner.pcap": {13: "in false"}}

// TestTsharkVNC holds the results of log-ins over VNC against tshark's reading.
func TestTsharkVNC(t *testing.T) {
	compared, captures := 0, 0
	for _, path := range tsharkCaptures(t, "vnc") {
		theirs, isCut := cutResults[filepath.Base(path)]
		if !isCut {
			theirs = tsharkScreens(t, path)
		}
		ours := screens{}
		if len(theirs) == 0 {
			continue
		}
		readCapture(t, path, ours)
		captures++
		for frame := range ours {
			if theirs[frame] == "" {
				t.Errorf("%s, frame %d: %q, tshark sees none", filepath.Base(path), frame, ours[frame])
			}
		}
		for frame, want := range theirs {
			compared++
			if ours[frame] != want {
				t.Errorf("%s, frame %d: %q, tshark says %q", filepath.Base(path), frame, ours[frame], want)
			}
		}
	}
	t.Logf("%d results compared, %d captures", compared, captures)
}

// tsharkScreens reads what tshark says.
func tsharkScreens(t *testing.T, path string) screens {
	t.Helper()
	out, err := exec.Command("tshark", "-r", path, "-Y", "vnc.auth_result && !_ws.malformed", "-T", "fields", "-E", "separator=|", "-e", "frame.number", "-e", "vnc.auth_result").Output()
	if err != nil && len(out) == 0 {
		return nil // cut files end with an error
	}
	all := screens{}
	for line := range strings.Lines(string(out)) {
		number, result, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "|")
		frame, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			t.Fatalf("%s: %q", path, line)
		}
		all[frame] = fmt.Sprintf("in %v", result == "0" || result == "False" || result == "false")
	}
	return all
}
