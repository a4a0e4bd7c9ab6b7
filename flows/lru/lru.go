// Package lru is a bounded table that forgets what was least used, in two parts, so that keys which come once (spoofed
// sources, generated names) push each other out and not the keys that come again.
//
// A new key stands on probation; its second use makes it protected. Protected entries are at most four fifths of the
// table: beyond, the least recent of them goes back on probation. The victim is the least recent entry on probation
// (Karedla, Love and Wherry, Caching Strategies to Improve Disk System Performance, 1994). Order of use decides alone,
// so that replays evict alike.
package lru

import "iter"

// Table maps keys to values of which it keeps at most a fixed number. It is not safe for concurrent use.
type Table[K comparable, V any] struct {
	index     map[K]*node[K, V]
	probation list[K, V]
	protected list[K, V]
	max       int
	evicted   uint64
	onEvict   func(K, *V)
}

type node[K comparable, V any] struct {
	prev, next  *node[K, V]
	key         K
	value       V
	isProtected bool
}

// New returns a table of at most max entries, at least 2. Evicted, which may be nil, is called with each entry that
// the bound pushes out.
func New[K comparable, V any](max int, evicted func(K, *V)) *Table[K, V] {
	t := &Table[K, V]{index: map[K]*node[K, V]{}, onEvict: evicted}
	t.max = 2
	if max > 2 {
		t.max = max
	}
	t.probation.init()
	t.protected.init()
	return t
}

// Len returns how many entries there are.
func (t *Table[K, V]) Len() int { return len(t.index) }

// Evicted returns how many entries the bound has pushed out.
func (t *Table[K, V]) Evicted() uint64 { return t.evicted }

// Get returns the value of k without counting as use, nil where there is none. It stays valid until the entry leaves.
func (t *Table[K, V]) Get(k K) *V {
	if n := t.index[k]; n != nil {
		return &n.value
	}
	return nil
}

// Touch returns the value of k, used now, nil where there is none. It spares who would copy a key for Use the copy.
func (t *Table[K, V]) Touch(k K) *V {
	n := t.index[k]
	if n == nil {
		return nil
	}
	t.promote(n)
	return &n.value
}

// Use returns the value of k, a zero value entered now where there was none.
func (t *Table[K, V]) Use(k K) (v *V, isNew bool) {
	if n := t.index[k]; n != nil {
		t.promote(n)
		return &n.value, false
	}
	if len(t.index) >= t.max {
		t.evict()
	}
	n := &node[K, V]{key: k}
	t.index[k] = n
	t.probation.pushFront(n)
	return &n.value, true
}

// Delete removes k; the eviction function is not called.
func (t *Table[K, V]) Delete(k K) {
	if n := t.index[k]; n != nil {
		t.part(n).remove(n)
		delete(t.index, k)
	}
}

// All yields the entries in a fixed order: protected before probation, most recent first. The table must not change
// meanwhile.
func (t *Table[K, V]) All() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		for _, l := range []*list[K, V]{&t.protected, &t.probation} {
			for n := l.root.next; n != &l.root; n = n.next {
				if !yield(n.key, &n.value) {
					return
				}
			}
		}
	}
}

func (t *Table[K, V]) part(n *node[K, V]) *list[K, V] {
	if n.isProtected {
		return &t.protected
	}
	return &t.probation
}

func (t *Table[K, V]) promote(n *node[K, V]) {
	t.part(n).remove(n)
	n.isProtected = true
	t.protected.pushFront(n)
	if t.protected.len > t.max*4/5 {
		last := t.protected.root.prev
		t.protected.remove(last)
		last.isProtected = false
		t.probation.pushFront(last)
	}
}

func (t *Table[K, V]) evict() {
	n := t.probation.root.prev
	if t.probation.len == 0 {
		n = t.protected.root.prev
	}
	t.part(n).remove(n)
	delete(t.index, n.key)
	t.evicted++
	if t.onEvict != nil {
		t.onEvict(n.key, &n.value)
	}
}

// list is a ring through root, most recent first.
type list[K comparable, V any] struct {
	root node[K, V]
	len  int
}

func (l *list[K, V]) init() { l.root.prev, l.root.next = &l.root, &l.root }

func (l *list[K, V]) pushFront(n *node[K, V]) {
	n.prev, n.next = &l.root, l.root.next
	n.prev.next, n.next.prev = n, n
	l.len++
}

func (l *list[K, V]) remove(n *node[K, V]) {
	n.prev.next, n.next.prev = n.next, n.prev
	n.prev, n.next = nil, nil
	l.len--
}
