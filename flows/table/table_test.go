package table

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

const start = packet.Time(1_772_438_400_000_000_000) // 2026-03-02T08:00:00Z

var (
	alice = packet.AddrFrom(netip.MustParseAddr("10.0.0.1"))
	bob   = packet.AddrFrom(netip.MustParseAddr("10.0.0.2"))
)

// wire is a shard with its batch, fed with packets of one conversation.
type wire struct {
	*Shard
	batch flows.Batch
	frame uint64
	now   packet.Time
}

func newWire(cfg Config, seed uint64) *wire {
	w := &wire{Shard: New(0, cfg, seed, NewMemory(), nil), now: start}
	w.Out().Batch = &w.batch
	return w
}

func (w *wire) put(p packet.Packet) {
	w.frame++
	p.At, p.Number, p.Net, p.Frames, p.IPID = w.now, w.frame, packet.NetIPv4, 1, uint16(w.frame)
	if p.IPLen == 0 {
		p.IPLen = 40 + p.PayloadLen
	}
	var k Keyed
	if !KeyOf(&p, &k) {
		panic("no key")
	}
	w.Add(&p, &k)
}

// tcp sends one segment: from is 'o' or 'r', flags in tcpdump's letters.
func (w *wire) tcp(from byte, flags string, seq, ack, size uint32) {
	p := packet.Packet{Proto: packet.ProtoTCP, Src: alice, Dst: bob, SrcPort: 50000, DstPort: 445, Seq: seq, Ack: ack, PayloadLen: size, Window: 1000}
	if from == 'r' {
		p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, p.DstPort, p.SrcPort
	}
	for _, c := range flags {
		p.Flags |= map[rune]uint8{'S': packet.SYN, 'F': packet.FIN, 'R': packet.RST, '.': packet.ACK, 'P': packet.PSH}[c]
	}
	w.put(p)
	w.now = w.now.Add(time.Millisecond)
}

type segment struct {
	from           byte
	flags          string
	seq, ack, size uint32
}

var opening = []segment{{'o', "S", 100, 0, 0}, {'r', "S.", 900, 101, 0}, {'o', ".", 101, 901, 0}}

// TestStateAndHistory holds Zeek's vocabulary, each case worked out from its definition.
func TestStateAndHistory(t *testing.T) {
	for _, c := range []struct {
		name    string
		packets []segment
		state   flows.State
		history string
	}{
		{"attempt", []segment{{'o', "S", 1, 0, 0}, {'o', "S", 1, 0, 0}}, flows.S0, "S"},
		{"refused", []segment{{'o', "S", 1, 0, 0}, {'r', "R.", 0, 2, 0}}, flows.REJ, "Sr"},
		{"open", opening, flows.S1, "ShA"},
		{"normal", append(slices.Clone(opening), segment{'o', "P.", 101, 901, 10}, segment{'r', "P.", 901, 111, 20},
			segment{'o', "F.", 111, 921, 0}, segment{'r', "F.", 921, 112, 0}, segment{'o', ".", 112, 922, 0}), flows.SF, "ShADdFf"},
		{"originator closed", append(slices.Clone(opening), segment{'o', "F.", 101, 901, 0}), flows.S2, "ShAF"},
		{"responder closed", append(slices.Clone(opening), segment{'r', "F.", 901, 101, 0}), flows.S3, "ShAf"},
		{"originator aborted", append(slices.Clone(opening), segment{'o', "R", 101, 0, 0}), flows.RSTO, "ShAR"},
		{"responder aborted", append(slices.Clone(opening), segment{'r', "R.", 901, 101, 0}), flows.RSTR, "ShAr"},
		{"half-open scan", []segment{{'o', "S", 1, 0, 0}, {'r', "S.", 9, 2, 0}, {'o', "R", 2, 0, 0}}, flows.RSTO, "ShR"},
		{"SYN then RST", []segment{{'o', "S", 1, 0, 0}, {'o', "R", 2, 0, 0}}, flows.RSTOS0, "SR"},
		{"SYN then FIN", []segment{{'o', "S", 1, 0, 0}, {'o', "F", 2, 0, 0}}, flows.SH, "SF"},
		{"SYN-ACK then RST", []segment{{'r', "S.", 9, 2, 0}, {'r', "R", 10, 0, 0}}, flows.RSTRH, "hr"},
		{"SYN-ACK then FIN", []segment{{'r', "S.", 9, 2, 0}, {'r', "F.", 10, 2, 0}}, flows.SHR, "hf"},
		{"midstream", []segment{{'o', "P.", 5, 9, 10}, {'r', ".", 9, 15, 0}}, flows.OTH, "Da"},
		{"midstream from the server", []segment{{'r', "P.", 9, 5, 10}}, flows.OTH, "^d"},
		{"FIN scan", []segment{{'o', "F", 5, 0, 0}}, flows.OTH, "F"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(Default(), 1)
			for _, s := range c.packets {
				w.tcp(s.from, s.flags, s.seq, s.ack, s.size)
			}
			w.Finish(w.now)
			if n := len(w.batch.Records); n != 1 {
				t.Fatalf("%d records, want 1", n)
			}
			r := w.batch.Records[0]
			if r.State != c.state || r.HistoryString() != c.history {
				t.Errorf("got %v %s, want %v %s", r.State, r.HistoryString(), c.state, c.history)
			}
			if r.Orig != alice || r.RespPort != 445 {
				t.Errorf("originator %v, responder's port %d", r.Orig, r.RespPort)
			}
		})
	}
}

// TestCounters: 10 bytes, the same again, 10 behind a hole of 20 that bob acknowledges, and a late segment filling one.
func TestCounters(t *testing.T) {
	w := newWire(Default(), 1)
	for _, s := range opening {
		w.tcp(s.from, s.flags, s.seq, s.ack, s.size)
	}
	w.tcp('o', "P.", 101, 901, 10)
	w.tcp('o', "P.", 101, 901, 10) // retransmission
	w.tcp('o', "P.", 131, 901, 10) // 20 bytes are missing before it
	w.tcp('r', ".", 901, 141, 0)   // … and bob has them: a gap
	w.tcp('r', "P.", 921, 141, 5)  // 20 missing
	w.tcp('r', "P.", 901, 141, 20) // … and here they come late
	w.Finish(w.now)
	r := w.batch.Records[0]
	o, p := r.Total[flows.Orig], r.Total[flows.Resp]
	if o.Packets != 5 || o.PayloadBytes != 20 || o.Retransmits != 1 || o.Gaps != 1 || o.GapBytes != 20 {
		t.Errorf("originator: %+v", o)
	}
	if p.Packets != 4 || p.PayloadBytes != 25 || p.Retransmits != 0 || p.Gaps != 0 {
		t.Errorf("responder: %+v", p)
	}
	if o.IPBytes != 40+40+50+50+50 {
		t.Errorf("IP bytes: %d", o.IPBytes)
	}
	if r.RTT != int64(2*time.Millisecond) {
		t.Errorf("RTT %v, want the 2 ms from SYN to ACK", time.Duration(r.RTT))
	}
	if r.FirstRef.Frame != 1 || r.LastRef.Frame != 9 {
		t.Errorf("frames %d to %d", r.FirstRef.Frame, r.LastRef.Frame)
	}
}

// TestTimeouts holds that packet time alone ends and reports flows, at their own deadlines, over any jump.
func TestTimeouts(t *testing.T) {
	w := newWire(Default(), 1)
	w.tcp('o', "S", 1, 0, 0)
	w.Advance(start.Add(10*time.Second - 1))
	if len(w.batch.Records) != 0 {
		t.Fatal("ended before its time")
	}
	w.Advance(start.Add(30 * 24 * time.Hour))
	if r := w.batch.Records; len(r) != 1 || r[0].At != start.Add(10*time.Second) || !r[0].Final || r[0].State != flows.S0 {
		t.Fatalf("got %+v", r)
	}
}

func TestTimeoutOnLookUp(t *testing.T) {
	w := newWire(Default(), 1)
	w.tcp('o', "S", 1, 0, 0)
	w.now = start.Add(time.Hour)
	w.tcp('o', "S", 7, 0, 0)
	w.Finish(w.now)
	if r := w.batch.Records; len(r) != 2 || r[0].At != start.Add(10*time.Second) || r[1].Start != start.Add(time.Hour) || r[0].ID == r[1].ID {
		t.Fatalf("got %+v", r)
	}
}

// TestReports: a connection with a packet a minute for 12 minutes reports every five, and ends 15 after its last packet.
func TestReports(t *testing.T) {
	w := newWire(Default(), 1)
	for _, s := range opening {
		w.tcp(s.from, s.flags, s.seq, s.ack, s.size)
	}
	for i := range uint32(12) {
		w.now = start.Add(time.Duration(i+1) * time.Minute)
		w.Advance(w.now - 1)
		w.tcp('o', "P.", 101+10*i, 901, 10)
	}
	w.Advance(start.Add(time.Hour))
	type report struct {
		at    time.Duration
		delta uint64
		final bool
	}
	var got []report
	for _, r := range w.batch.Records {
		got = append(got, report{r.At.Sub(start), r.Delta[flows.Orig].PayloadBytes, r.Final})
	}
	want := []report{
		{5 * time.Minute, 40, false},  // packets of minutes 1 to 4; the fifth comes with the deadline
		{10 * time.Minute, 50, false}, // 5 to 9
		{15 * time.Minute, 30, false}, // 10 to 12
		{20 * time.Minute, 0, false},
		{25 * time.Minute, 0, false},
		{27 * time.Minute, 0, true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// TestPortReuse holds that a SYN on an ended connection begins a new flow.
func TestPortReuse(t *testing.T) {
	w := newWire(Default(), 1)
	for range 2 {
		for _, s := range append(slices.Clone(opening), segment{'o', "R", 101, 0, 0}) {
			w.tcp(s.from, s.flags, s.seq, s.ack, s.size)
		}
	}
	w.Finish(w.now)
	if n := len(w.batch.Records); n != 2 {
		t.Errorf("%d flows, want 2", n)
	}
}

// TestSeedDoesNotShow holds that the table's seed changes no record.
func TestSeedDoesNotShow(t *testing.T) {
	var want string
	for _, seed := range []uint64{1, 0xfeedface} {
		w := newWire(Config{MaxFlows: 6400, ReportEvery: time.Minute, AttemptTimeout: 10 * time.Second, TCPTimeout: time.Minute,
			CloseTimeout: time.Second, UDPTimeout: time.Minute, OtherTimeout: time.Minute}, seed)
		for i := range 1000 { // ten times what the shard holds
			w.flood(i)
			if i%100 == 0 {
				w.Advance(w.now - 1)
			}
		}
		w.Finish(w.now)
		w.batch.Sort()
		got := fmt.Sprint(w.batch.Order)
		for _, it := range w.batch.Order {
			r := w.batch.Records[it.Index]
			got += fmt.Sprint(r.ID, r.At, r.Evicted, r.State)
		}
		if want == "" {
			want = got
		} else if got != want {
			t.Error("two seeds give two results")
		}
	}
}

// flood sends one spoofed SYN.
func (w *wire) flood(i int) {
	p := packet.Packet{Proto: packet.ProtoTCP, Dst: bob, SrcPort: 1024, DstPort: 445, Flags: packet.SYN,
		Src: packet.AddrFrom4([]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})}
	w.put(p)
	w.now = w.now.Add(time.Microsecond)
}

// TestSpoofedFlood holds law 3: ten million spoofed flows keep to the budget, and an established conversation survives.
func TestSpoofedFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("ten million packets: not with -short")
	}
	cfg := Default()
	w := newWire(cfg, 1)
	for _, s := range opening {
		w.tcp(s.from, s.flags, s.seq, s.ack, s.size)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	evicted := 0
	for i := range 10_000_000 {
		w.flood(i)
		if i%100_000 == 0 {
			w.Advance(w.now - 1)
			for _, r := range w.batch.Records {
				if r.Evicted {
					evicted++
				}
				if r.Orig == alice {
					t.Fatal("the conversation was pushed out")
				}
			}
			w.batch.Reset()
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if evicted == 0 || w.Stats().Evicted == 0 {
		t.Error("nothing was evicted: was this a flood?")
	}
	budget := uint64(cfg.MaxFlows/flows.NumShards)*(flowBytes+3*8) + 64<<10
	if got := w.Stats().Bytes; got > budget*2 {
		t.Errorf("table takes %d bytes, budget %d", got, budget)
	}
	if grew := int64(after.HeapAlloc) - int64(before.HeapAlloc); grew > 256<<20 { // the batch of 100,000 records is most of it
		t.Errorf("heap grew by %d MB", grew>>20)
	}
	w.tcp('r', "P.", 901, 101, 7)
	w.Finish(w.now)
	for _, r := range w.batch.Records {
		if r.Orig == alice && r.State == flows.S1 && r.Total[flows.Resp].PayloadBytes == 7 {
			return
		}
	}
	t.Error("the conversation was not reported")
}

// TestNoAllocations holds law 2 for packets of known flows.
func TestNoAllocations(t *testing.T) {
	w := newWire(Default(), 1)
	for _, s := range opening {
		w.tcp(s.from, s.flags, s.seq, s.ack, s.size)
	}
	seq := uint32(101)
	for range 40 { // past the packets that get a side record
		w.tcp('o', "P.", seq, 901, 10)
		seq += 10
	}
	if n := testing.AllocsPerRun(1000, func() {
		w.tcp('o', "P.", seq, 901, 10)
		w.tcp('r', ".", 901, seq+10, 0)
		seq += 10
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}
