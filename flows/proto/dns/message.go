package dns

import (
	"encoding/binary"

	"neuromast/flows"
)

// Flags of the header (RFC 1035, 4.1.1).
const (
	flagResponse = 0x8000
	maskOpcode   = 0x7800
	maskRcode    = 0x000f
)

// typeOPT is the pseudo record of EDNS (RFC 6891).
const typeOPT = 41

type header struct {
	id, flags uint16
	counts    [4]uint16 // questions, answers, authority, additional
}

// readHeader wants at least headerLen bytes.
func readHeader(msg []byte) (h header) {
	h.id, h.flags = binary.BigEndian.Uint16(msg), binary.BigEndian.Uint16(msg[2:])
	for i := range h.counts {
		h.counts[i] = binary.BigEndian.Uint16(msg[4+2*i:])
	}
	return h
}

func (h *header) response() bool { return h.flags&flagResponse != 0 }

// plausible says that the header may begin a message: a defined operation (DNS 0-6; NetBIOS 5-9 and 15, RFC 1002,
// 4.2.1.1), counts that no message exceeds, a query that asks something and carries no error.
func (h *header) plausible() bool {
	const maxQuestions, maxRecords = 32, 4096 // mDNS asks for several names at once; a message of 64 KiB holds 5,460 records
	if op := h.flags & maskOpcode >> 11; op > 9 && op != 15 {
		return false
	}
	c := &h.counts
	if c[0] > maxQuestions || c[1] > maxRecords || c[2] > maxRecords || c[3] > maxRecords {
		return false
	}
	if h.response() {
		return c[0] != 0 || c[1] != 0 || h.flags&maskRcode != 0
	}
	return c[0] != 0 && h.flags&maskRcode == 0
}

// question is the first entry of the question section.
type question struct {
	name       name
	typ, class uint16
}

// record is the fixed part of a resource record (RFC 1035, 4.1.3); data is its RDATA, at off in the message.
type record struct {
	typ, class uint16
	ttl        uint32
	off        int
	data       []byte
}

// readRecord reads what follows the owner name at off; next is -1 where it runs past the message.
func readRecord(msg []byte, off int) (r record, next int) {
	if off < 0 || off+10 > len(msg) {
		return r, -1
	}
	f := msg[off : off+10]
	r.typ, r.class = binary.BigEndian.Uint16(f), binary.BigEndian.Uint16(f[2:])
	r.ttl = binary.BigEndian.Uint32(f[4:])
	r.off = off + 10
	next = r.off + int(binary.BigEndian.Uint16(f[8:]))
	if next > len(msg) {
		return r, -1
	}
	r.data = msg[r.off:next]
	return r, next
}

// Recognise names the member of the DNS family that b begins with: AppDNS, which mDNS and LLMNR look like too, AppNBNS
// for names in NetBIOS' encoding, AppUnknown for anything else. It reads the header and the first question or record.
func Recognise(b []byte) flows.App {
	if len(b) < headerLen {
		return flows.AppUnknown
	}
	h := readHeader(b)
	if !h.plausible() {
		return flows.AppUnknown
	}
	next := skipName(b, headerLen)
	if next < 0 || next+4 > len(b) || b[headerLen] >= 0xc0 { // the first name has nothing to point to
		return flows.AppUnknown
	}
	typ, class := binary.BigEndian.Uint16(b[next:]), binary.BigEndian.Uint16(b[next+2:])
	if !knownType(typ) {
		return flows.AppUnknown
	}
	if h.counts[0] == 0 { // mDNS and NetBIOS answer without repeating the question
		if r, end := readRecord(b, next); end < 0 || typ != typeOPT && !knownClass(r.class) {
			return flows.AppUnknown
		}
	} else if !knownClass(class) {
		return flows.AppUnknown
	}
	if b[headerLen] == 32 && (typ == typeNB || typ == typeNBSTAT) && encodedNetBIOS(b[headerLen+1:headerLen+33]) {
		return flows.AppNBNS
	}
	if op := h.flags & maskOpcode >> 11; op > 6 {
		return flows.AppUnknown
	}
	return flows.AppDNS
}

// knownType says whether a type may stand in a question or a record: assigned (IANA: 1-264, 32768, 32769) or private
// use (65280-65534).
func knownType(t uint16) bool {
	return t >= 1 && t <= 264 || t == 32768 || t == 32769 || t >= 65280 && t < 65535
}

// knownClass knows IN, CH, HS, NONE and ANY; mDNS uses the top bit for other things (RFC 6762, 5.4 and 10.2).
func knownClass(c uint16) bool {
	c &= 0x7fff
	return c == 1 || c == 3 || c == 4 || c == 254 || c == 255
}

func encodedNetBIOS(label []byte) bool {
	for _, c := range label {
		if c < 'A' || c > 'P' {
			return false
		}
	}
	return true
}
