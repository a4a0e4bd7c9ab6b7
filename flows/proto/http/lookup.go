package http

import "bytes"

// Bounds of the search for look-ups: nesting, how many places of a head are tried, and the length of what is decoded.
const (
	maxNesting = 10
	maxTried   = 16
	maxDecoded = 4 << 10
)

// lookups finds the expression by which Log4j and its like ask a directory named in their input (JNDI), in a target or header,
// also where parts of it are look-ups themselves, as in ${${lower:J}ndi:…}, or where it is percent-encoded once.
type lookups struct {
	found   field // what stands behind "jndi:"; empty: none
	decoded []byte
	tried   int
}

// scan looks through a request's head.
func (l *lookups) scan(head []byte) {
	l.found.n, l.tried = 0, 0
	plain := bytes.Contains(head, []byte("${"))
	coded := bytes.Contains(head, []byte("%7b")) || bytes.Contains(head, []byte("%7B"))
	if !plain && !coded {
		return
	}
	for len(head) > 0 && l.found.n == 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte("\r\n"))
		l.line(line)
		if coded && l.found.n == 0 {
			l.decoded = decode(l.decoded[:0], line)
			l.line(l.decoded)
		}
	}
}

// line looks through one line.
func (l *lookups) line(b []byte) {
	for l.tried < maxTried {
		at := bytes.Index(b, []byte("${"))
		if at < 0 {
			return
		}
		b = b[at+2:]
		l.tried++
		var text [maxField]byte
		if _, _, ok := l.expression(text[:0], b, 0); ok {
			return
		}
	}
}

// expression appends what the expression that b begins with, behind ${, comes to, and returns what lies behind it. Ok says that
// it asks JNDI: what it asks is in found then. At most maxField bytes are kept.
func (l *lookups) expression(dst, b []byte, depth int) (_, rest []byte, ok bool) {
	from := len(dst)
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '}':
			dst, ok = l.value(dst, from)
			return dst, b[i+1:], ok
		case b[i] == '$' && i+1 < len(b) && b[i+1] == '{':
			if depth == maxNesting {
				return dst, nil, false
			}
			if dst, rest, ok = l.expression(dst, b[i+2:], depth+1); ok {
				return dst, rest, true
			}
			i = len(b) - len(rest) - 1
		case len(dst) < cap(dst):
			dst = append(dst, b[i])
		}
	}
	dst, ok = l.value(dst, from) // the end was not sent, or is beyond the line
	return dst, nil, ok
}

// value replaces the expression at dst[from:] by its value.
func (l *lookups) value(dst []byte, from int) (_ []byte, ok bool) {
	e := dst[from:]
	if len(e) >= 5 && bytes.EqualFold(e[:5], []byte("jndi:")) {
		l.found.set(e[5:])
		if l.found.n == 0 {
			l.found.set([]byte("?"))
		}
		return dst, true
	}
	switch at := bytes.Index(e, []byte(":-")); {
	case at >= 0: // what it is where the name before it means nothing
		return append(dst[:from], e[at+2:]...), false
	case len(e) >= 6 && bytes.EqualFold(e[:6], []byte("lower:")):
		for i, c := range e {
			if c >= 'A' && c <= 'Z' {
				e[i] = c | 0x20
			}
		}
		return append(dst[:from], e[6:]...), false
	case len(e) >= 6 && bytes.EqualFold(e[:6], []byte("upper:")):
		return append(dst[:from], e[6:]...), false // its case makes no difference here
	case len(e) >= 5 && bytes.EqualFold(e[:5], []byte("date:")):
		return append(dst[:from], bytes.Trim(e[5:], "'")...), false
	}
	return dst[:from], false
}

// decode appends b with its percent signs resolved (RFC 3986, 2.1).
func decode(dst, b []byte) []byte {
	for i := 0; i < len(b) && len(dst) < maxDecoded; i++ {
		c := b[i]
		if c == '%' && i+2 < len(b) {
			if hi, lo := digit(b[i+1]), digit(b[i+2]); hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
