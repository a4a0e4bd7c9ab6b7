package schema

import (
	"math"
	"strconv"
	"unicode/utf8"

	"neuromast/sensor/packet"
)

// plain tells which bytes stand for themselves in a JSON string: printable ASCII but for quote and backslash.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendString appends s as a JSON string (RFC 8259, 7). Bytes that are not UTF-8 become U+FFFD, one each; control
// characters, DEL and the line separators that break JavaScript are escaped. s is foreign and may hold anything.
func appendString[S []byte | string](b []byte, s S) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[from:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			from = i
			continue
		}
		r, n := decodeRune(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, s[from:i]...)
			b = append(b, `\ufffd`...)
			from = i + 1
		case r == '\u2028' || r == '\u2029':
			b = append(b, s[from:i]...)
			b = append(b, '\\', 'u', '2', '0', '2', hex[r&15])
			from = i + n
		}
		i += n
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

func decodeRune[S []byte | string](s S) (rune, int) {
	var head [utf8.UTFMax]byte
	return utf8.DecodeRune(head[:copy(head[:], s)])
}

// appendTime appends t as a JSON string, RFC 3339 in UTC with nine decimals, as packet.Time.AppendRFC3339 does but
// without a layout to interpret; every nanosecond count of an int64 lies in a year of four digits.
func appendTime(b []byte, t packet.Time) []byte {
	std := t.Std()
	year, month, day := std.Date()
	hour, minute, second := std.Clock()
	b = append(b, '"')
	b = append2(b, uint(year)/100)
	b = append2(b, uint(year)%100)
	b = append(b, '-')
	b = append2(b, uint(month))
	b = append(b, '-')
	b = append2(b, uint(day))
	b = append(b, 'T')
	b = append2(b, uint(hour))
	b = append(b, ':')
	b = append2(b, uint(minute))
	b = append(b, ':')
	b = append2(b, uint(second))
	b = append(b, '.')
	ns := uint(std.Nanosecond())
	b = append(b, byte('0'+ns/100_000_000))
	b = append2(b, ns/1_000_000%100)
	b = append2(b, ns/10_000%100)
	b = append2(b, ns/100%100)
	b = append2(b, ns%100)
	return append(b, 'Z', '"')
}

func append2(b []byte, n uint) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// appendAddr appends a as a JSON string.
func appendAddr(b []byte, a packet.Addr) []byte {
	b = append(b, '"')
	if a.Is4() {
		b = strconv.AppendUint(b, uint64(a[12]), 10)
		for _, c := range a[13:] {
			b = append(b, '.')
			b = strconv.AppendUint(b, uint64(c), 10)
		}
	} else {
		b = a.AppendTo(b)
	}
	return append(b, '"')
}

// appendUint appends a key, which brings its punctuation, and a number.
func appendUint(b []byte, key string, n uint64) []byte {
	return strconv.AppendUint(append(b, key...), n, 10)
}

// appendFloat appends the shortest decimal that reads back as f; JSON has no word for infinities and NaN: null.
func appendFloat(b []byte, f float64) []byte {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return append(b, "null"...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}

// appendHex64 appends n as 16 hex digits.
func appendHex64(b []byte, n uint64) []byte {
	const hex = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, hex[n>>shift&15])
	}
	return b
}

// appendList appends the strings as a JSON array.
func appendList(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}
