package ntlm

import (
	"unicode/utf16"
	"unicode/utf8"
)

// AppendUTF16 appends UTF-16LE text as UTF-8. Lone surrogates become U+FFFD, an odd last byte is dropped.
func AppendUTF16(dst, b []byte) []byte {
	for len(b) >= 2 {
		r := rune(b[0]) | rune(b[1])<<8
		b = b[2:]
		if r < utf8.RuneSelf {
			dst = append(dst, byte(r))
			continue
		}
		if utf16.IsSurrogate(r) {
			second := rune(0)
			if len(b) >= 2 {
				second = rune(b[0]) | rune(b[1])<<8
			}
			if r = utf16.DecodeRune(r, second); r != utf8.RuneError {
				b = b[2:]
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// AppendOEM appends text of an unknown 8-bit code page as UTF-8: ASCII is certain, the rest is read as Latin-1.
func AppendOEM(dst, b []byte) []byte {
	for _, c := range b {
		dst = utf8.AppendRune(dst, rune(c))
	}
	return dst
}

// AppendAccount appends DOMAIN\user, the user alone where there is no domain, and nothing where there is no user.
func AppendAccount(dst, domain, user []byte) []byte {
	if len(user) == 0 {
		return dst
	}
	if len(domain) > 0 {
		dst = append(append(dst, domain...), '\\')
	}
	return append(dst, user...)
}
