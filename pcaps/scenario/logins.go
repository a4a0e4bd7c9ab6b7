package scenario

import (
	"fmt"
	"strings"
	"time"

	"neuromast/pcaps/craft"
)

// names expands NAME, or PREFIX* to as many numbered names as said.
func (c *call) names(name string) []string {
	prefix, many := strings.CutSuffix(name, "*")
	if !many {
		return []string{name}
	}
	var out []string
	for i := range c.number("names", 1) {
		out = append(out, fmt.Sprintf("%s%d", prefix, i+1))
	}
	return out
}

func (c *call) pause(otherwise string) time.Duration {
	d, err := time.ParseDuration(option(c.args, "every", otherwise))
	if err != nil || d < 0 {
		c.fail("every: %w", err)
	}
	return d
}

// kerberos tells first exchanges with a key distribution centre, one user after the other.
func (c *call) kerberos() {
	answer, ok := map[string]craft.KDCAnswer{"ticket": craft.KDCTicket, "noproof": craft.KDCNoProof, "unknown": craft.KDCUnknown, "wrong": craft.KDCWrong, "asks": craft.KDCAsksProof}[c.word(3)]
	if !ok {
		c.fail("no answer %q", c.word(3))
		return
	}
	var ciphers []int
	if c.has("rc4") {
		ciphers = []int{craft.RC4}
	}
	at, every := c.at, c.pause("1s")
	for _, user := range c.names(c.word(2)) {
		c.n.Kerberos(at, c.actor, c.host(c.word(0)), c.word(1), user, answer, ciphers...)
		at = at.Add(every)
	}
}

// ticket tells second exchanges, one service after the other; with rc4 their tickets are sealed so, as the client asks.
func (c *call) ticket() {
	cipher, offered := craft.AES256, []int(nil)
	if c.has("rc4") {
		cipher, offered = craft.RC4, []int{craft.RC4}
	}
	at, every := c.at, c.pause("1s")
	for _, service := range c.names(c.word(2)) {
		c.n.Ticket(at, c.actor, c.host(c.word(0)), c.word(1), option(c.args, "for", "user"), service, cipher, offered...)
		at = at.Add(every)
	}
}

func (c *call) webLogon() {
	status := 200
	if c.has("fails") {
		status = 401
	}
	c.n.WebLogon(c.at, c.actor, c.host(c.word(0)), uint16(c.number("port", 80)), c.word(1), c.word(2), c.account(), status)
}

func (c *call) basic() {
	c.n.Basic(c.at, c.actor, c.host(c.word(0)), 80, c.word(1), c.word(2), option(c.args, "user", "admin"), c.number("tries", 1), c.pause("1s"), c.has("gets"))
}

func (c *call) relay() {
	c.n.Relay(c.at, c.actor, c.host(c.word(0)), c.host(c.word(1)), c.word(2), c.account())
}
