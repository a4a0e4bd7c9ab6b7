// Package phrase writes quantities the way people read them in a finding's sentences.
package phrase

import (
	"math"
	"strconv"
	"time"
)

// Round rounds to two decimals: what evidence shows.
func Round(x float64) float64 { return math.Round(x*100) / 100 }

// Number writes x with at most two decimals.
func Number(x float64) string { return strconv.FormatFloat(Round(x), 'f', -1, 64) }

// Count writes n with commas between thousands.
func Count(n int) string {
	s := strconv.Itoa(n)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural writes a count with its noun: 1 host, 2 hosts.
func Plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Count(n) + " " + noun
}

// Bytes writes a size in decimal units.
func Bytes(x float64) string {
	switch {
	case x < 1000:
		return Number(math.Round(x)) + " bytes"
	case x < 999_950:
		return Number(math.Round(x/100)/10) + " kB"
	case x < 999_950_000:
		return Number(math.Round(x/1e5)/10) + " MB"
	}
	return Number(math.Round(x/1e8)/10) + " GB"
}

// Duration writes a length of time in the unit that fits.
func Duration(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return Number(float64(d.Microseconds())/1000) + " ms"
	case d < time.Second:
		return Number(float64(d.Milliseconds())) + " ms"
	case d < 2*time.Minute:
		return Number(math.Round(d.Seconds()*10)/10) + " s"
	case d < 3*time.Hour:
		return Number(math.Round(d.Minutes())) + " min"
	case d < 72*time.Hour:
		return Number(math.Round(d.Hours())) + " h"
	}
	return Number(math.Round(d.Hours()/24)) + " days"
}
