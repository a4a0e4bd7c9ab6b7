package session

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of the rules sess.*.
type Config struct {
	Enabled  bool    `yaml:"enabled"`   // whether the rules run
	MinNats  float64 `yaml:"min_nats"`  // weight below which nothing is published, in nats; 0.5 to 9
	MinBytes uint64  `yaml:"min_bytes"` // of a transfer; at least 100000
	MaxPairs int     `yaml:"max_pairs"` // pairs of hosts and rule remembered, 700 bytes each; at least 64
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, MinNats: 0.5, MinBytes: 1e6, MaxPairs: 4096} }

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 0.5 || c.MinNats > 9 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.5 to 9", c.MinNats))
	}
	if c.MinBytes < 100000 {
		errs = append(errs, fmt.Errorf("min_bytes: %d, want at least 100000", c.MinBytes))
	}
	if c.MaxPairs < 64 {
		errs = append(errs, fmt.Errorf("max_pairs: %d, want at least 64", c.MaxPairs))
	}
	return errors.Join(errs...)
}
