// Package kafka publishes records to Apache Kafka: each once, in order per key, nothing lost while the disk lasts.
//
// kafka-go's Writer has no idempotence, so the producer stands on Client.InitProducerID and Client.RawProduce: a batch
// gets its partition (murmur2 of the key, as Java's producers choose it), producer id, epoch and base sequence, is
// written to the spool, and only then sent, one in flight per partition, never cut anew. What a broker acknowledged twice
// it stored once. After a restart the same bytes go out under the same id; new records then come under a new one. Only
// where a broker has forgotten an id is a batch stamped anew, and counted as possibly doubled: consumers then deduplicate
// by event id and revision.
//
// Memory holds the numbers of waiting batches and at most some of their bytes; the rest is read back from the spool. A
// full spool makes Put wait.
package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"neuromast/export"
	"neuromast/export/spool"
)

// Stats accounts for every record of a topic.
type Stats = export.Account

// memoryBytes bounds the waiting batches' bytes that are kept in memory; what is beyond is read back from the spool.
const memoryBytes = 16 << 20

// brokerMemory is how long a broker remembers a producer id (producer.id.expiration.ms defaults to a day).
const brokerMemory = 24 * time.Hour

// Producer is an export.Sink. It is safe for concurrent use.
type Producer struct {
	cfg    Config
	age    time.Duration
	sensor string
	log    *slog.Logger
	client *kafka.Client
	trans  *kafka.Transport
	cancel context.CancelFunc
	ctx    context.Context
	done   sync.WaitGroup

	mu       sync.Mutex // guards all below
	changed  *sync.Cond // a batch was acknowledged or given up, or the producer closes
	spool    *spool.Spool
	parts    map[place]*partition
	counts   map[string]int // partitions of each topic
	first    session        // of this process, shared until a partition needs another
	stats    map[string]*Stats
	sequence uint64
	memory   int
	closed   bool
	failed   error // the spool's own failure
}

// place is a partition of a topic.
type place struct {
	topic     string
	partition int
}

// partition is the queue of one partition.
type partition struct {
	place
	session session
	next    int32 // base sequence of the next batch
	queue   []batch
	failing bool
}

// batch is a spooled batch that waits.
type batch struct {
	id      uint64
	data    []byte // nil: read back from the spool
	records int32
	at      time.Time
	tried   bool // sent at least once, or perhaps before a restart
}

// Open reaches the brokers, takes up what the spool holds, and starts sending. Its errors name what to mend.
func Open(ctx context.Context, cfg Config, sp spool.Config, sensor string, log *slog.Logger) (*Producer, error) {
	client, trans, err := cfg.client()
	if err != nil {
		return nil, err
	}
	p := &Producer{
		cfg: cfg, age: sp.MaxAge, sensor: sensor, log: log, client: client, trans: trans,
		parts: map[place]*partition{}, counts: map[string]int{}, stats: map[string]*Stats{},
	}
	p.changed = sync.NewCond(&p.mu)
	if err := p.meet(ctx); err != nil {
		trans.CloseIdleConnections()
		return nil, fmt.Errorf("kafka: %w", err)
	}
	var entries []spool.Entry
	if p.spool, entries, err = spool.Open(sp); err != nil {
		trans.CloseIdleConnections()
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.recover(entries); err != nil {
		p.cancel()
		p.done.Wait()
		return nil, errors.Join(err, p.spool.Close())
	}
	return p, nil
}

func (c Config) topic(t export.Topic) string { return c.TopicPrefix + "." + t.String() }

// needed lists the topics that this configuration writes.
func (c Config) needed() []string {
	names := []string{c.topic(export.Findings), c.topic(export.Incidents), c.topic(export.Health)}
	if c.Signals {
		names = append(names, c.topic(export.Signals))
	}
	return names
}

// meet takes a producer id and the number of partitions of each topic.
func (p *Producer) meet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	s, err := p.newSession(ctx)
	if err != nil {
		return err
	}
	p.first = s
	meta, err := p.client.Metadata(ctx, &kafka.MetadataRequest{Topics: p.cfg.needed()})
	if err != nil {
		return explain(err, p.cfg, "")
	}
	var errs []error
	for _, t := range meta.Topics {
		if t.Error != nil {
			errs = append(errs, explain(t.Error, p.cfg, t.Name))
		}
		p.counts[t.Name] = len(t.Partitions)
	}
	return errors.Join(errs...)
}

// newSession asks the cluster for a producer id. The error code of the answer is checked here: kafka-go leaves it.
func (p *Producer) newSession(ctx context.Context) (session, error) {
	for {
		r, err := p.client.InitProducerID(ctx, &kafka.InitProducerIDRequest{TransactionTimeoutMs: 60_000, ProducerID: -1, ProducerEpoch: -1})
		if err == nil {
			err = r.Error
		}
		switch {
		case err == nil:
			return session{int64(r.Producer.ProducerID), int16(r.Producer.ProducerEpoch)}, nil
		case !errors.Is(err, kafka.GroupLoadInProgress): // else the broker has just started and will answer soon
			return session{}, explain(err, p.cfg, "")
		}
		select {
		case <-time.After(p.cfg.RetryEvery):
		case <-ctx.Done():
			return session{}, explain(err, p.cfg, "")
		}
	}
}

// recover queues what the spool holds, but for entries that a later one replaces.
func (p *Producer) recover(entries []spool.Entry) error {
	replaced := map[uint64]bool{}
	for _, e := range entries {
		if en, err := decodeEntry(e.Data); err == nil && en.replaces != 0 {
			replaced[en.replaces] = true
		}
	}
	for _, e := range entries {
		en, err := decodeEntry(e.Data)
		if err != nil || replaced[e.ID] {
			if err != nil {
				p.log.Error("a spool entry can't be read and is dropped", "entry", e.ID, "error", err)
			}
			if err := p.spool.Ack(e.ID); err != nil {
				return err
			}
			continue
		}
		q := p.partition(en.place)
		b := batch{id: e.ID, records: batchRecords(en.batch), at: e.At, tried: true}
		p.keep(&b, en.batch)
		q.queue = append(q.queue, b)
		st := p.statsOf(en.topic)
		st.Recovered += uint64(b.records)
		st.Waiting += uint64(b.records)
	}
	return nil
}

// keep holds a batch's bytes in memory while there is room.
func (p *Producer) keep(b *batch, data []byte) {
	if p.memory+len(data) <= memoryBytes {
		b.data = data
		p.memory += len(data)
	}
}

// partition returns a partition's queue, started at first use.
func (p *Producer) partition(at place) *partition {
	q := p.parts[at]
	if q == nil {
		q = &partition{place: at, session: p.first}
		p.parts[at] = q
		p.done.Go(func() { p.send(q) })
	}
	return q
}

func (p *Producer) statsOf(topic string) *Stats {
	st := p.stats[topic]
	if st == nil {
		st = &Stats{}
		p.stats[topic] = st
	}
	return st
}

// Stats returns the account of every topic.
func (p *Producer) Stats() map[string]Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]Stats{}
	for t, s := range p.stats {
		out[t] = *s
	}
	return out
}

// Put publishes one record: when it returns, the record is in the spool.
func (p *Producer) Put(ctx context.Context, r export.Record) error {
	return p.PutAll(ctx, []export.Record{r})
}

// PutAll publishes records in their order, batched by partition. It waits while the spool is full.
func (p *Producer) PutAll(ctx context.Context, records []export.Record) error {
	stop := context.AfterFunc(ctx, p.changed.Broadcast)
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(records) > 0 {
		// The longest run of one partition that fits a batch.
		at, err := p.placeOf(records[0])
		if err != nil {
			return err
		}
		n, size := 0, 0
		for n < len(records) && (n == 0 || size < p.cfg.BatchBytes) {
			if a, err := p.placeOf(records[n]); err != nil || a != at {
				break
			}
			size += len(records[n].Key) + len(records[n].Value) + 512 // headers
			if n > 0 && size > p.cfg.BatchBytes {
				break
			}
			n++
		}
		if err := p.putBatch(ctx, at, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

func (p *Producer) placeOf(r export.Record) (place, error) {
	topic := p.cfg.topic(r.Topic)
	n := p.counts[topic]
	if n == 0 {
		return place{}, fmt.Errorf("kafka: topic %s is not published to", topic)
	}
	return place{topic, partitionOf(r.Key, n)}, nil
}

func (p *Producer) putBatch(ctx context.Context, at place, records []export.Record) error {
	messages := make([]message, len(records))
	for i, r := range records {
		p.sequence++
		messages[i] = newMessage(r, p.sensor, p.sequence)
	}
	for {
		if p.closed {
			return errors.New("kafka: the producer is closed")
		}
		if p.failed != nil {
			return p.failed
		}
		q := p.partition(at)
		now := time.Now()
		data := encodeBatch(messages, q.session, q.next, now)
		id, err := p.spool.Append(encodeEntry(0, at, data), now)
		if errors.Is(err, spool.ErrFull) {
			if ctx.Err() != nil {
				return fmt.Errorf("kafka: %w while waiting for the brokers: %w", err, context.Cause(ctx))
			}
			p.changed.Wait()
			continue
		}
		if err != nil {
			p.failed = err
			return err
		}
		b := batch{id: id, records: int32(len(records)), at: now}
		p.keep(&b, data)
		q.next += b.records
		q.queue = append(q.queue, b)
		st := p.statsOf(at.topic)
		st.Produced += uint64(len(records))
		st.Waiting += uint64(len(records))
		p.changed.Broadcast()
		return nil
	}
}

// Close waits until all is acknowledged, as far as ctx allows, and says what is left: it stays in the spool.
func (p *Producer) Close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, p.changed.Broadcast)
	defer stop()
	p.mu.Lock()
	for p.waiting() > 0 && ctx.Err() == nil && p.failed == nil {
		p.changed.Wait()
	}
	left := p.waiting()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.changed.Broadcast()
	p.done.Wait()
	p.trans.CloseIdleConnections()
	err := errors.Join(p.failed, p.spool.Close())
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("kafka: %d records are not acknowledged; they wait in the spool and go out when the sensor starts with it again", left))
	}
	return err
}

func (p *Producer) waiting() (n uint64) {
	for _, s := range p.stats {
		n += s.Waiting
	}
	return n
}

var _ export.Sink = (*Producer)(nil)

// rawRecords wraps a batch for RawProduce, which wants the length of the record set before it.
func rawRecords(b []byte) protocol.RawRecordSet {
	size := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
	return protocol.RawRecordSet{Reader: io.MultiReader(bytes.NewReader(size), bytes.NewReader(b))}
}
