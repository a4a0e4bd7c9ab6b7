package schema

import "strings"

// tactics are the ATT&CK Enterprise tactics of version 19, which renamed TA0005 and added TA0112.
var tactics = map[string]string{
	"TA0043": "Reconnaissance", "TA0042": "Resource Development", "TA0001": "Initial Access", "TA0002": "Execution",
	"TA0003": "Persistence", "TA0004": "Privilege Escalation", "TA0005": "Stealth", "TA0112": "Defense Impairment",
	"TA0006": "Credential Access", "TA0007": "Discovery", "TA0008": "Lateral Movement", "TA0009": "Collection",
	"TA0011": "Command and Control", "TA0010": "Exfiltration", "TA0040": "Impact",
}

// techniques names the techniques whose sub-techniques the detectors may name: a finding brings the name of what it
// names itself, and needs the parent's from here.
var techniques = map[string]string{
	"T1003": "OS Credential Dumping",
	"T1021": "Remote Services",
	"T1048": "Exfiltration Over Alternative Protocol",
	"T1053": "Scheduled Task/Job",
	"T1059": "Command and Scripting Interpreter",
	"T1069": "Permission Groups Discovery",
	"T1071": "Application Layer Protocol",
	"T1074": "Data Staged",
	"T1078": "Valid Accounts",
	"T1087": "Account Discovery",
	"T1090": "Proxy",
	"T1102": "Web Service",
	"T1110": "Brute Force",
	"T1132": "Data Encoding",
	"T1136": "Create Account",
	"T1480": "Execution Guardrails",
	"T1505": "Server Software Component",
	"T1543": "Create or Modify System Process",
	"T1546": "Event Triggered Execution",
	"T1547": "Boot or Logon Autostart Execution",
	"T1550": "Use Alternate Authentication Material",
	"T1552": "Unsecured Credentials",
	"T1555": "Credentials from Password Stores",
	"T1557": "Adversary-in-the-Middle",
	"T1558": "Steal or Forge Kerberos Tickets",
	"T1560": "Archive Collected Data",
	"T1563": "Remote Service Session Hijacking",
	"T1567": "Exfiltration Over Web Service",
	"T1568": "Dynamic Resolution",
	"T1569": "System Services",
	"T1573": "Encrypted Channel",
	"T1595": "Active Scanning",
	"T1606": "Forge Web Credentials",
	"T1649": "Steal or Forge Authentication Certificates",
	"T1685": "Disable or Modify Tools",
}

// splitTechnique cuts T1021.002 into the technique and the sub-technique, empty where the id names a technique.
func splitTechnique(id string) (technique, sub string) {
	if parent, _, ok := strings.Cut(id, "."); ok {
		return parent, id
	}
	return id, ""
}

const attackSite = "https://attack.mitre.org/"
