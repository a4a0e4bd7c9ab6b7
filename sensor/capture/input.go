package capture

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"neuromast/sensor/packet"
)

// digestBytes is how much of an input its digest covers.
const digestBytes = 1 << 20

// notCapture says why an input is not a capture.
type notCapture struct{ reason string }

func (e *notCapture) Error() string { return "not a capture: " + e.reason }

// input reads one file or pipe. A file may be closed in between and opened again where reading stopped.
type input struct {
	Input
	index  uint32
	open   bool // may be read on without reopening
	live   bool // a pipe: what is there is handed on at once
	over   bool // no frames follow those in batch
	closer io.Closer
	stored *stored
	r      io.Reader // unpacked bytes
	packed string    // compression
	read   atomic.Int64
	format format

	off   int64  // of the unpacked bytes that follow, the first of which are carry
	carry []byte // read, but not a whole record
	eof   bool
	cause error // what ended reading, other than the end of the file
	goal  int   // bytes that a batch is to hold

	batch    Batch // frames read ahead for the merge
	pos      int   // the next of them
	latest   packet.Time
	saved    format // as it was before batch
	savedOff int64
	last     uint64 // number of the last frame delivered
}

// stored reads an input's bytes as they are stored.
type stored struct {
	r      io.Reader
	n      int64
	read   *atomic.Int64
	digest hash.Hash // nil once the digest is known
	sum    *[32]byte
}

func (s *stored) Read(b []byte) (int, error) {
	if s.digest != nil { // up to where the digest ends
		b = b[:min(int64(len(b)), digestBytes-s.n)]
	}
	n, err := s.r.Read(b)
	s.n += int64(n)
	if s.n > s.read.Load() {
		s.read.Store(s.n)
	}
	if s.digest != nil {
		s.digest.Write(b[:n])
		s.digest.Sum(s.sum[:0])
		if s.n == digestBytes {
			s.digest = nil
		}
	}
	return n, err
}

// openInput opens a path, reads its head and the first frames.
func openInput(path string, index uint32, stdin io.Reader) (*input, error) {
	in := &input{Input: Input{Name: path, Size: -1}, index: index, goal: BatchBytes}
	var err error
	switch {
	case path != "-":
		err = in.openFile()
	case stdin == nil:
		return nil, errors.New("there is none to read")
	default:
		in.Name, in.live = "stdin", true
		err = in.begin(stdin)
	}
	if err == nil {
		err = in.start()
	}
	if err == nil {
		err = in.load()
	}
	if err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// openFile opens a named input and goes to where reading stopped.
func (in *input) openFile() error {
	f, err := os.Open(in.Name)
	if err != nil {
		return plain(err)
	}
	in.closer = f
	st, err := f.Stat()
	switch {
	case err != nil:
		return plain(err)
	case st.IsDir():
		return &notCapture{"it is a directory"}
	case !st.Mode().IsRegular(): // a named pipe can not be read twice
		in.live = true
		return in.begin(f)
	case in.format == nil:
		in.Size = st.Size()
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(f, 0, digestBytes)); err != nil {
			return plain(err)
		}
		h.Sum(in.Digest[:0])
		return in.begin(f)
	}
	if in.packed != "" || in.savedOff == 0 {
		if err := in.begin(f); err != nil {
			return err
		}
		_, err := io.CopyN(io.Discard, in.r, in.savedOff)
		return plain(err)
	}
	if _, err := f.Seek(in.savedOff, io.SeekStart); err != nil {
		return plain(err)
	}
	in.stored = &stored{r: f, n: in.savedOff, read: &in.read}
	in.r, in.open = in.stored, true
	return nil
}

// begin reads from r from its start on.
func (in *input) begin(r io.Reader) error {
	in.stored = &stored{r: r, read: &in.read}
	if in.live {
		in.stored.digest, in.stored.sum = sha256.New(), &in.Digest
	}
	br := bufio.NewReaderSize(in.stored, 64<<10)
	var err error
	if in.r, in.packed, err = inflate(br); err != nil {
		return &notCapture{in.packed + " data without a sound header: " + err.Error()}
	}
	in.open = true
	return nil
}

// start recognises the format by the file's first bytes.
func (in *input) start() error {
	head := make([]byte, pcapBytes)
	n, err := io.ReadFull(in.r, head[:minMagic])
	if err != nil && !ended(err) && in.packed == "" {
		return plain(err)
	}
	if !isFormat(head[:n]) {
		return &notCapture{firstBytes(head[:n], in.packed, err)}
	}
	need := headerBytes(head)
	m, err := io.ReadFull(in.r, head[n:need])
	if n += m; err != nil {
		if !ended(err) && in.packed == "" {
			return plain(err)
		}
		in.eof, in.off = true, int64(n)
		in.format = &pcap{}
		in.stop("cut off", fmt.Sprintf("it ends inside the file header, which has %d bytes", need))
		return nil
	}
	f, used, err := newFormat(head[:need])
	if err != nil {
		return &notCapture{err.Error()}
	}
	in.format, in.off = f, int64(used)
	in.carry = append(in.carry, head[used:need]...)
	return nil
}

// load reads the frames that follow into batch; over says that there are none.
func (in *input) load() error {
	in.saved, in.savedOff = in.format.copy(in.saved), in.off
	in.pos, in.batch.Frames = 0, in.batch.Frames[:0]
	if !in.over {
		if err := in.fill(&in.batch); err != nil {
			return err
		}
	}
	if len(in.batch.Frames) == 0 {
		in.over = true
		var note string
		if in.Drops, note = in.format.findings(); in.Damage == "" {
			in.Damage = note
		}
		if in.Size >= 0 {
			in.read.Store(in.Size)
		}
		in.batch = Batch{}
		return in.close()
	}
	in.latest = in.batch.Frames[0].At
	for i := range in.batch.Frames {
		in.latest = max(in.latest, in.batch.Frames[i].At)
	}
	return nil
}

// fill overwrites b with the frames that follow. They alias b.Buf, into which the file is read; part of a record at the
// end of Buf is carried over to the next batch. None are left where b stays empty.
func (in *input) fill(b *Batch) error {
	if cap(b.Frames) < BatchFrames {
		b.Frames = make([]packet.Frame, 0, BatchFrames)
	}
	b.Buf = grow(b.Buf[:cap(b.Buf)], max(BatchBytes, len(in.carry)))
	have := copy(b.Buf, in.carry)
	goal := max(in.goal, minMagic)
	for {
		if have < goal && !in.eof {
			n, err := in.readFull(b.Buf[have:goal])
			if have += n; err != nil {
				return err
			}
		}
		frames, taken, damage := in.format.records(b.Buf[:have], b.Frames[:0:BatchFrames], in.index)
		b.Frames = frames
		in.off += int64(taken)
		left := b.Buf[taken:have]
		switch {
		case damage != "" && len(frames) == 0: // else it comes again, at the start of the next batch
			in.stop("damaged", damage)
			return nil
		case len(frames) > 0:
			in.carry = append(in.carry[:0], left...)
			in.goal = BatchBytes
			if len(frames) == BatchFrames { // no more than such a batch needs: the rest would be copied
				in.goal = min(taken+taken/8+4096, BatchBytes)
			}
			return nil
		case in.eof && in.cause != nil:
			in.stop("cut off or damaged", fmt.Sprintf("the %s data can not be unpacked further: %v", in.packed, in.cause))
			return nil
		case in.eof && len(left) > 0:
			in.stop("cut off", fmt.Sprintf("only %d bytes of the next record are there", len(left)))
			return nil
		case in.eof:
			in.carry = in.carry[:0]
			return nil
		}
		// A record larger than the buffer, or records that hold no frames. Buf grows only when what is there fills it.
		have = copy(b.Buf, left)
		if have == len(b.Buf) {
			b.Buf = grow(b.Buf, 2*have)
		}
		goal = min(max(goal, 2*have), len(b.Buf))
	}
}

// grow returns a slice that begins with b and has at least n bytes.
func grow(b []byte, n int) []byte {
	if len(b) >= n {
		return b
	}
	g := make([]byte, n)
	copy(g, b)
	return g
}

// readFull fills b from a file; from a pipe it takes what there is. The end of the input is not an error, and neither
// are packed data that end early or are damaged: eof and cause say so.
func (in *input) readFull(b []byte) (n int, err error) {
	for n < len(b) {
		m, err := in.r.Read(b[n:])
		n += m
		if err != nil {
			in.eof = true
			var path *fs.PathError
			switch {
			case err == io.EOF:
			case errors.As(err, &path) || in.packed == "":
				return n, fmt.Errorf("%s: %w", in.Name, plain(err))
			case err == io.ErrUnexpectedEOF:
				in.cause = errors.New("they end early")
			default:
				in.cause = err
			}
			break
		}
		if in.live && n > 0 {
			break
		}
	}
	return n, nil
}

// stop ends the input before its end, and says why and where.
func (in *input) stop(what, reason string) {
	in.Truncated, in.over = true, true
	unpacked, after := "", "before the first packet"
	if in.packed != "" {
		unpacked = " of the unpacked data"
	}
	if n := in.format.number(); n > 0 {
		after = fmt.Sprintf("after packet %d", n)
	}
	in.Damage = fmt.Sprintf("%s at byte %d%s, %s: %s", what, in.off, unpacked, after, reason)
}

// park closes a file whose frames are not due yet and forgets them.
func (in *input) park() error {
	in.batch = Batch{}
	in.carry = nil
	return in.close()
}

// unpark opens a parked file and reads the batch that was forgotten, up to where frames were delivered.
func (in *input) unpark() error {
	if err := in.openFile(); err != nil {
		return fmt.Errorf("%s: %w", in.Name, err)
	}
	in.format, in.off, in.eof, in.cause, in.over = in.saved.copy(nil), in.savedOff, false, nil, false
	for {
		if err := in.load(); err != nil || in.over {
			return err
		}
		for in.pos < len(in.batch.Frames) {
			if in.batch.Frames[in.pos].Number > in.last {
				return nil
			}
			in.pos++
		}
	}
}

func (in *input) close() error {
	in.open = false
	if z, ok := in.r.(interface{ Close() }); ok { // zstd
		z.Close()
	}
	in.r = nil
	if in.closer == nil {
		return nil
	}
	err := in.closer.Close()
	in.closer = nil
	return err
}

// ended says that err is the end of the data.
func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// plain takes operation and path from an error of package os: who reports it names the path.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// firstBytes says what an input begins with that is not a capture.
func firstBytes(b []byte, packed string, err error) string {
	what := "the file"
	if packed != "" {
		what = "the unpacked " + packed + " data"
	}
	if len(b) == 0 {
		if packed != "" && err != nil && err != io.EOF {
			return fmt.Sprintf("%s data that can not be unpacked: %v", packed, err)
		}
		return what + " is empty"
	}
	for _, k := range knownMagics {
		if len(b) >= len(k.magic) && string(b[:len(k.magic)]) == k.magic {
			return fmt.Sprintf("%s begins with % x, which is %s", what, b, k.name)
		}
	}
	return fmt.Sprintf("%s begins with % x (%q), neither pcap nor pcapng", what, b, b)
}

var knownMagics = [...]struct{ magic, name string }{
	{"PK\x03\x04", "a zip archive"},
	{"BZh", "bzip2 data"},
	{"\xfd7zX", "xz data"},
	{"7z\xbc\xaf", "a 7-Zip archive"},
	{"snoo", "a snoop capture; editcap can convert it"},
	{"GMBU", "a Microsoft Network Monitor capture; editcap can convert it"},
	{"RTSS", "a Microsoft Network Monitor 1 capture; editcap can convert it"},
	{"\x7fELF", "a program"},
	{"%PDF", "a PDF document"},
}
