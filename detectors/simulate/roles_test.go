package simulate

import (
	"slices"
	"testing"

	"neuromast/detectors/engine"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
)

// fits lists the roles that may be inferred for a host's true one, as far as its contacts can tell it: printing over SMB
// looks like files, webmail like a web server, a server that few use stays unknown.
var fits = [numRoles][]hostgraph.Role{
	workstation: {hostgraph.Workstation}, controller: {hostgraph.DomainController}, fileServer: {hostgraph.FileServer},
	printServer: {hostgraph.PrintServer, hostgraph.FileServer}, database: {hostgraph.DatabaseServer, hostgraph.Unknown}, application: {hostgraph.WebServer},
	linux: {hostgraph.Server, hostgraph.Unknown}, mailServer: {hostgraph.MailServer, hostgraph.WebServer}, jump: {hostgraph.JumpHost, hostgraph.Administrator},
	deployment: {hostgraph.Deployment, hostgraph.Administrator, hostgraph.Unknown}, monitoring: {hostgraph.Monitoring}, backup: {hostgraph.Backup},
	scanner: {hostgraph.Scanner}, printer: {hostgraph.Device}, thing: {hostgraph.Device}, gateway: {hostgraph.Gateway, hostgraph.Unknown},
}

// TestRolesAreInferred plays eight days of 300 hosts with intrusions: the graph must tell what hosts are for, and must not
// take an intruder's host for one that administers by trade.
func TestRolesAreInferred(t *testing.T) {
	s := newSite(Config{Hosts: 300, Days: 8, Seed: 7, Volume: 0.3, Intrusions: 4, Learn: 3})
	e := engine.New(nil, engine.Config{Internal: internal})
	s.begin()
	s.intrude()
	s.run(func(b *flows.Batch) {
		var merged flows.Merged
		merged.Merge([]*flows.Batch{b})
		e.Feed(&merged)
	})
	acted := map[flows.HostKey]bool{}
	for _, i := range s.plan {
		for _, step := range i.Steps {
			acted[flows.HostKey{Addr: step.From}] = true
		}
	}
	g := e.Graph()
	wrong := map[role]int{}
	for _, h := range s.hosts {
		k := flows.HostKey{Addr: h.addr}
		n := e.Hosts().Number(k)
		got := g.Role(n)
		if h.role == workstation && got.WideByTrade() && !h.admin {
			t.Errorf("%s (acted: %v) is taken for %s: %s", h.addr, acted[k], got, g.Why(n))
		}
		if !slices.Contains(fits[h.role], got) && !(h.admin && got == hostgraph.Administrator) {
			wrong[h.role]++
			t.Logf("%s, a %s, is taken for %s: %s", h.addr, roleNames[h.role], got, g.Why(n))
		}
	}
	total := 0
	for _, n := range wrong {
		total += n
	}
	if total*100 > 4*len(s.hosts) {
		t.Errorf("%d of %d hosts have a wrong role", total, len(s.hosts))
	}
	if st := g.Stats(); st.Edges < 2000 || st.Evicted > 0 {
		t.Errorf("%+v", st)
	}
}
