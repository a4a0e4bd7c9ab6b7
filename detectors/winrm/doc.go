/*
Package winrm finds commands run on other hosts through Windows Remote Management: rule winrm.exec (T1021.006).

# What it sees

Requests of HTTP whose target is /wsman (DMTF DSP0226, MS-WSMV 2.2), in clear or with sealed bodies, from their target, agent, length
and answer. PowerShell's remote sessions name themselves in the target (PSVersion=). Requests for a subscription
(/wsman/SubscriptionManager), by which Windows forwards events, are left out.

# Statistic

Of one client to one server within an hour of packet time: a session is there once three requests with a body were answered (status
200): opening a shell, a command, its output. By PowerShell 3 nats, else 2 (inventories ask so); 2 more where the agent is not
Microsoft's. From the third server within the hour on 1.5 more. Times 0.2 where the client did so to the server on three earlier days; else times 0.4 where it did so to two other
servers or more on three earlier days in all, or where its role is to administer others: its trade. Of many servers within an hour
three are told alone, the others as one finding that names them.

Hand: one PowerShell session with a server 3 nats (risk 47), with three servers 4.5 at the third (risk 60); by an administrator whose trade it is 1.2 (risk 24: a notice).

# Units, state, cost

Nats and packet time. 1,024 clients of 16 servers, 550 bytes each; 65,536 habits of 120 bytes, 4,096 trades of 130, 256 waves of 10 KB at most. The least used go first, counted.

# Blind to

WinRM over TLS (port 5986); what the commands are; an intruder at an administrator's host, where
only a notice is left of a first session.

# Look-alikes

Administrators and configuration management, until it is their habit or trade of three days; monitoring over WSMan (no PowerShell).

# Source

MS-WSMV, DSP0226; weights chosen by us as those of rpc.op for a service created remotely.
*/
package winrm

import _ "embed"

//go:embed doc.go
var doc string
