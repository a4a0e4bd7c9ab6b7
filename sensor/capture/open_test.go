package capture

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func open(t testing.TB, paths ...string) Source {
	t.Helper()
	src, err := Open(paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// sortFrames orders as the merge must: time, input, number. It holds where the inputs are in order themselves.
func sortFrames(all []frame) {
	slices.SortStableFunc(all, func(a, b frame) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.input, b.input), cmp.Compare(a.number, b.number))
	})
}

// TestMerge reads inputs that overlap at random, some of them packed, more than may be open, against sorting.
func TestMerge(t *testing.T) {
	for _, tt := range []struct {
		name           string
		inputs, frames int
		spread, window int64
	}{
		{"one", 1, 5000, 0, 1e9},
		{"two that interleave", 2, 3000, 0, 1e9},
		{"rotated", 30, 2000, 2e9, 1e9},
		{"rotated and more than may be open", 3 * maxOpen, 40, 2e9, 1e9},
		{"all at once and more than may be open", maxOpen + 20, 1500, 0, 1e9},
		{"equal times", 5, 500, 0, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(tt.inputs)))
			dir := t.TempDir()
			var want []frame
			for i := range tt.inputs {
				times := make([]int64, tt.frames)
				for k := range times {
					times[k] = int64(i)*tt.spread + rng.Int64N(tt.window)
				}
				slices.Sort(times)
				var recs []rec
				for k, at := range times {
					data := fmt.Sprintf("%d/%d%s", i, k, strings.Repeat(".", rng.IntN(300)))
					recs = append(recs, rec{at, data, 0})
					want = append(want, frame{data, timeOf(at), uint64(k + 1), uint32(len(data)), uint32(i), 1})
				}
				w := littleMicro()
				w.magic = magicNano
				b := w.file(recs...)
				if i%7 == 3 {
					b = gzipped(b)
				}
				put(t, dir, fmt.Sprintf("%04d.pcap", i), b)
			}
			sortFrames(want)
			src := open(t, dir)
			got := readAll(t, src)
			same(t, got, want)
			if read, total := src.Progress(); read != total || total <= 0 {
				t.Errorf("progress at the end: %d of %d", read, total)
			}
			for i, in := range src.Inputs() {
				if in.Name != filepath.Join(dir, fmt.Sprintf("%04d.pcap", i)) || in.Damage != "" || in.Truncated {
					t.Errorf("%+v", in)
				}
			}
		})
	}
}

// TestOpenIsBounded counts the descriptors of a merge of many files.
func TestOpenIsBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 * maxOpen {
		put(t, dir, fmt.Sprintf("%04d.pcap", i), littleMicro().file(rec{int64(i) * 1e9, "first", 0}, rec{1e15, "last", 0}))
	}
	src := open(t, dir).(*files)
	var b Batch
	for {
		open := 0
		for _, in := range src.all {
			if in.closer != nil {
				open++
			}
		}
		if open != src.open || open > maxOpen {
			t.Fatalf("%d inputs open, counted %d, at most %d", open, src.open, maxOpen)
		}
		if err := src.ReadBatch(&b); err != nil {
			break
		}
	}
	if src.open != 0 {
		t.Errorf("%d still open", src.open)
	}
}

// TestUnordered: a file whose times run backwards keeps its own order.
func TestUnordered(t *testing.T) {
	for _, tt := range []struct{ a, b, want string }{
		{"5 1 7 2", "4 6", "b4 a5 a1 b6 a7 a2"},
		{"1 9 2", "5", "a1 b5 a9 a2"},
		{"1 3 2", "5", "a1 a3 a2 b5"},
	} {
		dir := t.TempDir()
		write := func(name, times string) string {
			var recs []rec
			for _, at := range strings.Fields(times) {
				recs = append(recs, rec{int64(at[0]-'0') * 1e9, name + at, 0})
			}
			return put(t, dir, name, littleMicro().file(recs...))
		}
		var got []string
		for _, f := range readAll(t, open(t, write("a", tt.a), write("b", tt.b))) {
			got = append(got, f.data)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("got %v, want %v", got, tt.want)
		}
	}
}

func TestMergeWithPipe(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "a", littleMicro().file(rec{1e9, "file 1", 0}, rec{3e9, "file 3", 0}))
	src, err := Open([]string{path, "-"}, bytes.NewReader(gzipped(littleMicro().file(rec{1e9, "pipe 1", 0}, rec{2e9, "pipe 2", 0}))))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var got []string
	for _, f := range readAll(t, src) {
		got = append(got, f.data)
	}
	if want := []string{"file 1", "pipe 1", "pipe 2", "file 3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, total := src.Progress(); total != -1 {
		t.Errorf("total %d of a pipe", total)
	}
	if in := src.Inputs()[1]; in.Name != "stdin" || in.Size != -1 {
		t.Errorf("%+v", in)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "b.pcap", littleMicro().file(rec{2e9, "b", 0}))
	put(t, dir, "a.pcap", littleMicro().file(rec{2e9, "a", 0}))
	put(t, dir, "empty.pcap", nil)
	put(t, dir, "header.pcap", littleMicro().file())
	put(t, dir, "notes.txt", []byte("nothing to see"))
	put(t, dir, "z.pcap", littleMicro().file(rec{3e9, "cut off", 0})[:44])
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, sub, "c.pcap", littleMicro().file(rec{1e9, "c", 0}))
	src := open(t, dir)
	same(t, readAll(t, src), []frame{{"a", 2e9, 1, 1, 0, 1}, {"b", 2e9, 1, 1, 1, 1}})
	var got []string
	for _, in := range src.Inputs() {
		got = append(got, fmt.Sprintf("%s %d %v %s", filepath.Base(in.Name), in.Frames, in.Truncated, in.Damage))
	}
	want := []string{
		"a.pcap 1 false ",
		"b.pcap 1 false ",
		"empty.pcap 0 false left out, not a capture: the file is empty",
		"header.pcap 0 false ",
		`notes.txt 0 false left out, not a capture: the file begins with 6e 6f 74 68 ("noth"), neither pcap nor pcapng`,
		"z.pcap 0 true cut off at byte 24, before the first packet: only 20 bytes of the next record are there",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := Open([]string{sub, t.TempDir()}, nil); err == nil || !strings.Contains(err.Error(), "holds no capture") {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	version := littleMicro()
	version.version = [2]uint16{9, 1}
	for _, tt := range []struct {
		name, want string
		b          []byte
	}{
		{"text", `begins with 68 65 6c 6c ("hell"), neither pcap nor pcapng`, []byte("hello")},
		{"zip", "which is a zip archive", []byte("PK\x03\x04 and more")},
		{"empty", "the file is empty", nil},
		{"version", "pcap format version 9.1 is not supported", version.file()},
		{"gzip of text", "the unpacked gzip data begins with 68 65 6c 6c", gzipped([]byte("hello"))},
		{"gzip of nothing", "the unpacked gzip data is empty", gzipped(nil)},
		{"half a gzip header", "gzip data without a sound header", gzipped(nil)[:5]},
		{"zstd", "zstd data that can not be unpacked", []byte("\x28\xb5\x2f\xfd\xff\xff\xff\xff")},
	} {
		path := put(t, dir, tt.name, tt.b)
		_, err := Open([]string{path}, nil)
		if err == nil || !strings.HasPrefix(err.Error(), path+": not a capture: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if _, err := Open([]string{"-"}, bytes.NewReader(tt.b)); err == nil || !strings.HasPrefix(err.Error(), "stdin: not a capture") {
			t.Errorf("%s as a pipe: %v", tt.name, err)
		}
	}
	missing := filepath.Join(dir, "missing")
	if _, err := Open([]string{missing}, nil); !errors.Is(err, os.ErrNotExist) || strings.Count(err.Error(), missing) != 1 {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Open(nil, nil); err == nil {
		t.Error("no paths at all")
	}
	if _, err := Open([]string{"-"}, nil); err == nil || !strings.HasPrefix(err.Error(), "stdin: ") {
		t.Errorf("no stdin: %v", err)
	}
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestReadError: what the system can't read is an error of the source, not damage of the file.
func TestReadError(t *testing.T) {
	broken := errors.New("device is on fire")
	src, err := Open([]string{"-"}, io.MultiReader(bytes.NewReader(littleMicro().file(rec{1e9, "x", 0})), failing{broken}))
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	if err := src.ReadBatch(&b); err != nil || len(b.Frames) != 1 {
		t.Errorf("first batch: %v", err)
	}
	for range 2 {
		if err := src.ReadBatch(&b); !errors.Is(err, broken) || !strings.Contains(err.Error(), "stdin") {
			t.Errorf("got %v", err)
		}
	}
}

func TestDigest(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []int{0, 1, 20_000} {
		var recs []rec
		for i := range n {
			recs = append(recs, rec{int64(i), strings.Repeat("d", 100), 0})
		}
		for _, b := range [][]byte{littleMicro().file(recs...), gzipped(littleMicro().file(recs...))} {
			want := sha256.Sum256(b[:min(len(b), 1<<20)])
			src := open(t, put(t, dir, "x", b))
			if in := src.Inputs()[0]; in.Digest != want || in.Size != int64(len(b)) {
				t.Errorf("%d packets: %+v", n, in)
			}
			if _, in := readBytes(t, b); in.Digest != want {
				t.Errorf("%d packets by a pipe: digest differs", n)
			}
		}
	}
}

// oneByte reads a byte at a time.
type oneByte struct{ b []byte }

func (r *oneByte) Read(b []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(1, len(b))], r.b)
	r.b = r.b[n:]
	return n, nil
}

// TestSlowPipe: a packet is handed on when its last byte is there.
func TestSlowPipe(t *testing.T) {
	b := littleMicro().file(rec{1e9, "one", 0}, rec{2e9, "two", 0})
	r := &oneByte{b}
	src, err := Open([]string{"-"}, r)
	if err != nil {
		t.Fatal(err)
	}
	var batch Batch
	for want := 1; want <= 2; want++ {
		if err := src.ReadBatch(&batch); err != nil || len(batch.Frames) != 1 || batch.Frames[0].Number != uint64(want) {
			t.Fatalf("%v %+v", err, batch.Frames)
		}
		if left := (2 - want) * 19; len(r.b) != left {
			t.Errorf("after packet %d: %d bytes left to read, want %d", want, len(r.b), left)
		}
	}
}

// TestLargeFrames: frames above a batch's size grow its buffer; those behind them still come.
func TestLargeFrames(t *testing.T) {
	var recs []rec
	for i := range 12 {
		recs = append(recs, rec{int64(i) * 1e9, strings.Repeat(string(rune('a'+i)), 1<<(9+i)), 0})
	}
	recs = append(recs, rec{20e9, strings.Repeat("L", maxRecord), 0}, rec{21e9, "end", 0})
	b := littleMicro().file(recs...)
	got, in := readBytes(t, b)
	if len(got) != len(recs) || in.Truncated {
		t.Fatalf("%d frames: %+v", len(got), in)
	}
	for i, f := range got {
		if f.data != recs[i].data {
			t.Errorf("frame %d of %d bytes differs", i, len(recs[i].data))
		}
	}
	path := put(t, t.TempDir(), "a", b)
	if n := len(readAll(t, open(t, path, path))); n != 2*len(recs) {
		t.Errorf("merged with itself: %d frames", n)
	}
}

// TestNoAllocs: reading allocates nothing once its buffers are there.
func TestNoAllocs(t *testing.T) {
	recs := make([]rec, 300_000)
	for i := range recs {
		recs[i] = rec{int64(i) * 1000, strings.Repeat("n", 40+i%100), 0}
	}
	src := open(t, put(t, t.TempDir(), "a", littleMicro().file(recs...)))
	var b Batch
	if n := testing.AllocsPerRun(200, func() {
		if err := src.ReadBatch(&b); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations per batch", n)
	}
}

// TestNoGoroutines: whoever reads is the only one who works, also where input is packed.
func TestNoGoroutines(t *testing.T) {
	var recs []rec
	for i := range 12_000 {
		recs = append(recs, rec{int64(i) * 1000, fmt.Sprintf("%d %x", i, i*7919), 0})
	}
	plain := littleMicro().file(recs...)
	dir := t.TempDir()
	put(t, dir, "a", plain)
	put(t, dir, "b", gzipped(plain))
	put(t, dir, "c", zstandard(plain))
	before := runtime.NumGoroutine()
	src := open(t, dir)
	var b Batch
	for src.ReadBatch(&b) == nil {
		if n := runtime.NumGoroutine(); n > before {
			t.Fatalf("%d goroutines more", n-before)
		}
	}
}
