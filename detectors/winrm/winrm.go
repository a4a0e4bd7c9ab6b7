package winrm

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
	window      = packet.Time(time.Hour)
	maxServers  = 16
	maxConns    = 4 // of a server
	maxRefs     = 8 // of a server
	maxHabits   = 1 << 16
	maxTrades   = 1 << 12
	maxWaves    = 256
	sessionFrom = 3 // answered requests with a body
	spreadFrom  = 3 // servers
	byShell     = 3.0
	byOthers    = 2.0
	odd         = 2.0
	spread      = 1.5
	habit       = 0x77696e726d // names the doing among a client's
)

var remote = detectors.Technique{ID: "T1021.006", Name: "Windows Remote Management", Tactic: "TA0008"}

var rule = &detectors.Rule{
	ID: "winrm.exec", Name: "Commands run remotely through Windows Remote Management", Stage: detectors.StageLateral,
	Techniques: []detectors.Technique{remote},
}

// client is what a host did through WinRM.
type client struct{ servers []server }

// server is what it did to one.
type server struct {
	addr        packet.Addr
	port        uint16
	first, last packet.Time
	requests    int // answered, with a body
	bytes       uint64
	shell       bool
	agent       string // an agent that is not Microsoft's
	days        int    // earlier ones with this server
	trade       int    // with any, where they make it the client's trade; -1: by its role
	conns       []flows.Conn
	refs        []flows.Ref
	said        int // requests when it last grew
}

// Detector is rule winrm.exec.
type Detector struct {
	cfg     Config
	clients *lru.Table[detectors.HostKey, client]
	habits  *windows.Habits
	trades  *windows.Trades
	waves   *windows.Waves
}

// New returns the detector; cfg must be valid.
func New(cfg Config) *Detector {
	return &Detector{cfg: cfg, clients: lru.New[detectors.HostKey, client](cfg.MaxClients, nil), habits: windows.NewHabits(maxHabits), trades: windows.NewTrades(maxTrades), waves: windows.NewWaves(maxWaves)}
}

// Rules returns the rule.
func (d *Detector) Rules() []*detectors.Rule { return []*detectors.Rule{rule} }

// Doc returns the package comment.
func (d *Detector) Doc() string { return doc }

// Evicted returns how many entries the bounds pushed out.
func (d *Detector) Evicted() uint64 {
	return d.clients.Evicted() + d.habits.Evicted() + d.trades.Evicted() + d.waves.Evicted()
}

// HTTP takes a request.
func (d *Detector) HTTP(env detectors.Env, h *flows.HTTP) {
	b := env.Batch()
	target := b.Bytes(h.Target)
	if len(target) < 6 || !strings.EqualFold(string(target[:6]), "/wsman") || len(target) > 6 && target[6] != '?' || h.Length == 0 || h.Status != 200 {
		return
	}
	key := detectors.HostKey{Segment: h.Segment, Addr: h.Orig}
	c, _ := d.clients.Use(key)
	now := env.Now()
	c.servers = slices.DeleteFunc(c.servers, func(s server) bool { return now-s.last > window })
	i := slices.IndexFunc(c.servers, func(s server) bool { return s.addr == h.Resp })
	if i < 0 {
		if len(c.servers) >= maxServers {
			c.servers = slices.Delete(c.servers, 0, 1)
		}
		c.servers = append(c.servers, server{addr: h.Resp, port: h.RespPort, first: now, days: d.habits.Note(now, &h.Conn, habit)})
		i = len(c.servers) - 1
		if t := d.trades.Note(now, &h.Conn, habit); windows.Familiar(t) {
			c.servers[i].trade = t
		} else if windows.Administers(env, key) {
			c.servers[i].trade = -1
		}
	}
	s := &c.servers[i]
	s.last = now
	s.requests++
	s.bytes += h.Length
	s.shell = s.shell || strings.Contains(string(target), "PSVersion=")
	if agent := windows.Printable(b.String(h.Agent)); !strings.HasPrefix(agent, "Microsoft WinRM") && s.agent == "" {
		if s.agent = agent; agent == "" {
			s.agent = "(none)"
		}
	}
	if !slices.ContainsFunc(s.conns, func(o flows.Conn) bool { return o.ID == h.ID }) && len(s.conns) < maxConns {
		s.conns = append(s.conns, h.Conn)
	}
	if len(s.refs) < maxRefs {
		s.refs = append(s.refs, h.RequestRef)
	}
	if s.requests < sessionFrom {
		return
	}
	f := d.finding(key, c, s)
	if f.LLR < d.cfg.MinNats {
		return
	}
	if s.requests >= 2*s.said {
		s.said, f.Grew = s.requests, true
	}
	d.waves.Emit(env, f, false)
}

// finding tells of a session.
func (d *Detector) finding(key detectors.HostKey, c *client, s *server) *detectors.Finding {
	f := &detectors.Finding{
		Rule: rule, Actor: key, Target: detectors.HostKey{Segment: key.Segment, Addr: s.addr}, Start: s.first, End: s.last, WindowStart: s.first,
		Techniques: []detectors.Technique{remote}, Conns: slices.Clone(s.conns), Refs: slices.Clone(s.refs),
	}
	factor := 1.0
	if windows.Familiar(s.days) {
		factor = windows.Discount
	} else if s.trade != 0 {
		factor = windows.TradeDiscount
	}
	add := func(e detectors.Evidence) {
		e.Nats *= factor
		f.LLR += e.Nats
		e.Nats = phrase.Round(e.Nats)
		f.Evidence = append(f.Evidence, e)
	}
	what, by := "a session of PowerShell", byShell
	if !s.shell {
		what, by = "a session of another program", byOthers
	}
	add(detectors.Evidence{Measure: "answered requests with a body, " + what, Value: float64(s.requests), Unit: "requests", Baseline: "none", Threshold: "3", Nats: by})
	if s.agent != "" {
		add(detectors.Evidence{Measure: "an agent that is not Microsoft's: " + s.agent, Value: 1, Baseline: "Microsoft WinRM Client", Nats: odd})
	}
	others := 0
	for i := range c.servers {
		if o := &c.servers[i]; o.requests >= sessionFrom {
			others++
			if o != s && len(f.Related) < 32 {
				f.Related = append(f.Related, o.addr)
			}
		}
	}
	if others >= spreadFrom {
		add(detectors.Evidence{Measure: "servers with such sessions within an hour", Value: float64(others), Unit: "servers", Baseline: "none", Threshold: "3", Nats: spread})
	}
	f.Message = fmt.Sprintf("%s ran commands on %s:%d through Windows Remote Management (%s): %s of %s within %s.", key.Addr, s.addr, s.port,
		what, phrase.Plural(s.requests, "request"), phrase.Bytes(float64(s.bytes)), phrase.Duration(s.last.Sub(s.first)))
	f.Message = strings.TrimSuffix(f.Message, ".")
	switch {
	case windows.Familiar(s.days):
		f.Message += fmt.Sprintf("; it did so on %d earlier days.", s.days)
	case s.trade > 0:
		f.Message += fmt.Sprintf("; new for it on this server, but it did so to others on %d earlier days.", s.trade)
	case s.trade < 0:
		f.Message += "; new for it on this server, but administering others is its role."
	default:
		f.Message += "; no habit of this client."
	}
	f.Counterfactual = "Fewer than three answered requests, or the same on three earlier days, would not be said as an alarm."
	f.LookAlikes = []string{
		"Administrators work so: from an administration host, and on many days; this client had no such history.",
		"Configuration management and monitoring reach many servers at the same times every day.",
	}
	f.NextSteps = []string{
		fmt.Sprintf("On %s read the log Microsoft-Windows-PowerShell/Operational (4103, 4104) and WinRM/Operational (91) for what was run, and as whom.", s.addr),
		fmt.Sprintf("Ask who used %s then; if nobody did it on purpose, isolate both hosts.", key.Addr),
	}
	f.Filter = fmt.Sprintf("ip.addr == %s && ip.addr == %s && tcp.port == %d && http", key.Addr, s.addr, s.port)
	return f
}
