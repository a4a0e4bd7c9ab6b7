package flows

import "neuromast/sensor/packet"

// DNS is one transaction: a query with its answer, a query that stayed unanswered, or an answer whose query was not seen.
type DNS struct {
	Meta
	Conn
	QueryAt, AnswerAt   packet.Time // 0 where that half was not seen
	QueryRef, AnswerRef Ref
	Name                Text // question name as wire labels (length, bytes, …, 0), lower-cased: lengths and entropy come from it
	Answers             Span // of Batch.Answers
	QueryBytes          uint16
	AnswerBytes         uint16
	ID                  uint16
	Type, Class         uint16
	Flags               uint16 // header flags of the answer, else of the query
	Rcode               uint8
	MixedCase           bool // the name came in mixed case (RFC draft 0x20)
	Turned              bool // the responder of the conversation asked, or its originator answered: what a group was asked is answered in another conversation
	App                 App  // AppDNS, AppMDNS, AppLLMNR or AppNBNS
}

// Answered says whether the answer was seen.
func (d *DNS) Answered() bool { return d.AnswerAt != 0 }

// Asker is who asked, or who was answered. Of an answer to a group it is the group.
func (d *DNS) Asker() packet.Addr {
	if d.Turned {
		return d.Resp
	}
	return d.Orig
}

// Responder is who answered, or who was asked: a group for mDNS, LLMNR, and broadcasts to the NetBIOS name service.
func (d *DNS) Responder() packet.Addr {
	if d.Turned {
		return d.Orig
	}
	return d.Resp
}

// Opcode is the operation (RFC 1035, 4.1.1): 0 a query; for NetBIOS 5 the registration of a name by its holder, 6 its release,
// 7 a wait, 8 and 9 a refresh (RFC 1002, 4.2.1.1).
func (d *DNS) Opcode() uint8 { return uint8(d.Flags >> 11 & 15) }

// Answer is one resource record of a DNS answer section.
type Answer struct {
	Name Text // owner as wire labels, lower-cased
	Data Text // presentation form: an address, a name with dots, or the RDATA as master-file text
	TTL  uint32
	Type uint16
	Len  uint16 // RDATA length in bytes on the wire
}

// TLS is a ClientHello.
type TLS struct {
	Meta
	Conn
	ServerName Text
	ALPN       Text // first protocol offered
	JA4        Text // FoxIO JA4 of TLS clients (BSD-3)
	JA3        [16]byte
	Version    uint16 // highest version offered
	QUIC       bool   // it opened a connection of QUIC
}

// SMBOp is what an SMB fact says.
type SMBOp uint8

// The SMB operations that become facts.
const (
	SMBNegotiate SMBOp = iota // a dialect was agreed; Dialect
	SMBTree                   // a share was connected; Share
	SMBOpen                   // a file or directory was opened or created; Path, Access, Disposition, Created
	SMBPipe                   // a named pipe was opened; Path is the pipe's name without \
	SMBWrite                  // first write to a file, and once more at its close with the total; Head, Bytes
	SMBRead                   // first read of a file, and once more at its close with the total
	SMBRename                 // Path renamed to NewPath
	SMBDelete                 // a file was marked for deletion
	SMBEncrypted              // the session went over to encryption (transform header): from here on SMBSealed tells what sizes tell
	SMBViolation              // a protocol violation that clients don't make; Path names it
	SMBList                   // a directory's entries were asked for, once per opening; Path, NewPath the pattern
	SMBSealed                 // what the sizes of encrypted messages tell; Sealed, Path the first sizes
	NumSMBOps
)

var smbOpNames = [NumSMBOps]string{
	"negotiate", "tree", "open", "pipe", "write", "read", "rename", "delete", "encrypted", "violation", "list", "sealed",
}

func (o SMBOp) String() string { return smbOpNames[o] }

// SMB is one operation on a share, a file or a pipe.
type SMB struct {
	Meta
	Conn
	Share       Text // UNC path as the client sent it, UTF-8
	Path        Text // below the share, UTF-8, as sent
	NewPath     Text
	User        Text // DOMAIN\user of the session where NTLM showed it
	Bytes       uint64
	Status      uint32 // NTSTATUS of the answer
	Access      uint32 // desired access mask (MS-SMB2 2.2.13.1)
	Disposition uint32
	Dialect     uint16 // 0x0202…0x0311; SMB1: 0x0001
	Op          SMBOp
	Answered    bool // the answer was seen; Status is valid
	Created     bool // the answer says that the file was created anew
	Final       bool // SMBWrite, SMBRead: the file was closed, Bytes is the total
	DeleteClose bool // opened with DELETE_ON_CLOSE
	HeadLen     uint8
	Head        [16]byte // first bytes written or read at offset 0
	Sample      uint8    // bytes that Entropy was measured on, at most 64: the first that were written or read; 0: none
	Entropy     uint16   // of them, in hundredths of bits per byte: 600 for 64 different ones
	Sealed      Sealed
}

// Sealed is what the sizes of encrypted SMB3 messages tell (the transform header says how long each is in clear, and the
// protocol's structures have fixed lengths). Calls and Span are of one binding, the others of the connection so far.
type Sealed struct {
	First     packet.Time // of the binding
	Wrote     uint64      // bytes of writes outside bindings
	Read      uint64
	Calls     uint32 // remote procedure calls behind one binding; 0 where the fact tells of files, or sums up
	Domains   uint16 // account domains that were looked up by name and opened by SID within the binding
	Builtin   uint16 // times that the built-in domain was, which holds the local groups
	Bindings  uint32
	Exchanges uint32 // requests with an answer
	Largest   uint32 // answer within the binding, bytes
}

// OK says that the server granted the operation.
func (s *SMB) OK() bool { return s.Answered && s.Status == 0 }

// Source says how an RPC call's interface is known.
type Source uint8

// The ways to know an interface, best first.
const (
	FromBind    Source = iota // the bind or alter context of this connection
	FromPipe                  // the pipe's name: the bind was not seen
	FromMapper                // an endpoint-mapper answer for this server and port (joined behind the batch boundary)
	FromNowhere               // not known; UUID is zero
)

// UUID is a DCE UUID in the order it is written as text.
type UUID [16]byte

// Outcome is what became of a request.
type Outcome uint8

// The outcomes.
const (
	Unseen    Outcome = iota // no answer was seen
	Succeeded                // answered; for RPC: a response came (see Return for its own status)
	Failed                   // refused or faulted
)

// RPC is one DCE/RPC call (C706, MS-RPCE), written when its response or fault came, or when none can be expected.
type RPC struct {
	Meta
	Conn
	Pipe       Text // name of the pipe, empty over TCP
	Stub       Text // first bytes of the request's stub, at most 512; sealed where AuthLevel is 6
	Reply      Text // first bytes of the response's stub, at most 128
	Binding    Text // ept_map answers: "uuid port" of each TCP tower, space separated
	User       Text // DOMAIN\user of the session or of the bind's NTLM
	RequestAt  packet.Time
	RequestRef Ref
	Interface  UUID
	StubLen    uint32 // of the whole request, over its fragments
	ReplyLen   uint32
	Return     uint32 // last four bytes of the response stub: the operation's own status; valid where HasReturn
	Fault      uint32 // nca status of a fault PDU
	CallID     uint32
	Opnum      uint16
	Version    uint16 // interface major version
	AuthType   uint8  // 0 none, 9 SPNEGO, 10 NTLM, 16 Kerberos, 68 Netlogon
	AuthLevel  uint8  // 1 none … 5 integrity, 6 privacy
	Source     Source
	Outcome    Outcome
	HasReturn  bool
	Bind       bool // not a call but a bind: Outcome says whether Interface was accepted; Opnum is 0
	Encrypted  bool // AuthLevel 6: Stub and Reply are cipher text
	Midstream  bool // the connection's start was not seen
}

// AuthMethod is how a user proved who they are.
type AuthMethod uint8

// The methods.
const (
	AuthNTLM AuthMethod = iota
	AuthKerberos
	AuthPassword // in the clear, as a digest of it, or within a sealed session whose answers still tell what came of it
)

// Auth is one authentication seen in a connection.
type Auth struct {
	Meta
	Conn
	User        Text
	Domain      Text
	Workstation Text // as the client claims: weak
	Server      Text // NetBIOS or DNS computer name that the server claims
	Host        Text // HTTP: whom the request says that it is for
	Status      uint32
	Challenge   [8]byte // NTLM server challenge
	Proof       [8]byte // NTLM: first bytes of the client's answer to it (of NTProofStr, MS-NLMP 3.3.2); zero where there is none
	Method      AuthMethod
	Over        App // protocol that carried it
	Outcome     Outcome
	NTLMv1      bool
	Anonymous   bool
}

// MaxEtypes is how many of the ciphers that a client offers are kept.
const MaxEtypes = 8

// Kerberos is one exchange with a key distribution centre (RFC 4120, 3.1 and 3.3): a request with its answer, a request
// without one, or an answer whose request was not seen.
type Kerberos struct {
	Meta
	Conn
	Client     Text // principal that asks, components joined by /; empty where FAST hides it, or a TGS request failed
	Service    Text // principal that the ticket is for
	Realm      Text
	RequestRef Ref
	Code       uint32 // of the KRB-ERROR (RFC 4120, 7.5.9); valid where Outcome is Failed
	Offered    [MaxEtypes]int8
	Keys       [MaxEtypes]int8 // ciphers for which the account has keys, as an error that asks for a proof tells them (PA-ETYPE-INFO2)
	NumOffered uint8
	NumKeys    uint8
	Ticket     int8 // cipher that the ticket is sealed with (the service's key); 0: none was given
	Part       int8 // cipher of the part for the client
	Outcome    Outcome
	TGS        bool // a ticket asked with a ticket; false: with the client's own key
	Proof      bool // the request carried pre-authentication that proves the key, or FAST
	Asked      bool // the request was seen: Offered, Proof and Behalf are valid
	Behalf     bool // a service asks in somebody else's name (MS-SFU), whose own tickets are at another host
}

// HTTP is a request of HTTP/1 with its answer's status.
type HTTP struct {
	Meta
	Conn
	RequestRef  Ref
	Method      Text
	Target      Text // as sent, at most 256 bytes, as the others
	Host        Text
	Agent       Text
	ContentType Text
	Lookup      Text   // what the request wants looked up through JNDI by the server's own log, "ldap://host/x"; it is told before the answer then
	Length      uint64 // Content-Length of the request
	Status      uint16 // of the answer; 0: none was seen
}

// ARP is an ARP message for IPv4 (RFC 826). The first of its kind in a minute is told at once; what a host repeats without
// a change is folded and told at the end of the minute: Count says how often.
type ARP struct {
	Meta
	Segment        packet.Segment
	Sender, Target packet.Addr // protocol addresses of the message
	SenderMAC      packet.MAC  // hardware addresses of the message
	TargetMAC      packet.MAC
	From, To       packet.MAC // addresses of the frame; To is broadcast for most requests
	Count          uint32     // messages that this one stands for, itself included
	Reply          bool       // operation 2; else 1
}

// Gratuitous says that the message asks for nobody but tells the sender's own address (RFC 5227, 1.2.1; probes, with no
// sender address, are none).
func (a *ARP) Gratuitous() bool { return a.Sender == a.Target }

// DHCPKind is what a DHCP message says (RFC 2132, 9.6).
type DHCPKind uint8

// The kinds of messages, numbered as on the wire; 0 is BOOTP without the option.
const (
	DHCPDiscover DHCPKind = 1 + iota
	DHCPOffer
	DHCPRequest
	DHCPDecline
	DHCPAck
	DHCPNak
	DHCPRelease
	DHCPInform
)

// DHCP is one DHCPv4 message (RFC 2131).
type DHCP struct {
	Meta
	Conn
	HostName  Text        // option 12, or the host part of option 81; as the client says: weak
	Vendor    Text        // option 60
	ClientID  Text        // option 61, as bytes
	Client    packet.Addr // ciaddr: the address the client has; zero where it has none
	Yours     packet.Addr // yiaddr: the address it is given
	Requested packet.Addr // option 50
	Server    packet.Addr // option 54, else the sender of an answer
	Router    packet.Addr // option 3, the first
	Resolver  packet.Addr // option 6, the first
	Relay     packet.Addr // giaddr
	Lease     uint32      // option 51, seconds
	Xid       uint32
	Hardware  packet.MAC // chaddr
	From      packet.MAC // sender of the frame
	Kind      DHCPKind
}

// RDP is the first exchange of a remote desktop connection (MS-RDPBCGR 2.2.1.1, 2.2.1.2).
type RDP struct {
	Meta
	Conn
	RequestRef Ref
	Cookie     Text   // mstshash: the user, cut by the client
	Requested  uint32 // protocols that the client can: 0 standard, 1 TLS, 2 CredSSP, 8 CredSSP with early authorisation
	Selected   uint32 // by the server; valid where Outcome is Succeeded
	Granted    uint8  // flags of the server's answer: 8 restricted administration is possible, 16 redirected authentication
	Failure    uint32 // code of the refusal; valid where Outcome is Failed
	Flags      uint8  // of the request: 1 restricted administration, 2 redirected authentication
	Outcome    Outcome
}

// SSH is the opening of an SSH connection: banners (RFC 4253, 4.2) and the lists of algorithms (7.1).
type SSH struct {
	Meta
	Conn
	Client, Server Text     // software versions, without SSH-2.0-
	HASSH          [16]byte // MD5 of the client's algorithms (Salesforce HASSH); zero where they were not seen
	HASSHServer    [16]byte
}

// Session is the shape of a terminal or desktop session whose contents are sealed, or its shape so far: from sizes and
// times of messages (flows/proto/shape says what they are). It is written at each report of an open connection and at its
// end; numbers are cumulative, and start where the log-in ended, if that was seen.
type Session struct {
	Meta
	Conn
	FirstRef    Ref // Ref is that of the last message
	First, Last packet.Time
	Messages    [2]uint32 // by Dir, as all of these
	Small       [2]uint32 // of them: at most 128 bytes
	Bytes       [2]uint64
	Bulk        [2]uint64 // bytes in segments or records of 1,000 bytes and more: files, or screens
	Typed       [2]uint32 // keys that somebody on this side typed, known by the other side's echoes
	Alike       [2]uint32 // of them: those of the size of the one before, as keys of one session are
	Pace        [2]uint32 // mean wait between echo and next key in ms; 0 where nothing was typed
	Spread      [2]uint32 // variance of the waits in ms²
	Struck      uint32    // keys of the originator that a program struck: press and release at once, one after the other
	Active      uint32    // spans of ten seconds with at least twenty messages of the originator
	Spans       uint32    // spans of ten seconds so far
	App         App
	LoggedIn    Outcome // whether the log-in succeeded, where the shape tells
	Final       bool
}

// LDAPOp is what an LDAP fact says.
type LDAPOp uint8

// The operations that become facts.
const (
	LDAPBind LDAPOp = iota
	LDAPSearch
	LDAPSealed // sealed messages went by, of which only the size is known: Entries answers of Bytes since the last such fact
)

// LDAP is one operation on a directory with its result (RFC 4511).
type LDAP struct {
	Meta
	Conn
	RequestRef Ref    // zero where the request was not seen
	Base       Text   // of a search, cut at 256 bytes; for a bind the name
	Filter     Text   // in the form of RFC 4515, cut at 1,024 bytes
	Attributes Text   // asked for, space separated, cut at 512 bytes
	Mechanism  Text   // of a bind: SASL mechanism, "simple" for a password in clear
	Java       Text   // attributes of the entries that have a Java program load or make objects (RFC 2713), space separated
	Bytes      uint64 // of the answers
	Entries    uint32
	Code       uint32 // of the result (RFC 4511, 4.1.9); valid where Outcome is not Unseen
	PageSize   uint32 // of the paged results control (RFC 2696)
	Op         LDAPOp
	Scope      uint8 // 0 base, 1 one level, 2 subtree
	Outcome    Outcome
	Further    bool // a further page of a search, by the same control
	SDFlags    bool // the control that asks for security descriptors (MS-ADTS 3.1.1.3.4.1.11)
}

// SQL is a batch or call sent to a database over TDS (MS-TDS 2.2.1.4, 2.2.6.6).
type SQL struct {
	Meta
	Conn
	RequestRef Ref
	Statement  Text   // UTF-8, cut at 4,096 bytes; of a call the procedure's name and what it is given as text
	User       Text   // of the log-in, where it was seen
	Client     Text   // host that the client claims to be
	Program    Text   // that the client claims to be
	Length     uint32 // of the whole request in bytes
	Outcome    Outcome
	Call       bool // a remote procedure call rather than a batch
}
