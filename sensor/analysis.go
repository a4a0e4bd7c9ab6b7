package main

import (
	"context"
	"sync"

	"neuromast/detectors"
	"neuromast/detectors/engine"
	"neuromast/detectors/incident"
	"neuromast/flows"
	"neuromast/flows/enrich"
	"neuromast/sensor/telemetry"
)

// analysis is the stage behind the workers: joins over connections first (who answers which interface, which name an
// address has), then the detectors. It is called by one goroutine, in the merged order.
type analysis struct {
	engine    *engine.Engine
	incidents *incident.Correlator // nil where switched off
	endpoints *enrich.Endpoints
	names     *enrich.Names
	fit       *enrich.Fit
	site      *enrich.Site
	dets      []detectors.Detector
	changes   chan func() // run between two sets of facts, by the goroutine that calls the detectors

	sections []string // of dets

	mu    sync.Mutex
	shown telemetry.Detection
	hosts telemetry.Hosts
}

// change has f run between two sets of facts, and waits for it.
func (a *analysis) change(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case a.changes <- func() { f(); close(done) }:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// known returns what is known of hosts, and what detection holds, as of the last set of facts.
func (a *analysis) known() (telemetry.Hosts, telemetry.Detection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hosts, a.shown
}

// detection counts what detectors and correlation hold and gave up.
func (a *analysis) detection() telemetry.Detection {
	s := a.engine.Stats()
	d := telemetry.Detection{
		Open: s.Open, Early: s.Evicted, Signals: s.Signals, Late: s.Late, Refused: s.Refused, Evicted: map[string]uint64{},
	}
	for i, det := range a.dets {
		if b, ok := det.(detectors.Bounded); ok {
			d.Evicted[a.sections[i]] = b.Evicted()
		}
	}
	if a.incidents != nil {
		s := a.incidents.Stats()
		d.Incidents = telemetry.Incidents{
			Open: s.Open, Opened: s.Opened, Updated: s.Updated, Closed: s.Closed, Early: s.Overflow, Hosts: s.Hosts, Evicted: s.Evicted,
			Full: s.Full, Dropped: s.Dropped,
		}
	}
	return d
}

// Feed makes the joins of m's facts and hands it to the detectors. A join knows only what came before the fact.
func (a *analysis) Feed(m *flows.Merged) {
	select {
	case f := <-a.changes:
		f()
	default:
	}
	for i := range m.Order {
		b := m.Batches[m.Order[i].Batch]
		switch it := &m.Order[i]; it.Kind {
		case flows.KindRPC:
			a.endpoints.Resolve(b, &b.RPC[it.Index])
		case flows.KindDNS:
			a.names.Learn(b, &b.DNS[it.Index])
		case flows.KindRecord:
			if r := &b.Records[it.Index]; r.Final {
				a.fit.Add(a.site, r)
			}
		}
	}
	a.engine.Feed(m)
	if a.incidents != nil {
		a.incidents.Advance(m.Watermark)
	}
	shown := a.detection()
	a.mu.Lock()
	a.shown = shown
	hosts, graph := a.engine.Hosts().Stats(), a.engine.Graph().Stats()
	a.hosts = telemetry.Hosts{
		Known: hosts.Hosts, Evicted: hosts.Evicted, Contested: hosts.Contested,
		Edges: graph.Edges, Dropped: graph.Evicted, Hub: graph.Hub,
	}
	a.mu.Unlock()
}

// Finish ends the detectors, and then the correlation of what they said.
func (a *analysis) Finish() {
	a.engine.Finish()
	if a.incidents != nil {
		a.incidents.Finish()
	}
}

// latest keeps the last revision of every finding, in the order in which they were first said.
type latest struct {
	byID  map[string]int
	found []*detectors.Finding
}

func (l *latest) add(f *detectors.Finding) {
	if l.byID == nil {
		l.byID = map[string]int{}
	}
	id := f.ID()
	if i, ok := l.byID[id]; ok {
		l.found[i] = f
		return
	}
	l.byID[id] = len(l.found)
	l.found = append(l.found, f)
}
