package schema

import (
	"bytes"
	"encoding/json"
	"strings"

	"neuromast/detectors"
	"neuromast/sensor/packet"
)

// signalOwn is neuromast.* of a signal: all that the correlation needs.
type signalOwn struct {
	Stage     string          `json:"stage"`
	Family    string          `json:"family"`
	LLR       float64         `json:"llr"`
	Reaches   bool            `json:"reaches"`
	Published bool            `json:"published"`
	Segment   uint32          `json:"segment"`
	Causes    []causeDoc      `json:"causes"`
	Flows     []string        `json:"community_ids"`
	Quality   json.RawMessage `json:"capture_quality"`
}

type causeDoc struct {
	ID string  `json:"id"`
	P  float64 `json:"probability"`
}

// AppendSignal appends a signal as one JSON document.
func AppendSignal(b []byte, s *detectors.Signal, env *Env) []byte {
	own := signalOwn{
		Stage: s.Stage.String(), Family: s.Family().String(), LLR: hundredths(s.LLR), Reaches: s.Reaches, Published: s.Finding,
		Segment: uint32(s.Actor.Segment), Causes: []causeDoc{}, Flows: []string{}, Quality: appendQuality(nil, &s.Quality),
	}
	for _, c := range s.Causes {
		own.Causes = append(own.Causes, causeDoc{c.ID, hundredths(c.P)})
	}
	for i := range s.Conns {
		own.Flows = append(own.Flows, s.Conns[i].CommunityID(0))
	}
	own.Flows = unique(own.Flows)
	type destination struct {
		IP     string `json:"ip,omitempty"`
		Domain string `json:"domain,omitempty"`
	}
	doc := struct {
		Message     string            `json:"message"`
		Event       map[string]any    `json:"event"`
		Rule        map[string]string `json:"rule"`
		Source      ipDoc             `json:"source"`
		Destination *destination      `json:"destination,omitempty"`
		Related     relatedDoc        `json:"related"`
		Threat      json.RawMessage   `json:"threat,omitempty"`
		Observer    json.RawMessage   `json:"observer"`
		Neuromast   signalOwn         `json:"neuromast"`
	}{
		Message: s.Message,
		Event: map[string]any{
			"kind": "event", "category": []string{"intrusion_detection"}, "type": []string{"info"}, "module": "neuromast", "dataset": SignalDataset, "id": s.ID,
			"start": json.RawMessage(appendTime(nil, s.Start)), "end": json.RawMessage(appendTime(nil, s.End)),
		},
		Rule: map[string]string{"id": s.Rule, "name": s.Name, "category": s.Stage.String()}, Source: ipDoc{s.Actor.Addr.String()},
		Related:  relatedDoc{IP: []string{s.Actor.Addr.String()}, User: s.Users},
		Threat:   bytes.TrimPrefix(appendThreat(nil, s.Techniques), []byte(`,"threat":`)),
		Observer: bytes.TrimPrefix(env.observer, []byte(`,"observer":`)), Neuromast: own,
	}
	if s.Peer.Addr != (packet.Addr{}) || s.Domain != "" {
		doc.Destination = &destination{Domain: s.Domain}
		if s.Peer.Addr != (packet.Addr{}) {
			doc.Destination.IP = s.Peer.Addr.String()
			doc.Related.IP = append(doc.Related.IP, doc.Destination.IP)
		}
	}
	doc.Related.IP = unique(doc.Related.IP)
	return appendRest(b, s.At, &doc)
}

// appendRest appends a document of the standard library's making behind the fields that every record begins with.
func appendRest(b []byte, at packet.Time, doc any) []byte {
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		panic(err) // strings and finite numbers only
	}
	b = append(b, `{"@timestamp":`...)
	b = appendTime(b, at)
	b = append(b, `,"ecs":{"version":"`+ECSVersion+`"},`...)
	return append(b, strings.TrimSuffix(text.String()[1:], "\n")...)
}
