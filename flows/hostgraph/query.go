package hostgraph

import (
	"math"
	"math/bits"
	"strings"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// User is who used an edge.
type User struct {
	Name string      // domain\name, lower case
	Last packet.Time // to the second
}

// Edge is what is known of one client's use of one server's service.
type Edge struct {
	Client, Server flows.HostNumber
	Service        Service
	First, Last    packet.Time // start of the first connection, last packet of the latest
	Days           uint64      // bit i: used i days before Last
	Hours          [21]byte    // bit h%8 of byte h/8: used in hour h of the week, from Monday 00:00 UTC on
	Connections    uint64
	Failed         uint64 // attempts that came to nothing, since the first that did not
	Up, Down       uint64 // bytes of payload to and from the server
	Users          []User // at most four, in the order in which they were first seen
	MoreUsers      bool   // there were others
	Op             Op     // what was last run through it
	OpAt           packet.Time
}

// ActiveDays is on how many of the last 64 days the edge was used.
func (e *Edge) ActiveDays() int { return bits.OnesCount64(e.Days) }

// In says whether the edge was used in the hour of the week of a time.
func (e *Edge) In(t packet.Time) bool {
	h := hourOfWeek(t)
	return e.Hours[h/8]>>(h%8)&1 == 1
}

func (g *Graph) edge(e *edge) Edge {
	out := Edge{
		Client: e.client, Server: e.server, Service: e.service, First: e.first, Last: e.last, Days: e.days, Hours: e.hours, Connections: uint64(e.n),
		Failed: uint64(e.failed), Up: e.up, Down: e.down, MoreUsers: e.more, Op: e.op, OpAt: e.opAt,
	}
	for i, u := range e.users {
		if name := g.userNames[u]; u != 0 && name != "" {
			out.Users = append(out.Users, User{name, packet.Time(e.userAt[i]) * 1e9})
		}
	}
	return out
}

// Find returns the edge from client to server; ok is false where the client was never seen to use the service there. An
// edge appears with its first flow record: at the end of the connection, or after five minutes of it.
func (g *Graph) Find(client, server flows.HostNumber, s Service) (Edge, bool) {
	i, ok := g.index[edgeKey{client, server, s}]
	if !ok {
		return Edge{}, false
	}
	return g.edge(g.edges.at(i)), true
}

// Has is Find for those who only ask whether; it does not allocate.
func (g *Graph) Has(client, server flows.HostNumber, s Service) bool {
	_, ok := g.index[edgeKey{client, server, s}]
	return ok
}

// ServiceOf names the service of a record as the graph enters it: what facts told of the connection before counts too.
// Ok is false where the record is no confirmed contact between two hosts of the site: the server must have answered with
// content. Client and server are the record's ends by content and ports, where its start was not seen.
func (g *Graph) ServiceOf(r *flows.Record) (client, server flows.HostNumber, s Service, ok bool) {
	o, w, port := flows.Orig, flows.Resp, r.RespPort
	if flipped(r) {
		o, w, port = w, o, r.OrigPort
	}
	client, server = r.Hosts[o], r.Hosts[w]
	if r.Proto != packet.ProtoTCP && r.Proto != packet.ProtoUDP && r.Proto != packet.ProtoSCTP {
		return client, server, NoService, false
	}
	s = g.refine(serviceOf(r, port), r.ID)
	return client, server, s, client != 0 && server != 0 && client != server && r.Total[w].PayloadBytes > 0 && r.Total[o].Packets > 0
}

// refine tells administration from plain use by what facts said of a connection.
func (g *Graph) refine(s Service, conn uint64) Service {
	if s != SMB && s != RPC {
		return s
	}
	told := g.open.Get(conn)
	if told == nil {
		return s
	}
	runs := told.op != NoOp && told.op != OpPolicy
	switch {
	case s == SMB && (told.admin || runs):
		return AdminShare
	case s == RPC && runs:
		return RemoteExec
	}
	return s
}

// Out calls yield with the edges of a client, the newest first, until it returns false.
func (g *Graph) Out(client flows.HostNumber, yield func(Edge) bool) {
	if p := g.nodes.Get(client); p != nil {
		for i := (*p).outs; i != 0; i = g.edges.at(i).nextOut {
			if !yield(g.edge(g.edges.at(i))) {
				return
			}
		}
	}
}

// In calls yield with the edges of a server, the newest first, until it returns false.
func (g *Graph) In(server flows.HostNumber, yield func(Edge) bool) {
	if p := g.nodes.Get(server); p != nil {
		for i := (*p).ins; i != 0; i = g.edges.at(i).nextIn {
			if !yield(g.edge(g.edges.at(i))) {
				return
			}
		}
	}
}

// Profile is what is known of a host.
type Profile struct {
	Number      flows.HostNumber
	ID, Name    string // as identity.Host says
	Role        Role
	Why         string // the reason for the role, in words and numbers
	First, Last packet.Time
	ActiveDays  int // days with traffic, ever
	OutEdges    int // services used, as distinct (server, service)
	InEdges     int // uses of its services, as distinct (client, service)
	Hub         bool
	Beyond      float64 // contacts of a hub that have no edge
	Initiated   uint64  // connections that it made and that were answered with content
	Answered    uint64  // connections that it answered so
	Outside     uint64  // of Initiated, to addresses outside
	Failed      uint64  // attempts that came to nothing
	Services    []Use   // in the order in which they were first seen
}

// Use is a service in a profile.
type Use struct {
	Service Service
	Clients int // hosts that use it here
	Servers int // hosts where this host uses it
	Opened  int // first contacts that this host made, ever
}

// Profile returns what is known of a host; ok is false where that is nothing.
func (g *Graph) Profile(n flows.HostNumber) (Profile, bool) {
	p := g.nodes.Get(n)
	if p == nil {
		return Profile{}, false
	}
	v := *p
	out := Profile{
		Number: n, ID: v.id, Name: v.name, Role: v.role, Why: v.why.text(v.asset), First: v.first, Last: v.last, ActiveDays: int(v.numDays), OutEdges: int(v.numOut),
		InEdges: int(v.numIn), Hub: v.beyond != nil, Initiated: v.initiated, Answered: v.answered, Outside: v.outside, Failed: v.failed,
	}
	if h := g.hosts.Host(n); h != nil {
		out.ID, out.Name = h.ID, h.Name
	}
	if v.beyond != nil {
		out.Beyond = v.beyond.Estimate()
	}
	for _, u := range v.services {
		out.Services = append(out.Services, Use{u.service, int(u.clients), int(u.servers), int(u.opened)})
	}
	return out, true
}

// Role returns a host's role, Unknown where nothing is known of it.
func (g *Graph) Role(n flows.HostNumber) Role {
	if p := g.nodes.Get(n); p != nil {
		return (*p).role
	}
	return Unknown
}

// Why says why a host has its role, in words and numbers.
func (g *Graph) Why(n flows.HostNumber) string {
	if p := g.nodes.Get(n); p != nil {
		return (*p).why.text((*p).asset)
	}
	return (&reason{}).text("")
}

// Hosts calls yield with every host that has a profile, the most recently used first.
func (g *Graph) Hosts(yield func(flows.HostNumber) bool) {
	for n := range g.nodes.All() {
		if !yield(n) {
			return
		}
	}
}

// Len is how many hosts have a profile.
func (g *Graph) Len() int { return g.nodes.Len() }

// Watched is for how many days of packet time there has been traffic, at least one.
func (g *Graph) Watched() int { return g.watched() }

// The pseudo-counts of the rarity of an edge, chosen by us.
const (
	pseudoDays  = 7   // days of its role's habits that a client's own are mixed with
	pseudoEdges = 0.5 // edges that each kind, and each server, has beforehand
)

// Rarity is how unusual it is that a client comes to use a service at a server, in counts of edges, not of connections.
// The edge itself, where it exists already, is not left out.
type Rarity struct {
	ClientRole, ServerRole Role
	Pair                   int     // edges of this kind: client's role, server's role, service
	All                    int     // edges in all
	Kinds                  int     // different kinds of edges
	PairShare              float64 // (Pair + 0.5) / (All + 0.5 Kinds)
	Opened                 int     // first contacts by the service that the client has made
	ClientDays             int     // days that it was active on
	RoleRate               float64 // the same, as contacts a day, of all hosts of its role
	FromRole               int     // edges of the service from hosts of the client's role to this server
	FromRoleAll            int     // and to all servers
	Servers                int     // servers of the service
	Clients                int     // clients that the server has for the service: its in-degree
	PNew                   float64 // chance that the client opens an edge of the service on a day
	PServer                float64 // chance that hosts of its role choose this server
	Surprise               float64 // -ln(PNew PServer), nats: comparable only with that of other new edges of this site
}

// Rarity tells how unusual an edge is: a dozen look-ups, meant for new edges, not for every record.
func (g *Graph) Rarity(client, server flows.HostNumber, s Service) Rarity {
	out := Rarity{ClientRole: g.Role(client), ServerRole: g.Role(server), All: len(g.index), Kinds: len(g.pairs)}
	out.Pair = int(g.pairs[pair{out.ClientRole, out.ServerRole, s}])
	out.PairShare = (float64(out.Pair) + pseudoEdges) / (float64(out.All) + pseudoEdges*float64(max(out.Kinds, 1)))
	if v := g.byService[s]; v != nil {
		out.Servers = int(v.servers)
	}
	if p := g.nodes.Get(client); p != nil {
		out.ClientDays = int((*p).numDays)
		if u := (*p).find(s); u != nil {
			out.Opened = int(u.opened)
		}
	}
	if r := g.rates[roleService{out.ClientRole, s}]; r != nil {
		out.FromRoleAll = int(r.edges)
		if g.roleDays[out.ClientRole] > 0 {
			out.RoleRate = float64(r.n) / float64(g.roleDays[out.ClientRole])
		}
	}
	out.FromRole, out.Clients = int(g.from[origin{server, s, out.ClientRole}]), g.clients(server, s)
	servers := float64(out.Servers)
	if out.Clients == 0 {
		servers++ // it would be one more
	}
	out.PNew = (float64(out.Opened) + pseudoDays*out.RoleRate) / (float64(out.ClientDays) + pseudoDays)
	out.PNew = min(1, max(out.PNew, 1/(float64(out.ClientDays)+pseudoDays)/float64(out.All+2)))
	out.PServer = (float64(out.FromRole) + pseudoEdges) / (float64(out.FromRoleAll) + pseudoEdges*servers)
	out.Surprise = -math.Log(out.PNew * out.PServer)
	return out
}

// Peers says how many of the hosts of a client's role, itself left out, have an edge to a server's service.
func (g *Graph) Peers(client, server flows.HostNumber, s Service) (users, of int) {
	role := g.Role(client)
	for n, v := range g.nodes.All() {
		if n != client && (*v).role == role {
			of++
		}
	}
	g.each(server, s, func(e *edge) {
		if e.client != client && e.counted.client == role {
			users++
		}
	})
	return users, of
}

// Newcomers is how many clients came to a server's service since a time: many at once are a change of the fleet, or a worm.
// It counts up to atMost, and looks no further than those entered since then.
func (g *Graph) Newcomers(server flows.HostNumber, s Service, since packet.Time, atMost int) (n int) {
	p := g.nodes.Get(server)
	if p == nil {
		return 0
	}
	for i := (*p).ins; i != 0 && n < atMost; {
		e := g.edges.at(i)
		if e.entered < since {
			break
		}
		if e.service == s && e.first >= since {
			n++
		}
		i = e.nextIn
	}
	return n
}

// clients is how many clients a server's service has.
func (g *Graph) clients(server flows.HostNumber, s Service) (n int) {
	p := g.nodes.Get(server)
	if p == nil {
		return 0
	}
	if u := (*p).find(s); u != nil {
		return int(u.clients)
	}
	if len((*p).services) >= maxServices { // counted with others
		g.each(server, s, func(*edge) { n++ })
	}
	return n
}

// each calls f with the edges to a server's service.
func (g *Graph) each(server flows.HostNumber, s Service, f func(*edge)) {
	if p := g.nodes.Get(server); p != nil {
		for i := (*p).ins; i != 0; i = g.edges.at(i).nextIn {
			if e := g.edges.at(i); e.service == s {
				f(e)
			}
		}
	}
}

// UserSeen says whether a user, as DOMAIN\name, was ever seen on any edge of a client. Only names are compared where
// either has no domain.
func (g *Graph) UserSeen(client flows.HostNumber, user string) (seen bool) {
	user = strings.ToLower(user)
	if p := g.nodes.Get(client); p != nil {
		for i := (*p).outs; i != 0 && !seen; i = g.edges.at(i).nextOut {
			for _, u := range g.edges.at(i).users {
				seen = seen || u != 0 && sameUser(g.userNames[u], user)
			}
		}
	}
	return seen
}

// sameUser compares two names in lower case.
func sameUser(a, b string) bool {
	da, na, okA := strings.Cut(a, `\`)
	db, nb, okB := strings.Cut(b, `\`)
	if okA && okB {
		return a == b || na == nb && (strings.HasPrefix(da, db+".") || strings.HasPrefix(db, da+".")) // NetBIOS and DNS name of a domain
	}
	if !okA {
		na = da
	}
	if !okB {
		nb = db
	}
	return na == nb
}
