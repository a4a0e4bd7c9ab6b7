package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/gopacket/layers"

	"neuromast/pcaps/craft"
)

// call is one event being told.
type call struct {
	s     *Scenario
	n     *craft.Net
	at    time.Time
	actor *craft.Host
	args  []string
	err   error
}

type verb struct {
	usage string
	do    func(*call)
}

// verbs is every event that can be told.
var verbs = map[string]verb{
	"ldap":   {"ldap SERVER BASE base|one|sub FILTER [asks A,B] [entries N] [size N] [sd] [signed|sealed] [plain] [times N] as ACCOUNT", (*call).ldap},
	"sql":    {"sql SERVER USER [wrong] [refused] STATEMENT …", (*call).sql},
	"lookup": {"lookup SERVER LOOKUP [comes HOST port N [object]]", (*call).lookup},

	"dns":       {"dns SERVER TYPE NAME [= ADDRESS|TEXT] [nx] [silent]", (*call).dns},
	"tunnel":    {"tunnel SERVER DOMAIN bytes N [reply N]", (*call).tunnel},
	"web":       {"web SERVER NAME [port N] [up N] [down N]", (*call).web},
	"http":      {"http SERVER NAME PATH [port N] [up N] [down N]", (*call).http},
	"ntp":       {"ntp SERVER", func(c *call) { c.n.NTP(c.at, c.actor, c.host(c.word(0))) }},
	"ping":      {"ping SERVER [count N] [silent]", (*call).ping},
	"read":      {"read SERVER SHARE FILE [size N] as ACCOUNT", (*call).read},
	"save":      {"save SERVER SHARE FILE [size N] as ACCOUNT", (*call).save},
	"shares":    {"shares SERVER as ACCOUNT", func(c *call) { c.n.Shares(c.at, c.actor, c.host(c.word(0)), c.account()) }},
	"logon":     {"logon SERVER as ACCOUNT [fails]", (*call).logon},
	"psexec":    {"psexec SERVER service NAME file NAME [size N] [pipes A,B] as ACCOUNT", (*call).psexec},
	"task":      {"task SERVER NAME COMMAND as ACCOUNT", (*call).task},
	"dcsync":    {"dcsync SERVER", func(c *call) { c.n.DCSync(c.at, c.actor, c.host(c.word(0))) }},
	"zerologon": {"zerologon SERVER [tries N] [works]", (*call).zerologon},
	"sealed":    {"sealed SERVER accounts|exec|office [users N] [size N] as ACCOUNT", (*call).sealed},
	"storm":     {"storm SERVER SHARE ext EXT [files N] [note NAME] [every D] as ACCOUNT", (*call).storm},
	"photos":    {"photos SERVER SHARE [files N] [every D] as ACCOUNT", (*call).photos},
	"kerberos":  {"kerberos SERVER REALM USER|PREFIX* ticket|noproof|unknown|wrong|asks [names N] [every D] [rc4]", (*call).kerberos},
	"ticket":    {"ticket SERVER REALM SERVICE|PREFIX* for USER [names N] [every D] [rc4]", (*call).ticket},
	"weblogon":  {"weblogon SERVER NAME PATH [port N] as ACCOUNT [fails]", (*call).webLogon},
	"basic":     {"basic SERVER NAME PATH user NAME [tries N] [every D] [gets]", (*call).basic},
	"relay":     {"relay VIA TARGET NAME as ACCOUNT", (*call).relay},
	"scan":      {"scan FIRST count N ports A,B every D [open A,B|all] [closed]", (*call).scan},
	"sweep":     {"sweep FIRST count N by arp|echo|PORT every D [alive A,B|all]", (*call).sweep},
	"arp":       {"arp HOST [silent]", func(c *call) { c.n.ARP(c.at, c.actor, c.host(c.word(0)), !c.has("silent")) }},
	"arplie":    {"arplie ABOUT to VICTIM", func(c *call) { c.n.ARPLie(c.at, c.actor, c.host(c.word(0)), c.host(option(c.args, "to", ""))) }},
	"llmnr":     {"llmnr NAME [by RESPONDER]", (*call).llmnr},
	"lease":     {"lease CLIENT router ADDRESS resolver ADDRESS", (*call).lease},
	"redirect":  {"redirect VICTIM in ROUTER to DESTINATION", (*call).redirect},
	"ssh":       {"ssh SERVER [fails N] [locked] [keys N] [back N] [send N] [take N]", (*call).ssh},
	"rdp":       {"rdp SERVER as ACCOUNT [fails] [restricted] [struck N] [work D] [send N]", (*call).rdp},
}

// Verbs lists the verbs with their usage.
func Verbs() []string {
	var out []string
	for name := range verbs {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (c *call) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *call) word(i int) string {
	w := arg(c.args, i)
	if w == "" {
		c.fail("word %d is missing", i+1)
	}
	return w
}

// host resolves a word; a wrong one fails the call and yields a harmless stand-in.
func (c *call) host(name string) *craft.Host {
	a, err := c.s.addr(name)
	if err != nil {
		c.fail("%w", err)
		a = netip.IPv6Unspecified()
	}
	return c.n.Host("", a)
}

func (c *call) has(word string) bool { return slices.Contains(c.args, word) }

func (c *call) number(name string, otherwise int) int {
	text := option(c.args, name, strconv.Itoa(otherwise))
	factor := 1
	if t, ok := strings.CutSuffix(text, "k"); ok {
		text, factor = t, 1000
	} else if t, ok := strings.CutSuffix(text, "m"); ok {
		text, factor = t, 1000000
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < 0 || v*factor > 1<<30 {
		c.fail("%s: %q is not a size", name, text)
		return 0
	}
	return v * factor
}

// account reads "as DOMAIN\user".
func (c *call) account() craft.Account {
	domain, user, ok := strings.Cut(option(c.args, "as", ""), `\`)
	if !ok {
		c.fail(`want "as DOMAIN\user"`)
	}
	return craft.Account{Domain: domain, User: user}
}

func (c *call) dns() {
	kind, ok := map[string]layers.DNSType{"A": layers.DNSTypeA, "AAAA": layers.DNSTypeAAAA, "TXT": layers.DNSTypeTXT, "PTR": layers.DNSTypePTR, "MX": layers.DNSTypeMX}[c.word(1)]
	if !ok {
		c.fail("no type %q", c.word(1))
	}
	q := craft.Question{Name: c.word(2), Type: kind, Missing: c.has("nx"), Silent: c.has("silent")}
	if answer := option(c.args, "=", ""); answer != "" {
		if kind == layers.DNSTypeTXT {
			q.Answers = append(q.Answers, craft.TXT(q.Name, answer, 300))
		} else if a, err := netip.ParseAddr(answer); err == nil {
			q.Answers = append(q.Answers, craft.A(q.Name, a, 300))
		} else {
			c.fail("%q is no address", answer)
		}
	}
	c.n.DNS(c.at, c.actor, c.host(c.word(0)), q)
}

// tunnel sends bytes of data as names under a domain, one query after the other, each answered by text.
func (c *call) tunnel() {
	data, server := c.n.Bytes(c.number("bytes", 0)), c.host(c.word(0))
	at := c.at
	for len(data) > 0 {
		part := data[:min(70, len(data))]
		data = data[len(part):]
		q := craft.Question{Name: craft.TunnelName(part, c.word(1)), Type: layers.DNSTypeTXT}
		q.Answers = append(q.Answers, craft.TXT(q.Name, craft.TunnelName(c.n.Bytes(c.number("reply", 20)), "x"), 0))
		at = c.n.DNS(at, c.actor, server, q).Add(20 * time.Millisecond)
	}
}

func (c *call) web() {
	c.n.Web(c.at, c.actor, c.host(c.word(0)), uint16(c.number("port", 443)), c.word(1), c.number("up", 800), c.number("down", 20000))
}

func (c *call) http() {
	c.n.HTTP(c.at, c.actor, c.host(c.word(0)), uint16(c.number("port", 80)), c.word(1), c.word(2), c.number("up", 0), c.number("down", 8000))
}

func (c *call) ping() {
	to := c.host(c.word(0))
	for i := range c.number("count", 4) {
		c.n.Ping(c.at.Add(time.Duration(i)*time.Second), c.actor, to, 1, uint16(i+1), []byte("abcdefghijklmnopqrstuvwabcdefghi"), !c.has("silent"))
	}
}

func (c *call) read() {
	c.n.ReadFile(c.at, c.actor, c.host(c.word(0)), c.account(), c.word(1), c.word(2), c.number("size", 40000))
}

func (c *call) save() {
	c.n.WriteFile(c.at, c.actor, c.host(c.word(0)), c.account(), c.word(1), c.word(2), c.number("size", 40000))
}

func (c *call) logon() {
	if c.has("fails") {
		c.n.Logon(c.at, c.actor, c.host(c.word(0)), c.account(), craft.StatusLogonFailure)
		return
	}
	c.n.LookUp(c.at, c.actor, c.host(c.word(0)), c.account())
}

func (c *call) psexec() {
	svc := craft.Service{Name: option(c.args, "service", ""), File: option(c.args, "file", ""), Size: max(c.number("size", 180000), 64)}
	if svc.Name == "" || svc.File == "" {
		c.fail("service and file are needed")
	}
	if p := option(c.args, "pipes", ""); p != "" {
		svc.Pipes = strings.Split(p, ",")
	}
	c.n.PsExec(c.at, c.actor, c.host(c.word(0)), c.account(), svc)
}

func (c *call) task() {
	c.n.Task(c.at, c.actor, c.host(c.word(0)), c.account(), c.word(1), c.word(2))
}

// sealed tells what is done within an encrypted SMB3 session.
func (c *call) sealed() {
	server, who, size := c.host(c.word(0)), c.account(), c.number("size", 40000)
	switch c.word(1) {
	case "accounts":
		c.n.SealedAccounts(c.at, c.actor, server, who, c.number("users", 3))
	case "exec":
		c.n.SealedExec(c.at, c.actor, server, who, size)
	case "office":
		c.n.SealedOffice(c.at, c.actor, server, who, "Team", size)
	default:
		c.fail("want accounts, exec or office")
	}
}

func (c *call) duration(name string, otherwise time.Duration) time.Duration {
	d, err := time.ParseDuration(option(c.args, name, otherwise.String()))
	if err != nil {
		c.fail("%s: %w", name, err)
	}
	return d
}

func (c *call) storm() {
	c.n.Storm(c.at, c.actor, c.host(c.word(0)), c.account(), c.word(1), c.number("files", 100), option(c.args, "ext", "locked"), option(c.args, "note", ""),
		c.duration("every", 300*time.Millisecond))
}

func (c *call) photos() {
	c.n.Photos(c.at, c.actor, c.host(c.word(0)), c.account(), c.word(1), c.number("files", 100), c.duration("every", 300*time.Millisecond))
}

func (c *call) zerologon() {
	c.n.Zerologon(c.at, c.actor, c.host(c.word(0)), c.number("tries", 300), c.has("works"))
}

// scan probes count addresses from the first one on, each on every port.
func (c *call) scan() {
	first, err := c.s.addr(c.word(0))
	every, err2 := time.ParseDuration(option(c.args, "every", "10ms"))
	if err != nil || err2 != nil {
		c.fail("want a first address and a duration after every")
		return
	}
	open := strings.Split(option(c.args, "open", ""), ",")
	at, target := c.at, first
	for range c.number("count", 1) {
		for _, text := range strings.Split(option(c.args, "ports", ""), ",") {
			port, err := strconv.ParseUint(text, 10, 16)
			if err != nil {
				c.fail("ports: %q", text)
				return
			}
			answer := craft.Silent
			if slices.Contains(open, target.String()) || open[0] == "all" {
				answer = craft.Open
			} else if c.has("closed") {
				answer = craft.Closed
			}
			c.n.Probe(at, c.actor, c.n.Host("", target), uint16(port), answer)
			at = at.Add(every)
		}
		target = target.Next()
	}
}

// sweep asks addresses one after the other whether they are there: by ARP, by an echo request, or by a datagram to a port.
func (c *call) sweep() {
	target, err := c.s.addr(c.word(0))
	every, err2 := time.ParseDuration(option(c.args, "every", "10ms"))
	by := option(c.args, "by", "")
	port, err3 := strconv.ParseUint(by, 10, 16)
	if err != nil || err2 != nil || err3 != nil && by != "arp" && by != "echo" {
		c.fail("want a first address, arp, echo or a port after by, and a duration after every")
		return
	}
	alive := strings.Split(option(c.args, "alive", ""), ",")
	for i := range c.number("count", 1) {
		at, to := c.at.Add(time.Duration(i)*every), c.n.Host("", target)
		answers := alive[0] == "all" || slices.Contains(alive, target.String())
		switch by {
		case "arp":
			c.n.ARP(at, c.actor, to, answers)
		case "echo":
			c.n.Ping(at, c.actor, to, 1, uint16(i+1), []byte("abcdefgh"), answers)
		default:
			c.n.Ask(at, c.actor, to, uint16(port), answers)
		}
		target = target.Next()
	}
}
