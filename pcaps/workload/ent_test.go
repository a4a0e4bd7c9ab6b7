package workload_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"neuromast/pcaps/workload"
)

func TestSameSeedSameBytes(t *testing.T) {
	sum := func(seed uint64) [32]byte {
		var b bytes.Buffer
		if err := (workload.Ent{Seed: seed, Flows: 300, Scale: 0.1}).Write(&b); err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(b.Bytes())
	}
	if sum(1) != sum(1) {
		t.Error("one seed gives two captures")
	}
	if sum(1) == sum(2) {
		t.Error("two seeds give one capture")
	}
}

// TestTables holds that the hand-made workloads are sound: every frame decodes without an anomaly, checksums are right,
// and there are as many conversations as stated.
func TestTables(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(io.Writer) error
		pkts  int
		flows int
	}{
		{"small", workload.Small{Packets: 20_000}.Write, 20_000, 2000},
		{"churn", workload.Churn{Packets: 5000}.Write, 5000, 5000},
		{"dns", workload.DNS{Seed: 1, Packets: 4000}.Write, 4000, 2000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tt.write(&b); err != nil {
				t.Fatal(err)
			}
			r, err := pcapgo.NewReader(bytes.NewReader(b.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			n, last := 0, time.Time{}
			for {
				data, ci, err := r.ReadPacketData()
				if err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				n++
				if ci.Timestamp.Before(last) {
					t.Fatal("time goes back")
				}
				last = ci.Timestamp
				p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default)
				if p.ErrorLayer() != nil {
					t.Fatalf("frame %d: %v", n, p.ErrorLayer().Error())
				}
				ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
				a, c := ip.NetworkFlow().Endpoints()
				x, y := p.TransportLayer().TransportFlow().Endpoints()
				one, two := a.String()+" "+x.String(), c.String()+" "+y.String()
				seen[min(one, two)+max(one, two)] = true
				// gopacket computes the checksums anew.
				was := append([]byte(nil), data[:14+int(ip.Length)]...)
				switch l := p.TransportLayer().(type) {
				case *layers.TCP:
					err = l.SetNetworkLayerForChecksum(ip)
				case *layers.UDP:
					err = l.SetNetworkLayerForChecksum(ip)
				}
				if err != nil {
					t.Fatal(err)
				}
				out := gopacket.NewSerializeBuffer()
				list := []gopacket.SerializableLayer{p.LinkLayer().(*layers.Ethernet), ip, p.TransportLayer().(gopacket.SerializableLayer), gopacket.Payload(p.TransportLayer().LayerPayload())}
				if err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{ComputeChecksums: true}, list...); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(out.Bytes()[:len(was)], was) {
					t.Fatalf("frame %d: % x, gopacket makes % x", n, was, out.Bytes())
				}
			}
			if n != tt.pkts || len(seen) != tt.flows {
				t.Errorf("%d packets, %d conversations", n, len(seen))
			}
		})
	}
}

// TestReal merges a made capture with itself: other addresses, right checksums.
func TestReal(t *testing.T) {
	dir := t.TempDir()
	var ent bytes.Buffer
	if err := (workload.Ent{Seed: 1, Flows: 50, Scale: 0.01}).Write(&ent); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "a.pcap"), ent.Bytes(), 0o644), os.WriteFile(filepath.Join(dir, "b.txt"), []byte("none"), 0o644)); err != nil {
		t.Fatal(err)
	}
	var b, said bytes.Buffer
	if err := (workload.Real{Dir: dir, Copies: 3}).Write(&b, &said); err != nil {
		t.Fatal(err)
	}
	if said.String() != "real: 1 captures merged 3 times, 1 files left out (no capture, or not Ethernet)\n" {
		t.Error(said.String())
	}
	r, err := pcapgo.NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	nets := map[byte]int{}
	for {
		data, _, err := r.ReadPacketData()
		if err == io.EOF {
			break
		}
		p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default)
		ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		tl := p.TransportLayer()
		if !ok || tl == nil {
			continue
		}
		nets[ip.SrcIP[1]]++
		sum := func() uint16 {
			switch l := tl.(type) {
			case *layers.TCP:
				return l.Checksum
			case *layers.UDP:
				return l.Checksum
			}
			return 0
		}
		before, header := sum(), ip.Checksum
		switch l := tl.(type) {
		case *layers.TCP:
			err = l.SetNetworkLayerForChecksum(ip)
		case *layers.UDP:
			err = l.SetNetworkLayerForChecksum(ip)
		}
		if err != nil {
			t.Fatal(err)
		}
		out := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{ComputeChecksums: true}, ip, tl.(gopacket.SerializableLayer), gopacket.Payload(tl.LayerPayload())); err != nil {
			t.Fatal(err)
		}
		if sum() != before || ip.Checksum != header {
			t.Fatalf("checksums %x %x, right are %x %x", before, header, sum(), ip.Checksum)
		}
	}
	if len(nets) < 6 {
		t.Errorf("addresses of %d networks", len(nets))
	}
}
