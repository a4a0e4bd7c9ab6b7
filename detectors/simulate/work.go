package simulate

import (
	"fmt"
	"time"

	"neuromast/detectors/acts"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// begin has every host start its life.
func (s *site) begin() {
	for _, h := range s.hosts {
		switch h.role {
		case workstation:
			s.at(s.now.Add(s.exp(time.Minute)), func() { s.workday(h) })
		case controller:
			s.every(h, time.Hour, time.Hour, s.replicate)
		case application:
			s.every(h, 4*time.Hour, 4*time.Hour, s.serve)
			switch n := len(s.byRole[application]); h {
			case s.byRole[application][0]:
				s.nightly(h, 3*time.Hour, s.identities)
			case s.byRole[application][min(1, n-1)]:
				s.nightly(h, 9*time.Hour, s.front)
			}
		case mailServer:
			s.every(h, 20*time.Minute, 20*time.Minute, s.addresses)
		case linux:
			s.every(h, 8*time.Hour, 4*time.Hour, s.update)
		case monitoring:
			s.every(h, time.Hour, 0, s.poll)
		case backup:
			s.nightly(h, 22*time.Hour, s.copy)
		case scanner:
			s.nightly(h, 23*time.Hour, s.assess)
		case deployment:
			s.nightly(h, 10*time.Hour, s.deploy)
			s.nightly(h, 4*time.Hour, s.distribute)
		case printer, thing:
			s.every(h, 4*time.Hour, 4*time.Hour, s.idle)
		case gateway:
			s.at(s.now.Add(7*time.Hour), func() { s.remote(h) })
		}
		if h.windows() && h.role != workstation && h.role != controller {
			s.every(h, 90*time.Minute, 90*time.Minute, s.renew)
		}
	}
	s.trouble()
	s.fallbacks()
}

// every repeats something; jitter spreads the first time.
func (s *site) every(h *host, period, jitter time.Duration, do func(*host)) {
	var next func()
	next = func() {
		if h.down <= s.now {
			do(h)
		}
		s.at(s.now.Add(period+time.Duration(s.rng.Int64N(int64(period/20)+1))), next)
	}
	s.at(s.now.Add(time.Duration(s.rng.Int64N(int64(jitter)+1))), next)
}

// nightly does something once a day at an hour.
func (s *site) nightly(h *host, hour time.Duration, do func(*host)) {
	var next func()
	next = func() {
		do(h)
		s.at(morning(s.now).Add(24*time.Hour+hour+time.Duration(s.rng.Int64N(int64(10*time.Minute)))), next)
	}
	s.at(morning(s.now).Add(hour), next)
}

// workday is a workstation's day; the next one is asked for at its start.
func (s *site) workday(h *host) {
	today := morning(s.now)
	s.at(today.Add(24*time.Hour+time.Duration(s.rng.Int64N(int64(time.Minute)))), func() { s.workday(h) })
	present := 0.92
	if weekend(today) {
		present = 0.03
	}
	if !s.chance(present) {
		return
	}
	arrives := today.Add(8*time.Hour + 30*time.Minute + time.Duration(s.rng.NormFloat64()*float64(40*time.Minute)))
	h.next = arrives.Add(8*time.Hour + 30*time.Minute + time.Duration(s.rng.NormFloat64()*float64(40*time.Minute)))
	s.at(arrives, func() { s.arrive(h) })
}

// arrive is the start of a day: a lease, the network's neighbours, the domain, the person.
func (s *site) arrive(h *host) {
	h.here = true
	a, at := s.honest, s.now
	renew := s.chance(0.8)
	a.Lease(at, h.mac, h.addr, h.dc.addr, h.router(), s.byRole[controller][0].addr, h.name, renew)
	if other := s.some(controller); !renew && other != h.dc { // two servers share the leases: both offer
		a.Offer(at.Add(3*time.Millisecond), h.mac, h.addr, other.addr, h.router(), s.byRole[controller][0].addr)
	}
	a.Resolve(at.Add(time.Second), h.addr, h.mac, h.router(), s.lives)
	a.Ask(at.Add(2*time.Second), h.addr, h.dc.addr, "_ldap._tcp.dc._msdcs."+domain, 33, "0 100 389 "+h.dc.name+"."+domain)
	at = a.SecureChannel(at.Add(3*time.Second), h.addr, h.dc.addr)
	computer := acts.Account{Domain: netbio, User: h.name + "$", KDC: h.dc.addr}
	at = a.Kerberos(at, h.addr, h.dc.addr, computer.User)
	at = a.Directory(at, h.addr, h.dc.addr, computer, true, acts.LogonSearches(root, computer.User)...)
	at = a.Policy(at, h.addr, h.dc.addr, computer, domain)
	at = at.Add(s.exp(2 * time.Minute))
	if s.chance(0.05) { // fingers
		for range 1 + s.rng.IntN(2) {
			at = a.KerberosFails(at, h.addr, h.dc.addr, h.user, 24).Add(5 * time.Second)
		}
	}
	at = a.Kerberos(at, h.addr, h.dc.addr, h.user)
	if s.chance(0.15) {
		at = a.CrackNames(at, h.addr, h.dc.addr, h.account())
	}
	at = a.Directory(at, h.addr, h.dc.addr, h.account(), s.chance(0.7), acts.LogonSearches(root, h.user)...)
	at = a.Policy(at, h.addr, h.dc.addr, h.account(), domain)
	at = a.Work(at, h.addr, h.files.addr, h.account(), "Team", 1, 0, time.Second)
	if s.chance(0.04) { // a link to a server that is no more
		a.Down(at, h.addr, some(s.rng, s.gone), 445)
	}
	if s.chance(0.003) { // a new password
		s.password(h, at)
	}
	s.busy(h)
}

// password is a person who changes their own.
func (s *site) password(h *host, at packet.Time) {
	s.did(h.addr, "person changes the password")
	s.honest.SetOwnPassword(at, h.addr, h.dc.addr, h.account())
	s.honest.BackupKey(at.Add(time.Minute), h.addr, h.dc.addr, h.account())
}

// things that people do, by how often in a day of eight hours.
const (
	visits   = 24.0
	mails    = 6.0
	fileWork = 6.0
	intranet = 4.0
	prints   = 0.6
	tickets  = 3.0
	typos    = 0.4
	calls    = 0.4
	uploads  = 0.15
	updates  = 1.5
	policies = 2.0
	peers    = 0.5
	shared   = 0.004
	others   = 0.3
	links    = 0.4
)

// pace cumulates those rates, the bulk thinned by volume; what is rare stays as it is.
func pace(volume float64) (out []float64) {
	sum := 0.0
	for _, n := range []float64{
		visits * volume, mails * volume, fileWork * volume, intranet * volume, prints, tickets * volume, typos, calls, uploads, updates, policies, peers, shared, others, links,
	} {
		sum += n
		out = append(out, sum)
	}
	return out
}

// busy is the next thing that a person does.
func (s *site) busy(h *host) {
	rate := s.pace[len(s.pace)-1]
	s.at(s.now.Add(s.exp(time.Duration(float64(8*time.Hour)/rate))), func() {
		if s.now > h.next {
			h.here = false
			return
		}
		x, what := s.rng.Float64()*rate, 0
		for s.pace[what] < x {
			what++
		}
		s.act(h, what)
		s.busy(h)
	})
}

const browser = "t13d1516h2_8daaf6152771_02713d6af862"

// act does one of the things.
func (s *site) act(h *host, what int) {
	a, now := s.honest, s.now
	switch what {
	case 0: // a page
		name, at := s.popular()
		a.Ask(now, h.addr, h.dc.addr, name, 1, at.String())
		a.TLS(now.Add(30*time.Millisecond), h.addr, at, 443, name, browser, s.exp(30*time.Second), uint64(2000+s.rng.IntN(20000)), uint64(s.rng.ExpFloat64()*400000))
	case 1: // mail
		mx := s.byRole[mailServer][int(h.addr[15])%len(s.byRole[mailServer])]
		a.TLS(now, h.addr, mx.addr, 443, mx.name+"."+domain, browser, s.exp(time.Minute), uint64(3000+s.rng.IntN(30000)), uint64(s.rng.ExpFloat64()*80000))
	case 2:
		server := h.files
		if s.chance(0.1) {
			server = s.some(fileServer)
		}
		a.Ask(now, h.addr, h.dc.addr, s.name(server.addr), 1, server.addr.String())
		if server.down > now {
			a.Down(now, h.addr, server.addr, 445)
			return
		}
		if int(server.addr[15])%3 == 0 { // this one encrypts
			a.SealedWork(now, h.addr, server.addr, h.account(), uint64(s.rng.ExpFloat64()*200000), uint64(s.rng.ExpFloat64()*400000))
			return
		}
		a.Work(now, h.addr, server.addr, h.account(), "Team", 1+s.rng.IntN(3), s.rng.IntN(3), 20*time.Second)
	case 3:
		app := s.some(application)
		if s.chance(0.7) { // most use few
			app = s.byRole[application][int(h.addr[15])%min(5, len(s.byRole[application]))]
		}
		a.Ask(now, h.addr, h.dc.addr, s.name(app.addr), 1, app.addr.String())
		if app.down > now {
			a.Down(now, h.addr, app.addr, 443)
			return
		}
		a.TLS(now.Add(20*time.Millisecond), h.addr, app.addr, 443, s.name(app.addr), browser, s.exp(40*time.Second), 6000, uint64(s.rng.ExpFloat64()*100000))
	case 4:
		a.Print(now, h.addr, h.prints.addr, h.account(), "floor2")
	case 5:
		service := "http/" + s.name(s.some(application).addr)
		cipher := int8(18)
		if s.chance(0.05) { // an old appliance that only knows RC4
			service, cipher = fmt.Sprintf("http/legacy%d.%s", s.rng.IntN(3), domain), 23
		}
		a.Ticket(now, h.addr, h.account(), service, cipher)
	case 6: // a name that isn't
		a.Ask(now, h.addr, h.dc.addr, fmt.Sprintf("intranett%d.%s", s.rng.IntN(20), domain), 1)
	case 7: // a call
		out := addr4(52, 112, byte(s.rng.IntN(8)), byte(1+s.rng.IntN(250)))
		lasts := s.exp(30 * time.Minute)
		a.Datagrams(now, h.addr, out, 3478, flows.AppSTUN, time.Second, 200, 200)
		a.Datagrams(now.Add(time.Second), h.addr, out, 3480, flows.AppRTP, lasts, uint64(lasts.Seconds()*90000), uint64(lasts.Seconds()*110000))
	case 8: // files into the cloud
		up := uint64(s.rng.ExpFloat64() * 200e6)
		a.TLS(now, h.addr, addr4(13, 107, 42, byte(1+s.rng.IntN(20))), 443, "content.cloud.example", browser, time.Duration(up/2)*time.Microsecond, up, 200000)
	case 9:
		a.Ask(now, h.addr, h.dc.addr, "update.vendor.example", 1, "203.0.113.40")
		a.HTTP(now.Add(20*time.Millisecond), h.addr, addr4(203, 0, 113, 40), 80, "GET", "update.vendor.example", "/v2/check", "Vendor-Update/4.1", 1, time.Second, 0, 700)
	case 10:
		a.Policy(now, h.addr, h.dc.addr, acts.Account{Domain: netbio, User: h.name + "$", KDC: h.dc.addr}, domain)
	case 11: // updates from peers: some are gone
		for range 3 {
			p := s.some(workstation)
			if p.addr[14] != h.addr[14] || p == h {
				continue
			}
			if p.here {
				a.Flow(now, h.addr, p.addr, 7680, flows.AppUnknown, 20*time.Second, 3000, 2e6)
			} else {
				a.Down(now, h.addr, p.addr, 7680)
			}
		}
	case 12: // a folder that a colleague shares
		if p := s.some(workstation); p != h && p.here {
			a.Work(now, h.addr, p.addr, h.account(), "Exchange", 2, 1, 10*time.Second)
		}
	case 14: // a name of the neighbourhood, that DNS doesn't know
		p := s.some(workstation)
		if s.chance(0.3) {
			p = s.some(printer)
		}
		if p != h && p.addr[14] == h.addr[14] && (p.here || p.role == printer) {
			a.Link(now, h.addr, p.addr, p.name)
		}
	case 13: // another server than usual
		server := s.some(application)
		a.Flow(now, h.addr, server.addr, 443, flows.AppTLS, s.exp(time.Minute), 4000, 90000)
	}
}

// renew is a Windows server's own upkeep.
func (s *site) renew(h *host) {
	computer := acts.Account{Domain: netbio, User: h.name + "$", KDC: h.dc.addr}
	s.honest.Policy(s.now, h.addr, h.dc.addr, computer, domain)
	if s.chance(0.1) {
		at := s.honest.SecureChannel(s.now, h.addr, h.dc.addr)
		s.honest.Kerberos(at, h.addr, h.dc.addr, computer.User)
	}
}

// replicate is what controllers do among themselves.
func (s *site) replicate(h *host) {
	other := s.some(controller)
	if other == h {
		return
	}
	computer := acts.Account{Domain: netbio, User: h.name + "$", KDC: h.addr}
	s.honest.Kerberos(s.now, h.addr, other.addr, computer.User)
	s.honest.SecureChannel(s.now.Add(time.Second), h.addr, other.addr)
	s.honest.Replicate(s.now.Add(2*time.Second), h.addr, other.addr, computer)
}

// serve is an application with its database.
func (s *site) serve(h *host) {
	db := s.byRole[database][int(h.addr[15])%len(s.byRole[database])]
	a := s.honest
	a.Kerberos(s.now, h.addr, h.dc.addr, h.user)
	a.Ticket(s.now.Add(time.Second), h.addr, h.account(), "MSSQLSvc/"+s.name(db.addr)+":1433", 18)
	a.Statement(s.now.Add(2*time.Second), h.addr, db.addr, h.user, "Orders",
		fmt.Sprintf("SELECT id, state FROM orders WHERE customer = %d", s.rng.IntN(100000)), "UPDATE orders SET state = 3 WHERE id = 4711")
	if int(h.addr[15])%7 == 0 { // a nightly job of an old programmer
		if _, of := clockOf(s.now); of < 4*time.Hour {
			a.Statement(s.now.Add(time.Minute), h.addr, db.addr, h.user, "SQLAgent", "EXEC master..xp_cmdshell 'bcp orders out d:\\export\\orders.csv'")
		}
	}
}

// identities is the nightly run of a program that manages identities: it takes the whole directory, with its rights.
func (s *site) identities(h *host) {
	n := uint32(s.cfg.Hosts)
	s.did(h.addr, "identities synchronised")
	s.honest.Directory(s.now, h.addr, h.dc.addr, h.account(), false,
		acts.Search{Base: root, Filter: "(&(objectCategory=person)(objectClass=user))", Attributes: "sAMAccountName mail memberOf", Entries: n, PageSize: 1000, Scope: 2},
		acts.Search{Base: root, Filter: "(objectClass=group)", Attributes: "member nTSecurityDescriptor", Entries: n / 3, PageSize: 1000, Scope: 2, SDFlags: true})
}

// addresses is a mail server that looks people up.
func (s *site) addresses(h *host) {
	s.honest.Directory(s.now, h.addr, h.dc.addr, h.account(), s.chance(0.5),
		acts.Search{Base: root, Filter: fmt.Sprintf("(proxyAddresses=smtp:u%05d@%s)", s.rng.IntN(900), domain), Attributes: "mail homeMDB", Entries: 1, Scope: 2},
		acts.Search{Base: "CN=Configuration," + root, Filter: "(objectClass=msExchExchangeServer)", Attributes: "serverRole", Entries: 4, Scope: 2})
}

// update is a Linux server that looks for packages, and automation that comes by.
func (s *site) update(h *host) {
	a := s.honest
	a.Ask(s.now, h.addr, h.dc.addr, "deb.mirror.example", 1, "203.0.113.80")
	a.HTTP(s.now.Add(time.Second), h.addr, addr4(203, 0, 113, 80), 80, "GET", "deb.mirror.example", "/dists/stable/InRelease", "Debian APT-HTTP/1.3", 3, time.Second, 0, 90000)
	a.SSHCommand(s.now.Add(time.Minute), s.byRole[jump][0].addr, h.addr, uint64(s.rng.IntN(200000)))
}

// poll is monitoring: everything answers a ping, servers are asked for more.
func (s *site) poll(h *host) {
	at := s.now
	s.did(h.addr, "monitoring polls")
	for _, o := range s.hosts {
		if o.role == workstation || o == h || o.role == thing {
			continue
		}
		at = at.Add(200 * time.Millisecond)
		s.honest.Ping(at, h.addr, o.addr, 2, o.down <= s.now)
		s.honest.Datagrams(at.Add(time.Second), h.addr, o.addr, 161, flows.AppSNMP, time.Second, 900, 4000)
		if o.windows() && o.role != controller && s.chance(0.25) {
			who := acts.Account{Domain: netbio, User: "svc-mon", KDC: o.dc.addr}
			s.honest.Inventory(at.Add(2*time.Second), h.addr, o.addr, who, 6)
			s.honest.Services(at.Add(4*time.Second), h.addr, o.addr, who, 14, 16, 6)
		}
	}
}

// copy is the night's backup.
func (s *site) copy(h *host) {
	at := s.now
	s.did(h.addr, "nightly backup")
	who := acts.Account{Domain: netbio, User: "svc-backup", KDC: h.dc.addr}
	s.honest.Kerberos(at, h.addr, h.dc.addr, who.User)
	for _, r := range []role{fileServer, database, application, mailServer} {
		for _, o := range s.byRole[r] {
			at = at.Add(40 * time.Second)
			if o.down > s.now {
				s.honest.Down(at, h.addr, o.addr, 445)
				continue
			}
			s.honest.Work(at, h.addr, o.addr, who, "D$", 3, 0, time.Second)
			s.honest.Flow(at, h.addr, o.addr, 9392, flows.AppUnknown, 10*time.Minute, 1e6, uint64(1e9+s.rng.ExpFloat64()*8e9))
		}
	}
}

// assess is the vulnerability scanner's week: a quarter of the networks each night but the week-end's, some with an account.
func (s *site) assess(h *host) {
	day, _ := clockOf(s.now)
	if day >= 4 {
		return
	}
	who := acts.Account{Domain: netbio, User: "svc-scan"}
	list := []uint16{21, 22, 23, 25, 80, 111, 135, 139, 443, 445, 1433, 3306, 3389, 5432, 5900, 5985, 8080, 8443}
	every := 6 * time.Hour / time.Duration(len(s.hosts)/4*len(list)+1)
	i, k := day, 0
	var next func()
	next = func() { // one port at a time: the queue stays small
		if i >= len(s.hosts) {
			return
		}
		o := s.hosts[i]
		if o != h {
			s.did(h.addr, "vulnerability scanner's night")
			s.honest.Try(s.now, h.addr, o.addr, list[k])
			if k == 0 && o.addr[12] == 10 {
				s.honest.Resolve(s.now, o.router(), routerMAC(o.addr), o.addr, s.lives)
			}
			if list[k] == 445 && o.windows() && o.role != workstation {
				s.honest.Shares(s.now.Add(time.Second), h.addr, o.addr, who)
				s.honest.Accounts(s.now.Add(3*time.Second), h.addr, o.addr, who)
			}
			if list[k] == 22 && o.role == linux {
				s.honest.Guess(s.now.Add(time.Second), h.addr, o.addr, 3, 5*time.Second, false)
			}
		}
		if k++; k == len(list) {
			i, k = i+4, 0
		}
		s.at(s.now.Add(every), next)
	}
	next()
}

// deploy is software deployment: clients that are new or broken get its agent pushed, each once.
func (s *site) deploy(h *host) {
	if weekend(s.now) {
		return
	}
	who := acts.Account{Domain: netbio, User: "svc-deploy", KDC: h.dc.addr}
	for i := range s.cfg.share(2) {
		o := s.some(workstation)
		s.at(s.now.Add(time.Duration(i)*7*time.Minute), func() {
			if o.here {
				s.did(h.addr, "deployment to single workstations")
				s.honest.Install(s.now, h.addr, o.addr, who, `ccmsetup\ccmsetup.exe`, "ccmsetup")
			}
		})
	}
}

// distribute is the night in which new programs go to the distribution point, from which it goes on to a branch's server;
// clients fetch them there.
func (s *site) distribute(h *host) {
	point := s.byRole[fileServer][0]
	who := acts.Account{Domain: netbio, User: "svc-deploy", KDC: h.dc.addr}
	s.did(h.addr, "programs to the distribution point")
	at := s.honest.CopyTool(s.now, h.addr, point.addr, who, fmt.Sprintf(`SCCMContentLib\p%d.exe`, s.rng.IntN(4000)))
	s.at(at.Add(5*time.Minute), func() {
		s.did(point.addr, "distribution point passes programs on")
		branch := s.byRole[fileServer][len(s.byRole[fileServer])-1]
		if branch != point {
			s.honest.CopyTool(s.now, point.addr, branch.addr, who, fmt.Sprintf(`SCCMContentLib\p%d.exe`, s.rng.IntN(4000)))
		}
	})
}

// front is a server that passes people's long transfers on to one behind it, a few a day.
func (s *site) front(h *host) {
	if weekend(s.now) {
		return
	}
	behind := s.byRole[application][min(2, len(s.byRole[application])-1)]
	for range 1 + s.rng.IntN(4) {
		s.at(s.now.Add(time.Duration(s.rng.Int64N(int64(8*time.Hour)))), func() {
			if o := s.some(workstation); o.here {
				s.did(h.addr, "reverse proxy")
				s.did(o.addr, "transfer through a reverse proxy")
				s.honest.Pass(s.now, o.addr, h.addr, behind.addr, 443, 8443, 9+s.rng.IntN(20))
			}
		})
	}
}

// idle is a printer or a thing: a lease, its cloud, the time.
func (s *site) idle(h *host) {
	a := s.honest
	a.Lease(s.now, h.mac, h.addr, h.dc.addr, h.router(), s.byRole[controller][0].addr, h.name, true)
	a.Ask(s.now.Add(time.Second), h.addr, h.dc.addr, "telemetry.things.example", 1, "198.51.100.7")
	a.TLS(s.now.Add(2*time.Second), h.addr, addr4(198, 51, 100, 7), 443, "telemetry.things.example", "t12d0907h1_ba8e8a3cd2a9_de3eb69493ac", 2*time.Second, 2500, 1500)
	a.Datagrams(s.now.Add(3*time.Second), h.addr, h.dc.addr, 123, flows.AppNTP, time.Second, 48, 48)
}

// remote is the VPN gateway: many people behind one address log on, some with the wrong password.
func (s *site) remote(h *host) {
	people := s.cfg.share(40)
	for i := range people {
		user := fmt.Sprintf("u%05d", 20000+i)
		s.at(s.now.Add(s.exp(90*time.Minute)), func() {
			at := s.now
			if s.chance(0.12) {
				at = s.honest.KerberosFails(at, h.addr, h.dc.addr, user, 24).Add(4 * time.Second)
			}
			at = s.honest.Kerberos(at, h.addr, h.dc.addr, user)
			s.honest.Work(at, h.addr, h.files.addr, acts.Account{Domain: netbio, User: user, KDC: h.dc.addr}, "Team", 1, 1, 10*time.Second)
		})
	}
	next := morning(s.now).Add(31 * time.Hour)
	for weekend(next) {
		next = next.Add(24 * time.Hour)
	}
	s.at(next, func() { s.remote(h) })
}
