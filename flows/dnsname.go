package flows

// AppendName appends a name given as wire labels (length, bytes, …, 0) as text: labels joined by dots, without a trailing
// dot, special and unprintable bytes escaped as in master files (RFC 1035, 5.1). The root is "."; no labels at all
// append nothing. A label that runs past the end of wire is cut there.
func AppendName(dst, wire []byte) []byte {
	if len(wire) > 0 && wire[0] == 0 {
		return append(dst, '.')
	}
	for first := true; len(wire) > 0 && wire[0] != 0; first = false {
		n := min(int(wire[0]), len(wire)-1)
		if !first {
			dst = append(dst, '.')
		}
		for _, c := range wire[1 : 1+n] {
			dst = appendNameByte(dst, c)
		}
		wire = wire[1+n:]
	}
	return dst
}

func appendNameByte(dst []byte, c byte) []byte {
	switch {
	case c < ' ' || c > '~':
		return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
	case c == '.' || c == ' ' || c == '\'' || c == '@' || c == ';' || c == '(' || c == ')' || c == '"' || c == '\\':
		return append(dst, '\\', c)
	}
	return append(dst, c)
}
