package workload

import (
	"encoding/binary"
	"io"
)

// frames writes a capture of hand-made frames: pcap, microseconds, Ethernet. Millions of frames go through it, so that it
// builds them in place.
type frames struct {
	w   io.Writer
	b   [16 + 1600]byte
	err error
	id  uint16
}

func newFrames(w io.Writer) *frames {
	f := &frames{w: w}
	h := make([]byte, 24)
	binary.LittleEndian.PutUint32(h, 0xa1b2c3d4)
	binary.LittleEndian.PutUint16(h[4:], 2)
	binary.LittleEndian.PutUint16(h[6:], 4)
	binary.LittleEndian.PutUint32(h[16:], 262144)
	binary.LittleEndian.PutUint32(h[20:], 1)
	_, f.err = w.Write(h)
	return f
}

// startSecond is when the workloads begin: 2026-03-02T09:00:00Z.
const startSecond = 1_772_442_000

// ends of a packet.
type ends struct {
	src, dst     uint32
	sport, dport uint16
}

func (e ends) back() ends { return ends{e.dst, e.src, e.dport, e.sport} }

// tcp writes a segment without payload, udp a datagram; frames are filled up to 60 bytes.
func (f *frames) tcp(us int64, e ends, flags byte, seq, ack uint32) {
	p := f.ip(e, 6, 20)
	be := binary.BigEndian
	be.PutUint32(p[4:], seq)
	be.PutUint32(p[8:], ack)
	p[12], p[13] = 5<<4, flags
	be.PutUint16(p[14:], 64240)
	be.PutUint16(p[16:], 0)
	be.PutUint16(p[18:], 0)
	be.PutUint16(p[16:], f.sum(p[:20], 6))
	f.put(us, 14+20+20)
}

func (f *frames) udp(us int64, e ends, payload []byte) {
	p := f.ip(e, 17, 8+len(payload))
	be := binary.BigEndian
	be.PutUint16(p[4:], uint16(8+len(payload)))
	be.PutUint16(p[6:], 0)
	copy(p[8:], payload)
	sum := f.sum(p[:8+len(payload)], 17)
	if sum == 0 {
		sum = 0xffff
	}
	be.PutUint16(p[6:], sum)
	f.put(us, 14+20+8+len(payload))
}

// ip writes Ethernet and IPv4 headers and the ports, and returns what lies behind the IP header.
func (f *frames) ip(e ends, proto byte, length int) []byte {
	b, be := f.b[16:], binary.BigEndian
	copy(b, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00")
	h := b[14:34]
	be.PutUint16(h[2:], uint16(20+length))
	f.id++
	be.PutUint16(h[4:], f.id)
	h[6], h[7], h[8], h[9], h[10], h[11] = 0x40, 0, 64, proto, 0, 0
	be.PutUint32(h[12:], e.src)
	be.PutUint32(h[16:], e.dst)
	be.PutUint16(h[10:], ^fold(words(h)))
	be.PutUint16(b[34:], e.sport)
	be.PutUint16(b[36:], e.dport)
	return b[34:]
}

// sum is a transport checksum (RFC 9293, 3.1; RFC 768).
func (f *frames) sum(p []byte, proto byte) uint16 {
	return ^fold(words(p) + words(f.b[16+26:16+34]) + uint32(proto) + uint32(len(p)))
}

func words(b []byte) (sum uint32) {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func (f *frames) put(us int64, n int) {
	if f.err != nil {
		return
	}
	for ; n < 60; n++ {
		f.b[16+n] = 0
	}
	le := binary.LittleEndian
	le.PutUint32(f.b[0:], uint32(startSecond+us/1e6))
	le.PutUint32(f.b[4:], uint32(us%1e6))
	le.PutUint32(f.b[8:], uint32(n))
	le.PutUint32(f.b[12:], uint32(n))
	_, f.err = f.w.Write(f.b[:16+n])
}
