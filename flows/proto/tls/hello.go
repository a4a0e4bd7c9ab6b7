package tls

import "encoding/binary"

// The extensions that are read (IANA, TLS ExtensionType Values).
const (
	extServerName          = 0
	extSupportedGroups     = 10
	extPointFormats        = 11
	extSignatureAlgorithms = 13
	extALPN                = 16
	extSupportedVersions   = 43
)

// maxServerName is the longest host name in bytes (RFC 1035, 2.3.4).
const maxServerName = 255

// hello is a ClientHello. Slices of bytes alias the message; the lists hold no GREASE values (RFC 8701).
type hello struct {
	legacy     uint16 // legacy_version
	offered    uint16 // highest of supported_versions, 0 where there is none
	hasName    bool   // the server_name extension is there
	name       [maxServerName]byte
	nameLen    int
	alpn       []byte // first protocol offered
	ciphers    []uint16
	extensions []uint16
	groups     []uint16
	formats    []byte
	signatures []uint16 // signature algorithms in wire order
	sorted     []uint16
	text       []byte
}

// serverName is lower-cased: DNS names compare so.
func (h *hello) serverName() []byte { return h.name[:h.nameLen] }

// version is the highest version offered.
func (h *hello) version() uint16 {
	if h.offered != 0 {
		return h.offered
	}
	return h.legacy
}

// read overwrites h with the body of a ClientHello (RFC 8446, 4.1.2); false where its lengths contradict each other.
func (h *hello) read(b []byte) bool {
	*h = hello{
		ciphers: h.ciphers[:0], extensions: h.extensions[:0], groups: h.groups[:0], signatures: h.signatures[:0],
		sorted: h.sorted[:0], text: h.text[:0],
	}
	const random = 32
	if len(b) < 2+random {
		return false
	}
	h.legacy = binary.BigEndian.Uint16(b)
	_, b, ok := vector8(b[2+random:]) // session id
	if !ok {
		return false
	}
	list, b, ok := vector16(b)
	if !ok || len(list)%2 != 0 {
		return false
	}
	h.ciphers = appendList(h.ciphers, list)
	if _, b, ok = vector8(b); !ok { // compression methods
		return false
	}
	if len(b) == 0 { // extensions came with TLS 1.0 (RFC 3546)
		return true
	}
	if b, _, ok = vector16(b); !ok {
		return false
	}
	for len(b) > 0 {
		if len(b) < 4 {
			return false
		}
		typ := binary.BigEndian.Uint16(b)
		var body []byte
		if body, b, ok = vector16(b[2:]); !ok || !h.extension(typ, body) {
			return false
		}
	}
	return true
}

// extension takes note of one extension.
func (h *hello) extension(typ uint16, b []byte) bool {
	if !grease(typ) {
		h.extensions = append(h.extensions, typ)
	}
	switch typ {
	case extServerName: // RFC 6066, 3
		h.hasName = true
		list, _, ok := vector16(b)
		if !ok || len(list) < 3 {
			return len(b) == 0
		}
		if host, _, ok := vector16(list[1:]); ok && list[0] == 0 {
			h.nameLen = copy(h.name[:], host)
			for i, c := range h.name[:h.nameLen] {
				if c >= 'A' && c <= 'Z' {
					h.name[i] = c + 'a' - 'A'
				}
			}
		}
	case extSupportedGroups:
		list, _, ok := vector16(b)
		if !ok || len(list)%2 != 0 {
			return false
		}
		h.groups = appendList(h.groups[:0], list)
	case extPointFormats:
		list, _, ok := vector8(b)
		h.formats = list
		return ok
	case extSignatureAlgorithms:
		list, _, ok := vector16(b)
		if !ok || len(list)%2 != 0 {
			return false
		}
		h.signatures = appendList(h.signatures[:0], list)
	case extALPN: // RFC 7301, 3.1
		list, _, ok := vector16(b)
		if !ok {
			return false
		}
		h.alpn, _, ok = vector8(list)
		return ok
	case extSupportedVersions:
		list, _, ok := vector8(b)
		if !ok || len(list)%2 != 0 {
			return false
		}
		for i := 0; i < len(list); i += 2 {
			if v := binary.BigEndian.Uint16(list[i:]); !grease(v) {
				h.offered = max(h.offered, v)
			}
		}
	}
	return true
}

// vector8 cuts a vector with a length of one byte off b.
func vector8(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 1 || 1+int(b[0]) > len(b) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

// vector16 cuts a vector with a length of two bytes off b.
func vector16(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 2 || 2+int(binary.BigEndian.Uint16(b)) > len(b) {
		return nil, nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	return b[2:n], b[n:], true
}

// appendList appends the 16-bit numbers of b, whose length is even, without GREASE.
func appendList(dst []uint16, b []byte) []uint16 {
	for i := 0; i+1 < len(b); i += 2 {
		if v := binary.BigEndian.Uint16(b[i:]); !grease(v) {
			dst = append(dst, v)
		}
	}
	return dst
}

// grease knows the values that mean nothing on purpose: 0x0a0a, 0x1a1a, … 0xfafa (RFC 8701, 2).
func grease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }
