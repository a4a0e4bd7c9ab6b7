package rpcop

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

const day = 24 * time.Hour

// last returns what is said of the days from the fourth on.
func last(got []*detectors.Finding) (out []*detectors.Finding) {
	for _, f := range got {
		if f.Start >= script.Start.Add(3*day) {
			out = append(out, f)
		}
	}
	return out
}

// TestTrade: an administrator starts services of ever new servers, each day of three another; on the fourth day 3 x 0.4 nats for a
// server that is new, a notice. What an intruder does from the same host with another account, by other operations, or after
// one server only was ever reached, counts in full.
func TestTrade(t *testing.T) {
	for _, c := range []struct {
		name    string
		servers string
		user    string
		iface   flows.UUID
		op      uint16
		want    float64
	}{
		{"an administrator's trade: 3 x 0.4", "123", `LAB\adm`, windows.Svcctl, 19, 1.2},
		{"a stolen account", "123", `LAB\svc-sql`, windows.Svcctl, 19, 3},
		{"another operation", "123", `LAB\adm`, windows.Svcctl, 12, 4},
		{"one server of every day", "111", `LAB\adm`, windows.Svcctl, 19, 3},
		{"programs run by WMI are nobody's trade", "123", `LAB\adm`, windows.WbemServices, 24, 4},
	} {
		var s script.Script
		for d := range 3 {
			for _, op := range []struct {
				id  flows.UUID
				num uint16
			}{{windows.Svcctl, 19}, {windows.WbemServices, 24}} {
				s.RPC(time.Duration(d)*day, client, "10.0.1."+c.servers[d:d+1], op.id, op.num, script.Call{User: `LAB\adm`})
			}
		}
		s.RPC(3*day, client, "10.0.1.77", c.iface, c.op, script.Call{User: c.user})
		f := only(t, last(play(&s)))
		if math.Abs(f.LLR-c.want) > 1e-9 {
			t.Errorf("%s: %v nats: %s", c.name, f.LLR, f.Message)
		}
		if told := strings.Contains(f.Message, "it did so to others on 3 earlier days"); told != (c.want < 3) {
			t.Errorf("%s: %s", c.name, f.Message)
		}
	}
}

// TestMonitoring: a monitor that lists the services of twelve servers every hour says nothing from the fourth day on, its
// newest server included: 0.2 and 0.4 nats, and no server is new but that one. On the first day its hour is three findings
// and a wave: 1 + 0.5 ln 3 nats at the third server, 1 + 0.5 ln 12 = 2.24 in the wave.
func TestMonitoring(t *testing.T) {
	var s script.Script
	for d := range 4 {
		for h := range 2 {
			for i := range 12 + d/3 {
				s.RPC(time.Duration(d)*day+time.Duration(h)*time.Hour+time.Duration(i)*time.Second, client, fmt.Sprintf("10.0.1.%d", 10+i), windows.Svcctl, 14, script.Call{User: `LAB\mon`})
			}
		}
	}
	got := play(&s)
	if l := last(got); len(l) != 0 {
		t.Errorf("%d findings on the fourth day: %v %s", len(l), l[0].LLR, l[0].Message)
	}
	if len(got) != 3*2*4 {
		t.Errorf("%d findings, want 4 an hour on each of three days", len(got))
	}
	if w := got[3]; math.Abs(w.LLR-(1+0.5*math.Log(12))) > 1e-9 || len(w.Related) != 9 {
		t.Errorf("the wave has %v nats and %d targets: %s", w.LLR, len(w.Related), w.Message)
	}

	// Who lists the services of twelve servers on the fourth day with an account of his own is told.
	for i := range 12 {
		s.RPC(3*day+time.Duration(i)*time.Second, "10.0.0.6", fmt.Sprintf("10.0.1.%d", 10+i), windows.Svcctl, 14, script.Call{User: `LAB\mon`})
	}
	if l := last(play(&s)); len(l) != 4 {
		t.Errorf("%d findings of an intruder, want 4", len(l))
	}
}

// TestPush: an intruder creates services on nine hosts within minutes: three alarms and a wave of six, 4 nats each.
func TestPush(t *testing.T) {
	var s script.Script
	for i := range 9 {
		s.RPC(time.Duration(i)*time.Minute, client, fmt.Sprintf("10.0.1.%d", 10+i), windows.Svcctl, 12, script.Call{User: `LAB\eve`})
	}
	got := play(&s)
	if len(got) != 4 || got[3].LLR != 4 || len(got[3].Related) != 6 || got[3].Counterfactual == "" {
		t.Errorf("%d findings, the last %+v", len(got), got[len(got)-1])
	}
}

// TestDeployment: a service is made and started on two new hosts on each of three days: 4 + 0.3 x 3 = 4.9 nats. On the fourth day
// the same on another host counts a fifth, 0.98: silent; another service two fifths, 1.96; the same with its contents
// sealed too, since nobody knows what it is; as another user 4.9.
func TestDeployment(t *testing.T) {
	make := func(s *script.Script, at time.Duration, host, name, user string, sealed bool) {
		stub := script.Stub{}.Handle().Wide(name).U32(0).U32(0xf01ff, 0x10, 3, 0).Wide(`C:\agent.exe`)
		s.RPC(at, client, host, windows.Svcctl, 12, script.Call{Stub: string(stub), User: user, RPC: flows.RPC{Encrypted: sealed}})
		s.RPC(at+time.Second, client, host, windows.Svcctl, 19, script.Call{User: user, RPC: flows.RPC{Encrypted: sealed}})
	}
	for _, c := range []struct {
		name, service, user string
		sealed              bool
		want                float64
	}{
		{"the same", "Agent", `LAB\deploy`, false, 0},
		{"another service", "Odd", `LAB\deploy`, false, 1.96},
		{"sealed", "Agent", `LAB\deploy`, true, 1.96},
		{"another user", "Agent", `LAB\eve`, false, 4.9},
	} {
		var s script.Script
		for d := range 3 {
			for i := range 2 {
				make(&s, time.Duration(d)*day+time.Duration(i)*time.Minute, fmt.Sprintf("10.0.1.%d", 10+2*d+i), "Agent", `LAB\deploy`, false)
			}
		}
		make(&s, 3*day, "10.0.1.77", c.service, c.user, c.sealed)
		got := last(play(&s))
		if c.want == 0 && len(got) == 0 {
			continue
		}
		if f := only(t, got); math.Abs(f.LLR-c.want) > 1e-9 {
			t.Errorf("%s: %v nats: %s", c.name, f.LLR, f.Message)
		}
	}
}
