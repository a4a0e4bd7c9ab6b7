package bpf

import (
	"fmt"
	"strings"
)

// token is a word of an expression, with its place from 1.
type token struct {
	text   string
	column int
}

// Error says what is wrong with an expression, and where.
type Error struct {
	Column int
	Word   string // empty at the end
	Text   string
}

func (e *Error) Error() string {
	if e.Word == "" {
		return fmt.Sprintf("filter: %s at the end", e.Text)
	}
	return fmt.Sprintf("filter: %s at %q (column %d)", e.Text, e.Word, e.Column)
}

// lex cuts an expression into words: runs of letters, digits and what addresses are written with, and signs.
func lex(s string) (tokens []token) {
	const signs = "()[]!&|<>=+*^"
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case strings.IndexByte(signs, c) >= 0:
			n := 1
			if i+1 < len(s) {
				switch s[i : i+2] {
				case "&&", "||", "!=", "<=", ">=", "==", "<<", ">>":
					n = 2
				}
			}
			tokens = append(tokens, token{s[i : i+n], i + 1})
			i += n
		default:
			j := i
			for j < len(s) && strings.IndexByte(signs+" \t\r\n", s[j]) < 0 {
				j++
			}
			tokens = append(tokens, token{s[i:j], i + 1})
			i = j
		}
	}
	return tokens
}
