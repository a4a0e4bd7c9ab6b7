package rpcop

import (
	"math"
	"slices"
	"strconv"
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

// only returns the one finding that there must be.
func only(t *testing.T, got []*detectors.Finding) *detectors.Finding {
	t.Helper()
	if len(got) != 1 {
		for _, f := range got {
			t.Log(f.Rule.ID, f.Message)
		}
		t.Fatalf("%d findings, want 1", len(got))
	}
	f := got[0]
	if f.Message == "" || f.Counterfactual == "" || f.Filter == "" || len(f.LookAlikes) == 0 || len(f.NextSteps) == 0 ||
		len(f.Evidence) == 0 || len(f.Refs) == 0 || len(f.Conns) == 0 || len(f.Techniques) == 0 {
		t.Errorf("the finding does not explain itself: %+v", f)
	}
	var sum float64
	for _, e := range f.Evidence {
		sum += e.Nats
	}
	if math.Abs(sum-f.LLR) > 0.02 {
		t.Errorf("evidence sums to %v, the weight is %v", sum, f.LLR)
	}
	if strings.Contains(strings.Join(append(f.NextSteps, f.LookAlikes...), " "), "%[") {
		t.Error("a placeholder was left")
	}
	return f
}

// TestService works a sum out by hand: create 4, start 0.3 x 3, delete 0.3 x 2: 5.5 nats.
func TestService(t *testing.T) {
	var s script.Script
	stub := script.Stub{}.Handle().Wide("odd").U32(0).U32(0xf01ff, 0x10, 3, 0).Wide(`%COMSPEC% /c whoami`)
	s.RPC(time.Second, client, server, windows.Svcctl, 12, script.Call{Stub: string(stub), User: `LAB\eve`})
	s.RPC(1100*time.Millisecond, client, server, windows.Svcctl, 19, script.Call{RPC: flows.RPC{HasReturn: true, Return: 0x41d}})
	s.RPC(1200*time.Millisecond, client, server, windows.Svcctl, 2, script.Call{})
	f := only(t, play(&s))
	if math.Abs(f.LLR-5.5) > 1e-9 || f.Rule.ID != "rpc.op.service" || ids(f) != "T1569.002 T1543.003" {
		t.Errorf("%s weighs %v, techniques %s", f.Rule.ID, f.LLR, ids(f))
	}
	want := `10.0.0.5 called 10.0.1.7 to create a service, start a service and delete a service: svcctl CreateServiceW (op 12), ` +
		`svcctl StartServiceW (op 19) [status 0x0000041d], svcctl DeleteService (op 2); service "odd", image "%COMSPEC% /c whoami"; ` +
		`within 200 ms, as LAB\eve; no habit of this client.`
	if f.Message != want {
		t.Errorf("message\n%s, want\n%s", f.Message, want)
	}
	if want := "ip.src == 10.0.0.5 && ip.dst == 10.0.1.7 && dcerpc.pkt_type == 0 && dcerpc.opnum in {12, 19, 2}"; f.Filter != want {
		t.Errorf("filter %s", f.Filter)
	}
	if f.WindowStart != script.Start || f.Actor.Addr != script.Addr(client) || f.Target.Addr != script.Addr(server) {
		t.Errorf("%v -> %v at %v", f.Actor, f.Target, f.WindowStart)
	}
	if want := "Had 10.0.0.5 called CreateServiceW of 10.0.1.7 on 3 earlier days, it would count 0.8 nats in place of 4; without it 3.6 nats (risk 52) would be left."; f.Counterfactual != want {
		t.Errorf("counterfactual %s", f.Counterfactual)
	}
}

// TestWeights holds single calls and small mixtures against values worked out by hand.
func TestWeights(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(*script.Script)
		rule string
		nats float64
		ids  string
		says string
	}{
		{"denied: 4 x 0.75", func(s *script.Script) {
			s.RPC(0, client, dc, windows.Spoolss, 89, script.Call{RPC: flows.RPC{Outcome: flows.Failed, Fault: 5, Encrypted: true}})
		}, "rpc.op.printing", 3, "T1210", "attempted to install a printer driver"},
		{"known by the pipe only: 5 x 0.75", func(s *script.Script) {
			s.RPC(0, client, server, windows.AtSvc, 0, script.Call{RPC: flows.RPC{Source: flows.FromPipe}, Pipe: "atsvc"})
		}, "rpc.op.task", 3.75, "T1053.002", "by the name of pipe atsvc only"},
		{"known by the mapper only: 4 x 0.75", func(s *script.Script) {
			s.RPC(0, client, server, windows.TaskScheduler, 1, script.Call{RPC: flows.RPC{Source: flows.FromMapper}})
		}, "rpc.op.task", 3, "T1053.005", "endpoint mapper's answer only"},
		{"sealed", func(s *script.Script) {
			s.RPC(0, client, server, windows.WbemServices, 24, script.Call{RPC: flows.RPC{Encrypted: true}, Stub: "cipher text"})
		}, "rpc.op.object", 4, "T1047", "contents sealed"},
		{"replication by a workstation", func(s *script.Script) {
			s.RPC(0, client, dc, windows.DRSUAPI, 0, script.Call{})
			s.RPC(0, client, dc, windows.DRSUAPI, 3, script.Call{})
		}, "rpc.op.replication", 9, "T1003.006", "replicate the directory"},
		{"coercion succeeds with an error", func(s *script.Script) {
			s.RPC(0, client, dc, windows.EFSLSA, 0, script.Call{RPC: flows.RPC{HasReturn: true, Return: 5}, Stub: string(script.Stub{}.Wide(`\\10.0.0.5\x`))})
		}, "rpc.op.coercion", 6, "T1187", `path "\\\\10.0.0.5\\x"`},
		{"event log cleared, never answered", func(s *script.Script) {
			s.RPC(0, client, server, windows.EventLog, 0, script.Call{Unanswered: true})
		}, "rpc.op.logs", 6, "T1685.001 T1685.005", "never answered"},
		{"service stopped", func(s *script.Script) {
			s.RPC(0, client, server, windows.Svcctl, 1, script.Call{Stub: string(script.Stub{}.Handle().U32(1))})
		}, "rpc.op.service", 3, "T1489", "stop a service"},
		{"endpoints listed", func(s *script.Script) {
			s.RPC(0, client, server, windows.EndpointMapper, 2, script.Call{Stub: string(script.Stub{}.U32(0, 0, 0)), RPC: flows.RPC{ReplyLen: 45000}})
		}, "rpc.op.discovery", 1, "T1046", "list all RPC endpoints"},
		{"administrator's rights tested", func(s *script.Script) {
			s.RPC(0, client, server, windows.Svcctl, 15, script.Call{})
			s.RPC(0, client, server, windows.Svcctl, 0, script.Call{})
		}, "rpc.op.discovery", 1, "T1069.001", "opened and closed again"},
		// lists 1 + 0.3 x (1 + 0.7 + 0.7 + 0.7 + 0.7) = 2.14, at most 2
		{"discovery is capped", func(s *script.Script) {
			for i, op := range []uint16{13, 11, 25, 33, 40, 17} {
				s.RPC(time.Duration(i)*time.Second, client, dc, windows.SAMR, op, script.Call{})
			}
		}, "rpc.op.discovery", 2, "T1087.002 T1069.002 T1069.001", "list all users"},
		{"an overlong request", func(s *script.Script) {
			s.RPC(0, client, server, windows.DsSetup, 9, script.Call{RPC: flows.RPC{StubLen: 3208}})
		}, "rpc.op.exploit", 5, "T1210", "DsRolerUpgradeDownlevelServer"},
		{"an overlong name before the log-in", func(s *script.Script) {
			s.RPC(0, client, dc, windows.Netlogon, 4, script.Call{RPC: flows.RPC{StubLen: 4097}, User: `\`})
		}, "rpc.op.exploit", 4, "T1210", "NetrServerReqChallenge"},
		{"an overlong printer: 4 + 0.3 x 4", func(s *script.Script) {
			s.RPC(0, client, server, windows.Spoolss, 1, script.Call{RPC: flows.RPC{StubLen: 9000}})
			s.RPC(time.Second, client, server, windows.Spoolss, 0, script.Call{RPC: flows.RPC{StubLen: 9000}})
		}, "rpc.op.exploit", 5.2, "T1210", "RpcOpenPrinter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s script.Script
			tt.play(&s)
			f := only(t, play(&s))
			if f.Rule.ID != tt.rule || math.Abs(f.LLR-tt.nats) > 1e-9 || ids(f) != tt.ids {
				t.Errorf("%s weighs %v, techniques %s; want %s, %v, %s", f.Rule.ID, f.LLR, ids(f), tt.rule, tt.nats, tt.ids)
			}
			if !strings.Contains(f.Message, tt.says) {
				t.Errorf("message %q does not say %q", f.Message, tt.says)
			}
		})
	}
}

// TestQuiet: what honest networks do stays unsaid.
func TestQuiet(t *testing.T) {
	for name, write := range map[string]func(*script.Script){
		"a logon's look-ups and its secure channel": func(s *script.Script) {
			for i, op := range []uint16{44, 7, 15, 76, 0} {
				s.RPC(time.Duration(i)*time.Second, client, dc, windows.LSARPC, op, script.Call{})
			}
			for i, op := range []uint16{4, 26, 29, 39, 45} {
				s.RPC(time.Duration(i)*time.Second, client, dc, windows.Netlogon, op, script.Call{})
			}
		},
		"long requests of who has logged on, and short ones of who has not": func(s *script.Script) {
			s.RPC(0, client, dc, windows.Netlogon, 4, script.Call{RPC: flows.RPC{StubLen: 2000}})
			s.RPC(0, client, server, windows.Spoolss, 1, script.Call{RPC: flows.RPC{StubLen: 9000}, User: `LAB\eve`})
			s.RPC(0, client, dc, windows.DsSetup, 5, script.Call{RPC: flows.RPC{StubLen: 4000, AuthLevel: 5}})
			s.RPC(0, client, dc, windows.DsSetup, 0, script.Call{RPC: flows.RPC{StubLen: 2}})
		},
		"drsuapi without replication": func(s *script.Script) {
			for i, op := range []uint16{0, 12, 1} {
				s.RPC(time.Duration(i)*time.Second, client, dc, windows.DRSUAPI, op, script.Call{})
			}
		},
		"opening a file server": func(s *script.Script) {
			for i, op := range []uint16{21, 15, 16, 15} {
				s.RPC(time.Duration(i)*time.Second, client, server, windows.Srvsvc, op, script.Call{})
			}
			s.RPC(0, client, server, windows.Wkssvc, 0, script.Call{})
		},
		"replication between controllers": func(s *script.Script) {
			s.RPC(0, client, dc, windows.DRSUAPI, 0, script.Call{})
			s.RPC(time.Second, dc, "10.0.1.2", windows.DRSUAPI, 3, script.Call{})
		},
		"an operation that the server does not have": func(s *script.Script) {
			s.RPC(0, client, server, windows.Svcctl, 60, script.Call{RPC: flows.RPC{Outcome: flows.Failed, Fault: 0x1c010002}})
		},
		"an interface that is not known": func(s *script.Script) {
			s.RPC(0, client, server, windows.Svcctl, 12, script.Call{RPC: flows.RPC{Source: flows.FromNowhere}})
		},
		"one interface looked up": func(s *script.Script) {
			s.RPC(0, client, server, windows.EndpointMapper, 2, script.Call{Stub: string(script.Stub{}.U32(1, 1)), RPC: flows.RPC{ReplyLen: 188}})
		},
		"a bind": func(s *script.Script) {
			s.RPC(0, client, server, windows.EventLog, 0, script.Call{RPC: flows.RPC{Bind: true}})
		},
		"one's own password changed": func(s *script.Script) { s.RPC(0, client, dc, windows.SAMR, 55, script.Call{}) },
		"a print client": func(s *script.Script) {
			s.RPC(0, client, server, windows.Spoolss, 69, script.Call{Stub: string(script.Stub{}.U32(1).Wide(`\\PRINT01\Laser`)), RPC: flows.RPC{HasReturn: true}})
			s.RPC(time.Second, client, server, windows.Spoolss, 65, script.Call{})
		},
		"a service asked for but not stopped": func(s *script.Script) {
			s.RPC(0, client, server, windows.Svcctl, 1, script.Call{Stub: string(script.Stub{}.Handle().U32(4))})
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

// TestHabit: the deployment server that makes a service every day counts a fifth on the fourth day: 0.8, unsaid.
func TestHabit(t *testing.T) {
	var s script.Script
	for day := range 5 {
		s.RPC(time.Duration(day)*24*time.Hour, client, server, windows.Svcctl, 12, script.Call{})
	}
	got := play(&s)
	if len(got) != 3 {
		t.Fatalf("%d findings, want those of three days", len(got))
	}
	for i, f := range got {
		if want := script.Start.Add(time.Duration(i) * 24 * time.Hour); f.WindowStart != want || f.LLR != 4 {
			t.Errorf("day %d: %v nats, window %v", i, f.LLR, f.WindowStart)
		}
	}
	if got[2].Evidence[0].Baseline != "seen on 2 earlier days" {
		t.Errorf("baseline %q", got[2].Evidence[0].Baseline)
	}
}

// TestFanOut: the same small discovery on more servers weighs more: 0.7 + 0.5 ln 3 = 1.25.
func TestFanOut(t *testing.T) {
	var s script.Script
	for i, host := range []string{"10.0.1.1", "10.0.1.2", "10.0.1.3"} {
		s.RPC(time.Duration(i)*time.Second, client, host, windows.Srvsvc, 12, script.Call{})
	}
	f := only(t, play(&s))
	if want := 0.7 + 0.5*math.Log(3); math.Abs(f.LLR-want) > 1e-9 || !strings.Contains(f.Message, "the same on 3 servers this hour") {
		t.Errorf("weight %v, want %v: %s", f.LLR, want, f.Message)
	}
}

// TestServiceTellsItsAsking: the questions that go with service control make no finding of their own.
func TestServiceTellsItsAsking(t *testing.T) {
	var s script.Script
	for i, op := range []uint16{15, 12, 16, 19, 6, 40, 17} {
		s.RPC(time.Duration(i)*time.Second, client, server, windows.Svcctl, op, script.Call{})
	}
	if f := only(t, play(&s)); f.Rule.ID != "rpc.op.service" {
		t.Errorf("%s: %s", f.Rule.ID, f.Message)
	}
}

// TestHours: an hour is a finding, another hour another.
func TestHours(t *testing.T) {
	var s script.Script
	s.RPC(59*time.Minute, client, server, windows.Svcctl, 12, script.Call{})
	s.RPC(61*time.Minute, client, server, windows.Svcctl, 19, script.Call{})
	got := play(&s)
	if len(got) != 2 || got[0].LLR != 4 || got[1].LLR != 3 || got[0].ID() == got[1].ID() {
		t.Errorf("%d findings", len(got))
	}
}

// TestHourIsSaidBeforeTheNext: what an hour came to within its last minute is not lost.
func TestHourIsSaidBeforeTheNext(t *testing.T) {
	var s script.Script
	for i := range 3 {
		s.RPC(59*time.Minute+50*time.Second+time.Duration(i)*time.Second, client, server, windows.Svcctl, 12, script.Call{})
	}
	s.RPC(60*time.Minute+time.Second, client, server, windows.Svcctl, 12, script.Call{})
	got := play(&s)
	if len(got) != 2 || got[0].Evidence[0].Value != 3 || got[1].Evidence[0].Value != 1 {
		t.Errorf("%d findings", len(got))
	}
}

// TestRepeated: many calls are one row, and the last record has their number.
func TestRepeated(t *testing.T) {
	var s script.Script
	for i := range 500 {
		s.RPC(time.Duration(i)*time.Millisecond, client, server, windows.Svcctl, 12, script.Call{})
	}
	f := only(t, play(&s))
	if f.LLR != 4 || f.Evidence[0].Value != 500 || len(f.Refs) != detectors.MaxRefs {
		t.Errorf("%v nats, %v calls, %d frames", f.LLR, f.Evidence[0].Value, len(f.Refs))
	}
}

// TestBound: more pairs than are kept are forgotten and counted, and the memory of them does not grow.
func TestBound(t *testing.T) {
	cfg := Default()
	cfg.MaxHours, cfg.MaxHabits = 16, 1000
	d := New(cfg)
	var s script.Script
	for i := range 2000 {
		s.RPC(time.Duration(i)*time.Millisecond, client, "10.1."+strconv.Itoa(i/250)+"."+strconv.Itoa(i%250), windows.Svcctl, 15, script.Call{})
	}
	s.Play(d)
	if d.hours.Len() > 16 || d.hours.Evicted() < 1900 || d.habits.Evicted() < 900 {
		t.Errorf("%d hours, %d evicted", d.hours.Len(), d.Evicted())
	}
}

// TestTable checks rows against a second list, written from the specifications' IDL and not from the table.
func TestTable(t *testing.T) {
	rows := index()
	for _, tt := range []struct {
		uuid string
		op   uint16
		name string
		id   string
		nats float64
	}{
		{"367abb81-9844-35f1-ad32-98f038001003", 12, "CreateServiceW", "T1569.002", 4},
		{"367abb81-9844-35f1-ad32-98f038001003", 24, "CreateServiceA", "T1543.003", 4},
		{"367abb81-9844-35f1-ad32-98f038001003", 45, "CreateServiceWOW64W", "T1569.002", 4},
		{"367abb81-9844-35f1-ad32-98f038001003", 19, "StartServiceW", "T1569.002", 3},
		{"367abb81-9844-35f1-ad32-98f038001003", 31, "StartServiceA", "T1569.002", 3},
		{"1ff70682-0a51-30e8-076d-740be8cee98b", 0, "NetrJobAdd", "T1053.002", 5},
		{"86d35949-83c9-4044-b424-db363231fd0c", 1, "SchRpcRegisterTask", "T1053.005", 4},
		{"86d35949-83c9-4044-b424-db363231fd0c", 13, "SchRpcDelete", "T1053.005", 4},
		{"338cd001-2244-31f1-aaaa-900038001003", 20, "BaseRegSaveKey", "T1003.002", 6},
		{"338cd001-2244-31f1-aaaa-900038001003", 22, "BaseRegSetValue", "T1112", 3},
		{"12345778-1234-abcd-ef00-0123456789ac", 13, "SamrEnumerateUsersInDomain", "T1087.002", 1},
		{"12345778-1234-abcd-ef00-0123456789ac", 50, "SamrCreateUser2InDomain", "T1136.002", 3},
		{"12345778-1234-abcd-ef00-0123456789ab", 43, "LsarRetrievePrivateData", "T1003.004", 5},
		{"e3514235-4b06-11d1-ab04-00c04fc2dcd2", 3, "DRSGetNCChanges", "T1003.006", 9},
		{"e3514235-4b06-11d1-ab04-00c04fc2dcd2", 5, "DRSReplicaAdd", "T1207", 9},
		{"df1941c5-fe89-4e79-bf10-463657acf44d", 4, "EfsRpcEncryptFileSrv", "T1187", 6},
		{"c681d488-d850-11d0-8c52-00c04fd90f7e", 0, "EfsRpcOpenFileRaw", "T1187", 6},
		{"12345678-1234-abcd-ef00-0123456789ab", 65, "RpcRemoteFindFirstPrinterChangeNotificationEx", "T1187", 5},
		{"12345678-1234-abcd-ef00-0123456789ab", 89, "RpcAddPrinterDriverEx", "T1210", 4},
		{"76f03f96-cdfd-44fc-a22c-64950a001209", 39, "RpcAsyncAddPrinterDriver", "T1210", 4},
		{"4fc742e0-4a10-11cf-8273-00aa004ae673", 12, "NetrDfsAddStdRoot", "T1187", 6},
		{"a8e0653c-2744-4389-a61d-7373df8b2292", 8, "IsPathSupported", "T1187", 5},
		{"4b324fc8-1670-01d3-1278-5a47bf6ee188", 15, "NetrShareEnum", "T1135", 0.5},
		{"6bffd098-a112-3610-9833-46c3f87e345a", 2, "NetrWkstaUserEnum", "T1033", 0.7},
		{"e1af8308-5d1f-11c9-91a4-08002b14a0fa", 2, "ept_lookup", "T1046", 1},
		{"000001a0-0000-0000-c000-000000000046", 4, "RemoteCreateInstance", "T1021.003", 1.5},
		{"00020400-0000-0000-c000-000000000046", 6, "Invoke", "T1021.003", 4},
		{"9556dc99-828c-11cf-a37e-00aa003240c7", 24, "ExecMethod", "T1047", 4},
		{"9556dc99-828c-11cf-a37e-00aa003240c7", 14, "PutInstance", "T1546.003", 4},
		{"f6beaff7-1e19-4fbb-9f8f-b89e2018337c", 6, "EvtRpcClearLog", "T1685.005", 6},
		{"82273fdc-e32a-18c3-3f78-827929dc23ea", 0, "ElfrClearELFW", "T1685.005", 6},
		{"894de0c0-0d55-11d3-a322-00c04fa321a1", 0, "BaseInitiateShutdown", "T1529", 2},
		{"3dde7c30-165d-11d1-ab8f-00805f14db40", 0, "BackuprKey", "T1555", 1},
		{"5ca4a760-ebb1-11cf-8611-00a0245420ed", 9, "RpcWinStationConnect", "T1563.002", 2},
	} {
		u, err := flows.ParseUUID(tt.uuid)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := rows[rowKey{u, tt.op}]
		if !ok || r.op.name != tt.name || r.op.weight != tt.nats ||
			!slices.ContainsFunc(r.op.techniques, func(x detectors.Technique) bool { return x.ID == tt.id }) {
			t.Errorf("%s op %d: %+v, want %s, %v nats, %s", tt.uuid, tt.op, r.op, tt.name, tt.nats, tt.id)
		}
	}
}

// TestTableIsSound: every row can be told, its techniques belong to its rule, and no id is one that v19 revoked.
func TestTableIsSound(t *testing.T) {
	seen := map[rowKey]bool{}
	for _, i := range table {
		for _, op := range i.ops {
			k := rowKey{i.id, op.num}
			if seen[k] {
				t.Errorf("%s op %d stands twice", i.name, op.num)
			}
			seen[k] = true
			if op.weight <= 0 || op.weight > 9 || op.what == "" || len(op.techniques) == 0 || len(op.techniques) > detectors.MaxTechniques {
				t.Errorf("%s %s: %+v", i.name, op.name, op)
			}
			for _, x := range op.techniques {
				if !slices.Contains(families[op.family].rule.Techniques, x) {
					t.Errorf("rule %s does not list %s of %s", families[op.family].rule.ID, x.ID, op.name)
				}
				if strings.HasPrefix(x.ID, "T1070.001") || strings.HasPrefix(x.ID, "T1562") || x.Tactic == "" || x.Name == "" {
					t.Errorf("%s names %+v", op.name, x)
				}
			}
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{DomainControllers: []string{"x"}}.Validate()
	for _, field := range []string{"min_nats", "domain_controllers[0]", "max_habits", "max_hours"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if d := New(Default()); !strings.HasPrefix(d.Doc(), "/*\nPackage rpcop") || len(d.Rules()) != int(numFamilies) {
		t.Error("the reference is not complete")
	}
}
