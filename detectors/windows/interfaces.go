package windows

import "neuromast/flows"

// The RPC interfaces that the detectors know, from the IDL of the specification named beside each.
var (
	Svcctl         = must("367abb81-9844-35f1-ad32-98f038001003") // MS-SCMR
	AtSvc          = must("1ff70682-0a51-30e8-076d-740be8cee98b") // MS-TSCH
	SASec          = must("378e52b0-c0a9-11cf-822d-00aa0051e40f") // MS-TSCH
	TaskScheduler  = must("86d35949-83c9-4044-b424-db363231fd0c") // MS-TSCH
	Winreg         = must("338cd001-2244-31f1-aaaa-900038001003") // MS-RRP
	SAMR           = must("12345778-1234-abcd-ef00-0123456789ac") // MS-SAMR
	LSARPC         = must("12345778-1234-abcd-ef00-0123456789ab") // MS-LSAD, MS-LSAT
	DRSUAPI        = must("e3514235-4b06-11d1-ab04-00c04fc2dcd2") // MS-DRSR
	Netlogon       = must("12345678-1234-abcd-ef00-01234567cffb") // MS-NRPC
	EFSRPC         = must("df1941c5-fe89-4e79-bf10-463657acf44d") // MS-EFSR, pipe efsrpc
	EFSLSA         = must("c681d488-d850-11d0-8c52-00c04fd90f7e") // MS-EFSR, pipe lsarpc
	Spoolss        = must("12345678-1234-abcd-ef00-0123456789ab") // MS-RPRN
	RemoteWinspool = must("76f03f96-cdfd-44fc-a22c-64950a001209") // MS-PAR
	NetDFS         = must("4fc742e0-4a10-11cf-8273-00aa004ae673") // MS-DFSNM
	FSRVP          = must("a8e0653c-2744-4389-a61d-7373df8b2292") // MS-FSRVP
	Srvsvc         = must("4b324fc8-1670-01d3-1278-5a47bf6ee188") // MS-SRVS
	Wkssvc         = must("6bffd098-a112-3610-9833-46c3f87e345a") // MS-WKST
	EndpointMapper = must("e1af8308-5d1f-11c9-91a4-08002b14a0fa") // C706 appendix O
	Activation     = must("4d9f4ab8-7d1c-11cf-861e-0020af6e7c57") // MS-DCOM, IActivation
	SCMActivator   = must("000001a0-0000-0000-c000-000000000046") // MS-DCOM, IRemoteSCMActivator
	Dispatch       = must("00020400-0000-0000-c000-000000000046") // MS-OAUT, IDispatch
	WbemLogin      = must("f309ad18-d86a-11d0-a075-00c04fb68820") // MS-WMI, IWbemLevel1Login
	WbemServices   = must("9556dc99-828c-11cf-a37e-00aa003240c7") // MS-WMI, IWbemServices
	Even6          = must("f6beaff7-1e19-4fbb-9f8f-b89e2018337c") // MS-EVEN6
	EventLog       = must("82273fdc-e32a-18c3-3f78-827929dc23ea") // MS-EVEN
	InitShutdown   = must("894de0c0-0d55-11d3-a322-00c04fa321a1") // MS-RSP
	WindowsShut    = must("d95afe70-a6d5-4259-822e-2c84da1ddb0d") // MS-RSP
	BackupKey      = must("3dde7c30-165d-11d1-ab8f-00805f14db40") // MS-BKRP
	CertPassage    = must("91ae6020-9e3c-11cf-8d7c-00aa00c091be") // MS-ICPR
	TermsrvLegacy  = must("5ca4a760-ebb1-11cf-8611-00a0245420ed") // MS-TSTS
	DsSetup        = must("3919286a-b10c-11d0-9ba8-00c04fd92ef5") // MS-DSSP
	MimiCom        = must("17fc11e9-c258-4b8d-8d07-2f4125156244") // of the tool mimikatz
)

func must(text string) flows.UUID {
	u, err := flows.ParseUUID(text)
	if err != nil {
		panic(text) // our own constants
	}
	return u
}

// Class ids of DCOM objects that run programs for whoever activates them from afar.
var classes = []struct {
	id   flows.UUID
	name string
}{
	{must("49b2791a-b1ae-4c90-9b8e-e860ba07f889"), "MMC20.Application"},
	{must("9ba05972-f6a8-11cf-a442-00a0c90a8f39"), "ShellWindows"},
	{must("c08afd90-f2a1-11d1-8455-00a0c91f3880"), "ShellBrowserWindow"},
	{must("00024500-0000-0000-c000-000000000046"), "Excel.Application"},
	{must("0006f03a-0000-0000-c000-000000000046"), "Outlook.Application"},
	{must("000209ff-0000-0000-c000-000000000046"), "Word.Application"},
}

// Outcomes of calls as NTSTATUS, Win32 or HRESULT, and as faults (MS-ERREF, MS-RPCE 2.2.2.9, C706 appendix N).
const (
	errorAccessDenied   = 0x00000005
	statusAccessDenied  = 0xc0000022
	hresultAccessDenied = 0x80070005
	faultOpRange        = 0x1c010002 // the server doesn't have this operation
	faultUnknownIf      = 0x1c010003 // nor this interface
)

// Denied says that the server refused the call for want of rights.
func Denied(r *flows.RPC) bool {
	if r.Outcome == flows.Failed {
		return r.Fault == errorAccessDenied || r.Fault == statusAccessDenied
	}
	return r.HasReturn && (r.Return == errorAccessDenied || r.Return == statusAccessDenied || r.Return == hresultAccessDenied)
}

// NotThere says that the server doesn't know the operation or the interface, so that nothing happened.
func NotThere(r *flows.RPC) bool {
	return r.Outcome == flows.Failed && (r.Fault == faultOpRange || r.Fault == faultUnknownIf)
}
