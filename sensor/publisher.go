package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"neuromast/export"
	"neuromast/export/kafka"
	"neuromast/export/spool"
)

// publisherQueue bounds the records between analysis and the broker's sink: findings are few, so this is minutes.
const publisherQueue = 1024

// reachEvery is how often a live sensor tries to reach brokers that it has not reached since it started.
const reachEvery = 5 * time.Second

// publisher gives a sink a goroutine of its own, so that analysis waits for Kafka only when the queue and the spool
// behind it are full.
//
// A live sensor starts without its brokers too: until they are reached, records are kept in a spool of their own, beside
// that of the producer, and go out first.
type publisher struct {
	cfg     kafka.Config
	spool   spool.Config
	sensor  string
	logger  *slog.Logger
	queue   chan export.Record
	closing chan struct{}
	done    chan struct{}
	failed  error // valid after done

	mu     sync.Mutex
	sink   *kafka.Producer // nil until the brokers are reached
	unsent uint64          // records that wait for that
	why    string          // why they were not reached, when last tried
}

// newPublisher reaches the brokers and starts; where lazy is set it starts without them if need be.
func newPublisher(ctx context.Context, cfg kafka.Config, sp spool.Config, sensor string, lazy bool, logger *slog.Logger) (*publisher, error) {
	p := &publisher{
		cfg: cfg, spool: sp, sensor: sensor, logger: logger,
		queue: make(chan export.Record, publisherQueue), closing: make(chan struct{}), done: make(chan struct{}),
	}
	early, err := p.openEarly()
	if err != nil {
		return nil, err
	}
	if p.sink, err = kafka.Open(ctx, cfg, sp, sensor, logger); err != nil {
		if !lazy {
			return nil, errors.Join(err, early.Close())
		}
		p.why = err.Error()
		logger.Warn("Kafka is not reached; records wait on the disk", "error", err)
	}
	go func() {
		defer close(p.done)
		p.failed = p.run(context.WithoutCancel(ctx), early)
	}()
	return p, nil
}

// early is the spool of records that came before the brokers were reached.
type early struct {
	*spool.Spool
	waiting []spool.Entry
}

func (p *publisher) openEarly() (*early, error) {
	cfg := p.spool
	cfg.Dir = filepath.Join(cfg.Dir, "unsent")
	s, entries, err := spool.Open(cfg)
	if err != nil {
		return nil, err
	}
	p.unsent = uint64(len(entries))
	return &early{s, entries}, nil
}

// run takes records until the queue is closed.
func (p *publisher) run(ctx context.Context, e *early) error {
	err := p.reach(ctx, e)
	var waiting []export.Record
	for r := range p.queue {
		waiting = append(waiting[:0], r)
		for len(p.queue) > 0 { // what came meanwhile shares batches
			waiting = append(waiting, <-p.queue)
		}
		if err == nil { // after a failure the queue is only emptied
			err = p.producer().PutAll(ctx, waiting)
		}
	}
	return errors.Join(err, e.Close())
}

func (p *publisher) producer() *kafka.Producer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sink
}

// reach tries to reach the brokers until it does or the queue is closed; meanwhile records go into the early spool. In
// the end the queue may be closed with no producer there: then all that came is in that spool.
func (p *publisher) reach(ctx context.Context, e *early) error {
	for p.producer() == nil {
		sink, err := kafka.Open(ctx, p.cfg, p.spool, p.sensor, p.logger)
		p.mu.Lock()
		if err == nil {
			p.sink, p.why = sink, ""
		} else {
			p.why = err.Error()
		}
		p.mu.Unlock()
		if err == nil {
			p.logger.Info("Kafka is reached", "waiting", len(e.waiting))
			break
		}
		again := time.After(reachEvery)
		for waiting := true; waiting; {
			select {
			case r, ok := <-p.queue:
				if !ok {
					return nil
				}
				if err := p.keep(e, r); err != nil {
					return err
				}
			case <-again:
				waiting = false
			case <-p.closing:
				for r := range p.queue {
					if err := p.keep(e, r); err != nil {
						return err
					}
				}
				return nil
			}
		}
	}
	for _, entry := range e.waiting {
		var r export.Record
		if err := json.Unmarshal(entry.Data, &r); err != nil {
			return fmt.Errorf("a record in %s can't be read: %w", filepath.Join(p.spool.Dir, "unsent"), err)
		}
		if err := p.producer().Put(ctx, r); err != nil {
			return err
		}
		if err := e.Ack(entry.ID); err != nil {
			return err
		}
	}
	e.waiting = nil
	p.mu.Lock()
	p.unsent = 0
	p.mu.Unlock()
	return nil
}

// keep puts a record into the early spool.
func (p *publisher) keep(e *early, r export.Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	id, err := e.Append(data, time.Now())
	if err != nil {
		return fmt.Errorf("keeping a record for Kafka: %w", err)
	}
	e.waiting = append(e.waiting, spool.Entry{ID: id, Data: data})
	p.mu.Lock()
	p.unsent++
	p.mu.Unlock()
	return nil
}

func (p *publisher) put(r export.Record) { p.queue <- r }

// offer is put for a record that may be left out where the queue is full: health is said again a minute later.
func (p *publisher) offer(r export.Record) {
	select {
	case p.queue <- r:
	default:
	}
}

// stats returns the account of every topic, and what waits because the brokers were never reached, with the reason.
func (p *publisher) stats() (topics map[string]kafka.Stats, unsent uint64, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sink != nil {
		topics = p.sink.Stats()
	}
	return topics, p.unsent, p.why
}

// close delivers what waits, as far as ctx allows.
func (p *publisher) close(ctx context.Context) error {
	close(p.closing)
	close(p.queue)
	<-p.done
	err := p.failed
	if sink := p.producer(); sink != nil {
		return errors.Join(err, sink.Close(ctx))
	}
	if p.unsent > 0 {
		err = errors.Join(err, fmt.Errorf("kafka: %d records wait in %s, because the brokers were never reached (%s); they go out when the sensor starts with it again",
			p.unsent, filepath.Join(p.spool.Dir, "unsent"), p.why))
	}
	return err
}
