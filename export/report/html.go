package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Bounds of the page: chosen by us so that a browser stays quick. findings.jsonl holds the rest.
const (
	maxDetailed = 200  // findings with all their details
	maxListed   = 2000 // findings with a line
)

//go:embed report.html.tmpl
var pageText string

// HTML writes the page: one file, no scripts, nothing loaded from elsewhere. fs may hold every revision of every
// finding, in any order.
func HTML(w io.Writer, fs []*detectors.Finding, sum Summary) error {
	page, err := template.New("report").Parse(pageText)
	if err != nil {
		return fmt.Errorf("report.html: %w", err)
	}
	s := tell(fs)
	v := view{
		Sensor: clean(sum.Sensor), Span: sum.span(), Scope: sum.scope(), Found: s.findings, Blind: sum.blind(), Truncated: sum.Truncated,
		Rows: totals(&sum), Timeline: drawTimeline(s, &sum),
	}
	for _, i := range stories(sum.Stories) {
		v.Stories = append(v.Stories, storyOf(i, &sum))
	}
	for _, in := range sum.Inputs {
		length := "unknown"
		if in.Size >= 0 {
			length = size(uint64(in.Size))
		}
		v.Inputs = append(v.Inputs, inputView{clean(in.Name), length, grouped(in.Frames), in.Digest, clean(in.Damage)})
	}
	for _, text := range sum.Warnings {
		v.Warnings = append(v.Warnings, clean(text))
	}
	v.Severities = make([]severityView, detectors.Critical+1)
	for i := range v.Severities {
		v.Severities[i].Name = detectors.Severity(len(v.Severities) - 1 - i).String()
	}
	detailed, listed := 0, 0
	for i := range s.actors {
		a := &s.actors[i]
		av := actorView{Name: hostText(a.host, sum.Label), Anchor: fmt.Sprintf("actor-%d", i+1)}
		for k := range a.rows {
			for _, f := range a.rows[k].findings {
				v.Severities[int(detectors.Critical-detectors.SeverityOf(detectors.Risk(f.LLR)))].Count++
				av.Count++
				if listed++; listed > maxListed {
					v.Left++
					continue
				}
				detailed++
				av.Findings = append(av.Findings, findingOf(f, &sum, detailed))
			}
		}
		if len(av.Findings) > 0 {
			v.Actors = append(v.Actors, av)
		}
	}
	return page.Execute(w, v)
}

// The view is what the template prints: text only, so that the template decides nothing but layout.
type view struct {
	Sensor, Span, Scope string
	Found, Left         int
	Truncated           bool
	Blind, Warnings     []string
	Inputs              []inputView
	Severities          []severityView
	Rows                []pair
	Timeline            *timeline
	Stories             []storyView
	Actors              []actorView
}

type inputView struct{ Name, Size, Frames, Digest, Damage string }

type severityView struct {
	Name  string
	Count int
}

type pair struct{ Key, Value string }

type actorView struct {
	Name, Anchor string
	Count        int
	Findings     []findingView
}

type findingView struct {
	Number                   int
	ID, Rule, RuleID         string
	Severity, Stage          string
	Risk                     int
	Odds                     string
	Target, When, Message    string
	Counterfactual, Filter   string
	Evidence                 []evidenceView
	LookAlikes, Steps, Users []string
	Techniques               []techniqueView
	Flows                    []flowView
	Quality                  []string
	Brief                    bool // one line only
	Open                     bool // unfolded at first
}

type evidenceView struct{ Measure, Value, Unit, Baseline, Threshold, Weight string }

type techniqueView struct{ ID, Name, URL string }

type flowView struct{ Text, CommunityID string }

func findingOf(f *detectors.Finding, sum *Summary, number int) findingView {
	risk := detectors.Risk(f.LLR)
	v := findingView{
		Number: number, ID: f.ID(), Rule: clean(f.Rule.Name), RuleID: clean(f.Rule.ID), Severity: detectors.SeverityOf(risk).String(),
		Stage: f.Rule.Stage.String(), Risk: int(risk), Odds: odds(f.LLR), Target: targetText(f, sum.Label), When: period(f.Start, f.End),
		Message: clean(f.Message), Brief: number > maxDetailed, Open: number <= 3,
	}
	if v.Brief {
		return v
	}
	v.Counterfactual, v.Filter = clean(f.Counterfactual), clean(f.Filter)
	v.LookAlikes, v.Steps, v.Users = cleanAll(f.LookAlikes), cleanAll(f.NextSteps), cleanAll(f.Users)
	for _, e := range f.Evidence {
		v.Evidence = append(v.Evidence, evidenceView{
			clean(e.Measure), figure(e.Value), unit(&e), clean(e.Baseline), clean(e.Threshold), fmt.Sprintf("%+.1f", e.Nats),
		})
	}
	for _, t := range f.Techniques {
		v.Techniques = append(v.Techniques, techniqueView{clean(t.ID), clean(t.Name), "https://attack.mitre.org/techniques/" + strings.Replace(clean(t.ID), ".", "/", 1) + "/"})
	}
	seen := map[string]bool{}
	for i := range f.Conns {
		c := &f.Conns[i]
		id := c.CommunityID(0)
		if !seen[id] {
			seen[id] = true
			v.Flows = append(v.Flows, flowView{connText(c), id})
		}
	}
	v.Quality = qualityText(&f.Quality)
	return v
}

func cleanAll(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, clean(s))
	}
	return out
}

// odds says a weight in words: e^llr is how much likelier the evidence is in an attack.
func odds(llr float64) string {
	switch x := math.Exp(llr); {
	case x < 1.5:
		return "about as likely in an attack as without one"
	case x < 10:
		return fmt.Sprintf("%.1f times as likely in an attack as without one", x)
	case x < 1e6:
		return grouped(uint64(x+0.5)) + " times as likely in an attack as without one"
	}
	return "over a million times as likely in an attack as without one"
}

func period(from, to packet.Time) string {
	a, b := from.Std(), to.Std()
	text := a.Format("2006-01-02 15:04:05.000")
	if to > from {
		text += fmt.Sprintf(" for %s", duration(b.Sub(a)))
	}
	return text
}

func connText(c *flows.Conn) string {
	switch c.Proto {
	case packet.ProtoTCP:
		return fmt.Sprintf("TCP %s → %s", endpoint(c.Orig, c.OrigPort), endpoint(c.Resp, c.RespPort))
	case packet.ProtoUDP:
		return fmt.Sprintf("UDP %s → %s", endpoint(c.Orig, c.OrigPort), endpoint(c.Resp, c.RespPort))
	case packet.ProtoICMP, packet.ProtoICMPv6:
		return fmt.Sprintf("ICMP type %d %s → %s", c.OrigPort, c.Orig, c.Resp)
	}
	return fmt.Sprintf("protocol %d %s → %s", c.Proto, c.Orig, c.Resp)
}

func endpoint(a packet.Addr, port uint16) string {
	if a.Is4() {
		return fmt.Sprintf("%s:%d", a, port)
	}
	return fmt.Sprintf("[%s]:%d", a, port)
}

// qualityText says what weakens a finding; nothing where the sensor saw all.
func qualityText(q *detectors.Quality) []string {
	var list []string
	say := func(n uint64, text string) {
		if n > 0 {
			list = append(list, grouped(n)+" "+text)
		}
	}
	say(q.KernelDrops, "packets dropped by the kernel")
	say(q.LostBytes, "bytes missing in streams")
	say(q.Truncated, "packets cut by the capture")
	say(q.Evicted, "flows ended early for memory")
	say(q.Duplicates, "duplicate packets")
	say(q.ShedBytes, "bytes of payload that there was no time for")
	say(q.Sampled, "packets that there was no time for")
	if q.OneSidedShare >= 0.01 {
		list = append(list, fmt.Sprintf("%.0f %% of flows in one direction only", q.OneSidedShare*100))
	}
	if q.BaselineDays > 0 {
		list = append(list, fmt.Sprintf("%.1f days of baseline", q.BaselineDays))
	} else {
		list = append(list, "no baseline learnt")
	}
	return list
}

// totals are the rows of the table of numbers.
func totals(s *Summary) []pair {
	rows := []pair{
		{"Packets read", grouped(s.Packets.Read)}, {"Packets decoded", grouped(s.Packets.Decoded)}, {"Captured bytes", size(s.Bytes)},
		{"Flows", grouped(s.Flows)}, {"DNS transactions", grouped(s.DNS)}, {"Duplicate packets", grouped(s.Packets.Duplicates)},
	}
	if s.Elapsed > 0 {
		rows = append(rows, pair{"Analysed in", fmt.Sprintf("%s, %s packets/s", duration(s.Elapsed), grouped(uint64(s.rate())))})
	}
	for _, part := range []struct {
		prefix string
		counts map[string]uint64
	}{{"Anomaly ", s.Packets.Anomalies}, {"Lost ", s.Losses}} {
		for _, name := range slices.Sorted(maps.Keys(part.counts)) {
			if n := part.counts[name]; n > 0 {
				rows = append(rows, pair{part.prefix + clean(name), grouped(n)})
			}
		}
	}
	return rows
}

// timeline is the inline picture of findings over time, a lane per actor.
type timeline struct {
	Height int
	Base   int // where lanes end and labels begin
	Lanes  []lane
	Ticks  []tick
	Title  string
	More   int // actors without a lane
}

type lane struct {
	Y    int
	Name string
	Bars []bar
}

type bar struct {
	X, Width string // in the picture's units
	Severity string
	Title    string
}

type tick struct{ X, Label string }

const (
	maxLanes   = 12
	maxBars    = 300 // per lane
	laneHeight = 26
	laneLeft   = 200.0 // where time begins
	laneWidth  = 760.0
)

// drawTimeline returns nil where there is no time to draw.
func drawTimeline(s story, sum *Summary) *timeline {
	first, last := sum.First, sum.Last
	for i := range s.actors {
		for k := range s.actors[i].rows {
			for _, f := range s.actors[i].rows[k].findings {
				first, last = min(first, f.Start), max(last, f.End)
			}
		}
	}
	if s.findings == 0 || last <= first {
		return nil
	}
	x := func(t packet.Time) float64 { return laneLeft + laneWidth*float64(t-first)/float64(last-first) }
	tl := &timeline{Title: fmt.Sprintf("%s of %s over time", count(uint64(s.findings), "finding", "findings"), count(uint64(len(s.actors)), "host", "hosts"))}
	for i := range s.actors {
		if i == maxLanes {
			tl.More = len(s.actors) - maxLanes
			break
		}
		a := &s.actors[i]
		l := lane{Y: i * laneHeight, Name: shorten(a.host.Addr.String(), 26)}
		var all []*detectors.Finding
		for k := range a.rows {
			all = append(all, a.rows[k].findings...)
		}
		slices.SortStableFunc(all, func(f, g *detectors.Finding) int { return cmp.Compare(f.LLR, g.LLR) }) // the worst on top
		for _, f := range all[max(len(all)-maxBars, 0):] {
			from, to := x(f.Start), x(max(f.End, f.Start))
			risk := detectors.Risk(f.LLR)
			l.Bars = append(l.Bars, bar{
				X: fmt.Sprintf("%.1f", min(from, laneLeft+laneWidth-4)), Width: fmt.Sprintf("%.1f", max(to-from, 4)),
				Severity: detectors.SeverityOf(risk).String(), Title: fmt.Sprintf("%s: %s (risk %d)", f.Start.Std().Format(time.DateTime), clean(f.Rule.Name), int(risk)),
			})
		}
		tl.Lanes = append(tl.Lanes, l)
	}
	tl.Base = len(tl.Lanes)*laneHeight + 8
	tl.Height = tl.Base + 26
	format := "15:04:05"
	if last.Sub(first) >= 24*time.Hour {
		format = "Jan 02 15:04"
	}
	for i := range 5 {
		at := first + packet.Time(float64(last-first)*float64(i)/4)
		tl.Ticks = append(tl.Ticks, tick{fmt.Sprintf("%.1f", x(at)), at.Std().Format(format)})
	}
	return tl
}
