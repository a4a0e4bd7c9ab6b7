package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/catalog"
	"neuromast/detectors/engine"
	"neuromast/detectors/incident"
	"neuromast/export"
	"neuromast/export/jsonl"
	"neuromast/export/report"
	"neuromast/export/schema"
	"neuromast/flows"
	"neuromast/flows/enrich"
	"neuromast/sensor/capture"
	"neuromast/sensor/config"
	"neuromast/sensor/packet"
	"neuromast/sensor/pipeline"
)

// session is one analysis: the pipeline, what stands behind it, and where results go.
type session struct {
	plan
	pipeline *pipeline.Pipeline
	analysis *analysis
	env      *schema.Env
	site     *enrich.Site
	rules    int
	files    *jsonl.Writer             // nil without --out
	kafka    atomic.Pointer[publisher] // nil while no broker is configured

	found   latest
	stories []*incident.Incident // the last record of each; a live sensor keeps only their number
	told    int                  // incidents opened that stand for themselves
	signals bool                 // whether signals are published too
	counts  map[string]uint64    // records of findings by rule and state, "rule state"
	said    map[string]int       // findings by rule, each counted once
	countMu sync.Mutex
	failed  error // the first failure to write a finding
	flows   uint64
	oneSide uint64
	dns     uint64
	line    []byte // reused by the recorder's goroutine
	fold    folder
}

// plan says what a session is to do.
type plan struct {
	sources []capture.Source
	live    bool
	workers int
	seed    uint64
	only    []string // detectors to run, and not to run
	disable []string
	quiet   bool
	out     string    // directory of result files; empty: none
	lines   io.Writer // where a live sensor says its findings as they come; nil: nowhere
	logger  *slog.Logger
}

// inputs describes what the sources read.
func (p *plan) inputs() (all []capture.Input) {
	for _, s := range p.sources {
		all = append(all, s.Inputs()...)
	}
	return all
}

func newSession(ctx context.Context, p plan, cfg config.Config) (*session, error) {
	s := &session{plan: p, counts: map[string]uint64{}, said: map[string]int{}}
	var err error
	if s.site, err = enrich.NewSite(cfg.Networks, cfg.Assets); err != nil {
		return nil, usageError{err}
	}
	dets, err := catalog.Build(cfg.Detectors, p.only, p.disable)
	if err != nil {
		return nil, usageError{err}
	}
	for _, d := range dets {
		s.rules += len(d.Rules())
	}
	var inputs []string
	for _, in := range p.inputs() {
		inputs = append(inputs, in.Name)
	}
	s.env = schema.NewEnv(schema.Config{SensorID: cfg.Sensor.ID, Version: version, Site: s.site, Inputs: inputs})
	s.fold.whole = uint64(cfg.Flows.Whole)
	s.analysis = &analysis{
		dets:     dets,
		sections: catalog.Sections(dets),
		changes:  make(chan func()),
		engine: engine.New(dets, engine.Config{
			Internal: s.site.Internal, Publish: s.publish, Hosts: cfg.Flows.Hosts, Graph: cfg.Flows.Graph, Role: s.role,
			Signal: s.signal, Sensor: cfg.Sensor.ID,
		}),
		endpoints: enrich.NewEndpoints(),
		names:     enrich.NewNames(),
		fit:       &enrich.Fit{},
		site:      s.site,
	}
	if cfg.Incidents.Enabled {
		s.analysis.incidents = incident.New(cfg.Incidents, s.site.Internal, s.publishIncident)
	}
	s.signals = cfg.Export.Kafka.Signals
	if p.out != "" {
		s.analysis.engine.Hosts().NameRecords()
	}
	s.pipeline, err = pipeline.New(pipeline.Config{
		Workers: p.workers, Seed: p.seed, Live: p.live, Decoder: cfg.Packets.Decoder, Fragments: cfg.Packets.Fragments,
		Table: cfg.Flows.Table, Proto: cfg.Flows.Parser,
	}, p.sources, s.analysis, s)
	if err != nil {
		return nil, usageError{err}
	}
	if p.out != "" {
		if s.files, err = jsonl.Create(p.out, "summary.json", "report.html"); err != nil {
			return nil, err
		}
	}
	if len(cfg.Export.Kafka.Brokers) > 0 {
		k, err := newPublisher(ctx, cfg.Export.Kafka, cfg.Export.Spool, cfg.Sensor.ID, p.live, p.logger)
		if err != nil {
			return nil, errors.Join(err, s.abandon())
		}
		s.kafka.Store(k)
	}
	return s, nil
}

// publish takes a finding's revision from the engine: into the file, to Kafka, and the latest kept for the reader.
func (s *session) publish(f *detectors.Finding) {
	if !s.live {
		s.found.add(f)
	}
	s.countMu.Lock()
	s.counts[f.Rule.ID+" "+f.State.String()]++
	s.countMu.Unlock()
	if f.Revision == 1 {
		s.said[f.Rule.ID]++
	}
	k := s.kafka.Load()
	if s.files == nil && k == nil && s.lines == nil {
		return
	}
	doc := schema.AppendFinding(nil, f, s.env)
	if s.lines != nil {
		_, err := s.lines.Write(append(doc, '\n'))
		s.fail(err)
	}
	if s.files != nil {
		s.fail(s.files.Line(export.Findings, doc))
	}
	if k != nil {
		k.put(export.Record{
			Topic: export.Findings, Key: []byte(f.ActorHost.ID), Value: doc, EventID: f.ID(), Revision: f.Revision,
			Schema: schema.FindingDataset, Version: schema.Version, Time: f.At.String(),
		})
	}
}

// signal takes a signal from the engine: to the correlation, and to Kafka where others correlate.
func (s *session) signal(g *detectors.Signal) {
	if k := s.kafka.Load(); k != nil && s.signals {
		k.put(export.Record{
			Topic: export.Signals, Key: []byte(g.ActorHost.ID), Value: schema.AppendSignal(nil, g, s.env), EventID: g.ID,
			Schema: schema.SignalDataset, Version: schema.Version, Time: g.At.String(),
		})
	}
	if s.analysis.incidents != nil {
		s.analysis.incidents.Take(g)
	}
}

// publishIncident takes a record of an incident from the correlation.
func (s *session) publishIncident(i *incident.Incident) {
	switch {
	case i.SupersededBy != "":
		s.told--
	case i.Revision == 1:
		s.told++
	}
	if !s.live {
		if n := slices.IndexFunc(s.stories, func(o *incident.Incident) bool { return o.ID == i.ID }); n >= 0 {
			s.stories[n] = i
		} else {
			s.stories = append(s.stories, i)
		}
	}
	k := s.kafka.Load()
	if s.files == nil && k == nil && s.lines == nil {
		return
	}
	doc := schema.AppendIncident(nil, i, s.env)
	if s.lines != nil {
		_, err := s.lines.Write(append(doc, '\n'))
		s.fail(err)
	}
	if s.files != nil {
		s.fail(s.files.Line(export.Incidents, doc))
	}
	if k != nil {
		k.put(export.Record{
			Topic: export.Incidents, Key: []byte(i.ID), Value: doc, EventID: i.ID, Revision: i.Revision,
			Schema: schema.IncidentDataset, Version: schema.Version, Time: i.At.String(),
		})
	}
}

func (s *session) fail(err error) {
	if err != nil && s.failed == nil {
		s.failed = err
	}
}

// Record writes the flow and DNS records of a merged set; the pipeline's recorder calls it.
func (s *session) Record(m *flows.Merged) error {
	for i := range m.Order {
		b := m.Batches[m.Order[i].Batch]
		var topic export.Topic
		switch it := &m.Order[i]; it.Kind {
		case flows.KindRecord:
			r := &b.Records[it.Index]
			if r.Final {
				s.flows++
				if r.HalfSeen() {
					s.oneSide++
				}
			}
			if s.files == nil {
				continue
			}
			if s.fold.take(r) {
				continue
			}
			topic, s.line = export.Flows, schema.AppendFlow(s.line[:0], b, r, s.env)
		case flows.KindDNS:
			s.dns++
			if s.files == nil {
				continue
			}
			topic, s.line = export.DNS, schema.AppendDNS(s.line[:0], b, &b.DNS[it.Index], s.env)
		default:
			continue
		}
		if err := s.files.Line(topic, s.line); err != nil {
			return err
		}
	}
	if s.files == nil {
		return nil
	}
	for _, f := range s.fold.due(m.Watermark, m.Final) {
		s.line = schema.AppendFolded(s.line[:0], f, s.env)
		if err := s.files.Line(export.Flows, s.line); err != nil {
			return err
		}
	}
	return nil
}

// abandon closes what is open after a failure; files stay marked as partial.
func (s *session) abandon() error {
	var errs []error
	if k := s.kafka.Load(); k != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		errs = append(errs, k.close(ctx))
	}
	if s.files != nil {
		errs = append(errs, s.files.Abort())
	}
	return errors.Join(errs...)
}

// closeTimeout is how long the end of a run waits for Kafka's acknowledgements; what is left stays in the spool.
const closeTimeout = 30 * time.Second

// finish delivers what waits and shows the results.
func (s *session) finish(ctx context.Context, t *pipeline.Totals, elapsed time.Duration, stdout, stderr io.Writer) error {
	if s.failed != nil {
		return errors.Join(s.failed, s.abandon())
	}
	var delivery error
	k := s.kafka.Load()
	if k != nil {
		closing, cancel := context.WithTimeout(ctx, closeTimeout)
		defer cancel()
		delivery = k.close(closing)
	}
	sum := s.summary(t, elapsed)
	if k != nil {
		sum.Kafka, _, _ = k.stats()
	}
	for _, in := range sum.Inputs {
		if in.Damage != "" {
			fmt.Fprintf(stderr, "neuromast: %s: %s\n", in.Name, in.Damage)
		}
	}
	if !s.quiet {
		for _, w := range sum.Warnings {
			fmt.Fprintf(stderr, "neuromast: note: %s\n", w)
		}
	}
	if s.files != nil {
		if err := errors.Join(s.files.Close(ctx), report.WriteFiles(s.out, s.found.found, sum)); err != nil {
			return errors.Join(delivery, err)
		}
	}
	return errors.Join(delivery, s.show(stdout, sum))
}

// show prints the findings: a table for people, JSON lines for programs; with --out --quiet nothing.
func (s *session) show(stdout io.Writer, sum report.Summary) error {
	width, isTerminal := terminal(stdout)
	if s.live || s.out != "" && s.quiet {
		return nil
	}
	if s.out != "" || isTerminal {
		return report.Findings(stdout, s.found.found, sum, width, isTerminal && os.Getenv("NO_COLOR") == "")
	}
	for _, i := range s.stories {
		if _, err := stdout.Write(append(schema.AppendIncident(nil, i, s.env), '\n')); err != nil {
			return err
		}
	}
	for _, f := range s.found.found {
		s.line = append(schema.AppendFinding(s.line[:0], f, s.env), '\n')
		if _, err := stdout.Write(s.line); err != nil {
			return err
		}
	}
	return nil
}

// summary gathers what the run amounts to.
func (s *session) summary(t *pipeline.Totals, elapsed time.Duration) report.Summary {
	sum := report.Summary{
		Packets: report.Packets{
			Read: t.Packets, Decoded: t.Decoded, ARP: t.ARP, Duplicates: t.Duplicates, Reordered: t.Reordered, Joined: t.Fragments.Whole,
			Anomalies: map[string]uint64{},
		},
		Bytes: t.Bytes, Flows: s.flows, OneSidedFlows: s.oneSide, DNS: s.dns, Rules: s.rules,
		First: t.First, Last: t.Last, Findings: map[string]int{}, Elapsed: elapsed, Losses: map[string]uint64{},
		Sensor: "Neuromast " + version, Label: s.label, Incidents: s.told, Stories: s.stories,
	}
	for a, n := range t.Anomalies {
		if n > 0 {
			sum.Packets.Anomalies[packet.Anomaly(a).String()] = n
		}
	}
	for k, n := range t.Lost {
		if n > 0 && flows.LossKind(k) != flows.LostCopy { // told as duplicates
			sum.Losses[flows.LossKind(k).String()] = n
		}
	}
	maps.Copy(sum.Findings, s.said)
	for _, in := range s.inputs() {
		sum.Inputs = append(sum.Inputs, report.Input{
			Name: in.Name, Size: in.Size, Digest: fmt.Sprintf("%x", in.Digest), Frames: in.Frames,
			Truncated: in.Truncated, Damage: in.Damage, Drops: in.Drops,
		})
		sum.Truncated = sum.Truncated || in.Truncated
	}
	if w := s.analysis.fit.Warning(); w != "" {
		sum.Warnings = append(sum.Warnings, w)
	}
	if s.files != nil {
		for _, name := range []string{"findings.jsonl", "incidents.jsonl", "flows.jsonl", "dns.jsonl", "summary.json", "report.html"} {
			sum.Files = append(sum.Files, filepath.Join(s.out, name))
		}
	}
	return sum
}

// role is the role that the configuration gives an address.
func (s *session) role(a packet.Addr) string {
	asset, _ := s.site.Asset(a)
	return asset.Role
}

// label names a host for people: its asset's name, else its own when it was found, else the name that clients looked it up by.
func (s *session) label(k detectors.HostKey) string {
	if a, ok := s.site.Asset(k.Addr); ok {
		return a.Name
	}
	for _, f := range s.found.found {
		switch {
		case f.Actor == k && f.ActorHost.Name != "":
			return f.ActorHost.Name
		case f.Target == k && f.TargetHost.Name != "":
			return f.TargetHost.Name
		}
	}
	return s.analysis.names.Name(k.Segment, k.Addr)
}
