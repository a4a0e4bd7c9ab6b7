package dns

import (
	"strings"
	"testing"

	"neuromast/flows"
)

func framed(msgs ...[]byte) (b []byte) {
	for _, m := range msgs {
		b = append(append(b, byte(len(m)>>8), byte(len(m))), m...)
	}
	return b
}

var (
	tcpQueries = framed(query(1, "one.example. 0001 0001"), query(2, "two.example. 00fc 0001"))
	tcpAnswers = framed(
		msg(1, 0x8180, [4]uint16{1, 1}, "one.example. 0001 0001 c00c 0001 0001 00000001 0004 c0000201"),
		msg(2, 0x8185, [4]uint16{1}, "two.example. 00fc 0001"))
	tcpWant = []string{
		"one.example A NOERROR q#1+0s/29 a#2+0s/45 @0s | one.example 1 A 192.0.2.1",
		"two.example AXFR REFUSED q#1+0s/29 a#2+0s/29 @0s",
	}
)

// TestStreamCuts holds that segments may cut the stream anywhere.
func TestStreamCuts(t *testing.T) {
	for step := 1; step <= len(tcpAnswers); step++ {
		w := newWire(8)
		p := w.t.Parser(flows.AppDNS)
		p.Reset(false)
		for i, b := range [][]byte{tcpQueries, tcpAnswers} {
			for len(b) > 0 {
				n := min(step, len(b))
				if !p.Data(&w.out, &w.c, flows.Dir(i), b[:n], flows.Ref{Frame: uint64(1 + i)}) {
					t.Fatalf("gave up on segments of %d bytes", step)
				}
				b = b[n:]
			}
		}
		w.want(t, tcpWant...)
		if st := w.t.Stats(); st.Malformed != 0 || st.Messages != 4 {
			t.Fatalf("%+v", st)
		}
	}
}

func TestStreamMidstream(t *testing.T) {
	w := newWire(8)
	p := w.t.Parser(flows.AppDNS)
	p.Reset(true)
	p.Data(&w.out, &w.c, flows.Orig, tcpQueries[9:], flows.Ref{Frame: 9}) // the rest of a message, then a whole one
	if w.t.Stats().Messages != 0 {
		t.Error("read a message at a place that is no boundary")
	}
	p.Data(&w.out, &w.c, flows.Orig, tcpQueries, flows.Ref{Frame: 1})
	p.Data(&w.out, &w.c, flows.Resp, tcpAnswers[:20], flows.Ref{Frame: 2}) // too little to recognise
	p.Data(&w.out, &w.c, flows.Resp, tcpAnswers[20:], flows.Ref{Frame: 2})
	p.Data(&w.out, &w.c, flows.Resp, tcpAnswers, flows.Ref{Frame: 2})
	w.want(t, tcpWant...)

	// A gap loses the begun message only.
	p.Data(&w.out, &w.c, flows.Orig, tcpQueries[:10], flows.Ref{Frame: 3})
	p.Gap(&w.out, &w.c, flows.Orig, 100)
	if !p.Data(&w.out, &w.c, flows.Orig, tcpQueries, flows.Ref{Frame: 3}) {
		t.Error("gave up after a gap")
	}
	if st := w.t.Stats(); st.Resynchronised != 3 || st.Messages != 6 || st.GivenUp != 0 {
		t.Errorf("%+v", st)
	}
}

func TestStreamGivesUp(t *testing.T) {
	for name, midstream := range map[string]bool{"start seen": false, "midstream": true} {
		w := newWire(8)
		p := w.t.Parser(flows.AppDNS)
		p.Reset(midstream)
		garbage := []byte(strings.Repeat("\xff\x5a", 700))
		more := true
		n := 0
		for ; more && n < 100; n++ {
			more = p.Data(&w.out, &w.c, flows.Orig, garbage, flows.Ref{})
		}
		if more || n > maxSearch || w.t.Stats().GivenUp != 1 {
			t.Errorf("%s: after %d segments of garbage: %+v", name, n, w.t.Stats())
		}
		if cap(p.dirs[0].buf) > maxKept {
			t.Errorf("%s: %d bytes of garbage are buffered", name, cap(p.dirs[0].buf))
		}
	}
}

// TestStreamReset holds that a pooled parser gives a large buffer back and knows nothing of the connection before.
func TestStreamReset(t *testing.T) {
	w := newWire(8)
	p := w.t.Parser(flows.AppDNS)
	p.Reset(false)
	big := framed(append(query(1, "a. 0001 0001"), make([]byte, 60000)...))
	p.Data(&w.out, &w.c, flows.Orig, big[:50000], flows.Ref{})
	p.Reset(false)
	if cap(p.dirs[0].buf) > maxKept {
		t.Errorf("keeps %d bytes", cap(p.dirs[0].buf))
	}
	p.Data(&w.out, &w.c, flows.Orig, tcpQueries, flows.Ref{Frame: 1})
	if st := w.t.Stats(); st.Messages != 2 || st.Malformed != 0 {
		t.Errorf("%+v", st)
	}
}

func FuzzParser(f *testing.F) {
	f.Add(tcpQueries, tcpAnswers, uint8(7), false)
	f.Add(tcpAnswers, tcpQueries, uint8(1), true)
	f.Fuzz(func(t *testing.T, orig, resp []byte, step uint8, midstream bool) {
		w := newWire(4)
		p := w.t.Parser(flows.AppDNS)
		p.Reset(midstream)
		more := true
		for i := 0; more && (len(orig) > 0 || len(resp) > 0); i++ {
			dir, b := flows.Dir(i&1), &orig
			if dir == flows.Resp {
				b = &resp
			}
			n := min(int(step)+1, len(*b))
			if i%7 == 6 {
				p.Gap(&w.out, &w.c, dir, 1)
			}
			more = p.Data(&w.out, &w.c, dir, (*b)[:n], flows.Ref{})
			*b = (*b)[n:]
		}
		p.Flush(&w.out, &w.c, true)
		w.lines() // every text must lie in the arena
	})
}
