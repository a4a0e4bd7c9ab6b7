package http

import (
	"bytes"
	"encoding/base64"

	"neuromast/flows"
	"neuromast/flows/proto/dcerpc"
	"neuromast/flows/proto/ntlm"
)

// Limits of what proves who a client is.
const (
	maxToken = 4 << 10 // bytes of a security token that are decoded: NTLM is shorter, of a ticket only the beginning tells
	maxText  = 4*maxToken/3 + 4
)

// login is what a connection shows of who its client is (RFC 9110, 11; MS-NTHT; RFC 4559; RFC 7617; RFC 7616). A password is
// never decoded beyond the group of three bytes in which the user's name ends, and never kept.
type login struct {
	user, domain, workstation, server field
	challenge, proof                  [8]byte
	method                            flows.AuthMethod
	due                               bool // the open request proves something: its answer tells the outcome
	digest                            bool
	v1, anonymous                     bool
	said                              bool // a success of the user last said: a browser proves itself with each request
	saidUser                          field
	saidMethod                        flows.AuthMethod
}

func (l *login) reset() {
	l.due, l.digest, l.v1, l.anonymous, l.said = false, false, false, false, false
	l.user.n, l.domain.n, l.workstation.n, l.server.n, l.saidUser.n = 0, 0, 0, 0, 0
	l.challenge = [8]byte{}
}

// scheme cuts the name of a scheme off the value of a header (RFC 9110, 11.4).
func scheme(value []byte) (name, rest []byte) {
	name, rest, _ = bytes.Cut(value, []byte(" "))
	return name, bytes.TrimSpace(rest)
}

// sealed says that a scheme carries security tokens.
func sealed(name []byte) bool {
	return bytes.EqualFold(name, []byte("NTLM")) || bytes.EqualFold(name, []byte("Negotiate"))
}

// token decodes a security token, cut at maxToken, into p.token; nil where it is none.
func (p *Parser) decode(text []byte) []byte {
	text = text[:min(len(text), maxText)&^3]
	if p.token == nil {
		p.token = make([]byte, maxToken+3)
	}
	n, err := base64.StdEncoding.Decode(p.token, text)
	if err != nil || n < 8 {
		p.stats.BadTokens++
		return nil
	}
	return p.token[:n]
}

// authorize takes the value of Authorization or Proxy-Authorization.
func (p *Parser) authorize(value []byte) {
	l := &p.login
	name, rest := scheme(value)
	switch {
	case len(rest) == 0:
	case sealed(name):
		p.prove(rest)
	case bytes.EqualFold(name, []byte("Basic")):
		l.claim(flows.AuthPassword, false)
		l.user.n = basicUser(&l.user.b, rest)
		l.due = l.user.n > 0
	case bytes.EqualFold(name, []byte("Digest")):
		l.claim(flows.AuthPassword, true)
		l.user.set(parameter(rest, "username"))
		l.due = l.user.n > 0
	}
}

// claim begins a proof of another kind.
func (l *login) claim(m flows.AuthMethod, digest bool) {
	l.method, l.digest, l.v1, l.anonymous, l.proof = m, digest, false, false, [8]byte{}
	l.user.n, l.domain.n, l.workstation.n = 0, 0, 0
}

// prove takes the security token of a client.
func (p *Parser) prove(text []byte) {
	b := p.decode(text)
	if b == nil {
		return
	}
	l := &p.login
	if m, ok := ntlm.Find(b); ok {
		if m.Kind != ntlm.Authenticate {
			return
		}
		l.claim(flows.AuthNTLM, false)
		l.due, l.v1, l.anonymous, l.proof = true, m.NTLMv1(), m.Anonymous(), m.Proof
		l.user.text(&m, m.User)
		l.domain.text(&m, m.Domain)
		l.workstation.text(&m, m.Workstation)
	} else if dcerpc.KerberosToken(b) {
		l.claim(flows.AuthKerberos, false)
		l.due = true
	}
}

// text sets a name of an NTLM message.
func (f *field) text(m *ntlm.Message, b []byte) {
	var room [3 * maxField]byte // names of 255 characters in UTF-8 stay on the stack
	f.set(m.Append(room[:0], b[:min(len(b), 2*maxField)]))
}

// basicUser decodes a user's name up to its colon (RFC 7617, 2), the password no further; 0 where there is none.
func basicUser(dst *[maxField]byte, text []byte) (n int) {
	var group [3]byte
	defer clear(group[:])
	for ; len(text) >= 4; text = text[4:] {
		size, err := base64.StdEncoding.Decode(group[:], text[:4])
		if err != nil {
			return 0
		}
		for _, c := range group[:size] {
			if c == ':' {
				return n
			}
			if n == len(dst) {
				return 0
			}
			dst[n] = c
			n++
		}
	}
	return 0
}

// parameter returns the quoted value of a parameter (RFC 9110, 11.2), nil where there is none.
func parameter(list []byte, name string) []byte {
	for len(list) > 0 {
		list = bytes.TrimLeft(list, " \t,")
		key, rest, ok := bytes.Cut(list, []byte("="))
		if !ok {
			return nil
		}
		key, rest = bytes.TrimSpace(key), bytes.TrimSpace(rest)
		var value []byte
		if len(rest) > 0 && rest[0] == '"' {
			if value, rest, ok = bytes.Cut(rest[1:], []byte(`"`)); !ok {
				return nil
			}
		} else {
			value, rest, _ = bytes.Cut(rest, []byte(","))
		}
		if bytes.EqualFold(key, []byte(name)) {
			return value
		}
		list = rest
	}
	return nil
}

// challenged reads the headers of an answer that wants proof, and says whether it goes on with the proof at hand.
func (p *Parser) challenged(head []byte) (goesOn bool) {
	l := &p.login
	_, rest, _ := bytes.Cut(head, []byte("\r\n"))
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !bytes.EqualFold(name, []byte("www-authenticate")) && !bytes.EqualFold(name, []byte("proxy-authenticate")) {
			continue
		}
		kind, token := scheme(bytes.TrimSpace(value))
		switch {
		case sealed(kind) && len(token) > 0:
			b := p.decode(token)
			if b == nil {
				continue
			}
			if m, ok := ntlm.Find(b); ok && m.Kind == ntlm.Challenge {
				var room [3 * maxField]byte
				l.challenge = m.Challenge
				l.server.set(m.AppendServer(room[:0]))
			}
			goesOn = goesOn || l.method == flows.AuthKerberos
		case bytes.EqualFold(kind, []byte("Digest")) && l.digest:
			goesOn = goesOn || bytes.EqualFold(parameter(token, "stale"), []byte("true")) // RFC 7616, 3.3
		}
	}
	return goesOn
}

// proved writes what came of a proof. A success that repeats the last one of its connection is not said again.
func (p *Parser) proved(out *flows.Out, c *flows.Conn, outcome flows.Outcome, ref flows.Ref) {
	l := &p.login
	if !l.due {
		return
	}
	l.due = false
	if outcome == flows.Succeeded {
		if l.said && l.saidMethod == l.method && bytes.Equal(l.saidUser.bytes(), l.user.bytes()) {
			return
		}
		l.said, l.saidMethod = true, l.method
		l.saidUser.set(l.user.bytes())
	} else {
		l.said = false
	}
	p.stats.LogIns++
	f := flows.Auth{
		Meta: flows.Meta{Ref: ref}, Conn: *c, Method: l.method, Over: flows.AppHTTP, Outcome: outcome, NTLMv1: l.v1, Anonymous: l.anonymous,
		User: out.Put(l.user.bytes()), Domain: out.Put(l.domain.bytes()), Workstation: out.Put(l.workstation.bytes()), Host: out.Put(p.host.bytes()), Proof: l.proof,
	}
	if l.method == flows.AuthNTLM {
		f.Server, f.Challenge = out.Put(l.server.bytes()), l.challenge
	}
	out.Auth(&f)
}

// outcome is what a status says of a proof: a server that is overloaded or can't be reached (5xx), or did not understand
// (400), says nothing.
func outcome(status uint16) flows.Outcome {
	switch {
	case status == 401 || status == 407:
		return flows.Failed
	case status == 0 || status == 400 || status >= 500:
		return flows.Unseen
	}
	return flows.Succeeded
}
