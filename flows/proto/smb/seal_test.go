package smb

import (
	"encoding/binary"
	"slices"
	"testing"

	"neuromast/flows"
)

// secret is an encrypted message of n bytes in clear.
func secret(n int) []byte {
	b := append([]byte("\xfdSMB"), zeros(48)...)
	binary.LittleEndian.PutUint32(b[36:], uint32(n))
	return frame(b, zeros(n))
}

// sealedTalk is a list of requests and answers by their sizes in clear; 73 answers are "pending" or an error.
func sealedTalk(sizes ...[2]int) (script []step) {
	for _, x := range sizes {
		if x[0] > 0 {
			script = append(script, client(secret(x[0])))
		}
		if x[1] > 0 {
			script = append(script, server(secret(x[1])))
		}
	}
	return script
}

// TestSealed works the sizes out by hand: a bind of one context is 72 bytes and its acknowledgement for \PIPE\samr 68
// (26 + 2 of length and 11 of name, padded to 40, + 4 + 24), behind 112 and 80 bytes of a write and of an answer to a read.
func TestSealed(t *testing.T) {
	for _, tt := range []struct {
		name string
		talk [][2]int
		want []string
	}{
		{"an account database is walked by writes and reads", [][2]int{
			{112, 80}, {128, 152}, {184, 80}, {113, 148}, // tree, pipe, bind
			{148, 80}, {113, 128}, // connect: a handle
			{192, 80}, {113, 140}, // look-up: 80 + 24 + 36, a SID
			{188, 80}, {113, 128}, // open: 112 + 24 + 52
			{168, 80}, {113, 4360}, {113, 1040}, // the list in two reads
			{190, 80}, {113, 128}, {176, 80}, {113, 128}, // the same of the built-in domain
			{68, 68},
		}, []string{"encrypted unseen @1", "sealed 184/80 113/148 148/80 113/128 192/80 113/140 188/80 113/128 168/80 113/4360 113/1040 190/80 113/128 176/80 113/128" +
			" unseen binding 1 calls 6 domains 1 builtin 1 largest 4360 18 exchange @34"}},
		{"by pipe transactions, with an answer that was pending", [][2]int{
			{184, 80}, {113, 73}, {0, 148}, {156, 160}, {200, 172}, {196, 160}, {88, 124},
		}, []string{"encrypted unseen @1", "sealed 184/80 113/148 156/160 200/172 196/160 unseen binding 1 calls 3 domains 1 builtin 0 largest 172 6 exchange @11"}},
		{"a file is written, then a share list is asked for", [][2]int{
			{158, 152}, {112 + 65536, 80}, {112 + 8000, 80}, {88, 124}, {128, 152}, {272, 80}, {113, 196}, {220, 500}, {88, 124},
		}, []string{
			"encrypted unseen @1", "sealed unseen wrote 73536 read 0 4 exchange @6",
			"sealed 272/80 113/196 220/500 unseen binding 1 calls 1 domains 0 builtin 0 largest 500 wrote 73536 read 0 9 exchange @16",
		}},
		{"a file is read: no bindings", [][2]int{
			{158, 152}, {113, 65616}, {113, 4176}, {88, 124},
		}, []string{"encrypted unseen @1", "sealed unseen wrote 0 read 69632 4 exchange @6"}},
		{"an error does not shift what follows", [][2]int{
			{158, 73}, {128, 152}, {184, 80}, {113, 148}, {148, 80}, {113, 128},
		}, []string{"encrypted unseen @1", "sealed 184/80 113/148 148/80 113/128 unseen binding 1 calls 1 domains 0 builtin 0 largest 128 5 exchange @12"}},
	} {
		for _, cut := range []cutter{whole, single, random(3)} {
			if got := play(New(), sealedTalk(tt.talk...), cut); !slices.Equal(got, tt.want) {
				t.Errorf("%s:\n got  %q\n want %q", tt.name, got, tt.want)
				break
			}
		}
	}
}

// TestSealedBound: a connection that binds for ever is told so often and no more.
func TestSealedBound(t *testing.T) {
	p := New()
	var talk [][2]int
	for range 3 * maxSealed {
		talk = append(talk, [2]int{184, 80}, [2]int{113, 148}, [2]int{148, 80}, [2]int{113, 128}, [2]int{88, 124})
	}
	if got := len(play(p, sealedTalk(talk...), whole)); got != maxSealed+1 || p.Stats().CutFacts == 0 {
		t.Errorf("%d facts, %d cut", got, p.Stats().CutFacts)
	}
}

func TestEntropy(t *testing.T) {
	all := make([]byte, 64)
	for i := range all {
		all[i] = byte(3 * i)
	}
	for _, tt := range []struct {
		b    string
		want uint16
	}{{"", 0}, {"aaaa", 0}, {"abab", 100}, {"aabc", 150}, {string(all), 600}, {string(all) + "beyond", 600}} {
		if got := entropy([]byte(tt.b)); got != tt.want {
			t.Errorf("entropy of %q is %d, want %d", tt.b, got, tt.want)
		}
	}
}

// TestSample: what is written and read over a file tells how disordered it is.
func TestSample(t *testing.T) {
	h := two{mid: 1, session: 1, tree: 6}
	out := &flows.Out{Batch: &flows.Batch{}}
	c := testConn
	p := New()
	noise := make([]byte, 200)
	for i := range noise {
		noise[i] = byte(5 * i)
	}
	ask := func(command uint16, req, ans []byte) {
		p.Data(out, &c, flows.Orig, frame(h.ask(command, req)), flows.Ref{})
		p.Data(out, &c, flows.Resp, frame(h.say(command, 0, ans)), flows.Ref{})
		h.mid++
	}
	ask(cmdCreate, create("a.doc", 3, 1, 0), createAnswer(1, 0, 0x20, id2(9)))
	ask(cmdRead, readFile(id2(9), 0, 200), readAnswer(zeros(200)))
	ask(cmdWrite, write(id2(9), 0, noise), writeAnswer(200))
	ask(cmdClose, closeFile(id2(9)), closeAnswer())
	for _, s := range out.Batch.SMB {
		want := uint16(0)
		if s.Op == flows.SMBWrite {
			want = 600
		}
		if (s.Op == flows.SMBRead || s.Op == flows.SMBWrite) && (s.Entropy != want || s.Sample != 64 || s.HeadLen != headBytes) {
			t.Errorf("%v: entropy %d of %d bytes, head of %d; want %d", s.Op, s.Entropy, s.Sample, s.HeadLen, want)
		}
	}
}
