package flows

import (
	"cmp"
	"container/heap"
	"slices"

	"neuromast/sensor/packet"
)

// MergedItem is an Item and the batch that holds it.
type MergedItem struct {
	Item
	Batch uint16 // index of Merged.Batches
}

// Merged is what all workers handed on up to one watermark, in one total order.
type Merged struct {
	Watermark packet.Time
	Batches   []*Batch // by worker
	Order     []MergedItem
	Final     bool
}

// Merge overwrites m with the batches of all workers for one watermark. Each batch must be sorted. Batches of fewer
// workers give the same order: it depends on the items alone.
func (m *Merged) Merge(batches []*Batch) {
	m.Batches = append(m.Batches[:0], batches...)
	m.Order = m.Order[:0]
	m.Final = len(batches) > 0
	heads := make(mergeHeap, 0, len(batches))
	for i, b := range batches {
		m.Watermark = max(b.Watermark, m.Watermark)
		m.Final = m.Final && b.Final
		if len(b.Order) > 0 {
			heads = append(heads, mergeHead{b.Order, uint16(i)})
		}
	}
	if len(heads) == 1 {
		for _, it := range heads[0].rest {
			m.Order = append(m.Order, MergedItem{it, heads[0].batch})
		}
		return
	}
	heap.Init(&heads)
	for len(heads) > 0 {
		h := &heads[0]
		m.Order = append(m.Order, MergedItem{h.rest[0], h.batch})
		if h.rest = h.rest[1:]; len(h.rest) == 0 {
			heap.Pop(&heads)
		} else {
			heap.Fix(&heads, 0)
		}
	}
}

// Sorted says whether the order is what the contract demands; tests use it.
func (m *Merged) Sorted() bool {
	return slices.IsSortedFunc(m.Order, func(a, b MergedItem) int {
		return cmp.Or(a.Item.Compare(b.Item), 0)
	})
}

type mergeHead struct {
	rest  []Item
	batch uint16
}

type mergeHeap []mergeHead

func (h mergeHeap) Len() int           { return len(h) }
func (h mergeHeap) Less(i, j int) bool { return h[i].rest[0].Compare(h[j].rest[0]) < 0 }
func (h mergeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *mergeHeap) Push(x any)        { *h = append(*h, x.(mergeHead)) }
func (h *mergeHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
