package scan

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rules scan.trw, scan.burst and scan.slow.
type Config struct {
	Enabled    bool    `yaml:"enabled"`     // whether the rules run
	Threshold  float64 `yaml:"threshold"`   // h in nats: the walk that alarms; 4 to 100. e^h first contacts lie between false alarms
	FalseADay  float64 `yaml:"false_a_day"` // false alarms a day that the site bears: h is ln(first contacts inside a day / this) where that is more; 0.001 to 100
	Theta0     float64 `yaml:"theta0"`      // share of first contacts of an honest host that are answered, until measured; 0.6 to 0.99
	Theta1     float64 `yaml:"theta1"`      // the same of a scanner; 0.01 to 0.5
	MaxSources int     `yaml:"max_sources"` // internal hosts, and external ones, kept at a time; at least 16
	MaxPairs   int     `yaml:"max_pairs"`   // first contacts remembered for a day, 10 bits each; at least 1,000
	Burst      bool    `yaml:"burst"`       // whether scan.burst speaks
	Slow       bool    `yaml:"slow"`        // whether scan.slow speaks
	MaxFailed  int     `yaml:"max_failed"`  // failures remembered for thirty days, 10 bits each; at least 1,000
	MaxAlive   int     `yaml:"max_alive"`   // internal addresses that sent something in thirty days, 10 bits each; at least 1,000
}

// Default returns the configuration that the package comment argues for: theta as the authors of the test chose them, h so that 5,000
// hosts give no false alarm a month.
func Default() Config {
	return Config{
		Enabled: true, Threshold: 11.5, FalseADay: 0.1, Theta0: 0.8, Theta1: 0.2, MaxSources: 1 << 15, MaxPairs: 1 << 20,
		Burst: true, Slow: true, MaxFailed: 1 << 20, MaxAlive: 1 << 17,
	}
}

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, field, want string, got any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %v, want %s", field, got, want))
		}
	}
	check(c.Threshold >= 4 && c.Threshold <= 100, "threshold", "4 to 100 nats", c.Threshold)
	check(c.FalseADay >= 0.001 && c.FalseADay <= 100, "false_a_day", "0.001 to 100", c.FalseADay)
	check(c.Theta0 >= 0.6 && c.Theta0 <= 0.99, "theta0", "0.6 to 0.99", c.Theta0)
	check(c.Theta1 >= 0.01 && c.Theta1 <= 0.5, "theta1", "0.01 to 0.5", c.Theta1)
	check(c.MaxSources >= 16, "max_sources", "at least 16", c.MaxSources)
	check(c.MaxPairs >= 1000, "max_pairs", "at least 1000", c.MaxPairs)
	check(c.MaxFailed >= 1000, "max_failed", "at least 1000", c.MaxFailed)
	check(c.MaxAlive >= 1000, "max_alive", "at least 1000", c.MaxAlive)
	return errors.Join(errs...)
}
