/*
Package l2 finds hosts that put themselves between others on a LAN: rules l2.poison (T1557.001), l2.arp (T1557.002), l2.dhcp
(T1557.003) and l2.redirect (T1557).

# What it sees

Answers of LLMNR, mDNS and the NetBIOS name service to questions that a group was asked; ARP messages; DHCP offers and acknowledgements;
ICMP redirects; and from flow records through which hardware address a host's traffic with the outside comes, and what it connects to.
The actor of a lie by ARP is the address whose own traffic carries the liar's hardware address: by its lease, by what it sends to
local groups, else by its broadcast ARP requests, else by the conversations that it began before, where they are of one address. It is waited for 5 min, or to the end of the input.

# Statistic

l2.poison: names that are not the responder's own (registered with NetBIOS, or announced by mDNS unasked), answered to a question
to a group with the responder's own address. Of all three protocols the first label counts, 15 bytes of it. Three different names within
10 min are 6 nats, over mDNS alone 2, since devices have several names there. An answer for wpad or isatap 2. Where either holds and
the victim then connects to the responder's port 445 or 139 3 more, to port 80 1.

l2.arp: a machine told a host by a reply to it alone, which it did not ask for within 90 s, that an address is at its own hardware
address: 0.5; five within a minute 1 more. That says nothing alone (keep-alives do so); one of these has to be added: the machine has
another address of its own 0.75; another machine claims the address in turn, before and after, 3; since then conversations of
the victim with the outside go through the machine, and before through another 1.5; it tells the address's holder the same of the victim 2.
Where one of these holds, 1 more if DHCP names the address as router, and 0.5 where another machine held it and is silent since.
Two machines that claim an address in turn within 10 min without unasked replies are 3 where the later one has another address, else 1:
an address used twice. Left out: the hardware addresses of VRRP, CARP, HSRP, GLBP and network load balancing; two that
differ by less than four (ports of one card, bonded); an address that DHCP leased to the machine.

l2.dhcp: a server that comes after another which answered within a day, on the same segment. It gives addresses of the same /24
with another router: 3, or with the same router and another resolver: 1, since servers of a pair may each name the nearer one first;
and 1 more where it names itself and the other does not. Addresses of another /24, neither relayed: 1.5, where both
were seen to give and not only to renew, which needs no relay.
Servers first seen within 10 s of each other have no order: then the one that names itself is the second.

l2.redirect: a redirect to an inside host whose sender's address is at another hardware address here: 3; by a machine that brings no
traffic of outside addresses: 1.5.

Hand: three names to a victim which then opens port 445: 9 nats (risk 99). A gateway's address told unasked once by a host with another
address, and the victim's traffic moves there: 0.5 + 0.75 + 1.5 = 2.75 (risk 44); with the gateway still claiming it, in both directions,
by 30 replies a minute, the router of DHCP: 0.5 + 1 + 0.75 + 3 + 1.5 + 2 + 1 = 9.75 (risk 99).

# Units, state, cost

Nats and packet time. 16,384 machines of 8 lies, addresses, questions of ARP and ways out, 1,024 responders with 16 names and 16
victims, 256 segments of 8 servers: 73 MB at worst. The least used go first, counted. A flow record costs two look-ups.

# Blind to

What a switch does not mirror: unicast replies above all. Answers with another address than the responder's. Lies told while the victim
asks. IPv6 neighbour discovery and router advertisements, DHCPv6. The router that a redirect names.

# Look-alikes

Fail-over of routers and servers: the old machine falls silent, and all are told. Sleep proxies, proxy ARP (they answer when asked).
Fail-over pairs of DHCP servers (same router and resolver). A home router plugged in by mistake, an address used twice: said, as notices.

# Source

RFC 826, RFC 5227, RFC 2131, RFC 4795, RFC 6762, RFC 1002; weights chosen by us, held by the cases of the tests.
*/
package l2

import _ "embed"

//go:embed doc.go
var doc string
