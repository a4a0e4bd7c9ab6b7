// Package scenario reads short descriptions of what happens on a network and has them crafted as packets: the captures
// of the demo and the tests, each with what it must yield.
//
// A description is lines; # begins a comment. Head lines come first:
//
//	title Office morning
//	start 2026-03-02T08:00:00Z          packet time of 00:00:00 below
//	seed 7                               decides everything random
//	host anna-pc 10.20.1.21 [vlan 12]    a name for an address
//
// then events, each at an offset from the start, and expectations:
//
//	00:00:03 anna-pc dns dc1 A www.example.com = 192.0.2.10
//	00:10:00 every 5m jitter 20% for 2h: anna-pc web 192.0.2.10 www.example.com up 900 down 48000
//	expect rpc.seq mallory-pc -> fs1 risk 73
//	expect quiet                         nothing of risk 47 or more but what is expected
//
// The verbs are listed by Verbs. Sizes take k and m (1,000 and 1,000,000 bytes), durations Go's form.
package scenario

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"neuromast/pcaps/craft"
)

// Scenario is a parsed description.
type Scenario struct {
	Title  string
	Start  time.Time
	Seed   uint64
	Expect []Expectation
	Quiet  bool // no finding of risk 47 or more but those expected
	hosts  map[string]host
	events []event
}

type host struct {
	addr netip.Addr
	vlan uint16
}

// Expectation is a finding that the capture must yield.
type Expectation struct {
	Rule   string
	Actor  netip.Addr
	Target string // address or domain; empty: any
	Risk   float64
}

type event struct {
	line   int
	at     time.Duration
	every  time.Duration // 0: once
	jitter float64       // share of every, uniform, earlier only
	length time.Duration
	actor  string
	verb   string
	args   []string
}

// Parse reads a description; errors name the line.
func Parse(text string) (*Scenario, error) {
	s := &Scenario{Seed: 1, hosts: map[string]host{}}
	sc := bufio.NewScanner(strings.NewReader(text))
	for n := 1; sc.Scan(); n++ {
		line, _, _ := strings.Cut(sc.Text(), "#")
		words, err := split(line)
		if err == nil && len(words) > 0 {
			err = s.parseLine(n, words)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if s.Start.IsZero() {
		return nil, fmt.Errorf("no start line")
	}
	return s, nil
}

func (s *Scenario) parseLine(n int, w []string) (err error) {
	switch w[0] {
	case "title":
		s.Title = strings.Join(w[1:], " ")
	case "start":
		s.Start, err = time.Parse(time.RFC3339, arg(w, 1))
	case "seed":
		s.Seed, err = strconv.ParseUint(arg(w, 1), 10, 64)
	case "host":
		var h host
		if h.addr, err = netip.ParseAddr(arg(w, 2)); err == nil && arg(w, 3) == "vlan" {
			var id uint64
			id, err = strconv.ParseUint(arg(w, 4), 10, 12)
			h.vlan = uint16(id)
		}
		s.hosts[arg(w, 1)] = h
	case "expect":
		return s.parseExpect(w[1:])
	default:
		return s.parseEvent(n, w)
	}
	return err
}

func (s *Scenario) parseExpect(w []string) error {
	if arg(w, 0) == "quiet" {
		s.Quiet = true
		return nil
	}
	if len(w) < 4 {
		return fmt.Errorf("want: expect RULE ACTOR [-> TARGET] risk N")
	}
	actor, err := s.addr(w[1])
	if err != nil {
		return err
	}
	e := Expectation{Rule: w[0], Actor: actor}
	if w[2] == "->" {
		e.Target = w[3]
		if a, err := s.addr(w[3]); err == nil {
			e.Target = a.String()
		}
	}
	e.Risk, err = strconv.ParseFloat(option(w, "risk", "47"), 64)
	s.Expect = append(s.Expect, e)
	return err
}

func (s *Scenario) parseEvent(n int, w []string) (err error) {
	e := event{line: n}
	if e.at, err = offset(w[0]); err != nil {
		return fmt.Errorf("%q is neither a head line nor a time hh:mm:ss", w[0])
	}
	w = w[1:]
	if arg(w, 0) == "every" {
		end := slices.IndexFunc(w, func(x string) bool { return strings.HasSuffix(x, ":") })
		if end < 0 {
			return fmt.Errorf("every: no colon before the event")
		}
		w[end] = strings.TrimSuffix(w[end], ":")
		head := w[:end+1]
		if e.every, err = time.ParseDuration(arg(head, 1)); err != nil {
			return err
		}
		if e.length, err = time.ParseDuration(option(head, "for", "")); err != nil {
			return fmt.Errorf("every: for: %w", err)
		}
		share, err := strconv.ParseFloat(strings.TrimSuffix(option(head, "jitter", "0%"), "%"), 64)
		if err != nil {
			return err
		}
		e.jitter = share / 100
		if e.every <= 0 || e.length <= 0 || e.length/e.every > 1e6 {
			return fmt.Errorf("every: want a positive period and at most a million events")
		}
		w = w[end+1:]
	}
	if len(w) < 2 {
		return fmt.Errorf("want: TIME HOST VERB …")
	}
	e.actor, e.verb, e.args = w[0], w[1], w[2:]
	if _, err := s.addr(e.actor); err != nil {
		return err
	}
	if _, ok := verbs[e.verb]; !ok {
		return fmt.Errorf("no verb %q; there are %s", e.verb, strings.Join(Verbs(), ", "))
	}
	s.events = append(s.events, e)
	return nil
}

// WriteTo crafts the packets and writes them as a pcap file.
func (s *Scenario) WriteTo(w io.Writer) (int64, error) {
	n := craft.New(s.Seed)
	names := make([]string, 0, len(s.hosts))
	for name := range s.hosts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		n.Host(name, s.hosts[name].addr).VLAN = s.hosts[name].vlan
	}
	for _, e := range s.events {
		for at, left := e.at, e.length; ; at, left = at+e.every, left-e.every {
			t := at
			if e.jitter > 0 {
				t -= time.Duration(n.Rand.Float64() * e.jitter * float64(e.every))
			}
			c := call{s: s, n: n, at: s.Start.Add(max(t, 0)), args: e.args}
			c.actor = c.host(e.actor)
			verbs[e.verb].do(&c)
			if c.err != nil {
				return 0, fmt.Errorf("line %d: %s: %w (usage: %s)", e.line, e.verb, c.err, verbs[e.verb].usage)
			}
			if e.every == 0 || left <= e.every {
				break
			}
		}
	}
	return n.WriteTo(w)
}

// addr resolves a host's name or an address.
func (s *Scenario) addr(name string) (netip.Addr, error) {
	if h, ok := s.hosts[name]; ok {
		return h.addr, nil
	}
	a, err := netip.ParseAddr(name)
	if err != nil {
		return a, fmt.Errorf("%q is neither a host nor an address", name)
	}
	return a, nil
}

// split cuts a line into words; double quotes keep spaces.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] == '"' {
			end := strings.IndexByte(line[1:], '"')
			if end < 0 {
				return nil, fmt.Errorf("a quote is not closed")
			}
			words, line = append(words, line[1:1+end]), line[2+end:]
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		words, line = append(words, line[:end]), line[end:]
	}
	return words, nil
}

// offset reads hh:mm:ss[.fff].
func offset(text string) (time.Duration, error) {
	p := strings.Split(text, ":")
	if len(p) != 3 {
		return 0, fmt.Errorf("not hh:mm:ss")
	}
	return time.ParseDuration(p[0] + "h" + p[1] + "m" + p[2] + "s")
}

func arg(w []string, i int) string {
	if i < len(w) {
		return w[i]
	}
	return ""
}

// option returns the word after name.
func option(w []string, name, otherwise string) string {
	if i := slices.Index(w, name); i >= 0 && i+1 < len(w) {
		return w[i+1]
	}
	return otherwise
}
