package incident

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/sensor/packet"
)

// Terms of the package comment.
const (
	rest      = 0.3  // of what depends on heavier evidence
	others    = 0.5  // of hosts beside the heaviest
	perMove   = 1.5  // for each move after the first
	perStage  = 2.0  // for each further stage in order
	maxStages = 4    // that count
	disorder  = 1.0  // for each pair of stages out of order
	stageFrom = 1.0  // nats from which a stage counts
	moveFrom  = 0.5  // P(cause) from which a move counts
	joinFrom  = 0.3  // P(cause) from which cases are joined
	act       = 0.3  // chance that who reached a host acts through it,
	mostRare  = 4    // nats by which the weight of an act speaks for its cause, at most
	manyFrom  = 8    // less where that one does more to others all the time
	floor     = 1e-5 // signals a minute that a host draws by itself, at least
)

const dependent = packet.Time(24 * time.Hour) // signals of one family and peer within it depend on one another

// halfLife of a stage's evidence.
func halfLife(s detectors.Stage) time.Duration {
	const day = 24 * time.Hour
	switch s {
	case detectors.StageDiscovery:
		return day
	case detectors.StageCredential:
		return 3 * day
	case detectors.StageLateral:
		return 7 * day
	}
	return 14 * day
}

var familyCap = [detectors.NumFamilies]float64{
	detectors.FamilySemantics: 12, detectors.FamilyScanning: 8, detectors.FamilyNovelty: 6, detectors.FamilyCredential: 9,
	detectors.FamilyRhythm: 5, detectors.FamilyVolume: 6, detectors.FamilyNames: 9,
}

// cause is the probability that an act at distance after a reach comes from it; drawn is the host's own rate of signals a
// minute before, trade how much who reached it does to others all the time.
func cause(distance time.Duration, drawn, trade float64) float64 {
	d := distance.Minutes()
	if d < 0 {
		return 0
	}
	f := 0.7*math.Exp(-d/30)/30 + 0.3*math.Exp(-d/2880)/2880
	f *= act * aside(trade)
	return f / (f + max(drawn, floor))
}

// rarer is how much seldomer a host draws a signal of a weight by itself than one of a nat: weights are the logarithms of
// just that, but not to be trusted so far.
func rarer(llr float64) float64 { return math.Exp(-min(max(llr-1, 0), mostRare)) }

// aside is what is left of the suspicion that a reach was the cause, where its actor does as much to many: the square, since
// both that it is this one of its acts and that it is an act at all become less likely.
func aside(trade float64) float64 {
	share := min(1, manyFrom/max(trade, 1))
	return share * share
}

// faded is a signal's weight at a later time.
func faded(s *detectors.Signal, at packet.Time) float64 {
	age := at.Sub(s.End)
	if age <= 0 {
		return s.LLR
	}
	return s.LLR * math.Exp2(-float64(age)/float64(halfLife(s.Stage)))
}

// hostScore is the evidence about one host at a time.
func hostScore(signals []*detectors.Signal, at packet.Time) float64 {
	type group struct {
		family detectors.Family
		peer   detectors.HostKey
		domain string
		from   packet.Time
		max    float64
		sum    float64
	}
	sorted := slices.Clone(signals)
	slices.SortStableFunc(sorted, func(a, b *detectors.Signal) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.ID, b.ID))
	})
	var groups []group
	for _, s := range sorted {
		w := faded(s, at)
		i := slices.IndexFunc(groups, func(g group) bool {
			return g.family == s.Family() && g.peer == s.Peer && g.domain == s.Domain && s.Start-g.from < dependent
		})
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{family: s.Family(), peer: s.Peer, domain: s.Domain, from: s.Start})
		}
		groups[i].max, groups[i].sum = max(groups[i].max, w), groups[i].sum+w
	}
	var families [detectors.NumFamilies]float64
	for _, g := range groups {
		families[g.family] += g.max + rest*(g.sum-g.max)
	}
	total := 0.0
	for f, w := range families {
		total += min(w, familyCap[f])
	}
	return total
}

// stagesOf lists the stages that the signals show, in the order in which they began.
func stagesOf(signals []*detectors.Signal) []Span {
	var spans []Span
	for _, s := range signals {
		i := slices.IndexFunc(spans, func(p Span) bool { return p.Stage == s.Stage })
		if i < 0 {
			spans = append(spans, Span{Stage: s.Stage, Start: s.Start, End: s.End, Signals: 1})
			continue
		}
		p := &spans[i]
		p.Start, p.End = min(p.Start, s.Start), max(p.End, s.End)
		p.Signals++
	}
	slices.SortStableFunc(spans, func(a, b Span) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Stage, b.Stage)) })
	return spans
}

// counting lists the signals whose stages count.
func counting(signals []*detectors.Signal) []*detectors.Signal {
	return slices.DeleteFunc(slices.Clone(signals), func(s *detectors.Signal) bool {
		return s.LLR < stageFrom || s.Stage == detectors.StageImpairment
	})
}

// ordered rewards stages of a case that follow one another as intrusions unfold: each that is later in an intrusion than
// all that began before it.
func ordered(signals []*detectors.Signal) float64 {
	spans := stagesOf(counting(signals))
	further, latest := 0, 0
	for i := range spans {
		if spans[i].Stage > spans[latest].Stage {
			further, latest = further+1, i
		}
	}
	return perStage * float64(min(further, maxStages))
}

// disordered counts the pairs of stages of one host that began the other way round. Between hosts there is no such order:
// who has moved on looks around anew.
func disordered(signals []*detectors.Signal) (pairs int) {
	spans := stagesOf(counting(signals))
	for i := range spans {
		for k := range i {
			if spans[k].Stage > spans[i].Stage && spans[k].Start < spans[i].Start {
				pairs++
			}
		}
	}
	return pairs
}

// score fills in what a case amounts to at a time.
func (k *kase) score(i *Incident, at packet.Time) {
	type part struct {
		n    *node
		nats float64
	}
	var parts []part
	for _, n := range k.hosts {
		if len(n.signals) > 0 {
			parts = append(parts, part{n, hostScore(n.signals, at)})
		}
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(b.nats, a.nats) })
	i.Parts, i.Score = i.Parts[:0], 0
	add := func(name string, nats float64) {
		if nats != 0 {
			i.Parts = append(i.Parts, Part{name, phrase.Round(nats)})
			i.Score += nats
		}
	}
	rest := 0.0
	for n, p := range parts {
		if n == 0 {
			add("evidence about "+p.n.key.Addr.String(), p.nats)
			continue
		}
		rest += others * p.nats
	}
	if len(parts) > 1 {
		add(fmt.Sprintf("evidence about %s, half of it", phrase.Plural(len(parts)-1, "further host")), rest)
	}
	moves := 0
	for _, m := range k.moves {
		if m.P > moveFrom {
			moves++
		}
	}
	if moves > 1 {
		add("moves from host to host after the first", perMove*float64(moves-1))
	}
	all := k.signals()
	i.Single = slices.ContainsFunc(all, func(s *detectors.Signal) bool { return s.LLR >= standalone })
	bonus, pairs := ordered(all), 0
	for _, n := range k.hosts {
		pairs += disordered(n.signals)
	}
	add("stages in the order of an intrusion", bonus)
	add("stages out of order", -min(disorder*float64(pairs), bonus))
}
