package bpf

import (
	"fmt"
	"net/netip"

	"neuromast/sensor/packet"
)

// VLANMode says where the outer VLAN tag is to be found.
type VLANMode uint8

// In captures the tag stands in the frame; on a live interface Linux takes the outer one out and tells it apart.
const (
	InFrame VLANMode = iota
	Ancillary
)

// EtherTypes (IEEE 802 numbers).
const (
	typeIP, typeIP6, typeARP, typeRARP = 0x0800, 0x86dd, 0x0806, 0x8035
)

// IP protocols (IANA).
const (
	protoICMP, protoIGMP, protoTCP, protoUDP, protoESP, protoAH, protoICMP6, protoSCTP, protoFragment = 1, 2, 6, 17, 50, 51, 58, 132, 44
)

// frame is how a frame begins: where its type stands, and where the network layer begins. vlan moves both.
type frame struct {
	link packet.LinkType
	mode VLANMode
	kind uint32 // offset of the EtherType
	net  uint32 // offset of the network layer
	tags int    // how many vlan words were read
}

func newFrame(link packet.LinkType, mode VLANMode) (frame, error) {
	f := frame{link: link, mode: mode}
	switch link {
	case packet.LinkEthernet:
		f.kind, f.net = 12, 14
	case packet.LinkSLL:
		f.kind, f.net = 14, 16
	case packet.LinkSLL2:
		f.kind, f.net = 0, 20
	case packet.LinkRaw, packet.LinkRawBSD, packet.LinkRawOBSD, packet.LinkIPv4, packet.LinkIPv6:
	default:
		return f, fmt.Errorf("filter: frames of link type %d can't be filtered; Ethernet, raw IP and Linux cooked captures can", link)
	}
	return f, nil
}

// raw says that frames begin with the IP header.
func (f frame) raw() bool { return f.kind == 0 && f.net == 0 }

// never and always are conditions that don't look.
func never(c *code, _, no label) {
	c.op(opLD|modeIMM, 0)
	c.jump(jumpEQ, 1, no, no)
}

func always(c *code, yes, _ label) {
	c.op(opLD|modeIMM, 0)
	c.jump(jumpEQ, 0, yes, yes)
}

// typeIs tests the network protocol.
func (f frame) typeIs(t uint32) cond {
	if f.raw() {
		switch t {
		case typeIP:
			return equal(sizeB, 0, 0xf0, 0x40)
		case typeIP6:
			return equal(sizeB, 0, 0xf0, 0x60)
		}
		return never
	}
	return halfAt(f.kind, t)
}

// vlan tests for a tag, of an id or any (id < 0), and moves what follows behind it.
func (f *frame) vlan(id int64) (cond, error) {
	if f.link != packet.LinkEthernet {
		return nil, fmt.Errorf("filter: vlan is known on Ethernet only")
	}
	f.tags++
	if f.mode == Ancillary && f.tags == 1 {
		x := cond(func(c *code, yes, no label) {
			c.op(opLD|sizeB|modeABS, vlanTagPresent)
			c.jump(jumpEQ, 1, yes, no)
		})
		if id >= 0 {
			x = and(x, equal(sizeH, vlanTag, 0xfff, uint32(id)))
		}
		return x, nil
	}
	x := anyOf(halfAt(f.kind, 0x8100), halfAt(f.kind, 0x88a8), halfAt(f.kind, 0x9100))
	if id >= 0 {
		x = and(x, equal(sizeH, f.net, 0xfff, uint32(id)))
	}
	f.kind += 4
	f.net += 4
	return x, nil
}

// ipProto tests IPv4's protocol, ip6Proto IPv6's, directly or behind one fragment header.
func (f frame) ipProto(n uint32) cond { return and(f.typeIs(typeIP), byteAt(f.net+9, n)) }

func (f frame) ip6Proto(n uint32) cond {
	direct := byteAt(f.net+6, n)
	return and(f.typeIs(typeIP6), or(direct, and(byteAt(f.net+6, protoFragment), byteAt(f.net+40, n))))
}

// address tests an address or network at one offset.
func address(at uint32, p netip.Prefix) cond {
	b := p.Addr().AsSlice()
	bits := p.Bits()
	var x cond
	for i := 0; i < len(b); i += 4 {
		n := min(max(bits-8*i, 0), 32)
		if n == 0 {
			break
		}
		mask := uint32(0xffffffff) << (32 - n)
		word := uint32(b[i])<<24 | uint32(b[i+1])<<16 | uint32(b[i+2])<<8 | uint32(b[i+3])
		if one := equal(sizeW, at+uint32(i), mask, word&mask); x == nil {
			x = one
		} else {
			x = and(x, one)
		}
	}
	if x == nil {
		return always
	}
	return x
}

// direction says which side of a packet is meant.
type direction uint8

const (
	either direction = iota // src or dst
	source
	destination
	both // src and dst
)

// sides joins a condition over the two sides.
func (d direction) sides(src, dst cond) cond {
	switch d {
	case source:
		return src
	case destination:
		return dst
	case both:
		return and(src, dst)
	}
	return or(src, dst)
}

// host tests the addresses of IP, ARP and RARP; only is 0 or the EtherType that was asked for.
func (f frame) host(p netip.Prefix, d direction, only uint32) cond {
	at := func(kind, src, dst uint32) cond {
		return and(f.typeIs(kind), d.sides(address(f.net+src, p), address(f.net+dst, p)))
	}
	if p.Addr().Is6() {
		return at(typeIP6, 8, 24)
	}
	switch only {
	case typeIP:
		return at(typeIP, 12, 16)
	case typeARP, typeRARP:
		return at(only, 14, 24)
	}
	x := at(typeIP, 12, 16)
	if f.raw() {
		return x
	}
	return anyOf(x, at(typeARP, 14, 24), at(typeRARP, 14, 24))
}

// ports tests for ports from lo to hi over the given protocols, over IPv4 in the first fragment, and over IPv6.
func (f frame) ports(lo, hi uint32, d direction, protos []uint32) cond {
	match := func(load func(c *code, at uint32)) cond {
		one := func(at uint32) cond {
			return func(c *code, yes, no label) {
				load(c, at)
				if lo == hi {
					c.jump(jumpEQ, lo, yes, no)
					return
				}
				above := c.label()
				c.jump(jumpGE, lo, above, no)
				c.mark(above)
				c.jump(jumpGT, hi, no, yes)
			}
		}
		return d.sides(one(0), one(2))
	}
	over := func(at uint32) cond {
		var list []cond
		for _, p := range protos {
			list = append(list, byteAt(at, p))
		}
		return anyOf(list...)
	}
	v6 := match(func(c *code, at uint32) { c.op(opLD|sizeH|modeABS, f.net+40+at) })
	inner := match(func(c *code, at uint32) { c.op(opLD|sizeH|modeIND, f.net+at) })
	v4 := cond(func(c *code, yes, no label) {
		first := c.label()
		c.op(opLD|sizeH|modeABS, f.net+6)
		c.jump(jumpSET, 0x1fff, no, first)
		c.mark(first)
		c.op(opLDX|sizeB|modeMSH, f.net)
		inner(c, yes, no)
	})
	return or(and(f.typeIs(typeIP6), and(over(f.net+6), v6)), and(f.typeIs(typeIP), and(over(f.net+9), v4)))
}

// hardware tests Ethernet addresses.
func (f frame) hardware(mac packet.MAC, d direction) (cond, error) {
	if f.link != packet.LinkEthernet {
		return nil, fmt.Errorf("filter: hardware addresses are known on Ethernet only")
	}
	at := func(off uint32) cond {
		low := uint32(mac[2])<<24 | uint32(mac[3])<<16 | uint32(mac[4])<<8 | uint32(mac[5])
		return and(equal(sizeW, off+2, 0xffffffff, low), halfAt(off, uint32(mac[0])<<8|uint32(mac[1])))
	}
	return d.sides(at(6), at(0)), nil
}
