// Package craft makes packets: whole conversations of TCP, DNS, TLS, HTTP, SMB2 and DCE/RPC with right lengths,
// checksums and sequence numbers, laid out in time, as a capture would show them. It is deterministic: the same calls
// with the same seed give the same bytes.
package craft

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Host is a machine of the crafted network.
type Host struct {
	Name string
	Addr netip.Addr
	MAC  net.HardwareAddr
	VLAN uint16 // 0: untagged
	ttl  uint8
	port uint16 // next ephemeral port
	ipid uint16
}

// Net collects the packets of a crafted network.
type Net struct {
	Rand *rand.Rand
	// Delay is the one-way time between two hosts: a quarter of a millisecond inside, ten outside; chosen by us.
	Inside, Outside time.Duration
	hosts           map[netip.Addr]*Host
	packets         []packet
	gateway         net.HardwareAddr
}

type packet struct {
	at   time.Time
	data []byte
}

// New makes an empty network; seed decides everything that is random in it.
func New(seed uint64) *Net {
	return &Net{
		Rand:   rand.New(rand.NewPCG(seed, 0x6e6575726f6d6173)),
		Inside: 250 * time.Microsecond, Outside: 10 * time.Millisecond,
		hosts:   map[netip.Addr]*Host{},
		gateway: net.HardwareAddr{0x02, 0x00, 0x5e, 0x00, 0x00, 0x01},
	}
}

// Host returns the machine at addr, made at first sight. Private addresses have their own MAC, others the gateway's.
func (n *Net) Host(name string, addr netip.Addr) *Host {
	if h := n.hosts[addr]; h != nil {
		if name != "" {
			h.Name = name
		}
		return h
	}
	h := &Host{Name: name, Addr: addr, MAC: n.gateway, ttl: 54, port: 49152}
	if inside(addr) {
		b := addr.As16()
		h.MAC = net.HardwareAddr{0x02, 0x4e, b[12], b[13], b[14], b[15]}
		h.ttl = 128
	}
	n.hosts[addr] = h
	return h
}

// v6Site is the documentation prefix (RFC 3849), which the crafted sites use as their own.
var v6Site = netip.MustParsePrefix("2001:db8::/32")

func inside(a netip.Addr) bool { return a.IsPrivate() || a.IsLinkLocalUnicast() || v6Site.Contains(a) }

// delay is the one-way time between a and b.
func (n *Net) delay(a, b *Host) time.Duration {
	d := n.Inside
	if !inside(a.Addr) || !inside(b.Addr) {
		d = n.Outside
	}
	return d + time.Duration(n.Rand.Int64N(int64(d)/5))
}

// emit adds one IP packet with the given transport layers.
func (n *Net) emit(at time.Time, from, to *Host, proto layers.IPProtocol, rest ...gopacket.SerializableLayer) {
	from.ipid++
	eth := &layers.Ethernet{SrcMAC: from.MAC, DstMAC: to.MAC, EthernetType: layers.EthernetTypeIPv4}
	var ip gopacket.NetworkLayer
	var stack []gopacket.SerializableLayer
	if from.Addr.Is4() {
		v4 := &layers.IPv4{Version: 4, TTL: from.ttl, Id: from.ipid, Flags: layers.IPv4DontFragment, Protocol: proto,
			SrcIP: from.Addr.AsSlice(), DstIP: to.Addr.AsSlice()}
		ip, stack = v4, []gopacket.SerializableLayer{v4}
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		v6 := &layers.IPv6{Version: 6, HopLimit: from.ttl, NextHeader: proto, SrcIP: from.Addr.AsSlice(), DstIP: to.Addr.AsSlice()}
		ip, stack = v6, []gopacket.SerializableLayer{v6}
	}
	if vlan := max(from.VLAN, to.VLAN); vlan != 0 {
		tag := &layers.Dot1Q{VLANIdentifier: vlan, Type: eth.EthernetType}
		eth.EthernetType = layers.EthernetTypeDot1Q
		stack = append([]gopacket.SerializableLayer{tag}, stack...)
	}
	for _, l := range rest {
		if c, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := c.SetNetworkLayerForChecksum(ip); err != nil {
				panic(err) // a programming error: every network layer above can be summed
			}
		}
	}
	buf := gopacket.NewSerializeBuffer()
	all := append(append([]gopacket.SerializableLayer{eth}, stack...), rest...)
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		panic(fmt.Sprintf("crafting a packet from %v to %v: %v", from.Addr, to.Addr, err))
	}
	data := slices.Clone(buf.Bytes())
	for len(data) < 60 { // Ethernet's minimum without FCS
		data = append(data, 0)
	}
	n.packets = append(n.packets, packet{at, data})
}

// UDP sends one datagram.
func (n *Net) UDP(at time.Time, from, to *Host, sport, dport uint16, payload []byte) {
	n.emit(at, from, to, layers.IPProtocolUDP, &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)},
		gopacket.Payload(payload))
}

// Ping sends an echo request and, where answered, its reply.
func (n *Net) Ping(at time.Time, from, to *Host, id, seq uint16, payload []byte, answered bool) {
	n.emit(at, from, to, layers.IPProtocolICMPv4,
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: id, Seq: seq}, gopacket.Payload(payload))
	if answered {
		n.emit(at.Add(2*n.delay(from, to)), to, from, layers.IPProtocolICMPv4,
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoReply, 0), Id: id, Seq: seq}, gopacket.Payload(payload))
	}
}

// Ephemeral returns the next client port of a host.
func (h *Host) Ephemeral() uint16 {
	p := h.port
	if h.port++; h.port == 65535 {
		h.port = 49152
	}
	return p
}

// Len returns how many packets there are.
func (n *Net) Len() int { return len(n.packets) }

// WriteTo writes the packets in order of time as a pcap file with nanoseconds.
func (n *Net) WriteTo(w io.Writer) (int64, error) {
	out, err := NewWriter(w)
	if err != nil {
		return 0, err
	}
	err = out.Drain(n, time.Time{})
	return out.written, err
}

// Writer writes a network's packets as they become final, so that a long capture needs little memory.
type Writer struct {
	pcap    *pcapgo.Writer
	written int64
}

// NewWriter writes the file's header: pcap, nanoseconds, Ethernet.
func NewWriter(w io.Writer) (*Writer, error) {
	out := pcapgo.NewWriterNanos(w)
	return &Writer{out, 24}, out.WriteFileHeader(262144, layers.LinkTypeEthernet)
}

// Drain writes, in order of time, every packet before the given time, all of them where it is zero, and forgets them.
func (w *Writer) Drain(n *Net, before time.Time) error {
	slices.SortStableFunc(n.packets, func(a, b packet) int { return a.at.Compare(b.at) })
	end := len(n.packets)
	if !before.IsZero() {
		end, _ = slices.BinarySearchFunc(n.packets, before, func(p packet, t time.Time) int { return p.at.Compare(t) })
	}
	for _, p := range n.packets[:end] {
		ci := gopacket.CaptureInfo{Timestamp: p.at, CaptureLength: len(p.data), Length: len(p.data)}
		if err := w.pcap.WritePacket(ci, p.data); err != nil {
			return err
		}
		w.written += 16 + int64(len(p.data))
	}
	n.packets = append(n.packets[:0], n.packets[end:]...)
	return nil
}

// Bytes returns n bytes without structure, as compressed or encrypted data has none.
func (n *Net) Bytes(count int) []byte {
	b := make([]byte, count+8)
	for i := 0; i < count; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], n.Rand.Uint64())
	}
	return b[:count]
}
