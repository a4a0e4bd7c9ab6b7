package main

import (
	"os"
	"runtime/pprof"
	"strings"
	"testing"
)

func TestProfile(t *testing.T) {
	path := os.Getenv("NM_PROF")
	if path == "" {
		t.Skip()
	}
	f, _ := os.Create(path)
	pprof.StartCPUProfile(f)
	run(t, strings.Fields(os.Getenv("NM_ARGS"))...)
	pprof.StopCPUProfile()
	f.Close()
}
