package table

import (
	"neuromast/flows"
	"neuromast/flows/stream"
	"neuromast/sensor/packet"
)

// identifyTries is how many payloads of each direction are looked at before the application stays unknown.
const identifyTries = 4

// connection is what a TCP flow with a parser has besides.
type connection struct {
	name   flows.Conn
	parser stream.Parser
	app    flows.App
	dirs   [2]stream.Reassembler
	// While parser is nil: first bytes too short to tell the application.
	early    []byte
	earlySeq uint32
	earlyDir flows.Dir
}

// payload hands a segment's payload on: to recognise the application at first, then in order to its parser.
func (s *Shard) payload(f *flow, d flows.Dir, p *packet.Packet, seq uint32) {
	if s.protos == nil || len(p.Payload) == 0 || f.conn == 0 && (f.app != flows.AppUnknown || f.tries[d] >= identifyTries) {
		return
	}
	if s.sheds(f, d) {
		s.out.Batch.Lost[flows.LostShed] += uint64(len(p.Payload))
		if f.conn != 0 {
			s.release(f)
		}
		return
	}
	ref := flows.Ref{Input: p.Input, Frame: p.Number}
	more := true
	if f.conn == 0 || s.conns[f.conn].parser == nil {
		parser := s.identify(f, d, p.Payload, seq)
		if parser == nil {
			return
		}
		if f.conn == 0 {
			s.connect(f)
		}
		cn := &s.conns[f.conn]
		cn.parser, cn.app = parser, f.app
		if n := len(cn.early); n > 0 { // the first bytes came in a segment of their own
			data, gap := s.reader(cn, d, ref, &more)
			cn.dirs[d].Add(seq-uint32(n), cn.early, 0, data, gap)
		} else {
			cn.dirs[d].Start(seq)
		}
	}
	cn := &s.conns[f.conn]
	data, gap := s.reader(cn, d, ref, &more)
	cn.dirs[d].Add(seq, p.Payload, int(p.PayloadLen)-len(p.Payload), data, gap)
	if !more {
		s.release(f)
	}
}

// earlyBytes is the length below which first bytes are kept until the next segment: some servers send the two bytes of
// a length alone (DNS over TCP).
const earlyBytes = 16

// identify looks at first bytes and returns the parser of their application, nil while there is none.
func (s *Shard) identify(f *flow, d flows.Dir, b []byte, seq uint32) stream.Parser {
	c := s.conn(f)
	if f.conn != 0 { // short first bytes wait: look at them with what follows
		cn := &s.conns[f.conn]
		if d != cn.earlyDir {
			return nil
		}
		if seq == cn.earlySeq+uint32(len(cn.early)) {
			n := len(cn.early)
			joined := append(cn.early, b[:min(len(b), 512)]...)
			cn.early = joined[:n]
			b = joined
		} else {
			s.release(f)
		}
	}
	f.tries[d]++
	if f.app = s.protos.Identify(&c, d, b); f.app == flows.AppUnknown {
		switch {
		case f.conn != 0:
			s.release(f)
		case f.tries[d] == 1 && len(b) < earlyBytes:
			s.connect(f)
			cn := &s.conns[f.conn]
			cn.early, cn.earlyDir, cn.earlySeq = append(cn.early[:0], b...), d, seq
		}
		return nil
	}
	parser := s.protos.Get(f.app, f.events&(origSYN|respSYNACK) == 0)
	if parser == nil && f.conn != 0 {
		s.release(f)
	}
	return parser
}

// reader returns the two ends that a reassembler of direction d gives to.
func (s *Shard) reader(cn *connection, d flows.Dir, ref flows.Ref, more *bool) (func([]byte) bool, func(int)) {
	return func(b []byte) bool {
			if *more {
				*more = cn.parser.Data(&s.out, &cn.name, d, b, ref)
			}
			return *more
		}, func(n int) {
			s.out.Batch.Lost[flows.LostStreamBytes] += uint64(n)
			if *more {
				cn.parser.Gap(&s.out, &cn.name, d, n)
			}
		}
}

// acknowledged tells the other direction's reassembler what was received.
func (s *Shard) acknowledged(f *flow, d flows.Dir, p *packet.Packet) {
	if f.conn == 0 || s.conns[f.conn].parser == nil || !s.conns[f.conn].dirs[d.Other()].Waiting() {
		return
	}
	cn, more := &s.conns[f.conn], true
	data, gap := s.reader(cn, d.Other(), flows.Ref{Input: p.Input, Frame: p.Number}, &more)
	cn.dirs[d.Other()].Acked(p.Ack, data, gap)
	if !more {
		s.release(f)
	}
}

func (s *Shard) connect(f *flow) {
	if len(s.idle) > 0 {
		f.conn = s.idle[len(s.idle)-1]
		s.idle = s.idle[:len(s.idle)-1]
	} else {
		f.conn = uint32(len(s.conns))
		s.conns = append(s.conns, connection{})
	}
	s.conns[f.conn].name = s.conn(f)
}

// release gives a flow's parser back.
func (s *Shard) release(f *flow) {
	cn := &s.conns[f.conn]
	for d := range cn.dirs {
		s.out.Batch.Lost[flows.LostStreamBuffer] += cn.dirs[d].Lost
		cn.dirs[d].Reset()
	}
	if cn.parser != nil {
		s.protos.Put(cn.app, cn.parser)
	}
	cn.parser, cn.early = nil, cn.early[:0]
	s.idle = append(s.idle, f.conn)
	f.conn = 0
}

// flush lets a parser write what waits, and at the end all that is left behind holes.
func (s *Shard) flush(f *flow, at packet.Time, end bool) {
	if f.conn == 0 {
		return
	}
	if s.conns[f.conn].parser == nil {
		if end {
			s.release(f)
		}
		return
	}
	keep := s.out.Now
	s.out.Now = at
	cn := &s.conns[f.conn]
	if end {
		more := true
		for d := range cn.dirs {
			data, gap := s.reader(cn, flows.Dir(d), flows.Ref{Input: f.lastInput, Frame: f.lastFrame}, &more)
			cn.dirs[d].End(data, gap)
		}
	}
	cn.parser.Flush(&s.out, &cn.name, end)
	if end {
		s.release(f)
	}
	s.out.Now = keep
}

// datagram hands a UDP payload to its application's reader.
func (s *Shard) datagram(f *flow, d flows.Dir, p *packet.Packet) {
	if s.protos == nil || len(p.Payload) == 0 {
		return
	}
	if s.shed >= ShedParsers {
		s.out.Batch.Lost[flows.LostShed] += uint64(len(p.Payload))
		return
	}
	known := f.app != flows.AppUnknown
	if !known && f.tries[d] >= identifyTries {
		return
	}
	c := s.conn(f)
	if !known {
		f.tries[d]++
		if f.app = s.protos.Identify(&c, d, p.Payload); f.app == flows.AppUnknown {
			return
		}
	}
	if r := s.protos.Datagrams(f.app); r != nil {
		s.out.From = p.SrcMAC
		r.Datagram(&s.out, &c, d, p.Payload, int(p.PayloadLen), flows.Ref{Input: p.Input, Frame: p.Number})
	}
}

// quoter reads what ICMP errors quote: the packet that was sent, and no deeper.
var quoter packet.Decoder

// QuotedBy returns the key of the conversation that an ICMP error says can't be delivered (RFC 792 type 3, RFC 4443 type
// 1), and false for every other packet. Its shard is told by Unreachable.
func QuotedBy(p *packet.Packet) (k Keyed, ok bool) {
	if p.Proto == packet.ProtoICMP && p.ICMPType == 3 || p.Proto == packet.ProtoICMPv6 && p.ICMPType == 1 {
		var q packet.Packet
		quoter.Decode(&q, &packet.Frame{Data: p.Payload, WireLen: uint32(len(p.Payload)), Link: packet.LinkRaw})
		q.Segment = p.Segment
		ok = KeyOf(&q, &k)
	}
	return k, ok
}

// Unreachable marks a flow that an ICMP error quoted.
func (s *Shard) Unreachable(k *Keyed) {
	if n, _ := s.find(&k.Key, s.tag(&k.Key)); n != 0 {
		s.at(n).unreachable = true
	}
}

// icmpPorts gives an ICMP message the ports that community-id v1 gives it: type and counterpart's type, with the echo's
// identifier apart, so that both directions of an exchange have one key; one-way messages have type and code.
func icmpPorts(p *packet.Packet) (src, dst uint16) {
	if c, ok := packet.ICMPAnswer(p.Proto, p.ICMPType); ok {
		return uint16(p.ICMPType), uint16(c)
	}
	return uint16(p.ICMPType), uint16(p.ICMPCode)
}
