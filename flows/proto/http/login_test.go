package http

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"neuromast/flows"
)

// wide is text in UTF-16LE.
func wide(s string) (b []byte) {
	for _, c := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(c))
	}
	return b
}

func message(kind uint32, size int, at []int, payload ...[]byte) string {
	b := make([]byte, size)
	copy(b, "NTLMSSP\x00")
	le := binary.LittleEndian
	le.PutUint32(b[8:], kind)
	for i, p := range payload {
		le.PutUint16(b[at[i]:], uint16(len(p)))
		le.PutUint16(b[at[i]+2:], uint16(len(p)))
		le.PutUint32(b[at[i]+4:], uint32(len(b)))
		b = append(b, p...)
	}
	switch kind {
	case 2:
		le.PutUint32(b[20:], 1)
		copy(b[24:], "CHALLENG")
	case 3:
		le.PutUint32(b[60:], 1)
	}
	return base64.StdEncoding.EncodeToString(b)
}

var (
	negotiate    = message(1, 32, nil)
	challenge    = message(2, 48, []int{12}, wide("CORP"))
	authenticate = message(3, 88, []int{20, 28, 36, 44}, []byte("PROOFPROOF and the rest of an answer of version 2"), wide("CORP"), wide("alice"), wide("WS7"))
	ticket       = base64.StdEncoding.EncodeToString([]byte("\x60\x40 a GSS header \xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e and a ticket"))
)

func get(header string) turn {
	return turn{flows.Orig, "GET /a HTTP/1.1\r\nHost: web\r\n" + header + "\r\n\r\n"}
}

func says(status int, header string) turn {
	return turn{flows.Resp, fmt.Sprintf("HTTP/1.1 %d x\r\n%s\r\nContent-Length: 0\r\n\r\n", status, header)}
}

func TestLogIns(t *testing.T) {
	basic := func(s string) turn {
		return get("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(s)))
	}
	digest := get(`Authorization: Digest realm="a, b", username="bob", uri="/a"`)
	ntlm := []turn{get("Authorization: NTLM " + negotiate), says(401, "WWW-Authenticate: NTLM "+challenge), get("Authorization: NTLM " + authenticate)}
	with := func(first []turn, more ...turn) []turn { return append(append([]turn(nil), first...), more...) }
	const alice = `ntlm alice CORP WS7 "CHALLENG" "PROOFPRO" web `
	for _, c := range []struct {
		name  string
		turns []turn
		want  string
	}{
		{"no proof", []turn{get("A: b"), says(401, "WWW-Authenticate: Basic")}, ""},
		{"NTLM gets in", with(ntlm, says(200, "")), alice + "in"},
		{"NTLM is refused", with(ntlm, says(401, "WWW-Authenticate: NTLM")), alice + "refused"},
		{"NTLM never answered", ntlm, alice + "unseen"},
		{"NTLM to a server that is down", with(ntlm, says(503, "")), alice + "unseen"},
		{"NTLM within Negotiate at a proxy", []turn{get("Proxy-Authorization: Negotiate " + negotiate), says(407, "A: b\r\nproxy-authenticate: Negotiate "+challenge),
			get("Proxy-Authorization: Negotiate " + authenticate), says(200, "")}, alice + "in"},
		{"guessed on with the same connection", with(ntlm, says(401, "WWW-Authenticate: NTLM"), get("Authorization: NTLM "+negotiate), says(401, "WWW-Authenticate: NTLM "+challenge),
			get("Authorization: NTLM "+authenticate), says(401, "WWW-Authenticate: NTLM")), alice + "refused; " + alice + "refused"},
		{"a ticket, twice", []turn{get("Authorization: Negotiate " + ticket), says(200, ""), get("Authorization: Negotiate " + ticket), says(200, "")}, `kerberos    "" "" web in`},
		{"a ticket refused", []turn{get("Authorization: Negotiate " + ticket), says(401, "WWW-Authenticate: Negotiate")}, `kerberos    "" "" web refused`},
		{"a ticket that is asked to go on", []turn{get("Authorization: Negotiate " + ticket), says(401, "WWW-Authenticate: Negotiate oQcwBaADCgEB")}, ""},
		{"Basic", []turn{basic("bob:secret"), says(401, ""), basic("bob:hunter2"), says(200, ""), basic("bob:hunter2"), says(200, "")}, `password bob   "" "" web refused; password bob   "" "" web in`},
		{"Basic without a colon", []turn{basic("bob"), says(401, "")}, ""},
		{"Basic of a long name", []turn{basic(strings.Repeat("b", 300) + ":x"), says(401, "")}, ""},
		{"Digest", []turn{digest, says(401, `WWW-Authenticate: Digest realm="a, b", nonce="c"`)}, `password bob   "" "" web refused`},
		{"Digest with an old nonce", []turn{digest, says(401, `WWW-Authenticate: Digest realm="a, b", stale=true, nonce="c"`), digest, says(200, "")}, `password bob   "" "" web in`},
		{"the answer behind 100", []turn{get("Authorization: Negotiate " + ticket), {flows.Resp, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 x\r\n\r\n"}}, `kerberos    "" "" web refused`},
		{"no base64", []turn{get("Authorization: NTLM ????????????????"), says(401, "")}, ""},
		{"the head of an answer in pieces", []turn{ntlm[0], {flows.Resp, "HTTP/1.1 401 x\r\nWWW-Authen"}, {flows.Resp, "ticate: NTLM " + challenge[:20]}, {flows.Resp, challenge[20:] + "\r\n\r"}, {flows.Resp, "\n"},
			ntlm[2], says(200, "")}, alice + "in"},
	} {
		for _, step := range []int{1 << 20, 3} {
			out := flows.Out{Batch: &flows.Batch{}}
			p := New(&Stats{})
			for _, turn := range c.turns {
				for b := []byte(turn.text); len(b) > 0; {
					n := len(b)
					if turn.dir == flows.Orig {
						n = min(n, step)
					}
					p.Data(&out, &flows.Conn{}, turn.dir, b[:n], flows.Ref{})
					b = b[n:]
				}
			}
			p.Flush(&out, &flows.Conn{}, true)
			var said []string
			b := out.Batch
			for _, a := range b.Auth {
				said = append(said, fmt.Sprintf("%s %s %s %s %q %q %s %s", [...]string{"ntlm", "kerberos", "password"}[a.Method], b.String(a.User), b.String(a.Domain), b.String(a.Workstation),
					strings.TrimRight(string(a.Challenge[:]), "\x00"), strings.TrimRight(string(a.Proof[:]), "\x00"), b.String(a.Host), [...]string{"unseen", "in", "refused"}[a.Outcome]))
			}
			if got := strings.Join(said, "; "); got != c.want {
				t.Errorf("%s in steps of %d:\n%q, want\n%q", c.name, step, got, c.want)
			}
			if strings.Contains(string(b.Arena), "secret") || strings.Contains(string(b.Arena), "hunter") {
				t.Errorf("%s: a password is kept", c.name)
			}
		}
	}
}

// TestNoAllocs holds that log-ins cost no garbage once a parser has its buffers.
func TestNoAllocs(t *testing.T) {
	out := flows.Out{Batch: &flows.Batch{}}
	p := New(&Stats{})
	turns := [][]byte{[]byte(get("Authorization: NTLM " + negotiate).text), []byte(says(401, "WWW-Authenticate: NTLM "+challenge).text), []byte(get("Authorization: NTLM " + authenticate).text), []byte(says(401, "A: b").text)}
	play := func() {
		out.Batch.Reset()
		for i, b := range turns {
			p.Data(&out, &flows.Conn{}, flows.Dir(i%2), b, flows.Ref{})
		}
	}
	play()
	if n := testing.AllocsPerRun(100, play); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
