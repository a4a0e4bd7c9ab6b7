/*
Package storm finds hosts that change the files of a share in bulk as ransomware does: rule smb.storm (ATT&CK T1486).

# What it sees

File sharing (SMB1 to SMB3 in clear): renames, creations, deletions, how much of each file was read and written, and how disordered
their first 64 bytes are (flows.SMB.Entropy). 64 different bytes have 6 bits per byte; random ones average 5.76, only one in a
hundred falls below 5.57.

# Statistic

Of one client on one share, within 60 s of packet time, in nats:

  - renames: at least min_renames, of which 80 % give the same new extension, which nobody here used before this client's last 15
    minutes: 6 where it is appended to the old name (a.docx to a.docx.locked), else 2. A file that is created as a copy with such an
    extension and whose original is then deleted counts likewise. Not counted: names whose extension stays, extensions taken
    away, files that were themselves created in the last minutes.
  - rewrites: at least min_rewrites files that were first read and then written, written/read bytes within 0.9 and 1.2, whose
    written bytes have a mean entropy of 5.6 or more, and what was read at least 1 bit less: 6. With ten such files the other
    extension of renames counts 6 too.
  - notes: the same text of 100 bytes to 64 kB, by name and size, created in 10 directories or more: 1.

The heaviest counts in full, further ones 0.3 of their weight; at most 9.

Hand: 30 renames of which 24 append .locked, 6 nats (risk 73); with a note in ten directories 6.3 (75); 29 renames nothing. 60 rewrites at
5.76 bits over 4.2: 6.

# Units, state, cost

Nats; events per 60 s of packet time; bits per byte. 2,048 (client, share) of 20 KB at most, 16,384 extensions of 120 bytes. The least used go
first, counted.

# Blind to

Encrypted SMB3 sessions; ransomware on the file server itself; slow ones (fewer than a rename in two seconds); files
whose first bytes are left as they are; an extension that is in use here.

# Look-alikes

Backup, archivers and photo imports create and read, but don't write what they read. Tools that rename photos keep the
extension. Office saves through temporary files, a few a minute. Compilers create. An administrator who encrypts a share on
purpose looks the same: he knows of it.

# Source

Scaife and others, CryptoLock (and Drop It), ICDCS 2016, for entropy and similarity before and after; bounds and weights chosen
by us.
*/
package storm

import _ "embed"

//go:embed doc.go
var doc string
