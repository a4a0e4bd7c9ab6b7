package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Health is one record of how the sensor fares, by wall clock.
type Health struct {
	At       time.Time
	Event    string // what it is about: report, start, stop, reload, load, link, clock, export
	Message  string // for people
	Sequence uint64 // since the start
	State    any    // marshalled as neuromast.health
}

// HealthDataset names health records.
const HealthDataset = "neuromast.health"

// HealthID names a health record: of a sensor that started then.
func HealthID(sensor string, started time.Time, sequence uint64) string {
	h := sha256.New()
	h.Write([]byte(sensor))
	h.Write([]byte(started.UTC().Format(time.RFC3339Nano)))
	h.Write(appendUint(nil, "/", sequence))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// AppendHealth appends a health record as one JSON document.
func AppendHealth(b []byte, h *Health, id string, env *Env) ([]byte, error) {
	state, err := json.Marshal(h.State)
	if err != nil {
		return b, err
	}
	b = append(b, `{"@timestamp":"`...)
	b = h.At.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000000Z07:00")
	b = append(b, `","ecs":{"version":"`+ECSVersion+`"},"event":{"kind":"metric","category":["host"],"type":["info"],"module":"neuromast","dataset":"`+HealthDataset+`","id":"`...)
	b = append(b, id...)
	b = append(b, `","action":`...)
	b = appendString(b, h.Event)
	b = appendUint(b, `,"sequence":`, h.Sequence)
	b = append(b, `},"message":`...)
	b = appendString(b, h.Message)
	b = append(b, env.observer...)
	b = append(b, `,"neuromast":{"health":`...)
	b = append(b, state...)
	return append(b, '}', '}'), nil
}
