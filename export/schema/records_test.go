package schema

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/flows/enrich"
	"neuromast/flows/identity"
	"neuromast/sensor/packet"
)

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

var t0 = packet.TimeOf(time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC))

func testEnv() *Env {
	site, err := enrich.NewSite(enrich.Networks{}, []enrich.Asset{
		{Name: "dc01", Addresses: []string{"10.0.0.9"}, Role: "domain controller", Critical: true},
	})
	if err != nil {
		panic(err)
	}
	return NewEnv(Config{
		SensorID: "lab-1", Hostname: "sensor.example", Version: "0.1.0", Site: site, Inputs: []string{"a.pcap", "dir/b \"2\".pcapng"},
		Segments: map[packet.Segment]string{42 << 12: "servers"},
	})
}

func wire(labels ...string) []byte {
	var b []byte
	for _, l := range labels {
		b = append(append(b, byte(len(l))), l...)
	}
	return append(b, 0)
}

// smbFlow is a whole SMB connection with everything a record can say.
func smbFlow() (*flows.Batch, *flows.Record) {
	batch := &flows.Batch{Sides: []flows.Side{{
		Bursts: [2]uint32{3, 4}, BurstBytes: [2]uint64{500, 70000},
		Minutes: [6][2]uint64{{1, 2}, {3, 4}, {0, 0}, {5, 6}, {7, 8}, {9, 10}},
	}}}
	r := &flows.Record{
		Meta: flows.Meta{At: t0.Add(65 * time.Second)},
		Conn: flows.Conn{
			ID: 0x0123456789abcdef, Start: t0, Orig: addr("10.0.0.5"), Resp: addr("10.0.0.9"), OrigPort: 49152, RespPort: 445,
			Segment: 42 << 12, Proto: packet.ProtoTCP,
		},
		Last: t0.Add(5 * time.Second), FirstRef: flows.Ref{Input: 0, Frame: 1}, LastRef: flows.Ref{Input: 1, Frame: 99},
		Total: [2]flows.Counters{
			{Packets: 20, IPBytes: 3000, PayloadBytes: 2200, Retransmits: 1},
			{Packets: 18, IPBytes: 90000, PayloadBytes: 89000, Gaps: 1, GapBytes: 1460, ZeroWindows: 2},
		},
		Delta: [2]flows.Counters{{Packets: 2, IPBytes: 80}, {Packets: 1, IPBytes: 40}},
		RTT:   1500000, State: flows.SF, App: flows.AppSMB, Final: true, Report: 2, Side: 0,
		VLAN: [2]uint16{42}, NumVLAN: 1, OrigMAC: packet.MAC{2, 0, 0, 0, 0, 5}, RespMAC: packet.MAC{2, 0, 0, 0, 0, 9},
	}
	r.HistoryLen = uint8(copy(r.History[:], "ShADadgFf"))
	return batch, r
}

func dnsTransaction() (*flows.Batch, *flows.DNS) {
	batch := &flows.Batch{}
	out := flows.Out{Batch: batch, Now: t0.Add(20 * time.Millisecond)}
	d := &flows.DNS{
		Conn: flows.Conn{
			ID: 0xfeed, Start: t0, Orig: addr("10.0.0.5"), Resp: addr("203.0.113.53"), OrigPort: 40000, RespPort: 53, Proto: packet.ProtoUDP,
		},
		QueryAt: t0, AnswerAt: t0.Add(20 * time.Millisecond), QueryRef: flows.Ref{Frame: 7}, AnswerRef: flows.Ref{Frame: 8},
		Name: out.Put(wire("mail", "shop", "example", "co", "uk")), QueryBytes: 42, AnswerBytes: 120, ID: 4660, Type: 1, Class: 1,
		Flags: 0x8180, MixedCase: true, App: flows.AppDNS, Answers: flows.Span{Len: 3},
	}
	batch.Answers = []flows.Answer{
		{Name: d.Name, Data: out.PutString("edge.example.net"), TTL: 300, Type: 5, Len: 18},
		{Name: out.Put(wire("edge", "example", "net")), Data: out.PutString("198.51.100.7"), TTL: 60, Type: 1, Len: 4},
		{Name: out.Put(wire("edge", "example", "net")), Data: out.PutString("2001:db8::7"), TTL: 60, Type: 28, Len: 16},
	}
	out.DNS(d)
	return batch, d
}

func finding() *detectors.Finding {
	_, r := smbFlow()
	again := r.Conn
	again.ID++
	return &detectors.Finding{
		Rule: &detectors.Rule{ID: "smb.exec", Name: "Service created and started on another host", Stage: detectors.StageLateral},
		At:   t0.Add(6 * time.Second), Start: t0, End: t0.Add(5 * time.Second), WindowStart: t0,
		Actor: detectors.HostKey{Segment: 42 << 12, Addr: r.Orig}, Target: detectors.HostKey{Segment: 42 << 12, Addr: r.Resp},
		Related: []packet.Addr{addr("10.0.0.9"), addr("10.0.0.7")}, Users: []string{`CORP\alice`}, LLR: 6.5,
		Message: "10.0.0.5 created and started service XYZ on 10.0.0.9 (dc01) as CORP\\alice.",
		Techniques: []detectors.Technique{
			{ID: "T1569.002", Name: "Service Execution", Tactic: "TA0002"}, {ID: "T1021.002", Name: "SMB/Windows Admin Shares", Tactic: "TA0008"},
			{ID: "T1570", Name: "Lateral Tool Transfer", Tactic: "TA0008"},
		},
		Evidence: []detectors.Evidence{
			{Measure: "services created remotely", Value: 1, Unit: "services", Baseline: "none in 12 days", Threshold: "1", Nats: 5},
			{Measure: "bytes written to ADMIN$", Value: 123456.5, Unit: "bytes", Baseline: "none", Nats: 1.5},
		},
		Counterfactual: "Had 10.0.0.5 created a service on 10.0.0.9 before, the weight were 2.1 and the risk 35.",
		LookAlikes:     []string{"Software deployment creates services too, from a server that does so daily."},
		Filter:         `ip.addr == 10.0.0.5 && ip.addr == 10.0.0.9 && svcctl`,
		NextSteps:      []string{"Ask who used CORP\\alice at that time.", "Isolate 10.0.0.5."},
		Conns:          []flows.Conn{r.Conn, again}, Refs: []flows.Ref{{Input: 0, Frame: 12}, {Input: 1, Frame: 13}}, Over: true,
		ActorHost: detectors.Known{
			ID: "02-00-00-00-00-05", Name: "ws5.corp.example", MAC: packet.MAC{2, 0, 0, 0, 0, 5}, By: identity.ByDHCP, Since: t0.Add(-time.Hour),
		},
		TargetHost: detectors.Known{ID: "dc01.corp.example", Name: "dc01.corp.example", By: identity.ByKerberos},
		Revision:   1, State: detectors.StateClose, Quality: detectors.Quality{LostBytes: 10, OneSidedShare: 0.25, BaselineDays: 12.5},
	}
}

// hostile is text that breaks careless encoders and terminals.
var hostile = []string{
	"", "plain", `quote " and \ backslash`, "nul \x00 bell \a escape \x1b[31m del \x7f", "tab\tline\nreturn\r",
	"not UTF-8: \xff\xfe\xc3(\xe2\x82 \xed\xa0\x80 \xf0\x90", "separators \u2028\u2029", "umlaut ü, kanji 漢字, emoji 🐟, bidi \u202e",
	"</script><!--", "\ufffd itself",
}

// random builds records that no honest packet yields, from any numbers.
type random struct{ *rand.Rand }

func (r random) text() string { return hostile[r.IntN(len(hostile))] }

func (r random) texts() []string {
	var list []string
	for range r.IntN(4) {
		list = append(list, r.text())
	}
	return list
}

func (r random) addr() (a packet.Addr) {
	if r.IntN(2) == 0 {
		return packet.AddrFrom4([]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
	}
	for i := range a {
		a[i] = byte(r.Uint32())
	}
	return a
}

func (r random) time() packet.Time { return packet.Time(r.Uint64()) }
func (r random) ref() flows.Ref    { return flows.Ref{Input: r.Uint32N(4), Frame: r.Uint64()} }
func (r random) yes() bool         { return r.IntN(2) == 0 }

func (r random) conn() flows.Conn {
	protos := []packet.Proto{packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMP, packet.ProtoICMPv6, packet.ProtoSCTP, packet.ProtoNone, 0, 253}
	return flows.Conn{
		ID: r.Uint64(), Start: r.time(), Orig: r.addr(), Resp: r.addr(), OrigPort: uint16(r.Uint32()), RespPort: uint16(r.Uint32()),
		Segment: packet.Segment(r.Uint32() & 0xffffff), Proto: protos[r.IntN(len(protos))],
	}
}

func (r random) counters() flows.Counters {
	return flows.Counters{
		Packets: r.Uint64() >> 1, IPBytes: r.Uint64() >> 1, PayloadBytes: r.Uint64(), Retransmits: r.Uint32N(3), Gaps: r.Uint32N(2),
		GapBytes: r.Uint64(), ZeroWindows: r.Uint32N(2),
	}
}

func (r random) flow() (*flows.Batch, *flows.Record) {
	batch := &flows.Batch{Sides: make([]flows.Side, 1)}
	rec := &flows.Record{
		Meta: flows.Meta{At: r.time()}, Conn: r.conn(), Last: r.time(), FirstRef: r.ref(), LastRef: r.ref(),
		Total: [2]flows.Counters{r.counters(), r.counters()}, Delta: [2]flows.Counters{r.counters(), r.counters()},
		RTT: int64(r.Uint64()), Side: int32(r.IntN(3)) - 1, State: flows.State(r.IntN(int(flows.OTH) + 1)), App: flows.App(r.IntN(int(flows.NumApps))),
		Final: r.yes(), Unreachable: r.yes(), Evicted: r.yes(), Report: r.Uint32N(3), HistoryLen: uint8(r.IntN(256)),
	}
	copy(rec.History[:], r.text())
	if r.yes() {
		rec.OrigMAC = packet.MAC{byte(r.Uint32()), 1, 2, 3, 4, 255}
		rec.Names = [2]flows.Text{batch.Put([]byte(r.text())), batch.Put([]byte(r.text()))}
	}
	return batch, rec
}

func (r random) dns() (*flows.Batch, *flows.DNS) {
	batch := &flows.Batch{}
	out := flows.Out{Batch: batch, Now: r.time()}
	apps := []flows.App{flows.AppDNS, flows.AppMDNS, flows.AppLLMNR, flows.AppNBNS}
	name := func() flows.Text {
		var labels []string
		for range r.IntN(4) {
			l := r.text()
			labels = append(labels, l[:min(len(l), 63)])
		}
		w := wire(labels...)
		return out.Put(w[:r.IntN(len(w)+1)]) // cut short sometimes
	}
	d := &flows.DNS{
		Conn: r.conn(), QueryRef: r.ref(), AnswerRef: r.ref(), Name: name(), ID: uint16(r.Uint32()), Type: uint16(r.Uint32N(300)),
		Class: uint16(r.Uint32()), Flags: uint16(r.Uint32()), Rcode: uint8(r.Uint32N(30)), MixedCase: r.yes(), App: apps[r.IntN(len(apps))],
	}
	if r.yes() {
		d.QueryAt = r.time()
	}
	if r.yes() {
		d.AnswerAt = r.time()
	}
	data := append([]string{"192.0.2.1", "::1", `\# 3 0a0b0c`, "2001:db8::1%zone"}, hostile...)
	for range r.IntN(4) {
		batch.Answers = append(batch.Answers, flows.Answer{
			Name: name(), Data: out.PutString(data[r.IntN(len(data))]), TTL: r.Uint32(), Type: []uint16{1, 28, 5, 16, 65535}[r.IntN(5)],
		})
	}
	d.Answers.Len = uint32(len(batch.Answers))
	out.DNS(d)
	return batch, d
}

func (r random) finding() *detectors.Finding {
	f := finding()
	f.At, f.Start, f.End = r.time(), r.time(), r.time()
	f.Rule = &detectors.Rule{ID: r.text(), Name: r.text(), Stage: detectors.Stage(r.IntN(int(detectors.StageImpairment) + 1))}
	f.Actor.Addr = r.addr()
	if r.yes() {
		f.Target = detectors.HostKey{}
	}
	f.ActorHost = detectors.Known{ID: r.text(), Name: r.text(), Since: r.time()}
	f.TargetHost = detectors.Known{ID: r.text(), Name: r.text(), MAC: packet.MAC{1}}
	f.Domain, f.Message, f.Filter, f.Counterfactual = r.text(), r.text(), r.text(), r.text()
	f.LookAlikes, f.NextSteps, f.Users = r.texts(), r.texts(), r.texts()
	f.LLR = []float64{-1, 0, 0.5, 1, 3, 6.123456789, 9, 500, math.Inf(1)}[r.IntN(9)]
	f.Techniques = f.Techniques[:r.IntN(len(f.Techniques)+1)]
	f.Evidence = append(f.Evidence[:r.IntN(3)], detectors.Evidence{
		Measure: r.text(), Unit: r.text(), Baseline: r.text(),
		Value: []float64{math.NaN(), math.Inf(-1), 1e300, 1e-300, -0.1, 3}[r.IntN(6)],
	})
	f.Conns = f.Conns[:r.IntN(3)]
	for range r.IntN(20) {
		f.Conns = append(f.Conns, r.conn())
		f.Related = append(f.Related, r.addr())
		f.Refs = append(f.Refs, r.ref(), r.ref())
	}
	f.State, f.Revision = detectors.State(r.IntN(3)), r.IntN(5)
	return f
}
