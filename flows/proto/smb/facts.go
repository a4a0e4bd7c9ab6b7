package smb

import (
	"bytes"
	"unicode/utf8"

	"neuromast/flows"
	"neuromast/flows/proto/dcerpc"
	"neuromast/flows/proto/ntlm"
)

// fact begins a fact of a session and tree.
func (p *Parser) fact(t *turn, op flows.SMBOp, session uint64, tree uint32) flows.SMB {
	f := flows.SMB{Meta: flows.Meta{Ref: t.ref}, Conn: p.facing, Op: op}
	if s := p.findSession(session); s != nil {
		f.User = t.out.Put(s.user)
	}
	if x := p.findTree(session, tree); x != nil {
		f.Share = t.out.Put(x.name)
	}
	return f
}

// put writes a fact, within the connection's bound.
func (p *Parser) put(t *turn, f *flows.SMB) {
	if p.facts >= maxFacts {
		p.stats.CutFacts++
		t.out.Batch.Lost[flows.LostFact]++
		return
	}
	p.facts++
	t.out.SMB(f)
}

// answer is what a server says to a request.
type answer struct {
	status  uint32
	seen    bool
	session uint64
	tree    uint32
}

func (a *answer) mark(f *flows.SMB) { f.Answered, f.Status = a.seen, a.status }

func (a *answer) ok() bool { return a.seen && a.status == 0 }

// unanswered writes a request whose answer did not come.
func (p *Parser) unanswered(t *turn, i int) {
	q := &p.pending[i]
	p.stats.Unanswered++
	late := *t
	late.ref = q.ref
	p.answered(&late, q, answer{session: q.session, tree: q.tree})
	q.free()
}

// answered writes what a request and its answer, where one came, tell. Opens, reads and trees of a granted answer have
// their details taken from it before.
func (p *Parser) answered(t *turn, q *pending, a answer) {
	switch q.op {
	case opNegotiate:
		f := p.fact(t, flows.SMBNegotiate, 0, 0)
		a.mark(&f)
		p.put(t, &f)
	case opLogon:
		p.logon(t, q, a)
	case opTree:
		session := q.session
		if session == 0 { // chained to the logon: the answer gives the session its number
			session = a.session
		}
		f := p.fact(t, flows.SMBTree, session, 0)
		f.Share = t.out.Put(q.name)
		a.mark(&f)
		p.put(t, &f)
	case opOpen:
		if o := p.at(q.file); o != nil {
			p.openFact(t, o, a, false)
			p.discard(o)
		}
	case opClose:
		if o := p.at(q.file); o != nil {
			p.closed(t, o, a.status, a.seen)
		}
	case opWrite:
		if o := p.at(q.file); o != nil {
			if a.seen && a.status != 0 {
				o.wrote -= min(o.wrote, q.length)
			}
			p.moved(t, o, q, a, written)
		}
	case opRead:
		if o := p.at(q.file); o != nil {
			p.moved(t, o, q, a, read)
		}
	case opRename:
		f := p.fact(t, flows.SMBRename, q.session, q.tree)
		f.Path, f.NewPath = t.out.Put(q.name), t.out.Put(q.second)
		a.mark(&f)
		p.put(t, &f)
		if o := p.at(q.file); o != nil && a.ok() {
			o.name = append(o.name[:0], q.second...)
		}
	case opDelete, opUnlink:
		f := p.fact(t, flows.SMBDelete, q.session, q.tree)
		f.Path = t.out.Put(q.name)
		a.mark(&f)
		p.put(t, &f)
	case opList:
		f := p.fact(t, flows.SMBList, q.session, q.tree)
		f.Path, f.NewPath = t.out.Put(q.name), t.out.Put(q.second)
		a.mark(&f)
		p.put(t, &f)
	case opViolation:
		p.violation(t, q.violation, q.session, q.tree, a)
	}
}

func (p *Parser) violation(t *turn, what string, session uint64, tree uint32, a answer) {
	f := p.fact(t, flows.SMBViolation, session, tree)
	f.Path = t.out.PutString(what)
	a.mark(&f)
	p.put(t, &f)
}

// openFact writes the opening of a file or pipe.
func (p *Parser) openFact(t *turn, o *file, a answer, created bool) {
	op := flows.SMBOpen
	if o.pipe {
		op = flows.SMBPipe
	}
	f := p.fact(t, op, o.session, o.tree)
	f.Path = t.out.Put(o.name)
	f.Access, f.Disposition, f.DeleteClose, f.Created = o.access, o.disposition, o.deleteClose, created
	a.mark(&f)
	p.put(t, &f)
	if o.pipe && len(o.name) > 0 && o.name[0] == '/' { // the path of a file on the server: CVE-2017-7494
		p.violation(t, "pipe_by_absolute_path", o.session, o.tree, a)
	}
}

// moved writes the first write or read of a file that an answer was given to.
func (p *Parser) moved(t *turn, o *file, q *pending, a answer, way int) {
	if o.told[way] || o.rpc != nil {
		return
	}
	if refused := a.seen && a.status != 0 && a.status != statusBufferOverflow; way == read && (refused || !a.seen && p.answers) {
		return // nothing was read
	}
	o.told[way] = true
	p.transfer(t, o, q.length, a, way, false)
}

func (p *Parser) transfer(t *turn, o *file, n uint64, a answer, way int, final bool) {
	op := flows.SMBWrite
	if way == read {
		op = flows.SMBRead
	}
	f := p.fact(t, op, o.session, o.tree)
	f.Path = t.out.Put(o.name)
	f.Access, f.Disposition, f.DeleteClose = o.access, o.disposition, o.deleteClose
	f.Head, f.HeadLen, f.Bytes, f.Final = o.head[way], o.headLen[way], n, final
	f.Sample, f.Entropy = o.sample[way], o.entropy[way]
	a.mark(&f)
	p.put(t, &f)
}

// closed writes a file's totals and frees its place.
func (p *Parser) closed(t *turn, o *file, status uint32, seen bool) {
	a := answer{status: status, seen: seen}
	if o.rpc != nil {
		o.rpc.Flush(t.out, &p.facing, true)
	}
	if o.told[written] {
		p.transfer(t, o, o.wrote, a, written, true)
	}
	if o.told[read] {
		p.transfer(t, o, o.read, a, read, true)
	}
	if o.deleteClose && o.opened && !o.pipe {
		f := p.fact(t, flows.SMBDelete, o.session, o.tree)
		f.Path, f.DeleteClose = t.out.Put(o.name), true
		a.mark(&f)
		p.put(t, &f)
	}
	p.discard(o)
}

// discard frees a file's place without a word.
func (p *Parser) discard(o *file) {
	p.release(o)
	o.free()
}

// attach gives a pipe whose bytes are DCE/RPC an association; data is the beginning of the next bytes, as far as it is
// known.
func (p *Parser) attach(o *file, data []byte, opened bool) {
	if o.rpc != nil || o.plain || (!o.pipe && o.named) {
		return
	}
	if short := len(data) < headBytes && (len(data) == 0 || data[0] == 5); !dcerpc.Recognise(data) && !(o.pipe && short) {
		o.plain = o.pipe && opened // answers may lie in the middle of a PDU
		return
	}
	o.pipe = true
	if x := p.findTree(o.session, o.tree); x == nil {
		p.treeOf(o.session, o.tree).pipes = true
	}
	if n := len(p.idle); n > 0 {
		o.rpc, p.idle = p.idle[n-1], p.idle[:n-1]
	} else {
		o.rpc = dcerpc.NewAssociation(&p.rpc)
	}
	over := dcerpc.Carrier{Pipe: o.name, Named: true, Opened: o.named, Midstream: p.midstream}
	if s := p.findSession(o.session); s != nil {
		over.User = s.user
	}
	o.rpc.Reset(over)
}

// deliver hands a pipe's bytes to its association.
func (p *Parser) deliver(t *turn, dir flows.Dir, s slot, b []byte) {
	o := p.at(s)
	if o == nil || o.rpc == nil {
		return
	}
	if !o.rpc.Data(t.out, &p.facing, p.role(dir), b, t.ref) {
		o.plain = true
		p.release(o)
	}
}

// hole says that bytes of a pipe are missing.
func (p *Parser) hole(t *turn, dir flows.Dir, s slot, n int) {
	if o := p.at(s); o != nil && o.rpc != nil {
		o.rpc.Gap(t.out, &p.facing, p.role(dir), n)
	}
}

// role is a direction as the facts' connection has it.
func (p *Parser) role(dir flows.Dir) flows.Dir {
	if p.client == flows.Resp {
		return dir.Other()
	}
	return dir
}

// token reads the security token of a client's logon into its request.
func (p *Parser) token(q *pending, b []byte) {
	if m, ok := ntlm.Find(b); ok {
		q.method = flows.AuthNTLM
		if m.Kind != ntlm.Authenticate {
			return
		}
		q.proof, q.v1, q.anonymous, q.answer = true, m.NTLMv1(), m.Anonymous(), m.Proof
		q.name = p.clip(m.Append(q.name[:0], m.User))
		q.second = p.clip(m.Append(q.second[:0], m.Domain))
		q.third = p.clip(m.Append(q.third[:0], m.Workstation))
	} else if dcerpc.KerberosToken(b) {
		q.method, q.proof = flows.AuthKerberos, true
	}
}

// challenged reads the server's challenge.
func (p *Parser) challenged(id uint64, b []byte) {
	if m, ok := ntlm.Find(b); ok && m.Kind == ntlm.Challenge {
		s := p.sessionOf(id)
		s.challenge = m.Challenge
		s.server = p.clip(m.AppendServer(s.server[:0]))
	}
}

// logon writes an authentication and names the session's user.
func (p *Parser) logon(t *turn, q *pending, a answer) {
	if !q.proof && (!a.seen || a.status == 0 || a.status == statusMoreProcessing) {
		return
	}
	f := flows.Auth{
		Meta: flows.Meta{Ref: t.ref}, Conn: p.facing, Method: q.method, Over: flows.AppSMB, Status: a.status,
		User: t.out.Put(q.name), Domain: t.out.Put(q.second), Workstation: t.out.Put(q.third),
		NTLMv1: q.v1, Anonymous: q.anonymous, Proof: q.answer,
	}
	if a.seen {
		if f.Outcome = flows.Succeeded; a.status != 0 {
			f.Outcome = flows.Failed
		}
	}
	id := a.session
	if id == 0 {
		id = q.session
	}
	if s := p.findSession(id); s != nil && q.method == flows.AuthNTLM {
		f.Server, f.Challenge = t.out.Put(s.server), s.challenge
	}
	if f.Outcome != flows.Failed && q.proof && id != 0 {
		s := p.sessionOf(id)
		s.user = ntlm.AppendAccount(s.user[:0], q.second, q.name)
	}
	t.out.Auth(&f)
}

// clip bounds a name.
func (p *Parser) clip(b []byte) []byte {
	if len(b) > maxName {
		p.stats.CutNames++
		n := maxName
		for n > 0 && !utf8.RuneStart(b[n]) {
			n--
		}
		b = b[:n]
	}
	return b
}

// ipc says that a share's path, as \\server\IPC$, is the one of pipes.
func ipc(share []byte) bool {
	return len(share) >= 4 && bytes.EqualFold(share[len(share)-4:], []byte("IPC$"))
}

// pipeName strips what clients put before a pipe's name: \, \PIPE\.
func pipeName(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte(`\`))
	if len(b) > 5 && bytes.EqualFold(b[:5], []byte(`PIPE\`)) {
		b = b[5:]
	}
	return b
}
