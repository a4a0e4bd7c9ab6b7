package craft

import (
	"encoding/base32"
	"net/netip"
	"strings"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Question is a DNS question with what the server says to it.
type Question struct {
	Name    string
	Type    layers.DNSType
	Answers []layers.DNSResourceRecord
	Missing bool // NXDOMAIN
	Silent  bool // no answer at all
}

// DNS asks server one question over UDP and returns when the answer arrived.
func (n *Net) DNS(at time.Time, client, server *Host, q Question) time.Time {
	port, id := client.Ephemeral(), uint16(n.Rand.Uint32())
	msg := layers.DNS{ID: id, RD: true, Questions: []layers.DNSQuestion{{Name: []byte(q.Name), Type: q.Type, Class: layers.DNSClassIN}}}
	n.UDP(at, client, server, port, 53, serialize(&msg))
	if q.Silent {
		return at
	}
	at = at.Add(2*n.delay(client, server) + time.Duration(n.Rand.Int64N(int64(8*time.Millisecond))))
	msg.QR, msg.RA = true, true
	if q.Missing {
		msg.ResponseCode = layers.DNSResponseCodeNXDomain
	}
	msg.Answers = q.Answers
	n.UDP(at, server, client, 53, port, serialize(&msg))
	return at
}

// A is an address record, AAAA where the address is IPv6.
func A(name string, addr netip.Addr, ttl uint32) layers.DNSResourceRecord {
	t := layers.DNSTypeA
	if addr.Is6() {
		t = layers.DNSTypeAAAA
	}
	return layers.DNSResourceRecord{Name: []byte(name), Type: t, Class: layers.DNSClassIN, TTL: ttl, IP: addr.AsSlice()}
}

// TXT is a text record.
func TXT(name, text string, ttl uint32) layers.DNSResourceRecord {
	return layers.DNSResourceRecord{Name: []byte(name), Type: layers.DNSTypeTXT, Class: layers.DNSClassIN, TTL: ttl, TXTs: [][]byte{[]byte(text)}}
}

// TunnelName packs data into a name under domain as tunnels do: base32 in labels of at most 60 bytes, 120 in all.
func TunnelName(data []byte, domain string) string {
	text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(data))
	var labels []string
	for len(text) > 60 {
		labels, text = append(labels, text[:60]), text[60:]
	}
	return strings.Join(append(labels, text, domain), ".")
}

func serialize(l gopacket.SerializableLayer) []byte {
	buf := gopacket.NewSerializeBuffer()
	if err := l.SerializeTo(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}); err != nil {
		panic(err) // a programming error: what is crafted here can be written
	}
	return append([]byte(nil), buf.Bytes()...)
}
