package incident

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/flows/identity"
	"neuromast/sensor/packet"
)

const start = packet.Time(1_700_000_000_000_000_000)

func host(s string) detectors.HostKey {
	if s == "" {
		return detectors.HostKey{}
	}
	return detectors.HostKey{Addr: packet.AddrFrom(netip.MustParseAddr(s))}
}

// told is what one test feeds and what came of it.
type told struct {
	c    *Correlator
	said []*Incident
	n    int
}

func tell() *told {
	t := &told{}
	t.c = New(Default(), func(a packet.Addr) bool { return a.Netip().IsPrivate() }, func(i *Incident) { t.said = append(t.said, i) })
	return t
}

// signal feeds one; the stage follows from the rule.
func (t *told) signal(at time.Duration, rule, actor, peer string, llr float64, also ...func(*detectors.Signal)) *detectors.Signal {
	stages := map[string]detectors.Stage{
		"scan.trw": detectors.StageDiscovery, "auth.roast": detectors.StageCredential, "auth.spray": detectors.StageCredential,
		"rpc.seq.psexec": detectors.StageLateral, "smb.exec": detectors.StageLateral, "rpc.seq.dcsync": detectors.StageCredential,
		"dns.info": detectors.StageC2, "exf.volume": detectors.StageExfiltration, "graph.first_edge": detectors.StageLateral,
	}
	t.n++
	s := &detectors.Signal{
		ID: fmt.Sprintf("%032x", t.n), Rule: rule, Name: rule, Stage: stages[rule], Actor: host(actor), LLR: llr, At: start.Add(at), Start: start.Add(at), End: start.Add(at),
		Finding: true, Message: rule + " of " + actor,
	}
	if strings.Contains(peer, ".") && !strings.HasSuffix(peer, ".example") {
		s.Peer = host(peer)
	} else {
		s.Domain = peer
	}
	s.Reaches = s.Stage == detectors.StageLateral
	for _, f := range also {
		f(s)
	}
	t.c.Take(s)
	return s
}

func (t *told) last() *Incident {
	if len(t.said) == 0 {
		return nil
	}
	return t.said[len(t.said)-1]
}

func near(a, b float64) bool { return math.Abs(a-b) < 0.02 }

// TestCause holds the specification's example: f(10 min) = 0.7 e^(-1/3)/30 + 0.3 e^(-1/288)/2880 = 0.016719 + 0.000104 a minute.
func TestCause(t *testing.T) {
	for _, tt := range []struct {
		distance time.Duration
		drawn    float64
		trade    float64
		want     float64
	}{
		{10 * time.Minute, 0, 1, 0.998}, // 0.3 x 0.016823 = 0.0050468, beside 0.00001
		{24 * time.Hour, 0, 1, 0.655},   // 0.3 x (0 + 0.3 e^-0.5 / 2880 = 6.318e-5) = 1.8954e-5
		{24 * time.Hour, 0, 80, 0.0186}, // a hundredth of it
		{7 * 24 * time.Hour, 0, 1, 0.0862},
		{10 * time.Minute, 1.0 / 60, 1, 0.232}, // a host that draws a signal every hour explains itself
		{24 * time.Hour, 1.0 / 1440, 1, 0.0266},
	} {
		if got := cause(tt.distance, tt.drawn, tt.trade); math.Abs(got-tt.want) > 0.002 {
			t.Errorf("after %v, drawn %v: %v, want %v", tt.distance, tt.drawn, got, tt.want)
		}
	}
}

// TestHandWorked is the example of the package comment, before and with the Kerberoast.
func TestHandWorked(t *testing.T) {
	a := tell()
	a.signal(0, "rpc.seq.psexec", "10.0.0.5", "10.0.0.9", 7)
	a.signal(10*time.Minute, "scan.trw", "10.0.0.9", "", 4)
	if len(a.said) != 0 {
		t.Errorf("9 nats are said: %+v", a.last())
	}
	a = tell()
	a.signal(0, "auth.roast", "10.0.0.5", "10.0.0.2", 4)
	a.signal(5*time.Minute, "rpc.seq.psexec", "10.0.0.5", "10.0.0.9", 7)
	a.signal(15*time.Minute, "scan.trw", "10.0.0.9", "", 4)
	a.c.Finish()
	i := a.last()
	if i == nil || i.State != detectors.StateClose {
		t.Fatal("no incident that closes")
	}
	if want := 11 + 2 + 2.0; !near(i.Score, want) || i.Severity() != detectors.High {
		t.Errorf("score %v (%v), want %v: %+v", i.Score, i.Severity(), want, i.Parts)
	}
	var roles []string
	for _, h := range i.Hosts {
		roles = append(roles, h.Key.Addr.String()+" "+string(h.Role))
	}
	if want := []string{"10.0.0.5 first seen", "10.0.0.9 pivot", "10.0.0.2 target"}; !slices.Equal(roles, want) {
		t.Errorf("roles %v, want %v", roles, want)
	}
	if len(i.Moves) != 1 || i.Moves[0].P < 0.99 || len(i.Timeline) != 3 || len(i.Stages) != 3 {
		t.Errorf("%+v", i)
	}
	if i.ID != fmt.Sprintf("%032x", 1) {
		t.Errorf("id %s is not that of its first signal", i.ID)
	}
}

// TestDependentEvidence: three rules about one act are 7 + 0.3 (4 + 3); the family's cap holds for many peers.
func TestDependentEvidence(t *testing.T) {
	a := tell()
	var all []*detectors.Signal
	for n, llr := range []float64{7, 4, 3} {
		all = append(all, a.signal(time.Duration(n)*time.Second, "smb.exec", "10.0.0.5", "10.0.0.9", llr))
	}
	if got := hostScore(all, start); !near(got, 9.1) {
		t.Errorf("%v, want 9.1", got)
	}
	for n := range 5 {
		all = append(all, a.signal(time.Minute, "smb.exec", "10.0.0.5", fmt.Sprintf("10.0.1.%d", n), 7))
	}
	if got := hostScore(all, start); got != 12 {
		t.Errorf("%v, want the cap of 12", got)
	}
	if got := hostScore(all[:1], start.Add(7*24*time.Hour)); !near(got, 3.5) {
		t.Errorf("after its half-life: %v, want 3.5", got)
	}
}

// TestBenignTwins: evidence that belongs to nothing stays apart and is not said.
func TestBenignTwins(t *testing.T) {
	a := tell()
	// two administrators work on one server, and the server's own software looks around every day as it always did
	for day := range 6 {
		a.signal(time.Duration(day)*24*time.Hour, "scan.trw", "10.0.0.9", "", 4)
	}
	a.signal(6*24*time.Hour-time.Hour, "smb.exec", "10.0.0.5", "10.0.0.9", 4)
	a.signal(6*24*time.Hour-time.Minute, "smb.exec", "10.0.0.6", "10.0.0.9", 4)
	a.signal(6*24*time.Hour+time.Hour, "scan.trw", "10.0.0.9", "", 4)
	// a service that the whole fleet uses
	for n := range 30 {
		a.signal(7*24*time.Hour+time.Duration(n)*time.Minute, "dns.info", fmt.Sprintf("10.0.2.%d", n), "cloud.example", 3)
	}
	// weeks between a reach and an act
	a.signal(8*24*time.Hour, "smb.exec", "10.0.0.7", "10.0.0.8", 7)
	a.signal(30*24*time.Hour, "auth.roast", "10.0.0.8", "10.0.0.2", 4)
	a.c.Finish()
	for _, i := range a.said {
		t.Errorf("said: %s %+v", i.Message, i.Parts)
	}
	if n := a.c.nodes.Get(addressID(host("10.0.0.9"))); (*n).of == (*a.c.nodes.Get(addressID(host("10.0.0.5")))).of || (*a.c.nodes.Get(addressID(host("10.0.0.5")))).of == (*a.c.nodes.Get(addressID(host("10.0.0.6")))).of {
		t.Error("hosts were joined that have nothing to do with one another")
	}
}

// TestMerge: two incidents become one when a signal names the other's as its cause; the older id stays.
func TestMerge(t *testing.T) {
	a := tell()
	first := a.signal(0, "rpc.seq.dcsync", "10.0.0.5", "10.0.0.2", 9)
	a.signal(time.Hour, "rpc.seq.dcsync", "10.0.0.6", "10.0.0.2", 9)
	if len(a.said) != 2 || a.said[0].State != detectors.StateOpen || a.said[1].State != detectors.StateOpen {
		t.Fatalf("%d records", len(a.said))
	}
	a.signal(2*time.Hour, "auth.roast", "10.0.0.6", "10.0.0.2", 4, func(s *detectors.Signal) {
		s.Causes = []detectors.Cause{{ID: first.ID, P: 0.9}}
	})
	a.c.Finish()
	var got []string
	for _, i := range a.said[2:] {
		got = append(got, fmt.Sprintf("%s %v by %s", i.ID[30:], i.State, i.SupersededBy))
	}
	if want := []string{"02 close by " + first.ID, "01 update by ", "01 close by "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestBranch: a server that was part of one story is reached by somebody else days later: what it does then is theirs, and
// what those do whom it reaches.
func TestBranch(t *testing.T) {
	const day = 24 * time.Hour
	a := tell()
	a.signal(0, "rpc.seq.psexec", "10.0.0.7", "10.0.0.9", 7)
	a.signal(10*time.Minute, "auth.spray", "10.0.0.9", "10.0.0.2", 5)
	a.signal(5*day, "rpc.seq.psexec", "10.0.0.5", "10.0.0.9", 7)
	a.signal(5*day+10*time.Minute, "rpc.seq.psexec", "10.0.0.9", "10.0.0.12", 7)
	a.signal(5*day+20*time.Minute, "auth.roast", "10.0.0.12", "10.0.0.2", 5)
	of := func(h string) *kase { return (*a.c.nodes.Get(addressID(host(h)))).of }
	if of("10.0.0.9") != of("10.0.0.5") || of("10.0.0.12") != of("10.0.0.5") || of("10.0.0.7") == of("10.0.0.5") {
		t.Error("the server did not go over to who reached it")
	}
	a.c.Finish()
	i := a.last()
	var moves []string
	for _, m := range i.Moves {
		moves = append(moves, m.From.Addr.String()+" > "+m.To.Addr.String())
	}
	if want := []string{"10.0.0.5 > 10.0.0.9", "10.0.0.9 > 10.0.0.12"}; !slices.Equal(moves, want) {
		t.Errorf("moves %v, want %v", moves, want)
	}
}

// TestTrade: many signals of one act count once; many peers make a trade.
func TestTrade(t *testing.T) {
	a := tell()
	for n := range 20 {
		a.signal(time.Duration(n)*time.Second, "smb.exec", "10.0.0.5", "10.0.0.9", 4)
		a.signal(time.Duration(n)*time.Second, "smb.exec", "10.0.0.6", fmt.Sprintf("10.0.1.%d", n), 4)
	}
	trade := func(h string) float64 { return (*a.c.nodes.Get(addressID(host(h)))).trade(a.c.now) }
	if one, many := trade("10.0.0.5"), trade("10.0.0.6"); !near(one, 1) || !near(many, 20) {
		t.Errorf("%v and %v, want 1 and 20", one, many)
	}
	if !near(aside(20), 0.16) || aside(8) != 1 || !near(rarer(3), math.Exp(-2)) || rarer(0.5) != 1 || rarer(9) != rarer(5) {
		t.Error(aside(20), rarer(3), rarer(9))
	}
}

// TestLife: updates at most once a minute but for a higher severity; closed 14 days after; opened again under its id.
func TestLife(t *testing.T) {
	a := tell()
	a.signal(0, "rpc.seq.psexec", "10.0.0.5", "10.0.0.9", 7)
	a.signal(time.Second, "auth.roast", "10.0.0.5", "10.0.0.2", 3)   // 10: medium, open
	a.signal(2*time.Second, "auth.spray", "10.0.0.5", "10.0.0.2", 1) // too early for an update
	a.signal(3*time.Second, "scan.trw", "10.0.0.5", "", 8)           // critical: at once
	a.signal(4*time.Second, "smb.exec", "10.0.0.5", "10.0.0.10", 4)  // too early
	a.c.Advance(start.Add(2 * time.Minute))                          // now it is due
	a.c.Advance(start.Add(14*24*time.Hour + 4*time.Second))          // quiet
	a.signal(15*24*time.Hour, "rpc.seq.dcsync", "10.0.0.5", "10.0.0.2", 9)
	var got []string
	for _, i := range a.said {
		got = append(got, fmt.Sprintf("%d %v %v %s", i.Revision, i.State, i.Severity(), i.At.Sub(start)))
	}
	want := []string{"1 open medium 1s", "2 update critical 3s", "3 update critical 2m0s", "4 close critical 336h0m4s", "5 open high 360h0m0s"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if a.said[0].ID != a.said[4].ID {
		t.Error("the id changed")
	}
}

// TestCommonDestination: two hosts under one master are one incident.
func TestCommonDestination(t *testing.T) {
	a := tell()
	a.signal(0, "dns.info", "10.0.0.5", "c2.example", 7)
	a.signal(time.Hour, "dns.info", "10.0.0.6", "c2.example", 7)
	a.c.Finish()
	if i := a.last(); i == nil || len(i.Hosts) != 2 || !near(i.Score, 10.5) || !slices.Equal(i.Domains, []string{"c2.example"}) {
		t.Errorf("%+v", i)
	}
}

// TestOrderOfBatchesDoesNotMatter: a signal that grows replaces itself, and is not counted twice.
func TestReplaces(t *testing.T) {
	a := tell()
	s := a.signal(0, "rpc.seq.psexec", "10.0.0.5", "10.0.0.9", 3)
	for _, llr := range []float64{5, 7, 9} {
		g := *s
		g.LLR, g.At = llr, g.At+1
		a.c.Take(&g)
	}
	if i := a.last(); i == nil || !near(i.Score, 9) || !i.Single || i.Severity() != detectors.High {
		t.Errorf("%+v", i)
	}
}

// TestLeases: a host that was known by its address, then by its hardware address, and then has another address, is one
// host; who gets its old address is another.
func TestLeases(t *testing.T) {
	a := tell()
	as := func(id string, by identity.Evidence, since time.Duration) func(*detectors.Signal) {
		return func(s *detectors.Signal) {
			s.ActorHost = detectors.Known{ID: id, Name: "pc-7", By: by, Since: start.Add(since)}
		}
	}
	a.signal(0, "auth.roast", "10.0.0.5", "10.0.0.2", 3, as("10.0.0.5", identity.ByAddress, 0))
	a.signal(time.Hour, "rpc.seq.psexec", "10.0.0.5", "10.0.0.9", 4, as("mac-7", identity.ByDHCP, 0))
	a.signal(2*time.Hour, "dns.info", "10.0.0.77", "out.example", 4, as("mac-7", identity.ByDHCP, 0))
	a.signal(3*time.Hour, "dns.info", "10.0.0.5", "else.example", 9, as("mac-8", identity.ByDHCP, 150*time.Minute))
	a.c.Finish()
	if len(a.said) != 4 {
		t.Fatalf("%d records", len(a.said))
	}
	one, other := a.said[2], a.said[3]
	if len(one.Timeline) != 3 || one.Hosts[0].ID != "mac-7" || one.Hosts[0].Name != "pc-7" || len(one.Hosts) != 3 || len(other.Timeline) != 1 {
		t.Errorf("%+v\n%+v", one, other)
	}
}

// TestBound: a million hosts that each say one thing leave the table at its bound, and an open incident survives them.
func TestBound(t *testing.T) {
	var said []*Incident
	cfg := Default()
	cfg.MaxHosts = 1024
	c := New(cfg, func(packet.Addr) bool { return true }, func(i *Incident) { said = append(said, i) })
	a := &told{c: c}
	a.signal(0, "rpc.seq.dcsync", "10.0.0.5", "10.0.0.2", 9)
	feed := func(from, n int) uint64 {
		for k := from; k < from+n; k++ {
			s := &detectors.Signal{ID: fmt.Sprintf("%032x", k+1000), Rule: "scan.trw", Actor: detectors.HostKey{Addr: packet.AddrFrom4([]byte{11, byte(k >> 16), byte(k >> 8), byte(k)})}, LLR: 3, At: start.Add(time.Duration(k) * time.Millisecond)}
			s.Start, s.End = s.At, s.At
			c.Take(s)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	small := feed(0, 20_000)
	large := feed(20_000, 180_000)
	if s := c.Stats(); s.Hosts > 1024 || s.Evicted < 190_000 || len(c.owner) > 1100 {
		t.Errorf("%+v, %d owners", s, len(c.owner))
	}
	if large > small+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", small, large)
	}
	c.Finish()
	if len(said) != 2 || said[1].State != detectors.StateClose || len(said[1].Timeline) != 1 {
		t.Errorf("%d records", len(said))
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{OpenNats: 1, MaxHosts: 1}).Validate(); err == nil || !strings.Contains(err.Error(), "open_nats") || !strings.Contains(err.Error(), "max_hosts") {
		t.Error(err)
	}
}
