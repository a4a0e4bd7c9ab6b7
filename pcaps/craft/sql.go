package craft

import (
	"encoding/binary"
	"time"
)

// tds is a message of SQL Server's protocol in packets of 4,096 bytes (MS-TDS 2.2.3.1).
func tds(kind byte, body []byte) (out []byte) {
	const payload = 4096 - 8
	for id := byte(1); ; id++ {
		part := body[:min(payload, len(body))]
		body = body[len(part):]
		status := byte(0)
		if len(body) == 0 {
			status = 1
		}
		out = append(out, kind, status, byte((len(part)+8)>>8), byte(len(part)+8), 0, 0, id, 0)
		if out = append(out, part...); len(body) == 0 {
			return out
		}
	}
}

// login7 is a log-in by password (MS-TDS 2.2.6.4), the password hidden as clients do.
func login7(host, user, password, program string) []byte {
	b := make([]byte, 94)
	le := binary.LittleEndian
	le.PutUint32(b[4:], 0x74000004)
	le.PutUint32(b[8:], 4096)
	b[24], b[25] = 0xe0, 0x03
	secret := utf16le(password)
	for i, c := range secret {
		secret[i] = (c<<4 | c>>4) ^ 0xa5
	}
	for _, f := range []struct {
		at   int
		text []byte
	}{{36, utf16le(host)}, {40, utf16le(user)}, {44, secret}, {48, utf16le(program)}, {52, utf16le("db")}, {60, utf16le("ODBC")}, {68, utf16le("master")}} {
		le.PutUint16(b[f.at:], uint16(len(b)))
		le.PutUint16(b[f.at+2:], uint16(len(f.text)/2))
		b = append(b, f.text...)
	}
	for _, at := range []int{56, 64, 78, 82, 86} {
		le.PutUint16(b[at:], uint16(len(b)))
	}
	le.PutUint32(b, uint32(len(b)))
	return b
}

// sqlToken is a token of an answer with a length of two bytes (MS-TDS 2.2.7).
func sqlToken(kind byte, parts ...[]byte) []byte {
	body := Join(parts...)
	return Join([]byte{kind}, u16(uint16(len(body))), body)
}

// sqlFailure is an ERROR token with the end of the answer.
func sqlFailure(number uint32, message string) []byte {
	return Join(sqlToken(0xaa, u32(number), []byte{1, 14}, u16(uint16(len(message))), utf16le(message), []byte{0, 0}, u32(1)), []byte{0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
}

// SQL tells a connection to SQL Server: the pre-login without encryption, a log-in by password, and batches. Where the password is
// wrong the connection ends there.
func (n *Net) SQL(at time.Time, client, server *Host, user, program string, wrong, refused bool, batches ...string) time.Time {
	c := n.Dial(at, client, server, 1433)
	c.Client(tds(0x12, []byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 17, 0, 0, 0, 0, 0, 2}))
	c.Server(tds(0x04, []byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 7, 0xd0, 0, 0, 2}))
	c.Client(tds(0x10, login7(client.Name, user, "a password", program)))
	if wrong {
		c.Server(tds(0x04, sqlFailure(18456, "Login failed for user '"+user+"'.")))
		c.Close()
		return c.Now
	}
	done := []byte{0xfd, 0x10, 0, 0xc1, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	name := utf16le("Microsoft SQL Server")
	c.Server(tds(0x04, Join(sqlToken(0xad, []byte{1, 0x74, 0, 0, 4, byte(len(name) / 2)}, name, []byte{16, 0, 7, 0xd0}), done)))
	headers := Join(u32(22, 18), u16(2), make([]byte, 8), u32(1))
	for _, b := range batches {
		c.Wait(30 * time.Millisecond)
		c.Client(tds(0x01, Join(headers, utf16le(b))))
		if refused {
			c.Server(tds(0x04, sqlFailure(229, "The permission was denied.")))
		} else {
			c.Server(tds(0x04, done))
		}
	}
	c.Close()
	return c.Now
}
