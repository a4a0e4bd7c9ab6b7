package schema

import (
	"cmp"
	"slices"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// FoldedDataset names folded records.
const FoldedDataset = "neuromast.folded"

// Folded is many attempts of one originator at one port that came to the same, or many DNS look-ups, within a minute: one
// record, whose counts are the sum of theirs.
type Folded struct {
	Segment             packet.Segment
	Orig                packet.Addr
	RespPort            uint16
	Proto               packet.Proto
	State               flows.State
	At, Start, End      packet.Time
	Seen                uint64 // with those that have records of their own
	Flows               uint64
	Evicted             uint64
	Packets, IPBytes    [2]uint64
	Payload             [2]uint64
	FirstResp, LastResp packet.Addr
	First, Last         flows.Ref
}

// SortFolded brings records into an order that depends on what they say alone.
func SortFolded(list []*Folded) {
	slices.SortFunc(list, func(a, b *Folded) int {
		return cmp.Or(
			cmp.Compare(a.At, b.At), cmp.Compare(a.Segment, b.Segment), slices.Compare(a.Orig[:], b.Orig[:]),
			cmp.Compare(a.RespPort, b.RespPort), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.State, b.State),
		)
	})
}

// AppendFolded appends a folded record as one JSON document: neuromast.folded says how many flows it stands for. It has no destination: neuromast.folded names the first and the last.
func AppendFolded(b []byte, f *Folded, env *Env) []byte {
	b = append(b, `{"@timestamp":`...)
	b = appendTime(b, f.At)
	b = append(b, `,"ecs":{"version":"`+ECSVersion+`"},"event":{"kind":"event","category":["network"],"type":["connection","start","end"`...)
	if f.State == flows.REJ {
		b = append(b, `,"denied"`...)
	}
	b = append(b, `],"module":"neuromast","dataset":"`+FoldedDataset+`","start":`...)
	b = appendTime(b, f.Start)
	b = append(b, `,"end":`...)
	b = appendTime(b, f.End)
	b = appendUint(b, `,"duration":`, uint64(max(f.End-f.Start, 0)))
	b = append(b, `},"source":{"ip":`...)
	b = appendAddr(b, f.Orig)
	b = appendUint(b, `,"bytes":`, f.IPBytes[flows.Orig])
	b = appendUint(b, `,"packets":`, f.Packets[flows.Orig])
	b = append(b, `},"destination":{`...)
	if hasPorts(f.Proto) {
		b = appendUint(b, `"port":`, uint64(f.RespPort))
		b = append(b, ',')
	}
	b = appendUint(b, `"bytes":`, f.IPBytes[flows.Resp])
	b = appendUint(b, `,"packets":`, f.Packets[flows.Resp])
	b = append(b, '}')
	b = env.appendNetwork(b, f.Orig, f.LastResp)
	b = appendTransport(b, f.Proto)
	b = appendUint(b, `,"bytes":`, f.IPBytes[flows.Orig]+f.IPBytes[flows.Resp])
	b = appendUint(b, `,"packets":`, f.Packets[flows.Orig]+f.Packets[flows.Resp])
	b = env.appendSegment(b, f.Segment)
	b = append(b, `},"related":{"ip":[`...)
	b = appendAddr(b, f.Orig)
	b = append(b, `]}`...)
	b = append(b, env.observer...)
	b = append(b, `,"neuromast":{"final":true,"conn_state":"`...)
	b = append(b, f.State.String()...)
	b = append(b, `","delta":{"source":{`...)
	b = appendUint(b, `"packets":`, f.Packets[flows.Orig])
	b = appendUint(b, `,"bytes":`, f.IPBytes[flows.Orig])
	b = appendUint(b, `,"payload_bytes":`, f.Payload[flows.Orig])
	b = append(b, `},"destination":{`...)
	b = appendUint(b, `"packets":`, f.Packets[flows.Resp])
	b = appendUint(b, `,"bytes":`, f.IPBytes[flows.Resp])
	b = appendUint(b, `,"payload_bytes":`, f.Payload[flows.Resp])
	b = append(b, `}},"folded":{`...)
	b = appendUint(b, `"flows":`, f.Flows)
	b = appendUint(b, `,"evicted":`, f.Evicted)
	b = append(b, `,"first_destination":`...)
	b = appendAddr(b, f.FirstResp)
	b = append(b, `,"last_destination":`...)
	b = appendAddr(b, f.LastResp)
	b = append(b, `},"first":`...)
	b = env.appendRef(b, f.First)
	b = append(b, `,"last":`...)
	b = env.appendRef(b, f.Last)
	return append(b, '}', '}')
}
