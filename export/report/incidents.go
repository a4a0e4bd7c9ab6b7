package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"neuromast/detectors/incident"
	"neuromast/sensor/packet"
)

// maxStories is how many incidents the screen shows; report.html holds all.
const maxStories = 3

// stories lists the incidents that stand for themselves, the worst first.
func stories(all []*incident.Incident) []*incident.Incident {
	var list []*incident.Incident
	for _, i := range all {
		if i.SupersededBy == "" {
			list = append(list, i)
		}
	}
	slices.SortStableFunc(list, func(a, b *incident.Incident) int {
		return cmp.Or(cmp.Compare(b.Risk(), a.Risk()), cmp.Compare(a.Start, b.Start), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// incidents is the head of the screen where findings tell one story.
func (t *table) incidents() []string {
	list := stories(t.sum.Stories)
	var lines []string
	for _, i := range list[:min(len(list), maxStories)] {
		sev := i.Severity()
		lead := fmt.Sprintf("%s %3d  ", "INCIDENT "+severityWord[sev], int(i.Risk()))
		for n, l := range wrapAtMost(clean(i.Message), t.width-columns(lead), 3) {
			if n == 0 {
				lines = append(lines, t.paint(severityColour[sev], strings.TrimRight(lead, " "))+"  "+t.paint(bold, l))
				continue
			}
			lines = append(lines, strings.Repeat(" ", columns(lead))+l)
		}
	}
	if n := len(list) - maxStories; n > 0 {
		lines = append(lines, t.paint(dim, fmt.Sprintf("… and %s", count(uint64(n), "weaker incident", "weaker incidents"))))
	}
	if len(lines) > 0 {
		lines = append(lines, "")
	}
	return lines
}

// The view of an incident on the page.
type storyView struct {
	ID, Severity, When, Message string
	Risk                        int
	Parts                       []pair
	Hosts                       []storyHost
	Entries                     []storyEntry
	Left                        int
	Responses                   []incident.Response
	Limits                      []string
}

type storyHost struct{ Host, Role, Since, Weight string }

type storyEntry struct{ At, Stage, Message, Weight, ID string }

func storyOf(i *incident.Incident, sum *Summary) storyView {
	v := storyView{
		ID: i.ID, Severity: i.Severity().String(), When: period(i.Start, i.End), Message: clean(i.Message), Risk: int(i.Risk()), Left: i.Left,
		Limits: cleanAll(i.Limits),
	}
	at := func(t packet.Time) string { return t.Std().Format("2006-01-02 15:04:05") }
	for _, p := range i.Parts {
		v.Parts = append(v.Parts, pair{clean(p.Name), fmt.Sprintf("%+.1f", p.Nats)})
	}
	for _, h := range i.Hosts {
		v.Hosts = append(v.Hosts, storyHost{hostText(h.Key, sum.Label), string(h.Role), at(h.First), fmt.Sprintf("%.1f", h.Nats)})
	}
	for _, s := range i.Timeline {
		e := storyEntry{At: at(s.Start), Stage: s.Stage.String(), Message: clean(s.Message), Weight: fmt.Sprintf("%.1f", s.LLR)}
		if s.Finding {
			e.ID = s.ID
		}
		v.Entries = append(v.Entries, e)
	}
	for _, r := range i.Responses {
		r.Target, r.Reason, r.BlastRadius = clean(r.Target), clean(r.Reason), clean(r.BlastRadius)
		v.Responses = append(v.Responses, r)
	}
	return v
}
