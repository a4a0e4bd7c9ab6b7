package lru

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestUseGetDelete(t *testing.T) {
	tab := New[string, int](3, nil)
	if tab.Get("a") != nil {
		t.Error("an empty table knows a")
	}
	v, isNew := tab.Use("a")
	*v = 7
	if !isNew {
		t.Error("first use of a: not new")
	}
	if v, isNew := tab.Use("a"); isNew || *v != 7 {
		t.Errorf("second use of a: %d, new %v", *v, isNew)
	}
	tab.Delete("a")
	tab.Delete("a")
	if tab.Len() != 0 || tab.Get("a") != nil {
		t.Error("a was deleted and is there")
	}
	if v, isNew := tab.Use("a"); !isNew || *v != 0 {
		t.Errorf("a came back with %d", *v)
	}
}

// TestOnceOnlyKeysPushEachOther floods a table with keys that come once: the one that came twice stays.
func TestOnceOnlyKeysPushEachOther(t *testing.T) {
	var out []int
	tab := New[int, struct{}](5, func(k int, _ *struct{}) { out = append(out, k) })
	tab.Use(-1)
	tab.Use(-1)
	for k := range 1000 {
		tab.Use(k)
	}
	if tab.Get(-1) == nil {
		t.Error("a flood of keys pushed out one that was used twice")
	}
	if tab.Len() != 5 || tab.Evicted() != 996 || len(out) != 996 || out[0] != 0 || out[995] != 995 {
		t.Errorf("%d entries, %d evicted, first %d", tab.Len(), tab.Evicted(), out[0])
	}
}

// TestProtectedIsBounded works the demotion out by hand: 5 entries, at most 4 protected.
func TestProtectedIsBounded(t *testing.T) {
	tab := New[int, struct{}](5, nil)
	for k := range 5 {
		tab.Use(k)
		tab.Use(k)
	}
	var keys []int
	for k := range tab.All() {
		keys = append(keys, k)
	}
	if want := []int{4, 3, 2, 1, 0}; !slices.Equal(keys, want) {
		t.Errorf("order %v, want %v", keys, want)
	}
	tab.Use(9) // pushes out 0, the only one on probation
	if tab.Get(0) != nil || tab.Get(1) == nil {
		t.Error("the victim should be 0, which went back on probation")
	}
}

func TestStaysWithinBound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tab := New[int, int](17, nil)
	for range 20000 {
		switch k := r.IntN(60); r.IntN(8) {
		case 0:
			tab.Delete(k)
		default:
			if v, isNew := tab.Use(k); isNew {
				*v = k
			} else if *v != k {
				t.Fatalf("key %d holds %d", k, *v)
			}
		}
		n := 0
		for range tab.All() {
			n++
		}
		if n != tab.Len() || n > 17 || tab.probation.len+tab.protected.len != n {
			t.Fatalf("%d entries in order, %d in the index", n, tab.Len())
		}
	}
}
