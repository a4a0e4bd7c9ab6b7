package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"neuromast/pcaps/wire"
	"neuromast/sensor/fitness"
)

// TestCheck holds what check says of a wire on which every packet comes twice, of a dead interface, and of none.
func TestCheck(t *testing.T) {
	wire.Namespace(t)
	wire.Veth(t, "rx", "tx")
	wire.Veth(t, "dead", "end")
	wire.IP(t, "link set dev dead down")
	tx, err := wire.NewSender("tx")
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	all := frames(t, "office")
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			// Slow enough that the ring holds all that is sent: what check says does not depend on who runs beside it.
			for i, f := range all {
				if i%16 == 0 {
					time.Sleep(time.Millisecond)
				}
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				if err := tx.Send([][]byte{f, f}); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	out, _, err := run(t, "check", "--set", "capture.interfaces=rx,dead", "--listen", "1500ms", "--json")
	if !errors.Is(err, errUnfit) {
		t.Errorf("a dead interface is fit: %v", err)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var items []fitness.Item
	if err := json.Unmarshal([]byte(out), &items); err != nil {
		t.Fatal(err)
	}
	got := map[string]fitness.Level{}
	for _, i := range items {
		got[i.Name] = i.Level
		if i.Level != fitness.OK && i.Mend == "" {
			t.Errorf("%s: %s, and nothing mends it", i.Name, i.Text)
		}
	}
	for name, want := range map[string]fitness.Level{
		"configuration": fitness.OK, "kernel": fitness.OK, "rights": fitness.OK, "memory.budget": fitness.OK, "capture.rx": fitness.OK,
		"capture.rx.traffic": fitness.OK, "capture.rx.drops": fitness.OK, "capture.rx.duplicates": fitness.Warn, "capture.dead": fitness.Fail,
		"export.kafka.brokers": fitness.Warn,
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// TestCheckSpool holds what check says of places for the spool.
func TestCheckSpool(t *testing.T) {
	file := craftCapture(t, "office")
	out, _, err := run(t, "check", "--set", "export.kafka.brokers=127.0.0.1:1", "--set", "export.kafka.timeout=1s", "--set", "export.spool.dir="+file)
	if !errors.Is(err, errUnfit) || !strings.Contains(out, "fail  export.spool.dir: "+file+" is no directory\n      -> set export.spool.dir") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, _ = run(t, "check", "--set", "export.kafka.brokers=127.0.0.1:1", "--set", "export.kafka.timeout=1s", "--set", "export.spool.dir="+filepath.Join(t.TempDir(), "not", "yet"))
	if !strings.Contains(out, "ok    export.spool.dir: ") || !strings.Contains(out, "fail  export.kafka.brokers: no broker answers at 127.0.0.1:1") {
		t.Error(out)
	}
}
