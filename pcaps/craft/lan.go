package craft

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var broadcast = net.HardwareAddr{255, 255, 255, 255, 255, 255}

// arp sends one message of a machine in the name of sender: a reply to target's machine, or a request to all.
func (n *Net) arp(at time.Time, by *Host, sender netip.Addr, target *Host, reply bool) {
	op, to, known := layers.ARPRequest, broadcast, make(net.HardwareAddr, 6)
	if reply {
		op, to, known = layers.ARPReply, target.MAC, target.MAC
	}
	eth := &layers.Ethernet{SrcMAC: by.MAC, DstMAC: to, EthernetType: layers.EthernetTypeARP}
	message := &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: uint16(op),
		SourceHwAddress: by.MAC, SourceProtAddress: sender.AsSlice(), DstHwAddress: known, DstProtAddress: target.Addr.AsSlice(),
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{}, eth, message); err != nil {
		panic(err) // a programming error: what is crafted here can be written
	}
	n.packets = append(n.packets, packet{at, slices.Clone(buf.Bytes())}) // padded to Ethernet's minimum already
}

// ARP asks who has an address, and its holder answers unless silent.
func (n *Net) ARP(at time.Time, from, to *Host, answered bool) {
	n.arp(at, from, from.Addr, to, false)
	if answered {
		n.arp(at.Add(n.Inside), to, to.Addr, from, true)
	}
}

// ARPLie tells a victim, unasked, that another's address is at the liar's hardware address.
func (n *Net) ARPLie(at time.Time, liar, about, victim *Host) {
	n.arp(at, liar, about.Addr, victim, true)
}

// LLMNR asks everybody for a name, and responder, which may be nil, answers with its own address (RFC 4795, 2.1).
func (n *Net) LLMNR(at time.Time, from, responder *Host, name string) {
	group := &Host{Addr: netip.AddrFrom4([4]byte{224, 0, 0, 252}), MAC: net.HardwareAddr{1, 0, 0x5e, 0, 0, 252}}
	id, port := uint16(n.Rand.Uint32()), from.Ephemeral()
	m := &layers.DNS{ID: id, Questions: []layers.DNSQuestion{{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
	n.UDP(at, from, group, port, 5355, serialize(m))
	if responder == nil {
		return
	}
	m.QR = true
	m.Answers = []layers.DNSResourceRecord{{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN, TTL: 30, IP: responder.Addr.AsSlice()}}
	n.UDP(at.Add(2*n.Inside), responder, from, 5355, port, serialize(m))
}

// Lease lets a client that calls itself its name get an address from a server (RFC 2131, 3.1), which names router and resolver.
func (n *Net) Lease(at time.Time, server, client *Host, router, resolver netip.Addr) {
	nobody := &Host{Addr: netip.IPv4Unspecified(), MAC: client.MAC, ttl: 128}
	all := &Host{Addr: netip.AddrFrom4([4]byte{255, 255, 255, 255}), MAC: broadcast}
	xid := n.Rand.Uint32()
	say := func(kind layers.DHCPMsgType, answer bool, more ...layers.DHCPOption) {
		m := &layers.DHCPv4{Operation: layers.DHCPOpRequest, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, Xid: xid, ClientHWAddr: client.MAC,
			ClientIP: net.IPv4zero, YourClientIP: net.IPv4zero, NextServerIP: net.IPv4zero, RelayAgentIP: net.IPv4zero,
			Options: append(layers.DHCPOptions{layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(kind)})}, more...)}
		from, sport, dport := nobody, uint16(68), uint16(67)
		if answer {
			m.Operation, m.YourClientIP = layers.DHCPOpReply, client.Addr.AsSlice()
			from, sport, dport = server, 67, 68
		}
		m.Options = append(m.Options, layers.NewDHCPOption(layers.DHCPOptEnd, nil))
		n.UDP(at, from, all, sport, dport, serialize(m))
		at = at.Add(2 * n.Inside)
	}
	id := layers.NewDHCPOption(layers.DHCPOptServerID, server.Addr.AsSlice())
	name := layers.NewDHCPOption(layers.DHCPOptHostname, []byte(client.Name))
	gives := []layers.DHCPOption{
		id, layers.NewDHCPOption(layers.DHCPOptLeaseTime, []byte{0, 0, 0x0e, 0x10}), layers.NewDHCPOption(layers.DHCPOptRouter, router.AsSlice()),
		layers.NewDHCPOption(layers.DHCPOptDNS, resolver.AsSlice()),
	}
	say(layers.DHCPMsgTypeDiscover, false, name)
	say(layers.DHCPMsgTypeOffer, true, gives...)
	say(layers.DHCPMsgTypeRequest, false, name, id, layers.NewDHCPOption(layers.DHCPOptRequestIP, client.Addr.AsSlice()))
	say(layers.DHCPMsgTypeAck, true, gives...)
}

// Redirect tells a host, in the name of a router, to send to a destination through another (RFC 792).
func (n *Net) Redirect(at time.Time, by, router, victim, instead *Host, to netip.Addr) {
	forged := *router
	forged.MAC = by.MAC
	quoted := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0}, victim.Addr.AsSlice()...)
	quoted = append(append(quoted, to.AsSlice()...), 0xc0, 0, 0, 53, 0, 8, 0, 0)
	a := instead.Addr.As4()
	n.emit(at, &forged, victim, layers.IPProtocolICMPv4, &layers.ICMPv4{
		TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeRedirect, 1), Id: uint16(a[0])<<8 | uint16(a[1]), Seq: uint16(a[2])<<8 | uint16(a[3]),
	}, gopacket.Payload(quoted))
}
