package telnet

import (
	"testing"
	"time"

	"neuromast/flows"
)

// TestParser holds that typing in a session is told at its end.
func TestParser(t *testing.T) {
	p := New()
	p.Reset(true) // a session is worth its shape from anywhere
	out := flows.Out{Batch: &flows.Batch{}, Now: 1}
	for range 12 {
		out.Now = out.Now.Add(150 * time.Millisecond)
		p.Data(&out, &flows.Conn{}, flows.Orig, []byte("x"), flows.Ref{})
		out.Now = out.Now.Add(time.Millisecond)
		p.Data(&out, &flows.Conn{}, flows.Resp, []byte("x"), flows.Ref{})
	}
	p.Flush(&out, &flows.Conn{}, true)
	if len(out.Batch.Session) != 1 || out.Batch.Session[0].Typed != [2]uint32{11, 0} || out.Batch.Session[0].App != flows.AppTelnet {
		t.Errorf("%+v", out.Batch.Session)
	}
}
