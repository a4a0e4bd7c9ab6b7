package identity

import (
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Evidence says how a host, or its name, is known; better is greater.
type Evidence uint8

// The kinds of evidence.
const (
	ByAddress     Evidence = iota // nothing but its address
	ByWorkstation                 // the workstation of an NTLM log-in that it made
	ByOwnName                     // multicast DNS or NetBIOS: a name for its own address
	ByLeaseName                   // DHCP option 12
	ByServerName                  // its NTLM challenge
	ByARP                         // hardware address on this link
	ByKerberos                    // proved the key of a machine account
	ByDHCP                        // client identifier or hardware address of its lease
)

var evidenceNames = [...]string{"address", "NTLM workstation", "own name", "lease name", "NTLM server name", "ARP", "Kerberos", "DHCP"}

func (e Evidence) String() string { return evidenceNames[e] }

// Host is a machine as far as it is known. What a Table lends must not be changed, and is current until the next item.
type Host struct {
	Number flows.HostNumber
	ID     string      // see the package comment
	By     Evidence    // what ID is taken from
	Name   string      // for people: lower case, with its domain where that is known; empty: none
	NameBy Evidence    // what Name is taken from
	MAC    packet.MAC  // hardware address; zero where it is not known
	Since  packet.Time // first seen
	Shared bool        // several machines stand behind its address: a translating router, a proxy

	machine string     // key of the machine name that it proved
	keys    []string   // everything under which it is indexed
	at      []*binding // addresses that it has now
	used    packet.Time
	nameAt  packet.Time // when Name was last said
	leased  bool        // a DHCP lease named it
}

// HasLease says that a host was seen to get its address by DHCP.
func (h *Host) HasLease() bool { return h.leased }

// Interval is how long an address was a host's: from From until before Until; 0 while it lasts.
type Interval struct {
	From, Until packet.Time
	Number      flows.HostNumber
	ID          string // as of its end
}

// ChangeKind says what a Change is.
type ChangeKind uint8

// The changes.
const (
	Opened    ChangeKind = iota // an address is a host's from now on
	Closed                      // it is no more
	Alias                       // what was said of Old goes on under Host; the number too where it differs
	Contested                   // evidence that was not believed: Old is the id that was claimed for Key
)

var changeNames = [...]string{"open", "close", "alias", "contested"}

func (k ChangeKind) String() string { return changeNames[k] }

// Change is one step in what is known.
type Change struct {
	Kind      ChangeKind
	At        packet.Time
	Key       flows.HostKey
	Host      *Host            // the host concerned; lent for the call
	Old       string           // Alias, Contested
	OldNumber flows.HostNumber // Alias: the number that ends; 0 where it stays
	Interval  Interval         // Closed
}

// binding is an address and who has it.
type binding struct {
	key      flows.HostKey
	host     *Host
	since    packet.Time
	last     packet.Time // last packet that it sent, by flow records
	hardware packet.Time // when its hardware address was last confirmed
	machine  packet.Time // when its machine's name was last confirmed
	lease    packet.Time // when its lease runs out; 0: no lease
	client   string      // key of the client that has the lease
	frame    packet.MAC  // of the last frames it sent
	rivals   [3]uint64   // hashes of machine names that were contested here
}
