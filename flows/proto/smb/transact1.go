package smb

import "bytes"

// The subcommands that are read.
const (
	transactPipe      = 0x0026 // TRANS_TRANSACT_NMPIPE, MS-CIFS 2.2.5.6
	trans2FindFirst   = 0x0001
	trans2SetPath     = 0x0006
	trans2SetFile     = 0x0008
	trans2Session     = 0x000e // TRANS2_SESSION_SETUP: reserved, never implemented, MS-CIFS 2.2.6
	level1Disposition = 0x0102 // SMB_SET_FILE_DISPOSITION_INFO
	levelDispose      = 1000 + classDispose
	levelRename       = 1000 + classRename // MS-SMB 2.2.2.3.5
)

// transaction is a TRANSACTION request of any kind: where its parameters and its data lie.
type transaction struct {
	totalParams, totalData uint64
	params, paramsAt       uint64
	data, dataAt           uint64
	setup                  []byte
}

// first reads a primary request (MS-CIFS 2.2.4.33.1, 2.2.4.46.1, 2.2.4.62.1).
func (x *transaction) first(k *block, command byte) bool {
	w := k.words
	if command == com1NTTransact {
		if len(w) < 38 {
			return false
		}
		x.totalParams, x.totalData = uint64(k.long(3)), uint64(k.long(7))
		x.params, x.paramsAt = uint64(k.long(19)), uint64(k.long(23))
		x.data, x.dataAt = uint64(k.long(27)), uint64(k.long(31))
		x.setup = w[36:]
		return true
	}
	if len(w) < 28 {
		return false
	}
	x.totalParams, x.totalData = uint64(k.word(0)), uint64(k.word(2))
	x.params, x.paramsAt = uint64(k.word(18)), uint64(k.word(20))
	x.data, x.dataAt = uint64(k.word(22)), uint64(k.word(24))
	x.setup = w[28:]
	return true
}

func (x *transaction) code() uint16 {
	if len(x.setup) < 2 {
		return 0xffff
	}
	return le.Uint16(x.setup)
}

// beyond says that parts lie outside the message, or exceed the totals that they are parts of: servers refuse such, so
// that clients never send it.
func (x *transaction) beyond(size int) bool {
	return x.params > 0 && x.paramsAt+x.params > uint64(size) || x.data > 0 && x.dataAt+x.data > uint64(size) ||
		x.params > x.totalParams || x.data > x.totalData
}

// transact1 reads a transaction request.
func (p *Parser) transact1(t *turn, h *header1, k *block, b []byte) payload {
	none := payload{file: noFile}
	switch h.command {
	case com1TransactMore, com1Transact2More, com1NTTransactMore:
		return p.secondary(t, h, k)
	}
	var x transaction
	if !x.first(k, h.command) {
		p.stats.Malformed++
		return none
	}
	if x.beyond(h.size) {
		p.violation(t, "transaction_beyond_message", h.session, h.tree, answer{})
	}
	l := none
	switch {
	case h.command == com1Transact && x.code() == transactPipe && len(x.setup) >= 4:
		o := p.file1(t, h, le.Uint16(x.setup[2:]))
		o.pipe = true
		l = payload{p.slotOf(o), int(x.dataAt), int(x.data)}
		p.attach(o, from(b, l.off), true)
		p.ask1(t, h, opPipe).file = l.file
	case h.command == com1Transact2 && x.code() == trans2Session:
		p.ask1(t, h, opViolation).violation = "trans2_session_setup"
	case h.command == com1Transact2 && x.code() == trans2FindFirst: // MS-CIFS 2.2.6.2.1: the pattern follows 12 bytes of parameters
		q := p.ask1(t, h, opList)
		path, _, _ := h.text(q.name[:0], from(cut(b, int(x.paramsAt), int(x.params)), 12), int(x.paramsAt)+12)
		q.name = p.clip(below(path))
		if i := bytes.LastIndexByte(q.name, '\\'); i >= 0 {
			q.second, q.name = append(q.second[:0], q.name[i+1:]...), q.name[:i]
		} else {
			q.second, q.name = append(q.second[:0], q.name...), q.name[:0]
		}
	case h.command == com1Transact2 && (x.code() == trans2SetFile || x.code() == trans2SetPath):
		if !p.setInfo1(t, h, &x, b) {
			p.ask1(t, h, opTransact)
		}
	default:
		p.ask1(t, h, opTransact)
	}
	return l
}

// setInfo1 reads a deletion or renaming by SET_FILE_INFORMATION or SET_PATH_INFORMATION (MS-CIFS 2.2.6.9, 2.2.6.7).
func (p *Parser) setInfo1(t *turn, h *header1, x *transaction, b []byte) bool {
	params, data := cut(b, int(x.paramsAt), int(x.params)), cut(b, int(x.dataAt), int(x.data))
	if len(params) < 6 || len(data) < 1 {
		return false
	}
	level := le.Uint16(params[2:])
	if x.code() == trans2SetPath {
		level = le.Uint16(params)
	}
	remove := (level == level1Disposition || level == levelDispose) && data[0]&1 != 0
	rename := level == levelRename && len(data) >= 12 // ReplaceIfExists 4, RootDirectory 4, length 4, MS-FSCC 2.4.42.1
	if !remove && !rename {
		return false
	}
	op := opDelete
	if rename {
		op = opRename
	}
	var o *file
	if x.code() == trans2SetFile {
		o = p.file1(t, h, le.Uint16(params))
	}
	q := p.ask1(t, h, op)
	if o != nil {
		q.file = p.slotOf(o)
		q.name = append(q.name[:0], o.name...)
	} else {
		path, _, _ := h.text(q.name[:0], params[6:], int(x.paramsAt)+6)
		q.name = p.clip(below(path))
	}
	if rename {
		wide := header1{wide: true}
		path, _, _ := wide.text(q.second[:0], cut(data, 12, int(le.Uint32(data[8:]))), 0)
		q.second = p.clip(below(path))
	}
	return true
}

// secondary reads a continuation: it must be of the kind that was begun under its number.
func (p *Parser) secondary(t *turn, h *header1, k *block) payload {
	none := payload{file: noFile}
	first := h.command - 1 // each secondary's code follows its primary's
	for i := range p.pending {
		q := &p.pending[i]
		if !q.used || q.key != h.message {
			continue
		}
		switch byte(q.command) {
		case com1Transact, com1Transact2, com1NTTransact:
			if byte(q.command) != first {
				if q.broken {
					return none
				}
				q.broken = true
				p.violation(t, "secondary_of_other_kind", h.session, h.tree, answer{})
				return none
			}
			if q.op == opPipe && h.command == com1TransactMore {
				return payload{q.file, int(k.word(12)), int(k.word(10))}
			}
		}
	}
	return none
}

// maxShift is how far an implant moves the multiplex id of its answer to a TRANS2_SESSION_SETUP: by 0x10 it says that it
// is there, by 0x11 that it has done what it was asked.
const maxShift = 0x7f

// shifted finds an answer to a TRANS2_SESSION_SETUP under another number than the request's.
func (p *Parser) shifted(t *turn, h *header1) {
	for i := range p.pending {
		q := &p.pending[i]
		if !q.used || q.op != opViolation || q.tree != h.tree || q.session != h.session {
			continue
		}
		if d := h.mid - uint16(q.key); d == 0 || d > maxShift {
			continue
		}
		a := answer{status: h.status, seen: true}
		p.answered(t, q, a)
		p.violation(t, "multiplex_id_shifted", q.session, q.tree, a)
		q.free()
		return
	}
}
