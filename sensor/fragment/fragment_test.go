package fragment

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"neuromast/sensor/packet"
)

const second = packet.Time(time.Second)

// part is an Ethernet frame with one IPv4 fragment of a packet from 10.0.0.1 to 10.0.0.2.
func part(id, offset int, more bool, proto packet.Proto, data []byte) []byte {
	b := make([]byte, 34, 34+len(data))
	copy(b[12:], "\x08\x00\x45")
	binary.BigEndian.PutUint16(b[16:], uint16(20+len(data)))
	binary.BigEndian.PutUint16(b[18:], uint16(id))
	flags := offset / 8
	if more {
		flags |= 0x2000
	}
	binary.BigEndian.PutUint16(b[20:], uint16(flags))
	b[22], b[23] = 64, byte(proto)
	copy(b[26:], "\x0a\x00\x00\x01\x0a\x00\x00\x02")
	return append(b, data...)
}

func decode(b []byte, at packet.Time, number uint64) *packet.Packet {
	var p packet.Packet
	packet.Default().Decode(&p, &packet.Frame{Data: b, WireLen: uint32(len(b)), At: at, Number: number, Link: packet.LinkEthernet})
	return &p
}

// datagram is a UDP datagram of n bytes of payload.
func datagram(n int) []byte {
	b := make([]byte, 8+n)
	binary.BigEndian.PutUint16(b, 1000)
	binary.BigEndian.PutUint16(b[2:], 2000)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	for i := range n {
		b[8+i] = byte(i * 7)
	}
	return b
}

func joiner() *Joiner { return New(Default(), packet.Default()) }

func TestJoin(t *testing.T) {
	d := datagram(92) // 100 bytes
	a, b, c := part(7, 0, true, 17, d[:40]), part(7, 40, true, 17, d[40:80]), part(7, 80, false, 17, d[80:])
	evil := part(7, 40, true, 17, bytes.Repeat([]byte{0xee}, 40))
	for _, tt := range []struct {
		name      string
		frames    [][]byte
		want      []Result
		anomaly   bool // overlap said
		anomalyAt int
	}{
		{"in order", [][]byte{a, b, c}, []Result{Held, Held, Whole}, false, 0},
		{"backwards", [][]byte{c, b, a}, []Result{Held, Held, Whole}, false, 0},
		{"with a copy", [][]byte{a, a, c, b, b}, []Result{Held, Duplicate, Held, Whole, Duplicate}, false, 0},
		{"overlap keeps what came first", [][]byte{a, b, evil, c}, []Result{Held, Held, Held, Whole}, true, 2},
		{"overlap of two neighbours", [][]byte{a, part(7, 32, true, 17, d[32:80]), c}, []Result{Held, Held, Whole}, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := joiner()
			for i, f := range tt.frames {
				p := decode(f, second, uint64(i+1))
				r, _ := j.Add(p)
				if r != tt.want[i] {
					t.Fatalf("fragment %d: got %d, want %d", i, r, tt.want[i])
				}
				if got := p.Anomalies.Has(packet.FragmentOverlap); got != (tt.anomaly && i == tt.anomalyAt) {
					t.Errorf("fragment %d: overlap %v", i, got)
				}
				if r != Whole {
					continue
				}
				if p.SrcPort != 1000 || p.DstPort != 2000 || !bytes.Equal(p.Payload, d[8:]) || p.Fragment != packet.Whole || p.Number != uint64(i+1) {
					t.Errorf("whole: %+v", p)
				}
				if tt.name == "in order" && (p.Frames != 3 || p.IPLen != 160 || p.PayloadLen != 92) {
					t.Errorf("counts: %+v", p)
				}
			}
			if len(j.work) != 0 || j.memory != 0 {
				t.Errorf("left behind: %d packets, %d bytes", len(j.work), j.memory)
			}
		})
	}
}

// TestCopyAndReuse holds that an identification used again after the window names a new packet.
func TestCopyAndReuse(t *testing.T) {
	j, d := joiner(), datagram(32)
	whole := func(at packet.Time) (last Result) {
		for _, f := range [][]byte{part(9, 0, true, 17, d[:16]), part(9, 16, false, 17, d[16:])} {
			last, _ = j.Add(decode(f, at, 1))
		}
		return last
	}
	if whole(second) != Whole || whole(second+1) != Duplicate || whole(2*second) != Whole {
		t.Error("copies and reuse are mixed up")
	}
}

func TestIncomplete(t *testing.T) {
	j, d := joiner(), datagram(92)
	j.Add(decode(part(1, 0, true, 17, d[:40]), second, 1))
	j.Add(decode(part(1, 80, false, 17, d[80:]), 2*second, 2))
	j.Add(decode(part(2, 40, true, 17, d[40:80]), 3*second, 3))
	j.Due(60*second, func(*packet.Packet, []byte) { t.Error("given up before its time") })
	var got []packet.Packet
	each := func(p *packet.Packet, _ []byte) { got = append(got, *p) }
	j.Due(61*second, each)
	if len(got) != 1 || got[0].SrcPort != 1000 || len(got[0].Payload) != 32 || got[0].PayloadLen != 92 || got[0].Frames != 2 ||
		got[0].At != 61*second || !got[0].Anomalies.Has(packet.FragmentIncomplete) {
		t.Fatalf("with its first fragment: %+v", got)
	}
	j.Finish(62*second, each)
	if len(got) != 2 || got[1].SrcPort != 0 || got[1].Fragment != packet.LaterFragment || got[1].Frames != 1 {
		t.Fatalf("without: %+v", got[1:])
	}
	if j.Stats() != (Stats{Incomplete: 2}) || j.memory != 0 {
		t.Errorf("%+v, %d bytes", j.Stats(), j.memory)
	}
}

func TestAlone(t *testing.T) {
	j := joiner()
	for _, f := range [][]byte{part(1, 65528, false, 17, make([]byte, 8)), part(1, 0, true, 17, make([]byte, 7))} {
		if r, _ := j.Add(decode(f, 1, 1)); r != Alone {
			t.Errorf("got %d", r)
		}
	}
}

// TestFlood holds the bound: fragments of a million packets that never end.
func TestFlood(t *testing.T) {
	j := New(Config{Timeout: time.Minute, Memory: 1 << 20}, packet.Default())
	given, data := 0, make([]byte, 1400)
	each := func(_ *packet.Packet, buf []byte) { given++; j.Recycle(buf) }
	for i := range 100_000 {
		j.Add(decode(part(i, 8*(i%2000), true, packet.Proto(i>>16), data), second, 1))
		j.Due(second, each)
		if j.memory > 1<<20 {
			t.Fatalf("%d bytes after %d", j.memory, i)
		}
	}
	j.Finish(second, each)
	if given != 100_000 || j.memory != 0 {
		t.Errorf("%d handed on, %d bytes left", given, j.memory)
	}
}

// TestTunnel holds that a tunnel whose packets are fragmented outside is opened when they are whole.
func TestTunnel(t *testing.T) {
	inner := part(5, 0, false, 17, datagram(100))
	outer := append([]byte{0, 1, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 5, 0}, inner...) // UDP to 4789, VXLAN 5
	binary.BigEndian.PutUint16(outer[4:], uint16(len(outer)))
	j := joiner()
	j.Add(decode(part(3, 0, true, 17, outer[:64]), 1, 1))
	p := decode(part(3, 64, false, 17, outer[64:]), 1, 2)
	if r, _ := j.Add(p); r != Whole || p.Tunnels != 1 || p.Outer[0].ID != 5 || p.SrcPort != 1000 || p.PayloadLen != 100 || p.Segment.String() != "vni 5" {
		t.Errorf("%d: %+v", r, p)
	}
}

// TestShuffled holds that any order of any cut gives the same packet.
func TestShuffled(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		d := datagram(8 + r.IntN(60_000))
		var frames [][]byte
		for from := 0; from < len(d); {
			to := min(from+8*(1+r.IntN(1+len(d)/100)), len(d))
			frames = append(frames, part(4, from, to < len(d), 17, d[from:to]))
			if r.IntN(5) == 0 {
				frames = append(frames, frames[len(frames)-1])
			}
			from = to
		}
		if len(frames) > maxPieces {
			continue
		}
		r.Shuffle(len(frames), func(a, b int) { frames[a], frames[b] = frames[b], frames[a] })
		j := joiner()
		var got []byte
		for _, f := range frames {
			p := decode(f, 1, 1)
			if p.Fragment == packet.Whole {
				got = p.Payload
			} else if res, _ := j.Add(p); res == Whole {
				got = p.Payload
			}
		}
		if !bytes.Equal(got, d[8:]) {
			t.Fatalf("%d fragments of %d bytes: got %d", len(frames), len(d), len(got))
		}
	}
}

func FuzzAdd(f *testing.F) {
	d := datagram(92)
	f.Add(append(part(7, 0, true, 17, d[:40]), part(7, 40, false, 17, d[40:])...), uint8(60))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		j := New(Config{Timeout: time.Minute, Memory: 1 << 16}, packet.Default())
		frames := 0
		each := func(p *packet.Packet, buf []byte) { frames += int(p.Frames); j.Recycle(buf) }
		added := 0
		for n := int(cut)%100 + 1; len(b) > 0; {
			p := decode(b[:min(n, len(b))], second, 1)
			b = b[min(n, len(b)):]
			if p.Fragment == packet.Whole {
				continue
			}
			switch r, buf := j.Add(p); r {
			case Whole:
				added++
				each(p, buf)
			case Held:
				added++
			}
			j.Due(second, each)
			if j.memory > 1<<16 {
				t.Fatalf("%d bytes", j.memory)
			}
		}
		if j.Finish(second, each); frames != added || j.memory != 0 {
			t.Fatalf("%d frames of %d, %d bytes left", frames, added, j.memory)
		}
	})
}
