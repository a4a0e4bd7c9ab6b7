package telemetry

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"neuromast/export"
)

func TestHandler(t *testing.T) {
	s := State{
		Version: "1", Packets: 12, Anomalies: map[string]uint64{"bad_icmp": 3}, Losses: map[string]uint64{"facts": 4}, Malformed: map[string]uint64{"kerberos": 6},
		Findings: []Findings{{"scan.trw", "open", 2}}, Interfaces: []Interface{{Name: "eth0", Drops: 5, Down: true}, {Name: "eth0", Ring: 1}},
		Export: Export{Topics: map[string]export.Account{"neuromast.findings": {Produced: 2, Waiting: 1}}}, Why: "eth0 is down",
		Detection: Detection{Late: 7, Evicted: map[string]uint64{"rpc.op": 8}, Incidents: Incidents{Open: 9, Updated: 10}},
	}
	srv := httptest.NewServer(Handler(func() State { return s }))
	defer srv.Close()
	get := func(path string) (int, string) {
		r, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(text)
	}
	code, text := get("/metrics")
	for _, want := range []string{
		"neuromast_packets_total 12\n", `neuromast_malformed_messages_total{protocol="kerberos"} 6`, `neuromast_anomalies_total{anomaly="bad_icmp"} 3`, `neuromast_losses_total{kind="facts"} 4`,
		`neuromast_dropped_packets_total{cause="kernel",interface="eth0",ring="0"} 5`, `neuromast_interface_up{interface="eth0",ring="0"} 0`,
		`neuromast_finding_records_total{rule="scan.trw",state="open"} 2`, `neuromast_export_spooled_records{topic="neuromast.findings"} 1`,
		`neuromast_detector_evicted_total{detector="rpc.op"} 8`, "neuromast_late_items_total 7\n", "neuromast_incidents_open 9\n", `neuromast_incident_records_total{state="update"} 10`,
		`neuromast_build_info{version="1"} 1`, "# HELP neuromast_packets_total Frames read.", "# TYPE neuromast_packets_total counter",
	} {
		if code != 200 || !strings.Contains(text, want) {
			t.Errorf("%d: no %q in\n%s", code, want, text)
		}
	}
	if code, text := get("/readyz"); code != 503 || text != "eth0 is down\n" {
		t.Errorf("not ready: %d %q", code, text)
	}
	s.Ready = true
	if code, _ := get("/readyz"); code != 200 {
		t.Errorf("ready: %d", code)
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("healthz: %d", code)
	}
	if code, _ := get("/else"); code != 404 {
		t.Errorf("else: %d", code)
	}
}
