// Package telemetry tells how the sensor fares: Prometheus metrics, liveness and readiness over HTTP, and the record that
// goes to the health topic. It only reads; everything is counted where it happens.
package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"neuromast/export"
)

// State is the sensor at one moment. Counters count from its start.
type State struct {
	At         time.Time         `json:"-"`
	Started    time.Time         `json:"-"`
	Version    string            `json:"version"`
	Uptime     float64           `json:"uptime_seconds"`
	PacketTime string            `json:"packet_time,omitempty"` // RFC 3339; how far analysis of packets came
	Lag        float64           `json:"lag_seconds"`           // wall clock less packet time
	Packets    uint64            `json:"packets"`
	Bytes      uint64            `json:"bytes"`
	Decoded    uint64            `json:"decoded"`
	Dropped    uint64            `json:"dropped"` // by kernel and network cards
	Duplicates uint64            `json:"duplicates"`
	Reordered  uint64            `json:"reordered"`
	Joined     uint64            `json:"joined"` // IP packets put together from fragments
	Anomalies  map[string]uint64 `json:"anomalies"`
	Malformed  map[string]uint64 `json:"malformed"` // messages that a parser gave up, by application
	Losses     map[string]uint64 `json:"losses"`
	Load       string            `json:"load"` // what is left undone because the sensor can't keep up
	LoadStep   int               `json:"load_step"`
	Changes    uint64            `json:"load_changes"`
	Flows      Flows             `json:"flows"`
	Hosts      Hosts             `json:"hosts"`
	Detection  Detection         `json:"detection"`
	Findings   []Findings        `json:"findings"`
	Interfaces []Interface       `json:"interfaces"`
	Export     Export            `json:"export"`
	Memory     uint64            `json:"memory_bytes"` // of the Go heap
	Ready      bool              `json:"-"`
	Why        string            `json:"-"` // why it is not ready
}

// Flows is the flow table.
type Flows struct {
	Begun   uint64 `json:"begun"`
	Live    uint64 `json:"live"`
	Max     uint64 `json:"max"`
	Evicted uint64 `json:"evicted"`
	Bytes   uint64 `json:"bytes"`
}

// Hosts is what is known of who is who, and who talks to whom.
type Hosts struct {
	Known     int    `json:"known"`
	Evicted   uint64 `json:"evicted"`
	Contested uint64 `json:"contested"` // evidence of who is who that was not believed
	Edges     int    `json:"edges"`
	Dropped   uint64 `json:"edges_evicted"`
	Hub       uint64 `json:"hub_contacts"` // of clients with too many edges, only counted
}

// Detection is what detectors, and the correlation of what they say, hold and give up.
type Detection struct {
	Open      int               `json:"findings_open"`
	Early     uint64            `json:"findings_closed_early"` // because too many were open
	Signals   uint64            `json:"signals"`               // told to the correlation
	Late      uint64            `json:"late_items"`            // taken at the time of the item before them
	Refused   uint64            `json:"deadlines_refused"`
	Evicted   map[string]uint64 `json:"evicted"` // entries that a detector's bounds pushed out, by its section
	Incidents Incidents         `json:"incidents"`
}

// Incidents is the correlation.
type Incidents struct {
	Open    int    `json:"open"`
	Opened  uint64 `json:"opened"` // records by state
	Updated uint64 `json:"updated"`
	Closed  uint64 `json:"closed"`
	Early   uint64 `json:"closed_early"` // because too many were open
	Hosts   int    `json:"hosts"`
	Evicted uint64 `json:"hosts_evicted"`
	Full    uint64 `json:"hosts_left_out"`  // an incident had no room for them
	Dropped uint64 `json:"signals_dropped"` // the lightest of a host with too many
}

// Findings counts the records of one rule in one state.
type Findings struct {
	Rule  string `json:"rule"`
	State string `json:"state"`
	Count uint64 `json:"count"`
}

// Interface is one ring.
type Interface struct {
	Name     string  `json:"name"`
	Ring     int     `json:"ring"`
	Frames   uint64  `json:"frames"`
	Bytes    uint64  `json:"bytes"`
	Drops    uint64  `json:"drops"`     // by the kernel, because the ring was full
	NICDrops uint64  `json:"nic_drops"` // by the network card, as far as it tells
	Fill     float64 `json:"fill"`
	Down     bool    `json:"down"`
	Gone     bool    `json:"gone,omitempty"`
	Rebased  uint64  `json:"clock_steps,omitempty"` // steps back of the clock that were made good
}

// Export is the way to Kafka.
type Export struct {
	Enabled bool                      `json:"enabled"`
	Topics  map[string]export.Account `json:"topics,omitempty"`
	Unsent  uint64                    `json:"unsent"` // records that wait because the brokers were never reached
	Problem string                    `json:"problem,omitempty"`
}

// Handler serves /metrics, /healthz (the process lives) and /readyz (it captures).
func Handler(state func() State) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(&collector{state})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s := state(); !s.Ready {
			reply(w, http.StatusServiceUnavailable, s.Why)
			return
		}
		reply(w, http.StatusOK, "ok")
	})
	return mux
}

func reply(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n")) // a client that went away is its own loss
}
