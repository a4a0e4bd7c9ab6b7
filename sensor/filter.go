package main

import "neuromast/sensor/capture/ring"

// kernelFilter compiles a filter for the kernel.
func kernelFilter(expr string) (ring.Filter, error) { return nil, nil }
