package sqlexec

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/logon"
	"neuromast/detectors/scenario"
)

// TestClassify holds what statements do, and what only looks so.
func TestClassify(t *testing.T) {
	names := func(s set) string {
		var out []string
		for k := range numKinds {
			if s.has(k) {
				out = append(out, kinds[k].name)
			}
		}
		return strings.Join(out, "; ")
	}
	for _, c := range []struct {
		statement string
		call      bool
		want      []kind
	}{
		{"EXEC xp_cmdshell 'whoami'", false, []kind{shell}},
		{"exec master..xp_cmdshell 'whoami'", false, []kind{shell}},
		{"EXEC [master].[dbo].[xp_cmdshell] N'dir'", false, []kind{shell}},
		{"xp_cmdshell 'whoami'", false, []kind{shell}},
		{"SELECT 1; xp_cmdshell 'whoami'", false, []kind{shell}},
		{"DECLARE @r int EXEC @r = xp_cmdshell 'whoami'", false, []kind{shell}},
		{"/* x */ ExEc/**/xP_CmDsHeLl--\n'whoami'", false, []kind{shell}},
		{"EXEC('xp_cmdshell ''whoami''')", false, []kind{shell}},
		{"EXEC('xp_'+'cmdshell ''whoami''')", false, []kind{shell}},
		{"EXEC sp_executesql N'EXEC xp_cmdshell ''x'''", false, []kind{shell}},
		{"EXEC ('EXEC (''xp_cmdshell ''''whoami'''''') AT [srv3]') AT [srv2]", false, []kind{shell, linked}},
		{"SELECT * FROM OPENQUERY(\"srv2\", 'SELECT 1; EXEC xp_cmdshell ''whoami''')", false, []kind{shell, linked}},
		{"xp_cmdshell whoami", true, []kind{shell}},
		{"master.dbo.xp_cmdshell whoami", true, []kind{shell}},
		{"sp_executesql EXEC xp_cmdshell 'whoami'", true, []kind{shell}},
		{"EXEC sp_configure 'show advanced options', 1; RECONFIGURE; EXEC sp_configure 'xp_cmdshell', 1; RECONFIGURE;", false, []kind{switchedOn}},
		{"sp_configure 'Ole Automation Procedures', 1", false, []kind{switchedOn}},
		{"EXEC sp_configure 'show advanced options', 1; RECONFIGURE", false, nil},
		{"EXEC sp_configure 'xp_cmdshell', 0; RECONFIGURE", false, nil},
		{"DECLARE @o int; EXEC sp_OACreate 'WScript.Shell', @o OUT; EXEC sp_OAMethod @o, 'Run', NULL, 'calc'", false, []kind{oleShell}},
		{"EXEC sp_oacreate 'Scripting.FileSystemObject', @o OUT", false, []kind{ole}},
		{"CREATE ASSEMBLY [x] FROM 0x4D5A90 WITH PERMISSION_SET = UNSAFE", false, []kind{unsafeAssembly}},
		{"CREATE ASSEMBLY x FROM 'c:\\a.dll'", false, []kind{assembly}},
		{"EXEC master..xp_dirtree '\\\\10.0.0.9\\share', 1, 1", false, []kind{coercion}},
		{"DECLARE @p varchar(99) = '\\\\10.0.0.9\\x'; EXEC xp_fileexist @p", false, []kind{coercion}},
		{"xp_dirtree \\\\10.0.0.9\\x", true, []kind{coercion}},
		{"EXEC xp_dirtree 'C:\\Backup', 1, 1", false, nil},
		{"SELECT * FROM OPENROWSET('SQLNCLI', 'Server=10.0.0.9;', 'SELECT 1')", false, []kind{adHoc}},
		{"SELECT * FROM OPENROWSET(BULK 'c:\\x.csv', SINGLE_CLOB) AS x", false, nil},
		{"EXEC sp_execute_external_script @language=N'Python', @script=N'import os'", false, []kind{external}},
		{"EXEC msdb.dbo.sp_add_jobstep @job_name='x', @subsystem=N'CMDEXEC', @command=N'whoami'", false, []kind{job}},
		{"EXEC msdb.dbo.sp_add_jobstep @job_name='x', @subsystem=N'TSQL', @command=N'SELECT 1'", false, nil},
		{"EXEC sp_addsrvrolemember 'eve', 'sysadmin'", false, []kind{sysadmin}},
		{"ALTER SERVER ROLE sysadmin ADD MEMBER eve", false, []kind{sysadmin}},
		{"ALTER DATABASE x SET TRUSTWORTHY ON", false, []kind{trustworthy}},
		{"EXECUTE AS LOGIN = 'sa'", false, []kind{asLogin}},
		{"EXEC ('SELECT @@version') AT srv2", false, []kind{linked}},
		// data, not code
		{"INSERT INTO articles VALUES ('How to disable xp_cmdshell', 'EXEC xp_cmdshell ''dir''')", false, nil},
		{"SELECT value FROM sys.configurations WHERE name = 'xp_cmdshell'", false, nil},
		{"SELECT OBJECT_ID('master..xp_cmdshell')", false, nil},
		{"DENY EXECUTE ON xp_cmdshell TO public", false, nil},
		{"-- EXEC xp_cmdshell 'x'\nSELECT 1", false, nil},
		{"EXEC usp_search N'sp_OACreate'", false, nil},
		{"sp_executesql SELECT name FROM assembly WHERE id = @p", true, nil},
		{"EXEC dbo.report @from = '2026-01-01'", false, nil},
		{"SELECT N'", false, nil}, {"[", false, nil}, {"EXEC(", false, nil}, {"", true, nil},
	} {
		var want set
		for _, k := range c.want {
			want.add(k)
		}
		got := classify(c.statement, c.call)
		if got != want {
			t.Errorf("%s: %q, want %q", c.statement, names(got), names(want))
		}
		if got != 0 && !interesting([]byte(c.statement)) {
			t.Errorf("%s is passed over", c.statement)
		}
	}
}

// TestCases holds what is said, with nats worked out by hand from the package comment.
func TestCases(t *testing.T) {
	const does = "0s 10.0.0.5 queries 10.0.0.9 sa "
	const run = "EXEC~xp_cmdshell~'whoami'"
	const on = "EXEC~sp_configure~'xp_cmdshell',1;~RECONFIGURE"
	for _, c := range []struct{ name, text, want string }{
		{"a command", does + run, "6.00 T1059.003 T1505.001"},
		{"switched on", does + on, "2.00 T1505.001"},
		{"switched on, then run: 6 + 0.3 × 2", does + on + "\n5s 10.0.0.5 queries 10.0.0.9 sa " + run, "6.60 T1059.003 T1505.001"},
		{"both refused", does + on + " refused\n5s 10.0.0.5 queries 10.0.0.9 sa " + run + " refused", "3.30 T1059.003 T1505.001"},
		{"a path on another host", does + `EXEC~xp_dirtree~'\\10.0.0.66\x'`, "5.00 T1187"},
		{"a procedure called", does + "xp_cmdshell~whoami call", "6.00 T1059.003 T1505.001"},
		{"two servers", does + run + "\n1s 10.0.0.5 queries 10.0.0.8 sa " + run, "6.00 T1059.003 T1505.001, 6.00 T1059.003 T1505.001"},
		{"a linked server", does + "EXEC('SELECT~1')~AT~srv2", ""},
		{"ordinary work", "0s every 1s times 500 10.0.0.5 queries 10.0.0.9 app SELECT~*~FROM~orders~WHERE~id~=~#", ""},
		{"words as data", does + "INSERT~INTO~notes~VALUES('EXEC~xp_cmdshell~''dir''')", ""},
		{"a nightly job that calls xp_cmdshell: from the fourth day on 1.2, not said", "0s every 24h times 5 10.0.0.5 queries 10.0.0.9 job " + run,
			"6.00 T1059.003 T1505.001, 6.00 T1059.003 T1505.001, 6.00 T1059.003 T1505.001"},
	} {
		all, err := scenario.Play(c.text, New(Default()))
		if err != nil {
			t.Fatal(c.name, err)
		}
		var said []string
		for _, f := range scenario.Latest(all) {
			line := fmt.Sprintf("%.2f", f.LLR)
			for _, tech := range f.Techniques {
				line += " " + tech.ID
			}
			said = append(said, line)
			var sum float64
			for _, e := range f.Evidence {
				sum += e.Nats
			}
			if diff := sum - f.LLR; diff > 0.05 || diff < -0.05 {
				t.Errorf("%s: evidence adds up to %v of %v nats", c.name, sum, f.LLR)
			}
			if f.State != detectors.StateClose || f.Message == "" || f.Counterfactual == "" || len(f.LookAlikes) == 0 || len(f.NextSteps) == 0 || f.Filter == "" || len(f.Refs) == 0 || len(f.Conns) == 0 {
				t.Errorf("%s: something is missing: %+v", c.name, f)
			}
		}
		if got := strings.Join(said, ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestGuesses holds that passwords tried at SQL Server are told as guessing: 30 failures are 5 nats.
func TestGuesses(t *testing.T) {
	all, err := scenario.Play("0s every 2s times 15 10.0.0.5 logs 10.0.0.9 tds sa wrong\n300ms every 3s times 15 10.0.0.5 logs 10.0.0.9 tds sa wrong", logon.New(logon.Default()))
	if err != nil {
		t.Fatal(err)
	}
	if last := scenario.Latest(all); len(last) != 1 || last[0].Rule.ID != "auth.guess" || last[0].LLR != 5 {
		t.Errorf("%+v", last)
	}
}

// TestBounds holds that a flood of pairs keeps to the bounds.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxPairs = 16
	d := New(cfg)
	if _, err := scenario.Play("0s every 1ms times 200 10.0.0.5 queries 10.1.0.# u# EXEC~xp_cmdshell~'x'\n1s every 1ms times 200 10.2.0.9 queries 10.0.0.9 u# EXEC~xp_cmdshell~'x'", d); err != nil {
		t.Fatal(err)
	}
	if d.pairs.Len() > 16 || d.pairs.Evicted() < 180 {
		t.Errorf("%d pairs, %d evicted", d.pairs.Len(), d.pairs.Evicted())
	}
	for _, r := range d.pairs.All() {
		if len(r.users) > 8 || len(r.conns) > 8 {
			t.Errorf("%d users, %d connections", len(r.users), len(r.conns))
		}
	}
}

// TestTime holds that no statement takes long, whatever it holds: the worst known takes 5 ms, two seconds leave room for a busy machine.
func TestTime(t *testing.T) {
	for _, text := range []string{strings.Repeat("EXEC(", 800), strings.Repeat("exec xp_cmdshell ", 240), strings.Repeat("'", 4000), "EXEC('" + strings.Repeat("EXEC(''", 500), strings.Repeat("[", 4000)} {
		from := time.Now()
		classify(text, false)
		if took := time.Since(from); took > 2*time.Second {
			t.Errorf("%.20s… took %v", text, took)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("EXEC('xp_'+'cmdshell ''whoami''')", false)
	f.Add("sp_executesql [a]]b] /* */ 'x' -- y", true)
	f.Fuzz(func(t *testing.T, s string, call bool) { classify(s, call) })
}

func BenchmarkStatement(b *testing.B) {
	plain, hit := []byte(strings.Repeat("SELECT a, b FROM t WHERE c = 'd' ", 124)), strings.Repeat("EXEC p 'x'; ", 340)
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			interesting(plain)
		}
	})
	b.Run("closer", func(b *testing.B) {
		for b.Loop() {
			classify(hit, false)
		}
	})
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{}.Validate()
	if err == nil || !strings.Contains(err.Error(), "min_nats: 0") || !strings.Contains(err.Error(), "max_pairs: 0") {
		t.Errorf("%v", err)
	}
}
