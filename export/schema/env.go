package schema

import (
	"strconv"

	"neuromast/flows"
	"neuromast/flows/enrich"
	"neuromast/sensor/packet"
)

// Versions that every record names.
const (
	ECSVersion    = "9.4.0"
	AttackVersion = "19.2" // MITRE ATT&CK Enterprise
	Version       = "1"    // of our own JSON Schemas; it changes when a consumer must
)

// The datasets: event.dataset of each kind of record, and its schema's name towards Kafka.
const (
	FlowDataset     = "neuromast.flow"
	DNSDataset      = "neuromast.dns"
	FindingDataset  = "neuromast.finding"
	IncidentDataset = "neuromast.incident"
	SignalDataset   = "neuromast.signal"
)

// Config says what records tell about the sensor and the site.
type Config struct {
	SensorID string // observer.name
	Hostname string // observer.hostname; left out where empty
	Version  string // observer.version
	Site     *enrich.Site
	Inputs   []string                  // names of inputs by the index that flows.Ref holds
	Segments map[packet.Segment]string // network.name of segments that have a name
}

// Env is what the writers need besides the record. It does not change after NewEnv, so writers on several goroutines may
// share it.
type Env struct {
	site     *enrich.Site
	inputs   [][]byte // as JSON strings
	segments map[packet.Segment]string
	observer []byte // `,"observer":{…}`
}

// NewEnv prepares an environment.
func NewEnv(c Config) *Env {
	e := &Env{site: c.Site, segments: c.Segments}
	for _, name := range c.Inputs {
		e.inputs = append(e.inputs, appendString(nil, name))
	}
	b := append(e.observer, `,"observer":{"type":"sensor","vendor":"Neuromast","product":"Neuromast","version":`...)
	b = appendString(b, c.Version)
	b = append(b, `,"name":`...)
	b = appendString(b, c.SensorID)
	if c.Hostname != "" {
		b = append(b, `,"hostname":`...)
		b = appendString(b, c.Hostname)
	}
	e.observer = append(b, '}')
	return e
}

// appendRef appends where something was seen: {"input":"a.pcap","frame":7}.
func (e *Env) appendRef(b []byte, r flows.Ref) []byte {
	b = append(b, `{"input":`...)
	if int(r.Input) < len(e.inputs) {
		b = append(b, e.inputs[r.Input]...)
	} else { // an input that came later than e; its number still tells it apart
		b = append(b, '"', '#')
		b = strconv.AppendUint(b, uint64(r.Input), 10)
		b = append(b, '"')
	}
	b = appendUint(b, `,"frame":`, r.Frame)
	return append(b, '}')
}

// direction returns network.direction from the originator's point of view.
func (e *Env) direction(from, to packet.Addr) string {
	if e.site == nil {
		return "unknown"
	}
	switch in, out := e.site.Internal(from), e.site.Internal(to); {
	case in && out:
		return "internal"
	case in:
		return "outbound"
	case out:
		return "inbound"
	}
	return "external"
}

// appendNetwork appends the head of "network" that every record shares, left open: type and direction.
func (e *Env) appendNetwork(b []byte, from, to packet.Addr) []byte {
	if from.Is4() {
		b = append(b, `,"network":{"type":"ipv4","direction":"`...)
	} else {
		b = append(b, `,"network":{"type":"ipv6","direction":"`...)
	}
	b = append(b, e.direction(from, to)...)
	return append(b, '"')
}

// appendTransport appends protocol number and name.
func appendTransport(b []byte, p packet.Proto) []byte {
	if p == packet.ProtoNone {
		return b
	}
	b = appendUint(b, `,"iana_number":"`, uint64(p))
	b = append(b, '"')
	if name := transportName(p); name != "" {
		b = append(b, `,"transport":"`...)
		b = append(b, name...)
		b = append(b, '"')
	}
	return b
}

// transportName is the protocol's IANA keyword in lower case, empty for those that the sensor doesn't name.
func transportName(p packet.Proto) string {
	switch p {
	case packet.ProtoTCP:
		return "tcp"
	case packet.ProtoUDP:
		return "udp"
	case packet.ProtoICMP:
		return "icmp"
	case packet.ProtoICMPv6:
		return "ipv6-icmp"
	case packet.ProtoIGMP:
		return "igmp"
	case packet.ProtoGRE:
		return "gre"
	case packet.ProtoESP:
		return "esp"
	case packet.ProtoAH:
		return "ah"
	case packet.ProtoSCTP:
		return "sctp"
	}
	return ""
}

// hasPorts says that a Conn's ports are ports.
func hasPorts(p packet.Proto) bool {
	return p == packet.ProtoTCP || p == packet.ProtoUDP || p == packet.ProtoSCTP
}

// appendSegment appends what "network" tells of the segment: its configured name, else that of a virtual network, and
// its VLAN ids.
func (e *Env) appendSegment(b []byte, s packet.Segment) []byte {
	outer, inner := s.VLAN()
	name, ok := e.segments[s]
	if !ok && outer == 0 {
		name = s.String()
	}
	if name != "" {
		b = append(b, `,"name":`...)
		b = appendString(b, name)
	}
	return appendVLAN(b, outer, inner)
}

// appendVLAN appends the VLAN ids of "network"; 0 is none.
func appendVLAN(b []byte, outer, inner uint16) []byte {
	if outer != 0 {
		b = appendUint(b, `,"vlan":{"id":"`, uint64(outer))
		b = append(b, `"}`...)
	}
	if inner != 0 {
		b = appendUint(b, `,"inner":{"vlan":{"id":"`, uint64(inner))
		b = append(b, `"}}`...)
	}
	return b
}
