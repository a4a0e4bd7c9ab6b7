package craft

import "time"

// Seal makes all that follows cipher text behind transform headers (MS-SMB2 2.2.41), as a server demands that encrypts.
func (s *SMB) Seal() { s.sealed = true }

// wire is a message as it goes over the wire: in clear, or random bytes of its length behind a transform header.
func (s *SMB) wire(msg []byte) []byte {
	if !s.sealed {
		return frame(msg)
	}
	h := append([]byte{0xfd, 'S', 'M', 'B'}, s.n.Bytes(32)...)
	h = append(h, u32(uint32(len(msg)))...)
	h = append(h, u16(0, 1)...)
	h = le.AppendUint64(h, s.session)
	return frame(append(h, s.n.Bytes(len(msg))...))
}

// bindPipe opens a pipe and binds by a write and a read, as most clients do.
func (s *SMB) bindPipe(tree uint32, name string, iface Interface) (*RPC, *File) {
	f := s.create(tree, name, writeAccess, OpenExisting, 0, 0)
	r := &RPC{n: s.n, transact: f.writeRead, address: `\PIPE\` + name}
	r.bind(iface)
	r.transact = f.transceive
	return r, f
}

func (f *File) writeRead(out, in []byte) {
	f.Write(out)
	f.Read(in)
}

// domainSID is the SID of an account domain as an NDR pointee: count, then the SID (MS-DTYP 2.4.2.3).
func domainSID(n *Net, parts int) []byte {
	sid := Join(Words(uint32(parts)), []byte{1, byte(parts), 0, 0, 0, 0, 0, 5})
	return append(sid, n.Bytes(4*parts)...)
}

// SealedAccounts tells a list of a domain's users through an encrypted session (MS-SAMR 3.1.5): connect, look the domain up, open
// it, list, open some users.
func (n *Net) SealedAccounts(at time.Time, client, server *Host, who Account, users int) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	s.Seal()
	r, _ := s.bindPipe(s.Tree("IPC$"), "samr", Samr)
	sid := domainSID(n, 4)
	r.Call(0, Join(WidePointer(server.Name), Words(0x30)), Join(Handle(1), OK()))
	r.Call(6, Join(Handle(1), Words(0, 0xffffffff)), Join(n.Bytes(100), OK()))
	r.Call(5, Join(Handle(1), u16(8, 8), Words(0x20000, 4, 0, 4), utf16le("CORP")), Join(Words(0x20000), sid, OK()))
	r.Call(7, Join(Handle(1), Words(0x300), sid), Join(Handle(2), OK()))
	r.Call(13, Join(Handle(2), Words(0, 0x10, 0xffff)), Join(n.Bytes(60*users), OK()))
	for range users {
		r.Call(34, Join(Handle(2), Words(0x2011b, n.Rand.Uint32())), Join(Handle(3), OK()))
		r.Call(36, Join(Handle(3), u16(21)), Join(n.Bytes(420), OK()))
		r.Call(1, Handle(3), Join(Handle(0), OK()))
	}
	s.Close()
	return s.Now
}

// SealedExec tells a program copied and a service made of it through an encrypted session.
func (n *Net) SealedExec(at time.Time, client, server *Host, who Account, size int) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	s.Seal()
	f := s.Open(s.Tree("ADMIN$"), "upd.exe", size, true)
	f.Write(n.Bytes(size))
	f.Close()
	scm, _ := s.bindPipe(s.Tree("IPC$"), "svcctl", Svcctl)
	scm.Call(15, Join(WidePointer(server.Name), Words(0), Words(0xf003f)), Join(Handle(1), OK()))
	scm.Call(12, createService("Upd", `%SystemRoot%\upd.exe`), Join(Words(0), Handle(2), OK()))
	scm.Call(19, Join(Handle(2), Words(0, 0)), OK())
	s.Close()
	return s.Now
}

// SealedOffice tells honest work in an encrypted session: shares listed, a document read and another written, SIDs looked up
// for its permissions, the shares listed again.
func (n *Net) SealedOffice(at time.Time, client, server *Host, who Account, share string, size int) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	s.Seal()
	ipc := s.Tree("IPC$")
	list := func() {
		r, f := s.bindPipe(ipc, "srvsvc", Srvsvc)
		r.Call(15, Join(WidePointer(`\\`+server.Name), Words(1, 1, 0, 0, 0xffffffff, 0)), Join(n.Bytes(200), OK()))
		f.Close()
	}
	list()
	tree := s.Tree(share)
	for i := range 2 {
		f := s.Open(tree, "week 10.docx", size, i == 1)
		if i == 1 {
			f.Write(document(n, size))
		} else {
			f.Read(document(n, size))
		}
		f.Close()
	}
	r, _ := s.bindPipe(ipc, "lsarpc", Lsarpc)
	r.Call(44, Join(WidePointer(server.Name), make([]byte, 24), Words(0x800)), Join(Handle(1), OK()))
	r.Call(15, Join(Handle(1), n.Bytes(60)), Join(n.Bytes(80), OK()))
	list()
	s.Close()
	return s.Now
}
