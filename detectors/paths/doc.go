/*
Package paths follows an intruder from host to host: rule graph.path, lateral movement (T1021 Remote Services, with T1078 Valid
Accounts where the account changed on the way, T1210 where it spreads like a worm).

# What it sees

Sessions that administer a host: SMB with administrative shares, DCE/RPC that runs something, WinRM, RDP, SSH, VNC, databases and
the like (hostgraph.Service.Admin), answered with content, with the account where the wire shows it. A session B -> C that begins
while A holds one on B, or soon after, may be A's: a chain A -> B -> C.

# Statistic

P(cause) = q f(D) / (q f(D) + lambda), where D is the time from the latest beginning of the session A -> B, or from its end, to
the beginning of B -> C; f(D) = 30/(D + 30)^2 a minute (half go on within 30
minutes, one of nine after four hours); q = 0.02, and 0.3 where something was run on B; lambda is the rate at which
B opens such sessions to C by itself, a minute of ten working hours (an edge of less than a day counts as none), else at which it
opens such sessions at all, at least 1e-5. So routine explains itself. A session counts as a possible cause until it has ended for
2 hours, 4 where something was run. Where B is a jump host the session of the same account is the cause, else all n
open ones with 1/n each; and what is new is the pair A and C, not B and C.

Each hop weighs its novelty and its meaning: an edge never seen before 0.5 of the service's weight (1 for administrative
shares, remote execution, WinRM; 0.9 RDP, VNC; 0.8 SSH; hostgraph.Service.Weight has the rest) while the site is not known for seven days, later the weight times the surprise beyond 4 nats (hostgraph.Rarity), at most
6; an edge of fewer than three days 0.25; something run 2, a file put on an administrative share 1.5, an interactive session 1, times
u: 1 where the edge is new, 0.5 where it is of fewer than three days, else 0.2. A hop that follows another counts times g, which is 0.2
where the origin administered the target on a day before, or reached it over others in the last 30 days, else 1; over a jump host u = g
and its novelty is 0.5 of the service's weight where g is 1. The chain's weight is the first hop's and P times that of each further one,
plus 1.5 g times the larger u of the hop and the one before for each further hop of P > 0.5, half of that over a jump host, plus 3 where
the account differs from the one before (names that a remote desktop client cut to nine characters are compared so far) and was never
seen from that host, less 1 where the same account has used the last edge on five days. Hosts that reach many by trade
(deployment, monitoring, backup, scanners) are taken for a cause with 0.2 of P.

Chains of one origin are one finding, a tree: its weight is that of the heaviest chain, and 0.5 for each further host reached with
P > 0.5 and g = 1. Five hosts that were reached and went on by one service are a worm: 2 more. At most 9. Without anything run on
the way at most 5.9 (below high); before seven days of traffic at most 2.9, with something run and another account 5.9.

Hand: A runs a service on B (new, 0.5 + 2), B ten minutes later on C (new): f = 30/40^2 = 0.01875, P = 0.3 x 0.01875 / (0.005625 +
0.00001) = 0.998. 2.5 + 2.5 + 1.5 = 6.5, capped to 2.9 on the first day (risk 46); with another account on B -> C 9.5, capped to 5.9 (72).

# Units, state, cost

Nats and packet time. 16,384 hosts of 16 sessions each way, 250 bytes each; least recently used out first, counted. 1,024 open trees
of at most 64 hops; a chain has at most twelve. The pairs of jump hosts in a filter of 1.3 MB.

# Blind to

Chains through hosts whose sessions the sensor does not see; an intruder who waits longer than four hours at each host (the
correlation of signals goes further); steps that look like B's own routine; an intruder at an
administrator's own host who reaches what that host administers anyway; what an encrypted SMB session runs, and exploits of
remote procedures, which are no sessions here.

# Look-alikes

An administrator who goes on from a server to another by SSH: until both are habits; software deployment by relays;
orchestration. The finding names the sessions so that one question to one person settles it.

# Source

Ho, Dhamankar, Javed, Paxson, Savage, Voelker: Hopper, Modeling and Detecting Lateral Movement (2021) for the causal paths, the
switch of credentials, and that what counts is who reaches what it could not reach before; weights chosen by us, held against
simulated weeks (EVALUATION.md).
*/
package paths

import _ "embed"

//go:embed doc.go
var doc string
