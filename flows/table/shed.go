package table

import "neuromast/flows"

// Shed is what is left undone while the sensor can't keep up. Each step adds to those before it. Counters, states and
// timeouts of all flows go on in every step.
type Shed uint8

// The steps, in the order in which work is given up: first what costs most and tells least. Calls over SMB and DCE/RPC are
// the last of the parsers over TCP, and DNS the last of all: they carry most of what detectors know.
const (
	ShedNothing Shed = iota
	ShedLarge        // connections past 256 KiB in a direction are only counted
	ShedTLS          // TLS is not parsed
	ShedTCP          // nothing over TCP is parsed
	ShedParsers      // nothing is parsed
)

var shedNames = [...]string{"nothing", "large_connections", "tls", "tcp_parsers", "parsers"}

func (s Shed) String() string { return shedNames[min(int(s), len(shedNames)-1)] }

// largeBytes is what a direction of a connection may carry before ShedLarge stops its parser. Chosen by us: what detectors
// use of a connection, but for files, stands in its first packets.
const largeBytes = 256 << 10

// SetShed says what is left undone from now on.
func (s *Shard) SetShed(step Shed) { s.shed = step }

// sheds says that the payload of a flow is not to be looked at.
func (s *Shard) sheds(f *flow, d flows.Dir) bool {
	switch {
	case s.shed == ShedNothing:
		return false
	case s.shed >= ShedTCP, s.shed >= ShedTLS && f.app == flows.AppTLS:
		return true
	}
	return f.n[d].PayloadBytes > largeBytes
}
