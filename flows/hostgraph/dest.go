package hostgraph

import (
	"bytes"
	"time"

	"golang.org/x/net/publicsuffix"

	"neuromast/flows"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// dest is a destination outside: a registered domain, or a network where its hash stands.
type dest uint64

// half is how long one of a destination's two sketches counts: what Prevalence looks back on is one to two of it.
const half = 15 * 24 * time.Hour

// visits is who went to a destination.
type visits struct {
	first   packet.Time
	turned  packet.Time
	now     sketch.Distinct // since turned
	earlier sketch.Distinct // in the half month before
}

// destOf is the network that an address outside is counted with: /24 of IPv4, /48 of IPv6.
func destOf(a packet.Addr) dest {
	if a.Is4() {
		a[15] = 0
	} else {
		clear(a[6:])
	}
	return dest(sketch.HashAddr(a))
}

// destOfName is the registered domain that a name is counted with.
func destOfName(name []byte) (dest, bool) {
	name = bytes.ToLower(bytes.TrimSuffix(name, []byte{'.'}))
	domain, err := publicsuffix.EffectiveTLDPlusOne(string(name))
	if err != nil {
		return 0, false
	}
	return dest(sketch.HashString(domain)), true
}

// maxNames is of how many names the domain is kept at hand: looking for the public suffix takes as long as all else about
// a ClientHello. Where there are more, all are forgotten.
const maxNames = 1 << 12

// domainOf is destOfName with a memory.
func (g *Graph) domainOf(name []byte) (dest, bool) {
	d, known := g.domains[string(name)]
	if !known {
		d, _ = destOfName(name) // of no name it is 0
		if len(g.domains) >= maxNames {
			clear(g.domains)
		}
		g.domains[string(name)] = d
	}
	return d, d != 0
}

// visit notes that a host went to a destination.
func (g *Graph) visit(d dest, n flows.HostNumber) {
	p, isNew := g.dests.Use(d)
	if isNew {
		*p = &visits{first: g.now, turned: g.now}
	}
	v := *p
	if since := g.now.Sub(v.turned); since >= half {
		v.earlier, v.now = v.now, sketch.Distinct{}
		if since >= 2*half {
			v.earlier = sketch.Distinct{}
		}
		v.turned = g.now
	}
	v.now.Add(sketch.Mix(uint64(n)))
}

// hello notes a ClientHello: what kind of client a host has, and which domain it goes to.
func (g *Graph) hello(b *flows.Batch, t *flows.TLS) {
	n := g.hosts.Number(flows.HostKey{Segment: t.Segment, Addr: t.Orig})
	if n == 0 {
		return
	}
	if p := g.nodes.Get(n); p != nil && t.JA4.Len > 0 {
		if (*p).agents == nil {
			(*p).agents = &sketch.Distinct{}
		}
		(*p).agents.Add(sketch.Hash(b.Bytes(t.JA4)))
	}
	if g.hosts.Number(flows.HostKey{Segment: t.Segment, Addr: t.Resp}) == 0 && t.ServerName.Len > 0 {
		if d, ok := g.domainOf(b.Bytes(t.ServerName)); ok {
			g.visit(d, n)
		}
	}
}

// Visited is how many of the site's hosts went to a destination outside in the last 15 to 30 days.
type Visited struct {
	First   packet.Time // when it was first visited; 0: never
	Clients float64     // hosts; exact up to 32
	Active  int         // hosts that are known
}

// Share is the share of the hosts, 0 to 1.
func (v Visited) Share() float64 {
	if v.Active == 0 {
		return 0
	}
	return min(1, v.Clients/float64(v.Active))
}

// Prevalence tells of a destination's network.
func (g *Graph) Prevalence(a packet.Addr) Visited { return g.visited(destOf(a)) }

// DomainPrevalence tells of the registered domain of a name.
func (g *Graph) DomainPrevalence(name string) Visited {
	d, ok := destOfName([]byte(name))
	if !ok {
		return Visited{Active: g.nodes.Len()}
	}
	return g.visited(d)
}

func (g *Graph) visited(d dest) Visited {
	out := Visited{Active: g.nodes.Len()}
	p := g.dests.Get(d)
	if p == nil {
		return out
	}
	v := *p
	out.First = v.first
	switch since := g.now.Sub(v.turned); {
	case since < half:
		// A host of both halves counts once at most: the greater is the safe side for rarity.
		out.Clients = max(v.now.Estimate(), v.earlier.Estimate())
	case since < 2*half:
		out.Clients = v.now.Estimate()
	}
	return out
}
