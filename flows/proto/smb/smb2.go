package smb

import (
	"encoding/binary"

	"neuromast/flows"
	"neuromast/flows/proto/dcerpc"
	"neuromast/flows/proto/ntlm"
)

var le = binary.LittleEndian

// The SMB2 commands that are read (MS-SMB2 2.2.1).
const (
	cmdNegotiate      = 0x00
	cmdSessionSetup   = 0x01
	cmdLogoff         = 0x02
	cmdTreeConnect    = 0x03
	cmdTreeDisconnect = 0x04
	cmdCreate         = 0x05
	cmdClose          = 0x06
	cmdRead           = 0x08
	cmdWrite          = 0x09
	cmdIoctl          = 0x0b
	cmdQueryDirectory = 0x0e
	cmdSetInfo        = 0x11
)

// Flags of the header (MS-SMB2 2.2.1.2).
const (
	flagAnswer  = 0x01 // SMB2_FLAGS_SERVER_TO_REDIR
	flagRelated = 0x04
)

const (
	ctlTransceive  = 0x0011c017 // FSCTL_PIPE_TRANSCEIVE, MS-FSCC 2.3
	deleteOnClose  = 0x00001000 // FILE_DELETE_ON_CLOSE, MS-SMB2 2.2.13
	shareTypePipe  = 2          // MS-SMB2 2.2.10
	fileCreated    = 2          // FILE_CREATED, MS-SMB2 2.2.14
	infoFile       = 1          // SMB2_0_INFO_FILE, MS-SMB2 2.2.39
	classRename    = 10         // MS-FSCC 2.4
	classDispose   = 13
	classDisposeEx = 64
	classRenameEx  = 65
	anyDialect     = 0x02ff // "SMB 2.???": the client negotiates once more, MS-SMB2 2.2.4
)

// fields2 is how much of a message is gathered: its fields and, of reads and writes, the first bytes of the payload.
func fields2(command uint16, isAnswer bool) int {
	switch command {
	case cmdWrite, cmdRead, cmdIoctl:
		return header2Len + 56 + sampleBytes // the longest fields of the three and the first of the payload
	case cmdSessionSetup, cmdTreeConnect, cmdCreate, cmdSetInfo, cmdQueryDirectory:
		if isAnswer && command != cmdSessionSetup {
			return header2Len + 88
		}
		return maxFields
	}
	return header2Len + 24
}

// header2 is a header of SMB2 (MS-SMB2 2.2.1).
type header2 struct {
	message uint64
	session uint64
	status  uint32
	flags   uint32
	tree    uint32
	command uint16
}

// message reads a message of size bytes, of which b is the beginning.
func (p *Parser) message(t *turn, dir flows.Dir, b []byte, size int) payload {
	switch b[0] {
	case idEncrypted:
		p.stats.Encrypted++
		if !p.encrypted {
			p.encrypted = true
			p.guess(t.c)
			f := p.fact(t, flows.SMBEncrypted, 0, 0)
			p.put(t, &f)
		}
		p.sealed(t, dir, b)
	case idCompressed:
		p.compressed(t, b, size)
	case idSMB1:
		return p.message1(t, dir, b, size)
	case idSMB2:
		return p.message2(t, dir, b, size)
	}
	return payload{file: noFile}
}

// compressed notes a compressed message (MS-SMB2 2.2.42). Its two lengths may not overflow when they are added: no
// client sends that, CVE-2020-0796 rests on it.
func (p *Parser) compressed(t *turn, b []byte, size int) {
	p.stats.Compressed++
	if len(b) < 16 || le.Uint16(b[10:]) != 0 { // chained: the field is a length
		return
	}
	if sum := uint64(le.Uint32(b[4:])) + uint64(le.Uint32(b[12:])); sum > 1<<32-1 {
		p.violation(t, "compression_size_overflow", 0, 0, answer{})
	}
}

// rightSide says that a message comes from the side that sends such, and learns which side that is.
func (p *Parser) rightSide(t *turn, dir flows.Dir, isAnswer bool) bool {
	client := dir
	if isAnswer {
		client = dir.Other()
	}
	if !p.known {
		p.client, p.known = client, true
		p.face(t.c)
	}
	if client != p.client {
		p.stats.WrongSide++
		return false
	}
	p.answers = p.answers || isAnswer
	return true
}

// guess takes the side at the well-known port for the server where no message has told: encrypted ones don't.
func (p *Parser) guess(c *flows.Conn) {
	served := func(port uint16) bool { return port == 445 || port == 139 }
	if !p.known && served(c.OrigPort) && !served(c.RespPort) {
		p.client = flows.Resp
		p.face(c)
	}
}

func (p *Parser) message2(t *turn, dir flows.Dir, b []byte, size int) payload {
	none := payload{file: noFile}
	p.stats.Messages++
	h := header2{
		status: le.Uint32(b[8:]), command: le.Uint16(b[12:]), flags: le.Uint32(b[16:]),
		message: le.Uint64(b[24:]), tree: le.Uint32(b[36:]), session: le.Uint64(b[40:]),
	}
	isAnswer := h.flags&flagAnswer != 0
	if !p.rightSide(t, dir, isAnswer) {
		return none
	}
	if isAnswer {
		return p.answer2(t, &h, b)
	}
	s := &p.sides[dir]
	if h.flags&flagRelated != 0 { // MS-SMB2 2.2.3.1: ids are those of the message before
		if h.session == 1<<64-1 {
			h.session = s.lastID
		}
		if h.tree == 1<<32-1 {
			h.tree = s.lastT
		}
	}
	s.lastID, s.lastT = h.session, h.tree
	return p.request2(t, s, &h, b)
}

// request2 reads a request.
func (p *Parser) request2(t *turn, s *side, h *header2, b []byte) payload {
	none := payload{file: noFile}
	body := b[header2Len:]
	switch h.command {
	case cmdNegotiate:
		p.ask2(t, h, opNegotiate)
	case cmdSessionSetup:
		if len(body) >= 16 {
			q := p.ask2(t, h, opLogon)
			p.token(q, cut(b, int(le.Uint16(body[12:])), int(le.Uint16(body[14:]))))
		}
	case cmdLogoff:
		if x := p.findSession(h.session); x != nil {
			x.free()
		}
	case cmdTreeConnect:
		if len(body) >= 8 {
			q := p.ask2(t, h, opTree)
			q.name = p.clip(ntlm.AppendUTF16(q.name[:0], cut(b, int(le.Uint16(body[4:])), int(le.Uint16(body[6:])))))
		}
	case cmdTreeDisconnect:
		if x := p.findTree(h.session, h.tree); x != nil {
			x.free()
		}
	case cmdCreate:
		p.create2(t, s, h, b)
	case cmdClose:
		if o := p.file2(t, s, h, body, 8, false); o != nil {
			q := p.ask2(t, h, opClose)
			q.file = p.slotOf(o)
		}
	case cmdRead:
		if o := p.file2(t, s, h, body, 16, true); o != nil {
			q := p.ask2(t, h, opRead)
			q.file, q.offset = p.slotOf(o), le.Uint64(body[8:])
		}
	case cmdWrite:
		return p.write2(t, s, h, b)
	case cmdIoctl:
		if len(body) < 32 || le.Uint32(body[4:]) != ctlTransceive {
			return none
		}
		if o := p.file2(t, s, h, body, 8, true); o != nil {
			o.pipe = true
			l := payload{p.slotOf(o), int(le.Uint32(body[24:])), int(le.Uint32(body[28:]))}
			p.attach(o, from(b, l.off), true)
			q := p.ask2(t, h, opPipe)
			q.file = l.file
			return l
		}
	case cmdSetInfo:
		p.setInfo2(t, s, h, b)
	case cmdQueryDirectory: // MS-SMB2 2.2.33; the same opening is asked until it says that there is no more
		if o := p.file2(t, s, h, body, 8, false); o != nil && !o.listed && len(body) >= 28 {
			o.listed = true
			q := p.ask2(t, h, opList)
			q.name = append(q.name[:0], o.name...)
			q.second = p.clip(ntlm.AppendUTF16(q.second[:0], cut(b, int(le.Uint16(body[24:])), int(le.Uint16(body[26:])))))
		}
	}
	return none
}

// ask2 enters a request.
func (p *Parser) ask2(t *turn, h *header2, op operation) *pending {
	q := p.ask(t, h.message, h.command, op)
	q.session, q.tree = h.session, h.tree
	return q
}

// file2 returns the file whose id stands at off of a request's body. An id of ones means the file of the message
// before (MS-SMB2 3.3.5.2.7.2). Where the opening was not seen, the file is entered if wanted.
func (p *Parser) file2(t *turn, s *side, h *header2, body []byte, off int, wanted bool) *file {
	if len(body) < off+16 {
		return nil
	}
	id := fileID(body[off:])
	if id == allOnes {
		return p.at(s.last)
	}
	o := p.findFile(&id)
	if o == nil && wanted {
		o = p.strange(t, &id, h.session, h.tree)
	}
	if o != nil {
		s.last = p.slotOf(o)
	}
	return o
}

var allOnes = fileID{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}

// create2 reads a CREATE request (MS-SMB2 2.2.13).
func (p *Parser) create2(t *turn, s *side, h *header2, b []byte) {
	body := b[header2Len:]
	if len(body) < 48 {
		return
	}
	o, at := p.newFile(t, h.session, h.tree)
	o.named = true
	o.access, o.disposition = le.Uint32(body[24:]), le.Uint32(body[36:])
	o.deleteClose = le.Uint32(body[40:])&deleteOnClose != 0
	o.name = p.clip(ntlm.AppendUTF16(o.name[:0], cut(b, int(le.Uint16(body[44:])), int(le.Uint16(body[46:])))))
	p.opening(o)
	s.last = at
	q := p.ask2(t, h, opOpen)
	q.file = at
}

// opening finds out whether what is being opened is a pipe. Where the tree is not known, only the names that RPC is known
// by tell so; the answer may tell more.
func (p *Parser) opening(o *file) {
	name := pipeName(o.name)
	if x := p.findTree(o.session, o.tree); x != nil {
		o.pipe = x.pipes
	} else if dcerpc.WellKnownPipe(name) {
		o.pipe = true
		p.treeOf(o.session, o.tree).pipes = true
	}
	if !o.pipe {
		return
	}
	o.name = append(o.name[:0], name...)
}

// write2 reads a WRITE request (MS-SMB2 2.2.21).
func (p *Parser) write2(t *turn, s *side, h *header2, b []byte) payload {
	none := payload{file: noFile}
	body := b[header2Len:]
	o := p.file2(t, s, h, body, 16, true)
	if o == nil {
		return none
	}
	l := payload{p.slotOf(o), int(le.Uint16(body[2:])), int(le.Uint32(body[4:]))}
	p.attach(o, from(b, l.off), true)
	q := p.ask2(t, h, opWrite)
	q.file, q.offset = l.file, le.Uint64(body[8:])
	p.wrote(o, q, cut(b, l.off, min(l.n, sampleBytes)), uint64(l.n))
	return l
}

// wrote counts a write of n bytes.
func (p *Parser) wrote(o *file, q *pending, head []byte, n uint64) {
	q.length = n
	o.wrote += n
	o.keepHead(written, q.offset, head)
}

// keepHead remembers the first bytes of a file, and how disordered the first are that are seen.
func (o *file) keepHead(way int, offset uint64, head []byte) {
	if o.sample[way] == 0 && len(head) > 0 && o.rpc == nil {
		o.sample[way], o.entropy[way] = uint8(min(len(head), sampleBytes)), entropy(head)
	}
	if offset == 0 && o.headLen[way] == 0 {
		o.headLen[way] = uint8(copy(o.head[way][:], head))
	}
}

// setInfo2 reads a SET_INFO request (MS-SMB2 2.2.39): renames and deletions.
func (p *Parser) setInfo2(t *turn, s *side, h *header2, b []byte) {
	body := b[header2Len:]
	if len(body) < 32 || body[2] != infoFile {
		return
	}
	info := cut(b, int(le.Uint16(body[8:])), int(le.Uint32(body[4:])))
	class := body[3]
	switch {
	case (class == classRename || class == classRenameEx) && len(info) >= 20: // MS-FSCC 2.4.42.2
	case (class == classDispose || class == classDisposeEx) && len(info) >= 1 && info[0]&1 != 0: // MS-FSCC 2.4.11
	default:
		return
	}
	o := p.file2(t, s, h, body, 16, true)
	if o == nil {
		return
	}
	op := opDelete
	if class == classRename || class == classRenameEx {
		op = opRename
	}
	q := p.ask2(t, h, op)
	q.file = p.slotOf(o)
	q.name = append(q.name[:0], o.name...)
	if op == opRename {
		q.second = p.clip(ntlm.AppendUTF16(q.second[:0], cut(info, 20, int(le.Uint32(info[16:])))))
	}
}

// answer2 reads an answer.
func (p *Parser) answer2(t *turn, h *header2, b []byte) payload {
	none := payload{file: noFile}
	if h.status == statusPending { // an interim answer, MS-SMB2 3.3.4.4
		return none
	}
	body := b[header2Len:]
	if h.command == cmdNegotiate {
		p.negotiated2(t, h, body)
		return none
	}
	i := p.findPending(h.message)
	if i < 0 || p.pending[i].command != h.command {
		if h.command == cmdSessionSetup && len(body) >= 8 {
			p.challenged(h.session, cut(b, int(le.Uint16(body[4:])), int(le.Uint16(body[6:]))))
		}
		p.stats.Unasked++
		return none
	}
	q := &p.pending[i]
	a := answer{status: h.status, seen: true, session: h.session, tree: h.tree}
	granted := h.status == 0
	l := none
	switch q.op {
	case opLogon:
		if len(body) >= 8 {
			p.challenged(h.session, cut(b, int(le.Uint16(body[4:])), int(le.Uint16(body[6:]))))
		}
		if h.status == statusMoreProcessing {
			q.free()
			return none
		}
	case opTree:
		if granted {
			x := p.treeOf(q.session, h.tree)
			x.name = append(x.name[:0], q.name...)
			x.pipes = ipc(x.name) || len(body) >= 3 && body[2] == shareTypePipe
		}
	case opOpen:
		if o := p.at(q.file); o != nil && granted && len(body) >= 80 {
			o.id, o.opened = fileID(body[64:]), true
			p.unknownPipe(o, le.Uint64(body[40:]), le.Uint64(body[48:]), le.Uint32(body[56:]))
			p.openFact(t, o, a, le.Uint32(body[4:]) == fileCreated)
			q.free()
			return none
		}
	case opRead:
		if (granted || h.status == statusBufferOverflow) && len(body) >= 16 {
			l = payload{q.file, int(body[2]), int(le.Uint32(body[4:]))}
			p.hasRead(q, b, l)
		}
	case opPipe:
		if (granted || h.status == statusBufferOverflow) && len(body) >= 40 {
			l = payload{q.file, int(le.Uint32(body[32:])), int(le.Uint32(body[36:]))}
		}
	}
	p.answered(t, q, a)
	q.free()
	return l
}

// hasRead takes the payload of an answer to a read.
func (p *Parser) hasRead(q *pending, b []byte, l payload) {
	o := p.at(q.file)
	if o == nil {
		return
	}
	p.attach(o, from(b, l.off), false)
	q.length = uint64(max(l.n, 0))
	o.read += q.length
	o.keepHead(read, q.offset, cut(b, l.off, min(l.n, sampleBytes)))
}

// unknownPipe recognises a pipe on a tree whose connection was not seen by what servers say of one: a page allocated, no
// content, no attribute but "normal".
func (p *Parser) unknownPipe(o *file, allocated, size uint64, attributes uint32) {
	if !o.pipe && p.findTree(o.session, o.tree) == nil && allocated == 4096 && size == 0 && attributes == 0x80 {
		o.pipe = true
		p.treeOf(o.session, o.tree).pipes = true
	}
}

// negotiated2 reads an answer to NEGOTIATE (MS-SMB2 2.2.4), which may answer SMB1's.
func (p *Parser) negotiated2(t *turn, h *header2, body []byte) {
	if i := p.oldestPending(func(q *pending) bool { return q.op == opNegotiate }); i >= 0 {
		p.pending[i].free()
	}
	f := p.fact(t, flows.SMBNegotiate, 0, 0)
	f.Answered, f.Status = true, h.status
	if h.status == 0 && len(body) >= 6 {
		if f.Dialect = le.Uint16(body[4:]); f.Dialect == anyDialect {
			return
		}
	}
	p.put(t, &f)
}

// cut returns n bytes of b from off, fewer where b ends before.
func cut(b []byte, off, n int) []byte {
	if off < 0 || n <= 0 || off >= len(b) {
		return nil
	}
	return b[off : off+min(n, len(b)-off)]
}

// from returns what follows off in b.
func from(b []byte, off int) []byte { return cut(b, off, len(b)) }
