/*
Package relay finds NTLM log-ins that are passed on or collected: rules auth.relay (a host between client and server passes the messages
on and is logged in with somebody else's right) and auth.capture (a host that hands the same challenge to everybody, as tools do that
collect answers in order to guess passwords). Both are T1557.001.

# What it sees

NTLM log-ins over SMB, HTTP, LDAP, DCE/RPC and databases (MS-NLMP): the server's challenge of 8 random bytes, the first 8 bytes of the
client's answer to it, the name that the server gives itself, and what came of it.

# Statistic

  - auth.relay: two connections to different servers show the same challenge and the same answer within ten minutes: 9 nats. By
    chance two of a million challenges agree with probability 3e-8. The relay is the host that is the server of one connection and the
    client of the other; the earlier connection is the victim's where that holds both ways (it is reflected). Where no host is both, the
    relay hides behind several addresses, or an address is translated: 6 nats; the later connection's client is named. One of challenge
    and answer is enough where the other was not seen; where both were and one differs it is no relay. Times 0.2 where both go over
    HTTP and name the same host: a proxy. Times 0.2 where the two hosts did so on three earlier days: a load balancer.
  - auth.capture: one server gives the same challenge in three connections, a second apart at least: 3 nats; a challenge that is a
    tool's default (1122334455667788 of Responder and Metasploit, 4141414141414141 of Impacket's file server) 3 nats at once, 6 from
    the third connection on. Times 0.2 where the server did so on three earlier days.

Never a relay: the same two addresses (a connection seen twice), one server (a client behind translated addresses), one client (a
server behind them).

Hand: victim to relay over HTTP, relay to target over SMB with the same challenge and answer: 9 nats (risk 99).

# Units, state, cost

Nats and packet time. 65,536 challenges and answers of 400 bytes for ten minutes, 27 MB at most (a log-in that stays unanswered becomes known when its connection ends or reports, hence not one minute); 4,096 servers of 300 bytes; 8,192 habits of 120 bytes.
The least used go first, counted.

# Blind to

Relays within TLS (HTTPS, LDAPS); relays of Kerberos; one leg that the sensor does not see; a relay over HTTP that names the host the
victim asked for (a notice).

# Look-alikes

Proxies and load balancers that pass log-ins through from their own address, until it is their habit: name them in proxies. Devices
without randomness, which give one challenge to all.

# Source

MS-NLMP 2.2.1.2, 3.3.2; the defaults are the tools' public ones. Weights chosen by us.
*/
package relay

import _ "embed"

//go:embed doc.go
var doc string
