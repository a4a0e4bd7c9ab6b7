package ldap

import (
	"unicode/utf8"

	"neuromast/flows/proto/ber"
)

// maxDepth bounds the nesting of filters that is followed; what lies deeper is written as (…).
const maxDepth = 32

// appendFilter appends the filter that b begins with in the form of RFC 4515 (RFC 4511, 4.5.1.7). It stops past maxFilter
// bytes. Ok is false where the filter contradicts itself.
func appendFilter(dst, b []byte, depth int) (_ []byte, ok bool) {
	tag, c, _, _, ok := ber.Cut(b)
	if !ok {
		return dst, false
	}
	if depth >= maxDepth {
		return append(dst, "(…)"...), true
	}
	dst = append(dst, '(')
	switch tag {
	case 0xa0, 0xa1, 0xa2: // and, or, not
		dst = append(dst, "&|!"[tag-0xa0])
		for len(c) > 0 && len(dst) <= maxFilter {
			if dst, ok = appendFilter(dst, c, depth+1); !ok {
				return dst, false
			}
			_, _, c, _, _ = ber.Cut(c)
		}
	case 0xa3, 0xa5, 0xa6, 0xa8: // equality, at least, at most, about
		_, name, rest, _, ok := ber.Cut(c)
		if !ok {
			return dst, false
		}
		_, value, _, _, _ := ber.Cut(rest)
		dst = appendText(dst, name, maxFilter)
		if tag != 0xa3 {
			dst = append(dst, "><?~"[tag-0xa5]) // a5, a6, a8
		}
		dst = appendValue(append(dst, '='), value)
	case 0xa4: // substrings
		_, name, rest, _, ok := ber.Cut(c)
		if !ok {
			return dst, false
		}
		dst = append(appendText(dst, name, maxFilter), '=')
		parts, _ := ber.Inside(rest, 0x30)
		last := byte(0)
		for i := 0; len(parts) > 0 && len(dst) <= maxFilter; i++ {
			kind, value, more, _, ok := ber.Cut(parts)
			if !ok {
				return dst, false
			}
			if kind != 0x80 { // initial stands before the first asterisk
				dst = append(dst, '*')
			}
			dst = appendValue(dst, value)
			parts, last = more, kind
		}
		if last != 0x82 { // final stands behind the last
			dst = append(dst, '*')
		}
	case 0x87: // present
		dst = append(appendText(dst, c, maxFilter), "=*"...)
	case 0xa9: // extensible match
		var rule, name, value []byte
		dn := false
		for len(c) > 0 {
			kind, v, rest, _, ok := ber.Cut(c)
			if !ok {
				return dst, false
			}
			switch kind {
			case 0x81:
				rule = v
			case 0x82:
				name = v
			case 0x83:
				value = v
			case 0x84:
				dn = len(v) == 1 && v[0] != 0
			}
			c = rest
		}
		dst = appendText(dst, name, maxFilter)
		if dn {
			dst = append(dst, ":dn"...)
		}
		if len(rule) > 0 {
			dst = appendText(append(dst, ':'), rule, maxFilter)
		}
		dst = appendValue(append(dst, ":="...), value)
	default:
		return dst, false
	}
	return append(dst, ')'), true
}

const hexDigits = "0123456789abcdef"

// appendValue appends an assertion's value, escaped (RFC 4515, 3): what is no printable UTF-8 too.
func appendValue(dst, v []byte) []byte {
	for len(v) > 0 && len(dst) <= maxFilter {
		r, n := utf8.DecodeRune(v)
		if r == '*' || r == '(' || r == ')' || r == '\\' || r < ' ' || r == 0x7f || r == utf8.RuneError {
			for _, c := range v[:n] {
				dst = append(dst, '\\', hexDigits[c>>4], hexDigits[c&15])
			}
		} else {
			dst = append(dst, v[:n]...)
		}
		v = v[n:]
	}
	return dst
}

// appendText appends a name, dst growing to at most bound bytes; bytes that are no UTF-8 become U+FFFD.
func appendText(dst, v []byte, bound int) []byte {
	for len(v) > 0 {
		r, n := utf8.DecodeRune(v)
		if len(dst)+utf8.RuneLen(r) > bound {
			break
		}
		dst = utf8.AppendRune(dst, r)
		v = v[n:]
	}
	return dst
}

// clip bounds a text.
func clip(b []byte, bound int) []byte {
	if len(b) <= bound {
		return b
	}
	n := bound
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n]
}
