package windows

import (
	"time"

	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// familiarDays is on how many earlier days a client must have done something to a server for it to be a habit, and
// forgetAfter how long a habit outlives its last day.
const (
	familiarDays = 3
	forgetAfter  = 45 * 24 * time.Hour
)

// Discount is what a habit's weight is multiplied with: chosen by us so that an administrator's daily work stays below
// what is published, while a rare and heavy operation does not vanish.
const Discount = 0.2

// Habits remembers on how many days each client did each thing to each server, by a hash of the three: 64 bits, so that
// of a million habits two share a cell with probability 3e-8. The least used go first, counted.
type Habits struct {
	table *lru.Table[uint64, habit]
}

// habit counts the days of one doing, in UTC days of packet time.
type habit struct {
	first, last int32
	days        uint16 // distinct, the last included
}

// NewHabits returns a memory of at most max habits, about 120 bytes each.
func NewHabits(max int) *Habits { return &Habits{lru.New[uint64, habit](max, nil)} }

// Note enters that client does what to server now, and returns on how many days before today it did.
func (h *Habits) Note(now packet.Time, c *flows.Conn, what uint64) (days int) {
	return h.Enter(now, sketch.Join(sketch.Join(sketch.HashAddr(c.Orig), sketch.HashAddr(c.Resp)), sketch.Join(uint64(c.Segment), what)))
}

// Look returns on how many days before today what a key stands for was entered, without entering it now.
func (h *Habits) Look(now packet.Time, key uint64) (days int) {
	v := h.table.Get(key)
	today := int32(now / packet.Time(24*time.Hour))
	if v == nil || time.Duration(today-v.last)*24*time.Hour > forgetAfter {
		return 0
	}
	if v.last >= today {
		return int(v.days) - 1
	}
	return int(v.days)
}

// Enter is Note for a key of the caller's own.
func (h *Habits) Enter(now packet.Time, key uint64) (days int) {
	today := int32(now / packet.Time(24*time.Hour))
	v, isNew := h.table.Use(key)
	if isNew || time.Duration(today-v.last)*24*time.Hour > forgetAfter {
		*v = habit{first: today, last: today, days: 1}
		return 0
	}
	if today > v.last {
		v.last = today
		v.days++
	}
	return int(v.days) - 1
}

// Familiar says that so many earlier days make a habit.
func Familiar(days int) bool { return days >= familiarDays }

// Evicted returns how many habits the bound pushed out.
func (h *Habits) Evicted() uint64 { return h.table.Evicted() }
