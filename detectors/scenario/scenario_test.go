package scenario

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// count is a detector that writes down what it sees.
type count struct{ seen []string }

func (c *count) Rules() []*detectors.Rule { return nil }
func (c *count) Doc() string              { return "" }
func (c *count) Flow(env detectors.Env, r *flows.Record) {
	c.seen = append(c.seen, env.Now().Sub(Start).String()+" "+r.Orig.String()+" "+r.Resp.String()+" "+r.State.String())
}
func (c *count) DNS(env detectors.Env, d *flows.DNS) {
	b := env.Batch()
	text := env.Now().Sub(Start).String() + " " + string(flows.AppendName(nil, b.Bytes(d.Name))) + " " + d.TypeName()
	for _, a := range b.Answers[d.Answers.Off : d.Answers.Off+d.Answers.Len] {
		text += " " + b.String(a.Data)
	}
	c.seen = append(c.seen, text)
}

func TestPlay(t *testing.T) {
	var c count
	_, err := Play(`
		1s every 2s times 3 10.0.0.5 -> 10.0.1.#+7:22 refused // three of them
		2s 10.0.0.6 asks 10.0.0.53 MX a.{hex4}.example.com = mail.example.com 192.0.2.1
		0s 10.0.0.6 -> 10.0.0.9 ping-silent`, &c)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(c.seen, "\n")
	name := strings.Fields(c.seen[1])[1]
	if len(name) != len("a.0123.example.com") {
		t.Errorf("name %q", name)
	}
	want := strings.Join([]string{
		"1s 10.0.0.5 10.0.1.7 REJ", "2s " + name + " MX mail.example.com 192.0.2.1", "3s 10.0.0.5 10.0.1.8 REJ",
		"5s 10.0.0.5 10.0.1.9 REJ", "1m0s 10.0.0.6 10.0.0.9 S0",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for _, text := range []string{
		"x 10.0.0.5 -> 10.0.0.6:22 open", "0s 10.0.0.5 -> 10.0.0.6:22 strange", "0s 10.0.0.5 -> 10.0.0.6 open", "0s a -> 10.0.0.6:22 open",
		"0s 10.0.0.5 meets 10.0.0.6", "0s 10.0.0.5 asks 10.0.0.53 XYZ a.b", "0s 10.0.0.5 asks 10.0.0.53 A a.b what", "0s every x times 2 a -> b c",
		"0s 10.0.0.5 -> 10.0.0.6 smb fly", "0s 10.0.0.5 -> 10.0.0.6 smb", "0s 10.0.0.5 -> 10.0.0.6 smb psexec user", "0s 10.0.0.5 -> 10.0.0.6 smb psexec colour red",
		"0s 10.0.0.5 -> 10.0.0.6 smb work count 0", "25:00 10.0.0.5 -> 10.0.0.6:22 open", "xd+02:10 10.0.0.5 -> 10.0.0.6:22 open", "10.0.0.5 -> 10.0.0.6:22 open at",
	} {
		if _, err := Play("\n" + text); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestClockTimes works out by hand: Start is 22:13:20 of a Tuesday, so 02:10 comes 3 h 56 m 40 s later and 23:00 the same evening.
func TestClockTimes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "23:00": 46*time.Minute + 40*time.Second, "02:10": 3*time.Hour + 56*time.Minute + 40*time.Second,
		"22:13:20": 0, "22:13:19": 24*time.Hour - time.Second, "2d+02:10": 51*time.Hour + 56*time.Minute + 40*time.Second,
	} {
		if got, err := offset(text); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
}

// all is a detector that counts every kind of item.
type all struct {
	count
	smb, rpc, auth, kdc, session, ldap, sql int
	users                                   map[string]bool
	last                                    packet.Time
}

func (a *all) SMB(env detectors.Env, s *flows.SMB) {
	a.smb++
	a.users[env.Batch().String(s.User)] = true
	a.last = env.Now()
}
func (a *all) RPC(detectors.Env, *flows.RPC)           { a.rpc++ }
func (a *all) Auth(detectors.Env, *flows.Auth)         { a.auth++ }
func (a *all) Kerberos(detectors.Env, *flows.Kerberos) { a.kdc++ }
func (a *all) Session(detectors.Env, *flows.Session)   { a.session++ }
func (a *all) LDAP(detectors.Env, *flows.LDAP)         { a.ldap++ }
func (a *all) SQL(detectors.Env, *flows.SQL)           { a.sql++ }

// TestEveryActCanBeTold plays each act, twice: the same facts come out.
func TestEveryActCanBeTold(t *testing.T) {
	for name := range plays {
		var first string
		for range 2 {
			a := all{users: map[string]bool{}}
			if _, err := Play("10.0.0.5 -> 10.0.0.9 "+name+" at 02:10 user CORP\\adm for 7m", &a); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if len(a.seen) == 0 {
				t.Errorf("%s makes no connection", name)
			}
			got := fmt.Sprint(a)
			if first == "" {
				first = got
			}
			if got != first {
				t.Errorf("%s differs from one time to the next:\n%s\n%s", name, got, first)
			}
		}
	}
}

// TestPsExecTellsWhatTheCaptureTold holds one act against the capture of the tool: the order of what was seen there.
func TestPsExecTellsWhatTheCaptureTold(t *testing.T) {
	a := all{users: map[string]bool{}}
	if _, err := Play(`10.0.0.5 -> 10.0.0.9 smb psexec at 02:10 user CORP\adm`, &a); err != nil {
		t.Fatal(err)
	}
	// Three connections: SMB, endpoint mapper, service manager. One log-on each for the first and the last.
	if len(a.seen) != 3 || a.auth != 2 || a.smb != 10 || a.rpc != 3+8+8 || !a.users[`CORP\adm`] {
		t.Errorf("%d connections, %d log-ons, %d SMB, %d RPC, users %v", len(a.seen), a.auth, a.smb, a.rpc, a.users)
	}
	if at := a.last.Sub(Start); at < 3*time.Hour+56*time.Minute || at > 3*time.Hour+58*time.Minute {
		t.Errorf("at %v", at)
	}
}
