package craft

import (
	"encoding/binary"
	"strings"
	"time"
)

// KDCAnswer is what a key distribution centre says to a first request.
type KDCAnswer uint8

// The answers (RFC 4120, 7.5.9).
const (
	KDCTicket    KDCAnswer = iota // the request proved the key
	KDCNoProof                    // a ticket, though the request proved nothing
	KDCUnknown                    // 6: no such principal
	KDCWrong                      // 24: the proof is wrong
	KDCAsksProof                  // 25: the first leg of every log-in
)

// The ciphers (RFC 3961, 8; RFC 4757).
const (
	AES256 = 18
	AES128 = 17
	RC4    = 23
)

func derInt(tag byte, v int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(v))
	for len(b) > 1 && b[0] == 0 && b[1] < 0x80 {
		b = b[1:]
	}
	return der(tag, der(0x02, b))
}

func derText(tag byte, s string) []byte { return der(tag, der(0x1b, []byte(s))) }

// principal is a PrincipalName (RFC 4120, 5.2.2).
func principal(kind int, name string) []byte {
	var parts [][]byte
	for _, p := range strings.Split(name, "/") {
		parts = append(parts, der(0x1b, []byte(p)))
	}
	return der(0x30, derInt(0xa0, kind), der(0xa1, der(0x30, parts...)))
}

// sealed is EncryptedData (RFC 4120, 5.2.9).
func sealed(n *Net, cipher, size int) []byte {
	return der(0x30, derInt(0xa0, cipher), der(0xa2, der(0x04, n.Bytes(size))))
}

func kdcTime(t time.Time) []byte { return der(0x18, []byte(t.UTC().Format("20060102150405Z"))) }

// kdcRequest is a KDC-REQ (RFC 4120, 5.4.1).
func kdcRequest(n *Net, at time.Time, kind byte, client, service, realm string, ciphers []int, padata ...[]byte) []byte {
	var etypes [][]byte
	for _, c := range ciphers {
		etypes = append(etypes, der(0x02, []byte{byte(c)}))
	}
	body := [][]byte{der(0xa0, der(0x03, []byte{0, 0x40, 0x81, 0, 0x10}))}
	if client != "" {
		body = append(body, der(0xa1, principal(1, client)))
	}
	body = append(body, derText(0xa2, realm), der(0xa3, principal(2, service)), der(0xa5, kdcTime(at.AddDate(0, 0, 1))),
		derInt(0xa7, int(n.Rand.Uint32()>>1)), der(0xa8, der(0x30, etypes...)))
	parts := [][]byte{derInt(0xa1, 5), derInt(0xa2, int(kind))}
	if len(padata) > 0 {
		parts = append(parts, der(0xa3, der(0x30, padata...)))
	}
	parts = append(parts, der(0xa4, der(0x30, body...)))
	return der(0x60|kind, der(0x30, parts...))
}

// kdcReply is a KDC-REP (RFC 4120, 5.4.2) with a ticket sealed by cipher; the client's part is AES.
func kdcReply(n *Net, kind byte, client, service, realm string, cipher int) []byte {
	ticket := der(0x61, der(0x30, derInt(0xa0, 5), derText(0xa1, realm), der(0xa2, principal(2, service)), der(0xa3, sealed(n, cipher, 700))))
	return der(0x60|kind, der(0x30, derInt(0xa0, 5), derInt(0xa1, int(kind)), derText(0xa3, realm), der(0xa4, principal(1, client)), der(0xa5, ticket),
		der(0xa6, sealed(n, AES256, 240))))
}

// kdcError is a KRB-ERROR (RFC 4120, 5.9.1).
func kdcError(at time.Time, code int, client, service, realm string) []byte {
	parts := [][]byte{derInt(0xa0, 5), derInt(0xa1, 30), der(0xa4, kdcTime(at)), derInt(0xa5, at.Nanosecond()/1000), derInt(0xa6, code)}
	if client != "" {
		parts = append(parts, derText(0xa7, realm), der(0xa8, principal(1, client)))
	}
	return der(0x7e, der(0x30, append(parts, derText(0xa9, realm), der(0xaa, principal(2, service)))...))
}

// kdc tells one exchange over UDP, or over TCP where the answer would not fit into a datagram.
func (n *Net) kdc(at time.Time, client, server *Host, request, reply []byte) time.Time {
	if len(reply) < 1400 && len(request) < 1400 {
		port := client.Ephemeral()
		n.UDP(at, client, server, port, 88, request)
		at = at.Add(2 * n.delay(client, server))
		n.UDP(at, server, client, 88, port, reply)
		return at
	}
	behind := func(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }
	c := n.Dial(at, client, server, 88)
	c.Client(behind(request))
	c.Server(behind(reply))
	c.Close()
	return c.Now
}

// padata is one element of pre-authentication data (RFC 4120, 5.2.7).
func padata(kind int, value []byte) []byte {
	return der(0x30, derInt(0xa1, kind), der(0xa2, der(0x04, value)))
}

// Kerberos tells the first exchange: a user asks for a ticket-granting ticket, and gets what answer says.
func (n *Net) Kerberos(at time.Time, client, server *Host, realm, user string, answer KDCAnswer, ciphers ...int) time.Time {
	if len(ciphers) == 0 {
		ciphers = []int{AES256, AES128, RC4}
	}
	service := "krbtgt/" + realm
	var pa [][]byte
	if answer == KDCTicket || answer == KDCWrong { // PA-ENC-TIMESTAMP
		pa = append(pa, padata(2, sealed(n, ciphers[0], 56)))
	}
	pa = append(pa, padata(128, der(0x30, der(0xa0, []byte{1, 1, 0xff}))))
	request := kdcRequest(n, at, 10, user, service, realm, ciphers, pa...)
	switch answer {
	case KDCUnknown:
		return n.kdc(at, client, server, request, kdcError(at, 6, "", service, realm))
	case KDCWrong:
		return n.kdc(at, client, server, request, kdcError(at, 24, "", service, realm))
	case KDCAsksProof:
		return n.kdc(at, client, server, request, kdcError(at, 25, "", service, realm))
	}
	return n.kdc(at, client, server, request, kdcReply(n, 11, user, service, realm, AES256))
}

// Ticket tells the second exchange: a ticket for a service, sealed with cipher.
func (n *Net) Ticket(at time.Time, client, server *Host, realm, user, service string, cipher int, offered ...int) time.Time {
	if len(offered) == 0 {
		offered = []int{AES256, AES128, RC4}
	}
	// PA-TGS-REQ: an AP-REQ with the ticket-granting ticket (RFC 4120, 5.5.1)
	ticket := der(0x61, der(0x30, derInt(0xa0, 5), derText(0xa1, realm), der(0xa2, principal(2, "krbtgt/"+realm)), der(0xa3, sealed(n, AES256, 700))))
	ap := der(0x6e, der(0x30, derInt(0xa0, 5), derInt(0xa1, 14), der(0xa2, der(0x03, make([]byte, 5))), der(0xa3, ticket), der(0xa4, sealed(n, AES256, 160))))
	request := kdcRequest(n, at, 12, "", service, realm, offered, padata(1, ap))
	return n.kdc(at, client, server, request, kdcReply(n, 13, user, service, realm, cipher))
}
