package sqlexec

import (
	"strings"
)

// token is a word, a literal or a sign of a statement.
type token struct {
	kind byte // 'w' word (lower case, without brackets), 's' literal, 'n' number, else the sign itself
	text string
}

// maxTokens bounds what is looked at of one statement; 4 KB hold no more of what makes sense.
const maxTokens = 2048

// lex cuts a statement into tokens; comments go, and literals joined by + become one.
func lex(s string) []token {
	var out []token
	add := func(t token) {
		if n := len(out); t.kind == 's' && n >= 2 && out[n-1].kind == '+' && out[n-2].kind == 's' {
			out[n-2].text += t.text
			out = out[:n-1]
			return
		}
		out = append(out, t)
	}
	for i := 0; i < len(s) && len(out) < maxTokens; {
		c := s[i]
		switch {
		case c <= ' ' || c == 0xc2 && strings.HasPrefix(s[i:], "\u00a0"):
			i++
		case strings.HasPrefix(s[i:], "--"):
			end := strings.IndexByte(s[i:], '\n')
			if end < 0 {
				return out
			}
			i += end + 1
		case strings.HasPrefix(s[i:], "/*"):
			end := strings.Index(s[i+2:], "*/")
			if end < 0 {
				return out
			}
			i += 2 + end + 2
		case c == '\'' || c == '"' || c == '[':
			text, n := quoted(s[i:], c)
			i += n
			if c == '\'' {
				add(token{'s', text})
			} else {
				add(token{'w', strings.ToLower(text)})
			}
		case c >= '0' && c <= '9':
			n := 1
			for i+n < len(s) && (letter(s[i+n]) || s[i+n] >= '0' && s[i+n] <= '9') {
				n++
			}
			add(token{'n', s[i : i+n]})
			i += n
		case letter(c):
			n := 1
			for i+n < len(s) && (letter(s[i+n]) || s[i+n] >= '0' && s[i+n] <= '9') {
				n++
			}
			if word := strings.ToLower(s[i : i+n]); word != "n" || i+1 >= len(s) || s[i+1] != '\'' { // N'…' is a literal
				add(token{'w', word})
			}
			i += n
		default:
			add(token{c, ""})
			i++
		}
	}
	return out
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '@' || c == '#' || c == '$' || c >= 0x80
}

// quoted reads a literal or a quoted name, in which the end sign stands doubled for itself.
func quoted(s string, open byte) (text string, n int) {
	end := open
	if open == '[' {
		end = ']'
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] == end {
			if i+1 == len(s) || s[i+1] != end {
				return b.String(), i + 1
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), len(s)
}

// words are what a statement must hold for a closer look, in lower case.
var words = []string{
	"xp_", "sp_configure", "sp_oacreate", "sp_add", "sp_execute_external_script", "openrowset", "opendatasource", "openquery", "assembly", "trustworthy", "sysadmin", "exec",
}

// interesting says whether a statement holds one of the words.
func interesting(b []byte) bool {
	for i := 0; i+1 < len(b); i++ {
		switch uint16(b[i]|0x20)<<8 | uint16(b[i+1]|0x20) { // how the words begin
		case 'x'<<8 | 'p', 's'<<8 | 'p', 'o'<<8 | 'p', 'a'<<8 | 's', 't'<<8 | 'r', 's'<<8 | 'y', 'e'<<8 | 'x':
			for _, w := range words {
				if i+len(w) <= len(b) && equalFold(b[i:i+len(w)], w) {
					return true
				}
			}
		}
	}
	return false
}

func equalFold(b []byte, lower string) bool {
	for i := range b {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
