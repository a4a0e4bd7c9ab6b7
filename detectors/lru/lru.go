// Package lru is flows/lru under the name by which detectors know it: the bounded table that keeps what comes again.
package lru

import "neuromast/flows/lru"

// Table maps keys to values of which it keeps at most a fixed number.
type Table[K comparable, V any] = lru.Table[K, V]

// New returns a table of at most max entries; evicted, which may be nil, gets what the bound pushes out.
func New[K comparable, V any](max int, evicted func(K, *V)) *Table[K, V] {
	return lru.New(max, evicted)
}
