package smb

import (
	"neuromast/flows"
	"neuromast/flows/proto/dcerpc"
)

// slot names a place in the table of files and the file that took it: a place that is used again is another slot.
type slot struct {
	at  int32
	gen uint32
}

var noFile = slot{at: -1}

// session is a logon. SMB1 names it by 16 bits, SMB2 by 64.
type session struct {
	user      []byte // DOMAIN\user
	server    []byte // the name in the server's challenge
	id        uint64
	seq       uint32
	challenge [8]byte
	used      bool
}

func (s *session) free() { *s = session{user: s.user[:0], server: s.server[:0]} }

// tree is a connected share.
type tree struct {
	name    []byte
	session uint64
	id      uint32
	seq     uint32
	used    bool
	pipes   bool // IPC$
}

func (x *tree) free() { *x = tree{name: x.name[:0]} }

// fileID is SMB2's FileId, or SMB1's FID in the first two bytes.
type fileID [16]byte

// file is an open file, directory or pipe.
type file struct {
	name        []byte
	rpc         *dcerpc.Association
	session     uint64
	wrote, read uint64 // bytes
	id          fileID
	tree        uint32
	access      uint32
	disposition uint32
	gen         uint32
	seq         uint32
	head        [2][headBytes]byte // first bytes written, read at offset 0
	headLen     [2]uint8
	sample      [2]uint8 // bytes that entropy was measured on
	entropy     [2]uint16
	told        [2]bool // the first write, read was written as a fact
	listed      bool    // its listing was written as a fact
	used        bool
	opened      bool // the server gave it an id
	named       bool // its opening was seen
	pipe        bool
	plain       bool // a pipe that does not carry DCE/RPC
	deleteClose bool
}

func (f *file) free() { *f = file{name: f.name[:0], gen: f.gen} }

// Written and read, as index.
const (
	written = iota
	read
)

// operation is what a request that waits for its answer asked for.
type operation uint8

const (
	opNegotiate operation = iota
	opLogon
	opTree
	opOpen
	opClose
	opRead
	opWrite
	opRename
	opDelete // of an open file, by its disposition
	opUnlink // of a path, SMB1 only
	opPipe   // a write and a read of a pipe in one
	opList   // of a directory
	opTransact
	opViolation
)

// pending is a request that waits for its answer.
type pending struct {
	name      []byte // path, share or user
	second    []byte // new path or domain
	third     []byte // workstation
	violation string
	key       uint64
	session   uint64
	offset    uint64
	length    uint64
	ref       flows.Ref
	file      slot
	tree      uint32
	seq       uint32
	command   uint16
	op        operation
	method    flows.AuthMethod
	used      bool
	aged      bool    // waited at the last flush
	proof     bool    // a logon that carries the client's proof, not only its opening
	answer    [8]byte // NTLM's proof, its first bytes
	v1        bool
	anonymous bool
	broken    bool // a transaction whose violation is written
}

func (q *pending) free() {
	*q = pending{name: q.name[:0], second: q.second[:0], third: q.third[:0], file: noFile}
}

// older says that sequence number a comes before b; both wrap.
func older(a, b uint32) bool { return a-b > 1<<31 }

func (p *Parser) next() uint32 { p.seq++; return p.seq }

// findFile returns the file of an id, nil where there is none.
func (p *Parser) findFile(id *fileID) *file {
	if p.lastFile < len(p.files) {
		if f := &p.files[p.lastFile]; f.used && f.opened && f.id == *id {
			return f
		}
	}
	for i := range p.files {
		if f := &p.files[i]; f.used && f.opened && f.id == *id {
			p.lastFile = i
			return f
		}
	}
	return nil
}

// at returns the file in a slot, nil where it is gone.
func (p *Parser) at(s slot) *file {
	if s.at < 0 || int(s.at) >= len(p.files) {
		return nil
	}
	if f := &p.files[s.at]; f.used && f.gen == s.gen {
		return f
	}
	return nil
}

// newFile takes a place for a file; the oldest gives way where there are too many.
func (p *Parser) newFile(t *turn, session uint64, tree uint32) (*file, slot) {
	i := -1
	for j := range p.files {
		if !p.files[j].used {
			i = j
			break
		}
		if i < 0 || older(p.files[j].seq, p.files[i].seq) {
			i = j
		}
	}
	if i < 0 || p.files[i].used {
		if len(p.files) < maxFiles {
			p.files = append(p.files, file{})
			i = len(p.files) - 1
		} else {
			p.stats.EvictedFiles++
			p.closed(t, &p.files[i], 0, false)
		}
	}
	f := &p.files[i]
	f.used, f.seq, f.session, f.tree = true, p.next(), session, tree
	f.gen++
	return f, slot{int32(i), f.gen}
}

// strange returns the file of an id that a message names although its opening was not seen.
func (p *Parser) strange(t *turn, id *fileID, session uint64, tree uint32) *file {
	f, _ := p.newFile(t, session, tree)
	f.id, f.opened = *id, true
	if x := p.findTree(session, tree); x != nil && x.pipes {
		f.pipe = true
	}
	return f
}

func (p *Parser) slotOf(f *file) slot {
	for i := range p.files {
		if &p.files[i] == f {
			return slot{int32(i), f.gen}
		}
	}
	return noFile
}

// release gives a file's association back.
func (p *Parser) release(f *file) {
	if f.rpc == nil {
		return
	}
	if len(p.idle) < maxIdle {
		p.idle = append(p.idle, f.rpc)
	}
	f.rpc = nil
}

func (p *Parser) findTree(session uint64, id uint32) *tree {
	for i := range p.trees {
		if x := &p.trees[i]; x.used && x.id == id && x.session == session {
			return x
		}
	}
	return nil
}

// treeOf returns the entry of a tree id, new where there is none.
func (p *Parser) treeOf(session uint64, id uint32) *tree {
	if x := p.findTree(session, id); x != nil {
		return x
	}
	i := 0
	for ; i < len(p.trees) && p.trees[i].used; i++ {
	}
	if i == len(p.trees) {
		if i < maxTrees {
			p.trees = append(p.trees, tree{})
		} else {
			i = 0
			for j := range p.trees {
				if older(p.trees[j].seq, p.trees[i].seq) {
					i = j
				}
			}
			p.stats.Evicted++
		}
	}
	x := &p.trees[i]
	x.free()
	x.used, x.session, x.id, x.seq = true, session, id, p.next()
	return x
}

func (p *Parser) findSession(id uint64) *session {
	for i := range p.sessions {
		if s := &p.sessions[i]; s.used && s.id == id {
			return s
		}
	}
	return nil
}

// sessionOf returns the entry of a session id, new where there is none.
func (p *Parser) sessionOf(id uint64) *session {
	if s := p.findSession(id); s != nil {
		return s
	}
	i := 0
	for ; i < len(p.sessions) && p.sessions[i].used; i++ {
	}
	if i == len(p.sessions) {
		if i < maxSessions {
			p.sessions = append(p.sessions, session{})
		} else {
			i = 0
			for j := range p.sessions {
				if older(p.sessions[j].seq, p.sessions[i].seq) {
					i = j
				}
			}
			p.stats.Evicted++
		}
	}
	s := &p.sessions[i]
	s.free()
	s.used, s.id, s.seq = true, id, p.next()
	return s
}

// ask enters a request; the oldest gives way where too many wait.
func (p *Parser) ask(t *turn, key uint64, command uint16, op operation) *pending {
	if i := p.findPending(key); i >= 0 { // the number is used again: no answer came
		p.unanswered(t, i)
	}
	i := 0
	for ; i < len(p.pending) && p.pending[i].used; i++ {
	}
	if i == len(p.pending) {
		if i < maxPending {
			p.pending = append(p.pending, pending{})
		} else {
			i = p.oldestPending(func(*pending) bool { return true })
			p.stats.EvictedPending++
			p.unanswered(t, i)
		}
	}
	q := &p.pending[i]
	q.free()
	q.used, q.key, q.command, q.op, q.seq, q.ref = true, key, command, op, p.next(), t.ref
	return q
}

func (p *Parser) findPending(key uint64) int {
	for i := range p.pending {
		if p.pending[i].used && p.pending[i].key == key {
			return i
		}
	}
	return -1
}

func (p *Parser) oldestPending(fits func(*pending) bool) int {
	best := -1
	for i := range p.pending {
		if q := &p.pending[i]; q.used && fits(q) && (best < 0 || older(q.seq, p.pending[best].seq)) {
			best = i
		}
	}
	return best
}
