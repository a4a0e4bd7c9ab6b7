package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/catalog"
	"neuromast/sensor/packet"
)

// TestSides holds what each rule says of the directions that it needs: it speaks when the originator's packets alone are
// seen, unless it says that it needs both.
func TestSides(t *testing.T) {
	for _, name := range []string{"intrusion", "tunnel", "directory", "database", "lookup", "lan"} {
		path := craftCapture(t, name)
		needs := map[string]detectors.Sides{}
		running, err := catalog.Build(catalog.Default(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range running {
			for _, r := range d.Rules() {
				needs[r.ID] = r.Sides
			}
		}
		whole := rules(lines(t, filepath.Join(results(t, path), "findings.jsonl")))
		half := rules(lines(t, filepath.Join(results(t, originators(t, path)), "findings.jsonl")))
		for _, r := range whole {
			if said := slices.Contains(half, r); said != (needs[r] == detectors.OriginatorAlone) {
				t.Errorf("%s: %s needs %s; said from the originator's packets alone: %v", name, r, needs[r], said)
			}
		}
	}
}

// originators is a capture without the packets of responders.
func originators(t *testing.T, path string) string {
	t.Helper()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := slices.Clone(all[:24])
	type way struct {
		proto    packet.Proto
		src, dst packet.Addr
		from, to uint16
	}
	answers := map[way]bool{}
	for rest := all[24:]; len(rest) > 0; {
		size := 16 + binary.LittleEndian.Uint32(rest[8:])
		var p packet.Packet
		packet.Default().Decode(&p, &packet.Frame{Link: packet.LinkEthernet, WireLen: size - 16, Data: rest[16:size]})
		w := way{p.Proto, p.Src, p.Dst, p.SrcPort, p.DstPort}
		if !answers[w] {
			answers[way{p.Proto, p.Dst, p.Src, p.DstPort, p.SrcPort}] = true
			out = append(out, rest[:size]...)
		}
		rest = rest[size:]
	}
	half := filepath.Join(t.TempDir(), "originators.pcap")
	if err := os.WriteFile(half, out, 0o644); err != nil {
		t.Fatal(err)
	}
	return half
}
