package rpcseq

import (
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
)

// kind is what a step is.
type kind uint8

// The kinds of steps.
const (
	adminTree kind = iota
	programWrite
	serviceCreate
	serviceStart
	serviceDelete
	interpreter // the service's image is a command interpreter
	ansi        // svcctl's ANSI operations, which no console of Windows uses
	again       // a second service
	toolPipe
	outputRead
	taskRegister
	taskRun
	taskDelete
	jobAdd
	jobDelete
	activate
	classKnown // the activated class runs programs
	invoke
	wmiLogin
	wmiExec
	wmiPut
	drsPrepare
	drsPull
	drsAdd
	drsEntry
	drsUpdate
	drsRemove
	controllerCame
	coerce
	cameToCaller
	cameElsewhere
	hiddenSession
	machineLogon
	certificate // asked for by who coerced, within five minutes
	hiveSave
	tempRead
	registryWrite
	logClear
	shutdown
	challenges // of Zerologon, made by its own count
	zeroChallenge
	passwordSet
	numKinds
)

// index names a sequence.
type index uint8

// The sequences.
const (
	psexec index = iota
	service
	task
	object
	dcsync
	dcshadow
	zerologon
	coercion
	hive
	cleanup
	registry
	numSequences
)

// part is a kind of step and its weight in nats.
type part struct {
	kind kind
	nats float64
}

// sequence is a way of attack.
type sequence struct {
	rule       detectors.Rule
	window     time.Duration
	parts      []part
	needs      func(has) bool // beside the weight
	habit      bool           // a daily one is discounted
	trade      bool           // and one that is done to ever new servers
	techniques []detectors.Technique
	tells      string // what it is, after "client on server: "
	lookAlikes []string
	next       []string // %[1]s the client, %[2]s the server
}

// has says which kinds of steps there are.
type has [numKinds]bool

func (h *has) any(kinds ...kind) bool {
	for _, k := range kinds {
		if h[k] {
			return true
		}
	}
	return false
}

func rule(id, name string, stage detectors.Stage, t []detectors.Technique) detectors.Rule {
	return detectors.Rule{ID: "rpc.seq." + id, Name: name, Stage: stage, Techniques: t, Sides: detectors.OriginatorAlone}
}

// usual is how long steps may lie apart, chosen by us: tools take seconds, people minutes.
const usual = 10 * time.Minute

// sequences is indexed by index.
var sequences = build()

func build() (s [numSequences]sequence) {
	deployment := "Software deployment goes the same way, from one server to many hosts: after three days it is a habit and counts a fifth."
	askUser := "Ask who used %[1]s then; if nobody did it on purpose, isolate %[1]s and %[2]s."
	s[psexec] = sequence{
		window: usual,
		parts: []part{
			{programWrite, 2.5}, {serviceCreate, 2.5}, {serviceStart, 1.5}, {serviceDelete, 1}, {toolPipe, 3}, {adminTree, 0.5}, {outputRead, 2},
		},
		needs: func(h has) bool {
			return h.any(programWrite, toolPipe) && (h.any(serviceCreate, serviceStart) || h[programWrite] && h[toolPipe])
		},
		habit:      true,
		trade:      true,
		techniques: []detectors.Technique{windows.AdminShares, windows.ServiceExecution, windows.ToolTransfer},
		tells:      "a program was brought over a share and run as a service, as PsExec and its kin do",
		lookAlikes: []string{"An administrator's PsExec: from an administration host, and known to that person.", deployment},
		next: []string{
			"On %[2]s read System 7045 and Security 4697 at this time, fetch the program and look at what it started (Security 4688, Sysmon 1).",
			askUser,
		},
	}
	s[psexec].rule = rule("psexec", "Program brought over a share and run as a service", detectors.StageLateral, s[psexec].techniques)
	s[psexec].rule.Sides = detectors.BothSides // the written file is named by the answer to its opening

	s[service] = sequence{
		window:     2 * time.Minute,
		parts:      []part{{serviceCreate, 2.5}, {serviceStart, 2}, {serviceDelete, 1.5}, {interpreter, 2}, {ansi, 1}, {again, 1}, {outputRead, 2}},
		needs:      func(h has) bool { return h[serviceCreate] && h[serviceStart] && !h.any(programWrite, toolPipe) },
		habit:      true,
		techniques: []detectors.Technique{windows.ServiceExecution, windows.WindowsService, windows.AdminShares},
		tells:      "a service was made and run at once, as smbexec does to run a command",
		lookAlikes: []string{deployment, "An installer that registers a service remotely leaves it there and does not delete it."},
		next:       []string{"On %[2]s read System 7045 at this time: the service's image is the command that was run.", askUser},
	}
	s[service].rule = rule("service", "Command run through the service manager", detectors.StageLateral, s[service].techniques)

	s[task] = sequence{
		window: usual,
		parts: []part{
			{taskRegister, 3}, {taskRun, 2}, {taskDelete, 1.5}, {jobAdd, 4}, {jobDelete, 1.5}, {programWrite, 2.5}, {outputRead, 2.5}, {adminTree, 0.5},
		},
		needs: func(h has) bool {
			return h.any(taskRegister, jobAdd) && h.any(taskRun, taskDelete, jobDelete, programWrite, outputRead)
		},
		habit:      true,
		techniques: []detectors.Technique{windows.ScheduledTask, windows.At, windows.AdminShares},
		tells:      "a task was made and used at once, as atexec does to run a command",
		lookAlikes: []string{deployment, "Backup products register tasks remotely and leave them there."},
		next:       []string{"On %[2]s read Security 4698 and 4699 and the TaskScheduler operational log at this time: the task's definition holds the command.", askUser},
	}
	s[task].rule = rule("task", "Command run through the task scheduler", detectors.StageLateral, []detectors.Technique{windows.ScheduledTask, windows.At, windows.AdminShares})

	s[object] = sequence{
		window: usual,
		parts: []part{
			{activate, 1.5}, {classKnown, 1.5}, {invoke, 3}, {wmiLogin, 1}, {wmiExec, 3}, {wmiPut, 3}, {programWrite, 2.5}, {outputRead, 3}, {adminTree, 0.5},
		},
		needs: func(h has) bool {
			runs := h.any(invoke, wmiExec, wmiPut)
			return h.any(activate, wmiLogin) && runs || h.any(programWrite, outputRead) && (runs || h[activate])
		},
		habit:      true,
		techniques: []detectors.Technique{windows.DCOM, windows.WMI, windows.AdminShares},
		tells:      "the steps of remote execution over DCOM or WMI",
		lookAlikes: []string{"Configuration Manager and monitoring call WMI methods from their server and on many days: then a habit that counts a fifth.", "Office automation between two hosts for months."},
		next:       []string{"On %[2]s look for children of WmiPrvSE.exe, mmc.exe, explorer.exe or DllHost.exe at this time (Security 4688, Sysmon 1).", askUser},
	}
	s[object].rule = rule("object", "Command run through DCOM or WMI", detectors.StageLateral,
		[]detectors.Technique{windows.DCOM, windows.WMI, windows.WMISubscription, windows.AdminShares, windows.ToolTransfer})

	s[dcsync] = sequence{
		window:     usual,
		parts:      []part{{drsPull, 9}, {drsPrepare, 0}},
		needs:      func(h has) bool { return h[drsPull] },
		techniques: []detectors.Technique{windows.DCSync},
		tells:      "a host that is no domain controller pulled the directory with its password hashes (DCSync)",
		lookAlikes: []string{
			"A domain controller that this sensor never saw answer as one: list all of them in domain_controllers.",
			"Directory synchronisation to a cloud pulls so from one known server: list it as if it were a controller.",
		},
		next: []string{
			"If %[1]s is no domain controller nor synchronisation server: take all password hashes of the domain for stolen, krbtgt's too.",
			"On %[2]s read Security 4662 with the GUIDs 1131f6aa and 1131f6ad: which account had the right. Disable it.", "Isolate %[1]s.",
		},
	}
	s[dcsync].rule = rule("dcsync", "DCSync: directory pulled by a host that is no domain controller", detectors.StageCredential, s[dcsync].techniques)

	s[dcshadow] = sequence{
		window:     usual,
		parts:      []part{{drsAdd, 6}, {drsEntry, 5}, {drsUpdate, 4}, {drsRemove, 1}, {controllerCame, 3}, {drsPrepare, 0}},
		needs:      func(h has) bool { return h.any(drsAdd, drsEntry, drsUpdate) },
		techniques: []detectors.Technique{windows.RogueController},
		tells:      "a host that is no domain controller made a controller replicate from it (DCShadow)",
		lookAlikes: []string{"The promotion of a new domain controller: announced, once, and it stays one."},
		next: []string{
			"If no domain controller was promoted: compare what %[2]s holds with a backup (repadmin /showobjmeta), since anything may have been written.",
			"Isolate %[1]s and disable the account that was used.",
		},
	}
	s[dcshadow].rule = rule("dcshadow", "DCShadow: replication made to come from a host that is no domain controller", detectors.StageImpairment, s[dcshadow].techniques)
	s[dcshadow].rule.Sides = detectors.BothSides // the calls go both ways, in two connections

	s[zerologon] = sequence{
		window:     usual,
		parts:      []part{{challenges, 0}, {zeroChallenge, 0}, {passwordSet, 0}}, // weighed by their own count
		needs:      func(h has) bool { return h.any(challenges, zeroChallenge) },
		techniques: []detectors.Technique{windows.RemoteExploit},
		tells:      "a machine account's secure channel was tried again and again (Zerologon, CVE-2020-1472)",
		lookAlikes: []string{"A computer whose account password is wrong tries once or twice, then waits minutes.", "A vulnerability scanner does the same on purpose and sets no password."},
		next: []string{
			"If a password was set: %[2]s is broken off from its domain and anyone can take its account; restore its machine password, then reset krbtgt twice.",
			"Isolate %[1]s; patch %[2]s and enforce secure channels.",
		},
	}
	s[zerologon].rule = rule("zerologon", "Zerologon: secure channel forced with guessed credentials", detectors.StageLateral, s[zerologon].techniques)

	s[coercion] = sequence{
		window: 30 * time.Second,
		parts:  []part{{coerce, 5}, {cameToCaller, 4}, {cameElsewhere, 2}, {hiddenSession, 0.5}, {machineLogon, 4.5}, {certificate, 4}},
		needs: func(h has) bool {
			return h[coerce] && h.any(cameToCaller, cameElsewhere, certificate) || h[machineLogon]
		},
		techniques: []detectors.Technique{windows.ForcedAuth},
		tells:      "the server was made to log on elsewhere",
		lookAlikes: []string{
			"A print server's client registers for changes and is notified on the same host: that is the feature; domain controllers need it nowhere.",
			"Servers that manage each other by address, not name, fall back to NTLM both ways: daily and without encryption changes.",
		},
		next: []string{
			"See where %[2]s logged on in these seconds and whether that logon was relayed (certificate services, LDAP): a certificate for %[2]s's account is as good as its password.",
			"Filter EFSRPC, stop the spooler on %[2]s; demand SMB and LDAP signing and channel binding.", "Find what ran on %[1]s.",
		},
	}
	s[coercion].rule = rule("coercion", "A server made to log on elsewhere, and its logon", detectors.StageCredential, s[coercion].techniques)

	s[hive] = sequence{
		window:     usual,
		parts:      []part{{hiveSave, 6}, {tempRead, 3}, {adminTree, 0}},
		needs:      func(h has) bool { return h[hiveSave] && h[tempRead] },
		habit:      true,
		techniques: []detectors.Technique{windows.SAMDump, windows.LSASecrets, windows.AdminShares},
		tells:      "registry hives were saved and fetched, as secretsdump does",
		lookAlikes: []string{"None known: backups read their own host's hives."},
		next:       []string{"Take all local accounts' and cached credentials of %[2]s for stolen.", askUser},
	}
	s[hive].rule = rule("hive", "Registry hives saved and fetched", detectors.StageCredential, s[hive].techniques)

	execution := []kind{serviceCreate, serviceStart, taskRegister, taskRun, jobAdd, invoke, wmiExec, wmiPut, toolPipe, hiveSave}
	s[cleanup] = sequence{
		window: time.Hour,
		parts: []part{
			{logClear, 6}, {serviceCreate, 2}, {serviceStart, 1}, {taskRegister, 2}, {taskRun, 1}, {jobAdd, 2}, {invoke, 2}, {wmiExec, 2}, {wmiPut, 2},
			{toolPipe, 2}, {hiveSave, 2},
		},
		needs:      func(h has) bool { return h[logClear] && h.any(execution...) },
		habit:      true,
		techniques: []detectors.Technique{windows.ClearEventLogs},
		tells:      "an event log was cleared after remote execution",
		lookAlikes: []string{"None known: installation and clearing of logs hardly belong together."},
		next:       []string{"Read Security 1102 and System 104 on %[2]s: who cleared which log; look at forwarded logs for what was there.", askUser},
	}
	s[cleanup].rule = rule("cleanup", "Event log cleared after remote execution", detectors.StageImpairment, s[cleanup].techniques)

	s[registry] = sequence{
		window:     usual,
		parts:      []part{{registryWrite, 3}, {serviceStart, 1.5}, {taskRun, 1.5}, {shutdown, 1.5}, {wmiExec, 1.5}},
		needs:      func(h has) bool { return h[registryWrite] && h.any(serviceStart, taskRun, shutdown, wmiExec) },
		habit:      true,
		techniques: []detectors.Technique{windows.ModifyRegistry, windows.ServiceExecution},
		tells:      "the registry was written and put to effect",
		lookAlikes: []string{deployment},
		next:       []string{"On %[2]s read Security 4657 and the last write times of the keys named here.", askUser},
	}
	s[registry].rule = rule("registry", "Registry written remotely and put to effect", detectors.StageImpairment, s[registry].techniques)
	return s
}
