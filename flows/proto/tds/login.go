package tds

import (
	"encoding/binary"

	"neuromast/flows"
	"neuromast/flows/proto/dcerpc"
	"neuromast/flows/proto/ntlm"
)

// logon is who the connection belongs to, and the log-in under way.
type logon struct {
	user, domain, workstation, server []byte // of NTLM, or the user of a log-in by password
	host, program                     []byte // as the client claims
	account                           []byte // DOMAIN\user
	challenge, answer                 [8]byte
	ref                               flows.Ref
	method                            flows.AuthMethod
	begun                             bool // the server is to challenge
	open                              bool // the client has proved itself, or tried
	v1, anonymous                     bool
}

func (l *logon) reset() {
	*l = logon{
		user: l.user[:0], domain: l.domain[:0], workstation: l.workstation[:0], server: l.server[:0], host: l.host[:0], program: l.program[:0], account: l.account[:0],
	}
}

// login reads a LOGIN7 (MS-TDS 2.2.6.4).
func (p *Parser) login(out *flows.Out, b []byte, ref flows.Ref) {
	const fixed = 94
	le := binary.LittleEndian
	if len(b) < fixed-8 || le.Uint32(b) < fixed-8 {
		p.stats.Malformed++
		p.broken++
		return
	}
	p.logonDone(out, flows.Unseen, 0, ref)
	l := &p.logon
	l.reset()
	text := func(dst []byte, at int) []byte { // offset and length in characters
		from, n := int(le.Uint16(b[at:])), 2*int(le.Uint16(b[at+2:]))
		if from < fixed-8 || from+n > len(b) || n > 2*maxName {
			return dst
		}
		return clipTo(ntlm.AppendUTF16(dst, b[from:from+n]), maxName)
	}
	l.host, l.user, l.program = text(l.host, 36), text(l.user, 40), text(l.program, 48)
	l.account = append(l.account, l.user...)
	l.method, l.open, l.ref = flows.AuthPassword, true, ref
	const integrated = 0x80 // OptionFlags2, fIntSecurity
	if b[25]&integrated != 0 {
		l.open, l.begun = false, true
		from, n := int(le.Uint16(b[78:])), int(le.Uint16(b[80:]))
		if from+n <= len(b) {
			p.proof(out, b[from:from+n], ref)
		}
	}
}

// proof reads a client's token of NTLM or Kerberos.
func (p *Parser) proof(out *flows.Out, b []byte, ref flows.Ref) {
	l := &p.logon
	if m, ok := ntlm.Find(b); ok {
		l.begun = true
		if m.Kind == ntlm.Authenticate {
			l.method, l.open, l.ref = flows.AuthNTLM, true, ref
			l.user = clipTo(m.Append(l.user[:0], m.User), maxName)
			l.domain = clipTo(m.Append(l.domain[:0], m.Domain), maxName)
			l.workstation = clipTo(m.Append(l.workstation[:0], m.Workstation), maxName)
			l.v1, l.anonymous, l.answer = m.NTLMv1(), m.Anonymous(), m.Proof
			l.account = ntlm.AppendAccount(l.account[:0], l.domain, l.user)
		}
	} else if dcerpc.KerberosToken(b) {
		l.method, l.open, l.ref = flows.AuthKerberos, true, ref
	}
}

// Tokens of answers (MS-TDS 2.2.7) that a log-in may meet, all with a length of two bytes.
const (
	tokenError   = 0xaa
	tokenInfo    = 0xab
	tokenAck     = 0xad
	tokenChange  = 0xe3
	tokenSSPI    = 0xed
	tokenFeature = 0xae // without such a length
)

// Errors of log-ins.
const (
	loginFailed    = 18456
	untrusted      = 18452
	accountLocked  = 18486
	accountExpired = 18487
	mustChange     = 18488
)

// welcome reads the answer to a log-in.
func (p *Parser) welcome(out *flows.Out, b []byte, ref flows.Ref) {
	le := binary.LittleEndian
	for len(b) >= 3 {
		switch b[0] {
		case tokenError, tokenInfo, tokenAck, tokenChange, tokenSSPI:
		default:
			return
		}
		n := int(le.Uint16(b[1:]))
		body := b[3:min(3+n, len(b))]
		switch b[0] {
		case tokenSSPI:
			if m, ok := ntlm.Find(body); ok && m.Kind == ntlm.Challenge {
				p.logon.challenge = m.Challenge
				p.logon.server = clipTo(m.AppendServer(p.logon.server[:0]), maxName)
			}
		case tokenAck:
			p.logonDone(out, flows.Succeeded, 0, ref)
			return
		case tokenError:
			if len(body) < 4 {
				return
			}
			switch le.Uint32(body) {
			case loginFailed, untrusted:
				p.logonDone(out, flows.Failed, 0xc000006d, ref)
			case accountLocked:
				p.logonDone(out, flows.Failed, 0xc0000234, ref)
			case accountExpired, mustChange:
				p.logonDone(out, flows.Failed, 0xc0000071, ref)
			}
		}
		b = b[min(3+n, len(b)):]
	}
}

// logonDone writes the open authentication, if any.
func (p *Parser) logonDone(out *flows.Out, o flows.Outcome, status uint32, ref flows.Ref) {
	l := &p.logon
	if l.begun = l.begun && o == flows.Unseen && !l.open; !l.open {
		return
	}
	l.open = false
	p.stats.Logins++
	a := flows.Auth{
		Meta: flows.Meta{Ref: ref}, Conn: p.facing, Method: l.method, Over: flows.AppTDS, Outcome: o, Status: status, Anonymous: l.anonymous,
		User: out.Put(l.user), Domain: out.Put(l.domain),
	}
	if l.method == flows.AuthNTLM {
		a.Workstation, a.Server, a.Challenge, a.NTLMv1 = out.Put(l.workstation), out.Put(l.server), l.challenge, l.v1
		a.Proof = l.answer
	} else {
		a.Workstation = out.Put(l.host)
	}
	out.Auth(&a)
}
