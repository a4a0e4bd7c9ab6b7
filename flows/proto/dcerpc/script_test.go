package dcerpc

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// step is bytes that one side sends in one segment, or a hole of that length.
type step struct {
	dir flows.Dir
	b   []byte
	gap bool
}

func client(b ...[]byte) step { return step{dir: flows.Orig, b: join(b...)} }
func server(b ...[]byte) step { return step{dir: flows.Resp, b: join(b...)} }

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

var testConn = flows.Conn{
	ID: 7, Orig: packet.AddrFrom4([]byte{10, 0, 0, 1}), Resp: packet.AddrFrom4([]byte{10, 0, 0, 2}), OrigPort: 40000, RespPort: 135,
}

// cutter says how many of n bytes come next.
type cutter func(n int) int

func whole(n int) int { return n }
func single(int) int  { return 1 }
func random(seed uint64) cutter {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(n int) int { return 1 + r.IntN(n) }
}

// play feeds a script and returns the facts as text.
func play(p *Parser, script []step, cut cutter) []string {
	out := &flows.Out{Batch: &flows.Batch{}}
	c := testConn
	for i, s := range script {
		out.Now = packet.Time(1000 * (i + 1))
		ref := flows.Ref{Frame: uint64(i + 1)}
		if s.gap {
			p.Gap(out, &c, s.dir, len(s.b))
			continue
		}
		for b := s.b; len(b) > 0; {
			n := cut(len(b))
			if !p.Data(out, &c, s.dir, b[:n:n], ref) {
				return append(facts(out.Batch), "given up")
			}
			b = b[n:]
		}
	}
	p.Flush(out, &c, true)
	return facts(out.Batch)
}

func facts(b *flows.Batch) []string {
	var all []string
	for _, it := range b.Order {
		switch it.Kind {
		case flows.KindRPC:
			r := &b.RPC[it.Index]
			what := fmt.Sprintf("call %d op %d", r.CallID, r.Opnum)
			if r.Bind {
				what = "bind"
			}
			var w strings.Builder
			fmt.Fprintf(&w, "%s %s/%d %s", what, r.Interface.String()[:8], r.Version, [...]string{"unseen", "ok", "failed"}[r.Outcome])
			if r.Orig != testConn.Orig {
				w.WriteString(" turned")
			}
			if r.StubLen > 0 {
				fmt.Fprintf(&w, " stub %d/%d", r.Stub.Len, r.StubLen)
			}
			if r.ReplyLen > 0 {
				fmt.Fprintf(&w, " reply %d/%d", r.Reply.Len, r.ReplyLen)
			}
			if r.HasReturn {
				fmt.Fprintf(&w, " return %x", r.Return)
			}
			if r.Fault != 0 {
				fmt.Fprintf(&w, " fault %x", r.Fault)
			}
			if r.AuthType != 0 {
				fmt.Fprintf(&w, " auth %d/%d", r.AuthType, r.AuthLevel)
			}
			if r.Encrypted {
				w.WriteString(" sealed")
			}
			if r.User.Len > 0 {
				fmt.Fprintf(&w, " by %s", b.Bytes(r.User))
			}
			if r.Binding.Len > 0 {
				fmt.Fprintf(&w, " at %s", b.Bytes(r.Binding))
			}
			if r.Source != flows.FromBind {
				fmt.Fprintf(&w, " source %d", r.Source)
			}
			if r.Midstream {
				w.WriteString(" midstream")
			}
			fmt.Fprintf(&w, " @%d-%d", r.RequestRef.Frame, r.Ref.Frame)
			all = append(all, w.String())
		case flows.KindAuth:
			a := &b.Auth[it.Index]
			all = append(all, fmt.Sprintf("auth %s\\%s from %s at %s %d v1=%v challenge %x status %x @%d", b.Bytes(a.Domain), b.Bytes(a.User),
				b.Bytes(a.Workstation), b.Bytes(a.Server), a.Outcome, a.NTLMv1, a.Challenge, a.Status, a.Ref.Frame))
		}
	}
	return all
}

// wire builds PDUs in one byte order.
type wire struct{ o binary.AppendByteOrder }

var (
	little = wire{binary.LittleEndian}
	big    = wire{binary.BigEndian}
)

func (w wire) u16(v ...uint16) []byte {
	var b []byte
	for _, x := range v {
		b = w.o.AppendUint16(b, x)
	}
	return b
}

func (w wire) u32(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = w.o.AppendUint32(b, x)
	}
	return b
}

// pdu frames a body; trailer holds the 8 bytes of sec_trailer and the token, or nothing.
func (w wire) pdu(kind, flags byte, call uint32, body, trailer []byte) []byte {
	drep := byte(0x10)
	if w == big {
		drep = 0
	}
	auth := 0
	if len(trailer) > 0 {
		auth = len(trailer) - 8
	}
	return join([]byte{5, 0, kind, flags, drep, 0, 0, 0}, w.u16(uint16(16+len(body)+len(trailer)), uint16(auth)), w.u32(call), body, trailer)
}

func (w wire) uuid(text string) []byte {
	u, err := flows.ParseUUID(text)
	if err != nil {
		panic(err)
	}
	if w == big {
		return u[:]
	}
	return join([]byte{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6]}, u[8:])
}

const (
	ndr32Text    = "8a885d04-1ceb-11c9-9fe8-08002b104860"
	ndr64Text    = "71710533-beba-4937-8319-b5dbef9ccc36"
	featureText  = "6cb71c2c-9812-4540-0300-000000000000"
	svcctlText   = "367abb81-9844-35f1-ad32-98f038001003"
	netlogonText = "12345678-1234-abcd-ef00-01234567cffb"
	mapperText   = "e1af8308-5d1f-11c9-91a4-08002b14a0fa"
)

// proposal is a context of a bind: interface, version and one transfer syntax.
type proposal struct {
	id       uint16
	iface    string
	version  uint16
	transfer string
}

func (w wire) bind(kind byte, call uint32, trailer []byte, ps ...proposal) []byte {
	body := join(w.u16(4280, 4280), w.u32(0), []byte{byte(len(ps)), 0, 0, 0})
	for _, p := range ps {
		body = join(body, w.u16(p.id), []byte{1, 0}, w.uuid(p.iface), w.u16(p.version, 0), w.uuid(p.transfer), w.u16(2, 0))
	}
	return w.pdu(kind, 3, call, body, trailer)
}

func (w wire) ack(kind byte, call uint32, trailer []byte, transfer string, results ...uint16) []byte {
	body := join(w.u16(4280, 4280), w.u32(77), w.u16(4), []byte("135\x00"))
	for (16+len(body))%4 != 0 {
		body = append(body, 0)
	}
	body = append(body, byte(len(results)), 0, 0, 0)
	for _, r := range results {
		if r == 0 {
			body = join(body, w.u16(0, 0), w.uuid(transfer), w.u16(2, 0))
		} else {
			body = join(body, w.u16(r, 2), make([]byte, 20))
		}
	}
	return w.pdu(kind, 3, call, body, trailer)
}

func (w wire) request(call uint32, ctx, op uint16, stub, trailer []byte) []byte {
	return w.pdu(0, 3, call, join(w.u32(uint32(len(stub))), w.u16(ctx, op), stub), trailer)
}

func (w wire) response(call uint32, stub, trailer []byte) []byte {
	return w.pdu(2, 3, call, join(w.u32(uint32(len(stub))), w.u16(0, 0), stub), trailer)
}

func (w wire) fault(call, status uint32) []byte {
	return w.pdu(3, 3, call, join(w.u32(32), w.u16(0), []byte{0, 0}, w.u32(status, 0)), nil)
}

// sealed pads a stub to 16 bytes and returns the trailer that says so.
func sealed(stub []byte, kind, level byte) (padded, trailer []byte) {
	pad := (16 - len(stub)%16) % 16
	return join(stub, make([]byte, pad)), join([]byte{kind, level, byte(pad), 0, 0, 0, 0, 0}, make([]byte, 16))
}

func token(kind, level byte, t []byte) []byte { return join([]byte{kind, level, 0, 0, 0, 0, 0, 0}, t) }

// tower is a protocol tower over a transport (7 TCP, 8 UDP).
func tower(iface string, transport byte, port uint16) []byte {
	floor := func(l, r []byte) []byte { return join(little.u16(uint16(len(l))), l, little.u16(uint16(len(r))), r) }
	return join(little.u16(5),
		floor(join([]byte{0x0d}, little.uuid(iface), little.u16(1)), little.u16(0)),
		floor(join([]byte{0x0d}, little.uuid(ndr32Text), little.u16(2)), little.u16(0)),
		floor([]byte{0x0b}, little.u16(0)), floor([]byte{transport}, []byte{byte(port >> 8), byte(port)}), floor([]byte{9}, []byte{10, 0, 0, 2}))
}

// mapReply is an ept_map answer's stub with 4-byte or, wide, 8-byte counts.
func (w wire) mapReply(wide bool, towers ...[]byte) []byte {
	align := 4
	if wide {
		align = 8
	}
	var b []byte
	pad := func() {
		for len(b)%align != 0 {
			b = append(b, 0)
		}
	}
	count := func(v int) {
		pad()
		if wide {
			b = w.o.AppendUint64(b, uint64(v))
		} else {
			b = w.o.AppendUint32(b, uint32(v))
		}
	}
	b = append(make([]byte, 20), w.u32(uint32(len(towers)))...)
	count(4)
	count(0)
	count(len(towers))
	for i := range towers {
		count(3 + i)
	}
	for _, t := range towers {
		count(len(t))
		b = append(b, w.u32(uint32(len(t)))...)
		b = append(b, t...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	return append(b, w.u32(0)...)
}

// NTLM messages with no more than the tests look at.
func ntlmChallenge() []byte {
	b := join([]byte("NTLMSSP\x00"), little.u32(2), make([]byte, 8), little.u32(0x00800001), []byte("CHALLENG"), make([]byte, 8))
	info := join(little.u16(1, 6), []byte("D\x00C\x001\x00"), little.u32(0))
	return join(b, little.u16(uint16(len(info)), uint16(len(info))), little.u32(48), info)
}

func ntlmAuthenticate() []byte {
	b := join([]byte("NTLMSSP\x00"), little.u32(3))
	off := uint32(64)
	var payload []byte
	for _, f := range []string{"", strings.Repeat("n", 40), "C\x00O\x00", "b\x00o\x00b\x00", "W\x00S\x00", ""} {
		b = join(b, little.u16(uint16(len(f)), uint16(len(f))), little.u32(off+uint32(len(payload))))
		payload = append(payload, f...)
	}
	return join(b, little.u32(1), payload)
}
