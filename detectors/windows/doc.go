// Package windows holds what the detectors of Windows' remote administration share: the names of its RPC interfaces, the
// strings that stand in their requests (NDR), who is a domain controller, what a client has done before, and the ATT&CK
// techniques that such calls serve. It counts and reads; thresholds and weights belong to the detectors.
package windows
