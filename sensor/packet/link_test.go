package packet

import "testing"

func onAir(p Packet) Packet {
	p.SrcMAC, p.DstMAC = macA, macB
	return p
}

func inTunnel(p Packet) Packet {
	p.Tunnels = 1
	return p
}

func TestLinks(t *testing.T) {
	v4, v6 := ip4(ProtoTCP, tcp(ACK, "hi")), ip6(ProtoTCP, tcp(ACK, "hi"))
	bare := func(more func(*Packet)) func(Net) Packet { // what the inner packets give, without the link's own
		return func(n Net) Packet {
			return base(n, ProtoTCP, func(p *Packet) {
				p.Flags, p.Payload, p.SrcMAC, p.DstMAC = ACK, []byte("hi"), MAC{}, MAC{}
				if p.IPLen = 42; n == NetIPv6 {
					p.IPLen = 62
				}
				more(p)
			})
		}
	}
	plain := bare(func(*Packet) {})
	both := bare(func(p *Packet) { p.SrcMAC, p.DstMAC = macA, macB })
	from := bare(func(p *Packet) { p.SrcMAC = macA })
	tagged := func(s Segment, ids ...uint16) func(Net) Packet {
		return bare(func(p *Packet) {
			p.SrcMAC, p.DstMAC, p.Segment, p.NumVLAN = macA, macB, s, uint8(len(ids))
			copy(p.VLAN[:], ids)
		})
	}
	nothing := func(n Net, list ...Anomaly) Packet {
		return base(n, ProtoNone, func(p *Packet) { p.SrcMAC, p.DstMAC, p.Anomalies = MAC{}, MAC{}, anomalies(list...) })
	}
	onWire := func(n Net, list ...Anomaly) Packet {
		return base(n, ProtoNone, func(p *Packet) { p.Anomalies = anomalies(list...) })
	}
	snap := unhex("aaaa03 000000 0800")
	e, x := LinkEthernet, tagged
	for _, tt := range []struct {
		name string
		link LinkType
		b    []byte
		want Packet
	}{
		{"one tag", e, eth(0x8100, tag(0xf005, 0x0800, v4)), x(5, 5)(NetIPv4)},
		{"two tags", e, eth(0x88a8, tag(5, 0x8100, tag(6, 0x86dd, v6))), x(5<<12|6, 5, 6)(NetIPv6)},
		{"two tags of the old kind", e, eth(0x9100, tag(4095, 0x9100, tag(1, 0x0800, v4))), x(4095<<12|1, 4095, 1)(NetIPv4)},
		{"three tags", e, eth(0x8100, tag(1, 0x8100, tag(2, 0x8100, tag(3, 0x0800, v4)))), x(1<<12|2, 1, 2)(NetIPv4)},
		{"priority tag", e, eth(0x8100, tag(0xe000, 0x0800, v4)), both(NetIPv4)},
		{"priority tag outside", e, eth(0x8100, tag(0xe000, 0x8100, tag(6, 0x0800, v4))), x(6, 6)(NetIPv4)},
		{"tagged snap", e, eth(0x8100, tag(7, len(v4)+8, cat(snap, v4, []byte("pad")))), x(7, 7)(NetIPv4)},
		{"five tags", e, eth(0x8100, tag(1, 0x8100, tag(2, 0x8100, tag(3, 0x8100, tag(4, 0x8100, tag(5, 0x0800, v4)))))), base(NetNone, ProtoNone, func(p *Packet) {
			p.VLAN, p.NumVLAN, p.Segment, p.Anomalies = [2]uint16{1, 2}, 2, 1<<12|2, anomalies(TooManyTags)
		})},
		{"cut tag", e, eth(0x8100, unhex("0005 08")), onWire(NetNone, TruncatedFrame)},
		{"cut ethernet", e, unhex("0102"), nothing(NetNone, TruncatedFrame)},
		{"nothing", e, nil, nothing(NetNone, TruncatedFrame)},
		{"snap", e, eth(len(v4)+8, cat(snap, v4, []byte("pad"))), both(NetIPv4)},
		{"llc of ip", e, eth(len(v4)+3, cat(unhex("060603"), v4)), both(NetIPv4)},
		{"spanning tree", e, eth(3, unhex("424203")), onWire(NetOther)},
		{"cisco discovery", e, eth(8, unhex("aaaa03 00000c 2000")), onWire(NetOther)},
		{"lldp", e, eth(0x88cc, unhex("0207")), onWire(NetOther)},
		{"pppoe discovery", e, eth(0x8863, unhex("1109")), onWire(NetOther)},
		{"not known", e, eth(0x4242, v4), onWire(NetNone, UnknownEtherType)},
		{"raw v4", LinkRaw, v4, plain(NetIPv4)},
		{"raw v6", LinkRaw, v6, plain(NetIPv6)},
		{"raw, bsd", LinkRawBSD, v6, plain(NetIPv6)},
		{"raw, openbsd", LinkRawOBSD, v4, plain(NetIPv4)},
		{"raw, neither", LinkRaw, unhex("50"), nothing(NetNone, BadIPVersion)},
		{"raw, empty", LinkRaw, nil, nothing(NetNone, TruncatedFrame)},
		{"ipv4 link", LinkIPv4, v4, plain(NetIPv4)},
		{"ipv4 link with ipv6", LinkIPv4, v6, nothing(NetNone, BadIPVersion)},
		{"ipv6 link", LinkIPv6, v6, plain(NetIPv6)},
		{"ipv6 link with ipv4", LinkIPv6, v4, nothing(NetNone, BadIPVersion)},
		{"802.11, from an access point", LinkWLAN, cat(unhex("0802 0000 02000000000b 020000000001 02000000000a 0000  aaaa03000000 0800"), v4), onAir(plain(NetIPv4))},
		{"802.11, to an access point, with quality of service and radiotap", LinkWLANRadio, cat(unhex("0000 0800 00000000  8801 0000 020000000001 02000000000a 02000000000b 0000 0000  aaaa03000000 0800"), v4, unhex("01020304")), onAir(plain(NetIPv4))},
		{"802.11 between access points", LinkWLAN, cat(unhex("0803 0000 020000000001 020000000002 02000000000b 0000 02000000000a  aaaa03000000 0800"), v4), onAir(plain(NetIPv4))},
		{"802.11, encrypted", LinkWLAN, cat(unhex("0842 0000 02000000000b 020000000001 02000000000a 0000"), v4), onAir(nothing(NetOther, EncryptedWLAN))},
		{"802.11 beacon", LinkWLAN, unhex("8000 0000 ffffffffffff 020000000001 020000000001 0000"), nothing(NetOther)},
		{"802.11 without data", LinkWLAN, unhex("4801 0000 020000000001 02000000000a 02000000000b 0000"), nothing(NetOther)},
		{"802.11, aggregated", LinkWLAN, cat(unhex("8801 0000 020000000001 02000000000a 02000000000b 0000 8000"), v4), onAir(nothing(NetOther))},
		{"802.11, cut", LinkWLAN, unhex("0802 0000 02000000000b"), nothing(NetNone, TruncatedFrame)},
		{"per-packet information, of 802.11", LinkPPI, cat(unhex("0000 0c00 69000000 00000000  0802 0000 02000000000b 020000000001 02000000000a 0000  aaaa03000000 0800"), v4), onAir(plain(NetIPv4))},
		{"per-packet information, of what is not read", LinkPPI, cat(unhex("0000 0800 e8030000"), v4), nothing(NetNone, UnknownLink)},
		{"per-packet information, cut", LinkPPI, unhex("0000 2000 69000000"), nothing(NetNone, TruncatedFrame)},
		{"radiotap, cut", LinkWLANRadio, unhex("0000 2000 00000000"), nothing(NetNone, TruncatedFrame)},
		{"null little-endian", LinkNull, cat(unhex("02000000"), v4), plain(NetIPv4)},
		{"null big-endian", LinkNull, cat(unhex("00000002"), v4), plain(NetIPv4)},
		{"null, ipv6 of netbsd", LinkNull, cat(unhex("18000000"), v6), plain(NetIPv6)},
		{"null, ipv6 of freebsd", LinkNull, cat(unhex("1c000000"), v6), plain(NetIPv6)},
		{"null, ipv6 of macos", LinkNull, cat(unhex("0000001e"), v6), plain(NetIPv6)},
		{"null with an ethertype", LinkNull, cat(unhex("0f000800"), v4), plain(NetIPv4)},
		{"null, not known", LinkNull, cat(unhex("07000000"), v4), nothing(NetNone, UnknownEtherType)},
		{"loop", LinkLoop, cat(unhex("00000018"), v6), plain(NetIPv6)},
		{"ppp in hdlc", LinkPPP, cat(unhex("ff03 0021"), v4), plain(NetIPv4)},
		{"ppp, short protocol", LinkPPPSerial, cat(unhex("57"), v6), plain(NetIPv6)},
		{"ppp control", LinkPPP, unhex("c021 01"), nothing(NetOther)},
		{"pppoe link", LinkPPPoE, cat(unhex("11000001"), be16(len(v4)+2), unhex("0021"), v4, []byte("pad")), inTunnel(plain(NetIPv4))},
		{"cooked", LinkSLL, cat(unhex("0000 0001 0006 02000000000a 0000 86dd"), v6), from(NetIPv6)},
		{"cooked, no address", LinkSLL, cat(unhex("0004 0304 0000 ffffffffffff 0000 0800"), v4), plain(NetIPv4)},
		{"cooked with a tag", LinkSLL, cat(unhex("0000 0001 0000 000000000000 0000 8100 0005 0800"), v4), bare(func(p *Packet) {
			p.Segment, p.VLAN[0], p.NumVLAN = 5, 5, 1
		})(NetIPv4)},
		{"cooked netlink", LinkSLL, unhex("0004 0338 0000 000000000000 0000 0800 45"), nothing(NetOther)},
		{"cooked llc", LinkSLL, unhex("0000 0001 0000 000000000000 0000 0004 424203"), nothing(NetOther)},
		{"cooked 2", LinkSLL2, cat(unhex("0800 0000 00000002 0001 04 06 02000000000a 0000"), v4), from(NetIPv4)},
		{"cooked 2, cut", LinkSLL2, unhex("0800 0000 00000002 0001 04 06 02000000000a 00"), nothing(NetNone, TruncatedFrame)},
		{"nflog", LinkNFLOG, cat(unhex("02 00 0000 0800 0100 00000001 0500 0a00 61000000"), []byte{byte(len(v4) + 4), 0, 9, 0}, v4), plain(NetIPv4)},
		{"nflog big-endian", LinkNFLOG, cat(unhex("0a 00 0000"), be16(len(v6)+4), be16(9), v6), plain(NetIPv6)},
		{"nflog without payload", LinkNFLOG, unhex("02 00 0000 0800 0100 00000001"), nothing(NetNone, TruncatedFrame)},
		{"nflog, bad length", LinkNFLOG, unhex("02 00 0000 0300 0100 00000001"), nothing(NetNone, TruncatedFrame)},
		{"fddi", LinkFDDI, cat(unhex("50"), unhex(macs), snap, v4), plain(NetIPv4)},
		{"a link that isn't read", 9999, v4, nothing(NetNone, UnknownLink)},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, linked{"", tt.link, tt.b, 0}, tt.want) })
	}
}

func TestARP(t *testing.T) {
	const request = "0001 0800 06 04 0001 02000000000a 0a000001 000000000000 0a000002"
	good := base(NetARP, ProtoNone, func(p *Packet) {
		p.Src, p.Dst, p.ARP = a4, b4, ARP{Op: 1, SenderMAC: macA}
	})
	bad := func(list ...Anomaly) Packet {
		return base(NetNone, ProtoNone, func(p *Packet) { p.Anomalies = anomalies(list...) })
	}
	for _, tt := range []struct {
		name, hex string
		wire      int
		want      Packet
	}{
		{"request", request, 0, good},
		{"padded", request + "00000000", 60, good},
		{"hardware length", "0001 0800 08 04 0001 02000000000a 0a000001 000000000000 0a000002", 0, bad(BadARP)},
		{"protocol length", "0001 0800 06 10 0001 02000000000a 0a000001 000000000000 0a000002", 0, bad(BadARP)},
		{"protocol", "0001 86dd 06 04 0001 02000000000a 0a000001 000000000000 0a000002", 0, bad(BadARP)},
		{"too short", "0001 0800 06 04 0001 02000000000a 0a000001", 0, bad(BadARP)},
		{"cut", "0001 0800 06 04 0001 02000000000a 0a000001", 42, bad(TruncatedFrame, SnapLenCut)},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, linked{"", LinkEthernet, eth(0x0806, unhex(tt.hex)), tt.wire}, tt.want) })
	}
}
