package kafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/goleak"

	"neuromast/export"
	"neuromast/export/spool"
)

// The tests against a real broker need its address in NEUROMAST_KAFKA and deploy/kafka/kafka.sh in NEUROMAST_KAFKA_SH;
// `make test-kafka` starts it and sets both. kcat is the independent consumer.
const (
	addressEnv = "NEUROMAST_KAFKA"
	scriptEnv  = "NEUROMAST_KAFKA_SH"
	childEnv   = "NEUROMAST_KAFKA_CHILD" // this process is a sensor that a test kills
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		child(spec)
		return
	}
	goleak.VerifyTestMain(m)
}

func broker(t *testing.T) string {
	t.Helper()
	address := os.Getenv(addressEnv)
	if address == "" {
		t.Skip("no real Kafka: " + addressEnv + " is not set; `make test-kafka` starts one and runs this")
	}
	return address
}

func script(t *testing.T, verb string) {
	t.Helper()
	if out, err := exec.Command(os.Getenv(scriptEnv), verb).CombinedOutput(); err != nil {
		t.Fatalf("kafka.sh %s: %v\n%s", verb, err, out)
	}
}

// topics makes fresh topics for a test and returns their prefix.
func topics(t *testing.T, address string, partitions int) string {
	t.Helper()
	prefix := fmt.Sprintf("test-%d-%s", time.Now().UnixNano(), strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")))
	tr := &kafka.Transport{}
	defer tr.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(address), Transport: tr}
	var specs []kafka.TopicConfig
	for _, n := range []export.Topic{export.Findings, export.Incidents, export.Health} {
		specs = append(specs, kafka.TopicConfig{Topic: prefix + "." + n.String(), NumPartitions: partitions, ReplicationFactor: 1})
	}
	r, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: specs})
	if err != nil {
		t.Fatal(err)
	}
	for topic, err := range r.Errors {
		if err != nil {
			t.Fatalf("%s: %v", topic, err)
		}
	}
	return prefix
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func testConfig(address, prefix string) Config {
	c := Default()
	c.Brokers, c.TopicPrefix, c.Timeout = []string{address}, prefix, 5*time.Second
	return c
}

func testSpool(dir string) spool.Config {
	c := spool.Default()
	c.Dir = dir
	return c
}

func record(n int) export.Record {
	key := fmt.Sprintf("10.0.0.%d", n%50)
	return export.Record{
		Topic: export.Findings, Key: []byte(key), Value: []byte(strconv.Itoa(n)), EventID: fmt.Sprintf("%032d", n), Revision: 1,
		Schema: "neuromast.finding", Version: "1", Time: "2026-03-02T08:00:00Z",
	}
}

// consumed reads a topic with kcat: key and value of every record, each partition in its order.
func consumed(t *testing.T, address, topic string) (out []string) {
	t.Helper()
	cmd := exec.Command("kcat", "-C", "-b", address, "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%k %s\n")
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("kcat: %v", err)
	}
	return strings.Fields(strings.ReplaceAll(string(text), " ", "="))
}

// onceEachInOrder checks that records 0 to n-1 are there once each, in order within each key.
func onceEachInOrder(t *testing.T, got []string, n int) {
	t.Helper()
	seen, last := map[int]int{}, map[string]int{}
	for _, kv := range got {
		key, value, _ := strings.Cut(kv, "=")
		v, err := strconv.Atoi(value)
		if err != nil {
			t.Fatalf("unexpected record %q", kv)
		}
		seen[v]++
		if before, ok := last[key]; ok && v <= before {
			t.Errorf("key %s: %d comes after %d", key, v, before)
		}
		last[key] = v
	}
	lost, doubled := 0, 0
	for i := range n {
		switch {
		case seen[i] == 0:
			lost++
		case seen[i] > 1:
			doubled++
		}
	}
	if lost > 0 || doubled > 0 || len(seen) != n {
		t.Errorf("%d lost, %d doubled, %d different ones of %d", lost, doubled, len(seen), n)
	}
}

func TestRealKafkaOnceEach(t *testing.T) {
	address := broker(t)
	prefix := topics(t, address, 3)
	p, err := Open(t.Context(), testConfig(address, prefix), testSpool(t.TempDir()), "test", quiet())
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	for i := 0; i < n; i += 10 {
		var some []export.Record
		for j := range 10 {
			some = append(some, record(i+j))
		}
		if err := p.PutAll(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	onceEachInOrder(t, consumed(t, address, prefix+".findings"), n)
	if s := p.Stats()[prefix+".findings"]; s.Produced != n || s.Acknowledged != n || s.Waiting+s.Lost+s.Expired+s.PossiblyDoubled != 0 {
		t.Errorf("account: %+v", s)
	}
	text, err := exec.Command("kcat", "-C", "-b", address, "-t", prefix+".findings", "-o", "beginning", "-c", "1", "-q", "-f", "%h").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{"content-type=application/json", "schema=neuromast.finding", "schema-version=1", "event-id=", "revision=1",
		"sensor-id=test", "sequence=", "ce_specversion=1.0", "ce_type=neuromast.finding.v1", "ce_time=2026-03-02T08:00:00Z"} {
		if !strings.Contains(string(text), h) {
			t.Errorf("header %s is missing in %s", h, text)
		}
	}
}

// TestRealKafkaPartitioner holds that keys go where Java's producers put them: kcat with librdkafka's murmur2 agrees.
func TestRealKafkaPartitioner(t *testing.T) {
	address := broker(t)
	prefix := topics(t, address, 3)
	p, err := Open(t.Context(), testConfig(address, prefix), testSpool(t.TempDir()), "test", quiet())
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i := range 50 {
		r := record(i)
		if err := p.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s:%s\n", r.Key, r.Value)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("kcat", "-P", "-b", address, "-t", prefix+".incidents", "-K", ":", "-X", "topic.partitioner=murmur2")
	cmd.Stdin = strings.NewReader(lines.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kcat: %v %s", err, out)
	}
	place := func(topic string) string {
		out, err := exec.Command("sh", "-c", fmt.Sprintf("kcat -C -b %s -t %s -o beginning -e -q -f '%%k %%p\\n' | sort", address, topic)).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if a, b := place(prefix+".findings"), place(prefix+".incidents"); a != b || a == "" {
		t.Errorf("ours:\n%s\nlibrdkafka's murmur2:\n%s", a, b)
	}
}

// TestRealKafkaBrokerKilled: the broker is killed with -9 in the middle and started again; nothing is lost, doubled or
// reordered within a key.
func TestRealKafkaBrokerKilled(t *testing.T) {
	address := broker(t)
	prefix := topics(t, address, 3)
	p, err := Open(t.Context(), testConfig(address, prefix), testSpool(t.TempDir()), "test", quiet())
	if err != nil {
		t.Fatal(err)
	}
	const n = 3000
	restarted := make(chan struct{})
	for i := range n {
		if i == n/3 {
			script(t, "kill")
			go func() {
				defer close(restarted)
				if out, err := exec.Command(os.Getenv(scriptEnv), "start").CombinedOutput(); err != nil {
					t.Errorf("kafka.sh start: %v\n%s", err, out)
				}
			}()
		}
		if err := p.Put(t.Context(), record(i)); err != nil { // goes on into the spool meanwhile
			t.Fatal(err)
		}
	}
	<-restarted
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	onceEachInOrder(t, consumed(t, address, prefix+".findings"), n)
	s := p.Stats()[prefix+".findings"]
	t.Logf("account: %+v", s)
	if s.Acknowledged != n || s.PossiblyDoubled != 0 || s.Retries == 0 {
		t.Errorf("account: %+v", s)
	}
}

// TestRealKafkaSensorKilled: the sensor is killed with -9 after the broker stored batches whose acknowledgement it never
// read, and started again on the same spool.
func TestRealKafkaSensorKilled(t *testing.T) {
	address := broker(t)
	prefix := topics(t, address, 3)
	dir := t.TempDir()
	const half, n = 500, 1000
	// The first life hears no answer after its 200th record, and is killed when all of its records are in the spool.
	first := lives(t, address, prefix, dir, 0, half, 200)
	stored := 0
	for range 50 { // until the broker holds something that was not acknowledged
		if stored = len(consumed(t, address, prefix+".findings")); stored > 200 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.Wait()
	second := lives(t, address, prefix, dir, half, n, 0)
	if err := second.Wait(); err != nil {
		t.Fatalf("second life: %v", err)
	}
	t.Logf("%d records were stored when the first life was killed", stored)
	onceEachInOrder(t, consumed(t, address, prefix+".findings"), n)
}

// lives starts a child that puts records from..to and then says so; deaf > 0: it reads no answer after that many records.
func lives(t *testing.T, address, prefix, dir string, from, to, deaf int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %d %d %d", childEnv, address, prefix, dir, from, to, deaf))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "spooled\n" {
		t.Fatalf("child says %q: %v", line, err)
	}
	return cmd
}

// deafConn loses what the broker answers once deaf is set.
type deafConn struct {
	net.Conn
	deaf *atomic.Bool
}

func (c deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.deaf.Load() {
		select {} // the answer is never seen
	}
	return n, err
}

func child(spec string) {
	var address, prefix, dir string
	var from, to, deafAfter int
	if _, err := fmt.Sscan(spec, &address, &prefix, &dir, &from, &to, &deafAfter); err != nil {
		panic(err)
	}
	var deaf atomic.Bool
	cfg := testConfig(address, prefix)
	cfg.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return deafConn{c, &deaf}, err
	}
	p, err := Open(context.Background(), cfg, testSpool(dir), "test", slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		panic(err)
	}
	for i := from; i < to; i++ {
		if deafAfter > 0 && i == from+deafAfter {
			for p.Stats()[prefix+".findings"].Waiting > 0 {
				time.Sleep(time.Millisecond)
			}
			deaf.Store(true)
		}
		if err := p.Put(context.Background(), record(i)); err != nil {
			panic(err)
		}
	}
	fmt.Println("spooled")
	if deafAfter > 0 {
		time.Sleep(time.Hour)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		panic(err)
	}
}

// TestRealKafkaSecured publishes over SASL and TLS, and holds that each mistake names what to mend.
func TestRealKafkaSecured(t *testing.T) {
	address := broker(t)
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	prefix := topics(t, address, 1)
	ca := filepath.Join(filepath.Dir(os.Getenv(scriptEnv)), "..", "..", ".kafka", "ca.pem")
	saslAt := func(mechanism, user, password string) Config {
		t.Setenv(PasswordEnv, password)
		c := testConfig(net.JoinHostPort(host, "9094"), prefix)
		c.SASL = SASL{Mechanism: mechanism, Username: user}
		return c
	}
	tlsAt := func(ca string) Config {
		c := testConfig(net.JoinHostPort(host, "9095"), prefix)
		c.TLS = TLS{Enabled: true, CAFile: ca}
		return c
	}
	for _, c := range []struct {
		name string
		cfg  func() Config
		want string // of the error; empty: works
	}{
		{"plain", func() Config { return saslAt("plain", "sensor", "sensor-secret") }, ""},
		{"scram-256", func() Config { return saslAt("scram-sha-256", "sensor", "sensor-secret") }, ""},
		{"scram-512", func() Config { return saslAt("scram-sha-512", "sensor", "sensor-secret") }, ""},
		{"tls", func() Config { return tlsAt(ca) }, ""},
		{"wrong password", func() Config { return saslAt("plain", "sensor", "wrong") }, "export.kafka.sasl"},
		{"wrong scram password", func() Config { return saslAt("scram-sha-512", "sensor", "wrong") }, "export.kafka.sasl"},
		{"no rights", func() Config { return saslAt("plain", "nobody", "nobody-secret") }, "grant"},
		{"unknown authority", func() Config { return tlsAt("") }, "export.kafka.tls"},
		{"plain text to a TLS port", func() Config { return testConfig(net.JoinHostPort(host, "9095"), prefix) }, "export.kafka.tls.enabled"},
		{"nobody listens", func() Config { return testConfig(net.JoinHostPort(host, "9"), prefix) }, "is Kafka running there"},
		{"unknown name", func() Config { return testConfig("no-such-broker.invalid:9092", prefix) }, "no-such-broker.invalid"},
		{"missing topic", func() Config { return testConfig(address, prefix+"-absent") }, "does not exist: create it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := c.cfg()
			p, err := Open(t.Context(), cfg, testSpool(t.TempDir()), "test", quiet())
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Put(t.Context(), record(1)); err != nil {
					t.Error(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if err := p.Close(ctx); err != nil {
					t.Error(err)
				}
				for _, item := range Check(t.Context(), cfg) {
					if item.Level == Fail {
						t.Errorf("check: %+v", item)
					}
				}
				return
			}
			if err == nil {
				p.Close(t.Context())
				t.Fatal("it works")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
			failed := false
			for _, item := range Check(t.Context(), cfg) {
				failed = failed || item.Level == Fail
			}
			if !failed {
				t.Error("check finds nothing wrong")
			}
		})
	}
}

// TestRealKafkaCheck holds that check tells a topic that may be seen but not written, and one that takes smaller batches
// than are sent, and that asking writes nothing.
func TestRealKafkaCheck(t *testing.T) {
	address := broker(t)
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	prefix := topics(t, address, 1)
	trans := &kafka.Transport{}
	defer trans.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(address), Transport: trans}
	r, err := client.CreateACLs(t.Context(), &kafka.CreateACLsRequest{ACLs: []kafka.ACLEntry{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: prefix, ResourcePatternType: kafka.PatternTypePrefixed,
		Principal: "User:nobody", Host: "*", Operation: kafka.ACLOperationTypeDescribe, PermissionType: kafka.ACLPermissionTypeAllow,
	}, {
		ResourceType: kafka.ResourceTypeTopic, ResourceName: prefix + ".findings", ResourcePatternType: kafka.PatternTypeLiteral,
		Principal: "User:nobody", Host: "*", Operation: kafka.ACLOperationTypeWrite, PermissionType: kafka.ACLPermissionTypeAllow,
	}}})
	if err := errors.Join(append(r.Errors, err)...); err != nil {
		t.Fatal(err)
	}
	defer func() { // the broker outlives the test, and another one counts on nobody having no rights
		if _, err := client.DeleteACLs(context.Background(), &kafka.DeleteACLsRequest{Filters: []kafka.DeleteACLsFilter{{
			ResourceTypeFilter: kafka.ResourceTypeTopic, ResourcePatternTypeFilter: kafka.PatternTypeAny, PrincipalFilter: "User:nobody",
			Operation: kafka.ACLOperationTypeAny, PermissionType: kafka.ACLPermissionTypeAny,
		}}}); err != nil {
			t.Error(err)
		}
	}()
	t.Setenv(PasswordEnv, "nobody-secret")
	cfg := testConfig(net.JoinHostPort(host, "9094"), prefix)
	cfg.SASL = SASL{Mechanism: "plain", Username: "nobody"}
	got := map[string]Item{}
	for _, i := range Check(t.Context(), cfg) {
		got[i.Name] = i
	}
	name := "topic " + prefix + ".health rights"
	if i := got[name]; i.Level != Fail || !strings.Contains(i.Text, "grant WRITE") {
		t.Errorf("%s: %+v in %v", name, i, got)
	}
	if i, told := got["topic "+prefix+".findings rights"]; told {
		t.Errorf("a right that is there is missed: %+v", i)
	}
	cfg = testConfig(address, prefix)
	cfg.BatchBytes = 2 << 20
	size := 0
	for _, i := range Check(t.Context(), cfg) {
		if strings.HasSuffix(i.Name, " message size") && i.Level == Fail && strings.Contains(i.Text, "takes 1048588 bytes, export.kafka.batch_bytes is 2097152") {
			size++
		}
	}
	if size != 3 {
		t.Errorf("%d topics of 3 are told to take less", size)
	}
	offsets, err := client.ListOffsets(t.Context(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{prefix + ".findings": {kafka.LastOffsetOf(0)}}})
	if err != nil {
		t.Fatal(err)
	}
	if last := offsets.Topics[prefix+".findings"][0].LastOffset; last != 0 {
		t.Errorf("asking wrote %d records", last)
	}
}
