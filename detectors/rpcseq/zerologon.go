package rpcseq

import (
	"fmt"
	"math/bits"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// maxTries bounds zerologon_pairs.
const maxTries = 64

// burst is within how long the pairs must lie: CVE-2020-1472 is tried as fast as the network allows.
const burst = 2 * time.Minute

// The operations of MS-NRPC 3.5.4.4 that a secure channel begins with, and the one that sets the machine's password.
const (
	opReqChallenge  = 4
	opAuthenticate  = 5
	opAuthenticate2 = 15
	opAuthenticate3 = 26
	opPasswordSet2  = 30
)

// try is how often a client tried to open secure channels to a server.
type try struct {
	first, last packet.Time
	times       [maxTries]packet.Time // of the latest pairs
	challenges  uint32
	pairs       uint32
	refused     uint32
	granted     uint32
	zeros       uint32
	set         uint32 // passwords set
	setAt       packet.Time
	setRef      flows.Ref
	sealed      bool
	asked       bool // a challenge waits for its authentication
	isBurst     bool
	conn        flows.Conn
	ref         flows.Ref
}

// secureChannel counts a netlogon call.
func (d *Detector) secureChannel(env detectors.Env, r *flows.RPC) {
	switch r.Opnum {
	case opReqChallenge, opAuthenticate, opAuthenticate2, opAuthenticate3, opPasswordSet2:
	default:
		return
	}
	now := env.Now()
	p := pairOf(&r.Conn)
	t, isNew := d.tries.Use(p)
	if isNew || now.Sub(t.last) > usual {
		*t = try{first: now, conn: r.Conn, ref: r.Ref}
	}
	t.last = now
	t.sealed = t.sealed || r.Encrypted
	switch r.Opnum {
	case opReqChallenge:
		t.challenges++
		t.asked = true
		if !r.Encrypted && windows.ZeroChallenge(env.Batch().Bytes(r.Stub), r.StubLen) {
			t.zeros++
		}
	case opPasswordSet2:
		if t.isBurst || t.zeros > 0 {
			if t.set++; t.set == 1 {
				t.setAt, t.setRef = now, r.Ref
			}
		}
	default:
		if r.HasReturn && r.Return == 0 {
			t.granted++
		} else if r.HasReturn || r.Outcome == flows.Failed {
			t.refused++
		}
		if t.asked {
			t.asked = false
			t.times[t.pairs%maxTries] = now
			t.pairs++
			if n := uint32(d.cfg.ZerologonPairs); t.pairs >= n && now.Sub(t.times[(t.pairs-n)%maxTries]) <= burst {
				t.isBurst = true
			}
		}
	}
	if t.weight() < d.cfg.MinNats {
		return
	}
	s := d.story(now, p)
	e := &s.episodes[zerologon]
	if e.open && e.start != t.first {
		*e = episode{waiting: e.waiting}
	}
	e.open, e.start, e.last, e.dirty = true, t.first, now, true
	s.user(windows.Printable(env.Batch().String(r.User)))
	if w := t.weight(); w > e.said || r.Opnum == opPasswordSet2 || bits.OnesCount32(t.pairs) == 1 && int(t.pairs) > e.steps {
		d.sayTries(env, p, s)
		return
	}
	d.sayLater(env, episodeKey{p, zerologon}, e)
}

// weight is the evidence in nats.
func (t *try) weight() float64 {
	var w float64
	if t.isBurst {
		w = 7
		if t.pairs >= 20 {
			w = 8
		}
	}
	if t.zeros > 0 {
		if w > 0 {
			return maxNats
		}
		w = 6
	}
	if t.set > 0 && w > 0 {
		return maxNats
	}
	return w
}

// sayTries tells of Zerologon.
func (d *Detector) sayTries(env detectors.Env, p pair, s *story) {
	t := d.tries.Get(p)
	e := &s.episodes[zerologon]
	if t == nil || t.first != e.start {
		return
	}
	e.said, e.steps, e.dirty = t.weight(), int(t.pairs), false
	env.Emit(d.zerologonFinding(p, s, t))
}

func (d *Detector) zerologonFinding(p pair, s *story, t *try) *detectors.Finding {
	var steps []chosen
	add := func(k kind, text string, n uint32, nats float64) {
		steps = append(steps, chosen{step{kind: k, text: text, at: t.first, last: t.last, count: n, conn: t.conn, ref: t.ref}, nats})
	}
	total := t.weight()
	if t.pairs > 0 {
		nats := 0.0
		if t.isBurst {
			nats = min(total, 7)
		}
		text := "challenges with authentications on netlogon (op 4, then 5, 15 or 26)"
		if t.refused > 0 {
			text += fmt.Sprintf(", %d refused", t.refused)
		}
		if t.granted > 0 {
			text += fmt.Sprintf(", %d granted", t.granted)
		}
		if t.sealed {
			text += ", contents sealed"
		}
		add(challenges, text, t.pairs, nats)
	}
	if t.zeros > 0 {
		left := total
		for _, c := range steps {
			left -= c.nats
		}
		add(zeroChallenge, "client challenges of eight zero bytes (op 4)", t.zeros, left)
	}
	if t.set > 0 {
		left := total
		for _, c := range steps {
			left -= c.nats
		}
		add(passwordSet, "machine password set behind it (NetrServerPasswordSet2, op 30): the attack succeeded", t.set, left)
		steps[len(steps)-1].at, steps[len(steps)-1].ref = t.setAt, t.setRef
	}
	if left := total; len(steps) > 0 { // twenty pairs weigh more than eight
		for _, c := range steps {
			left -= c.nats
		}
		steps[0].nats += left
	}
	f := finding(p, s, zerologon, steps, total, 1)
	f.WindowStart = t.first
	f.Counterfactual = fmt.Sprintf("Fewer than %d pairs within two minutes and no challenge of zeros would have said nothing.", d.cfg.ZerologonPairs)
	return f
}
