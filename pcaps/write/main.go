// Command write crafts the project's captures.
//
//	go run ./pcaps/write -o DIR [NAME|FILE.txt …]
//
// Without names it writes all of them. A word that ends in .txt is a description of your own. The workloads that speed is
// measured on are written by
//
//	go run ./pcaps/write -o DIR -workload ent=100000|small=10000000|churn=5000000|dns=3000000|real=CAPTURES
//
// ent counts conversations, small, churn and dns packets; real names a directory of captures.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"neuromast/pcaps"
	"neuromast/pcaps/scenario"
	"neuromast/pcaps/workload"
)

func main() {
	dir := flag.String("o", ".", "`directory` to write into")
	list := flag.Bool("list", false, "list the captures and the verbs of a description")
	load := flag.String("workload", "", "write a workload instead, `NAME=SIZE`, as DIR/NAME.pcap")
	flag.Parse()
	if *load != "" {
		name, size, _ := strings.Cut(*load, "=")
		write, err := workloadOf(name, size)
		exit(err)
		exit(create(filepath.Join(*dir, name+".pcap"), write))
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

// workloadOf returns the writer of a workload.
func workloadOf(name, size string) (func(io.Writer) error, error) {
	if name == "real" {
		return func(w io.Writer) error { return workload.Real{Dir: size, Copies: 8}.Write(w, os.Stderr) }, nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("-workload %s=%s: a size of one or more was expected", name, size)
	}
	switch name {
	case "ent":
		return workload.Ent{Seed: 1, Flows: n, Scale: 0.6}.Write, nil
	case "hosts": // how the cost grows with the number of internal hosts
		return workload.Ent{Seed: 1, Flows: 200_000, Scale: 0.05, Hosts: n}.Write, nil
	case "small":
		return workload.Small{Packets: n}.Write, nil
	case "churn":
		return workload.Churn{Packets: n}.Write, nil
	case "dns":
		return workload.DNS{Seed: 1, Packets: n}.Write, nil
	}
	return nil, fmt.Errorf("-workload %s: there are ent, hosts, small, churn, dns and real", name)
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
