package passhash

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rule auth.pth.
type Config struct {
	Enabled   bool `yaml:"enabled"`    // whether the rule runs
	Days      int  `yaml:"days"`       // earlier days of Kerberos that make it the habit; 2 to 30
	MaxHabits int  `yaml:"max_habits"` // pairs and users remembered, 120 bytes each; at least 1,024
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, Days: 5, MaxHabits: 1 << 17} }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.Days < 2 || c.Days > 30 {
		errs = append(errs, fmt.Errorf("days: %d, want 2 to 30", c.Days))
	}
	if c.MaxHabits < 1024 {
		errs = append(errs, fmt.Errorf("max_habits: %d, want at least 1024", c.MaxHabits))
	}
	return errors.Join(errs...)
}

// Build returns the detector; c must be valid.
func (c Config) Build() detectors.Detector { return New(c) }
