// Package packet turns a captured frame into a Packet value: links, VLAN tags, IP, TCP, UDP, ICMP and ARP.
//
// Decoding neither allocates nor logs. What is wrong with a frame is a named Anomaly, counted by the caller, never an
// error: hostile bytes are observations. The package holds the decoder's nouns too; every later stage speaks in them.
package packet

import "net/netip"

// Addr is an IP address in 16 bytes, IPv4 as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2). It has no pointers, so that tables
// keyed by it cost the garbage collector nothing.
type Addr [16]byte

// AddrFrom4 maps an IPv4 address given in network order; b must hold at least 4 bytes.
func AddrFrom4(b []byte) Addr {
	return Addr{10: 0xff, 11: 0xff, 12: b[0], 13: b[1], 14: b[2], 15: b[3]}
}

// AddrFrom converts a netip address; zones are dropped.
func AddrFrom(a netip.Addr) Addr { return a.As16() }

// Is4 says whether a is an IPv4 address.
func (a Addr) Is4() bool {
	return a[10] == 0xff && a[11] == 0xff && [10]byte(a[:10]) == [10]byte{}
}

// Netip converts to the standard library's type, IPv4 unmapped.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// AppendTo appends the address as text.
func (a Addr) AppendTo(b []byte) []byte { return a.Netip().AppendTo(b) }

func (a Addr) String() string { return a.Netip().String() }

// MAC is an IEEE 802 hardware address.
type MAC [6]byte

// AppendTo appends the address in ECS form: upper case, separated by hyphens (RFC 7042).
func (m MAC) AppendTo(b []byte) []byte {
	const hex = "0123456789ABCDEF"
	for i, c := range m {
		if i > 0 {
			b = append(b, '-')
		}
		b = append(b, hex[c>>4], hex[c&15])
	}
	return b
}

func (m MAC) String() string { return string(m.AppendTo(nil)) }

// Proto is an IP protocol number (IANA), or ProtoNone for what is not IP.
type Proto uint8

// The protocol numbers that the sensor names.
const (
	ProtoNone   Proto = 255 // reserved by IANA; here: not IP
	ProtoICMP   Proto = 1
	ProtoIGMP   Proto = 2
	ProtoTCP    Proto = 6
	ProtoUDP    Proto = 17
	ProtoGRE    Proto = 47
	ProtoESP    Proto = 50
	ProtoAH     Proto = 51
	ProtoICMPv6 Proto = 58
	ProtoSCTP   Proto = 132
)

// TCP flags as they stand in the header (RFC 9293, 3.1).
const (
	FIN uint8 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Net says what the frame carries above its link layer.
type Net uint8

// The kinds of network layer.
const (
	NetNone Net = iota // could not be decoded, or nothing there; the anomalies say why
	NetIPv4
	NetIPv6
	NetARP
	NetOther // a link-layer protocol that the sensor names but doesn't analyse (STP, LLDP, …)
)

// Frame is one captured frame as a source delivers it. Data is borrowed until the batch that holds it is released.
type Frame struct {
	Data    []byte   // captured bytes, from the link layer on
	At      Time     // capture time
	Number  uint64   // position in its input, from 1, as Wireshark counts
	WireLen uint32   // length on the wire in bytes; at least len(Data) unless the capture lies
	Input   uint32   // index of the input it came from
	Link    LinkType // how Data begins
}

// Packet is a decoded frame. It is a value that the decoder overwrites; Payload aliases the frame.
type Packet struct {
	At        Time
	Number    uint64
	Input     uint32
	WireLen   uint32
	Anomalies AnomalySet

	Net      Net
	Proto    Proto // upper-layer protocol after IPv6 extension headers
	Fragment Fragment
	TTL      uint8 // TTL or hop limit
	Segment  Segment
	VLAN     [2]uint16 // ids, outermost first
	NumVLAN  uint8     // how many of VLAN are set
	Tunnels  uint8     // how many tunnels were opened; everything below is the innermost packet's
	Frames   uint16    // frames that it came in: 1, more where its own fragments were put together
	IPID     uint16    // IPv4 identification
	Src, Dst Addr

	SrcPort, DstPort uint16 // TCP, UDP, SCTP; ICMP type and code by formats of community-id live in ICMPType and ICMPCode
	ICMPType         uint8
	ICMPCode         uint8
	ICMPID           uint16 // identifier of echo messages
	Flags            uint8  // TCP
	Seq, Ack         uint32 // TCP
	Window           uint16 // TCP, unscaled
	Checksum         uint16 // TCP, UDP, ICMP: as it stands in the header, not verified

	IPLen      uint32 // bytes of the IP packet by its header (IPv4 total length; IPv6 header + payload length)
	PayloadLen uint32 // transport payload in bytes by the headers; may exceed len(Payload) where the capture was cut
	Payload    []byte // captured part of the transport payload, or of the ICMP message body; borrowed

	SrcMAC, DstMAC MAC // zero where the link has none
	ARP            ARP // valid where Net is NetARP

	Frag  Part             // valid where Fragment is not Whole
	Outer [MaxOuter]Tunnel // the tunnels it came through, outermost first; beyond MaxOuter the innermost is the last
}

// Fragment says which part of a fragmented IP packet this is.
type Fragment uint8

// The fragment kinds.
const (
	Whole         Fragment = iota
	FirstFragment          // offset 0, more follow: has ports
	LaterFragment          // offset > 0: no ports, Payload is raw fragment data
)

// Part is one fragment's place in its packet (RFC 791, 3.2; RFC 8200, 4.5).
type Part struct {
	ID     uint32
	Offset uint16 // bytes; what lies behind 65,535 is an anomaly
	More   bool   // more fragments follow
	Proto  Proto  // of what the fragments carry
	Len    uint32 // bytes by the headers; more than len(Data) where the capture was cut
	Data   []byte // borrowed
}

// ARP is an ARP message for IPv4 over Ethernet (RFC 826).
type ARP struct {
	Op                   uint16
	SenderMAC, TargetMAC MAC
}

// The operations of ARP that the sensor analyses (RFC 826).
const (
	ARPRequest = 1
	ARPReply   = 2
)
