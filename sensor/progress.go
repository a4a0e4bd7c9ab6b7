package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"neuromast/sensor/packet"
)

// progress draws one line on a terminal while a replay runs: share done, packets, MB/s, packet time, time left.
type progress struct {
	w       io.Writer
	width   int
	started time.Time
	sample  func() (read, total int64, packets uint64, at packet.Time)
	stop    chan struct{}
	stopped chan struct{}
}

// startProgress draws about five times a second until Stop.
func startProgress(w io.Writer, width int, sample func() (read, total int64, packets uint64, at packet.Time)) *progress {
	p := &progress{w: w, width: width, started: time.Now(), sample: sample, stop: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(p.stopped)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				read, total, packets, at := p.sample()
				fmt.Fprint(p.w, "\r", progressLine(read, total, packets, at, time.Since(p.started), p.width), "\x1b[K")
			case <-p.stop:
				fmt.Fprint(p.w, "\r\x1b[K")
				return
			}
		}
	}()
	return p
}

// Stop clears the line.
func (p *progress) Stop() {
	if p != nil {
		close(p.stop)
		<-p.stopped
	}
}

// progressLine is the text of one moment.
func progressLine(read, total int64, packets uint64, at packet.Time, elapsed time.Duration, width int) string {
	sec := max(elapsed.Seconds(), 1e-3)
	rate := float64(read) / 1e6 / sec
	text := fmt.Sprintf(" %s packets  %.0f MB/s", grouped(packets), rate)
	if packets > 0 {
		text += "  at " + at.Std().Format("2006-01-02 15:04:05")
	}
	if total <= 0 {
		return cut(text, width)
	}
	share := min(float64(read)/float64(total), 1)
	if share > 0.01 && share < 1 {
		left := time.Duration(sec * (1 - share) / share * float64(time.Second))
		text += "  " + left.Round(time.Second).String() + " left"
	}
	bar := max(width-len(text)-8, 0)
	if bar > 30 {
		bar = 30
	}
	full := int(share * float64(bar))
	return cut(fmt.Sprintf("%3.0f%% %s%s%s", share*100, strings.Repeat("█", full), strings.Repeat("░", bar-full), text), width)
}

// grouped writes n with thin separators: 1,234,567.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// cut shortens s to width columns; every rune here is one column wide.
func cut(s string, width int) string {
	if r := []rune(s); len(r) > width && width > 0 {
		return string(r[:width])
	}
	return s
}
