package ring

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"neuromast/sensor/bpf"
	"neuromast/sensor/capture"
	"neuromast/sensor/packet"
)

const (
	blockBytes = 1 << 20
	frameBytes = 2048 // must divide a block; frames may be larger
	headroom   = 4    // for the VLAN tag that is put back
	pollTime   = 100 * time.Millisecond
	countEvery = time.Second
	drainTime  = time.Second
	stepBack   = packet.Time(time.Second) // a clock that goes back farther is made good
)

// Ring is one packet socket with its ring. It is a capture.Source for one goroutine; Stats and Stop may be called by
// others.
type Ring struct {
	cfg   Config
	iface *net.Interface
	first bool // of its interface: it counts the network card's drops
	fd    int
	mem   []byte
	n     int // blocks
	uses  []atomic.Int32
	input capture.Input
	index uint32 // of the input
	link  packet.LinkType

	block   int    // the one being read
	left    uint32 // frames of it not read yet
	next    int    // offset of the next in mem
	held    bool   // block counts this ring as a user
	shift   packet.Time
	last    packet.Time
	counted time.Time
	nic     uint64 // the card's drops at the start

	stop  atomic.Int64 // ns; when Stop was called, else 0
	mu    sync.Mutex
	stats Stats
}

// Filter is a classic BPF program as the kernel takes it.
type Filter []unix.SockFilter

// NewFilter converts a program.
func NewFilter(p bpf.Program) Filter {
	f := make(Filter, len(p))
	for i, in := range p {
		f[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return f
}

// Open opens the rings of an interface: cfg.Readers of them. They are inputs from number input on.
func Open(cfg Config, name string, filter Filter, input uint32) (rings []*Ring, err error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: there is none of that name; there are %s", name, names())
	}
	defer func() {
		if err != nil {
			for _, r := range rings {
				err = errors.Join(err, r.Close())
			}
			rings = nil
		}
	}()
	for i := range cfg.Readers {
		r := &Ring{cfg: cfg, iface: iface, first: i == 0, fd: -1, n: cfg.RingMiB << 20 / blockBytes}
		r.input, r.index = capture.Input{Name: name, Size: -1}, input+uint32(i)
		if cfg.Readers > 1 {
			r.input.Name += "#" + strconv.Itoa(i)
		}
		r.stats.Interface, r.stats.Ring = name, i
		rings = append(rings, r)
		if err := r.open(filter); err != nil {
			return rings, fmt.Errorf("interface %s: %w", name, err)
		}
		if cfg.Readers > 1 {
			group := (os.Getpid() ^ iface.Index<<8) & 0xffff
			const hash = unix.PACKET_FANOUT_HASH // of addresses and ports, the same for both directions
			if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, group|hash<<16); err != nil {
				return rings, fmt.Errorf("interface %s: sharing it between %d readers: %w", name, cfg.Readers, err)
			}
		}
	}
	return rings, nil
}

// linkType says how an interface's frames begin, by its ARPHRD_ type.
func linkType(name string) (packet.LinkType, error) {
	text, err := os.ReadFile("/sys/class/net/" + name + "/type")
	if err != nil {
		return packet.LinkEthernet, nil // no sysfs: nearly all are
	}
	switch kind := strings.TrimSpace(string(text)); kind {
	case "1", "772": // Ethernet, loopback
		return packet.LinkEthernet, nil
	case "65534", "768", "769", "776", "778": // tun, and tunnels of IP
		return packet.LinkRaw, nil
	case "801":
		return packet.LinkWLAN, nil
	case "803":
		return packet.LinkWLANRadio, nil
	default:
		return 0, fmt.Errorf("frames of its type (ARPHRD %s) are not read", kind)
	}
}

func names() string {
	all, err := net.Interfaces()
	if err != nil {
		return err.Error()
	}
	var list []string
	for _, i := range all {
		list = append(list, i.Name)
	}
	return strings.Join(list, ", ")
}

// open makes the socket. It is bound last, so that no frame comes before filter and ring are there.
func (r *Ring) open(filter Filter) (err error) {
	if r.link, err = linkType(r.iface.Name); err != nil {
		return err
	}
	if r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		if errors.Is(err, unix.EPERM) {
			return errors.New("capturing needs the right CAP_NET_RAW: run as root, or `setcap cap_net_raw+p` on the binary, or AmbientCapabilities=CAP_NET_RAW in the unit")
		}
		return fmt.Errorf("packet socket: %w", err)
	}
	if len(filter) > 0 {
		prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
			return fmt.Errorf("the kernel refuses the filter of %d instructions: %w", len(filter), err)
		}
	}
	for _, o := range []struct {
		option, value int
		what          string
	}{
		{unix.PACKET_VERSION, unix.TPACKET_V3, "TPACKET_V3"},
		{unix.PACKET_RESERVE, headroom, "headroom"},
	} {
		if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, o.option, o.value); err != nil {
			return fmt.Errorf("%s: %w", o.what, err)
		}
	}
	if r.iface.Flags&net.FlagLoopback != 0 { // every frame passes twice
		if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("leaving out outgoing frames: %w", err)
		}
	}
	req := unix.TpacketReq3{
		Block_size: blockBytes, Block_nr: uint32(r.n), Frame_size: frameBytes, Frame_nr: uint32(r.n * blockBytes / frameBytes),
		Retire_blk_tov: uint32(r.cfg.BlockTime.Milliseconds()),
	}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("a ring of %d MiB (capture.ring_mib): %w", r.cfg.RingMiB, err)
	}
	if r.mem, err = unix.Mmap(r.fd, 0, r.n*blockBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return fmt.Errorf("mapping a ring of %d MiB (capture.ring_mib): %w", r.cfg.RingMiB, err)
	}
	r.uses = make([]atomic.Int32, r.n)
	if r.cfg.Promiscuous {
		m := unix.PacketMreq{Ifindex: int32(r.iface.Index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("promiscuous mode: %w", err)
		}
	}
	r.nic = r.nicDrops()
	r.counted = time.Now()
	all := uint16(unix.ETH_P_ALL)
	return unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: all<<8 | all>>8, Ifindex: r.iface.Index})
}

// ReadBatch hands on frames of one block. Where none come it says the clock, so that packet time goes on; after Stop it
// says io.EOF once the ring is empty.
func (r *Ring) ReadBatch(b *capture.Batch) error {
	b.Frames, b.Clock, b.Down, b.Drops = b.Frames[:0], 0, false, 0
	if cap(b.Frames) < capture.BatchFrames {
		b.Frames = make([]packet.Frame, 0, capture.BatchFrames)
	}
	if now := time.Now(); now.Sub(r.counted) >= countEvery {
		b.Drops = r.count()
		r.counted = now
	}
	if r.left == 0 && !r.begin() {
		down, err := r.wait()
		if err != nil {
			return err
		}
		if !r.begin() {
			b.Down, b.Fill = down, 0
			if r.stop.Load() != 0 {
				return r.end(b)
			}
			b.Clock = packet.Time(time.Now().Add(-2*r.cfg.BlockTime).UnixNano()) + r.shift
			return nil
		}
	}
	if at := r.stop.Load(); at != 0 && time.Since(time.Unix(0, at)) > drainTime {
		return r.end(b)
	}
	r.take(b)
	return nil
}

// end is the end of the input: the last drops are told with it.
func (r *Ring) end(b *capture.Batch) error {
	b.Drops += r.count()
	return io.EOF
}

func (r *Ring) at(block int) *unix.TpacketBlockDesc {
	return (*unix.TpacketBlockDesc)(unsafe.Pointer(&r.mem[block*blockBytes]))
}

// status is the word by which kernel and reader hand a block to each other.
func (r *Ring) status(block int) *uint32 {
	d := r.at(block)
	return (*uint32)(unsafe.Pointer(&d.Hdr[0]))
}

// begin enters the next block if the kernel has handed it over.
func (r *Ring) begin() bool {
	if r.held { // done with the block before
		r.held = false
		r.release(r.block)
		r.block = (r.block + 1) % r.n
	}
	if atomic.LoadUint32(r.status(r.block))&unix.TP_STATUS_USER == 0 {
		return false
	}
	h := (*unix.TpacketHdrV1)(unsafe.Pointer(&r.at(r.block).Hdr[0]))
	r.uses[r.block].Store(1)
	r.held = true
	r.left = h.Num_pkts
	r.next = r.block*blockBytes + int(h.Offset_to_first_pkt)
	if r.left == 0 {
		return r.begin()
	}
	return true
}

// release gives up one use of a block; the last gives it back to the kernel.
func (r *Ring) release(block int) {
	if r.uses[block].Add(-1) == 0 {
		atomic.StoreUint32(r.status(block), unix.TP_STATUS_KERNEL)
	}
}

// take enters frames of the block into b.
func (r *Ring) take(b *capture.Batch) {
	var bytes uint64
	for r.left > 0 && len(b.Frames) < capture.BatchFrames {
		h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.mem[r.next]))
		at := r.rebase(packet.Time(int64(h.Sec)*1e9 + int64(h.Nsec)))
		start := r.next + int(h.Mac)
		data, wire := r.mem[start:start+int(h.Snaplen)], h.Len
		if h.Status&unix.TP_STATUS_VLAN_VALID != 0 && h.Snaplen >= 12 {
			tpid := uint16(unix.ETH_P_8021Q)
			if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
				tpid = h.Hv1.Vlan_tpid
			}
			data, wire = r.tag(start, int(h.Snaplen), tpid, uint16(h.Hv1.Vlan_tci)), wire+4
		}
		r.input.Frames++
		bytes += uint64(len(data))
		b.Frames = append(b.Frames, packet.Frame{
			Data: data[:len(data):len(data)], At: at, Number: r.input.Frames, WireLen: wire, Input: r.index, Link: r.link,
		})
		r.left--
		r.next += int(h.Next_offset)
	}
	block := r.block
	r.uses[block].Add(1)
	b.SetRelease(func() { r.release(block) })
	b.Clock = 0
	b.Fill = r.fill()
	r.input.Bytes += bytes
	r.mu.Lock()
	r.stats.Frames, r.stats.Bytes, r.stats.Fill = r.input.Frames, r.input.Bytes, b.Fill
	r.stats.Down, r.stats.Gone = false, false
	r.mu.Unlock()
}

// rebase gives a time of the kernel's clock as packet time: where the clock was set back, packet time goes on.
func (r *Ring) rebase(at packet.Time) packet.Time {
	if at += r.shift; at < r.last-stepBack {
		r.shift += r.last - at
		at = r.last
		r.mu.Lock()
		r.stats.Rebased++
		r.mu.Unlock()
	}
	r.last = max(r.last, at)
	return at
}

// tag puts a VLAN tag back where it stood, behind the addresses, which move into the headroom.
func (r *Ring) tag(start, n int, tpid, tci uint16) []byte {
	data := r.mem[start-4 : start+n]
	copy(data, data[4:16])
	data[12], data[13], data[14], data[15] = byte(tpid>>8), byte(tpid), byte(tci>>8), byte(tci)
	return data
}

// fill is the share of blocks that wait to be read.
func (r *Ring) fill() float64 {
	n := 0
	for n < r.n-1 && atomic.LoadUint32(r.status((r.block+1+n)%r.n))&unix.TP_STATUS_USER != 0 {
		n++
	}
	return float64(n) / float64(r.n)
}

// wait sleeps until frames come or a little time has passed, and says whether the interface is down.
func (r *Ring) wait() (down bool, err error) {
	fds := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN | unix.POLLERR}}
	_, err = unix.Poll(fds, int(pollTime.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("waiting for %s: %w", r.iface.Name, err)
	}
	if fds[0].Revents&unix.POLLERR != 0 {
		if code, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil {
			return false, fmt.Errorf("%s: %w", r.iface.Name, err)
		} else if e := unix.Errno(code); e != 0 && e != unix.ENETDOWN {
			return false, fmt.Errorf("%s: %w", r.iface.Name, e)
		}
	}
	flags, gone := linkFlags(r.fd, r.iface.Name)
	down = gone || flags&unix.IFF_UP == 0 || flags&unix.IFF_RUNNING == 0 // RUNNING: there is a carrier, or none is known
	if down {
		time.Sleep(pollTime / 2) // poll returns at once while the error stands
	}
	r.mu.Lock()
	r.stats.Down, r.stats.Gone, r.stats.Fill = down, gone, 0
	r.mu.Unlock()
	return down, nil
}

func linkFlags(fd int, name string) (flags uint16, gone bool) {
	req, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req)
	}
	if err != nil {
		return 0, errors.Is(err, unix.ENODEV)
	}
	return req.Uint16(), false
}

// count reads the drop counters and returns what was dropped since it was called last.
func (r *Ring) count() (dropped uint64) {
	st, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS) // reading sets it to zero
	if err == nil {
		dropped = uint64(st.Drops)
	}
	var nic uint64
	if r.first {
		if all := r.nicDrops(); all >= r.nic {
			nic, r.nic = all-r.nic, all
		} else {
			r.nic = all // the counters were set to zero
		}
	}
	r.input.Drops += dropped + nic
	r.mu.Lock()
	r.stats.Drops += dropped
	r.stats.NICDrops += nic
	r.mu.Unlock()
	return dropped + nic
}

// nicDrops adds up what the driver says it dropped or missed on the way in.
func (r *Ring) nicDrops() (n uint64) {
	for _, name := range []string{"rx_missed_errors", "rx_fifo_errors", "rx_over_errors"} {
		text, err := os.ReadFile("/sys/class/net/" + r.iface.Name + "/statistics/" + name)
		if err == nil {
			if v, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
				n += v
			}
		}
	}
	return n
}

// Stop makes ReadBatch say io.EOF when the ring is empty, or a second later on a wire that is never still.
func (r *Ring) Stop() { r.stop.Store(time.Now().UnixNano()) }

// Stats returns the counters.
func (r *Ring) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Inputs describes the ring.
func (r *Ring) Inputs() []capture.Input { return []capture.Input{r.input} }

// Progress says nothing of a live source.
func (r *Ring) Progress() (read, total int64) { return 0, -1 }

// Close closes socket and ring. Batches must have been released.
func (r *Ring) Close() error {
	var errs []error
	if r.mem != nil {
		errs = append(errs, unix.Munmap(r.mem))
		r.mem = nil
	}
	if r.fd >= 0 {
		errs = append(errs, unix.Close(r.fd))
		r.fd = -1
	}
	runtime.KeepAlive(r)
	return errors.Join(errs...)
}
