package main

import (
	"context"
	"errors"

	"neuromast/export"
	"neuromast/export/kafka"
)

// publisherQueue bounds the records between analysis and the broker's sink: findings are few, so this is minutes.
const publisherQueue = 1024

// publisher gives a sink a goroutine of its own, so that analysis waits for Kafka only when the queue and the spool
// behind it are full.
type publisher struct {
	sink   *kafka.Producer
	queue  chan export.Record
	done   chan struct{}
	failed error // valid after done
}

func newPublisher(ctx context.Context, sink *kafka.Producer) *publisher {
	p := &publisher{sink: sink, queue: make(chan export.Record, publisherQueue), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		var waiting []export.Record
		for r := range p.queue {
			waiting = append(waiting[:0], r)
			for len(p.queue) > 0 { // what came meanwhile shares batches
				waiting = append(waiting, <-p.queue)
			}
			if p.failed == nil { // after a failure the queue is only emptied
				p.failed = sink.PutAll(ctx, waiting)
			}
		}
	}()
	return p
}

func (p *publisher) put(r export.Record) { p.queue <- r }

// close delivers what waits, as far as ctx allows.
func (p *publisher) close(ctx context.Context) error {
	close(p.queue)
	<-p.done
	return errors.Join(p.failed, p.sink.Close(ctx))
}
