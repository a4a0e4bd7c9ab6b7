package ldap

import (
	"bytes"

	"neuromast/flows"
	"neuromast/flows/proto/ber"
	"neuromast/flows/proto/dcerpc"
	"neuromast/flows/proto/ntlm"
)

// logon is the authentication under way.
type logon struct {
	user, domain, workstation, server []byte
	challenge, answer                 [8]byte
	ref                               flows.Ref
	method                            flows.AuthMethod
	open                              bool // the client has proved itself, or tried
	v1, anonymous                     bool
}

func (l *logon) reset() {
	*l = logon{user: l.user[:0], domain: l.domain[:0], workstation: l.workstation[:0], server: l.server[:0]}
}

// bind reads a request to log in (RFC 4511, 4.2).
func (p *Parser) bind(out *flows.Out, id int32, b []byte, ref flows.Ref) bool {
	version, ok := ber.Integer(b)
	if !ok || version < 2 || version > 3 {
		return false
	}
	_, _, b, _, _ = ber.Cut(b)
	tag, name, b, _, ok := ber.Cut(b)
	if !ok || tag != 4 {
		return false
	}
	kind, proof, _, _, ok := ber.Cut(b)
	if !ok {
		return false
	}
	o := p.open(out, id, flows.LDAPBind)
	o.ref = ref
	o.base = appendText(o.base, name, maxName)
	l := &p.logon
	switch kind {
	case tagSimple:
		o.mechanism = append(o.mechanism, "simple"...)
		p.logonDone(out, flows.Unseen, 0, ref)
		l.user, l.domain = appendText(l.user[:0], name, maxName), l.domain[:0]
		if domain, user, ok := bytes.Cut(l.user, []byte{'\\'}); ok {
			l.domain = append(l.domain, domain...)
			l.user = append(l.user[:0], user...)
		}
		l.method, l.open, l.ref, l.anonymous = flows.AuthPassword, true, ref, len(proof) == 0
	case tagSASL:
		mechanism, _ := ber.Inside(proof, 4)
		o.mechanism = appendText(o.mechanism, mechanism, 32)
	case 0x89, 0x8a, 0x8b: // MS-ADTS 5.1.1.1.3
		o.mechanism = append(o.mechanism, "NTLM"...)
	default:
		return true
	}
	if kind == tagSimple {
		return true
	}
	if m, ok := ntlm.Find(proof); ok {
		if m.Kind == ntlm.Authenticate {
			p.logonDone(out, flows.Unseen, 0, ref)
			l.method = flows.AuthNTLM
			l.open, l.ref = true, ref
			l.user = clip(m.Append(l.user[:0], m.User), maxName)
			l.domain = clip(m.Append(l.domain[:0], m.Domain), maxName)
			l.workstation = clip(m.Append(l.workstation[:0], m.Workstation), maxName)
			l.v1, l.anonymous, l.answer = m.NTLMv1(), m.Anonymous(), m.Proof
		}
	} else if dcerpc.KerberosToken(proof) {
		p.logonDone(out, flows.Unseen, 0, ref)
		l.method, l.open, l.ref = flows.AuthKerberos, true, ref
	}
	return true
}

// Results of a bind (RFC 4511, 4.1.9).
const (
	inProgress  = 14
	wrongMethod = 48
	wrongProof  = 49
)

// bound reads the answer to a bind.
func (p *Parser) bound(out *flows.Out, id int32, b []byte, size int, ref flows.Ref) bool {
	code, ok := ber.Integer(b)
	if !ok {
		return false
	}
	if m, ok := ntlm.Find(b); ok && m.Kind == ntlm.Challenge { // in the SASL credentials, or where matchedDN stands
		p.logon.challenge = m.Challenge
		p.logon.server = clip(m.AppendServer(p.logon.server[:0]), maxName)
	}
	for i := range p.waiting {
		if o := &p.pending[i]; o.id == id {
			o.bytes += uint64(size)
			o.result(code)
			p.write(out, o, ref)
			p.close(i)
			break
		}
	}
	switch code {
	case inProgress:
	case 0:
		p.logonDone(out, flows.Succeeded, 0, ref)
	case wrongProof, wrongMethod:
		p.logonDone(out, flows.Failed, status(b), ref)
	default: // another method is wanted, or none is to be had now: says nothing of the proof
		p.logon.open = false
	}
	return true
}

// status reads the code that Windows puts into the message of a refusal, as "data 52e," (MS-ADTS 3.1.1.3.1.9 and
// MS-ERREF 2.2), and returns the NTSTATUS that means the same; 0 where there is none.
func status(b []byte) uint32 {
	_, rest, ok := bytes.Cut(b, []byte("data "))
	if !ok {
		return 0
	}
	code, _, ok := bytes.Cut(rest[:min(len(rest), 6)], []byte(","))
	if !ok {
		return 0
	}
	switch string(code) {
	case "525": // no such user
		return 0xc0000064
	case "52e": // wrong name or password
		return 0xc000006d
	case "530", "531": // not now, not here
		return 0xc000006f
	case "532": // password expired
		return 0xc0000071
	case "533": // disabled
		return 0xc0000072
	case "701": // account expired
		return 0xc0000193
	case "773": // password must be changed
		return 0xc0000224
	case "775": // locked
		return 0xc0000234
	}
	return 0
}

// logonDone writes the open authentication, if any.
func (p *Parser) logonDone(out *flows.Out, o flows.Outcome, status uint32, ref flows.Ref) {
	l := &p.logon
	if !l.open {
		return
	}
	l.open = false
	a := flows.Auth{
		Meta: flows.Meta{Ref: ref}, Conn: p.facing, Method: l.method, Over: flows.AppLDAP, Outcome: o, Status: status, Anonymous: l.anonymous,
	}
	if l.method != flows.AuthKerberos {
		a.User, a.Domain = out.Put(l.user), out.Put(l.domain)
	}
	if l.method == flows.AuthNTLM {
		a.Workstation, a.Server, a.Challenge, a.NTLMv1 = out.Put(l.workstation), out.Put(l.server), l.challenge, l.v1
		a.Proof = l.answer
	}
	out.Auth(&a)
}
