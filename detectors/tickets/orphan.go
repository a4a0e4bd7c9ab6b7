package tickets

import (
	"fmt"
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/phrase"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/flows/sketch"
	"neuromast/sensor/packet"
)

// Bounds and weights of auth.ticket.
const (
	maxLogins   = 1 << 16
	maxSeen     = 1 << 15
	ticketLife  = packet.Time(10 * time.Hour) // MS-KILE 3.3.1: the default of a domain
	warm        = packet.Time(24 * time.Hour)
	judgedFrom  = 50
	mostJudged  = 1 << 17
	usualShare  = 0.02
	visible     = 1.5
	invisible   = 0.7
	skewCode    = 37 // RFC 4120, 7.5.9
	skewFrom    = 5
	skewWithin  = packet.Time(10 * time.Minute)
	skewWeight  = 0.5
	orphanHabit = 4 // beside those of tickets.go
)

// login is a user at a host.
type login struct {
	at     packet.Time // last use of the user's key, or renewal of the ticket that it brought; 0: never
	judged packet.Time
}

// ticket looks whether whoever gets a ticket was seen to log in.
func (d *Detector) ticket(env detectors.Env, key detectors.HostKey, c *client, k *flows.Kerberos, realm string) {
	now := env.Now()
	if d.begun == 0 {
		d.begun = now
	}
	if k.Outcome == flows.Failed && k.Code == skewCode {
		d.skewed(env, key, c, k)
	}
	host := env.Host(key)
	if k.Outcome != flows.Succeeded || k.Client.Len == 0 || k.Behalf || host.Shared || host.Number == 0 {
		return
	}
	user := windows.Printable(env.Batch().String(k.Client))
	account := strings.ToLower(user)
	pair := sketch.Join(uint64(host.Number), sketch.HashString(account))
	l, _ := d.logins.Use(pair)
	if !k.TGS {
		l.at = now
		at, _ := d.seen.Use(host.Number)
		*at = now
		return
	}
	fresh := l.at != 0 && now-l.at <= ticketLife
	if fresh && own(env.Batch().String(k.Service)) {
		l.at = now // renewed
	}
	if now-d.begun < warm || l.judged != 0 && now-l.judged <= ticketLife {
		return
	}
	l.judged = now
	if d.judged[0]++; d.judged[0] > mostJudged { // what was long ago counts less
		d.judged[0], d.judged[1] = d.judged[0]/2, d.judged[1]/2
	}
	if fresh {
		return
	}
	d.judged[1]++
	days := d.habits.Note(now, &k.Conn, sketch.Join(sketch.HashString(account+"@"+realm), orphanHabit))
	if d.judged[0] < judgedFrom || float64(d.judged[1]) > 2+usualShare*float64(d.judged[0]) {
		return // log-ins are not all seen here
	}
	at := d.seen.Get(host.Number)
	llr := invisible
	if at != nil && now-*at <= warm {
		llr = visible
	}
	if windows.Familiar(days) {
		llr *= windows.Discount
	}
	e := &c.orphans
	if e.start == 0 || now-e.last > window {
		*e = episode{start: now}
	}
	e.last = now
	env.Signal(d.orphanFinding(key, k, user, llr, at != nil, e.start, now))
}

// skewed counts answers that the client's clock is wrong.
func (d *Detector) skewed(env detectors.Env, key detectors.HostKey, c *client, k *flows.Kerberos) {
	e, now := &c.skew, env.Now()
	if e.start == 0 || now-e.start > skewWithin {
		*e = episode{start: now}
	}
	e.last = now
	if e.count++; e.count != skewFrom {
		return
	}
	f := &detectors.Finding{
		Rule: &rules[orphan], Actor: key, Start: e.start, End: now, WindowStart: e.start, LLR: skewWeight, Techniques: []detectors.Technique{forged},
		Message:  fmt.Sprintf("%s was told %s within 10 minutes that its clock is wrong: so it is with tickets that were made elsewhere.", key.Addr, phrase.Plural(e.count, "time")),
		Evidence: []detectors.Evidence{{Measure: "errors 37, clock skew too great", Value: float64(e.count), Unit: "answers", Baseline: "none", Threshold: "5 in 10 minutes", Nats: skewWeight}},
		Conns:    []flows.Conn{k.Conn}, Refs: []flows.Ref{k.Ref},
	}
	f.Counterfactual, f.LookAlikes = "Four such answers in ten minutes would not be counted.", []string{"A machine whose battery is empty, or a virtual one that was resumed, until it asks for the time."}
	f.NextSteps, f.Filter = []string{fmt.Sprintf("Compare the clock of %s with its key distribution centre's.", key.Addr)}, fmt.Sprintf("ip.addr == %s && kerberos.error_code == 37", key.Addr)
	env.Signal(f)
}

// orphanFinding tells of tickets without a log-in.
func (d *Detector) orphanFinding(key detectors.HostKey, k *flows.Kerberos, user string, llr float64, uses bool, start, now packet.Time) *detectors.Finding {
	f := &detectors.Finding{
		Rule: &rules[orphan], Actor: key, Related: []packet.Addr{k.Resp}, Start: start, End: now, WindowStart: start, LLR: llr,
		Techniques: []detectors.Technique{passTheTicket, forged}, Users: []string{user},
		Message: fmt.Sprintf("%s got a ticket as %s, who was not seen to log in there within 10 hours, while %d of %d users at hosts were.", key.Addr, user, d.judged[0]-d.judged[1], d.judged[0]),
		Evidence: []detectors.Evidence{{
			Measure: "share of users at hosts whose tickets came without a log-in", Value: phrase.Round(100 * float64(d.judged[1]) / float64(d.judged[0])), Unit: "%", Baseline: "2 % at most",
			Threshold: "no log-in for 10 hours", Nats: phrase.Round(llr),
		}},
		Counterfactual: "A log-in of the user at that host within ten hours, or renewals since then, would not be said.",
		LookAlikes: []string{
			"A laptop that logged in before it came here; a ticket that was forwarded to a server by delegation, as on many days.",
		},
		NextSteps: []string{fmt.Sprintf("List the tickets that %s holds (klist) and ask %s whether they work there; tickets made or stolen by tools were issued elsewhere or never.", key.Addr, user)},
		Filter:    fmt.Sprintf("ip.addr == %s && kerberos.msg_type in {10, 11, 12, 13}", key.Addr),
		Conns:     []flows.Conn{k.Conn}, Refs: []flows.Ref{k.Ref},
	}
	if !uses {
		f.Message = strings.TrimSuffix(f.Message, ".") + "; no log-in of anybody was ever seen from that host."
	}
	return f
}
