package scan

import (
	"bytes"
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// outcome is what a first contact came to.
type outcome uint8

const (
	unknown  outcome = iota // says nothing
	answered                // the other side took part
	refused                 // a reset or an ICMP error came back
	silent                  // nothing came back, and the originator gave up
)

func (o outcome) failed() bool { return o == refused || o == silent }

// service is what was asked for: protocol and port; port 0 for ICMP echo.
type service struct {
	proto packet.Proto
	port  uint16
}

// contact is one connection as the test sees it.
type contact struct {
	actor, target detectors.HostKey
	service       service
	outcome       outcome
	stealth       bool // a probe that no stack sends
	mild          bool // silence of a UDP service that is asked: a fifth of a failure
	looked        bool // answered, and left once the client knew what it had met
	knocked       bool // answered at a way in, and left by a reset without a word
	talked        bool // payload went both ways
	conn          flows.Conn
	ref           flows.Ref
	at            packet.Time // of the connection's first packet
}

// echo types (RFC 792, RFC 4443).
const (
	echo4 = 8
	echo6 = 128
)

// Traceroute over UDP counts up from this port, three probes to each of at most 30 hops.
const (
	tracerouteFirst = 33434
	tracerouteLast  = 33534
)

// contactOf reads a flow record; ok is false where it is not a contact that can tell anything.
func contactOf(r *flows.Record) (c contact, ok bool) {
	if r.Orig == r.Resp || !unicast(r.Resp) || !unicast(r.Orig) {
		return c, false
	}
	c = contact{
		actor:  detectors.HostKey{Segment: r.Segment, Addr: r.Orig},
		target: detectors.HostKey{Segment: r.Segment, Addr: r.Resp},
		conn:   r.Conn, ref: r.FirstRef, at: r.Start,
		talked: r.Total[flows.Orig].PayloadBytes > 0 && r.Total[flows.Resp].PayloadBytes > 0,
	}
	switch r.Proto {
	case packet.ProtoTCP:
		c.service = service{r.Proto, r.RespPort}
		c.outcome, c.stealth = judgeTCP(r)
		c.looked = c.outcome == answered && justLooked(r)
		c.talked = c.talked && !c.looked
		c.knocked = c.outcome == answered && justKnocked(r)
	case packet.ProtoUDP:
		c.service = service{r.Proto, r.RespPort}
		if r.RespPort >= tracerouteFirst && r.RespPort <= tracerouteLast {
			return c, false
		}
		switch {
		case r.Total[flows.Resp].Packets > 0:
			c.outcome = answered
		case r.Unreachable:
			c.outcome = refused
		case slices.Contains(askedUDP[:], r.RespPort) && r.OrigPort != r.RespPort && !cutShort(r):
			c.outcome, c.mild = silent, true
		}
	case packet.ProtoICMP, packet.ProtoICMPv6:
		if r.OrigPort != echo4 && r.Proto == packet.ProtoICMP || r.OrigPort != echo6 && r.Proto == packet.ProtoICMPv6 {
			return c, false
		}
		if last := r.Resp[15]; r.Resp.Is4() && (last == 0 || last == 255) {
			return c, false // in most networks everybody's address: silence is the rule
		}
		c.service = service{r.Proto, 0}
		switch {
		case r.Total[flows.Resp].Packets > 0:
			c.outcome = answered
		case r.Unreachable:
			c.outcome = refused
		case !cutShort(r):
			c.outcome = silent
		}
	}
	return c, c.outcome != unknown
}

// askedUDP are services that answer what they understand, so that a client that knows its server gets an answer: DNS, TFTP,
// port mapper, NTP, NetBIOS names, SNMP, connectionless LDAP, IKE, IPMI, SQL Server's browser, SSDP, SIP, memcached, BACnet.
var askedUDP = [...]uint16{53, 69, 111, 123, 137, 161, 389, 500, 623, 1434, 1900, 5060, 11211, 47808}

// mildShare is what silence of such a service is of a failure: datagrams are lost, and firewalls say nothing.
const mildShare = 0.2

// justLooked says that a client of VNC left by a reset with no more than the server's version and kinds of security, and at
// most a proof that was refused (RFC 6143, 7.1: 12, 1 and 16 bytes): a person who connects stays or closes.
func justLooked(r *flows.Record) bool {
	up, down := &r.Total[flows.Orig], &r.Total[flows.Resp]
	return r.App == flows.AppVNC && up.Flags&packet.RST != 0 && up.PayloadBytes <= 29 && down.PayloadBytes <= 512
}

// knockPorts are ways in at which clients speak once they are let in, and at which nobody tests health: SSH, Telnet, RPC, SMB,
// SQL Server, remote desktops, VNC, WinRM. Not 139, which clients of SMB try beside 445 and drop.
var knockPorts = [...]uint16{22, 23, 135, 445, 1433, 3389, 5900, 5985, 5986}

// knockShare is what a knock is of a failure; chosen by us, because a person may close a window that has just opened.
const knockShare = 0.5

// justKnocked says that a client left a way in by a reset before it said a byte, and heard a greeting at most: so SYN scans
// end, and connect scans.
func justKnocked(r *flows.Record) bool {
	up, down := &r.Total[flows.Orig], &r.Total[flows.Resp]
	return up.Flags&packet.RST != 0 && up.PayloadBytes == 0 && down.PayloadBytes <= 256 && slices.Contains(knockPorts[:], r.RespPort)
}

// missed says that a contact steps a walk up.
func (c *contact) missed() bool { return c.outcome.failed() || c.looked || c.knocked }

// hash is the fixed hash of target and service.
func (c *contact) hash() uint64 {
	return sketch.Join(hashOf(c.target), uint64(c.service.proto)<<16|uint64(c.service.port))
}

// judgeTCP tells an attempt that failed from one that was answered, by what the originator itself did.
func judgeTCP(r *flows.Record) (o outcome, stealth bool) {
	orig, resp := &r.Total[flows.Orig], &r.Total[flows.Resp]
	history := r.History[:r.HistoryLen]
	if bytes.IndexByte(history, 'S') < 0 {
		// No SYN: a capture that begins late, or backscatter, unless the segments are such as no stack sends: without
		// ACK, which every segment after the SYN carries, and without RST, which may come alone (RFC 9293, 3.10.7.1).
		if orig.Packets == 0 || orig.Flags&(packet.SYN|packet.ACK|packet.RST) != 0 || orig.PayloadBytes != 0 {
			return unknown, false
		}
		switch {
		case resp.Packets == 0:
			return silent, true
		case resp.Flags&packet.RST != 0 && resp.Flags&(packet.SYN|packet.FIN) == 0 && resp.PayloadBytes == 0:
			return refused, true
		}
		return unknown, false
	}
	switch {
	case bytes.IndexByte(history, 'h') >= 0:
		return answered, false
	case resp.Flags&packet.RST != 0:
		return refused, false
	case resp.Packets > 0:
		return unknown, false
	case orig.Flags&packet.ACK != 0 || orig.PayloadBytes > 0:
		return unknown, false // it went on: somebody answered whom the sensor does not see
	case r.Unreachable:
		return refused, false
	case cutShort(r):
		return unknown, false
	}
	return silent, false
}

// patience is how long an attempt must have waited for its silence to count when the flow table gives it up for lack of
// room: a TCP asks again after a second because it takes its segment for lost (RFC 6298, 2.1).
const patience = packet.Time(time.Second)

// cutShort says that a flow was given up for lack of room, perhaps before the answer came. Were every flow so taken, a flood
// of attempts would hide a scan.
func cutShort(r *flows.Record) bool { return r.Evicted && r.At-r.Last < patience }

// wentOn says that a flow of one visible direction was alive: the sensor does not see the other.
func wentOn(r *flows.Record) bool {
	return r.Proto == packet.ProtoTCP && r.OneSided() &&
		(r.Total[flows.Orig].Flags|r.Total[flows.Resp].Flags)&packet.ACK != 0 &&
		r.Total[flows.Orig].Packets+r.Total[flows.Resp].Packets > 2
}

// unicast says that an address is one host's.
func unicast(a packet.Addr) bool {
	if a.Is4() {
		return a[12] < 224 && a[12] != 0
	}
	return a[0] != 0xff && a != packet.Addr{}
}
