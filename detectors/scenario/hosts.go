package scenario

import (
	"fmt"
	"net"
	"strings"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// hardware reads a hardware address.
func hardware(s string) (m packet.MAC, err error) {
	a, err := net.ParseMAC(s)
	if err == nil && len(a) != len(m) {
		err = fmt.Errorf("hardware address %q", s)
	}
	copy(m[:], a)
	return m, err
}

// lease reads ADDRESS leases MAC [NAME] [again|released]: an ACK for a client that asked for
// any address or, again, for the one it has; or the end of a lease.
func (it *item) lease(say []string) error {
	a, err := addr(say[0])
	if err != nil {
		return err
	}
	mac, err := hardware(say[2])
	if err != nil {
		return err
	}
	d := flows.DHCP{Kind: flows.DHCPAck, Yours: a, Hardware: mac, Lease: 8 * 3600}
	name := ""
	for _, w := range say[3:] {
		switch w {
		case "again":
			d.Client = a
		case "released":
			d.Kind, d.Client, d.Yours = flows.DHCPRelease, a, packet.Addr{}
		default:
			name = w
		}
	}
	it.fact = func(out *flows.Out, it *item) {
		d.Meta, d.Xid = flows.Meta{Ref: flows.Ref{Frame: uint64(it.number) + 1}}, uint32(it.number)
		d.Conn = flows.Conn{ID: uint64(it.number) + 1, Start: it.start, OrigPort: 68, RespPort: 67, Proto: packet.ProtoUDP}
		d.HostName = out.PutString(name)
		out.DHCP(&d)
	}
	return nil
}

// arp reads ADDRESS arps MAC: a reply that says so, in a frame from that hardware address.
func (it *item) arp(say []string) error {
	a, err := addr(say[0])
	if err != nil {
		return err
	}
	mac, err := hardware(say[2])
	if err != nil {
		return err
	}
	it.fact = func(out *flows.Out, it *item) {
		out.ARP(&flows.ARP{Meta: flows.Meta{Ref: flows.Ref{Frame: uint64(it.number) + 1}}, Sender: a, SenderMAC: mac, From: mac, Count: 1, Reply: true})
	}
	return nil
}

// claim reads ADDRESS claims NAME to ADDRESS: the server's name in an NTLM log-in of the latter that failed.
func (it *item) claim(say []string) error {
	if len(say) != 5 || say[3] != "to" {
		return fmt.Errorf("want ADDRESS claims NAME to ADDRESS, not %q", strings.Join(say, " "))
	}
	conn, err := it.conn(say[4], say[0], 445, 0)
	if err != nil {
		return err
	}
	it.fact = func(out *flows.Out, it *item) {
		out.Auth(&flows.Auth{
			Meta: flows.Meta{Ref: flows.Ref{Frame: uint64(it.number) + 1}}, Conn: conn(), User: out.PutString("alice"),
			Server: out.PutString(say[2]), Over: flows.AppSMB, Outcome: flows.Failed,
		})
	}
	return nil
}
