package table

import (
	"runtime"
	"sync"
	"unsafe"
)

// stepBytes is by how much Memory grows: a huge page of the processors that we know, so that a large table takes few
// entries of the page table and few faults.
const stepBytes = 2 << 20

// Memory is where the shards of a table keep their flows: outside the garbage collector's heap, since flows hold no
// pointers, and a heap of a gigabyte would double before it is looked at. It grows by steps, and is given back when no
// shard uses it any more.
type Memory struct {
	mu    sync.Mutex
	steps *[][]byte
	left  []byte // of the last step
}

// NewMemory returns an empty memory; shards that use it may belong to different goroutines.
func NewMemory() *Memory {
	m := &Memory{steps: new([][]byte)}
	runtime.AddCleanup(m, func(steps *[][]byte) { release(*steps) }, m.steps)
	return m
}

// chunk returns room for chunkFlows flows, all zero.
func (m *Memory) chunk() []flow {
	const size = chunkFlows * int(unsafe.Sizeof(flow{}))
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.left) < size {
		m.left = obtain(stepBytes)
		*m.steps = append(*m.steps, m.left)
	}
	c := unsafe.Slice((*flow)(unsafe.Pointer(&m.left[0])), chunkFlows)
	m.left = m.left[size:]
	return c
}
