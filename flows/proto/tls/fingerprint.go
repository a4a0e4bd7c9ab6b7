package tls

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
)

// ja3 is the MD5 of version, ciphers, extensions, groups and point formats, in decimal and wire order.
func (h *hello) ja3() [md5.Size]byte {
	dst := strconv.AppendUint(h.text[:0], uint64(h.legacy), 10)
	dst = appendDecimals(append(dst, ','), h.ciphers)
	dst = appendDecimals(append(dst, ','), h.extensions)
	dst = appendDecimals(append(dst, ','), h.groups)
	dst = appendDecimals(append(dst, ','), h.formats)
	h.text = dst
	return md5.Sum(dst)
}

func appendDecimals[T uint8 | uint16](dst []byte, list []T) []byte {
	for i, v := range list {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = strconv.AppendUint(dst, uint64(v), 10)
	}
	return dst
}

// ja4Len is the length of a JA4: t13d1516h2_8daaf6152771_e5627efa2ab1.
const ja4Len = 36

// ja4 is FoxIO's fingerprint of a TLS client over TCP: what it offers, its ciphers, its extensions with its signature
// algorithms; the latter two sorted, since some clients permute them.
func (h *hello) ja4() (out [ja4Len]byte) {
	dst := append(out[:0], 't')
	dst = append(dst, ja4Version(h.version())...)
	if h.hasName {
		dst = append(dst, 'd')
	} else {
		dst = append(dst, 'i')
	}
	dst = appendTwoDigits(dst, len(h.ciphers))
	dst = appendTwoDigits(dst, len(h.extensions))
	dst = appendEnds(dst, h.alpn)
	dst = append(dst, '_')

	h.sorted = append(h.sorted[:0], h.ciphers...)
	slices.Sort(h.sorted)
	dst = appendHash(dst, appendHexList(h.text[:0], h.sorted))
	dst = append(dst, '_')

	h.sorted = h.sorted[:0]
	for _, e := range h.extensions {
		if e != extServerName && e != extALPN { // they depend on the site, not on the client
			h.sorted = append(h.sorted, e)
		}
	}
	slices.Sort(h.sorted)
	h.text = appendHexList(h.text[:0], h.sorted)
	if len(h.extensions) > 0 && len(h.signatures) > 0 {
		h.text = appendHexList(append(h.text, '_'), h.signatures)
	}
	appendHash(dst, h.text)
	return out
}

func ja4Version(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	}
	return "00"
}

func appendTwoDigits(dst []byte, n int) []byte {
	n = min(n, 99)
	return append(dst, '0'+byte(n/10), '0'+byte(n%10))
}

// appendEnds appends the first and last character of the first protocol, those of its hexadecimal form where one of
// them is not a letter or digit, 00 where there is none.
func appendEnds(dst, alpn []byte) []byte {
	if len(alpn) == 0 {
		return append(dst, "00"...)
	}
	first, last := alpn[0], alpn[len(alpn)-1]
	if !alphanumeric(first) || !alphanumeric(last) {
		const digits = "0123456789abcdef"
		first, last = digits[first>>4], digits[last&15]
	}
	return append(dst, first, last)
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func appendHexList(dst []byte, list []uint16) []byte {
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = hex.AppendEncode(dst, []byte{byte(v >> 8), byte(v)})
	}
	return dst
}

// appendHash appends the first twelve digits of the SHA-256 of list, zeros where the list is empty.
func appendHash(dst, list []byte) []byte {
	if len(list) == 0 {
		return append(dst, "000000000000"...)
	}
	sum := sha256.Sum256(list)
	return hex.AppendEncode(dst, sum[:6])
}
