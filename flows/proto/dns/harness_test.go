package dns

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// wire is one shard's reader with a batch to write to.
type wire struct {
	t   *Transactions
	out flows.Out
	c   flows.Conn
}

func newWire(limit int) *wire {
	return &wire{
		t: New(limit), out: flows.Out{Batch: &flows.Batch{}, Now: at(0)},
		c: flows.Conn{ID: 7, OrigPort: 40000, RespPort: 53, Proto: packet.ProtoUDP},
	}
}

// at is a packet time, d after the start of the tests' time.
func at(d time.Duration) packet.Time { return packet.Time(1_700_000_000e9).Add(d) }

// send hands over one datagram at a time.
func (w *wire) send(app flows.App, d time.Duration, frame uint64, msg []byte) {
	w.out.Now = at(d)
	w.t.Datagrams(app).Datagram(&w.out, &w.c, flows.Orig, msg, len(msg), flows.Ref{Frame: frame})
}

// lines describes what was written, one transaction a line.
func (w *wire) lines() (out []string) {
	b := w.out.Batch
	for i := range b.DNS {
		d := &b.DNS[i]
		s := fmt.Sprintf("%s %s %s", flows.AppendName(nil, b.Bytes(d.Name)), d.TypeName(), flows.RcodeName(d.Rcode))
		if d.QueryAt != 0 {
			s += fmt.Sprintf(" q#%d+%v/%d", d.QueryRef.Frame, d.QueryAt.Sub(at(0)), d.QueryBytes)
		}
		if d.AnswerAt != 0 {
			s += fmt.Sprintf(" a#%d+%v/%d", d.AnswerRef.Frame, d.AnswerAt.Sub(at(0)), d.AnswerBytes)
		}
		s += fmt.Sprintf(" @%v", d.At.Sub(at(0)))
		if d.MixedCase {
			s += " mixed"
		}
		for _, a := range b.Answers[d.Answers.Off : d.Answers.Off+d.Answers.Len] {
			s += fmt.Sprintf(" | %s %d %s %s", flows.AppendName(nil, b.Bytes(a.Name)), a.TTL, flows.TypeName(a.Type), b.String(a.Data))
		}
		out = append(out, s)
	}
	return out
}

func (w *wire) want(t *testing.T, want ...string) {
	t.Helper()
	if got := w.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// msg builds a message from its header fields and the bytes of its sections. In the sections, text in quotes is itself,
// a word that ends in a dot is a name without compression, and the rest is hexadecimal.
func msg(id, flags uint16, counts [4]uint16, sections string) []byte {
	b := []byte{byte(id >> 8), byte(id), byte(flags >> 8), byte(flags)}
	for _, n := range counts {
		b = append(b, byte(n>>8), byte(n))
	}
	for _, w := range strings.Fields(sections) {
		switch {
		case strings.HasPrefix(w, "'"):
			b = append(b, strings.Trim(w, "'")...)
		case strings.HasSuffix(w, "."):
			for _, l := range strings.Split(strings.TrimSuffix(w, "."), ".") {
				if l != "" {
					b = append(append(b, byte(len(l))), l...)
				}
			}
			b = append(b, 0)
		default:
			raw, err := hex.DecodeString(w)
			if err != nil {
				panic(err)
			}
			b = append(b, raw...)
		}
	}
	return b
}

func query(id uint16, question string) []byte {
	return msg(id, 0x0100, [4]uint16{1}, question)
}
