package phrase

import (
	"testing"
	"time"
)

func TestPhrases(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Number(11.5), "11.5"}, {Number(3), "3"}, {Number(2.005e3), "2005"}, {Number(1.0 / 3), "0.33"},
		{Count(0), "0"}, {Count(999), "999"}, {Count(1000), "1,000"}, {Count(1234567), "1,234,567"}, {Count(-123), "-123"}, {Count(-1234), "-1,234"},
		{Plural(1, "host"), "1 host"}, {Plural(0, "host"), "0 hosts"}, {Plural(1200, "port"), "1,200 ports"},
		{Bytes(0), "0 bytes"}, {Bytes(999), "999 bytes"}, {Bytes(1499), "1.5 kB"}, {Bytes(2e6), "2 MB"}, {Bytes(999_960), "1 MB"}, {Bytes(3.25e9), "3.3 GB"},
		{Duration(1500 * time.Microsecond), "1.5 ms"}, {Duration(668470 * time.Microsecond), "668 ms"}, {Duration(1200 * time.Millisecond), "1.2 s"}, {Duration(119 * time.Second), "119 s"},
		{Duration(104 * time.Minute), "104 min"}, {Duration(26 * time.Hour), "26 h"}, {Duration(96 * time.Hour), "4 days"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
