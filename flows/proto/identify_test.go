package proto

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// hx reads hexadecimal with blanks.
func hx(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// pad appends zeros up to n bytes.
func pad(b []byte, n int) []byte { return append(b, make([]byte, n-len(b))...) }

func cat(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

// change returns b with one byte replaced.
func change(b []byte, at int, v byte) []byte {
	b = append([]byte(nil), b...)
	b[at] = v
	return b
}

var (
	dnsQuery   = cat(hx("1234 0100 0001 0000 0000 0000 03"), "www", hx("07"), "example", hx("03"), "com", hx("00 0001 0001"))
	nbnsQuery  = cat(hx("1234 0110 0001 0000 0000 0000 20"), "FHFAEBEECACACACACACACACACACACAAA", hx("00 0020 0001"))
	hello      = cat(hx("16 0301 0031 01 00002d 0303"), make([]byte, 43))
	asReq      = hx("6a 12 30 10 a1 03 02 01 05 a2 03 02 01 0a a3 04 30 02 05 00")
	ldapBind   = hx("30 0c 02 01 01 60 07 02 01 03 04 00 80 00")
	ldapEntry  = hx("30 84 00000011 02 02 0102 64 84 00000007 04 03 612c62 30 00")
	snmpGet    = hx("30 13 02 01 01 04 06 7075626c6963 a0 06 02 04 01020304")
	snmpV3     = hx("30 14 02 01 03 30 0d 02 01 01 02 02 05dc 04 01 04 02 01 03 04 00")
	rdpRequest = cat(hx("03 00 002a 25 e0 0000 0000 00"), "Cookie: mstshash=bob\r\n", hx("01 00 0800 0b000000"))
	rdpConfirm = hx("03 00 0013 0e d0 0000 1234 00 02 1f 0800 08000000")
	rpcBind    = hx("05 00 0b 03 10000000 4800 0000 01000000")
	smb2       = cat(hx("00 000044 fe"), "SMB", make([]byte, 64))
	rpcCall    = cat(hx("12345678 00000000 00000002 000186a3 00000003 00000001"), make([]byte, 16))
	rpcReply   = cat(hx("12345678 00000001 00000000 00000000 00000000 00000000"), make([]byte, 8))
	prelogin   = hx("12 01 001a 0000 00 00 00 000b 0006 01 0011 0001 ff 09000000 0000 00 00")
	startup    = cat(hx("00000017 00030000"), "user\x00bob\x00db\x00x\x00\x00"[:15])
	mysql      = cat(hx("4a000000 0a"), "8.0.36\x00", make([]byte, 66))
	mqtt       = cat(hx("10 10 0004"), "MQTT", hx("04 02 003c 0004"), "dev1")
	ntp        = cat(hx("e3 00 06 ec"), make([]byte, 44))
	ntpServer  = cat(hx("24 02 06 e9 00000a00 00000b00"), make([]byte, 36))
	stun       = hx("0001 0000 2112a442 000102030405060708090a0b")
	quic1      = cat(hx("c3 00000001 08 0102030405060708 00 00 44"), make([]byte, 1180))
	dhcp4      = cat(hx("01 01 06 00"), make([]byte, 232), hx("63825363 35 01 01 ff"))
	dhcp6      = hx("01 123456 0001 000a 00030001 001122334455 0008 0002 0000")
	ovpn       = hx("38 0102030405060708 00 00000000")
	ovpnHMAC   = cat(hx("38 0102030405060708"), make([]byte, 28), hx("00 00000000"))
	sip        = []byte("INVITE sip:bob@example.com SIP/2.0\r\nVia: x\r\n")
	modbus     = hx("0001 0000 0006 01 03 0000 000a")
	dcerpcUDP  = cat(hx("04 00 08 00 10 00 00 00"), make([]byte, 66), hx("0400 00000000"), make([]byte, 4))
	rdpUDP     = cat(hx("ffffffff 0040 0001 00000000 04d0 04d0"), make([]byte, 100))
	dtls       = cat(hx("16 feff 0000 000000000000 0010 01 000004 0000 000000 000004"), make([]byte, 4))
	sslv2      = cat(hx("80 1f 01 0301 0006 0000 0010"), make([]byte, 22))
	g711       = cat(hx("80 00 0001 00000001 0000abcd"), make([]byte, 160))
	rtcp       = cat(hx("80 c8 0006"), make([]byte, 24))
	wgInit     = pad(hx("01 000000"), 148)
	wgData     = pad(hx("04 000000 01020304 05000000 00000000"), 48)
	session    = cat(hx("81 00 0044 20"), strings.Repeat("CA", 16), hx("00 20"), strings.Repeat("CA", 16), hx("00"))
	tlsData    = cat(hx("17 0303 0020"), make([]byte, 32))
)

func framed(m []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
}

func prefixed(m []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m...)
}

type example struct {
	name string
	b    []byte
	port uint16 // of the responder; 0: one that nobody knows
	want flows.App
}

var tcpExamples = []example{
	{"dns query", framed(dnsQuery), 0, flows.AppDNS},
	{"dns, two queries", append(framed(dnsQuery), framed(dnsQuery)...), 0, flows.AppDNS},
	{"dns on llmnr's port", framed(dnsQuery), 5355, flows.AppLLMNR},
	{"dns without length", dnsQuery, 53, flows.AppUnknown},
	{"dns with a length of 5", change(framed(dnsQuery), 1, 5), 53, flows.AppUnknown},
	{"dns of class 7", change(framed(dnsQuery), len(dnsQuery)+1, 7), 53, flows.AppUnknown},
	{"tls client hello", hello, 0, flows.AppTLS},
	{"tls server hello", change(hello, 5, 2), 0, flows.AppTLS},
	{"tls certificate", change(hello, 5, 11), 443, flows.AppUnknown},
	{"tls 5", change(hello, 2, 5), 443, flows.AppUnknown},
	{"tls hello of 45 MB", change(hello, 6, 2), 443, flows.AppUnknown},
	{"tls hello of another version", change(hello, 9, 2), 443, flows.AppUnknown},
	{"tls alert", hx("15 0303 0002 02 28"), 0, flows.AppTLS},
	{"tls alert of level 3", hx("15 0303 0002 03 28"), 443, flows.AppUnknown},
	{"tls data midstream", tlsData, 0, flows.AppTLS},
	{"tls data, next record", cat(tlsData, hx("17 0303")), 0, flows.AppTLS},
	{"tls data, something else next", cat(tlsData, hx("18 0303")), 443, flows.AppUnknown},
	{"tls data, cut", tlsData[:30], 0, flows.AppTLS},
	{"tls data shorter than any cipher makes it", hx("17 0303 000f 01"), 443, flows.AppUnknown},
	{"tls data of 20 kB", hx("17 0303 5000 01"), 443, flows.AppUnknown},
	{"tls alert, encrypted", cat(hx("15 0303 001a"), make([]byte, 26)), 0, flows.AppTLS},
	{"tls alert of 300 bytes", hx("15 0303 012c 01"), 443, flows.AppUnknown},
	{"tls change of ciphers", hx("14 0303 0001 01 16 0303"), 0, flows.AppTLS},
	{"ssl 2 hello", sslv2, 0, flows.AppTLS},
	{"ssl 2 hello of another length", change(sslv2, 1, 0x20), 443, flows.AppUnknown},
	{"smb 2", smb2, 0, flows.AppSMB},
	{"smb 1", change(smb2, 4, 0xff), 0, flows.AppSMB},
	{"smb 3 encrypted", change(smb2, 4, 0xfd), 0, flows.AppSMB},
	{"smb 3 compressed", change(smb2, 4, 0xfc), 0, flows.AppSMB},
	{"smb with another identifier", change(smb2, 4, 0xfb), 445, flows.AppUnknown},
	{"smb of 10 bytes", change(smb2, 3, 10), 445, flows.AppUnknown},
	{"smb in text", change(smb2, 7, 'C'), 445, flows.AppUnknown},
	{"netbios session request", session, 0, flows.AppSMB},
	{"netbios session request, no names", change(session, 20, '0'), 139, flows.AppUnknown},
	{"netbios positive answer", hx("82 00 0000"), 139, flows.AppSMB},
	{"netbios positive answer elsewhere", hx("82 00 0000"), 0, flows.AppUnknown},
	{"netbios negative answer", hx("83 00 0001 82"), 139, flows.AppSMB},
	{"dcerpc bind", rpcBind, 0, flows.AppDCERPC},
	{"dcerpc big endian", hx("05 00 00 03 00000000 0048 0010 00000001"), 0, flows.AppDCERPC},
	{"dcerpc 6", change(rpcBind, 0, 6), 135, flows.AppUnknown},
	{"dcerpc of type 21", change(rpcBind, 2, 21), 135, flows.AppUnknown},
	{"dcerpc in EBCDIC floats of VAX 4", change(rpcBind, 5, 4), 135, flows.AppUnknown},
	{"dcerpc shorter than its header", change(rpcBind, 8, 15), 135, flows.AppUnknown},
	{"dcerpc with more authentication than bytes", change(rpcBind, 10, 0x40), 135, flows.AppUnknown},
	{"socks 5", hx("05 01 00"), 1080, flows.AppUnknown},
	{"http get", []byte("GET / HTTP/1.1\r\nHost: a\r\n"), 0, flows.AppHTTP},
	{"http get, cut in the target", []byte("GET /" + strings.Repeat("a", 800)), 0, flows.AppHTTP},
	{"http get of nothing", []byte("GET key1\r\n"), 80, flows.AppUnknown},
	{"http 0.9", []byte("GET /index\r\n"), 80, flows.AppUnknown},
	{"http in lower case", []byte("get / HTTP/1.1\r\n"), 80, flows.AppUnknown},
	{"http with a binary target", []byte("GET /\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0b\x0c\x0e\x0f"), 80, flows.AppUnknown},
	{"http connect", []byte("CONNECT a.example:443 HTTP/1.1\r\n"), 0, flows.AppHTTP},
	{"http through a proxy", []byte("POST http://a/ HTTP/1.0\r\n"), 0, flows.AppHTTP},
	{"http 2", []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0, flows.AppHTTP},
	{"http answer", []byte("HTTP/1.1 200 OK\r\n"), 0, flows.AppHTTP},
	{"http answer without a code", []byte("HTTP/1.1 OK!\r\n"), 80, flows.AppUnknown},
	{"rpc over http", []byte("RPC_IN_DATA /rpc/rpcproxy.dll?x:593 HTTP/1.1\r\n"), 0, flows.AppHTTP},
	{"webdav", []byte("PROPFIND /share HTTP/1.1\r\n"), 0, flows.AppHTTP},
	{"rtsp", []byte("OPTIONS rtsp://a/ RTSP/1.0\r\n"), 80, flows.AppUnknown},
	{"ssh", []byte("SSH-2.0-OpenSSH_9.2\r\n"), 0, flows.AppSSH},
	{"ssh 1", []byte("SSH-1.99-x\n"), 0, flows.AppSSH},
	{"ssh 3", []byte("SSH-3.0-x\r\n"), 22, flows.AppUnknown},
	{"kerberos", prefixed(asReq), 0, flows.AppKerberos},
	{"kerberos of another length", change(prefixed(asReq), 3, 19), 88, flows.AppUnknown},
	{"kerberos 4", change(prefixed(asReq), 12, 4), 88, flows.AppUnknown},
	{"kerberos of application 16", change(prefixed(asReq), 4, 0x70), 88, flows.AppUnknown},
	{"ldap bind", ldapBind, 0, flows.AppLDAP},
	{"ldap bind of version 4", change(ldapBind, 9, 4), 389, flows.AppUnknown},
	{"ldap operation past its message", change(ldapBind, 6, 8), 389, flows.AppUnknown},
	{"ldap of Windows", ldapEntry, 0, flows.AppLDAP},
	{"ldap, sealed", cat(hx("00000040 0504 06 ff 0000 0000"), make([]byte, 52)), 389, flows.AppLDAP},
	{"sealed elsewhere", cat(hx("00000040 0504 06 ff 0000 0000"), make([]byte, 52)), 0, flows.AppUnknown},
	{"sealed without filler", cat(hx("00000040 0504 06 fe 0000 0000"), make([]byte, 52)), 389, flows.AppUnknown},
	{"ldap operation 0x7a", change(ldapBind, 5, 0x7a), 389, flows.AppUnknown},
	{"snmp over tcp", snmpGet, 0, flows.AppSNMP},
	{"rdp request", rdpRequest, 0, flows.AppRDP},
	{"rdp confirm", rdpConfirm, 0, flows.AppRDP},
	{"rdp bare", hx("03 00 000b 06 e0 0000 0000 00"), 0, flows.AppRDP},
	{"s7 over tpkt", hx("03 00 0016 11 e0 0000 0001 00 c0 01 0a c1 02 0100 c2 02 0102"), 3389, flows.AppUnknown},
	{"tpkt of another length", change(rdpRequest, 4, 0x24), 3389, flows.AppUnknown},
	{"ftp", []byte("220 (vsFTPd 3.0.5)\r\n"), 0, flows.AppFTP},
	{"ftp that hides its name", []byte("220 welcome\r\n"), 21, flows.AppFTP},
	{"220 elsewhere", []byte("220 welcome\r\n"), 0, flows.AppUnknown},
	{"220 and bytes", []byte("220 \x01\x02FTP\r\n"), 21, flows.AppUnknown},
	{"ftp user", []byte("USER bob\r\n"), 21, flows.AppFTP},
	{"ftp over tls", []byte("AUTH TLS\r\n"), 0, flows.AppFTP},
	{"smtp", []byte("220 mx.example.com ESMTP Postfix\r\n"), 0, flows.AppSMTP},
	{"smtp that hides its name", []byte("220-hi\r\n"), 25, flows.AppSMTP},
	{"smtp client", []byte("EHLO a.example\r\n"), 0, flows.AppSMTP},
	{"irc user", []byte("USER bob 0 * :x\r\n"), 6667, flows.AppUnknown},
	{"imap", []byte("* OK [CAPABILITY IMAP4rev1] ready\r\n"), 0, flows.AppIMAP},
	{"imap that hides its name", []byte("* OK hi\r\n"), 143, flows.AppIMAP},
	{"ok elsewhere", []byte("* OK hi\r\n"), 0, flows.AppUnknown},
	{"imap client", []byte("a001 LOGIN bob x\r\n"), 0, flows.AppIMAP},
	{"imap client in capitals", []byte("A001 capability\r\n"), 0, flows.AppIMAP},
	{"tag and another verb", []byte("a001 HELLO\r\n"), 143, flows.AppUnknown},
	{"pop3", []byte("+OK ready\r\n"), 0, flows.AppPOP3},
	{"pop3 user", []byte("USER bob\r\n"), 110, flows.AppPOP3},
	{"redis", []byte("+PONG\r\n"), 110, flows.AppUnknown},
	{"+OKAY", []byte("+OKAY\r\n"), 110, flows.AppUnknown},
	{"tds prelogin", prelogin, 0, flows.AppTDS},
	{"tds prelogin answer", change(prelogin, 0, 4), 0, flows.AppTDS},
	{"tds with an option in the table", change(prelogin, 10, 5), 1433, flows.AppUnknown},
	{"tds of status 2", change(prelogin, 1, 2), 1433, flows.AppUnknown},
	{"tds login", pad(hx("10 01 0090 0000 01 00 88000000 04000074"), 144), 0, flows.AppTDS},
	{"mysql", mysql, 0, flows.AppMySQL},
	{"mysql of protocol 9", change(mysql, 4, 9), 3306, flows.AppUnknown},
	{"mysql without a version", change(mysql, 5, 'x'), 3306, flows.AppUnknown},
	{"postgres", startup, 0, flows.AppPostgres},
	{"postgres over tls", hx("00000008 04d2162f"), 0, flows.AppPostgres},
	{"postgres of protocol 2", change(startup, 5, 2), 5432, flows.AppUnknown},
	{"postgres without a user", change(startup, 8, 'x'), 5432, flows.AppUnknown},
	{"vnc", []byte("RFB 003.008\n"), 0, flows.AppVNC},
	{"vnc with more", []byte("RFB 003.008\n\x01"), 5900, flows.AppUnknown},
	{"vnc of no version", []byte("RFB 0x3.008\n"), 5900, flows.AppUnknown},
	{"telnet", hx("fffb18 fffd20 fffd23"), 0, flows.AppTelnet},
	{"telnet, then text", cat(hx("fffb01 fffb03"), "login: "), 0, flows.AppTelnet},
	{"telnet verb 240", hx("fff018"), 23, flows.AppUnknown},
	{"telnet option 90", hx("fffb5a"), 23, flows.AppUnknown},
	{"sip", sip, 0, flows.AppSIP},
	{"sip answer", []byte("SIP/2.0 200 OK\r\n"), 0, flows.AppSIP},
	{"sip to a person", []byte("INVITE bob SIP/2.0\r\n"), 5060, flows.AppUnknown},
	{"mqtt", mqtt, 0, flows.AppMQTT},
	{"mqtt 3.1", cat(hx("10 12 0006"), "MQIsdp", hx("03 02 003c 0004"), "dev1"), 0, flows.AppMQTT},
	{"mqtt 9", change(mqtt, 8, 9), 1883, flows.AppUnknown},
	{"mqtt with the reserved flag", change(mqtt, 9, 3), 1883, flows.AppUnknown},
	{"syslog", []byte("<34>Oct 11 22:14:15 mymachine su: x"), 0, flows.AppSyslog},
	{"nfs", cat(hx("80000028"), rpcCall), 0, flows.AppNFS},
	{"nfs, not the last fragment", cat(hx("00000028"), rpcCall), 2049, flows.AppUnknown},
	{"bittorrent", []byte("\x13BitTorrent protocol\x00\x00\x00\x00"), 0, flows.AppBitTorrent},
	{"bittorrent of another name", []byte("\x13BitTorrent Protocol\x00\x00\x00\x00"), 6881, flows.AppUnknown},
	{"modbus read", modbus, 0, flows.AppModbus},
	{"modbus answer", hx("0001 0000 0005 01 03 02 0007"), 0, flows.AppModbus},
	{"modbus exception", hx("0001 0000 0003 01 83 02"), 0, flows.AppModbus},
	{"modbus of another length", change(modbus, 5, 5), 502, flows.AppUnknown},
	{"modbus read of nothing", change(modbus, 11, 0), 502, flows.AppUnknown},
	{"openvpn", framed(ovpn), 0, flows.AppOpenVPN},
	{"openvpn of another length", change(framed(ovpn), 1, 15), 1194, flows.AppUnknown},
	{"nothing", nil, 443, flows.AppUnknown},
	{"two bytes", hx("1603"), 443, flows.AppUnknown},
	{"zeros", make([]byte, 64), 445, flows.AppUnknown},
	{"encrypted", hx("9f 3a 77 01 c4 55 20 e1 aa 03 48 19 6b d2 ff 10 51 7e"), 443, flows.AppUnknown},
}

var udpExamples = []example{
	{"dns query", dnsQuery, 0, flows.AppDNS},
	{"dns answer", change(change(dnsQuery, 2, 0x81), 3, 0x83), 0, flows.AppDNS},
	{"dns query with an error", change(dnsQuery, 3, 3), 53, flows.AppUnknown},
	{"dns query of type 0", change(dnsQuery, len(dnsQuery)-3, 0), 53, flows.AppUnknown},
	{"dns without questions", change(dnsQuery, 5, 0), 53, flows.AppUnknown},
	{"dns name that points", change(dnsQuery, 12, 0xc0), 53, flows.AppUnknown},
	{"mdns", dnsQuery, 5353, flows.AppMDNS},
	{"mdns answer", cat(hx("0000 8400 0000 0001 0000 0000 01 61 00 0001 8001 00000078 0004 c0000201")), 5353, flows.AppMDNS},
	{"llmnr", dnsQuery, 5355, flows.AppLLMNR},
	{"netbios", nbnsQuery, 0, flows.AppNBNS},
	{"netbios with letters beyond P", change(nbnsQuery, 13, 'Q'), 137, flows.AppDNS},
	{"netbios registration", change(nbnsQuery, 2, 0x29), 137, flows.AppNBNS},
	{"ntp client", ntp, 0, flows.AppNTP},
	{"ntp server", ntpServer, 0, flows.AppNTP},
	{"ntp in a domain", pad(ntpServer[:48:48], 120), 0, flows.AppNTP},
	{"sntp", pad(hx("1b"), 48), 0, flows.AppNTP},
	{"ntp of version 5", change(ntp, 0, 0x2b), 123, flows.AppUnknown},
	{"ntp of stratum 17", change(ntp, 1, 17), 123, flows.AppUnknown},
	{"ntp of 47 bytes", ntp[:47], 123, flows.AppUnknown},
	{"ntp control", hx("16 02 0001 0000 0000 0000 0000"), 0, flows.AppNTP},
	{"quic", quic1, 0, flows.AppQUIC},
	{"quic 2", cat(hx("d3 6b3343cf 08 0102030405060708 00 00 44"), make([]byte, 1180)), 0, flows.AppQUIC},
	{"quic 7", change(quic1, 4, 7), 443, flows.AppUnknown},
	{"quic with an id of 21", change(quic1, 5, 21), 443, flows.AppUnknown},
	{"quic short header", change(quic1, 0, 0x43), 443, flows.AppUnknown},
	{"google quic", cat(hx("0d 0102030405060708"), "Q043", hx("01 0203")), 0, flows.AppQUIC},
	{"dhcp", dhcp4, 0, flows.AppDHCP},
	{"bootp", change(dhcp4, 236, 0), 67, flows.AppUnknown},
	{"dhcp op 3", change(dhcp4, 0, 3), 67, flows.AppUnknown},
	{"snmp", snmpGet, 0, flows.AppSNMP},
	{"snmp 3", snmpV3, 0, flows.AppSNMP},
	{"snmp of version 2", change(snmpGet, 4, 2), 161, flows.AppUnknown},
	{"snmp with another pdu", change(snmpGet, 13, 0xb0), 161, flows.AppUnknown},
	{"cldap", cat(hx("30 10 02 01 01 63 0b 04 00 0a 01 00 0a 01 00 02 01 00")), 0, flows.AppLDAP},
	{"kerberos", asReq, 0, flows.AppKerberos},
	{"kerberos of another length", append(append([]byte(nil), asReq...), 0), 88, flows.AppUnknown},
	{"ssdp search", []byte("M-SEARCH * HTTP/1.1\r\nHost: x\r\n"), 0, flows.AppSSDP},
	{"ssdp notify", []byte("NOTIFY * HTTP/1.1\r\nHost: x\r\n"), 0, flows.AppSSDP},
	{"ssdp answer", []byte("HTTP/1.1 200 OK\r\nST: x\r\n"), 1900, flows.AppSSDP},
	{"http over udp", []byte("GET / HTTP/1.1\r\n"), 80, flows.AppUnknown},
	{"sip", sip, 0, flows.AppSIP},
	{"syslog", []byte("<34>Oct 11 22:14:15 mymachine su: x"), 0, flows.AppSyslog},
	{"syslog 1", []byte("<165>1 2003-10-11T22:14:15Z a b c d - x"), 0, flows.AppSyslog},
	{"syslog of priority 192", []byte("<192>Oct 11 22:14:15 mymachine su: x"), 514, flows.AppUnknown},
	{"xml", []byte("<34>not a month, really"), 514, flows.AppUnknown},
	{"stun", stun, 0, flows.AppSTUN},
	{"stun with another cookie", change(stun, 7, 0x43), 3478, flows.AppUnknown},
	{"stun of another length", change(stun, 3, 4), 3478, flows.AppUnknown},
	{"wireguard init", wgInit, 0, flows.AppWireGuard},
	{"wireguard answer", pad(hx("02 000000"), 92), 0, flows.AppWireGuard},
	{"wireguard data", wgData, 0, flows.AppWireGuard},
	{"wireguard init of 147 bytes", wgInit[:147], 51820, flows.AppUnknown},
	{"wireguard, reserved set", change(wgInit, 2, 1), 51820, flows.AppUnknown},
	{"wireguard data of 47 bytes", wgData[:47], 51820, flows.AppUnknown},
	{"nfs call", rpcCall, 0, flows.AppNFS},
	{"nfs reply", rpcReply, 0, flows.AppNFS},
	{"rpc of another program", change(rpcCall, 15, 1), 2049, flows.AppUnknown},
	{"rpc of version 3", change(rpcCall, 11, 3), 2049, flows.AppUnknown},
	{"rpc reply with a long verifier", change(rpcReply, 18, 2), 2049, flows.AppUnknown},
	{"bittorrent dht", []byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"), 0, flows.AppBitTorrent},
	{"bencode", []byte("d3:bar4:spam3:fooi42e4:more0:e"), 6881, flows.AppUnknown},
	{"bittorrent tracker", hx("00000417 27101980 00000000 12345678"), 0, flows.AppBitTorrent},
	{"openvpn", ovpn, 0, flows.AppOpenVPN},
	{"openvpn with hmac", ovpnHMAC, 0, flows.AppOpenVPN},
	{"openvpn server", hx("40 0102030405060708 01 00000000 1112131415161718 00000000"), 0, flows.AppOpenVPN},
	{"openvpn, packet 1", change(ovpn, 13, 1), 1194, flows.AppUnknown},
	{"openvpn, one byte more", pad(ovpn[:14:14], 15), 1194, flows.AppUnknown},
	{"dcerpc", dcerpcUDP, 0, flows.AppDCERPC},
	{"dcerpc of another length", append(append([]byte(nil), dcerpcUDP...), 0), 135, flows.AppUnknown},
	{"rdp", rdpUDP, 0, flows.AppRDP},
	{"rdp with another mtu", change(rdpUDP, 12, 9), 3389, flows.AppUnknown},
	{"source engine", cat(hx("ffffffff"), "TSource Engine Query\x00"), 3389, flows.AppUnknown},
	{"dtls", dtls, 0, flows.AppTLS},
	{"dtls in epoch 1", change(dtls, 4, 1), 443, flows.AppUnknown},
	{"rtp", g711, 20000, flows.AppRTP},
	{"rtp with an odd frame", append(append([]byte(nil), g711...), 0), 20000, flows.AppUnknown},
	{"rtp to a port that has an owner", g711, 443, flows.AppUnknown},
	{"rtp of a dynamic type", change(g711, 1, 96), 20000, flows.AppRTP},
	{"rtp of a dynamic type to an odd port", change(g711, 1, 96), 20001, flows.AppUnknown},
	{"rtcp", rtcp, 20001, flows.AppRTP},
	{"rtcp of another length", change(rtcp, 3, 5), 20001, flows.AppUnknown},
	{"nothing", nil, 53, flows.AppUnknown},
	{"zeros", make([]byte, 64), 53, flows.AppUnknown},
	{"encrypted", hx("9f 3a 77 01 c4 55 20 e1 aa 03 48 19 6b d2 ff 10 51 7e"), 53, flows.AppUnknown},
}

func TestIdentify(t *testing.T) {
	seen := map[flows.App]bool{}
	s := New(Default())
	for proto, examples := range map[packet.Proto][]example{packet.ProtoTCP: tcpExamples, packet.ProtoUDP: udpExamples} {
		for _, e := range examples {
			c := flows.Conn{Proto: proto, OrigPort: 50000, RespPort: e.port}
			if e.port == 0 {
				c.RespPort = 47000
			}
			if got := s.Identify(&c, flows.Orig, e.b); got != e.want {
				t.Errorf("%s over %d is %q, want %q", e.name, proto, got, e.want)
			}
			seen[e.want] = true
			// The other direction and the other order of ports say the same where no port is needed.
			c.OrigPort, c.RespPort = c.RespPort, c.OrigPort
			if e.want != flows.AppRTP && e.want != flows.AppUnknown {
				if got := s.Identify(&c, flows.Resp, e.b); got != e.want {
					t.Errorf("%s over %d from the other side is %q, want %q", e.name, proto, got, e.want)
				}
			}
		}
	}
	for app := range flows.NumApps {
		if !seen[app] {
			t.Errorf("no example of %q", app)
		}
	}
	c := flows.Conn{Proto: packet.ProtoUDP, OrigPort: 546, RespPort: 547}
	if got := s.Identify(&c, flows.Orig, dhcp6); got != flows.AppDHCP {
		t.Errorf("DHCPv6 is %q", got)
	}
	if got := s.Identify(&c, flows.Orig, dhcp6[:len(dhcp6)-1]); got != flows.AppUnknown {
		t.Errorf("DHCPv6 with a broken option is %q", got)
	}
	c.Proto = packet.ProtoSCTP
	if got := s.Identify(&c, flows.Orig, hello); got != flows.AppUnknown {
		t.Errorf("TLS over SCTP is %q", got)
	}
}

// TestPortsDecideNothing holds that bytes that mean nothing mean nothing on every port, and that a signature that needs
// no port names the same on every port. Only the ties that the table above names may depend on it.
func TestPortsDecideNothing(t *testing.T) {
	ties := map[string]bool{}
	for _, e := range append(append([]example(nil), tcpExamples...), udpExamples...) {
		ties[string(e.b)] = ties[string(e.b)] || e.port != 0 && e.want != flows.AppUnknown
	}
	ports := []uint16{20, 21, 22, 23, 25, 53, 67, 80, 88, 110, 123, 135, 137, 139, 143, 161, 389, 443, 445, 502, 514, 1194,
		1433, 1883, 1900, 2049, 3306, 3389, 3478, 5060, 5353, 5355, 5432, 5900, 51820, 65535}
	for _, proto := range []packet.Proto{packet.ProtoTCP, packet.ProtoUDP} {
		examples := tcpExamples
		if proto == packet.ProtoUDP {
			examples = udpExamples
		}
		for _, e := range examples {
			if ties[string(e.b)] || e.want == flows.AppRTP || e.want == flows.AppDNS { // DNS, mDNS and LLMNR are one format
				continue
			}
			for _, port := range ports {
				c := flows.Conn{Proto: proto, OrigPort: 50000, RespPort: port}
				var got flows.App
				if proto == packet.ProtoTCP {
					got = identifyTCP(&c, e.b)
				} else {
					got = identifyUDP(&c, e.b)
				}
				if got != e.want && !(e.want == flows.AppUnknown && got == flows.AppRTP) {
					t.Errorf("%s is %q on port %d, want %q", e.name, got, port, e.want)
				}
			}
		}
	}
}

// FuzzIdentify holds that no bytes make the signatures panic, wherever the capture cut them.
func FuzzIdentify(f *testing.F) {
	for _, e := range append(append([]example(nil), tcpExamples...), udpExamples...) {
		f.Add(e.b, e.port)
	}
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		c := flows.Conn{OrigPort: 50000, RespPort: port}
		for _, end := range []int{len(b), len(b) / 2, min(len(b), 11)} {
			tight := append([]byte(nil), b[:end]...)
			identifyTCP(&c, tight[:end:end])
			identifyUDP(&c, tight[:end:end])
		}
	})
}

// go test -bench Identify ./flows/proto
func BenchmarkIdentify(b *testing.B) {
	encrypted := make([]byte, 1200)
	for i := range encrypted {
		encrypted[i] = byte(i*197 + 91)
	}
	for _, e := range []example{
		{"unknown", encrypted, 0, 0}, {"dns", dnsQuery, 53, 0}, {"tls", hello, 443, 0}, {"smb", smb2, 445, 0}, {"quic", quic1, 443, 0},
		{"http", []byte("GET /index.html HTTP/1.1\r\nHost: www.example.com\r\n"), 80, 0},
	} {
		for proto, identify := range map[string]func(*flows.Conn, []byte) flows.App{"tcp": identifyTCP, "udp": identifyUDP} {
			b.Run("proto="+proto+"/data="+e.name, func(b *testing.B) {
				c := flows.Conn{OrigPort: 50000, RespPort: e.port}
				b.ReportAllocs()
				for range b.N {
					identify(&c, e.b)
				}
			})
		}
	}
}
