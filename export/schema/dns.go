package schema

import (
	"bytes"
	"strconv"
	"unsafe"

	"golang.org/x/net/publicsuffix"

	"neuromast/flows"
)

// DNS record types that carry an address.
const (
	dnsA    = 1
	dnsAAAA = 28
)

// maxName bounds a name in presentation form: 255 bytes on the wire (RFC 1035 2.3.4), each at most \DDD.
const maxName = 4 * 255

// AppendDNS appends a DNS transaction as one JSON document. Its one allocation is the public suffix list's (splitName).
func AppendDNS(b []byte, batch *flows.Batch, d *flows.DNS, env *Env) []byte {
	ref := d.QueryRef
	if d.QueryAt == 0 {
		ref = d.AnswerRef
	}
	b = append(b, `{"@timestamp":`...)
	b = appendTime(b, d.At)
	b = append(b, `,"ecs":{"version":"`+ECSVersion+`"},"event":{"kind":"event","category":["network"],"type":["protocol","info"],`+
		`"module":"neuromast","dataset":"`+DNSDataset+`","id":"`...)
	b = appendHex64(b, d.Conn.ID)
	b = appendUint(b, `-`, uint64(ref.Input))
	b = appendUint(b, `-`, ref.Frame)
	b = appendUint(b, `-`, uint64(d.ID))
	b = append(b, '"')
	if d.QueryAt != 0 {
		b = append(b, `,"start":`...)
		b = appendTime(b, d.QueryAt)
	}
	if d.AnswerAt != 0 {
		b = append(b, `,"end":`...)
		b = appendTime(b, d.AnswerAt)
	}
	if d.QueryAt != 0 && d.AnswerAt != 0 {
		b = appendUint(b, `,"duration":`, uint64(max(d.AnswerAt-d.QueryAt, 0)))
	}
	b = append(b, '}')

	ports := hasPorts(d.Proto)
	b = append(b, `,"source":{"ip":`...)
	b = appendAddr(b, d.Orig)
	if ports {
		b = appendUint(b, `,"port":`, uint64(d.OrigPort))
	}
	b = append(b, `},"destination":{"ip":`...)
	b = appendAddr(b, d.Resp)
	if ports {
		b = appendUint(b, `,"port":`, uint64(d.RespPort))
	}
	b = append(b, '}')
	b = env.appendNetwork(b, d.Orig, d.Resp)
	b = appendTransport(b, d.Proto)
	b = append(b, `,"protocol":"`...)
	b = append(b, d.App.String()...)
	b = append(b, `","community_id":"`...)
	b = d.AppendCommunityID(b, 0)
	b = append(b, '"')
	b = env.appendSegment(b, d.Segment)
	b = append(b, '}')

	b = appendDNSBody(b, batch, d)
	b = append(b, `,"related":{"ip":[`...)
	b = appendAddr(b, d.Orig)
	if d.Resp != d.Orig {
		b = append(b, ',')
		b = appendAddr(b, d.Resp)
	}
	b = append(b, `]}`...)
	b = append(b, env.observer...)

	b = append(b, `,"neuromast":{"flow_id":"`...)
	b = appendHex64(b, d.Conn.ID)
	b = append(b, '"')
	if d.QueryAt != 0 {
		b = appendUint(b, `,"query":{"bytes":`, uint64(d.QueryBytes))
		b = append(b, `,"seen":`...)
		b = env.appendRef(b, d.QueryRef)
		b = append(b, '}')
	}
	if d.AnswerAt != 0 {
		b = appendUint(b, `,"answer":{"bytes":`, uint64(d.AnswerBytes))
		b = append(b, `,"seen":`...)
		b = env.appendRef(b, d.AnswerRef)
		b = append(b, '}')
	}
	if d.MixedCase {
		b = append(b, `,"mixed_case":true`...)
	}
	return append(b, '}', '}')
}

// appendDNSBody appends the "dns" object.
func appendDNSBody(b []byte, batch *flows.Batch, d *flows.DNS) []byte {
	if d.Answered() {
		b = append(b, `,"dns":{"type":"answer"`...)
	} else {
		b = append(b, `,"dns":{"type":"query"`...)
	}
	b = appendUint(b, `,"id":"`, uint64(d.ID))
	b = append(b, `","op_code":"`...)
	b = appendOpcode(b, d.Flags>>11&15)
	b = append(b, `","header_flags":[`...)
	b = appendHeaderFlags(b, d.Flags)
	b = append(b, ']')
	if d.Answered() {
		b = append(b, `,"response_code":"`...)
		b = append(b, flows.RcodeName(d.Rcode)...)
		b = append(b, '"')
	}

	var buf [maxName]byte
	b = append(b, `,"question":{"name":`...)
	start := len(b) + 1
	b = appendString(b, flows.AppendName(buf[:0], batch.Bytes(d.Name)))
	name := b[start : len(b)-1] // as written: equal, unless it holds escapes, and then it is not split
	b = append(b, `,"type":"`...)
	b = append(b, d.TypeName()...)
	b = append(b, `","class":"`...)
	b = appendClass(b, d.Class)
	b = append(b, '"')
	if suffix, registered := splitName(name); suffix >= 0 {
		b = append(b, `,"top_level_domain":`...)
		b = appendString(b, name[suffix:])
		if registered >= 0 {
			b = append(b, `,"registered_domain":`...)
			b = appendString(b, name[registered:])
			if registered > 0 {
				b = append(b, `,"subdomain":`...)
				b = appendString(b, name[:registered-1])
			}
		}
	}
	b = append(b, '}')

	answers := batch.Answers[d.Answers.Off : d.Answers.Off+d.Answers.Len]
	if len(answers) == 0 {
		return append(b, '}')
	}
	b = append(b, `,"answers":[`...)
	addresses := 0
	for i := range answers {
		a := &answers[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = appendString(b, flows.AppendName(buf[:0], batch.Bytes(a.Name)))
		b = append(b, `,"type":"`...)
		b = append(b, typeName(a.Type, d.App)...)
		b = append(b, `","class":"IN"`...)
		b = appendUint(b, `,"ttl":`, uint64(a.TTL))
		b = append(b, `,"data":`...)
		b = appendString(b, batch.Bytes(a.Data))
		b = append(b, '}')
		if isAddress(a.Type, batch.Bytes(a.Data)) {
			addresses++
		}
	}
	b = append(b, ']')
	if addresses > 0 {
		key := byte('[')
		b = append(b, `,"resolved_ip":`...)
		for i := range answers {
			if data := batch.Bytes(answers[i].Data); isAddress(answers[i].Type, data) {
				b = append(b, key)
				b = appendString(b, data)
				key = ','
			}
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// splitName returns where the public suffix and the registered domain begin in a name in presentation form, -1 where
// there is none. The list wants lower case and no trailing dot, as AppendName gives. Names with escaped bytes are not
// split: an escaped dot is no boundary.
func splitName(name []byte) (suffix, registered int) {
	if len(name) == 0 || name[0] == '.' || bytes.IndexByte(name, '\\') >= 0 {
		return -1, -1
	}
	// The string lives for this call only and name does not change meanwhile; a copy would cost an allocation a record.
	// One of 48 B remains: PublicSuffix asks netip whether the name is an address, and drops its error.
	s := unsafe.String(&name[0], len(name))
	tld, _ := publicsuffix.PublicSuffix(s)
	suffix = len(s) - len(tld)
	if suffix == 0 || name[suffix-1] != '.' {
		return suffix, -1
	}
	return suffix, bytes.LastIndexByte(name[:suffix-1], '.') + 1
}

// isAddress says that data is the text of an address, not of RDATA with a wrong length (RFC 3597 form).
func isAddress(typ uint16, data []byte) bool {
	if typ != dnsA && typ != dnsAAAA || len(data) < 2 || len(data) > 45 {
		return false
	}
	for _, c := range data {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && c != '.' && c != ':' {
			return false
		}
	}
	return true
}

var opcodes = [...]string{0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}

// The header flags in the order in which ECS lists them, with their bit (RFC 1035 4.1.1, RFC 4035 3.2).
var headerFlags = [...]struct {
	bit  uint16
	name string
}{{1 << 10, "AA"}, {1 << 9, "TC"}, {1 << 8, "RD"}, {1 << 7, "RA"}, {1 << 5, "AD"}, {1 << 4, "CD"}}

func appendHeaderFlags(b []byte, flags uint16) []byte {
	comma := false
	for _, f := range &headerFlags {
		if flags&f.bit == 0 {
			continue
		}
		if comma {
			b = append(b, ',')
		}
		comma = true
		b = append(b, '"')
		b = append(b, f.name...)
		b = append(b, '"')
	}
	return b
}

// appendOpcode appends the name of an operation code (IANA), or OPCODE and its number.
func appendOpcode(b []byte, code uint16) []byte {
	if int(code) < len(opcodes) && opcodes[code] != "" {
		return append(b, opcodes[code]...)
	}
	return strconv.AppendUint(append(b, "OPCODE"...), uint64(code), 10)
}

// typeName names a record's type as it is called in the protocol that carried it.
func typeName(t uint16, app flows.App) string {
	d := flows.DNS{Type: t, App: app}
	return d.TypeName()
}

func appendClass(b []byte, c uint16) []byte {
	switch c &^ (1 << 15) { // mDNS takes the top bit for itself (RFC 6762 5.4, 10.2)
	case 1:
		return append(b, "IN"...)
	case 3:
		return append(b, "CH"...)
	case 4:
		return append(b, "HS"...)
	case 254:
		return append(b, "NONE"...)
	case 255:
		return append(b, "ANY"...)
	}
	return strconv.AppendUint(append(b, "CLASS"...), uint64(c), 10)
}
