package main

import (
	"cmp"
	"fmt"
	"runtime/metrics"
	"slices"
	"strings"
	"time"

	"neuromast/export"
	"neuromast/export/schema"
	"neuromast/flows"
	"neuromast/sensor/packet"
	"neuromast/sensor/pipeline"
	"neuromast/sensor/telemetry"
)

// reportEvery is the wall time between two health records that say nothing new.
const reportEvery = time.Minute

// health remembers what was said, so that a change is said once.
type health struct {
	sequence uint64
	reported time.Time
	load     pipeline.Load
	rebased  uint64
	down     map[string]bool
	problem  bool
}

// look says what changed, and once a minute how things stand.
func (l *live) look(now time.Time) {
	h := &l.health
	s := l.state()
	if load := pipeline.Load(s.LoadStep); load != h.load {
		what := "keeps up again"
		if load > 0 {
			what = "can't keep up: leaves undone " + load.String()
		}
		h.load = load
		l.warn(load > 0, "load", what)
	}
	var rebased uint64
	for _, i := range s.Interfaces {
		rebased += i.Rebased
		name := fmt.Sprintf("%s#%d", i.Name, i.Ring)
		if i.Down == h.down[name] {
			continue
		}
		if h.down == nil {
			h.down = map[string]bool{}
		}
		h.down[name] = i.Down
		switch {
		case i.Gone:
			l.warn(true, "link", i.Name+" was deleted: restart the sensor when it is there again")
		case i.Down:
			l.warn(true, "link", i.Name+" is down: waiting for it")
		default:
			l.warn(false, "link", i.Name+" is up again")
		}
	}
	if rebased > h.rebased {
		h.rebased = rebased
		l.warn(true, "clock", "the machine's clock was set back: packet time went on from where it was")
	}
	if problem := s.Export.Problem != ""; problem != h.problem {
		h.problem = problem
		if problem {
			l.warn(true, "export", s.Export.Problem)
		} else {
			l.warn(false, "export", "Kafka is reached")
		}
	}
	if h.reported.IsZero() {
		h.reported = now
	}
	if now.Sub(h.reported) >= reportEvery {
		h.reported = now
		l.say("report", fmt.Sprintf("%d packets, %d dropped, %d flows in the table", s.Packets, s.Dropped, s.Flows.Live))
	}
}

// warn logs and says.
func (l *live) warn(bad bool, event, text string) {
	if bad {
		l.logger.Warn(text)
	} else {
		l.logger.Info(text)
	}
	l.say(event, text)
}

// say publishes a health record.
func (l *live) say(event, text string) {
	k := l.session.kafka.Load()
	if k == nil {
		return
	}
	h := &l.health
	h.sequence++
	id := schema.HealthID(l.cfg.Sensor.ID, l.started, h.sequence)
	now := time.Now()
	doc, err := schema.AppendHealth(nil, &schema.Health{At: now, Event: event, Message: text, Sequence: h.sequence, State: l.state()}, id, l.session.env)
	if err != nil {
		l.logger.Error("a health record can't be written", "error", err)
		return
	}
	k.offer(export.Record{
		Topic: export.Health, Key: []byte(l.cfg.Sensor.ID), Value: doc, EventID: id, Revision: 1,
		Schema: schema.HealthDataset, Version: schema.Version, Time: now.UTC().Format(time.RFC3339Nano),
	})
}

// state gathers how the sensor fares.
func (l *live) state() telemetry.State {
	now := time.Now()
	t := l.session.pipeline.Snapshot()
	s := telemetry.State{
		At: now, Started: l.started, Version: version, Uptime: now.Sub(l.started).Seconds(),
		Packets: t.Packets, Bytes: t.Bytes, Decoded: t.Decoded, Dropped: t.Dropped, Duplicates: t.Duplicates, Reordered: t.Reordered,
		Joined: t.Fragments.Whole, Load: t.Load.String(), LoadStep: int(t.Load), Changes: t.LoadChanges,
		Anomalies: map[string]uint64{}, Malformed: map[string]uint64{}, Losses: map[string]uint64{}, Findings: []telemetry.Findings{}, Ready: true,
		Flows: telemetry.Flows{
			Begun: t.Table.Flows, Live: t.Table.Live, Max: l.maxFlow, Evicted: t.Table.Evicted, Bytes: t.Table.Bytes,
		},
	}
	if t.Last != 0 {
		s.PacketTime = t.Last.String()
		s.Lag = now.Sub(time.Unix(0, int64(t.Last))).Seconds()
	}
	for a, n := range t.Anomalies {
		if n > 0 {
			s.Anomalies[packet.Anomaly(a).String()] = n
		}
	}
	for app, n := range t.Proto.Malformed() {
		if n > 0 {
			s.Malformed[app.String()] = n
		}
	}
	for k, n := range t.Lost {
		if n > 0 {
			s.Losses[flows.LossKind(k).String()] = n
		}
	}
	s.Hosts, s.Detection = l.session.analysis.known()
	l.session.countMu.Lock()
	for k, n := range l.session.counts {
		rule, state, _ := strings.Cut(k, " ")
		s.Findings = append(s.Findings, telemetry.Findings{Rule: rule, State: state, Count: n})
	}
	l.session.countMu.Unlock()
	slices.SortFunc(s.Findings, func(a, b telemetry.Findings) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.State, b.State))
	})
	for _, r := range l.rings {
		st := r.Stats()
		s.Interfaces = append(s.Interfaces, telemetry.Interface{
			Name: st.Interface, Ring: st.Ring, Frames: st.Frames, Bytes: st.Bytes, Drops: st.Drops, NICDrops: st.NICDrops,
			Fill: st.Fill, Down: st.Down, Gone: st.Gone, Rebased: st.Rebased,
		})
		if st.Down {
			s.Ready, s.Why = false, st.Interface+" is down"
		}
	}
	if k := l.session.kafka.Load(); k != nil {
		s.Export.Enabled = true
		s.Export.Topics, s.Export.Unsent, s.Export.Problem = k.stats()
	}
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	s.Memory = heap[0].Value.Uint64()
	return s
}
