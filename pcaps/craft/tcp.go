package craft

import (
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// mss is the payload of a full segment on Ethernet (RFC 6691).
const mss = 1460

// Conn is a TCP connection being told: calls advance its clock.
type Conn struct {
	n    *Net
	Now  time.Time
	side [2]end // 0 client, 1 server
}

type end struct {
	host *Host
	port uint16
	seq  uint32
}

// Dial opens a connection with its handshake; the clock stands after it.
func (n *Net) Dial(at time.Time, client, server *Host, port uint16) *Conn {
	c := n.conn(at, client, server, port)
	c.segment(0, layers.TCP{SYN: true}, nil)
	c.wait()
	c.segment(1, layers.TCP{SYN: true, ACK: true}, nil)
	c.wait()
	c.segment(0, layers.TCP{ACK: true}, nil)
	return c
}

func (n *Net) conn(at time.Time, client, server *Host, port uint16) *Conn {
	return &Conn{n: n, Now: at, side: [2]end{
		{client, client.Ephemeral(), n.Rand.Uint32()},
		{server, port, n.Rand.Uint32()},
	}}
}

// Probe sends a lone SYN and the answer of a machine that is open (then reset by the client), closed, or silent.
func (n *Net) Probe(at time.Time, client, server *Host, port uint16, answer Answer) {
	c := n.conn(at, client, server, port)
	c.segment(0, layers.TCP{SYN: true}, nil)
	c.wait()
	switch answer {
	case Open:
		c.segment(1, layers.TCP{SYN: true, ACK: true}, nil)
		c.wait()
		c.segment(0, layers.TCP{RST: true}, nil)
	case Closed:
		c.segment(1, layers.TCP{RST: true, ACK: true}, nil)
	}
}

// ProbeAgain sends a lone SYN that nobody answers, and its retransmissions after each of the waits.
func (n *Net) ProbeAgain(at time.Time, client, server *Host, port uint16, waits ...time.Duration) {
	c := n.conn(at, client, server, port)
	for i := 0; ; i++ {
		c.segment(0, layers.TCP{SYN: true}, nil)
		if i == len(waits) {
			return
		}
		c.side[0].seq-- // the same SYN once more
		c.Wait(waits[i])
	}
}

// Answer is how a port answers a probe.
type Answer uint8

// The answers.
const (
	Silent Answer = iota
	Closed
	Open
)

// segment sends one segment of side i; SYN and FIN take a sequence number.
func (c *Conn) segment(i int, tcp layers.TCP, payload []byte) {
	from, to := &c.side[i], &c.side[1-i]
	tcp.SrcPort, tcp.DstPort = layers.TCPPort(from.port), layers.TCPPort(to.port)
	tcp.Seq, tcp.Window = from.seq, 64240
	if tcp.ACK {
		tcp.Ack = to.seq
	}
	if tcp.SYN {
		tcp.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{mss >> 8, mss & 0xff}}}
	}
	c.n.emit(c.Now, from.host, to.host, layers.IPProtocolTCP, &tcp, gopacket.Payload(payload))
	from.seq += uint32(len(payload))
	if tcp.SYN || tcp.FIN {
		from.seq++
	}
}

func (c *Conn) wait() { c.Now = c.Now.Add(c.n.delay(c.side[0].host, c.side[1].host)) }

// Wait lets time pass on the connection.
func (c *Conn) Wait(d time.Duration) { c.Now = c.Now.Add(d) }

// Client sends bytes from the client, Server from the server: in full segments, an ACK for every second one.
func (c *Conn) Client(b []byte) { c.send(0, b) }

// Server sends bytes from the server.
func (c *Conn) Server(b []byte) { c.send(1, b) }

func (c *Conn) send(i int, b []byte) {
	for n := 0; len(b) > 0; n++ {
		part := b[:min(mss, len(b))]
		b = b[len(part):]
		c.segment(i, layers.TCP{ACK: true, PSH: len(b) == 0}, part)
		c.Now = c.Now.Add(12 * time.Microsecond)
		if n%2 == 1 || len(b) == 0 {
			c.wait()
			c.segment(1-i, layers.TCP{ACK: true}, nil)
		}
	}
}

// Close ends the connection from the client's side, in order.
func (c *Conn) Close() {
	c.segment(0, layers.TCP{FIN: true, ACK: true}, nil)
	c.wait()
	c.segment(1, layers.TCP{FIN: true, ACK: true}, nil)
	c.wait()
	c.segment(0, layers.TCP{ACK: true}, nil)
}

// Reset ends the connection by the client's RST.
func (c *Conn) Reset() { c.segment(0, layers.TCP{RST: true, ACK: true}, nil) }
