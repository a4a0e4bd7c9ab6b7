package hostgraph

import (
	"strconv"
	"strings"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Service is what a server was used for: named by content where the sensor knows it, else by the port that is usual for
// it, else transport and port. Ports from 32768 on, which systems give out by chance, are one service a transport.
type Service uint32

// The named services.
const (
	NoService  Service = iota
	SMB                // files and pipes, without what AdminShare says
	AdminShare         // SMB that opened an administrative share (C$, ADMIN$), or ran something over a pipe
	RPC                // DCE/RPC over TCP
	RemoteExec         // DCE/RPC over TCP that ran something: services, tasks, WMI, DCOM
	WinRM
	RDP
	SSH
	VNC
	Telnet
	RemoteShell // rexec, rlogin, rsh
	MSSQL
	Oracle
	MySQL
	PostgreSQL
	Container // Docker, Kubernetes, kubelet
	VMware    // vSphere's 902
	WSUS
	SCCM
	IPMI
	SNMP
	Kerberos
	LDAP
	DNS
	NTP
	HTTP
	HTTPS
	Proxy
	Mail // SMTP, IMAP, POP3
	FTP
	NFS
	Print
	Syslog
	DHCP
	SIP
	MQTT
	Modbus
	NumServices // of the named ones
)

// info is what is known of a named service: Weight is how much a first contact says, above 0.4
// it administers the server or its data.
var info = [NumServices]struct {
	name   string
	weight float64
}{
	{"", 0}, {"smb", 0.2}, {"smb-admin", 1}, {"rpc", 0.3}, {"rpc-exec", 1}, {"winrm", 1}, {"rdp", 0.9}, {"ssh", 0.8}, {"vnc", 0.9}, {"telnet", 1},
	{"rsh", 1}, {"mssql", 0.6}, {"oracle", 0.5}, {"mysql", 0.5}, {"postgresql", 0.5}, {"container-api", 0.9}, {"vmware", 0.5}, {"wsus", 0.5},
	{"sccm", 0.5}, {"ipmi", 0.6}, {"snmp", 0.1}, {"kerberos", 0.05}, {"ldap", 0.05}, {"dns", 0.05}, {"ntp", 0.05}, {"http", 0.1}, {"https", 0.1},
	{"proxy", 0.05}, {"mail", 0.1}, {"ftp", 0.2}, {"nfs", 0.2}, {"print", 0.05}, {"syslog", 0.05}, {"dhcp", 0.05}, {"sip", 0.05}, {"mqtt", 0.05},
	{"modbus", 0.4},
}

// String returns the name, as tcp/8000 where there is none.
func (s Service) String() string {
	if s < NumServices {
		return info[s].name
	}
	proto := "ip"
	switch p := packet.Proto(s >> 16); p {
	case packet.ProtoTCP:
		proto = "tcp"
	case packet.ProtoUDP:
		proto = "udp"
	case packet.ProtoSCTP:
		proto = "sctp"
	default:
		return proto + "/" + strconv.Itoa(int(uint8(p)))
	}
	if port := s & 0xffff; port < anyHigh {
		return proto + "/" + strconv.Itoa(int(port))
	}
	return proto + "/high"
}

// Weight is how much a first contact with the service says about lateral movement, 0 to 1; chosen by us.
func (s Service) Weight() float64 {
	if s < NumServices {
		return info[s].weight
	}
	return 0.1
}

// Admin says that the service serves to administer a server, or hands out what it guards.
func (s Service) Admin() bool { return s.Weight() > 0.4 }

// ParseService returns the named service of a name, and transports with ports.
func ParseService(name string) (Service, bool) {
	for s := NoService + 1; s < NumServices; s++ {
		if info[s].name == name {
			return s, true
		}
	}
	proto, port, ok := strings.Cut(name, "/")
	protos := map[string]packet.Proto{"tcp": packet.ProtoTCP, "udp": packet.ProtoUDP, "sctp": packet.ProtoSCTP}
	if ok && port == "high" && protos[proto] != 0 {
		return plain(protos[proto], anyHigh), true
	}
	if n, err := strconv.ParseUint(port, 10, 16); ok && err == nil && protos[proto] != 0 {
		return plain(protos[proto], uint16(n)), true
	}
	return NoService, false
}

// anyHigh is where ports begin that systems give out by chance (Linux; Windows from 49152 on: RFC 6335, 6).
const anyHigh = 32768

// plain is the service of a port that says nothing.
func plain(p packet.Proto, port uint16) Service {
	return Service(p)<<16 | Service(min(port, anyHigh))
}

// byApp names services by content; where several stand behind one kind of content, the port decides.
var byApp = [flows.NumApps]Service{
	flows.AppDNS: DNS, flows.AppSMB: SMB, flows.AppDCERPC: RPC, flows.AppHTTP: HTTP, flows.AppSSH: SSH, flows.AppKerberos: Kerberos,
	flows.AppLDAP: LDAP, flows.AppRDP: RDP, flows.AppFTP: FTP, flows.AppSMTP: Mail, flows.AppIMAP: Mail, flows.AppPOP3: Mail, flows.AppNTP: NTP,
	flows.AppQUIC: HTTPS, flows.AppDHCP: DHCP, flows.AppSNMP: SNMP, flows.AppTDS: MSSQL, flows.AppMySQL: MySQL, flows.AppPostgres: PostgreSQL,
	flows.AppVNC: VNC, flows.AppTelnet: Telnet, flows.AppSIP: SIP, flows.AppMQTT: MQTT, flows.AppSyslog: Syslog, flows.AppNFS: NFS,
	flows.AppModbus: Modbus,
}

// byPort is the prior where content is unknown or carries others: web and TLS.
var byPort = map[uint16]Service{
	22: SSH, 23: Telnet, 25: Mail, 53: DNS, 80: HTTP, 88: Kerberos, 110: Mail, 111: NFS, 123: NTP, 135: RPC, 139: SMB, 143: Mail, 161: SNMP,
	389: LDAP, 443: HTTPS, 445: SMB, 464: Kerberos, 465: Mail, 512: RemoteShell, 513: RemoteShell, 514: Syslog, 515: Print, 587: Mail, 623: IPMI, 631: Print,
	636: LDAP, 902: VMware, 993: Mail, 995: Mail, 1433: MSSQL, 1521: Oracle, 2049: NFS, 2375: Container, 2376: Container, 2701: SCCM, 3128: Proxy,
	3268: LDAP, 3269: LDAP, 3306: MySQL, 3389: RDP, 5432: PostgreSQL, 5900: VNC, 5985: WinRM, 5986: WinRM, 6443: Container, 8080: Proxy, 8530: WSUS,
	8531: WSUS, 9100: Print, 10123: SCCM, 10250: Container,
}

// serviceOf names the service of a flow.
func serviceOf(r *flows.Record, port uint16) Service {
	switch prior := byPort[port]; {
	case r.App == flows.AppHTTP && (prior == WinRM || prior == Proxy || prior == WSUS || prior == SCCM || prior == Print || prior == Container):
		return prior
	case r.App == flows.AppTLS && prior != NoService && prior != HTTP:
		return prior
	case r.App == flows.AppTLS:
		return HTTPS
	case byApp[r.App] != NoService:
		return byApp[r.App]
	case r.App == flows.AppUnknown && prior != NoService:
		if port == 514 && r.Proto == packet.ProtoTCP {
			return RemoteShell
		}
		return prior
	}
	if r.App == flows.AppUnknown && (r.Proto == packet.ProtoTCP || r.Proto == packet.ProtoUDP || r.Proto == packet.ProtoSCTP) {
		return plain(r.Proto, port)
	}
	if r.App != flows.AppUnknown { // what has no name of its own here: by its port
		return plain(r.Proto, port)
	}
	return NoService // ICMP and the like say nothing about services
}

// Op is how something was run on a server.
type Op uint8

// The operations.
const (
	NoOp     Op = iota
	OpSvc       // a service was made or started
	OpTask      // a scheduled task
	OpWMI       // Windows Management Instrumentation
	OpDCOM      // an object activated or called
	OpWinRM     // a request to /wsman
	OpFile      // a file written to an administrative share
	OpPolicy    // the local or the domain's accounts, policies or keys were changed or fetched
	NumOps
)

var opNames = [NumOps]string{"", "service", "task", "wmi", "dcom", "winrm", "file to admin share", "replication"}

func (o Op) String() string { return opNames[o] }

func uuid(text string) flows.UUID {
	u, err := flows.ParseUUID(text)
	if err != nil {
		panic(text) // our own constants
	}
	return u
}

// call names an operation of an interface.
type call struct {
	iface flows.UUID
	opnum uint16
}

var (
	wbemServices = uuid("9556dc99-828c-11cf-a37e-00aa003240c7") // MS-WMI
	svcctl       = uuid("367abb81-9844-35f1-ad32-98f038001003") // MS-SCMR
	tasks        = uuid("86d35949-83c9-4044-b424-db363231fd0c") // MS-TSCH
)

// runs lists the calls that run something, from the specifications' IDL.
var runs = map[call]Op{
	{svcctl, 12}: OpSvc, {svcctl, 19}: OpSvc, {svcctl, 24}: OpSvc, {svcctl, 31}: OpSvc, {svcctl, 44}: OpSvc, {svcctl, 60}: OpSvc,
	{tasks, 1}: OpTask, {tasks, 12}: OpTask, {uuid("1ff70682-0a51-30e8-076d-740be8cee98b"), 0}: OpTask,
	{uuid("000001a0-0000-0000-c000-000000000046"), 4}: OpDCOM, {uuid("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57"), 0}: OpDCOM,
	{uuid("00020400-0000-0000-c000-000000000046"), 6}: OpDCOM,
	{wbemServices, 24}: OpWMI, {wbemServices, 25}: OpWMI,
	{uuid("e3514235-4b06-11d1-ab04-00c04fc2dcd2"), 3}: OpPolicy,
}
