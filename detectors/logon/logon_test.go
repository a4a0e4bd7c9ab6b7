package logon

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

// play returns the last record of each finding as "rule nats".
func play(t *testing.T, text string) (said []string, last []*detectors.Finding) {
	t.Helper()
	all, err := scenario.Play(text, New(Default()))
	if err != nil {
		t.Fatal(err)
	}
	last = scenario.Latest(all)
	for _, f := range last {
		said = append(said, fmt.Sprintf("%s %.2f", f.Rule.ID, f.LLR))
		var sum float64
		for _, e := range f.Evidence {
			sum += e.Nats
		}
		if diff := sum - f.LLR; diff > 0.02 || diff < -0.02 {
			t.Errorf("%s: evidence adds up to %v of %v nats", f.Rule.ID, sum, f.LLR)
		}
		if f.State != detectors.StateClose || f.Message == "" || f.Counterfactual == "" || len(f.LookAlikes) == 0 || len(f.NextSteps) == 0 || f.Filter == "" || len(f.Refs) == 0 || len(f.Conns) == 0 {
			t.Errorf("something is missing: %+v", f)
		}
	}
	return said, last
}

// TestCases holds what is said, with nats worked out by hand from the package comment.
func TestCases(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"seven unknown names at once: 0.7 (7-1)", `0s every 1ms times 7 10.0.0.5 logs 10.0.0.10 kerberos user# unknown`, "auth.enum 4.20"},
		{"two are mistyped", `0s every 1m times 2 10.0.0.5 logs 10.0.0.10 kerberos user# unknown`, ""},
		{"one name again and again", `0s every 1s times 100 10.0.0.5 logs 10.0.0.10 kerberos gone unknown`, ""},
		{"slow enumeration, 18 in a day: 0.2 (18-8)", `0s every 1h times 18 10.0.0.5 logs 10.0.0.10 kerberos user# unknown`, "auth.enum 2.00"},
		{"a gateway: 0.3 × 0.7 (5-1)", `
			0s every 1s times 20 10.0.0.5 logs 10.0.0.10 kerberos warm unknown
			30s every 1s times 20 10.0.0.5 logs 10.0.0.10 kerberos staff# in
			2m every 1s times 4 10.0.0.5 logs 10.0.0.10 kerberos mistyped# unknown`, ""},
		{"ten accounts, one try each: 0.6 (10-2)", `0s every 2s times 10 10.0.0.5 logs 10.0.0.10 kerberos user# wrong`, "auth.spray 4.80"},
		{"and the eleventh gets in: 3 more", `
			0s every 2s times 10 10.0.0.5 logs 10.0.0.10 kerberos user# wrong
			20s 10.0.0.5 logs 10.0.0.10 kerberos weak in`, "auth.spray 7.80"},
		{"three people mistype: 0.6", `0s every 1m times 3 10.0.0.5 logs 10.0.0.10 smb user# wrong`, ""},
		{"a slow spray over SMB, 20 in a day: 0.25 (20-10)", `0s every 1h times 20 10.0.0.5 logs 10.0.0.10 smb user# wrong`, "auth.spray 2.50"},
		{"over many servers it is one spray", `0s every 2s times 10 10.0.0.5 logs 10.0.1.# smb user# wrong`, "auth.spray 4.80"},
		{"three over each of four protocols are one spray: 0.6 (12-2)", `
			0s every 2s times 3 10.0.0.5 logs 10.0.1.1 smb user# wrong
			1s every 2s times 3 10.0.0.5 logs 10.0.1.2 http user#+3 wrong
			10s every 2s times 3 10.0.0.5 logs 10.0.1.3 ldap user#+6 wrong
			20s every 2s times 3 10.0.0.5 logs 10.0.1.4 tds user#+9 wrong`, "auth.spray 6.00"},
		{"a spray over five protocols, two names each, a desktop among them: 0.6 (10-2)", `
			0s every 2s times 2 10.0.0.5 logs 10.0.1.1 smb user# wrong
			5s every 2s times 2 10.0.0.5 logs 10.0.1.2 http user#+2 wrong
			10s every 2s times 2 10.0.0.5 logs 10.0.1.3 ldap user#+4 wrong
			15s every 2s times 2 10.0.0.5 logs 10.0.1.4 rdp user#+6 wrong
			20s every 2s times 2 10.0.0.5 logs 10.0.1.5 tds user#+8 wrong`, "auth.spray 4.80"},
		{"the last of them gets in at the desktop: 3 more", `
			0s every 2s times 4 10.0.0.5 logs 10.0.1.1 smb user# wrong
			10s every 2s times 3 10.0.0.5 logs 10.0.1.4 rdp user#+4 wrong
			20s every 2s times 3 10.0.0.5 logs 10.0.1.5 tds user#+7 wrong
			30s 10.0.0.5 logs 10.0.1.4 rdp weak in`, "auth.spray 7.80"},
		{"the same names over another protocol are no further ones", `
			0s every 1s times 3 10.0.0.5 logs 10.0.1.1 smb user# wrong
			5s every 1s times 3 10.0.0.5 logs 10.0.1.4 rdp user# wrong
			9s every 1s times 3 10.0.0.5 logs 10.0.1.2 http user# wrong`, ""},
		{"four hundred people behind one address, of whom six mistype at once: 0.3 × (0.6 (5-2) + 3) as last said, though only 128 names are kept", `
			0s 10.0.0.5 logs 10.0.0.10 kerberos early wrong
			1s every 1m times 400 10.0.0.5 logs 10.0.0.10 kerberos staff# in
			6h every 10s times 6 10.0.0.5 logs 10.0.0.10 kerberos clumsy# wrong`, "auth.spray 1.44"},
		{"twenty passwords by Basic over one connection, then in: 0.25 (20-4) + 3", `
			0s every 900ms times 10 10.0.0.5 logs 10.0.0.8 http admin wrong over 5
			500ms every 1200ms times 10 10.0.0.5 logs 10.0.0.8 http admin wrong over 5
			30s 10.0.0.5 logs 10.0.0.8 http admin in over 5`, "auth.guess 7.00"},
		{"a slow guesser with gaps of more than an hour: one finding, 0.05 (44-20)", `
			0s every 2h times 11 10.0.0.5 logs 10.0.0.21 ftp root wrong
			1m every 2h times 11 10.0.0.5 logs 10.0.0.21 ftp root wrong
			3m every 2h times 11 10.0.0.5 logs 10.0.0.21 ftp root wrong
			7m every 2h times 11 10.0.0.5 logs 10.0.0.21 ftp root wrong`, "auth.guess 1.20"},
		{"a spray after another, two hours later: two findings", `
			0s every 2s times 20 10.0.0.5 logs 10.0.0.10 kerberos user# wrong
			2h every 2s times 20 10.0.0.5 logs 10.0.0.10 smb user#+20 wrong`, "auth.spray 6.00, auth.spray 6.00"},
		{"one page with an old password, again and again", `0s every 5m times 40 10.0.0.5 logs 10.0.0.8 http kiosk wrong`, ""},
		{"slow over days and protocols, 16 in a day: 0.25 (16-10)", `
			0s every 3h times 8 10.0.0.5 logs 10.0.0.8 http user# wrong
			1h every 3h times 8 10.0.0.5 logs 10.0.0.10 kerberos user#+8 wrong`, "auth.spray 1.50"},
		{"thirty passwords at an FTP server: at most 5", `0s every 2100ms times 30 10.0.0.5 logs 10.0.0.21 ftp root wrong
			1s every 7s times 3 10.0.0.5 logs 10.0.0.21 ftp root wrong`, "auth.guess 5.00"},
		{"a program with an old password: 0.3 × 5", `0s every 20s times 30 10.0.0.5 logs 10.0.0.21 ftp backup wrong`, "auth.guess 1.50"},
		{"every half hour it is quiet", `0s every 30m times 40 10.0.0.5 logs 10.0.0.21 ftp backup wrong`, ""},
		{"guessing over SSH, four a connection, 3 s apart: then in", `
			0s every 3s times 4 10.0.0.5 logs 10.0.0.22 ssh - wrong over 1
			10s every 2s times 4 10.0.0.5 logs 10.0.0.22 ssh - wrong over 2
			25s every 2s times 4 10.0.0.5 logs 10.0.0.22 ssh - wrong over 3
			40s 10.0.0.5 logs 10.0.0.22 ssh - in over 4`, "auth.guess 5.00"}, // 0.25 (12-4) + 3
		{"keys of an agent, taken back each time", `
			0s every 10s times 20 10.0.0.5 logs 10.0.0.22 ssh - wrong over #+1
			1s every 10s times 20 10.0.0.5 logs 10.0.0.22 ssh - wrong over #+1
			2s every 10s times 20 10.0.0.5 logs 10.0.0.22 ssh - wrong over #+1
			3s every 10s times 20 10.0.0.5 logs 10.0.0.22 ssh - in over #+1`, ""},
		{"a slow guesser, one every 10 min and a bit: 0.05 (100-20)", `
			0s every 13m times 100 10.0.0.5 logs 10.0.0.21 ftp root wrong
			4m every 26m times 50 10.0.0.5 logs 10.0.0.21 ftp root wrong`, "auth.guess 4.00"},
		{"guessing over VNC", `0s every 2s times 17 10.0.0.5 logs 10.0.0.40 vnc - wrong
			3s every 7s times 7 10.0.0.5 logs 10.0.0.40 vnc - wrong`, "auth.guess 5.00"}, // 0.25 (24-4)
		{"a VNC password that was wrong twice, then right", `0s every 20s times 2 10.0.0.5 logs 10.0.0.40 vnc - wrong
			50s 10.0.0.5 logs 10.0.0.40 vnc - in`, ""},
		{"one try a name over SMB is a spray and not guessing", `0s every 1s times 30 10.0.0.5 logs 10.0.0.9 smb user# wrong`, "auth.spray 6.00"},
		{"anybody else's success tells nothing", `0s every 1s times 3000 10.0.0.5 logs 10.0.0.9 smb user# in`, ""},
	} {
		said, _ := play(t, c.text)
		if got := strings.Join(said, ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestTells holds what a reader gets.
func TestTells(t *testing.T) {
	_, last := play(t, `
		0s every 2s times 12 10.0.0.5 logs 10.0.0.22 ssh - wrong over #+1
		3s every 5s times 4 10.0.0.5 logs 10.0.0.22 ssh - wrong over #+100
		60s 10.0.0.5 logs 10.0.0.22 ssh - in over 99`)
	f := last[0]
	if want := "10.0.0.5 failed to log in to 10.0.0.22:22 (ssh) 16 times within 10 minutes. Then somebody got in."; f.Message != want {
		t.Errorf("%q, want %q", f.Message, want)
	}
	if f.Target.Addr.String() != "10.0.0.22" || len(f.Techniques) != 3 || f.Techniques[0].ID != "T1110.001" {
		t.Errorf("%+v", f)
	}
}

// TestBounds holds that a flood of names and clients keeps to the bounds.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxClients = 16
	d := New(cfg)
	if _, err := scenario.Play(`
		0s every 1ms times 2000 10.0.0.5 logs 10.0.0.10 kerberos user# unknown
		3s every 1ms times 200 10.1.0.# logs 10.0.0.10 kerberos bob wrong
		4s every 1ms times 100 10.0.0.6 logs 10.2.0.# ftp bob wrong`, d); err != nil {
		t.Fatal(err)
	}
	if d.clients.Len() > 16 || d.clients.Evicted() < 180 || d.names < 1700 {
		t.Errorf("%d clients, %d evicted, %d names", d.clients.Len(), d.clients.Evicted(), d.names)
	}
	for _, c := range d.clients.All() {
		if len(c.names) > maxNames || len(c.services) > maxServices {
			t.Errorf("%d names, %d services", len(c.names), len(c.services))
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{MinNats: 0.1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "min_nats: 0.1") || !strings.Contains(err.Error(), "max_clients: 0") {
		t.Errorf("%v", err)
	}
}
