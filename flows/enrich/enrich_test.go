package enrich

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

func mustSite(t testing.TB, n Networks, assets ...Asset) *Site {
	t.Helper()
	s, err := NewSite(n, assets)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDefaultRanges(t *testing.T) {
	s := mustSite(t, Networks{})
	for text, want := range map[string]bool{
		"10.0.0.0": true, "10.255.255.255": true, "11.0.0.0": false, "9.255.255.255": false,
		"172.15.255.255": false, "172.16.0.0": true, "172.31.255.255": true, "172.32.0.0": false,
		"192.167.255.255": false, "192.168.0.0": true, "192.168.255.255": true, "192.169.0.0": false,
		"169.254.1.1": true, "169.255.0.0": false, "100.64.0.1": false, "8.8.8.8": false,
		"127.0.0.1": true, "0.0.0.0": true, "1.0.0.0": false, "255.255.255.255": true, "224.0.0.251": true, "223.255.255.255": false,
		"240.0.0.1": false,
		"fe80::1":   true, "febf:ffff::": true, "fec0::": false, "fc00::": true, "fdff:ffff::1": true, "fe00::": false,
		"2001:db8::1": false, "::1": true, "::": true, "::2": false, "ff02::fb": true,
	} {
		if got := s.Internal(addr(text)); got != want {
			t.Errorf("%s: got internal %v, want %v", text, got, want)
		}
	}
}

// TestInternalAgreesWithNetip holds the sorted ranges against a walk over netip prefixes, for random configurations.
func TestInternalAgreesWithNetip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	random := func() netip.Addr { // close together, so that prefixes overlap and addresses hit
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{198, byte(r.IntN(4)), byte(r.IntN(8)), byte(r.Uint32())})
		}
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 5: byte(r.IntN(4)), 8: byte(r.IntN(3)), 15: byte(r.Uint32())})
	}
	for range 200 {
		var n Networks
		var prefixes []netip.Prefix
		for range 1 + r.IntN(12) {
			a := random()
			p := netip.PrefixFrom(a, r.IntN(a.BitLen()+1)).Masked()
			n.Internal = append(n.Internal, p.String())
			prefixes = append(prefixes, p)
		}
		for _, text := range neverOutside {
			p, err := parsePrefix(text)
			if err != nil {
				t.Fatal(err)
			}
			prefixes = append(prefixes, p)
		}
		s := mustSite(t, n)
		for range 200 {
			a := random()
			want := false
			for _, p := range prefixes {
				want = want || p.Contains(a)
			}
			if got := s.Internal(packet.AddrFrom(a)); got != want {
				t.Fatalf("%v in %v: got %v, want %v", a, n.Internal, got, want)
			}
		}
	}
}

// All IPv6 does not mean IPv4, though IPv4-mapped addresses lie within ::/0.
func TestAllIPv6LeavesIPv4(t *testing.T) {
	s := mustSite(t, Networks{Internal: []string{"::/0"}})
	if s.Internal(addr("8.8.8.8")) || !s.Internal(addr("2001:db8::1")) {
		t.Error("::/0 must cover every IPv6 address and no IPv4 address")
	}
	s = mustSite(t, Networks{Internal: []string{"::ffff:198.51.100.0/120"}})
	if !s.Internal(addr("198.51.100.9")) || s.Internal(addr("198.51.101.9")) {
		t.Error("an IPv4-mapped prefix means the IPv4 prefix")
	}
	if s.Internal(addr("10.0.0.1")) {
		t.Error("what is configured replaces the default")
	}
}

func TestValidateNamesEveryWrongEntry(t *testing.T) {
	err := Validate(Networks{Internal: []string{"10.0.0.0/8", "10.0.0.1/8", "corp", "fe80::1%eth0"}}, []Asset{
		{Name: "dc", Addresses: []string{"10.0.0.9", "10.0.0.300"}},
		{Name: "dc", Addresses: []string{"10.0.0.9"}},
		{Addresses: nil},
	})
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	want := []string{"networks.internal[1]", "networks.internal[2]", "networks.internal[3]", "assets[0].addresses[1]", "assets[1].name", "assets[1].addresses[0]", "assets[2].name", "assets[2].addresses"}
	if len(got) != len(want) {
		t.Fatalf("got %d errors, want %d:\n%v", len(got), len(want), err)
	}
	for i, w := range want {
		if !strings.HasPrefix(got[i], w+": ") {
			t.Errorf("error %d: got %q, want it to begin with %s", i, got[i], w)
		}
	}
	if !strings.Contains(got[0], "10.0.0.0/8") {
		t.Errorf("the remedy is missing: %s", got[0])
	}
}

func TestLongestMatchNamesAHost(t *testing.T) {
	s := mustSite(t, Networks{},
		Asset{Name: "campus", Addresses: []string{"10.0.0.0/8"}},
		Asset{Name: "servers", Addresses: []string{"10.1.0.0/16", "2001:db8::/64"}, Role: "server"},
		Asset{Name: "dc01", Addresses: []string{"10.1.0.9"}, Role: "domain controller", Critical: true},
	)
	for text, want := range map[string]string{"10.2.0.1": "campus", "10.1.2.3": "servers", "10.1.0.9": "dc01", "2001:db8::5": "servers", "8.8.8.8": ""} {
		got, ok := s.Asset(addr(text))
		if got.Name != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", text, got.Name, ok, want)
		}
	}
	if dc, _ := s.Asset(addr("10.1.0.9")); !dc.Critical || dc.Role != "domain controller" {
		t.Errorf("got %+v", dc)
	}
}

func TestInternalDoesNotAllocate(t *testing.T) {
	s := mustSite(t, Networks{})
	a, b := addr("8.8.8.8"), addr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() { s.Internal(a); s.Internal(b) }); n != 0 {
		t.Errorf("allocates %v times", n)
	}
}

func flow(orig, resp string) *flows.Record {
	return &flows.Record{Conn: flows.Conn{Orig: addr(orig), Resp: addr(resp)}}
}

func TestFitWarns(t *testing.T) {
	s := mustSite(t, Networks{})
	var f Fit
	if w := f.Warning(); w != "" {
		t.Errorf("without flows: %q", w)
	}
	for i := range 83 {
		f.Add(s, flow(fmt.Sprintf("198.51.100.%d", i), "203.0.113.9"))
	}
	for range 17 {
		f.Add(s, flow("10.0.0.1", "203.0.113.9"))
	}
	want := "83 % of flows touch no internal address (most often from 198.51.100.0/24): set networks.internal"
	if got := f.Warning(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	var quiet Fit
	for range 95 {
		quiet.Add(s, flow("10.0.0.1", "203.0.113.9"))
	}
	for range 5 {
		quiet.Add(s, flow("198.51.100.1", "203.0.113.9"))
	}
	if w := quiet.Warning(); w != "" {
		t.Errorf("5 %%: %q", w)
	}
}

// What makes up more than a ninth of the outside flows is named, whatever stands around it.
func TestFitFindsTheHeavyNetwork(t *testing.T) {
	s := mustSite(t, Networks{})
	r := rand.New(rand.NewPCG(5, 6))
	var f Fit
	for i := range 3000 {
		orig := fmt.Sprintf("%d.%d.%d.1", 20+r.IntN(50), r.IntN(256), r.IntN(256))
		if i%3 == 0 {
			orig = "2001:db8:77::1"
		}
		f.Add(s, flow(orig, "203.0.113.9"))
	}
	if got := f.Warning(); !strings.Contains(got, "2001:db8:77::/48") {
		t.Errorf("got %q", got)
	}
}

func answer(client, name string, app flows.App) (*flows.Batch, *flows.DNS) {
	b := &flows.Batch{}
	out := flows.Out{Batch: b}
	var wire []byte
	for _, label := range strings.Split(name, ".") {
		wire = append(append(wire, byte(len(label))), label...)
	}
	d := &flows.DNS{Conn: flows.Conn{Orig: addr(client), Resp: addr("10.0.0.53")}, AnswerAt: 1, App: app, Name: out.Put(append(wire, 0))}
	return b, d
}

func TestNames(t *testing.T) {
	n := NewNames()
	learn := func(client, name string, app flows.App, address string) {
		b, d := answer(client, name, app)
		out := flows.Out{Batch: b}
		b.Answers = []flows.Answer{{Type: 5, Data: out.PutString("edge.cdn.example")}, {Type: typeA, Data: out.PutString(address)}, {Type: typeAAAA, Data: out.PutString("not an address")}}
		d.Answers.Len = 3
		n.Learn(b, d)
	}
	learn("10.0.0.5", "www.example.com", flows.AppDNS, "198.51.100.7")
	learn("10.0.0.6", "mail.example.org", flows.AppDNS, "198.51.100.7")
	learn("10.0.0.6", "evil.local", flows.AppLLMNR, "198.51.100.8")
	for _, c := range []struct {
		seg  packet.Segment
		addr string
		want string
	}{
		{0, "198.51.100.7", "mail.example.org"}, // the latest of any client
		{1, "198.51.100.7", ""},
		{0, "198.51.100.8", ""},
		{0, "198.51.100.9", ""},
	} {
		if got := n.Name(c.seg, addr(c.addr)); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

func BenchmarkInternal(b *testing.B) {
	s := mustSite(b, Networks{})
	addrs := []packet.Addr{addr("10.1.2.3"), addr("8.8.8.8"), addr("fe80::1"), addr("2001:db8::1")}
	i := 0
	for b.Loop() {
		s.Internal(addrs[i&3])
		i++
	}
}
