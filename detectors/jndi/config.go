package jndi

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rule jndi.lookup.
type Config struct {
	Enabled  bool    `yaml:"enabled"`   // whether the rule runs
	MinNats  float64 `yaml:"min_nats"`  // weight below which nothing is published, in nats; 0.5 to 9
	MaxNamed int     `yaml:"max_named"` // hosts named in look-ups that are remembered, 4 KB each at most; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, MinNats: 1.5, MaxNamed: 256} }

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 0.5 || c.MinNats > 9 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.5 to 9", c.MinNats))
	}
	if c.MaxNamed < 16 {
		errs = append(errs, fmt.Errorf("max_named: %d, want at least 16", c.MaxNamed))
	}
	return errors.Join(errs...)
}
