/*
Package dnsinfo finds hosts that talk to a domain through the names they ask for: rule dns.info, command and control
(T1071.004 DNS), with T1572 Protocol Tunneling or T1048.003 Exfiltration Over Unencrypted Non-C2 Protocol where the names
carry data out.

# What it sees

DNS transactions (not mDNS, LLMNR or NetBIOS), per client and registered domain: the part of the name below the public
suffix and one label more, whether or not the suffix is a registered one. Left out are names of a single label, .arpa and
.local, and DNSSEC and transport records.

# Statistic

Information: the sum over different names of their length below the registered domain, in bytes; a name asked twice
carries nothing new, so few names asked often stay near zero (after Ozery, Nadler and Shabtai, Information-based heavy
hitters for real-time DNS data exfiltration detection, 2023). Downstream likewise: the sum over different answers of their
data, where the type can carry some (TXT, NULL, CNAME, MX, KEY and the like). Sums come from HyperLogLogs fed with one
virtual key per byte: exact to 32 names, then within 3.3 % (sketch.Distinct).

Windows begin with the first name and last 10 minutes, a day and 30 days of packet time, with thresholds of 2 KB, 4 KB
and 20 KB; where names look encoded and come from one client, 2.5 KB a day and 5 KB in 30 days. These are absolute
bounds: they speak from the first minute, baseline none.

The weight in nats is the sum, at most 9, of

  - size: 1.2 ln(I / threshold), 0 to 4, of the window and direction where it is largest;
  - uniqueness: 2 (U/Q - 0.5), 0 to 1, for U different names in Q questions;
  - lettering, 0 to 1.5: the share of bytes in labels that look encoded (12 characters or more, either all hexadecimal with
    digits, or with digits strewn in, or with few vowels), or bytes that no host name holds. Once 2,000 names that three
    clients resolved are learnt, a bigram model of the site's own names takes over: excess of mean -log2 P over its own;
  - 1 where more than 30 % of questions ask for types that carry data;
  - 1 where fewer than 5 % of answers were followed by a connection to what they named;
  - 1 where this client alone holds more than 90 % of the domain's information.

It speaks at 3 nats. The last two are 0 for resolvers: hosts that answer questions, or ask four servers without recursion.
Another client of the same domain is named instead of them, where the sensor sees one.

Hand: 310 different names of 33.7 KB in all, within 10 minutes, all asked for TXT, encoded, by one client, and followed by nothing:
1.2 ln(33,700/2,000) = 3.39, and 1 + 1.5 + 1 + 1 + 1: 8.89 nats (risk 98).

# Quiet on

Names per session of content networks (connections follow: 30 % silence the pair), look-ups by address (DNSBL: reversed
addresses, or answers in 127.0.0.0/8), search-suffix expansion (names under a name, NXDOMAIN), names of internal hosts
(answers that are internal addresses, lettering plain), reverse look-ups. A learned list of bulk domains, with expiry and
revocation, is not kept yet.

# State, cost

A pair is 64 bytes until 8 different names, then at most 9 KB, typically 3; 4,096 full pairs and 65,536 small ones, least
recently used out first, those that came once before those that came again. Evictions are counted.

# Blind to

DNS that is encrypted (DoT, DoH, DoQ); a channel below 20 KB a month; one spread over many registered domains or many
clients; a tunnel that dresses as a DNSBL gets 4 bytes a question.
*/
package dnsinfo

import _ "embed"

//go:embed doc.go
var doc string
