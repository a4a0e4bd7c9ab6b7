package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

var update = flag.Bool("update", false, "rewrite golden files")

// compile returns the JSON Schema of a record kind; formats are checked, not only noted.
func compile(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	text, err := fs.ReadFile(Schemas(), name+".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t testing.TB, s *jsonschema.Schema, doc []byte) {
	t.Helper()
	if !json.Valid(doc) {
		t.Fatalf("not JSON: %s", doc)
	}
	if bytes.ContainsAny(doc, "\n\r") {
		t.Fatalf("more than one line: %q", doc)
	}
	if !utf8.Valid(doc) {
		t.Fatalf("not UTF-8: %q", doc)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	if err := s.Validate(v); err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
}

func TestGolden(t *testing.T) {
	env := testEnv()
	fb, flow := smbFlow()
	db, dns := dnsTransaction()
	for name, got := range map[string][]byte{
		"flow":    AppendFlow(nil, fb, flow, env),
		"dns":     AppendDNS(nil, db, dns, env),
		"finding": AppendFinding(nil, finding(), env),
	} {
		t.Run(name, func(t *testing.T) {
			validate(t, compile(t, name), got)
			golden(t, name, got)
		})
	}
}

// golden holds a document against testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, got, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pretty.Bytes(), want) {
		t.Errorf("%s differs; run with -update and read the diff. Got:\n%s", path, pretty.Bytes())
	}
}

// TestHostileRecordsFitTheirSchemas builds records that no honest packet yields.
func TestHostileRecordsFitTheirSchemas(t *testing.T) {
	flow, dns, found := compile(t, "flow"), compile(t, "dns"), compile(t, "finding")
	env := testEnv()
	bare := NewEnv(Config{SensorID: "x\xff", Version: "\x00"})
	for seed := range uint64(300) {
		r := random{rand.New(rand.NewPCG(seed, 1))}
		for _, e := range []*Env{env, bare} {
			fb, f := r.flow()
			validate(t, flow, AppendFlow(nil, fb, f, e))
			db, d := r.dns()
			validate(t, dns, AppendDNS(nil, db, d, e))
			validate(t, found, AppendFinding(nil, r.finding(), e))
		}
	}
}

// TestSchemasAreStrict holds that our own namespace allows nothing that the schema doesn't name.
func TestSchemasAreStrict(t *testing.T) {
	env := testEnv()
	fb, f := smbFlow()
	db, d := dnsTransaction()
	for name, doc := range map[string][]byte{
		"flow": AppendFlow(nil, fb, f, env), "dns": AppendDNS(nil, db, d, env), "finding": AppendFinding(nil, finding(), env), "incident": AppendIncident(nil, story(), env),
	} {
		s := compile(t, name)
		broken := bytes.Replace(doc, []byte(`"neuromast":{`), []byte(`"neuromast":{"surprise":1,`), 1)
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(broken))
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(v) == nil {
			t.Errorf("%s: an unknown key under neuromast is accepted", name)
		}
	}
}

// TestFindingSays reads a finding back by a second decoder and holds the contract's paths against values worked out by hand.
func TestFindingSays(t *testing.T) {
	f := finding()
	var doc map[string]any
	if err := json.Unmarshal(AppendFinding(nil, f, testEnv()), &doc); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"@timestamp":                       "2024-03-01T00:00:05.123456789Z",
		"event.start":                      "2024-02-29T23:59:59.123456789Z",
		"event.id":                         f.ID(),
		"event.risk_score":                 77.3, // 73 + 0.5/3 * 26
		"event.severity":                   73.0,
		"source.ip":                        "10.0.0.5",
		"source.domain":                    "ws5.corp.example",
		"host.id":                          "02-00-00-00-00-05",
		"host.name":                        "ws5.corp.example",
		"host.mac":                         []any{"02-00-00-00-00-05"},
		"destination.domain":               "dc01.corp.example",
		"destination.ip":                   "10.0.0.9",
		"destination.port":                 445.0,
		"network.direction":                "internal",
		"network.vlan.id":                  "42",
		"network.name":                     "servers",
		"related.ip":                       []any{"10.0.0.5", "10.0.0.9", "10.0.0.7"},
		"related.hosts":                    []any{"ws5.corp.example", "dc01.corp.example", "dc01"},
		"related.user":                     []any{`CORP\alice`},
		"threat.tactic.id":                 []any{"TA0002", "TA0008"},
		"threat.tactic.name":               []any{"Execution", "Lateral Movement"},
		"threat.technique.id":              []any{"T1569", "T1021", "T1570"},
		"threat.technique.name":            []any{"System Services", "Remote Services", "Lateral Tool Transfer"},
		"threat.technique.subtechnique.id": []any{"T1569.002", "T1021.002"},
		"neuromast.severity":               "high",
		"neuromast.state":                  "close",
		"neuromast.flow_ids":               []any{"0123456789abcdef", "0123456789abcdf0"},
	} {
		if got := lookup(doc, path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	if ids := lookup(doc, "network.community_id").([]any); len(ids) != 1 {
		t.Errorf("two flows of one 5-tuple give %d community ids", len(ids))
	}
}

// ecsFields are the ECS 9.4 fields that records use. A name that is not here belongs under neuromast.
var ecsFields = strings.Fields(`
@timestamp message ecs.version
event.kind event.category event.type event.module event.dataset event.id event.start event.end event.duration event.risk_score event.severity
source.ip source.domain host.id host.name host.mac source.port source.mac source.bytes source.packets
destination.ip destination.port destination.mac destination.bytes destination.packets destination.domain
network.type network.direction network.iana_number network.transport network.protocol network.community_id network.bytes network.packets
network.name network.vlan.id network.inner.vlan.id
related.ip related.hosts related.user
observer.type observer.vendor observer.product observer.version observer.name observer.hostname
rule.id rule.name rule.category
threat.framework threat.tactic.id threat.tactic.name threat.tactic.reference threat.technique.id threat.technique.name
threat.technique.reference threat.technique.subtechnique.id threat.technique.subtechnique.name threat.technique.subtechnique.reference
dns.type dns.id dns.op_code dns.header_flags dns.response_code dns.question.name dns.question.type dns.question.class
dns.question.registered_domain dns.question.subdomain dns.question.top_level_domain dns.answers.name dns.answers.type dns.answers.class
dns.answers.ttl dns.answers.data dns.resolved_ip`)

func TestNamesOutsideOurNamespaceAreECS(t *testing.T) {
	known := map[string]bool{}
	for _, name := range ecsFields {
		known[name] = false
	}
	note := func(doc []byte) {
		var v any
		if err := json.Unmarshal(doc, &v); err != nil {
			t.Fatal(err)
		}
		var walk func(path string, v any)
		walk = func(path string, v any) {
			switch v := v.(type) {
			case map[string]any:
				for key, e := range v {
					if path == "" && key != "neuromast" {
						walk(key, e)
					} else if path != "" {
						walk(path+"."+key, e)
					}
				}
			case []any:
				for _, e := range v {
					walk(path, e)
				}
			default:
				if _, ok := known[path]; !ok {
					t.Errorf("%s is no ECS field", path)
				}
				known[path] = true
			}
		}
		walk("", v)
	}
	env := testEnv()
	for seed := range uint64(50) {
		r := random{rand.New(rand.NewPCG(seed, 2))}
		fb, f := r.flow()
		note(AppendFlow(nil, fb, f, env))
		db, d := r.dns()
		note(AppendDNS(nil, db, d, env))
		note(AppendFinding(nil, r.finding(), env))
	}
	fb, f := smbFlow()
	note(AppendFlow(nil, fb, f, env))
	db, d := dnsTransaction()
	note(AppendDNS(nil, db, d, env))
	note(AppendFinding(nil, finding(), env))
	for name, used := range known {
		if !used {
			t.Errorf("no record uses %s", name)
		}
	}
}

// TestRiskAndSeverityAgree: a score that consumers compare with a band's bound says what the severity says.
func TestRiskAndSeverityAgree(t *testing.T) {
	f := finding()
	for llr := -1.0; llr < 12; llr += 0.001 {
		f.LLR = llr
		var doc struct {
			Event struct {
				Risk     float64 `json:"risk_score"`
				Severity float64
			}
			Neuromast struct{ Severity string }
		}
		if err := json.Unmarshal(AppendFinding(nil, f, testEnv()), &doc); err != nil {
			t.Fatal(err)
		}
		want := 0
		for i, bound := range []float64{21, 47, 73, 99} {
			if doc.Event.Risk >= bound {
				want = i + 1
			}
		}
		if got := doc.Neuromast.Severity; got != detectors.Severity(want).String() || doc.Event.Severity != []float64{0, 21, 47, 73, 99}[want] {
			t.Fatalf("llr %g: risk %g, severity %s (%g)", llr, doc.Event.Risk, got, doc.Event.Severity)
		}
	}
}

func TestDirections(t *testing.T) {
	env := testEnv()
	in, out := addr("10.1.2.3"), addr("198.51.100.1")
	for _, c := range []struct {
		from, to packet.Addr
		want     string
	}{{in, in, "internal"}, {in, out, "outbound"}, {out, in, "inbound"}, {out, out, "external"}, {in, addr("ff02::fb"), "internal"}} {
		if got := env.direction(c.from, c.to); got != c.want {
			t.Errorf("%v to %v: got %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

func TestSplitName(t *testing.T) {
	for name, want := range map[string][3]string{ // suffix, registered domain, subdomain
		"mail.shop.example.co.uk":  {"co.uk", "example.co.uk", "mail.shop"},
		"example.com":              {"com", "example.com", ""},
		"com":                      {"com", "", ""},
		"dc01.corp.local":          {"local", "corp.local", "dc01"},
		"a.b.github.io":            {"github.io", "b.github.io", "a"},
		"5.0.0.10.in-addr.arpa":    {"in-addr.arpa", "10.in-addr.arpa", "5.0.0"},
		`evil\.dot.com`:            {"", "", ""},
		"":                         {"", "", ""},
		".":                        {"", "", ""},
		"_ldap._tcp.dc._msdcs.lan": {"lan", "_msdcs.lan", "_ldap._tcp.dc"},
	} {
		var got [3]string
		if suffix, registered := splitName([]byte(name)); suffix >= 0 {
			got[0] = name[suffix:]
			if registered >= 0 {
				got[1] = name[registered:]
				if registered > 0 {
					got[2] = name[:registered-1]
				}
			}
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// TestTimeAgreesWithTheStandardLibrary covers the ends of what an int64 of nanoseconds can say.
func TestTimeAgreesWithTheStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	times := []packet.Time{0, -1, 1, math.MinInt64, math.MaxInt64, t0}
	for range 2000 {
		times = append(times, packet.Time(r.Uint64()))
	}
	for _, at := range times {
		if got, want := string(appendTime(nil, at)), `"`+at.Std().Format("2006-01-02T15:04:05.000000000Z07:00")+`"`; got != want {
			t.Fatalf("%d: got %s, want %s", at, got, want)
		}
	}
}

func TestAddressesAgreeWithTheStandardLibrary(t *testing.T) {
	r := random{rand.New(rand.NewPCG(3, 4))}
	for range 2000 {
		a := r.addr()
		if got, want := string(appendAddr(nil, a)), `"`+a.Netip().String()+`"`; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func TestFloats(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 1: "1", -0.5: "-0.5", 77.3: "77.3", 1e20: "100000000000000000000", 1e21: "1e+21", 1e-7: "1e-07", math.Inf(1): "null", math.Inf(-1): "null",
	} {
		if got := string(appendFloat(nil, f)); got != want {
			t.Errorf("%g: got %s, want %s", f, got, want)
		}
	}
	if got := string(appendFloat(nil, math.NaN())); got != "null" {
		t.Errorf("NaN: got %s", got)
	}
}

// TestWritersHardlyAllocate covers the two that run for every record of the wire.
func TestWritersHardlyAllocate(t *testing.T) {
	env := testEnv()
	fb, flow := smbFlow()
	db, dns := dnsTransaction()
	buf := make([]byte, 0, 8192)
	if n := testing.AllocsPerRun(200, func() { buf = AppendFlow(buf[:0], fb, flow, env) }); n != 0 {
		t.Errorf("AppendFlow allocates %v times", n)
	}
	if n := testing.AllocsPerRun(200, func() { buf = AppendDNS(buf[:0], db, dns, env) }); n > 1 {
		t.Errorf("AppendDNS allocates %v times; one is the public suffix list's", n)
	}
}

func TestParentsOfTechniquesHaveNames(t *testing.T) {
	for id, name := range techniques {
		if parent, sub := splitTechnique(id); parent != id || sub != "" || name == "" || strings.TrimSpace(name) != name {
			t.Errorf("%q %q is not a named technique", id, name)
		}
	}
}

func lookup(doc map[string]any, path string) any {
	var cur any = doc
	for _, key := range strings.Split(path, ".") {
		m, ok := cur.(map[string]any)
		if !ok {
			return nil
		}
		cur = m[key]
	}
	return cur
}

// FuzzString holds the string writer against encoding/json, which must read back what a decoder of UTF-8 makes of the bytes.
func FuzzString(f *testing.F) {
	for _, s := range hostile {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		doc := appendString(nil, s)
		if !bytes.Equal(doc, appendString(nil, string(s))) {
			t.Fatal("bytes and string differ")
		}
		var got string
		if err := json.Unmarshal(doc, &got); err != nil {
			t.Fatalf("%q: %v", doc, err)
		}
		var want strings.Builder
		for _, r := range string(s) { // an invalid byte ranges as U+FFFD
			want.WriteRune(r)
		}
		if got != want.String() {
			t.Fatalf("got %q, want %q", got, want.String())
		}
		for _, c := range doc {
			if c < 0x20 || c == 0x7f {
				t.Fatalf("control character in %q", doc)
			}
		}
	})
}

// FuzzRecords builds records from the fuzzer's numbers and bytes: every output is one valid JSON document.
func FuzzRecords(f *testing.F) {
	for i, s := range hostile {
		f.Add(uint64(i), []byte(s))
	}
	env := testEnv()
	f.Fuzz(func(t *testing.T, seed uint64, text []byte) {
		r := random{rand.New(rand.NewPCG(seed, 7))}
		fb, flow := r.flow()
		copy(flow.History[:], text)
		db, dns := r.dns()
		out := flows.Out{Batch: db}
		dns.Name = out.Put(text)
		for i := range db.Answers {
			db.Answers[i].Data = out.Put(text)
		}
		found := r.finding()
		found.Message, found.Domain, found.Users = string(text), string(text), []string{string(text)}
		for _, doc := range [][]byte{AppendFlow(nil, fb, flow, env), AppendDNS(nil, db, dns, env), AppendFinding(nil, found, env)} {
			if !json.Valid(doc) {
				t.Fatalf("not JSON: %q", doc)
			}
		}
	})
}

// go test -run '^$' -bench . ./export/schema
func BenchmarkAppend(b *testing.B) {
	env := testEnv()
	fb, flow := smbFlow()
	flow.Report, flow.Side = 1, -1
	db, dns := dnsTransaction()
	found := finding()
	buf := make([]byte, 0, 8192)
	for _, c := range []struct {
		name  string
		write func()
	}{
		{"record=flow", func() { buf = AppendFlow(buf[:0], fb, flow, env) }},
		{"record=dns", func() { buf = AppendDNS(buf[:0], db, dns, env) }},
		{"record=finding", func() { buf = AppendFinding(buf[:0], found, env) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			start := time.Now()
			for b.Loop() {
				c.write()
			}
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "records/s")
			b.SetBytes(int64(len(buf)))
		})
	}
}
