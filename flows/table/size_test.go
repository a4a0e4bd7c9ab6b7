package table

import (
	"testing"
	"unsafe"
)

// TestOnePacketFlowIsSmall holds what a flow of one packet takes: its record, and its place in an index that is three
// eighths to three quarters full.
func TestOnePacketFlowIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(flow{}) + 16; n > 300 {
		t.Errorf("%d bytes", n)
	}
}
