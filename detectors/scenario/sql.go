package scenario

import (
	"fmt"
	"strings"

	"neuromast/flows"
)

// query reads ADDRESS queries ADDRESS USER STATEMENT [call] [refused]; ~ in the statement is a space. A call is a procedure's name
// with what it is given.
func (it *item) query(say []string) error {
	if len(say) < 5 {
		return fmt.Errorf("want ADDRESS queries ADDRESS USER STATEMENT [call] [refused]")
	}
	s := flows.SQL{Outcome: flows.Succeeded}
	for _, w := range say[5:] {
		switch w {
		case "call":
			s.Call = true
		case "refused":
			s.Outcome = flows.Failed
		default:
			return fmt.Errorf("unknown word %q", w)
		}
	}
	conn, err := it.conn(say[0], say[2], 1433, 0)
	if err != nil {
		return err
	}
	statement := strings.ReplaceAll(say[4], "~", " ")
	it.fact = func(out *flows.Out, it *item) {
		ref := flows.Ref{Frame: uint64(it.number) + 1}
		s.Meta, s.Conn, s.RequestRef = flows.Meta{Ref: ref}, conn(), ref
		s.Statement, s.User, s.Length = out.PutString(statement), out.PutString(say[3]), uint32(len(statement))
		out.SQL(&s)
	}
	return nil
}
