package smbexec

import (
	"testing"

	"neuromast/detectors"
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

// BenchmarkFileServer is what an ordinary open of a file costs.
//
//	go test ./detectors/smbexec -bench . -benchmem
func BenchmarkFileServer(b *testing.B) {
	var env quiet
	out := flows.Out{Batch: &env.batch}
	m := flows.SMB{Conn: script.Conn(client, server, 445), Op: flows.SMBOpen, Answered: true}
	m.Share, m.Path = out.PutString(`\\files\projects`), out.PutString(`2026\Quarterly Reports\Q3 figures, final.xlsx`)
	d := New(Default())
	for b.Loop() {
		d.SMB(&env, &m)
	}
}
