package capture

import (
	"encoding/binary"
	"fmt"

	"neuromast/sensor/packet"
)

// maxRecord is the longest record that is believed: above any snap length in use; a longer one is damage.
const maxRecord = 16 << 20

// frameHeader is what a format says of one record: the frame without its bytes, and where they lie in the record.
type frameHeader struct {
	frame    packet.Frame
	off, len int
}

// pcap is the classic format (draft-ietf-opsawg-pcap).
type pcap struct {
	order binary.ByteOrder
	unit  int64 // nanoseconds of the timestamp's fraction
	extra int   // bytes of a record's header beyond 16
	link  packet.LinkType
	fcs   int // bytes of frame check sequence at the end of frames
}

// newPcap reads the file's header; nil where b is another format's.
func newPcap(b []byte) (format, int, error) {
	p := &pcap{order: binary.LittleEndian, unit: 1000}
	switch binary.BigEndian.Uint32(b) {
	case 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34:
		p.order = binary.BigEndian
	}
	switch p.order.Uint32(b) {
	case 0xa1b2c3d4:
	case 0xa1b23c4d:
		p.unit = 1
	case 0xa1b2cd34: // Kuznetzov's: interface, protocol and packet type follow each record's header
		p.extra = 8
	default:
		return nil, 0, nil
	}
	if len(b) < 24 {
		return nil, 0, fmt.Errorf("%w: the pcap header is cut off after %d of 24 bytes", errNoCapture, len(b))
	}
	if major, minor := p.order.Uint16(b[4:]), p.order.Uint16(b[6:]); major != 2 {
		return nil, 0, fmt.Errorf("%w: pcap version %d.%d is not known", errNoCapture, major, minor)
	}
	network := p.order.Uint32(b[20:])
	p.link = packet.LinkType(network)
	if network&(1<<26) != 0 { // the FCS length is given, in 16-bit units
		p.fcs = int(network>>28) * 2
	}
	return p, 24, nil
}

func (p *pcap) drops() uint64 { return 0 }

func (p *pcap) next(b []byte, h *frameHeader) (n, want int, frame bool, bad error) {
	head := 16 + p.extra
	if len(b) < head {
		return 0, head, false, nil
	}
	captured, wire := p.order.Uint32(b[8:]), p.order.Uint32(b[12:])
	if captured > maxRecord {
		return 0, 0, false, fmt.Errorf("a record claims %d bytes", captured)
	}
	n = head + int(captured)
	if len(b) < n {
		return 0, n, false, nil
	}
	*h = frameHeader{off: head, len: max(int(captured)-p.fcs, 0), frame: packet.Frame{
		At:   packet.Time(int64(p.order.Uint32(b))*1e9 + int64(p.order.Uint32(b[4:]))*p.unit),
		Link: p.link, WireLen: max(wire, captured),
	}}
	return n, 0, true, nil
}
