/*
Package pivot finds hosts through which others reach further: rule graph.relay, command and control (T1090.001 Internal Proxy).

# What it sees

Flows past sixteen packets: their payload by whole minutes, each way. A host that passes on what it receives has two flows, one
that came to it and one that it opened, whose minutes rise and fall together.

# Statistic

Of the minutes in which either of the two flows carried payload, over at least eight that both lasted through: the bytes of the
heavier direction within 5 % of each other in sum, at least 64 KB, and Pearson's r above 0.9. Flows that carry the same in every
minute say nothing: their coefficient of variation must be 0.2 or more. For minutes without relation r > 0.9 over eight has a
probability of 1.2e-3 (t = 5.06 with 6 degrees of freedom), and equal sums one of 0.1 or less: 9 nats for one pair. Divided among
the pairs that a busy host has, and since load balancers do the same by trade: 4 nats. Times 0.3 where the host's role is
to pass on (gateway, jump host, resolver), times 0.5 where a web server passes on to the inside, times 0.2 where it did so for the same server and port on three earlier days.

Hand: minutes of 10, 80, 20, 60, 5, 90, 40, 30 kB beside the same and 2 % more: r = 1, sums within 2 %: 4 nats (risk 56).

# Units, state, cost

Bytes, minutes of packet time. 4,096 hosts of at most 16 flows with 32 minutes, 14 KB each at most; a pair is compared when
either reports. Least recently used out first, counted.

# Blind to

Relays that change what they pass on in size (compression, padding) or in time by more than a minute; those of short flows.

# Look-alikes

Proxies, load balancers, VPN concentrators, jump hosts: known by role or after three days.

# Source

The relay pattern of D3FEND; Zhang and Paxson, Detecting Stepping Stones (2000) for the idea of comparing activity in time; the
thresholds are chosen by us.
*/
package pivot

import _ "embed"

//go:embed doc.go
var doc string
