package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"

	"neuromast/export/schema"
	"neuromast/pcaps"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" { // the sensor itself, for tests that need a process
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// craftCapture writes one of the project's captures and returns its path.
func craftCapture(t testing.TB, name string) string {
	t.Helper()
	s, err := pcaps.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := s.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	return path
}

// run is the command line in process: what it prints and how it ends.
func run(t testing.TB, arguments ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := root()
	cmd.SetArgs(arguments)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetIn(strings.NewReader(""))
	err = cmd.ExecuteContext(context.Background())
	return out.String(), errs.String(), err
}

// results is what replay --out wrote.
func results(t testing.TB, arguments ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if _, errs, err := run(t, append([]string{"replay", "--quiet", "--out", dir}, arguments...)...); err != nil {
		t.Fatalf("replay: %v\n%s", err, errs)
	}
	return dir
}

func lines(t testing.TB, path string) []map[string]any {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []map[string]any
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var doc map[string]any
		if err := json.Unmarshal(sc.Bytes(), &doc); err != nil {
			t.Fatalf("%s: %v in %s", path, err, sc.Text())
		}
		out = append(out, doc)
	}
	return out
}

func readJSON(t testing.TB, path string) (doc map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return doc
}

// get reads a dotted path.
func get(doc map[string]any, path string) any {
	var cur any = doc
	for _, k := range strings.Split(path, ".") {
		m, ok := cur.(map[string]any)
		if !ok {
			return nil
		}
		cur = m[k]
	}
	return cur
}

// TestCapturesYieldWhatTheyMust replays every capture of the project: each expected finding is there with at least its
// risk, and nothing else alarms.
func TestCapturesYieldWhatTheyMust(t *testing.T) {
	for _, name := range pcaps.Names() {
		t.Run(name, func(t *testing.T) {
			s, err := pcaps.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			found := lines(t, filepath.Join(results(t, craftCapture(t, name)), "findings.jsonl"))
			matched := map[int]bool{}
			for _, e := range s.Expect {
				ok := false
				for i, f := range found {
					target, _ := get(f, "destination.ip").(string)
					if domain, _ := get(f, "destination.domain").(string); target == "" {
						target = domain
					}
					actor, _ := netip.ParseAddr(get(f, "source.ip").(string))
					if get(f, "rule.id") == e.Rule && actor == e.Actor && (e.Target == "" || e.Target == target) &&
						get(f, "event.risk_score").(float64) >= e.Risk {
						ok, matched[i] = true, true
					}
				}
				if !ok {
					t.Errorf("missing: %s by %v on %s with risk %v", e.Rule, e.Actor, e.Target, e.Risk)
				}
			}
			expected := map[string]bool{}
			for _, e := range s.Expect {
				expected[e.Actor.String()] = true
			}
			for i, f := range found {
				if s.Quiet && !matched[i] && get(f, "event.risk_score").(float64) >= 47 && !expected[get(f, "source.ip").(string)] {
					t.Errorf("false alarm: %v", get(f, "message"))
				}
			}
		})
	}
}

// TestSameResultsWithAnyWorkers holds law 1: 1, 2 and 8 workers, twice over, give the same bytes.
func TestSameResultsWithAnyWorkers(t *testing.T) {
	for _, name := range []string{"intrusion", "office", "lan"} {
		path := craftCapture(t, name)
		want := map[string][]byte{}
		for _, workers := range []string{"1", "2", "8", "8", "1"} {
			dir := results(t, "--workers", workers, path)
			for _, file := range []string{"findings.jsonl", "flows.jsonl", "dns.jsonl", "incidents.jsonl"} {
				got, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				if want[file] == nil {
					want[file] = append([]byte{}, got...)
				} else if !bytes.Equal(want[file], got) {
					t.Errorf("%s: %s differs with %s workers", name, file, workers)
				}
			}
		}
	}
}

// TestGoldenFindings holds what consumers get for the intrusion, byte for byte.
func TestGoldenFindings(t *testing.T) {
	golden, err := filepath.Abs("testdata/intrusion.findings.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	path := craftCapture(t, "intrusion")
	t.Chdir(filepath.Dir(path)) // findings name their input as it was given
	got, err := os.ReadFile(filepath.Join(results(t, filepath.Base(path)), "findings.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("findings differ from %s; `make golden` rewrites it: read the diff", golden)
	}
}

// TestOneIncident: the intrusion is one incident that closes, with its stages in order and every finding in its timeline;
// an ordinary day is none.
func TestOneIncident(t *testing.T) {
	dir := results(t, craftCapture(t, "intrusion"))
	records := lines(t, filepath.Join(dir, "incidents.jsonl"))
	last := records[len(records)-1]
	for i, r := range records {
		if get(r, "event.id") != get(last, "event.id") || get(r, "neuromast.revision") != float64(i+1) {
			t.Errorf("record %d: id %v, revision %v", i, get(r, "event.id"), get(r, "neuromast.revision"))
		}
	}
	if get(last, "neuromast.state") != "close" || get(last, "event.risk_score").(float64) < 99 || get(last, "source.ip") != "10.20.1.66" {
		t.Errorf("the last record: %v", last)
	}
	told := map[string]bool{}
	for _, e := range get(last, "neuromast.timeline").([]any) {
		told[e.(map[string]any)["finding"].(string)] = true
	}
	for _, f := range lines(t, filepath.Join(dir, "findings.jsonl")) {
		if id := get(f, "event.id").(string); !told[id] {
			t.Errorf("%v is not in the timeline", get(f, "message"))
		}
	}
	if n := readJSON(t, filepath.Join(dir, "summary.json"))["incidents"]; n != 1.0 {
		t.Errorf("the summary says %v incidents", n)
	}
	if quiet := lines(t, filepath.Join(results(t, craftCapture(t, "office")), "incidents.jsonl")); len(quiet) != 0 {
		t.Errorf("an ordinary day: %v", quiet)
	}
}

// TestEveryRecordFitsItsSchema validates all that replay writes.
func TestEveryRecordFitsItsSchema(t *testing.T) {
	compiled := map[string]*jsonschema.Schema{}
	for _, name := range []string{"finding", "incident", "flow", "dns", "folded"} {
		text, err := fs.ReadFile(schema.Schemas(), name+".schema.json")
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(name, doc); err != nil {
			t.Fatal(err)
		}
		if compiled[name], err = c.Compile(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range pcaps.Names() {
		dir := results(t, craftCapture(t, name))
		for file, kind := range map[string]string{"findings.jsonl": "finding", "incidents.jsonl": "incident", "flows.jsonl": "flow", "dns.jsonl": "dns"} {
			for i, doc := range lines(t, filepath.Join(dir, file)) {
				if get(doc, "event.dataset") == schema.FoldedDataset {
					kind = "folded"
				} else if file == "flows.jsonl" {
					kind = "flow"
				}
				if err := compiled[kind].Validate(any(doc)); err != nil {
					t.Fatalf("%s %s line %d: %v", name, file, i+1, err)
				}
			}
		}
	}
}

// TestExitsAndErrors holds the contract of the command line: what is the caller's fault names what to mend.
func TestExitsAndErrors(t *testing.T) {
	dir := t.TempDir()
	notCapture := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(notCapture, []byte("hello, this is text"), 0o644); err != nil {
		t.Fatal(err)
	}
	good := craftCapture(t, "scan")
	for _, c := range []struct {
		args  []string
		usage bool
		want  string
	}{
		{[]string{"replay"}, true, "requires at least 1 arg"},
		{[]string{"replay", "--nonsense", good}, true, "unknown flag"},
		{[]string{"replay", "--workers", "0", good}, true, "--workers 0"},
		{[]string{"replay", "--format", "xml", good}, true, "--format xml"},
		{[]string{"replay", "--only", "scan.nothing", good}, true, "scan.nothing"},
		{[]string{"replay", "--set", "sensor.idd=x", good}, true, "sensor.idd"},
		{[]string{"replay", notCapture}, false, "notes.txt"},
		{[]string{"replay", filepath.Join(dir, "absent.pcap")}, false, "absent.pcap"},
		{[]string{"replay", "--out", notCapture + "/x", good}, false, "notes.txt"},
		{[]string{"schema", "flw"}, true, "flw"},
		{[]string{"detectors", "nothing"}, true, "nothing"},
	} {
		_, _, err := run(t, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.args, err, c.want)
			continue
		}
		if _, usage := err.(usageError); usage != c.usage {
			t.Errorf("%v: usage error is %v, want %v (%v)", c.args, usage, c.usage, err)
		}
	}
}

// TestCutCapture holds that a capture that ends early is analysed as far as it goes, and that the summary says so.
// TestFilter holds that a filter leaves out what it says, and that a wrong one is the caller's mistake.
func TestFilter(t *testing.T) {
	path := craftCapture(t, "intrusion")
	all := get(readJSON(t, filepath.Join(results(t, path), "summary.json")), "packets.read").(float64)
	dir := results(t, "--bpf", "port 53", path)
	dns := get(readJSON(t, filepath.Join(dir, "summary.json")), "packets.read").(float64)
	rest := get(readJSON(t, filepath.Join(results(t, "--bpf", "not port 53", path), "summary.json")), "packets.read").(float64)
	if dns == 0 || rest == 0 || dns+rest != all {
		t.Errorf("%v frames; %v of DNS, %v others", all, dns, rest)
	}
	for _, f := range lines(t, filepath.Join(dir, "flows.jsonl")) {
		if get(f, "destination.port") != 53.0 {
			t.Fatalf("port %v", get(f, "destination.port"))
		}
	}
	var usage usageError
	if _, _, err := run(t, "replay", "--bpf", "prot 53", path); !errors.As(err, &usage) || !strings.Contains(err.Error(), `"prot" (column 1)`) {
		t.Errorf("%v", err)
	}
}

func TestCutCapture(t *testing.T) {
	whole, err := os.ReadFile(craftCapture(t, "scan"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut.pcap")
	if err := os.WriteFile(path, whole[:len(whole)*3/4+5], 0o644); err != nil {
		t.Fatal(err)
	}
	sum := readJSON(t, filepath.Join(results(t, path), "summary.json"))
	if sum["truncated"] != true || get(sum, "packets.read").(float64) == 0 {
		t.Errorf("got truncated %v, packets %v", sum["truncated"], sum["packets"])
	}
}
