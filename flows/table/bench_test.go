package table

import (
	"fmt"
	"testing"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// BenchmarkTable is packets of known flows in an order in which nearly each misses the cache, as the worker adds them. The
// cost of a packet should hardly grow with the table. worst-ms is the longest that 256 packets took while the table filled.
//
//	go test -run '^$' -bench Table ./flows/table
func BenchmarkTable(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000, 5_000_000} {
		b.Run(fmt.Sprintf("flows=%d", n), func(b *testing.B) {
			cfg := Default()
			cfg.MaxFlows = 2 * n
			memory := NewMemory()
			shards := make([]*Shard, flows.NumShards)
			var batch flows.Batch
			for i := range shards {
				shards[i] = New(uint8(i), cfg, 1, memory, nil)
				shards[i].Out().Batch = &batch
			}
			const group = 16
			var packets [group]packet.Packet
			var keys [group]Keyed
			var entries [group]uint64
			var sum uint64
			frame := uint64(0)
			add := func(first int, next func(int) int) {
				for i := range group {
					k := next(first + i)
					frame++
					packets[i] = packet.Packet{
						At: start.Add(time.Duration(frame)), Number: frame, Net: packet.NetIPv4, Proto: packet.ProtoUDP, Frames: 1, IPLen: 60, IPID: uint16(frame),
						Src: packet.AddrFrom4([]byte{10, byte(k >> 16), byte(k >> 8), byte(k)}), Dst: bob, SrcPort: uint16(1024 + k>>20), DstPort: 53, PayloadLen: 32,
					}
					KeyOf(&packets[i], &keys[i])
				}
				for i := range keys {
					entries[i] = shards[ShardOf(&keys[i])].Touch(&keys[i])
				}
				for i := range keys {
					sum += shards[ShardOf(&keys[i])].Approach(entries[i])
				}
				for i := range keys {
					shards[ShardOf(&keys[i])].Add(&packets[i], &keys[i])
				}
			}
			var worst time.Duration
			for i := 0; i < n; i += 256 {
				began := time.Now()
				for j := 0; j < 256; j += group {
					add(i+j, func(k int) int { return k % n })
				}
				worst = max(worst, time.Since(began))
			}
			b.ReportAllocs()
			b.ResetTimer()
			packetsDone := 0
			for b.Loop() {
				add(packetsDone, func(k int) int { return k * 104_729 % n })
				packetsDone += group
			}
			var bytes, live uint64
			for _, s := range shards {
				bytes += s.Stats().Bytes
				live += s.Stats().Live
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packetsDone), "ns/pkt")
			b.ReportMetric(float64(bytes)/float64(live), "B/flow")
			b.ReportMetric(float64(worst)/1e6, "worst-ms")
			if sum == 42 {
				b.Log(sum)
			}
		})
	}
}
