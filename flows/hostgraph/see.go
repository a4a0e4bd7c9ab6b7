package hostgraph

import (
	"bytes"

	"neuromast/flows"
	"neuromast/flows/identity"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// See learns from an item whose records identity.Table.See has numbered. The engine calls it after the detectors, so that
// they ask about the time before the item.
func (g *Graph) See(b *flows.Batch, it *flows.Item) {
	if it.At > g.now {
		if g.begun == 0 {
			g.begun = it.At
		}
		if day(it.At) != day(g.now) {
			g.now = it.At
			g.expire()
		}
		g.now = it.At
	}
	switch i := it.Index; it.Kind {
	case flows.KindRecord:
		g.record(&b.Records[i])
	case flows.KindAuth:
		if a := &b.Auth[i]; a.Outcome == flows.Succeeded && a.User.Len > 0 && !a.Anonymous {
			g.told(a.ID).user(g.userOf(b.Bytes(a.Domain), b.Bytes(a.User)))
		}
	case flows.KindKerberos:
		if k := &b.KDC[i]; k.Outcome == flows.Succeeded && k.Client.Len > 0 {
			g.told(k.ID).user(g.userOf(b.Bytes(k.Realm), b.Bytes(k.Client)))
		}
	case flows.KindSMB:
		g.smb(b, &b.SMB[i])
	case flows.KindRPC:
		g.rpc(b, &b.RPC[i])
	case flows.KindRDP:
		if r := &b.RDP[i]; r.Cookie.Len > 0 {
			g.told(r.ID).user(g.userOf(nil, b.Bytes(r.Cookie)))
		}
	case flows.KindHTTP:
		if h := &b.HTTP[i]; (h.RespPort == 5985 || h.RespPort == 5986) && bytes.HasPrefix(b.Bytes(h.Target), []byte("/wsman")) && h.Status/100 == 2 {
			o := g.told(h.ID)
			o.op, o.opAt = OpWinRM, h.At
		}
	case flows.KindTLS:
		g.hello(b, &b.TLS[i])
	}
}

// Changed hears what a table of identities says; it merges hosts that turned out to be one.
func (g *Graph) Changed(c *identity.Change) {
	if c.Kind == identity.Alias && c.OldNumber != 0 {
		g.Merge(c.OldNumber, c.Host.Number)
	}
}

// told returns what facts tell of a connection.
func (g *Graph) told(conn uint64) *opening {
	o, _ := g.open.Use(conn)
	return o
}

// user notes a user; 0 is none.
func (o *opening) user(u uint32) {
	if u == 0 {
		return
	}
	for i := range o.users {
		if o.users[i] == u {
			return
		}
		if o.users[i] == 0 {
			o.users[i] = u
			return
		}
	}
	o.more = true
}

// userOf numbers a user: DOMAIN\name in lower case.
func (g *Graph) userOf(domain, name []byte) uint32 {
	if len(name) == 0 || len(name) > 256 || len(domain) > 256 {
		return 0
	}
	var text [520]byte
	b := text[:0]
	if len(domain) > 0 {
		b = append(append(b, domain...), '\\')
	}
	b = bytes.ToLower(append(b, name...))
	p := g.users.Get(string(b))
	if p == nil {
		g.lastUser++
		p, _ = g.users.Use(string(b))
		*p = g.lastUser
		g.userNames[*p] = string(b)
	}
	return *p
}

// account reads DOMAIN\name.
func (g *Graph) account(b []byte) uint32 {
	domain, name, ok := bytes.Cut(b, []byte{'\\'})
	if !ok {
		domain, name = nil, b
	}
	return g.userOf(domain, name)
}

func (g *Graph) smb(b *flows.Batch, s *flows.SMB) {
	admin := s.Op == flows.SMBTree && s.OK() && adminShare(b.Bytes(s.Share))
	file := s.Op == flows.SMBWrite && s.OK() && adminShare(b.Bytes(s.Share))
	if !admin && !file && s.User.Len == 0 {
		return
	}
	o := g.told(s.ID)
	o.user(g.account(b.Bytes(s.User)))
	o.admin = o.admin || admin
	if file {
		o.op, o.opAt = OpFile, s.At
	}
}

// adminShare says that a share is C$, ADMIN$ or the like; IPC$ is everybody's.
func adminShare(path []byte) bool {
	name := path[bytes.LastIndexByte(path, '\\')+1:]
	return len(name) >= 2 && name[len(name)-1] == '$' && !bytes.EqualFold(name, []byte("IPC$"))
}

func (g *Graph) rpc(b *flows.Batch, r *flows.RPC) {
	op := NoOp
	if r.Outcome == flows.Succeeded && !r.Bind {
		op = runs[call{r.Interface, r.Opnum}]
	}
	if op == NoOp && r.User.Len == 0 {
		return
	}
	o := g.told(r.ID)
	o.user(g.account(b.Bytes(r.User)))
	if op != NoOp {
		o.op, o.opAt = op, r.At
	}
}

// flipped says that a flow whose start was not seen has its client at the responder's end, by its ports.
func flipped(r *flows.Record) bool {
	return r.State == flows.OTH && r.App == flows.AppUnknown && byPort[r.RespPort] == NoService && r.RespPort >= 1024 &&
		(byPort[r.OrigPort] != NoService || r.OrigPort < 1024)
}

// record enters a connection, or what a report adds to one.
func (g *Graph) record(r *flows.Record) {
	o, w := flows.Orig, flows.Resp
	client, server, port := r.Orig, r.Resp, r.RespPort
	if flipped(r) {
		o, w, client, server, port = w, o, server, client, r.OrigPort
	}
	c := g.node(r.Hosts[o], client, r.Last)
	// A contact is confirmed when the server has answered with content: what only refused belongs to scanning.
	confirmed := r.Total[w].PayloadBytes > 0 && r.Total[o].Packets > 0
	if r.Proto != packet.ProtoTCP && r.Proto != packet.ProtoUDP && r.Proto != packet.ProtoSCTP {
		return
	}
	isNew := confirmed && r.Total[w].PayloadBytes == r.Delta[w].PayloadBytes // the first report that confirms it
	v := serviceOf(r, port)
	var s *node
	if r.Hosts[w] != 0 {
		s = g.node(r.Hosts[w], server, r.Last)
	}
	if c != nil && isNew {
		c.initiated++
	}
	if s == nil {
		if c != nil && isNew && !isGroup(server) {
			c.outside++
			c.resolves = c.resolves || v == DNS
			g.visit(destOf(server), c.number)
		}
	} else if isNew {
		s.answered++
	}
	if c == nil || c == s || r.Hosts[o] == r.Hosts[w] {
		g.finish(r)
		return
	}
	if !confirmed {
		if r.Final && r.Proto == packet.ProtoTCP {
			c.failed++
			g.vain(c, server)
			if s != nil {
				if i, ok := g.index[edgeKey{c.number, s.number, v}]; ok {
					g.edges.at(i).failed++
				}
			}
		}
		g.finish(r)
		return
	}
	if s == nil {
		g.finish(r)
		return
	}
	told := g.open.Get(r.ID)
	v = g.refine(v, r.ID)
	e := g.connect(edgeKey{c.number, s.number, v}, c, s, r.Last)
	if e == nil {
		g.finish(r)
		return
	}
	if isNew {
		e.n++
		e.hours[hourOfWeek(r.Start)/8] |= 1 << (hourOfWeek(r.Start) % 8)
	}
	e.first = min(e.first, r.Start)
	if r.Last > e.last {
		e.days = mark(e.days, e.last, r.Last)
		e.last = r.Last
	}
	e.days |= 1
	e.up += r.Delta[o].PayloadBytes
	e.down += r.Delta[w].PayloadBytes
	if told != nil {
		at := uint32(int64(r.Last) / 1e9)
		for _, u := range told.users {
			if u != 0 {
				e.user(u, at)
			}
		}
		e.more = e.more || told.more
		if told.op != NoOp && told.opAt >= e.opAt {
			e.op, e.opAt = told.op, told.opAt
		}
	}
	d := day(r.Last)
	if u := c.used(v); u != nil {
		u.seen(d, &u.outDays)
	}
	if u := s.used(v); u != nil {
		u.seen(d, &u.inDays)
	}
	g.finish(r)
	g.look(c)
	g.look(s)
}

// seen notes that a service was used on a day.
func (u *used) seen(d int32, days *uint64) {
	if d > u.day {
		if n := d - u.day; n < 64 && u.day != 0 {
			u.inDays <<= n
			u.outDays <<= n
		} else {
			u.inDays, u.outDays = 0, 0
		}
		u.day = d
	}
	if n := u.day - d; n < 64 {
		*days |= 1 << n
	}
}

// finish forgets what facts told of a connection that has ended.
func (g *Graph) finish(r *flows.Record) {
	if r.Final && g.open.Get(r.ID) != nil {
		g.open.Delete(r.ID)
	}
}

// isGroup says that an address stands for many.
func isGroup(a packet.Addr) bool {
	if a.Is4() {
		return a[12] >= 224
	}
	return a[0] == 0xff
}

// sweep is how many hosts tried in vain on a day make it a day of scanning.
const sweep = 50

// vain notes a host that was tried in vain.
func (g *Graph) vain(c *node, server packet.Addr) {
	if c.swept {
		return
	}
	if c.tried == nil {
		c.tried = &sketch.Distinct{}
	}
	c.tried.Add(sketch.HashAddr(server))
	if c.tried.Estimate() >= sweep {
		c.sweeps |= 1
		c.swept, c.tried = true, nil
		g.infer(c)
	}
}
