package dnsinfo

import (
	"math"

	"neuromast/detectors/phrase"
)

// term is one addend of a weight.
type term struct {
	measure   string
	value     float64
	unit      string
	threshold string
	nats      float64
	words     string // the same in the finding's sentence
}

// verdict is what a pair amounts to.
type verdict struct {
	nats     float64
	terms    []term
	span     span // where the size is largest against its threshold
	dir      direction
	bytes    float64
	bound    float64
	excuse   string // why nothing is said all the same
	resolver bool
	alone    bool // one client holds nearly all of the domain's information
}

// Limits of the terms; detection's own, chosen to be read rather than fitted.
const (
	maxSize         = 4.0
	maxWeight       = 9.0
	carrierShare    = 0.3
	followShare     = 0.05
	excuseFollow    = 0.3
	aloneShare      = 0.9
	excuseShare     = 0.8
	internalShare   = 0.5
	minNamed        = 8
	strictDayBytes  = 2500 // a day and 30 days, where names look encoded and one client holds all
	strictMonth     = 5000
	strictLettering = 1.0
)

// weigh sums the terms of a pair.
func (d *Detector) weigh(p *pair, dom *domain) verdict {
	v := verdict{resolver: d.isResolver(p)}
	v.alone = dom.bytes <= 0 || p.window[day].bytes[up] >= aloneShare*dom.bytes
	lettering := p.letters.weight(&d.model)

	bounds := [numSpans]float64{float64(d.cfg.Minutes), float64(d.cfg.Day), float64(d.cfg.Month)}
	if lettering >= strictLettering && v.alone {
		bounds[day], bounds[month] = min(bounds[day], strictDayBytes), min(bounds[month], strictMonth)
	}
	best := 0.0
	for s := range numSpans {
		for _, dir := range []direction{up, down} {
			if r := p.window[s].bytes[dir] / bounds[s]; r > best {
				best, v.span, v.dir, v.bytes, v.bound = r, s, dir, p.window[s].bytes[dir], bounds[s]
			}
		}
	}
	if best < 1 {
		return v
	}
	add := func(t term) {
		if t.nats > 0 {
			v.terms = append(v.terms, t)
			v.nats += t.nats
		}
	}
	carriers := share(p.carriers, p.questions)
	unique := p.different() / float64(max(1, p.questions))
	add(term{"different names per question", unique, "", "above 0.5", max(0, min(1, 2*(unique-0.5))), "hardly one asked twice"})
	if excess, ok := p.letters.excess(&d.model); ok && lettering > 0 {
		add(term{"bits a character that names cost above this site's own", excess, "bits", "1 for certain", lettering, "unlike this site's names"})
	} else {
		encoded := 100 * p.letters.share()
		words := phrase.Number(math.Round(encoded)) + " % of their bytes look encoded"
		if encoded < 25 {
			words = "with bytes that no host name holds"
		}
		add(term{"bytes in labels that look encoded", encoded, "%", "above 25 %", lettering, words})
	}
	if carriers > carrierShare {
		add(term{"questions for types that carry data (TXT, NULL, CNAME, MX, KEY …)", 100 * carriers, "%", "above 30 %", 1, "asked for types that carry data"})
	}
	if !v.resolver {
		if p.answers >= minNamed && float64(p.followed) < followShare*float64(p.answers) {
			add(term{"answers that a connection followed within a minute", 100 * share(p.followed, p.answers), "%", "below 5 %", 1, "no connection follows the answers"})
		}
		if v.alone {
			part := 100.0
			if dom.bytes > 0 {
				part = min(100, 100*p.window[day].bytes[up]/dom.bytes)
			}
			add(term{"this client's part of the domain's information", part, "%", "above 90 %", 1, "nobody else asks for them"})
		}
	}
	size := min(maxSize, 1.2*math.Log(best))
	v.nats = min(maxWeight, v.nats+size)
	v.terms = append([]term{{nats: size}}, v.terms...)
	v.excuse = d.excuse(p, carriers, lettering)
	return v
}

// excuse names the benign thing that a pair is, empty where it is none.
func (d *Detector) excuse(p *pair, carriers, lettering float64) string {
	switch {
	case share(p.lookups, p.questions) >= excuseShare:
		return "look-ups by address"
	case p.loopback >= minNamed && share(p.loopback, p.answers) >= excuseShare:
		return "a list that answers in 127.0.0.0/8"
	case share(p.expansions, p.questions) >= excuseShare && lettering < strictLettering:
		return "a search list at work"
	case carriers > carrierShare:
		return ""
	case p.named >= minNamed && share(p.followed, p.named) >= excuseFollow:
		return "connections follow"
	case p.internal >= minNamed && share(p.internal, p.answers) >= internalShare && lettering == 0:
		return "names of internal hosts"
	}
	return ""
}
