package workload

import (
	"io"
	"math/rand/v2"

	"encoding/binary"
	"strings"
)

// Small is conversations of ten small packets each, in another order in every round, so that nearly every packet's flow
// is far away in memory: three of four TCP, one UDP.
type Small struct{ Packets int }

// Write writes the capture as pcap; its flows are a tenth of its packets.
func (s Small) Write(w io.Writer) error {
	f := newFrames(w)
	n := max(s.Packets/10, 1)
	root := []byte{0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1} // a query for the root's name servers
	for round := range 10 {
		stride := 2*(round*104729+7) + 1
		for gcd(stride, n) != 1 {
			stride += 2
		}
		for i := range n {
			k := i * stride % n
			e := ends{10<<24 | 20<<16 | uint32(k%50_000), 10<<24 | 1<<16 | uint32(k%97), uint16(1024 + k/50_000*97 + k%97), [...]uint16{443, 80, 445, 53}[k%4]}
			if round%2 == 1 {
				e = e.back()
			}
			us := int64(round*n + i)
			if k%4 == 3 {
				root[2] = byte(round%2) * 0x80
				f.udp(us, e, root)
				continue
			}
			flags := byte(0x10)
			switch round {
			case 0:
				flags = 0x02
			case 1:
				flags = 0x12
			case 9:
				flags = 0x11
			}
			f.tcp(us, e, flags, uint32(k+round), uint32(k))
		}
	}
	return f.err
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Churn is sixteen scanners that try many addresses with one SYN each, at five ports in turn: every packet is a flow.
type Churn struct{ Packets int }

// Write writes the capture as pcap.
func (c Churn) Write(w io.Writer) error {
	f := newFrames(w)
	ports := [...]uint16{445, 3389, 22, 80, 443}
	for i := range c.Packets {
		turn := i / 16
		target := uint32(uint64(turn) * 648_391 & (1<<20 - 1)) // each once: the factor is odd
		f.tcp(int64(i)*2, ends{10<<24 | 99<<16 | uint32(i%16+1), 10<<24 | 128<<16 + target, uint16(32768 + turn%28_000), ports[turn%5]}, 0x02, uint32(i), 0)
	}
	return f.err
}

// DNS is queries of 5,000 clients to three resolvers and their answers, 8 ms later.
type DNS struct {
	Seed    uint64
	Packets int
}

// Write writes the capture as pcap.
func (d DNS) Write(w io.Writer) error {
	f := newFrames(w)
	r := rand.New(rand.NewPCG(d.Seed, 2))
	list := names(r)
	zipf := rand.NewZipf(r, 1.1, 8, uint64(len(list)-1))
	type answer struct {
		us  int64
		e   ends
		msg []byte
	}
	var waiting []answer
	next := make([]uint16, 5000)
	for i := range max(d.Packets/2, 1) {
		us := int64(i) * 20
		for len(waiting) > 0 && waiting[0].us <= us {
			f.udp(waiting[0].us, waiting[0].e, waiting[0].msg)
			waiting = waiting[1:]
		}
		c := r.IntN(5000)
		next[c]++
		e := ends{10<<24 | 20<<16 | uint32(c), 10<<24 | 1<<16 | uint32(2+r.IntN(3)), 49152 + next[c]%16_000, 53}
		name := list[zipf.Uint64()]
		if r.IntN(100) == 0 { // data in a name
			name = label(r, 48) + ".t.cedar-mail.net"
		}
		q, a := exchange(r, uint16(r.Uint32()), name)
		f.udp(us, e, q)
		waiting = append(waiting, answer{us + 8000, e.back(), a})
	}
	for _, a := range waiting {
		f.udp(a.us, a.e, a.msg)
	}
	return f.err
}

// label is n letters of base 32.
func label(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz234567"[r.IntN(32)]
	}
	return string(b)
}

// exchange makes a query and its answer (RFC 1035, 4).
func exchange(r *rand.Rand, id uint16, name string) (query, answer []byte) {
	be := binary.BigEndian
	kind := uint16(1) // A 41 %, AAAA 24 %, HTTPS 12 %, PTR, TXT, MX and SRV 6 % each
	switch n := r.IntN(100); {
	case n < 41:
	case n < 65:
		kind = 28
	case n < 77:
		kind = 65
	default:
		kind = [...]uint16{12, 16, 15, 33}[n%4]
	}
	head := func(flags, answers, authority, extra uint16) []byte {
		b := be.AppendUint16(nil, id)
		for _, v := range []uint16{flags, 1, answers, authority, extra} {
			b = be.AppendUint16(b, v)
		}
		for l := range strings.SplitSeq(name, ".") {
			b = append(append(b, byte(len(l))), l...)
		}
		return be.AppendUint16(be.AppendUint16(append(b, 0), kind), 1)
	}
	edns := uint16(0)
	if r.IntN(10) < 6 {
		edns = 1
	}
	opt := func(b []byte) []byte {
		if edns == 1 {
			b = append(b, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0)
		}
		return b
	}
	query = opt(head(0x0100, 0, 0, edns))
	if r.IntN(10) == 0 { // no such name, with the zone's SOA
		b := head(0x8183, 0, 1, edns)
		b = append(b, 0xc0, 12, 0, 6, 0, 1, 0, 0, 3, 132, 0, 24, 0xc0, 12, 0xc0, 12)
		return query, opt(append(b, make([]byte, 20)...))
	}
	chain := 0
	if kind <= 28 && kind != 15 && kind != 12 && kind != 16 && r.IntN(10) < 4 {
		chain = 1 + r.IntN(2)
	}
	count := 1 + r.IntN(4)
	b := head(0x8180, uint16(chain+count), 0, edns)
	owner := uint16(12)
	for range chain {
		b = be.AppendUint16(b, 0xc000|owner)
		b = append(b, 0, 5, 0, 1, 0, 0, 0, 60)
		target := append([]byte{8}, label(r, 8)...)
		b = be.AppendUint16(b, uint16(len(target)+2))
		owner = uint16(len(b))
		b = be.AppendUint16(append(b, target...), 0xc00c)
	}
	for range count {
		var data []byte
		switch kind {
		case 1:
			data = []byte{198, 18 + byte(r.IntN(2)), byte(r.IntN(256)), byte(r.IntN(256))}
		case 28:
			data = append([]byte{0x20, 1, 0xd, 0xb8}, []byte(label(r, 12))...)
		case 16:
			data = append([]byte{16}, label(r, 16)...)
		case 15:
			data = []byte{0, 10, 0xc0, 12}
		case 33:
			data = []byte{0, 1, 0, 1, 1, 187, 0xc0, 12}
		case 65:
			data = []byte{0, 1, 0}
		default:
			data = []byte{0xc0, 12}
		}
		b = be.AppendUint16(b, 0xc000|owner)
		b = be.AppendUint16(b, kind)
		b = append(b, 0, 1, 0, 0, 0, 60)
		b = append(be.AppendUint16(b, uint16(len(data))), data...)
	}
	return query, opt(b)
}
