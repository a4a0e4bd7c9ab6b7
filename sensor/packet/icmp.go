package packet

// ICMPAnswer returns the ICMP or ICMPv6 type that answers a type, as community-id v1 pairs them, and false where a
// message is one-way.
func ICMPAnswer(p Proto, t uint8) (uint8, bool) {
	pairs := icmp4Pairs[:]
	if p == ProtoICMPv6 {
		pairs = icmp6Pairs[:]
	}
	for _, x := range pairs {
		switch t {
		case x[0]:
			return x[1], true
		case x[1]:
			return x[0], true
		}
	}
	return 0, false
}

// TwoWayICMP says whether messages of a type have an answer.
func TwoWayICMP(p Proto, t uint8) bool {
	_, ok := ICMPAnswer(p, t)
	return ok
}

// The pairs of request and answer (IANA ICMP and ICMPv6 parameters).
var (
	icmp4Pairs = [...][2]uint8{{8, 0}, {13, 14}, {15, 16}, {10, 9}, {17, 18}}
	icmp6Pairs = [...][2]uint8{{128, 129}, {133, 134}, {135, 136}, {130, 131}, {139, 140}, {144, 145}}
)
