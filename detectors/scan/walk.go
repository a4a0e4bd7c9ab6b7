package scan

import (
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/stat"
	"neuromast/flows"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// kind says over what a walk counts.
type kind uint8

const (
	overHosts      kind = iota // first contacts with internal hosts over TCP and UDP
	overEchoes                 // first contacts with internal hosts by ICMP echo
	overOutside                // first contacts with external hosts at one service
	overPorts                  // first contacts with the ports of one host
	overPortsOf                // the same for many hosts, after the first few
	overAll                    // failures inside by their number: bursts and slow scans
	overNeighbours             // ARP requests for addresses that nobody has
)

// Bounds of what one walk keeps to explain itself.
const (
	firstProbes = 20
	lastProbes  = 5
	maxServices = 8
	maxOpen     = 8
	maxTried    = 32
)

// staleAfter ends a walk that nothing happened on: chosen by us as the day that first contacts are remembered for.
const staleAfter = 24 * time.Hour

// tally counts how often a service was tried.
type tally struct {
	service service
	n       uint32
}

// probe is one failed contact kept as a sample.
type probe struct {
	target  packet.Addr
	service service
	conn    flows.Conn
	ref     flows.Ref
}

// walk is one sequential test and what it has seen since it left zero.
type walk struct {
	progress
	latest [lastProbes]probe // the last failures, as many as there were
	tried  []try             // of all failures, evenly drawn
	asked  *[arpAsked]packet.Time
}

// try is a failed contact kept for the shape of the whole.
type try struct {
	target  packet.Addr
	service service
	at      packet.Time
}

// progress is what a walk begins anew with.
type progress struct {
	kind    kind
	actor   detectors.HostKey
	target  detectors.HostKey // overPorts
	service service           // overOutside

	h           float64 // that it met when it alarmed
	level, peak float64 // nats; the level stops at a limit
	whole, most float64 // level and peak without the limit, for the counterfactual
	failStep    float64 // of the last failure, for the counterfactual
	start, last packet.Time
	window      packet.Time // start when it alarmed: part of the finding's identity, whatever begins earlier and ends later
	refused     uint32
	silent      uint32
	stealth     uint32
	answered    uint32
	talked      uint32
	echoes      [echoBurst]packet.Time // of the latest unanswered echo requests
	numEchoes   uint32
	lifted      bool // by a burst of echo requests

	rule     *detectors.Rule // nil: scan.trw
	fan      *fan            // counts of the host's failures, as evidence
	habit    *habit
	looked   uint32      // answered, but the client left once it knew what it had met
	knocked  uint32      // answered at ways in, and left without a word
	used     uint32      // later connections with data to what was found
	uses     []probe     // the first of them
	spoke    packet.Time // when it was last said
	first    []probe     // the first failures
	services []tally
	others   uint32 // contacts with services beyond those
	open     []probe
	hosts    []packet.Addr // overPortsOf: whose ports

	alarmed bool
	waiting bool // a Wake is asked for
	dirty   bool // there is something that was not said
	said    uint32
	grew    uint32 // failures when growth was last said
}

// begin makes w a walk that has seen nothing. Most walks end after one step: their memory is used again.
func (w *walk) begin(p progress) {
	p.first, p.services, p.open = w.first[:0], w.services[:0], w.open[:0]
	p.uses = w.uses[:0]
	w.tried = w.tried[:0]
	w.progress = p
}

func (w *walk) failures() uint32 { return w.refused + w.silent }
func (w *walk) misses() uint32   { return w.failures() + w.looked + w.knocked }
func (w *walk) contacts() uint32 { return w.refused + w.silent + w.answered }

// add makes one step and says whether the walk began with it.
func (w *walk) add(c *contact, step, limit float64) (begun bool) {
	if w.level == 0 && !w.alarmed && (w.kind != overEchoes || c.at.Sub(w.last) > echoWithin) {
		w.begin(progress{kind: w.kind, actor: w.actor, target: w.target, service: w.service, start: c.at})
		begun = true
	}
	w.level = min(stat.Reflect(w.level, step), limit)
	w.whole = stat.Reflect(w.whole, step)
	w.peak, w.most = max(w.peak, w.level), max(w.most, w.whole)
	if c.missed() {
		w.failStep = step
	}
	if !c.outcome.failed() {
		w.answer(c)
		return begun
	}
	w.fail(c)
	return begun
}

// fail counts a contact that failed.
func (w *walk) fail(c *contact) {
	w.sample(c)
	w.tell(c)
	if c.stealth {
		w.stealth++
	}
	if c.outcome == refused {
		w.refused++
	} else {
		w.silent++
	}
}

// answer counts a contact that was answered.
func (w *walk) answer(c *contact) {
	if c.missed() {
		w.sample(c)
	}
	w.tell(c)
	w.answered++
	if c.talked {
		w.talked++
	}
	if c.looked {
		w.looked++
	}
	if c.knocked {
		w.knocked++
	}
	if len(w.open) < maxOpen {
		w.open = append(w.open, probe{c.target.Addr, c.service, c.conn, c.ref})
	}
}

// tell notes what every contact tells: when and what.
func (w *walk) tell(c *contact) {
	w.start, w.last = min(w.start, c.at), max(w.last, c.at)
	w.count(c)
	w.dirty = true
}

// sample keeps the first misses and the last.
func (w *walk) sample(c *contact) {
	t := try{c.target.Addr, c.service, c.at}
	if n := w.misses(); n < maxTried {
		w.tried = append(w.tried, t)
	} else if i := sketch.Mix(uint64(n)) % uint64(n+1); i < maxTried { // Vitter 1985, algorithm R
		w.tried[i] = t
	}
	p := probe{c.target.Addr, c.service, c.conn, c.ref}
	if len(w.first) < firstProbes {
		w.first = append(w.first, p)
	}
	w.latest[w.misses()%lastProbes] = p
}

func (w *walk) count(c *contact) {
	for i := range w.services {
		if w.services[i].service == c.service {
			w.services[i].n++
			return
		}
	}
	if len(w.services) < maxServices {
		w.services = append(w.services, tally{c.service, 1})
		return
	}
	w.others++
}

// top returns the service tried most; of equals the first.
func (w *walk) top() tally {
	return slices.MaxFunc(w.services, func(a, b tally) int { return int(a.n) - int(b.n) })
}

// Echo requests to this many hosts without reply within the time lift a walk: with 0.1 a minute usual, chance does so
// with probability 7.7e-8 (stat.PoissonTail(0.1, 5)), below the one in a million that we allow.
const (
	echoBurst  = 5
	echoWithin = time.Minute
)

// burst notes an unanswered echo request and says that enough of them came in one minute.
func (w *walk) burst(at packet.Time) bool {
	w.echoes[w.numEchoes%echoBurst] = at
	w.numEchoes++
	if w.numEchoes < echoBurst {
		return false
	}
	return slices.Max(w.echoes[:]).Sub(slices.Min(w.echoes[:])) <= echoWithin
}

// absorb adds another walk over ports to a block.
func (w *walk) absorb(v *walk) {
	if len(w.hosts) == 0 {
		w.start, w.service = v.start, v.service
	}
	w.start, w.last = min(w.start, v.start), max(w.last, v.last)
	w.level, w.peak, w.most = max(w.level, v.level), max(w.peak, v.peak), max(w.most, v.most)
	w.failStep = v.failStep
	w.refused += v.refused
	w.silent += v.silent
	w.stealth += v.stealth
	w.answered += v.answered
	w.looked += v.looked
	w.knocked += v.knocked
	for _, t := range v.tried {
		if len(w.tried) == maxTried {
			break
		}
		w.tried = append(w.tried, t)
	}
	if len(w.hosts) < maxRelated && !slices.Contains(w.hosts, v.target.Addr) {
		w.hosts = append(w.hosts, v.target.Addr)
	}
	if len(v.first) > 0 && len(w.first) < firstProbes {
		w.first = append(w.first, v.first[0])
	}
	w.adopt(v)
}

// adopt adds the services that another walk tried.
func (w *walk) adopt(v *walk) {
	for _, t := range v.services {
		if len(w.services) < maxServices && !slices.ContainsFunc(w.services, func(o tally) bool { return o.service == t.service }) {
			w.services = append(w.services, t)
		} else {
			w.others += t.n
		}
	}
	w.others += v.others
	w.dirty = true
}
