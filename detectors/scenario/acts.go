package scenario

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"neuromast/detectors/acts"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// when takes the time from a line: its first word, or what follows "at".
func when(words []string) (time.Duration, []string, error) {
	text, rest := words[0], words[1:]
	if i := slices.Index(words, "at"); i >= 0 {
		if i+1 == len(words) {
			return 0, nil, fmt.Errorf("want a time after at")
		}
		text, rest = words[i+1], slices.Concat(words[:i], words[i+2:])
	}
	at, err := offset(text)
	return at, rest, err
}

// offset reads an offset from Start or a clock time.
func offset(text string) (time.Duration, error) {
	if !strings.Contains(text, ":") {
		return time.ParseDuration(text)
	}
	days := 0
	if d, clock, ok := strings.Cut(text, "d+"); ok {
		n, err := strconv.Atoi(d)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("time %q, want as 3d+02:10", text)
		}
		days, text = n, clock
	}
	layout := time.TimeOnly
	if strings.Count(text, ":") == 1 {
		layout = "15:04"
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		return 0, fmt.Errorf("time %q, want as 02:10 or 02:10:30", text)
	}
	start := Start.Std()
	clock := t.Sub(t.Truncate(24 * time.Hour))
	at := start.Truncate(24 * time.Hour).Add(clock).Sub(start)
	if at < 0 {
		at += 24 * time.Hour
	}
	return at + time.Duration(days)*24*time.Hour, nil
}

// stage plays the acts of a text: its connections are numbered through.
type stage struct {
	scene acts.Scene
	items []*item
}

func newStage() *stage {
	s := &stage{}
	s.scene.Realm = "EXAMPLE.NET"
	s.scene.Take = func(at packet.Time, write func(*flows.Out)) {
		s.items = append(s.items, &item{at: at, start: at, fact: func(out *flows.Out, _ *item) { write(out) }})
	}
	return s
}

// told is an act as a line tells it.
type told struct {
	*acts.Scene
	at       packet.Time
	from, to packet.Addr
	who      acts.Account
	count    int
	every    time.Duration
	lasts    time.Duration
	path     string
	name     string
}

// families are the protocols of acts, the first words of their names.
var families = map[string]bool{"smb": true, "rpc": true, "winrm": true, "rdp": true, "ssh": true, "kerberos": true, "ldap": true, "sql": true}

// or is a number that a line may leave out.
func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

func (t *told) users(otherwise int) []string {
	out := make([]string, or(t.count, otherwise))
	for i := range out {
		out[i] = fmt.Sprintf("user%02d", i)
	}
	return out
}

func (t *told) minutes() int { return max(1, int(t.lasts/time.Minute)) }

const base = "DC=example,DC=net"

// plays is every act that can be told.
var plays = map[string]func(t *told){
	"smb logon":    func(t *told) { t.Session(t.at, t.from, t.to, t.who).Close() },
	"smb wrong":    func(t *told) { t.NTLMFails(t.at, t.from, t.to, t.who, 0xc000006d) },
	"smb shares":   func(t *told) { t.Shares(t.at, t.from, t.to, t.who) },
	"smb sessions": func(t *told) { t.Sessions(t.at, t.from, t.to, t.who) },
	"smb users":    func(t *told) { t.Accounts(t.at, t.from, t.to, t.who) },
	"smb work": func(t *told) {
		n := or(t.count, 4)
		t.Work(t.at, t.from, t.to, t.who, "Team", n-n/4, n/4, t.every)
	},
	"smb copy":      func(t *told) { t.CopyTool(t.at, t.from, t.to, t.who, t.path) },
	"smb hives":     func(t *told) { t.Hives(t.at, t.from, t.to, t.who) },
	"smb coerce":    func(t *told) { t.Coerce(t.at, t.from, t.to, t.who, false) },
	"smb efscoerce": func(t *told) { t.Coerce(t.at, t.from, t.to, t.who, true) },
	"smb psexec":    func(t *told) { t.PsExec(t.at, t.from, t.to, t.who, t.name) },
	"smb smbexec":   func(t *told) { t.SMBExec(t.at, t.from, t.to, t.who, or(t.count, 1)) },
	"smb atexec":    func(t *told) { t.AtExec(t.at, t.from, t.to, t.who) },
	"smb storm":     func(t *told) { t.Storm(t.at, t.from, t.to, t.who, "Team", or(t.count, 200), t.every) },
	"smb spray":     func(t *told) { t.NTLMSpray(t.at, t.from, t.to, t.who.Domain, t.users(20), t.every) },
	"smb install":   func(t *told) { t.Install(t.at, t.from, t.to, t.who, t.path, t.name) },
	"smb policy":    func(t *told) { t.Policy(t.at, t.from, t.to, t.who, "example.net") },
	"smb print":     func(t *told) { t.Print(t.at, t.from, t.to, t.who, t.name) },

	"smb sealedwork":  func(t *told) { t.SealedWork(t.at, t.from, t.to, t.who, 100000, 400000) },
	"smb sealedusers": func(t *told) { t.SealedAccounts(t.at, t.from, t.to, t.who) },
	"smb sealedexec":  func(t *told) { t.SealedExec(t.at, t.from, t.to, t.who) },

	"rpc wmiexec":   func(t *told) { t.WMIExec(t.at, t.from, t.to, t.who, true) },
	"rpc dcomexec":  func(t *told) { t.DCOMExec(t.at, t.from, t.to, t.who) },
	"rpc schtasks":  func(t *told) { t.SchTasks(t.at, t.from, t.to, t.who, true) },
	"rpc services":  func(t *told) { t.Services(t.at, t.from, t.to, t.who, 16, 6) },
	"rpc inventory": func(t *told) { t.Inventory(t.at, t.from, t.to, t.who, 6) },
	"rpc dcsync":    func(t *told) { t.DCSync(t.at, t.from, t.to, t.who) },
	"rpc replicate": func(t *told) { t.Replicate(t.at, t.from, t.to, t.who) },
	"rpc zerologon": func(t *told) { t.Zerologon(t.at, t.from, t.to, or(t.count, 200)) },
	"rpc clearlog":  func(t *told) { t.ClearLog(t.at, t.from, t.to, t.who) },
	"rpc reboot":    func(t *told) { t.Reboot(t.at, t.from, t.to, t.who) },
	"rpc channel":   func(t *told) { t.SecureChannel(t.at, t.from, t.to) },

	"winrm session":  func(t *told) { t.WinRM(t.at, t.from, t.to, t.who, or(t.count, 3)) },
	"rdp session":    func(t *told) { t.RDP(t.at, t.from, t.to, t.who, t.minutes()) },
	"rdp restricted": func(t *told) { t.RDPRestricted(t.at, t.from, t.to, t.who, t.minutes()) },
	"ssh reverse":    func(t *told) { t.ReverseSSH(t.at, t.from, t.to, t.minutes()) },
	"rdp script":     func(t *told) { t.RDPScript(t.at, t.from, t.to, t.who) },
	"ssh session":    func(t *told) { t.SSH(t.at, t.from, t.to, 0, true, t.minutes()) },
	"ssh wrong":      func(t *told) { t.SSH(t.at, t.from, t.to, or(t.count, 1), false, 0) },
	"ssh guess":      func(t *told) { t.Guess(t.at, t.from, t.to, or(t.count, 15), t.every, false) },
	"ssh command":    func(t *told) { t.SSHCommand(t.at, t.from, t.to, 0) },

	"kerberos logon":    func(t *told) { t.Kerberos(t.at, t.from, t.to, t.who.User) },
	"kerberos wrong":    func(t *told) { t.KerberosFails(t.at, t.from, t.to, t.who.User, 24) },
	"kerberos roast":    func(t *told) { t.Roast(t.at, t.from, t.to, t.who.User, or(t.count, 8), t.every) },
	"kerberos asrep":    func(t *told) { t.RoastUsers(t.at, t.from, t.to, t.users(3), t.every) },
	"kerberos spray":    func(t *told) { t.Spray(t.at, t.from, t.to, t.users(20), t.every, false) },
	"kerberos enum":     func(t *told) { t.Enumerate(t.at, t.from, t.to, t.users(20), t.every) },
	"kerberos overpass": func(t *told) { t.OverPass(t.at, t.from, t.to, t.who.User) },

	"ldap logon": func(t *told) { t.Directory(t.at, t.from, t.to, t.who, false, acts.LogonSearches(base, t.who.User)...) },
	"ldap hound": func(t *told) {
		t.Directory(t.at, t.from, t.to, t.who, false, acts.HoundSearches(base, uint32(or(t.count, 2000)))...)
	},
	"ldap sealedhound": func(t *told) {
		t.Directory(t.at, t.from, t.to, t.who, true, acts.HoundSearches(base, uint32(or(t.count, 2000)))...)
	},
	"sql ask": func(t *told) {
		t.Statement(t.at, t.from, t.to, t.who.User, "Orders", "SELECT name, price FROM orders WHERE id = 4711")
	},
	"sql exec": func(t *told) {
		t.Statement(t.at, t.from, t.to, t.who.User, "", "EXEC sp_configure 'show advanced options', 1; RECONFIGURE", "EXEC sp_configure 'xp_cmdshell', 1; RECONFIGURE",
			"EXEC master..xp_cmdshell 'whoami'")
	},
}

// act plays ADDRESS -> ADDRESS PROTOCOL ACT [options].
func (s *stage) act(at packet.Time, rng *rand.Rand, say []string) ([]*item, error) {
	if len(say) < 5 || plays[say[3]+" "+say[4]] == nil {
		return nil, fmt.Errorf("unknown act %q", strings.Join(say[3:min(len(say), 5)], " "))
	}
	s.items, s.scene.Rand = nil, rng
	t := &told{Scene: &s.scene, at: at, every: 500 * time.Millisecond, lasts: 10 * time.Minute, path: `ProgramData\tool.exe`, name: "PSEXESVC"}
	t.who = acts.Account{Domain: "EXAMPLE", User: "user"}
	var err error
	if t.from, err = addr(say[0]); err != nil {
		return nil, err
	}
	if t.to, err = addr(say[2]); err != nil {
		return nil, err
	}
	if err := t.options(say[5:]); err != nil {
		return nil, err
	}
	plays[say[3]+" "+say[4]](t)
	return s.items, nil
}

// options reads what follows an act, pairs of a word and a value.
func (t *told) options(words []string) (err error) {
	for i := 0; i < len(words); i += 2 {
		if i+1 == len(words) {
			return fmt.Errorf("want a value after %q", words[i])
		}
		value := words[i+1]
		switch words[i] {
		case "user":
			domain, user, ok := strings.Cut(value, `\`)
			if !ok {
				domain, user = t.who.Domain, value
			}
			t.who.Domain, t.who.User = domain, user
		case "dc":
			t.who.KDC, err = addr(value)
		case "count":
			if t.count, err = strconv.Atoi(value); err == nil && (t.count < 1 || t.count > 100000) {
				err = fmt.Errorf("count %s, want 1 to 100000", value)
			}
		case "every":
			t.every, err = time.ParseDuration(value)
		case "for":
			t.lasts, err = time.ParseDuration(value)
		case "path":
			t.path = value
		case "name":
			t.name = value
		default:
			err = fmt.Errorf("unknown option %q", words[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}
