package telemetry

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// collector turns a State into metrics when it is asked.
type collector struct{ state func() State }

// metric describes one metric.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("neuromast_"+name, help, labels, nil)
}

var (
	packets    = metric("packets_total", "Frames read.")
	bytesRead  = metric("bytes_total", "Captured bytes of the frames read.")
	decoded    = metric("decoded_packets_total", "Frames decoded down to a network protocol that the sensor reads.")
	dropped    = metric("dropped_packets_total", "Frames dropped before the sensor, by cause.", "interface", "ring", "cause")
	duplicates = metric("duplicate_packets_total", "Packets that a mirror copied twice.")
	reordered  = metric("reordered_packets_total", "Packets that came late and were put where their time belongs.")
	joined     = metric("joined_packets_total", "IP packets put together from fragments.")
	anomalies  = metric("anomalies_total", "Packets with a named anomaly.", "anomaly")
	malformed  = metric("malformed_messages_total", "Messages that contradict themselves or are beyond a parser's limit.", "protocol")
	losses     = metric("losses_total", "What was not seen or not kept, by kind.", "kind")
	loadStep   = metric("load_step", "What is left undone because the sensor can't keep up: 0 nothing, 7 most.")
	changes    = metric("load_changes_total", "How often the load step changed.")
	lag        = metric("lag_seconds", "Wall clock less packet time.")
	ringFrames = metric("ring_frames_total", "Frames read from a ring.", "interface", "ring")
	ringBytes  = metric("ring_bytes_total", "Captured bytes read from a ring.", "interface", "ring")
	ringFill   = metric("ring_fill_ratio", "Share of a ring that waits to be read.", "interface", "ring")
	linkUp     = metric("interface_up", "1 while the interface is up.", "interface", "ring")
	flowsBegun = metric("flows_begun_total", "Flows begun.")
	flowsLive  = metric("flows_live", "Flows in the table.")
	flowsMax   = metric("flows_max", "Flows that the table holds at most.")
	evicted    = metric("flows_evicted_total", "Flows ended by the memory budget.")
	tableBytes = metric("flow_table_bytes", "Memory of the flow table.")
	hosts      = metric("hosts", "Hosts that are known.")
	hostsGone  = metric("hosts_evicted_total", "Hosts forgotten because more came.")
	contested  = metric("identity_contested_total", "Evidence of who stands behind an address that was not believed.")
	edges      = metric("graph_edges", "Edges of the communication graph: client, server, service.")
	edgesGone  = metric("graph_edges_evicted_total", "Edges forgotten because more came.")
	hubs       = metric("graph_hub_contacts_total", "Contacts of clients with too many edges, which are only counted.")
	gone       = metric("detector_evicted_total", "Entries that a detector's bounds pushed out, by its section of the configuration.", "detector")
	late       = metric("late_items_total", "Flows and facts that came older than one before them, taken at that one's time.")
	refused    = metric("deadlines_refused_total", "Deadlines that detectors asked for beyond the bound.")
	signals    = metric("signals_total", "What detectors told the correlation.")
	open       = metric("findings_open", "Findings that may still grow.")
	early      = metric("findings_closed_early_total", "Findings closed because too many were open.")
	cases      = metric("incidents_open", "Incidents that may still grow.")
	told       = metric("incident_records_total", "Records of incidents.", "state")
	cut        = metric("incidents_closed_early_total", "Incidents closed because too many were open.")
	suspects   = metric("incident_hosts", "Hosts whose signals are remembered.")
	forgotten  = metric("incident_hosts_evicted_total", "Hosts whose signals were forgotten because more came.")
	leftOut    = metric("incident_hosts_left_out_total", "Hosts that an incident had no room for.")
	unheard    = metric("incident_signals_dropped_total", "Signals forgotten because their host had too many, the lightest.")
	findings   = metric("finding_records_total", "Records of findings.", "rule", "state")
	produced   = metric("export_records_total", "Records of a topic, by what became of them.", "topic", "outcome")
	waiting    = metric("export_spooled_records", "Records of a topic on the disk, not acknowledged yet.", "topic")
	unsent     = metric("export_unsent_records", "Records that wait because the brokers were never reached.")
	heap       = metric("heap_bytes", "Memory of the Go heap.")
	uptime     = metric("uptime_seconds", "Since the start.")
	build      = metric("build_info", "Always 1.", "version")
)

// Describe implements prometheus.Collector: metrics come and go with interfaces, rules and topics.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.state()
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count(packets, s.Packets)
	count(bytesRead, s.Bytes)
	count(decoded, s.Decoded)
	count(duplicates, s.Duplicates)
	count(reordered, s.Reordered)
	count(joined, s.Joined)
	count(changes, s.Changes)
	gauge(loadStep, float64(s.LoadStep))
	gauge(lag, s.Lag)
	for name, n := range s.Anomalies {
		count(anomalies, n, name)
	}
	for app, n := range s.Malformed {
		count(malformed, n, app)
	}
	for name, n := range s.Losses {
		count(losses, n, name)
	}
	for _, i := range s.Interfaces {
		ring := strconv.Itoa(i.Ring)
		count(ringFrames, i.Frames, i.Name, ring)
		count(ringBytes, i.Bytes, i.Name, ring)
		count(dropped, i.Drops, i.Name, ring, "kernel")
		count(dropped, i.NICDrops, i.Name, ring, "nic")
		gauge(ringFill, i.Fill, i.Name, ring)
		up := 1.0
		if i.Down {
			up = 0
		}
		gauge(linkUp, up, i.Name, ring)
	}
	count(flowsBegun, s.Flows.Begun)
	count(evicted, s.Flows.Evicted)
	gauge(flowsLive, float64(s.Flows.Live))
	gauge(flowsMax, float64(s.Flows.Max))
	gauge(tableBytes, float64(s.Flows.Bytes))
	gauge(hosts, float64(s.Hosts.Known))
	count(hostsGone, s.Hosts.Evicted)
	count(contested, s.Hosts.Contested)
	gauge(edges, float64(s.Hosts.Edges))
	count(edgesGone, s.Hosts.Dropped)
	count(hubs, s.Hosts.Hub)
	d := &s.Detection
	gauge(open, float64(d.Open))
	count(early, d.Early)
	count(signals, d.Signals)
	count(late, d.Late)
	count(refused, d.Refused)
	for section, n := range d.Evicted {
		count(gone, n, section)
	}
	gauge(cases, float64(d.Incidents.Open))
	count(told, d.Incidents.Opened, "open")
	count(told, d.Incidents.Updated, "update")
	count(told, d.Incidents.Closed, "close")
	count(cut, d.Incidents.Early)
	gauge(suspects, float64(d.Incidents.Hosts))
	count(forgotten, d.Incidents.Evicted)
	count(leftOut, d.Incidents.Full)
	count(unheard, d.Incidents.Dropped)
	for _, f := range s.Findings {
		count(findings, f.Count, f.Rule, f.State)
	}
	for topic, a := range s.Export.Topics {
		for _, o := range []struct {
			outcome string
			n       uint64
		}{
			{"produced", a.Produced}, {"recovered", a.Recovered}, {"acknowledged", a.Acknowledged}, {"expired", a.Expired},
			{"lost", a.Lost}, {"possibly_doubled", a.PossiblyDoubled}, {"retries", a.Retries},
		} {
			count(produced, o.n, topic, o.outcome)
		}
		gauge(waiting, float64(a.Waiting), topic)
	}
	gauge(unsent, float64(s.Export.Unsent))
	gauge(heap, float64(s.Memory))
	gauge(uptime, s.Uptime)
	gauge(build, 1, s.Version)
}
