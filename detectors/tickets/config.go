package tickets

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rules auth.roast and auth.downgrade.
type Config struct {
	Enabled    bool    `yaml:"enabled"`     // whether the rules run
	MinNats    float64 `yaml:"min_nats"`    // weight below which nothing is published, in nats; 0.5 to 9
	MaxClients int     `yaml:"max_clients"` // clients remembered, 15 KB each at most; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, MinNats: 1, MaxClients: 4096} }

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 0.5 || c.MinNats > 9 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.5 to 9", c.MinNats))
	}
	if c.MaxClients < 16 {
		errs = append(errs, fmt.Errorf("max_clients: %d, want at least 16", c.MaxClients))
	}
	return errors.Join(errs...)
}
