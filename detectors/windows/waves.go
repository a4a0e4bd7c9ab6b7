package windows

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// Bounds of waves, chosen by us.
const (
	alone       = 3   // targets of an actor, rule and hour that are told each by itself
	waveTargets = 256 // of the others counted
	waveNamed   = 64
	waveWidth   = 0.5
	maxWidth    = 1.5
	alarmNats   = 3.0 // risk 47: alarms and notices make waves of their own
)

// Waves makes one finding of what an actor does to many targets within an hour. The first three are told alone; the others are
// one finding without a single target that names them all, with the heaviest one's evidence, and grows. The correlation
// still gets every target by itself (Env.Signal), so that chains are followed through each of them.
type Waves struct{ table *lru.Table[waveKey, wave] }

type waveKey struct {
	actor detectors.HostKey
	rule  string
	alarm bool
}

// wave is an hour of one actor and rule.
type wave struct {
	hour    packet.Time
	alone   []packet.Addr
	targets []packet.Addr
	top     *detectors.Finding
	start   packet.Time
	window  packet.Time
	end     packet.Time
	conns   []flows.Conn
	refs    []flows.Ref
	users   []string
	told    int
}

// NewWaves returns a memory of at most max waves, 10 KB each at most.
func NewWaves(max int) *Waves { return &Waves{lru.New[waveKey, wave](max, nil)} }

// Evicted returns how many waves the bound pushed out.
func (w *Waves) Evicted() uint64 { return w.table.Evicted() }

// Emit tells a finding about one target, alone or as a part of a wave. Where width is set, 0.5 ln n nats are added for n
// targets, at most 1.5.
func (w *Waves) Emit(env detectors.Env, f *detectors.Finding, width bool) {
	hour := f.End - f.End%packet.Time(time.Hour)
	v, isNew := w.table.Use(waveKey{f.Actor, f.Rule.ID, f.LLR >= alarmNats})
	if isNew || v.hour < hour {
		*v = wave{hour: hour}
	}
	a := f.Target.Addr
	if v.hour != hour || slices.Contains(v.alone, a) {
		env.Emit(f)
		return
	}
	if !slices.Contains(v.targets, a) {
		switch {
		case len(v.alone) < alone:
			v.alone = append(v.alone, a)
			env.Emit(f)
			return
		case len(v.targets) < waveTargets:
			v.targets = append(v.targets, a)
		}
		v.add(f)
	}
	if v.top == nil || f.LLR > v.top.LLR {
		top := *f
		v.top = &top
	}
	v.end = max(v.end, f.End)
	env.Signal(f)
	env.Emit(v.finding(width))
}

// add keeps what proves one target: a connection and two frames.
func (v *wave) add(f *detectors.Finding) {
	if v.top == nil {
		v.start, v.window = f.Start, f.Start
	}
	v.start = min(v.start, f.Start)
	if len(f.Conns) > 0 && len(v.conns) < detectors.MaxFlows {
		v.conns = append(v.conns, f.Conns[0])
	}
	v.refs = append(v.refs, f.Refs[:min(len(f.Refs), 2, detectors.MaxRefs-len(v.refs))]...)
	for _, u := range f.Users {
		if len(v.users) < 4 && !slices.Contains(v.users, u) {
			v.users = append(v.users, u)
		}
	}
}

// finding tells the wave.
func (v *wave) finding(width bool) *detectors.Finding {
	g := *v.top
	n := len(v.targets)
	g.Target = detectors.HostKey{}
	g.Start, g.End, g.WindowStart = v.start, v.end, v.window
	g.Related, g.Users, g.Conns, g.Refs = slices.Clone(v.targets[:min(n, waveNamed)]), slices.Clone(v.users), slices.Clone(v.conns), slices.Clone(v.refs)
	nats := 0.0
	if width {
		nats = min(maxWidth, waveWidth*math.Log(float64(n+len(v.alone))))
	}
	g.LLR += nats
	g.Evidence = append(slices.Clone(g.Evidence), detectors.Evidence{
		Measure: "further hosts reached so within the hour, beside those told alone", Value: float64(n), Unit: "hosts", Baseline: "3 are told each by itself", Threshold: "4 hosts", Nats: phrase.Round(nats),
	})
	g.Message = fmt.Sprintf("%s did the same to %s within the hour, after %s; the heaviest: %s", g.Actor.Addr, phrase.Plural(n, "more host"), list(v.alone), v.top.Message)
	g.Filter = strings.Replace(g.Filter, "== "+v.top.Target.Addr.String()+" &&", "in {"+list(v.targets[:min(n, detectors.MaxFlows)])+"} &&", 1)
	if n >= 2*v.told {
		v.told, g.Grew = n, true
	}
	return &g
}

func list(addrs []packet.Addr) string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return strings.Join(out, ", ")
}
