package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"neuromast/flows"
	"neuromast/flows/proto"
	"neuromast/flows/table"
	"neuromast/pcaps"
	"neuromast/sensor/capture"
	"neuromast/sensor/fragment"
	"neuromast/sensor/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape checks the order of what analysis and recorder get, and keeps it as text.
type tape struct {
	t         testing.TB
	text      bytes.Buffer
	watermark packet.Time
	finished  bool
	fail      error
	items     int
}

func (p *tape) Feed(m *flows.Merged) {
	if !m.Sorted() {
		p.t.Error("merged items are out of order")
	}
	for i := range m.Order {
		it := &m.Order[i]
		if it.At <= p.watermark && !m.Final {
			p.t.Errorf("an item of %v comes after watermark %v", it.At, p.watermark)
		}
		b := m.Batches[it.Batch]
		fmt.Fprint(&p.text, it.At, it.Shard, it.Seq, it.Kind)
		switch it.Kind {
		case flows.KindRecord:
			r := &b.Records[it.Index]
			fmt.Fprintln(&p.text, r.ID, r.State, r.Total, r.HistoryString())
		case flows.KindDNS:
			fmt.Fprintf(&p.text, "%x\n", b.Bytes(b.DNS[it.Index].Name))
		case flows.KindARP:
			a := &b.ARP[it.Index]
			fmt.Fprintln(&p.text, a.Sender, a.Target, a.SenderMAC, a.Count, a.Ref)
		case flows.KindDHCP:
			h := &b.DHCP[it.Index]
			fmt.Fprintln(&p.text, h.Kind, h.Yours, h.From, b.String(h.HostName), h.Ref)
		case flows.KindSMB:
			s := &b.SMB[it.Index]
			fmt.Fprintln(&p.text, s.Op, b.String(s.Share), b.String(s.Path), s.Bytes)
		case flows.KindRPC:
			r := &b.RPC[it.Index]
			fmt.Fprintln(&p.text, r.Interface, r.Opnum, r.Outcome)
		}
		p.items++
	}
	if m.Watermark < p.watermark {
		p.t.Error("the watermark goes back")
	}
	p.watermark = m.Watermark
}

func (p *tape) Finish()                    { p.finished = true }
func (p *tape) Record(*flows.Merged) error { return p.fail }

// source is a crafted capture in memory.
func source(t testing.TB, name string) capture.Source {
	t.Helper()
	s, err := pcaps.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := s.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	src, err := capture.Open([]string{"-"}, &b)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func run(t testing.TB, workers int, seed uint64, src capture.Source, p *tape) (*Totals, error) {
	t.Helper()
	pl, err := New(Config{Workers: workers, Seed: seed, Decoder: packet.Default(), Fragments: fragment.Default(), Table: table.Default(), Proto: proto.Default()}, []capture.Source{src}, p, p)
	if err != nil {
		t.Fatal(err)
	}
	return pl.Run(context.Background())
}

// TestOrderDoesNotDependOnWorkers holds law 1 on the facts themselves, and that the table's seed does not show.
func TestOrderDoesNotDependOnWorkers(t *testing.T) {
	for _, name := range []string{"office", "intrusion", "lan"} {
		var want string
		for i, workers := range []int{1, 2, 8, 64, 1} {
			p := &tape{t: t}
			totals, err := run(t, workers, uint64(i), source(t, name), p)
			if err != nil {
				t.Fatal(err)
			}
			if !p.finished || p.items == 0 || totals.Packets == 0 || totals.Decoded != totals.Packets {
				t.Fatalf("finished %v, %d items, totals %+v", p.finished, p.items, totals)
			}
			if want == "" {
				want = p.text.String()
			} else if p.text.String() != want {
				t.Errorf("%s: %d workers give another result", name, workers)
			}
		}
	}
}

// TestStageFailureEndsAll holds that an error of one stage comes out and leaves no goroutine.
func TestStageFailureEndsAll(t *testing.T) {
	full := errors.New("disk full")
	if _, err := run(t, 4, 1, source(t, "office"), &tape{t: t, fail: full}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Nanosecond, context.Canceled)
	defer cancel()
	p := &tape{t: t}
	pl, err := New(Config{Workers: 2, Decoder: packet.Default(), Table: table.Default(), Proto: proto.Default()}, []capture.Source{source(t, "office")}, p, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pl.Run(ctx); err == nil {
		t.Error("a cancelled run says nothing")
	}
}

func TestWorkersAreChecked(t *testing.T) {
	for _, n := range []int{0, flows.NumShards + 1} {
		if _, err := New(Config{Workers: n}, nil, nil, nil); err == nil {
			t.Errorf("%d workers are taken", n)
		}
	}
}
