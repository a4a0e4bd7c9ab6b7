package flows

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"

	"neuromast/sensor/packet"
)

// CommunityID returns the connection's community-id v1 (Corelight's specification), which other sensors give the same
// conversation. Seed is 0 unless a site agreed on another.
func (c *Conn) CommunityID(seed uint16) string { return string(c.AppendCommunityID(nil, seed)) }

// AppendCommunityID appends it to b.
func (c *Conn) AppendCommunityID(b []byte, seed uint16) []byte {
	var buf [40]byte
	a, z := c.Orig, c.Resp
	ap, zp := c.OrigPort, c.RespPort
	ordered := bytes.Compare(a[:], z[:]) < 0 || a == z && ap <= zp
	icmp := c.Proto == packet.ProtoICMP || c.Proto == packet.ProtoICMPv6
	if icmp && !packet.TwoWayICMP(c.Proto, uint8(ap)) {
		ordered = true // a one-way message keeps its direction
	}
	if !ordered {
		a, z, ap, zp = z, a, zp, ap
	}
	w := binary.BigEndian.AppendUint16(buf[:0], seed)
	if a.Is4() && z.Is4() {
		w = append(append(w, a[12:]...), z[12:]...)
	} else {
		w = append(append(w, a[:]...), z[:]...)
	}
	w = append(w, byte(c.Proto), 0)
	switch c.Proto {
	case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoSCTP, packet.ProtoICMP, packet.ProtoICMPv6:
		w = binary.BigEndian.AppendUint16(w, ap)
		w = binary.BigEndian.AppendUint16(w, zp)
	}
	sum := sha1.Sum(w)
	return base64.StdEncoding.AppendEncode(append(b, "1:"...), sum[:])
}
