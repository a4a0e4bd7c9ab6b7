package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
)

// BenchmarkShares says where the CPU goes: a profile of the whole sensor on the enterprise workload, or on the capture
// that NEUROMAST_BENCH names, split by stage. Shares hold on a busy machine, where times don't. The goal is at most
// 25 % for parsers and detectors together on `ent`. With -v it prints every stage, parser and detector.
//
//	go test -run '^$' -bench Shares -benchtime 5x -v ./sensor
func BenchmarkShares(b *testing.B) {
	path := os.Getenv("NEUROMAST_BENCH")
	if path == "" {
		path = enterprise(b)
	}
	var packed bytes.Buffer
	if err := pprof.StartCPUProfile(&packed); err != nil {
		b.Skipf("another profile is being made: %v", err)
	}
	packets := 0.0
	for b.Loop() {
		dir := results(b, "--workers", "1", path)
		packets = get(readJSON(b, filepath.Join(dir, "summary.json")), "packets.read").(float64)
	}
	pprof.StopCPUProfile()
	stacks, err := readProfile(&packed)
	if err != nil {
		b.Fatal(err)
	}
	spent, total := map[stage]float64{}, 0.0
	for _, s := range stacks {
		spent[stageOf(s.frames)] += s.ns
		total += s.ns
	}
	byKind := map[string]float64{}
	for s, ns := range spent {
		byKind[s.kind] += ns
	}
	b.ReportMetric(100*byKind["parsers"]/total, "parsers-%")
	b.ReportMetric(100*byKind["detectors"]/total, "detectors-%")
	b.ReportMetric(100*(byKind["parsers"]+byKind["detectors"])/total, "parsers+detectors-%")
	b.ReportMetric(100*(byKind["identity"]+byKind["graph"])/total, "hosts-%")
	b.ReportMetric(total/packets/float64(b.N), "cpu-ns/pkt")
	if !testing.Verbose() {
		return
	}
	var lines strings.Builder
	for _, kind := range slices.SortedFunc(maps.Keys(byKind), func(x, y string) int { return cmp.Compare(byKind[y], byKind[x]) }) {
		fmt.Fprintf(&lines, "\n%5.1f %%  %s", 100*byKind[kind]/total, kind)
		parts := maps.Clone(spent)
		maps.DeleteFunc(parts, func(s stage, _ float64) bool { return s.kind != kind || s.part == "" })
		for _, s := range slices.SortedFunc(maps.Keys(parts), func(x, y stage) int { return cmp.Compare(parts[y], parts[x]) }) {
			fmt.Fprintf(&lines, "\n    %5.2f %%  %s", 100*parts[s]/total, s.part)
		}
	}
	b.Log(lines.String())
}

// stage is where time was spent: which part of the way of the data, and there which parser or detector.
type stage struct{ kind, part string }

// stages tells packages from the outermost frame inwards. A frame of a later group takes over from one of an earlier
// group; within a group the outermost keeps what it calls, so that a detector pays for what it asks of the graph.
var stages = []struct {
	group  int
	prefix string
	stage  stage
}{
	{1, "neuromast/sensor/pipeline.", stage{kind: "pipeline"}},
	{2, "neuromast/detectors/engine.", stage{kind: "engine"}},
	{2, "neuromast/sensor.(*session).Record", stage{kind: "output"}},
	{2, "neuromast/sensor/capture.", stage{kind: "capture and decoding"}},
	{2, "neuromast/sensor/packet.", stage{kind: "capture and decoding"}},
	{2, "neuromast/flows/table.", stage{kind: "flow table"}},
	{3, "neuromast/export/", stage{kind: "output"}},
	{3, "neuromast/flows/stream.", stage{kind: "streams"}},
	{4, "neuromast/flows/proto.", stage{kind: "parsers", part: "which protocol it is"}},
	{5, "neuromast/flows/proto/", stage{kind: "parsers"}},
	{5, "neuromast/flows/identity.", stage{kind: "identity"}},
	{5, "neuromast/flows/hostgraph.", stage{kind: "graph"}},
	{5, "neuromast/flows/enrich.", stage{kind: "joins"}},
	{5, "neuromast/detectors/incident.", stage{kind: "incidents"}},
	{5, "neuromast/detectors/", stage{kind: "detectors"}},
}

// stageOf tells the stage of a stack, innermost frame first.
func stageOf(frames []string) stage {
	found, group := stage{kind: "other"}, 0
	for _, f := range slices.Backward(frames) {
		if strings.HasPrefix(f, "runtime.gcBgMarkWorker") || strings.HasPrefix(f, "runtime.gcAssistAlloc") ||
			strings.HasPrefix(f, "runtime.bgsweep") || strings.HasPrefix(f, "runtime.bgscavenge") {
			return stage{kind: "garbage collection"}
		}
		for _, s := range stages {
			if s.group <= group || !strings.HasPrefix(f, s.prefix) {
				continue
			}
			part := strings.TrimPrefix(f, s.prefix)
			part = part[:max(0, strings.IndexAny(part, "./"))]
			if found.kind == "engine" && part == "engine" {
				break // it lies among the detectors and is none
			}
			if found, group = s.stage, s.group; group == 5 && (found.kind == "parsers" || found.kind == "detectors") {
				found.part = part
			}
			break
		}
	}
	return found
}

// stack is one of a profile's: names of functions, innermost first, and the CPU time spent there.
type stack struct {
	frames []string
	ns     float64
}

// readProfile reads what runtime/pprof writes: gzip over the few fields of a protocol buffer that matter here
// (github.com/google/pprof/proto/profile.proto).
func readProfile(r io.Reader) ([]stack, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	var names []string
	var samples [][]byte
	functions := map[uint64]uint64{}   // id -> place of its name
	locations := map[uint64][]uint64{} // id -> functions, innermost first
	err = eachField(raw, func(field int, n uint64, b []byte) error {
		switch field {
		case 2:
			samples = append(samples, b)
		case 4:
			var id uint64
			var in []uint64
			err := eachField(b, func(field int, n uint64, b []byte) error {
				switch field {
				case 1:
					id = n
				case 4:
					return eachField(b, func(field int, n uint64, _ []byte) error {
						if field == 1 {
							in = append(in, n)
						}
						return nil
					})
				}
				return nil
			})
			locations[id] = in
			return err
		case 5:
			var id, name uint64
			err := eachField(b, func(field int, n uint64, _ []byte) error {
				switch field {
				case 1:
					id = n
				case 2:
					name = n
				}
				return nil
			})
			functions[id] = name
			return err
		case 6:
			names = append(names, string(b))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var all []stack
	for _, b := range samples {
		var s stack
		var values []uint64
		err := eachField(b, func(field int, n uint64, b []byte) error {
			several := []uint64{n} // packed into bytes where there are more than two
			for several = several[:1-min(len(b), 1)]; len(b) > 0; {
				n, size := binary.Uvarint(b)
				if size <= 0 {
					return errProfile
				}
				several, b = append(several, n), b[size:]
			}
			switch field {
			case 1:
				for _, l := range several {
					for _, f := range locations[l] {
						if name := functions[f]; name < uint64(len(names)) {
							s.frames = append(s.frames, names[name])
						}
					}
				}
			case 2:
				values = append(values, several...)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(values) != 2 { // samples and nanoseconds
			return nil, errProfile
		}
		s.ns = float64(values[1])
		all = append(all, s)
	}
	return all, nil
}

var errProfile = errors.New("not a CPU profile as runtime/pprof writes it")

// eachField calls f for each field of a message: its number, and its value or its bytes.
func eachField(b []byte, f func(field int, n uint64, b []byte) error) error {
	for len(b) > 0 {
		tag, size := binary.Uvarint(b)
		if size <= 0 {
			return errProfile
		}
		b = b[size:]
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return errProfile
		}
		b = b[size:]
		var data []byte
		switch tag & 7 {
		case 0:
		case 2:
			if n > uint64(len(b)) {
				return errProfile
			}
			data, b = b[:n], b[n:]
		default:
			return errProfile
		}
		if err := f(int(tag>>3), n, data); err != nil {
			return err
		}
	}
	return nil
}
