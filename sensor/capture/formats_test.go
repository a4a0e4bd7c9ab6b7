package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"neuromast/sensor/packet"
)

// frame is a packet.Frame with its data copied.
type frame struct {
	data   string
	at     packet.Time
	number uint64
	wire   uint32
	input  uint32
	link   packet.LinkType
}

// readAll reads a source to its end.
func readAll(t testing.TB, src Source) []frame {
	t.Helper()
	var all []frame
	var b Batch
	for {
		err := src.ReadBatch(&b)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Frames) == 0 || len(b.Frames) > BatchFrames {
			t.Fatalf("a batch of %d frames", len(b.Frames))
		}
		for _, f := range b.Frames {
			all = append(all, frame{string(f.Data), f.At, f.Number, f.WireLen, f.Input, f.Link})
		}
	}
	var frames, size uint64
	for _, in := range src.Inputs() {
		frames += in.Frames
		size += in.Bytes
	}
	for _, f := range all {
		size -= uint64(len(f.data))
	}
	if frames != uint64(len(all)) || size != 0 {
		t.Errorf("inputs count %d frames of %d, bytes differ by %d", frames, len(all), int64(size))
	}
	if err := src.ReadBatch(&b); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	return all
}

// readBytes reads one capture from memory, as a pipe.
func readBytes(t testing.TB, b []byte) ([]frame, Input) {
	t.Helper()
	src, err := Open([]string{"-"}, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	return readAll(t, src), src.Inputs()[0]
}

func same(t *testing.T, got, want []frame) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("frame %d is missing: %+v", i, want[i])
		case i >= len(want):
			t.Errorf("frame %d is one too many: %+v", i, got[i])
		case got[i] != want[i]:
			t.Errorf("frame %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestPcap(t *testing.T) {
	const at = 4_000_000_000_123_456_789 // in 2096: seconds are unsigned
	const micro = at / 1000 * 1000
	le, be := binary.AppendByteOrder(binary.LittleEndian), binary.AppendByteOrder(binary.BigEndian)
	for _, tt := range []struct {
		name string
		w    pcapWriter
		at   packet.Time
		link packet.LinkType
		fcs  int
	}{
		{"micro", littleMicro(), micro, 1, 0},
		{"micro big", pcapWriter{be, magicMicro, [2]uint16{2, 4}, 65535, 1}, micro, 1, 0},
		{"nano", pcapWriter{le, magicNano, [2]uint16{2, 4}, 65535, 276}, at, 276, 0},
		{"nano big", pcapWriter{be, magicNano, [2]uint16{2, 4}, 65535, 276}, at, 276, 0},
		{"modified", pcapWriter{le, magicModified, [2]uint16{2, 4}, 65535, 1}, micro, 1, 0},
		{"modified big", pcapWriter{be, magicModified, [2]uint16{2, 4}, 65535, 1}, micro, 1, 0},
		{"snaplen 0", pcapWriter{le, magicMicro, [2]uint16{2, 4}, 0, 101}, micro, 101, 0},
		{"snaplen at most", pcapWriter{be, magicMicro, [2]uint16{2, 4}, math.MaxUint32, 101}, micro, 101, 0},
		{"fcs of 4 bytes", pcapWriter{le, magicMicro, [2]uint16{2, 4}, 65535, 2<<28 | 1<<26 | 1}, micro, 1, 4},
		{"fcs not given", pcapWriter{le, magicMicro, [2]uint16{2, 4}, 65535, 2<<28 | 1}, micro, 1, 0},
		{"version 2.2", pcapWriter{be, magicMicro, [2]uint16{2, 2}, 65535, 1}, micro, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, in := readBytes(t, tt.w.file(rec{at, "first frame", 0}, rec{at + 1e9, "", 0}, rec{at + 2e9, "cut short", 1500}))
			same(t, got, []frame{
				{"first frame"[:11-tt.fcs], tt.at, 1, uint32(11 - tt.fcs), 0, tt.link},
				{"", tt.at + 1e9, 2, 0, 0, tt.link},
				{"cut short", tt.at + 2e9, 3, uint32(1500 - tt.fcs), 0, tt.link},
			})
			if in.Truncated || in.Damage != "" || in.Frames != 3 {
				t.Errorf("%+v", in)
			}
		})
	}
}

// TestPcapOldLengths: versions before 2.4 had the lengths the other way round.
func TestPcapOldLengths(t *testing.T) {
	w := littleMicro()
	w.version[1] = 1
	b := w.file(rec{1e9, "cut", 99})
	binary.LittleEndian.PutUint32(b[32:], 99)
	binary.LittleEndian.PutUint32(b[36:], 3)
	got, _ := readBytes(t, b)
	same(t, got, []frame{{"cut", 1e9, 1, 99, 0, 1}})
}

func TestPcapng(t *testing.T) {
	resol := func(v byte) option { return option{9, []byte{v}} }
	seconds := func(order binary.AppendByteOrder, s int64) option {
		return option{14, order.AppendUint64(nil, uint64(s))}
	}
	le, be := binary.AppendByteOrder(binary.LittleEndian), binary.AppendByteOrder(binary.BigEndian)
	var w ngWriter
	w.section(le).
		simple(rec{data: "no interface yet"}). // left out
		iface(1, 8).                           // µs
		simple(rec{data: "12345678", wire: 60}).
		iface(101, 0, option{1, []byte("a comment")}, resol(9)).
		enhanced(1, 1_700_000_000_123_456_789, rec{data: "ns"}).
		enhanced(0, 1_700_000_001_000_000, rec{data: "µs", wire: 9}, option{1, []byte("hi")}, option{2, []byte{0, 0, 0, 0}}).
		simple(rec{data: "abc"}).
		block(0x1234, []byte("a block that nobody knows")).
		iface(1, 0, resol(0x80|10), seconds(le, 1_000_000_000), option{13, []byte{4}}). // 1/1024 s from 2001-09-09 on, FCS
		enhanced(2, 3*1024+512, rec{data: "framecrc!", wire: 10}).
		enhanced(2, 3*1024+512, rec{data: "frame..", wire: 7}, option{2, le.AppendUint32(nil, 2<<5)}). // two bytes of FCS here
		enhanced(7, 0, rec{data: "no such interface"}).
		obsolete(0, 3, 5_000_000, rec{data: "old"}).
		block(blockCustom, []byte{0, 0, 0, 1}). // has a number in Wireshark
		stats(0, option{4, le.AppendUint64(nil, 100)}, option{5, le.AppendUint64(nil, 7)}, option{7, le.AppendUint64(nil, 2)}).
		stats(1, option{5, le.AppendUint64(nil, 30)}).
		stats(1, option{5, le.AppendUint64(nil, 32)}) // runs on
	w.section(be).
		iface(276, 0, resol(3), seconds(be, -1)).
		enhanced(0, 10_001, rec{data: "big-endian", wire: 4000}).
		stats(0, option{5, be.AppendUint64(nil, 1)})
	want := []frame{
		{"12345678", 1_700_000_000_123_456_789, 2, 60, 0, 1}, // the file's first known time
		{"ns", 1_700_000_000_123_456_789, 3, 2, 0, 101},
		{"µs", 1_700_000_001_000_000_000, 4, 9, 0, 1},
		{"abc", 1_700_000_001_000_000_000, 5, 3, 0, 1},
		{"framec", 1_000_000_003_500_000_000, 6, 6, 0, 1},
		{"frame", 1_000_000_003_500_000_000, 7, 5, 0, 1},
		{"old", 5_000_000_000, 9, 3, 0, 1},
		{"big-endian", 9_001_000_000, 11, 4000, 0, 276},
	}
	got, in := readBytes(t, w.buf)
	same(t, got, want)
	if in.Drops != 7+2+32+1 || in.Truncated || !strings.Contains(in.Damage, "2 packets left out") {
		t.Errorf("%+v", in)
	}
	for _, packed := range [][]byte{
		gzipped(w.buf), gzipped(w.buf[:100], w.buf[100:]), zstandard(w.buf), zstandard(w.buf[:100], nil, w.buf[100:]),
	} {
		got, in := readBytes(t, packed)
		same(t, got, want)
		if in.Truncated {
			t.Error(in.Damage)
		}
	}
}

func TestDropsOfPackets(t *testing.T) {
	var w ngWriter
	w.section(binary.BigEndian).iface(1, 0).
		obsolete(0, 5, 0, rec{}).obsolete(0, 0xffff, 0, rec{}). // the latter: not known
		enhanced(0, 0, rec{data: "x"}, option{4, binary.BigEndian.AppendUint64(nil, 6)}).
		stats(0, option{5, binary.BigEndian.AppendUint64(nil, 9)}) // the same drops in sum, some of them unseen
	if _, in := readBytes(t, w.buf); in.Drops != 11 {
		t.Errorf("%d drops, want 11", in.Drops)
	}
}

func TestInterfaceTime(t *testing.T) {
	const end = math.MaxInt64
	for _, tt := range []struct {
		resol  uint8
		offset int64
		n      uint64
		want   packet.Time
	}{
		{6, 0, 1, 1000},
		{0, 0, 5, 5e9},
		{0, 0, 10_000_000_000, end}, // 10^19 ns
		{9, 0, math.MaxInt64, end},
		{9, 0, math.MaxInt64 + 1, end},
		{9, 0, math.MaxUint64, end},
		{6, 0, math.MaxUint64, end},
		{12, 0, 1999, 1},
		{28, 0, math.MaxUint64, 1}, // 1.8·10^-9 s
		{29, 0, math.MaxUint64, 0},
		{127, 0, math.MaxUint64, 0},
		{0x80, 0, 3, 3e9},
		{0x80 | 1, 0, 3, 1.5e9},
		{0x80 | 32, 0, 1<<33 | 1<<31, 2.5e9},
		{0x80 | 32, 0, 1 << 63, 1 << 31 * 1e9},
		{0x80 | 63, 0, 1 << 63, 1e9},
		{0x80 | 64, 0, 1 << 63, 0.5e9},
		{0x80 | 65, 0, 1 << 63, 0.25e9},
		{0x80 | 127, 0, math.MaxUint64, 0},
		{0x80, 0, math.MaxUint64, end},
		{9, 1, 5, 1_000_000_005},
		{9, -1, 5, -999_999_995},
		{9, math.MaxInt64, 5, end},
		{9, math.MinInt64, 5, math.MinInt64},
		{9, 9_223_372_036, 854_775_807, end},
		{9, 9_223_372_036, 854_775_808, end},
		{9, -9_223_372_036, 0, -9_223_372_036_000_000_000},
	} {
		i := iface{resol: tt.resol, offset: tt.offset}
		if got := i.time(tt.n); got != tt.want {
			t.Errorf("%d units of resolution %#x from %d s: %d ns, want %d", tt.n, tt.resol, tt.offset, got, tt.want)
		}
	}
}

// TestEveryCut cuts files at every byte: what comes before is delivered, and only an end between records looks whole.
func TestEveryCut(t *testing.T) {
	recs := []rec{{1e9, "one", 0}, {2e9, "second", 90}, {3e9, "", 0}, {4e9, strings.Repeat("x", 50), 0}}
	var w ngWriter
	w.section(binary.LittleEndian).iface(1, 0, option{2, []byte("eth0")})
	whole := map[int]int{} // ends between blocks, and the packets before
	whole[len(w.buf)-32] = 0
	note := func(n int) { whole[len(w.buf)] = n }
	note(0)
	for i, r := range recs {
		w.enhanced(0, uint64(r.at/1000), r)
		note(i + 1)
	}
	w.section(binary.BigEndian)
	note(4)
	w.iface(1, 0).simple(rec{data: "last"})
	note(5)
	whole[len(w.buf)-20] = 4
	classic := littleMicro().file(recs...)
	wholeClassic := map[int]int{24: 0, 24 + 19: 1, 24 + 19 + 22: 2, 24 + 19 + 22 + 16: 3, len(classic): 4}
	for _, tt := range []struct {
		name  string
		file  []byte
		whole map[int]int
	}{{"pcap", classic, wholeClassic}, {"pcapng", w.buf, whole}} {
		t.Run(tt.name, func(t *testing.T) {
			all, in := readBytes(t, tt.file)
			if in.Truncated || len(all) < 4 {
				t.Fatalf("the whole file: %+v", in)
			}
			before := 0
			for n := minMagic; n <= len(tt.file); n++ {
				got, in := readBytes(t, tt.file[:n])
				packets, isWhole := tt.whole[n]
				if isWhole {
					before = packets
				}
				if in.Truncated == isWhole || in.Truncated == (in.Damage == "") {
					t.Errorf("cut at %d: truncated %v (%s)", n, in.Truncated, in.Damage)
				}
				if in.Truncated && !strings.HasPrefix(in.Damage, "cut off at byte ") {
					t.Errorf("cut at %d: %s", n, in.Damage)
				}
				if len(got) != before {
					t.Errorf("cut at %d: %d frames, want %d", n, len(got), before)
				}
				same(t, got, all[:len(got)])
			}
		})
	}
	for n := 0; n < minMagic; n++ {
		if _, err := Open([]string{"-"}, bytes.NewReader(classic[:n])); err == nil {
			t.Errorf("%d bytes pass for a capture", n)
		}
	}
}

// TestPackedCut: packed data that end early or are damaged give what could be unpacked.
func TestPackedCut(t *testing.T) {
	var recs []rec
	for i := range 12000 { // several blocks of zstd
		recs = append(recs, rec{int64(i) * 1e6, fmt.Sprintf("%d %x", i, i*i*7919), 0})
	}
	plain := littleMicro().file(recs...)
	all, _ := readBytes(t, plain)
	for name, packed := range map[string][]byte{"gzip": gzipped(plain), "zstd": zstandard(plain)} {
		damaged := bytes.Clone(packed)
		damaged[len(damaged)-2] ^= 0x55 // in the checksum, or the last block
		for _, b := range [][]byte{packed[:len(packed)/2], packed[:len(packed)-1], damaged} {
			got, in := readBytes(t, b)
			if !in.Truncated || !strings.Contains(in.Damage, name) {
				t.Errorf("%s of %d bytes: %+v", name, len(b), in)
			}
			same(t, got, all[:len(got)])
		}
	}
}

func TestDamage(t *testing.T) {
	good := littleMicro().file(rec{1e9, "good", 0})
	huge := binary.LittleEndian.AppendUint32(make([]byte, 8), maxRecord+1)
	huge = append(huge, make([]byte, 100)...)
	ng := func(tail ...byte) []byte {
		var w ngWriter
		w.section(binary.LittleEndian).iface(1, 0).enhanced(0, 1e6, rec{data: "good"})
		return append(w.buf, tail...)
	}
	block := func(kind, length, trailer uint32, body ...byte) []byte {
		b := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, kind), length)
		return binary.LittleEndian.AppendUint32(append(b, body...), trailer)
	}
	epb := make([]byte, 20)
	epb[12] = 1
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"huge pcap record", append(bytes.Clone(good), huge...), "damaged at byte 44, after packet 1: the next record claims 16777217 bytes"},
		{"huge block", ng(block(6, 1<<31, 0)...), "claims 2147483648 bytes"},
		{"tiny block", ng(block(6, 8, 8)...), "claims 8 bytes, too few"},
		{"trailer", ng(block(99, 16, 20, 1, 2, 3, 4)...), "gives its length as 16 in front and 20 behind"},
		{"packet beyond its block", ng(block(6, 32, 32, epb...)...), "claims a packet of 1 bytes but holds 0"},
		{"short packet block", ng(block(6, 16, 16, 0, 0, 0, 0)...), "is too short for its type"},
		{"short interface block", ng(block(1, 16, 16, 0, 0, 0, 0)...), "is too short for its type"},
		{"section without magic", ng(block(blockSection, 28, 28, make([]byte, 16)...)...), "without byte-order magic"},
		{"section of another version", ng(block(blockSection, 28, 28, append([]byte{0x4d, 0x3c, 0x2b, 0x1a, 9, 0}, make([]byte, 10)...)...)...), "version 9.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, in := readBytes(t, tt.b)
			same(t, got, []frame{{"good", 1e9, 1, 4, 0, 1}})
			if !in.Truncated || !strings.Contains(in.Damage, tt.want) {
				t.Errorf("got %q, want %q", in.Damage, tt.want)
			}
		})
	}
}

func TestManyInterfaces(t *testing.T) {
	var w ngWriter
	w.section(binary.LittleEndian)
	for range maxInterfaces {
		w.iface(101, 0)
	}
	w.enhanced(maxInterfaces-1, 7, rec{data: "of the last"}).iface(1, 0).enhanced(0, 8, rec{data: "behind"})
	got, in := readBytes(t, w.buf)
	same(t, got, []frame{{"of the last", 7000, 1, 11, 0, 101}})
	if !in.Truncated || !strings.Contains(in.Damage, "one more interface than the 65536") {
		t.Errorf("%+v", in)
	}
}

func timeOf(ns int64) packet.Time { return packet.Time(ns) }
