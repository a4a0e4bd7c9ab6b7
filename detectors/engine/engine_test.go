package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

const t0 = packet.Time(1_700_000_000_000_000_000)

// tape is a detector that writes down what it is told and does what the test asks.
type tape struct {
	name   string
	log    *[]string
	flow   func(detectors.Env, *flows.Record)
	wake   func(detectors.Env, uint64)
	ending func(detectors.Env)
}

var tapeRule = &detectors.Rule{ID: "test.tape", Name: "Test", Stage: detectors.StageDiscovery}

func (d *tape) Rules() []*detectors.Rule { return []*detectors.Rule{tapeRule} }
func (d *tape) Doc() string              { return "" }
func (d *tape) write(env detectors.Env, what string) {
	*d.log = append(*d.log, fmt.Sprintf("%s %s %v", d.name, what, env.Now().Sub(t0)))
}
func (d *tape) Flow(env detectors.Env, r *flows.Record) {
	d.write(env, "flow")
	if d.flow != nil {
		d.flow(env, r)
	}
}
func (d *tape) Wake(env detectors.Env, token uint64) {
	if env.Batch() != nil {
		panic("a batch in Wake")
	}
	d.write(env, fmt.Sprintf("wake%d", token))
	if d.wake != nil {
		d.wake(env, token)
	}
}
func (d *tape) End(env detectors.Env) {
	d.write(env, "end")
	if d.ending != nil {
		d.ending(env)
	}
}

// records makes one merged set of flow records at the given seconds.
func records(watermark time.Duration, at ...time.Duration) *flows.Merged {
	out := flows.Out{Batch: &flows.Batch{Watermark: t0.Add(watermark)}}
	for i, d := range at {
		out.Now = t0.Add(d)
		r := flows.Record{Final: true, Side: -1}
		r.ID, r.Proto = uint64(i), packet.ProtoTCP
		r.Total[flows.Orig].Packets, r.Total[flows.Resp].Packets = 1, 1
		out.Record(&r)
	}
	out.Batch.Sort()
	var m flows.Merged
	m.Merge([]*flows.Batch{out.Batch})
	return &m
}

// finding is about one actor; the test tells them apart by its last byte.
func finding(actor byte, llr float64) *detectors.Finding {
	return &detectors.Finding{
		Rule: tapeRule, Actor: detectors.HostKey{Addr: packet.AddrFrom4([]byte{10, 0, 0, actor})},
		Start: t0, WindowStart: t0, LLR: llr, Message: fmt.Sprintf("llr %v", llr),
	}
}

// book collects the records as text.
type book []string

func (b *book) add(f *detectors.Finding) {
	*b = append(*b, fmt.Sprintf("%s r%d %v %s", f.Actor.Addr, f.Revision, f.State, f.Message))
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestDeadlinesFireInPacketTimeBetweenItems(t *testing.T) {
	var log []string
	asked := false
	a := &tape{name: "a", log: &log}
	a.flow = func(env detectors.Env, _ *flows.Record) {
		if !asked {
			asked = true
			env.WakeAt(t0.Add(5*time.Second), 2)
			env.WakeAt(t0.Add(3*time.Second), 1)
			env.WakeAt(t0.Add(time.Hour), 9) // after the last watermark: never
			env.WakeAt(t0, 0)                // in the past: at once, 1 ns on
		}
	}
	a.wake = func(env detectors.Env, token uint64) {
		if token == 1 {
			env.WakeAt(env.Now().Add(2*time.Second), 3) // same time as 2, asked later
		}
	}
	b := &tape{name: "b", log: &log}
	e := New([]detectors.Detector{a, b}, Config{})
	e.Feed(records(10*time.Second, time.Second, 3*time.Second, 6*time.Second))
	e.Feed(records(20 * time.Second))
	e.Finish()
	e.Finish()
	equal(t, log, []string{
		"a flow 1s", "b flow 1s",
		"a wake0 1.000000001s",
		"a wake1 3s", "a flow 3s", "b flow 3s",
		"a wake2 5s", "a wake3 5s",
		"a flow 6s", "b flow 6s",
		"a end 20s", "b end 20s",
	})
	if s := e.Stats(); s.Items != 3 || s.Deadlines != 4 {
		t.Errorf("stats %+v", s)
	}
}

// TestWatermarksDontMatter feeds the same items in one set and in many: the same calls at the same times.
func TestWatermarksDontMatter(t *testing.T) {
	run := func(cuts ...int) []string {
		var log []string
		d := &tape{name: "d", log: &log}
		d.flow = func(env detectors.Env, r *flows.Record) { env.WakeAt(env.Now().Add(1500*time.Millisecond), r.ID) }
		e := New([]detectors.Detector{d}, Config{})
		from := 0
		for _, to := range append(cuts, 8) {
			var at []time.Duration
			for s := from; s < to; s++ {
				at = append(at, time.Duration(s)*time.Second)
			}
			m := records(time.Duration(to)*time.Second-1, at...)
			for i := range m.Batches[0].Records {
				m.Batches[0].Records[i].ID = uint64(from + i)
			}
			e.Feed(m)
			from = to
		}
		e.Finish()
		return log
	}
	want := run()
	equal(t, run(1, 2, 3, 4, 5, 6, 7), want)
	equal(t, run(3, 6), want)
	if len(want) != 8+7+1 {
		t.Errorf("%d calls, want 16: %v", len(want), want)
	}
}

// TestLife walks a finding through its records: the rule of the package comment.
func TestLife(t *testing.T) {
	step := map[time.Duration]*detectors.Finding{
		0:                 finding(1, 1),   // opens, low (risk 21)
		1 * time.Second:   finding(1, 2),   // still low: coalesced
		2 * time.Second:   finding(1, 3),   // medium: update
		3 * time.Second:   finding(1, 2.5), // lower: coalesced, but it is what the close says
		4 * time.Second:   finding(2, 1),
		700 * time.Second: finding(1, 2.5), // 10 min after 3 s is 603 s: closed before, opens again
	}
	step[4*time.Second].Over = true
	grown := finding(1, 2.6)
	grown.Grew = true
	step[701*time.Second] = grown
	var log []string
	var got book
	d := &tape{name: "d", log: &log}
	d.flow = func(env detectors.Env, _ *flows.Record) {
		if f := step[env.Now().Sub(t0)]; f != nil {
			env.Emit(f)
		}
	}
	e := New([]detectors.Detector{d}, Config{Publish: got.add})
	e.Feed(records(time.Hour, 0, time.Second, 2*time.Second, 3*time.Second, 4*time.Second, 602*time.Second))
	e.Finish()
	equal(t, got, []string{
		"10.0.0.1 r1 open llr 1", "10.0.0.1 r2 update llr 3", "10.0.0.2 r1 close llr 1", "10.0.0.1 r3 close llr 2.5",
	})

	got = nil
	e = New([]detectors.Detector{d}, Config{Publish: got.add})
	e.Feed(records(702*time.Second, 0, time.Second, 700*time.Second, 701*time.Second))
	e.Finish()
	equal(t, got, []string{
		"10.0.0.1 r1 open llr 1", "10.0.0.1 r2 close llr 2", // 10 min after 1 s
		"10.0.0.1 r3 open llr 2.5", "10.0.0.1 r4 update llr 2.6", "10.0.0.1 r5 close llr 2.6",
	})
	if s := e.Stats(); s.Opened != 2 || s.Updated != 1 || s.Closed != 2 || s.Coalesced != 1 || s.Open != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestWhatWasSaidStaysAsSaid(t *testing.T) {
	var said []*detectors.Finding
	var log []string
	f := finding(1, 3)
	d := &tape{name: "d", log: &log, flow: func(env detectors.Env, _ *flows.Record) { env.Emit(f) }}
	e := New([]detectors.Detector{d}, Config{Publish: func(f *detectors.Finding) { said = append(said, f) }})
	e.Feed(records(time.Second, 0))
	e.Finish()
	if len(said) != 2 || said[0].State != detectors.StateOpen || said[1].State != detectors.StateClose {
		t.Fatalf("records %v", said)
	}
	if said[0].Revision != 1 || said[1].Revision != 2 || said[0].At != t0 {
		t.Errorf("revisions %d, %d; at %v", said[0].Revision, said[1].Revision, said[0].At)
	}
}

func TestOpenFindingsAreBounded(t *testing.T) {
	var got book
	var log []string
	n := byte(0)
	d := &tape{name: "d", log: &log}
	d.flow = func(env detectors.Env, _ *flows.Record) {
		switch n++; n {
		case 4:
			env.Emit(finding(1, 3)) // 1 is now more recent than 2
		case 5:
			env.Emit(finding(9, 3)) // one too many: 2 goes
		default:
			env.Emit(finding(n, 3))
		}
	}
	e := New([]detectors.Detector{d}, Config{Publish: got.add, MaxOpen: 3})
	e.Feed(records(9*time.Second, 0, 1, 2, 3, 4))
	e.Finish()
	equal(t, got, []string{
		"10.0.0.1 r1 open llr 3", "10.0.0.2 r1 open llr 3", "10.0.0.3 r1 open llr 3",
		"10.0.0.2 r2 close llr 3", "10.0.0.9 r1 open llr 3",
		"10.0.0.1 r2 close llr 3", "10.0.0.3 r2 close llr 3", "10.0.0.9 r2 close llr 3",
	})
	if e.Stats().Evicted != 1 {
		t.Errorf("stats %+v", e.Stats())
	}
}

// TestQuality works a window out by hand: three flows of which one was seen one way, 700 bytes missing.
func TestQuality(t *testing.T) {
	var last *detectors.Finding
	var log []string
	d := &tape{name: "d", log: &log, ending: func(env detectors.Env) {
		f := finding(1, 3)
		f.Start, f.WindowStart = t0.Add(48*time.Hour), t0.Add(48*time.Hour)
		f.Conns = make([]flows.Conn, 40)
		env.Emit(f)
	}}
	e := New([]detectors.Detector{d}, Config{Publish: func(f *detectors.Finding) { last = f }})
	e.Feed(records(time.Minute, 0))
	m := records(48*time.Hour+time.Minute, 48*time.Hour, 48*time.Hour+1, 48*time.Hour+2)
	m.Batches[0].Records[1].Total[flows.Resp].Packets = 0
	m.Batches[0].Records[1].Total[flows.Orig].Flags = packet.SYN | packet.ACK
	m.Batches[0].Records[2].Total[flows.Resp].Packets = 0 // an attempt without an answer
	m.Batches[0].Lost[flows.LostStreamBytes] = 700
	m.Batches[0].Lost[flows.LostEvictedFlow] = 2
	m.Batches[0].Lost[flows.LostCutPacket] = 4
	e.Feed(m)
	e.Finish()
	want := detectors.Quality{LostBytes: 700, Evicted: 2, Truncated: 4, OneSidedShare: 1.0 / 3, BaselineDays: 2 + 1.0/1440}
	if last.Quality != want {
		t.Errorf("got %+v, want %+v", last.Quality, want)
	}
	if len(last.Conns) != detectors.MaxFlows {
		t.Errorf("%d connections, want %d", len(last.Conns), detectors.MaxFlows)
	}
}

func TestFeedDoesNotAllocate(t *testing.T) {
	e := New([]detectors.Detector{quietDetector{}}, Config{})
	m := records(time.Second, 0, 1, 2, 3)
	e.Feed(m)
	if n := testing.AllocsPerRun(100, func() { e.Feed(m) }); n != 0 {
		t.Errorf("%v allocations for 4 items", n)
	}
}

type quietDetector struct{}

func (quietDetector) Rules() []*detectors.Rule            { return nil }
func (quietDetector) Doc() string                         { return "" }
func (quietDetector) Flow(detectors.Env, *flows.Record)   {}
func (quietDetector) DNS(env detectors.Env, d *flows.DNS) {}

func TestEmptyEngine(t *testing.T) {
	e := New(nil, Config{})
	e.Feed(&flows.Merged{})
	e.Finish()
	if e.Stats() != (Stats{}) {
		t.Errorf("stats %+v", e.Stats())
	}
}

// told is a detector that says what its flows' originating ports stand for: evidence only, or a finding of that weight.
type told struct{}

var toldRule = detectors.Rule{ID: "scan.told", Name: "told", Stage: detectors.StageLateral}

func (told) Rules() []*detectors.Rule { return nil }
func (told) Doc() string              { return "" }
func (told) Flow(env detectors.Env, r *flows.Record) {
	f := &detectors.Finding{Rule: &toldRule, Actor: detectors.HostKey{Addr: r.Orig}, Target: detectors.HostKey{Addr: r.Resp}, LLR: float64(r.OrigPort) / 10}
	if r.RespPort == 1 {
		env.Signal(f)
		return
	}
	env.Emit(f)
}

// TestSignals: evidence that no finding shows, and findings as often as their weight changes by 0.3 nats, reach the
// correlation; a repetition does not.
func TestSignals(t *testing.T) {
	var got []string
	e := New([]detectors.Detector{told{}}, Config{
		Sensor: "s1",
		Signal: func(s *detectors.Signal) {
			got = append(got, fmt.Sprintf("%s %s %.1f finding %v reaches %v family %v", s.Sensor, s.Rule, s.LLR, s.Finding, s.Reaches, s.Family()))
		},
	})
	b := &flows.Batch{Watermark: 100}
	out := flows.Out{Batch: b}
	for i, p := range []struct{ weight, kind uint16 }{{5, 1}, {20, 2}, {22, 2}, {24, 2}, {24, 2}, {34, 2}} {
		out.Now = packet.Time(i + 1)
		out.Record(&flows.Record{Conn: flows.Conn{Orig: packet.Addr{15: 1}, Resp: packet.Addr{15: 2}, OrigPort: p.weight, RespPort: p.kind}, Side: -1})
	}
	b.Sort()
	var m flows.Merged
	m.Merge([]*flows.Batch{b})
	e.Feed(&m)
	want := []string{
		"s1 scan.told 0.5 finding false reaches false family scanning",
		"s1 scan.told 2.0 finding true reaches false family scanning",
		"s1 scan.told 2.4 finding true reaches false family scanning",
		"s1 scan.told 3.4 finding true reaches true family scanning",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
