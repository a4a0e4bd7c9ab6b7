package jsonl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"neuromast/export"
)

func TestFilesAppearWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "result")
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for i := range 50_000 { // beyond the buffer
		doc := []byte(fmt.Sprintf(`{"n":%d}`, i))
		want.Write(append(doc, '\n'))
		if err := w.Line(export.Flows, doc); err != nil {
			t.Fatal(err)
		}
		clear(doc) // ours again
	}
	if err := w.Put(context.Background(), export.Record{Topic: export.Findings, Value: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"dns.jsonl.partial", "findings.jsonl.partial", "flows.jsonl.partial", "incidents.jsonl.partial"}) {
		t.Fatalf("before Close: %v", got)
	}
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"dns.jsonl", "findings.jsonl", "flows.jsonl", "incidents.jsonl"}) {
		t.Fatalf("after Close: %v", got)
	}
	for name, text := range map[string]string{"flows.jsonl": want.String(), "findings.jsonl": "{}\n", "dns.jsonl": "", "incidents.jsonl": ""} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != text {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(text))
		}
	}
	if w.Lines(export.Flows) != 50_000 || w.Lines(export.Health) != 0 {
		t.Errorf("lines: %d flows, %d health", w.Lines(export.Flows), w.Lines(export.Health))
	}
}

// TestAnInterruptedRunLeavesNothingWhole: neither its own files nor those of the run before.
func TestAnInterruptedRunLeavesNothingWhole(t *testing.T) {
	dir := t.TempDir()
	first, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "summary.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := Create(dir, "summary.json", "report.html")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Line(export.DNS, []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := second.Abort(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, dir) {
		if !strings.HasSuffix(name, Partial) {
			t.Errorf("%s looks whole", name)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "dns.jsonl.partial")); string(got) != "{\"a\":1}\n" {
		t.Errorf("what was written before the end is kept: got %q", got)
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(blocked); err == nil || !strings.Contains(err.Error(), blocked) {
		t.Errorf("a file in place of the directory: got %v", err)
	}

	w, err := Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	w.files[export.Flows].f.Close() // the disk goes away
	big := make([]byte, bufferBytes+1)
	if err = w.Line(export.Flows, big); err == nil || !strings.Contains(err.Error(), "flows.jsonl") {
		t.Errorf("a failed write: got %v", err)
	}
	if again := w.Line(export.Flows, nil); !errors.Is(again, err) {
		t.Errorf("the line after it: got %v, want the same error", again)
	}
	if err := w.Line(export.DNS, []byte("{}")); err != nil {
		t.Errorf("another topic: %v", err)
	}
	if err := w.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "flows.jsonl") {
		t.Errorf("Close: got %v", err)
	}
	for _, name := range names(t, filepath.Join(dir, "out")) {
		if !strings.HasSuffix(name, Partial) {
			t.Errorf("%s looks whole though the result is not", name)
		}
	}
	if err := w.Line(export.Health, []byte("{}")); err == nil {
		t.Error("health has no file and yet is taken")
	}
}

// A full device is the failure people meet; Linux has one to try.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no /dev/full here: %v", err)
	}
	w, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.files[export.DNS].f.Close()
	w.files[export.DNS].f = full
	w.files[export.DNS].buf.Reset(full)
	if err := w.Line(export.DNS, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("Close on a full device: got %v", err)
	}
}

func TestLineDoesNotAllocate(t *testing.T) {
	w, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	doc := []byte(`{"some":"document"}`)
	if n := testing.AllocsPerRun(1000, func() { w.Line(export.Flows, doc) }); n != 0 {
		t.Errorf("Line allocates %v times", n)
	}
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
