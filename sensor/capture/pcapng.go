package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"neuromast/sensor/packet"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng, 4, and the registry of its section 11).
const (
	blockSection   = 0x0a0d0d0a // reads the same in both byte orders
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockStats     = 5
	blockEnhanced  = 6
	blockJournal   = 9 // systemd
	blockCustom    = 0xbad
	blockCustomNo  = 0x40000bad // custom, not to be copied
)

// maxInterfaces bounds the interfaces of a section. Chosen by us: packets name them by 32 bits, hosts have hundreds.
const maxInterfaces = 1 << 16

// pcapng reads the next-generation format. Sections may follow each other in one file, each with its own byte order and
// interfaces.
type pcapng struct {
	frame   uint64
	last    packet.Time // of the last packet that had a time
	ifaces  []iface     // of this section
	past    uint64      // drops reported in earlier sections
	gaps    uint64      // drops that packets report since the packet before them
	unnamed uint64      // packets of interfaces that the section doesn't describe
	timed   bool        // last is set
	big     bool
}

// iface is an interface description.
type iface struct {
	offset  int64 // s, added to every time
	drops   uint64
	snaplen uint32
	link    packet.LinkType
	fcs     uint8 // bytes
	resol   uint8 // if_tsresol
}

func newPcapng(b []byte) (*pcapng, error) {
	f := &pcapng{}
	if damage := f.section(b); damage != "" {
		return nil, errors.New(damage)
	}
	return f, nil
}

func (f *pcapng) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if f.big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (f *pcapng) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if f.big {
		v = bits.ReverseBytes16(v)
	}
	return v
}

func (f *pcapng) u64(b []byte) uint64 {
	v := binary.LittleEndian.Uint64(b)
	if f.big {
		v = bits.ReverseBytes64(v)
	}
	return v
}

func (f *pcapng) number() uint64 { return f.frame }

func (f *pcapng) copy(into format) format {
	g, ok := into.(*pcapng)
	if !ok {
		g = new(pcapng)
	}
	*g = *f
	g.ifaces = f.ifaces[:len(f.ifaces):len(f.ifaces)] // only their drops change, and those only grow
	return g
}

// findings takes the larger of what interfaces and packets report: they count the same drops.
func (f *pcapng) findings() (drops uint64, note string) {
	if f.unnamed > 0 {
		note = fmt.Sprintf("%d packets left out: their interface is not described", f.unnamed)
	}
	return max(f.past+f.dropped(), f.gaps), note
}

func (f *pcapng) dropped() (n uint64) {
	for i := range f.ifaces {
		n += f.ifaces[i].drops
	}
	return n
}

// section starts a section by the first 16 bytes of its header block.
func (f *pcapng) section(b []byte) (damage string) {
	switch binary.LittleEndian.Uint32(b[8:]) {
	case 0x1a2b3c4d:
		f.big = false
	case 0x4d3c2b1a:
		f.big = true
	default:
		return fmt.Sprintf("pcapng section without byte-order magic (% x)", b[8:12])
	}
	if major, minor := f.u16(b[12:]), f.u16(b[14:]); major != 1 {
		return fmt.Sprintf("pcapng format version %d.%d is not supported, only 1.x", major, minor)
	}
	f.past += f.dropped()
	f.ifaces = nil
	return ""
}

func (f *pcapng) records(b []byte, frames []packet.Frame, input uint32) ([]packet.Frame, int, string) {
	taken := 0
	for len(frames) < cap(frames) {
		r := b[taken:]
		if len(r) < 12 {
			break
		}
		kind := f.u32(r)
		if kind == blockSection { // its byte order governs its own length
			if len(r) < 16 {
				break
			}
			if damage := f.section(r); damage != "" {
				return frames, taken, damage
			}
		}
		n := f.u32(r[4:])
		if n < 12 || kind == blockSection && n < 28 {
			return frames, taken, fmt.Sprintf("the next block (type %#x) claims %d bytes, too few for a block", kind, n)
		}
		if n > maxRecord {
			return frames, taken, fmt.Sprintf("the next block (type %#x) claims %d bytes, more than the %d that are believed", kind, n, maxRecord)
		}
		if len(r) < int(n) {
			break
		}
		if again := f.u32(r[n-4:]); again != n {
			return frames, taken, fmt.Sprintf("the next block (type %#x) gives its length as %d in front and %d behind", kind, n, again)
		}
		var damage string
		if frames, damage = f.block(kind, r[8:n-4], frames, input); damage != "" {
			return frames, taken, fmt.Sprintf("the next block (type %#x) %s", kind, damage)
		}
		taken += int(n)
	}
	return frames, taken, ""
}

// block reads one block's body.
func (f *pcapng) block(kind uint32, b []byte, frames []packet.Frame, input uint32) (_ []packet.Frame, damage string) {
	switch kind {
	case blockEnhanced:
		if len(b) < 20 {
			return frames, tooShort
		}
		return f.packet(f.u32(b), f.u32(b[4:]), f.u32(b[8:]), f.u32(b[12:]), f.u32(b[16:]), b[20:], frames, input)
	case blockPacket:
		if len(b) < 20 {
			return frames, tooShort
		}
		if n := f.u16(b[2:]); n != 0xffff { // not known
			f.gaps += uint64(n)
		}
		return f.packet(uint32(f.u16(b)), f.u32(b[4:]), f.u32(b[8:]), f.u32(b[12:]), f.u32(b[16:]), b[20:], frames, input)
	case blockSimple:
		if len(b) < 4 {
			return frames, tooShort
		}
		f.frame++
		if len(f.ifaces) == 0 {
			f.unnamed++
			return frames, ""
		}
		i := &f.ifaces[0]
		wire := f.u32(b)
		data := b[4:]
		if n := int(min(wire, i.snap())); n < len(data) { // the rest is padding
			data = data[:n]
		}
		return append(frames, i.frame(data, wire, uint32(i.fcs), packet.Frame{At: f.last, Number: f.frame, Input: input})), ""
	case blockInterface:
		if len(b) < 8 {
			return frames, tooShort
		}
		if len(f.ifaces) == maxInterfaces {
			return frames, fmt.Sprintf("describes one more interface than the %d that a section may have", maxInterfaces)
		}
		f.ifaces = append(f.ifaces, f.describe(b))
	case blockStats:
		if len(b) < 12 {
			return frames, tooShort
		}
		if id := f.u32(b); int64(id) < int64(len(f.ifaces)) {
			var n uint64
			f.options(b[12:], func(code uint16, v []byte) {
				if (code == 5 || code == 7) && len(v) == 8 { // isb_ifdrop, isb_osdrop
					n += f.u64(v)
				}
			})
			f.ifaces[id].drops = max(f.ifaces[id].drops, n) // the counts run up
		}
	case blockJournal, blockCustom, blockCustomNo: // Wireshark gives them numbers among the packets
		f.frame++
	}
	return frames, ""
}

const tooShort = "is too short for its type"

// packet reads the data and options of a packet block.
func (f *pcapng) packet(id, hi, lo, captured, wire uint32, b []byte, frames []packet.Frame, input uint32) (_ []packet.Frame, damage string) {
	if int64(captured) > int64(len(b)) {
		return frames, fmt.Sprintf("claims a packet of %d bytes but holds %d", captured, len(b))
	}
	f.frame++
	if int64(id) >= int64(len(f.ifaces)) {
		f.unnamed++
		return frames, ""
	}
	i := &f.ifaces[id]
	at := i.time(uint64(hi)<<32 | uint64(lo))
	if !f.timed { // packets without time stand before it
		f.timed = true
		for k := range frames {
			frames[k].At = at
		}
	}
	f.last = at
	fcs := uint32(i.fcs)
	if pad := (int64(captured) + 3) &^ 3; pad+4 <= int64(len(b)) {
		f.options(b[pad:], func(code uint16, v []byte) {
			switch {
			case code == 2 && len(v) == 4: // epb_flags: bits 5 to 8 give the length of the frame check sequence
				if n := f.u32(v) >> 5 & 15; n > 0 {
					fcs = n
				}
			case code == 4 && len(v) == 8: // epb_dropcount
				f.gaps += f.u64(v)
			}
		})
	}
	return append(frames, i.frame(b[:captured:captured], wire, fcs, packet.Frame{At: at, Number: f.frame, Input: input})), ""
}

// frame completes a frame; a frame check sequence is not part of it.
func (i *iface) frame(data []byte, wire, fcs uint32, fr packet.Frame) packet.Frame {
	if fcs > 0 && wire >= fcs {
		wire -= fcs
		data = data[:min(len(data), int(wire))]
	}
	fr.Data, fr.WireLen, fr.Link = data[:len(data):len(data)], wire, i.link
	return fr
}

// snap returns the capture length of the interface; 0 in the file means no limit.
func (i *iface) snap() uint32 {
	if i.snaplen == 0 {
		return math.MaxUint32
	}
	return i.snaplen
}

// describe reads an interface description block.
func (f *pcapng) describe(b []byte) iface {
	i := iface{link: packet.LinkType(f.u16(b)), snaplen: f.u32(b[4:]), resol: 6}
	f.options(b[8:], func(code uint16, v []byte) {
		switch {
		case code == 9 && len(v) >= 1: // if_tsresol
			i.resol = v[0]
		case code == 13 && len(v) >= 1: // if_fcslen
			i.fcs = v[0]
		case code == 14 && len(v) == 8: // if_tsoffset
			i.offset = int64(f.u64(v))
		}
	})
	return i
}

// time converts a count of the interface's units.
func (i *iface) time(n uint64) packet.Time {
	if i.resol&0x80 != 0 { // 2^-r seconds: n * 10^9 >> r in 128 bits
		r := uint(i.resol & 0x7f)
		hi, lo := bits.Mul64(n, 1_000_000_000)
		if r >= 64 {
			hi, lo, r = 0, hi, r-64
		}
		return clampTime(hi>>r, lo>>r|hi<<(64-r), i.offset)
	}
	if i.resol <= 9 {
		hi, lo := bits.Mul64(n, pow10(9-i.resol))
		return clampTime(hi, lo, i.offset)
	}
	if i.resol > 9+19 { // below 10^-19 ns nothing of 64 bits is left
		return clampTime(0, 0, i.offset)
	}
	return clampTime(0, n/pow10(i.resol-9), i.offset)
}

func pow10(n uint8) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// options calls f for every option of a block (code, length, value padded to 4 bytes) up to the first that doesn't fit.
func (f *pcapng) options(b []byte, each func(code uint16, value []byte)) {
	for len(b) >= 4 {
		code, n := f.u16(b), int(f.u16(b[2:]))
		if code == 0 || n > len(b)-4 {
			return
		}
		each(code, b[4:4+n])
		if n = 4 + (n+3)&^3; n > len(b) {
			return
		}
		b = b[n:]
	}
}

// clampTime makes a time of seconds offset and a 128-bit count of ns; what an int64 can not hold becomes its end.
func clampTime(hi, lo uint64, offset int64) packet.Time {
	t := int64(math.MaxInt64)
	if hi == 0 && lo <= math.MaxInt64 {
		t = int64(lo)
	}
	switch {
	case offset > math.MaxInt64/1_000_000_000:
		return math.MaxInt64
	case offset < math.MinInt64/1_000_000_000:
		return math.MinInt64
	}
	if offset *= 1_000_000_000; offset > 0 && t > math.MaxInt64-offset {
		return math.MaxInt64
	}
	return packet.Time(t + offset)
}
