package packet

import "math/bits"

// Anomaly is a named way in which a frame is not what its headers promise. Names are part of the output contract
// (summary.json packets.anomalies) and never change their meaning.
type Anomaly uint8

// The anomalies that decoding can find. Bit positions in AnomalySet, so at most 64.
const (
	TruncatedFrame     Anomaly = iota // the capture holds less than a header needs
	UnknownLink                       // link type that the decoder doesn't read
	UnknownEtherType                  // network protocol that the decoder doesn't read
	TooManyTags                       // more VLAN tags or tunnels than the decoder follows
	BadIPVersion                      // version nibble contradicts the link layer
	BadIPHeaderLen                    // IPv4 header length below 20 or beyond the packet
	BadIPTotalLen                     // IP length below its header, or beyond the frame on the wire
	BadIPExtension                    // IPv6 extension header chain is malformed or too long
	FragmentOverlap                   // fragments of one packet overlap, other than by exact repetition
	IPFragment                        // a fragment
	BadTCPOffset                      // TCP data offset below 20 or beyond the segment
	BadTCPFlags                       // flag combination that no stack sends (SYN+FIN, SYN+RST, none)
	BadUDPLen                         // UDP length below 8 or beyond the IP payload
	BadARP                            // ARP message with impossible lengths
	BadICMP                           // ICMP message shorter than its header
	SnapLenCut                        // capture shorter than the packet on the wire; payload is incomplete
	TunnelNotDecoded                  // a tunnel that this version doesn't look into
	FragmentBeyond                    // fragment that reaches behind the 65,535 bytes of a packet
	FragmentIncomplete                // fragments given up before their packet was whole: time or memory ran out
	EncryptedWLAN                     // an encrypted IEEE 802.11 frame: what it carries can't be seen
	TimeBackwards                     // packet time lies before a packet read earlier, farther than the reader sorts
	TimeLeap                          // a lone packet far in the future: taken at the time of those before it
	NumAnomalies                      // how many there are; keep last
)

var anomalyNames = [NumAnomalies]string{
	"truncated_frame", "unknown_link", "unknown_ethertype", "too_many_tags", "bad_ip_version", "bad_ip_header_len",
	"bad_ip_total_len", "bad_ip_extension", "fragment_overlap", "ip_fragment", "bad_tcp_offset", "bad_tcp_flags",
	"bad_udp_len", "bad_arp", "bad_icmp", "snaplen_cut", "tunnel_not_decoded", "fragment_beyond", "fragment_incomplete",
	"encrypted_wlan", "time_backwards", "time_leap",
}

func (a Anomaly) String() string { return anomalyNames[a] }

// AnomalySet is the anomalies of one frame.
type AnomalySet uint64

// Add puts a into the set.
func (s *AnomalySet) Add(a Anomaly) { *s |= 1 << a }

// Has says whether a is in the set.
func (s AnomalySet) Has(a Anomaly) bool { return s&(1<<a) != 0 }

// Each calls f for every anomaly of the set.
func (s AnomalySet) Each(f func(Anomaly)) {
	for ; s != 0; s &= s - 1 {
		f(Anomaly(bits.TrailingZeros64(uint64(s))))
	}
}
