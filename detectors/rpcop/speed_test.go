package rpcop

import (
	"testing"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/detectors/windows/script"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// quiet is an Env without an engine.
type quiet struct {
	detectors.Env
	batch flows.Batch
}

func (*quiet) Now() packet.Time           { return script.Start }
func (q *quiet) Batch() *flows.Batch      { return &q.batch }
func (*quiet) Internal(packet.Addr) bool  { return true }
func (*quiet) Emit(*detectors.Finding)    {}
func (*quiet) WakeAt(packet.Time, uint64) {}

// BenchmarkCall is what one call costs: one that is in no table, and one that is.
//
//	go test ./detectors/rpcop -bench . -benchmem
func BenchmarkCall(b *testing.B) {
	for _, op := range []struct {
		name string
		num  uint16
	}{{"op=other", 44}, {"op=LookupSids", 15}} {
		b.Run(op.name, func(b *testing.B) {
			var env quiet
			d := New(Default())
			r := flows.RPC{Conn: script.Conn(client, dc, 49670), Interface: windows.LSARPC, Opnum: op.num, Outcome: flows.Succeeded}
			for b.Loop() {
				d.RPC(&env, &r)
			}
		})
	}
}
