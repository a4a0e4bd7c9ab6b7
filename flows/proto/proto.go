// Package proto names the application of a connection by its first bytes and lends the parsers of one shard.
//
// Recognition goes by content: signatures with lengths and fields that must agree, dispatched on the first byte. Ports
// only break ties between applications that begin alike (FTP and SMTP greet with 220; mDNS and LLMNR are DNS).
package proto

import (
	"errors"
	"fmt"

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
	"neuromast/flows/proto/tls"
	"neuromast/flows/proto/vnc"
)

// Config bounds the parsers of one shard; there are flows.NumShards of them.
type Config struct {
	MaxParsers int `yaml:"max_parsers"` // TCP connections parsed at once per shard, 1 to 65536; further ones are counted and not parsed
	MaxQueries int `yaml:"max_queries"` // DNS queries that wait for an answer per shard, 1 to 65536, about 400 bytes each; beyond it the oldest is given up
}

// Default returns the bounds that hold where nothing else is said: 32,768 connections and 131,072 queries over all
// shards, the latter at most 52 MiB.
func Default() Config { return Config{MaxParsers: 512, MaxQueries: 2048} }

// Validate names every wrong value.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int
	}{{"max_parsers", c.MaxParsers}, {"max_queries", c.MaxQueries}} {
		if f.value < 1 || f.value > 65536 {
			errs = append(errs, fmt.Errorf("%s: %d is not in 1 to 65536", f.name, f.value))
		}
	}
	return errors.Join(errs...)
}

// Stats counts what a set did.
type Stats struct {
	LDAP       ldap.Stats
	TDS        tds.Stats
	Recognised [flows.NumApps]uint64 // calls of Identify by result; AppUnknown: first bytes that told nothing
	Lent       uint64                // parsers lent so far
	InUse      uint64                // parsers lent now
	Refused    uint64                // connections not parsed because the budget was reached
	DNS        dns.Stats
	TLS        tls.Stats
	RPC        dcerpc.Stats // over TCP; what pipes carry is counted in SMB
	SMB        smb.Stats
	Kerberos   kerberos.Stats
	FTP        ftp.Stats
	SSH        ssh.Stats
	HTTP       http.Stats
	QUIC       quic.Stats
	RDP        rdp.Stats
	VNC        vnc.Stats
	DHCP       dhcp.Stats
}

// Malformed returns, by application, what contradicted itself: messages, and connections where one is enough to give up.
func (s *Stats) Malformed() map[flows.App]uint64 {
	return map[flows.App]uint64{
		flows.AppLDAP: s.LDAP.Malformed, flows.AppTDS: s.TDS.Malformed,
		flows.AppDNS: s.DNS.Malformed, flows.AppTLS: s.TLS.Malformed, flows.AppDCERPC: s.RPC.Malformed + s.SMB.RPC.Malformed, flows.AppSMB: s.SMB.Malformed,
		flows.AppKerberos: s.Kerberos.Malformed, flows.AppSSH: s.SSH.Malformed, flows.AppHTTP: s.HTTP.TooLong + s.HTTP.BadTokens, flows.AppFTP: s.FTP.LongLines,
		flows.AppRDP: s.RDP.Malformed, flows.AppVNC: s.VNC.Malformed, flows.AppQUIC: s.QUIC.Malformed,
		flows.AppDHCP: s.DHCP.Malformed,
	}
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	for i, n := range o.Recognised {
		s.Recognised[i] += n
	}
	s.LDAP.Add(o.LDAP)
	s.TDS.Add(o.TDS)
	s.Lent += o.Lent
	s.InUse += o.InUse
	s.Refused += o.Refused
	s.DNS.Add(o.DNS)
	s.TLS.Add(o.TLS)
	s.RPC.Add(o.RPC)
	s.SMB.Add(o.SMB)
	s.Kerberos.Add(o.Kerberos)
	s.FTP.Add(o.FTP)
	s.SSH.Add(o.SSH)
	s.HTTP.Add(o.HTTP)
	s.QUIC.Add(o.QUIC)
	s.RDP.Add(o.RDP)
	s.VNC.Add(o.VNC)
	s.DHCP.Add(o.DHCP)
}
