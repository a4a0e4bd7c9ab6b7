package scan

import (
	"slices"
	"time"

	"neuromast/detectors/stat"
	"neuromast/flows/hostgraph"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// A scanner of the house does the same from day to day: after this many days with a finding whose ports are alike it is known.
const (
	habitDays   = 3
	habitLike   = 0.8 // Jaccard
	maxLogins   = 3   // hosts that let it in on one day by accounts that are new to it: who does is no mere scanner
	habitWeight = 0.7 // nats of what a known scanner does: below a notice
	habitPast   = 35  // days without a finding after which it is a stranger again
)

// habit is what a host scans, day by day.
type habit struct {
	ports, nets stat.Least // of the latest day before; of all days of the habit, since networks take turns
	users       stat.Least // accounts by which hosts let it in, of all days
	todayPorts  stat.Least
	todayNets   stat.Least
	todayUsers  stat.Least
	days        int
	day         int64             // of today's sets
	last        int64             // day of the latest finding
	logins      [maxLogins]uint64 // hosts that let it in today by an account that is not of users
	numLogins   uint8
	isPositive  bool // something was found today
}

const aDay = int64(24 * time.Hour)

// turn closes a day when another comes: it adds to the habit, or begins one.
func (h *habit) turn(now packet.Time) {
	day := int64(now) / aDay
	if day == h.day {
		return
	}
	if h.isPositive {
		if h.numLogins >= maxLogins || h.ports.Jaccard(&h.todayPorts) < habitLike || h.day-h.last > habitPast {
			h.days = 0
			h.nets.Reset()
			h.users.Reset()
		}
		h.days++
		h.last = h.day
		h.ports, h.todayPorts = h.todayPorts, h.ports
		h.nets.Join(&h.todayNets)
		h.users.Join(&h.todayUsers)
	}
	h.todayPorts.Reset()
	h.todayNets.Reset()
	h.todayUsers.Reset()
	h.day, h.isPositive, h.numLogins = day, false, 0
}

// note enters what is tried today.
func (h *habit) note(now packet.Time, s service, target packet.Addr) {
	h.turn(now)
	h.todayPorts.Add(sketch.Mix(uint64(s.proto)<<16 | uint64(s.port) + 1))
	h.todayNets.Add(sketch.HashAddr(network(target)))
}

// login notes a host that let the scanner in today, and by which account.
func (h *habit) login(now packet.Time, server, user uint64) {
	h.turn(now)
	h.todayUsers.Add(user)
	if h.numLogins < maxLogins && !h.users.Has(user) && !slices.Contains(h.logins[:h.numLogins], server) {
		h.logins[h.numLogins] = server
		h.numLogins++
	}
}

// known says that what the host does today is its habit. One that logs in must be taken for a scanner by the host graph too:
// it never ran anything anywhere.
func (h *habit) known(role hostgraph.Role) bool {
	return h.days >= habitDays && h.day-h.last <= habitPast && h.numLogins < maxLogins &&
		(role == hostgraph.Scanner || h.users.Len() == 0) &&
		h.todayPorts.Within(&h.ports) >= habitLike && h.todayNets.Within(&h.nets) >= habitLike
}

// network cuts an address to /24 or /64.
func network(a packet.Addr) packet.Addr {
	if a.Is4() {
		a[15] = 0
		return a
	}
	clear(a[8:])
	return a
}
