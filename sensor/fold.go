package main

import (
	"time"

	"neuromast/export/schema"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// A scan or a flood makes millions of flows that say the same: one packet or a few, no answer, no payload. Busy clients
// make as many of one DNS query and its answer, which stand in the DNS records already. Of each
// originator, port and kind the first few of a minute (flows.whole) are written as they are, the others are folded into
// one record whose counts are their sum. Detectors see every flow.
const (
	maxFolds = 1 << 14
	foldFor  = packet.Time(time.Minute)
)

// foldKey names what is folded together.
type foldKey struct {
	segment packet.Segment
	orig    packet.Addr
	port    uint16
	proto   packet.Proto
	state   flows.State
}

// folder folds attempts, in the order in which their records come.
type folder struct {
	whole uint64 // 0: nothing is folded
	open  map[foldKey]*schema.Folded
	from  packet.Time // the minute that is open
}

// attempt says that a flow is a few packets without payload that came to nothing.
func attempt(r *flows.Record) bool {
	return (r.State == flows.S0 || r.State == flows.REJ || r.State == flows.OTH) && r.Total[flows.Orig].Packets <= 3 &&
		r.Total[flows.Orig].PayloadBytes+r.Total[flows.Resp].PayloadBytes == 0
}

// lookup says that a flow is one DNS query and its answer, of which dns.jsonl tells all.
func lookup(r *flows.Record) bool {
	return r.App == flows.AppDNS && r.Proto == packet.ProtoUDP && r.Total[flows.Orig].Packets == 1 && r.Total[flows.Resp].Packets == 1
}

// take says whether a record goes into a fold instead of a line of its own.
func (f *folder) take(r *flows.Record) bool {
	if f.whole == 0 || !r.Final || r.Report > 1 || !attempt(r) && !lookup(r) {
		return false
	}
	k := foldKey{r.Segment, r.Orig, r.RespPort, r.Proto, r.State}
	x := f.open[k]
	if x == nil {
		if len(f.open) >= maxFolds {
			return false
		}
		if f.open == nil {
			f.open = map[foldKey]*schema.Folded{}
		}
		x = &schema.Folded{Segment: r.Segment, Orig: r.Orig, RespPort: r.RespPort, Proto: r.Proto, State: r.State}
		f.open[k] = x
	}
	if x.Seen++; x.Seen <= f.whole {
		return false
	}
	if x.Flows == 0 {
		x.Start, x.First, x.FirstResp = r.Start, r.FirstRef, r.Resp
	}
	x.Flows++
	x.Start, x.End = min(x.Start, r.Start), max(x.End, r.Last)
	x.Last, x.LastResp, x.At = r.LastRef, r.Resp, r.At
	for d := range r.Total {
		x.Packets[d] += r.Total[d].Packets
		x.Payload[d] += r.Total[d].PayloadBytes
		x.IPBytes[d] += r.Total[d].IPBytes
	}
	if r.Evicted {
		x.Evicted++
	}
	return true
}

// due hands on the folds of a minute that packet time has left behind, in the order of their last flow.
func (f *folder) due(now packet.Time, all bool) []*schema.Folded {
	if f.from == 0 {
		f.from = now - now%foldFor
	}
	if now < f.from+foldFor && !all {
		return nil
	}
	f.from = now - now%foldFor
	var out []*schema.Folded
	for _, x := range f.open {
		if x.Flows > 0 {
			out = append(out, x)
		}
	}
	clear(f.open)
	schema.SortFolded(out)
	return out
}
