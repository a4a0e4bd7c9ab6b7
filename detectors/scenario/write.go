package scenario

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

func newRandom(line, i, k int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(line)<<32|uint64(i), uint64(k)))
}

func random(r *rand.Rand, alphabet, count string) string {
	n, _ := strconv.Atoi(count)
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(out)
}

func sortItems(items []*item) {
	slices.SortStableFunc(items, func(a, b *item) int { return int(a.at - b.at) })
}

// side describes what one direction sends.
type side struct {
	packets, payload uint64
	flags            uint8
}

// shape is what a connection looks like in a record.
type shape struct {
	proto      packet.Proto
	state      flows.State
	history    string
	orig, resp side
	unreached  bool
	timeout    time.Duration // until it is known
}

const (
	syn, ack, fin, rst = packet.SYN, packet.ACK, packet.FIN, packet.RST
	attempt            = 10 * time.Second // what the tests take for the table's timeout of attempts
)

var shapes = map[string]shape{
	"open":        {packet.ProtoTCP, flows.SF, "ShADadFf", side{6, 400, syn | ack | fin}, side{6, 4000, syn | ack | fin}, false, time.Second},
	"half":        {packet.ProtoTCP, flows.RSTO, "ShR", side{2, 0, syn | rst}, side{1, 0, syn | ack}, false, 0},
	"silent":      {packet.ProtoTCP, flows.S0, "S", side{1, 0, syn}, side{}, false, attempt},
	"refused":     {packet.ProtoTCP, flows.REJ, "Sr", side{1, 0, syn}, side{1, 0, rst | ack}, false, 0},
	"reset":       {packet.ProtoTCP, flows.RSTOS0, "SR", side{2, 0, syn | rst}, side{}, false, 0},
	"fin":         {packet.ProtoTCP, flows.OTH, "Fr", side{1, 0, fin}, side{1, 0, rst | ack}, false, 0},
	"fin-silent":  {packet.ProtoTCP, flows.OTH, "F", side{1, 0, fin}, side{}, false, attempt},
	"null":        {packet.ProtoTCP, flows.OTH, "r", side{1, 0, 0}, side{1, 0, rst | ack}, false, 0},
	"xmas":        {packet.ProtoTCP, flows.OTH, "Fr", side{1, 0, fin | packet.PSH | packet.URG}, side{1, 0, rst | ack}, false, 0},
	"late":        {packet.ProtoTCP, flows.OTH, "DadF", side{4, 400, ack | fin}, side{4, 400, ack}, false, time.Second},
	"backscatter": {packet.ProtoTCP, flows.SHR, "h", side{}, side{1, 0, syn | ack}, false, attempt},
	"oneway":      {packet.ProtoTCP, flows.S0, "SADF", side{6, 400, syn | ack | fin}, side{}, false, attempt},
	"udp":         {packet.ProtoUDP, flows.SF, "Dd", side{1, 40, 0}, side{1, 80, 0}, false, time.Minute},
	"udp-refused": {packet.ProtoUDP, flows.S0, "D", side{1, 40, 0}, side{}, true, time.Minute},
	"udp-silent":  {packet.ProtoUDP, flows.S0, "D", side{1, 40, 0}, side{}, false, time.Minute},
	"ping":        {packet.ProtoICMP, flows.SF, "Dd", side{1, 32, 0}, side{1, 32, 0}, false, time.Minute},
	"ping-silent": {packet.ProtoICMP, flows.S0, "D", side{1, 32, 0}, side{}, false, time.Minute},
}

// connect makes the flow record of ADDRESS -> ADDRESS[:PORT] OUTCOME.
func (it *item) connect(words []string) error {
	if len(words) != 4 {
		return fmt.Errorf("want ADDRESS -> ADDRESS:PORT OUTCOME, not %q", strings.Join(words, " "))
	}
	sh, ok := shapes[words[3]]
	if !ok {
		return fmt.Errorf("unknown outcome %q", words[3])
	}
	orig, err := addr(words[0])
	if err != nil {
		return err
	}
	to := words[2]
	if sh.proto == packet.ProtoICMP {
		to += ":0"
	}
	resp, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	r := &flows.Record{
		Conn: flows.Conn{
			Start: it.start, Orig: orig, Resp: packet.AddrFrom(resp.Addr()), OrigPort: 40000, RespPort: resp.Port(), Proto: sh.proto,
		},
		Last: it.start, Side: -1, State: sh.state, Final: true, Unreachable: sh.unreached, Report: 1, HistoryLen: uint8(len(sh.history)),
	}
	if sh.proto == packet.ProtoICMP {
		r.OrigPort = 8
	}
	copy(r.History[:], sh.history)
	for d, s := range []side{sh.orig, sh.resp} {
		r.Total[d] = flows.Counters{Packets: s.packets, IPBytes: s.packets*40 + s.payload, PayloadBytes: s.payload, Flags: s.flags}
	}
	r.Delta = r.Total
	it.flow, it.at = r, it.start.Add(sh.timeout)
	return nil
}

// question is a DNS transaction to be.
type question struct {
	conn      flows.Conn
	name      string
	kind      uint16
	rcode     uint8
	iterative bool
	answered  bool
	answers   []string
}

var types = map[string]uint16{"A": 1, "NS": 2, "CNAME": 5, "NULL": 10, "PTR": 12, "MX": 15, "TXT": 16, "KEY": 25, "AAAA": 28, "DNSKEY": 48, "TKEY": 249}

// ask makes the transaction of ADDRESS asks ADDRESS TYPE NAME [= ANSWER …] [nx] [iterative].
func (it *item) ask(words []string) error {
	if len(words) < 5 {
		return fmt.Errorf("want ADDRESS asks ADDRESS TYPE NAME, not %q", strings.Join(words, " "))
	}
	client, err := addr(words[0])
	if err != nil {
		return err
	}
	server, err := addr(words[2])
	if err != nil {
		return err
	}
	q := &question{name: strings.ToLower(words[4]), kind: types[words[3]]}
	if q.kind == 0 {
		return fmt.Errorf("unknown type %q", words[3])
	}
	q.conn = flows.Conn{Start: it.start, Orig: client, Resp: server, OrigPort: 5353, RespPort: 53, Proto: packet.ProtoUDP}
	for _, w := range words[5:] {
		switch {
		case w == "=":
			q.answered = true
		case w == "nx":
			q.answered, q.rcode = true, 3
		case w == "iterative":
			q.iterative = true
		case q.answered:
			q.answers = append(q.answers, w)
		default:
			return fmt.Errorf("unknown word %q", w)
		}
	}
	it.dns = q
	return nil
}

// wire turns dotted text into labels.
func wire(name string) []byte {
	var out []byte
	for _, l := range strings.Split(name, ".") {
		out = append(append(out, byte(len(l))), l...)
	}
	return append(out, 0)
}

func (q *question) write(out *flows.Out, it *item) {
	b := out.Batch
	d := flows.DNS{
		Conn: q.conn, QueryAt: it.start, Name: out.Put(wire(q.name)), Type: q.kind, Class: 1, Rcode: q.rcode, App: flows.AppDNS,
		QueryBytes: uint16(len(q.name) + 18), Flags: 0x0100,
	}
	d.ID, d.QueryRef.Frame = uint16(it.number), uint64(it.number)+1
	d.Conn.ID = uint64(it.number) + 1
	if q.iterative {
		d.Flags = 0
	}
	if q.answered {
		d.AnswerAt, d.AnswerRef.Frame = it.at, uint64(it.number)+2
		d.Answers = flows.Span{Off: uint32(len(b.Answers)), Len: uint32(len(q.answers))}
		for _, a := range q.answers {
			length, kind := len(a), q.kind
			if ip, err := netip.ParseAddr(a); err == nil {
				length, kind = 4, 1
				if ip.Is6() {
					length, kind = 16, 28
				}
			}
			b.Answers = append(b.Answers, flows.Answer{
				Name: d.Name, Data: out.PutString(a), TTL: 60, Type: kind, Len: uint16(length),
			})
		}
	}
	out.DNS(&d)
}
