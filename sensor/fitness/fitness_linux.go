package fitness

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"neuromast/sensor/privilege"
)

func freeBytes(dir string) (uint64, bool) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0, false
	}
	return st.Bavail * uint64(st.Bsize), true
}

// memoryLimit is the machine's memory, or that of the control group if it is smaller.
func memoryLimit() (uint64, bool) {
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) != nil {
		return 0, false
	}
	total := uint64(si.Totalram) * uint64(si.Unit)
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if text, err := os.ReadFile(path); err == nil {
			if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
				total = min(total, n)
			}
		}
	}
	return total, true
}

// Machine looks at kernel, clock and rights.
func Machine() (items []Item) {
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		release := string(u.Release[:bytes.IndexByte(u.Release[:], 0)])
		var major, minor int
		_, _ = fmt.Sscanf(release, "%d.%d", &major, &minor)
		if major < 4 || major == 4 && minor < 20 { // PACKET_IGNORE_OUTGOING
			items = append(items, item("kernel", Fail, "use Linux 4.20 or later", "%s is too old for live capture", release))
		} else {
			items = append(items, item("kernel", OK, "", "%s", release))
		}
	}
	if privilege.CanCapture() {
		items = append(items, item("rights", OK, "", "packet sockets may be opened"))
	} else {
		items = append(items, item("rights", Fail, "run as root, or `setcap cap_net_raw+p` on the binary, or AmbientCapabilities=CAP_NET_RAW in the unit", "packet sockets may not be opened"))
	}
	var tx unix.Timex
	if state, err := unix.Adjtimex(&tx); err == nil {
		if state == unix.TIME_ERROR || tx.Status&unix.STA_UNSYNC != 0 {
			items = append(items, item("clock", Warn, "run chrony or systemd-timesyncd", "the kernel says that the clock is not synchronised: times of findings may be wrong"))
		} else {
			items = append(items, item("clock", OK, "", "synchronised, with an error of at most %d ms", tx.Maxerror/1000))
		}
	}
	return items
}

// ethtool requests (linux/ethtool.h).
const (
	getGRO      = 0x2b
	getFlags    = 0x25
	getRing     = 0x10
	getChannels = 0x3c
	flagLRO     = 1 << 15
)

// Interface looks at one interface.
func Interface(name string, readers int) (items []Item) {
	add := func(what string, level Level, mend, format string, args ...any) {
		items = append(items, item("capture."+name+what, level, mend, format, args...))
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		add("", Fail, "name one that `ip link` lists in capture.interfaces", "%v", err)
		return items
	}
	if i.Flags&net.FlagUp == 0 {
		add("", Fail, "ip link set dev "+name+" up", "is down")
		return items
	}
	if i.Flags&net.FlagRunning == 0 {
		add("", Warn, "look at cable, port and mirror session", "is up but has no carrier")
	} else {
		add("", OK, "", "is up, MTU %d", i.MTU)
	}
	if i.MTU < 1500 {
		add(".mtu", Warn, "ip link set dev "+name+" mtu 9000", "%d: mirrored frames that are longer may be dropped by the card", i.MTU)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return items
	}
	defer unix.Close(fd)
	var value struct{ cmd, data uint32 }
	ask := func(cmd uint32) (uint32, bool) {
		value.cmd, value.data = cmd, 0
		return value.data, ethtool(fd, name, unsafe.Pointer(&value)) == nil
	}
	if _, ok := ask(getGRO); ok {
		if value.data != 0 {
			add(".gro", Warn, "ethtool -K "+name+" gro off", "on: frames may be glued to longer ones that were not on the wire")
		} else {
			add(".gro", OK, "", "off")
		}
	}
	if _, ok := ask(getFlags); ok && value.data&flagLRO != 0 {
		add(".lro", Warn, "ethtool -K "+name+" lro off", "on: segments are glued together, which loses their sizes and times")
	}
	var ring struct {
		cmd, rxMax, _, _, _, rx, _, _, _ uint32
	}
	ring.cmd = getRing
	if ethtool(fd, name, unsafe.Pointer(&ring)) == nil && ring.rxMax > 0 {
		if ring.rx < ring.rxMax {
			add(".ring", Warn, fmt.Sprintf("ethtool -G %s rx %d", name, ring.rxMax), "the card's receive ring has %d of %d places: bursts may be dropped", ring.rx, ring.rxMax)
		} else {
			add(".ring", OK, "", "the card's receive ring has all of its %d places", ring.rx)
		}
	}
	var ch struct {
		cmd, _, _, _, _, rx, _, _, combined uint32
	}
	ch.cmd = getChannels
	if ethtool(fd, name, unsafe.Pointer(&ch)) == nil && ch.rx+ch.combined > 1 {
		add(".queues", OK, "", "%d queues of the card; order and sharing don't depend on its hash: packets are put in order, and fanout hashes both directions alike", ch.rx+ch.combined)
	}
	if readers > 1 {
		add(".readers", OK, "", "%d readers share the interface by a hash that is the same for both directions", readers)
	}
	return items
}

// ethtool makes one request.
func ethtool(fd int, name string, data unsafe.Pointer) error {
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	req.data = data
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); e != 0 {
		return e
	}
	return nil
}
