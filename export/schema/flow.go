package schema

import (
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// AppendFlow appends a flow record as one JSON document. Counters are cumulative; neuromast.delta holds what this report
// added, so that summing deltas over all reports of a flow counts nothing twice.
func AppendFlow(b []byte, batch *flows.Batch, r *flows.Record, env *Env) []byte {
	orig, resp := &r.Total[flows.Orig], &r.Total[flows.Resp]

	b = append(b, `{"@timestamp":`...)
	b = appendTime(b, r.At)
	b = append(b, `,"ecs":{"version":"`+ECSVersion+`"},"event":{"kind":"event","category":["network"],"type":[`...)
	b = append(b, flowType(r)...)
	b = append(b, `],"module":"neuromast","dataset":"`+FlowDataset+`","id":"`...)
	b = appendHex64(b, r.ID)
	b = append(b, `","start":`...)
	b = appendTime(b, r.Start)
	b = append(b, `,"end":`...)
	b = appendTime(b, r.Last)
	b = appendUint(b, `,"duration":`, uint64(max(r.Last-r.Start, 0)))
	b = append(b, '}')

	ports := hasPorts(r.Proto)
	b = append(b, `,"source":{"ip":`...)
	b = appendEndpoint(b, r.Orig, r.OrigPort, ports, r.OrigMAC, name(batch, r.Names[flows.Orig]), orig)
	b = append(b, `,"destination":{"ip":`...)
	b = appendEndpoint(b, r.Resp, r.RespPort, ports, r.RespMAC, name(batch, r.Names[flows.Resp]), resp)

	b = env.appendNetwork(b, r.Orig, r.Resp)
	b = appendTransport(b, r.Proto)
	if name := r.App.String(); name != "" {
		b = append(b, `,"protocol":"`...)
		b = append(b, name...)
		b = append(b, '"')
	}
	b = append(b, `,"community_id":"`...)
	b = r.AppendCommunityID(b, 0)
	b = appendUint(b, `","bytes":`, orig.IPBytes+resp.IPBytes)
	b = appendUint(b, `,"packets":`, orig.Packets+resp.Packets)
	b = env.appendSegment(b, r.Segment)
	if outer, _ := r.Segment.VLAN(); outer == 0 { // tags that don't make a network of their own
		b = appendVLAN(b, r.VLAN[0], r.VLAN[1])
	}
	b = append(b, `},"related":{"ip":[`...)
	b = appendAddr(b, r.Orig)
	if r.Resp != r.Orig {
		b = append(b, ',')
		b = appendAddr(b, r.Resp)
	}
	b = append(b, `]}`...)
	b = append(b, env.observer...)

	b = appendUint(b, `,"neuromast":{"report":`, uint64(r.Report))
	b = appendFlag(b, `,"final":`, r.Final)
	b = appendFlag(b, `,"one_sided":`, r.OneSided())
	if r.State != flows.StateNone {
		b = append(b, `,"conn_state":"`...)
		b = append(b, r.State.String()...)
		b = append(b, '"')
	}
	if n := min(int(r.HistoryLen), flows.MaxHistory); n > 0 {
		b = append(b, `,"history":`...)
		b = appendString(b, r.History[:n])
	}
	if r.Unreachable {
		b = append(b, `,"unreachable":true`...)
	}
	if r.Evicted {
		b = append(b, `,"evicted":true`...)
	}
	if r.RTT > 0 {
		b = appendUint(b, `,"rtt_ns":`, uint64(r.RTT))
	}
	if r.Outer.Len > 0 {
		b = appendTunnels(b, batch.Tunnels[r.Outer.Off:r.Outer.Off+r.Outer.Len])
	}
	if r.Proto == packet.ProtoICMP || r.Proto == packet.ProtoICMPv6 {
		b = appendUint(b, `,"icmp":{"type":`, uint64(r.OrigPort))
		b = appendUint(b, `,"code":`, uint64(r.RespPort))
		b = append(b, '}')
	}
	b = append(b, `,"source":`...)
	b = appendDetail(b, orig)
	b = append(b, `,"destination":`...)
	b = appendDetail(b, resp)
	b = append(b, `,"delta":{"source":`...)
	b = appendDelta(b, &r.Delta[flows.Orig])
	b = append(b, `,"destination":`...)
	b = appendDelta(b, &r.Delta[flows.Resp])
	b = append(b, '}')
	if r.Side >= 0 && int(r.Side) < len(batch.Sides) {
		b = appendShape(b, &batch.Sides[r.Side])
	}
	b = append(b, `,"first":`...)
	b = env.appendRef(b, r.FirstRef)
	b = append(b, `,"last":`...)
	b = env.appendRef(b, r.LastRef)
	return append(b, '}', '}')
}

// appendTunnels appends the layers around a flow, outermost first.
func appendTunnels(b []byte, tunnels []packet.Tunnel) []byte {
	sep := `,"tunnels":[{"type":"`
	for i := range tunnels {
		t := &tunnels[i]
		b = append(b, sep...)
		b = append(b, t.Kind.String()...)
		b = appendUint(b, `","id":"`, uint64(t.ID))
		b = append(b, '"')
		if t.Src != (packet.Addr{}) {
			b = append(b, `,"source":{"ip":`...)
			b = appendAddr(b, t.Src)
			b = append(b, `},"destination":{"ip":`...)
			b = appendAddr(b, t.Dst)
			b = append(b, '}')
		}
		b = appendVLAN(b, t.VLAN[0], t.VLAN[1])
		b = append(b, '}')
		sep = `,{"type":"`
	}
	return append(b, ']')
}

// flowType returns the elements of event.type: ECS allows connection, start, end, info and denied for network events.
func flowType(r *flows.Record) string {
	denied := r.State == flows.REJ || r.Unreachable
	switch {
	case r.Final && r.Report <= 1 && denied:
		return `"connection","start","end","denied"`
	case r.Final && r.Report <= 1:
		return `"connection","start","end"`
	case r.Final && denied:
		return `"connection","end","denied"`
	case r.Final:
		return `"connection","end"`
	case r.Report <= 1:
		return `"connection","start"`
	}
	return `"connection","info"`
}

func appendFlag(b []byte, key string, v bool) []byte {
	b = append(b, key...)
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

// appendEndpoint appends the rest of "source" or "destination" from the value of ip on.
func appendEndpoint(b []byte, a packet.Addr, port uint16, ports bool, mac packet.MAC, name []byte, c *flows.Counters) []byte {
	b = appendAddr(b, a)
	if ports {
		b = appendUint(b, `,"port":`, uint64(port))
	}
	if mac != (packet.MAC{}) {
		b = append(b, `,"mac":"`...)
		b = mac.AppendTo(b)
		b = append(b, '"')
	}
	if len(name) > 0 {
		b = append(b, `,"domain":`...)
		b = appendString(b, name)
	}
	b = appendUint(b, `,"bytes":`, c.IPBytes)
	b = appendUint(b, `,"packets":`, c.Packets)
	return append(b, '}')
}

// name returns what a host is called, empty where there is no name.
func name(batch *flows.Batch, t flows.Text) []byte {
	if t.Len == 0 {
		return nil
	}
	return batch.Bytes(t)
}

// appendDetail appends what ECS has no name for; counters of trouble are left out where they are zero.
func appendDetail(b []byte, c *flows.Counters) []byte {
	b = appendUint(b, `{"payload_bytes":`, c.PayloadBytes)
	if c.Retransmits > 0 {
		b = appendUint(b, `,"retransmits":`, uint64(c.Retransmits))
	}
	if c.Gaps > 0 {
		b = appendUint(b, `,"gaps":`, uint64(c.Gaps))
		b = appendUint(b, `,"gap_bytes":`, c.GapBytes)
	}
	if c.ZeroWindows > 0 {
		b = appendUint(b, `,"zero_windows":`, uint64(c.ZeroWindows))
	}
	return append(b, '}')
}

func appendDelta(b []byte, c *flows.Counters) []byte {
	b = appendUint(b, `{"packets":`, c.Packets)
	b = appendUint(b, `,"bytes":`, c.IPBytes)
	b = appendUint(b, `,"payload_bytes":`, c.PayloadBytes)
	return append(b, '}')
}

// appendShape appends the summary of a long flow's shape: bursts, and payload bytes per minute since the last report.
func appendShape(b []byte, s *flows.Side) []byte {
	side := func(b []byte, d flows.Dir) []byte {
		b = appendUint(b, `{"bursts":`, uint64(s.Bursts[d]))
		b = appendUint(b, `,"burst_bytes":`, s.BurstBytes[d])
		key := `,"minutes":[`
		for _, m := range s.Minutes {
			b = appendUint(b, key, m[d])
			key = `,`
		}
		return append(b, ']', '}')
	}
	b = append(b, `,"shape":{"source":`...)
	b = side(b, flows.Orig)
	b = append(b, `,"destination":`...)
	b = side(b, flows.Resp)
	return append(b, '}')
}
