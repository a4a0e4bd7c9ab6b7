package dns

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

const (
	ms = time.Millisecond
	s  = time.Second
)

func TestMatch(t *testing.T) {
	w := newWire(8)
	w.send(flows.AppDNS, 0, 1, query(1, "www.example.com. 0001 0001"))
	w.send(flows.AppDNS, 1*ms, 2, query(1, "www.example.com. 001c 0001")) // same id, other question
	w.send(flows.AppDNS, 2*ms, 3, query(1, "WwW.example.com. 0001 0001")) // retransmission
	w.send(flows.AppDNS, 8*ms, 4, msg(1, 0x8180, [4]uint16{1, 2}, `www.example.com. 0001 0001
		c00c 0005 0001 0000003c 0006 03 'cdn' c010
		c02d 0001 0001 0000012c 0004 c0000201`))
	w.send(flows.AppDNS, 9*ms, 5, msg(1, 0x8183, [4]uint16{1}, "www.example.com. 001c 0001"))
	w.send(flows.AppDNS, 9*ms, 6, msg(2, 0x8180, [4]uint16{1}, "www.example.com. 0010 0001")) // never asked
	w.want(t,
		"www.example.com A NOERROR q#1+0s/33 a#4+8ms/67 @8ms | www.example.com 60 CNAME cdn.example.com | cdn.example.com 300 A 192.0.2.1",
		"www.example.com AAAA NXDOMAIN q#2+1ms/33 a#5+9ms/33 @9ms",
		"www.example.com TXT NOERROR a#6+9ms/33 @9ms")
	st := w.t.Stats()
	if st.Retransmits != 1 || st.Unasked != 1 || st.Malformed != 0 || st.Messages != 6 {
		t.Errorf("%+v", st)
	}
	if w.t.open.oldest != 0 || w.t.open.newest != 0 {
		t.Error("answered queries are still open")
	}
}

func TestTimeout(t *testing.T) {
	w := newWire(8)
	w.send(flows.AppDNS, 0, 1, query(1, "a. 0001 0001"))
	w.send(flows.AppDNS, 3*s, 2, query(2, "B.b. 0001 0001"))
	w.t.Advance(&w.out, at(10*s-1))
	w.want(t)
	w.t.Advance(&w.out, at(10*s)) // inclusive
	w.send(flows.AppDNS, 13*s, 3, query(3, "c. 0001 0001"))
	w.send(flows.AppDNS, 14*s, 4, msg(2, 0x8180, [4]uint16{1}, "b.b. 0001 0001")) // too late: expired by the look-up before
	if w.out.Now != at(14*s) {
		t.Error("the time of the packet was not restored")
	}
	w.t.Advance(&w.out, at(time.Hour))
	w.want(t,
		"a A NOERROR q#1+0s/19 @10s",
		"b.b A NOERROR q#2+3s/21 @13s mixed",
		"b.b A NOERROR a#4+14s/21 @14s",
		"c A NOERROR q#3+13s/19 @23s")
	if st := w.t.Stats(); st.Unanswered != 3 {
		t.Errorf("%+v", st)
	}
}

func TestEviction(t *testing.T) {
	w := newWire(3)
	for i := range 5 {
		w.send(flows.AppDNS, time.Duration(i)*s, uint64(i), query(uint16(i), fmt.Sprintf("h%d. 0001 0001", i)))
	}
	w.send(flows.AppDNS, 5*s, 9, msg(3, 0x8180, [4]uint16{1}, "h3. 0001 0001"))
	w.want(t,
		"h0 A NOERROR q#0+0s/20 @3s",
		"h1 A NOERROR q#1+1s/20 @4s",
		"h3 A NOERROR q#3+3s/20 a#9+5s/20 @5s")
	if st := w.t.Stats(); st.Evicted != 2 || len(w.t.open.chunks) != 1 {
		t.Errorf("%+v, %d chunks", st, len(w.t.open.chunks))
	}
}

func TestRdata(t *testing.T) {
	for _, tt := range []struct {
		name      string
		app       flows.App
		counts    [4]uint16
		sections  string // behind the question a. A IN, whose name lies at 12
		want      string
		bad       uint64
		malformed uint64
	}{
		{"address of 3 bytes", flows.AppDNS, [4]uint16{1, 1}, "c00c 0001 0001 00000001 0003 c00002", ` | a 1 A \# 3 c00002`, 1, 0},
		{"aaaa", flows.AppDNS, [4]uint16{1, 1}, "c00c 001c 0001 00000001 0010 20010db8000000000000000000000001", " | a 1 AAAA 2001:db8::1", 0, 0},
		{"mx", flows.AppDNS, [4]uint16{1, 1}, "c00c 000f 0001 00000001 0007 000a 02 'MX' c00c", " | a 1 MX 10 mx.a", 0, 0},
		{"mx with a byte behind it", flows.AppDNS, [4]uint16{1, 1}, "c00c 000f 0001 00000001 0005 000a c00c 00", ` | a 1 MX \# 5 000ac00c00`, 1, 0},
		{"srv", flows.AppDNS, [4]uint16{1, 1}, "c00c 0021 0001 00000001 0008 0001 0002 01bd c00c", " | a 1 SRV 1 2 445 a", 0, 0},
		{"soa", flows.AppDNS, [4]uint16{1, 1}, "c00c 0006 0001 00000001 0018 c00c c00c 00000001 00000002 00000003 00000004 00000005", " | a 1 SOA a a 1 2 3 4 5", 0, 0},
		{"txt", flows.AppDNS, [4]uint16{1, 1}, "c00c 0010 0001 00000001 0008 04 'v=\"\\' 02 '1' 00", ` | a 1 TXT "v=\"\\" "1\000"`, 0, 0},
		{"txt past its end", flows.AppDNS, [4]uint16{1, 1}, "c00c 0010 0001 00000001 0002 05 'v'", ` | a 1 TXT \# 2 0576`, 1, 0},
		{"root target", flows.AppDNS, [4]uint16{1, 1}, "c00c 0005 0001 00000001 0001 00", " | a 1 CNAME .", 0, 0},
		{"null", flows.AppDNS, [4]uint16{1, 1}, "c00c 000a 0001 00000001 0003 010203", ` | a 1 NULL \# 3 010203`, 0, 0},
		{"caa, by miekg", flows.AppDNS, [4]uint16{1, 1}, "c00c 0101 0001 00000001 0009 00 05 'issue' 'ca'", ` | a 1 CAA 0 issue "ca"`, 0, 0},
		{"https", flows.AppDNS, [4]uint16{1, 1}, "c00c 0041 0001 00000001 0017 0001 00 0001 0006 02 'h2' 02 'h3' 0003 0002 01bb 0002 0000", ` | a 1 HTTPS 1 . alpn="h2,h3" port="443" no-default-alpn=""`, 0, 0},
		{"https past its end", flows.AppDNS, [4]uint16{1, 1}, "c00c 0041 0001 00000001 0007 0001 00 0001 0006", ` | a 1 HTTPS \# 7 00010000010006`, 1, 0},
		{"rrsig", flows.AppDNS, [4]uint16{1, 1}, "c00c 002e 0001 00000001 0017 0001 08 01 00000e10 60000000 5f000000 3039 c00c 010203", " | a 1 RRSIG A 8 1 3600 20210114082536 20200704040520 12345 a AQID", 0, 0},
		{"pointer to itself", flows.AppDNS, [4]uint16{1, 1}, "c013 0001 0001 00000001 0004 c0000201", "", 0, 1},
		{"pointer forwards", flows.AppDNS, [4]uint16{1, 1}, "c020 0001 0001 00000001 0004 c0000201 00", "", 0, 1},
		{"pointer into the header", flows.AppDNS, [4]uint16{1, 1}, "c004 0001 0001 00000001 0004 c0000201", "", 0, 1},
		{"reserved label", flows.AppDNS, [4]uint16{1, 1}, "8041 0001 0001 00000001 0004 c0000201", "", 0, 1},
		{"rdata past the message", flows.AppDNS, [4]uint16{1, 2}, "c00c 0001 0001 00000001 0004 c0000201 c00c 0001 0001 00000001 0004 c0", " | a 1 A 192.0.2.1", 0, 1},
		{"fewer records than counted", flows.AppDNS, [4]uint16{1, 1, 1}, "c00c 0001 0001 00000001 0004 c0000201", " | a 1 A 192.0.2.1", 0, 1},
		{"srv number is nbstat over netbios", flows.AppNBNS, [4]uint16{1, 1}, "c00c 0021 0001 00000000 0013 01 'SRV01__________' 20 0400", " | a 0 SRV SRV01__________<20>", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWire(4)
			m := msg(1, 0x8180, tt.counts, "a. 0001 0001 "+tt.sections)
			w.send(tt.app, 0, 1, m)
			w.want(t, fmt.Sprintf("a A NOERROR a#1+0s/%d @0s%s", len(m), tt.want))
			if st := w.t.Stats(); st.BadRdata != tt.bad || st.Malformed != tt.malformed {
				t.Errorf("bad rdata %d, malformed %d; want %d, %d", st.BadRdata, st.Malformed, tt.bad, tt.malformed)
			}
		})
	}
}

func TestExtendedRcode(t *testing.T) {
	w := newWire(4)
	w.send(flows.AppDNS, 0, 1, msg(1, 0x8187, [4]uint16{1, 0, 0, 1}, "a. 0001 0001 00 0029 04d0 01000000 0000"))
	w.want(t, "a A BADCOOKIE a#1+0s/30 @0s") // 1<<4 | 7
}

func TestOtherMembers(t *testing.T) {
	w := newWire(8)
	// mDNS: unicast wish in the class; the answer repeats no question.
	w.send(flows.AppMDNS, 0, 1, msg(0, 0, [4]uint16{2}, "Printer.local. 0001 8001 b.local. 0001 0001"))
	w.send(flows.AppMDNS, 1*ms, 2, msg(0, 0x8400, [4]uint16{0, 1}, "printer.local. 0001 8001 00000078 0004 c0000201"))
	w.c.ID++ // multicast: the answer is another conversation
	w.send(flows.AppMDNS, 2*ms, 3, msg(0, 0x8400, [4]uint16{0, 1}, "printer.local. 0001 8001 00000078 0004 c0000201"))
	// NetBIOS: WPAD with suffix 00, in first-level encoding.
	const wpad = "20 'FHFAEBEECACACACACACACACACACACAAA' 00"
	w.send(flows.AppNBNS, 3*ms, 4, msg(9, 0x0110, [4]uint16{1}, wpad+" 0020 0001"))
	w.send(flows.AppNBNS, 4*ms, 5, msg(9, 0x8500, [4]uint16{0, 1}, wpad+" 0020 0001 000493e0 0006 0000 c0000202"))
	w.want(t,
		"printer.local A NOERROR q#1+0s/44 a#2+1ms/41 @1ms mixed | printer.local 120 A 192.0.2.1",
		"printer.local A NOERROR a#3+2ms/41 @2ms | printer.local 120 A 192.0.2.1",
		"wpad NB NOERROR q#4+3ms/50 a#5+4ms/62 @4ms | wpad 300000 NIMLOC 192.0.2.2")
	if st := w.t.Stats(); st.MoreQuestions != 1 || st.Malformed != 0 {
		t.Errorf("%+v", st)
	}
}

func TestCut(t *testing.T) {
	w := newWire(4)
	m := msg(1, 0x8180, [4]uint16{1, 1}, "a. 0001 0001 c00c 0001 0001 00000001 0004 c0000201")
	w.t.Datagrams(flows.AppDNS).Datagram(&w.out, &w.c, flows.Resp, m[:25], len(m), flows.Ref{Frame: 1})
	w.want(t, "a A NOERROR a#1+0s/35 @0s") // the size is the wire's
	if st := w.t.Stats(); st.Truncated != 1 || st.Malformed != 0 {
		t.Errorf("%+v", st)
	}
	for n := range headerLen + 7 { // whatever is left of a query must not become a transaction
		w.t.Datagrams(flows.AppDNS).Datagram(&w.out, &w.c, flows.Orig, query(2, "a. 0001 0001")[:n], n, flows.Ref{})
	}
	if st := w.t.Stats(); st.Malformed != headerLen+7 || len(w.out.Batch.DNS) != 1 || w.t.open.oldest != 0 {
		t.Errorf("%+v", st)
	}
}

func TestCaps(t *testing.T) {
	w := newWire(4)
	sections := "a. 0001 0001"
	for range maxAnswers + 6 {
		sections += " c00c 0001 0001 00000001 0004 c0000201"
	}
	w.send(flows.AppDNS, 0, 1, msg(1, 0x8180, [4]uint16{1, maxAnswers + 6}, sections))
	d := w.out.Batch.DNS[0]
	if st := w.t.Stats(); d.Answers.Len != maxAnswers || st.CutAnswers != 6 || st.Malformed != 0 {
		t.Errorf("%d answers, %+v", d.Answers.Len, st)
	}
	if len(w.out.Batch.Arena) != 3+maxAnswers*len("192.0.2.1") {
		t.Errorf("the arena holds %d bytes: equal owners must share their text", len(w.out.Batch.Arena))
	}
	long := make([]byte, 2*maxData)
	m := append(msg(2, 0x8180, [4]uint16{1, 1}, "a. 0001 0001 c00c 000a 0001 00000001"), byte(len(long)>>8), byte(len(long)))
	w.send(flows.AppDNS, 0, 2, append(m, long...))
	a := w.out.Batch.Answers[maxAnswers]
	if a.Data.Len != maxData || a.Len != 2*maxData || w.t.Stats().CutData != 1 {
		t.Errorf("%+v, %+v", a, w.t.Stats())
	}
}

// TestFullBatch holds that a transaction that the batch refuses leaves no answers behind.
func TestFullBatch(t *testing.T) {
	w := newWire(4)
	w.out.Batch.Order = make([]flows.Item, flows.MaxItems)
	w.send(flows.AppDNS, 0, 1, msg(1, 0x8180, [4]uint16{1, 1}, "a. 0001 0001 c00c 0001 0001 00000001 0004 c0000201"))
	if len(w.out.Batch.Answers) != 0 || len(w.out.Batch.DNS) != 0 || w.out.Batch.Lost[flows.LostFact] != 1 {
		t.Errorf("%d answers, %d transactions, lost %v", len(w.out.Batch.Answers), len(w.out.Batch.DNS), w.out.Batch.Lost)
	}
}

// TestGroups holds that a question to a group is told at once, its repetition not again, and that who answers whom is known
// in the answer's own conversation. What the asker itself says to the group is no answer to its question.
func TestGroups(t *testing.T) {
	addr := func(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }
	victim, liar := addr("10.0.0.5"), addr("10.0.0.66")
	w := newWire(8)
	for i, to := range []string{"224.0.0.252", "ff02::1:3"} {
		w.c = flows.Conn{ID: uint64(10 * i), Orig: victim, Resp: addr(to), OrigPort: 50000, RespPort: 5355}
		w.send(flows.AppLLMNR, 0, 1, msg(7, 0, [4]uint16{1}, "filesrv. 0001 0001"))
		w.send(flows.AppLLMNR, 400*ms, 2, msg(7, 0, [4]uint16{1}, "filesrv. 0001 0001"))
	}
	w.c = flows.Conn{ID: 5, Orig: victim, Resp: addr("10.0.0.255"), OrigPort: 137, RespPort: 137}
	const name = "20 'FHFAEBEECACACACACACACACACACACAAA' 00"
	w.send(flows.AppNBNS, 500*ms, 3, msg(9, 0x0110, [4]uint16{1}, name+" 0020 0001"))
	w.send(flows.AppNBNS, 501*ms, 4, msg(10, 0x2910, [4]uint16{1}, name+" 0020 0001")) // registers its own name
	w.c = flows.Conn{ID: 6, Orig: liar, Resp: victim, OrigPort: 5355, RespPort: 50000}
	w.send(flows.AppLLMNR, 502*ms, 5, msg(7, 0x8000, [4]uint16{1, 1}, "filesrv. 0001 0001 filesrv. 0001 0001 0000001e 0004 0a000042"))
	w.c = flows.Conn{ID: 8, Orig: victim, Resp: addr("224.0.0.251"), OrigPort: 5353, RespPort: 5353}
	w.send(flows.AppMDNS, 600*ms, 6, msg(0, 0, [4]uint16{1}, "me.local. 00ff 0001"))
	w.send(flows.AppMDNS, 700*ms, 7, msg(0, 0x8400, [4]uint16{0, 1}, "me.local. 0001 8001 00000078 0004 0a000005"))
	w.t.Advance(&w.out, at(time.Hour))
	w.want(t,
		"filesrv A NOERROR q#1+0s/25 @0s", "filesrv A NOERROR q#1+0s/25 @0s",
		"wpad NB NOERROR q#3+500ms/50 @500ms", "wpad NB NOERROR q#4+501ms/50 @501ms",
		"filesrv A NOERROR a#5+502ms/48 @502ms | filesrv 30 A 10.0.0.66",
		"me.local ANY NOERROR q#6+600ms/26 @600ms",
		"me.local A NOERROR a#7+700ms/36 @700ms | me.local 120 A 10.0.0.5")
	b := w.out.Batch
	if d := &b.DNS[4]; d.Responder() != liar || d.Asker() != victim {
		t.Errorf("%v answered %v", d.Responder(), d.Asker())
	}
	if d := &b.DNS[0]; d.Asker() != victim || d.Opcode() != 0 || b.DNS[3].Opcode() != 5 {
		t.Errorf("%v asks, opcodes %d and %d", d.Asker(), d.Opcode(), b.DNS[3].Opcode())
	}
	if st := w.t.Stats(); st.Retransmits != 2 || st.Unanswered != 5 || st.Unasked != 2 {
		t.Errorf("%+v", st)
	}
}
