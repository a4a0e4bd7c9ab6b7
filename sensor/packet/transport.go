package packet

import "encoding/binary"

// tcp reads a TCP header (RFC 9293, 3.1). Of a cut header the ports are kept: they still name the flow.
func (p *Packet) tcp(r rest) {
	b := r.b
	if len(b) < 20 {
		p.ports(r)
		p.short(r)
		return
	}
	p.SrcPort, p.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	p.Seq, p.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	p.Flags, p.Window, p.Checksum = b[13], binary.BigEndian.Uint16(b[14:]), binary.BigEndian.Uint16(b[16:])
	if f := p.Flags; f&(SYN|FIN) == SYN|FIN || f&(SYN|RST) == SYN|RST || f&(SYN|FIN|RST|ACK) == 0 {
		p.Anomalies.Add(BadTCPFlags)
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > r.want {
		p.Anomalies.Add(BadTCPOffset)
		return
	}
	p.payload(rest{b[min(header, len(b)):], r.want - header})
}

// udp reads a UDP header (RFC 768). Bytes behind the length that it gives are not payload.
func (p *Packet) udp(r rest) (layer, rest) {
	b := r.b
	if len(b) < 8 {
		p.ports(r)
		return p.short(r)
	}
	p.SrcPort, p.DstPort, p.Checksum = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[6:])
	switch n := int(binary.BigEndian.Uint16(b[4:])); {
	case n == 0 && r.want > 65535: // jumbogram (RFC 2675, 4) or left to the network card
	case n < 8:
		p.Anomalies.Add(BadUDPLen)
	case n > r.want:
		switch { // the first fragment gives the length of the whole
		case p.Anomalies.Has(FragmentIncomplete):
			r.want = n
		case p.Fragment == Whole:
			p.Anomalies.Add(BadUDPLen)
		}
	default:
		r = r.limit(n)
	}
	r = r.skip(8)
	p.payload(r)
	return p.udpTunnel(), r
}

// sctp reads the common header (RFC 9260, 3.1); payload are the chunks.
func (p *Packet) sctp(r rest) {
	if len(r.b) < 12 {
		p.ports(r)
		p.short(r)
		return
	}
	p.ports(r)
	p.payload(r.skip(12))
}

// ports reads source and destination port where they are captured.
func (p *Packet) ports(r rest) {
	if len(r.b) >= 4 {
		p.SrcPort, p.DstPort = binary.BigEndian.Uint16(r.b), binary.BigEndian.Uint16(r.b[2:])
	}
}

// icmp reads an ICMP (RFC 792) or ICMPv6 (RFC 4443) message. All messages have 8 bytes before their body.
func (p *Packet) icmp(r rest, v6 bool) {
	b := r.b
	if len(b) >= 2 {
		p.ICMPType, p.ICMPCode = b[0], b[1]
	}
	if len(b) >= 4 {
		p.Checksum = binary.BigEndian.Uint16(b[2:])
	}
	switch {
	case r.want < 8:
		p.Anomalies.Add(BadICMP)
		return
	case len(b) < 8:
		p.short(r)
		return
	}
	switch t := p.ICMPType; {
	case v6 && (t == 128 || t == 129), !v6 && (t == 0 || t == 8 || t >= 13 && t <= 18):
		p.ICMPID = binary.BigEndian.Uint16(b[4:])
	}
	p.payload(r.skip(8))
}
