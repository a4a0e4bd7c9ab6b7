package stream

import (
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Datagrams reads all UDP conversations of one shard that speak one application. Its state is bounded and expires by
// packet time.
type Datagrams interface {
	// Datagram hands over one payload, borrowed for the call. out.Now is the packet's time; wire is the payload's length
	// by the headers, which exceeds len(b) where the capture was cut.
	Datagram(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, wire int, ref flows.Ref)
	// Advance writes what packet time has ended up to and including to (a query whose answer did not come), each item at
	// its own deadline by setting out.Now.
	Advance(out *flows.Out, to packet.Time)
}

// Protocols recognises applications by content and lends the parsers of one shard. flows/proto implements it; the table
// uses it.
type Protocols interface {
	// Identify names the application from first payload bytes of one direction, AppUnknown where they don't tell. Ports
	// of c may break a tie, never decide alone.
	Identify(c *flows.Conn, dir flows.Dir, first []byte) flows.App
	// Get lends a parser for a TCP connection; nil where the application has none or the parser budget is reached.
	Get(app flows.App, midstream bool) Parser
	// Put takes a parser back.
	Put(app flows.App, p Parser)
	// Datagrams returns the shard's reader of an application over UDP, nil where there is none.
	Datagrams(app flows.App) Datagrams
	// Advance advances every Datagrams of the shard.
	Advance(out *flows.Out, to packet.Time)
}
