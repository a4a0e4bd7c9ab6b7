// Package script lends the tests of Windows detectors the words to write RPC calls, SMB operations, logons and flows,
// and plays them through the engine. Only tests import it.
package script

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
	"unicode/utf16"

	"neuromast/detectors"
	"neuromast/detectors/engine"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Start is the packet time of offset 0: a full hour, so that windows are easy to see.
const Start = packet.Time(1_699_999_200_000_000_000)

// Script is a list of items in the making.
type Script struct {
	items []item
}

type item struct {
	at    packet.Time
	write func(*flows.Out)
}

// Addr reads an address; a wrong one panics, since tests write them.
func Addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

// Conn is a TCP connection; its id depends on who and where only.
func Conn(from, to string, port uint16) flows.Conn {
	a, z := Addr(from), Addr(to)
	return flows.Conn{
		ID: uint64(a[15])<<32 | uint64(z[15])<<16 | uint64(port), Orig: a, Resp: z, OrigPort: 50000, RespPort: port, Proto: packet.ProtoTCP,
	}
}

func (s *Script) add(at time.Duration, write func(*flows.Out)) {
	s.items = append(s.items, item{Start.Add(at), write})
}

// Call is a DCE/RPC call and what may be said of it; a zero Outcome becomes Succeeded unless Unanswered is set.
type Call struct {
	flows.RPC
	Stub, Pipe, User, Binding string
	Unanswered                bool
}

// RPC adds a call.
func (s *Script) RPC(at time.Duration, from, to string, iface flows.UUID, opnum uint16, with Call) {
	s.add(at, func(o *flows.Out) {
		r := with.RPC
		r.Conn = Conn(from, to, 49670)
		r.Interface, r.Opnum = iface, opnum
		if r.Outcome == flows.Unseen && !with.Unanswered {
			r.Outcome = flows.Succeeded
		}
		r.Stub, r.Pipe, r.User, r.Binding = o.PutString(with.Stub), o.PutString(with.Pipe), o.PutString(with.User), o.PutString(with.Binding)
		if r.StubLen == 0 {
			r.StubLen = uint32(len(with.Stub))
		}
		r.RequestAt = o.Now
		r.Ref.Frame, r.RequestRef.Frame = 2, 1
		o.RPC(&r)
	})
}

// File is an SMB operation.
type File struct {
	flows.SMB
	Share, Path, NewPath, Head, User string
}

// SMB adds an operation that the server granted, unless Status says otherwise.
func (s *Script) SMB(at time.Duration, from, to string, op flows.SMBOp, with File) {
	s.add(at, func(o *flows.Out) {
		m := with.SMB
		m.Conn = Conn(from, to, 445)
		m.Op, m.Answered = op, true
		m.Share, m.Path, m.NewPath, m.User = o.PutString(with.Share), o.PutString(with.Path), o.PutString(with.NewPath), o.PutString(with.User)
		m.HeadLen = uint8(copy(m.Head[:], with.Head))
		m.Ref.Frame = 3
		o.SMB(&m)
	})
}

// NTLM adds a logon.
func (s *Script) NTLM(at time.Duration, from, to, user string) {
	s.add(at, func(o *flows.Out) {
		a := flows.Auth{Conn: Conn(from, to, 445), User: o.PutString(user), Method: flows.AuthNTLM, Over: flows.AppSMB, Outcome: flows.Succeeded}
		a.Start, a.Anonymous, a.Ref.Frame = o.Now, user == "", 4
		o.Auth(&a)
	})
}

// Flow adds the record of a connection that began at start and is told at at.
func (s *Script) Flow(at, start time.Duration, from, to string, port uint16, app flows.App) {
	s.add(at, func(o *flows.Out) {
		r := flows.Record{Conn: Conn(from, to, port), App: app, Report: 1, Final: true, Side: -1, State: flows.SF}
		r.Start, r.Last = Start.Add(start), o.Now
		r.Total = [2]flows.Counters{{Packets: 4, PayloadBytes: 100}, {Packets: 4, PayloadBytes: 100}}
		r.FirstRef.Frame, r.Ref.Frame = 5, 6
		o.Record(&r)
	})
}

// Play runs the items through the engine and returns the last record of each finding, in the order in which they opened.
func (s *Script) Play(dets ...detectors.Detector) []*detectors.Finding {
	slices.SortStableFunc(s.items, func(a, b item) int { return int(a.at - b.at) })
	var order []*detectors.Finding
	index := map[string]int{}
	e := engine.New(dets, engine.Config{
		Internal: func(a packet.Addr) bool { return a.Netip().IsPrivate() },
		Publish: func(f *detectors.Finding) {
			if i, ok := index[f.ID()]; ok {
				order[i] = f
				return
			}
			index[f.ID()] = len(order)
			order = append(order, f)
		},
	})
	var out flows.Out
	for _, it := range s.items { // one item a batch: texts must not outlive it
		b := &flows.Batch{Watermark: it.at}
		out.Batch, out.Now = b, it.at
		it.write(&out)
		var m flows.Merged
		m.Merge([]*flows.Batch{b})
		e.Feed(&m)
		for i := range b.Arena {
			b.Arena[i] = '#' // a text kept without copying shows
		}
	}
	e.Finish()
	return order
}

// Stub builds a request's stub in little-endian NDR.
type Stub []byte

// Bytes appends raw bytes.
func (s Stub) Bytes(b ...byte) Stub { return append(s, b...) }

// Handle appends a context handle.
func (s Stub) Handle() Stub { return append(s, make([]byte, 20)...) }

// Align pads to a multiple of four.
func (s Stub) Align() Stub {
	for len(s)%4 != 0 {
		s = append(s, 0)
	}
	return s
}

// U32 appends aligned numbers.
func (s Stub) U32(list ...uint32) Stub {
	s = s.Align()
	for _, n := range list {
		s = binary.LittleEndian.AppendUint32(s, n)
	}
	return s
}

// Wide appends a conformant varying string of UTF-16 with its NUL.
func (s Stub) Wide(text string) Stub {
	units := append(utf16.Encode([]rune(text)), 0)
	s = s.U32(uint32(len(units)), 0, uint32(len(units)))
	for _, u := range units {
		s = binary.LittleEndian.AppendUint16(s, u)
	}
	return s
}

// ANSI appends one of bytes with its NUL.
func (s Stub) ANSI(text string) Stub {
	n := uint32(len(text) + 1)
	return append(append(s.U32(n, 0, n), text...), 0)
}
