package enrich

import (
	"encoding/binary"
	"net/netip"

	"github.com/VictoriaMetrics/fastcache"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// namesBytes is the memory that Names takes once it is full, fastcache's least: 512 chunks of 64 KiB, room for about
// 200,000 addresses. What goes beyond forgets the oldest.
const namesBytes = 32 << 20

// DNS record types that carry an address (RFC 1035 3.2.2, RFC 3596 2.1).
const (
	typeA    = 1
	typeAAAA = 28
)

// Names is passive DNS: which name an address was last looked up by in a segment, by any client (a second entry for each
// client cost 5 % of the whole replay, and nobody read it).
// Its cache drops old entries when it is full and sometimes earlier, so it serves display only. A server may answer
// whatever it likes: a name says what the client asked for, not who the address is. Used by one goroutine.
type Names struct {
	cache *fastcache.Cache
	key   [4 + 16]byte
	value []byte
}

// NewNames makes an empty cache; memory is taken as entries come.
func NewNames() *Names {
	return &Names{cache: fastcache.New(namesBytes), value: make([]byte, 0, 256)}
}

// Learn notes the addresses of an answer under the name that was asked for (not the owner of the address record, which
// for a CDN is a name that nobody typed). Multicast DNS, LLMNR and NetBIOS are left out: there anyone answers.
func (n *Names) Learn(b *flows.Batch, d *flows.DNS) {
	if d.App != flows.AppDNS || d.Answers.Len == 0 || !d.Answered() {
		return
	}
	n.value = flows.AppendName(n.value[:0], b.Bytes(d.Name))
	if len(n.value) == 0 || string(n.value) == "." {
		return
	}
	for _, a := range b.Answers[d.Answers.Off : d.Answers.Off+d.Answers.Len] {
		if a.Type != typeA && a.Type != typeAAAA {
			continue
		}
		addr, err := netip.ParseAddr(string(b.Bytes(a.Data)))
		if err != nil {
			continue
		}
		to := packet.AddrFrom(addr)
		n.cache.Set(n.pack(d.Segment, to), n.value)
	}
}

// Name returns the name by which addr was last looked up in the segment, else nothing.
func (n *Names) Name(seg packet.Segment, addr packet.Addr) string {
	n.value = n.cache.Get(n.value[:0], n.pack(seg, addr))
	return string(n.value)
}

// pack returns the cache key; it is valid until the next call.
func (n *Names) pack(seg packet.Segment, addr packet.Addr) []byte {
	binary.BigEndian.PutUint32(n.key[:4], uint32(seg))
	copy(n.key[4:], addr[:])
	return n.key[:]
}
