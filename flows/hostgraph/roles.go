package hostgraph

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Role is what a host is for, inferred from whom it serves and whom it uses, unless the configuration says it.
type Role uint8

// The roles. Those from JumpHost on make a host's wide contacts usual, so they need days of evidence; a host gets the
// first role, from the top of infer down, whose rule it meets.
const (
	Unknown Role = iota
	Workstation
	Server // serves many, nothing that has a role of its own
	DomainController
	FileServer
	DatabaseServer
	WebServer
	MailServer
	PrintServer
	Resolver
	Device  // a printer, a camera, a badge reader: few contacts, always the same
	Gateway // a proxy, a router that translates, a VPN: many machines behind one
	JumpHost
	Administrator // a host that administers many
	Scanner
	Deployment
	Monitoring
	Backup
	Other // what the configuration calls by a word that is none of these
	NumRoles
)

var roleNames = [NumRoles]string{
	"unknown", "workstation", "server", "domain controller", "file server", "database server", "web server", "mail server", "print server", "resolver",
	"device", "gateway", "jump host", "administrator", "scanner", "deployment", "monitoring", "backup", "other",
}

func (r Role) String() string { return roleNames[r] }

// IsServer says that hosts of the role are there to be reached.
func (r Role) IsServer() bool { return r >= Server && r <= Resolver || r == Backup || r == Deployment }

// WideByTrade says that hosts of the role reach many others by administration services as their work.
func (r Role) WideByTrade() bool { return r >= JumpHost && r <= Backup }

// words maps what a configuration may call a role.
var words = []struct {
	word string
	role Role
}{
	{"domain controller", DomainController}, {"dc", DomainController}, {"jump", JumpHost}, {"bastion", JumpHost}, {"scanner", Scanner},
	{"deploy", Deployment}, {"patch", Deployment}, {"wsus", Deployment}, {"sccm", Deployment}, {"monitor", Monitoring}, {"inventory", Monitoring},
	{"backup", Backup}, {"admin", Administrator}, {"file", FileServer}, {"nas", FileServer}, {"database", DatabaseServer}, {"db", DatabaseServer},
	{"sql", DatabaseServer}, {"web", WebServer}, {"mail", MailServer}, {"exchange", MailServer}, {"print server", PrintServer}, {"print", PrintServer}, {"resolver", Resolver},
	{"dns", Resolver}, {"proxy", Gateway}, {"gateway", Gateway}, {"nat", Gateway}, {"vpn", Gateway}, {"router", Gateway}, {"firewall", Gateway},
	{"printer", Device}, {"camera", Device}, {"iot", Device}, {"device", Device}, {"workstation", Workstation}, {"client", Workstation}, {"desktop", Workstation}, {"laptop", Workstation}, {"server", Server},
}

// ParseRole returns the role that a configuration's words mean.
func ParseRole(text string) Role {
	text = strings.ToLower(strings.NewReplacer("_", " ", "-", " ").Replace(text))
	for _, w := range words {
		for field := range strings.FieldsSeq(text) {
			if field == w.word || len(w.word) > 3 && strings.HasPrefix(field, w.word) {
				return w.role
			}
		}
		if strings.Contains(w.word, " ") && strings.Contains(text, w.word) {
			return w.role
		}
	}
	return Other
}

// reason is why a host has its role, in numbers.
type reason struct {
	rule    rule
	service Service
	n       [4]float64
}

type rule uint8

const (
	noRule rule = iota
	byConfig
	byMachines
	byProxy
	byAgents
	byKDC
	bySweeps
	byPush
	byPull
	byProbes
	byBackup
	byJump
	byAdmin
	byServing
	byResolving
	byInitiating
	byLittle
)

// Bounds of the rules; where nothing else is said they are chosen by us.
const (
	manyClients  = 8    // a server serves so many,
	serverDays   = 3    // on so many days
	sweepDays    = 3    // a scanner tries many hosts in vain on so many days
	jumpSources  = 3    // who reach a jump host to administer it
	jumpTargets  = 10   // whom it reaches so
	jumpDays     = 5    // on so many days; an administrator's host too,
	habits       = 3    // and so many of them
	habitDays    = 3    // on so many days each (chosen by us: an intruder of a week seldom comes back to a host on three days)
	wideShare    = 0.3  // of all hosts, that a deployment server reaches
	evenSpread   = 0.5  // of the bytes that it sends each, standard deviation over mean, at most
	probed       = 20   // hosts that monitoring reaches
	probeHours   = 18   // in so many different hours of the day
	probeBytes   = 2e4  // in so few bytes a time
	backedUp     = 5    // hosts that a backup server takes from
	backupBytes  = 1e9  // on a day
	backupRatio  = 10   // to what it gives
	manyAgents   = 40   // kinds of TLS clients at one address; a desktop with several browsers has ten to twenty (chosen by us)
	ownContacts  = 0.8  // of a workstation's connections are its own, and less than manyClients uses of its services are known;
	nearlyAll    = 0.95 // or so many are
	fewContacts  = 10   // connections before anything is inferred from their share
	lookAgain    = time.Hour
	manyAdmitted = 10 // servers that an administrator's host administers
)

// look infers a host's role again when its edges changed, or after an hour.
func (g *Graph) look(v *node) {
	if v.outNow != v.numOut || v.inNow != v.numIn || g.now.Sub(v.looked) >= lookAgain {
		g.infer(v)
	}
}

// infer gives a host the role that it has now.
func (g *Graph) infer(v *node) {
	v.outNow, v.inNow = v.numOut, v.numIn
	if h := g.hosts.Host(v.number); h != nil {
		v.shared, v.lease, v.id, v.name = h.Shared, h.HasLease(), h.ID, h.Name
	}
	role, why := g.roleOf(v)
	v.why = why
	if role == v.role {
		return
	}
	g.unrate(v)
	v.role = role
	g.roleDays[role] += uint64(v.numDays)
	for i := range v.services {
		if u := &v.services[i]; u.opened > 0 {
			g.rate(role, u.service).n += u.opened
		}
	}
	for i := v.outs; i != 0; i = g.edges.at(i).nextOut {
		g.recount(g.edges.at(i), pair0{role, g.edges.at(i).counted.server})
	}
	for i := v.ins; i != 0; i = g.edges.at(i).nextIn {
		g.recount(g.edges.at(i), pair0{g.edges.at(i).counted.client, role})
	}
}

// recount moves an edge to other roles.
func (g *Graph) recount(e *edge, to pair0) {
	g.uncount(e)
	e.counted = to
	g.count(e)
}

// watched is for how many days there has been traffic, at least one.
func (g *Graph) watched() int { return int(day(g.now)-day(g.begun)) + 1 }

func (g *Graph) roleOf(v *node) (Role, reason) {
	if v.asset != "" {
		return ParseRole(v.asset), reason{rule: byConfig}
	}
	hosts := g.nodes.Len()
	days := min(serverDays, g.watched())
	// A small site has no eight clients for each server: a third of its hosts will do there, but three at least.
	many := uint32(min(manyClients, max(3, (hosts+2)/3)))
	serves := func(s Service) (uint32, int) {
		if u := v.find(s); u != nil {
			return u.clients, bits.OnesCount64(u.inDays)
		}
		return 0, 0
	}
	if v.shared {
		return Gateway, reason{rule: byMachines}
	}
	if n, d := serves(Proxy); n >= many && d >= days {
		return Gateway, reason{rule: byProxy, n: [4]float64{float64(n), float64(d)}}
	}
	if v.agents != nil {
		if n := v.agents.Estimate(); n >= manyAgents {
			return Gateway, reason{rule: byAgents, n: [4]float64{n}}
		}
	}
	if n, _ := serves(Kerberos); n > 0 {
		others := 0.0
		for _, s := range [...]Service{LDAP, DNS, SMB, RPC} {
			if c, _ := serves(s); c > 0 {
				others++
			}
		}
		if others >= 2 || int(n)*5 >= hosts || others >= 1 && n >= 2 {
			return DomainController, reason{rule: byKDC, n: [4]float64{float64(n), others}}
		}
	}
	if n := bits.OnesCount64(v.sweeps); n >= sweepDays && !g.ranSomething(v) {
		return Scanner, reason{rule: bySweeps, n: [4]float64{float64(n)}}
	}
	if role, why := g.wide(v, hosts); role != Unknown {
		return role, why
	}
	all := v.initiated + v.answered
	share := float64(v.initiated) / float64(max(all, 1))
	own := all >= fewContacts && (share > ownContacts && v.numIn < manyClients || share > nearlyAll)
	if v.isDevice() {
		return Device, reason{rule: byLittle, n: [4]float64{float64(v.numDays), float64(v.numOut), float64(v.numIn)}}
	}
	if own && (v.outside > 0 || v.numOut >= 3 || v.find(SMB) != nil || v.find(Kerberos) != nil || v.find(HTTPS) != nil || v.find(HTTP) != nil) {
		lease := 0.0
		if v.lease {
			lease = 1
		}
		return Workstation, reason{rule: byInitiating, n: [4]float64{share, float64(all), float64(v.numIn), lease}}
	}
	best, most := v.mainService(days)
	_, d := serves(best)
	why := reason{rule: byServing, service: best, n: [4]float64{float64(most), float64(d), float64(v.numOut)}}
	switch {
	case most >= many && 2*v.answered >= v.initiated && best == DNS && v.resolves:
		return Resolver, reason{rule: byResolving, n: why.n}
	case most >= many && 2*v.answered >= v.initiated:
		return roleFor(best), why
	case most >= 3 && d >= serverDays && v.answered >= v.initiated: // few clients, but again and again
		return roleFor(best), why
	case most >= 2 && v.answered >= fewContacts && v.answered >= 4*v.initiated: // few clients, but it does little else
		return roleFor(best), why
	}
	return Unknown, reason{}
}

// preference is which of a server's services names it: those of a trade before files and pages, which many serve besides.
var preference = []Service{
	Mail, MSSQL, Oracle, MySQL, PostgreSQL, Print, WSUS, SCCM, SMB, NFS, FTP, DNS, HTTP, HTTPS, LDAP, Kerberos, NTP, Syslog, SIP, MQTT, Modbus, RDP, SSH,
}

// mainService is the service that names a server, with its clients: the first of preference that a quarter as many use
// as the most used one; of a trade's, eight clients will do.
func (v *node) mainService(days int) (best Service, clients uint32) {
	most := uint32(0)
	for i := range v.services {
		if u := &v.services[i]; roleFor(u.service) != Unknown && bits.OnesCount64(u.inDays) >= days {
			most = max(most, u.clients)
		}
	}
	for _, s := range preference {
		isTrade := s == Mail || s == MSSQL || s == Oracle || s == MySQL || s == PostgreSQL || s == Print
		if u := v.find(s); u != nil && bits.OnesCount64(u.inDays) >= days && u.clients > 0 && (4*u.clients >= most || isTrade && u.clients >= manyClients) {
			return s, u.clients
		}
	}
	return NoService, 0
}

// isDevice says that a host is a printer, a camera or the like: up for days, with few contacts, none of which a person's
// or a server's machine could do without.
func (v *node) isDevice() bool {
	if v.numDays < serverDays || v.numOut > 4 || v.numIn >= manyClients && v.find(Print) == nil || v.outside*2 > v.initiated+v.answered {
		return false
	}
	for i := range v.services {
		switch u := &v.services[i]; u.service {
		case Kerberos, LDAP, SMB, AdminShare, RPC, RemoteExec, RDP, WinRM, SSH, MSSQL, Oracle, MySQL, PostgreSQL, DNS:
			if u.service != DNS || u.clients > 0 {
				return false
			}
		}
	}
	return v.find(Print) == nil || v.numIn < manyClients
}

// roleFor is the role of who serves a service to many.
func roleFor(s Service) Role {
	switch s {
	case SMB, NFS, FTP:
		return FileServer
	case MSSQL, Oracle, MySQL, PostgreSQL:
		return DatabaseServer
	case HTTP, HTTPS:
		return WebServer
	case Mail:
		return MailServer
	case Print:
		return PrintServer
	case WSUS, SCCM:
		return Deployment
	case DNS, LDAP, Kerberos, NTP, Syslog, SIP, MQTT, Modbus:
		return Server
	case RDP, SSH:
		return Server
	}
	return Unknown
}

// ranSomething says that a host ran something on another.
func (g *Graph) ranSomething(v *node) bool {
	for i := v.outs; i != 0; i = g.edges.at(i).nextOut {
		if e := g.edges.at(i); e.op != NoOp {
			return true
		}
	}
	return false
}

// wide tells the hosts that reach many others as their work. It looks at every edge, so at most once an hour.
func (g *Graph) wide(v *node, hosts int) (Role, reason) {
	if g.watched() < sweepDays {
		return Unknown, reason{}
	}
	if g.now.Sub(v.looked) < lookAgain { // as it was
		if v.role >= JumpHost && v.role <= Backup && v.role != Scanner && v.why.rule != byConfig {
			return v.role, v.why
		}
		return Unknown, reason{}
	}
	v.looked = g.now
	var servers, admin, probes, taken int
	var adminDays uint64
	var hours uint32
	var in float64                  // bytes a day
	var admins [64]flows.HostNumber // distinct servers, as far as it matters
	numAdmins := 0
	usual := make([]flows.HostNumber, 0, habits) // servers that it administers again and again
	for i := v.outs; i != 0; i = g.edges.at(i).nextOut {
		e := g.edges.at(i)
		servers++
		if e.service.Admin() {
			admin++
			if !slices.Contains(admins[:numAdmins], e.server) && numAdmins < len(admins) {
				admins[numAdmins] = e.server
				numAdmins++
			}
			adminDays |= e.shifted(g.now)
			if !slices.Contains(usual, e.server) && bits.OnesCount64(e.days) >= habitDays && len(usual) < cap(usual) {
				usual = append(usual, e.server)
			}
		}
		if bits.OnesCount64(e.days) >= sweepDays && e.n > 0 && float64(e.up+e.down)/float64(e.n) <= probeBytes {
			if h := e.dayHours(); bits.OnesCount32(h) >= probeHours {
				probes++
				hours |= h
			}
		}
		if d := bits.OnesCount64(e.days); d >= sweepDays && float64(e.down) >= backupRatio*float64(e.up) {
			taken++
			in += float64(e.down) / float64(d)
		}
	}
	var sources int
	for i := v.ins; i != 0; i = g.edges.at(i).nextIn {
		e := g.edges.at(i)
		if e.service.Admin() {
			sources += max(1, e.numUsers())
		}
		if d := bits.OnesCount64(e.days); d >= sweepDays && float64(e.up) >= backupRatio*float64(e.down) {
			taken++
			in += float64(e.up) / float64(d)
		}
	}
	n := bits.OnesCount64(adminDays)
	if len(usual) < habits { // who reaches many, each once, may be an intruder on his way
		n = 0
	}
	switch {
	case probes >= probed:
		return Monitoring, reason{rule: byProbes, n: [4]float64{float64(probes), float64(bits.OnesCount32(hours)), probeBytes}}
	case taken >= backedUp && in >= backupBytes:
		return Backup, reason{rule: byBackup, n: [4]float64{float64(taken), in}}
	}
	for i := range v.services {
		u := &v.services[i]
		if !u.service.Admin() && u.service != SMB || float64(u.servers) < wideShare*float64(hosts) || u.servers < jumpTargets || bits.OnesCount64(u.outDays) < sweepDays {
			continue
		}
		if spread := g.spread(v, u.service); spread <= evenSpread {
			return Deployment, reason{rule: byPush, service: u.service, n: [4]float64{float64(u.servers), float64(hosts), spread}}
		}
	}
	switch {
	case sources >= jumpSources && numAdmins >= jumpTargets && n >= jumpDays:
		return JumpHost, reason{rule: byJump, n: [4]float64{float64(sources), float64(numAdmins), float64(n)}}
	case numAdmins >= manyAdmitted && n >= jumpDays:
		return Administrator, reason{rule: byAdmin, n: [4]float64{float64(numAdmins), float64(n)}}
	}
	return Unknown, reason{}
}

// spread is the standard deviation of what a host sends to each server of a service, over its mean.
func (g *Graph) spread(v *node, s Service) float64 {
	var n, sum, squares float64
	for i := v.outs; i != 0; i = g.edges.at(i).nextOut {
		if e := g.edges.at(i); e.service == s && e.n > 0 {
			x := float64(e.up) / float64(e.n)
			n, sum, squares = n+1, sum+x, squares+x*x
		}
	}
	if n == 0 || sum == 0 {
		return math.Inf(1)
	}
	mean := sum / n
	return math.Sqrt(max(0, squares/n-mean*mean)) / mean
}

// shifted is the days of an edge with bit 0 for today.
func (e *edge) shifted(now packet.Time) uint64 {
	if n := day(now) - day(e.last); n < 64 {
		return e.days << max(n, 0)
	}
	return 0
}

// dayHours is the hours of the day in which an edge was used, on any day of the week.
func (e *edge) dayHours() (out uint32) {
	for h := range 168 {
		if e.hours[h/8]>>(h%8)&1 == 1 {
			out |= 1 << (h % 24)
		}
	}
	return out
}

func (e *edge) numUsers() (n int) {
	for _, u := range e.users {
		if u != 0 {
			n++
		}
	}
	return n
}

// text says why, in words and numbers.
func (r *reason) text(asset string) string {
	n := r.n
	switch r.rule {
	case byConfig:
		return fmt.Sprintf("the configuration says %q", asset)
	case byMachines:
		return "three machine accounts or more got tickets from its address"
	case byProxy:
		return fmt.Sprintf("serves as a proxy to %.0f hosts on %s", n[0], count(n[1], "day"))
	case byAgents:
		return fmt.Sprintf("%.0f kinds of TLS clients stand behind it (a desktop has some 20, the limit is %d)", n[0], manyAgents)
	case byKDC:
		return fmt.Sprintf("answers Kerberos to %s, and %.0f of LDAP, DNS, SMB and RPC", count(n[0], "host"), n[1])
	case bySweeps:
		return fmt.Sprintf("tried at least %d hosts in vain on each of %s, and ran nothing on another host", sweep, count(n[0], "day"))
	case byPush:
		return fmt.Sprintf("reaches %.0f of %.0f hosts by %s with like amounts (spread %.2f of the mean, at most %.1f)", n[0], n[1], r.service, n[2], evenSpread)
	case byProbes:
		return fmt.Sprintf("asks %.0f hosts in %.0f hours of the day, at most %.0f kB a time", n[0], n[1], n[2]/1000)
	case byBackup:
		return fmt.Sprintf("takes %.1f GB a day from %.0f hosts, ten times what it gives them at least", n[1]/1e9, n[0])
	case byJump:
		return fmt.Sprintf("%.0f hosts or users administer it, and from it %.0f hosts are administered, on %s", n[0], n[1], count(n[2], "day"))
	case byAdmin:
		return fmt.Sprintf("administers %.0f hosts, on %s", n[0], count(n[1], "day"))
	case byServing:
		return fmt.Sprintf("serves %s to %s on %s, and uses %s of others", r.service, count(n[0], "host"), count(n[1], "day"), count(n[2], "service"))
	case byResolving:
		return fmt.Sprintf("resolves names for %.0f hosts, and asks name servers outside", n[0])
	case byInitiating:
		text := fmt.Sprintf("%.0f %% of its %.0f connections are its own; its services are used in %s", 100*n[0], n[1], count(n[2], "way"))
		if n[3] > 0 {
			text += "; it has a DHCP lease"
		}
		return text
	case byLittle:
		return fmt.Sprintf("has %s out and %s in over %s, none of a person's or a server's machine", count(n[1], "edge"), count(n[2], "edge"), count(n[0], "day"))
	}
	return "too little was seen of it"
}

// count writes a number of things.
func count(n float64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%.0f %ss", n, thing)
}
