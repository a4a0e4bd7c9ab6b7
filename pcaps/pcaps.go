// Package pcaps holds the project's own captures: short descriptions of what happened and of what the sensor must say
// about it. The packets are crafted from them when they are needed, always the same bytes.
package pcaps

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"neuromast/pcaps/scenario"
)

//go:embed scenarios/*.txt
var files embed.FS

// Names lists the captures, sorted.
func Names() []string {
	entries, _ := fs.ReadDir(files, "scenarios")
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".txt"))
	}
	return names
}

// Open returns one capture's scenario.
func Open(name string) (*scenario.Scenario, error) {
	text, err := files.ReadFile("scenarios/" + name + ".txt")
	if err != nil {
		return nil, fmt.Errorf("no capture %q; there are %s", name, strings.Join(Names(), ", "))
	}
	s, err := scenario.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("scenarios/%s.txt: %w", name, err)
	}
	return s, nil
}
