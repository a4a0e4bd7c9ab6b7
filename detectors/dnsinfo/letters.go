package dnsinfo

import "math"

// encodedFrom is the length from which a label can be told to look encoded: below, file names and hashes overlap.
const encodedFrom = 12

// letters sums what the labels of a pair's names look like, over all questions.
type letters struct {
	bytes   uint32 // in labels
	encoded uint32 // of them, in labels that look encoded
	foreign uint32 // of them, such as no host name holds (RFC 952, RFC 1123; with _)
	bits    float64
	pairs   uint32 // characters that bits is over
}

// looksEncoded judges a label by facts of its alphabet alone, since a short capture has no model of its site: random
// base32 has one digit in five and vowels a fifth of its letters, hexadecimal ten digits in sixteen; words have hardly a
// digit and vowels two fifths of their letters. Lengths and limits were chosen by us between those.
func looksEncoded(l []byte) bool {
	if len(l) < encodedFrom {
		return false
	}
	var digits, vowels, alpha, hex, foreign, turns int
	before := byte('-')
	for _, c := range l {
		isDigit := c >= '0' && c <= '9'
		if before != '-' && c != '-' && isDigit != (before >= '0' && before <= '9') {
			turns++ // between letter and digit
		}
		before = c
		switch {
		case isDigit:
			digits++
		case c >= 'a' && c <= 'z':
			alpha++
			if c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y' {
				vowels++
			}
		case c != '-' && c != '_':
			foreign++
		}
		if isHex(c) {
			hex++
		}
	}
	switch {
	case foreign > 0:
		return true
	case hex == len(l) && digits > 0:
		return true
	case turns*5 >= len(l) && digits >= 2: // digits strewn in, not a number at the end
		return true
	}
	return alpha >= encodedFrom && vowels*4 < alpha+2 // below a quarter
}

// add notes a name's labels.
func (s *letters) add(n *name, model *bigrams) {
	each(n.below, func(l []byte) {
		s.bytes += uint32(len(l))
		if looksEncoded(l) {
			s.encoded += uint32(len(l))
		}
		for _, c := range l {
			if c < '!' || c > '~' || c >= 'A' && c <= 'Z' {
				s.foreign++
			}
		}
		bits, k := model.cost(l)
		s.bits += bits
		s.pairs += uint32(k)
	})
}

// share is the part of bytes in labels that look encoded.
func (s *letters) share() float64 {
	if s.bytes == 0 {
		return 0
	}
	return float64(s.encoded) / float64(s.bytes)
}

// maxLettering bounds what lettering adds to a weight, in nats.
const maxLettering = 1.5

// weight is what lettering adds: by the site's own model once it has learnt, by the facts of the alphabet until then.
func (s *letters) weight(model *bigrams) float64 {
	if s.bytes == 0 {
		return 0
	}
	if s.foreign*20 > s.bytes {
		return maxLettering
	}
	byFacts := maxLettering * min(1, max(0, (s.share()-0.25)/0.5))
	if excess, ok := s.excess(model); ok {
		// One bit a character above the site's own names is what detection counts as encoded; hexadecimal hides from the
		// model and is seen by the facts.
		return max(byFacts, maxLettering*min(1, max(0, excess)))
	}
	return byFacts
}

// excess is how many bits a character the names cost above the site's own; ok where the model has learnt enough.
func (s *letters) excess(model *bigrams) (float64, bool) {
	if !model.ready() || s.pairs == 0 {
		return 0, false
	}
	return s.bits/float64(s.pairs) - model.mean(), true
}

// symbols: a to z, 0 to 9, hyphen and the rest, beginning and end.
const symbols = 38

// learnNames is how many different names the model needs before it judges.
const learnNames = 2000

// bigrams is the site's own model of names: counts of neighbours in labels of names that several clients resolved.
type bigrams struct {
	count [symbols][symbols]uint32
	sum   [symbols]uint32
	names int
	cells float64 // total cost of what was learnt, in bits, when it was learnt
	chars float64
}

func symbol(c byte) int {
	switch {
	case c >= 'a' && c <= 'z':
		return int(c - 'a')
	case c >= '0' && c <= '9':
		return 26 + int(c-'0')
	}
	return 36
}

// edge stands before the first and after the last character.
const edge = 37

func (m *bigrams) ready() bool   { return m.names >= learnNames }
func (m *bigrams) mean() float64 { return m.cells / max(1, m.chars) }

// cost returns -log2 P of a label under the model, with one added to each count (Laplace), and its number of steps.
func (m *bigrams) cost(label []byte) (bits float64, steps int) {
	if m.names == 0 {
		return 0, 0
	}
	before := edge
	for i := 0; i <= len(label); i++ {
		s := edge
		if i < len(label) {
			s = symbol(label[i])
		}
		bits += math.Log2(float64(m.sum[before]+symbols) / float64(m.count[before][s]+1))
		before = s
	}
	return bits, len(label) + 1
}

// learn adds a name; the caller sees to it that it is new.
func (m *bigrams) learn(n *name) {
	m.names++
	each(n.below, func(l []byte) {
		if m.names > learnNames/4 { // the first names cost more than they would later
			bits, k := m.cost(l)
			m.cells += bits
			m.chars += float64(k)
		}
		before := edge
		for i := 0; i <= len(l); i++ {
			s := edge
			if i < len(l) {
				s = symbol(l[i])
			}
			m.count[before][s]++
			m.sum[before]++
			before = s
		}
	})
}
