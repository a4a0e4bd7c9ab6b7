package table

import (
	"encoding/binary"
	"time"

	"neuromast/sensor/packet"
)

// Mirrors deliver packets twice: where a switch mirrors both of a packet's ports, where both ends of a conversation are
// mirrored, and before and after a router. A copy has the same inner packet within copyWindow; its TTL may be smaller. A
// TCP retransmission or a keep-alive has the same bytes too, but another IPv4 identification, and comes a round trip
// later. Without an identification (IPv6, and IPv4 of stacks that write 0) only bareWindow tells the two apart: mirrors
// copy within microseconds, and a sender needs longer to repeat itself. Both chosen by us. Bare acknowledgements are told
// by their TTL only: receivers do send two of them at once.
const (
	copyWindow = packet.Time(5 * time.Millisecond)
	bareWindow = packet.Time(50 * time.Microsecond)
)

// seenPackets is how many packets a shard remembers; it must be a power of 2. All shards together take 256 KiB, which stay
// in the cache; at a million packets/s a copy that comes 100 µs later is missed once in 160 times.
const seenPackets = 256

// seen is a packet of the last moments: a hash of what its copies have in common, with its TTL as the lowest byte.
type seen struct {
	digest uint64
	at     packet.Time
}

// repeated says whether p is a copy of a packet that came just before; else it is remembered. The digest has all that
// tells packets of a conversation apart; the transport checksum stands for the payload.
func (s *Shard) repeated(p *packet.Packet, k *Keyed) bool {
	direction := uint64(p.IPID) << 48
	if k.Swapped {
		direction |= 1
	}
	h := mix(k.Hash^direction^uint64(p.IPLen)<<8, uint64(p.Seq)<<32|uint64(p.Ack)^0x9e3779b97f4a7c15)
	h = mix(h^uint64(p.Checksum)<<48^uint64(p.Window)<<32^uint64(p.Flags)<<16^uint64(p.ICMPType)<<8^uint64(p.ICMPCode), 0xd6e8feb86659fd93)
	if b := p.Payload; p.Checksum == 0 && len(b) >= 16 { // no checksum: the first bytes must do
		h = mix(h^binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])^0xa0761d6478bd642f)
	}
	e := &s.seen[h>>32%seenPackets]
	if h = h&^0xff | uint64(p.TTL); (e.digest^h)>>8 != 0 {
		*e = seen{h, p.At}
		return false
	}
	window := copyWindow
	if e.digest == h && p.IPID == 0 {
		window = bareWindow
		if p.Proto == packet.ProtoTCP && p.PayloadLen == 0 && p.Flags&(packet.SYN|packet.FIN|packet.RST) == 0 {
			window = -1
		}
	}
	if d := p.At - e.at; d > window || d < -window {
		*e = seen{h, p.At}
		return false
	}
	return true
}
