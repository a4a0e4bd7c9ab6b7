package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"neuromast/pcaps/wire"
	"neuromast/pcaps/workload"
	"neuromast/sensor/capture"
)

// BenchmarkLive sends as fast as one core can over a veth pair, small packets and the enterprise mix, and says what
// arrived: at the sensor with all detectors on, and at tcpdump -w /dev/null. It needs root.
//
//	go test -run '^$' -bench Live -benchtime 1x ./sensor
func BenchmarkLive(b *testing.B) {
	small := make([][]byte, 4096)
	for i := range small {
		small[i] = smallFrame(i)
	}
	for _, m := range []struct {
		name   string
		frames [][]byte
		rounds int
	}{
		{"mix=60B", small, 400},
		{"mix=enterprise", enterpriseFrames(b), 12},
	} {
		for _, who := range []string{"neuromast", "tcpdump"} {
			b.Run(m.name+"/reader="+who, func(b *testing.B) {
				for b.Loop() {
					measureLive(b, who, m.frames, m.rounds)
				}
			})
		}
	}
}

// smallFrame is a TCP segment of 60 bytes of one of 4,096 connections.
func smallFrame(i int) []byte {
	f := make([]byte, 60)
	copy(f, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00\x00\x28\x00\x01\x40\x00\x40\x06\x00\x00\x0a\x00\x00\x00\x0a\x01\x00\x01")
	f[18], f[19], f[28], f[29] = byte(i>>8), byte(i), byte(i>>8), byte(i)
	copy(f[34:], "\xc0\x00\x01\xbd\x00\x00\x00\x01\x00\x00\x00\x01\x50\x10\x02\x00")
	return f
}

func enterpriseFrames(b *testing.B) (all [][]byte) {
	var buf bytes.Buffer
	if err := (workload.Ent{Seed: 1, Flows: 5000, Scale: 0.6}).Write(&buf); err != nil {
		b.Fatal(err)
	}
	src, err := capture.Open([]string{"-"}, &buf)
	if err != nil {
		b.Fatal(err)
	}
	for {
		var batch capture.Batch
		if src.ReadBatch(&batch) != nil {
			return all
		}
		for i := range batch.Frames {
			all = append(all, batch.Frames[i].Data)
		}
	}
}

// measureLive runs in the benchmark's goroutine, whose thread is the namespace's and ends with it.
func measureLive(b *testing.B, who string, frames [][]byte, rounds int) {
	text := func() string {
		wire.Namespace(b)
		wire.Veth(b, "rx", "tx")
		s, err := wire.NewSender("tx")
		if err != nil {
			return err.Error()
		}
		defer s.Close()
		var bytes, sent float64
		for _, f := range frames {
			bytes += float64(len(f))
		}
		send := func() (pps, bps float64, err error) {
			began := time.Now()
			for range rounds {
				if err := s.Send(frames); err != nil {
					return 0, 0, err
				}
			}
			t := time.Since(began).Seconds()
			sent = float64(rounds * len(frames))
			return sent / t, bytes * float64(rounds) * 8 / t, nil
		}
		var pps, bps, got, lost, cpu float64
		if who == "tcpdump" {
			cmd := exec.Command("tcpdump", "-i", "rx", "-n", "-B", "65536", "-w", "/dev/null")
			var out strings.Builder
			cmd.Stderr = &out
			if err := cmd.Start(); err != nil {
				return err.Error()
			}
			time.Sleep(700 * time.Millisecond)
			if pps, bps, err = send(); err != nil {
				return err.Error()
			}
			time.Sleep(time.Second)
			_ = exec.Command("kill", "-INT", fmt.Sprint(cmd.Process.Pid)).Run()
			_ = cmd.Wait()
			for line := range strings.Lines(out.String()) {
				var n float64
				switch {
				case strings.Contains(line, "packets captured"):
					fmt.Sscan(line, &got)
				case strings.Contains(line, "dropped by kernel"):
					fmt.Sscan(line, &n)
					lost = n
				}
			}
			cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		} else {
			out := filepath.Join(b.TempDir(), "out")
			openTo(b, filepath.Dir(out))
			c := startProcess(b, "rx", "--out", out, "--set", "capture.ring_mib=64", "--set", "privileges.user=nobody")
			if pps, bps, err = send(); err != nil {
				return err.Error()
			}
			for range 100 {
				got, lost = c.metric("neuromast_packets_total"), c.metric("neuromast_dropped_packets_total")
				if got+lost >= sent {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			b.ReportMetric(c.metric("neuromast_load_changes_total"), "load-changes")
			if err := c.stop(); err != nil {
				return err.Error() + c.logs.String()
			}
			cpu = (c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()).Seconds()
		}
		b.ReportMetric(pps, "sent/s")
		b.ReportMetric(bps/1e9, "Gbit/s")
		b.ReportMetric(lost/sent*100, "%dropped")
		b.ReportMetric((sent-min(got+lost, sent))/sent*100, "%unaccounted")
		b.ReportMetric(cpu/sent*1e9, "ns/pkt")
		return ""
	}()
	if text != "" {
		b.Error(text)
	}
}
