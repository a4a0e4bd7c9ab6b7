package ldap

import (
	"bytes"

	"neuromast/flows"
	"neuromast/flows/proto/ber"
)

// operation is a bind or search that waits for its result.
type operation struct {
	id                                   int32
	op                                   flows.LDAPOp
	ref                                  flows.Ref // of the request; zero where only answers were seen
	base, filter, asked, mechanism, java []byte
	bytes                                uint64
	entries                              uint32
	page                                 uint32
	scope                                uint8
	further, sd                          bool
	code                                 uint32
	outcome                              flows.Outcome
}

// open returns a new operation, the oldest of too many being written as it is.
func (p *Parser) open(out *flows.Out, id int32, op flows.LDAPOp) *operation {
	if p.waiting == maxPending {
		p.stats.Displaced++
		p.write(out, &p.pending[0], p.pending[0].ref)
		p.close(0)
	}
	if p.waiting == len(p.pending) {
		p.pending = append(p.pending, operation{})
	}
	o := &p.pending[p.waiting]
	p.waiting++
	*o = operation{id: id, op: op, base: o.base[:0], filter: o.filter[:0], asked: o.asked[:0], mechanism: o.mechanism[:0], java: o.java[:0]}
	return o
}

// close takes operation i out of those that wait and keeps its buffers.
func (p *Parser) close(i int) {
	gone := p.pending[i]
	copy(p.pending[i:p.waiting], p.pending[i+1:p.waiting])
	p.waiting--
	p.pending[p.waiting] = gone
}

// find returns the operation that an answer belongs to; one whose request was not seen is made.
func (p *Parser) find(out *flows.Out, id int32) int {
	for i := p.waiting - 1; i >= 0; i-- {
		if p.pending[i].id == id {
			return i
		}
	}
	p.open(out, id, flows.LDAPSearch)
	return p.waiting - 1
}

// write tells of an operation.
func (p *Parser) write(out *flows.Out, o *operation, ref flows.Ref) {
	out.LDAP(&flows.LDAP{
		Meta: flows.Meta{Ref: ref}, Conn: p.facing, RequestRef: o.ref, Base: out.Put(o.base), Filter: out.Put(o.filter), Attributes: out.Put(o.asked),
		Mechanism: out.Put(o.mechanism), Java: out.Put(o.java), Bytes: o.bytes, Entries: o.entries, Code: o.code, PageSize: o.page, Op: o.op,
		Scope: o.scope, Outcome: o.outcome, Further: o.further, SDFlags: o.sd,
	})
}

// message takes a message of size bytes whose first ones are given (RFC 4511, 4.1.1).
func (p *Parser) message(out *flows.Out, dir flows.Dir, b []byte, size int, ref flows.Ref) bool {
	_, body, _, _, ok := ber.Cut(b)
	if !ok {
		return false
	}
	id, ok := ber.Integer(body)
	if !ok || id < 0 {
		return false
	}
	_, _, body, _, _ = ber.Cut(body)
	tag, op, controls, _, ok := ber.Cut(body)
	if !ok {
		return false
	}
	p.side(dir, tag)
	switch tag {
	case tagBind:
		return p.bind(out, id, op, ref)
	case tagBindAnswer:
		return p.bound(out, id, op, size, ref)
	case tagSearch:
		return p.search(out, id, op, controls, ref)
	case tagEntry:
		o := &p.pending[p.find(out, id)]
		o.entries++
		o.bytes += uint64(size)
		return o.entry(op)
	case tagReference:
		p.pending[p.find(out, id)].bytes += uint64(size)
	case tagDone:
		i := p.find(out, id)
		o := &p.pending[i]
		code, ok := ber.Integer(op)
		if !ok {
			return false
		}
		o.bytes += uint64(size)
		o.result(code)
		p.write(out, o, ref)
		p.close(i)
	case tagExtended:
		const startTLS = "1.3.6.1.4.1.1466.20037"
		_, name, _, _, ok := ber.Cut(op)
		p.startTLS = ok && string(name) == startTLS
	case tagExtAnswer:
		code, ok := ber.Integer(op)
		p.tls = p.startTLS && ok && code == 0
	}
	return true
}

// result enters the code of a result.
func (o *operation) result(code int32) {
	o.code, o.outcome = uint32(code), flows.Succeeded
	if code != 0 {
		o.outcome = flows.Failed
	}
}

// side learns from a message who asks; the first one tells.
func (p *Parser) side(dir flows.Dir, tag byte) {
	if p.known {
		return
	}
	asks := false
	switch tag {
	case tagBind, tagUnbind, tagSearch, 0x66, 0x68, 0x4a, 0x6c, 0x6e, 0x50, tagExtended:
		asks = true
	}
	p.known = true
	if p.client = dir; !asks {
		p.client = dir.Other()
	}
	if p.client == flows.Resp {
		f := &p.facing
		f.Orig, f.Resp, f.OrigPort, f.RespPort = f.Resp, f.Orig, f.RespPort, f.OrigPort
	}
}

// Controls that are looked at.
const (
	controlPaged   = "1.2.840.113556.1.4.319" // RFC 2696
	controlSDFlags = "1.2.840.113556.1.4.801" // MS-ADTS 3.1.1.3.4.1.11
)

// search reads a request (RFC 4511, 4.5.1).
func (p *Parser) search(out *flows.Out, id int32, b, controls []byte, ref flows.Ref) bool {
	tag, base, b, _, ok := ber.Cut(b)
	if !ok || tag != 4 {
		return false
	}
	scope, ok := ber.Integer(b)
	if !ok || scope < 0 || scope > 3 {
		return false
	}
	for range 5 { // scope, aliases, limits of size and time, types only
		if _, _, b, _, ok = ber.Cut(b); !ok {
			return false
		}
	}
	o := p.open(out, id, flows.LDAPSearch)
	o.ref, o.scope = ref, uint8(scope)
	o.base = appendText(o.base, base, maxName)
	if o.filter, ok = appendFilter(o.filter, b, 0); !ok {
		p.close(p.waiting - 1)
		return false
	}
	o.filter = clip(o.filter, maxFilter)
	_, _, b, _, _ = ber.Cut(b)
	if list, ok := ber.Inside(b, 0x30); ok {
		for len(list) > 0 && len(o.asked) < maxAsked {
			tag, name, rest, whole, ok := ber.Cut(list)
			if !ok || tag != 4 || !whole {
				break
			}
			if len(o.asked) > 0 {
				o.asked = append(o.asked, ' ')
			}
			o.asked, list = appendText(o.asked, name, maxAsked), rest
		}
	}
	list, _ := ber.Inside(controls, tagControls)
	for range 16 {
		tag, control, rest, whole, ok := ber.Cut(list)
		if !ok || tag != 0x30 || !whole {
			break
		}
		o.control(control)
		list = rest
	}
	return true
}

// control reads one control (RFC 4511, 4.1.11).
func (o *operation) control(b []byte) {
	_, name, b, _, ok := ber.Cut(b)
	if !ok {
		return
	}
	switch string(name) {
	case controlSDFlags:
		o.sd = true
	case controlPaged:
		if tag, _, rest, _, ok := ber.Cut(b); ok && tag == 1 { // criticality
			b = rest
		}
		value, _ := ber.Inside(b, 4)
		value, _ = ber.Inside(value, 0x30)
		if n, ok := ber.Integer(value); ok && n >= 0 {
			o.page = uint32(n)
			_, _, value, _, _ = ber.Cut(value)
			cookie, _ := ber.Inside(value, 4)
			o.further = len(cookie) > 0
		}
	}
}

// javaPrefix begins the attributes that describe Java objects (RFC 2713, 3), in lower case.
var javaPrefix = []byte("java")

// entry looks for Java objects among an entry's attributes (RFC 4511, 4.5.2).
func (o *operation) entry(b []byte) bool {
	tag, _, b, _, ok := ber.Cut(b)
	if !ok || tag != 4 {
		return false
	}
	list, _ := ber.Inside(b, 0x30)
	for len(list) > 0 {
		tag, attribute, rest, _, ok := ber.Cut(list)
		if !ok || tag != 0x30 {
			break // the rest was not kept
		}
		name, _ := ber.Inside(attribute, 4)
		if len(name) >= 8 && len(name) <= 32 && bytes.EqualFold(name[:4], javaPrefix) && isJava(name) && len(o.java) < maxJava {
			if len(o.java) > 0 {
				o.java = append(o.java, ' ')
			}
			o.java = appendText(o.java, name, maxJava)
		}
		list = rest
	}
	return true
}

// isJava says that an attribute is one of RFC 2713, 3.
func isJava(name []byte) bool {
	for _, known := range [...]string{"javaClassName", "javaClassNames", "javaCodebase", "javaSerializedData", "javaFactory", "javaReferenceAddress", "javaDoc"} {
		if len(name) == len(known) && bytes.EqualFold(name, []byte(known)) {
			return true
		}
	}
	return false
}
