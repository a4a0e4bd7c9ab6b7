package packet

import "encoding/binary"

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
	portTeredo   = 3544
	portTZSP     = 37008
	portL2TP     = 1701
)

// tunnel opens a tunnel of which r is the header, and makes p the inner packet. Where that can't be decoded p stays the
// outer packet.
func (d Decoder) tunnel(p *Packet, l layer, r rest) {
	next, inner := layerEnd, r
	kind, id := TunnelIP, uint32(0)
	switch {
	case p.Fragment != Whole: // the rest of the inner packet is elsewhere
	case p.Tunnels >= d.MaxTunnels:
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
			next, inner, kind, id = gre(r)
		case layerVXLAN:
			next, inner, id = vxlan(r)
			kind = TunnelVXLAN
		case layerGENEVE:
			next, inner, id = geneve(r)
			kind = TunnelGENEVE
		case layerGTP:
			next, inner, id = gtp(r)
			kind = TunnelGTP
		case layerTeredo:
			next, inner = teredo(r)
			kind = TunnelTeredo
		case layerTZSP:
			next, inner = tzsp(r)
			kind = TunnelTZSP
		case layerL2TP:
			next, inner, id = l2tp(r)
			kind = TunnelL2TP
		}
	}
	if next != layerEnd {
		outer := *p
		*p = Packet{
			At: outer.At, Number: outer.Number, Input: outer.Input, WireLen: outer.WireLen, Anomalies: outer.Anomalies,
			Proto: ProtoNone, VLAN: outer.VLAN, NumVLAN: outer.NumVLAN, Frames: 1,
			Tunnels: outer.Tunnels, Outer: outer.Outer, Src: outer.Src, Dst: outer.Dst,
		}
		p.enter(kind, id)
		p.Src, p.Dst = Addr{}, Addr{}
		switch {
		case kind.network():
			p.VLAN, p.NumVLAN = [2]uint16{}, 0
		case kind == TunnelERSPAN && id>>16 != 0: // the VLAN in which the mirror saw the frame
			p.VLAN, p.NumVLAN = [2]uint16{uint16(id >> 16)}, 1
		}
		if kind == TunnelERSPAN {
			p.innermost().ID = id & 0xffff
		}
		d.walk(p, next, inner)
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
	case portTeredo:
		return layerTeredo
	case portTZSP:
		return layerTZSP
	case portL2TP:
		return layerL2TP
	}
	if p.SrcPort == portTeredo { // servers and relays answer from it
		return layerTeredo
	}
	return layerEnd
}

// gre reads GRE (RFC 2784, 2890; version 1 of PPTP, RFC 2637), and ERSPAN in it (draft-foschiano-erspan), whose id is
// VLAN << 16 | session.
func gre(r rest) (_ layer, _ rest, kind TunnelKind, id uint32) {
	const checksum, routing, key, sequence, ack = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
	if len(r.b) < 4 {
		return layerEnd, r, 0, 0
	}
	flags, proto := binary.BigEndian.Uint16(r.b), binary.BigEndian.Uint16(r.b[2:])
	version := flags & 7
	if flags&routing != 0 || version > 1 {
		return layerEnd, r, 0, 0
	}
	n := 4
	kind = TunnelGRE
	for _, flag := range [...]uint16{checksum, key, sequence} {
		if flags&flag == 0 {
			continue
		}
		if n += 4; flag == key && len(r.b) >= n {
			id = binary.BigEndian.Uint32(r.b[n-4:])
		}
	}
	const bridging, erspan, erspan3 = 0x6558, 0x88be, 0x22eb
	switch {
	case version == 1:
		if kind, id = TunnelPPTP, id&0xffff; flags&ack != 0 { // the upper half of the key is a length
			n += 4
		}
	case proto == bridging && flags&key != 0: // the lowest byte names the flow
		kind, id = TunnelNVGRE, id>>8
	case proto == erspan || proto == erspan3:
		kind, id = TunnelERSPAN, 0
		if b := r.b[min(n, len(r.b)):]; len(b) >= 4 && (proto == erspan3 || flags&sequence != 0) {
			id = uint32(binary.BigEndian.Uint16(b)&0xfff)<<16 | uint32(binary.BigEndian.Uint16(b[2:])&0x3ff)
		}
	}
	switch {
	case proto == erspan && flags&sequence != 0: // type II; type I has no header of its own
		n += 8
	case proto == erspan3:
		if len(r.b) < n+12 {
			return layerEnd, r, 0, 0
		}
		if n += 12; r.b[n-1]&1 != 0 { // a platform's subheader follows
			n += 8
		}
	}
	if len(r.b) <= n {
		return layerEnd, r, 0, 0
	}
	switch {
	case kind == TunnelERSPAN:
		return layerEthernet, r.skip(n), kind, id
	case proto>>8 == 0x82: // controllers of Aruba carry the access points' frames
		return layerWLAN, r.skip(n), kind, id
	}
	return etherLayer(proto), r.skip(n), kind, id
}

// vxlan reads VXLAN (RFC 7348, 5), its group policy extension (draft-smith-vxlan-group-policy) and the generic one that
// names a next protocol (draft-ietf-nvo3-vxlan-gpe).
func vxlan(r rest) (_ layer, _ rest, vni uint32) {
	const instance, next, policy = 0x08, 0x04, 0x80
	if len(r.b) <= 8 || r.b[7] != 0 {
		return layerEnd, r, 0
	}
	vni = binary.BigEndian.Uint32(r.b[4:]) >> 8
	switch reserved := r.b[1] | r.b[2] | r.b[3]; r.b[0] {
	case instance:
		if reserved == 0 {
			return layerEthernet, r.skip(8), vni
		}
	case instance | policy:
		return layerEthernet, r.skip(8), vni
	case instance | next:
		return nextLayer(r.b[3]), r.skip(8), vni
	}
	return layerEnd, r, 0
}

// geneve reads GENEVE (RFC 8926, 3.4).
func geneve(r rest) (_ layer, _ rest, vni uint32) {
	if len(r.b) < 8 || r.b[0]>>6 != 0 || r.b[1]&0x3f != 0 || r.b[7] != 0 {
		return layerEnd, r, 0
	}
	n := 8 + int(r.b[0]&0x3f)*4
	if len(r.b) <= n {
		return layerEnd, r, 0
	}
	switch l := etherLayer(binary.BigEndian.Uint16(r.b[2:])); l {
	case layerEthernet, layerIPv4, layerIPv6:
		return l, r.skip(n), binary.BigEndian.Uint32(r.b[4:]) >> 8
	}
	return layerEnd, r, 0
}

// gtp reads the user plane of GTP version 1 (3GPP TS 29.281, 5): only G-PDU messages carry packets.
func gtp(r rest) (_ layer, _ rest, teid uint32) {
	b := r.b
	if len(b) < 12 || b[0]&0xf8 != 0x30 || b[1] != 0xff || int(binary.BigEndian.Uint16(b[2:]))+8 != r.want {
		return layerEnd, r, 0
	}
	n := 8
	if b[0]&7 != 0 { // sequence number, N-PDU number and type of the first extension header
		n = 12
		for next := b[11]; b[0]&4 != 0 && next != 0; next = b[n-1] {
			if n >= len(b) || b[n] == 0 || n+int(b[n])*4 > len(b) {
				return layerEnd, r, 0
			}
			n += int(b[n]) * 4
		}
	}
	if n >= len(b) || b[n]>>4 != 4 && b[n]>>4 != 6 {
		return layerEnd, r, 0
	}
	return layerRawIP, r.skip(n), binary.BigEndian.Uint32(b[4:])
}

// teredo reads Teredo (RFC 4380, 5.1.1): authentication and origin may stand before the IPv6 packet, whose length must
// fill the datagram.
func teredo(r rest) (layer, rest) {
	for range 2 {
		switch b := r.b; {
		case len(b) >= 13 && b[0] == 0 && b[1] == 1: // authentication: lengths of client id and value, nonce, confirmation
			n := 4 + int(b[2]) + int(b[3]) + 9
			if n > len(b) {
				return layerEnd, r
			}
			r = r.skip(n)
		case len(b) >= 8 && b[0] == 0 && b[1] == 0:
			r = r.skip(8)
		}
	}
	if b := r.b; len(b) < 40 || b[0]>>4 != 6 || 40+int(binary.BigEndian.Uint16(b[4:])) != r.want {
		return layerEnd, r
	}
	return layerIPv6, r
}

// tzsp reads the TaZmen Sniffer Protocol, version 1: fields of tag, length and value up to an end tag, then the frame.
func tzsp(r rest) (layer, rest) {
	const pad, end = 0, 1
	b := r.b
	if len(b) < 5 || b[0] != 1 || b[1] > 1 { // only received and sent frames
		return layerEnd, r
	}
	l := layerEnd
	switch binary.BigEndian.Uint16(b[2:]) {
	case 1:
		l = layerEthernet
	case 18:
		l = layerWLAN
	}
	for n := 4; n < len(b); {
		switch b[n] {
		case pad:
			n++
		case end:
			return l, r.skip(n + 1)
		default:
			if n+1 >= len(b) {
				return layerEnd, r
			}
			n += 2 + int(b[n+1])
		}
	}
	return layerEnd, r
}

// l2tp reads a data message of L2TP version 2 (RFC 2661, 3.1).
func l2tp(r rest) (_ layer, _ rest, id uint32) {
	const control, length, sequence, offset = 0x8000, 0x4000, 0x0800, 0x0200
	b := r.b
	if len(b) < 6 {
		return layerEnd, r, 0
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&control != 0 || flags&0xf != 2 {
		return layerEnd, r, 0
	}
	n := 2
	if flags&length != 0 {
		if int(binary.BigEndian.Uint16(b[2:])) != r.want {
			return layerEnd, r, 0
		}
		n = 4
	}
	if len(b) < n+4 {
		return layerEnd, r, 0
	}
	id = binary.BigEndian.Uint32(b[n:])
	if n += 4; flags&sequence != 0 {
		n += 4
	}
	if flags&offset != 0 {
		if len(b) < n+2 {
			return layerEnd, r, 0
		}
		n += 2 + int(binary.BigEndian.Uint16(b[n:]))
	}
	if len(b) <= n {
		return layerEnd, r, 0
	}
	return layerPPP, r.skip(n), id
}

// nextLayer returns what a next protocol of VXLAN-GPE and NSH announces (draft-ietf-nvo3-vxlan-gpe, RFC 8300, 2.2).
func nextLayer(next byte) layer {
	switch next {
	case 1:
		return layerIPv4
	case 2:
		return layerIPv6
	case 3:
		return layerEthernet
	case 4:
		return layerNSH
	case 5:
		return layerMPLS
	}
	return layerEnd
}

// nsh reads a network service header (RFC 8300, 2).
func (p *Packet) nsh(r rest) (layer, rest) {
	b := r.b
	if len(b) < 8 {
		return p.short(r)
	}
	n, l := int(b[1]&0x3f)*4, nextLayer(b[3])
	if b[0]>>6 != 0 || n < 8 || l == layerEnd {
		return layerTunnel, r
	}
	if len(b) < n {
		return p.short(r)
	}
	p.enter(TunnelNSH, binary.BigEndian.Uint32(b[4:]))
	return l, r.skip(n)
}

// mpls reads a label stack (RFC 3032, 2.1). What it carries is not said: the first nibble tells IP and the control word
// of an Ethernet pseudowire (RFC 4385, 3).
func (p *Packet) mpls(r rest) (layer, rest) {
	for range maxLabels {
		if len(r.b) < 5 {
			return p.short(r)
		}
		bottom, label := r.b[2]&1 != 0, binary.BigEndian.Uint32(r.b)>>12
		if r = r.skip(4); !bottom {
			continue
		}
		p.enter(TunnelMPLS, label)
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
	n, next, kind := 4, layerEthernet, TunnelPBB // 802.1ah: flags and service id
	switch l {
	case layerFabricPath: // tree and hops
		n, kind = 2, TunnelFabric
	case layerETag: // 802.1BR: then an EtherType
		n, next, kind = 6, layerEnd, TunnelETag
	case layerVNTag:
		next, kind = layerEnd, TunnelVNTag
	}
	if len(r.b) < n+2 {
		return p.short(r)
	}
	switch id := binary.BigEndian.Uint32(r.b); kind {
	case TunnelPBB:
		p.enter(kind, id&0xffffff)
		p.VLAN, p.NumVLAN = [2]uint16{}, 0
	case TunnelVNTag: // direction, pointer, destination of 14 bits, looped, reserved, version, source of 12 bits
		p.enter(kind, id>>16&0x3fff<<16|id&0xfff)
	case TunnelETag: // priority and ingress base of 12 bits, then group and base of 14 bits
		p.enter(kind, uint32(binary.BigEndian.Uint16(r.b[2:])&0x3fff))
	default:
		p.enter(kind, 0)
	}
	r = r.skip(n)
	if next == layerEnd {
		return typeOrLength(binary.BigEndian.Uint16(r.b), r.skip(2))
	}
	return next, r
}
