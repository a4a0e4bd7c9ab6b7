package dhcp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

func ip(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

// head is a message without options: op 1 from the client, 2 from the server.
func head(op byte) []byte {
	b := make([]byte, optionsAt)
	b[0], b[1], b[2] = op, 1, 6
	binary.BigEndian.PutUint32(b[4:], 0x01020304)
	copy(b[28:], []byte{2, 0, 0, 0, 0, 9})
	binary.BigEndian.PutUint32(b[cookieAt:], cookie)
	return b
}

// opt appends an option.
func opt(b []byte, code byte, v ...byte) []byte { return append(append(b, code, byte(len(v))), v...) }

var (
	none   = ip("0.0.0.0")
	all    = ip("255.255.255.255")
	server = ip("10.0.0.1")
)

// read reads one datagram from client or server.
func read(t testing.TB, b []byte, wire int, dir flows.Dir) (*flows.DHCP, *flows.Batch, Stats) {
	t.Helper()
	var stats Stats
	batch := &flows.Batch{}
	out := flows.Out{Batch: batch, From: packet.MAC{2, 0, 0, 0, 0, 7}}
	c := flows.Conn{Orig: none, Resp: all, OrigPort: 68, RespPort: 67}
	if b[0] == 2 {
		c = flows.Conn{Orig: server, Resp: all, OrigPort: 67, RespPort: 68}
	}
	New(&stats).Datagram(&out, &c, dir, b, max(wire, len(b)), flows.Ref{Frame: 5})
	if len(batch.DHCP) == 0 {
		return nil, batch, stats
	}
	return &batch.DHCP[0], batch, stats
}

// TestDiscover: a client that asks under a name.
func TestDiscover(t *testing.T) {
	b := opt(head(1), optKind, 1)
	b = opt(b, optClientID, 1, 2, 0, 0, 0, 0, 9)
	b = opt(b, optRequested, 10, 0, 0, 50)
	b = opt(b, optHostName, []byte("anna-pc\x00")...)
	b = opt(b, optVendor, []byte("MSFT 5.0")...)
	m, batch, stats := read(t, append(b, optEnd, 0, 0), 0, flows.Orig)
	if m == nil || m.Kind != flows.DHCPDiscover || m.Requested != ip("10.0.0.50") || batch.String(m.HostName) != "anna-pc" || batch.String(m.Vendor) != "MSFT 5.0" ||
		!slices.Equal(batch.Bytes(m.ClientID), []byte{1, 2, 0, 0, 0, 0, 9}) || m.Hardware != (packet.MAC{2, 0, 0, 0, 0, 9}) || m.From != (packet.MAC{2, 0, 0, 0, 0, 7}) ||
		m.Xid != 0x01020304 || m.Server != (packet.Addr{}) || m.Client != (packet.Addr{}) || m.Ref.Frame != 5 || stats != (Stats{Messages: 1}) {
		t.Fatalf("%+v %+v", m, stats)
	}
}

// TestAck: what a server gives; without option 54 the sender of the answer is the server.
func TestAck(t *testing.T) {
	b := head(2)
	copy(b[16:], []byte{10, 0, 0, 50})
	copy(b[24:], []byte{10, 0, 9, 1})
	b = opt(b, optKind, 5)
	b = opt(b, optRouter, 10, 0, 0, 254, 10, 0, 0, 253)
	b = opt(b, optResolver, 10, 0, 0, 53)
	b = opt(b, optLease, 0, 0, 14, 16)
	m, _, _ := read(t, append(b, optEnd), 0, flows.Orig)
	if m == nil || m.Kind != flows.DHCPAck || m.Yours != ip("10.0.0.50") || m.Relay != ip("10.0.9.1") || m.Router != ip("10.0.0.254") ||
		m.Resolver != ip("10.0.0.53") || m.Lease != 3600 || m.Server != server {
		t.Fatalf("%+v", m)
	}
	if m, _, _ = read(t, append(opt(b, optServer, 10, 0, 0, 2), optEnd), 0, flows.Orig); m.Server != ip("10.0.0.2") {
		t.Errorf("server %v", m.Server)
	}
	if m, _, _ = read(t, append(b, optEnd), 0, flows.Resp); m.Server != all {
		t.Errorf("an answer by the responder comes from %v", m.Server)
	}
}

// TestNames: option 81 in both forms gives the host part, option 12 goes before it.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"ASCII", opt(head(1), optFQDN, []byte("\x00\x00\x00ben-pc.corp.example")...), "ben-pc"},
		{"wire labels", opt(head(1), optFQDN, []byte("\x04\x00\x00\x06ben-pc\x04corp\x00")...), "ben-pc"},
		{"wire label too long", opt(head(1), optFQDN, []byte("\x04\x00\x00\x09ben")...), ""},
		{"both", opt(opt(head(1), optFQDN, []byte("\x00\x00\x00other")...), optHostName, []byte("ben")...), "ben"},
		{"the first of two", opt(opt(head(1), optHostName, []byte("ben")...), optHostName, []byte("more")...), "ben"},
	} {
		if m, batch, _ := read(t, append(c.b, optEnd), 0, flows.Orig); m == nil || batch.String(m.HostName) != c.want {
			t.Errorf("%s: %+v", c.name, m)
		}
	}
}

// TestOverload: options go on in the fields for file and server name.
func TestOverload(t *testing.T) {
	b := head(1)
	copy(b[file:], opt(opt(nil, optKind, 3), optEnd))
	copy(b[sname:], opt(opt(nil, optHostName, 'a', 'b'), optEnd))
	m, batch, stats := read(t, append(opt(b, optOverload, 3), optEnd), 0, flows.Orig)
	if m == nil || m.Kind != flows.DHCPRequest || batch.String(m.HostName) != "ab" || stats.Malformed != 0 {
		t.Errorf("%+v %+v", m, stats)
	}
}

// TestStrange: what is wrong is counted, and what precedes it is kept.
func TestStrange(t *testing.T) {
	discover := opt(head(1), optKind, 1)
	foreign := slices.Clone(discover)
	foreign[cookieAt] = 0
	for _, c := range []struct {
		name string
		b    []byte
		wire int
		kind flows.DHCPKind
		said bool
		want Stats
	}{
		{"an option past the end", append(discover, optHostName, 9, 'a'), 0, 1, true, Stats{Messages: 1, Malformed: 1}},
		{"an option without length", append(discover, optHostName), 0, 1, true, Stats{Messages: 1, Malformed: 1}},
		{"cut by the capture", append(discover, optHostName, 9, 'a'), 300, 1, true, Stats{Messages: 1, Truncated: 1}},
		{"no end", discover, 0, 1, true, Stats{Messages: 1}},
		{"a lease of 3 bytes", opt(opt(head(1), optLease, 1, 2, 3), optKind, 1), 0, 1, true, Stats{Messages: 1, Malformed: 1}},
		{"routers of 6 bytes", opt(discover, optRouter, 1, 2, 3, 4, 5, 6), 0, 1, true, Stats{Messages: 1, Malformed: 1}},
		{"no kind: BOOTP", head(1), 0, 0, true, Stats{Messages: 1}},
		{"a short header", discover[:100], 0, 0, false, Stats{Messages: 1, Malformed: 1}},
		{"a header that the capture cut", discover[:100], 300, 0, false, Stats{Messages: 1, Truncated: 1}},
		{"another cookie", foreign, 0, 0, false, Stats{Messages: 1, Foreign: 1}},
	} {
		m, _, stats := read(t, c.b, c.wire, flows.Orig)
		if stats != c.want || (m != nil) != c.said || m != nil && m.Kind != c.kind {
			t.Errorf("%s: %+v, %+v", c.name, m, stats)
		}
	}
}

// TestVersion6 holds that DHCPv6, which has the same name, is left alone.
func TestVersion6(t *testing.T) {
	var stats Stats
	batch := &flows.Batch{}
	New(&stats).Datagram(&flows.Out{Batch: batch}, &flows.Conn{Orig: ip("fe80::1"), Resp: ip("ff02::1:2")}, flows.Orig, []byte{1, 2, 3, 4}, 4, flows.Ref{})
	if len(batch.DHCP) != 0 || stats != (Stats{}) {
		t.Errorf("%+v", stats)
	}
}

// FuzzDatagram holds that no bytes break the reader, and that texts stay within the message.
func FuzzDatagram(f *testing.F) {
	f.Add(append(opt(opt(head(1), optKind, 1), optHostName, 'a'), optEnd), 0)
	f.Add(append(opt(opt(head(2), optKind, 2), optRouter, 10, 0, 0, 1), optEnd), 0)
	f.Add(opt(head(1), optOverload, 3), 0)
	f.Add(opt(head(1), optFQDN, 4, 0, 0, 3, 'a', 'b', 'c', 0), 0)
	f.Add(head(1)[:200], 300)
	f.Fuzz(func(t *testing.T, b []byte, more int) {
		if len(b) == 0 {
			return
		}
		m, batch, stats := read(t, b, len(b)+min(max(more, 0), 1<<16), flows.Orig)
		if stats.Messages != 1 || len(batch.Arena) > len(b) {
			t.Errorf("%+v, %d bytes of text from %d", stats, len(batch.Arena), len(b))
		}
		if m == nil && stats.Malformed+stats.Truncated+stats.Foreign == 0 {
			t.Error("a silent skip")
		}
	})
}
