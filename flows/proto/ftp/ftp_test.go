package ftp

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/flows"
)

// read feeds a dialogue, lines beginning with > are the client's, in pieces of step bytes.
func read(text string, step int) (said []string, stats Stats) {
	p := New(&stats)
	out := flows.Out{Batch: &flows.Batch{}}
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		dir := flows.Resp
		if rest, ok := strings.CutPrefix(line, "> "); ok {
			dir, line = flows.Orig, rest
		}
		more := true
		for b := []byte(line + "\r\n"); len(b) > 0 && more; {
			n := min(step, len(b))
			more = p.Data(&out, &flows.Conn{}, dir, b[:n], flows.Ref{})
			b = b[n:]
		}
		if !more {
			break
		}
	}
	for _, a := range out.Batch.Auth {
		said = append(said, fmt.Sprintf("%s %d %v", out.Batch.String(a.User), a.Outcome, a.Anonymous))
	}
	return said, stats
}

func TestParser(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"wrong, then right", "220-Welcome\n220 ready\n> USER bob\n331 Password\n> PASS x\n530 Login incorrect\n> user bob\n331 Password\n> pass y\n230-Hello\n230 in", "bob 2 false, bob 1 false"},
		{"anonymous", "220 ready\n> USER anonymous\n331 mail\n> PASS me@\n230 in", "anonymous 1 true"},
		{"refused without a password", "220 ready\n> LIST\n530 log in first", ""},
		{"an account is wanted", "> USER bob\n331 x\n> PASS x\n332 account", ""},
		{"TLS", "> AUTH TLS\n234 go on\n> USER bob\n> PASS x\n230 in", ""},
		{"a long line", "> USER " + strings.Repeat("u", 1000) + "\n331 x\n> PASS x\n530 no", strings.Repeat("u", 128) + " 2 false"},
	} {
		for _, step := range []int{1, 5, 2000} {
			said, _ := read(c.text, step)
			if got := strings.Join(said, ", "); got != c.want {
				t.Errorf("%s in steps of %d: %q, want %q", c.name, step, got, c.want)
			}
		}
	}
}

// FuzzParser holds that any bytes are read within bounds, and in the same way whatever pieces they come in.
func FuzzParser(f *testing.F) {
	f.Add("> USER bob\n331 x\n> PASS x\n530 no", uint8(3))
	f.Add("230 in\n> PASS\n> USER\n230", uint8(0))
	f.Fuzz(func(t *testing.T, text string, step uint8) {
		one, s1 := read(text, 1<<20)
		two, s2 := read(text, int(step)+1)
		if strings.Join(one, "\n") != strings.Join(two, "\n") || s1.Logins != s2.Logins {
			t.Errorf("%q %q, %+v %+v", one, two, s1, s2)
		}
	})
}
