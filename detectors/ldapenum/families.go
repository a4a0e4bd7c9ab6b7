package ldapenum

import (
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/windows"
)

// family is a kind of search.
type family uint8

const (
	principals family = iota
	noProof
	delegation
	adminCount
	laps
	trusts
	privileged
	descriptors
	managed
	keys
	passwords
	everything
	users
	computers
	groups
	policies
	certificates
	accountFlags
	passwordRules
	sealed
	numFamilies
)

var (
	remoteSystems  = detectors.Technique{ID: "T1018", Name: "Remote System Discovery", Tactic: "TA0007"}
	groupPolicies  = detectors.Technique{ID: "T1615", Name: "Group Policy Discovery", Tactic: "TA0007"}
	passwordPolicy = detectors.Technique{ID: "T1201", Name: "Password Policy Discovery", Tactic: "TA0007"}
)

// kinds tell of the families.
var kinds = [numFamilies]struct {
	name      string
	nats      float64
	technique detectors.Technique
}{
	principals:    {"accounts with service principal names", 1.5, windows.DomainUsers},
	noProof:       {"accounts without pre-authentication", 1.5, windows.DomainUsers},
	delegation:    {"accounts trusted for delegation", 1.5, windows.DomainUsers},
	adminCount:    {"accounts that are or were privileged (adminCount)", 1.5, windows.DomainUsers},
	laps:          {"passwords of local administrators (LAPS)", 1.5, windows.DomainUsers},
	trusts:        {"trusts", 1.5, windows.DomainTrusts},
	privileged:    {"members of privileged groups", 1.5, windows.DomainGroups},
	descriptors:   {"security descriptors of accounts", 1.5, windows.DomainGroups},
	managed:       {"managed service accounts", 1.5, windows.DomainUsers},
	keys:          {"key credentials", 1.5, windows.DomainUsers},
	passwords:     {"passwords in attributes", 1.5, windows.DomainUsers},
	everything:    {"every object of the domain", 1.5, windows.DomainUsers},
	users:         {"all users", 0.7, windows.DomainUsers},
	computers:     {"all computers", 0.7, remoteSystems},
	groups:        {"all groups", 0.7, windows.DomainGroups},
	policies:      {"all group policies", 0.7, groupPolicies},
	certificates:  {"certificate templates or authorities", 0.7, windows.DomainUsers},
	accountFlags:  {"accounts by flags of their passwords", 0.7, windows.DomainUsers},
	passwordRules: {"password policies", 0.7, passwordPolicy},
	sealed:        {"sealed answers of more than 1.5 MB", 1.5, windows.DomainUsers},
}

// set is a set of families.
type set uint32

func (s set) has(f family) bool { return s>>f&1 != 0 }

func (s *set) add(f family) { *s |= 1 << f }

// search is what the families are told from; texts are in lower case but for the values of assertions.
type search struct {
	base, filter string
	attributes   []string
	scope        uint8
	descriptors  bool // asked for by the control
	many         bool // pages or a hundred entries
}

// found collects what a filter's assertions ask for.
type found struct {
	is                   set
	units                bool // organisational units
	anything             bool // (objectClass=*) and the like
	adminName, groupWord bool
}

// classify returns the families that a search belongs to.
func classify(s *search) set {
	var f found
	narrow, _ := f.walk(s.filter, false, 0)
	wide := s.scope > 0 && !narrow
	if s.scope == 0 { // a privileged group's own entry
		if privilegedNames[firstName(s.base)] && slices.ContainsFunc(s.attributes, func(a string) bool { return strings.HasPrefix(a, "member") }) {
			f.is = 1 << privileged
			return f.is
		}
		return 0
	}
	if !wide {
		return 0
	}
	if f.adminName && f.is.has(groups) {
		f.is.add(privileged)
	}
	if f.is.has(privileged) { // it names groups rather than asks for all
		f.is &^= 1 << groups
	}
	accounts := f.is.has(users) || f.is.has(computers) || f.is.has(groups) || f.units
	if f.is == 0 && !f.units && f.anything && s.scope == 2 && s.many && strings.HasPrefix(s.base, "dc=") {
		f.is.add(everything)
		accounts = true
	}
	for _, a := range s.attributes {
		switch a {
		case "ms-mcs-admpwd", "mslaps-password", "mslaps-encryptedpassword":
			f.is.add(laps)
		case "msds-managedpassword":
			f.is.add(managed)
		case "ntsecuritydescriptor":
			s.descriptors = true
		}
	}
	if s.descriptors && accounts {
		f.is.add(descriptors)
	}
	return f.is
}

// walk reads the filter that text begins with and returns whether it is narrow and what lies behind it. Negated ones ask for
// nothing and narrow nothing.
func (f *found) walk(text string, negated bool, depth int) (narrow bool, rest string) {
	if depth > 40 || !strings.HasPrefix(text, "(") || len(text) < 2 {
		return false, ""
	}
	switch op := text[1]; op {
	case '&', '|', '!':
		text = text[2:]
		all, some := true, false
		for strings.HasPrefix(text, "(") {
			var n bool
			n, text = f.walk(text, negated || op == '!', depth+1)
			all, some = all && n, some || n
		}
		text = strings.TrimPrefix(text, ")")
		switch op {
		case '&':
			return some, text
		case '|':
			return some && all, text
		}
		return false, text
	}
	leaf, rest, _ := strings.Cut(text[1:], ")")
	if negated {
		return false, rest
	}
	return f.leaf(leaf), rest
}

// firstName returns the first name of a distinguished name, or the name itself.
func firstName(value string) string {
	value, _, _ = strings.Cut(strings.TrimPrefix(value, "cn="), ",")
	return value
}

// bit returns whether a value sets a bit.
func bit(value string, bits ...string) bool { return slices.Contains(bits, value) }

// privilegedNames are the names of groups that rule a domain, in the languages that Windows' controllers come in most.
var privilegedNames = map[string]bool{
	"domain admins": true, "enterprise admins": true, "schema admins": true, "administrators": true, "account operators": true,
	"backup operators": true, "server operators": true, "print operators": true, "dnsadmins": true, "group policy creator owners": true,
	"key admins": true, "enterprise key admins": true, "domänen-admins": true, "organisations-admins": true, "administratoren": true,
	"admins du domaine": true, "administrateurs": true, "administradores": true, "admins. del dominio": true, "exchange windows permissions": true,
}

// classes are attributes whose values many objects share.
var classes = map[string]bool{
	"objectclass": true, "objectcategory": true, "samaccounttype": true, "useraccountcontrol": true, "grouptype": true, "primarygroupid": true,
	"admincount": true, "instancetype": true, "iscriticalsystemobject": true, "systemflags": true, "flags": true, "operatingsystem": true,
	"serviceprincipalname": true, "trusttype": true, "trustdirection": true, "lockouttime": true, "pwdlastset": true, "accountexpires": true,
	"showinaddressbook": true, "msds-supportedencryptiontypes": true, "trustattributes": true, "showinadvancedviewonly": true,
}

// leaf reads one assertion and returns whether it narrows the search.
func (f *found) leaf(text string) (narrow bool) {
	i := strings.IndexByte(text, '=')
	if i < 1 {
		return false
	}
	name, value, op := strings.ToLower(text[:i]), strings.ToLower(text[i+1:]), byte('=')
	switch last := name[len(name)-1]; last {
	case '>', '<', '~':
		name, op = name[:len(name)-1], last
	case ':': // by a rule
		name, _, _ = strings.Cut(name, ":")
	}
	switch name {
	case "serviceprincipalname":
		if strings.Contains(value, "*") {
			f.is.add(principals)
			return false
		}
		return true
	case "useraccountcontrol":
		switch {
		case bit(value, "4194304"):
			f.is.add(noProof)
		case bit(value, "524288", "16777216", "17301504"):
			f.is.add(delegation)
		case bit(value, "32", "64", "65536", "128"):
			f.is.add(accountFlags)
		}
	case "msds-allowedtodelegateto", "msds-allowedtoactonbehalfofotheridentity":
		f.is.add(delegation)
	case "admincount":
		f.is.add(adminCount)
	case "ms-mcs-admpwd", "ms-mcs-admpwdexpirationtime", "mslaps-password", "mslaps-encryptedpassword", "mslaps-passwordexpirationtime":
		f.is.add(laps)
	case "msds-keycredentiallink":
		f.is.add(keys)
	case "userpassword", "unixuserpassword", "unicodepwd", "mssfu30password", "os400password":
		f.is.add(passwords)
	case "description", "info", "comment":
		if strings.Contains(value, "*pass") || strings.Contains(value, "*pwd") {
			f.is.add(passwords)
		}
	case "objectclass", "objectcategory":
		f.class(firstName(value))
	case "samaccounttype":
		switch value {
		case "805306368":
			f.is.add(users)
		case "805306369":
			f.is.add(computers)
		case "268435456", "268435457", "536870912", "536870913":
			f.is.add(groups)
		}
	case "grouptype":
		f.is.add(groups)
	case "objectguid", "objectsid", "distinguishedname":
		f.anything = f.anything || value == "*"
	}
	switch name {
	case "samaccountname", "cn", "name", "distinguishedname", "memberof":
		if op == '=' && privilegedNames[firstName(value)] {
			f.is.add(privileged)
			return false
		}
		if strings.Contains(value, "*admin") {
			f.adminName = true
		}
	}
	return op == '=' && !classes[name] && value != "" && value[0] != '*'
}

// class reads the class that a search wants.
func (f *found) class(value string) {
	switch value {
	case "*":
		f.anything = true
	case "user", "person", "inetorgperson", "organizationalperson":
		f.is.add(users)
	case "computer":
		f.is.add(computers)
	case "group":
		f.is.add(groups)
	case "organizationalunit":
		f.units = true
	case "grouppolicycontainer":
		f.is.add(policies)
	case "trusteddomain":
		f.is.add(trusts)
	case "pkienrollmentservice", "pki-enrollment-service", "pkicertificatetemplate", "pki-certificate-template", "certificationauthority":
		f.is.add(certificates)
	case "msds-groupmanagedserviceaccount", "msds-managedserviceaccount":
		f.is.add(managed)
	case "msds-passwordsettings":
		f.is.add(passwordRules)
	}
}
