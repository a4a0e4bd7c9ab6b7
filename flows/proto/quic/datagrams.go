package quic

import (
	"encoding/binary"
	"time"

	"neuromast/flows"
	"neuromast/flows/proto/tls"
	"neuromast/sensor/packet"
)

const (
	maxOpen      = 256 // conversations of a shard
	maxDerived   = 256 // derivations of keys by a shard in a second of packet time
	maxAgain     = 3   // derivations of keys for one conversation
	maxDatagrams = 16  // of the client, until its ClientHello is whole
	maxCoalesced = 4   // packets of one datagram
	maxHello     = 16 << 10
	maxPieces    = 64
	minInitial   = 1200 // bytes of a datagram with an Initial packet of a client (RFC 9000, 14.1)
	follow       = packet.Time(10 * time.Second)
	clientHello  = 1
)

// Datagrams reads the QUIC conversations of one shard.
type Datagrams struct {
	stats   *Stats
	hellos  *tls.Hellos
	open    map[uint64]*conversation
	queue   []*conversation // by deadline
	spare   []*conversation
	scratch scratch
	second  packet.Time
	derived int // in second
}

// conversation is the client's side up to its ClientHello.
type conversation struct {
	id        uint64
	deadline  packet.Time
	keys      keys
	dcid      [20]byte
	dcidLen   int
	version   *version
	tries     int
	datagrams int
	done      bool
	buf       []byte // the handshake message, as far as it is there
	pieces    []piece
}

// piece is a range of the handshake message that is there: begin, end.
type piece struct{ from, to int }

// NewDatagrams returns the reader of a shard, which counts in stats.
func NewDatagrams(stats *Stats, hellos *tls.Hellos) *Datagrams {
	return &Datagrams{stats: stats, hellos: hellos, open: map[uint64]*conversation{}}
}

// Datagram implements stream.Datagrams.
func (d *Datagrams) Datagram(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, wire int, ref flows.Ref) {
	if dir != flows.Orig || wire < minInitial || len(b) < 7 || b[0]&0xc0 != 0xc0 {
		return
	}
	v := d.open[c.ID]
	if v != nil && v.done {
		return
	}
	if wire > len(b) {
		d.stats.Cut++
		return
	}
	for range maxCoalesced {
		h, ok := longHeader(b)
		if !ok {
			break
		}
		if h.version != nil {
			if v == nil {
				if v = d.begin(out, c.ID); v == nil {
					return
				}
			}
			if d.packet(out, c, v, b, &h, ref); v.done {
				return
			}
		}
		b = b[h.end:]
	}
	if v != nil {
		if v.datagrams++; v.datagrams >= maxDatagrams {
			d.stats.GaveUp++
			v.end()
		}
	}
}

// end says that nothing more is read of the conversation.
func (v *conversation) end() {
	v.done, v.keys, v.buf, v.pieces = true, keys{}, v.buf[:0], v.pieces[:0]
	if cap(v.buf) > 4<<10 {
		v.buf = nil
	}
}

// begin follows a new conversation.
func (d *Datagrams) begin(out *flows.Out, id uint64) *conversation {
	if len(d.queue) >= maxOpen {
		if !d.queue[0].done {
			d.stats.Evicted++
		}
		d.drop()
	}
	v := &conversation{}
	if n := len(d.spare); n > 0 {
		v, d.spare = d.spare[n-1], d.spare[:n-1]
	}
	*v = conversation{id: id, deadline: out.Now + follow, buf: v.buf[:0], pieces: v.pieces[:0]}
	d.open[id] = v
	d.queue = append(d.queue, v)
	return v
}

// drop forgets the oldest conversation.
func (d *Datagrams) drop() {
	v := d.queue[0]
	d.queue = d.queue[1:]
	delete(d.open, v.id)
	v.keys = keys{}
	d.spare = append(d.spare, v)
}

// Advance implements stream.Datagrams.
func (d *Datagrams) Advance(_ *flows.Out, to packet.Time) {
	for len(d.queue) > 0 && d.queue[0].deadline <= to {
		if !d.queue[0].done {
			d.stats.GaveUp++
		}
		d.drop()
	}
}

// packet opens an Initial packet and takes what it holds of the ClientHello.
func (d *Datagrams) packet(out *flows.Out, c *flows.Conn, v *conversation, b []byte, h *header, ref flows.Ref) {
	frames, ok := []byte(nil), false
	if v.version == h.version {
		frames, ok = v.keys.open(d.scratch.plain, b, h, &d.scratch)
	}
	if !ok && (v.version != h.version || string(v.dcid[:v.dcidLen]) != string(h.dcid)) { // the first, or after Retry or another version
		if v.tries >= maxAgain {
			return
		}
		if second := out.Now / packet.Time(time.Second); second != d.second {
			d.second, d.derived = second, 0
		}
		if d.derived >= maxDerived {
			d.stats.Skipped++
			v.end()
			return
		}
		d.derived++
		v.tries++
		k, err := derive(h.version, h.dcid)
		if err != nil {
			v.end()
			return
		}
		if frames, ok = k.open(d.scratch.plain, b, h, &d.scratch); ok {
			v.keys, v.version, v.dcidLen = k, h.version, copy(v.dcid[:], h.dcid)
			v.buf, v.pieces = v.buf[:0], v.pieces[:0]
		} else if v.version == nil {
			d.stats.Foreign++
			v.end()
			return
		}
	}
	if !ok {
		return
	}
	d.scratch.plain = frames
	if !v.frames(frames) {
		d.stats.Malformed++
		v.end()
		return
	}
	if len(v.pieces) == 0 || v.pieces[0].from != 0 || v.pieces[0].to < 4 {
		return
	}
	size := 4 + int(binary.BigEndian.Uint32(v.buf)&0xffffff)
	switch {
	case v.buf[0] != clientHello:
		d.stats.Malformed++
		v.end()
	case size > maxHello:
		d.stats.GaveUp++
		v.end()
	case v.pieces[0].to >= size:
		if d.hellos.Write(out, c, v.buf[4:size], ref) {
			d.stats.Hellos++
		} else {
			d.stats.Malformed++
		}
		v.end()
	}
}

// frames takes the handshake's bytes out of the frames that an Initial packet may hold (RFC 9000, 12.4, 19).
func (v *conversation) frames(b []byte) bool {
	number := func() (n uint64, ok bool) {
		n, size := varint(b)
		b = b[size:]
		return n, size > 0
	}
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		switch kind {
		case 0, 1: // padding, ping
		case 2, 3: // acknowledgment
			var fields [4]uint64 // largest, delay, ranges, first range
			for i := range fields {
				var ok bool
				if fields[i], ok = number(); !ok {
					return false
				}
			}
			more := 2 * fields[2]
			if kind == 3 {
				more += 3
			}
			if more > uint64(len(b)) {
				return false
			}
			for range more {
				if _, ok := number(); !ok {
					return false
				}
			}
		case 6: // handshake bytes
			at, ok := number()
			n, ok2 := number()
			if !ok || !ok2 || n > uint64(len(b)) {
				return false
			}
			if at+n > maxHello || !v.put(int(at), b[:n]) {
				return false
			}
			b = b[n:]
		case 0x1c: // the client gives up
			return true
		default:
			return false
		}
	}
	return true
}

// put enters a piece of the handshake message; false where there are too many.
func (v *conversation) put(at int, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	end := at + len(b)
	for len(v.buf) < end {
		v.buf = append(v.buf, make([]byte, end-len(v.buf))...)
	}
	copy(v.buf[at:], b)
	p := piece{at, end}
	kept := v.pieces[:0]
	where := 0
	for _, o := range v.pieces {
		if o.to < p.from || o.from > p.to {
			if o.to < p.from {
				where++
			}
			kept = append(kept, o)
			continue
		}
		p = piece{min(p.from, o.from), max(p.to, o.to)}
	}
	if len(kept) >= maxPieces {
		return false
	}
	kept = append(kept, piece{})
	copy(kept[where+1:], kept[where:])
	kept[where] = p
	v.pieces = kept
	return true
}
