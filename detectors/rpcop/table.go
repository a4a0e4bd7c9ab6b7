package rpcop

import (
	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
)

// family groups operations that tell one thing: a finding is about one family.
type family uint8

// The families, in the order of the rules.
const (
	service family = iota
	task
	remoteObject
	registry
	secrets
	accounts
	discovery
	replication
	coercion
	printing
	logs
	shutdown
	session
	exploit
	numFamilies
)

// operation is one row: what calling it means when the caller never did so before.
type operation struct {
	num        uint16
	name       string
	what       string // what a caller does with it, after "to "
	family     family
	weight     float64 // nats
	techniques []detectors.Technique
	only       condition
}

// condition is what else a row demands.
type condition uint8

// The conditions.
const (
	always       condition = iota
	notDC                  // the caller is not a domain controller
	stopCode               // the control code says stop, or is sealed
	allEntries             // the inquiry asks for everything, or much was answered
	longStub               // the request is longer than the operation has use for
	longUnproved           // so, and nobody has logged on before it
	noPrinter              // the caller is no client of a printer there
)

// iface is an interface with its rows.
type iface struct {
	id   flows.UUID
	name string
	ops  []operation
}

func on(t ...detectors.Technique) []detectors.Technique { return t }

// table holds the operations that mean something, from the interfaces' IDL; weights in nats are our first guesses,
// corrected where a comment says so. What one sees in honest networks all day weighs less than a nat.
var table = []iface{
	{windows.Svcctl, "svcctl", []operation{
		{12, "CreateServiceW", "create a service", service, 4, on(windows.ServiceExecution, windows.WindowsService), always},
		{24, "CreateServiceA", "create a service", service, 4, on(windows.ServiceExecution, windows.WindowsService), always},
		{44, "CreateServiceWOW64A", "create a service", service, 4, on(windows.ServiceExecution, windows.WindowsService), always},
		{45, "CreateServiceWOW64W", "create a service", service, 4, on(windows.ServiceExecution, windows.WindowsService), always},
		{60, "CreateWowService", "create a service", service, 4, on(windows.ServiceExecution, windows.WindowsService), always},
		{11, "ChangeServiceConfigW", "repurpose a service", service, 3, on(windows.ServiceExecution, windows.WindowsService), always},
		{23, "ChangeServiceConfigA", "repurpose a service", service, 3, on(windows.ServiceExecution, windows.WindowsService), always},
		{19, "StartServiceW", "start a service", service, 3, on(windows.ServiceExecution), always},
		{31, "StartServiceA", "start a service", service, 3, on(windows.ServiceExecution), always},
		{2, "DeleteService", "delete a service", service, 2, on(windows.ServiceExecution), always},
		// Not in the first table; a client without history that stops a service does so rarely enough to be an alarm.
		{1, "ControlService", "stop a service", service, 3, on(windows.ServiceStop), stopCode},
		// Listing and asking weigh a nat together, not alone: monitoring does it too, but from one known host.
		{14, "EnumServicesStatusW", "list services", discovery, 1, on(windows.ServiceDiscovery), always},
		{26, "EnumServicesStatusA", "list services", discovery, 1, on(windows.ServiceDiscovery), always},
		{42, "EnumServicesStatusExW", "list services", discovery, 1, on(windows.ServiceDiscovery), always},
		{6, "QueryServiceStatus", "ask for a service's state", discovery, 0.7, on(windows.ServiceDiscovery), always},
		{40, "QueryServiceStatusEx", "ask for a service's state", discovery, 0.7, on(windows.ServiceDiscovery), always},
		{17, "QueryServiceConfigW", "ask for a service's configuration", discovery, 0.7, on(windows.ServiceDiscovery), always},
		{16, "OpenServiceW", "open a service", discovery, 0.5, on(windows.ServiceDiscovery), always},
		{28, "OpenServiceA", "open a service", discovery, 0.5, on(windows.ServiceDiscovery), always},
		{15, "OpenSCManagerW", "open the service manager", discovery, 0.5, on(windows.ServiceDiscovery, windows.LocalGroups), always},
		{27, "OpenSCManagerA", "open the service manager", discovery, 0.5, on(windows.ServiceDiscovery, windows.LocalGroups), always},
		{64, "OpenSCManager2", "open the service manager", discovery, 0.5, on(windows.ServiceDiscovery, windows.LocalGroups), always},
	}},
	{windows.AtSvc, "atsvc", []operation{
		{0, "NetrJobAdd", "schedule a job", task, 5, on(windows.At), always},
		{1, "NetrJobDel", "delete a job", task, 2, on(windows.At), always},
		{2, "NetrJobEnum", "list jobs", task, 0.7, on(windows.At), always},
	}},
	{windows.TaskScheduler, "ITaskSchedulerService", []operation{
		{1, "SchRpcRegisterTask", "register a task", task, 4, on(windows.ScheduledTask), always},
		{12, "SchRpcRun", "run a task", task, 4, on(windows.ScheduledTask), always},
		{13, "SchRpcDelete", "delete a task", task, 4, on(windows.ScheduledTask), always},
		{19, "SchRpcEnableTask", "enable a task", task, 4, on(windows.ScheduledTask), always},
		{7, "SchRpcEnumTasks", "list tasks", task, 0.7, on(windows.ScheduledTask), always},
	}},
	{windows.Winreg, "winreg", []operation{
		{20, "BaseRegSaveKey", "save a registry hive to a file", secrets, 6, on(windows.SAMDump, windows.LSASecrets), always},
		{31, "BaseRegSaveKeyEx", "save a registry hive to a file", secrets, 6, on(windows.SAMDump, windows.LSASecrets), always},
		{6, "BaseRegCreateKey", "create or open a registry key for writing", registry, 3, on(windows.ModifyRegistry), always},
		{22, "BaseRegSetValue", "write a registry value", registry, 3, on(windows.ModifyRegistry), always},
		{17, "BaseRegQueryValue", "read a registry value", discovery, 0.7, on(windows.RegistryQuery), always},
		{9, "BaseRegEnumKey", "list registry keys", discovery, 0.7, on(windows.RegistryQuery), always},
		{24, "BaseInitiateSystemShutdown", "shut the system down", shutdown, 3, on(windows.Shutdown), always},
		{30, "BaseInitiateSystemShutdownEx", "shut the system down", shutdown, 3, on(windows.Shutdown), always},
	}},
	{windows.SAMR, "samr", []operation{
		// Whole lists were 0.7 in the first table: raised to 1, since they are the one call of four captured
		// discoveries and of no honest capture.
		{13, "SamrEnumerateUsersInDomain", "list all users", discovery, 1, on(windows.DomainUsers), always},
		{11, "SamrEnumerateGroupsInDomain", "list all groups", discovery, 1, on(windows.DomainGroups), always},
		{15, "SamrEnumerateAliasesInDomain", "list local groups", discovery, 1, on(windows.LocalGroups, windows.DomainGroups), always},
		{25, "SamrGetMembersInGroup", "list a group's members", discovery, 0.7, on(windows.DomainGroups), always},
		{33, "SamrGetMembersInAlias", "list a local group's members", discovery, 0.7, on(windows.LocalGroups, windows.DomainGroups), always},
		{40, "SamrQueryDisplayInformation2", "list accounts", discovery, 0.7, on(windows.DomainUsers), always},
		{48, "SamrQueryDisplayInformation3", "list accounts", discovery, 0.7, on(windows.DomainUsers), always},
		{51, "SamrQueryDisplayInformation", "list accounts", discovery, 0.7, on(windows.DomainUsers), always},
		{17, "SamrLookupNamesInDomain", "look up account names", discovery, 0.7, on(windows.DomainUsers, windows.DomainGroups), always},
		// Added: what net.exe asks beside the members (two captures).
		{18, "SamrLookupIdsInDomain", "look up account ids", discovery, 0.5, on(windows.DomainUsers, windows.DomainGroups), always},
		{20, "SamrQueryInformationGroup", "ask about a group", discovery, 0.5, on(windows.DomainGroups), always},
		{12, "SamrCreateUserInDomain", "create an account", accounts, 3, on(windows.DomainAccount), always},
		{50, "SamrCreateUser2InDomain", "create an account", accounts, 3, on(windows.DomainAccount), always},
		{22, "SamrAddMemberToGroup", "add a member to a group", accounts, 3, on(windows.AccountChange), always},
		{31, "SamrAddMemberToAlias", "add a member to a local group", accounts, 3, on(windows.AccountChange), always},
		{37, "SamrSetInformationUser", "change an account", accounts, 3, on(windows.AccountChange), always},
		{58, "SamrSetInformationUser2", "change an account", accounts, 3, on(windows.AccountChange), always},
		{38, "SamrChangePasswordUser", "change a password", accounts, 3, on(windows.AccountChange), always},
		{54, "SamrOemChangePasswordUser2", "change a password", accounts, 3, on(windows.AccountChange), always},
		// A user who changes their own password makes just this call, so 0.7 in place of the first table's 3.
		{55, "SamrUnicodeChangePasswordUser2", "change a password", accounts, 0.7, on(windows.AccountChange), always},
	}},
	{windows.LSARPC, "lsarpc", []operation{
		{43, "LsarRetrievePrivateData", "read an LSA secret", secrets, 5, on(windows.LSASecrets, windows.PasswordStores), always},
		{28, "LsarOpenSecret", "open an LSA secret", secrets, 3, on(windows.LSASecrets), always},
		{29, "LsarSetSecret", "write an LSA secret", secrets, 3, on(windows.LSASecrets, windows.AccountChange), always},
		{30, "LsarQuerySecret", "read an LSA secret", secrets, 3, on(windows.LSASecrets), always},
		{15, "LsarLookupSids", "look up SIDs", discovery, 0.3, on(windows.DomainUsers), always},
		{57, "LsarLookupSids2", "look up SIDs", discovery, 0.3, on(windows.DomainUsers), always},
		// SIDs and names are looked up at every logon (three of the honest captures): 0.3 in place of 0.5 and 0.7.
		{76, "LsarLookupSids3", "look up SIDs", discovery, 0.3, on(windows.DomainUsers), always},
		{14, "LsarLookupNames", "look up names", discovery, 0.3, on(windows.DomainUsers), always},
		{58, "LsarLookupNames2", "look up names", discovery, 0.3, on(windows.DomainUsers), always},
		{68, "LsarLookupNames3", "look up names", discovery, 0.3, on(windows.DomainUsers), always},
		{77, "LsarLookupNames4", "look up names", discovery, 0.3, on(windows.DomainUsers), always},
		{50, "LsarEnumerateTrustedDomainsEx", "list domain trusts", discovery, 0.7, on(windows.DomainTrusts), always},
		{11, "LsarEnumerateAccounts", "list accounts with rights", discovery, 0.7, on(windows.DomainUsers), always},
		{37, "LsarAddAccountRights", "give an account rights", accounts, 3, on(windows.AccountChange), always},
	}},
	{windows.DRSUAPI, "drsuapi", []operation{
		{3, "DRSGetNCChanges", "replicate the directory with its password hashes", replication, 9, on(windows.DCSync), notDC},
		{4, "DRSUpdateRefs", "register as replication partner", replication, 9, on(windows.RogueController), notDC},
		{5, "DRSReplicaAdd", "make the controller replicate from a new source", replication, 9, on(windows.RogueController), notDC},
		{17, "DRSAddEntry", "register as domain controller", replication, 9, on(windows.RogueController), notDC},
		{20, "DRSAddSidHistory", "add a SID to an account's history", accounts, 5, on(windows.AccountChange), always},
		{6, "DRSReplicaDel", "remove a replication source", replication, 3, on(windows.RogueController), notDC},
	}},
	{windows.Netlogon, "netlogon", []operation{
		// ReqChallenge and Authenticate belong to every secure channel; their repetition is rule rpc.seq.zerologon. Names
		// are of 256 characters at most; what is far longer is no name.
		{4, "NetrServerReqChallenge", "overrun a server before the log-in", exploit, 4, on(windows.RemoteExploit), longUnproved},
		{15, "NetrServerAuthenticate2", "overrun a server before the log-in", exploit, 4, on(windows.RemoteExploit), longUnproved},
		{26, "NetrServerAuthenticate3", "overrun a server before the log-in", exploit, 4, on(windows.RemoteExploit), longUnproved},
		{31, "NetrServerPasswordGet", "read a machine's password", secrets, 6, on(windows.CredentialDump), notDC},
		{42, "NetrServerTrustPasswordsGet", "read a trust's password", secrets, 6, on(windows.CredentialDump), notDC},
	}},
	{windows.EFSRPC, "efsrpc", coercive("EfsRpc")},
	{windows.EFSLSA, "efsrpc", coercive("EfsRpc")},
	{windows.Spoolss, "spoolss", []operation{
		{62, "RpcRemoteFindFirstPrinterChangeNotification", "make the server log on elsewhere", coercion, 5, on(windows.ForcedAuth), noPrinter},
		{65, "RpcRemoteFindFirstPrinterChangeNotificationEx", "make the server log on elsewhere", coercion, 5, on(windows.ForcedAuth), noPrinter},
		{9, "RpcAddPrinterDriver", "install a printer driver", printing, 4, on(windows.RemoteExploit), always},
		{89, "RpcAddPrinterDriverEx", "install a printer driver", printing, 4, on(windows.RemoteExploit), always},
		{1, "RpcOpenPrinter", "overrun a server before the log-in", exploit, 4, on(windows.RemoteExploit), longUnproved},
		{0, "RpcEnumPrinters", "overrun a server before the log-in", exploit, 4, on(windows.RemoteExploit), longUnproved},
		{46, "RpcAddMonitor", "install a port monitor", printing, 4, on(windows.PortMonitors), always},
		{14, "RpcAddPrintProcessor", "install a print processor", printing, 4, on(windows.PrintProcessors), always},
	}},
	{windows.RemoteWinspool, "IRemoteWinspool", []operation{
		{39, "RpcAsyncAddPrinterDriver", "install a printer driver", printing, 4, on(windows.RemoteExploit), always},
		{62, "RpcAsyncInstallPrinterDriverFromPackage", "install a printer driver", printing, 4, on(windows.RemoteExploit), always},
		{51, "RpcAsyncAddMonitor", "install a port monitor", printing, 4, on(windows.PortMonitors), always},
		{44, "RpcAsyncAddPrintProcessor", "install a print processor", printing, 4, on(windows.PrintProcessors), always},
		{58, "RpcSyncRegisterForRemoteNotifications", "make the server log on elsewhere", coercion, 4, on(windows.ForcedAuth), always},
	}},
	{windows.NetDFS, "netdfs", []operation{
		{12, "NetrDfsAddStdRoot", "make the server log on elsewhere", coercion, 6, on(windows.ForcedAuth), always},
		{13, "NetrDfsRemoveStdRoot", "make the server log on elsewhere", coercion, 6, on(windows.ForcedAuth), always},
		{15, "NetrDfsAddStdRootForced", "make the server log on elsewhere", coercion, 6, on(windows.ForcedAuth), always},
	}},
	{windows.FSRVP, "FssagentRpc", []operation{
		{8, "IsPathSupported", "make the server log on elsewhere", coercion, 5, on(windows.ForcedAuth), always},
		{9, "IsPathShadowCopied", "make the server log on elsewhere", coercion, 5, on(windows.ForcedAuth), always},
	}},
	{windows.Srvsvc, "srvsvc", []operation{
		{12, "NetrSessionEnum", "list who has sessions", discovery, 0.7, on(windows.SessionDiscovery), always},
		// One look at the shares is what every file browser does.
		{15, "NetrShareEnum", "list shares", discovery, 0.5, on(windows.ShareDiscovery), always},
		{16, "NetrShareGetInfo", "ask about a share", discovery, 0.2, on(windows.ShareDiscovery), always},
		{8, "NetrConnectionEnum", "list connections", discovery, 0.7, on(windows.SessionDiscovery), always},
		{9, "NetrFileEnum", "list open files", discovery, 0.7, on(windows.SessionDiscovery), always},
		{21, "NetrServerGetInfo", "ask about the server", discovery, 0.2, on(windows.SystemDiscovery), always},
		{28, "NetrRemoteTOD", "ask for the time", discovery, 0.2, on(windows.TimeDiscovery), always},
		{14, "NetrShareAdd", "open a share", service, 2, on(windows.AdminShares), always},
	}},
	{windows.Wkssvc, "wkssvc", []operation{
		{2, "NetrWkstaUserEnum", "list who is logged on", discovery, 0.7, on(windows.UserDiscovery), always},
		// A file browser asks so of every server it opens (one honest capture): 0.2 in place of 0.7.
		{0, "NetrWkstaGetInfo", "ask about the host", discovery, 0.2, on(windows.SystemDiscovery), always},
	}},
	{windows.EndpointMapper, "epmapper", []operation{
		// A client that looks one interface up so is honest (one capture); one that asks for all is not.
		{2, "ept_lookup", "list all RPC endpoints", discovery, 1, on(windows.EndpointDiscovery), allEntries},
	}},
	{windows.Activation, "IActivation", []operation{
		{0, "RemoteActivation", "activate a DCOM object", remoteObject, 1.5, on(windows.DCOM), always},
	}},
	{windows.SCMActivator, "IRemoteSCMActivator", []operation{
		{3, "RemoteGetClassObject", "activate a DCOM class", remoteObject, 1.5, on(windows.DCOM), always},
		{4, "RemoteCreateInstance", "activate a DCOM object", remoteObject, 1.5, on(windows.DCOM), always},
	}},
	{windows.Dispatch, "IDispatch", []operation{
		{5, "GetIDsOfNames", "look up a method of a DCOM object", remoteObject, 3, on(windows.DCOM), always},
		{6, "Invoke", "call a method of a DCOM object", remoteObject, 4, on(windows.DCOM), always},
	}},
	{windows.WbemLogin, "IWbemLevel1Login", []operation{
		{6, "NTLMLogin", "open a WMI session", remoteObject, 1, on(windows.WMI), always},
	}},
	{windows.WbemServices, "IWbemServices", []operation{
		{24, "ExecMethod", "call a WMI method, as to start a process", remoteObject, 4, on(windows.WMI), always},
		{25, "ExecMethodAsync", "call a WMI method, as to start a process", remoteObject, 4, on(windows.WMI), always},
		{14, "PutInstance", "write a WMI object, as an event subscription", remoteObject, 4, on(windows.WMI, windows.WMISubscription), always},
		{20, "ExecQuery", "ask WMI", remoteObject, 0.3, on(windows.WMI), always},
	}},
	{windows.Even6, "even6", []operation{
		{6, "EvtRpcClearLog", "clear an event log", logs, 6, on(windows.ClearEventLogs), always},
		{7, "EvtRpcExportLog", "export an event log", logs, 2, on(windows.ClearEventLogs), always},
	}},
	{windows.EventLog, "eventlog", []operation{
		{0, "ElfrClearELFW", "clear an event log", logs, 6, on(windows.ClearEventLogs), always},
		{12, "ElfrClearELFA", "clear an event log", logs, 6, on(windows.ClearEventLogs), always},
	}},
	{windows.InitShutdown, "InitShutdown", []operation{
		{0, "BaseInitiateShutdown", "shut the system down", shutdown, 2, on(windows.Shutdown), always},
		{2, "BaseInitiateShutdownEx", "shut the system down", shutdown, 2, on(windows.Shutdown), always},
	}},
	{windows.WindowsShut, "WindowsShutdown", []operation{
		{0, "WsdrInitiateShutdown", "shut the system down", shutdown, 2, on(windows.Shutdown), always},
	}},
	{windows.BackupKey, "BackupKey", []operation{
		// Restoring one's own keys after a password reset makes this call too, so it is a notice and no alarm.
		{0, "BackuprKey", "use the domain's DPAPI backup key", secrets, 1, on(windows.PasswordStores), always},
	}},
	{windows.CertPassage, "ICertPassage", []operation{
		{0, "CertServerRequest", "ask for a certificate", secrets, 0.3, on(windows.Certificates), always},
	}},
	{windows.TermsrvLegacy, "LegacyAPI", []operation{
		{9, "RpcWinStationConnect", "take over a desktop session", session, 2, on(windows.SessionHijack), always},
		{14, "RpcWinStationReset", "reset a desktop session", session, 2, on(windows.SessionHijack), always},
	}},
	{windows.DsSetup, "dssetup", append([]operation{
		// The host's own role is upgraded locally; a long name overflows its log in LSASS (MS04-011).
		{9, "DsRolerUpgradeDownlevelServer", "upgrade a server's role", exploit, 5, on(windows.RemoteExploit), longStub},
	}, roles()...)},
	{windows.MimiCom, "mimikatz", []operation{
		{2, "MimiCommand", "run a command of the credential thief mimikatz", secrets, 9, on(windows.CredentialDump), always},
	}},
}

// coercive returns the rows of EFSRPC (MS-EFSR 3.1.4.2): each takes a UNC path that the server then opens.
func coercive(prefix string) []operation {
	var out []operation
	for _, r := range []struct {
		num  uint16
		name string
	}{
		{0, "OpenFileRaw"}, {4, "EncryptFileSrv"}, {5, "DecryptFileSrv"}, {6, "QueryUsersOnFile"}, {7, "QueryRecoveryAgents"},
		{8, "RemoveUsersFromFile"}, {9, "AddUsersToFile"}, {12, "FileKeyInfo"}, {13, "DuplicateEncryptionInfoFile"}, {15, "AddUsersToFileEx"},
	} {
		out = append(out, operation{r.num, prefix + r.name, "make the server log on elsewhere", coercion, 6, on(windows.ForcedAuth), always})
	}
	return out
}

// roles returns the other operations of dssetup that serve the local host only: a long request from afar is none of theirs.
// The first one (number 0) is asked by everybody.
func roles() (out []operation) {
	for i, name := range []string{
		"DnsNameToFlatName", "DcAsDc", "DcAsReplica", "DemoteDc", "GetDcOperationProgress", "GetDcOperationResults", "Cancel", "ServerSaveStateForUpgrade",
	} {
		out = append(out, operation{uint16(1 + i), "DsRoler" + name, "overrun a server before the log-in", exploit, 4, on(windows.RemoteExploit), longUnproved})
	}
	return append(out, operation{10, "DsRolerAbortDownlevelServerUpgrade", "overrun a server before the log-in", exploit, 4, on(windows.RemoteExploit), longUnproved})
}

// row finds an operation by interface and number.
type row struct {
	iface *iface
	op    *operation
	index uint64 // of the row in the table: what a habit is about
}

type rowKey struct {
	id  flows.UUID
	num uint16
}

// index returns the table by interface and number.
func index() map[rowKey]row {
	out := map[rowKey]row{}
	n := uint64(0)
	for i := range table {
		for k := range table[i].ops {
			n++
			op := &table[i].ops[k]
			out[rowKey{table[i].id, op.num}] = row{&table[i], op, n}
		}
	}
	return out
}
