package table

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds the table and sets its timeouts, all in packet time.
type Config struct {
	MaxFlows       int           `yaml:"-"`               // flows kept at once, over all shards: see FlowsIn
	ReportEvery    time.Duration `yaml:"report_every"`    // an open flow reports this often
	AttemptTimeout time.Duration `yaml:"attempt_timeout"` // TCP without an answer: ends this long after its last packet
	TCPTimeout     time.Duration `yaml:"tcp_timeout"`     // TCP, established: ends after this long without a packet
	CloseTimeout   time.Duration `yaml:"close_timeout"`   // TCP, ended by FIN or RST: waits this long for late packets
	UDPTimeout     time.Duration `yaml:"udp_timeout"`     // UDP: ends after this long without a packet
	OtherTimeout   time.Duration `yaml:"other_timeout"`   // ICMP and all else: ends after this long without a packet
}

// FlowsIn is how many flows fit a budget of bytes, with their place in the index and their share of side records.
func FlowsIn(budget int64) int {
	return int(budget / int64(flowBytes+16+(shapeBytes+troubleBytes)/shapeShare))
}

// Default returns the configuration that holds where nothing else is said. A SYN is repeated after 1, 3 and 7 s (RFC
// 6298), so 10 s keep an attempt together; the others are chosen by us near those of Zeek and softflowd.
func Default() Config {
	return Config{
		MaxFlows: 600_000, ReportEvery: 5 * time.Minute, AttemptTimeout: 10 * time.Second, TCPTimeout: 15 * time.Minute,
		CloseTimeout: 5 * time.Second, UDPTimeout: time.Minute, OtherTimeout: 30 * time.Second,
	}
}

// Validate names every wrong value.
func (c Config) Validate() error {
	var errs []error
	if c.MaxFlows < 6400 || c.MaxFlows > 1<<28 {
		errs = append(errs, fmt.Errorf("%d flows are not between 6,400 and %d: change memory.budget", c.MaxFlows, 1<<28))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"report_every", c.ReportEvery}, {"attempt_timeout", c.AttemptTimeout}, {"tcp_timeout", c.TCPTimeout},
		{"close_timeout", c.CloseTimeout}, {"udp_timeout", c.UDPTimeout}, {"other_timeout", c.OtherTimeout},
	} {
		if d.value < time.Second || d.value > 24*time.Hour {
			errs = append(errs, fmt.Errorf("%s: %v is not between 1s and 24h", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}
