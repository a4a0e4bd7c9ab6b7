package smbexec

import (
	"math"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows/script"
	"neuromast/flows"
)

const (
	client = "10.0.0.5"
	server = "10.0.1.7"
)

func play(s *script.Script) []*detectors.Finding { return s.Play(New(Default())) }

func ids(f *detectors.Finding) string {
	var out []string
	for _, t := range f.Techniques {
		out = append(out, t.ID)
	}
	return strings.Join(out, " ")
}

func status(n uint32) flows.SMB { return flows.SMB{Status: n} }

// TestWeights plays one doing after another and holds the weight against one worked out by hand.
func TestWeights(t *testing.T) {
	const admin, drive, public, ipc = `\\srv\ADMIN$`, `\\srv\C$`, `\\srv\public`, `\\srv\IPC$`
	for _, tt := range []struct {
		name string
		play func(*script.Script)
		rule string
		nats float64
		ids  string
		says string
	}{
		{"program to ADMIN$: 4 + 0.3 x 2", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBTree, script.File{Share: admin})
			s.SMB(time.Second, client, server, flows.SMBWrite, script.File{Share: admin, Path: "x.dat", Head: "MZ\x90\x00", User: `LAB\eve`})
			s.SMB(2*time.Second, client, server, flows.SMBWrite, script.File{Share: admin, Path: "x.dat", Head: "MZ\x90\x00", SMB: flows.SMB{Bytes: 145568, Final: true}})
		}, "smb.exec", 4.6, "T1021.002 T1570", `ADMIN$\x.dat, Windows program (MZ), 145.6 kB`},
		{"share refused: 2 x 0.75", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBTree, script.File{Share: drive, SMB: status(0xc0000022)})
		}, "smb.exec", 1.5, "T1021.002", "attempted: administrative share opened (C$)"},
		{"MSBuild project", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBWrite, script.File{Share: drive, Path: `Windows\Tasks\a.xml`, Head: "<Project ToolsVe"})
		}, "smb.exec", 4, "T1021.002 T1570", "MSBuild project"},
		{"script by its name", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBWrite, script.File{Share: drive, Path: `Temp\a.PS1`, Head: "whoami"})
		}, "smb.exec", 4, "T1021.002 T1570", "program by its name (.ps1)"},
		{"program to an ordinary share", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBWrite, script.File{Share: public, Path: "a.so", Head: "\x7fELF"})
		}, "smb.exec", 1, "T1570", "Unix program (ELF)"},
		{"output of smbexec", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBRead, script.File{Share: public, Path: "__output_abcdefgh"})
		}, "smb.exec", 6, "T1569.002 T1021.002", "remote shell through services"},
		{"output of wmiexec", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBRead, script.File{Share: admin, Path: "__1700000000.1234567"})
		}, "smb.exec", 6, "T1047 T1021.002", "remote shell through WMI"},
		{"output of atexec", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBRead, script.File{Share: admin, Path: `Temp\AbCdEfGh.tmp`})
		}, "smb.exec", 6, "T1053.005 T1021.002", "remote task"},
		{"hive of secretsdump", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBRead, script.File{Share: admin, Path: `SYSTEM32\AbCdEfGh.tmp`})
		}, "smb.secrets", 6, "T1003.002", "saved registry hive"},
		{"the directory's database", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBOpen, script.File{Share: drive, Path: `Windows\NTDS\ntds.dit`})
		}, "smb.secrets", 6, "T1003.003", "NTDS.dit"},
		{"an image of LSASS that isn't there: 6 x 0.5", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBOpen, script.File{Share: drive, Path: `Temp\lsass.DMP`, SMB: status(0xc0000034)})
		}, "smb.secrets", 3, "T1003.001", "attempted: an image of the memory of LSASS"},
		{"policy passwords swept", func(s *script.Script) {
			for i, p := range []string{"Groups", "Services", "Drives", "Printers"} {
				path := `lab\Policies\{A}\MACHINE\Preferences\` + p + `\` + p + `.xml`
				s.SMB(time.Duration(i), client, server, flows.SMBOpen, script.File{Share: `\\dc\SYSVOL`, Path: path, SMB: status(uint32(i) / 3 * 0xc000003a)})
			}
		}, "smb.secrets", 2, "T1552.006", "Group Policy preferences"},
		{"PsExec's pipes: 6 + 0.3 x 6", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBPipe, script.File{Share: ipc, Path: "PSEXESVC"})
			s.SMB(1, client, server, flows.SMBPipe, script.File{Share: ipc, Path: "odd-PC-77-stdout"})
		}, "smb.pipe", 7.8, "T1021.002 T1569.002", "remote execution tool (PSEXESVC)"},
		{"a framework's pipe", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBPipe, script.File{Share: ipc, Path: "MSSE-1234-server"})
		}, "smb.pipe", 6, "T1021.002 T1071.002", "command-and-control framework"},
		{"a known pipe with a suffix", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBPipe, script.File{Share: ipc, Path: "ntsvcs1f"})
		}, "smb.pipe", 5, "T1021.002 T1071.002", "name of pipe ntsvcs with a suffix"},
		{"an implant is asked", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBViolation, script.File{Path: "trans2_session_setup", SMB: status(0xc0000002)})
		}, "smb.exploit", 6, "T1210", "an implant is asked whether it is there"},
		{"an implant answers", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBViolation, script.File{Path: "multiplex_id_shifted", SMB: status(0xc0000002)})
		}, "smb.exploit", 9, "T1210", "the implant is there"},
		{"a violation that the victim answers by coming back: 4 + 4", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBViolation, script.File{Path: "transaction_beyond_message"})
			s.Flow(10*time.Second, 5*time.Second, server, client, 4444, flows.AppUnknown)
		}, "smb.exploit", 8, "T1210", "back to the attacker"},
		{"a violation of a name that is new", func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBViolation, script.File{Path: "something_else"})
		}, "smb.exploit", 3, "T1210", "something_else"},
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
			if f.Actor.Addr != script.Addr(client) || f.Target.Addr != script.Addr(server) || f.WindowStart != script.Start {
				t.Errorf("%s -> %s at %v", f.Actor.Addr, f.Target.Addr, f.WindowStart)
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

// TestQuiet: ordinary use of shares.
func TestQuiet(t *testing.T) {
	const public, sysvol, ipc = `\\srv\public`, `\\dc\SYSVOL`, `\\srv\IPC$`
	for name, write := range map[string]func(*script.Script){
		"documents copied": func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBTree, script.File{Share: public})
			s.SMB(1, client, server, flows.SMBWrite, script.File{Share: public, Path: "a.pdf", Head: "%PDF-1.5"})
			s.SMB(2, client, server, flows.SMBWrite, script.File{Share: public, Path: "a.docx", Head: "PK\x03\x04"})
			s.SMB(3, client, server, flows.SMBWrite, script.File{Share: public, Path: "a.ps1", Head: "# notes"})
		},
		"known pipes": func(s *script.Script) {
			for _, p := range []string{
				"srvsvc", "wkssvc", "lsarpc", "samr", "netlogon", "spoolss", "winreg", "svcctl", "W32TIME_ALT", "MsFteWds", "protected_storage",
				"browser", "LSM_API_service", "TermSrv_API_service", "sql\\query", "eventlog", "spoolssx-service", "-stdin",
			} {
				s.SMB(0, client, server, flows.SMBPipe, script.File{Share: ipc, Path: p})
			}
		},
		"policy applied": func(s *script.Script) {
			for _, g := range "ABCDEF" {
				path := `lab\Policies\{` + string(g) + `}\MACHINE\Preferences\Groups\Groups.xml`
				s.SMB(0, client, server, flows.SMBOpen, script.File{Share: sysvol, Path: path})
			}
		},
		"a program run from a share": func(s *script.Script) {
			s.SMB(0, client, server, flows.SMBRead, script.File{Share: public, Path: "setup.exe", Head: "MZ"})
		},
		"names that resemble": func(s *script.Script) {
			for _, p := range []string{"SAM", `docs\security`, "Temp\\abcdefg1.tmp", "Temp\\report.tmp", "lsass.txt", "__pycache__", "my__output", "ntds.dit.txt"} {
				s.SMB(0, client, server, flows.SMBRead, script.File{Share: public, Path: p})
			}
		},
		"a victim that comes back without a violation": func(s *script.Script) {
			s.Flow(10*time.Second, 5*time.Second, server, client, 4444, flows.AppUnknown)
		},
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

// TestHabit: a deployment server's fourth day counts a fifth of 4.6: 0.92, unsaid. A violation is no habit.
func TestHabit(t *testing.T) {
	var s script.Script
	for day := range 5 {
		at := time.Duration(day) * 24 * time.Hour
		s.SMB(at, client, server, flows.SMBTree, script.File{Share: `\\srv\ADMIN$`})
		s.SMB(at+1, client, server, flows.SMBWrite, script.File{Share: `\\srv\ADMIN$`, Path: "agent.exe", Head: "MZ"})
		s.SMB(at+2, client, server, flows.SMBViolation, script.File{Path: "secondary_of_other_kind"})
	}
	count := map[string]int{}
	for _, f := range play(&s) {
		count[f.Rule.ID]++
	}
	if count["smb.exec"] != 3 || count["smb.exploit"] != 5 {
		t.Errorf("findings %v, want 3 and 5 days", count)
	}
}

// TestBound: hours beyond the bound go, counted.
func TestBound(t *testing.T) {
	cfg := Default()
	cfg.MaxHours, cfg.MaxHabits = 16, 1000
	d := New(cfg)
	var s script.Script
	for i := range 200 {
		a := script.Addr(server)
		a[15] = byte(i)
		s.SMB(time.Duration(i), client, a.String(), flows.SMBTree, script.File{Share: `\\srv\ADMIN$`})
	}
	s.Play(d)
	if d.hours.Len() > 16 || d.hours.Evicted() < 180 {
		t.Errorf("%d hours, %d evicted", d.hours.Len(), d.hours.Evicted())
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{}.Validate()
	for _, field := range []string{"min_nats", "max_habits", "max_hours"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	d := New(Default())
	if !strings.HasPrefix(d.Doc(), "/*\nPackage smbexec") || len(d.Rules()) != int(numRules) {
		t.Error("the reference is not complete")
	}
	for _, r := range d.Rules() {
		if r.ID == "" || len(r.Techniques) == 0 {
			t.Errorf("rule %+v", r)
		}
	}
}
