package simulate

import (
	"fmt"
	"time"

	"neuromast/detectors/acts"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// trouble places what goes wrong or is new, honestly, at random: the rates are per thousand hosts and week, those of what
// concerns a share of all hosts per week.
func (s *site) trouble() {
	weeks := float64(s.cfg.Days) / 7
	thousands := float64(s.cfg.Hosts) / 1000
	for _, t := range []struct {
		perWeek float64 // per thousand hosts
		hour    [2]int  // of the day between which it happens
		do      func()
	}{
		{2, [2]int{0, 24}, s.expired},
		{1, [2]int{8, 16}, s.outage},
		{2, [2]int{9, 16}, s.looksAround},
		{1, [2]int{9, 17}, s.newServer},
		{0.7, [2]int{8, 10}, s.newAdmin},
		{0.5 / thousands, [2]int{20, 22}, s.rollout},
		{1 / thousands, [2]int{2, 4}, s.restarts},
		{2, [2]int{9, 17}, s.manyRenames},
		{2, [2]int{1, 6}, s.unpacks},
		{6, [2]int{8, 17}, s.forgotten},
		{4, [2]int{8, 17}, s.oldDevice},
		{3, [2]int{8, 17}, s.moves},
		{1, [2]int{8, 18}, s.newNode},
		{0.3, [2]int{8, 18}, s.settings},
	} {
		n := weeks * thousands * t.perWeek
		count := int(n)
		if s.chance(n - float64(count)) {
			count++
		}
		for range count {
			day := time.Duration(s.rng.IntN(s.cfg.Days)) * 24 * time.Hour
			hours := time.Duration(t.hour[1]-t.hour[0]) * time.Hour
			s.at(Start.Add(day+time.Duration(t.hour[0])*time.Hour+time.Duration(s.rng.Int64N(int64(hours)))), t.do)
		}
	}
}

// expired is a service whose password has expired: it tries every five minutes until somebody looks.
func (s *site) expired() {
	h, server := s.some(application), s.some(fileServer)
	s.did(h.addr, "service with an expired password")
	s.repeat(30+s.rng.IntN(90), 5*time.Minute, func() {
		s.honest.NTLMFails(s.now, h.addr, server.addr, acts.Account{Domain: netbio, User: h.user}, 0xc0000071)
	})
}

// repeat does something so many times.
func (s *site) repeat(times int, every time.Duration, do func()) {
	if times == 0 {
		return
	}
	do()
	s.at(s.now.Add(every), func() { s.repeat(times-1, every, do) })
}

// outage is a server that is down for half an hour or two.
func (s *site) outage() {
	h := s.some(some(s.rng, []role{fileServer, application, application, database}))
	h.down = s.now.Add(30*time.Minute + s.exp(time.Hour))
	until := h.down
	n := 0
	var next func()
	next = func() { // clients that need it try again and again
		if s.now > until || n > 4000 {
			return
		}
		n++
		if c := s.some(workstation); c.here {
			s.honest.Down(s.now, c.addr, h.addr, map[bool]uint16{true: 445, false: 443}[h.role == fileServer])
		}
		s.at(s.now.Add(s.exp(20*time.Second)), next)
	}
	next()
}

// looksAround is a program, new on some workstation, that looks for its devices among the neighbours.
func (s *site) looksAround() {
	h := s.some(workstation)
	s.did(h.addr, "new software looks for devices")
	port := some(s.rng, []uint16{9100, 8009, 161, 515, 5357})
	a := h.addr
	for i := range 8 + s.rng.IntN(30) {
		a[15] = byte(2 + (int(h.addr[15])+i)%240)
		if port == 161 {
			s.honest.Datagrams(s.now.Add(time.Duration(i)*time.Second), h.addr, a, port, flows.AppSNMP, time.Second, 80, 0)
		} else {
			s.honest.Try(s.now.Add(time.Duration(i)*time.Second), h.addr, a, port)
		}
		s.honest.Resolve(s.now.Add(time.Duration(i)*time.Second), h.addr, h.mac, a, s.lives)
	}
}

// newServer comes up: administrators work on it, then people use it.
func (s *site) newServer() {
	h := s.add(application, 500+len(s.byRole[application]))
	s.wire(h)
	s.every(h, 4*time.Hour, time.Hour, s.serve)
	s.every(h, 90*time.Minute, 90*time.Minute, s.renew)
	d := some(s.rng, s.admins)
	for i := range 3 {
		s.at(s.now.Add(time.Duration(i)*50*time.Minute), func() {
			s.did(d.from.addr, "administrator sets a new server up")
			s.honest.RDP(s.now, d.from.addr, h.addr, d.who, 30)
			s.honest.CopyTool(s.now.Add(time.Minute), d.from.addr, h.addr, d.who, `Install\app.msi`)
		})
	}
	s.at(s.now.Add(3*time.Hour), func() {
		s.did(d.from.addr, "administrator sets a new server up")
		s.honest.WinRM(s.now, d.from.addr, h.addr, d.who, 5)
		s.honest.Services(s.now.Add(time.Minute), d.from.addr, h.addr, d.who, 15, 12, 19, 6)
		d.own = append(d.own, h)
	})
}

// newAdmin is somebody who begins in the team.
func (s *site) newAdmin() { s.employ(1000+len(s.admins), s.now) }

// rollout is a program that goes to a tenth of all workstations in one evening, with a deployment server's push.
func (s *site) rollout() {
	h := s.byRole[deployment][0]
	who := acts.Account{Domain: netbio, User: "svc-deploy", KDC: h.dc.addr}
	n := max(3, len(s.byRole[workstation])/10)
	from := s.rng.IntN(len(s.byRole[workstation]))
	i := 0
	s.repeat(n, 4*time.Hour/time.Duration(n), func() {
		o := s.byRole[workstation][(from+i)%len(s.byRole[workstation])]
		i++
		s.did(h.addr, "rollout to a tenth of all workstations")
		s.honest.Install(s.now, h.addr, o.addr, who, `Temp\edr-setup.exe`, "EndpointAgent")
	})
}

// restarts is the night after patches: the deployment server restarts servers.
func (s *site) restarts() {
	h := s.byRole[deployment][0]
	who := acts.Account{Domain: netbio, User: "svc-deploy", KDC: h.dc.addr}
	list := s.byRole[application]
	s.did(h.addr, "restarts after patches")
	i := 0
	s.repeat(max(1, len(list)/2), time.Minute, func() {
		s.honest.Reboot(s.now, h.addr, list[i].addr, who)
		i++
	})
}

// manyRenames is a person who sorts files: two seconds each, one ending stays.
func (s *site) manyRenames() {
	h := s.some(workstation)
	s.did(h.addr, "person renames many files")
	s.honest.Rename(s.now, h.addr, h.files.addr, h.account(), "Team", 40+s.rng.IntN(80), 2*time.Second)
}

// unpacks is a job that writes many new files to a share.
func (s *site) unpacks() {
	h := s.some(application)
	s.did(h.addr, "job writes many files")
	s.honest.Unpack(s.now, h.addr, h.files.addr, h.account(), "Builds", 300+s.rng.IntN(900), 150*time.Millisecond)
}

// forgotten is a person who came back from holiday.
func (s *site) forgotten() {
	h := s.some(workstation)
	if !h.here {
		return
	}
	at := s.now
	s.did(h.addr, "person forgot the password")
	for range 4 + s.rng.IntN(5) {
		at = s.honest.KerberosFails(at, h.addr, h.dc.addr, h.user, 24).Add(s.exp(20 * time.Second))
	}
	s.honest.KerberosFails(at, h.addr, h.dc.addr, h.user, 18)
}

// oldDevice is a telephone that still has a person's old password: mail every quarter of an hour.
func (s *site) oldDevice() {
	h := s.some(workstation)
	mx := s.some(mailServer)
	s.did(mx.addr, "telephone with an old password")
	s.repeat(12, 15*time.Minute, func() {
		s.honest.NTLMFails(s.now, mx.addr, h.dc.addr, acts.Account{Domain: netbio, User: h.user}, 0xc000006a)
	})
}

// moves is a machine that gets another one's old address: the address is now at another card.
func (s *site) moves() {
	h := s.some(workstation)
	s.did(h.addr, "address goes to another machine")
	other := h.mac
	other[5] ^= 0x40
	s.honest.Lease(s.now, other, h.addr, h.dc.addr, h.router(), s.byRole[controller][0].addr, h.name+"-new", false)
	announce := s.now.Add(time.Second)
	s.honest.Announce(announce, h.addr, other)
	h.mac = other
}

// newNode is a Linux server that an administrator sets up: an address that was dark, an agent with many keys, packages.
func (s *site) newNode() {
	h := s.add(linux, 500+len(s.byRole[linux]))
	s.wire(h)
	s.every(h, 8*time.Hour, time.Hour, s.update)
	d := some(s.rng, s.admins)
	s.did(d.from.addr, "administrator sets a Linux server up")
	s.honest.SSH(s.now, d.from.addr, h.addr, 5, false, 0)
	s.honest.SSH(s.now.Add(30*time.Second), d.from.addr, h.addr, 1, true, 40)
	for i := range 5 {
		s.honest.SSHCommand(s.now.Add(time.Duration(i+2)*time.Minute), d.from.addr, h.addr, 4e6)
	}
}

// people makes so many user names.
func people(n, from int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("u%05d", from+i)
	}
	return out
}

// settings is the administrator of a database, who changes its options.
func (s *site) settings() {
	d, db := some(s.rng, s.admins), s.some(database)
	s.did(d.from.addr, "administrator changes a database's settings")
	s.honest.Statement(s.now, d.from.addr, db.addr, d.who.User, "Microsoft SQL Server Management Studio",
		"EXEC sp_configure 'show advanced options', 1; RECONFIGURE", "EXEC sp_configure 'max server memory (MB)', 65536; RECONFIGURE")
}

// fallbacks places log-ins by NTLM that honest people make where Kerberos is usual. They have dice of their own, so that what
// else is played stays as it was without them.
func (s *site) fallbacks() {
	a := s.scene(2) // 1 is what else is honest, 1,000 and on are intrusions
	weeks := float64(s.cfg.Days) * float64(s.cfg.Hosts) / 7000
	moment := func(from, hours int) packet.Time {
		day := a.Rand.IntN(s.cfg.Days)
		return Start.Add(time.Duration(day*24+from)*time.Hour + time.Duration(a.Rand.Int64N(int64(time.Duration(hours)*time.Hour))))
	}
	open := func(h *host, what string) { // as a person does, by NTLM
		s.did(h.addr, what)
		who := h.account()
		who.KDC = packet.Addr{}
		a.Work(s.now, h.addr, h.files.addr, who, "Team", 2, 0, 10*time.Second)
	}
	for range int(20*weeks) + 1 { // there is no ticket for an address
		h := some(a.Rand, s.byRole[workstation])
		s.at(moment(8, 10), func() {
			if h.here {
				open(h, "person opens a share by address")
			}
		})
	}
	for range int(weeks/2) + 1 {
		server := some(a.Rand, s.byRole[fileServer])
		s.at(moment(8, 6), func() {
			s.repeat(60, 2*time.Minute, func() {
				if h := some(a.Rand, s.byRole[workstation]); h.here && h.files == server {
					open(h, "file server lost its name")
				}
			})
		})
	}
}
