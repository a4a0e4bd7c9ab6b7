/*
Package rpcop weighs single operations of Windows' remote procedures (DCE/RPC over TCP and over named pipes): rules
rpc.op.*, one for each family of things that a remote caller can do.

# What it sees

Interface and operation number of each call stand in clear even where packet privacy seals the stub (MS-RPCE 2.2.2.11).
A table says what each operation means to a caller that never called it before: create a service 4 nats, replicate a
directory's secrets without being a domain controller 9, ask about a share 0.2, and so on. Interfaces and numbers are
from the IDL of the specifications; the table's code names them.

# Statistic

A call's weight in nats, times

  - 0.2 where the same client called the same operation of the same server on three or more earlier days (UTC);
  - or else, for services, tasks, accounts, discovery and shutdown, 0.4 where it is the client's trade: the client called
    the operation of two or more other servers, as the same user, on three or more earlier days; or its role is to administer
    others or to bring them software, and the user has worked so from there on three earlier days;
  - 0.2 in place of 0.4 where every service created has name and image, as far as they can be read, that the client gave to
    services on other servers on three earlier days: the same deployment;
  - 0.75 where the server denied it: said as attempted;
  - 0.75 where the interface is known by the pipe's name or an endpoint mapper's answer only;
  - 0 where the server doesn't know the operation.

Sums are per client, server, family and hour of packet time: the heaviest operation counts in full, further ones 0.3 of
their weight, calls of the same operation once. At most 9 nats. Discovery (lists of users, groups, shares, sessions,
services) is capped at 2 nats for a server, and gains 0.5 ln n, at most 1.5, where the client did such to n >= 3 servers
within the hour that are new to it: neither a habit nor its trade. Sums below min_nats are not published.

Of many servers within an hour three are told each by itself; the others are one finding that names them and grows.

Hand: an administrator who starts a service (3 nats) on a server that is new, after three days of such: 1.2, a notice. The same
with an account that is new there: 3, an alarm. A monitor that lists the services (1 nat) of twelve servers every hour: on
its first day 1 + 0.5 ln 12 = 2.24 in the wave, from the fourth on 0.2: silent.

Some operations mean nothing from some callers: replication belongs to domain controllers. They are those configured, or
else the hosts seen to answer Kerberos, drsuapi or netlogon. Where a host pulls changes within a minute after the other
called operation 2 of an unseen bind on it, as controllers notify partners, the weight is a fifth.

A print client registers for changes at its print server by the call that also makes a server log on elsewhere: where
the caller opened a printer there by name, not the server alone, and it is no domain
controller, the call counts a tenth.

A request far longer than its operation has use for, before anybody has logged on (dssetup beyond 1 KiB, netlogon's names beyond 4, a
printer's beyond 8), is taken for an attack on the service: 4.

Coercion (EFSRPC, RPRN, DFSNM, FSRVP) succeeds with an error, so its return value is no denial; a fault is.

Hand: a service created 4, started 0.9 (3 × 0.3), stopped 0.9, deleted 0.6: 6.4 nats (risk 76). The creation alone, by a client
that did so on three earlier days, 4 × 0.2 = 0.8: below min_nats, silence.

# Weights

First guesses, then corrected over captures of attacks and of honest networks: the table says where. No list of known
administrators is needed: what they do daily is discounted, what they do first is said.

# Units, state, cost

Nats; packet time. One habit per (client, server, operation) of 120 bytes, 131,072 of them, and as many trades of
130; one open hour per (client, server, family) of 1.5 KB at most, 8,192 of them; 512 waves of 10 KB at most; least used go first, counted.

# Blind to

Pipes inside an encrypted SMB3 session; calls whose interface was not seen and whose pipe is not known; attackers who
use an administrator's host and account for what that administrator does daily: a notice is left where the server is new.

# Look-alikes

Software deployment and administration from a host that began today; backup and vulnerability scanners' first run;
a domain controller that the sensor sees for the first time pulling replication.

# Source

MS-SCMR, MS-TSCH, MS-RRP, MS-SAMR, MS-LSAD, MS-DRSR, MS-NRPC, MS-EFSR, MS-RPRN, MS-PAR, MS-DFSNM, MS-FSRVP, MS-SRVS, MS-WKST,
MS-DCOM, MS-OAUT, MS-WMI, MS-EVEN, MS-EVEN6, MS-RSP, MS-BKRP, MS-DSSP; ATT&CK v19.
*/
package rpcop

import _ "embed"

//go:embed doc.go
var doc string
