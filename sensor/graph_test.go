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

// TestAssetsNameAndRule: what the configuration calls a host shows in the graph and in findings, with its role.
func TestAssetsNameAndRule(t *testing.T) {
	path := craftCapture(t, "intrusion")
	cfg := filepath.Join(t.TempDir(), "sensor.yaml")
	text := "assets:\n  - {name: Payroll, addresses: [10.20.0.30], role: database server, critical: true}\n  - {name: Front desk, addresses: [10.20.1.66], role: kiosk}\n"
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var g struct {
		Nodes []struct {
			Name, Role, Why string
			Addresses       []string
			Critical        bool
		}
	}
	if err := json.Unmarshal([]byte(drawn(t, "--config", cfg, "--format", "json", path)), &g); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, n := range g.Nodes {
		switch n.Name {
		case "Payroll":
			if seen++; n.Role != "database server" || !n.Critical || n.Why != `the configuration says "database server"` {
				t.Errorf("%+v", n)
			}
		case "Front desk":
			if seen++; n.Role != "kiosk" || n.Critical {
				t.Errorf("%+v", n)
			}
		}
	}
	if seen != 2 {
		t.Errorf("%d of 2 assets in %+v", seen, g.Nodes)
	}

	dir := t.TempDir()
	cmd := root()
	cmd.SetOut(&bytes.Buffer{})
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs([]string{"replay", "--quiet", "--config", cfg, "--out", dir, path})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	found, err := os.ReadFile(filepath.Join(dir, "findings.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	want := `"assets":[{"ip":"10.20.1.66","name":"Front desk","role":"kiosk","critical":false},{"ip":"10.20.0.30","name":"Payroll","role":"database server","critical":true}]`
	if !bytes.Contains(found, []byte(want)) {
		t.Errorf("no finding has %s", want)
	}
	if !bytes.Contains(found, []byte(`"host":{"id":"10.20.1.66"`)) {
		t.Error("no finding names its acting host")
	}
}
