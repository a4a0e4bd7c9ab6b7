package paths

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rule graph.path.
type Config struct {
	Enabled  bool    `yaml:"enabled"`   // whether the rule runs
	MinNats  float64 `yaml:"min_nats"`  // weight from which a chain is published, in nats; 1 to 9
	MaxHosts int     `yaml:"max_hosts"` // hosts whose administration sessions are remembered, 9 KB each at most; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, MinNats: 2.5, MaxHosts: 16384} }

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 1 || c.MinNats > 9 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 1 to 9", c.MinNats))
	}
	if c.MaxHosts < 16 {
		errs = append(errs, fmt.Errorf("max_hosts: %d, want at least 16", c.MaxHosts))
	}
	return errors.Join(errs...)
}
