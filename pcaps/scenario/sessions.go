package scenario

import (
	"time"

	"neuromast/pcaps/craft"
)

// ssh tells a session; locked: no password was right.
func (c *call) ssh() {
	c.n.SSH(c.at, c.actor, c.host(c.word(0)), craft.SSH{
		Fails: c.number("fails", 0), Gets: !c.has("locked"), Keys: c.number("keys", 0), Back: c.number("back", 0), Send: c.number("send", 0), Take: c.number("take", 0),
	})
}

// rdp tells a remote desktop connection; fails: the password was wrong.
func (c *call) rdp() {
	work, err := time.ParseDuration(option(c.args, "work", "0s"))
	if err != nil || work > time.Hour {
		c.fail("work: want a duration of an hour at most")
	}
	c.n.RDP(c.at, c.actor, c.host(c.word(0)), craft.RDP{
		User: c.account().User, Wrong: c.has("fails"), Restricted: c.has("restricted"), Struck: c.number("struck", 0), Work: work, Send: c.number("send", 0),
	})
}
