package packet

import (
	"reflect"
	"testing"
)

func addr(s string) Addr {
	b := unhex(s)
	if len(b) == 4 {
		return AddrFrom4(b)
	}
	return Addr(b)
}

var (
	a4, b4 = addr("0a000001"), addr("0a000002")
	a6, b6 = addr("20010db8000000000000000000000001"), addr("20010db8000000000000000000000002")
	macA   = MAC{2, 0, 0, 0, 0, 0x0a}
	macB   = MAC{2, 0, 0, 0, 0, 0x0b}
)

func anomalies(list ...Anomaly) (s AnomalySet) {
	for _, a := range list {
		s.Add(a)
	}
	return s
}

// base is what a test packet over Ethernet has in common with others of its kind.
func base(net Net, proto Proto, more func(*Packet)) Packet {
	p := Packet{Net: net, Proto: proto, SrcMAC: macA, DstMAC: macB, Frames: 1}
	switch net {
	case NetIPv4:
		p.Src, p.Dst, p.TTL, p.IPID = a4, b4, 64, 0x1234
	case NetIPv6:
		p.Src, p.Dst, p.TTL = a6, b6, 63
	}
	if proto == ProtoTCP {
		p.SrcPort, p.DstPort, p.Seq, p.Ack, p.Window = 40000, 443, 1000, 2000, 512
	}
	more(&p)
	p.PayloadLen = max(p.PayloadLen, uint32(len(p.Payload)))
	return p
}

// decode decodes a frame and checks what holds for every frame.
func decode(t *testing.T, f linked) Packet {
	t.Helper()
	in := Frame{Data: f.b, At: 5, Number: 6, WireLen: uint32(max(f.wire, len(f.b))), Input: 7, Link: f.link}
	p := Packet{Anomalies: 1 << 40, Payload: []byte("left over"), Flags: 255, ICMPID: 9, Tunnels: 3}
	Default().Decode(&p, &in)
	if p.At != 5 || p.Number != 6 || p.Input != 7 || p.WireLen != in.WireLen {
		t.Errorf("the frame's own values: %+v", p)
	}
	return p
}

func check(t *testing.T, f linked, want Packet) {
	t.Helper()
	got := decode(t, f)
	want.At, want.Number, want.Input, want.WireLen = 5, 6, 7, got.WireLen
	if len(got.Payload) == 0 && len(want.Payload) == 0 {
		got.Payload, want.Payload = nil, nil
	}
	if want.Outer == ([MaxOuter]Tunnel{}) { // tested apart
		want.Outer = got.Outer
	}
	if want.Fragment != Whole {
		want.Frag = got.Frag
	}
	if !reflect.DeepEqual(got, want) {
		g, w := reflect.ValueOf(got), reflect.ValueOf(want)
		for i := range g.NumField() {
			if x, y := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(x, y) {
				t.Errorf("%s: got %v, want %v", g.Type().Field(i).Name, x, y)
			}
		}
		t.Errorf("anomalies: %v", names(got.Anomalies))
	}
}

func names(s AnomalySet) (list []string) {
	s.Each(func(a Anomaly) { list = append(list, a.String()) })
	return list
}

func TestTransport(t *testing.T) {
	query := udp(5353, 53, []byte("query"))
	for _, tt := range []struct {
		name string
		b    []byte
		wire int
		want Packet
	}{
		{"tcp", eth(0x0800, ip4(ProtoTCP, tcp(PSH|ACK, "hello"))), 0, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.Payload = PSH|ACK, 45, []byte("hello")
		})},
		{"tcp over ipv6", eth(0x86dd, ip6(ProtoTCP, tcp(SYN, ""))), 0, base(NetIPv6, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen = SYN, 60
		})},
		{"tcp options", eth(0x0800, ip4(ProtoTCP, change(cat(tcp(SYN, ""), unhex("020405b4")), 12, 6<<4))), 0, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen = SYN, 44
		})},
		{"padding is no payload", eth(0x0800, cat(ip4(ProtoTCP, tcp(ACK, "")), make([]byte, 6))), 0, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen = ACK, 40
		})},
		{"padding behind ipv6", eth(0x86dd, cat(ip6(ProtoUDP, udp(1, 2, nil)), make([]byte, 6))), 0, base(NetIPv6, ProtoUDP, func(p *Packet) {
			p.SrcPort, p.DstPort, p.IPLen = 1, 2, 48
		})},
		{"length left to the card", eth(0x0800, change(ip4(ProtoTCP, tcp(ACK, "segments")), 2, 0, 0)), 0, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.Payload = ACK, 48, []byte("segments")
		})},
		{"length left to the card, ipv6", eth(0x86dd, change(ip6(ProtoTCP, tcp(ACK, "segments")), 4, 0, 0)), 0, base(NetIPv6, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.Payload = ACK, 68, []byte("segments")
		})},
		{"cut by the capture", eth(0x0800, ip4(ProtoTCP, tcp(ACK, "hello")))[:56], 59, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.Payload, p.PayloadLen, p.Anomalies = ACK, 45, []byte("he"), 5, anomalies(SnapLenCut)
		})},
		{"cut inside the options", eth(0x0800, ip4(ProtoTCP, change(cat(tcp(SYN, ""), unhex("020405b4")), 12, 6<<4)))[:56], 58, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.Anomalies = SYN, 44, anomalies(SnapLenCut)
		})},
		{"cut inside tcp", eth(0x0800, ip4(ProtoTCP, tcp(ACK, "hello")))[:40], 59, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Seq, p.Ack, p.Window = 0, 0, 0
			p.IPLen, p.Anomalies = 45, anomalies(SnapLenCut, TruncatedFrame)
		})},
		{"only padding cut", eth(0x0800, ip4(ProtoUDP, query)), 60, base(NetIPv4, ProtoUDP, func(p *Packet) {
			p.SrcPort, p.DstPort, p.IPLen, p.Payload = 5353, 53, 33, []byte("query")
		})},
		{"syn and fin", eth(0x0800, ip4(ProtoTCP, tcp(SYN|FIN, ""))), 0, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.Anomalies = SYN|FIN, 40, anomalies(BadTCPFlags)
		})},
		{"syn and rst", eth(0x0800, ip4(ProtoTCP, tcp(SYN|RST, ""))), 0, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.Anomalies = SYN|RST, 40, anomalies(BadTCPFlags)
		})},
		{"fin and rst is allowed", eth(0x0800, ip4(ProtoTCP, tcp(FIN|RST, ""))), 0, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen = FIN|RST, 40
		})},
		{"no flags", eth(0x0800, ip4(ProtoTCP, tcp(0, ""))), 0, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.IPLen, p.Anomalies = 40, anomalies(BadTCPFlags)
		})},
		{"offset of 16", eth(0x0800, ip4(ProtoTCP, change(tcp(ACK, "x"), 12, 4<<4))), 0, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.Anomalies = ACK, 41, anomalies(BadTCPOffset)
		})},
		{"offset beyond the segment", eth(0x0800, ip4(ProtoTCP, change(tcp(ACK, "x"), 12, 6<<4))), 0, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.Anomalies = ACK, 41, anomalies(BadTCPOffset)
		})},
		{"udp length below its header", eth(0x0800, ip4(ProtoUDP, change(query, 4, 0, 7))), 0, base(NetIPv4, ProtoUDP, func(p *Packet) {
			p.SrcPort, p.DstPort, p.IPLen, p.Payload, p.Anomalies = 5353, 53, 33, []byte("query"), anomalies(BadUDPLen)
		})},
		{"udp length beyond the packet", eth(0x0800, ip4(ProtoUDP, change(query, 4, 0, 14))), 0, base(NetIPv4, ProtoUDP, func(p *Packet) {
			p.SrcPort, p.DstPort, p.IPLen, p.Payload, p.Anomalies = 5353, 53, 33, []byte("query"), anomalies(BadUDPLen)
		})},
		{"udp length short of the packet", eth(0x0800, ip4(ProtoUDP, change(query, 4, 0, 10))), 0, base(NetIPv4, ProtoUDP, func(p *Packet) {
			p.SrcPort, p.DstPort, p.IPLen, p.Payload = 5353, 53, 33, []byte("qu")
		})},
		{"sctp", eth(0x0800, ip4(ProtoSCTP, cat(be16(7), be16(8), be32(1), be32(2), []byte("chunk")))), 0, base(NetIPv4, ProtoSCTP, func(p *Packet) {
			p.SrcPort, p.DstPort, p.IPLen, p.Payload = 7, 8, 37, []byte("chunk")
		})},
		{"echo", eth(0x0800, ip4(ProtoICMP, unhex("0800 0000 1234 0001 6162"))), 0, base(NetIPv4, ProtoICMP, func(p *Packet) {
			p.ICMPType, p.ICMPID, p.IPLen, p.Payload = 8, 0x1234, 30, []byte("ab")
		})},
		{"unreachable quotes behind 8 bytes", eth(0x0800, ip4(ProtoICMP, cat(unhex("0303 0000 0000 05dc"), ip4(ProtoUDP, query)))), 0, base(NetIPv4, ProtoICMP, func(p *Packet) {
			p.ICMPType, p.ICMPCode, p.IPLen, p.Payload = 3, 3, 61, ip4(ProtoUDP, query)
		})},
		{"icmp shorter than its header", eth(0x0800, ip4(ProtoICMP, unhex("0801 0000"))), 0, base(NetIPv4, ProtoICMP, func(p *Packet) {
			p.ICMPType, p.ICMPCode, p.IPLen, p.Anomalies = 8, 1, 24, anomalies(BadICMP)
		})},
		{"icmpv6 echo reply", eth(0x86dd, ip6(ProtoICMPv6, unhex("8100 0000 4321 0001"))), 0, base(NetIPv6, ProtoICMPv6, func(p *Packet) {
			p.ICMPType, p.ICMPID, p.IPLen = 129, 0x4321, 48
		})},
		{"a protocol that isn't read", eth(0x0800, ip4(ProtoESP, []byte("opaque"))), 0, base(NetIPv4, ProtoESP, func(p *Packet) {
			p.IPLen, p.Payload = 26, []byte("opaque")
		})},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, linked{"", LinkEthernet, tt.b, tt.wire}, tt.want) })
	}
}

func TestIP(t *testing.T) {
	query := udp(5353, 53, []byte("query"))
	syn := tcp(SYN, "")
	long := make([]byte, 8)
	over := eth(0x0800, change(ip4(ProtoTCP, tcp(ACK, "")), 2, 1, 0)) // 256 bytes promised
	chain := ext(ProtoTCP, nil, syn)
	for range maxExtensions {
		chain = ext(60, nil, chain)
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want Packet
	}{
		{"ipv4 options", eth(0x0800, unhex("46000020 00000000 4011 0000 0a000001 0a000002 94040000  0001 0002 0008 0000")), base(NetIPv4, ProtoUDP, func(p *Packet) {
			p.SrcPort, p.DstPort, p.IPLen, p.IPID = 1, 2, 32, 0
		})},
		{"first fragment", eth(0x0800, ip4frag(ProtoUDP, 0x2000, change(query, 4, 5, 0))), base(NetIPv4, ProtoUDP, func(p *Packet) {
			p.Fragment, p.SrcPort, p.DstPort, p.IPLen, p.Payload, p.Anomalies = FirstFragment, 5353, 53, 33, []byte("query"), anomalies(IPFragment)
		})},
		{"later fragment", eth(0x0800, ip4frag(ProtoUDP, 0x2001, query)), base(NetIPv4, ProtoUDP, func(p *Packet) {
			p.Fragment, p.IPLen, p.Payload, p.Anomalies = LaterFragment, 33, query, anomalies(IPFragment)
		})},
		{"fragment beyond the largest packet", eth(0x0800, ip4frag(ProtoICMP, 0x1fff, long)), base(NetIPv4, ProtoICMP, func(p *Packet) {
			p.Fragment, p.IPLen, p.Payload, p.Anomalies = LaterFragment, 28, long, anomalies(IPFragment, FragmentBeyond)
		})},
		{"fragment up to the largest packet", eth(0x0800, ip4frag(ProtoICMP, 0x1fff, long[:7])), base(NetIPv4, ProtoICMP, func(p *Packet) {
			p.Fragment, p.IPLen, p.Payload, p.Anomalies = LaterFragment, 27, long[:7], anomalies(IPFragment)
		})},
		{"don't fragment", eth(0x0800, ip4frag(ProtoUDP, 0x4000, query)), base(NetIPv4, ProtoUDP, func(p *Packet) {
			p.SrcPort, p.DstPort, p.IPLen, p.Payload = 5353, 53, 33, []byte("query")
		})},
		{"header of 16 bytes", eth(0x0800, change(ip4(ProtoUDP, query), 0, 0x44)), base(NetNone, ProtoNone, func(p *Packet) {
			p.Anomalies = anomalies(BadIPHeaderLen)
		})},
		{"header beyond the frame", eth(0x0800, change(ip4(ProtoUDP, query), 0, 0x4f)), base(NetNone, ProtoNone, func(p *Packet) {
			p.Anomalies = anomalies(BadIPHeaderLen)
		})},
		{"total length below the header", eth(0x0800, change(ip4(ProtoUDP, query), 3, 19)), base(NetNone, ProtoNone, func(p *Packet) {
			p.Anomalies = anomalies(BadIPTotalLen)
		})},
		{"total length beyond the frame", over, base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.PayloadLen, p.Anomalies = ACK, 256, 216, anomalies(BadIPTotalLen)
		})},
		{"version 6 in an ipv4 frame", eth(0x0800, ip6(ProtoUDP, query)), base(NetNone, ProtoNone, func(p *Packet) {
			p.Anomalies = anomalies(BadIPVersion)
		})},
		{"version 4 in an ipv6 frame", eth(0x86dd, ip4(ProtoUDP, query)), base(NetNone, ProtoNone, func(p *Packet) {
			p.Anomalies = anomalies(BadIPVersion)
		})},
		{"half an ipv4 header", eth(0x0800, ip4(ProtoUDP, query)[:19]), base(NetNone, ProtoNone, func(p *Packet) {
			p.Anomalies = anomalies(TruncatedFrame)
		})},
		{"extension headers", eth(0x86dd, ip6(0, ext(43, long, ext(60, nil, ext(135, nil, ext(ProtoTCP, nil, syn)))))), base(NetIPv6, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen = SYN, 100
		})},
		{"as many as are followed", eth(0x86dd, ip6(60, chain[8:])), base(NetIPv6, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen = SYN, 140
		})},
		{"one extension header too many", eth(0x86dd, ip6(60, chain)), base(NetIPv6, 60, func(p *Packet) {
			p.IPLen, p.Anomalies = 148, anomalies(BadIPExtension)
		})},
		{"hop-by-hop in second place", eth(0x86dd, ip6(60, ext(0, nil, ext(ProtoTCP, nil, syn)))), base(NetIPv6, 0, func(p *Packet) {
			p.IPLen, p.Anomalies = 76, anomalies(BadIPExtension)
		})},
		{"extension beyond the packet", eth(0x86dd, ip6(60, change(ext(ProtoTCP, nil, nil), 1, 1))), base(NetIPv6, 60, func(p *Packet) {
			p.IPLen, p.Anomalies = 48, anomalies(BadIPExtension)
		})},
		{"authentication header", eth(0x86dd, ip6(ProtoAH, cat([]byte{byte(ProtoTCP), 4}, make([]byte, 22), syn))), base(NetIPv6, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen = SYN, 84
		})},
		{"authentication header over ipv4", eth(0x0800, ip4(ProtoAH, cat([]byte{byte(ProtoTCP), 1}, make([]byte, 10), syn))), base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen = SYN, 52
		})},
		{"no extension headers in ipv4", eth(0x0800, ip4(60, ext(ProtoTCP, nil, syn))), base(NetIPv4, 60, func(p *Packet) {
			p.IPLen, p.Payload = 48, ext(ProtoTCP, nil, syn)
		})},
		{"no next header", eth(0x86dd, cat(ip6(59, nil), make([]byte, 6))), base(NetIPv6, 59, func(p *Packet) { p.IPLen = 40 })},
		{"no next header behind an extension", eth(0x86dd, ip6(60, ext(59, nil, []byte("ignored")))), base(NetIPv6, 59, func(p *Packet) { p.IPLen = 55 })},
		{"atomic fragment", eth(0x86dd, ip6(44, frag6(ProtoTCP, 0, false, syn))), base(NetIPv6, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen = SYN, 68
		})},
		{"first ipv6 fragment", eth(0x86dd, ip6(44, frag6(ProtoUDP, 0, true, query))), base(NetIPv6, ProtoUDP, func(p *Packet) {
			p.Fragment, p.SrcPort, p.DstPort, p.IPLen, p.Payload, p.Anomalies = FirstFragment, 5353, 53, 61, []byte("query"), anomalies(IPFragment)
		})},
		{"later ipv6 fragment", eth(0x86dd, ip6(44, frag6(ProtoUDP, 1448, true, query))), base(NetIPv6, ProtoUDP, func(p *Packet) {
			p.Fragment, p.IPLen, p.Payload, p.Anomalies = LaterFragment, 61, query, anomalies(IPFragment)
		})},
		{"jumbo payload", eth(0x86dd, cat(change(ip6(0, cat([]byte{byte(ProtoTCP), 0, 0xc2, 4}, be32(28+70000), tcp(ACK, ""))), 4, 0, 0), make([]byte, 70000+9))), base(NetIPv6, ProtoTCP, func(p *Packet) {
			p.Flags, p.IPLen, p.Payload = ACK, 70068, make([]byte, 70000)
		})},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, linked{"", LinkEthernet, tt.b, 0}, tt.want) })
	}
}
