package tls

import (
	"encoding/binary"

	"neuromast/flows"
)

const (
	recordHeader    = 5 // type, version, length (RFC 8446, 5.1)
	handshakeHeader = 4 // type, length (RFC 8446, 4)
	maxRecord       = 1<<14 + 256
	maxHello        = 16 << 10 // bytes of the handshake message
	maxKept         = 4 << 10  // buffer that a pooled parser keeps

	typeHandshake   = 22
	typeClientHello = 1
)

// Parser reads one connection up to the end of its ClientHello.
type Parser struct {
	stats  *Stats
	hello  hello
	buf    []byte // the handshake message so far, records' headers taken out
	head   [recordHeader]byte
	headed int       // how many bytes of head are set
	left   int       // bytes of the current record that are still to come
	from   flows.Dir // who spoke first
	began  bool
}

// New returns a parser that counts in stats.
func New(stats *Stats) *Parser { return &Parser{stats: stats} }

// Reset implements stream.Parser. A connection whose start was not seen is asked once: the handshake may still come.
func (p *Parser) Reset(bool) {
	if cap(p.buf) > maxKept {
		p.buf = nil
	}
	p.buf, p.headed, p.left, p.began = p.buf[:0], 0, 0, false
}

// Gap implements stream.Parser. What is missing can not be guessed: Data will give up.
func (p *Parser) Gap(_ *flows.Out, _ *flows.Conn, dir flows.Dir, _ int) {
	if p.began && dir == p.from {
		p.left, p.headed = -1, 0
	}
}

// Flush implements stream.Parser. Nothing waits here.
func (p *Parser) Flush(*flows.Out, *flows.Conn, bool) {}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	if len(b) == 0 {
		return true
	}
	if !p.began {
		p.began, p.from = true, dir
		if len(b) >= 3 && b[0]&0x80 != 0 && b[2] == typeClientHello {
			p.stats.SSLv2++
			return false
		}
		if body, ok := whole(b); ok { // the usual case
			p.finish(out, c, body, ref)
			return false
		}
	}
	switch {
	case p.left < 0:
		p.stats.Gaps++
		return false
	case dir != p.from: // the other side answers before the message is complete
		p.stats.NotHello++
		return false
	}
	for len(b) > 0 {
		if p.left == 0 {
			n := copy(p.head[p.headed:], b)
			p.headed += n
			b = b[n:]
			if !handshakeRecord(p.head[:p.headed]) {
				p.stats.NotHello++
				return false
			}
			if p.headed == recordHeader {
				p.left, p.headed = int(binary.BigEndian.Uint16(p.head[3:])), 0
			}
			continue
		}
		n := min(p.left, len(b))
		if size, ok := p.size(); ok {
			n = min(n, size-len(p.buf))
		} else {
			n = min(n, handshakeHeader-len(p.buf))
		}
		p.buf = append(p.buf, b[:n]...)
		p.left -= n
		b = b[n:]
		if p.buf[0] != typeClientHello {
			p.stats.NotHello++
			return false
		}
		if size, ok := p.size(); ok {
			if size > maxHello {
				p.stats.TooLong++
				return false
			}
			if len(p.buf) == size {
				p.finish(out, c, p.buf[handshakeHeader:], ref)
				return false
			}
		}
	}
	return true
}

// size returns the length of the handshake message with its header, once that is there.
func (p *Parser) size() (int, bool) {
	if len(p.buf) < handshakeHeader {
		return 0, false
	}
	return handshakeHeader + int(binary.BigEndian.Uint32(p.buf)&0xffffff), true
}

// whole returns the body of a ClientHello that lies in b as one record.
func whole(b []byte) (body []byte, ok bool) {
	const head = recordHeader + handshakeHeader
	if len(b) < head || !handshakeRecord(b[:recordHeader]) || b[recordHeader] != typeClientHello {
		return nil, false
	}
	n := int(binary.BigEndian.Uint32(b[recordHeader:]) & 0xffffff)
	if n+handshakeHeader > int(binary.BigEndian.Uint16(b[3:])) || head+n > len(b) || handshakeHeader+n > maxHello {
		return nil, false
	}
	return b[head : head+n], true
}

// handshakeRecord says that b, the first bytes of a record header, may belong to a handshake record of SSL 3 or TLS.
func handshakeRecord(b []byte) bool {
	switch {
	case b[0] != typeHandshake,
		len(b) > 1 && b[1] != 3,
		len(b) > 2 && b[2] > 4:
		return false
	case len(b) == recordHeader:
		n := binary.BigEndian.Uint16(b[3:])
		return n > 0 && n <= maxRecord
	}
	return true
}

// finish writes the fact of a complete message.
func (p *Parser) finish(out *flows.Out, c *flows.Conn, body []byte, ref flows.Ref) {
	p.hello.write(out, c, body, ref, false, p.stats)
}

// write writes the fact of a complete message, and says false where it is malformed.
func (h *hello) write(out *flows.Out, c *flows.Conn, body []byte, ref flows.Ref, quic bool, stats *Stats) bool {
	if !h.read(body) {
		stats.Malformed++
		return false
	}
	stats.Hellos++
	ja4 := h.ja4()
	if quic {
		ja4[0] = 'q'
	}
	out.TLS(&flows.TLS{
		Meta: flows.Meta{Ref: ref}, Conn: *c, ServerName: out.Put(h.serverName()), ALPN: out.Put(h.alpn),
		JA4: out.Put(ja4[:]), JA3: h.ja3(), Version: h.version(), QUIC: quic,
	})
	return true
}

// Hellos writes the facts of ClientHellos that QUIC carries (RFC 9001, 4). One shard uses it.
type Hellos struct {
	hello hello
	stats *Stats
}

// NewHellos returns one that counts in stats.
func NewHellos(stats *Stats) *Hellos { return &Hellos{stats: stats} }

// Write writes the fact of the ClientHello with the given body, and says false where it is malformed.
func (h *Hellos) Write(out *flows.Out, c *flows.Conn, body []byte, ref flows.Ref) bool {
	return h.hello.write(out, c, body, ref, true, h.stats)
}
