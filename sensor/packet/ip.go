package packet

import "encoding/binary"

// maxExtensions bounds the chain of IPv6 extension headers. RFC 8200, 4.1 names seven; more are an evasion.
const maxExtensions = 10

// Protocol numbers of IPv6 extension headers (RFC 8200, 4; 4302; 6275; 7401; 5533) and of what carries packets.
const (
	protoHopByHop    = 0
	protoIPv4        = 4
	protoIPv6        = 41
	protoRouting     = 43
	protoFragment    = 44
	protoNoNext      = 59
	protoDestination = 60
	protoMobility    = 135
	protoMPLS        = 137
	protoHIP         = 139
	protoShim6       = 140
)

// protoLayers maps IP protocol numbers to layers.
var protoLayers = func() (t [256]layer) {
	for i := range t {
		t[i] = layerPayload
	}
	t[ProtoTCP], t[ProtoUDP], t[ProtoSCTP], t[ProtoICMP], t[ProtoICMPv6] = layerTCP, layerUDP, layerSCTP, layerICMP, layerICMPv6
	t[protoIPv4], t[protoIPv6], t[ProtoGRE], t[protoMPLS] = layerIPv4Tunnel, layerIPv6Tunnel, layerGRE, layerMPLSTunnel
	for _, e := range [...]Proto{protoHopByHop, protoRouting, protoFragment, protoDestination, protoMobility, protoHIP, protoShim6, ProtoAH} {
		t[e] = layerExtension
	}
	return t
}()

// ipv4 reads an IPv4 header (RFC 791, 3.1).
func (p *Packet) ipv4(r rest) (layer, rest) {
	b := r.b
	if len(b) < 20 {
		if len(b) > 0 && b[0]>>4 != 4 {
			return p.bad(BadIPVersion, r)
		}
		return p.short(r)
	}
	if b[0]>>4 != 4 {
		return p.bad(BadIPVersion, r)
	}
	header := int(b[0]&15) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 { // left to the network card, which cuts the packet into segments (TSO)
		total = r.want
	}
	if header < 20 || header > r.want {
		return p.bad(BadIPHeaderLen, r)
	}
	if total < header {
		return p.bad(BadIPTotalLen, r)
	}
	p.Net, p.TTL, p.Proto = NetIPv4, b[8], Proto(b[9])
	p.IPID = binary.BigEndian.Uint16(b[4:])
	p.Src.set4(b[12:16])
	p.Dst.set4(b[16:20])
	p.IPLen = uint32(min(total, 1<<32-1))
	p.measure(total, r)
	if header > len(b) {
		return p.short(r)
	}
	r = r.limit(total).skip(header)
	if part := binary.BigEndian.Uint16(b[6:]); part&0x3fff != 0 { // more fragments, or an offset
		if later := p.fragment(uint32(p.IPID), part<<3, part&0x2000 != 0, r); later {
			return layerPayload, r
		}
	}
	l := protoLayers[p.Proto]
	if l == layerExtension && p.Proto != ProtoAH { // extension headers exist in IPv6 only
		l = layerPayload
	}
	return l, r
}

// set4 is AddrFrom4 in place: an address built elsewhere by small stores and copied as a whole stalls the processor,
// which took a third of the decoder's time.
func (a *Addr) set4(b []byte) {
	binary.BigEndian.PutUint64(a[0:], 0)
	binary.BigEndian.PutUint32(a[8:], 0xffff)
	copy(a[12:], b[:4])
}

// measure compares the length that an IP header gives with what is there.
func (p *Packet) measure(total int, r rest) {
	if total > len(r.b) {
		cut := r.want > len(r.b)
		if total > r.want {
			if p.Tunnels > 0 && p.innermost().Kind.mirrors() { // mirrors cut packets to fit
				cut = true
			} else {
				p.Anomalies.Add(BadIPTotalLen)
			}
		}
		if cut {
			p.Anomalies.Add(SnapLenCut)
		}
	}
}

// fragment notes a fragment that carries r, and says whether it is a later one.
func (p *Packet) fragment(id uint32, offset uint16, more bool, r rest) (later bool) {
	if offset == 0 && !more { // atomic fragment (RFC 6946): a whole packet
		return false
	}
	p.Anomalies.Add(IPFragment)
	p.Frag = Part{ID: id, Offset: offset, More: more, Proto: p.Proto, Len: uint32(min(r.want, 1<<32-1)), Data: r.b}
	if int(offset)+r.want > 65535 {
		p.Anomalies.Add(FragmentBeyond)
	}
	if offset == 0 {
		p.Fragment = FirstFragment
		return false
	}
	p.Fragment = LaterFragment
	return true
}

// ipv6 reads an IPv6 header (RFC 8200, 3).
func (p *Packet) ipv6(r rest) (layer, rest) {
	b := r.b
	if len(b) > 0 && b[0]>>4 != 6 {
		return p.bad(BadIPVersion, r)
	}
	if len(b) < 40 {
		return p.short(r)
	}
	p.Net, p.Proto, p.TTL = NetIPv6, Proto(b[6]), b[7]
	p.Src, p.Dst = Addr(b[8:24]), Addr(b[24:40])
	total := 40 + int(binary.BigEndian.Uint16(b[4:]))
	if total == 40 && p.Proto != protoNoNext {
		// Jumbograms say their length in an option (RFC 2675); a network card that cuts segments (TSO) leaves it out.
		if total += jumboLength(b[40:]); total == 40 || p.Proto != protoHopByHop {
			total = r.want
		}
	}
	p.IPLen = uint32(min(total, 1<<32-1))
	p.measure(total, r)
	return protoLayers[p.Proto], r.limit(total).skip(40)
}

// jumboLength returns the length that the jumbo payload option of a hop-by-hop header gives, else 0.
func jumboLength(b []byte) int {
	if len(b) < 8 {
		return 0
	}
	options := b[2:min(len(b), 8+int(b[1])*8)]
	for len(options) > 0 {
		if options[0] == 0 { // Pad1
			options = options[1:]
			continue
		}
		if len(options) < 2 || len(options) < 2+int(options[1]) {
			return 0
		}
		if options[0] == 0xc2 && options[1] == 4 {
			return int(binary.BigEndian.Uint32(options[2:]))
		}
		options = options[2+int(options[1]):]
	}
	return 0
}

// extensions follows extension headers up to the upper-layer protocol, which it leaves in p.Proto.
func (p *Packet) extensions(r rest) (layer, rest) {
	for i := 0; ; i++ {
		l := protoLayers[p.Proto]
		switch {
		case p.Proto == protoNoNext:
			return layerPayload, r.limit(0)
		case l != layerExtension:
			return l, r
		case i == maxExtensions || p.Proto == protoHopByHop && i > 0 || p.Proto != ProtoAH && p.Net == NetIPv4:
			return p.bad(BadIPExtension, r) // hop-by-hop options come first or not at all
		case r.want < 8:
			return p.bad(BadIPExtension, r)
		case len(r.b) < 8:
			return p.short(r)
		}
		n := 8 + int(r.b[1])*8
		switch p.Proto {
		case ProtoAH: // RFC 4302, 2.2: in 4-byte words, less 2
			n = 8 + int(r.b[1])*4
		case protoFragment:
			n = 8
		}
		if n > r.want {
			return p.bad(BadIPExtension, r)
		}
		if n > len(r.b) {
			return p.short(r)
		}
		this, head := p.Proto, r.b
		p.Proto = Proto(head[0])
		r = r.skip(n)
		if this == protoFragment {
			part := binary.BigEndian.Uint16(head[2:])
			if later := p.fragment(binary.BigEndian.Uint32(head[4:]), part&^7, part&1 != 0, r); later {
				return layerPayload, r
			}
		}
	}
}
