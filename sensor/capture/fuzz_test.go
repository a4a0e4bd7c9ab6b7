package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
)

// FuzzReader holds that any bytes are read within bounds, and in the same way whatever pieces they come in.
func FuzzReader(f *testing.F) {
	recs := []rec{{1e9, "one", 0}, {2e9, "second", 90}, {3e9, "", 0}}
	for _, magic := range []uint32{magicMicro, magicNano, magicModified} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			w := littleMicro()
			w.magic, w.order = magic, order
			f.Add(w.file(recs...))
		}
	}
	var w ngWriter
	w.section(binary.LittleEndian).iface(1, 0, option{9, []byte{9}}, option{14, make([]byte, 8)}, option{13, []byte{4}}).
		enhanced(0, 1, recs[0], option{2, make([]byte, 4)}, option{4, make([]byte, 8)}).
		obsolete(0, 1, 2, recs[1]).simple(recs[0]).stats(0, option{5, make([]byte, 8)}).block(blockCustom, make([]byte, 4))
	f.Add(bytes.Clone(w.buf))
	w.section(binary.BigEndian).iface(1, 0).enhanced(0, 1, recs[0])
	f.Add(w.buf)
	f.Add(gzipped(littleMicro().file(recs...), w.buf))
	f.Add(zstandard(w.buf))
	claim := littleMicro().file()
	claim = append(claim, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1) // 16 MiB that are not there
	f.Add(claim)
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		packed := bytes.HasPrefix(b, magicGzip) || bytes.HasPrefix(b, magicZstd)
		runtime.ReadMemStats(&before)
		frames, size, in := drain(t, bytes.NewReader(b))
		runtime.ReadMemStats(&after)
		if n, bound := after.TotalAlloc-before.TotalAlloc, uint64(4<<20+16*len(b)); !packed && n > bound {
			t.Errorf("%d bytes allocated for an input of %d, want at most %d", n, len(b), bound)
		}
		if packed {
			return // pieces are the unpacker's there
		}
		if size > len(b) {
			t.Errorf("%d bytes of packets in an input of %d", size, len(b))
		}
		again, _, in2 := drain(t, iotest.HalfReader(bytes.NewReader(b)))
		if again != frames || in2.Damage != in.Damage || in2.Truncated != in.Truncated {
			t.Errorf("in pieces: %d frames, %q; at once: %d, %q", again, in2.Damage, frames, in.Damage)
		}
	})
}

// drain reads a pipe to its end, or far enough where it unpacks to very much.
func drain(t *testing.T, r io.Reader) (frames uint64, size int, in Input) {
	src, err := Open([]string{"-"}, r)
	if err != nil {
		return 0, 0, Input{}
	}
	defer src.Close()
	var b Batch
	for range 1000 {
		if err := src.ReadBatch(&b); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		if len(b.Frames) == 0 || len(b.Buf) > 2*maxRecord {
			t.Fatalf("a batch of %d frames in %d bytes", len(b.Frames), len(b.Buf))
		}
		for i := range b.Frames {
			f := &b.Frames[i]
			frames++
			size += len(f.Data)
			if len(f.Data) > 0 {
				f.Data[0]++ // its own memory, within the batch's
			}
		}
	}
	in = src.Inputs()[0]
	if in.Frames != frames || in.Bytes != uint64(size) {
		t.Errorf("input counts %d frames, %d bytes of %d, %d", in.Frames, in.Bytes, frames, size)
	}
	return frames, size, in
}
