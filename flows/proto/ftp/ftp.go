// Package ftp reads log-ins over FTP (RFC 959, 4.1.1 and 5.4): user names, and what the server answers to a password. The
// password itself is not kept.
//
// Limits: lines of 512 bytes; what is longer is not read to its end. A session that goes over to TLS (RFC 4217) is left.
package ftp

import (
	"bytes"

	"neuromast/flows"
)

// Stats counts what was read.
type Stats struct {
	Logins    uint64 // answered passwords
	LongLines uint64 // lines beyond the limit
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Logins += o.Logins
	s.LongLines += o.LongLines
}

const maxLine = 512

// Parser reads one control connection.
type Parser struct {
	stats *Stats
	lines [2][]byte // the begun line of each direction
	user  []byte
	asked bool // a password waits for its answer
}

// New returns a parser that counts in stats.
func New(stats *Stats) *Parser { return &Parser{stats: stats} }

// Reset implements stream.Parser.
func (p *Parser) Reset(bool) {
	p.lines[0], p.lines[1], p.user, p.asked = p.lines[0][:0], p.lines[1][:0], p.user[:0], false
}

// Gap implements stream.Parser: a begun line is lost, and an answer may be.
func (p *Parser) Gap(_ *flows.Out, _ *flows.Conn, dir flows.Dir, _ int) {
	p.lines[dir], p.asked = p.lines[dir][:0], false
}

// Flush implements stream.Parser. A password without an answer says nothing.
func (p *Parser) Flush(*flows.Out, *flows.Conn, bool) {}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		part := b
		if end >= 0 {
			part, b = b[:end], b[end+1:]
		} else {
			b = nil
		}
		if room := maxLine - len(p.lines[dir]); len(part) > room {
			if room > 0 {
				p.stats.LongLines++
			}
			part = part[:max(room, 0)]
		}
		p.lines[dir] = append(p.lines[dir], part...)
		if end < 0 {
			break
		}
		line := bytes.TrimRight(p.lines[dir], "\r")
		more := true
		if dir == flows.Orig {
			p.command(line)
		} else {
			more = p.reply(out, c, line, ref)
		}
		p.lines[dir] = p.lines[dir][:0]
		if !more {
			return false
		}
	}
	return true
}

// command takes a line of the client.
func (p *Parser) command(line []byte) {
	word, argument, _ := bytes.Cut(line, []byte(" "))
	switch {
	case bytes.EqualFold(word, []byte("USER")):
		p.user = append(p.user[:0], argument[:min(len(argument), 128)]...)
	case bytes.EqualFold(word, []byte("PASS")):
		p.asked = true
	}
}

// reply takes a line of the server: three digits and a space end a reply (RFC 959, 4.2).
func (p *Parser) reply(out *flows.Out, c *flows.Conn, line []byte, ref flows.Ref) bool {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' {
		return true
	}
	code := string(line[:3])
	if code == "234" { // TLS follows
		return false
	}
	if !p.asked {
		return true
	}
	a := flows.Auth{Meta: flows.Meta{Ref: ref}, Conn: *c, Method: flows.AuthPassword, Over: flows.AppFTP}
	switch code {
	case "230", "202", "232":
		a.Outcome = flows.Succeeded
	case "530", "430":
		a.Outcome = flows.Failed
	default: // 331, 332: more is wanted; 421: the server goes
		return true
	}
	p.asked = false
	p.stats.Logins++
	a.User = out.Put(p.user)
	a.Anonymous = bytes.EqualFold(p.user, []byte("anonymous")) || bytes.EqualFold(p.user, []byte("ftp"))
	out.Auth(&a)
	return true
}
