package scan

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/identity"
	"neuromast/sensor/packet"
)

func play(t *testing.T, text string) []*detectors.Finding {
	t.Helper()
	said, err := scenario.Play(text, New(Default()))
	if err != nil {
		t.Fatal(err)
	}
	return scenario.Latest(said)
}

// TestNineFailuresInARow works the test out by hand: nine steps of ln 4 are 12.48, at least h = 11.5; eight are 11.09.
func TestNineFailuresInARow(t *testing.T) {
	if got := play(t, "0s every 1m times 8 10.0.0.5 -> 10.0.1.#:445 silent"); len(got) != 0 {
		t.Errorf("eight failures: %s", got[0].Message)
	}
	got := play(t, "0s every 1m times 9 10.0.0.5 -> 10.0.1.#:445 silent")
	if len(got) != 1 {
		t.Fatalf("%d findings, want 1", len(got))
	}
	f := got[0]
	if want := 9*math.Log(4) - 11.5 + 3; math.Abs(f.LLR-want) > 1e-9 {
		t.Errorf("weight %v, want %v", f.LLR, want)
	}
	if f.Actor.Addr.String() != "10.0.0.5" || f.Target.Addr != (packet.Addr{}) || f.WindowStart != scenario.Start {
		t.Errorf("actor %v, target %v, window %v", f.Actor, f.Target, f.WindowStart)
	}
	if want := "10.0.0.5 tried 9 internal hosts on TCP port 445 (smb) in 8 min; 9 stayed silent."; f.Message != want {
		t.Errorf("message %q, want %q", f.Message, want)
	}
	if want := "With 1 failure fewer L would have stayed below 11.5 and nothing been said."; f.Counterfactual != want {
		t.Errorf("counterfactual %q", f.Counterfactual)
	}
	if want := "ip.src == 10.0.0.5 && tcp.flags.ack == 0 && tcp.dstport == 445"; f.Filter != want {
		t.Errorf("filter %q", f.Filter)
	}
	if len(f.Related) != 9 || len(f.Conns) != 9 || f.State != detectors.StateClose {
		t.Errorf("%d related, %d connections, %v", len(f.Related), len(f.Conns), f.State)
	}
}

func TestPositive(t *testing.T) {
	for _, tt := range []struct {
		name, text, actor, target, message string
		techniques                         string
	}{
		{
			"ports of one host", "0s every 10ms times 200 10.0.0.5 -> 10.0.1.7:1# refused",
			"10.0.0.5", "10.0.1.7", "tried 200 TCP ports of 10.0.1.7", "T1046",
		},
		{
			"some answer", `0s every 1s times 40 10.0.0.5 -> 10.0.1.#:22 refused
			0s every 10s times 4 10.0.0.5 -> 10.0.2.#:22 half`,
			"10.0.0.5", "", "40 refused, 4 answered", "T1046 T1018",
		},
		{
			"stealth: four probes that no stack sends", `0s 10.0.0.5 -> 10.0.1.7:1 fin
			1s 10.0.0.5 -> 10.0.1.7:2 null
			2s 10.0.0.5 -> 10.0.1.7:3 xmas
			3s 10.0.0.5 -> 10.0.1.7:4 fin-silent`,
			"10.0.0.5", "10.0.1.7", "4 probes of a kind that no stack sends", "T1046",
		},
		{
			"UDP with ICMP errors", "0s every 10ms times 30 10.0.0.5 -> 10.0.1.7:2# udp-refused",
			"10.0.0.5", "10.0.1.7", "30 UDP ports", "T1046",
		},
		{
			"ping sweep of a live network", `0s every 100ms times 12 10.0.0.5 -> 10.0.1.1# ping
			0s every 200ms times 5 10.0.0.5 -> 10.0.2.1# ping-silent`,
			"10.0.0.5", "", "ICMP echo", "T1018",
		},
		{
			"SNMP over a network that says nothing", "0s every 1s times 60 10.0.0.5 -> 10.0.1.#:161 udp-silent",
			"10.0.0.5", "", "60 internal hosts on UDP port 161", "T1046 T1018",
		},
		{
			"outside", "0s every 1s times 12 10.0.0.5 -> 198.51.100.#:445 silent",
			"10.0.0.5", "", "12 external hosts on TCP port 445", "T1046 T1018",
		},
		{
			"from outside", "0s every 12m times 30 198.51.100.9 -> 10.0.1.#:445 silent",
			"198.51.100.9", "", "30 internal hosts", "T1046 T1018 T1595",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := play(t, tt.text)
			if len(got) != 1 {
				t.Fatalf("%d findings, want 1: %v", len(got), messages(got))
			}
			f := got[0]
			if f.Actor.Addr.String() != tt.actor || tt.target != "" && f.Target.Addr.String() != tt.target || tt.target == "" && f.Target.Addr != (packet.Addr{}) {
				t.Errorf("%s -> %s", f.Actor.Addr, f.Target.Addr)
			}
			if !strings.Contains(f.Message, tt.message) {
				t.Errorf("message %q does not say %q", f.Message, tt.message)
			}
			if risk := detectors.Risk(f.LLR); risk < 47 {
				t.Errorf("risk %v", risk)
			}
			var ids []string
			for _, q := range f.Techniques {
				ids = append(ids, q.ID)
			}
			if strings.Join(ids, " ") != tt.techniques {
				t.Errorf("techniques %v, want %s", ids, tt.techniques)
			}
			if f.Counterfactual == "" || f.Filter == "" || len(f.LookAlikes) == 0 || len(f.NextSteps) == 0 || len(f.Evidence) < 3 || len(f.Refs) == 0 {
				t.Errorf("the finding does not explain itself: %+v", f)
			}
		})
	}
}

func TestQuiet(t *testing.T) {
	for name, text := range map[string]string{
		"retries to one dead destination":       "0s every 30s times 500 10.0.0.5 -> 10.0.1.7:443 silent",
		"a dead host asked at a few ports":      "0s every 1s times 8 10.0.0.5 -> 10.0.1.7:1# silent",
		"an administrator with a stale list":    "0s every 5s times 12 10.0.0.5 -> 10.0.1.#:22 open\n0s every 9s times 8 10.0.0.5 -> 10.0.2.#:22 silent",
		"multicast and broadcast":               "0s every 1s times 50 10.0.0.5 -> 239.1.2.#:1900 udp-refused\n0s every 1s times 50 10.0.0.5 -> 255.255.255.255:# udp-refused",
		"silence after UDP that nobody answers": "0s every 1s times 250 10.0.0.5 -> 10.0.1.#:514 udp-silent",
		"a look for SNMP printers":              "0s every 1s times 40 10.0.0.5 -> 10.0.1.#:161 udp-silent",
		"backscatter of a spoofed flood":        "0s every 1s times 250 10.0.0.5 -> 198.51.100.#:4# backscatter",
		"a capture that begins late":            "0s every 10ms times 250 10.0.0.5 -> 10.0.1.#:445 late",
		"one direction only":                    "0s every 1s times 60 10.0.0.5 -> 10.0.1.#:445 oneway\n0s every 1s times 60 10.0.0.5 -> 10.0.3.1# ping-silent",
		"traceroute over UDP":                   "0s every 100ms times 90 10.0.0.5 -> 10.9.0.1:#+33434 udp-refused",
		"traceroute over ICMP":                  "0s every 100ms times 90 10.0.0.5 -> 10.9.0.1 ping-silent",
		"a resolver":                            "0s every 1s times 250 10.0.0.53 -> 198.51.100.#:53 udp\n0s every 1s times 30 10.0.0.53 -> 203.0.113.#:53 udp-silent",
		"browsing with dead hosts":              "0s every 2s times 60 10.0.0.5 -> 198.51.100.#:443 open\n0s every 5s times 20 10.0.0.5 -> 203.0.113.#:443 silent",
		"peers at many ports":                   "0s every 1s times 200 10.0.0.5 -> 198.51.100.#:4# silent",
		"peers at one port, of which some talk": "0s every 1s times 150 10.0.0.5 -> 198.51.100.#:6881 silent\n0s every 2s times 75 10.0.0.5 -> 203.0.113.#:6881 open",
		"a dead host pinged by a monitor":       "0s every 1m times 600 10.0.0.5 -> 10.0.1.9 ping-silent\n0s every 1m times 90 10.0.0.5 -> 10.0.1.1# ping",
	} {
		t.Run(name, func(t *testing.T) {
			if got := play(t, text); len(got) != 0 {
				t.Errorf("said: %v", messages(got))
			}
		})
	}
}

// TestDeadServersOfEverybody: ten services that six clients fail at are dead for each, but the same failures of one
// client alone are a scan.
func TestDeadServersOfEverybody(t *testing.T) {
	var text strings.Builder
	for server := range 12 {
		for client := range 8 {
			fmt.Fprintf(&text, "%ds 10.0.0.%d -> 10.0.1.%d:445 silent\n", 100*server+client, client+1, server)
		}
	}
	got := play(t, text.String())
	for _, f := range got {
		if a := f.Actor.Addr.String(); a > "10.0.0.4" {
			t.Errorf("the fifth client and those after it meet servers known to be dead: %s", f.Message)
		}
	}
	if len(got) > 4 {
		t.Errorf("%d findings", len(got))
	}
}

// TestOutage: when the way out is down, everybody fails at everything; a scanner outside fails alone.
func TestOutage(t *testing.T) {
	var text strings.Builder
	for client := range 40 {
		fmt.Fprintf(&text, "%dms every 1s times 20 10.0.0.%d -> 198.51.%d.#:443 silent\n", 25*client, client, client)
	}
	got := play(t, text.String())
	if len(got) > 4 {
		t.Errorf("%d findings: %v", len(got), messages(got))
	}
}

// TestFactsComeEarly: a connection whose ClientHello was seen is answered before its record comes.
func TestFactsComeEarly(t *testing.T) {
	for _, hello := range []bool{false, true} {
		d, env := New(Default()), &emitted{}
		for i := range byte(9) {
			if i == 5 && hello {
				d.TLS(env, &flows.TLS{Conn: flows.Conn{
					Start: scenario.Start, Orig: packet.AddrFrom4([]byte{10, 0, 0, 5}), Resp: packet.AddrFrom4([]byte{10, 0, 2, 1}), RespPort: 443, Proto: packet.ProtoTCP,
				}})
			}
			r := flows.Record{Report: 1, Final: true, HistoryLen: 1, State: flows.S0}
			r.History[0] = 'S'
			r.Proto, r.Orig, r.Resp = packet.ProtoTCP, packet.AddrFrom4([]byte{10, 0, 0, 5}), packet.AddrFrom4([]byte{10, 0, 1, i + 1})
			r.RespPort, r.Start = 443, scenario.Start
			r.Total[flows.Orig] = flows.Counters{Packets: 1, Flags: packet.SYN}
			d.Flow(env, &r)
		}
		if want := map[bool]int{false: 1, true: 0}[hello]; env.n != want {
			t.Errorf("with a ClientHello %v: %d findings, want %d", hello, env.n, want)
		}
	}
}

type emitted struct {
	fakeEnv
	n int
}

func (e *emitted) Emit(*detectors.Finding) { e.n++ }

// TestAnswersBeforeSilence: 12 hosts are tried a second apart, the second answers at once; the eleven others are known to
// be silent ten seconds later. The answer belongs to the walk and is told.
func TestAnswersBeforeSilence(t *testing.T) {
	got := play(t, "0s 10.0.0.5 -> 10.0.1.1:22 silent\n1s 10.0.0.5 -> 10.0.1.2:22 half\n2s every 1s times 10 10.0.0.5 -> 10.0.1.#+3:22 silent")
	if len(got) != 1 || !strings.Contains(got[0].Message, "tried 12 internal hosts on TCP port 22 (ssh) in 11 s; 11 stayed silent, 1 answered") {
		t.Fatalf("%v", messages(got))
	}
	if want := "See what 10.0.0.5 did next with what answered: TCP port 22 (ssh) of 10.0.1.2."; got[0].NextSteps[1] != want {
		t.Errorf("next step %q", got[0].NextSteps[1])
	}
}

// TestBlock: a scanner of many ports of many hosts is a handful of findings, not one per host.
func TestBlock(t *testing.T) {
	var text strings.Builder
	for host := range 40 {
		fmt.Fprintf(&text, "%ds 10.0.0.5 -> 10.0.1.%d:22 half\n", 10*host, host)
		fmt.Fprintf(&text, "%ds every 10ms times 100 10.0.0.5 -> 10.0.1.%d:1# refused\n", 10*host+1, host)
	}
	got := play(t, text.String())
	if len(got) != maxVerticals+1 {
		t.Fatalf("%d findings, want %d: %v", len(got), maxVerticals+1, messages(got))
	}
	block := got[maxVerticals]
	if block.Target.Addr != (packet.Addr{}) || len(block.Related) != 32 || !strings.Contains(block.Message, "of 32 hosts more") {
		t.Errorf("%s; %d related", block.Message, len(block.Related))
	}
}

// TestGrowth: a long scan is few records.
func TestGrowth(t *testing.T) {
	said, err := scenario.Play("0s every 100ms times 5000 10.0.0.5 -> 10.0.1.7:# refused", New(Default()))
	if err != nil {
		t.Fatal(err)
	}
	if len(said) > 6 {
		t.Errorf("%d records", len(said))
	}
	last := said[len(said)-1]
	if want := "10.0.0.5 tried 4,999 TCP ports of 10.0.1.7 in 8 min; 4,999 refused."; last.Message != want && !strings.Contains(last.Message, "5,000 TCP ports") {
		t.Errorf("last record: %s", last.Message)
	}
}

// TestOneIdentity: probes that stayed silent are known later than refusals that came after them; the finding stays one.
func TestOneIdentity(t *testing.T) {
	got := play(t, `0s every 100ms times 100 10.0.0.5 -> 10.0.1.7:1# silent
		5s every 100ms times 20 10.0.0.5 -> 10.0.1.7:2# refused`)
	if len(got) != 1 {
		t.Fatalf("%d findings, want 1: %v", len(got), messages(got))
	}
	if f := got[0]; f.Start != scenario.Start || !strings.Contains(f.Message, "120 TCP ports") {
		t.Errorf("start %v: %s", f.Start, f.Message)
	}
}

// TestWorkersDontMatter spreads the same traffic over 1, 3 and 8 workers.
func TestWorkersDontMatter(t *testing.T) {
	const text = `0s every 7ms times 250 10.0.0.5 -> 10.0.1.#:22 refused
		0s every 11ms times 300 10.0.0.6 -> 10.0.1.7:1# refused
		0s every 13ms times 100 10.0.0.7 -> 198.51.100.#:445 silent`
	var want []*detectors.Finding
	for _, workers := range []int{1, 3, 8} {
		got, err := scenario.PlayOn(workers, text, New(Default()))
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if len(got) < 3 || !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers: %d records, want %d", workers, len(got), len(want))
		}
	}
}

// TestTheta0 measures: 30 hosts that are always answered make the test sharper, ln 8 a failure; six then suffice.
func TestTheta0(t *testing.T) {
	var s site
	for range 19 {
		s.sample(8, 16)
	}
	if v, measured := s.theta0(0.8); v != 0.8 || measured {
		t.Errorf("19 hosts: %v, %v", v, measured)
	}
	s.sample(8, 17) // not a sample
	s.sample(16, 16)
	if v, measured := s.theta0(0.8); v != minTheta0 || !measured {
		t.Errorf("half answered: %v, %v", v, measured)
	}
	var text strings.Builder
	for host := range 30 {
		fmt.Fprintf(&text, "0s every 1s times 16 10.0.5.%d -> 10.0.6.#:80 open\n", host)
	}
	text.WriteString("1m every 1s times 6 10.0.0.5 -> 10.0.1.#:445 silent\n")
	if got := play(t, text.String()); len(got) != 1 || !strings.Contains(got[0].Evidence[0].Baseline, "90 % answered here but at the worse quarter of hosts") {
		t.Errorf("%d findings", len(got))
	}
}

// TestSourcesAreBounded floods with spoofed sources: the scanner that was at work is still found.
func TestSourcesAreBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxSources = 64
	d := New(cfg)
	var text strings.Builder
	for i := range 9 {
		fmt.Fprintf(&text, "%dms 203.0.113.9 -> 10.0.1.%d:445 silent\n", 5+max(i, i*(i-1)*5000), i) // two at once, then minutes apart
	}
	for a := range 250 {
		fmt.Fprintf(&text, "%ds every 10ms times 200 198.51.%d.# -> 10.0.3.3:80 silent\n", 2*a, a)
	}
	said, err := scenario.Play(text.String(), d)
	if err != nil {
		t.Fatal(err)
	}
	if len(said) == 0 || said[0].Actor.Addr.String() != "203.0.113.9" {
		t.Errorf("the scanner was pushed out: %v", messages(said))
	}
	if d.internal.Len()+d.external.Len() > 128 || d.Evicted() < 49000 {
		t.Errorf("%d sources, %d evicted", d.internal.Len()+d.external.Len(), d.Evicted())
	}
}

func TestFlowDoesNotAllocate(t *testing.T) {
	d := New(Default())
	env := &fakeEnv{}
	r := flows.Record{Report: 1, Final: true, HistoryLen: 2}
	copy(r.History[:], "Sh")
	r.Proto, r.Orig, r.Resp = packet.ProtoTCP, packet.AddrFrom4([]byte{10, 0, 0, 1}), packet.AddrFrom4([]byte{10, 0, 0, 2})
	r.Total[0], r.Total[1] = flows.Counters{Packets: 2, Flags: packet.SYN | packet.ACK}, flows.Counters{Packets: 1, Flags: packet.SYN | packet.ACK}
	d.Flow(env, &r)
	port := uint16(0)
	if n := testing.AllocsPerRun(1000, func() {
		port++
		r.RespPort = port
		d.Flow(env, &r)
	}); n != 0 {
		t.Errorf("%v allocations for a first contact", n)
	}
}

type fakeEnv struct{ detectors.Env }

func (*fakeEnv) Now() packet.Time                      { return scenario.Start.Add(time.Second) }
func (*fakeEnv) Batch() *flows.Batch                   { return nil }
func (*fakeEnv) Internal(packet.Addr) bool             { return true }
func (*fakeEnv) Emit(*detectors.Finding)               {}
func (*fakeEnv) WakeAt(packet.Time, uint64)            {}
func (*fakeEnv) Host(detectors.HostKey) *identity.Host { return &nobody }
func (*fakeEnv) Graph() *hostgraph.Graph               { return noGraph }

var (
	nobody  identity.Host
	noGraph = hostgraph.New(hostgraph.Default(), identity.New(identity.Default(), scenario.Internal, nil), nil)
)

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default is not valid: %v", err)
	}
	err := Config{Threshold: 1, Theta0: 0.5, Theta1: 0.9}.Validate()
	for _, field := range []string{"threshold", "theta0", "theta1", "max_sources", "max_pairs"} {
		if err == nil || !strings.Contains(err.Error(), field+":") {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
}

func messages(fs []*detectors.Finding) (out []string) {
	for _, f := range fs {
		out = append(out, f.Message)
	}
	return out
}

// TestContactOf reads records that the words of a scenario don't make.
func TestContactOf(t *testing.T) {
	v6 := func(last byte) packet.Addr { return packet.Addr{0: 0xfd, 15: last} }
	v4 := func(last byte) packet.Addr { return packet.AddrFrom4([]byte{10, 0, 0, last}) }
	for _, tt := range []struct {
		name       string
		proto      packet.Proto
		orig, resp packet.Addr
		origPort   uint16
		history    string
		up, down   flows.Counters
		edit       func(*flows.Record)
		want       outcome
		stealth    bool
		ok         bool
	}{
		{"echo over IPv6", packet.ProtoICMPv6, v6(1), v6(2), 128, "", flows.Counters{Packets: 1}, flows.Counters{}, nil, silent, false, true},
		{"neighbour solicitation", packet.ProtoICMPv6, v6(1), v6(2), 135, "", flows.Counters{Packets: 1}, flows.Counters{}, nil, unknown, false, false},
		{"echo to a network's address", packet.ProtoICMP, v4(1), v4(0), 8, "", flows.Counters{Packets: 1}, flows.Counters{}, nil, unknown, false, false},
		{"multicast over IPv6", packet.ProtoTCP, v6(1), packet.Addr{0: 0xff, 1: 2}, 0, "S", flows.Counters{Packets: 1, Flags: packet.SYN}, flows.Counters{}, nil, unknown, false, false},
		{"to itself", packet.ProtoTCP, v4(1), v4(1), 0, "S", flows.Counters{Packets: 1, Flags: packet.SYN}, flows.Counters{}, nil, unknown, false, false},
		{"SYN met an ICMP error", packet.ProtoTCP, v4(1), v4(2), 0, "S", flows.Counters{Packets: 1, Flags: packet.SYN}, flows.Counters{}, func(r *flows.Record) { r.Unreachable = true }, refused, false, true},
		{"evicted before an answer", packet.ProtoTCP, v4(1), v4(2), 0, "S", flows.Counters{Packets: 1, Flags: packet.SYN}, flows.Counters{}, func(r *flows.Record) { r.Evicted = true }, unknown, false, false},
		{"evicted in the last moment that an answer has", packet.ProtoTCP, v4(1), v4(2), 0, "S", flows.Counters{Packets: 1, Flags: packet.SYN}, flows.Counters{}, func(r *flows.Record) { r.Evicted, r.At = true, r.Last+999_999_999 }, unknown, false, false},
		{"evicted when the originator gave it up too", packet.ProtoTCP, v4(1), v4(2), 0, "S", flows.Counters{Packets: 1, Flags: packet.SYN}, flows.Counters{}, func(r *flows.Record) { r.Evicted, r.At = true, r.Last+1_000_000_000 }, silent, false, true},
		{"SYN, then RST, no answer", packet.ProtoTCP, v4(1), v4(2), 0, "SR", flows.Counters{Packets: 2, Flags: packet.SYN | packet.RST}, flows.Counters{}, nil, silent, false, true},
		{"a lone RST", packet.ProtoTCP, v4(1), v4(2), 0, "R", flows.Counters{Packets: 1, Flags: packet.RST}, flows.Counters{}, nil, unknown, false, false},
		{"a lone ACK that met RST", packet.ProtoTCP, v4(1), v4(2), 0, "Ar", flows.Counters{Packets: 1, Flags: packet.ACK}, flows.Counters{Packets: 1, Flags: packet.RST}, nil, unknown, false, false},
		{"a FIN that met data", packet.ProtoTCP, v4(1), v4(2), 0, "Fd", flows.Counters{Packets: 1, Flags: packet.FIN}, flows.Counters{Packets: 1, PayloadBytes: 9, Flags: packet.ACK}, nil, unknown, false, false},
		{"NULL without answer", packet.ProtoTCP, v4(1), v4(2), 0, "", flows.Counters{Packets: 1}, flows.Counters{}, nil, silent, true, true},
		{"GRE", packet.ProtoGRE, v4(1), v4(2), 0, "", flows.Counters{Packets: 1}, flows.Counters{}, nil, unknown, false, false},
	} {
		r := flows.Record{Report: 1, Final: true, HistoryLen: uint8(len(tt.history)), Total: [2]flows.Counters{tt.up, tt.down}}
		copy(r.History[:], tt.history)
		r.Proto, r.Orig, r.Resp, r.OrigPort = tt.proto, tt.orig, tt.resp, tt.origPort
		if tt.edit != nil {
			tt.edit(&r)
		}
		if c, ok := contactOf(&r); ok != tt.ok || ok && (c.outcome != tt.want || c.stealth != tt.stealth) {
			t.Errorf("%s: outcome %d, stealth %v, ok %v", tt.name, c.outcome, c.stealth, ok)
		}
	}
}

// TestOneSidedSensorSaysSo: a scan is seen where most flows show one direction, and the finding says how it was judged.
func TestOneSidedSensorSaysSo(t *testing.T) {
	got := play(t, "0s every 1s times 60 10.0.0.5 -> 10.0.1.#:443 oneway\n2m every 1s times 20 10.0.0.6 -> 10.0.2.#:445 silent")
	if len(got) != 1 || got[0].Actor.Addr.String() != "10.0.0.6" {
		t.Fatalf("%v", messages(got))
	}
	for _, e := range got[0].Evidence {
		if strings.HasPrefix(e.Measure, "flows seen in one direction") && e.Value == 100 {
			return
		}
	}
	t.Errorf("the evidence does not speak of the blind side: %+v", got[0].Evidence)
}

// BenchmarkFlow measures a contact that was met before, and first contacts of a host that is always answered.
// Run: go test -run=- -bench=Flow ./detectors/scan
func BenchmarkFlow(b *testing.B) {
	for _, first := range []bool{false, true} {
		b.Run(fmt.Sprintf("first=%v", first), func(b *testing.B) {
			d, env := New(Default()), &fakeEnv{}
			r := flows.Record{Report: 1, Final: true, HistoryLen: 2}
			copy(r.History[:], "Sh")
			r.Proto, r.Orig, r.RespPort = packet.ProtoTCP, packet.AddrFrom4([]byte{10, 0, 0, 1}), 443
			r.Total[0], r.Total[1] = flows.Counters{Packets: 2}, flows.Counters{Packets: 1}
			for i := 0; b.Loop(); i++ {
				if !first {
					i = 1
				}
				r.Resp = packet.AddrFrom4([]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
				d.Flow(env, &r)
			}
		})
	}
}

// TestMemory measures what spoofed internal sources cost: 40,000 of them, of which 32,768 are kept. The package comment tells the
// bytes of a source that was answered and of one that failed twice.
func TestMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, tt := range []struct {
		name string
		open bool
		most uint64 // bytes a source
	}{{"answered", true, 800}, {"failed", false, 3500}} {
		before := heap()
		d, env := New(Default()), &clock{now: scenario.Start}
		empty := heap() - before
		for k := range 2 {
			for i := range 40_000 {
				env.now = env.now.Add(time.Millisecond)
				d.Flow(env, attemptOf(i, k, env.now, tt.open))
			}
		}
		each := (heap() - before - empty) / uint64(d.internal.Len())
		t.Logf("%s: %d sources, %d bytes each, %.1f MB before the first", tt.name, d.internal.Len(), each, float64(empty)/1e6)
		if d.internal.Len() != 1<<15 || each > tt.most {
			t.Errorf("%s: %d sources of %d bytes", tt.name, d.internal.Len(), each)
		}
	}
}
