package capture

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestLabelledCaptures reads every capture of a labelled collection and compares the number of packets.
func TestLabelledCaptures(t *testing.T) {
	dir := os.Getenv("NEUROMAST_CAPTURES")
	if dir == "" {
		t.Skip("not run: NEUROMAST_CAPTURES names no directory of captures with a MANIFEST.tsv")
	}
	m, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r := csv.NewReader(m)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	for _, line := range lines[1:] {
		name := line[column["file"]]
		want, _ := strconv.ParseUint(line[column["packets"]], 10, 64)
		src, err := Open([]string{filepath.Join(dir, name)}, nil)
		if line[column["exit"]] == "1" {
			if err == nil {
				t.Errorf("%s opens", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b Batch
		n := uint64(0)
		for err = src.ReadBatch(&b); err == nil; err = src.ReadBatch(&b) {
			n += uint64(len(b.Frames))
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		in := src.Inputs()[0]
		if n != want || in.Frames != n {
			t.Errorf("%s: %d packets, counted %d, want %d", name, n, in.Frames, want)
		}
		if in.Truncated || in.Damage != "" {
			t.Logf("%s: %s", name, in.Damage)
		}
		src.Close()
	}
}
