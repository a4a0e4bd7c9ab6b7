package rpcseq

import (
	"math"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/detectors/windows/script"
	"neuromast/flows"
)

const (
	client = "10.0.0.5"
	server = "10.0.1.7"
	dc     = "10.0.1.1"
)

func play(s *script.Script) []*detectors.Finding { return s.Play(New(Default())) }

func ids(f *detectors.Finding) string {
	var out []string
	for _, t := range f.Techniques {
		out = append(out, t.ID)
	}
	return strings.Join(out, " ")
}

func sec(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// create is an RCreateServiceW request.
func create(name, image string) string {
	return string(script.Stub{}.Handle().Wide(name).U32(0).U32(0xf01ff, 0x10, 3, 0).Wide(image))
}

func netlogon(s *script.Script, at float64, op uint16, with script.Call) {
	s.RPC(sec(at), client, dc, windows.Netlogon, op, with)
}

func challenge(last byte) string {
	return string(script.Stub{}.U32(0x20000).Wide(`\\DC`).Wide("DC").Bytes(0, 0, 0, 0, 0, 0, 0, last))
}

// TestSequences plays each sequence and holds its weight against one worked out by hand.
func TestSequences(t *testing.T) {
	sealed := script.Call{RPC: flows.RPC{Encrypted: true}}
	for _, tt := range []struct {
		name   string
		play   func(*script.Script)
		rule   string
		nats   float64
		ids    string
		says   string
		actor  string
		target string
	}{
		{name: "PsExec: 0.5 + 2.5 + 2.5 + 1.5 + 3 = 10, at most 9", play: func(s *script.Script) {
			s.SMB(sec(0), client, server, flows.SMBTree, script.File{Share: `\\srv\ADMIN$`})
			s.SMB(sec(1), client, server, flows.SMBWrite, script.File{Share: `\\srv\ADMIN$`, Path: "PSEXESVC.exe", Head: "MZ\x90", SMB: flows.SMB{Bytes: 145568}})
			s.RPC(sec(2), client, server, windows.Svcctl, 45, sealed)
			s.RPC(sec(3), client, server, windows.Svcctl, 19, sealed)
			s.SMB(sec(4), client, server, flows.SMBPipe, script.File{Share: `\\srv\IPC$`, Path: "PSEXESVC-PC-1-stdin"})
		}, rule: "rpc.seq.psexec", nats: 9, ids: "T1021.002 T1569.002 T1570", says: `program written to ADMIN$\PSEXESVC.exe (145.6 kB)`},
		{name: "a program and a service without more: 2.5 + 2.5", play: func(s *script.Script) {
			s.SMB(sec(1), client, server, flows.SMBWrite, script.File{Share: `\\srv\C$`, Path: `Windows\odd.exe`, Head: "MZ"})
			s.RPC(sec(2), client, server, windows.Svcctl, 12, script.Call{Stub: create("odd", `C:\Windows\odd.exe`)})
		}, rule: "rpc.seq.psexec", nats: 5, ids: "T1021.002 T1569.002 T1570", says: `with image "C:\\Windows\\odd.exe", service "odd"`},
		{name: "smbexec: 2.5 + 2 + 1 + 2 + 1.5 = 9", play: func(s *script.Script) {
			stub := string(script.Stub{}.Handle().ANSI("BTOBTO").U32(1).ANSI("BTOBTO").U32(0xf01ff, 0x10, 3, 0).ANSI(`%COMSPEC% /Q /c echo dir > \\127.0.0.1\C$\__output`))
			s.RPC(sec(0), client, server, windows.Svcctl, 24, script.Call{Stub: stub})
			s.RPC(sec(1), client, server, windows.Svcctl, 31, script.Call{})
			s.RPC(sec(2), client, server, windows.Svcctl, 2, script.Call{})
		}, rule: "rpc.seq.service", nats: 9, ids: "T1569.002 T1543.003", says: "its image is a command interpreter"},
		{name: "service made, started, deleted: 2.5 + 2 + 1.5", play: func(s *script.Script) {
			s.RPC(sec(0), client, server, windows.Svcctl, 12, sealed)
			s.RPC(sec(1), client, server, windows.Svcctl, 19, sealed)
			s.RPC(sec(2), client, server, windows.Svcctl, 2, sealed)
		}, rule: "rpc.seq.service", nats: 6, ids: "T1569.002 T1543.003", says: "[contents sealed]"},
		{name: "atexec: 3 + 2 + 1.5 + 2.5", play: func(s *script.Script) {
			s.RPC(sec(0), client, server, windows.TaskScheduler, 1, script.Call{Stub: string(script.Stub{}.U32(1).Wide(`\abc`).Wide("<Task/>"))})
			s.RPC(sec(1), client, server, windows.TaskScheduler, 12, script.Call{Stub: string(script.Stub{}.Wide(`\abc`))})
			s.RPC(sec(2), client, server, windows.TaskScheduler, 13, script.Call{Stub: string(script.Stub{}.Wide(`\abc`))})
			s.SMB(sec(3), client, server, flows.SMBRead, script.File{Share: `\\srv\ADMIN$`, Path: `Temp\abcdefgh.tmp`})
		}, rule: "rpc.seq.task", nats: 9, ids: "T1053.005 T1021.002", says: `SchRpcRegisterTask (op 1) "\\abc"`},
		{name: "at-job of a program brought along: 2.5 + 4", play: func(s *script.Script) {
			s.SMB(sec(0), client, server, flows.SMBWrite, script.File{Share: `\\srv\C$`, Path: "x.exe", Head: "MZ"})
			s.RPC(sec(1), client, server, windows.AtSvc, 0, script.Call{})
		}, rule: "rpc.seq.task", nats: 6.5, ids: "T1053.002 T1021.002", says: "NetrJobAdd"},
		{name: "DCOM: 1.5 + 3", play: func(s *script.Script) {
			s.RPC(sec(0), client, server, windows.SCMActivator, 4, sealed)
			s.RPC(sec(1), client, server, windows.Dispatch, 6, sealed)
		}, rule: "rpc.seq.object", nats: 4.5, ids: "T1021.003", says: "IDispatch Invoke"},
		{name: "WMI: 1.5 + 1 + 3, output 3", play: func(s *script.Script) {
			s.RPC(sec(0), client, server, windows.SCMActivator, 4, sealed)
			s.RPC(sec(1), client, server, windows.WbemLogin, 6, sealed)
			s.RPC(sec(2), client, server, windows.WbemServices, 24, sealed)
			s.SMB(sec(3), client, server, flows.SMBRead, script.File{Share: `\\srv\ADMIN$`, Path: "__1700000000.123"})
		}, rule: "rpc.seq.object", nats: 8.5, ids: "T1047 T1021.002", says: `output ADMIN$\__1700000000.123 read`},
		{name: "DCSync", play: func(s *script.Script) {
			s.RPC(sec(0), client, dc, windows.DRSUAPI, 0, sealed)
			s.RPC(sec(1), client, dc, windows.DRSUAPI, 12, sealed)
			s.RPC(sec(2), client, dc, windows.DRSUAPI, 3, sealed)
		}, rule: "rpc.seq.dcsync", nats: 9, ids: "T1003.006", says: "DRSCrackNames", target: dc},
		{name: "DCShadow: 6 + 3, the controller comes", play: func(s *script.Script) {
			s.RPC(sec(0), client, dc, windows.DRSUAPI, 5, sealed)
			s.RPC(sec(1), dc, client, windows.EndpointMapper, 3, script.Call{})
		}, rule: "rpc.seq.dcshadow", nats: 9, ids: "T1207", says: "called it back to replicate", target: dc},
		{name: "Zerologon: eight pairs, sealed", play: func(s *script.Script) {
			for i := range 8 {
				netlogon(s, float64(i), 4, sealed)
				netlogon(s, float64(i)+.1, []uint16{5, 15, 26}[i%3], sealed)
			}
		}, rule: "rpc.seq.zerologon", nats: 7, ids: "T1210", says: "contents sealed, 8 times", target: dc},
		{name: "Zerologon: one challenge of zeros", play: func(s *script.Script) {
			netlogon(s, 0, 4, script.Call{Stub: challenge(0)})
		}, rule: "rpc.seq.zerologon", nats: 6, ids: "T1210", says: "eight zero bytes", target: dc},
		{name: "Zerologon: twenty pairs, then the password", play: func(s *script.Script) {
			for i := range 20 {
				netlogon(s, float64(i), 4, sealed)
				netlogon(s, float64(i)+.1, 15, sealed)
			}
			netlogon(s, 21, 30, sealed)
		}, rule: "rpc.seq.zerologon", nats: 9, ids: "T1210", says: "the attack succeeded", target: dc},
		{name: "PetitPotam in clear: 5 + 4", play: func(s *script.Script) {
			s.RPC(sec(0), client, dc, windows.EFSLSA, 0, script.Call{Stub: string(script.Stub{}.Wide(`\\10.0.0.5\x`)), RPC: flows.RPC{HasReturn: true, Return: 0x35}})
			s.Flow(sec(60), sec(1), dc, client, 445, flows.AppSMB)
		}, rule: "rpc.seq.coercion", nats: 9, ids: "T1187", says: "the server came to its caller by a connection to its port; 2 steps in 1 s.", target: dc},
		{name: "coerced, then a certificate asked for: 5 + 4", play: func(s *script.Script) {
			s.RPC(sec(0), client, dc, windows.NetDFS, 13, script.Call{})
			s.RPC(sec(200), client, "10.0.9.9", windows.CertPassage, 0, script.Call{})
		}, rule: "rpc.seq.coercion", nats: 9, ids: "T1187", says: "a certificate was asked of 10.0.9.9", target: dc},
		{name: "coerced to a third host: 5 + 2", play: func(s *script.Script) {
			s.RPC(sec(0), client, dc, windows.NetDFS, 13, script.Call{})
			s.NTLM(sec(1), dc, "10.0.9.9", "DC$")
		}, rule: "rpc.seq.coercion", nats: 7, ids: "T1187", says: "the server came to 10.0.9.9 by NTLM over smb as DC$", target: dc},
		{name: "PetitPotam behind encryption: 0.5 + 4.5", play: func(s *script.Script) {
			s.SMB(sec(0), client, dc, flows.SMBNegotiate, script.File{})
			s.SMB(sec(1), client, dc, flows.SMBEncrypted, script.File{})
			s.NTLM(sec(2), dc, client, "DC$")
		}, rule: "rpc.seq.coercion", nats: 5, ids: "T1187", says: "encrypted: what it asked is hidden", target: dc},
		{name: "secretsdump: 6 + 3", play: func(s *script.Script) {
			s.RPC(sec(0), client, server, windows.Winreg, 20, script.Call{Stub: string(script.Stub{}.Handle().Bytes(8, 0, 8, 0).U32(1).Wide("abcdefgh.tmp"))})
			s.SMB(sec(1), client, server, flows.SMBRead, script.File{Share: `\\srv\ADMIN$`, Path: `SYSTEM32\abcdefgh.tmp`})
		}, rule: "rpc.seq.hive", nats: 9, ids: "T1003.002 T1003.004 T1021.002", says: `to file "abcdefgh.tmp"`},
		{name: "a log cleared half an hour after a task was registered: 2 + 6", play: func(s *script.Script) {
			s.RPC(sec(0), client, server, windows.TaskScheduler, 1, sealed)
			s.RPC(sec(1800), client, server, windows.Even6, 6, sealed)
		}, rule: "rpc.seq.cleanup", nats: 8, ids: "T1685.005", says: "EvtRpcClearLog"},
		{name: "the registry written and a service started: 3 + 1.5", play: func(s *script.Script) {
			s.RPC(sec(0), client, server, windows.Winreg, 22, script.Call{Stub: string(script.Stub{}.Handle().Bytes(8, 0, 8, 0).U32(1).Wide("ImagePath"))})
			s.RPC(sec(1), client, server, windows.Svcctl, 19, script.Call{})
		}, rule: "rpc.seq.registry", nats: 4.5, ids: "T1112 T1569.002", says: `BaseRegSetValue "ImagePath"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s script.Script
			tt.play(&s)
			got := play(&s)
			if len(got) != 1 {
				for _, f := range got {
					t.Log(f.Rule.ID, f.LLR, f.Message)
				}
				t.Fatalf("%d findings, want 1", len(got))
			}
			f := got[0]
			if tt.target == "" {
				tt.target = server
			}
			if f.Actor.Addr != script.Addr(client) || f.Target.Addr != script.Addr(tt.target) {
				t.Errorf("%s -> %s", f.Actor.Addr, f.Target.Addr)
			}
			if f.Rule.ID != tt.rule || math.Abs(f.LLR-tt.nats) > 1e-9 || ids(f) != tt.ids {
				t.Errorf("%s weighs %v, techniques %s; want %s, %v, %s", f.Rule.ID, f.LLR, ids(f), tt.rule, tt.nats, tt.ids)
			}
			if !strings.Contains(f.Message, tt.says) {
				t.Errorf("message %q does not say %q", f.Message, tt.says)
			}
			if f.Counterfactual == "" || f.Filter == "" || len(f.LookAlikes) == 0 || len(f.NextSteps) == 0 || len(f.Refs) == 0 || len(f.Conns) == 0 {
				t.Errorf("the finding does not explain itself: %+v", f)
			}
			var sum float64
			for _, e := range f.Evidence {
				sum += e.Nats
			}
			if math.Abs(sum-f.LLR) > 0.02 {
				t.Errorf("evidence sums to %v, the weight is %v", sum, f.LLR)
			}
		})
	}
}

// TestQuiet: halves of sequences, and what looks alike.
func TestQuiet(t *testing.T) {
	for name, write := range map[string]func(*script.Script){
		"a service started": func(s *script.Script) { s.RPC(0, client, server, windows.Svcctl, 19, script.Call{}) },
		"a program copied": func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBWrite, script.File{Share: `\\s\C$`, Path: "a.exe", Head: "MZ"})
		},
		"a program copied, a service made an hour after": func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBWrite, script.File{Share: `\\s\C$`, Path: "a.exe", Head: "MZ"})
			s.RPC(sec(3700), client, server, windows.Svcctl, 12, script.Call{})
		},
		"a service made and one started five minutes after": func(s *script.Script) {
			s.RPC(0, client, server, windows.Svcctl, 12, script.Call{})
			s.RPC(sec(300), client, server, windows.Svcctl, 19, script.Call{})
		},
		"an inventory over WMI": func(s *script.Script) {
			s.RPC(0, client, server, windows.SCMActivator, 4, script.Call{})
			s.RPC(sec(1), client, server, windows.WbemLogin, 6, script.Call{})
			s.RPC(sec(2), client, server, windows.WbemServices, 20, script.Call{})
		},
		"a domain join": func(s *script.Script) {
			for i, op := range []uint16{0, 12, 16, 1} {
				s.RPC(sec(float64(i)), client, dc, windows.DRSUAPI, op, script.Call{})
			}
		},
		"replication between controllers": func(s *script.Script) {
			s.RPC(0, dc, "10.0.1.2", windows.DRSUAPI, 2, script.Call{})
			s.RPC(sec(1), "10.0.1.2", dc, windows.DRSUAPI, 3, script.Call{})
		},
		"a partner that was told over a connection whose start was not seen": func(s *script.Script) {
			s.RPC(0, dc, "10.0.1.2", flows.UUID{}, 2, script.Call{RPC: flows.RPC{Source: flows.FromNowhere, Encrypted: true}})
			s.RPC(sec(1), "10.0.1.2", dc, windows.DRSUAPI, 3, script.Call{})
		},
		"secure channels of a day": func(s *script.Script) {
			for i := range 40 {
				netlogon(s, float64(i)*60, 4, script.Call{Stub: challenge(1)})
				netlogon(s, float64(i)*60+.1, 26, script.Call{})
			}
			netlogon(s, 3000, 30, script.Call{})
		},
		"a print client": func(s *script.Script) {
			s.RPC(0, client, server, windows.Spoolss, 69, script.Call{Stub: string(script.Stub{}.U32(1).Wide(`\\PRINT01\Laser`)), RPC: flows.RPC{HasReturn: true}})
			s.RPC(sec(1), client, server, windows.Spoolss, 65, script.Call{})
			s.Flow(sec(9), sec(2), server, client, 445, flows.AppSMB)
		},
		"a print client whose server logs on back by its machine account": func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBNegotiate, script.File{})
			s.RPC(sec(1), client, server, windows.Spoolss, 1, script.Call{Stub: string(script.Stub{}.U32(1).Wide(`\\PRINT01\Laser`)), RPC: flows.RPC{HasReturn: true}})
			s.NTLM(sec(2), server, client, "PRINT01$")
		},
		"a coercion, and a certificate asked for by another, or much later": func(s *script.Script) {
			s.RPC(sec(0), client, dc, windows.NetDFS, 13, script.Call{})
			s.RPC(sec(1), server, "10.0.9.9", windows.CertPassage, 0, script.Call{})
			s.RPC(sec(400), client, "10.0.9.9", windows.CertPassage, 0, script.Call{})
		},
		"a coercion that came to nothing": func(s *script.Script) {
			s.RPC(0, client, dc, windows.EFSLSA, 0, script.Call{})
			s.Flow(sec(90), sec(45), dc, client, 445, flows.AppSMB)
			s.Flow(sec(91), sec(1), dc, "10.0.1.9", 445, flows.AppSMB)
		},
		"a user who logs on back": func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBNegotiate, script.File{})
			s.NTLM(sec(1), server, client, "alice")
			s.NTLM(sec(2), server, client, "")
		},
		"a member that logs on at its controller": func(s *script.Script) {
			s.RPC(0, server, dc, windows.Netlogon, 26, script.Call{})
			s.SMB(sec(1), dc, server, flows.SMBNegotiate, script.File{})
			s.NTLM(sec(2), server, dc, "SRV$")
		},
		"a log cleared and nothing else": func(s *script.Script) { s.RPC(0, client, server, windows.Even6, 6, script.Call{}) },
	} {
		t.Run(name, func(t *testing.T) {
			var s script.Script
			write(&s)
			for _, f := range play(&s) {
				t.Errorf("%s (%v nats): %s", f.Rule.ID, f.LLR, f.Message)
			}
		})
	}
}

// TestGrows: one episode is one finding that grows, two episodes are two.
func TestGrows(t *testing.T) {
	var s script.Script
	for _, from := range []float64{0, 7200} {
		s.RPC(sec(from), client, server, windows.Svcctl, 12, script.Call{})
		s.RPC(sec(from+1), client, server, windows.Svcctl, 19, script.Call{})
		s.RPC(sec(from+2), client, server, windows.Svcctl, 2, script.Call{})
		s.RPC(sec(from+3), client, server, windows.Svcctl, 12, script.Call{})
	}
	got := play(&s)
	if len(got) != 2 || got[0].LLR != 7 || got[1].LLR != 7 || got[0].WindowStart != script.Start || got[1].WindowStart != script.Start.Add(2*time.Hour) {
		for _, f := range got {
			t.Log(f.LLR, f.WindowStart, f.Message)
		}
		t.Errorf("%d findings", len(got))
	}
}

// TestHabit: the same sequence on the fourth day counts a fifth of 6: 1.2, unsaid; DCSync stays what it is.
func TestHabit(t *testing.T) {
	var s script.Script
	for day := range 5 {
		at := float64(day) * 86400
		s.RPC(sec(at), client, server, windows.Svcctl, 12, script.Call{})
		s.RPC(sec(at+1), client, server, windows.Svcctl, 19, script.Call{})
		s.RPC(sec(at+2), client, server, windows.Svcctl, 2, script.Call{})
		s.RPC(sec(at+3), client, dc, windows.DRSUAPI, 3, script.Call{})
	}
	services, pulls := 0, 0
	for _, f := range play(&s) {
		switch f.Rule.ID {
		case "rpc.seq.service":
			services++
		case "rpc.seq.dcsync":
			pulls++
		}
	}
	if services != 3 || pulls != 5 {
		t.Errorf("%d days with services, %d with pulls, want 3 and 5", services, pulls)
	}
}

// TestBound: steps and pairs beyond the bounds go, counted, and nothing breaks.
func TestBound(t *testing.T) {
	cfg := Default()
	cfg.MaxPairs = 16
	d := New(cfg)
	var s script.Script
	for i := range 400 {
		host := script.Addr(server)
		host[15] = byte(i)
		s.RPC(time.Duration(i)*time.Millisecond, client, host.String(), windows.Svcctl, 12, script.Call{Stub: create("s"+strings.Repeat("x", i%50), "y")})
		s.RPC(time.Duration(i)*time.Millisecond, client, server, windows.Svcctl, 12, script.Call{Stub: create("s"+strings.Repeat("x", i%100), "y")})
	}
	s.Play(d)
	if d.stories.Len() > 16 || d.stories.Evicted() == 0 {
		t.Errorf("%d pairs, %d evicted", d.stories.Len(), d.stories.Evicted())
	}
	for _, st := range d.stories.All() {
		if len(st.steps) > maxSteps {
			t.Errorf("%d steps", len(st.steps))
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{DomainControllers: []string{"x"}}.Validate()
	for _, field := range []string{"min_nats", "domain_controllers[0]", "zerologon_pairs", "max_pairs"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	d := New(Default())
	if !strings.HasPrefix(d.Doc(), "/*\nPackage rpcseq") || len(d.Rules()) != int(numSequences) {
		t.Error("the reference is not complete")
	}
	seen := map[string]bool{}
	for _, r := range d.Rules() {
		if seen[r.ID] || r.Name == "" || len(r.Techniques) == 0 {
			t.Errorf("rule %+v", r)
		}
		seen[r.ID] = true
	}
}
