package table

import (
	"slices"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

var macs = [...]packet.MAC{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}}

// message is a request or a reply.
func message(op uint16, sender packet.Addr, mac packet.MAC, target packet.Addr) packet.Packet {
	return packet.Packet{Net: packet.NetARP, Frames: 1, Src: sender, Dst: target, SrcMAC: mac, ARP: packet.ARP{Op: op, SenderMAC: mac}}
}

// arp sends a message at an offset from start.
func (w *wire) arp(at time.Duration, p packet.Packet) {
	w.frame++
	p.At, p.Number = start.Add(at), w.frame
	var k Keyed
	if !KeyOf(&p, &k) {
		panic("no key")
	}
	w.Add(&p, &k)
}

// counts returns what the facts of a batch say, in order.
func (w *wire) counts() (n []uint32) {
	w.batch.Sort()
	for _, i := range w.batch.Order {
		n = append(n, w.batch.ARP[i.Index].Count)
	}
	return n
}

// TestARPFolds: seven requests of one kind in a minute are two facts, of 1 and of 6, and begin anew in the next minute. A
// reply, and a change of the sender's hardware address, are told at once.
func TestARPFolds(t *testing.T) {
	w := newWire(Default(), 1)
	for i := range 7 {
		w.arp(time.Duration(i)*time.Second, message(packet.ARPRequest, bob, macs[0], alice))
	}
	w.arp(10*time.Second, message(packet.ARPReply, alice, macs[1], bob))
	w.arp(11*time.Second, message(packet.ARPReply, alice, macs[2], bob))
	w.Advance(start.Add(59 * time.Second))
	if n := w.counts(); !slices.Equal(n, []uint32{1, 1, 1}) {
		t.Fatalf("within the minute %v", n)
	}
	w.Advance(start.Add(time.Minute - 1))
	w.arp(time.Minute, message(packet.ARPRequest, bob, macs[0], alice))
	w.arp(61*time.Second, message(packet.ARPRequest, bob, macs[0], alice))
	w.Finish(start.Add(62 * time.Second))
	if n := w.counts(); !slices.Equal(n, []uint32{1, 1, 1, 6, 1, 1}) {
		t.Fatalf("in all %v", n)
	}
	six := w.batch.ARP[w.batch.Order[3].Index]
	if six.At != start.Add(time.Minute-1) || six.Ref.Frame != 7 || six.Sender != bob || six.Target != alice || six.Reply || six.SenderMAC != macs[0] {
		t.Errorf("%+v", six)
	}
	if len(w.batch.Records) != 0 {
		t.Error("ARP shows as flows")
	}
}

// TestARPCopies: a mirror's second copy is counted as such.
func TestARPCopies(t *testing.T) {
	w := newWire(Default(), 1)
	w.arp(0, message(packet.ARPRequest, bob, macs[0], alice))
	w.arp(20*time.Microsecond, message(packet.ARPRequest, bob, macs[0], alice))
	w.Finish(start.Add(time.Second))
	if n := w.counts(); !slices.Equal(n, []uint32{1}) || w.batch.Lost[flows.LostCopy] != 1 || w.Stats().Duplicates != 1 {
		t.Errorf("facts of %v, %d copies", n, w.batch.Lost[flows.LostCopy])
	}
}

// TestARPStorm: a million messages of ever new senders in ten seconds make at most arpFacts facts a second and what the
// table holds; what was not told is counted, so that the sum is the truth.
func TestARPStorm(t *testing.T) {
	w := newWire(Default(), 1)
	const n = 1_000_000
	for i := range n {
		from := packet.AddrFrom4([]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		w.arp(time.Duration(i)*10*time.Microsecond, message(packet.ARPRequest, from, macs[i%3], alice))
	}
	w.Finish(start.Add(10 * time.Second))
	told := w.batch.Lost[flows.LostARP]
	for _, c := range w.counts() {
		told += uint64(c)
	}
	if facts := len(w.batch.ARP); told != n || facts > 10*(arpFacts+1)+arpKept || facts < 10*arpFacts {
		t.Errorf("%d messages in %d facts, %d not told", told, facts, w.batch.Lost[flows.LostARP])
	}
}

// TestARPDoesNotAllocate: once the shard has seen a message, and its batch has room.
func TestARPDoesNotAllocate(t *testing.T) {
	w := newWire(Default(), 1)
	w.batch.ARP, w.batch.Order = make([]flows.ARP, 0, 4096), make([]flows.Item, 0, 4096)
	var k Keyed
	p := message(packet.ARPRequest, bob, macs[0], alice)
	n := 0
	if got := testing.AllocsPerRun(2000, func() {
		n++
		p.Src[15], p.At = byte(n), start.Add(time.Duration(n)*time.Millisecond)
		KeyOf(&p, &k)
		w.Add(&p, &k)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// TestARPKey: other operations than request and reply have no owner.
func TestARPKey(t *testing.T) {
	p := message(8, bob, macs[0], alice) // InARP (RFC 2390)
	if KeyOf(&p, new(Keyed)) {
		t.Error("an inverse request has a key")
	}
	request, reply := message(packet.ARPRequest, bob, macs[0], alice), message(packet.ARPReply, alice, macs[1], bob)
	var a, b Keyed
	if !KeyOf(&request, &a) || !KeyOf(&reply, &b) || ShardOf(&a) != ShardOf(&b) {
		t.Error("a request and its reply have different owners")
	}
}

// BenchmarkARP is a storm: each message of another sender.
//
//	go test -run '^$' -bench ARP ./flows/table
func BenchmarkARP(b *testing.B) {
	w := newWire(Default(), 1)
	var k Keyed
	p := message(packet.ARPRequest, bob, macs[0], alice)
	for i := range b.N {
		p.Src[15], p.Src[14], p.Src[13], p.At = byte(i), byte(i>>8), byte(i>>16), start.Add(time.Duration(i)*time.Microsecond)
		KeyOf(&p, &k)
		w.Add(&p, &k)
		if i%100_000 == 0 {
			w.batch.Reset()
		}
	}
}
