package ssh

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"neuromast/flows"
)

// plain is a packet in the clear (RFC 4253, 6) of a message type and so many bytes of payload.
func plain(msg byte, size int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(1+size+4))
	b = append(b, 4, msg)
	return append(b, make([]byte, size-1+4)...)
}

// read plays a script: words c or s and a size are sealed packets of client or server, "start" the exchange in the clear.
func read(script string, step int) (said string, stats Stats) {
	p := New(&stats)
	out := flows.Out{Batch: &flows.Batch{}}
	more := true
	put := func(dir flows.Dir, b []byte, step int) {
		for len(b) > 0 && more {
			n := min(step, len(b))
			more = p.Data(&out, &flows.Conn{}, dir, b[:n], flows.Ref{})
			b = b[n:]
		}
	}
	for _, word := range strings.Fields(script) {
		if word == "start" {
			put(flows.Resp, []byte("a line that servers may send\r\nSSH-2.0-OpenSSH_9.6\r\n"), step)
			put(flows.Orig, []byte("SSH-2.0-libssh2_1.11.0\r\n"), step)
			put(flows.Orig, append(plain(20, 900), plain(30, 40)...), step)
			put(flows.Resp, append(append(plain(20, 900), plain(31, 400)...), plain(msgNewKeys, 1)...), step)
			put(flows.Orig, plain(msgNewKeys, 1), step)
			continue
		}
		var size int
		fmt.Sscan(word[1:], &size)
		dir := flows.Orig
		if word[0] == 's' {
			dir = flows.Resp
		}
		put(dir, make([]byte, size), 1<<20)
	}
	var all []string
	for _, a := range out.Batch.Auth {
		all = append(all, map[flows.Outcome]string{flows.Failed: "failed", flows.Succeeded: "in"}[a.Outcome])
	}
	return strings.Join(all, " "), stats
}

// TestParser holds what the sizes say. The acceptance of the service has 52 bytes (AES in counter mode with HMAC-SHA1: 32 and
// 20), a success 36, a failure with its list 84.
func TestParser(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"a password that is right", "start c52 s52 c68 s84 c148 s36 c100 s52", "in"},
		{"three that are wrong", "start c52 s52 c68 s84 c148 s84 c148 s84 c148 s84", "failed failed failed"},
		{"wrong, then right", "start c52 s52 c68 s84 c148 s84 c148 s36 c100 s52", "failed in"},
		{"a key that would do, then signed", "start c52 s52 c68 s84 c400 s356 c800 s36", "in"},
		{"a prompt", "start c52 s52 c68 s100 c84 s68 c100 s100 c84 s68 c100 s36", "failed in"},
		{"extensions before anybody asks", "start s180 c52 s52 c68 s84 c148 s84", "failed"},
		{"a success and more behind it", "start c52 s52 c68 s84 c148 s36 s500 c100", "in"},
		{"looked only which methods there are", "start c52 s52 c68 s84", ""},
		{"no password wanted", "start c52 s52 c68 s36", "in"},
		{"no log-in at all", "start", ""},
	} {
		for _, step := range []int{1, 7, 1 << 20} {
			if got, stats := read(c.script, step); got != c.want || stats.Sealed != 1 || stats.Malformed != 0 {
				t.Errorf("%s in steps of %d: %q, want %q; %+v", c.name, step, got, c.want, stats)
			}
		}
	}
}

// TestGap holds that nothing is guessed behind a gap, nor of a connection whose start was not seen.
func TestGap(t *testing.T) {
	var stats Stats
	p := New(&stats)
	out := flows.Out{Batch: &flows.Batch{}}
	p.Gap(&out, &flows.Conn{}, flows.Orig, 5)
	if p.Data(&out, &flows.Conn{}, flows.Orig, []byte("SSH-2.0-x\r\n"), flows.Ref{}) {
		t.Error("reads on behind a gap")
	}
	p.Reset(true)
	if p.Data(&out, &flows.Conn{}, flows.Orig, []byte{1, 2, 3}, flows.Ref{}) {
		t.Error("reads midstream")
	}
}

// lists is a KEXINIT with ten lists (RFC 4253, 7.1).
func lists(names ...string) []byte {
	body := append([]byte{msgKexInit}, make([]byte, 16)...)
	for _, n := range names {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(n))), n...)
	}
	body = append(body, 0, 0, 0, 0, 0)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(1+len(body)+4)), 4), append(body, 0, 0, 0, 0)...)
}

// TestOpening holds versions and fingerprints: md5sum says e363eef9… of "kex1,kex2;a,b;m1;none" and 6e480b06… of
// "kex1;c;m2;zlib".
func TestOpening(t *testing.T) {
	client := append([]byte("SSH-2.0-libssh2_1.11.0\r\n"), lists("kex1,kex2", "rsa", "a,b", "c", "m1", "m2", "none", "zlib", "", "")...)
	server := append([]byte("a line\r\nSSH-1.99-OpenSSH_9.6 Debian-1\n"), lists("kex1", "rsa", "a", "c", "m1", "m2", "none", "zlib", "", "")...)
	for _, step := range []int{1, 7, 1 << 20} {
		var stats Stats
		p := New(&stats)
		out := flows.Out{Batch: &flows.Batch{}}
		for d, b := range [][]byte{client, server} {
			for len(b) > 0 {
				n := min(step, len(b))
				if !p.Data(&out, &flows.Conn{}, flows.Dir(d), b[:n], flows.Ref{Frame: uint64(d) + 1}) {
					t.Fatal("gave up")
				}
				b = b[n:]
			}
		}
		p.Flush(&out, &flows.Conn{}, true)
		if len(out.Batch.SSH) != 1 {
			t.Fatalf("in steps of %d: %d openings", step, len(out.Batch.SSH))
		}
		s := &out.Batch.SSH[0]
		got := fmt.Sprintf("%s, %s, %x, %x, frame %d", out.Batch.String(s.Client), out.Batch.String(s.Server), s.HASSH, s.HASSHServer, s.Ref.Frame)
		if want := "libssh2_1.11.0, OpenSSH_9.6 Debian-1, e363eef96459887862e0074d54bb4f43, 6e480b06d703a521d269af7ca2ff31f8, frame 2"; got != want {
			t.Errorf("in steps of %d: %s, want %s", step, got, want)
		}
	}
}

// FuzzParser holds that any bytes are read without harm.
func FuzzParser(f *testing.F) {
	f.Add([]byte("SSH-2.0-x\r\n"), plain(20, 100), uint8(9))
	f.Add(append([]byte("SSH-2.0-x\n"), plain(msgNewKeys, 1)...), append([]byte("SSH-2.0-y\r\n"), plain(msgNewKeys, 1)...), uint8(50))
	f.Fuzz(func(t *testing.T, client, server []byte, step uint8) {
		var stats Stats
		p := New(&stats)
		out := flows.Out{Batch: &flows.Batch{}}
		for len(client)+len(server) > 0 {
			n := min(int(step)+1, len(client))
			if n > 0 && !p.Data(&out, &flows.Conn{}, flows.Orig, client[:n], flows.Ref{}) {
				break
			}
			client = client[n:]
			n = min(int(step)+1, len(server))
			if n > 0 && !p.Data(&out, &flows.Conn{}, flows.Resp, server[:n], flows.Ref{}) {
				break
			}
			server = server[n:]
		}
		p.Flush(&out, &flows.Conn{}, true)
		if len(out.Batch.Auth) > maxAnswers || len(out.Batch.SSH) > 1 {
			t.Errorf("%d log-ins", len(out.Batch.Auth))
		}
	})
}

// TestDisk holds that a session of 256 MiB is told once and left.
func TestDisk(t *testing.T) {
	var stats Stats
	p := New(&stats)
	out := flows.Out{Batch: &flows.Batch{}, Now: 1}
	for _, d := range []flows.Dir{flows.Orig, flows.Resp} {
		p.Data(&out, &flows.Conn{}, d, append([]byte("SSH-2.0-x\r\n"), plain(msgNewKeys, 1)...), flows.Ref{})
	}
	for _, size := range []int{-52, 52, -148, 36, -100} { // the service, and a success: negative sizes are the client's
		d := flows.Resp
		if size < 0 {
			d, size = flows.Orig, -size
		}
		p.Data(&out, &flows.Conn{}, d, make([]byte, size), flows.Ref{})
	}
	full, n := make([]byte, 32<<10), 0
	for p.Data(&out, &flows.Conn{}, flows.Resp, full, flows.Ref{}) {
		if n++; n > 8192 {
			t.Fatal("read on")
		}
	}
	if len(out.Batch.Session) != 1 || !out.Batch.Session[0].Final || out.Batch.Session[0].Bulk[flows.Resp] != maxBulk {
		t.Errorf("%+v", out.Batch.Session)
	}
}

// BenchmarkFile is a file within a session, in segments of 1,460 bytes, with a small packet of the client every 64 KiB.
func BenchmarkFile(b *testing.B) {
	var stats Stats
	p := New(&stats)
	out := flows.Out{Batch: &flows.Batch{}, Now: 1}
	for _, d := range []flows.Dir{flows.Orig, flows.Resp} {
		p.Data(&out, &flows.Conn{}, d, append([]byte("SSH-2.0-x\r\n"), plain(msgNewKeys, 1)...), flows.Ref{})
	}
	full, small := make([]byte, 1460), make([]byte, 36)
	b.ReportAllocs()
	b.SetBytes(1460)
	for i := 0; b.Loop(); i++ {
		out.Now += 1000
		if i%100_000 == 0 {
			p.shape.Reset()
		}
		p.Data(&out, &flows.Conn{}, flows.Resp, full, flows.Ref{})
		if i%45 == 44 {
			p.Data(&out, &flows.Conn{}, flows.Orig, small, flows.Ref{})
		}
	}
	if stats.Sealed != 1 {
		b.Error(stats)
	}
}
