package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"neuromast/sensor/packet"
)

// The pools are small, so that expressions and packets meet.
var (
	hosts4  = []string{"10.0.0.1", "10.0.0.2", "10.0.1.1", "192.168.5.7", "0.0.0.0"}
	hosts6  = []string{"2001:db8::1", "2001:db8::2", "fe80::1", "ff02::1"}
	nets    = []string{"10.0.0.0/24", "10.0.0.0/8", "192.168", "10", "10.0.0.0/31", "0.0.0.0/0", "192.168.0.0 mask 255.255.0.0", "2001:db8::/32", "2001:db8::/127", "::/0"}
	ports   = []int{53, 80, 443, 445, 1000, 1500}
	macs    = []string{"02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"}
	lengths = []int{60, 100, 120, 200, 1000}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// expression makes a random one.
func expression(r *rand.Rand, depth int, ethernet bool) string {
	if depth > 0 {
		switch r.IntN(6) {
		case 0:
			return expression(r, depth-1, ethernet) + pick(r, []string{" and ", " && "}) + expression(r, depth-1, ethernet)
		case 1:
			return expression(r, depth-1, ethernet) + pick(r, []string{" or ", " || "}) + expression(r, depth-1, ethernet)
		case 2:
			return pick(r, []string{"not ", "! "}) + expression(r, depth-1, ethernet)
		case 3:
			return "( " + expression(r, depth-1, ethernet) + " )"
		}
	}
	dir := pick(r, []string{"", "", "src ", "dst ", "src or dst ", "src and dst ", "dst or src ", "dst and src "})
	transport := pick(r, []string{"", "tcp ", "udp ", "sctp "})
	switch r.IntN(19) {
	case 0:
		return dir + "host " + pick(r, hosts4)
	case 1:
		return dir + "host " + pick(r, hosts6)
	case 2:
		return "ip " + dir + "host " + pick(r, hosts4)
	case 3:
		return dir + "net " + pick(r, nets)
	case 4:
		return fmt.Sprintf("%s%sport %d", transport, dir, pick(r, ports))
	case 5:
		lo, hi := pick(r, ports), pick(r, ports)
		return fmt.Sprintf("%s%sportrange %d-%d", transport, dir, min(lo, hi), max(lo, hi))
	case 6:
		return pick(r, []string{"ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "esp", "ah"})
	case 7:
		return pick(r, []string{"", "ip ", "ip6 "}) + "proto " + pick(r, []string{"6", "17", "1", "58", "47", `\tcp`, `\udp`})
	case 8:
		return fmt.Sprintf("%s %d", pick(r, []string{"less", "greater"}), pick(r, lengths))
	case 9:
		return fmt.Sprintf("port %d or %d", pick(r, ports), pick(r, ports))
	case 10:
		return fmt.Sprintf("host %s or not %s", pick(r, hosts4), pick(r, hosts4))
	case 11:
		return fmt.Sprintf("len %s %d", pick(r, []string{"=", "!=", "<", ">", "<=", ">="}), pick(r, lengths))
	case 12:
		return pick(r, []string{"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[13] = 2", "(tcp[13] & 0x12) == 0x12", "udp[0:2] = 53", "icmp[icmptype] == 8", "ip[8] < 10", "ip[2:2] >= 100", "ip6[6] = 6", "tcp[0:4] > 65536"})
	case 13:
		return pick(r, []string{"ip multicast", "ip6 multicast"})
	}
	if !ethernet {
		return "ip"
	}
	switch r.IntN(6) {
	case 0:
		return "vlan"
	case 1:
		return fmt.Sprintf("vlan %d", 1+r.IntN(3))
	case 2:
		return "ether " + pick(r, []string{"host ", "src ", "dst ", "src host ", "dst host "}) + pick(r, macs)
	case 3:
		return "ether proto " + pick(r, []string{"0x800", "0x86dd", `\arp`, `\ip`, "0x88cc"})
	case 4:
		return pick(r, []string{"broadcast", "multicast", "ether broadcast", "ether multicast"})
	}
	return "arp " + dir + "host " + pick(r, hosts4)
}

// frameOf makes a random frame, long enough for every header.
func frameOf(r *rand.Rand, link packet.LinkType) []byte {
	be := binary.BigEndian
	kind := pick(r, []uint16{0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x0806, 0x8035, 0x88cc})
	var b []byte
	switch link {
	case packet.LinkEthernet:
		for range 2 {
			mac, _ := parseMAC(pick(r, macs))
			b = append(b, mac...)
		}
		for range r.IntN(4) - 1 {
			b = be.AppendUint16(be.AppendUint16(b, pick(r, []uint16{0x8100, 0x88a8, 0x9100})), uint16(r.IntN(4)|r.IntN(8)<<13))
		}
		b = be.AppendUint16(b, kind)
	case packet.LinkSLL:
		b = be.AppendUint16(make([]byte, 14), kind)
	case packet.LinkSLL2:
		b = append(be.AppendUint16(nil, kind), make([]byte, 18)...)
	default:
		for kind != 0x0800 && kind != 0x86dd {
			kind = pick(r, []uint16{0x0800, 0x86dd})
		}
	}
	addr := func(list []string) []byte {
		p, err := parseAddr(pick(r, list))
		if err != nil {
			panic(err)
		}
		return p
	}
	proto := pick(r, []byte{6, 6, 17, 17, 132, 1, 58, 2, 47, 50, 51, 44})
	switch kind {
	case 0x0800:
		ihl := 5
		if r.IntN(4) == 0 {
			ihl += r.IntN(11)
		}
		h := make([]byte, ihl*4)
		h[0], h[8], h[9] = 0x40|byte(ihl), byte(r.IntN(20)), proto
		be.PutUint16(h[2:], uint16(r.IntN(200)))
		if r.IntN(4) == 0 {
			be.PutUint16(h[6:], pick(r, []uint16{0x2000, 0x2001, 0x0001, 0x4000}))
		}
		copy(h[12:], addr(hosts4))
		copy(h[16:], addr(hosts4))
		b = append(b, h...)
	case 0x86dd:
		h := make([]byte, 40)
		h[0], h[6] = 0x60, proto
		copy(h[8:], addr(hosts6))
		copy(h[24:], addr(hosts6))
		b = append(b, h...)
		if proto == 44 {
			b = append(b, pick(r, []byte{6, 17, 58, 1}), 0, 0, 0, 0, 0, 0, 0)
		}
	case 0x0806, 0x8035:
		h := make([]byte, 28)
		copy(h[14:], addr(hosts4))
		copy(h[24:], addr(hosts4))
		b = append(b, h...)
	}
	b = be.AppendUint16(b, uint16(pick(r, ports)))
	b = be.AppendUint16(b, uint16(pick(r, ports)))
	rest := make([]byte, 100)
	for i := range rest {
		rest[i] = byte(r.IntN(20))
	}
	return append(b, rest...)
}

func parseMAC(s string) (mac []byte, err error) {
	var v [6]byte
	_, err = fmt.Sscanf(s, "%02x:%02x:%02x:%02x:%02x:%02x", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5])
	return v[:], err
}

func parseAddr(s string) ([]byte, error) {
	p := parser{tokens: lex(s)}
	pre, err := p.prefix("host")
	return pre.Addr().AsSlice(), err
}

// TestAgainstTcpdump holds that our programs take the frames that tcpdump's take.
func TestAgainstTcpdump(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed")
	}
	links := []struct {
		link packet.LinkType
		name string
	}{{packet.LinkEthernet, "EN10MB"}, {packet.LinkEthernet, "EN10MB"}, {packet.LinkRaw, "RAW"}, {packet.LinkSLL, "LINUX_SLL"}, {packet.LinkSLL2, "LINUX_SLL2"}}
	r := rand.New(rand.NewPCG(7, 7))
	const expressions, frames = 600, 500 // each expression starts a tcpdump, about 8 ms
	pairs, taken, refused := 0, 0, 0
	for range expressions {
		l := pick(r, links)
		expr := expression(r, 3, l.link == packet.LinkEthernet)
		text, err := exec.Command("tcpdump", "-y", l.name, "-ddd", expr).CombinedOutput()
		theirs := Program{{Op: opRET}}
		switch {
		case err == nil:
			if theirs, err = ParseDDD(string(text)); err != nil {
				t.Fatalf("%s: %v", expr, err)
			}
		case !strings.Contains(string(text), "rejects all packets"):
			refused++ // an address family that the link can't have, and the like
			continue
		}
		ours, err := Compile(expr, l.link, InFrame)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		for range frames {
			b := frameOf(r, l.link)
			wire := pick(r, append(lengths, len(b)))
			if got, want := ours.Match(b, wire, Tag{}), theirs.Match(b, wire, Tag{}); got != want {
				t.Fatalf("%s %s\n% x (%d)\nours %v, tcpdump's %v", l.name, expr, b, wire, got, want)
			} else if got {
				taken++
			}
			pairs++
		}
	}
	t.Logf("%d pairs of expression and frame agree, %d taken; tcpdump refused %d expressions", pairs, taken, refused)
	if refused > expressions/5 || taken < pairs/20 {
		t.Error("the comparison compares little")
	}
}

func TestMatch(t *testing.T) {
	tcp80 := unhexFrame("ffffffffffff 020000000001 0800 4500002800010000400600000a0000010a000002 1f90 0050 00000000000000005002000000000000")
	for _, tt := range []struct {
		expr string
		want bool
	}{
		{"", true}, {"tcp", true}, {"port 80", true}, {"dst port http", true}, {"src port 80", false}, {"10.0.0.1", true},
		{"host 10.0.0.1 and not port 443", true}, {"net 10 and (udp or icmp)", false}, {"less 100", true}, {"greater 100", false},
		{"ether broadcast", true}, {"tcp[tcpflags] & tcp-syn != 0", true}, {"vlan", false}, {"tcp and not vlan", true},
		{"4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0", true},
	} {
		p, err := Compile(tt.expr, packet.LinkEthernet, InFrame)
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
		} else if got := p.Match(tcp80, len(tcp80), Tag{}); got != tt.want {
			t.Errorf("%s: %v", tt.expr, got)
		}
	}
}

// TestAncillary holds where Linux tells the tag that it took out.
func TestAncillary(t *testing.T) {
	tcp := unhexFrame("ffffffffffff 020000000001 0800 4500002800010000400600000a0000010a000002 1f90 0050 00000000000000005002000000000000")
	inner := unhexFrame("ffffffffffff 020000000001 8100 0007 0800 4500002800010000400600000a0000010a000002 1f90 0050 00000000000000005002000000000000")
	for _, tt := range []struct {
		expr  string
		frame []byte
		tag   Tag
		want  bool
	}{
		{"vlan", tcp, Tag{true, 5}, true}, {"vlan", tcp, Tag{}, false}, {"vlan 5 and tcp port 80", tcp, Tag{true, 0x2005}, true},
		{"vlan 6", tcp, Tag{true, 5}, false}, {"vlan 5 and vlan 7 and tcp", inner, Tag{true, 5}, true}, {"vlan 5 and vlan 8", inner, Tag{true, 5}, false},
	} {
		p, err := Compile(tt.expr, packet.LinkEthernet, Ancillary)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(tt.frame, len(tt.frame), tt.tag); got != tt.want {
			t.Errorf("%s: %v", tt.expr, got)
		}
	}
}

func unhexFrame(s string) (b []byte) {
	for s = strings.ReplaceAll(s, " ", ""); len(s) > 0; s = s[2:] {
		var v byte
		fmt.Sscanf(s[:2], "%02x", &v)
		b = append(b, v)
	}
	return b
}

func TestMistakesAreNamed(t *testing.T) {
	for expr, want := range map[string]string{
		"hots 10.0.0.1":        `"hots" (column 1)`,
		"host www.example.com": "names are not looked up",
		"port":                 "a value was expected",
		"port 70000":           "a port was expected",
		"tcp and":              "a condition was expected at the end",
		"(tcp":                 "closing parenthesis",
		"tcp)":                 "and, or or the end",
		"vlan 5000":            "between 0 and 4095",
		"net 10.0.0.1/8":       "10.0.0.0/8 was expected",
		"icmp port 80":         "icmp has no ports",
		"tcp host 10.0.0.1":    "tcp and host",
		"ip host fe80::1":      "does not go with",
		"ether host 1.2.3.4":   "a hardware address",
		"tcp[x] = 1":           "an offset was expected",
		"tcp[0] ~ 1":           "=, !=, <",
		"less much":            "a number",
		"4\n1 2 3 4 5":         "column",
		"1\n6 0 0":             "column",
		"2\n21 0 9 1\n6 0 0 0": "instruction 0",
	} {
		if p, err := Compile(expr, packet.LinkEthernet, InFrame); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", expr, p, err, want)
		}
	}
	if _, err := Compile("tcp", packet.LinkFDDI, InFrame); err == nil {
		t.Error("FDDI is taken")
	}
	var e *Error
	if _, err := Compile("tcp and hots", packet.LinkEthernet, InFrame); !errors.As(err, &e) || e.Column != 9 || e.Word != "hots" {
		t.Errorf("%+v", e)
	}
}

// TestLongJumps holds that a filter longer than a jump still jumps right.
func TestLongJumps(t *testing.T) {
	var parts []string
	for i := range 120 {
		parts = append(parts, fmt.Sprintf("host 10.1.%d.%d", i/250, i%250))
	}
	expr := strings.Join(parts, " or ") + " or host 10.0.0.2"
	p, err := Compile(expr, packet.LinkEthernet, InFrame)
	if err != nil {
		t.Fatal(err)
	}
	b := unhexFrame("ffffffffffff 020000000001 0800 4500002800010000400600000a0000010a000002 1f90 0050 00000000000000005002000000000000")
	if !p.Match(b, len(b), Tag{}) {
		t.Error("the last host is not found")
	}
	b[33] = 9
	if p.Match(b, len(b), Tag{}) {
		t.Error("another host is taken")
	}
	if _, err := Compile(strings.Repeat(expr+" or ", 5)+"tcp", packet.LinkEthernet, InFrame); err == nil {
		t.Error("a program longer than the kernel takes is made")
	}
}

func FuzzCompile(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		f.Add(expression(r, 3, true), []byte("frame"))
	}
	f.Add("2 6 0 0 1 6 0 0 0", []byte{})
	f.Fuzz(func(t *testing.T, expr string, frame []byte) {
		p, err := Compile(expr, packet.LinkEthernet, Ancillary)
		if err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		p.Match(frame, len(frame), Tag{true, 1})
	})
}

func TestMatchDoesNotAllocate(t *testing.T) {
	p, err := Compile("tcp port 80 or vlan 5 and net 10", packet.LinkEthernet, InFrame)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() { p.Match(b, 100, Tag{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
