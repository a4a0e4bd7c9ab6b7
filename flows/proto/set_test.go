package proto

import (
	"strings"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/flows/stream"
	"neuromast/sensor/packet"
)

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{MaxParsers: 0, MaxQueries: 65537}.Validate()
	if err == nil || !strings.Contains(err.Error(), "max_parsers: 0") || !strings.Contains(err.Error(), "max_queries: 65537") {
		t.Errorf("got %v", err)
	}
	if err := (Config{MaxParsers: 1, MaxQueries: 65536}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestBudget holds that parsers are lent up to the budget, over all applications, and again when they come back.
func TestBudget(t *testing.T) {
	s := New(Config{MaxParsers: 3, MaxQueries: 4})
	var lent []stream.Parser
	for _, app := range []flows.App{flows.AppDNS, flows.AppTLS, flows.AppTLS} {
		p := s.Get(app, false)
		if p == nil {
			t.Fatalf("no parser for %v within the budget", app)
		}
		lent = append(lent, p)
	}
	if s.Get(flows.AppSMB, false) != nil || s.Get(flows.AppDNS, true) != nil {
		t.Error("lent beyond the budget")
	}
	if s.Get(flows.AppSMTP, false) != nil || s.Get(flows.AppUnknown, false) != nil || s.Get(flows.AppMDNS, false) != nil {
		t.Error("lent a parser that is none")
	}
	if st := s.Stats(); st.Lent != 3 || st.InUse != 3 || st.Refused != 2 {
		t.Errorf("%+v", st)
	}
	s.Put(flows.AppTLS, lent[2])
	if p := s.Get(flows.AppTLS, true); p != lent[2] {
		t.Error("a parser that came back is not lent again")
	}
	for i, app := range []flows.App{flows.AppDNS, flows.AppTLS, flows.AppTLS} {
		s.Put(app, lent[i])
	}
	if st := s.Stats(); st.Lent != 4 || st.InUse != 0 {
		t.Errorf("%+v", st)
	}
	if n := testing.AllocsPerRun(100, func() { s.Put(flows.AppTLS, s.Get(flows.AppTLS, false)) }); n != 0 {
		t.Errorf("%v allocations to lend a parser", n)
	}
}

func TestIdle(t *testing.T) {
	s := New(Config{MaxParsers: 4 * maxIdle, MaxQueries: 4})
	var lent []stream.Parser
	for range 4 * maxIdle {
		lent = append(lent, s.Get(flows.AppTLS, false))
	}
	for _, p := range lent {
		s.Put(flows.AppTLS, p)
	}
	if n := len(s.idle[flows.AppTLS]); n != maxIdle {
		t.Errorf("%d parsers wait", n)
	}
}

// TestOwnCounters holds that what parsers count for themselves is summed once, whether they are lent, idle or gone.
func TestOwnCounters(t *testing.T) {
	s := New(Config{MaxParsers: 4 * maxIdle, MaxQueries: 4})
	out := &flows.Out{Batch: &flows.Batch{}}
	var lent []stream.Parser
	for range 2 * maxIdle {
		p := s.Get(flows.AppDCERPC, false)
		p.Data(out, new(flows.Conn), flows.Orig, rpcBind, flows.Ref{})
		lent = append(lent, p)
	}
	want := s.Stats().RPC
	if want.PDUs != 2*maxIdle {
		t.Errorf("%+v", want)
	}
	for _, p := range lent {
		s.Put(flows.AppDCERPC, p)
	}
	if got := s.Stats().RPC; got != want {
		t.Errorf("%+v after the parsers came back, %+v before", got, want)
	}
	if len(s.counting) != maxIdle {
		t.Errorf("%d parsers are known, %d wait", len(s.counting), maxIdle)
	}
}

// TestRead follows a DNS query over UDP, one over TCP and a ClientHello from their first bytes to the facts.
func TestRead(t *testing.T) {
	s := New(Default())
	out := &flows.Out{Batch: &flows.Batch{}, Now: packet.Time(time.Hour)}
	udp := flows.Conn{ID: 1, Proto: packet.ProtoUDP, OrigPort: 5000, RespPort: 53}
	tcp := flows.Conn{ID: 2, Proto: packet.ProtoTCP, OrigPort: 5000, RespPort: 53}
	web := flows.Conn{ID: 3, Proto: packet.ProtoTCP, OrigPort: 5000, RespPort: 8443}

	s.Datagrams(s.Identify(&udp, flows.Orig, dnsQuery)).Datagram(out, &udp, flows.Orig, dnsQuery, len(dnsQuery), flows.Ref{Frame: 1})
	for c, b := range map[*flows.Conn][]byte{&tcp: framed(dnsQuery), &web: hello} {
		app := s.Identify(c, flows.Orig, b)
		p := s.Get(app, false)
		if more := p.Data(out, c, flows.Orig, b, flows.Ref{Frame: 2}); more != (app == flows.AppDNS) {
			t.Errorf("%v wants more: %v", app, more)
		}
		p.Flush(out, c, true)
		s.Put(app, p)
	}
	s.Advance(out, out.Now.Add(10*time.Second))
	if len(out.Batch.DNS) != 2 || len(out.Batch.TLS) != 1 {
		t.Errorf("%d transactions, %d hellos", len(out.Batch.DNS), len(out.Batch.TLS))
	}
	for _, d := range out.Batch.DNS {
		if d.At != packet.Time(time.Hour+10*time.Second) || d.Answered() || d.App != flows.AppDNS {
			t.Errorf("%+v", d)
		}
	}
	st := s.Stats()
	if st.DNS.Unanswered != 2 || st.TLS.Hellos != 1 || st.Recognised[flows.AppDNS] != 2 || st.Recognised[flows.AppTLS] != 1 {
		t.Errorf("%+v", st)
	}
	var sum Stats
	sum.Add(st)
	if sum.Add(st); sum.DNS.Unanswered != 4 || sum.Recognised[flows.AppTLS] != 2 || sum.Lent != 4 {
		t.Errorf("%+v", sum)
	}
	for _, app := range []flows.App{flows.AppUnknown, flows.AppTLS, flows.AppNTP} {
		if s.Datagrams(app) != nil {
			t.Errorf("%q over UDP has a reader", app)
		}
	}
}
