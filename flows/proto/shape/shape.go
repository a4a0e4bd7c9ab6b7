// Package shape measures what the sizes and times of a session's messages tell where their contents are sealed.
//
// A message is payload of one direction whose parts follow each other within 5 ms. A key is a message of at most 128 bytes
// that the other side answers within 200 ms by as small a one, its echo, and that is followed by the same side's next
// message 30 ms to 2 s after the echo and at least twice as long after it as the echo took: who types waits, who echoes does
// not. So it shows on which side the person sits, whichever side opened the connection, and programs that ask and answer as
// fast as they can type nothing. A key struck by a program is a message of two parts of at most 128 bytes within 2 ms, the
// press and the release, 4 to 40 ms after the one before: fingers hold a key for 50 ms and more, and type ten keys a second.
//
// Measured between OpenSSH 9.2 over a virtual link, 69 keys with log-normal waits of a median of 160 ms: 60 typed by the client,
// 61 with a delay of 40 ms, 59 through ssh -L, and 57 by the server's side through ssh -R; none in keepalives and loops of a
// shell, at most 1 in scp, sftp and top. A program that sends a line every 0.7 s to cat types 28, with a deviation of 2 % of the
// wait; people's is 44 to 134 %. A Shape takes 290 bytes, and a full segment of a file some nanoseconds.
package shape

import (
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Bounds of the package comment.
const (
	joined   = packet.Time(5 * time.Millisecond)
	small    = 128
	echo     = packet.Time(200 * time.Millisecond)
	minWait  = packet.Time(30 * time.Millisecond)
	maxWait  = packet.Time(2 * time.Second)
	struckIn = packet.Time(2 * time.Millisecond)
	minBeat  = packet.Time(4 * time.Millisecond)
	maxBeat  = packet.Time(40 * time.Millisecond)
	full     = 1000 // bytes of a segment or record that is one of many: chosen by us below every usual segment's size
	span     = packet.Time(10 * time.Second)
	activeIn = 20 // messages of the originator that make a span active: two a second; idle desktops send one
	sayFrom  = 8  // messages of a session that is told,
	orBytes  = 1 << 16
)

// Shape measures one session.
type Shape struct {
	cur, prev, before message
	first, last       packet.Time
	struck            packet.Time // start of the last struck key
	firstRef, lastRef flows.Ref
	bytes, bulk       [2]uint64
	waits             [2]float64 // after typed keys: sum in ms
	squares           [2]float64
	messages, typed   [2]uint32
	alike             [2]uint32
	size              [2]uint32 // of the last typed key
	small             [2]uint32
	struckKeys        uint32
	active            uint32
	inSpan            uint32 // messages of the originator in the span
	span              packet.Time
	said              uint64 // bytes when it was told last
}

// message is payload of one direction in one go; parts 0: none.
type message struct {
	start, last packet.Time
	bytes       uint32
	parts       uint32
	dir         flows.Dir
}

func (m *message) small() bool { return m.bytes <= small }

// Reset forgets what was measured.
func (s *Shape) Reset() { *s = Shape{} }

// Bytes returns how many were measured.
func (s *Shape) Bytes() uint64 { return s.bytes[flows.Orig] + s.bytes[flows.Resp] }

// Bulk returns how many were in full segments.
func (s *Shape) Bulk() uint64 { return s.bulk[flows.Orig] + s.bulk[flows.Resp] }

// Take enters a part of a message: a segment, or a record that is larger or smaller than one.
func (s *Shape) Take(now packet.Time, dir flows.Dir, size int, ref flows.Ref) {
	now = max(now, s.last)
	s.bytes[dir] += uint64(size)
	if size >= full {
		s.bulk[dir] += uint64(size)
	}
	c := &s.cur
	if c.dir == dir && now-c.last <= joined && c.parts > 0 {
		c.bytes += uint32(min(size, 1<<16))
		c.parts++
	} else {
		if s.first == 0 {
			s.first, s.firstRef = now, ref
		}
		s.next(now, dir)
		*c = message{start: now, bytes: uint32(size), parts: 1, dir: dir}
	}
	c.last, s.last, s.lastRef = now, now, ref
}

// next ends the message under way; one of direction dir begins.
func (s *Shape) next(now packet.Time, dir flows.Dir) {
	if n := (now - s.first) / span; n != s.span {
		s.span, s.inSpan = n, 0
	}
	if dir == flows.Orig {
		if s.inSpan++; s.inSpan == activeIn {
			s.active++
		}
	}
	if s.cur.parts == 0 {
		return
	}
	s.end()
	s.before, s.prev = s.prev, s.cur
	key, answer := &s.before, &s.prev
	if key.parts == 0 || key.dir != dir || answer.dir == dir || !key.small() || !answer.small() {
		return
	}
	took, wait := answer.start-key.last, now-answer.last
	if took <= echo && wait >= minWait && wait <= maxWait && wait >= 2*took {
		s.typed[dir]++
		if key.bytes == s.size[dir] {
			s.alike[dir]++
		}
		s.size[dir] = key.bytes
		ms := float64(wait) / 1e6
		s.waits[dir] += ms
		s.squares[dir] += ms * ms
	}
}

// end counts the message under way.
func (s *Shape) end() {
	c := &s.cur
	s.messages[c.dir]++
	if !c.small() {
		return
	}
	s.small[c.dir]++
	if c.parts == 2 && c.dir == flows.Orig && c.last-c.start <= struckIn {
		if beat := c.start - s.struck; beat >= minBeat && beat <= maxBeat {
			s.struckKeys++
		}
		s.struck = c.start
	}
}

// Tell writes the session's shape so far, where there is one and it changed since it was told.
func (s *Shape) Tell(out *flows.Out, c *flows.Conn, app flows.App, in flows.Outcome, final bool) {
	total := s.Bytes()
	if s.messages[flows.Orig]+s.messages[flows.Resp] < sayFrom && total < orBytes || total == s.said && !final {
		return
	}
	s.said = total
	f := flows.Session{
		Meta: flows.Meta{Ref: s.lastRef}, Conn: *c, FirstRef: s.firstRef, First: s.first, Last: s.last, App: app, Messages: s.messages, Small: s.small,
		Bytes: s.bytes, Bulk: s.bulk, Typed: s.typed, Alike: s.alike, Struck: s.struckKeys, Active: s.active, Spans: uint32((s.last-s.first)/span) + 1, LoggedIn: in, Final: final,
	}
	for d, n := range s.typed {
		if n > 0 {
			mean := s.waits[d] / float64(n)
			f.Pace[d] = uint32(mean)
			f.Spread[d] = uint32(max(s.squares[d]/float64(n)-mean*mean, 0))
		}
	}
	out.Session(&f)
}
