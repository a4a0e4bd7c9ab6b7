package flows

import "testing"

func TestUUID(t *testing.T) {
	const text = "367abb81-9844-35f1-ad32-98f038001003"
	u, err := ParseUUID("367ABB81-9844-35f1-ad32-98F038001003")
	if err != nil || u.String() != text {
		t.Errorf("got %v, %v", u, err)
	}
	if want := (UUID{0x36, 0x7a, 0xbb, 0x81, 0x98, 0x44, 0x35, 0xf1, 0xad, 0x32, 0x98, 0xf0, 0x38, 0, 0x10, 0x03}); u != want {
		t.Errorf("got bytes % x", u[:])
	}
	for _, bad := range []string{"", text[1:], text + "0", "367abb81x9844-35f1-ad32-98f038001003", "g67abb81-9844-35f1-ad32-98f038001003"} {
		if u, err := ParseUUID(bad); err == nil || u != (UUID{}) {
			t.Errorf("%q parses as %v", bad, u)
		}
	}
}
