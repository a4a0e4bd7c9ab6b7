package shape

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// play measures a script and returns what is told at its end: c and s and a size are messages of client and server, +D a
// pause; (…)N repeats what stands between.
func play(t *testing.T, script string) *flows.Session {
	t.Helper()
	for {
		from := strings.IndexByte(script, '(')
		if from < 0 {
			break
		}
		to := from + strings.IndexByte(script[from:], ')')
		var n int
		fmt.Sscan(script[to+1:], &n)
		script = script[:from] + strings.Repeat(" "+script[from+1:to]+" ", n) + strings.TrimLeft(script[to+1:], "0123456789")
	}
	var s Shape
	out := flows.Out{Batch: &flows.Batch{}}
	now := packet.Time(time.Hour)
	for _, w := range strings.Fields(script) {
		if w[0] == '+' {
			d, err := time.ParseDuration(w[1:])
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(d)
			continue
		}
		var size int
		fmt.Sscan(w[1:], &size)
		dir := flows.Orig
		if w[0] == 's' {
			dir = flows.Resp
		}
		s.Take(now, dir, size, flows.Ref{})
	}
	s.Tell(&out, &flows.Conn{}, flows.AppSSH, flows.Unseen, true)
	if len(out.Batch.Session) == 0 {
		return &flows.Session{}
	}
	return &out.Batch.Session[0]
}

func TestShape(t *testing.T) {
	for _, c := range []struct {
		name, script string
		typed        [2]uint32
		struck       uint32
	}{
		// the last key counts when the next comes: ten keys are nine
		{"typing", "(c36 +2ms s36 +150ms)10", [2]uint32{9, 0}, 0},
		{"typing over a slow line", "(c36 +90ms s36 +190ms)10", [2]uint32{9, 0}, 0},
		{"typing backwards", "(s76 +2ms c76 +150ms)10", [2]uint32{0, 9}, 0},
		{"an echo with a second part, as shells that suggest", "(c36 +2ms s36 +20ms s80 +150ms)10", [2]uint32{0, 0}, 0},
		{"a program that asks and answers", "(c36 +2ms s36 +2ms)50", [2]uint32{0, 0}, 0},
		{"answers as slow as questions", "(c36 +100ms s36 +100ms)50", [2]uint32{0, 0}, 0},
		{"keepalives of the server", "(s60 +1ms c36 +15s)20", [2]uint32{0, 0}, 0},
		{"output", "(s500 +1s)20", [2]uint32{0, 0}, 0},
		{"files asked for one by one", "(c100 +1ms s1400 s1400 +50ms)20", [2]uint32{0, 0}, 0},
		{"keys struck by a program", "(c39 c38 +10ms)20", [2]uint32{0, 0}, 18},
		{"keys struck by fingers", "(c39 +60ms c38 +90ms)20", [2]uint32{0, 0}, 0},
		{"a mouse", "(c44 +10ms)100", [2]uint32{0, 0}, 0},
		{"few", "c36 +2ms s36", [2]uint32{0, 0}, 0},
	} {
		if s := play(t, c.script); s.Typed != c.typed || s.Struck != c.struck {
			t.Errorf("%s: typed %v struck %d, want %v and %d", c.name, s.Typed, s.Struck, c.typed, c.struck)
		}
	}
	s := play(t, "(c36 +2ms s36 +150ms c36 +2ms s36 +250ms)10 (c1448)700 +1s s36")
	// ten waits of 150 ms and ten of 250: the last, before the file, counts too
	if s.Pace[flows.Orig] != 200 || s.Spread[flows.Orig] != 2500 || s.Bulk[flows.Orig] != 700*1448 || s.Small[flows.Orig] != 20 || s.Messages != [2]uint32{21, 20} {
		t.Errorf("%+v", s)
	}
}

// TestTakeAllocatesNothing holds the packet path's law.
func TestTakeAllocatesNothing(t *testing.T) {
	var s Shape
	r := rand.New(rand.NewPCG(1, 1))
	now := packet.Time(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += packet.Time(r.Uint32())
		s.Take(now, flows.Dir(r.Uint32()&1), int(r.Uint32()%1500), flows.Ref{})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkTake is full segments of one direction.
func BenchmarkTake(b *testing.B) {
	var s Shape
	now := packet.Time(1)
	for b.Loop() {
		now += 1000
		s.Take(now, flows.Resp, 1448, flows.Ref{})
	}
}
