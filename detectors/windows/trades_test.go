package windows_test

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
	"neuromast/sensor/packet"
)

// TestTrades: three days on two other servers make a trade; one server of every day does not, nor does another doing.
func TestTrades(t *testing.T) {
	tr := windows.NewTrades(1000)
	note := func(day int, server string, what uint64) int {
		c := script.Conn("10.0.0.5", server, 445)
		return tr.Note(script.Start.Add(time.Duration(day)*24*time.Hour), &c, what)
	}
	for i, s := range []struct {
		day    int
		server string
		what   uint64
		want   int
	}{
		{0, "10.0.1.1", 7, 0}, {0, "10.0.1.2", 7, 0}, {0, "10.0.1.3", 7, 0}, {1, "10.0.1.1", 7, 1}, {2, "10.0.1.2", 7, 2},
		{3, "10.0.1.9", 7, 3}, {3, "10.0.1.9", 8, 0}, {3 + 46, "10.0.1.10", 7, 0},
		{0, "10.0.1.1", 9, 0}, {1, "10.0.1.1", 9, 0}, {2, "10.0.1.1", 9, 0}, {3, "10.0.1.2", 9, 0}, {3, "10.0.1.3", 9, 3},
	} {
		if got := note(s.day, s.server, s.what); got != s.want {
			t.Errorf("%d: %d earlier days, want %d", i, got, s.want)
		}
	}
	small := windows.NewTrades(2)
	for what := range uint64(10) {
		c := script.Conn("10.0.0.5", "10.0.1.1", 445)
		small.Note(script.Start, &c, what)
	}
	if small.Evicted() != 8 {
		t.Errorf("%d evicted", small.Evicted())
	}
}

// pusher tells of every RPC call, as a wave.
type pusher struct {
	waves *windows.Waves
	width bool
}

var pushRule = &detectors.Rule{ID: "rpc.op.service", Name: "push", Stage: detectors.StageLateral}

func (p *pusher) Rules() []*detectors.Rule { return []*detectors.Rule{pushRule} }
func (p *pusher) Doc() string              { return "" }
func (p *pusher) RPC(env detectors.Env, r *flows.RPC) {
	p.waves.Emit(env, &detectors.Finding{
		Rule: pushRule, Actor: detectors.HostKey{Addr: r.Orig}, Target: detectors.HostKey{Addr: r.Resp}, Start: env.Now(), End: env.Now(), WindowStart: env.Now(), LLR: 4,
		Message: "pushed", Evidence: []detectors.Evidence{{Nats: 4}}, Conns: []flows.Conn{r.Conn}, Refs: []flows.Ref{r.Ref},
		Filter: "ip.src == " + r.Orig.String() + " && ip.dst == " + r.Resp.String() + " && dcerpc",
	}, p.width)
}

// TestWaves: of eight targets in an hour three are told alone, five in one finding that names them: 4 nats, and where width
// counts 0.5 ln 8 = 1.04 more. The next hour begins anew.
func TestWaves(t *testing.T) {
	for _, width := range []bool{false, true} {
		var s script.Script
		for i := range 8 {
			s.RPC(time.Duration(i)*time.Minute, "10.0.0.5", fmt.Sprintf("10.0.1.%d", i+1), windows.Svcctl, 12, script.Call{})
		}
		s.RPC(2*time.Hour, "10.0.0.5", "10.0.1.9", windows.Svcctl, 12, script.Call{})
		got := s.Play(&pusher{windows.NewWaves(16), width})
		if len(got) != 5 {
			t.Fatalf("%d findings, want 5", len(got))
		}
		w := got[3]
		want := 4.0
		if width {
			want += 0.5 * math.Log(8)
		}
		if w.Target.Addr != (packet.Addr{}) || len(w.Related) != 5 || w.Related[0] != script.Addr("10.0.1.4") || math.Abs(w.LLR-want) > 1e-9 || len(w.Conns) != 5 || len(w.Evidence) != 2 {
			t.Errorf("%+v", w)
		}
		if !strings.Contains(w.Message, "10.0.0.5 did the same to 5 more hosts within the hour, after 10.0.1.1, 10.0.1.2, 10.0.1.3") ||
			!strings.Contains(w.Filter, "ip.dst in {10.0.1.4, 10.0.1.5, ") || !strings.HasSuffix(w.Filter, "} && dcerpc") {
			t.Errorf("%s\n%s", w.Message, w.Filter)
		}
	}
	// A flood of targets and actors keeps to the bounds.
	var s script.Script
	for i := range 600 {
		s.RPC(time.Duration(i), "10.0.0.5", fmt.Sprintf("10.3.%d.%d", i/200, i%200), windows.Svcctl, 12, script.Call{})
	}
	for i := range 30 {
		s.RPC(time.Minute+time.Duration(i), fmt.Sprintf("10.0.2.%d", i), "10.0.1.1", windows.Svcctl, 12, script.Call{})
	}
	w := windows.NewWaves(16)
	if got := s.Play(&pusher{waves: w}); len(got[3].Related) > 64 || w.Evicted() == 0 {
		t.Errorf("%d named, %d evicted", len(got[3].Related), w.Evicted())
	}
}
