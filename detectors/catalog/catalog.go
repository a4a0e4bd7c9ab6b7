// Package catalog is the list of detectors, by hand and in order: their configuration under one key per rule, and the
// reference that is made from their package comments. Who adds a detector adds its field to Config, with its default.
package catalog

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/adfs"
	"neuromast/detectors/dnsinfo"
	"neuromast/detectors/edges"
	"neuromast/detectors/jndi"
	"neuromast/detectors/l2"
	"neuromast/detectors/ldapenum"
	"neuromast/detectors/logon"
	"neuromast/detectors/passhash"
	"neuromast/detectors/paths"
	"neuromast/detectors/pivot"
	"neuromast/detectors/relay"
	"neuromast/detectors/rpcop"
	"neuromast/detectors/rpcseq"
	"neuromast/detectors/scan"
	"neuromast/detectors/sealed"
	"neuromast/detectors/session"
	"neuromast/detectors/smbexec"
	"neuromast/detectors/sqlexec"
	"neuromast/detectors/storm"
	"neuromast/detectors/tickets"
	"neuromast/detectors/winrm"
)

// Config has a section per detector, named by its rule, by one of them, or by what their ids begin with.
type Config struct {
	LDAP ldapenum.Config `yaml:"ldap.enum"`   // searches that map a directory
	SQL  sqlexec.Config  `yaml:"sql.exec"`    // database servers made to run programs
	JNDI jndi.Config     `yaml:"jndi.lookup"` // look-ups through which a server loads a program

	Scan   scan.Config    `yaml:"scan.trw"`   // hosts that try many addresses or ports
	RPCOp  rpcop.Config   `yaml:"rpc.op"`     // calls over DCE/RPC that administrators and intruders make
	RPCSeq rpcseq.Config  `yaml:"rpc.seq"`    // calls over DCE/RPC that only make sense together
	SMB    smbexec.Config `yaml:"smb.exec"`   // programs, tool output, credential files and pipes over SMB
	Sealed sealed.Config  `yaml:"rpc.sealed"` // calls and files in encrypted SMB3 sessions, by the sizes of messages
	Storm  storm.Config   `yaml:"smb.storm"`  // files of a share renamed or rewritten in bulk
	DNS    dnsinfo.Config `yaml:"dns.info"`   // data in DNS names or answers
	Ticket tickets.Config `yaml:"auth.roast"` // Kerberos tickets that suit who cracks or abuses keys
	WinRM  winrm.Config   `yaml:"winrm.exec"` // commands through Windows Remote Management
	Logon  logon.Config   `yaml:"auth.spray"` // names and passwords that are tried

	Sess session.Config `yaml:"sess.interactive"` // what people and programs do in sessions on other hosts

	Relay relay.Config    `yaml:"auth.relay"`  // NTLM log-ins that are passed on or collected
	Hash  passhash.Config `yaml:"auth.pth"`    // NTLM log-ins where Kerberos is the habit
	ADFS  adfs.Config     `yaml:"adfs.export"` // the configuration of a federation server that is read
	L2    l2.Config       `yaml:"l2.poison"`   // hosts that put themselves between others on a LAN

	Edges edges.Config `yaml:"graph.first_edge"` // contacts between hosts that are new, or against their roles, or many
	Paths paths.Config `yaml:"graph.path"`       // chains of sessions from host to host
	Pivot pivot.Config `yaml:"graph.relay"`      // hosts that pass on what they receive
}

// Default returns every detector's default.
func Default() Config {
	return Config{
		LDAP:   ldapenum.Default(),
		SQL:    sqlexec.Default(),
		JNDI:   jndi.Default(),
		Scan:   scan.Default(),
		RPCOp:  rpcop.Default(),
		RPCSeq: rpcseq.Default(),
		SMB:    smbexec.Default(),
		Sealed: sealed.Default(),
		Storm:  storm.Default(),
		DNS:    dnsinfo.Default(),
		Ticket: tickets.Default(),
		WinRM:  winrm.Default(),
		Logon:  logon.Default(),
		Sess:   session.Default(),
		Relay:  relay.Default(),
		Hash:   passhash.Default(),
		ADFS:   adfs.Default(),
		L2:     l2.Default(),
		Edges:  edges.Default(),
		Paths:  paths.Default(),
		Pivot:  pivot.Default(),
	}
}

// section is what each field of Config is: one detector's configuration.
type section interface {
	Validate() error
	Build() detectors.Detector
}

// entry is one field of Config.
type entry struct {
	section
	key     string // the field's tag
	enabled bool   // its field Enabled
}

// entries lists the detectors in the order in which the engine calls them: that of Config's fields.
func (c Config) entries() []entry {
	v := reflect.ValueOf(c)
	out := make([]entry, v.NumField())
	for i := range out {
		out[i] = entry{v.Field(i).Interface().(section), v.Type().Field(i).Tag.Get("yaml"), v.Field(i).FieldByName("Enabled").Bool()}
	}
	return out
}

// Validate names every wrong value with its whole key.
func (c Config) Validate() error {
	var errs []error
	for _, e := range c.entries() {
		for _, err := range each(e.Validate()) {
			errs = append(errs, fmt.Errorf("detectors.%s.%w", e.key, err))
		}
	}
	return errors.Join(errs...)
}

// each takes joined errors apart.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// RuleIDs lists the rules that there are, in the order of the catalog.
func RuleIDs() []string {
	var ids []string
	for _, d := range all() {
		for _, r := range d.Rules() {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// all builds every detector in its smallest size, for what it says about itself.
func all() []detectors.Detector {
	c := Default()
	c.Scan.MaxPairs, c.Scan.MaxFailed, c.Scan.MaxAlive, c.DNS.MaxPairs = 1000, 1000, 1000, 64
	var out []detectors.Detector
	for _, e := range c.entries() {
		out = append(out, e.Build())
	}
	return out
}

// called lists what a detector goes by: its section's key and its rules.
func called(section string, d detectors.Detector) []string {
	names := []string{section}
	for _, r := range d.Rules() {
		if r.ID != section {
			names = append(names, r.ID)
		}
	}
	return names
}

// known lists everything that names a detector, in the order of the catalog.
func known() []string {
	var out []string
	described := all()
	for i, e := range Default().entries() {
		out = append(out, called(e.key, described[i])...)
	}
	return out
}

// Sections names the sections of detectors, in their order.
func Sections(dets []detectors.Detector) []string {
	out := make([]string, len(dets))
	described := all()
	for i, e := range Default().entries() {
		id := described[i].Rules()[0].ID
		if j := slices.IndexFunc(dets, func(d detectors.Detector) bool { return d.Rules()[0].ID == id }); j >= 0 {
			out[j] = e.key
		}
	}
	return out
}

// checkNames complains about names that no detector goes by, and lists those that one does.
func checkNames(names ...string) error {
	list := known()
	var unknown []string
	for _, n := range names {
		if !slices.Contains(list, n) && !slices.Contains(unknown, n) {
			unknown = append(unknown, n)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("no rule %s; there are %s", strings.Join(unknown, ", "), strings.Join(list, ", "))
	}
	return nil
}

// Build returns the detectors that are to run: those that are enabled; where only is given, those that it names, enabled
// or not; never those that disable names. A detector is named by its section or by any of its rules, and runs as a whole.
func Build(c Config, only, disable []string) ([]detectors.Detector, error) {
	run, err := named(c, only, disable)
	if err != nil {
		return nil, err
	}
	var out []detectors.Detector
	for _, e := range c.entries() {
		if slices.Contains(run, e.key) {
			out = append(out, e.Build())
		}
	}
	return out, nil
}

// named lists the sections of the detectors that are to run.
func named(c Config, only, disable []string) (run []string, err error) {
	if err := checkNames(slices.Concat(only, disable)...); err != nil {
		return nil, err
	}
	described := all()
	for i, e := range c.entries() {
		in := func(list []string) bool {
			return slices.ContainsFunc(called(e.key, described[i]), func(n string) bool { return slices.Contains(list, n) })
		}
		if (e.enabled && len(only) == 0 || in(only)) && !in(disable) {
			run = append(run, e.key)
		}
	}
	return run, nil
}

// Change returns the detectors that are to run under next where running, built from current by Build with the same only
// and disable, run now. A detector whose section is the same goes on with what it has learnt; the sections of those that
// begin anew are named.
func Change(running []detectors.Detector, current, next Config, only, disable []string) (out []detectors.Detector, anew []string, err error) {
	before, err := named(current, only, disable)
	if err != nil {
		return nil, nil, err
	}
	after, err := named(next, only, disable)
	if err != nil {
		return nil, nil, err
	}
	if len(before) != len(running) {
		return nil, nil, fmt.Errorf("%d detectors run, the configuration made %d", len(running), len(before))
	}
	old := current.entries()
	for _, e := range next.entries() {
		if !slices.Contains(after, e.key) {
			continue
		}
		same := slices.ContainsFunc(old, func(o entry) bool { return o.key == e.key && reflect.DeepEqual(o.section, e.section) })
		if i := slices.Index(before, e.key); i >= 0 && same {
			out = append(out, running[i])
			continue
		}
		out = append(out, e.Build())
		anew = append(anew, e.key)
	}
	return out, anew, nil
}
