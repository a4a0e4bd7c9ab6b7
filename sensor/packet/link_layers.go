package packet

import "encoding/binary"

// null reads the BSD loopback header: a 4-byte address family, in the byte order of the machine that captured (null) or
// of the network (loop). Families fit 16 bits, so the order shows.
func (p *Packet) null(r rest) (layer, rest) {
	if len(r.b) < 4 {
		return p.short(r)
	}
	head := r.b[:4]
	family := binary.LittleEndian.Uint32(head)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(head)
	}
	r = r.skip(4)
	switch family {
	case 2:
		return layerIPv4, r
	case 10, 23, 24, 28, 30: // AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS
		return layerIPv6, r
	}
	if t := binary.BigEndian.Uint16(head[2:]); t >= 0x600 { // some systems put an EtherType there
		return etherLayer(t), r
	}
	return layerUnknown, r
}

// ppp reads PPP with or without its HDLC header (RFC 1662; the protocol may be compressed to one byte, 1661, 6.5).
func (p *Packet) ppp(r rest) (layer, rest) {
	if len(r.b) >= 2 && r.b[0] == 0xff && r.b[1] == 3 {
		r = r.skip(2)
	}
	if len(r.b) < 2 {
		return p.short(r)
	}
	proto, n := uint16(r.b[0]), 1
	if proto&1 == 0 {
		proto, n = binary.BigEndian.Uint16(r.b), 2
	}
	r = r.skip(n)
	switch proto {
	case 0x0021:
		return layerIPv4, r
	case 0x0057:
		return layerIPv6, r
	case 0x0281, 0x0283:
		return layerMPLS, r
	case 0x003d, 0x00fd, 0x00fb: // multilink, compressed
		return layerTunnel, r
	}
	if proto >= 0x8000 || proto < 0x4000 { // control protocols (LCP, IPCP, PAP, …), and networks that the sensor doesn't read
		return layerOther, r
	}
	return layerUnknown, r
}

// pppoe reads a PPPoE session header (RFC 2516, 4).
func (p *Packet) pppoe(r rest) (layer, rest) {
	if len(r.b) < 6 {
		return p.short(r)
	}
	if r.b[0] != 0x11 || r.b[1] != 0 { // version 1, type 1, code of session data
		return layerOther, r
	}
	n := int(binary.BigEndian.Uint16(r.b[4:]))
	p.enter(TunnelPPPoE, uint32(binary.BigEndian.Uint16(r.b[2:])))
	r = r.skip(6)
	if n < r.want { // Ethernet padding follows
		r = r.limit(n)
	}
	return layerPPP, r
}

// sll reads the header of Linux cooked captures, version 1 (LINKTYPE_LINUX_SLL).
func (p *Packet) sll(r rest) (layer, rest) {
	b := r.b
	if len(b) < 16 {
		return p.short(r)
	}
	if binary.BigEndian.Uint16(b[4:]) == 6 {
		p.SrcMAC = MAC(b[6:12])
	}
	return cooked(binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[14:]), r.skip(16))
}

// sll2 reads the header of Linux cooked captures, version 2 (LINKTYPE_LINUX_SLL2).
func (p *Packet) sll2(r rest) (layer, rest) {
	b := r.b
	if len(b) < 20 {
		return p.short(r)
	}
	if b[11] == 6 {
		p.SrcMAC = MAC(b[12:18])
	}
	return cooked(binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b), r.skip(20))
}

// cooked maps the protocol of a cooked capture. It is an EtherType unless the hardware type (ARPHRD_) says otherwise.
func cooked(hardware, proto uint16, r rest) (layer, rest) {
	switch {
	case hardware == 824 || hardware >= 801 && hardware <= 803: // netlink, IEEE 802.11
		return layerOther, r
	case hardware == 778: // GRE: the protocol is GRE's
		return etherLayer(proto), r
	case proto == 0x0004: // 802.2
		return layerLLC, r
	case proto < 0x600: // 802.3 without LLC, CAN, …
		return layerOther, r
	}
	return etherLayer(proto), r
}

// fddi reads FDDI's frame control and addresses. Capturing machines leave the addresses in the bit order of the ring or
// turn them: they are not taken.
func (p *Packet) fddi(r rest) (layer, rest) {
	if len(r.b) < 13 {
		return p.short(r)
	}
	if r.b[0]&0xf0 != 0x50 { // not an LLC frame: ring management
		return layerOther, r
	}
	return layerLLC, r.skip(13)
}

// nflog reads netfilter's log: a 4-byte header, then attributes of length, type and value padded to 4 bytes
// (LINKTYPE_NFLOG). The attributes are in the byte order of the machine that captured.
func (p *Packet) nflog(r rest) (layer, rest) {
	if len(r.b) < 4 {
		return p.short(r)
	}
	if r.b[1] != 0 { // version
		return layerUnknown, r
	}
	l := layerUnknown
	switch r.b[0] {
	case 2:
		l = layerIPv4
	case 10:
		l = layerIPv6
	case 0, 1, 7: // unspecified, inet, bridge: the payload tells
		l = layerRawIP
	}
	r = r.skip(4)
	const payload = 9 // NFULA_PAYLOAD
	for {
		if len(r.b) < 4 {
			return p.short(r)
		}
		n, kind := int(binary.LittleEndian.Uint16(r.b)), binary.LittleEndian.Uint16(r.b[2:])
		if kind > 0xff { // no such types exist: the other byte order
			n, kind = int(binary.BigEndian.Uint16(r.b)), binary.BigEndian.Uint16(r.b[2:])
		}
		if n < 4 || n > r.want {
			return p.short(r)
		}
		if kind == payload {
			return l, r.limit(n).skip(4)
		}
		if n = (n + 3) &^ 3; n > len(r.b) {
			return p.short(r)
		}
		r = r.skip(n)
	}
}

// rawIP tells IPv4 from IPv6 by the version nibble.
func (p *Packet) rawIP(r rest) (layer, rest) {
	if len(r.b) == 0 {
		return p.short(r)
	}
	switch r.b[0] >> 4 {
	case 4:
		return layerIPv4, r
	case 6:
		return layerIPv6, r
	}
	return p.bad(BadIPVersion, r)
}
