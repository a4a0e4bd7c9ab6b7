package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"neuromast/sensor/packet"
)

// The block types of pcapng (draft-ietf-opsawg-pcapng).
const (
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockStats     = 5
	blockEnhanced  = 6
	blockSection   = 0x0a0d0d0a
)

// pcapng is the block format. A section may change byte order; it has its own interfaces.
type pcapng struct {
	order      binary.ByteOrder
	interfaces []iface
	last       packet.Time // of the record before, for those without a time
	dropped    uint64
	ifDrops    map[uint32]uint64
}

type iface struct {
	link   packet.LinkType
	snap   uint32
	fcs    int
	offset int64  // seconds
	per    uint64 // units a second
	shift  uint8  // where per is a power of two
	binary bool
}

func (p *pcapng) drops() uint64 {
	n := p.dropped
	for _, d := range p.ifDrops {
		n += d
	}
	return n
}

func (p *pcapng) next(b []byte, h *frameHeader) (n, want int, frame bool, bad error) {
	if len(b) < 12 {
		return 0, 12, false, nil
	}
	if binary.BigEndian.Uint32(b) == blockSection {
		switch {
		case binary.LittleEndian.Uint32(b[8:]) == 0x1a2b3c4d:
			p.order = binary.LittleEndian
		case binary.BigEndian.Uint32(b[8:]) == 0x1a2b3c4d:
			p.order = binary.BigEndian
		default:
			return 0, 0, false, errors.New("a section header has no byte-order magic")
		}
		p.dropped, p.ifDrops, p.interfaces = p.drops(), nil, p.interfaces[:0]
	}
	if p.order == nil {
		return 0, 0, false, errors.New("a block stands before the first section header")
	}
	size := p.order.Uint32(b[4:])
	if size < 12 || size > maxRecord || size%4 != 0 {
		return 0, 0, false, fmt.Errorf("a block claims %d bytes", size)
	}
	n = int(size)
	if len(b) < n {
		return 0, n, false, nil
	}
	if p.order.Uint32(b[n-4:]) != size {
		return 0, 0, false, errors.New("a block's two lengths differ")
	}
	body := b[8 : n-4]
	switch p.order.Uint32(b) {
	case blockInterface:
		bad = p.addInterface(body)
	case blockEnhanced:
		frame, bad = p.enhanced(body, h)
	case blockPacket:
		frame, bad = p.obsolete(body, h)
	case blockSimple:
		frame, bad = p.simple(body, h)
	case blockStats:
		p.stats(body)
	}
	return n, 0, frame, bad
}

// maxInterfaces bounds what one section may describe; no machine has as many.
const maxInterfaces = 1 << 16

func (p *pcapng) addInterface(b []byte) error {
	if len(b) < 8 {
		return errors.New("an interface block is too short")
	}
	if len(p.interfaces) == maxInterfaces {
		return errors.New("more interfaces than are believed")
	}
	i := iface{link: packet.LinkType(p.order.Uint16(b)), snap: p.order.Uint32(b[4:]), per: 1e6}
	p.options(b[8:], func(code uint16, v []byte) {
		switch {
		case code == 9 && len(v) >= 1: // if_tsresol
			if e := v[0] & 0x7f; v[0]&0x80 != 0 {
				i.binary, i.shift = true, min(e, 63)
			} else {
				i.per = 1
				for range min(e, 19) {
					i.per *= 10
				}
			}
		case code == 14 && len(v) >= 8: // if_tsoffset
			i.offset = int64(p.order.Uint64(v))
		case code == 13 && len(v) >= 1: // if_fcslen, in bytes here
			i.fcs = int(v[0])
		}
	})
	p.interfaces = append(p.interfaces, i)
	return nil
}

// options walks a list of options; a malformed one ends it.
func (p *pcapng) options(b []byte, f func(code uint16, v []byte)) {
	for len(b) >= 4 {
		code, size := p.order.Uint16(b), int(p.order.Uint16(b[2:]))
		if code == 0 || size > len(b)-4 {
			return
		}
		f(code, b[4:4+size])
		b = b[min(4+(size+3)&^3, len(b)):]
	}
}

// time converts an interface's units into nanoseconds; what doesn't fit is clamped.
func (i *iface) time(high, low uint32) packet.Time {
	t := uint64(high)<<32 | uint64(low)
	var sec, frac uint64
	if i.binary {
		sec = t >> i.shift
		hi, lo := bits.Mul64(t&(1<<i.shift-1), 1e9)
		frac = lo
		if i.shift > 0 {
			frac = lo>>i.shift | hi<<(64-i.shift)
		}
	} else {
		sec = t / i.per
		hi, lo := bits.Mul64(t%i.per, 1e9)
		frac, _ = bits.Div64(hi, lo, i.per)
	}
	const most = int64(math.MaxInt64/1_000_000_000 - 1)
	s := int64(min(sec, uint64(most)))
	if i.offset > most-s {
		s = most
	} else {
		s = max(s+max(i.offset, -most), 0)
	}
	return packet.Time(s*1e9 + int64(frac))
}

func (p *pcapng) iface(n uint32) (*iface, error) {
	if int(n) >= len(p.interfaces) {
		return nil, fmt.Errorf("a packet names interface %d of %d", n, len(p.interfaces))
	}
	return &p.interfaces[n], nil
}

// fill makes a frame of captured bytes that lie off bytes into the block.
func (p *pcapng) fill(h *frameHeader, i *iface, off int, captured, wire uint32, at packet.Time, fcs int) {
	p.last = at
	*h = frameHeader{off: off, len: max(int(captured)-fcs, 0), frame: packet.Frame{At: at, Link: i.link, WireLen: max(wire, captured)}}
}

func (p *pcapng) enhanced(b []byte, h *frameHeader) (bool, error) {
	if len(b) < 20 {
		return false, errors.New("a packet block is too short")
	}
	i, err := p.iface(p.order.Uint32(b))
	if err != nil {
		return false, err
	}
	captured := p.order.Uint32(b[12:])
	if int64(captured) > int64(len(b)-20) {
		return false, fmt.Errorf("a packet claims %d bytes of a block of %d", captured, len(b)+12)
	}
	fcs := i.fcs
	p.options(b[min(20+(int(captured)+3)&^3, len(b)):], func(code uint16, v []byte) {
		if code == 2 && len(v) >= 4 { // epb_flags: bits 5 to 8 are the length of the FCS
			if n := int(p.order.Uint32(v)>>5) & 15; n > 0 {
				fcs = n
			}
		}
	})
	p.fill(h, i, 28, captured, p.order.Uint32(b[16:]), i.time(p.order.Uint32(b[4:]), p.order.Uint32(b[8:])), fcs)
	return true, nil
}

func (p *pcapng) obsolete(b []byte, h *frameHeader) (bool, error) {
	if len(b) < 20 {
		return false, errors.New("a packet block is too short")
	}
	i, err := p.iface(uint32(p.order.Uint16(b)))
	if err != nil {
		return false, err
	}
	captured := p.order.Uint32(b[12:])
	if int64(captured) > int64(len(b)-20) {
		return false, fmt.Errorf("a packet claims %d bytes of a block of %d", captured, len(b)+12)
	}
	if d := p.order.Uint16(b[2:]); d != 0xffff {
		p.dropped += uint64(d)
	}
	p.fill(h, i, 28, captured, p.order.Uint32(b[16:]), i.time(p.order.Uint32(b[4:]), p.order.Uint32(b[8:])), i.fcs)
	return true, nil
}

// simple blocks have neither time nor interface: the section's first one, and the time before.
func (p *pcapng) simple(b []byte, h *frameHeader) (bool, error) {
	if len(b) < 4 {
		return false, errors.New("a packet block is too short")
	}
	i, err := p.iface(0)
	if err != nil {
		return false, err
	}
	wire := p.order.Uint32(b)
	captured := min(wire, uint32(len(b)-4))
	if i.snap > 0 {
		captured = min(captured, i.snap)
	}
	p.fill(h, i, 12, captured, wire, p.last, i.fcs)
	return true, nil
}

// stats keeps what the capturing machine says that it dropped.
func (p *pcapng) stats(b []byte) {
	if len(b) < 12 {
		return
	}
	id := p.order.Uint32(b)
	p.options(b[12:], func(code uint16, v []byte) {
		if code == 5 && len(v) >= 8 && id < maxInterfaces { // isb_ifdrop, cumulative
			if p.ifDrops == nil {
				p.ifDrops = map[uint32]uint64{}
			}
			p.ifDrops[id] = p.order.Uint64(v)
		}
	})
}
