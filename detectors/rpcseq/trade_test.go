package rpcseq

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/detectors/windows/script"
	"neuromast/flows"
)

// push brings a program to ADMIN$ of a host, makes a service of it and starts it: 0.5 + 2.5 + 2.5 + 1.5 = 7 nats.
func push(s *script.Script, at time.Duration, host, path, user string) {
	sealed := script.Call{RPC: flows.RPC{Encrypted: true}, User: user}
	s.SMB(at, client, host, flows.SMBTree, script.File{Share: `\\srv\ADMIN$`, User: user})
	s.SMB(at+time.Second, client, host, flows.SMBWrite, script.File{Share: `\\srv\ADMIN$`, Path: path, Head: "MZ\x90\x00", User: user})
	s.RPC(at+2*time.Second, client, host, windows.Svcctl, 12, sealed)
	s.RPC(at+3*time.Second, client, host, windows.Svcctl, 19, sealed)
}

// TestTrade: a deployment server pushes its agent to two new hosts on each of three days. On the fourth day the same push to
// another host counts 7 x 0.2, another program 7 x 0.4 = 2.8 nats, less than is said; with pipes of an execution tool 9 x 0.4
// = 3.6. Another account, or another host that pushes to five, is told as ever: three alone and a wave of two.
func TestTrade(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name string
		play func(*script.Script)
		want []float64
	}{
		{"the same push", func(s *script.Script) { push(s, 3*day, "10.0.1.77", `ccmsetup\ccmsetup.exe`, `LAB\deploy`) }, nil},
		{"another program", func(s *script.Script) { push(s, 3*day, "10.0.1.77", `Temp\edr.exe`, `LAB\deploy`) }, nil},
		{"a tool", func(s *script.Script) {
			push(s, 3*day, "10.0.1.77", `PSEXESVC.exe`, `LAB\deploy`)
			s.SMB(3*day+4*time.Second, client, "10.0.1.77", flows.SMBPipe, script.File{Share: `\\srv\IPC$`, Path: "PSEXESVC", User: `LAB\deploy`})
		}, []float64{3.6}},
		{"another account", func(s *script.Script) { push(s, 3*day, "10.0.1.77", `ccmsetup\ccmsetup.exe`, `LAB\eve`) }, []float64{7}},
		{"an account that is new, to five hosts", func(s *script.Script) {
			for i := range 5 {
				push(s, 3*day+time.Duration(i)*time.Minute, fmt.Sprintf("10.0.1.%d", 50+i), `a.exe`, `LAB\eve`)
			}
		}, []float64{7, 7, 7, 7}},
	} {
		var s script.Script
		for d := range 3 {
			for i := range 2 {
				push(&s, time.Duration(d)*day+time.Duration(i)*time.Minute, fmt.Sprintf("10.0.1.%d", 10+2*d+i), `ccmsetup\ccmsetup.exe`, `LAB\deploy`)
			}
		}
		c.play(&s)
		var got []*detectors.Finding
		for _, f := range play(&s) {
			if f.Start >= script.Start.Add(3*day) {
				got = append(got, f)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %d findings, want %d", c.name, len(got), len(c.want))
			continue
		}
		for i, f := range got {
			var sum float64
			for _, e := range f.Evidence {
				sum += e.Nats
			}
			if math.Abs(f.LLR-c.want[i]) > 1e-9 || math.Abs(sum-f.LLR) > 0.02 || f.Rule.ID != "rpc.seq.psexec" || strings.Contains(f.Message, "new for it on this host") != (c.want[i] == 3.6) {
				t.Errorf("%s: %v nats, evidence %v: %s", c.name, f.LLR, sum, f.Message)
			}
		}
	}
}
