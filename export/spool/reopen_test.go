package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func config(dir string) Config {
	c := Default()
	c.Dir, c.Sync = dir, false
	return c
}

func open(t testing.TB, c Config) (*Spool, []string) {
	t.Helper()
	s, entries, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, string(e.Data))
	}
	return s, got
}

func put(t testing.TB, s *Spool, text string) uint64 {
	t.Helper()
	id, err := s.Append([]byte(text), time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestReopenKeepsWhatWasNotAcknowledged: five entries, the second and fourth acknowledged.
func TestReopenKeepsWhatWasNotAcknowledged(t *testing.T) {
	c := config(t.TempDir())
	s, _ := open(t, c)
	for i := range 5 {
		if id := put(t, s, fmt.Sprint("entry ", i)); i == 1 || i == 3 {
			if err := errors.Join(s.Ack(id), s.Ack(id)); err != nil { // twice does nothing
				t.Fatal(err)
			}
		}
	}
	if s.Stats().Waiting != 3 {
		t.Errorf("%+v", s.Stats())
	}
	s.Close()
	s, got := open(t, c)
	defer s.Close()
	if want := []string{"entry 0", "entry 2", "entry 4"}; !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	if b, err := s.Read(3); err != nil || string(b) != "entry 2" {
		t.Errorf("Read: %q %v", b, err)
	}
	if _, err := s.Read(2); err == nil {
		t.Error("an acknowledged entry can be read")
	}
	if id := put(t, s, "later"); id != 6 {
		t.Errorf("number %d, want 6", id)
	}
}

// TestEveryTornTail cuts the segment at every length: what is whole comes back in order, the rest is counted, and the
// spool goes on.
func TestEveryTornTail(t *testing.T) {
	c := config(t.TempDir())
	s, _ := open(t, c)
	want := []string{"one", "the second", "", "four"}
	for _, text := range want {
		put(t, s, text)
	}
	s.Close()
	path := filepath.Join(c.Dir, fmt.Sprintf("%016x.seg", 1))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ends := map[int]bool{0: true}
	at := 0
	for _, text := range want {
		at += headBytes + len(text)
		ends[at] = true
	}
	for n := range len(whole) + 1 {
		c := config(t.TempDir())
		if err := os.WriteFile(filepath.Join(c.Dir, filepath.Base(path)), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s, got := open(t, c)
		if !slices.Equal(got, want[:len(got)]) || (s.Stats().Torn == 0) != ends[n] {
			t.Errorf("cut at %d: got %q, torn %d", n, got, s.Stats().Torn)
		}
		put(t, s, "later")
		s.Close()
		s, again := open(t, c)
		s.Close()
		if len(again) != len(got)+1 || again[len(got)] != "later" {
			t.Errorf("cut at %d: then %q", n, again)
		}
	}
}

// TestFlippedByte damages each byte in turn: no entry comes back changed.
func TestFlippedByte(t *testing.T) {
	c := config(t.TempDir())
	s, _ := open(t, c)
	put(t, s, "first")
	put(t, s, "second")
	s.Close()
	path := filepath.Join(c.Dir, fmt.Sprintf("%016x.seg", 1))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 0x40
		c := config(t.TempDir())
		if err := os.WriteFile(filepath.Join(c.Dir, filepath.Base(path)), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, got := open(t, c)
		s.Close()
		if !slices.Equal(got, []string{"first", "second"}[:len(got)]) || len(got) == 2 {
			t.Errorf("byte %d: got %q", i, got)
		}
	}
}

// TestDamagedAcknowledgements holds that they cost a repetition, never an entry.
func TestDamagedAcknowledgements(t *testing.T) {
	c := config(t.TempDir())
	s, _ := open(t, c)
	put(t, s, "a")
	id := put(t, s, "b")
	if err := s.Ack(id); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := os.WriteFile(s.ackPath(), []byte("not a journal at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, got := open(t, c)
	s.Close()
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q", got)
	}
}

// TestFullAndRoomAgain: an entry of 300 KiB fits three times into 1 MiB; space comes back with whole segments only.
func TestFullAndRoomAgain(t *testing.T) {
	c := config(t.TempDir())
	c.MaxBytes = 2 * segmentBytes
	s, _ := open(t, c)
	defer s.Close()
	big := string(make([]byte, 300<<10))
	var ids []uint64
	for {
		id, err := s.Append([]byte(big), time.Unix(1, 0))
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if n := s.Stats().Bytes; n > c.MaxBytes || n < c.MaxBytes-int64(len(big))-headBytes {
		t.Fatalf("full at %d of %d bytes", n, c.MaxBytes)
	}
	for _, id := range ids {
		if err := s.Ack(id); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, big)
	if s.Stats().Waiting != 1 {
		t.Errorf("%+v", s.Stats())
	}
}

func TestOneProcessAtATime(t *testing.T) {
	c := config(t.TempDir())
	s, _ := open(t, c)
	if _, _, err := Open(c); err == nil {
		t.Error("a second one opens it")
	}
	s.Close()
	s, _ = open(t, c)
	s.Close()
}

func TestValidate(t *testing.T) {
	d := Default()
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{}).Validate(); err == nil {
		t.Error("an empty configuration is valid")
	}
}

// FuzzOpen holds that no bytes of a segment or of the journal make Open panic, fail to end, or give what was not whole.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	c := config(dir)
	s, _ := open(f, c)
	put(f, s, "first")
	id := put(f, s, "second")
	if err := s.Ack(id); err != nil {
		f.Fatal(err)
	}
	acks, err := os.ReadFile(s.ackPath())
	if err != nil {
		f.Fatal(err)
	}
	s.Close()
	seg, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%016x.seg", 1)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seg, acks)
	f.Add(seg[:len(seg)-3], []byte{})
	f.Fuzz(func(t *testing.T, seg, acks []byte) {
		c := config(t.TempDir())
		if os.WriteFile(filepath.Join(c.Dir, fmt.Sprintf("%016x.seg", 1)), seg, 0o600) != nil || os.WriteFile(filepath.Join(c.Dir, "acks"), acks, 0o600) != nil {
			t.Skip("the file system refuses the test's files")
		}
		s, first := open(t, c)
		s.Close()
		s, again := open(t, c)
		s.Close()
		if !slices.Equal(first, again) {
			t.Errorf("first %q, then %q", first, again)
		}
	})
}
