package jndi

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

// TestCases holds what is said, with nats worked out by hand from the package comment.
func TestCases(t *testing.T) {
	join := func(lines ...string) string { return strings.Join(lines, "\n") }
	const (
		plant  = "0s 10.0.0.5 plants 10.0.0.9 ldap:/10.0.0.66:1389/a"
		far    = "0s 198.51.100.5 plants 10.0.0.9 ldap:/198.51.100.66:1389/a"
		byName = "0s 10.0.0.5 plants 10.0.0.9 ldap:/x.evil.example/a"
		object = " 10.0.0.9 searches 10.0.0.66 o=x 0 (objectClass=*) port 1389 java javaClassName,javaSerializedData"
	)
	for _, c := range []struct{ name, text, want string }{
		{"a request from inside", plant, "1.50 10.0.0.5>10.0.0.9"},
		{"a scan of three servers from inside", "0s every 1s times 3 10.0.0.5 plants 10.0.0.# ldap:/10.0.0.66:1389/a", "1.50 10.0.0.5>10.0.0.0, 1.50 10.0.0.5>10.0.0.1, 1.50 10.0.0.5>10.0.0.2"},
		{"requests from outside, as every day", "0s every 1s times 50 198.51.100.5 plants 10.0.0.9 ldap:/198.51.100.66:1389/a", ""},
		{"the server comes", join(plant, "1s 10.0.0.9 -> 10.0.0.66:1389 open"), "6.00 10.0.0.5>10.0.0.9"},
		{"it tries, the way out is closed", join(far, "1s 10.0.0.9 -> 198.51.100.66:1389 silent"), "6.00 198.51.100.5>10.0.0.9"},
		{"another host that reads the log comes", join(plant, "1s 10.0.0.30 -> 10.0.0.66:1389 open"), "6.00 10.0.0.5>10.0.0.9"},
		{"to another port", join(plant, "1s 10.0.0.9 -> 10.0.0.66:443 open"), "1.50 10.0.0.5>10.0.0.9"},
		{"after an hour", join(plant, "1h 10.0.0.9 -> 10.0.0.66:1389 open"), "1.50 10.0.0.5>10.0.0.9"},
		{"it was there before", join("0s 10.0.0.9 -> 10.0.0.66:1389 open", strings.Replace(plant, "0s", "5s", 1)), "1.50 10.0.0.5>10.0.0.9"},
		{"it loads an object", join(plant, "1s"+object, "2s 10.0.0.9 -> 10.0.0.66:1389 open"), "9.00 10.0.0.5>10.0.0.9"},
		{"it asks for the name", join(byName, "1s 10.0.0.9 asks 10.0.0.53 A x.evil.example = 198.51.100.66"), "4.00 10.0.0.5>10.0.0.9"},
		{"another asks for the name", join(byName, "1s 10.0.0.30 asks 10.0.0.53 A x.evil.example = 198.51.100.66"), "1.50 10.0.0.5>10.0.0.9"},
		{"it asks and comes", join(byName, "1s 10.0.0.9 asks 10.0.0.53 A x.evil.example = 198.51.100.66", "2s 10.0.0.9 -> 198.51.100.66:389 open"), "6.00 10.0.0.5>10.0.0.9"},
		{"an object that nobody asked for", "1s" + object, "6.00 10.0.0.66>10.0.0.9"},
		{"a code base", "1s 10.0.0.9 searches 198.51.100.66 o=x 0 (objectClass=*) port 389 java javaClassName,javaCodebase,javaFactory", "7.00 198.51.100.66>10.0.0.9"},
		{"middleware's factories", "0s 10.0.0.9 searches 10.0.0.10 o=mq 1 (objectClass=*) java javaClassName,javaFactory,javaReferenceAddress", "2.00 10.0.0.10>10.0.0.9"},
		{"every day", "0s every 24h times 6 10.0.0.9 searches 10.0.0.10 o=mq 1 (objectClass=*) java javaClassName,javaFactory",
			"2.00 10.0.0.10>10.0.0.9, 2.00 10.0.0.10>10.0.0.9, 2.00 10.0.0.10>10.0.0.9"},
		{"an ordinary directory", "0s every 1s times 50 10.0.0.9 searches 10.0.0.10 DC=corp 2 (cn=x)", ""},
	} {
		all, err := scenario.Play(c.text, New(Default()))
		if err != nil {
			t.Fatal(c.name, err)
		}
		var said []string
		for _, f := range scenario.Latest(all) {
			said = append(said, fmt.Sprintf("%.2f %s>%s", f.LLR, f.Actor.Addr, f.Target.Addr))
			var sum float64
			for _, e := range f.Evidence {
				sum += e.Nats
			}
			if diff := sum - f.LLR; diff > 0.05 || diff < -0.05 {
				t.Errorf("%s: evidence adds up to %v of %v nats", c.name, sum, f.LLR)
			}
			if f.State != detectors.StateClose || f.Message == "" || f.Counterfactual == "" || len(f.LookAlikes) == 0 || len(f.NextSteps) == 0 || f.Filter == "" || len(f.Refs) == 0 || len(f.Conns) == 0 {
				t.Errorf("%s: something is missing: %+v", c.name, f)
			}
		}
		if got := strings.Join(said, ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTarget(t *testing.T) {
	for text, want := range map[string]string{
		"ldap://192.0.2.1:1389/a": "192.0.2.1 1389", "LDAP://Evil.Example/a": "evil.example 389", "rmi://evil.example": "evil.example 1099",
		"ldap://user@evil.example:99#x": "evil.example 99", "ldap://[2001:db8::1]:1389/a": "2001:db8::1 1389", "dns:evil.example": "evil.example 53", "?": " 0", "ldap:": " 389",
	} {
		host, port := target(text)
		if got := fmt.Sprint(host, " ", port); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestBounds holds that a flood of look-ups keeps to the bounds.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxNamed = 16
	d := New(cfg)
	if _, err := scenario.Play("0s every 1ms times 200 10.0.0.5 plants 10.1.0.# ldap:/10.9.0.1/a\n0s every 1ms times 200 10.0.0.5 plants 10.1.0.1 ldap:/10.8.0.#/a\n1s every 1ms times 200 10.0.0.5 plants 10.0.0.9 ldap:/x#.evil.example/a", d); err != nil {
		t.Fatal(err)
	}
	if d.hosts.Len() > 16 || d.names.Len() > 16 || d.Evicted() < 360 {
		t.Errorf("%d hosts, %d names, %d evicted", d.hosts.Len(), d.names.Len(), d.Evicted())
	}
	for _, n := range d.hosts.All() {
		if len(n.attempts) > maxAttempts {
			t.Errorf("%d attempts", len(n.attempts))
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{}.Validate()
	if err == nil || !strings.Contains(err.Error(), "min_nats: 0") || !strings.Contains(err.Error(), "max_named: 0") {
		t.Errorf("%v", err)
	}
}
