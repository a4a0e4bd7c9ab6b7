package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestAttackInAFlood hides the intrusion among half a million spoofed SYNs while the flow table has room for few of them:
// the sensor still says what it says without the flood, and no more.
func TestAttackInAFlood(t *testing.T) {
	attack := craftCapture(t, "intrusion")
	quiet := results(t, attack)
	sum := readJSON(t, filepath.Join(quiet, "summary.json"))
	parse := func(key string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, get(sum, key).(string))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	first, last := parse("first"), parse("last")
	flood := filepath.Join(t.TempDir(), "flood.pcap")
	f, err := os.Create(flood)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	head := make([]byte, 24)
	binary.LittleEndian.PutUint32(head, 0xa1b23c4d) // nanoseconds
	binary.LittleEndian.PutUint32(head[4:], 4<<16|2)
	binary.LittleEndian.PutUint32(head[16:], 65535)
	binary.LittleEndian.PutUint32(head[20:], 1)
	w.Write(head)
	const packets = 500_000
	rec := make([]byte, 16+60)
	for i := range packets {
		at := first.Add(time.Duration(float64(last.Sub(first)) * float64(i) / packets))
		binary.LittleEndian.PutUint32(rec, uint32(at.Unix()))
		binary.LittleEndian.PutUint32(rec[4:], uint32(at.Nanosecond()))
		rec[8], rec[12] = 60, 60
		b := rec[16:]
		copy(b, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00\x00\x28\x00\x00\x40\x00\x40\x06")
		x := uint32(i) * 2654435761
		binary.BigEndian.PutUint32(b[26:], 0x20000000|x>>3) // sources from all over
		binary.BigEndian.PutUint32(b[30:], 0x0a140000|x&0xff)
		binary.BigEndian.PutUint32(b[34:], x)
		b[46], b[47] = 0x50, 2
		w.Write(rec)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	// The attack takes hours of packet time: attempts that never end keep the table full all the while.
	noisy := results(t, "--set", "memory.budget=8MiB", "--set", "flows.table.attempt_timeout=24h", attack, flood)
	if got, want := rules(lines(t, filepath.Join(noisy, "findings.jsonl"))), rules(lines(t, filepath.Join(quiet, "findings.jsonl"))); !slices.Equal(got, want) {
		t.Errorf("in the flood: %s, want %s", got, want)
	}
	all := readJSON(t, filepath.Join(noisy, "summary.json"))
	if n, _ := get(all, "losses.evicted_flows").(float64); n == 0 {
		t.Error("the table had room for the flood: it tests nothing")
	}
}
