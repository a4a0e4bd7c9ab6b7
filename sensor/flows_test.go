package main

import (
	"path/filepath"
	"testing"

	"neuromast/pcaps"
)

// TestFlowsAddUpToThePackets holds that no packet is lost or counted twice between capture and flows.jsonl: the packets of
// all final records are the packets decoded but for ARP messages, and the deltas of a flow's reports are its totals.
func TestFlowsAddUpToThePackets(t *testing.T) {
	arp := func(sum map[string]any) float64 {
		n, _ := get(sum, "packets.arp").(float64)
		return n
	}
	for _, name := range pcaps.Names() {
		dir := results(t, "--set", "flows.whole=10", craftCapture(t, name))
		sum := readJSON(t, filepath.Join(dir, "summary.json"))
		packets, finals, folds := 0.0, 0.0, 0
		deltas, totals := map[any]float64{}, map[any]float64{}
		for _, r := range lines(t, filepath.Join(dir, "flows.jsonl")) {
			if n, ok := get(r, "neuromast.folded.flows").(float64); ok {
				finals += n
				packets += get(r, "source.packets").(float64) + get(r, "destination.packets").(float64)
				folds++
				continue
			}
			id := get(r, "event.id")
			for _, side := range []string{"source", "destination"} {
				n, _ := get(r, side+".packets").(float64)
				d, _ := get(r, "neuromast.delta."+side+".packets").(float64)
				deltas[id] += d
				if get(r, "neuromast.final") == true {
					packets += n
					totals[id] += n
				}
			}
			if get(r, "neuromast.final") == true {
				finals++
			}
		}
		if want := get(sum, "packets.decoded").(float64) - arp(sum); packets != want {
			t.Errorf("%s: flows hold %v packets, %v were decoded", name, packets, want)
		}
		if name == "scan" && folds == 0 {
			t.Error("nothing of the scan is folded")
		}
		if finals != get(sum, "flows") {
			t.Errorf("%s: %v final records, %v flows", name, finals, get(sum, "flows"))
		}
		for id, n := range totals {
			if deltas[id] != n {
				t.Errorf("%s: flow %v has %v packets, its deltas %v", name, id, n, deltas[id])
			}
		}
	}
}
