// Package stat holds the statistics that detectors share: pure functions and small sketches without opinions. Counting
// lives here and in flows/sketch, thresholds in the detectors.
package stat

import "neuromast/flows/sketch"

// golden is the step of splitmix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
const golden = 0x9e3779b97f4a7c15

// Distinct is sketch.Distinct.
type Distinct = sketch.Distinct

// Mix is sketch.Mix.
func Mix(x uint64) uint64 { return sketch.Mix(x) }

// Hash is sketch.Hash.
func Hash(b []byte) uint64 { return sketch.Hash(b) }

// HashString is sketch.HashString.
func HashString(s string) uint64 { return sketch.HashString(s) }

// Join is sketch.Join.
func Join(a, b uint64) uint64 { return sketch.Join(a, b) }

// HashAddr is sketch.HashAddr.
func HashAddr(a [16]byte) uint64 { return sketch.HashAddr(a) }
