package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"neuromast/sensor/capture"
	"neuromast/sensor/packet"
)

// Real is the captures under a directory, merged so often with other addresses: traffic that nobody made up. Only
// Ethernet is taken. Gaps are cut to two seconds and starts spread over a minute.
type Real struct {
	Dir    string
	Copies int
}

// one is a frame of the merge; the frame lies in memory.
type one struct {
	us   int64
	data []byte
	wire uint32
}

// Write writes the capture as pcap and says how many captures were left out.
func (m Real) Write(w io.Writer, said io.Writer) error {
	var paths []string
	err := filepath.WalkDir(m.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	var all []one
	left := 0
	for i, path := range paths {
		frames, err := load(path)
		if err != nil || len(frames) == 0 {
			left++
			continue
		}
		start := int64(i) * 60e6 / int64(len(paths))
		at := start
		for k := range frames {
			if k > 0 {
				at += min(max(frames[k].us-frames[k-1].us, 0), 2e6)
			}
			f := frames[k]
			f.us = at
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b one) int { return int(min(max(a.us-b.us, -1), 1)) })
	out := newFrames(w)
	for k := range m.Copies {
		for i := range all {
			f := &all[i]
			n := copy(out.b[16:], f.data)
			if n < len(f.data) {
				continue // longer than any frame that we make
			}
			move(out.b[16:16+n], byte(k))
			out.record(f.us+int64(k)*all[len(all)-1].us, n, f.wire)
		}
	}
	fmt.Fprintf(said, "real: %d captures merged %d times, %d files left out (no capture, or not Ethernet)\n", len(paths)-left, m.Copies, left)
	return out.err
}

// load reads a capture of Ethernet frames.
func load(path string) (frames []one, err error) {
	src, err := capture.Open([]string{path}, nil)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	for {
		var b capture.Batch
		if err := src.ReadBatch(&b); errors.Is(err, io.EOF) {
			return frames, nil
		} else if err != nil {
			return nil, err
		}
		for i := range b.Frames {
			f := &b.Frames[i]
			if f.Link != packet.LinkEthernet {
				return nil, errors.New("not Ethernet")
			}
			frames = append(frames, one{int64(f.At) / 1000, f.Data, f.WireLen})
		}
	}
}

// move gives a frame's unicast addresses to copy k of the network: the second byte of IPv4 addresses, the eighth of IPv6
// ones, with mended checksums (RFC 1624).
func move(b []byte, k byte) {
	if k == 0 || len(b) < 14 {
		return
	}
	at := 12
	for at+4 <= len(b) && (binary.BigEndian.Uint16(b[at:]) == 0x8100 || binary.BigEndian.Uint16(b[at:]) == 0x88a8) {
		at += 4
	}
	if at+2 > len(b) {
		return
	}
	switch kind, p := binary.BigEndian.Uint16(b[at:]), b[at+2:]; {
	case kind == 0x0800 && len(p) >= 20:
		header := int(p[0]&15) * 4
		for _, a := range []int{12, 16} {
			if p[a] < 224 && p[a] != 127 {
				change(p, a+1, k, 10)
				if header <= len(p) && p[6]&0x1f == 0 && p[7] == 0 {
					transport(p[header:], p[9], a+1, k, p[a+1])
				}
			}
		}
	case kind == 0x86dd && len(p) >= 40:
		for _, a := range []int{8, 24} {
			if p[a] != 0xff {
				old := p[a+7]
				p[a+7] ^= k
				transport(p[40:], p[6], a+7, k, old^k)
			}
		}
	}
}

// change alters a byte at an offset and mends the checksum at sum.
func change(p []byte, at int, k byte, sum int) {
	old := p[at]
	p[at] ^= k
	mend(p[sum:], at, old, p[at])
}

// transport mends the checksum of TCP or UDP, which covers the addresses.
func transport(p []byte, proto byte, at int, k, now byte) {
	sum := map[byte]int{6: 16, 17: 6}[proto]
	if sum == 0 || len(p) < sum+2 || proto == 17 && p[6] == 0 && p[7] == 0 {
		return
	}
	mend(p[sum:], at, now^k, now)
}

// mend is RFC 1624's equation 3 for one byte at an even or odd offset.
func mend(sum []byte, at int, old, now byte) {
	shift := 8 * (1 - at%2)
	hc := uint32(^binary.BigEndian.Uint16(sum))
	hc += uint32(^(uint16(old) << shift)) + uint32(now)<<shift
	binary.BigEndian.PutUint16(sum, ^fold(hc))
}

// record writes the frame in place with its own lengths.
func (f *frames) record(us int64, n int, wire uint32) {
	if f.err != nil {
		return
	}
	le := binary.LittleEndian
	le.PutUint32(f.b[0:], uint32(startSecond+us/1e6))
	le.PutUint32(f.b[4:], uint32(us%1e6))
	le.PutUint32(f.b[8:], uint32(n))
	le.PutUint32(f.b[12:], max(wire, uint32(n)))
	_, f.err = f.w.Write(f.b[:16+n])
}
