package identity_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"neuromast/detectors/scenario"
	"neuromast/flows"
	"neuromast/flows/identity"
	"neuromast/sensor/packet"
)

// seen is a table after a scenario, with what it said.
type seen struct {
	*identity.Table
	changes []string
	records []flows.Record
	names   []string // of Record.Names, in the order of records
}

// play shows a scenario to a new table.
func play(t testing.TB, workers int, text string) *seen {
	t.Helper()
	s := &seen{}
	s.Table = identity.New(identity.Default(), scenario.Internal, func(c *identity.Change) {
		line := fmt.Sprintf("%v %s %s %s", time.Duration(c.At-scenario.Start), []string{"open", "close", "alias", "contested"}[c.Kind], c.Key.Addr, c.Host.ID)
		switch c.Kind {
		case identity.Closed:
			line += fmt.Sprintf(" since %v", time.Duration(c.Interval.From-scenario.Start))
		case identity.Alias, identity.Contested:
			line += " not " + c.Old
			if c.OldNumber != 0 {
				line += fmt.Sprintf(" (%d ends)", c.OldNumber)
			}
		}
		s.changes = append(s.changes, line)
	})
	s.NameRecords()
	err := scenario.Feed(workers, text, func(m *flows.Merged) {
		for i := range m.Order {
			it := &m.Order[i]
			b := m.Batches[it.Batch]
			s.See(b, &it.Item)
			if it.Kind == flows.KindRecord {
				r := b.Records[it.Index]
				s.records = append(s.records, r)
				s.names = append(s.names, b.String(r.Names[flows.Orig])+">"+b.String(r.Names[flows.Resp]))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func key(s string) flows.HostKey {
	var b [4]byte
	if _, err := fmt.Sscanf(s, "%d.%d.%d.%d", &b[0], &b[1], &b[2], &b[3]); err != nil {
		panic(err)
	}
	return flows.HostKey{Addr: packet.AddrFrom4(b[:])}
}

func (s *seen) want(t *testing.T, lines string) {
	t.Helper()
	var want []string
	for l := range strings.Lines(lines) {
		if l = strings.TrimSpace(l); l != "" {
			want = append(want, l)
		}
	}
	if !slices.Equal(s.changes, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(s.changes, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestLeasesMove: 300 clients get another address each morning for three days, and talk in the afternoon. Every interval
// is known to the nanosecond, and every client keeps its number and its id.
func TestLeasesMove(t *testing.T) {
	const clients, days = 300, 3
	slot := func(client, day int) int { return (client*7 + day*13) % clients }
	address := func(slot int) string { return fmt.Sprintf("10.0.%d.%d", 1+slot/100, 10+slot%100) }
	mac := func(c int) string { return fmt.Sprintf("02:00:00:00:%02x:%02x", c/256, c%256) }
	id := func(c int) string { return strings.ToUpper(strings.ReplaceAll(mac(c), ":", "-")) }
	morning := func(client, day int) time.Duration {
		return time.Duration(day)*24*time.Hour + 8*time.Hour + time.Duration(client)*time.Second
	}
	var text strings.Builder
	for d := range days {
		for c := range clients {
			fmt.Fprintf(&text, "%v %s leases %s pc%d\n", morning(c, d), address(slot(c, d)), mac(c), c)
			fmt.Fprintf(&text, "%v %s -> 10.0.9.9:445 open\n", morning(c, d)+6*time.Hour, address(slot(c, d)))
		}
	}
	s := play(t, 1, text.String())

	type interval struct {
		client      int
		from, until time.Duration
	}
	want := map[int][]interval{} // by slot
	for d := range days {
		for c := range clients {
			a := slot(c, d)
			iv := interval{c, morning(c, d), 0}
			if d+1 < days {
				iv.until = morning(c, d+1) // when the client is given another, or
				for o := range clients {   // another client is given this one
					if slot(o, d+1) == a {
						iv.until = min(iv.until, morning(o, d+1))
					}
				}
			}
			want[a] = append(want[a], iv)
		}
	}
	for a, list := range want {
		slices.SortFunc(list, func(x, y interval) int { return int(x.from - y.from) })
		got := s.Intervals(key(address(a)))
		if len(got) != len(list) {
			t.Fatalf("%s: %d intervals %v, want %d", address(a), len(got), got, len(list))
		}
		for i, iv := range list {
			g := got[i]
			until := packet.Time(0)
			if iv.until != 0 {
				until = scenario.Start.Add(iv.until)
			}
			if g.ID != id(iv.client) || g.From != scenario.Start.Add(iv.from) || g.Until != until {
				t.Fatalf("%s, interval %d: %s from %v until %v, want %s %v %v", address(a), i, g.ID, time.Duration(g.From-scenario.Start),
					time.Duration(g.Until-scenario.Start), id(iv.client), iv.from, iv.until)
			}
		}
	}
	numbers := map[string]flows.HostNumber{} // by name
	for i, r := range s.records {
		name, _, _ := strings.Cut(s.names[i], ">")
		if n, ok := numbers[name]; ok && n != r.Hosts[flows.Orig] {
			t.Fatalf("%s was number %d, and is %d", name, n, r.Hosts[flows.Orig])
		}
		numbers[name] = r.Hosts[flows.Orig]
		if d := i / clients; r.Orig != key(address(slot(i%clients, d))).Addr || name != fmt.Sprintf("pc%d", i%clients) {
			t.Fatalf("record %d of %s is said to be from %q", i, r.Orig, name)
		}
	}
	if len(numbers) != clients || s.Stats().Hosts != clients+1 || s.Stats().Contested != 0 {
		t.Errorf("%d names, %+v", len(numbers), s.Stats())
	}
}

// TestRecordsOfTheFormerOwner: a flow whose end is known only after the lease has moved belongs to who had it then.
func TestRecordsOfTheFormerOwner(t *testing.T) {
	s := play(t, 1, `
		0s  10.0.1.20 leases 02:00:00:00:00:01 pc1
		58s 10.0.1.20 -> 10.0.9.9:53 udp          // known a minute later
		60s 10.0.1.20 leases 02:00:00:00:00:02 pc2
		65s 10.0.1.20 -> 10.0.9.9:53 udp`)
	if s.names[0] != "pc1>" && s.names[0] != ">" || s.names[1] != "pc2>" || s.records[0].Hosts[0] == s.records[1].Hosts[0] {
		t.Errorf("names %q, hosts %v and %v", s.names, s.records[0].Hosts, s.records[1].Hosts)
	}
	if h := s.At(key("10.0.1.20"), scenario.Start.Add(59*time.Second)); h.Name != "pc1" {
		t.Errorf("at 59 s: %+v", h)
	}
}

// TestAddressThenName: a host is its address until it proves a name; what was said goes on under that.
func TestAddressThenName(t *testing.T) {
	s := play(t, 1, `
		0s  10.0.1.7 -> 10.0.9.9:445 open
		1m  10.0.1.7 gets 10.0.9.9 krbtgt as WS7$ offers 18 ticket 18
		2m  10.0.1.7 gets 10.0.9.9 krbtgt as alice offers 18 ticket 18
		3m  10.0.9.9 claims FS1.example.net to 10.0.1.7
		4m  10.0.1.7 -> 10.0.9.9:445 open`)
	s.want(t, `
		1s open 10.0.1.7 10.0.1.7
		1s open 10.0.9.9 10.0.9.9
		1m0s alias 10.0.1.7 ws7.example.net not 10.0.1.7`)
	if s.names[1] != "ws7.example.net>fs1.example.net" || s.records[0].Hosts != s.records[1].Hosts {
		t.Errorf("names %q, hosts %v and %v", s.names, s.records[0].Hosts, s.records[1].Hosts)
	}
	if h := s.Now(key("10.0.9.9")); h.ID != "10.0.9.9" || h.NameBy != identity.ByServerName {
		t.Errorf("a claimed name became an id: %+v", h)
	}
}

// TestMovesWithoutLeases: a machine that is seen again elsewhere by its key, after a night, is the same; its flows of the
// first minutes there, when only the address was known, are its own.
func TestMovesWithoutLeases(t *testing.T) {
	s := play(t, 1, `
		0s  10.0.1.7 gets 10.0.9.9 krbtgt as WS7$ offers 18 ticket 18
		9h  10.0.1.8 -> 10.0.9.9:445 open
		10h 10.0.1.8 gets 10.0.9.9 krbtgt as WS7$ offers 18 ticket 18`)
	s.want(t, `
		0s open 10.0.1.7 10.0.1.7
		0s alias 10.0.1.7 ws7.example.net not 10.0.1.7
		9h0m1s open 10.0.1.8 10.0.1.8
		9h0m1s open 10.0.9.9 10.0.9.9
		10h0m0s alias 10.0.1.8 ws7.example.net not 10.0.1.8 (2 ends)
		10h0m0s close 10.0.1.7 ws7.example.net since 0s`)
}

// TestSpoofedNames: who proves or claims another's name while that one is there does not become it.
func TestSpoofedNames(t *testing.T) {
	s := play(t, 1, `
		0s   10.0.1.7 gets 10.0.9.9 krbtgt as WS7$ offers 18 ticket 18
		10m  10.0.1.66 -> 10.0.9.9:445 open
		11m  10.0.1.66 gets 10.0.9.9 krbtgt as WS7$ offers 18 ticket 18
		12m  10.0.1.66 claims ws7.example.net to 10.0.1.9
		20m  10.0.1.7 gets 10.0.9.9 krbtgt as EVIL$ offers 18 ticket 18
		21m  10.0.1.7 gets 10.0.9.9 krbtgt as EVIL2$ offers 18 ticket 18`)
	s.want(t, `
		0s open 10.0.1.7 10.0.1.7
		0s alias 10.0.1.7 ws7.example.net not 10.0.1.7
		10m1s open 10.0.1.66 10.0.1.66
		10m1s open 10.0.9.9 10.0.9.9
		11m0s contested 10.0.1.66 10.0.1.66 not ws7.example.net
		20m0s contested 10.0.1.7 ws7.example.net not evil.example.net
		21m0s contested 10.0.1.7 ws7.example.net not evil2.example.net`)
	if s.Now(key("10.0.1.7")).Shared || s.Stats().Contested != 3 {
		t.Errorf("%+v", s.Stats())
	}
}

// TestTwoHostsOfOneName: equal names that hosts give themselves join nothing.
func TestTwoHostsOfOneName(t *testing.T) {
	s := play(t, 1, `
		0s 10.0.1.7 leases 02:00:00:00:00:07 desktop
		1s 10.0.1.8 leases 02:00:00:00:00:08 desktop
		2s 10.0.1.7 claims DESKTOP to 10.0.1.9
		3s 10.0.1.8 claims DESKTOP to 10.0.1.9`)
	a, b := s.Now(key("10.0.1.7")), s.Now(key("10.0.1.8"))
	if a.Number == b.Number || a.Name != "desktop" || b.Name != "desktop" || a.ID != "02-00-00-00-00-07" || b.ID != "02-00-00-00-00-08" {
		t.Errorf("%+v and %+v", a, b)
	}
}

// TestHardwareChanges: a forged ARP answer changes nothing while the true one is there or its lease runs; a new network
// card, an hour after the old one was silent, is another host.
func TestHardwareChanges(t *testing.T) {
	s := play(t, 1, `
		0s   10.0.1.1 arps 02:00:00:00:00:01
		30m  10.0.1.1 arps 02:00:00:00:00:66
		31m  10.0.1.1 arps 02:00:00:00:00:01
		95m  10.0.1.1 arps 02:00:00:00:00:02
		96m  10.0.1.20 leases 02:00:00:00:00:20 pc
		5h   10.0.1.20 arps 02:00:00:00:00:66
		11h  10.0.1.20 arps 02:00:00:00:00:66`)
	s.want(t, `
		0s open 10.0.1.1 10.0.1.1
		0s alias 10.0.1.1 02-00-00-00-00-01 not 10.0.1.1
		30m0s contested 10.0.1.1 02-00-00-00-00-01 not 02-00-00-00-00-66
		1h35m0s close 10.0.1.1 02-00-00-00-00-01 since 0s
		1h35m0s open 10.0.1.1 10.0.1.1
		1h35m0s alias 10.0.1.1 02-00-00-00-00-02 not 10.0.1.1
		1h36m0s open 10.0.1.20 10.0.1.20
		1h36m0s alias 10.0.1.20 02-00-00-00-00-20 not 10.0.1.20
		5h0m0s contested 10.0.1.20 02-00-00-00-00-20 not 02-00-00-00-00-66
		11h0m0s close 10.0.1.20 02-00-00-00-00-20 since 1h36m0s
		11h0m0s open 10.0.1.20 10.0.1.20
		11h0m0s alias 10.0.1.20 02-00-00-00-00-66 not 10.0.1.20`)
}

// TestOneMachineTwoCards: a notebook in its dock has another hardware address; its key tells that it is the same.
func TestOneMachineTwoCards(t *testing.T) {
	s := play(t, 1, `
		0s  10.0.1.20 leases 02:00:00:00:00:01 nb
		1m  10.0.1.20 gets 10.0.9.9 krbtgt as NB$ offers 18 ticket 18
		3h  10.0.1.30 leases 02:00:00:00:00:02 nb
		181m 10.0.1.30 gets 10.0.9.9 krbtgt as NB$ offers 18 ticket 18
		6h  10.0.1.20 leases 02:00:00:00:00:01 nb`)
	s.want(t, `
		0s open 10.0.1.20 10.0.1.20
		0s alias 10.0.1.20 02-00-00-00-00-01 not 10.0.1.20
		3h0m0s open 10.0.1.30 10.0.1.30
		3h0m0s alias 10.0.1.30 02-00-00-00-00-02 not 10.0.1.30
		3h1m0s alias 10.0.1.30 02-00-00-00-00-01 not 02-00-00-00-00-02 (2 ends)
		3h1m0s close 10.0.1.20 02-00-00-00-00-01 since 0s
		6h0m0s open 10.0.1.20 02-00-00-00-00-01`)
}

// TestReleaseAndRenewal: a release ends the interval; who asks for the address that it has is who had it.
func TestReleaseAndRenewal(t *testing.T) {
	s := play(t, 1, `
		0s  10.0.1.20 -> 10.0.9.9:445 open
		5s  10.0.1.20 leases 02:00:00:00:00:01 pc again
		4h  10.0.1.20 leases 02:00:00:00:00:01 pc again
		5h  10.0.1.20 leases 02:00:00:00:00:02 released   // not the one who has it
		6h  10.0.1.20 leases 02:00:00:00:00:01 released
		7h  10.0.1.20 -> 10.0.9.9:445 open
		8h  10.0.1.20 leases 02:00:00:00:00:03 other`)
	s.want(t, `
		1s open 10.0.1.20 10.0.1.20
		1s open 10.0.9.9 10.0.9.9
		5s alias 10.0.1.20 02-00-00-00-00-01 not 10.0.1.20
		6h0m0s close 10.0.1.20 02-00-00-00-00-01 since 1s
		7h0m1s open 10.0.1.20 10.0.1.20
		8h0m0s close 10.0.1.20 10.0.1.20 since 7h0m1s
		8h0m0s open 10.0.1.20 10.0.1.20
		8h0m0s alias 10.0.1.20 02-00-00-00-00-03 not 10.0.1.20`)
}

// TestManyMachinesAtOneAddress: three names that are contested say that a router translates there.
func TestManyMachinesAtOneAddress(t *testing.T) {
	s := play(t, 1, `
		0s every 1m times 20 10.0.1.7 gets 10.0.9.9 krbtgt as WS#$ offers 18 ticket 18`)
	if h := s.Now(key("10.0.1.7")); !h.Shared || h.ID != "ws0.example.net" || s.Stats().Contested != 19 {
		t.Errorf("%+v %+v", h, s.Stats())
	}
}

// TestWorkersDontMatter holds that the changes are the same for any number of workers.
func TestWorkersDontMatter(t *testing.T) {
	text := `
		0s every 20m times 30 10.0.1.#+7 leases 02:00:00:00:00:07 pc
		10s every 31m times 30 10.0.1.#+10 gets 10.0.9.9 krbtgt as WS7$ offers 18 ticket 18
		20s every 7m times 100 10.0.1.#+7 -> 10.0.9.9:445 open
		30s every 45m times 20 10.0.1.#+9 arps 02:00:00:00:00:07`
	want := play(t, 1, text).changes
	if len(want) < 100 {
		t.Fatalf("only %d changes", len(want))
	}
	for _, n := range []int{2, 8} {
		if got := play(t, n, text).changes; !slices.Equal(got, want) {
			t.Errorf("%d workers see other changes than 1", n)
		}
	}
}

// TestMemoryIsBounded: 300,000 spoofed senders push each other out, not the hosts that come again.
func TestMemoryIsBounded(t *testing.T) {
	cfg := identity.Default()
	cfg.MaxHosts = 4096
	table := identity.New(cfg, scenario.Internal, nil)
	at := scenario.Start
	show := func(a packet.Addr) flows.HostNumber {
		b := &flows.Batch{Records: []flows.Record{{Conn: flows.Conn{Orig: a, Resp: key("10.0.9.9").Addr}, Last: at}}}
		b.Records[0].Total[flows.Orig].Packets = 1
		at = at.Add(time.Millisecond)
		table.See(b, &flows.Item{At: at, Kind: flows.KindRecord})
		return b.Records[0].Hosts[flows.Orig]
	}
	first := show(key("10.0.1.7").Addr)
	at = at.Add(time.Hour)
	var before, after runtime.MemStats
	for i := range 300_000 {
		if i%3_000 == 0 {
			if n := show(key("10.0.1.7").Addr); n != first {
				t.Fatalf("after %d senders the host that comes again has number %d, not %d", i, n, first)
			}
		}
		if i == 50_000 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
		show(packet.AddrFrom4([]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	s := table.Stats()
	if s.Hosts != 4096 || s.Addresses != 4096 || s.Evicted < 290_000 {
		t.Errorf("%+v", s)
	}
	t.Logf("%d bytes for each of %d hosts", after.HeapAlloc/4096, s.Hosts)
	runtime.KeepAlive(table)
}

// BenchmarkRecord: go test -bench . ./flows/identity
func BenchmarkRecord(b *testing.B) {
	table := identity.New(identity.Default(), scenario.Internal, nil)
	batch := &flows.Batch{Records: make([]flows.Record, 10_000)}
	for i := range batch.Records {
		r := &batch.Records[i]
		r.Orig, r.Resp = packet.AddrFrom4([]byte{10, 0, byte(i >> 8), byte(i)}), key("10.1.9.9").Addr
		r.Total[0].Packets, r.Total[1].Packets = 1, 1
		r.OrigMAC, r.RespMAC = packet.MAC{2, 1}, packet.MAC{2, 2}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		batch.Records[i%10_000].Last = packet.Time(i) * 1000
		table.See(batch, &flows.Item{At: packet.Time(i) * 1000, Index: uint32(i % 10_000), Kind: flows.KindRecord})
		i++
	}
}

// TestRequestsCompleteTheirACK: servers leave out what the client said of itself; a client that asks for the address it
// had (no server named) is who had it, one that takes an offer is somebody new there.
func TestRequestsCompleteTheirACK(t *testing.T) {
	addr := key("10.0.1.20").Addr
	for _, c := range []struct {
		name   string
		server packet.Addr // option 54 of the request
		client []byte      // option 61
		id     string
		same   bool // the number of the address is kept
	}{
		{"takes an offer", key("10.0.0.1").Addr, nil, "02-00-00-00-00-01", false},
		{"had it before", packet.Addr{}, nil, "02-00-00-00-00-01", true},
		{"has an identifier of its own", packet.Addr{}, []byte{0xff, 1, 2, 3}, "dhcp-ff010203", true},
		{"identifier is its address", packet.Addr{}, []byte{1, 2, 0, 0, 0, 0, 1}, "02-00-00-00-00-01", true},
		{"identifier of boot firmware", packet.Addr{}, []byte{0, 9, 9, 9}, "02-00-00-00-00-01", true},
	} {
		table := identity.New(identity.Default(), scenario.Internal, nil)
		b := &flows.Batch{Records: make([]flows.Record, 1), DHCP: make([]flows.DHCP, 2)}
		r := &b.Records[0]
		r.Orig, r.Resp, r.Last = addr, key("10.0.9.9").Addr, scenario.Start
		r.Total[flows.Orig].Packets = 1
		table.See(b, &flows.Item{At: scenario.Start, Kind: flows.KindRecord})
		before := table.Number(key("10.0.1.20"))

		mac := packet.MAC{2, 0, 0, 0, 0, 1}
		b.DHCP[0] = flows.DHCP{Kind: flows.DHCPRequest, Xid: 7, Hardware: mac, Requested: addr, Server: c.server, ClientID: b.Put(c.client), HostName: b.Put([]byte("PC-7"))}
		b.DHCP[1] = flows.DHCP{Kind: flows.DHCPAck, Xid: 7, Hardware: mac, Yours: addr, Server: key("10.0.0.1").Addr, Lease: 3600}
		table.See(b, &flows.Item{At: scenario.Start.Add(time.Second), Kind: flows.KindDHCP, Index: 0})
		table.See(b, &flows.Item{At: scenario.Start.Add(time.Second), Kind: flows.KindDHCP, Index: 1})
		h := table.Now(key("10.0.1.20"))
		if h.ID != c.id || h.Name != "pc-7" || (h.Number == before) != c.same || h.MAC != mac || !h.HasLease() {
			t.Errorf("%s: %+v, number was %d", c.name, h, before)
		}
	}
}

// TestOwnNames: multicast DNS and NetBIOS answers name their sender; an answer with another's address names nobody.
func TestOwnNames(t *testing.T) {
	s := play(t, 1, "0s 10.0.1.7 -> 10.0.9.9:445 open\n0s 10.0.1.8 -> 10.0.9.9:445 open")
	for i, from := range []string{"10.0.1.7", "10.0.1.8"} {
		b := &flows.Batch{}
		b.Answers = []flows.Answer{{Name: b.Put([]byte("\x06LAPTOP\x05local\x00")), Data: b.Put([]byte("10.0.1.7")), Type: 1}}
		b.DNS = []flows.DNS{{Conn: flows.Conn{Orig: key(from).Addr, Resp: key("224.0.0.251").Addr}, App: flows.AppMDNS, AnswerAt: 1, Answers: flows.Span{Len: 1}}}
		s.See(b, &flows.Item{At: scenario.Start.Add(time.Minute), Kind: flows.KindDNS})
		if h := s.Now(key(from)); i == 0 && (h.Name != "laptop.local" || h.NameBy != identity.ByOwnName || h.ID != from) || i == 1 && h.Name != "" {
			t.Errorf("%s: %+v", from, h)
		}
	}
}
