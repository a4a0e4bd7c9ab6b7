package packet

import "encoding/binary"

// maxTunnels is how many tunnels within each other are opened. Chosen by us: mirrors of overlay networks reach three.
const maxTunnels = 8

// maxLabels bounds an MPLS label stack. Chosen by us: networks push a handful.
const maxLabels = 16

// UDP ports of tunnels (IANA; 8472 is what Linux used for VXLAN before 4789 was assigned). A port alone proves nothing:
// the header must fit and what it carries must be a packet, else the datagram is an ordinary one.
const (
	portGTP      = 2152
	portVXLAN    = 4789
	portVXLANGPE = 4790
	portVXLANOld = 8472
	portGENEVE   = 6081
)

// tunnel opens a tunnel of which r is the header, and makes p the inner packet. Where that can't be decoded p stays the
// outer packet.
func (p *Packet) tunnel(l layer, r rest) {
	next, inner := layerEnd, r
	switch {
	case p.Fragment != Whole: // the rest of the inner packet is elsewhere
	case p.Tunnels == maxTunnels:
		p.Anomalies.Add(TooManyTags)
	default:
		switch l {
		case layerIPv4Tunnel:
			next = layerIPv4
		case layerIPv6Tunnel:
			next = layerIPv6
		case layerMPLSTunnel:
			next = layerMPLS
		case layerGRE:
			next, inner = gre(r)
		case layerVXLAN:
			next, inner = vxlan(r)
		case layerGENEVE:
			next, inner = geneve(r)
		case layerGTP:
			next, inner = gtp(r)
		}
	}
	if next != layerEnd {
		outer := *p
		*p = Packet{
			At: outer.At, Number: outer.Number, Input: outer.Input, WireLen: outer.WireLen, Anomalies: outer.Anomalies,
			Proto: ProtoNone, Segment: outer.Segment, VLAN: outer.VLAN, NumVLAN: outer.NumVLAN, Tunnels: outer.Tunnels + 1,
		}
		p.walk(next, inner)
		if p.Net != NetNone && p.Net != NetOther {
			return
		}
		*p = outer
	}
	p.payload(r)
	if p.Proto != ProtoUDP {
		p.Anomalies.Add(TunnelNotDecoded)
	}
}

// udpTunnel names the tunnel that a datagram may carry.
func (p *Packet) udpTunnel() layer {
	switch p.DstPort {
	case portVXLAN, portVXLANGPE, portVXLANOld:
		return layerVXLAN
	case portGENEVE:
		return layerGENEVE
	case portGTP:
		return layerGTP
	}
	return layerEnd
}

// gre reads GRE (RFC 2784, 2890; version 1 of PPTP, RFC 2637), and ERSPAN in it (draft-foschiano-erspan).
func gre(r rest) (layer, rest) {
	const checksum, routing, key, sequence, ack = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
	if len(r.b) < 4 {
		return layerEnd, r
	}
	flags, proto := binary.BigEndian.Uint16(r.b), binary.BigEndian.Uint16(r.b[2:])
	version := flags & 7
	if flags&routing != 0 || version > 1 {
		return layerEnd, r
	}
	n := 4
	for _, flag := range [...]uint16{checksum, key, sequence} {
		if flags&flag != 0 {
			n += 4
		}
	}
	if version == 1 && flags&ack != 0 {
		n += 4
	}
	const erspan, erspan3 = 0x88be, 0x22eb
	switch {
	case proto == erspan && flags&sequence != 0: // type II; type I has no header of its own
		n += 8
	case proto == erspan3:
		if len(r.b) < n+12 {
			return layerEnd, r
		}
		if n += 12; r.b[n-1]&1 != 0 { // a platform's subheader follows
			n += 8
		}
	}
	if len(r.b) <= n {
		return layerEnd, r
	}
	if proto == erspan || proto == erspan3 {
		return layerEthernet, r.skip(n)
	}
	return etherLayer(proto), r.skip(n)
}

// vxlan reads VXLAN (RFC 7348, 5), its group policy extension (draft-smith-vxlan-group-policy) and the generic one that
// names a next protocol (draft-ietf-nvo3-vxlan-gpe).
func vxlan(r rest) (layer, rest) {
	const instance, next, policy = 0x08, 0x04, 0x80
	if len(r.b) <= 8 || r.b[7] != 0 {
		return layerEnd, r
	}
	switch reserved := r.b[1] | r.b[2] | r.b[3]; r.b[0] {
	case instance:
		if reserved == 0 {
			return layerEthernet, r.skip(8)
		}
	case instance | policy:
		return layerEthernet, r.skip(8)
	case instance | next:
		switch r.b[3] {
		case 1:
			return layerIPv4, r.skip(8)
		case 2:
			return layerIPv6, r.skip(8)
		case 3:
			return layerEthernet, r.skip(8)
		}
	}
	return layerEnd, r
}

// geneve reads GENEVE (RFC 8926, 3.4).
func geneve(r rest) (layer, rest) {
	if len(r.b) < 8 || r.b[0]>>6 != 0 || r.b[1]&0x3f != 0 || r.b[7] != 0 {
		return layerEnd, r
	}
	n := 8 + int(r.b[0]&0x3f)*4
	if len(r.b) <= n {
		return layerEnd, r
	}
	switch l := etherLayer(binary.BigEndian.Uint16(r.b[2:])); l {
	case layerEthernet, layerIPv4, layerIPv6:
		return l, r.skip(n)
	}
	return layerEnd, r
}

// gtp reads the user plane of GTP version 1 (3GPP TS 29.281, 5): only G-PDU messages carry packets.
func gtp(r rest) (layer, rest) {
	b := r.b
	if len(b) < 12 || b[0]&0xf8 != 0x30 || b[1] != 0xff || int(binary.BigEndian.Uint16(b[2:]))+8 != r.want {
		return layerEnd, r
	}
	n := 8
	if b[0]&7 != 0 { // sequence number, N-PDU number and type of the first extension header
		n = 12
		for next := b[11]; b[0]&4 != 0 && next != 0; next = b[n-1] {
			if n >= len(b) || b[n] == 0 || n+int(b[n])*4 > len(b) {
				return layerEnd, r
			}
			n += int(b[n]) * 4
		}
	}
	if n >= len(b) || b[n]>>4 != 4 && b[n]>>4 != 6 {
		return layerEnd, r
	}
	return layerRawIP, r.skip(n)
}

// mpls reads a label stack (RFC 3032, 2.1). What it carries is not said: the first nibble tells IP and the control word
// of an Ethernet pseudowire (RFC 4385, 3).
func (p *Packet) mpls(r rest) (layer, rest) {
	for range maxLabels {
		if len(r.b) < 5 {
			return p.short(r)
		}
		bottom := r.b[2]&1 != 0
		if r = r.skip(4); !bottom {
			continue
		}
		switch r.b[0] >> 4 {
		case 4:
			return layerIPv4, r
		case 6:
			return layerIPv6, r
		case 0:
			if len(r.b) >= 4+14 {
				return layerEthernet, r.skip(4)
			}
		}
		return layerTunnel, r
	}
	return p.bad(TooManyTags, r)
}

// wrapped reads the headers of switches around a frame: they have fixed sizes.
func (p *Packet) wrapped(l layer, r rest) (layer, rest) {
	n, next := 4, layerEthernet // 802.1ah: flags and service id
	switch l {
	case layerFabricPath: // tree and hops
		n = 2
	case layerETag: // 802.1BR: then an EtherType
		n, next = 6, layerEnd
	case layerVNTag:
		next = layerEnd
	}
	if len(r.b) < n+2 {
		return p.short(r)
	}
	r = r.skip(n)
	if next == layerEnd {
		return typeOrLength(binary.BigEndian.Uint16(r.b), r.skip(2))
	}
	return next, r
}
