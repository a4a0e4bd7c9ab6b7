package incident

import (
	"neuromast/detectors"
	"neuromast/sensor/packet"
)

// Role is what a host is in an attack.
type Role string

// The roles.
const (
	FirstSeen   Role = "first seen"  // the earliest host that acts
	Pivot       Role = "pivot"       // was reached, then acted
	Actor       Role = "actor"       // acts, and how it was reached is not known
	Target      Role = "target"      // was aimed at
	Destination Role = "destination" // outside; commands came from there or data went there
)

// Host is a host in an incident.
type Host struct {
	Key   detectors.HostKey // the address it had first
	ID    string            // as detectors.Known.ID; empty: not known
	Name  string            // for people; empty: not known
	Role  Role
	First packet.Time // when it first has a part in the incident
	Nats  float64     // evidence about it as an actor
}

// Span is a stage of an incident in time.
type Span struct {
	Stage      detectors.Stage
	Start, End packet.Time
	Signals    int
}

// Part is one term of the score.
type Part struct {
	Name string
	Nats float64
}

// Move is a step from one host to the next: the first reached the second, which then acted.
type Move struct {
	From, To detectors.HostKey
	At       packet.Time // when To was reached
	P        float64     // that To's acts come from it
	Signal   string      // id of the signal that reached To
}

// Response is a proposed act: a person decides.
type Response struct {
	Action      string // of OpenC2: contain, deny, set, investigate
	Target      string
	Reason      string
	Confidence  string // low, medium, high
	Reversible  bool
	Approval    string // who must agree
	BlastRadius string // what else it stops
}

// Bounds of what one record of an incident shows.
const (
	MaxHosts    = 64
	MaxTimeline = 256
)

// Incident is one record of an attack's story: a value, complete at each revision.
type Incident struct {
	ID           string
	Revision     int
	State        detectors.State
	SupersededBy string // id of the incident that this one became a part of
	At           packet.Time
	Start, End   packet.Time // of what it tells
	Score        float64     // nats
	Parts        []Part
	Single       bool // holds a signal that stands alone
	Message      string
	Stages       []Span // in the order in which they began
	Hosts        []Host // first seen first, then by time
	Moves        []Move
	Domains      []string
	Users        []string
	Timeline     []*detectors.Signal // in the order of their start; MaxTimeline at most
	Left         int                 // signals that the timeline has no room for
	Techniques   []detectors.Technique
	Responses    []Response
	Limits       []string // what weakens it, in words
	Quality      detectors.Quality
}

// standalone is the weight from which one signal makes an incident by itself.
const standalone = 9

// Risk maps a score to event.risk_score, linearly through 6.9 -> 21, 9.3 -> 47, 11.5 -> 73, 16 -> 99: 1, 10, 50 and 99 %
// with a prior of 1e-5. A signal that stands alone makes it high.
func (i *Incident) Risk() float64 {
	points := [...][2]float64{{0, 0}, {6.9, 21}, {9.3, 47}, {11.5, 73}, {16, 99}}
	risk := 0.0
	switch {
	case i.Score >= 16:
		risk = min(100, 99+(i.Score-16)/8)
	case i.Score > 0:
		for k := 1; k < len(points); k++ {
			if a, b := points[k-1], points[k]; i.Score <= b[0] {
				risk = a[1] + (i.Score-a[0])/(b[0]-a[0])*(b[1]-a[1])
				break
			}
		}
	}
	if i.Single {
		risk = max(risk, 73)
	}
	return risk
}

// Severity returns the band of the incident's risk.
func (i *Incident) Severity() detectors.Severity { return detectors.SeverityOf(i.Risk()) }

// First returns the host that acted first.
func (i *Incident) First() detectors.HostKey {
	for _, h := range i.Hosts {
		if h.Role == FirstSeen {
			return h.Key
		}
	}
	return detectors.HostKey{}
}
