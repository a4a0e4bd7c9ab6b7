package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsNameTheKey(t *testing.T) {
	for _, c := range []struct{ file, set, want string }{
		{file: "networks:\n  internl: [10.0.0.0/8]\n", want: "internl"},
		{file: "networks:\n  internal: [10.0.0.0/33]\n", want: "networks.internal[0]"},
		{file: "flows:\n  table:\n    report_every: soon\n", want: "report_every"},
		{set: "flows.table.nonsense=1", want: "no such key"},
		{set: "sensor.id=a b", want: "sensor.id"},
		{set: "memory.budget=12parsecs", want: "KiB, MiB or GiB"},
		{set: "memory.budget=1KiB", want: "memory.budget"},
		{set: "export.kafka.brokers", want: "want key=value"},
	} {
		var path string
		if c.file != "" {
			path = filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(path, []byte(c.file), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var set []string
		if c.set != "" {
			set = []string{c.set}
		}
		if _, err := Load(path, nil, set); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: got %v, want %q in it", c.file, c.set, err, c.want)
		}
	}
}

func TestPrecedence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("sensor:\n  id: from-file\nnetworks:\n  internal: [192.0.2.0/24]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"NEUROMAST_SENSOR_ID=from-env", "NEUROMAST_EXPORT_KAFKA_BROKERS=a:1,b:2", "PATH=/bin"}
	c, err := Load(path, env, []string{"sensor.id=from-flag"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Sensor.ID != "from-flag" || len(c.Export.Kafka.Brokers) != 2 || c.Export.Kafka.Brokers[1] != "b:2" {
		t.Errorf("got %+v", c)
	}
	if len(c.Networks.Internal) != 1 || c.Networks.Internal[0] != "192.0.2.0/24" {
		t.Errorf("a list in the file adds to the default instead of replacing it: %v", c.Networks.Internal)
	}
	if c, err = Load(path, env, nil); err != nil || c.Sensor.ID != "from-env" {
		t.Errorf("environment: %v %v", c.Sensor.ID, err)
	}
}

func TestMemoryBudget(t *testing.T) {
	small, err := Load("", nil, []string{"memory.budget=64MiB"})
	if err != nil {
		t.Fatal(err)
	}
	large, err := Load("", nil, []string{"memory.budget=1GiB"})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := small.Flows.Table.MaxFlows, large.Flows.Table.MaxFlows; a < 6400 || b/a != 16 {
		t.Errorf("64 MiB hold %d flows, 1 GiB %d", a, b)
	}
}

func TestEveryKeyCanBeSet(t *testing.T) {
	c := Default()
	for _, key := range c.Keys() {
		if _, err := c.find(key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}
