package sqlexec

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rule sql.exec.
type Config struct {
	Enabled  bool    `yaml:"enabled"`   // whether the rule runs
	MinNats  float64 `yaml:"min_nats"`  // weight below which nothing is published, in nats; 0.5 to 9
	MaxPairs int     `yaml:"max_pairs"` // pairs of client and server remembered, 8 KB each at most; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, MinNats: 1.5, MaxPairs: 1024} }

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 0.5 || c.MinNats > 9 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.5 to 9", c.MinNats))
	}
	if c.MaxPairs < 16 {
		errs = append(errs, fmt.Errorf("max_pairs: %d, want at least 16", c.MaxPairs))
	}
	return errors.Join(errs...)
}
