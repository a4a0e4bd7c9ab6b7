package report

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// clean makes foreign text fit to print: controls, format characters such as bidirectional overrides, and private or
// unassigned code points become visible replacements; line breaks and tabs become spaces. Bytes that are not UTF-8
// become U+FFFD.
func clean(s string) string {
	fit := true
	for _, r := range s {
		if r == unicode.ReplacementChar || r < 0x20 || r >= 0x7f && !printable(r) {
			fit = false
			break
		}
	}
	if fit {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !printable(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func printable(r rune) bool { return unicode.IsGraphic(r) && r != '\u2028' && r != '\u2029' }

// columns is how wide s stands on a terminal: 2 for wide East Asian characters and emoji, 0 for combining marks.
func columns(s string) (n int) {
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// shorten cuts s to w columns and says so with an ellipsis.
func shorten(s string, w int) string {
	if columns(s) <= w {
		return s
	}
	if w < 1 {
		return ""
	}
	n := 0
	for i, r := range s {
		if n += runeColumns(r); n > w-1 {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}

// pad fills s with spaces up to w columns.
func pad(s string, w int) string { return s + strings.Repeat(" ", max(w-columns(s), 0)) }

// wrap breaks s into lines of at most w columns at spaces; a word that is longer than a line is broken where it must.
func wrap(s string, w int) []string {
	w = max(w, 8)
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(s) {
		n := columns(word)
		if used > 0 && used+1+n > w {
			lines, line, used = append(lines, line), "", 0
		}
		for n > w { // only reached at the start of a line
			head, taken := "", 0
			for _, r := range word {
				if taken+runeColumns(r) > w {
					break
				}
				head += string(r)
				taken += runeColumns(r)
			}
			lines, word = append(lines, head), word[len(head):]
			n = columns(word)
		}
		if used > 0 {
			line += " "
			used++
		}
		line += word
		used += n
	}
	if used > 0 {
		lines = append(lines, line)
	}
	return lines
}

// wrapAtMost is wrap with at most n lines; the last one says when it was cut.
func wrapAtMost(s string, w, n int) []string {
	lines := wrap(s, w)
	if len(lines) <= n {
		return lines
	}
	lines = lines[:n]
	last := lines[n-1]
	if columns(last)+2 > w {
		last, _ = strings.CutSuffix(shorten(last+"…", w-1), "…") // one more than fits, so that it is cut
	}
	lines[n-1] = strings.TrimRight(last, " ") + " …"
	return lines
}
