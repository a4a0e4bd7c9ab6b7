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

// tickets collects what the parser says of answers by a key distribution centre, by the frame that completed them.
type tickets map[uint64]string

// Feed implements pipeline.Analyst.
func (s tickets) Feed(m *flows.Merged) {
	for i := range m.Order {
		it := &m.Order[i]
		if it.Kind != flows.KindKerberos {
			continue
		}
		b := m.Batches[it.Batch]
		k := &b.KDC[it.Index]
		switch {
		case k.Outcome == flows.Unseen:
		case k.Outcome == flows.Failed:
			s[k.Ref.Frame] = fmt.Sprintf("error %d", k.Code)
			if k.NumKeys > 0 {
				s[k.Ref.Frame] += fmt.Sprint(", keys ", k.Keys[:k.NumKeys])
			}
		default:
			kind := 11
			if k.TGS {
				kind = 13
			}
			s[k.Ref.Frame] = fmt.Sprintf("%d for %s, ciphers %d %d", kind, b.String(k.Client), k.Ticket, k.Part)
		}
	}
}

// Finish implements pipeline.Analyst, Record pipeline.Recorder.
func (s tickets) Finish()                    {}
func (s tickets) Record(*flows.Merged) error { return nil }

// TestTsharkKerberos holds the answers of key distribution centres against tshark's reading: kind, error, client, ciphers.
func TestTsharkKerberos(t *testing.T) {
	compared, captures := 0, 0
	for _, path := range tsharkCaptures(t, "kerberos") {
		theirs := tsharkTickets(t, path)
		if len(theirs) == 0 {
			continue
		}
		captures++
		ours := tickets{}
		readCapture(t, path, ours)
		for frame, want := range theirs {
			compared++
			if ours[frame] != want {
				t.Errorf("%s, frame %d: %q, tshark says %q", filepath.Base(path), frame, ours[frame], want)
			}
		}
	}
	t.Logf("%d answers of %d captures compared", compared, captures)
}

// tsharkTickets reads what tshark says.
func tsharkTickets(t *testing.T, path string) tickets {
	t.Helper()
	args := []string{"-r", path, "-Y", "kerberos.msg_type in {11, 13, 30} && (udp.port == 88 || tcp.port == 88) && !_ws.malformed", "-T", "fields", "-E", "separator=|", "-E", "aggregator=,"}
	for _, f := range []string{"frame.number", "kerberos.msg_type", "kerberos.error_code", "kerberos.CNameString", "kerberos.etype"} {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil && len(out) == 0 {
		return nil // cut files end with an error
	}
	all := tickets{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		frame, err := strconv.ParseUint(f[0], 10, 64)
		if err != nil || len(f) != 5 {
			t.Fatalf("%s: %q", path, line)
		}
		if f[1] == "30" {
			all[frame] = "error " + f[2]
			if (f[2] == "24" || f[2] == "25") && f[4] != "" {
				all[frame] += ", keys ["
				for _, cipher := range strings.Split(f[4], ",") {
					if n, err := strconv.Atoi(cipher); err == nil && n >= -128 { // Windows has ciphers of its own below, which a fact doesn't hold
						all[frame] += cipher + " "
					}
				}
				all[frame] = strings.TrimSuffix(all[frame], " ") + "]"
			}
		} else {
			ciphers := strings.Split(f[4], ",")
			ciphers = ciphers[max(0, len(ciphers)-2):] // before them stand the ones that pre-authentication data speaks of
			all[frame] = fmt.Sprintf("%s for %s, ciphers %s", f[1], strings.ReplaceAll(f[3], ",", "/"), strings.Join(ciphers, " "))
		}
	}
	return all
}
