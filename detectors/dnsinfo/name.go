package dnsinfo

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// name is a question's name, cut where information begins. It borrows the question's bytes.
type name struct {
	below  []byte // wire labels below the registered domain, without the root
	domain string // registered domain as text, lower case
	labels int    // of below
}

// maxLabels is what a name of 255 bytes can hold at most (RFC 1035, 2.3.4).
const maxLabels = 128

// split cuts wire labels at the registered domain; ok is false where there is none, or the name is of no interest. Buf is
// reused.
func split(wire []byte, buf []byte) (n name, text []byte, ok bool) {
	var starts [maxLabels]uint8
	count, end := 0, 0
	for end < len(wire) && wire[end] != 0 {
		next := end + 1 + int(wire[end])
		if next > min(len(wire), 255) || count == maxLabels {
			return n, buf, false
		}
		starts[count] = uint8(end)
		count++
		end = next
	}
	if count < 2 {
		return n, buf, false
	}
	buf = buf[:0]
	for k := max(0, count-suffixLabels); k < count; k++ {
		if len(buf) > 0 {
			buf = append(buf, '.')
		}
		at := int(starts[k])
		for _, c := range wire[at+1 : at+1+int(wire[at])] {
			buf = append(buf, plain(c))
		}
	}
	tail := string(buf)
	if strings.HasSuffix(tail, ".arpa") || strings.HasSuffix(tail, ".local") || strings.HasSuffix(tail, ".localhost") {
		return n, buf, false
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(tail)
	if err != nil {
		return n, buf, false
	}
	n.labels = count - strings.Count(domain, ".") - 1
	if n.labels < 0 {
		return n, buf, false
	}
	n.domain = domain
	n.below = wire[:end]
	if n.labels < count {
		n.below = wire[:starts[n.labels]]
	}
	return n, buf, true
}

// suffixLabels is how many labels a registered domain has at most: the longest public suffixes have five.
const suffixLabels = 6

// plain makes a byte fit for a domain in text: lower case, and ? for what no registered domain holds, so that foreign
// bytes can not look like a dot, a quote or an end.
func plain(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		return c
	}
	return '?'
}

// each calls f for every label of wire labels.
func each(wire []byte, f func(label []byte)) {
	for i := 0; i < len(wire) && wire[i] != 0; {
		end := min(len(wire), i+1+int(wire[i]))
		f(wire[i+1 : end])
		i = end
	}
}

// size is how many bytes of content labels hold, without their length bytes.
func (n *name) size() int { return len(n.below) - n.labels }

// isLookup says that the labels begin with a reversed IPv4 address or the nibbles of an IPv6 address, as DNSBL ask
// (RFC 5782).
func (n *name) isLookup() bool {
	octets, nibbles, first := 0, 0, true
	each(n.below, func(l []byte) {
		if !first {
			return
		}
		switch {
		case isOctet(l):
			octets++
			if len(l) == 1 {
				nibbles++
			}
		case len(l) == 1 && isHex(l[0]):
			nibbles++
		default:
			first = false
		}
	})
	return octets == 4 && nibbles < 32 || nibbles >= 32
}

func isOctet(l []byte) bool {
	v := 0
	for _, c := range l {
		if c < '0' || c > '9' {
			return false
		}
		v = v*10 + int(c-'0')
	}
	return len(l) > 0 && len(l) <= 3 && v <= 255
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// isExpansion says that what stands below is itself a name under a top-level domain, maybe with more labels after it: a
// resolver's search list at work.
func (n *name) isExpansion() bool {
	at, found := 0, false
	each(n.below, func(l []byte) {
		if at++; at > 1 && !found {
			_, found = publicsuffix.PublicSuffix(string(l))
		}
	})
	return found
}
