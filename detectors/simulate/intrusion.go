package simulate

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/acts"
	"neuromast/sensor/packet"
)

// Step is one act of an intruder: the truth that findings are held against.
type Step struct {
	Technique string
	ATTACK    string // ATT&CK id
	Stage     detectors.Stage
	From      packet.Addr
	To        []packet.Addr // whom it reaches; the first is the one that counts
	Start     packet.Time
	End       packet.Time
	User      string // the account, where the wire shows it
}

// Intrusion is a chain of steps.
type Intrusion struct {
	Steps []Step
	Hops  int // hosts taken after the foothold
}

// Start is the time of the first step, End of the last.
func (i *Intrusion) Start() packet.Time { return i.Steps[0].Start }

// End is the end of the last step to end.
func (i *Intrusion) End() packet.Time {
	end := packet.Time(0)
	for _, s := range i.Steps {
		end = max(end, s.End)
	}
	return end
}

// intruder plays one intrusion.
type intruder struct {
	*site
	acts *acts.Scene
	r    *rand.Rand
	what *Intrusion
	at   *host // where the intruder is
	who  acts.Account
	off  bool // works at night
}

// intrude places the intrusions: first steps are spread over the days after Learn, hours are random, half of them by night.
func (s *site) intrude() {
	for i := range s.cfg.Intrusions {
		scene := s.scene(uint64(1000 + i))
		x := &intruder{site: s, acts: scene, r: scene.Rand, what: &Intrusion{}, off: scene.Rand.IntN(2) == 0}
		s.plan = append(s.plan, x.what)
		days := s.cfg.Days - s.cfg.Learn
		begin := Start.Add(time.Duration(s.cfg.Learn)*24*time.Hour + time.Duration(x.r.Float64()*0.75*float64(days)*float64(24*time.Hour)))
		s.clock.at(begin, func() { x.begin(i + int(s.cfg.Seed)*s.cfg.Intrusions) })
	}
}

// begin is the foothold; techniques take turns, over plays whose seeds follow one another too, so that few intrusions are enough
// to see all.
func (x *intruder) begin(i int) {
	x.at = some(x.r, x.byRole[workstation])
	x.who = x.at.account()
	hops := 3 + x.r.IntN(4)
	plan := []func() packet.Time{x.beacon}
	plan = append(plan, discoveries[(i)%len(discoveries)].of(x))
	if x.r.IntN(2) == 0 {
		plan = append(plan, some(x.r, discoveries).of(x))
	}
	plan = append(plan, thefts[i%len(thefts)].of(x), x.rise)
	for h := range hops {
		if h > 0 && x.r.IntN(4) == 0 {
			plan = append(plan, x.rise)
		}
		plan = append(plan, moves[(i*5+h*7)%len(moves)].of(x))
		switch x.r.IntN(4) {
		case 0:
			plan = append(plan, some(x.r, discoveries).of(x))
		case 1:
			plan = append(plan, some(x.r, thefts).of(x))
		}
	}
	plan = append(plan, ends[i%len(ends)].of(x))
	x.what.Hops = hops
	x.follow(plan)
}

// follow plays a plan, step after step: minutes to hours apart.
func (x *intruder) follow(plan []func() packet.Time) {
	if len(plan) == 0 || x.now >= x.end {
		return
	}
	ends := plan[0]()
	gap := 3*time.Minute + time.Duration(x.r.ExpFloat64()*float64(50*time.Minute))
	x.clock.at(ends.Add(gap), func() { x.follow(plan[1:]) })
}

// technique is one way of doing something.
type technique struct {
	name, id string
	stage    detectors.Stage
	// play does it from where the intruder is and returns whom it reached and when it ended; nobody: it couldn't be done.
	play func(x *intruder) ([]packet.Addr, packet.Time)
}

// of binds a technique to an intruder; what was done is written down. It returns when it ends.
func (t technique) of(x *intruder) func() packet.Time {
	return func() packet.Time {
		from, start := x.at, x.now
		to, end := t.play(x)
		if len(to) > 0 {
			x.what.Steps = append(x.what.Steps, Step{Technique: t.name, ATTACK: t.id, Stage: t.stage, From: from.addr, To: to, Start: start, End: end, User: x.shown(t.name)})
		}
		return max(x.now, end)
	}
}

// shown is the account by which a technique logs on, where the wire shows it: NTLM, and what a desktop's client asks for.
func (x *intruder) shown(technique string) string {
	switch {
	case strings.HasPrefix(technique, "RDP"):
		return x.who.User
	case x.who.KDC != (packet.Addr{}), strings.Contains(technique, "SSH"), strings.HasPrefix(technique, "database"), technique == "WinRM":
		return ""
	}
	return x.who.User
}

// rise is the account that the theft brought: an administrator's, by hash.
func (x *intruder) rise() packet.Time {
	d := some(x.r, x.admins)
	x.who = acts.Account{Domain: netbio, User: d.who.User, Workstation: x.at.name}
	if x.r.IntN(2) == 0 {
		x.who.KDC = x.at.dc.addr
		x.who.Stolen = x.at.addr[15]&2 == 0 // by a ticket; else by a password
	} else {
		x.who.Nameless = x.at.addr[15]&1 == 0 // some tools claim no workstation
	}
	return x.now
}

// beacon is the way out that the intruder's program holds open on the foothold, for eight hours: what follows doesn't wait for it.
func (x *intruder) beacon() packet.Time {
	h, out := x.at, addr4(185, 220, byte(x.r.IntN(250)), byte(1+x.r.IntN(250)))
	every := time.Duration(1+x.r.IntN(10)) * time.Minute
	until := x.now.Add(8 * time.Hour)
	x.what.Steps = append(x.what.Steps, Step{
		Technique: "beacon, 1 to 10 min, 20 % jitter", ATTACK: "T1071.001", Stage: detectors.StageC2, From: h.addr, To: []packet.Addr{out}, Start: x.now, End: min(until, x.end),
	})
	var next func()
	next = func() {
		x.acts.TLS(x.now, h.addr, out, 443, "cdn-static.example.org", "t12d190800_d83cc789557e_7af1ed941c26", 2*time.Second, 900, 1500)
		if x.now < until {
			x.clock.at(x.now.Add(every+time.Duration(x.r.Int64N(int64(every)/5))), next)
		}
	}
	next()
	return x.now
}

// pick draws hosts of roles that are up and not where the intruder is.
func (x *intruder) pick(n int, roles ...role) []packet.Addr {
	var out []packet.Addr
	for range 20 * n {
		h := some(x.r, x.byRole[some(x.r, roles)])
		if h == x.at || h.down > x.now || h.role == workstation && !h.here && !x.off {
			continue
		}
		known := false
		for _, a := range out {
			known = known || a == h.addr
		}
		if !known {
			out = append(out, h.addr)
		}
		if len(out) == n {
			break
		}
	}
	return out
}

// neighbours are addresses of a network, whether somebody is there or not.
func (x *intruder) neighbours(n int) []packet.Addr {
	a := x.at.addr
	if x.r.IntN(2) == 0 {
		a = x.some(application).addr
	}
	var out []packet.Addr
	from := x.r.IntN(200)
	for i := range n {
		a[15] = byte(1 + (from+i)%254)
		if a != x.at.addr {
			out = append(out, a)
		}
	}
	return out
}

func (x *intruder) sweep(n int, ports []uint16, every time.Duration) ([]packet.Addr, packet.Time) {
	to := x.neighbours(n)
	return to, x.acts.Scan(x.now, x.at.addr, to, ports, every)
}

func (x *intruder) people(n int) []string { return people(n, x.r.IntN(500)) }

// one plays something with the controller of where the intruder is.
func one(do func(x *intruder, dc packet.Addr) packet.Time) func(*intruder) ([]packet.Addr, packet.Time) {
	return func(x *intruder) ([]packet.Addr, packet.Time) {
		dc := x.at.dc.addr
		return []packet.Addr{dc}, do(x, dc)
	}
}

// many plays something with several hosts in turn.
func many(n int, gap time.Duration, do func(x *intruder, at packet.Time, to packet.Addr) packet.Time, roles ...role) func(*intruder) ([]packet.Addr, packet.Time) {
	return func(x *intruder) ([]packet.Addr, packet.Time) {
		to := x.pick(n, roles...)
		at := x.now
		for _, a := range to {
			at = do(x, at, a).Add(gap)
		}
		return to, at
	}
}

// hop moves on: the intruder is on the host after that.
func hop(do func(x *intruder, to packet.Addr) packet.Time, roles ...role) func(*intruder) ([]packet.Addr, packet.Time) {
	return func(x *intruder) ([]packet.Addr, packet.Time) {
		to := x.pick(1, roles...)
		if len(to) == 0 {
			return nil, x.now
		}
		end := do(x, to[0])
		h := x.byAddr[to[0]]
		x.clock.at(end, func() { x.at = h })
		return to, end
	}
}

// enter moves on by a session that is held: what follows is done from it.
func enter(do func(x *intruder, to packet.Addr) packet.Time, roles ...role) func(*intruder) ([]packet.Addr, packet.Time) {
	return func(x *intruder) ([]packet.Addr, packet.Time) {
		to := x.pick(1, roles...)
		if len(to) == 0 {
			return nil, x.now
		}
		end := min(do(x, to[0]), x.now.Add(time.Duration(30+x.r.IntN(120))*time.Second))
		h := x.byAddr[to[0]]
		x.clock.at(end, func() { x.at = h })
		return to, end
	}
}

// Techniques that other files name.
const (
	wormSpreads   = "worm"
	internalProxy = "internal proxy"
)

// spread is a worm: every host that it takes takes two more within minutes.
func (x *intruder) spread() packet.Time {
	type taken struct {
		h  *host
		at packet.Time
	}
	list, had, end := []taken{{x.at, x.now}}, map[packet.Addr]bool{x.at.addr: true}, x.now
	for i := 0; i < len(list) && len(list) < 15; i++ {
		from := list[i]
		at := from.at
		for range 2 {
			at = at.Add(time.Duration(20+x.r.IntN(100)) * time.Second)
			to := x.pick(1, workstation, workstation, workstation, application)
			if len(to) == 0 || had[to[0]] {
				continue
			}
			had[to[0]] = true
			done := x.acts.PsExec(at, from.h.addr, to[0], x.who, "mssecsvc2")
			x.what.Steps = append(x.what.Steps, Step{
				Technique: wormSpreads, ATTACK: "T1210", Stage: detectors.StageLateral, From: from.h.addr, To: to, Start: at, End: done, User: x.shown(wormSpreads),
			})
			list = append(list, taken{x.byAddr[to[0]], done})
			at, end = done, max(end, done)
		}
	}
	return end
}

var anyWindows = []role{workstation, workstation, application, fileServer, database}

// discoveries are ways to look around.
var discoveries = []technique{
	{"scan, fast", "T1046", detectors.StageDiscovery, func(x *intruder) ([]packet.Addr, packet.Time) {
		return x.sweep(60+x.r.IntN(150), []uint16{445}, 60*time.Millisecond)
	}},
	{"scan, slow (1 in 2 min)", "T1046", detectors.StageDiscovery, func(x *intruder) ([]packet.Addr, packet.Time) {
		return x.sweep(60, []uint16{3389}, 2*time.Minute)
	}},
	{"scan, very slow (1 in 10 min)", "T1046", detectors.StageDiscovery, func(x *intruder) ([]packet.Addr, packet.Time) {
		return x.sweep(100, []uint16{22}, 10*time.Minute)
	}},
	{"scan of ports", "T1046", detectors.StageDiscovery, func(x *intruder) ([]packet.Addr, packet.Time) {
		to := x.pick(1, application)
		var list []uint16
		for p := range uint16(120) {
			list = append(list, 20+p*7)
		}
		return to, x.acts.Scan(x.now, x.at.addr, to, list, 15*time.Millisecond)
	}},
	{"ARP scan", "T1018", detectors.StageDiscovery, func(x *intruder) ([]packet.Addr, packet.Time) {
		a := x.at.addr
		var to []packet.Addr
		for i := range 253 {
			a[15] = byte(i + 1)
			to = append(to, a)
		}
		return to, x.acts.ARPScan(x.now, x.at.addr, x.at.mac, to, 8*time.Millisecond, x.lives)
	}},
	{"directory, searches in clear", "T1087.002", detectors.StageDiscovery, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.Directory(x.now, x.at.addr, dc, x.at.account(), false, acts.HoundSearches(root, uint32(x.cfg.Hosts))...)
	})},
	{"directory, sealed", "T1087.002", detectors.StageDiscovery, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.Directory(x.now, x.at.addr, dc, x.at.account(), true, acts.HoundSearches(root, uint32(x.cfg.Hosts))...)
	})},
	{"accounts over samr", "T1087.002", detectors.StageDiscovery, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.Accounts(x.now, x.at.addr, dc, x.who)
	})},
	{"accounts over samr, encrypted", "T1087.002", detectors.StageDiscovery, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.SealedAccounts(x.now, x.at.addr, dc, x.who)
	})},
	{"scan of living hosts, slow", "T1046", detectors.StageDiscovery, func(x *intruder) ([]packet.Addr, packet.Time) {
		to := x.pick(40, application, fileServer, database, linux)
		return to, x.acts.Scan(x.now, x.at.addr, to, []uint16{445, 22, 3389}, time.Minute)
	}},
	{"sessions of many hosts", "T1049", detectors.StageDiscovery, many(20, 300*time.Millisecond, func(x *intruder, at packet.Time, to packet.Addr) packet.Time {
		return x.acts.Sessions(at, x.at.addr, to, x.at.account())
	}, anyWindows...)},
	{"shares of many hosts", "T1135", detectors.StageDiscovery, many(12, time.Second, func(x *intruder, at packet.Time, to packet.Addr) packet.Time {
		return x.acts.Shares(at, x.at.addr, to, x.at.account())
	}, anyWindows...)},
	{"administrator where?", "T1069.001", detectors.StageDiscovery, many(15, time.Second, func(x *intruder, at packet.Time, to packet.Addr) packet.Time {
		return x.acts.Services(at, x.at.addr, to, x.at.account())
	}, anyWindows...)},
}

// thefts are ways to other people's credentials.
var thefts = []technique{
	{"Kerberoasting", "T1558.003", detectors.StageCredential, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.Roast(x.now, x.at.addr, dc, x.at.user, 6+x.r.IntN(20), 300*time.Millisecond)
	})},
	{"AS-REP roasting", "T1558.004", detectors.StageCredential, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.RoastUsers(x.now, x.at.addr, dc, x.people(2+x.r.IntN(4)), time.Second)
	})},
	{"spray, Kerberos, fast", "T1110.003", detectors.StageCredential, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.Spray(x.now, x.at.addr, dc, x.people(30+x.r.IntN(100)), time.Second, true)
	})},
	{"spray, Kerberos, slow (1 in 10 min)", "T1110.003", detectors.StageCredential, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.Spray(x.now, x.at.addr, dc, x.people(40), 10*time.Minute, true)
	})},
	{"spray, NTLM", "T1110.003", detectors.StageCredential, func(x *intruder) ([]packet.Addr, packet.Time) {
		to := x.pick(1, fileServer)
		if len(to) == 0 {
			return nil, 0
		}
		return to, x.acts.NTLMSpray(x.now, x.at.addr, to[0], netbio, x.people(40), 2*time.Second)
	}},
	{"names guessed", "T1087.002", detectors.StageDiscovery, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.Enumerate(x.now, x.at.addr, dc, people(60, 90000), 100*time.Millisecond)
	})},
	{"SSH passwords guessed", "T1110.001", detectors.StageCredential, func(x *intruder) ([]packet.Addr, packet.Time) {
		to := x.pick(1, linux)
		if len(to) == 0 {
			return nil, 0
		}
		return to, x.acts.Guess(x.now, x.at.addr, to[0], 20, 3*time.Second, true)
	}},
	{"coercion, spooler", "T1187", detectors.StageCredential, hold(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.Coerce(x.now, x.at.addr, to, x.at.account(), false)
	}, application, controller)},
	{"coercion, EFS", "T1187", detectors.StageCredential, hold(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.Coerce(x.now, x.at.addr, to, x.at.account(), true)
	}, application, controller)},
	{"names poisoned and relayed", "T1557.001", detectors.StageCredential, func(x *intruder) ([]packet.Addr, packet.Time) {
		to, victims := x.pick(1, application), x.pick(4, workstation)
		if len(to) == 0 || len(victims) == 0 {
			return nil, 0
		}
		at := x.now
		for i, v := range victims {
			x.acts.Poison(at, v, x.at.addr, []string{"wpad", "fileserv", "intranett", "prnt"}[i%4])
			at = x.acts.Relay(at.Add(200*time.Millisecond), v, x.at.addr, to[0], x.byAddr[v].account()).Add(time.Duration(x.r.IntN(120)) * time.Second)
		}
		return append(to, victims...), at
	}},
	{"names poisoned", "T1557.001", detectors.StageCredential, func(x *intruder) ([]packet.Addr, packet.Time) {
		victims := x.pick(5, workstation)
		at := x.now
		for i, v := range victims {
			x.acts.Poison(at, v, x.at.addr, []string{"wpad", "fileserv", "intranett", "prnt", "mailserv"}[i%5])
			at = at.Add(time.Duration(x.r.IntN(90)) * time.Second)
		}
		return victims, at
	}},
	{"DHCP, false server", "T1557.003", detectors.StageCredential, func(x *intruder) ([]packet.Addr, packet.Time) {
		victims := x.pick(3, workstation)
		at := x.now
		for _, v := range victims {
			x.acts.Offer(at, x.byAddr[v].mac, v, x.at.addr, x.at.addr, x.at.addr)
			at = at.Add(20 * time.Minute)
		}
		return victims, at
	}},
	{"ARP spoofing", "T1557.002", detectors.StageCredential, func(x *intruder) ([]packet.Addr, packet.Time) {
		victim := x.at.addr
		victim[15] = 20 + byte(x.r.IntN(100))
		mac, ok := x.lives(victim)
		if !ok || victim == x.at.addr {
			return nil, 0
		}
		x.acts.ARPSpoof(x.now, x.at.mac, victim, x.at.router(), routerMAC(victim), 60)
		return []packet.Addr{victim}, x.acts.ARPSpoof(x.now, x.at.mac, x.at.router(), victim, mac, 60)
	}},
	{"registry hives", "T1003.002", detectors.StageCredential, hold(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.Hives(x.now, x.at.addr, to, x.who)
	}, anyWindows...)},
	{"hash as key", "T1550.002", detectors.StageCredential, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.OverPass(x.now, x.at.addr, dc, x.who.User)
	})},
}

// hold does something to another host and stays where it is.
func hold(do func(x *intruder, to packet.Addr) packet.Time, roles ...role) func(*intruder) ([]packet.Addr, packet.Time) {
	return func(x *intruder) ([]packet.Addr, packet.Time) {
		to := x.pick(1, roles...)
		if len(to) == 0 {
			return nil, x.now
		}
		return to, do(x, to[0])
	}
}

// moves are ways from host to host.
var moves = []technique{
	{"PsExec", "T1569.002", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.PsExec(x.now, x.at.addr, to, x.who, "PSEXESVC")
	}, anyWindows...)},
	{"PsExec, renamed", "T1569.002", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.PsExec(x.now, x.at.addr, to, x.who, "WinUpd")
	}, anyWindows...)},
	{"smbexec", "T1569.002", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.SMBExec(x.now, x.at.addr, to, x.who, 1+x.r.IntN(4))
	}, anyWindows...)},
	{"wmiexec", "T1047", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.WMIExec(x.now, x.at.addr, to, x.who, true)
	}, anyWindows...)},
	{"WMI without output", "T1047", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.WMIExec(x.now, x.at.addr, to, x.who, false)
	}, anyWindows...)},
	{"atexec", "T1053.005", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.AtExec(x.now, x.at.addr, to, x.who)
	}, anyWindows...)},
	{"schtasks", "T1053.005", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.SchTasks(x.now, x.at.addr, to, x.who, true)
	}, anyWindows...)},
	{"DCOM (MMC20)", "T1021.003", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.DCOMExec(x.now, x.at.addr, to, x.who)
	}, anyWindows...)},
	{"service, encrypted session", "T1569.002", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.SealedExec(x.now, x.at.addr, to, x.who)
	}, anyWindows...)},
	{"WinRM", "T1021.006", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.WinRM(x.now, x.at.addr, to, x.who, 3+x.r.IntN(6))
	}, application, fileServer, database)},
	{"tool copied, then task", "T1570", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		at := x.acts.CopyTool(x.now, x.at.addr, to, x.who, `ProgramData\svc.exe`)
		return x.acts.SchTasks(at.Add(20*time.Second), x.at.addr, to, x.who, true)
	}, anyWindows...)},
	{"RDP, a person", "T1021.001", detectors.StageLateral, enter(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.RDP(x.now, x.at.addr, to, x.who, 5+x.r.IntN(30))
	}, anyWindows...)},
	{"RDP, a program", "T1021.001", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.RDPScript(x.now, x.at.addr, to, x.who)
	}, anyWindows...)},
	{"RDP, restricted administration", "T1550.002", detectors.StageLateral, enter(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.RDPRestricted(x.now, x.at.addr, to, x.who, 5+x.r.IntN(20))
	}, anyWindows...)},
	{"RDP to a jump host", "T1021.001", detectors.StageLateral, enter(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.RDP(x.now, x.at.addr, to, x.who, 20+x.r.IntN(40))
	}, jump)},
	{"tool by SCP, then SSH", "T1570", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		at := x.acts.SSHCommand(x.now, x.at.addr, to, 9e6)
		return x.acts.SSH(at.Add(time.Minute), x.at.addr, to, 0, true, 4)
	}, linux)},
	{"SSH", "T1021.004", detectors.StageLateral, enter(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.SSH(x.now, x.at.addr, to, 0, true, 3+x.r.IntN(20))
	}, linux)},
	{"database (xp_cmdshell)", "T1505.001", detectors.StageLateral, hop(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.Statement(x.now, x.at.addr, to, "sa", "", "EXEC sp_configure 'show advanced options', 1; RECONFIGURE",
			"EXEC sp_configure 'xp_cmdshell', 1; RECONFIGURE", "EXEC master..xp_cmdshell 'powershell -enc SQBFAFgA'")
	}, database)},
}

// ends are what intrusions are for.
var ends = []technique{
	{"DCSync", "T1003.006", detectors.StageCredential, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.DCSync(x.now, x.at.addr, dc, x.who)
	})},
	{"Zerologon", "T1210", detectors.StageLateral, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.Zerologon(x.now, x.at.addr, dc, 40+x.r.IntN(300))
	})},
	{"storm of renames", "T1486", detectors.StageImpact, hold(func(x *intruder, to packet.Addr) packet.Time {
		return x.acts.Storm(x.now, x.at.addr, to, x.who, "Team", 300+x.r.IntN(600), 100*time.Millisecond)
	}, fileServer)},
	{"DNS tunnel", "T1048.003", detectors.StageExfiltration, one(func(x *intruder, dc packet.Addr) packet.Time {
		return x.acts.Tunnel(x.now, x.at.addr, dc, fmt.Sprintf("sync%d.example", x.r.IntN(1000)), 40000, 400*time.Millisecond)
	})},
	{"SSH, reverse tunnel", "T1572", detectors.StageC2, func(x *intruder) ([]packet.Addr, packet.Time) {
		out := addr4(185, 220, 102, byte(1+x.r.IntN(250)))
		return []packet.Addr{out}, x.acts.ReverseSSH(x.now, x.at.addr, out, 10+x.r.IntN(60))
	}},
	{wormSpreads, "T1210", detectors.StageLateral, func(x *intruder) ([]packet.Addr, packet.Time) {
		return nil, x.spread() // it writes its steps down itself
	}},
	{internalProxy, "T1090.001", detectors.StageC2, func(x *intruder) ([]packet.Addr, packet.Time) {
		by := x.what.leads(&Step{From: x.at.addr, Start: x.now})
		if by == nil {
			return nil, 0
		}
		out := addr4(185, 220, 103, byte(1+x.r.IntN(250)))
		return []packet.Addr{out, by.From}, x.acts.Pass(x.now, by.From, x.at.addr, out, 8443, 443, 12+x.r.IntN(40))
	}},
	{"upload outside", "T1048.002", detectors.StageExfiltration, func(x *intruder) ([]packet.Addr, packet.Time) {
		out := addr4(185, 220, 101, byte(1+x.r.IntN(250)))
		return []packet.Addr{out}, x.acts.TLS(x.now, x.at.addr, out, 443, "files.example.org", "t12d190800_d83cc789557e_7af1ed941c26", 3*time.Hour, 2e9, 4e6)
	}},
	{"event log cleared", "T1070.001", detectors.StageImpairment, hold(func(x *intruder, to packet.Addr) packet.Time {
		at := x.acts.SchTasks(x.now, x.at.addr, to, x.who, true)
		return x.acts.ClearLog(at.Add(time.Minute), x.at.addr, to, x.who)
	}, anyWindows...)},
}
