// Package fragment puts IP packets together from their fragments (RFC 791, 3.2; RFC 8200, 4.5): in packet time, within a
// bound of memory, innermost or around a tunnel.
//
// Where fragments overlap, the byte that came first is kept and the anomaly is counted; hosts differ in what they keep
// (RFC 5722 forbids overlaps), so that an overlap is always worth a look. What never becomes whole is handed on as far as
// it is there, with its ports if the first fragment came.
package fragment

import (
	"errors"
	"fmt"
	"time"

	"neuromast/sensor/packet"
)

// Config bounds the packets in work.
type Config struct {
	Timeout time.Duration `yaml:"timeout"` // packet time after which the fragments of a packet are given up
	Memory  int64         `yaml:"memory"`  // bytes that the fragments of unfinished packets may take
}

// Default returns the configuration that holds where nothing else is said. Linux waits 30 s, Windows 60 s (RFC 8200
// says 60): a sensor that gives up before the receiver can be evaded.
func Default() Config { return Config{Timeout: time.Minute, Memory: 32 << 20} }

// Validate names every wrong value.
func (c Config) Validate() error {
	var errs []error
	if c.Timeout < time.Second || c.Timeout > 10*time.Minute {
		errs = append(errs, fmt.Errorf("timeout: %v is not between 1s and 10m", c.Timeout))
	}
	if c.Memory < 1<<18 || c.Memory > 1<<32 {
		errs = append(errs, fmt.Errorf("memory: %d bytes are not between 262,144 and 4,294,967,296", c.Memory))
	}
	return errors.Join(errs...)
}

// Result says what became of a fragment.
type Result uint8

// The results of Add.
const (
	Held      Result = iota // waits for the others
	Whole                   // the packet handed in is now the whole one
	Duplicate               // was there already
	Alone                   // can't be joined: to be taken as it is
)

// repeatWindow is how long after a packet was whole its fragments are taken for copies that a mirror made.
const repeatWindow = 5 * time.Millisecond

// maxPieces bounds the holes of a packet. Chosen by us: a sender's fragments arrive nearly in order.
const maxPieces = 64

// maxLen is the largest IP packet's payload.
const maxLen = 65535

// perPacket is what a packet in work costs besides its bytes.
const perPacket = 1024

// Stats counts what was joined.
type Stats struct {
	Whole      uint64 // packets put together
	Incomplete uint64 // given up by time or memory
	Duplicates uint64 // fragments that were there already
}

// Joiner is the packets in work. It is used by one goroutine.
type Joiner struct {
	cfg     Config
	decoder packet.Decoder
	work    map[key]*packetInWork
	head    *packetInWork // oldest
	tail    *packetInWork
	memory  int64
	due     []*packetInWork // given up for memory, to be handed on by the next Due
	spare   [][]byte
	recent  [256]finished // packets that became whole, by slot
	stats   Stats
}

// finished is a packet that became whole: a copy of its fragments that comes now is no new packet.
type finished struct {
	key
	at packet.Time
}

// New makes an empty Joiner; whole packets are decoded on by decoder.
func New(cfg Config, decoder packet.Decoder) *Joiner {
	return &Joiner{cfg: cfg, decoder: decoder, work: map[key]*packetInWork{}}
}

// key names a packet among all that are fragmented (RFC 791: addresses, protocol, identification). IPv6 has no protocol
// in it, but its fragments agree on it.
type key struct {
	src, dst packet.Addr
	segment  packet.Segment
	id       uint32
	proto    packet.Proto
}

func (k *key) slot() uint8 { return uint8(k.id^k.id>>8) ^ k.src[15] ^ k.dst[15] }

// packetInWork is the fragments of one packet.
type packetInWork struct {
	key
	since      packet.Time
	last       packet.Packet // the fragment that came last, without its bytes
	pieces     []piece       // what is there, in order, not touching
	buf        []byte
	end        int // length of the whole, 0 while the last fragment has not come
	sound      int // bytes from 0 up to here are not cut by the capture
	ipLen      uint32
	frames     uint16
	prev, next *packetInWork
}

type piece struct{ from, to int }

// Stats returns the counters.
func (j *Joiner) Stats() Stats { return j.stats }

// Add takes a fragment. Where the result is Whole, p has become the whole packet and buf is the memory that it points
// into, to be given back by Recycle.
func (j *Joiner) Add(p *packet.Packet) (r Result, buf []byte) {
	f := &p.Frag
	n := int(f.Len)
	if n == 0 || int(f.Offset)+n > maxLen || f.More && n%8 != 0 {
		return Alone, nil
	}
	k := key{p.Src, p.Dst, p.Segment, f.ID, f.Proto}
	w := j.work[k]
	if w == nil {
		if r := &j.recent[k.slot()]; r.key == k && p.At.Sub(r.at) <= repeatWindow {
			j.stats.Duplicates++
			return Duplicate, nil
		}
		w = j.begin(k, p.At)
	}
	from, to := int(f.Offset), int(f.Offset)+n
	if !f.More {
		if w.end != 0 && w.end != to {
			p.Anomalies.Add(packet.FragmentOverlap)
		} else {
			w.end = to
		}
	}
	switch w.put(from, to, f.Data) {
	case repeated:
		j.stats.Duplicates++
		return Duplicate, nil
	case overlapping:
		p.Anomalies.Add(packet.FragmentOverlap)
	}
	if len(f.Data) < n {
		w.sound = min(w.sound, from+len(f.Data))
	}
	w.ipLen += p.IPLen
	w.frames++
	w.last = *p
	w.last.Payload, w.last.Frag.Data = nil, nil
	j.memory += j.grow(w, to)
	copyNew(w, from, f.Data)
	w.pieces = merge(w.pieces)
	if len(w.pieces) == 1 && w.pieces[0] == (piece{0, w.end}) {
		buf = w.buf[:w.end]
		j.decoder.Whole(p, buf[:min(w.sound, w.end)], w.end, w.ipLen, w.frames)
		j.stats.Whole++
		j.forget(w)
		j.recent[k.slot()] = finished{k, p.At}
		return Whole, buf
	}
	if len(w.pieces) > maxPieces {
		j.giveUp(w)
	}
	for j.memory > j.cfg.Memory && j.head != nil {
		j.giveUp(j.head)
	}
	return Held, nil
}

// Due hands on what is given up by now: packets as far as they are there.
func (j *Joiner) Due(now packet.Time, each func(p *packet.Packet, buf []byte)) {
	for j.head != nil && now.Sub(j.head.since) >= j.cfg.Timeout {
		j.giveUp(j.head)
	}
	for i, w := range j.due {
		each(j.incomplete(w, now), w.buf)
		j.due[i] = nil
	}
	j.due = j.due[:0]
}

// Finish hands on all that is in work.
func (j *Joiner) Finish(now packet.Time, each func(p *packet.Packet, buf []byte)) {
	for j.head != nil {
		j.giveUp(j.head)
	}
	j.Due(now, each)
}

// Recycle takes back the memory of a packet that nobody points into any more.
func (j *Joiner) Recycle(buf []byte) {
	if cap(buf) > 0 && len(j.spare) < 16 {
		j.spare = append(j.spare, buf[:0])
	}
}

// incomplete makes a packet of what is there.
func (j *Joiner) incomplete(w *packetInWork, now packet.Time) *packet.Packet {
	j.stats.Incomplete++
	p := &w.last
	p.At = now
	p.Anomalies = 0
	p.Anomalies.Add(packet.FragmentIncomplete)
	if w.pieces[0].from == 0 {
		there := w.pieces[0].to
		j.decoder.Whole(p, w.buf[:min(there, w.sound)], max(there, w.end), w.ipLen, w.frames)
		return p
	}
	p.Fragment, p.Frames, p.IPLen = packet.LaterFragment, w.frames, w.ipLen
	p.SrcPort, p.DstPort = 0, 0
	return p
}

func (j *Joiner) begin(k key, at packet.Time) *packetInWork {
	w := &packetInWork{key: k, since: at, sound: maxLen}
	if n := len(j.spare); n > 0 {
		w.buf, j.spare = j.spare[n-1], j.spare[:n-1]
	}
	j.memory += perPacket + int64(cap(w.buf))
	j.work[k] = w
	j.link(w)
	return w
}

// giveUp moves a packet in work to those that Due hands on.
func (j *Joiner) giveUp(w *packetInWork) {
	j.forget(w)
	j.due = append(j.due, w)
}

func (j *Joiner) forget(w *packetInWork) {
	delete(j.work, w.key)
	j.memory -= perPacket + int64(cap(w.buf))
	j.unlink(w)
}

func (j *Joiner) link(w *packetInWork) {
	w.prev, w.next = j.tail, nil
	if j.tail != nil {
		j.tail.next = w
	} else {
		j.head = w
	}
	j.tail = w
}

func (j *Joiner) unlink(w *packetInWork) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		j.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		j.tail = w.prev
	}
}
