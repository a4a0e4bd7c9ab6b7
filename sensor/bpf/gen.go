package bpf

// label is a place that jumps go to; labels get their places when the code before them is known.
type label int

// line is an instruction whose jumps are labels; a label line has no instruction.
type line struct {
	in     Instruction
	jt, jf label // of jumps
	here   label // not 0: marks this place
}

// code collects lines. All jumps go forward.
type code struct {
	lines  []line
	labels label
}

func (c *code) label() label { c.labels++; return c.labels }
func (c *code) mark(l label) { c.lines = append(c.lines, line{here: l}) }

func (c *code) op(op uint16, k uint32) {
	c.lines = append(c.lines, line{in: Instruction{Op: op, K: k}})
}

// jump tests the accumulator against k.
func (c *code) jump(op uint16, k uint32, yes, no label) {
	c.lines = append(c.lines, line{in: Instruction{Op: opJMP | op, K: k}, jt: yes, jf: no})
}

// cond is a condition that writes its code: it goes on at yes or no.
type cond func(c *code, yes, no label)

func and(a, b cond) cond {
	return func(c *code, yes, no label) {
		next := c.label()
		a(c, next, no)
		c.mark(next)
		b(c, yes, no)
	}
}

func or(a, b cond) cond {
	return func(c *code, yes, no label) {
		next := c.label()
		a(c, yes, next)
		c.mark(next)
		b(c, yes, no)
	}
}

func not(a cond) cond {
	return func(c *code, yes, no label) { a(c, no, yes) }
}

func anyOf(list ...cond) cond {
	out := list[0]
	for _, x := range list[1:] {
		out = or(out, x)
	}
	return out
}

// equal compares what lies at an offset, masked, with a value.
func equal(size uint16, at, mask, value uint32) cond {
	return func(c *code, yes, no label) {
		c.op(opLD|size|modeABS, at)
		if full := map[uint16]uint32{sizeW: 0xffffffff, sizeH: 0xffff, sizeB: 0xff}[size]; mask != full {
			c.op(opALU|aluAND, mask)
		}
		c.jump(jumpEQ, value, yes, no)
	}
}

func byteAt(at, value uint32) cond { return equal(sizeB, at, 0xff, value) }
func halfAt(at, value uint32) cond { return equal(sizeH, at, 0xffff, value) }

// assemble places the code and turns labels into offsets. Conditional jumps reach 255 instructions: a jump farther away
// goes over unconditional ones put behind it.
func (c *code) assemble() Program {
	far := make([]bool, len(c.lines))
	for {
		place := make([]int, len(c.lines)+1)
		at := make(map[label]int, c.labels)
		n := 0
		for i, l := range c.lines {
			place[i] = n
			switch {
			case l.here != 0:
				at[l.here] = n
			case far[i]:
				n += 3
			default:
				n++
			}
		}
		var p Program
		again := false
		for i, l := range c.lines {
			if l.here != 0 {
				continue
			}
			if l.jt == 0 {
				p = append(p, l.in)
				continue
			}
			jt, jf := at[l.jt]-place[i]-1, at[l.jf]-place[i]-1
			if !far[i] && (jt > 255 || jf > 255) {
				far[i], again = true, true
			}
			in := l.in
			if !far[i] {
				in.Jt, in.Jf = uint8(jt), uint8(jf)
				p = append(p, in)
				continue
			}
			in.Jt, in.Jf = 0, 1
			p = append(p, in, Instruction{Op: opJMP, K: uint32(jt - 1)}, Instruction{Op: opJMP, K: uint32(jf - 2)})
		}
		if !again {
			return p
		}
	}
}

// program completes a condition to a program.
func program(x cond) Program {
	c := &code{}
	yes, no := c.label(), c.label()
	x(c, yes, no)
	c.mark(yes)
	c.op(opRET, accept)
	c.mark(no)
	c.op(opRET, 0)
	return c.assemble()
}
