package capture

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"neuromast/sensor/packet"
)

// pcap reads the classic format.
type pcap struct {
	frame  uint64
	fcs    uint32 // bytes of frame check sequence behind every frame
	header int    // bytes of a record header
	unit   int64  // ns of the fraction of a second
	link   packet.LinkType
	big    bool
	old    bool // lengths may stand in the wrong order
}

func newPcap(b []byte) (*pcap, error) {
	f := &pcap{header: 16, unit: 1000}
	m := binary.LittleEndian.Uint32(b)
	if f.big = m != magicMicro && m != magicNano && m != magicModified; f.big {
		m = bits.ReverseBytes32(m)
	}
	switch m {
	case magicNano:
		f.unit = 1
	case magicModified:
		f.header = 24
	}
	major, minor := f.u32(b[4:])&0xffff, f.u32(b[4:])>>16
	if f.big {
		major, minor = minor, major
	}
	if major != 2 || minor > 4 {
		return nil, fmt.Errorf("pcap format version %d.%d is not supported, only 2.0 to 2.4", major, minor)
	}
	f.old = minor <= 3
	network := f.u32(b[20:])
	f.link = packet.LinkType(network)
	if network&(1<<26) != 0 { // the upper 4 bits count the 2-byte words of the frame check sequence
		f.fcs = network >> 28 * 2
	}
	return f, nil
}

func (f *pcap) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if f.big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (f *pcap) number() uint64             { return f.frame }
func (f *pcap) findings() (uint64, string) { return 0, "" }

func (f *pcap) copy(into format) format {
	g, ok := into.(*pcap)
	if !ok {
		g = new(pcap)
	}
	*g = *f
	return g
}

func (f *pcap) records(b []byte, frames []packet.Frame, input uint32) ([]packet.Frame, int, string) {
	taken := 0
	for len(frames) < cap(frames) {
		r := b[taken:]
		if len(r) < f.header {
			break
		}
		captured, wire := f.u32(r[8:]), f.u32(r[12:])
		if f.old && captured > wire { // versions before 2.4 had the two the other way round
			captured, wire = wire, captured
		}
		if captured > maxRecord {
			return frames, taken, fmt.Sprintf("the next record claims %d bytes, more than the %d that are believed", captured, maxRecord)
		}
		n := f.header + int(captured)
		if len(r) < n {
			break
		}
		if f.fcs > 0 && wire >= f.fcs {
			wire -= f.fcs
			captured = min(captured, wire)
		}
		f.frame++
		frames = append(frames, packet.Frame{
			Data:    r[f.header : f.header+int(captured) : f.header+int(captured)],
			At:      packet.Time(int64(f.u32(r))*1e9 + int64(f.u32(r[4:]))*f.unit),
			Number:  f.frame,
			WireLen: wire,
			Input:   input,
			Link:    f.link,
		})
		taken += n
	}
	return frames, taken, ""
}
