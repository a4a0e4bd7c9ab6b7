// Command write crafts the project's captures.
//
//	go run ./pcaps/write -o DIR [NAME|FILE.txt …]
//
// Without names it writes all of them. A word that ends in .txt is a description of your own. The workload that speed is
// measured on is written by
//
//	go run ./pcaps/write -o DIR -ent 100000
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"neuromast/pcaps"
	"neuromast/pcaps/scenario"
	"neuromast/pcaps/workload"
)

func main() {
	dir := flag.String("o", ".", "`directory` to write into")
	list := flag.Bool("list", false, "list the captures and the verbs of a description")
	ent := flag.Int("ent", 0, "write the enterprise workload with so many `flows` instead, as DIR/ent.pcap")
	flag.Parse()
	if *ent > 0 {
		exit(create(filepath.Join(*dir, "ent.pcap"), workload.Ent{Seed: 1, Flows: *ent, Scale: 0.6}.Write))
		return
	}
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
		exit(write(*dir, name))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		os.Exit(1)
	}
}

func write(dir, name string) error {
	s, err := open(name)
	if err != nil {
		return err
	}
	return create(filepath.Join(dir, strings.TrimSuffix(filepath.Base(name), ".txt")+".pcap"), func(w io.Writer) error {
		_, err := s.WriteTo(w)
		return err
	})
}

func create(path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(write(w), w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
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
