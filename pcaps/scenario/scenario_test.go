package scenario_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"neuromast/pcaps"
	"neuromast/pcaps/scenario"
)

const head = "start 2026-03-02T08:00:00Z\nhost a 10.0.0.1\nhost b 10.0.0.2\n"

func TestParseNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"host a 10.0.0.1\n":                        "no start line",
		head + "00:00:01 a fly b\n":                `line 4: no verb "fly"`,
		head + "00:00:01 c ping b\n":               `line 4: "c" is neither a host nor an address`,
		head + "soon a ping b\n":                   `line 4: "soon" is neither a head line nor a time`,
		head + "00:00:01 every 0s for 1m: a ntp b": "positive period",
		head + `00:00:01 a read b Team "x.doc`:     "a quote is not closed",
		head + "expect scan.trw a\n":               "want: expect RULE",
		"start yesterday\n":                        "line 1: parsing time",
	} {
		if _, err := scenario.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestWrongArgumentsNameLineAndUsage(t *testing.T) {
	s, err := scenario.Parse(head + "00:00:01 a read b Team x.doc size 4q as CORP\\x\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.WriteTo(&bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), `line 4: read: size: "4q" is not a size (usage: read SERVER`) {
		t.Errorf("got %v", err)
	}
}

func TestRepeats(t *testing.T) {
	// 00:00:00, 00:00:20 and 00:00:40 are below one minute: three exchanges of two packets.
	s, err := scenario.Parse(head + "00:00:00 every 20s for 1m: a ntp b\n")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(packets(t, write(t, s))); n != 6 {
		t.Errorf("got %d packets, want 6", n)
	}
}

// TestCapturesAreTheSameBytes holds that a capture is a function of its description, in order of time, and decodes
// without error by another decoder.
func TestCapturesAreTheSameBytes(t *testing.T) {
	for _, name := range pcaps.Names() {
		t.Run(name, func(t *testing.T) {
			var got [2][]byte
			for i := range got {
				s, err := pcaps.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				if len(s.Expect) == 0 && !s.Quiet {
					t.Error("no expectation")
				}
				got[i] = write(t, s)
			}
			if !bytes.Equal(got[0], got[1]) {
				t.Error("two runs differ")
			}
			for i, p := range packets(t, got[0]) {
				if e := p.ErrorLayer(); e != nil && p.Layer(layers.LayerTypeDNS) == nil {
					t.Fatalf("packet %d: %v", i+1, e.Error())
				}
			}
		})
	}
}

func write(t *testing.T, s *scenario.Scenario) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packets(t *testing.T, capture []byte) []gopacket.Packet {
	t.Helper()
	r, err := pcapgo.NewReader(bytes.NewReader(capture))
	if err != nil {
		t.Fatal(err)
	}
	var out []gopacket.Packet
	for last := int64(0); ; {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			return out
		}
		if at := ci.Timestamp.UnixNano(); at < last {
			t.Fatalf("packet %d goes back in time", len(out)+1)
		} else {
			last = at
		}
		out = append(out, gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default))
	}
}
