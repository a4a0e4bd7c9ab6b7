package packet

import "testing"

// BenchmarkDecode: go test -bench Decode ./sensor/packet
func BenchmarkDecode(b *testing.B) {
	web := string(make([]byte, 1400))
	mixes := []struct {
		name   string
		frames [][]byte
	}{
		{"kind=tcp", [][]byte{eth(0x0800, ip4(ProtoTCP, tcp(ACK, web)))}},
		{"kind=udp", [][]byte{eth(0x0800, ip4(ProtoUDP, udp(5353, 53, []byte("query"))))}},
		{"kind=vlan", [][]byte{eth(0x8100, tag(5, 0x0800, ip4(ProtoTCP, tcp(ACK, web))))}},
		{"kind=ipv6", [][]byte{eth(0x86dd, ip6(ProtoTCP, tcp(ACK, web)))}},
		{"kind=vxlan", [][]byte{eth(0x0800, ip4(ProtoUDP, udp(1, portVXLAN, cat(unhex("0800000000000500"), eth(0x0800, ip4(ProtoTCP, tcp(ACK, web)))))))}},
	}
	var all [][]byte
	for _, k := range kinds() {
		if k.link == LinkEthernet {
			all = append(all, k.b)
		}
	}
	mixes = append(mixes, struct {
		name   string
		frames [][]byte
	}{"kind=all", all})
	for _, m := range mixes {
		b.Run(m.name, func(b *testing.B) {
			frames := make([]Frame, len(m.frames))
			for i, f := range m.frames {
				frames[i] = Frame{Data: f, WireLen: uint32(len(f)), Link: LinkEthernet}
			}
			var p Packet
			d := Default()
			b.ReportAllocs()
			for b.Loop() {
				for i := range frames {
					d.Decode(&p, &frames[i])
				}
			}
			n := float64(b.N * len(frames))
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/pkt")
			b.ReportMetric(n/b.Elapsed().Seconds(), "pkts/s")
		})
	}
}

// BenchmarkGopacket is the second opinion's time for the same frame, to compare within one run.
func BenchmarkGopacket(b *testing.B) {
	f := eth(0x0800, ip4(ProtoTCP, tcp(ACK, string(make([]byte, 1400)))))
	o := newOracle()
	for b.Loop() {
		if err := o.parser.DecodeLayers(f, &o.decoded); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/pkt")
}
