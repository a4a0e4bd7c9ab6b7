package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"neuromast/flows"
)

// work reads ADDRESS works ADDRESS ssh|rdp|telnet and what the session's shape was: keys N (typed by the client), back N (by the
// server's side), vary PERCENT (deviation of their waits; 80 %), alike PERCENT (keys of the size of the one before; 90 %), struck N, messages N, sends BYTES and takes BYTES (in full
// segments), active N (spans of ten seconds), for DURATION, refused. It is told at its end.
func (it *item) work(say []string) error {
	if len(say) < 4 {
		return fmt.Errorf("want ADDRESS works ADDRESS PROTOCOL …")
	}
	over, ok := carriers[say[3]]
	if say[3] == "telnet" {
		over.app, over.port, ok = flows.AppTelnet, 23, true
	}
	if !ok {
		return fmt.Errorf("unknown protocol %q", say[3])
	}
	conn, err := it.conn(say[0], say[2], over.port, 0)
	if err != nil {
		return err
	}
	s := flows.Session{App: over.app, LoggedIn: flows.Succeeded, Final: true}
	vary, alike, length, messages := 80.0, 90.0, time.Minute, uint64(0)
	for i := 4; i < len(say); i++ {
		if say[i] == "refused" {
			s.LoggedIn = flows.Failed
			continue
		}
		if i+1 == len(say) {
			return fmt.Errorf("%s: a number is missing", say[i])
		}
		what, value := say[i], say[i+1]
		i++
		if what == "for" {
			if length, err = time.ParseDuration(value); err != nil {
				return err
			}
			continue
		}
		if what == "alike" {
			if alike, err = strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64); err != nil {
				return err
			}
			continue
		}
		if what == "vary" {
			if vary, err = strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64); err != nil {
				return err
			}
			continue
		}
		n, err := strconv.ParseUint(value, 10, 40)
		if err != nil {
			return err
		}
		switch what {
		case "keys":
			s.Typed[flows.Orig] = uint32(n)
		case "back":
			s.Typed[flows.Resp] = uint32(n)
		case "struck":
			s.Struck = uint32(n)
		case "active":
			s.Active = uint32(n)
		case "messages":
			messages = n
		case "sends":
			s.Bulk[flows.Orig] = n
		case "takes":
			s.Bulk[flows.Resp] = n
		default:
			return fmt.Errorf("unknown word %q", what)
		}
	}
	for d := range s.Typed {
		if s.Typed[d] > 0 {
			s.Alike[d] = uint32(alike / 100 * float64(s.Typed[d]))
			s.Pace[d], s.Spread[d] = 200, uint32(200*vary/100*200*vary/100)
		}
		s.Messages[d] = max(uint32(messages), s.Typed[0]+s.Typed[1])
		s.Small[d] = s.Messages[d]
		s.Bytes[d] = s.Bulk[d] + 50*uint64(s.Small[d])
	}
	s.Spans = uint32(length/(10*time.Second)) + 1
	it.at = it.start.Add(length)
	it.fact = func(out *flows.Out, it *item) {
		s := s
		s.Conn, s.First, s.Last = conn(), it.start, it.at
		s.FirstRef, s.Ref = flows.Ref{Frame: uint64(it.number) + 1}, flows.Ref{Frame: uint64(it.number) + 2}
		out.Session(&s)
	}
	return nil
}

// openDesktop reads ADDRESS opens ADDRESS as USER [restricted] [granted] [fails CODE].
func (it *item) openDesktop(say []string) error {
	if len(say) < 5 || say[3] != "as" {
		return fmt.Errorf("want ADDRESS opens ADDRESS as USER [restricted] [granted] [fails CODE]")
	}
	conn, err := it.conn(say[0], say[2], 3389, 0)
	if err != nil {
		return err
	}
	r := flows.RDP{Requested: 11, Selected: 8, Outcome: flows.Succeeded}
	for i := 5; i < len(say); i++ {
		switch say[i] {
		case "restricted":
			r.Flags = 1
		case "granted":
			r.Granted = 31
		case "fails":
			n, err := strconv.ParseUint(say[min(i+1, len(say)-1)], 10, 32)
			if err != nil {
				return err
			}
			r.Outcome, r.Failure = flows.Failed, uint32(n)
			i++
		default:
			return fmt.Errorf("unknown word %q", say[i])
		}
	}
	it.fact = func(out *flows.Out, it *item) {
		r := r
		r.Conn, r.RequestRef, r.Ref = conn(), flows.Ref{Frame: uint64(it.number) + 1}, flows.Ref{Frame: uint64(it.number) + 2}
		r.Cookie = out.PutString(say[4])
		out.RDP(&r)
	}
	return nil
}
