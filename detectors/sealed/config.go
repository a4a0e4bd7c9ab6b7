package sealed

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rules rpc.sealed and smb.sealed.
type Config struct {
	Enabled   bool    `yaml:"enabled"`    // whether the rules run
	MinNats   float64 `yaml:"min_nats"`   // weight below which nothing is published, in nats; 0.2 to 2
	MinCalls  int     `yaml:"min_calls"`  // calls behind one binding that count; 3 to 1,000
	MinUpload int     `yaml:"min_upload"` // bytes written to files that count before calls; at least 1,000
	MaxPairs  int     `yaml:"max_pairs"`  // (client, server) remembered, 700 bytes each; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config {
	return Config{Enabled: true, MinNats: 1, MinCalls: 5, MinUpload: 20000, MaxPairs: 1 << 13}
}

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 0.2 || c.MinNats > maxNats {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.2 to 2", c.MinNats))
	}
	if c.MinCalls < 3 || c.MinCalls > 1000 {
		errs = append(errs, fmt.Errorf("min_calls: %d, want 3 to 1000", c.MinCalls))
	}
	if c.MinUpload < 1000 {
		errs = append(errs, fmt.Errorf("min_upload: %d, want at least 1000", c.MinUpload))
	}
	if c.MaxPairs < 16 {
		errs = append(errs, fmt.Errorf("max_pairs: %d, want at least 16", c.MaxPairs))
	}
	return errors.Join(errs...)
}
