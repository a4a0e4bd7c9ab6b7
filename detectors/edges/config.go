package edges

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of the rules graph.first_edge, graph.peer, graph.role_inv, graph.fanout and graph.fleet.
type Config struct {
	Enabled  bool    `yaml:"enabled"`   // whether the rules run
	MinNats  float64 `yaml:"min_nats"`  // weight from which graph.role_inv and graph.fanout are findings, in nats; 1 to 9
	Fleet    int     `yaml:"fleet"`     // hosts that come to one server's service within a day and are a change of the fleet; at least 3
	MaxHosts int     `yaml:"max_hosts"` // hosts whose reach is remembered, 1.4 KB each at most; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, MinNats: 3, Fleet: 5, MaxHosts: 16384} }

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 1 || c.MinNats > 9 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 1 to 9", c.MinNats))
	}
	if c.Fleet < 3 {
		errs = append(errs, fmt.Errorf("fleet: %d, want at least 3", c.Fleet))
	}
	if c.MaxHosts < 16 {
		errs = append(errs, fmt.Errorf("max_hosts: %d, want at least 16", c.MaxHosts))
	}
	return errors.Join(errs...)
}
