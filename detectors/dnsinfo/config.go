package dnsinfo

import (
	"errors"
	"fmt"

	"neuromast/detectors"
)

// Config holds the thresholds of rule dns.info.
type Config struct {
	Enabled  bool    `yaml:"enabled"`   // whether the rule runs
	Minutes  int     `yaml:"minutes"`   // bytes of information in 10 minutes that begin to count; at least 500
	Day      int     `yaml:"day"`       // the same in a day; at least 500
	Month    int     `yaml:"month"`     // the same in 30 days; at least 500
	MinLLR   float64 `yaml:"min_llr"`   // nats below which nothing is said; 1 to 9
	MaxPairs int     `yaml:"max_pairs"` // pairs of client and domain with full state, up to 9 KB each; at least 64
}

// Default returns the thresholds of the package comment.
func Default() Config {
	return Config{Enabled: true, Minutes: 2000, Day: 4000, Month: 20000, MinLLR: 3, MaxPairs: 4096}
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
	check(c.Minutes >= 500, "minutes", "at least 500 bytes", c.Minutes)
	check(c.Day >= 500, "day", "at least 500 bytes", c.Day)
	check(c.Month >= 500, "month", "at least 500 bytes", c.Month)
	check(c.MinLLR >= 1 && c.MinLLR <= 9, "min_llr", "1 to 9 nats", c.MinLLR)
	check(c.MaxPairs >= 64, "max_pairs", "at least 64", c.MaxPairs)
	return errors.Join(errs...)
}
