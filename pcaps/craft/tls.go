package craft

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Web tells one HTTPS connection: ClientHello with the server's name, a server flight, up bytes of request and down
// bytes of answer as application data, then an orderly end.
func (n *Net) Web(at time.Time, client, server *Host, port uint16, name string, up, down int) time.Time {
	c := n.Dial(at, client, server, port)
	c.Hello(name, true)
	c.Client(Records(n, up))
	c.Server(Records(n, down))
	c.Close()
	return c.Now
}

// Hello tells the handshake: ClientHello with the server's name, then TLS 1.3's opaque flight or TLS 1.2's clear one.
func (c *Conn) Hello(name string, tls13 bool) {
	c.Client(clientHello(c.n, name))
	hello := record(22, Join([]byte{2, 0, 0, 86, 3, 3}, c.n.Bytes(84)))
	if tls13 {
		c.Server(Join(hello, record(20, []byte{1}), record(23, c.n.Bytes(2600+c.n.Rand.IntN(1800)))))
	} else {
		c.Server(Join(hello, record(22, Join([]byte{11, 0, 4, 0}, c.n.Bytes(1024))), record(22, []byte{14, 0, 0, 0})))
	}
	c.Client(Join(record(20, []byte{1}), record(23, c.n.Bytes(53))))
}

// HTTP tells one plain HTTP exchange.
func (n *Net) HTTP(at time.Time, client, server *Host, port uint16, host, path string, up, down int) time.Time {
	c := n.Dial(at, client, server, port)
	method := "GET"
	if up > 0 {
		method = "POST"
	}
	c.Client(append(fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0\r\nContent-Length: %d\r\n\r\n", method, path, host, up), n.Bytes(up)...))
	c.Server(append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n", down), n.Bytes(down)...))
	c.Close()
	return c.Now
}

// record is one TLS record (RFC 8446, 5.1).
func record(kind byte, body []byte) []byte {
	return append([]byte{kind, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...)
}

// Records is size bytes as application data.
func Records(n *Net, size int) []byte {
	var out []byte
	for size > 0 {
		part := min(size, 16384)
		out = append(out, record(23, n.Bytes(part))...)
		size -= part
	}
	return out
}

// clientHello is what a current browser sends (RFC 8446, 4.1.2), in short.
func clientHello(n *Net, name string) []byte {
	be := binary.BigEndian
	ext := func(kind uint16, body []byte) []byte {
		return append(be.AppendUint16(be.AppendUint16(nil, kind), uint16(len(body))), body...)
	}
	list16 := func(body []byte) []byte { return append(be.AppendUint16(nil, uint16(len(body))), body...) }
	sni := list16(Join([]byte{0}, list16([]byte(name))))
	alpn := list16([]byte("\x02h2\x08http/1.1"))
	exts := Join(
		ext(0, sni), ext(23, nil), ext(0xff01, []byte{0}), ext(10, list16([]byte{0, 29, 0, 23, 0, 24})), ext(11, []byte{1, 0}),
		ext(35, nil), ext(16, alpn), ext(5, []byte{1, 0, 0, 0, 0}),
		ext(13, list16([]byte{4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1})),
		ext(21, make([]byte, 200)), ext(51, list16(Join([]byte{0, 29, 0, 32}, n.Bytes(32)))), ext(45, []byte{1, 1}), ext(43, []byte{4, 3, 4, 3, 3}))
	ciphers := []byte{0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc, 0xa8, 0xc0, 0x13, 0xc0, 0x14, 0, 0x9c, 0, 0x9d, 0, 0x2f, 0, 0x35}
	hello := Join([]byte{3, 3}, n.Bytes(32), []byte{32}, n.Bytes(32), list16(ciphers), []byte{1, 0}, list16(exts))
	return record(22, Join([]byte{1, 0, byte(len(hello) >> 8), byte(len(hello))}, hello))
}
