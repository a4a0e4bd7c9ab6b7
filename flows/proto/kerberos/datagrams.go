package kerberos

import (
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

const (
	maxOpen = 1024 // open requests over UDP per shard, about 500 bytes each; chosen by us
	timeout = packet.Time(10 * time.Second)
)

// Datagrams reads Kerberos over UDP for one shard: a datagram is a message (RFC 4120, 7.2.1).
type Datagrams struct {
	stats *Stats
	open  map[uint64]*pending
	queue []*pending // by deadline; answered ones stay in it until their turn
	spare []*pending
	ans   answer
}

type pending struct {
	request
	conn     flows.Conn
	deadline packet.Time
}

// NewDatagrams returns the reader of a shard, which counts in stats.
func NewDatagrams(stats *Stats) *Datagrams {
	return &Datagrams{stats: stats, open: map[uint64]*pending{}}
}

// Datagram implements stream.Datagrams.
func (d *Datagrams) Datagram(out *flows.Out, c *flows.Conn, _ flows.Dir, b []byte, _ int, ref flows.Ref) {
	if len(b) < 2 || !known(b[0]) {
		return
	}
	p := d.open[c.ID]
	if isRequest(b[0]) {
		if p == nil {
			p = d.take(out)
			p.conn, p.deadline = *c, out.Now+timeout
		} else if p.request.open {
			return // asked again
		}
		if !p.request.read(b) {
			d.stats.Malformed++
		} else {
			p.request.open, p.request.ref = true, ref
		}
		if d.open[c.ID] == nil {
			d.open[c.ID] = p
			d.queue = append(d.queue, p)
		}
		return
	}
	if !d.ans.read(b) {
		d.stats.Malformed++
		return
	}
	if p == nil || !p.request.open {
		write(out, c, &request{}, &d.ans, ref, d.stats)
		return
	}
	write(out, c, &p.request, &d.ans, ref, d.stats)
	p.request.open = false
}

// take returns an entry, the oldest one if there are too many.
func (d *Datagrams) take(out *flows.Out) *pending {
	if len(d.queue) >= maxOpen {
		if d.queue[0].open {
			d.stats.Evicted++
		}
		d.drop(out)
	}
	if n := len(d.spare); n > 0 {
		p := d.spare[n-1]
		d.spare = d.spare[:n-1]
		return p
	}
	return &pending{}
}

// drop forgets the oldest request; one without an answer is written.
func (d *Datagrams) drop(out *flows.Out) {
	p := d.queue[0]
	d.queue = d.queue[1:]
	delete(d.open, p.conn.ID)
	if p.open {
		write(out, &p.conn, &p.request, nil, p.ref, d.stats)
		p.open = false
	}
	d.spare = append(d.spare, p)
}

// Advance implements stream.Datagrams.
func (d *Datagrams) Advance(out *flows.Out, to packet.Time) {
	now := out.Now
	for len(d.queue) > 0 && d.queue[0].deadline <= to {
		out.Now = d.queue[0].deadline
		d.drop(out)
	}
	out.Now = now
}
