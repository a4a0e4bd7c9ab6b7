package acts

import (
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf16"

	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// File is an operation on a share.
type File struct {
	Share, Path, NewPath, Head string
	Bytes                      uint64
	Status                     uint32
	Access                     uint32
	Disposition                uint32
	Created, Final             bool
	Entropy                    uint16 // of the first 64 bytes, in hundredths of bits; 0: that of a document where bytes are read or written
}

// The disorder of a file's first 64 bytes, in hundredths of bits per byte: of documents, which are archives with a plain head, and of
// what was encrypted (64 random bytes have 5.76 on average).
const (
	documentEntropy = 430
	randomEntropy   = 576
)

// SMB enters an operation that the server answered.
func (l *Link) SMB(op flows.SMBOp, f File) *Link {
	user := l.user
	up, down := uint64(120), uint64(120)
	if op == flows.SMBWrite && f.Final {
		up += f.Bytes
	}
	if op == flows.SMBRead && f.Final {
		down += f.Bytes
	}
	l.fact(up, down, func(o *flows.Out, m flows.Meta, c flows.Conn) {
		s := flows.SMB{
			Meta: m, Conn: c, Op: op, Answered: true, Share: o.PutString(f.Share), Path: o.PutString(f.Path), NewPath: o.PutString(f.NewPath),
			User: o.PutString(user), Bytes: f.Bytes, Status: f.Status, Access: f.Access, Disposition: f.Disposition, Created: f.Created, Final: f.Final,
		}
		s.HeadLen = uint8(copy(s.Head[:], f.Head))
		if op == flows.SMBWrite || op == flows.SMBRead {
			s.Sample, s.Entropy = uint8(min(f.Bytes, 64)), f.Entropy
			if s.Entropy == 0 {
				s.Entropy = documentEntropy
			}
		}
		if op == flows.SMBNegotiate {
			s.Dialect = 0x0311
		}
		o.SMB(&s)
	})
	return l
}

// Session is SMB up to the log-on: dialect, a ticket where the account has one, the log-on, IPC$.
func (s *Scene) Session(at packet.Time, from, to packet.Addr, who Account) *Link {
	l := s.Open(at, from, to, 445, flows.AppSMB)
	l.SMB(flows.SMBNegotiate, File{})
	l.LogOn(who, flows.AppSMB, 0)
	return l.SMB(flows.SMBTree, File{Share: s.unc(to, "IPC$")})
}

// LogOn enters a log-on by ticket or NTLM; a status that is not 0 refuses it.
func (l *Link) LogOn(who Account, over flows.App, status uint32) *Link {
	s, to := l.s, l.conn.Resp
	service := "cifs/"
	if over == flows.AppDCERPC {
		service = "host/"
	}
	if who.KDC != (packet.Addr{}) {
		s.Ticket(l.At, l.conn.Orig, who, service+s.name(to), 18)
		l.Wait(3 * time.Millisecond)
	}
	challenge, proof := s.Rand.Uint64(), s.Rand.Uint64()|1
	workstation := who.Workstation
	switch {
	case who.Nameless:
		workstation = ""
	case workstation == "":
		workstation = s.name(l.conn.Orig)
	}
	server := s.name(to)
	l.fact(900, 300, func(o *flows.Out, m flows.Meta, c flows.Conn) {
		a := flows.Auth{Meta: m, Conn: c, Over: over, Method: flows.AuthKerberos, Outcome: flows.Succeeded, Status: status}
		if status != 0 {
			a.Outcome = flows.Failed
		}
		if who.KDC == (packet.Addr{}) {
			a.Method = flows.AuthNTLM
			a.User, a.Domain, a.Workstation, a.Server = o.PutString(who.User), o.PutString(who.Domain), o.PutString(workstation), o.PutString(server)
			binary.LittleEndian.PutUint64(a.Challenge[:], challenge)
			binary.LittleEndian.PutUint64(a.Proof[:], proof)
		}
		o.Auth(&a)
	})
	if who.KDC == (packet.Addr{}) && status == 0 {
		l.user = who.Text()
	}
	return l
}

// Call is what may be said of an RPC call.
type Call struct {
	Stub   []byte
	Length uint32 // of the request's stub where Stub is not given
	Reply  uint32
	Return uint32
	Sealed bool
	Fault  uint32
	Bound  string // endpoints that an endpoint mapper's answer names
}

// bind binds an interface.
func (l *Link) bind(iface flows.UUID, pipe string, sealed bool) *Link {
	return l.rpc(iface, 0, pipe, Call{Sealed: sealed}, true)
}

// RPC enters a call.
func (l *Link) RPC(iface flows.UUID, op uint16, pipe string, c Call) *Link {
	return l.rpc(iface, op, pipe, c, false)
}

func (l *Link) rpc(iface flows.UUID, op uint16, pipe string, with Call, bind bool) *Link {
	user, at := l.user, l.At
	length := max(with.Length, uint32(len(with.Stub)))
	l.fact(uint64(length)+60, uint64(with.Reply)+60, func(o *flows.Out, m flows.Meta, c flows.Conn) {
		r := flows.RPC{
			Meta: m, Conn: c, Interface: iface, Opnum: op, Pipe: o.PutString(pipe), User: o.PutString(user), RequestAt: at, RequestRef: m.Ref,
			StubLen: length, ReplyLen: with.Reply, Return: with.Return, HasReturn: !with.Sealed && !bind, Bind: bind, Encrypted: with.Sealed,
			AuthLevel: 1, Outcome: flows.Succeeded, Fault: with.Fault, Version: 1, Binding: o.PutString(with.Bound),
		}
		if with.Fault != 0 {
			r.Outcome, r.HasReturn = flows.Failed, false
		}
		if with.Sealed {
			r.AuthType, r.AuthLevel = 9, 6
		} else {
			r.Stub = o.Put(with.Stub[:min(len(with.Stub), 512)])
		}
		o.RPC(&r)
	})
	return l
}

// pipe opens a named pipe and binds an interface on it, in clear.
func (l *Link) pipe(name string, iface flows.UUID) *Link {
	l.SMB(flows.SMBPipe, File{Share: l.s.unc(l.conn.Resp, "IPC$"), Path: name, Access: 0x12019f, Disposition: 1})
	return l.bind(iface, name, false)
}

// tcp asks the endpoint mapper for an interface, opens its port and binds it sealed.
func (s *Scene) tcp(at packet.Time, from, to packet.Addr, who Account, iface flows.UUID) *Link {
	port := 49664 + uint16(iface[0]%40)
	m := s.Open(at, from, to, 135, flows.AppDCERPC)
	m.bind(windows.EndpointMapper, "", false)
	m.RPC(windows.EndpointMapper, 3, "", Call{Length: 132, Reply: 128, Bound: iface.String() + " " + fmt.Sprint(port)})
	m.Close()
	l := s.Open(m.At, from, to, port, flows.AppDCERPC)
	l.bind(iface, "", true)
	return l.LogOn(who, flows.AppDCERPC, 0)
}

// stub builds a request in little-endian NDR.
type stub []byte

func (b stub) u32(list ...uint32) stub {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	for _, n := range list {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

func (b stub) text(s string) stub {
	units := append(utf16.Encode([]rune(s)), 0)
	b = b.u32(uint32(len(units)), 0, uint32(len(units)))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func handle() stub { return make(stub, 20) }

const programHead = "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00"

// put writes a file.
func (l *Link) put(share, path, head string, size uint64) *Link {
	unc := l.s.unc(l.conn.Resp, share)
	l.SMB(flows.SMBTree, File{Share: unc})
	return l.write(unc, path, head, size)
}

// write creates and writes a file on a share that is connected.
func (l *Link) write(unc, path, head string, size uint64) *Link {
	l.SMB(flows.SMBOpen, File{Share: unc, Path: path, Access: 0x120196, Disposition: 5, Created: true})
	l.SMB(flows.SMBWrite, File{Share: unc, Path: path, Head: head, Bytes: min(size, 65536)})
	l.Wait(time.Duration(size/50) * time.Microsecond)
	return l.SMB(flows.SMBWrite, File{Share: unc, Path: path, Head: head, Bytes: size, Final: true})
}

// read opens and reads a file on a share that is connected.
func (l *Link) read(unc, path, head string, size uint64) *Link {
	l.SMB(flows.SMBOpen, File{Share: unc, Path: path, Access: 0x120089, Disposition: 1})
	l.SMB(flows.SMBRead, File{Share: unc, Path: path, Head: head, Bytes: min(size, 65536)})
	l.Wait(time.Duration(size/50) * time.Microsecond)
	return l.SMB(flows.SMBRead, File{Share: unc, Path: path, Head: head, Bytes: size, Final: true})
}

// PsExec brings a program to ADMIN$ and runs it as a service: the service manager over TCP, sealed, then the pipes of
// its streams (Sysinternals). A renamed service has pipes of its own name.
func (s *Scene) PsExec(at packet.Time, from, to packet.Addr, who Account, service string) packet.Time {
	l := s.Session(at, from, to, who)
	l.put("ADMIN$", service+".exe", programHead, 145568)
	m := s.tcp(l.At, from, to, who, windows.Svcctl)
	for _, c := range []struct {
		op         uint16
		req, reply uint32
		wait       time.Duration
	}{{15, 104, 24, 0}, {45, 196, 28, 0}, {0, 20, 24, 0}, {16, 56, 24, 10 * time.Millisecond}, {19, 28, 4, 0}, {6, 20, 32, 100 * time.Millisecond}, {6, 20, 32, 0}, {0, 20, 24, 0}} {
		m.RPC(windows.Svcctl, c.op, "", Call{Length: c.req, Reply: c.reply, Sealed: true}).Wait(c.wait)
	}
	l.At = m.At
	ipc := s.unc(to, "IPC$")
	base := fmt.Sprintf("%s-%s-%d", service, s.name(from), 1000+s.Rand.IntN(9000))
	for _, p := range []string{service, base + "-stdin", base + "-stdout", base + "-stderr"} {
		l.SMB(flows.SMBPipe, File{Share: ipc, Path: p, Access: 0x12019f, Disposition: 1})
	}
	l.Carry(19000, 4000).Wait(5 * time.Second)
	m.At = l.At
	for _, op := range []uint16{15, 16, 1, 6, 0, 16, 2, 0} {
		m.RPC(windows.Svcctl, op, "", Call{Length: 24, Reply: 32, Sealed: true})
	}
	m.Close()
	return l.Close()
}

// SMBExec runs a command through the service manager's pipe and fetches its output from a share, as smbexec does.
func (s *Scene) SMBExec(at packet.Time, from, to packet.Addr, who Account, commands int) packet.Time {
	l := s.Session(at, from, to, who).pipe("svcctl", windows.Svcctl)
	l.RPC(windows.Svcctl, 15, "svcctl", Call{Length: 112, Reply: 24})
	share := s.unc(to, "C$")
	for i := range commands {
		name := s.letters(8)
		image := `%COMSPEC% /Q /c echo whoami ^> \\127.0.0.1\C$\__output 2^>^&1 > %TEMP%\execute.bat & %COMSPEC% /Q /c %TEMP%\execute.bat`
		b := handle().text(name).u32(1).text(name).u32(0xf01ff, 16, 3, 0).text(image)
		l.RPC(windows.Svcctl, 12, "svcctl", Call{Stub: b, Reply: 28})
		l.RPC(windows.Svcctl, 19, "svcctl", Call{Length: 28, Reply: 4, Return: 0x41d}).Wait(200 * time.Millisecond)
		l.RPC(windows.Svcctl, 2, "svcctl", Call{Length: 20, Reply: 4})
		l.RPC(windows.Svcctl, 0, "svcctl", Call{Length: 20, Reply: 24})
		if i == 0 {
			l.SMB(flows.SMBTree, File{Share: share})
		}
		l.read(share, "__output", "", 300)
		l.SMB(flows.SMBDelete, File{Share: share, Path: "__output"}).Wait(4 * time.Second)
	}
	return l.Close()
}

// object activates a DCOM object: the activator on port 135, then the object's own port.
func (s *Scene) object(at packet.Time, from, to packet.Addr, who Account, op uint16) *Link {
	a := s.Open(at, from, to, 135, flows.AppDCERPC)
	a.bind(windows.SCMActivator, "", false).LogOn(who, flows.AppDCERPC, 0)
	a.RPC(windows.SCMActivator, op, "", Call{Length: 800, Reply: 1112})
	a.Close()
	l := s.Open(a.At, from, to, 49670, flows.AppDCERPC)
	l.bind(remUnknown, "", false).LogOn(who, flows.AppDCERPC, 0)
	return l.RPC(remUnknown, 3, "", Call{Length: 76, Reply: 68})
}

var remUnknown = uuid("00000143-0000-0000-c000-000000000046") // MS-DCOM, IRemUnknown2

func uuid(text string) flows.UUID {
	u, err := flows.ParseUUID(text)
	if err != nil {
		panic(text) // our own constants
	}
	return u
}

// WMIExec starts a process by a WMI method and, where output is wanted, fetches it from ADMIN$, as wmiexec does.
func (s *Scene) WMIExec(at packet.Time, from, to packet.Addr, who Account, output bool) packet.Time {
	l := s.object(at, from, to, who, 4)
	l.bind(windows.WbemLogin, "", false).RPC(windows.WbemLogin, 6, "", Call{Length: 156, Reply: 200})
	l.bind(windows.WbemServices, "", true)
	l.RPC(windows.WbemServices, 6, "", Call{Length: 148, Reply: 79068, Sealed: true})
	l.RPC(windows.WbemServices, 24, "", Call{Length: 5360, Reply: 1160, Sealed: true})
	l.RPC(remUnknown, 5, "", Call{Length: 64, Reply: 12})
	if output {
		f := s.Session(l.At, from, to, who)
		share := s.unc(to, "ADMIN$")
		f.SMB(flows.SMBTree, File{Share: share}).Wait(time.Second)
		f.read(share, fmt.Sprintf("__%d.%d", int64(at)/1e9, s.Rand.IntN(9000000)), "", 400)
		f.Close()
	}
	return l.Close()
}

// Inventory asks WMI, as monitoring and asset management do.
func (s *Scene) Inventory(at packet.Time, from, to packet.Addr, who Account, queries int) packet.Time {
	l := s.object(at, from, to, who, 4)
	l.bind(windows.WbemLogin, "", false).RPC(windows.WbemLogin, 6, "", Call{Length: 156, Reply: 200})
	l.bind(windows.WbemServices, "", true)
	for range queries {
		l.RPC(windows.WbemServices, 20, "", Call{Length: 248, Reply: 2000, Sealed: true})
	}
	return l.Close()
}

// DCOMExec calls methods of a DCOM object that runs programs, as MMC20.Application.
func (s *Scene) DCOMExec(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	l := s.object(at, from, to, who, 3)
	l.bind(windows.Dispatch, "", false)
	for range 3 {
		l.RPC(windows.Dispatch, 5, "", Call{Length: 128, Reply: 16})
		l.RPC(windows.Dispatch, 6, "", Call{Length: 240, Reply: 120})
	}
	return l.Close()
}

// AtExec registers a task over the atsvc pipe, sealed, runs and deletes it, and fetches its output from ADMIN$.
func (s *Scene) AtExec(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	l := s.Session(at, from, to, who)
	l.SMB(flows.SMBPipe, File{Share: s.unc(to, "IPC$"), Path: "atsvc", Access: 0x12019f, Disposition: 1})
	l.bind(windows.TaskScheduler, "atsvc", true)
	for _, c := range []struct {
		op  uint16
		len uint32
	}{{1, 3170}, {12, 60}, {16, 48}, {13, 48}} {
		l.RPC(windows.TaskScheduler, c.op, "atsvc", Call{Length: c.len, Reply: 100, Sealed: true}).Wait(150 * time.Millisecond)
	}
	share := s.unc(to, "ADMIN$")
	l.SMB(flows.SMBTree, File{Share: share}).Wait(3 * time.Second)
	path := `Temp\` + s.letters(8) + ".tmp"
	l.read(share, path, "", 300).SMB(flows.SMBDelete, File{Share: share, Path: path})
	return l.Close()
}

// SchTasks registers a task over TCP, sealed, and runs it, as schtasks.exe /s does.
func (s *Scene) SchTasks(at packet.Time, from, to packet.Addr, who Account, run bool) packet.Time {
	l := s.tcp(at, from, to, who, windows.TaskScheduler)
	l.RPC(windows.TaskScheduler, 0, "", Call{Length: 52, Reply: 8, Sealed: true})
	l.RPC(windows.TaskScheduler, 7, "", Call{Length: 40, Reply: 216, Sealed: true})
	l.RPC(windows.TaskScheduler, 1, "", Call{Length: 3170, Reply: 172, Sealed: true})
	if run {
		l.Wait(2*time.Second).RPC(windows.TaskScheduler, 12, "", Call{Length: 80, Reply: 40, Sealed: true})
	}
	return l.Close()
}

// WinRM is a PowerShell session: a shell, commands, their output, over several connections.
func (s *Scene) WinRM(at packet.Time, from, to packet.Addr, who Account, commands int) packet.Time {
	if who.KDC != (packet.Addr{}) {
		s.Ticket(at, from, who, "HTTP/"+s.name(to), 18)
	}
	host := s.name(to) + ":5985"
	for _, n := range []int{2, 4, 2 + commands} {
		at = s.HTTP(at, from, to, 5985, "POST", host, "/wsman?PSVersion=5.1.18362.752", "Microsoft WinRM Client", n, time.Second, 1900, 3000)
	}
	return at
}

// CopyTool brings a program to an administrative share.
func (s *Scene) CopyTool(at packet.Time, from, to packet.Addr, who Account, path string) packet.Time {
	l := s.Session(at, from, to, who)
	l.put("C$", path, programHead, 11776+uint64(s.Rand.IntN(400000)))
	return l.Close()
}

// Shares lists a server's shares.
func (s *Scene) Shares(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	l := s.Session(at, from, to, who).pipe("srvsvc", windows.Srvsvc)
	l.RPC(windows.Srvsvc, 15, "srvsvc", Call{Length: 96, Reply: 600})
	return l.Close()
}

// Sessions asks a host who is logged on, as SharpHound does: sessions, users, the registry's loaded hives, local groups.
func (s *Scene) Sessions(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	l := s.Session(at, from, to, who)
	l.pipe("srvsvc", windows.Srvsvc).RPC(windows.Srvsvc, 12, "srvsvc", Call{Length: 148, Reply: 64})
	l.pipe("wkssvc", windows.Wkssvc).RPC(windows.Wkssvc, 2, "wkssvc", Call{Length: 132, Reply: 64, Return: 5})
	l.SMB(flows.SMBPipe, File{Share: s.unc(to, "IPC$"), Path: "winreg", Access: 0x12019f, Disposition: 1}).bind(windows.Winreg, "winreg", true)
	for _, op := range []uint16{4, 16, 9, 9, 5} {
		l.RPC(windows.Winreg, op, "winreg", Call{Length: 96, Reply: 100, Sealed: true})
	}
	l.pipe("samr", windows.SAMR)
	for _, op := range []uint16{64, 6, 5, 7, 15, 27, 33, 1} {
		l.RPC(windows.SAMR, op, "samr", Call{Length: 44, Reply: 120})
	}
	return l.Close()
}

// Accounts lists users and groups of a domain or host over samr, as net.exe and its kin do.
func (s *Scene) Accounts(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	l := s.Session(at, from, to, who).pipe("samr", windows.SAMR)
	for _, op := range []uint16{64, 6, 5, 7, 13, 13, 11, 25, 18, 1} {
		l.RPC(windows.SAMR, op, "samr", Call{Length: 40, Reply: 1052})
	}
	return l.Close()
}

// Services asks a host's service manager; open is all that a check for administrative rights does.
func (s *Scene) Services(at packet.Time, from, to packet.Addr, who Account, ops ...uint16) packet.Time {
	l := s.tcp(at, from, to, who, windows.Svcctl)
	for _, op := range append([]uint16{64}, ops...) {
		l.RPC(windows.Svcctl, op, "", Call{Length: 104, Reply: 24, Sealed: true})
	}
	return l.Close()
}

// DCSync pulls accounts with their hashes from a domain controller.
func (s *Scene) DCSync(at packet.Time, from, dc packet.Addr, who Account) packet.Time {
	l := s.tcp(at, from, dc, who, windows.DRSUAPI)
	for _, op := range []uint16{0, 16, 12, 0, 3, 3, 1} {
		l.RPC(windows.DRSUAPI, op, "", Call{Length: 324, Reply: 4744, Sealed: true})
	}
	return l.Close()
}

// Replicate is what domain controllers do: one tells the other of changes, which pulls them.
func (s *Scene) Replicate(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	l := s.tcp(at, from, to, who, windows.DRSUAPI)
	for _, op := range []uint16{0, 2, 3, 4, 1} {
		l.RPC(windows.DRSUAPI, op, "", Call{Length: 324, Reply: 9000, Sealed: true})
	}
	return l.Close()
}

// CrackNames is a client's look-up of a name in the directory at log-on.
func (s *Scene) CrackNames(at packet.Time, from, dc packet.Addr, who Account) packet.Time {
	l := s.tcp(at, from, dc, who, windows.DRSUAPI)
	for _, op := range []uint16{0, 12, 1} {
		l.RPC(windows.DRSUAPI, op, "", Call{Length: 140, Reply: 264, Sealed: true})
	}
	return l.Close()
}

// SecureChannel is a computer's own log-on to its domain: one challenge, one authentication, then sealed calls.
func (s *Scene) SecureChannel(at packet.Time, from, dc packet.Addr) packet.Time {
	l := s.Open(at, from, dc, 49674, flows.AppDCERPC)
	l.bind(windows.Netlogon, "", false)
	b := make(stub, 72)
	for i := range b {
		b[i] = byte(s.Rand.Uint32() | 1)
	}
	l.RPC(windows.Netlogon, 4, "", Call{Stub: b, Reply: 12})
	l.RPC(windows.Netlogon, 26, "", Call{Length: 120, Reply: 20})
	l.bind(windows.Netlogon, "", true).RPC(windows.Netlogon, 29, "", Call{Length: 896, Reply: 892, Sealed: true})
	return l.Close()
}

// Zerologon tries the controller's secure channel until it gives in.
func (s *Scene) Zerologon(at packet.Time, from, dc packet.Addr, tries int) packet.Time {
	l := s.Open(at, from, dc, 49674, flows.AppDCERPC)
	l.bind(windows.Netlogon, "", false)
	challenge := handle().u32(1).text("DC1")
	challenge = append(challenge.u32(), make([]byte, 8)...)
	for i := range tries {
		status := uint32(0xc0000022)
		if i == tries-1 {
			status = 0
		}
		l.RPC(windows.Netlogon, 4, "", Call{Stub: challenge, Reply: 12})
		l.RPC(windows.Netlogon, 26, "", Call{Length: 120, Reply: 20, Return: status}).Wait(15 * time.Millisecond)
	}
	l.RPC(windows.Netlogon, 30, "", Call{Length: 600, Reply: 20})
	return l.Close()
}

// Hives saves registry hives on a host and fetches them, as secretsdump does.
func (s *Scene) Hives(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	l := s.Session(at, from, to, who).pipe("winreg", windows.Winreg)
	share := s.unc(to, "ADMIN$")
	l.SMB(flows.SMBTree, File{Share: share})
	for range 2 {
		name := s.letters(8) + ".tmp"
		l.RPC(windows.Winreg, 2, "winreg", Call{Length: 16, Reply: 24})
		l.RPC(windows.Winreg, 15, "winreg", Call{Length: 60, Reply: 24})
		l.RPC(windows.Winreg, 20, "winreg", Call{Stub: handle().u32(0x00180016, 1).text(name), Reply: 4}).Wait(100 * time.Millisecond)
		l.read(share, `System32\`+name, "regf", 60000)
		l.SMB(flows.SMBDelete, File{Share: share, Path: `System32\` + name})
	}
	return l.Close()
}

// Coerce makes a server log on to the caller, by the spooler or EFS, and that logs on.
func (s *Scene) Coerce(at packet.Time, from, to packet.Addr, who Account, efs bool) packet.Time {
	l := s.Session(at, from, to, who)
	path := `\\` + from.String() + `\x\y`
	if efs {
		l.pipe("lsarpc", windows.EFSLSA).RPC(windows.EFSLSA, 0, "lsarpc", Call{Stub: stub{}.text(path), Reply: 4, Return: 0x35})
	} else {
		l.pipe("spoolss", windows.Spoolss)
		l.RPC(windows.Spoolss, 1, "spoolss", Call{Stub: stub{}.u32(1).text(`\\` + s.name(to)), Reply: 24})
		l.RPC(windows.Spoolss, 65, "spoolss", Call{Stub: append(handle(), stub{}.u32(0x100, 0, 1).text(`\\`+from.String())...), Reply: 4, Return: 5})
	}
	back := s.Open(l.At, to, from, 445, flows.AppSMB)
	back.SMB(flows.SMBNegotiate, File{}).LogOn(Account{Domain: who.Domain, User: s.name(to) + "$"}, flows.AppSMB, 0xc000005e)
	back.Close()
	return l.Close()
}

// Relay hands one server's challenge to a victim and the victim's answer to that server: the same challenge and answer show twice.
func (s *Scene) Relay(at packet.Time, victim, liar, server packet.Addr, who Account) packet.Time {
	challenge, proof := s.Rand.Uint64(), s.Rand.Uint64()|1
	ends := at
	for _, p := range [][2]packet.Addr{{victim, liar}, {liar, server}} {
		l := s.Open(at, p[0], p[1], 445, flows.AppSMB)
		l.SMB(flows.SMBNegotiate, File{})
		workstation, name := s.name(victim), s.name(server)
		l.fact(900, 300, func(o *flows.Out, m flows.Meta, c flows.Conn) {
			a := flows.Auth{
				Meta: m, Conn: c, Over: flows.AppSMB, Method: flows.AuthNTLM, Outcome: flows.Succeeded,
				User: o.PutString(who.User), Domain: o.PutString(who.Domain), Workstation: o.PutString(workstation), Server: o.PutString(name),
			}
			binary.LittleEndian.PutUint64(a.Challenge[:], challenge)
			binary.LittleEndian.PutUint64(a.Proof[:], proof)
			o.Auth(&a)
		})
		ends = l.Close()
		at = at.Add(30 * time.Millisecond)
	}
	return ends
}

// ClearLog clears an event log.
func (s *Scene) ClearLog(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	return s.tcp(at, from, to, who, windows.Even6).RPC(windows.Even6, 6, "", Call{Length: 90, Reply: 16, Sealed: true}).Close()
}

// Reboot restarts a host, as patch management does.
func (s *Scene) Reboot(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	l := s.Session(at, from, to, who).pipe("InitShutdown", windows.InitShutdown)
	return l.RPC(windows.InitShutdown, 0, "InitShutdown", Call{Length: 64, Reply: 4}).Close()
}

// SetPassword resets an account's password over samr, as a help desk's console does.
func (s *Scene) SetPassword(at packet.Time, from, dc packet.Addr, who Account) packet.Time {
	l := s.Session(at, from, dc, who).pipe("samr", windows.SAMR)
	for _, op := range []uint16{64, 6, 5, 7, 17, 34, 58, 1} {
		l.RPC(windows.SAMR, op, "samr", Call{Length: 60, Reply: 24})
	}
	return l.Close()
}

// Install brings an installer to ADMIN$ and makes a service of it that stays, as software deployment does.
func (s *Scene) Install(at packet.Time, from, to packet.Addr, who Account, path, service string) packet.Time {
	l := s.Session(at, from, to, who)
	l.put("ADMIN$", path, programHead, 2<<20)
	m := s.tcp(l.At, from, to, who, windows.Svcctl)
	for _, op := range []uint16{15, 12, 19, 6} {
		m.RPC(windows.Svcctl, op, "", Call{Length: 180, Reply: 28, Sealed: true})
	}
	l.At = m.Close()
	return l.Close()
}

// Print opens a named printer of a print server, registers for its changes and prints.
func (s *Scene) Print(at packet.Time, from, to packet.Addr, who Account, printer string) packet.Time {
	l := s.Session(at, from, to, who).pipe("spoolss", windows.Spoolss)
	l.RPC(windows.Spoolss, 69, "spoolss", Call{Stub: stub{}.u32(1).text(`\\` + s.name(to) + `\` + printer), Reply: 24})
	l.RPC(windows.Spoolss, 65, "spoolss", Call{Stub: append(handle(), stub{}.u32(0x100, 0, 1).text(`\\`+s.name(from))...), Reply: 4})
	for _, op := range []uint16{17, 19, 19, 23, 29} {
		l.RPC(windows.Spoolss, op, "spoolss", Call{Length: 4000, Reply: 8})
	}
	return l.Close()
}

// Policy reads Group Policy from SYSVOL, as every computer does at its start and every 90 minutes.
func (s *Scene) Policy(at packet.Time, from, dc packet.Addr, who Account, domain string) packet.Time {
	l := s.Session(at, from, dc, who)
	share := s.unc(dc, "SYSVOL")
	l.SMB(flows.SMBTree, File{Share: share})
	base := domain + `\Policies\{31B2F340-016D-11D2-945F-00C04FB984F9}\`
	l.read(share, base+"gpt.ini", "[General]", 60)
	l.read(share, base+`Machine\Registry.pol`, "PReg", 4000)
	l.read(share, base+`Machine\Microsoft\Windows NT\SecEdit\GptTmpl.inf`, "", 1200)
	return l.Close()
}

// Work opens files on a server's share and saves some.
func (s *Scene) Work(at packet.Time, from, to packet.Addr, who Account, share string, reads, writes int, every time.Duration) packet.Time {
	l := s.Session(at, from, to, who)
	unc := s.unc(to, share)
	l.SMB(flows.SMBTree, File{Share: unc})
	name := func() string {
		return fmt.Sprintf(`dept%d\project%d\file%d.docx`, s.Rand.IntN(9), s.Rand.IntN(40), s.Rand.IntN(900))
	}
	l.SMB(flows.SMBList, File{Share: unc, Path: fmt.Sprintf("dept%d", s.Rand.IntN(9)), NewPath: "*"})
	for range reads {
		l.read(unc, name(), "PK\x03\x04", uint64(20000+s.Rand.IntN(400000))).Wait(every)
	}
	for range writes { // as word processors save: a new file, then two renames and a deletion
		path := name()
		temp := path[:len(path)-9] + "~WRD" + fmt.Sprint(s.Rand.IntN(9999)) + ".tmp"
		l.write(unc, temp, "PK\x03\x04", uint64(20000+s.Rand.IntN(300000)))
		l.SMB(flows.SMBRename, File{Share: unc, Path: path, NewPath: path + "~RF1.TMP"})
		l.SMB(flows.SMBRename, File{Share: unc, Path: temp, NewPath: path})
		l.SMB(flows.SMBDelete, File{Share: unc, Path: path + "~RF1.TMP"}).Wait(every)
	}
	return l.Close()
}

// Storm reads files of a share, writes them anew and renames them with a new ending, as ransomware does.
func (s *Scene) Storm(at packet.Time, from, to packet.Addr, who Account, share string, files int, every time.Duration) packet.Time {
	l := s.Session(at, from, to, who)
	unc := s.unc(to, share)
	l.SMB(flows.SMBTree, File{Share: unc})
	ending := "." + s.letters(6)
	for i := range files {
		path := fmt.Sprintf(`dept%d\project%d\file%d.docx`, i/200, i/20%10, i)
		size := uint64(20000 + s.Rand.IntN(400000))
		l.SMB(flows.SMBOpen, File{Share: unc, Path: path, Access: 0x12019f, Disposition: 1})
		l.SMB(flows.SMBRead, File{Share: unc, Path: path, Head: "PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00\xdf\xcc", Bytes: size, Final: true})
		var head [16]byte
		binary.LittleEndian.PutUint64(head[:], s.Rand.Uint64())
		binary.LittleEndian.PutUint64(head[8:], s.Rand.Uint64())
		l.SMB(flows.SMBWrite, File{Share: unc, Path: path, Head: string(head[:]), Bytes: size, Final: true, Entropy: randomEntropy})
		l.SMB(flows.SMBRename, File{Share: unc, Path: path, NewPath: path + ending})
		if i%20 == 0 {
			l.write(unc, path[:len(path)-len("file0.docx")]+"README_RESTORE.txt", "Your", 1200)
		}
		l.Wait(every)
	}
	return l.Close()
}

// SetOwnPassword is a person who changes their own password.
func (s *Scene) SetOwnPassword(at packet.Time, from, dc packet.Addr, who Account) packet.Time {
	l := s.Session(at, from, dc, who).pipe("samr", windows.SAMR)
	return l.RPC(windows.SAMR, 55, "samr", Call{Length: 1100, Reply: 4}).Close()
}

// BackupKey asks a controller for the key that restores a person's own secrets, as Windows does after such a change.
func (s *Scene) BackupKey(at packet.Time, from, dc packet.Addr, who Account) packet.Time {
	l := s.Session(at, from, dc, who).pipe("protected_storage", windows.BackupKey)
	return l.RPC(windows.BackupKey, 0, "protected_storage", Call{Length: 600, Reply: 400}).Close()
}

// Rename gives many files of a share other names, as a person who sorts.
func (s *Scene) Rename(at packet.Time, from, to packet.Addr, who Account, share string, files int, every time.Duration) packet.Time {
	l := s.Session(at, from, to, who)
	unc := s.unc(to, share)
	l.SMB(flows.SMBTree, File{Share: unc})
	for i := range files {
		l.SMB(flows.SMBRename, File{Share: unc, Path: fmt.Sprintf(`photos\IMG_%04d.jpg`, i), NewPath: fmt.Sprintf(`photos\2026-01 party %03d.jpg`, i)}).Wait(every)
	}
	return l.Close()
}

// Unpack writes many new files to a share, as an archive's contents or a build's.
func (s *Scene) Unpack(at packet.Time, from, to packet.Addr, who Account, share string, files int, every time.Duration) packet.Time {
	l := s.Session(at, from, to, who)
	unc := s.unc(to, share)
	l.SMB(flows.SMBTree, File{Share: unc})
	for i := range files {
		path := fmt.Sprintf(`build4711\obj%d\part%d.%s`, i/50, i, []string{"o", "txt", "json", "bin"}[i%4])
		l.write(unc, path, "\x00\x01data", uint64(1000+s.Rand.IntN(100000))).Wait(every)
	}
	return l.Close()
}

// sealed opens a session that goes over to encryption: sizes are what is left.
func (s *Scene) sealed(at packet.Time, from, to packet.Addr, who Account) *Link {
	l := s.Open(at, from, to, 445, flows.AppSMB)
	return l.SMB(flows.SMBNegotiate, File{}).LogOn(who, flows.AppSMB, 0).SMB(flows.SMBEncrypted, File{})
}

// sizes enters what the sizes of encrypted messages tell.
func (l *Link) sizes(x flows.Sealed, sizes string) *Link {
	user := l.user
	x.First = l.At
	l.fact(x.Wrote+100*uint64(x.Calls), x.Read+200*uint64(x.Calls), func(o *flows.Out, m flows.Meta, c flows.Conn) {
		o.SMB(&flows.SMB{Meta: m, Conn: c, Op: flows.SMBSealed, User: o.PutString(user), Path: o.PutString(sizes), Sealed: x})
	})
	return l
}

// SealedWork reads and saves files of a server that encrypts.
func (s *Scene) SealedWork(at packet.Time, from, to packet.Addr, who Account, wrote, read uint64) packet.Time {
	l := s.sealed(at, from, to, who)
	l.sizes(flows.Sealed{Calls: 1, Bindings: 1, Exchanges: 6, Largest: 600}, "72 68 96")
	return l.Wait(30*time.Second).sizes(flows.Sealed{Wrote: wrote, Read: read, Bindings: 1, Exchanges: 40}, "").Close()
}

// SealedAccounts lists users and groups over an encrypted session.
func (s *Scene) SealedAccounts(at packet.Time, from, dc packet.Addr, who Account) packet.Time {
	l := s.sealed(at, from, dc, who)
	l.Wait(100 * time.Millisecond)
	return l.sizes(flows.Sealed{Calls: 11, Domains: 1, Builtin: 1, Bindings: 1, Exchanges: 24, Largest: 1052}, "72 68 92 36 52").Close()
}

// SealedExec brings a program and runs it as a service, over an encrypted session.
func (s *Scene) SealedExec(at packet.Time, from, to packet.Addr, who Account) packet.Time {
	l := s.sealed(at, from, to, who).sizes(flows.Sealed{Wrote: 145568, Exchanges: 8}, "")
	l.Wait(2 * time.Second)
	return l.sizes(flows.Sealed{Calls: 7, Wrote: 145568, Bindings: 1, Exchanges: 24, Largest: 80}, "72 68 112").Close()
}
