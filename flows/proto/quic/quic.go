// Package quic reads the ClientHello that opens a QUIC connection: server name, first protocol, fingerprint. The first packets of
// a client are sealed with keys that anybody can derive from the connection id in them (RFC 9001, 5.2), so that what they say is as
// visible as over TCP.
//
// Versions 1 (RFC 9000), 2 (RFC 9369) and drafts 29 to 32 are read, others are left. The ClientHello may lie in pieces, in any order, over
// several datagrams, as browsers send it. A conversation is followed from its first packet on for ten seconds or 16 datagrams of the
// client, through a Retry or a change of version (keys are derived up to three times); after its ClientHello nothing is read.
//
// Limits: 16 KiB of ClientHello in 64 pieces; of each shard 256 conversations at once, the oldest is given up, and 256 derivations of
// keys in a second of packet time, about 20 µs and 50 allocations each on a busy machine: what a flood of first packets may cost. All are counted.
package quic

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// Stats counts what was read and what was strange.
type Stats struct {
	Hellos    uint64 // ClientHellos written
	Malformed uint64 // packets, sealed right, whose contents contradict themselves
	Foreign   uint64 // first packets that their own keys don't open: no QUIC, or its start was not seen
	Cut       uint64 // first packets that the capture cut
	GaveUp    uint64 // conversations without a ClientHello in time, or with one beyond the limits
	Evicted   uint64 // conversations given up because there were too many
	Skipped   uint64 // first packets for which there was no budget
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Hellos += o.Hellos
	s.Malformed += o.Malformed
	s.Foreign += o.Foreign
	s.Cut += o.Cut
	s.GaveUp += o.GaveUp
	s.Evicted += o.Evicted
	s.Skipped += o.Skipped
}

// version is how a version of QUIC derives its first keys (RFC 9001, 5.2; RFC 9369, 3.3).
type version struct {
	salt        []byte
	key, iv, hp string
	initial     byte // type bits of an Initial packet
}

var (
	draft29  = version{[]byte("\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"), "quic key", "quic iv", "quic hp", 0}
	version1 = version{[]byte("\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"), "quic key", "quic iv", "quic hp", 0}
	version2 = version{[]byte("\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"), "quicv2 key", "quicv2 iv", "quicv2 hp", 1}
)

func versionOf(v uint32) *version {
	switch {
	case v == 1:
		return &version1
	case v == 0x6b3343cf:
		return &version2
	case v >= 0xff00001d && v <= 0xff000020:
		return &draft29
	}
	return nil
}

// header is what stands before the protected part of an Initial packet (RFC 9000, 17.2.2).
type header struct {
	version *version
	dcid    []byte
	number  int // where the packet number begins
	end     int // of the packet within the datagram
}

// longHeader reads the header of the packet that b begins with. It returns the packet's end with a nil version where it is whole but no
// Initial packet, and false where it is none of a long header.
func longHeader(b []byte) (h header, ok bool) {
	if len(b) < 7 || b[0]&0xc0 != 0xc0 {
		return h, false
	}
	v := versionOf(binary.BigEndian.Uint32(b[1:]))
	if v == nil {
		return h, false
	}
	at := 5
	for i := range 2 { // destination and source connection ids of at most 20 bytes
		if at >= len(b) || b[at] > 20 || at+1+int(b[at]) > len(b) {
			return h, false
		}
		id := b[at+1 : at+1+int(b[at])]
		if i == 0 {
			h.dcid = id
		}
		at += 1 + len(id)
	}
	kind := b[0] >> 4 & 3
	retry := v.initial ^ 3 // 3 in version 1, 0 in version 2
	if v.initial == 1 {
		retry = 0
	}
	if kind == retry {
		return h, false // has no length and stands alone
	}
	if kind == v.initial {
		n, size := varint(b[at:])
		if size == 0 || n > uint64(len(b)-at-size) {
			return h, false
		}
		at += size + int(n)
		h.version = v
	}
	n, size := varint(b[at:])
	if size == 0 || n < 4+16 || n > uint64(len(b)-at-size) {
		return h, false
	}
	h.number = at + size
	h.end = h.number + int(n)
	return h, true
}

// varint reads a number of 1, 2, 4 or 8 bytes (RFC 9000, 16); size 0 where b is too short.
func varint(b []byte) (v uint64, size int) {
	if len(b) == 0 {
		return 0, 0
	}
	size = 1 << (b[0] >> 6)
	if len(b) < size {
		return 0, 0
	}
	v = uint64(b[0] & 0x3f)
	for _, c := range b[1:size] {
		v = v<<8 | uint64(c)
	}
	return v, size
}

// keys open what a client sends first.
type keys struct {
	aead cipher.AEAD
	hp   cipher.Block
	iv   [12]byte
}

// label derives a value with a label of TLS 1.3 (RFC 8446, 7.1).
func label(secret []byte, name string, size int) ([]byte, error) {
	info := make([]byte, 0, 32)
	info = append(info, 0, byte(size), byte(len("tls13 ")+len(name)))
	info = append(append(info, "tls13 "...), name...)
	return hkdf.Expand(sha256.New, secret, string(append(info, 0)), size)
}

// derive makes the client's first keys from the connection id that it chose for the server.
func derive(v *version, dcid []byte) (k keys, err error) {
	initial, err := hkdf.Extract(sha256.New, dcid, v.salt)
	if err != nil {
		return k, err
	}
	client, err := label(initial, "client in", sha256.Size)
	if err != nil {
		return k, err
	}
	var made [3][]byte
	for i, d := range []struct {
		name string
		size int
	}{{v.key, 16}, {v.iv, 12}, {v.hp, 16}} {
		if made[i], err = label(client, d.name, d.size); err != nil {
			return k, err
		}
	}
	block, err := aes.NewCipher(made[0])
	if err != nil {
		return k, err
	}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return k, err
	}
	copy(k.iv[:], made[1])
	k.hp, err = aes.NewCipher(made[2])
	return k, err
}

// open removes the protection of header (RFC 9001, 5.4) and payload (5.3) of packet b and returns the frames, written to dst.
func (k *keys) open(dst, b []byte, h *header, s *scratch) ([]byte, bool) {
	sample := b[h.number+4:]
	k.hp.Encrypt(s.mask[:], sample[:aes.BlockSize])
	head := append(s.head[:0], b[:h.number]...)
	head[0] ^= s.mask[0] & 0x0f
	size := int(head[0]&3) + 1
	number := uint32(0)
	for i := range size {
		c := b[h.number+i] ^ s.mask[1+i]
		head = append(head, c)
		number = number<<8 | uint32(c)
	}
	s.head = head
	s.nonce = k.iv
	for i := range 4 { // the first packet numbers are small: what is sent is all of the number (RFC 9000, A.3)
		s.nonce[8+i] ^= byte(number >> (24 - 8*i))
	}
	out, err := k.aead.Open(dst[:0], s.nonce[:], b[h.number+size:h.end], head)
	return out, err == nil
}

// scratch is memory that a shard uses for one packet at a time.
type scratch struct {
	mask  [aes.BlockSize]byte
	nonce [12]byte
	head  []byte
	plain []byte
}
