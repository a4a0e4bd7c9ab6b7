package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drawn runs the verb and returns what it wrote.
func drawn(t *testing.T, arguments ...string) string {
	t.Helper()
	var out, notes bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetErr(&notes)
	cmd.SetArgs(append([]string{"graph", "--quiet"}, arguments...))
	if err := cmd.Execute(); err != nil {
		t.Fatalf("%v: %v", arguments, err)
	}
	if notes.Len() > 0 {
		t.Errorf("%v says %s", arguments, notes.String())
	}
	return out.String()
}

// TestGraphOfTheIntrusion holds the picture and the numbers of a capture of our own, for any number of workers.
func TestGraphOfTheIntrusion(t *testing.T) {
	path := craftCapture(t, "intrusion")
	for _, format := range []string{"svg", "json"} {
		got := drawn(t, "--format", format, path)
		golden := filepath.Join("testdata", "intrusion.graph."+format)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs; run with -update, read the diff and look at the picture", golden)
		}
		for _, workers := range []string{"1", "8"} {
			if again := drawn(t, "--format", format, "--workers", workers, path); again != got {
				t.Errorf("%s: %s workers give another graph", format, workers)
			}
		}
	}
}

// TestGraphOfOneHost: the neighbourhood holds every edge of the host and no other.
func TestGraphOfOneHost(t *testing.T) {
	path := craftCapture(t, "office")
	type graph struct {
		Nodes []struct{ ID, Role string }
		Edges []struct{ Client, Server, Service string }
	}
	var whole, one graph
	if err := json.Unmarshal([]byte(drawn(t, "--format", "json", path)), &whole); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(drawn(t, "--format", "json", "--host", "10.20.0.30", path)), &one); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range whole.Edges {
		if e.Client == "10.20.0.30" || e.Server == "10.20.0.30" {
			n++
		}
	}
	if n == 0 || n != len(one.Edges) || len(one.Nodes) >= len(whole.Nodes) {
		t.Errorf("%d edges of %d in the whole graph, %d by itself; %d of %d nodes", n, len(whole.Edges), len(one.Edges), len(one.Nodes), len(whole.Nodes))
	}
}

func TestGraphTellsWrongUse(t *testing.T) {
	path := craftCapture(t, "office")
	for _, c := range []struct {
		arguments []string
		says      string
	}{
		{[]string{"--format", "png", path}, "none of"},
		{[]string{"--host", "10.99.0.1", path}, "no host"},
		{[]string{"--workers", "0", path}, "between 1 and"},
		{[]string{}, "at least 1 arg"},
	} {
		cmd := root()
		cmd.SetOut(&bytes.Buffer{})
		cmd.SetErr(&bytes.Buffer{})
		cmd.SetArgs(append([]string{"graph", "--quiet"}, c.arguments...))
		var usage usageError
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), c.says) || !errors.As(err, &usage) {
			t.Errorf("%v: %v", c.arguments, err)
		}
	}
	out := filepath.Join(t.TempDir(), "site.svg")
	if text := drawn(t, "--out", out, path); text != "" {
		t.Errorf("with --out it also writes %q", text)
	}
	if got, err := os.ReadFile(out); err != nil || !strings.HasPrefix(string(got), "<svg") {
		t.Errorf("%v %.20q", err, got)
	}
}
