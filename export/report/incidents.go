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
		for n, l := range wrapAtMost(clean(i.Message), t.width-columns(lead), 4) {
			if n == 0 {
				lines = append(lines, t.paint(severityColour[sev], strings.TrimRight(lead, " "))+"  "+t.paint(bold, l))
				continue
			}
			lines = append(lines, strings.Repeat(" ", columns(lead))+l)
		}
		for n, l := range wrapAtMost(proposals(i.Responses), t.width-columns(lead)-columns(proposed), 2) {
			label := proposed
			if n > 0 {
				label = strings.Repeat(" ", columns(proposed))
			}
			lines = append(lines, strings.Repeat(" ", columns(lead))+t.paint(dim, label)+l)
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

// proposed leads what a person may do about an incident.
const proposed = "propose "

// actions are OpenC2's words, in people's.
var actions = map[string]string{"contain": "isolate", "deny": "block", "set": "renew the password of"}

func action(r *incident.Response) string { return cmp.Or(actions[r.Action], r.Action) }

// proposals says responses in one line: what is done to several, once, and at most three of them.
func proposals(all []incident.Response) string {
	const most = 3
	var said []string
	for i := range all {
		do := action(&all[i])
		if i > 0 && do == action(&all[i-1]) {
			continue
		}
		var targets []string
		for j := i; j < len(all) && action(&all[j]) == do; j++ {
			targets = append(targets, clean(all[j].Target))
		}
		if n := len(targets) - most; n > 0 {
			targets = append(targets[:most], fmt.Sprintf("%d more", n))
		}
		said = append(said, do+" "+strings.Join(targets, ", "))
	}
	return strings.Join(said, "; ")
}

// The view of an incident on the page.
type storyView struct {
	ID, Severity, When, Message string
	Risk                        int
	Parts                       []pair
	Hosts                       []storyHost
	Entries                     []storyEntry
	Left                        int
	Responses                   []storyResponse
	Limits                      []string
}

type storyHost struct{ Host, Role, Since, Weight string }

type storyResponse struct {
	Do string
	incident.Response
}

type storyEntry struct{ At, Stage, Message, Weight, ID string }

// weight shows the evidence about a host; one that was only reached has none.
func weight(nats float64) string {
	if nats == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", nats)
}

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
		v.Hosts = append(v.Hosts, storyHost{hostText(h.Key, sum.Label), string(h.Role), at(h.First), weight(h.Nats)})
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
		v.Responses = append(v.Responses, storyResponse{action(&r) + " " + r.Target, r})
	}
	return v
}
