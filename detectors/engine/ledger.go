package engine

import (
	"container/list"
	"maps"
	"math"
	"slices"

	"neuromast/detectors"
	"neuromast/sensor/packet"
)

// remembered is how many closed findings' revisions are kept, so that one that comes again goes on counting.
const remembered = 1 << 14

// ledger keeps the findings that are open.
type ledger struct {
	open    map[string]*entry
	bySeq   map[uint64]*entry
	recent  list.List // of *entry, least recently emitted first
	seq     uint64
	max     int
	closed  map[string]int // id -> last revision
	history []string       // ring of the ids in closed
	next    int
}

// entry is an open finding.
type entry struct {
	id       string
	latest   *detectors.Finding
	severity detectors.Severity // of the last record
	revision int
	told     float64     // weight when the correlation was last told
	last     packet.Time // when it was last emitted
	seq      uint64
	place    *list.Element
}

func newLedger(max int) ledger {
	return ledger{
		open: map[string]*entry{}, bySeq: map[uint64]*entry{}, max: max,
		closed: map[string]int{},
	}
}

// emit takes a detector's finding into the ledger and makes the record that is due, if any.
func (e *Engine) emit(f *detectors.Finding) {
	e.complete(f)
	l := &e.ledger
	id := f.ID()
	severity := detectors.SeverityOf(detectors.Risk(f.LLR))
	if n := l.open[id]; n != nil {
		f.ActorHost.ID, f.TargetHost.ID = n.latest.ActorHost.ID, n.latest.TargetHost.ID // never taken back
		if f.Over || f.Grew || len(f.Techniques) != len(n.latest.Techniques) || math.Abs(f.LLR-n.told) >= tellStep {
			n.told = f.LLR
			e.signal(f, true)
		}
		n.latest, n.last = f, e.env.now
		l.recent.MoveToBack(n.place)
		switch {
		case f.Over:
			e.close(n)
		case f.Grew || severity > n.severity:
			n.severity = severity
			e.publish(n, detectors.StateUpdate)
		default:
			e.stats.Coalesced++
		}
		return
	}
	l.seq++
	n := &entry{id: id, latest: f, severity: severity, revision: l.closed[id], told: f.LLR, last: e.env.now, seq: l.seq}
	e.signal(f, true)
	if f.Over {
		e.publish(n, detectors.StateClose)
		l.remember(n)
		return
	}
	if len(l.open) >= l.max {
		e.stats.Evicted++
		e.close(l.recent.Front().Value.(*entry))
	}
	l.open[id], l.bySeq[n.seq] = n, n
	n.place = l.recent.PushBack(n)
	e.publish(n, detectors.StateOpen)
	e.ask(deadline{at: n.last.Add(detectors.Quiet), det: -1, token: n.seq})
}

// tellStep is by how many nats a finding must change for the correlation to be told again; chosen by us: a third more or
// less likely.
const tellStep = 0.3

// signal tells the correlation.
func (e *Engine) signal(f *detectors.Finding, published bool) {
	if e.cfg.Signal == nil {
		return
	}
	e.stats.Signals++
	s := f.Signal(e.cfg.Sensor)
	s.Finding = published
	e.cfg.Signal(s)
}

// complete holds the bounds of the contract and fills what the engine knows.
func (e *Engine) complete(f *detectors.Finding) {
	if f.At == 0 {
		f.At = e.env.now
	}
	f.Techniques = cut(f.Techniques, detectors.MaxTechniques)
	f.Conns = cut(f.Conns, detectors.MaxFlows)
	f.Refs = cut(f.Refs, detectors.MaxRefs)
	f.ActorHost = e.known(f.Actor, f.End)
	if f.Target.Addr != (packet.Addr{}) {
		f.TargetHost = e.known(f.Target, f.End)
	}
	e.judge(f)
}

// known is what is known of who had an address at a time; 0: now.
func (e *Engine) known(k detectors.HostKey, at packet.Time) detectors.Known {
	h := e.hosts.Now(k)
	if at != 0 {
		h = e.hosts.At(k, at)
	}
	return detectors.Known{ID: h.ID, Name: h.Name, MAC: h.MAC, By: h.By, Since: h.Since}
}

func cut[T any](s []T, n int) []T { return s[:min(len(s), n)] }

// quiet closes a finding that was not emitted for detectors.Quiet, or looks again when it would be.
func (e *Engine) quiet(seq uint64) {
	n := e.ledger.bySeq[seq]
	if n == nil {
		return
	}
	if due := n.last.Add(detectors.Quiet); due > e.env.now {
		e.ask(deadline{at: due, det: -1, token: seq})
		return
	}
	e.close(n)
}

// close makes the last record of an open finding.
func (e *Engine) close(n *entry) {
	l := &e.ledger
	delete(l.open, n.id)
	delete(l.bySeq, n.seq)
	l.recent.Remove(n.place)
	e.publish(n, detectors.StateClose)
	l.remember(n)
}

// closeAll closes every open finding in the order in which they opened.
func (e *Engine) closeAll() {
	for _, seq := range slices.Sorted(maps.Keys(e.ledger.bySeq)) {
		e.close(e.ledger.bySeq[seq])
	}
}

// publish hands on a copy, so that what was said stays as it was said.
func (e *Engine) publish(n *entry, s detectors.State) {
	n.revision++
	f := *n.latest
	f.Revision, f.State = n.revision, s
	switch s {
	case detectors.StateOpen:
		e.stats.Opened++
	case detectors.StateUpdate:
		e.stats.Updated++
	case detectors.StateClose:
		e.stats.Closed++
	}
	if e.cfg.Publish != nil {
		e.cfg.Publish(&f)
	}
}

func (l *ledger) remember(n *entry) {
	if _, ok := l.closed[n.id]; !ok {
		if len(l.history) < remembered {
			l.history = append(l.history, n.id)
		} else {
			delete(l.closed, l.history[l.next])
			l.history[l.next] = n.id
			l.next = (l.next + 1) % remembered
		}
	}
	l.closed[n.id] = n.revision
}
