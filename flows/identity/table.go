package identity

import (
	"errors"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"neuromast/flows"
	"neuromast/flows/lru"
	"neuromast/sensor/packet"
)

// Config bounds the table.
type Config struct {
	MaxHosts int           `yaml:"max"`  // hosts that are remembered; 600 bytes each at most
	Hold     time.Duration `yaml:"hold"` // silence after which an address or a machine's name may have moved
}

// Default returns what holds where nothing is configured. An hour is longer than machines that are up keep silent (they
// renew leases and tickets, and look for their servers, several times in it), and shorter than a night.
func Default() Config { return Config{MaxHosts: 1 << 16, Hold: time.Hour} }

// Validate names every wrong value.
func (c Config) Validate() error {
	var errs []error
	if c.MaxHosts < 16 || c.MaxHosts > 1<<24 {
		errs = append(errs, errors.New("max: must lie between 16 and 16777216"))
	}
	if c.Hold < time.Minute || c.Hold > 24*time.Hour {
		errs = append(errs, errors.New("hold: must lie between 1m and 24h"))
	}
	return errors.Join(errs...)
}

// Bounds of one host and of what stands beside the hosts.
const (
	maxAddresses = 16      // of a host at a time
	maxKeys      = 8       // identifiers of a host
	maxPast      = 4       // intervals that an address keeps
	maxRequests  = 1 << 12 // DHCP requests that wait for their ACK
	maxMACs      = 1 << 16 // hardware addresses whose addresses are counted
	maxName      = 128     // bytes of a name
)

// routerAddresses is how many IPv4 addresses behind one hardware address make it a router's; a host may have a second
// address of its own, or three with containers.
const routerAddresses = 4

// touchEvery is how often a host that goes on sending counts as used.
const touchEvery = time.Minute

// Stats counts what the table did.
type Stats struct {
	Hosts     int    // known now
	Addresses int    // bound now
	Opened    uint64 // intervals
	Closed    uint64
	Aliases   uint64
	Contested uint64 // evidence that was not believed
	Evicted   uint64 // hosts that the bound pushed out
}

// Table knows the hosts. It is used by one goroutine and sees every item before those who ask about it.
//
// Cost: measured 580 bytes a host, 38 MB when 65,536 are known, and 8 MB for as many hardware addresses; half a
// microsecond for a flow record.
type Table struct {
	cfg      Config
	internal func(packet.Addr) bool
	said     func(*Change)
	texts    bool

	hosts    *lru.Table[flows.HostNumber, *Host]
	at       map[flows.HostKey]*binding
	index    map[string]*Host // client identifiers, hardware addresses, machine names
	past     *lru.Table[flows.HostKey, []Interval]
	requests *lru.Table[request, asked]
	macs     *lru.Table[station, stood]
	numbers  flows.HostNumber
	now      packet.Time
	stats    Stats
	change   Change // lent to said
	text     []byte
}

// request names a DHCP exchange.
type request struct {
	segment packet.Segment
	xid     uint32
	mac     packet.MAC
}

// asked is what a request said that its ACK may leave out.
type asked struct {
	client, name string
	same         bool // the client asks for the address that it has, or had when it went down
}

// station is a hardware address on a link.
type station struct {
	segment packet.Segment
	mac     packet.MAC
}

// stood is what addresses a hardware address sent frames for.
type stood struct {
	addrs [routerAddresses]packet.Addr
	n     uint8
}

// New returns an empty table. Said, which may be nil, is told every change, in order.
func New(cfg Config, internal func(packet.Addr) bool, said func(*Change)) *Table {
	t := &Table{
		cfg: cfg, internal: internal, said: said,
		at: map[flows.HostKey]*binding{}, index: map[string]*Host{},
		past:     lru.New[flows.HostKey, []Interval](cfg.MaxHosts, nil),
		requests: lru.New[request, asked](maxRequests, nil),
		macs:     lru.New[station, stood](maxMACs, nil),
	}
	t.hosts = lru.New(cfg.MaxHosts, func(_ flows.HostNumber, h **Host) { t.forget(*h) })
	return t
}

// NameRecords makes See put the hosts' names into flow records, for those who write them.
func (t *Table) NameRecords() { t.texts = true }

// Stats returns the counters.
func (t *Table) Stats() Stats {
	s := t.stats
	s.Hosts, s.Addresses, s.Evicted = t.hosts.Len(), len(t.at), t.hosts.Evicted()
	return s
}

// Now returns the host that has an address now: never nil, number 0 where none is known.
func (t *Table) Now(k flows.HostKey) *Host {
	if b := t.at[k]; b != nil {
		return b.host
	}
	return &Host{ID: AddressID(k)}
}

// At returns the host that had an address at a time, as Now does; for a time before anything is known, the first host.
func (t *Table) At(k flows.HostKey, at packet.Time) *Host {
	b := t.at[k]
	if b == nil || at < b.since {
		if list := t.past.Get(k); list != nil {
			for _, iv := range slices.Backward(*list) {
				if at < iv.From && iv.From != (*list)[0].From {
					continue
				}
				if at >= iv.Until {
					break // between two intervals
				}
				if h := t.hosts.Get(iv.Number); h != nil {
					return *h
				}
				return &Host{Number: iv.Number, ID: iv.ID}
			}
		}
	}
	return t.Now(k)
}

// Host returns a host by its number, nil where it is not known any more.
func (t *Table) Host(n flows.HostNumber) *Host {
	if h := t.hosts.Get(n); h != nil {
		return *h
	}
	return nil
}

// Addresses appends the addresses that a host has now.
func (t *Table) Addresses(dst []flows.HostKey, n flows.HostNumber) []flows.HostKey {
	if h := t.Host(n); h != nil {
		for _, b := range h.at {
			dst = append(dst, b.key)
		}
	}
	return dst
}

// Intervals returns the intervals of an address that are remembered, the open one last.
func (t *Table) Intervals(k flows.HostKey) []Interval {
	var out []Interval
	if list := t.past.Get(k); list != nil {
		out = append(out, *list...)
	}
	if b := t.at[k]; b != nil {
		out = append(out, Interval{From: b.since, Number: b.host.Number, ID: b.host.ID})
	}
	return out
}

// AddressID is the id of a host of which nothing but the address is known.
func AddressID(k flows.HostKey) string {
	if name := k.Segment.String(); name != "" {
		return name + "/" + k.Addr.String()
	}
	return k.Addr.String()
}

// bound returns the binding of an address of ours, a new host's where there is none; nil for others.
func (t *Table) bound(k flows.HostKey) *binding {
	if b := t.at[k]; b != nil {
		t.touch(b.host)
		return b
	}
	if !t.ours(k.Addr) {
		return nil
	}
	return t.open(k, t.newHost(AddressID(k), ByAddress))
}

// ours says that an address is one machine's, of this site.
func (t *Table) ours(a packet.Addr) bool {
	if !t.internal(a) {
		return false
	}
	if a.Is4() {
		return a[12] > 0 && a[12] != 127 && a[12] < 224 // this host, loopback, multicast, broadcast
	}
	return a[0] != 0xff && a != packet.Addr{} && a != packet.Addr{15: 1}
}

func (t *Table) newHost(id string, by Evidence) *Host {
	t.numbers++
	h := &Host{Number: t.numbers, ID: id, By: by, Since: t.now, used: t.now}
	p, _ := t.hosts.Use(h.Number)
	*p = h
	return h
}

func (t *Table) touch(h *Host) {
	if t.now.Sub(h.used) >= touchEvery {
		h.used = t.now
		t.hosts.Use(h.Number)
	}
}

// open binds an address to a host from now on.
func (t *Table) open(k flows.HostKey, h *Host) *binding {
	if len(h.at) >= maxAddresses { // the one that was silent longest makes room
		t.close(slices.MinFunc(h.at, func(a, b *binding) int { return int(min(max(a.last-b.last, -1), 1)) }))
	}
	b := &binding{key: k, host: h, since: t.now}
	t.at[k] = b
	h.at = append(h.at, b)
	t.stats.Opened++
	t.say(Change{Kind: Opened, Key: k, Host: h})
	return b
}

// close ends a binding. A host that is nothing but that address ends with it.
func (t *Table) close(b *binding) {
	h := b.host
	iv := Interval{From: b.since, Until: t.now, Number: h.Number, ID: h.ID}
	list, _ := t.past.Use(b.key)
	if len(*list) == maxPast {
		*list = slices.Delete(*list, 0, 1)
	}
	*list = append(*list, iv)
	t.stats.Closed++
	t.say(Change{Kind: Closed, Key: b.key, Host: h, Interval: iv})
	t.drop(b)
	if len(h.at) == 0 && len(h.keys) == 0 {
		t.hosts.Delete(h.Number)
	}
}

// drop takes a binding out without a word.
func (t *Table) drop(b *binding) {
	delete(t.at, b.key)
	b.host.at = slices.DeleteFunc(b.host.at, func(o *binding) bool { return o == b })
}

// forget takes out what belonged to a host that the bound pushed out.
func (t *Table) forget(h *Host) {
	for _, k := range h.keys {
		delete(t.index, k)
	}
	for _, b := range slices.Clone(h.at) {
		iv := Interval{From: b.since, Until: t.now, Number: h.Number, ID: h.ID}
		t.stats.Closed++
		t.say(Change{Kind: Closed, Key: b.key, Host: h, Interval: iv})
		t.drop(b)
	}
}

func (t *Table) say(c Change) {
	if t.said == nil {
		return
	}
	t.change = c
	t.change.At = t.now
	t.said(&t.change)
}

// contest counts evidence that was not believed.
func (t *Table) contest(b *binding, id string) {
	t.stats.Contested++
	t.say(Change{Kind: Contested, Key: b.key, Host: b.host, Old: id})
}

// learn indexes a host under a key, which nobody has; the first key becomes its id.
func (t *Table) learn(b *binding, key, id string, by Evidence) {
	h := b.host
	if len(h.keys) >= maxKeys {
		return
	}
	h.keys = append(h.keys, key)
	t.index[key] = h
	if h.By == ByAddress {
		old := h.ID
		h.ID, h.By = id, by
		t.stats.Aliases++
		t.say(Change{Kind: Alias, Key: b.key, Host: h, Old: old})
	}
}

// join makes one host of two: b's host ends, what it has goes to h.
func (t *Table) join(b *binding, h *Host) {
	old := b.host
	for _, k := range old.keys {
		if len(h.keys) < maxKeys {
			h.keys = append(h.keys, k)
			t.index[k] = h
		} else {
			delete(t.index, k)
		}
	}
	for _, o := range old.at {
		o.host = h
		h.at = append(h.at, o)
	}
	if h.MAC == (packet.MAC{}) {
		h.MAC = old.MAC
	}
	if h.machine == "" {
		h.machine = old.machine
	}
	h.leased = h.leased || old.leased
	if old.Name != "" && old.NameBy > h.NameBy {
		h.Name, h.NameBy, h.nameAt = old.Name, old.NameBy, old.nameAt
	}
	h.Since = min(h.Since, old.Since)
	old.at, old.keys = nil, nil
	t.hosts.Delete(old.Number)
	t.touch(h)
	for len(h.at) > maxAddresses {
		t.close(slices.MinFunc(h.at, func(a, b *binding) int { return int(min(max(a.last-b.last, -1), 1)) }))
	}
	t.stats.Aliases++
	t.say(Change{Kind: Alias, Key: b.key, Host: h, Old: old.ID, OldNumber: old.Number})
}

// silent says that a host has sent nothing for Hold from any address but those that may well be b's own: of the other
// family and behind the same hardware address.
func (t *Table) silent(h *Host, b *binding) bool {
	for _, o := range h.at {
		if o == b || o.key.Addr.Is4() != b.key.Addr.Is4() && o.frame == b.frame && o.key.Segment == b.key.Segment && b.frame != (packet.MAC{}) {
			continue
		}
		if t.now.Sub(o.heard()) < t.cfg.Hold {
			return false
		}
	}
	return true
}

// heard is when a binding's host last showed itself there.
func (b *binding) heard() packet.Time { return max(b.last, b.hardware, b.machine) }

// name notes what a host is called: better evidence wins, equal evidence when the old name was not said for Hold.
func (t *Table) name(h *Host, name []byte, by Evidence) {
	if len(name) == 0 || len(name) > maxName || by < h.NameBy {
		return
	}
	t.text = lower(t.text[:0], name)
	if string(t.text) == h.Name {
		h.NameBy, h.nameAt = by, t.now
		return
	}
	if by == h.NameBy && h.Name != "" && t.now.Sub(h.nameAt) < t.cfg.Hold {
		return
	}
	for _, c := range t.text {
		if c <= ' ' || c == 0x7f {
			return // no machine is called so
		}
	}
	h.Name, h.NameBy, h.nameAt = string(t.text), by, t.now
}

// lower appends b in lower case (ASCII; other bytes stay).
func lower(dst, b []byte) []byte {
	for _, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// isRouter says that a hardware address stands before many addresses.
func (t *Table) isRouter(s packet.Segment, m packet.MAC) bool {
	st := t.macs.Get(station{s, m})
	return st != nil && int(st.n) >= routerAddresses
}

// frame counts the IPv4 addresses that a hardware address sends for.
func (t *Table) frame(k flows.HostKey, m packet.MAC) {
	if !k.Addr.Is4() {
		return
	}
	st, _ := t.macs.Use(station{k.Segment, m})
	if int(st.n) < routerAddresses && !slices.Contains(st.addrs[:st.n], k.Addr) {
		st.addrs[st.n] = k.Addr
		st.n++
	}
}

// rival notes a machine name that was contested, and says whether there are three by now.
func (b *binding) rival(key string) {
	h := xxhash.Sum64String(key) | 1
	for i, r := range b.rivals {
		if r == h {
			return
		}
		if r == 0 {
			b.rivals[i] = h
			b.host.Shared = b.host.Shared || i == len(b.rivals)-1
			return
		}
	}
}

// Number is Now(k).Number, without making anything up.
func (t *Table) Number(k flows.HostKey) flows.HostNumber {
	if b := t.at[k]; b != nil {
		return b.host.Number
	}
	return 0
}
