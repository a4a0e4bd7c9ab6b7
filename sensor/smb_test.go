package main

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"neuromast/flows"
	"neuromast/pcaps"
)

// shares is what a capture tells of file sharing: answers to trees and openings by frame, and numbers over all.
type shares struct {
	answers map[uint64][]string // "tree STATUS", "open STATUS"
	numbers map[string]uint64   // of SMB2
}

func newShares() shares { return shares{map[uint64][]string{}, map[string]uint64{}} }

// Feed implements pipeline.Analyst.
func (s shares) Feed(m *flows.Merged) {
	for i := range m.Order {
		it := &m.Order[i]
		if it.Kind != flows.KindSMB {
			continue
		}
		b := m.Batches[it.Batch]
		x := &b.SMB[it.Index]
		ipc := strings.HasSuffix(strings.ToUpper(b.String(x.Share)), "IPC$")
		answer := func(what string) {
			if x.Answered {
				s.answers[x.Ref.Frame] = append(s.answers[x.Ref.Frame], fmt.Sprintf("%s %08x", what, x.Status))
			}
		}
		switch x.Op {
		case flows.SMBTree:
			answer("tree")
		case flows.SMBOpen, flows.SMBPipe:
			answer("open")
		case flows.SMBRename:
			s.numbers["renames"]++
		case flows.SMBDelete:
			if !x.DeleteClose {
				s.numbers["deletions"]++
			}
		case flows.SMBWrite:
			if x.Final && !ipc {
				s.numbers["bytes written"] += x.Bytes
			}
		}
	}
}

// Finish implements pipeline.Analyst, Record pipeline.Recorder.
func (s shares) Finish()                    {}
func (s shares) Record(*flows.Merged) error { return nil }

// tsharkRows runs tshark with a filter and returns the fields of each line.
func tsharkRows(t *testing.T, path, filter string, fields ...string) (rows [][]string) {
	t.Helper()
	args := []string{"-r", path, "-Y", filter, "-T", "fields", "-E", "separator=|", "-E", "aggregator=,"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, _ := exec.Command("tshark", args...).Output() // cut files end with an error
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "|"))
	}
	return rows
}

// tsharkShares reads what tshark says.
func tsharkShares(t *testing.T, path string) shares {
	t.Helper()
	s := newShares()
	add := func(frame, commands, status string, tree, open map[string]bool) {
		n, err := strconv.ParseUint(frame, 10, 64)
		if err != nil {
			t.Fatalf("%s: frame %q", path, frame)
		}
		codes := strings.Split(status, ",")
		for i, c := range strings.Split(commands, ",") {
			if i >= len(codes) {
				break
			}
			code, err := strconv.ParseUint(codes[i], 0, 32)
			if err != nil || code == 0x103 { // pending
				continue
			}
			if tree[c] {
				s.answers[n] = append(s.answers[n], fmt.Sprintf("tree %08x", code))
			}
			if open[c] {
				s.answers[n] = append(s.answers[n], fmt.Sprintf("open %08x", code))
			}
		}
	}
	const ours = "(smb2.cmd in {3, 5, 9, 17} || smb.cmd in {0x75, 0xa2, 0x2d}) && !_ws.malformed"
	for _, r := range tsharkRows(t, path, ours, "frame.number", "smb2.cmd", "smb2.flags.response", "smb2.nt_status", "smb2.class", "smb2.file_info.infolevel",
		"smb2.delete_pending", "smb2.write_length", "smb2.tree", "dcerpc.pkt_type", "smb.cmd", "smb.flags.response", "smb.nt_status") {
		switch {
		case strings.HasPrefix(r[2], "1"), strings.HasPrefix(r[2], "True"):
			add(r[0], r[1], r[3], map[string]bool{"3": true}, map[string]bool{"5": true})
		case r[2] != "":
			s.numbers["requests"]++
			commands := strings.Split(r[1], ",")
			if slices.Contains(commands, "17") && strings.HasPrefix(r[4], "0x01") {
				switch r[5] {
				case "0x0a", "0x41":
					s.numbers["renames"]++
				case "0x0d", "0x40":
					if r[6] != "0" && r[6] != "0x00" {
						s.numbers["deletions"]++
					}
				}
			}
			if slices.Contains(commands, "9") && r[9] == "" && !strings.HasSuffix(strings.ToUpper(r[8]), "IPC$") {
				for n := range strings.SplitSeq(r[7], ",") {
					v, _ := strconv.ParseUint(n, 10, 64)
					s.numbers["bytes written"] += v
				}
			}
		case r[11] != "" && r[12] != "" && (strings.HasPrefix(r[11], "1") || strings.HasPrefix(r[11], "True")):
			add(r[0], r[10], r[12], map[string]bool{"0x75": true}, map[string]bool{"0xa2": true, "0x2d": true})
		}
	}
	return s
}

// TestTsharkSMB holds answers to trees and openings, renames, deletions and bytes written against tshark's reading.
func TestTsharkSMB(t *testing.T) {
	paths := tsharkCaptures(t, "smb2", "smb")
	for _, name := range pcaps.Names() { // they hold what captures lack: renames
		paths = append(paths, craftCapture(t, name))
	}
	compared, captures := 0, 0
	totals := map[string]uint64{}
	for _, path := range paths {
		theirs := tsharkShares(t, path)
		if len(theirs.answers)+len(theirs.numbers) == 0 {
			continue
		}
		captures++
		ours := newShares()
		readCapture(t, path, ours)
		for _, frame := range slices.Sorted(maps.Keys(theirs.answers)) {
			want, got := theirs.answers[frame], ours.answers[frame]
			compared += len(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s, frame %d: %q, tshark says %q", filepath.Base(path), frame, got, want)
			}
		}
		if theirs.numbers["requests"] == 0 { // all SMB1: tshark's fields for it don't tell the numbers
			continue
		}
		for _, what := range []string{"renames", "deletions", "bytes written"} {
			totals[what] += theirs.numbers[what]
			if ours.numbers[what] != theirs.numbers[what] {
				t.Errorf("%s: %d %s, tshark says %d", filepath.Base(path), ours.numbers[what], what, theirs.numbers[what])
			}
		}
	}
	t.Logf("%d answers of %d captures compared, and %v", compared, captures, totals)
}
