/*
Package sealed reads what is left to see of encrypted SMB3 sessions: rules rpc.sealed (remote procedures called through an
encrypted pipe as discovery does) and smb.sealed (a file written and remote procedures called right after, as remote execution does).

# What it sees

Each encrypted message says its length in clear (the transform header's OriginalMessageSize, MS-SMB2 2.2.41), and the structures
of SMB2 and of DCE/RPC have fixed lengths. A bind of one context is 72 bytes, 116 of two, 160 of three; its acknowledgement has the
length that the number of contexts and the name of a pipe make. Behind such a pair, each write and the read after it, or each
pipe transaction, is a call. Writes and reads of files are told by the answers' lengths. See flows.Sealed.

A walk into an account database shows by lengths alone: an answer of 36 bytes (a domain's SID of four parts behind a pointer),
then a request of 52 (a handle, an access mask, that SID), answered by a handle: LookupDomain and OpenDomain of SAMR. The
built-in domain, where local groups are, likewise with a SID of one part.

# Statistic

rpc.sealed: of one client and server within an hour of packet time, in nats,

  - 1 where a binding had min_calls calls: file browsers ask one or two (shares, server's name), a look-up of SIDs three (open,
    look up, close), while a list of users or groups takes at least five: connect, look the domain up, open it, list, close;
  - 1 where an account domain was walked into, 1 where the built-in one was.

The heaviest counts in full, further ones 0.3 of their weight; at most 2 nats.

smb.sealed: 2 nats where min_upload bytes were written to files and within a minute after a binding had three calls
or more (open the service manager, create, start). At most 2: what was written and called is hidden.

Both times 0.2 where the client did so to the server on three earlier days or more.

Hand: 5 calls of which one opens a domain 1 + 0.3 = 1.3 nats (risk 25); with the built-in domain 1.6 (29). 4 calls and no walk:
nothing. A file of 20 kB and 3 calls 8 s later: 2 nats (34).

# Units, state, cost

Nats, bytes, packet time. 8,192 pairs of 700 bytes; 65,536 habits of 120 bytes; 4,096 clients' last tickets of 300 bytes. The least used go
first, counted.

# Blind to

Binds that authenticate (longer by their token); NDR64 (the walk, not the calls); clients that ask several things of one
connection at a time; what is called. Compressed messages.

# Look-alikes

An administrator's console (users and groups, services) on its first day: that is why nothing here is more than a notice.
A file copied and the server's services looked at within the minute.

# Source

MS-SMB2 2.2, C706 12.6.4, MS-SAMR 3.1.5; lengths worked out by hand and held against captures. Weights chosen by us.
*/
package sealed

import _ "embed"

//go:embed doc.go
var doc string
