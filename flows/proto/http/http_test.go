package http

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/flows"
)

// turn is one side's bytes.
type turn struct {
	dir  flows.Dir
	text string
}

func read(p *Parser, turns []turn, step int) (said []string, stats Stats) {
	p.stats = &stats
	out := flows.Out{Batch: &flows.Batch{}}
	for _, t := range turns {
		for b := []byte(t.text); len(b) > 0; {
			n := min(step, len(b))
			if t.dir == flows.Resp {
				n = len(b)
			}
			if !p.Data(&out, &flows.Conn{}, t.dir, b[:n], flows.Ref{}) {
				said = append(said, "left")
				break
			}
			b = b[n:]
		}
	}
	p.Flush(&out, &flows.Conn{}, true)
	b := out.Batch
	var all []string
	for _, h := range b.HTTP {
		all = append(all, fmt.Sprintf("%s %s host %s agent %s type %s length %d: %d", b.String(h.Method), b.String(h.Target), b.String(h.Host), b.String(h.Agent), b.String(h.ContentType), h.Length, h.Status))
	}
	return append(all, said...), stats
}

const post = "POST /wsman HTTP/1.1\r\nHost: web\r\nUser-agent: WinRM \r\nContent-Type: text/xml\r\nContent-Length: 40\r\n\r\nGET / HTTP/1.1 is not a request in here!"

func TestParser(t *testing.T) {
	ok := turn{flows.Resp, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"}
	for _, c := range []struct {
		name  string
		turns []turn
		want  string
	}{
		{"a body is skipped", []turn{{flows.Orig, post}, ok, {flows.Orig, "GET /b HTTP/1.1\r\n\r\n"}, ok},
			"POST /wsman host web agent WinRM type text/xml length 40: 200; GET /b host  agent  type  length 0: 200"},
		{"pipelined and never answered", []turn{{flows.Orig, "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"}},
			"GET /a host  agent  type  length 0: 0; GET /b host  agent  type  length 0: 0"},
		{"go on", []turn{{flows.Orig, "PUT /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n"}, {flows.Resp, "HTTP/1.1 100 Continue\r\n\r\n"}, ok}, "PUT /a host  agent  type  length 0: 200"},
		{"upgraded", []turn{{flows.Orig, "GET /a HTTP/1.1\r\n\r\n"}, {flows.Resp, "HTTP/1.1 101 Switching\r\n\r\n"}}, "GET /a host  agent  type  length 0: 101; left"},
		{"a bad length", []turn{{flows.Orig, "GET /a HTTP/1.1\r\nContent-Length: -5\r\n\r\n"}, ok}, ""},
		{"no HTTP", []turn{{flows.Orig, "hello\r\n\r\n"}, ok}, ""},
	} {
		for _, step := range []int{1 << 20, 1, 9} {
			said, _ := read(New(nil), c.turns, step)
			if got := strings.Join(said, "; "); got != c.want {
				t.Errorf("%s in steps of %d:\n%q, want\n%q", c.name, step, got, c.want)
			}
		}
	}
	said, _ := read(New(nil), []turn{{flows.Orig, "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}, ok, {flows.Orig, "GET /b HTTP/1.1\r\n\r\n"}, ok}, 1<<20)
	if len(said) != 2 {
		t.Errorf("behind chunks: %q", said)
	}
	_, stats := read(New(nil), []turn{{flows.Orig, "GET /" + strings.Repeat("a", 2*maxHead)}}, 1000)
	if stats.TooLong != 1 {
		t.Errorf("%+v", stats)
	}
	p := New(nil)
	p.Reset(true)
	if said, _ := read(p, []turn{{flows.Orig, "the rest of a body"}, {flows.Orig, post}}, 1<<20); len(said) != 1 {
		t.Errorf("midstream: %q", said)
	}
}

// FuzzParser holds that any bytes are read within bounds.
func FuzzParser(f *testing.F) {
	f.Add(post, "HTTP/1.1 200 OK\r\n\r\n", uint16(5))
	f.Add(get("Authorization: NTLM "+authenticate).text, says(401, "WWW-Authenticate: Negotiate "+challenge).text, uint16(50))
	f.Add(get("Proxy-Authorization: Basic Ym9iOnNlY3JldA==").text, says(407, `WWW-Authenticate: Digest nonce="a", stale=true`).text, uint16(7))
	f.Add(get(`Authorization: Digest username="bob`).text, "HTTP/1.1 100 \r\n\r\nHTTP/1.1 401 x\r\nWWW-Authenticate: NTLM", uint16(50))
	f.Add("CONNECT a:1 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", "HTTP/1.1 101 x", uint16(0))
	f.Fuzz(func(t *testing.T, request, response string, step uint16) {
		p := New(nil)
		read(p, []turn{{flows.Orig, request}, {flows.Resp, response}, {flows.Orig, request}}, int(step)+1)
		if cap(p.head) > 2*maxHead || cap(p.reply) > 2*maxHead || cap(p.token) > 2*maxToken {
			t.Errorf("holds %d, %d, %d bytes", cap(p.head), cap(p.reply), cap(p.token))
		}
	})
}
