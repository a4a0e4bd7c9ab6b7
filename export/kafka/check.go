package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go"

	"neuromast/export"
)

// Level is how a check ended.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Item is one thing that was checked, and what to mend.
type Item struct {
	Name  string
	Level Level
	Text  string
}

// Check says whether records can be published: brokers reached, producer id granted, topics there and led.
func Check(ctx context.Context, cfg Config) []Item {
	client, trans, err := cfg.client()
	if err != nil {
		return []Item{{"export.kafka", Fail, err.Error()}}
	}
	defer trans.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 2*cfg.Timeout)
	defer cancel()
	var items []Item
	add := func(name string, level Level, format string, args ...any) {
		items = append(items, Item{name, level, fmt.Sprintf(format, args...)})
	}
	var topics []string
	for t := range export.NumTopics {
		topics = append(topics, cfg.topic(t))
	}
	meta, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		add("export.kafka.brokers", Fail, "%v", explain(err, cfg, ""))
		return items
	}
	var names []string
	for _, b := range meta.Brokers {
		names = append(names, fmt.Sprintf("%s:%d", b.Host, b.Port))
	}
	slices.Sort(names)
	add("export.kafka.brokers", OK, "reached; they advertise %s", strings.Join(names, ", "))
	p := &Producer{cfg: cfg, client: client}
	if _, err := p.newSession(ctx); err != nil {
		add("idempotent producer", Fail, "%v", err)
	} else {
		add("idempotent producer", OK, "the cluster granted a producer id")
	}
	for _, t := range meta.Topics {
		needed := slices.Contains([]string{cfg.topic(export.Findings), cfg.topic(export.Incidents), cfg.topic(export.Health)}, t.Name)
		switch {
		case t.Error != nil && !needed:
			continue // flows and dns are published only where configured
		case t.Error != nil:
			add("topic "+t.Name, Fail, "%v", explain(t.Error, cfg, t.Name))
		default:
			level, text := OK, fmt.Sprintf("%d partitions", len(t.Partitions))
			for _, part := range t.Partitions {
				if part.Error != nil || part.Leader.Host == "" {
					level, text = Fail, fmt.Sprintf("partition %d has no leader: %v", part.ID, errors.Join(part.Error))
				} else if len(part.Isr) < len(part.Replicas) && level == OK {
					level, text = Warn, fmt.Sprintf("partition %d has %d of %d replicas in sync", part.ID, len(part.Isr), len(part.Replicas))
				}
			}
			add("topic "+t.Name, level, "%s", text)
		}
	}
	return items
}
