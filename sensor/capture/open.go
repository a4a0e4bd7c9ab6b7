package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"neuromast/sensor/packet"
)

// maxOpen is how many inputs are open with read-ahead at a time: 16 MiB of it, and far from the usual limit of open
// files. Of more, those whose next frame lies furthest ahead are closed until it is due.
const maxOpen = 64

// Open opens captures as one timeline, merged by packet time; equal times in the order of the paths. A path is a file, a
// directory (the files in it, by name, not those of its folders), or "-" for stdin. pcap and pcapng are read, also packed
// by gzip or zstd.
//
// A named file that is not a capture is an error that says what it begins with. A file of a directory that is none is
// left out, and Inputs says so in its Damage. The digest of a file is known at once, that of a pipe when its first MiB
// has been read.
//
// Batches of the source trade their buffers: after ReadBatch, Buf may be another slice than before.
func Open(paths []string, stdin io.Reader) (Source, error) {
	s := &files{}
	for _, path := range paths {
		if err := s.add(path, stdin); err != nil {
			s.Close()
			return nil, err
		}
	}
	if len(s.all) == 0 {
		return nil, errors.New("no capture to read")
	}
	return s, nil
}

// files is the merge of inputs. Its heap orders those that have frames left by (time of the next frame, index); only
// the first may have none read ahead.
type files struct {
	all  []*input
	heap []head
	open int // inputs that are open and not pipes
	err  error
}

// head is an input's place in the heap.
type head struct {
	in *input
	at packet.Time
}

func (h head) before(o head) bool {
	return h.at < o.at || h.at == o.at && h.in.index < o.in.index
}

// add opens a path and what lies in it.
func (s *files) add(path string, stdin io.Reader) error {
	if st, err := os.Stat(path); path == "-" || err != nil || !st.IsDir() {
		return s.addInput(path, stdin)
	}
	entries, err := os.ReadDir(path) // in the order of names
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		st, err := os.Stat(name) // a link counts as what it leads to
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		var not *notCapture
		switch err := s.addInput(name, nil); {
		case err == nil:
			found = true
		case errors.As(err, &not):
			in := &input{Input: Input{Name: name, Size: st.Size(), Damage: "left out, " + not.Error()}, over: true}
			in.read.Store(in.Size)
			s.all = append(s.all, in)
		default:
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s: the directory holds no capture", path)
	}
	return nil
}

func (s *files) addInput(path string, stdin io.Reader) error {
	in, err := openInput(path, uint32(len(s.all)), stdin)
	if err != nil {
		if path == "-" {
			path = "stdin"
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	s.all = append(s.all, in)
	if in.over {
		return nil
	}
	s.heap = append(s.heap, head{in, in.batch.Frames[0].At})
	s.up(len(s.heap) - 1)
	if in.live {
		return nil
	}
	s.open++
	return s.shut()
}

// shut closes the inputs whose next frames lie furthest ahead while too many are open.
func (s *files) shut() error {
	for s.open > maxOpen {
		var last head
		for _, h := range s.heap[1:] {
			if h.in.open && !h.in.live && (last.in == nil || last.before(h)) {
				last = h
			}
		}
		if err := last.in.park(); err != nil {
			return err
		}
		s.open--
	}
	return nil
}

// Inputs describes what was read so far.
func (s *files) Inputs() []Input {
	all := make([]Input, len(s.all))
	for i, in := range s.all {
		all[i] = in.Input
	}
	return all
}

// Progress returns stored bytes read and in total. It may be called while another goroutine reads.
func (s *files) Progress() (read, total int64) {
	for _, in := range s.all {
		read += in.read.Load()
		if in.Size < 0 {
			total = -1
		} else if total >= 0 {
			total += in.Size
		}
	}
	return read, total
}

// Close closes what is open; what was not read stays unread.
func (s *files) Close() error {
	var errs []error
	for _, in := range s.all {
		errs = append(errs, in.close())
	}
	s.heap, s.err = nil, io.EOF
	return errors.Join(errs...)
}
