package craft

import (
	"encoding/binary"
	"math"
	"time"
)

// SSH is one SSH session: the opening in the clear (RFC 4253, 4.2 and 7), then sealed packets in the sizes of AES in counter
// mode with HMAC-SHA2-256 (36 bytes for a key), fails wrong passwords, and what follows a right one. Without Gets there is none.
type SSH struct {
	Fails int
	Gets  bool
	Keys  int // typed by the client, with people's waits
	Back  int // typed by the server's side, through a port forwarded backwards
	Send  int // bytes of a file
	Take  int
}

// SSH tells the session and returns when it ends.
func (n *Net) SSH(at time.Time, client, server *Host, s SSH) time.Time {
	c := n.Dial(at, client, server, 22)
	c.Client([]byte("SSH-2.0-OpenSSH_9.6\r\n"))
	c.Server([]byte("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"))
	c.Client(n.kexInit("curve25519-sha256,ecdh-sha2-nistp256", "aes256-ctr,aes128-ctr"))
	c.Server(n.kexInit("curve25519-sha256", "aes256-ctr"))
	c.Client(sshPacket(30, n.Bytes(36)))
	c.Server(Join(sshPacket(31, n.Bytes(400)), sshPacket(21, nil)))
	c.Client(sshPacket(21, nil))
	ask := func(up, down int) {
		c.Client(n.Bytes(up))
		c.Server(n.Bytes(down))
	}
	ask(64, 64) // the service
	ask(80, 96) // no password at all
	for range s.Fails {
		c.Wait(900 * time.Millisecond)
		ask(148, 96)
	}
	if !s.Gets {
		c.Close()
		return c.Now
	}
	c.Wait(900 * time.Millisecond)
	ask(148, 48)
	ask(112, 80)
	ask(180, 52)
	c.Server(n.Bytes(600)) // the message of the day
	key := func(i, size int) {
		c.Wait(n.pause())
		c.send(i, n.Bytes(size))
		c.Wait(time.Duration(200+n.Rand.IntN(900)) * time.Microsecond)
		c.send(1-i, n.Bytes(size))
	}
	for i := range s.Keys {
		key(0, 36)
		if i%12 == 11 { // a command's output
			c.Server(n.Bytes(200 + n.Rand.IntN(2000)))
		}
	}
	for i := range s.Back {
		key(1, 76)
		if i%12 == 11 {
			c.Client(n.Bytes(200 + n.Rand.IntN(2000)))
		}
	}
	for i, size := range []int{s.Send, s.Take} {
		for size > 0 {
			part := min(size, 32768)
			c.send(i, n.Bytes(part))
			size -= part
		}
	}
	c.Wait(time.Second)
	ask(36, 36)
	c.Close()
	return c.Now
}

// pause is how long a person waits between two keys: log-normal with a median of 160 ms, at most 1.5 s. Measured: the waits of
// the captures of people's sessions have means of 120 to 250 ms.
func (n *Net) pause() time.Duration {
	return time.Duration(min(0.160*math.Exp(0.5*n.Rand.NormFloat64()), 1.5) * 1e9)
}

// sshPacket is a packet in the clear (RFC 4253, 6).
func sshPacket(msg byte, body []byte) []byte {
	pad := 8 - (4+1+1+len(body))%8 + 8
	b := binary.BigEndian.AppendUint32(nil, uint32(1+1+len(body)+pad))
	return Join(b, []byte{byte(pad), msg}, body, make([]byte, pad))
}

// kexInit offers algorithms (RFC 4253, 7.1).
func (n *Net) kexInit(kex, ciphers string) []byte {
	body := n.Bytes(16)
	const mac = "hmac-sha2-256"
	for _, l := range []string{kex, "ssh-ed25519", ciphers, ciphers, mac, mac, "none", "none", "", ""} {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(l))), l...)
	}
	return sshPacket(20, append(body, 0, 0, 0, 0, 0))
}

// RDP is one remote desktop connection over TLS 1.2 with network level authentication.
type RDP struct {
	User       string
	Wrong      bool // the password
	Restricted bool
	Work       time.Duration // of a person, with keys and mouse
	Struck     int           // keys that a program strikes
	Send       int           // bytes of a file put through
}

// RDP tells the connection and returns when it ends.
func (n *Net) RDP(at time.Time, client, server *Host, r RDP) time.Time {
	c := n.Dial(at, client, server, 3389)
	flags := byte(0)
	if r.Restricted {
		flags = 1
	}
	c.Client(x224(0xe0, Join([]byte("Cookie: mstshash="+r.User[:min(len(r.User), 9)]+"\r\n"), []byte{1, flags, 8, 0, 11, 0, 0, 0})))
	c.Server(x224(0xd0, []byte{2, 0x1f, 8, 0, 8, 0, 0, 0}))
	seal := func(i int, sizes ...int) {
		for _, size := range sizes {
			c.send(i, record(23, n.Bytes(size)))
		}
	}
	c.Client(clientHello(n, "srv"))
	c.Server(Join(record(22, Join([]byte{2, 0, 0, 77, 3, 3}, n.Bytes(75))), record(22, Join([]byte{11, 0, 3, 0}, n.Bytes(768))), record(22, []byte{14, 0, 0, 0})))
	c.Client(Join(record(22, n.Bytes(70)), record(20, []byte{1}), record(22, n.Bytes(40))))
	c.Server(Join(record(20, []byte{1}), record(22, n.Bytes(40))))
	seal(0, 81)
	seal(1, 245)
	c.Wait(20 * time.Millisecond)
	seal(0, 609)
	if r.Wrong {
		seal(1, 39)
		c.Close()
		return c.Now
	}
	seal(1, 83)
	seal(0, 108)
	seal(1, 28)
	seal(0, 486)
	seal(1, 150)
	for range 8 {
		seal(0, 36)
		seal(1, 39)
	}
	c.Wait(800 * time.Millisecond)
	seal(0, 645)
	seal(1, 1400, 9000, 16000)
	c.Wait(3 * time.Second)
	for range r.Struck {
		c.Wait(10 * time.Millisecond)
		seal(0, 34, 33)
	}
	for end := c.Now.Add(r.Work); c.Now.Before(end); {
		if n.Rand.IntN(3) == 0 { // a key, pressed and released
			seal(0, 34)
			c.Wait(time.Duration(50+n.Rand.IntN(60)) * time.Millisecond)
			seal(0, 33)
			seal(1, 300+n.Rand.IntN(3000))
		} else { // a mouse that moves
			seal(0, 80+n.Rand.IntN(40))
			if n.Rand.IntN(4) == 0 {
				seal(1, 200+n.Rand.IntN(9000))
			}
		}
		c.Wait(n.pause())
	}
	for size := r.Send; size > 0; size -= 1600 {
		seal(0, min(size, 1600))
	}
	c.Wait(time.Second)
	seal(0, 33)
	c.Close()
	return c.Now
}

// x224 is a connection request or confirm (MS-RDPBCGR 2.2.1.1, 2.2.1.2).
func x224(kind byte, rest []byte) []byte {
	size := 11 + len(rest)
	return Join([]byte{3, 0, byte(size >> 8), byte(size), byte(size - 5), kind, 0, 0, 0, 0, 0}, rest)
}
