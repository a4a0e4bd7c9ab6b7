/*
Package edges weighs contacts between hosts of the site by what was usual before: rules graph.first_edge, graph.peer (evidence for
the correlation, never a finding), graph.role_inv, graph.fanout and graph.fleet, lateral movement (T1021 Remote Services).

# What it sees

Answered contacts (hostgraph.ServiceOf), before the graph learns of them: client, server, service, the roles of both, who else uses
what, since when.

# Statistic

  - graph.first_edge: a contact that was never there before: a (I - I0) nats, 0 to 6, where a is the service's weight (1 for administrative
    shares, remote execution, WinRM; 0.9 RDP, VNC; 0.8 SSH; hostgraph.Service.Weight has the rest), I = -ln(P_new P_server) its surprise (hostgraph.Rarity) and I0 the 99th percentile of the surprise of
    the site's new edges of the last 14 days. One more, times a, where neither the client used anything in this hour of the week
    or the ones beside it, once 14 days are known. Times 1/ln(1+n) where n, at least five and 2 % of the hosts, came to the same
    service of the same server within a day. Nothing before seven days, 20 hosts and 200 new edges.
  - graph.peer: of n other hosts of the client's role a share f uses the service there: a ln(1/(f + 1/(n+1))), at most 3, where it
    is a first edge that weighs 0.5 or more and n is at least 20; a first edge loses 1 where f is above 0.3.
  - graph.role_inv: a first administration contact against what the roles are for: workstation to workstation 2, with something
    run 5; a server to a workstation, or to a server of another kind, 2, with something run 3; a domain controller to a host that
    is none 2, with something run 4; a print server to anything 4. Divided by 1 + ln(1 + k) where k such edges (roles and
    service) are known. Before seven days it is evidence of at most 2; later a finding from 3 on.
  - graph.fanout: distinct servers that a host administers in an hour and in a day, beside its own days and those of its role:
    s = -ln(share of days with as many or more + 1/(n+1)), each at most 9; 0.5 (s_own + s_role), at most 5, from three servers
    on, the hour and the day each by its own, the heavier counts. Half of it for roles that reach many by trade. A finding from 3 on
    after seven days with at least 14 own days and 100 of the role; else evidence.
  - graph.fleet: a note (0.5 nats) where n as above came to one server's service within a day: a rollout, a new server.
    A note, not a hundred findings. Where they are reached one by the other, rule graph.path says worm.

Hand: a workstation whose role made 2 new RDP edges in 700 host-days comes to a server that none of 12 servers' 40 edges of its role
go to: P_new = (0 + 7 x 2/700)/(30 + 7) = 0.00054, P_server = 0.5/(40 + 6) = 0.0109, I = 12.0; with I0 = 9: 0.9 x 3 = 2.7 nats.

# Units, state, cost

Nats and packet time. The surprise of new edges in two histograms of 400 tenths of a nat; 16,384 hosts of at most 64 servers and 32
days, 1.4 KB each; a histogram of days for each role; least recently used out first, counted. Peers and newcomers are counted
over the graph for new administration edges only.

# Blind to

Everything before seven days; who does only what is usual; edges that existed before the sensor came. On authentication data of a
large network 28 % of an intrusion's edges were not new (Euler, table VI): so this is evidence, and the correlation decides.

# Look-alikes

A new server, a new administrator, a new product: fleet notes, peers, and after a day the graph knows them.

# Source

King and Huang, Euler (NDSS 2022) for what novelty alone is worth; weights chosen by us.
*/
package edges

import _ "embed"

//go:embed doc.go
var doc string
