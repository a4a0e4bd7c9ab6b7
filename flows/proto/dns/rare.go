package dns

import (
	"strings"

	"github.com/miekg/dns"
)

// rare says which types are worth the allocations of miekg/dns: seen seldom, and their text says something to people.
// Types whose text depends on the reader's clock (SIG, TKEY, TSIG) are not among them.
func rare(typ uint16) bool {
	switch typ {
	case dns.TypeHINFO, dns.TypeRP, dns.TypeAFSDB, dns.TypeLOC, dns.TypeNAPTR, dns.TypeCERT, dns.TypeDS, dns.TypeSSHFP,
		dns.TypeNSEC, dns.TypeDNSKEY, dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeTLSA, dns.TypeSMIMEA, dns.TypeCDS,
		dns.TypeCDNSKEY, dns.TypeOPENPGPKEY, dns.TypeCSYNC, dns.TypeSPF, dns.TypeURI, dns.TypeCAA:
		return true
	}
	return false
}

// appendRare appends the text of the record that begins at the offset at and ends at end, ok false where miekg/dns
// refuses it.
func appendRare(dst, msg []byte, at, end int) (_ []byte, ok bool) {
	rr, next, err := dns.UnpackRR(msg[:end], at)
	if err != nil || next != end {
		return dst, false
	}
	return append(dst, strings.TrimPrefix(rr.String(), rr.Header().String())...), true
}
