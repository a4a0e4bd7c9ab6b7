package adfs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Bounds and weights of the package comment.
const (
	service   = "/adfs/services/policystoretransfer"
	patience  = packet.Time(6 * time.Minute) // until it is told
	pollFrom  = packet.Time(4 * time.Minute)
	pollTo    = packet.Time(6 * time.Minute)
	quiet     = packet.Time(time.Hour) // without a request for so long, the next one begins a new finding
	maxHabits = 4096
	maxConns  = 4
	maxRefs   = 8
	used      = 5.0
	refused   = 3.0
	member    = 0.3
	habit     = 0x61646673 // names the doing among a client's
)

var (
	forged = detectors.Technique{ID: "T1606.002", Name: "SAML Tokens", Tactic: "TA0006"}
	keys   = detectors.Technique{ID: "T1552", Name: "Unsecured Credentials", Tactic: "TA0006"}
)

var rule = &detectors.Rule{
	ID: "adfs.export", Name: "Configuration of a federation server read over the network", Stage: detectors.StageCredential,
	Techniques: []detectors.Technique{forged, keys},
}

// reader is a client of one server's service.
type reader struct {
	client, server detectors.HostKey
	first, last    packet.Time
	requests       int
	granted        int
	polls          int // requests that came as a server of the farm asks
	days           int
	ripe           bool // the time to tell has come
	said           int  // requests when it last grew
	agent          string
	conns          []flows.Conn
	refs           []flows.Ref
}

// Detector is rule adfs.export.
type Detector struct {
	cfg     Config
	readers *lru.Table[uint64, reader]
	habits  *windows.Habits
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{cfg: cfg, readers: lru.New[uint64, reader](cfg.MaxPairs, nil), habits: windows.NewHabits(maxHabits)}
}

// Rules returns the rule.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{rule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 { return d.readers.Evicted() + d.habits.Evicted() }

// HTTP takes a request.
func (d *Detector) HTTP(env detectors.Env, h *flows.HTTP) {
	b := env.Batch()
	target := b.Bytes(h.Target)
	if len(target) < len(service) || h.Status == 0 {
		return
	}
	path, _, _ := strings.Cut(string(target), "?")
	if !strings.EqualFold(strings.TrimSuffix(path, "/"), service) || h.Status == 401 { // 401 is the log-in
		return
	}
	client, server := detectors.HostKey{Segment: h.Segment, Addr: h.Orig}, detectors.HostKey{Segment: h.Segment, Addr: h.Resp}
	token := sketch.Join(sketch.Join(uint64(h.Segment), sketch.HashAddr(h.Orig)), sketch.HashAddr(h.Resp))
	r, isNew := d.readers.Use(token)
	now := env.Now()
	if isNew || now-r.last > quiet {
		*r = reader{client: client, server: server, first: now, days: d.habits.Note(now, &h.Conn, habit)}
		env.WakeAt(now+patience, token)
	} else {
		d.habits.Note(now, &h.Conn, habit)
		if gap := now - r.last; gap >= pollFrom && gap <= pollTo {
			r.polls++
		}
	}
	r.last = now
	r.requests++
	if h.Status == 200 || h.Status == 202 {
		r.granted++
	}
	if r.agent == "" {
		r.agent = windows.Printable(b.String(h.Agent))
	}
	if !slices.ContainsFunc(r.conns, func(o flows.Conn) bool { return o.ID == h.ID }) && len(r.conns) < maxConns {
		r.conns = append(r.conns, h.Conn)
	}
	if len(r.refs) < maxRefs {
		r.refs = append(r.refs, h.RequestRef)
	}
	if r.ripe {
		d.say(env, r)
	}
}

// Wake tells what was seen six minutes ago.
func (d *Detector) Wake(env detectors.Env, token uint64) {
	if r := d.readers.Get(token); r != nil && !r.ripe {
		r.ripe = true
		d.say(env, r)
	}
}

// End tells what still waits.
func (d *Detector) End(env detectors.Env) {
	for _, r := range d.readers.All() {
		if !r.ripe && r.requests > 0 {
			r.ripe = true
			d.say(env, r)
		}
	}
}

// say emits what is heavy enough.
func (d *Detector) say(env detectors.Env, r *reader) {
	f := finding(r)
	if f.LLR < d.cfg.MinNats {
		return
	}
	if r.requests >= 2*r.said {
		r.said, f.Grew = r.requests, true
	}
	env.Emit(f)
}

func finding(r *reader) *detectors.Finding {
	f := &detectors.Finding{
		Rule: rule, Actor: r.client, Target: r.server, Start: r.first, End: r.last, WindowStart: r.first, LLR: used,
		Techniques: []detectors.Technique{forged, keys}, Conns: slices.Clone(r.conns), Refs: slices.Clone(r.refs),
	}
	did := "read the configuration of the federation server %s over the network"
	measure := "answered requests to the service that hands the configuration out"
	n := r.granted
	if r.granted == 0 {
		f.LLR, did, measure, n = refused, "tried to read the configuration of the federation server %s over the network", "refused requests to the service that hands the configuration out", r.requests
	}
	factor := 1.0
	if r.polls > 0 {
		factor *= member
	}
	if windows.Familiar(r.days) {
		factor *= windows.Discount
	}
	f.LLR *= factor
	f.Evidence = []detectors.Evidence{
		{Measure: measure, Value: float64(n), Unit: "requests", Baseline: "from servers of the farm, about every five minutes", Threshold: "1", Nats: phrase.Round(f.LLR)},
		{Measure: "requests four to six minutes after the one before, as servers of the farm ask", Value: float64(r.polls), Unit: "requests", Baseline: "none", Threshold: "1 would have made it a server of the farm: times 0.3"},
		{Measure: "earlier days on which the client did so", Value: float64(r.days), Unit: "days", Baseline: "none", Threshold: "3 make it a habit: times 0.2"},
	}
	f.Message = fmt.Sprintf("%s "+did+" (%s to %s within %s): the key that signs its tokens lies in it.", r.client.Addr, r.server.Addr,
		phrase.Plural(r.requests, "request"), service, phrase.Duration(r.last.Sub(r.first)))
	switch {
	case r.polls > 0:
		f.Message = strings.TrimSuffix(f.Message, ".") + "; it asks as servers of the farm do."
	case r.agent != "":
		f.Message = strings.TrimSuffix(f.Message, ".") + fmt.Sprintf("; its agent is %q.", r.agent)
	}
	f.Counterfactual = "Requests that come about every five minutes, on four days, as those of the farm's servers, would not be said."
	f.LookAlikes = []string{
		"Servers of the farm fetch the configuration about every five minutes; this client did not, or not for long enough.",
		"A server that has just joined the farm reads it at once, then every five minutes.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("If %s is no server of the farm: take the signing certificate of %s for stolen, and replace it twice, so that the old one counts no more.", r.client.Addr, r.server.Addr),
		fmt.Sprintf("Find who was logged on to %s, and let only servers of the farm reach port 80 of %s.", r.client.Addr, r.server.Addr),
		"Look for log-ins by federated tokens that the federation server's own log does not know.",
	}
	f.Filter = fmt.Sprintf("ip.addr == %s && ip.addr == %s && http.request.uri contains \"policystoretransfer\"", r.client.Addr, r.server.Addr)
	return f
}
