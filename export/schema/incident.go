package schema

import (
	"bytes"
	"encoding/json"
	"math"

	"neuromast/detectors/incident"
	"neuromast/sensor/packet"
)

// Incidents are rare, so that their documents are made by the standard library; the others are appended by hand.
type incidentDoc struct {
	Message   string          `json:"message"`
	Event     incidentEvent   `json:"event"`
	Source    ipDoc           `json:"source"`
	Related   relatedDoc      `json:"related"`
	Threat    json.RawMessage `json:"threat,omitempty"`
	Observer  json.RawMessage `json:"observer"`
	Neuromast incidentOwn     `json:"neuromast"`
}

type ipDoc struct {
	IP string `json:"ip"`
}

type relatedDoc struct {
	IP    []string `json:"ip"`
	Hosts []string `json:"hosts,omitempty"`
	User  []string `json:"user,omitempty"`
}

type incidentEvent struct {
	Kind      string          `json:"kind"`
	Category  []string        `json:"category"`
	Type      []string        `json:"type"`
	Module    string          `json:"module"`
	Dataset   string          `json:"dataset"`
	ID        string          `json:"id"`
	Start     json.RawMessage `json:"start"`
	End       json.RawMessage `json:"end"`
	RiskScore float64         `json:"risk_score"`
	Severity  uint64          `json:"severity"`
}

type incidentOwn struct {
	Revision     int             `json:"revision"`
	State        string          `json:"state"`
	Severity     string          `json:"severity"`
	SupersededBy string          `json:"superseded_by,omitempty"`
	Stages       []stageDoc      `json:"stages"`
	Hosts        []hostDoc       `json:"hosts"`
	Moves        []moveDoc       `json:"moves"`
	Timeline     []entryDoc      `json:"timeline"`
	Left         int             `json:"timeline_left_out,omitempty"`
	Score        scoreDoc        `json:"score"`
	Responses    []responseDoc   `json:"responses"`
	Limits       []string        `json:"limits"`
	Quality      json.RawMessage `json:"capture_quality"`
}

type stageDoc struct {
	Stage    string          `json:"stage"`
	Start    json.RawMessage `json:"start"`
	End      json.RawMessage `json:"end"`
	Findings int             `json:"findings"`
}

type hostDoc struct {
	IP       string          `json:"ip"`
	Role     string          `json:"role"`
	ID       string          `json:"id,omitempty"`
	Name     string          `json:"name,omitempty"`
	Critical bool            `json:"critical,omitempty"`
	First    json.RawMessage `json:"first"`
	Nats     float64         `json:"nats"`
}

type moveDoc struct {
	From        string          `json:"from"`
	To          string          `json:"to"`
	At          json.RawMessage `json:"at"`
	Probability float64         `json:"probability"`
	Finding     string          `json:"finding"`
}

type entryDoc struct {
	At          json.RawMessage `json:"at"`
	Finding     string          `json:"finding"`
	Published   bool            `json:"published"`
	Rule        string          `json:"rule"`
	Stage       string          `json:"stage"`
	Nats        float64         `json:"nats"`
	Message     string          `json:"message"`
	Source      string          `json:"source"`
	Destination string          `json:"destination,omitempty"`
}

type scoreDoc struct {
	LLR   float64   `json:"llr"`
	Parts []partDoc `json:"parts"`
}

type partDoc struct {
	Name string  `json:"name"`
	Nats float64 `json:"nats"`
}

type responseDoc struct {
	Action      string `json:"action"`
	Target      string `json:"target"`
	Reason      string `json:"reason"`
	Confidence  string `json:"confidence"`
	Reversible  bool   `json:"reversible"`
	Approval    string `json:"approval"`
	BlastRadius string `json:"blast_radius"`
}

// AppendIncident appends an incident as one JSON document.
func AppendIncident(b []byte, i *incident.Incident, env *Env) []byte {
	at := func(t packet.Time) json.RawMessage { return appendTime(nil, t) }
	own := incidentOwn{
		Revision: i.Revision, State: i.State.String(), Severity: i.Severity().String(), SupersededBy: i.SupersededBy, Left: i.Left,
		Stages: []stageDoc{}, Hosts: []hostDoc{}, Moves: []moveDoc{}, Timeline: []entryDoc{}, Responses: []responseDoc{},
		Score: scoreDoc{LLR: hundredths(i.Score), Parts: []partDoc{}}, Limits: append([]string{}, i.Limits...), Quality: appendQuality(nil, &i.Quality),
	}
	related := relatedDoc{User: i.Users, Hosts: append([]string(nil), i.Domains...)}
	for _, s := range i.Stages {
		own.Stages = append(own.Stages, stageDoc{s.Stage.String(), at(s.Start), at(s.End), s.Signals})
	}
	for _, h := range i.Hosts {
		d := hostDoc{IP: h.Key.Addr.String(), ID: h.ID, Name: h.Name, Role: string(h.Role), First: at(h.First), Nats: h.Nats}
		if h.Name != "" {
			related.Hosts = append(related.Hosts, h.Name)
		}
		if env.site != nil {
			if asset, ok := env.site.Asset(h.Key.Addr); ok {
				d.Name, d.Critical = asset.Name, asset.Critical
				related.Hosts = append(related.Hosts, asset.Name)
			}
		}
		own.Hosts = append(own.Hosts, d)
		related.IP = append(related.IP, d.IP)
	}
	related.IP, related.Hosts = unique(related.IP), unique(related.Hosts)
	for _, m := range i.Moves {
		own.Moves = append(own.Moves, moveDoc{m.From.Addr.String(), m.To.Addr.String(), at(m.At), hundredths(m.P), m.Signal})
	}
	for _, s := range i.Timeline {
		e := entryDoc{
			At: at(s.Start), Finding: s.ID, Published: s.Finding, Rule: s.Rule, Stage: s.Stage.String(), Nats: hundredths(s.LLR), Message: s.Message,
			Source: s.Actor.Addr.String(), Destination: s.Domain,
		}
		if s.Domain == "" && s.Peer.Addr != (packet.Addr{}) {
			e.Destination = s.Peer.Addr.String()
		}
		own.Timeline = append(own.Timeline, e)
	}
	for _, p := range i.Parts {
		own.Score.Parts = append(own.Score.Parts, partDoc(p))
	}
	for _, r := range i.Responses {
		own.Responses = append(own.Responses, responseDoc(r))
	}
	doc := incidentDoc{
		Message: i.Message,
		Event: incidentEvent{
			Kind: "alert", Category: []string{"intrusion_detection"}, Type: []string{"info"}, Module: "neuromast", Dataset: IncidentDataset,
			ID: i.ID, Start: at(i.Start), End: at(i.End), RiskScore: math.Floor(i.Risk()*10) / 10, Severity: severityNumber[i.Severity()],
		},
		Source: ipDoc{i.First().Addr.String()}, Related: related, Neuromast: own,
		Threat:   bytes.TrimPrefix(appendThreat(nil, i.Techniques), []byte(`,"threat":`)),
		Observer: bytes.TrimPrefix(env.observer, []byte(`,"observer":`)),
	}
	return appendRest(b, i.At, &doc)
}

// hundredths rounds to two decimals; what is no number becomes 0.
func hundredths(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return math.Round(x*100) / 100
}

// unique keeps the first of equal strings.
func unique(list []string) []string {
	seen := map[string]bool{}
	out := list[:0]
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
