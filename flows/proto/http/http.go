// Package http reads the heads of HTTP/1 requests (RFC 9112) and the status of their answers. Bodies are skipped by their length;
// where chunks hide it (RFC 9112, 7.1), the next request is found where a segment of the client begins with one. An answer's
// status is read where its first segment begins with it; a request is written then, or when the next one comes, or at the end.
//
// A request that asks for a look-up through JNDI is told at once, without its answer: the server may ask before it answers.
//
// Limits: heads of 16 KiB; of target, host, agent and content type 256 bytes each; look-ups in bodies are not seen. A connection that becomes something else
// (CONNECT, an upgrade) is left.
package http

import (
	"bytes"
	"strconv"

	"neuromast/flows"
)

// Stats counts what was read and what was strange.
type Stats struct {
	Requests uint64
	TooLong  uint64 // heads beyond the limit
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Requests += o.Requests
	s.TooLong += o.TooLong
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
	p.head, p.skip, p.lost, p.open = p.head[:0], 0, midstream, false
}

// Gap implements stream.Parser.
func (p *Parser) Gap(_ *flows.Out, _ *flows.Conn, dir flows.Dir, n int) {
	if dir == flows.Resp {
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
	if end && p.open {
		p.write(out, c, 0, p.ref)
	}
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
		if p.open {
			p.write(out, c, 0, p.ref)
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
	return rest[0] == '/' || rest[0] == '*' || bytes.HasPrefix(rest, []byte("http")) || string(method) == "CONNECT"
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

// answer reads a status line (RFC 9112, 4) where one is due.
func (p *Parser) answer(out *flows.Out, c *flows.Conn, b []byte, ref flows.Ref) bool {
	if !p.open || len(b) < 12 || string(b[:7]) != "HTTP/1." || b[8] != ' ' {
		return true
	}
	status := 0
	for _, d := range b[9:12] {
		if d < '0' || d > '9' {
			return true
		}
		status = 10*status + int(d-'0')
	}
	if status == 100 { // go on with the body
		return true
	}
	connect := string(p.method.bytes()) == "CONNECT" && status/100 == 2
	p.write(out, c, uint16(status), ref)
	return status != 101 && !connect
}

func (p *Parser) write(out *flows.Out, c *flows.Conn, status uint16, ref flows.Ref) {
	p.open = false
	p.stats.Requests++
	out.HTTP(&flows.HTTP{
		Meta: flows.Meta{Ref: ref}, Conn: *c, RequestRef: p.ref, Method: out.Put(p.method.bytes()), Target: out.Put(p.target.bytes()), Host: out.Put(p.host.bytes()),
		Agent: out.Put(p.agent.bytes()), ContentType: out.Put(p.kind.bytes()), Lookup: out.Put(p.lookups.found.bytes()), Length: p.length, Status: status,
	})
}
