package dns

import (
	"bytes"
	"math/bits"
	"math/rand/v2"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// open is a query that waits for its answer. It has no pointers; numbers of other entries count from 1, 0 is none.
type open struct {
	conn         flows.Conn
	ref          flows.Ref
	at           packet.Time
	deadline     packet.Time
	chain        int32 // next of the same bucket, or of the free list
	older, newer int32 // order of deadlines
	id           uint16
	typ, class   uint16
	flags        uint16
	size         uint16 // bytes on the wire
	nameLen      uint8
	mixed        bool
	turned       bool // asked by the responder of the conversation
	told         bool // asked a group and told at once; kept to know repetitions
	app          flows.App
	name         [maxName]byte
}

func (p *open) question() []byte { return p.name[:p.nameLen] }

// pending holds the open queries of a shard by (flow, DNS id), in order of deadline. Entries come in chunks that are
// never moved and are reused latest first, so that a shard pays for the queries it really has open.
type pending struct {
	buckets        []int32
	chunks         []*[chunkLen]open
	max, used      int32
	free           int32
	oldest, newest int32
	seed           uint64 // differs between processes, so that nobody can aim at one bucket; no result depends on it
}

const chunkLen = 32

func newPending(limit int) pending {
	size := 1 << bits.Len(uint(limit-1))
	return pending{buckets: make([]int32, size), max: int32(limit), seed: rand.Uint64()}
}

func (t *pending) entry(i int32) *open {
	i--
	return &t.chunks[i/chunkLen][i%chunkLen]
}

func (t *pending) bucket(flow uint64, id uint16) *int32 {
	hi, lo := bits.Mul64(flow^t.seed, uint64(id)*0x9e3779b97f4a7c15^t.seed>>7|1)
	return &t.buckets[(hi^lo)&uint64(len(t.buckets)-1)]
}

// find returns the open query that a message of the same flow and id belongs to, 0 where there is none. Without a
// question (q nil) the latest of them matches.
func (t *pending) find(flow uint64, id uint16, q *question) int32 {
	for i := *t.bucket(flow, id); i != 0; {
		p := t.entry(i)
		if p.conn.ID == flow && p.id == id &&
			(q == nil || p.typ == q.typ && p.class == q.class && bytes.Equal(p.question(), q.name.bytes())) {
			return i
		}
		i = p.chain
	}
	return 0
}

func (t *pending) full() bool { return t.free == 0 && t.used == t.max }

// add returns a new entry, the newest, to be filled by the caller; the table must not be full. The deadline never lies
// before that of an older entry.
func (t *pending) add(flow uint64, id uint16, at packet.Time) *open {
	i := t.free
	if i != 0 {
		t.free = t.entry(i).chain
	} else {
		if int(t.used) == len(t.chunks)*chunkLen {
			t.chunks = append(t.chunks, new([chunkLen]open))
		}
		t.used++
		i = t.used
	}
	p := t.entry(i)
	p.conn.ID, p.id = flow, id
	p.deadline = at.Add(Timeout)
	p.older, p.newer = t.newest, 0
	if t.newest != 0 {
		before := t.entry(t.newest)
		p.deadline = max(p.deadline, before.deadline)
		before.newer = i
	} else {
		t.oldest = i
	}
	t.newest = i
	b := t.bucket(flow, id)
	p.chain, *b = *b, i
	return p
}

func (t *pending) remove(i int32) {
	p := t.entry(i)
	if p.older != 0 {
		t.entry(p.older).newer = p.newer
	} else {
		t.oldest = p.newer
	}
	if p.newer != 0 {
		t.entry(p.newer).older = p.older
	} else {
		t.newest = p.older
	}
	at := t.bucket(p.conn.ID, p.id)
	for *at != i {
		at = &t.entry(*at).chain
	}
	*at = p.chain
	p.chain, t.free = t.free, i
}
