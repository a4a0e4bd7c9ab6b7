// Command write crafts the project's captures.
//
//	go run ./pcaps/write -o DIR [NAME|FILE.txt …]
//
// Without names it writes all of them. A word that ends in .txt is a description of your own.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"neuromast/pcaps"
	"neuromast/pcaps/scenario"
)

func main() {
	dir := flag.String("o", ".", "`directory` to write into")
	list := flag.Bool("list", false, "list the captures and the verbs of a description")
	flag.Parse()
	if *list {
		fmt.Println("captures:", strings.Join(pcaps.Names(), ", "))
		fmt.Println("verbs:   ", strings.Join(scenario.Verbs(), ", "))
		return
	}
	names := flag.Args()
	if len(names) == 0 {
		names = pcaps.Names()
	}
	for _, name := range names {
		if err := write(*dir, name); err != nil {
			fmt.Fprintln(os.Stderr, "write:", err)
			os.Exit(1)
		}
	}
}

func write(dir, name string) error {
	s, err := open(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, strings.TrimSuffix(filepath.Base(name), ".txt")+".pcap")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := s.WriteTo(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return f.Close()
}

func open(name string) (*scenario.Scenario, error) {
	if !strings.HasSuffix(name, ".txt") {
		return pcaps.Open(name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	s, err := scenario.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}
