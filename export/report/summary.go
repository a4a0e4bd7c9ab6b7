package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"neuromast/detectors"
	"neuromast/detectors/incident"
	"neuromast/export"
	"neuromast/sensor/packet"
)

// Summary is what one analysis amounts to; summary.json is its JSON form, whose names are part of the contract.
type Summary struct {
	Packets       Packets
	Bytes         uint64 // captured bytes of the packets read
	Flows         uint64
	OneSidedFlows uint64 // of Flows: TCP and UDP flows of which one direction was seen only
	DNS           uint64 // transactions
	Rules         int    // rules that watched
	First, Last   packet.Time
	Findings      map[string]int // findings by rule id, each counted once whatever its revisions
	Incidents     int
	Stories       []*incident.Incident // the last record of each incident, superseded ones too
	Elapsed       time.Duration
	Truncated     bool              // an input ended early or was damaged
	Losses        map[string]uint64 // by name of flows.LossKind, those that are not 0
	Inputs        []Input
	Warnings      []string                  // for people: internal ranges that don't fit, no time zone, …
	Sensor        string                    // name and version, for the head of the page
	Kafka         map[string]export.Account // what became of published records, by topic; empty where none was published

	// Files lists where the records are, for the closing line; empty without --out.
	Files []string
	// Label gives a host's asset name, or the name that clients look it up by; nil where there is none.
	Label func(detectors.HostKey) string
}

// Packets counts frames.
type Packets struct {
	Read       uint64            `json:"read"`          // records that the inputs hold and the reader delivered
	Decoded    uint64            `json:"decoded"`       // down to a network protocol that the sensor reads
	ARP        uint64            `json:"arp,omitempty"` // of decoded: ARP messages, which belong to no flow
	Anomalies  map[string]uint64 `json:"anomalies"`
	Duplicates uint64            `json:"duplicates"`          // copies made by the mirror, counted in no flow
	Reordered  uint64            `json:"reordered,omitempty"` // came late and were put where their time belongs
	Joined     uint64            `json:"joined,omitempty"`    // IP packets put together from fragments
}

// Input is one capture.
type Input struct {
	Name      string `json:"name"`
	Size      int64  `json:"size"`             // bytes; -1 where unknown
	Digest    string `json:"sha256_first_mib"` // hex
	Frames    uint64 `json:"frames"`
	Truncated bool   `json:"truncated"`
	Damage    string `json:"damage,omitempty"` // what was wrong and where
	Drops     uint64 `json:"drops,omitempty"`  // packets that the capturing machine reported as dropped
}

// MarshalJSON writes the contract's form. Only elapsed_seconds and packets_per_second depend on the machine.
func (s *Summary) MarshalJSON() ([]byte, error) {
	doc := struct {
		Packets          Packets           `json:"packets"`
		Bytes            uint64            `json:"bytes"`
		Flows            uint64            `json:"flows"`
		OneSidedFlows    uint64            `json:"one_sided_flows"`
		DNS              uint64            `json:"dns"`
		First            *string           `json:"first"`
		Last             *string           `json:"last"`
		Findings         map[string]int    `json:"findings"`
		Incidents        int               `json:"incidents"`
		ElapsedSeconds   float64           `json:"elapsed_seconds"`
		PacketsPerSecond float64           `json:"packets_per_second"`
		Truncated        bool              `json:"truncated"`
		Losses           map[string]uint64 `json:"losses"`
		Inputs           []Input           `json:"inputs"`
		Warnings         []string          `json:"warnings"`

		Kafka map[string]export.Account `json:"kafka,omitempty"`
	}{
		Packets: s.Packets, Bytes: s.Bytes, Flows: s.Flows, OneSidedFlows: s.OneSidedFlows, DNS: s.DNS, Findings: s.Findings,
		Incidents: s.Incidents, ElapsedSeconds: s.Elapsed.Seconds(), PacketsPerSecond: s.rate(), Truncated: s.Truncated,
		Losses: s.Losses, Inputs: s.Inputs, Warnings: s.Warnings, Kafka: s.Kafka,
	}
	if s.Packets.Read > 0 { // without packets there is no first one
		first, last := s.First.String(), s.Last.String()
		doc.First, doc.Last = &first, &last
	}
	// An empty map or list rather than null, so that consumers need no case for it.
	if doc.Packets.Anomalies == nil {
		doc.Packets.Anomalies = map[string]uint64{}
	}
	if doc.Findings == nil {
		doc.Findings = map[string]int{}
	}
	if doc.Losses == nil {
		doc.Losses = map[string]uint64{}
	}
	if doc.Inputs == nil {
		doc.Inputs = []Input{}
	}
	if doc.Warnings == nil {
		doc.Warnings = []string{}
	}
	return json.Marshal(doc)
}

// rate is packets per second of wall time.
func (s *Summary) rate() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Packets.Read) / s.Elapsed.Seconds()
}

// Encode writes summary.json.
func (s *Summary) Encode(w io.Writer) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// WriteFiles writes summary.json and report.html into dir, each under another name until it is whole.
func WriteFiles(dir string, fs []*detectors.Finding, sum Summary) error {
	return errors.Join(
		writeFile(filepath.Join(dir, "summary.json"), sum.Encode),
		writeFile(filepath.Join(dir, "report.html"), func(w io.Writer) error { return HTML(w, fs, sum) }),
	)
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path + ".partial")
	if err != nil {
		return fmt.Errorf("output file: %w", err)
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(path+".partial", path)
	}
	if err != nil {
		return fmt.Errorf("output file %s: %w", path, err)
	}
	return nil
}

// blind lists what the analysis could not see, for people, worst first.
func (s *Summary) blind() []string {
	var list []string
	say := func(n uint64, one, many string) {
		if n == 1 {
			list = append(list, "1 "+one)
		} else if n > 1 {
			list = append(list, grouped(n)+" "+many)
		}
	}
	for _, in := range s.Inputs {
		if in.Truncated || in.Damage != "" {
			what := "ends early"
			if in.Damage != "" {
				what = in.Damage
			}
			list = append(list, clean(in.Name)+": "+clean(what))
		}
		say(in.Drops, "packet dropped by the capturing machine", "packets dropped by the capturing machine")
	}
	if s.Truncated && len(list) == 0 {
		list = append(list, "a capture ends early")
	}
	if s.OneSidedFlows > 0 && s.Flows > 0 {
		list = append(list, fmt.Sprintf("%d %% of flows one direction only", s.OneSidedFlows*100/s.Flows))
	}
	an := s.Packets.Anomalies
	say(an["snaplen_cut"], "packet cut by the capture's snap length", "packets cut by the capture's snap length")
	say(an["tunnel_not_decoded"], "packet in a tunnel that is not decoded", "packets in tunnels that are not decoded")
	say(an["ip_fragment"], "IP fragment", "IP fragments")
	if s.Packets.Read > s.Packets.Decoded {
		say(s.Packets.Read-s.Packets.Decoded, "packet not decoded", "packets not decoded")
	}
	for _, l := range [...]struct{ name, one, many string }{
		{"stream_bytes", "byte missing in streams", "bytes missing in streams"},
		{"stream_buffer_bytes", "byte out of order given up", "bytes out of order given up"},
		{"evicted_flows", "flow ended early for memory", "flows ended early for memory"},
		{"unparsed_connections", "connection not parsed for memory", "connections not parsed for memory"},
		{"facts", "protocol event beyond the bounds", "protocol events beyond the bounds"},
		{"side_records", "side record not kept for memory", "side records not kept for memory"},
		{"late_packets", "packet out of order by more than the window", "packets out of order by more than the window"},
	} {
		say(s.Losses[l.name], l.one, l.many)
	}
	return list
}

// scope says what was looked at.
func (s *Summary) scope() string {
	text := fmt.Sprintf("%s in %s", count(s.Packets.Read, "packet", "packets"), count(s.Flows, "flow", "flows"))
	if s.DNS > 0 {
		text += ", " + count(s.DNS, "DNS transaction", "DNS transactions")
	}
	if s.Rules > 0 {
		text += fmt.Sprintf(", watched by %s", count(uint64(s.Rules), "rule", "rules"))
	}
	return text
}

// span says when: the day is not repeated where it is the same.
func (s *Summary) span() string {
	if s.Packets.Read == 0 {
		return "no packets"
	}
	first, last := s.First.Std(), s.Last.Std()
	end := "2006-01-02 15:04:05"
	if first.Format(time.DateOnly) == last.Format(time.DateOnly) {
		end = "15:04:05"
	}
	return fmt.Sprintf("%s to %s UTC (%s)", first.Format("2006-01-02 15:04:05"), last.Format(end), duration(last.Sub(first)))
}

// duration writes a time span for people: two units at most.
func duration(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// size writes bytes for people in decimal units.
func size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1e3, "kB"
	for _, u := range []string{"MB", "GB", "TB"} {
		if f < 1000 {
			break
		}
		f, unit = f/1e3, u
	}
	if f < 10 {
		return fmt.Sprintf("%.1f %s", f, unit)
	}
	return fmt.Sprintf("%.0f %s", f, unit)
}

// count writes a number with its noun.
func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// grouped writes n with separators: 1,234,567.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
