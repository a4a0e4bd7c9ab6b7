package detectors

import (
	"strings"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Family groups rules whose evidence depends on one another: two of one family about one host say less than twice as much.
type Family uint8

// The families.
const (
	FamilySemantics  Family = iota // what protocols say outright: calls, files, commands, violations
	FamilyScanning                 // contacts that fail
	FamilyNovelty                  // contacts that were never there before
	FamilyCredential               // names, passwords, tickets, directories, poisoned answers
	FamilyRhythm                   // contacts at regular times
	FamilyVolume                   // amounts of data
	FamilyNames                    // what DNS carries
	NumFamilies
)

var familyNames = [NumFamilies]string{"protocol semantics", "scanning", "novelty", "credentials", "rhythm", "volume", "names"}

func (f Family) String() string { return familyNames[f] }

// families maps the first word of a rule's id to its family.
var families = map[string]Family{
	"rpc": FamilySemantics, "smb": FamilySemantics, "winrm": FamilySemantics, "sql": FamilySemantics, "sess": FamilySemantics,
	"scan": FamilyScanning, "graph": FamilyNovelty, "auth": FamilyCredential, "ldap": FamilyCredential, "l2": FamilyCredential,
	"c2": FamilyRhythm, "exf": FamilyVolume, "dns": FamilyNames,
}

// FamilyOf returns the family of a rule by its id; semantics where no other is known.
func FamilyOf(rule string) Family {
	area, _, _ := strings.Cut(rule, ".")
	return families[area]
}

// Cause is an earlier signal that may have led to one: somebody's act on the host that acts now.
type Cause struct {
	ID string  // of the signal
	P  float64 // probability that it did, 0 to 1
}

// MaxCauses is how many causes a signal names, the likeliest first.
const MaxCauses = 4

// Signal is one weak or strong statement of one sensor about one host: all that the correlation over hosts and sensors is
// fed with. It is a value without references to a batch. A later signal of the same ID replaces the earlier one.
type Signal struct {
	ID         string // as Finding.ID: names the statement for ever
	Sensor     string
	Rule       string // id
	Name       string // the rule's, for people
	Stage      Stage
	Actor      HostKey // who acts
	Peer       HostKey // whom it reaches; zero Addr: none, or several, or a domain
	ActorHost  Known
	PeerHost   Known
	Domain     string
	Users      []string
	LLR        float64 // nats
	At         packet.Time
	Start, End packet.Time // of what it tells
	Techniques []Technique
	Message    string
	Causes     []Cause
	Reaches    bool // the actor may act through Peer from Start on: it ran something there, or held a session
	Finding    bool // a finding of this ID was published; else it is evidence only
	Conns      []flows.Conn
	Refs       []flows.Ref
	Quality    Quality
}

// Family returns the family of the signal's rule.
func (s *Signal) Family() Family { return FamilyOf(s.Rule) }

// reachFrom is the weight from which a finding about a move between hosts says that the actor got there; chosen by us: below
// stand queries and sessions that everybody has, whose chains rule graph.path tells.
const reachFrom = 3

// reaches says whether who did what a finding tells may act through its target from then on: moves between hosts, and
// log-ins that worked. Evidence of no weight is a step that a detector tells for its own sake.
func (f *Finding) reaches() bool {
	if f.Target.Addr == (packet.Addr{}) || f.Indirect {
		return false
	}
	if f.Rule.Stage == StageLateral {
		return f.LLR >= reachFrom || f.LLR == 0
	}
	for _, t := range f.Techniques {
		if t.ID == "T1078" { // a valid account was used
			return true
		}
	}
	return false
}

// signalConns and signalRefs bound what a signal shows as proof; its finding holds the rest.
const (
	signalConns = 4
	signalRefs  = 4
)

// Signal returns what a finding tells the correlation.
func (f *Finding) Signal(sensor string) *Signal {
	return &Signal{
		ID: f.ID(), Sensor: sensor, Rule: f.Rule.ID, Name: f.Rule.Name, Stage: f.Rule.Stage, Actor: f.Actor, Peer: f.Target, ActorHost: f.ActorHost, PeerHost: f.TargetHost, Domain: f.Domain,
		Users: f.Users, LLR: f.LLR, At: f.At, Start: f.Start, End: f.End, Techniques: f.Techniques, Message: f.Message, Causes: f.Causes,
		Reaches: f.reaches(), Finding: true, Conns: f.Conns[:min(len(f.Conns), signalConns)], Refs: f.Refs[:min(len(f.Refs), signalRefs)],
		Quality: f.Quality,
	}
}
