package enrich

import (
	"strconv"
	"strings"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Bounds of Endpoints. A Windows server has about ten dynamic RPC ports, so the table serves some 1,600 servers; an
// entry takes 600 bytes at most.
const (
	maxEndpoints = 1 << 14
	maxAnswers   = 8 // interfaces and askers kept per port
)

// mappingLasts is how long an endpoint mapper's answer holds: dynamic ports change when a server starts anew.
const mappingLasts = 24 * time.Hour

// Endpoints knows which RPC interface stands behind a server's TCP port, from the answers of endpoint mappers, and names
// the interface of calls whose bind was not seen. One port may serve several interfaces (that of lsass serves six), so
// that only what the same client asked for counts, and only where it asked for one. It is used by one goroutine.
type Endpoints struct {
	ports   map[endpoint]*port
	oldest  *port // ring through newer, by last use
	evicted uint64
}

// endpoint is a server's port.
type endpoint struct {
	host    packet.Addr
	segment packet.Segment
	port    uint16
}

// port is what was answered about an endpoint.
type port struct {
	key          endpoint
	older, newer *port
	answers      []mapping
}

// mapping is one answer to one client.
type mapping struct {
	client packet.Addr
	iface  flows.UUID
	at     packet.Time
}

// NewEndpoints returns an empty table.
func NewEndpoints() *Endpoints { return &Endpoints{ports: map[endpoint]*port{}} }

// Resolve learns from r, whose texts lie in b, or names its interface: Source becomes FromMapper. It must see all calls
// in the order of packet time, and each before those who judge it.
func (e *Endpoints) Resolve(b *flows.Batch, r *flows.RPC) {
	if r.Binding.Len > 0 {
		e.learn(string(b.Bytes(r.Binding)), r)
	}
	if r.Source != flows.FromNowhere || r.Pipe.Len > 0 || r.Proto != packet.ProtoTCP {
		return
	}
	p := e.ports[endpoint{r.Resp, r.Segment, r.RespPort}]
	if p == nil {
		return
	}
	e.use(p)
	found := -1
	for i, a := range p.answers {
		if a.client != r.Orig || r.At.Sub(a.at) > mappingLasts {
			continue
		}
		if found >= 0 && p.answers[found].iface != a.iface {
			return // either may be meant: never guess
		}
		found = i
	}
	if found >= 0 {
		r.Interface, r.Source = p.answers[found].iface, flows.FromMapper
	}
}

// Evicted returns how many ports the bound pushed out.
func (e *Endpoints) Evicted() uint64 { return e.evicted }

// learn enters the pairs of an answer, "uuid port uuid port …". Towers may name another host's address; a mapper speaks
// for its own.
func (e *Endpoints) learn(text string, r *flows.RPC) {
	words := strings.Fields(text)
	for i := 0; i+1 < len(words); i += 2 {
		iface, err := flows.ParseUUID(words[i])
		n, bad := strconv.ParseUint(words[i+1], 10, 16)
		if err != nil || bad != nil {
			continue
		}
		p := e.port(endpoint{r.Resp, r.Segment, uint16(n)})
		p.note(mapping{client: r.Orig, iface: iface, at: r.At})
	}
}

// note enters an answer; the oldest makes room.
func (p *port) note(m mapping) {
	victim := 0
	for i, a := range p.answers {
		if a.client == m.client && a.iface == m.iface {
			p.answers[i].at = m.at
			return
		}
		if a.at < p.answers[victim].at {
			victim = i
		}
	}
	if len(p.answers) < maxAnswers {
		p.answers = append(p.answers, m)
		return
	}
	p.answers[victim] = m
}

// port returns the entry of an endpoint, a new one where there is none.
func (e *Endpoints) port(k endpoint) *port {
	p := e.ports[k]
	if p == nil {
		if len(e.ports) >= maxEndpoints {
			v := e.oldest
			e.unlink(v)
			delete(e.ports, v.key)
			e.evicted++
		}
		p = &port{key: k}
		e.ports[k] = p
		e.link(p)
		return p
	}
	e.use(p)
	return p
}

// use makes p the newest.
func (e *Endpoints) use(p *port) {
	e.unlink(p)
	e.link(p)
}

func (e *Endpoints) link(p *port) {
	if e.oldest == nil {
		p.older, p.newer = p, p
		e.oldest = p
		return
	}
	newest := e.oldest.older
	p.older, p.newer = newest, e.oldest
	newest.newer, e.oldest.older = p, p
}

func (e *Endpoints) unlink(p *port) {
	if p.newer == p {
		e.oldest = nil
		return
	}
	if e.oldest == p {
		e.oldest = p.newer
	}
	p.older.newer, p.newer.older = p.newer, p.older
}
