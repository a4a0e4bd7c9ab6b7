package craft

import (
	"bytes"
	"encoding/binary"
	"time"
	"unicode/utf16"
)

var le = binary.LittleEndian

// The SMB2 commands that are crafted (MS-SMB2 2.2.1.2).
const (
	smbNegotiate    = 0
	smbSessionSetup = 1
	smbTreeConnect  = 3
	smbCreate       = 5
	smbClose        = 6
	smbRead         = 8
	smbWrite        = 9
	smbIoctl        = 11
)

// NTSTATUS values (MS-ERREF 2.3.1).
const (
	statusOK             = 0
	statusMoreProcessing = 0xC0000016
	StatusAccessDenied   = 0xC0000022
	StatusLogonFailure   = 0xC000006D
)

// SMB is a client's SMB2 session (dialect 3.0.2, signed; encrypted after Seal).
type SMB struct {
	*Conn
	session uint64
	mid     uint64
	nextID  uint64
	server  *Host
	sealed  bool
}

// Account is who logs on.
type Account struct{ Domain, User string }

// Logon dials port 445, negotiates and logs on by NTLM. Where status is not 0 the server refuses with it and the
// connection closes: the result is then nil.
func (n *Net) Logon(at time.Time, client, server *Host, who Account, status uint32) *SMB {
	return n.logon(at, client, server, who, status, nil, nil)
}

// logon is Logon with a challenge and an answer that are given, or drawn where nil.
func (n *Net) logon(at time.Time, client, server *Host, who Account, status uint32, challenge, proof []byte) *SMB {
	s := &SMB{Conn: n.Dial(at, client, server, 445), server: server}
	neg := u16(36, 3, 1, 0)
	neg = append(neg, u32(0x7f)...)
	neg = append(neg, guid(client)...)
	neg = append(neg, make([]byte, 8)...)
	neg = append(neg, u16(0x0202, 0x0210, 0x0302)...)
	ans := u16(65, 3, 0x0302, 0)
	ans = append(ans, guid(server)...)
	ans = append(ans, u32(0x2f, 8<<20, 8<<20, 8<<20)...)
	ans = append(ans, make([]byte, 16)...)
	ans = append(ans, u16(128, 0)...)
	ans = append(ans, u32(0)...)
	s.exchange(smbNegotiate, 0, neg, statusOK, ans)

	if challenge == nil {
		challenge = n.Bytes(8)
	}
	setup := func(token []byte) []byte {
		b := append(u16(25), 0, 1)
		b = append(b, u32(1, 0)...)
		b = append(b, u16(88, uint16(len(token)))...)
		b = append(b, make([]byte, 8)...)
		return append(b, token...)
	}
	answer := func(token []byte) []byte {
		return append(u16(9, 0, 72, uint16(len(token))), token...)
	}
	s.session = 0 // the server assigns it with the first answer
	assigned := 0x0000040000000000 | uint64(n.Rand.Uint32())
	req := s.request(smbSessionSetup, 0, setup(spnegoInit(ntlmNegotiate())))
	s.session = assigned
	s.Client(frame(req))
	s.wait()
	s.Server(frame(s.reply(smbSessionSetup, 0, statusMoreProcessing, answer(spnegoResponse(ntlmChallenge(challenge, who.Domain, server.Name), 1)))))
	if proof == nil {
		proof = ntlmAuthenticate(n, who, client.Name)
	}
	s.exchange(smbSessionSetup, 0, setup(spnegoResponse(proof, -1)), status, answer(spnegoResponse(nil, 0)))
	if status != statusOK {
		s.Close()
		return nil
	}
	return s
}

// Tree connects a share, \\SERVER\NAME, and returns its tree id.
func (s *SMB) Tree(share string) uint32 {
	path := utf16le(`\\` + s.server.Name + `\` + share)
	req := append(u16(9, 0, 72, uint16(len(path))), path...)
	s.nextID++
	tree := uint32(s.nextID)
	kind := byte(1)
	if share == "IPC$" {
		kind = 2
	}
	s.exchange(smbTreeConnect, tree, req, statusOK, append(append(u16(16), kind, 0), u32(0x30, 0, 0x001f01ff)...))
	return tree
}

// File is an open file or pipe.
type File struct {
	s    *SMB
	tree uint32
	id   [16]byte
	size uint64
}

// How a file is opened.
const (
	OpenExisting  = 1 // FILE_OPEN
	OverwriteIf   = 5 // FILE_OVERWRITE_IF
	readAccess    = 0x00120089
	writeAccess   = 0x0012019f
	deleteAccess  = 0x00010080
	deleteOnClose = 0x00001000
)

// Open opens name on tree for reading, or writes it anew.
func (s *SMB) Open(tree uint32, name string, size int, write bool) *File {
	access, disposition := uint32(readAccess), uint32(OpenExisting)
	if write {
		access, disposition = writeAccess, OverwriteIf
	}
	return s.create(tree, name, access, disposition, 0x60, uint64(size))
}

// Delete opens name to be deleted when it is closed, and closes it.
func (s *SMB) Delete(tree uint32, name string) {
	s.create(tree, name, deleteAccess, OpenExisting, deleteOnClose|0x40, 0).Close()
}

func (s *SMB) create(tree uint32, name string, access, disposition, options uint32, size uint64) *File {
	wide := utf16le(name)
	req := append(u16(57), 0, 0)
	req = append(req, u32(2)...)
	req = append(req, make([]byte, 16)...)
	req = append(req, u32(access, 0, 7, disposition, options)...)
	req = append(req, u16(120, uint16(len(wide)))...)
	req = append(req, u32(0, 0)...)
	req = append(req, wide...)
	s.nextID++
	f := &File{s: s, tree: tree, size: size}
	le.PutUint64(f.id[:], s.nextID)
	le.PutUint64(f.id[8:], s.nextID|0xffff0000)
	action := uint32(1) // FILE_OPENED
	if disposition == OverwriteIf {
		action = 2 // FILE_CREATED
		size = 0
	}
	ans := append(u16(89), 0, 0)
	ans = append(ans, u32(action)...)
	ans = append(ans, make([]byte, 32)...)
	ans = binary.LittleEndian.AppendUint64(ans, size)
	ans = binary.LittleEndian.AppendUint64(ans, size)
	ans = append(ans, u32(0x20, 0)...)
	ans = append(ans, f.id[:]...)
	ans = append(ans, u32(0, 0)...)
	s.exchange(smbCreate, tree, req, statusOK, ans)
	return f
}

// chunk is how much one READ or WRITE carries.
const chunk = 64 << 10

// Write writes data from the start of the file.
func (f *File) Write(data []byte) {
	for off := 0; off < len(data); off += chunk {
		part := data[off:min(off+chunk, len(data))]
		req := append(u16(49, 112), u32(uint32(len(part)))...)
		req = le.AppendUint64(req, uint64(off))
		req = append(req, f.id[:]...)
		req = append(req, u32(0, 0, 0, 0)...)
		req = append(req, part...)
		f.s.exchange(smbWrite, f.tree, req, statusOK, append(u16(17, 0), u32(uint32(len(part)), 0, 0)...))
	}
}

// Read reads the file, which holds data, from its start.
func (f *File) Read(data []byte) {
	for off := 0; off < len(data); off += chunk {
		part := data[off:min(off+chunk, len(data))]
		req := append(u16(49), 0x50, 0)
		req = append(req, u32(uint32(len(part)))...)
		req = le.AppendUint64(req, uint64(off))
		req = append(req, f.id[:]...)
		req = append(req, u32(0, 0, 0, 0)...)
		req = append(req, 0)
		ans := append(u16(17), 80, 0)
		ans = append(ans, u32(uint32(len(part)), 0, 0)...)
		f.s.exchange(smbRead, f.tree, req, statusOK, append(ans, part...))
	}
}

// Close closes the file.
func (f *File) Close() {
	req := append(u16(24, 0), u32(0)...)
	f.s.exchange(smbClose, f.tree, append(req, f.id[:]...), statusOK, append(u16(60, 0), make([]byte, 56)...))
}

// transceive is FSCTL_PIPE_TRANSCEIVE: one write and one read on a pipe.
func (f *File) transceive(out, in []byte) {
	const code = 0x0011C017
	req := append(u16(57, 0), u32(code)...)
	req = append(req, f.id[:]...)
	req = append(req, u32(120, uint32(len(out)), 0, 120, 0, 65536, 1, 0)...)
	ans := append(u16(49, 0), u32(code)...)
	ans = append(ans, f.id[:]...)
	ans = append(ans, u32(112, 0, 112, uint32(len(in)), 0, 0)...)
	f.s.exchange(smbIoctl, f.tree, append(req, out...), statusOK, append(ans, in...))
}

// exchange sends a request and the server's answer to it.
func (s *SMB) exchange(command uint16, tree uint32, req []byte, status uint32, ans []byte) {
	s.Client(s.wire(s.request(command, tree, req)))
	s.Server(s.wire(s.reply(command, tree, status, ans)))
}

func (s *SMB) request(command uint16, tree uint32, body []byte) []byte {
	h := s.header(command, tree, 0, 0)
	return append(h, body...)
}

func (s *SMB) reply(command uint16, tree, status uint32, body []byte) []byte {
	h := append(s.header(command, tree, status, 1), body...)
	s.mid++
	return h
}

// header is the SMB2 packet header (MS-SMB2 2.2.1.2).
func (s *SMB) header(command uint16, tree, status, flags uint32) []byte {
	h := append([]byte{0xfe, 'S', 'M', 'B'}, u16(64, 1)...)
	h = append(h, u32(status)...)
	h = append(h, u16(command, 31)...)
	h = append(h, u32(flags, 0)...)
	h = le.AppendUint64(h, s.mid)
	h = append(h, u32(0xfeff, tree)...)
	h = le.AppendUint64(h, s.session)
	return append(h, make([]byte, 16)...)
}

// frame puts the direct-TCP length before a message (MS-SMB2 2.1).
func frame(msg []byte) []byte {
	return append([]byte{0, byte(len(msg) >> 16), byte(len(msg) >> 8), byte(len(msg))}, msg...)
}

func guid(h *Host) []byte {
	b := h.Addr.As16()
	return b[:]
}

func u16(v ...uint16) []byte {
	var b []byte
	for _, x := range v {
		b = le.AppendUint16(b, x)
	}
	return b
}

func u32(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = le.AppendUint32(b, x)
	}
	return b
}

func utf16le(s string) []byte { return u16(utf16.Encode([]rune(s))...) }

var ntlmSignature = []byte("NTLMSSP\x00")

// ntlmFlags: Unicode, NTLM, extended session security, target info, 128 bit, sign, seal (MS-NLMP 2.2.2.5).
const ntlmFlags = 0xe2888215

func ntlmNegotiate() []byte {
	b := append(bytes.Clone(ntlmSignature), u32(1, ntlmFlags)...)
	return append(b, make([]byte, 24)...)
}

func ntlmChallenge(challenge []byte, domain, server string) []byte {
	target := utf16le(domain)
	var info []byte
	for _, av := range []struct {
		id    uint16
		value string
	}{{2, domain}, {1, server}} {
		v := utf16le(av.value)
		info = append(info, append(u16(av.id, uint16(len(v))), v...)...)
	}
	info = append(info, u32(0)...)
	const fixed = 56
	b := append(bytes.Clone(ntlmSignature), u32(2)...)
	b = append(b, field(target, fixed)...)
	b = append(b, u32(ntlmFlags)...)
	b = append(b, challenge...)
	b = append(b, make([]byte, 8)...)
	b = append(b, field(info, fixed+len(target))...)
	b = append(b, make([]byte, 8)...)
	return append(append(b, target...), info...)
}

func ntlmAuthenticate(n *Net, who Account, workstation string) []byte {
	const fixed = 88
	lm, nt := make([]byte, 24), n.Bytes(60)
	domain, user, ws := utf16le(who.Domain), utf16le(who.User), utf16le(workstation)
	b := append(bytes.Clone(ntlmSignature), u32(3)...)
	off := fixed
	for _, v := range [][]byte{lm, nt, domain, user, ws, nil} {
		b = append(b, field(v, off)...)
		off += len(v)
	}
	b = append(b, u32(ntlmFlags)...)
	b = append(b, make([]byte, 8+16)...)
	for _, v := range [][]byte{lm, nt, domain, user, ws} {
		b = append(b, v...)
	}
	return b
}

// field is the length, room and offset of an NTLM payload (MS-NLMP 2.2.1).
func field(v []byte, off int) []byte {
	return append(u16(uint16(len(v)), uint16(len(v))), u32(uint32(off))...)
}

var (
	oidSPNEGO = []byte{0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02}
	oidNTLM   = []byte{0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a}
)

// spnegoInit is a NegTokenInit that offers NTLM (RFC 4178, 4.2.1).
func spnegoInit(token []byte) []byte {
	return der(0x60, oidSPNEGO, der(0xa0, der(0x30, der(0xa0, der(0x30, oidNTLM)), der(0xa2, der(0x04, token)))))
}

// spnegoResponse is a NegTokenResp (RFC 4178, 4.2.2); state -1 leaves it out.
func spnegoResponse(token []byte, state int) []byte {
	var parts [][]byte
	if state >= 0 {
		parts = append(parts, der(0xa0, []byte{0x0a, 1, byte(state)}))
	}
	if state == 1 {
		parts = append(parts, der(0xa1, oidNTLM))
	}
	if token != nil {
		parts = append(parts, der(0xa2, der(0x04, token)))
	}
	return der(0xa1, der(0x30, parts...))
}

// der is one DER element (X.690).
func der(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	out := []byte{tag}
	switch n := len(body); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	default:
		out = append(out, 0x82, byte(n>>8), byte(n))
	}
	return append(out, body...)
}
