package proto

import (
	"bytes"
	"encoding/binary"

	"neuromast/flows"
	"neuromast/flows/proto/dcerpc"
	"neuromast/flows/proto/dns"
	"neuromast/flows/proto/smb"
	"neuromast/flows/proto/tds"
)

// identifyTCP names what a TCP stream begins with. The first byte selects the signatures that can hold; those that may
// begin with any byte (a length or an identifier stands first) come last.
func identifyTCP(c *flows.Conn, b []byte) flows.App {
	if len(b) < 3 {
		return flows.AppUnknown
	}
	switch b[0] {
	case 0x00:
		switch {
		case smb.Recognise(b):
			return flows.AppSMB
		case isKerberosTCP(b):
			return flows.AppKerberos
		case isPostgresStart(b):
			return flows.AppPostgres
		case isSealed(b) && (either(c, 389) || either(c, 3268)):
			return flows.AppLDAP
		}
	case 0x01:
		if either(c, 1433) && tds.Recognise(b) {
			return flows.AppTDS
		}
	case 0x03:
		switch {
		case isRDP(b):
			return flows.AppRDP
		case either(c, 1433) && tds.Recognise(b):
			return flows.AppTDS
		}
	case 0x04, 0x10, 0x12:
		switch {
		case isTDS(b):
			return flows.AppTDS
		case isMQTT(b):
			return flows.AppMQTT
		}
	case 0x05:
		if dcerpc.Recognise(b) {
			return flows.AppDCERPC
		}
	case 0x13:
		if bytes.HasPrefix(b, []byte("\x13BitTorrent protocol")) {
			return flows.AppBitTorrent
		}
	case 0x14, 0x15, 0x16, 0x17:
		if isTLS(b) {
			return flows.AppTLS
		}
	case 0x30:
		switch {
		case isLDAP(b):
			return flows.AppLDAP
		case isSNMP(b):
			return flows.AppSNMP
		}
	case 0x80:
		switch {
		case isSSLv2(b):
			return flows.AppTLS
		case isRPCRecord(b):
			return flows.AppNFS
		}
	case 0x81, 0x82, 0x83:
		if isNetBIOSSession(c, b) {
			return flows.AppSMB
		}
	case 0xff:
		if isTelnet(b) {
			return flows.AppTelnet
		}
	default:
		if b[0] >= ' ' && b[0] < 0x7f {
			if app := identifyText(c, b); app != flows.AppUnknown {
				return app
			}
		}
	}
	switch {
	case dns.RecogniseStream(b):
		if either(c, 5355) {
			return flows.AppLLMNR
		}
		return flows.AppDNS
	case isMySQL(b):
		return flows.AppMySQL
	case isModbus(b):
		return flows.AppModbus
	case isOpenVPNTCP(c, b):
		return flows.AppOpenVPN
	}
	return flows.AppUnknown
}

// either says that one of the connection's ports is p. Only ties are broken by it.
func either(c *flows.Conn, p uint16) bool { return c.OrigPort == p || c.RespPort == p }

// isNetBIOSSession wants a session request with two encoded names (RFC 1002, 4.3.2) or one of its answers, which are so
// short that port 139 must vouch for them.
func isNetBIOSSession(c *flows.Conn, b []byte) bool {
	if len(b) < 4 || b[1]&0xfe != 0 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	switch b[0] {
	case 0x81:
		return n >= 68 && n <= 2*255 && len(b) >= 4+34 && b[4] == 32 && encoded(b[5:37])
	case 0x82:
		return n == 0 && len(b) == 4 && either(c, 139)
	case 0x83:
		return n == 1 && len(b) == 5 && (b[4]&0xf0 == 0x80) && either(c, 139)
	}
	return false
}

// encoded says that b is in NetBIOS' first-level encoding (RFC 1001, 14.1).
func encoded(b []byte) bool {
	for _, c := range b {
		if c < 'A' || c > 'P' {
			return false
		}
	}
	return true
}

// isTLS wants a record of SSL 3 or TLS (RFC 8446, 5.1): a handshake that begins with a ClientHello or ServerHello whose
// length and version fit, or, where the start was not seen, an alert, a change of ciphers or application data, which the
// next record must follow if the segment holds more.
func isTLS(b []byte) bool {
	if len(b) < 6 || b[1] != 3 || b[2] > 4 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[3:]))
	switch b[0] {
	case 20:
		if n != 1 || b[5] != 1 {
			return false
		}
	case 21: // in the clear two bytes, encrypted with a cipher's overhead
		if n == 2 && (b[5] == 0 || b[5] > 2) || n != 2 && (n < 16 || n > 128) {
			return false
		}
	case 22:
		if len(b) < 9 || b[5] != 1 && b[5] != 2 || n < 4 {
			return false
		}
		if hello := int(binary.BigEndian.Uint32(b[5:]) & 0xffffff); hello < 38 || hello > 1<<17 {
			return false
		}
		return n <= 1<<14 && (len(b) < 11 || b[9] == 3 && b[10] <= 4)
	case 23: // no cipher's overhead is below 16; ciphertext has at most 2 KiB of it (RFC 5246, 6.2.3)
		if n < 16 || n > 1<<14+2048 || b[2] == 0 {
			return false
		}
	}
	if len(b) <= 5+n {
		return true
	}
	next := b[5+n:]
	return len(next) < 3 || next[0] >= 20 && next[0] <= 23 && next[1] == 3 && next[2] == b[2]
}

// isSSLv2 wants a client hello in the format of SSL 2 (RFC 5246, E.2).
func isSSLv2(b []byte) bool {
	if len(b) < 11 || b[2] != 1 || !(b[3] == 3 && b[4] <= 4 || b[3] == 0 && b[4] == 2) {
		return false
	}
	n := int(binary.BigEndian.Uint16(b) & 0x7fff)
	specs, id, challenge := int(binary.BigEndian.Uint16(b[5:])), int(binary.BigEndian.Uint16(b[7:])), int(binary.BigEndian.Uint16(b[9:]))
	return specs > 0 && specs%3 == 0 && challenge >= 16 && challenge <= 32 && n == 9+specs+id+challenge
}

// isRDP wants an X.224 connection request or confirm in a TPKT (MS-RDPBCGR 2.2.1.1, 2.2.1.2): nothing behind it, a
// cookie, or a negotiation. Other users of TPKT (H.323, S7) put parameters there.
func isRDP(b []byte) bool {
	const header = 11 // TPKT 4, X.224 7
	if len(b) < header || b[0] != 3 || b[1] != 0 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < header || int(b[4]) != n-5 || b[5] != 0xe0 && b[5] != 0xd0 || b[10] != 0 {
		return false
	}
	if n == header {
		return true
	}
	rest := b[header:]
	if b[5] == 0xe0 && (bytes.HasPrefix(rest, []byte("Cookie: ")) || bytes.HasPrefix(rest, []byte("tsv:"))) {
		return true
	}
	return len(rest) >= 4 && rest[0] >= 1 && rest[0] <= 3 && rest[2] == 8 && rest[3] == 0
}

// isTDS wants a pre-login or its answer, whose first option is VERSION and lies behind the option table (MS-TDS 2.2.6.5), or
// a login (2.2.6.4) of the length that the packet has.
func isTDS(b []byte) bool {
	const header = 8
	if len(b) < header+9 || b[1] > 1 || b[7] != 0 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	switch b[0] {
	case 0x12, 0x04:
		option, at, size := b[8], int(binary.BigEndian.Uint16(b[9:])), int(binary.BigEndian.Uint16(b[11:]))
		return n >= header+12 && option == 0 && size == 6 && at >= 6 && header+at+size <= n
	case 0x10:
		size := int(binary.LittleEndian.Uint32(b[8:]))
		return n > header+36 && size >= n-header && size < 1<<17 && b[15] >= 0x70 && b[15] <= 0x75
	}
	return false
}

// isMQTT wants a CONNECT packet (MQTT 3.1.1, 3.1; MQTT 5, 3.1) whose remaining length holds what follows.
func isMQTT(b []byte) bool {
	if b[0] != 0x10 {
		return false
	}
	n, at := 0, 1
	for shift := 0; ; shift += 7 {
		if at >= len(b) || shift > 21 {
			return false
		}
		n |= int(b[at]&0x7f) << shift
		at++
		if b[at-1] < 0x80 {
			break
		}
	}
	rest := b[at:]
	switch {
	case n < 10:
		return false
	case bytes.HasPrefix(rest, []byte("\x00\x04MQTT")):
		return len(rest) > 7 && (rest[6] == 4 || rest[6] == 5) && rest[7]&1 == 0
	case bytes.HasPrefix(rest, []byte("\x00\x06MQIsdp")):
		return len(rest) > 8 && rest[8] == 3
	}
	return false
}

// isSealed wants a SASL buffer (RFC 4422, 3.7) with a GSS-API token for wrapped messages in it (RFC 4121, 4.2.6.2). LDAP is
// the protocol that Windows speaks so, but not the only one.
func isSealed(b []byte) bool {
	return len(b) >= 20 && b[4] == 5 && b[5] == 4 && b[6] <= 7 && b[7] == 0xff && binary.BigEndian.Uint32(b) >= 16 && b[0] == 0
}

// isPostgresStart wants a startup message of protocol 3 with a user, or one of the requests before it (PostgreSQL,
// Message Formats).
func isPostgresStart(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	n, code := int(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
	switch code {
	case 80877103, 80877104: // SSLRequest, GSSENCRequest
		return n == 8 && len(b) == 8
	case 80877102: // CancelRequest
		return n == 16 && len(b) == 16
	case 3 << 16:
		return n > 8 && n <= 10000 && len(b) > 8 && n >= len(b) && bytes.Contains(b[8:min(len(b), 256)], []byte("user\x00"))
	}
	return false
}

// isMySQL wants a server's greeting (MySQL, Protocol::HandshakeV10): packet 0 of the length that is there, protocol 10, a
// version that begins with a digit and ends in zero.
func isMySQL(b []byte) bool {
	if len(b) < 30 || b[2] != 0 || b[3] != 0 || b[4] != 10 || b[5] < '0' || b[5] > '9' {
		return false
	}
	if n := int(b[0]) | int(b[1])<<8; n < 26 || n > 512 {
		return false
	}
	end := bytes.IndexByte(b[5:min(len(b), 80)], 0)
	return end > 2 && bytes.IndexByte(b[5:5+end], '.') > 0
}

// isModbus wants a request or answer of one of the data functions (Modbus Application Protocol 1.1b3, 6; Modbus/TCP 4.1):
// protocol 0 and lengths that agree to the byte.
func isModbus(b []byte) bool {
	if len(b) < 9 || b[2] != 0 || b[3] != 0 || b[4] != 0 || int(b[5]) != len(b)-6 {
		return false
	}
	n := len(b) - 8 // bytes behind the function code
	switch fn := b[7]; {
	case fn >= 1 && fn <= 4: // read: request of address and quantity, or answer with a byte count
		return n == 4 && binary.BigEndian.Uint16(b[10:]) >= 1 && binary.BigEndian.Uint16(b[10:]) <= 2000 || n == 1+int(b[8])
	case fn == 5 || fn == 6: // write one
		return n == 4
	case fn == 15 || fn == 16: // write many: request with a byte count, answer without
		return n == 4 || n >= 6 && n == 5+int(b[12])
	case fn >= 0x81 && fn <= 0x90: // exception
		return n == 1 && b[8] >= 1 && b[8] <= 11
	}
	return false
}

// isTelnet wants negotiations (RFC 854): IAC, a verb, an assigned option, and so on to the third or the end.
func isTelnet(b []byte) bool {
	for i := range 3 {
		at := 3 * i
		if at == len(b) {
			return true
		}
		if at+3 > len(b) || b[at] != 0xff {
			return i > 0 && b[at] != 0xff && b[at] < 0x80 // text after the negotiation
		}
		switch verb := b[at+1]; {
		case verb == 0xfa: // sub-negotiation: its end is not looked for
			return i > 0
		case verb < 0xfb || verb > 0xfe || b[at+2] > 49 && b[at+2] != 255:
			return false
		}
	}
	return true
}
