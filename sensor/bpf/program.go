// Package bpf compiles the filters that users write for tcpdump into classic BPF (McCanne and Jacobson 1993), for the
// kernel and for captures, and runs them.
//
// It reads the part of the language that people use: hosts, networks, ports, protocols, VLANs, hardware addresses,
// lengths, bytes of headers, joined by and, or, not and parentheses. Everything else is an error that names the word; then
// the output of tcpdump -ddd is taken as it is.
package bpf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Instruction is one instruction, as struct sock_filter.
type Instruction struct {
	Op     uint16
	Jt, Jf uint8
	K      uint32
}

// Program is a filter; the empty one takes everything.
type Program []Instruction

// The parts of an operation (linux/bpf_common.h).
const (
	opLD, opLDX, opST, opSTX, opALU, opJMP, opRET, opMISC = 0, 1, 2, 3, 4, 5, 6, 7
	sizeW, sizeH, sizeB                                   = 0x00, 0x08, 0x10
	modeIMM, modeABS, modeIND, modeMEM, modeLEN, modeMSH  = 0x00, 0x20, 0x40, 0x60, 0x80, 0xa0
	jumpA, jumpEQ, jumpGT, jumpGE, jumpSET                = 0x00, 0x10, 0x20, 0x30, 0x40
	sourceX                                               = 0x08
	aluADD, aluSUB, aluMUL, aluDIV, aluOR, aluAND, aluLSH = 0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60
	aluRSH, aluNEG, aluMOD, aluXOR                        = 0x70, 0x80, 0x90, 0xa0
	retA                                                  = 0x10
	miscTXA                                               = 0x80
)

// Loads from behind this offset ask the kernel for what is not in the frame.
const (
	ancillary      = 0xfffff000 // SKF_AD_OFF
	vlanTag        = ancillary + 44
	vlanTagPresent = ancillary + 48
)

// maxProgram is the kernel's bound (BPF_MAXINSNS); scratch is the number of memory words.
const (
	maxProgram = 4096
	scratch    = 16
)

// accept is what a program returns for a frame that it takes: all of its bytes.
const accept = 262144

// Tag is the VLAN tag that Linux took out of a frame.
type Tag struct {
	Present bool
	TCI     uint16
}

// Match says whether the program takes a frame of which data was captured and wireLen bytes were on the wire. A load
// beyond the data rejects, as in the kernel. It does not allocate.
func (p Program) Match(data []byte, wireLen int, tag Tag) bool {
	if len(p) == 0 {
		return true
	}
	var a, x uint32
	var mem [scratch]uint32
	for pc := 0; pc < len(p); pc++ {
		in := p[pc]
		switch in.Op & 7 {
		case opLD, opLDX:
			v, ok := load(in, data, wireLen, x, &mem, tag)
			if !ok {
				return false
			}
			if in.Op&7 == opLD {
				a = v
			} else {
				x = v
			}
		case opST:
			mem[in.K%scratch] = a
		case opSTX:
			mem[in.K%scratch] = x
		case opALU:
			v := in.K
			if in.Op&sourceX != 0 {
				v = x
			}
			var ok bool
			if a, ok = alu(in.Op&0xf0, a, v); !ok {
				return false
			}
		case opJMP:
			v := in.K
			if in.Op&sourceX != 0 {
				v = x
			}
			var yes bool
			switch in.Op & 0xf0 {
			case jumpA:
				pc += int(in.K)
				continue
			case jumpEQ:
				yes = a == v
			case jumpGT:
				yes = a > v
			case jumpGE:
				yes = a >= v
			default:
				yes = a&v != 0
			}
			if yes {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		case opRET:
			if in.Op&0x18 == retA {
				return a != 0
			}
			return in.K != 0
		case opMISC:
			if in.Op&0xf8 == miscTXA {
				a = x
			} else {
				x = a
			}
		}
	}
	return false
}

func load(in Instruction, data []byte, wireLen int, x uint32, mem *[scratch]uint32, tag Tag) (v uint32, ok bool) {
	at := uint64(in.K)
	switch in.Op & 0xe0 {
	case modeIMM:
		return in.K, true
	case modeMEM:
		return mem[in.K%scratch], true
	case modeLEN:
		return uint32(wireLen), true
	case modeMSH: // 4 times the lower half of a byte: an IPv4 header's length
		if at >= uint64(len(data)) {
			return 0, false
		}
		return uint32(data[at]&15) * 4, true
	case modeIND:
		at = uint64(in.K + x)
	case modeABS:
		switch in.K {
		case vlanTag:
			return uint32(tag.TCI), true
		case vlanTagPresent:
			if tag.Present {
				return 1, true
			}
			return 0, true
		}
	}
	n := uint64(4)
	switch in.Op & 0x18 {
	case sizeH:
		n = 2
	case sizeB:
		n = 1
	}
	if at+n > uint64(len(data)) {
		return 0, false
	}
	for _, b := range data[at : at+n] {
		v = v<<8 | uint32(b)
	}
	return v, true
}

// alu computes; a division by zero rejects the frame.
func alu(op uint16, a, v uint32) (uint32, bool) {
	switch op {
	case aluADD:
		return a + v, true
	case aluSUB:
		return a - v, true
	case aluMUL:
		return a * v, true
	case aluDIV, aluMOD:
		if v == 0 {
			return 0, false
		}
		if op == aluDIV {
			return a / v, true
		}
		return a % v, true
	case aluOR:
		return a | v, true
	case aluAND:
		return a & v, true
	case aluXOR:
		return a ^ v, true
	case aluLSH:
		return a << (v & 31), true
	case aluRSH:
		return a >> (v & 31), true
	}
	return -a, true // aluNEG
}

// Validate holds what the kernel asks of a program: known instructions, jumps that stay inside, a return at the end.
func (p Program) Validate() error {
	if len(p) > maxProgram {
		return fmt.Errorf("%d instructions are more than %d", len(p), maxProgram)
	}
	for pc, in := range p {
		rest := uint64(len(p) - pc - 1)
		bad := false
		switch in.Op & 7 {
		case opLD:
			bad = in.Op&^0xf8 != opLD || in.Op&0xe0 > modeLEN || in.Op&0x18 == 0x18 || in.Op&0xe0 == modeMEM && in.K >= scratch ||
				(in.Op&0xe0 == modeIMM || in.Op&0xe0 == modeMEM || in.Op&0xe0 == modeLEN) && in.Op&0x18 != sizeW
		case opLDX:
			switch in.Op {
			case opLDX | modeIMM, opLDX | modeLEN, opLDX | modeMSH | sizeB:
			case opLDX | modeMEM:
				bad = in.K >= scratch
			default:
				bad = true
			}
		case opST, opSTX:
			bad = in.Op > 7 || in.K >= scratch
		case opALU:
			op := in.Op & 0xf0
			bad = op > aluXOR || in.Op&sourceX == 0 && in.K == 0 && (op == aluDIV || op == aluMOD) ||
				in.Op&sourceX == 0 && in.K > 31 && (op == aluLSH || op == aluRSH)
		case opJMP:
			if in.Op&0xf0 == jumpA {
				bad = in.Op != opJMP || uint64(in.K) >= rest
			} else {
				bad = in.Op&0xf0 > jumpSET || uint64(in.Jt) >= rest || uint64(in.Jf) >= rest
			}
		case opRET:
			bad = in.Op != opRET && in.Op != opRET|retA
		case opMISC:
			bad = in.Op != opMISC && in.Op != opMISC|miscTXA
		}
		if bad || in.Op > 0xff {
			return fmt.Errorf("instruction %d (%d %d %d %d) is not one that the kernel takes", pc, in.Op, in.Jt, in.Jf, in.K)
		}
	}
	if len(p) > 0 && p[len(p)-1].Op&7 != opRET {
		return errors.New("the last instruction returns nothing")
	}
	return nil
}

// ParseDDD reads a program as tcpdump -ddd prints it: the number of instructions, then one in each line.
func ParseDDD(text string) (Program, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, errors.New("no program")
	}
	numbers := make([]uint64, len(words))
	for i, w := range words {
		n, err := strconv.ParseUint(w, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of a program as tcpdump -ddd prints it", w)
		}
		numbers[i] = n
	}
	if n := numbers[0]; n > maxProgram || uint64(len(numbers)) != 1+4*n || n == 0 {
		return nil, fmt.Errorf("the program says that it has %d instructions, but %d numbers follow, not four for each", n, len(numbers)-1)
	}
	var p Program
	for n := numbers[1:]; len(n) > 0; n = n[4:] {
		if n[0] > 0xffff || n[1] > 0xff || n[2] > 0xff {
			return nil, fmt.Errorf("%d %d %d %d is no instruction", n[0], n[1], n[2], n[3])
		}
		p = append(p, Instruction{uint16(n[0]), uint8(n[1]), uint8(n[2]), uint32(n[3])})
	}
	return p, p.Validate()
}
