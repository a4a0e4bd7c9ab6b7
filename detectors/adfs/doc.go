/*
Package adfs finds who reads the configuration of a federation server over the network: rule adfs.export. In it lies the key that
signs tokens for everything the server stands for (T1552), and who has the key forges them (T1606.002, SAML tokens).

# What it sees

Requests of HTTP/1 to /adfs/services/policystoretransfer that were answered: the service by which the servers
of a farm fetch their settings from the first of them.

# Statistic

Of one client at one server: the service was used, 5 nats. Servers of the farm ask about every five minutes, day and night, so what is
seen is told six minutes later: times 0.3 where meanwhile, or later, a request came four to six minutes after the one before. Times
0.2 where the client did so on three earlier days. A request refused is 3 nats.

Hand: a workstation that reads the store in three requests within a second: 5 nats (risk 64). A server of the farm: 5 × 0.3 = 1.5 (risk 28)
for three days, then 0.3 and silence.

# Units, state, cost

Nats and packet time. 1,024 pairs of 1 KB and 4,096 habits of 120 bytes; the least used go first, counted.

# Blind to

Reading it on the server itself, from its database, or over TLS; a client that asks every five minutes passes for a server of the farm
(a notice for three days).

# Look-alikes

Servers that join the farm, and tools that document its settings.

# Source

Path and cadence as in public write-ups of the product's synchronisation; weights chosen by us, as those of rpc.seq for a domain's
backup keys.
*/
package adfs

import _ "embed"

//go:embed doc.go
var doc string
