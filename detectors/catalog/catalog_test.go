package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"neuromast/detectors"
)

func ids(dets []detectors.Detector) (out []string) {
	for _, d := range dets {
		for _, r := range d.Rules() {
			out = append(out, r.ID)
		}
	}
	return out
}

func TestBuild(t *testing.T) {
	off := Default()
	off.DNS.Enabled = false
	for _, tt := range []struct {
		name          string
		cfg           Config
		only, disable []string
		with, without []string
	}{
		{"default", Default(), nil, nil, []string{"scan.trw", "dns.info"}, nil},
		{"disabled by configuration", off, nil, nil, []string{"scan.trw"}, []string{"dns.info"}},
		{"only", Default(), []string{"dns.info"}, nil, []string{"dns.info"}, []string{"scan.trw"}},
		{"only wins over the configuration", off, []string{"dns.info"}, nil, []string{"dns.info"}, nil},
		{"disable", Default(), nil, []string{"dns.info"}, []string{"scan.trw"}, []string{"dns.info"}},
		{"a section names all its rules", Default(), []string{"rpc.seq"}, nil, []string{"rpc.seq.dcsync"}, []string{"scan.trw", "rpc.op.dcsync"}},
		{"disable wins over only", Default(), []string{"dns.info"}, []string{"dns.info"}, nil, RuleIDs()},
	} {
		dets, err := Build(tt.cfg, tt.only, tt.disable)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		got := ids(dets)
		for _, id := range tt.with {
			if !slices.Contains(got, id) {
				t.Errorf("%s: %v lacks %s", tt.name, got, id)
			}
		}
		for _, id := range tt.without {
			if slices.Contains(got, id) {
				t.Errorf("%s: %v has %s", tt.name, got, id)
			}
		}
	}
	_, err := Build(Default(), []string{"scan.trv"}, []string{"x.y"})
	if err == nil || !strings.Contains(err.Error(), "no rule scan.trv, x.y; there are ") {
		t.Errorf("unknown rules: %v", err)
	}
}

// TestSections holds that each field of Config is a detector's section, has a default, and configures rules of its name,
// and that each rule is one.
func TestSections(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range Default().entries() {
		if !e.enabled {
			t.Errorf("section %s is off, or has no default", e.key)
		}
		rules := e.Build().Rules()
		if !slices.ContainsFunc(rules, func(r *detectors.Rule) bool { return r.ID == e.key || strings.HasPrefix(r.ID, e.key+".") }) {
			t.Errorf("section %s configures %v", e.key, ids([]detectors.Detector{e.Build()}))
		}
		for _, r := range rules {
			if seen[r.ID] {
				t.Errorf("two rules are called %s", r.ID)
			}
			seen[r.ID] = true
			if len(r.Techniques) == 0 || r.Name == "" {
				t.Errorf("%s says too little about itself", r.ID)
			}
		}
	}
}

// TestEveryDetectorIsBounded holds that each counts what its bounds push out, and that Sections finds it.
func TestEveryDetectorIsBounded(t *testing.T) {
	dets, err := Build(Default(), nil, []string{"scan.trw"})
	if err != nil {
		t.Fatal(err)
	}
	for i, section := range Sections(dets) {
		if !slices.Contains(called(section, dets[i]), section) || section == "" || section == "scan.trw" {
			t.Errorf("section %q has %v", section, ids(dets[i:i+1]))
		}
		if _, ok := dets[i].(detectors.Bounded); !ok {
			t.Errorf("%s does not count what its bounds push out", section)
		}
	}
}

func TestValidateNamesEveryKey(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default is not valid: %v", err)
	}
	c := Default()
	c.Scan.Threshold, c.Scan.Theta1, c.DNS.Day = 1, 2, 3
	err := c.Validate()
	for _, want := range []string{"detectors.scan.trw.threshold: 1, want", "detectors.scan.trw.theta1: 2", "detectors.dns.info.day: 3"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestYAML(t *testing.T) {
	c := Default()
	if err := yaml.UnmarshalWithOptions([]byte("scan.trw:\n  threshold: 20\ndns.info:\n  enabled: false\n"), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if c.Scan.Threshold != 20 || c.Scan.Theta0 != 0.8 || c.DNS.Enabled {
		t.Errorf("%+v", c)
	}
	if err := yaml.UnmarshalWithOptions([]byte("scan.trw:\n  treshold: 20\n"), &c, yaml.Strict()); err == nil {
		t.Error("a misspelt key passes")
	}
}

func TestReference(t *testing.T) {
	var all, one strings.Builder
	if err := Reference(&all, ""); err != nil {
		t.Fatal(err)
	}
	if err := Reference(&one, "dns.info"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"dns.info  Data in DNS names or answers\n    stage   command and control\n    ATT&CK  T1071.004 DNS (TA0011)\n            T1572 ",
		"\nStatistic\n\n    Information: the sum over different names",
		"\nConfiguration\n\n    detectors.dns.info.enabled = true\n    detectors.dns.info.minutes = 2000\n",
	} {
		if !strings.Contains(one.String(), want) {
			t.Errorf("the reference lacks %q:\n%s", want, one.String())
		}
	}
	if !strings.Contains(all.String(), one.String()) || !strings.Contains(all.String(), "scan.trw  Scan") || strings.Contains(one.String(), "scan.trw") {
		t.Error("all must hold each, and one only itself")
	}
	for _, line := range strings.Split(all.String(), "\n") {
		if n := len([]rune(line)); n > textWidth+20 { // a rule's name stands on one line
			t.Errorf("a line of %d characters: %s", n, line)
		}
	}
	if err := Reference(&one, "x.y"); err == nil || !strings.Contains(err.Error(), "scan.trw") {
		t.Errorf("unknown rule: %v", err)
	}
}

func TestEveryDetectorSaysWhatItIs(t *testing.T) {
	for _, d := range all() {
		text, err := readable(d.Doc())
		if err != nil {
			t.Errorf("%v: %v", ids([]detectors.Detector{d}), err)
		}
		for _, heading := range []string{"What it sees", "Statistic", "Blind to"} {
			if !strings.Contains(text, "\n"+heading+"\n\n") {
				t.Errorf("%v: the comment lacks the heading %s", ids([]detectors.Detector{d}), heading)
			}
		}
		if !strings.Contains(text, "Hand: ") {
			t.Errorf("%v: the comment lacks a value worked out by hand", ids([]detectors.Detector{d}))
		}
	}
}
