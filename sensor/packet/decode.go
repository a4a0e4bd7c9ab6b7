package packet

import "fmt"

// layer is what lies ahead of the decoder; it stands in the decode loop as the state of a machine.
type layer uint8

const (
	layerEnd layer = iota // nothing more to decode
	layerEthernet
	layerTag // 802.1Q and its kin; the tag control information comes next
	layerLLC
	layerNull
	layerPPP
	layerPPPoE
	layerSLL
	layerSLL2
	layerNFLOG
	layerMPLS
	layerPBB // 802.1ah
	layerFabricPath
	layerETag
	layerVNTag
	layerFDDI
	layerRawIP // IPv4 or IPv6, told by the version nibble
	layerIPv4
	layerIPv6
	layerARP
	layerExtension // IPv6 extension headers, and AH over IPv4; p.Proto says which
	layerTCP
	layerUDP
	layerSCTP
	layerICMP
	layerICMPv6
	layerIPv4Tunnel // IP protocol 4
	layerIPv6Tunnel // IP protocol 41
	layerMPLSTunnel // IP protocol 137
	layerGRE
	layerVXLAN
	layerGENEVE
	layerGTP
	layerTeredo
	layerTZSP
	layerL2TP
	layerNSH
	layerRadiotap
	layerPPI
	layerWLAN
	layerPayload // an IP protocol that the decoder doesn't read
	layerOther   // a link-layer protocol that the decoder names but doesn't read
	layerUnknown // an EtherType that the decoder doesn't know
	layerTunnel  // a tunnel that the decoder knows but doesn't read
	layerNoLink  // a link type that the decoder doesn't read
)

// rest is what lies ahead: the captured bytes, and how many the headers so far promise. want is at least len(b); it is
// larger where the capture was cut.
type rest struct {
	b    []byte
	want int
}

// skip moves past a header of n captured bytes.
func (r rest) skip(n int) rest { return rest{r.b[n:], r.want - n} }

// limit cuts r to the n bytes that a header promises: behind them lie padding and trailers. A promise of more than
// there can be is kept, since the header counts where the wire length was set from the capture.
func (r rest) limit(n int) rest { return rest{r.b[:min(n, len(r.b))], n} }

// Decoder is how frames are read.
type Decoder struct {
	MaxTunnels uint8    `yaml:"max_tunnels"` // how many tunnels within each other are opened
	Separate   Separate `yaml:"separate"`    // what tells networks of equal addresses apart: vlan, vni, both or none; a mirror that tags the two directions of a conversation differently wants vni
}

// Default returns the decoder that holds where nothing else is said. Mirrors of overlay networks reach a depth of three.
func Default() Decoder { return Decoder{MaxTunnels: 8, Separate: ByVLAN | ByVNI} }

// Validate names every wrong value.
func (d Decoder) Validate() error {
	if d.MaxTunnels > 32 {
		return fmt.Errorf("max_tunnels: %d is more than 32", d.MaxTunnels)
	}
	return nil
}

// Decode overwrites p with the frame. It does not allocate; p.Payload aliases f.Data.
//
// Lengths are those of the IP headers, so that padding of short Ethernet frames is not payload. ICMP and ICMPv6 payload
// starts behind the message's first 8 bytes: for errors it is the quoted packet. ICMPID is set for echo, timestamp,
// information and mask messages. A priority tag (VLAN id 0) is no VLAN; of more than two tags the outer two are kept.
//
// Of a tunnelled packet p is the innermost that can be decoded; p.Outer says through which tunnels it came. Its VLAN tags
// are the inner frame's where that has any, else the outer frame's, but not through a tunnel that names a network of its
// own. A tunnel that can't be opened leaves the outer packet.
func (d Decoder) Decode(p *Packet, f *Frame) {
	*p = Packet{}
	p.At, p.Number, p.Input, p.WireLen, p.Proto, p.Frames = f.At, f.Number, f.Input, f.WireLen, ProtoNone, 1
	d.walk(p, linkLayer(f.Link), rest{f.Data, max(int(f.WireLen), len(f.Data))})
	if p.NumVLAN|p.Tunnels != 0 {
		p.Segment = d.Separate.segment(p)
	}
}

// Whole makes p, which is a fragment, the packet that was put together from frames of them: data is what the fragments
// carry, of want bytes, and ipLen the length of all fragments' IP packets.
func (d Decoder) Whole(p *Packet, data []byte, want int, ipLen uint32, frames uint16) {
	f := *p
	*p = Packet{
		At: f.At, Number: f.Number, Input: f.Input, WireLen: f.WireLen, Anomalies: f.Anomalies, Net: f.Net, Proto: f.Frag.Proto,
		TTL: f.TTL, VLAN: f.VLAN, NumVLAN: f.NumVLAN, Tunnels: f.Tunnels, Frames: frames, IPID: f.IPID, Src: f.Src, Dst: f.Dst,
		IPLen: ipLen, SrcMAC: f.SrcMAC, DstMAC: f.DstMAC, Outer: f.Outer,
	}
	l := protoLayers[p.Proto]
	if l == layerExtension && p.Proto != ProtoAH && p.Net == NetIPv4 {
		l = layerPayload
	}
	d.walk(p, l, rest{data, want})
	if p.NumVLAN|p.Tunnels != 0 {
		p.Segment = d.Separate.segment(p)
	}
}

// walk decodes layer by layer. It ends because every layer consumes bytes or ends.
func (d Decoder) walk(p *Packet, l layer, r rest) {
	for {
		switch l {
		case layerEnd:
			return
		case layerEthernet:
			l, r = p.ethernet(r)
		case layerIPv4:
			l, r = p.ipv4(r)
		case layerTCP:
			p.tcp(r)
			return
		case layerUDP:
			l, r = p.udp(r)
		case layerIPv6:
			l, r = p.ipv6(r)
		case layerTag:
			l, r = p.tags(r)
		case layerLLC:
			l, r = p.llc(r)
		case layerNull:
			l, r = p.null(r)
		case layerPPP:
			l, r = p.ppp(r)
		case layerPPPoE:
			l, r = p.pppoe(r)
		case layerSLL:
			l, r = p.sll(r)
		case layerSLL2:
			l, r = p.sll2(r)
		case layerNFLOG:
			l, r = p.nflog(r)
		case layerRawIP:
			l, r = p.rawIP(r)
		case layerARP:
			p.arp(r)
			return
		case layerExtension:
			l, r = p.extensions(r)
		case layerSCTP:
			p.sctp(r)
			return
		case layerICMP, layerICMPv6:
			p.icmp(r, l == layerICMPv6)
			return
		case layerMPLS:
			l, r = p.mpls(r)
		case layerPBB, layerFabricPath, layerETag, layerVNTag:
			l, r = p.wrapped(l, r)
		case layerFDDI:
			l, r = p.fddi(r)
		case layerIPv4Tunnel, layerIPv6Tunnel, layerMPLSTunnel, layerGRE, layerVXLAN, layerGENEVE, layerGTP, layerTeredo,
			layerTZSP, layerL2TP:
			d.tunnel(p, l, r)
			return
		case layerNSH:
			l, r = p.nsh(r)
		case layerRadiotap:
			l, r = p.radiotap(r)
		case layerPPI:
			l, r = p.ppi(r)
		case layerWLAN:
			l, r = p.wlan(r)
		case layerPayload:
			p.payload(r)
			return
		case layerOther:
			p.Net = NetOther
			return
		case layerTunnel:
			p.Anomalies.Add(TunnelNotDecoded)
			return
		case layerNoLink:
			p.Anomalies.Add(UnknownLink)
			return
		default: // layerUnknown
			p.Anomalies.Add(UnknownEtherType)
			return
		}
	}
}

// payload makes r the packet's payload.
func (p *Packet) payload(r rest) {
	p.Payload = r.b
	p.PayloadLen = uint32(min(r.want, 1<<32-1))
}

// short notes a header that is not there in full, because the capture was cut or because a length before it left no
// room.
func (p *Packet) short(r rest) (layer, rest) {
	p.Anomalies.Add(TruncatedFrame)
	if r.want > len(r.b) {
		p.Anomalies.Add(SnapLenCut)
	}
	return layerEnd, r
}

// bad notes an anomaly that ends decoding.
func (p *Packet) bad(a Anomaly, r rest) (layer, rest) {
	p.Anomalies.Add(a)
	return layerEnd, r
}
