package stream

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// reading collects what a reassembler gives: bytes, and a run of zeros for each gap.
type reading struct {
	got  []byte
	gaps int
}

func (r *reading) data(b []byte) bool { r.got = append(r.got, b...); return true }
func (r *reading) gap(n int)          { r.got = append(r.got, make([]byte, n)...); r.gaps += n }

// TestAnyOrderGivesTheStream holds that segments cut, repeated, overlapping and shuffled give the stream, over the wrap of
// the sequence numbers.
func TestAnyOrderGivesTheStream(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		stream := make([]byte, 1+rnd.IntN(4000))
		for i := range stream {
			stream[i] = byte(1 + i%255)
		}
		base := uint32(0) - uint32(rnd.IntN(3000)) // wraps within
		type seg struct{ from, to int }
		var segs []seg
		for at := 0; at < len(stream); {
			end := min(at+1+rnd.IntN(700), len(stream))
			segs = append(segs, seg{at, end})
			if rnd.IntN(3) == 0 {
				segs = append(segs, seg{max(at-rnd.IntN(300), 0), min(end+rnd.IntN(300), len(stream))})
			}
			at = end
		}
		rnd.Shuffle(len(segs), func(i, j int) { segs[i], segs[j] = segs[j], segs[i] })
		var r Reassembler
		var got reading
		r.Start(base)
		for _, s := range segs {
			b := bytes.Clone(stream[s.from:s.to])
			r.Add(base+uint32(s.from), b, 0, got.data, got.gap)
			clear(b) // the packet's memory is reused
		}
		if !bytes.Equal(got.got, stream) || got.gaps != 0 || r.bytes != 0 || len(r.pending) != 0 {
			t.Fatalf("seed %d: %d of %d bytes, gaps %d, %d pending", seed, len(got.got), len(stream), got.gaps, r.bytes)
		}
	}
}

func TestFirstBytesWin(t *testing.T) {
	var r Reassembler
	var got reading
	r.Start(10)
	r.Add(12, []byte("CD"), 0, got.data, got.gap)
	r.Add(10, []byte("abxyef"), 0, got.data, got.gap) // overlaps what waits, and goes beyond
	if string(got.got) != "abCDef" {
		t.Errorf("got %q", got.got)
	}
}

// TestHoles: bytes 2 and 3 never come. They are given up by the other side's acknowledgement, or at the end.
func TestHoles(t *testing.T) {
	for _, acked := range []bool{true, false} {
		var r Reassembler
		var got reading
		r.Add(0, []byte("ab"), 0, got.data, got.gap)
		r.Add(4, []byte("ef"), 0, got.data, got.gap)
		r.Acked(2, got.data, got.gap)
		if string(got.got) != "ab" {
			t.Fatalf("before: %q", got.got)
		}
		if acked {
			r.Acked(6, got.data, got.gap)
		} else {
			r.End(got.data, got.gap)
		}
		if string(got.got) != "ab\x00\x00ef" || got.gaps != 2 {
			t.Errorf("acked %v: got %q, %d missing", acked, got.got, got.gaps)
		}
	}
}

// TestBound holds that no more than MaxPending bytes wait, and that what is given up is counted.
func TestBound(t *testing.T) {
	var r Reassembler
	var got reading
	r.Start(0)
	b := make([]byte, 1000)
	for i := range uint32(2 * MaxPending / 1000) {
		r.Add(100+i*1000, b, 0, got.data, got.gap)
		if r.bytes > MaxPending {
			t.Fatalf("%d bytes wait", r.bytes)
		}
	}
	if got.gaps != 100 || r.Lost != 100 {
		t.Errorf("gaps %d, lost %d, want the 100 bytes that never came", got.gaps, r.Lost)
	}
}

func TestCutSegment(t *testing.T) {
	var r Reassembler
	var got reading
	r.Add(0, []byte("abcd"), 6, got.data, got.gap) // ten bytes on the wire
	r.Add(10, []byte("kl"), 0, got.data, got.gap)
	if len(got.got) != 12 || got.gaps != 6 {
		t.Errorf("got %q, %d missing", got.got, got.gaps)
	}
}

func TestNoAllocationInOrder(t *testing.T) {
	var r Reassembler
	var seq uint32
	b := make([]byte, 1400)
	data, gap := func([]byte) bool { return true }, func(int) {}
	if n := testing.AllocsPerRun(100, func() {
		r.Add(seq, b, 0, data, gap)
		seq += 1400
	}); n != 0 {
		t.Errorf("%v allocations per segment", n)
	}
}

// FuzzReassembler holds bounds and order whatever comes: bytes given never exceed the span of numbers seen.
func FuzzReassembler(f *testing.F) {
	f.Add([]byte{0, 0, 4, 0, 8, 4, 0, 2, 9})
	f.Add([]byte{255, 255, 30, 0, 0, 200, 1, 0, 7})
	f.Fuzz(func(t *testing.T, script []byte) {
		var r Reassembler
		var got reading
		buf := make([]byte, 256)
		for len(script) >= 3 {
			seq, size := uint32(script[0])<<8|uint32(script[1]), int(script[2])
			script = script[3:]
			if size == 255 {
				r.Acked(seq, got.data, got.gap)
			} else {
				r.Add(seq, buf[:size], size%3, got.data, got.gap)
			}
			if r.bytes > MaxPending || r.bytes < 0 || len(got.got) > 1<<18 {
				t.Fatalf("%d bytes wait, %d given", r.bytes, len(got.got))
			}
			for i := 1; i < len(r.pending); i++ {
				if a, b := r.pending[i-1], r.pending[i]; int32(b.seq-a.seq) < int32(len(a.data)) {
					t.Fatal("pending segments overlap")
				}
			}
		}
		r.End(got.data, got.gap)
		if r.bytes != 0 || len(r.pending) != 0 {
			t.Fatalf("%d bytes wait after the end", r.bytes)
		}
	})
}
