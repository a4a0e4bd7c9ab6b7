package table

import (
	"testing"
	"time"

	"neuromast/sensor/packet"
)

// TestCopies holds what is a copy that a mirror made and what its sender repeated.
func TestCopies(t *testing.T) {
	data := packet.Packet{
		Net: packet.NetIPv4, Proto: packet.ProtoTCP, Src: alice, Dst: bob, SrcPort: 50000, DstPort: 445, Seq: 1000, Ack: 2000,
		Flags: packet.ACK, Window: 512, Checksum: 0x1234, IPID: 77, TTL: 64, PayloadLen: 20, IPLen: 60, Frames: 1,
		Payload: []byte("twenty bytes of data"),
	}
	with := func(change func(*packet.Packet)) packet.Packet {
		p := data
		change(&p)
		return p
	}
	bare := with(func(p *packet.Packet) { p.IPID = 0 })
	probe := with(func(p *packet.Packet) { p.PayloadLen, p.Payload, p.IPLen = 1, []byte{0}, 41 }) // keep-alive
	for _, tt := range []struct {
		name          string
		first, second packet.Packet
		after         time.Duration
		copied        bool
	}{
		{"mirrored at both ports", data, data, 2 * time.Microsecond, true},
		{"mirrored with a delay", data, data, 4 * time.Millisecond, true},
		{"the copy's clock is behind", data, data, -3 * time.Microsecond, true},
		{"before and after a router", data, with(func(p *packet.Packet) { p.TTL = 63 }), 3 * time.Millisecond, true},
		{"before and after a router, no identification", bare, with(func(p *packet.Packet) { p.IPID, p.TTL = 0, 63 }), 3 * time.Millisecond, true},
		{"mirrored, no identification", bare, bare, 20 * time.Microsecond, true},
		{"two acknowledgements at once", with(func(p *packet.Packet) { *p = bare; p.PayloadLen, p.Payload, p.IPLen = 0, nil, 40 }), with(func(p *packet.Packet) { *p = bare; p.PayloadLen, p.Payload, p.IPLen = 0, nil, 40 }), 20 * time.Microsecond, false},
		{"retransmitted", data, with(func(p *packet.Packet) { p.IPID = 78 }), 3 * time.Millisecond, false},
		{"fast retransmission, no identification", bare, bare, 300 * time.Microsecond, false},
		{"retransmission of a stack with one identification", data, data, 200 * time.Millisecond, false},
		{"keep-alives", probe, with(func(p *packet.Packet) { *p = probe; p.IPID++ }), time.Second, false},
		{"keep-alives without identification", with(func(p *packet.Packet) { *p = probe; p.IPID = 0 }), with(func(p *packet.Packet) { *p = probe; p.IPID = 0 }), time.Second, false},
		{"the next segment", data, with(func(p *packet.Packet) { p.Seq += 20 }), 0, false},
		{"another acknowledgement", data, with(func(p *packet.Packet) { p.Ack++ }), 0, false},
		{"another window", data, with(func(p *packet.Packet) { p.Window++ }), 0, false},
		{"other data", data, with(func(p *packet.Packet) { p.Checksum++ }), 0, false},
		{"another conversation", data, with(func(p *packet.Packet) { p.SrcPort++ }), 0, false},
		{"another network", data, with(func(p *packet.Packet) { p.Segment = 5 }), 0, false},
		{"the other direction", data, with(func(p *packet.Packet) {
			p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, p.DstPort, p.SrcPort
		}), 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWire(Default(), 1)
			for i, p := range []packet.Packet{tt.first, tt.second} {
				p.At = start.Add(time.Duration(i) * tt.after)
				var k Keyed
				KeyOf(&p, &k)
				w.Add(&p, &k)
			}
			if got := w.Stats().Duplicates == 1; got != tt.copied {
				t.Errorf("taken for a copy: %v", got)
			}
		})
	}
}

// TestOuter holds what flows say of the tunnels around them, and that those of ended flows are forgotten.
func TestOuter(t *testing.T) {
	w := newWire(Default(), 1)
	for i := range 10 {
		p := packet.Packet{Proto: packet.ProtoUDP, Src: alice, Dst: bob, SrcPort: uint16(1000 + i), DstPort: 99, Tunnels: 2}
		p.Outer[0] = packet.Tunnel{Kind: packet.TunnelMPLS, ID: 100}
		p.Outer[1] = packet.Tunnel{Kind: packet.TunnelVXLAN, ID: uint32(i / 5), Src: alice, Dst: bob}
		w.put(p)
	}
	if n := len(w.outers.number); n != 2 {
		t.Errorf("%d sets of tunnels", n)
	}
	w.Finish(w.now)
	for i := range w.batch.Records {
		r := &w.batch.Records[i]
		outer := w.batch.Tunnels[r.Outer.Off : r.Outer.Off+r.Outer.Len]
		if len(outer) != 2 || outer[0].Kind != packet.TunnelMPLS || outer[1].ID != uint32(int(r.OrigPort)-1000)/5 && outer[1].ID != uint32(int(r.RespPort)-1000)/5 {
			t.Errorf("%d: %+v", r.OrigPort, outer)
		}
	}
	if len(w.outers.number) != 0 || len(w.outers.free) != 2 {
		t.Errorf("%d sets of tunnels are left, %d free", len(w.outers.number), len(w.outers.free))
	}
}
