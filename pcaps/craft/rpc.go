package craft

import (
	"encoding/hex"
	"strings"
	"time"
)

// RPC is a DCE/RPC association over a pipe or over TCP.
type RPC struct {
	n        *Net
	transact func(out, in []byte)
	call     uint32
	address  string // that the server acknowledges binds with
	sealed   bool
}

// Interface is what a client binds to.
type Interface struct {
	UUID  string
	Major uint16
}

// The interfaces that the scenarios call (MS-SCMR, MS-SRVS, MS-DRSR, MS-NRPC, MS-TSCH, MS-SAMR, C706).
var (
	Svcctl   = Interface{"367abb81-9844-35f1-ad32-98f038001003", 2}
	Srvsvc   = Interface{"4b324fc8-1670-01d3-1278-5a47bf6ee188", 3}
	Samr     = Interface{"12345778-1234-abcd-ef00-0123456789ac", 1}
	Lsarpc   = Interface{"12345778-1234-abcd-ef00-0123456789ab", 0}
	Drsuapi  = Interface{"e3514235-4b06-11d1-ab04-00c04fc2dcd2", 4}
	Netlogon = Interface{"12345678-1234-abcd-ef00-01234567cffb", 1}
	Tasks    = Interface{"86d35949-83c9-4044-b424-db363231fd0c", 1}
	Mapper   = Interface{"e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3}
)

var ndr = Interface{"8a885d04-1ceb-11c9-9fe8-08002b104860", 2}

// Pipe opens a named pipe on the IPC$ tree and binds an interface.
func (s *SMB) Pipe(tree uint32, name string, iface Interface) *RPC {
	f := s.create(tree, name, writeAccess, OpenExisting, 0, 0)
	r := &RPC{n: s.n, transact: f.transceive}
	r.bind(iface)
	return r
}

// DialRPC asks server's endpoint mapper for an interface's port, connects there and binds; sealed makes every stub
// cipher text, as packet privacy does.
func (n *Net) DialRPC(at time.Time, client, server *Host, port uint16, iface Interface, sealed bool) (*RPC, *Conn) {
	c := n.Dial(at, client, server, 135)
	m := overTCP(n, c)
	m.bind(Mapper)
	m.Call(3, mapRequest(iface), mapReply(iface, server, port))
	c.Close()
	c = n.Dial(c.Now, client, server, port)
	r := overTCP(n, c)
	r.sealed = sealed
	r.bind(iface)
	return r, c
}

func overTCP(n *Net, c *Conn) *RPC {
	return &RPC{n: n, transact: func(out, in []byte) {
		c.Client(out)
		c.Server(in)
	}}
}

// The PDU types (C706 12.6.4).
const (
	pduRequest  = 0
	pduResponse = 2
	pduBind     = 11
	pduBindAck  = 12
)

func (r *RPC) bind(iface Interface) {
	r.call++
	body := append(u16(4280, 4280), u32(0)...)
	body = append(body, 1, 0, 0, 0)
	body = append(body, u16(0, 1)...)
	body = append(body, syntax(iface)...)
	body = append(body, syntax(ndr)...)
	ack := append(u16(4280, 4280), u32(0x1234)...)
	if r.address == "" {
		ack = append(ack, u16(0)...)
	} else {
		ack = append(append(ack, u16(uint16(len(r.address)+1))...), r.address+"\x00"...)
	}
	for len(ack)%4 != 0 {
		ack = append(ack, 0)
	}
	ack = append(ack, 1, 0, 0, 0)
	ack = append(ack, u16(0, 0)...)
	ack = append(ack, syntax(ndr)...)
	r.transact(r.pdu(pduBind, body, r.sealed), r.pdu(pduBindAck, ack, r.sealed))
}

// Call makes one call: stubs in clear, unless the association is sealed.
func (r *RPC) Call(opnum uint16, stub, reply []byte) {
	r.call++
	if r.sealed {
		stub, reply = r.n.Bytes(len(stub)), r.n.Bytes(len(reply))
	}
	req := append(u32(uint32(len(stub))), u16(0, opnum)...)
	ans := append(u32(uint32(len(reply))), u16(0, 0)...)
	r.transact(r.pdu(pduRequest, append(req, stub...), r.sealed), r.pdu(pduResponse, append(ans, reply...), r.sealed))
}

// pdu frames one PDU; an authenticated one ends with a trailer of NTLM at packet privacy (MS-RPCE 2.2.2.11).
func (r *RPC) pdu(kind byte, body []byte, auth bool) []byte {
	var trailer []byte
	authLen := 0
	if auth {
		for (16+len(body))%4 != 0 {
			body = append(body, 0)
		}
		trailer = append([]byte{10, 6, 0, 0}, u32(0)...)
		trailer = append(trailer, r.n.Bytes(16)...)
		authLen = 16
	}
	h := []byte{5, 0, kind, 3, 0x10, 0, 0, 0}
	h = append(h, u16(uint16(16+len(body)+len(trailer)), uint16(authLen))...)
	h = append(h, u32(r.call)...)
	return append(append(h, body...), trailer...)
}

func syntax(i Interface) []byte { return append(wireUUID(i.UUID), u16(i.Major, 0)...) }

// wireUUID is a UUID as little-endian NDR sends it.
func wireUUID(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 {
		panic("not a UUID: " + text)
	}
	return append([]byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]}, b[8:]...)
}

// Wide is an NDR conformant varying string of UTF-16 with its terminator, padded to four bytes.
func Wide(s string) []byte {
	w := utf16le(s + "\x00")
	n := uint32(len(w) / 2)
	b := append(u32(n, 0, n), w...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// WidePointer is a unique pointer to such a string.
func WidePointer(s string) []byte { return append(u32(0x00020000), Wide(s)...) }

// Handle is a 20-byte context handle.
func Handle(n byte) []byte {
	b := make([]byte, 20)
	b[4], b[19] = n, n
	return b
}

// OK is the return value of a call that worked.
func OK() []byte { return u32(0) }

// Join joins the parts of a stub.
func Join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Words is 32-bit values of a stub.
func Words(v ...uint32) []byte { return u32(v...) }

// tower is the protocol tower of an interface over TCP (C706 appendix L).
func tower(iface Interface, addr []byte, port uint16) []byte {
	floor := func(lhs, rhs []byte) []byte {
		return Join(u16(uint16(len(lhs))), lhs, u16(uint16(len(rhs))), rhs)
	}
	id := func(i Interface) []byte { return Join([]byte{0x0d}, wireUUID(i.UUID), u16(i.Major)) }
	return Join(u16(5),
		floor(id(iface), u16(0)), floor(id(ndr), u16(0)), floor([]byte{0x0b}, u16(0)),
		floor([]byte{0x07}, []byte{byte(port >> 8), byte(port)}), floor([]byte{0x09}, addr))
}

// mapRequest is the stub of ept_map, mapReply of its answer with one tower.
func mapRequest(iface Interface) []byte {
	t := tower(iface, []byte{0, 0, 0, 0}, 135)
	b := Join(u32(1), make([]byte, 16), u32(2, uint32(len(t)), uint32(len(t))), t)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return Join(b, Handle(0), u32(4))
}

func mapReply(iface Interface, server *Host, port uint16) []byte {
	t := tower(iface, server.Addr.AsSlice(), port)
	b := Join(Handle(0), u32(1, 4, 0, 1, 3, uint32(len(t)), uint32(len(t))), t)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return Join(b, OK())
}
