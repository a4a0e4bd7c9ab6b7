package packet

import "fmt"

// MaxOuter is how many tunnels around a packet are kept as facts.
const MaxOuter = 3

// TunnelKind says how a packet was carried within another network's packet, or behind another network's label.
type TunnelKind uint8

// The kinds of tunnels.
const (
	TunnelNone   TunnelKind = iota
	TunnelIP                // IPv4 or IPv6 in either (RFC 2003, 4213, 2473)
	TunnelGRE               // ID: the key, 0 without one
	TunnelNVGRE             // ID: the virtual subnet (RFC 7637)
	TunnelPPTP              // ID: the call
	TunnelERSPAN            // ID: the mirror's session
	TunnelVXLAN             // ID: the VNI
	TunnelGENEVE            // ID: the VNI
	TunnelGTP               // ID: the tunnel endpoint, one for each direction
	TunnelTeredo            // RFC 4380
	TunnelTZSP              // a mirror of wireless access points and routers
	TunnelL2TP              // ID: tunnel << 16 | session (RFC 2661)
	TunnelMPLS              // ID: the label at the bottom of the stack
	TunnelPPPoE             // ID: the session
	TunnelPBB               // ID: the service instance (IEEE 802.1ah)
	TunnelNSH               // ID: service path << 8 | index (RFC 8300)
	TunnelVNTag             // ID: destination << 16 | source interface
	TunnelETag              // ID: the extended channel (IEEE 802.1BR)
	TunnelFabric            // FabricPath
	numTunnels
)

var tunnelNames = [numTunnels]string{
	"", "ip", "gre", "nvgre", "pptp", "erspan", "vxlan", "geneve", "gtp-u", "teredo", "tzsp", "l2tp", "mpls", "pppoe",
	"pbb", "nsh", "vn-tag", "e-tag", "fabricpath",
}

func (k TunnelKind) String() string { return tunnelNames[k] }

// mirrors says that tunnels of this kind carry copies made by a switch, which may be cut to fit.
func (k TunnelKind) mirrors() bool {
	return k == TunnelERSPAN || k == TunnelVXLAN || k == TunnelGENEVE || k == TunnelTZSP
}

// network says that a tunnel's id names a network: equal addresses behind two ids are two hosts. A mirror's session, a
// call, an endpoint of one direction and an MPLS label don't.
func (k TunnelKind) network() bool {
	return k == TunnelVXLAN || k == TunnelGENEVE || k == TunnelNVGRE || k == TunnelPBB
}

// Tunnel is one layer around a packet. Addresses are zero where it lies in the link layer.
type Tunnel struct {
	Src, Dst Addr
	ID       uint32
	VLAN     [2]uint16 // of the frame that carried it
	Kind     TunnelKind
}

// innermost returns the tunnel opened last; there must be one.
func (p *Packet) innermost() *Tunnel { return &p.Outer[min(p.Tunnels, MaxOuter)-1] }

// enter notes that what follows lies in a tunnel.
func (p *Packet) enter(kind TunnelKind, id uint32) {
	if p.Tunnels < 255 {
		p.Tunnels++
	}
	t := p.innermost()
	t.Kind, t.ID, t.VLAN, t.Src, t.Dst = kind, id, p.VLAN, p.Src, p.Dst
}

// Segment names the network that an address belongs to, so that equal addresses in two networks stay two hosts. Zero is
// the network without a name. VLANs are outer id << 12 | inner id, a virtual network is 1 << 24 | its id; where both
// tell, or several virtual networks, it is a hash with the highest bit set.
type Segment uint32

const (
	virtualSegment = 1 << 24
	hashedSegment  = 1 << 31
)

// VLAN returns the ids of the VLANs that make the segment, 0 for none.
func (s Segment) VLAN() (outer, inner uint16) {
	if s >= virtualSegment {
		return 0, 0
	}
	if outer, inner = uint16(s>>12), uint16(s&0xfff); outer == 0 {
		return inner, 0
	}
	return outer, inner
}

// String names the segment for people; the nameless one is empty.
func (s Segment) String() string {
	switch outer, inner := s.VLAN(); {
	case s == 0:
		return ""
	case inner != 0:
		return fmt.Sprintf("vlan %d.%d", outer, inner)
	case outer != 0:
		return fmt.Sprintf("vlan %d", outer)
	case s < hashedSegment:
		return fmt.Sprintf("vni %d", s&(virtualSegment-1))
	}
	return fmt.Sprintf("network %08x", uint32(s))
}

// Separate says what tells networks of equal addresses apart.
type Separate uint8

// What may tell networks apart. Mirrors that tag the directions of a conversation differently want ByVLAN left out.
const (
	ByVLAN Separate = 1 << iota
	ByVNI           // ids of VXLAN, GENEVE, NVGRE and 802.1ah
)

// segment names the network of a decoded packet.
func (s Separate) segment(p *Packet) Segment {
	var seg, hash Segment
	if s&ByVLAN != 0 {
		if seg = Segment(p.VLAN[0]); p.NumVLAN == 2 {
			seg = seg<<12 | Segment(p.VLAN[1])
		}
	}
	if s&ByVNI == 0 {
		return seg
	}
	for i := range min(p.Tunnels, MaxOuter) {
		if t := &p.Outer[i]; t.Kind.network() {
			virtual := virtualSegment | Segment(t.ID&(virtualSegment-1))
			if seg == 0 {
				seg = virtual
				continue
			}
			hash = (hash ^ seg ^ virtual<<3) * 0x9e3779b1 // Fibonacci hashing; 31 bits of it are kept
			seg = hashedSegment | hash>>1
		}
	}
	return seg
}

// UnmarshalText reads "vlan", "vni", both joined by a comma, or "none".
func (s *Separate) UnmarshalText(text []byte) error {
	*s = 0
	for len(text) > 0 {
		word := text
		for i, c := range text {
			if c == ',' {
				word = text[:i]
				break
			}
		}
		text = text[min(len(word)+1, len(text)):]
		switch string(word) {
		case "vlan":
			*s |= ByVLAN
		case "vni":
			*s |= ByVNI
		case "none":
		default:
			return fmt.Errorf("%q is none of vlan, vni, none", word)
		}
	}
	return nil
}

// MarshalText is the reverse of UnmarshalText.
func (s Separate) MarshalText() ([]byte, error) {
	switch s {
	case ByVLAN:
		return []byte("vlan"), nil
	case ByVNI:
		return []byte("vni"), nil
	case ByVLAN | ByVNI:
		return []byte("vlan,vni"), nil
	}
	return []byte("none"), nil
}
