package rpcseq

import (
	"errors"
	"fmt"

	"neuromast/detectors"
	"neuromast/detectors/windows"
)

// Config holds the thresholds of rules rpc.seq.*.
type Config struct {
	Enabled           bool     `yaml:"enabled"`            // whether the rules run
	MinNats           float64  `yaml:"min_nats"`           // weight below which nothing is published, in nats; 0.5 to 9
	DomainControllers []string `yaml:"domain_controllers"` // addresses or CIDRs of all domain controllers; empty: learnt from who answers as one
	ZerologonPairs    int      `yaml:"zerologon_pairs"`    // challenges with authentications within two minutes that no honest client needs; 3 to 64
	MaxPairs          int      `yaml:"max_pairs"`          // (client, server) with steps under way, 10 KB each at most; at least 16
}

// Default returns the configuration that the package comment argues for.
func Default() Config {
	return Config{Enabled: true, MinNats: 3, ZerologonPairs: 8, MaxPairs: 4096}
}

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	_, errs := windows.ParseControllers(c.DomainControllers)
	if c.MinNats < 0.5 || c.MinNats > 9 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.5 to 9", c.MinNats))
	}
	if c.ZerologonPairs < 3 || c.ZerologonPairs > maxTries {
		errs = append(errs, fmt.Errorf("zerologon_pairs: %d, want 3 to %d", c.ZerologonPairs, maxTries))
	}
	if c.MaxPairs < 16 {
		errs = append(errs, fmt.Errorf("max_pairs: %d, want at least 16", c.MaxPairs))
	}
	return errors.Join(errs...)
}
