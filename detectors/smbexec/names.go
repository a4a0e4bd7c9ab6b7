package smbexec

import (
	"slices"
	"strings"

	"neuromast/flows"
)

// shareName is the last part of a UNC path.
func shareName(unc string) string {
	return unc[strings.LastIndexByte(unc, '\\')+1:]
}

// administrative says that a share is one of those that Windows makes for administrators: ADMIN$ or a drive's.
func administrative(share string) bool {
	return strings.EqualFold(share, "ADMIN$") || len(share) == 2 && share[1] == '$' && letter(share[0])
}

const archive = "archive (PK)"

// magic names what a file is by its first bytes; empty where they don't tell of a program.
func magic(s *flows.SMB) string {
	b := s.Head[:min(int(s.HeadLen), len(s.Head))]
	switch {
	case len(b) >= 2 && b[0] == 'M' && b[1] == 'Z':
		return "Windows program (MZ)"
	case len(b) >= 4 && string(b[:4]) == "\x7fELF":
		return "Unix program (ELF)"
	case len(b) >= 4 && string(b[:4]) == "PK\x03\x04":
		return archive
	case len(b) >= 8 && string(b[:8]) == "<Project":
		return "MSBuild project"
	}
	return ""
}

// programs are extensions that Windows runs.
var programs = []string{
	".exe", ".dll", ".sys", ".scr", ".cpl", ".com", ".pif", ".msi", ".bat", ".cmd", ".ps1", ".psm1", ".vbs", ".vbe", ".js", ".jse",
	".wsf", ".wsh", ".hta", ".sct", ".lnk",
}

// documents are extensions of archives that people write.
var documents = []string{".docx", ".docm", ".xlsx", ".xlsm", ".pptx", ".pptm", ".vsdx", ".odt", ".ods", ".odp", ".odg", ".epub", ".sketch"}

// packed are extensions of archives that are run or installed as they are.
var packed = []string{".jar", ".war", ".msix", ".msixbundle", ".appx", ".appxbundle", ".nupkg", ".xll", ".xpi", ".whl"}

// trusted are folders of a drive, in lower case, where people keep no documents: an archive there is brought to be used.
var trusted = []string{`windows\`, `winnt\`, `program files\`, `program files (x86)\`, `programdata\`, `perflogs\`, `temp\`, `tmp\`, `users\public\`, `$recycle.bin\`}

// document says that an archive (PK) is more likely a document, or something that people packed: documents of today are such
// archives, word processors first write them under names like ~WRD1234.tmp. On a drive's share that is so everywhere
// but in its root and the system's own folders; ADMIN$ is such a folder as a whole.
func document(share, lower string) bool {
	ends := func(e string) bool { return strings.HasSuffix(lower, e) }
	starts := func(p string) bool { return strings.HasPrefix(lower, p) }
	switch {
	case len(share) != 2:
		return false
	case slices.ContainsFunc(documents, ends):
		return true
	case slices.ContainsFunc(packed, ends), !strings.Contains(lower, `\`):
		return false
	}
	return !slices.ContainsFunc(trusted, starts)
}

// program names what a file is by its first bytes, else by its name.
func program(s *flows.SMB, share, lower string) string {
	if m := magic(s); m != "" && (m != archive || !document(share, lower)) {
		return m
	}
	for _, e := range programs {
		if strings.HasSuffix(lower, e) {
			return "program by its name (" + e + ")"
		}
	}
	return ""
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '\\')+1:] }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return len(s) > 0
}

// output names the kind of tool whose output a file looks like; lower is path in lower case, admin says that the share is
// an administrative one.
func output(path, lower string, admin bool) (what string, weight float64) {
	base := baseName(path)
	switch {
	case strings.HasPrefix(base, "__output"):
		if tail := strings.TrimPrefix(base[len("__output"):], "_"); tail == "" || len(tail) == 8 && all(tail, letter) {
			return "output of a remote shell through services (__output)", 6
		}
	case strings.HasPrefix(base, "__"):
		whole, fraction, ok := strings.Cut(base[2:], ".")
		if (ok && all(fraction, digit) || !ok) && len(whole) >= 9 && len(whole) <= 11 && all(whole, digit) {
			return "output of a remote shell through WMI (two underscores and a Unix time)", 6
		}
		if admin && base == path {
			return "file with two underscores in the root of an administrative share", 3
		}
	case admin && strings.HasPrefix(lower, `temp\`) && randomTemp(path[len(`temp\`):]):
		return `output of a remote task (Temp\ and eight letters .tmp)`, 6
	}
	return "", 0
}

// randomTemp says that a name is eight letters and .tmp.
func randomTemp(name string) bool {
	return len(name) == 12 && strings.EqualFold(name[8:], ".tmp") && all(name[:8], letter)
}

// secret names the credentials that a file holds, by its path in lower case.
func secret(lower string, admin bool) string {
	base := baseName(lower)
	switch {
	case base == "ntds.dit":
		return "the domain's password database (NTDS.dit)"
	case strings.HasSuffix(lower, `config\sam`), strings.HasSuffix(lower, `config\security`), strings.HasSuffix(lower, `config\system`):
		return "a registry hive with password hashes (config)"
	case strings.HasPrefix(base, "lsass") && strings.HasSuffix(base, ".dmp"):
		return "an image of the memory of LSASS"
	case base == "hiberfil.sys":
		return "an image of the host's memory (hiberfil.sys)"
	case admin && strings.HasPrefix(lower, `system32\`) && randomTemp(lower[len(`system32\`):]):
		return `a saved registry hive (System32\ and eight letters .tmp)`
	}
	return ""
}

// preferences are files of Group Policy preferences that can hold passwords (MS-GPPREF 2.2.1).
var preferences = []string{
	`\groups\groups.xml`, `\services\services.xml`, `\scheduledtasks\scheduledtasks.xml`, `\datasources\datasources.xml`,
	`\printers\printers.xml`, `\drives\drives.xml`,
}

// preference says that a path in lower case is one of them.
func preference(lower string) bool {
	if !strings.HasSuffix(lower, ".xml") {
		return false
	}
	for _, p := range preferences {
		if strings.HasSuffix(lower, p) && strings.Contains(lower, `\preferences\`) {
			return true
		}
	}
	return false
}

// toolPipes are pipes that remote execution tools open, in lower case: as prefix where they end with *.
var toolPipes = []string{"psexesvc*", "remcom_communicaton", "remcom_std*", "csexecsvc*", "paexec*"}

// frameworkPipes are default pipes of command-and-control frameworks.
var frameworkPipes = []string{"postex_*", "msagent_*", "status_*", "mojo.5688.8052.*", "gruntsvc", "dsernamepipe*"}

// rpcPipes are pipes of Windows' own RPC interfaces.
var rpcPipes = []string{
	"samr", "lsarpc", "netlogon", "srvsvc", "wkssvc", "browser", "netdfs", "svcctl", "ntsvcs", "spoolss", "winreg", "atsvc", "epmapper",
	"protected_storage", "eventlog", "efsrpc", "scerpc", "trkwks",
}

// pipe says what a pipe's name tells.
func pipe(name string) (what string, k kind) {
	lower := strings.ToLower(name)
	for _, suffix := range []string{"-stdin", "-stdout", "-stderr"} {
		if strings.HasSuffix(lower, suffix) && len(lower) > len(suffix) {
			return "streams of a remote execution tool", toolPipe
		}
	}
	switch {
	case matches(lower, toolPipes):
		return "remote execution tool", toolPipe
	case matches(lower, frameworkPipes), strings.HasPrefix(lower, "msse-") && strings.HasSuffix(lower, "-server"):
		return "default pipe of a command-and-control framework", frameworkPipe
	}
	for _, p := range rpcPipes {
		if suffix := strings.TrimPrefix(lower, p); len(suffix) < len(lower) && odd(suffix) {
			return "name of pipe " + p + " with a suffix", suffixedPipe
		}
	}
	return "", 0
}

// odd says that a suffix is an underscore and letters, or hexadecimal digits, of eight at most.
func odd(suffix string) bool {
	tail := strings.TrimPrefix(suffix, "_")
	if tail == "" || len(tail) > 8 {
		return false
	}
	hexadecimal := func(c byte) bool { return digit(c) || c >= 'a' && c <= 'f' }
	return all(tail, hexadecimal) || tail != suffix && all(tail, func(c byte) bool { return letter(c) || digit(c) })
}

func matches(name string, list []string) bool {
	for _, p := range list {
		if prefix, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(name, prefix) || name == p {
			return true
		}
	}
	return false
}

// violations says what a protocol violation means, by the name that the parser gives it, and its weight in nats.
var violations = map[string]struct {
	what   string
	nats   float64
	fields string // display filter
}{
	"trans2_session_setup":       {"Trans2 SESSION_SETUP, which no client sends: an implant is asked whether it is there", 6, "smb.trans2.cmd == 0x000e"},
	"multiplex_id_shifted":       {"an answer with its multiplex id moved by 16: the implant is there", 9, "smb.trans2.cmd == 0x000e || smb.nt_status == 0xc0000002"},
	"secondary_of_other_kind":    {"a transaction continued by a secondary of another kind: the kernel's buffer is overrun", 9, "smb.cmd == 0x33 || smb.cmd == 0xa0 || smb.cmd == 0xa1"},
	"transaction_beyond_message": {"a transaction whose counts point beyond the message", 4, "smb.cmd == 0x32 || smb.cmd == 0x25 || smb.cmd == 0xa0"},
	"compression_size_overflow":  {"a compressed message whose size overflows", 7, "smb2.header.comp_alg"},
	"pipe_by_absolute_path":      {"a pipe opened by the absolute path of a file on the server, as to load it as a library", 6, "smb.file || smb2.filename"},
	"pipe_of_written_file":       {"", 6, "smb.file || smb2.filename"}, // found here
}
