package relay

import (
	"errors"
	"fmt"
	"net/netip"

	"neuromast/detectors"
)

// Config holds the thresholds of rules auth.relay and auth.capture.
type Config struct {
	Enabled bool     `yaml:"enabled"`  // whether the rules run
	MinNats float64  `yaml:"min_nats"` // weight below which nothing is published, in nats; 0.5 to 9
	MaxLegs int      `yaml:"max_legs"` // challenges and answers remembered for ten minutes, 400 bytes each; at least 16
	Proxies []string `yaml:"proxies"`  // addresses or CIDRs of proxies and load balancers that pass log-ins through: they are never the relay
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, MinNats: 1, MaxLegs: 1 << 16} }

// Build returns the detector.
func (c Config) Build() detectors.Detector { return New(c) }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.MinNats < 0.5 || c.MinNats > 9 {
		errs = append(errs, fmt.Errorf("min_nats: %v, want 0.5 to 9", c.MinNats))
	}
	if c.MaxLegs < 16 {
		errs = append(errs, fmt.Errorf("max_legs: %d, want at least 16", c.MaxLegs))
	}
	for i, text := range c.Proxies {
		if _, ok := prefix(text); !ok {
			errs = append(errs, fmt.Errorf("proxies[%d]: %q is neither an address nor a CIDR", i, text))
		}
	}
	return errors.Join(errs...)
}

// prefix reads an address or a CIDR.
func prefix(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p, err == nil
}
