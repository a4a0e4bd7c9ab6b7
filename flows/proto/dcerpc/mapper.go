package dcerpc

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"neuromast/flows"
)

// mapper is the endpoint mapper's interface (C706 appendix O) and opMap its ept_map.
var mapper = flows.UUID{0xe1, 0xaf, 0x83, 0x08, 0x5d, 0x1f, 0x11, 0xc9, 0x91, 0xa4, 0x08, 0x00, 0x2b, 0x14, 0xa0, 0xfa}

const opMap = 3

// maxTowers bounds the towers read of one answer; Windows returns four at most.
const maxTowers = 16

// maxBinding is "uuid port" in bytes.
const maxBinding = 36 + 1 + 5

// bindings reads the towers of an ept_map answer: "uuid port" of each that leads over TCP, each once.
//
// The stub (C706 appendix O): entry_handle 20 bytes; num_towers; a conformant varying array of pointers; then each tower
// as a conformant array. NDR64 counts and points with 8 bytes (MS-RPCE 2.2.5).
func (a *Association) bindings(out *flows.Out, k *call, order binary.ByteOrder) flows.Text {
	r := ndr{b: k.reply, order: order, wide: a.wideOf(k.context)}
	r.skip(20)
	r.uint32()
	r.count() // maximum
	r.count() // offset
	n := r.count()
	if n > maxTowers {
		return flows.Text{}
	}
	present := 0
	for range n {
		if r.count() != 0 {
			present++
		}
	}
	var text [maxTowers * (maxBinding + 1)]byte
	dst := text[:0]
	for range present {
		r.count() // conformance
		tower := r.bytes(int(r.uint32()))
		if r.bad {
			break
		}
		iface, port, ok := towerTCP(tower)
		if !ok {
			continue
		}
		var one [maxBinding]byte
		b := strconv.AppendUint(append(iface.AppendTo(one[:0]), ' '), uint64(port), 10)
		if bytes.Contains(dst, b) {
			continue
		}
		if len(dst) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, b...)
	}
	return out.Put(dst)
}

// towerTCP reads a protocol tower (C706 appendix L): interface, transfer syntax, ncacn, TCP port, address. Towers are
// little-endian whatever the PDU is; the port alone is in network order.
func towerTCP(b []byte) (iface flows.UUID, port uint16, ok bool) {
	le := binary.LittleEndian
	if len(b) < 2 || le.Uint16(b) < 4 {
		return iface, 0, false
	}
	b = b[2:]
	for floor := range 4 {
		var left, right []byte
		if left, b, ok = sized(b); !ok {
			return iface, 0, false
		}
		if right, b, ok = sized(b); !ok {
			return iface, 0, false
		}
		switch floor {
		case 0:
			if len(left) < 19 || left[0] != 0x0d {
				return iface, 0, false
			}
			iface = uuid(left[1:], le)
		case 3:
			if len(left) < 1 || left[0] != 0x07 || len(right) < 2 {
				return iface, 0, false
			}
			port = binary.BigEndian.Uint16(right)
		}
	}
	return iface, port, true
}

// sized cuts a field with a length of two bytes before it.
func sized(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.LittleEndian.Uint16(b))
	if n > len(b)-2 {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// ndr reads a stub; past its end it is bad and reads zeros.
type ndr struct {
	b     []byte
	at    int
	order binary.ByteOrder
	wide  bool
	bad   bool
}

func (r *ndr) skip(n int) { r.bytes(n) }

func (r *ndr) bytes(n int) []byte {
	if n < 0 || n > len(r.b)-r.at {
		r.bad = true
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *ndr) align(n int) { r.skip((n - r.at%n) % n) }

func (r *ndr) uint32() uint32 {
	r.align(4)
	if b := r.bytes(4); !r.bad {
		return r.order.Uint32(b)
	}
	return 0
}

// count reads a count or a pointer: 4 bytes, 8 in NDR64.
func (r *ndr) count() uint64 {
	if !r.wide {
		return uint64(r.uint32())
	}
	r.align(8)
	if b := r.bytes(8); !r.bad {
		return r.order.Uint64(b)
	}
	return 0
}
