package vnc

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"neuromast/flows"
)

// part is what one side says.
type part struct {
	dir flows.Dir
	b   string
}

// read feeds parts in pieces of step bytes and ends the connection.
func read(parts []part, step int) (said []string, stats Stats) {
	p := New(&stats)
	p.Reset(false)
	out := flows.Out{Batch: &flows.Batch{}}
	more := true
	for _, part := range parts {
		for b := []byte(part.b); len(b) > 0 && more; {
			n := min(max(step, 1), len(b))
			more = p.Data(&out, &flows.Conn{}, part.dir, b[:n], flows.Ref{})
			b = b[n:]
		}
	}
	if more {
		p.Flush(&out, &flows.Conn{}, false)
		p.Flush(&out, &flows.Conn{}, true)
	}
	for _, a := range out.Batch.Auth {
		said = append(said, []string{"unseen", "in", "wrong"}[a.Outcome])
	}
	return said, stats
}

const (
	v33, v38  = "RFB 003.003\n", "RFB 003.008\n"
	challenge = "0123456789abcdef"
	answer    = "fedcba9876543210"
	fine      = "\x00\x00\x00\x00"
	failed    = "\x00\x00\x00\x01"
)

var dialogues = []struct {
	name  string
	parts []part
	want  string
	stats Stats
}{
	{"in, 3.8", []part{{1, v38}, {0, v38}, {1, "\x02\x01\x02"}, {0, "\x02"}, {1, challenge}, {0, answer}, {1, fine}, {1, "more"}}, "in", Stats{1, 1, 0}},
	{"wrong, 3.8, with a reason", []part{{1, v38}, {0, v38}, {1, "\x01\x02"}, {0, "\x02"}, {1, challenge}, {0, answer}, {1, failed + "\x00\x00\x00\x05wrong"}}, "wrong", Stats{1, 1, 0}},
	{"wrong, 3.3: the server decides", []part{{1, v38}, {0, v33}, {1, "\x00\x00\x00\x02" + challenge}, {0, answer}, {1, failed}}, "wrong", Stats{1, 1, 0}},
	{"too many tries", []part{{1, v33}, {0, v33}, {1, "\x00\x00\x00\x02" + challenge}, {0, answer}, {1, "\x00\x00\x00\x02"}}, "wrong", Stats{1, 1, 0}},
	{"the client leaves at the question", []part{{1, v38}, {0, v38}, {1, "\x01\x02"}, {0, "\x02"}, {1, challenge}}, "unseen", Stats{1, 0, 0}},
	{"no answer to the proof", []part{{1, v38}, {0, v38}, {1, "\x01\x02"}, {0, "\x02"}, {1, challenge}, {0, answer}}, "unseen", Stats{1, 0, 0}},
	{"the client leaves at the offer", []part{{1, v38}, {0, v38}, {1, "\x01\x02"}}, "", Stats{1, 0, 0}},
	{"no security", []part{{1, v38}, {0, v38}, {1, "\x01\x01"}, {0, "\x01"}, {1, fine}}, "", Stats{1, 0, 0}},
	{"Apple's own kind", []part{{1, "RFB 003.889\n"}, {0, "RFB 003.889\n"}, {1, "\x04\x1e\x21\x24\x23"}, {0, "\x1e"}, {1, "\x00\x02\x01\x00"}}, "", Stats{1, 0, 0}},
	{"refused, 3.8", []part{{1, v38}, {0, v38}, {1, "\x00\x00\x00\x00\x04busy"}}, "", Stats{1, 0, 0}},
	{"refused, 3.3", []part{{1, v33}, {0, v33}, {1, "\x00\x00\x00\x00\x00\x00\x00\x04busy"}}, "", Stats{1, 0, 0}},
	{"no such kind", []part{{1, v33}, {0, v33}, {1, "\x00\x01\x00\x00"}}, "", Stats{1, 0, 1}},
	{"no such result", []part{{1, v33}, {0, v33}, {1, "\x00\x00\x00\x02" + challenge}, {0, answer}, {1, "\x10\x00\x00\x00"}}, "", Stats{1, 0, 1}},
	{"not VNC", []part{{1, "SSH-2.0-xyzabc\n"}}, "", Stats{0, 0, 1}},
	{"a client that talks on", []part{{0, v38 + strings.Repeat("x", 600)}}, "", Stats{0, 0, 1}},
	{"the client's frames first", []part{{0, v38 + "\x02" + answer}, {1, v38 + "\x01\x02" + challenge + fine}}, "in", Stats{1, 1, 0}},
}

func TestParser(t *testing.T) {
	for _, d := range dialogues {
		for _, step := range []int{1, 3, 1000} {
			said, stats := read(d.parts, step)
			if got := strings.Join(said, " "); got != d.want || stats != d.stats {
				t.Errorf("%s in steps of %d: %q, %+v, want %q, %+v", d.name, step, got, stats, d.want, d.stats)
			}
		}
	}
}

// TestLost: what misses its start, or bytes, is left.
func TestLost(t *testing.T) {
	var stats Stats
	p := New(&stats)
	out := flows.Out{Batch: &flows.Batch{}}
	p.Reset(true)
	if p.Data(&out, &flows.Conn{}, flows.Resp, []byte(fine), flows.Ref{}) {
		t.Error("a connection whose start was not seen is read on")
	}
	p.Reset(false)
	if !p.Data(&out, &flows.Conn{}, flows.Resp, []byte(v38), flows.Ref{}) {
		t.Error("a version ends the reading")
	}
	p.Gap(&out, &flows.Conn{}, flows.Resp, 4)
	if p.Data(&out, &flows.Conn{}, flows.Orig, []byte(v38), flows.Ref{}) || len(out.Batch.Auth) != 0 {
		t.Error("a connection with a gap is read on")
	}
}

// FuzzParser holds that any bytes are read within bounds, and in the same way whatever pieces they come in.
func FuzzParser(f *testing.F) {
	for _, d := range dialogues {
		var both bytes.Buffer
		for _, part := range d.parts {
			fmt.Fprintf(&both, "%c%c%s", part.dir, len(part.b), part.b)
		}
		f.Add(both.Bytes(), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		var parts []part
		for len(b) >= 2 {
			n := min(int(b[1]), len(b)-2)
			parts = append(parts, part{flows.Dir(b[0] & 1), string(b[2 : 2+n])})
			b = b[2+n:]
		}
		one, s1 := read(parts, 1<<20)
		two, s2 := read(parts, int(step))
		if strings.Join(one, " ") != strings.Join(two, " ") || s1.Logins != s2.Logins || s1.Handshakes != s2.Handshakes {
			t.Errorf("%v %+v in one piece, %v %+v in pieces of %d", one, s1, two, s2, step)
		}
		if len(one) > 1 {
			t.Errorf("%d log-ins of one connection", len(one))
		}
	})
}
