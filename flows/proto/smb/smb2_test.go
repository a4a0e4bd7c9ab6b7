package smb

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"neuromast/flows"
	"neuromast/flows/stream"
)

var _ stream.Parser = New()

// exe is a program of 4,000 bytes.
var exe = append([]byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00"), bytes.Repeat([]byte("x"), 3984)...)

// psexec copies a program to ADMIN$ in two writes and starts it as a service.
func psexec() []step {
	const s = 0x400000000001
	h := func(mid uint64, tree uint32) two { return two{mid: mid, session: s, tree: tree} }
	file, pipe := id2(1), id2(2)
	return []step{
		client(frame(two{}.ask(cmdNegotiate, u16(36, 1, 1, 0), zeros(28), u16(0x0302)))),
		server(frame(two{}.say(cmdNegotiate, 0, u16(65, 3, 0x0302, 0), zeros(60)))),
		client(frame(two{mid: 1}.ask(cmdSessionSetup, setup(ntlmNegotiate())))),
		server(frame(two{mid: 1, session: s}.say(cmdSessionSetup, statusMoreProcessing, setupAnswer(ntlmChallenge("DC1"))))),
		client(frame(h(2, 0).ask(cmdSessionSetup, setup(ntlmAuthenticate("CORP", "eve", "WS9", 60))))),
		server(frame(h(2, 0).say(cmdSessionSetup, 0, setupAnswer(nil)))),
		client(frame(h(3, 0).ask(cmdTreeConnect, treeConnect(`\\10.0.0.2\ADMIN$`)))),
		server(frame(h(3, 5).say(cmdTreeConnect, 0, treeAnswer(1)))),
		client(frame(h(4, 5).ask(cmdCreate, create("PSEXESVC.exe", 0x120196, 5, 0x60)))),
		server(frame(h(4, 5).say(cmdCreate, 0, createAnswer(2, 0, 0x20, file)))),
		client(frame(h(5, 5).ask(cmdWrite, write(file, 0, exe[:3000]))), frame(h(6, 5).ask(cmdWrite, write(file, 3000, exe[3000:])))),
		server(frame(h(6, 5).say(cmdWrite, statusPending, writeAnswer(0))), frame(h(5, 5).say(cmdWrite, 0, writeAnswer(3000)))),
		server(frame(h(6, 5).say(cmdWrite, 0, writeAnswer(1000)))),
		client(frame(h(7, 5).ask(cmdClose, closeFile(file)))),
		server(frame(h(7, 5).say(cmdClose, 0, closeAnswer()))),
		client(frame(h(8, 0).ask(cmdTreeConnect, treeConnect(`\\10.0.0.2\IPC$`)))),
		server(frame(h(8, 6).say(cmdTreeConnect, 0, treeAnswer(2)))),
		client(frame(h(9, 6).ask(cmdCreate, create("svcctl", 0x12019f, 1, 0)))),
		server(frame(h(9, 6).say(cmdCreate, 0, createAnswer(1, 4096, 0x80, pipe)))),
		client(frame(h(10, 6).ask(cmdWrite, write(pipe, 0, bindSvcctl())))),
		server(frame(h(10, 6).say(cmdWrite, 0, writeAnswer(72)))),
		client(frame(h(11, 6).ask(cmdRead, readFile(pipe, 0, 1024)))),
		server(frame(h(11, 6).say(cmdRead, 0, readAnswer(bindAck())))),
		client(frame(h(12, 6).ask(cmdIoctl, transceive(pipe, request(2, 12, zeros(300)))))),
		server(frame(h(12, 6).say(cmdIoctl, 0, transceiveAnswer(pipe, response(2, join(zeros(24), u32(0))))))),
		client(frame(h(13, 6).ask(cmdIoctl, transceive(pipe, request(3, 19, zeros(28)))))),
		server(frame(h(13, 6).say(cmdIoctl, 0, transceiveAnswer(pipe, response(3, u32(1053)))))),
		client(frame(h(14, 6).ask(cmdCreate, create("PSEXESVC", 0x12019f, 1, 0)))),
		server(frame(h(14, 6).say(cmdCreate, 0xc0000034, u16(9, 0), u32(0), []byte{0}))),
	}
}

var psexecFacts = []string{
	"negotiate dialect 302 @2",
	`auth 0 CORP\eve from WS9 at DC1 ok v1=false anonymous=false challenge "CHALLENG" status 0 @6`,
	`tree \\10.0.0.2\ADMIN$ by CORP\eve @8`,
	`open \\10.0.0.2\ADMIN$ PSEXESVC.exe access 120196 disposition 5 created by CORP\eve @10`,
	`write \\10.0.0.2\ADMIN$ PSEXESVC.exe bytes 3000 "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" by CORP\eve @12`,
	`write \\10.0.0.2\ADMIN$ PSEXESVC.exe bytes 4000 "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" final by CORP\eve @15`,
	`tree \\10.0.0.2\IPC$ by CORP\eve @17`,
	`pipe \\10.0.0.2\IPC$ svcctl by CORP\eve @19`,
	`bind svcctl 367abb81 ok by CORP\eve @20-23`,
	`call op 12 svcctl 367abb81 ok stub 300/300 reply 28/28 return 0 by CORP\eve @24-25`,
	`call op 19 svcctl 367abb81 ok stub 28/28 reply 4/4 return 41d by CORP\eve @26-27`,
	`pipe \\10.0.0.2\IPC$ PSEXESVC status c0000034 by CORP\eve @29`,
}

// compound opens, reads, marks for deletion and closes in one frame, then renames another file.
func compound() []step {
	h := func(mid uint64, flags, next uint32) two {
		return two{mid: mid, session: 9, tree: 5, flags: flags, next: next}
	}
	related := func(mid uint64, next uint32) two {
		return two{mid: mid, session: 1<<64 - 1, tree: 1<<32 - 1, flags: flagRelated, next: next}
	}
	ones, pad := bytes.Repeat([]byte{255}, 16), func(b []byte) []byte { return join(b, zeros((8-len(b)%8)%8)) }
	file := id2(3)
	chain := func(msgs ...func(next uint32) []byte) []byte {
		var all []byte
		for i, m := range msgs {
			b := pad(m(0))
			if i < len(msgs)-1 {
				b = pad(m(uint32(len(b))))
			}
			all = append(all, b...)
		}
		return frame(all)
	}
	return []step{
		client(frame(two{mid: 1, session: 9}.ask(cmdTreeConnect, treeConnect(`\\FS\docs`)))),
		server(frame(two{mid: 1, session: 9, tree: 5}.say(cmdTreeConnect, 0, treeAnswer(1)))),
		client(chain(
			func(n uint32) []byte { return h(2, 0, n).ask(cmdCreate, create(`a\b.txt`, 0x10081, 1, deleteOnClose)) },
			func(n uint32) []byte { return related(3, n).ask(cmdRead, readFile(ones, 0, 100)) },
			func(n uint32) []byte { return related(4, n).ask(cmdClose, closeFile(ones)) })),
		server(chain(
			func(n uint32) []byte { return h(2, 0, n).say(cmdCreate, 0, createAnswer(1, 0, 0x20, file)) },
			func(n uint32) []byte { return h(3, flagRelated, n).say(cmdRead, 0, readAnswer([]byte("secret"))) },
			func(n uint32) []byte { return h(4, flagRelated, n).say(cmdClose, 0, closeAnswer()) })),
		client(frame(h(5, 0, 0).ask(cmdCreate, create("plan.doc", 0x10080, 1, 0)))),
		server(frame(h(5, 0, 0).say(cmdCreate, 0, createAnswer(1, 0, 0x20, file)))),
		client(frame(h(6, 0, 0).ask(cmdSetInfo, setInfo(file, classRename, renameInfo("plan.locked"))))),
		server(frame(h(6, 0, 0).say(cmdSetInfo, 0, u16(2)))),
		client(frame(h(7, 0, 0).ask(cmdSetInfo, setInfo(file, classDispose, []byte{1})))),
		server(frame(h(7, 0, 0).say(cmdSetInfo, 0xc0000022, u16(9, 0), u32(0), []byte{0}))),
		client(frame(h(8, 0, 0).ask(cmdCreate, create("never.answered", 1, 1, 0)))),
	}
}

var compoundFacts = []string{
	`tree \\FS\docs @2`,
	`open \\FS\docs a\b.txt access 10081 disposition 1 delete-on-close @4`,
	`read \\FS\docs a\b.txt bytes 6 "secret" delete-on-close @4`,
	`read \\FS\docs a\b.txt bytes 6 "secret" final delete-on-close @4`,
	`delete \\FS\docs a\b.txt delete-on-close @4`,
	`open \\FS\docs plan.doc access 10080 disposition 1 @6`,
	`rename \\FS\docs plan.doc plan.locked @8`,
	`delete \\FS\docs plan.locked status c0000022 @10`,
	`open \\FS\docs never.answered unseen access 1 disposition 1 @11`,
}

// odd holds what is not a request: encryption, compression, a logon that fails, Kerberos, NetBIOS.
func odd() []step {
	apReq := []byte("\x60\x30\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01\x00\x6e\x20\x30\x1e\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e")
	return []step{
		client([]byte{0x81, 0, 0, 4, 1, 2, 3, 4}),
		server([]byte{0x82, 0, 0, 0}),
		client(frame(two{mid: 1, session: 4}.ask(cmdSessionSetup, setup(ntlmAuthenticate("", "root", "kali", 24)))), []byte{0x85, 0, 0, 0}),
		server(frame(two{mid: 1, session: 4}.say(cmdSessionSetup, 0xc000006d, setupAnswer(nil)))),
		client(frame(two{mid: 2}.ask(cmdSessionSetup, setup(apReq)))),
		server(frame(two{mid: 2, session: 5}.say(cmdSessionSetup, 0, setupAnswer(nil)))),
		client(frame([]byte("\xfcSMB"), u32(0xffffffff, 1), u16(1, 0), u32(64), zeros(20))),
		client(frame([]byte("\xfdSMB"), zeros(60))),
		server(frame([]byte("\xfdSMB"), zeros(70))),
	}
}

var oddFacts = []string{
	`auth 0 \root from kali at  failed v1=true anonymous=false challenge "\x00\x00\x00\x00\x00\x00\x00\x00" status c000006d @4`,
	`auth 1 \ from  at  ok v1=false anonymous=false challenge "\x00\x00\x00\x00\x00\x00\x00\x00" status 0 @6`,
	`violation compression_size_overflow unseen @7`,
	`encrypted unseen @8`,
	`sealed unseen 1 exchange @9`,
}

type scriptCase struct {
	name   string
	script []step
	want   []string
}

func cases() []scriptCase {
	return []scriptCase{
		{"psexec", psexec(), psexecFacts}, {"compound", compound(), compoundFacts}, {"odd", odd(), oddFacts},
		{"SMB1", old(), oldFacts}, {"SMB1 exploits", exploits(), exploitFacts},
	}
}

func TestScripts(t *testing.T) {
	for _, tt := range cases() {
		for name, cut := range map[string]cutter{"whole": whole, "bytes": single, "random 1": random(1), "random 2": random(2)} {
			p := New()
			for _, again := range []string{"", ", after Reset"} {
				if got := play(p, tt.script, cut); !slices.Equal(got, tt.want) {
					t.Fatalf("%s, %s%s:\n got %s\nwant %s", tt.name, name, again, strings.Join(got, "\n     "), strings.Join(tt.want, "\n     "))
				}
				p.Reset(false)
			}
		}
	}
}

// TestMidstream starts psexec at every message and within it: calls and names that follow must still be seen.
func TestMidstream(t *testing.T) {
	script := psexec()
	for from := 1; from < len(script); from++ {
		for _, lead := range []int{0, 1, 5, 70} {
			p := New()
			p.Reset(true)
			rest := slices.Clone(script[from:])
			rest[0].b = rest[0].b[min(lead, len(rest[0].b)):]
			got := strings.Join(play(p, rest, random(uint64(from))), "\n")
			if p.Stats().GivenUp > 0 {
				t.Fatal("given up")
			}
			for _, need := range []struct {
				before int // the fact is due where reading starts at or before this message
				text   string
			}{
				{8, "open"}, {10, "write"}, {17, "pipe"}, {19, "367abb81 ok"}, {23, "op 12"}, {25, "op 19"}, {27, "PSEXESVC status c0000034"},
			} {
				if (from < need.before || from == need.before && lead == 0) && !strings.Contains(got, need.text) {
					t.Errorf("from message %d, byte %d: no %q in\n%s", from, lead, need.text, got)
				}
			}
		}
	}
	p := New()
	p.Reset(true)
	got := play(p, script[23:25], whole)
	if want := []string{"call op 12  00000000 ok stub 300/300 reply 28/28 return 0 source 3 @1-2"}; !slices.Equal(got, want) {
		t.Errorf("a pipe opened before: %q", got)
	}
	p.Reset(true)
	turned := []step{server(script[17].b), client(script[18].b), server(script[23].b), client(script[24].b)}
	want := []string{"pipe svcctl turned @2", "call op 12 svcctl 367abb81 ok stub 300/300 reply 28/28 return 0 source 1 @3-4"}
	if got := play(p, turned, whole); !slices.Equal(got, want) {
		t.Errorf("the server was seen first: %q", got)
	}
}

// TestHoles replaces messages and parts of them by holes.
func TestHoles(t *testing.T) {
	script := psexec()
	for hole := 6; hole < len(script); hole++ {
		for _, part := range []int{0, 4, 40, 90, 120} {
			s := slices.Clone(script)
			b := s[hole].b
			if part >= len(b) {
				continue
			}
			s = slices.Insert(s, hole+1, step{dir: s[hole].dir, b: b[part:], gap: true})
			s[hole].b = b[:part]
			got := strings.Join(play(New(), s, whole), "\n")
			for i, need := range []string{"PSEXESVC.exe access", "bytes 4000", "op 12", "op 19", "PSEXESVC status"} {
				first := []int{6, 6, 15, 15, 15}[i]
				last := []int{9, 14, 24, 26, 28}[i]
				if (hole < first || hole > last) && !strings.Contains(got, need) {
					t.Errorf("hole at %d, byte %d: no %q in\n%s", hole, part, need, got)
				}
			}
		}
	}
	// A hole within a payload costs nothing.
	s := slices.Clone(script)
	b := s[10].b
	s = slices.Replace(s, 10, 11, client(b[:500]), step{dir: flows.Orig, b: b[500:2000], gap: true}, client(b[2000:]))
	if got := play(New(), s, whole); len(got) != len(psexecFacts) || !strings.Contains(got[5], "bytes 4000") {
		t.Errorf("got %q", got)
	}
}

// TestBounds opens more files and asks more than is kept.
func TestBounds(t *testing.T) {
	var s []step
	for i := range 300 {
		h := two{mid: uint64(i), session: 9, tree: 5}
		s = append(s, client(frame(h.ask(cmdCreate, create("x", 1, 1, 0)))),
			server(frame(h.say(cmdCreate, 0, createAnswer(1, 0, 0x20, join(u32(uint32(i)), zeros(12)))))))
	}
	p := New()
	if got := play(p, s, whole); len(got) != 300 || p.Stats().EvictedFiles != 300-maxFiles {
		t.Errorf("%d facts, %+v", len(got), p.Stats())
	}
	p.Reset(false)
	s = nil
	for i := range 100 {
		s = append(s, client(frame(two{mid: uint64(i), session: 9}.ask(cmdTreeConnect, treeConnect(`\\a\b`)))))
	}
	if got := play(p, s, whole); len(got) != 100 || p.Stats().EvictedPending != 100-maxPending || p.Stats().Unanswered != 100 {
		t.Errorf("%d facts, %+v", len(got), p.Stats())
	}
	play(p, psexec(), single)
	p.Reset(false)
	if n := idle(p); n > 3<<10 {
		t.Error("a pooled parser keeps", n, "bytes without its association")
	}
}

// idle is what a pooled parser keeps, in bytes.
func idle(p *Parser) int {
	n := int(unsafe.Sizeof(*p)) + cap(p.sides[0].part) + cap(p.sides[1].part) +
		cap(p.files)*int(unsafe.Sizeof(file{})) + cap(p.pending)*int(unsafe.Sizeof(pending{})) +
		cap(p.trees)*int(unsafe.Sizeof(tree{})) + cap(p.sessions)*int(unsafe.Sizeof(session{}))
	for i := range p.files {
		n += cap(p.files[i].name)
	}
	for i := range p.pending {
		n += cap(p.pending[i].name) + cap(p.pending[i].second) + cap(p.pending[i].third)
	}
	return n
}

// TestOneSided holds that what a client asks is written at the next flush where its server is never seen.
func TestOneSided(t *testing.T) {
	out := &flows.Out{Batch: &flows.Batch{}}
	c := testConn
	p := New()
	for _, s := range psexec()[:9] {
		if s.dir == flows.Orig {
			p.Data(out, &c, s.dir, s.b, flows.Ref{})
		}
	}
	p.Flush(out, &c, false)
	want := []string{
		"negotiate unseen @0",
		`auth 0 CORP\eve from WS9 at  unseen v1=false anonymous=false challenge "\x00\x00\x00\x00\x00\x00\x00\x00" status 0 @0`,
		`tree \\10.0.0.2\ADMIN$ unseen by CORP\eve @0`,
		`open PSEXESVC.exe unseen access 120196 disposition 5 by CORP\eve @0`,
	}
	if got := facts(out.Batch); !slices.Equal(got, want) {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

func TestNoAllocs(t *testing.T) {
	out := &flows.Out{Batch: &flows.Batch{}}
	c := testConn
	p := New()
	script := psexec()
	for i, s := range script[:19] {
		p.Data(out, &c, s.dir, s.b, flows.Ref{Frame: uint64(i)})
	}
	h := two{mid: 50, session: 0x400000000001, tree: 6}
	file := id2(9)
	messages := []step{script[19], script[20], script[21], script[22], script[23], script[24],
		client(frame(h.ask(cmdWrite, write(file, 70000, exe)))), server(frame(h.say(cmdWrite, 0, writeAnswer(1)))),
		client(frame(h.ask(cmdCreate, create("a.txt", 1, 1, 0)))), server(frame(h.say(cmdCreate, 0, createAnswer(1, 0, 0x20, id2(7))))),
		client(frame(h.ask(cmdClose, closeFile(id2(7))))), server(frame(h.say(cmdClose, 0, closeAnswer()))),
	}
	exchange := func() {
		for _, s := range messages {
			p.Data(out, &c, s.dir, s.b[:len(s.b)/2], flows.Ref{})
			p.Data(out, &c, s.dir, s.b[len(s.b)/2:], flows.Ref{})
		}
		out.Batch.Reset()
	}
	exchange()
	exchange()
	if n := testing.AllocsPerRun(100, exchange); n != 0 {
		t.Errorf("%v allocations for %d messages", n, len(messages))
	}
}

func TestRecognise(t *testing.T) {
	for _, tt := range []struct {
		b    string
		want bool
	}{
		{"\x00\x00\x00\x40\xfeSMB", true}, {"\x00\x00\x00\x3f\xfeSMB", false}, {"\x00\x00\x00\x40\xfdSMB", true},
		{"\x00\x00\x00\x23\xffSMB", true}, {"\x85\x00\x00\x40\xfeSMB", false}, {"\x00\x00\x00\x40\xfbSMB", false}, {"\x00\x00\x00\x40\xfeSM", false},
	} {
		if Recognise([]byte(tt.b)) != tt.want {
			t.Errorf("%q: %v", tt.b, !tt.want)
		}
	}
}

// FuzzParser holds that facts don't depend on where segments are cut, and that nothing panics or grows past its bounds.
func FuzzParser(f *testing.F) {
	for _, c := range cases() {
		f.Add(encode(c.script), false)
		f.Add(encode(c.script[len(c.script)/2:]), true)
	}
	f.Add(encode(sealedTalk([][2]int{{128, 152}, {184, 80}, {113, 148}, {148, 80}, {113, 128}, {192, 80}, {113, 140}, {188, 80}, {113, 128}, {88, 124}}...)), false)
	f.Fuzz(func(t *testing.T, b []byte, midstream bool) {
		script := decode(b)
		var all [3][]string
		for i, cut := range []cutter{whole, single, random(3)} {
			p := New()
			p.Reset(midstream)
			all[i] = play(p, script, cut)
			if !utf8.ValidString(strings.Join(all[i], "")) {
				t.Fatalf("not UTF-8: %q", all[i])
			}
			if len(p.files) > maxFiles || len(p.pending) > maxPending || len(p.trees) > maxTrees || len(p.sessions) > maxSessions || cap(p.sides[0].part) > 3*maxFields {
				t.Fatal("past the bounds")
			}
		}
		if !slices.Equal(all[0], all[1]) || !slices.Equal(all[0], all[2]) {
			t.Fatalf("facts depend on the cuts:\n%q\n%q\n%q", all[0], all[1], all[2])
		}
	})
}

// encode and decode turn a script into bytes for the fuzzer: direction and kind, length in two bytes, bytes.
func encode(script []step) []byte {
	var b []byte
	for _, s := range script {
		n := min(len(s.b), 1<<16-1)
		kind := byte(s.dir)
		if s.gap {
			kind |= 2
		}
		if b = append(b, kind, byte(n>>8), byte(n)); !s.gap {
			b = append(b, s.b[:n]...)
		}
	}
	return b
}

func decode(b []byte) []step {
	var script []step
	for len(b) >= 3 {
		n := int(b[1])<<8 | int(b[2])
		s := step{dir: flows.Dir(b[0] & 1), gap: b[0]&2 != 0}
		b = b[3:]
		if s.gap {
			s.b = zeros(n)
		} else {
			s.b = b[:min(n, len(b))]
			b = b[len(s.b):]
		}
		script = append(script, s)
	}
	return script
}

// BenchmarkCopy is a file written in pieces of 64 KiB, in segments of 1,460 bytes.
func BenchmarkCopy(b *testing.B) {
	out := &flows.Out{Batch: &flows.Batch{}}
	c := testConn
	p := New()
	h := two{mid: 50, session: 1, tree: 6}
	data := zeros(65536)
	req, ans := frame(h.ask(cmdWrite, write(id2(9), 0, data))), frame(h.say(cmdWrite, 0, writeAnswer(65536)))
	b.SetBytes(int64(len(req) + len(ans)))
	for b.Loop() {
		for r := req; len(r) > 0; r = r[min(len(r), 1460):] {
			p.Data(out, &c, flows.Orig, r[:min(len(r), 1460)], flows.Ref{})
		}
		p.Data(out, &c, flows.Resp, ans, flows.Ref{})
		out.Batch.Reset()
	}
}

// BenchmarkSmall is the opening and closing of files, and calls through a pipe.
func BenchmarkSmall(b *testing.B) {
	out := &flows.Out{Batch: &flows.Batch{}}
	c := testConn
	p := New()
	var messages []step
	for i, s := range psexec() {
		if i < 7 || i > 13 {
			messages = append(messages, s)
		}
	}
	n := 0
	for _, s := range messages {
		n += len(s.b)
	}
	b.SetBytes(int64(n))
	b.ReportMetric(float64(len(messages)), "messages")
	for b.Loop() {
		for _, s := range messages {
			p.Data(out, &c, s.dir, s.b, flows.Ref{})
		}
		p.Flush(out, &c, true)
		out.Batch.Reset()
		p.Reset(false)
	}
}
