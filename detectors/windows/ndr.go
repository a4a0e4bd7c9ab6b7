package windows

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"neuromast/flows"
)

// maxText bounds a string read from a stub, in bytes of UTF-8.
const maxText = 200

// handleLen is the length of a context handle (C706 14.2.6).
const handleLen = 20

// Service is what a CreateService request says (MS-SCMR 3.1.4.12): Image is cut where the kept part of the stub ends.
type Service struct{ Name, Display, Image string }

// ReadService reads RCreateServiceW and its WOW64 kin, or the ANSI ones where wide is false. Stubs are little-endian NDR:
// big-endian clients don't exist in practice and read as nothing.
func ReadService(stub []byte, wide bool) (s Service, ok bool) {
	r := reader{b: stub}
	r.skip(handleLen)
	s.Name = r.text(wide)
	if r.uint32() != 0 {
		s.Display = r.text(wide)
	}
	for range 4 { // access, type, start, error control
		r.uint32()
	}
	ok = !r.bad && s.Name != ""
	s.Image = r.text(wide)
	return s, ok
}

// ReadServiceName reads the name in ROpenService (MS-SCMR 3.1.4.16, 3.1.4.26).
func ReadServiceName(stub []byte, wide bool) string {
	r := reader{b: stub}
	r.skip(handleLen)
	return r.text(wide)
}

// ReadControl reads the control code of RControlService (MS-SCMR 3.1.4.2).
func ReadControl(stub []byte) (code uint32, ok bool) {
	r := reader{b: stub}
	r.skip(handleLen)
	code = r.uint32()
	return code, !r.bad
}

// ReadTask reads path and definition of SchRpcRegisterTask (MS-TSCH 3.2.5.4.2); of the definition what was kept.
func ReadTask(stub []byte) (path, xml string) {
	r := reader{b: stub}
	if r.uint32() != 0 {
		path = r.text(true)
	}
	return path, r.text(true)
}

// ReadTaskPath reads the path of SchRpcRun and SchRpcDelete (MS-TSCH 3.2.5.4.13, 3.2.5.4.14).
func ReadTaskPath(stub []byte) string {
	r := reader{b: stub}
	return r.text(true)
}

// ReadJob reads the command of NetrJobAdd (MS-TSCH 3.2.5.2.1).
func ReadJob(stub []byte) string {
	r := reader{b: stub}
	if r.uint32() != 0 {
		r.text(true) // server
	}
	r.uint32() // time
	r.uint32() // days of month
	r.skip(2)  // days of week, flags
	if r.uint32() == 0 {
		return ""
	}
	return r.text(true)
}

// ReadRegistryName reads the RRP_UNICODE_STRING that follows the handle of BaseRegCreateKey, BaseRegSetValue and
// BaseRegSaveKey (MS-RRP 2.2.4): a sub-key, a value or a file.
func ReadRegistryName(stub []byte) string {
	r := reader{b: stub}
	r.skip(handleLen)
	r.align(4)
	r.skip(4) // length, maximum length
	if r.uint32() == 0 {
		return ""
	}
	return r.text(true)
}

// ReadPrinter reads the name in RpcOpenPrinter(Ex) (MS-RPRN 3.1.4.2.2, 3.1.4.2.14).
func ReadPrinter(stub []byte) string {
	r := reader{b: stub}
	if r.uint32() == 0 {
		return ""
	}
	return r.text(true)
}

// ReadPrinterListener reads pszLocalMachine of RpcRemoteFindFirstPrinterChangeNotification(Ex) (MS-RPRN 3.1.4.10.3).
func ReadPrinterListener(stub []byte) string {
	r := reader{b: stub}
	r.skip(handleLen + 8) // flags, options
	if r.uint32() == 0 {
		return ""
	}
	return r.text(true)
}

// ReadPath reads the string that a request begins with, as those of EFSRPC and DFSNM do (MS-EFSR 3.1.4.2, MS-DFSNM 3.1.4.4).
func ReadPath(stub []byte) string {
	r := reader{b: stub}
	return r.text(true)
}

// ZeroChallenge says that a NetrServerReqChallenge request (MS-NRPC 3.5.4.4.1) ends with a client challenge of eight
// zero bytes. The whole stub must have been kept.
func ZeroChallenge(stub []byte, stubLen uint32) bool {
	if uint32(len(stub)) != stubLen || len(stub) < 24 {
		return false
	}
	return binary.LittleEndian.Uint64(stub[len(stub)-8:]) == 0
}

// ActivatedClass names the class that an activation request asks for where it is one that runs programs. The id stands
// in structures of varying layout (MS-DCOM 2.2.22), so it is sought.
func ActivatedClass(stub []byte) string {
	for _, c := range classes {
		wire := wireUUID(c.id)
		for i := 0; i+16 <= len(stub); i++ {
			if [16]byte(stub[i:i+16]) == wire {
				return c.name
			}
		}
	}
	return ""
}

// wireUUID is a UUID as little-endian NDR has it.
func wireUUID(u flows.UUID) [16]byte {
	return [16]byte{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]}
}

// reader reads NDR; past the end it is bad and reads nothing.
type reader struct {
	b   []byte
	at  int
	bad bool
}

func (r *reader) skip(n int) []byte {
	if n < 0 || n > len(r.b)-r.at {
		r.bad = true
		r.at = len(r.b)
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) align(n int) { r.skip((n - r.at%n) % n) }

func (r *reader) uint32() uint32 {
	r.align(4)
	if b := r.skip(4); len(b) == 4 {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// text reads a conformant varying string (C706 14.3.4.2), of which the end may be missing.
func (r *reader) text(wide bool) string {
	size := r.uint32()
	offset := r.uint32()
	count := r.uint32()
	if r.bad || offset != 0 || count > size || size > 1<<20 {
		r.bad = true
		return ""
	}
	n := int(count)
	if wide {
		n *= 2
	}
	cut := n > len(r.b)-r.at
	b := r.skip(min(n, len(r.b)-r.at))
	r.bad = r.bad || cut
	if !wide {
		return Printable(string(b))
	}
	units := make([]uint16, 0, min(len(b)/2, maxText))
	for i := 0; i+1 < len(b) && len(units) < maxText; i += 2 {
		units = append(units, binary.LittleEndian.Uint16(b[i:]))
	}
	return Printable(string(utf16.Decode(units)))
}

// Printable makes foreign text fit for a sentence: up to a NUL, at most 200 bytes, without control characters.
func Printable(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	cut := len(s) > maxText
	if cut {
		n := maxText
		for n > maxText-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == utf8.RuneError || c >= 0x80 && c < 0xa0 || c == 0x2028 || c == 0x2029 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '?'
		}
		return c
	}, s)
	if cut {
		s += "…"
	}
	return s
}
