package flows

import (
	"testing"

	"neuromast/sensor/packet"
)

func TestAppendName(t *testing.T) {
	for _, tt := range []struct{ wire, want string }{
		{"", ""},
		{"\x00", "."},
		{"\x03www\x07example\x03com\x00", "www.example.com"},
		{"\x04a.b \x01\\\x00", `a\.b\ .\\`},
		{"\x03\x00\x7f\xff\x02@;\x00", `\000\127\255.\@\;`},
		{"\x05ab", "ab"},        // runs past the end
		{"\x01a\x01", "a."},     // a label of which nothing is left
		{"\x01a\x00\x01b", "a"}, // what follows the root is not part of the name
	} {
		if got := string(AppendName(nil, []byte(tt.wire))); got != tt.want {
			t.Errorf("AppendName(%q) = %q, want %q", tt.wire, got, tt.want)
		}
	}
	if got := string(AppendName([]byte("10 "), []byte("\x02mx\x00"))); got != "10 mx" {
		t.Errorf("appended %q", got)
	}
}

func TestDNSNames(t *testing.T) {
	for _, tt := range []struct {
		app  App
		typ  uint16
		want string
	}{
		{AppDNS, 1, "A"}, {AppDNS, 33, "SRV"}, {AppNBNS, 33, "NBSTAT"}, {AppNBNS, 32, "NB"}, {AppDNS, 54, "TYPE54"},
		{AppDNS, 65, "HTTPS"}, {AppDNS, 32769, "DLV"}, {AppDNS, 65535, "TYPE65535"}, {AppDNS, 0, "TYPE0"},
	} {
		if got := (&DNS{App: tt.app, Type: tt.typ}).TypeName(); got != tt.want {
			t.Errorf("type %d over %v is %s, want %s", tt.typ, tt.app, got, tt.want)
		}
	}
	if RcodeName(3) != "NXDOMAIN" || RcodeName(16) != "BADVERS" || RcodeName(12) != "RCODE12" || RcodeName(255) != "RCODE255" {
		t.Error(RcodeName(3), RcodeName(16), RcodeName(12), RcodeName(255))
	}
	if (&DNS{AnswerAt: packet.Time(1)}).Answered() == (&DNS{}).Answered() {
		t.Error("a transaction without an answer counts as answered")
	}
}
