// Package tls reads the ClientHello of a TLS connection (RFC 8446, 4.1.2): server name, ALPN, versions, and the JA3 and
// JA4 fingerprints of the client. It wants nothing of the connection after it.
//
// JA3 is Salesforce's (BSD-3); JA4 of TLS clients is FoxIO's (BSD-3). The server's side is not read.
//
// Limits: 16 KiB of ClientHello, which may span records and segments; larger ones are counted as given up.
package tls

// Stats counts what was read and what was strange.
type Stats struct {
	Hellos    uint64 // ClientHellos written
	Malformed uint64 // ClientHellos whose lengths contradict each other
	NotHello  uint64 // connections that don't begin with a ClientHello: the server's side, or midstream
	SSLv2     uint64 // hellos in SSL 2 format (RFC 6101, E), which are not read
	TooLong   uint64 // ClientHellos beyond the limit
	Gaps      uint64 // connections with missing bytes before the ClientHello's end
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Hellos += o.Hellos
	s.Malformed += o.Malformed
	s.NotHello += o.NotHello
	s.SSLv2 += o.SSLv2
	s.TooLong += o.TooLong
	s.Gaps += o.Gaps
}
