package rdp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// tpkt is an X.224 request (0xe0) or confirm (0xd0) with what follows its header.
func tpkt(kind byte, rest string) []byte {
	n := 11 + len(rest)
	return append([]byte{3, 0, byte(n >> 8), byte(n), byte(n - 5), kind, 0, 0, 0, 0, 0}, rest...)
}

// tls is a record of a kind with so many bytes.
func tls(kind byte, size int) []byte {
	return append([]byte{kind, 3, 3, byte(size >> 8), byte(size)}, make([]byte, size)...)
}

const (
	request   = "Cookie: mstshash=anna\r\n\x01\x00\x08\x00\x0b\x00\x00\x00"
	confirmed = "\x02\x1f\x08\x00\x08\x00\x00\x00"
)

// read plays a script: c and s say who sends what follows: a number is a sealed message of that size, "22" and "20" with a
// size after a point other records, "request", "confirm" or "refuse" the opening, "+D" a pause.
func read(t testing.TB, script string, step int) (string, Stats) {
	t.Helper()
	var stats Stats
	p := New(&stats)
	out := flows.Out{Batch: &flows.Batch{}, Now: packet.Time(time.Hour)}
	more := true
	for _, word := range strings.Fields(script) {
		if d, err := time.ParseDuration(strings.TrimPrefix(word, "+")); err == nil && word[0] == '+' {
			out.Now = out.Now.Add(d)
			continue
		}
		dir, what := flows.Orig, word[1:]
		if word[0] == 's' {
			dir = flows.Resp
		}
		var b []byte
		var kind byte
		var size int
		switch {
		case what == "request":
			b = tpkt(0xe0, request)
		case what == "admin":
			b = tpkt(0xe0, strings.Replace(request, "\x01\x00\x08", "\x01\x01\x08", 1))
		case what == "confirm":
			b = tpkt(0xd0, confirmed)
		case what == "refuse":
			b = tpkt(0xd0, "\x03\x00\x08\x00\x05\x00\x00\x00")
		case what == "bare":
			b = tpkt(0xd0, "")
		case what[0] == 'p': // a TPKT of RDP's own security
			fmt.Sscan(what[1:], &size)
			b = append([]byte{3, 0, byte(size >> 8), byte(size)}, make([]byte, size-4)...)
		case what[0] == 'f': // a fast-path unit
			fmt.Sscan(what[1:], &size)
			b = append([]byte{4, 0x80 | byte(size>>8), byte(size)}, make([]byte, size-3)...)
		default:
			if n, _ := fmt.Sscanf(what, "%d.%d", &kind, &size); n != 2 {
				kind = 23
				fmt.Sscan(what, &size)
			}
			b = tls(kind, size)
		}
		for len(b) > 0 && more {
			n := min(step, len(b))
			more = p.Data(&out, &flows.Conn{}, dir, b[:n], flows.Ref{Frame: 7})
			b = b[n:]
		}
	}
	p.Flush(&out, &flows.Conn{}, true)
	var said []string
	for _, r := range out.Batch.RDP {
		said = append(said, fmt.Sprintf("%s asks %d flags %d chose %d granted %d failure %d outcome %d", out.Batch.String(r.Cookie), r.Requested, r.Flags, r.Selected, r.Granted, r.Failure, r.Outcome))
	}
	for _, a := range out.Batch.Auth {
		said = append(said, out.Batch.String(a.User)+map[flows.Outcome]string{flows.Failed: " failed", flows.Succeeded: " in"}[a.Outcome])
	}
	for _, s := range out.Batch.Session {
		said = append(said, fmt.Sprintf("%v of %v", s.Messages, s.Bytes))
	}
	return strings.Join(said, "; "), stats
}

// shake is a handshake of TLS 1.2.
const shake = " crequest sconfirm c22.170 s22.1200 c22.150 c20.1 c22.40 s20.1 s22.40 "

// shake13 is a handshake of TLS 1.3, as FreeRDP 2.10 makes it.
const shake13 = " crequest sconfirm c22.310 s22.122 s20.1 s23 s720 s281 s69 c20.1 c69 "

// TestParser holds what is told of a connection; sizes are those of a Windows 10 with AES-GCM, and of FreeRDP 2.10 with TLS 1.3.
func TestParser(t *testing.T) {
	const opened = "anna asks 11 flags 0 chose 8 granted 31 failure 0 outcome 1"
	for _, c := range []struct{ name, script, want string }{
		{"a log-in", shake + "c81 s245 c609 s83 c108 s28 c486 +1s s150 c36 +1s c36 s39 c36 s39 c36 s39 c36 s39", opened + "; anna in; [6 4] of [666 306]"},
		{"a wrong password, with a code", shake + "c81 s245 c609 +1s s39 +1s", opened + "; anna failed"},
		{"a wrong password, closed", shake + "c81 s245 c609 +3s", opened + "; anna failed"},
		{"closed long after", shake + "c81 s245 c609 +31s", opened},
		{"people look at the certificate", shake + "c81 s245 c609 s83", opened},
		{"a probe of the port", "crequest sconfirm", opened},
		{"a probe of TLS", shake, opened},
		{"TLS 1.3, a wrong password", shake13 + "c110 s250 s250 s179 c444 s19 c19", opened + "; anna failed"},
		{"TLS 1.3, a wrong password, with a code", shake13 + "s250 s250 c110 s179 c444 s32 c19", opened + "; anna failed"},
		{"TLS 1.3, in", shake13 + "s250 s250 c110 s179 c444 s112 c123 c489 s135 c29", opened + "; anna in"},
		{"TLS 1.3, a probe", shake13, opened},
		{"no answer", "crequest", "anna asks 11 flags 0 chose 0 granted 0 failure 0 outcome 0"},
		{"refused", "crequest srefuse", "anna asks 11 flags 0 chose 0 granted 0 failure 5 outcome 2"},
		{"restricted administration", "cadmin sconfirm", "anna asks 11 flags 1 chose 8 granted 31 failure 0 outcome 1"},
		{"RDP's own security", "crequest sbare cp412 sp333 +1s cp12 +1s sp11 +1s cf12 +1s sf300 +1s cf12 +1s sf300 +1s cf12 +1s sf30 +1s sp9",
			"anna asks 11 flags 0 chose 0 granted 0 failure 0 outcome 1; [5 5] of [443 962]"},
	} {
		for _, step := range []int{1, 7, 1 << 20} {
			if got, stats := read(t, c.script, step); got != c.want || stats.Malformed != 0 {
				t.Errorf("%s in steps of %d: %q, want %q; %+v", c.name, step, got, c.want, stats)
			}
		}
	}
}

// TestMalformed holds that what contradicts the protocol is counted once and left.
func TestMalformed(t *testing.T) {
	var stats Stats
	for _, b := range [][]byte{
		{3, 0, 0, 5, 1},
		{3, 0, 255, 255, 1},
		tpkt(0xd0, ""), // a confirm by the client
		append(tpkt(0xe0, "")[:4], 200, 0xe0, 0, 0, 0, 0, 0),
	} {
		p := New(&stats)
		before := stats.Malformed
		out := flows.Out{Batch: &flows.Batch{}}
		if p.Data(&out, &flows.Conn{}, flows.Orig, b, flows.Ref{}) || stats.Malformed != before+1 {
			t.Errorf("%x is read on; %+v", b, stats)
		}
	}
	p := New(&stats)
	p.Reset(true)
	if p.Data(&flows.Out{Batch: &flows.Batch{}}, &flows.Conn{}, flows.Orig, tpkt(0xe0, ""), flows.Ref{}) {
		t.Error("reads midstream")
	}
}

// FuzzParser holds that any bytes are read without harm, and that steps change nothing.
func FuzzParser(f *testing.F) {
	f.Add(tpkt(0xe0, request), tpkt(0xd0, confirmed), uint8(9))
	f.Add(append(tpkt(0xe0, request), tls(22, 90)...), append(tpkt(0xd0, confirmed), append(tls(22, 900), tls(23, 100)...)...), uint8(50))
	f.Add(append(tpkt(0xe0, ""), 3, 0, 0, 8, 1, 1, 1, 1, 4, 0x80, 9, 0, 0, 0), append(tpkt(0xd0, ""), 0, 4, 1, 1), uint8(1))
	f.Fuzz(func(t *testing.T, client, server []byte, step uint8) {
		run := func(step int) string {
			var stats Stats
			p := New(&stats)
			out := flows.Out{Batch: &flows.Batch{}}
			for d, b := range [][]byte{client, server} {
				for len(b) > 0 {
					n := min(step, len(b))
					if !p.Data(&out, &flows.Conn{}, flows.Dir(d), b[:n], flows.Ref{}) {
						break
					}
					b = b[n:]
				}
			}
			p.Flush(&out, &flows.Conn{}, true)
			if len(out.Batch.RDP) > 1 || len(out.Batch.Auth) > 1 {
				t.Errorf("%d openings, %d log-ins", len(out.Batch.RDP), len(out.Batch.Auth))
			}
			return fmt.Sprintf("%+v", stats)
		}
		if a, b := run(int(step)+1), run(1<<20); a != b {
			t.Errorf("in steps of %d %s, at once %s", step+1, a, b)
		}
	})
}

// BenchmarkScreen is a server's screen in records of 16 KiB, in segments of 1,460 bytes.
func BenchmarkScreen(b *testing.B) {
	var stats Stats
	p := New(&stats)
	out := flows.Out{Batch: &flows.Batch{}, Now: 1}
	p.Data(&out, &flows.Conn{}, flows.Orig, tpkt(0xe0, request), flows.Ref{})
	p.Data(&out, &flows.Conn{}, flows.Resp, tpkt(0xd0, confirmed), flows.Ref{})
	var segments [][]byte
	stream := tls(23, 16384)
	for len(stream) > 0 {
		n := min(1460, len(stream))
		segments, stream = append(segments, stream[:n]), stream[n:]
	}
	b.ReportAllocs()
	b.SetBytes(1460)
	for i := 0; b.Loop(); i++ {
		out.Now += 1000
		p.Data(&out, &flows.Conn{}, flows.Resp, segments[i%len(segments)], flows.Ref{})
	}
	if stats.Malformed > 0 {
		b.Error(stats)
	}
}
