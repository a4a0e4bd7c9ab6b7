package scenario

import (
	"fmt"
	"strconv"
	"strings"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// What happens within a LAN. Machines are named by a number, from which their hardware address follows:
//
//	0s  10.0.0.5 whohas 10.0.0.1 from 5              asks everybody
//	1s  10.0.0.1 isat 66 to 10.0.0.5 [count N]       a reply to one host that 10.0.0.1 is at machine 66; "to all": an announcement
//	1s  10.0.0.5 via 66 198.51.100.7                 a conversation with the outside through machine 66
//	1s  10.0.0.66 dials 10.0.0.9 from 66              a conversation within the site
//	1s  10.0.0.66 tunes 66                           a datagram to a local group, by machine 66
//	2s  10.0.0.5 hails llmnr NAME                    asks the group of llmnr, mdns or nbns
//	2s  10.0.0.66 answers llmnr NAME to 10.0.0.5      answers with its own address; "to all": the group
//	2s  10.0.0.66 registers NAME                     with NetBIOS
//	3s  10.0.0.1 offers 10.0.0.50 router A resolver A to 5    and acks, and renews, by DHCP, to machine 5
//	4s  10.0.0.1 redirects 10.0.0.5 by 66

// machine is the hardware address of a number, or of a port of it: 66 is the first, 66.2 the second.
func machine(s string) (packet.MAC, error) {
	s, port, ok := strings.Cut(s, ".")
	if !ok {
		port = "1"
	}
	p, err := strconv.ParseUint(port, 10, 8)
	if err != nil {
		return packet.MAC{}, err
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return packet.MAC{2, 0, 0, 0, byte(n), byte(p)}, err
}

var everybody = packet.MAC{255, 255, 255, 255, 255, 255}

func (it *item) ref() flows.Ref { return flows.Ref{Frame: uint64(it.number) + 1} }

// addresses reads the addresses among words.
func addresses(words ...string) ([]packet.Addr, error) {
	var out []packet.Addr
	for _, w := range words {
		a, err := addr(w)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (it *item) whoHas(say []string) error {
	if len(say) != 5 || say[3] != "from" {
		return fmt.Errorf("want ADDRESS whohas ADDRESS from MACHINE")
	}
	a, err := addresses(say[0], say[2])
	if err != nil {
		return err
	}
	mac, err := machine(say[4])
	it.fact = func(out *flows.Out, it *item) {
		out.ARP(&flows.ARP{Meta: flows.Meta{Ref: it.ref()}, Sender: a[0], Target: a[1], SenderMAC: mac, From: mac, To: everybody, Count: 1})
	}
	return err
}

func (it *item) isAt(say []string) error {
	if len(say) != 5 && len(say) != 7 || say[3] != "to" {
		return fmt.Errorf("want ADDRESS isat MACHINE to ADDRESS [count N]")
	}
	f := flows.ARP{Reply: true, Count: 1, To: packet.MAC{2, 0, 0, 0, 250, 1}}
	if say[4] == "all" {
		say[4], f.To = say[0], everybody
	}
	a, err := addresses(say[0], say[4])
	if err != nil {
		return err
	}
	if len(say) == 7 {
		n, err := strconv.ParseUint(say[6], 10, 32)
		if err != nil {
			return err
		}
		f.Count = uint32(n)
	}
	mac, err := machine(say[2])
	f.Sender, f.Target, f.SenderMAC, f.From, f.TargetMAC = a[0], a[1], mac, mac, f.To
	it.fact = func(out *flows.Out, it *item) {
		f.Meta = flows.Meta{Ref: it.ref()}
		out.ARP(&f)
	}
	return err
}

// groups are the group, port and kind of question of the protocols that ask everybody.
var groups = map[string]struct {
	app  flows.App
	to   string
	port uint16
	kind uint16
}{"llmnr": {flows.AppLLMNR, "224.0.0.252", 5355, 1}, "mdns": {flows.AppMDNS, "224.0.0.251", 5353, 1}, "nbns": {flows.AppNBNS, "10.0.0.255", 137, 32}}

func (it *item) hail(say []string) error {
	if len(say) != 4 {
		return fmt.Errorf("want ADDRESS hails PROTOCOL NAME")
	}
	g, ok := groups[say[2]]
	if !ok {
		return fmt.Errorf("unknown protocol %q", say[2])
	}
	return it.name(say[0], g.to, g.app, g.port, g.kind, say[3], 0, false)
}

func (it *item) register(say []string) error {
	g := groups["nbns"]
	return it.name(say[0], g.to, g.app, g.port, g.kind, say[2], 5<<11, false)
}

func (it *item) answer(say []string) error {
	if len(say) != 6 || say[4] != "to" {
		return fmt.Errorf("want ADDRESS answers PROTOCOL NAME to ADDRESS")
	}
	g, ok := groups[say[2]]
	if !ok {
		return fmt.Errorf("unknown protocol %q", say[2])
	}
	to := say[5]
	if to == "all" {
		to = g.to
	}
	return it.name(say[0], to, g.app, g.port, g.kind, say[3], 0x8000, true)
}

// name makes a question or an answer that opens its conversation.
func (it *item) name(from, to string, app flows.App, port, kind uint16, name string, flags uint16, answer bool) error {
	a, err := addresses(from, to)
	it.fact = func(out *flows.Out, it *item) {
		d := flows.DNS{
			Meta: flows.Meta{Ref: it.ref()}, App: app, Type: kind, Class: 1, Flags: flags, Turned: answer, Name: out.Put(wire(name)),
			Conn: flows.Conn{ID: 1<<33 + uint64(it.number), Start: it.start, Orig: a[0], Resp: a[1], OrigPort: port, RespPort: port, Proto: packet.ProtoUDP},
		}
		if answer {
			d.AnswerAt, d.AnswerRef = it.start, d.Ref
			d.Answers = flows.Span{Off: uint32(len(out.Batch.Answers)), Len: 1}
			out.Batch.Answers = append(out.Batch.Answers, flows.Answer{Name: d.Name, Data: out.PutString(a[0].String()), Type: kind, TTL: 30, Len: 4})
		} else {
			d.QueryAt, d.QueryRef = it.start, d.Ref
		}
		out.DNS(&d)
	}
	return err
}

func (it *item) serve(say []string) error {
	if len(say) != 9 || say[3] != "router" || say[5] != "resolver" || say[7] != "to" {
		return fmt.Errorf("want ADDRESS offers ADDRESS router ADDRESS resolver ADDRESS to MACHINE")
	}
	a, err := addresses(say[0], say[2], say[4], say[6], "255.255.255.255")
	if err != nil {
		return err
	}
	mac, err := machine(say[8])
	kind := flows.DHCPOffer
	var has packet.Addr
	switch say[1] {
	case "acks":
		kind = flows.DHCPAck
	case "renews":
		kind, has = flows.DHCPAck, a[1]
	}
	it.fact = func(out *flows.Out, it *item) {
		out.DHCP(&flows.DHCP{
			Meta: flows.Meta{Ref: it.ref()}, Conn: flows.Conn{ID: 1<<33 + uint64(it.number), Start: it.start, Orig: a[0], Resp: a[4], OrigPort: 67, RespPort: 68, Proto: packet.ProtoUDP},
			Kind: kind, Client: has, Yours: a[1], Server: a[0], Router: a[2], Resolver: a[3], Hardware: mac, Lease: 3600,
		})
	}
	return err
}

// record makes a final record of one packet each way.
func (it *item) record(from, to string, proto packet.Proto, orig, resp uint16, by, other packet.MAC) error {
	a, err := addresses(from, to)
	if err != nil {
		return err
	}
	it.flow = &flows.Record{
		Conn: flows.Conn{Start: it.start, Orig: a[0], Resp: a[1], OrigPort: orig, RespPort: resp, Proto: proto}, Last: it.start, Side: -1, State: flows.SF, Final: true,
		Report: 1, OrigMAC: by, RespMAC: other,
	}
	for d := range it.flow.Total {
		it.flow.Total[d] = flows.Counters{Packets: 1, IPBytes: 80, PayloadBytes: 40}
	}
	it.flow.Delta = it.flow.Total
	return nil
}

func (it *item) via(say []string) error {
	if len(say) != 4 {
		return fmt.Errorf("want ADDRESS via MACHINE ADDRESS")
	}
	mac, err := machine(say[2])
	if err != nil {
		return err
	}
	return it.record(say[0], say[3], packet.ProtoTCP, 50000, 443, packet.MAC{2, 0, 0, 0, 251, 1}, mac)
}

func (it *item) dial(say []string) error {
	if len(say) != 5 || say[3] != "from" {
		return fmt.Errorf("want ADDRESS dials ADDRESS from MACHINE")
	}
	mac, err := machine(say[4])
	if err != nil {
		return err
	}
	return it.record(say[0], say[2], packet.ProtoTCP, 50000, 443, mac, packet.MAC{2, 0, 0, 0, 252, 1})
}

func (it *item) tune(say []string) error {
	mac, err := machine(say[2])
	if err != nil {
		return err
	}
	return it.record(say[0], "224.0.0.251", packet.ProtoUDP, 5353, 5353, mac, packet.MAC{})
}

func (it *item) redirect(say []string) error {
	if len(say) != 5 || say[3] != "by" {
		return fmt.Errorf("want ADDRESS redirects ADDRESS by MACHINE")
	}
	mac, err := machine(say[4])
	if err != nil {
		return err
	}
	return it.record(say[0], say[2], packet.ProtoICMP, 5, 1, mac, packet.MAC{})
}
