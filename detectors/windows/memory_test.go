package windows_test

import (
	"testing"
	"time"

	"neuromast/detectors/windows"
	"neuromast/detectors/windows/script"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

func TestHabits(t *testing.T) {
	h := windows.NewHabits(1000)
	c := script.Conn("10.0.0.5", "10.0.0.7", 445)
	day := func(n int) packet.Time { return script.Start.Add(time.Duration(n) * 24 * time.Hour) }
	for _, tt := range []struct{ on, want int }{{0, 0}, {0, 0}, {1, 1}, {1, 1}, {2, 2}, {9, 3}, {10, 4}, {10 + 46, 0}, {57, 1}} {
		if got := h.Note(day(tt.on), &c, 7); got != tt.want {
			t.Errorf("on day %d: %d earlier days, want %d", tt.on, got, tt.want)
		}
	}
	if h.Note(day(57), &c, 8) != 0 {
		t.Error("another doing shares the habit")
	}
	back := script.Conn("10.0.0.7", "10.0.0.5", 445)
	if h.Note(day(57), &back, 7) != 0 {
		t.Error("the other direction shares the habit")
	}
	if windows.Familiar(2) || !windows.Familiar(3) {
		t.Error("three earlier days make a habit")
	}
}

func call(from, to string, iface flows.UUID, op uint16) *flows.RPC {
	return &flows.RPC{
		Meta: flows.Meta{At: script.Start}, Conn: script.Conn(from, to, 49670), Interface: iface, Opnum: op, Outcome: flows.Succeeded,
	}
}

func TestControllers(t *testing.T) {
	is := func(c *windows.Controllers, a string) bool { return c.Is(0, script.Addr(a)) }
	c := windows.NewControllers(nil)
	c.RPC(call("10.0.0.5", "10.0.0.1", windows.DRSUAPI, 0))
	refused := call("10.0.0.5", "10.0.0.2", windows.DRSUAPI, 0)
	refused.Outcome = flows.Failed
	c.RPC(refused)
	c.RPC(call("10.0.0.5", "10.0.0.3", windows.SAMR, 0))
	r := flows.Record{Conn: script.Conn("10.0.0.5", "10.0.0.4", 88), App: flows.AppKerberos}
	r.Total[flows.Resp].PayloadBytes = 1
	c.Flow(&r)
	for addr, want := range map[string]bool{"10.0.0.1": true, "10.0.0.2": false, "10.0.0.3": false, "10.0.0.4": true, "10.0.0.5": false} {
		if is(c, addr) != want {
			t.Errorf("%s is a controller: %v", addr, !want)
		}
	}
	if c.Is(7, script.Addr("10.0.0.1")) {
		t.Error("a host of another segment shares the role")
	}

	list, errs := windows.ParseControllers([]string{"10.1.0.0/24", "10.2.0.1", "x"})
	if len(list) != 2 || len(errs) != 1 {
		t.Fatalf("%v, %v", list, errs)
	}
	c = windows.NewControllers(list)
	c.RPC(call("10.0.0.5", "10.0.0.1", windows.DRSUAPI, 0))
	if is(c, "10.0.0.1") || !is(c, "10.1.0.9") || !is(c, "10.2.0.1") {
		t.Error("what is configured is not all that counts")
	}
}

// TestInvited: a controller tells its partner over a connection whose bind was not seen, and the partner pulls.
func TestInvited(t *testing.T) {
	c := windows.NewControllers(nil)
	tell := call("10.0.0.1", "10.0.0.2", flows.UUID{}, 2)
	tell.Source, tell.Encrypted = flows.FromNowhere, true
	c.RPC(tell)
	pull := call("10.0.0.2", "10.0.0.1", windows.DRSUAPI, 3)
	if pull.At += packet.Time(time.Minute); !c.Invited(pull) {
		t.Error("a partner's pull is not known")
	}
	if pull.At++; c.Invited(pull) {
		t.Error("an invitation outlives its minute")
	}
	if other := call("10.0.0.3", "10.0.0.1", windows.DRSUAPI, 3); c.Invited(other) {
		t.Error("another host uses the invitation")
	}
}
