package bpf

import "strconv"

// accessors are the headers whose bytes can be asked for.
var accessors = map[string]bool{"ether": true, "ip": true, "ip6": true, "arp": true, "tcp": true, "udp": true, "icmp": true, "icmp6": true}

// names of offsets and values (pcap-filter).
var constants = map[string]uint32{
	"tcpflags": 13, "tcp-fin": 1, "tcp-syn": 2, "tcp-rst": 4, "tcp-push": 8, "tcp-ack": 16, "tcp-urg": 32, "tcp-ece": 64, "tcp-cwr": 128,
	"icmptype": 0, "icmpcode": 1, "icmp-echoreply": 0, "icmp-unreach": 3, "icmp-redirect": 5, "icmp-echo": 8, "icmp-timxceed": 11,
	"icmp6type": 0, "icmp6code": 1,
}

// relation reads proto[offset:size] & mask OP value, or len OP value; ok is false where there is none, and nothing was
// read.
func (p *parser) relation() (x cond, ok bool, err error) {
	start := p.pos
	open := p.take("(")
	word := p.peek()
	isLen := word == "len"
	if !isLen && (!accessors[word] || p.pos+1 >= len(p.tokens) || p.tokens[p.pos+1].text != "[") {
		p.pos = start
		return nil, false, nil
	}
	p.pos++
	var load cond2
	if isLen {
		load = func(c *code, _ label) { c.op(opLD|modeLEN, 0) }
	} else if load, err = p.accessor(word); err != nil {
		return nil, true, err
	}
	mask := uint32(0xffffffff)
	if p.take("&") {
		if mask, err = p.constant(0); err != nil {
			return nil, true, err
		}
	}
	if open && !p.take(")") { // the parenthesis holds more than the left side
		p.pos = start
		return nil, false, nil
	}
	op := p.peek()
	switch op {
	case "=", "==", "!=", "<", ">", "<=", ">=":
		p.pos++
	default:
		return nil, true, p.fail("=, !=, <, >, <= or >= was expected")
	}
	value, err := p.constant(0)
	if err != nil {
		return nil, true, err
	}
	return func(c *code, yes, no label) {
		load(c, no)
		if mask != 0xffffffff {
			c.op(opALU|aluAND, mask)
		}
		switch op {
		case "=", "==":
			c.jump(jumpEQ, value, yes, no)
		case "!=":
			c.jump(jumpEQ, value, no, yes)
		case ">":
			c.jump(jumpGT, value, yes, no)
		case "<=":
			c.jump(jumpGT, value, no, yes)
		case ">=":
			c.jump(jumpGE, value, yes, no)
		case "<":
			c.jump(jumpGE, value, no, yes)
		}
	}, true, nil
}

// cond2 loads something, or goes to no where it is not there.
type cond2 func(c *code, no label)

// accessor reads [offset] or [offset:size] behind a header's name.
func (p *parser) accessor(word string) (cond2, error) {
	p.pos++ // [
	// offset:size is one word, since addresses are written with colons
	text := p.peek()
	off, size := text, "1"
	for i := range text {
		if text[i] == ':' {
			off, size = text[:i], text[i+1:]
		}
	}
	at, ok := constant(off)
	width := map[string]uint16{"1": sizeB, "2": sizeH, "4": sizeW}
	w, ok2 := width[size]
	if !ok || !ok2 || at > 65535 {
		return nil, p.fail("an offset was expected, with :1, :2 or :4 behind it or nothing")
	}
	p.pos++
	if !p.take("]") {
		return nil, p.fail("] was expected")
	}
	f := p.frame
	guarded := func(x cond, load func(c *code)) cond2 {
		return func(c *code, no label) {
			yes := c.label()
			x(c, yes, no)
			c.mark(yes)
			load(c)
		}
	}
	abs := func(at uint32) func(*code) { return func(c *code) { c.op(opLD|w|modeABS, at) } }
	switch word {
	case "ether":
		return func(c *code, _ label) { c.op(opLD|w|modeABS, at) }, nil
	case "ip", "ip6", "arp":
		return guarded(f.typeIs(protoWords[word]), abs(f.net+at)), nil
	case "icmp6":
		return guarded(and(f.typeIs(typeIP6), byteAt(f.net+6, protoICMP6)), abs(f.net+40+at)), nil
	}
	first := cond(func(c *code, yes, no label) { // not a later fragment
		c.op(opLD|sizeH|modeABS, f.net+6)
		c.jump(jumpSET, 0x1fff, no, yes)
	})
	return guarded(and(f.ipProto(protoWords[word]), first), func(c *code) {
		c.op(opLDX|sizeB|modeMSH, f.net)
		c.op(opLD|w|modeIND, f.net+at)
	}), nil
}

// constant reads a number or name, or several joined by |, & and + in parentheses or not.
func (p *parser) constant(depth int) (uint32, error) {
	if depth > maxDepth {
		return 0, p.fail("more than %d parentheses", maxDepth)
	}
	one := func() (uint32, error) {
		if p.take("(") {
			v, err := p.constant(depth + 1)
			if err == nil && !p.take(")") {
				err = p.fail("a closing parenthesis was expected")
			}
			return v, err
		}
		v, ok := constant(p.peek())
		if !ok {
			return 0, p.fail("a number or a name such as tcp-syn was expected")
		}
		p.pos++
		return v, nil
	}
	v, err := one()
	for err == nil {
		var w uint32
		switch {
		case p.take("|"):
			w, err = one()
			v |= w
		case p.take("+"):
			w, err = one()
			v += w
		default:
			return v, nil
		}
	}
	return 0, err
}

func constant(s string) (uint32, bool) {
	if v, ok := constants[s]; ok {
		return v, true
	}
	v, err := strconv.ParseUint(s, 0, 32)
	return uint32(v), err == nil
}
