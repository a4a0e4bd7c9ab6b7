package packet

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Frames of the tests are built from the outside in: each function takes what its header carries.

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

func cat(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

const macs = "02 00 00 00 00 0b  02 00 00 00 00 0a" // to b, from a

func eth(etherType int, payload []byte) []byte {
	return cat(unhex(macs), be16(etherType), payload)
}

// tag is the rest of a VLAN tag behind its EtherType.
func tag(tci, etherType int, payload []byte) []byte {
	return cat(be16(tci), be16(etherType), payload)
}

// ip4 is a packet from 10.0.0.1 to 10.0.0.2.
func ip4(proto Proto, payload []byte) []byte { return ip4frag(proto, 0, payload) }

// ip4frag gives the flags and fragment offset field.
func ip4frag(proto Proto, part int, payload []byte) []byte {
	return cat(unhex("4500"), be16(20+len(payload)), unhex("1234"), be16(part), []byte{64, byte(proto)}, unhex("0000 0a000001 0a000002"), payload)
}

// ip6 is a packet from 2001:db8::1 to 2001:db8::2.
func ip6(next Proto, payload []byte) []byte {
	return cat(unhex("60000000"), be16(len(payload)), []byte{byte(next), 63},
		unhex("20010db8000000000000000000000001 20010db8000000000000000000000002"), payload)
}

// tcp is a segment from port 40000 to 443 with a window of 512.
func tcp(flags uint8, payload string) []byte {
	return cat(be16(40000), be16(443), be32(1000), be32(2000), []byte{5 << 4, flags}, be16(512), be32(0), []byte(payload))
}

func udp(src, dst int, payload []byte) []byte {
	return cat(be16(src), be16(dst), be16(8+len(payload)), be16(0), payload)
}

// ext is an IPv6 extension header of the usual form, of 8 bytes and those of more.
func ext(next Proto, more []byte, payload []byte) []byte {
	body := append([]byte{1, 4, 0, 0, 0, 0}, more...)
	return cat([]byte{byte(next), byte((len(body) - 6) / 8)}, body, payload)
}

func frag6(next Proto, offset int, more bool, payload []byte) []byte {
	if more {
		offset |= 1
	}
	return cat([]byte{byte(next), 0}, be16(offset), be32(77), payload)
}

// change returns b with the bytes at i replaced.
func change(b []byte, i int, with ...byte) []byte {
	b = append([]byte(nil), b...)
	copy(b[i:], with)
	return b
}

// linked is a frame with its link type, and its length on the wire where the capture was cut.
type linked struct {
	name string
	link LinkType
	b    []byte
	wire int
}

// kinds has one frame of every kind that the decoder reads; the fuzz target starts from them.
func kinds() []linked {
	dns := udp(5353, 53, []byte("query"))
	syn := tcp(SYN, "")
	v4, v6 := ip4(ProtoTCP, tcp(ACK, "hi")), ip6(ProtoTCP, tcp(ACK, "hi"))
	inner := eth(0x0800, v4)
	e := func(t int, b []byte) linked { return linked{"", LinkEthernet, eth(t, b), 0} }
	list := []linked{
		e(0x0800, v4), e(0x86dd, v6), e(0x0800, ip4(ProtoUDP, dns)), e(0x86dd, ip6(ProtoUDP, dns)),
		e(0x8100, tag(5, 0x0800, v4)), e(0x88a8, tag(5, 0x8100, tag(6, 0x86dd, v6))), e(0x8100, tag(7, 46, cat(unhex("aaaa030000000800"), v4))),
		e(0x0806, unhex("0001 0800 06 04 0001 02000000000a 0a000001 000000000000 0a000002")),
		e(len(v4)+8, cat(unhex("aaaa030000000800"), v4)), e(3, unhex("424203")), e(0x88cc, unhex("0207")),
		e(0x0800, ip4frag(ProtoUDP, 0x2000, dns)), e(0x0800, ip4frag(ProtoUDP, 0x0010, []byte("tail"))),
		e(0x0800, cat(unhex("46000018 00000000 4001 0000 0a000001 0a000002 94040000"))),
		e(0x0800, ip4(ProtoICMP, unhex("0800 0000 1234 0001 6162"))),
		e(0x0800, ip4(ProtoICMP, cat(unhex("0303 0000 0000 0000"), ip4(ProtoUDP, dns)))),
		e(0x86dd, ip6(ProtoICMPv6, unhex("8000 0000 1234 0001 6162"))),
		e(0x0800, ip4(ProtoSCTP, cat(be16(1000), be16(2000), be32(1), be32(2), []byte("chunk")))),
		e(0x86dd, ip6(0, ext(43, nil, ext(60, make([]byte, 8), ext(ProtoTCP, nil, syn))))),
		e(0x86dd, ip6(44, frag6(ProtoUDP, 0, true, dns))), e(0x86dd, ip6(44, frag6(ProtoUDP, 8, false, dns))),
		e(0x0800, ip4(ProtoAH, cat([]byte{byte(ProtoTCP), 4}, make([]byte, 22), syn))),
		e(0x86dd, change(ip6(0, cat([]byte{byte(ProtoTCP), 0, 0xc2, 4}, be32(28), syn)), 4, 0, 0)),
		e(0x0800, ip4(protoIPv4, v4)), e(0x0800, ip4(protoIPv6, v6)), e(0x86dd, ip6(protoIPv6, v6)),
		e(0x0800, ip4(ProtoGRE, cat(unhex("00000800"), v4))), e(0x0800, ip4(ProtoGRE, cat(unhex("b0006558"), make([]byte, 12), inner))),
		e(0x0800, ip4(ProtoGRE, cat(unhex("3081880b"), make([]byte, 12), unhex("ff030021"), v4))),
		e(0x0800, ip4(ProtoGRE, cat(unhex("100088be 00000001 1000 0000 00000000"), inner))),
		e(0x0800, ip4(ProtoGRE, cat(unhex("100022eb 00000001 2000 0000 00000000 00000001"), make([]byte, 8), inner))),
		e(0x0800, ip4(ProtoUDP, udp(1, portVXLAN, cat(unhex("0800000000000500"), inner)))),
		e(0x0800, ip4(ProtoUDP, udp(1, portVXLANGPE, cat(unhex("0c00000100000500"), v4)))),
		e(0x0800, ip4(ProtoUDP, udp(1, portGENEVE, cat(unhex("0100655800000500 00000000"), inner)))),
		e(0x0800, ip4(ProtoUDP, udp(1, portGTP, cat(unhex("34ff"), be16(len(v4)+8), unhex("00000001 0000 00 85 01 00 00 00"), v4)))),
		e(0x8847, cat(unhex("000010ff 000011ff"), v4)), e(0x8847, cat(unhex("000011ff 00000000"), inner)),
		e(0x8864, cat(unhex("11000001"), be16(len(v4)+2), unhex("0021"), v4)),
		e(0x88e7, cat(unhex("00000001"), inner)), e(0x8903, cat(unhex("0001"), inner)),
		e(0x893f, cat(unhex("000000010000 0800"), v4)), e(0x8926, cat(unhex("00000001 0800"), v4)),
		{"", LinkRaw, v4, 0}, {"", LinkRaw, v6, 0}, {"", LinkRawBSD, v4, 0}, {"", LinkIPv4, v4, 0}, {"", LinkIPv6, v6, 0},
		{"", LinkNull, cat(unhex("02000000"), v4), 0}, {"", LinkNull, cat(unhex("0000001e"), v6), 0}, {"", LinkLoop, cat(unhex("00000018"), v6), 0},
		{"", LinkSLL, cat(unhex("0000 0001 0006 02000000000a 0000 0800"), v4), 0},
		{"", LinkSLL2, cat(unhex("86dd 0000 00000002 0001 04 06 02000000000a 0000"), v6), 0},
		{"", LinkPPP, cat(unhex("ff03 0021"), v4), 0}, {"", LinkPPP, cat(unhex("57"), v6), 0},
		{"", LinkPPPoE, cat(unhex("11000001"), be16(len(v4)+2), unhex("0021"), v4), 0},
		{"", LinkNFLOG, cat(unhex("02 00 0000 0800 0100 00000001 0500 0a00 61000000"), []byte{byte(len(v4) + 4), 0, 9, 0}, v4), 0},
		{"", LinkNFLOG, cat(unhex("0a 00 0000"), be16(len(v6)+4), be16(9), v6), 0},
		{"", LinkFDDI, cat(unhex("50"), unhex(macs), unhex("aaaa030000000800"), v4), 0},
		{"", LinkEthernet, eth(0x0800, v4)[:40], 1500},
		{"", 9999, v4, 0},
	}
	return list
}
