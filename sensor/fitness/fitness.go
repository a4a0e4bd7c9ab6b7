// Package fitness says whether a machine is fit to capture and to keep what it finds: each item ok, warn or fail, with the
// command or the key that mends it. It changes nothing but a file that it writes to the spool's disk and removes again.
package fitness

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"neuromast/export/spool"
)

// Level is how an item ended.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Item is one thing that was looked at.
type Item struct {
	Name  string `json:"name"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Mend  string `json:"mend,omitempty"` // what to do, where something is to be done
}

func item(name string, level Level, mend, format string, args ...any) Item {
	return Item{Name: name, Level: level, Text: fmt.Sprintf(format, args...), Mend: mend}
}

// slowSync is when a disk's fsync is worth a word: a finding waits for it.
const slowSync = 50 * time.Millisecond

// Spool writes and syncs a file where the spool lies.
func Spool(cfg spool.Config) (items []Item) {
	const name = "export.spool.dir"
	dir := cfg.Dir
	for { // the directory may be made at the start: look at the one that is there
		if st, err := os.Stat(dir); err == nil {
			if !st.IsDir() {
				return []Item{item(name, Fail, "set export.spool.dir", "%s is no directory", dir)}
			}
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	f, err := os.CreateTemp(dir, ".neuromast-check-*")
	if err != nil {
		return []Item{item(name, Fail, "make it writable for the sensor's user, or set export.spool.dir", "%v", err)}
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var worst time.Duration
	block := make([]byte, 4096)
	for range 8 {
		began := time.Now()
		if _, err = f.Write(block); err == nil {
			err = f.Sync()
		}
		if err != nil {
			return []Item{item(name, Fail, "free room on the disk, or set export.spool.dir", "%v", err)}
		}
		worst = max(worst, time.Since(began))
	}
	level, mend := OK, ""
	if worst > slowSync {
		level, mend = Warn, "put export.spool.dir on a faster disk"
	}
	items = append(items, item(name, level, mend, "%s is writable; the slowest of 8 fsyncs took %v", cfg.Dir, worst.Round(10*time.Microsecond)))
	if free, ok := freeBytes(dir); ok {
		level, mend = OK, ""
		if free < uint64(cfg.MaxBytes) {
			level, mend = Warn, "free room, or lower export.spool.max_bytes"
		}
		items = append(items, item("export.spool.max_bytes", level, mend, "%d MiB of %d MiB free are the spool's at most", cfg.MaxBytes>>20, free>>20))
	}
	return items
}

// Memory compares what state and rings may take with what the machine has.
func Memory(budget int64, rings int, ringMiB int) []Item {
	total, ok := memoryLimit()
	if !ok {
		return nil
	}
	need := uint64(budget) + uint64(rings)*uint64(ringMiB)<<20 + 100<<20
	text := fmt.Sprintf("state up to %d MiB and %d MiB of rings, of %d MiB", budget>>20, rings*ringMiB, total>>20)
	switch {
	case need > total:
		return []Item{item("memory.budget", Fail, "lower memory.budget or capture.ring_mib", "%s: it will not fit", text)}
	case need > total/4*3:
		return []Item{item("memory.budget", Warn, "lower memory.budget or capture.ring_mib", "%s: more than three quarters", text)}
	}
	return []Item{item("memory.budget", OK, "", "%s", text)}
}
