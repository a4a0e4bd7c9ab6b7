package scan

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/sensor/packet"
)

// one plays a text that must yield one finding of a rule, and returns it.
func one(t *testing.T, rule, text string) *detectors.Finding {
	t.Helper()
	got := play(t, text)
	if len(got) != 1 || got[0].Rule.ID != rule {
		var said []string
		for _, f := range got {
			said = append(said, f.Rule.ID+": "+f.Message)
		}
		t.Fatalf("want one finding of %s: %s", rule, strings.Join(said, "\n"))
	}
	return got[0]
}

func measure(f *detectors.Finding, begin string) (detectors.Evidence, bool) {
	for _, e := range f.Evidence {
		if strings.HasPrefix(e.Measure, begin) {
			return e, true
		}
	}
	return detectors.Evidence{}, false
}

// interleaved scans a network where every other address answers: the sequential test stays where it is, ten failures in a
// minute are too many (chance 1.1e-7 where one is usual).
const interleaved = `0s every 2s times 100 10.0.0.5 -> 10.0.1.#:8080 half
	1s every 2s times %d 10.0.0.5 -> 10.0.2.#:22 refused`

func TestBurst(t *testing.T) {
	if got := play(t, fmt.Sprintf(interleaved, 9)); len(got) != 0 {
		t.Errorf("nine failures: %v", messages(got))
	}
	f := one(t, "scan.burst", fmt.Sprintf(interleaved, 10))
	if math.Abs(f.LLR-3) > 1e-9 || f.Actor.Addr.String() != "10.0.0.5" || f.Target.Addr != (packet.Addr{}) || f.WindowStart != scenario.Start.Add(time.Second) {
		t.Errorf("weight %v, actor %v, target %v, window %v", f.LLR, f.Actor, f.Target, f.WindowStart)
	}
	if want := "With 9 failures within 60 s nothing would have been said."; f.Counterfactual != want {
		t.Errorf("counterfactual %q", f.Counterfactual)
	}
	e := f.Evidence[0]
	if want := "failed first contacts inside within 60 s, by chance 1e-07"; e.Measure != want || e.Value != 10 || e.Threshold != "10" || e.Baseline != "mean 1 a host (Poisson), assumed" {
		t.Errorf("evidence %+v", e)
	}
	f = one(t, "scan.burst", fmt.Sprintf(interleaved, 100))
	if want := 3 + math.Log(10); math.Abs(f.LLR-want) > 0.7 || f.Filter == "" || len(f.LookAlikes) == 0 || len(f.Refs) == 0 {
		t.Errorf("weight %v, want about %v", f.LLR, want)
	}
	if e, ok := measure(f, "order of the targets in time: sequential"); !ok || e.Value != 1 {
		t.Errorf("order %+v", f.Evidence)
	}
}

// TestOneScanOneFinding: what both tests see is the first one's.
func TestOneScanOneFinding(t *testing.T) {
	f := one(t, "scan.trw", "0s every 100ms times 200 10.0.0.5 -> 10.0.1.#:445 silent")
	if _, ok := measure(f, "failed first contacts inside within"); !ok {
		t.Errorf("the counts are no evidence: %+v", f.Evidence)
	}
	f = one(t, "scan.burst", fmt.Sprintf(interleaved, 100)+"\n10m every 1s times 50 10.0.0.5 -> 10.0.3.#:445 silent")
	if e, ok := measure(f, "sequential test"); !ok || f.LLR < e.Value {
		t.Errorf("the sequential test is no evidence: %+v", f.Evidence)
	}
}

// TestSlow: a probe in ten minutes, and one an hour, each among twice as many contacts that are answered.
func TestSlow(t *testing.T) {
	for _, tt := range []struct {
		every  time.Duration
		times  int
		within string
		before time.Duration
	}{{10 * time.Minute, 144, "24 hours", 24 * time.Hour}, {time.Hour, 168, "7 d", 7 * 24 * time.Hour}} {
		text := fmt.Sprintf("1s every %s times %d 10.0.0.5 -> 10.0.1.#:445 silent\n5m every %s times %d 10.0.0.5 -> 10.0.2.#:443 open\n6m every %s times %d 10.0.0.5 -> 10.0.3.#:443 open",
			tt.every, tt.times, tt.every, tt.times, tt.every, tt.times)
		said, err := scenario.Play(text, New(Default()))
		if err != nil {
			t.Fatal(err)
		}
		if len(said) == 0 || said[0].Rule.ID != "scan.slow" || said[0].At.Sub(scenario.Start) > tt.before || detectors.Risk(said[0].LLR) < 47 {
			t.Fatalf("every %s: %v", tt.every, messages(said))
		}
		if len(scenario.Latest(said)) != 1 || len(said) > 14 {
			t.Errorf("every %s: %d records of %d findings", tt.every, len(said), len(scenario.Latest(said)))
		}
		if _, ok := measure(said[0], "failed first contacts inside within "+tt.within); !ok {
			t.Errorf("every %s: %+v", tt.every, said[0].Evidence)
		}
		t.Logf("every %s: found after %s: %s", tt.every, said[0].At.Sub(scenario.Start).Round(time.Minute), said[0].Message)
	}
}

// TestSlowCounts: 48 failures a day are borne, 49 are not, and what failed before within thirty days is none.
func TestSlowCounts(t *testing.T) {
	const text = "1s every 15m times %d 10.0.0.5 -> 10.0.1.#:445 silent\n5m every 15m times 90 10.0.0.5 -> 10.0.2.#:443 open\n6m every 15m times 90 10.0.0.5 -> 10.0.3.#:443 open"
	if got := play(t, fmt.Sprintf(text, 48)); len(got) != 0 {
		t.Errorf("48: %v", messages(got))
	}
	one(t, "scan.slow", fmt.Sprintf(text, 49))
	var again strings.Builder
	for day := range 6 {
		fmt.Fprintf(&again, "%dh every 15m times 40 10.0.0.5 -> 10.0.1.#:445 silent\n%dh every 7m times 120 10.0.0.5 -> 10.0.2.#:443 open\n", 25*day, 25*day)
	}
	if got := play(t, again.String()); len(got) != 0 {
		t.Errorf("a list of dead hosts from day to day: %v", messages(got))
	}
}

// TestOrdinaryClients: four hundred clients over 20 days, of whom each fails at four new services a day on average, some at
// none and some at twenty, among ten times as many contacts that are answered. No count is too much; then one of them scans
// slowly and is found. What the sequential test says of them is logged: it is not what is tested here.
func TestOrdinaryClients(t *testing.T) {
	d, env := New(Default()), &clock{}
	rng := rand.New(rand.NewPCG(7, 9))
	clients := 400
	if testing.Short() {
		clients = 200
	}
	moods := make([]float64, clients)
	for day := range int64(20) {
		for i := range moods {
			if day%5 == 0 { // a Weibull variable of mean 3 and shape 1.2: one client week in 1,600 is worse than 17 a day
				moods[i] = 3.19 * math.Pow(rng.ExpFloat64(), 1/1.2)
			}
			n := 0
			for x := rng.ExpFloat64(); x < moods[i]; x += rng.ExpFloat64() {
				n++
			}
			at := scenario.Start.Add(time.Duration(day)*24*time.Hour + time.Duration(rng.IntN(8*3600))*time.Second)
			for k := range 10*n + 12 { // a failure among ten
				env.now = at.Add(time.Duration(k) * 20 * time.Second)
				d.Flow(env, attemptOf(i, rng.IntN(60000), env.now, k >= 10*n || rng.IntN(10) > 0))
			}
		}
	}
	walks := map[packet.Addr]bool{}
	for _, f := range env.said {
		if f.Rule != rule {
			t.Errorf("%s: %s", f.Rule.ID, f.Message)
		}
		walks[f.Actor.Addr] = true
	}
	t.Logf("the sequential test told of %d clients in %d client-days", len(walks), 20*clients)
	env.said = nil
	env.now = scenario.Start.Add(20 * 24 * time.Hour)
	d.usual.all.fit(env.now)
	for i := range d.usual.all.slow {
		t.Logf("%s: %+v", slowSpans[i], d.usual.all.slow[i])
	}
	for i := range d.usual.all.burst {
		t.Logf("%s: %+v", burstSpans[i], d.usual.all.burst[i])
	}
	for k := range 144 {
		env.now = env.now.Add(10 * time.Minute)
		d.Flow(env, attemptOf(5, 60000+3*k, env.now, false))
		d.Flow(env, attemptOf(5, 60001+3*k, env.now, true))
		d.Flow(env, attemptOf(5, 60002+3*k, env.now, true))
	}
	d.End(env)
	if len(env.said) == 0 || env.said[0].Rule.ID != "scan.slow" || env.said[0].Actor.Addr != attemptOf(5, 1, 0, true).Orig {
		t.Errorf("the slow scanner: %v", messages(env.said))
	}
}

// TestUsualOfARole: jump hosts fail at 30 hosts an hour; more than a hundredth of all host-hours are theirs. That makes room for them
// and not for workstations. A role of which too little is known has what is usual at all.
func TestUsualOfARole(t *testing.T) {
	var u usuals
	hour := func(role hostgraph.Role, most uint8) {
		u.all.sampleHour([...]uint8{0, 0, most})
		u.roles[role].sampleHour([...]uint8{0, 0, most})
	}
	for range 60_000 {
		hour(hostgraph.Workstation, 3)
	}
	for range 900 {
		hour(hostgraph.JumpHost, 30)
	}
	now := scenario.Start
	critical := func(role hostgraph.Role) (int, hostgraph.Role) {
		now = now.Add(time.Hour)
		burst, _ := u.of(role, now)
		return burst[2].critical, burst[2].role
	}
	if n, of := critical(hostgraph.JumpHost); n != 29 || of != hostgraph.Unknown { // a third of 30 is 10
		t.Errorf("900 hours of jump hosts: %d of %v", n, of)
	}
	for range 100 {
		hour(hostgraph.JumpHost, 30)
	}
	if n, of := critical(hostgraph.JumpHost); n != 29 || of != hostgraph.JumpHost {
		t.Errorf("1,000 hours of jump hosts: %d of %v", n, of)
	}
	if n, of := critical(hostgraph.Workstation); n != 18 || of != hostgraph.Workstation {
		t.Errorf("workstations: %d of %v", n, of)
	}
	if n, of := critical(hostgraph.Unknown); n != 29 || of != hostgraph.Unknown {
		t.Errorf("unknown: %d of %v", n, of)
	}
}

// clock is an engine that keeps what is said.
type clock struct {
	fakeEnv
	now  packet.Time
	said []*detectors.Finding
}

func (c *clock) Now() packet.Time            { return c.now }
func (c *clock) Internal(a packet.Addr) bool { return scenario.Internal(a) }
func (c *clock) Emit(f *detectors.Finding)   { c.said = append(c.said, f) }

// attemptOf is a first contact of a client with a server, answered with data or not at all.
func attemptOf(client, server int, at packet.Time, open bool) *flows.Record {
	r := &flows.Record{Report: 1, Final: true, HistoryLen: 1, State: flows.S0}
	r.History[0] = 'S'
	r.Proto, r.RespPort, r.Start, r.Last, r.At = packet.ProtoTCP, 445, at, at, at
	r.Orig = packet.AddrFrom4([]byte{10, 1, byte(client >> 8), byte(client)})
	r.Resp = packet.AddrFrom4([]byte{10, byte(64 + server>>16), byte(server >> 8), byte(server)})
	r.Total[flows.Orig] = flows.Counters{Packets: 1, Flags: packet.SYN}
	if open {
		r.HistoryLen, r.State = 2, flows.SF
		r.History[1] = 'h'
		r.Total[flows.Orig] = flows.Counters{Packets: 5, PayloadBytes: 300, Flags: packet.SYN | packet.ACK}
		r.Total[flows.Resp] = flows.Counters{Packets: 5, PayloadBytes: 900, Flags: packet.SYN | packet.ACK}
	}
	return r
}

// TestDarkWeighsThree: after a week, seventeen addresses that never sent anything are 51, of others 49 are needed.
func TestDarkWeighsThree(t *testing.T) {
	const mix = "\n195h5m every 20m times 40 10.0.0.5 -> 10.0.2.#:443 open\n195h6m every 20m times 40 10.0.0.5 -> 10.0.3.#:443 open"
	f := one(t, "scan.slow", "0s every 30m times 250 10.0.9.# -> 10.0.8.1:80 open\n195h every 20m times 17 10.0.0.5 -> 10.0.1.#:445 silent"+mix)
	if e, ok := measure(f, "of them at addresses that sent nothing"); !ok || e.Value != 17 {
		t.Errorf("%+v", f.Evidence)
	}
	if got := play(t, "0s every 30m times 250 10.0.1.# -> 10.0.8.1:80 open\n195h every 20m times 17 10.0.0.5 -> 10.0.1.#:445 silent"+mix); len(got) != 0 {
		t.Errorf("hosts that were there last week: %v", messages(got))
	}
}

// TestScannerOfTheHouse: the same ports of the same network on four days are information, also where the scanner logs in every
// day by an account of its own; new ports, or an account that is new to it, are not.
func TestScannerOfTheHouse(t *testing.T) {
	days := func(n int, more string) string {
		var b strings.Builder
		for day := range n {
			for _, port := range []int{22, 80, 443, 445, 3389} {
				fmt.Fprintf(&b, "%dh every 1s times 40 10.0.0.5 -> 10.0.1.#:%d silent\n", 26*day, port)
			}
		}
		return b.String() + more
	}
	loggingIn := func(n int, user string) string {
		var b strings.Builder
		for day := range n {
			fmt.Fprintf(&b, "%dh10m every 1s times 5 10.0.0.5 logs 10.0.1.#+1 smb %s in\n%dh11m every 1s times 40 10.0.0.5 -> 10.0.1.#+60:445 silent\n", 26*day, user, 26*day)
		}
		return b.String()
	}
	for _, tt := range []struct {
		name, text string
		alarm      bool
	}{
		{"third day", days(3, ""), true},
		{"fourth day", days(4, ""), false},
		{"fourth day, logging in", days(4, "79h every 1s times 5 10.0.0.5 logs 10.0.1.#+1 smb bob in\n79h1m every 1s times 100 10.0.0.5 -> 10.0.1.#+100:445 silent"), true},
		{"fourth day, logging in as ever", days(4, loggingIn(4, "svc-scan")), false},
		{"fourth day, logging in by a new account", days(4, loggingIn(3, "svc-scan")+"78h10m every 1s times 5 10.0.0.5 logs 10.0.1.#+1 smb bob in\n79h1m every 1s times 100 10.0.0.5 -> 10.0.1.#+100:445 silent"), true},
		{"fourth day, other ports", days(3, "78h every 1s times 200 10.0.0.5 -> 10.0.1.#:5985 silent"), true},
		{"fourth day, another network", days(3, "78h every 1s times 200 10.0.0.5 -> 10.0.7.#:445 silent"), true},
	} {
		said, err := scenario.Play(tt.text, New(Default()))
		if err != nil || len(said) == 0 {
			t.Fatal(err, len(said))
		}
		last := said[len(said)-1]
		if alarm := detectors.Risk(last.LLR) >= 47; alarm != tt.alarm || !tt.alarm && detectors.Risk(last.LLR) >= 21 {
			t.Errorf("%s: weight %v: %s", tt.name, last.LLR, last.Message)
		}
	}
}

// TestKnocks: a host that opens remote desktops of neighbours and says nothing is found though all answer; the same over a port that
// is no way in, or again within thirty days, is not.
func TestKnocks(t *testing.T) {
	f := one(t, "scan.trw", "0s every 2m times 60 10.0.0.5 -> 10.0.1.#:3389 half")
	if e, ok := measure(f, "ways in that answered"); !ok || e.Value != 60 || !strings.Contains(f.Message, "60 internal hosts on TCP port 3389 (rdp) in 118 min; 60 answered") || len(f.Conns) == 0 {
		t.Errorf("%s %+v", f.Message, f.Evidence)
	}
	if got := play(t, "0s every 2m times 16 10.0.0.5 -> 10.0.1.#:3389 half"); len(got) != 0 { // 16 halves of ln 4 are 11.09
		t.Errorf("16 knocks: %s", got[0].Message)
	}
	if got := play(t, "0s every 2m times 60 10.0.0.5 -> 10.0.1.#:8080 half"); len(got) != 0 {
		t.Errorf("health checks: %s", got[0].Message)
	}
	if got := play(t, "0s every 2m times 12 10.0.0.5 -> 10.0.1.#:22 half\n25h every 2m times 12 10.0.0.5 -> 10.0.1.#:22 half"); len(got) != 0 {
		t.Errorf("the same every day: %s", got[0].Message)
	}
}

// TestDevices: a program that looks for printers among 30 neighbours is a notice, one that asks 60 is a scan, and so are 30 hosts
// asked for remote desktops.
func TestDevices(t *testing.T) {
	const text = "0s every 1s times %d 10.0.0.5 -> 10.0.1.#:%d silent\n5m every 1s times 3 10.0.0.5 -> 10.0.2.#:443 open\n1h 10.0.0.5 -> 10.0.3.1:445 silent"
	for _, tt := range []struct {
		hosts, port int
		alarm       bool
	}{{30, 9100, false}, {60, 9100, true}, {30, 3389, true}} {
		f := one(t, "scan.trw", fmt.Sprintf(text, tt.hosts, tt.port))
		if risk := detectors.Risk(f.LLR); risk >= 47 != tt.alarm || risk < 21 {
			t.Errorf("%d hosts on port %d: risk %v", tt.hosts, tt.port, risk)
		}
	}
}

// TestFoundIsUsed: a later connection with data to a service that the scan found is told.
func TestFoundIsUsed(t *testing.T) {
	const sweep = "0s every 1s times 40 10.0.0.5 -> 10.0.1.#:22 refused\n3s every 9s times 3 10.0.0.5 -> 10.0.2.#:22 half\n"
	f := one(t, "scan.trw", sweep+"5m 10.0.0.5 -> 10.0.2.1:22 open")
	if want := "10.0.0.5 found TCP port 22 (ssh) of 10.0.2.1 and then used it: see what went over these connections."; f.NextSteps[0] != want {
		t.Errorf("next step %q", f.NextSteps[0])
	}
	if f := one(t, "scan.trw", sweep+"5m 10.0.0.6 -> 10.0.2.1:22 open"); strings.Contains(f.NextSteps[0], "used it") {
		t.Errorf("another host's: %q", f.NextSteps[0])
	}
}

func TestShape(t *testing.T) {
	for _, tt := range []struct{ text, shape, order string }{
		{"0s every 1s times 60 10.0.0.5 -> 10.0.1.#:22 silent", "horizontal: one service", "sequential"},
		{"0s every 1s times 60 10.0.0.5 -> 10.0.1.7:1# refused", "vertical", ""},
		{"0s every 2s times 30 10.0.0.5 -> 10.0.1.#:22 silent\n1s every 2s times 30 10.0.0.5 -> 10.0.2.#:445 silent", "service sweep", ""},
		{"0s every 2s times 30 10.0.0.5 -> 10.0.1.#:81 silent\n1s every 2s times 30 10.0.0.5 -> 10.0.2.#:82 silent", "horizontal: several services", ""},
		{"0s every 1s times 10 10.0.0.5 -> 10.0.1.1#:22 silent\n0s every 1100ms times 10 10.0.0.5 -> 10.0.1.3#:22 silent\n0s every 1050ms times 10 10.0.0.5 -> 10.0.1.2#:22 silent", "horizontal", "random"},
	} {
		f := one(t, "scan.trw", tt.text)
		if _, ok := measure(f, "shape, of a sample: "+tt.shape); !ok {
			t.Errorf("no shape %q: %+v", tt.shape, f.Evidence)
		}
		if _, ok := measure(f, "order of the targets in time: "+tt.order); !ok {
			t.Errorf("%s: no order %q: %+v", tt.shape, tt.order, f.Evidence)
		}
	}
}

func TestARPSweep(t *testing.T) {
	if got := play(t, "0s every 50ms times 19 10.0.0.5 seeks 10.0.0.1#"); len(got) != 0 {
		t.Errorf("nineteen: %v", messages(got))
	}
	f := one(t, "scan.burst", "0s every 50ms times 254 10.0.0.5 seeks 10.0.0.#\n1s every 1s times 4 10.0.0.20# seeks 10.0.0.5")
	if detectors.Risk(f.LLR) < 47 || f.Actor.Addr.String() != "10.0.0.5" || len(f.Techniques) != 1 || f.Techniques[0].ID != "T1018" ||
		f.Filter != "arp.opcode == 1 && arp.src.proto_ipv4 == 10.0.0.5" || len(f.Conns) != 0 || len(f.Refs) == 0 {
		t.Errorf("weight %v, %v, filter %q, %d connections", f.LLR, f.Techniques, f.Filter, len(f.Conns))
	}
	if !strings.HasPrefix(f.Message, "10.0.0.5 asked the neighbourhood by ARP for 25") {
		t.Errorf("message %q", f.Message)
	}
	for name, text := range map[string]string{
		"neighbours that are there":                          "0s every 1s times 100 10.0.0.# seeks 10.0.0.250\n2m every 50ms times 100 10.0.0.200 seeks 10.0.0.#",
		"the same few again":                                 "0s every 1s times 500 10.0.0.5 seeks 10.0.0.77\n0s every 2s times 200 10.0.0.5 seeks 10.0.0.78",
		"a server that eight ask for, whose clients are off": "0s every 1s times 8 10.0.0.4# seeks 10.0.0.9\n1m every 50ms times 100 10.0.0.9 seeks 10.0.0.1#",
		"a router with three networks": "0s 10.0.0.1 seeks 10.0.0.7 from 02:00:00:00:00:01\n0s 10.0.1.1 seeks 10.0.1.7 from 02:00:00:00:00:01\n" +
			"0s 10.0.2.1 seeks 10.0.2.7 from 02:00:00:00:00:01\n1m every 50ms times 100 10.0.0.1 seeks 10.0.0.1# from 02:00:00:00:00:01",
		"an outsider": "0s every 50ms times 200 203.0.113.1 seeks 203.0.113.#",
		"slowly":      "0s every 10s times 48 10.0.0.5 seeks 10.0.0.1#",
	} {
		if got := play(t, text); len(got) != 0 {
			t.Errorf("%s: %v", name, messages(got))
		}
	}
}

// TestGatewayUnderScan: an outsider tries a network through its gateway, which asks for each address. Its frames bring what
// comes from outside, so it is known for a router.
func TestGatewayUnderScan(t *testing.T) {
	d, env := New(Default()), &clock{now: scenario.Start}
	gateway, mac := packet.AddrFrom4([]byte{10, 0, 0, 1}), packet.MAC{2, 9, 9, 9, 9, 9}
	r := attemptOf(1, 2, env.now, true)
	r.Orig, r.OrigMAC = packet.AddrFrom4([]byte{203, 0, 113, 9}), mac
	d.Flow(env, r)
	for i := range 200 {
		env.now = env.now.Add(50 * time.Millisecond)
		d.ARP(env, &flows.ARP{Sender: gateway, Target: packet.AddrFrom4([]byte{10, 0, 0, byte(i + 2)}), SenderMAC: mac, From: mac, To: packet.MAC{0xff}})
	}
	d.End(env)
	if len(env.said) != 0 {
		t.Errorf("%v", messages(env.said))
	}
}

// TestVNCProbes: handshakes that end once the kinds of security are known are tries, not conversations.
func TestVNCProbes(t *testing.T) {
	for _, probe := range []bool{true, false} {
		d, env := New(Default()), &clock{now: scenario.Start}
		for i := range 12 {
			env.now = env.now.Add(time.Second)
			r := attemptOf(1, i+1, env.now, true)
			r.App, r.RespPort = flows.AppVNC, 5900
			r.Total[flows.Orig].PayloadBytes, r.Total[flows.Resp].PayloadBytes = 12, 14
			if probe {
				r.Total[flows.Orig].Flags |= packet.RST
			}
			d.Flow(env, r)
		}
		if said := len(env.said) > 0; said != probe {
			t.Errorf("resets %v: %v", probe, messages(env.said))
		}
	}
}

// TestARPStorm: requests by ever new senders wait in bounded room, and a sweep among them is found.
func TestARPStorm(t *testing.T) {
	d, env := New(Default()), &clock{now: scenario.Start}
	for i := range 40000 {
		env.now = env.now.Add(100 * time.Microsecond)
		a := flows.ARP{
			Sender: packet.AddrFrom4([]byte{10, 9, byte(i >> 8), byte(i)}), Target: packet.AddrFrom4([]byte{10, 8, byte(i >> 8), byte(i)}),
			SenderMAC: packet.MAC{2, 1, 1, 1, byte(i >> 8), byte(i)}, To: packet.MAC{0xff},
		}
		if i%400 == 0 {
			a.Sender, a.SenderMAC = packet.AddrFrom4([]byte{10, 0, 0, 5}), packet.MAC{2, 5}
		}
		d.ARP(env, &a)
		if n := len(d.arp.queue); n > 2*maxAsked+1 {
			t.Fatalf("%d requests wait", n)
		}
	}
	d.End(env)
	if len(env.said) == 0 || env.said[0].Actor.Addr.String() != "10.0.0.5" {
		t.Errorf("%v", messages(env.said))
	}
}

// BenchmarkFailure measures first contacts of a host that is never answered, once its findings are out.
// Run: go test -run=- -bench=Failure ./detectors/scan
func BenchmarkFailure(b *testing.B) {
	d, env := New(Default()), &clock{now: scenario.Start}
	for i := 0; b.Loop(); i++ {
		env.now = env.now.Add(time.Millisecond)
		d.Flow(env, attemptOf(1, i%(1<<22), env.now, false))
		env.said = env.said[:0]
	}
}

// TestHarshSite: 200 clients that fail at one in six of their new contacts inside, 30 a day for ten days, and never at three
// times as many outside. Were theta0 measured over all, it would be 0.95 and 37 clients be called scanners.
func TestHarshSite(t *testing.T) {
	d, env := New(Default()), &clock{}
	rng := rand.New(rand.NewPCG(11, 13))
	for day := range time.Duration(10) {
		for i := range 200 {
			at := scenario.Start.Add(day*24*time.Hour + time.Duration(rng.IntN(8*3600))*time.Second)
			for k := range time.Duration(30) {
				env.now = at.Add(k * 20 * time.Second)
				d.Flow(env, attemptOf(i, rng.IntN(60000), env.now, rng.IntN(6) > 0))
				for range 3 {
					out := attemptOf(i, 0, env.now, true)
					out.Resp = packet.AddrFrom4([]byte{198, byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
					d.Flow(env, out)
				}
			}
		}
	}
	if theta0, measured := d.site.theta0(0.8); !measured || theta0 > 0.85 {
		t.Errorf("theta0 %v, measured %v", theta0, measured)
	}
	if len(env.said) > 3 {
		t.Errorf("%d findings, the first: %s", len(env.said), env.said[0].Message)
	}
	actors := map[packet.Addr]bool{}
	for _, f := range env.said {
		actors[f.Actor.Addr] = true
	}
	t.Logf("%d clients in 2,000 client-days; h = %v", len(actors), d.h)
}
