package table

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Keyed is a packet's key and what the owner of its shard needs with it.
type Keyed struct {
	Key     flows.Key
	Hash    uint64 // fixed: shards and flow ids come from it
	tag     uint32 // the table's own hash, 0 until it is needed
	Swapped bool   // the packet goes from Hi to Lo
}

// KeyOf fills k with the conversation that p belongs to. It says false where p carries neither an IP packet nor an ARP
// request or reply. Later fragments and packets whose transport header can't be read have ports 0. ICMP is keyed by its
// types (see icmpPorts), ARP by the pair of protocol addresses.
func KeyOf(p *packet.Packet, k *Keyed) bool {
	switch p.Net {
	case packet.NetIPv4, packet.NetIPv6:
	case packet.NetARP:
		if p.ARP.Op != packet.ARPRequest && p.ARP.Op != packet.ARPReply {
			return false
		}
	default:
		return false
	}
	sport, dport := p.SrcPort, p.DstPort
	if p.Proto == packet.ProtoICMP || p.Proto == packet.ProtoICMPv6 {
		sport, dport = icmpPorts(p)
	}
	c := bytes.Compare(p.Src[:], p.Dst[:])
	if c < 0 || c == 0 && sport <= dport {
		k.Key = flows.Key{Lo: p.Src, Hi: p.Dst, LoPort: sport, HiPort: dport, Segment: p.Segment, Proto: p.Proto}
		k.Swapped = false
	} else {
		k.Key = flows.Key{Lo: p.Dst, Hi: p.Src, LoPort: dport, HiPort: sport, Segment: p.Segment, Proto: p.Proto}
		k.Swapped = true
	}
	k.Hash, k.tag = hash(&k.Key, 0), 0
	return true
}

// ShardOf is the shard that owns a conversation, from the fixed hash of its key.
func ShardOf(k *Keyed) uint8 { return uint8(k.Hash >> 58) }

// hash mixes the key's words with multiplications of 64 by 64 bits, folded; seed makes it the table's own.
func hash(k *flows.Key, seed uint64) uint64 {
	le := binary.LittleEndian
	const m1, m2, m3 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93, 0xa0761d6478bd642f
	h := mix(le.Uint64(k.Lo[0:])^m1^seed, le.Uint64(k.Lo[8:])^m2)
	h = mix(h^le.Uint64(k.Hi[0:]), le.Uint64(k.Hi[8:])^m3)
	h = mix(h^(uint64(k.LoPort)|uint64(k.HiPort)<<16|uint64(k.Segment)<<32), uint64(k.Proto)^m2^seed)
	return mix(h, m1)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
