package flows

import (
	"cmp"
	"slices"

	"neuromast/sensor/packet"
)

// Text is a string in a batch's arena. It is valid as long as the batch.
type Text struct{ Off, Len uint32 }

// Span is a range of one of a batch's slices.
type Span struct{ Off, Len uint32 }

// LossKind names something the sensor did not see or could not keep. Gaps are data: every loss has a number.
type LossKind uint8

// The kinds of loss.
const (
	LostStreamBytes  LossKind = iota // bytes missing from streams that a parser reads
	LostStreamBuffer                 // out-of-order bytes given up because a buffer's bound was reached
	LostEvictedFlow                  // flows ended by the table's budget
	LostParser                       // connections not parsed because the parser budget was reached
	LostFact                         // facts beyond a batch's or a connection's cap
	LostShape                        // side records not kept because their bound was reached
	LostCutPacket                    // packets that the capture cut short: payload is missing
	LostLateItem                     // packets behind the watermark, taken at the watermark's time
	LostCapture                      // packets that the kernel or the network card dropped
	LostShed                         // bytes of payload not looked at, because the sensor could not keep up
	LostSampled                      // packets left out, because the sensor could not keep up
	LostCopy                         // packets that a mirror copied twice, left out
	LostARP                          // ARP messages of a storm of ever new addresses, not told
	NumLossKinds
)

var lossNames = [NumLossKinds]string{
	"stream_bytes", "stream_buffer_bytes", "evicted_flows", "unparsed_connections", "facts", "side_records", "cut_packets", "late_packets", "dropped_packets",
	"shed_bytes", "sampled_packets", "copied_packets",
	"arp_messages",
}

func (k LossKind) String() string { return lossNames[k] }

// Kind says which slice of a batch an Item points into.
type Kind uint8

// The kinds of items.
const (
	KindRecord Kind = iota
	KindDNS
	KindTLS
	KindSMB
	KindRPC
	KindAuth
	KindKerberos
	KindHTTP
	KindARP
	KindDHCP
	KindRDP
	KindSSH
	KindSession
	KindLDAP
	KindSQL
)

// Item orders one entry of a batch.
type Item struct {
	At    packet.Time
	Seq   uint64
	Index uint32
	Shard uint8
	Kind  Kind
}

// Compare orders items by packet time, then shard, then the shard's own sequence: a total order that does not depend on
// the number of workers.
func (i Item) Compare(j Item) int {
	if c := cmp.Compare(i.At, j.At); c != 0 {
		return c
	}
	if c := cmp.Compare(i.Shard, j.Shard); c != 0 {
		return c
	}
	return cmp.Compare(i.Seq, j.Seq)
}

// MaxItems bounds a batch; what is beyond is counted as LostFact.
const MaxItems = 1 << 20

// maxArena bounds a batch's texts in bytes.
const maxArena = 64 << 20

// Batch is what a worker hands on at each watermark. The receiver owns it until it recycles it with Reset; texts point
// into Arena and die with it.
type Batch struct {
	Watermark packet.Time // nothing at or before it follows from this worker
	Worker    int
	Final     bool // the last batch of this worker

	Records []Record
	Sides   []Side
	Tunnels []packet.Tunnel
	DNS     []DNS
	Answers []Answer
	TLS     []TLS
	SMB     []SMB
	RPC     []RPC
	Auth    []Auth
	KDC     []Kerberos
	HTTP    []HTTP
	ARP     []ARP
	DHCP    []DHCP
	RDP     []RDP
	SSH     []SSH
	Session []Session
	LDAP    []LDAP
	SQL     []SQL
	Order   []Item // every entry of the slices above (Sides, Tunnels and Answers belong to theirs); sorted by Sort
	Arena   []byte
	Lost    [NumLossKinds]uint64
}

// Reset empties b and keeps its memory.
func (b *Batch) Reset() {
	*b = Batch{
		Records: b.Records[:0], Sides: b.Sides[:0], Tunnels: b.Tunnels[:0], DNS: b.DNS[:0], Answers: b.Answers[:0], TLS: b.TLS[:0], SMB: b.SMB[:0],
		RPC: b.RPC[:0], Auth: b.Auth[:0], KDC: b.KDC[:0], HTTP: b.HTTP[:0],
		ARP: b.ARP[:0], DHCP: b.DHCP[:0], RDP: b.RDP[:0], SSH: b.SSH[:0], Session: b.Session[:0], LDAP: b.LDAP[:0], SQL: b.SQL[:0],
		Order: b.Order[:0], Arena: b.Arena[:0],
	}
}

// Sort puts Order into its order.
func (b *Batch) Sort() { slices.SortFunc(b.Order, Item.Compare) }

// Bytes returns a text's bytes; they are borrowed from the batch.
func (b *Batch) Bytes(t Text) []byte { return b.Arena[t.Off : t.Off+t.Len : t.Off+t.Len] }

// String returns a copy of a text.
func (b *Batch) String(t Text) string { return string(b.Bytes(t)) }

// Out is where the machines of one shard write what they learn: it stamps each item with time, shard and sequence.
// One worker uses it; Batch is replaced at every watermark. Time never runs backwards within a shard but for timeouts,
// which lie between two watermarks and are sorted in.
type Out struct {
	Batch *Batch
	Now   packet.Time // At of the items written next
	From  packet.MAC  // sender of the frame whose datagram is being read
	seq   uint64
	Shard uint8
}

// add stamps m and enters the item; it says false, and counts, where the batch is full.
func (o *Out) add(m *Meta, kind Kind, index int) bool {
	b := o.Batch
	if len(b.Order) >= MaxItems {
		b.Lost[LostFact]++
		return false
	}
	o.seq++
	m.At, m.Shard, m.Seq = o.Now, o.Shard, o.seq
	b.Order = append(b.Order, Item{At: o.Now, Seq: o.seq, Index: uint32(index), Shard: o.Shard, Kind: kind})
	return true
}

// Put copies s into the arena. Past the arena's bound it returns an empty text and counts a lost fact.
func (b *Batch) Put(s []byte) Text {
	if len(s) == 0 {
		return Text{}
	}
	if len(b.Arena)+len(s) > maxArena {
		b.Lost[LostFact]++
		return Text{}
	}
	t := Text{Off: uint32(len(b.Arena)), Len: uint32(len(s))}
	b.Arena = append(b.Arena, s...)
	return t
}

// Put is Batch.Put.
func (o *Out) Put(s []byte) Text { return o.Batch.Put(s) }

// PutString is Put for a string.
func (o *Out) PutString(s string) Text {
	b := o.Batch
	if len(s) == 0 || len(b.Arena)+len(s) > maxArena {
		if len(s) > 0 {
			b.Lost[LostFact]++
		}
		return Text{}
	}
	t := Text{Off: uint32(len(b.Arena)), Len: uint32(len(s))}
	b.Arena = append(b.Arena, s...)
	return t
}

// enter stamps an item and appends it to its slice, where the batch has room.
func enter[T any](o *Out, kind Kind, items *[]T, item *T, m *Meta) {
	if o.add(m, kind, len(*items)) {
		*items = append(*items, *item)
	}
}

// Record writes a flow record; Side, if any, must have been put by PutSide before.
func (o *Out) Record(r *Record) { enter(o, KindRecord, &o.Batch.Records, r, &r.Meta) }

// PutTunnels stores the tunnels around a flow.
func (o *Out) PutTunnels(t []packet.Tunnel) Span {
	if len(t) == 0 {
		return Span{}
	}
	b := o.Batch
	b.Tunnels = append(b.Tunnels, t...)
	return Span{Off: uint32(len(b.Tunnels) - len(t)), Len: uint32(len(t))}
}

// PutSide stores a side record and returns its index.
func (o *Out) PutSide(s *Side) int32 {
	o.Batch.Sides = append(o.Batch.Sides, *s)
	return int32(len(o.Batch.Sides) - 1)
}

// DNS writes a DNS transaction; its answers must have been appended to Batch.Answers before.
func (o *Out) DNS(d *DNS) { enter(o, KindDNS, &o.Batch.DNS, d, &d.Meta) }

// TLS writes a ClientHello.
func (o *Out) TLS(t *TLS) { enter(o, KindTLS, &o.Batch.TLS, t, &t.Meta) }

// SMB writes an SMB operation.
func (o *Out) SMB(s *SMB) { enter(o, KindSMB, &o.Batch.SMB, s, &s.Meta) }

// RPC writes a DCE/RPC call.
func (o *Out) RPC(r *RPC) { enter(o, KindRPC, &o.Batch.RPC, r, &r.Meta) }

// Auth writes an authentication.
func (o *Out) Auth(a *Auth) { enter(o, KindAuth, &o.Batch.Auth, a, &a.Meta) }

// Kerberos writes an exchange with a key distribution centre.
func (o *Out) Kerberos(k *Kerberos) { enter(o, KindKerberos, &o.Batch.KDC, k, &k.Meta) }

// HTTP writes a request.
func (o *Out) HTTP(h *HTTP) { enter(o, KindHTTP, &o.Batch.HTTP, h, &h.Meta) }

// ARP writes an ARP message.
func (o *Out) ARP(a *ARP) { enter(o, KindARP, &o.Batch.ARP, a, &a.Meta) }

// DHCP writes a DHCP message.
func (o *Out) DHCP(d *DHCP) { enter(o, KindDHCP, &o.Batch.DHCP, d, &d.Meta) }

// RDP writes the opening of a remote desktop connection.
func (o *Out) RDP(r *RDP) { enter(o, KindRDP, &o.Batch.RDP, r, &r.Meta) }

// SSH writes the opening of an SSH connection.
func (o *Out) SSH(s *SSH) { enter(o, KindSSH, &o.Batch.SSH, s, &s.Meta) }

// Session writes the shape of a session.
func (o *Out) Session(s *Session) { enter(o, KindSession, &o.Batch.Session, s, &s.Meta) }

// LDAP writes an operation on a directory.
func (o *Out) LDAP(l *LDAP) { enter(o, KindLDAP, &o.Batch.LDAP, l, &l.Meta) }

// SQL writes a statement.
func (o *Out) SQL(s *SQL) { enter(o, KindSQL, &o.Batch.SQL, s, &s.Meta) }
