package proto

import (
	"bytes"

	"neuromast/flows"
)

// maxLine is how far the end of a first line is looked for, in bytes.
const maxLine = 512

// identifyText names protocols that begin with a line of text, over TCP or UDP.
func identifyText(c *flows.Conn, b []byte) flows.App {
	switch b[0] {
	case '<':
		if isSyslog(b) {
			return flows.AppSyslog
		}
		return flows.AppUnknown
	case '2':
		if len(b) >= 4 && string(b[:3]) == "220" && (b[3] == ' ' || b[3] == '-') {
			return greeting(c, line(b[4:]))
		}
		return flows.AppUnknown
	case '*':
		if rest, ok := after(b, "* OK"); ok && imapGreeting(c, rest) {
			return flows.AppIMAP
		}
		if _, ok := after(b, "* PREAUTH"); ok {
			return flows.AppIMAP
		}
		return flows.AppUnknown
	case '+':
		if rest, ok := after(b, "+OK"); ok && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\r') {
			return flows.AppPOP3
		}
		return flows.AppUnknown
	case 'H':
		if isStatus(b, "HTTP/1.") {
			return flows.AppHTTP
		}
	case 'S':
		if _, ok := after(b, "SSH-2.0-"); ok {
			return flows.AppSSH
		}
		if rest, ok := after(b, "SSH-1."); ok && len(rest) > 2 && bytes.IndexByte(rest[:min(4, len(rest))], '-') > 0 {
			return flows.AppSSH
		}
		if isStatus(b, "SIP/2.") {
			return flows.AppSIP
		}
	case 'R':
		if len(b) == 12 && string(b[:4]) == "RFB " && b[7] == '.' && b[11] == '\n' && digits(b[4:7]) && digits(b[8:11]) {
			return flows.AppVNC // RFC 6143, 7.1.1
		}
	}
	if b[0] >= 'A' && b[0] <= 'Z' {
		return request(c, b)
	}
	if imapCommand(b) {
		return flows.AppIMAP
	}
	return flows.AppUnknown
}

// request names protocols whose client speaks first: a verb in capitals, a blank, a target.
func request(c *flows.Conn, b []byte) flows.App {
	n := 0
	for n < len(b) && n < 18 && (b[n] >= 'A' && b[n] <= 'Z' || b[n] == '_' || b[n] == '-') {
		n++
	}
	if n == len(b) || n < 3 {
		if imapCommand(b) {
			return flows.AppIMAP
		}
		return flows.AppUnknown
	}
	verb, rest := b[:n], b[n+1:]
	if b[n] != ' ' {
		switch {
		case b[n] == '\r' && string(verb) == "EHLO", b[n] == '\r' && string(verb) == "HELO":
			return flows.AppSMTP
		case b[n] == '\r' && string(verb) == "CAPA":
			return flows.AppPOP3
		case imapCommand(b):
			return flows.AppIMAP
		}
		return flows.AppUnknown
	}
	if len(rest) == 0 {
		return flows.AppUnknown
	}
	switch string(verb) {
	case "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "PROPPATCH", "MKCOL", "COPY",
		"MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "BITS_POST", "CCM_POST", "MERGE", "RPC_IN_DATA", "RPC_OUT_DATA",
		"RPC_CONNECT":
		if httpTarget(rest) && lineEnds(rest, " HTTP/1.") {
			return flows.AppHTTP
		}
		if string(verb) == "OPTIONS" && sipTarget(rest) && lineEnds(rest, " SIP/2.") {
			return flows.AppSIP
		}
	case "CONNECT":
		if lineEnds(rest, " HTTP/1.") && bytes.IndexByte(rest[:min(len(rest), maxLine)], ':') > 0 {
			return flows.AppHTTP
		}
	case "PRI":
		if bytes.HasPrefix(rest, []byte("* HTTP/2.0\r\n")) {
			return flows.AppHTTP
		}
	case "M-SEARCH":
		if bytes.HasPrefix(rest, []byte("* HTTP/1.1\r\n")) {
			return flows.AppSSDP
		}
	case "NOTIFY":
		if bytes.HasPrefix(rest, []byte("* HTTP/1.1\r\n")) {
			return flows.AppSSDP
		}
		fallthrough
	case "INVITE", "REGISTER", "ACK", "BYE", "CANCEL", "SUBSCRIBE", "MESSAGE", "UPDATE", "INFO", "PRACK", "REFER", "PUBLISH":
		switch {
		case sipTarget(rest) && lineEnds(rest, " SIP/2."):
			return flows.AppSIP
		case (string(verb) == "NOTIFY" || string(verb) == "SUBSCRIBE") && httpTarget(rest) && lineEnds(rest, " HTTP/1."):
			return flows.AppHTTP // UPnP eventing
		}
	case "EHLO", "HELO":
		if printable(line(rest)) {
			return flows.AppSMTP
		}
	case "USER": // FTP and POP3 begin alike
		switch name := line(rest); {
		case !printable(name) || bytes.IndexByte(name, ' ') >= 0: // IRC's has more words
		case either(c, 110):
			return flows.AppPOP3
		case either(c, 21):
			return flows.AppFTP
		}
	case "AUTH":
		if bytes.HasPrefix(rest, []byte("TLS\r\n")) || bytes.HasPrefix(rest, []byte("SSL\r\n")) {
			return flows.AppFTP // RFC 4217, 4
		}
	default:
		if imapCommand(b) {
			return flows.AppIMAP
		}
	}
	return flows.AppUnknown
}

// greeting tells FTP from SMTP, which both say 220: by their name in the line, else by port.
func greeting(c *flows.Conn, text []byte) flows.App {
	if !printable(text) {
		return flows.AppUnknown
	}
	switch {
	case contains(text, "SMTP"):
		return flows.AppSMTP
	case contains(text, "FTP"):
		return flows.AppFTP
	case either(c, 25), either(c, 587), either(c, 2525):
		return flows.AppSMTP
	case either(c, 21):
		return flows.AppFTP
	}
	return flows.AppUnknown
}

// imapGreeting wants IMAP's capabilities or name in an untagged OK (RFC 9051, 7.1), else its port.
func imapGreeting(c *flows.Conn, rest []byte) bool {
	text := line(rest)
	return len(rest) > 0 && rest[0] == ' ' && printable(text) && (contains(text, "IMAP") || either(c, 143))
}

// imapCommand wants a tag and one of the commands that open a session (RFC 9051, 6.1 and 6.2).
func imapCommand(b []byte) bool {
	at := bytes.IndexByte(b[:min(len(b), 12)], ' ')
	if at < 1 || !alphanumerics(b[:at]) {
		return false
	}
	rest := b[at+1:]
	for _, verb := range [...]string{"CAPABILITY\r\n", "LOGIN ", "AUTHENTICATE ", "STARTTLS\r\n"} {
		if len(rest) >= len(verb) && equalFold(rest[:len(verb)], verb) {
			return true
		}
	}
	return false
}

// isStatus wants a version, a blank and three digits.
func isStatus(b []byte, version string) bool {
	rest, ok := after(b, version)
	return ok && len(rest) >= 5 && (rest[0] == '0' || rest[0] == '1') && rest[1] == ' ' && digits(rest[2:5])
}

// isSyslog wants a priority and the version of RFC 5424 or the date of RFC 3164.
func isSyslog(b []byte) bool {
	end := bytes.IndexByte(b[:min(len(b), 5)], '>')
	if end < 2 || !digits(b[1:end]) || end == 4 && string(b[1:4]) > "191" {
		return false
	}
	rest := b[end+1:]
	if len(rest) > 5 && rest[0] == '1' && rest[1] == ' ' && (digits(rest[2:6]) || rest[2] == '-') {
		return true
	}
	if len(rest) < 15 || rest[3] != ' ' || rest[9] != ':' {
		return false
	}
	switch string(rest[:3]) {
	case "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec":
		return true
	}
	return false
}

func httpTarget(b []byte) bool {
	return b[0] == '/' || b[0] == '*' && len(b) > 1 && b[1] == ' ' || len(b) >= 4 && equalFold(b[:4], "HTTP")
}

func sipTarget(b []byte) bool {
	return bytes.HasPrefix(b, []byte("sip:")) || bytes.HasPrefix(b, []byte("sips:")) || bytes.HasPrefix(b, []byte("tel:"))
}

// lineEnds says that the first line ends in version and one digit; a line that does not end in b, or goes on for long,
// must be printable so far.
func lineEnds(b []byte, version string) bool {
	b = b[:min(len(b), maxLine)]
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return len(b) > 16 && printable(b)
	}
	l := bytes.TrimSuffix(b[:end], []byte("\r"))
	at := len(l) - len(version) - 1
	return at > 0 && string(l[at:len(l)-1]) == version
}

// line returns what precedes the first line's end.
func line(b []byte) []byte {
	b = b[:min(len(b), maxLine)]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = bytes.TrimSuffix(b[:i], []byte("\r"))
	}
	return b
}

func after(b []byte, prefix string) ([]byte, bool) {
	if len(b) < len(prefix) || string(b[:len(prefix)]) != prefix {
		return nil, false
	}
	return b[len(prefix):], true
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func alphanumerics(b []byte) bool {
	for _, c := range b {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.') {
			return false
		}
	}
	return true
}

// contains looks for an upper-case word in either case.
func contains(b []byte, word string) bool {
	for i := 0; i+len(word) <= len(b); i++ {
		if equalFold(b[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// equalFold compares b with a word in upper case; both have the same length.
func equalFold(b []byte, word string) bool {
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
