/*
Package session tells what people and programs do in terminal and desktop sessions on other hosts, from shapes alone: rules
sess.interactive (somebody types or works there, T1021.001, T1021.004), sess.restricted (a remote desktop that takes a hash for
a password, T1550.002), sess.scripted (keys on a remote desktop that a program struck), sess.tunnel (somebody types through an
SSH connection against its direction, T1572) and sess.transfer (a file of a megabyte or more, T1570).

# What it sees

The shapes of SSH, RDP and telnet sessions (flows/proto/shape says what a typed and a struck key are) at each report of an open
connection and at its end, and the requests that open remote desktops (MS-RDPBCGR 2.2.1.1). Sessions whose log-in failed are
left out.

# Statistic

Of one session, once per client, server and rule as long as no hour passes between sessions:

  - sess.interactive, between internal hosts: at a terminal ten keys or more typed by the client whose waits vary (standard deviation
    a tenth of their mean or more); on a desktop six spans of ten seconds with two messages a second, and seven of ten messages
    small: 0.7 nats. It is no alarm but what makes other evidence about these hosts heavier.
  - sess.restricted: the client demands restricted administration, with which a password's hash is enough: 2 nats; 1 more where
    the server says that it can.
  - sess.scripted: 16 keys or more whose press and release came within 2 ms, 4 to 40 ms after the one before: 1.5 nats, as password
    managers type so; 2.5 more where they are three tenths of all that the client did within a session of two minutes.
  - sess.tunnel: 16 keys or more typed by the server's side, at least as many as by the client's, seven of ten
    of the size of the one before, and whose standard deviation of waits is a quarter of their mean or more: somebody there works on the client's side, which opened the connection. 4 nats to outside,
    3 within.
  - sess.transfer, between internal hosts: a megabyte or more in full segments one way, nine tenths of all (SSH), or from the client
    of a desktop: 0.7 nats and 0.15 for each doubling, at most 2.

All times 0.2 where the client did so at this server on three earlier days. What weighs less than min_nats is told to the correlation alone.

Hand: the first session of an administrator 0.7 nats (risk 15); 325 keys typed backwards to an address outside 4 nats (risk 56); 8 MB
sent 0.7 + 3 × 0.15 = 1.15 nats (risk 23); restricted administration granted 3 nats (risk 47).

Measured: captures of people's SSH sessions have 24 to 74 typed keys of the client and at most 3 of the server, the labelled reverse
tunnel 4 and 325; recorded with OpenSSH 9.2, 57 of the server through ssh -R, none through ssh -L, and at most 1 in scp and sftp.
The waits' deviation is 0.44 to 1.34 of their mean,
and 96 to 99 of 100 keys have the size of the one before. SharpRDP struck 40 and 47 keys of 77 and 83 messages; people on a desktop none.

# Units, state, cost

Nats and packet time. 4,096 pairs of hosts and rule, 700 bytes each; 65,536 habits of 120 bytes. The least used go first, counted.

# Blind to

What is typed; files below a megabyte; ports forwarded from the client (its own direction: ssh -L, -D), and reverse ones through
which programs talk rather than people; RDP over UDP; sessions whose start was not seen; scripts that type with people's waits.

# Look-alikes

Support by reverse tunnels (a habit, or a known address); programs drawn over X11 forwarding ask and wait at even gaps, news
through a forwarded port that a program confirms have many sizes; password
managers type fast into desktops, among what people do there; administrators, whose habit it becomes on the fourth day.

# Source

RFC 4253, MS-RDPBCGR; limits and weights chosen by us from the measurements above.
*/
package session

import _ "embed"

//go:embed doc.go
var doc string
