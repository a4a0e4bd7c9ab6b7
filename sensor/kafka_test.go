package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// TestRealKafkaReplay replays the intrusion into a real broker: kcat reads each revision of each finding once, in order,
// byte for byte what the file holds, and the summary accounts for them.
func TestRealKafkaReplay(t *testing.T) {
	address := os.Getenv("NEUROMAST_KAFKA")
	if address == "" {
		t.Skip("no real Kafka: NEUROMAST_KAFKA is not set; `make test-kafka` starts one and runs this")
	}
	prefix := fmt.Sprintf("test-%d-replay", time.Now().UnixNano())
	var specs []kafka.TopicConfig
	for _, n := range []string{"findings", "incidents", "health"} {
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
	dir := results(t, "--set", "export.kafka.brokers="+address, "--set", "export.kafka.topic_prefix="+prefix,
		"--set", "export.spool.dir="+filepath.Join(t.TempDir(), "spool"), craftCapture(t, "intrusion"))
	want, err := os.ReadFile(filepath.Join(dir, "findings.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command("kcat", "-C", "-b", address, "-t", prefix+".findings", "-o", "beginning", "-e", "-q", "-f", "%s\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(want) == 0 || string(got) != string(want) { // one actor: one key, one partition, so one order
		t.Errorf("Kafka holds %d lines, the file %d", strings.Count(string(got), "\n"), strings.Count(string(want), "\n"))
	}
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	if n := fmt.Sprintf(`"acknowledged": %d`, strings.Count(string(want), "\n")); !strings.Contains(string(text), n) {
		t.Errorf("summary lacks %s:\n%s", n, text)
	}
}
