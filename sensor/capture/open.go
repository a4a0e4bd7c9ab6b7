package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Open opens captures as one timeline: each path a file, a directory (its files, by name), or "-" for stdin. A named
// file that is no capture is an error; a file of a directory that is none is passed over and said in Inputs.
func Open(paths []string, stdin io.Reader) (Source, error) {
	var files []*file
	closeAll := func() {
		for _, f := range files {
			f.Close()
		}
	}
	add := func(path string, optional bool) error {
		f, err := openFile(path, stdin, uint32(len(files)))
		if err != nil && optional && errors.Is(err, errNoCapture) {
			f, err = skipped(path, err), nil
		}
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	}
	for _, path := range paths {
		st, err := os.Stat(path)
		if path == "-" || err == nil && !st.IsDir() {
			err = add(path, false)
		} else if err == nil {
			err = addDir(path, add)
		}
		if err != nil {
			closeAll()
			return nil, err
		}
	}
	if len(files) == 1 {
		return files[0], nil
	}
	return newMerge(files), nil
}

func addDir(path string, add func(string, bool) error) error {
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return err
	}
	n := 0
	for _, e := range entries {
		if e.Type().IsRegular() {
			if err := add(filepath.Join(path, e.Name()), true); err != nil {
				return err
			}
			n++
		}
	}
	if n == 0 {
		return fmt.Errorf("%s: the directory holds no files", path)
	}
	return nil
}

// errNoCapture marks inputs that are no captures.
var errNoCapture = errors.New("not a capture")

// format reads records from bytes. It keeps what earlier blocks said (byte order, interfaces).
type format interface {
	// next reads the record at the start of data: n bytes are consumed, frame says whether f was filled. n is 0 where data
	// ends inside the record; want is then how many bytes the record needs, as far as known. bad is damage.
	next(data []byte, f *frameHeader) (n, want int, frame bool, bad error)
	drops() uint64
}

// file is one input.
type file struct {
	in     Input
	index  uint32
	raw    io.ReadCloser
	read   *counter
	r      io.Reader // decompressed
	format format
	carry  []byte // read but not consumed
	eof    bool
}

// counter counts and digests the stored bytes.
type counter struct {
	r    io.Reader
	n    int64
	head []byte // first MiB
}

const digestBytes = 1 << 20

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if room := digestBytes - len(c.head); room > 0 {
		c.head = append(c.head, b[:min(n, room)]...)
	}
	return n, err
}

func openFile(path string, stdin io.Reader, index uint32) (*file, error) {
	f := &file{in: Input{Name: path, Size: -1}, index: index}
	if path == "-" {
		f.in.Name, f.raw = "stdin", io.NopCloser(stdin)
	} else {
		h, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if st, err := h.Stat(); err == nil && st.Mode().IsRegular() {
			f.in.Size = st.Size()
		}
		f.raw = h
	}
	if err := f.start(); err != nil {
		f.raw.Close()
		return nil, fmt.Errorf("%s: %w", f.in.Name, err)
	}
	return f, nil
}

// start finds out what the input is: compression by magic, then the format.
func (f *file) start() error {
	f.read = &counter{r: f.raw}
	br := bufio.NewReaderSize(f.read, 64<<10)
	head, _ := br.Peek(4)
	f.r = br
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("%w: gzip: %w", errNoCapture, err)
		}
		f.r = z
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(256<<20))
		if err != nil {
			return fmt.Errorf("%w: zstd: %w", errNoCapture, err)
		}
		f.r = z.IOReadCloser()
	default:
		f.r = br
	}
	first := make([]byte, 24)
	n, err := io.ReadFull(f.r, first)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", errNoCapture, err)
	}
	first = first[:n]
	if f.format, n, err = recognise(first); err != nil {
		return err
	}
	f.carry = first[n:]
	return nil
}

// recognise tells the format by the first bytes and how many of them its header took.
func recognise(b []byte) (format, int, error) {
	switch {
	case len(b) == 0:
		return nil, 0, fmt.Errorf("%w: the file is empty", errNoCapture)
	case len(b) >= 4 && bytes.Equal(b[:4], []byte{0x0a, 0x0d, 0x0d, 0x0a}):
		return &pcapng{}, 0, nil
	case len(b) >= 4:
		if p, n, err := newPcap(b); err != nil || p != nil {
			return p, n, err
		}
	}
	return nil, 0, fmt.Errorf("%w: it begins with % x, which is neither pcap nor pcapng", errNoCapture, b[:min(len(b), 8)])
}

// skipped is a file of a directory that is no capture.
func skipped(path string, err error) *file {
	return &file{in: Input{Name: path, Size: -1, Damage: "passed over: " + err.Error()}, eof: true, raw: io.NopCloser(nil), read: &counter{}}
}

// ReadBatch reads straight into b.Buf; frames alias it.
func (f *file) ReadBatch(b *Batch) error {
	b.Frames = b.Frames[:0]
	b.Buf = append(b.Buf[:0], f.carry...)
	f.carry = f.carry[:0]
	var h frameHeader
	pos, want := 0, 0
	for {
		for len(b.Frames) < BatchFrames {
			n, need, frame, bad := f.format.next(b.Buf[pos:], &h)
			if bad != nil {
				f.damaged(bad)
				pos = len(b.Buf)
				break
			}
			if n == 0 {
				want = need
				break
			}
			if frame {
				h.frame.Data = b.Buf[pos+h.off : pos+h.off+h.len : pos+h.off+h.len]
				f.in.Frames++
				f.in.Bytes += uint64(h.len)
				h.frame.Number, h.frame.Input = f.in.Frames, f.index
				b.Frames = append(b.Frames, h.frame)
			}
			pos += n
		}
		if len(b.Frames) > 0 || f.eof {
			break
		}
		// Nothing whole yet: shift what is left to the front and read on, never more than the input gives.
		b.Buf = append(b.Buf[:0], b.Buf[pos:]...)
		pos = 0
		f.fill(b, want)
	}
	if len(b.Frames) == 0 {
		if rest := len(b.Buf) - pos; rest > 0 && !f.in.Truncated {
			f.damaged(fmt.Errorf("ends inside a record, %d bytes after its start", rest))
		}
		f.in.Drops = f.format.drops()
		return io.EOF
	}
	f.carry = append(f.carry, b.Buf[pos:]...)
	return nil
}

// fill reads until Buf holds a batch, or want bytes where a record needs more, growing step by step.
func (f *file) fill(b *Batch, want int) {
	goal := max(BatchBytes, min(want, 2*len(b.Buf)+BatchBytes))
	b.Buf = slices.Grow(b.Buf, goal-len(b.Buf))
	for len(b.Buf) < goal {
		n, err := f.r.Read(b.Buf[len(b.Buf):goal])
		b.Buf = b.Buf[:len(b.Buf)+n]
		if err != nil {
			f.eof = true
			if !errors.Is(err, io.EOF) {
				f.damaged(err)
			}
			return
		}
	}
}

// damaged says that the input can't be read on.
func (f *file) damaged(why error) {
	f.eof = true
	if !f.in.Truncated {
		f.in.Truncated = true
		f.in.Damage = fmt.Sprintf("cut off or damaged after %d packets: %v; what came before was read", f.in.Frames, why)
	}
}

// Inputs describes what was read so far.
func (f *file) Inputs() []Input {
	in := f.in
	in.Digest = sha256.Sum256(f.read.head)
	return []Input{in}
}

// Progress returns stored bytes read and in total.
func (f *file) Progress() (int64, int64) { return f.read.n, f.in.Size }

// Close closes the input.
func (f *file) Close() error { return f.raw.Close() }
