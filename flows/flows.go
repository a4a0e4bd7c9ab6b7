// Package flows holds the nouns of what hosts do to each other: the key of a conversation, the biflow Record, the facts
// that parsers read from a connection, and the Batch that a worker hands on.
//
// Everything here is a value. Times are packet time. The originator is the side that opened the connection (the sender
// of the SYN, else of the first packet seen, else the side that the content names as client); the responder is the other.
package flows

import (
	"neuromast/sensor/packet"
)

// NumShards is the number of logical shards that state is cut into. It is fixed, so that results don't depend on the
// number of workers: a worker owns whole shards.
const NumShards = 64

// Dir is a direction within a connection.
type Dir uint8

// The two directions, also used as index.
const (
	Orig Dir = iota // from the originator
	Resp            // from the responder
)

// Other returns the opposite direction.
func (d Dir) Other() Dir { return d ^ 1 }

// Key names a conversation in either direction: (Lo, LoPort) sorts before (Hi, HiPort). It is a map key without pointers.
type Key struct {
	Lo, Hi         packet.Addr
	LoPort, HiPort uint16
	Segment        packet.Segment
	Proto          packet.Proto
	_              [3]uint8
}

// HostKey is a host's address within its network.
type HostKey struct {
	Segment packet.Segment
	Addr    packet.Addr
}

// HostNumber is a host's number within one run of the sensor, given by flows/identity: it stays when the host's address
// changes, and is never given twice. 0: an address outside, or one that was never seen to send.
type HostNumber uint32

// Ref is where something was seen: the index of an input and the number of a frame in it, from 1 as Wireshark counts.
type Ref struct {
	Input uint32
	Frame uint64
}

// Conn names the connection that a record or a fact belongs to. Proto says whether the ports are ports: for ICMP and
// ICMPv6 OrigPort holds the type and RespPort the code or counter-type, as community-id wants them.
type Conn struct {
	ID                 uint64 // flow id: stable hash of key, first packet time and first frame; equal in every replay
	Start              packet.Time
	Orig, Resp         packet.Addr
	OrigPort, RespPort uint16
	Segment            packet.Segment
	Proto              packet.Proto
}

// Meta orders and locates an item: At is the packet time at which it became known, Shard and Seq make the order total,
// Ref is the frame that completed it. The sink fills At, Shard and Seq.
type Meta struct {
	At    packet.Time
	Seq   uint64
	Ref   Ref
	Shard uint8
}

// State is a connection's state in Zeek's vocabulary (conn_state).
type State uint8

// The connection states. For UDP and the like: S0 only the originator spoke, SF both, SHR only the responder.
const (
	StateNone State = iota
	S0              // attempt, no reply
	S1              // established, not ended
	SF              // normal establishment and end
	REJ             // attempt refused
	S2              // established, close by the originator seen only
	S3              // established, close by the responder seen only
	RSTO            // established, aborted by the originator
	RSTR            // aborted by the responder
	RSTOS0          // SYN followed by RST of the originator, no SYN-ACK
	RSTRH           // SYN-ACK followed by RST of the responder, no SYN
	SH              // SYN followed by FIN, no SYN-ACK
	SHR             // SYN-ACK followed by FIN, no SYN
	OTH             // no SYN seen: midstream
)

var stateNames = [...]string{"", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR", "OTH"}

func (s State) String() string { return stateNames[s] }

// App is an application protocol recognised by content, never by port alone.
type App uint8

// The application protocols that are recognised. Those with a parser yield facts; the others name the flow.
const (
	AppUnknown App = iota
	AppDNS
	AppTLS
	AppSMB
	AppDCERPC
	AppHTTP
	AppSSH
	AppKerberos
	AppLDAP
	AppRDP
	AppFTP
	AppSMTP
	AppNTP
	AppQUIC
	AppDHCP
	AppSNMP
	AppNBNS
	AppMDNS
	AppLLMNR
	AppSSDP
	AppTDS
	AppMySQL
	AppPostgres
	AppVNC
	AppTelnet
	AppSIP
	AppRTP
	AppSTUN
	AppWireGuard
	AppMQTT
	AppSyslog
	AppNFS
	AppBitTorrent
	AppModbus
	AppIMAP
	AppPOP3
	AppOpenVPN
	NumApps // keep last
)

var appNames = [NumApps]string{
	"", "dns", "tls", "smb", "dcerpc", "http", "ssh", "kerberos", "ldap", "rdp", "ftp", "smtp", "ntp", "quic", "dhcp",
	"snmp", "netbios-ns", "mdns", "llmnr", "ssdp", "tds", "mysql", "postgresql", "vnc", "telnet", "sip", "rtp", "stun",
	"wireguard", "mqtt", "syslog", "nfs", "bittorrent", "modbus", "imap", "pop3", "openvpn",
}

// String returns the name written to network.protocol; empty when unknown.
func (a App) String() string { return appNames[a] }

// Counters is what one direction of a connection carried.
type Counters struct {
	Packets      uint64
	IPBytes      uint64 // IP packets by their headers' lengths
	PayloadBytes uint64 // transport payload; TCP: distinct bytes by sequence number, as Zeek's orig_bytes
	Retransmits  uint32 // TCP segments that only repeat sequence numbers seen before
	Gaps         uint32 // TCP: holes that the other side acknowledged: bytes the sensor missed
	GapBytes     uint64
	ZeroWindows  uint32
	Flags        uint8 // TCP flags seen, or-ed
}

// MaxHistory is the longest history that a record keeps.
const MaxHistory = 22

// Record is a biflow: one conversation, or its state so far. Counters are cumulative; Delta holds what was added since
// the record before it. Open flows report every five minutes of packet time.
type Record struct {
	Meta
	Conn
	Last         packet.Time // last packet
	FirstRef     Ref
	LastRef      Ref
	Total, Delta [2]Counters // by Dir
	RTT          int64       // ns from SYN to the originator's ACK of the SYN-ACK, by packet time; 0 unknown
	Outer        Span        // of Batch.Tunnels: the tunnels around the first packet, outermost first
	Side         int32       // index of Batch.Sides, or -1: flows of at most 16 packets have none
	History      [MaxHistory]byte
	HistoryLen   uint8
	State        State
	App          App
	Final        bool   // the last record of this flow
	Unreachable  bool   // an ICMP error quoted this flow
	Evicted      bool   // ended by the table's budget, not by the network
	Report       uint32 // 1 for the first record of the flow, 2 for the second, …
	VLAN         [2]uint16
	NumVLAN      uint8
	OrigMAC      packet.MAC
	RespMAC      packet.MAC
	Hosts        [2]HostNumber // by Dir; who had the addresses at Last; flows/identity fills it behind the batch boundary
	Names        [2]Text       // by Dir; what those hosts are called, likewise
}

// HistoryString returns the connection's history in Zeek's letters (upper case: originator).
func (r *Record) HistoryString() string { return string(r.History[:r.HistoryLen]) }

// OneSided says that packets of only one direction were seen.
func (r *Record) OneSided() bool { return r.Total[Orig].Packets == 0 || r.Total[Resp].Packets == 0 }

// HalfSeen says that the sensor saw one direction of a conversation that may well have two: packets of one direction, and for
// TCP an acknowledgement among them, which an attempt that nobody answers has not.
func (r *Record) HalfSeen() bool {
	switch {
	case !r.OneSided():
		return false
	case r.Proto == packet.ProtoTCP:
		return (r.Total[Orig].Flags|r.Total[Resp].Flags)&packet.ACK != 0
	}
	return r.Proto == packet.ProtoUDP
}

// Side is the bounded record of the shape of a flow that went past 16 packets.
type Side struct {
	Sizes      [64]int16    // payload bytes of the first packets that carry payload; negative: from the responder
	Gaps       [64]uint32   // µs since the packet with payload before it; saturates
	Num        uint8        // how many of Sizes and Gaps are set
	From       packet.Time  // a whole minute: when Minutes begins
	Minutes    [6][2]uint64 // payload bytes per minute of packet time since the last report, by Dir; that of the report comes again in the next
	Bursts     [2]uint32    // runs of payload of one direction after more than one second without payload of it
	BurstBytes [2]uint64    // payload bytes of the latest burst
}
