package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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

// tsharkCaptures lists the captures that tests against tshark read; it skips where there is no tshark.
func tsharkCaptures(t *testing.T) []string {
	t.Helper()
	root := os.Getenv("NEUROMAST_CAPTURES")
	if root == "" || os.Getenv("NEUROMAST_TSHARK") == "" {
		t.Skip("`make test-tshark` runs this, with NEUROMAST_CAPTURES naming a folder of captures")
	}
	paths, err := filepath.Glob(filepath.Join(root, "*", "*.pcap*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
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
