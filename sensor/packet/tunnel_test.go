package packet

import (
	"slices"
	"testing"
)

// maxTunnels is the default depth.
var maxTunnels = Default().MaxTunnels

func TestTunnels(t *testing.T) {
	v4 := ip4(ProtoTCP, tcp(ACK, "hi"))
	inner := cat(unhex("02 00 00 00 00 0d  02 00 00 00 00 0c  0800"), v4) // from c to d
	tagged := cat(unhex("02 00 00 00 00 0d  02 00 00 00 00 0c  8100 0009 0800"), v4)
	macC, macD := MAC{2, 0, 0, 0, 0, 0x0c}, MAC{2, 0, 0, 0, 0, 0x0d}
	opened := func(n uint8, withMACs bool, more ...func(*Packet)) Packet {
		return base(NetIPv4, ProtoTCP, func(p *Packet) {
			p.Flags, p.Payload, p.IPLen, p.Tunnels = ACK, []byte("hi"), 42, n
			if p.SrcMAC, p.DstMAC = (MAC{}), (MAC{}); withMACs {
				p.SrcMAC, p.DstMAC = macC, macD
			}
			for _, f := range more {
				f(p)
			}
		})
	}
	opened6 := func(n uint8) Packet {
		return base(NetIPv6, ProtoTCP, func(p *Packet) {
			p.Flags, p.Payload, p.IPLen, p.Tunnels, p.SrcMAC, p.DstMAC = ACK, []byte("hi"), 62, n, MAC{}, MAC{}
		})
	}
	v6 := ip6(ProtoTCP, tcp(ACK, "hi"))
	nsh := cat(unhex("0002 0201 00000a05"), v4) // MD type 2 without metadata, of IPv4; path 10, index 5
	wifi := cat(unhex("8801 0000 020000000001 02000000000c 02000000000d 0000 0000  aaaa03000000 0800"), v4)
	outerMACs := func(p *Packet) { p.SrcMAC, p.DstMAC = macA, macB }
	over := func(proto Proto, parts ...[]byte) []byte { return eth(0x0800, ip4(proto, cat(parts...))) }
	to := func(port int, parts ...[]byte) []byte { return over(ProtoUDP, udp(1, port, cat(parts...))) }
	closed := func(proto Proto, payload []byte, list ...Anomaly) Packet {
		return base(NetIPv4, proto, func(p *Packet) {
			p.IPLen, p.Payload, p.Anomalies = uint32(20+len(payload)), payload, anomalies(list...)
		})
	}
	datagram := func(port uint16, payload []byte, list ...Anomaly) Packet {
		p := closed(ProtoUDP, payload, list...)
		p.SrcPort, p.DstPort, p.IPLen = 1, port, p.IPLen+8
		return p
	}
	vx := unhex("0800000000000500")
	nested := cat(vx, inner) // layer in layer of VXLAN
	for range maxTunnels - 1 {
		nested = cat(vx, to(portVXLAN, nested))
	}
	tooDeep := cat(vx, to(portVXLAN, nested))
	gtpu := func(flags byte, length int, more ...[]byte) []byte {
		return cat([]byte{flags, 0xff}, be16(length), be32(99), cat(more...), v4)
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want Packet
	}{
		{"ipv4 in ipv4", over(protoIPv4, v4), opened(1, false)},
		{"ipv4 in ipv6", eth(0x86dd, ip6(protoIPv4, v4)), opened(1, false)},
		{"ipv4 in ipv6 in ipv4", over(protoIPv6, ip6(protoIPv4, v4)), opened(2, false)},
		{"mpls in ipv4", over(protoMPLS, unhex("000011ff"), v4), opened(2, false)},
		{"gre", over(ProtoGRE, unhex("00000800"), v4), opened(1, false)},
		{"gre with key and sequence", over(ProtoGRE, unhex("30000800 00000001 00000002"), v4), opened(1, false)},
		{"gre with checksum, of ethernet", over(ProtoGRE, unhex("80006558 abcd0000"), inner), opened(1, true)},
		{"pptp", over(ProtoGRE, unhex("3081880b 002e0001 00000001 00000002 ff030021"), v4), opened(1, false)},
		{"erspan 1", over(ProtoGRE, unhex("000088be"), inner), opened(1, true)},
		{"erspan 2", over(ProtoGRE, unhex("100088be 00000001 10000000 00000000"), inner), opened(1, true)},
		{"erspan 3", over(ProtoGRE, unhex("100022eb 00000001 20000000 00000000 00000000"), inner), opened(1, true)},
		{"erspan 3 with its platform's header", over(ProtoGRE, unhex("100022eb 00000001 20000000 00000000 00000001 0000000000000000"), inner), opened(1, true)},
		{"vxlan", to(portVXLAN, vx, inner), opened(1, true, func(p *Packet) { p.Segment = 1<<24 | 5 })},
		{"vxlan with a policy", to(portVXLANOld, unhex("8800002a00000500"), inner), opened(1, true, func(p *Packet) { p.Segment = 1<<24 | 5 })},
		{"vxlan of ipv4", to(portVXLANGPE, unhex("0c00000100000500"), v4), opened(1, false, func(p *Packet) { p.Segment = 1<<24 | 5 })},
		{"vxlan, inner tag", to(portVXLAN, vx, tagged), opened(1, true, func(p *Packet) { p.VLAN[0], p.NumVLAN, p.Segment = 9, 1, 0xf69357e8 })},
		{"vxlan, outer tag", eth(0x8100, tag(3, 0x0800, ip4(ProtoUDP, udp(1, portVXLAN, cat(vx, inner))))), opened(1, true, func(p *Packet) { p.Segment = 1<<24 | 5 })},
		{"as deep as is followed", to(portVXLAN, nested), opened(maxTunnels, true, func(p *Packet) { p.Segment = 0xb62540e5 })},
		{"geneve", to(portGENEVE, unhex("0000655800000500"), inner), opened(1, true, func(p *Packet) { p.Segment = 1<<24 | 5 })},
		{"geneve with options, of ipv4", to(portGENEVE, unhex("0200080000000500 0102800100000000"), v4), opened(1, false, func(p *Packet) { p.Segment = 1<<24 | 5 })},
		{"gtp", to(portGTP, gtpu(0x30, len(v4))), opened(1, false)},
		{"gtp with a sequence number", to(portGTP, gtpu(0x32, len(v4)+4, unhex("00010000"))), opened(1, false)},
		{"gtp with extensions", to(portGTP, gtpu(0x34, len(v4)+16, unhex("00000085 01100085 020000000000 0000"))), opened(1, false)},
		{"service header", eth(0x894f, nsh), opened(1, false, outerMACs)},
		{"service header in vxlan", to(portVXLANGPE, unhex("0c00000400000500"), nsh), opened(2, false, func(p *Packet) { p.Segment = 1<<24 | 5 })},
		{"gre of 802.11", over(ProtoGRE, unhex("00008200"), wifi), opened(1, true)},
		{"teredo", to(portTeredo, v6), opened6(1)},
		{"teredo with authentication and origin", to(portTeredo, unhex("0001 0000 0102030405060708 00  0000 1234 f5ff fffe"), v6), opened6(1)},
		{"tzsp", to(portTZSP, unhex("01000001 0a01c4 00 01"), inner), opened(1, true)},
		{"tzsp of 802.11", to(portTZSP, unhex("01000012 01"), wifi), opened(1, true)},
		{"l2tp", to(portL2TP, unhex("0002 0001 0002 ff030021"), v4), opened(1, false)},
		{"l2tp with length, sequence and offset", to(portL2TP, unhex("4a02"), be16(20+len(v4)), unhex("0001 0002 0003 0004 0002 0000 ff030021"), v4), opened(1, false)},
		{"mpls", eth(0x8847, cat(unhex("000010ff 000011ff"), v4)), opened(1, false, outerMACs)},
		{"mpls of ethernet", eth(0x8847, cat(unhex("000011ff 00000000"), inner)), opened(1, true)},
		{"pppoe", eth(0x8864, cat(unhex("11000001"), be16(len(v4)+2), unhex("0021"), v4, []byte("pad"))), opened(1, false, outerMACs)},
		{"802.1ah", eth(0x88e7, cat(unhex("00000001"), inner)), opened(1, true, func(p *Packet) { p.Segment = 1<<24 | 1 })},
		{"fabricpath", eth(0x8903, cat(unhex("0001"), inner)), opened(1, true)},
		{"e-tag", eth(0x893f, cat(unhex("000000010000 0800"), v4)), opened(1, false, outerMACs)},
		{"vn-tag", eth(0x8926, cat(unhex("00000001 0800"), v4)), opened(1, false, outerMACs)},

		{"gre of something else", over(ProtoGRE, unhex("00008300"), v4), closed(ProtoGRE, cat(unhex("00008300"), v4), TunnelNotDecoded)},
		{"gre with routing", over(ProtoGRE, unhex("40000800 00000000"), v4), closed(ProtoGRE, cat(unhex("40000800 00000000"), v4), TunnelNotDecoded)},
		{"gre of lldp", over(ProtoGRE, unhex("000088cc 0207")), closed(ProtoGRE, unhex("000088cc 0207"), TunnelNotDecoded)},
		{"half of gre", over(ProtoGRE, unhex("300008")), closed(ProtoGRE, unhex("300008"), TunnelNotDecoded)},
		{"ipv4 in ipv4 that is none", over(protoIPv4, unhex("99")), closed(protoIPv4, unhex("99"), TunnelNotDecoded)},
		{"dns from the gtp port", to(portGTP, unhex("30ff 8180 0001000100000000")), datagram(portGTP, unhex("30ff 8180 0001000100000000"))},
		{"gtp that is no user data", to(portGTP, change(gtpu(0x30, len(v4)), 1, 1)), datagram(portGTP, change(gtpu(0x30, len(v4)), 1, 1))},
		{"vxlan without its flag", to(portVXLAN, unhex("0000000000000500"), inner), datagram(portVXLAN, cat(unhex("0000000000000500"), inner))},
		{"vxlan of nonsense", to(portVXLAN, vx, make([]byte, 30)), datagram(portVXLAN, cat(vx, make([]byte, 30)))},
		{"geneve of another version", to(portGENEVE, unhex("4000655800000500"), inner), datagram(portGENEVE, cat(unhex("4000655800000500"), inner))},
		{"first fragment of a tunnel", eth(0x0800, ip4frag(protoIPv4, 0x2000, v4)), func() Packet {
			p := closed(protoIPv4, v4, IPFragment, TunnelNotDecoded)
			p.Fragment = FirstFragment
			return p
		}()},
		{"mpls of who knows what", eth(0x8847, unhex("000011ff 99")), base(NetNone, ProtoNone, func(p *Packet) { p.Tunnels, p.Anomalies = 1, anomalies(TunnelNotDecoded) })},
		{"mpls without end", eth(0x8847, make([]byte, 100)), base(NetNone, ProtoNone, func(p *Packet) { p.Anomalies = anomalies(TooManyTags) })},
		{"service header of another version", eth(0x894f, change(nsh, 0, 0x40)), base(NetNone, ProtoNone, func(p *Packet) { p.Anomalies = anomalies(TunnelNotDecoded) })},
		{"teredo of another length", to(portTeredo, v6, []byte{0}), datagram(portTeredo, cat(v6, []byte{0}))},
		{"tzsp without end", to(portTZSP, unhex("01000001 0a01"), inner), datagram(portTZSP, cat(unhex("01000001 0a01"), inner))},
		{"l2tp control", to(portL2TP, unhex("c802 0010 0001 0002 0000 0000 00000000")), datagram(portL2TP, unhex("c802 0010 0001 0002 0000 0000 00000000"))},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, linked{"", LinkEthernet, tt.b, 0}, tt.want) })
	}
	t.Run("one tunnel too many", func(t *testing.T) {
		p := decode(t, linked{"", LinkEthernet, to(portVXLAN, tooDeep), 0})
		if p.Tunnels != maxTunnels || p.Proto != ProtoUDP || p.DstPort != portVXLAN || p.Anomalies != anomalies(TooManyTags) {
			t.Errorf("%+v", p)
		}
	})
}

// TestOuter holds what is kept of the layers around a packet.
func TestOuter(t *testing.T) {
	v4 := ip4(ProtoTCP, tcp(ACK, "hi"))
	inner := eth(0x0800, v4)
	over := func(proto Proto, parts ...[]byte) []byte { return eth(0x0800, ip4(proto, cat(parts...))) }
	to := func(port int, parts ...[]byte) []byte { return over(ProtoUDP, udp(1, port, cat(parts...))) }
	for _, tt := range []struct {
		name    string
		b       []byte
		want    []Tunnel
		segment Segment
		vlan    uint16
	}{
		{"vxlan in a VLAN", eth(0x8100, tag(3, 0x0800, ip4(ProtoUDP, udp(1, portVXLAN, cat(unhex("0800000000010500"), inner))))),
			[]Tunnel{{Src: a4, Dst: b4, ID: 0x105, VLAN: [2]uint16{3}, Kind: TunnelVXLAN}}, 1<<24 | 0x105, 0},
		{"geneve", to(portGENEVE, unhex("0000655800000700"), inner), []Tunnel{{Src: a4, Dst: b4, ID: 7, Kind: TunnelGENEVE}}, 1<<24 | 7, 0},
		{"gre with a key", over(ProtoGRE, unhex("20000800 00000009"), v4), []Tunnel{{Src: a4, Dst: b4, ID: 9, Kind: TunnelGRE}}, 0, 0},
		{"nvgre", over(ProtoGRE, unhex("20006558 00000901"), inner), []Tunnel{{Src: a4, Dst: b4, ID: 9, Kind: TunnelNVGRE}}, 1<<24 | 9, 0},
		{"pptp", over(ProtoGRE, unhex("3081880b 002e0011 00000001 00000002 ff030021"), v4), []Tunnel{{Src: a4, Dst: b4, ID: 0x11, Kind: TunnelPPTP}}, 0, 0},
		{"erspan 2 of VLAN 5, session 33", over(ProtoGRE, unhex("100088be 00000001 10050021 00000000"), inner), []Tunnel{{Src: a4, Dst: b4, ID: 33, Kind: TunnelERSPAN}}, 5, 5},
		{"gtp in mpls in pppoe", eth(0x8864, cat(unhex("11000abc"), be16(2+4+len(ip4(ProtoUDP, udp(1, portGTP, cat(unhex("30ff"), be16(len(v4)), be32(77), v4))))), unhex("0281 00064100"),
			ip4(ProtoUDP, udp(1, portGTP, cat(unhex("30ff"), be16(len(v4)), be32(77), v4))))),
			[]Tunnel{{ID: 0xabc, Kind: TunnelPPPoE}, {ID: 100, Kind: TunnelMPLS}, {Src: a4, Dst: b4, ID: 77, Kind: TunnelGTP}}, 0, 0},
		{"l2tp", to(portL2TP, unhex("0002 0001 0002 ff030021"), v4), []Tunnel{{Src: a4, Dst: b4, ID: 1<<16 | 2, Kind: TunnelL2TP}}, 0, 0},
		{"e-tag", eth(0x893f, cat(unhex("000010640000 0800"), v4)), []Tunnel{{ID: 0x1064, Kind: TunnelETag}}, 0, 0},
		{"802.1ah in a backbone VLAN", eth(0x88a8, tag(40, 0x88e7, cat(unhex("00000102"), inner))), []Tunnel{{ID: 0x102, VLAN: [2]uint16{40}, Kind: TunnelPBB}}, 1<<24 | 0x102, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := decode(t, linked{"", LinkEthernet, tt.b, 0})
			if p.Proto != ProtoTCP || int(p.Tunnels) != len(tt.want) || !slices.Equal(p.Outer[:p.Tunnels], tt.want) {
				t.Errorf("got %d: %+v", p.Tunnels, p.Outer[:p.Tunnels])
			}
			if p.Segment != tt.segment || p.VLAN[0] != tt.vlan {
				t.Errorf("segment %v, VLAN %d", p.Segment, p.VLAN[0])
			}
		})
	}
}

// TestSeparate holds what the operator's choice does to a packet in a VLAN behind a VNI.
func TestSeparate(t *testing.T) {
	b := eth(0x0800, ip4(ProtoUDP, udp(1, portVXLAN, cat(unhex("0800000000000500"), eth(0x8100, tag(9, 0x0800, ip4(ProtoTCP, tcp(ACK, ""))))))))
	for text, want := range map[string]string{"vlan": "vlan 9", "vni": "vni 5", "none": "", "vlan,vni": "network f69357e8"} {
		var s Separate
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if back, _ := s.MarshalText(); string(back) != text {
			t.Errorf("%s becomes %s", text, back)
		}
		var p Packet
		Decoder{MaxTunnels: 1, Separate: s}.Decode(&p, &Frame{Data: b, WireLen: uint32(len(b)), Link: LinkEthernet})
		if got := p.Segment.String(); got != want {
			t.Errorf("%s: segment %q, want %q", text, got, want)
		}
	}
	if err := new(Separate).UnmarshalText([]byte("mac")); err == nil {
		t.Error("mac is taken")
	}
}
