package main

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"neuromast/sensor/config"
)

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles", "neuromast/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages: is this the whole module?", len(all))
	}
	return all
}

// layer is the height of a package in the house: imports go to the same layer's own folder or down.
func layer(path string) int {
	path = strings.TrimPrefix(path, "neuromast/")
	switch {
	case path == "sensor/packet":
		return 0
	case strings.HasPrefix(path, "flows"):
		return 1
	case strings.HasPrefix(path, "detectors"):
		return 2
	case strings.HasPrefix(path, "export"):
		return 3
	case strings.HasPrefix(path, "sensor"):
		return 4
	}
	return -1 // pcaps and deploy stand beside the house
}

// TestImportsPointOneWay holds the architecture: sensor -> export -> detectors -> flows -> sensor/packet.
func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		from := layer(p.ImportPath)
		for _, i := range p.Imports {
			if !strings.HasPrefix(i, "neuromast/") || from < 0 {
				continue
			}
			if to := layer(i); to > from {
				t.Errorf("%s imports %s: imports point from sensor to export, detectors, flows, sensor/packet", p.ImportPath, i)
			}
			if strings.HasPrefix(i, "neuromast/pcaps") {
				t.Errorf("%s imports %s: the sensor does not know the captures it is tested with", p.ImportPath, i)
			}
		}
	}
}

// TestLibrariesHaveOneHome holds that each of these can be replaced in one place.
func TestLibrariesHaveOneHome(t *testing.T) {
	homes := map[string][]string{
		"github.com/google/gopacket":           {"neuromast/pcaps/craft", "neuromast/pcaps/scenario", "neuromast/pcaps/workload"},
		"github.com/miekg/dns":                 {"neuromast/flows/proto/dns"},
		"github.com/segmentio/kafka-go":        {"neuromast/export/kafka"},
		"github.com/VictoriaMetrics/fastcache": {"neuromast/flows/enrich"},
		"github.com/oschwald/geoip2-golang":    {"neuromast/flows/enrich"},
	}
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			for lib, home := range homes {
				if strings.HasPrefix(i, lib) && !slices.Contains(home, p.ImportPath) {
					t.Errorf("%s imports %s, whose home is %s", p.ImportPath, i, strings.Join(home, ", "))
				}
			}
		}
	}
}

// TestEveryPackageSaysWhatItIs holds exactly one package comment per package.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		var with []string
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				with = append(with, name)
			}
		}
		if len(with) != 1 {
			t.Errorf("%s: package comment in %d files %v, want 1", p.ImportPath, len(with), with)
		}
	}
}

// TestExamplesHold: every key that an example of a help text or the README sets is one, with a value that it takes.
func TestExamplesHold(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"README.md": string(readme)}
	for _, c := range root().Commands() {
		texts[c.Name()] = c.Long + c.Example
	}
	seen := 0
	for name, text := range texts {
		for _, m := range regexp.MustCompile(`--set ([^\s\x60]+)`).FindAllStringSubmatch(text, -1) {
			if m[1] == "key=value" {
				continue
			}
			seen++
			c := config.Default()
			if err := c.Set(m[1]); err != nil {
				t.Errorf("%s: --set %s: %v", name, m[1], err)
			}
		}
	}
	if seen < 5 {
		t.Errorf("only %d examples", seen)
	}
}
