package scenario

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"neuromast/flows"
)

// prove reads ADDRESS proves ADDRESS PROTOCOL USER ntlm|kerberos OUTCOME [challenge HEX] [proof HEX] [host NAME] [from NAME] [named NAME] [over N] [v1];
// from is the workstation that the client claims, named the server's own name, host whom a request of HTTP is for.
func (it *item) prove(say []string) error {
	if len(say) < 7 {
		return fmt.Errorf("want ADDRESS proves ADDRESS PROTOCOL USER ntlm|kerberos OUTCOME …")
	}
	over, ok := carriers[say[3]]
	if !ok {
		return fmt.Errorf("unknown protocol %q", say[3])
	}
	a := flows.Auth{Over: over.app}
	switch say[5] {
	case "ntlm":
	case "kerberos":
		a.Method = flows.AuthKerberos
	default:
		return fmt.Errorf("unknown method %q", say[5])
	}
	if a.Outcome, ok = map[string]flows.Outcome{"in": flows.Succeeded, "wrong": flows.Failed, "unseen": flows.Unseen}[say[6]]; !ok {
		return fmt.Errorf("unknown outcome %q", say[6])
	}
	var number uint64
	var host, from, named string
	for rest := say[7:]; len(rest) > 0; rest = rest[1:] {
		if rest[0] == "v1" {
			a.NTLMv1 = true
			continue
		}
		if len(rest) < 2 {
			return fmt.Errorf("nothing behind %q", rest[0])
		}
		word, value := rest[0], rest[1]
		rest = rest[1:]
		b, err := hex.DecodeString(value)
		switch word {
		case "challenge":
			copy(a.Challenge[:], b)
		case "proof":
			copy(a.Proof[:], b)
		case "over":
			number, err = strconv.ParseUint(value, 10, 32)
		case "host":
			host, err = value, nil
		case "from":
			from, err = value, nil
		case "named":
			named, err = value, nil
		default:
			return fmt.Errorf("unknown word %q", word)
		}
		if err != nil {
			return err
		}
	}
	conn, err := it.conn(say[0], say[2], over.port, number)
	if err != nil {
		return err
	}
	it.fact = func(out *flows.Out, it *item) {
		a := a
		a.Meta, a.Conn = flows.Meta{Ref: flows.Ref{Frame: uint64(it.number) + 1}}, conn()
		a.User, a.Host, a.Workstation, a.Server = out.PutString(say[4]), out.PutString(host), out.PutString(from), out.PutString(named)
		out.Auth(&a)
	}
	return nil
}
