package table

import (
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// flow is one conversation in the table. It has no pointers.
type flow struct {
	key         flows.Key
	first, last packet.Time
	reported    packet.Time // time of the last report, first where there was none
	rtt         int64       // ns; until the handshake is over less than zero: the time of the SYN
	firstFrame  uint64
	lastFrame   uint64
	n           [2]counts
	tcp         [2]side
	firstInput  uint32
	lastInput   uint32
	prev, next  uint32    // on the wheel
	born        [2]uint32 // neighbours in the queue of births
	shape       uint32    // number of its side record, 0 none
	conn        uint32    // number of its connection for parsers, 0 none
	report      uint32
	outer       uint32 // number of the tunnels around its first packet, 0 none
	trouble     uint32 // number of its counters of trouble, 0 none
	slot        uint16 // of the wheel
	events      events
	vlan        [2]uint16
	mac         [2]packet.MAC
	flags       [2]uint8  // TCP flags seen, or-ed
	once        [2]uint16 // history letters that are written once, by direction
	history     [flows.MaxHistory]byte
	historyLen  uint8
	started     [2]bool  // a direction's sequence space is known
	acked       [2]bool  // a direction has acknowledged
	tries       [2]uint8 // how many payloads were looked at for the application
	app         flows.App
	origIsHi    bool
	unreachable bool
	closed      bool
	attempt     bool // in the queue of attempts
}

// counts is what every flow counts in a direction; see flows.Counters.
type counts struct{ Packets, IPBytes, PayloadBytes uint64 }

// trouble is what few flows count.
type trouble [2]struct {
	GapBytes                       uint64
	Retransmits, Gaps, ZeroWindows uint32
}

// side is one direction's sequence space.
type side struct {
	next, ack uint32 // next byte expected; highest acknowledgement sent
	hole      uint32 // bytes missing before next
	holeAt    uint32 // where they begin
}

// events are the TCP events of a flow, from which its state follows.
type events uint16

const (
	origSYN events = 1 << iota
	respSYNACK
	origFIN
	respFIN
	origRST
	respRST
	handshake // the originator acknowledged the SYN-ACK
	respOther // the responder sent something else than SYN-ACK or RST
)

// state is Zeek's conn_state.
func (f *flow) state() flows.State {
	o, r := f.n[flows.Orig].Packets > 0, f.n[flows.Resp].Packets > 0
	if f.key.Proto != packet.ProtoTCP {
		switch {
		case o && r:
			return flows.SF
		case o:
			return flows.S0
		case r:
			return flows.SHR
		}
		return flows.OTH
	}
	e := f.events
	has := func(x events) bool { return e&x != 0 }
	switch {
	case has(origSYN) && has(respSYNACK):
		switch {
		case has(origFIN) && has(respFIN):
			return flows.SF
		case has(origRST):
			return flows.RSTO
		case has(respRST):
			return flows.RSTR
		case has(origFIN):
			return flows.S2
		case has(respFIN):
			return flows.S3
		}
		return flows.S1
	case has(origSYN):
		switch {
		case has(respRST):
			return flows.REJ
		case has(origRST):
			return flows.RSTOS0
		case has(origFIN):
			return flows.SH
		case has(respOther):
			return flows.OTH
		}
		return flows.S0
	case has(respSYNACK):
		switch {
		case has(respRST):
			return flows.RSTRH
		case has(respFIN):
			return flows.SHR
		}
	}
	return flows.OTH
}

// vlans is how many VLAN ids there are: 0 is none.
func (f *flow) vlans() (n uint8) {
	for _, id := range f.vlan {
		if id != 0 {
			n++
		}
	}
	return n
}

// note appends a history letter, in capitals for the originator; once-only letters are remembered.
func (f *flow) note(d flows.Dir, letter byte, onceBit uint16) {
	if onceBit != 0 {
		if f.once[d]&onceBit != 0 {
			return
		}
		f.once[d] |= onceBit
	}
	if int(f.historyLen) == len(f.history) {
		return
	}
	if d == flows.Orig {
		letter -= 'a' - 'A'
	}
	f.history[f.historyLen] = letter
	f.historyLen++
}
