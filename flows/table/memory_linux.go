package table

import "golang.org/x/sys/unix"

// obtain maps memory that asks for huge pages.
func obtain(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil { // a limit of the process: the heap may still have room, or says so
		return make([]byte, n)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a wish; the kernel may not know it
	return b
}

// release unmaps.
func release(steps [][]byte) {
	for _, b := range steps {
		_ = unix.Munmap(b) // what was not mapped is refused and left to the heap
	}
}
