package simulate

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/catalog"
	"neuromast/detectors/engine"
	"neuromast/detectors/incident"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// bounds are how many false alarms a rule may raise in TestBounds, of 300 hosts in three days after four of learning.
// Rules that are not named may raise usual. Who makes a rule quieter lowers its bound; who has to raise one says in the
// commit which honest work it is that sets it off.
var bounds = map[string]int{
	"graph.path": 8, "graph.relay": 3, "graph.role_inv": 3, // administrators who go on from a server; a reverse proxy
	"rpc.op.service": 3, "rpc.seq.psexec": 1, "rpc.seq.service": 1, "smb.exec": 4, "rpc.op.task": 2, "rpc.op.discovery": 1,
	"rpc.op.accounts": 4, "winrm.exec": 8, // administrators whose trade the four days did not show
}

// noticeBounds are how many false notices some rules may raise there: those whose notices were once hundreds.
var noticeBounds = map[string]int{"rpc.op.discovery": 8, "rpc.op.service": 25, "smb.exec": 30, "winrm.exec": 15}

const usual = 6

// sure are techniques of which hardly an act went unnoticed, by an alarm or a notice: that must stay so. One of eight may,
// since two intruders can meet on a host, or act on one that is down.
var sure = []string{
	"accounts over samr", "administrator where?", "scan of ports", "sessions of many hosts", "shares of many hosts", "names guessed", "AS-REP roasting", "DCSync",
	"Kerberoasting", "SSH passwords guessed", "coercion, EFS", "coercion, spooler", "hash as key", "registry hives", "spray, Kerberos, fast",
	"spray, Kerberos, slow (1 in 10 min)", "spray, NTLM", "DCOM (MMC20)", "PsExec", "PsExec, renamed", "WMI without output", "WinRM", "Zerologon", "atexec",
	"schtasks", "smbexec", "tool copied, then task", "wmiexec", "DNS tunnel", "event log cleared", wormSpreads, internalProxy,
	"RDP, restricted administration", "RDP, a program", "names poisoned", "names poisoned and relayed",
}

// loud are those of them that must go on raising alarms: moves from host to host with tools that administrators use too.
var loud = []string{
	"PsExec", "PsExec, renamed", "WMI without output", "DCOM (MMC20)", "WinRM", "atexec", "schtasks", "smbexec", "tool copied, then task", "wmiexec", "sessions of many hosts",
	"registry hives", "event log cleared",
}

func play(t *testing.T, c Config) *Result {
	t.Helper()
	dets, err := catalog.Build(catalog.Default(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Play(c, dets)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBounds plays a small site into all detectors and holds them to the bounds above.
func TestBounds(t *testing.T) {
	r := play(t, Config{Hosts: 300, Days: 7, Learn: 4, Seed: 1, Intrusions: 30, Volume: 1})
	for _, x := range r.Rules {
		bound, known := bounds[x.ID]
		if !known {
			bound = usual
		}
		if n := sum(x.FalseAlarms); n > bound {
			t.Errorf("%s: %d false alarms%s, at most %d are borne: %s", x.ID, n, who(x.Causes[1]), bound, x.Example)
		}
	}
	for id, bound := range noticeBounds {
		for _, x := range r.Rules {
			if n := sum(x.FalseNotices); x.ID == id && n > bound {
				t.Errorf("%s: %d false notices%s, at most %d are borne", id, n, who(x.Causes[0]), bound)
			}
		}
	}
	found := map[string]*TechniqueResult{}
	for _, x := range r.Techniques {
		found[x.Name] = x
	}
	for _, name := range sure {
		x := found[name]
		if x == nil {
			t.Errorf("%s was not played: the plan of intrusions changed", name)
		} else if x.Notice.Of-x.Notice.Hits > x.Notice.Of/8 {
			t.Errorf("%s was noticed %d times of %d", name, x.Notice.Hits, x.Notice.Of)
		} else if slices.Contains(loud, name) && x.Alarm.Of-x.Alarm.Hits > x.Alarm.Of/8 {
			t.Errorf("%s raised an alarm %d times of %d", name, x.Alarm.Hits, x.Alarm.Of)
		}
	}
	for i, x := range r.Intrusions {
		if !x.Found {
			t.Errorf("intrusion %d of %d steps raised no alarm", i, x.Steps)
		}
	}
	var page bytes.Buffer
	if err := r.Markdown(&page); err != nil || !strings.Contains(page.String(), "| intrusions with an alarm | 30/30 ") {
		t.Errorf("%v\n%s", err, page.String())
	}
}

// witness hashes every item in the order in which it comes.
type witness struct {
	sum  [32]byte
	kind map[string]int
	last packet.Time
}

func (w *witness) Rules() []*detectors.Rule { return nil }
func (w *witness) Doc() string              { return "" }
func (w *witness) see(env detectors.Env, kind string, m *flows.Meta, c flows.Conn, more ...any) {
	if env.Now() < w.last {
		panic("time runs backwards")
	}
	w.last = env.Now()
	w.kind[kind]++
	w.sum = sha256.Sum256(fmt.Append(w.sum[:], env.Now(), kind, m.Ref, c, more))
}
func (w *witness) Flow(e detectors.Env, r *flows.Record) {
	w.see(e, "flow", &r.Meta, r.Conn, r.Total, r.State)
}
func (w *witness) DNS(e detectors.Env, d *flows.DNS) {
	w.see(e, "dns", &d.Meta, d.Conn, e.Batch().String(d.Name))
}
func (w *witness) TLS(e detectors.Env, d *flows.TLS) { w.see(e, "tls", &d.Meta, d.Conn) }
func (w *witness) SMB(e detectors.Env, d *flows.SMB) {
	w.see(e, "smb", &d.Meta, d.Conn, e.Batch().String(d.Path))
}
func (w *witness) RPC(e detectors.Env, d *flows.RPC)           { w.see(e, "rpc", &d.Meta, d.Conn, d.Opnum) }
func (w *witness) Auth(e detectors.Env, d *flows.Auth)         { w.see(e, "auth", &d.Meta, d.Conn) }
func (w *witness) Kerberos(e detectors.Env, d *flows.Kerberos) { w.see(e, "krb", &d.Meta, d.Conn) }
func (w *witness) HTTP(e detectors.Env, d *flows.HTTP)         { w.see(e, "http", &d.Meta, d.Conn) }
func (w *witness) ARP(e detectors.Env, d *flows.ARP)           { w.see(e, "arp", &d.Meta, flows.Conn{}) }
func (w *witness) DHCP(e detectors.Env, d *flows.DHCP)         { w.see(e, "dhcp", &d.Meta, d.Conn) }
func (w *witness) RDP(e detectors.Env, d *flows.RDP)           { w.see(e, "rdp", &d.Meta, d.Conn) }
func (w *witness) SSH(e detectors.Env, d *flows.SSH)           { w.see(e, "ssh", &d.Meta, d.Conn) }
func (w *witness) Session(e detectors.Env, d *flows.Session)   { w.see(e, "session", &d.Meta, d.Conn) }
func (w *witness) LDAP(e detectors.Env, d *flows.LDAP)         { w.see(e, "ldap", &d.Meta, d.Conn) }
func (w *witness) SQL(e detectors.Env, d *flows.SQL)           { w.see(e, "sql", &d.Meta, d.Conn) }

// TestSamePlayTwice holds that a play depends on its configuration alone, that time never runs backwards, that every
// kind of fact is played, and that another seed is another play.
func TestSamePlayTwice(t *testing.T) {
	run := func(seed uint64) *witness {
		w := &witness{kind: map[string]int{}}
		if _, err := Play(Config{Hosts: 100, Days: 2, Learn: 1, Seed: seed, Intrusions: 8, Volume: 0.3}, []detectors.Detector{w}); err != nil {
			t.Fatal(err)
		}
		return w
	}
	a, b, c := run(7), run(7), run(8)
	if a.sum != b.sum {
		t.Error("two plays of one configuration differ")
	}
	if a.sum == c.sum {
		t.Error("another seed makes the same play")
	}
	for _, kind := range strings.Fields("flow dns tls smb rpc auth krb http arp dhcp rdp ssh session ldap sql") {
		if a.kind[kind] == 0 {
			t.Errorf("no %s is played", kind)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []Config{{Hosts: 10, Days: 1, Volume: 1}, {Hosts: 100, Volume: 1}, {Hosts: 100, Days: 1}, {Hosts: 100, Days: 2, Learn: 2, Volume: 1, Intrusions: 1}} {
		if _, err := Play(c, nil); err == nil {
			t.Errorf("%+v is played", c)
		}
	}
}

// TestRates works intervals out by hand: of 8 of 10 Wilson's lies from 0.490 to 0.943; nothing in 2,000 host days means
// fewer than 3.67 a day of a thousand hosts over two, by Poisson's law (Garwood: 3.69).
func TestRates(t *testing.T) {
	if _, low, high := (Tally{8, 10}).Rate(); math.Abs(low-0.490) > 0.001 || math.Abs(high-0.943) > 0.001 {
		t.Errorf("8 of 10: %v to %v", low, high)
	}
	r := Result{Days: 2, HostDays: 2000}
	if rate, low, high := r.Rate(nil); rate != 0 || low != 0 || math.Abs(high-1.835) > 0.01 {
		t.Errorf("nothing: %v [%v, %v]", rate, low, high)
	}
	// 10 on one of two days: the bootstrap draws 0, 10 or 20.
	if rate, low, high := r.Rate([]int{10, 0}); rate != 5 || low != 0 || high != 10 {
		t.Errorf("10 on a day: %v [%v, %v]", rate, low, high)
	}
}

// TestWhoIsCredited walks through the rule by which a finding is held to be about a step.
func TestWhoIsCredited(t *testing.T) {
	a, b, c := addr4(10, 0, 0, 1), addr4(10, 0, 0, 2), addr4(10, 0, 0, 3)
	step := Step{Stage: detectors.StageLateral, From: a, To: []packet.Addr{b}, Start: Start.Add(time.Hour), End: Start.Add(time.Hour + time.Minute)}
	in := Start.Add(time.Hour + 10*time.Second)
	for _, test := range []struct {
		what           string
		h              heard
		belongs, tells bool
	}{
		{"actor and target", heard{stage: detectors.StageLateral, actor: a, target: b, start: in, end: in}, true, true},
		{"another target", heard{stage: detectors.StageLateral, actor: a, target: c, start: in, end: in}, false, false},
		{"talk to outside", heard{stage: detectors.StageC2, actor: a, target: addr4(9, 9, 9, 9), start: in, end: in}, true, false},
		{"a target outside", heard{stage: detectors.StageLateral, actor: a, target: addr4(9, 9, 9, 9), start: in, end: in}, true, true},
		{"among the related", heard{stage: detectors.StageLateral, actor: a, related: []packet.Addr{c, b}, start: in, end: in}, true, true},
		{"not among them", heard{stage: detectors.StageLateral, actor: a, related: []packet.Addr{c}, start: in, end: in}, false, false},
		{"another kind", heard{stage: detectors.StageDiscovery, actor: a, target: b, start: in, end: in}, true, false},
		{"the victim made to act", heard{stage: detectors.StageCredential, actor: b, target: a, start: in, end: in}, true, true},
		{"half an hour late", heard{stage: detectors.StageLateral, actor: a, target: b, start: in.Add(30 * time.Minute), end: in.Add(30 * time.Minute)}, true, false},
		{"before", heard{stage: detectors.StageLateral, actor: a, target: b, start: Start, end: Start}, false, false},
		{"a day's window around it", heard{stage: detectors.StageLateral, actor: a, target: b, start: Start, end: in}, true, true},
	} {
		if test.h.belongs(&step) != test.belongs || test.h.tells(&step) != test.tells {
			t.Errorf("%s: belongs %v, tells %v", test.what, test.h.belongs(&step), test.h.tells(&step))
		}
	}
}

// TestIncidents walks through the rule by which an incident is held to be true.
func TestIncidents(t *testing.T) {
	c := Config{Hosts: 1000, Days: 3, Learn: 1, Volume: 1}
	m, s := newMeter(c), newSite(c)
	a, b, other := addr4(10, 1, 0, 20), addr4(10, 1, 0, 21), addr4(10, 1, 0, 22)
	from := Start.Add(30 * time.Hour)
	s.plan = []*Intrusion{{Steps: []Step{
		{Technique: "x", From: a, To: []packet.Addr{b}, Start: from, End: from.Add(time.Hour)},
		{Technique: "y", From: b, To: []packet.Addr{other}, Start: from.Add(time.Hour), End: from.Add(2 * time.Hour)},
	}}}
	key := func(a packet.Addr) detectors.HostKey { return detectors.HostKey{Addr: a} }
	say := func(id string, at packet.Time, score float64, hosts ...incident.Host) {
		x := &incident.Incident{ID: id, At: at, Start: at, End: at, Score: score, Hosts: hosts}
		if len(hosts) > 1 {
			x.Moves = []incident.Move{{From: hosts[0].Key, To: hosts[1].Key}}
		}
		m.incident(x)
	}
	say("true", from.Add(time.Minute), 12, incident.Host{Key: key(a), Role: incident.FirstSeen}, incident.Host{Key: key(b), Role: incident.Pivot}, incident.Host{Key: key(other), Role: incident.Actor})
	say("a target only", from.Add(time.Minute), 12, incident.Host{Key: key(a), Role: incident.Target})
	say("before the intrusion", Start.Add(25*time.Hour), 10, incident.Host{Key: key(a), Role: incident.FirstSeen})
	say("while learning", Start.Add(2*time.Hour), 10, incident.Host{Key: key(other), Role: incident.FirstSeen})
	say("gone", from, 12, incident.Host{Key: key(a), Role: incident.FirstSeen})
	m.incident(&incident.Incident{ID: "gone", SupersededBy: "true"})
	r := m.result(s, engine.Stats{})
	if r.TrueIncidents != 1 || !slices.Equal(r.FalseIncidents, []int{2, 0}) || !slices.Equal(r.FalseHigh, []int{1, 0}) || r.Strangers != (Tally{1, 3}) || r.Moves != (Tally{1, 1}) {
		t.Errorf("true %d, false %v, high %v, strangers %v, moves %v", r.TrueIncidents, r.FalseIncidents, r.FalseHigh, r.Strangers, r.Moves)
	}
	if i := r.Intrusions[0]; i.Incidents != 1 || i.IncidentDelay != time.Minute || i.Hosts != (Tally{2, 2}) {
		t.Errorf("%+v", i)
	}
}
