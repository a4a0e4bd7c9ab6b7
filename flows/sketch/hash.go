// Package sketch counts distinct things in bounded memory, over fixed hashes.
//
// Hashes are fixed, never seeded, so that every replay gives the same numbers; attackers who craft collisions can make a
// sketch forget some of their own keys, and bounds hold regardless.
package sketch

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// golden is the step of splitmix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
const golden = 0x9e3779b97f4a7c15

// Mix is splitmix64's finalizer: a bijection that spreads every bit of x over the result.
func Mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Hash returns the fixed hash of b.
func Hash(b []byte) uint64 { return xxhash.Sum64(b) }

// HashString is Hash of a string.
func HashString(s string) uint64 { return xxhash.Sum64String(s) }

// Join hashes two hashes, in this order, into one.
func Join(a, b uint64) uint64 { return Mix(Mix(a+golden) + b + golden) }

// HashAddr returns the fixed hash of 16 bytes, as addresses are.
func HashAddr(a [16]byte) uint64 {
	return Join(binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:]))
}
