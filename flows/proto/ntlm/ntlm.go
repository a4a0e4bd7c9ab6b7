// Package ntlm decodes the messages of NTLM authentication (MS-NLMP 2.2.1): who logs on, from where, at which server.
//
// They travel bare or inside SPNEGO, in SMB, DCE/RPC, HTTP, LDAP and others; Find looks for the signature and from there
// on trusts only the fields' offsets, each held against the message's bounds. All functions are pure; what they return
// aliases their input.
package ntlm

import (
	"bytes"
	"encoding/binary"
)

// Signature opens every message (MS-NLMP 2.2.1).
const Signature = "NTLMSSP\x00"

// Kind is a message's type.
type Kind uint8

// The kinds of messages (MS-NLMP 2.2.1.1 to 2.2.1.3).
const (
	Negotiate    Kind = 1 // from the client
	Challenge    Kind = 2 // from the server
	Authenticate Kind = 3 // from the client
)

const (
	flagUnicode   = 1 << 0  // NTLMSSP_NEGOTIATE_UNICODE, MS-NLMP 2.2.2.5
	flagAnonymous = 1 << 11 // the client authenticates as nobody
)

// Message is one message. Its byte fields alias the input and hold text as sent: see Append.
type Message struct {
	Kind        Kind
	Flags       uint32
	User        []byte  // Authenticate
	Domain      []byte  // Authenticate: the account's; Challenge: the server's target name
	Workstation []byte  // Authenticate: as the client claims
	Challenge   [8]byte // Challenge: the server's
	Proof       [8]byte // Authenticate: first bytes of the NT response: of NTProofStr (MS-NLMP 2.2.2.8), or of the 24 bytes of NTLMv1
	info        []byte  // Challenge: AV pairs
	NTLen       int     // Authenticate: bytes of the NT response
	LMLen       int     // Authenticate: bytes of the LM response
}

// Find decodes the first message in b, which may hold it bare or wrapped. It says false where there is none.
func Find(b []byte) (Message, bool) {
	for {
		i := bytes.Index(b, []byte(Signature))
		if i < 0 {
			return Message{}, false
		}
		if m, ok := Decode(b[i:]); ok {
			return m, true
		}
		b = b[i+len(Signature):]
	}
}

// Decode decodes the message that b starts with. It says false where b holds no whole header of a known kind; fields
// that point beyond b are empty.
func Decode(b []byte) (Message, bool) {
	var m Message
	if len(b) < 12 || string(b[:8]) != Signature {
		return m, false
	}
	le := binary.LittleEndian
	switch kind := le.Uint32(b[8:]); {
	case kind == uint32(Negotiate) && len(b) >= 16:
		m.Flags = le.Uint32(b[12:])
	case kind == uint32(Challenge) && len(b) >= 32:
		m.Domain = field(b, 12)
		m.Flags = le.Uint32(b[20:])
		copy(m.Challenge[:], b[24:32])
		if m.Flags&(1<<23) != 0 && len(b) >= 48 { // NTLMSSP_NEGOTIATE_TARGET_INFO
			m.info = field(b, 40)
		}
	case kind == uint32(Authenticate) && len(b) >= 52:
		m.LMLen = int(le.Uint16(b[12:]))
		m.NTLen = int(le.Uint16(b[20:]))
		if nt := field(b, 20); len(nt) >= len(m.Proof) {
			copy(m.Proof[:], nt)
		}
		m.Domain = field(b, 28)
		m.User = field(b, 36)
		m.Workstation = field(b, 44)
		m.Flags = flagUnicode // NTLM of old servers ends the message before the flags
		if len(b) >= 64 && flagsPresent(b) {
			m.Flags = le.Uint32(b[60:])
		}
	default:
		return m, false
	}
	m.Kind = Kind(b[8])
	return m, true
}

// flagsPresent says whether an Authenticate message holds flags: where its payload starts at 52 there is no room for
// them (the oldest form of the message).
func flagsPresent(b []byte) bool {
	for _, at := range [...]int{12, 20, 28, 36, 44} {
		if n, off := binary.LittleEndian.Uint16(b[at:]), binary.LittleEndian.Uint32(b[at+4:]); n > 0 && off < 64 {
			return false
		}
	}
	return true
}

// field returns the payload that the 8 bytes at off describe (length, room, offset), nil where it leaves b.
func field(b []byte, off int) []byte {
	n := uint64(binary.LittleEndian.Uint16(b[off:]))
	at := uint64(binary.LittleEndian.Uint32(b[off+4:]))
	if at+n > uint64(len(b)) {
		return nil
	}
	return b[at : at+n]
}

// Unicode says whether the message's text is UTF-16LE, else it is in the client's OEM code page.
func (m *Message) Unicode() bool { return m.Flags&flagUnicode != 0 }

// Append appends a text field of m as UTF-8.
func (m *Message) Append(dst, text []byte) []byte {
	if m.Unicode() {
		return AppendUTF16(dst, text)
	}
	return AppendOEM(dst, text)
}

// NTLMv1 says that an Authenticate message answers with 24 bytes: DES over the challenge, which is broken. NTLMv2
// answers are longer (MS-NLMP 2.2.2.6, 2.2.2.8).
func (m *Message) NTLMv1() bool { return m.Kind == Authenticate && m.NTLen == 24 }

// Anonymous says that an Authenticate message names nobody (MS-NLMP 3.2.5.1.2).
func (m *Message) Anonymous() bool {
	return m.Kind == Authenticate && (len(m.User) == 0 && m.NTLen == 0 || m.Flags&flagAnonymous != 0 && len(m.User) == 0)
}

// The AV pairs that name the server (MS-NLMP 2.2.2.1); their text is always UTF-16LE.
const (
	NBComputer  = 1
	NBDomain    = 2
	DNSComputer = 3
	DNSDomain   = 4
)

// maxPairs bounds the walk over AV pairs; MS-NLMP knows eleven.
const maxPairs = 32

// Pair returns the value of an AV pair of a Challenge, nil where it has none.
func (m *Message) Pair(id uint16) []byte {
	b := m.info
	for range maxPairs {
		if len(b) < 4 {
			return nil
		}
		got, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if got == 0 || 4+n > len(b) { // MsvAvEOL
			return nil
		}
		if got == id {
			return b[4 : 4+n]
		}
		b = b[4+n:]
	}
	return nil
}

// AppendServer appends the name that the server claims: its DNS name, else its NetBIOS name.
func (m *Message) AppendServer(dst []byte) []byte {
	if name := m.Pair(DNSComputer); len(name) > 0 {
		return AppendUTF16(dst, name)
	}
	return AppendUTF16(dst, m.Pair(NBComputer))
}
