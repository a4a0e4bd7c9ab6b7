package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"neuromast/sensor/packet"
)

func TestProgressLine(t *testing.T) {
	at := packet.TimeOf(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC))
	// 50 of 200 MB after 2 s: a quarter done, 25 MB/s, 6 s left.
	line := progressLine(50e6, 200e6, 1234567, at, 2*time.Second, 120)
	for _, want := range []string{" 25% ", "1,234,567 packets", "25 MB/s", "at 2026-03-02 08:00:00", "6s left", "█", "░"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q lacks %q", line, want)
		}
	}
	for _, width := range []int{20, 40, 80} {
		if n := utf8.RuneCountInString(progressLine(50e6, 200e6, 1234567, at, 2*time.Second, width)); n > width {
			t.Errorf("%d columns of %d", n, width)
		}
	}
	if line := progressLine(50e6, -1, 0, 0, time.Second, 80); strings.Contains(line, "%") || strings.Contains(line, "left") {
		t.Errorf("of a pipe nobody knows the end: %q", line)
	}
}
