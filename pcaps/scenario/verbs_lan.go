package scenario

import "neuromast/pcaps/craft"

func (c *call) llmnr() {
	var responder *craft.Host
	if by := option(c.args, "by", ""); by != "" {
		responder = c.host(by)
	}
	c.n.LLMNR(c.at, c.actor, responder, c.word(0))
}

// lease gives the client the address that it has in the description.
func (c *call) lease() {
	client := c.host(c.word(0))
	if client.Name == "" {
		client.Name = c.word(0)
	}
	c.n.Lease(c.at, c.actor, client, c.host(option(c.args, "router", "")).Addr, c.host(option(c.args, "resolver", "")).Addr)
}

// redirect is forged: the actor speaks in the name of a router, and leads to itself.
func (c *call) redirect() {
	c.n.Redirect(c.at, c.actor, c.host(option(c.args, "in", "")), c.host(c.word(0)), c.actor, c.host(option(c.args, "to", "")).Addr)
}
