package dns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"neuromast/flows"
)

// TestCodes holds the tables of types and response codes against miekg's.
func TestCodes(t *testing.T) {
	for n, want := range dns.TypeToString {
		if got := flows.TypeName(n); got != want && n != dns.TypeNone && n != dns.TypeReserved {
			t.Errorf("type %d is %s, miekg says %s", n, got, want)
		}
	}
	for n, want := range dns.RcodeToString {
		if got := flows.RcodeName(uint8(n)); got != want && n != dns.RcodeBadVers { // miekg gives TSIG's name to 16
			t.Errorf("rcode %d is %s, miekg says %s", n, got, want)
		}
	}
}

// text is a name of miekg's as we write it.
func text(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(lower(name), ".")
}

// lower lowers ASCII only, as DNS does.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// data is the RDATA of miekg's record as we write it; ok is false where we differ on purpose: RDATA that miekg accepts
// empty or longer than it reads, service parameters whose escapes differ (miekg escapes twice), hints that mix families.
func data(rr dns.RR) (s string, ok bool) {
	h := rr.Header()
	switch rr := rr.(type) {
	case *dns.A:
		return rr.A.String(), h.Rdlength == 4
	case *dns.CNAME:
		return text(rr.Target), true
	case *dns.NS:
		return text(rr.Ns), true
	case *dns.PTR:
		return text(rr.Ptr), true
	case *dns.DNAME:
		return text(rr.Target), true
	case *dns.MX:
		return fmt.Sprintf("%d %s", rr.Preference, text(rr.Mx)), true
	case *dns.SRV:
		return fmt.Sprintf("%d %d %d %s", rr.Priority, rr.Weight, rr.Port, text(rr.Target)), true
	case *dns.SOA:
		return fmt.Sprintf("%s %s %d %d %d %d %d", text(rr.Ns), text(rr.Mbox), rr.Serial, rr.Refresh, rr.Retry, rr.Expire, rr.Minttl), true
	case *dns.RRSIG:
		return "", false // TestRdata: miekg asks the clock
	case *dns.SVCB, *dns.HTTPS:
		s := strings.TrimPrefix(rr.String(), h.String())
		priority, rest, _ := strings.Cut(s, " ")
		target, params, more := strings.Cut(rest, " ")
		if more {
			params = " " + params
		}
		return priority + " " + text(target) + params, !strings.ContainsAny(s, `\<`) && !strings.Contains(params, "::") && !strings.Contains(target, "\\")
	case *dns.AAAA, *dns.TXT:
		return strings.TrimPrefix(rr.String(), h.String()), true
	}
	return "", false
}

// FuzzMessage compares with miekg: for a response that both accept whole, question, owners, types, TTLs, lengths and
// RDATA agree. We refuse what miekg takes: pointers that don't lead strictly backwards or that lead into the header,
// messages that end before their counts do. miekg refuses more RDATA than we do; that is BadRdata here, not malformed.
func FuzzMessage(f *testing.F) {
	for _, m := range seeds() {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, m []byte) {
		w := newWire(4)
		w.send(flows.AppDNS, 0, 1, m)
		w.send(flows.AppNBNS, 1, 2, m)
		w.t.Advance(&w.out, at(Timeout*2))
		w.lines() // every text must lie in the arena
		if len(m) < headerLen || m[2]&0x80 == 0 || w.t.Stats().Malformed > 0 || w.t.Stats().BadRdata > 0 {
			return
		}
		var want dns.Msg
		if want.Unpack(m) != nil {
			return
		}
		b := w.out.Batch
		got := &b.DNS[0]
		if len(want.Question) > 0 {
			q := want.Question[0]
			if name := string(flows.AppendName(nil, b.Bytes(got.Name))); name != text(q.Name) || got.Type != q.Qtype || got.Class != q.Qclass {
				t.Fatalf("question %s %d %d, miekg %v", name, got.Type, got.Class, q)
			}
		}
		opts := 0
		for _, rr := range append(want.Ns, want.Extra...) {
			if rr.Header().Rrtype == typeOPT {
				opts++
			}
		}
		if opt := want.IsEdns0(); (opt != nil && opts == 1 || opts == 0) && want.Rcode < 256 && int(got.Rcode) != want.Rcode {
			t.Fatalf("rcode %d, miekg %d", got.Rcode, want.Rcode)
		}
		if int(got.Answers.Len) != min(maxAnswers, len(want.Answer)) {
			t.Fatalf("%d answers, miekg %d", got.Answers.Len, len(want.Answer))
		}
		for i, a := range b.Answers[got.Answers.Off : got.Answers.Off+got.Answers.Len] {
			rr := want.Answer[i]
			h := rr.Header()
			if name := string(flows.AppendName(nil, b.Bytes(a.Name))); name != text(h.Name) || a.Type != h.Rrtype || a.TTL != h.Ttl || a.Len != h.Rdlength {
				t.Fatalf("answer %d: %s %+v, miekg %v", i, name, a, h)
			}
			if want, ok := data(rr); ok && a.Len > 0 && b.String(a.Data) != want[:min(len(want), maxData)] {
				t.Fatalf("answer %d: %s, miekg %s", i, b.String(a.Data), want)
			}
		}
	})
}

// seeds packs one answer of each kind with miekg, compressed.
func seeds() (out [][]byte) {
	const zone = `
www.Example.com. 60 IN CNAME cdn.example.com.
cdn.example.com. 60 IN A 192.0.2.1
cdn.example.com. 60 IN AAAA ::ffff:192.0.2.1
cdn.example.com. 60 IN AAAA 2001:db8::1
example.com. 60 IN MX 10 mail.example.com.
example.com. 60 IN NS ns1.example.com.
example.com. 60 IN TXT "v=spf1 \"x\" \\ \000" ""
_ldap._tcp.example.com. 60 IN SRV 0 100 389 dc.example.com.
example.com. 60 IN SOA ns1.example.com. host\.master.example.com. 1 2 3 4 5
1.2.0.192.in-addr.arpa. 60 IN PTR www.example.com.
example.com. 60 IN HTTPS 1 . alpn="h2,h3" port="8443" ipv4hint="192.0.2.1,192.0.2.2" ipv6hint="2001:db8::1" ech="AAAA"
example.com. 60 IN CAA 0 issue "ca.example"
example.com. 60 IN DS 1 8 2 00112233
example.com. 60 IN NAPTR 1 2 "s" "x" "" r.example.com.
example.com. 60 IN DNAME example.net.
example.com. 60 IN RRSIG A 8 2 60 20300101000000 20200101000000 1 example.com. AAAA
`
	all := new(dns.Msg)
	for p := dns.NewZoneParser(strings.NewReader(zone), "", ""); ; {
		rr, ok := p.Next()
		if !ok {
			if p.Err() != nil {
				panic(p.Err())
			}
			break
		}
		m := new(dns.Msg)
		m.SetQuestion(rr.Header().Name, rr.Header().Rrtype)
		m.Response, m.Compress = true, true
		m.Answer = []dns.RR{rr, rr}
		m.SetEdns0(1232, true)
		raw, err := m.Pack()
		if err != nil {
			panic(err)
		}
		out = append(out, raw)
		all.Answer = append(all.Answer, rr)
	}
	all.SetQuestion("www.example.com.", dns.TypeA)
	all.Response, all.Compress = true, true
	raw, err := all.Pack()
	if err != nil {
		panic(err)
	}
	return append(out, raw, query(1, "a. 0001 0001"), raw[:40])
}

// TestSeedsAgree makes sure that the comparison of FuzzMessage really compares: every seed is accepted whole by us.
func TestSeedsAgree(t *testing.T) {
	kinds := 0
	for _, m := range seeds() {
		w := newWire(4)
		w.send(flows.AppDNS, 0, 1, m)
		if st := w.t.Stats(); len(m) > 40 && st.Malformed+st.BadRdata > 0 {
			t.Errorf("%x: %+v", m, st)
		}
		var want dns.Msg
		if want.Unpack(m) == nil {
			for _, rr := range want.Answer {
				if _, ok := data(rr); ok {
					kinds++
				}
			}
		}
	}
	if kinds < 30 {
		t.Errorf("only %d answers are compared", kinds)
	}
}
