/*
Package incident joins signals into incidents: the attack as one story, scored, with stages, hosts and a timeline.

# What it sees

Nothing but detectors.Signal values, in the order of packet time, of one sensor or of many. A case is what one host did; cases
are joined into one where

  - a host that somebody reached (ran something there, held a session, got in) acts itself afterwards: P(cause) > 0.3;
  - a signal names an earlier one as its cause with P > 0.3;
  - two or three hosts talk to the same domain or external address in the stages command and control or exfiltration, up to
    seven where the evidence is 6 nats or more: what more hosts use is a service.

P(cause) of a reach at distance D before the act is q f(D) / (q f(D) + lambda). q = 0.3 is the chance that who reached a host
acts through it, times (8/n)^2 where signals told of n > 8 peers and days of that one of late (each counts half after a week);
P of causes that signals name likewise. f(D) = 0.7 exp(-D/30 min)/30 min + 0.3 exp(-D/2 d)/2 d, since intruders go on at once
or come back the next day. Lambda is the rate at which that host drew signals before it was reached, at least the mean of all
hosts that this correlation knows (of 50 hosts and 7 days at least), times exp(-w) for an act of 1 + w nats (w at most 4: heavy
acts are rare), at least 1e-5 a minute (one in ten weeks). So a management server that is everywhere all day, and a host that
always drew signals, explain little. What a host did by the same rule on three earlier days counts 0.2 of its weight, and joins
nothing.

A host that was reached leaves the case of other things that it is part of, with those whom it reached since. A server that two
hosts attack does not join them: only hosts that act do. A finding about a move reaches its target from 3 nats on; below, and
for sessions that everybody has, rule graph.path tells the steps.

# Statistic

The score is in nats. Of one host: signals of one family about one peer within 24 h count the heaviest in full and the rest 0.3,
since they depend on one another; families are capped (semantics 12, credentials 9, names 9, scanning 8, novelty 6, volume 6,
rhythm 5); each weight fades with a half-life of its stage (discovery 1 d, credential access 3 d, lateral movement 7 d, else
14 d) up to the latest signal. Of a case: the heaviest host in full, the others half; 1.5 for each host that was reached and
acted, after the first; 2 for each further stage of at least one nat that began after the one before it in the order of an
intrusion, at most four; less 1 for each pair of stages of one host that began in another order, at most what the stages gave.

The prior is 1e-5 for a host and day: 6.9 nats make 1 % (low), 9.3 10 % (medium), 11.5 50 % (high), 16 99 % (critical).
An incident opens at 9.3 nats (open_nats), or with any single signal of 9: such a fact stands alone.

Hand: psexec onto a server with 7 nats, from there a scan of 4 ten minutes later: f = 0.7 exp(-1/3)/30 + 0.3 exp(-1/288)/2880 =
0.0168 a minute, P = 0.3 0.0168 / (0.3 0.0168 + 1e-5) = 0.998: joined. Score 7 + 0.5 4 = 9: low, no incident. With a Kerberoast of
4 nats by the first host before: its sum is 11, the score 11 + 2 + 2 (movement after credentials) = 15: high.

# Life

Opened, updated when its score rises by a nat or its severity, stages or hosts change, at most once a minute of packet
time but for a higher severity; closed after 14 days without a signal, when its evidence has faded to half of what opened
it (looked at every hour), or at the end of the input; more evidence opens it again under its id. The id is that of its
first signal and stays. Where two incidents become one, the older id stays and the other closes, superseded by it.

# State, cost

16,384 hosts with at most 64 signals of about 600 bytes and 16 reaches. The least recently used go first, counted; an open incident keeps
what it knows of them. At most 1,024 incidents are open. A case has at most 64 hosts and shows at most 256 signals: what comes after only counts.

# Blind to

An intruder who waits longer than a week between two hosts; hosts that only relay (see rule graph.relay).

# Source

Weights are first guesses of the design; detectors/EVALUATION.md measures them. The idea of causal paths: Ho et al., Hopper (2021).
*/
package incident

import _ "embed"

//go:embed doc.go
var doc string

// Doc is the specification above, for the generated reference.
func Doc() string { return doc }
