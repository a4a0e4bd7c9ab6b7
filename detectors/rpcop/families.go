package rpcop

import (
	"neuromast/detectors"
	"neuromast/detectors/windows"
)

// words is a family's rule and what does not change from finding to finding.
type words struct {
	rule       detectors.Rule
	lookAlikes []string
	next       []string // %[1]s the client, %[2]s the server
}

func rule(id, name string, stage detectors.Stage, t ...detectors.Technique) detectors.Rule {
	return detectors.Rule{ID: "rpc.op." + id, Name: name, Stage: stage, Techniques: t, Sides: detectors.OriginatorAlone}
}

// families is indexed by family.
var families = [numFamilies]words{
	service: {
		rule("service", "Remote service control: services created, started, changed or stopped over RPC", detectors.StageLateral,
			windows.ServiceExecution, windows.WindowsService, windows.ServiceStop, windows.AdminShares),
		[]string{
			"Software deployment, backup and endpoint agents install services so, from one server to many hosts and on many days; this client had no such history.",
			"An administrator's sc.exe or Services console: from a known administration host, and the service has a name people know.",
		},
		[]string{
			"On %[2]s read System log event 7045 (service installed) and Security 4697 at this time: name and image path of the service.",
			"Ask who used %[1]s then; if nobody did it on purpose, isolate %[1]s and %[2]s and look at what the service started.",
		},
	},
	task: {
		rule("task", "Remote scheduled task or at-job over RPC", detectors.StageLateral, windows.ScheduledTask, windows.At),
		[]string{"Deployment and backup products register tasks remotely, from one server and on many days; this client had no such history."},
		[]string{
			"On %[2]s read Security event 4698 or the TaskScheduler operational log (106, 140, 141, 200) at this time: what the task runs and as whom.",
			"Ask who used %[1]s then; if nobody did it on purpose, isolate %[2]s and look at the task's child processes.",
		},
	},
	remoteObject: {
		rule("object", "Remote execution over DCOM or WMI", detectors.StageLateral, windows.DCOM, windows.WMI, windows.WMISubscription),
		[]string{
			"Inventory and monitoring ask WMI (ExecQuery) all day and rarely call methods; Configuration Manager does, from its site server and on many days.",
			"Office automation over DCOM stays between the same two hosts for months.",
		},
		[]string{
			"On %[2]s look for children of WmiPrvSE.exe, mmc.exe, explorer.exe or DllHost.exe at this time (Security 4688, Sysmon 1), and for WMI-Activity 5861 (permanent subscription).",
			"Ask who used %[1]s then; if nobody did it on purpose, isolate both hosts.",
		},
	},
	registry: {
		rule("registry", "Remote registry written", detectors.StageImpairment, windows.ModifyRegistry),
		[]string{"Policy and inventory tools write the registry remotely from one server and on many days; this client had no such history."},
		[]string{"On %[2]s read Security 4657 and the last write times of the keys named here.", "Ask who used %[1]s then."},
	},
	secrets: {
		rule("secrets", "Credentials read over RPC: registry hives, LSA secrets, DPAPI backup key, certificates", detectors.StageCredential,
			windows.SAMDump, windows.LSASecrets, windows.PasswordStores, windows.CredentialDump, windows.Certificates, windows.AccountChange),
		[]string{
			"A user whose password was reset restores own DPAPI keys with one call to a domain controller: a notice, no alarm.",
			"Backup software saves hives of its own host, not of others.",
		},
		[]string{
			"Take every secret of %[2]s for known: local accounts, service accounts, and the domain's backup key where it is a domain controller.",
			"Find the process on %[1]s that made the calls and who started it.",
		},
	},
	accounts: {
		rule("accounts", "Accounts created or changed over RPC", detectors.StageCredential, windows.DomainAccount, windows.AccountChange),
		[]string{"Help desk and identity management change accounts from a few known hosts, daily; this client had no such history."},
		[]string{
			"On %[2]s read Security 4720, 4724, 4728, 4732, 4738 at this time: which account, and by whom.",
			"Ask that person; if they did not, disable the account and the one that changed it.",
		},
	},
	discovery: {
		rule("discovery", "Remote discovery over RPC: users, groups, sessions, shares, services", detectors.StageDiscovery,
			windows.DomainUsers, windows.DomainGroups, windows.LocalGroups, windows.ShareDiscovery, windows.SessionDiscovery, windows.UserDiscovery,
			windows.ServiceDiscovery, windows.EndpointDiscovery, windows.RegistryQuery, windows.DomainTrusts, windows.SystemDiscovery, windows.TimeDiscovery),
		[]string{
			"Administration consoles, inventory and monitoring list the same, from known hosts and on many days; this client had no such history.",
			"Opening a file server in the explorer lists its shares once and asks no more.",
		},
		[]string{
			"See what %[1]s did before and after: discovery alone is no intrusion.",
			"Ask the user of %[1]s; net.exe, PowerView and SharpHound leave process events (Security 4688, Sysmon 1).",
		},
	},
	replication: {
		rule("replication", "Directory replication by a host that is no domain controller (DCSync, DCShadow)", detectors.StageCredential,
			windows.DCSync, windows.RogueController),
		[]string{
			"A domain controller replicates so all day; %[1]s was not seen to answer as one. List all of them in domain_controllers to be sure.",
			"Directory synchronisation to a cloud pulls so from one known server: list it as if it were a controller.",
		},
		[]string{
			"If %[1]s is no domain controller nor synchronisation server: take all password hashes of the domain for stolen, krbtgt's too.",
			"On %[2]s read Security 4662 with the replication rights' GUIDs 1131f6aa and 1131f6ad: which account was used. Disable it.",
			"Isolate %[1]s.",
		},
	},
	coercion: {
		rule("coercion", "A server made to log on elsewhere (EFSRPC, spooler, DFS, shadow copy)", detectors.StageCredential, windows.ForcedAuth),
		[]string{"Print servers' clients register for changes at their own print server; EFS over RPC is hardly used by anyone."},
		[]string{
			"See where %[2]s logged on in the seconds after (SMB, HTTP) and whether that logon was relayed, as to certificate services.",
			"Stop the spooler and filter EFSRPC (RPC filters) on %[2]s; demand SMB signing and channel binding.",
		},
	},
	printing: {
		rule("printing", "Printer driver, monitor or processor installed remotely (PrintNightmare)", detectors.StageLateral,
			windows.RemoteExploit, windows.PortMonitors, windows.PrintProcessors),
		[]string{"A print server's administrator installs drivers so, from a known host; domain controllers are hardly ever print servers."},
		[]string{
			"On %[2]s look at new files below System32\\spool\\drivers and at PrintService events 316 and 808.",
			"Stop the spooler on hosts that print nothing.",
		},
	},
	logs: {
		rule("logs", "Event log cleared remotely", detectors.StageImpairment, windows.ClearEventLogs, windows.DisableEventLog),
		[]string{"Administrators rarely clear logs, and log collection never needs it."},
		[]string{"Read Security 1102 and System 104 on %[2]s: who cleared which log.", "Take what happened on %[2]s before for unlogged: look at forwarded logs and at this sensor's other findings."},
	},
	shutdown: {
		rule("shutdown", "Host shut down or restarted remotely", detectors.StageImpact, windows.Shutdown),
		[]string{"Patch management restarts hosts so, at night and on many days; this client had no such history."},
		[]string{"Read System 1074 on %[2]s: who asked for it and why."},
	},
	session: {
		rule("session", "Desktop session of another taken over or reset remotely", detectors.StageLateral, windows.SessionHijack),
		[]string{"Help desk and terminal server administration, from known hosts."},
		[]string{"Ask the user of %[1]s and the one whose session it was."},
	},
	exploit: {
		rule("exploit", "RPC request far longer than its operation has use for", detectors.StageLateral, windows.RemoteExploit),
		[]string{"None known: the operation is for the local host, and an honest request takes some hundred bytes."},
		[]string{"See whether %[2]s opened connections or a new port in the minutes after; if so it is taken over: isolate it."},
	},
}
