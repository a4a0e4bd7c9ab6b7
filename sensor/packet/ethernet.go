package packet

import "encoding/binary"

// maxTags is how many VLAN tags in a row are followed. Networks use two; three and four occur where mirrors add theirs.
const maxTags = 4

// linkLayer returns the layer that frames of a link type begin with, layerNoLink where it is not read.
func linkLayer(l LinkType) layer {
	switch l {
	case LinkEthernet:
		return layerEthernet
	case LinkNull, LinkLoop:
		return layerNull
	case LinkRaw, LinkRawBSD, LinkRawOBSD:
		return layerRawIP
	case LinkIPv4:
		return layerIPv4
	case LinkIPv6:
		return layerIPv6
	case LinkSLL:
		return layerSLL
	case LinkSLL2:
		return layerSLL2
	case LinkPPP, LinkPPPSerial:
		return layerPPP
	case LinkPPPoE:
		return layerPPPoE
	case LinkFDDI:
		return layerFDDI
	case LinkNFLOG:
		return layerNFLOG
	case LinkWLAN:
		return layerWLAN
	case LinkWLANRadio:
		return layerRadiotap
	case LinkPPI:
		return layerPPI
	}
	return layerNoLink
}

// etherLayer returns what an EtherType announces (IEEE 802 numbers).
func etherLayer(t uint16) layer {
	if t == 0x0800 { // most frames
		return layerIPv4
	}
	switch t {
	case 0x86dd:
		return layerIPv6
	case 0x8100, 0x88a8, 0x9100, 0x9200:
		return layerTag
	case 0x0806:
		return layerARP
	case 0x8847, 0x8848:
		return layerMPLS
	case 0x8864:
		return layerPPPoE
	case 0x880b:
		return layerPPP
	case 0x6558: // transparent Ethernet bridging
		return layerEthernet
	case 0x88e7:
		return layerPBB
	case 0x8903:
		return layerFabricPath
	case 0x893f:
		return layerETag
	case 0x8926:
		return layerVNTag
	case 0x894f:
		return layerNSH
	case 0x0842, // Wake-on-LAN
		0x22ea, 0x22f0, 0x22f3, // SRP, AVTP, TRILL
		0x6000, 0x6001, 0x6002, 0x6003, 0x6004, 0x6005, 0x6006, 0x6007, // DEC
		0x8035,         // RARP
		0x809b, 0x80f3, // AppleTalk
		0x8137,         // IPX
		0x8808, 0x8809, // Ethernet flow control, slow protocols (LACP)
		0x8863,                 // PPPoE discovery
		0x8874, 0x8899, 0x887a, // Broadcom, Realtek, HomePlug
		0x888e,                         // 802.1X
		0x8892,                         // PROFINET
		0x889a, 0x88a2, 0x88a4, 0x88ab, // HyperSCSI, ATA over Ethernet, EtherCAT, POWERLINK
		0x88b5, 0x88b6, 0x88b7, // local experiments, OUI extended
		0x88b8, 0x88b9, 0x88ba, // IEC 61850
		0x88ca, 0x88cc, 0x88cd, // TIPC, LLDP, SERCOS
		0x88e1, 0x88e3, 0x88e5, // HomePlug AV, MRP, MACsec
		0x88f5, 0x88f6, 0x88f7, // MVRP, MMRP, PTP
		0x88f8, 0x88fb, // NC-SI, PRP
		0x8902, 0x8906, 0x8914, // CFM, FCoE
		0x890d, 0x8912, 0x8915, // 802.11z, media independent, RoCE
		0x892f, 0x893a, 0x8940, // HSR, IEEE 1905.1, ECP
		0x9000: // loopback test
		return layerOther
	}
	return layerUnknown
}

// ethernet reads an Ethernet II or 802.3 header.
func (p *Packet) ethernet(r rest) (layer, rest) {
	b := r.b
	if len(b) < 14 {
		return p.short(r)
	}
	p.DstMAC, p.SrcMAC = MAC(b[0:6]), MAC(b[6:12])
	t := binary.BigEndian.Uint16(b[12:])
	r = r.skip(14)
	return typeOrLength(t, r)
}

// typeOrLength tells an EtherType from the length of an 802.3 frame (IEEE 802.3, 3.2.6: below 0x600 it is a length).
func typeOrLength(t uint16, r rest) (layer, rest) {
	if t >= 0x600 {
		return etherLayer(t), r
	}
	if int(t) < r.want { // padding follows
		r = r.limit(int(t))
	}
	return layerLLC, r
}

// tags reads VLAN tags (IEEE 802.1Q), stacked ones as well.
func (p *Packet) tags(r rest) (layer, rest) {
	p.NumVLAN, p.VLAN = 0, [2]uint16{}
	for n := 0; ; n++ {
		if n == maxTags {
			return p.bad(TooManyTags, r)
		}
		if len(r.b) < 4 {
			return p.short(r)
		}
		id := binary.BigEndian.Uint16(r.b) & 0xfff
		t := binary.BigEndian.Uint16(r.b[2:])
		if id != 0 && int(p.NumVLAN) < len(p.VLAN) {
			p.VLAN[p.NumVLAN] = id
			p.NumVLAN++
		}
		r = r.skip(4)
		l, next := typeOrLength(t, r)
		if l == layerTag {
			continue
		}
		return l, next
	}
}

// llc reads IEEE 802.2 and SNAP (RFC 1042).
func (p *Packet) llc(r rest) (layer, rest) {
	b := r.b
	if len(b) < 3 {
		return p.short(r)
	}
	switch {
	case b[0] == 0x06 && b[1] == 0x06 && b[2] == 3: // RFC 948
		return layerIPv4, r.skip(3)
	case b[0] != 0xaa || b[1] != 0xaa || b[2] != 3:
		return layerOther, r
	case len(b) < 8:
		return p.short(r)
	}
	oui := uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])
	t := binary.BigEndian.Uint16(b[6:])
	if (oui == 0 || oui == 0xf8) && t >= 0x600 { // 0xf8: bridge tunnel (IEEE 802.1H)
		return etherLayer(t), r.skip(8)
	}
	return layerOther, r // CDP, VTP, PVST+, AppleTalk, …
}

// arp reads an ARP message (RFC 826). Only IPv4 over 6-byte hardware addresses is taken.
func (p *Packet) arp(r rest) {
	b := r.b
	if len(b) < 8 {
		p.short(r)
		return
	}
	if binary.BigEndian.Uint16(b[2:]) != 0x0800 || b[4] != 6 || b[5] != 4 || r.want < 28 {
		p.Anomalies.Add(BadARP)
		return
	}
	if len(b) < 28 {
		p.short(r)
		return
	}
	p.Net = NetARP
	p.ARP = ARP{Op: binary.BigEndian.Uint16(b[6:]), SenderMAC: MAC(b[8:14]), TargetMAC: MAC(b[18:24])}
	p.Src, p.Dst = AddrFrom4(b[14:18]), AddrFrom4(b[24:28])
}
