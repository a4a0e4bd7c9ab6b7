package dns

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/miekg/dns"

	"neuromast/flows"
)

// mix is queries and answers in the proportions of an enterprise: A and AAAA behind CNAMEs, HTTPS, PTR, TXT, MX, SRV.
func mix() (msgs [][]byte) {
	records := []string{
		"cdn-7.edge.example.net. 60 IN A 192.0.2.1", "cdn-7.edge.example.net. 60 IN AAAA 2001:db8::1",
		"www.some-site.example.com. 60 IN A 192.0.2.1", "www.some-site.example.com. 60 IN A 192.0.2.9",
		"h.example.com. 60 IN HTTPS 1 . alpn=\"h2,h3\" ipv4hint=\"192.0.2.1\"", "9.2.0.192.in-addr.arpa. 60 IN PTR a.example.com.",
		"example.com. 60 IN TXT \"v=spf1 include:_spf.example.net ~all\"", "_ldap._tcp.example.com. 60 IN SRV 0 100 389 dc.example.com.",
	}
	for i, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			panic(err)
		}
		q := new(dns.Msg)
		q.SetQuestion(rr.Header().Name, rr.Header().Rrtype)
		q.Id = uint16(i)
		a := q.Copy()
		a.Response, a.Compress = true, true
		a.Answer = []dns.RR{rr}
		if i%2 == 0 {
			a.SetEdns0(1232, false)
		}
		for _, m := range []*dns.Msg{q, a} {
			raw, err := m.Pack()
			if err != nil {
				panic(err)
			}
			msgs = append(msgs, raw)
		}
	}
	return msgs
}

func TestAllocs(t *testing.T) {
	w, msgs := newWire(64), mix()
	d := w.t.Datagrams(flows.AppDNS)
	run := func() {
		w.out.Batch.Reset()
		for _, m := range msgs {
			d.Datagram(&w.out, &w.c, flows.Orig, m, len(m), flows.Ref{})
		}
		w.out.Now = w.out.Now.Add(time.Minute)
		w.t.Advance(&w.out, w.out.Now)
	}
	run()
	if n := testing.AllocsPerRun(100, run) / float64(len(msgs)); n != 0 {
		t.Errorf("%.2f allocations per message", n)
	}
	if st := w.t.Stats(); st.Malformed+st.BadRdata+st.Unanswered+st.Unasked != 0 {
		t.Errorf("%+v", st)
	}
}

// go test -bench . -benchtime 2s ./flows/proto/dns
func BenchmarkMessage(b *testing.B) {
	w, msgs := newWire(1024), mix()
	d := w.t.Datagrams(flows.AppDNS)
	b.ReportAllocs()
	for i := range b.N {
		if i%8192 == 0 {
			w.out.Batch.Reset()
			w.out.Now = w.out.Now.Add(time.Second)
		}
		m := msgs[i%len(msgs)]
		d.Datagram(&w.out, &w.c, flows.Orig, m, len(m), flows.Ref{})
	}
}

func BenchmarkUnanswered(b *testing.B) {
	w := newWire(1024)
	d := w.t.Datagrams(flows.AppDNS)
	m := query(1, "www.some-site.example.com. 0001 0001")
	b.ReportAllocs()
	for i := range b.N {
		if i%8192 == 0 {
			w.out.Batch.Reset()
		}
		w.out.Now = w.out.Now.Add(20 * time.Millisecond)
		binary.BigEndian.PutUint16(m, uint16(i))
		d.Datagram(&w.out, &w.c, flows.Orig, m, len(m), flows.Ref{})
	}
}

func BenchmarkRecognise(b *testing.B) {
	for name, m := range map[string][]byte{"dns": query(1, "www.some-site.example.com. 0001 0001"), "other": make([]byte, 100)} {
		b.Run("is="+name, func(b *testing.B) {
			for range b.N {
				Recognise(m)
			}
		})
	}
}
