package storm

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rule smb.storm.
type Config struct {
	Enabled     bool    `yaml:"enabled"`      // whether the rule runs
	MinNats     float64 `yaml:"min_nats"`     // weight below which nothing is published, in nats; 0.5 to 9
	MinRenames  int     `yaml:"min_renames"`  // renames in 60 s; 10 to 200
	MinRewrites int     `yaml:"min_rewrites"` // files read and then written in 60 s; 10 to 200
	MaxShares   int     `yaml:"max_shares"`   // (client, share) remembered, 20 KB each at most; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config {
	return Config{Enabled: true, MinNats: 1, MinRenames: 30, MinRewrites: 60, MaxShares: 2048}
}

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 0.5 || c.MinNats > maxNats {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.5 to 9", c.MinNats))
	}
	if c.MinRenames < 10 || c.MinRenames > 200 {
		errs = append(errs, fmt.Errorf("min_renames: %d, want 10 to 200", c.MinRenames))
	}
	if c.MinRewrites < 10 || c.MinRewrites > 200 {
		errs = append(errs, fmt.Errorf("min_rewrites: %d, want 10 to 200", c.MinRewrites))
	}
	if c.MaxShares < 16 {
		errs = append(errs, fmt.Errorf("max_shares: %d, want at least 16", c.MaxShares))
	}
	return errors.Join(errs...)
}
