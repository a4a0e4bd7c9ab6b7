package dnsinfo

import (
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// span is one of the windows.
type span uint8

const (
	minutes span = iota
	day
	month
	numSpans
)

var spanLength = [numSpans]time.Duration{10 * time.Minute, 24 * time.Hour, 30 * 24 * time.Hour}

var spanNames = [numSpans]string{"10 minutes", "a day", "30 days"}

// direction of information: names carry it up, answers down.
type direction uint8

const (
	up direction = iota
	down
)

// window sums what was new since it began.
type window struct {
	start packet.Time
	sum   [2]sketch.Distinct // by direction, bytes of different names and answers
	bytes [2]float64         // their estimates
}

func (w *window) add(d direction, hash uint64, weight int) (more float64) {
	if w.sum[d].AddWeighted(hash, uint32(weight)) {
		before := w.bytes[d]
		w.bytes[d] = max(before, w.sum[d].Estimate())
		more = w.bytes[d] - before
	}
	return more
}

// pairKey names a client and a registered domain.
type pairKey struct {
	client detectors.HostKey
	domain string
}

// small is a pair of which few names were asked: most are never more.
type small struct {
	hashes  [fullFrom]uint64
	lengths [fullFrom]uint8
	n       uint8
}

// fullFrom is how many different names make a pair worth full state.
const fullFrom = 8

// Bounds of what a pair keeps to explain itself.
const (
	maxNames  = 5
	maxFrames = detectors.MaxFlows
)

// pair is what is known of a client's questions below a domain.
type pair struct {
	key    pairKey
	first  packet.Time // first question of the episode
	last   packet.Time
	window [numSpans]window

	// Over the day's window.
	names      sketch.Distinct
	unique     float64
	questions  uint32
	carriers   uint32 // questions for types that carry data
	answers    uint32 // questions answered without error
	named      uint32 // addresses that answers named
	followed   uint32 // of them, those that the client then connected to
	loopback   uint32 // answers in 127.0.0.0/8
	internal   uint32 // answers that are internal addresses
	lookups    uint32 // names that are reversed addresses
	expansions uint32 // names under names that do not exist
	letters    letters

	server packet.Addr // who was asked last
	types  map[uint16]uint32
	sample []string
	conns  []flows.Conn
	refs   []flows.Ref

	episode packet.Time // start of what is being told; 0: nothing was said
	waiting bool
	dirty   bool
	said    float64 // bytes when last said
	grew    float64 // bytes when growth was last said
}

// roll begins the windows anew that are over.
func (p *pair) roll(now packet.Time, d *domain) {
	for s := range numSpans {
		w := &p.window[s]
		if w.start != 0 && now.Sub(w.start) < spanLength[s] {
			continue
		}
		if s == day && w.start != 0 {
			d.bytes = max(0, d.bytes-w.bytes[up])
			p.names.Reset()
			p.unique, p.questions, p.carriers, p.answers = 0, 0, 0, 0
			p.named, p.followed, p.loopback, p.internal, p.lookups, p.expansions = 0, 0, 0, 0, 0, 0
			p.letters = letters{}
			clear(p.types)
		}
		*w = window{start: now}
	}
	if p.episode != 0 && now.Sub(p.last) > spanLength[day] {
		p.episode, p.said, p.grew, p.first = 0, 0, 0, now
		p.sample, p.conns, p.refs = nil, nil, nil
	}
}

// ask notes a name.
func (p *pair) ask(hash uint64, length int, d *domain) {
	if p.names.Add(hash) {
		p.unique = max(p.unique, p.names.Estimate())
	}
	for s := range numSpans {
		more := p.window[s].add(up, hash, length)
		if s == day {
			d.bytes += more
		}
	}
}

// different is the number of different names, at most one per question whatever the estimate says.
func (p *pair) different() float64 { return min(p.unique, float64(p.questions)) }

// keep samples a question for the explanation.
func (p *pair) keep(q *flows.DNS, name []byte) {
	if len(p.sample) < maxNames && len(name) > 0 {
		p.sample = append(p.sample, string(flows.AppendName(nil, name)))
	}
	if len(p.conns) < maxFrames {
		known := false
		for i := range p.conns {
			known = known || p.conns[i].ID == q.Conn.ID
		}
		if !known {
			p.conns = append(p.conns, q.Conn)
		}
	}
	for _, r := range []flows.Ref{q.QueryRef, q.AnswerRef} {
		if r.Frame != 0 && len(p.refs) < detectors.MaxRefs {
			p.refs = append(p.refs, r)
		}
	}
}

func share(n, of uint32) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// domain is what is known of a registered domain over all clients.
type domain struct {
	clients sketch.Distinct
	bytes   float64 // information of a day, summed over its pairs
	told    detectors.HostKey
	isTold  bool // a client, not a resolver, was named for it
}
