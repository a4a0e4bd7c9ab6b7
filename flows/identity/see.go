package identity

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"slices"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// See learns from an item, and fills Hosts and Names of flow records. Items come in the order of packet time.
func (t *Table) See(b *flows.Batch, it *flows.Item) {
	t.now = max(t.now, it.At)
	switch i := it.Index; it.Kind {
	case flows.KindRecord:
		t.record(b, &b.Records[i])
	case flows.KindDHCP:
		t.dhcp(b, &b.DHCP[i])
	case flows.KindKerberos:
		t.kerberos(b, &b.KDC[i])
	case flows.KindARP:
		t.arp(&b.ARP[i])
	case flows.KindAuth:
		t.auth(b, &b.Auth[i])
	case flows.KindDNS:
		t.dns(b, &b.DNS[i])
	}
}

// record notes who sent something.
func (t *Table) record(b *flows.Batch, r *flows.Record) {
	for d, end := range [...]struct {
		addr packet.Addr
		mac  packet.MAC
	}{{r.Orig, r.OrigMAC}, {r.Resp, r.RespMAC}} {
		k := flows.HostKey{Segment: r.Segment, Addr: end.addr}
		if r.Total[d].Packets == 0 { // it was only spoken to
			if o := t.at[k]; o != nil {
				r.Hosts[d] = t.At(k, r.Last).Number
			}
			continue
		}
		o := t.bound(k)
		if o == nil {
			continue
		}
		if r.Last < o.since {
			if h := t.At(k, r.Last); h != o.host { // it ended before the address changed hands
				r.Hosts[d] = h.Number
				continue
			}
		}
		o.last = max(o.last, r.Last)
		r.Hosts[d] = o.host.Number
		if end.mac != (packet.MAC{}) {
			t.sent(o, end.mac, r.Last)
		}
		if t.texts && o.host.Name != "" {
			r.Names[d] = b.Put([]byte(o.host.Name))
		}
	}
}

// sent notes the hardware address of frames from an address.
func (t *Table) sent(o *binding, m packet.MAC, at packet.Time) {
	if o.frame != m {
		o.frame = m
		t.frame(o.key, m)
	}
	switch h := o.host; {
	case h.MAC == m:
		if o.hardware != 0 {
			o.hardware = max(o.hardware, at)
		}
	case len(h.keys) == 0 || h.MAC == packet.MAC{}:
		if h.MAC = m; t.isRouter(o.key.Segment, m) {
			h.MAC = packet.MAC{}
		}
	}
}

// dhcp follows leases.
func (t *Table) dhcp(b *flows.Batch, d *flows.DHCP) {
	req := request{d.Segment, d.Xid, d.Hardware}
	switch d.Kind {
	case flows.DHCPRequest, flows.DHCPInform, flows.DHCPDiscover:
		a, _ := t.requests.Use(req)
		*a = asked{
			client: string(b.Bytes(d.ClientID)), name: string(b.Bytes(d.HostName)),
			// With its own address it renews; without a server's choice it asks for the one it had (RFC 2131, 4.3.2).
			same: d.Client != packet.Addr{} || d.Kind == flows.DHCPRequest && d.Server == packet.Addr{} && d.Requested != packet.Addr{},
		}
	case flows.DHCPRelease:
		o := t.at[flows.HostKey{Segment: d.Segment, Addr: d.Client}]
		if o != nil && t.index[clientKey(d.Hardware, b.Bytes(d.ClientID))] == o.host {
			t.close(o)
		}
	case flows.DHCPAck:
		k := flows.HostKey{Segment: d.Segment, Addr: d.Yours}
		if d.Yours == (packet.Addr{}) || isUnspecified(d.Yours) {
			k.Addr = d.Client // the answer to an INFORM
		}
		if !t.ours(k.Addr) {
			return
		}
		client, name := b.Bytes(d.ClientID), b.Bytes(d.HostName)
		same := d.Client == k.Addr
		if a := t.requests.Get(req); a != nil {
			if len(client) == 0 {
				client = []byte(a.client)
			}
			if len(name) == 0 {
				name = []byte(a.name)
			}
			same = same || a.same
			t.requests.Delete(req)
		}
		t.lease(k, d, client, name, same)
	}
}

func isUnspecified(a packet.Addr) bool { return a.Is4() && a[12]|a[13]|a[14]|a[15] == 0 }

// lease binds an address to the client that it was given to.
func (t *Table) lease(k flows.HostKey, d *flows.DHCP, client, name []byte, same bool) {
	if d.Hardware == (packet.MAC{}) && len(client) == 0 {
		return
	}
	key := clientKey(d.Hardware, client)
	h := t.index[key]
	o := t.at[k]
	if o != nil && o.host != h {
		// Another's address, or one of which nothing is known. The latter is this client's where it says that it had it.
		if unknown := len(o.host.keys) == 0; !unknown && !t.sameHost(o, key, d.Hardware) || unknown && !same {
			t.close(o)
			o = nil
		}
	}
	switch {
	case o == nil && h != nil:
		o = t.open(k, h)
		t.touch(h)
	case o == nil:
		h = t.newHost(AddressID(k), ByAddress)
		o = t.open(k, h)
		t.learn(o, key, clientID(key), ByDHCP)
	case h == nil:
		t.learn(o, key, clientID(key), ByDHCP)
	case o.host != h:
		t.join(o, h)
	}
	h = o.host
	o.client = key
	t.moved(o)
	if d.Hardware != (packet.MAC{}) {
		h.MAC = d.Hardware
	}
	h.leased = true
	o.hardware = t.now
	o.lease = t.now.Add(leaseTime(d.Lease))
	t.name(h, name, ByLeaseName)
	t.touch(h)
}

// sameHost says that the host of an address, known by other evidence, is the one that a lease names: by its hardware.
func (t *Table) sameHost(o *binding, key string, m packet.MAC) bool {
	h := o.host
	return h.MAC == m && m != packet.MAC{} && !t.isRouter(o.key.Segment, m) || t.index[key] == h
}

// moved ends the lease that a client had in this segment before: it has one at a time.
func (t *Table) moved(to *binding) {
	for _, o := range slices.Clone(to.host.at) {
		if o != to && o.key.Segment == to.key.Segment && o.client == to.client {
			t.close(o)
		}
	}
}

// kerberos learns from machine accounts that got a ticket.
func (t *Table) kerberos(b *flows.Batch, k *flows.Kerberos) {
	client := b.Bytes(k.Client)
	if k.Outcome != flows.Succeeded || len(client) < 2 || client[len(client)-1] != '$' || bytes.IndexByte(client, '/') >= 0 || len(client) > maxName {
		return
	}
	o := t.bound(flows.HostKey{Segment: k.Segment, Addr: k.Orig})
	if o == nil {
		return
	}
	t.text = lower(t.text[:0], client[:len(client)-1])
	if realm := b.Bytes(k.Realm); len(realm) > 0 && len(realm) <= maxName {
		t.text = lower(append(t.text, '.'), realm)
	}
	h := o.host
	if len(h.machine) > 4 && h.machine[4:] == string(t.text) { // as nearly always
		o.machine, h.nameAt = t.now, t.now
		return
	}
	id := string(t.text)
	key := "krb:" + id
	o = t.shown(o, key, id, ByKerberos, h.machine != "", o.machine)
	if o == nil {
		return
	}
	o.machine, o.host.machine = t.now, key
	t.name(o.host, []byte(id), ByKerberos)
}

// arp learns who stands on a link.
func (t *Table) arp(a *flows.ARP) {
	if a.SenderMAC != a.From || a.SenderMAC == (packet.MAC{}) || a.SenderMAC[0]&1 != 0 || isUnspecified(a.Sender) {
		return // told by another, or a probe
	}
	o := t.bound(flows.HostKey{Segment: a.Segment, Addr: a.Sender})
	if o == nil {
		return
	}
	h := o.host
	if h.MAC == a.SenderMAC && o.hardware != 0 {
		o.hardware = t.now
		return
	}
	key := clientKey(a.SenderMAC, nil)
	if t.index[key] != h {
		contradicted := o.hardware
		if t.now < o.lease {
			contradicted = t.now // a lease that runs
		}
		if o = t.shown(o, key, a.SenderMAC.String(), ByARP, o.hardware != 0, contradicted); o == nil {
			return
		}
	}
	o.hardware, o.host.MAC = t.now, a.SenderMAC
}

// shown takes evidence that the host at o is known under key. Against says that it contradicts what was confirmed at
// confirmed. It returns the binding that the evidence is true of, nil where it is not believed.
func (t *Table) shown(o *binding, key, id string, by Evidence, against bool, confirmed packet.Time) *binding {
	h := t.index[key]
	if h == o.host {
		return o
	}
	if against && t.now.Sub(confirmed) < t.cfg.Hold || h != nil && !t.silent(h, o) {
		if by == ByKerberos {
			o.rival(key)
		}
		t.contest(o, id)
		return nil
	}
	if against { // the address has another owner now
		k, frame := o.key, o.frame
		t.close(o)
		if h == nil {
			h = t.newHost(AddressID(k), ByAddress)
		}
		o = t.open(k, h)
		o.frame, o.last = frame, t.now
		if len(h.keys) == 0 {
			t.learn(o, key, id, by)
		}
	} else if h == nil {
		t.learn(o, key, id, by)
	} else {
		t.join(o, h)
	}
	t.leave(o)
	return o
}

// leave closes a host's other addresses of the same family that have been silent: it has moved.
func (t *Table) leave(to *binding) {
	for _, o := range slices.Clone(to.host.at) {
		if o != to && o.key.Addr.Is4() == to.key.Addr.Is4() && t.now.Sub(o.heard()) >= t.cfg.Hold {
			t.close(o)
		}
	}
}

// auth learns what the two sides of an NTLM log-in call themselves.
func (t *Table) auth(b *flows.Batch, a *flows.Auth) {
	if a.Method != flows.AuthNTLM {
		return
	}
	if a.Server.Len > 0 {
		if o := t.bound(flows.HostKey{Segment: a.Segment, Addr: a.Resp}); o != nil {
			t.name(o.host, b.Bytes(a.Server), ByServerName)
		}
	}
	if a.Workstation.Len > 0 && a.Outcome == flows.Succeeded {
		if o := t.bound(flows.HostKey{Segment: a.Segment, Addr: a.Orig}); o != nil {
			t.name(o.host, bytes.TrimLeft(b.Bytes(a.Workstation), `\`), ByWorkstation)
		}
	}
}

// dns learns the names that hosts give their own addresses.
func (t *Table) dns(b *flows.Batch, d *flows.DNS) {
	if d.App != flows.AppMDNS && d.App != flows.AppNBNS || !d.Answered() {
		return
	}
	for i := range b.Answers[d.Answers.Off : d.Answers.Off+d.Answers.Len] {
		a := &b.Answers[int(d.Answers.Off)+i]
		if a.Type != 1 && a.Type != 28 && a.Type != 32 { // A, AAAA, NB
			continue
		}
		addr, err := netip.ParseAddr(string(b.Bytes(a.Data)))
		if err != nil {
			continue
		}
		own := packet.AddrFrom(addr)
		if own != d.Orig && own != d.Resp {
			continue
		}
		if o := t.at[flows.HostKey{Segment: d.Segment, Addr: own}]; o != nil && o.host.NameBy <= ByOwnName {
			t.name(o.host, flows.AppendName(nil, b.Bytes(a.Name)), ByOwnName)
		}
	}
}

// clientKey is the index key of a DHCP client: its identifier where it has one of its own, else its hardware address.
// Identifiers of type 1 are the hardware address (RFC 2132, 9.14); those of type 0 are made by boot firmware (RFC 4578,
// 2.3), whose host has another once it runs.
func clientKey(m packet.MAC, client []byte) string {
	if len(client) > 1 && client[0] != 0 && !(client[0] == 1 && bytes.Equal(client[1:], m[:])) {
		return "cid:" + string(client)
	}
	return "mac:" + m.String()
}

// clientID is the id that follows from a client's key.
func clientID(key string) string {
	if key[:4] == "cid:" {
		return "dhcp-" + hex.EncodeToString([]byte(key[4:min(len(key), 4+32)]))
	}
	return key[4:]
}

// leaseTime is how long a lease binds: as long as it says, at most a month, lest a forged one bind for ever.
func leaseTime(seconds uint32) time.Duration {
	return min(time.Duration(seconds)*time.Second, 30*24*time.Hour)
}
