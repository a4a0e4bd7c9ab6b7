package dcerpc

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"neuromast/flows"
	"neuromast/flows/stream"
)

var _ stream.Parser = New()

// zerologon is a challenge of zeros and the attempt to authenticate with it, thrice, after asking the mapper's port.
func zerologon() []step {
	s := []step{
		client(little.bind(pduBind, 1, nil, proposal{0, netlogonText, 1, ndr32Text})),
		server(little.ack(pduBindAck, 1, nil, ndr32Text, 0)),
	}
	for i := range uint32(3) {
		status := uint32(0xc0000022)
		if i == 2 {
			status = 0
		}
		s = append(s,
			client(little.request(2+2*i, 0, 4, make([]byte, 80), nil)),
			server(little.response(2+2*i, join(make([]byte, 8), little.u32(0)), nil)),
			client(little.request(3+2*i, 0, 26, make([]byte, 120), nil)),
			server(little.response(3+2*i, join(make([]byte, 16), little.u32(status)), nil)))
	}
	return s
}

type scriptCase struct {
	name   string
	script []step
	want   []string
}

func cases() []scriptCase {
	long := bytes.Repeat([]byte("s"), 1400)
	sealedStub, sealTrailer := sealed(make([]byte, 21), 10, 6)
	signedReply, signTrailer := sealed(join(make([]byte, 6), little.u32(5)), 10, 5)
	return []scriptCase{
		{"zerologon", zerologon(), []string{
			"bind 12345678/1 ok @1-2",
			"call 2 op 4 12345678/1 ok stub 80/80 reply 12/12 return 0 @3-4",
			"call 3 op 26 12345678/1 ok stub 120/120 reply 20/20 return c0000022 @5-6",
			"call 4 op 4 12345678/1 ok stub 80/80 reply 12/12 return 0 @7-8",
			"call 5 op 26 12345678/1 ok stub 120/120 reply 20/20 return c0000022 @9-10",
			"call 6 op 4 12345678/1 ok stub 80/80 reply 12/12 return 0 @11-12",
			"call 7 op 26 12345678/1 ok stub 120/120 reply 20/20 return 0 @13-14",
		}},
		{"map, the TCP tower once", []step{
			client(little.bind(pduBind, 1, nil, proposal{0, mapperText, 3, ndr32Text})),
			server(little.ack(pduBindAck, 1, nil, ndr32Text, 0)),
			client(little.request(1, 0, 3, make([]byte, 156), nil)),
			server(little.response(1, little.mapReply(false, tower(svcctlText, 8, 99), tower(svcctlText, 7, 49664), tower(svcctlText, 7, 49664), tower(netlogonText, 7, 49670)), nil)),
		}, []string{
			"bind e1af8308/3 ok @1-2",
			"call 1 op 3 e1af8308/3 ok stub 156/156 reply 128/392 return 0 at " + svcctlText + " 49664 " + netlogonText + " 49670 @3-4",
		}},
		{"map in NDR64", []step{
			client(little.bind(pduBind, 1, nil, proposal{0, mapperText, 3, ndr32Text}, proposal{1, mapperText, 3, ndr64Text}, proposal{2, mapperText, 3, featureText})),
			server(little.ack(pduBindAck, 1, nil, ndr64Text, 2, 0, 3)),
			client(little.request(1, 1, 3, make([]byte, 156), nil)),
			server(little.response(1, little.mapReply(true, tower(svcctlText, 7, 49664)), nil)),
		}, []string{
			"bind e1af8308/3 ok @1-2",
			"call 1 op 3 e1af8308/3 ok stub 156/156 reply 128/148 return 0 at " + svcctlText + " 49664 @3-4",
		}},
		{"big-endian", []step{
			client(big.bind(pduBind, 1, nil, proposal{0, mapperText, 3, ndr32Text})),
			server(big.ack(pduBindAck, 1, nil, ndr32Text, 0)),
			client(big.request(258, 0, 3, make([]byte, 156), nil)),
			server(big.response(258, big.mapReply(false, tower(svcctlText, 7, 49664)), nil)),
		}, []string{
			"bind e1af8308/3 ok @1-2",
			"call 258 op 3 e1af8308/3 ok stub 156/156 reply 128/128 return 0 at " + svcctlText + " 49664 @3-4",
		}},
		{"refused, then added by alter_context", []step{
			client(little.bind(pduBind, 1, nil, proposal{0, svcctlText, 2, ndr32Text}, proposal{1, netlogonText, 1, ndr32Text})),
			server(little.ack(pduBindAck, 1, nil, ndr32Text, 2, 0)),
			client(little.bind(pduAlter, 2, nil, proposal{7, svcctlText, 2, ndr32Text})),
			server(little.ack(pduAlterResp, 2, nil, ndr32Text, 0)),
			client(little.request(3, 7, 15, []byte("stub"), nil)),
			server(little.fault(3, 5)),
		}, []string{
			"bind 367abb81/2 failed @1-2", "bind 12345678/1 ok @1-2", "bind 367abb81/2 ok @3-4",
			"call 3 op 15 367abb81/2 failed stub 4/4 fault 5 @5-6",
		}},
		{"bind_nak", []step{
			client(little.bind(pduBind, 1, nil, proposal{0, svcctlText, 2, ndr32Text})),
			server(little.pdu(pduBindNak, 3, 1, little.u16(1), nil)),
		}, []string{"bind 367abb81/2 failed @1-2"}},
		{"fragments of two calls at once", []step{
			client(little.bind(pduBind, 1, nil, proposal{0, svcctlText, 2, ndr32Text})),
			server(little.ack(pduBindAck, 1, nil, ndr32Text, 0)),
			client(little.pdu(0, flagFirst, 2, join(little.u32(0), little.u16(0, 12), long), nil)),
			client(little.pdu(0, flagFirst|flagLast|flagObject, 3, join(little.u32(0), little.u16(0, 0), make([]byte, 16), []byte("four")), nil)),
			client(little.pdu(0, flagLast, 2, join(little.u32(0), little.u16(0, 12), long[:100]), nil)),
			server(little.response(3, little.u32(6), nil), little.pdu(2, flagFirst, 2, join(little.u32(0), little.u16(0, 0), long[:200]), nil)),
			server(little.pdu(2, flagLast, 2, join(little.u32(0), little.u16(0, 0), long[:4], little.u32(1056)), nil)),
		}, []string{
			"bind 367abb81/2 ok @1-2",
			"call 3 op 0 367abb81/2 ok stub 4/4 reply 4/4 return 6 @4-6",
			"call 2 op 12 367abb81/2 ok stub 512/1500 reply 128/208 return 420 @5-7",
		}},
		{"NTLM by auth3, sealed, then signed", []step{
			client(little.bind(pduBind, 1, token(10, 6, join([]byte("NTLMSSP\x00"), little.u32(1, 0))), proposal{0, svcctlText, 2, ndr32Text})),
			server(little.ack(pduBindAck, 1, token(10, 6, ntlmChallenge()), ndr32Text, 0)),
			client(little.pdu(pduAuth3, 3, 1, make([]byte, 4), token(10, 6, ntlmAuthenticate()))),
			client(little.request(2, 0, 12, sealedStub, sealTrailer)),
			server(little.response(2, sealedStub, sealTrailer)),
			client(little.request(3, 0, 0, signedReply, signTrailer)),
			server(little.response(3, signedReply, signTrailer)),
		}, []string{
			"bind 367abb81/2 ok auth 10/6 sealed @1-2",
			`auth CO\bob from WS at DC1 1 v1=false challenge 4348414c4c454e47 status 0 @5`,
			`call 2 op 12 367abb81/2 ok stub 21/21 reply 21/21 auth 10/6 sealed by CO\bob @4-5`,
			`call 3 op 0 367abb81/2 ok stub 10/10 reply 10/10 return 5 auth 10/5 by CO\bob @6-7`,
		}},
		{"NTLM refused", []step{
			client(little.bind(pduBind, 1, token(10, 2, join([]byte("NTLMSSP\x00"), little.u32(1, 0))), proposal{0, svcctlText, 2, ndr32Text})),
			server(little.ack(pduBindAck, 1, token(10, 2, ntlmChallenge()), ndr32Text, 0)),
			client(little.pdu(pduAuth3, 3, 1, make([]byte, 4), token(10, 2, ntlmAuthenticate())), little.request(2, 0, 15, nil, nil)),
			server(little.fault(2, 5)),
		}, []string{
			"bind 367abb81/2 ok auth 10/2 @1-2",
			`auth CO\bob from WS at DC1 2 v1=false challenge 4348414c4c454e47 status 5 @4`,
			`call 2 op 15 367abb81/2 failed fault 5 auth 10/2 by CO\bob @3-4`,
		}},
		{"one-sided: written when the next one comes", []step{
			client(little.bind(pduBind, 1, nil, proposal{0, svcctlText, 2, ndr32Text})),
			client(little.request(2, 0, 15, make([]byte, 30), nil)),
			client(little.request(3, 0, 12, make([]byte, 40), nil)),
		}, []string{
			"bind 367abb81/2 unseen @1-1",
			"call 2 op 15 367abb81/2 unseen stub 30/30 @2-2",
			"call 3 op 12 367abb81/2 unseen stub 40/40 @3-3",
		}},
		{"a hole in stubs of both sides", []step{
			client(little.bind(pduBind, 1, nil, proposal{0, svcctlText, 2, ndr32Text})),
			server(little.ack(pduBindAck, 1, nil, ndr32Text, 0)),
			client(little.request(2, 0, 12, long, nil)[:300]),
			{flows.Orig, make([]byte, 1000), true},
			client(little.request(2, 0, 12, long, nil)[1300:]),
			server(little.response(2, long, nil)[:100]),
			{flows.Resp, make([]byte, 24+1400-100), true},
			client(little.request(3, 0, 19, nil, nil)),
			server(little.response(3, little.u32(0), nil)),
		}, []string{
			"bind 367abb81/2 ok @1-2",
			"call 2 op 12 367abb81/2 ok stub 276/1400 reply 76/1400 @5-6",
			"call 3 op 19 367abb81/2 ok reply 4/4 return 0 @8-9",
		}},
	}
}

func TestScripts(t *testing.T) {
	for _, tt := range cases() {
		for name, cut := range map[string]cutter{"whole": whole, "bytes": single, "random 1": random(1), "random 2": random(2)} {
			p := New()
			if got := play(p, tt.script, cut); !slices.Equal(got, tt.want) {
				t.Errorf("%s, %s:\n got %s\nwant %s", tt.name, name, lines(got), lines(tt.want))
			}
			p.Reset(false)
			if got := play(p, tt.script, whole); !slices.Equal(got, tt.want) {
				t.Errorf("%s, again after Reset:\n got %s\nwant %s", tt.name, lines(got), lines(tt.want))
			}
		}
	}
}

func lines(s []string) string { return fmt.Sprintf("%q", s) }

// TestMidstream starts a connection at every message and within it: what is cut off must not hide the calls after it.
func TestMidstream(t *testing.T) {
	script := zerologon()
	for from := range script {
		for _, lead := range []int{0, 1, 17, 30} {
			p := New()
			p.Reset(true)
			rest := slices.Clone(script[from:])
			rest[0].b = rest[0].b[lead:]
			got := play(p, rest, random(uint64(from)))
			want := 0
			for i, s := range rest {
				if whole := i > 0 || lead == 0; whole && s.dir == flows.Orig && s.b[2] == pduRequest {
					want++
				}
			}
			calls := 0
			for _, f := range got {
				if len(f) > 4 && f[:4] == "call" {
					calls++
				}
			}
			if calls != want {
				t.Errorf("from message %d, byte %d: %d calls, want %d: %q", from, lead, calls, want, got)
			}
		}
	}
	p := New()
	p.Reset(true)
	turned := []step{server(zerologon()[2].b), client(zerologon()[3].b)} // the server was seen first
	want := []string{"call 2 op 4 00000000/0 ok turned stub 80/80 reply 12/12 return 0 source 3 midstream @1-2"}
	if got := play(p, turned, whole); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestHoles replaces each message by a hole of its length: the other calls stay what they are.
func TestHoles(t *testing.T) {
	script := zerologon()
	wantAll := play(New(), script, whole)
	for hole := 2; hole < len(script); hole++ {
		for _, known := range []bool{true, false} {
			s := slices.Clone(script)
			s[hole].gap = true
			if !known {
				s[hole].b = nil
			}
			got := play(New(), s, whole)
			hurt := (hole-2)/2 + 1 // index of the fact of the exchange that is hurt
			for i, w := range wantAll {
				if i != hurt && !slices.Contains(got, w) {
					t.Errorf("hole at %d: lost %q, got %q", hole, w, got)
				}
			}
		}
	}
}

func TestPipe(t *testing.T) {
	out := &flows.Out{Batch: &flows.Batch{}}
	c := testConn
	var stats Stats
	a := NewAssociation(&stats)
	a.Reset(Carrier{Pipe: []byte("SvcCtl"), User: []byte(`CO\eve`), Named: true, Midstream: true})
	if !a.Data(out, &c, flows.Orig, little.request(9, 3, 12, []byte("x"), nil), flows.Ref{Frame: 1}) {
		t.Error("refused")
	}
	a.Data(out, &c, flows.Resp, little.response(9, little.u32(0), nil), flows.Ref{Frame: 2})
	if got, want := facts(out.Batch), []string{`call 9 op 12 367abb81/2 ok stub 1/1 reply 4/4 return 0 by CO\eve source 1 midstream @1-2`}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	a.Reset(Carrier{Pipe: []byte("PSEXESVC"), Named: true, Opened: true})
	if a.Data(out, &c, flows.Orig, []byte("not a PDU at all"), flows.Ref{}) {
		t.Error("took what is no PDU")
	}
}

// TestBounds opens more calls than are kept: the oldest are written, and counted.
func TestBounds(t *testing.T) {
	s := []step{server([]byte{5})} // the server is seen
	for i := range uint32(maxCalls + 10) {
		s = append(s, client(little.request(i, 0, uint16(i), nil, nil)))
	}
	p := New()
	got := play(p, s, whole)
	if len(got) != maxCalls+10 || p.Stats().Evicted != 10 || p.Stats().Unanswered != maxCalls+10 {
		t.Errorf("%d facts, %+v", len(got), p.Stats())
	}
	if got[0] != "call 0 op 0 00000000/0 unseen source 3 @2-2" {
		t.Errorf("first: %q", got[0])
	}
	p.Reset(false)
	if len(p.assoc.calls) > keepCalls {
		t.Error("a pooled parser keeps", len(p.assoc.calls), "calls")
	}
}

// TestFlush holds when a call is given up: two flushes after it was made.
func TestFlush(t *testing.T) {
	out := &flows.Out{Batch: &flows.Batch{}}
	c := testConn
	p := New()
	p.Data(out, &c, flows.Resp, []byte{5}, flows.Ref{})
	p.Data(out, &c, flows.Orig, little.request(1, 0, 1, nil, nil), flows.Ref{})
	for i, want := range []int{0, 1, 1} {
		p.Flush(out, &c, false)
		if len(out.Batch.RPC) != want {
			t.Errorf("after flush %d: %d calls, want %d", i+1, len(out.Batch.RPC), want)
		}
	}
}

func TestNoAllocs(t *testing.T) {
	out := &flows.Out{Batch: &flows.Batch{}}
	c := testConn
	p := New()
	stub := make([]byte, 600)
	req, resp := little.request(1, 0, 12, stub, nil), little.response(1, stub, nil)
	p.Data(out, &c, flows.Orig, little.bind(pduBind, 1, nil, proposal{0, svcctlText, 2, ndr32Text}), flows.Ref{})
	exchange := func() {
		p.Data(out, &c, flows.Orig, req[:100], flows.Ref{})
		p.Data(out, &c, flows.Orig, req[100:], flows.Ref{})
		p.Data(out, &c, flows.Resp, resp[:7], flows.Ref{})
		p.Data(out, &c, flows.Resp, resp[7:], flows.Ref{})
		out.Batch.Reset()
	}
	exchange()
	if n := testing.AllocsPerRun(100, exchange); n != 0 {
		t.Errorf("%v allocations per call", n)
	}
}

// FuzzParser holds that facts don't depend on where segments are cut, and that nothing panics or grows past its bounds.
func FuzzParser(f *testing.F) {
	for _, c := range cases() {
		f.Add(encode(c.script), false)
		f.Add(encode(c.script[1:]), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, midstream bool) {
		script := decode(b)
		var all [3][]string
		for i, cut := range []cutter{whole, single, random(3)} {
			p := New()
			p.Reset(midstream)
			all[i] = play(p, script, cut)
			if len(p.assoc.calls) > maxCalls || len(p.assoc.contexts) > maxContexts || cap(p.assoc.sides[0].part) > 2*maxBind {
				t.Fatal("past the bounds")
			}
		}
		if !slices.Equal(all[0], all[1]) || !slices.Equal(all[0], all[2]) {
			t.Fatalf("facts depend on the cuts:\n%q\n%q\n%q", all[0], all[1], all[2])
		}
	})
}

// encode and decode turn a script into bytes for the fuzzer: direction and kind, length in two bytes, bytes.
func encode(script []step) []byte {
	var b []byte
	for _, s := range script {
		kind := byte(s.dir)
		if s.gap {
			kind |= 2
		}
		b = append(b, kind, byte(len(s.b)>>8), byte(len(s.b)))
		if !s.gap {
			b = append(b, s.b...)
		}
	}
	return b
}

func decode(b []byte) []step {
	var script []step
	for len(b) >= 3 {
		n := int(b[1])<<8 | int(b[2])
		s := step{dir: flows.Dir(b[0] & 1), gap: b[0]&2 != 0}
		b = b[3:]
		if s.gap {
			s.b = make([]byte, n)
		} else {
			s.b = b[:min(n, len(b))]
			b = b[len(s.b):]
		}
		script = append(script, s)
	}
	return script
}

func BenchmarkCalls(b *testing.B) {
	out := &flows.Out{Batch: &flows.Batch{}}
	c := testConn
	p := New()
	stub := make([]byte, 200)
	req, resp := little.request(1, 0, 12, stub, nil), little.response(1, stub, nil)
	p.Data(out, &c, flows.Orig, little.bind(pduBind, 1, nil, proposal{0, svcctlText, 2, ndr32Text}), flows.Ref{})
	b.SetBytes(int64(len(req) + len(resp)))
	for b.Loop() {
		p.Data(out, &c, flows.Orig, req, flows.Ref{})
		p.Data(out, &c, flows.Resp, resp, flows.Ref{})
		out.Batch.Reset()
	}
}
