package sealed

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// The factors of the package comment, chosen by us.
const (
	rest       = 0.3
	maxNats    = 2.0
	execCalls  = 3 // open the service manager, create, start
	execWithin = time.Minute
	maxHabits  = 1 << 16
	maxClients = 4096
	maxTickets = 4
	ticketFor  = 10 * time.Hour // the usual life of a ticket
)

// Detector is rules rpc.sealed and smb.sealed.
type Detector struct {
	cfg     Config
	habits  *windows.Habits
	pairs   *lru.Table[pair, hour]
	tickets *lru.Table[detectors.HostKey, holder]
}

// pair is a client and a server.
type pair struct{ client, server detectors.HostKey }

// hour is what was seen of a pair within one hour of packet time, and its latest upload.
type hour struct {
	start     packet.Time
	calls     talk
	exec      talk
	uploaded  uint64
	uploadEnd packet.Time
	conn      uint64 // connection that seen is of
	seen      uint64 // bytes that it had written when last told
	up        flows.Conn
	upRef     flows.Ref
}

// talk is what one finding tells.
type talk struct {
	first, last packet.Time
	binds       uint32 // bindings that counted
	most        uint32 // calls of the longest
	all         uint32
	domains     uint32
	builtin     uint32
	largest     uint32
	bytes       uint64
	delay       time.Duration
	sizes       string
	users       []string
	conns       []flows.Conn
	refs        []flows.Ref
	days        int
	said        float64
	saidMost    uint32
}

// holder is a client and the services that it got tickets for lately.
type holder struct {
	services []string
	at       packet.Time
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{
		cfg: cfg, habits: windows.NewHabits(maxHabits), pairs: lru.New[pair, hour](cfg.MaxPairs, nil),
		tickets: lru.New[detectors.HostKey, holder](maxClients, nil),
	}
}

// Rules returns the rules.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{&callsRule, &execRule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.pairs.Evicted() + d.habits.Evicted() + d.tickets.Evicted()
}

// Kerberos remembers which file and host services a client got tickets for: it says what an encrypted session is for.
func (d *Detector) Kerberos(env detectors.Env, k *flows.Kerberos) {
	service := env.Batch().Bytes(k.Service)
	if k.Outcome != flows.Succeeded || !k.TGS || !hasPrefixFold(service, "cifs/") && !hasPrefixFold(service, "host/") {
		return
	}
	h, _ := d.tickets.Use(detectors.HostKey{Segment: k.Segment, Addr: k.Orig})
	if env.Now().Sub(h.at) > ticketFor {
		h.services = nil
	}
	h.at = env.Now()
	name := windows.Printable(string(service))
	if slices.Contains(h.services, name) {
		return
	}
	if len(h.services) == maxTickets {
		h.services = h.services[1:]
	}
	h.services = append(h.services, name)
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && bytes.EqualFold(b[:len(prefix)], []byte(prefix))
}

// SMB takes what sizes tell.
func (d *Detector) SMB(env detectors.Env, s *flows.SMB) {
	if s.Op != flows.SMBSealed {
		return
	}
	p := pair{detectors.HostKey{Segment: s.Segment, Addr: s.Orig}, detectors.HostKey{Segment: s.Segment, Addr: s.Resp}}
	now := env.Now()
	start := now - now%packet.Time(time.Hour)
	h, _ := d.pairs.Use(p)
	if h.start != start {
		*h = hour{start: start, uploaded: h.uploaded, uploadEnd: h.uploadEnd, conn: h.conn, seen: h.seen, up: h.up, upRef: h.upRef}
	}
	if s.Sealed.Calls == 0 {
		d.upload(h, s, now)
		return
	}
	d.bound(env, p, h, s)
}

// upload notes how much was written to files.
func (d *Detector) upload(h *hour, s *flows.SMB, now packet.Time) {
	if h.conn != s.ID {
		h.conn, h.seen = s.ID, 0
	}
	wrote := s.Sealed.Wrote - min(h.seen, s.Sealed.Wrote)
	h.seen = s.Sealed.Wrote
	if wrote == 0 {
		return
	}
	if now.Sub(h.uploadEnd) > execWithin {
		h.uploaded = 0
	}
	h.uploaded += wrote
	h.uploadEnd, h.up, h.upRef = now, s.Conn, s.Ref
}

// bound takes a binding with its calls.
func (d *Detector) bound(env detectors.Env, p pair, h *hour, s *flows.SMB) {
	b, now, x := env.Batch(), env.Now(), &s.Sealed
	if int(x.Calls) >= d.cfg.MinCalls || x.Domains > 0 || x.Builtin > 0 {
		t := &h.calls
		t.enter(s, b, now)
		if int(x.Calls) >= d.cfg.MinCalls {
			t.most = max(t.most, x.Calls)
		}
		t.all += x.Calls
		t.domains += uint32(x.Domains)
		t.builtin += uint32(x.Builtin)
		if t.days == 0 {
			t.days = d.habits.Note(now, &s.Conn, 1)
		}
		if sum, _ := t.weights(); sum >= d.cfg.MinNats && (sum > t.said || t.most >= 2*t.saidMost) {
			t.said, t.saidMost = sum, t.most
			env.Emit(d.callsFinding(p, h))
		}
	}
	since := now.Sub(h.uploadEnd)
	if x.Calls >= execCalls && h.uploaded >= uint64(d.cfg.MinUpload) && since <= execWithin {
		t := &h.exec
		t.enter(s, b, now)
		t.most, t.bytes, t.delay = max(t.most, x.Calls), h.uploaded, since
		t.prove(h.up, h.upRef)
		if t.days == 0 {
			t.days = d.habits.Note(now, &s.Conn, 2)
		}
		if sum := t.execWeight(); sum >= d.cfg.MinNats && sum > t.said {
			t.said = sum
			env.Emit(d.execFinding(p, h))
		}
	}
}

func (t *talk) enter(s *flows.SMB, b *flows.Batch, now packet.Time) {
	if t.first == 0 {
		t.first = s.Sealed.First
	}
	t.last = now
	t.binds++
	if s.Sealed.Calls > t.most || t.sizes == "" {
		t.sizes = windows.Printable(b.String(s.Path))
	}
	t.largest = max(t.largest, s.Sealed.Largest)
	if u := windows.Printable(b.String(s.User)); u != "" && len(t.users) < 4 && !slices.Contains(t.users, u) {
		t.users = append(t.users, u)
	}
	t.prove(s.Conn, s.Ref)
}

func (t *talk) prove(c flows.Conn, ref flows.Ref) {
	if !slices.ContainsFunc(t.conns, func(o flows.Conn) bool { return o.ID == c.ID }) && len(t.conns) < detectors.MaxFlows {
		t.conns = append(t.conns, c)
	}
	if len(t.refs) < detectors.MaxRefs && !slices.Contains(t.refs, ref) {
		t.refs = append(t.refs, ref)
	}
}

// weights returns the sum and what calls, domains and the built-in domain contribute.
func (t *talk) weights() (sum float64, shares [3]float64) {
	factor := 1.0
	if windows.Familiar(t.days) {
		factor = windows.Discount
	}
	for i, there := range [3]bool{t.most > 0, t.domains > 0, t.builtin > 0} {
		if !there {
			continue
		}
		shares[i] = factor
		if sum > 0 {
			shares[i] *= rest
		}
		shares[i] = min(shares[i], maxNats-sum)
		sum += shares[i]
	}
	return sum, shares
}

func (t *talk) execWeight() float64 {
	if windows.Familiar(t.days) {
		return maxNats * windows.Discount
	}
	return maxNats
}

// tells names the tickets of a client, empty where there are none.
func (d *Detector) told(client detectors.HostKey, now packet.Time) string {
	h := d.tickets.Get(client)
	if h == nil || now.Sub(h.at) > ticketFor {
		return ""
	}
	return strings.Join(h.services, ", ")
}
