package windows

import (
	"fmt"
	"net/netip"
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// maxControllers bounds the hosts known as domain controllers, and the notices between them; 100 bytes each.
const maxControllers = 4096

// notice is how long after a controller told its partner of changes the partner's pull is its answer.
const notice = time.Minute

// Controllers knows the domain controllers: those that are configured, or else the hosts that were seen to answer as
// one, by Kerberos, or by an accepted bind or answered call of drsuapi or netlogon. A host that made another bind to it
// in these ways passes for a controller: known and accepted, since configuration closes it.
type Controllers struct {
	configured []netip.Prefix
	seen       *lru.Table[detectors.HostKey, packet.Time]
	notices    *lru.Table[pair, packet.Time]
}

// pair is who called whom.
type pair struct{ client, server detectors.HostKey }

func pairOf(c *flows.Conn) pair {
	return pair{detectors.HostKey{Segment: c.Segment, Addr: c.Orig}, detectors.HostKey{Segment: c.Segment, Addr: c.Resp}}
}

// ParseControllers reads addresses and CIDRs; its error names every wrong one.
func ParseControllers(list []string) (out []netip.Prefix, errs []error) {
	for i, text := range list {
		p, err := netip.ParsePrefix(text)
		if a, e := netip.ParseAddr(text); e == nil {
			p, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("domain_controllers[%d]: %q is neither an address nor a CIDR", i, text))
			continue
		}
		out = append(out, p)
	}
	return out, errs
}

// NewControllers returns a memory that trusts the configured list alone, or learns where it is empty.
func NewControllers(configured []netip.Prefix) *Controllers {
	return &Controllers{
		configured: configured,
		seen:       lru.New[detectors.HostKey, packet.Time](maxControllers, nil),
		notices:    lru.New[pair, packet.Time](maxControllers, nil),
	}
}

// Flow learns from who answers Kerberos.
func (c *Controllers) Flow(r *flows.Record) {
	if r.App == flows.AppKerberos && r.RespPort == 88 && r.Total[flows.Resp].PayloadBytes > 0 {
		c.learn(detectors.HostKey{Segment: r.Segment, Addr: r.Resp}, r.At)
	}
}

// The operation by which a controller tells its partner that there are changes (MS-DRSR 4.1.23, IDL_DRSReplicaSync).
const opReplicaSync = 2

// RPC learns from who answers drsuapi and netlogon, and who notifies whom. It comes before questions about r.
func (c *Controllers) RPC(r *flows.RPC) {
	if r.Outcome != flows.Succeeded {
		return
	}
	server := detectors.HostKey{Segment: r.Segment, Addr: r.Resp}
	switch {
	case r.Interface == DRSUAPI || r.Interface == Netlogon:
		c.learn(server, r.At)
	case r.Source == flows.FromNowhere && r.Encrypted && r.Opnum == opReplicaSync && !r.Bind:
		at, _ := c.notices.Use(pairOf(&r.Conn))
		*at = r.At
	}
}

func (c *Controllers) learn(h detectors.HostKey, now packet.Time) {
	if len(c.configured) > 0 {
		return
	}
	if at, isNew := c.seen.Use(h); isNew {
		*at = now
	}
}

// Is says whether a host is a domain controller.
func (c *Controllers) Is(segment packet.Segment, a packet.Addr) bool {
	if len(c.configured) > 0 {
		ip := a.Netip()
		for _, p := range c.configured {
			if p.Contains(ip) {
				return true
			}
		}
		return false
	}
	return c.seen.Get(detectors.HostKey{Segment: segment, Addr: a}) != nil
}

// Invited says that server, within the minute before, called operation 2 of an interface whose bind was not seen on
// client: as a controller does that tells its partner to fetch changes. A host that then pulls is likely that partner.
func (c *Controllers) Invited(r *flows.RPC) bool {
	p := pairOf(&r.Conn)
	at := c.notices.Get(pair{p.server, p.client})
	return at != nil && r.At.Sub(*at) <= notice && len(c.configured) == 0
}
