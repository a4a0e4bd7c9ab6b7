package windows

import "neuromast/detectors"

// The ATT&CK techniques that remote administration serves, with the tactic it serves here (Enterprise v19).
var (
	AdminShares       = detectors.Technique{ID: "T1021.002", Name: "SMB/Windows Admin Shares", Tactic: "TA0008"}
	DCOM              = detectors.Technique{ID: "T1021.003", Name: "Distributed Component Object Model", Tactic: "TA0008"}
	ToolTransfer      = detectors.Technique{ID: "T1570", Name: "Lateral Tool Transfer", Tactic: "TA0008"}
	RemoteExploit     = detectors.Technique{ID: "T1210", Name: "Exploitation of Remote Services", Tactic: "TA0008"}
	SessionHijack     = detectors.Technique{ID: "T1563.002", Name: "RDP Hijacking", Tactic: "TA0008"}
	ServiceExecution  = detectors.Technique{ID: "T1569.002", Name: "Service Execution", Tactic: "TA0002"}
	At                = detectors.Technique{ID: "T1053.002", Name: "At", Tactic: "TA0002"}
	ScheduledTask     = detectors.Technique{ID: "T1053.005", Name: "Scheduled Task", Tactic: "TA0002"}
	WMI               = detectors.Technique{ID: "T1047", Name: "Windows Management Instrumentation", Tactic: "TA0002"}
	WindowsService    = detectors.Technique{ID: "T1543.003", Name: "Windows Service", Tactic: "TA0003"}
	WMISubscription   = detectors.Technique{ID: "T1546.003", Name: "Windows Management Instrumentation Event Subscription", Tactic: "TA0003"}
	PortMonitors      = detectors.Technique{ID: "T1547.010", Name: "Port Monitors", Tactic: "TA0003"}
	PrintProcessors   = detectors.Technique{ID: "T1547.012", Name: "Print Processors", Tactic: "TA0003"}
	DomainAccount     = detectors.Technique{ID: "T1136.002", Name: "Domain Account", Tactic: "TA0003"}
	AccountChange     = detectors.Technique{ID: "T1098", Name: "Account Manipulation", Tactic: "TA0003"}
	SAMDump           = detectors.Technique{ID: "T1003.002", Name: "Security Account Manager", Tactic: "TA0006"}
	NTDSDump          = detectors.Technique{ID: "T1003.003", Name: "NTDS", Tactic: "TA0006"}
	LSASecrets        = detectors.Technique{ID: "T1003.004", Name: "LSA Secrets", Tactic: "TA0006"}
	LSASSMemory       = detectors.Technique{ID: "T1003.001", Name: "LSASS Memory", Tactic: "TA0006"}
	CredentialDump    = detectors.Technique{ID: "T1003", Name: "OS Credential Dumping", Tactic: "TA0006"}
	DCSync            = detectors.Technique{ID: "T1003.006", Name: "DCSync", Tactic: "TA0006"}
	PolicyPasswords   = detectors.Technique{ID: "T1552.006", Name: "Group Policy Preferences", Tactic: "TA0006"}
	PasswordStores    = detectors.Technique{ID: "T1555", Name: "Credentials from Password Stores", Tactic: "TA0006"}
	ForcedAuth        = detectors.Technique{ID: "T1187", Name: "Forced Authentication", Tactic: "TA0006"}
	Certificates      = detectors.Technique{ID: "T1649", Name: "Steal or Forge Authentication Certificates", Tactic: "TA0006"}
	RogueController   = detectors.Technique{ID: "T1207", Name: "Rogue Domain Controller", Tactic: "TA0112"}
	ModifyRegistry    = detectors.Technique{ID: "T1112", Name: "Modify Registry", Tactic: "TA0112"}
	ClearEventLogs    = detectors.Technique{ID: "T1685.005", Name: "Clear Windows Event Logs", Tactic: "TA0112"}
	DisableEventLog   = detectors.Technique{ID: "T1685.001", Name: "Disable Windows Event Logging", Tactic: "TA0112"}
	DomainUsers       = detectors.Technique{ID: "T1087.002", Name: "Domain Account", Tactic: "TA0007"}
	DomainGroups      = detectors.Technique{ID: "T1069.002", Name: "Domain Groups", Tactic: "TA0007"}
	LocalGroups       = detectors.Technique{ID: "T1069.001", Name: "Local Groups", Tactic: "TA0007"}
	DomainTrusts      = detectors.Technique{ID: "T1482", Name: "Domain Trust Discovery", Tactic: "TA0007"}
	ShareDiscovery    = detectors.Technique{ID: "T1135", Name: "Network Share Discovery", Tactic: "TA0007"}
	SessionDiscovery  = detectors.Technique{ID: "T1049", Name: "System Network Connections Discovery", Tactic: "TA0007"}
	FileDiscovery     = detectors.Technique{ID: "T1083", Name: "File and Directory Discovery", Tactic: "TA0007"}
	UserDiscovery     = detectors.Technique{ID: "T1033", Name: "System Owner/User Discovery", Tactic: "TA0007"}
	SystemDiscovery   = detectors.Technique{ID: "T1082", Name: "System Information Discovery", Tactic: "TA0007"}
	TimeDiscovery     = detectors.Technique{ID: "T1124", Name: "System Time Discovery", Tactic: "TA0007"}
	ServiceDiscovery  = detectors.Technique{ID: "T1007", Name: "System Service Discovery", Tactic: "TA0007"}
	EndpointDiscovery = detectors.Technique{ID: "T1046", Name: "Network Service Discovery", Tactic: "TA0007"}
	RegistryQuery     = detectors.Technique{ID: "T1012", Name: "Query Registry", Tactic: "TA0007"}
	ServiceStop       = detectors.Technique{ID: "T1489", Name: "Service Stop", Tactic: "TA0040"}
	Shutdown          = detectors.Technique{ID: "T1529", Name: "System Shutdown/Reboot", Tactic: "TA0040"}
	Encrypted         = detectors.Technique{ID: "T1486", Name: "Data Encrypted for Impact", Tactic: "TA0040"}
	FileProtocolC2    = detectors.Technique{ID: "T1071.002", Name: "File Transfer Protocols", Tactic: "TA0011"}
)
