package ldap

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// tlv encodes an element (X.690, 8.1), with Windows' lengths of four bytes where wide is set.
func tlv(tag byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	if n := len(body); n >= 0x80 {
		return append(binary.BigEndian.AppendUint32([]byte{tag, 0x84}, uint32(n)), body...)
	}
	return append([]byte{tag, byte(len(body))}, body...)
}

func str(s string) []byte  { return tlv(4, []byte(s)) }
func number(v byte) []byte { return tlv(2, []byte{v}) }
func message(id byte, parts ...[]byte) []byte {
	return tlv(0x30, append([][]byte{number(id)}, parts...)...)
}
func result(tag, code byte, text string) []byte {
	return tlv(tag, tlv(10, []byte{code}), str(""), str(text))
}
func simple(id byte, name, secret string) []byte {
	return message(id, tlv(tagBind, number(3), str(name), tlv(tagSimple, []byte(secret))))
}
func sasl(id byte, mechanism string, token []byte) []byte {
	return message(id, tlv(tagBind, number(3), str(""), tlv(tagSASL, str(mechanism), tlv(4, token))))
}
func equal(name, value string) []byte { return tlv(0xa3, str(name), str(value)) }
func search(id byte, base string, scope byte, filter []byte, controls []byte, attributes ...string) []byte {
	var list [][]byte
	for _, a := range attributes {
		list = append(list, str(a))
	}
	parts := [][]byte{tlv(tagSearch, str(base), tlv(10, []byte{scope}), tlv(10, []byte{0}), number(0), number(0), tlv(1, []byte{0}), filter, tlv(0x30, list...))}
	if controls != nil {
		parts = append(parts, tlv(tagControls, controls))
	}
	return message(id, parts...)
}
func entry(id byte, dn string, attributes ...string) []byte {
	var list [][]byte
	for i := 0; i+1 < len(attributes); i += 2 {
		list = append(list, tlv(0x30, str(attributes[i]), tlv(0x31, str(attributes[i+1]))))
	}
	return message(id, tlv(tagEntry, str(dn), tlv(0x30, list...)))
}
func done(id, code byte) []byte { return message(id, result(tagDone, code, "")) }

// wrapped puts messages into a SASL buffer with a Kerberos token of integrity alone; turned is its RRC.
func wrapped(turned int, msgs ...[]byte) []byte {
	var plain []byte
	for _, m := range msgs {
		plain = append(plain, m...)
	}
	sum := []byte("checksum-12b")
	head := []byte{5, 4, 4, 0xff, 0, 12, 0, byte(turned), 0, 0, 0, 0, 0, 0, 0, 1}
	body := append(append([]byte(nil), plain...), sum...)
	body = append(append([]byte(nil), body[len(body)-turned:]...), body[:len(body)-turned]...)
	out := binary.BigEndian.AppendUint32(nil, uint32(len(head)+len(body)))
	return append(append(out, head...), body...)
}

// byNTLM puts a message into a SASL buffer behind an NTLM signature.
func byNTLM(msg []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(16+len(msg)))
	return append(append(out, "\x01\x00\x00\x00signatureseq"...), msg...)
}

// byRC4 puts a message into a SASL buffer with a token of RFC 1964 whose sealing algorithm is given.
func byRC4(msg []byte, seal uint16) []byte {
	body := append(append([]byte(nil), kerberosOID...), 0x11, 0)
	body = binary.BigEndian.AppendUint16(body, seal)
	body = append(body, "\xff\xffsequencechecksumconfound"...)
	body = append(append(body, msg...), 1)
	token := tlv(0x60, body)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)
}

func sealed(n int) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(16+n))
	return append(append(out, "\x05\x04\x06\xff\x00\x00\x00\x1c\x00\x00\x00\x00\x00\x00\x00\x01"...), make([]byte, n)...)
}

type say struct {
	dir flows.Dir
	b   []byte
}

// play feeds the says in pieces of n bytes and returns what is told.
func play(n int, midstream bool, says ...say) (string, *Stats) {
	var st Stats
	p := New(&st)
	p.Reset(midstream)
	out := &flows.Out{Batch: &flows.Batch{}}
	c := flows.Conn{Orig: packet.Addr{15: 1}, Resp: packet.Addr{15: 2}, OrigPort: 40000, RespPort: 389}
	more := true
	for i, s := range says {
		for b := s.b; len(b) > 0 && more; {
			part := b[:min(n, len(b))]
			b = b[len(part):]
			more = p.Data(out, &c, s.dir, part, flows.Ref{Frame: uint64(i) + 1})
		}
	}
	p.Flush(out, &c, true)
	return told(out.Batch), &st
}

func told(b *flows.Batch) string {
	var lines []string
	for _, it := range b.Order {
		switch it.Kind {
		case flows.KindLDAP:
			l := &b.LDAP[it.Index]
			lines = append(lines, fmt.Sprintf("%d>%d op %d %s|%d|%s|%s|%s|%s| entries %d bytes %d code %d outcome %d page %d %v sd %v", l.Orig[15], l.Resp[15], l.Op, b.String(l.Base), l.Scope,
				b.String(l.Filter), b.String(l.Attributes), b.String(l.Mechanism), b.String(l.Java), l.Entries, l.Bytes, l.Code, l.Outcome, l.PageSize, l.Further, l.SDFlags))
		case flows.KindAuth:
			a := &b.Auth[it.Index]
			lines = append(lines, fmt.Sprintf("auth %s %s from %s at %s method %d outcome %d status %x challenge %x v1 %v anonymous %v", b.String(a.Domain), b.String(a.User),
				b.String(a.Workstation), b.String(a.Server), a.Method, a.Outcome, a.Status, a.Challenge, a.NTLMv1, a.Anonymous))
		}
	}
	return strings.Join(lines, "\n")
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// challenge is an NTLM challenge of a server that names itself SRV; proof an answer of CORP\eve.
func challenge() []byte {
	m := make([]byte, 56)
	copy(m, "NTLMSSP\x00\x02")
	le := binary.LittleEndian
	le.PutUint32(m[20:], 1|1<<23)
	copy(m[24:], "12345678")
	info := append(unhex("0100 0600 53005200 5600"), 0, 0, 0, 0)
	le.PutUint16(m[40:], uint16(len(info)))
	le.PutUint32(m[44:], 56)
	return append(m, info...)
}

func proof() []byte {
	m := make([]byte, 64)
	copy(m, "NTLMSSP\x00\x03")
	le := binary.LittleEndian
	le.PutUint32(m[60:], 2) // OEM
	for _, f := range []struct {
		at   int
		text string
	}{{20, strings.Repeat("n", 60)}, {28, "CORP"}, {36, "eve"}, {44, "WS9"}} {
		le.PutUint16(m[f.at:], uint16(len(f.text)))
		le.PutUint32(m[f.at+4:], uint32(len(m)))
		m = append(m, f.text...)
	}
	return m
}

var domainAdmins = tlv(0xa0, equal("objectCategory", "group"), tlv(0xa1, equal("sAMAccountName", "Domain Admins"), tlv(0xa2, tlv(0x87, []byte("mail")))))

func paged(cookie string) []byte {
	return tlv(0x30, str(controlPaged), tlv(1, []byte{0xff}), tlv(4, tlv(0x30, tlv(2, []byte{0x03, 0xe8}), str(cookie))))
}

func TestOperations(t *testing.T) {
	client := func(b ...[]byte) say { return say{flows.Orig, join(b...)} }
	server := func(b ...[]byte) say { return say{flows.Resp, join(b...)} }
	const admins = "(&(objectCategory=group)(|(sAMAccountName=Domain Admins)(!(mail=*))))"
	sd := tlv(0x30, str(controlSDFlags), tlv(4, tlv(0x30, number(7))))
	for _, c := range []struct {
		name string
		says []say
		want string
	}{
		{"search with two entries",
			[]say{client(search(4, "DC=corp", 2, domainAdmins, join(paged(""), sd), "cn", "member")), server(entry(4, "CN=a", "cn", "a"), entry(4, "CN=b", "cn", "b")), server(done(4, 0))},
			"1>2 op 1 DC=corp|2|" + admins + "|cn member||| entries 2 bytes 66 code 0 outcome 1 page 1000 false sd true"},
		{"a further page, refused",
			[]say{client(search(4, "", 0, tlv(0x87, []byte("objectClass")), paged("x"))), server(done(4, 1))},
			"1>2 op 1 |0|(objectClass=*)|||| entries 0 bytes 14 code 1 outcome 2 page 1000 true sd false"},
		{"two searches whose results cross",
			[]say{client(search(4, "a", 0, equal("x", "1"), nil), search(5, "b", 0, equal("x", "2"), nil)), server(entry(5, "q"), done(5, 0), done(4, 0))},
			"1>2 op 1 b|0|(x=2)|||| entries 1 bytes 26 code 0 outcome 1 page 0 false sd false\n1>2 op 1 a|0|(x=1)|||| entries 0 bytes 14 code 0 outcome 1 page 0 false sd false"},
		{"signed by Kerberos as Windows does, and as others do",
			[]say{client(wrapped(12, search(4, "a", 2, domainAdmins, nil))), server(wrapped(0, entry(4, "q"), done(4, 0)))},
			"1>2 op 1 a|2|" + admins + "|||| entries 1 bytes 26 code 0 outcome 1 page 0 false sd false"},
		{"signed by NTLM, and by RC4",
			[]say{client(byNTLM(search(4, "a", 2, domainAdmins, nil))), server(byRC4(done(4, 0), 0xffff))},
			"1>2 op 1 a|2|" + admins + "|||| entries 0 bytes 14 code 0 outcome 1 page 0 false sd false"},
		{"sealed", []say{client(sealed(200)), server(sealed(5000), byRC4(done(4, 0), 0x1000))}, "1>2 op 2 |0||||| entries 2 bytes 5076 code 0 outcome 0 page 0 false sd false"},
		{"the responder asks: the start was not seen",
			[]say{{flows.Resp, search(4, "a", 2, equal("x", "1"), nil)}, {flows.Orig, done(4, 0)}}, "2>1 op 1 a|2|(x=1)|||| entries 0 bytes 14 code 0 outcome 1 page 0 false sd false"},
		{"no answer", []say{client(search(4, "a", 2, equal("x", "1"), nil))}, "1>2 op 1 a|2|(x=1)|||| entries 0 bytes 0 code 0 outcome 0 page 0 false sd false"},
		{"answers alone", []say{server(entry(4, "q"), done(4, 0))}, "1>2 op 1 |0||||| entries 1 bytes 26 code 0 outcome 1 page 0 false sd false"},
		{"a Java object", []say{client(search(2, "o=x", 0, tlv(0x87, []byte("objectClass")), nil)),
			server(entry(2, "o=x", "javaClassName", "foo", "JavaCodeBase", "http://192.0.2.1/", "javaScript", "x", "javaFactory", "Evil"), done(2, 0))},
			"1>2 op 1 o=x|0|(objectClass=*)|||javaClassName JavaCodeBase javaFactory| entries 1 bytes 131 code 0 outcome 1 page 0 false sd false"},
		{"simple bind", []say{client(simple(1, `CORP\eve`, "secret")), server(message(1, result(tagBindAnswer, 0, "")))},
			"1>2 op 0 CORP\\eve|0|||simple|| entries 0 bytes 14 code 0 outcome 1 page 0 false sd false\nauth CORP eve from  at  method 2 outcome 1 status 0 challenge 0000000000000000 v1 false anonymous false"},
		{"wrong password at Windows", []say{client(simple(1, "cn=eve", "secret")), server(message(1, result(tagBindAnswer, 49, "80090308: LdapErr: DSID-0C09042A, data 52e, v3839")))},
			"1>2 op 0 cn=eve|0|||simple|| entries 0 bytes 63 code 49 outcome 2 page 0 false sd false\nauth  cn=eve from  at  method 2 outcome 2 status c000006d challenge 0000000000000000 v1 false anonymous false"},
		{"signing is demanded: says nothing of the password", []say{client(simple(1, "cn=eve", "secret")), server(message(1, result(tagBindAnswer, 8, "")))},
			"1>2 op 0 cn=eve|0|||simple|| entries 0 bytes 14 code 8 outcome 2 page 0 false sd false"},
		{"NTLM", []say{client(sasl(1, "GSS-SPNEGO", []byte("NTLMSSP\x00\x01\x00\x00\x00\x00\x00\x00\x00"))),
			server(message(1, tlv(tagBindAnswer, tlv(10, []byte{14}), str(""), str(""), tlv(0x87, challenge())))),
			client(sasl(2, "GSS-SPNEGO", proof())), server(message(2, result(tagBindAnswer, 0, "")))},
			"1>2 op 0 |0|||GSS-SPNEGO|| entries 0 bytes 86 code 14 outcome 2 page 0 false sd false\n1>2 op 0 |0|||GSS-SPNEGO|| entries 0 bytes 14 code 0 outcome 1 page 0 false sd false\n" +
				"auth CORP eve from WS9 at SRV method 0 outcome 1 status 0 challenge 3132333435363738 v1 false anonymous false"},
		{"Microsoft's own package", []say{client(message(1, tlv(tagBind, number(3), str("NTLM"), tlv(0x8a, []byte("NTLMSSP\x00\x01\x00\x00\x00\x00\x00\x00\x00"))))),
			server(message(1, tlv(tagBindAnswer, tlv(10, []byte{0}), tlv(4, challenge()), str("")))),
			client(message(2, tlv(tagBind, number(3), str(""), tlv(0x8b, proof())))), server(message(2, result(tagBindAnswer, 49, "data 525, v")))},
			"1>2 op 0 NTLM|0|||NTLM|| entries 0 bytes 84 code 0 outcome 1 page 0 false sd false\n1>2 op 0 |0|||NTLM|| entries 0 bytes 25 code 49 outcome 2 page 0 false sd false\n" +
				"auth CORP eve from WS9 at SRV method 0 outcome 2 status c0000064 challenge 3132333435363738 v1 false anonymous false"},
		{"Kerberos in three steps", []say{client(sasl(1, "GSSAPI", unhex("6e0c300a a003020105 a10302010e"))), server(message(1, result(tagBindAnswer, 14, ""))),
			client(sasl(2, "GSSAPI", nil)), server(message(2, result(tagBindAnswer, 0, "")))},
			"1>2 op 0 |0|||GSSAPI|| entries 0 bytes 14 code 14 outcome 2 page 0 false sd false\n1>2 op 0 |0|||GSSAPI|| entries 0 bytes 14 code 0 outcome 1 page 0 false sd false\n" +
				"auth   from  at  method 1 outcome 1 status 0 challenge 0000000000000000 v1 false anonymous false"},
		{"TLS", []say{client(message(1, tlv(tagExtended, tlv(0x80, []byte("1.3.6.1.4.1.1466.20037"))))), server(message(1, result(tagExtAnswer, 0, ""))), client([]byte{22, 3, 1, 0, 200})}, ""},
	} {
		for _, n := range []int{1, 3, 7, 1 << 20} {
			if got, st := play(n, false, c.says...); got != c.want || st.Malformed != 0 {
				t.Errorf("%s, in pieces of %d: %d malformed\ngot  %s\nwant %s", c.name, n, st.Malformed, got, c.want)
				break
			}
		}
	}
}

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func TestFilters(t *testing.T) {
	rule := func(name, value string, rule string) []byte {
		return tlv(0xa9, tlv(0x81, []byte(rule)), tlv(0x82, []byte(name)), tlv(0x83, []byte(value)), tlv(0x84, []byte{0}))
	}
	deep := equal("a", "b")
	for range 40 {
		deep = tlv(0xa2, deep)
	}
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{equal("cn", "a*(b)\\\x00\xffé"), `(cn=a\2a\28b\29\5c\00\ffé)`},
		{tlv(0xa4, str("cn"), tlv(0x30, tlv(0x80, []byte("a")), tlv(0x81, []byte("b")), tlv(0x82, []byte("c")))), "(cn=a*b*c)"},
		{tlv(0xa4, str("cn"), tlv(0x30, tlv(0x81, []byte("adm")))), "(cn=*adm*)"},
		{tlv(0xa4, str("cn"), tlv(0x30, tlv(0x82, []byte("x")))), "(cn=*x)"},
		{tlv(0xa5, str("n"), str("1")), "(n>=1)"}, {tlv(0xa6, str("n"), str("1")), "(n<=1)"}, {tlv(0xa8, str("n"), str("1")), "(n~=1)"},
		{rule("userAccountControl", "4194304", "1.2.840.113556.1.4.803"), "(userAccountControl:1.2.840.113556.1.4.803:=4194304)"},
		{tlv(0xa0), "(&)"},
		{deep, strings.Repeat("(!", 32) + "(…)" + strings.Repeat(")", 32)},
	} {
		got, ok := appendFilter(nil, c.b, 0)
		if !ok || string(got) != c.want {
			t.Errorf("%x: %q, want %q", c.b, got, c.want)
		}
	}
	for _, bad := range [][]byte{{}, {0xa3}, tlv(0xa3, nil), tlv(0xaf, str("x")), tlv(0xa0, []byte{1, 2, 3}), tlv(0xa4, str("cn"), tlv(0x30, []byte{0x80}))} {
		if got, ok := appendFilter(nil, bad, 0); ok {
			t.Errorf("%x reads %q", bad, got)
		}
	}
}

// TestGaps holds that what is missing loses no more than what it touches.
func TestGaps(t *testing.T) {
	var st Stats
	p := New(&st)
	p.Reset(false)
	out := &flows.Out{Batch: &flows.Batch{}}
	c := flows.Conn{RespPort: 389}
	p.Data(out, &c, flows.Orig, search(4, "a", 2, equal("x", "1"), nil), flows.Ref{Frame: 1})
	big := entry(4, "q", "photo", strings.Repeat("x", 3000))
	p.Data(out, &c, flows.Resp, big[:1000], flows.Ref{Frame: 2})
	p.Gap(out, &c, flows.Resp, 1000)
	p.Data(out, &c, flows.Resp, big[2000:], flows.Ref{Frame: 3})
	signed := wrapped(12, entry(4, "r", "photo", strings.Repeat("x", 3000)))
	p.Data(out, &c, flows.Resp, signed[:500], flows.Ref{Frame: 4})
	p.Gap(out, &c, flows.Resp, 2000)
	p.Data(out, &c, flows.Resp, signed[2500:], flows.Ref{Frame: 5})
	p.Gap(out, &c, flows.Resp, 99) // unknown bytes at a boundary: the next message is looked for
	p.Data(out, &c, flows.Resp, []byte("no message begins with these"), flows.Ref{Frame: 6})
	p.Data(out, &c, flows.Resp, done(4, 0), flows.Ref{Frame: 7})
	p.Flush(out, &c, true)
	want := fmt.Sprintf("0>0 op 1 a|2|(x=1)|||| entries 2 bytes %d code 0 outcome 1 page 0 false sd false", 2*len(big)+len(done(4, 0)))
	if got := told(out.Batch); got != want || st.Malformed != 0 {
		t.Errorf("%+v\ngot  %s\nwant %s", st, got, want)
	}
}

// TestBounds holds that operations without a result don't pile up, and that a pooled parser gives memory back.
func TestBounds(t *testing.T) {
	var st Stats
	p := New(&st)
	p.Reset(false)
	out := &flows.Out{Batch: &flows.Batch{}}
	c := flows.Conn{}
	for i := range byte(100) {
		p.Data(out, &c, flows.Orig, search(i, "a", 2, equal("x", strings.Repeat("y", 5000)), nil), flows.Ref{})
	}
	if st.Displaced != 100-maxPending || len(out.Batch.LDAP) != int(st.Displaced) {
		t.Errorf("%+v, %d told", st, len(out.Batch.LDAP))
	}
	p.Reset(false)
	if cap(p.dirs[0].msg) > maxKept || cap(p.pending) > keptSlots {
		t.Errorf("%d bytes and %d operations are kept", cap(p.dirs[0].msg), cap(p.pending))
	}
	for range 2 * maxBroken {
		if !p.Data(out, &c, flows.Orig, []byte{0x30, 0x80, 0, 0, 0, 0, 0, 0, 0, 0}, flows.Ref{}) {
			return
		}
		p.dirs[0].lost = false
	}
	t.Error("a connection that is none is read for ever")
}

func TestNoAllocs(t *testing.T) {
	var st Stats
	p := New(&st)
	out := &flows.Out{Batch: &flows.Batch{}}
	ask, answer := wrapped(12, search(4, "DC=corp", 2, domainAdmins, paged("x"), "cn")), wrapped(12, entry(4, "CN=a", "javaFactory", "b"), done(4, 0))
	c := flows.Conn{}
	n := testing.AllocsPerRun(100, func() {
		p.Data(out, &c, flows.Orig, ask, flows.Ref{})
		p.Data(out, &c, flows.Resp, answer, flows.Ref{})
		out.Batch.Reset()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParser holds that nothing panics, and that the cut into segments changes nothing where nothing is broken.
func FuzzParser(f *testing.F) {
	f.Add(join(simple(1, "a", "b"), search(4, "DC=corp", 2, domainAdmins, paged("x"), "cn")), join(message(1, result(tagBindAnswer, 0, "")), entry(4, "CN=a", "javaFactory", "b"), done(4, 0)), uint8(3))
	f.Add(wrapped(12, search(4, "a", 2, domainAdmins, nil)), wrapped(0, entry(4, "q"), done(4, 0)), uint8(1))
	f.Add(byNTLM(search(4, "a", 2, domainAdmins, nil)), byRC4(done(4, 0), 0xffff), uint8(9))
	f.Add(join(sasl(1, "GSS-SPNEGO", proof()), sealed(50)), join(message(1, tlv(tagBindAnswer, tlv(10, []byte{14}), tlv(4, challenge()))), sealed(100)), uint8(200))
	f.Fuzz(func(t *testing.T, ask, answer []byte, n uint8) {
		says := []say{{flows.Orig, ask}, {flows.Resp, answer}}
		whole, st := play(1<<20, false, says...)
		if parts, _ := play(int(n)+1, false, says...); st.Malformed == 0 && parts != whole {
			t.Fatalf("whole %s\nparts %s", whole, parts)
		}
		play(int(n)+1, true, says...)
	})
}
