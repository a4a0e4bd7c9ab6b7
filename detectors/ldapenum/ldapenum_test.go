package ldapenum

import (
	"fmt"
	"strings"
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/scenario"
)

const (
	admins   = "(&(objectCategory=group)(sAMAccountName=Domain_Admins))"
	spn      = "(&(samAccountType=805306368)(servicePrincipalName=*)(!(samAccountName=krbtgt)))"
	noAuth   = "(&(samAccountType=805306368)(userAccountControl:1.2.840.113556.1.4.803:=4194304))"
	allUsers = "(&(objectCategory=person)(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))"
	allHosts = "(samAccountType=805306369)"
	// what a collector of access paths asks in one search
	collector = "(|(samaccounttype=268435456)(samaccounttype=536870912)(samaccounttype=805306368)(samaccounttype=805306369)(objectclass=domain)(objectclass=organizationalUnit)(objectcategory=groupPolicyContainer))"
)

// ask is a search of the whole domain.
func ask(at, filter, more string) string {
	return at + " 10.0.0.5 searches 10.0.0.10 DC=corp,DC=example 2 " + filter + " " + more
}

// TestCases holds what is said, with nats worked out by hand from the package comment.
func TestCases(t *testing.T) {
	join := func(lines ...string) string { return strings.Join(lines, "\n") }
	for _, c := range []struct{ name, text, want string }{
		{"members of Domain Admins", ask("0s", admins, ""), "1.50 T1069.002"},
		{"the group's own entry", "0s 10.0.0.5 searches 10.0.0.10 CN=Domain_Admins,CN=Users,DC=corp 0 (objectClass=*) asks member", "1.50 T1069.002"},
		{"that Anna is one of them", ask("0s", "(&(sAMAccountName=anna)(memberOf=CN=Domain_Admins,CN=Users,DC=corp))", ""), ""},
		{"groups with admin in their name", ask("0s", "(&(objectCategory=group)(name=*admin*))", ""), "1.50 T1069.002"},
		{"service principal names, no pre-authentication, users, computers: 1.5 + 1.5 + 0.7 + 0.7",
			join(ask("0s", spn, ""), ask("1s", noAuth, ""), ask("2s", allUsers, ""), ask("3s", allHosts, "")), "4.40 T1087.002 T1018"},
		{"the same again counts once", join(ask("0s", spn, ""), ask("1s", spn, "")), "2.20 T1087.002"},
		{"an hour apart: two windows", join(ask("0s", admins, ""), ask("61m", spn, "")), "1.50 T1069.002, 2.20 T1087.002"},
		{"a collector: descriptors 1.5 + users, computers, groups and policies 2.8, and 1,200 entries",
			ask("0s", collector, "asks sAMAccountName,nTSecurityDescriptor sd page 500 entries 1200"), "5.30 T1069.002 T1087.002 T1018"},
		{"everything of the domain in pages", ask("0s", "(objectGUID=*)", "page 1000 entries 100"), "1.50 T1087.002"},
		{"one service's principal", ask("0s", "(servicePrincipalName=MSSQLSvc/db1.corp.example:1433)", ""), ""},
		{"an address book that looks somebody up", ask("0s", "(&(objectCategory=person)(|(cn=ann*)(mail=ann*)))", ""), ""},
		{"users with mail: an application's", ask("0s", "(&(sAMAccountName=*)(mail=*)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))", "page 100"), ""},
		{"all users and all groups: 1.4", join(ask("0s", allUsers, "page 1000 entries 5000"), ask("1s", "(objectClass=group)", "entries 900")), ""},
		{"trusts and LAPS", join(ask("0s", "(objectClass=trustedDomain)", ""), ask("1s", "(objectCategory=computer)", "asks name,ms-Mcs-AdmPwd")), "3.70 T1087.002 T1482 T1018"},
		{"LAPS of one computer, by an administrator", ask("0s", "(&(objectCategory=computer)(name=pc7))", "asks ms-Mcs-AdmPwd"), ""},
		{"group policy of a member", ask("0s", "(&(!(flags:1.2.840.113556.1.4.803:=1))(gPCUserExtensionNames=[*])(|(distinguishedName=CN={1},CN=Policies)))", "asks nTSecurityDescriptor sd"), ""},
		{"links of group policy", ask("0s", "(|(distinguishedName=OU=x,DC=corp)(distinguishedName=DC=corp))", "asks gPLink"), ""},
		{"enrolment of a member", join("0s 10.0.0.5 searches 10.0.0.10 CN=Public_Key_Services,CN=Services,CN=Configuration,DC=corp 2 (objectCategory=pKIEnrollmentService) asks nTSecurityDescriptor sd",
			"1s 10.0.0.5 searches 10.0.0.10 CN=Certificate_Templates,CN=Configuration,DC=corp 1 (objectClass=pKICertificateTemplate) asks nTSecurityDescriptor sd"), ""},
		{"one of two is named, the other is not", ask("0s", "(|(sAMAccountName=x)(servicePrincipalName=*))", ""), "1.50 T1087.002"},
		{"what is negated is not asked for", ask("0s", "(&(objectClass=computer)(name=pc1)(!(adminCount=1)))", ""), ""},
		{"refused", ask("0s", admins, "code 1 entries 0"), ""},
		{"the root entry", "0s every 1s times 60 10.0.0.5 searches 10.0.0.10 - 0 (objectClass=*)", ""},
		{"sealed: the schema", ask("0s", "sealed", "bytes 357219"), ""},
		{"sealed: a domain", join(ask("0s", "sealed", "bytes 900000"), ask("1s", "sealed", "bytes 900000")), "1.50 T1087.002"},
		{"a synchronisation by day: 2.2 on three days, then 0.2 of it", join(ask("0s", spn, ""), ask("24h", spn, ""), ask("48h", spn, ""), ask("72h", spn, ""), ask("96h", spn, "")),
			"2.20 T1087.002, 2.20 T1087.002, 2.20 T1087.002"},
	} {
		all, err := scenario.Play(c.text, New(Default()))
		if err != nil {
			t.Fatal(c.name, err)
		}
		var said []string
		for _, f := range scenario.Latest(all) {
			line := fmt.Sprintf("%.2f", f.LLR)
			for _, tech := range f.Techniques {
				line += " " + tech.ID
			}
			said = append(said, line)
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

// TestBounds holds that a flood of clients and servers keeps to the bounds.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxClients = 16
	d := New(cfg)
	if _, err := scenario.Play("0s every 1ms times 200 10.0.0.5 searches 10.1.0.# DC=corp 2 "+admins+"\n1s every 1ms times 200 10.2.0.# searches 10.0.0.10 DC=corp 2 "+admins, d); err != nil {
		t.Fatal(err)
	}
	if d.clients.Len() > 16 || d.clients.Evicted() < 180 {
		t.Errorf("%d clients, %d evicted", d.clients.Len(), d.clients.Evicted())
	}
	for _, c := range d.clients.All() {
		if len(c.servers) > maxServers {
			t.Errorf("%d servers", len(c.servers))
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{}.Validate()
	if err == nil || !strings.Contains(err.Error(), "min_nats: 0") || !strings.Contains(err.Error(), "max_clients: 0") {
		t.Errorf("%v", err)
	}
}
