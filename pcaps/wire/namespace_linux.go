// Package wire is a wire for tests: a network namespace of its own with pairs of virtual interfaces, and a sender that
// puts frames on them as fast as the machine can. Nothing leaves the namespace.
package wire

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespace moves the test's goroutine, on a thread of its own, into a new network namespace. Without the right to make
// one the test is skipped. The namespace ends with the test.
func Namespace(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: a network namespace can't be made")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("a network namespace can't be made: %v", err)
	}
	IP(t, "link set dev lo up")
}

// Veth makes a pair of interfaces, up, without addresses so that the kernel itself says little.
func Veth(t testing.TB, a, b string) {
	t.Helper()
	IP(t, fmt.Sprintf("link add dev %s type veth peer name %s", a, b))
	for _, name := range []string{a, b} {
		IP(t, "link set dev "+name+" addrgenmode none")
		IP(t, "link set dev "+name+" mtu 9000 up")
	}
}

// IP runs iproute2's ip in the test's namespace.
func IP(t testing.TB, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}
