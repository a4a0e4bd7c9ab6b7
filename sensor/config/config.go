// Package config is the sensor's one typed configuration tree: defaults, strict YAML over them, overrides from the
// environment and the command line, validation that names every wrong key at once.
//
// Each package owns its part: this one only joins them. The comments of the fields are the reference that `neuromast
// config` prints; a test keeps it fresh.
package config

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/goccy/go-yaml"

	"neuromast/detectors/catalog"
	"neuromast/detectors/incident"
	"neuromast/export/kafka"
	"neuromast/export/spool"
	"neuromast/flows/enrich"
	"neuromast/flows/hostgraph"
	"neuromast/flows/identity"
	"neuromast/flows/proto"
	"neuromast/flows/table"
	"neuromast/sensor/capture/ring"
	"neuromast/sensor/fragment"
	"neuromast/sensor/packet"
)

// Config is the whole tree.
type Config struct {
	Networks   enrich.Networks `yaml:"networks"`   // which addresses are ours
	Assets     []enrich.Asset  `yaml:"assets"`     // named hosts: name, addresses, role, critical
	Memory     Memory          `yaml:"memory"`     // how much of it state may take
	Capture    ring.Config     `yaml:"capture"`    // live capture: run
	Packets    Packets         `yaml:"packets"`    // how frames are read
	Flows      Flows           `yaml:"flows"`      // the flow table and the parsers
	Detectors  catalog.Config  `yaml:"detectors"`  // one section per detector, named by its rule or what its rules have in common
	Incidents  incident.Config `yaml:"incidents"`  // how signals are joined into incidents
	Export     Export          `yaml:"export"`     // where records go besides files
	Sensor     Sensor          `yaml:"sensor"`     // who speaks
	Telemetry  Telemetry       `yaml:"telemetry"`  // metrics over HTTP
	Privileges Privileges      `yaml:"privileges"` // what run gives up
}

// Sensor names this sensor in every record.
type Sensor struct {
	ID string `yaml:"id"` // observer.name and the Kafka header sensor-id; letters, digits, - . and _
}

// Telemetry configures the one listener.
type Telemetry struct {
	Listen string `yaml:"listen"` // address for /metrics, /healthz and /readyz, such as 127.0.0.1:9477; empty: none
}

func (t Telemetry) validate() error {
	if t.Listen == "" {
		return nil
	}
	if _, port, err := net.SplitHostPort(t.Listen); err != nil || port == "" {
		return fmt.Errorf("telemetry.listen: %q is not host:port", t.Listen)
	}
	return nil
}

// Privileges says what run becomes once its sockets are open.
type Privileges struct {
	User string `yaml:"user"` // the user to become when started as root
}

// Memory bounds state.
type Memory struct {
	Budget Size `yaml:"budget"` // bytes, or with KiB, MiB, GiB: half is the flow table's; what it can't hold is evicted, counted
}

// Packets configures the decoder.
type Packets struct {
	Decoder   packet.Decoder  `yaml:"decoder"`   // tunnels, and what makes networks different ones
	Fragments fragment.Config `yaml:"fragments"` // putting IP packets together
}

func (p Packets) validate() error {
	return errors.Join(prefix("packets.decoder", p.Decoder.Validate()), prefix("packets.fragments", p.Fragments.Validate()))
}

// flowShare is the flow table's share of the budget: parsers, batches and detectors, which have bounds of their own, take
// about as much again at their fullest.
const flowShare = 2

// Flows configures flow state and parsers.
type Flows struct {
	Table  table.Config `yaml:"table"`  // bounds and timeouts of the flow table
	Whole  uint32       `yaml:"whole"`  // unanswered attempts and DNS look-ups of one originator at one port that are written whole in a minute; the others are folded into one record with their sums; 0: all are written whole
	Parser proto.Config `yaml:"parser"` // bounds of the protocol parsers

	Hosts identity.Config  `yaml:"hosts"` // who stands behind an address
	Graph hostgraph.Config `yaml:"graph"` // who talks to whom
}

// Export configures the sinks.
type Export struct {
	Kafka kafka.Config `yaml:"kafka"` // publishing to Kafka; off while brokers is empty
	Spool spool.Config `yaml:"spool"` // disk queue for what Kafka has not acknowledged
}

// Default returns the configuration that holds where nothing else is said.
func Default() Config {
	return Config{
		Networks:   enrich.DefaultNetworks(),
		Memory:     Memory{Budget: 512 << 20},
		Packets:    Packets{Decoder: packet.Default(), Fragments: fragment.Default()},
		Flows:      Flows{Whole: 100, Table: table.Default(), Parser: proto.Default(), Hosts: identity.Default(), Graph: hostgraph.Default()},
		Detectors:  catalog.Default(),
		Incidents:  incident.Default(),
		Export:     Export{Kafka: kafka.Default(), Spool: spool.Default()},
		Sensor:     Sensor{ID: "neuromast"},
		Capture:    ring.Default(),
		Privileges: Privileges{User: "nobody"},
	}
}

// Validate names every wrong value.
func (c *Config) Validate() error {
	return errors.Join(
		prefix("", enrich.Validate(c.Networks, c.Assets)),
		prefix("capture", c.Capture.Validate()),
		c.Packets.validate(),
		prefix("flows.table", c.Flows.Table.Validate()),
		prefix("incidents", c.Incidents.Validate()),
		prefix("flows.parser", c.Flows.Parser.Validate()),
		prefix("flows.graph", c.Flows.Graph.Validate()),
		prefix("flows.hosts", c.Flows.Hosts.Validate()),
		prefix("", c.Detectors.Validate()),
		prefix("export.kafka", c.Export.Kafka.Validate()),
		prefix("export.spool", c.Export.Spool.Validate()),
		c.Sensor.validate(),
		c.Telemetry.validate(),
	)
}

func (s Sensor) validate() error {
	if s.ID == "" || len(s.ID) > 64 {
		return errors.New("sensor.id: must have 1 to 64 characters")
	}
	for _, r := range s.ID {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_') {
			return fmt.Errorf("sensor.id: %q may hold letters, digits, - . and _ only", s.ID)
		}
	}
	return nil
}

// prefix puts a section's path before each of its errors.
func prefix(path string, err error) error {
	if err == nil || path == "" {
		return err
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, fmt.Errorf("%s.%w", path, e))
		}
		return errors.Join(out...)
	}
	return fmt.Errorf("%s.%w", path, err)
}

// Load builds the configuration: defaults, then the file (none where path is empty), then NEUROMAST_ environment
// variables, then overrides of the form key=value. Unknown keys and wrong types are errors that name them.
func Load(path string, environ, overrides []string) (Config, error) {
	c := Default()
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("configuration: %w", err)
		}
		var doc yaml.MapSlice
		if err := yaml.UnmarshalWithOptions(text, &doc, yaml.UseOrderedMap()); err != nil {
			return c, fmt.Errorf("configuration %s: %s", path, yaml.FormatError(err, false, true))
		}
		if err := errors.Join(c.applyFile("", doc)...); err != nil {
			return c, fmt.Errorf("configuration %s: %w", path, err)
		}
	}
	var errs []error
	errs = append(errs, c.applyEnviron(environ)...)
	for _, o := range overrides {
		if err := c.Set(o); err != nil {
			errs = append(errs, fmt.Errorf("--set %s: %w", o, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return c, err
	}
	c.Flows.Table.MaxFlows = table.FlowsIn(int64(c.Memory.Budget) / flowShare)
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}
