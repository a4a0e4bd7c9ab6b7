package paths

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/engine"
	"neuromast/detectors/scenario"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

func play(t testing.TB, text string) []*detectors.Finding {
	t.Helper()
	said, err := scenario.Play(text, New(Default()))
	if err != nil {
		t.Fatal(err)
	}
	return scenario.Latest(said)
}

// week is a site that has been at work for eight days: what is usual there is known.
const week = `
	0s every 24h times 8 10.0.0.50 -> 10.0.0.51 rdp session for 20m user CORP\boss
`

// TestHandWorked: a service run on the way, then another; the weights of the package comment. On the first day they are
// held back.
func TestHandWorked(t *testing.T) {
	got := play(t, `
		10.0.0.5 -> 10.0.0.9 smb psexec at 02:10 user CORP\adm
		10.0.0.9 -> 10.0.0.12 smb psexec at 02:20 user CORP\adm`)
	if len(got) != 1 {
		t.Fatalf("%d findings", len(got))
	}
	f := got[0]
	if f.Actor.Addr.String() != "10.0.0.5" || f.Target.Addr.String() != "10.0.0.12" || f.LLR != coldNats {
		t.Errorf("%s: %v nats", f.Message, f.LLR)
	}
	sum := 0.0
	for _, e := range f.Evidence {
		sum += e.Nats
	}
	if math.Abs(sum-f.LLR) > 0.05 {
		t.Errorf("the evidence adds up to %v, not %v: %+v", sum, f.LLR, f.Evidence)
	}
	if !slices.ContainsFunc(f.Evidence, func(e detectors.Evidence) bool { return math.Abs(e.Nats+(6.5-coldNats)) < 0.05 }) {
		t.Errorf("not 6.5 nats before: %+v", f.Evidence)
	}
	got = play(t, `
		10.0.0.5 -> 10.0.0.9 smb psexec at 02:10 user CORP\adm
		10.0.0.9 -> 10.0.0.12 smb psexec at 02:20 user CORP\svc-backup`)
	if len(got) != 1 || got[0].LLR != coldBoth || !slices.Contains(got[0].Techniques, accounts) || len(got[0].Users) != 2 {
		t.Errorf("with another account: %v", got)
	}
}

func TestCause(t *testing.T) {
	minute := packet.Time(time.Minute)
	for _, tt := range []struct {
		op     kind
		gap    packet.Time
		lambda float64
		want   float64
	}{
		{run, 10 * minute, floor, 0.9982},         // 0.3 x 30/40^2 = 0.005625
		{interactive, 10 * minute, floor, 0.9740}, // 0.000375
		{interactive, 10 * minute, 0.01, 0.0361},  // as often as six times an hour by itself
		{run, 240 * minute, floor, 0.9251},        // 0.00012346
	} {
		e, s := &session{op: tt.op, start: 1, last: 1}, &session{start: 1 + tt.gap}
		if got := cause(e, s, tt.lambda); math.Abs(got-tt.want) > 0.0005 {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// TestWeigh: the terms of the package comment for chains of two steps, P 0.9.
func TestWeigh(t *testing.T) {
	for _, tt := range []struct {
		what       string
		root, next session
		want       float64
	}{
		{"both new, something run", session{op: run, fresh: 0.5, unusual: 1}, session{op: run, fresh: 0.5, unusual: 1, gains: 1}, 2.5 + 0.9*2.5 + 1.5},
		{"both routine", session{op: run, unusual: little}, session{op: run, unusual: little, gains: 1}, 0.4 + 0.9*0.4 + 0.3},
		{"new from there, but the origin reaches it anyway", session{op: interactive, unusual: little}, session{op: file, fresh: 3, unusual: 1, gains: little}, 0.2 + 0.9*0.2*4.5 + 0.3},
		{"by a jump host, as often", session{op: interactive, unusual: little}, session{op: interactive, unusual: little, gains: little, jump: true}, 0.2 + 0.9*0.2*0.2 + 0.03},
		{"by a jump host, never before", session{op: interactive, fresh: 2, unusual: 1}, session{op: interactive, fresh: 0.45, unusual: 1, gains: 1, jump: true}, 3 + 0.9*1.45 + 0.75},
	} {
		tt.root.gains, tt.next.p, tt.next.parent = 1, 0.9, &tt.root
		if got := weigh(chain(&tt.next)); math.Abs(got-tt.want) > 0.001 {
			t.Errorf("%s: %v, want %v", tt.what, got, tt.want)
		}
	}
}

func TestSameName(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{`corp\adm`, "adm", true}, {`corp\administrator`, "administr", true}, {"administrator", "administr", true}, {"administrator", "admin", false}, {"adm", "bob", false},
	} {
		if got := sameName(tt.a, tt.b); got != tt.want || sameName(tt.b, tt.a) != tt.want {
			t.Errorf("%s and %s: %v", tt.a, tt.b, got)
		}
	}
}

// TestChains: what is told of chains, late sessions, trees, worms.
func TestChains(t *testing.T) {
	for _, tt := range []struct {
		what, text string
		want       []string // actor > target nats, further hosts
	}{
		{"an interactive session that ends after what was done from it", week + `
			8d+22:00 10.0.0.5 -> 10.0.0.9 rdp session for 1h user CORP\adm
			8d+22:10 10.0.0.9 -> 10.0.0.12 smb psexec user CORP\svc`, []string{"10.0.0.5 > 10.0.0.12"}},
		{"three hops", week + `
			8d+02:00 10.0.0.5 -> 10.0.0.9 rpc wmiexec user CORP\adm
			8d+02:10 10.0.0.9 -> 10.0.0.12 smb psexec user CORP\adm
			8d+02:20 10.0.0.12 -> 10.0.0.13 smb atexec user CORP\adm`, []string{"10.0.0.5 > 10.0.0.12"}},
		{"one source, nobody goes on", week + `
			8d+02:00 every 1m times 20 10.0.0.5 -> 10.0.0.1# smb psexec user CORP\adm`, nil},
		{"the next day", week + `
			8d+02:00 10.0.0.5 -> 10.0.0.9 smb psexec user CORP\adm
			9d+08:00 10.0.0.9 -> 10.0.0.12 smb psexec user CORP\adm`, nil},
		{"two hours at a desktop", week + `
			8d+20:00 10.0.0.5 -> 10.0.0.9 rdp session for 10m user CORP\adm
			8d+21:10 10.0.0.9 -> 10.0.0.12 smb psexec user CORP\svc`, []string{"10.0.0.5 > 10.0.0.12"}},
		{"programs that go on from a distribution point every night", `
			04:00 every 24h times 9 10.0.0.5 -> 10.0.0.9 smb psexec user CORP\deploy
			04:05 every 24h times 9 10.0.0.9 -> 10.0.0.12 smb psexec user CORP\deploy`, []string{"10.0.0.5 > 10.0.0.12"}}, // of the first night alone
		{"what a server does by itself", week + `
			1d+01:00 every 1h times 170 10.0.0.9 -> 10.0.0.12 ssh session for 1m user backup
			8d+01:30 10.0.0.5 -> 10.0.0.9 ssh session for 1h user adm
			8d+02:00 10.0.0.9 -> 10.0.0.12 ssh session for 1m user backup`, nil},
	} {
		got := play(t, tt.text)
		var say []string
		for _, f := range got {
			say = append(say, fmt.Sprintf("%s > %s", f.Actor.Addr, f.Target.Addr))
		}
		if !slices.Equal(say, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, messages(got), tt.want)
		}
	}
}

func messages(fs []*detectors.Finding) (out []string) {
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%.1f %s", f.LLR, f.Message))
	}
	return out
}

// TestWorm: hosts that were reached go on by themselves: one finding that grows, on the first day too.
func TestWorm(t *testing.T) {
	var text strings.Builder
	for i := range 6 {
		for k := range 2 { // a binary tree
			fmt.Fprintf(&text, "\n%dm 10.0.0.%d -> 10.0.0.%d smb psexec user CORP\\adm", 10+5*i, 10+i, 10+2*i+1+k)
		}
	}
	got := play(t, text.String())
	if len(got) != 1 || !strings.Contains(got[0].Message, "worm") || got[0].LLR != coldBoth || len(got[0].Related) < 10 {
		t.Errorf("%v", messages(got))
	}
}

// TestWormAfterIntrusion: the worm begins where somebody came by other means.
func TestWormAfterIntrusion(t *testing.T) {
	text := "0m 10.0.0.5 -> 10.0.0.6 rpc wmiexec user CORP\\adm\n6m 10.0.0.6 -> 10.0.0.10 rpc wmiexec user CORP\\adm"
	for i := range 6 {
		for k := range 2 {
			text += fmt.Sprintf("\n%dm 10.0.0.%d -> 10.0.0.%d smb psexec user CORP\\adm", 10+5*i, 10+i, 10+2*i+1+k)
		}
	}
	if got := play(t, text); len(got) != 1 || !strings.Contains(got[0].Message, "worm") {
		t.Errorf("%v", messages(got))
	}
}

// TestDepth: a chain without end is cut into ones of twelve steps, so that what is over can be forgotten.
func TestDepth(t *testing.T) {
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "\n%dm 10.0.0.%d -> 10.0.0.%d smb psexec user CORP\\adm", 10*i, 10+i, 11+i)
	}
	for _, f := range play(t, text.String()) {
		if len(f.Related) > maxDepth+1 {
			t.Errorf("%d hosts: %s", len(f.Related), f.Message)
		}
	}
	a := &session{}
	for range 20 {
		a = &session{parent: a}
	}
	if a.depth() != maxDepth {
		t.Errorf("%d deep", a.depth())
	}
}

// TestStepsReachTheCorrelation: each step is a signal; one that follows names its cause.
func TestStepsReachTheCorrelation(t *testing.T) {
	var got []string
	ids := map[string]string{}
	e := engine.New([]detectors.Detector{New(Default())}, engine.Config{Internal: scenario.Internal, Signal: func(s *detectors.Signal) {
		ids[s.ID] = s.Actor.Addr.String()
		cause := ""
		if len(s.Causes) > 0 {
			cause = " because of " + ids[s.Causes[0].ID]
		}
		got = append(got, fmt.Sprintf("%s > %s finding %v reaches %v%s", s.Actor.Addr, s.Peer.Addr, s.Finding, s.Reaches, cause))
	}})
	if err := scenario.Feed(1, `
		10.0.0.5 -> 10.0.0.9 smb psexec at 02:10 user CORP\adm
		10.0.0.9 -> 10.0.0.12 smb psexec at 02:20 user CORP\svc`, e.Feed); err != nil {
		t.Fatal(err)
	}
	e.Finish()
	got = slices.Compact(got)
	want := []string{
		"10.0.0.5 > 10.0.0.9 finding false reaches true", "10.0.0.9 > 10.0.0.12 finding false reaches true because of 10.0.0.5",
		"10.0.0.5 > 10.0.0.12 finding true reaches false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWorkersDontMatter(t *testing.T) {
	text := week + `
		8d+02:00 10.0.0.5 -> 10.0.0.9 rpc wmiexec user CORP\adm
		8d+02:10 10.0.0.9 -> 10.0.0.12 smb psexec user CORP\adm
		8d+02:20 10.0.0.12 -> 10.0.0.13 smb atexec user CORP\svc`
	var want string
	for _, workers := range []int{1, 2, 8} {
		said, err := scenario.PlayOn(workers, text, New(Default()))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(messages(said), "\n")
		if want == "" {
			want = got
		}
		if got != want || got == "" {
			t.Errorf("%d workers: %s\nwant %s", workers, got, want)
		}
	}
}

// TestBound: chains over a hundred thousand hosts leave the table at its bound.
func TestBound(t *testing.T) {
	cfg := Default()
	cfg.MaxHosts = 256
	d := New(cfg)
	e := engine.New([]detectors.Detector{d}, engine.Config{Internal: func(packet.Addr) bool { return true }})
	feed := func(from, n int) uint64 {
		for k := from; k < from+n; k += 1000 {
			b := &flows.Batch{}
			out := flows.Out{Batch: b}
			for i := k; i < k+1000; i++ {
				out.Now = scenario.Start.Add(time.Duration(i) * time.Second)
				r := flows.Record{Conn: flows.Conn{ID: uint64(i + 1), Start: out.Now - 1, Orig: address(i), Resp: address(i + 1), OrigPort: 40000, RespPort: 22, Proto: packet.ProtoTCP}, Side: -1, App: flows.AppSSH, Report: 1, Final: true, State: flows.SF}
				r.Last = out.Now
				r.Total[0], r.Total[1] = flows.Counters{Packets: 9, PayloadBytes: 900}, flows.Counters{Packets: 9, PayloadBytes: 900}
				out.Record(&r)
			}
			b.Watermark = out.Now
			b.Sort()
			var m flows.Merged
			m.Merge([]*flows.Batch{b})
			e.Feed(&m)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	small := feed(0, 6_000)
	large := feed(6_000, 4_000)
	if d.hosts.Len() > 256 || d.Evicted() == 0 || len(d.trees) > maxTrees || d.Trees == 0 {
		t.Errorf("%d hosts, %d evicted, %d trees of %d", d.hosts.Len(), d.Evicted(), len(d.trees), d.Trees)
	}
	if large > small+64<<20 {
		t.Errorf("the heap grew from %d to %d bytes", small, large)
	}
}

func address(i int) packet.Addr {
	return packet.AddrFrom4([]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{}).Validate(); err == nil || !strings.Contains(err.Error(), "min_nats") || !strings.Contains(err.Error(), "max_hosts") {
		t.Error(err)
	}
}
