package windows_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"neuromast/detectors/windows"
	"neuromast/detectors/windows/script"
)

// create is an RCreateService request (MS-SCMR 3.1.4.12).
func create(wide bool, name, display, image string) []byte {
	text := script.Stub.Wide
	if !wide {
		text = script.Stub.ANSI
	}
	s := text(script.Stub{}.Handle(), name)
	if display == "" {
		s = s.U32(0)
	} else {
		s = text(s.U32(0x20000), display)
	}
	return text(s.U32(0xf01ff, 0x10, 3, 0), image)
}

func TestReadService(t *testing.T) {
	for _, tt := range []struct {
		stub []byte
		wide bool
		want windows.Service
		ok   bool
	}{
		{create(true, "PGUJ", "PGUJ", `%COMSPEC% /C x`), true, windows.Service{Name: "PGUJ", Display: "PGUJ", Image: `%COMSPEC% /C x`}, true},
		{create(true, "odd", "", `C:\a.exe`), true, windows.Service{Name: "odd", Image: `C:\a.exe`}, true},
		{create(false, "Cyb3rWard0g", "OTR", `C:\Windows\System32\x.exe`), false, windows.Service{Name: "Cyb3rWard0g", Display: "OTR", Image: `C:\Windows\System32\x.exe`}, true},
		{create(true, "a", "b", strings.Repeat("x", 300))[:512], true, windows.Service{Name: "a", Display: "b", Image: strings.Repeat("x", 200)}, true},
		{create(true, "Dienstprüfung", "", "x"), true, windows.Service{Name: "Dienstprüfung", Image: "x"}, true},
		{create(true, "a", "b", "c")[:30], true, windows.Service{}, false},
		{nil, true, windows.Service{}, false},
		{script.Stub{}.Handle().U32(1<<31, 0, 1<<31).Bytes('a', 0), true, windows.Service{}, false},
		{script.Stub{}.Handle().U32(4, 1, 4).Bytes('a', 0), true, windows.Service{}, false}, // an offset
		{script.Stub{}.Handle().U32(4, 0, 5).Bytes('a', 0), true, windows.Service{}, false}, // more than there is room for
	} {
		got, ok := windows.ReadService(tt.stub, tt.wide)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("got %+v, %v, want %+v, %v", got, ok, tt.want, tt.ok)
		}
	}
}

func TestReaders(t *testing.T) {
	name := func(text string) script.Stub {
		return script.Stub{}.Handle().Bytes(0x10, 0, 0x10, 0).U32(0x20000).Wide(text)
	}
	path, xml := windows.ReadTask(script.Stub{}.U32(0x20000).Wide(`\Updater`).Wide(`<?xml version="1.0"?>`))
	code, ok := windows.ReadControl(script.Stub{}.Handle().U32(1))
	clsid := []byte{0x1a, 0x79, 0xb2, 0x49, 0xae, 0xb1, 0x90, 0x4c, 0x9b, 0x8e, 0xe8, 0x60, 0xba, 0x07, 0xf8, 0x89}
	for _, tt := range []struct{ what, got, want string }{
		{"task", path, `\Updater`},
		{"definition", xml, `<?xml version="1.0"?>`},
		{"task to run", windows.ReadTaskPath(script.Stub{}.Wide(`\T`)), `\T`},
		{"service to open", windows.ReadServiceName(script.Stub{}.Handle().Wide("IKEEXT"), true), "IKEEXT"},
		{"job", windows.ReadJob(script.Stub{}.U32(0x20000).Wide(`\\host`).U32(0, 0).Bytes(0, 0).U32(0x20000).Wide(`c:\x.exe`)), `c:\x.exe`},
		{"job without server", windows.ReadJob(script.Stub{}.U32(0, 0, 0).Bytes(0, 0).U32(0x20000).Wide(`c:\x.exe`)), `c:\x.exe`},
		{"file of a hive", windows.ReadRegistryName(name(`abcdefgh.tmp`)), "abcdefgh.tmp"},
		{"listener", windows.ReadPrinterListener(script.Stub{}.Handle().U32(0x100, 0, 0x20000).Wide(`\\10.0.0.9`)), `\\10.0.0.9`},
		{"printer", windows.ReadPrinter(script.Stub{}.U32(0x20000).Wide(`\\srv\Laser`)), `\\srv\Laser`},
		{"no printer", windows.ReadPrinter(script.Stub{}.U32(0)), ""},
		{"path", windows.ReadPath(script.Stub{}.Wide(`\\10.0.0.9\a\b`)), `\\10.0.0.9\a\b`},
		{"class", windows.ActivatedClass(append([]byte{1, 2, 3}, clsid...)), "MMC20.Application"},
		{"no class", windows.ActivatedClass(clsid[1:]), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, tt.got, tt.want)
		}
	}
	if code != 1 || !ok {
		t.Errorf("control code %d, %v", code, ok)
	}
}

func TestZeroChallenge(t *testing.T) {
	stub := script.Stub{}.U32(0x20000).Wide(`\\DC`).Wide("DC")
	zero := slices.Clone(stub).Bytes(make([]byte, 8)...)
	other := slices.Clone(stub).Bytes(0, 0, 0, 0, 0, 0, 0, 1)
	if n := uint32(len(zero)); !windows.ZeroChallenge(zero, n) || windows.ZeroChallenge(zero, n+1) || windows.ZeroChallenge(zero[:20], 20) || windows.ZeroChallenge(nil, 0) {
		t.Error("a challenge of zeros is not told from one that is cut")
	}
	if windows.ZeroChallenge(other, uint32(len(other))) {
		t.Error("a challenge with a bit is taken for zeros")
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"a\x00b": "a", "a\nb\x1b[2J": "a?b?[2J", "right\u202eleft": "right?left", "\xff": "?", "tab\t": "tab?",
		strings.Repeat("ä", 150): strings.Repeat("ä", 100) + "…",
	} {
		if got := windows.Printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzStubs(f *testing.F) {
	f.Add(create(true, "a", "b", "c"))
	f.Add(create(false, "a", "", "c"))
	f.Add([]byte(script.Stub{}.U32(0x20000).Wide(`\T`).Wide("<Task/>")))
	f.Add([]byte(script.Stub{}.U32(0).U32(0, 0).Bytes(1, 2).U32(1).Wide("cmd")))
	f.Add([]byte(script.Stub{}.Handle().U32(8, 1).Wide("hive.tmp")))
	f.Fuzz(func(t *testing.T, b []byte) {
		service, _ := windows.ReadService(b, true)
		ansi, _ := windows.ReadService(b, false)
		path, xml := windows.ReadTask(b)
		for _, s := range []string{
			service.Name, service.Display, service.Image, ansi.Name, ansi.Image, path, xml, windows.ReadServiceName(b, false), windows.ReadTaskPath(b),
			windows.ReadJob(b), windows.ReadRegistryName(b), windows.ReadPrinterListener(b), windows.ReadPrinter(b), windows.ReadPath(b),
		} {
			if len(s) > 200+len("…") || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\n\r\x1b") {
				t.Errorf("%q is not fit for a sentence", s)
			}
		}
		windows.ReadControl(b)
		windows.ActivatedClass(b)
		windows.ZeroChallenge(b, uint32(len(b)))
	})
}
