package kerberos

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// tlv encodes an element (X.690, 8.1).
func tlv(tag byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	switch n := len(body); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, body...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, body...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body...)
	}
}

func number(v int8) []byte              { return tlv(2, []byte{byte(v)}) }
func at(n byte, parts ...[]byte) []byte { return tlv(0xa0|n, parts...) }
func seq(parts ...[]byte) []byte        { return tlv(0x30, parts...) }
func str(s string) []byte               { return tlv(0x1b, []byte(s)) }
func encrypted(etype int8, cipher string) []byte {
	return seq(at(0, number(etype)), at(2, tlv(4, []byte(cipher))))
}

func principalOf(name string) []byte {
	var parts []byte
	for _, p := range strings.Split(name, "/") {
		parts = append(parts, str(p)...)
	}
	return seq(at(0, number(1)), at(1, seq(parts)))
}

// asked is an AS-REQ or TGS-REQ; proof is the type of its pre-authentication, 0 none.
func asked(kind int8, client, service string, proof int, etypes ...int8) []byte {
	var list []byte
	for _, e := range etypes {
		list = append(list, number(e)...)
	}
	var pa, name []byte
	if proof != 0 {
		pa = at(3, seq(seq(at(1, tlv(2, []byte{byte(proof >> 8), byte(proof)})), at(2, tlv(4, []byte("sealed"))))))
	}
	if client != "" {
		name = at(1, principalOf(client))
	}
	return tlv(0x60|byte(kind), seq(at(1, number(5)), at(2, number(kind)), pa, at(4, seq(
		at(0, tlv(3, []byte{0, 0x40, 0x81, 0, 0x10})), name, at(2, str("EXAMPLE.NET")), at(3, principalOf(service)),
		at(5, tlv(0x18, []byte("20370913024805Z"))), at(7, tlv(2, []byte{1, 2, 3, 4})), at(8, seq(list))))))
}

// granted is an AS-REP or TGS-REP.
func granted(kind int8, client, service string, ticket, part int8) []byte {
	return tlv(0x60|byte(kind), seq(at(0, number(5)), at(1, number(kind)), at(3, str("EXAMPLE.NET")), at(4, principalOf(client)),
		at(5, tlv(tagTicket, seq(at(0, number(5)), at(1, str("EXAMPLE.NET")), at(2, principalOf(service)), at(3, encrypted(ticket, strings.Repeat("t", 900)))))),
		at(6, encrypted(part, "for the client"))))
}

func refused(code int8, service string) []byte {
	return tlv(tagError, seq(at(0, number(5)), at(1, number(30)), at(4, tlv(0x18, []byte("20260101000000Z"))), at(5, number(7)),
		at(6, number(code)), at(9, str("EXAMPLE.NET")), at(10, principalOf(service))))
}

// asksProof is an error that lists the ciphers of the account's keys, as a Windows key distribution centre sends it.
func asksProof(service string, etypes ...int8) []byte {
	var entries []byte
	for _, e := range etypes {
		entries = append(entries, seq(at(0, number(e)), at(1, str("EXAMPLE.NETalice")))...)
	}
	methods := seq(seq(at(1, number(paEtypeInfo2)), at(2, tlv(4, seq(entries)))), seq(at(1, number(paEncTimestamp)), at(2, tlv(4, nil))))
	return tlv(tagError, seq(at(0, number(5)), at(1, number(30)), at(4, tlv(0x18, []byte("20260101000000Z"))), at(5, number(7)),
		at(6, number(25)), at(9, str("EXAMPLE.NET")), at(10, principalOf(service)), at(12, tlv(4, methods))))
}

func framed(msgs ...[]byte) (out []byte) {
	for _, m := range msgs {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(m))), m...)
	}
	return out
}

// said writes the facts of a batch as text.
func said(b *flows.Batch) (out []string) {
	for i := range b.KDC {
		k := &b.KDC[i]
		kind := "AS"
		if k.TGS {
			kind = "TGS"
		}
		out = append(out, fmt.Sprintf("%s %s for %s in %s: offered %v, proof %v, asked %v, outcome %d, code %d, ticket %d, part %d", kind,
			b.String(k.Client), b.String(k.Service), b.String(k.Realm), k.Offered[:k.NumOffered], k.Proof, k.Asked, k.Outcome, k.Code, k.Ticket, k.Part))
	}
	return out
}

// turn is one side's bytes.
type turn struct {
	dir flows.Dir
	b   []byte
}

// conversation is a log-on: asked for proof, given, a ticket for a file server.
var conversation = []turn{
	{flows.Orig, framed(asked(10, "alice", "krbtgt/EXAMPLE.NET", 0, 18, 17, 23, -128))},
	{flows.Resp, framed(refused(25, "krbtgt/EXAMPLE.NET"))},
	{flows.Orig, framed(asked(10, "alice", "krbtgt/EXAMPLE.NET", paEncTimestamp, 18, 17, 23))},
	{flows.Resp, framed(granted(11, "alice", "krbtgt/EXAMPLE.NET", 18, 18))},
	{flows.Orig, framed(asked(12, "", "cifs/files.example.net", 1, 18, 17, 23))},
	{flows.Resp, framed(granted(13, "alice", "cifs/files.example.net", 23, 18))},
}

var conversationSays = []string{
	"AS alice for krbtgt/EXAMPLE.NET in EXAMPLE.NET: offered [18 17 23 -128], proof false, asked true, outcome 2, code 25, ticket 0, part 0",
	"AS alice for krbtgt/EXAMPLE.NET in EXAMPLE.NET: offered [18 17 23], proof true, asked true, outcome 1, code 0, ticket 18, part 18",
	"TGS alice for cifs/files.example.net in EXAMPLE.NET: offered [18 17 23], proof false, asked true, outcome 1, code 0, ticket 23, part 18",
}

// read feeds turns in pieces of step bytes.
func read(p *Parser, turns []turn, step int) (*flows.Batch, Stats) {
	var stats Stats
	p.stats = &stats
	out := flows.Out{Batch: &flows.Batch{}}
	c := &flows.Conn{}
	for i, t := range turns {
		for b := t.b; len(b) > 0; {
			n := min(step, len(b))
			if !p.Data(&out, c, t.dir, b[:n], flows.Ref{Frame: uint64(i)}) {
				return out.Batch, stats
			}
			b = b[n:]
		}
	}
	p.Flush(&out, c, true)
	return out.Batch, stats
}

func TestParser(t *testing.T) {
	for _, step := range []int{1 << 20, 1, 7, 100} {
		b, stats := read(New(nil), conversation, step)
		if got := strings.Join(said(b), "\n"); got != strings.Join(conversationSays, "\n") {
			t.Errorf("in steps of %d:\n%s", step, got)
		}
		if stats != (Stats{Exchanges: 3}) {
			t.Errorf("%+v", stats)
		}
	}
	big := framed(append(granted(11, "alice", "krbtgt/EXAMPLE.NET", 18, 18), make([]byte, 65536)...))
	big = append(big, framed(refused(24, "krbtgt/EXAMPLE.NET"))...)
	for _, c := range []struct {
		name  string
		turns []turn
		says  string
		stats Stats
	}{
		{"no answer", conversation[:1], "AS alice for krbtgt/EXAMPLE.NET in EXAMPLE.NET: offered [18 17 23 -128], proof false, asked true, outcome 0, code 0, ticket 0, part 0", Stats{Exchanges: 1, Unanswered: 1}},
		{"no request", conversation[3:4], "AS alice for krbtgt/EXAMPLE.NET in EXAMPLE.NET: offered [], proof false, asked false, outcome 1, code 0, ticket 18, part 18", Stats{Exchanges: 1, Unasked: 1}},
		{"too long, and on", []turn{{flows.Resp, big}}, "AS  for krbtgt/EXAMPLE.NET in EXAMPLE.NET: offered [], proof false, asked false, outcome 2, code 24, ticket 0, part 0", Stats{Exchanges: 1, Unasked: 1, TooLong: 1}},
		{"nonsense", []turn{{flows.Orig, framed([]byte("\x6a\x05hello"))}}, "", Stats{Malformed: 1}},
		{"an empty message", []turn{{flows.Orig, make([]byte, 8)}}, "", Stats{Malformed: 1}},
		{"no length", []turn{{flows.Orig, []byte("GET / HTTP/1.1")}}, "", Stats{Malformed: 1}},
	} {
		b, stats := read(New(nil), c.turns, 1000)
		if got := strings.Join(said(b), "\n"); got != c.says || stats != c.stats {
			t.Errorf("%s: %q, %+v", c.name, got, stats)
		}
	}
}

// TestKeys holds that an error's list of ciphers is read, at most eight, and that one that can't be read costs only itself.
func TestKeys(t *testing.T) {
	krbtgt := "krbtgt/EXAMPLE.NET"
	broken := bytes.Replace(asksProof(krbtgt, 23), []byte{0xa1, 3, 2, 1, paEtypeInfo2, 0xa2}, []byte{0xa1, 3, 2, 1, paEtypeInfo2, 0x41}, 1) // no field of a sequence
	for _, c := range []struct {
		answer    []byte
		want      string
		malformed uint64
	}{
		{asksProof(krbtgt, 18, 17, 23), "[18 17 23]", 0},
		{asksProof(krbtgt, 23), "[23]", 0},
		{asksProof(krbtgt, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), "[1 2 3 4 5 6 7 8]", 0},
		{refused(25, krbtgt), "[]", 0},
		{broken, "[]", 1},
	} {
		b, stats := read(New(nil), []turn{conversation[0], {flows.Resp, framed(c.answer)}}, 100)
		if k := b.KDC; len(k) != 1 || fmt.Sprint(k[0].Keys[:k[0].NumKeys]) != c.want || k[0].Code != 25 || stats.Malformed != c.malformed {
			t.Errorf("%v: %+v, want %s", k, stats, c.want)
		}
	}
}

// TestBehalf holds that a service which asks in a user's name is told from one that asks for itself.
func TestBehalf(t *testing.T) {
	proxy := asked(12, "", "cifs/files.example.net", 1, 18)
	i := bytes.Index(proxy, []byte{3, 5, 0, 0x40, 0x81, 0, 0x10})
	proxy[i+4] |= 0x02 // cname-in-addl-tkt
	for _, c := range []struct {
		request []byte
		want    bool
	}{{asked(12, "", "web/intranet", 1, 18), false}, {asked(12, "", "web$", paForUser, 18), true}, {proxy, true}} {
		b, _ := read(New(nil), []turn{{flows.Orig, framed(c.request)}}, 100)
		if k := b.KDC; len(k) != 1 || k[0].Behalf != c.want {
			t.Errorf("%+v, want %v", k, c.want)
		}
	}
}

// TestMidstream holds that a connection whose start was not seen is read from the next message on, and so after a gap.
func TestMidstream(t *testing.T) {
	p := New(nil)
	p.Reset(true)
	turns := append([]turn{{flows.Resp, []byte("the rest of a ticket")}}, conversation[2:4]...)
	if b, _ := read(p, turns, 1<<20); len(b.KDC) != 1 {
		t.Errorf("%v", said(b))
	}
	var stats Stats
	p = New(&stats)
	out := flows.Out{Batch: &flows.Batch{}}
	p.Data(&out, &flows.Conn{}, flows.Orig, conversation[0].b[:20], flows.Ref{})
	p.Gap(&out, &flows.Conn{}, flows.Orig, 50)
	p.Data(&out, &flows.Conn{}, flows.Orig, conversation[2].b, flows.Ref{})
	p.Data(&out, &flows.Conn{}, flows.Resp, conversation[3].b, flows.Ref{})
	if got := said(out.Batch); len(got) != 1 || got[0] != conversationSays[1] {
		t.Errorf("%v", got)
	}
}

// TestDatagrams holds pairing, repetition, time-out and the bound over UDP.
func TestDatagrams(t *testing.T) {
	var stats Stats
	d := NewDatagrams(&stats)
	out := flows.Out{Batch: &flows.Batch{}}
	put := func(conn uint64, b []byte) {
		d.Datagram(&out, &flows.Conn{ID: conn}, flows.Orig, b, len(b), flows.Ref{})
	}
	ask := asked(10, "alice", "krbtgt/EXAMPLE.NET", 0, 18)
	put(1, ask)
	put(1, ask) // again
	put(2, ask)
	put(2, refused(6, "krbtgt/EXAMPLE.NET"))
	put(2, asked(10, "bob", "krbtgt/EXAMPLE.NET", 2, 18)) // the same port once more
	put(2, granted(11, "bob", "krbtgt/EXAMPLE.NET", 18, 18))
	put(3, []byte("\x6a\x02\x30\x80"))
	if got := len(out.Batch.KDC); got != 2 {
		t.Errorf("%v", said(out.Batch))
	}
	d.Advance(&out, packet.Time(9*time.Second))
	if len(out.Batch.KDC) != 2 {
		t.Error("given up too early")
	}
	d.Advance(&out, packet.Time(10*time.Second))
	if k := out.Batch.KDC; len(k) != 3 || k[2].Outcome != flows.Unseen || k[2].At != packet.Time(10*time.Second) {
		t.Errorf("%v", said(out.Batch))
	}
	if len(d.open) != 0 || len(d.queue) != 0 {
		t.Errorf("%d open, %d in the queue", len(d.open), len(d.queue))
	}
	for i := range 3 * maxOpen {
		put(uint64(100+i), ask)
	}
	if len(d.open) > maxOpen || len(d.queue) > maxOpen || stats.Evicted != 2*maxOpen {
		t.Errorf("%d open, %+v", len(d.open), stats)
	}
}

// FuzzParser holds that any bytes are read within bounds, and in the same way whatever pieces they come in.
func FuzzParser(f *testing.F) {
	for _, turn := range conversation {
		f.Add(turn.b, uint8(5))
	}
	f.Add(framed(asksProof("krbtgt/EXAMPLE.NET", 18, 23)), uint8(9))
	f.Add([]byte{0, 0, 0, 0, 0}, uint8(0)) // an empty message was read for ever once
	f.Add(framed(refused(6, "krbtgt/EXAMPLE.NET"), []byte("\x6a\x84\xff\xff\xff\xff")), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		for _, dir := range []flows.Dir{flows.Orig, flows.Resp} {
			whole, s1 := read(New(nil), []turn{{dir, b}}, 1<<20)
			p := New(nil)
			cut, s2 := read(p, []turn{{dir, b}}, int(step)+1)
			if strings.Join(said(whole), "\n") != strings.Join(said(cut), "\n") || s1 != s2 {
				t.Errorf("whole %v %+v, cut %v %+v", said(whole), s1, said(cut), s2)
			}
			if cap(p.dirs[dir].buf) > 2*maxMessage {
				t.Errorf("holds %d bytes", cap(p.dirs[dir].buf))
			}
		}
		var stats Stats
		d := NewDatagrams(&stats)
		out := flows.Out{Batch: &flows.Batch{}}
		d.Datagram(&out, &flows.Conn{}, flows.Orig, b, len(b), flows.Ref{})
		d.Advance(&out, 1<<60)
	})
}
