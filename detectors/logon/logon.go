package logon

import (
	"math"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Windows and weights of the package comment.
const (
	fast        = packet.Time(10 * time.Minute)
	slow        = packet.Time(24 * time.Hour)
	episodeGap  = packet.Time(time.Hour) // without a failure for so long, the next one begins a new finding; see over
	gateway     = 0.3
	program     = 0.3
	inAfter     = 3.0
	maxNames    = 128
	maxServices = 16
	maxConns    = 8  // of a service
	maxRefs     = 16 // of a service
	maxTries    = 3  // a name: more of them are guessing
	sprayFrom   = 3  // names that failed before a success counts
	guessFrom   = 10
	evenGaps    = 8
	evenCV      = 0.1
	minGap      = time.Second
)

// Codes of Kerberos errors (RFC 4120, 7.5.9).
const (
	unknownPrincipal = 6
	revoked          = 18
	wrongKey         = 24
)

// Codes of MS-ERREF 2.3.1.
const (
	noSuchUser      = 0xc0000064
	wrongPassword   = 0xc000006a
	logonFailure    = 0xc000006d
	accountLocked   = 0xc0000234
	accountDisabled = 0xc0000072
)

// result of an attempt.
type result uint8

const (
	wrong result = iota
	unknown
	in
)

// attempt is one answered log-in.
type attempt struct {
	conn   flows.Conn
	ref    flows.Ref
	name   string // lower case; empty where it can't be told
	over   flows.App
	result result
}

// client is what is known of one source of log-ins.
type client struct {
	names    []name
	services []service
	said     [numRules]episode
	gateway  bool        // many stand behind it, by its role or its names
	gone     int         // names that had got in and were displaced, since goneAt
	goneAt   packet.Time // no more than slow ago
}

// name is an account that a client tried.
type name struct {
	hash                        uint64
	text                        string
	wrongAt, unknownAt, inAt    packet.Time // last; 0: never
	firstIn                     packet.Time
	tries                       int // wrong within slow
	server                      packet.Addr
	conn                        flows.Conn
	ref                         flows.Ref
	used                        packet.Time
	inAfterFailures, everBefore bool
}

// service is a service of a server that a client tried.
type service struct {
	server   packet.Addr
	port     uint16
	over     flows.App
	minutes  [10]uint32 // failures by minute of packet time
	hours    [24]uint32
	minute   int64 // the last minute and hour that are entered
	hour     int64
	last     packet.Time // failure
	gaps     float64     // their number, mean and sum of squared deviations, in seconds (Welford 1962)
	mean, m2 float64
	only     string // the name of all failures so far; empty where it can't be told
	several  bool   // names
	recent   [8]connection
	broken   bool // got in after guesses
	as       string
	episode  episode
	conns    []flows.Conn
	refs     []flows.Ref
}

// connection is how often one connection failed.
type connection struct {
	id    uint64
	fails uint32
}

// episode is a finding under way.
type episode struct {
	start, last packet.Time
	burst       packet.Time // when failures last came at once
	count       int         // when it last grew
	brokeIn     bool
	target      packet.Addr // whom the finding was first said about; zero: several
	said        bool
}

// Detector is rules auth.enum, auth.spray and auth.guess.
type Detector struct {
	cfg     Config
	clients *lru.Table[detectors.HostKey, client]
	names   uint64 // displaced
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{cfg: cfg, clients: lru.New[detectors.HostKey, client](cfg.MaxClients, nil)}
}

// Rules returns the rules.
func (d *Detector) Rules() []*detectors.Rule {
	return []*detectors.Rule{&rules[enum], &rules[spray], &rules[guess]}
}

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many clients, and names of a client, the bounds pushed out.
func (d *Detector) Evicted() uint64 { return d.clients.Evicted() + d.names }

// Kerberos takes the first exchange with a key distribution centre.
func (d *Detector) Kerberos(env detectors.Env, k *flows.Kerberos) {
	a := attempt{conn: k.Conn, ref: k.Ref, over: flows.AppKerberos}
	switch {
	case k.TGS || k.Outcome == flows.Unseen:
		return
	case k.Outcome == flows.Succeeded:
		if !k.Proof {
			return
		}
		a.result = in
	case k.Code == unknownPrincipal:
		a.result = unknown
	case k.Code == wrongKey, k.Code == revoked:
		a.result = wrong
	default:
		return
	}
	a.name = account(env.Batch().String(k.Client))
	d.note(env, &a)
}

// Auth takes a log-in over another protocol.
func (d *Detector) Auth(env detectors.Env, f *flows.Auth) {
	if f.Anonymous || f.Method == flows.AuthKerberos {
		return
	}
	a := attempt{conn: f.Conn, ref: f.Ref, over: f.Over, name: account(env.Batch().String(f.User))}
	switch f.Outcome {
	case flows.Unseen:
		return
	case flows.Succeeded:
		a.result = in
	case flows.Failed:
		if f.Method == flows.AuthNTLM || f.Status != 0 { // Windows tells it for passwords in clear over LDAP too
			switch f.Status {
			case noSuchUser:
				a.result = unknown
			case wrongPassword, logonFailure, accountLocked, accountDisabled:
			case 0: // HTTP and others don't say why
			default:
				return
			}
		}
	}
	d.note(env, &a)
}

// account puts a user's name into the form in which it is compared.
func account(s string) string {
	return strings.ToLower(windows.Printable(s))
}

// note enters an attempt and says what it comes to.
func (d *Detector) note(env detectors.Env, a *attempt) {
	key := detectors.HostKey{Segment: a.conn.Segment, Addr: a.conn.Orig}
	c := d.clients.Get(key)
	if c == nil && a.result == in {
		return // who never failed is not remembered
	}
	c, _ = d.clients.Use(key)
	now := env.Now()
	tries := 0
	if a.name != "" {
		tries = d.noteName(c, a, now)
		d.judgeNames(env, key, c, a, now)
	}
	d.judgeService(env, key, c.service(a, now), a, tries, now)
}

// noteName enters what came of a name, and returns how often its password was wrong.
func (d *Detector) noteName(c *client, a *attempt, now packet.Time) (tries int) {
	h := sketch.HashString(a.name)
	i := slices.IndexFunc(c.names, func(n name) bool { return n.hash == h })
	if i < 0 {
		if len(c.names) >= maxNames {
			oldest := 0
			for j := range c.names {
				if c.names[j].used < c.names[oldest].used {
					oldest = j
				}
			}
			if now-c.goneAt > slow {
				c.gone, c.goneAt = 0, now
			}
			if c.names[oldest].inAt != 0 {
				c.gone++
			}
			c.names = slices.Delete(c.names, oldest, oldest+1)
			d.names++
		}
		c.names = append(c.names, name{hash: h, text: a.name})
		i = len(c.names) - 1
	}
	n := &c.names[i]
	if n.used != 0 && now-n.used > slow {
		*n = name{hash: h, text: a.name, everBefore: n.inAt != 0 || n.everBefore}
	}
	n.used, n.server = now, a.conn.Resp
	switch a.result {
	case wrong:
		n.wrongAt = now
		n.tries++
		n.conn, n.ref = a.conn, a.ref
	case unknown:
		n.unknownAt = now
		n.conn, n.ref = a.conn, a.ref
	case in:
		if n.firstIn == 0 {
			n.firstIn = now
		}
		n.inAt = now
	}
	return n.tries
}

// tally counts a client's names within a window.
type tally struct {
	wrong, unknown, in int
	broken             []string // got in after others had failed, and not before
}

func (c *client) tally(now, window packet.Time) (t tally) {
	if window == slow && now-c.goneAt <= slow {
		t.in = c.gone
	}
	for i := range c.names {
		n := &c.names[i]
		within := func(at packet.Time) bool { return at != 0 && now-at <= window }
		switch {
		case within(n.unknownAt):
			t.unknown++
		case within(n.wrongAt) && n.tries <= maxTries:
			t.wrong++
		}
		if within(n.inAt) {
			t.in++
		}
	}
	return t
}

// judgeNames decides on enumeration and spraying.
func (d *Detector) judgeNames(env detectors.Env, key detectors.HostKey, c *client, a *attempt, now packet.Time) {
	quick, day := c.tally(now, fast), c.tally(now, slow)
	host := env.Host(key)
	c.gateway = host.Shared || env.Graph().Role(host.Number) == hostgraph.Gateway
	if a.result != in {
		llr := max(namesAtOnce(enum, quick), namesByDay(enum, day))
		if c.gateway || day.in >= 2*day.unknown {
			llr *= gateway
		}
		if quick.unknown > 0 && a.result == unknown {
			d.sayNames(env, key, c, enum, llr, max(quick.unknown, day.unknown), now, quick, day)
		}
	}
	if a.result == unknown {
		return
	}
	llr := max(namesAtOnce(spray, quick), namesByDay(spray, day))
	c.gateway = c.gateway || day.in >= 2*day.wrong
	after := inAfter
	if c.gateway { // people who mistype and people who get in are there each day
		llr, after = llr*gateway, inAfter*gateway
	}
	if a.result == in {
		i := slices.IndexFunc(c.names, func(n name) bool { return n.hash == sketch.HashString(a.name) })
		n := &c.names[i]
		if quick.wrong+quick.unknown < sprayFrom || n.everBefore || n.firstIn != now || c.said[spray].start == 0 && c.said[enum].start == 0 {
			return
		}
		n.inAfterFailures = true
		n.conn, n.ref = a.conn, a.ref
	}
	if slices.ContainsFunc(c.names, func(n name) bool { return n.inAfterFailures && now-n.inAt <= slow }) {
		llr = max(llr, 0) + after
	}
	d.sayNames(env, key, c, spray, llr, max(quick.wrong, day.wrong), now, quick, day)
}

// namesByDay is the weight of what a day's names come to, without gateways.
func namesByDay(r rule, day tally) float64 {
	if r == enum {
		return min(0.2*float64(day.unknown-8), 4)
	}
	return min(0.25*float64(day.wrong-10), 5)
}

// namesAtOnce is the weight of what the names of ten minutes come to, without gateways.
func namesAtOnce(r rule, quick tally) float64 {
	if r == enum {
		return min(0.7*float64(quick.unknown-1), 6)
	}
	return min(0.6*float64(quick.wrong-2), 6)
}

// over says that an episode has ended before now: what a day's failures make is one finding, however slow they come; failures
// that come at once, an hour after what was before, are another.
func (d *Detector) over(e *episode, now packet.Time, atOnce, byDay float64) bool {
	gap := episodeGap
	if byDay >= d.cfg.MinNats && e.burst < e.start {
		gap = slow
	}
	burst := atOnce >= d.cfg.MinNats
	fresh := burst && now-e.start > episodeGap && now-e.burst > episodeGap
	if burst {
		e.burst = now
	}
	return e.start == 0 || now-e.last > gap || fresh
}

// sayNames emits what is heavy enough and tells more than before.
func (d *Detector) sayNames(env detectors.Env, key detectors.HostKey, c *client, r rule, llr float64, count int, now packet.Time, quick, day tally) {
	e := &c.said[r]
	if d.over(e, now, namesAtOnce(r, quick), namesByDay(r, day)) {
		*e = episode{start: now, burst: e.burst}
		for _, n := range c.names { // the first of them belongs to it
			for _, at := range []packet.Time{n.wrongAt, n.unknownAt} {
				if at != 0 && now-at <= fast {
					e.start = min(e.start, at)
				}
			}
		}
	}
	e.last = now
	if llr < d.cfg.MinNats {
		return
	}
	brokeIn := r == spray && slices.ContainsFunc(c.names, func(n name) bool { return n.inAfterFailures })
	if grows := e.grows(count, brokeIn); grows || often(count) {
		f := nameFinding(key, c, r, llr, e, now, quick, day)
		f.Grew = grows
		env.Emit(f)
	}
}

// grows says that a finding tells much more than it did when this was last so.
func (e *episode) grows(count int, brokeIn bool) bool {
	if count < 2*e.count && brokeIn == e.brokeIn {
		return false
	}
	e.count, e.brokeIn = count, brokeIn
	return true
}

// often says whether the numbers are to be given at this count: always at first, since the last ones given are what the finding
// ends with, and every sixteenth time in a flood of failures.
func often(count int) bool { return count < 64 || count%16 == 0 }

// service returns the entry of the service that an attempt is at.
func (c *client) service(a *attempt, now packet.Time) *service {
	i := slices.IndexFunc(c.services, func(s service) bool {
		return s.server == a.conn.Resp && s.port == a.conn.RespPort && s.over == a.over
	})
	if i < 0 {
		if len(c.services) >= maxServices {
			oldest := 0
			for j := range c.services {
				if c.services[j].last < c.services[oldest].last {
					oldest = j
				}
			}
			c.services = slices.Delete(c.services, oldest, oldest+1)
		}
		c.services = append(c.services, service{server: a.conn.Resp, port: a.conn.RespPort, over: a.over, last: -1})
		i = len(c.services) - 1
	}
	s := &c.services[i]
	s.turn(now)
	return s
}

// turn empties the minutes and hours that packet time has left behind.
func (s *service) turn(now packet.Time) {
	minute, hour := int64(now)/int64(time.Minute), int64(now)/int64(time.Hour)
	if minute-s.minute >= int64(len(s.minutes)) {
		clear(s.minutes[:])
	}
	for m := max(s.minute+1, minute-int64(len(s.minutes))+1); m <= minute; m++ {
		s.minutes[m%int64(len(s.minutes))] = 0
	}
	if hour-s.hour >= int64(len(s.hours)) {
		clear(s.hours[:])
	}
	for h := max(s.hour+1, hour-int64(len(s.hours))+1); h <= hour; h++ {
		s.hours[h%int64(len(s.hours))] = 0
	}
	s.minute, s.hour = max(s.minute, minute), max(s.hour, hour)
}

func sum(list []uint32) (n int) {
	for _, v := range list {
		n += int(v)
	}
	return n
}

// takeBack removes failures that were steps to a success.
func (s *service) takeBack(n uint32) {
	for _, list := range [][]uint32{s.minutes[:], s.hours[:]} {
		left, at := n, int(s.minute)
		if len(list) == len(s.hours) {
			at = int(s.hour)
		}
		for i := range list {
			j := ((at-i)%len(list) + len(list)) % len(list)
			take := min(left, list[j])
			list[j] -= take
			left -= take
		}
	}
}

// even says that the failures come like a program's that has an old password.
func (s *service) even() bool {
	return !s.several && s.gaps >= evenGaps && s.mean >= minGap.Seconds() && math.Sqrt(s.m2/s.gaps) < evenCV*s.mean
}

// byDay is the weight of a day's failures at one service.
func byDay(failures int) float64 { return min(0.05*float64(failures-20), 4) }

// atOnce is the weight of the failures of ten minutes at one service.
func atOnce(failures int) float64 { return min(0.25*float64(failures-4), 5) }

// judgeService decides on guessing.
func (d *Detector) judgeService(env detectors.Env, key detectors.HostKey, s *service, a *attempt, tries int, now packet.Time) {
	slot := &s.recent[a.conn.ID%uint64(len(s.recent))]
	if slot.id != a.conn.ID {
		*slot = connection{id: a.conn.ID}
	}
	if a.result == in {
		if a.over == flows.AppSSH { // keys are tried one after the other
			s.takeBack(slot.fails)
		}
		slot.fails = 0
		if sum(s.minutes[:]) < guessFrom || s.even() || s.episode.start == 0 {
			return
		}
		s.broken, s.as = true, a.name
	} else {
		if d.over(&s.episode, now, atOnce(sum(s.minutes[:])), byDay(sum(s.hours[:]))) {
			s.episode, s.broken, s.conns, s.refs = episode{start: now, burst: s.episode.burst}, false, s.conns[:0], s.refs[:0]
			s.gaps, s.mean, s.m2, s.several, s.last = 0, 0, 0, false, -1
		}
		s.several = s.several || s.last >= 0 && s.only != a.name
		if a.result == unknown || s.several && a.name != "" && tries <= maxTries {
			s.only, s.last = a.name, now
			return // enumeration and spraying are told by names
		}
		slot.fails++
		s.minutes[s.minute%int64(len(s.minutes))]++
		s.hours[s.hour%int64(len(s.hours))]++
		if s.last >= 0 {
			gap := now.Sub(s.last).Seconds()
			s.gaps++
			delta := gap - s.mean
			s.mean += delta / s.gaps
			s.m2 += delta * (gap - s.mean)
		}
		s.only = a.name
		s.last, s.episode.last = now, now
	}
	if !slices.ContainsFunc(s.conns, func(o flows.Conn) bool { return o.ID == a.conn.ID }) && len(s.conns) < maxConns {
		s.conns = append(s.conns, a.conn)
	}
	if len(s.refs) < maxRefs {
		s.refs = append(s.refs, a.ref)
	}
	quick, day := sum(s.minutes[:]), sum(s.hours[:])
	llr := max(atOnce(quick), byDay(day))
	if s.even() {
		llr *= program
	}
	if s.broken {
		llr += inAfter
	}
	if llr < d.cfg.MinNats {
		return
	}
	if grows := s.episode.grows(max(quick, day), s.broken); grows || often(max(quick, day)) {
		f := guessFinding(key, s, llr, quick, day, now)
		f.Grew = grows
		env.Emit(f)
	}
}
