package tds

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

func wide(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// packets cuts a message into packets of at most size bytes of payload.
func packets(kind byte, size int, body []byte) (out []byte) {
	for i := 0; ; i++ {
		part := body[:min(size, len(body))]
		body = body[len(part):]
		status := byte(0)
		if len(body) == 0 {
			status = 1
		}
		out = append(out, kind, status, byte((len(part)+8)>>8), byte(len(part)+8), 0, 51, byte(i+1), 0)
		if out = append(out, part...); len(body) == 0 {
			return out
		}
	}
}

func message(kind byte, body ...[]byte) []byte { return packets(kind, 4088, join(body...)) }

// headers are the headers of a request: one of a transaction (MS-TDS 2.2.5.3.2).
var headers = []byte{22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}

func batch(s string) []byte { return message(typeBatch, headers, wide(s)) }

// login is a LOGIN7; token is its SSPI.
func login(host, user, password, program string, token []byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, 94)
	le.PutUint32(b[4:], 0x74000004)
	put := func(at int, data []byte, length int) {
		le.PutUint16(b[at:], uint16(len(b)))
		le.PutUint16(b[at+2:], uint16(length))
		b = append(b, data...)
	}
	put(36, wide(host), len(host))
	put(40, wide(user), len(user))
	put(44, wide(password), len(password))
	put(48, wide(program), len(program))
	put(78, token, len(token))
	if token != nil {
		b[25] = 0x80
	}
	le.PutUint32(b, uint32(len(b)))
	return message(typeLogin7, b)
}

func token(kind byte, body ...[]byte) []byte {
	all := join(body...)
	return append([]byte{kind, byte(len(all)), byte(len(all) >> 8)}, all...)
}

func failure(number uint32) []byte {
	return token(tokenError, binary.LittleEndian.AppendUint32(nil, number), []byte{1, 14, 2, 0}, wide("no"), []byte{0, 0, 1, 0, 0, 0})
}

func done(status byte) []byte { return []byte{0xfd, status, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} }

var ack = token(tokenAck, []byte{1, 0x74, 0, 0, 4, 3}, wide("SQL"), []byte{16, 0, 0, 0})

var prelogin = message(typePrelogin, []byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 0})

func record(kind byte, n int) []byte {
	return append([]byte{kind, 3, 3, byte(n >> 8), byte(n)}, make([]byte, n)...)
}

func challenge() []byte {
	m := make([]byte, 48)
	copy(m, "NTLMSSP\x00\x02")
	binary.LittleEndian.PutUint32(m[20:], 1)
	copy(m[24:], "12345678")
	return m
}

func proof() []byte {
	m := make([]byte, 64)
	copy(m, "NTLMSSP\x00\x03")
	le := binary.LittleEndian
	le.PutUint32(m[60:], 2)
	for _, f := range []struct {
		at   int
		text string
	}{{20, strings.Repeat("n", 60)}, {28, "CORP"}, {36, "eve"}, {44, "WS9"}} {
		le.PutUint16(m[f.at:], uint16(len(f.text)))
		le.PutUint32(m[f.at+4:], uint32(len(m)))
		m = append(m, f.text...)
	}
	return m
}

var collation = []byte{9, 4, 0xd0, 0, 52}

// nvarchar is an unnamed parameter of text, long one in chunks.
func nvarchar(s string) []byte {
	b := wide(s)
	return join([]byte{0, 0, 0xe7, 0x40, 0x1f}, collation, []byte{byte(len(b)), byte(len(b) >> 8)}, b)
}

func long(s string) []byte {
	b := wide(s)
	le := binary.LittleEndian
	return join([]byte{0, 0, 0xe7, 0xff, 0xff}, collation, le.AppendUint64(nil, uint64(len(b))), le.AppendUint32(nil, uint32(len(b))), b, make([]byte, 4))
}

var number = []byte{2, 'a', 0, 'b', 0, 1, 0x26, 4, 4, 1, 0, 0, 0}

func call(name string, id uint16, parameters ...[]byte) []byte {
	head := join(binary.LittleEndian.AppendUint16(nil, uint16(len(name))), wide(name))
	if id != 0 {
		head = []byte{0xff, 0xff, byte(id), 0}
	}
	return message(typeCall, headers, head, []byte{0, 0}, join(parameters...))
}

type say struct {
	dir flows.Dir
	b   []byte
}

// play feeds the says in pieces of n bytes and returns what is told.
func play(n int, midstream bool, says ...say) (string, *Stats) {
	var st Stats
	p := New(&st)
	p.Reset(midstream)
	out := &flows.Out{Batch: &flows.Batch{}}
	c := flows.Conn{Orig: packet.Addr{15: 1}, Resp: packet.Addr{15: 2}, OrigPort: 40000, RespPort: 1433}
	more := true
	for i, s := range says {
		for b := s.b; len(b) > 0 && more; {
			part := b[:min(n, len(b))]
			b = b[len(part):]
			more = p.Data(out, &c, s.dir, part, flows.Ref{Frame: uint64(i) + 1})
		}
	}
	p.Flush(out, &c, true)
	return told(out.Batch), &st
}

func told(b *flows.Batch) string {
	var lines []string
	for _, it := range b.Order {
		switch it.Kind {
		case flows.KindSQL:
			s := &b.SQL[it.Index]
			lines = append(lines, fmt.Sprintf("%d>%d %s | %s %s %s call %v outcome %d", s.Orig[15], s.Resp[15], b.String(s.Statement), b.String(s.User), b.String(s.Client), b.String(s.Program), s.Call, s.Outcome))
		case flows.KindAuth:
			a := &b.Auth[it.Index]
			lines = append(lines, fmt.Sprintf("auth %s %s from %s method %d outcome %d status %x challenge %x", b.String(a.Domain), b.String(a.User), b.String(a.Workstation), a.Method, a.Outcome, a.Status, a.Challenge))
		}
	}
	return strings.Join(lines, "\n")
}

func TestRequests(t *testing.T) {
	client := func(b ...[]byte) say { return say{flows.Orig, join(b...)} }
	server := func(b ...[]byte) say { return say{flows.Resp, message(typeAnswer, b...)} }
	in := []say{client(prelogin), server([]byte{0, 0, 6, 0, 6, 0xff, 0, 0, 0, 0, 0, 0}), client(login("WS7", "sa", "secret", "app", nil)), server(token(tokenInfo, []byte{1, 2}), ack, done(0))}
	const sa = "auth  sa from WS7 method 2 outcome 1 status 0 challenge 0000000000000000\n"
	for _, c := range []struct {
		name string
		says []say
		want string
	}{
		{"log-in and batch", append(in, client(batch("EXEC xp_cmdshell 'whoami'")), server(done(0))), sa + "1>2 EXEC xp_cmdshell 'whoami' | sa WS7 app call false outcome 1"},
		{"a batch that fails at its end", append(in, client(batch("SELECT 1; SELECT x")), server([]byte{0x81, 0, 0}, failure(207), done(2))), sa + "1>2 SELECT 1; SELECT x | sa WS7 app call false outcome 2"},
		{"wrong password", []say{client(login("WS7", "sa", "x", "app", nil)), server(failure(18456), done(2))}, "auth  sa from WS7 method 2 outcome 2 status c000006d challenge 0000000000000000"},
		{"locked", []say{client(login("WS7", "sa", "x", "app", nil)), server(failure(18486), done(2))}, "auth  sa from WS7 method 2 outcome 2 status c0000234 challenge 0000000000000000"},
		{"another database is wanted: no answer to the password", []say{client(login("WS7", "sa", "x", "app", nil)), server(failure(4060), done(2))}, "auth  sa from WS7 method 2 outcome 0 status 0 challenge 0000000000000000"},
		{"NTLM", []say{client(login("WS7", "", "", "app", []byte("NTLMSSP\x00\x01\x00\x00\x00\x00\x00\x00\x00"))), server(token(tokenSSPI, challenge())), client(message(typeSSPI, proof())),
			server(ack, done(0)), client(batch("SELECT 1")), server(done(0))},
			"auth CORP eve from WS9 method 0 outcome 1 status 0 challenge 3132333435363738\n1>2 SELECT 1 | CORP\\eve WS7 app call false outcome 1"},
		{"Kerberos", []say{client(login("WS7", "", "", "app", []byte("\x6e\x0c\x30\x0a\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e"))), server(ack, done(0))},
			"auth   from WS7 method 1 outcome 1 status 0 challenge 0000000000000000"},
		{"the log-in alone is encrypted", []say{client(prelogin), server(make([]byte, 20)), client(message(typePrelogin, record(22, 200))), server(record(22, 900)), client(record(23, 300)), server(ack, done(0)),
			client(batch("SELECT 1")), server(done(0))}, "auth   from  method 2 outcome 1 status 0 challenge 0000000000000000\n1>2 SELECT 1 |    call false outcome 1"},
		{"everything is encrypted", []say{client(prelogin), server(make([]byte, 20)), client(record(23, 300)), {flows.Resp, record(23, 300)}, client(batch("not read"))},
			"auth   from  method 2 outcome 0 status 0 challenge 0000000000000000"},
		{"sp_executesql", append(in, client(call("", 10, nvarchar("SELECT @a"), nvarchar("@a int"), number)), server(done(0))), sa + "1>2 sp_executesql SELECT @a | sa WS7 app call true outcome 1"},
		{"sp_prepexec in chunks", append(in, client(call("", 13, number, nvarchar("@a int"), long("SELECT @a"), nvarchar("xp_cmdshell as a value"))), server(done(0))),
			sa + "1>2 sp_prepexec SELECT @a | sa WS7 app call true outcome 1"},
		{"sp_prepexec without a declaration", append(in, client(call("", 13, number, join([]byte{0, 0, 0xe7, 0x40, 0x1f}, collation, []byte{0xff, 0xff}), long("SELECT 7"))), server(done(0))),
			sa + "1>2 sp_prepexec SELECT 7 | sa WS7 app call true outcome 1"},
		{"values of a prepared statement", append(in, client(call("", 12, number, nvarchar("xp_cmdshell"))), server(done(0))), sa + "1>2 sp_execute | sa WS7 app call true outcome 1"},
		{"a procedure by name", append(in, client(call("xp_cmdshell", 0, nvarchar("whoami"), number, nvarchar("no_output"))), server(done(0))), sa + "1>2 xp_cmdshell whoami no_output | sa WS7 app call true outcome 1"},
		{"in packets of 50 bytes", append(in, say{flows.Orig, packets(typeBatch, 50, join(headers, wide(strings.Repeat("SELECT 1;", 30))))}, server(done(0))),
			sa + "1>2 " + strings.Repeat("SELECT 1;", 30) + " | sa WS7 app call false outcome 1"},
		{"within SMP", append(in, client(append([]byte{smp, 8}, make([]byte, 14)...), batch("SELECT 1")), say{flows.Resp, join(append([]byte{smp, 8}, make([]byte, 14)...), message(typeAnswer, done(0)))}),
			sa + "1>2 SELECT 1 | sa WS7 app call false outcome 1"},
		{"old clients send no headers", append(in, client(message(typeBatch, wide("SELECT 1"))), server(done(0))), sa + "1>2 SELECT 1 | sa WS7 app call false outcome 1"},
		{"no answer", append(in, client(batch("WAITFOR DELAY '1'"))), sa + "1>2 WAITFOR DELAY '1' | sa WS7 app call false outcome 0"},
		{"an attention between", append(in, client(batch("SELECT 1"), message(6)), server(done(0x20))), sa + "1>2 SELECT 1 | sa WS7 app call false outcome 1"},
	} {
		for _, n := range []int{1, 3, 7, 1 << 20} {
			if got, st := play(n, false, c.says...); got != c.want || st.Malformed != 0 {
				t.Errorf("%s, in pieces of %d: %+v\ngot  %s\nwant %s", c.name, n, st, got, c.want)
				break
			}
		}
	}
}

// TestMidstream holds that requests are found where the start was not seen, whichever side opened the connection.
func TestMidstream(t *testing.T) {
	says := []say{{flows.Resp, []byte("the middle of something")}, {flows.Resp, batch("SELECT 1")}, {flows.Orig, message(typeAnswer, done(0))}}
	if got, _ := play(1<<20, true, says...); got != "2>1 SELECT 1 |    call false outcome 1" {
		t.Error(got)
	}
	if !Recognise(batch("SELECT 1")) || !Recognise(call("x", 0)) || Recognise(message(typeBatch, wide("SELECT 1"))) || Recognise(message(typeAnswer, done(0))) {
		t.Error("recognised wrongly")
	}
}

func TestGap(t *testing.T) {
	var st Stats
	p := New(&st)
	p.Reset(false)
	out := &flows.Out{Batch: &flows.Batch{}}
	c := flows.Conn{}
	b := batch("SELECT " + strings.Repeat("x", 1000))
	p.Data(out, &c, flows.Orig, b[:100], flows.Ref{})
	p.Gap(out, &c, flows.Orig, 500)
	p.Data(out, &c, flows.Orig, b[600:], flows.Ref{})
	p.Gap(out, &c, flows.Resp, 0)
	p.Data(out, &c, flows.Resp, []byte("cut"), flows.Ref{})
	p.Data(out, &c, flows.Orig, batch("SELECT 2"), flows.Ref{})
	p.Data(out, &c, flows.Resp, message(typeAnswer, done(0)), flows.Ref{})
	want := "0>0 SELECT " + strings.Repeat("x", (100-8-22)/2-7) + " |    call false outcome 0\n0>0 SELECT 2 |    call false outcome 1"
	if got := told(out.Batch); got != want || st.Malformed != 0 {
		t.Errorf("%+v\ngot  %s\nwant %s", st, got, want)
	}
}

// TestSecrets holds that no password is kept, in the facts or in the parser.
func TestSecrets(t *testing.T) {
	var st Stats
	p := New(&st)
	p.Reset(false)
	out := &flows.Out{Batch: &flows.Batch{}}
	p.Data(out, &flows.Conn{}, flows.Orig, login("WS7", "sa", "hunter2", "app", nil), flows.Ref{})
	for _, b := range [][]byte{p.dirs[0].msg[:cap(p.dirs[0].msg)], out.Batch.Arena} {
		if strings.Contains(string(b), string(wide("hunter2"))) {
			t.Error("the password is kept")
		}
	}
}

func TestBounds(t *testing.T) {
	var st Stats
	p := New(&st)
	p.Reset(false)
	out := &flows.Out{Batch: &flows.Batch{}}
	c := flows.Conn{}
	p.Data(out, &c, flows.Orig, batch(strings.Repeat("é", 50000)), flows.Ref{})
	p.Flush(out, &c, true)
	if s := out.Batch.SQL[0]; s.Statement.Len > maxStatement || s.Length != 100022 {
		t.Errorf("%d of %d bytes", s.Statement.Len, s.Length)
	}
	p.Reset(false)
	if cap(p.dirs[0].msg) > maxKept || cap(p.asked.statement) > maxKept {
		t.Error("large buffers are kept")
	}
	for range 2 * maxBroken {
		if !p.Data(out, &c, flows.Orig, []byte("this is no packet"), flows.Ref{}) {
			return
		}
		p.dirs[0].lost = false
	}
	t.Error("a connection that is none is read for ever")
}

func TestNoAllocs(t *testing.T) {
	var st Stats
	p := New(&st)
	out := &flows.Out{Batch: &flows.Batch{}}
	ask, answer := join(batch("SELECT 1"), call("", 10, nvarchar("SELECT @a"), nvarchar("@a int"), number)), message(typeAnswer, done(0))
	c := flows.Conn{}
	if n := testing.AllocsPerRun(100, func() {
		p.Data(out, &c, flows.Orig, ask, flows.Ref{})
		p.Data(out, &c, flows.Resp, answer, flows.Ref{})
		out.Batch.Reset()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParser holds that nothing panics, and that the cut into segments changes nothing where nothing is broken.
func FuzzParser(f *testing.F) {
	f.Add(join(prelogin, login("WS7", "sa", "x", "app", nil), batch("EXEC xp_cmdshell 'x'")), join(message(typeAnswer, ack, done(0)), message(typeAnswer, failure(207), done(2))), uint8(3))
	f.Add(join(login("WS7", "", "", "app", challenge()), message(typeSSPI, proof())), message(typeAnswer, token(tokenSSPI, challenge())), uint8(1))
	f.Add(call("", 13, number, nvarchar("@a int"), long("SELECT @a"), nvarchar("v")), message(typeAnswer, done(0)), uint8(9))
	f.Add(join(record(23, 40), call("xp_cmdshell", 0, nvarchar("whoami"), number)), message(typeAnswer, ack), uint8(200))
	f.Fuzz(func(t *testing.T, ask, answer []byte, n uint8) {
		says := []say{{flows.Orig, ask}, {flows.Resp, answer}}
		whole, st := play(1<<20, false, says...)
		if parts, _ := play(int(n)+1, false, says...); st.Malformed == 0 && parts != whole {
			t.Fatalf("whole %s\nparts %s", whole, parts)
		}
		play(int(n)+1, true, says...)
	})
}
