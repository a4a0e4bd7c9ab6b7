package dns

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"

	"neuromast/flows"
)

// The types whose RDATA is rendered here (IANA, Domain Name System Parameters).
const (
	typeA      = 1
	typeNS     = 2
	typeCNAME  = 5
	typeSOA    = 6
	typePTR    = 12
	typeMX     = 15
	typeTXT    = 16
	typeAAAA   = 28
	typeNB     = 32 // NetBIOS only (RFC 1002, 4.2.1.2)
	typeSRV    = 33
	typeNBSTAT = 33 // NetBIOS only
	typeDNAME  = 39
	typeRRSIG  = 46
	typeSVCB   = 64
	typeHTTPS  = 65
)

// data puts the text of a record into the batch: what a master file would say, names lower-cased and without trailing
// dot. at is where the whole record begins.
func (t *Transactions) data(out *flows.Out, app flows.App, msg []byte, at int, r *record) flows.Text {
	dst, ok := t.text[:0], false
	switch {
	case len(r.data) == 0: // updates and the like; no type that is rendered here may be empty
		return flows.Text{}
	case app == flows.AppNBNS && r.typ == typeNB:
		dst, ok = appendNB(dst, r.data)
	case app == flows.AppNBNS && r.typ == typeNBSTAT:
		dst, ok = appendNBSTAT(dst, r.data)
	default:
		dst, ok = t.appendData(dst, msg, at, r)
	}
	if !ok {
		t.stats.BadRdata++
		dst = appendGeneric(t.text[:0], r.data)
	}
	if len(dst) > maxData {
		t.stats.CutData++
		dst = dst[:maxData]
	}
	if cap(dst) <= 4*maxData {
		t.text = dst[:0]
	}
	return out.Put(dst)
}

// appendData renders r; ok is false where its RDATA contradicts its type.
func (t *Transactions) appendData(dst []byte, msg []byte, at int, r *record) (_ []byte, ok bool) {
	b := r.data
	switch r.typ {
	case typeA:
		if len(b) != 4 {
			return dst, false
		}
		return netip.AddrFrom4([4]byte(b)).AppendTo(dst), true
	case typeAAAA:
		if len(b) != 16 {
			return dst, false
		}
		return netip.AddrFrom16([16]byte(b)).AppendTo(dst), true
	case typeCNAME, typeNS, typePTR, typeDNAME:
		dst, next := t.appendTarget(dst, msg, r.off)
		return dst, next == r.off+len(b)
	case typeMX:
		return t.appendNumbersAndTarget(dst, msg, r, 1)
	case typeSRV:
		return t.appendNumbersAndTarget(dst, msg, r, 3)
	case typeSOA:
		return t.appendSOA(dst, msg, r)
	case typeTXT:
		return appendStrings(dst, b)
	case typeRRSIG:
		return t.appendRRSIG(dst, msg, r)
	case typeSVCB, typeHTTPS:
		return t.appendSVCB(dst, msg, r)
	}
	if rare(r.typ) {
		return appendRare(dst, msg, at, r.off+len(b))
	}
	return appendGeneric(dst, b), true
}

// appendTarget appends the name at off of the message and returns the offset behind it, -1 where there is none.
func (t *Transactions) appendTarget(dst, msg []byte, off int) ([]byte, int) {
	next := t.target.read(msg, off)
	if next < 0 {
		return dst, -1
	}
	return flows.AppendName(dst, t.target.bytes()), next
}

// appendNumbersAndTarget appends n 16-bit numbers and a name: MX (RFC 1035, 3.3.9) and SRV (RFC 2782).
func (t *Transactions) appendNumbersAndTarget(dst, msg []byte, r *record, n int) ([]byte, bool) {
	if len(r.data) < 2*n {
		return dst, false
	}
	for i := range n {
		dst = strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(r.data[2*i:])), 10)
		dst = append(dst, ' ')
	}
	dst, next := t.appendTarget(dst, msg, r.off+2*n)
	return dst, next == r.off+len(r.data)
}

// appendSOA appends server, mailbox, serial, refresh, retry, expire, minimum (RFC 1035, 3.3.13).
func (t *Transactions) appendSOA(dst, msg []byte, r *record) ([]byte, bool) {
	dst, next := t.appendTarget(dst, msg, r.off)
	if next < 0 {
		return dst, false
	}
	dst, next = t.appendTarget(append(dst, ' '), msg, next)
	if next < 0 || next+20 != r.off+len(r.data) {
		return dst, false
	}
	for i := range 5 {
		dst = append(dst, ' ')
		dst = strconv.AppendUint(dst, uint64(binary.BigEndian.Uint32(msg[next+4*i:])), 10)
	}
	return dst, true
}

// appendRRSIG appends a signature (RFC 4034, 3.2). Its times are written as if 32 bits never wrapped: which of the
// possible years is meant follows from the reader's clock, which does not belong here.
func (t *Transactions) appendRRSIG(dst, msg []byte, r *record) ([]byte, bool) {
	const fixed = 18
	b := r.data
	if len(b) < fixed {
		return dst, false
	}
	dst = append(dst, flows.TypeName(binary.BigEndian.Uint16(b))...)
	for _, n := range [...]uint32{uint32(b[2]), uint32(b[3]), binary.BigEndian.Uint32(b[4:])} {
		dst = append(dst, ' ')
		dst = strconv.AppendUint(dst, uint64(n), 10)
	}
	for _, at := range [...]uint32{binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])} {
		dst = time.Unix(int64(at), 0).UTC().AppendFormat(append(dst, ' '), "20060102150405")
	}
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(b[16:])), 10)
	dst, next := t.appendTarget(append(dst, ' '), msg, r.off+fixed)
	if next < 0 || next > r.off+len(b) {
		return dst, false
	}
	dst = append(dst, ' ')
	return base64.StdEncoding.AppendEncode(dst, msg[next:r.off+len(b)]), true
}

// appendStrings appends character strings in quotes, separated by spaces (RFC 1035, 3.3.14).
func appendStrings(dst, b []byte) ([]byte, bool) {
	for i := 0; len(b) > 0; i++ {
		n := int(b[0])
		if 1+n > len(b) {
			return dst, false
		}
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, '"')
		dst = appendText(dst, b[1:1+n])
		dst = append(dst, '"')
		b = b[1+n:]
	}
	return dst, true
}

func appendText(dst, b []byte) []byte {
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c > '~':
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendGeneric appends RDATA of which nothing is known (RFC 3597, 5).
func appendGeneric(dst, b []byte) []byte {
	dst = append(dst, `\# `...)
	dst = strconv.AppendUint(dst, uint64(len(b)), 10)
	if len(b) == 0 {
		return dst
	}
	dst = append(dst, ' ')
	return hex.AppendEncode(dst, b[:min(len(b), maxData)])
}

// appendNB appends the addresses of a NetBIOS name (RFC 1002, 4.2.1.3: flags and an address, repeated).
func appendNB(dst, b []byte) ([]byte, bool) {
	if len(b)%6 != 0 {
		return dst, false
	}
	for i := 0; i < len(b); i += 6 {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = netip.AddrFrom4([4]byte(b[i+2:])).AppendTo(dst)
	}
	return dst, true
}

// appendNBSTAT appends the names of a node with their suffixes, as nbtstat shows them (RFC 1002, 4.2.18).
func appendNBSTAT(dst, b []byte) ([]byte, bool) {
	const entry = 18
	n := int(b[0])
	if 1+n*entry > len(b) {
		return dst, false
	}
	for i := range n {
		e := b[1+i*entry:]
		size := 15
		for size > 0 && (e[size-1] == ' ' || e[size-1] == 0) {
			size--
		}
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = appendText(dst, e[:size])
		dst = append(dst, '<')
		dst = hex.AppendEncode(dst, e[15:16])
		dst = append(dst, '>')
	}
	return dst, true
}
