package ring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"neuromast/pcaps/wire"
	"neuromast/sensor/bpf"
	"neuromast/sensor/capture"
	"neuromast/sensor/packet"
)

// frame is an Ethernet frame of an experimental type that carries a number, behind the given tags (TPID and TCI).
func frame(n, size int, tags ...uint16) []byte {
	b := append(make([]byte, 0, size), 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2)
	for _, t := range tags {
		b = binary.BigEndian.AppendUint16(b, t)
	}
	b = binary.BigEndian.AppendUint16(b, 0x88b5)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return append(b, make([]byte, max(size-len(b), 0))...)
}

func open(t *testing.T, cfg Config, filter Filter) []*Ring {
	t.Helper()
	rings, err := Open(cfg, "rx", filter, 0)
	if err != nil {
		t.Fatal(err)
	}
	closers = append(closers, func() {
		for _, r := range rings {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return rings
}

func small() Config {
	c := Default()
	c.RingMiB = 8
	return c
}

func sender(t *testing.T) *wire.Sender {
	t.Helper()
	s, err := wire.NewSender("tx")
	if err != nil {
		t.Fatal(err)
	}
	closers = append(closers, func() { s.Close() })
	return s
}

// drain reads until the ring is quiet and returns copies of the frames.
func drain(t *testing.T, r *Ring) (frames [][]byte, drops uint64) {
	t.Helper()
	var b capture.Batch
	for quiet := 0; ; {
		err := r.ReadBatch(&b)
		drops += b.Drops
		if errors.Is(err, io.EOF) {
			return frames, drops
		} else if err != nil {
			t.Fatal(err)
		}
		if quiet++; len(b.Frames) > 0 {
			quiet = 0
		} else if quiet == 2 {
			r.Stop()
		}
		for i := range b.Frames {
			if int(b.Frames[i].WireLen) != len(b.Frames[i].Data) || b.Frames[i].At == 0 {
				t.Errorf("frame %+v", b.Frames[i])
			}
			frames = append(frames, bytes.Clone(b.Frames[i].Data))
		}
		b.Release()
	}
}

// step runs one part of a test on the test's own thread, where its namespace is; t.Run would leave it.
func step(t *testing.T, name string, f func(*testing.T)) {
	t.Helper()
	closers = nil
	f(t)
	for _, c := range closers {
		c()
	}
	if t.Failed() {
		t.Fatalf("in: %s", name)
	}
}

var closers []func()

func TestRing(t *testing.T) {
	wire.Namespace(t)
	wire.Veth(t, "rx", "tx")

	step(t, "frames come as they were sent", func(t *testing.T) {
		r := open(t, small(), nil)[0]
		var sent [][]byte
		for i := range 5000 {
			switch i % 4 {
			case 0:
				sent = append(sent, frame(i, 60))
			case 1:
				sent = append(sent, frame(i, 1500, 0x8100, 0x6123)) // priority 3, id 0x123
			case 2:
				sent = append(sent, frame(i, 200, 0x88a8, 100, 0x8100, 7))
			case 3:
				sent = append(sent, frame(i, 3000))
			}
		}
		if err := sender(t).Send(sent); err != nil {
			t.Fatal(err)
		}
		got, drops := drain(t, r)
		if drops != 0 || len(got) != len(sent) {
			t.Fatalf("%d of %d frames, %d dropped", len(got), len(sent), drops)
		}
		for i := range sent {
			if !bytes.Equal(got[i], sent[i]) {
				t.Fatalf("frame %d: got % x, sent % x", i, got[i][:30], sent[i][:30])
			}
		}
		if s := r.Stats(); s.Frames != uint64(len(sent)) || s.Drops != 0 || s.Down {
			t.Errorf("%+v", s)
		}
	})

	step(t, "a full ring is counted", func(t *testing.T) {
		r := open(t, small(), nil)[0]
		s := sender(t)
		batch := make([][]byte, 1000)
		for i := range batch {
			batch[i] = frame(i, 1500)
		}
		const rounds = 20
		for range rounds {
			if err := s.Send(batch); err != nil {
				t.Fatal(err)
			}
		}
		got, drops := drain(t, r)
		if drops == 0 || uint64(len(got))+drops != rounds*1000 {
			t.Errorf("%d frames and %d drops, %d sent", len(got), drops, rounds*1000)
		}
	})

	step(t, "two readers share an interface by conversation", func(t *testing.T) {
		cfg := small()
		cfg.Readers = 2
		rings := open(t, cfg, nil)
		var sent [][]byte
		for i := range 1000 {
			sent = append(sent, datagram(byte(i), uint16(1000+i), 53, false), datagram(byte(i), uint16(1000+i), 53, true))
		}
		if err := sender(t).Send(sent); err != nil {
			t.Fatal(err)
		}
		where := map[string]int{}
		total := 0
		for n, r := range rings {
			got, _ := drain(t, r)
			total += len(got)
			if len(got) < 200 {
				t.Errorf("reader %d got %d", n, len(got))
			}
			for _, f := range got {
				port := string(f[34:36])
				if binary.BigEndian.Uint16(f[34:]) == 53 {
					port = string(f[36:38])
				}
				if before, ok := where[port]; ok && before != n {
					t.Fatal("the directions of a conversation went to two readers")
				}
				where[port] = n
			}
		}
		if total != len(sent) {
			t.Errorf("%d of %d", total, len(sent))
		}
	})

	step(t, "the filter stands before the first frame", func(t *testing.T) {
		s := sender(t)
		stop, done := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
					if err := s.Send([][]byte{frame(1, 60), frame(2, 60)}); err != nil {
						done <- err
						return
					}
				}
			}
		}()
		second := Filter{ // the number is 2
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 14}, {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 2, Jf: 1},
			{Code: unix.BPF_RET, K: 262144}, {Code: unix.BPF_RET},
		}
		r := open(t, small(), second)[0]
		time.Sleep(20 * time.Millisecond)
		close(stop)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		got, _ := drain(t, r)
		for _, f := range got {
			if f[17] != 2 {
				t.Fatal("a frame went past the filter")
			}
		}
		if len(got) == 0 {
			t.Error("nothing came")
		}
	})

	step(t, "a compiled filter knows the tag that the kernel took out", func(t *testing.T) {
		p, err := bpf.Compile("vlan 291 and vlan 7 or ether proto 0x88b6", packet.LinkEthernet, bpf.Ancillary)
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, small(), NewFilter(p))[0]
		if err := sender(t).Send([][]byte{
			frame(1, 60), frame(2, 60, 0x8100, 291), frame(3, 60, 0x88a8, 291, 0x8100, 7), frame(4, 60, 0x8100, 292, 0x8100, 7),
		}); err != nil {
			t.Fatal(err)
		}
		if got, _ := drain(t, r); len(got) != 1 || got[0][25] != 3 {
			t.Errorf("%d frames: % x", len(got), got)
		}
	})

	step(t, "a link that goes down comes back", func(t *testing.T) {
		r := open(t, small(), nil)[0]
		var b capture.Batch
		wire.IP(t, "link set dev rx down")
		down := false
		for range 20 {
			if err := r.ReadBatch(&b); err != nil {
				t.Fatal(err)
			}
			down = down || b.Down
			b.Release()
		}
		if !down || !r.Stats().Down {
			t.Error("not said that it is down")
		}
		wire.IP(t, "link set dev rx up")
		time.Sleep(50 * time.Millisecond)
		if err := sender(t).Send([][]byte{frame(1, 60)}); err != nil {
			t.Fatal(err)
		}
		if got, _ := drain(t, r); len(got) != 1 || r.Stats().Down {
			t.Errorf("%d frames after it came back, %+v", len(got), r.Stats())
		}
	})

	step(t, "a quiet wire tells its clock", func(t *testing.T) {
		r := open(t, small(), nil)[0]
		before := packet.Time(time.Now().UnixNano())
		time.Sleep(30 * time.Millisecond)
		var b capture.Batch
		if err := r.ReadBatch(&b); err != nil || len(b.Frames) != 0 || b.Clock < before {
			t.Errorf("%v, %d frames, clock %v", err, len(b.Frames), b.Clock)
		}
		r.Stop()
		if err := r.ReadBatch(&b); !errors.Is(err, io.EOF) {
			t.Errorf("after Stop: %v", err)
		}
	})

	step(t, "mistakes are named", func(t *testing.T) {
		if _, err := Open(small(), "nosuch", nil, 0); err == nil || !bytes.Contains([]byte(err.Error()), []byte("rx")) {
			t.Errorf("%v", err)
		}
	})
}

// datagram is a UDP datagram of a client to a server, or back.
func datagram(client byte, port, server uint16, back bool) []byte {
	b := make([]byte, 60)
	copy(b, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00\x00\x2e")
	b[22], b[23] = 64, 17
	from, to, sport, dport := []byte{10, 0, 0, client}, []byte{10, 0, 1, 1}, port, server
	if back {
		from, to, sport, dport = to, from, dport, sport
	}
	copy(b[26:], from)
	copy(b[30:], to)
	binary.BigEndian.PutUint16(b[34:], sport)
	binary.BigEndian.PutUint16(b[36:], dport)
	binary.BigEndian.PutUint16(b[38:], 26)
	return b
}

// TestClockSteps holds that packet time goes on where the machine's clock is set back.
func TestClockSteps(t *testing.T) {
	r := &Ring{last: 100 * packet.Time(time.Second)}
	for _, tt := range []struct{ raw, want float64 }{{100.5, 100.5}, {99.9, 99.9}, {50, 100.5}, {51, 101.5}} {
		if got := r.rebase(packet.Time(tt.raw * 1e9)); got != packet.Time(tt.want*1e9) {
			t.Errorf("%v becomes %v, want %v", tt.raw, float64(got)/1e9, tt.want)
		}
	}
	if r.stats.Rebased != 1 {
		t.Errorf("%d steps counted", r.stats.Rebased)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{
		{Interfaces: []string{"eth0", "eth0"}, Readers: 1, RingMiB: 64, BlockTime: time.Second},
		{Interfaces: []string{"a/b"}, Readers: 1, RingMiB: 64, BlockTime: time.Second},
		{Readers: 0, RingMiB: 64, BlockTime: time.Second}, {Readers: 1, RingMiB: 1, BlockTime: time.Second}, {Readers: 1, RingMiB: 64},
	} {
		if c.Validate() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}
