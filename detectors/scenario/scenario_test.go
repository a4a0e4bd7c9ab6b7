package scenario

import (
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/flows"
)

// count is a detector that writes down what it sees.
type count struct{ seen []string }

func (c *count) Rules() []*detectors.Rule { return nil }
func (c *count) Doc() string              { return "" }
func (c *count) Flow(env detectors.Env, r *flows.Record) {
	c.seen = append(c.seen, env.Now().Sub(Start).String()+" "+r.Orig.String()+" "+r.Resp.String()+" "+r.State.String())
}
func (c *count) DNS(env detectors.Env, d *flows.DNS) {
	b := env.Batch()
	text := env.Now().Sub(Start).String() + " " + string(flows.AppendName(nil, b.Bytes(d.Name))) + " " + d.TypeName()
	for _, a := range b.Answers[d.Answers.Off : d.Answers.Off+d.Answers.Len] {
		text += " " + b.String(a.Data)
	}
	c.seen = append(c.seen, text)
}

func TestPlay(t *testing.T) {
	var c count
	_, err := Play(`
		1s every 2s times 3 10.0.0.5 -> 10.0.1.#+7:22 refused // three of them
		2s 10.0.0.6 asks 10.0.0.53 MX a.{hex4}.example.com = mail.example.com 192.0.2.1
		0s 10.0.0.6 -> 10.0.0.9 ping-silent`, &c)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(c.seen, "\n")
	name := strings.Fields(c.seen[1])[1]
	if len(name) != len("a.0123.example.com") {
		t.Errorf("name %q", name)
	}
	want := strings.Join([]string{
		"1s 10.0.0.5 10.0.1.7 REJ", "2s " + name + " MX mail.example.com 192.0.2.1", "3s 10.0.0.5 10.0.1.8 REJ",
		"5s 10.0.0.5 10.0.1.9 REJ", "1m0s 10.0.0.6 10.0.0.9 S0",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for _, text := range []string{
		"x 10.0.0.5 -> 10.0.0.6:22 open", "0s 10.0.0.5 -> 10.0.0.6:22 strange", "0s 10.0.0.5 -> 10.0.0.6 open", "0s a -> 10.0.0.6:22 open",
		"0s 10.0.0.5 meets 10.0.0.6", "0s 10.0.0.5 asks 10.0.0.53 XYZ a.b", "0s 10.0.0.5 asks 10.0.0.53 A a.b what", "0s every x times 2 a -> b c",
	} {
		if _, err := Play("\n" + text); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
