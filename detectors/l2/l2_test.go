package l2

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

// said plays a text and writes what is said last of each finding: rule, actor, target and weight.
func said(t *testing.T, text string, workers int) []string {
	t.Helper()
	all, err := scenario.PlayOn(workers, text, New(Default()))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range scenario.Latest(all) {
		out = append(out, fmt.Sprintf("%s %s -> %s %.2f", f.Rule.ID, f.Actor.Addr, f.Target.Addr, f.LLR))
		var sum float64
		for _, e := range f.Evidence {
			sum += e.Nats
		}
		if diff := sum - f.LLR; diff > 0.02 || diff < -0.02 {
			t.Errorf("evidence adds up to %v of %v nats", sum, f.LLR)
		}
		if f.State != detectors.StateClose || f.Message == "" || f.Counterfactual == "" || len(f.LookAlikes) == 0 || len(f.NextSteps) == 0 || f.Filter == "" || len(f.Refs) == 0 {
			t.Errorf("something is missing: %+v", f)
		}
	}
	return out
}

// cases hold what is said, with nats worked out by hand from the package comment.
var cases = []struct{ name, text, want string }{
	// l2.arp
	{"told once, by a host with another address, and the victim's traffic moves: 0.5 + 0.75 + 1.5", `
		0s  10.0.0.5 whohas 10.0.0.7 from 5
		1s  10.0.0.5 via 1 198.51.100.7
		5s  10.0.0.1 isat 66 to 10.0.0.5
		8s  10.0.0.5 via 66 198.51.100.7
		20s 10.0.0.66 whohas 10.0.0.9 from 66`, "l2.arp 10.0.0.66 -> 10.0.0.5 2.75"},
	{"both ways, 30 a minute, the router of DHCP, which still answers its address: 0.5 + 1 + 0.75 + 3 + 1.5 + 2 + 1, and the other way without the two that are the router's", `
		0s  10.0.0.1 acks 10.0.0.5 router 10.0.0.1 resolver 10.0.0.1 to 5
		1s  10.0.0.1 whohas 10.0.0.5 from 1
		1s  10.0.0.5 whohas 10.0.0.1 from 5
		2s  10.0.0.5 via 1 198.51.100.7
		3s  10.0.0.66 whohas 10.0.0.5 from 66
		100s 10.0.0.1 isat 66 to 10.0.0.5
		100s 10.0.0.5 isat 66 to 10.0.0.1
		110s 10.0.0.1 whohas 10.0.0.7 from 1
		110s 10.0.0.5 whohas 10.0.0.8 from 5
		115s 10.0.0.5 via 66 198.51.100.7
		119s 10.0.0.1 isat 66 to 10.0.0.5 count 29
		119s 10.0.0.5 isat 66 to 10.0.0.1 count 29`, "l2.arp 10.0.0.66 -> 10.0.0.5 9.75, l2.arp 10.0.0.66 -> 10.0.0.1 7.25"},
	{"a lease names the liar, later than its lie", `
		0s  10.0.0.5 whohas 10.0.0.7 from 5
		5s  10.0.0.1 isat 66 to 10.0.0.5
		20s 10.0.0.9 acks 10.0.0.66 router 10.0.0.1 resolver 10.0.0.1 to 66`, "l2.arp 10.0.0.66 -> 10.0.0.5 2.25"},
	{"nobody knows the liar: the address that it took stands for it, at the end", `
		0s  10.0.0.1 whohas 10.0.0.7 from 1
		5s  10.0.0.1 isat 66 to 10.0.0.5
		6s  10.0.0.1 whohas 10.0.0.8 from 1
		7s  10.0.0.1 isat 66 to 10.0.0.5`, "l2.arp 10.0.0.1 -> 10.0.0.5 3.50"},
	{"the liar is known by a conversation of its own, before its lie", `
		0s  10.0.0.1 whohas 10.0.0.7 from 1
		1s  10.0.0.66 dials 10.0.0.9 from 66
		5s  10.0.0.1 isat 66 to 10.0.0.5
		6s  10.0.0.1 whohas 10.0.0.8 from 1
		7s  10.0.0.1 isat 66 to 10.0.0.5`, "l2.arp 10.0.0.66 -> 10.0.0.5 4.25"},
	{"asked", `
		0s  10.0.0.66 whohas 10.0.0.9 from 66
		1s  10.0.0.1 whohas 10.0.0.9 from 1
		4s  10.0.0.5 whohas 10.0.0.1 from 5
		5s  10.0.0.1 isat 66 to 10.0.0.5`, ""},
	{"an address kept alive by its only holder", `
		0s  10.0.0.7 whohas 10.0.0.9 from 7
		10s every 10s times 60 10.0.0.1 isat 1 to 10.0.0.5 count 6`, ""},
	{"fail-over: the other takes the address over, tells all, and the old one is silent", `
		0s  10.0.0.2 whohas 10.0.0.9 from 2
		1s  10.0.0.1 isat 1 to all
		2s  10.0.0.5 via 1 198.51.100.7
		60s every 1s times 5 10.0.0.1 isat 2 to all
		70s 10.0.0.5 via 2 198.51.100.7`, ""},
	{"proxy ARP: one machine answers for many, when asked", `
		0s every 1s times 20 10.0.0.5 whohas 10.0.9.# from 5
		0s every 1s times 20 10.0.9.# isat 1 to 10.0.0.5`, ""},
	{"an address used twice", `
		0s  every 20s times 5 10.0.0.7 whohas 10.0.0.1 from 7
		10s every 20s times 5 10.0.0.7 whohas 10.0.0.1 from 8`, "l2.arp 10.0.0.7 -> 10.0.0.7 1.00"},
	{"an address taken in turn, told to all, by a host that has another: 0.75 + 3", `
		0s  10.0.0.66 whohas 10.0.0.9 from 66
		1s  every 20s times 5 10.0.0.1 whohas 10.0.0.7 from 1
		10s every 20s times 5 10.0.0.1 isat 66 to all`, "l2.arp 10.0.0.66 -> 10.0.0.1 3.75"},
	{"a bond of two ports, which tells its clients which of them to use", `
		0s  10.0.0.66 whohas 10.0.0.9 from 66
		1s  every 20s times 9 10.0.0.66 isat 66 to 10.0.0.5
		10s every 20s times 9 10.0.0.66 isat 66.3 to 10.0.0.5`, ""},
	{"an address leased to another machine", `
		0s   every 20s times 5 10.0.0.7 whohas 10.0.0.1 from 7
		110s 10.0.0.1 acks 10.0.0.7 router 10.0.0.1 resolver 10.0.0.1 to 8
		120s every 20s times 5 10.0.0.7 whohas 10.0.0.1 from 8`, ""},

	// l2.poison
	{"three names to two hosts, one of which connects: 6 + 3, and 6", `
		0s  10.0.0.5 hails llmnr filesrv
		0s  10.0.0.66 answers llmnr filesrv to 10.0.0.5
		10s 10.0.0.6 hails nbns prnt
		10s 10.0.0.66 answers nbns prnt to 10.0.0.6
		20s 10.0.0.5 hails llmnr qwxyz
		20s 10.0.0.66 answers llmnr qwxyz to 10.0.0.5
		21s 10.0.0.5 -> 10.0.0.66:445 open`, "l2.poison 10.0.0.66 -> 10.0.0.5 9.00, l2.poison 10.0.0.66 -> 10.0.0.6 6.00"},
	{"a proxy that is looked for, and taken: 2 + 1", `
		0s  10.0.0.5 hails llmnr wpad
		0s  10.0.0.66 answers llmnr wpad to 10.0.0.5
		1s  10.0.0.5 -> 10.0.0.66:80 open`, "l2.poison 10.0.0.66 -> 10.0.0.5 3.00"},
	{"a server under its own name, in three protocols, from many", `
		0s every 1s times 30 10.0.0.# hails llmnr fs1
		0s every 1s times 30 10.0.0.99 answers llmnr fs1 to 10.0.0.#
		100s every 1s times 30 10.0.0.# hails mdns fs1
		100s every 1s times 30 10.0.0.99 answers mdns fs1 to all
		200s every 1s times 30 10.0.0.# hails nbns fs1
		200s every 1s times 30 10.0.0.99 answers nbns fs1 to 10.0.0.#
		240s 10.0.0.5 -> 10.0.0.99:445 open`, ""},
	{"a server with several names that it registered", `
		0s  10.0.0.99 registers fs1
		0s  10.0.0.99 registers fs2
		0s  10.0.0.99 registers fs3
		9s  every 1s times 3 10.0.0.5 hails nbns fs#+1
		9s  every 1s times 3 10.0.0.99 answers nbns fs#+1 to 10.0.0.5`, ""},
	{"three names in an hour", `
		0s  every 20m times 3 10.0.0.5 hails llmnr fs#
		0s  every 20m times 3 10.0.0.66 answers llmnr fs# to 10.0.0.5`, ""},
	{"a device with three names over mDNS: 2", `
		0s  every 1s times 3 10.0.0.5 hails mdns dev#
		0s  every 1s times 3 10.0.0.40 answers mdns dev# to all`, "l2.poison 10.0.0.40 -> 10.0.0.5 2.00"},
	{"answers whose question was not to a group: a server of NetBIOS names", `
		0s  every 1s times 9 10.0.0.40 answers nbns fs# to 10.0.0.5`, ""},

	// l2.dhcp
	{"leases of another network renewed, which a relay led to", `
		0s  10.0.0.1 renews 10.0.0.5 router 10.0.0.254 resolver 10.0.0.1 to 5
		60s 10.0.9.2 renews 192.168.0.77 router 192.168.0.254 resolver 10.0.9.2 to 6`, ""},
	{"first renewed, then given", `
		0s  10.0.0.1 renews 10.0.0.5 router 10.0.0.254 resolver 10.0.0.1 to 5
		1s  10.0.0.1 acks 10.0.0.7 router 10.0.0.254 resolver 10.0.0.1 to 7
		60s 192.168.0.1 offers 192.168.0.77 router 192.168.0.1 resolver 192.168.0.1 to 6`, "l2.dhcp 192.168.0.1 -> 192.168.0.77 1.50"},
	{"a second server with another router, itself: 3 + 1", `
		0s  10.0.0.1 acks 10.0.0.5 router 10.0.0.254 resolver 10.0.0.53 to 5
		60s 10.0.0.66 offers 10.0.0.77 router 10.0.0.66 resolver 10.0.0.66 to 6`, "l2.dhcp 10.0.0.66 -> 10.0.0.77 4.00"},
	{"which of two came first is not known: the one that names itself", `
		0s  10.0.0.66 offers 10.0.0.77 router 10.0.0.66 resolver 10.0.0.53 to 6
		1s  10.0.0.1 offers 10.0.0.5 router 10.0.0.254 resolver 10.0.0.53 to 6`, "l2.dhcp 10.0.0.66 -> 10.0.0.77 4.00"},
	{"a pair whose servers name themselves as resolver: 1 + 1", `
		0s  10.0.0.1 acks 10.0.0.5 router 10.0.0.254 resolver 10.0.0.53 to 5
		60s 10.0.0.2 offers 10.0.0.77 router 10.0.0.254 resolver 10.0.0.2 to 6`, "l2.dhcp 10.0.0.2 -> 10.0.0.77 2.00"},
	{"a home router plugged in: 1.5", `
		0s  10.0.0.1 acks 10.0.0.5 router 10.0.0.254 resolver 10.0.0.53 to 5
		60s 192.168.0.1 offers 192.168.0.77 router 192.168.0.1 resolver 192.168.0.1 to 6`, "l2.dhcp 192.168.0.1 -> 192.168.0.77 1.50"},
	{"a fail-over pair", `
		0s  every 60s times 9 10.0.0.1 acks 10.0.0.# router 10.0.0.254 resolver 10.0.0.53 to 5
		30s every 60s times 9 10.0.0.2 acks 10.0.0.#+20 router 10.0.0.254 resolver 10.0.0.53 to 6`, ""},

	// l2.redirect
	{"in the name of the router, by another machine: 3", `
		0s  10.0.0.1 whohas 10.0.0.5 from 1
		1s  10.0.0.66 tunes 66
		2s  10.0.0.1 redirects 10.0.0.5 by 66`, "l2.redirect 10.0.0.66 -> 10.0.0.5 3.00"},
	{"the same by who claims the router's address by ARP, unasked: 3, beside that lie", `
		0s  10.0.0.1 whohas 10.0.0.5 from 1
		1s  10.0.0.66 tunes 66
		5s  10.0.0.1 isat 66 to 10.0.0.7
		8s  10.0.0.1 redirects 10.0.0.5 by 66`, "l2.arp 10.0.0.66 -> 10.0.0.7 1.75, l2.redirect 10.0.0.66 -> 10.0.0.5 3.00"},
	{"by a host through which no traffic goes: 1.5", `
		1s  10.0.0.5 via 1 198.51.100.7
		2s  10.0.0.66 redirects 10.0.0.5 by 66`, "l2.redirect 10.0.0.66 -> 10.0.0.5 1.50"},
	{"by a router", `
		1s  10.0.0.5 via 1 198.51.100.7
		2s  10.0.0.1 redirects 10.0.0.5 by 1`, ""},
}

func TestCases(t *testing.T) {
	for _, c := range cases {
		if got := strings.Join(said(t, c.text, 1), ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestWorkers holds that nothing depends on how many workers there are.
func TestWorkers(t *testing.T) {
	for _, c := range cases {
		if one, eight := said(t, c.text, 1), said(t, c.text, 8); strings.Join(one, ", ") != strings.Join(eight, ", ") {
			t.Errorf("%s: %q with 1 worker, %q with 8", c.name, one, eight)
		}
	}
}

// TestBounds holds that floods of addresses, machines, names and servers keep to the bounds.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxHosts = 64
	d := New(cfg)
	if _, err := scenario.Play(`
		0s every 1ms times 250 10.1.0.# whohas 10.2.0.# from #
		1s every 1ms times 250 10.3.0.1 isat # to 10.2.0.#
		3s every 1ms times 250 10.3.0.# isat 9 to 10.2.0.#
		4s every 1ms times 250 10.4.0.# hails llmnr name#
		4s every 1ms times 250 10.5.0.9 answers llmnr name# to 10.4.0.#
		4s every 1ms times 250 10.5.0.# answers llmnr name# to 10.4.0.#
		5s every 1ms times 250 10.6.0.# offers 10.7.#.1 router 10.6.0.# resolver 10.6.0.# to 1
		6s every 1ms times 250 10.7.0.# via # 198.51.100.#`, d); err != nil {
		t.Fatal(err)
	}
	if d.machines.Len() > 64 || d.addresses.Len() > 64 || d.asked.Len() > 64 || d.ways.Len() > 64 || d.responders.Len() > 16 || d.questions.Len() > 16 ||
		d.machines.Evicted() == 0 || d.addresses.Evicted() == 0 || d.responders.Evicted() == 0 || len(d.waiting) > 64 {
		t.Errorf("%d machines, %d addresses, %d responders, %d evicted", d.machines.Len(), d.addresses.Len(), d.responders.Len(), d.Evicted())
	}
	for _, m := range d.machines.All() {
		if len(m.lies) > maxLies {
			t.Errorf("%d lies", len(m.lies))
		}
	}
	for _, r := range d.responders.All() {
		if len(r.names) > maxNames || len(r.victims) > maxVictims {
			t.Errorf("%d names, %d victims", len(r.names), len(r.victims))
		}
	}
	for _, n := range d.networks.All() {
		if len(n.servers) > maxServers {
			t.Errorf("%d servers", len(n.servers))
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{}.Validate()
	if err == nil || !strings.Contains(err.Error(), "min_nats: 0") || !strings.Contains(err.Error(), "max_hosts: 0") {
		t.Errorf("%v", err)
	}
}
