// Package dhcp reads DHCPv4 messages (RFC 2131, options of RFC 2132 and 4702) into facts: who asks for an address under
// which name, and which server gives which address, router and resolver.
//
// Limits: of an option that is split or repeated (RFC 3396) the first part; of a list of routers or resolvers the first;
// options in the fields for file and server name are read where option 52 says so. Hardware addresses of 6 bytes only.
// DHCPv6 (RFC 8415) is named by flows/proto, not read.
package dhcp

import (
	"bytes"
	"encoding/binary"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Lengths and places of RFC 2131, 2.
const (
	cookie    = 0x63825363
	optionsAt = 240
	sname     = 44
	file      = 108
	cookieAt  = 236
)

// Options that are read (RFC 2132; 81: RFC 4702).
const (
	optPad       = 0
	optRouter    = 3
	optResolver  = 6
	optHostName  = 12
	optRequested = 50
	optLease     = 51
	optOverload  = 52
	optKind      = 53
	optServer    = 54
	optVendor    = 60
	optClientID  = 61
	optFQDN      = 81
	optEnd       = 255
)

// Stats counts what was read and what was strange.
type Stats struct {
	Messages  uint64 // read, whole or in part
	Malformed uint64 // an option reaches past the end, has an impossible length, or the header is cut; what precedes it is kept
	Truncated uint64 // messages that the capture cut
	Foreign   uint64 // datagrams in between that are no DHCP, BOOTP without options among them
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Messages += o.Messages
	s.Malformed += o.Malformed
	s.Truncated += o.Truncated
	s.Foreign += o.Foreign
}

// Datagrams reads the messages of one shard. It keeps nothing between them.
type Datagrams struct{ stats *Stats }

// New returns a reader that counts in stats.
func New(stats *Stats) *Datagrams { return &Datagrams{stats} }

// Advance does nothing: each message is told at once.
func (r *Datagrams) Advance(*flows.Out, packet.Time) {}

// Datagram reads one message.
func (r *Datagrams) Datagram(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, wire int, ref flows.Ref) {
	if !c.Orig.Is4() {
		return // DHCPv6
	}
	r.stats.Messages++
	cut := wire > len(b)
	if cut {
		r.stats.Truncated++
	}
	switch {
	case len(b) < optionsAt && cut:
		return
	case len(b) < optionsAt:
		r.stats.Malformed++
		return
	case binary.BigEndian.Uint32(b[cookieAt:]) != cookie || b[0] != 1 && b[0] != 2:
		r.stats.Foreign++
		return
	}
	m := flows.DHCP{
		Meta: flows.Meta{Ref: ref}, Conn: *c, Client: address(b[12:]), Yours: address(b[16:]), Relay: address(b[24:]),
		Xid: binary.BigEndian.Uint32(b[4:]), From: out.From,
	}
	if b[2] == 6 {
		m.Hardware = packet.MAC(b[28:34])
	}
	var o options
	sound := o.read(b[optionsAt:])
	// The file's options come before the server name's (RFC 2131, 4.1); their own overload option says nothing.
	switch overload := o.overload; {
	case !sound:
	case overload == 1:
		sound = o.read(b[file:cookieAt])
	case overload == 2:
		sound = o.read(b[sname:file])
	case overload == 3:
		sound = o.read(b[file:cookieAt]) && o.read(b[sname:file])
	}
	if !sound && !cut {
		r.stats.Malformed++
	}
	m.Kind, m.Lease = flows.DHCPKind(o.kind), o.lease
	m.Requested, m.Server, m.Router, m.Resolver = o.requested, o.server, o.router, o.resolver
	if b[0] == 2 && m.Server == (packet.Addr{}) {
		if m.Server = c.Orig; dir == flows.Resp {
			m.Server = c.Resp
		}
	}
	m.HostName, m.Vendor, m.ClientID = out.Put(o.hostName()), out.Put(o.vendor), out.Put(o.clientID)
	out.DHCP(&m)
}

// address reads four bytes; 0.0.0.0 is the zero Addr, as where there is none.
func address(b []byte) (a packet.Addr) {
	if b[0]|b[1]|b[2]|b[3] != 0 {
		a = packet.AddrFrom4(b)
	}
	return a
}

// options is what the options of one message say; slices point into it.
type options struct {
	name, fqdn, vendor, clientID        []byte
	requested, server, router, resolver packet.Addr
	lease                               uint32
	kind, overload                      uint8
	seen                                [4]uint64 // codes read already
}

// read walks one field of options; it says false where it breaks off.
func (o *options) read(b []byte) bool {
	sound := true
	for i := 0; i < len(b); {
		code := b[i]
		if i++; code == optPad {
			continue
		}
		if code == optEnd {
			break
		}
		if i >= len(b) || i+1+int(b[i]) > len(b) {
			return false
		}
		v := b[i+1 : i+1+int(b[i])]
		i += 1 + len(v)
		if o.seen[code/64]&(1<<(code%64)) != 0 {
			continue
		}
		o.seen[code/64] |= 1 << (code % 64)
		if !o.take(code, v) {
			sound = false // its length is impossible: the others still hold
		}
	}
	return sound
}

// take reads one option; it says false where its length is impossible.
func (o *options) take(code byte, v []byte) bool {
	switch code {
	case optHostName:
		o.name = bytes.TrimRight(v, "\x00")
	case optVendor:
		o.vendor = v
	case optClientID:
		o.clientID = v
	case optFQDN:
		if len(v) < 3 {
			return false
		}
		o.fqdn = fqdn(v[0], v[3:])
	case optKind, optOverload:
		if len(v) != 1 {
			return false
		}
		if code == optKind {
			o.kind = v[0]
		} else {
			o.overload = v[0]
		}
	case optLease, optRequested, optServer:
		if len(v) != 4 {
			return false
		}
		switch code {
		case optLease:
			o.lease = binary.BigEndian.Uint32(v)
		case optRequested:
			o.requested = address(v)
		default:
			o.server = address(v)
		}
	case optRouter, optResolver:
		if len(v) == 0 || len(v)%4 != 0 {
			return false
		}
		if code == optRouter {
			o.router = address(v)
		} else {
			o.resolver = address(v)
		}
	}
	return true
}

// fqdn returns the host part of option 81 (RFC 4702, 2): in wire labels where flag E says so, else in ASCII.
func fqdn(flags byte, v []byte) []byte {
	const wireForm = 4
	if flags&wireForm != 0 {
		if len(v) == 0 || int(v[0]) >= len(v) || v[0] > 63 {
			return nil
		}
		return v[1 : 1+v[0]]
	}
	host, _, _ := bytes.Cut(bytes.TrimRight(v, "\x00"), []byte("."))
	return host
}

// hostName is the name under which the client presents itself.
func (o *options) hostName() []byte {
	if len(o.name) > 0 {
		return o.name
	}
	return o.fqdn
}
