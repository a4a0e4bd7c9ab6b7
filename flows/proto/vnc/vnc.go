// Package vnc reads the opening of VNC sessions (RFB, RFC 6143, 7.1): versions, the kinds of security that the server
// offers, which one the client takes, and what the server says to the proof.
//
// A log-in by password (VNC authentication, 7.2.2) yields a fact with its outcome; a password that was asked for and never
// given, or never answered, is one whose outcome is unseen. No names travel, and neither challenge nor response are kept. A
// server without security yields no fact.
//
// Versions 3.3 (the server decides on the kind), 3.7 and 3.8 differ in order, not in meaning; 3.889 (Apple) reads as 3.8, and
// what else there is as 3.3 (7.1.1). Kinds of security beyond "none" and VNC authentication go on in ways of their own, some within TLS: the parser leaves
// them. It leaves every connection after the result, and one whose start was not seen or that lost bytes at once.
//
// Limits: 512 bytes of each direction wait for the other's turn; more are no opening of a session.
package vnc

import (
	"encoding/binary"

	"neuromast/flows"
)

// Stats counts what was read and what was strange.
type Stats struct {
	Handshakes uint64 // connections that came to the kinds of security
	Logins     uint64 // results of a log-in by password
	Malformed  uint64 // connections that contradict the protocol
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Handshakes += o.Handshakes
	s.Logins += o.Logins
	s.Malformed += o.Malformed
}

const (
	password     = 2  // VNC authentication, of the kinds of security (7.1.2)
	versionLen   = 12 // "RFB 003.008\n"
	challengeLen = 16 // and the response to it (7.2.2)
	maxKept      = 512
)

// step is what comes next.
type step uint8

const (
	serverVersion step = iota
	clientVersion
	offer    // kinds of security; in 3.3 the one that the server decided on
	choice   // of the client
	question // the server's challenge
	response // the client's
	result
)

// speaker is whose bytes a step reads.
func (s step) speaker() flows.Dir {
	if s == clientVersion || s == choice || s == response {
		return flows.Orig
	}
	return flows.Resp
}

// Parser reads one connection.
type Parser struct {
	stats *Stats
	have  [2][]byte // of each direction, not read yet
	ref   flows.Ref
	step  step
	old   bool // version 3.3
	gone  bool // nothing more is read
}

// New returns a parser that counts in stats.
func New(stats *Stats) *Parser { return &Parser{stats: stats} }

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) {
	*p = Parser{stats: p.stats, have: [2][]byte{p.have[0][:0], p.have[1][:0]}, gone: midstream}
}

// Gap implements stream.Parser: messages carry no mark to begin anew from.
func (p *Parser) Gap(*flows.Out, *flows.Conn, flows.Dir, int) { p.gone = true }

// Flush implements stream.Parser: a password that was asked for and never answered for is said at the end.
func (p *Parser) Flush(out *flows.Out, c *flows.Conn, end bool) {
	if end && !p.gone && (p.step == response || p.step == result) {
		p.say(out, c, flows.Unseen)
	}
}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	if p.gone {
		return false
	}
	if len(p.have[dir])+len(b) > maxKept { // nobody sends so much unasked
		p.malformed()
		return false
	}
	p.have[dir] = append(p.have[dir], b...)
	for !p.gone {
		who := p.step.speaker()
		n := p.read(out, c, p.have[who], ref)
		if n == 0 {
			break
		}
		p.have[who] = append(p.have[who][:0], p.have[who][n:]...)
	}
	return !p.gone
}

// read takes the next message from b and returns its length, 0 where it is not whole yet.
func (p *Parser) read(out *flows.Out, c *flows.Conn, b []byte, ref flows.Ref) int {
	switch p.step {
	case serverVersion, clientVersion:
		return p.version(b)
	case offer:
		return p.offered(b, ref)
	case choice:
		if len(b) == 0 {
			return 0
		}
		p.decide(b[0])
		return 1
	case question, response:
		if len(b) < challengeLen {
			return 0
		}
		p.step, p.ref = p.step+1, ref
		return challengeLen
	}
	if len(b) < 4 {
		return 0
	}
	p.ref = ref
	switch binary.BigEndian.Uint32(b) { // 7.1.3; 2, "too many", in versions before the RFC
	case 0:
		p.say(out, c, flows.Succeeded)
	case 1, 2:
		p.say(out, c, flows.Failed)
	default:
		p.malformed()
	}
	return 4
}

// version reads "RFB xxx.yyy\n" (7.1.1).
func (p *Parser) version(b []byte) int {
	if len(b) < versionLen {
		return 0
	}
	if string(b[:4]) != "RFB " || b[7] != '.' || b[11] != '\n' {
		p.malformed()
		return versionLen
	}
	if v := string(b[4:11]); p.step == clientVersion {
		p.old = v < "003.007"
	}
	p.step++
	return versionLen
}

// offered reads the kinds of security, or the one that a server of version 3.3 decided on (7.1.2).
func (p *Parser) offered(b []byte, ref flows.Ref) int {
	if p.old {
		if len(b) < 4 {
			return 0
		}
		p.stats.Handshakes++
		if kind := binary.BigEndian.Uint32(b); kind <= 255 {
			p.decide(byte(kind))
		} else {
			p.malformed()
		}
		return 4
	}
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return 0
	}
	p.stats.Handshakes++
	p.step, p.ref = choice, ref
	p.gone = b[0] == 0 // a refusal with its reason follows
	return 1 + int(b[0])
}

// decide takes the kind of security that the connection goes on with. What comes after any other than a password is not
// read: nothing is proved, or in ways of its own.
func (p *Parser) decide(kind byte) {
	p.step, p.gone = question, kind != password
}

func (p *Parser) malformed() {
	p.stats.Malformed++
	p.gone = true
}

// say writes the log-in and leaves the connection.
func (p *Parser) say(out *flows.Out, c *flows.Conn, outcome flows.Outcome) {
	if outcome != flows.Unseen {
		p.stats.Logins++
	}
	out.Auth(&flows.Auth{Meta: flows.Meta{Ref: p.ref}, Conn: *c, Method: flows.AuthPassword, Over: flows.AppVNC, Outcome: outcome})
	p.gone = true
}
