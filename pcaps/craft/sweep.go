package craft

import "time"

// snmpGet asks for the system's description (RFC 3416, 4.2.1; community "public"): what SNMP sweeps send.
var snmpGet = []byte{
	0x30, 0x26, 0x02, 0x01, 0x01, 0x04, 0x06, 'p', 'u', 'b', 'l', 'i', 'c', 0xa0, 0x19, 0x02, 0x01, 0x01, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00,
	0x30, 0x0e, 0x30, 0x0c, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x02, 0x01, 0x01, 0x01, 0x00, 0x05, 0x00,
}

// Ask sends one datagram to a UDP port: an SNMP question, which a machine that is alive gives back as an answer.
func (n *Net) Ask(at time.Time, from, to *Host, port uint16, answered bool) {
	p := from.Ephemeral()
	n.UDP(at, from, to, p, port, snmpGet)
	if answered {
		answer := append([]byte(nil), snmpGet...)
		answer[13] = 0xa2 // a response
		n.UDP(at.Add(2*n.Inside), to, from, port, p, answer)
	}
}
