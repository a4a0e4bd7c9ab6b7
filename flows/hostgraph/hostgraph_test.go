package hostgraph_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"neuromast/detectors/scenario"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/identity"
	"neuromast/sensor/packet"
)

// site is a graph under test, with the table of hosts that it stands on.
type site struct {
	t     testing.TB
	hosts *identity.Table
	graph *hostgraph.Graph
	roles map[string]string
	conns uint64
}

func newSite(t testing.TB, cfg hostgraph.Config) *site {
	s := &site{t: t, roles: map[string]string{}}
	s.hosts = identity.New(identity.Default(), scenario.Internal, func(c *identity.Change) { s.graph.Changed(c) })
	s.graph = hostgraph.New(cfg, s.hosts, func(a packet.Addr) string { return s.roles[a.String()] })
	return s
}

func (s *site) feed(m *flows.Merged) {
	for i := range m.Order {
		b, it := m.Batches[m.Order[i].Batch], &m.Order[i].Item
		s.hosts.See(b, it)
		s.graph.See(b, it)
	}
}

func (s *site) play(workers int, text string) *site {
	s.t.Helper()
	if err := scenario.Feed(workers, text, s.feed); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// flow is one connection of which the server sends something.
type flow struct {
	at       time.Duration
	from, to string
	port     uint16
	app      flows.App
	up, down uint64
}

func (s *site) see(f flow) {
	s.conns++
	at := scenario.Start.Add(f.at)
	r := flows.Record{
		Conn: flows.Conn{ID: s.conns, Start: at, Orig: key(f.from).Addr, Resp: key(f.to).Addr, OrigPort: 50000, RespPort: f.port, Proto: packet.ProtoTCP},
		Last: at.Add(time.Second), App: f.app, State: flows.SF, Final: true, Report: 1, Side: -1,
	}
	r.Total = [2]flows.Counters{{Packets: 5, PayloadBytes: max(f.up, 1)}, {Packets: 5, PayloadBytes: max(f.down, 1)}}
	r.Delta = r.Total
	b := &flows.Batch{Records: []flows.Record{r}}
	it := flows.Item{At: at.Add(2 * time.Second), Kind: flows.KindRecord}
	s.hosts.See(b, &it)
	s.graph.See(b, &it)
}

func key(s string) flows.HostKey {
	var b [4]byte
	if _, err := fmt.Sscanf(s, "%d.%d.%d.%d", &b[0], &b[1], &b[2], &b[3]); err != nil {
		panic(err)
	}
	return flows.HostKey{Addr: packet.AddrFrom4(b[:])}
}

func (s *site) number(a string) flows.HostNumber { return s.hosts.Number(key(a)) }

func (s *site) role(a string, want hostgraph.Role) {
	s.t.Helper()
	if got := s.graph.Role(s.number(a)); got != want {
		s.t.Errorf("%s is %s (%s), want %s", a, got, s.graph.Why(s.number(a)), want)
	} else {
		s.t.Logf("%s is %s: %s", a, got, s.graph.Why(s.number(a)))
	}
}

// dump writes the graph in an order of its own.
func (s *site) dump() string {
	var lines []string
	for n := range s.graph.Hosts {
		p, _ := s.graph.Profile(n)
		lines = append(lines, fmt.Sprintf("%s %+v", p.ID, p))
		s.graph.Out(n, func(e hostgraph.Edge) bool {
			lines = append(lines, fmt.Sprintf("%s %+v", p.ID, e))
			return true
		})
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestEdge works out an edge by hand. Start is Tuesday, 14 November 2023, 22:13:20 UTC: hour 46 of its week.
func TestEdge(t *testing.T) {
	s := newSite(t, hostgraph.Default()).play(1, `
		0s  10.0.0.5 -> 10.0.0.9:22 silent     // makes no edge
		20s 10.0.0.5 -> 10.0.0.9:22 open
		1m  10.0.0.5 -> 10.0.0.9:22 refused    // known to fail
		49h 10.0.0.5 -> 10.0.0.9:22 open       // two days later, hour 95
		50h 10.0.0.9 -> 10.0.0.5:22 half       // answered without content
		51h 10.0.0.5 -> 8.8.8.8:53 udp         // outside`)
	e, ok := s.graph.Find(s.number("10.0.0.5"), s.number("10.0.0.9"), hostgraph.SSH)
	if !ok || s.graph.Stats().Edges != 1 {
		t.Fatalf("%+v %+v", e, s.graph.Stats())
	}
	if e.First != scenario.Start.Add(20*time.Second) || e.Last != scenario.Start.Add(49*time.Hour) || e.Connections != 2 || e.Failed != 1 ||
		e.Up != 800 || e.Down != 8000 || e.Days != 0b101 || e.ActiveDays() != 2 {
		t.Errorf("%+v", e)
	}
	if !e.In(scenario.Start) || !e.In(scenario.Start.Add(49*time.Hour)) || e.In(scenario.Start.Add(time.Hour)) || e.Hours[46/8] != 1<<(46%8) {
		t.Errorf("hours %x", e.Hours)
	}
	p, _ := s.graph.Profile(e.Client)
	if p.Initiated != 3 || p.Outside != 1 || p.Failed != 2 || p.OutEdges != 1 || p.ActiveDays != 3 {
		t.Errorf("%+v", p)
	}
	if hostgraph.SSH.String() != "ssh" || !hostgraph.SSH.Admin() || hostgraph.DNS.Admin() {
		t.Error("services")
	}
}

// TestServices names services by content before ports.
func TestServices(t *testing.T) {
	s := newSite(t, hostgraph.Default())
	for i, c := range []struct {
		port uint16
		app  flows.App
		want string
	}{
		{22, 0, "ssh"}, {2222, flows.AppSSH, "ssh"}, {443, flows.AppSSH, "ssh"}, {443, flows.AppTLS, "https"}, {5986, flows.AppTLS, "winrm"},
		{5985, flows.AppHTTP, "winrm"}, {8000, flows.AppHTTP, "http"}, {3389, flows.AppTLS, "rdp"}, {49670, flows.AppDCERPC, "rpc"}, {4444, 0, "tcp/4444"},
		{51000, 0, "tcp/high"}, {445, flows.AppSMB, "smb"}, {636, flows.AppTLS, "ldap"}, {514, 0, "rsh"},
	} {
		s.see(flow{at: time.Duration(i) * time.Second, from: "10.0.0.5", to: "10.0.0.9", port: c.port, app: c.app})
		got := ""
		s.graph.Out(s.number("10.0.0.5"), func(e hostgraph.Edge) bool {
			if e.Last == scenario.Start.Add(time.Duration(i+1)*time.Second) {
				got = e.Service.String()
			}
			return true
		})
		if got != c.want {
			t.Errorf("port %d, content %s: %q, want %q", c.port, c.app, got, c.want)
		}
		if p, ok := hostgraph.ParseService(c.want); !ok || p.String() != c.want {
			t.Errorf("%q is read back as %v", c.want, p)
		}
	}
}

// TestLeasesMakeNoEdges: fifty clients change their addresses every morning; their edges stay as many.
func TestLeasesMakeNoEdges(t *testing.T) {
	var text strings.Builder
	for d := range 5 {
		for c := range 50 {
			at := time.Duration(d)*24*time.Hour + 10*time.Hour + time.Duration(c)*time.Second
			a := fmt.Sprintf("10.0.1.%d", 20+(c*7+d*11)%50)
			fmt.Fprintf(&text, "%v %s leases 02:00:00:00:00:%02x pc%d\n%v %s -> 10.0.0.9:445 open\n", at, a, c, c, at+time.Hour, a)
		}
	}
	s := newSite(t, hostgraph.Default()).play(1, text.String())
	if st := s.graph.Stats(); st.Edges != 50 || st.Hosts != 51 {
		t.Errorf("%+v", st)
	}
	s.graph.In(s.number("10.0.0.9"), func(e hostgraph.Edge) bool {
		if e.Connections != 5 || e.ActiveDays() != 5 {
			t.Errorf("%+v", e)
		}
		return true
	})
	s.role("10.0.0.9", hostgraph.FileServer)
}

// TestMerge: what a host did while only its address was known is its own.
func TestMerge(t *testing.T) {
	s := newSite(t, hostgraph.Default()).play(1, `
		0s  10.0.1.7 gets 10.0.9.9 krbtgt as WS7$ offers 18 ticket 18
		1m  10.0.1.7 -> 10.0.9.9:445 open
		2m  10.0.1.7 -> 10.0.9.9:22 open
		9h  10.0.1.8 -> 10.0.9.9:445 open
		9h1m 10.0.9.9 -> 10.0.1.8:3389 open
		10h 10.0.1.8 gets 10.0.9.9 krbtgt as WS7$ offers 18 ticket 18
		11h 10.0.1.8 -> 10.0.9.9:445 open`)
	n, dc := s.number("10.0.1.8"), s.number("10.0.9.9")
	e, ok := s.graph.Find(n, dc, hostgraph.SMB)
	if !ok || e.Connections != 3 || e.First != scenario.Start.Add(time.Minute) || s.graph.Stats().Edges != 3 || s.graph.Stats().Merged != 1 || s.graph.Len() != 2 {
		t.Errorf("%+v, %+v, %d hosts", e, s.graph.Stats(), s.graph.Len())
	}
	if !s.graph.Has(dc, n, hostgraph.RDP) {
		t.Error("the edge to the host is lost")
	}
	r := s.graph.Rarity(n, dc, hostgraph.SMB)
	if r.Servers != 1 || r.Clients != 1 || r.All != 3 || r.Opened != 2 {
		t.Errorf("%+v", r)
	}
}

// TestFacts: shares, users and what was run decide what an edge is.
func TestFacts(t *testing.T) {
	s := newSite(t, hostgraph.Default())
	at := scenario.Start
	show := func(b *flows.Batch, kind flows.Kind) {
		at = at.Add(time.Second)
		it := flows.Item{At: at, Kind: kind}
		s.hosts.See(b, &it)
		s.graph.See(b, &it)
	}
	conn := flows.Conn{ID: 1 << 40, Start: at, Orig: key("10.0.0.5").Addr, Resp: key("10.0.0.9").Addr, OrigPort: 50000, RespPort: 445, Proto: packet.ProtoTCP}
	b := &flows.Batch{}
	b.SMB = []flows.SMB{{Conn: conn, Op: flows.SMBTree, Answered: true, Share: b.Put([]byte(`\\fs1\ADMIN$`)), User: b.Put([]byte(`CORP\Alice`))}}
	show(b, flows.KindSMB)
	svcctl, _ := flows.ParseUUID("367abb81-9844-35f1-ad32-98f038001003")
	b = &flows.Batch{}
	b.RPC = []flows.RPC{{Conn: conn, Interface: svcctl, Opnum: 12, Outcome: flows.Succeeded, User: b.Put([]byte(`corp\alice`))}}
	b.RPC[0].At = at
	show(b, flows.KindRPC)
	r := flows.Record{Conn: conn, Last: at, App: flows.AppSMB, Report: 1, Side: -1}
	r.Total = [2]flows.Counters{{Packets: 5, PayloadBytes: 9}, {Packets: 5, PayloadBytes: 9}}
	r.Delta = r.Total
	b = &flows.Batch{Records: []flows.Record{r}}
	s.hosts.See(b, &flows.Item{At: at})
	if c, d, v, ok := s.graph.ServiceOf(&b.Records[0]); !ok || v != hostgraph.AdminShare || c != s.number("10.0.0.5") || d != s.number("10.0.0.9") {
		t.Errorf("%v %v %v %v", c, d, v, ok)
	}
	show(b, flows.KindRecord)
	e, ok := s.graph.Find(s.number("10.0.0.5"), s.number("10.0.0.9"), hostgraph.AdminShare)
	if !ok || e.Op != hostgraph.OpSvc || len(e.Users) != 1 || e.Users[0].Name != `corp\alice` || e.MoreUsers {
		t.Errorf("%v %+v", ok, e)
	}
	for user, want := range map[string]bool{`CORP\alice`: true, "alice": true, `corp.example.net\alice`: true, `OTHER\alice`: false, "bob": false} {
		if got := s.graph.UserSeen(e.Client, user); got != want {
			t.Errorf("%s seen: %v", user, got)
		}
	}
}

// TestRolesOfAnOffice: what a day shows.
func TestRolesOfAnOffice(t *testing.T) {
	s := newSite(t, hostgraph.Default())
	s.roles["10.0.0.77"] = "vulnerability scanner"
	for c := range 12 {
		ws := fmt.Sprintf("10.0.1.%d", 10+c)
		for i := range 12 {
			at := time.Duration(i)*time.Minute + time.Duration(c)*time.Second
			s.see(flow{at, ws, "10.0.0.1", 88, flows.AppKerberos, 200, 900})
			s.see(flow{at, ws, "10.0.0.1", 389, flows.AppLDAP, 200, 900})
			s.see(flow{at, ws, "10.0.0.1", 445, flows.AppSMB, 200, 900})
			s.see(flow{at, ws, "10.0.0.2", 445, flows.AppSMB, 200, 90000})
			s.see(flow{at, ws, "10.0.0.3", 1433, flows.AppTDS, 200, 900})
			s.see(flow{at, ws, "10.0.0.4", 443, flows.AppTLS, 200, 900})
			s.see(flow{at, ws, "10.0.0.5", 9100, 0, 20000, 9})
			s.see(flow{at, ws, "10.0.0.6", 25, flows.AppSMTP, 2000, 90})
			s.see(flow{at, ws, "10.0.0.7", 53, flows.AppDNS, 20, 90})
			s.see(flow{at, ws, "10.0.0.8", 3128, flows.AppHTTP, 200, 9000})
			s.see(flow{at, "10.0.0.7", "9.9.9.9", 53, flows.AppDNS, 20, 90})
		}
	}
	s.see(flow{time.Hour, "10.0.0.77", "10.0.0.2", 445, 0, 1, 1})
	s.role("10.0.0.1", hostgraph.DomainController)
	s.role("10.0.0.2", hostgraph.FileServer)
	s.role("10.0.0.3", hostgraph.DatabaseServer)
	s.role("10.0.0.4", hostgraph.WebServer)
	s.role("10.0.0.5", hostgraph.PrintServer)
	s.role("10.0.0.6", hostgraph.MailServer)
	s.role("10.0.0.7", hostgraph.Resolver)
	s.role("10.0.0.8", hostgraph.Gateway)
	s.role("10.0.1.10", hostgraph.Workstation)
	s.role("10.0.0.77", hostgraph.Scanner)
}

// TestRolesOfAWeek: what needs days. On the first, none of them is there.
func TestRolesOfAWeek(t *testing.T) {
	s := newSite(t, hostgraph.Default())
	for d := range 7 {
		for h := range 24 {
			at := time.Duration(d)*24*time.Hour + time.Duration(h)*time.Hour
			for i := range 30 {
				to := fmt.Sprintf("10.0.2.%d", 10+i)
				s.see(flow{at, "10.0.0.1", to, 5985, flows.AppHTTP, 500, 3000}) // monitoring
				switch h {
				case 2:
					s.see(flow{at + time.Minute, "10.0.0.2", to, 10001, 0, 5000, 2e8}) // backup
				case 3:
					s.see(flow{at + time.Minute, "10.0.0.3", to, 445, flows.AppSMB, 5e6 + uint64(i)*1000, 5000}) // deployment
				case 10:
					if i < 4 {
						s.see(flow{at + time.Minute, fmt.Sprintf("10.0.1.%d", 10+i), "10.0.0.4", 3389, flows.AppRDP, 5000, 5000})
					}
					if i < 15 {
						s.see(flow{at + 2*time.Minute, "10.0.0.4", to, 3389, flows.AppRDP, uint64(5000 * (1 + i*i)), 5000}) // jump host
						s.see(flow{at + 2*time.Minute, "10.0.1.99", to, 22, flows.AppSSH, uint64(500 * (1 + i*i)), 5000})   // administrator
					}
				}
			}
			if h == 4 {
				for i := range 60 { // scanner
					s.conns++
					r := flows.Record{
						Conn: flows.Conn{ID: s.conns, Orig: key("10.0.0.5").Addr, Resp: key(fmt.Sprintf("10.0.3.%d", i)).Addr, RespPort: 22, Proto: packet.ProtoTCP},
						Last: scenario.Start.Add(at), State: flows.S0, Final: true, Report: 1, Side: -1,
					}
					r.Total[0].Packets = 1
					b := &flows.Batch{Records: []flows.Record{r}}
					it := flows.Item{At: r.Last, Kind: flows.KindRecord}
					s.hosts.See(b, &it)
					s.graph.See(b, &it)
				}
				s.see(flow{at + time.Minute, "10.0.0.5", "10.0.2.11", 22, flows.AppSSH, 50, 50})
			}
		}
		if d == 0 {
			for _, a := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.1.99"} {
				if r := s.graph.Role(s.number(a)); r.WideByTrade() {
					t.Errorf("%s is %s after a day", a, r)
				}
			}
		}
	}
	s.role("10.0.0.1", hostgraph.Monitoring)
	s.role("10.0.0.2", hostgraph.Backup)
	s.role("10.0.0.3", hostgraph.Deployment)
	s.role("10.0.0.4", hostgraph.JumpHost)
	s.role("10.0.0.5", hostgraph.Scanner)
	s.role("10.0.1.99", hostgraph.Administrator)
}

// TestRarity works the numbers of a new edge out by hand: ten workstations use one file server; one of them reaches
// another workstation by RDP, as nobody did before.
func TestRarity(t *testing.T) {
	s := newSite(t, hostgraph.Default())
	for c := range 10 {
		for i := range 12 {
			s.see(flow{time.Duration(i) * time.Minute, fmt.Sprintf("10.0.1.%d", 10+c), "10.0.0.2", 445, flows.AppSMB, 200, 900})
		}
	}
	a, b, fs := s.number("10.0.1.10"), s.number("10.0.1.11"), s.number("10.0.0.2")
	r := s.graph.Rarity(a, b, hostgraph.RDP)
	if r.Pair != 0 || r.All != 10 || r.Kinds != 1 || r.PairShare != 0.5/10.5 || r.Opened != 0 || r.ClientDays != 1 || r.RoleRate != 0 || r.Servers != 0 || r.Clients != 0 ||
		r.ClientRole != hostgraph.Workstation || r.ServerRole != hostgraph.Workstation {
		t.Errorf("%+v", r)
	}
	// One chance in 8 days of 12 edges that a client opens what nobody ever did; the only server there would be.
	if want := -math.Log(1.0 / 8 / 12 * 1); math.Abs(r.Surprise-want) > 1e-9 {
		t.Errorf("surprise %v, want %v", r.Surprise, want)
	}
	r = s.graph.Rarity(a, fs, hostgraph.SMB) // ten edges opened in ten days of hosts: one a day each
	want := -math.Log((1 + 7*1.0) / (1 + 7) * (10.5 / 10.5))
	if r.Pair != 10 || r.RoleRate != 1 || r.FromRole != 10 || r.FromRoleAll != 10 || r.Servers != 1 || r.Clients != 10 || math.Abs(r.Surprise-want) > 1e-9 {
		t.Errorf("%+v, want surprise %v", r, want)
	}
	if u, of := s.graph.Peers(a, fs, hostgraph.SMB); u != 9 || of != 9 {
		t.Errorf("%d of %d peers", u, of)
	}
	if n := s.graph.Newcomers(fs, hostgraph.SMB, scenario.Start, 100); n != 10 {
		t.Errorf("%d newcomers", n)
	}
}

// TestPrevalence counts who goes to a destination.
func TestPrevalence(t *testing.T) {
	s := newSite(t, hostgraph.Default())
	for c := range 20 {
		s.see(flow{time.Duration(c) * time.Minute, fmt.Sprintf("10.0.1.%d", 10+c), "93.184.216.34", 443, flows.AppTLS, 1, 1})
		if c < 2 {
			s.see(flow{time.Duration(c) * time.Minute, fmt.Sprintf("10.0.1.%d", 10+c), "198.51.100.7", 443, flows.AppTLS, 1, 1})
		}
	}
	for a, want := range map[string]float64{"93.184.216.99": 1, "198.51.100.1": 0.1, "203.0.113.1": 0} {
		if got := s.graph.Prevalence(key(a).Addr).Share(); got != want {
			t.Errorf("%s: %v, want %v", a, got, want)
		}
	}
}

// TestBounds: the least recently used edge goes first, a hub stays a hub, what is not used for long goes.
func TestBounds(t *testing.T) {
	cfg := hostgraph.Config{MaxEdges: 1000, MaxHosts: 2000, OutEdges: 100, TTL: 45 * 24 * time.Hour}
	s := newSite(t, cfg)
	for i := range 5000 {
		s.see(flow{time.Duration(i) * time.Second, fmt.Sprintf("10.1.%d.%d", i/250, i%250), "10.0.0.9", 445, flows.AppSMB, 1, 1})
	}
	for i := range 300 {
		s.see(flow{2*time.Hour + time.Duration(i)*time.Second, "10.0.0.66", fmt.Sprintf("10.2.%d.%d", i/250, i%250), 445, flows.AppSMB, 1, 1})
	}
	st := s.graph.Stats()
	if st.Edges != 1000 || st.Evicted+st.HostsEvicted == 0 || st.Hosts > 2000 || st.Hub != 200 {
		t.Errorf("%+v", st)
	}
	p, _ := s.graph.Profile(s.number("10.0.0.66"))
	if !p.Hub || p.OutEdges != 100 || math.Abs(p.Beyond-200) > 20 {
		t.Errorf("%+v", p)
	}
	if !s.graph.Has(s.number("10.1.19.249"), s.number("10.0.0.9"), hostgraph.SMB) {
		t.Error("the newest edge is gone")
	}
	s.see(flow{50 * 24 * time.Hour, "10.0.0.5", "10.0.0.9", 445, flows.AppSMB, 1, 1})
	if st := s.graph.Stats(); st.Edges != 1 || st.Expired != 1000 {
		t.Errorf("%+v", st)
	}
	r := s.graph.Rarity(s.number("10.0.0.5"), s.number("10.0.0.9"), hostgraph.SMB)
	if r.All != 1 || r.Servers != 1 || r.Clients != 1 || r.Kinds != 1 {
		t.Errorf("sums did not follow: %+v", r)
	}
}

// TestHostsEvicted: profiles that the bound pushes out take their edges and their part of the sums along.
func TestHostsEvicted(t *testing.T) {
	s := newSite(t, hostgraph.Config{MaxEdges: 10000, MaxHosts: 64, OutEdges: 100, TTL: 45 * 24 * time.Hour})
	for i := range 3000 {
		s.see(flow{time.Duration(i) * time.Second, fmt.Sprintf("10.1.%d.%d", i/250, i%250), fmt.Sprintf("10.2.0.%d", i%7), 445, flows.AppSMB, 1, 1})
	}
	st := s.graph.Stats()
	edges := 0
	for n := range s.graph.Hosts {
		s.graph.Out(n, func(e hostgraph.Edge) bool {
			edges++
			return true
		})
	}
	r := s.graph.Rarity(s.number("10.1.11.249"), s.number("10.2.0.1"), hostgraph.SMB)
	if st.Hosts != 64 || st.Edges != edges || edges > 64 || r.All != edges || r.Servers != 7 {
		t.Errorf("%+v, %d edges walked, %+v", st, edges, r)
	}
}

// TestWorkersDontMatter holds that the graph is the same for any number of workers.
func TestWorkersDontMatter(t *testing.T) {
	text := `
		0s every 40m times 80 10.0.1.#+7 leases 02:00:00:00:00:07 pc
		20s every 3m times 200 10.0.1.#+7 -> 10.0.9.9:445 open
		25s every 7m times 200 10.0.2.#+7 -> 10.0.9.9:22 open
		30s every 9m times 200 10.0.9.9 -> 10.0.2.#+7:3389 open
		40s every 31m times 60 10.0.1.#+10 gets 10.0.9.9 krbtgt as WS7$ offers 18 ticket 18`
	want := newSite(t, hostgraph.Default()).play(1, text).dump()
	for _, n := range []int{2, 8} {
		if got := newSite(t, hostgraph.Default()).play(n, text).dump(); got != want {
			t.Errorf("%d workers give another graph than 1", n)
		}
	}
}

// TestMemory measures an edge.
func TestMemory(t *testing.T) {
	s := newSite(t, hostgraph.Default())
	var before, after runtime.MemStats
	const hosts, each = 1000, 50
	for h := range hosts {
		s.see(flow{time.Duration(h) * time.Millisecond, fmt.Sprintf("10.1.%d.%d", h/250, h%250), fmt.Sprintf("10.1.%d.%d", (h+1)%hosts/250, (h+1)%hosts%250), 445, flows.AppSMB, 1, 1})
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	for h := range hosts {
		for i := range each {
			o := (h + i + 2) % hosts
			s.see(flow{time.Second + time.Duration(h*each+i)*time.Millisecond, fmt.Sprintf("10.1.%d.%d", h/250, h%250), fmt.Sprintf("10.1.%d.%d", o/250, o%250), 445, flows.AppSMB, 1, 1})
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	bytes := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / (hosts * each)
	t.Logf("%.0f bytes an edge", bytes)
	if bytes > 260 {
		t.Errorf("%.0f bytes an edge", bytes)
	}
	runtime.KeepAlive(s)
}

// BenchmarkRecord: go test -bench . ./flows/hostgraph
func BenchmarkRecord(b *testing.B) {
	s := newSite(b, hostgraph.Default())
	batch := &flows.Batch{Records: make([]flows.Record, 10_000)}
	for i := range batch.Records {
		r := &batch.Records[i]
		r.ID, r.Orig, r.Resp = uint64(i), packet.AddrFrom4([]byte{10, 0, byte(i >> 8), byte(i)}), packet.AddrFrom4([]byte{10, 1, 0, byte(i % 50)})
		r.RespPort, r.Proto, r.Final = 445, packet.ProtoTCP, true
		r.Total[0].Packets, r.Total[1].Packets, r.Total[1].PayloadBytes = 1, 1, 9
		r.Delta = r.Total
		s.hosts.See(batch, &flows.Item{At: 1, Index: uint32(i), Kind: flows.KindRecord})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		batch.Records[i%10_000].Last = packet.Time(i) * 1000
		s.graph.See(batch, &flows.Item{At: packet.Time(i) * 1000, Index: uint32(i % 10_000), Kind: flows.KindRecord})
		i++
	}
}
