package windows

import (
	"slices"
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/flows/hostgraph"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// TradeDiscount is what the weight of a doing that is a client's trade is multiplied with where it reaches a server for the
// first time: chosen by us so that the creation of a service (4 nats) or a PowerShell session (3) is a notice there,
// while a command interpreter run as a service and its output read stay an alarm.
const TradeDiscount = 0.4

// tradeServers is how many servers beside the one at hand a client must have done a thing to for it to be its trade: one
// server of every day is a habit, not a trade.
const tradeServers = 2

// Trades remembers on how many days each client did each thing to any server: what an administrator's host or a deployment
// server does to one server after another, so that no pair of them ever becomes a habit. A doing includes the account
// where the caller knows it, so that a thief of another account gains nothing by the host. The least used go first, counted.
type Trades struct{ table *lru.Table[uint64, trade] }

// trade counts the days of one doing, in UTC days of packet time, and the first servers that it was done to.
type trade struct {
	last    int32
	days    uint16 // distinct, the last included
	n       uint8
	servers [tradeServers + 1]uint64
}

// NewTrades returns a memory of at most max doings, about 130 bytes each.
func NewTrades(max int) *Trades { return &Trades{lru.New[uint64, trade](max, nil)} }

// Note enters that a client does what to a server now. It returns on how many days before today the client did so, or nought
// where it did to fewer than two other servers: a number of days that is Familiar makes it the client's trade.
func (t *Trades) Note(now packet.Time, c *flows.Conn, what uint64) (days int) {
	v, isNew := t.table.Use(sketch.Join(sketch.HashAddr(c.Orig), sketch.Join(uint64(c.Segment), what)))
	today := int32(now / packet.Time(24*time.Hour))
	if isNew || time.Duration(today-v.last)*24*time.Hour > forgetAfter {
		*v = trade{last: today, days: 1}
	}
	if today > v.last {
		v.last = today
		v.days++
	}
	server := sketch.HashAddr(c.Resp)
	others := int(v.n)
	if slices.Contains(v.servers[:v.n], server) {
		others--
	} else if int(v.n) < len(v.servers) {
		v.servers[v.n] = server
		v.n++
	}
	if others < tradeServers {
		return 0
	}
	return int(v.days) - 1
}

// Evicted returns how many doings the bound pushed out.
func (t *Trades) Evicted() uint64 { return t.table.Evicted() }

// account is the doing of Account: anything at all.
const account = 0x6163636f756e74

// Account enters that a client acts on a server as a user, whatever it does, and says whether this is usual: on three earlier
// days, on two other servers. A role discounts the acts of such an account only.
func (t *Trades) Account(now packet.Time, c *flows.Conn, user []byte) bool {
	return Familiar(t.Note(now, c, sketch.Join(account, sketch.Hash(user))))
}

// Administers says that a host's role, learnt or configured, is to administer others or to bring them software.
func Administers(env detectors.Env, client detectors.HostKey) bool {
	r := env.Graph().Role(env.Host(client).Number)
	return r == hostgraph.Administrator || r == hostgraph.Deployment
}
