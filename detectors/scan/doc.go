/*
Package scan finds hosts that try where they don't know: rules scan.trw (a sequence of failures), scan.burst (too many at once,
and ARP sweeps) and scan.slow (too many in a day, a week or a month); discovery (T1046 Network Service Discovery, T1018 Remote
System Discovery; from outside also T1595 Active Scanning).

# What it sees

The first contact of a host with another host, or with another port of it, within a day: answered or failed. Retries and
later visits say nothing. Failed are

  - a TCP SYN that met a reset, an ICMP error or silence; silence only where the originator itself never went on, so
    that a sensor that sees one direction does not take its own blindness for failure;
  - TCP probes without SYN, ACK and RST (FIN, NULL, XMAS): no stack sends them (RFC 9293, 3.10.7.4);
  - UDP that met an ICMP error; silence after UDP says nothing, but of services that answer what they understand (DNS, SNMP,
    IPMI and their like) a fifth of a failure, over hosts;
  - ICMP echo without reply;
  - half a failure: a way in (SSH, RPC, SMB, SQL Server, remote desktop, VNC, WinRM and their kin) inside that answered and was left by
    a reset before the client said a byte, as SYN scans and connect scans leave it; once in thirty days for each;
  - a VNC handshake that the client leaves by a reset once it knows the kinds of security: answered, but a failure's step;
  - an ARP request to everybody for an address that has sent nothing in thirty days and does not within five seconds.

Not counted: multicast and broadcast, connections whose start was not seen, those that the flow table gave up early,
and packets that only answer (SYN-ACK or RST without SYN): the victim of a scan is never its actor. UDP traceroute's
ports don't count.

# Statistic

A sequential probability ratio test that is reflected at zero (Jung, Paxson, Berger, Balakrishnan 2004; Page 1954):
L = max(0, L + step), a failure adds ln((1-theta1)/(1-theta0)), an answer adds ln(theta1/theta0). It alarms at L >= h.
With theta0 = 0.8, theta1 = 0.2 and h = 11.5 that is nine failures in a row. Theta0 is measured over first contacts inside: what
all but a fourth of the internal hosts surpass, since false alarms come from the worse ones; between 0.7 and 0.9, once 20 hosts
told; 0.8 until then. At its own theta0 a host has at least e^h = 98,700 first contacts between false alarms (Lorden 1971). By
the chain of levels, at h = 11.5, and at 0.95 for comparison:

	theta0    in a row    of a host that fails at 2 %    5 %       10 %      15 %      20 %
	0.8       9           1.7e15                         3.8e11    5.4e8     1.1e7     580,000
	0.85      7           7.2e11                         1.0e9     6.6e6     310,000   31,800
	0.9       6           1.1e10                         3.2e7     354,000   24,800    3,790
	0.95      5           5.8e7                          540,000   15,100    1,910     464

H is what is configured, or ln(first contacts inside a day / 0.1 false alarms a day) where that is more, by 5 nats at most: 10,000
hosts with ten a day each make 13.8. A stealth probe adds ln 30.

Each source has walks of its own kind:

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

# scan.burst and scan.slow

What is usual is measured at hosts of the same role (the host graph's), where enough was seen of them, else at all.
Failures of an internal host inside, at (host, port), are counted whatever is answered between them; those of dead servers are
not, nor silence of UDP.

  - scan.burst: x in 1 minute, 10 minutes, 1 hour against Poisson's tail, P(X >= x) < 1e-6. The mean is a third of the 99th
    percentile of the greatest counts in a host's hour, over 1,000 host-hours, but 1, 2 and 4 at least and until then, and 5, 10
    and 20 at most. Means of 1, 2 and 4 make 10, 13 and 18 too many. Only where failures are at least as many as the new
    contacts of this hour and the last that became conversations: who manages a fleet talks to what is there. Weight 3 +
    ln(failures / bound), at most 6.
  - scan.slow: x in 24 hours, 7 days, 30 days, of failures that did not happen in thirty days before, against a negative binomial
    tail, -ln P >= 14. Mean and r are fitted over the hosts' days (moments) from 100 of them; until then 3, 9 and 20 with
    r = 1: 49, 133 and 287 are too many (0.75^49 = 7.6e-7). The bound is never below 24, 60 and 120, nor above 133, 150 and 600. After a
    week a failure at an address that never sent anything counts three. A probe in ten minutes is found after 8 hours, one an
    hour after five and a half days, at worst after 22 hours and 6.3 days. Weight 3 + ln(x / bound), at most 5.
  - ARP: 20 dark addresses in 30 seconds and a quarter of all that were asked for: scan.burst, 3 + ln(n / 20), at most 6. Excused
    are routers (frames of three addresses, or of one from outside, come from their hardware address), what DHCP names as router
    or server, and hosts that eight others ask for.

One scan is one finding. Which rule alarms first speaks, and the others' numbers are its evidence, until nothing failed for 24
hours. The counts wait a minute, since what a walk tells is more. A finding is said anew when it has doubled, else a minute later, or once a day when it is closed by
then; it counts as grown at each tenfold.

A scanner of the house: after three days with a finding, whose ports are alike (Jaccard >= 0.8 of the 32 least hashes), what it
does within these ports and the networks (/24, /64) of all these days is information: 0.7 nats at most. It may log in, by the
accounts of the days before, where the host graph takes it for a scanner too, so that it ran nothing anywhere; three hosts that
let it in by a new account on one day end the habit.

Programs that are new on a host look for printers, screens and the like among its neighbours: where hardly anything else
failed than at such ports (161, 515, 631, 1900, 5357, 8009, 9100 and their kin) of fewer than 48 hosts, it is a notice of 2 nats.

Hand: of 100 probes that meet 50 refusals 2 seconds apart among 50 answers, L stays below 2; the tenth refusal within a minute
has a chance of 1.1e-7 where one is usual: 3 nats.

# Units, state, cost

L and h in nats, times in packet time. 700 bytes for a host that never fails; a walk takes 1 KB and up to 5 KB of
sample while it lasts, 13 of them per source at most; the counts of a host that failed take 700 bytes and a walk. 32,768 internal and as many external sources, least recently seen
out first, hosts that came once before those that came again. First contacts are remembered in 1.3 MB for a million
pairs a day, failures in 1.3 MB for a million in thirty days (a host enters 4,096 a day at most), addresses that were heard in
160 KB. Routers and askers take 1.1 MB, ARP requests that wait 2 MB at most, services found 100 KB, a scanner's habit 1 KB. Measured: 5.1 MB
empty; 22 MB with 32,768 internal sources that were answered, 90 MB with as many that failed twice (a spoofed flood). Evictions are counted.

# Blind to

Scans that touch only hosts known to answer and talk with them, or at ports that are no way in; scans spread over many sources; ARP sweeps by a router, or by a server that many ask
for; ARP where the sensor's port shows none; slow UDP scans through a firewall that says
nothing; a dead service on a host that answers elsewhere counts as a failure, as it does in a scan. Where a capture holds
SYN segments only, every connection looks like a failure.
*/
package scan

import _ "embed"

//go:embed doc.go
var doc string
