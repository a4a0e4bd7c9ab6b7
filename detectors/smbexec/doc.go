/*
Package smbexec reads what file sharing (SMB1 to SMB3 in clear) tells of lateral movement: rules smb.exec (administrative
shares and programs written to them), smb.secrets (files that hold credentials), smb.pipe (named pipes of tools), smb.exploit
(messages that no client sends) and smb.list (directories listed on several servers).

# What it sees

smb.exec

  - ADMIN$, C$ or another drive's share opened: 2 nats;
  - a program or script written to such a share, by its first bytes (MZ, ELF, PK, an MSBuild project) or its name: 4. On a
    drive's share an archive (PK) does not count where it is a document by its name, or lies in a folder of people's files (neither the root
    nor Windows, ProgramData, Temp, Users\Public and their kin) and is not of a kind that is run or installed, as .jar;
    written to an ordinary share, by its first bytes only: 1;
  - a file with the shape of a tool's output: __output and eight letters, or two underscores and a Unix time, or
    Temp\ and eight letters .tmp through ADMIN$: 6; another file in the root of an administrative share whose name
    begins with two underscores: 3.

smb.secrets

  - NTDS.dit, a registry hive in System32\config, an image of LSASS, hiberfil.sys: 6;
  - System32\ and eight letters .tmp read through ADMIN$, where remote hive dumps leave them: 6;
  - four or more files of Group Policy preferences that can hold passwords, at least one of them not there, in one
    hour: 2. A client that applies policy knows which files there are; who sweeps does not;
  - ten directories of SYSVOL or more listed in one hour: 2, for the same reason.

smb.pipe

  - pipes that remote execution tools open: PSEXESVC, RemCom, csexecsvc, PAExec, and NAME-stdin, -stdout, -stderr: 6;
  - default pipes of command-and-control frameworks (MSSE-N-server, postex_, msagent_, status_, gruntsvc and so on): 6;
  - the name of a well-known RPC pipe with a suffix, as wkssvc_ab or ntsvcs1f: 5;
  - a name that nobody here used before, once 20 clients were seen to open pipes over 7 days: 2 (its surprise, ln 21 = 3 nats and more,
    is cut: products bring pipes of their own).

smb.exploit, from flows.SMBViolation

  - Trans2 SESSION_SETUP: 6 (implants are asked so); an answer with the multiplex id moved: 9 (the implant is there);
  - a transaction continued by a secondary of another kind: 9; counts that point beyond the message: 4;
  - a compressed message whose size overflows: 7; a pipe opened by the absolute path of a file: 6, granted 9.
  - a pipe opened by the name of a program that the client has just written to a share: 6, granted 9;
  - SMB1 agreed on by two hosts that both speak SMB2 elsewhere: 1, alone a notice;
  - plus, within five minutes after any but the last: 4 where the victim opens a connection to the attacker, 4 where a port of the victim
    that it did not have before answers the attacker, 2 where the victim opens a connection in no known protocol to a port new here.

smb.list, of a client within an hour: 100 directories or more, on three servers or more: 1 nat and 0.5 ln(servers/3), at most 2.5. A
backup's, indexer's or scanner's first days look alike: a notice.

# Statistic

Nats as above, times 0.2 where the client did the same to the server on three or more earlier days (not for smb.exploit).
Or else, for shares, programs and tools' pipes, times 0.4 (an opened share 0.2) where it is the client's trade: done to two
or more other servers, as the same user, on three or more earlier days; or its role is to administer others or to bring
them software, and the user has worked so from there on three earlier days. A program that went to others on three
earlier days by the same path counts 0.2.

All times 0.75 where the server refused it: said as attempted. The heaviest term counts in full, further ones 0.3 of their
weight, at most 9, per client, server, rule and hour of packet time. Below min_nats nothing is published.

Of many servers within an hour (smb.exec, smb.pipe) three are told alone, the others as one finding that names
them; where it brings programs that are new from there, with 0.5 ln n more for n servers, at most 1.5.

Hand: a program brought to ADMIN$ is 4 + 0.3 x 2 = 4.6 nats; by a host whose trade it is 4 x 0.4 + 0.3 x 0.4 = 1.72; the same
file 4 x 0.2 + 0.3 x 0.4 = 0.92: silent. Brought to twelve hosts in an hour by a host that never did, the wave has 4.6 + 0.5 ln 12
= 5.84; by one whose trade it is, a new file to fourteen 1.72 + 0.5 ln 14 = 3.04, an alarm.

# Units, state, cost

Nats; packet time. 8,192 open hours of 3 KB at most; 131,072 habits of 120 bytes; 4,096 clients that list of 3 KB at most; of the site 4,096
names of pipes, 16,384 speakers of SMB2, 32,768 ports of 100 bytes each; 32,768 trades of 130 bytes and 512 waves of 10 KB at most. Least used go first, counted.

# Blind to

Whatever an encrypted SMB3 session hides; programs packed in documents, or in archives that lie among
people's files; an intruder at a deployment server who names a program as its own; renamed tools without a telling shape;
what a client lists on one or two servers.

# Look-alikes

Software deployment writes programs to ADMIN$ (first day of a new deployment server), administrators copy tools by hand,
vulnerability scanners ask for the implant.

# Source

MS-SMB, MS-SMB2, MS-CIFS; names of pipes and files as the tools' public sources have them.
*/
package smbexec

import _ "embed"

//go:embed doc.go
var doc string
