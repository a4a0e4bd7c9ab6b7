package smb

import "testing"

// transact is a TRANSACTION of any kind with one setup word or more; data follows at once.
func transactWords(total, count, at int, setup ...uint16) []byte {
	return join(u16(0, uint16(total), 0, 1024, 0, 0), u32(0), u16(0, 0, 0, uint16(count), uint16(at)), []byte{byte(len(setup)), 0}, u16(setup...))
}

func pipeTransact(fid uint16, data []byte) (words, bytes []byte) {
	name := join([]byte{0}, utf(`\PIPE\`), zeros(2))
	at := 32 + 1 + 32 + 2 + len(name)
	return transactWords(len(data), len(data), at, transactPipe, fid), join(name, data)
}

func pipeAnswer(data []byte) (words, bytes []byte) {
	return join(u16(0, uint16(len(data)), 0, 0, 56, 0, uint16(len(data)), 56, 0), []byte{0, 0}), join([]byte{0}, data)
}

func ntCreate(name string, access, disposition, options uint32) (words, bytes []byte) {
	n := len(utf(name))
	return join(andX(), []byte{0}, u16(uint16(n)), u32(0, 0, access), zeros(8), u32(0, 7, disposition, options, 2), []byte{0}), join([]byte{0}, utf(name), zeros(2))
}

func ntCreateAnswer(fid uint16, action uint32, kind uint16) []byte {
	return join(andX(), []byte{0}, u16(fid), u32(action), zeros(32), u32(0x20), zeros(16), u16(kind, 0), []byte{0})
}

func writeAndX(fid uint16, data []byte) (words, bytes []byte) {
	return join(andX(), u16(fid), u32(0, 0), u16(0, 0, 0, uint16(len(data)), 64), u32(0)), join([]byte{0}, data)
}

// old is a session of SMB1: a logon without extended security chained with a tree connect, a file copied, renamed,
// deleted; a pipe with a call in a transaction, a bind by write and read.
func old() []step {
	h := func(mid, tid uint16) one { return one{mid: mid, uid: 2, tid: tid} }
	two := func(w, b []byte) func(one, byte) []byte { return func(h one, c byte) []byte { return h.ask(c, w, b) } }
	logon := join([]byte{com1TreeConnect, 0}, u16(0), u16(4356, 1, 0), u32(0), u16(24, 24), u32(0, 0))
	strings := join(zeros(48), zeros(1), utf("bob\x00CORP\x00Unix\x00Samba\x00"))
	head := 32 + 1 + len(logon) + 2 + len(strings)
	logon[2], logon[3] = byte(head), byte(head>>8)
	path := utf(`\\FS\docs` + "\x00")
	chained := join([]byte{4}, andX(), u16(0, 1), u16(uint16(1+len(path)+6)), zeros(1), path, []byte("?????\x00"))
	// the second block begins at an odd or even place; its path must begin at an even one
	if (head+1+8+2+1)%2 != 0 {
		chained = join([]byte{4}, andX(), u16(0, 0), u16(uint16(len(path)+6)), path, []byte("?????\x00"))
	}
	createFile := two(ntCreate(`\dir\evil.exe`, 0x12019f, 5, 0))
	write := two(writeAndX(0x4001, []byte("MZ and more")))
	createPipe := two(ntCreate(`\svcctl`, 0x12019f, 1, 0))
	bind := two(writeAndX(0x4002, bindSvcctl()))
	call := two(pipeTransact(0x4002, request(2, 27, zeros(20))))
	aw, ab := pipeAnswer(response(2, u32(5)))
	ack := bindAck()
	return []step{
		client(frame(h(1, 0).ask(com1Negotiate, nil, []byte("\x02NT LM 0.12\x00")))),
		server(frame(h(1, 0).say(com1Negotiate, 0, join(u16(0), []byte{3}, u16(50, 1), u32(16644, 65536, 0, 0x8000f3fd&0x7fffffff), zeros(10), []byte{8}), []byte("CHALLENG")))),
		client(frame(one{mid: 2}.ask(com1SessionSetup, logon, strings), chained)),
		server(frame(h(2, 7).say(com1SessionSetup, 0, join([]byte{com1TreeConnect, 0}, u16(41, 0)), nil), []byte{2}, andX(), u16(3), []byte("A:\x00"))),
		client(frame(createFile(h(3, 7), com1NTCreate))),
		server(frame(h(3, 7).say(com1NTCreate, 0, ntCreateAnswer(0x4001, 2, 0), nil))),
		client(frame(write(h(4, 7), com1WriteAndX))),
		server(frame(h(4, 7).say(com1WriteAndX, 0, join(andX(), u16(11, 0, 0, 0)), nil))),
		client(frame(h(5, 7).ask(com1Close, join(u16(0x4001), u32(0)), nil))),
		server(frame(h(5, 7).say(com1Close, 0, nil, nil))),
		client(frame(h(6, 7).ask(com1Rename, u16(0), join([]byte{4}, utf(`\dir\evil.exe`+"\x00"), []byte{4, 0}, utf(`\dir\good.exe`+"\x00"))))),
		server(frame(h(6, 7).say(com1Rename, 0, nil, nil))),
		client(frame(h(7, 7).ask(com1Delete, u16(0), join([]byte{4}, utf(`\dir\good.exe`+"\x00"))))),
		server(frame(h(7, 7).say(com1Delete, 0xc0000022, nil, nil))),
		client(frame(h(8, 8).ask(com1NTCreate, nil, nil))), // too short to be one
		client(frame(createPipe(h(9, 8), com1NTCreate))),
		server(frame(h(9, 8).say(com1NTCreate, 0, ntCreateAnswer(0x4002, 1, 2), nil))),
		client(frame(bind(h(10, 8), com1WriteAndX))),
		server(frame(h(10, 8).say(com1WriteAndX, 0, join(andX(), u16(72, 0, 0, 0)), nil))),
		client(frame(h(11, 8).ask(com1ReadAndX, join(andX(), u16(0x4002), u32(0), u16(1024, 0), u32(0), u16(0), u32(0)), nil))),
		server(frame(h(11, 8).say(com1ReadAndX, 0, join(andX(), u16(0, 0, 0, uint16(len(ack)), 60, 0), zeros(8)), join([]byte{0}, ack)))),
		client(frame(call(h(12, 8), com1Transact))),
		server(frame(h(12, 8).say(com1Transact, 0, aw, ab))),
	}
}

var oldFacts = []string{
	"negotiate dialect 1 @2",
	`auth 0 CORP\bob from  at  ok v1=true anonymous=false challenge "CHALLENG" status 0 @4`,
	`tree \\FS\docs by CORP\bob @4`,
	`open \\FS\docs dir\evil.exe access 12019f disposition 5 created by CORP\bob @6`,
	`write \\FS\docs dir\evil.exe bytes 11 "MZ and more" by CORP\bob @8`,
	`write \\FS\docs dir\evil.exe bytes 11 "MZ and more" final by CORP\bob @10`,
	`rename \\FS\docs dir\evil.exe dir\good.exe by CORP\bob @12`,
	`delete \\FS\docs dir\good.exe status c0000022 by CORP\bob @14`,
	`pipe svcctl by CORP\bob @17`,
	`bind svcctl 367abb81 ok by CORP\bob @18-21`,
	`call op 27 svcctl 367abb81 ok stub 20/20 reply 4/4 return 5 by CORP\bob @22-23`,
}

// exploits are messages that no client sends.
func exploits() []step {
	h := one{mid: 65, uid: 2048, tid: 2048}
	nt := join([]byte{1}, zeros(2), u32(30, 66512, 30, 1024, 30, 75, 973, 104), []byte{0}, u16(0))
	shifted := h
	shifted.mid += 16
	pipe := h
	pipe.mid, pipe.tid = 90, 2049
	tree := pipe
	words, bytes := ntCreate(`\PIPE\/tmp/x.so`, 0x2000000, 1, 0)
	return []step{
		client(frame(h.ask(com1NTTransact, nt, zeros(1100)))),
		client(frame(h.ask(com1Transact2More, u16(0, 4096, 0, 0, 0, 4096, 57, 0, 0), zeros(4100)))),
		client(frame(h.ask(com1Transact2More, u16(0, 4096, 0, 0, 0, 4096, 57, 0, 0), zeros(4100)))),
		client(frame(h.ask(com1NTTransactMore, zeros(36), nil))),
		server(frame(h.say(com1NTTransact, 0xc000000d, nil, nil))),
		client(frame(h.ask(com1Transact2, transactWords(0, 0, 0, trans2Session), zeros(12)))),
		server(frame(shifted.say(com1Transact2, 0xc0000002, nil, nil))),
		client(frame(h.ask(com1Transact2, transactWords(0, 0, 0, trans2Session), zeros(12)))),
		server(frame(h.say(com1Transact2, 0xc0000002, nil, nil))),
		client(frame(h.ask(com1Transact, transactWords(100, 200, 64, 0x23, 1), zeros(300)))),
		client(frame(tree.ask(com1TreeConnect, join(andX(), u16(0, 0)), join(zeros(1), utf(`\\a\IPC$`+"\x00"), []byte("?????\x00"))))),
		server(frame(tree.say(com1TreeConnect, 0, join(andX(), u16(1)), []byte("IPC\x00")))),
		client(frame(pipe.ask(com1NTCreate, words, bytes))),
		server(frame(pipe.say(com1NTCreate, 0xc0000034, nil, nil))),
	}
}

var exploitFacts = []string{
	"violation secondary_of_other_kind unseen @2",
	"violation trans2_session_setup status c0000002 @7",
	"violation multiplex_id_shifted status c0000002 @7",
	"violation trans2_session_setup status c0000002 @9",
	"violation transaction_beyond_message unseen @10",
	`tree \\a\IPC$ @12`,
	`pipe \\a\IPC$ /tmp/x.so status c0000034 @14`,
	`violation \\a\IPC$ pipe_by_absolute_path status c0000034 @14`,
}

func TestDOSErrors(t *testing.T) {
	for _, tt := range []struct {
		class byte
		code  uint16
		want  uint32
	}{{1, 5, 0xc0000022}, {2, 2, 0xc000006d}, {1, 2, 0xc0000034}, {3, 19, 0xe0030013}} {
		if got := dosStatus(tt.class, tt.code); got != tt.want {
			t.Errorf("class %d code %d is %x, want %x", tt.class, tt.code, got, tt.want)
		}
	}
}
