package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
		needed := slices.Contains(cfg.needed(), t.Name)
		switch {
		case t.Error != nil && !needed:
			continue // flows, dns and signals are published only where configured
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
			if needed && level != Fail {
				if err := p.mayWrite(ctx, t.Name); err != nil {
					add("topic "+t.Name+" rights", Fail, "%v", explain(err, cfg, t.Name))
				}
				if size, ok := p.largest(ctx, t.Name); ok && size < cfg.BatchBytes {
					add("topic "+t.Name+" message size", Fail, "takes %d bytes, export.kafka.batch_bytes is %d: lower it, or raise the topic's max.message.bytes", size, cfg.BatchBytes)
				}
			}
		}
	}
	return items
}

// mayWrite sends a topic a record set without a batch: the broker looks at the rights first, and then refuses it, so that
// nothing is written.
func (p *Producer) mayWrite(ctx context.Context, topic string) error {
	r, err := p.client.RawProduce(ctx, &kafka.RawProduceRequest{Topic: topic, RequiredAcks: kafka.RequireAll, RawRecords: rawRecords(nil)})
	if err == nil {
		err = r.Error
	}
	if errors.Is(err, kafka.TopicAuthorizationFailed) {
		return err
	}
	return nil
}

// largest returns what a topic's max.message.bytes is; false where the user may not ask.
func (p *Producer) largest(ctx context.Context, topic string) (size int, ok bool) {
	const key = "max.message.bytes"
	r, err := p.client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{key}}},
	})
	if err != nil {
		return 0, false
	}
	for _, res := range r.Resources {
		for _, e := range res.ConfigEntries {
			if e.ConfigName == key {
				size, err := strconv.Atoi(e.ConfigValue)
				return size, err == nil
			}
		}
	}
	return 0, false
}
