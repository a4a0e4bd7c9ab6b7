package smb

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf16"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// step is bytes that one side sends, or a hole of that length.
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
	ID: 7, Orig: packet.AddrFrom4([]byte{10, 0, 0, 1}), Resp: packet.AddrFrom4([]byte{10, 0, 0, 2}), OrigPort: 40000, RespPort: 445,
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

var outcomes = [...]string{"unseen", "ok", "failed"}

func facts(b *flows.Batch) []string {
	var all []string
	for _, it := range b.Order {
		var w strings.Builder
		switch it.Kind {
		case flows.KindSMB:
			s := &b.SMB[it.Index]
			w.WriteString(s.Op.String())
			for _, t := range []flows.Text{s.Share, s.Path, s.NewPath} {
				if t.Len > 0 {
					fmt.Fprintf(&w, " %s", b.Bytes(t))
				}
			}
			switch {
			case !s.Answered:
				w.WriteString(" unseen")
			case s.Status != 0:
				fmt.Fprintf(&w, " status %x", s.Status)
			}
			if s.Dialect != 0 {
				fmt.Fprintf(&w, " dialect %x", s.Dialect)
			}
			if s.Op == flows.SMBOpen {
				fmt.Fprintf(&w, " access %x disposition %d", s.Access, s.Disposition)
			}
			if s.Op == flows.SMBWrite || s.Op == flows.SMBRead {
				fmt.Fprintf(&w, " bytes %d %q", s.Bytes, s.Head[:s.HeadLen])
			}
			if s.Op == flows.SMBSealed {
				x := s.Sealed
				if x.Calls > 0 {
					fmt.Fprintf(&w, " binding %d calls %d domains %d builtin %d largest %d", x.Bindings, x.Calls, x.Domains, x.Builtin, x.Largest)
				}
				if x.Wrote+x.Read > 0 {
					fmt.Fprintf(&w, " wrote %d read %d", x.Wrote, x.Read)
				}
				fmt.Fprintf(&w, " %d exchange", x.Exchanges)
			}
			for _, x := range []struct {
				set  bool
				name string
			}{{s.Created, "created"}, {s.Final, "final"}, {s.DeleteClose, "delete-on-close"}, {s.Orig != testConn.Orig, "turned"}} {
				if x.set {
					w.WriteString(" " + x.name)
				}
			}
			if s.User.Len > 0 {
				fmt.Fprintf(&w, " by %s", b.Bytes(s.User))
			}
			fmt.Fprintf(&w, " @%d", s.Ref.Frame)
		case flows.KindRPC:
			r := &b.RPC[it.Index]
			what := fmt.Sprintf("call op %d", r.Opnum)
			if r.Bind {
				what = "bind"
			}
			fmt.Fprintf(&w, "%s %s %s %s", what, b.Bytes(r.Pipe), r.Interface.String()[:8], outcomes[r.Outcome])
			if !r.Bind {
				fmt.Fprintf(&w, " stub %d/%d reply %d/%d", r.Stub.Len, r.StubLen, r.Reply.Len, r.ReplyLen)
			}
			if r.HasReturn {
				fmt.Fprintf(&w, " return %x", r.Return)
			}
			if r.Source != flows.FromBind {
				fmt.Fprintf(&w, " source %d", r.Source)
			}
			if r.User.Len > 0 {
				fmt.Fprintf(&w, " by %s", b.Bytes(r.User))
			}
			fmt.Fprintf(&w, " @%d-%d", r.RequestRef.Frame, r.Ref.Frame)
		case flows.KindAuth:
			a := &b.Auth[it.Index]
			fmt.Fprintf(&w, "auth %d %s\\%s from %s at %s %s v1=%v anonymous=%v challenge %q status %x @%d", a.Method, b.Bytes(a.Domain), b.Bytes(a.User),
				b.Bytes(a.Workstation), b.Bytes(a.Server), outcomes[a.Outcome], a.NTLMv1, a.Anonymous, a.Challenge, a.Status, a.Ref.Frame)
		}
		all = append(all, w.String())
	}
	return all
}

func u16(v ...uint16) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint16(b, x)
	}
	return b
}

func u32(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

func zeros(n int) []byte { return make([]byte, n) }

func utf(s string) []byte { return u16(utf16.Encode([]rune(s))...) }

// frame puts the length of direct TCP before messages.
func frame(msg ...[]byte) []byte {
	b := join(msg...)
	return join([]byte{0, byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b)
}

// two is an SMB2 header's variable part with builders of messages.
type two struct {
	mid, session uint64
	tree         uint32
	flags        uint32
	next         uint32
}

func (h two) msg(command uint16, status, flags uint32, body []byte) []byte {
	return join([]byte("\xfeSMB"), u16(64, 1), u32(status), u16(command, 1), u32(flags|h.flags, h.next), u64(h.mid), u32(0, h.tree), u64(h.session), zeros(16), body)
}

func (h two) ask(command uint16, body ...[]byte) []byte { return h.msg(command, 0, 0, join(body...)) }
func (h two) say(command uint16, status uint32, body ...[]byte) []byte {
	return h.msg(command, status, flagAnswer, join(body...))
}

func setup(token []byte) []byte {
	return join(u16(25), []byte{0, 1}, u32(1, 0), u16(88, uint16(len(token))), zeros(8), token)
}
func setupAnswer(token []byte) []byte { return join(u16(9, 0, 72, uint16(len(token))), token) }
func treeConnect(path string) []byte {
	return join(u16(9, 0, 72, uint16(len(utf(path)))), utf(path))
}
func treeAnswer(kind byte) []byte { return join(u16(16), []byte{kind, 0}, u32(0x30, 0, 0x1f01ff)) }
func create(name string, access, disposition, options uint32) []byte {
	return join(u16(57), zeros(2), u32(2), zeros(16), u32(access, 0, 7, disposition, options), u16(120, uint16(len(utf(name)))), u32(0, 0), utf(name))
}
func createAnswer(action uint32, allocated uint64, attributes uint32, id []byte) []byte {
	return join(u16(89), zeros(2), u32(action), zeros(32), u64(allocated), u64(0), u32(attributes, 0), id, u32(0, 0))
}
func write(id []byte, offset uint64, data []byte) []byte {
	return join(u16(49, 112), u32(uint32(len(data))), u64(offset), id, zeros(16), data)
}
func writeAnswer(n int) []byte { return join(u16(17, 0), u32(uint32(n), 0, 0)) }
func readFile(id []byte, offset uint64, n int) []byte {
	return join(u16(49), []byte{0x50, 0}, u32(uint32(n)), u64(offset), id, zeros(16), []byte{0})
}
func readAnswer(data []byte) []byte {
	return join(u16(17), []byte{80, 0}, u32(uint32(len(data)), 0, 0), data)
}
func closeFile(id []byte) []byte { return join(u16(24, 0), u32(0), id) }
func closeAnswer() []byte        { return join(u16(60, 0), zeros(56)) }
func transceive(id, data []byte) []byte {
	return join(u16(57, 0), u32(ctlTransceive), id, u32(120, uint32(len(data)), 0, 120, 0, 65536, 1, 0), data)
}
func transceiveAnswer(id, data []byte) []byte {
	return join(u16(49, 0), u32(ctlTransceive), id, u32(112, 0, 112, uint32(len(data)), 0, 0), data)
}
func setInfo(id []byte, class byte, info []byte) []byte {
	return join(u16(33), []byte{1, class}, u32(uint32(len(info))), u16(96, 0), u32(0), id, info)
}
func renameInfo(name string) []byte {
	return join(zeros(16), u32(uint32(len(utf(name)))), utf(name))
}
func id2(n byte) []byte { return join(zeros(7), []byte{n}, zeros(7), []byte{n}) }

// NTLM messages with no more than the tests look at.
func ntlmNegotiate() []byte { return join([]byte("\x60\x40NTLMSSP\x00"), u32(1, 1)) }

func ntlmChallenge(server string) []byte {
	info := join(u16(1, uint16(len(utf(server)))), utf(server), u32(0))
	return join([]byte("\xa1\x81NTLMSSP\x00"), u32(2), zeros(8), u32(0x00800001), []byte("CHALLENG"), zeros(8),
		u16(uint16(len(info)), uint16(len(info))), u32(48), info)
}

func ntlmAuthenticate(domain, user, station string, nt int) []byte {
	b := join([]byte("NTLMSSP\x00"), u32(3))
	off, payload := 64, []byte(nil)
	for _, f := range [][]byte{nil, zeros(nt), utf(domain), utf(user), utf(station), nil} {
		b = join(b, u16(uint16(len(f)), uint16(len(f))), u32(uint32(off+len(payload))))
		payload = append(payload, f...)
	}
	return join([]byte("\xa1\x81"), b, u32(1), payload)
}

// one is an SMB1 header's variable part.
type one struct {
	mid, uid, tid uint16
}

func (h one) msg(command byte, status uint32, flags byte, words, data []byte) []byte {
	return join([]byte("\xffSMB"), []byte{command}, u32(status), []byte{flags}, u16(flag1Unicode|flag1Status), u16(0), zeros(8), u16(0, h.tid, 77, h.uid, h.mid),
		[]byte{byte(len(words) / 2)}, words, u16(uint16(len(data))), data)
}
func (h one) ask(command byte, words, data []byte) []byte { return h.msg(command, 0, 0, words, data) }
func (h one) say(command byte, status uint32, words, data []byte) []byte {
	return h.msg(command, status, flag1Answer, words, data)
}

// andX opens the words of a chain that ends here.
func andX() []byte { return []byte{0xff, 0, 0, 0} }

// DCE/RPC PDUs, little-endian.
func pdu(kind byte, call uint32, body ...[]byte) []byte {
	b := join(body...)
	return join([]byte{5, 0, kind, 3, 0x10, 0, 0, 0}, u16(uint16(16+len(b)), 0), u32(call), b)
}

func bindSvcctl() []byte {
	return pdu(11, 1, u16(4280, 4280), u32(0), []byte{1, 0, 0, 0}, u16(0), []byte{1, 0},
		[]byte{0x81, 0xbb, 0x7a, 0x36, 0x44, 0x98, 0xf1, 0x35, 0xad, 0x32, 0x98, 0xf0, 0x38, 0, 0x10, 3}, u16(2, 0), zeros(20))
}
func bindAck() []byte {
	return pdu(12, 1, u16(4280, 4280), u32(1), u16(13), []byte("\\pipe\\svcctl\x00"), []byte{0}, []byte{1, 0, 0, 0}, u16(0, 0), zeros(20))
}
func request(call uint32, op uint16, stub []byte) []byte {
	return pdu(0, call, u32(uint32(len(stub))), u16(0, op), stub)
}
func response(call uint32, stub []byte) []byte {
	return pdu(2, call, u32(uint32(len(stub))), u16(0, 0), stub)
}
