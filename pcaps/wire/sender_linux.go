package wire

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sender puts frames on an interface.
type Sender struct {
	fd   int
	iov  []unix.Iovec
	msgs []mmsghdr
}

// mmsghdr is the kernel's struct mmsghdr (sendmmsg(2)).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// burst is how many frames one system call takes.
const burst = 64

// NewSender opens a sender; the interface must be in the namespace of the calling thread.
func NewSender(name string) (*Sender, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20),
		unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.Index}),
	)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &Sender{fd: fd, iov: make([]unix.Iovec, burst), msgs: make([]mmsghdr, burst)}, nil
}

// Send puts all frames on the wire.
func (s *Sender) Send(frames [][]byte) error {
	for len(frames) > 0 {
		n := min(len(frames), burst)
		for i, f := range frames[:n] {
			s.iov[i].Base = &f[0]
			s.iov[i].SetLen(len(f))
			s.msgs[i].hdr.Iov = &s.iov[i]
			s.msgs[i].hdr.SetIovlen(1)
		}
		sent, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.msgs[0])), uintptr(n), 0, 0, 0)
		runtime.KeepAlive(frames)
		switch {
		case e == unix.ENOBUFS || e == unix.EAGAIN || e == unix.EINTR:
			continue
		case e != 0:
			return fmt.Errorf("sendmmsg: %w", e)
		}
		frames = frames[sent:]
	}
	return nil
}

// Close closes the sender.
func (s *Sender) Close() error { return unix.Close(s.fd) }
