// Package ring captures live: TPACKET_V3 rings of Linux packet sockets (Documentation/networking/packet_mmap.rst), read
// without copying.
//
// The kernel fills blocks of frames; a Ring hands them on in batches that point into the blocks and gives a block back
// when the last batch of it is released. Several rings of one interface share its traffic (PACKET_FANOUT). The VLAN tag
// that the kernel strips is put back in front of the frame. A ring counts what the kernel and the network card dropped;
// an interface that goes down is waited for, on the same descriptor.
package ring

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Config says what to capture.
type Config struct {
	Interfaces  []string      `yaml:"interfaces"`  // names of the interfaces to capture on; both legs of a tap are two of them
	Filter      string        `yaml:"filter"`      // tcpdump filter, run by the kernel; empty: everything
	Readers     int           `yaml:"readers"`     // rings for each interface, each with a thread: more than one where one thread can't keep up
	RingMiB     int           `yaml:"ring_mib"`    // memory of each ring: a MiB holds about 7,000 small packets
	BlockTime   time.Duration `yaml:"block_time"`  // after which the kernel hands on a block that is not full
	Promiscuous bool          `yaml:"promiscuous"` // take frames for other hosts' addresses, as a mirror port needs
}

// Default returns the configuration that holds where nothing else is said.
func Default() Config {
	return Config{Readers: 1, RingMiB: 64, BlockTime: 10 * time.Millisecond, Promiscuous: true}
}

// Validate names every wrong value.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	for i, name := range c.Interfaces {
		if name == "" || len(name) > 15 || strings.ContainsAny(name, "/ \t\n") {
			fail("interfaces[%d]: %q is no name of an interface", i, name)
		}
		if seen[name] {
			fail("interfaces[%d]: %s is there twice", i, name)
		}
		seen[name] = true
	}
	if c.Readers < 1 || c.Readers > 64 {
		fail("readers: %d is not between 1 and 64", c.Readers)
	}
	if c.RingMiB < 8 || c.RingMiB > 4096 {
		fail("ring_mib: %d is not between 8 and 4096", c.RingMiB)
	}
	if c.BlockTime < time.Millisecond || c.BlockTime > time.Second {
		fail("block_time: %v is not between 1ms and 1s", c.BlockTime)
	}
	return errors.Join(errs...)
}

// Stats counts what one ring saw.
type Stats struct {
	Interface string
	Ring      int // of the interface's, from 0
	Frames    uint64
	Bytes     uint64
	Drops     uint64  // by the kernel, because the ring was full
	NICDrops  uint64  // by the network card or its driver, as far as it tells; counted by an interface's first ring
	Fill      float64 // share of the ring's blocks that wait to be read
	Down      bool    // the interface is not up, or without carrier
	Gone      bool    // the interface was deleted
	Rebased   uint64  // steps back of the clock that were made good
}
