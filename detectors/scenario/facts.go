package scenario

import (
	"fmt"
	"strconv"
	"strings"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// carriers are the protocols that a log-in goes over.
var carriers = map[string]struct {
	app  flows.App
	port uint16
}{
	"kerberos": {flows.AppKerberos, 88}, "smb": {flows.AppSMB, 445}, "ftp": {flows.AppFTP, 21}, "ssh": {flows.AppSSH, 22},
	"tds": {flows.AppTDS, 1433}, "ldap": {flows.AppLDAP, 389}, "rdp": {flows.AppRDP, 3389},
	"vnc": {flows.AppVNC, 5900}, "http": {flows.AppHTTP, 80},
}

// conn is the connection of a fact; number 0: one of its own.
func (it *item) conn(from, to string, port uint16, number uint64) (func() flows.Conn, error) {
	a, err := addr(from)
	if err != nil {
		return nil, err
	}
	b, err := addr(to)
	if err != nil {
		return nil, err
	}
	return func() flows.Conn {
		id := number
		if id == 0 {
			id = 1<<32 + uint64(it.number)
		}
		return flows.Conn{ID: id, Start: it.start, Orig: a, Resp: b, OrigPort: uint16(40000 + id%20000), RespPort: port, Proto: packet.ProtoTCP}
	}, nil
}

// logIn reads ADDRESS logs ADDRESS PROTOCOL USER OUTCOME [over N].
func (it *item) logIn(say []string) error {
	if len(say) != 6 && len(say) != 8 {
		return fmt.Errorf("want ADDRESS logs ADDRESS PROTOCOL USER OUTCOME [over N]")
	}
	over, ok := carriers[say[3]]
	if !ok {
		return fmt.Errorf("unknown protocol %q", say[3])
	}
	user, outcome, number := say[4], say[5], uint64(0)
	if user == "-" {
		user = ""
	}
	if outcome != "wrong" && outcome != "unknown" && outcome != "in" {
		return fmt.Errorf("unknown outcome %q", outcome)
	}
	if len(say) == 8 {
		n, err := strconv.ParseUint(say[7], 10, 32)
		if err != nil || say[6] != "over" {
			return fmt.Errorf("want over N")
		}
		number = n
	}
	conn, err := it.conn(say[0], say[2], over.port, number)
	if err != nil {
		return err
	}
	it.fact = func(out *flows.Out, it *item) {
		meta := flows.Meta{Ref: flows.Ref{Frame: uint64(it.number) + 1}}
		if over.app == flows.AppKerberos {
			k := flows.Kerberos{Meta: meta, Conn: conn(), Client: out.PutString(user), Asked: true, Proof: true, Outcome: flows.Failed}
			k.Code = map[string]uint32{"wrong": 24, "unknown": 6}[outcome]
			if outcome == "in" {
				k.Outcome = flows.Succeeded
			}
			out.Kerberos(&k)
			return
		}
		a := flows.Auth{Meta: meta, Conn: conn(), User: out.PutString(user), Over: over.app, Method: flows.AuthPassword, Outcome: flows.Failed}
		if over.app == flows.AppSMB {
			a.Method = flows.AuthNTLM
			a.Status = map[string]uint32{"wrong": 0xc000006a, "unknown": 0xc0000064}[outcome]
		}
		if outcome == "in" {
			a.Outcome = flows.Succeeded
		}
		out.Auth(&a)
	}
	return nil
}

// ticket reads ADDRESS gets ADDRESS SERVICE as USER offers ETYPES ticket ETYPE [noproof|key ETYPE]: the account's key.
func (it *item) ticket(say []string) error {
	if len(say) < 10 || say[4] != "as" || say[6] != "offers" || say[8] != "ticket" || len(say) == 11 && say[10] != "noproof" || len(say) == 12 && say[10] != "key" || len(say) > 12 {
		return fmt.Errorf("want ADDRESS gets ADDRESS SERVICE as USER offers ETYPES ticket ETYPE [noproof|key ETYPE]")
	}
	conn, err := it.conn(say[0], say[2], 88, 0)
	if err != nil {
		return err
	}
	k := flows.Kerberos{Asked: true, TGS: say[3] != "krbtgt", Proof: len(say) != 11, Outcome: flows.Succeeded}
	for _, t := range strings.Split(say[7], ",") {
		n, err := strconv.ParseInt(t, 10, 8)
		if err != nil || int(k.NumOffered) == len(k.Offered) {
			return fmt.Errorf("ciphers %q", say[7])
		}
		k.Offered[k.NumOffered] = int8(n)
		k.NumOffered++
	}
	n, err := strconv.ParseInt(say[9], 10, 8)
	if err != nil {
		return err
	}
	k.Ticket, k.Part = int8(n), int8(n)
	if n == 0 { // no ticket but the question for a proof
		k.Outcome, k.Code = flows.Failed, 25
	}
	if len(say) == 12 {
		if n, err = strconv.ParseInt(say[11], 10, 8); err != nil {
			return err
		}
		if k.Part = int8(n); k.Outcome == flows.Failed {
			k.Part, k.Keys[0], k.NumKeys = 0, int8(n), 1
		}
	}
	it.fact = func(out *flows.Out, it *item) {
		k.Conn, k.Meta = conn(), flows.Meta{Ref: flows.Ref{Frame: uint64(it.number) + 1}}
		k.Client, k.Service, k.Realm = out.PutString(say[5]), out.PutString(say[3]), out.PutString("EXAMPLE.NET")
		out.Kerberos(&k)
	}
	return nil
}

// post reads ADDRESS posts ADDRESS TARGET by AGENT length BYTES status STATUS; _ in the agent is a space.
func (it *item) post(say []string) error {
	if len(say) != 10 || say[4] != "by" || say[6] != "length" || say[8] != "status" {
		return fmt.Errorf("want ADDRESS posts ADDRESS TARGET by AGENT length BYTES status STATUS")
	}
	conn, err := it.conn(say[0], say[2], 5985, 0)
	if err != nil {
		return err
	}
	length, err := strconv.ParseUint(say[7], 10, 32)
	if err != nil {
		return err
	}
	status, err := strconv.ParseUint(say[9], 10, 16)
	if err != nil {
		return err
	}
	it.fact = func(out *flows.Out, it *item) {
		ref := flows.Ref{Frame: uint64(it.number) + 1}
		out.HTTP(&flows.HTTP{
			Meta: flows.Meta{Ref: ref}, Conn: conn(), RequestRef: ref, Method: out.PutString("POST"), Target: out.PutString(say[3]),
			Agent: out.PutString(strings.ReplaceAll(say[5], "_", " ")), Length: length, Status: uint16(status),
		})
	}
	return nil
}
