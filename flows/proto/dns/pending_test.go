package dns

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// model is the table of open queries as a list, oldest first.
type model []modelQuery

type modelQuery struct {
	flow     uint64
	id, typ  uint16
	deadline packet.Time
}

// TestPendingAgainstModel plays random queries, answers and pauses to the table and to a list.
func TestPendingAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		limit := 1 + r.IntN(80)
		w := newWire(limit)
		var m model
		now := time.Duration(0)
		var want []string
		log := func(kind string, q modelQuery, at packet.Time) {
			want = append(want, fmt.Sprintf("%s %d %d %d %d", kind, q.flow, q.id, q.typ, at))
		}
		expire := func(to packet.Time) {
			for len(m) > 0 && m[0].deadline <= to {
				log("open", m[0], m[0].deadline)
				m = m[1:]
			}
		}
		for range 4000 {
			now += time.Duration(r.IntN(400)) * time.Millisecond
			q := modelQuery{flow: r.Uint64N(5), id: uint16(r.IntN(6)), typ: uint16(1 + r.IntN(3)), deadline: at(now + Timeout)}
			w.c.ID = q.flow
			sections := fmt.Sprintf("x. %04x 0001", q.typ)
			same := func(o modelQuery) bool { return o.flow == q.flow && o.id == q.id && o.typ == q.typ }
			expire(at(now))
			switch i := slices.IndexFunc(m, same); r.IntN(5) {
			case 0, 1, 2:
				if i < 0 {
					if len(m) == limit {
						log("open", m[0], at(now))
						m = m[1:]
					}
					m = append(m, q)
				}
				w.send(flows.AppDNS, now, 1, query(q.id, sections))
			case 3:
				kind := "unasked"
				if i >= 0 {
					kind = "answered"
					m = slices.Delete(m, i, i+1)
				}
				log(kind, q, at(now))
				w.send(flows.AppDNS, now, 2, msg(q.id, 0x8180, [4]uint16{1}, sections))
			case 4:
				w.t.Advance(&w.out, at(now))
			}
		}
		expire(at(now + time.Hour))
		w.t.Advance(&w.out, at(now+time.Hour))
		var got []string
		for _, d := range w.out.Batch.DNS {
			kind := "open"
			switch {
			case d.QueryAt == 0:
				kind = "unasked"
			case d.AnswerAt != 0:
				kind = "answered"
			}
			got = append(got, fmt.Sprintf("%s %d %d %d %d", kind, d.Conn.ID, d.ID, d.Type, d.At))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d transactions, want %d", seed, len(got), len(want))
		}
		if int(w.t.open.used) > limit {
			t.Fatalf("%d entries for a limit of %d", w.t.open.used, limit)
		}
	}
}
