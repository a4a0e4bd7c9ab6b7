package dcerpc

import "neuromast/flows"

// endpoint is a pipe by whose name an interface is reached, since its specification says so.
type endpoint struct {
	pipe    string // lower case
	iface   string
	version uint16
}

// endpoints are the well-known pipes. Some carry a second interface: lsarpc that of EFS (MS-EFSR 2.1), atsvc that of the
// newer task scheduler (MS-TSCH 2.1), so that flows.FromPipe is a strong hint and no more.
var endpoints = [...]endpoint{
	{"atsvc", "1ff70682-0a51-30e8-076d-740be8cee98b", 1},             // MS-TSCH
	{"dnsserver", "50abc2a4-574d-40b3-9d66-ee4fd5fba076", 5},         // MS-DNSP
	{"efsrpc", "df1941c5-fe89-4e79-bf10-463657acf44d", 1},            // MS-EFSR
	{"epmapper", "e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3},          // C706
	{"eventlog", "82273fdc-e32a-18c3-3f78-827929dc23ea", 0},          // MS-EVEN
	{"fssagentrpc", "a8e0653c-2744-4389-a61d-7373df8b2292", 1},       // MS-FSRVP
	{"initshutdown", "894de0c0-0d55-11d3-a322-00c04fa321a1", 1},      // MS-RSP
	{"lsarpc", "12345778-1234-abcd-ef00-0123456789ab", 0},            // MS-LSAD, MS-LSAT
	{"netdfs", "4fc742e0-4a10-11cf-8273-00aa004ae673", 3},            // MS-DFSNM
	{"netlogon", "12345678-1234-abcd-ef00-01234567cffb", 1},          // MS-NRPC
	{"ntsvcs", "8d9f4e40-a03d-11ce-8f69-08003e30051b", 1},            // plug and play
	{"plugplay", "8d9f4e40-a03d-11ce-8f69-08003e30051b", 1},          // plug and play
	{"protected_storage", "3dde7c30-165d-11d1-ab8f-00805f14db40", 1}, // MS-BKRP
	{"samr", "12345778-1234-abcd-ef00-0123456789ac", 1},              // MS-SAMR
	{"spoolss", "12345678-1234-abcd-ef00-0123456789ab", 1},           // MS-RPRN
	{"srvsvc", "4b324fc8-1670-01d3-1278-5a47bf6ee188", 3},            // MS-SRVS
	{"svcctl", "367abb81-9844-35f1-ad32-98f038001003", 2},            // MS-SCMR
	{"tapsrv", "2f5f6520-ca46-1067-b319-00dd010662da", 1},            // MS-TRP
	{"trkwks", "300f3532-38cc-11d0-a3f0-0020af6b0add", 1},            // MS-DLTW
	{"w32time_alt", "8fb6d884-2388-11d0-8c35-00c04fda2795", 4},       // MS-W32T
	{"winreg", "338cd001-2244-31f1-aaaa-900038001003", 1},            // MS-RRP
	{"wkssvc", "6bffd098-a112-3610-9833-46c3f87e345a", 1},            // MS-WKST
}

// WellKnownPipe says that name, in any case, is a pipe that an RPC interface is known by.
func WellKnownPipe(name []byte) bool {
	_, _, ok := pipeInterface(name)
	return ok
}

func pipeInterface(name []byte) (flows.UUID, uint16, bool) {
	if len(name) == 0 {
		return flows.UUID{}, 0, false
	}
	for i := range endpoints {
		if e := &endpoints[i]; equalFold(name, e.pipe) {
			u, err := flows.ParseUUID(e.iface)
			return u, e.version, err == nil
		}
	}
	return flows.UUID{}, 0, false
}

// equalFold compares without regard to the case of ASCII letters; lower is in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
