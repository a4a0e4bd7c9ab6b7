package capture

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// BenchmarkRead reads files from the page cache: go test -bench Read ./sensor/capture
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{60, 650} {
		recs := make([]rec, 64<<20/(size+16))
		data := strings.Repeat("b", size)
		for i := range recs {
			recs[i] = rec{int64(i) * 1000, data, 0}
		}
		file := littleMicro().file(recs...)
		dir := b.TempDir()
		path := put(b, dir, "plain", file)
		packed := put(b, dir, "zstd", zstandard(file))
		for _, bm := range []struct {
			name  string
			paths []string
		}{
			{"pcap", []string{path}}, {"zstd", []string{packed}}, {"merge=2", []string{path, path}},
		} {
			b.Run(fmt.Sprintf("%s/size=%d", bm.name, size), func(b *testing.B) {
				b.ReportAllocs()
				var batch Batch
				n := 0
				for b.Loop() { // a whole file a turn
					src, err := Open(bm.paths, nil)
					if err != nil {
						b.Fatal(err)
					}
					for {
						if err := src.ReadBatch(&batch); errors.Is(err, io.EOF) {
							break
						} else if err != nil {
							b.Fatal(err)
						}
						n += len(batch.Frames)
					}
					src.Close()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/pkt")
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "pkts/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
