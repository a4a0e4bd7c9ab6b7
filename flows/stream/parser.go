// Package stream turns TCP segments into the in-order bytes that parsers read: bounded, with every gap said.
package stream

import "neuromast/flows"

// Parser reads the bytes of one TCP connection in order and writes facts to out. It belongs to one connection at a time
// and keeps bounded memory; Reset makes it ready for the next, since parsers are pooled.
//
// It must stand a connection whose start it did not see: the first bytes may lie in the middle of a message. It finds
// the next message boundary by itself or gives up.
type Parser interface {
	// Data hands over the next bytes of one direction, borrowed for the call; ref is the frame that carried their end.
	// It returns false when the parser wants no more bytes of this connection: it is then released.
	Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) (more bool)
	// Gap says that n bytes of one direction are missing between what Data gave before and what it gives next;
	// n is 0 where the number is not known.
	Gap(out *flows.Out, c *flows.Conn, dir flows.Dir, n int)
	// Flush writes what waits for an answer: at each report of an open flow (end false: calls of a side that is never
	// seen to answer, or that has waited since the last flush), and at the connection's end (end true: everything).
	Flush(out *flows.Out, c *flows.Conn, end bool)
	// Reset forgets the connection. Midstream says that the start of the next one was not seen.
	Reset(midstream bool)
}
