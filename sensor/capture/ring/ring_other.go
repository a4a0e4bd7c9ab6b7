//go:build !linux

package ring

import (
	"errors"

	"neuromast/sensor/bpf"
	"neuromast/sensor/capture"
)

// Filter is a classic BPF program.
type Filter []struct{}

// Ring is not there: live capture needs Linux.
type Ring struct{ capture.Source }

// NewFilter returns nothing.
func NewFilter(bpf.Program) Filter { return nil }

// Open says so.
func Open(Config, string, Filter, uint32) ([]*Ring, error) {
	return nil, errors.New("live capture needs Linux; replay works everywhere")
}

// Stop does nothing.
func (r *Ring) Stop() {}

// Stats is empty.
func (r *Ring) Stats() Stats { return Stats{} }
