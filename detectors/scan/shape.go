package scan

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"neuromast/detectors/phrase"
	"neuromast/detectors/stat"
	"neuromast/flows/hostgraph"
	"neuromast/sensor/packet"
)

// adminPorts are those that administrators and intruders come in by.
var adminPorts = [...]uint16{22, 23, 88, 135, 139, 389, 445, 1433, 3389, 5900, 5985, 5986}

// inOrder is the rank correlation of targets with time from which they were tried in order, and minOrder how many tries that
// takes: of eight in random order, 1 in 200 come to 0.9 by chance.
const (
	inOrder  = 0.9
	minOrder = 8
)

// shape says in words how the targets of a walk lie: most different hosts for a service against most different services of a
// host, five times as many making a line.
func (w *walk) shape() (words string, hosts, ports int) {
	if len(w.tried) == 0 {
		return "", 0, 0
	}
	hosts, ports = w.across()
	switch {
	case w.kind == overPortsOf:
		return "block: many ports of many hosts", hosts, ports
	case w.kind == overHosts && len(w.services) > 1: // one contact of each host is counted here: services stand side by side
		if w.adminOnly() {
			return "service sweep: ways in of many hosts", len(w.tried), len(w.services)
		}
		return "horizontal: several services over hosts", len(w.tried), len(w.services)
	case hosts > 1 && ports > 1 && hosts <= 5*ports && ports <= 5*hosts:
		if w.adminOnly() {
			return "service sweep: ways in of many hosts", hosts, ports
		}
		return "block: many ports of many hosts", hosts, ports
	case ports > hosts:
		return "vertical: the ports of one host", hosts, ports
	case w.top().service.port == 0:
		return "horizontal: one question over hosts", hosts, ports
	}
	return "horizontal: one service over hosts", hosts, ports
}

// across returns the most different hosts that one service was tried on, and the most different services of one host, in
// the sample.
func (w *walk) across() (hosts, ports int) {
	for _, t := range w.tried {
		var h, p int
		for i, u := range w.tried {
			before := w.tried[:i]
			if u.service == t.service && !slices.ContainsFunc(before, func(b try) bool { return b.service == u.service && b.target == u.target }) {
				h++
			}
			if u.target == t.target && !slices.ContainsFunc(before, func(b try) bool { return b.service == u.service && b.target == u.target }) {
				p++
			}
		}
		hosts, ports = max(hosts, h), max(ports, p)
	}
	return hosts, ports
}

// adminOnly says that at least two ways in were tried and nothing else.
func (w *walk) adminOnly() bool {
	for _, t := range w.services {
		if !slices.Contains(adminPorts[:], t.service.port) || t.service.proto != packet.ProtoTCP {
			return false
		}
	}
	return len(w.services) > 1 && w.others == 0
}

// order returns the rank correlation of targets, or of ports where there is one target, with time; ok is false for too few.
func (w *walk) order() (rho float64, ok bool) {
	if len(w.tried) < minOrder || w.kind == overPortsOf {
		return 0, false
	}
	tries := slices.Clone(w.tried)
	slices.SortStableFunc(tries, func(a, b try) int { return cmp.Compare(a.at, b.at) })
	vertical := !slices.ContainsFunc(tries, func(t try) bool { return t.target != tries[0].target })
	x, y := make([]float64, len(tries)), make([]float64, len(tries))
	for i, t := range tries {
		x[i] = float64(t.at - tries[0].at)
		if y[i] = float64(binary.BigEndian.Uint64(t.target[8:])); vertical {
			y[i] = float64(t.service.port)
		}
	}
	return stat.Spearman(x, y), true
}

// orderWords names an order for evidence.
func orderWords(rho float64) string {
	if math.Abs(rho) > inOrder {
		return "order of the targets in time: sequential"
	}
	return "order of the targets in time: random"
}

// oneTarget returns the target where all of the sample have one.
func (w *walk) oneTarget() (packet.Addr, bool) {
	for _, t := range w.tried {
		if t.target != w.tried[0].target {
			return packet.Addr{}, false
		}
	}
	if len(w.tried) == 0 {
		return packet.Addr{}, false
	}
	return w.tried[0].target, true
}

// spanWords names a span of counting.
func (v *verdict) spanWords() string {
	if v.span == slowSpans[0] {
		return "24 hours"
	}
	return phrase.Duration(v.span)
}

// usualWords says what is usual in the span.
func (v *verdict) usualWords() string {
	how := "assumed"
	if v.measured {
		how = "measured here"
	}
	if v.role != hostgraph.Unknown {
		how = fmt.Sprintf("measured at hosts of its role (%s)", v.role)
	}
	if v.r > 0 {
		return fmt.Sprintf("mean %s a host, r = %s (negative binomial), %s", phrase.Number(phrase.Round(v.mean)), phrase.Number(phrase.Round(v.r)), how)
	}
	return fmt.Sprintf("mean %s a host (Poisson), %s", phrase.Number(phrase.Round(v.mean)), how)
}

// devicePorts are those at which programs look for printers, screens, scanners and the like: printing (LPD, IPP, raw), UPnP,
// web services for devices, Cast, AirPlay, SNMP.
var devicePorts = [...]uint16{161, 515, 631, 1900, 2869, 5357, 5358, 7000, 8008, 8009, 9100}

// manyDevices is from how many hosts on the search for devices is a scan like others: chosen by us as twice what such
// programs try of a network when they know nothing.
const manyDevices = 48

// sparedOthers is how many failures of another kind, and at most half as many as of devices, may come with them: a walk lasts a day.
const sparedOthers = 2

// forDevices says that devices were looked for and hardly anything else, at not too many hosts. ARP goes before such tries.
func (w *walk) forDevices() bool {
	if w.kind != overHosts && w.kind != overAll {
		return false
	}
	devices, asked, others := 0, 0, 0
	for _, t := range w.tried {
		switch {
		case t.service.proto == neighbours:
			asked++
		case slices.Contains(devicePorts[:], t.service.port):
			devices++
		default:
			others++
		}
	}
	return others <= sparedOthers && 2*others <= devices && asked <= 2*devices && int(w.misses())*devices < manyDevices*len(w.tried)
}
