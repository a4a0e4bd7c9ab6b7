// Package kerberos reads the exchanges with a key distribution centre (RFC 4120, 3.1 and 3.3): who asks for a ticket to
// what, what ciphers it offers, whether it proves who it is, and what comes of it. Over TCP and UDP; tickets, keys and
// what FAST hides (RFC 6113) stay unread.
//
// A fact is one request with its answer, written when the answer comes; a request without one is written when packet
// time has gone ten seconds on, or the connection ends. An answer without a request tells what it says itself.
//
// Of errors that ask for a proof, the ciphers of the account's keys are read.
//
// Limits: messages of 64 KiB over TCP, since tickets with large privilege certificates are; names of 128 bytes; eight
// ciphers of each list; one open request for each connection, and 1,024 of them per shard over UDP.
package kerberos

import (
	"neuromast/flows"
	"neuromast/flows/proto/ber"
)

// Stats counts what was read and what was strange.
type Stats struct {
	Exchanges  uint64 // facts written
	Unanswered uint64 // of those: no answer came
	Unasked    uint64 // of those: the request was not seen
	Malformed  uint64 // messages whose parts contradict each other
	TooLong    uint64 // messages beyond the limit
	Evicted    uint64 // open requests over UDP given up because there were too many
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.Exchanges += o.Exchanges
	s.Unanswered += o.Unanswered
	s.Unasked += o.Unasked
	s.Malformed += o.Malformed
	s.TooLong += o.TooLong
	s.Evicted += o.Evicted
}

// Tags of the messages (RFC 4120, 5.4 to 5.9): application, constructed, message type.
const (
	tagASReq  = 0x60 | 10
	tagASRep  = 0x60 | 11
	tagTGSReq = 0x60 | 12
	tagTGSRep = 0x60 | 13
	tagError  = 0x60 | 30
	tagTicket = 0x60 | 1
	sequence  = 0x30
	bitString = 0x03
	octets    = 0x04
)

// Pre-authentication data that proves knowledge of the key (RFC 4120, 7.5.2; RFC 4556; RFC 6113).
const (
	paEncTimestamp       = 2
	paPKRequest          = 16
	paPKRequestOld       = 15
	paFAST               = 136
	paEncryptedChallenge = 138
)

// Further pre-authentication data: the ciphers of an account's keys (RFC 4120, 5.2.7.5), and a user in whose name a service asks
// (MS-SFU 2.2.1 and 2.2.2).
const (
	paEtypeInfo2 = 19
	paForUser    = 129
	paS4UUser    = 130
)

// Errors that tell the ciphers of an account's keys (RFC 4120, 7.5.9).
const (
	preauthFailed   = 24
	preauthRequired = 25
)

const (
	maxName    = 128
	maxMessage = 64 << 10
	maxKept    = 4 << 10 // buffer that a pooled parser keeps
)

// text is a bounded copy of a name.
type text struct {
	b [maxName]byte
	n uint8
}

func (t *text) set(b []byte) { t.n = uint8(copy(t.b[:], b)) }

func (t *text) bytes() []byte { return t.b[:t.n] }

// append adds a component of a principal's name.
func (t *text) append(b []byte) {
	if t.n > 0 && int(t.n) < maxName {
		t.b[t.n] = '/'
		t.n++
	}
	t.n += uint8(copy(t.b[t.n:], b))
}

// request is what is kept until the answer comes.
type request struct {
	client, service, realm text
	offered                [flows.MaxEtypes]int8
	numOffered             uint8
	tgs                    bool
	proof                  bool
	behalf                 bool
	open                   bool
	ref                    flows.Ref
}

// answer is what a reply says.
type answer struct {
	client, service, realm text
	ticket, part           int8
	code                   uint32
	failed                 bool
	tgs                    bool
	keys                   [flows.MaxEtypes]int8
	numKeys                uint8
	odd                    bool // what the error carries could not be read
}

// field is one numbered part of a sequence.
func fields(b []byte, f func(number byte, contents []byte) bool) bool {
	for len(b) > 0 {
		tag, contents, rest, _, ok := ber.Cut(b)
		if !ok || tag&0xe0 != 0xa0 {
			return false
		}
		if !f(tag&0x1f, contents) {
			return false
		}
		b = rest
	}
	return true
}

// inside returns what the application's sequence holds.
func inside(b []byte, tag byte) ([]byte, bool) {
	b, ok := ber.Inside(b, tag)
	if !ok {
		return nil, false
	}
	return ber.Inside(b, sequence)
}

// principal reads a PrincipalName (RFC 4120, 5.2.2).
func principal(t *text, b []byte) bool {
	*t = text{}
	b, ok := ber.Inside(b, sequence)
	return ok && fields(b, func(number byte, c []byte) bool {
		if number != 1 {
			return true
		}
		list, ok := ber.Inside(c, sequence)
		for ok && len(list) > 0 {
			var part []byte
			if _, part, list, _, ok = ber.Cut(list); ok {
				t.append(part)
			}
		}
		return ok
	})
}

// realm reads a Realm.
func realm(t *text, b []byte) bool {
	_, c, _, _, ok := ber.Cut(b)
	t.set(c)
	return ok
}

// request reads an AS-REQ or TGS-REQ (RFC 4120, 5.4.1).
func (r *request) read(b []byte) bool {
	*r = request{tgs: b[0] == tagTGSReq}
	b, ok := inside(b, b[0])
	return ok && fields(b, func(number byte, c []byte) bool {
		switch number {
		case 3: // padata
			list, ok := ber.Inside(c, sequence)
			for ok && len(list) > 0 {
				var pa []byte
				if _, pa, list, _, ok = ber.Cut(list); !ok {
					break
				}
				ok = fields(pa, func(number byte, c []byte) bool {
					if number == 1 {
						switch kind, _ := ber.Integer(c); kind {
						case paEncTimestamp, paPKRequest, paPKRequestOld, paFAST, paEncryptedChallenge:
							r.proof = true
						case paForUser, paS4UUser:
							r.behalf = true
						}
					}
					return true
				})
			}
			return ok
		case 4:
			body, ok := ber.Inside(c, sequence)
			return ok && fields(body, r.body)
		}
		return true
	})
}

// body reads one field of a KDC-REQ-BODY.
func (r *request) body(number byte, c []byte) bool {
	switch number {
	case 0: // KDCOptions; bit 14, cname-in-addl-tkt: the ticket is for whom another ticket names (MS-SFU 2.2.3)
		bits, ok := ber.Inside(c, bitString)
		r.behalf = r.behalf || ok && len(bits) > 2 && bits[2]&0x02 != 0
		return ok
	case 1:
		return principal(&r.client, c)
	case 2:
		return realm(&r.realm, c)
	case 3:
		return principal(&r.service, c)
	case 8:
		list, ok := ber.Inside(c, sequence)
		for ok && len(list) > 0 && int(r.numOffered) < len(r.offered) {
			v, fine := ber.Integer(list)
			if _, _, list, _, ok = ber.Cut(list); ok && fine && v == int32(int8(v)) {
				r.offered[r.numOffered] = int8(v)
				r.numOffered++
			}
		}
		return ok
	}
	return true
}

// etype reads the cipher of EncryptedData (RFC 4120, 5.2.9).
func etype(b []byte) (e int8) {
	b, ok := ber.Inside(b, sequence)
	if !ok {
		return 0
	}
	fields(b, func(number byte, c []byte) bool {
		if v, ok := ber.Integer(c); ok && number == 0 && v == int32(int8(v)) {
			e = int8(v)
		}
		return number == 0
	})
	return e
}

// read reads an AS-REP, TGS-REP (RFC 4120, 5.4.2) or KRB-ERROR (5.9.1).
func (a *answer) read(b []byte) bool {
	tag := b[0]
	*a = answer{failed: tag == tagError, tgs: tag == tagTGSRep}
	b, ok := inside(b, tag)
	if !ok {
		return false
	}
	if a.failed {
		return fields(b, func(number byte, c []byte) bool {
			switch number {
			case 6:
				v, ok := ber.Integer(c)
				a.code = uint32(v)
				return ok
			case 8:
				return principal(&a.client, c)
			case 9:
				return realm(&a.realm, c)
			case 10:
				return principal(&a.service, c)
			case 12: // e-data; what it is depends on the code, which comes before it
				if a.code == preauthRequired || a.code == preauthFailed {
					a.odd = !a.methods(c)
				}
			}
			return true
		})
	}
	return fields(b, func(number byte, c []byte) bool {
		switch number {
		case 3:
			return realm(&a.realm, c)
		case 4:
			return principal(&a.client, c)
		case 5:
			ticket, ok := inside(c, tagTicket)
			return ok && fields(ticket, func(number byte, c []byte) bool {
				switch number {
				case 2:
					return principal(&a.service, c)
				case 3:
					a.ticket = etype(c)
				}
				return true
			})
		case 6:
			a.part = etype(c)
		}
		return true
	})
}

// methods reads METHOD-DATA for the ciphers that the account's keys are for.
func (a *answer) methods(b []byte) bool {
	b, ok := ber.Inside(b, octets)
	if !ok {
		return false
	}
	list, ok := ber.Inside(b, sequence)
	for ok && len(list) > 0 {
		var pa []byte
		if _, pa, list, _, ok = ber.Cut(list); !ok {
			break
		}
		kind := int32(0)
		ok = fields(pa, func(number byte, c []byte) bool {
			switch number {
			case 1:
				kind, _ = ber.Integer(c)
			case 2:
				if kind == paEtypeInfo2 {
					return a.entries(c)
				}
			}
			return true
		})
	}
	return ok
}

// entries reads an ETYPE-INFO2.
func (a *answer) entries(b []byte) bool {
	b, ok := ber.Inside(b, octets)
	if !ok {
		return false
	}
	list, ok := ber.Inside(b, sequence)
	for ok && len(list) > 0 && int(a.numKeys) < len(a.keys) {
		var entry []byte
		if _, entry, list, _, ok = ber.Cut(list); !ok {
			break
		}
		fields(entry, func(number byte, c []byte) bool {
			if v, fine := ber.Integer(c); fine && number == 0 && v == int32(int8(v)) {
				a.keys[a.numKeys] = int8(v)
				a.numKeys++
			}
			return number == 0
		})
	}
	return ok
}

// write writes the fact of a request, an answer, or both.
func write(out *flows.Out, c *flows.Conn, r *request, a *answer, ref flows.Ref, s *Stats) {
	k := flows.Kerberos{Conn: *c, Meta: flows.Meta{Ref: ref}, RequestRef: r.ref}
	client, service, name := &r.client, &r.service, &r.realm
	switch {
	case a == nil:
		s.Unanswered++
	case !r.open:
		s.Unasked++
	}
	if a != nil {
		if a.odd {
			s.Malformed++
		}
		k.Ticket, k.Part, k.Code, k.Outcome, k.TGS = a.ticket, a.part, a.code, flows.Succeeded, a.tgs
		k.Keys, k.NumKeys = a.keys, a.numKeys
		if a.failed {
			k.Outcome = flows.Failed
		}
		if a.client.n > 0 { // as the realm writes it; a TGS request does not say who asks
			client = &a.client
		}
		if service.n == 0 {
			service = &a.service
		}
		if name.n == 0 {
			name = &a.realm
		}
	}
	if r.open {
		k.Behalf = r.behalf
		k.TGS, k.Proof, k.Offered, k.NumOffered, k.Asked = r.tgs, r.proof, r.offered, r.numOffered, true
	}
	k.Client, k.Service, k.Realm = out.Put(client.bytes()), out.Put(service.bytes()), out.Put(name.bytes())
	out.Kerberos(&k)
	s.Exchanges++
}
