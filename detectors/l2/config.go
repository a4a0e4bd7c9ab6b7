package l2

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rules l2.poison, l2.arp, l2.dhcp and l2.redirect.
type Config struct {
	Enabled  bool    `yaml:"enabled"`   // whether the rules run
	MinNats  float64 `yaml:"min_nats"`  // weight below which nothing is published, in nats; 0.5 to 9
	MaxHosts int     `yaml:"max_hosts"` // addresses and hardware addresses remembered, 4.5 KB each at most; at least 64
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, MinNats: 1, MaxHosts: 16384} }

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 0.5 || c.MinNats > 9 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.5 to 9", c.MinNats))
	}
	if c.MaxHosts < 64 {
		errs = append(errs, fmt.Errorf("max_hosts: %d, want at least 64", c.MaxHosts))
	}
	return errors.Join(errs...)
}
