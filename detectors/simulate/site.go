package simulate

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"neuromast/detectors/acts"
	"neuromast/sensor/packet"
)

// role is what a host is for.
type role uint8

// The roles.
const (
	workstation role = iota
	controller
	fileServer
	printServer
	database
	application // on Windows
	linux
	mailServer
	jump
	deployment
	monitoring
	backup
	scanner
	printer
	thing // camera, badge reader, television
	gateway
	numRoles
)

var roleNames = [numRoles]string{
	"workstation", "controller", "file server", "print server", "database", "application server", "Linux server", "mail server", "jump host",
	"deployment", "monitoring", "backup", "scanner", "printer", "thing", "VPN gateway",
}

// ports are what a host of a role answers on; the first that are asked come first.
var ports = [numRoles][]uint16{
	workstation: {445, 135, 3389}, controller: {53, 88, 389, 445, 135, 636, 3268}, fileServer: {445, 135, 3389, 5985}, printServer: {445, 135, 3389},
	database: {1433, 445, 135, 3389, 5985}, application: {80, 443, 445, 135, 3389, 5985}, linux: {22, 80, 443}, mailServer: {25, 443, 445, 135, 3389, 5985},
	jump: {3389, 445, 135, 22}, deployment: {80, 443, 445, 135, 3389}, monitoring: {443, 22}, backup: {445, 135, 3389}, scanner: {443, 22},
	printer: {9100, 80, 161, 631}, thing: {80, 554}, gateway: {443},
}

const (
	realm  = "CORP.EXAMPLE"
	domain = "corp.example"
	netbio = "CORP"
	root   = "DC=corp,DC=example"
)

// host is one machine.
type host struct {
	addr packet.Addr
	mac  packet.MAC
	name string
	role role
	user string // the person's, or the service's account
	dc   *host
	files,
	prints *host
	here  bool // the person is at work
	admin bool
	down  packet.Time // not answering until then
	next  packet.Time // end of the day's work
}

// site is the enterprise.
type site struct {
	clock
	cfg    Config
	honest *acts.Scene
	rng    *rand.Rand
	hosts  []*host
	byRole [numRoles][]*host
	byAddr map[packet.Addr]*host
	admins []*admin
	zipf   []float64 // cumulated popularity of names outside
	pace   []float64 // of what people do
	gone   []packet.Addr
	plan   []*Intrusion
	jumps  []jumped
	deeds  map[packet.Addr][]deed
}

// deed is something that a host did and that could look bad, so that a report can say what set a rule off.
type deed struct {
	at   packet.Time
	what string
}

// did writes a deed down. Of those that a host repeats the last is enough.
func (s *site) did(a packet.Addr, what string) {
	list := s.deeds[a]
	if n := len(list); n > 0 && list[n-1].what == what && s.now.Sub(list[n-1].at) < 5*time.Minute {
		return
	}
	s.deeds[a] = append(list, deed{s.now, what})
}

// why says what a host did lately before a time, else what kind of host it is.
func (s *site) why(a packet.Addr, at packet.Time) string {
	list := s.deeds[a]
	for i := len(list) - 1; i >= 0; i-- {
		if d := list[i]; d.at <= at.Add(time.Second) && at.Sub(d.at) < 2*time.Hour {
			return d.what
		}
	}
	return s.kind(a)
}

// addr4 makes an address of the site.
func addr4(a, b, c, d byte) packet.Addr { return packet.AddrFrom4([]byte{a, b, c, d}) }

// share is so many of a thousand hosts, one at least.
func (c *Config) share(perThousand float64) int {
	return max(1, int(math.Round(float64(c.Hosts)*perThousand/1000)))
}

func newSite(cfg Config) *site {
	s := &site{cfg: cfg, byAddr: map[packet.Addr]*host{}, deeds: map[packet.Addr][]deed{}}
	s.now, s.end = Start, Start.Add(time.Duration(cfg.Days)*24*time.Hour)
	s.honest = s.scene(1)
	s.rng = s.honest.Rand
	s.pace = pace(cfg.Volume)
	counts := [numRoles]int{
		controller: max(2, cfg.share(1.2)), fileServer: cfg.share(6), printServer: cfg.share(2), database: cfg.share(8), application: cfg.share(30),
		linux: cfg.share(30), mailServer: cfg.share(1), jump: cfg.share(2), deployment: 1, monitoring: 1, backup: 1, scanner: 1,
		printer: cfg.share(20), thing: cfg.share(60), gateway: 1,
	}
	used := 0
	for _, n := range counts {
		used += n
	}
	counts[workstation] = max(1, cfg.Hosts-used)
	for r, n := range counts {
		for i := range n {
			s.add(role(r), i)
		}
	}
	for _, h := range s.hosts {
		s.wire(h)
	}
	sum := 0.0
	for i := range 5000 {
		sum += 1 / math.Pow(float64(i+1), 0.9)
		s.zipf = append(s.zipf, sum)
	}
	for i := range 6 { // servers that are no more, but that clients still know
		s.gone = append(s.gone, addr4(10, 0, 200, byte(10+i)))
	}
	s.hire()
	return s
}

// add puts a host into its network: servers, people, things each have networks of 200 hosts.
func (s *site) add(r role, i int) *host {
	h := &host{role: r, name: fmt.Sprintf("%s%d", map[role]string{
		workstation: "pc", controller: "dc", fileServer: "fs", printServer: "ps", database: "sql", application: "app", linux: "lx", mailServer: "mx",
		jump: "jump", deployment: "deploy", monitoring: "mon", backup: "bak", scanner: "scan", printer: "prn", thing: "cam", gateway: "vpn",
	}[r], i+1)}
	net, n := byte(0), i+10*int(r)
	switch r {
	case workstation:
		net, n = 1, i
	case thing, printer:
		net, n = 9, i+len(s.byRole[printer])*int(r-printer)
	case linux, application:
		net, n = 2, 2*i+int(r-application)
	}
	h.addr = addr4(10, net, byte(n/200), byte(20+n%200))
	for s.byAddr[h.addr] != nil {
		n++
		h.addr = addr4(10, net, byte(n/200), byte(20+n%200))
	}
	h.mac = packet.MAC{0x00, 0x1b, 0x21, h.addr[13], h.addr[14], h.addr[15]}
	h.user = fmt.Sprintf("u%05d", i)
	if r != workstation {
		h.user = "svc-" + h.name
	}
	s.hosts = append(s.hosts, h)
	s.byRole[r] = append(s.byRole[r], h)
	s.byAddr[h.addr] = h
	return h
}

// wire tells a host which servers are its own.
func (s *site) wire(h *host) {
	k := int(binary.BigEndian.Uint32(h.addr[12:])) * 7 / 13
	pick := func(r role) *host { return s.byRole[r][k%len(s.byRole[r])] }
	h.dc, h.files, h.prints = pick(controller), pick(fileServer), pick(printServer)
}

// some draws a host of a role.
func (s *site) some(r role) *host { return some(s.rng, s.byRole[r]) }

func some[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// exp draws a waiting time.
func (s *site) exp(mean time.Duration) time.Duration {
	return time.Duration(s.rng.ExpFloat64() * float64(mean))
}

// chance says yes with a probability.
func (s *site) chance(p float64) bool { return s.rng.Float64() < p }

func (s *site) name(a packet.Addr) string {
	if h := s.byAddr[a]; h != nil {
		return h.name + "." + domain
	}
	return a.String()
}

// account is how a host's person or service logs on: by tickets of its controller.
func (h *host) account() acts.Account {
	return acts.Account{Domain: netbio, User: h.user, KDC: h.dc.addr}
}

// windows says whether a host is one of the domain.
func (h *host) windows() bool {
	switch h.role {
	case linux, printer, thing, gateway, monitoring, scanner:
		return false
	}
	return true
}

// answer is what an attempt to reach a port comes to.
func (s *site) answer(to packet.Addr, port uint16) acts.Answer {
	h := s.byAddr[to]
	if h == nil || h.down > s.now {
		return acts.Silent
	}
	for _, p := range ports[h.role] {
		if p == port {
			return acts.Accepted
		}
	}
	if h.role == workstation { // its firewall drops
		return acts.Silent
	}
	return acts.Refused
}

// lives answers ARP.
func (s *site) lives(a packet.Addr) (packet.MAC, bool) {
	if a[15] == 1 {
		return routerMAC(a), true
	}
	h := s.byAddr[a]
	if h == nil || h.down > s.now {
		return packet.MAC{}, false
	}
	return h.mac, true
}

func routerMAC(a packet.Addr) packet.MAC { return packet.MAC{0x00, 0x00, 0x5e, 0x00, 0x01, a[14]} }

// router is the gateway of a host's network.
func (h *host) router() packet.Addr {
	a := h.addr
	a[15] = 1
	return a
}

// popular draws a name outside by Zipf's law, with its address.
func (s *site) popular() (name string, at packet.Addr) {
	x := s.rng.Float64() * s.zipf[len(s.zipf)-1]
	i := sort.SearchFloat64s(s.zipf, x)
	return fmt.Sprintf("www.site%d.example.com", i), addr4(93, 184, byte(i/250), byte(1+i%250))
}

// kind names what a host is, for a report.
func (s *site) kind(a packet.Addr) string {
	h := s.byAddr[a]
	switch {
	case h == nil:
		return "outside"
	case h.admin:
		return "administrator's workstation"
	}
	return roleNames[h.role]
}
