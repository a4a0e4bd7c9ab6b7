/*
Package scan finds hosts that try where they don't know: rule scan.trw, discovery (T1046 Network Service Discovery,
T1018 Remote System Discovery; from outside also T1595 Active Scanning).

# What it sees

The first contact of a host with another host, or with another port of it, within a day: answered or failed. Retries and
later visits say nothing. Failed are

  - a TCP SYN that met a reset, an ICMP error or silence; silence only where the originator itself never went on, so
    that a sensor that sees one direction does not take its own blindness for failure;
  - TCP probes without SYN, ACK and RST (FIN, NULL, XMAS): no stack sends them (RFC 9293, 3.10.7.4);
  - UDP that met an ICMP error; silence after UDP says nothing;
  - ICMP echo without reply.

Not counted: multicast and broadcast, connections whose start was not seen, those that the flow table gave up early,
and packets that only answer (SYN-ACK or RST without SYN): the victim of a scan is never its actor. UDP traceroute's
ports don't count.

# Statistic

A sequential probability ratio test that is reflected at zero (Jung, Paxson, Berger, Balakrishnan 2004; Page 1954):
L = max(0, L + step), a failure adds ln((1-theta1)/(1-theta0)), an answer adds ln(theta1/theta0). It alarms at L >= h.
With theta0 = 0.8, theta1 = 0.2 and h = 11.5 that is nine failures in a row. At h the mean number of first contacts
between false alarms is at least e^h = 98,700 (Lorden 1971). Theta0 is measured: the median over internal hosts of the
share of first contacts that were answered, between 0.7 and 0.95, once 20 hosts told; 0.8 until then. A stealth probe adds
ln 30. Each source has walks of its own kind:

  - over internal hosts, at whatever port: a horizontal scan, or a block; echo requests apart;
  - over external hosts, for each service apart, since peer-to-peer programs fail at a thousand ports: and only where
    half of all failures outside are this service's, and less than a fifth of the contacts became a conversation;
  - over the ports of one host: a vertical scan. After three hosts the source's further ones are one finding, a block.

Unanswered echo requests to five internal hosts within a minute lift the walk to h at once: chance alone does so with
probability 7.7e-8 where 0.1 a minute is usual (Poisson).

A failing service that five or more clients tried is a dead server: each client's failure counts for 1/clients. Likewise
outside when most of what five or more hosts tried in the last five minutes failed: the way out is down. Outside theta0 is
never above what is configured.

Weight: min(8, L - h + 3) nats; at most 3.5 where an external host scans us, since that happens all day.

# Units, state, cost

L and h in nats, times in packet time. 600 bytes for a host that never fails; a walk takes 350 bytes and up to 3 KB of
sample while it lasts, 12 of them per source at most. 32,768 internal and as many external sources, least recently seen
out first, hosts that came once before those that came again. First contacts are remembered in 1.3 MB for a million
pairs a day. Evictions are counted.

# Blind to

Scans that touch only hosts known to answer; scans spread over many sources; slow UDP scans through a firewall that says
nothing; a dead service on a host that answers elsewhere counts as a failure, as it does in a scan. Where a capture holds
SYN segments only, every connection looks like a failure.
*/
package scan

import _ "embed"

//go:embed doc.go
var doc string
