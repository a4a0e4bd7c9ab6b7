package ldapenum

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
	"neuromast/sensor/packet"
)

// Bounds and weights of the package comment.
const (
	window     = packet.Time(time.Hour)
	maxSum     = 5.0
	breadth    = 1.0
	breadthAt  = 1.5
	manyHits   = 1000
	manyPages  = 50
	manySealed = 1500 << 10
	maxHabits  = 1 << 16
	maxExample = 160
	maxServers = 16
	habit      = 0x6c646170 // names the doings among a client's
)

var rule = &detectors.Rule{
	ID: "ldap.enum", Name: "A directory searched for what an intruder needs", Stage: detectors.StageDiscovery,
	Techniques: []detectors.Technique{windows.DomainUsers, windows.DomainGroups, windows.DomainTrusts, remoteSystems, groupPolicies, passwordPolicy},
	Sides:      detectors.OriginatorAlone,
}

// asked is what a client asked of one family.
type asked struct {
	first, last packet.Time
	count       int
	days        int
	example     string
	conn        flows.Conn
	ref         flows.Ref
}

// client is what a host asked directories for.
type client struct {
	families    [numFamilies]asked
	servers     []packet.Addr
	start       packet.Time // of the window; 0: none
	hits, pages int         // within it
	bytes       uint64      // sealed
	told        set         // families that were said
	toldBroad   bool
}

// Detector is rule ldap.enum.
type Detector struct {
	cfg     Config
	clients *lru.Table[detectors.HostKey, client]
	habits  *windows.Habits
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{cfg: cfg, clients: lru.New[detectors.HostKey, client](cfg.MaxClients, nil), habits: windows.NewHabits(maxHabits)}
}

// Rules returns the rule.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{rule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 { return d.clients.Evicted() + d.habits.Evicted() }

// LDAP takes an operation.
func (d *Detector) LDAP(env detectors.Env, l *flows.LDAP) {
	b := env.Batch()
	var is set
	filter := ""
	switch l.Op {
	case flows.LDAPSealed:
	case flows.LDAPSearch:
		if l.Filter.Len == 0 || l.Code != 0 && l.Outcome == flows.Failed && l.Entries == 0 {
			return
		}
		filter = b.String(l.Filter)
		s := search{
			base: strings.ToLower(b.String(l.Base)), filter: filter, attributes: strings.Fields(strings.ToLower(b.String(l.Attributes))), scope: l.Scope,
			descriptors: l.SDFlags, many: l.PageSize > 0 || l.Entries >= 100,
		}
		if is = classify(&s); is == 0 {
			return
		}
	default:
		return
	}
	now := env.Now()
	key := detectors.HostKey{Segment: l.Segment, Addr: l.Orig}
	c, _ := d.clients.Use(key)
	c.turn(now)
	if !slices.Contains(c.servers, l.Resp) && len(c.servers) < maxServers {
		c.servers = append(c.servers, l.Resp)
	}
	if l.Op == flows.LDAPSealed {
		if c.bytes += l.Bytes; c.bytes < manySealed {
			return
		}
		is.add(sealed)
	} else {
		c.hits += int(l.Entries)
		c.pages++
	}
	for f := range numFamilies {
		if !is.has(f) {
			continue
		}
		a := &c.families[f]
		if a.count == 0 {
			*a = asked{first: now, days: d.habits.Note(now, &l.Conn, habit<<8|uint64(f)), example: shorten(windows.Printable(filter)), conn: l.Conn, ref: l.Ref}
			if l.RequestRef.Frame != 0 {
				a.ref = l.RequestRef
			}
		}
		a.count++
		a.last = now
	}
	d.judge(env, key, c, now)
}

// turn begins a new window when the last one is over.
func (c *client) turn(now packet.Time) {
	if c.start == 0 || now-c.start > window {
		*c = client{start: now, servers: c.servers[:0]}
	}
}

// shorten cuts a filter for a sentence.
func shorten(s string) string {
	if len(s) <= maxExample {
		return s
	}
	return strings.ToValidUTF8(s[:maxExample], "") + "…"
}

// judge says what is heavy enough and tells more than before.
func (d *Detector) judge(env detectors.Env, key detectors.HostKey, c *client, now packet.Time) {
	var has set
	for f := range numFamilies {
		if c.families[f].count > 0 {
			has.add(f)
		}
	}
	broad := c.hits >= manyHits || c.pages >= manyPages
	if has == c.told && broad == c.toldBroad {
		return
	}
	f := d.finding(key, c, broad, now)
	if f.LLR < d.cfg.MinNats {
		return
	}
	f.Grew = c.told != 0
	c.told, c.toldBroad = has, broad
	env.Emit(f)
}

// finding tells of a window.
func (d *Detector) finding(key detectors.HostKey, c *client, broad bool, now packet.Time) *detectors.Finding {
	server := detectors.HostKey{Segment: key.Segment, Addr: c.servers[0]}
	f := &detectors.Finding{
		Rule: rule, Actor: key, Target: server, Start: c.start, End: now, WindowStart: c.start, Related: slices.Clone(c.servers[1:]),
	}
	var names []string
	familiar := 0
	for i := range numFamilies {
		a, kind := &c.families[i], &kinds[i]
		if a.count == 0 {
			continue
		}
		e := detectors.Evidence{Measure: kind.name + ": " + a.example, Value: float64(a.count), Unit: "searches", Baseline: "none", Nats: kind.nats}
		if i == sealed {
			e = detectors.Evidence{
				Measure: "sealed answers within an hour", Value: float64(c.bytes), Unit: "bytes", Baseline: "305 KB for the schema, once", Threshold: "1,536,000", Nats: kind.nats,
			}
		}
		if windows.Familiar(a.days) {
			familiar++
			e.Nats *= windows.Discount
			e.Baseline = fmt.Sprintf("asked for on %d earlier days", a.days)
		}
		e.Nats = min(e.Nats, maxSum-f.LLR)
		f.LLR += e.Nats
		e.Nats = phrase.Round(e.Nats)
		f.Evidence = append(f.Evidence, e)
		names = append(names, kind.name)
		if len(f.Techniques) < detectors.MaxTechniques && !slices.ContainsFunc(f.Techniques, func(t detectors.Technique) bool { return t.ID == kind.technique.ID }) {
			f.Techniques = append(f.Techniques, kind.technique)
		}
		if !slices.ContainsFunc(f.Conns, func(o flows.Conn) bool { return o.ID == a.conn.ID }) && len(f.Conns) < detectors.MaxFlows {
			f.Conns = append(f.Conns, a.conn)
		}
		f.Refs = append(f.Refs, a.ref)
	}
	if broad && f.LLR >= breadthAt {
		f.LLR += breadth
		f.Evidence = append(f.Evidence, detectors.Evidence{
			Measure: "entries that came", Value: float64(c.hits), Unit: "entries", Baseline: "few", Threshold: "1,000, or 50 pages", Nats: breadth,
		})
	}
	f.Message = fmt.Sprintf("%s searched the directory of %s for %s of what intruders look for within %s: %s (%s entries).", key.Addr, server.Addr,
		phrase.Plural(len(names), "kind"), phrase.Duration(now.Sub(c.start)), strings.Join(names, ", "), phrase.Count(c.hits))
	if familiar > 0 {
		f.Message = strings.TrimSuffix(f.Message, ".") + fmt.Sprintf("; %d of them it asked for on earlier days too.", familiar)
	}
	f.Counterfactual = "A search that names the account it looks for, or the same kinds on three earlier days, would not be said."
	f.LookAlikes = []string{
		"Synchronisation into another system, inventories and address books ask for the same every day; this client had no such history for what counts here.",
		"Administration consoles ask for single accounts; members of the domain for policies, templates and themselves, which don't count.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("Find the program on %s that asked: a collector asks for several kinds within seconds, under a user's account.", key.Addr),
		fmt.Sprintf("Look for what follows from %s: tickets for the service accounts that it found (auth.roast), sessions and shares on the computers.", key.Addr),
	}
	f.Filter = fmt.Sprintf("ip.addr == %s && ip.addr == %s && ldap", key.Addr, server.Addr)
	return f
}
