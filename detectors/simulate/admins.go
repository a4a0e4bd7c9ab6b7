package simulate

import (
	"fmt"
	"time"

	"neuromast/detectors/acts"
	"neuromast/sensor/packet"
)

// admin is an administrator with habits.
type admin struct {
	from   *host // the own workstation
	who    acts.Account
	own    []*host // servers of every day
	jumps  bool    // goes by a jump host
	unix   bool
	tools  bool // carries PsExec
	helps  bool // is of the help desk
	keys   int  // that the agent offers before the right one
	starts packet.Time
}

// hire makes one administrator of a hundred people, three at least; a third of them is the help desk.
func (s *site) hire() {
	n := max(3, len(s.byRole[workstation])/100)
	for i := range n {
		s.employ(i, Start)
	}
}

func (s *site) employ(i int, starts packet.Time) *admin {
	h := s.byRole[workstation][(i*37+11)%len(s.byRole[workstation])]
	h.admin = true
	d := &admin{from: h, starts: starts, jumps: i%2 == 0, unix: i%4 == 1, tools: i%5 == 0, helps: i%3 == 2}
	d.who = acts.Account{Domain: netbio, User: "adm-" + h.user, KDC: h.dc.addr}
	if d.unix {
		d.keys = s.rng.IntN(5)
	}
	roles := []role{application, fileServer, database, mailServer, printServer}
	if d.unix {
		roles = []role{linux}
	}
	for range 4 {
		d.own = append(d.own, s.some(some(s.rng, roles)))
	}
	s.admins = append(s.admins, d)
	var next func()
	next = func() {
		if h.here && s.now >= d.starts {
			s.administer(d)
		}
		s.at(s.now.Add(10*time.Minute+s.exp(40*time.Minute)), next)
	}
	s.at(starts.Add(s.exp(30*time.Minute)), next)
	return d
}

// administer is one thing that an administrator does, about ten a day.
func (s *site) administer(d *admin) {
	a, now := s.honest, s.now
	server := some(s.rng, d.own)
	if s.chance(0.08) { // a server that they hardly know
		r := application
		if d.unix {
			r = linux
		}
		server = s.some(r)
	}
	if server.down > now {
		a.Down(now, d.from.addr, server.addr, 3389)
		return
	}
	from := d.from.addr
	x := s.rng.Float64()
	if d.unix && x > 0.9 { // by a jump host's desktop
		s.did(from, "administrator: RDP, then SSH")
		j := s.some(jump)
		a.RDP(now, from, j.addr, d.who, 20)
		s.jump(from, j.addr, server.addr, now.Add(90*time.Second))
		a.SSH(now.Add(90*time.Second), j.addr, server.addr, 0, true, 1+int(s.exp(10*time.Minute)/time.Minute))
		return
	}
	if d.unix {
		s.did(from, "administrator: SSH")
		fails := d.keys
		if s.chance(0.03) {
			fails++
		}
		a.SSH(now, from, server.addr, fails, true, 1+int(s.exp(15*time.Minute)/time.Minute))
		if x < 0.1 {
			a.SSHCommand(now.Add(time.Minute), from, server.addr, uint64(s.rng.ExpFloat64()*20e6))
		}
		return
	}
	if d.helps && x < 0.5 {
		s.help(d)
		return
	}
	switch {
	case x < 0.45:
		s.did(d.from.addr, "administrator: RDP")
		minutes := 2 + int(s.exp(20*time.Minute)/time.Minute)
		if d.jumps {
			j := s.some(jump)
			a.RDP(now, from, j.addr, d.who, minutes+2)
			now, from = now.Add(time.Minute), j.addr
			s.jump(d.from.addr, from, server.addr, now)
		}
		if other := some(s.rng, d.own); s.chance(0.12) && other != server && other.down <= now { // a file from one server to the next, at the first one's desktop
			at := now.Add(2 * time.Minute)
			s.at(at, func() {
				s.did(server.addr, "administrator goes on from a server")
				a.Work(at, server.addr, other.addr, d.who, "D$", 1, 1, 20*time.Second)
			})
			minutes += 4
		}
		if d.tools && s.chance(0.1) {
			a.RDPRestricted(now, from, server.addr, d.who, minutes)
			return
		}
		a.RDP(now, from, server.addr, d.who, minutes)
	case x < 0.60: // consoles: services, event logs
		s.did(d.from.addr, "administrator: services console")
		a.Services(now, from, server.addr, d.who, 14, 16, 6)
	case x < 0.72:
		s.did(d.from.addr, "administrator: PowerShell")
		a.WinRM(now, from, server.addr, d.who, 1+s.rng.IntN(6))
	case x < 0.80: // users and computers
		s.did(d.from.addr, "administrator: directory console")
		a.Directory(now, from, d.from.dc.addr, d.who, true, acts.Search{Base: root, Filter: "(objectCategory=organizationalUnit)", Entries: 60, Scope: 2})
	case x < 0.88: // files of a server, by its drive's share
		s.did(d.from.addr, "administrator: files by D$")
		a.Work(now, from, server.addr, d.who, "D$", 2, 1, 20*time.Second)
	case x < 0.92: // a service that hangs
		s.did(d.from.addr, "administrator restarts a service")
		a.Services(now, from, server.addr, d.who, 16, 1, 6, 19)
	case x < 0.94 && d.tools:
		s.did(d.from.addr, "administrator: PsExec")
		a.PsExec(now, from, server.addr, d.who, "PSEXESVC")
	case x < 0.955:
		s.did(d.from.addr, "administrator copies a tool to a server")
		a.CopyTool(now, from, server.addr, d.who, fmt.Sprintf(`Temp\setup%d.exe`, s.rng.IntN(90)))
	case x < 0.965:
		s.did(d.from.addr, "administrator makes a task")
		a.SchTasks(now, from, server.addr, d.who, false)
	case x < 0.975:
		s.did(d.from.addr, "administrator lists shares")
		a.Shares(now, from, server.addr, d.who)
	case x < 0.98: // the directory's users into a table
		s.did(d.from.addr, "administrator lists all users")
		a.Directory(now, from, d.from.dc.addr, d.who, s.chance(0.5), acts.Search{Base: root, Filter: "(&(objectCategory=person)(objectClass=user))", Attributes: "displayName mail", Entries: uint32(s.cfg.Hosts), PageSize: 1000, Scope: 2})
	case x < 0.985:
		s.did(d.from.addr, "administrator: database")
		a.Statement(now, from, s.some(database).addr, d.who.User, "Microsoft SQL Server Management Studio", "SELECT name FROM sys.databases", "EXEC sp_who2")
	}
}

// jump writes down who goes through a jump host.
func (s *site) jump(admin, by, server packet.Addr, at packet.Time) {
	s.jumps = append(s.jumps, jumped{admin, by, server, at})
	s.at(at, func() { s.did(by, "administrator: by a jump host") })
}

// help is the help desk: somebody's screen, somebody's password, a tool for somebody.
func (s *site) help(d *admin) {
	a, now := s.honest, s.now
	o := s.some(workstation)
	switch x := s.rng.Float64(); {
	case x < 0.5 && o.here:
		s.did(d.from.addr, "help desk: RDP")
		a.RDP(now, d.from.addr, o.addr, d.who, 3+int(s.exp(6*time.Minute)/time.Minute))
	case x < 0.75:
		s.did(d.from.addr, "help desk sets a password")
		a.SetPassword(now, d.from.addr, d.from.dc.addr, d.who)
	case x < 0.85 && o.here:
		s.did(d.from.addr, "help desk copies a tool")
		a.CopyTool(now, d.from.addr, o.addr, d.who, `Users\Public\support.exe`)
	case x < 0.95 && o.here:
		s.did(d.from.addr, "help desk: services console")
		a.Services(now, d.from.addr, o.addr, d.who, 14, 16, 6)
	case x < 0.97 && o.here && d.tools:
		s.did(d.from.addr, "help desk: PsExec")
		a.PsExec(now, d.from.addr, o.addr, d.who, "PSEXESVC")
	}
}
