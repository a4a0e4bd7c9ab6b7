package dcerpc

import (
	"bytes"
	"encoding/binary"

	"neuromast/flows"
)

// header is the common header of all PDUs.
type header struct {
	version, minor byte
	kind           byte
	flags          byte
	drep           [4]byte
	size           int // of the whole PDU
	auth           int // bytes of the token behind the trailer
	call           uint32
}

// readHeader reads the first 16 bytes of b.
func readHeader(b []byte) header {
	h := header{version: b[0], minor: b[1], kind: b[2], flags: b[3], drep: [4]byte(b[4:8])}
	o := h.order()
	h.size, h.auth, h.call = int(o.Uint16(b[8:])), int(o.Uint16(b[10:])), o.Uint32(b[12:])
	return h
}

// order is the integers' byte order by the data representation label (C706 14.1).
func (h *header) order() binary.ByteOrder {
	if h.drep[0]>>4 == 0 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (h *header) plausible() bool {
	if h.version != 5 || h.minor > 1 || h.drep[0]&0xef != 0 || h.drep[1] > 3 || h.drep[2] != 0 || h.drep[3] != 0 {
		return false
	}
	return h.body() >= 0 && h.size >= headerLen+h.body()+h.trailer()
}

// body is the size of what stands between header and stub, or the least that the kind of PDU needs; -1 for kinds that
// connections don't carry.
func (h *header) body() int {
	switch h.kind {
	case pduRequest:
		if h.flags&flagObject != 0 {
			return 8 + 16
		}
		return 8
	case pduResponse:
		return 8
	case pduFault:
		return 12
	case pduBind, pduAlter:
		return 12
	case pduBindAck, pduAlterResp:
		return 10
	case pduBindNak:
		return 2
	case pduAuth3, pduShutdown, pduCancel, pduOrphaned:
		return 0
	}
	return -1
}

// trailer is the size of the authentication trailer with its token.
func (h *header) trailer() int {
	if h.auth == 0 {
		return 0
	}
	return trailerLen + h.auth
}

func (h *header) fromClient() bool {
	switch h.kind {
	case pduRequest, pduBind, pduAlter, pduAuth3, pduCancel, pduOrphaned:
		return true
	}
	return false
}

// phase is what a side expects next.
type phase uint8

const (
	inHeader  phase = iota
	inBody          // the part of fixed size, or a whole bind
	inStub          // streamed, not kept whole
	inTrailer       // the 8 bytes that say how a stub is protected
	inSkip          // the rest
)

// side is one direction of an association.
type side struct {
	part   []byte // what is gathered across segments: at most maxBind bytes
	pdu    header
	left   int // bytes of the PDU not yet read
	stub   int // bytes of the stub, with padding, not yet read
	whole  int // bytes of the stub with padding, of this PDU
	call   int // slot of the call that the stub belongs to, -1 none
	search int // bytes searched since a boundary was lost
	tail   [4 + maxPad]byte
	tailN  int
	phase  phase
	lost   bool // the place of PDU boundaries is not known
	seen   bool // this side has sent something
}

// gather takes want bytes from what came before and from b. The result is valid until the next call.
func (s *side) gather(b []byte, want int) (got, rest []byte, ok bool) {
	if len(s.part) == 0 && len(b) >= want {
		return b[:want], b[want:], true
	}
	n := min(want-len(s.part), len(b))
	s.part = append(s.part, b[:n]...)
	if len(s.part) < want {
		return nil, nil, false
	}
	got, s.part = s.part, s.part[:0]
	return got, b[n:], true
}

// resync looks for the first place at which a PDU begins and returns what follows it; up to 15 bytes wait in part.
func (s *side) resync(b []byte) (rest []byte, ok bool) {
	s.search += len(b)
	if n := len(s.part); n > 0 {
		s.part = append(s.part, b[:min(headerLen-1, len(b))]...)
		for i := 0; i < n && i+headerLen <= len(s.part); i++ {
			if Recognise(s.part[i:]) {
				s.part = s.part[:copy(s.part, s.part[i:n])]
				return b, true
			}
		}
		if len(b) < headerLen-1 {
			drop := max(0, len(s.part)-(headerLen-1))
			s.part = s.part[:copy(s.part, s.part[drop:])]
			return nil, false
		}
		s.part = s.part[:0]
	}
	for i := 0; ; i++ {
		j := bytes.IndexByte(b[i:], 5)
		if j < 0 || i+j+headerLen > len(b) {
			break
		}
		if i += j; Recognise(b[i:]) {
			return b[i:], true
		}
	}
	s.part = append(s.part, b[max(0, len(b)-(headerLen-1)):]...)
	return nil, false
}

// keepTail remembers the last bytes of a stub.
func (s *side) keepTail(b []byte) {
	if len(b) >= len(s.tail) {
		s.tailN = copy(s.tail[:], b[len(b)-len(s.tail):])
		return
	}
	if over := s.tailN + len(b) - len(s.tail); over > 0 {
		s.tailN = copy(s.tail[:], s.tail[over:s.tailN])
	}
	s.tailN += copy(s.tail[s.tailN:], b)
}

// uuid reads a UUID as the PDU's byte order sends it.
func uuid(b []byte, o binary.ByteOrder) flows.UUID {
	u := flows.UUID(b[:16])
	if o == binary.LittleEndian {
		u[0], u[1], u[2], u[3] = b[3], b[2], b[1], b[0]
		u[4], u[5] = b[5], b[4]
		u[6], u[7] = b[7], b[6]
	}
	return u
}
