package proto

import (
	"neuromast/flows"
	"neuromast/flows/proto/dcerpc"
	"neuromast/flows/proto/dhcp"
	"neuromast/flows/proto/dns"
	"neuromast/flows/proto/ftp"
	"neuromast/flows/proto/http"
	"neuromast/flows/proto/kerberos"
	"neuromast/flows/proto/ldap"
	"neuromast/flows/proto/quic"
	"neuromast/flows/proto/rdp"
	"neuromast/flows/proto/smb"
	"neuromast/flows/proto/ssh"
	"neuromast/flows/proto/tds"
	"neuromast/flows/proto/telnet"
	"neuromast/flows/proto/tls"
	"neuromast/flows/proto/vnc"
	"neuromast/flows/stream"
	"neuromast/sensor/packet"
)

var _ stream.Protocols = (*Set)(nil)

// maxIdle is how many parsers of one application wait in the pool for the next connection; chosen by us.
const maxIdle = 64

// Set recognises the applications and lends the parsers of one shard. One worker uses it.
type Set struct {
	cfg       Config
	stats     Stats
	dns       *dns.Transactions
	kdc       *kerberos.Datagrams
	quic      *quic.Datagrams
	datagrams [flows.NumApps]stream.Datagrams
	idle      [flows.NumApps][]stream.Parser
	counting  map[stream.Parser]struct{} // parsers that count for themselves, idle and lent
	lent      int
}

// New returns the set of one shard. The configuration must be valid.
func New(cfg Config) *Set {
	s := &Set{cfg: cfg, dns: dns.New(cfg.MaxQueries), counting: map[stream.Parser]struct{}{}}
	for _, app := range []flows.App{flows.AppDNS, flows.AppMDNS, flows.AppLLMNR, flows.AppNBNS} {
		s.datagrams[app] = s.dns.Datagrams(app)
	}
	s.kdc = kerberos.NewDatagrams(&s.stats.Kerberos)
	s.datagrams[flows.AppKerberos] = s.kdc
	s.quic = quic.NewDatagrams(&s.stats.QUIC, tls.NewHellos(&s.stats.TLS))
	s.datagrams[flows.AppQUIC] = s.quic
	s.datagrams[flows.AppDHCP] = dhcp.New(&s.stats.DHCP)
	return s
}

// parsed says that the application has a parser over TCP.
func parsed(app flows.App) bool {
	switch app {
	case flows.AppLDAP, flows.AppTDS:
		return true
	case flows.AppDNS, flows.AppLLMNR, flows.AppTLS, flows.AppDCERPC, flows.AppSMB, flows.AppKerberos, flows.AppFTP, flows.AppSSH, flows.AppHTTP,
		flows.AppRDP, flows.AppVNC, flows.AppTelnet:
		return true
	}
	return false
}

// parser returns a new parser of an application that has one.
func (s *Set) parser(app flows.App) stream.Parser {
	switch app {
	case flows.AppLDAP:
		return ldap.New(&s.stats.LDAP)
	case flows.AppTDS:
		return tds.New(&s.stats.TDS)
	case flows.AppDNS, flows.AppLLMNR:
		return s.dns.Parser(app)
	case flows.AppTLS:
		return tls.New(&s.stats.TLS)
	case flows.AppFTP:
		return ftp.New(&s.stats.FTP)
	case flows.AppHTTP:
		return http.New(&s.stats.HTTP)
	case flows.AppSSH:
		return ssh.New(&s.stats.SSH)
	case flows.AppTelnet:
		return telnet.New()
	case flows.AppRDP:
		return rdp.New(&s.stats.RDP)
	case flows.AppVNC:
		return vnc.New(&s.stats.VNC)
	case flows.AppKerberos:
		return kerberos.New(&s.stats.Kerberos)
	case flows.AppDCERPC:
		p := dcerpc.New()
		s.counting[p] = struct{}{}
		return p
	case flows.AppSMB:
		p := smb.New()
		s.counting[p] = struct{}{}
		return p
	}
	return nil
}

// count adds what p counted for itself to t.
func (t *Stats) count(p stream.Parser) {
	switch p := p.(type) {
	case *dcerpc.Parser:
		t.RPC.Add(p.Stats())
	case *smb.Parser:
		t.SMB.Add(p.Stats())
	}
}

// Identify implements stream.Protocols.
func (s *Set) Identify(c *flows.Conn, _ flows.Dir, first []byte) flows.App {
	app := flows.AppUnknown
	switch c.Proto {
	case packet.ProtoTCP:
		app = identifyTCP(c, first)
	case packet.ProtoUDP:
		app = identifyUDP(c, first)
	}
	s.stats.Recognised[app]++
	return app
}

// Get implements stream.Protocols.
func (s *Set) Get(app flows.App, midstream bool) (p stream.Parser) {
	if !parsed(app) {
		return nil
	}
	if s.lent >= s.cfg.MaxParsers {
		s.stats.Refused++
		return nil
	}
	if idle := s.idle[app]; len(idle) > 0 {
		p, s.idle[app] = idle[len(idle)-1], idle[:len(idle)-1]
	} else {
		p = s.parser(app)
	}
	s.lent++
	s.stats.Lent++
	p.Reset(midstream)
	return p
}

// Put implements stream.Protocols.
func (s *Set) Put(app flows.App, p stream.Parser) {
	s.lent--
	if len(s.idle[app]) < maxIdle {
		p.Reset(false) // gives back what a large connection needed
		s.idle[app] = append(s.idle[app], p)
		return
	}
	s.stats.count(p)
	delete(s.counting, p)
}

// Datagrams implements stream.Protocols.
func (s *Set) Datagrams(app flows.App) stream.Datagrams { return s.datagrams[app] }

// Advance implements stream.Protocols.
func (s *Set) Advance(out *flows.Out, to packet.Time) {
	s.dns.Advance(out, to)
	s.kdc.Advance(out, to)
	s.quic.Advance(out, to)
}

// Stats returns the counters so far.
func (s *Set) Stats() Stats {
	t := s.stats
	t.InUse = uint64(s.lent)
	t.DNS = s.dns.Stats()
	for p := range s.counting {
		t.count(p)
	}
	return t
}
