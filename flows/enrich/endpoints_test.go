package enrich

import (
	"fmt"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// asked is an answer of the mapper of server to client.
func asked(client, server byte, at time.Duration, binding string) (*flows.Batch, *flows.RPC) {
	var b flows.Batch
	out := flows.Out{Batch: &b}
	r := called(client, server, 135, at)
	r.Source, r.Binding = flows.FromBind, out.PutString(binding)
	return &b, r
}

func called(client, server byte, port uint16, at time.Duration) *flows.RPC {
	r := &flows.RPC{Source: flows.FromNowhere}
	r.At = packet.Time(at)
	r.Orig, r.Resp, r.RespPort, r.Proto = packet.Addr{15: client}, packet.Addr{15: server}, port, packet.ProtoTCP
	return r
}

func TestEndpoints(t *testing.T) {
	const svcctl, samr = "367abb81-9844-35f1-ad32-98f038001003", "12345778-1234-abcd-ef00-0123456789ac"
	e := NewEndpoints()
	e.Resolve(asked(1, 9, 0, svcctl+" 49670 "+svcctl+" 49671"))
	e.Resolve(asked(1, 9, 0, samr+" 49672"))
	e.Resolve(asked(1, 9, 0, svcctl+" 49672"))
	e.Resolve(asked(2, 9, time.Hour, samr+" 49670 nonsense"))
	e.Resolve(asked(2, 9, time.Hour, "nonsense 1 "+samr+" 70000"))
	var none flows.Batch
	for _, tt := range []struct {
		what string
		r    *flows.RPC
		want string
	}{
		{"what it asked for", called(1, 9, 49670, time.Minute), svcctl},
		{"its second tower", called(1, 9, 49671, time.Minute), svcctl},
		{"another client asked for another interface of the port", called(2, 9, 49670, 2*time.Hour), samr},
		{"a client that did not ask", called(3, 9, 49670, time.Minute), ""},
		{"two interfaces behind one port: never guess", called(1, 9, 49672, time.Minute), ""},
		{"another server", called(1, 8, 49670, time.Minute), ""},
		{"a day after", called(1, 9, 49670, 24*time.Hour), svcctl},
		{"more than a day after", called(1, 9, 49670, 24*time.Hour+1), ""},
	} {
		e.Resolve(&none, tt.r)
		want, _ := flows.ParseUUID(tt.want)
		if tt.r.Interface != want || (tt.r.Source == flows.FromMapper) != (tt.want != "") {
			t.Errorf("%s: %v from %v, want %q", tt.what, tt.r.Interface, tt.r.Source, tt.want)
		}
	}

	known := called(1, 9, 49670, time.Minute)
	known.Source, known.Interface = flows.FromPipe, flows.UUID{1}
	e.Resolve(&none, known)
	if known.Interface != (flows.UUID{1}) || known.Source != flows.FromPipe {
		t.Error("a known interface was changed")
	}
	segment := called(1, 9, 49670, time.Minute)
	segment.Segment = 7
	if e.Resolve(&none, segment); segment.Source != flows.FromNowhere {
		t.Error("a server of another segment shares the port")
	}
}

// TestEndpointsBound: the least recently used port goes, counted; a used one stays.
func TestEndpointsBound(t *testing.T) {
	const iface = "367abb81-9844-35f1-ad32-98f038001003"
	e := NewEndpoints()
	var none flows.Batch
	for i := range maxEndpoints + 10 {
		e.Resolve(asked(1, byte(i>>14), time.Duration(i), fmt.Sprintf("%s %d", iface, i&0x3fff+1)))
		first := called(1, 0, 1, time.Duration(i))
		if e.Resolve(&none, first); first.Source != flows.FromMapper {
			t.Fatalf("after %d answers the used port is gone", i)
		}
	}
	if len(e.ports) != maxEndpoints || e.Evicted() != 10 {
		t.Errorf("%d ports, %d evicted", len(e.ports), e.Evicted())
	}
	if second := called(1, 0, 2, 0); true {
		if e.Resolve(&none, second); second.Source != flows.FromNowhere {
			t.Error("the least used port is still there")
		}
	}
	n := 0
	for p := e.oldest; p != nil && (n == 0 || p != e.oldest); p = p.newer {
		n++
	}
	if n != maxEndpoints {
		t.Errorf("the ring has %d ports", n)
	}
}

// TestEndpointsAnswers: of one port the oldest answer makes room.
func TestEndpointsAnswers(t *testing.T) {
	const iface = "367abb81-9844-35f1-ad32-98f038001003"
	e := NewEndpoints()
	for i := range maxAnswers + 1 {
		e.Resolve(asked(byte(i), 9, time.Duration(i), iface+" 5000"))
	}
	var none flows.Batch
	for client, want := range map[byte]flows.Source{0: flows.FromNowhere, 1: flows.FromMapper, maxAnswers: flows.FromMapper} {
		r := called(client, 9, 5000, time.Second)
		if e.Resolve(&none, r); r.Source != want {
			t.Errorf("client %d: %v", client, r.Source)
		}
	}
}
