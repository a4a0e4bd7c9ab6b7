package detectors

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// ID names a finding for ever: a hash of rule, actor, target and window start, and of nothing measured, so that every
// replay of the same packets gives the same id and later revisions keep it. 32 hex digits.
func (f *Finding) ID() string {
	h := sha256.New()
	var b [8]byte
	host := func(k HostKey) {
		binary.BigEndian.PutUint32(b[:4], uint32(k.Segment))
		h.Write(b[:4])
		h.Write(k.Addr[:])
	}
	h.Write([]byte(f.Rule.ID))
	h.Write([]byte{0})
	host(f.Actor)
	host(f.Target)
	h.Write([]byte(f.Domain))
	binary.BigEndian.PutUint64(b[:], uint64(f.WindowStart))
	h.Write(b[:])
	return hex.EncodeToString(h.Sum(nil)[:16])
}
