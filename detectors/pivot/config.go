package pivot

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rule graph.relay.
type Config struct {
	Enabled  bool    `yaml:"enabled"`   // whether the rule runs
	MinNats  float64 `yaml:"min_nats"`  // weight below which nothing is published, in nats; 0.5 to 4
	MinBytes uint64  `yaml:"min_bytes"` // payload that a flow must carry in its heavier direction; at least 1000
	MaxHosts int     `yaml:"max_hosts"` // hosts whose flows are compared, 14 KB each at most; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, MinNats: 1, MinBytes: 64000, MaxHosts: 4096} }

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 0.5 || c.MinNats > 4 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.5 to 4", c.MinNats))
	}
	if c.MinBytes < 1000 {
		errs = append(errs, fmt.Errorf("min_bytes: %d, want at least 1000", c.MinBytes))
	}
	if c.MaxHosts < 16 {
		errs = append(errs, fmt.Errorf("max_hosts: %d, want at least 16", c.MaxHosts))
	}
	return errors.Join(errs...)
}
