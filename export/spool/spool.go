// Package spool keeps entries on disk until they are acknowledged: the memory of a sink across crashes.
//
// Entries lie in segment files in the order in which they were appended; each bears its length and a CRC, so that a torn
// tail is seen and cut off when the spool is opened again. Acknowledgements lie in a journal beside them. A segment is
// removed when all its entries are acknowledged. Every append is on the disk (fsync) before it returns, unless the
// configuration says otherwise.
package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config bounds the spool.
type Config struct {
	Dir      string        `yaml:"dir"`       // directory; made where missing
	MaxBytes int64         `yaml:"max_bytes"` // bytes on disk; a full spool makes its writer wait
	MaxAge   time.Duration `yaml:"max_age"`   // entries older than this expire, counted, when the spool is opened or full
	Sync     bool          `yaml:"sync"`      // fsync every append: survives a power cut, not only a killed process
}

// Default returns the configuration that holds where nothing else is said.
func Default() Config {
	return Config{Dir: "neuromast-spool", MaxBytes: 1 << 30, MaxAge: 7 * 24 * time.Hour, Sync: true}
}

// Validate names every wrong value.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir: is empty"))
	}
	if c.MaxBytes < 1<<20 {
		errs = append(errs, fmt.Errorf("max_bytes: %d is below 1 MiB", c.MaxBytes))
	}
	if c.MaxAge < time.Minute {
		errs = append(errs, fmt.Errorf("max_age: %v is below one minute", c.MaxAge))
	}
	return errors.Join(errs...)
}

// segmentBytes is when a new segment begins: small enough that space comes back soon, chosen by us.
const segmentBytes = 4 << 20

// maxEntry is the longest entry; a length above it is damage.
const maxEntry = 16 << 20

// headBytes before each entry: length, CRC-32C of what follows it, time of the append.
const headBytes = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrFull says that an entry doesn't fit now.
var ErrFull = errors.New("spool is full")

// Entry is what was not yet acknowledged when the spool was opened.
type Entry struct {
	ID   uint64
	At   time.Time // of the append
	Data []byte
}

// Stats counts what the spool holds and lost.
type Stats struct {
	Waiting uint64 // entries not acknowledged
	Bytes   int64  // on disk
	Torn    uint64 // damaged entries cut off when the spool was opened
}

// Spool is one directory. It is not safe for concurrent use.
type Spool struct {
	cfg      Config
	lock     *os.File
	segments []*segment
	active   *os.File
	acks     *os.File
	next     uint64
	stats    Stats
}

type segment struct {
	path  string
	first uint64 // number of its first entry
	count uint64
	acked uint64
	bytes int64
	at    []int64 // where each entry begins
	done  map[uint64]bool
}

// Open opens or makes the spool and returns what waits in it, in order.
func Open(cfg Config) (*Spool, []Entry, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	s := &Spool{cfg: cfg, next: 1}
	if err := s.takeLock(); err != nil {
		return nil, nil, err
	}
	acked, err := s.readAcks()
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	entries, err := s.readSegments(acked)
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	if err := s.rewriteAcks(); err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, entries, nil
}

// readSegments reads every segment and cuts torn tails.
func (s *Spool) readSegments(acked map[uint64]bool) ([]Entry, error) {
	paths, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*.seg"))
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	slices.Sort(paths) // names are numbers of equal length
	var waiting []Entry
	for _, path := range paths {
		var first uint64
		if _, err := fmt.Sscanf(strings.TrimSuffix(filepath.Base(path), ".seg"), "%016x", &first); err != nil {
			return nil, fmt.Errorf("spool: %s is not one of ours: %w", path, err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("spool: %w", err)
		}
		seg := &segment{path: path, first: first, done: map[uint64]bool{}}
		entries, good := parse(data, first)
		if good < int64(len(data)) {
			s.stats.Torn++
			if err := os.Truncate(path, good); err != nil {
				return nil, fmt.Errorf("spool: %w", err)
			}
		}
		seg.bytes, seg.count = good, uint64(len(entries))
		for at, i := int64(0), 0; i < len(entries); i++ {
			seg.at = append(seg.at, at)
			at += headBytes + int64(len(entries[i].Data))
		}
		s.next = max(s.next, first+seg.count)
		for _, e := range entries {
			if acked[e.ID] {
				seg.acked++
				seg.done[e.ID] = true
			} else {
				waiting = append(waiting, e)
			}
		}
		if seg.acked == seg.count {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("spool: %w", err)
			}
			continue
		}
		s.segments = append(s.segments, seg)
		s.stats.Bytes += seg.bytes
		s.stats.Waiting += seg.count - seg.acked
	}
	return waiting, nil
}

// parse reads entries up to the first damaged one and returns how many bytes were good.
func parse(data []byte, first uint64) (entries []Entry, good int64) {
	for len(data) >= headBytes {
		size := binary.LittleEndian.Uint32(data)
		if size > maxEntry || int(size) > len(data)-headBytes {
			return entries, good
		}
		body := data[8 : headBytes+int(size)]
		if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[4:]) {
			return entries, good
		}
		entries = append(entries, Entry{
			ID: first + uint64(len(entries)), At: time.Unix(0, int64(binary.LittleEndian.Uint64(data[8:]))).UTC(), Data: body[8:],
		})
		good += int64(headBytes + int(size))
		data = data[headBytes+int(size):]
	}
	return entries, good
}

// Append puts an entry on the disk and returns its number.
func (s *Spool) Append(data []byte, at time.Time) (uint64, error) {
	if len(data) > maxEntry {
		return 0, fmt.Errorf("spool: an entry of %d bytes is too long", len(data))
	}
	if s.stats.Bytes+int64(len(data)+headBytes) > s.cfg.MaxBytes {
		return 0, ErrFull
	}
	if s.active == nil || s.segments[len(s.segments)-1].bytes > segmentBytes {
		if err := s.begin(); err != nil {
			return 0, err
		}
	}
	buf := make([]byte, headBytes, headBytes+len(data))
	binary.LittleEndian.PutUint32(buf, uint32(len(data)))
	binary.LittleEndian.PutUint64(buf[8:], uint64(at.UnixNano()))
	buf = append(buf, data...)
	binary.LittleEndian.PutUint32(buf[4:], crc32.Checksum(buf[8:], castagnoli))
	if _, err := s.active.Write(buf); err != nil {
		return 0, fmt.Errorf("spool: %w", err)
	}
	if s.cfg.Sync {
		if err := s.active.Sync(); err != nil {
			return 0, fmt.Errorf("spool: %w", err)
		}
	}
	seg := s.segments[len(s.segments)-1]
	seg.at = append(seg.at, seg.bytes)
	seg.bytes += int64(len(buf))
	seg.count++
	s.stats.Bytes += int64(len(buf))
	s.stats.Waiting++
	id := s.next
	s.next++
	return id, nil
}

// begin starts a segment.
func (s *Spool) begin() error {
	if s.active != nil {
		if err := s.active.Close(); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	path := filepath.Join(s.cfg.Dir, fmt.Sprintf("%016x.seg", s.next))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.active = f
	s.segments = append(s.segments, &segment{path: path, first: s.next, done: map[uint64]bool{}})
	return s.syncDir()
}

// find returns the segment that holds an entry, -1 where none does.
func (s *Spool) find(id uint64) int {
	return slices.IndexFunc(s.segments, func(g *segment) bool { return id >= g.first && id < g.first+g.count })
}

// Read returns a waiting entry's bytes.
func (s *Spool) Read(id uint64) ([]byte, error) {
	i := s.find(id)
	if i < 0 || s.segments[i].done[id] {
		return nil, fmt.Errorf("spool: entry %d does not wait", id)
	}
	seg := s.segments[i]
	f, err := os.Open(seg.path)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	defer f.Close()
	end := seg.bytes
	if n := id - seg.first + 1; n < seg.count {
		end = seg.at[n]
	}
	b := make([]byte, end-seg.at[id-seg.first])
	if _, err := f.ReadAt(b, seg.at[id-seg.first]); err != nil {
		return nil, fmt.Errorf("spool: entry %d of %s: %w", id, seg.path, err)
	}
	entries, _ := parse(b, id)
	if len(entries) != 1 {
		return nil, fmt.Errorf("spool: entry %d of %s is damaged", id, seg.path)
	}
	return entries[0].Data, nil
}

// Ack says that an entry need not be kept. Acknowledging twice does nothing.
func (s *Spool) Ack(id uint64) error {
	i := s.find(id)
	if i < 0 || s.segments[i].done[id] {
		return nil
	}
	if err := s.writeAck(s.acks, id); err != nil {
		return err
	}
	seg := s.segments[i]
	seg.done[id] = true
	seg.acked++
	s.stats.Waiting--
	if seg.acked == seg.count && (i < len(s.segments)-1 || seg.bytes > segmentBytes) {
		if i == len(s.segments)-1 {
			if err := s.active.Close(); err != nil {
				return fmt.Errorf("spool: %w", err)
			}
			s.active = nil
		}
		if err := os.Remove(seg.path); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		s.stats.Bytes -= seg.bytes
		s.segments = slices.Delete(s.segments, i, i+1)
		return s.rewriteAcks()
	}
	return nil
}

// Stats returns what the spool holds.
func (s *Spool) Stats() Stats { return s.stats }

// Close closes the spool; what waits stays on the disk.
func (s *Spool) Close() error {
	var errs []error
	for _, f := range []*os.File{s.active, s.acks, s.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	s.active, s.acks, s.lock = nil, nil, nil
	return errors.Join(errs...)
}

func (s *Spool) ackPath() string { return filepath.Join(s.cfg.Dir, "acks") }

// readAcks reads the journal: numbers, each with a CRC; a torn tail is passed over, its entries are sent again.
func (s *Spool) readAcks() (map[uint64]bool, error) {
	data, err := os.ReadFile(s.ackPath())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("spool: %w", err)
	}
	acked := map[uint64]bool{}
	for ; len(data) >= 12; data = data[12:] {
		if crc32.Checksum(data[:8], castagnoli) != binary.LittleEndian.Uint32(data[8:]) {
			break
		}
		acked[binary.LittleEndian.Uint64(data)] = true
	}
	return acked, nil
}

func (s *Spool) writeAck(w io.Writer, id uint64) error {
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], id)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli))
	if _, err := w.Write(b[:]); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// rewriteAcks writes the journal anew with what still matters, and puts it in place at once.
func (s *Spool) rewriteAcks() error {
	tmp := s.ackPath() + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	for _, seg := range s.segments {
		for id := seg.first; id < seg.first+seg.count; id++ {
			if seg.done[id] {
				err = errors.Join(err, s.writeAck(f, id))
			}
		}
	}
	if err = errors.Join(err, f.Sync(), os.Rename(tmp, s.ackPath())); err != nil {
		return errors.Join(fmt.Errorf("spool: %w", err), f.Close())
	}
	if s.acks != nil {
		err = s.acks.Close()
	}
	s.acks = f
	return errors.Join(err, s.syncDir())
}

func (s *Spool) syncDir() error {
	d, err := os.Open(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
