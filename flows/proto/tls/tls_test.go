package tls

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"neuromast/flows"
)

// build makes a record with a ClientHello. ciphers and each extension's body are hexadecimal.
type ext struct {
	typ  uint16
	body string
}

func u8(s string) string  { return fmt.Sprintf("%02x%s", len(s)/2, s) }
func u16(s string) string { return fmt.Sprintf("%04x%s", len(s)/2, s) }

func body(version, ciphers string, exts ...ext) []byte {
	s := version + strings.Repeat("11", 32) + u8(strings.Repeat("22", 32)) + u16(ciphers) + u8("00")
	if exts != nil {
		list := ""
		for _, e := range exts {
			list += fmt.Sprintf("%04x", e.typ) + u16(e.body)
		}
		s += u16(list)
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// records cuts a ClientHello into records of at most size bytes.
func records(body []byte, size int) (out []byte) {
	msg := append([]byte{1, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	for len(msg) > 0 {
		n := min(size, len(msg))
		out = append(append(out, 22, 3, 1, byte(n>>8), byte(n)), msg[:n]...)
		msg = msg[n:]
	}
	return out
}

func sni(name string) ext {
	return ext{extServerName, u16("00" + u16(hex.EncodeToString([]byte(name))))}
}

func alpn(names ...string) ext {
	list := ""
	for _, n := range names {
		list += u8(hex.EncodeToString([]byte(n)))
	}
	return ext{extALPN, u16(list)}
}

// published is the ClientHello of FoxIO's published example, in another order and with GREASE, neither of which matters.
func published() []byte {
	return body("0303", "2a2a"+"13011302"+"1303c02bc02fc02cc030cca9cca8c013c014009c009d002f0035",
		ext{0x3a3a, ""}, sni("Example.COM"), ext{0x17, ""}, ext{0xff01, "00"}, ext{10, u16("4a4a001d00170018")},
		ext{11, u8("00")}, ext{0x23, ""}, alpn("h2", "http/1.1"), ext{5, "0100000000"},
		ext{13, u16("04030804040105030805050108060601")}, ext{0x12, ""}, ext{0x33, ""}, ext{0x2d, u8("01")},
		ext{43, u8("5a5a03040303")}, ext{0x1b, ""}, ext{0x4469, ""}, ext{0x15, "0000"})
}

// read feeds segments and returns what was written, "SNI ALPN version JA4", and whether the parser wants more.
func read(segments ...[]byte) (p *Parser, got string, more bool) {
	p = New(new(Stats))
	p.Reset(false)
	got, more = readWith(p, segments...)
	return p, got, more
}

func readWith(p *Parser, segments ...[]byte) (got string, more bool) {
	out := flows.Out{Batch: &flows.Batch{}, Now: 1}
	more = true
	for i, s := range segments {
		if !more {
			return "more after the end", true
		}
		more = p.Data(&out, &flows.Conn{ID: 3}, flows.Orig, s, flows.Ref{Frame: uint64(i + 1)})
	}
	for _, t := range out.Batch.TLS {
		got += fmt.Sprintf("%s %s %04x %s", out.Batch.String(t.ServerName), out.Batch.String(t.ALPN), t.Version, out.Batch.String(t.JA4))
		if t.ID != 3 || t.Ref.Frame != uint64(len(segments)) {
			got += " of the wrong connection or frame"
		}
	}
	return got, more
}

const publishedWant = "example.com h2 0304 t13d1516h2_8daaf6152771_e5627efa2ab1"

func TestHellos(t *testing.T) {
	for _, tt := range []struct {
		name string
		body []byte
		want string
	}{
		{"published JA4", published(), publishedWant},
		{"no extensions", body("0301", "002f"), "  0301 t10i010000_" + hash("002f") + "_000000000000"},
		{"empty extensions", body("0300", "002f", []ext{}...), "  0300 ts3i010000_" + hash("002f") + "_000000000000"},
		{"no ciphers", body("0302", ""), "  0302 t11i000000_000000000000_000000000000"},
		{"GREASE only", body("0303", "0a0a", ext{0xfafa, ""}), "  0303 t12i000000_000000000000_000000000000"},
		{"without signature algorithms", body("0303", "002f", ext{0x23, ""}, ext{5, ""}),
			"  0303 t12i010200_" + hash("002f") + "_" + hash("0005,0023")},
		{"signature algorithms in wire order", body("0303", "002f", ext{13, u16("08040403")}),
			"  0303 t12i010100_" + hash("002f") + "_" + hash("000d_0804,0403")},
		{"one character", body("0303", "002f", alpn("x")), " x 0303 t12i0101xx_" + hash("002f") + "_000000000000"},
		{"unprintable", body("0303", "002f", alpn("\xabxyz\xcd")), " \xabxyz\xcd 0303 t12i0101ad_" + hash("002f") + "_000000000000"},
		{"unknown version", body("0303", "002f", ext{43, u8("7f1c")}), "  7f1c t00i010100_" + hash("002f") + "_" + hash("002b")},
		{"empty server name", body("0303", "002f", ext{0, ""}), "  0303 t12d010100_" + hash("002f") + "_000000000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, got, more := read(records(tt.body, maxRecord))
			if got != tt.want || more || p.stats.Hellos != 1 {
				t.Errorf("got  %s\nwant %s\nmore %v, %+v", got, tt.want, more, *p.stats)
			}
		})
	}
}

func hash(list string) string { return string(appendHash(nil, []byte(list))) }

// TestHash holds the values of the specification's text.
func TestHash(t *testing.T) {
	for list, want := range map[string]string{
		"002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9": "8daaf6152771",
		"0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01":      "6d807ffa2a79",
	} {
		if got := hash(list); got != want {
			t.Errorf("%s gives %s, want %s", list, got, want)
		}
	}
}

func TestJA3(t *testing.T) {
	h := new(hello)
	if !h.read(published()) {
		t.Fatal("refused")
	}
	const want = "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53," +
		"0-23-65281-10-11-35-16-5-13-18-51-45-43-27-17513-21,29-23-24,0"
	if h.ja3() != md5.Sum([]byte(want)) || string(h.text) != want {
		t.Errorf("got %s\nwant %s", h.text, want)
	}
	if !h.read(body("0301", "002f")) {
		t.Fatal("refused")
	}
	if h.ja3(); string(h.text) != "769,47,,," {
		t.Errorf("empty fields: %s", h.text)
	}
}

// TestCuts holds that records may cut the message, and segments the records, anywhere.
func TestCuts(t *testing.T) {
	p := New(new(Stats))
	for _, size := range []int{1, 3, 4, 5, 100, maxRecord} {
		raw := records(published(), size)
		for step := 1; step < len(raw); step += 1 + step/7 {
			var segments [][]byte
			for b := raw; len(b) > 0; {
				n := min(step, len(b))
				segments = append(segments, b[:n])
				b = b[n:]
			}
			p.Reset(false)
			if got, more := readWith(p, segments...); got != publishedWant || more {
				t.Fatalf("records of %d, segments of %d bytes: %q, more %v, %+v", size, step, got, more, *p.stats)
			}
		}
	}
}

func TestGivesUp(t *testing.T) {
	hello := records(published(), maxRecord)
	with := func(at int, v byte) []byte {
		b := append([]byte(nil), hello...)
		b[at] = v
		return b
	}
	huge := append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0x40, 0}, make([]byte, 1<<14)...)
	for _, tt := range []struct {
		name string
		in   []byte
		want Stats
	}{
		{"server hello", with(5, 2), Stats{NotHello: 1}},
		{"application data", with(0, 23), Stats{NotHello: 1}},
		{"record version", with(1, 2), Stats{NotHello: 1}},
		{"empty record", []byte{22, 3, 1, 0, 0}, Stats{NotHello: 1}},
		{"text", []byte("GET / HTTP/1.1\r\n\r\n"), Stats{NotHello: 1}},
		{"one other byte", []byte{21}, Stats{NotHello: 1}},
		{"ssl 2", []byte{0x80, 46, 1, 3, 1, 0, 21, 0, 0, 0, 16}, Stats{SSLv2: 1}},
		{"too long", huge, Stats{TooLong: 1}},
		{"session id past the end", with(5+4+34, 255), Stats{Malformed: 1}},
		{"odd ciphers", records(body("0303", "002f00"), maxRecord), Stats{Malformed: 1}},
		{"extension past the end", records(append(body("0303", "002f"), 0, 4, 0, 10, 0, 9), maxRecord), Stats{Malformed: 1}},
		{"extensions past the end", records(append(body("0303", "002f"), 0, 9, 0, 10, 0, 0), maxRecord), Stats{Malformed: 1}},
		{"short body", records([]byte{3, 3, 1}, maxRecord), Stats{Malformed: 1}},
	} {
		p, got, more := read(tt.in)
		if *p.stats != tt.want || more || got != "" {
			t.Errorf("%s: %+v, want %+v; wrote %q, more %v", tt.name, *p.stats, tt.want, got, more)
		}
	}
}

func TestOtherSideAndGaps(t *testing.T) {
	hello := records(published(), maxRecord)
	out := flows.Out{Batch: &flows.Batch{}}
	c := new(flows.Conn)
	p := New(new(Stats))
	p.Reset(false)
	if p.Data(&out, c, flows.Orig, hello[:50], flows.Ref{}); p.Data(&out, c, flows.Resp, hello, flows.Ref{}) || p.stats.NotHello != 1 {
		t.Error("the responder spoke before the hello's end")
	}
	p.Reset(false)
	p.Data(&out, c, flows.Orig, hello[:50], flows.Ref{})
	p.Gap(&out, c, flows.Resp, 9) // the other side's loss is no matter
	p.Gap(&out, c, flows.Orig, 9)
	if p.Data(&out, c, flows.Orig, hello[59:], flows.Ref{}) || p.stats.Gaps != 1 {
		t.Error("read on behind a gap")
	}
	p.Reset(true) // midstream, but the handshake is still to come; the client may be the responder
	if p.Data(&out, c, flows.Resp, hello, flows.Ref{}) || p.stats.Hellos != 1 {
		t.Errorf("missed a hello midstream: %+v", *p.stats)
	}
	if cap(p.buf) > maxKept {
		t.Error("keeps a large buffer")
	}
}

func TestAllocs(t *testing.T) {
	p := New(new(Stats))
	out := flows.Out{Batch: &flows.Batch{}}
	c := new(flows.Conn)
	hello := records(published(), maxRecord)
	n := testing.AllocsPerRun(100, func() {
		out.Batch.Reset()
		for _, cut := range []int{len(hello), 100} {
			p.Reset(false)
			if p.Data(&out, c, flows.Orig, hello[:cut], flows.Ref{}) {
				p.Data(&out, c, flows.Orig, hello[cut:], flows.Ref{})
			}
		}
	})
	if n != 0 || len(out.Batch.TLS) != 2 {
		t.Errorf("%v allocations for %d hellos", n, len(out.Batch.TLS))
	}
}

// FuzzParser holds that no bytes make the parser panic or keep much, and that the cutting into segments changes nothing.
func FuzzParser(f *testing.F) {
	f.Add(records(published(), maxRecord), uint8(200))
	f.Add(records(published(), 50), uint8(3))
	f.Add(records(body("0301", "002f"), 7), uint8(1))
	f.Add([]byte{0x80, 46, 1, 3, 1, 0, 21, 0, 0, 0, 16}, uint8(20))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		whole, cut := New(new(Stats)), New(new(Stats))
		one, _ := readWith(whole, b)
		out := flows.Out{Batch: &flows.Batch{}}
		more := true
		for rest := b; more && len(rest) > 0; {
			n := min(int(step)+3, len(rest)) // fewer than three bytes don't tell SSL 2
			more = cut.Data(&out, new(flows.Conn), flows.Orig, rest[:n], flows.Ref{})
			rest = rest[n:]
		}
		if *whole.stats != *cut.stats || len(out.Batch.TLS) > 1 || (one != "") != (len(out.Batch.TLS) == 1) {
			t.Errorf("whole %+v %q, in segments %+v", *whole.stats, one, *cut.stats)
		}
		if cap(cut.buf) > 2*maxHello {
			t.Errorf("holds %d bytes", cap(cut.buf))
		}
	})
}

// go test -bench . ./flows/proto/tls
func BenchmarkHello(b *testing.B) {
	p := New(new(Stats))
	out := flows.Out{Batch: &flows.Batch{}}
	c := new(flows.Conn)
	hello := records(published(), maxRecord)
	b.ReportAllocs()
	for i := range b.N {
		if i%4096 == 0 {
			out.Batch.Reset()
		}
		p.Reset(false)
		p.Data(&out, c, flows.Orig, hello, flows.Ref{})
	}
}
