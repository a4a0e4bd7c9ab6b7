// Package telnet measures the shape of telnet sessions (RFC 854). What is said in them, and who logs in, is not read: names and
// passwords lie in the clear there.
package telnet

import (
	"neuromast/flows"
	"neuromast/flows/proto/shape"
)

// Parser reads one connection.
type Parser struct{ shape shape.Shape }

// New returns a parser.
func New() *Parser { return &Parser{} }

// Reset implements stream.Parser.
func (p *Parser) Reset(bool) { p.shape.Reset() }

// Gap implements stream.Parser: sizes of what comes are as good as before.
func (p *Parser) Gap(*flows.Out, *flows.Conn, flows.Dir, int) {}

// Flush implements stream.Parser.
func (p *Parser) Flush(out *flows.Out, c *flows.Conn, end bool) {
	p.shape.Tell(out, c, flows.AppTelnet, flows.Unseen, end)
}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, _ *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	p.shape.Take(out.Now, dir, len(b), ref)
	return true
}
