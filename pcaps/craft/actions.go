package craft

import "time"

// An executable's first bytes: the DOS header with its stub (PE format, section 2).
var dosHeader = []byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8\x00\x00\x00\x00\x00\x00\x00@\x00")

// Service is what a psexec-like tool leaves behind: a file on ADMIN$, a service that runs it, pipes to talk through.
type Service struct {
	Name, File string
	Size       int
	Pipes      []string
}

// PsExec tells one remote execution: executable to ADMIN$, service created, started, talked to, stopped, deleted.
func (n *Net) PsExec(at time.Time, client, server *Host, who Account, svc Service) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	admin := s.Tree("ADMIN$")
	f := s.Open(admin, svc.File, svc.Size, true)
	f.Write(append(append([]byte(nil), dosHeader...), n.Bytes(svc.Size-len(dosHeader))...))
	f.Close()
	ipc := s.Tree("IPC$")
	scm := s.Pipe(ipc, "svcctl", Svcctl)
	scm.Call(15, Join(WidePointer(server.Name), Words(0), Words(0xf003f)), Join(Handle(1), OK()))
	scm.Call(12, createService(svc.Name, `%SystemRoot%\`+svc.File), Join(Words(0), Handle(2), OK()))
	scm.Call(19, Join(Handle(2), Words(0, 0)), OK())
	s.Wait(300 * time.Millisecond)
	for _, p := range svc.Pipes {
		s.create(ipc, p, writeAccess, OpenExisting, 0, 0)
	}
	s.Wait(4 * time.Second)
	scm.Call(1, Join(Handle(2), Words(1)), Join(make([]byte, 28), OK()))
	scm.Call(2, Handle(2), OK())
	scm.Call(0, Handle(2), Join(Handle(0), OK()))
	s.Delete(admin, svc.File)
	s.Close()
	return s.Now
}

// createService is the stub of RCreateServiceW (MS-SCMR 3.1.4.12).
func createService(name, path string) []byte {
	return Join(Handle(1), Wide(name), WidePointer(name), Words(0xf01ff, 0x10, 3, 0), Wide(path), Words(0, 0, 0, 0, 0, 0, 0))
}

// Task tells atexec's way: a task registered, run, deleted over the task scheduler's interface (MS-TSCH 3.2.5.4).
func (n *Net) Task(at time.Time, client, server *Host, who Account, name, command string) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	tasks := s.Pipe(s.Tree("IPC$"), "atsvc", Tasks)
	xml := `<?xml version="1.0" encoding="UTF-16"?><Task version="1.2"><Actions><Exec><Command>` + command + `</Command></Exec></Actions></Task>`
	tasks.Call(1, Join(WidePointer(`\`+name), Wide(xml), Words(6, 0, 0, 0, 0)), Join(WidePointer(`\`+name), Words(0), OK()))
	tasks.Call(12, Join(Wide(`\`+name), Words(0, 0, 0, 0, 0)), Join(make([]byte, 16), OK()))
	s.Wait(2 * time.Second)
	tasks.Call(13, Join(Wide(`\`+name), Words(0)), OK())
	s.Close()
	return s.Now
}

// DCSync tells a replication request by a machine (MS-DRSR 4.1.10), sealed as such tools and controllers do.
func (n *Net) DCSync(at time.Time, client, server *Host) time.Time {
	r, c := n.DialRPC(at, client, server, 49667, Drsuapi, true)
	for _, op := range []uint16{0, 16, 12, 0, 3, 1} {
		r.Call(op, n.Bytes(180), n.Bytes(900))
	}
	c.Close()
	return c.Now
}

// Zerologon tells tries with an all-zero challenge and credential (CVE-2020-1472) and, where it worked, the new password.
func (n *Net) Zerologon(at time.Time, client, server *Host, tries int, worked bool) time.Time {
	r, c := n.DialRPC(at, client, server, 49668, Netlogon, false)
	primary := WidePointer(`\\` + server.Name)
	machine := Wide(server.Name)
	account := Wide(server.Name + "$")
	for i := range tries {
		status := uint32(StatusAccessDenied)
		if worked && i == tries-1 {
			status = statusOK
		}
		r.Call(4, Join(primary, machine, make([]byte, 8)), Join(n.Bytes(8), OK()))
		r.Call(26, Join(primary, account, Words(6), machine, make([]byte, 8), Words(0x212fffff)), Join(make([]byte, 16), Words(status)))
	}
	if worked {
		r.Call(30, Join(primary, account, Words(6), machine, make([]byte, 12), make([]byte, 516)), Join(make([]byte, 12), OK()))
	}
	c.Close()
	return c.Now
}

// Shares tells an Explorer that looks at a server's shares (MS-SRVS 3.1.4.8).
func (n *Net) Shares(at time.Time, client, server *Host, who Account) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	r := s.Pipe(s.Tree("IPC$"), "srvsvc", Srvsvc)
	r.Call(15, Join(WidePointer(`\\`+server.Name), Words(1, 1, 0, 0, 0xffffffff, 0)), Join(n.Bytes(200), OK()))
	s.Close()
	return s.Now
}

// ReadFile and WriteFile tell honest work on a share.
func (n *Net) ReadFile(at time.Time, client, server *Host, who Account, share, name string, size int) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	f := s.Open(s.Tree(share), name, size, false)
	f.Read(document(n, size))
	f.Close()
	s.Close()
	return s.Now
}

// WriteFile writes a document.
func (n *Net) WriteFile(at time.Time, client, server *Host, who Account, share, name string, size int) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	f := s.Open(s.Tree(share), name, size, true)
	f.Write(document(n, size))
	f.Close()
	s.Close()
	return s.Now
}

// document is text of an office file: words, so that its entropy is a document's.
func document(n *Net, size int) []byte {
	words := [...]string{"quarter ", "report ", "budget ", "the ", "of ", "and ", "meeting ", "invoice ", "customer ", "plan "}
	out := append([]byte(nil), "%DOC 1.0\n"...)
	for len(out) < size {
		out = append(out, words[n.Rand.IntN(len(words))]...)
	}
	return out[:size]
}

// LookUp tells the account look-ups of an ordinary log-on: SIDs to names over lsarpc (MS-LSAT 3.1.4.5).
func (n *Net) LookUp(at time.Time, client, server *Host, who Account) time.Time {
	s := n.Logon(at, client, server, who, statusOK)
	r := s.Pipe(s.Tree("IPC$"), "lsarpc", Lsarpc)
	r.Call(44, Join(WidePointer(server.Name), make([]byte, 24), Words(0x800)), Join(Handle(1), OK()))
	r.Call(15, Join(Handle(1), n.Bytes(60)), Join(n.Bytes(80), OK()))
	r.Call(0, Handle(1), Join(Handle(0), OK()))
	s.Close()
	return s.Now
}

// ntpPacket is an NTP client's or server's message (RFC 5905, 7.3).
func (n *Net) ntpPacket(mode byte) []byte {
	return append([]byte{4<<3 | mode, 2, 6, 0xe9}, n.Bytes(44)...)
}

// NTP tells one synchronisation.
func (n *Net) NTP(at time.Time, client, server *Host) time.Time {
	n.UDP(at, client, server, 123, 123, n.ntpPacket(3))
	at = at.Add(2 * n.delay(client, server))
	n.UDP(at, server, client, 123, 123, n.ntpPacket(4))
	return at
}
