// Package detectors holds the nouns of detection: Detector, Rule, Finding, Evidence, Stage, Severity.
//
// A detector sees merged, ordered items of all shards from one goroutine, keeps bounded state keyed by host, and emits
// findings that explain themselves. Weights are log-likelihood ratios in nats; risk follows from them by one curve.
package detectors

import (
	"time"

	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/identity"
	"neuromast/sensor/packet"
)

// Stage is a step of an attack, in the order in which intrusions unfold.
type Stage uint8

// The stages.
const (
	StageDiscovery Stage = iota
	StageCredential
	StageLateral
	StageC2
	StageCollection
	StageExfiltration
	StageImpact
	StageImpairment // not a step but a modifier: defences weakened
)

var stageNames = [...]string{
	"discovery", "credential access", "lateral movement", "command and control", "collection", "exfiltration", "impact",
	"defense impairment",
}

func (s Stage) String() string { return stageNames[s] }

// Technique is an ATT&CK Enterprise technique together with the tactic it serves here.
type Technique struct {
	ID     string // T1021 or T1021.002
	Name   string // of the technique or sub-technique named by ID
	Tactic string // TA0008
}

// Rule describes one thing that a detector may say; the generated reference and the findings are made from it.
type Rule struct {
	ID    string // "scan.trw": stable, part of the contract
	Name  string // one line for people
	Stage Stage
	// Techniques lists what the rule's findings may name (a finding names at most three).
	Techniques []Technique
	Sides      Sides
}

// Sides is which directions of its conversations a rule must see: a tap, or asymmetric routing, may show one only.
type Sides uint8

// The sides; a rule that says nothing needs both. No rule does with the responder's packets alone.
const (
	BothSides       Sides = iota
	OriginatorAlone       // measured: the originator's packets are enough; the responder's only sharpen what is said
)

var sidesNames = [...]string{"both directions", "the originator's packets"}

func (s Sides) String() string { return sidesNames[s] }

// HostKey is a host's address within its network.
type HostKey = flows.HostKey

// Evidence is one measured number beside what it is compared with.
type Evidence struct {
	Measure   string  // what was measured, in words
	Value     float64 // in Unit
	Unit      string
	Baseline  string  // what is usual here, in words; "none" where nothing was learnt
	Threshold string  // what would have been enough, in words; empty where the fact itself is the evidence
	Nats      float64 // contribution to the finding's weight
}

// State is where a finding stands in its life.
type State uint8

// The states. A finding is published when it opens, again when it grows materially, and once more when it closes;
// one that is over when it is first said is published once, closed.
const (
	StateOpen State = iota
	StateUpdate
	StateClose
)

var stateNames = [...]string{"open", "update", "close"}

func (s State) String() string { return stateNames[s] }

// Quality says what the sensor could not see in a finding's window.
type Quality struct {
	LostBytes     uint64  // bytes missing from streams that parsers read
	OneSidedShare float64 // share of TCP and UDP flows of which one direction was seen only
	Truncated     uint64  // packets that the capture cut
	Evicted       uint64  // flows ended by the table's budget
	KernelDrops   uint64  // packets that the kernel or the network card dropped
	Duplicates    uint64  // packets that a mirror copied twice
	ShedBytes     uint64  // payload that the sensor had no time for
	Sampled       uint64  // packets that the sensor had no time for
	BaselineDays  float64 // days of packet time learnt before the finding
}

// Limits of what one finding carries.
const (
	MaxTechniques = 3
	MaxFlows      = 16
	MaxRefs       = 32
)

// Known is what was known of a host when a finding was made.
type Known struct {
	ID    string // as identity.Host.ID; a finding keeps that of its first revision
	Name  string // empty: none
	MAC   packet.MAC
	By    identity.Evidence // what the id is taken from
	Since packet.Time       // when the host was first seen; 0: never
}

// Finding is one explained statement about one actor. The detector fills all but Revision, Quality and, unless the
// finding is over at once, State; the engine numbers revisions by ID.
type Finding struct {
	Rule           *Rule
	At             packet.Time   // when it became known
	Start, End     packet.Time   // of what it tells
	WindowStart    packet.Time   // part of the identity: rule, actor, target and window start name a finding
	Actor          HostKey       // who acts: one address
	Target         HostKey       // whom it reaches; zero Addr where there is no single one or it is a domain
	ActorHost      Known         // the engine fills both
	TargetHost     Known         // zero where there is no single target
	Domain         string        // target as registered domain, lower case, no trailing dot
	Related        []packet.Addr // every further host involved, targets of a scan for instance; capped by the detector
	Users          []string
	LLR            float64 // nats
	Message        string  // one sentence with the numbers that matter: who did what to whom, how sure
	Techniques     []Technique
	Evidence       []Evidence
	Counterfactual string   // the smallest change that would have silenced it
	LookAlikes     []string // benign things that look the same, and how this differs
	Filter         string   // Wireshark display filter for the packets that prove it
	NextSteps      []string // what a person does next, most useful first
	Conns          []flows.Conn
	Refs           []flows.Ref // frames that prove it
	Indirect       bool        // the target was reached over other hosts: their steps are told by signals of their own
	Causes         []Cause     // earlier signals that may have led to it, where the detector knows
	Over           bool        // the window has ended: published once, closed
	Grew           bool        // tells much more than the last revision said: worth an update in the same severity band

	Revision int
	State    State
	Quality  Quality
}

// Severity is the band of a risk score.
type Severity uint8

// The bands with their lower bounds of risk.
const (
	Informational Severity = iota // below 21
	Low                           // 21
	Medium                        // 47
	High                          // 73
	Critical                      // 99
)

var severityNames = [...]string{"informational", "low", "medium", "high", "critical"}

func (s Severity) String() string { return severityNames[s] }

// Risk maps a weight in nats to event.risk_score, linearly through 1 -> 21, 3 -> 47, 6 -> 73, 9 -> 99; at most 100.
func Risk(llr float64) float64 {
	points := [...][2]float64{{0, 0}, {1, 21}, {3, 47}, {6, 73}, {9, 99}}
	if llr <= 0 {
		return 0
	}
	for i := 1; i < len(points); i++ {
		if a, b := points[i-1], points[i]; llr <= b[0] {
			return a[1] + (llr-a[0])/(b[0]-a[0])*(b[1]-a[1])
		}
	}
	return min(100, 99+(llr-9)/3)
}

// SeverityOf returns the band of a risk score.
func SeverityOf(risk float64) Severity {
	switch {
	case risk >= 99:
		return Critical
	case risk >= 73:
		return High
	case risk >= 47:
		return Medium
	case risk >= 21:
		return Low
	}
	return Informational
}

// Env is what the engine lends a detector for the time of one call.
type Env interface {
	Now() packet.Time    // packet time of the item, or of the deadline
	Batch() *flows.Batch // where the item's texts lie; nil in Wake
	Internal(packet.Addr) bool
	// Host returns who has an address now: never nil, Number 0 where nobody is known there. Tables of a detector are best
	// keyed by Host.Number (or Record.Hosts), which stays when a lease moves. Lent until the next item.
	Host(HostKey) *identity.Host
	// Graph tells who has talked to whom before this item, and what hosts are for.
	Graph() *hostgraph.Graph
	Emit(*Finding)                       // takes the finding over
	Signal(*Finding)                     // tells the correlation without a finding: evidence too weak to be shown by itself
	WakeAt(at packet.Time, token uint64) // asks for a Wake at a packet time after Now; tokens are the detector's own
}

// Detector is the plug point. The engine calls it from one goroutine in the order of packet time; a detector implements
// those of the watcher interfaces that it needs. Findings must not depend on map order, addresses in memory or time of day.
type Detector interface {
	Rules() []*Rule
	Doc() string // the package comment: the detector's specification, printed by `neuromast detectors`
}

// Bounded is a Detector that counts what its bounds push out, in entries; metrics and health tell it by detector.
type Bounded interface{ Evicted() uint64 }

// The watchers: each typed method gets one kind of item, borrowed for the call.
type (
	// FlowWatcher sees every flow record.
	FlowWatcher interface {
		Flow(Env, *flows.Record)
	}
	// DNSWatcher sees every DNS transaction.
	DNSWatcher interface {
		DNS(Env, *flows.DNS)
	}
	// TLSWatcher sees every ClientHello.
	TLSWatcher interface {
		TLS(Env, *flows.TLS)
	}
	// SMBWatcher sees every SMB operation.
	SMBWatcher interface {
		SMB(Env, *flows.SMB)
	}
	// RPCWatcher sees every DCE/RPC call.
	RPCWatcher interface {
		RPC(Env, *flows.RPC)
	}
	// AuthWatcher sees every authentication.
	AuthWatcher interface {
		Auth(Env, *flows.Auth)
	}
	// KerberosWatcher sees every exchange with a key distribution centre.
	KerberosWatcher interface {
		Kerberos(Env, *flows.Kerberos)
	}
	// HTTPWatcher sees every request of HTTP/1.
	HTTPWatcher interface {
		HTTP(Env, *flows.HTTP)
	}
	// ARPWatcher sees every ARP message.
	ARPWatcher interface {
		ARP(Env, *flows.ARP)
	}
	// DHCPWatcher sees every DHCP message.
	DHCPWatcher interface {
		DHCP(Env, *flows.DHCP)
	}
	// RDPWatcher sees every opening of a remote desktop connection.
	RDPWatcher interface {
		RDP(Env, *flows.RDP)
	}
	// SSHWatcher sees every opening of an SSH connection.
	SSHWatcher interface {
		SSH(Env, *flows.SSH)
	}
	// SessionWatcher sees every shape of a session.
	SessionWatcher interface {
		Session(Env, *flows.Session)
	}
	// LDAPWatcher sees every operation on a directory.
	LDAPWatcher interface {
		LDAP(Env, *flows.LDAP)
	}
	// SQLWatcher sees every statement sent to a database.
	SQLWatcher interface {
		SQL(Env, *flows.SQL)
	}
	// Waker is called at the deadlines it asked for, and with end set when the input is over.
	Waker interface {
		Wake(Env, uint64)
		End(Env)
	}
)

// Quiet is how long a finding of no fixed window stays open after its last evidence, in packet time; chosen by us so
// that one intrusion step is one finding.
const Quiet = 10 * time.Minute
