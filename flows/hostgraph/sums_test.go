package hostgraph

import (
	"math/rand/v2"
	"testing"

	"neuromast/flows"
	"neuromast/flows/identity"
	"neuromast/sensor/packet"
)

// TestSums holds the sums that Rarity reads against the edges themselves, while edges come and go, hosts change their
// roles, merge and are pushed out, and servers have more services than fit a profile.
func TestSums(t *testing.T) {
	cfg := Default()
	cfg.MaxEdges, cfg.MaxHosts, cfg.OutEdges = 600, 40, 30
	all := func(packet.Addr) bool { return true }
	g := New(cfg, identity.New(identity.Default(), all, nil), nil)
	random := rand.New(rand.NewPCG(1, 2))
	for step := range 20_000 {
		g.now += packet.Time(random.IntN(1e9))
		a, b := flows.HostNumber(1+random.IntN(60)), flows.HostNumber(1+random.IntN(10))
		switch {
		case a == b:
		case step%100 == 0:
			g.Merge(a, b)
		case step%10 == 0:
			if p := g.nodes.Get(a); p != nil {
				(*p).asset = [...]string{"", "scanner", "backup"}[random.IntN(3)]
				g.infer(*p)
			}
		default:
			at := g.now - packet.Time(random.IntN(2e9)) // records come after their connections
			c, s := g.node(a, packet.Addr{}, at), g.node(b, packet.Addr{}, at)
			g.connect(edgeKey{a, b, Service(1 + random.IntN(90))}, c, s, at)
		}
		if step%200 != 0 {
			continue
		}
		from, byRole, clients := map[origin]uint32{}, map[roleService]uint32{}, map[edgeKey]int{}
		recent, since := map[edgeKey]int{}, g.now-5e9
		for _, i := range g.index {
			e := g.edges.at(i)
			from[origin{e.server, e.service, e.counted.client}]++
			byRole[roleService{e.counted.client, e.service}]++
			k := edgeKey{server: e.server, service: e.service}
			clients[k]++
			if e.first >= since {
				recent[k]++
			}
		}
		if len(from) != len(g.from) {
			t.Fatalf("step %d: %d kinds of origins, the edges show %d", step, len(g.from), len(from))
		}
		for k, n := range from {
			if g.from[k] != n {
				t.Fatalf("step %d: %d from %+v, the edges show %d", step, g.from[k], k, n)
			}
		}
		for k, r := range g.rates {
			if r.edges != byRole[k] {
				t.Fatalf("step %d: %d edges of %+v, the edges show %d", step, r.edges, k, byRole[k])
			}
		}
		for k, n := range clients {
			if got := g.clients(k.server, k.service); got != n {
				t.Fatalf("step %d: %d clients of %+v, the edges show %d", step, got, k, n)
			}
			if got := g.Newcomers(k.server, k.service, since, 1000); got != recent[k] {
				t.Fatalf("step %d: %d newcomers of %+v, the edges show %d", step, got, k, recent[k])
			}
			if got := g.Newcomers(k.server, k.service, since, 2); got != min(2, recent[k]) {
				t.Fatalf("step %d: %d newcomers of %+v, counted up to two", step, got, k)
			}
		}
	}
}
