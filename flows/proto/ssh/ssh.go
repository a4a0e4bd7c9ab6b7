// Package ssh reads the opening of SSH connections, tells from the sizes of sealed packets whether log-ins fail or succeed, and
// measures the shape of the session.
//
// Up to the new keys the transport speaks in the clear (RFC 4253, 4.2 and 6 to 7.3): versions, and the lists of algorithms,
// whose MD5 in the order of HASSH (Salesforce, 2018) names the program. What follows is known by its order: the
// client asks for the authentication service and the server accepts it (10), then every request gets an answer (RFC 4252,
// 5.1). Padding hides little: the acceptance carries 17 bytes, a success one byte, so a success is the only answer that is
// shorter than the acceptance, by a block of 8 or 16 bytes with any cipher. A failure carries the list of methods that can
// go on, the same each time, so all failures of a connection have one size. The first answer after the acceptance is the
// failure of the method "none", by which clients learn that list; it is no log-in that failed. Answers of other sizes ask
// for more (a key that would do, a prompt) and say nothing.
//
// An answer is measured by the first segment after the client spoke: servers write each packet at once.
//
// Limits: 64 answers; banners and packets in the clear of 35,000 bytes (RFC 4253, 6.1), versions of 255 and lists of algorithms
// of 8,192 bytes. Connections whose start was not seen are not read. Behind a gap no log-in is told, but the shape goes on. A
// session that carried 256 MiB in full segments is told and left: copies of disks are not worth the time.
package ssh

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"

	"neuromast/flows"
	"neuromast/flows/proto/shape"
)

// Stats counts what was read and what was strange.
type Stats struct {
	Sealed    uint64 // connections that came to new keys on both sides
	Failures  uint64
	Successes uint64
	Malformed uint64 // connections whose packets in the clear contradict the protocol
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Sealed += o.Sealed
	s.Failures += o.Failures
	s.Successes += o.Successes
	s.Malformed += o.Malformed
}

const (
	maxAnswers = 64
	maxPacket  = 35000
	maxVersion = 255 // RFC 4253, 4.2
	maxLists   = 8192
	maxBulk    = 256 << 20
	maxRefused = 8192 // bytes of log-ins that fail: chosen by us, since servers allow six of some 400
	msgKexInit = 20
	msgNewKeys = 21
)

// phase of one direction.
type phase uint8

const (
	banner phase = iota
	clear
	sealed
)

// Parser reads one connection.
type Parser struct {
	stats   *Stats
	dirs    [2]half
	asked   bool // the client spoke since the server did
	answers int
	accept  int // bytes of the acceptance
	fail    int // bytes of a failure
	shape   shape.Shape
	scratch []byte
	in      flows.Outcome
	midway  bool // nothing can be read
	blind   bool // no further log-in is told
	told    bool // the opening was written
}

// half is one direction.
type half struct {
	phase phase
	head  [6]byte // of a packet: length, padding, type
	have  int
	skip  int
	line  int    // bytes of banner lines so far
	begin []byte // first bytes of the line; then the version
	lists []byte // of algorithms, from the cookie on
	last  bool   // the packet ends what is in the clear
	keep  bool   // the packet holds the lists
	whole bool   // and all of it was read
}

// New returns a parser that counts in stats.
func New(stats *Stats) *Parser { return &Parser{stats: stats} }

// Reset implements stream.Parser.
func (p *Parser) Reset(midstream bool) {
	keep := p.dirs
	*p = Parser{stats: p.stats, scratch: p.scratch, midway: midstream}
	for d := range keep {
		p.dirs[d].begin, p.dirs[d].lists = keep[d].begin[:0], keep[d].lists[:0]
	}
}

// Gap implements stream.Parser: order and sizes are lost with it.
func (p *Parser) Gap(*flows.Out, *flows.Conn, flows.Dir, int) {
	p.blind = true
	p.midway = p.midway || p.dirs[flows.Orig].phase != sealed || p.dirs[flows.Resp].phase != sealed
}

// Flush implements stream.Parser.
func (p *Parser) Flush(out *flows.Out, c *flows.Conn, end bool) {
	if end {
		p.tell(out, c, flows.Ref{})
	}
	in := p.in
	if in == flows.Failed && p.shape.Bytes() > maxRefused {
		in = flows.Unseen // the success came in a form that was not told
	}
	p.shape.Tell(out, c, flows.AppSSH, in, end)
}

// Data implements stream.Parser.
func (p *Parser) Data(out *flows.Out, c *flows.Conn, dir flows.Dir, b []byte, ref flows.Ref) bool {
	if p.midway {
		return false
	}
	h := &p.dirs[dir]
	for len(b) > 0 && h.phase != sealed {
		n, ok := h.take(b)
		if !ok {
			p.stats.Malformed++
			p.tell(out, c, ref)
			return false
		}
		b = b[n:]
		if !p.told && p.dirs[flows.Orig].whole && p.dirs[flows.Resp].whole {
			p.tell(out, c, ref)
		}
		if h.phase == sealed && p.dirs[dir.Other()].phase == sealed {
			p.stats.Sealed++
		}
	}
	if len(b) == 0 || p.dirs[flows.Orig].phase != sealed {
		return true // extensions that nobody asked for (RFC 8308)
	}
	p.shape.Take(out.Now, dir, len(b), ref)
	if p.blind {
		if p.shape.Bulk() < maxBulk {
			return true
		}
		p.Flush(out, c, true)
		return false
	}
	if dir == flows.Orig {
		p.asked = true
	} else if p.asked { // what follows the first segment of an answer is no answer
		p.asked = false
		p.answer(out, c, len(b), ref)
	}
	return true
}

// tell writes the opening, once, where there is one.
func (p *Parser) tell(out *flows.Out, c *flows.Conn, ref flows.Ref) {
	o, r := &p.dirs[flows.Orig], &p.dirs[flows.Resp]
	if p.told || len(o.begin)+len(r.begin) == 0 {
		return
	}
	p.told = true
	f := flows.SSH{Meta: flows.Meta{Ref: ref}, Conn: *c, Client: out.Put(o.version()), Server: out.Put(r.version())}
	f.HASSH = p.fingerprint(o, flows.Orig)
	f.HASSHServer = p.fingerprint(r, flows.Resp)
	out.SSH(&f)
}

// version is what follows SSH-2.0- in the line that names it, without its comments' end.
func (h *half) version() []byte {
	if h.phase == banner {
		return nil
	}
	v := bytes.TrimRight(h.begin, "\r")
	if i := bytes.IndexByte(v, '-'); i >= 0 {
		if j := bytes.IndexByte(v[i+1:], '-'); j >= 0 {
			return v[i+1+j+1:]
		}
	}
	return nil
}

// fingerprint is the MD5 of the algorithms that a side offers for its own direction, in the order of HASSH: of key exchange,
// cipher, MAC and compression (RFC 4253, 7.1: lists 0, 2, 4 and 6, or 3, 5 and 7 of the server). It is zero where the lists
// were not read or contradict their lengths.
func (p *Parser) fingerprint(h *half, d flows.Dir) [16]byte {
	if !h.whole || len(h.lists) < 16 {
		return [16]byte{}
	}
	text, b := p.scratch[:0], h.lists[16:]
	for i := range 8 {
		if len(b) < 4 {
			return [16]byte{}
		}
		n := binary.BigEndian.Uint32(b)
		if b = b[4:]; uint64(n) > uint64(len(b)) {
			return [16]byte{}
		}
		if i == 0 {
			text = append(text, b[:n]...)
		} else if i >= 2 && i%2 == int(d) {
			text = append(append(text, ';'), b[:n]...)
		}
		b = b[n:]
	}
	p.scratch = text
	return md5.Sum(text)
}

// answer takes the size of what the server said to a request.
func (p *Parser) answer(out *flows.Out, c *flows.Conn, size int, ref flows.Ref) {
	p.answers++
	a := flows.Auth{Meta: flows.Meta{Ref: ref}, Conn: *c, Method: flows.AuthPassword, Over: flows.AppSSH}
	switch {
	case p.answers == 1:
		p.accept = size
	case size < p.accept:
		a.Outcome = flows.Succeeded
		p.stats.Successes++
		out.Auth(&a)
		p.blind, p.in = true, flows.Succeeded
		p.shape.Reset()
	case p.answers == 2:
		p.fail = size
	case size == p.fail:
		a.Outcome, p.in = flows.Failed, flows.Failed
		p.stats.Failures++
		out.Auth(&a)
	}
	p.blind = p.blind || p.answers >= maxAnswers
}

// take reads a part of b in the clear and returns its length.
func (h *half) take(b []byte) (n int, ok bool) {
	if h.phase == banner { // lines before the version are allowed to the server (RFC 4253, 4.2)
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			h.line += len(b)
			h.begin = append(h.begin, b[:min(len(b), maxVersion-len(h.begin))]...)
			return len(b), h.line < maxPacket
		}
		h.begin = append(h.begin, b[:min(end, maxVersion-len(h.begin))]...)
		if bytes.HasPrefix(h.begin, []byte("SSH-")) {
			h.phase = clear
		} else {
			h.begin = h.begin[:0]
		}
		h.line += end + 1
		return end + 1, h.line < maxPacket
	}
	if h.skip > 0 {
		n = min(h.skip, len(b))
		if h.keep {
			h.lists = append(h.lists, b[:n]...)
		}
		if h.skip -= n; h.skip == 0 {
			h.whole, h.keep = h.whole || h.keep, false
			if h.last {
				h.phase = sealed
			}
		}
		return n, true
	}
	n = copy(h.head[h.have:], b)
	if h.have += n; h.have < len(h.head) {
		return n, true
	}
	size := int(binary.BigEndian.Uint32(h.head[:]))
	if size < 2 || size > maxPacket {
		return n, false
	}
	h.skip, h.have = size-2, 0
	h.last = h.head[5] == msgNewKeys
	h.keep = h.head[5] == msgKexInit && !h.whole && h.skip <= maxLists
	if h.last && h.skip == 0 {
		h.phase = sealed
	}
	return n, true
}
