package packet

import (
	"bytes"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// oracle is a second opinion on the common stack. gopacket's other layers panic on bad bytes and stay out.
type oracle struct {
	eth     layers.Ethernet
	tag     layers.Dot1Q
	ip4     layers.IPv4
	ip6     layers.IPv6
	tcp     layers.TCP
	udp     layers.UDP
	parser  *gopacket.DecodingLayerParser
	decoded []gopacket.LayerType
}

func newOracle() *oracle {
	o := &oracle{}
	o.parser = gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &o.eth, &o.tag, &o.ip4, &o.ip6, &o.tcp, &o.udp)
	o.parser.IgnoreUnsupported = true
	return o
}

// sees says whether gopacket reads b as Ethernet, VLAN tags, one IP header, and TCP or UDP.
func (o *oracle) sees(b []byte) (tags int, last gopacket.LayerType, ok bool) {
	if o.parser.DecodeLayers(b, &o.decoded) != nil {
		return 0, 0, false
	}
	ips := 0
	for _, l := range o.decoded {
		switch last = l; l {
		case layers.LayerTypeDot1Q:
			if tags++; ips > 0 {
				return 0, 0, false
			}
		case layers.LayerTypeIPv4, layers.LayerTypeIPv6:
			ips++
		}
	}
	return tags, last, ips == 1 && tags <= maxTags && (last == layers.LayerTypeTCP || last == layers.LayerTypeUDP)
}

// compare holds p against what gopacket sees in the same bytes.
func (o *oracle) compare(t *testing.T, b []byte, p *Packet) {
	tags, last, ok := o.sees(b)
	if !ok || p.Tunnels > 0 {
		return
	}
	var src, dst []byte
	var ttl uint8
	net := NetIPv4
	if o.has(layers.LayerTypeIPv6) {
		if o.ip6.Version != 6 || o.ip6.HopByHop != nil { // gopacket doesn't look
			return
		}
		net, src, dst, ttl = NetIPv6, o.ip6.SrcIP, o.ip6.DstIP, o.ip6.HopLimit
	} else {
		if o.ip4.Version != 4 {
			return
		}
		src, dst, ttl = o.ip4.SrcIP, o.ip4.DstIP, o.ip4.TTL
	}
	if p.Net != net || p.TTL != ttl || !bytes.Equal(p.Src.Netip().AsSlice(), unmapped(src)) || !bytes.Equal(p.Dst.Netip().AsSlice(), unmapped(dst)) {
		t.Errorf("%v %v > %v ttl %d; gopacket: % x > % x ttl %d", p.Net, p.Src, p.Dst, p.TTL, src, dst, ttl)
	}
	if id := o.tag.VLANIdentifier; tags == 1 && id != 0 && (p.NumVLAN != 1 || p.VLAN[0] != id || p.Segment != Segment(id)) {
		t.Errorf("tags %v, gopacket: %d", p.VLAN, id)
	}
	if !bytes.Equal(p.SrcMAC[:], o.eth.SrcMAC) || !bytes.Equal(p.DstMAC[:], o.eth.DstMAC) {
		t.Errorf("%v > %v; gopacket: %v > %v", p.SrcMAC, p.DstMAC, o.eth.SrcMAC, o.eth.DstMAC)
	}
	sport, dport, payload := uint16(o.udp.SrcPort), uint16(o.udp.DstPort), o.udp.Payload
	if last == layers.LayerTypeTCP {
		sport, dport, payload = uint16(o.tcp.SrcPort), uint16(o.tcp.DstPort), o.tcp.Payload
		flags := uint8(0)
		for i, set := range []bool{o.tcp.FIN, o.tcp.SYN, o.tcp.RST, o.tcp.PSH, o.tcp.ACK, o.tcp.URG, o.tcp.ECE, o.tcp.CWR} {
			if set {
				flags |= 1 << i
			}
		}
		if p.Proto != ProtoTCP || p.Seq != o.tcp.Seq || p.Ack != o.tcp.Ack || p.Flags != flags || p.Window != o.tcp.Window {
			t.Errorf("%+v; gopacket: %+v", p, o.tcp)
		}
	} else if p.Proto != ProtoUDP {
		t.Errorf("protocol %d; gopacket: UDP", p.Proto)
	}
	if p.SrcPort != sport || p.DstPort != dport || !bytes.Equal(p.Payload, payload) {
		t.Errorf("%d > %d, % x; gopacket: %d > %d, % x", p.SrcPort, p.DstPort, p.Payload, sport, dport, payload)
	}
}

func (o *oracle) has(l gopacket.LayerType) bool {
	for _, d := range o.decoded {
		if d == l {
			return true
		}
	}
	return false
}

// unmapped is an address as netip gives it.
func unmapped(b []byte) []byte {
	if len(b) == 16 {
		return Addr(b).Netip().AsSlice()
	}
	return b
}

// consistent holds what is true of every packet.
func consistent(t *testing.T, f *Frame, p *Packet) {
	t.Helper()
	switch {
	case p.At != f.At || p.Number != f.Number || p.Input != f.Input || p.WireLen != f.WireLen:
		t.Error("the frame's own values are not the packet's")
	case p.Anomalies>>NumAnomalies != 0:
		t.Errorf("anomalies without name: %x", p.Anomalies)
	case int(p.PayloadLen) < len(p.Payload) || len(p.Payload) > len(f.Data):
		t.Errorf("payload of %d bytes, %d there, in a frame of %d", p.PayloadLen, len(p.Payload), len(f.Data))
	case p.NumVLAN > 2 || p.Tunnels > 40:
		t.Errorf("%d VLANs, %d tunnels", p.NumVLAN, p.Tunnels)
	case p.Net == NetNone && p.Anomalies == 0:
		t.Error("nothing decoded and nothing said")
	case (p.Net == NetIPv4 || p.Net == NetIPv6) && p.IPLen < 20, p.PayloadLen > p.IPLen:
		t.Errorf("%d bytes of IP, %d of payload", p.IPLen, p.PayloadLen)
	case p.Net != NetIPv4 && p.Net != NetIPv6 && (p.Proto != ProtoNone || p.IPLen != 0 || p.Payload != nil):
		t.Errorf("not IP: %+v", p)
	}
}

// FuzzDecode holds that no bytes make the decoder panic or contradict itself, and that it agrees with gopacket.
func FuzzDecode(f *testing.F) {
	for _, k := range kinds() {
		f.Add(uint16(k.link), uint16(max(k.wire-len(k.b), 0)), k.b)
	}
	o := newOracle()
	f.Fuzz(func(t *testing.T, link, cut uint16, b []byte) {
		fr := Frame{Data: b, At: 1, Number: 2, WireLen: uint32(len(b) + int(cut)), Input: 3, Link: LinkType(link)}
		var p Packet
		Default().Decode(&p, &fr)
		consistent(t, &fr, &p)
		if fr.Link == LinkEthernet && cut == 0 {
			o.compare(t, b, &p)
		}
	})
}

// TestEveryCut decodes every frame of the seeds cut at every byte, by the capture and by the sender.
func TestEveryCut(t *testing.T) {
	o := newOracle()
	for _, k := range kinds() {
		for n := range len(k.b) + 1 {
			for _, wire := range []int{n, len(k.b), 0} {
				f := Frame{Data: k.b[:n:n], Number: 1, WireLen: uint32(wire), Link: k.link}
				var p Packet
				Default().Decode(&p, &f)
				consistent(t, &f, &p)
				if n < len(k.b) && n == wire && p.Net == NetIPv4 && p.Anomalies == 0 {
					t.Errorf("link %d, % x cut at %d: nothing said", k.link, k.b, n)
				}
				if k.link == LinkEthernet && wire == n {
					o.compare(t, f.Data, &p)
				}
			}
		}
	}
}

// TestOracleSees makes sure that the comparison compares.
func TestOracleSees(t *testing.T) {
	o, n := newOracle(), 0
	for _, k := range kinds() {
		if _, _, ok := o.sees(k.b); ok && k.link == LinkEthernet {
			n++
		}
	}
	if n < 6 {
		t.Errorf("gopacket reads %d of the seeds", n)
	}
}

func TestNoAllocs(t *testing.T) {
	var frames []Frame
	for _, k := range kinds() {
		frames = append(frames, Frame{Data: k.b, WireLen: uint32(max(len(k.b), k.wire)), Link: k.link})
	}
	var p Packet
	d := Default()
	if n := testing.AllocsPerRun(100, func() {
		for i := range frames {
			d.Decode(&p, &frames[i])
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
