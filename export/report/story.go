package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/sensor/packet"
)

// story is the findings as people read them: by actor, the worst first.
type story struct {
	actors   []actor
	findings int // each counted once, informational ones too
}

// actor is one acting host and what it did.
type actor struct {
	host detectors.HostKey
	rows []row
}

// row is what one actor did by one rule, be it to one target or to many.
type row struct {
	findings []*detectors.Finding // worst first
}

// lead is the finding that stands for the row.
func (r *row) lead() *detectors.Finding { return r.findings[0] }

func (r *row) risk() float64 { return detectors.Risk(r.lead().LLR) }

// tell orders the latest revision of each finding. The order depends on the findings alone, not on that of fs.
func tell(fs []*detectors.Finding) story {
	latest := map[string]*detectors.Finding{}
	for _, f := range fs {
		id := f.ID()
		if old := latest[id]; old == nil || old.Revision < f.Revision {
			latest[id] = f
		}
	}
	type entry struct {
		id string
		f  *detectors.Finding
	}
	entries := make([]entry, 0, len(latest))
	for id, f := range latest {
		entries = append(entries, entry{id, f})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.f.LLR, a.f.LLR), cmp.Compare(a.f.Start, b.f.Start), cmp.Compare(a.id, b.id))
	})

	s := story{findings: len(entries)}
	byActor := map[detectors.HostKey]int{}
	for _, e := range entries {
		i, ok := byActor[e.f.Actor]
		if !ok {
			i = len(s.actors)
			byActor[e.f.Actor] = i
			s.actors = append(s.actors, actor{host: e.f.Actor})
		}
		a := &s.actors[i]
		k := slices.IndexFunc(a.rows, func(r row) bool { return r.lead().Rule.ID == e.f.Rule.ID })
		if k < 0 {
			k = len(a.rows)
			a.rows = append(a.rows, row{})
		}
		a.rows[k].findings = append(a.rows[k].findings, e.f)
	}
	return s
}

// hostText names a host: its address, its network where that has a name, and its label.
func hostText(h detectors.HostKey, label func(detectors.HostKey) string) string {
	text := h.Addr.String()
	if h.Segment != 0 {
		text += " " + h.Segment.String()
	}
	if label != nil {
		if name := clean(label(h)); name != "" {
			text += " (" + name + ")"
		}
	}
	return text
}

// targetText says whom a finding reaches; empty where it says nobody.
func targetText(f *detectors.Finding, label func(detectors.HostKey) string) string {
	hasTarget := f.Target.Addr != packet.Addr{}
	switch {
	case hasTarget && f.Domain != "":
		return clean(f.Domain) + " at " + f.Target.Addr.String()
	case f.Domain != "":
		return clean(f.Domain)
	case hasTarget:
		t := f.Target
		if t.Segment == f.Actor.Segment {
			t.Segment = 0 // said at the actor
		}
		text := t.Addr.String()
		if t.Segment != 0 {
			text += " " + t.Segment.String()
		}
		if label != nil {
			if name := clean(label(f.Target)); name != "" {
				text += " (" + name + ")"
			}
		}
		return text
	case len(f.Related) > 0:
		return count(uint64(len(f.Related)), "host", "hosts")
	}
	return ""
}

// unit is what a number counts: one of it in the singular.
func unit(e *detectors.Evidence) string {
	if e.Value == 1 {
		return strings.TrimSuffix(clean(e.Unit), "s")
	}
	return clean(e.Unit)
}

// evidenceText is one measured number beside what it is compared with.
func evidenceText(e *detectors.Evidence) string {
	var b strings.Builder
	b.WriteString(clean(e.Measure))
	fmt.Fprintf(&b, ": %s", figure(e.Value))
	if e.Unit != "" {
		b.WriteString(" " + unit(e))
	}
	var beside []string
	if e.Baseline != "" {
		beside = append(beside, "usual: "+clean(e.Baseline))
	}
	if e.Threshold != "" {
		beside = append(beside, "enough: "+clean(e.Threshold))
	}
	if len(beside) > 0 {
		b.WriteString(" (" + strings.Join(beside, "; ") + ")")
	}
	return b.String()
}

// figure writes a measured value with what precision people read: whole numbers whole, others to three figures.
func figure(v float64) string {
	switch {
	case v != v:
		return "not a number"
	case v == float64(int64(v)) && v >= 0 && v < 1e15:
		return grouped(uint64(v))
	}
	return strings.TrimSuffix(fmt.Sprintf("%.3g", v), ".0")
}

// byWeight returns the evidence with the heaviest first.
func byWeight(list []detectors.Evidence) []detectors.Evidence {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b detectors.Evidence) int { return cmp.Compare(b.Nats, a.Nats) })
	return out
}

// techniqueText lists a finding's techniques: "T1021.002 SMB/Windows Admin Shares".
func techniqueText(f *detectors.Finding) string {
	var list []string
	for _, t := range f.Techniques {
		list = append(list, clean(t.ID+" "+t.Name))
	}
	return strings.Join(list, ", ")
}
