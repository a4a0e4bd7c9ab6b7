package dcerpc

import (
	"bytes"
	"unicode/utf8"

	"neuromast/flows"
	"neuromast/flows/proto/ntlm"
)

// auth is the authentication that an association carries out: kind and level from the bind, names from NTLM.
type auth struct {
	server, user, domain, workstation []byte
	ref                               flows.Ref
	challenge, proof                  [8]byte
	kind, level                       uint8
	method                            flows.AuthMethod
	open                              bool // the client has proved itself, the server has not yet said what it thinks
	aged                              bool
	v1, anonymous                     bool
}

func (u *auth) reset() {
	*u = auth{server: u.server[:0], user: u.user[:0], domain: u.domain[:0], workstation: u.workstation[:0]}
}

// token reads the authentication trailer of a PDU without stub.
func (a *Association) token(s *side, b []byte, ref flows.Ref) {
	kind, level, token, ok := trailerOf(&s.pdu, b)
	if !ok {
		return
	}
	u := &a.auth
	if s.pdu.fromClient() {
		u.kind, u.level = kind, level
	}
	if m, ok := ntlm.Find(token); ok {
		a.ntlm(&m, ref)
		return
	}
	if s.pdu.fromClient() && KerberosToken(token) && !u.open {
		u.method, u.open, u.aged, u.ref = flows.AuthKerberos, true, false, ref
	}
}

func (a *Association) ntlm(m *ntlm.Message, ref flows.Ref) {
	u := &a.auth
	switch m.Kind {
	case ntlm.Challenge:
		u.challenge = m.Challenge
		u.server = m.AppendServer(u.server[:0])
	case ntlm.Authenticate:
		u.method, u.open, u.aged, u.ref = flows.AuthNTLM, true, false, ref
		u.user = clip(m.Append(u.user[:0], m.User))
		u.domain = clip(m.Append(u.domain[:0], m.Domain))
		u.workstation = clip(m.Append(u.workstation[:0], m.Workstation))
		u.v1, u.anonymous, u.proof = m.NTLMv1(), m.Anonymous(), m.Proof
		a.user = ntlm.AppendAccount(a.user[:0], u.domain, u.user)
	}
}

// authDone writes the open authentication, if any.
func (a *Association) authDone(out *flows.Out, c *flows.Conn, o flows.Outcome, status uint32, ref flows.Ref) {
	u := &a.auth
	if !u.open {
		return
	}
	u.open = false
	f := flows.Auth{
		Meta: flows.Meta{Ref: ref}, Conn: a.conn(c), Method: u.method, Over: flows.AppDCERPC, Outcome: o, Status: status,
	}
	if u.method == flows.AuthNTLM {
		f.User, f.Domain, f.Workstation = out.Put(u.user), out.Put(u.domain), out.Put(u.workstation)
		f.Server, f.Challenge, f.NTLMv1, f.Anonymous = out.Put(u.server), u.challenge, u.v1, u.anonymous
		f.Proof = u.proof
	}
	out.Auth(&f)
}

// clip bounds a name.
func clip(name []byte) []byte {
	if len(name) <= maxName {
		return name
	}
	n := maxName
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}

// apReq is how a Kerberos AP-REQ begins behind its tags (RFC 4120, 5.5.1): pvno [0] 5, msg-type [1] 14. It stands bare in
// DCE/RPC (MS-KILE 3.4.5.1), behind a GSS-API header (RFC 4121, 4.1) elsewhere.
var apReq = []byte{0xa0, 0x03, 0x02, 0x01, 0x05, 0xa1, 0x03, 0x02, 0x01, 0x0e}

// KerberosToken says that a GSS-API or SPNEGO token holds a Kerberos AP-REQ: the client proves itself by a ticket.
func KerberosToken(b []byte) bool { return bytes.Contains(b, apReq) }
