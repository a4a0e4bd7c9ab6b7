/*
Package rpcseq recognises sequences of remote calls and file operations that belong to known ways of moving from host to
host and of taking a domain: rules rpc.seq.*.

# What it sees

Steps of one client on one server, from DCE/RPC calls (interface and operation stay in clear where the contents are
sealed), SMB files and pipes, NTLM logons and flows:

  - rpc.seq.psexec: a program written to ADMIN$ or a drive's share, a service created, started and deleted, the pipes of
    an execution tool. Needs the program or the pipes, and one other;
  - rpc.seq.service: a service created and started, and deleted, within two minutes, without a program brought along: a
    command run through the service manager (smbexec). More where its image is a command interpreter, where the ANSI
    operations are used, where it is done again;
  - rpc.seq.task: a task registered, run, deleted (atexec), or a job added, with output fetched or a program brought;
  - rpc.seq.object: a DCOM object activated and its methods called, or WMI's; with a program brought or output fetched;
  - rpc.seq.dcsync: a host that is no domain controller pulls the directory with its secrets (DRSGetNCChanges);
  - rpc.seq.dcshadow: a host that is none registers as one, makes a controller replicate from it, and that comes;
  - rpc.seq.zerologon: eight or more challenges with authentications on netlogon within two minutes, where an honest
    client needs one or two, or one challenge of zeros; a password set behind it is its success;
  - rpc.seq.coercion: a call that makes a server log on elsewhere (EFSRPC, RPRN, DFSNM, FSRVP), and the server's logon or
    connection within 30 s; more where the caller asks for a certificate within five minutes. Where the call is hidden by SMB3 encryption the logon speaks alone: a machine account that
    logs on by NTLM to the very host that opened a session to it within the 30 s before;
  - rpc.seq.hive: a registry hive saved to a file by winreg and a .tmp file of ADMIN$ read after;
  - rpc.seq.cleanup: an event log cleared within an hour after remote execution;
  - rpc.seq.registry: the registry written and then a service or task started, or the host restarted.

# Statistic

Each kind of step has a weight in nats and counts once; the sum is capped at 9. Weights are first guesses, so that the
full sequence of a tool reaches 6 to 9 and an administrator's half of it 3 to 5. Times 0.75 for a step that the server
denied or whose interface is known by the pipe's name or the endpoint mapper's answer only. The sum times 0.2 where the
same client went through the same sequence on the same server on three or more earlier days; not for dcsync, dcshadow,
zerologon and coercion.

Or else, for psexec, times 0.4 where it is the client's trade: gone through on two or more other servers, as the same user,
on three or more earlier days; or its role is to administer others or to bring them software, and the user has worked so
from there on three earlier days. Times 0.2 where every program brought went to others on three earlier days by the same
path: the same deployment. Of many servers within an hour three are told alone, the others as one finding that names them.

Hand: a push (share 0.5, program 2.5, service created 2.5 and started 1.5) is 7 nats from a host that never did so, 2.8 from one
whose trade it is, less than is said; with a tool's pipe as well 9 x 0.4 = 3.6.

Zerologon: a try succeeds with probability 1/256, so that eight tries win with 3 %: an attacker needs more. 6 nats for a
zero challenge, 7 for eight pairs, 8 for twenty, 9 for both or with the password set.

Steps belong together within ten minutes (service: two, coercion: half, cleanup: sixty). A finding is one episode of one
client on one server; it grows by revisions.

Domain controllers are those configured, or else the hosts seen to answer Kerberos, drsuapi or netlogon; a host that the
other called just before, as controllers notify partners, is taken for one in rpc.seq.dcsync.

Hand: share opened 0.5, program written 2.5, service created 2.5 and started 1.5, a pipe of the tool 2: 9 nats (risk 99); without
the program 6.5 (77).

# Units, state, cost

Nats; packet time. 4,096 pairs of hosts with at most 48 steps of 200 bytes; 8,192 tries of secure channels; 8,192
sessions; 32,768 habits; 8,192 trades of 130 bytes; 256 waves of 10 KB at most. Least used go first, counted.

# Blind to

RPC inside encrypted SMB3 sessions, but for coercion; coercion of print servers by clients that opened a printer there;
sequences spread over more than their window or over two clients.

# Look-alikes

Software deployment (a trade after three days), administrators with PsExec, a backup's first day, a new domain controller.

# Source

The specifications named at the operations in rule rpc.op; captures of the tools themselves.
*/
package rpcseq

import _ "embed"

//go:embed doc.go
var doc string
