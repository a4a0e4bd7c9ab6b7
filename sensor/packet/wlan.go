package packet

import "encoding/binary"

// radiotap reads a radiotap header: its length is all that is needed of it (radiotap.org).
func (p *Packet) radiotap(r rest) (layer, rest) {
	if len(r.b) < 4 {
		return p.short(r)
	}
	n := int(binary.LittleEndian.Uint16(r.b[2:]))
	if n < 8 || n > len(r.b) {
		return p.short(r)
	}
	return layerWLAN, r.skip(n)
}

// ppi reads the header of per-packet information: its length and the link type of what follows.
func (p *Packet) ppi(r rest) (layer, rest) {
	if len(r.b) < 8 {
		return p.short(r)
	}
	n, link := int(binary.LittleEndian.Uint16(r.b[2:])), binary.LittleEndian.Uint32(r.b[4:])
	if n < 8 || n > len(r.b) {
		return p.short(r)
	}
	l := layerNoLink
	if link < 1<<16 {
		l = linkLayer(LinkType(link))
	}
	return l, r.skip(n)
}

// wlan reads an IEEE 802.11 frame (9.2). Management and control frames, and data frames without data, are named but not
// read; encrypted ones are counted. The frame check sequence that may follow lies behind the IP packet's length.
func (p *Packet) wlan(r rest) (layer, rest) {
	const data, noData, qos = 2, 4, 8
	const toDS, fromDS, protected, order = 0x01, 0x02, 0x40, 0x80
	b := r.b
	if len(b) < 2 {
		return p.short(r)
	}
	kind, subtype, flags := b[0]>>2&3, b[0]>>4, b[1]
	if kind != data || subtype&noData != 0 {
		return layerOther, r
	}
	n, aggregated := 24, false
	if flags&(toDS|fromDS) == toDS|fromDS {
		n += 6
	}
	if subtype&qos != 0 {
		if n += 2; flags&order != 0 {
			n += 4
		}
		aggregated = len(b) >= n && b[n-2]&0x80 != 0 && flags&order == 0
	}
	if len(b) < n {
		return p.short(r)
	}
	switch flags & (toDS | fromDS) {
	case 0:
		p.DstMAC, p.SrcMAC = MAC(b[4:10]), MAC(b[10:16])
	case toDS:
		p.DstMAC, p.SrcMAC = MAC(b[16:22]), MAC(b[10:16])
	case fromDS:
		p.DstMAC, p.SrcMAC = MAC(b[4:10]), MAC(b[16:22])
	default:
		p.DstMAC, p.SrcMAC = MAC(b[16:22]), MAC(b[24:30])
	}
	switch {
	case flags&protected != 0:
		p.Anomalies.Add(EncryptedWLAN)
		return layerOther, r
	case aggregated: // several frames in one
		return layerOther, r
	}
	return layerLLC, r.skip(n)
}
