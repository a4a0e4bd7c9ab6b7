/*
Package jndi finds servers that are made to load a program by what somebody has them write to their log: rule jndi.lookup (T1190,
T1059; Log4Shell, CVE-2021-44228).

# What it sees

Requests of HTTP whose target or header asks for a look-up through JNDI (${jndi:ldap://host/x}, also where parts of it are look-ups
themselves or percent-encoded); then, within ten minutes of packet time, whether an internal host asks DNS for the name, connects to
the host and port that it names (389, 636, 1099, 53 or 80 where it names none), or gets entries over LDAP that describe Java objects
(RFC 2713). Such entries are also looked at where no request was seen.

# Statistic

In nats, of one that asks, one server and one named host; the heaviest holds:

  - the request alone 1.5 where an internal host sent it, 0.5 where one outside did: every scanner of the Internet does;
  - 2.5 more: the server asks for the name;
  - 6: an internal host connects to the named host and port after the request, answered or not: what was written was evaluated;
  - 9: Java objects came back over LDAP: a program is loaded.

Java objects without a request before: 6 with a code base (javaCodebase), 4 serialized (javaSerializedData), 2 with a factory
(javaFactory), 2 more where the directory is on another port than 389, 636, 3268 or 3269, 1 more where it is outside; times 0.2 where the
client asked this directory over LDAP on three earlier days. Nothing below 1.5 is said.

Hand: a request from inside 1.5 (risk 28); with the connection 6 (risk 73); with a serialized object 9 (risk 99). The object alone, from
port 1389: 4 + 2 = 6 (risk 73).

# Units, state, cost

Nats and packet time. 256 named hosts with 8 attempts each, 4 KB; 256 names; 65,536 habits of 120 bytes. The least used go first, counted.

# Blind to

Requests within TLS or in bodies; look-ups that travel by other protocols; connections over LDAPS show no objects.

# Look-alikes

A vulnerability scanner sends such requests to everything: a notice, until a server answers to it, which is then a server to mend.
Middleware keeps connection factories in directories (javaFactory, port 389): a notice on its first days.

# Source

CVE-2021-44228; RFC 2713; weights chosen by us.
*/
package jndi

import _ "embed"

//go:embed doc.go
var doc string
