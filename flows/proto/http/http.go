// Package http reads the heads of HTTP/1 requests (RFC 9112) and the status of their answers. Bodies are skipped by their length;
// where chunks hide it (RFC 9112, 7.1), the next request is found where a segment of the client begins with one. An answer's
// status is read where its first segment begins with it; a request is written then, or when the next one comes, or at the end.
//
// A request that asks for a look-up through JNDI is told at once, without its answer: the server may ask before it answers.
//
// Log-ins are read from the headers by which a client proves who it is (RFC 9110, 11), to a server or a proxy: Basic (RFC 7617,
// the user alone), Digest (RFC 7616), NTLM (MS-NTHT) and Negotiate (RFC 4559), which holds NTLM or a ticket. 401 or 407 in answer
// is a failure, 400, 5xx or nothing no outcome, all else a success. Forms are not read: what a server answers to a wrong password
// in a form is its own affair.
//
// Limits: heads of 16 KiB; of target, host, agent, content type and names 256 bytes each, longer names in Basic not at all; of
// security tokens the first 4 KiB; look-ups in bodies are not seen. A connection that becomes something else (CONNECT, an upgrade) is left.
package http

import (
	"bytes"
	"strconv"

	"neuromast/flows"
)

// Stats counts what was read and what was strange.
type Stats struct {
	Requests  uint64
	TooLong   uint64 // heads beyond the limit
	LogIns    uint64
	BadTokens uint64 // security tokens that are not base64
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Requests += o.Requests
	s.TooLong += o.TooLong
	s.LogIns += o.LogIns
	s.BadTokens += o.BadTokens
}

const (
	maxHead  = 16 << 10
	maxField = 256
	maxKept  = 4 << 10 // buffer that a pooled parser keeps
)

// field is a bounded copy of a value.
type field struct {
	b [maxField]byte
	n int
}

func (f *field) set(b []byte) { f.n = copy(f.b[:], b) }

func (f *field) bytes() []byte { return f.b[:f.n] }

// Parser reads one connection.
type Parser struct {
	stats                             *Stats
	head                              []byte
	skip                              uint64 // bytes of the body that are still to come
	lost                              bool   // where the next request begins is not known
	open                              bool   // a request waits for its answer
	ref                               flows.Ref
	method, target, host, agent, kind field
	length                            uint64
	lookups                           lookups
	login                             login
	reply                             []byte // head of an answer that asks for proof, so far
	replying                          bool
	token                             []byte
}

// New returns a parser that counts in stats.
func New(stats *Stats) *Parser { return &Parser{stats: stats} }

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) {
	if cap(p.head) > maxKept {
		p.head = nil
	}
	if cap(p.lookups.decoded) > maxKept {
		p.lookups.decoded = nil
	}
	if cap(p.reply) > maxKept {
		p.reply = nil
	}
	p.head, p.skip, p.lost, p.open = p.head[:0], 0, midstream, false
	p.reply, p.replying = p.reply[:0], false
	p.login.reset()
}

// Gap implements stream.Parser.
func (p *Parser) Gap(out *flows.Out, c *flows.Conn, dir flows.Dir, n int) {
	if dir == flows.Resp {
		p.endReply(out, c, p.ref)
		return
	}
	if n > 0 && len(p.head) == 0 && p.skip >= uint64(n) {
		p.skip -= uint64(n)
		return
	}
	p.head, p.skip, p.lost = p.head[:0], 0, true
}

// Flush implements stream.Parser.
func (p *Parser) Flush(out *flows.Out, c *flows.Conn, end bool) {
	if !end {
		return
	}
	p.endReply(out, c, p.ref)
	if p.open {
		p.unanswered(out, c)
	}
}

// unanswered writes the open request.
func (p *Parser) unanswered(out *flows.Out, c *flows.Conn) {
	p.write(out, c, 0, p.ref)
	p.proved(out, c, flows.Unseen, p.ref)
}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	if dir == flows.Resp {
		return p.answer(out, c, b, ref)
	}
	if p.lost {
		if !begins(b) {
			return true
		}
		p.lost = false
	}
	for len(b) > 0 {
		if p.skip > 0 {
			n := min(p.skip, uint64(len(b)))
			p.skip -= n
			b = b[n:]
			continue
		}
		from := max(0, len(p.head)-3)
		before := len(p.head)
		p.head = append(p.head, b[:min(len(b), maxHead-before)]...)
		end := bytes.Index(p.head[from:], []byte("\r\n\r\n"))
		if end < 0 {
			if len(p.head) >= maxHead {
				p.stats.TooLong++
				p.head, p.lost = p.head[:0], true
			}
			return true
		}
		size := from + end + 4
		b = b[size-before:]
		p.endReply(out, c, p.ref)
		if p.open {
			p.unanswered(out, c)
		}
		ok := p.read(p.head[:size])
		p.head = p.head[:0]
		if !ok {
			p.lost = true
			return true
		}
		p.open, p.ref = true, ref
		if p.lookups.found.n > 0 {
			p.write(out, c, 0, ref)
		}
	}
	return true
}

// begins says that b begins with a method and a target.
func begins(b []byte) bool {
	method, rest, ok := bytes.Cut(b[:min(len(b), 64)], []byte(" "))
	if !ok || len(method) < 3 || len(method) > 20 || len(rest) == 0 {
		return false
	}
	for _, c := range method {
		if (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return false
		}
	}
	return rest[0] == '/' || rest[0] == '*' || len(rest) >= 4 && bytes.EqualFold(rest[:4], []byte("http")) || string(method) == "CONNECT"
}

// read takes a request's head apart.
func (p *Parser) read(head []byte) bool {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if !begins(line) {
		return false
	}
	p.lookups.scan(head)
	method, line, _ := bytes.Cut(line, []byte(" "))
	target, _, _ := bytes.Cut(line, []byte(" "))
	p.method.set(method)
	p.target.set(target)
	p.host.n, p.agent.n, p.kind.n, p.length, p.skip = 0, 0, 0, 0, 0
	p.login.due = false
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("host")):
			p.host.set(value)
		case bytes.EqualFold(name, []byte("user-agent")):
			p.agent.set(value)
		case bytes.EqualFold(name, []byte("authorization")), bytes.EqualFold(name, []byte("proxy-authorization")):
			p.authorize(value)
		case bytes.EqualFold(name, []byte("content-type")):
			p.kind.set(value)
		case bytes.EqualFold(name, []byte("content-length")):
			n, err := strconv.ParseUint(string(value), 10, 62)
			if err != nil {
				return false
			}
			p.length, p.skip = n, n
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			p.lost = true
		}
	}
	if p.lost { // chunks: the next segment that begins like one is the next request
		p.skip = 0
	}
	return true
}

// answer reads a status line (RFC 9112, 4) where one is due, and the headers behind it where they ask for proof.
func (p *Parser) answer(out *flows.Out, c *flows.Conn, b []byte, ref flows.Ref) bool {
	if p.replying {
		p.replied(out, c, b, ref)
		return true
	}
	if !p.open {
		return true
	}
	status, ok := statusOf(b)
	for ok && status == 100 { // go on with the body; the answer may follow at once
		_, b, _ = bytes.Cut(b, []byte("\r\n\r\n"))
		status, ok = statusOf(b)
	}
	if !ok {
		return true
	}
	connect := string(p.method.bytes()) == "CONNECT" && status/100 == 2
	p.write(out, c, status, ref)
	if status == 401 || status == 407 {
		p.replying = true
		p.replied(out, c, b, ref)
	} else {
		p.proved(out, c, outcome(status), ref)
	}
	return status != 101 && !connect
}

// statusOf reads a status line.
func statusOf(b []byte) (status uint16, ok bool) {
	if len(b) < 12 || string(b[:7]) != "HTTP/1." || b[8] != ' ' {
		return 0, false
	}
	for _, d := range b[9:12] {
		if d < '0' || d > '9' {
			return 0, false
		}
		status = 10*status + uint16(d-'0')
	}
	return status, true
}

// replied takes the next bytes of the head of an answer that asks for proof.
func (p *Parser) replied(out *flows.Out, c *flows.Conn, b []byte, ref flows.Ref) {
	if len(p.reply) == 0 { // the usual case: all of it at once
		if end := bytes.Index(b, []byte("\r\n\r\n")); end >= 0 {
			p.decided(out, c, b[:end], ref)
			return
		}
	}
	from := max(0, len(p.reply)-3)
	p.reply = append(p.reply, b[:min(len(b), maxHead-len(p.reply))]...)
	if end := bytes.Index(p.reply[from:], []byte("\r\n\r\n")); end >= 0 {
		p.decided(out, c, p.reply[:from+end], ref)
	} else if len(p.reply) >= maxHead {
		p.stats.TooLong++
		p.endReply(out, c, ref)
	}
}

// endReply takes the head of an answer that does not come to its end for what there is.
func (p *Parser) endReply(out *flows.Out, c *flows.Conn, ref flows.Ref) {
	if p.replying {
		p.decided(out, c, p.reply, ref)
	}
}

// decided reads the head of an answer that asks for proof, and writes that the one at hand was refused.
func (p *Parser) decided(out *flows.Out, c *flows.Conn, head []byte, ref flows.Ref) {
	p.replying = false
	if goesOn := p.challenged(head); goesOn {
		p.login.due = false
	}
	p.proved(out, c, flows.Failed, ref)
	p.reply = p.reply[:0]
}

func (p *Parser) write(out *flows.Out, c *flows.Conn, status uint16, ref flows.Ref) {
	p.open = false
	p.stats.Requests++
	out.HTTP(&flows.HTTP{
		Meta: flows.Meta{Ref: ref}, Conn: *c, RequestRef: p.ref, Method: out.Put(p.method.bytes()), Target: out.Put(p.target.bytes()), Host: out.Put(p.host.bytes()),
		Agent: out.Put(p.agent.bytes()), ContentType: out.Put(p.kind.bytes()), Lookup: out.Put(p.lookups.found.bytes()), Length: p.length, Status: status,
	})
}
