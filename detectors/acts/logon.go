package acts

import (
	"fmt"
	"math/rand/v2"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// The ciphers that Windows, and tools that ask for weak tickets, offer (RFC 3961, RFC 4757).
var (
	windowsCiphers = []int8{18, 17, 23, 24}
	weakCiphers    = []int8{23}
)

// exchange is one exchange with the key distribution centre, in a connection of its own as Windows makes it.
func (s *Scene) exchange(at packet.Time, from, kdc packet.Addr, k flows.Kerberos, offered []int8, client, service string) packet.Time {
	l := s.Open(at, from, kdc, 88, flows.AppKerberos)
	k.Asked, k.NumOffered = true, uint8(copy(k.Offered[:], offered))
	realm := s.Realm
	if realm == "" {
		realm = "EXAMPLE.NET"
	}
	l.fact(1400, 1400, func(o *flows.Out, m flows.Meta, c flows.Conn) {
		k := k
		k.Meta, k.Conn, k.RequestRef = m, c, m.Ref
		k.Client, k.Service, k.Realm = o.PutString(client), o.PutString(service), o.PutString(realm)
		o.Kerberos(&k)
	})
	return l.Close()
}

func (s *Scene) krbtgt() string { return "krbtgt/" + s.Realm }

// Kerberos is a user's log-on: the question for a proof, then the ticket.
func (s *Scene) Kerberos(at packet.Time, from, kdc packet.Addr, user string) packet.Time {
	if s.logins == nil {
		s.logins = map[login]packet.Time{}
	}
	s.logins[login{from, user}] = at
	at = s.exchange(at, from, kdc, flows.Kerberos{Outcome: flows.Failed, Code: 25}, windowsCiphers, user, s.krbtgt())
	return s.exchange(at, from, kdc, flows.Kerberos{Outcome: flows.Succeeded, Proof: true, Ticket: 18, Part: 18}, windowsCiphers, user, s.krbtgt())
}

// KerberosFails is a log-on with a wrong password (code 24), of an unknown user (6) or of a locked one (18).
func (s *Scene) KerberosFails(at packet.Time, from, kdc packet.Addr, user string, code uint32) packet.Time {
	return s.exchange(at, from, kdc, flows.Kerberos{Outcome: flows.Failed, Code: code, Proof: code == 24}, windowsCiphers, user, s.krbtgt())
}

// ticketLife is how long the ticket of a log-in is used before the next one: an hour less than a domain's ten.
const ticketLife = packet.Time(9 * time.Hour)

// Ticket gets a service ticket sealed with a cipher, after a log-in where there is none that still holds.
func (s *Scene) Ticket(at packet.Time, from packet.Addr, who Account, service string, cipher int8) packet.Time {
	if last, ok := s.logins[login{from, who.User}]; !who.Stolen && (!ok || at < last || at-last > ticketLife) { // acts may be told ahead of their time
		if s.dice == nil {
			s.dice = rand.New(rand.NewPCG(s.Conns, 0))
		}
		s.Rand, s.dice = s.dice, s.Rand
		at = s.Kerberos(at, from, who.KDC, who.User)
		s.Rand, s.dice = s.dice, s.Rand
	}
	return s.exchange(at, from, who.KDC, flows.Kerberos{Outcome: flows.Succeeded, TGS: true, Ticket: cipher, Part: 18}, windowsCiphers, who.User, service)
}

// Roast asks for tickets of services with the weak cipher alone.
func (s *Scene) Roast(at packet.Time, from, kdc packet.Addr, user string, services int, every time.Duration) packet.Time {
	for i := range services {
		k := flows.Kerberos{Outcome: flows.Succeeded, TGS: true, Ticket: 23, Part: 18}
		s.exchange(at, from, kdc, k, weakCiphers, user, fmt.Sprintf("MSSQLSvc/app%d", i))
		at = at.Add(s.around(every))
	}
	return at
}

// RoastUsers asks for answers of accounts that need no proof.
func (s *Scene) RoastUsers(at packet.Time, from, kdc packet.Addr, users []string, every time.Duration) packet.Time {
	for _, u := range users {
		s.exchange(at, from, kdc, flows.Kerberos{Outcome: flows.Succeeded, Ticket: 18, Part: 23}, weakCiphers, u, s.krbtgt())
		at = at.Add(s.around(every))
	}
	return at
}

// OverPass logs on with an NTLM hash as RC4 key.
func (s *Scene) OverPass(at packet.Time, from, kdc packet.Addr, user string) packet.Time {
	return s.exchange(at, from, kdc, flows.Kerberos{Outcome: flows.Succeeded, Proof: true, Ticket: 18, Part: 23}, weakCiphers, user, s.krbtgt())
}

// Spray tries one password on many users; the last gets in where hits is set.
func (s *Scene) Spray(at packet.Time, from, kdc packet.Addr, users []string, every time.Duration, hits bool) packet.Time {
	for i, u := range users {
		if hits && i == len(users)-1 {
			return s.Kerberos(at, from, kdc, u)
		}
		s.KerberosFails(at, from, kdc, u, 24)
		at = at.Add(s.around(every))
	}
	return at
}

// NTLMSpray is Spray over SMB.
func (s *Scene) NTLMSpray(at packet.Time, from, to packet.Addr, domain string, users []string, every time.Duration) packet.Time {
	for _, u := range users {
		s.NTLMFails(at, from, to, Account{Domain: domain, User: u}, 0xc000006a)
		at = at.Add(s.around(every))
	}
	return at
}

// NTLMFails is a refused log-on over SMB.
func (s *Scene) NTLMFails(at packet.Time, from, to packet.Addr, who Account, status uint32) packet.Time {
	l := s.Open(at, from, to, 445, flows.AppSMB)
	return l.SMB(flows.SMBNegotiate, File{}).LogOn(who, flows.AppSMB, status).Close()
}

// Enumerate asks which of many users exist; every third does.
func (s *Scene) Enumerate(at packet.Time, from, kdc packet.Addr, users []string, every time.Duration) packet.Time {
	for i, u := range users {
		code := uint32(6)
		if i%3 == 2 {
			code = 25
		}
		s.KerberosFails(at, from, kdc, u, code)
		at = at.Add(s.around(every))
	}
	return at
}

// SSH is a session: failures first, where keys or a password are tried, then so many minutes at the keyboard.
func (s *Scene) SSH(at packet.Time, from, to packet.Addr, fails int, gets bool, minutes int) packet.Time {
	l := s.ssh(at, from, to, fails)
	if !gets {
		return l.Close()
	}
	l.auth(flows.Succeeded)
	l.typed(flows.AppSSH, minutes, false)
	return l.Close()
}

// SSHCommand is a session without a terminal, as automation opens it: a command, some output, maybe a file.
func (s *Scene) SSHCommand(at packet.Time, from, to packet.Addr, upload uint64) packet.Time {
	l := s.ssh(at, from, to, 0)
	l.auth(flows.Succeeded)
	l.Wait(2 * time.Second)
	l.shape(flows.AppSSH, flows.Session{
		Messages: [2]uint32{14, 14}, Bytes: [2]uint64{3000 + upload, 6000}, Bulk: [2]uint64{upload, 0}, Small: [2]uint32{12, 10}, Spans: 1,
		LoggedIn: flows.Succeeded, Final: true,
	})
	return l.Carry(3000+upload, 6000).Close()
}

// ssh opens a connection and fails to log in some times.
func (s *Scene) ssh(at packet.Time, from, to packet.Addr, fails int) *Link {
	l := s.Open(at, from, to, 22, flows.AppSSH)
	hassh := [16]byte{0x0d, 0x7f, 0x08, from[14] & 3}
	l.fact(1500, 1500, func(o *flows.Out, m flows.Meta, c flows.Conn) {
		o.SSH(&flows.SSH{Meta: m, Conn: c, Client: o.PutString("OpenSSH_9.2"), Server: o.PutString("OpenSSH_8.9"), HASSH: hassh, HASSHServer: [16]byte{0xb1}})
	})
	for range fails {
		l.auth(flows.Failed)
		l.Wait(700 * time.Millisecond)
	}
	return l
}

func (l *Link) auth(outcome flows.Outcome) {
	app := l.app
	l.fact(400, 100, func(o *flows.Out, m flows.Meta, c flows.Conn) {
		o.Auth(&flows.Auth{Meta: m, Conn: c, Method: flows.AuthPassword, Over: app, Outcome: outcome})
	})
}

// shape enters the shape of a session so far.
func (l *Link) shape(app flows.App, x flows.Session) {
	last := l.At
	l.fact(0, 0, func(o *flows.Out, m flows.Meta, c flows.Conn) {
		x := x
		x.Meta, x.Conn, x.App, x.First, x.Last, x.FirstRef = m, c, app, c.Start, last, m.Ref
		o.Session(&x)
	})
}

// typed is a person at the keyboard for some minutes: a report every five, as open connections make.
func (l *Link) typed(app flows.App, minutes int, desktop bool) {
	for done := 0; done < minutes; {
		done = min(done+5, minutes)
		l.At = l.conn.Start.Add(time.Duration(done) * time.Minute)
		keys := uint32(done * 40)
		x := flows.Session{
			Messages: [2]uint32{keys + uint32(done*6), keys + uint32(done*12)}, Bytes: [2]uint64{uint64(keys) * 60, uint64(done) * 9000},
			Small: [2]uint32{keys, keys}, Typed: [2]uint32{keys * 9 / 10, 0}, Alike: [2]uint32{keys * 8 / 10, 0}, Pace: [2]uint32{220, 0}, Spread: [2]uint32{36000, 0},
			Active: uint32(done * 2), Spans: uint32(done * 6),
			LoggedIn: flows.Succeeded, Final: done == minutes,
		}
		if desktop {
			x.Typed, x.Pace, x.Spread, x.Active = [2]uint32{}, [2]uint32{}, [2]uint32{}, uint32(done*4)
			x.Small, x.Bulk = [2]uint32{uint32(done * 80), uint32(done * 60)}, [2]uint64{0, uint64(done) * 300000}
			x.Messages, x.Bytes = [2]uint32{uint32(done * 90), uint32(done * 120)}, [2]uint64{uint64(done) * 8000, uint64(done) * 400000}
		}
		l.shape(app, x)
	}
	if desktop {
		l.Carry(uint64(minutes)*8000, uint64(minutes)*400000)
	} else {
		l.Carry(uint64(minutes)*3000, uint64(minutes)*9000)
	}
	l.ops += uint64(minutes) * 80
}

// Guess tries passwords of SSH, two a connection.
func (s *Scene) Guess(at packet.Time, from, to packet.Addr, connections int, every time.Duration, hits bool) packet.Time {
	for i := range connections {
		s.SSH(at, from, to, 2, hits && i == connections-1, 1)
		at = at.Add(s.around(every))
	}
	return at
}

// RDP is a desktop session of some minutes.
func (s *Scene) RDP(at packet.Time, from, to packet.Addr, who Account, minutes int) packet.Time {
	l := s.rdp(at, from, to, who, false)
	l.typed(flows.AppRDP, minutes, true)
	return l.Close()
}

// RDPRestricted is one whose client demands restricted administration, for which a password's hash is enough.
func (s *Scene) RDPRestricted(at packet.Time, from, to packet.Addr, who Account, minutes int) packet.Time {
	l := s.rdp(at, from, to, who, true)
	l.typed(flows.AppRDP, minutes, true)
	return l.Close()
}

// RDPScript is a session that a program drives for some seconds to run a command: more goes up than comes back.
func (s *Scene) RDPScript(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	l := s.rdp(at, from, to, who, false).Wait(12 * time.Second)
	l.shape(flows.AppRDP, flows.Session{
		Messages: [2]uint32{80, 25}, Small: [2]uint32{76, 19}, Bytes: [2]uint64{7000, 4000}, Struck: 44, Active: 1, Spans: 2, LoggedIn: flows.Succeeded, Final: true,
	})
	l.ops += 160
	return l.Carry(9200, 5800).Close()
}

func (s *Scene) rdp(at packet.Time, from, to packet.Addr, who Account, restricted bool) *Link {
	if who.KDC != (packet.Addr{}) {
		s.Ticket(at, from, who, "TERMSRV/"+s.name(to), 18)
	}
	l := s.Open(at, from, to, 3389, flows.AppRDP)
	cookie := who.User[:min(len(who.User), 9)]
	l.fact(50, 20, func(o *flows.Out, m flows.Meta, c flows.Conn) {
		x := flows.RDP{Meta: m, Conn: c, RequestRef: m.Ref, Cookie: o.PutString(cookie), Requested: 11, Selected: 2, Outcome: flows.Succeeded}
		if restricted {
			x.Flags, x.Granted = 1, 8
		}
		o.RDP(&x)
	})
	return l
}

// Search is a search of the directory.
type Search struct {
	Base, Filter, Attributes string
	Entries                  uint32
	PageSize                 uint32
	Scope                    uint8
	SDFlags                  bool
}

// Directory binds to a directory and searches it; sealed, only sizes are left.
func (s *Scene) Directory(at packet.Time, from, dc packet.Addr, who Account, sealed bool, searches ...Search) packet.Time {
	if who.KDC != (packet.Addr{}) {
		s.Ticket(at, from, who, "ldap/"+s.name(dc), 18)
	}
	l := s.Open(at, from, dc, 389, flows.AppLDAP)
	l.ldap(flows.LDAP{Op: flows.LDAPBind, Outcome: flows.Succeeded}, Search{}, "GSS-SPNEGO")
	bytes := uint64(0)
	for _, q := range searches {
		if !sealed {
			l.ldap(flows.LDAP{
				Op: flows.LDAPSearch, Outcome: flows.Succeeded, Entries: q.Entries, PageSize: q.PageSize, Scope: q.Scope, SDFlags: q.SDFlags,
				Bytes: uint64(q.Entries) * 600,
			}, q, "")
		}
		bytes += uint64(q.Entries) * 600
		l.Wait(time.Duration(q.Entries) * 500 * time.Microsecond)
	}
	if sealed {
		l.ldap(flows.LDAP{Op: flows.LDAPSealed, Bytes: bytes}, Search{}, "")
	}
	return l.Close()
}

func (l *Link) ldap(x flows.LDAP, q Search, mechanism string) {
	l.fact(300, 200+x.Bytes, func(o *flows.Out, m flows.Meta, c flows.Conn) {
		x := x
		x.Meta, x.Conn, x.RequestRef = m, c, m.Ref
		x.Base, x.Filter, x.Attributes, x.Mechanism = o.PutString(q.Base), o.PutString(q.Filter), o.PutString(q.Attributes), o.PutString(mechanism)
		o.LDAP(&x)
	})
}

// HoundSearches are the searches by which BloodHound's collectors take a directory of so many entries.
func HoundSearches(base string, entries uint32) []Search {
	var out []Search
	for _, filter := range []string{
		"(|(samAccountType=805306368)(samAccountType=805306369)(samAccountType=268435456)(samAccountType=536870912))",
		"(objectClass=trustedDomain)", "(&(objectCategory=groupPolicyContainer)(flags=*))", "(objectCategory=organizationalUnit)",
		"(servicePrincipalName=*)", "(adminCount=1)", "(msDS-AllowedToDelegateTo=*)", "(ms-Mcs-AdmPwdExpirationTime=*)",
	} {
		out = append(out, Search{Base: base, Filter: filter, Attributes: "objectSid sAMAccountName memberOf nTSecurityDescriptor", Entries: entries, PageSize: 500, Scope: 2, SDFlags: true})
		entries = entries/4 + 1
	}
	return out
}

// LogonSearches are those that a computer makes at a log-on.
func LogonSearches(base, user string) []Search {
	return []Search{
		{Filter: "(objectClass=*)", Attributes: "defaultNamingContext dnsHostName", Entries: 1},
		{Base: base, Filter: "(&(objectCategory=person)(sAMAccountName=" + user + "))", Attributes: "distinguishedName", Entries: 1, Scope: 2},
		{Base: "CN=Policies,CN=System," + base, Filter: "(|(distinguishedName=CN={31B2F340-016D-11D2-945F-00C04FB984F9}))", Attributes: "gPCFileSysPath versionNumber", Entries: 2, Scope: 2},
	}
}

// ReverseSSH opens a connection through which somebody at its other end types on this side, for some minutes.
func (s *Scene) ReverseSSH(at packet.Time, from, to packet.Addr, minutes int) packet.Time {
	l := s.ssh(at, from, to, 0)
	l.auth(flows.Succeeded)
	for done := 0; done < minutes; {
		done = min(done+5, minutes)
		l.At = l.conn.Start.Add(time.Duration(done) * time.Minute)
		keys := uint32(done * 30)
		l.shape(flows.AppSSH, flows.Session{
			Messages: [2]uint32{keys + uint32(done*12), keys + uint32(done*6)}, Small: [2]uint32{keys, keys}, Bytes: [2]uint64{uint64(done) * 12000, uint64(keys) * 60},
			Typed: [2]uint32{2, keys * 9 / 10}, Alike: [2]uint32{0, keys * 8 / 10}, Pace: [2]uint32{0, 260}, Spread: [2]uint32{0, 40000}, Active: uint32(done * 2), Spans: uint32(done * 6),
			LoggedIn: flows.Succeeded, Final: done == minutes,
		})
	}
	l.ops += uint64(minutes) * 60
	return l.Carry(uint64(minutes)*12000, uint64(minutes)*3000).Close()
}
