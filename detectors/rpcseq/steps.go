package rpcseq

import (
	"strconv"
	"strings"

	"neuromast/detectors/windows"
	"neuromast/flows"
)

// call turns an RPC call into steps, at most three.
func call(r *flows.RPC, b *flows.Batch, isController bool) (out []step) {
	stub := b.Bytes(r.Stub)
	if r.Encrypted {
		stub = nil
	}
	add := func(k kind, text, name string) {
		if name != "" {
			text += " " + strconv.Quote(name)
		}
		out = append(out, step{kind: k, text: text})
	}
	switch r.Interface {
	case windows.Svcctl:
		switch r.Opnum {
		case 12, 24, 44, 45, 60:
			narrow := r.Opnum == 24 || r.Opnum == 44
			s, _ := windows.ReadService(stub, !narrow)
			text := "svcctl CreateService (op " + strconv.Itoa(int(r.Opnum)) + ")"
			if s.Image != "" {
				text += " with image " + strconv.Quote(s.Image) + ", service"
			}
			add(serviceCreate, text, s.Name)
			if shell(s.Image) {
				add(interpreter, "its image is a command interpreter", "")
			}
			if r.Opnum == 24 {
				add(ansi, "svcctl in ANSI", "")
			}
		case 19, 31:
			add(serviceStart, "svcctl StartService (op "+strconv.Itoa(int(r.Opnum))+")", "")
		case 2:
			add(serviceDelete, "svcctl DeleteService (op 2)", "")
		}
	case windows.AtSvc:
		switch r.Opnum {
		case 0:
			add(jobAdd, "atsvc NetrJobAdd (op 0)", windows.ReadJob(stub))
		case 1:
			add(jobDelete, "atsvc NetrJobDel (op 1)", "")
		}
	case windows.TaskScheduler:
		switch r.Opnum {
		case 1:
			path, _ := windows.ReadTask(stub)
			add(taskRegister, "ITaskSchedulerService SchRpcRegisterTask (op 1)", path)
		case 12:
			add(taskRun, "ITaskSchedulerService SchRpcRun (op 12)", windows.ReadTaskPath(stub))
		case 13:
			add(taskDelete, "ITaskSchedulerService SchRpcDelete (op 13)", windows.ReadTaskPath(stub))
		}
	case windows.Activation, windows.SCMActivator:
		if r.Interface == windows.Activation && r.Opnum == 0 || r.Opnum == 3 || r.Opnum == 4 {
			add(activate, "DCOM activation (op "+strconv.Itoa(int(r.Opnum))+")", "")
			if c := windows.ActivatedClass(stub); c != "" {
				add(classKnown, "of class "+c+", which runs programs", "")
			}
		}
	case windows.Dispatch:
		if r.Opnum == 6 {
			add(invoke, "IDispatch Invoke (op 6)", "")
		}
	case windows.WbemLogin:
		if r.Opnum == 6 {
			add(wmiLogin, "IWbemLevel1Login NTLMLogin (op 6)", "")
		}
	case windows.WbemServices:
		switch r.Opnum {
		case 24, 25:
			add(wmiExec, "IWbemServices ExecMethod (op "+strconv.Itoa(int(r.Opnum))+")", "")
		case 14:
			add(wmiPut, "IWbemServices PutInstance (op 14)", "")
		}
	case windows.DRSUAPI:
		if isController {
			return nil
		}
		switch r.Opnum {
		case 0, 12, 16:
			add(drsPrepare, "drsuapi "+map[uint16]string{0: "DRSBind", 12: "DRSCrackNames", 16: "DRSDomainControllerInfo"}[r.Opnum], "")
		case 3:
			add(drsPull, "drsuapi DRSGetNCChanges (op 3)", "")
		case 4:
			add(drsUpdate, "drsuapi DRSUpdateRefs (op 4)", "")
		case 5:
			add(drsAdd, "drsuapi DRSReplicaAdd (op 5)", "")
		case 6:
			add(drsRemove, "drsuapi DRSReplicaDel (op 6)", "")
		case 17:
			add(drsEntry, "drsuapi DRSAddEntry (op 17)", "")
		}
	case windows.EFSRPC, windows.EFSLSA:
		switch r.Opnum {
		case 0, 4, 5, 6, 7, 8, 9, 12, 13, 15:
			add(coerce, "EFSRPC operation "+strconv.Itoa(int(r.Opnum)), windows.ReadPath(stub))
		}
	case windows.Spoolss:
		if r.Opnum == 62 || r.Opnum == 65 {
			add(coerce, "spoolss RpcRemoteFindFirstPrinterChangeNotification (op "+strconv.Itoa(int(r.Opnum))+")", windows.ReadPrinterListener(stub))
		}
	case windows.RemoteWinspool:
		if r.Opnum == 58 {
			add(coerce, "IRemoteWinspool RpcSyncRegisterForRemoteNotifications (op 58)", "")
		}
	case windows.NetDFS:
		if r.Opnum == 12 || r.Opnum == 13 || r.Opnum == 15 {
			add(coerce, "netdfs operation "+strconv.Itoa(int(r.Opnum)), windows.ReadPath(stub))
		}
	case windows.FSRVP:
		if r.Opnum == 8 || r.Opnum == 9 {
			add(coerce, "FssagentRpc operation "+strconv.Itoa(int(r.Opnum)), windows.ReadPath(stub))
		}
	case windows.Winreg:
		switch r.Opnum {
		case 20, 31:
			add(hiveSave, "winreg BaseRegSaveKey (op "+strconv.Itoa(int(r.Opnum))+") to file", windows.ReadRegistryName(stub))
		case 6, 22:
			add(registryWrite, "winreg "+map[uint16]string{6: "BaseRegCreateKey", 22: "BaseRegSetValue"}[r.Opnum], windows.ReadRegistryName(stub))
		case 24, 30:
			add(shutdown, "winreg BaseInitiateSystemShutdown (op "+strconv.Itoa(int(r.Opnum))+")", "")
		}
	case windows.InitShutdown:
		if r.Opnum == 0 || r.Opnum == 2 {
			add(shutdown, "InitShutdown BaseInitiateShutdown (op "+strconv.Itoa(int(r.Opnum))+")", "")
		}
	case windows.Even6:
		if r.Opnum == 6 {
			add(logClear, "even6 EvtRpcClearLog (op 6)", "")
		}
	case windows.EventLog:
		if r.Opnum == 0 || r.Opnum == 12 {
			add(logClear, "eventlog ElfrClearELF (op "+strconv.Itoa(int(r.Opnum))+")", "")
		}
	}
	return out
}

// shell says that a service's image is a command interpreter.
func shell(image string) bool {
	lower := strings.ToLower(image)
	for _, s := range []string{"%comspec%", "cmd.exe", "cmd /", "powershell", "pwsh", "mshta", "rundll32", "wscript", "cscript", "regsvr32"} {
		if strings.Contains(lower, s) {
			return true
		}
	}
	return false
}

// file turns an SMB operation into a step.
func file(s *flows.SMB, b *flows.Batch) (step, bool) {
	share := b.String(s.Share)
	share = share[strings.LastIndexByte(share, '\\')+1:]
	admin := strings.EqualFold(share, "ADMIN$") || len(share) == 2 && share[1] == '$'
	path := b.String(s.Path)
	lower := strings.ToLower(path)
	switch s.Op {
	case flows.SMBTree:
		if admin {
			return step{kind: adminTree, text: "share " + windows.Printable(share) + " opened"}, s.OK()
		}
	case flows.SMBWrite:
		head := s.Head[:min(int(s.HeadLen), len(s.Head))]
		if admin && (len(head) >= 2 && head[0] == 'M' && head[1] == 'Z' || program(lower)) {
			return step{kind: programWrite, text: "program written to " + windows.Printable(share+`\`+path), bytes: s.Bytes, total: s.Final}, !s.Answered || s.Status == 0
		}
	case flows.SMBPipe:
		if executionPipe(lower) {
			return step{kind: toolPipe, text: "pipe " + windows.Printable(path) + " opened"}, s.OK()
		}
	case flows.SMBRead:
		base := lower[strings.LastIndexByte(lower, '\\')+1:]
		switch {
		case !admin && !strings.HasPrefix(base, "__output"):
		case strings.HasSuffix(base, ".tmp") && strings.HasPrefix(lower, `system32\`):
			return step{kind: tempRead, text: "file " + windows.Printable(share+`\`+path) + " read", bytes: s.Bytes, total: s.Final}, s.OK()
		case strings.HasPrefix(base, "__"), strings.HasSuffix(base, ".tmp") && strings.HasPrefix(lower, `temp\`):
			return step{kind: outputRead, text: "output " + windows.Printable(share+`\`+path) + " read", bytes: s.Bytes, total: s.Final}, s.OK()
		}
	}
	return step{}, false
}

// program says that a name is one that Windows runs, or builds and runs.
func program(lower string) bool {
	for _, e := range []string{".exe", ".dll", ".sys", ".bat", ".cmd", ".ps1", ".vbs", ".js", ".hta", ".scr", ".sct", ".msi"} {
		if strings.HasSuffix(lower, e) {
			return true
		}
	}
	return false
}

// executionPipe says that a pipe is one of the remote execution tools'.
func executionPipe(lower string) bool {
	for _, p := range []string{"psexesvc", "remcom_", "csexecsvc", "paexec"} {
		if strings.HasPrefix(lower, p) {
			return true
		}
	}
	for _, s := range []string{"-stdin", "-stdout", "-stderr"} {
		if strings.HasSuffix(lower, s) {
			return true
		}
	}
	return false
}
