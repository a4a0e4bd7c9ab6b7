package report

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
)

// Bounds of the table. A screen of 40 lines is what people see at once beside their prompt; lines longer than 120
// columns are hard to read.
const (
	maxLines     = 40
	defaultWidth = 100
	minWidth     = 60
	maxWidth     = 120
	indent       = 6 // of a finding's details
	labelWidth   = 8 // "benign  "
)

// SGR sequences (ECMA-48 8.3.117). Colour only repeats what words say.
const (
	reset = "\x1b[0m"
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
)

var severityColour = [...]string{
	detectors.Informational: dim, detectors.Low: "\x1b[36m", detectors.Medium: "\x1b[33m", detectors.High: "\x1b[31m",
	detectors.Critical: "\x1b[1;37;41m",
}

var severityWord = [...]string{
	detectors.Informational: "INFO", detectors.Low: "LOW", detectors.Medium: "MEDIUM", detectors.High: "HIGH", detectors.Critical: "CRITICAL",
}

// Findings writes the table: at most 40 lines of width columns (0: 100), coloured where color is set. fs may hold every
// revision of every finding, in any order.
func Findings(w io.Writer, fs []*detectors.Finding, sum Summary, width int, color bool) error {
	if width <= 0 {
		width = defaultWidth
	}
	t := &table{sum: &sum, width: min(max(width, minWidth), maxWidth), color: color}
	s := tell(fs)
	head := append(t.head(), t.incidents()...)
	foot := t.foot(s.findings > 0)
	body := t.nothing
	if s.findings > 0 {
		body = func() []string { return t.body(s, maxLines-len(head)-len(foot)) }
	}
	var b strings.Builder
	for _, part := range [][]string{head, body(), foot} {
		for _, line := range part {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type table struct {
	sum   *Summary
	width int
	color bool
}

// paint colours text that is already as wide as it shall be.
func (t *table) paint(code, text string) string {
	if !t.color || text == "" {
		return text
	}
	return code + text + reset
}

// spread sets left and right at the edges of a line; left yields.
func (t *table) spread(left, right string) (string, string) {
	if right == "" {
		return shorten(left, t.width), ""
	}
	room := t.width - columns(right) - 2
	return pad(shorten(left, room), room) + "  ", right
}

func (t *table) head() []string {
	var names []string
	for _, in := range t.sum.Inputs {
		names = append(names, clean(in.Name))
	}
	what := strings.Join(names, ", ")
	if len(names) > 3 {
		what = fmt.Sprintf("%s, %s and %d more", names[0], names[1], len(names)-2)
	}
	if what == "" {
		what = "Neuromast"
	}
	left, right := t.spread(what, t.sum.span())
	return []string{t.paint(bold, left) + t.paint(dim, right), ""}
}

// foot is the totals, what could not be seen (where the body does not say it), warnings, and where the files are.
func (t *table) foot(blind bool) []string {
	s := t.sum
	totals := []string{count(s.Packets.Read, "packet", "packets"), size(s.Bytes), count(s.Flows, "flow", "flows")}
	if s.DNS > 0 {
		totals = append(totals, grouped(s.DNS)+" DNS")
	}
	if s.Packets.Duplicates > 0 {
		totals = append(totals, count(s.Packets.Duplicates, "duplicate", "duplicates"))
	}
	if s.Elapsed > 0 {
		totals = append(totals, fmt.Sprintf("%s at %s packets/s", duration(s.Elapsed), grouped(uint64(s.rate()))))
	}
	if s.Truncated {
		totals = append(totals, "truncated")
	}
	lines := []string{"", t.paint(dim, shorten(strings.Join(totals, " · "), t.width))}
	note := func(label, text, colour string, most int) {
		for i, l := range wrapAtMost(text, t.width-10, most) {
			if i > 0 {
				label = ""
			}
			lines = append(lines, t.paint(colour, pad(label, 10)+l))
		}
	}
	if list := s.blind(); blind && len(list) > 0 {
		note("not seen", strings.Join(list, "; "), dim, 2)
	}
	for _, w := range s.Warnings[:min(len(s.Warnings), 3)] {
		note("warning", clean(w), severityColour[detectors.Medium], 2)
	}
	if len(s.Files) > 0 {
		note("files", fileList(s.Files), dim, 2)
	}
	return lines
}

// fileList names files, their folder once where they share it.
func fileList(files []string) string {
	dir := filepath.Dir(files[0])
	shared := dir != "." && !slices.ContainsFunc(files, func(f string) bool { return filepath.Dir(f) != dir })
	var names []string
	for _, f := range files {
		if shared {
			f = filepath.Base(f)
		}
		names = append(names, clean(f))
	}
	if shared {
		return clean(dir) + string(filepath.Separator) + " " + strings.Join(names, " ")
	}
	return strings.Join(names, " ")
}

// nothing says what an empty result rests on.
func (t *table) nothing() []string {
	lines := []string{t.paint(bold, "Nothing found.")}
	say := func(text string) {
		for _, l := range wrapAtMost(text, t.width, 3) {
			lines = append(lines, l)
		}
	}
	if t.sum.Packets.Read == 0 {
		say("There was nothing to look at: no packets.")
		return lines
	}
	say("Looked at " + t.sum.scope() + ".")
	if blind := t.sum.blind(); len(blind) > 0 {
		say("Could not see everything: " + strings.Join(blind, "; ") + ".")
	}
	say("Encrypted content was judged by its shape only. What is unusual for this network but not suspicious by itself shows " +
		"once a baseline was learnt.")
	return lines
}

// A row is shown at one of these levels.
const (
	hidden  = iota - 1
	oneLine // severity, risk, what, whom, when
	short   // the sentence and the first step too
	full    // why, look-alike, filter and all
)

// pick is a row on its way to the screen.
type pick struct {
	actor int
	row   *row
	level int
	lines [full + 1][]string
}

// fullReserve is how many lines of the body are kept from one-line rows for the details of the worst finding.
const fullReserve = 14

// body shows every row it can in one line, then spends what is left on details, the worst first.
func (t *table) body(s story, budget int) []string {
	var picks []*pick
	for i := range s.actors {
		for k := range s.actors[i].rows {
			r := &s.actors[i].rows[k]
			picks = append(picks, &pick{actor: i, row: r, level: hidden})
		}
	}
	order := slices.Clone(picks)
	slices.SortStableFunc(order, func(p, q *pick) int { return cmp.Compare(q.row.risk(), p.row.risk()) })

	used, shown := 0, map[int]bool{}
	spend := budget - 1 // one line to say what is hidden
	if room := spend - fullReserve; len(picks) > room/2 && room > 0 {
		spend = room
	}
	for _, p := range order {
		cost := 1
		if !shown[p.actor] {
			cost += 2 // its name and a blank line
		}
		if used+cost > spend && len(shown) > 0 {
			break
		}
		used += cost
		shown[p.actor] = true
		p.level = oneLine
		p.lines[oneLine] = t.headline(p.row)
		p.lines[short] = slices.Concat(p.lines[oneLine], t.sentence(p.row.lead(), 1))
		p.lines[full] = slices.Concat(p.lines[oneLine], t.details(p.row.lead()))
	}
	for _, p := range order {
		if p.level == hidden {
			continue
		}
		for level := full; level > oneLine; level-- {
			if extra := len(p.lines[level]) - 1; used+extra <= budget-1 {
				p.level = level
				used += extra
				break
			}
		}
	}

	var lines []string
	rest := 0
	for i := range s.actors {
		a := &s.actors[i]
		if !shown[i] {
			for _, r := range a.rows {
				rest += len(r.findings)
			}
			continue
		}
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		total := 0
		for _, r := range a.rows {
			total += len(r.findings)
		}
		left, right := t.spread(hostText(a.host, t.sum.Label), count(uint64(total), "finding", "findings"))
		lines = append(lines, t.paint(bold, left)+t.paint(dim, right))
		for _, p := range picks {
			if p.actor != i {
				continue
			}
			if p.level == hidden {
				rest += len(p.row.findings)
				continue
			}
			lines = append(lines, p.lines[p.level]...)
		}
	}
	if rest > 0 {
		where := "replay --out DIR writes all of them"
		if len(t.sum.Files) > 0 {
			where = "findings.jsonl and report.html hold all of them"
		}
		text := fmt.Sprintf("… and %s; %s", count(uint64(rest), "weaker finding", "weaker findings"), where)
		lines = append(lines, t.paint(dim, shorten(text, t.width)))
	}
	return lines
}

// headline is a row's one line.
func (t *table) headline(r *row) []string {
	f := r.lead()
	risk := r.risk()
	sev := detectors.SeverityOf(risk)
	target := targetText(f, t.sum.Label)
	if target != "" {
		target = " → " + target
	}
	more := ""
	if n := len(r.findings); n > 1 {
		more = fmt.Sprintf(" +%d", n-1)
	}
	const lead = "  CRITICAL  100  "
	at := t.clock(f)
	room := t.width - len(lead) - len(at) - 2
	// The rule's name yields first, down to half the room: whom it reaches matters more.
	text := shorten(clean(f.Rule.Name), max(room-columns(target+more), room/2))
	text += shorten(target, room-columns(text+more)) + more
	return []string{"  " + t.paint(severityColour[sev], severityWord[sev]) + strings.Repeat(" ", 8-len(severityWord[sev])) +
		fmt.Sprintf("  %3d  ", int(risk)) + t.paint(bold, pad(shorten(text, room), room)) + "  " + t.paint(dim, at)}
}

// clock says when, with the day where the capture spans several.
func (t *table) clock(f *detectors.Finding) string {
	at := f.Start.Std()
	if t.sum.First.Std().Format(time.DateOnly) != t.sum.Last.Std().Format(time.DateOnly) {
		return at.Format("Jan 02 15:04:05")
	}
	return at.Format("15:04:05")
}

// sentence is what happened and the first steps to take.
func (t *table) sentence(f *detectors.Finding, steps int) []string {
	var lines []string
	for _, l := range wrapAtMost(clean(f.Message), t.width-indent, 3) {
		lines = append(lines, strings.Repeat(" ", indent)+l)
	}
	return append(lines, t.steps(f, steps)...)
}

func (t *table) steps(f *detectors.Finding, most int) []string {
	var lines []string
	for i, step := range f.NextSteps[:min(len(f.NextSteps), most)] {
		label := "next"
		if i > 0 {
			label = ""
		}
		lines = append(lines, t.labelled(label, clean(step), 2)...)
	}
	return lines
}

// details is everything the screen has for one finding.
func (t *table) details(f *detectors.Finding) []string {
	lines := t.sentence(f, 0)
	for i, e := range byWeight(f.Evidence)[:min(len(f.Evidence), 3)] {
		label := "why"
		if i > 0 {
			label = ""
		}
		lines = append(lines, t.labelled(label, evidenceText(&e), 2)...)
	}
	if len(f.LookAlikes) > 0 {
		lines = append(lines, t.labelled("benign?", clean(f.LookAlikes[0]), 2)...)
	}
	lines = append(lines, t.steps(f, 2)...)
	if f.Filter != "" {
		lines = append(lines, t.labelled("filter", clean(f.Filter), 4)...)
	}
	if text := techniqueText(f); text != "" {
		lines = append(lines, t.labelled("att&ck", text, 1)...)
	}
	return lines
}

func (t *table) labelled(label, text string, most int) []string {
	var lines []string
	for i, l := range wrapAtMost(text, t.width-indent-labelWidth, most) {
		if i > 0 {
			label = ""
		}
		lines = append(lines, strings.Repeat(" ", indent)+t.paint(dim, pad(label, labelWidth))+l)
	}
	return lines
}
