// Package scenario turns a few lines of text into the flow and DNS items that detectors see, so that their tests can
// tell of hours, rates and hundreds of hosts. Only tests import it.
//
// One line is one event, or a series:
//
//	0s                        10.0.0.5 -> 10.0.1.7:22 silent
//	2s every 500ms times 20   10.0.0.5 -> 10.0.1.#:22 refused       # counts 0, 1, 2, … in any place, #+80 from 80 on
//	1m                        10.0.0.5 asks 10.0.0.53 TXT {hex40}.t.example.com = {hex200}
//	1m                        10.0.0.5 asks 10.0.0.53 A x.example.com nx
//	1m                        10.0.0.5 logs 10.0.0.9 ssh - wrong over 7
//	1m                        10.0.0.5 gets 10.0.0.10 http/web as alice offers 18,17,23 ticket 23
//	1m                        10.0.0.7 leases 02:00:00:00:00:07 ws7
//	1m                        10.0.0.7 arps 02:00:00:00:00:07
//	1m every 50ms times 254   10.0.0.7 seeks 10.0.0.#               # ARP requests to everybody; "from MAC" may follow
//	1m                        10.0.0.9 claims fs1.example.net to 10.0.0.7
//	1m                        10.0.0.5 searches 10.0.0.10 dc=corp 2 (sAMAccountName=Domain_Admins) asks cn,member entries 3
//	1m                        10.0.0.5 plants 10.0.0.9 ldap:/10.0.0.5:1389/a
//	1m                        10.0.0.5 queries 10.0.0.9 sa EXEC~xp_cmdshell~'whoami'
//	1m                        10.0.0.5 proves 10.0.0.9 smb alice ntlm in challenge 0102030405060708 proof 1112131415161718
//	1m                        10.0.0.5 works 10.0.0.9 ssh keys 40 back 0 vary 80% sends 2000000 for 10m
//	1m                        10.0.0.5 opens 10.0.0.9 as alice restricted granted
//	1m                        10.0.0.5 posts 10.0.0.9 /wsman by Some_Agent length 1900 status 200
//	10.0.0.5 -> 10.0.0.9 smb psexec at 02:10 user CORP\adm
//	2d+09:00 every 1h times 8 10.0.0.5 -> 10.0.0.9 ssh session for 20m
//
// A lease is given anew, or again (to a client that says that it has the address), or released. A comment begins with //. What a connection comes to is one of open, half (SYN scan of an open port), silent, refused,
// reset (SYN and RST of the originator), fin, null, xmas (answered by RST), fin-silent, late (midstream), backscatter (an
// answer only), oneway (alive, one direction seen), udp, udp-refused, udp-silent, ping, ping-silent. A question is
// answered by what follows =, words apart; without it there is no answer; nx says NXDOMAIN; "iterative" anywhere clears
// RD. A log-in over kerberos, smb, ftp, ssh, http, ldap, rdp or tds as a user (- where the wire does not tell) ends wrong, unknown or in; "over N" names the
// connection, each else has its own. A ticket is for a service (krbtgt: with the user's own key; then noproof may follow). {hexN}, {b32-N} and {word} stand for N random characters or for a word, the same in every run.
package scenario

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/engine"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// Start is the packet time of offset 0.
const Start = packet.Time(1_700_000_000_000_000_000)

// Play feeds the items of the text to dets, cut into sets of a second, and returns the records that come out.
func Play(text string, dets ...detectors.Detector) ([]*detectors.Finding, error) {
	return PlayOn(1, text, dets...)
}

// PlayOn is Play with the items spread over shards that so many workers hold.
func PlayOn(workers int, text string, dets ...detectors.Detector) ([]*detectors.Finding, error) {
	var said []*detectors.Finding
	e := engine.New(dets, engine.Config{
		Internal: Internal, Publish: func(f *detectors.Finding) { said = append(said, f) },
	})
	if err := Feed(workers, text, e.Feed); err != nil {
		return nil, err
	}
	e.Finish()
	return said, nil
}

// Unsaid plays a text and returns what detectors told the correlation alone: the last weight of each, as "rule nats".
func Unsaid(text string, dets ...detectors.Detector) ([]string, error) {
	at := map[string]int{}
	var last []*detectors.Signal
	e := engine.New(dets, engine.Config{Internal: Internal, Publish: func(*detectors.Finding) {}, Signal: func(s *detectors.Signal) {
		i, known := at[s.ID]
		if !known {
			i = len(last)
			at[s.ID], last = i, append(last, nil)
		}
		last[i] = s
	}})
	if err := Feed(1, text, e.Feed); err != nil {
		return nil, err
	}
	e.Finish()
	var out []string
	for _, s := range last {
		if !s.Finding {
			out = append(out, fmt.Sprintf("%s %.2f", s.Rule, s.LLR))
		}
	}
	return out, nil
}

// Feed hands the items of the text to take in sets of a second, spread over shards that so many workers hold.
func Feed(workers int, text string, take func(*flows.Merged)) error {
	items, err := parse(text)
	if err != nil {
		return err
	}
	shards := make([]flows.Out, flows.NumShards)
	for i := range shards {
		shards[i].Shard = uint8(i)
	}
	for from := 0; from < len(items); {
		to := from
		mark := items[from].at.Add(time.Second)
		for to < len(items) && items[to].at <= mark {
			to++
		}
		batches := make([]*flows.Batch, workers)
		for w := range batches {
			batches[w] = &flows.Batch{Watermark: mark, Worker: w}
		}
		for _, it := range items[from:to] {
			shard := it.number % flows.NumShards
			out := &shards[shard]
			out.Batch, out.Now = batches[shard%workers], it.at
			it.write(out)
		}
		for _, b := range batches {
			b.Sort()
		}
		var m flows.Merged
		m.Merge(batches)
		take(&m)
		from = to
	}
	return nil
}

// Internal says that an address is private (RFC 1918, ULA).
func Internal(a packet.Addr) bool { return a.Netip().IsPrivate() }

// item is one flow record or DNS transaction to be.
type item struct {
	at     packet.Time // when it became known
	start  packet.Time
	number int
	flow   *flows.Record
	dns    *question
	fact   func(out *flows.Out, it *item)
}

func (it *item) write(out *flows.Out) {
	switch {
	case it.flow != nil:
		out.Record(it.flow)
	case it.dns != nil:
		it.dns.write(out, it)
	default:
		it.fact(out, it)
	}
}

// Latest returns the last record of each finding, in the order in which they opened.
func Latest(said []*detectors.Finding) []*detectors.Finding {
	at := map[string]int{}
	var out []*detectors.Finding
	for _, f := range said {
		if i, ok := at[f.ID()]; ok {
			out[i] = f
			continue
		}
		at[f.ID()] = len(out)
		out = append(out, f)
	}
	return out
}

func parse(text string) ([]*item, error) {
	var items []*item
	stage := newStage()
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "//")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		series, err := parseLine(stage, n, words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		items = append(items, series...)
	}
	sortItems(items)
	for i, it := range items {
		it.number = i
		if it.flow != nil {
			it.flow.ID = uint64(i) + 1
			it.flow.FirstRef.Frame = uint64(2*i) + 1
			it.flow.Ref.Frame, it.flow.LastRef.Frame = uint64(2*i)+2, uint64(2*i)+2
		}
	}
	return items, nil
}

func parseLine(stage *stage, n int, words []string) ([]*item, error) {
	at, words, err := when(words)
	if err != nil {
		return nil, err
	}
	every, times := time.Duration(0), 1
	if len(words) > 4 && words[0] == "every" && words[2] == "times" {
		if every, err = time.ParseDuration(words[1]); err != nil {
			return nil, err
		}
		if times, err = strconv.Atoi(words[3]); err != nil {
			return nil, err
		}
		words = words[4:]
	}
	if len(words) < 3 {
		return nil, fmt.Errorf("want ADDRESS -> ADDRESS:PORT OUTCOME or ADDRESS asks ADDRESS TYPE NAME")
	}
	var out []*item
	for i := range times {
		say := make([]string, len(words))
		for k, w := range words {
			say[k] = expand(w, n, i, k)
		}
		it := &item{start: Start.Add(at + time.Duration(i)*every)}
		it.at = it.start
		if len(say) > 3 && say[1] == "->" && families[say[3]] {
			items, err := stage.act(it.start, newRandom(n, i, len(words)), say)
			if err != nil {
				return nil, err
			}
			out = append(out, items...)
			continue
		}
		event, ok := events[say[1]]
		if !ok {
			return nil, fmt.Errorf("unknown event %q", say[1])
		}
		err = event(it, say)
		if err != nil {
			return nil, err
		}
		out = append(out, it)
	}
	return out, nil
}

// events is every event that can be told, by its second word.
var events = map[string]func(*item, []string) error{
	"searches": (*item).search,
	"queries":  (*item).query,
	"plants":   (*item).lookUp,

	"->":    (*item).connect,
	"asks":  (*item).ask,
	"logs":  (*item).logIn,
	"posts": (*item).post,
	"gets":  (*item).ticket,
	"works": (*item).work,
	"opens": (*item).openDesktop,

	"leases": (*item).lease,
	"arps":   (*item).arp,
	"seeks":  (*item).seek,
	"claims": (*item).claim,
	"proves": (*item).prove,
	"whohas": (*item).whoHas, "isat": (*item).isAt, "hails": (*item).hail, "registers": (*item).register, "answers": (*item).answer,
	"offers": (*item).serve, "acks": (*item).serve, "renews": (*item).serve, "via": (*item).via, "tunes": (*item).tune, "dials": (*item).dial, "redirects": (*item).redirect,
}

// dictionary is what {word} draws from.
var dictionary = strings.Fields("static images mail login news store cloud media update account portal video search files music travel")

// expand fills in the counter and the random parts of a word.
func expand(w string, line, i, k int) string {
	for {
		before, after, ok := strings.Cut(w, "#")
		if !ok {
			break
		}
		n := i
		if digits := strings.TrimLeft(strings.TrimPrefix(after, "+"), "0123456789"); strings.HasPrefix(after, "+") {
			from, _ := strconv.Atoi(after[1 : len(after)-len(digits)])
			n, after = i+from, digits
		}
		w = before + strconv.Itoa(n) + after
	}
	rng := newRandom(line, i, k)
	for {
		from := strings.IndexByte(w, '{')
		to := strings.IndexByte(w, '}')
		if from < 0 || to < from {
			return w
		}
		var fill string
		switch what := w[from+1 : to]; {
		case what == "word":
			fill = dictionary[rng.IntN(len(dictionary))]
		case strings.HasPrefix(what, "hex"):
			fill = random(rng, "0123456789abcdef", what[3:])
		case strings.HasPrefix(what, "b32-"):
			fill = random(rng, "abcdefghijklmnopqrstuvwxyz234567", what[4:])
		}
		w = w[:from] + fill + w[to+1:]
	}
}

func addr(s string) (packet.Addr, error) {
	a, err := netip.ParseAddr(s)
	return packet.AddrFrom(a), err
}
