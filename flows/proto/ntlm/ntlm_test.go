package ntlm

import (
	"encoding/binary"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func wide(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// fields lays out a header of fixed bytes followed by payloads, as (length, room, offset) at the places given.
func fields(fixed []byte, at []int, payload ...[]byte) []byte {
	b := append([]byte(nil), fixed...)
	for i, p := range payload {
		binary.LittleEndian.PutUint16(b[at[i]:], uint16(len(p)))
		binary.LittleEndian.PutUint16(b[at[i]+2:], uint16(len(p)))
		binary.LittleEndian.PutUint32(b[at[i]+4:], uint32(len(b)))
		b = append(b, p...)
	}
	return b
}

func header(kind byte, size, flagsAt int, flags uint32) []byte {
	b := make([]byte, size)
	copy(b, Signature)
	b[8] = kind
	if flagsAt > 0 {
		binary.LittleEndian.PutUint32(b[flagsAt:], flags)
	}
	return b
}

func pair(id uint16, v []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, id)
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(v))), v...)
}

func challengeMessage() []byte {
	h := header(2, 56, 20, 0xe2898215)
	copy(h[24:], "\x01\x23\x45\x67\x89\xab\xcd\xef")
	var info []byte
	for _, p := range [][]byte{pair(NBDomain, wide("CORP")), pair(NBComputer, wide("DC1")), pair(DNSComputer, wide("dc1.corp.example")), pair(0, nil)} {
		info = append(info, p...)
	}
	return fields(h, []int{12, 40}, wide("CORP"), info)
}

func authenticate(flags uint32, nt int, domain, user, ws []byte) []byte {
	answer := make([]byte, nt)
	copy(answer, "\x01\x02\x03\x04\x05\x06\x07\x08")
	return fields(header(3, 88, 60, flags), []int{12, 20, 28, 36, 44}, make([]byte, 24), answer, domain, user, ws)
}

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name                 string
		b                    []byte
		kind                 Kind
		user, domain, ws     string
		server, challenge    string
		v1, anonymous, found bool
	}{
		{name: "negotiate", b: header(1, 32, 12, 0xe2088297), kind: Negotiate, found: true},
		{name: "challenge in a wrapper", b: append([]byte("\xa1\x81\xd0NTLMSSP"), challengeMessage()...), kind: Challenge,
			domain: "CORP", server: "dc1.corp.example", challenge: "\x01\x23\x45\x67\x89\xab\xcd\xef", found: true},
		{name: "v2", b: authenticate(1, 120, wide("CORP"), wide("jürgen😀"), wide("WS7")), kind: Authenticate,
			user: "jürgen😀", domain: "CORP", ws: "WS7", found: true},
		{name: "v1 in OEM", b: authenticate(2, 24, []byte("CORP"), []byte("j\xfcrgen"), []byte("WS7")), kind: Authenticate,
			user: "jürgen", domain: "CORP", ws: "WS7", v1: true, found: true},
		{name: "anonymous", b: authenticate(0x801, 0, nil, nil, nil), kind: Authenticate, anonymous: true, found: true},
		{name: "payload where the flags would be", b: fields(header(3, 52, 0, 0), []int{36, 44}, wide("administrator"), wide("A")),
			kind: Authenticate, user: "administrator", ws: "A", found: true},
		{name: "no message", b: []byte("NTLMSSP\x00\x04\x00\x00\x00 and nothing after")},
		{name: "a broken one before a whole one", b: append([]byte("NTLMSSP\x00\x09\x00\x00\x00"), header(1, 16, 12, 1)...), kind: Negotiate, found: true},
	} {
		m, ok := Find(tt.b)
		if ok != tt.found || m.Kind != tt.kind {
			t.Errorf("%s: found %v, kind %d", tt.name, ok, m.Kind)
			continue
		}
		text := func(b []byte) string { return string(m.Append(nil, b)) }
		if text(m.User) != tt.user || text(m.Domain) != tt.domain || text(m.Workstation) != tt.ws {
			t.Errorf("%s: %q %q %q", tt.name, text(m.User), text(m.Domain), text(m.Workstation))
		}
		if m.NTLMv1() != tt.v1 || m.Anonymous() != tt.anonymous {
			t.Errorf("%s: v1 %v anonymous %v", tt.name, m.NTLMv1(), m.Anonymous())
		}
		if want := (tt.kind == Authenticate && !tt.anonymous && tt.ws != "A"); (m.Proof == [8]byte{1, 2, 3, 4, 5, 6, 7, 8}) != want {
			t.Errorf("%s: proof % x", tt.name, m.Proof)
		}
		if got := string(m.AppendServer(nil)); got != tt.server {
			t.Errorf("%s: server %q", tt.name, got)
		}
		if tt.challenge != "" && string(m.Challenge[:]) != tt.challenge {
			t.Errorf("%s: challenge % x", tt.name, m.Challenge)
		}
	}
}

// TestCut holds that a message cut anywhere gives no field that differs from the whole message's.
func TestCut(t *testing.T) {
	whole := authenticate(1, 120, wide("CORP"), wide("alice"), wide("WS7"))
	for n := range whole {
		m, ok := Decode(whole[:n])
		if !ok {
			continue
		}
		for _, f := range []struct {
			got  []byte
			want string
		}{{m.Domain, "CORP"}, {m.User, "alice"}, {m.Workstation, "WS7"}} {
			if got := string(AppendUTF16(nil, f.got)); got != "" && got != f.want {
				t.Errorf("cut at %d: %q, want %q", n, got, f.want)
			}
		}
	}
}

func TestUTF16(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"a\x00b\x00", "ab"}, {"\x3d\xd8\x00\xde", "😀"}, {"\x3d\xd8a\x00", "\ufffda"}, {"\x00\xde", "\ufffd"}, {"a\x00b", "a"}, {"\x3d\xd8", "\ufffd"},
	} {
		if got := string(AppendUTF16(nil, []byte(tt.in))); got != tt.want {
			t.Errorf("% x: %q, want %q", tt.in, got, tt.want)
		}
	}
}

// FuzzFind holds UTF-16 against the standard library and that nothing panics.
func FuzzFind(f *testing.F) {
	f.Add(header(1, 32, 12, 1))
	f.Add(challengeMessage())
	f.Add(authenticate(1, 120, wide("CORP"), wide("jürgen😀"), wide("WS7")))
	f.Add(authenticate(2, 24, []byte("CORP"), []byte("j\xfcrgen"), []byte("WS7")))
	f.Fuzz(func(t *testing.T, b []byte) {
		var units []uint16
		for i := 0; i+1 < len(b); i += 2 {
			units = append(units, binary.LittleEndian.Uint16(b[i:]))
		}
		if got, want := string(AppendUTF16(nil, b)), string(utf16.Decode(units)); got != want {
			t.Fatalf("% x reads %q, the standard library %q", b, got, want)
		}
		m, ok := Find(b)
		if !ok {
			return
		}
		if m.Kind < Negotiate || m.Kind > Authenticate {
			t.Fatal("kind", m.Kind)
		}
		for _, text := range [][]byte{m.User, m.Domain, m.Workstation} {
			if !utf8.Valid(m.Append(nil, text)) {
				t.Fatal("not UTF-8")
			}
		}
		m.AppendServer(nil)
	})
}
