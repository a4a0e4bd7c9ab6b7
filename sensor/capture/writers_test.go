package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"neuromast/sensor/packet"
)

// rec is a packet to be written: its time in ns, its data, and its length on the wire where that is more.
type rec struct {
	at   int64
	data string
	wire int
}

func (r rec) wireLen() uint32 { return uint32(max(r.wire, len(r.data))) }

// pcapWriter writes the classic format.
type pcapWriter struct {
	order   binary.AppendByteOrder
	magic   uint32
	version [2]uint16
	snaplen uint32
	network uint32
}

func littleMicro() pcapWriter {
	return pcapWriter{binary.LittleEndian, magicMicro, [2]uint16{2, 4}, 65535, 1}
}

func (w pcapWriter) file(recs ...rec) []byte {
	b := w.order.AppendUint32(nil, w.magic)
	b = w.order.AppendUint16(b, w.version[0])
	b = w.order.AppendUint16(b, w.version[1])
	b = append(b, make([]byte, 8)...) // time zone and accuracy
	b = w.order.AppendUint32(b, w.snaplen)
	b = w.order.AppendUint32(b, w.network)
	for _, r := range recs {
		b = w.order.AppendUint32(b, uint32(r.at/1e9))
		unit := int64(1000)
		if w.magic == magicNano {
			unit = 1
		}
		b = w.order.AppendUint32(b, uint32(r.at%1e9/unit))
		b = w.order.AppendUint32(b, uint32(len(r.data)))
		b = w.order.AppendUint32(b, r.wireLen())
		if w.magic == magicModified {
			b = append(b, 1, 2, 3, 4, 5, 6, 7, 8)
		}
		b = append(b, r.data...)
	}
	return b
}

// ngWriter writes blocks of pcapng.
type ngWriter struct {
	order binary.AppendByteOrder
	buf   []byte
}

func (w *ngWriter) u16(b []byte, v uint16) []byte { return w.order.AppendUint16(b, v) }
func (w *ngWriter) u32(b []byte, v uint32) []byte { return w.order.AppendUint32(b, v) }
func (w *ngWriter) u64(b []byte, v uint64) []byte { return w.order.AppendUint64(b, v) }

func (w *ngWriter) block(kind uint32, body []byte) *ngWriter {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	n := uint32(len(body) + 12)
	w.buf = w.u32(w.buf, kind)
	w.buf = w.u32(w.buf, n)
	w.buf = append(w.buf, body...)
	w.buf = w.u32(w.buf, n)
	return w
}

func (w *ngWriter) section(order binary.AppendByteOrder) *ngWriter {
	w.order = order
	b := w.u32(nil, 0x1a2b3c4d)
	b = w.u16(b, 1)
	b = w.u16(b, 0)
	return w.block(blockSection, w.u64(b, 1<<64-1)) // length not given
}

type option struct {
	code  uint16
	value []byte
}

func (w *ngWriter) options(b []byte, opts []option) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	for _, o := range opts {
		b = w.u16(b, o.code)
		b = w.u16(b, uint16(len(o.value)))
		b = append(b, o.value...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	if len(opts) > 0 {
		b = append(b, 0, 0, 0, 0)
	}
	return b
}

func (w *ngWriter) iface(link packet.LinkType, snaplen uint32, opts ...option) *ngWriter {
	b := w.u16(nil, uint16(link))
	b = w.u16(b, 0)
	return w.block(blockInterface, w.options(w.u32(b, snaplen), opts))
}

// enhanced writes a packet; at is in units of the interface.
func (w *ngWriter) enhanced(iface uint32, at uint64, r rec, opts ...option) *ngWriter {
	b := w.u32(nil, iface)
	b = w.u32(b, uint32(at>>32))
	b = w.u32(b, uint32(at))
	b = w.u32(b, uint32(len(r.data)))
	b = w.u32(b, r.wireLen())
	return w.block(blockEnhanced, w.options(append(b, r.data...), opts))
}

func (w *ngWriter) obsolete(iface, drops uint16, at uint64, r rec) *ngWriter {
	b := w.u16(nil, iface)
	b = w.u16(b, drops)
	b = w.u32(b, uint32(at>>32))
	b = w.u32(b, uint32(at))
	b = w.u32(b, uint32(len(r.data)))
	b = w.u32(b, r.wireLen())
	return w.block(blockPacket, append(b, r.data...))
}

func (w *ngWriter) simple(r rec) *ngWriter {
	return w.block(blockSimple, append(w.u32(nil, r.wireLen()), r.data...))
}

func (w *ngWriter) stats(iface uint32, opts ...option) *ngWriter {
	return w.block(blockStats, w.options(w.u64(w.u32(nil, iface), 0), opts))
}

func gzipped(parts ...[]byte) []byte {
	var out bytes.Buffer
	for _, p := range parts {
		z := gzip.NewWriter(&out)
		z.Write(p)
		z.Close()
	}
	return out.Bytes()
}

func zstandard(parts ...[]byte) []byte {
	var out []byte
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	for _, p := range parts {
		out = z.EncodeAll(p, out)
	}
	return out
}

// put writes a file into dir and returns its path.
func put(t testing.TB, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
