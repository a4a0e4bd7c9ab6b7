package adfs

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rule adfs.export.
type Config struct {
	Enabled  bool    `yaml:"enabled"`   // whether the rule runs
	MinNats  float64 `yaml:"min_nats"`  // weight below which nothing is published, in nats; 0.5 to 9
	MaxPairs int     `yaml:"max_pairs"` // clients and servers remembered, 1 KB each; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, MinNats: 1, MaxPairs: 1024} }

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
