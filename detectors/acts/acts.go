// Package acts tells what it leaves in this sensor's facts when a host does something: opens a file, logs on, runs a
// program elsewhere with one of the known tools, asks for tickets, scans. Tests and the simulator of weeks of work
// (detectors/simulate) are told in these acts, so that both use what the parsers really yield.
//
// Each act was written down from the facts that our own parsers read in captures of the tool itself: which connections
// it opens, the order of operations, which texts stand in clear and which are sealed, how long it takes. Timing is
// drawn around what was seen. Held against those captures, the acts raise the same findings with about the same risk
// (capture and act: PsExec rpc.seq.psexec 99 and 99, smb.exec 61 and 61; smbexec rpc.seq.service 90 and 99; WMI rpc.op.object
// 62 and 62; DCSync 99 and 99; WinRM 47 and 47; coercion 99 and 99; SharpHound rpc.op.discovery 30 and 31). An act does not know who watches: no detector, threshold or rule stands here.
//
// A Scene lends acts the clock, random numbers and names, and takes their items with the packet time at which the
// sensor would know them, not sorted: whoever plays them sorts. What acts leave out: retransmissions, gaps, packets
// seen one way, tunnels.
package acts

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Taker takes an item that becomes known at a packet time; write enters it.
type Taker func(at packet.Time, write func(*flows.Out))

// Scene is where acts happen.
type Scene struct {
	Take Taker
	Rand *rand.Rand
	// Name returns the name by which others call an address; nil: its address.
	Name func(packet.Addr) string
	// Answer says what a TCP connection to a port comes to; nil: it is refused.
	Answer func(to packet.Addr, port uint16) Answer
	Realm  string // of the domain, upper case

	Conns uint64 // connections so far: scenes that are played together begin apart

	frames uint64
	logins map[login]packet.Time
	dice   *rand.Rand // of log-ins that come by themselves, so that all else is played alike
}

// login is a user at a host, who has a ticket-granting ticket there.
type login struct {
	at   packet.Addr
	user string
}

// Answer is what a connection attempt comes to.
type Answer uint8

// The answers.
const (
	Refused Answer = iota
	Silent
	Accepted
)

// Account is who logs on, and how: with a ticket of the key distribution centre KDC, else by NTLM.
type Account struct {
	Domain, User string
	KDC          packet.Addr // zero: NTLM
	Workstation  string      // that NTLM claims; empty: the client's name
	Stolen       bool        // its tickets were taken elsewhere: no log-in shows where they are used
	Nameless     bool        // NTLM claims no workstation, as Impacket's clients
}

// Text is the account as SMB sessions show it.
func (a Account) Text() string {
	if a.Domain == "" {
		return a.User
	}
	return a.Domain + `\` + a.User
}

// name is how a host is called.
func (s *Scene) name(a packet.Addr) string {
	if s.Name != nil {
		return s.Name(a)
	}
	return a.String()
}

// around draws a duration around d: 0.6 to 1.4 of it.
func (s *Scene) around(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.6 + 0.8*s.Rand.Float64()))
}

// letters draws n letters.
func (s *Scene) letters(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[s.Rand.IntN(52)]
	}
	return string(b)
}

// meta is the place of an item in the capture.
func (s *Scene) meta() flows.Meta {
	s.frames += 2
	return flows.Meta{Ref: flows.Ref{Frame: s.frames}}
}

// mix spreads a counter over 64 bits (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// conn makes a connection that begins at a time.
func (s *Scene) conn(at packet.Time, from, to packet.Addr, port uint16, proto packet.Proto) flows.Conn {
	s.Conns++
	return flows.Conn{
		ID: mix(s.Conns<<20 + 0x5eed), Start: at, Orig: from, Resp: to, Proto: proto,
		OrigPort: uint16(49152 + mix(s.Conns)%16384), RespPort: port,
	}
}

// linger is how long after its last packet an ended TCP connection is told of, and idle the same for UDP.
const (
	linger = 5 * time.Second
	idle   = time.Minute
	failed = 10 * time.Second // an attempt that nobody answers
)

// Link is a connection in the making with the time of its next packet.
type Link struct {
	At   packet.Time
	s    *Scene
	conn flows.Conn
	user string // as the session shows it
	app  flows.App
	ops  uint64
	up   uint64
	down uint64
	told [2][2]uint64 // packets and payload that the last report told, by direction
}

// Open opens a TCP connection.
func (s *Scene) Open(at packet.Time, from, to packet.Addr, port uint16, app flows.App) *Link {
	return &Link{At: at.Add(s.around(time.Millisecond)), s: s, conn: s.conn(at, from, to, port, packet.ProtoTCP), app: app}
}

// Wait lets time pass.
func (l *Link) Wait(d time.Duration) *Link {
	l.At = l.At.Add(l.s.around(d))
	return l
}

// fact enters something that the connection's parser says now.
func (l *Link) fact(up, down uint64, write func(*flows.Out, flows.Meta, flows.Conn)) {
	l.ops++
	l.up += up
	l.down += down
	meta, conn := l.s.meta(), l.conn
	l.s.Take(l.At, func(o *flows.Out) { write(o, meta, conn) })
	l.Wait(4 * time.Millisecond)
}

// Carry adds payload to the connection's counters.
func (l *Link) Carry(up, down uint64) *Link {
	l.up += up
	l.down += down
	return l
}

// Close ends the connection; its record is known a little later, and one every five minutes before. It returns the time of
// the last packet.
func (l *Link) Close() packet.Time {
	up, down := 4+l.ops+l.up/1400, 4+l.ops+l.down/1400
	all := [2]uint64{l.up, l.down}
	k := 1
	for at := l.conn.Start.Add(reports * time.Minute); at < l.At; at = at.Add(reports * time.Minute) {
		share := at.Sub(l.conn.Start).Seconds() / l.At.Sub(l.conn.Start).Seconds()
		part := func(n uint64) uint64 { return uint64(float64(n) * share) }
		l.report(at, at, flows.S1, "ShADad", uint32(k), [2]uint64{part(up), part(down)}, [2]uint64{part(l.up), part(l.down)})
		k++
	}
	l.report(l.At.Add(linger), l.At, flows.SF, "ShADadFf", uint32(k), [2]uint64{up, down}, all)
	return l.At
}

// report enters a record of the connection, the last one where it ended.
func (l *Link) report(at, last packet.Time, state flows.State, history string, k uint32, packets, payload [2]uint64) {
	r := record(l.conn, last, state, history, l.app, packets, payload)
	r.Final, r.Report = state == flows.SF, k
	for d := range l.told {
		r.Delta[d].Packets -= l.told[d][0]
		r.Delta[d].PayloadBytes -= l.told[d][1]
		r.Delta[d].IPBytes = r.Delta[d].PayloadBytes + 40*r.Delta[d].Packets
		l.told[d] = [2]uint64{packets[d], payload[d]}
	}
	side := shape(packets[0]+packets[1], payload[0], payload[1], l.conn.Start, last)
	meta := l.s.meta()
	l.s.Take(at, func(o *flows.Out) {
		r.LastRef, r.FirstRef = meta.Ref, flows.Ref{Frame: meta.Ref.Frame - 1}
		r.Meta = meta
		if side != nil {
			r.Side = o.PutSide(side)
		}
		o.Record(r)
	})
}

// record makes the final record of a connection.
func record(c flows.Conn, last packet.Time, state flows.State, history string, app flows.App, packets, payload [2]uint64) *flows.Record {
	r := &flows.Record{Conn: c, Last: last, State: state, App: app, Final: true, Report: 1, Side: -1, HistoryLen: uint8(len(history))}
	copy(r.History[:], history)
	flags := [2]uint8{}
	for _, h := range history {
		d := flows.Orig
		if h >= 'a' {
			d, h = flows.Resp, h-'a'+'A'
		}
		switch h {
		case 'S':
			flags[d] |= packet.SYN
		case 'H':
			flags[d] |= packet.SYN | packet.ACK
		case 'F':
			flags[d] |= packet.FIN
		case 'R':
			flags[d] |= packet.RST
		case 'A', 'D':
			flags[d] |= packet.ACK
		}
	}
	for d := range packets {
		r.Total[d] = flows.Counters{Packets: packets[d], PayloadBytes: payload[d], IPBytes: payload[d] + 40*packets[d], Flags: flags[d]}
	}
	if packets[0] > 0 && packets[1] > 0 {
		r.RTT = int64(700 * time.Microsecond)
	}
	r.Delta = r.Total
	return r
}

// shape is the side record of a longer connection: its first sizes and the bytes of the last minutes, all alike.
func shape(packets, up, down uint64, from, last packet.Time) *flows.Side {
	if packets <= 16 {
		return nil
	}
	s := &flows.Side{Num: 32}
	for i := range 32 {
		s.Sizes[i] = int16(min(up/16+60, 1400))
		if i%2 == 1 {
			s.Sizes[i] = -int16(min(down/16+60, 1400))
		}
		s.Gaps[i] = 3000
	}
	const minute = packet.Time(time.Minute)
	s.From = max(from-from%minute, last-last%minute-5*minute)
	n := uint64((last - from + minute) / minute)
	for m := range int((last-s.From)/minute) + 1 {
		s.Minutes[m] = [2]uint64{up / n, down / n}
	}
	s.Bursts, s.BurstBytes = [2]uint32{1, 1}, [2]uint64{up, down}
	return s
}

// reports is how often an open connection is told of, in minutes.
const reports = 5

// Minutes is a TCP connection with its bytes by minutes, told of every five as long ones are.
func (s *Scene) Minutes(at packet.Time, from, to packet.Addr, port uint16, app flows.App, bytes [][2]uint64) packet.Time {
	c := s.conn(at, from, to, port, packet.ProtoTCP)
	first := at - at%packet.Time(time.Minute)
	last := first.Add(time.Duration(len(bytes)) * time.Minute)
	var total, told [2]uint64
	for k := 0; k < len(bytes); k += reports {
		n := min(reports, len(bytes)-k)
		side := &flows.Side{Num: 32, From: first.Add(time.Duration(k) * time.Minute), Bursts: [2]uint32{uint32(k + n), uint32(k + n)}}
		for m, x := range bytes[k : k+n] {
			side.Minutes[m] = x
			total[0], total[1] = total[0]+x[0], total[1]+x[1]
		}
		final, until := k+n == len(bytes), side.From.Add(time.Duration(n)*time.Minute)
		history := "ShADad"
		state := flows.S1
		if final {
			history, state = "ShADadFf", flows.SF
		}
		r := record(c, until-1, state, history, app, [2]uint64{4 + total[0]/1400, 4 + total[1]/1400}, total)
		r.Final, r.Report = final, uint32(k/reports+1)
		for d := range told {
			r.Delta[d].PayloadBytes -= told[d]
			r.Delta[d].IPBytes -= told[d]
		}
		told = total
		meta := s.meta()
		if final {
			until = until.Add(linger)
		}
		s.Take(until, func(o *flows.Out) {
			r.Meta, r.LastRef, r.FirstRef = meta, meta.Ref, flows.Ref{Frame: meta.Ref.Frame - 1}
			r.Side = o.PutSide(side)
			o.Record(r)
		})
	}
	return last
}

// Pass is a host that passes on what it receives, both ways, for so many minutes: a proxy, or an intruder's way through.
func (s *Scene) Pass(at packet.Time, from, via, to packet.Addr, port, onward uint16, minutes int) packet.Time {
	in, out := make([][2]uint64, minutes), make([][2]uint64, minutes)
	for m := range in {
		up, down := uint64(2000+s.Rand.ExpFloat64()*60000), uint64(2000+s.Rand.ExpFloat64()*200000)
		in[m], out[m] = [2]uint64{up, down}, [2]uint64{up + up/64, down + down/64}
	}
	s.Minutes(at.Add(200*time.Millisecond), via, to, onward, flows.AppTLS, out)
	return s.Minutes(at, from, via, port, flows.AppUnknown, in)
}

// Flow is a TCP connection of which only sizes are known, from start to end.
func (s *Scene) Flow(at packet.Time, from, to packet.Addr, port uint16, app flows.App, lasts time.Duration, up, down uint64) packet.Time {
	l := s.Open(at, from, to, port, app)
	l.ops = min(1+uint64(lasts/time.Second), 600)
	l.Carry(up, down).At = at.Add(lasts)
	return l.Close()
}

// Datagrams is a conversation over UDP; nothing comes back where down is 0.
func (s *Scene) Datagrams(at packet.Time, from, to packet.Addr, port uint16, app flows.App, lasts time.Duration, up, down uint64) {
	c := s.conn(at, from, to, port, packet.ProtoUDP)
	state, history, back := flows.SF, "Dd", 1+down/1200
	if down == 0 {
		state, history, back = flows.S0, "D", 0
	}
	s.tell(at.Add(lasts+idle), record(c, at.Add(lasts), state, history, app, [2]uint64{1 + up/1200, back}, [2]uint64{up, down}))
}

func (s *Scene) tell(at packet.Time, r *flows.Record) {
	meta := s.meta()
	s.Take(at, func(o *flows.Out) {
		r.Meta, r.LastRef, r.FirstRef = meta, meta.Ref, flows.Ref{Frame: meta.Ref.Frame - 1}
		o.Record(r)
	})
}

// Ping is echo requests, answered or not.
func (s *Scene) Ping(at packet.Time, from, to packet.Addr, count int, answered bool) {
	c := s.conn(at, from, to, 0, packet.ProtoICMP)
	c.OrigPort = 8
	n := uint64(count)
	state, history, back := flows.SF, "Dd", n
	if !answered {
		state, history, back = flows.S0, "D", 0
	}
	last := at.Add(time.Duration(count-1) * time.Second)
	s.tell(last.Add(idle), record(c, last, state, history, flows.AppUnknown, [2]uint64{n, back}, [2]uint64{32 * n, 32 * back}))
}

// Try is one attempt to open a TCP connection, as a scanner or a hopeful program makes it; it returns whether it was accepted.
func (s *Scene) Try(at packet.Time, from, to packet.Addr, port uint16) bool {
	answer := Refused
	if s.Answer != nil {
		answer = s.Answer(to, port)
	}
	c := s.conn(at, from, to, port, packet.ProtoTCP)
	switch answer {
	case Accepted:
		s.tell(at.Add(20*time.Millisecond), record(c, at.Add(2*time.Millisecond), flows.RSTO, "ShR", flows.AppUnknown, [2]uint64{2, 1}, [2]uint64{}))
	case Refused:
		s.tell(at.Add(time.Millisecond), record(c, at.Add(time.Millisecond), flows.REJ, "Sr", flows.AppUnknown, [2]uint64{1, 1}, [2]uint64{}))
	default:
		s.tell(at.Add(failed), record(c, at.Add(3*time.Second), flows.S0, "S", flows.AppUnknown, [2]uint64{2, 0}, [2]uint64{}))
	}
	return answer == Accepted
}

// Down is a client's attempt at a server that doesn't answer: three SYN segments.
func (s *Scene) Down(at packet.Time, from, to packet.Addr, port uint16) {
	c := s.conn(at, from, to, port, packet.ProtoTCP)
	s.tell(at.Add(failed), record(c, at.Add(7*time.Second), flows.S0, "S", flows.AppUnknown, [2]uint64{3, 0}, [2]uint64{}))
}

// Scan tries ports of hosts one after the other, every so often; it returns when it ends.
func (s *Scene) Scan(at packet.Time, from packet.Addr, to []packet.Addr, ports []uint16, every time.Duration) packet.Time {
	for _, a := range to {
		for _, p := range ports {
			s.Try(at, from, a, p)
			at = at.Add(s.around(every))
		}
	}
	return at
}

// ARPScan asks for every address of a list; those that live answer.
func (s *Scene) ARPScan(at packet.Time, from packet.Addr, mac packet.MAC, to []packet.Addr, every time.Duration, lives func(packet.Addr) (packet.MAC, bool)) packet.Time {
	for _, a := range to {
		s.Resolve(at, from, mac, a, lives)
		at = at.Add(s.around(every))
	}
	return at
}

// Resolve is an ARP request and, where the address lives, its answer.
func (s *Scene) Resolve(at packet.Time, from packet.Addr, mac packet.MAC, to packet.Addr, lives func(packet.Addr) (packet.MAC, bool)) {
	ask := flows.ARP{Meta: s.meta(), Sender: from, Target: to, SenderMAC: mac, From: mac, To: packet.MAC{255, 255, 255, 255, 255, 255}, Count: 1}
	s.Take(at, func(o *flows.Out) { o.ARP(&ask) })
	if other, ok := lives(to); ok {
		answer := flows.ARP{Meta: s.meta(), Sender: to, Target: from, SenderMAC: other, TargetMAC: mac, From: other, To: mac, Count: 1, Reply: true}
		s.Take(at.Add(time.Millisecond), func(o *flows.Out) { o.ARP(&answer) })
	}
}

// ARPSpoof tells a victim, again and again, that another host's address is at mac.
func (s *Scene) ARPSpoof(at packet.Time, mac packet.MAC, pretends, victim packet.Addr, victimMAC packet.MAC, times int) packet.Time {
	for range times {
		a := flows.ARP{Meta: s.meta(), Sender: pretends, Target: victim, SenderMAC: mac, TargetMAC: victimMAC, From: mac, To: victimMAC, Count: 1, Reply: true}
		s.Take(at, func(o *flows.Out) { o.ARP(&a) })
		at = at.Add(2 * time.Second)
	}
	return at
}

// Lease is a DHCP exchange: a client asks for an address and is given it.
func (s *Scene) Lease(at packet.Time, mac packet.MAC, gets, server, router, resolver packet.Addr, host string, renew bool) {
	l := lease{s: s, mac: mac, gets: gets, server: server, router: router, resolver: resolver, host: host, renew: renew, xid: s.Rand.Uint32()}
	if !renew {
		l.say(at, flows.DHCPDiscover)
		l.say(at.Add(2*time.Millisecond), flows.DHCPOffer)
	}
	l.say(at.Add(4*time.Millisecond), flows.DHCPRequest)
	l.say(at.Add(6*time.Millisecond), flows.DHCPAck)
}

// Offer is a server's answer to a client that asked everyone: of a second server of the site, or of one that has no business there.
func (s *Scene) Offer(at packet.Time, mac packet.MAC, gets, server, router, resolver packet.Addr) {
	l := lease{s: s, mac: mac, gets: gets, server: server, router: router, resolver: resolver, xid: s.Rand.Uint32()}
	l.say(at, flows.DHCPOffer)
}

// lease is a DHCP exchange in the making.
type lease struct {
	s                              *Scene
	mac                            packet.MAC
	gets, server, router, resolver packet.Addr
	host                           string
	renew                          bool
	xid                            uint32
}

func (l *lease) say(at packet.Time, kind flows.DHCPKind) {
	d := flows.DHCP{Meta: l.s.meta(), Kind: kind, Xid: l.xid, Hardware: l.mac, From: l.mac}
	d.Conn = l.s.conn(at, packet.AddrFrom4([]byte{0, 0, 0, 0}), packet.AddrFrom4([]byte{255, 255, 255, 255}), 67, packet.ProtoUDP)
	d.OrigPort = 68
	if l.renew {
		d.Conn.Orig, d.Conn.Resp, d.Client = l.gets, l.server, l.gets
	}
	if kind == flows.DHCPOffer || kind == flows.DHCPAck {
		d.Yours, d.Server, d.Router, d.Resolver, d.Lease = l.gets, l.server, l.router, l.resolver, 8*3600
		if !l.renew && l.router != l.server && (l.gets[13] != l.server[13] || l.gets[14] != l.server[14]) { // the router of another network relays
			d.Relay = l.router
		}
		d.From = packet.MAC{2, 0, l.server[12], l.server[13], l.server[14], l.server[15]}
		l.s.Take(at, func(o *flows.Out) { o.DHCP(&d) })
		return
	}
	if kind == flows.DHCPRequest && !l.renew {
		d.Requested, d.Server = l.gets, l.server
	}
	host := l.host
	l.s.Take(at, func(o *flows.Out) {
		d.HostName, d.Vendor = o.PutString(host), o.PutString("MSFT 5.0")
		o.DHCP(&d)
	})
}

// Ask is a DNS question with its answer; no answer data means NXDOMAIN.
func (s *Scene) Ask(at packet.Time, from, server packet.Addr, name string, kind uint16, answers ...string) {
	s.ask(at, from, server, 53, flows.AppDNS, name, kind, answers)
}

func (s *Scene) ask(at packet.Time, from, server packet.Addr, port uint16, app flows.App, name string, kind uint16, answers []string) {
	c := s.conn(at, from, server, port, packet.ProtoUDP)
	meta := s.meta()
	answered := at.Add(s.around(8 * time.Millisecond))
	s.Take(answered, func(o *flows.Out) {
		d := flows.DNS{
			Meta: meta, Conn: c, QueryAt: at, AnswerAt: answered, QueryRef: flows.Ref{Frame: meta.Ref.Frame - 1}, AnswerRef: meta.Ref,
			Name: o.Put(Wire(name)), Type: kind, Class: 1, Flags: 0x8180, QueryBytes: uint16(len(name) + 18), ID: uint16(c.ID), App: app,
		}
		if len(answers) == 0 {
			d.Rcode = 3
		}
		b := o.Batch
		d.Answers = flows.Span{Off: uint32(len(b.Answers)), Len: uint32(len(answers))}
		size := len(name) + 18
		for _, a := range answers {
			rr := flows.Answer{Name: d.Name, Data: o.PutString(a), TTL: 300, Type: kind, Len: uint16(len(a))}
			if kind == 1 {
				rr.Len = 4
			}
			size += int(rr.Len) + 12
			b.Answers = append(b.Answers, rr)
		}
		d.AnswerBytes = uint16(size)
		o.DNS(&d)
	})
}

// Poison answers a question that went to the whole link (LLMNR) with one's own address: two conversations, of which the
// answer's begins with the liar.
func (s *Scene) Poison(at packet.Time, victim, liar packet.Addr, name string) {
	s.Link(at, victim, liar, name)
}

// Link asks the whole link for a name (LLMNR), which its holder answers with its own address.
func (s *Scene) Link(at packet.Time, from, holder packet.Addr, name string) {
	asked := s.conn(at, from, packet.AddrFrom4([]byte{224, 0, 0, 252}), 5355, packet.ProtoUDP)
	question := flows.DNS{
		Meta: s.meta(), Conn: asked, QueryAt: at, Type: 1, Class: 1, QueryBytes: uint16(len(name) + 18), ID: uint16(asked.ID), App: flows.AppLLMNR,
	}
	question.QueryRef = question.Ref
	s.Take(at, func(o *flows.Out) {
		question.Name = o.Put(Wire(name))
		o.DNS(&question)
	})
	answered := at.Add(s.around(2 * time.Millisecond))
	told := s.conn(answered, holder, from, asked.OrigPort, packet.ProtoUDP)
	told.OrigPort = 5355
	answer := flows.DNS{
		Meta: s.meta(), Conn: told, AnswerAt: answered, Type: 1, Class: 1, Flags: 0x8000, AnswerBytes: uint16(2*len(name) + 34), ID: question.ID,
		App: flows.AppLLMNR, Turned: true,
	}
	answer.AnswerRef = answer.Ref
	s.Take(answered, func(o *flows.Out) {
		answer.Name = o.Put(Wire(name))
		answer.Answers = flows.Span{Off: uint32(len(o.Batch.Answers)), Len: 1}
		o.Batch.Answers = append(o.Batch.Answers, flows.Answer{Name: answer.Name, Data: o.PutString(holder.String()), TTL: 30, Type: 1, Len: 4})
		o.DNS(&answer)
	})
}

// Wire turns a dotted name into labels.
func Wire(name string) []byte {
	out := make([]byte, 0, len(name)+2)
	for name != "" {
		label, rest, _ := strings.Cut(name, ".")
		out = append(append(out, byte(len(label))), label...)
		name = rest
	}
	return append(out, 0)
}

// Tunnel carries bytes out in the names of a domain, 70 a question, every so often.
func (s *Scene) Tunnel(at packet.Time, from, server packet.Addr, domain string, bytes int, every time.Duration) packet.Time {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	for bytes > 0 {
		label := func(n int) string {
			b := make([]byte, n)
			for i := range b {
				b[i] = letters[s.Rand.IntN(len(letters))]
			}
			return string(b)
		}
		s.Ask(at, from, server, label(60)+"."+label(52)+"."+domain, 16, label(40))
		at = at.Add(s.around(every))
		bytes -= 70
	}
	return at
}

// TLS opens a TLS connection and carries bytes.
func (s *Scene) TLS(at packet.Time, from, to packet.Addr, port uint16, name, ja4 string, lasts time.Duration, up, down uint64) packet.Time {
	l := s.Open(at, from, to, port, flows.AppTLS)
	l.fact(500, 3000, func(o *flows.Out, m flows.Meta, c flows.Conn) {
		o.TLS(&flows.TLS{Meta: m, Conn: c, ServerName: o.PutString(name), ALPN: o.PutString("h2"), JA4: o.PutString(ja4), Version: 0x0304})
	})
	l.ops = min(1+uint64(lasts/time.Second), 600)
	l.Carry(up, down).At = at.Add(lasts)
	return l.Close()
}

// HTTP makes requests over one connection, every so often.
func (s *Scene) HTTP(at packet.Time, from, to packet.Addr, port uint16, method, host, target, agent string, requests int, every time.Duration, up, down uint64) packet.Time {
	l := s.Open(at, from, to, port, flows.AppHTTP)
	for range requests {
		l.fact(300+up, 200+down, func(o *flows.Out, m flows.Meta, c flows.Conn) {
			o.HTTP(&flows.HTTP{
				Meta: m, Conn: c, RequestRef: m.Ref, Method: o.PutString(method), Target: o.PutString(target), Host: o.PutString(host),
				Agent: o.PutString(agent), Length: up, Status: 200,
			})
		})
		l.Wait(every)
	}
	return l.Close()
}

// Statement is a batch sent to a database.
func (s *Scene) Statement(at packet.Time, from, to packet.Addr, user, program string, statements ...string) packet.Time {
	l := s.Open(at, from, to, 1433, flows.AppTDS)
	client := s.name(from)
	for _, text := range statements {
		l.fact(uint64(2*len(text)), 800, func(o *flows.Out, m flows.Meta, c flows.Conn) {
			o.SQL(&flows.SQL{
				Meta: m, Conn: c, Statement: o.PutString(text), User: o.PutString(user), Client: o.PutString(client), Program: o.PutString(program),
				Length: uint32(2 * len(text)), Outcome: flows.Succeeded,
			})
		})
		l.Wait(50 * time.Millisecond)
	}
	return l.Close()
}

// unc is the path of a share.
func (s *Scene) unc(to packet.Addr, share string) string {
	return fmt.Sprintf(`\\%s\%s`, s.name(to), share)
}

// Announce is a host that tells its neighbours its address (RFC 5227, 3).
func (s *Scene) Announce(at packet.Time, a packet.Addr, mac packet.MAC) {
	everyone := packet.MAC{255, 255, 255, 255, 255, 255}
	say := flows.ARP{Meta: s.meta(), Sender: a, Target: a, SenderMAC: mac, From: mac, To: everyone, Count: 1}
	s.Take(at, func(o *flows.Out) { o.ARP(&say) })
}
