package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"neuromast/export"
	"neuromast/export/kafka"
	"neuromast/export/spool"
	"neuromast/pcaps/wire"
	"neuromast/sensor/capture"
)

// childEnv makes the test binary the sensor itself.
const childEnv = "NEUROMAST_TEST_RUN_AS_SENSOR"

// sensor is a sensor running in the test's network namespace.
type sensor struct {
	t    testing.TB
	cmd  *exec.Cmd
	logs *safeBuffer
	out  *safeBuffer
	url  string
}

// safeBuffer is written by the process's pipes and read by the test.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs the sensor on interfaces and waits until it captures.
func start(t *testing.T, interfaces string, arguments ...string) *sensor {
	t.Helper()
	return startProcess(t, interfaces, arguments...)
}

func startProcess(t testing.TB, interfaces string, arguments ...string) *sensor {
	t.Helper()
	return startProcessAs(t, nil, interfaces, arguments...)
}

func startProcessAs(t testing.TB, as *syscall.SysProcAttr, interfaces string, arguments ...string) *sensor {
	t.Helper()
	s := &sensor{t: t, logs: &safeBuffer{}, out: &safeBuffer{}}
	binary := os.Args[0]
	if as != nil {
		binary = forAll(t)
	}
	s.cmd = exec.Command(binary, append([]string{
		"run", "--set", "capture.interfaces=" + interfaces, "--set", "telemetry.listen=127.0.0.1:9477", "--set", "capture.ring_mib=16",
	}, arguments...)...)
	s.cmd.Env = append(os.Environ(), childEnv+"=1")
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.SysProcAttr = s.out, s.logs, as
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	s.await("the sensor captures", func() bool { code, _ := s.get("/healthz"); return code == 200 })
	return s
}

// forAll is a copy of the test binary that every user may run.
func forAll(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "neuromast")
	openTo(t, filepath.Dir(path))
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// get asks the sensor's listener, from the test's thread, which alone is in the namespace.
func (s *sensor) get(path string) (code int, text string) {
	c, err := net.DialTimeout("tcp", "127.0.0.1:9477", time.Second)
	if err != nil {
		return 0, err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", path)
	all, err := io.ReadAll(c)
	if err != nil {
		return 0, err.Error()
	}
	head, body, _ := strings.Cut(string(all), "\r\n\r\n")
	fmt.Sscanf(head, "HTTP/1.0 %d", &code)
	return code, body
}

// metric returns the sum over the labels of a metric.
func (s *sensor) metric(name string) (sum float64) {
	_, text := s.get("/metrics")
	for line := range strings.Lines(text) {
		var v float64
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == ' ' || rest[0] == '{') {
			fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &v)
			sum += v
		}
	}
	return sum
}

func (s *sensor) await(what string, done func() bool) {
	s.t.Helper()
	for range 1200 { // a minute: a machine may be busy with other tests
		if done() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	_, metrics := s.get("/metrics")
	s.t.Fatalf("waited in vain: %s\n%s\n%s", what, s.logs, metrics)
}

// stop ends the sensor in good order.
func (s *sensor) stop() error {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	return s.cmd.Wait()
}

// frames are those of a crafted capture.
func frames(t *testing.T, name string) (all [][]byte) {
	t.Helper()
	src, err := capture.Open([]string{craftCapture(t, name)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for {
		var b capture.Batch
		if err := src.ReadBatch(&b); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		for i := range b.Frames {
			all = append(all, b.Frames[i].Data)
		}
	}
}

func send(t *testing.T, name string, frames [][]byte) {
	t.Helper()
	s, err := wire.NewSender(name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for part := range slices.Chunk(frames, 100) { // about 50,000 packets/s
		if err := s.Send(part); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func rules(docs []map[string]any) []string {
	var ids []string
	for _, d := range docs {
		ids = append(ids, get(d, "rule.id").(string))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// TestLive holds that the live sensor says what a replay says, accounts for every frame, keeps no privilege, and ends in
// good order.
func TestLive(t *testing.T) {
	wire.Namespace(t)
	wire.Veth(t, "rx", "tx")
	out := filepath.Join(t.TempDir(), "out")
	openTo(t, filepath.Dir(out))
	s := start(t, "rx", "--out", out)
	intrusion := frames(t, "intrusion")
	send(t, "tx", intrusion)
	s.await("all frames are read", func() bool { return s.metric("neuromast_packets_total") >= float64(len(intrusion)) })
	if code, text := s.get("/readyz"); code != 200 {
		t.Errorf("readyz: %d %s", code, text)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the process's status lacks %q:\n%s", want, status)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatalf("%v\n%s", err, s.logs)
	}
	sum := readJSON(t, filepath.Join(out, "summary.json"))
	var flowPackets float64
	for _, f := range lines(t, filepath.Join(out, "flows.jsonl")) {
		flowPackets += get(f, "neuromast.delta.source.packets").(float64) + get(f, "neuromast.delta.destination.packets").(float64)
	}
	read, decoded := get(sum, "packets.read").(float64), get(sum, "packets.decoded").(float64)
	if read < float64(len(intrusion)) || read > float64(len(intrusion)+50) || decoded != read || flowPackets > read || flowPackets < float64(len(intrusion)-100) {
		t.Errorf("%d frames sent; %v read, %v decoded, %v in flows", len(intrusion), read, decoded, flowPackets)
	}
	replayed := results(t, craftCapture(t, "intrusion"))
	live, replay := rules(lines(t, filepath.Join(out, "findings.jsonl"))), rules(lines(t, filepath.Join(replayed, "findings.jsonl")))
	for _, r := range replay {
		if !slices.Contains(live, r) {
			t.Errorf("live misses %s: it says %v, the replay %v", r, live, replay)
		}
	}
	if counts, _ := sum["findings"].(map[string]any); counts["rpc.seq.psexec"] != 1.0 {
		t.Errorf("the summary counts findings %v", counts)
	}
	for _, d := range lines(t, filepath.Join(out, "findings.jsonl")) {
		if get(d, "neuromast.state") == "open" && !slices.Contains(live, get(d, "rule.id").(string)) {
			t.Error("a finding is open after the end")
		}
	}
}

// openTo lets the user that the sensor becomes pass through the test's directories.
func openTo(t testing.TB, dir string) {
	t.Helper()
	for ; dir != "/" && dir != "/tmp"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLiveLinks holds that a dead leg of a tap, and a quiet wire, don't stop the other or the passing of time.
func TestLiveLinks(t *testing.T) {
	wire.Namespace(t)
	wire.Veth(t, "a", "b")
	wire.Veth(t, "c", "d")
	s := start(t, "a,c", "--set", "flows.table.attempt_timeout=1s", "--set", "flows.table.udp_timeout=1s", "--set", "flows.table.tcp_timeout=1s", "--set", "flows.table.close_timeout=1s", "--set", "flows.table.other_timeout=1s")
	wire.IP(t, "link set dev c down")
	s.await("the dead leg is told", func() bool { code, text := s.get("/readyz"); return code == 503 && text == "c is down\n" })
	send(t, "b", frames(t, "intrusion"))
	s.await("findings come", func() bool { return s.metric("neuromast_finding_records_total") > 5 })
	s.await("the quiet wire's flows end", func() bool {
		return s.metric("neuromast_flows_begun_total") > 100 && s.metric("neuromast_flows_live") == 0
	})
	wire.IP(t, "link set dev c up")
	s.await("the leg is back", func() bool { code, _ := s.get("/readyz"); return code == 200 })
	s.await("the log tells it", func() bool {
		log := s.logs.String()
		return strings.Contains(log, "c is down: waiting for it") && strings.Contains(log, "c is up again")
	})
	if err := s.stop(); err != nil {
		t.Fatalf("%v\n%s", err, s.logs)
	}
	if !strings.Contains(s.out.String(), `"rpc.seq.psexec"`) {
		t.Error("no finding on standard output")
	}
}

// TestLiveReload holds what SIGHUP takes over, and that what is wrong changes nothing.
func TestLiveReload(t *testing.T) {
	wire.Namespace(t)
	wire.Veth(t, "rx", "tx")
	path := filepath.Join(t.TempDir(), "sensor.yaml")
	openTo(t, filepath.Dir(path))
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("detectors:\n  scan.trw:\n    enabled: false\n")
	s := start(t, "rx", "--config", path, "--set", "flows.table.attempt_timeout=1s")
	hup := func(text, says string) {
		t.Helper()
		write(text)
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		s.await(says, func() bool { return strings.Contains(s.logs.String(), says) })
	}
	scan := frames(t, "scan")
	hup("detectors:\n  scan.trw:\n    enabled: false\n", "nothing changed")
	hup("detectors:\n  scan.trw:\n    nonsense: 1\n", "nonsense")
	hup("memory:\n  budget: 1GiB\n", "restart needed for memory")
	send(t, "tx", scan)
	s.await("the scan is read", func() bool { return s.metric("neuromast_packets_total") >= float64(len(scan)) })
	time.Sleep(1500 * time.Millisecond)
	if n := s.metric("neuromast_finding_records_total"); n != 0 {
		t.Errorf("%v findings of a detector that is off", n)
	}
	hup("assets:\n  - name: scanner\n    addresses: [10.9.9.9]\n", "scan.trw begin anew")
	send(t, "tx", scan)
	s.await("the scan is found", func() bool { return s.metric("neuromast_finding_records_total") > 0 })
	if err := s.stop(); err != nil {
		t.Fatalf("%v\n%s", err, s.logs)
	}
}

// TestLiveCounts sends faster than analysis may be, and holds that every frame is read or counted as dropped.
func TestLiveCounts(t *testing.T) {
	wire.Namespace(t)
	wire.Veth(t, "rx", "tx")
	s := start(t, "rx", "--set", "capture.ring_mib=8")
	intrusion := frames(t, "intrusion")
	sender, err := wire.NewSender("tx")
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	const rounds = 30
	for range rounds {
		if err := sender.Send(intrusion); err != nil {
			t.Fatal(err)
		}
	}
	sent := float64(rounds * len(intrusion))
	s.await("every frame is read or counted as dropped", func() bool {
		got, lost := s.metric("neuromast_packets_total"), s.metric("neuromast_dropped_packets_total")
		return got+lost >= sent && got+lost < sent+50
	})
	if err := s.stop(); err != nil {
		t.Fatalf("%v\n%s", err, s.logs)
	}
}

// TestStartsWithoutKafka holds that a live sensor starts without its brokers, and that nothing that it said is lost or
// said twice when they come: in the same run, and in the next.
func TestStartsWithoutKafka(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	cfg := kafka.Default()
	cfg.Brokers, cfg.Timeout = []string{fmt.Sprintf("127.0.0.1:%d", port)}, time.Second
	sp := spool.Default()
	sp.Dir = filepath.Join(t.TempDir(), "spool")
	quiet := slog.New(slog.DiscardHandler)
	record := func(i int) export.Record {
		return export.Record{Topic: export.Findings, Key: []byte("host"), Value: fmt.Appendf(nil, `{"n":%d}`, i), EventID: fmt.Sprint(i), Revision: 1, Schema: "s", Version: "1", Time: "2026-01-01T00:00:00Z"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := newPublisher(ctx, cfg, sp, "test", false, quiet); err == nil {
		t.Fatal("a replay starts without its brokers")
	}
	p, err := newPublisher(ctx, cfg, sp, "test", true, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		p.put(record(i))
	}
	if err := p.close(ctx); err == nil || !strings.Contains(err.Error(), "10 records wait") {
		t.Fatalf("closed without brokers: %v", err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.SeedTopics(1, "neuromast.findings", "neuromast.incidents", "neuromast.health"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	produced := 0
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		produced++
		cluster.KeepControl()
		return nil, nil, false
	})
	if p, err = newPublisher(ctx, cfg, sp, "test", true, quiet); err != nil {
		t.Fatal(err)
	}
	for i := 10; i < 15; i++ {
		p.put(record(i))
	}
	if err := p.close(ctx); err != nil {
		t.Fatal(err)
	}
	topics, unsent, _ := p.stats()
	if a := topics["neuromast.findings"]; a.Acknowledged != 15 || unsent != 0 || produced == 0 {
		t.Errorf("%+v, %d unsent, %d requests", a, unsent, produced)
	}
	left, err := filepath.Glob(filepath.Join(sp.Dir, "unsent", "*.seg*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range left {
		if st, err := os.Stat(l); err == nil && st.Size() > 4096 {
			t.Errorf("%s holds %d bytes", l, st.Size())
		}
	}
}

// TestLiveWithoutRoot holds the second start: a user of its own, to whom the system lent CAP_NET_RAW, which is not in
// effect while it captures.
func TestLiveWithoutRoot(t *testing.T) {
	wire.Namespace(t)
	wire.Veth(t, "rx", "tx")
	const netRaw = 13
	s := startProcessAs(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: []uintptr{netRaw}}, "rx")
	intrusion := frames(t, "intrusion")
	send(t, "tx", intrusion)
	s.await("all frames are read", func() bool { return s.metric("neuromast_packets_total") >= float64(len(intrusion)) })
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t", "CapPrm:\t0000000000002000"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the process's status lacks %q:\n%s", want, status)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatalf("%v\n%s", err, s.logs)
	}
}

// TestLiveWithoutRights holds what is said where nothing was lent.
func TestLiveWithoutRights(t *testing.T) {
	wire.Namespace(t)
	wire.Veth(t, "rx", "tx")
	cmd := exec.Command(forAll(t), "run", "--set", "capture.interfaces=rx")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "CAP_NET_RAW") || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	for _, arguments := range [][]string{{"run"}, {"run", "--set", "capture.interfaces=rx", "--bpf", "hots 1"}, {"run", "--set", "capture.interfaces=rx", "--workers", "0"}} {
		cmd := exec.Command(os.Args[0], arguments...)
		cmd.Env = append(os.Environ(), childEnv+"=1")
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != exitUsage {
			t.Errorf("%v: exit %d\n%s", arguments, cmd.ProcessState.ExitCode(), out)
		}
	}
}
