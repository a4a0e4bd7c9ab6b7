package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"neuromast/flows/proto"
	"neuromast/flows/table"
	"neuromast/sensor/capture"
	"neuromast/sensor/fragment"
	"neuromast/sensor/packet"
	"neuromast/sensor/pipeline"
)

// reader takes what a capture's packets say.
type reader interface {
	pipeline.Analyst
	pipeline.Recorder
}

// readCapture reads a capture with the parsers as they are.
func readCapture(t *testing.T, path string, r reader) *pipeline.Totals {
	t.Helper()
	src, err := capture.Open([]string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.New(pipeline.Config{Workers: 1, Decoder: packet.Default(), Fragments: fragment.Default(), Table: table.Default(), Proto: proto.Default()},
		[]capture.Source{src}, r, r)
	if err != nil {
		t.Fatal(err)
	}
	totals, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return totals
}

// spoken holds, by capture, the protocols that tshark finds: looked at once for all tests.
var spoken struct {
	sync.Mutex
	by map[string]map[string]bool
}

// speak says in which of the captures tshark finds any of some protocols.
func speak(t *testing.T, paths, protocols []string) (speaking []string) {
	t.Helper()
	spoken.Lock()
	defer spoken.Unlock()
	if spoken.by == nil {
		spoken.by = map[string]map[string]bool{}
		all := make([]map[string]bool, len(paths))
		var g errgroup.Group
		g.SetLimit(2)
		for i, path := range paths {
			g.Go(func() error {
				out, _ := exec.Command("tshark", "-r", path, "-T", "fields", "-e", "frame.protocols").Output() // cut files end with an error
				all[i] = map[string]bool{}
				for line := range strings.Lines(string(out)) {
					for name := range strings.SplitSeq(strings.TrimSpace(line), ":") {
						all[i][name] = true
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		for i, path := range paths {
			spoken.by[path] = all[i]
		}
	}
	for _, path := range paths {
		if slices.ContainsFunc(protocols, func(p string) bool { return spoken.by[path][p] }) {
			speaking = append(speaking, path)
		}
	}
	return speaking
}

// tsharkCaptures lists the captures that tests against tshark read, those in which it finds any of the protocols; it skips
// where there is no tshark.
func tsharkCaptures(t *testing.T, protocols ...string) []string {
	t.Helper()
	root := os.Getenv("NEUROMAST_CAPTURES")
	if root == "" || os.Getenv("NEUROMAST_TSHARK") == "" {
		t.Skip("`make test-tshark` runs this, with NEUROMAST_CAPTURES naming a folder of captures")
	}
	paths, err := filepath.Glob(filepath.Join(root, "*", "*.pcap*"))
	if err != nil {
		t.Fatal(err)
	}
	return speak(t, paths, protocols)
}

// tsharkFields runs tshark and returns for each frame the occurrences of each field.
func tsharkFields(t *testing.T, path, filter string, fields []string, more ...string) [][][]string {
	t.Helper()
	args := append([]string{"-r", path, "-Y", filter, "-T", "fields", "-E", "separator=/t", "-E", "aggregator=\x01"}, more...)
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil && len(out) == 0 {
		return nil // cut files end with an error
	}
	var rows [][][]string
	for line := range strings.Lines(string(out)) {
		var row [][]string
		for _, cell := range strings.Split(strings.TrimSuffix(line, "\n"), "\t") {
			if cell == "" {
				row = append(row, nil)
				continue
			}
			row = append(row, strings.Split(cell, "\x01"))
		}
		if len(row) == len(fields) {
			rows = append(rows, row)
		}
	}
	return rows
}
