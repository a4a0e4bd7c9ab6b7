package enrich

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"neuromast/sensor/packet"
)

// Networks says which addresses belong to the site.
type Networks struct {
	Internal []string `yaml:"internal"` // CIDRs or addresses of this site; empty: RFC 1918, ULA and link-local
}

// Asset is a named host or group of hosts.
type Asset struct {
	Name      string   `yaml:"name"`      // as people call it; unique
	Addresses []string `yaml:"addresses"` // addresses or CIDRs; the longest match names a host
	Role      string   `yaml:"role"`      // in a word or two, such as domain controller, backup, scanner
	Critical  bool     `yaml:"critical"`  // losing it would be an emergency
}

// DefaultNetworks returns the ranges that hold where nothing is configured.
func DefaultNetworks() Networks {
	return Networks{Internal: []string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", // RFC 1918
		"169.254.0.0/16", "fe80::/10", // link-local: RFC 3927, RFC 4291 2.5.6
		"fc00::/7", // unique local: RFC 4193
	}}
}

// neverOutside lists addresses that mean this host or this link wherever they are seen, so they count as internal
// whatever the configuration says: an external destination 224.0.0.251 would be nonsense in every direction field.
var neverOutside = []string{
	"127.0.0.0/8", "::1", "169.254.0.0/16", "fe80::/10", // loopback, link-local
	"224.0.0.0/4", "ff00::/8", "255.255.255.255", // multicast, limited broadcast
	"0.0.0.0/8", "::", // no address yet: RFC 1122 3.2.1.3
}

// Validate names every wrong entry by its place in the configuration.
func Validate(n Networks, assets []Asset) error {
	_, err := NewSite(n, assets)
	return err
}

// Site answers what an address is. It may be replaced while others ask it.
type Site struct{ now atomic.Pointer[ranges] }

// Replace makes s answer as other does now.
func (s *Site) Replace(other *Site) { s.now.Store(other.now.Load()) }

// Internal says whether an address belongs to the site. It does not allocate.
func (s *Site) Internal(a packet.Addr) bool { return s.now.Load().internal(a) }

// Asset returns what the configuration calls an address: a single address before a prefix, a longer prefix before a
// shorter one.
func (s *Site) Asset(a packet.Addr) (Asset, bool) { return s.now.Load().asset(a) }

// ranges is a site as it was configured; it does not change.
type ranges struct {
	v4     []range4
	v6     []range6
	assets []Asset
	exact  map[packet.Addr]int32 // single addresses -> index of assets
	nets   []assetNet            // the rest, longest first
}

// range4 and range6 are inclusive; the slices are sorted, and their ranges touch nowhere.
type range4 struct{ first, last uint32 }

type range6 struct{ first, last wide }

// wide is an IPv6 address as a number.
type wide struct{ hi, lo uint64 }

func (w wide) compare(v wide) int { return cmp.Or(cmp.Compare(w.hi, v.hi), cmp.Compare(w.lo, v.lo)) }

type assetNet struct {
	prefix netip.Prefix
	asset  int32
}

// NewSite builds a site. Its error names every wrong entry.
func NewSite(n Networks, assets []Asset) (*Site, error) {
	s := &ranges{assets: assets, exact: map[packet.Addr]int32{}}
	var errs []error
	internal := n.Internal
	if len(internal) == 0 {
		internal = DefaultNetworks().Internal
	}
	for i, text := range internal {
		p, err := parsePrefix(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("networks.internal[%d]: %w", i, err))
			continue
		}
		s.add(p)
	}
	for _, text := range neverOutside {
		p, err := parsePrefix(text)
		if err != nil {
			panic(err) // our own constants
		}
		s.add(p)
	}
	s.v4 = merge(s.v4, func(a, b range4) int { return cmp.Compare(a.first, b.first) }, join4)
	s.v6 = merge(s.v6, func(a, b range6) int { return a.first.compare(b.first) }, join6)
	errs = append(errs, s.addAssets()...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	site := &Site{}
	site.now.Store(s)
	return site, nil
}

func (s *ranges) addAssets() (errs []error) {
	names := map[string]int{}
	owners := map[netip.Prefix]int{}
	for i, a := range s.assets {
		fail := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("assets[%d]"+format, append([]any{i}, args...)...))
		}
		if a.Name == "" {
			fail(".name: is empty")
		} else if j, ok := names[a.Name]; ok {
			fail(".name: %q is also the name of assets[%d]", a.Name, j)
		} else {
			names[a.Name] = i
		}
		if len(a.Addresses) == 0 {
			fail(".addresses: is empty, so nothing bears the name %q", a.Name)
		}
		for k, text := range a.Addresses {
			p, err := parsePrefix(text)
			if err != nil {
				fail(".addresses[%d]: %w", k, err)
				continue
			}
			if j, ok := owners[p]; ok {
				fail(".addresses[%d]: %s is also listed in assets[%d]", k, text, j)
				continue
			}
			owners[p] = i
			if p.IsSingleIP() {
				s.exact[packet.AddrFrom(p.Addr())] = int32(i)
			} else {
				s.nets = append(s.nets, assetNet{p, int32(i)})
			}
		}
	}
	slices.SortStableFunc(s.nets, func(a, b assetNet) int { return cmp.Compare(b.prefix.Bits(), a.prefix.Bits()) })
	return errs
}

// parsePrefix reads a CIDR or a single address. IPv4-mapped IPv6 becomes IPv4.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q has a zone; write the address without it", text)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither a CIDR such as 10.0.0.0/8 nor an address", text)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set behind its prefix; write %s or the single address", text, p.Masked())
	}
	return p, nil
}

func (s *ranges) add(p netip.Prefix) {
	if a := p.Addr(); a.Is4() {
		b := a.As4()
		first := binary.BigEndian.Uint32(b[:])
		s.v4 = append(s.v4, range4{first, first | uint32(1<<(32-p.Bits())-1)})
		return
	}
	b := p.Addr().As16()
	r := range6{first: wide{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}}
	r.last = r.first
	if bits := p.Bits(); bits <= 64 {
		r.last.hi |= 1<<(64-bits) - 1
		r.last.lo = ^uint64(0)
	} else {
		r.last.lo |= 1<<(128-bits) - 1
	}
	s.v6 = append(s.v6, r)
}

// merge sorts ranges and joins those that overlap or touch, by join, which says whether it did.
func merge[R any](ranges []R, compare func(a, b R) int, join func(a *R, b R) bool) []R {
	slices.SortFunc(ranges, compare)
	out := ranges[:0]
	for _, r := range ranges {
		if len(out) == 0 || !join(&out[len(out)-1], r) {
			out = append(out, r)
		}
	}
	return out
}

func join4(a *range4, b range4) bool {
	if b.first > a.last && b.first-1 > a.last {
		return false
	}
	a.last = max(a.last, b.last)
	return true
}

func join6(a *range6, b range6) bool {
	if b.first.compare(a.last) > 0 {
		return false // two that only touch stay two; nothing depends on it
	}
	if b.last.compare(a.last) > 0 {
		a.last = b.last
	}
	return true
}

func (s *ranges) internal(a packet.Addr) bool {
	if a.Is4() {
		x := binary.BigEndian.Uint32(a[12:])
		lo, hi := 0, len(s.v4)
		for lo < hi { // the first range that ends at or after x
			if m := int(uint(lo+hi) >> 1); s.v4[m].last < x {
				lo = m + 1
			} else {
				hi = m
			}
		}
		return lo < len(s.v4) && s.v4[lo].first <= x
	}
	x := wide{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])}
	lo, hi := 0, len(s.v6)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); s.v6[m].last.compare(x) < 0 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo < len(s.v6) && s.v6[lo].first.compare(x) <= 0
}

func (s *ranges) asset(a packet.Addr) (Asset, bool) {
	if i, ok := s.exact[a]; ok {
		return s.assets[i], true
	}
	if len(s.nets) > 0 {
		ip := a.Netip()
		for _, n := range s.nets {
			if n.prefix.Contains(ip) {
				return s.assets[n.asset], true
			}
		}
	}
	return Asset{}, false
}
