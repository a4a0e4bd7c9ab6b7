package sqlexec

import (
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/windows"
)

// kind is something that a statement does.
type kind uint8

const (
	shell kind = iota
	oleShell
	unsafeAssembly
	coercion
	extended
	ole
	assembly
	external
	registry
	job
	sysadmin
	switchedOn
	trustworthy
	adHoc
	addLinked
	linked
	asLogin
	numKinds
)

var (
	procedures   = detectors.Technique{ID: "T1505.001", Name: "SQL Stored Procedures", Tactic: "TA0003"}
	commandShell = detectors.Technique{ID: "T1059.003", Name: "Windows Command Shell", Tactic: "TA0002"}
	interpreter  = detectors.Technique{ID: "T1059", Name: "Command and Scripting Interpreter", Tactic: "TA0002"}
)

// kinds tell of what statements do.
var kinds = [numKinds]struct {
	name      string
	nats      float64
	technique detectors.Technique
}{
	shell:          {"called xp_cmdshell, which runs a command", 6, commandShell},
	oleShell:       {"created a shell by OLE automation", 6, commandShell},
	unsafeAssembly: {"created an assembly that may do anything", 6, procedures},
	coercion:       {"made the server log on to another host by a path", 5, windows.ForcedAuth},
	extended:       {"added an extended procedure", 5, procedures},
	ole:            {"created an object by OLE automation", 4, procedures},
	assembly:       {"created an assembly", 4, procedures},
	external:       {"ran a script in another language", 4, interpreter},
	registry:       {"wrote to the registry", 4, windows.ModifyRegistry},
	job:            {"added a job step that runs a command", 3, commandShell},
	sysadmin:       {"made somebody sysadmin", 3, windows.AccountChange},
	switchedOn:     {"switched on what runs programs", 2, procedures},
	trustworthy:    {"declared a database trustworthy", 2, procedures},
	adHoc:          {"reached for another source by an ad hoc query", 2, procedures},
	addLinked:      {"added a linked server", 2, procedures},
	linked:         {"ran statements on a linked server", 1, procedures},
	asLogin:        {"took another log-in's rights", 1, procedures},
}

// set is a set of kinds.
type set uint32

func (s set) has(k kind) bool { return s>>k&1 != 0 }

func (s *set) add(k kind) { *s |= 1 << k }

// maxNesting bounds how deep statements within literals are read.
const maxNesting = 3

// switches are options whose switching on lets programs run (sp_configure).
var switches = []string{"xp_cmdshell", "ole automation procedures", "clr enabled", "clr strict security", "external scripts enabled", "ad hoc distributed queries"}

// classify reads a statement; call says that it is a procedure's name with what it is given.
func classify(statement string, call bool) set {
	if call {
		name, given, _ := strings.Cut(statement, " ")
		switch name = strings.ToLower(name); name {
		case "sp_executesql", "sp_prepexec", "sp_prepare", "sp_cursoropen", "sp_cursorprepare", "sp_cursorprepexec":
			return read(lex(given), 0)
		}
		name = strings.Trim(name[strings.LastIndexByte(name, '.')+1:], "[]")
		return read([]token{{'w', "exec"}, {'w', name}, {'s', given}}, 0)
	}
	return read(lex(statement), 0)
}

// read looks for what the tokens do.
func read(t []token, depth int) (is set) {
	at := func(i int) token {
		if i < 0 || i >= len(t) {
			return token{}
		}
		return t[i]
	}
	word := func(i int, texts ...string) bool { return at(i).kind == 'w' && slices.Contains(texts, at(i).text) }
	for i := range t {
		if t[i].kind != 'w' {
			continue
		}
		given := arguments(t[i+1:])
		literal := func(has func(string) bool) bool {
			return slices.ContainsFunc(given, func(a token) bool { return a.kind == 's' && has(strings.ToLower(a.text)) })
		}
		starts := i == 0 || at(i-1).kind == ';' || at(i-1).kind == '.' || word(i-1, "exec", "execute", "begin", "then", "else") || at(i-1).kind == '=' && strings.HasPrefix(at(i-2).text, "@")
		switch t[i].text {
		case "xp_cmdshell":
			if starts && !(i == 0 && len(t) == 1 && depth > 0) {
				is.add(shell)
			}
		case "sp_oacreate":
			if starts && literal(func(s string) bool { return strings.Contains(s, "shell") }) {
				is.add(oleShell)
			} else if starts {
				is.add(ole)
			}
		case "xp_dirtree", "xp_fileexist", "xp_subdirs", "xp_getfiledetails":
			unc := func(s string) bool { return strings.HasPrefix(s, `\\`) || strings.HasPrefix(s, "//") }
			if starts && (literal(unc) || slices.ContainsFunc(given, func(a token) bool { return a.kind == 'w' && strings.HasPrefix(a.text, "@") }) && anyLiteral(t, unc)) {
				is.add(coercion)
			}
		case "sp_addextendedproc":
			is.add(extended)
		case "sp_execute_external_script":
			is.add(external)
		case "xp_regwrite", "xp_instance_regwrite":
			if starts {
				is.add(registry)
			}
		case "sp_add_jobstep":
			if literal(func(s string) bool { return s == "cmdexec" || s == "powershell" || s == "activescripting" }) {
				is.add(job)
			}
		case "sp_addsrvrolemember":
			if literal(func(s string) bool { return s == "sysadmin" }) {
				is.add(sysadmin)
			}
		case "role":
			if word(i-2, "alter") && word(i-1, "server") && word(i+1, "sysadmin") && word(i+2, "add") {
				is.add(sysadmin)
			}
		case "sp_configure":
			on := slices.ContainsFunc(given, func(a token) bool { return a.kind == 'n' && strings.Trim(a.text, "0") != "" })
			if literal(func(s string) bool {
				return slices.ContainsFunc(switches, func(o string) bool { return strings.HasPrefix(s, o) })
			}) && (on || len(t) == 3) {
				is.add(switchedOn)
			}
		case "trustworthy":
			if word(i+1, "on") {
				is.add(trustworthy)
			}
		case "assembly":
			if word(i-1, "create") || word(i-1, "alter") {
				is.add(assembly)
			}
		case "permission_set":
			if at(i+1).kind == '=' && word(i+2, "unsafe", "external_access") && is.has(assembly) {
				is &^= 1 << assembly
				is.add(unsafeAssembly)
			}
		case "openrowset", "opendatasource":
			if at(i+1).kind == '(' && !word(i+2, "bulk") {
				is.add(adHoc)
			}
		case "openquery":
			if at(i+1).kind == '(' {
				is.add(linked)
				is |= inside(given, depth)
			}
		case "sp_addlinkedserver":
			is.add(addLinked)
		case "execute", "exec":
			switch {
			case word(i+1, "as") && word(i+2, "login"):
				is.add(asLogin)
			case at(i+1).kind == '(':
				is |= inside(given, depth)
				if word(i+1+len(enclosed(t[i+1:])), "at") {
					is.add(linked)
				}
			}
		case "sp_executesql":
			is |= inside(given[:min(len(given), 1)], depth)
		}
	}
	return is
}

// anyLiteral says whether one of the literals is such.
func anyLiteral(t []token, is func(string) bool) bool {
	return slices.ContainsFunc(t, func(a token) bool { return a.kind == 's' && is(strings.ToLower(a.text)) })
}

// inside reads literals that are run.
func inside(given []token, depth int) (is set) {
	if depth >= maxNesting {
		return 0
	}
	for _, a := range given {
		if a.kind == 's' {
			is |= read(lex(a.text), depth+1)
		}
	}
	return is
}

// arguments returns the tokens up to the statement's end: a semicolon or the next statement's verb.
func arguments(t []token) []token {
	if len(t) > 0 && t[0].kind == '(' {
		return enclosed(t)
	}
	for i := range t {
		switch {
		case t[i].kind == ';' || i >= 64:
			return t[:i]
		case t[i].kind == 'w':
			switch t[i].text {
			case "exec", "execute", "select", "insert", "update", "delete", "declare", "reconfigure", "go", "if", "begin", "end", "create", "alter":
				return t[:i]
			}
		}
	}
	return t
}

// enclosed returns the tokens of the parenthesis that t begins with.
func enclosed(t []token) []token {
	depth := 0
	for i := range t {
		switch t[i].kind {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return t[:i+1]
			}
		}
	}
	return t
}
