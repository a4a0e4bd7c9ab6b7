package craft

import (
	"strings"
	"time"
)

// Search is a question to a directory (RFC 4511, 4.5).
type Search struct {
	Base       string
	Scope      byte   // 0 base, 1 one level, 2 subtree
	Filter     string // RFC 4515, without escapes
	Attributes []string
	Entries    int
	Size       int  // of an entry's value, bytes
	SDFlags    bool // asks for security descriptors (MS-ADTS 3.1.1.3.4.1.11)
}

// number is an INTEGER of one or two bytes.
func number(tag byte, v int) []byte {
	if v < 0x80 {
		return der(tag, []byte{byte(v)})
	}
	return der(tag, []byte{byte(v >> 8), byte(v)})
}

func text(s string) []byte { return der(4, []byte(s)) }

// ldapMessage is a message of a directory (RFC 4511, 4.1.1).
func ldapMessage(id int, parts ...[]byte) []byte {
	return der(0x30, append([][]byte{number(2, id)}, parts...)...)
}

func ldapResult(tag byte, code byte, more ...[]byte) []byte {
	return der(tag, append([][]byte{der(10, []byte{code}), text(""), text("")}, more...)...)
}

// filter encodes a filter of RFC 4515 (RFC 4511, 4.5.1.7); what it does not know becomes an equality.
func filter(s string) []byte {
	b, _ := filterOf(s)
	return b
}

func filterOf(s string) (b []byte, rest string) {
	s = strings.TrimPrefix(s, "(")
	if s != "" && strings.IndexByte("&|!", s[0]) >= 0 {
		tag := 0xa0 + byte(strings.IndexByte("&|!", s[0]))
		var parts [][]byte
		for s = s[1:]; strings.HasPrefix(s, "("); {
			var part []byte
			part, s = filterOf(s)
			parts = append(parts, part)
		}
		return der(tag, parts...), strings.TrimPrefix(s, ")")
	}
	leaf, rest, _ := strings.Cut(s, ")")
	name, value, _ := strings.Cut(leaf, "=")
	switch {
	case strings.HasSuffix(name, ":"):
		name, rule, _ := strings.Cut(strings.TrimSuffix(name, ":"), ":")
		return der(0xa9, der(0x81, []byte(rule)), der(0x82, []byte(name)), der(0x83, []byte(value))), rest
	case value == "*":
		return der(0x87, []byte(name)), rest
	case strings.Contains(value, "*"):
		parts := strings.Split(value, "*")
		var list [][]byte
		for i, p := range parts {
			if p == "" {
				continue
			}
			tag := byte(0x81)
			if i == 0 {
				tag = 0x80
			} else if i == len(parts)-1 {
				tag = 0x82
			}
			list = append(list, der(tag, []byte(p)))
		}
		return der(0xa4, text(name), der(0x30, list...)), rest
	}
	return der(0xa3, text(name), text(value)), rest
}

// Directory tells a connection to a directory: a log-in by NTLM, or by a password in clear where plain is set, then searches. Signed
// messages carry NTLM's signature, sealed ones are opaque.
func (n *Net) Directory(at time.Time, client, server *Host, who Account, plain bool, protection string, searches ...Search) time.Time {
	c := n.Dial(at, client, server, 389)
	id := 1
	if plain {
		c.Client(ldapMessage(id, der(0x60, number(2, 3), text(who.Domain+`\`+who.User), der(0x80, []byte("a password")))))
		c.Server(ldapMessage(id, ldapResult(0x61, 0)))
	} else {
		bind := func(token []byte) []byte {
			return ldapMessage(id, der(0x60, number(2, 3), text(""), der(0xa3, text("GSS-SPNEGO"), der(4, token))))
		}
		c.Client(bind(spnegoInit(ntlmNegotiate())))
		c.Server(ldapMessage(id, ldapResult(0x61, 14, der(0x87, spnegoResponse(ntlmChallenge(n.Bytes(8), who.Domain, server.Name), 1)))))
		id++
		c.Client(bind(spnegoResponse(ntlmAuthenticate(n, who, client.Name), -1)))
		c.Server(ldapMessage(id, ldapResult(0x61, 0)))
	}
	wrap := func(b []byte) []byte {
		head := Join([]byte{1, 0, 0, 0}, n.Bytes(12))
		switch protection {
		case "signed":
			b = Join(head, b)
		case "sealed":
			b = Join(head, n.Bytes(len(b)))
		default:
			return b
		}
		l := len(b)
		return append([]byte{byte(l >> 24), byte(l >> 16), byte(l >> 8), byte(l)}, b...)
	}
	for _, s := range searches {
		id++
		var list [][]byte
		for _, a := range s.Attributes {
			list = append(list, text(a))
		}
		parts := [][]byte{der(0x63, text(s.Base), der(10, []byte{s.Scope}), der(10, []byte{0}), number(2, 0), number(2, 0), der(1, []byte{0}), filter(s.Filter), der(0x30, list...))}
		if s.SDFlags {
			parts = append(parts, der(0xa0, der(0x30, text("1.2.840.113556.1.4.801"), der(4, der(0x30, number(2, 7))))))
		}
		c.Client(wrap(ldapMessage(id, parts...)))
		var answer []byte
		for range s.Entries {
			answer = append(answer, ldapMessage(id, der(0x64, text("CN=x,"+s.Base), der(0x30, der(0x30, text("cn"), der(0x31, der(4, n.Bytes(max(s.Size, 8))))))))...)
		}
		c.Server(wrap(append(answer, ldapMessage(id, ldapResult(0x65, 0))...)))
		c.Wait(40 * time.Millisecond)
	}
	c.Client(wrap(ldapMessage(id+1, der(0x42))))
	c.Close()
	return c.Now
}

// Lookup tells a request of HTTP with a look-up through JNDI in its agent (CVE-2021-44228) to port 8080 of a server; where comes is a
// host, the server then asks the directory on its port, and gets an object where object is set, before it answers.
func (n *Net) Lookup(at time.Time, client, server *Host, lookup string, comes *Host, port uint16, object bool) time.Time {
	c := n.Dial(at, client, server, 8080)
	c.Client([]byte("GET /api HTTP/1.1\r\nHost: " + server.Addr.String() + ":8080\r\nUser-Agent: " + lookup + "\r\nAccept: */*\r\n\r\n"))
	if comes != nil {
		d := n.Dial(c.Now.Add(30*time.Millisecond), server, comes, port)
		d.Client(ldapMessage(1, der(0x60, number(2, 3), text(""), der(0x80))))
		d.Server(ldapMessage(1, ldapResult(0x61, 0)))
		d.Client(ldapMessage(2, der(0x63, text("o=x"), der(10, []byte{0}), der(10, []byte{3}), number(2, 0), number(2, 0), der(1, []byte{0}), filter("(objectClass=*)"), der(0x30))))
		if object {
			value := func(name string, v []byte) []byte { return der(0x30, text(name), der(0x31, der(4, v))) }
			d.Server(ldapMessage(2, der(0x64, text("o=x"), der(0x30, value("javaClassName", []byte("java.lang.String")), value("javaSerializedData", n.Bytes(2000))))))
		}
		d.Server(ldapMessage(2, ldapResult(0x65, 0)))
		d.Client(ldapMessage(3, der(0x42)))
		d.Close()
		c.Now = d.Now
	}
	c.Wait(20 * time.Millisecond)
	c.Server([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"))
	c.Close()
	return c.Now
}
