package proto

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// said is what one side sends in a segment.
type said struct {
	dir  flows.Dir
	text string
}

// TestLongConnections holds that a connection that is under way costs no allocation, whatever its segments say: the
// packet path does not allocate (the parsers' own tests hold whole exchanges of DNS, SMB, DCE/RPC, LDAP, TDS and TLS).
func TestLongConnections(t *testing.T) {
	newKeys := "\x00\x00\x00\x0c\x0a\x15" + string(make([]byte, 10)) // RFC 4253, 6 and 7.3
	sealed := string(random(1400))
	record := func(kind byte, n int) string { // RFC 8446, 5.1
		return string(binary.BigEndian.AppendUint16([]byte{kind, 3, 3}, uint16(n))) + string(random(n))
	}
	neg := func(kind byte, rest string) string { // RFC 1006, 6; MS-RDPBCGR 2.2.1.1
		return "\x03\x00\x00\x13\x0e" + string([]byte{kind}) + "\x00\x00\x12\x34\x00" + rest
	}
	for _, tt := range []struct {
		app     flows.App
		opening []said
		turn    []said
	}{
		{flows.AppSSH, []said{
			{flows.Resp, "SSH-2.0-OpenSSH_9.6\r\n"}, {flows.Orig, "SSH-2.0-OpenSSH_9.6\r\n"}, {flows.Orig, newKeys}, {flows.Resp, newKeys},
		}, []said{{flows.Orig, sealed[:100]}, {flows.Resp, sealed}, {flows.Resp, sealed}}},
		{flows.AppRDP, []said{
			{flows.Orig, neg(0xe0, "\x01\x00\x08\x00\x01\x00\x00\x00")}, {flows.Resp, neg(0xd0, "\x02\x00\x08\x00\x01\x00\x00\x00")},
			{flows.Orig, record(22, 200)}, {flows.Resp, record(22, 900)},
		}, []said{{flows.Orig, record(23, 60)}, {flows.Resp, record(23, 1300)}}},
		{flows.AppHTTP, nil, []said{
			{flows.Orig, "GET /a HTTP/1.1\r\nHost: files.example\r\nUser-Agent: curl/8\r\n\r\n"},
			{flows.Resp, "HTTP/1.1 200 OK\r\nContent-Length: 2800\r\n\r\n"}, {flows.Resp, sealed}, {flows.Resp, sealed},
			{flows.Orig, "PUT /b HTTP/1.1\r\nHost: files.example\r\nContent-Length: 1400\r\n\r\n"}, {flows.Orig, sealed},
			{flows.Resp, "HTTP/1.1 204 No Content\r\n\r\n"},
		}},
		{flows.AppFTP, []said{{flows.Resp, "220 ready\r\n"}, {flows.Orig, "USER bob\r\n"}}, []said{{flows.Orig, "NOOP\r\n"}, {flows.Resp, "200 still here\r\n"}}},
	} {
		p := New(Default()).Get(tt.app, false)
		out := flows.Out{Batch: &flows.Batch{}}
		c := &flows.Conn{ID: 1, Proto: packet.ProtoTCP}
		play := func(list []said) {
			for _, s := range list {
				out.Now = out.Now.Add(10 * time.Millisecond)
				if !p.Data(&out, c, s.dir, []byte(s.text), flows.Ref{}) {
					t.Fatalf("%v: gives up at %.20q", tt.app, s.text)
				}
			}
		}
		play(tt.opening)
		turn := make([][]byte, len(tt.turn))
		for i, s := range tt.turn {
			turn[i] = []byte(s.text)
		}
		if n := testing.AllocsPerRun(200, func() {
			out.Batch.Reset()
			for i, b := range turn {
				out.Now = out.Now.Add(10 * time.Millisecond)
				p.Data(&out, c, tt.turn[i].dir, b, flows.Ref{})
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations for %d segments", tt.app, n, len(turn))
		}
	}
}

// TestForeignBytes holds the same for every parser and bytes that are none of its protocol's, in the middle of a
// connection and at its start.
func TestForeignBytes(t *testing.T) {
	segments := [4][]byte{random(1400), random(1400), random(90), random(1400)}
	for app := range flows.NumApps {
		for _, midstream := range []bool{false, true} {
			p := New(Default()).Get(app, midstream)
			if p == nil {
				continue
			}
			out := flows.Out{Batch: &flows.Batch{}}
			c := &flows.Conn{ID: 1, Proto: packet.ProtoTCP}
			for i := 0; i < 64 && p.Data(&out, c, flows.Dir(i&1), segments[i%4], flows.Ref{}); i++ {
			} // by then buffers are as large as they get
			if n := testing.AllocsPerRun(100, func() {
				out.Batch.Reset()
				for i := range 16 {
					if !p.Data(&out, c, flows.Dir(i&1), segments[i%4], flows.Ref{}) {
						break
					}
				}
			}); n != 0 {
				t.Errorf("%v, midstream %v: %v allocations", app, midstream, n)
			}
		}
	}
}

func random(n int) []byte {
	r := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
