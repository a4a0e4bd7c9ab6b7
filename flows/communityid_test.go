package flows_test

import (
	"net/netip"
	"testing"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// TestCommunityID holds the values that the specification publishes.
func TestCommunityID(t *testing.T) {
	const v4a, v4b = "1.2.3.4", "5.6.7.8"
	const v6a, v6b = "fe80:1:203:405:607:809:a0b:c0d", "fe80:1011:1213:1415:1617:1819:1a1b:1c1d"
	for _, c := range []struct {
		orig, resp   string
		sport, dport uint16
		proto        packet.Proto
		seed         uint16
		want         string
	}{
		{v4a, v4b, 1122, 3344, packet.ProtoTCP, 0, "1:wCb3OG7yAFWelaUydu0D+125CLM="},
		{v4b, v4a, 3344, 1122, packet.ProtoTCP, 0, "1:wCb3OG7yAFWelaUydu0D+125CLM="},
		{v4a, v4b, 1122, 3344, packet.ProtoUDP, 0, "1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg="},
		{v4a, v4b, 1122, 3344, packet.ProtoSCTP, 0, "1:EKt4MsxuyaE6mL+hmrEkQ9csDD8="},
		{v4a, v4b, 8, 0, packet.ProtoICMP, 0, "1:crodRHL2FEsHjbv3UkRrfbs4bZ0="},
		{v4b, v4a, 0, 8, packet.ProtoICMP, 0, "1:crodRHL2FEsHjbv3UkRrfbs4bZ0="},
		{v4a, v4b, 11, 0, packet.ProtoICMP, 0, "1:f/YiSyWqczrTgfUCZlBUnvHRcPk="},
		{v6a, v6b, 128, 129, packet.ProtoICMPv6, 0, "1:0bf7hyMJUwt3fMED7z8LIfRpBeo="},
		{v6a, v6b, 146, 0, packet.ProtoICMPv6, 0, "1:fYC8+pz24E+EhANP1EZhpX0Dw10="},
		{v4a, v4b, 0, 0, 46, 0, "1:ikv3kmf89luf73WPz1jOs49S768="},
		{v4a, v4b, 1122, 3344, packet.ProtoTCP, 1, "1:HhA1B+6CoLbiKPEs5nhNYN4XWfk="},
	} {
		conn := flows.Conn{
			Orig: packet.AddrFrom(netip.MustParseAddr(c.orig)), Resp: packet.AddrFrom(netip.MustParseAddr(c.resp)),
			OrigPort: c.sport, RespPort: c.dport, Proto: c.proto,
		}
		if got := conn.CommunityID(c.seed); got != c.want {
			t.Errorf("%s:%d > %s:%d proto %d seed %d: got %s, want %s", c.orig, c.sport, c.resp, c.dport, c.proto, c.seed, got, c.want)
		}
	}
}
