// Package engine runs the detectors over the merged items of all shards and keeps the ledger of what they found.
//
// One goroutine calls it. Everything follows from the order of the items and from packet time, so results don't depend
// on workers, on where watermarks fall, or on the time of day. Before an item the deadlines up to its time fire, in the
// order of time, then of asking; at a watermark, those up to it.
//
// # Findings
//
// A finding is named by Finding.ID. Its records tell a life:
//
//   - open, when it is first emitted;
//   - update, when it is emitted again in a higher severity band or with Grew set. Any other repetition only replaces
//     what the next record will say;
//   - close, once, with the final numbers: detectors.Quiet after it was last emitted, or when the input ends, or when
//     more findings are open than the ledger holds (the one emitted least recently goes; counted).
//
// So every finding that was opened is closed by exactly one record, even where nothing changed in between: who counts
// open findings needs no other rule. A finding that is Over when it is first emitted has one record, close. One that is
// emitted after its close opens again under the same id with the next revision: (id, revision) never repeats with other
// content, as long as the ledger remembers the id (16,384 closed ones).
package engine

import (
	"container/heap"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/identity"
	"neuromast/sensor/packet"
)

// Config is what the engine needs from outside.
type Config struct {
	Internal func(packet.Addr) bool   // whether an address is ours; nil: none is
	Publish  func(*detectors.Finding) // takes each record over, in order; nil: only counted
	Signal   func(*detectors.Signal)  // takes each signal over, in order; nil: none are made
	Sensor   string                   // the name that signals carry
	Hosts    identity.Config          // who is who; zero: its default
	Graph    hostgraph.Config         // who talks to whom; zero: its default
	Role     func(packet.Addr) string // the role that the configuration gives an address; nil: none
	MaxOpen  int                      // findings open at a time; 0: 4,096
}

// maxDeadlines bounds what detectors ask for; beyond, WakeAt is refused and counted. A deadline takes 40 bytes.
const maxDeadlines = 1 << 20

// Stats counts what the engine did.
type Stats struct {
	Items     uint64
	Deadlines uint64 // fired
	Refused   uint64 // deadlines beyond the bound
	Late      uint64 // items older than one before them, taken at that one's time
	Opened    uint64 // records by state
	Updated   uint64
	Closed    uint64
	Coalesced uint64 // emissions that made no record of their own
	Evicted   uint64 // findings closed because too many were open
	Signals   uint64 // handed to the correlation
	Open      int    // findings open now
}

// Engine calls detectors in packet time. It is not safe for concurrent use.
type Engine struct {
	cfg   Config
	dets  []detectors.Detector
	env   env
	first packet.Time
	begun bool
	ended bool

	hosts *identity.Table
	graph *hostgraph.Graph
	watch watch

	deadlines deadlines
	asked     uint64 // orders deadlines of equal time
	ledger    ledger
	quality   quality
	stats     Stats
}

// watch lists, for each kind of item, the detectors that see it.
type watch struct {
	flow    []watcher[detectors.FlowWatcher]
	dns     []watcher[detectors.DNSWatcher]
	tls     []watcher[detectors.TLSWatcher]
	smb     []watcher[detectors.SMBWatcher]
	rpc     []watcher[detectors.RPCWatcher]
	auth    []watcher[detectors.AuthWatcher]
	kdc     []watcher[detectors.KerberosWatcher]
	http    []watcher[detectors.HTTPWatcher]
	arp     []watcher[detectors.ARPWatcher]
	dhcp    []watcher[detectors.DHCPWatcher]
	rdp     []watcher[detectors.RDPWatcher]
	ssh     []watcher[detectors.SSHWatcher]
	session []watcher[detectors.SessionWatcher]
	ldap    []watcher[detectors.LDAPWatcher]
	sql     []watcher[detectors.SQLWatcher]
}

// watcher is a detector as one of its interfaces, with its place in the list.
type watcher[W any] struct {
	w   W
	det int
}

// pick appends to list those of dets that watch as W does.
func pick[W any](list *[]watcher[W], dets []detectors.Detector) {
	for i, d := range dets {
		if w, ok := d.(W); ok {
			*list = append(*list, watcher[W]{w, i})
		}
	}
}

// call hands an item to those who watch its kind.
func call[W, T any](e *Engine, list []watcher[W], see func(W, detectors.Env, *T), item *T) {
	for _, w := range list {
		e.env.det = w.det
		see(w.w, &e.env, item)
	}
}

// New returns an engine that calls dets in their order.
func New(dets []detectors.Detector, cfg Config) *Engine {
	if cfg.Internal == nil {
		cfg.Internal = func(packet.Addr) bool { return false }
	}
	if cfg.Hosts == (identity.Config{}) {
		cfg.Hosts = identity.Default()
	}
	if cfg.Graph == (hostgraph.Config{}) {
		cfg.Graph = hostgraph.Default()
	}
	if cfg.MaxOpen <= 0 {
		cfg.MaxOpen = 4096
	}
	e := &Engine{cfg: cfg}
	e.hosts = identity.New(cfg.Hosts, cfg.Internal, func(c *identity.Change) { e.graph.Changed(c) })
	e.graph = hostgraph.New(cfg.Graph, e.hosts, cfg.Role)
	e.run(dets)
	e.env.e = e
	e.ledger = newLedger(cfg.MaxOpen)
	return e
}

// run makes dets the detectors that are called.
func (e *Engine) run(dets []detectors.Detector) {
	e.dets, e.watch = dets, watch{}
	w := &e.watch
	pick(&w.flow, dets)
	pick(&w.dns, dets)
	pick(&w.tls, dets)
	pick(&w.smb, dets)
	pick(&w.rpc, dets)
	pick(&w.auth, dets)
	pick(&w.kdc, dets)
	pick(&w.http, dets)
	pick(&w.arp, dets)
	pick(&w.dhcp, dets)
	pick(&w.rdp, dets)
	pick(&w.ssh, dets)
	pick(&w.session, dets)
	pick(&w.ldap, dets)
	pick(&w.sql, dets)
}

// Replace calls dets from the next item on. Detectors that were called before keep their deadlines; those of the others
// are dropped, and the findings that they opened stay open until they are quiet.
func (e *Engine) Replace(dets []detectors.Detector) {
	place := make([]int, len(e.dets))
	for i, d := range e.dets {
		place[i] = slices.Index(dets, d)
	}
	kept := e.deadlines[:0]
	for _, d := range e.deadlines {
		if d.det >= 0 {
			if d.det = place[d.det]; d.det < 0 {
				continue
			}
		}
		kept = append(kept, d)
	}
	e.deadlines = kept
	heap.Init(&e.deadlines)
	e.run(dets)
}

// Feed hands the items of m to the detectors and fires what is due up to its watermark.
func (e *Engine) Feed(m *flows.Merged) {
	for i := range m.Order {
		it := &m.Order[i]
		e.tick(it.At)
		e.item(m.Batches[it.Batch], it)
	}
	e.env.batch = nil
	for _, b := range m.Batches {
		e.quality.lost(m.Watermark, b)
	}
	if e.begun && m.Watermark > e.env.now {
		e.tick(m.Watermark)
	}
}

// Finish ends the detectors and closes what is open. Deadlines beyond the last watermark don't fire: their time never came.
func (e *Engine) Finish() {
	if e.ended {
		return
	}
	e.ended = true
	e.env.batch = nil
	for i, d := range e.dets {
		if w, ok := d.(detectors.Waker); ok {
			e.env.det = i
			w.End(&e.env)
		}
	}
	e.closeAll()
}

// Hosts returns who is who; it must not be asked while the engine is called.
func (e *Engine) Hosts() *identity.Table { return e.hosts }

// Graph returns who talks to whom, likewise.
func (e *Engine) Graph() *hostgraph.Graph { return e.graph }

// Stats returns what was done so far.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.Open = len(e.ledger.open)
	return s
}

// tick moves packet time to t, firing the deadlines on the way, each at its own time.
func (e *Engine) tick(t packet.Time) {
	if !e.begun {
		e.begun, e.first, e.env.now = true, t, t
	}
	if t < e.env.now {
		e.stats.Late++
		return
	}
	for len(e.deadlines) > 0 && e.deadlines[0].at <= t {
		d := heap.Pop(&e.deadlines).(deadline)
		e.env.now, e.env.batch = d.at, nil
		if d.det < 0 {
			e.quiet(d.token)
			continue
		}
		e.stats.Deadlines++
		e.env.det = d.det
		if w, ok := e.dets[d.det].(detectors.Waker); ok {
			w.Wake(&e.env, d.token)
		}
	}
	e.env.now = t
}

func (e *Engine) item(b *flows.Batch, it *flows.MergedItem) {
	e.stats.Items++
	e.env.batch = b
	e.hosts.See(b, &it.Item)
	e.show(b, it)
	e.graph.See(b, &it.Item)
}

// show hands an item to the detectors that watch its kind.
func (e *Engine) show(b *flows.Batch, it *flows.MergedItem) {
	w := &e.watch
	switch i := it.Index; it.Kind {
	case flows.KindRecord:
		e.quality.record(e.env.now, &b.Records[i])
		call(e, w.flow, detectors.FlowWatcher.Flow, &b.Records[i])
	case flows.KindDNS:
		call(e, w.dns, detectors.DNSWatcher.DNS, &b.DNS[i])
	case flows.KindTLS:
		call(e, w.tls, detectors.TLSWatcher.TLS, &b.TLS[i])
	case flows.KindSMB:
		call(e, w.smb, detectors.SMBWatcher.SMB, &b.SMB[i])
	case flows.KindRPC:
		call(e, w.rpc, detectors.RPCWatcher.RPC, &b.RPC[i])
	case flows.KindAuth:
		call(e, w.auth, detectors.AuthWatcher.Auth, &b.Auth[i])
	case flows.KindKerberos:
		call(e, w.kdc, detectors.KerberosWatcher.Kerberos, &b.KDC[i])
	case flows.KindHTTP:
		call(e, w.http, detectors.HTTPWatcher.HTTP, &b.HTTP[i])
	case flows.KindARP:
		call(e, w.arp, detectors.ARPWatcher.ARP, &b.ARP[i])
	case flows.KindDHCP:
		call(e, w.dhcp, detectors.DHCPWatcher.DHCP, &b.DHCP[i])
	case flows.KindRDP:
		call(e, w.rdp, detectors.RDPWatcher.RDP, &b.RDP[i])
	case flows.KindSSH:
		call(e, w.ssh, detectors.SSHWatcher.SSH, &b.SSH[i])
	case flows.KindSession:
		call(e, w.session, detectors.SessionWatcher.Session, &b.Session[i])
	case flows.KindLDAP:
		call(e, w.ldap, detectors.LDAPWatcher.LDAP, &b.LDAP[i])
	case flows.KindSQL:
		call(e, w.sql, detectors.SQLWatcher.SQL, &b.SQL[i])
	}
}

// env is the engine as detectors see it: one struct, lent for each call.
type env struct {
	e     *Engine
	batch *flows.Batch
	now   packet.Time
	det   int // who is being called
}

func (v *env) Now() packet.Time            { return v.now }
func (v *env) Batch() *flows.Batch         { return v.batch }
func (v *env) Internal(a packet.Addr) bool { return v.e.cfg.Internal(a) }
func (v *env) Emit(f *detectors.Finding)   { v.e.emit(f) }

func (v *env) Host(k detectors.HostKey) *identity.Host { return v.e.hosts.Now(k) }
func (v *env) Graph() *hostgraph.Graph                 { return v.e.graph }
func (v *env) Signal(f *detectors.Finding)             { v.e.complete(f); v.e.signal(f, false) }

// WakeAt keeps a deadline; one at or before now becomes one nanosecond later, so that a Wake never asks for itself.
func (v *env) WakeAt(at packet.Time, token uint64) {
	e := v.e
	if len(e.deadlines) >= maxDeadlines {
		e.stats.Refused++
		return
	}
	e.ask(deadline{at: max(at, v.now+1), det: v.det, token: token})
}

// deadline is a Wake to come; det -1 means the ledger.
type deadline struct {
	at    packet.Time
	asked uint64
	token uint64
	det   int
}

func (e *Engine) ask(d deadline) {
	e.asked++
	d.asked = e.asked
	heap.Push(&e.deadlines, d)
}

type deadlines []deadline

func (h deadlines) Len() int { return len(h) }
func (h deadlines) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].asked < h[j].asked
}
func (h deadlines) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *deadlines) Push(x any)   { *h = append(*h, x.(deadline)) }
func (h *deadlines) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// baselineDays is the packet time watched so far.
func (e *Engine) baselineDays() float64 {
	return max(0, e.env.now.Sub(e.first).Hours()/24)
}

// span is how far back a finding's quality looks.
func span(f *detectors.Finding, now packet.Time) time.Duration {
	from := now
	for _, t := range []packet.Time{f.Start, f.WindowStart} {
		if t != 0 && t < from {
			from = t
		}
	}
	return now.Sub(from)
}
