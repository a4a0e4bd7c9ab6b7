package pivot

import (
	"fmt"
	"math"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// Terms of the package comment.
const (
	relays    = 4.0
	byTrade   = 0.3
	inFront   = 0.5
	equal     = 0.05 // of the sums
	together  = 0.9  // r
	varies    = 0.2  // coefficient of variation
	minutes   = 8    // compared at least
	kept      = 32   // of a flow
	maxFlows  = 16   // of a host
	maxHabits = 1 << 14
)

var proxy = detectors.Technique{ID: "T1090.001", Name: "Internal Proxy", Tactic: "TA0011"}

var rule = detectors.Rule{ID: "graph.relay", Name: "Host that passes on what it receives", Stage: detectors.StageC2, Techniques: []detectors.Technique{proxy}}

// stream is a flow of a host. Up is away from who opened the first of a chain: from client to server.
type stream struct {
	conn   flows.Conn
	ref    flows.Ref
	minute int64 // of bins[0], since the epoch
	n      int   // bins that are set
	bins   [kept][2]uint64
	toHost bool // it came to the host; else the host opened it
	done   bool // the pair was said
}

// Detector compares flows.
type Detector struct {
	cfg    Config
	hosts  *lru.Table[detectors.HostKey, []*stream]
	habits *windows.Habits
}

// New returns a detector. The configuration must be valid.
func New(cfg Config) *Detector {
	return &Detector{cfg: cfg, hosts: lru.New[detectors.HostKey, []*stream](cfg.MaxHosts, nil), habits: windows.NewHabits(maxHabits)}
}

// Rules implements detectors.Detector.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{&rule} }

// Doc implements detectors.Detector.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 { return d.hosts.Evicted() + d.habits.Evicted() }

// Flow enters the minutes of a flow at both of its ends.
func (d *Detector) Flow(env detectors.Env, r *flows.Record) {
	if r.Side < 0 || r.Proto != packet.ProtoTCP || r.Report < 2 && r.Last.Sub(r.Start) < (minutes-2)*time.Minute {
		return
	}
	side := &env.Batch().Sides[r.Side]
	if env.Internal(r.Resp) {
		d.enter(env, detectors.HostKey{Segment: r.Segment, Addr: r.Resp}, r, side, true)
	}
	if env.Internal(r.Orig) {
		d.enter(env, detectors.HostKey{Segment: r.Segment, Addr: r.Orig}, r, side, false)
	}
}

func (d *Detector) enter(env detectors.Env, k detectors.HostKey, r *flows.Record, side *flows.Side, toHost bool) {
	list, _ := d.hosts.Use(k)
	i := slices.IndexFunc(*list, func(s *stream) bool { return s.conn.ID == r.ID && s.toHost == toHost })
	if i < 0 {
		if len(*list) >= maxFlows {
			*list = slices.Delete(*list, 0, 1)
		}
		*list = append(*list, &stream{conn: r.Conn, ref: r.FirstRef, minute: int64(side.From) / int64(time.Minute), toHost: toHost})
		i = len(*list) - 1
	}
	s := (*list)[i]
	s.add(side)
	for _, o := range *list {
		if o.toHost != toHost && !s.done && !o.done && o.conn.Start < r.Last {
			d.compare(env, k, s, o)
		}
	}
}

// add adds the minutes of a report; the oldest make room.
func (s *stream) add(side *flows.Side) {
	from := int64(side.From) / int64(time.Minute)
	for m, b := range side.Minutes {
		at := int(from - s.minute + int64(m))
		if at < 0 || b == ([2]uint64{}) {
			continue
		}
		if over := at - kept + 1; over > 0 {
			over = min(over, kept)
			copy(s.bins[:], s.bins[over:])
			clear(s.bins[kept-over:])
			s.minute += int64(at - kept + 1)
			s.n = max(s.n-over, 0)
			at = kept - 1
		}
		s.bins[at][0] += b[0]
		s.bins[at][1] += b[1]
		s.n = max(s.n, at+1)
	}
}

// likeness is how alike two flows are in one direction.
type likeness struct {
	n          int // minutes compared
	sumA, sumB float64
	r          float64
}

// like compares two flows in a direction over the minutes that both lasted through. The first and the last of each are left
// out: they are cut.
func like(a, b *stream, dir flows.Dir) (l likeness) {
	from := max(a.minute, b.minute) + 1
	to := min(a.minute+int64(a.n), b.minute+int64(b.n)) - 1
	var xs, ys []float64
	for m := from; m < to; m++ {
		x, y := a.bins[m-a.minute], b.bins[m-b.minute]
		if x == ([2]uint64{}) && y == ([2]uint64{}) {
			continue
		}
		xs, ys = append(xs, float64(x[dir])), append(ys, float64(y[dir]))
	}
	if l.n = len(xs); l.n < minutes {
		return l
	}
	for i := range xs {
		l.sumA += xs[i]
		l.sumB += ys[i]
	}
	ma, mb := l.sumA/float64(l.n), l.sumB/float64(l.n)
	var aa, bb, ab float64
	for i := range xs {
		aa += (xs[i] - ma) * (xs[i] - ma)
		bb += (ys[i] - mb) * (ys[i] - mb)
		ab += (xs[i] - ma) * (ys[i] - mb)
	}
	if cv := math.Sqrt(aa/float64(l.n)) / ma; ma > 0 && cv >= varies && bb > 0 {
		l.r = ab / math.Sqrt(aa*bb)
	}
	return l
}

// trade is the share that counts of what a host of a role passes on, to the inside or not.
func trade(role hostgraph.Role, inside bool) (share float64, why string) {
	switch {
	case role == hostgraph.Gateway || role == hostgraph.JumpHost || role == hostgraph.Resolver:
		return byTrade, fmt.Sprintf(" It is taken for a %s, whose trade this is.", role)
	case role == hostgraph.WebServer && inside:
		return inFront, " It is taken for a web server, of which many stand in front of others."
	}
	return 1, ""
}

// compare says a pair of flows that carry the same.
func (d *Detector) compare(env detectors.Env, k detectors.HostKey, a, b *stream) {
	in, out := a, b
	if !in.toHost {
		in, out = b, a
	}
	if in.conn.Orig == out.conn.Resp { // an answer to who came is no relay
		return
	}
	l, dir := like(in, out, flows.Orig), flows.Orig
	if down := like(in, out, flows.Resp); down.sumA > l.sumA {
		l, dir = down, flows.Resp
	}
	if l.n < minutes || l.r <= together || max(l.sumA, l.sumB) < float64(d.cfg.MinBytes) || math.Abs(l.sumA-l.sumB) > equal*max(l.sumA, l.sumB) {
		return
	}
	in.done, out.done = true, true
	share, why := trade(env.Graph().Role(env.Host(k).Number), env.Internal(out.conn.Resp))
	nats := relays * share
	if windows.Familiar(d.habits.Note(env.Now(), &out.conn, uint64(out.conn.RespPort))) {
		nats *= windows.Discount
		why += " It did so on three earlier days."
	}
	if nats < d.cfg.MinNats {
		return
	}
	env.Emit(finding(env, k, in, out, l, dir, nats, why))
}

func finding(env detectors.Env, k detectors.HostKey, in, out *stream, l likeness, dir flows.Dir, nats float64, why string) *detectors.Finding {
	way := "from it"
	if dir == flows.Resp {
		way = "to it"
	}
	c := &in.conn
	return &detectors.Finding{
		Rule: &rule, Actor: detectors.HostKey{Segment: k.Segment, Addr: c.Orig}, Target: k, Related: []packet.Addr{out.conn.Resp}, Over: true,
		Start: out.conn.Start, End: env.Now(), WindowStart: out.conn.Start, LLR: nats, Techniques: []detectors.Technique{proxy},
		Conns: []flows.Conn{in.conn, out.conn}, Refs: []flows.Ref{in.ref, out.ref},
		Message: fmt.Sprintf("%s passes on what it receives: its flow from %s (port %d) and the one that it opened to %s:%d carried %s and %s in %s, rising and falling together (r %.3f).%s",
			k.Addr, c.Orig, c.RespPort, out.conn.Resp, out.conn.RespPort, phrase.Bytes(l.sumA), phrase.Bytes(l.sumB), phrase.Plural(l.n, "minute"), l.r, why),
		Evidence: []detectors.Evidence{
			{Measure: "likeness of the two flows by minutes, " + way, Value: math.Round(l.r*1000) / 1000, Unit: "Pearson's r", Baseline: "none", Threshold: "0.9 over eight minutes", Nats: phrase.Round(nats)},
			{Measure: "difference of their bytes", Value: phrase.Round(100 * math.Abs(l.sumA-l.sumB) / max(l.sumA, l.sumB)), Unit: "percent", Baseline: "none", Threshold: "5 or less"},
		},
		Counterfactual: "Had the bytes differed by more than 5 %, or the minutes not risen and fallen together, it would not be told.",
		LookAlikes: []string{
			"Proxies, load balancers and jump hosts: silent where their role is known, or after three days.",
			"One transfer that a person copies on by hand does not match by minutes.",
		},
		NextSteps: []string{
			fmt.Sprintf("On %s look for the process that holds both connections.", k.Addr),
			fmt.Sprintf("Ask what %s wants from %s, and why not directly.", c.Orig, out.conn.Resp),
		},
		Filter: fmt.Sprintf("ip.addr == %s && (tcp.port == %d || tcp.port == %d)", k.Addr, c.RespPort, out.conn.OrigPort),
	}
}
