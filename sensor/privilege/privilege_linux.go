// Package privilege gives up what the sensor needed to open its sockets. There are two starts: as root, and as a user of
// its own to whom the system lent CAP_NET_RAW (capabilities(7)).
package privilege

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// User is who the sensor becomes.
type User struct {
	Name     string
	UID, GID int
}

// Lookup finds a user.
func Lookup(name string) (User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return User{}, fmt.Errorf("privileges.user: %w; make it with `useradd --system %s`", err, name)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return User{name, uid, gid}, errors.Join(err1, err2)
}

// Root says whether the process may still do everything.
func Root() bool { return os.Geteuid() == 0 }

// Own makes a directory and gives it, with what lies in it, to u: the sensor writes there after Drop.
func Own(dir string, u User) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, u.UID, u.GID)
	})
}

// Drop becomes u for good: groups, group and user of every thread. Nothing of root is left; it makes sure.
func Drop(u User) error {
	if u.UID == 0 {
		return errors.New("privileges.user: root would keep everything")
	}
	if err := syscall.Setgroups([]int{u.GID}); err != nil {
		return fmt.Errorf("giving up groups: %w", err)
	}
	if err := syscall.Setresgid(u.GID, u.GID, u.GID); err != nil {
		return fmt.Errorf("becoming group %d: %w", u.GID, err)
	}
	if err := syscall.Setresuid(u.UID, u.UID, u.UID); err != nil {
		return fmt.Errorf("becoming %s: %w", u.Name, err)
	}
	if syscall.Setuid(0) == nil || os.Geteuid() != u.UID {
		return errors.New("root came back after it was given up")
	}
	return noNewPrivileges()
}

// Raise makes the permitted capabilities effective on the calling thread, which must be locked: a binary with file
// capabilities, or a service that was lent some, may start with them at rest. Where that fails, opening sockets will say.
func Raise() {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if unix.Capget(&head, &sets[0]) != nil {
		return
	}
	sets[0].Effective, sets[1].Effective = sets[0].Permitted, sets[1].Permitted
	_ = unix.Capset(&head, &sets[0])
}

// Lower makes the capabilities of every thread ineffective; they stay permitted, for a socket that has to be opened
// again.
func Lower() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return fmt.Errorf("reading capabilities: %w", err)
	}
	sets[0].Effective, sets[1].Effective = 0, 0
	head.Pid = 0
	if err := everyThread(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&sets[0]))); err != nil {
		return fmt.Errorf("lowering capabilities: %w", err)
	}
	return noNewPrivileges()
}

// noNewPrivileges keeps programs that might be started from gaining anything.
func noNewPrivileges() error {
	if err := everyThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	return nil
}

// everyThread makes a system call on every thread. A binary linked with C can't: there it is made on this one, from which
// later ones are cloned. What we ship is not linked with C; the race detector's tests are.
func everyThread(call, a, b uintptr) error {
	_, _, e := syscall.AllThreadsSyscall6(call, a, b, 0, 0, 0, 0)
	if e == unix.ENOTSUP {
		_, _, e = syscall.Syscall6(call, a, b, 0, 0, 0, 0)
	}
	if e != 0 {
		return e
	}
	return nil
}

// Effective returns the effective capabilities as the kernel tells them of this thread, in hex.
func Effective() (string, error) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%08x%08x", sets[1].Effective, sets[0].Effective), nil
}

// CanCapture says whether packet sockets may be opened now.
func CanCapture() bool {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}
