package smbexec

import (
	"maps"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Factors and bounds of the package comment, chosen by us.
const (
	rest        = 0.3
	refused     = 0.75
	notFound    = 0.5
	maxNats     = 9.0
	maxTrades   = 1 << 15
	maxWaves    = 512
	sayAfter    = time.Minute
	maxTerms    = 12
	maxExamples = 4
	maxSwept    = 64
	sweepFrom   = 4
	reverse     = 5 * time.Minute
	reverseNats = 4.0
	awayNats    = 2.0
)

// NTSTATUS values that say a file isn't there (MS-ERREF 2.3.1).
const (
	objectNameNotFound = 0xc0000034
	objectPathNotFound = 0xc000003a
	noSuchFile         = 0xc000000f
)

// kind is a term of a finding.
type kind uint8

// The kinds; kindRules says whose they are.
const (
	adminTree kind = iota
	adminWrite
	shareWrite
	outputFile
	secretFile
	policySweep
	toolPipe
	frameworkPipe
	suffixedPipe
	violation
	cameBack
	newPort
	cameAway
	oldDialect
	oddPipe
	dirSweep
	numKinds
)

// ruleIndex says which rule a finding is of.
type ruleIndex uint8

// The rules.
const (
	exec ruleIndex = iota
	secrets
	pipes
	exploit
	listing
	numRules
)

var kindRules = [numKinds]ruleIndex{
	adminTree: exec, adminWrite: exec, shareWrite: exec, outputFile: exec, secretFile: secrets, policySweep: secrets,
	toolPipe: pipes, frameworkPipe: pipes, suffixedPipe: pipes, violation: exploit, cameBack: exploit,
	newPort: exploit, cameAway: exploit, oldDialect: exploit, oddPipe: pipes, dirSweep: secrets,
}

// Detector is rules smb.exec, smb.secrets, smb.pipe, smb.exploit and smb.list.
type Detector struct {
	cfg     Config
	habits  *windows.Habits
	trades  *windows.Trades
	waves   *windows.Waves
	hours   *lru.Table[hourKey, hour]
	site    site
	listers *lru.Table[detectors.HostKey, lister]
	pending map[uint64]hourKey
	token   uint64
}

type hourKey struct {
	client, server detectors.HostKey
	rule           ruleIndex
}

// hour is what one client did to one server within one hour of packet time.
type hour struct {
	start       packet.Time
	first, last packet.Time
	terms       []term
	others      uint32 // doings beyond maxTerms
	swept       []uint64
	missing     int      // of swept: not there
	written     []uint64 // names of files written to shares
	listed      []uint64 // directories of SYSVOL that were listed
	conns       []flows.Conn
	refs        []flows.Ref
	users       []string
	said        float64
	saidTerms   int
	waiting     bool
	dirty       bool
}

// term is one kind of doing, told by what it is.
type term struct {
	kind     kind
	what     string
	weight   float64
	count    uint32
	refused  uint32
	missing  uint32
	days     int  // earlier ones with this server
	trade    int  // with any, where they make it the client's trade; -1: by its role
	content  bool // the trade is with this very file
	examples []example
}

// example is a path, and how many bytes went where they did.
type example struct {
	path, share, is string
	bytes           uint64
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{
		cfg: cfg, habits: windows.NewHabits(cfg.MaxHabits), trades: windows.NewTrades(maxTrades), waves: windows.NewWaves(maxWaves), hours: lru.New[hourKey, hour](cfg.MaxHours, nil),
		site: newSite(), listers: lru.New[detectors.HostKey, lister](maxListers, nil),
		pending: map[uint64]hourKey{},
	}
}

// Rules returns the rules.
func (d *Detector) Rules() []*detectors.Rule {
	out := make([]*detectors.Rule, numRules)
	for i := range rules {
		out[i] = &rules[i].rule
	}
	return out
}

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.habits.Evicted() + d.trades.Evicted() + d.waves.Evicted() + d.hours.Evicted() + d.listers.Evicted() + d.site.evicted()
}

// SMB weighs an operation.
func (d *Detector) SMB(env detectors.Env, s *flows.SMB) {
	b := env.Batch()
	switch s.Op {
	case flows.SMBTree:
		if share := shareName(b.String(s.Share)); administrative(share) {
			d.note(env, s, adminTree, "administrative share opened", 2, example{path: share})
		}
	case flows.SMBNegotiate:
		if d.site.downgraded(s) {
			d.note(env, s, oldDialect, "SMB1 between two hosts that both speak SMB2 elsewhere", 1, example{})
		}
	case flows.SMBList:
		d.list(env, s)
	case flows.SMBPipe:
		name := b.String(s.Path)
		d.justWritten(env, s, name)
		what, k := pipe(name)
		if odd := d.site.pipe(env.Now(), s, name); odd && what == "" && s.OK() {
			d.note(env, s, oddPipe, "a pipe of a name that nobody here used before", 2, example{path: name})
		}
		if what != "" {
			weight := 6.0
			if k == suffixedPipe {
				weight = 5
			}
			d.note(env, s, k, what, weight, example{path: name})
		}
	case flows.SMBWrite, flows.SMBOpen, flows.SMBRead:
		d.file(env, s)
	case flows.SMBViolation:
		name := b.String(s.Path)
		v, ok := violations[name]
		if !ok {
			v.what, v.nats = "a message that no client sends: "+windows.Printable(name), 3
		}
		if name == "pipe_by_absolute_path" && s.OK() {
			v.nats = 9
		}
		d.note(env, s, violation, v.what, v.nats, example{path: name})
	}
}

// file weighs what was done to a file.
func (d *Detector) file(env detectors.Env, s *flows.SMB) {
	b := env.Batch()
	path := b.String(s.Path)
	if path == "" {
		return
	}
	share := shareName(b.String(s.Share))
	admin, lower := administrative(share), strings.ToLower(path)
	e := example{path: path, share: share, bytes: s.Bytes}
	if s.Op == flows.SMBOpen && preference(lower) {
		d.sweep(env, s, path, e)
	}
	if what := secret(lower, admin); what != "" {
		d.note(env, s, secretFile, what, 6, e)
		return
	}
	if what, weight := output(path, lower, admin); what != "" {
		d.note(env, s, outputFile, what, weight, e)
		return
	}
	if s.Op != flows.SMBWrite {
		return
	}
	if h := d.hour(env, key(s.Conn, exec)); magic(s) != "" && len(h.written) < maxWritten {
		h.written = append(h.written, sketch.HashString(baseName(lower)))
	}
	if admin {
		if e.is = program(s, share, lower); e.is != "" {
			d.note(env, s, adminWrite, "program or script written to an administrative share", 4, e)
		}
	} else if e.is = magic(s); e.is != "" && e.is != archive { // documents are such archives
		d.note(env, s, shareWrite, "program written to a share", 1, e)
	}
}

// sweep counts the preference files that a client looks for.
func (d *Detector) sweep(env detectors.Env, s *flows.SMB, path string, e example) {
	h := d.hour(env, key(s.Conn, secrets))
	id := sketch.HashString(path)
	if slices.Contains(h.swept, id) || len(h.swept) >= maxSwept {
		return
	}
	h.swept = append(h.swept, id)
	if absent(s) {
		h.missing++
	}
	if len(h.swept) >= sweepFrom && h.missing > 0 {
		d.note(env, s, policySweep, "files of Group Policy preferences looked for, which can hold passwords", 2, e)
	}
}

// justWritten looks whether a pipe has the name of a program that the client has just written to a share: servers that
// look for a pipe's service there load it (CVE-2017-7494).
func (d *Detector) justWritten(env detectors.Env, s *flows.SMB, name string) {
	h := d.hours.Get(key(s.Conn, exec))
	lower := strings.ToLower(strings.ReplaceAll(name, "/", `\`))
	if h == nil || !strings.Contains(lower, ".") || !slices.Contains(h.written, sketch.HashString(baseName(lower))) {
		return
	}
	nats := 6.0
	if s.OK() {
		nats = 9
	}
	d.note(env, s, violation, "a pipe opened by the name of a program just written to a share, as to load it as a library", nats, example{path: "pipe_of_written_file"})
}

// Flow looks whether a victim calls back to its attacker, or elsewhere, or answers at a port that it did not have.
func (d *Detector) Flow(env detectors.Env, r *flows.Record) {
	if r.Report > 1 || r.Proto != packet.ProtoTCP || r.OneSided() {
		return
	}
	d.outcomes(env, r)
	k := hourKey{detectors.HostKey{Segment: r.Segment, Addr: r.Resp}, detectors.HostKey{Segment: r.Segment, Addr: r.Orig}, exploit}
	h := d.hours.Get(k)
	if h == nil || r.Start < h.first || r.Start > h.last.Add(reverse) || !slices.ContainsFunc(h.terms, func(t term) bool { return t.kind == violation }) {
		return
	}
	h.add(term{kind: cameBack, what: "connections from the victim back to the attacker within five minutes", weight: reverseNats, count: 1})
	h.prove(r.Conn, r.FirstRef)
	d.decide(env, k, h)
}

func key(c flows.Conn, r ruleIndex) hourKey {
	return hourKey{detectors.HostKey{Segment: c.Segment, Addr: c.Orig}, detectors.HostKey{Segment: c.Segment, Addr: c.Resp}, r}
}

func absent(s *flows.SMB) bool {
	return s.Answered && (s.Status == objectNameNotFound || s.Status == objectPathNotFound || s.Status == noSuchFile)
}

// note enters a doing.
func (d *Detector) note(env detectors.Env, s *flows.SMB, k kind, what string, weight float64, e example) {
	e.path, e.share = windows.Printable(e.path), windows.Printable(e.share)
	t := term{kind: k, what: what, weight: weight, count: 1, examples: []example{e}}
	if k != violation {
		t.days = d.habits.Note(env.Now(), &s.Conn, sketch.Join(uint64(k), sketch.HashString(what)))
		if windows.Familiar(t.days) {
			t.weight *= windows.Discount
		} else if byTrade(k) {
			d.trade(env, s, &t, e)
		}
		switch {
		case k == policySweep: // a sweep finds nothing, as a rule
		case absent(s):
			t.weight *= notFound
			t.missing = 1
		case s.Answered && s.Status&0xc0000000 == 0xc0000000: // severity error, MS-ERREF 2.3
			t.weight *= refused
			t.refused = 1
		}
	}
	hk := key(s.Conn, kindRules[k])
	if k == violation {
		v, _ := d.site.victims.Use(hk.server)
		*v = hk.client
	}
	h := d.hour(env, hk)
	h.add(t)
	h.prove(s.Conn, s.Ref)
	if s.User.Len > 0 && len(h.users) < 4 {
		if u := windows.Printable(env.Batch().String(s.User)); !slices.Contains(h.users, u) {
			h.users = append(h.users, u)
		}
	}
	d.decide(env, hk, h)
}

// byTrade says that a doing is some people's trade, which takes them to ever new servers: shares opened, programs brought.
// What fetches output or secrets is nobody's.
func byTrade(k kind) bool {
	return k == adminTree || k == adminWrite || k == shareWrite || k == toolPipe
}

// trade lessens a term that is the client's trade: the same doing by the same user to other servers on three earlier days, or
// its role, for an account that it works with. A file that went to others on three earlier days by the same path is the same deployment: a habit.
func (d *Detector) trade(env detectors.Env, s *flows.SMB, t *term, e example) {
	now, user := env.Now(), env.Batch().Bytes(s.User)
	what := sketch.Join(sketch.Hash(user), sketch.Join(uint64(t.kind), sketch.HashString(t.what)))
	usual := d.trades.Account(now, &s.Conn, user)
	days := d.trades.Note(now, &s.Conn, what)
	if t.kind == adminWrite {
		same := d.trades.Note(now, &s.Conn, sketch.Join(what, sketch.HashString(strings.ToLower(e.share+`\`+e.path))))
		if windows.Familiar(same) {
			t.trade, t.content = same, true
			t.weight *= windows.Discount
			return
		}
	}
	switch {
	case windows.Familiar(days):
		t.trade = days
	case usual && windows.Administers(env, detectors.HostKey{Segment: s.Segment, Addr: s.Orig}):
		t.trade = -1
	default:
		return
	}
	if t.kind == adminTree { // the lightest, and others follow where it matters
		t.weight *= windows.Discount
		return
	}
	t.weight *= windows.TradeDiscount
}

// hour returns the current hour of a key, begun anew where the last one is over: what it came to is said first.
func (d *Detector) hour(env detectors.Env, k hourKey) *hour {
	now := env.Now()
	start := now - now%packet.Time(time.Hour)
	h, isNew := d.hours.Use(k)
	if !isNew && h.start != start && h.dirty {
		d.say(env, k, h)
	}
	if isNew || h.start != start {
		*h = hour{start: start, first: now, waiting: h.waiting}
	}
	h.last = now
	return h
}

// add enters a term.
func (h *hour) add(t term) {
	for i := range h.terms {
		o := &h.terms[i]
		if o.kind != t.kind || o.what != t.what {
			continue
		}
		if t.weight > o.weight {
			o.weight, o.days, o.trade, o.content = t.weight, t.days, t.trade, t.content
		}
		o.refused += t.refused
		o.missing += t.missing
		o.count += t.count
		for _, e := range t.examples {
			o.exemplify(e)
		}
		return
	}
	if len(h.terms) >= maxTerms {
		h.others++
		return
	}
	h.terms = append(h.terms, t)
}

// exemplify keeps an example; of one path the most bytes.
func (t *term) exemplify(e example) {
	for i := range t.examples {
		if t.examples[i].path == e.path {
			if e.bytes > t.examples[i].bytes {
				t.examples[i].bytes = e.bytes
			}
			return
		}
	}
	if len(t.examples) < maxExamples {
		t.examples = append(t.examples, e)
	}
}

func (h *hour) prove(c flows.Conn, ref flows.Ref) {
	if !slices.ContainsFunc(h.conns, func(o flows.Conn) bool { return o.ID == c.ID }) && len(h.conns) < detectors.MaxFlows {
		h.conns = append(h.conns, c)
	}
	if len(h.refs) < detectors.MaxRefs {
		h.refs = append(h.refs, ref)
	}
}

// weights returns the sum and the terms, heaviest first, with what each contributes.
func (h *hour) weights() (sum float64, terms []term, shares []float64) {
	terms = slices.Clone(h.terms)
	slices.SortStableFunc(terms, func(a, b term) int {
		switch {
		case a.weight > b.weight:
			return -1
		case a.weight < b.weight:
			return 1
		}
		return 0
	})
	for i, t := range terms {
		share := t.weight
		if i > 0 && t.kind != cameBack && t.kind != newPort && t.kind != cameAway { // what came of it counts in full
			share *= rest
		}
		share = max(0, min(share, maxNats-sum))
		sum += share
		shares = append(shares, share)
	}
	return sum, terms, shares
}

// decide says what an hour has come to.
func (d *Detector) decide(env detectors.Env, k hourKey, h *hour) {
	sum, _, _ := h.weights()
	if sum < d.cfg.MinNats {
		return
	}
	h.dirty = true
	if sum > h.said || len(h.terms) > h.saidTerms {
		d.say(env, k, h)
		return
	}
	if !h.waiting {
		h.waiting = true
		d.token++
		d.pending[d.token] = k
		env.WakeAt(env.Now().Add(sayAfter), d.token)
	}
}

// Wake says what was not said for a minute.
func (d *Detector) Wake(env detectors.Env, token uint64) {
	k, ok := d.pending[token]
	if !ok {
		return
	}
	delete(d.pending, token)
	h := d.hours.Get(k)
	if h == nil {
		return
	}
	h.waiting = false
	if h.dirty {
		d.say(env, k, h)
	}
}

// End says what was not said yet, in the order in which it came up.
func (d *Detector) End(env detectors.Env) {
	for _, token := range slices.Sorted(maps.Keys(d.pending)) {
		d.Wake(env, token)
	}
}

func (d *Detector) say(env detectors.Env, k hourKey, h *hour) {
	f := finding(k, h)
	h.dirty, h.said, h.saidTerms = false, f.LLR, len(h.terms)
	if k.rule != exec && k.rule != pipes {
		env.Emit(f)
		return
	}
	brought := slices.ContainsFunc(h.terms, func(t term) bool { return t.kind == adminWrite && !t.content })
	d.waves.Emit(env, f, brought && k.rule == exec)
}
