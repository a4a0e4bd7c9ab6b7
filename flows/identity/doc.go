// Package identity says which host stands behind an address, and since when.
//
// An address is no host: leases move. So every address of the site that is seen to send is bound to a host for an
// interval of packet time, from the best evidence that the wire has shown:
//
//   - DHCP: an ACK binds the address to the client's identifier (option 61), else its hardware address (RFC 2131, 4.2),
//     from then on; a RELEASE ends it. The lease's name is what the client says.
//   - Kerberos: a ticket given to a principal that ends in $ proves that the asker holds that machine's key (MS-KILE 3.1.1.2).
//   - ARP: a sender whose hardware address is that of its frame stands on this link with that address.
//   - Names that a host gives itself: its NTLM challenge (MS-NLMP 2.2.2.1), DHCP option 12, multicast DNS and NetBIOS
//     answers that hold the answerer's own address, the workstation of an NTLM log-in. Anyone may say anything here, and
//     relays repeat what their victim says, so that these only tell people a name: they are never an id, and join nothing.
//   - Hardware addresses of frames only confirm: a router's stands before many addresses.
//
// # Ids and numbers
//
// Host.ID is what records carry: the first of client identifier, hardware address or machine name that was shown at the
// host's address; before that, the address itself. It is never taken back: an Alias change says that what was published
// under one id goes on under another. Host.Number is what tables in memory use as key: it stays when the id is found and
// when the lease moves; where two hosts turn out to be one, the Alias change names the number that ends.
//
// # Doubt
//
// Evidence that contradicts what an address or a name is bound to is taken only when that has been silent for
// Config.Hold (a lease: until it runs out); till then it is counted as contested and changes nothing, since that is what
// a spoofer does: he speaks while the true one is there. So a log-in with another machine's key does not make the
// intruder's address that machine, and a forged ARP reply does not move a gateway. A DHCP ACK comes from the authority on
// the matter and is always taken; a forged one moves an address too.
//
// Not seen: routers that translate addresses (an address at which three machine names are contested is Shared), leases of
// DHCPv6, privacy addresses of IPv6 other than through a machine's name.
//
// Cost: see Table; at most Config.MaxHosts hosts, the least recently active forgotten first, counted.
package identity
