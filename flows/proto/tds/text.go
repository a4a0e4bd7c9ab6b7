package tds

import (
	"encoding/binary"
	"unicode/utf8"

	"neuromast/flows/proto/ntlm"
)

// appendWide appends UTF-16LE text, not much more of it than a statement holds.
func appendWide(dst, b []byte) []byte {
	return ntlm.AppendUTF16(dst, b[:min(len(b), 2*maxStatement)])
}

// clip bounds a statement.
func clip(b []byte) []byte { return clipTo(b, maxStatement) }

func clipTo(b []byte, bound int) []byte {
	if len(b) <= bound {
		return b
	}
	n := bound
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n]
}

// procedures are the names that numbers stand for in calls (MS-TDS 2.2.6.6).
var procedures = [...]string{
	1: "sp_cursor", "sp_cursoropen", "sp_cursorprepare", "sp_cursorexecute", "sp_cursorprepexec", "sp_cursorunprepare", "sp_cursorfetch",
	"sp_cursoroption", "sp_cursorclose", "sp_executesql", "sp_prepare", "sp_execute", "sp_prepexec", "sp_prepexecrpc", "sp_unprepare",
}

// maxParameters bounds how many parameters of a call are walked over.
const maxParameters = 64

// appendCall appends a call (MS-TDS 2.2.6.6): the procedure's name and what it is given as text. Of the procedures that run
// statements only the statement is appended: the rest are its values.
func appendCall(dst, b []byte) []byte {
	le := binary.LittleEndian
	if len(b) < 4 {
		return dst
	}
	n := int(le.Uint16(b))
	b = b[2:]
	if n == 0xffff {
		id := int(le.Uint16(b))
		b = b[2:]
		if id > 0 && id < len(procedures) {
			dst = append(dst, procedures[id]...)
		}
	} else {
		if n > maxName || 2*n > len(b) {
			return dst
		}
		dst = appendWide(dst, b[:2*n])
		b = b[2*n:]
	}
	only := statement(dst)
	if len(b) < 2 {
		return dst
	}
	b = b[2:] // option flags
	for i := 0; i < maxParameters && len(b) > 2 && len(dst) <= maxStatement; i++ {
		name := 2 * int(b[0])
		if len(b) < 1+name+2 {
			break
		}
		value, wide, rest, ok := parameter(b[1+name+1:])
		if len(value) > 0 {
			if only == all || only == i {
				if dst = append(dst, ' '); wide {
					dst = appendWide(dst, value)
				} else {
					dst = ntlm.AppendOEM(dst, value[:min(len(value), maxStatement)])
				}
			}
		}
		if b = rest; !ok {
			break
		}
	}
	return clip(dst)
}

// Which parameters of a procedure are told, if it is not a single one.
const (
	all  = -1
	none = -2
)

// statement says which parameter of a procedure is a statement that it runs.
func statement(name []byte) int {
	switch string(name) {
	case "sp_executesql":
		return 0
	case "sp_cursoropen":
		return 1
	case "sp_prepare", "sp_prepexec", "sp_cursorprepare":
		return 2
	case "sp_cursorprepexec":
		return 3
	case "sp_execute", "sp_cursorexecute", "sp_cursor", "sp_cursorfetch", "sp_unprepare", "sp_cursorclose":
		return none
	}
	return all
}

// parameter reads type and value of a parameter (MS-TDS 2.2.5.4 to 2.2.5.6) and returns its value where it is text. Ok is false
// where what follows can't be found.
func parameter(b []byte) (text []byte, wide bool, rest []byte, ok bool) {
	le := binary.LittleEndian
	kind := b[0]
	b = b[1:]
	fixed := func(n int) ([]byte, bool, []byte, bool) {
		if len(b) < n {
			return nil, false, nil, false
		}
		return nil, false, b[n:], true
	}
	short := func(info int) ([]byte, bool, []byte, bool) { // a length of one byte behind info
		if len(b) <= info {
			return nil, false, nil, false
		}
		return fixed(info + 1 + int(b[info]))
	}
	switch kind {
	case 0x1f: // null
		return fixed(0)
	case 0x30, 0x32:
		return fixed(1)
	case 0x34:
		return fixed(2)
	case 0x38, 0x3a, 0x3b, 0x7a:
		return fixed(4)
	case 0x3c, 0x3d, 0x3e, 0x7f:
		return fixed(8)
	case 0x24, 0x26, 0x68, 0x6d, 0x6e, 0x6f, 0x29, 0x2a, 0x2b:
		return short(1)
	case 0x28:
		return short(0)
	case 0x6a, 0x6c:
		return short(3)
	case 0xa5, 0xad, 0xa7, 0xaf, 0xe7, 0xef: // binary, char, nchar: a length of two bytes
		info := 2
		isText := kind != 0xa5 && kind != 0xad
		if isText {
			info += 5 // collation
		}
		if len(b) < info+2 {
			return nil, false, nil, false
		}
		long := le.Uint16(b) == 0xffff
		b = b[info:]
		if long {
			text, rest, ok = chunks(b)
		} else if n := int(le.Uint16(b)); n == 0xffff {
			return nil, false, b[2:], true
		} else {
			text, ok = b[2:min(2+n, len(b))], 2+n <= len(b)
			if ok {
				rest = b[2+n:]
			}
		}
		if !isText {
			text = nil
		}
		return text, kind >= 0xe7, rest, ok
	case 0x23, 0x63, 0x22: // text, ntext, image: a length of four bytes
		info := 4
		if kind != 0x22 {
			info += 5
		}
		if len(b) < info+4 {
			return nil, false, nil, false
		}
		b = b[info:]
		n := le.Uint32(b)
		if b = b[4:]; n == 1<<32-1 {
			return nil, false, b, true
		}
		if kind != 0x22 {
			text = b[:min(uint64(n), uint64(len(b)))]
		}
		if uint64(n) <= uint64(len(b)) {
			return text, kind == 0x63, b[n:], true
		}
		return text, kind == 0x63, nil, false
	}
	return nil, false, nil, false
}

// chunks reads a value that comes in chunks (MS-TDS 2.2.5.2.3) and returns the first of them.
func chunks(b []byte) (first, rest []byte, ok bool) {
	le := binary.LittleEndian
	if len(b) < 8 {
		return nil, nil, false
	}
	null := le.Uint64(b) == 1<<64-1
	b = b[8:]
	for i := 0; !null; i++ {
		if len(b) < 4 {
			return first, nil, false
		}
		n := uint64(le.Uint32(b))
		b = b[4:]
		if n == 0 {
			break
		}
		if i == 0 {
			first = b[:min(n, uint64(len(b)))]
		}
		if n > uint64(len(b)) {
			return first, nil, false
		}
		b = b[n:]
	}
	return first, b, true
}
