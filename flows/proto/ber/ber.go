// Package ber takes apart what is encoded in the Basic Encoding Rules (X.690), as Kerberos, LDAP and SNMP are: definite
// lengths and tags of one byte, which is all that they use.
package ber

// Element reads the tag and length of an element and returns where its contents begin and how long they are, which may be
// more than b holds; ok is false where the length is no definite one of at most four bytes, below 128 MiB.
func Element(b []byte) (tag byte, start, size int, ok bool) {
	if len(b) < 2 {
		return 0, 0, 0, false
	}
	tag, size, start = b[0], int(b[1]), 2
	if size < 0x80 {
		return tag, start, size, true
	}
	n := size & 0x7f
	if n < 1 || n > 4 || len(b) < 2+n {
		return 0, 0, 0, false
	}
	size = 0
	for _, c := range b[2 : 2+n] {
		size = size<<8 | int(c)
	}
	return tag, start + n, size, size < 1<<27
}

// Cut cuts the first element off b. Contents that b does not hold to their end are returned as far as they are there, with
// whole false; rest is empty then.
func Cut(b []byte) (tag byte, contents, rest []byte, whole, ok bool) {
	tag, start, size, ok := Element(b)
	if !ok {
		return 0, nil, nil, false, false
	}
	if start+size > len(b) {
		return tag, b[start:], nil, false, true
	}
	return tag, b[start : start+size], b[start+size:], true, true
}

// Inside returns the contents of the first element of b if it has the tag.
func Inside(b []byte, want byte) (contents []byte, ok bool) {
	tag, contents, _, _, ok := Cut(b)
	return contents, ok && tag == want
}

// Integer reads the INTEGER or ENUMERATED that b begins with, of at most 4 bytes.
func Integer(b []byte) (v int32, ok bool) {
	tag, c, _, whole, ok := Cut(b)
	if !ok || !whole || tag != 0x02 && tag != 0x0a || len(c) < 1 || len(c) > 4 {
		return 0, false
	}
	v = int32(int8(c[0]))
	for _, x := range c[1:] {
		v = v<<8 | int32(x)
	}
	return v, true
}
