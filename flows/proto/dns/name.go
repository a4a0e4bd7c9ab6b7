package dns

import "encoding/binary"

// name is a domain name as lower-cased wire labels.
type name struct {
	wire    [maxName]byte
	n       int
	letters uint8 // letter cases met: lowerCase | upperCase
}

const (
	lowerCase = 1 << iota
	upperCase
)

// cases classifies bytes; upperCase shifted by four is the bit that lowers an ASCII letter.
var cases = func() (t [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-0x20] = lowerCase, upperCase
	}
	return t
}()

func (n *name) bytes() []byte { return n.wire[:n.n] }

// mixed says that the name came in both cases.
func (n *name) mixed() bool { return n.letters == lowerCase|upperCase }

// read overwrites n with the name at off and returns the offset behind it, or -1 where the name is malformed or runs
// past the message. A pointer (RFC 1035, 4.1.4) must lead before the run of labels that it ends, so that loops are
// impossible, and behind the header.
func (n *name) read(msg []byte, off int) (next int) {
	n.n, n.letters = 0, 0
	next = -1
	run, hops := off, 0
	for off < len(msg) {
		c := int(msg[off])
		switch {
		case c == 0:
			n.wire[n.n] = 0
			n.n++
			if next < 0 {
				next = off + 1
			}
			return next
		case c < 0x40:
			if off+1+c > len(msg) || n.n+1+c >= maxName {
				return -1
			}
			to := n.wire[n.n : n.n+1+c]
			to[0] = byte(c)
			seen := n.letters
			for i, b := range msg[off+1 : off+1+c] {
				k := cases[b]
				seen |= k
				to[1+i] = b | k&upperCase<<4
			}
			n.letters = seen
			n.n += 1 + c
			off += 1 + c
		case c >= 0xc0:
			if off+2 > len(msg) {
				return -1
			}
			to := int(binary.BigEndian.Uint16(msg[off:])) & 0x3fff
			if next < 0 {
				next = off + 2
			}
			if hops++; to >= run || to < headerLen || hops > maxHops {
				return -1
			}
			run, off = to, to
		default: // 01 and 10 are reserved
			return -1
		}
	}
	return -1
}

// skipName returns the offset behind the name at off without following pointers, or -1.
func skipName(msg []byte, off int) int {
	for start := off; off < len(msg) && off-start < maxName; {
		switch c := int(msg[off]); {
		case c == 0:
			return off + 1
		case c < 0x40:
			off += 1 + c
		case c >= 0xc0 && off+2 <= len(msg):
			return off + 2
		default:
			return -1
		}
	}
	return -1
}

// decodeNetBIOS replaces a first label in NetBIOS' first-level encoding (RFC 1001, 14.1: 16 bytes as 32 letters A to P)
// by the name it stands for, without padding and without the suffix byte. Anything else stays as it is.
func (n *name) decodeNetBIOS() {
	if n.n < 34 || n.wire[0] != 32 {
		return
	}
	var plain [16]byte
	for i := range plain {
		hi, lo := n.wire[1+2*i]-'a', n.wire[2+2*i]-'a'
		if hi > 15 || lo > 15 {
			return
		}
		plain[i] = hi<<4 | lo
	}
	size := 15
	for size > 0 && (plain[size-1] == ' ' || plain[size-1] == 0) {
		size--
	}
	if size == 0 {
		return
	}
	scope := n.wire[33:n.n]
	n.wire[0] = byte(size)
	for i, b := range plain[:size] {
		n.wire[1+i] = b | cases[b]&upperCase<<4
	}
	n.n = 1 + size + copy(n.wire[1+size:], scope)
	n.letters = 0 // the encoding has one case
}
