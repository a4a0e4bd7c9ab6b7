package schema

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/incident"
	"neuromast/sensor/packet"
)

// story is an incident of two hosts: from one server to the next, and out.
func story() *incident.Incident {
	f := finding()
	var said *incident.Incident
	c := incident.New(incident.Default(), func(packet.Addr) bool { return true }, func(i *incident.Incident) { said = i })
	s := f.Signal("s1")
	s.LLR, s.Reaches = 7, true
	c.Take(s)
	then := *s
	then.ID, then.Rule, then.Stage, then.Actor, then.Peer, then.Domain = fmt.Sprintf("%032x", 5), "dns.info", detectors.StageC2, s.Peer, detectors.HostKey{}, "c2.example"
	then.Start, then.End, then.At = s.Start.Add(time.Minute), s.End.Add(time.Minute), s.At.Add(time.Minute)
	c.Take(&then)
	c.Finish()
	return said
}

func TestSignal(t *testing.T) {
	g := finding().Signal("s1")
	g.Causes = []detectors.Cause{{ID: fmt.Sprintf("%032x", 7), P: 0.5}}
	doc := AppendSignal(nil, g, testEnv())
	validate(t, compile(t, "signal"), doc)
	golden(t, "signal", doc)
}

func TestIncident(t *testing.T) {
	i := story()
	if i == nil {
		t.Fatal("no incident")
	}
	s := compile(t, "incident")
	doc := AppendIncident(nil, i, testEnv())
	validate(t, s, doc)
	golden(t, "incident", doc)
	broken := *i
	broken.Message, broken.Users, broken.Domains = "a\xffb\n\u2028\x00", []string{"\xff", "<&>"}, []string{"\x00"}
	broken.Score, broken.Single = -1e300, false
	validate(t, s, AppendIncident(nil, &broken, NewEnv(Config{SensorID: "x\xff"})))
	if bytes.Contains(AppendIncident(nil, &broken, testEnv()), []byte(`\u003c`)) {
		t.Error("HTML is escaped")
	}
}
