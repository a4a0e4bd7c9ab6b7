// Package workload makes the captures that speed is measured on. They are too large to keep: a benchmark makes them
// when it runs, from stated parameters, always the same bytes.
package workload

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/google/gopacket/layers"

	"neuromast/pcaps/craft"
)

// Ent is an enterprise's mixed traffic: clients of one site that resolve names, browse, use file servers and log on.
type Ent struct {
	Seed  uint64
	Flows int     // conversations; 100,000 gives about 1.8 million packets
	Scale float64 // multiplies the size of downloads; 0.6 gives 1.2 GB with 100,000 flows
	Hosts int     // internal clients; 0: 2,000
}

// The shares of the kinds of conversations, per mille, and what each is made of. Sizes are Pareto-distributed, as file
// and flow sizes are (Crovella and Bestavros 1997).
var mix = []struct {
	perMille int
	make     func(*ent, time.Time)
}{
	{430, (*ent).dns}, {260, (*ent).tls}, {70, (*ent).http}, {60, (*ent).smb}, {30, (*ent).rpc}, {50, (*ent).ntp},
	{30, (*ent).quic}, {40, (*ent).failed}, {15, (*ent).ping}, {15, (*ent).ssh},
}

// span is the packet time over which conversations start.
const span = 600 * time.Second

type ent struct {
	Ent
	*craft.Net
	names    []string
	zipf     *rand.Zipf
	clients6 bool
}

// Write writes the capture as pcap.
func (e Ent) Write(w io.Writer) error {
	if e.Hosts == 0 {
		e.Hosts = 2000
	}
	g := &ent{Ent: e, Net: craft.New(e.Seed)}
	g.names = names(g.Rand)
	g.zipf = rand.NewZipf(g.Rand, 1.1, 8, uint64(len(g.names)-1))
	out, err := craft.NewWriter(w)
	if err != nil {
		return err
	}
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	gap := span / time.Duration(max(e.Flows, 1))
	for i := range e.Flows {
		at = at.Add(gap/2 + time.Duration(g.Rand.Int64N(int64(gap))))
		pick := g.Rand.IntN(1000)
		for _, m := range mix {
			if pick -= m.perMille; pick < 0 {
				m.make(g, at)
				break
			}
		}
		if i%200 == 199 { // often enough to keep memory small, rarely enough that sorting costs little
			if err := out.Drain(g.Net, at); err != nil {
				return err
			}
		}
	}
	return out.Drain(g.Net, time.Time{})
}

// names are drawn by Zipf's law: popular ones first, each also with the prefixes that content networks use.
func names(r *rand.Rand) []string {
	words := []string{"north", "river", "cloud", "paper", "green", "metro", "solar", "quiet", "delta", "amber", "stone", "maple", "orbit", "cedar", "pixel", "union", "coral", "flint"}
	tlds := []string{"com", "net", "org", "io", "de", "co.uk"}
	var out []string
	for i := range 990 {
		base := fmt.Sprintf("%s-%s%d.%s", words[r.IntN(len(words))], words[r.IntN(len(words))], i, tlds[r.IntN(len(tlds))])
		out = append(out, base, "www."+base, "api."+base, fmt.Sprintf("cdn%d.%s", r.IntN(9), base), "static-"+fmt.Sprint(r.IntN(9))+"."+base, "edge"+fmt.Sprint(r.IntN(9))+".eu-west-1."+base)
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (g *ent) name() string { return g.names[g.zipf.Uint64()] }

// pareto draws a size of at least low, shape a, at most high.
func (g *ent) pareto(low, a, high float64) int {
	return int(min(high, low/math.Pow(1-g.Rand.Float64(), 1/a)))
}

// client is one of the site's machines, one in ten over IPv6; server one of count in a network.
func (g *ent) client() *craft.Host {
	n := g.Rand.IntN(g.Hosts)
	g.clients6 = g.Rand.IntN(10) == 0
	return g.host(0x0a140000, 0x20, n)
}

func (g *ent) server(count int) *craft.Host { return g.host(0x0a010100, 0x21, g.Rand.IntN(count)) }

func (g *ent) external() *craft.Host { return g.host(0xc6120000, 0xff, g.Rand.IntN(20000)) }

// host numbers the machines of one network; external ones over IPv6 lie outside the site's prefix.
func (g *ent) host(v4 uint32, net6 byte, n int) *craft.Host {
	if g.clients6 {
		a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 0, net6, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
		if net6 == 0xff {
			a[1], a[2], a[3] = 0x0a, 0, 0
		}
		return g.Host("", netip.AddrFrom16(a))
	}
	v := v4 + uint32(n)
	return g.Host("", netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}))
}

func (g *ent) dns(at time.Time) {
	c := g.client()
	q := craft.Question{Name: g.name(), Type: layers.DNSTypeA}
	for range 1 + g.Rand.IntN(3) {
		q.Answers = append(q.Answers, craft.A(q.Name, netip.AddrFrom4([4]byte{198, 18 + byte(g.Rand.IntN(2)), byte(g.Rand.IntN(256)), byte(g.Rand.IntN(256))}), 60))
	}
	if g.Rand.IntN(10) == 0 {
		q.Missing, q.Answers = true, nil
	}
	g.DNS(at, c, g.host(0x0a010002, 0x01, g.Rand.IntN(2)), q)
}

// end closes a connection: one in ten by reset, one in ten not at all.
func (g *ent) end(c *craft.Conn) {
	switch g.Rand.IntN(10) {
	case 0:
		c.Reset()
	case 1:
	default:
		c.Close()
	}
}

func (g *ent) tls(at time.Time) {
	c := g.Dial(at, g.client(), g.external(), 443)
	c.Hello(g.name(), g.Rand.IntN(10) < 7)
	if g.Rand.IntN(3) == 0 {
		c.Client(craft.Records(g.Net, g.pareto(500, 1.2, 3e6)))
	}
	c.Server(craft.Records(g.Net, g.pareto(6000*g.Scale, 1.15, 20e6)))
	g.end(c)
}

func (g *ent) http(at time.Time) {
	g.HTTP(at, g.client(), g.external(), 80, g.name(), "/", 0, g.pareto(3000*g.Scale, 1.2, 5e6))
}

func (g *ent) smb(at time.Time) {
	c, s := g.client(), g.server(40)
	who := craft.Account{Domain: "CORP", User: fmt.Sprintf("user%d", g.Rand.IntN(2000))}
	session := g.Logon(at, c, s, who, 0)
	tree := session.Tree("Data")
	for i := range 1 + g.Rand.IntN(4) {
		size := g.pareto(3000, 1.2, 9e5)
		f := session.Open(tree, fmt.Sprintf(`dept\file%d-%d.docx`, g.Rand.IntN(9000), i), size, false)
		f.Read(g.Bytes(size))
		f.Close()
	}
	g.end(session.Conn)
}

// rpc is small exchanges with a controller: Kerberos-, LDAP- or mapper-like sizes, content without structure.
func (g *ent) rpc(at time.Time) {
	c := g.Dial(at, g.client(), g.host(0x0a010002, 0x01, g.Rand.IntN(2)), []uint16{88, 389, 135}[g.Rand.IntN(3)])
	c.Client(g.Bytes(200 + g.Rand.IntN(1200)))
	c.Server(g.Bytes(200 + g.Rand.IntN(1400)))
	g.end(c)
}

func (g *ent) ntp(at time.Time) { g.NTP(at, g.client(), g.host(0x0a010002, 0x01, 0)) }

func (g *ent) quic(at time.Time) {
	c, s := g.client(), g.external()
	port := c.Ephemeral()
	for i := range g.pareto(8, 1.1, 4000) {
		at = at.Add(time.Duration(50+g.Rand.IntN(400)) * time.Microsecond)
		if i%6 == 0 {
			g.UDP(at, c, s, port, 443, append([]byte{0xc3, 0, 0, 0, 1}, g.Bytes(1195)...))
		} else {
			g.UDP(at, s, c, 443, port, append([]byte{0x43}, g.Bytes(1199)...))
		}
	}
}

func (g *ent) failed(at time.Time) {
	c, s := g.client(), g.external()
	switch g.Rand.IntN(3) {
	case 0:
		g.Probe(at, c, s, 443, craft.Closed)
	case 1:
		g.ProbeAgain(at, c, s, 443, time.Second, 2*time.Second)
	default:
		g.Probe(at, c, s, 443, craft.Silent)
	}
}

func (g *ent) ping(at time.Time) {
	g.clients6 = false
	c := g.host(0x0a140000, 0x20, g.Rand.IntN(g.Hosts))
	g.Ping(at, c, g.server(40), uint16(g.Rand.Uint32()), 1, g.Bytes(32), true)
}

func (g *ent) ssh(at time.Time) {
	c := g.Dial(at, g.client(), g.server(40), []uint16{22, 3389}[g.Rand.IntN(2)])
	for range 10 + g.Rand.IntN(50) {
		c.Client(g.Bytes(36 + g.Rand.IntN(64)))
		c.Server(g.Bytes(36 + g.Rand.IntN(900)))
		c.Wait(time.Duration(g.Rand.IntN(900)) * time.Millisecond)
	}
	g.end(c)
}
