package packet

// LinkType is a LINKTYPE_ value of the pcap and pcapng formats (tcpdump.org, link-layer header types).
type LinkType uint16

// The link types that the decoder reads.
const (
	LinkNull      LinkType = 0   // BSD loopback, host byte order of the capturing machine
	LinkEthernet  LinkType = 1   // IEEE 802.3
	LinkPPP       LinkType = 9   // PPP
	LinkFDDI      LinkType = 10  // FDDI
	LinkRawBSD    LinkType = 12  // raw IP, as some BSDs number it
	LinkRawOBSD   LinkType = 14  // raw IP, OpenBSD
	LinkPPPSerial LinkType = 50  // PPP in HDLC framing
	LinkPPPoE     LinkType = 51  // PPPoE session
	LinkRaw       LinkType = 101 // raw IPv4 or IPv6
	LinkWLAN      LinkType = 105 // IEEE 802.11
	LinkLoop      LinkType = 108 // OpenBSD loopback, network byte order
	LinkSLL       LinkType = 113 // Linux cooked v1
	LinkWLANRadio LinkType = 127 // IEEE 802.11 behind a radiotap header
	LinkPPI       LinkType = 192 // per-packet information, then another link type
	LinkIPv4      LinkType = 228
	LinkIPv6      LinkType = 229
	LinkNFLOG     LinkType = 239
	LinkSLL2      LinkType = 276 // Linux cooked v2
)
