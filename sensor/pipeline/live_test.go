package pipeline

import (
	"context"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/flows/proto"
	"neuromast/flows/table"
	"neuromast/sensor/capture"
	"neuromast/sensor/fragment"
	"neuromast/sensor/packet"
)

// script is a live source that says what the test tells it to.
type script struct {
	batches []capture.Batch
	next    int
}

func (s *script) ReadBatch(b *capture.Batch) error {
	if s.next == len(s.batches) {
		return io.EOF
	}
	*b = s.batches[s.next]
	s.next++
	return nil
}

func (s *script) Inputs() []capture.Input       { return []capture.Input{{Name: "script"}} }
func (s *script) Progress() (read, total int64) { return 0, -1 }
func (s *script) Close() error                  { return nil }

// datagram is a UDP datagram at a time, from client 10.0.0.n.
func datagram(at packet.Time, n uint16) packet.Frame {
	b := make([]byte, 60)
	copy(b[12:], "\x08\x00\x45\x00\x00\x2e\x00\x00\x40\x00\x40\x11\x00\x00\x0a\x00\x00\x00\x0a\x01\x00\x01")
	binary.BigEndian.PutUint16(b[18:], n)
	binary.BigEndian.PutUint16(b[28:], n)
	binary.BigEndian.PutUint16(b[34:], 40000)
	binary.BigEndian.PutUint16(b[36:], 9999)
	binary.BigEndian.PutUint16(b[38:], 26)
	binary.BigEndian.PutUint16(b[40:], n)
	return packet.Frame{Data: b, At: at, Number: uint64(n), WireLen: 60, Link: packet.LinkEthernet}
}

// seen collects the records of flows.
type seen struct {
	records []flows.Record
	lost    [flows.NumLossKinds]uint64
	marks   []packet.Time
}

func (s *seen) Feed(m *flows.Merged) {
	for i := range m.Order {
		if it := &m.Order[i]; it.Kind == flows.KindRecord {
			s.records = append(s.records, m.Batches[it.Batch].Records[it.Index])
		}
	}
	for _, b := range m.Batches {
		for k, n := range b.Lost {
			s.lost[k] += n
		}
	}
	s.marks = append(s.marks, m.Watermark)
}

func (s *seen) Finish()                    {}
func (s *seen) Record(*flows.Merged) error { return nil }

func play(t *testing.T, sources ...capture.Source) (*seen, *Totals) {
	t.Helper()
	s := &seen{}
	cfg := Config{Workers: 2, Live: true, Decoder: packet.Default(), Fragments: fragment.Default(), Table: table.Default(), Proto: proto.Default()}
	p, err := New(cfg, sources, s, s)
	if err != nil {
		t.Fatal(err)
	}
	totals, err := p.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s, totals
}

const second = packet.Time(time.Second)

// TestQuietWire holds that the clock of a source without frames ends flows, at the time at which a later packet would have.
func TestQuietWire(t *testing.T) {
	begin := 1_772_442_000 * second
	quiet := &script{batches: []capture.Batch{{Frames: []packet.Frame{datagram(begin, 1)}}}}
	for i := range 90 {
		quiet.batches = append(quiet.batches, capture.Batch{Clock: begin + packet.Time(i+1)*second})
	}
	s, _ := play(t, quiet)
	if len(s.records) != 1 || s.records[0].At != begin.Add(table.Default().UDPTimeout) {
		t.Fatalf("%+v", s.records)
	}
	if n := len(s.marks); n < 85 {
		t.Errorf("%d watermarks in 90 s", n)
	}
}

// TestTwoSources holds that packets of two sources come in one order of time, and that a source that is down is not waited
// for.
func TestTwoSources(t *testing.T) {
	begin := 1_772_442_000 * second
	var a, b script
	for i := range 200 {
		at := begin + packet.Time(i)*second/10
		a.batches = append(a.batches, capture.Batch{Frames: []packet.Frame{datagram(at, uint16(2*i+1))}})
		if i < 100 {
			b.batches = append(b.batches, capture.Batch{Frames: []packet.Frame{datagram(at+second/20, uint16(2*i+2))}})
		} else {
			b.batches = append(b.batches, capture.Batch{Down: true})
		}
	}
	s, totals := play(t, &a, &b)
	if totals.Packets != 300 || totals.Reordered != 0 || totals.Anomalies[packet.TimeBackwards] != 0 {
		t.Errorf("%d packets, %d sorted, %d late", totals.Packets, totals.Reordered, totals.Anomalies[packet.TimeBackwards])
	}
	for i := 1; i < len(s.records); i++ {
		if s.records[i].At < s.records[i-1].At {
			t.Fatal("records are out of order")
		}
	}
	if len(s.records) != 300 {
		t.Errorf("%d flows", len(s.records))
	}
}

// TestOverloadIsCounted holds that a full ring sheds work step by step, that what is left out is counted, and that all
// comes back.
func TestOverloadIsCounted(t *testing.T) {
	begin := 1_772_442_000 * second
	var a script
	n := uint16(0)
	for i := range 400 {
		b := capture.Batch{Fill: 0.9, Drops: 3}
		if i >= 200 {
			b.Fill, b.Drops = 0, 0
		}
		for range 10 {
			n++
			b.Frames = append(b.Frames, datagram(begin+packet.Time(i)*second/4, n))
		}
		a.batches = append(a.batches, b)
	}
	s, totals := play(t, &a)
	var packets uint64
	for i := range s.records {
		packets += s.records[i].Total[flows.Orig].Packets
	}
	if s.lost[flows.LostCapture] != 600 || totals.Dropped != 600 || s.lost[flows.LostShed] == 0 || s.lost[flows.LostSampled] == 0 {
		t.Errorf("lost %v", s.lost)
	}
	if packets+s.lost[flows.LostSampled] != 4000 {
		t.Errorf("%d packets in flows and %d sampled out, of 4000", packets, s.lost[flows.LostSampled])
	}
	if totals.Load != 0 || totals.LoadChanges != 2*uint64(maxLoad) {
		t.Errorf("load %v after %d changes", totals.Load, totals.LoadChanges)
	}
}
