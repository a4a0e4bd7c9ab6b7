// Package hostgraph knows who talks to whom, as what, and since when: the site's communication graph, a profile of every
// host with its inferred role, and how many hosts go to each destination outside.
//
// # Edges
//
// An edge is (client, server, service) between two hosts of the site, as numbered by flows/identity, so that a lease that
// moves makes no new edge. The service is named by content, else by the usual port (Service). An edge is made when a flow
// record confirms the contact: the server has answered with content. Failed attempts make none; they count in the
// client's profile and on an edge that exists. Facts of the same connection (shares, remote procedures, log-ins) come
// before its record and decide whether SMB was plain use or administration, who the user was, and what was run.
//
// An edge holds first and last use, the days of the last 64 and the hours of the week it was used in, connections, failures,
// bytes each way, up to four users, and what was last run through it.
//
// # Asking
//
// The engine enters an item after the detectors have seen it: they ask about the time before. A detector of new edges
// asks, for a record,
//
//	client, server, service, ok := graph.ServiceOf(r)
//	if ok && !graph.Has(client, server, service) { … graph.Rarity(client, server, service) … }
//
// and Role, Why, Profile, Find, Out, In, Peers, Newcomers, Prevalence, DomainPrevalence for the rest. Times are UTC.
//
// # Roles
//
// A host's role is inferred when its edges change, and once an hour (Profile.Why
// says which, with its numbers), unless the configuration gives it (assets.role). Server roles and workstations are told
// from the first day on; roles that make wide administration usual (jump host, administrator, scanner, deployment,
// monitoring, backup) need three to five days, lest an intruder of one night get one. An administrator's come back to the
// same servers, which keeps most intruders out; one who does so for a week gets it, and role changes are what graph.*
// detectors watch.
//
// Measured on simulated work (detectors/simulate, 300 hosts, 8 days, 4 intrusions, three seeds): at most 3 % of the hosts
// have a role that their contacts contradict, nearly all of them Unknown; no intruder's host has one that is wide by trade.
//
// # Bounds
//
// Config.MaxEdges edges, the least recently used out first; Config.TTL; a client of more than Config.OutEdges edges is a
// hub, whose further contacts are only counted in a sketch, and which therefore shows no first contacts; Config.MaxHosts
// profiles. All are counted in Stats. Measured: 168 bytes an edge, 220 with its place in the index; 0.6 to 1 KiB a host.
package hostgraph
