package dns

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"
)

// The service parameters that are rendered by name (RFC 9460, 14.3.2).
const (
	paramMandatory = iota
	paramALPN
	paramNoDefaultALPN
	paramPort
	paramIPv4Hint
	paramECH
	paramIPv6Hint
	paramDoHPath
	paramOHTTP // RFC 9540
)

var paramNames = [...]string{"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"}

// appendSVCB appends priority, target and parameters (RFC 9460, 2.2). A large share of today's answers is of this kind,
// so it is worth its own code.
func (t *Transactions) appendSVCB(dst, msg []byte, r *record) ([]byte, bool) {
	if len(r.data) < 3 {
		return dst, false
	}
	dst = strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(r.data)), 10)
	dst, next := t.appendTarget(append(dst, ' '), msg, r.off+2)
	end := r.off + len(r.data)
	if next < 0 || next > end {
		return dst, false
	}
	for b := msg[next:end]; len(b) > 0; {
		if len(b) < 4 {
			return dst, false
		}
		key, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if 4+n > len(b) {
			return dst, false
		}
		var ok bool
		if dst, ok = appendParam(append(dst, ' '), key, b[4:4+n]); !ok {
			return dst, false
		}
		b = b[4+n:]
	}
	return dst, true
}

func appendParam(dst []byte, key uint16, v []byte) ([]byte, bool) {
	dst = appendParamName(dst, key)
	dst = append(dst, '=', '"')
	switch key {
	case paramNoDefaultALPN, paramOHTTP:
		if len(v) != 0 {
			return dst, false
		}
	case paramMandatory:
		if len(v)%2 != 0 {
			return dst, false
		}
		for i := 0; i < len(v); i += 2 {
			dst = appendParamName(appendComma(dst, i), binary.BigEndian.Uint16(v[i:]))
		}
	case paramALPN:
		for i := 0; len(v) > 0; i++ {
			n := int(v[0])
			if 1+n > len(v) {
				return dst, false
			}
			dst = appendText(appendComma(dst, i), v[1:1+n])
			v = v[1+n:]
		}
	case paramPort:
		if len(v) != 2 {
			return dst, false
		}
		dst = strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(v)), 10)
	case paramIPv4Hint:
		if len(v) == 0 || len(v)%4 != 0 {
			return dst, false
		}
		for i := 0; i < len(v); i += 4 {
			dst = netip.AddrFrom4([4]byte(v[i:])).AppendTo(appendComma(dst, i))
		}
	case paramIPv6Hint:
		if len(v) == 0 || len(v)%16 != 0 {
			return dst, false
		}
		for i := 0; i < len(v); i += 16 {
			dst = netip.AddrFrom16([16]byte(v[i:])).AppendTo(appendComma(dst, i))
		}
	case paramECH:
		dst = base64.StdEncoding.AppendEncode(dst, v)
	default:
		dst = appendText(dst, v)
	}
	return append(dst, '"'), true
}

func appendComma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

func appendParamName(dst []byte, key uint16) []byte {
	if int(key) < len(paramNames) {
		return append(dst, paramNames[key]...)
	}
	return strconv.AppendUint(append(dst, "key"...), uint64(key), 10)
}
