/*
Package ldapenum finds searches of a directory that map it for an intruder: rule ldap.enum (T1087.002, T1069.002, T1482, T1018,
T1615, T1201).

# What it sees

Searches over LDAP (RFC 4511), bare or signed: base, scope, filter, attributes, controls, entries, pages. What a search asks for is
told from its filter's assertions: a search that also names what it looks for (an account, a name, an address) is narrow and
passes; (|(a)(b)) is narrow only where both are. Of sealed connections the bytes of the answers.

# Statistic

Of one client within an hour of packet time, over families of searches, once each:

  - 1.5 nats: accounts with service principal names; accounts without pre-authentication; delegation; adminCount; passwords of
    LAPS; trusts; members of privileged groups; security descriptors of users, groups or computers; managed service accounts; key
    credentials; passwords in attributes; every object of the domain;
  - 0.7 nats: all users; all computers; all groups; group policies; certificate templates and authorities (members enrol so);
    account flags; password policies; from 1.5 MB of sealed answers on 1.5 instead, once.

The sum is at most 5; 1 more where it is 1.5 or more and 1,000 entries or 50 pages came. A family that the client asked this server for
on three earlier days counts 0.2 of its weight. Nothing below 1.5 is said.

Hand: one search for Domain Admins 1.5 nats (risk 28: a notice). Service principal names, no pre-authentication, all users and all
computers 4.4 (risk 59). A collector that asks for everything with descriptors 5 and, with 1,000 entries, 6 (risk 73).

# Units, state, cost

Nats and packet time. 1,024 clients of 19 families, 20 KB each at most; 65,536 habits of 120 bytes. The least used go first, counted.

# Blind to

LDAP over TLS; what is asked in sealed messages; searches for one account at a time; the web service of Active Directory (9389).

# Look-alikes

Synchronisation of accounts into another system, inventories and address books: the same families every day, so a habit after three.
Administration consoles ask for one account. ADSI reads the schema once (305 KB when sealed). Group policy and certificate enrolment of
every member ask for descriptors of policies and templates, which don't count.

# Source

MS-ADTS 2 and 3.1.1; RFC 4511, 4515; weights chosen by us.
*/
package ldapenum

import _ "embed"

//go:embed doc.go
var doc string
