package smbexec

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows/script"
	"neuromast/flows"
)

// TestSiteWeights plays what rests on what is usual here, and holds the weight against one worked out by hand.
func TestSiteWeights(t *testing.T) {
	const ipc, public, sysvol = `\\srv\IPC$`, `\\srv\public`, `\\dc\SYSVOL`
	day := 24 * time.Hour
	for _, tt := range []struct {
		name string
		play func(*script.Script)
		rule string
		nats float64
		ids  string
		says string
	}{
		{"ten directories of SYSVOL", func(s *script.Script) {
			for i := range 10 {
				s.SMB(time.Duration(i), client, server, flows.SMBList, script.File{Share: sysvol, Path: fmt.Sprintf(`lab\Policies\{%d}`, i)})
			}
		}, "smb.secrets", 2, "T1552.006", "directories of SYSVOL listed"},
		{"a pipe that nobody here used, after a week of 20 clients", func(s *script.Script) {
			for i := range 20 {
				s.SMB(time.Duration(i)*8*time.Hour+day, fmt.Sprintf("10.0.2.%d", i+1), server, flows.SMBPipe, script.File{Share: ipc, Path: "srvsvc"})
			}
			s.SMB(9*day, client, server, flows.SMBPipe, script.File{Share: ipc, Path: "qwertz"})
		}, "smb.pipe", 2, "T1021.002", "nobody here used before (qwertz)"},
		{"SMB1 between two that speak SMB2", func(s *script.Script) {
			s.SMB(0, client, "10.0.1.1", flows.SMBNegotiate, script.File{SMB: flows.SMB{Dialect: 0x0311}})
			s.SMB(1, "10.0.2.1", server, flows.SMBNegotiate, script.File{SMB: flows.SMB{Dialect: 0x0302}})
			s.SMB(2, client, server, flows.SMBNegotiate, script.File{SMB: flows.SMB{Dialect: 1}})
		}, "smb.exploit", 1, "T1210", "SMB1 between two hosts"},
		{"a pipe by the name of a library just written: 9", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBWrite, script.File{Share: public, Path: `up\Lib.so`, Head: "\x7fELF"})
			s.SMB(1, client, server, flows.SMBPipe, script.File{Share: ipc, Path: `share/up/lib.so`})
		}, "smb.exploit", 9, "T1210", "just written to a share"},
		{"a violation, then a new port of the victim answers: 4 + 4", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBViolation, script.File{Path: "transaction_beyond_message"})
			s.Flow(10*time.Second, 5*time.Second, client, server, 4444, flows.AppUnknown)
		}, "smb.exploit", 8, "T1210", "a port of the victim that it did not have before"},
		{"a violation, then the victim goes elsewhere: 4 + 2", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBViolation, script.File{Path: "transaction_beyond_message"})
			s.Flow(10*time.Second, 5*time.Second, server, "10.0.9.9", 4444, flows.AppUnknown)
		}, "smb.exploit", 6, "T1210", "in no known protocol"},
		{"directories of six servers: 1 + 0.5 ln 2", func(s *script.Script) {
			for i := range 120 {
				s.SMB(time.Duration(i), client, fmt.Sprintf("10.0.1.%d", 1+i%6), flows.SMBList, script.File{Share: public, Path: fmt.Sprintf(`a\%d`, i)})
			}
		}, "smb.list", 1 + 0.5*math.Ln2, "T1083", "on 6 servers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s script.Script
			tt.play(&s)
			var got []*detectors.Finding
			for _, f := range play(&s) {
				if f.Rule.ID == tt.rule {
					got = append(got, f)
				}
			}
			if len(got) != 1 {
				t.Fatalf("%d findings, want 1", len(got))
			}
			f := got[0]
			if math.Abs(f.LLR-tt.nats) > 1e-9 || ids(f) != tt.ids || !strings.Contains(f.Message, tt.says) {
				t.Errorf("weighs %v, %s: %s", f.LLR, ids(f), f.Message)
			}
			var sum float64
			for _, e := range f.Evidence {
				sum += e.Nats
			}
			if math.Abs(sum-f.LLR) > 0.02 || f.Counterfactual == "" || f.Filter == "" || len(f.Conns) == 0 || len(f.Refs) == 0 {
				t.Errorf("evidence sums to %v of %v; %+v", sum, f.LLR, f)
			}
		})
	}
}

// TestSiteQuiet: what resembles it.
func TestSiteQuiet(t *testing.T) {
	const ipc, public, sysvol = `\\srv\IPC$`, `\\srv\public`, `\\dc\SYSVOL`
	day := 24 * time.Hour
	for name, write := range map[string]func(*script.Script){
		"nine directories of SYSVOL": func(s *script.Script) {
			for i := range 9 {
				s.SMB(time.Duration(i), client, server, flows.SMBList, script.File{Share: sysvol, Path: fmt.Sprintf(`lab\%d`, i)})
			}
		},
		"a new pipe before a week is over": func(s *script.Script) {
			for i := range 30 {
				s.SMB(time.Duration(i), fmt.Sprintf("10.0.2.%d", i+1), server, flows.SMBPipe, script.File{Share: ipc, Path: "srvsvc"})
			}
			s.SMB(6*day, client, server, flows.SMBPipe, script.File{Share: ipc, Path: "qwertz"})
		},
		"a pipe that another used, and one of Windows": func(s *script.Script) {
			for i := range 30 {
				s.SMB(time.Duration(i), fmt.Sprintf("10.0.2.%d", i+1), server, flows.SMBPipe, script.File{Share: ipc, Path: "Product.1"})
			}
			s.SMB(8*day, client, server, flows.SMBPipe, script.File{Share: ipc, Path: "product.1"})
			s.SMB(8*day, client, server, flows.SMBPipe, script.File{Share: ipc, Path: "W32TIME_ALT"})
		},
		"an old printer speaks SMB1": func(s *script.Script) {
			s.SMB(0, client, "10.0.1.1", flows.SMBNegotiate, script.File{SMB: flows.SMB{Dialect: 0x0311}})
			s.SMB(2, client, server, flows.SMBNegotiate, script.File{SMB: flows.SMB{Dialect: 1}})
		},
		"a document written, another pipe opened": func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBWrite, script.File{Share: public, Path: `srvsvc`, Head: "%PDF-1.5"})
			s.SMB(1, client, server, flows.SMBPipe, script.File{Share: ipc, Path: `srvsvc`})
		},
		"a new port, no violation": func(s *script.Script) {
			s.Flow(10*time.Second, 5*time.Second, client, server, 4444, flows.AppUnknown)
		},
		"many directories of two servers": func(s *script.Script) {
			for i := range 5000 {
				s.SMB(time.Duration(i), client, fmt.Sprintf("10.0.1.%d", 1+i%2), flows.SMBList, script.File{Share: public, Path: fmt.Sprintf(`a\%d`, i)})
			}
		},
		"a few of many": func(s *script.Script) {
			for i := range 90 {
				s.SMB(time.Duration(i), client, fmt.Sprintf("10.0.1.%d", 1+i%30), flows.SMBList, script.File{Share: public, Path: fmt.Sprintf(`a\%d`, i)})
			}
		},
	} {
		var s script.Script
		write(&s)
		for _, f := range play(&s) {
			t.Errorf("%s: %s %v %s", name, f.Rule.ID, f.LLR, f.Message)
		}
	}
	// A violation is answered on a port that the victim had before, after six minutes, or in a known protocol.
	var s script.Script
	s.Flow(0, 0, "10.0.2.1", server, 4444, flows.AppUnknown)
	s.SMB(time.Second, client, server, flows.SMBViolation, script.File{Path: "transaction_beyond_message"})
	s.Flow(10*time.Second, 5*time.Second, client, server, 4444, flows.AppUnknown)
	s.Flow(11*time.Second, 5*time.Second, server, "10.0.9.9", 993, flows.AppTLS)
	s.Flow(400*time.Second, 390*time.Second, client, server, 5555, flows.AppUnknown)
	if got := play(&s); len(got) != 1 || got[0].LLR != 4 {
		t.Errorf("%d findings, the first of %v, want 4 nats", len(got), got[0].LLR)
	}
	// A backup's fourth day of lists is a habit.
	var backup script.Script
	for d := range 6 {
		for i := range 200 {
			backup.SMB(time.Duration(d)*day+time.Duration(i), client, fmt.Sprintf("10.0.1.%d", 1+i%5), flows.SMBList, script.File{Share: public, Path: fmt.Sprintf(`a\%d`, i)})
		}
	}
	if got := play(&backup); len(got) != 3 {
		t.Errorf("%d findings of six days, want 3", len(got))
	}
}
