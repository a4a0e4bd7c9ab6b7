package quic

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/flows/proto/tls"
	"neuromast/sensor/packet"
)

func hx(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of RFC 9001, A.2: the CRYPTO frame of a client's first packet.
const example = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff"

var exampleID = []byte("\x83\x94\xc8\xf0\x3e\x51\x57\x08")

// protect makes an Initial packet of a client whose datagram has size bytes; pn has four bytes.
func protect(t testing.TB, wire uint32, keyID, dcid []byte, token string, pn uint32, frames []byte, size int) []byte {
	t.Helper()
	v := versionOf(wire)
	k, err := derive(v, keyID)
	if err != nil {
		t.Fatal(err)
	}
	head := binary.BigEndian.AppendUint32([]byte{0xc3 | v.initial<<4}, wire)
	head = append(append(head, byte(len(dcid))), dcid...)
	head = append(head, 0, byte(len(token)))
	head = append(head, token...)
	room := size - len(head) - 2 - 4 - 16
	frames = append(bytes.Clone(frames), make([]byte, room-len(frames))...)
	head = binary.BigEndian.AppendUint16(head, 0x4000|uint16(4+len(frames)+16))
	head = binary.BigEndian.AppendUint32(head, pn)
	nonce := k.iv
	for i := range 4 {
		nonce[8+i] ^= head[len(head)-4+i]
	}
	out := k.aead.Seal(bytes.Clone(head), nonce[:], frames, head)
	var mask [aes.BlockSize]byte
	k.hp.Encrypt(mask[:], out[len(head):len(head)+16])
	out[0] ^= mask[0] & 0x0f
	for i := range 4 {
		out[len(head)-4+i] ^= mask[1+i]
	}
	return out
}

// TestVectors holds keys and a whole packet against RFC 9001, A.1 and A.2, and RFC 9369, A.1.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		wire       uint32
		iv, header string
	}{
		{wire: 1, iv: "fa044b2f42a3fd3b46fb255c", header: "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b"},
		{wire: 0x6b3343cf, iv: "91f73e2351d8fa91660e909f", header: "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071"},
	} {
		k, err := derive(versionOf(c.wire), exampleID)
		if err != nil || hex.EncodeToString(k.iv[:]) != c.iv {
			t.Errorf("version %x: iv %x, %v", c.wire, k.iv, err)
		}
		b := protect(t, c.wire, exampleID, exampleID, "", 2, hx(t, example), 1200)
		if got := hex.EncodeToString(b[:len(c.header)/2]); got != c.header {
			t.Errorf("version %x: begins\n%s, want\n%s", c.wire, got, c.header)
		}
		if c.wire == 1 && hex.EncodeToString(b[len(b)-16:]) != "e221af44860018ab0856972e194cd934" {
			t.Errorf("ends %x", b[len(b)-16:])
		}
	}
}

func newReader() (*Datagrams, *Stats, *flows.Out) {
	s := &Stats{}
	return NewDatagrams(s, tls.NewHellos(&tls.Stats{})), s, &flows.Out{Batch: &flows.Batch{}, Now: packet.Time(time.Hour)}
}

func said(b *flows.Batch) string {
	var out []string
	for _, h := range b.TLS {
		out = append(out, fmt.Sprintf("%s %s %s %v", b.String(h.ServerName), b.String(h.ALPN), b.String(h.JA4)[:10], h.QUIC))
	}
	return strings.Join(out, "; ")
}

// crypto is a CRYPTO frame.
func crypto(at int, b []byte) []byte {
	f := binary.BigEndian.AppendUint16([]byte{6}, 0x4000|uint16(at))
	f = binary.BigEndian.AppendUint16(f, 0x4000|uint16(len(b)))
	return append(f, b...)
}

func TestDatagrams(t *testing.T) {
	hello := hx(t, example)[4:]
	whole := hx(t, example)
	other := []byte("another connection id")[:18]
	const want = "example.com alpn q13d0211an true"
	initial := func(wire uint32, key, dcid []byte, token string, pn uint32, frames ...[]byte) []byte {
		return protect(t, wire, key, dcid, token, pn, bytes.Join(frames, nil), 1250)
	}
	for _, c := range []struct {
		name  string
		sent  [][]byte
		want  string
		count func(*Stats) uint64
	}{
		{"one packet", [][]byte{initial(1, exampleID, exampleID, "", 0, whole)}, want, nil},
		{"version 2", [][]byte{initial(0x6b3343cf, exampleID, exampleID, "", 0, whole)}, want, nil},
		{"draft 29", [][]byte{initial(0xff00001d, exampleID, exampleID, "", 0, whole)}, want, nil},
		{"sent twice", [][]byte{initial(1, exampleID, exampleID, "", 0, whole), initial(1, exampleID, exampleID, "", 1, whole)}, want, nil},
		{"in pieces and disorder over two datagrams", [][]byte{
			initial(1, exampleID, exampleID, "", 0, crypto(200, hello[200:]), []byte{1}, crypto(0, hello[:20])),
			initial(1, exampleID, other, "", 1, []byte{2, 0, 0, 0, 0}, crypto(100, hello[100:210]), crypto(10, hello[10:100]))}, want, nil},
		{"after a Retry", [][]byte{initial(1, exampleID, exampleID, "", 0, crypto(0, hello[:100])), initial(1, other, other, "a token", 1, whole)}, want, nil},
		{"after another version", [][]byte{initial(1, exampleID, exampleID, "", 0, crypto(0, hello[:100])), initial(0x6b3343cf, exampleID, exampleID, "", 0, whole)}, want, nil},
		{"its start was not seen", [][]byte{initial(1, exampleID, other, "", 4, whole)}, "", func(s *Stats) uint64 { return s.Foreign }},
		{"a version of tomorrow", [][]byte{append([]byte{0xc0, 0, 0, 0, 7}, make([]byte, 1300)...)}, "", nil},
		{"another message", [][]byte{initial(1, exampleID, exampleID, "", 0, crypto(0, []byte{2, 0, 0, 40}))}, "", func(s *Stats) uint64 { return s.Malformed }},
		{"a hello of a megabyte", [][]byte{initial(1, exampleID, exampleID, "", 0, crypto(0, []byte{1, 16, 0, 0}))}, "", func(s *Stats) uint64 { return s.GaveUp }},
		{"frames that don't belong here", [][]byte{initial(1, exampleID, exampleID, "", 0, []byte{8, 1})}, "", func(s *Stats) uint64 { return s.Malformed }},
		{"behind another packet of the datagram", [][]byte{append(append([]byte("\xe0\x00\x00\x00\x01\x00\x00\x40\x20"), make([]byte, 32)...), initial(1, exampleID, exampleID, "", 0, whole)...)}, want, nil},
	} {
		d, s, out := newReader()
		for i, b := range c.sent {
			d.Datagram(out, &flows.Conn{ID: 7}, flows.Orig, b, len(b), flows.Ref{Frame: uint64(i)})
		}
		if got := said(out.Batch); got != c.want {
			t.Errorf("%s: %q, want %q (%+v)", c.name, got, c.want, *s)
		}
		if c.count != nil && c.count(s) != 1 {
			t.Errorf("%s: %+v", c.name, *s)
		}
		d.Advance(out, out.Now+follow)
		if len(d.open) != 0 || len(d.queue) != 0 {
			t.Errorf("%s: %d are left", c.name, len(d.open))
		}
	}
}

// TestBounds holds what a flood of first packets may cost.
func TestBounds(t *testing.T) {
	d, s, out := newReader()
	b := protect(t, 1, exampleID, exampleID, "", 0, crypto(0, hx(t, example)[4:50]), 1200)
	for id := range uint64(1000) {
		d.Datagram(out, &flows.Conn{ID: id}, flows.Orig, b, len(b), flows.Ref{})
	}
	if len(d.open) > maxOpen || s.Skipped != 1000-maxDerived || s.Evicted == 0 {
		t.Errorf("%d open, %+v", len(d.open), *s)
	}
	cut := b[:600]
	d, s, out = newReader()
	d.Datagram(out, &flows.Conn{}, flows.Orig, cut, len(b), flows.Ref{})
	if s.Cut != 1 {
		t.Errorf("%+v", *s)
	}
}

// FuzzFrames holds that whatever a sealed packet holds is read within bounds, FuzzHeader that any datagram is.
func FuzzFrames(f *testing.F) {
	f.Add(hx(f, example))
	f.Add([]byte{2, 0, 0, 1, 0, 0, 0, 6, 0, 1, 1})
	f.Add([]byte{3, 5, 0, 0, 1, 1, 2, 3, 6, 0x40, 0, 0x40, 1, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1100 {
			b = b[:1100]
		}
		d, _, out := newReader()
		p := protect(t, 1, exampleID, exampleID, "", 0, b, 1200)
		for range 2 {
			d.Datagram(out, &flows.Conn{ID: 1}, flows.Orig, p, len(p), flows.Ref{})
		}
		for _, v := range d.queue {
			if len(v.buf) > maxHello || len(v.pieces) > maxPieces {
				t.Fatalf("%d bytes in %d pieces", len(v.buf), len(v.pieces))
			}
			for i, p := range v.pieces {
				if p.from >= p.to || p.to > len(v.buf) || i > 0 && v.pieces[i-1].to >= p.from {
					t.Fatalf("pieces %v", v.pieces)
				}
			}
		}
	})
}

// FuzzDatagram holds that any datagram is read within bounds.
func FuzzDatagram(f *testing.F) {
	b := protect(f, 1, exampleID, exampleID, "", 0, hx(f, example), 1200)
	f.Add(b, uint16(1200))
	f.Add(protect(f, 0x6b3343cf, exampleID, exampleID, "token", 0, hx(f, example), 1200), uint16(1300))
	f.Add(append([]byte("\xe0\x00\x00\x00\x01\x00\x00\x40\x20"), b...), uint16(1300))
	f.Fuzz(func(t *testing.T, b []byte, wire uint16) {
		d, _, out := newReader()
		for range 2 {
			d.Datagram(out, &flows.Conn{ID: 1}, flows.Orig, b, max(int(wire), len(b)), flows.Ref{})
		}
		d.Advance(out, out.Now+follow)
	})
}

func BenchmarkHello(b *testing.B) {
	d, _, out := newReader()
	p := protect(b, 1, exampleID, exampleID, "", 0, hx(b, example), 1200)
	b.ReportAllocs()
	id := uint64(0)
	for b.Loop() {
		id++
		if id%200 == 0 {
			out.Now += packet.Time(time.Second)
			out.Batch.Reset()
			d.Advance(out, out.Now)
		}
		d.Datagram(out, &flows.Conn{ID: id}, flows.Orig, p, len(p), flows.Ref{})
	}
}

// BenchmarkForeign is the cost of datagrams that look like first packets and are none.
func BenchmarkForeign(b *testing.B) {
	d, _, out := newReader()
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([][]byte, 256)
	for i := range list {
		list[i] = append([]byte{0xc3, 0, 0, 0, 1}, make([]byte, 1195)...)
		for k := range list[i][5:] {
			list[i][5+k] = byte(rng.Uint32())
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := list[i%len(list)]
		d.Datagram(out, &flows.Conn{ID: uint64(i)}, flows.Orig, p, len(p), flows.Ref{})
		if i%1000 == 0 {
			out.Now += packet.Time(20 * time.Second)
			d.Advance(out, out.Now)
		}
	}
}
