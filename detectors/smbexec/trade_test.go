package smbexec

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows/script"
	"neuromast/flows"
)

const day = 24 * time.Hour

// bring opens a share of a host and writes a program there.
func bring(s *script.Script, at time.Duration, host, share, path, user string) {
	s.SMB(at, client, host, flows.SMBTree, script.File{Share: `\\` + host + `\` + share, User: user})
	s.SMB(at+time.Second, client, host, flows.SMBWrite, script.File{Share: `\\` + host + `\` + share, Path: path, Head: "MZ\x90\x00", User: user})
}

func last(got []*detectors.Finding) (out []*detectors.Finding) {
	for _, f := range got {
		if f.Start >= script.Start.Add(3*day) {
			out = append(out, f)
		}
	}
	return out
}

// TestTrade: a host brings a program to two others on each of three days. On the fourth day, to a host that is new: the same file
// by the same account 4 x 0.2 + 0.3 x 2 x 0.2 = 0.92 nats, not said; another file 4 x 0.4 + 0.3 x 2 x 0.2 = 1.72, a notice;
// with another account 4.6 as ever. A tool's output read is nobody's trade: 6 + 0.3 x 2 x 0.2 = 6.12.
func TestTrade(t *testing.T) {
	const agent = `ccmsetup\ccmsetup.exe`
	for _, c := range []struct {
		name, path, user string
		want             float64
	}{
		{"the same file", agent, `LAB\deploy`, 0},
		{"another file", `Temp\other.exe`, `LAB\deploy`, 1.72},
		{"another account", agent, `LAB\eve`, 4.6},
		{"output of a tool", "", `LAB\deploy`, 6.12},
	} {
		var s script.Script
		for d := range 3 {
			for i := range 2 {
				bring(&s, time.Duration(d)*day+time.Duration(i)*time.Minute, fmt.Sprintf("10.0.1.%d", 10+2*d+i), "ADMIN$", agent, `LAB\deploy`)
			}
		}
		if c.path == "" {
			s.SMB(3*day, client, "10.0.1.77", flows.SMBTree, script.File{Share: `\\10.0.1.77\ADMIN$`, User: c.user})
			s.SMB(3*day+1, client, "10.0.1.77", flows.SMBRead, script.File{Share: `\\10.0.1.77\ADMIN$`, Path: "__1700000000.1234567", User: c.user})
		} else {
			bring(&s, 3*day, "10.0.1.77", "ADMIN$", c.path, c.user)
		}
		got := last(play(&s))
		if c.want == 0 {
			if len(got) != 0 {
				t.Errorf("%s: %s", c.name, got[0].Message)
			}
			continue
		}
		if len(got) != 1 || math.Abs(got[0].LLR-c.want) > 1e-9 {
			t.Fatalf("%s: %d findings, %+v", c.name, len(got), got)
		}
		var sum float64
		for _, e := range got[0].Evidence {
			sum += e.Nats
		}
		if math.Abs(sum-c.want) > 0.02 || strings.Contains(got[0].Message, "it did so to others on 3 earlier days") != (c.want < 3) {
			t.Errorf("%s: evidence %v: %s", c.name, sum, got[0].Message)
		}
	}
}

// TestPush: a program goes to twelve hosts within the hour. From a host that never did so three findings of 4.6 nats and one of
// the nine others, 4.6 + 0.5 ln 12 = 5.84. From a host whose trade it is, but with a file that is new: notices, and
// the wave 1.72 + 0.5 ln 12 = 2.96, which rises to an alarm at fourteen: 3.04.
func TestPush(t *testing.T) {
	push := func(s *script.Script, at time.Duration, n int) {
		for i := range n {
			bring(s, at+time.Duration(i)*time.Minute, fmt.Sprintf("10.0.2.%d", 10+i), "ADMIN$", `Temp\new.exe`, `LAB\deploy`)
		}
	}
	var s script.Script
	push(&s, 0, 12)
	got := play(&s)
	if len(got) != 4 || math.Abs(got[3].LLR-(4.6+0.5*math.Log(12))) > 1e-9 || len(got[3].Related) != 9 {
		t.Errorf("%d findings, the last %+v", len(got), got[len(got)-1])
	}
	for n, want := range map[int]float64{12: 2.962, 14: 3.040} {
		s = script.Script{}
		for d := range 3 {
			for i := range 2 {
				bring(&s, time.Duration(d)*day+time.Duration(i)*time.Minute, fmt.Sprintf("10.0.1.%d", 10+2*d+i), "ADMIN$", "old.exe", `LAB\deploy`)
			}
		}
		push(&s, 3*day, n)
		got = last(play(&s))
		if len(got) != 4 || math.Abs(got[3].LLR-want) > 0.001 || math.Abs(got[0].LLR-1.72) > 1e-9 {
			t.Errorf("%d findings, the last %+v", len(got), got[len(got)-1])
		}
	}
}

// TestArchives: documents are archives too. What counts is where they lie and what they are called.
func TestArchives(t *testing.T) {
	for _, c := range []struct {
		share, path string
		want        bool
	}{
		{"D$", `dept2\project9\fi~WRD9902.tmp`, false}, {"D$", `dept2\plan.xlsx`, false}, {"D$", `plan.docx`, false}, {"D$", `backup\photos.zip`, false},
		{"C$", `Users\Public\t.zip`, true}, {"C$", `Windows\Temp\a.tmp`, true}, {"C$", `a.zip`, true}, {"D$", `apps\server.jar`, true}, {"C$", `Temp\x`, true},
		{"ADMIN$", `dept\x.tmp`, true}, {"ADMIN$", "x.docx", true}, {"public", "x.zip", false},
	} {
		var s script.Script
		s.SMB(0, client, server, flows.SMBWrite, script.File{Share: `\\srv\` + c.share, Path: c.path, Head: "PK\x03\x04"})
		if got := play(&s); (len(got) > 0) != c.want {
			t.Errorf(`%s\%s: %d findings`, c.share, c.path, len(got))
		}
	}
	var s script.Script // a program is one wherever it lies
	s.SMB(0, client, server, flows.SMBWrite, script.File{Share: `\\srv\D$`, Path: `dept2\plan.docx`, Head: "MZ\x90\x00"})
	if got := play(&s); len(got) != 1 || got[0].LLR != 4 {
		t.Errorf("a program with a document's name: %d findings", len(got))
	}
}
