package main

import (
	"os"
	"runtime/pprof"
	"testing"
)

func TestProfile(t *testing.T) {
	path := os.Getenv("NM_PROF")
	if path == "" {
		t.Skip()
	}
	f, _ := os.Create(path)
	pprof.StartCPUProfile(f)
	run(t, "replay", "--quiet", "--workers", "1", "--out", "/tmp/wl/out", os.Getenv("NM_FILE"))
	pprof.StopCPUProfile()
	f.Close()
}
