package rpcseq

import (
	"strings"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/windows"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// callback is how soon a coerced server logs on elsewhere: captures show 10 ms to 1 s, name resolution may take seconds.
const callback = 30 * time.Second

// coerced is a server that was asked to log on elsewhere, and by whom.
type coerced struct {
	by detectors.HostKey
	at packet.Time
}

// session is a client's latest SMB session to a server.
type session struct {
	at        packet.Time
	encrypted bool
	conn      flows.Conn
	ref       flows.Ref
}

func (d *Detector) noteCoerced(now packet.Time, p pair) {
	c, _ := d.coerced.Use(p.server)
	*c = coerced{p.client, now}
}

func (d *Detector) noteSession(now packet.Time, p pair, m *flows.SMB) {
	s, isNew := d.sessions.Use(p)
	if isNew || now.Sub(s.at) > callback {
		*s = session{conn: m.Conn, ref: m.Ref}
	}
	s.at = now
	s.encrypted = s.encrypted || m.Op == flows.SMBEncrypted
}

// Auth looks whether a server that was asked to, or that was visited just before, logs on elsewhere.
func (d *Detector) Auth(env detectors.Env, a *flows.Auth) {
	if a.Method != flows.AuthNTLM {
		return
	}
	user := windows.Printable(env.Batch().String(a.User))
	p := pairOf(&a.Conn)
	who := "anonymously"
	if user != "" {
		who = "as " + user
	}
	how := " by NTLM over " + a.Over.String() + " " + who
	if d.wasCoerced(env, p, env.Now(), how, a.Conn, a.Ref) {
		return
	}
	if !strings.HasSuffix(user, "$") || a.Anonymous {
		return
	}
	back := p.turned()
	in := d.sessions.Get(back)
	if in == nil || env.Now().Sub(in.at) > callback && a.Start.Sub(in.at) > callback || in.conn.Start > a.Start ||
		d.controllers.Is(a.Segment, a.Resp) || d.printers.Has(&in.conn) {
		return
	}
	s := d.story(env.Now(), back)
	text := "session opened to the server"
	if in.encrypted {
		text = "SMB3 session to the server, encrypted: what it asked is hidden"
	}
	first := step{kind: hiddenSession, text: text, factor: 1, conn: in.conn, ref: in.ref}
	second := step{kind: machineLogon, text: "the server's machine account logged on to the client" + how, factor: 1, conn: a.Conn, ref: a.Ref}
	if !s.find(hiddenSession, in.at) {
		d.enter(in.at, s, first)
	}
	d.enter(env.Now(), s, second)
	d.judge(env, back, s, []step{second})
}

// wasCoerced enters a connection of a server that was asked to make one.
func (d *Detector) wasCoerced(env detectors.Env, p pair, began packet.Time, how string, c flows.Conn, ref flows.Ref) bool {
	by := d.coerced.Get(p.client)
	if by == nil || began < by.at.Add(-time.Second) || began.Sub(by.at) > callback {
		return false
	}
	k := pair{by.by, p.client}
	s := d.stories.Get(k)
	if s == nil {
		return false
	}
	st := step{kind: cameElsewhere, text: "the server came to " + p.server.Addr.String() + how, factor: 1, conn: c, ref: ref}
	if p.server == by.by {
		st.kind, st.text = cameToCaller, "the server came to its caller"+how
	}
	d.enter(max(began, by.at), s, st)
	for i := range s.steps { // a flow may be told minutes after: the episode is still the same
		if o := &s.steps[i]; o.kind == st.kind && o.text == st.text || o.kind == coerce && env.Now().Sub(by.at) <= usual {
			o.known = env.Now()
		}
	}
	d.judge(env, k, s, []step{st})
	return true
}

// enrolment is how soon after coercing a server its relayed logon is turned into a certificate; chosen by us.
const enrolment = 5 * time.Minute

// askedCertificate enters a request for a certificate (MS-WCCE 3.1.1.4.2) by who has just coerced a server.
func (d *Detector) askedCertificate(env detectors.Env, r *flows.RPC) {
	caller, now := pairOf(&r.Conn).client, env.Now()
	for server, by := range d.coerced.All() {
		if by.by != caller || now.Sub(by.at) > enrolment {
			continue
		}
		k := pair{caller, server}
		s := d.stories.Get(k)
		if s == nil {
			continue
		}
		for i := range s.steps {
			if o := &s.steps[i]; o.kind == coerce || o.kind == cameToCaller || o.kind == cameElsewhere {
				o.known = now
			}
		}
		st := step{kind: certificate, text: "a certificate was asked of " + r.Resp.String() + " (ICertPassage CertServerRequest, op 0)", factor: 1, conn: r.Conn, ref: r.Ref}
		d.enter(now, s, st)
		d.judge(env, k, s, []step{st})
	}
}

// Flow learns who is a controller, and sees connections of a server that was asked to make one.
func (d *Detector) Flow(env detectors.Env, r *flows.Record) {
	d.controllers.Flow(r)
	if r.Report > 1 || r.Proto != packet.ProtoTCP {
		return
	}
	p := pairOf(&r.Conn)
	by := d.coerced.Get(p.client)
	if by == nil {
		return
	}
	switch {
	case p.server != by.by: // a server talks to many: only a logon tells
	case r.RespPort == 445 || r.RespPort == 139 || r.RespPort == 80 || r.RespPort == 443 || r.RespPort == 5985:
		d.wasCoerced(env, p, r.Start, " by a connection to its port", r.Conn, r.FirstRef)
	}
}

// cameToRogue sees a controller call the host that asked it to replicate from there.
func (d *Detector) cameToRogue(env detectors.Env, r *flows.RPC) {
	if r.Interface != windows.EndpointMapper && r.Interface != windows.DRSUAPI || r.Outcome != flows.Succeeded {
		return
	}
	back := pairOf(&r.Conn).turned()
	s := d.stories.Get(back)
	if s == nil || !s.find(drsAdd, env.Now().Add(-usual)) && !s.find(drsEntry, env.Now().Add(-usual)) {
		return
	}
	st := step{kind: controllerCame, text: "the controller called it back to replicate", factor: 1, conn: r.Conn, ref: r.Ref}
	d.enter(env.Now(), s, st)
	d.judge(env, back, s, []step{st})
}
