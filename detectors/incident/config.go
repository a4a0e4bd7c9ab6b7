package incident

import (
	"errors"
	"fmt"
)

// Config bounds the correlation and says when a case is told.
type Config struct {
	Enabled  bool    `yaml:"enabled"`   // whether signals are joined into incidents
	OpenNats float64 `yaml:"open_nats"` // score at which a case becomes an incident, in nats; 6.9 to 20
	MaxHosts int     `yaml:"max_hosts"` // hosts remembered, 40 KB each at most; at least 64
}

// Default returns the configuration that the package comment argues for.
func Default() Config { return Config{Enabled: true, OpenNats: 9.3, MaxHosts: 16384} }

// Validate names every wrong field.
func (c Config) Validate() error {
	var errs []error
	if c.OpenNats < 6.9 || c.OpenNats > 20 {
		errs = append(errs, fmt.Errorf("open_nats: %v, want 6.9 to 20", c.OpenNats))
	}
	if c.MaxHosts < 64 {
		errs = append(errs, fmt.Errorf("max_hosts: %d, want at least 64", c.MaxHosts))
	}
	return errors.Join(errs...)
}
