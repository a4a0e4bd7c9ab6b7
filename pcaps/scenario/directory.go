package scenario

import (
	"slices"
	"strings"

	"neuromast/pcaps/craft"
)

// ldap tells a search of a directory over a connection of its own.
func (c *call) ldap() {
	scope := slices.Index([]string{"base", "one", "sub"}, c.word(2))
	if scope < 0 {
		c.fail("no scope %q", c.word(2))
		return
	}
	base := strings.TrimPrefix(c.word(1), "-") // - is the root
	s := craft.Search{Base: base, Scope: byte(scope), Filter: c.word(3), Entries: c.number("entries", 1), Size: c.number("size", 60), SDFlags: c.has("sd")}
	if a := option(c.args, "asks", ""); a != "" {
		s.Attributes = strings.Split(a, ",")
	}
	protection := ""
	for _, p := range []string{"signed", "sealed"} {
		if c.has(p) {
			protection = p
		}
	}
	var all []craft.Search
	for range c.number("times", 1) {
		all = append(all, s)
	}
	c.n.Directory(c.at, c.actor, c.host(c.word(0)), c.account(), c.has("plain"), protection, all...)
}

// sql tells a log-in to a database server and statements.
func (c *call) sql() {
	var batches []string
	wrong, refused := false, false
	for _, w := range c.args[min(2, len(c.args)):] {
		switch w {
		case "wrong":
			wrong = true
		case "refused":
			refused = true
		default:
			batches = append(batches, w)
		}
	}
	c.n.SQL(c.at, c.actor, c.host(c.word(0)), c.word(1), "app", wrong, refused, batches...)
}

// lookup tells a request with a look-up through JNDI, and what comes of it.
func (c *call) lookup() {
	var comes *craft.Host
	if h := option(c.args, "comes", ""); h != "" {
		comes = c.host(h)
	}
	c.n.Lookup(c.at, c.actor, c.host(c.word(0)), c.word(1), comes, uint16(c.number("port", 1389)), c.has("object"))
}
