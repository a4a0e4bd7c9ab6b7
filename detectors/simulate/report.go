package simulate

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// published are figures of other work, as its authors give them, on data of their own.
const published = `| work | data | found | false | what counts |
|---|---|---|---|---|
| TRW (Jung, Paxson, Berger, Balakrishnan 2004) | two sites' borders | scanners in 4 to 5 attempts | 1 % by design | remote scanners |
| HOPPER (Ho et al. 2021) | 780 M log-ons of 15 months of one enterprise | 94.5 % of more than 300 scenarios | fewer than 9 alerts a day | lateral movement paths of log-ons |
| EULER, GCN and LSTM, detection (King, Huang 2022) | LANL 2015 | 89.65 % of edges | 0.572 % of edges, precision 0.56 % | log-on edges |
| any edge not seen before, after the same | LANL 2015 | 72.0 % of edges | 4.40 % of edges, precision 0.10 % | log-on edges |
`

// beside writes what we wanted to reach next to what was reached.
func (r *Result) beside(b *strings.Builder) {
	fmt.Fprintf(b, "| what we hold ourselves to | here, simulated |\n|---|---|\n")
	for n, by := range []string{"all rules", "the graph's rules alone"} {
		found, _, honest := r.Graph.EdgesAt(lanlFalse, max(r.Edges, 1), n)
		fmt.Fprintf(b, "| edges: 85 %% or more where at most 0.57 %% of honest ones are (EULER), %s | %s at %.3f %% |\n", by, share(found), 100*honest)
	}
	path := r.rule("graph.path")
	fmt.Fprintf(b, "| scenarios: 94.5 %% told as paths at fewer than 9 alerts a day (HOPPER); graph.path, a day and thousand hosts | %s; %s |\n",
		share(r.Graph.Alarmed), r.interval(path.FalseAlarms))
	fmt.Fprintf(b, "| fewer than 2 false incidents a day and thousand hosts | %s |\n", r.interval(r.FalseIncidents))
	b.WriteString(`
Not the same measure as theirs: they work on log-on records of large real sites, most of it with intrusions of others' making. Our
intrusions and honest work were thought up by those who wrote the rules, for a site that knows less strangeness than any real one.

`)
}

// Markdown writes the result as a page.
func (r *Result) Markdown(w io.Writer) error {
	var b strings.Builder
	alarms, early := 0, 0
	for _, x := range r.Rules {
		alarms += sum(x.FalseAlarms)
		early += x.EarlyAlarms
	}
	total := make([]int, r.Days)
	trueAlarms := 0
	for _, x := range r.Rules {
		for i, n := range pad(slices.Clone(x.FalseAlarms), r.Days) {
			total[i] += n
		}
		trueAlarms += x.TrueAlarms
	}
	fmt.Fprintf(&b, "| play | hosts | days | of them learning | seed | intrusions | volume |\n|---|---|---|---|---|---|---|\n")
	for i, c := range r.Plays {
		fmt.Fprintf(&b, "| %d | %d | %d | %d | %d | %d | %.2g |\n", i+1, c.Hosts, c.Days, c.Learn, c.Seed, c.Intrusions, c.Volume)
	}
	rate, low, high := r.Rate(total)
	fmt.Fprintf(&b, "\n%s items. An alarm is a finding of risk 47 or more, a notice one of 21 to 46. Brackets hold 95 %% intervals.\n\n", thousands(r.Items))

	found := Tally{}
	var delays []time.Duration
	steps, alarmed, noticed, story := 0, 0, 0, Tally{}
	for _, i := range r.Intrusions {
		found.add(i.Found)
		steps, alarmed, noticed = steps+i.Steps, alarmed+i.Alarmed, noticed+i.Noticed
		story.add(i.Stages >= 3)
		if i.Found {
			delays = append(delays, i.Delay)
		}
	}
	edges := Tally{}
	for _, t := range r.Techniques {
		if t.Stage.String() == "lateral movement" {
			edges.Hits, edges.Of = edges.Hits+t.Edge.Hits, edges.Of+t.Edge.Of
		}
	}
	fmt.Fprintf(&b, "| measure | value |\n|---|---|\n")
	fmt.Fprintf(&b, "| false alarms a day and thousand hosts | %.2f [%.2f, %.2f] |\n", rate, low, high)
	if r.EarlyDays > 0 {
		fmt.Fprintf(&b, "| the same in the days of learning | %.2f |\n", float64(early)/r.EarlyDays*1000)
	}
	fmt.Fprintf(&b, "| intrusions with an alarm | %s |\n", share(found))
	fmt.Fprintf(&b, "| intrusions with alarms of three stages or more | %s |\n", share(story))
	if n := len(delays); n > 0 {
		slices.Sort(delays)
		fmt.Fprintf(&b, "| first step to first alarm, median and 90th percentile | %s, %s |\n", brief(delays[n/2]), brief(delays[n*9/10]))
	}
	fmt.Fprintf(&b, "| steps of intrusions with an alarm | %d of %d |\n| with a notice or alarm | %d of %d |\n", alarmed, steps, noticed, steps)
	fmt.Fprintf(&b, "| lateral edges named (actor and target), notices included | %s |\n", share(edges))
	if r.Edges > 0 {
		fmt.Fprintf(&b, "| honest edges (pair of hosts with a log-on or session, hour) | %s |\n", thousands(r.Edges))
		fmt.Fprintf(&b, "| of them named by a notice or alarm; by an alarm | %.3f %%; %.3f %% |\n",
			100*float64(r.FalseEdges[0])/float64(r.Edges), 100*float64(r.FalseEdges[1])/float64(r.Edges))
	}
	if trueAlarms+alarms > 0 {
		fmt.Fprintf(&b, "| alarms that are of an intrusion, at this rate of intrusions | %d of %d |\n", trueAlarms, trueAlarms+alarms)
	}
	b.WriteString("\n## Incidents\n\n")
	r.stories(&b)
	b.WriteString("\n## Edges and chains\n\n")
	r.Graph.write(&b, r)

	fmt.Fprintf(&b, "\n## False findings by rule\n\nA day and thousand hosts of honest work, after the days of learning.\n\n")
	fmt.Fprintf(&b, "| rule | false alarms | false notices | alarms while learning | true alarms | true notices |\n|---|---|---|---|---|---|\n")
	for _, x := range r.Rules {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %d |\n", x.ID, r.interval(x.FalseAlarms), r.interval(x.FalseNotices),
			perDay(float64(x.EarlyAlarms), r.EarlyDays), x.TrueAlarms, x.TrueNotices)
	}

	fmt.Fprintf(&b, "\n## Noisiest: what honest work set it off\n\n")
	loud := slices.Clone(r.Rules)
	slices.SortStableFunc(loud, func(a, b *RuleResult) int {
		return cmp.Or(-cmp.Compare(sum(a.FalseAlarms), sum(b.FalseAlarms)), -cmp.Compare(sum(a.FalseNotices), sum(b.FalseNotices)))
	})
	for _, x := range loud[:min(12, len(loud))] {
		if sum(x.FalseAlarms)+sum(x.FalseNotices) > 0 {
			fmt.Fprintf(&b, "- %s: %d alarms%s, %d notices%s. %s\n", x.ID, sum(x.FalseAlarms), who(x.Causes[1]), sum(x.FalseNotices), who(x.Causes[0]), oneLine(x.Example))
		}
	}

	fmt.Fprintf(&b, "\n## Detection by technique\n\n| technique | ATT&CK | stage | alarm | notice or alarm | actor and target named | median delay | rules |\n|---|---|---|---|---|---|---|---|\n")
	for _, t := range r.Techniques {
		delay := "-"
		if t.Alarm.Hits > 0 {
			delay = brief(t.Delay)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d/%d | %d/%d | %s | %s |\n", t.Name, t.ATTACK, t.Stage, share(t.Alarm), t.Notice.Hits, t.Notice.Of,
			t.Edge.Hits, t.Edge.Of, delay, strings.Join(slices.Sorted(maps.Keys(t.Rules)), ", "))
	}
	fmt.Fprintf(&b, "\n## Published figures\n\nNot comparable without care: other data, other units. They say what others call good.\n\n%s\n", published)
	r.beside(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// stories writes what became of the correlation.
func (r *Result) stories(b *strings.Builder) {
	told, high, whole, swallowed := Tally{}, Tally{}, Tally{}, Tally{}
	hosts, many := Tally{}, 0
	var delays []time.Duration
	for _, i := range r.Intrusions {
		told.add(i.Incidents > 0)
		high.add(i.Risk >= 73)
		swallowed.add(i.Swallowed)
		whole.add(i.Hosts.Hits == i.Hosts.Of)
		hosts.Hits, hosts.Of = hosts.Hits+i.Hosts.Hits, hosts.Of+i.Hosts.Of
		many += i.Incidents
		if i.Incidents > 0 {
			delays = append(delays, i.IncidentDelay)
		}
	}
	fmt.Fprintf(b, "| measure | value |\n|---|---|\n")
	fmt.Fprintf(b, "| false incidents a day and thousand hosts | %s |\n", r.interval(r.FalseIncidents))
	if r.EarlyDays > 0 {
		fmt.Fprintf(b, "| the same in the days of learning | %.2f |\n", float64(r.EarlyIncidents)/r.EarlyDays*1000)
	}
	fmt.Fprintf(b, "| of those after them, high or critical | %s |\n", r.interval(r.FalseHigh))
	fmt.Fprintf(b, "| intrusions that became an incident | %s |\n| a high or critical one | %s |\n", share(told), share(high))
	fmt.Fprintf(b, "| of which a part went into an incident that was there before | %s |\n", share(swallowed))
	if n := len(delays); n > 0 {
		slices.Sort(delays)
		fmt.Fprintf(b, "| first step to incident, median and 90th percentile | %s, %s |\n", brief(delays[n/2]), brief(delays[n*9/10]))
	}
	if told.Hits > 0 {
		fmt.Fprintf(b, "| incidents for one such intrusion, mean | %.2f |\n", float64(many)/float64(told.Hits))
	}
	fmt.Fprintf(b, "| hosts that acted in the intrusion, found in its largest incident | %s |\n| intrusions with all of them there | %s |\n", share(hosts), share(whole))
	fmt.Fprintf(b, "| acting hosts in true incidents that no intruder held | %s |\n| moves shown in true incidents that an intruder made | %s |\n", share(r.Strangers), share(r.Moves))
	if r.Example != "" {
		fmt.Fprintf(b, "\nA false one: %s\n", oneLine(r.Example))
	}
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return s[:min(len(s), 260)]
}

// interval is a rate with its interval; nought says below what it lies.
func (r *Result) interval(byDay []int) string {
	rate, low, high := r.Rate(byDay)
	if sum(byDay) == 0 {
		return fmt.Sprintf("0 (< %.2g)", high)
	}
	return fmt.Sprintf("%.2f [%.2f, %.2f]", rate, low, high)
}

func perDay(n, hostDays float64) string {
	if hostDays == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", n/hostDays*1000)
}

// share is a tally with its interval.
func share(t Tally) string {
	rate, low, high := t.Rate()
	if math.IsNaN(rate) {
		return "-"
	}
	return fmt.Sprintf("%d/%d (%.0f %% [%.0f, %.0f])", t.Hits, t.Of, 100*rate, 100*low, 100*high)
}

// brief rounds a duration to what matters.
func brief(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Minute:
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

// thousands writes a number with commas.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// who lists the work behind findings, most first.
func who(causes map[string]int) string {
	kinds := slices.SortedFunc(maps.Keys(causes), func(a, b string) int { return cmp.Or(-cmp.Compare(causes[a], causes[b]), cmp.Compare(a, b)) })
	if len(kinds) == 0 {
		return ""
	}
	for i, k := range kinds {
		kinds[i] = fmt.Sprintf("%s %d", k, causes[k])
	}
	return " (" + strings.Join(kinds, ", ") + ")"
}
