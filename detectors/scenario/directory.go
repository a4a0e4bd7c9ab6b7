package scenario

import (
	"fmt"
	"strconv"
	"strings"

	"neuromast/flows"
)

// search reads ADDRESS searches ADDRESS BASE SCOPE FILTER [asks A,B] [entries N] [bytes N] [page N] [code N] [java A,B] [port N] [sd]
// [further]; _ is a space, - an empty base. The filter "sealed" stands for answers that can't be read.
func (it *item) search(say []string) error {
	if len(say) < 6 {
		return fmt.Errorf("want ADDRESS searches ADDRESS BASE SCOPE FILTER …")
	}
	scope, err := strconv.ParseUint(say[4], 10, 2)
	if err != nil {
		return err
	}
	text := func(s string) string { return strings.ReplaceAll(s, "_", " ") }
	list := func(s string) string { return strings.ReplaceAll(s, ",", " ") }
	base, filter, attributes, java := text(say[3]), text(say[5]), "", ""
	if base == "-" {
		base = ""
	}
	l := flows.LDAP{Op: flows.LDAPSearch, Scope: uint8(scope), Outcome: flows.Succeeded, Entries: 1, Bytes: 200}
	port := uint16(389)
	for i := 6; i < len(say); i++ {
		switch say[i] {
		case "sd":
			l.SDFlags = true
			continue
		case "further":
			l.Further = true
			continue
		}
		if i+1 == len(say) {
			return fmt.Errorf("nothing behind %q", say[i])
		}
		name, value := say[i], say[i+1]
		i++
		switch name {
		case "asks":
			attributes = list(value)
			continue
		case "java":
			java = list(value)
			continue
		}
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		switch name {
		case "entries":
			l.Entries = uint32(n)
		case "bytes":
			l.Bytes = n
		case "page":
			l.PageSize = uint32(n)
		case "port":
			port = uint16(n)
		case "code":
			if l.Code = uint32(n); n != 0 {
				l.Outcome = flows.Failed
			}
		default:
			return fmt.Errorf("unknown word %q", name)
		}
	}
	if filter == "sealed" {
		l.Op, l.Outcome, filter = flows.LDAPSealed, flows.Unseen, ""
	}
	conn, err := it.conn(say[0], say[2], port, 0)
	if err != nil {
		return err
	}
	it.fact = func(out *flows.Out, it *item) {
		ref := flows.Ref{Frame: uint64(it.number) + 1}
		l.Meta, l.Conn, l.RequestRef = flows.Meta{Ref: ref}, conn(), ref
		l.Base, l.Filter, l.Attributes, l.Java = out.PutString(base), out.PutString(filter), out.PutString(attributes), out.PutString(java)
		out.LDAP(&l)
	}
	return nil
}

// lookUp reads ADDRESS plants ADDRESS LOOKUP: a request of HTTP that wants something looked up through JNDI. Its :/ stands for ://,
// which would begin a comment.
func (it *item) lookUp(say []string) error {
	if len(say) != 4 {
		return fmt.Errorf("want ADDRESS plants ADDRESS LOOKUP")
	}
	conn, err := it.conn(say[0], say[2], 8080, 0)
	if err != nil {
		return err
	}
	it.fact = func(out *flows.Out, it *item) {
		ref := flows.Ref{Frame: uint64(it.number) + 1}
		out.HTTP(&flows.HTTP{Meta: flows.Meta{Ref: ref}, Conn: conn(), RequestRef: ref, Method: out.PutString("GET"), Target: out.PutString("/"), Lookup: out.PutString(strings.Replace(say[3], ":/", "://", 1))})
	}
	return nil
}
