package l2

import (
	"testing"
	"unsafe"

	"neuromast/detectors"
	"neuromast/flows"
)

// TestSize holds what the package comment says of memory at worst, entries of tables taken as 120 bytes more than key and value.
func TestSize(t *testing.T) {
	const entry = 120
	ref, conn := unsafe.Sizeof(flows.Ref{}), unsafe.Sizeof(flows.Conn{})
	key := unsafe.Sizeof(detectors.HostKey{})
	perHost := entry + unsafe.Sizeof(card{}) + unsafe.Sizeof(machine{}) + maxLies*(unsafe.Sizeof(lie{})+maxRefs*ref) + // machines
		entry + key + unsafe.Sizeof(address{}) + maxClaims*unsafe.Sizeof(claim{}) + // addresses
		entry + unsafe.Sizeof(pair{}) + 8 + // asked
		entry + key + unsafe.Sizeof(ways{}) + maxWays*unsafe.Sizeof(way{}) + // ways
		(entry+unsafe.Sizeof(asking{})+15+unsafe.Sizeof(question{}))/4 + // questions
		(entry+key+unsafe.Sizeof(responder{})+maxOwn*(16+15)+maxNames*(unsafe.Sizeof(answered{})+15)+
			maxVictims*(unsafe.Sizeof(victim{})+maxNames*16+maxRefs*ref+maxConns*conn))/16
	if total := float64(perHost) * float64(Default().MaxHosts) / 1e6; total > 100 || perHost > 6000 {
		t.Errorf("%d bytes for each of MaxHosts, %.0f MB in all", perHost, total)
	} else {
		t.Logf("%d bytes for each of MaxHosts, %.0f MB in all", perHost, total)
	}
}
