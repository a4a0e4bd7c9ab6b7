package proto

import (
	"encoding/binary"

	"neuromast/flows/proto/ber"
)

// isKerberosTCP wants a message behind its length (RFC 4120, 7.2.2).
func isKerberosTCP(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	n := int(binary.BigEndian.Uint32(b))
	return n > 12 && n < 1<<24 && isKerberos(b[4:], n)
}

// isKerberos wants an application tag, a sequence that fills it, and protocol version 5 as its first number (RFC 4120,
// 5.4 to 5.10). The message has n bytes.
func isKerberos(b []byte, n int) bool {
	tag, at, size, ok := ber.Element(b)
	if !ok || at+size != n {
		return false
	}
	switch tag {
	case 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x74, 0x75, 0x76, 0x7e:
	default:
		return false
	}
	b = b[at:]
	seq, at, inner, ok := ber.Element(b)
	if !ok || seq != 0x30 || at+inner != size {
		return false
	}
	first := byte(0xa0)
	if tag == 0x6a || tag == 0x6c { // requests number their fields from 1
		first = 0xa1
	}
	b = b[at:]
	return len(b) >= 5 && b[0] == first && b[1] == 3 && b[2] == 2 && b[3] == 1 && b[4] == 5
}

// isLDAP wants a message id and an operation that fits into the message (RFC 4511, 4.1.1).
func isLDAP(b []byte) bool {
	tag, at, size, ok := ber.Element(b)
	if !ok || tag != 0x30 || size < 5 {
		return false
	}
	b = b[at:]
	tag, at, n, ok := ber.Element(b)
	if !ok || tag != 2 || n < 1 || n > 4 || at+n >= len(b) || b[at] >= 0x80 {
		return false
	}
	left := size - at - n
	b = b[at+n:]
	op, at, n, ok := ber.Element(b)
	if !ok || at+n > left {
		return false
	}
	b = b[at:]
	switch op {
	case 0x60: // bind: version 2 or 3
		return len(b) >= 3 && b[0] == 2 && b[1] == 1 && (b[2] == 2 || b[2] == 3)
	case 0x63, 0x64, 0x66, 0x68, 0x6c, 0x6e: // search, entry, modify, add, rename, compare: a name first
		return n >= 2 && len(b) >= 1 && b[0] == 4
	case 0x61, 0x65, 0x67, 0x69, 0x6b, 0x6d, 0x6f, 0x78: // results: a code of one byte first
		return n >= 7 && len(b) >= 3 && b[0] == 10 && b[1] == 1
	case 0x73: // reference
		return n >= 2 && len(b) >= 1 && b[0] == 4
	case 0x77: // extended request: an OID in context 0
		return n >= 2 && len(b) >= 1 && b[0] == 0x80
	case 0x42: // unbind
		return n == 0
	case 0x4a: // delete
		return n > 0
	case 0x50: // abandon: a message id
		return n >= 1 && n <= 4
	}
	return false
}

// isSNMP wants a version and what follows it: a community and a PDU (RFC 1157, 4; RFC 3416, 3) or the header of version 3
// (RFC 3412, 6).
func isSNMP(b []byte) bool {
	tag, at, size, ok := ber.Element(b)
	if !ok || tag != 0x30 || at+size < len(b) || len(b) < at+8 {
		return false
	}
	b = b[at:]
	if b[0] != 2 || b[1] != 1 {
		return false
	}
	version := b[2]
	b = b[3:]
	tag, at, n, ok := ber.Element(b)
	if !ok || at+n+3 > size {
		return false
	}
	switch version {
	case 0, 1:
		return tag == 4 && at+n < len(b) && b[at+n] >= 0xa0 && b[at+n] <= 0xa8
	case 3:
		return tag == 0x30 && n >= 12 && len(b) > at && b[at] == 2
	}
	return false
}
