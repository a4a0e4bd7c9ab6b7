package capture

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest zstd window in bytes: what zstd itself takes without --long=28 and above. The decoder reserves
// it before it is filled, so that it is address space first and memory only as the input unpacks.
const maxWindow = 128 << 20

var (
	magicGzip = []byte{0x1f, 0x8b}
	magicZstd = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// inflate returns a reader of what r holds when unpacked, and the name of its compression; empty where it is none.
// Members and frames may follow each other. Neither decoder starts a goroutine.
func inflate(r *bufio.Reader) (io.Reader, string, error) {
	head, _ := r.Peek(4) // what keeps it from reading comes again at the next read
	switch {
	case bytes.HasPrefix(head, magicGzip):
		z, err := gzip.NewReader(r)
		return z, "gzip", err
	case bytes.HasPrefix(head, magicZstd):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		return z, "zstd", err
	}
	return r, "", nil
}
