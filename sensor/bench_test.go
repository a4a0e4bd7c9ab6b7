package main

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"neuromast/pcaps/workload"
)

// BenchmarkReplay is the whole sensor on the enterprise workload, or on the capture that NEUROMAST_BENCH names, with
// everything on and written: packets per second.
//
//	go test -run '^$' -bench Replay -cpuprofile cpu.out ./sensor
func BenchmarkReplay(b *testing.B) {
	path := os.Getenv("NEUROMAST_BENCH")
	if path == "" {
		path = enterprise(b)
	}
	packets := 0.0
	for b.Loop() {
		dir := results(b, "--workers", "1", path)
		packets = get(readJSON(b, filepath.Join(dir, "summary.json")), "packets.read").(float64)
	}
	b.ReportMetric(packets*float64(b.N)/b.Elapsed().Seconds(), "pkts/s")
	b.ReportMetric(b.Elapsed().Seconds()*1e9/packets/float64(b.N), "ns/pkt")
}

// enterprise writes a small workload and returns its path.
func enterprise(b *testing.B) string {
	path := filepath.Join(b.TempDir(), "ent.pcap")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	if err := errors.Join((workload.Ent{Seed: 1, Flows: 20_000, Scale: 0.6}).Write(w), w.Flush(), f.Close()); err != nil {
		b.Fatal(err)
	}
	return path
}
