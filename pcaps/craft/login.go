package craft

import (
	"encoding/base64"
	"fmt"
	"time"
)

// webTurn tells one request with its header lines, and the answer to it.
func (c *Conn) webTurn(host, path, headers string, status int, answer string) {
	c.Client(fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0\r\n%s\r\n", path, host, headers))
	c.Server(fmt.Appendf(nil, "HTTP/1.1 %d -\r\n%sContent-Length: 4\r\n\r\ntext", status, answer))
}

// WebLogon tells a log-in by NTLM over HTTP (MS-NTHT); status 401 is a refusal.
func (n *Net) WebLogon(at time.Time, client, server *Host, port uint16, host, path string, who Account, status int) time.Time {
	c := n.Dial(at, client, server, port)
	c.webTurn(host, path, "", 401, "WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n")
	c.webNTLM(host, path, server.Name, who.Domain, n.Bytes(8), ntlmAuthenticate(n, who, client.Name), status)
	c.Close()
	return c.Now
}

func (c *Conn) webNTLM(host, path, server, domain string, challenge, answer []byte, status int) {
	token := base64.StdEncoding.EncodeToString
	c.webTurn(host, path, "Authorization: NTLM "+token(ntlmNegotiate())+"\r\n", 401, "WWW-Authenticate: NTLM "+token(ntlmChallenge(challenge, domain, server))+"\r\n")
	last := ""
	if status == 401 {
		last = "WWW-Authenticate: NTLM\r\n"
	}
	c.webTurn(host, path, "Authorization: NTLM "+token(answer)+"\r\n", status, last)
}

// Basic tells tries with wrong passwords on one connection (RFC 7617), and one that gets in where gets says so.
func (n *Net) Basic(at time.Time, client, server *Host, port uint16, host, path, user string, tries int, every time.Duration, gets bool) time.Time {
	c := n.Dial(at, client, server, port)
	for i := range tries {
		if i > 0 {
			c.Wait(every)
		}
		c.webTurn(host, path, "Authorization: Basic "+base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:guess%d", user, i))+"\r\n", 401, "WWW-Authenticate: Basic realm=\"-\"\r\n")
	}
	if gets {
		c.webTurn(host, path, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(user+":right"))+"\r\n", 200, "")
	}
	c.Close()
	return c.Now
}

// Relay tells a victim whose log-in at a web server is passed on to a file server's SMB: both legs show the target's challenge and
// the victim's answer to it.
func (n *Net) Relay(at time.Time, victim, relay, target *Host, host string, who Account) time.Time {
	challenge, answer := n.Bytes(8), ntlmAuthenticate(n, who, victim.Name)
	leg := n.Dial(at, victim, relay, 80)
	leg.webTurn(host, "/", "", 401, "WWW-Authenticate: NTLM\r\n")
	s := n.logon(at.Add(20*time.Millisecond), relay, target, who, statusOK, challenge, answer)
	leg.webNTLM(host, "/", target.Name, who.Domain, challenge, answer, 404)
	leg.Close()
	s.Tree("C$")
	s.Close()
	return s.Now
}
