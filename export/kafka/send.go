package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// send delivers the batches of one partition in order, one in flight.
func (p *Producer) send(q *partition) {
	wait := p.cfg.RetryEvery
	for {
		b, data, ok := p.head(q)
		if !ok {
			return
		}
		err := p.produce(q.place, data)
		if p.ctx.Err() != nil {
			return // closing: what is in flight stays in the spool and is sent again under the same id
		}
		switch {
		case err == nil, errors.Is(err, kafka.DuplicateSequenceNumber):
			p.settle(q, b, func(s *Stats) *uint64 { return &s.Acknowledged })
			if q.failing {
				p.log.Info("Kafka accepts records again", "topic", q.topic, "partition", q.partition)
			}
			q.failing, wait = false, p.cfg.RetryEvery
			continue
		case errors.Is(err, kafka.OutOfOrderSequenceNumber), errors.Is(err, kafka.UnknownProducerId), errors.Is(err, kafka.InvalidProducerEpoch):
			p.log.Warn("the broker has forgotten this producer; what was in flight may be doubled", "topic", q.topic, "partition", q.partition)
			if err = p.renew(q); err == nil {
				continue
			}
		case errors.Is(err, kafka.MessageSizeTooLarge), errors.Is(err, kafka.InvalidMessage), errors.Is(err, kafka.InvalidRecord):
			p.log.Error("Kafka refuses records for ever; they are lost", "topic", q.topic, "records", b.records, "error", explain(err, p.cfg, q.topic))
			p.settle(q, b, func(s *Stats) *uint64 { return &s.Lost })
			if err := p.renew(q); err != nil { // its sequence numbers will never come: those behind it need a new id
				p.log.Warn("no new producer id yet", "topic", q.topic, "error", err)
			}
			continue
		}
		if time.Since(b.at) > p.age {
			p.log.Error("records expired before Kafka took them", "topic", q.topic, "records", b.records, "error", explain(err, p.cfg, q.topic))
			p.settle(q, b, func(s *Stats) *uint64 { return &s.Expired })
			continue
		}
		if !q.failing {
			p.log.Warn("Kafka does not take records; they wait in the spool", "topic", q.topic, "partition", q.partition, "error", explain(err, p.cfg, q.topic))
			q.failing = true
		}
		p.mu.Lock()
		p.statsOf(q.topic).Retries++
		p.mu.Unlock()
		select {
		case <-time.After(wait):
			wait = min(2*wait, 20*p.cfg.RetryEvery)
		case <-p.ctx.Done():
			return
		}
	}
}

// head waits for a batch and returns it with its bytes; false when the producer closes.
func (p *Producer) head(q *partition) (batch, []byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(q.queue) == 0 && p.ctx.Err() == nil {
		p.changed.Wait()
	}
	if p.ctx.Err() != nil || p.failed != nil {
		return batch{}, nil, false
	}
	b := &q.queue[0]
	if b.tried && time.Since(b.at) > brokerMemory {
		p.statsOf(q.topic).PossiblyDoubled += uint64(b.records)
	}
	b.tried = true
	data := b.data
	if data == nil {
		raw, err := p.spool.Read(b.id)
		if err == nil {
			var en entry
			if en, err = decodeEntry(raw); err == nil {
				data = en.batch
			}
		}
		if err != nil {
			p.failed = err
			p.changed.Broadcast()
			return batch{}, nil, false
		}
	}
	return *b, data, true
}

// settle ends the head of a queue: counted, acknowledged in the spool, forgotten.
func (p *Producer) settle(q *partition, b batch, count func(*Stats) *uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.statsOf(q.topic)
	*count(st) += uint64(b.records)
	st.Waiting -= uint64(b.records)
	p.memory -= len(q.queue[0].data)
	q.queue = q.queue[1:]
	if err := p.spool.Ack(b.id); err != nil {
		p.failed = err
	}
	p.changed.Broadcast()
}

// produce sends one batch and waits for all in-sync replicas.
func (p *Producer) produce(at place, data []byte) error {
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.Timeout)
	defer cancel()
	r, err := p.client.RawProduce(ctx, &kafka.RawProduceRequest{
		Topic: at.topic, Partition: at.partition, RequiredAcks: kafka.RequireAll, RawRecords: rawRecords(data),
	})
	if err != nil {
		return err
	}
	return r.Error
}

// renew takes a new producer id for a partition whose broker forgot the old one, and stamps all that waits there anew:
// in the spool first, each new entry naming the one it replaces, so that a crash between leaves no second copy.
func (p *Producer) renew(q *partition) error {
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.Timeout)
	defer cancel()
	s, err := p.newSession(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	q.session, q.next = s, 0
	for i := range q.queue {
		b := &q.queue[i]
		raw, err := p.spool.Read(b.id)
		if err != nil {
			return err
		}
		en, err := decodeEntry(raw)
		if err != nil {
			return err
		}
		stamp(en.batch, s, q.next)
		q.next += b.records
		id, err := p.spool.Append(encodeEntry(b.id, q.place, en.batch), b.at)
		if err != nil {
			return err
		}
		if err := p.spool.Ack(b.id); err != nil {
			return err
		}
		if b.tried {
			p.statsOf(q.topic).PossiblyDoubled += uint64(b.records)
		}
		if b.data != nil {
			b.data = en.batch
		}
		b.id = id
	}
	p.log.Info("a partition has a new producer id", "topic", q.topic, "partition", q.partition)
	return nil
}

// entry is what the spool keeps of a batch.
type entry struct {
	replaces uint64 // number of the entry that this one stands for, 0 none
	place
	batch []byte
}

func encodeEntry(replaces uint64, at place, batch []byte) []byte {
	b := []byte{1}
	b = binary.LittleEndian.AppendUint64(b, replaces)
	b = binary.LittleEndian.AppendUint32(b, uint32(at.partition))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(at.topic)))
	return append(append(b, at.topic...), batch...)
}

func decodeEntry(b []byte) (e entry, err error) {
	if len(b) < 15 || b[0] != 1 {
		return e, fmt.Errorf("unknown form of spool entry")
	}
	e.replaces = binary.LittleEndian.Uint64(b[1:])
	e.partition = int(binary.LittleEndian.Uint32(b[9:]))
	n := int(binary.LittleEndian.Uint16(b[13:]))
	if len(b) < 15+n+batchHead {
		return e, fmt.Errorf("a spool entry is too short")
	}
	e.topic, e.batch = string(b[15:15+n]), b[15+n:]
	return e, nil
}
