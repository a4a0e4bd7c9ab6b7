package bpf

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"neuromast/sensor/packet"
)

// Compile compiles an expression for frames of a link type; an empty one is an empty program. The output of tcpdump -ddd
// is taken as it is.
func Compile(expr string, link packet.LinkType, mode VLANMode) (Program, error) {
	if strings.TrimSpace(expr) == "" {
		return nil, nil
	}
	if fields := strings.Fields(expr); len(fields) >= 5 && len(fields)%4 == 1 && digits(strings.Join(fields, "")) {
		return ParseDDD(expr)
	}
	f, err := newFrame(link, mode)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: lex(expr), frame: f}
	x, err := p.expression(0)
	if err == nil && p.pos < len(p.tokens) {
		err = p.fail("and, or or the end was expected")
	}
	if err != nil {
		return nil, err
	}
	out := program(x)
	if err := out.Validate(); err != nil {
		return nil, fmt.Errorf("filter: too long: %w", err)
	}
	return out, nil
}

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}

// parser reads an expression from left to right, as tcpdump does: and and or bind alike, not binds more.
type parser struct {
	tokens []token
	pos    int
	frame  frame
	last   qualifiers // for a value without words of its own: host a or b
	primed bool       // last is set
}

// qualifiers are the words before a value.
type qualifiers struct {
	proto string // ip, ip6, arp, rarp, tcp, udp, sctp, icmp, icmp6, ether, …; empty: any
	dir   direction
	kind  string // host, net, port, portrange, proto; empty: host or net
}

// maxDepth bounds parentheses.
const maxDepth = 100

func (p *parser) peek() string {
	if p.pos < len(p.tokens) {
		return p.tokens[p.pos].text
	}
	return ""
}

func (p *parser) fail(format string, args ...any) error {
	e := &Error{Text: fmt.Sprintf(format, args...)}
	if p.pos < len(p.tokens) {
		e.Column, e.Word = p.tokens[p.pos].column, p.tokens[p.pos].text
	}
	return e
}

func (p *parser) take(words ...string) bool {
	for _, w := range words {
		if p.peek() == w {
			p.pos++
			return true
		}
	}
	return false
}

func (p *parser) expression(depth int) (cond, error) {
	x, err := p.term(depth, false)
	for err == nil {
		switch {
		case p.take("and", "&&"):
			var y cond
			if y, err = p.term(depth, true); err == nil {
				x = and(x, y)
			}
		case p.take("or", "||"):
			var y cond
			if y, err = p.term(depth, true); err == nil {
				x = or(x, y)
			}
		default:
			return x, nil
		}
	}
	return nil, err
}

// term reads what stands between and and or.
func (p *parser) term(depth int, follows bool) (cond, error) {
	if depth > maxDepth {
		return nil, p.fail("more than %d parentheses", maxDepth)
	}
	switch {
	case p.take("not", "!"):
		x, err := p.term(depth+1, follows)
		if err != nil {
			return nil, err
		}
		return not(x), nil
	case p.peek() == "(":
		if x, ok, err := p.relation(); ok || err != nil {
			return x, err
		}
		p.pos++
		x, err := p.expression(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.take(")") {
			return nil, p.fail("a closing parenthesis was expected")
		}
		return x, nil
	}
	if x, ok, err := p.relation(); ok || err != nil {
		return x, err
	}
	return p.primitive(follows)
}

// words that are a primitive by themselves, or stand before a value.
var protoWords = map[string]uint32{
	"ip": typeIP, "ip6": typeIP6, "arp": typeARP, "rarp": typeRARP,
	"tcp": protoTCP, "udp": protoUDP, "sctp": protoSCTP, "icmp": protoICMP, "igmp": protoIGMP, "icmp6": protoICMP6, "esp": protoESP, "ah": protoAH,
	"ether": 0,
}

func (p *parser) primitive(follows bool) (cond, error) {
	word := p.peek()
	switch word {
	case "":
		return nil, p.fail("a condition was expected")
	case "vlan":
		p.pos++
		id := int64(-1)
		if n, err := strconv.ParseUint(p.peek(), 0, 32); err == nil {
			if n > 4095 {
				return nil, p.fail("a VLAN id lies between 0 and 4095")
			}
			id = int64(n)
			p.pos++
		}
		return p.frame.vlan(id)
	case "less", "greater":
		p.pos++
		n, err := p.number(1<<32 - 1)
		if err != nil {
			return nil, err
		}
		return func(c *code, yes, no label) {
			c.op(opLD|modeLEN, 0)
			if word == "less" {
				c.jump(jumpGT, n, no, yes)
			} else {
				c.jump(jumpGE, n, yes, no)
			}
		}, nil
	case "broadcast", "multicast":
		p.pos++
		return p.cast("ether", word)
	}
	q, some, err := p.qualifiers()
	if err != nil {
		return nil, err
	}
	if !some {
		if !follows || !p.primed {
			q = qualifiers{}
			if !looksLikeAddress(word) {
				return nil, p.fail("no word of a filter that is known here: write host, net, port, portrange, proto, vlan, ether, a protocol, less, greater, and, or, not, or the output of tcpdump -ddd")
			}
		} else {
			q = p.last
		}
	}
	if w := p.peek(); q.proto != "" && (w == "broadcast" || w == "multicast") {
		p.pos++
		return p.cast(q.proto, w)
	}
	if some && q.kind == "" && q.dir == either && p.alone() {
		return p.protocol(q.proto)
	}
	p.last, p.primed = q, true
	return p.value(q)
}

// alone says that what stands next does not belong to the words before it.
func (p *parser) alone() bool {
	switch p.peek() {
	case "", ")", "and", "&&", "or", "||":
		return true
	}
	return false
}

// qualifiers reads protocol, direction and kind, each if it is there.
func (p *parser) qualifiers() (q qualifiers, some bool, err error) {
	start := p.pos
	if _, ok := protoWords[p.peek()]; ok {
		q.proto = p.peek()
		p.pos++
	}
	switch {
	case p.take("src"):
		q.dir = source
		if p.peek() == "or" || p.peek() == "and" {
			join := p.peek()
			if p.pos+1 < len(p.tokens) && p.tokens[p.pos+1].text == "dst" {
				p.pos += 2
				if q.dir = either; join == "and" {
					q.dir = both
				}
			}
		}
	case p.take("dst"):
		q.dir = destination
		if p.peek() == "or" || p.peek() == "and" {
			join := p.peek()
			if p.pos+1 < len(p.tokens) && p.tokens[p.pos+1].text == "src" {
				p.pos += 2
				if q.dir = either; join == "and" {
					q.dir = both
				}
			}
		}
	}
	switch w := p.peek(); w {
	case "host", "net", "port", "portrange", "proto":
		q.kind = w
		p.pos++
	}
	if p.pos > start && p.alone() && (q.kind != "" || q.dir != either) {
		return q, true, p.fail("a value was expected behind %q", p.tokens[p.pos-1].text)
	}
	return q, p.pos > start, nil
}

// protocol is a protocol's name alone.
func (p *parser) protocol(name string) (cond, error) {
	f := p.frame
	n := protoWords[name]
	switch name {
	case "ip", "ip6", "arp", "rarp":
		return f.typeIs(n), nil
	case "icmp", "igmp":
		return f.ipProto(n), nil
	case "icmp6":
		return f.ip6Proto(n), nil
	case "ether":
		return nil, p.fail("host, src, dst or proto was expected behind \"ether\"")
	}
	return or(f.ipProto(n), f.ip6Proto(n)), nil
}

// cast tests for a multicast or broadcast address.
func (p *parser) cast(proto, word string) (cond, error) {
	f := p.frame
	switch {
	case proto == "ether" && f.link != packet.LinkEthernet:
		return nil, p.fail("%s is known on Ethernet only", word)
	case proto == "ether" && word == "broadcast":
		return f.hardware(packet.MAC{255, 255, 255, 255, 255, 255}, destination)
	case proto == "ether":
		return func(c *code, yes, no label) {
			c.op(opLD|sizeB|modeABS, 0)
			c.jump(jumpSET, 1, yes, no)
		}, nil
	case proto == "ip" && word == "multicast":
		return and(f.typeIs(typeIP), func(c *code, yes, no label) {
			c.op(opLD|sizeB|modeABS, f.net+16)
			c.jump(jumpGE, 224, yes, no)
		}), nil
	case proto == "ip6" && word == "multicast":
		return and(f.typeIs(typeIP6), byteAt(f.net+24, 255)), nil
	}
	p.pos--
	return nil, p.fail("%s %s is not known here", proto, word)
}

func (p *parser) number(most uint64) (uint32, error) {
	n, err := strconv.ParseUint(p.peek(), 0, 64)
	if err != nil || n > most {
		return 0, p.fail("a number up to %d was expected", most)
	}
	p.pos++
	return uint32(n), nil
}

// value reads what the qualifiers speak of.
func (p *parser) value(q qualifiers) (cond, error) {
	f := p.frame
	if q.proto == "ether" {
		return p.ether(q)
	}
	switch q.kind {
	case "port", "portrange":
		return p.port(q)
	case "proto":
		n, ok := protoNumber(p.peek())
		if !ok {
			return nil, p.fail("a protocol was expected: a number up to 255, or \\tcp, \\udp, \\icmp and the like")
		}
		if q.dir != either {
			return nil, p.fail("src and dst say nothing of a protocol")
		}
		p.pos++
		switch q.proto {
		case "ip":
			return f.ipProto(n), nil
		case "ip6":
			return f.ip6Proto(n), nil
		case "":
			return or(f.ipProto(n), f.ip6Proto(n)), nil
		}
		return nil, p.fail("only ip and ip6 stand before proto, not %s", q.proto)
	}
	if q.proto != "" && protoWords[q.proto] < 256 {
		return nil, p.fail("%s says nothing of a host; write `%s and host …`", q.proto, q.proto)
	}
	pre, err := p.prefix(q.kind)
	if err != nil {
		return nil, err
	}
	only := protoWords[q.proto]
	switch {
	case pre.Addr().Is6() && only != 0 && only != typeIP6, pre.Addr().Is4() && only == typeIP6:
		return nil, p.fail("%s does not go with the address before this", q.proto)
	case f.raw() && (only == typeARP || only == typeRARP):
		return never, nil
	}
	return f.host(pre, q.dir, only), nil
}

func (p *parser) ether(q qualifiers) (cond, error) {
	if q.kind == "proto" {
		names := map[string]uint32{`\ip`: typeIP, `\ip6`: typeIP6, `\arp`: typeARP, `\rarp`: typeRARP}
		if n, ok := names[p.peek()]; ok {
			p.pos++
			return p.frame.typeIs(n), nil
		}
		n, err := p.number(0xffff)
		if err != nil {
			return nil, err
		}
		if n < 0x600 {
			p.pos--
			return nil, p.fail("an EtherType from 0x600 on was expected")
		}
		return p.frame.typeIs(n), nil
	}
	mac, err := net.ParseMAC(p.peek())
	if err != nil || len(mac) != 6 || q.kind != "" && q.kind != "host" {
		return nil, p.fail("a hardware address such as 02:00:00:00:00:01 was expected")
	}
	p.pos++
	return p.frame.hardware(packet.MAC(mac), q.dir)
}

func (p *parser) port(q qualifiers) (cond, error) {
	protos := []uint32{protoTCP, protoUDP, protoSCTP}
	switch q.proto {
	case "":
	case "tcp", "udp", "sctp":
		protos = []uint32{protoWords[q.proto]}
	default:
		return nil, p.fail("%s has no ports", q.proto)
	}
	text := p.peek()
	low, high, isRange := text, text, false
	if q.kind == "portrange" {
		low, high, isRange = strings.Cut(text, "-")
		if !isRange {
			low, high = text, text
		}
	}
	lo, ok1 := portNumber(low)
	hi, ok2 := portNumber(high)
	if !ok1 || !ok2 {
		return nil, p.fail("a port was expected: a number up to 65535, a range such as 1000-2000 behind portrange, or a name such as domain or https")
	}
	p.pos++
	return p.frame.ports(min(lo, hi), max(lo, hi), q.dir, protos), nil
}

// services are names of ports that people write (IANA).
var services = map[string]uint32{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "tftp": 69, "http": 80, "kerberos": 88,
	"pop3": 110, "ntp": 123, "epmap": 135, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139, "imap2": 143, "snmp": 161, "ldap": 389, "https": 443,
	"microsoft-ds": 445, "syslog": 514, "ldaps": 636, "imaps": 993, "pop3s": 995, "ms-sql-s": 1433, "mysql": 3306,
	"ms-wbt-server": 3389, "postgresql": 5432,
}

func portNumber(s string) (uint32, bool) {
	if n, ok := services[s]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(s, 0, 16)
	return uint32(n), err == nil
}

func protoNumber(s string) (uint32, bool) {
	if name, ok := strings.CutPrefix(s, `\`); ok {
		if name == "ipv6-icmp" {
			name = "icmp6"
		}
		n := protoWords[name]
		return n, n > 0 && n < 256
	}
	n, err := strconv.ParseUint(s, 0, 8)
	return uint32(n), err == nil
}

func looksLikeAddress(s string) bool {
	_, err := netip.ParseAddr(strings.SplitN(s, "/", 2)[0])
	return err == nil
}

// prefix reads an address, or a network: with /length, with mask, or as the first parts of an IPv4 address.
func (p *parser) prefix(kind string) (netip.Prefix, error) {
	text := p.peek()
	none := netip.Prefix{}
	addr, err := netip.ParseAddr(text)
	switch {
	case err == nil && addr.Zone() != "":
		return none, p.fail("an address without zone was expected")
	case err == nil && p.pos+1 < len(p.tokens) && p.tokens[p.pos+1].text == "mask" && kind == "net" && addr.Is4():
		p.pos += 2
		m, err := netip.ParseAddr(p.peek())
		if err != nil || !m.Is4() {
			return none, p.fail("a mask such as 255.255.255.0 was expected")
		}
		ones, size := net.IPMask(m.AsSlice()).Size()
		if size == 0 {
			return none, p.fail("a mask of ones followed by zeros was expected")
		}
		return p.network(netip.PrefixFrom(addr, ones))
	case err == nil && kind == "net" && addr.Is4():
		return p.network(netip.PrefixFrom(addr, 32))
	case err == nil:
		p.pos++
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if pre, err := netip.ParsePrefix(text); err == nil && kind != "host" {
		return p.network(pre)
	}
	if parts := strings.Split(text, "."); kind == "net" && len(parts) <= 3 {
		full := text + strings.Repeat(".0", 4-len(parts))
		if a, err := netip.ParseAddr(full); err == nil {
			return p.network(netip.PrefixFrom(a, 8*len(parts)))
		}
	}
	return none, p.fail("an address was expected; names are not looked up")
}

// network takes a prefix that has no bits set behind its length.
func (p *parser) network(pre netip.Prefix) (netip.Prefix, error) {
	if pre != pre.Masked() {
		return pre, p.fail("bits are set behind the prefix: %s was expected", pre.Masked())
	}
	p.pos++
	return pre, nil
}
