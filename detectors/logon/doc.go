/*
Package logon finds those who try names and passwords that are not theirs: rules auth.enum (which accounts exist, T1087.002),
auth.spray (few passwords on many accounts, T1110.003) and auth.guess (many passwords on one server, T1110.001).

# What it sees

Answers to log-ins, whatever carries them: Kerberos' first exchange (RFC 4120, 7.5.9: 6 no such principal, 18 locked, 24 wrong
key; success only where the request proved the key), NTLM over SMB, DCE/RPC, LDAP and databases (MS-ERREF: C0000064 no such user, C000006A
and C000006D wrong, C0000234 locked, C0000072 disabled; a refusal without a code is wrong), HTTP (401 and 407 in answer to a name, whether by
Basic, Digest or NTLM), FTP, VNC, RDP with network level authentication by the order and sizes of its sealed messages (the cookie names the
user, cut at nine letters by some clients), and SSH by the sizes of its sealed answers, which tell no names. Names are counted over all of
them together.

# Statistic

Of one client, in packet time:

  - auth.enum: n different names in 10 minutes that do not exist: 0.7 (n-1) nats, at most 6; or n in 24 hours: 0.2 (n-8), at most
    4. The first unknown name is free: people mistype it. Times 0.3 where the client's users that get in are twice as many, or
    where its role or its machine names say that many stand behind it: a gateway.
  - auth.spray: n different names in 10 minutes whose password was wrong, at most three tries each: 0.6 (n-2) nats, at most 6; or n
    in 24 hours: 0.25 (n-10), at most 5. An account of them that gets in after the third name failed: 3 more. Both times 0.3
    for gateways as above.
  - auth.guess: f failures at one service of one server in 10 minutes: 0.25 (f-4) nats, at most 5; or f in 24 hours: 0.05 (f-20), at
    most 4. People fail about three times in a bad ten minutes: with that mean, ten or more have a probability of 1.1e-3 and
    sixteen 1.2e-7 (Poisson). Failures of an SSH connection that then gets in are taken back: keys are tried one after the other. A
    log-in that succeeds after ten failures of other connections: 3 more. Times 0.3 where one name, or none that can be told,
    fails at equal gaps of a second or more (coefficient of variation below 0.1 over eight): a program with an old password.

Hand: seven unknown names at once are 4.2 nats (risk 57); 30 failures at an FTP server 5 (risk 64); ten accounts with a wrong password 4.8 (risk 63).

# Units, state, cost

Nats and packet time. 1,024 clients that failed once, least recently used out first; of each 128 names of 200
bytes and 16 services of 1.2 KB, 45 KB at most. A name beyond displaces the one used longest ago. Evictions are counted.

# Blind to

Guessing through a gateway that speaks for many; log-ins within TLS (web forms, LDAPS);
one try a day and account; names behind FAST (RFC 6113). Failures of SSH clients that skip the method "none" count one less a connection.

# Look-alikes

A program with an expired password; a password changed while a device still has the old one (one name: not a spray); agents
that offer many SSH keys; vulnerability scanners, which do guess.

# Source

RFC 4120, RFC 4252, MS-ERREF; weights chosen by us, held by the cases of the tests.
*/
package logon

import _ "embed"

//go:embed doc.go
var doc string
