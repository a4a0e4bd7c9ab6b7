package proto

import (
	"encoding/binary"

	"neuromast/flows"
	"neuromast/flows/proto/dns"
)

// identifyUDP names what a datagram is. DNS comes first, being the most frequent and the most exact; RTP last, since
// little can be checked there.
func identifyUDP(c *flows.Conn, b []byte) flows.App {
	if len(b) < 3 {
		return flows.AppUnknown
	}
	if app := dns.Recognise(b); app != flows.AppUnknown {
		if app == flows.AppDNS {
			switch {
			case either(c, 5353):
				return flows.AppMDNS
			case either(c, 5355):
				return flows.AppLLMNR
			}
		}
		return app
	}
	if b[0] >= 0xc0 {
		switch {
		case isQUIC(b):
			return flows.AppQUIC
		case b[0] == 0xff && isRDPUDP(b):
			return flows.AppRDP
		}
	}
	switch b[0] {
	case 0, 1, 2, 3, 4:
		switch {
		case isSTUN(b):
			return flows.AppSTUN
		case isDHCP(b):
			return flows.AppDHCP
		case isDCERPCDatagram(b):
			return flows.AppDCERPC
		case isWireGuard(b):
			return flows.AppWireGuard
		case isTracker(b):
			return flows.AppBitTorrent
		}
	case 'd':
		if isDHT(b) {
			return flows.AppBitTorrent
		}
	case 0x16:
		if isDTLS(b) {
			return flows.AppTLS
		}
	case 0x30:
		switch {
		case isSNMP(b):
			return flows.AppSNMP
		case isLDAP(b):
			return flows.AppLDAP
		}
	case 0x38, 0x40, 0x50:
		if isOpenVPN(c, b) {
			return flows.AppOpenVPN
		}
	case 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x74, 0x75, 0x76, 0x7e:
		if isKerberos(b, len(b)) {
			return flows.AppKerberos
		}
	}
	if b[0] >= '*' && b[0] <= 'Z' {
		if app := identifyText(c, b); app == flows.AppSSDP || app == flows.AppSIP || app == flows.AppSyslog {
			return app
		} else if app == flows.AppHTTP && b[1] == 'T' && either(c, 1900) { // answers to a search look like HTTP's
			return flows.AppSSDP
		}
	}
	switch {
	case isNTP(b):
		return flows.AppNTP
	case isRPC(b):
		return flows.AppNFS
	case isGoogleQUIC(b):
		return flows.AppQUIC
	case either(c, 546) && either(c, 547) && isDHCPv6(b):
		return flows.AppDHCP
	case b[0]>>6 == 2 && isRTP(c, b):
		return flows.AppRTP
	}
	return flows.AppUnknown
}

// isQUIC wants a long header (RFC 8999, 5.1; RFC 9000, 17.2) of version 1, 2, a draft, Google's, or a negotiation, and
// connection ids that fit.
func isQUIC(b []byte) bool {
	if len(b) < 7 {
		return false
	}
	switch v := binary.BigEndian.Uint32(b[1:]); {
	case v == 1, v == 0x6b3343cf, v == 0, v>>8 == 0xff0000, v>>8 == 'Q'<<16|'0'<<8|'5', v>>8 == 'T'<<16|'0'<<8|'5', v&0x0f0f0f0f == 0x0a0a0a0a:
	default:
		return false
	}
	dcid := int(b[5])
	if dcid > 20 || 7+dcid > len(b) {
		return false
	}
	scid := int(b[6+dcid])
	return scid <= 20 && dcid+scid > 0 && 7+dcid+scid < len(b)
}

// isGoogleQUIC wants the public header of gQUIC up to version 43 with a version in it.
func isGoogleQUIC(b []byte) bool {
	return len(b) >= 16 && b[0]&0x89 == 0x09 && b[9] == 'Q' && b[10] == '0' && digits(b[11:13])
}

// isRDPUDP wants the SYN of RDP's UDP transport (MS-RDPEUDP 2.2.2.1, 2.2.2.5): no acknowledgment yet, a receive window,
// the SYN flag, and MTUs in the range allowed.
func isRDPUDP(b []byte) bool {
	if len(b) < 16 || binary.BigEndian.Uint32(b) != 0xffffffff || b[7]&1 == 0 || b[4]|b[5] == 0 {
		return false
	}
	up, down := binary.BigEndian.Uint16(b[12:]), binary.BigEndian.Uint16(b[14:])
	return up >= 1132 && up <= 1232 && down >= 1132 && down <= 1232
}

// isSTUN wants the magic cookie and a length that ends with the datagram (RFC 8489, 5).
func isSTUN(b []byte) bool {
	return len(b) >= 20 && b[0] < 0x40 && binary.BigEndian.Uint32(b[4:]) == 0x2112a442 &&
		b[3]&3 == 0 && int(binary.BigEndian.Uint16(b[2:]))+20 == len(b)
}

// isDHCP wants a BOOTP message with DHCP's magic cookie (RFC 2131, 3).
func isDHCP(b []byte) bool {
	return len(b) >= 241 && (b[0] == 1 || b[0] == 2) && b[2] <= 16 && binary.BigEndian.Uint32(b[236:]) == 0x63825363
}

// isDHCPv6 wants a message whose options end with it (RFC 8415, 8 and 21); the ports are asked too, the header being one byte.
func isDHCPv6(b []byte) bool {
	at := 4
	if b[0] < 1 || b[0] > 36 {
		return false
	}
	if b[0] == 12 || b[0] == 13 { // relayed
		at = 34
	}
	if at >= len(b) {
		return false
	}
	for at+4 <= len(b) {
		if code := binary.BigEndian.Uint16(b[at:]); code == 0 || code > 300 {
			return false
		}
		at += 4 + int(binary.BigEndian.Uint16(b[at+2:]))
	}
	return at == len(b)
}

// isDCERPCDatagram wants the header of a connectionless PDU (C706, 12.5.1) whose body ends with the datagram.
func isDCERPCDatagram(b []byte) bool {
	const header = 80
	if len(b) < header || b[0] != 4 || b[1] > 10 || b[4]&0xef != 0 || b[5] > 3 || b[6] != 0 {
		return false
	}
	n := int(binary.LittleEndian.Uint16(b[74:]))
	if b[4] == 0 {
		n = int(binary.BigEndian.Uint16(b[74:]))
	}
	return header+n == len(b)
}

// isWireGuard wants one of the four messages in its exact size (WireGuard white paper, 5.4). A data message has a counter
// that no session reaches the top of.
func isWireGuard(b []byte) bool {
	if len(b) < 32 || b[1]|b[2]|b[3] != 0 {
		return false
	}
	switch b[0] {
	case 1:
		return len(b) == 148
	case 2:
		return len(b) == 92
	case 3:
		return len(b) == 64
	case 4:
		return len(b)%16 == 0 && b[13]|b[14]|b[15] == 0 && b[4]|b[5]|b[6]|b[7] != 0
	}
	return false
}

// isTracker wants a connection request to a BitTorrent tracker (BEP 15).
func isTracker(b []byte) bool {
	return len(b) == 16 && binary.BigEndian.Uint64(b) == 0x41727101980 && binary.BigEndian.Uint32(b[8:]) == 0
}

// isDHT wants a query, answer or error of BitTorrent's table of peers (BEP 5): a dictionary with one of its keys first.
func isDHT(b []byte) bool {
	if len(b) < 16 || b[len(b)-1] != 'e' {
		return false
	}
	for _, key := range [...]string{"d1:ad2:id20:", "d1:rd2:id20:", "d2:ip", "d1:eli", "d1:ad"} {
		if len(b) > len(key) && string(b[:len(key)]) == key {
			return true
		}
	}
	return false
}

// isDTLS wants a record of DTLS in epoch 0 with a ClientHello, ServerHello or HelloVerifyRequest (RFC 6347, 4.1, 4.2.2).
func isDTLS(b []byte) bool {
	const record, handshake = 13, 12
	if len(b) < record+handshake || b[1] != 0xfe || b[2] != 0xff && b[2] != 0xfd || b[3]|b[4] != 0 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[11:]))
	fragment := int(binary.BigEndian.Uint32(b[record+8:]) & 0xffffff)
	return b[13] >= 1 && b[13] <= 3 && n == handshake+fragment && record+n <= len(b)
}

// isNTP wants a packet of RFC 5905, 7.3 (48 bytes, with or without a MAC, or MS-SNTP 2.2.2's extended authenticator) with a version, a mode, a stratum and a poll that
// exist and root values below 16 s; or a control message of RFC 9327, 2 whose count ends it.
func isNTP(b []byte) bool {
	version, mode := b[0]>>3&7, b[0]&7
	if version < 1 || version > 4 {
		return false
	}
	switch {
	case mode == 6:
		return version >= 2 && len(b) >= 12 && b[0]>>6 == 0 && b[1]&0x1f <= 12 &&
			(int(binary.BigEndian.Uint16(b[10:]))+3)&^3+12 == len(b) && binary.BigEndian.Uint16(b[8:]) == 0
	case mode < 1 || mode > 5 || len(b) != 48 && len(b) != 68 && len(b) != 72 && len(b) != 120:
		return false
	}
	return b[1] <= 16 && (b[2] <= 17 || b[2] >= 0xfa) && (b[3] == 0 || b[3] >= 0xe0 || mode == 3) && b[4] == 0 && b[8] == 0
}

// isRPCRecord wants an ONC RPC message in the last fragment of a record (RFC 5531, 11).
func isRPCRecord(b []byte) bool {
	return len(b) >= 28 && int(binary.BigEndian.Uint32(b)&0x7fffffff) >= 24 && b[1] == 0 && isRPC(b[4:])
}

// isRPC wants an ONC RPC call of one of the programs around NFS, or an accepted answer (RFC 5531, 9).
func isRPC(b []byte) bool {
	if len(b) < 24 || b[4]|b[5]|b[6] != 0 {
		return false
	}
	switch b[7] {
	case 0:
		if binary.BigEndian.Uint32(b[8:]) != 2 {
			return false
		}
		switch binary.BigEndian.Uint32(b[12:]) {
		case 100000, 100003, 100005, 100011, 100021, 100024, 100227: // portmap, nfs, mount, rquota, nlm, status, nfs_acl
			return binary.BigEndian.Uint32(b[16:]) <= 4 && binary.BigEndian.Uint32(b[20:]) <= 64
		}
	case 1:
		size := int(binary.BigEndian.Uint32(b[16:]))
		flavor := binary.BigEndian.Uint32(b[12:])
		if binary.BigEndian.Uint32(b[8:]) != 0 || flavor > 6 || size > 400 || size&3 != 0 || 24+size > len(b) {
			return false
		}
		return binary.BigEndian.Uint32(b[20+size:]) <= 5
	}
	return false
}

// isOpenVPN wants the reset that opens a session, client's or server's (OpenVPN, ssl_pkt.h): plain or authenticated it
// numbers itself 0; encrypted (tls-crypt) only its size and the port speak.
func isOpenVPN(c *flows.Conn, b []byte) bool {
	const session = 9 // opcode and session id
	if b[0] != 0x38 && b[0] != 0x40 && b[0] != 0x50 || len(b) < 14 {
		return false
	}
	if len(b) == 54 && b[13]|b[9]|b[10]|b[11] == 0 && either(c, 1194) {
		return true
	}
	for _, auth := range [...]int{0, 16 + 8, 20 + 8, 32 + 8, 64 + 8} { // HMAC of MD5, SHA-1, SHA-256, SHA-512; packet id and time
		at := session + auth
		if at >= len(b) {
			break
		}
		acks := int(b[at])
		end := at + 1
		if acks > 0 {
			end += 4*acks + 8
		}
		if acks <= 4 && end+4 == len(b) && binary.BigEndian.Uint32(b[end:]) == 0 && (auth > 0 || len(b) == 14 || acks == 1) {
			return true
		}
	}
	return false
}

// isOpenVPNTCP wants a reset behind its length.
func isOpenVPNTCP(c *flows.Conn, b []byte) bool {
	return len(b) >= 16 && int(binary.BigEndian.Uint16(b)) == len(b)-2 && isOpenVPN(c, b[2:])
}

// isRTP is weak: version 2 is two bits. So both ports must be unassigned ones, and the payload type a usual one with a
// payload of its size, or a dynamic one to an even port, as RFC 3550, 11 wants it. RTCP is exact (RFC 3550, 6.4).
func isRTP(c *flows.Conn, b []byte) bool {
	const header = 12
	if c.OrigPort < 1024 || c.RespPort < 1024 || len(b) < 8 {
		return false
	}
	if kind := b[1]; kind >= 200 && kind <= 204 {
		words := int(binary.BigEndian.Uint16(b[2:])) + 1
		return b[0]&0x20 == 0 && words >= 2 && (4*words == len(b) || 4*words+4 < len(b) && b[4*words]&0xc0 == 0x80 && b[4*words+1] >= 200 && b[4*words+1] <= 207)
	}
	size := len(b) - header
	if size < 1 || b[0] != 0x80 && b[0] != 0x90 {
		return false
	}
	if b[0] == 0x90 { // header extension
		if size < 4 {
			return false
		}
		if size -= 4 + 4*int(binary.BigEndian.Uint16(b[14:])); size < 1 {
			return false
		}
	}
	switch kind := b[1] & 0x7f; kind {
	case 0, 8, 9: // G.711, G.722: 80 bytes per 10 ms
		return size%80 == 0
	case 3: // GSM
		return size%33 == 0
	case 18: // G.729
		return size%10 == 0 || size%10 == 2
	case 26, 31, 32, 33, 34: // JPEG, H.261, MPEG, MPEG-TS, H.263
		return c.RespPort%2 == 0 && size > 100
	default:
		return kind >= 96 && c.RespPort%2 == 0
	}
}
