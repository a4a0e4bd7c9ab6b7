/*
Package sqlexec finds SQL Server made to run what is no SQL, or to log on elsewhere: rule sql.exec (T1505.001, T1059.003, T1187).

# What it sees

Batches and remote calls over TDS in clear: their statements, as code. Comments, names in brackets, case and adjacent literals
joined by + make no difference. Literals are data, except those that are run (EXEC('…'), sp_executesql N'…', OPENQUERY(s, '…')): a table
that holds the word xp_cmdshell is none, and neither is a query of sys.configurations for it.

# Statistic

Of one client to one server within an hour of packet time, in nats, once each:

  - 6: xp_cmdshell called; sp_OACreate of a shell; an assembly with unsafe permissions created;
  - 5: xp_dirtree, xp_fileexist, xp_subdirs or xp_getfiledetails with a path on another host (\\host): the
    server logs on there; sp_addextendedproc;
  - 4: sp_OACreate of other objects; other assemblies created; sp_execute_external_script; xp_regwrite;
  - 3: a job step of the operating system (sp_add_jobstep of CmdExec or PowerShell); a member added to sysadmin;
  - 2: xp_cmdshell, OLE automation, CLR, external scripts or ad hoc queries switched on (sp_configure); TRUSTWORTHY switched on; OPENROWSET and
    OPENDATASOURCE but for files (BULK); sp_addlinkedserver;
  - 1: statements run on a linked server (EXEC … AT, OPENQUERY); EXECUTE AS LOGIN.

The heaviest counts whole, the others 0.3 of their weight; at most 9. Nothing below 1.5 is said. What the server refused counts half. Times 0.2 where the client did
this to the server on three earlier days.

Hand: sp_configure of xp_cmdshell 2 (risk 34: a notice); then xp_cmdshell 6 + 0.3 × 2 = 6.6 (risk 78); both refused 3.3 (risk 50).

# Units, state, cost

Nats and packet time. 1,024 pairs, 8 KB each; 65,536 habits of 120 bytes. The least used go first, counted. A statement of 4 KB takes 0.3 ms
where it holds a word to look for, else 16 µs.

# Blind to

Encrypted connections; statements that are put together from variables or hexadecimal literals; what lies beyond the first 4 KB.

# Look-alikes

Administration of the server: switching something on is a notice; jobs and assemblies are deployed so, rarely. Old applications that
call xp_cmdshell do it every day: a habit after three.

# Source

MS-TDS 2.2.6; Microsoft's documentation of the procedures named; weights chosen by us.
*/
package sqlexec

import _ "embed"

//go:embed doc.go
var doc string
