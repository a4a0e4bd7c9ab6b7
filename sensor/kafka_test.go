package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/segmentio/kafka-go"

	"neuromast/export/schema"
	"neuromast/pcaps/wire"
)

// TestRealKafkaReplay replays the intrusion into a real broker: kcat reads each revision of each finding once, in order,
// byte for byte what the file holds, and the summary accounts for them.
func TestRealKafkaReplay(t *testing.T) {
	address := os.Getenv("NEUROMAST_KAFKA")
	if address == "" {
		t.Skip("no real Kafka: NEUROMAST_KAFKA is not set; `make test-kafka` starts one and runs this")
	}
	prefix := makeTopics(t, address, "replay")
	dir := results(t, "--set", "export.kafka.brokers="+address, "--set", "export.kafka.topic_prefix="+prefix, "--set", "export.kafka.signals=true",
		"--set", "export.spool.dir="+filepath.Join(t.TempDir(), "spool"), craftCapture(t, "intrusion"))
	var want []byte
	for _, topic := range []string{"incidents", "findings"} {
		var err error
		if want, err = os.ReadFile(filepath.Join(dir, topic+".jsonl")); err != nil {
			t.Fatal(err)
		}
		got := readTopic(t, address, prefix+"."+topic)
		if len(want) == 0 || string(got) != string(want) { // one actor, one incident: one key, one partition, so one order
			t.Errorf("%s: Kafka holds %d lines, the file %d", topic, strings.Count(string(got), "\n"), strings.Count(string(want), "\n"))
		}
	}
	signal := recordSchema(t, "signal")
	signals := 0
	for line := range strings.Lines(string(readTopic(t, address, prefix+".signals"))) {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = signal.Validate(doc)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		signals++
	}
	if signals < 11 {
		t.Errorf("%d signals", signals)
	}
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	if n := fmt.Sprintf(`"acknowledged": %d`, strings.Count(string(want), "\n")); !strings.Contains(string(text), n) {
		t.Errorf("summary lacks %s:\n%s", n, text)
	}
}

// makeTopics makes a test's own topics and returns what their names begin with.
func makeTopics(t *testing.T, address, name string) (prefix string) {
	t.Helper()
	prefix = fmt.Sprintf("test-%d-%s", time.Now().UnixNano(), name)
	var specs []kafka.TopicConfig
	for _, n := range []string{"findings", "incidents", "health", "signals"} {
		specs = append(specs, kafka.TopicConfig{Topic: prefix + "." + n, NumPartitions: 3, ReplicationFactor: 1})
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	k := kafka.NewConn(conn, "", 0)
	defer k.Close()
	if err := k.CreateTopics(specs...); err != nil {
		t.Fatal(err)
	}
	return prefix
}

// readTopic returns all records of a topic, a line each, as another Kafka client reads them.
func readTopic(t *testing.T, address, topic string) []byte {
	t.Helper()
	got, err := exec.Command("kcat", "-C", "-b", address, "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%s\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestRealKafkaRun lets a live sensor publish to a real broker: what kcat reads is what the sensor's own files say, the
// health records follow their schema, and none is lost or doubled.
func TestRealKafkaRun(t *testing.T) {
	address := os.Getenv("NEUROMAST_KAFKA")
	if address == "" {
		t.Skip("no real Kafka: NEUROMAST_KAFKA is not set; `make test-kafka` starts one and runs this")
	}
	prefix := makeTopics(t, address, "run")
	topics := make(chan [2][]byte)
	read := make(chan struct{})
	go func() { // outside of the namespace, which the test's thread alone enters
		<-read
		topics <- [2][]byte{readTopic(t, address, prefix+".findings"), readTopic(t, address, prefix+".health")}
	}()
	wire.Namespace(t)
	wire.Veth(t, "rx", "tx")
	bridge(t, address)
	out := filepath.Join(t.TempDir(), "out")
	openTo(t, filepath.Dir(out))
	s := start(t, "rx", "--out", out, "--set", "export.kafka.brokers="+address, "--set", "export.kafka.topic_prefix="+prefix,
		"--set", "export.spool.dir="+filepath.Join(filepath.Dir(out), "spool"))
	intrusion := frames(t, "intrusion")
	send(t, "tx", intrusion)
	s.await("all frames are read", func() bool { return s.metric("neuromast_packets_total") >= float64(len(intrusion)) })
	wire.IP(t, "link set dev tx down")
	s.await("the dead wire is told", func() bool { return strings.Contains(s.logs.String(), "rx is down") })
	wire.IP(t, "link set dev tx up")
	s.await("the wire is back", func() bool { return strings.Contains(s.logs.String(), "rx is up again") })
	if err := s.stop(); err != nil {
		t.Fatalf("%v\n%s", err, s.logs)
	}
	close(read)
	got := <-topics
	file, err := os.ReadFile(filepath.Join(out, "findings.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if sorted(got[0]) != sorted(file) || len(file) == 0 { // keys spread over partitions, so no order between them
		t.Errorf("Kafka holds %d findings, the file %d", bytes.Count(got[0], []byte("\n")), bytes.Count(file, []byte("\n")))
	}
	health := recordSchema(t, "health")
	var events []string
	for line := range bytes.Lines(got[1]) {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := health.Validate(value); err != nil {
			t.Errorf("%v\n%s", err, line)
		}
		doc := value.(map[string]any)
		events = append(events, fmt.Sprint(get(doc, "event.sequence"), " ", get(doc, "event.action"), " ", doc["message"]))
	}
	t.Log(strings.Join(events, "; "))
	for i, want := range []string{"1 start ", "2 link rx is down", "3 link rx is up again", "4 stop "} {
		if i >= len(events) || !strings.HasPrefix(events[i], want) {
			t.Errorf("health record %d is not %q", i+1, want)
		}
	}
}

// recordSchema compiles the JSON Schema of a record.
func recordSchema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := fs.ReadFile(schema.Schemas(), name+".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile(name)
}

// sorted puts lines in order.
func sorted(text []byte) string { return strings.Join(slices.Sorted(strings.Lines(string(text))), "") }

// bridge makes an address outside reachable under the same name within the test's network namespace.
func bridge(t *testing.T, address string) {
	t.Helper()
	ln, err := net.Listen("tcp", address) // on the thread that is within; connections are made by threads that are not
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", address)
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					io.Copy(out, in)
					out.Close()
				}()
				io.Copy(in, out)
			}()
		}
	}()
}
