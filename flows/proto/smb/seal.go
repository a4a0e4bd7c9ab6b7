package smb

import (
	"strconv"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Lengths of messages in clear, header included (MS-SMB2 2.2): what a transform header says of a message is its length,
// and these are fixed but for what they carry.
const (
	transformLen  = 52              // MS-SMB2 2.2.41
	createAnswer2 = header2Len + 88 // 2.2.14, without contexts
	closeAnswer2  = header2Len + 60 // 2.2.16
	readRequest2  = header2Len + 49 // 2.2.19
	readAnswer2   = header2Len + 16 // 2.2.20 and what was read
	writeRequest2 = header2Len + 48 // 2.2.21 and what is written
	writeAnswer2  = header2Len + 16 // 2.2.22
	ioctlRequest2 = header2Len + 56 // 2.2.31 and the input
	ioctlAnswer2  = header2Len + 48 // 2.2.32 and the output
	errorAnswer2  = header2Len + 9  // 2.2.2: an error, or "pending"
	bindLen       = 28              // of a bind without its contexts, C706 12.6.4.3
	bindContext   = 44              // of one context with one transfer syntax
	ackLen        = 16 + 8 + 2 + 4  // of a bind_ack without address and results, 12.6.4.4
	ackResult     = 24              // of one result
	callHeader    = 24              // of a request and of a response, 12.6.4.9 and 12.6.4.10
	maxContexts   = 4               // a client binds one interface in up to three transfer syntaxes
	bulkFrom      = 4096            // bytes of writes or reads in a row that are told; chosen by us
	maxAsked      = 16              // requests that wait, in order
	maxFirstSizes = 24              // exchanges named in a fact
)

// span is what consecutive exchanges are.
type span uint8

const (
	spanNone  span = iota
	spanBound      // a binding and its calls
	spanWrite
	spanRead
)

// seal follows the sizes of encrypted messages.
type seal struct {
	asked            [maxAsked]uint32 // sizes of requests without an answer, oldest first
	waiting          int
	interim          bool   // the oldest was answered by an error or by "pending"
	before           uint32 // size of the request before, where it was a write
	told             int    // facts
	totals           flows.Sealed
	summed           uint32 // exchanges at the last summary
	calls            uint32
	domains, builtin uint16
	stubs            [2]uint32 // lengths of the call before
	largest          uint32
	first            packet.Time
	last             flows.Ref // of the span
	bulk             uint64
	contexts         int // of a bind whose answer is not read yet
	span             span
	opened           bool // a write of a call's length waits for its read
	sizes            [maxFirstSizes][2]uint32
	numSizes         int
}

// sealed takes an encrypted message.
func (p *Parser) sealed(t *turn, dir flows.Dir, b []byte) {
	if len(b) < transformLen {
		p.stats.Malformed++
		return
	}
	n := le.Uint32(b[36:])
	s := &p.seal
	if dir == p.client {
		if s.interim && s.waiting == 1 { // it was an error, not a promise
			s.shift()
		}
		if s.waiting == maxAsked {
			s.shift()
		}
		s.asked[s.waiting] = n
		s.waiting++
		return
	}
	if s.waiting == 0 {
		return
	}
	if n == errorAnswer2 {
		s.interim = true
		return
	}
	q := s.asked[0]
	s.shift()
	s.totals.Exchanges++
	p.exchange(t, q, n)
}

func (s *seal) shift() {
	copy(s.asked[:], s.asked[1:s.waiting])
	s.waiting--
	s.interim = false
}

// exchange takes a request of q bytes with its answer of a bytes.
func (p *Parser) exchange(t *turn, q, a uint32) {
	s := &p.seal
	write, read := q > writeRequest2 && a == writeAnswer2, q == readRequest2 && a > readAnswer2
	was := s.before
	s.before = 0
	if write {
		s.before = q
	}
	switch {
	case write && contexts(q-writeRequest2) > 0 && s.span != spanWrite:
		p.endSpan(t)
		s.contexts = contexts(q - writeRequest2)
		s.note(q, a)
		return
	case s.contexts > 0 && was != 0 && read && acknowledges(a-readAnswer2, s.contexts):
		p.bound(t, q, a)
		return
	case q > ioctlRequest2 && a > ioctlAnswer2 && contexts(q-ioctlRequest2) > 0 && acknowledges(a-ioctlAnswer2, contexts(q-ioctlRequest2)):
		p.endSpan(t)
		p.bound(t, q, a)
		return
	}
	s.contexts = 0
	if s.span == spanBound {
		switch {
		case write && q-writeRequest2 >= callHeader:
			s.opened = true
		case read && was != 0 && s.opened && a-readAnswer2 >= callHeader:
			s.called(was-writeRequest2-callHeader, a-readAnswer2-callHeader)
			s.opened = false
		case read && !s.opened: // the answer goes on
		case q >= ioctlRequest2+callHeader && a >= ioctlAnswer2+callHeader && a != createAnswer2:
			s.called(q-ioctlRequest2-callHeader, a-ioctlAnswer2-callHeader)
		default:
			p.endSpan(t)
		}
		if s.span == spanBound {
			s.largest, s.last = max(s.largest, a), t.ref
			s.note(q, a)
			return
		}
	}
	switch {
	case write && s.span == spanWrite:
		s.bulk += uint64(q - writeRequest2)
	case write:
		p.endSpan(t)
		s.begin(spanWrite, t)
		s.bulk = uint64(q - writeRequest2)
	case read && s.span == spanRead:
		s.bulk += uint64(a - readAnswer2)
	case read:
		p.endSpan(t)
		s.begin(spanRead, t)
		s.bulk = uint64(a - readAnswer2)
	default:
		p.endSpan(t)
		s.numSizes = 0
	}
	s.last = t.ref
	s.note(q, a)
}

// The lengths of stubs that tell a walk into an account database (MS-SAMR 3.1.5.11.1, 3.1.5.1.5): LookupDomain answers with
// a domain's SID of four parts (pointer, count, 24 bytes, status), which OpenDomain sends back behind a handle and an access
// mask for a handle of the domain. The built-in domain's SID has one part; its answer is as long as a handle's, so that
// the length of its name in the request has to tell.
const (
	handleReply   = 20 + 4
	sidReply      = 4 + 4 + 24 + 4
	openDomain    = 20 + 4 + 4 + 24
	openBuiltin   = 20 + 4 + 4 + 12
	lookupBuiltin = 20 + 8 + 12 + 14 // "Builtin", not padded
)

// called counts a call by the lengths of its stubs.
func (s *seal) called(q, a uint32) {
	s.calls++
	switch {
	case s.stubs[1] == sidReply && q == openDomain && a == handleReply:
		s.domains++
	case s.stubs[1] == handleReply && s.stubs[0] >= lookupBuiltin && s.stubs[0] <= lookupBuiltin+2 && q == openBuiltin && a == handleReply:
		s.builtin++
	}
	s.stubs = [2]uint32{q, a}
}

func (s *seal) begin(k span, t *turn) {
	s.span, s.first, s.bulk, s.calls, s.largest, s.opened = k, t.out.Now, 0, 0, 0, false
	s.domains, s.builtin, s.stubs = 0, 0, [2]uint32{}
	s.numSizes = 0
}

func (s *seal) note(q, a uint32) {
	if s.numSizes < maxFirstSizes {
		s.sizes[s.numSizes] = [2]uint32{q, a}
		s.numSizes++
	}
}

// bound begins a binding.
func (p *Parser) bound(t *turn, q, a uint32) {
	s := &p.seal
	sizes, n := s.sizes, s.numSizes
	s.begin(spanBound, t)
	if s.contexts > 0 && n > 0 { // the write of the bind belongs to it
		s.note(sizes[n-1][0], sizes[n-1][1])
	}
	s.note(q, a)
	s.contexts, s.last = 0, t.ref
	s.totals.Bindings++
}

// contexts says of how many contexts a bind of n bytes is; 0: n is no bind's length. A bind that also authenticates is
// longer by its token and is not told.
func contexts(n uint32) int {
	if n < bindLen+bindContext || (n-bindLen)%bindContext != 0 || (n-bindLen)/bindContext > maxContexts {
		return 0
	}
	return int(n-bindLen) / bindContext
}

// acknowledges says that n bytes are the length of a bind's acknowledgement: its address is the pipe's name, \PIPE\ and
// four to sixteen letters, with its end and padding.
func acknowledges(n uint32, contexts int) bool {
	address := int64(n) - ackLen - int64(contexts)*ackResult
	return address >= 6+4+1 && address <= 6+16+1+3
}

// endSpan tells what has ended.
func (p *Parser) endSpan(t *turn) {
	s := &p.seal
	switch s.span {
	case spanBound:
		if s.calls > 0 {
			p.tellSealed(t, s.calls)
		}
	case spanWrite:
		s.totals.Wrote += s.bulk
		if s.bulk >= bulkFrom {
			p.tellSealed(t, 0)
		}
	case spanRead:
		s.totals.Read += s.bulk
		if s.bulk >= bulkFrom {
			p.tellSealed(t, 0)
		}
	}
	s.span, s.bulk, s.calls, s.largest, s.opened = spanNone, 0, 0, 0, false
}

// sumUp tells what encrypted messages came to so far; at a flush a binding may go on.
func (p *Parser) sumUp(t *turn) {
	s := &p.seal
	if s.totals.Exchanges == s.summed {
		return
	}
	p.endSpan(t)
	if s.totals.Exchanges != s.summed {
		p.tellSealed(t, 0)
	}
}

func (p *Parser) tellSealed(t *turn, calls uint32) {
	s := &p.seal
	if s.told >= maxSealed {
		p.stats.CutFacts++
		t.out.Batch.Lost[flows.LostFact]++
		return
	}
	s.told++
	s.summed = s.totals.Exchanges
	f := p.fact(t, flows.SMBSealed, 0, 0)
	if len(p.sessions) > 0 {
		f.User = t.out.Put(p.sessions[len(p.sessions)-1].user)
	}
	f.Ref = s.last
	f.Sealed = s.totals
	f.Sealed.Calls, f.Sealed.First, f.Sealed.Largest = calls, s.first, s.largest
	if calls > 0 {
		f.Sealed.Domains, f.Sealed.Builtin = s.domains, s.builtin
		p.text = p.text[:0]
		for i, x := range s.sizes[:s.numSizes] {
			if i > 0 {
				p.text = append(p.text, ' ')
			}
			p.text = strconv.AppendUint(p.text, uint64(x[0]), 10)
			p.text = append(p.text, '/')
			p.text = strconv.AppendUint(p.text, uint64(x[1]), 10)
		}
		f.Path = t.out.Put(p.text)
	}
	p.put(t, &f)
}
