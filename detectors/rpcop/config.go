package rpcop

import (
	"errors"
	"fmt"

	"neuromast/detectors"
	"neuromast/detectors/windows"
)

// Config holds the thresholds of rules rpc.op.*.
type Config struct {
	Enabled           bool     `yaml:"enabled"`            // whether the rules run
	MinNats           float64  `yaml:"min_nats"`           // weight below which nothing is published, in nats; 0.5 to 9
	DomainControllers []string `yaml:"domain_controllers"` // addresses or CIDRs of all domain controllers; empty: learnt from who answers as one
	MaxHabits         int      `yaml:"max_habits"`         // (client, server, operation) remembered, 120 bytes each, and as many (client, operation); at least 1,000
	MaxHours          int      `yaml:"max_hours"`          // (client, server, family) open at a time, 1.5 KB each at most; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config {
	return Config{Enabled: true, MinNats: 1, MaxHabits: 1 << 17, MaxHours: 1 << 13}
}

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	_, errs := windows.ParseControllers(c.DomainControllers)
	if c.MinNats < 0.5 || c.MinNats > 9 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.5 to 9", c.MinNats))
	}
	if c.MaxHabits < 1000 {
		errs = append(errs, fmt.Errorf("max_habits: %d, want at least 1000", c.MaxHabits))
	}
	if c.MaxHours < 16 {
		errs = append(errs, fmt.Errorf("max_hours: %d, want at least 16", c.MaxHours))
	}
	return errors.Join(errs...)
}
