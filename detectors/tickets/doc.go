/*
Package tickets finds Kerberos requests that suit who wants to crack or abuse keys: rules auth.roast (tickets and answers that can
be guessed offline, T1558.003 Kerberoasting and T1558.004 AS-REP Roasting) and auth.downgrade (a log-in with the weak cipher
alone, as with a stolen NTLM hash, T1550.002; a key distribution centre that gives AES up, as with a skeleton key, T1556.001); and rule auth.ticket (tickets without a log-in, T1550.003 and T1558).

# What it sees

Exchanges with a key distribution centre (RFC 4120): the ciphers offered (RFC 3961: 17 and 18 are AES, 23 is RC4 and its key the NTLM
hash, RFC 4757), whether the request proved the key, and the cipher of the ticket.

# Statistic

Of one client, within an hour of packet time:

  - tickets for services sealed with RC4 although the client can AES, as its request or an earlier one says, or the realm's
    tickets are: n different services, machine accounts (ending in $) and the realm's own left out. One is 1 nat, two 2, n of three
    and more 3 + 0.5 (n-3), at most 6. One such ticket is often a service whose account has no AES key. 1.5 more where only RC4 was
    offered: tools ask so. A service of which three other clients got RC4 tickets is itself old: it counts 0.3 in n.

  - answers to a first request that proved nothing: 4 nats, from three accounts on 6, 1 more where only RC4 was offered. Where the
    realm was never seen to ask for a proof it is usual there: times 0.3.

  - auth.downgrade: a first exchange that succeeds with RC4 alone offered, while the realm's tickets are AES: 1.5 nats; 2 more where
    the same host offered AES before.

  - auth.downgrade, of a key distribution centre: an account whose keys were AES is told to have RC4 alone, to a client that offers AES, by
    the list of an error (PA-ETYPE-INFO2) or the cipher of the answer. 1.5 nats for each account within a day, at most 6. Accounts
    for which that is so on three earlier days count times 0.2.

  - auth.ticket, for the correlation alone: a service ticket of a user at a host where that user was not seen to log in, or to renew, for
    10 hours: 1.5 nats where somebody logged in from that host within a day, else 0.7. Not in the first 24 hours, not where a service
    asks in a user's name (MS-SFU) or several machines share the address, and not where, of 50 users at hosts and more, over two and 2 %
    came so: then log-ins are not all seen. Five answers in 10 minutes that the client's clock is wrong (code 37): 0.5.

An account answered without a proof where nobody was ever asked for one is told to the correlation alone.

Times 0.2 for what the client did to the same server for the same account or service on three earlier days.

Hand: five services with RC4 by a client of AES 4 nats (risk 56), asked with RC4 alone 5.5 (69); one roasted account 4 (56).

# Units, state, cost

Nats and packet time. 65,536 users at hosts of 110 bytes; 32,768 hosts of 100 bytes. 4,096 clients of 64 services and 16 accounts, 15 KB at most; 256 realms; 32,768 accounts with AES of
110 bytes; 256 key distribution centres of 16 accounts, 3.5 KB; 8,192 services of 100 bytes; 65,536
habits of 120 bytes. The least used go first, counted.

# Blind to

Roasting with AES tickets, which is slow to crack; requests hidden by FAST; forged tickets that are used at a service without a request here, and those of users who log in at
the same host. That an account exists whose tickets are
RC4 is a finding of its own at the directory, not here.

# Look-alikes

Services of appliances and old systems that only know RC4: few, and many clients get the same. Clients that only know RC4: their
realm or host never showed AES. Accounts set to need no proof, for old programs: on many days.

# Source

RFC 4120, RFC 4757, RFC 3961; Medin, Attacking Kerberos (2014) for the idea of roasting. Weights chosen by us.
*/
package tickets

import _ "embed"

//go:embed doc.go
var doc string
