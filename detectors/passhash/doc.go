/*
Package passhash finds log-ins by NTLM where Kerberos was the habit: rule auth.pth, which is what a log-in with a stolen hash looks
like from outside (T1550.002). Alone it is a hint, never an alarm.

# What it sees

Log-ins that got in, by Kerberos or NTLM (MS-NLMP), over SMB, DCE/RPC, LDAP, HTTP and databases; exchanges with a key distribution centre,
which name the user; the workstation that an NTLM client claims; the name that the client's address proved by DHCP, Kerberos, its
own NTLM challenges or multicast names.

# Statistic

Of one log-in by NTLM, in nats:

  - 1 where the client logged in to that server by Kerberos on five earlier days or more, or the user got tickets on so many, and the
    pair, or the user, did not use NTLM on three;
  - 1 more where the workstation is empty or is not the client's own name, if that is known by more than an earlier NTLM log-in, and
    not where several machines stand behind the address;
  - 1 more for NTLMv1, where the client did not use it on three earlier days.

Without the first nothing is said. At most 2.9: a notice. Times 0.3 where three other clients took to NTLM at that server within a
day: it lost its name or its keys. Times 0.3 for gateways. From 1.9 on it is shown, below that told to the correlation alone.

Hand: a tool without a workstation, from a host that used Kerberos with the server for a week, 2 nats (risk 34); with NTLMv1 2.9 (46); a
person who types the server's address where they used its name 1, which nobody is shown.

# Units, state, cost

Nats and packet time; days are UTC. 131,072 habits (pairs, users, NTLM of both) of 120 bytes, 16 MB; 4,096 servers with the last four clients
that took to NTLM, 100 bytes each; 4,096 findings under way. The least used go first, counted.

# Blind to

Hashes used where NTLM is usual, or within the first five days; a hash turned into a Kerberos key (auth.downgrade); log-ins within TLS,
remote desktops among them (sess.restricted tells those that a hash is enough for). A tool that claims the right workstation and
speaks NTLMv2 is told from who typed an address by nothing.

# Look-alikes

A server reached by address, or by a name that the directory doesn't know: the workstation is the client's own. A key distribution
centre that is down: many clients at once. A computer that was renamed: its old name is claimed until the restart.

# Source

MS-NLMP 2.2.1.3 for the workstation, MS-KILE for who falls back; weights chosen by us, held by the cases of the tests.
*/
package passhash

import _ "embed"

//go:embed doc.go
var doc string
