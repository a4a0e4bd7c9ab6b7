package smb

import (
	"bytes"

	"neuromast/flows"
	"neuromast/flows/proto/ntlm"
)

// The SMB1 commands that are read (MS-CIFS 2.2.2.1).
const (
	com1Close          = 0x04
	com1Delete         = 0x06
	com1Rename         = 0x07
	com1Read           = 0x0a
	com1Write          = 0x0b
	com1Transact       = 0x25
	com1TransactMore   = 0x26
	com1OpenAndX       = 0x2d
	com1ReadAndX       = 0x2e
	com1WriteAndX      = 0x2f
	com1Transact2      = 0x32
	com1Transact2More  = 0x33
	com1TreeDisconnect = 0x71
	com1Negotiate      = 0x72
	com1SessionSetup   = 0x73
	com1Logoff         = 0x74
	com1TreeConnect    = 0x75
	com1NTTransact     = 0xa0
	com1NTTransactMore = 0xa1
	com1NTCreate       = 0xa2
	com1None           = 0xff // the end of a chain, MS-CIFS 2.2.3.4
)

// Flags of the header (MS-CIFS 2.2.3.1).
const (
	flag1Answer  = 0x80
	flag1Unicode = 0x8000
	flag1Status  = 0x4000 // NTSTATUS; else a DOS error
)

// dialect1 stands for all of SMB1.
const dialect1 = 0x0001

// maxChain bounds the commands of one message; clients chain two or three.
const maxChain = 8

// fields1 is how much of an SMB1 message is gathered.
func fields1(b []byte) int {
	switch b[4] {
	case com1ReadAndX, com1WriteAndX, com1Read, com1Write:
		return 128 + sampleBytes
	case com1Transact, com1TransactMore:
		return 512
	}
	return maxFields
}

// header1 is a header of SMB1.
type header1 struct {
	message uint64 // key of the exchange: process and multiplex id
	session uint64
	status  uint32
	tree    uint32
	pid     uint32
	mid     uint16
	command byte
	wide    bool // text is UTF-16LE
	size    int  // of the whole message
}

// key1 is the key of an exchange, apart from those of SMB2.
func key1(pid uint32, mid uint16) uint64 { return 1<<63 | uint64(pid)<<16 | uint64(mid) }

// block is one command of a chain: its words and its bytes.
type block struct {
	words, bytes []byte
	at           int // where the bytes begin in the message
}

// blockAt reads the command block at off; parts beyond what was gathered are cut off.
func blockAt(b []byte, off int) (k block, ok bool) {
	if off < header1Len || off >= len(b) {
		return k, false
	}
	words := int(b[off]) * 2
	k.words = cut(b, off+1, words)
	k.at = off + 1 + words + 2
	if n := cut(b, off+1+words, 2); len(n) == 2 {
		k.bytes = cut(b, k.at, int(le.Uint16(n)))
	}
	return k, len(k.words) == words
}

func (k *block) word(off int) uint16 {
	if off+2 > len(k.words) {
		return 0
	}
	return le.Uint16(k.words[off:])
}

func (k *block) long(off int) uint32 {
	if off+4 > len(k.words) {
		return 0
	}
	return le.Uint32(k.words[off:])
}

func (p *Parser) message1(t *turn, dir flows.Dir, b []byte, size int) payload {
	none := payload{file: noFile}
	p.stats.Messages++
	if len(b) < header1Len+3 {
		p.stats.Malformed++
		return none
	}
	flags2 := le.Uint16(b[10:])
	h := header1{
		status: le.Uint32(b[5:]), command: b[4], wide: flags2&flag1Unicode != 0, size: size,
		tree: uint32(le.Uint16(b[24:])), session: uint64(le.Uint16(b[28:])), mid: le.Uint16(b[30:]),
		pid: uint32(le.Uint16(b[12:]))<<16 | uint32(le.Uint16(b[26:])),
	}
	h.message = key1(h.pid, h.mid)
	if flags2&flag1Status == 0 && h.status != 0 {
		h.status = dosStatus(byte(h.status), uint16(h.status>>16))
	}
	isAnswer := b[9]&flag1Answer != 0
	if !p.rightSide(t, dir, isAnswer) {
		return none
	}
	l := none
	off := header1Len
	for range maxChain {
		k, ok := blockAt(b, off)
		if !ok {
			p.stats.Malformed++
			break
		}
		var got payload
		if isAnswer {
			got = p.answer1(t, &h, &k, b)
		} else {
			got = p.request1(t, &h, &k, b)
		}
		if l.file == noFile {
			l = got
		}
		if !chains(h.command) || len(k.words) < 4 || k.words[0] == com1None || int(k.word(2)) <= off {
			break
		}
		h.command, off = k.words[0], int(k.word(2))
	}
	return l
}

// chains says that a command's words begin with the next command (MS-CIFS 2.2.3.4).
func chains(command byte) bool {
	switch command {
	case com1OpenAndX, com1ReadAndX, com1WriteAndX, com1SessionSetup, com1Logoff, com1TreeConnect, com1NTCreate:
		return true
	}
	return false
}

// dosStatus is the NTSTATUS of the few DOS errors that detectors ask for (MS-CIFS 2.2.2.4); the others keep class and
// code, marked as an error of a customer's own.
func dosStatus(class byte, code uint16) uint32 {
	switch {
	case class == 1 && code == 5, class == 2 && code == 4: // ERRDOS/ERRnoaccess, ERRSRV/ERRaccess
		return 0xC0000022 // STATUS_ACCESS_DENIED
	case class == 2 && code == 2: // ERRSRV/ERRbadpw
		return 0xC000006D // STATUS_LOGON_FAILURE
	case class == 1 && code == 2: // ERRDOS/ERRbadfile
		return 0xC0000034 // STATUS_OBJECT_NAME_NOT_FOUND
	}
	return 0xE0000000 | uint32(class)<<16 | uint32(code)
}

// ask1 enters a request.
func (p *Parser) ask1(t *turn, h *header1, op operation) *pending {
	key := h.message
	if h.command != com1SessionSetup && p.findPending(key) >= 0 {
		key |= uint64(h.command) << 48 // a later command of a chain
	}
	q := p.ask(t, key, uint16(h.command), op)
	q.session, q.tree = h.session, h.tree
	return q
}

// asked returns the request that an answer's command belongs to, -1 where none waits.
func (p *Parser) asked(h *header1) int {
	for i := range p.pending {
		q := &p.pending[i]
		if q.used && q.command == uint16(h.command) && (q.key == h.message || q.key == h.message|uint64(h.command)<<48) {
			return i
		}
	}
	return -1
}

// id1 is an SMB1 FID as a fileID.
func id1(fid uint16) fileID { return fileID{byte(fid), byte(fid >> 8)} }

// file1 returns the file of a FID; where its opening was not seen, it is entered.
func (p *Parser) file1(t *turn, h *header1, fid uint16) *file {
	id := id1(fid)
	if o := p.findFile(&id); o != nil {
		return o
	}
	return p.strange(t, &id, h.session, h.tree)
}

// text appends a string in the message's character set, up to its terminator; at is where s begins in the message,
// since UTF-16 starts at even places. It returns what follows.
func (h *header1) text(dst, s []byte, at int) (text, rest []byte, next int) {
	if !h.wide {
		n := bytes.IndexByte(s, 0)
		if n < 0 {
			return ntlm.AppendOEM(dst, s), nil, at + len(s)
		}
		return ntlm.AppendOEM(dst, s[:n]), s[n+1:], at + n + 1
	}
	if at%2 != 0 && len(s) > 0 {
		s, at = s[1:], at+1
	}
	n := 0
	for n+1 < len(s) && (s[n] != 0 || s[n+1] != 0) {
		n += 2
	}
	end := min(n+2, len(s))
	return ntlm.AppendUTF16(dst, s[:min(n, len(s))]), s[end:], at + end
}

// request1 reads one command of a request.
func (p *Parser) request1(t *turn, h *header1, k *block, b []byte) payload {
	none := payload{file: noFile}
	switch h.command {
	case com1Negotiate:
		p.ask1(t, h, opNegotiate)
	case com1SessionSetup:
		p.logon1(t, h, k)
	case com1Logoff:
		if s := p.findSession(h.session); s != nil {
			s.free()
		}
	case com1TreeConnect:
		q := p.ask1(t, h, opTree)
		skip := int(k.word(6)) // the share's password
		path, _, _ := h.text(q.name[:0], from(k.bytes, skip), k.at+skip)
		q.name = p.clip(path)
	case com1TreeDisconnect:
		if x := p.findTree(h.session, h.tree); x != nil {
			x.free()
		}
	case com1NTCreate:
		if len(k.words) >= 48 {
			o := p.open1(t, h, k.bytes, k.at)
			o.access, o.disposition = k.long(15), k.long(35)
			o.deleteClose = k.long(39)&deleteOnClose != 0
		}
	case com1OpenAndX:
		if len(k.words) >= 30 {
			o := p.open1(t, h, k.bytes, k.at)
			o.access, o.disposition = access1(k.word(6)), disposition1(k.word(16))
		}
	case com1Close:
		id := id1(k.word(0))
		if o := p.findFile(&id); o != nil {
			p.ask1(t, h, opClose).file = p.slotOf(o)
		}
	case com1ReadAndX, com1Read:
		fid, offset := k.word(4), uint64(k.long(6))|uint64(k.long(20))<<32
		if h.command == com1Read {
			fid, offset = k.word(0), uint64(k.long(4))
		}
		o := p.file1(t, h, fid)
		q := p.ask1(t, h, opRead)
		q.file, q.offset = p.slotOf(o), offset
	case com1WriteAndX, com1Write:
		return p.write1(t, h, k, b)
	case com1Delete:
		q := p.ask1(t, h, opUnlink)
		path, _, _ := h.text(q.name[:0], from(k.bytes, 1), k.at+1)
		q.name = p.clip(below(path))
	case com1Rename:
		q := p.ask1(t, h, opRename)
		path, rest, next := h.text(q.name[:0], from(k.bytes, 1), k.at+1)
		q.name = p.clip(below(path))
		path, _, _ = h.text(q.second[:0], from(rest, 1), next+1)
		q.second = p.clip(below(path))
	case com1Transact, com1TransactMore, com1Transact2, com1Transact2More, com1NTTransact, com1NTTransactMore:
		return p.transact1(t, h, k, b)
	}
	return none
}

// logon1 reads a SESSION_SETUP_ANDX request: with a security token (MS-SMB 2.2.4.6.1) or, older, with the answers to the
// challenge in clear (MS-CIFS 2.2.4.53.1).
func (p *Parser) logon1(t *turn, h *header1, k *block) {
	q := p.ask1(t, h, opLogon)
	switch len(k.words) {
	case 24:
		p.token(q, cut(k.bytes, 0, int(k.word(14))))
	case 26:
		lm, nt := int(k.word(14)), int(k.word(16))
		user, rest, next := h.text(q.name[:0], from(k.bytes, lm+nt), k.at+lm+nt)
		q.name = p.clip(user)
		domain, _, _ := h.text(q.second[:0], rest, next)
		q.second = p.clip(domain)
		q.method, q.proof = flows.AuthNTLM, true
		q.anonymous = len(q.name) == 0
		q.v1 = nt == 24 || nt == 0 && lm == 24
		copy(q.answer[:], cut(k.bytes, lm, min(nt, len(q.answer))))
	}
}

// open1 enters a file that is being opened.
func (p *Parser) open1(t *turn, h *header1, name []byte, at int) *file {
	o, s := p.newFile(t, h.session, h.tree)
	o.named = true
	text, _, _ := h.text(o.name[:0], name, at)
	o.name = p.clip(below(text))
	p.opening(o)
	p.ask1(t, h, opOpen).file = s
	return o
}

// below strips the \ that SMB1 paths begin with and SMB2's don't.
func below(path []byte) []byte {
	if len(path) > 0 && path[0] == '\\' {
		return path[:copy(path, path[1:])]
	}
	return path
}

// access1 and disposition1 translate OPEN_ANDX (MS-CIFS 2.2.4.41.1) into the terms of a create.
func access1(mode uint16) uint32 {
	switch mode & 7 {
	case 1:
		return 0x40000000 // GENERIC_WRITE
	case 2:
		return 0xC0000000
	case 3:
		return 0x20000000 // GENERIC_EXECUTE
	}
	return 0x80000000 // GENERIC_READ
}

func disposition1(mode uint16) uint32 {
	switch {
	case mode&0x10 != 0 && mode&3 == 0:
		return 2 // FILE_CREATE
	case mode&0x10 != 0 && mode&3 == 1:
		return 3 // FILE_OPEN_IF
	case mode&0x10 != 0:
		return 5 // FILE_OVERWRITE_IF
	case mode&3 == 2:
		return 4 // FILE_OVERWRITE
	}
	return 1 // FILE_OPEN
}

// write1 reads WRITE_ANDX (MS-SMB 2.2.4.3.1) or WRITE (MS-CIFS 2.2.4.12.1).
func (p *Parser) write1(t *turn, h *header1, k *block, b []byte) payload {
	var l payload
	var fid uint16
	var offset uint64
	if h.command == com1Write {
		fid, offset = k.word(0), uint64(k.long(4))
		l.off, l.n = k.at+3, int(k.word(2))
	} else {
		fid, offset = k.word(4), uint64(k.long(6))|uint64(k.long(24))<<32
		l.off, l.n = int(k.word(22)), int(k.word(20))|int(k.word(18))<<16
		if mode := k.word(14); mode&0x0c == 0x0c && l.n >= 2 { // raw message to a pipe: its length stands before it
			l.off, l.n = l.off+2, l.n-2
		}
	}
	o := p.file1(t, h, fid)
	l.file = p.slotOf(o)
	p.attach(o, from(b, l.off), true)
	q := p.ask1(t, h, opWrite)
	q.file, q.offset = l.file, offset
	p.wrote(o, q, cut(b, l.off, min(l.n, sampleBytes)), uint64(l.n))
	return l
}

// answer1 reads one command of an answer.
func (p *Parser) answer1(t *turn, h *header1, k *block, b []byte) payload {
	none := payload{file: noFile}
	i := p.asked(h)
	if i < 0 {
		p.unasked1(t, h, k)
		return none
	}
	q := &p.pending[i]
	a := answer{status: h.status, seen: true, session: h.session, tree: h.tree}
	granted := h.status == 0
	l := none
	switch q.op {
	case opNegotiate:
		p.negotiated1(t, h, k)
		q.free()
		return none
	case opLogon:
		if len(k.words) >= 8 {
			p.challenged(h.session, cut(k.bytes, 0, int(k.word(6))))
		}
		if h.status == statusMoreProcessing {
			q.free()
			return none
		}
		if q.session == 0 && granted { // names came with the first request: the challenge with the negotiation
			p.sessionOf(h.session).challenge = p.challenge
		}
	case opTree:
		if granted {
			x := p.treeOf(h.session, h.tree)
			x.name = append(x.name[:0], q.name...)
			x.pipes = ipc(x.name) || bytes.HasPrefix(k.bytes, []byte("IPC\x00"))
		}
	case opOpen:
		if o := p.at(q.file); o != nil && granted && p.opened1(h, k, o) {
			created := h.command == com1NTCreate && k.long(7) == fileCreated || h.command == com1OpenAndX && k.word(22)&3 == 2
			p.openFact(t, o, a, created)
			q.free()
			return none
		}
	case opRead:
		if granted || h.status == statusBufferOverflow {
			l = payload{q.file, int(k.word(12)), int(k.word(10)) | int(k.word(14))<<16}
			if h.command == com1Read {
				l.off, l.n = k.at+3, int(k.word(0))
			}
			p.hasRead(q, b, l)
		}
	case opPipe:
		if (granted || h.status == statusBufferOverflow) && len(k.words) >= 20 {
			l = payload{q.file, int(k.word(14)), int(k.word(12))}
		}
	case opTransact:
		if len(k.words) == 0 && granted { // interim: the rest of the request may come (MS-CIFS 3.2.4.1.5)
			return none
		}
	}
	p.answered(t, q, a)
	q.free()
	return l
}

// opened1 takes a file's id from the answer to its opening; what it was opened as tells a pipe from a file.
func (p *Parser) opened1(h *header1, k *block, o *file) bool {
	fid, kind := k.word(5), k.word(63)
	need := 65
	if h.command == com1OpenAndX {
		fid, kind, need = k.word(4), k.word(18), 24
	}
	if len(k.words) < need {
		return false
	}
	o.id, o.opened = id1(fid), true
	o.session, o.tree = h.session, h.tree // of a chain: given by the answer
	if kind == 1 || kind == 2 {           // FileTypeByteModePipe, FileTypeMessageModePipe
		if !o.pipe {
			o.name = append(o.name[:0], pipeName(o.name)...)
		}
		o.pipe = true
	}
	return true
}

// negotiated1 reads an answer to NEGOTIATE (MS-SMB 2.2.4.5.2).
func (p *Parser) negotiated1(t *turn, h *header1, k *block) {
	f := p.fact(t, flows.SMBNegotiate, 0, 0)
	f.Answered, f.Status = true, h.status
	if len(k.words) >= 2 && k.word(0) != 0xffff {
		f.Dialect = dialect1
	}
	if len(k.words) == 34 && k.words[33] == 8 && k.long(19)>>31 == 0 && len(k.bytes) >= 8 { // no extended security
		p.challenge = [8]byte(k.bytes)
	}
	p.put(t, &f)
}

// unasked1 handles an answer whose request was not seen, or that does not carry its request's number.
func (p *Parser) unasked1(t *turn, h *header1, k *block) {
	p.stats.Unasked++
	switch h.command {
	case com1SessionSetup:
		if len(k.words) >= 8 {
			p.challenged(h.session, cut(k.bytes, 0, int(k.word(6))))
		}
	case com1Transact2:
		p.shifted(t, h)
	}
}
