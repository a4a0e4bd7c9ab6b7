package pivot

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/engine"
	"neuromast/detectors/scenario"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/sensor/packet"
)

const start = scenario.Start - scenario.Start%packet.Time(time.Minute)

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

// flow is a long connection and its bytes to the server by minutes; a tenth comes back.
type flow struct {
	from, to string
	port     uint16
	after    time.Duration // it begins
	kB       []int
}

// play reports the flows every five minutes, as the table does.
func play(t *testing.T, cfg Config, all ...flow) []*detectors.Finding {
	t.Helper()
	var said []*detectors.Finding
	e := engine.New([]detectors.Detector{New(cfg)}, engine.Config{Internal: scenario.Internal, Publish: func(f *detectors.Finding) { said = append(said, f) }})
	for five := range 24 {
		b := &flows.Batch{Watermark: start.Add(time.Duration(five+1) * 5 * time.Minute)}
		out := flows.Out{Batch: b}
		for i, f := range all {
			first := int(f.after / time.Minute)
			if five*5 < first || five*5 >= first+len(f.kB) {
				continue
			}
			out.Now = b.Watermark - packet.Time(i)
			side := flows.Side{Num: 64, From: start.Add(time.Duration(five) * 5 * time.Minute)}
			for m := range 5 {
				if k := five*5 + m - first; k < len(f.kB) {
					side.Minutes[m] = [2]uint64{uint64(f.kB[k]) * 1000, uint64(f.kB[k]) * 100}
				}
			}
			r := flows.Record{
				Conn: flows.Conn{ID: uint64(i + 1), Start: start.Add(f.after), Orig: addr(f.from), Resp: addr(f.to), OrigPort: uint16(40000 + i), RespPort: f.port, Proto: packet.ProtoTCP},
				Last: out.Now, Side: out.PutSide(&side), State: flows.S1, Report: uint32(five + 1 - first/5),
			}
			r.Total[0], r.Total[1] = flows.Counters{Packets: 1000, PayloadBytes: 1e6}, flows.Counters{Packets: 1000, PayloadBytes: 1e5}
			out.Record(&r)
		}
		b.Sort()
		var m flows.Merged
		m.Merge([]*flows.Batch{b})
		e.Feed(&m)
	}
	e.Finish()
	return scenario.Latest(said)
}

var wave = []int{7, 10, 80, 20, 60, 5, 90, 40, 30, 12, 70, 3, 55, 26, 9}

// more is the same with a share more.
func more(kB []int, share float64) (out []int) {
	for _, x := range kB {
		out = append(out, int(math.Round(float64(x)*(1+share))))
	}
	return out
}

func TestRelay(t *testing.T) {
	got := play(t, Default(),
		flow{"10.0.0.5", "10.0.0.9", 8443, 0, wave},
		flow{"10.0.0.9", "10.0.0.12", 445, 0, more(wave, 0.02)})
	if len(got) != 1 {
		t.Fatalf("%d findings", len(got))
	}
	f := got[0]
	if f.LLR != 4 || f.Actor.Addr != addr("10.0.0.5") || f.Target.Addr != addr("10.0.0.9") || f.Related[0] != addr("10.0.0.12") || len(f.Conns) != 2 {
		t.Errorf("%+v", f)
	}
	for _, text := range []string{f.Message, f.Counterfactual, f.Filter} {
		if text == "" {
			t.Error("unexplained")
		}
	}
	// it was opened later than the one that it passes on
	if got := play(t, Default(), flow{"10.0.0.5", "10.0.0.9", 8443, 0, append(make([]int, 5), wave...)}, flow{"10.0.0.9", "198.51.100.7", 443, 5 * time.Minute, wave}); len(got) != 1 {
		t.Errorf("opened later: %d findings", len(got))
	}
}

// TestTwins: what is no relay, or looks like one.
func TestTwins(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	other := make([]int, len(wave))
	even := make([]int, 20)
	for i := range other {
		other[i] = 1 + r.IntN(90)
	}
	for i := range even {
		even[i] = 30
	}
	for _, tt := range []struct {
		what string
		all  []flow
	}{
		{"two flows without relation", []flow{{"10.0.0.5", "10.0.0.9", 8443, 0, wave}, {"10.0.0.9", "10.0.0.12", 445, 0, other}}},
		{"the same every minute", []flow{{"10.0.0.5", "10.0.0.9", 8443, 0, even}, {"10.0.0.9", "10.0.0.12", 445, 0, even}}},
		{"a tenth more", []flow{{"10.0.0.5", "10.0.0.9", 8443, 0, wave}, {"10.0.0.9", "10.0.0.12", 445, 0, more(wave, 0.1)}}},
		{"two that came to it", []flow{{"10.0.0.5", "10.0.0.9", 8443, 0, wave}, {"10.0.0.6", "10.0.0.9", 445, 0, wave}}},
		{"two that it opened", []flow{{"10.0.0.9", "10.0.0.5", 8443, 0, wave}, {"10.0.0.9", "10.0.0.6", 445, 0, wave}}},
		{"a call back to who came", []flow{{"10.0.0.5", "10.0.0.9", 8443, 0, wave}, {"10.0.0.9", "10.0.0.5", 445, 0, wave}}},
		{"too short", []flow{{"10.0.0.5", "10.0.0.9", 8443, 0, wave[:8]}, {"10.0.0.9", "10.0.0.6", 445, 0, wave[:8]}}},
		{"one after the other", []flow{{"10.0.0.5", "10.0.0.9", 8443, 0, wave}, {"10.0.0.9", "10.0.0.6", 445, 20 * time.Minute, wave}}},
	} {
		if got := play(t, Default(), tt.all...); len(got) != 0 {
			t.Errorf("%s: %s", tt.what, got[0].Message)
		}
	}
}

// TestTrade: hosts that pass on by trade weigh less; a web server only towards the inside.
func TestTrade(t *testing.T) {
	for _, tt := range []struct {
		role   hostgraph.Role
		inside bool
		want   float64
	}{{hostgraph.JumpHost, true, 0.3}, {hostgraph.Gateway, false, 0.3}, {hostgraph.WebServer, true, 0.5}, {hostgraph.WebServer, false, 1}, {hostgraph.Workstation, true, 1}} {
		if got, _ := trade(tt.role, tt.inside); got != tt.want {
			t.Errorf("%v, inside %v: %v, want %v", tt.role, tt.inside, got, tt.want)
		}
	}
}

// TestChance: of 2,000 pairs of flows without relation, but of equal sums, at most a few look alike (computed: 1.2e-3 each
// over eight minutes, fewer over more).
func TestChance(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	alike := 0
	for range 2000 {
		var a, b stream
		for m := range 10 {
			a.bins[m] = [2]uint64{uint64(r.IntN(100000))}
			b.bins[m] = [2]uint64{uint64(r.IntN(100000))}
		}
		a.n, b.n = 10, 10
		if l := like(&a, &b, flows.Orig); l.n != 8 {
			t.Fatalf("%d minutes", l.n)
		} else if l.r > together {
			alike++
		}
	}
	if alike > 10 {
		t.Errorf("%d of 2000 are alike", alike)
	}
}

// TestLongFlows: minutes beyond those that are kept push out the oldest.
func TestLongFlows(t *testing.T) {
	var s stream
	for m := range 100 {
		side := flows.Side{From: packet.Time(m) * packet.Time(time.Minute)}
		side.Minutes[0] = [2]uint64{uint64(m + 1), 1}
		s.add(&side)
	}
	if s.n != kept || s.minute != 100-kept || s.bins[0][0] != 100-kept+1 || s.bins[kept-1][0] != 100 {
		t.Errorf("%d from %d: %v", s.n, s.minute, s.bins)
	}
	side := flows.Side{From: packet.Time(1000) * packet.Time(time.Minute)}
	side.Minutes[2] = [2]uint64{7, 7}
	if s.add(&side); s.bins[kept-1][0] != 7 || s.bins[0][0] != 0 {
		t.Errorf("after a pause: %v", s.bins)
	}
}

func TestBound(t *testing.T) {
	cfg := Default()
	cfg.MaxHosts = 64
	d := New(cfg)
	b := &flows.Batch{Sides: make([]flows.Side, 1)}
	b.Sides[0].Minutes[0] = [2]uint64{9, 9}
	env := &lent{b: b}
	feed := func(n int) uint64 {
		for i := range n {
			r := flows.Record{Conn: flows.Conn{ID: uint64(i), Orig: packet.Addr{10, byte(i >> 16), byte(i >> 8), byte(i)}, Resp: packet.Addr{10, 9, 9, byte(i)}, Proto: packet.ProtoTCP}, Report: 2}
			d.Flow(env, &r)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	small := feed(2000)
	if large := feed(50000); large > small+4<<20 || d.hosts.Len() > 64 || d.Evicted() == 0 {
		t.Errorf("from %d to %d bytes, %d hosts", small, large, d.hosts.Len())
	}
}

type lent struct {
	detectors.Env
	b *flows.Batch
}

func (l *lent) Batch() *flows.Batch       { return l.b }
func (l *lent) Internal(packet.Addr) bool { return true }

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := (Config{}).Validate()
	for _, key := range []string{"min_nats", "min_bytes", "max_hosts"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
